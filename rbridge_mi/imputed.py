"""m data sets made of one: stored once, with what differs; completed one at a time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from .arguments import check_frame
from .errors import ArgumentError, RBridgeWarning
from .filed import Filed
from .printed import Printed

__all__ = ["CellStore", "Cells", "FrameStore", "ImputedData", "RowStore"]

Kind = Literal["imputation", "bootstrap"]


class Piece(Protocol):
    """What one data set has of its own."""

    def complete(self, base: pd.DataFrame) -> pd.DataFrame:
        """A frame of its own, from the one that all share."""
        ...

    def own(self, base: pd.DataFrame) -> dict[str, pd.Series[Any]]:
        """Of that frame, the columns in which data sets differ."""
        ...


class Store(Protocol):
    """Where the data sets are: a frame that all share, and what each has of its own."""

    @property
    def base(self) -> pd.DataFrame: ...

    def __len__(self) -> int: ...

    @property
    def differing(self) -> tuple[str, ...] | None:
        """The columns in which data sets differ; None if their rows do."""
        ...

    def piece(self, i: int) -> Piece: ...


def own_copy(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy that changes of the frame don't reach; pandas 3 copies when one is made."""
    return frame.copy(deep=_PANDAS < 3)


_PANDAS = int(pd.__version__.split(".")[0])


@dataclass(frozen=True)
class Cells:
    """The cells of one column that imputations fill: rows, and per imputation the values there."""

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
    cells: Mapping[str, Cells]
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
    def differing(self) -> tuple[str, ...]:
        """The columns that have cells of their own."""
        return tuple(self.cells)

    def piece(self, i: int) -> CellPiece:
        """The i-th imputation's cells."""
        return CellPiece({k: (x.rows, x.values[i], x.dtype) for k, x in self.cells.items()})


@dataclass(frozen=True)
class CellPiece:
    """One imputation's cells: per column the rows, the values there, and the column's dtype."""

    cells: Mapping[str, tuple[np.ndarray[Any, np.dtype[np.int32]], Any, Any]]

    def complete(self, base: pd.DataFrame) -> pd.DataFrame:
        """The base, with the cells filled in."""
        frame = own_copy(base)
        for name, column in self.own(base).items():
            frame[name] = column
        return frame

    def own(self, base: pd.DataFrame) -> dict[str, pd.Series[Any]]:
        """The columns that have cells of their own."""
        columns = {}
        for name, (rows, filled, dtype) in self.cells.items():
            values = base[name].array.astype(dtype)
            values[rows] = filled
            columns[name] = pd.Series(values, index=base.index, name=name, copy=False)
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
        """The i-th sample's rows."""
        return RowPiece(self.rows[i], self.cluster, self.labels[i] if self.labels else None)


@dataclass(frozen=True)
class RowPiece:
    """One sample: its rows, and the labels of the clusters that they came from."""

    rows: np.ndarray[Any, np.dtype[np.int32]]
    cluster: str | None
    labels: Any

    def complete(self, base: pd.DataFrame) -> pd.DataFrame:
        """The rows, under their own index labels."""
        frame = base.iloc[self.rows].copy()
        if self.cluster is not None:
            frame[self.cluster] = self.labels
        return frame

    def own(self, base: pd.DataFrame) -> dict[str, pd.Series[Any]]:
        """Every column."""
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
        """The i-th frame."""
        return FramePiece(self.frames[i])


@dataclass(frozen=True)
class FramePiece:
    """One frame."""

    frame: pd.DataFrame

    def complete(self, base: pd.DataFrame) -> pd.DataFrame:
        """The frame itself, as a copy."""
        del base
        return own_copy(self.frame)

    def own(self, base: pd.DataFrame) -> dict[str, pd.Series[Any]]:
        """Every column."""
        return dict(self.complete(base).items())


