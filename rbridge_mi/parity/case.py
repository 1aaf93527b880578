"""The cases of the parity suite: plain data, from which both programs are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ..models.glmer import Glmer
from ..models.glmer_nb import GlmerNb
from ..models.lmer import Lmer

__all__ = ["Apart", "Argument", "Column", "ImputationCase", "ModelCase", "new_data", "new_levels"]

Model: TypeAlias = Lmer | Glmer | GlmerNb

# By lme4's function, the class of the models that it fits.
_MODELS: dict[str, type[Model]] = {x.fitter: x for x in (Lmer, Glmer, GlmerNb)}

# By engine, what keeps its function from printing.
_QUIET = {"amelia": "p2s = 0", "mice": "printFlag = FALSE"}


@dataclass(frozen=True)
class Column:
    """Stands for the values of a column, given as an array and not by the column's name.

    Attributes
    ----------
    name : str
        The column's name.
    """

    name: str


@dataclass(frozen=True)
class Argument:
    """One argument, as Python gets it and as an R user writes it.

    Attributes
    ----------
    name : str
        Python's keyword.
    value : object
        Python's value, or a `Column`.
    r : str
        What stands in the R call; empty for nothing.
    """

    name: str
    value: Any
    r: str

    def python(self, frame: pd.DataFrame) -> Any:
        """Return the value for a frame."""
        return frame[self.value.name].to_numpy() if isinstance(self.value, Column) else self.value


@dataclass(frozen=True)
class Apart:
    """A tolerance, and the reason why the bits can't be equal.

    Attributes
    ----------
    ulp : float
        How far apart two doubles may be.
    reason : str
        Shown in the report.
    """

    ulp: float
    reason: str


@dataclass(frozen=True)
class ModelCase:
    """A model, fitted by a user's R script and through this library.

    Attributes
    ----------
    name, family : str
        The name begins with the family: the aspect of fitting that the case is about.
    data : str
        A recipe of ``r/reference/data.R``.
    formula : str
        The model, in lme4's notation.
    groups : tuple of str
        Columns of the grouping factors: new levels are put there for prediction.
    arguments : tuple of Argument
        Further arguments of the fitter.
    fitter : str
        lme4's function that fits the model: "lmer", "glmer" or "glmer.nb".
    against : str, optional
        Formula of the second fit for anova; by default ``response ~ 1 + (1 | first group)``.
    prelude : str
        What the R script does first, such as ``library(splines)``.
    part : str, optional
        A ``re.form`` that takes some of the random effects.
    profile : bool
        Compare profile confidence intervals too; they take seconds.
    collate : str, optional
        The collation (ICU) under which R sorts meanwhile, on both sides.
    labels : bool
        Give Python's frame text labels as its index: rows must be matched by them.
    needs : tuple of str
        R packages without which the case can't run.
    apart : mapping of str to Apart
        Per accessor, a tolerance and its reason.

    See Also
    --------
    ImputationCase : A case about an imputation.
    """

    name: str
    family: str
    data: str
    formula: str
    groups: tuple[str, ...]
    arguments: tuple[Argument, ...] = ()
    fitter: str = "lmer"
    against: str | None = None
    prelude: str = ""
    part: str | None = None
    profile: bool = False
    collate: str | None = None
    labels: bool = False
    needs: tuple[str, ...] = ()
    apart: Mapping[str, Apart] = field(default_factory=dict)

    def r_call(self, formula: str | None = None) -> str:
        """Write the fitter's call as an R user does, of the case's or of another formula."""
        parts = [formula or self.formula, "data = data"]
        parts += [x.r for x in self._arguments(formula) if x.r]
        return f"{self.fitter}({', '.join(parts)})"

    @property
    def model(self) -> type[Model]:
        """The library's class for models of the case's fitter."""
        return _MODELS[self.fitter]

    def python_model(self, frame: pd.DataFrame, formula: str | None = None) -> Model:
        """Return the model of the case's or of another formula, with the case's arguments."""
        arguments = {x.name: x.python(frame) for x in self._arguments(formula)}
        return self.model(formula or self.formula, **arguments)

    def second(self) -> str:
        """Return the formula of the fit that anova compares with."""
        response = self.formula.split("~")[0].strip()
        return self.against or f"{response} ~ 1 + (1 | {self.groups[0]})"

    def _arguments(self, formula: str | None) -> list[Argument]:
        # These depend on the case's terms, so they may not apply to another formula.
        of_terms = ("start", "contrasts", "control")
        return [x for x in self.arguments if formula is None or x.name not in of_terms]


@dataclass(frozen=True)
class ImputationCase:
    """An imputation by one of R's engines, compared cell by cell.

    Attributes
    ----------
    name : str
        Begins with the engine and a slash.
    data : str
        A recipe of ``r/reference/data.R``.
    arguments : tuple of Argument
        Further arguments of the engine.
    m, seed : int
        Number of imputations, and the seed before the call.
    columns : tuple of str, optional
        The data's columns to use; all by default.
    model : str, optional
        A formula, fitted to every imputation on both sides.
    family : str
        The engine, as `rbridge_mi.impute` calls it.
    script : str
        R code that imputes the frame ``data`` and ends with what the engine returned; empty where
        it is a call of the engine's function with the data, m and the arguments.
    fresh : bool
        Whether R's side needs an Rscript that has imputed nothing before: the engine keeps a state
        between calls that no seed sets.
    needs : tuple of str
        R packages without which the case can't run; the engine's comes first.
    until : mapping of str to str
        By package, the version from which the call ends R, so that the case can't run.
    apart : mapping of str to Apart
        Per accessor, a tolerance and its reason.

    See Also
    --------
    ModelCase : A case about a model.
    """

    name: str
    data: str
    arguments: tuple[Argument, ...] = ()
    m: int = 2
    seed: int = 1
    columns: tuple[str, ...] | None = None
    model: str | None = None
    family: str = "amelia"
    script: str = ""
    fresh: bool = False
    needs: tuple[str, ...] = ("Amelia",)
    until: Mapping[str, str] = field(default_factory=dict)
    apart: Mapping[str, Apart] = field(default_factory=dict)

    def r_call(self) -> str:
        """Write the engine's call as an R user does."""
        if self.script:
            return self.script
        parts = ["data", f"m = {self.m}", _QUIET[self.family], *(x.r for x in self.arguments)]
        return f"{self.family}({', '.join(parts)})"


def new_data(frame: pd.DataFrame) -> pd.DataFrame:
    """Take up to 25 rows, spread over the frame, for prediction.

    Rows that lack a level are left out: lme4 stops at them, and this library predicts nothing for
    them.
    """
    levels = frame.select_dtypes(exclude="number")
    whole = frame[levels.notna().all(axis=1)]
    return whole.iloc[:: max(1, len(whole) // 25)].head(25).reset_index(drop=True)


def new_levels(frame: pd.DataFrame, groups: tuple[str, ...]) -> pd.DataFrame:
    """Put a new level into every third row of each grouping column of `new_data`."""
    frame = new_data(frame)
    for i, name in enumerate(groups):
        rows = np.arange(len(frame)) % 3 == i % 3
        column = frame[name]
        fresh: Any = "a new level"
        if isinstance(column.dtype, pd.CategoricalDtype):
            column = column.cat.add_categories([fresh])
        elif pd.api.types.is_bool_dtype(column.dtype):
            continue  # a logical has no third level
        elif pd.api.types.is_numeric_dtype(column.dtype):
            fresh = 9999
        frame[name] = column.mask(rows, fresh)
    return frame
