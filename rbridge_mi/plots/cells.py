"""The cells of imputed columns: what was observed, and what each imputation put in the holes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import check_columns
from ..data.imputed_data import ImputedData
from ..errors import ArgumentError
from .objects import imputations_of

__all__ = [
    "MOST_CATEGORIES",
    "Cells",
    "as_numbers",
    "cells_of",
    "imputed_columns",
    "in_order",
    "shown_columns",
]

MOST_CATEGORIES = 10  # distinct numbers that are shown as categories


def in_order(values: Iterable[Any]) -> list[Any]:
    """Sort categories by their text, in which "9" comes before "10"."""

    def key(value: Any) -> list[Any]:
        # Text and digits in turns, so that each is compared with its like.
        pieces = re.split(r"([0-9]+)", str(value))
        return [int(x) if i % 2 else x for i, x in enumerate(pieces)]

    return sorted(values, key=key)


@dataclass(frozen=True)
class Cells:
    """One column: its observed values, and the values that each imputation put in its holes.

    Parameters
    ----------
    column : object
        Its name.
    observed : Series
        By the labels of the rows.
    imputed : tuple of Series
        One per imputation.
    """

    column: Any
    observed: pd.Series[Any]
    imputed: tuple[pd.Series[Any], ...]

    @property
    def categories(self) -> list[Any] | None:
        """The categories in their order; None for numbers that are better shown as such."""
        dtype = self.observed.dtype
        if isinstance(dtype, pd.CategoricalDtype):
            return list(dtype.categories)
        values = pd.concat([self.observed, *self.imputed]).dropna().unique()
        if not pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype):
            return in_order(values)
        return sorted(values) if len(values) <= MOST_CATEGORIES else None


def imputed_columns(imp: ImputedData) -> list[Any]:
    """Return the columns that have holes which were imputed."""
    filled = imp.original.isna().to_numpy() & imp[0].notna().to_numpy()
    return list(imp.original.columns[filled.any(axis=0)])


def shown_columns(imp: ImputedData, columns: Any, what: str) -> list[Any]:
    """Return the columns that are shown: those named, or all that were imputed.

    Raises
    ------
    ArgumentError
        A column that isn't there or wasn't imputed.
    """
    imputed = imputed_columns(imp)
    if columns is None:
        if not imputed:
            raise ArgumentError(f"{what}: no cell of these data sets was imputed.")
        return imputed
    several = isinstance(columns, Sequence | pd.Index | np.ndarray) and not isinstance(columns, str)
    names = list(columns) if several and not isinstance(columns, tuple) else [columns]
    if not names:
        raise ArgumentError(f"{what}: columns names no column.")
    check_columns(names, imp.original, "columns")
    whole = [x for x in names if x not in imputed]
    if whole:
        raise ArgumentError(
            f"{what} shows imputed columns, and {', '.join(map(repr, whole))} had no hole that was "
            f"imputed; those that had are {', '.join(map(repr, imputed))}."
        )
    return names


def cells_of(imp: ImputedData, columns: Sequence[Any]) -> list[Cells]:
    """Collect the cells of some columns, in one pass over the data sets."""
    imputations_of(imp, "the plot")
    holes = {x: imp.original[x].isna().to_numpy() for x in columns}
    filled: dict[Any, list[pd.Series[Any]]] = {x: [] for x in columns}
    for frame in imp:
        for name in columns:
            filled[name].append(frame[name][holes[name]])
    return [Cells(x, imp.original[x][~holes[x]], tuple(filled[x])) for x in columns]


def as_numbers(values: pd.Series[Any]) -> NDArray[np.float64]:
    """Return the values as floats, without missing ones."""
    numbers: NDArray[np.float64] = values.dropna().to_numpy(dtype=float)
    return numbers
