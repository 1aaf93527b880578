"""The data of a job: one file, read once, with the column types that the job declares.

Nothing is guessed and nothing is bent: a CSV's cells are texts until the declared type has taken
each of them, exactly, or the cells that it can't take are reported by line.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..base.labels import label
from .data_section import column_key
from .job import ColumnSpec, DataSpec
from .values import Mistakes, shown

__all__ = ["DataFile", "read_data"]

_FEW = 3
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNFIT = "a NUL character or half a surrogate pair, which R can't: is data.encoding right?"
_WHOLE = re.compile(r"([+-]?[0-9]+)(\.0+)?")  # pandas writes 842.0 where a column has holes
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LETTERS = {  # what can't stand in numbers; without it, int() and float() take just these
    "integer": (re.compile(r"[^0-9+-]"), np.int64),
    "float": (re.compile(r"[^0-9+.eE-]"), np.float64),
}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATETIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?(\.[0-9]{1,6})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_SWAP = str.maketrans(",.", ".,")  # a point in a number with a decimal comma is none
_TRUTHS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_TAKES = {
    "integer": "whole numbers, such as 12",
    "float": "finite numbers, such as 1.5 or 2e-3",
    "boolean": "true/false, T/F or 1/0",
    "date": "days, such as 2024-02-29",
    "datetime": "times, such as 2024-02-29T12:30:00, all with a zone or all without",
    "category": "its levels",
    "text": "text",
}


@dataclass(frozen=True)
class DataFile:
    """What was read: the frame, and what identifies the file.

    `broken` names the columns that have mistakes; the frame holds zeros in their place, so that
    what can be checked of the rest still is.
    """

    frame: pd.DataFrame
    sha256: str
    size: int
    unused: tuple[str, ...] = ()
    broken: frozenset[str] = frozenset()


def read_data(
    spec: DataSpec, path: Path, mistakes: Mistakes, numbering: Mapping[str, str] | None = None
) -> DataFile | None:
    r"""Read the file, and add its mistakes to the list; None where it holds no frame.

    Parameters
    ----------
    spec : DataSpec
    path : Path
        The file itself; `spec.path` only names it in messages.
    mistakes : Mistakes
    numbering : mapping, optional
        Columns that number data sets and rows, with the keys of [imputation] that name them; they
        need no type of their own.

    Examples
    --------
    >>> import tempfile
    >>> spec = DataSpec("d.csv", "csv", {"g": ColumnSpec("text"), "x": ColumnSpec("float")})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "d.csv"
    ...     _ = path.write_text("g,x\n01,0.1\n02,NA\n")
    ...     data = read_data(spec, path, Mistakes())
    >>> data.frame["g"].tolist(), data.frame["x"].tolist()
    (['01', '02'], [0.1, nan])
    """
    raw = path.read_bytes()  # once: what is hashed is what is read
    digest = hashlib.sha256(raw).hexdigest()
    if spec.format == "csv":
        content = _unpacked(spec, raw, mistakes)
        table = None if content is None else _csv(spec, content, mistakes)
    else:
        table = _arrow(raw, spec.format, mistakes)
    if table is None:
        return None
    if len(set(table.names)) < len(table.names):
        twice = sorted({x for x in table.names if table.names.count(x) > 1})
        mistakes.add("data.path", f"has columns of one name: {', '.join(map(shown, twice))}")
        return None
    if table.rows == 0:
        mistakes.add("data.path", f"{shown(spec.path)} has no rows")
        return None
    wanted: Mapping[str, ColumnSpec | None] | None = spec.columns
    if wanted is None:
        if spec.format == "csv":
            _suggest(table, spec, mistakes)
            return None
        wanted = dict.fromkeys(table.names)
    wanted = {**_numbering(table, spec, numbering or {}, wanted, mistakes), **wanted}
    columns: dict[str, pd.Series[Any]] = {}
    broken = set()
    for name, column in wanted.items():
        key = column_key(name)
        before = len(mistakes)
        if name not in table.names:
            mistakes.add(key, f"is no column of the file; it has {_listed(table.names)}")
        else:
            _check_texts(name, column, table, mistakes)
            if len(mistakes) == before:
                columns[name] = (
                    table.column(name)
                    if column is None
                    else _typed(table, name, column, spec, mistakes)
                )
        if len(mistakes) > before:
            broken.add(name)
            columns[name] = pd.Series(np.zeros(table.rows))
    unused = tuple(x for x in table.names if x not in wanted)
    return DataFile(pd.DataFrame(columns), digest, len(raw), unused, frozenset(broken))


def _numbering(
    table: _Table,
    spec: DataSpec,
    keys: Mapping[str, str],
    wanted: Mapping[str, ColumnSpec | None],
    mistakes: Mistakes,
) -> dict[str, ColumnSpec | None]:
    """Return the types of columns that number data sets and rows: whole numbers, or texts."""
    types: dict[str, ColumnSpec | None] = {}
    for name, key in keys.items():
        if name in wanted:
            continue
        if name not in table.names:
            mistakes.add(
                f"imputation.{key}",
                f"names {shown(name)}, which is no column of the file; it has "
                f"{_listed(table.names)}",
            )
        elif spec.format != "csv":
            types[name] = None
        else:
            cells = table.column(name)
            held = cells[~_holes(cells, spec.missing)].str.strip()
            whole = not _parsed(held, ColumnSpec("integer"))[1]
            types[name] = ColumnSpec("integer" if whole or key == "imp" else "text")
    return types


@dataclass(frozen=True)
class _Table:
    """A file's columns before they have the job's types: texts (CSV), or what Arrow says."""

    names: list[str]
    rows: int
    column: Callable[[str], pd.Series[Any]]
    lines: Sequence[int]  # where each row begins, as an editor counts
    word: str  # what `lines` counts


# -- reading -------------------------------------------------------------------------------


def _unpacked(spec: DataSpec, raw: bytes, mistakes: Mistakes) -> bytes | None:
    """Return the bytes of the CSV, unpacked if the name of the file ends in .gz."""
    packed = raw[:2] == b"\x1f\x8b"
    if spec.path.lower().endswith(".gz"):
        try:
            return gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            mistakes.add("data.path", f"{shown(spec.path)} can't be read as gzip: {error}")
            return None
    if packed:
        mistakes.add(
            "data.path",
            f"{shown(spec.path)} is compressed by gzip: unpack it, or name it .csv.gz",
        )
        return None
    return raw


def _csv(spec: DataSpec, raw: bytes, mistakes: Mistakes) -> _Table | None:
    try:
        text = raw.decode(
            "utf-8-sig" if spec.encoding.lower() in ("utf-8", "utf8") else spec.encoding
        )
    except UnicodeError as error:
        where = f" (byte {error.start})" if isinstance(error, UnicodeDecodeError) else ""
        mistakes.add(
            "data.encoding",
            f"{shown(spec.path)} is not {spec.encoding}{where}: say what it is, such as "
            '"cp1252" or "latin-1"',
        )
        return None
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=spec.delimiter, strict=True)
    try:
        names = next((row for row in reader if row), [])
        cells: list[list[str]] = [[] for _ in names]
        known: dict[str, str] = {}  # each distinct text is kept once
        lines: list[int] = []
        ragged: list[str] = []
        begin = reader.line_num + 1
        for row in reader:
            if len(row) == len(names):
                lines.append(begin)
                for column, cell in zip(cells, row, strict=True):
                    column.append(known.setdefault(cell, cell))
            elif row:  # an empty line is none
                ragged.append(f"line {begin} has {len(row)}")
            begin = reader.line_num + 1
    except csv.Error as error:
        mistakes.add("data.path", f"line {reader.line_num} can't be read as CSV: {error}")
        return None
    if not names:
        mistakes.add(
            "data.path", f"{shown(spec.path)} is empty: its first line must name the columns"
        )
        return None
    if ragged:
        mistakes.add(
            "data.path",
            f"its first line names {len(names)} columns, but {_some(ragged, 'line')}; is the "
            f"delimiter {shown(spec.delimiter)}?",
        )
        return None
    texts = dict(zip(names, cells, strict=True))

    def column_of(name: str) -> pd.Series[Any]:
        return pd.Series(np.array(texts[name], dtype=object), dtype=object)

    return _Table(names, len(lines), column_of, lines, "line")


def _arrow(raw: bytes, kind: str, mistakes: Mistakes) -> _Table | None:
    import pyarrow as pa
    from pyarrow import feather, parquet

    read = parquet.read_table if kind == "parquet" else feather.read_table
    try:
        table = read(pa.BufferReader(raw))
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        mistakes.add("data.path", f"can't be read as {kind.capitalize()}: {error}")
        return None
    nullable = {
        getattr(pa, name.lower())(): getattr(pd, f"{name}Dtype")()
        for name in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
    } | {pa.bool_(): pd.BooleanDtype()}

    def column_of(name: str) -> pd.Series[Any]:
        one = table.select([name]).to_pandas(ignore_metadata=True, types_mapper=nullable.get)[name]
        if one.dtype in nullable.values() and not one.isna().any():
            one = one.astype(one.dtype.numpy_dtype)
        return one

    return _Table(list(table.column_names), table.num_rows, column_of,
                  range(1, table.num_rows + 1), "row")  # fmt: skip


def _suggest(table: _Table, spec: DataSpec, mistakes: Mistakes) -> None:
    """Column types that the texts of a CSV would take, to be looked at and pasted."""
    lines = []
    for name in table.names:
        cells = table.column(name)
        held = cells[~_holes(cells, spec.missing)]
        suggested = "text"
        for kind in ("integer", "float", "date", "datetime"):
            texts = held.str.strip()
            if len(held) and kind in ("integer", "float") and spec.decimal == ",":
                texts = texts.str.translate(_SWAP)
            # A point in whole numbers comes of holes: without them, these are other numbers.
            if kind == "integer" and len(held) == len(cells) and "." in "".join(texts):
                continue
            if len(held) and not _parsed(texts, ColumnSpec(kind))[1]:
                suggested = kind
                break
        lines.append(f"{column_key(name).removeprefix('data.columns.')} = {shown(suggested)}")
    mistakes.add(
        "data.columns",
        "is missing: say what type each column has. Going by their text (numbers that are codes "
        "should be text or category):\n[data.columns]\n" + "\n".join(lines),
    )


def _check_texts(name: str, column: ColumnSpec | None, table: _Table, mistakes: Mistakes) -> None:
    """Text that R can't hold: with a NUL in it, or with half of a pair of surrogates."""
    key = column_key(name)
    if not _fits_r(name):
        mistakes.add(key, f"the name holds {_UNFIT}")
    levels = () if column is None or column.levels is None else column.levels
    if unfit := [x for x in levels if not _fits_r(x)]:
        mistakes.add(key, f"level {shown(unfit[0])} holds {_UNFIT}")
    cells = table.column(name)
    kind = cells.dtype
    if not (kind.kind == "O" or isinstance(kind, pd.StringDtype | pd.CategoricalDtype)):
        return
    told = [
        f"{table.word} {line} {shown(x)}"
        for line, x in zip(table.lines, cells, strict=True)
        if isinstance(x, str) and not _fits_r(x)
    ]
    if told:
        mistakes.add(key, f"{_some(told, 'cell')}: holds {_UNFIT}")


