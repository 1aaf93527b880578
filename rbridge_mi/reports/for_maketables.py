"""Models as maketables, and pyfixest's ``etable`` with it, reads them; neither is imported."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from ..errors import ArgumentError
from ..inference.model_column import HasTableColumn, ModelColumn

__all__ = ["ForMakeTables", "for_maketables"]


def for_maketables(*models: HasTableColumn) -> list[ForMakeTables]:
    """Wrap models for maketables' tables, and pyfixest's ``etable``, which is made of them.

    maketables takes what has statsmodels' names for one of statsmodels' results, and leaves out
    what these lack: groups, imputations, fraction of missing information, R2.

    Parameters
    ----------
    *models : MerMod, MerModList, PooledMerMod or PooledEstimates
        Fits, lists of fits (pooled by default), pooled models, and what `pool` gave.

    Returns
    -------
    list of ForMakeTables
        One for each, to hand to ``maketables.ETable``.

    Raises
    ------
    ArgumentError
        Something else.

    See Also
    --------
    table : This library's own tables of models.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> [column] = rb.for_maketables(fit)  # maketables.ETable(rb.for_maketables(fit, fits))
    >>> list(column.__maketables_coef_table__["b"].round(2))
    [12.66, 2.39]
    """
    for model in models:
        if not isinstance(model, HasTableColumn):
            raise ArgumentError(
                f"for_maketables takes fits and pooled models, not {type(model).__name__}."
            )
    return [ForMakeTables(model) for model in models]


class ForMakeTables:
    """A model with the attributes that maketables asks for.

    Parameters
    ----------
    model : MerMod, MerModList, PooledMerMod or PooledEstimates
        Any of these.

    Notes
    -----
    maketables asks any object for attributes whose names begin with ``__maketables_``; its page on
    the plug-in format says what each of them holds.
    """

    def __init__(self, model: HasTableColumn) -> None:
        self._model = model

    def __repr__(self) -> str:
        return f"ForMakeTables({self._model!r})"

    def _column(self) -> ModelColumn:
        return self._model.table_column()

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        """The coefficients, indexed by term: b, se, t, p, df, and the ends of the interval."""
        column = self._column()
        names = {
            "estimate": "b", "std_error": "se", "statistic": "t", "p_value": "p", "df": "df",
        }  # fmt: skip
        percent = f"{100 * column.conf_level:g}"
        names |= {"conf_low": f"ci{percent}l", "conf_high": f"ci{percent}u"}
        frame = column.fixed().set_index("term").rename_axis("Coefficient")
        return frame[list(names)].rename(columns=names)

    def __maketables_stat__(self, key: str) -> Any:
        column = self._column()
        if key in _R2 and column.r2 is not None:
            return float(column.r2()[key].iloc[0])
        if key == "se_type":
            return column.inference
        return dict(_statistics(column)).get(key)

    @property
    def __maketables_depvar__(self) -> str:
        """The response."""
        return self._column().response

    @property
    def __maketables_fixef_string__(self) -> None:
        """Nothing: random effects are no absorbed fixed effects."""

    @property
    def __maketables_vcov_info__(self) -> dict[str, str]:
        """What standard errors come from."""
        return {"vcov_type": self._column().inference}

    @property
    def __maketables_stat_labels__(self) -> dict[str, str]:
        """What statistics are called, where their key doesn't say it."""
        return dict(_R2)

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        """The statistics that are shown by default."""
        column = self._column()
        return [*(key for key, _ in _statistics(column)), *(_R2 if column.r2 is not None else ())]


_R2 = {"r2_marginal": "Marginal R²", "r2_conditional": "Conditional R²"}


def _statistics(column: ModelColumn) -> Iterator[tuple[str, Any]]:
    """Yield what can be said without R, by keys that read as labels, but for maketables' own."""
    if column.nobs:
        low, high = min(column.nobs), max(column.nobs)
        yield "N", low if low == high else f"{low}–{high}"
    for group, count in column.ngrps.items():
        yield f"Groups: {group}", count
    if column.icc is not None:
        for group, share in column.icc.items():
            if not math.isnan(share):
                yield f"ICC: {group}", float(share)
    if column.m is not None:
        yield "Imputations", column.m
    if column.fmi is not None:
        yield "Largest FMI", column.fmi
