"""m data sets made of one: stored once, with what differs; completed one at a time."""

from __future__ import annotations

import operator
import reprlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from ..base.arguments import check_frame
from ..base.text import Printed
from ..errors import ArgumentError, RBridgeError, RBridgeWarning
from .common_dtype import cast, common_dtype, described, differs, nullable, same_dtype
from .long_form import ID, IMP, row_ids, split_long
from .on_disk import Filed

__all__ = ["CellStore", "Cells", "FrameStore", "ImputedData", "RowStore"]

Kind = Literal["imputation", "bootstrap"]


class Piece(Protocol):
    """What one data set has of its own."""

    def complete(self, base: pd.DataFrame) -> pd.DataFrame:
        """A frame of its own, from the one that all share."""
        ...

    def own(self, base: pd.DataFrame) -> dict[Any, pd.Series[Any]]:
        """Of that frame, the columns in which data sets differ."""
        ...


class Store(Protocol):
    """Where the data sets are: a frame that all share, and what each has of its own."""

    @property
    def base(self) -> pd.DataFrame: ...

    def __len__(self) -> int: ...

    @property
    def differing(self) -> tuple[Any, ...] | None:
        """The columns in which data sets differ; None if their rows do."""
        ...

    def piece(self, i: int) -> Piece: ...


_NOT_A_NUMBER = (
    "imp[i] is the i-th of the {m} data sets, a DataFrame, and i a whole number from 0 to {last}, "
    "not {0}. A column of one data set is imp[0][name], of each [d[name] for d in imp], with its "
    "holes imp.original[name]; some of the data sets are [imp[i] for i in ...]."
)


