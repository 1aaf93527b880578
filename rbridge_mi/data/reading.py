"""`read_imputed`: data sets that another program imputed, from its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ..base.arguments import check_columns, check_frame
from ..base.paths import is_path, readable_file
from ..errors import ArgumentError
from ..exchange.data_sets import DataSets, Stacked, Table
from ..exchange.files import format_of
from ..exchange.r_imputations import read_r
from ..exchange.spss import IMPUTATION, read_spss
from ..exchange.stata import read_stata
from ..exchange.tables import read_arrow, read_csv
from ..exchange.trusted import Trust, check_trust
from .imputed_data import ImputedData
from .merging import check_known_cells

__all__ = ["read_imputed"]

# What programs call the columns that number data sets and rows; of the second, there may be none.
_NAMES = (
    (".imp", ".id"),
    ("_mi_m", "_mi_id"),
    ("_mj", "_mi"),
    (IMPUTATION, "id_"),
    ("imp_", "id_"),
)
_OPTIONAL_ID = (IMPUTATION, ".imp")


def read_imputed(
    path: Any,
    format: str | None = None,
    imp: str | None = None,
    id: str | None = None,
    *,
    original: Any = None,
    value_labels: bool = True,
    trust: Trust = False,
) -> ImputedData:
    """Read data sets that were imputed elsewhere, from one file or from one for each.

    Nothing in a file is executed: R's files are read without R (by the package rdata), unless
    `trust` says otherwise.

    Parameters
    ----------
    path : path or list of paths
        One file that holds all data sets, or the completed data sets' files, in order. Files may
        be packed by gzip.
    format : {"csv", "parquet", "feather", "stata", "spss", "r"}, optional
        Without it, the end of each file's name says it: .csv and .tsv; .parquet; .feather; .dta;
        .sav and .zsav; .rds, .rda and .RData.
    imp : str, optional
        In one table of all data sets: the column that numbers them, 0 for the data with their
        holes. Without it, one of ``.imp`` (mice), ``_mi_m``, ``_mj`` (Stata), ``Imputation_``
        (SPSS), ``imp_`` (`ImputedData.to_stata`).
    id : str, optional
        The column that tells rows apart. Without it, the one that goes with `imp` (``.id``,
        ``_mi_id``, ``_mi``, ``id_``); where there is none, rows are told by their places, and what
        is known in the data with their holes must be the same in each data set.
    original : path, optional
        With a list of files, or one without it: the file of the data with their holes.
    value_labels : bool
        Make categories of Stata's and SPSS's numbers that all have labels; False keeps numbers.
    trust : bool or "despite CVE-2024-27322"
        Let R itself read its file: for what rdata can't read, and only where you trust whoever
        made the file, as any R object may hold code. R before 4.4 runs code that a file holds
        while it reads it (CVE-2024-27322), so it is refused there, unless you say so.

    Returns
    -------
    ImputedData
        ``imp[i]`` is what the program itself gives as its i-th completed data set. `method` says
        where it is from. What the file says of its columns is in ``settings["labels"]``.

    Raises
    ------
    ArgumentError
        The columns `imp` and `id` can't be told or can't be right, data sets don't match, or an
        object is none that holds imputations.
    MissingPathError
        There is no such file.
    RBridgeError
        A file is damaged or of another kind.
    MissingExtraError
        pyreadstat, rdata or pyarrow isn't installed.

    See Also
    --------
    ImputedData.from_long : The same from a frame.
    ImputedData.from_frames : From frames of single data sets.
    ImputedData.to_r : Writes such files for R.
    ImputedData.to_stata : Writes one for Stata.
    ImputedData.to_spss : Writes one for SPSS.

    Notes
    -----
    Stata: ``mi`` data in the styles flong, mlong and wide, files of flongsep as a list, and ice's
    (``_mj``, ``_mi``). Values are missing whether they are ``.`` or ``.a`` to ``.z``.

    SPSS: user-missing values are missing.

    R: objects of class mids (in R: ``mice::complete(x, i)``), amelia (``x$imputations``), mira (of
    its models, the frames), mitml.list, mild, imputationList, and other lists of data frames; of
    an .rda file, the one object in it. Row names that count the rows become pandas' index from 0.

    CSV: a comma (in .tsv a tab) between cells; empty cells, NA, NaN and a lone point are missing.
    For others, ``pd.read_csv`` and `ImputedData.from_long`.

    Examples
    --------
    >>> import tempfile
    >>> import rbridge_mi as rb
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = folder.name + "/long.csv"
    >>> frame = pd.DataFrame({".imp": [0, 1, 2], ".id": [1, 1, 1], "x": [None, 0.1, 0.3]})
    >>> frame.to_csv(path, index=False)
    >>> imp = rb.read_imputed(path)
    >>> imp.m, imp[1]["x"].tolist(), imp.missing()["x"].item()
    (2, [0.3], 1.0)
    >>> folder.cleanup()
    """
    if not isinstance(value_labels, bool):
        raise ArgumentError(f"value_labels must be True or False, not {value_labels!r}.")
    check_trust(trust)
    read = _Reader(format, id, value_labels, trust)
    holes = None if original is None else read.one(original)
    if is_path(path):
        return read.all_of(readable_file(path), imp, holes)
    if not isinstance(path, Sequence) or isinstance(path, bytes) or not path:
        raise ArgumentError(
            f"path must be the path of a file or a list of paths, not {type(path).__name__}"
            f"{' without any' if isinstance(path, Sequence) else ''}."
        )
    if imp is not None:
        raise ArgumentError(
            "imp names the column that numbers data sets in one file: of a list of files, each is "
            "one data set."
        )
    return read.each_of(list(path), holes)


class _Reader:
    """Files as data sets, with the arguments of `read_imputed`."""

    def __init__(
        self, format: str | None, id: str | None, value_labels: bool, trust: Trust
    ) -> None:
        self._format = format
        self._id = id
        self._value_labels = value_labels
        self._trust = trust

    def all_of(self, path: Path, imp: str | None, holes: Table | None) -> ImputedData:
        """Read a file that holds all data sets."""
        content = self._content(path, stacked=imp is None and self._id is None)
        if isinstance(content, Table):
            content = self._stacked(path, content, imp)
        elif isinstance(content, Stacked) and imp is not None:
            content = self._stacked(path, content.table, imp)
        elif imp is not None or self._id is not None:
            raise ArgumentError(
                f"{path} holds separate data sets, which need neither imp nor id: leave them out."
            )
        if isinstance(content, Stacked):
            return self._from_stacked(content, holes)
        frames = [*content.frames]
        if content.original is None and all({".imp", ".id"} <= {*x.columns} for x in frames):
            # A long table that was split: its rows are told by the column, as in files.
            names = [f"data set {i} of {path.name}" for i in range(1, len(frames) + 1)]
            frames = [_frame(Table(x), ".id") for x in frames]
            content = replace(content, frames=_ordered(frames, frames[0], names))
        elif any(not x.index.equals(frames[0].index) for x in frames):
            raise ArgumentError(
                f"{path} holds data sets of other rows (by their row names): in R, give each the "
                "same row names, or columns .imp and .id that number data sets and rows."
            )
        if holes is not None:
            content = replace(content, original=_frame(holes, _id_of(holes.frame, self._id)))
        return _imputed(content, places=holes is not None)

    def each_of(self, paths: list[Any], holes: Table | None) -> ImputedData:
        """Read files that hold one data set each."""
        tables = [self.one(path) for path in paths]
        first = next(iter(tables))
        notes = tuple(dict.fromkeys(x for table in tables for x in table.notes))
        ids = [_id_of(table.frame, self._id) for table in tables]
        data = DataSets(
            [_frame(table, id) for table, id in zip(tables, ids, strict=True)],
            None if holes is None else _frame(holes, _id_of(holes.frame, self._id)),
            format_of(readable_file(paths[0]), self._format),
            notes,
            first.labels,
        )
        names = [Path(x).name for x in paths]
        if data.original is not None:
            data = replace(data, frames=_ordered([*data.frames], data.original, names))
        else:
            data = replace(data, frames=_ordered([*data.frames], data.frames[0], names))
            if all(x is None for x in ids):
                data = replace(data, notes=(*data.notes, *_places_note(data.frames, names)))
        return _imputed(data, places=all(x is None for x in ids), names=names)

    def one(self, path: Any) -> Table:
        """Read a file of one data set."""
        path = readable_file(path)
        content = self._content(path, stacked=False)
        if isinstance(content, DataSets):
            if len(content.frames) != 1 or content.original is not None:
                raise ArgumentError(
                    f"{path} holds several data sets, and one was looked for: give it alone."
                )
            content = Table(content.frames[0], content.notes, content.labels)
        assert isinstance(content, Table)
        return Table(check_frame(content.frame, str(path)), content.notes, content.labels)

    def _content(self, path: Path, *, stacked: bool) -> DataSets | Stacked | Table:
        kind = format_of(path, self._format)
        if kind == "csv":
            return read_csv(path)
        if kind in ("parquet", "feather"):
            return read_arrow(path, kind)
        if kind == "stata":
            return read_stata(path, self._value_labels, stacked)
        if kind == "spss":
            return read_spss(path, self._value_labels)
        return read_r(path, self._trust)

    def _stacked(self, path: Path, table: Table, imp: str | None) -> Stacked:
        """Say which columns number the data sets and rows of a table."""
        known_names = {imp, self._id, *(x for pair in _NAMES for x in pair)} - {None}
        if known_names & set(table.frame.index.names):
            table = replace(table, frame=_index_as_columns(table.frame, path))
        frame = check_frame(table.frame, str(path))
        method = format_of(path, self._format)
        if imp is not None:
            check_columns([imp], frame, "imp")
            check_columns([] if self._id is None else [self._id], frame, "id")
            known = dict(_NAMES).get(imp)
            id = self._id or (known if known in frame.columns else None)
            return Stacked(table, imp, id, method)
        for name, known in _NAMES:
            if name not in frame.columns:
                continue
            if self._id is not None:
                check_columns([self._id], frame, "id")
                return Stacked(table, name, self._id, method)
            if known in frame.columns:
                return Stacked(table, name, known, method)
            if name in _OPTIONAL_ID:
                return Stacked(table, name, None, method)
        raise ArgumentError(
            f"{path} has no column of a known name that numbers its data sets "
            f"({', '.join(x for x, _ in _NAMES)}): name it (imp=...). Its columns are "
            f"{', '.join(map(repr, list(frame.columns)[:30]))}. Of data sets in a file each, give "
            "a list of all paths."
        )

    def _from_stacked(self, content: Stacked, holes: Table | None) -> ImputedData:
        table = content.table
        check_frame(table.frame, "the file")
        if holes is not None:
            raise ArgumentError(
                f"original is for files of one data set: in one of all of them, {content.imp} 0 is "
                "the data with their holes."
            )
        frame = table.frame.reset_index(drop=True)
        if content.id is not None and pd.api.types.is_float_dtype(frame[content.id].dtype):
            frame[content.id] = _whole(frame[content.id])
        imp = ImputedData.from_long(frame, content.imp, content.id, method=content.method)
        imp = _without_room_for_holes(imp)
        return _told(imp, table.notes, table.labels)


def _index_as_columns(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Make columns of the index' levels that have a name; one may be a column already."""
    index = frame.index
    levels = {
        name: index.get_level_values(i) for i, name in enumerate(index.names) if name is not None
    }
    for name in levels.keys() & set(frame.columns):
        if list(levels.pop(name)) != list(frame[name]):  # whose dtypes may differ
            raise ArgumentError(
                f"{path} has {name!r} as a column and in its index, with other values: rename one."
            )
    rest = frame.reset_index(drop=True)
    columns = {name: pd.Series(x.array, rest.index) for name, x in levels.items()}
    return pd.concat([pd.DataFrame(columns, rest.index), rest], axis=1)