def _fits_r(text: str) -> bool:
    return "\0" not in text and (text.isascii() or not _SURROGATE.search(text))


# -- typing --------------------------------------------------------------------------------


def _typed(
    table: _Table, name: str, column: ColumnSpec, spec: DataSpec, mistakes: Mistakes
) -> pd.Series[Any]:
    cells = table.column(name)
    if spec.format != "csv":
        cells, wrong = _recast(cells, column)
        if wrong:
            mistakes.add(column_key(name), wrong)
            return cells
        holes = cells.isna().to_numpy()
    else:
        holes = _holes(cells, (*spec.missing, *column.missing))
    values = cells[~holes]
    if spec.format == "csv" and column.type not in ("text", "category"):
        values = values.str.strip()
    if column.type in ("integer", "float") and spec.decimal == ",":
        values = values.str.translate(_SWAP)
    typed, bad = _parsed(values, column)
    if bad:
        positions = np.flatnonzero(~holes)[bad]
        told = [f"{table.word} {table.lines[i]} {shown(str(cells[i]))}" for i in positions]
        takes = _TAKES[column.type]
        if column.type == "category" and column.levels is not None:
            takes = f"its levels, {_listed(column.levels)}"
        elif column.format is not None:
            takes = f"texts of the format {shown(column.format)}"
        mistakes.add(
            column_key(name),
            f"{column.type} takes {takes}; not {_some(told, 'cell')}. Mend the data, or take "
            "another type" + (", or name a mark in data.missing" if spec.format == "csv" else ""),
        )
        return cells
    return _spread(typed, holes)


