"""What a plot is of: objects that can't be drawn are refused by name."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..data.imputed_data import ImputedData
from ..errors import ArgumentError
from ..inference.mermod import MerMod
from ..pooled.mermod_list import MerModList
from ..pooled.pooled_estimates import PooledEstimates
from ..pooled.pooled_mermod import PooledMerMod

__all__ = ["check_kind", "check_m", "fits_of", "imputations_of", "pooled_of"]

_SHOWN = {
    ImputedData: "an ImputedData",
    MerMod: "a fit (MerMod)",
    MerModList: "fits (MerModList)",
    PooledMerMod: "a pooled model (PooledMerMod)",
    PooledEstimates: "pooled estimates (PooledEstimates)",
    pd.DataFrame: "a DataFrame",
}


def check_kind(obj: Any, kinds: tuple[type, ...], what: str) -> None:
    """Refuse objects of other classes.

    Raises
    ------
    ArgumentError
        Naming what the plot takes.
    """
    if not isinstance(obj, kinds):
        names = [_SHOWN[x] for x in kinds]
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
        raise ArgumentError(f"{what} takes {listed}, not {type(obj).__name__}.")


def imputations_of(obj: Any, what: str) -> ImputedData:
    """Take data sets that were imputed: bootstrap samples have no imputed cells.

    Raises
    ------
    ArgumentError
        Anything else.
    """
    check_kind(obj, (ImputedData,), what)
    imp: ImputedData = obj
    if imp.kind != "imputation":
        raise ArgumentError(
            f"{what} compares imputed with observed cells, and bootstrap samples have no imputed "
            "ones: their holes stay holes."
        )
    return imp


def pooled_of(obj: Any, what: str) -> PooledMerMod:
    """Take a pooled model, or fits that are pooled by default.

    Raises
    ------
    ArgumentError
        Anything else.
    """
    check_kind(obj, (PooledMerMod, MerModList), what)
    pooled: PooledMerMod = obj.pooled_by_default if isinstance(obj, MerModList) else obj
    return pooled


def fits_of(obj: Any, what: str) -> tuple[MerMod, ...]:
    """Take one fit, or those of a list or a pooled model.

    Raises
    ------
    ArgumentError
        Anything else.
    """
    check_kind(obj, (MerMod, MerModList, PooledMerMod), what)
    return (obj,) if isinstance(obj, MerMod) else tuple(obj.fits)


def check_m(pooled: PooledMerMod | PooledEstimates, what: str) -> None:
    """Refuse bootstrap samples, of which the variances within and between have no meaning.

    Raises
    ------
    ArgumentError
        Naming the plot.
    """
    if not pooled.rule.knows_missing_information:
        raise ArgumentError(
            f"{what} shows what missing data cost, by the variances within and between "
            "imputations: bootstrap samples don't have them."
        )