def _without_room_for_holes(imp: ImputedData) -> ImputedData:
    """Make plain integers and truth values of nullable ones that have no holes once completed.

    In a table of all data sets they have room for the holes of the first.
    """
    first = imp[0]
    nullable = [x for x in first.columns if _is_nullable(first[x].dtype)]
    frames = [*imp] if nullable else []
    plain = {
        name: first[name].dtype.numpy_dtype
        for name in nullable
        if not any(x[name].isna().any() for x in frames)
    }
    if not plain:
        return imp
    again = ImputedData.from_frames([x.astype(plain) for x in frames], imp.original)
    return replace(imp, original=again.original, store=again.store)


def _is_nullable(dtype: Any) -> bool:
    if isinstance(dtype, pd.ArrowDtype | pd.CategoricalDtype | pd.StringDtype):
        return False
    kind = pd.api.types
    whole_or_truth = kind.is_integer_dtype(dtype) or kind.is_bool_dtype(dtype)
    return bool(kind.is_extension_array_dtype(dtype) and whole_or_truth)


def _whole(ids: pd.Series[Any]) -> pd.Series[Any]:
    """Return row numbers that a file keeps as floats as integers."""
    values = ids.to_numpy()
    return (
        ids.astype("int64")
        if bool(((values == values.round()) & (abs(values) < 2**53)).all())
        else ids
    )


