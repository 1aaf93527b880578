"""The vignette's data, and holes to punch into data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from . import rdoor
from .base.arguments import check_columns, check_frame, check_seed, column_list
from .errors import ArgumentError

__all__ = ["ampute", "load_hsb"]


def load_hsb() -> pd.DataFrame:
    """Load the High School and Beyond data: 7185 pupils in 160 schools.

    Equal to ``data(hsb, package = "merTools")`` in R, but put together from
    ``nlme::MathAchieve`` and ``nlme::MathAchSchool``, which come with lme4.

    Returns
    -------
    DataFrame, 7185 x 8
        schid (text), minority, female (0/1), ses (standardized), mathach (test score), size
        (pupils in the school), schtype (1 = Catholic), meanses (the school's mean ses).

    See Also
    --------
    ampute : Holes for such data.

    References
    ----------
    Raudenbush and Bryk (2002), Hierarchical Linear Models, 2nd ed., chapter 4.

    Examples
    --------
    >>> load_hsb().shape
    (7185, 8)
    """
    frame: pd.DataFrame = rdoor.call("load_hsb").value
    return frame


def ampute(
    data: pd.DataFrame,
    prop: float = 0.05,
    columns: str | Sequence[str] | None = None,
    seed: int | None = None,
) -> pd.DataFrame:
    """Copy data, with values missing completely at random.

    Parameters
    ----------
    data : DataFrame
    prop : float in [0, 1)
        Fraction of each column's cells to remove; of n cells exactly ``round(prop * n)``.
    columns : str or list of str, optional
        Where to remove; all columns by default. Each column's rows are drawn separately.
    seed : int, optional
        Seed of numpy's generator (this is not an R call).

    Returns
    -------
    DataFrame
        numpy integers become ``Int64`` and numpy booleans ``boolean``, which can hold a missing
        value; every other dtype is kept.

    Raises
    ------
    ArgumentError
        A column that isn't there, or a fraction that can't be right.

    See Also
    --------
    load_hsb : Data to remove cells from.

    Examples
    --------
    >>> frame = pd.DataFrame({"x": range(10), "y": 1.5})
    >>> int(ampute(frame, prop=0.2, columns="x", seed=1)["x"].isna().sum())
    2
    """
    frame = check_frame(data).copy()
    names = list(frame.columns) if columns is None else column_list(columns, "columns")
    check_columns(names, frame, "columns")
    if isinstance(prop, bool) or not isinstance(prop, int | float) or not 0 <= prop < 1:
        raise ArgumentError(
            f"prop must be a number from 0 up to, but not including, 1, not {prop!r}."
        )
    generator = np.random.default_rng(abs(check_seed(seed)))
    count = round(prop * len(frame))
    for name in names:
        rows = generator.choice(len(frame), size=count, replace=False)
        frame[name] = _with_holes(frame[name], rows)
    return frame


def _with_holes(column: pd.Series[Any], rows: np.ndarray[Any, Any]) -> pd.Series[Any]:
    kind = column.dtype.kind if isinstance(column.dtype, np.dtype) else ""
    if kind in "iu" and kind:
        column = column.astype(
            pd.array(
                [], dtype=column.dtype.name.replace("int", "Int").replace("uInt", "UInt")
            ).dtype
        )
    elif kind == "b":
        column = column.astype("boolean")
    mask = np.zeros(len(column), dtype=bool)
    mask[rows] = True
    return column.mask(mask)
