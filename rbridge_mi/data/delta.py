"""Delta adjustment: imputed values shifted by a constant, as if they were missing not at random."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import check_columns
from ..base.checks import hint, is_number
from ..errors import ArgumentError
from .stores import Cells, CellStore, Store

__all__ = ["check_delta", "shift_note", "shifted_store"]

Floats = NDArray[np.float64]


def check_delta(
    data: pd.DataFrame, store: Store, column: Any, delta: Any, by: Any
) -> tuple[CellStore, float | dict[Any, float]]:
    """Check the arguments of `ImputedData.delta`.

    Parameters
    ----------
    data : DataFrame
        The data with their holes.
    store : Store
    column, delta, by : object
        As they were given.

    Returns
    -------
    tuple of (CellStore, float or dict)
        The store, and the shift, or that of each group.

    Raises
    ------
    ArgumentError
        Naming what can't be right.
    """
    if not isinstance(store, CellStore):
        raise ArgumentError(
            "delta shifts imputed values, and bootstrap samples have none: impute the data."
        )
    check_columns([column], data, "column")
    if column not in store.cells or not _holes(data, store.cells[column], column).any():
        raise ArgumentError(f"column {column!r} has no imputed values that delta could shift.")
    kind = pd.api.types
    dtype = store.cells[column].dtype
    if (
        not kind.is_numeric_dtype(dtype)
        or kind.is_bool_dtype(dtype)
        or kind.is_complex_dtype(dtype)
    ):
        raise ArgumentError(
            f"column {column!r} has dtype {dtype}, and delta shifts numbers: of categories impute "
            "again from a model that is shifted, such as by mice's `post`."
        )
    if by is None:
        if isinstance(delta, Mapping):
            raise ArgumentError("a delta for each group needs by=, the column of the groups.")
        return store, _checked_shift(delta, "delta", column, dtype)
    check_columns([by], data, "by")
    if by == column:
        raise ArgumentError(f"by names {by!r}, the column that is shifted.")
    if not isinstance(delta, Mapping) or not delta:
        raise ArgumentError(
            f"with by={by!r}, delta must map groups to shifts, such as {{'treated': -1.0}}, not "
            f"{delta!r}."
        )
    groups = list(pd.unique(data[by].dropna()))
    texts = [x for x in groups if isinstance(x, str)]
    for group in delta:
        if group not in groups:
            shown = ", ".join(map(repr, groups[:10])) + (", ..." if len(groups) > 10 else "")
            raise ArgumentError(
                f"delta names the group {group!r}, which {by!r} does not have{hint(group, texts)}; "
                f"it has {shown}."
            )
    return store, {
        group: _checked_shift(x, f"delta of {group!r}", column, dtype) for group, x in delta.items()
    }


def _checked_shift(value: Any, name: str, column: Any, dtype: Any) -> float:
    if not is_number(value) or not math.isfinite(value):
        raise ArgumentError(f"{name} must be a number, not {value!r}.")
    if pd.api.types.is_integer_dtype(dtype) and float(value) != int(value):
        raise ArgumentError(
            f"{name} is {value!r}, and column {column!r} holds whole numbers ({dtype}): give a "
            "whole number, or make the column float before imputing."
        )
    return float(value)


def shifted_store(
    data: pd.DataFrame,
    store: CellStore,
    column: Any,
    delta: float | Mapping[Any, float],
    groups: Sequence[pd.Series[Any]] | None,
) -> CellStore:
    """Shift the cells of a column that were missing.

    Parameters
    ----------
    data : DataFrame
        The data with their holes.
    store : CellStore
    column : object
    delta : float or mapping
        As `check_delta` returned it.
    groups : sequence of Series, or None
        The column of the groups in each completed data set.

    Returns
    -------
    CellStore
        With other cells of that column; those that were observed, and those that have stayed
        missing, are as they were.
    """
    cells = store.cells[column]
    holes = _holes(data, cells, column)
    values = []
    for i in range(store.m):
        if isinstance(delta, Mapping):
            assert groups is not None
            group = groups[i].iloc[cells.rows]
            shift = group.map(dict(delta)).astype(np.float64).fillna(0.0).to_numpy()
        else:
            shift = np.full(len(cells.rows), delta)
        values.append(_shifted(column, cells, i, np.where(holes, shift, 0.0)))
    return replace(store, cells={**store.cells, column: replace(cells, values=tuple(values))})


def _holes(data: pd.DataFrame, cells: Cells, column: Any) -> NDArray[np.bool_]:
    """Tell which of the cells were missing: an engine may impute observed ones, too."""
    holes: NDArray[np.bool_] = data[column].isna().to_numpy()[cells.rows]
    return holes


def _shifted(column: Any, cells: Cells, i: int, shift: Floats) -> Any:
    before = pd.Series(cells.values[i], dtype=cells.dtype)
    exact = shift.astype(np.int64) if pd.api.types.is_integer_dtype(cells.dtype) else shift
    after = before + pd.Series(exact)
    shifted = after.astype(cells.dtype)
    if pd.api.types.is_integer_dtype(cells.dtype) and not (shifted - exact).equals(
        before.astype((shifted - exact).dtype)
    ):
        raise ArgumentError(
            f"column {column!r} has dtype {cells.dtype}, which has no room for its shifted values: "
            "make it wider before imputing."
        )
    return shifted.array


def shift_note(column: Any, delta: float | Mapping[Any, float], by: Any) -> str:
    """Say what was shifted."""
    if isinstance(delta, Mapping):
        parts = [f"{x:+g} where {by} is {group}" for group, x in delta.items()]
        return f"{column}: imputed values were shifted, by {', '.join(parts)} (delta adjustment)"
    return f"{column}: imputed values were shifted by {delta:+g} (delta adjustment)"