def _id_of(frame: pd.DataFrame, id: str | None) -> str | None:
    """Return the column that names rows in a file of one data set."""
    if id is not None:
        check_columns([id], frame, "id")
        return id
    return next((x for x in (".id", "_mi_id", "_mi", "id_") if x in frame.columns), None)


def _frame(table: Table, id: str | None) -> pd.DataFrame:
    """Return the frame with its rows named by a column, and without columns that number them."""
    frame = table.frame
    if id is not None:
        check_columns([id], frame, "id")
        if frame[id].isna().any() or frame[id].duplicated().any():
            raise ArgumentError(f"id: column {id!r} is missing or the same in several rows.")
        labels = frame[id]
        labels = _whole(labels) if pd.api.types.is_float_dtype(labels.dtype) else labels
        frame = frame.drop(columns=id).set_axis(pd.Index(labels.array), axis=0)
    dropped = [x for x, _ in _NAMES if x in frame.columns]
    return frame.drop(columns=dropped)


def _ordered(
    frames: list[pd.DataFrame], first: pd.DataFrame, names: Sequence[str]
) -> list[pd.DataFrame]:
    """Put the rows of each data set in the order of the first."""
    ordered = []
    for name, frame in zip(names, frames, strict=True):
        if frame.index.equals(first.index):
            ordered.append(frame)
            continue
        lacking = first.index.difference(frame.index, sort=False)
        extra = frame.index.difference(first.index, sort=False)
        if len(lacking) or len(extra):
            told = [f"lacks {list(lacking[:5])}"] * bool(len(lacking))
            told += [f"has {list(extra[:5])} besides"] * bool(len(extra))
            raise ArgumentError(
                f"{name} has other rows than the others ({len(frame)} and {len(first)}): it "
                f"{' and '.join(told)}."
            )
        if frame.index.has_duplicates or first.index.has_duplicates:
            raise ArgumentError(
                f"{name} has its rows in another order than the others, and some of its row labels "
                "stand more than once: name the column that tells rows apart (id=...)."
            )
        ordered.append(frame.loc[first.index])
    return ordered


