"""Are two frames the same, value by value, whichever of pandas' types hold the values?"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd


def assert_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Same columns in the same order, same values by their bits, same levels in the same order."""
    assert list(one.columns) == list(other.columns)
    assert len(one) == len(other)
    for name in one.columns:
        assert values_of(one[name]) == values_of(other[name]), name


def values_of(column: pd.Series[Any]) -> Any:
    """A column as plain values that are equal where the cells are."""
    dtype, gone = column.dtype, column.isna().to_numpy()
    if isinstance(dtype, pd.CategoricalDtype):
        cells = [None if x else y for x, y in zip(gone, column.astype(object), strict=True)]
        return cells, list(dtype.categories), bool(dtype.ordered)
    if pd.api.types.is_bool_dtype(dtype):
        return [None if x else bool(y) for x, y in zip(gone, column, strict=True)]
    if pd.api.types.is_integer_dtype(dtype):
        return [None if x else int(y) for x, y in zip(gone, column, strict=True)]
    if pd.api.types.is_float_dtype(dtype):
        bits = column.to_numpy(np.float64, na_value=np.nan).view(np.int64)
        return [None if x else int(y) for x, y in zip(gone, bits, strict=True)]
    if isinstance(dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return [None if x else _plain(y) for x, y in zip(gone, column, strict=True)]


def _plain(value: Any) -> Any:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)
    return str(pd.Timestamp(value)) if isinstance(value, dt.datetime) else value
