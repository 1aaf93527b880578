"""Some of the rows or columns of all data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import check_columns
from ..errors import ArgumentError
from .common_dtype import cast
from .stores import Cells, CellStore, FrameStore, RowStore, Store, own_copy

__all__ = ["Keep", "columns_to_select", "filtered_store", "rows_to_keep", "selected_store"]

Mask: TypeAlias = "pd.Series[bool] | NDArray[np.bool_] | Sequence[bool]"
Keep: TypeAlias = "Mask | Callable[[pd.DataFrame], Mask]"


def rows_to_keep(
    keep: Keep, original: pd.DataFrame, frames: Iterable[pd.DataFrame]
) -> NDArray[np.bool_]:
    """Tell which rows stay, the same in every data set; see `ImputedData.filter`.

    Parameters
    ----------
    keep : callable or mask
    original : DataFrame
    frames : iterable of DataFrame
        The completed data sets, of which a callable is asked.

    Returns
    -------
    ndarray of bool
        By row.

    Raises
    ------
    ArgumentError
        A mask that can't be, rows that differ between data sets, or none that stay.
    """
    if not callable(keep):
        mask = _mask(keep, original.index, "keep")
    else:
        masks = [
            _mask(keep(frame), original.index, f"what keep gave for imputation {i}")
            for i, frame in enumerate(frames, start=1)
        ]
        mask = masks[0]
        for i, other in enumerate(masks[1:], start=2):
            if not np.array_equal(mask, other):
                row = original.index[np.flatnonzero(mask != other)[0]]
                raise ArgumentError(
                    f"keep takes other rows in imputation {i} than in imputation 1 (row {row!r}, "
                    "for one): it hangs on imputed values. The data sets would no longer be of the "
                    "same cases, which everything that is by row needs. Mark the rows instead, "
                    "`imp.assign(keep=...)`, and give the model subset='keep': it is then fitted "
                    "to each data set's rows."
                )
    if not mask.any():
        raise ArgumentError("keep leaves no row.")
    return mask


def _mask(given: Any, index: pd.Index, what: str) -> NDArray[np.bool_]:
    if isinstance(given, pd.Series) and not given.index.equals(index):
        raise ArgumentError(f"{what} has other rows (index) than the data.")
    values = given if isinstance(given, pd.Series) else pd.Series(np.asarray(given).ravel())
    if len(values) != len(index) or np.ndim(given) != 1:
        raise ArgumentError(f"{what} must have one value for each of the {len(index)} rows.")
    if not pd.api.types.is_bool_dtype(values.dtype) or values.isna().any():
        raise ArgumentError(
            f"{what} must be True or False for each row, without missing values, not "
            f"{values.dtype}: a condition such as `lambda d: d['age'] >= 18`."
        )
    mask: NDArray[np.bool_] = values.to_numpy(dtype=bool)
    return mask


def filtered_store(store: CellStore, mask: NDArray[np.bool_]) -> CellStore:
    """Keep some rows of imputations.

    Parameters
    ----------
    store : CellStore
    mask : ndarray of bool

    Returns
    -------
    CellStore
        Columns in which no imputed cell is left have the dtype that they had with these.
    """
    base, cells = store.base[mask], {}
    places = np.cumsum(mask) - 1
    for name, column in store.cells.items():
        stays = mask[column.rows]
        if stays.any():
            values = tuple(x[stays] for x in column.values)
            rows = places[column.rows[stays]].astype(np.int32)
            cells[name] = Cells(rows, values, column.dtype)
        else:
            base = base.assign(**{name: cast(base[name], column.dtype)})
    return CellStore(own_copy(base), cells, store.m)


def columns_to_select(columns: Any, base: pd.DataFrame) -> list[Any]:
    """Check names of columns; see `ImputedData.select`.

    Parameters
    ----------
    columns : object
        One name, or a list of them.
    base : DataFrame
        Of the store.

    Returns
    -------
    list
        The names.

    Raises
    ------
    ArgumentError
        None, one twice, or one that there isn't.
    """
    several = isinstance(columns, Iterable) and not isinstance(columns, str | tuple)
    names = list(columns) if several else [columns]
    check_columns(names, base, "columns")
    twice = [x for i, x in enumerate(names) if x in names[:i]]
    if twice:
        raise ArgumentError(f"columns names {twice[0]!r} twice.")
    if not names:
        raise ArgumentError("columns is empty: name at least one.")
    return names


def selected_store(store: Store, names: list[Any]) -> Store:
    """Keep some columns of all data sets.

    Parameters
    ----------
    store : Store
    names : list

    Returns
    -------
    Store
        Of the same kind.
    """
    if isinstance(store, CellStore):
        cells = {name: x for name, x in store.cells.items() if name in names}
        return CellStore(own_copy(store.base[names]), cells, store.m)
    if isinstance(store, RowStore):
        base = own_copy(store.base[names])
        if store.cluster in names:
            return replace(store, base=base)
        return RowStore(base, store.rows)
    assert isinstance(store, FrameStore)
    return FrameStore(tuple(own_copy(frame[names]) for frame in store.frames))
