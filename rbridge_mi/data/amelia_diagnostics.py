"""What Amelia's plots of diagnostics show, as tables; they ask R's object of the imputations."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..base.arguments import check_columns, check_count, check_seed, checked_argument
from ..base.checks import whole
from ..base.glossary import checked
from ..errors import ArgumentError, RWarning

__all__ = ["dispersed", "overimputed"]

_NOT_IMPUTED = {"noms": "nominal", "idvars": "an id variable", "ts": "the time", "cs": "the unit"}


def overimputed(
    r: Any,
    method: str,
    settings: Mapping[str, Any],
    original: pd.DataFrame,
    column: str,
    draws: int,
    seed: int | None,
) -> pd.DataFrame:
    """Tabulate what a column's observed cells would have been imputed as.

    Parameters
    ----------
    r : RObject or None
    method : str
    settings : mapping
    original : DataFrame
        Of the `ImputedData`.
    column : str
    draws : int
    seed : int or None
        See `ImputedData.overimpute`.

    Returns
    -------
    DataFrame
        In the order of the data.
    """
    _check_object(r, method, "overimpute")
    if not isinstance(column, str):
        raise ArgumentError(f"overimpute takes the name of one column, not {column!r}.")
    check_columns([column], original, "overimpute")
    for role, what in _NOT_IMPUTED.items():
        named = settings.get(role, ())
        if column in ([named] if isinstance(named, str) else named):
            raise ArgumentError(
                f"column {column!r} is {what} ({role}) to Amelia, which overimputes numbers only."
            )
    draws = check_count(draws, "draws", 1)
    told = _asked(r, "overimputed_cells", column, draws, check_seed(seed))
    table = pd.DataFrame({name: np.asarray(values) for name, values in told.items()})
    table = table.sort_values("row", ignore_index=True)
    positions = table["row"].to_numpy() - 1
    return checked(table.assign(row=original.index[positions]), "overimpute")


def dispersed(r: Any, method: str, m: int, dims: int, seed: int | None) -> pd.DataFrame:
    """Tabulate where EM chains from several starting values go.

    Parameters
    ----------
    r : RObject or None
    method : str
        Of the `ImputedData`.
    m, dims : int
    seed : int or None
        See `ImputedData.disperse`.

    Returns
    -------
    DataFrame
        By chain, iteration and component.
    """
    _check_object(r, method, "disperse")
    m = check_count(m, "m (the number of chains)", 2)
    dims = checked_argument(dims, whole(1, 2), "dims")
    told = _asked(r, "dispersed_chains", m, dims, check_seed(seed))
    table = pd.DataFrame({name: np.asarray(values) for name, values in told.items()})
    counts = dict.fromkeys(("chain", "iteration", "component"), np.int64)
    return checked(table.astype(counts), "disperse")


def _check_object(r: Any, method: str, what: str) -> None:
    if method != "amelia":
        raise ArgumentError(f"{what} is Amelia's, and these data sets are by {method!r}.")
    if r is None:
        raise ArgumentError(
            f"{what} asks R's object of the imputations, which was not kept: impute with "
            "keep_r=True (and rng='r')."
        )


def _asked(r: Any, function: str, *arguments: Any) -> Mapping[str, Any]:
    reply = r.call(function, *arguments)
    for text in dict.fromkeys(reply.warnings):
        warnings.warn(f"Amelia: {text}", RWarning, stacklevel=4)
    value: Mapping[str, Any] = reply.value
    return value
