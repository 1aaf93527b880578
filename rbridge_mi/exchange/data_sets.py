"""What a file of imputations holds: data sets side by side, or all of them under each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

__all__ = ["DataSets", "Stacked", "Table"]


@dataclass(frozen=True)
class Table:
    """One table of a file, before it is known what its rows are.

    Attributes
    ----------
    frame : DataFrame
        Its columns.
    notes : tuple of str
        What was done to them.
    labels : mapping
        What the file says of each column, by its name.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    labels: Mapping[Any, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stacked:
    """Data sets under each other, numbered by the column `imp`, with rows named by `id`.

    Attributes
    ----------
    table : Table
        All data sets.
    imp : str
        The column with the numbers of the data sets, 0 for the data with their holes.
    id : str or None
        The column that tells rows apart; None where their order does.
    method : str
        What the data sets are by, for `ImputedData.method`.
    """

    table: Table
    imp: str
    id: str | None
    method: str


@dataclass(frozen=True)
class DataSets:
    """Completed data sets, and the one with holes where it is known.

    Attributes
    ----------
    frames : sequence of DataFrame
        The completed ones.
    original : DataFrame or None
        The data with their holes.
    method : str
        What they are by, for `ImputedData.method`.
    notes : tuple of str
        What was done to the columns.
    labels : mapping
        What the file says of each column, by its name.
    """

    frames: Sequence[pd.DataFrame]
    original: pd.DataFrame | None
    method: str
    notes: tuple[str, ...] = ()
    labels: Mapping[Any, str] = field(default_factory=dict)