def _places_note(frames: Sequence[pd.DataFrame], names: Sequence[str]) -> tuple[str, ...]:
    """Say that nothing shows whether rows told by their places are the same rows in each file.

    A column of several values that is the same in all files shows it. Where no column is, one of
    the same values in another order shows that the rows were shuffled.

    Raises
    ------
    ArgumentError
        They were shuffled: the message names the column.
    """
    first, rest = frames[0], frames[1:]
    counted = pd.RangeIndex(len(first))
    if not rest or not all(x.index.equals(counted) for x in frames):
        return ()
    shared = [x for x in first.columns if all(x in y.columns for y in rest)]
    if any(first[x].nunique() > 1 and all(first[x].equals(y[x]) for y in rest) for x in shared):
        return ()
    for name, frame in zip(names[1:], rest, strict=True):
        for column in shared:
            one, other = first[column].astype(object), frame[column].astype(object)
            moved = (one != other) & ~(one.isna() & other.isna())
            # Imputed cells may have the same values in another order by chance, but not most rows.
            if moved.mean() > 0.5 and one.value_counts(dropna=False).equals(
                other.value_counts(dropna=False).reindex(one.value_counts(dropna=False).index)
            ):
                raise ArgumentError(
                    f"{name} has the values of column {column!r} that {names[0]} has, in another "
                    "order: the rows of the files don't match. Name the column that tells rows "
                    "apart (id=...)."
                )
    return (
        "no column is the same in all files, so nothing shows that their rows are in one order: "
        "they were matched by their places",
    )


def _imputed(data: DataSets, *, places: bool, names: Sequence[str] = ()) -> ImputedData:
    """Make data sets of separate frames; with `places`, their rows are told by their places."""
    frames = [*data.frames]
    if data.original is not None:
        frames = _with_truths(frames, data.original)
    if places and data.original is not None:
        names = names or [f"imputation {i}" for i in range(1, len(frames) + 1)]
        for name, frame in zip(names, frames, strict=True):
            if not frame.index.equals(data.original.index):
                raise ArgumentError(f"{name} has other rows than the data with their holes.")
        check_known_cells(frames, data.original, names)
    imp = ImputedData.from_frames(frames, data.original, method=data.method)
    return _told(imp, data.notes, data.labels)


def _with_truths(frames: Sequence[pd.DataFrame], original: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the data sets with truth values for 0 and 1, where the data with holes have such.

    mice makes numbers of the truth values that it imputes.
    """
    is_bool, is_number = pd.api.types.is_bool_dtype, pd.api.types.is_numeric_dtype
    truths = {}
    for name in original.columns:
        columns = [x[name] for x in frames if name in x.columns]
        if (
            columns
            and pd.api.types.infer_dtype(original[name], skipna=True) == "boolean"
            and all(is_number(x.dtype) and not is_bool(x.dtype) for x in columns)
            and all(x.dropna().isin([0, 1]).all() for x in columns)
        ):
            gaps = any(x.isna().any() for x in columns)
            truths[name] = "boolean" if gaps else "bool"
    return [x.astype({k: v for k, v in truths.items() if k in x.columns}) for x in frames]


def _told(imp: ImputedData, notes: Sequence[str], labels: Mapping[Any, str]) -> ImputedData:
    """Add what a file says of its columns, where that is more than their names."""
    about = {x: labels[x] for x in imp[0].columns if labels.get(x, x) != x}
    return replace(imp, notes=(*notes, *imp.notes), settings={"labels": about} if about else {})
