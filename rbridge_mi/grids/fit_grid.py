"""`FitGrid`: what many models said of m data sets."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..base.arguments import check_level, check_value
from ..base.checks import hint
from ..base.glossary import checked
from ..base.paths import is_path
from ..base.text import Printed
from ..errors import ArgumentError, MissingPathError, PoolingError, RBridgeWarning
from ..inference.degrees_of_freedom import is_small_sample, plain_df
from ..pooled.matching import common_names
from ..pooling import PoolingRule, rule_for
from .identity import MANIFEST, Identity
from .parts import FolderParts, Parts
from .tables import FITS, GRID_TABLES

__all__ = ["FitGrid"]

_POOLED_FROM = ("fixef", "vcov", "glance")


@dataclass(frozen=True, eq=False)
class FitGrid:
    """The tables of many models, each fitted to the m data sets of an `ImputedData`.

    No fit is kept: R forgets it once its tables are made. Of a grid in a folder a table is read
    when it is asked for, and not kept either. ``model.fit(imp)`` makes the same fits, to be asked
    other things.

    Attributes
    ----------
    models : tuple of str
        The models' names.
    m : int
        Number of data sets.
    kind : {"imputation", "bootstrap"}
        Of the data sets.
    tables : tuple of str
        Names of the tables that there are.
    path : Path or None
        Of the folder, if the tables are in one.

    See Also
    --------
    fit_each : Makes a grid.
    """

    identity: Identity = field(repr=False)
    parts: Parts = field(repr=False)
    path: Path | None = None

    @classmethod
    def read(cls, path: Any) -> FitGrid:
        """Open the results in a folder, of a grid that is done or was interrupted.

        Parameters
        ----------
        path : path
            Of the folder that `fit_each` was given.

        Returns
        -------
        FitGrid
            What is there now. R isn't needed.

        Raises
        ------
        MissingPathError
            There is no such folder.
        RBridgeError
            It holds no grid.
        MissingExtraError
            pyarrow isn't installed.

        See Also
        --------
        fit_each : Goes on where it was interrupted.
        """
        if not is_path(path):
            raise ArgumentError(f"path must be the name of a folder, not {path!r}.")
        folder = Path(path)
        if not (folder / MANIFEST).is_file():
            raise MissingPathError(f"{folder} is no folder of a grid: it has no {MANIFEST}.")
        identity, _ = Identity.read(folder)
        return cls(identity, FolderParts(folder, identity.tables), folder)

    @property
    def models(self) -> tuple[str, ...]:
        """The models' names."""
        return self.identity.names

    @property
    def m(self) -> int:
        """Number of data sets."""
        return self.identity.m

    @property
    def kind(self) -> str:
        """What the data sets are: "imputation" or "bootstrap"."""
        return self.identity.kind

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that there are."""
        return self.identity.tables

    def table(self, name: str, model: str | Iterable[str] | None = None) -> pd.DataFrame:
        """Return a table of all fits.

        Parameters
        ----------
        name : str
            One of `tables`.
        model : str or list of str, optional
            Only the rows of these models.

        Returns
        -------
        DataFrame
            model, imputation, and the columns that the table of one fit has: models in their
            order, data sets by their numbers. vcov has a row per pair of terms (term, other_term,
            vcov), glance both reml_crit and deviance.

        Raises
        ------
        ArgumentError
            There is no such table, or no such model.

        See Also
        --------
        MerModList.fixef : With ``by_imputation=True``, the same of one model.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> imp = rb.BootstrapImputer(m=2).impute(rb.load_hsb().head(400), seed=1)
        >>> models = {"ses": rb.Lmer("mathach ~ ses + (1 | schid)")}
        >>> rb.fit_each(models, imp).table("fixef").columns.tolist()
        ['model', 'imputation', 'term', 'estimate']
        """
        check_value(name, self.tables, "table")
        frame = self._rows(name, self._models(model))
        return checked(frame, _glossary_name(name), by_imputation=True, by_model=True)

    @property
    def failures(self) -> pd.DataFrame:
        """The data sets that a model could not be fitted to: model, imputation, error, message."""
        rows = self._rows(FITS)
        frame = rows[rows["error"].notna()].reset_index(drop=True)
        return checked(frame, "failures", by_imputation=True, by_model=True)

    def pool(
        self,
        model: str | Iterable[str] | None = None,
        dfcom: Any = None,
        conf_level: float = 0.95,
    ) -> pd.DataFrame:
        """Pool the coefficients of each model by Rubin's rules, or by their spread.

        Parameters
        ----------
        model : str or list of str, optional
            Only these models.
        dfcom : "residual" or float, optional
            As in `MerModList.pool`; those that R computes per fit are not to be had.
        conf_level : float
            Of the intervals.

        Returns
        -------
        DataFrame
            model, and the columns of `PooledMerMod.fixed`, with the same bits as
            ``model.fit(imp, errors="keep").pool().fixed``. A model that can't be pooled, since it
            has fewer than two fits or these differ in their terms, has no rows, and a warning
            names it.

        Raises
        ------
        ArgumentError
            A dfcom or conf_level that can't be; the tables fixef, vcov and glance aren't there.
        PoolingError
            No model can be pooled.

        See Also
        --------
        MerModList.pool : Of one model, with all that can be asked of pooled fits.
        """
        lacking = [x for x in _POOLED_FROM if x not in self.tables]
        if lacking:
            raise ArgumentError(
                f"pool() needs the tables {', '.join(_POOLED_FROM)}, and this grid was made "
                f"without {', '.join(lacking)} (tables= of fit_each)."
            )
        if is_small_sample(dfcom):
            raise ArgumentError(
                f"dfcom={dfcom!r} takes the fits themselves: model.fit(imp).pool(dfcom={dfcom!r})."
            )
        check_level(conf_level)
        wanted = self._models(model)
        groups = [dict(iter(self._rows(x, wanted).groupby("model"))) for x in _POOLED_FROM]
        pooled, refused = [], {}
        for name in wanted:
            try:
                of_model = [frames.get(name) for frames in groups]
                frame = _pooled(name, of_model, rule_for(self.identity.kind), dfcom, conf_level)
            except PoolingError as error:
                refused[name] = error
            else:
                frame.insert(0, "model", name)
                pooled.append(frame)
        if not pooled:
            raise next(iter(refused.values()))
        if refused:
            first = next(iter(refused.values()))
            warnings.warn(
                f"{len(refused)} of {len(wanted)} models are not pooled: "
                f"{', '.join(map(repr, refused))}. {first}",
                RBridgeWarning,
                stacklevel=2,
            )
        return checked(pd.concat(pooled, ignore_index=True), "fixed", by_model=True)

    def summary(self) -> Printed:
        """Return how many fits there are, and why others failed, as text."""
        return Printed.of(self._lines())

    def _lines(self) -> Iterator[str]:
        rows = self._rows(FITS)
        wanted = len(self.models) * self.m
        failed = rows[rows["error"].notna()]
        yield f"{len(self.models)} models x {self.m} data sets" + (
            "" if self.path is None else f", in {self.path}"
        )
        yield f"fitted: {len(rows) - len(failed)} of {wanted}" + (
            "" if len(rows) == wanted else f" ({wanted - len(rows)} not done yet)"
        )
        for name, of_model in failed.groupby("model", sort=False):
            first = of_model.iloc[0]
            what = f"imputation {first['imputation']}: {first['message'].splitlines()[0]}"
            yield f"failed: {name}, {len(of_model)} of {self.m}; {what}"
        yield f"tables: {', '.join(self.tables)}"

    def _models(self, model: str | Iterable[str] | None) -> list[str]:
        if model is None:
            return list(self.models)
        names = [model] if isinstance(model, str) else list(model)
        for name in names:
            if name not in self.models:
                meant = hint(name, self.models)
                raise ArgumentError(f"the grid has no model {name!r}{meant}: see `models`.")
        return names

    def _rows(self, table: str, models: list[str] | None = None) -> pd.DataFrame:
        """Return rows in the order of the models, then of the data sets, then as they were."""
        whole = models is None or len(models) == len(self.models)
        frame = self.parts.rows(table, None if whole else models)
        places = pd.Categorical(frame["model"], categories=list(self.models)).codes
        order = np.lexsort((frame["imputation"].to_numpy(), places))
        return frame.iloc[order].reset_index(drop=True)

    def __repr__(self) -> str:
        rows = self._rows(FITS)
        failed = int(rows["error"].notna().sum())
        counts = [f"{len(rows) - failed} fits"]
        counts += [f"{failed} failed"] if failed else []
        left = len(self.models) * self.m - len(rows)
        counts += [f"{left} not done"] if left else []
        place = "" if self.path is None else f", in {self.path}"
        return (
            f"<FitGrid: {len(self.models)} models x {self.m} data sets, {', '.join(counts)}{place}>"
        )

    def __str__(self) -> str:
        return str(self.summary())


def _glossary_name(table: str) -> str:
    return f"grid_{table}" if table in ("vcov", "glance") else table


@dataclass(frozen=True)
class _Facts:
    """What degrees of freedom hang on, of a fit."""

    has_scale: bool
    df_residual: int


def _pooled(
    name: str,
    tables: list[pd.DataFrame | None],
    rule: PoolingRule,
    dfcom: Any,
    conf_level: float,
) -> pd.DataFrame:
    """Pool a model's coefficients from its rows of fixef, vcov and glance."""
    if tables[0] is None or tables[0]["imputation"].nunique() < 2:
        raise PoolingError(f"model {name!r}: pooling needs at least two fits.")
    fixef, vcov, glance = (x for x in tables if x is not None)
    numbers = glance["imputation"].tolist()
    by_fit = dict(iter(fixef.groupby("imputation")))
    names = [by_fit[i]["term"].tolist() for i in numbers]
    terms = common_names(
        names,
        numbers,
        "coefficients",
        twice=f"(Model {name!r}.) Rename a factor or a column",
        odd=f"(Model {name!r}.) A factor may have lost a level, or the design its rank.",
    )
    estimates = np.array(
        [by_fit[i].set_index("term")["estimate"].loc[terms].to_numpy() for i in numbers]
    )
    matrices = {
        i: x.pivot(index="term", columns="other_term", values="vcov")
        for i, x in vcov.groupby("imputation")
    }
    vcovs = np.array([matrices[i].loc[terms, terms].to_numpy() for i in numbers])
    facts: Any = [
        _Facts(has_scale, df_residual)
        for has_scale, df_residual in zip(
            glance["sigma"].notna(), glance["df_residual"], strict=True
        )
    ]
    fixed = rule.scalars(
        estimates,
        np.diagonal(vcovs, axis1=1, axis2=2),
        dfcom=plain_df(dfcom, facts),
        conf_level=conf_level,
    )
    return pd.DataFrame({"term": terms, **fixed.columns()})


assert set(_POOLED_FROM) <= set(GRID_TABLES)
