"""R's vectors and data frames as pandas', without R.

===============================  =================================================================
R                                pandas
===============================  =================================================================
double                           float64, bit by bit; NA is NaN
integer, integer64               int64, or Int64 with NA
logical                          bool, or boolean with NA
character                        text
factor, ordered                  category, with all levels in their order
Date                             datetime.date
POSIXct                          datetime64[us]: in its time zone, or, if that is UTC or none, UTC
                                 without a zone
numbers of other classes         numbers (difftime, labelled, AsIs, ...)
row names                        the index; 1, 2, ..., n become 0, 1, ..., n - 1
===============================  =================================================================
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..errors import EncodingError, RBridgeError
from .r_tree import Tree

__all__ = ["column_of", "frame_of", "matrix_of"]

_UTC = ("", "UTC", "GMT", "Etc/UTC", "Etc/GMT")


def frame_of(tree: Tree, what: str, *, by_place: bool = False) -> pd.DataFrame:
    """Return a data frame.

    Parameters
    ----------
    tree : Tree
        Of class data.frame.
    what : str
        What it is, for messages.
    by_place : bool
        Call its columns 0, 1, ...: their names may be the same.

    Returns
    -------
    DataFrame
        Its columns.

    Raises
    ------
    EncodingError
        A column of a type that has none in pandas, by name.
    RBridgeError
        Its parts contradict each other.
    """
    columns = tree.items()
    names: Sequence[Any] = range(len(columns)) if by_place else tree.names
    if "data.frame" not in tree.classes or tree.type != "VEC" or len(names) != len(columns):
        raise RBridgeError(f"{what} is no data frame.")
    if len(set(names)) < len(names):
        twice = sorted({x for x in names if list(names).count(x) > 1})
        raise RBridgeError(f"{what} has columns of one name: {', '.join(map(repr, twice))}.")
    index = _index(tree, what)
    values = {}
    for name, column in zip(names, columns, strict=True):
        series = column_of(column, f"column {name!r} of {what}")
        if len(series) != len(index):
            raise RBridgeError(f"column {name!r} of {what} has not the {len(index)} rows of it.")
        values[name] = series.set_axis(index)
    return pd.DataFrame(values, index=index, copy=False)


def column_of(tree: Tree, what: str) -> pd.Series[Any]:
    """Return a vector as a column.

    Parameters
    ----------
    tree : Tree
        An atomic vector.
    what : str
        What it is, for messages.

    Returns
    -------
    Series
        The values.

    Raises
    ------
    EncodingError
        It is of a type that has none in pandas.
    RBridgeError
        Its parts contradict each other.
    """
    dim = tree.attributes.get("dim")
    if dim is not None and (len(dim) != 2 or int(dim.numbers()[0][1]) != 1):
        raise EncodingError(f"{what} is a matrix: give it as single columns.")
    if tree.type == "STR":
        texts = tree.texts()
        return pd.Series(texts, dtype=object if not any(x is not None for x in texts) else None)
    if tree.type not in ("REAL", "INT", "LGL"):
        raise EncodingError(
            f"{what} is of R's type {tree.r_type}, which pandas has no like of: convert it in R, "
            "or leave it out."
        )
    values, missing = tree.numbers()
    classes = tree.classes
    try:
        if "factor" in classes:
            return _factor(tree, values, missing, what)
        if "Date" in classes:
            return _dates(values, missing, what)
        if "POSIXct" in classes:
            return _instants(tree, values, missing)
    except (OverflowError, ValueError) as error:
        raise RBridgeError(f"{what} can't be right: {error}.") from error
    if "integer64" in classes and tree.type == "REAL":
        values = values.view(np.int64)
        missing = values == np.iinfo(np.int64).min
    if values.dtype.kind == "f":
        # R's NA is a signalling NaN, of which numpy warns in each sum.
        return pd.Series(np.where(np.isnan(values), np.nan, values))
    if tree.type == "LGL":
        return pd.Series(pd.arrays.BooleanArray(values, missing) if missing.any() else values)
    integers = np.where(missing, 0, values).astype(np.int64)
    return pd.Series(pd.arrays.IntegerArray(integers, missing) if missing.any() else integers)


def matrix_of(tree: Tree, what: str) -> pd.DataFrame:
    """Return a matrix of truth values; NA counts as False.

    Parameters
    ----------
    tree : Tree
        A logical matrix.
    what : str
        What it is, for messages.

    Returns
    -------
    DataFrame
        Its columns, by name if they have any.

    Raises
    ------
    RBridgeError
        It is no such matrix.
    """
    dim = tree.attributes.get("dim")
    if dim is None or len(dim) != 2 or tree.type != "LGL":
        raise RBridgeError(f"{what} is no matrix of truth values.")
    rows, columns = (int(x) for x in dim.numbers()[0])
    values, missing = tree.numbers()
    if rows * columns != len(values):
        raise RBridgeError(f"{what} has not the {rows} x {columns} cells that it says.")
    frame = pd.DataFrame((values & ~missing).reshape((rows, columns), order="F"))
    names = tree.attributes.get("dimnames")
    of_columns = [] if names is None else names.items()
    if len(of_columns) == 2 and of_columns[1].type == "STR":
        frame.columns = pd.Index(of_columns[1].texts(), dtype=object)
    return frame


def _index(tree: Tree, what: str) -> pd.Index:
    names = tree.attributes.get("row.names")
    if names is None:
        raise RBridgeError(f"{what} has no row names, and so no rows.")
    if names.type == "STR":
        return pd.Index(names.texts(), dtype=object)
    if names.type not in ("INT", "REAL"):
        raise RBridgeError(f"the row names of {what} are of R's type {names.r_type}.")
    values, missing = names.numbers()
    if len(values) == 2 and (missing[0] or np.isnan(values[0])):
        return pd.RangeIndex(abs(int(values[1])))
    counted = np.array_equal(values, np.arange(1, len(values) + 1))
    return pd.RangeIndex(len(values)) if counted else pd.Index(values.astype(np.int64))


def _factor(
    tree: Tree, values: np.ndarray[Any, Any], missing: np.ndarray[Any, Any], what: str
) -> pd.Series[Any]:
    levels = tree.attributes.get("levels")
    texts: list[str | None] = [] if levels is None else levels.texts()
    if any(x is None for x in texts):
        raise EncodingError(f"{what} is a factor with a level NA: give that level another name.")
    codes = np.where(missing, 0, values).astype(np.int64) - 1
    ordered = "ordered" in tree.classes
    return pd.Series(
        pd.Categorical.from_codes(codes, pd.Index(texts, dtype=object), ordered=ordered)
    )


def _dates(
    values: np.ndarray[Any, Any], missing: np.ndarray[Any, Any], what: str
) -> pd.Series[Any]:
    epoch = dt.date(1970, 1, 1)
    days = np.empty(len(values), dtype=object)
    for i in np.flatnonzero(~missing):
        if values[i] != int(values[i]):
            raise EncodingError(
                f"{what} holds a part of a day, {values[i]!r}: round it, or give it as POSIXct."
            )
        days[i] = epoch + dt.timedelta(days=int(values[i]))
    return pd.Series(days, dtype=object)


def _instants(
    tree: Tree, values: np.ndarray[Any, Any], missing: np.ndarray[Any, Any]
) -> pd.Series[Any]:
    seconds = np.where(missing, 0.0, values.astype(np.float64))
    whole = np.floor(seconds)
    ticks = whole.astype(np.int64) * 10**6 + np.rint((seconds - whole) * 10**6).astype(np.int64)
    if (np.abs(whole) > 2**43).any():
        raise OverflowError("a time that is too far from 1970")
    times = ticks.view("datetime64[us]")
    times[missing] = np.datetime64("NaT")
    series = pd.Series(times)
    zone = tree.attributes.get("tzone")
    name = "" if zone is None else (zone.texts() or [""])[0]
    if name is None or name in _UTC:
        return series
    try:
        return series.dt.tz_localize("UTC").dt.tz_convert(name)
    except Exception as error:  # which one depends on the library of time zones
        raise ValueError(f"there is no time zone {name!r}") from error
