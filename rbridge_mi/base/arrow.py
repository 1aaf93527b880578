"""Columns that Arrow holds, as pandas' own."""

from __future__ import annotations

from typing import Any

import pandas as pd

__all__ = ["masked_integers"]


def masked_integers(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return Arrow's integers as pandas' masked ones, exactly.

    ``astype("Int64")`` rounds those below -2**53 to doubles if others are missing (pandas 3.1).

    Parameters
    ----------
    column : Series
        Of an ArrowDtype of integers.

    Returns
    -------
    Series
        Int8 to Int64, UInt8 to UInt64, with the same index and name.

    Examples
    --------
    >>> import pandas as pd
    >>> import pyarrow as pa
    >>> column = pd.Series([-(2**53) - 1, 0, None], dtype=pd.ArrowDtype(pa.int64()))
    >>> masked_integers(column).tolist()
    [-9007199254740993, 0, <NA>]
    """
    values = column.array.to_numpy(dtype=column.dtype.numpy_dtype, na_value=0)
    masked = pd.arrays.IntegerArray(values, column.isna().to_numpy())
    return pd.Series(masked, index=column.index, name=column.name)