def own_copy(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy that changes of the frame don't reach; pandas 3 copies when one is made."""
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
        """The columns that have cells of their own."""
        return tuple(self.cells)

    def piece(self, i: int) -> CellPiece:
        """The i-th imputation's cells."""
        return CellPiece({k: (x.rows, x.values[i], x.dtype) for k, x in self.cells.items()})


@dataclass(frozen=True)
class CellPiece:
    """One imputation's cells: per column the rows, the values there, and the column's dtype."""

    cells: Mapping[Any, tuple[np.ndarray[Any, np.dtype[np.int32]], Any, Any]]

    def complete(self, base: pd.DataFrame) -> pd.DataFrame:
        """The base, with the cells filled in."""
        frame = own_copy(base)
        for name, column in self.own(base).items():
            frame[name] = column
        return frame

    def own(self, base: pd.DataFrame) -> dict[Any, pd.Series[Any]]:
        """The columns that have cells of their own."""
        columns = {}
        for name, (rows, filled, dtype) in self.cells.items():
            values = cast(base[name], dtype).array.copy()
            values[rows] = filled
            # The dtype is said, since pandas would make text of an object column's text.
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

    def own(self, base: pd.DataFrame) -> dict[Any, pd.Series[Any]]:
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

    def own(self, base: pd.DataFrame) -> dict[Any, pd.Series[Any]]:
        """Every column."""
        return dict(self.complete(base).items())


@dataclass(frozen=True, eq=False)
class ImputedData(Sequence[pd.DataFrame]):
    """m completed data sets, and what is known of how they were made.

    ``imp[i]`` (or iteration) completes one frame. Each column has one dtype, which holds its
    values in every data set. The base frame is stored once, with only the cells that differ per
    imputation; where these are larger than the frame, and than 64 MB, they lie in a temporary file
    (in TMPDIR).

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
        try:
            if isinstance(i, bool):
                raise TypeError
            i = operator.index(i)
        except TypeError:
            words = _NOT_A_NUMBER.format(reprlib.repr(i), m=self.m, last=self.m - 1)
            raise TypeError(words) from None
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
            The completed data sets: the same rows (index) and columns in each. Where a column's
            dtypes differ, it gets one that holds the values of all of them (float for int and
            float, nullable where holes remain, the union of categories), and `notes` says so.
        original : DataFrame, optional
            The data with their holes. Without it, a cell that differs between the frames counts
            as having been missing.
        kind : {"imputation", "bootstrap"}
            Bootstrap samples may differ in their rows.
        method : str
            A name for what made them.

        Raises
        ------
        ArgumentError
            The frames don't match, or no dtype holds a column's values in two of them (booleans
            and numbers, categories of another order, times with and without a zone, ...).
        """
        frames = [check_frame(frame, f"frames[{i}]") for i, frame in enumerate(frames)]
        if not frames:
            raise ArgumentError("frames is empty: give at least one completed data set.")
        if original is not None:
            check_frame(original, "original")
        names = [f"frames[{i}]" for i in range(len(frames))]
        return cls._made(frames, original, names, kind, method)

    @classmethod
    def _made(
        cls,
        frames: Sequence[pd.DataFrame],
        original: pd.DataFrame | None,
        names: Sequence[str],
        kind: Kind,
        method: str,
    ) -> ImputedData:
        """`from_frames`, with the names that messages call the frames by."""
        for name, frame in zip(names, frames, strict=True):
            if not frame.columns.equals(frames[0].columns):
                raise ArgumentError(f"{name} has other columns than {names[0]}.")
            if kind == "imputation" and not frame.index.equals(frames[0].index):
                raise ArgumentError(f"{name} has other rows (index) than {names[0]}.")
        if kind == "bootstrap":
            base = frames[0] if original is None else original
            return cls(own_copy(base), FrameStore(tuple(map(own_copy, frames))), method, kind)
        holes = own_copy(frames[0]) if original is None else own_copy(original)
        base = own_copy(frames[0]) if original is None else _like(original, frames[0])
        cells, notes = {}, []
        for name in frames[0].columns:
            given = None if original is None else base[name]
            column, found, note = _joined(name, [x[name] for x in frames], given)
            if column is not given:
                base[name] = column
            if found is not None:
                cells[name] = found
            if note is not None:
                notes.append(note)
            if found is not None and original is None:
                holes[name] = _holed(column, found.rows)
                if same_dtype(holes[name].dtype, found.dtype):
                    base[name] = holes[name]
        store = CellStore(base, cells, len(frames))
        return cls(holes, store, method, notes=tuple(notes))

    def transform(self, f: Callable[[pd.DataFrame], pd.DataFrame]) -> ImputedData:
        """`f` applied to every completed data set: how derived columns stay true to imputed ones.

        It is applied to the data with their holes too. If it stops there, as `astype(int)` does
        at a missing value, a derived cell counts as having been missing where it differs between
        the data sets.

        Parameters
        ----------
        f : callable
            Takes a frame, returns a frame with the same rows.

        Raises
        ------
        ArgumentError
            `f` gave no frame, or the frames that it gave don't match; see `from_frames`. The
            intervals of ``pd.qcut``, say, differ between data sets, and are no categories of one
            column: name them (``labels=[...]``), or cut each data set at the same places.

        Examples
        --------
        >>> frame = pd.DataFrame({"g": ["a", "a"], "x": [1.0, None]})
        >>> imp = ImputedData.from_frames([frame.fillna(3.0), frame.fillna(5.0)], original=frame)
        >>> means = imp.transform(lambda d: d.assign(xbar=d.groupby("g").x.transform("mean")))
        >>> means[1].xbar.tolist()
        [3.0, 3.0]
        """
        names = [f"what f gave for imputation {i}" for i in range(1, self.m + 1)]
        frames = [_result(f(x), name) for x, name in zip(self, names, strict=True)]
        original: pd.DataFrame | None = self.original
        notes = self.notes
        if self.kind == "imputation":
            try:
                original = _result(f(self.original.copy()), "what f gave for the data with holes")
            except RBridgeError:
                raise
            except Exception as error:  # it is the user's function, which may raise anything
                original = None
                notes += (
                    "the data with their holes are derived from the data sets, since f stopped at "
                    f"them ({type(error).__name__}: {error})",
                )
        made = ImputedData._made(frames, original, names, self.kind, self.method)
        if original is None:
            original = self._known_before(frames, made.original)
            made = replace(made, original=original)
        notes = tuple(dict.fromkeys((*notes, *made.notes)))
        return replace(self, original=made.original, store=made.store, notes=notes)

    def _known_before(self, frames: Sequence[pd.DataFrame], derived: pd.DataFrame) -> pd.DataFrame:
        """The data with their holes, as far as f left their columns as they are."""
        found = own_copy(derived)
        if not self.original.index.equals(found.index):
            return found
        for name in found.columns.intersection(self.original.columns, sort=False):
            if all(x[name].equals(mine[name]) for x, mine in zip(frames, self, strict=True)):
                found[name] = self.original[name]
        return found

    def assign(self, **columns: Any) -> ImputedData:
        """Columns added to every completed data set, as ``DataFrame.assign`` adds them."""
        return self.transform(lambda frame: frame.assign(**columns))

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
            ``.imp`` (from 1), ``.id`` (see below), and the columns.

        Raises
        ------
        ArgumentError
            The data have a column ``.imp`` or ``.id`` of their own, or, with `include`, no dtype
            holds a column's values with and without its holes.

        Notes
        -----
        ``.id`` counts the rows from 1 where the index is the one that pandas gives by itself (0,
        1, ...), and is the row's label otherwise. Labels that could be taken for such row numbers
        (an index 1, 2, ..., n) have pandas' nullable dtype Int64, by which `from_long` knows them
        again; a CSV file doesn't keep that. The labels of several levels are tuples. Names of the
        index are not kept.
        """
        taken = [x for x in (IMP, ID) if x in list(self.original.columns)]
        if taken:
            raise ArgumentError(
                f"the data have a column {', '.join(map(repr, taken))}, a name that the long form "
                "needs for itself: rename it, `imp.transform(lambda d: d.rename(columns={...}))`."
            )
        frames = dict(enumerate(self, start=1))
        if include:
            frames = {0: _columns_of(self.original, frames[1]), **frames}
        who = {i: f"imputation {i}" if i else "the data with their holes" for i in frames}
        indexes = [x.index for x in frames.values()]
        columns: dict[Any, Any] = {
            IMP: np.repeat(list(frames), [len(x) for x in indexes]),
            ID: row_ids(self.original.index, indexes, whole=self.kind == "imputation"),
        }
        for name in next(iter(frames.values())).columns:
            parts = {who[i]: x[name] for i, x in frames.items()}
            dtype = common_dtype(name, parts)
            columns[name] = pd.concat([cast(x, dtype) for x in parts.values()], ignore_index=True)
        long = pd.DataFrame(dict(enumerate(columns.values())), copy=False)
        long.columns = pd.Index(list(columns), tupleize_cols=False)
        return long

    @classmethod
    def from_long(
        cls, long: pd.DataFrame, *, kind: Kind = "imputation", method: str = "long"
    ) -> ImputedData:
        """The inverse of `to_long`, and of ``mice::complete(imp, action = "long")``.

        Parameters
        ----------
        long : DataFrame
            ``.imp`` numbers the data sets: whole numbers, or the text of such; 0, where present, is
            the data with their holes. ``.id`` names the rows, each once in a data set. Rows may
            come in any order: each data set gets that of ``.imp`` 0, or else of the first one. Row
            numbers 1, 2, ..., n are put in order, and become the index 0, 1, ..., n - 1; any other
            ``.id`` becomes the index as it is (see `to_long`).
        kind : {"imputation", "bootstrap"}
            In bootstrap samples rows may be repeated or absent, and keep their order.
        method : str
            A name for what made them.

        Raises
        ------
        ArgumentError
            ``.imp`` or ``.id`` is absent or can't be right, or the data sets have other rows.
        """
        check_frame(long, "long")
        parts = split_long(long, whole=kind == "imputation")
        original = parts.pop(0, None)
        if not parts:
            raise ArgumentError("long holds no data set but the one with holes (.imp 0).")
        names = [f"imputation {i}" for i in parts]
        return cls._made(list(parts.values()), original, names, kind, method)

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
    return _columns_of(original, frame)


def _columns_of(original: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame's columns of the original; one that was made later has no value there."""
    positions = original.columns.get_indexer(frame.columns)
    if (positions >= 0).all():
        return own_copy(original.iloc[:, positions])
    return original.reindex(columns=frame.columns)


def _joined(
    name: Any, columns: Sequence[pd.Series[Any]], given: pd.Series[Any] | None
) -> tuple[pd.Series[Any], Cells | None, str | None]:
    """What the data sets share of a column, the cells in which they differ, and a note.

    What they share is the column with its holes, if that has their dtype; else it is the first
    data set's.
    """
    dtype = common_dtype(name, {f"imputation {i}": x for i, x in enumerate(columns, 1)}, given)
    shared = columns[0] if given is None or not same_dtype(given.dtype, dtype) else given
    shared = cast(shared, dtype)
    changed = np.zeros(len(shared), dtype=bool)
    for column in columns:
        changed |= differs(shared, cast(column, dtype))
    found = None
    if changed.any():
        rows = np.flatnonzero(changed).astype(np.int32)
        found = Cells(rows, tuple(cast(x, dtype).array[rows] for x in columns), dtype)
    note = None
    if not all(same_dtype(x.dtype, dtype) for x in columns):
        note = f"{name}: {described([x.dtype for x in columns], dtype)}, for all data sets"
    return shared, found, note


def _holed(column: pd.Series[Any], rows: np.ndarray[Any, Any]) -> pd.Series[Any]:
    """The column with holes, in a dtype that has room for them."""
    hole = np.zeros(len(column), dtype=bool)
    hole[rows] = True
    return nullable(column).mask(hole)


def _result(made: Any, name: str) -> pd.DataFrame:
    if made is None:
        raise ArgumentError(
            f"{name} is None: f must return the frame (a function that changes it in place needs "
            "`return d` at its end)."
        )
    return check_frame(made, name)