@dataclass(frozen=True, eq=False)
class ImputedData(Sequence[pd.DataFrame]):
    """m completed data sets, and what is known of how they were made.

    ``imp[i]`` (or iteration) completes one frame, with the original's dtypes, categories and
    index. The base frame is stored once, with only the cells that differ per imputation; where
    these are larger than the frame, and than 64 MB, they lie in a temporary file (in TMPDIR).

    Attributes
    ----------
    original : DataFrame
        The data with their holes.
    m : int
        Number of data sets, also ``len(imp)``.
    method : str
        What made them, such as "amelia".
    kind : {"imputation", "bootstrap"}
        Bootstrap samples are no imputations: they are pooled by a rule of their own.
    seed : int or None
        What ``set.seed`` was given.
    settings : mapping
        The arguments of the method, under R's names.
    warnings : tuple of str
        What R warned of meanwhile.
    notes : tuple of str
        Columns whose dtype had to change.

    Examples
    --------
    >>> frame = pd.DataFrame({"x": [1.0, None], "y": [1, 2]})
    >>> imp = ImputedData.from_frames([frame.fillna(5.0), frame.fillna(6.0)], original=frame)
    >>> imp.m, float(imp[1].loc[1, "x"])
    (2, 6.0)
    """

    original: pd.DataFrame
    store: Store = field(repr=False)
    method: str
    kind: Kind = "imputation"
    seed: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    message: str = ""
    chain_lengths: tuple[int, ...] = ()

    # -- a sequence of frames ---------------------------------------------------------------

    @property
    def m(self) -> int:
        """Number of data sets."""
        return len(self.store)

    def __len__(self) -> int:
        return self.m

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            raise TypeError("ImputedData takes one number; use [imp[i] for i in ...] for several")
        if not -self.m <= i < self.m:
            raise IndexError(f"imputation {i} of {self.m}: numbers go from 0 to {self.m - 1}")
        return self.store.piece(i % self.m).complete(self.store.base)

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return (self[i] for i in range(self.m))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ImputedData):
            return NotImplemented
        return (
            (self.m, self.kind) == (other.m, other.kind)
            and self.original.equals(other.original)
            and all(a.equals(b) for a, b in zip(self, other, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]

    # -- made from frames ---------------------------------------------------------------------

    @classmethod
    def from_frames(
        cls,
        frames: Sequence[pd.DataFrame],
        original: pd.DataFrame | None = None,
        *,
        kind: Kind = "imputation",
        method: str = "frames",
    ) -> ImputedData:
        """Data sets that were imputed elsewhere.

        Parameters
        ----------
        frames : sequence of DataFrame
            The completed data sets: the same rows (index) and columns in each.
        original : DataFrame, optional
            The data with their holes. Without it, a cell that differs between the frames counts
            as having been missing.
        kind : {"imputation", "bootstrap"}
            Bootstrap samples may differ in their rows.
        method : str
            A name for what made them.
        """
        frames = [check_frame(frame, f"frames[{i}]") for i, frame in enumerate(frames)]
        if not frames:
            raise ArgumentError("frames is empty: give at least one completed data set.")
        if kind == "bootstrap":
            base = frames[0] if original is None else original
            return cls(own_copy(base), FrameStore(tuple(map(own_copy, frames))), method, kind)
        for i, frame in enumerate(frames[1:], start=1):
            if not frame.columns.equals(frames[0].columns):
                raise ArgumentError(f"frames[{i}] has other columns than frames[0].")
            if not frame.index.equals(frames[0].index):
                raise ArgumentError(f"frames[{i}] has other rows (index) than frames[0].")
        if original is None:
            base = _holes_where_different(frames)
        else:
            base = _like(check_frame(original, "original"), frames[0])
        cells = {
            str(name): found
            for name in frames[0].columns
            if (found := _differing(base[name], [x[name] for x in frames])) is not None
        }
        return cls(
            own_copy(base if original is None else original),
            CellStore(own_copy(base), cells, len(frames)),
            method,
        )

    def transform(self, f: Callable[[pd.DataFrame], pd.DataFrame]) -> ImputedData:
        """`f` applied to every completed data set: how derived columns stay true to imputed ones.

        Parameters
        ----------
        f : callable
            Takes a frame, returns a frame with the same rows.

        Examples
        --------
        >>> frame = pd.DataFrame({"g": ["a", "a"], "x": [1.0, None]})
        >>> imp = ImputedData.from_frames([frame.fillna(3.0), frame.fillna(5.0)], original=frame)
        >>> means = imp.transform(lambda d: d.assign(xbar=d.groupby("g").x.transform("mean")))
        >>> means[1].xbar.tolist()
        [3.0, 3.0]
        """
        frames = [
            check_frame(f(frame), f"what f gave for imputation {i}")
            for i, frame in enumerate(self, start=1)
        ]
        made = ImputedData.from_frames(
            frames,
            f(self.original.copy()) if self.kind == "imputation" else self.original,
            kind=self.kind,
            method=self.method,
        )
        return self._with(original=made.original, store=made.store)

    def assign(self, **columns: Any) -> ImputedData:
        """Columns added to every completed data set, as ``DataFrame.assign`` adds them."""
        return self.transform(lambda frame: frame.assign(**columns))

    def _with(self, **changes: Any) -> ImputedData:
        return replace(self, **changes)

    # -- long form -------------------------------------------------------------------------

    def to_long(self, include: bool = False) -> pd.DataFrame:
        """All data sets under each other, as ``mice::complete(imp, action = "long")``.

        Parameters
        ----------
        include : bool
            Put the data with their holes first, as ``.imp`` 0.

        Returns
        -------
        DataFrame
            ``.imp`` (from 1), ``.id`` (the row's label; from 1 where the index is a plain range),
            and the columns.
        """
        frames = ([self.original] if include else []) + list(self)
        parts = []
        for i, frame in enumerate(frames, start=0 if include else 1):
            part = frame.copy()
            plain = isinstance(frame.index, pd.RangeIndex)
            part.insert(0, ".imp", i)
            part.insert(1, ".id", np.arange(1, len(frame) + 1) if plain else frame.index)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    @classmethod
    def from_long(
        cls, long: pd.DataFrame, *, kind: Kind = "imputation", method: str = "long"
    ) -> ImputedData:
        """The inverse of `to_long`: ``.imp`` 0, where present, is the data with their holes."""
        check_frame(long, "long")
        for name in (".imp", ".id"):
            if name not in long.columns:
                raise ArgumentError(
                    f"long has no column {name!r}: it numbers the data sets and rows."
                )
        parts: dict[int, pd.DataFrame] = {}
        for number, part in long.groupby(".imp", sort=True):
            ids = part[".id"].to_numpy()
            frame = part.drop(columns=[".imp", ".id"])
            plain = np.array_equal(ids, np.arange(1, len(part) + 1))
            frame.index = pd.RangeIndex(len(part)) if plain else pd.Index(ids)
            parts[int(str(number))] = frame
        original = parts.pop(0, None)
        return cls.from_frames(list(parts.values()), original, kind=kind, method=method)

    # -- what is missing -------------------------------------------------------------------

    def missing(self) -> pd.Series[Any]:
        """Fraction of each column's cells that were missing, by column name."""
        return self.original.isna().mean().rename("fraction_missing")

    def patterns(self) -> pd.DataFrame:
        """Patterns of missingness, the most frequent first.

        Returns
        -------
        DataFrame
            One row per pattern, True where the column is missing; the index counts its rows.
        """
        holes = self.original.isna()
        counts = holes.value_counts(sort=True)
        frame = counts.index.to_frame(index=False)
        frame.index = pd.Index(counts.to_numpy(), name="n_rows")
        return frame

    def summary(self) -> Printed:
        """What ``summary(amelia)`` says, and any column whose dtype changed."""
        holes = self.original.isna()
        complete = int((~holes.any(axis=1)).sum())
        kind = "imputed" if self.kind == "imputation" else "bootstrap"
        lines = [f"{self.method}: {self.m} {kind} data sets, seed {self.seed}"]
        if self.message:
            lines += [f"Message: {self.message}"]
        if self.chain_lengths:
            lines += ["", "Chain lengths:"]
            lines += [f"  Imputation {i}: {n}" for i, n in enumerate(self.chain_lengths, start=1)]
        lines += ["", f"Rows: {len(self.original)}", f"Rows after listwise deletion: {complete}"]
        if self.kind == "imputation":
            lines += [f"Rows after imputation: {int((~self[0].isna().any(axis=1)).sum())}"]
        else:
            lines += _sampled(self.settings)
        lines += [
            f"Patterns of missingness: {len(self.patterns())}",
            "",
            "Fraction missing for original variables:",
        ]
        width = max(len(str(x)) for x in self.original.columns)
        lines += [f"  {name!s:<{width}}  {part:.4f}" for name, part in self.missing().items()]
        for title, texts in (("Notes", self.notes), ("Warnings from R", self.warnings)):
            if texts:
                lines += ["", f"{title}:", *(f"  {x}" for x in texts)]
        return Printed.of(lines)

    def __repr__(self) -> str:
        rows, columns = self.original.shape
        size = f"m={self.m}, {rows} rows x {columns} columns"
        return f"<ImputedData: {self.method}, {size}, seed={self.seed}>"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def _sampled(settings: Mapping[str, Any]) -> list[str]:
    """What bootstrap samples are samples of."""
    cluster = settings.get("cluster")
    if cluster is not None:
        return [
            f"Each data set is a sample of whole groups of {cluster}, with replacement; its holes "
            "stay holes."
        ]
    lines = ["Each data set is a sample of the rows with replacement; its holes stay holes."]
    if "cluster" in settings:
        lines += [
            "For a model with groups draw whole groups (cluster=): of single rows the variance "
            "between groups comes out far too large."
        ]
    return lines


def _like(original: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """The data with their holes, with the completed frames' rows and columns."""
    if not original.index.equals(frame.index):
        raise ArgumentError("original has other rows (index) than the completed frames.")
    missing = [x for x in frame.columns if x not in original.columns]
    if missing:
        raise ArgumentError(f"original lacks the columns {missing} of the completed frames.")
    return original[list(frame.columns)].copy()


def _holes_where_different(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    base = frames[0].copy()
    for name in base.columns:
        found = _differing(base[name], [x[name] for x in frames])
        if found is None:
            continue
        column = base[name]
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iu":
            column = column.astype("Int64")
        elif column.dtype == bool:
            column = column.astype("boolean")
        mask = np.zeros(len(base), dtype=bool)
        mask[found.rows] = True
        base[name] = column.mask(mask)
    return base


def _differing(base: pd.Series[Any], columns: Sequence[pd.Series[Any]]) -> Cells | None:
    """The cells in which any of the columns isn't what the base has."""
    dtype = columns[0].dtype
    hole = base.isna().to_numpy()
    changed = np.zeros(len(base), dtype=bool)
    for column in columns:
        gone = column.isna().to_numpy()
        unequal = (column.astype(object) != base.astype(object)).to_numpy(dtype=bool, na_value=True)
        changed |= (gone != hole) | (~gone & ~hole & unequal)
    if not changed.any() and dtype == base.dtype:
        return None
    rows = np.flatnonzero(changed).astype(np.int32)
    return Cells(rows, tuple(x.array[rows] for x in columns), dtype)
