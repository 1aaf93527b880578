"""Where the data sets of one imputation are kept: what they share once, and what differs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd

from ..errors import RBridgeWarning
from .common_dtype import cast
from .on_disk import Filed

__all__ = ["CellStore", "Cells", "FrameStore", "Piece", "RowStore", "Store", "own_copy"]


class Piece(Protocol):
    """The part of one data set that the others don't share."""

    def complete(self, base: pd.DataFrame) -> pd.DataFrame:
        """Return the completed frame, given the one that all share."""
        ...

    def differing_columns(self, base: pd.DataFrame) -> dict[Any, pd.Series[Any]]:
        """Return the columns in which data sets differ."""
        ...


class Store(Protocol):
    """Where the data sets are kept: a frame that all share, and the part of each."""

    @property
    def base(self) -> pd.DataFrame:
        """The frame that all data sets share."""
        ...

    def __len__(self) -> int: ...

    @property
    def differing(self) -> tuple[Any, ...] | None:
        """The columns in which data sets differ; None if their rows do."""
        ...

    def piece(self, i: int) -> Piece:
        """Return the part of the i-th data set that the others don't share."""
        ...


def own_copy(frame: pd.DataFrame) -> pd.DataFrame:
    """Copy a frame, so that changes of it don't reach the copy; pandas 3 copies on change."""
    return frame.copy(deep=_PANDAS < 3)


_PANDAS = int(pd.__version__.split(".")[0])


@dataclass(frozen=True)
class Cells:
    """The cells of one column that imputations fill: rows, and per imputation the values there.

    The dtype is the column's in the completed data sets; it holds what the base has, too.
    """

    rows: np.ndarray[Any, np.dtype[np.int32]]
    values: Sequence[Any]
    dtype: Any


_IN_MEMORY = 64 * 2**20  # bytes of cells that are always kept there


@dataclass(frozen=True)
class CellStore:
    """The frame once, and per imputation only the cells that differ.

    Cells that together are larger than the frame, and than 64 MB, lie in a temporary file.
    """

    base: pd.DataFrame
    cells: Mapping[Any, Cells]
    m: int

    def __post_init__(self) -> None:
        size = sum(part.nbytes for x in self.cells.values() for part in x.values)
        if size <= max(_IN_MEMORY, int(self.base.memory_usage().sum())):
            return
        try:
            filed = {k: replace(x, values=Filed(x.values)) for k, x in self.cells.items()}
        except OSError as error:
            warnings.warn(
                f"the imputed cells ({size / 1e6:.0f} MB) are kept in memory: a temporary file for "
                f"them could not be written ({error}). TMPDIR names another folder.",
                RBridgeWarning,
                stacklevel=4,
            )
        else:
            object.__setattr__(self, "cells", filed)

    def __len__(self) -> int:
        return self.m

    @property
    def differing(self) -> tuple[Any, ...]:
        """The columns whose cells are stored."""
        return tuple(self.cells)

    def piece(self, i: int) -> CellPiece:
        """Return the i-th imputation's cells."""
        return CellPiece({k: (x.rows, x.values[i], x.dtype) for k, x in self.cells.items()})


@dataclass(frozen=True)
class CellPiece:
    """One imputation's cells: per column the rows, the values there, and the column's dtype."""

    cells: Mapping[Any, tuple[np.ndarray[Any, np.dtype[np.int32]], Any, Any]]

    def complete(self, base: pd.DataFrame) -> pd.DataFrame:
        """Return the base, with the cells filled in."""
        frame = own_copy(base)
        for name, column in self.differing_columns(base).items():
            frame[name] = column
        return frame

    def differing_columns(self, base: pd.DataFrame) -> dict[Any, pd.Series[Any]]:
        """Return the columns with stored cells, filled in."""
        columns = {}
        for name, (rows, filled, dtype) in self.cells.items():
            values = cast(base[name], dtype).array.copy()
            values[rows] = filled
            # The dtype is given, since pandas would make text of an object column's text.
            columns[name] = pd.Series(values, base.index, dtype, name, copy=False)
        return columns


@dataclass(frozen=True)
class RowStore:
    """The frame once, and per bootstrap sample the numbers of its rows."""

    base: pd.DataFrame
    rows: tuple[np.ndarray[Any, np.dtype[np.int32]], ...]
    cluster: str | None = None
    labels: tuple[Any, ...] = ()  # with a cluster: the column of new labels, per sample

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def differing(self) -> None:
        """Each sample has other rows."""

    def piece(self, i: int) -> RowPiece:
        """Return the i-th sample's rows."""
        return RowPiece(self.rows[i], self.cluster, self.labels[i] if self.labels else None)


@dataclass(frozen=True)
class RowPiece:
    """One sample: its rows, and the labels of the clusters that they came from."""

    rows: np.ndarray[Any, np.dtype[np.int32]]
    cluster: str | None
    labels: Any

    def complete(self, base: pd.DataFrame) -> pd.DataFrame:
        """Return the rows, under their index labels."""
        frame = base.iloc[self.rows].copy()
        if self.cluster is not None:
            frame[self.cluster] = self.labels
        return frame

    def differing_columns(self, base: pd.DataFrame) -> dict[Any, pd.Series[Any]]:
        """Return every column."""
        return dict(self.complete(base).items())


@dataclass(frozen=True)
class FrameStore:
    """Whole frames, where nothing is shared."""

    frames: tuple[pd.DataFrame, ...]

    @property
    def base(self) -> pd.DataFrame:
        """The columns alone: there is nothing more in common."""
        return self.frames[0].iloc[:0]

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def differing(self) -> None:
        """They may differ in everything."""

    def piece(self, i: int) -> FramePiece:
        """Return the i-th frame."""
        return FramePiece(self.frames[i])


@dataclass(frozen=True)
class FramePiece:
    """One frame."""

    frame: pd.DataFrame

    def complete(self, base: pd.DataFrame) -> pd.DataFrame:
        """Return the frame itself, as a copy."""
        del base
        return own_copy(self.frame)

    def differing_columns(self, base: pd.DataFrame) -> dict[Any, pd.Series[Any]]:
        """Return every column."""
        return dict(self.complete(base).items())