def _holes(cells: pd.Series[Any], marks: Sequence[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    is_hole: np.ndarray[Any, np.dtype[np.bool_]] = cells.isin(list(marks)).to_numpy()
    return is_hole


def _parsed(values: pd.Series[Any], column: ColumnSpec) -> tuple[Any, list[int]]:
    """Return the values (none is missing) in their type, and where it can't take one."""
    if column.type == "text":
        return pd.array(values.to_numpy(), dtype="string"), []
    if column.type == "category":
        return _category(values, column)
    if not _is_text(values):  # from a file with types, and of the right kind already
        return values.array, []
    quick = _quick(values, column.type)
    if quick is not None:
        return quick, []
    parse = _PARSERS[column.type]
    codes, texts = pd.factorize(values)  # each distinct text is parsed once
    parsed: list[Any] = []
    refused = set()
    for i, cell in enumerate(texts):
        try:
            parsed.append(parse(cell, column.format))
        except (ValueError, OverflowError):
            parsed.append(None)
            refused.add(i)
    if refused:
        return None, np.flatnonzero(np.isin(codes, list(refused))).tolist()
    if column.type == "datetime":
        return _instants(parsed, codes)
    dtype: Any = {"integer": np.int64, "float": np.float64, "boolean": np.bool_, "date": object}
    return np.array(parsed, dtype=dtype[column.type])[codes], []


def _quick(values: pd.Series[Any], kind: str) -> Any:
    """Numbers at numpy's speed; None if there is anything to look at more closely."""
    letters, dtype = _LETTERS.get(kind, (None, None))
    cells = values.to_numpy(dtype=object)
    if letters is None or letters.search("".join(cells)):
        return None
    try:
        numbers = cells.astype(dtype)  # as Python's int() and float() have it: exactly
    except (ValueError, OverflowError):
        return None
    return numbers if np.isfinite(numbers).all() else None


def _is_text(values: pd.Series[Any]) -> bool:
    return pd.api.types.infer_dtype(values, skipna=False) in ("string", "empty")


def _category(values: pd.Series[Any], column: ColumnSpec) -> tuple[Any, list[int]]:
    if column.levels is None:
        return pd.Categorical(values, categories=sorted(values.unique())), []
    bad = np.flatnonzero(~values.isin(column.levels).to_numpy()).tolist()
    return (
        None if bad else pd.Categorical(values, list(column.levels), ordered=column.ordered)
    ), bad


def _whole(cell: str, _: str | None) -> int:
    match = _WHOLE.fullmatch(cell)
    if match is None:
        raise ValueError(cell)
    number = int(match.group(1))
    if abs(number) >= 2**63:
        raise OverflowError(cell)
    return number


def _number(cell: str, _: str | None) -> float:
    if not _NUMBER.fullmatch(cell):
        raise ValueError(cell)
    number = float(cell)
    if not np.isfinite(number):
        raise OverflowError(cell)
    return number


def _truth(cell: str, _: str | None) -> bool:
    if cell.lower() not in _TRUTHS:
        raise ValueError(cell)
    return _TRUTHS[cell.lower()]


def _day(cell: str, style: str | None) -> dt.date:
    if style is not None:
        return dt.datetime.strptime(cell, style).date()
    if not _DATE.fullmatch(cell):
        raise ValueError(cell)
    return dt.date.fromisoformat(cell)


def _instant(cell: str, style: str | None) -> dt.datetime:
    if style is not None:
        return dt.datetime.strptime(cell, style)
    match = _DATETIME.fullmatch(cell)
    if match is None:
        raise ValueError(cell)
    day, minutes, seconds, part, zone = match.groups()
    # As Python 3.10 wants it: seconds, six digits after the point, no Z.
    exact = f"{day}T{minutes}{seconds or ':00'}.{(part or '.')[1:]:0<6}"
    return dt.datetime.fromisoformat(exact + ("+00:00" if zone == "Z" else zone or ""))


def _instants(instants: list[dt.datetime], codes: Any) -> tuple[Any, list[int]]:
    zoned = [x.tzinfo is not None for x in instants]
    if any(zoned) and not all(zoned):
        return None, np.flatnonzero(np.array(zoned)[codes] != zoned[0]).tolist()
    plain = [
        x.astimezone(dt.timezone.utc).replace(tzinfo=None) if x.tzinfo else x for x in instants
    ]
    times = pd.DatetimeIndex(np.array(plain, dtype="datetime64[us]")[codes])
    return (times.tz_localize("UTC") if any(zoned) else times).array, []


_PARSERS: dict[str, Callable[[str, str | None], Any]] = {
    "integer": _whole,
    "float": _number,
    "boolean": _truth,
    "date": _day,
    "datetime": _instant,
}


def _spread(values: Any, holes: np.ndarray[Any, np.dtype[np.bool_]]) -> pd.Series[Any]:
    """Put the values at their rows, and missing values in between, in a dtype that has some."""
    part = pd.Series(values)
    if not holes.any():
        return part
    wide = {"i": "Int64", "u": "UInt64", "b": "boolean"}
    if isinstance(part.dtype, np.dtype) and part.dtype.kind in wide:
        part = part.astype(wide[part.dtype.kind])
    part.index = pd.Index(np.flatnonzero(~holes))
    return part.reindex(range(len(holes)))


# -- the types of Arrow --------------------------------------------------------------------


def _recast(cells: pd.Series[Any], column: ColumnSpec) -> tuple[pd.Series[Any], str]:
    """Make a column of a file with types ready for `_parsed`, or say what is wrong with it."""
    kind, dtype = column.type, cells.dtype
    held = cells[cells.notna()]
    is_text = isinstance(dtype, pd.CategoricalDtype) or _is_text(held)
    plain = pd.api.types
    days = held.map(lambda x: isinstance(x, dt.date) and not isinstance(x, dt.datetime)).all()
    whole = plain.is_integer_dtype(dtype)
    number = plain.is_numeric_dtype(dtype) and not plain.is_bool_dtype(dtype)
    if kind == "category" and (is_text or whole or plain.is_bool_dtype(dtype)):
        if isinstance(dtype, pd.CategoricalDtype) and column.levels is None:
            return cells, ""
        return _relabelled(cells), ""
    if kind == "text" and is_text:
        return _relabelled(cells), ""
    if kind == "integer" and whole:
        return cells, ""
    if kind == "integer" and number:  # how pandas keeps whole numbers with holes
        exact = np.asarray(held, dtype=np.float64)
        if np.array_equal(exact, np.rint(exact)) and (np.abs(exact) <= 2**53).all():
            return cells.astype("Int64" if cells.isna().any() else "int64"), ""
    if kind == "float" and number:
        wide = cells.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
        if not whole or (np.abs(wide[~np.isnan(wide)]) <= 2**53).all():
            return pd.Series(wide), ""
    if kind == "boolean" and plain.is_bool_dtype(dtype):
        return cells, ""
    if kind == "date" and (days or _midnights(held)):
        return (cells if days else cells.dt.date.astype(object)), ""
    if kind == "datetime" and plain.is_datetime64_any_dtype(dtype):
        return cells, ""
    return cells, f"the file holds {dtype}, which can't be taken for {kind} exactly"


def _midnights(held: pd.Series[Any]) -> bool:
    if not pd.api.types.is_datetime64_any_dtype(held.dtype):
        return False
    return bool((held == held.dt.normalize()).all())


def _relabelled(cells: pd.Series[Any]) -> pd.Series[Any]:
    return pd.Series([None if pd.isna(x) else label(x) for x in cells], dtype=object)


# -- texts of messages ------------------------------------------------------------------------


def _listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    texts = [shown(x) for x in names]
    more = f" and {len(texts) - 30} more" if len(texts) > 30 else ""
    return ", ".join(texts[:30]) + more


def _some(texts: Sequence[str], what: str) -> str:
    """List the first few, and say how many there are."""

    def few() -> Iterator[str]:
        yield from texts[:_FEW]
        if len(texts) > _FEW:
            yield f"... ({len(texts)} {what}s)"

    return ", ".join(few())
