"""An order of a frame's rows that hangs on what they hold, and not on where they stand."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from .columns import Groups

__all__ = ["by_first_row", "order_of_rows"]

Array: TypeAlias = np.ndarray[Any, Any]


def order_of_rows(data: pd.DataFrame) -> Groups:
    """Return the positions of the rows in an order that is the same however the rows are shuffled.

    Rows are sorted by the column with the most different values, then by the one with the next
    most, and so on: labels of groups, which few rows share, decide only where the other columns
    are the same. Rows that hold the same in all columns stay as they are.

    Parameters
    ----------
    data : DataFrame
        With holes.

    Returns
    -------
    array of int, shape (rows,)
        The row of the frame that stands at each place.

    Examples
    --------
    >>> order_of_rows(pd.DataFrame({"g": ["b", "a", "a"], "x": [3.0, 1.0, 2.0]})).tolist()
    [1, 2, 0]
    """
    keys = [_ranks(data[name]) for name in data.columns]
    keys.sort(key=lambda x: -int(x.max(initial=-1)))
    order: Groups = np.lexsort(keys[::-1]).astype(np.intp)
    return order


def _ranks(column: Any) -> Array:
    """Return each cell's place among the different values of its column; holes share one."""
    values = column
    if isinstance(column.dtype, pd.CategoricalDtype):
        values = np.asarray(column.cat.codes)
    elif pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_numeric_dtype(column.dtype):
        if not pd.api.types.is_complex_dtype(column.dtype):
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        values = column.astype(object).where(column.notna(), None).map(str)
    return np.unique(np.asarray(values), return_inverse=True)[1]


def by_first_row(codes: Array) -> Groups:
    """Give groups numbers from 0 in the order of their first rows, whatever they had before.

    Parameters
    ----------
    codes : array of int, shape (rows,)

    Returns
    -------
    array of int, shape (rows,)
        The number of each row's group.

    Examples
    --------
    >>> by_first_row(np.array([7, 3, 7, 0])).tolist()
    [0, 1, 0, 2]
    """
    numbers: Groups = pd.factorize(np.asarray(codes))[0].astype(np.intp)
    return numbers
