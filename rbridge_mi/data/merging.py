"""Completed frames, imputed elsewhere or derived, as one store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..errors import ArgumentError
from .common_dtype import cast, common_dtype, described, differs, nullable, same_dtype
from .stores import Cells, CellStore, FrameStore, Store, own_copy

__all__ = ["Kind", "check_known_cells", "columns_of", "filled_cells", "merged"]

Kind = Literal["imputation", "bootstrap"]


def merged(
    frames: Sequence[pd.DataFrame],
    original: pd.DataFrame | None,
    names: Sequence[str],
    kind: Kind,
) -> tuple[pd.DataFrame, Store, tuple[str, ...]]:
    """Merge completed frames; see `ImputedData.from_frames`.

    Parameters
    ----------
    frames : sequence of DataFrame
    original : DataFrame, optional
        The data with their holes; without them, a cell that differs counts as a hole.
    names : sequence of str
        What messages call each frame.
    kind : {"imputation", "bootstrap"}

    Returns
    -------
    tuple of (DataFrame, Store, tuple of str)
        The data with their holes, the store, and a note on each column whose dtype had to change.
    """
    for name, frame in zip(names, frames, strict=True):
        if not frame.columns.equals(frames[0].columns):
            raise ArgumentError(f"{name} has other columns than {names[0]}.")
        if kind == "imputation" and not frame.index.equals(frames[0].index):
            raise ArgumentError(f"{name} has other rows (index) than {names[0]}.")
    if kind == "bootstrap":
        base = frames[0] if original is None else original
        return own_copy(base), FrameStore(tuple(map(own_copy, frames))), ()
    holes = own_copy(frames[0]) if original is None else own_copy(original)
    base = own_copy(frames[0]) if original is None else _like(original, frames[0])
    cells, notes = {}, []
    for name in frames[0].columns:
        given = None if original is None else base[name]
        shared, differing, note = _merged_column(name, [x[name] for x in frames], given)
        if shared is not given:
            base[name] = shared
        if differing is not None:
            cells[name] = differing
        if note is not None:
            notes.append(note)
        if differing is not None and original is None:
            holes[name] = _holed(shared, differing.rows)
            if same_dtype(holes[name].dtype, differing.dtype):
                base[name] = holes[name]
    return holes, CellStore(base, cells, len(frames)), tuple(notes)


def check_known_cells(
    frames: Sequence[pd.DataFrame],
    original: pd.DataFrame,
    names: Sequence[str],
    remedy: str = "if the rows are in another order, name what tells them apart (id=...)",
) -> None:
    """Refuse data sets in which a cell that is not missing in the original has another value.

    Parameters
    ----------
    frames : sequence of DataFrame
        With the rows of the original, in its order.
    original : DataFrame
        The data with their holes.
    names : sequence of str
        What messages call each frame.
    remedy : str
        What to do, for the message.

    Raises
    ------
    ArgumentError
        It names the first such cell.
    """
    for who, frame in zip(names, frames, strict=True):
        for name in [x for x in frame.columns if x in original.columns]:
            pair = {"the data with their holes": original[name], who: frame[name]}
            dtype = common_dtype(name, pair)
            known, now = (cast(x, dtype) for x in pair.values())
            rows = np.flatnonzero(differs(known, now) & known.notna().to_numpy())
            if rows.size:
                row = rows[0]
                raise ArgumentError(
                    f"{who} has {_shown(now.iloc[row])} in column {name!r} of row "
                    f"{_shown(original.index[row])}, where the data with their holes have "
                    f"{_shown(known.iloc[row])} ({rows.size} cells of the column are so): {remedy}."
                )


def _shown(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)


def filled_cells(
    frames: Sequence[pd.DataFrame], original: pd.DataFrame
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return in which cells a data set has not what the original has, or the original nothing.

    Parameters
    ----------
    frames : sequence of DataFrame
        With the rows and columns of the original.
    original : DataFrame
        The data with their holes.

    Returns
    -------
    array of bool
        Rows x columns.
    """
    filled = np.zeros(original.shape, dtype=bool)
    for j, name in enumerate(original.columns):
        columns = {"the data with their holes": original[name]}
        columns |= {f"imputation {i}": x[name] for i, x in enumerate(frames, 1)}
        dtype = common_dtype(name, columns)
        before, *after = (cast(x, dtype) for x in columns.values())
        filled[:, j] = before.isna().to_numpy()
        for column in after:
            filled[:, j] |= differs(before, column)
    return filled


def _like(original: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the data with their holes, with the completed frames' rows and columns."""
    if not original.index.equals(frame.index):
        raise ArgumentError("original has other rows (index) than the completed frames.")
    missing = [x for x in frame.columns if x not in original.columns]
    if missing:
        raise ArgumentError(f"original lacks the columns {missing} of the completed frames.")
    return columns_of(original, frame)


def columns_of(original: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame's columns of the original; of one that was added later, missing values."""
    positions = original.columns.get_indexer(frame.columns)
    if (positions >= 0).all():
        return own_copy(original.iloc[:, positions])
    return original.reindex(columns=frame.columns)


def _merged_column(
    name: Any, columns: Sequence[pd.Series[Any]], given: pd.Series[Any] | None
) -> tuple[pd.Series[Any], Cells | None, str | None]:
    """Return what the data sets share of a column, the cells in which they differ, and a note.

    What they share is the column with its holes, if that has their dtype; else it is the first
    data set's.
    """
    dtype = common_dtype(name, {f"imputation {i}": x for i, x in enumerate(columns, 1)}, given)
    shared = columns[0] if given is None or not same_dtype(given.dtype, dtype) else given
    shared = cast(shared, dtype)
    changed = np.zeros(len(shared), dtype=bool)
    for column in columns:
        changed |= differs(shared, cast(column, dtype))
    differing = None
    if changed.any():
        rows = np.flatnonzero(changed).astype(np.int32)
        differing = Cells(rows, tuple(cast(x, dtype).array[rows] for x in columns), dtype)
    note = None
    if not all(same_dtype(x.dtype, dtype) for x in columns):
        note = f"{name}: {described([x.dtype for x in columns], dtype)}, for all data sets"
    return shared, differing, note


def _holed(column: pd.Series[Any], rows: np.ndarray[Any, Any]) -> pd.Series[Any]:
    """Return the column with holes, in a dtype that has room for them."""
    hole = np.zeros(len(column), dtype=bool)
    hole[rows] = True
    return nullable(column).mask(hole)
