"""CSV, Parquet and Feather files as tables."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..base.extras import needed_module
from ..errors import RBridgeError
from .data_sets import Table
from .files import content, unread

__all__ = ["read_arrow", "read_csv", "without_row_names"]

_MISSING = ("", "NA", "NaN", "nan", "<NA>", ".")
_MAX_EXACT = 2**53
# Since 3.1 pandas reads numbers exactly by itself, and warns of the argument.
_VERSION = tuple(int(x) for x in pd.__version__.split(".")[:2])
_EXACT: dict[str, Any] = {} if _VERSION >= (3, 1) else {"float_precision": "round_trip"}
MOST_TEXT_CELLS = 10**7  # of a packed CSV file; a larger one no more than these per byte:
TEXT_PER_BYTE = 100
MOST_CELLS = 10**8  # that any file may have; a larger one no more than these per byte:
PER_BYTE = 1000


def read_csv(path: Path) -> Table:
    """Read a CSV file; of one named .tsv the delimiter is the tab.

    Numbers are read exactly. Empty cells, NA, NaN and a lone point are missing. A column of whole
    numbers is one of integers, with holes too, and one of text if some begin with a zero. The row
    names that R's ``write.csv`` puts first are left out, those of ``write.table`` become the index.

    Parameters
    ----------
    path : Path
        Of the file, packed or not.

    Returns
    -------
    Table
        Its columns.

    Raises
    ------
    RBridgeError
        It is no such file, its rows have more cells than its header, or two columns have one name.
    """
    raw = content(path)
    tab = ".tsv" in path.name.lower()
    cells, size = raw.count(b"\t" if tab else b",") + raw.count(b"\n"), path.stat().st_size
    if cells > max(MOST_TEXT_CELLS, TEXT_PER_BYTE * size):
        raise RBridgeError(
            f"{path} has {size} bytes and {cells} cells, as no file of data does: it is refused. "
            "Unpack it yourself if it is right."
        )
    text = _Text(raw, "\t" if tab else ",")
    try:
        frame = text.frame()
        _check_header(path, text.header(), frame, tab)
        notes = _check_cells(path, text, frame)
        columns, zeros = _exact(text, frame)
        last = frame.columns[-1]
        if len(columns) > 1 and text.header()[-1] == "" and frame[last].isna().all():
            del columns[last]
            notes += ("the last column of the file, which has no name and no cells, was left out",)
    except UnicodeDecodeError as error:
        raise RBridgeError(
            f"{path} is no text in UTF-8 ({error}): write it in UTF-8, or read it by "
            "pd.read_csv(encoding=...) and give the frame to ImputedData.from_long."
        ) from error
    except (ValueError, OverflowError, MemoryError, RecursionError, IndexError, csv.Error) as error:
        # pandas' errors of parsing are ValueErrors
        raise unread(path, "CSV", error) from error
    table = without_row_names(pd.DataFrame(columns, frame.index, copy=False))
    return Table(table.frame, (*table.notes, *notes, *zeros))


class _Text:
    """The text of a CSV file, as cells of text or of numbers."""

    def __init__(self, raw: bytes, delimiter: str) -> None:
        self.raw = raw
        self.delimiter = delimiter

    def frame(self, **given: Any) -> pd.DataFrame:
        """Return it as pandas reads it."""
        return pd.read_csv(
            io.BytesIO(self.raw),
            sep=self.delimiter,
            **_EXACT,
            keep_default_na=False,
            na_values=list(_MISSING),
            encoding="utf-8-sig",
            low_memory=False,
            **given,
        )

    def texts(self, names: Sequence[Any], columns: pd.Index) -> pd.DataFrame:
        """Return some columns with their cells as they are written; missing ones are None."""
        dtype = dict.fromkeys(names, str)
        frame = self.frame(dtype=dtype)
        assert frame.columns.equals(columns)
        return frame[[*names]].astype(object)

    def header(self) -> list[str]:
        """Return the cells of the first line, as they are written."""
        return list(self._first(1).iloc[0])

    def widens(self) -> bool:
        """Whether the second line has more cells than the first."""
        try:
            self._first(2)
        except pd.errors.ParserError:
            return True
        return False

    def _first(self, most: int) -> pd.DataFrame:
        return pd.read_csv(
            io.BytesIO(self.raw),
            sep=self.delimiter,
            header=None,
            nrows=most,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
        )

    def rows(self) -> list[list[str]]:
        """Return all rows as lists of cells, without empty lines."""
        lines = io.TextIOWrapper(io.BytesIO(self.raw), "utf-8-sig", newline="")
        return [x for x in csv.reader(lines, delimiter=self.delimiter) if x]


def _check_header(path: Path, header: Sequence[str], frame: pd.DataFrame, tab: bool) -> None:
    delimiters = [x for x in (";", "\t", "|", ",") if x in str(frame.columns[0])]
    if frame.shape[1] == 1 and delimiters:
        raise RBridgeError(
            f"{path} has one column, {frame.columns[0]!r}: its delimiter is another than "
            f"{'a tab' if tab else 'the comma'}. Read it by pd.read_csv(sep={delimiters[0]!r}) and "
            "give the frame to ImputedData.from_long."
        )
    twice = sorted({x for x in header if x and header.count(x) > 1})
    if twice:
        raise RBridgeError(
            f"{path} has columns of one name: {', '.join(map(repr, twice))}. Rename them."
        )


def _check_cells(path: Path, text: _Text, frame: pd.DataFrame) -> tuple[str, ...]:
    """Refuse rows with more cells than the header, unless they begin with R's row names.

    pandas takes the first of them for its index.
    """
    counted = pd.RangeIndex(len(frame))
    if frame.index.nlevels == 1 and frame.index.equals(counted) and not text.widens():
        return ()
    header, *rows = text.rows()
    sizes = {len(x) for x in rows}
    if (
        sizes != {len(header) + 1}
        or all(x[-1] == "" for x in rows)
        or frame.index.has_duplicates
        or frame.index.hasnans
    ):
        raise RBridgeError(
            f"{path} has {len(header)} names of columns in its first line, and rows of "
            f"{' or '.join(map(str, sorted(sizes)))} cells, as when each row ends with a "
            "delimiter: which cell is of which column can't be told. Write it anew, without "
            "delimiters at the ends of rows."
        )
    if list(frame.index) == list(range(1, len(frame) + 1)):
        frame.index = counted
    return ("the first cells of the rows, of a column without a name, were taken for row names",)


def without_row_names(frame: pd.DataFrame) -> Table:
    """Leave out the column without a name that R and pandas write row names to."""
    if len(frame.columns) > 1 and frame.columns[0] == "Unnamed: 0":
        note = "the first column of the file, which has no name, was taken for row names"
        return Table(frame.iloc[:, 1:], (note,))
    return Table(frame)


_ZEROS = re.compile(rb"(?:^|[\n\r,\t\"])[+-]?0[0-9]")  # the beginning of a cell such as 07
_ZERO_FIRST = r"[+-]?0[0-9]+"
_DIGITS = r"[+-]?[0-9]+"


def _exact(text: _Text, frame: pd.DataFrame) -> tuple[dict[Any, pd.Series[Any]], list[str]]:
    """Return the columns with what pandas' numbers don't hold: zeros at the front, long integers.

    They are looked up in the text, where there may be any.
    """
    columns = {name: frame[name] for name in frame.columns}
    numeric = [x for x in columns if columns[x].dtype.kind in "iuf"]
    long = [x for x in numeric if _may_have_long_integers(columns[x])]
    wanted = numeric if _ZEROS.search(text.raw) else long
    notes = []
    texts = text.texts(wanted, frame.columns) if wanted else None
    for name in numeric:
        columns[name] = _whole(columns[name])
        if texts is None or name not in texts.columns:
            continue
        cells = texts[name].set_axis(frame.index)
        held = cells.dropna()
        if held.str.fullmatch(_ZERO_FIRST).any():
            columns[name] = pd.Series(cells.where(cells.notna(), None), dtype=object)
            columns[name] = columns[name].infer_objects()
            example = held[held.str.fullmatch(_ZERO_FIRST)].iloc[0]
            notes.append(f"{name}: text, since some numbers begin with a zero ({example})")
        elif name in long and held.str.fullmatch(_DIGITS).all():
            try:
                whole = [
                    None if gone else int(x) for x, gone in zip(cells, cells.isna(), strict=True)
                ]
                columns[name] = pd.Series(pd.array(whole, dtype="Int64"), frame.index)
            except OverflowError:  # beyond 2**63
                continue
    return columns, notes


def _may_have_long_integers(column: pd.Series[Any]) -> bool:
    if column.dtype != np.float64 or not column.isna().any() or column.isna().all():
        return False
    held = column.dropna().to_numpy()
    return bool((np.rint(held) == held).all() and (np.abs(held) >= _MAX_EXACT).any())


def _whole(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return floats with holes as integers, where they are whole: a CSV file doesn't say."""
    if column.dtype != np.float64 or not column.isna().any() or column.isna().all():
        return column
    held = column.dropna().to_numpy()
    if (np.rint(held) == held).all() and (np.abs(held) <= _MAX_EXACT).all():
        return column.astype("Int64")
    return column


def read_arrow(path: Path, kind: str) -> Table:
    """Read a Parquet or Feather file; integers and booleans stay such where cells are missing.

    Parameters
    ----------
    path : Path
        Of the file.
    kind : {"parquet", "feather"}
        What it is.

    Returns
    -------
    Table
        Its columns, with the index that pandas noted in it.

    Raises
    ------
    RBridgeError
        It is no such file, or its cells would take far more memory than it has bytes.
    MissingExtraError
        pyarrow isn't installed.
    """
    pa = needed_module("pyarrow", "parquet", f"a {kind.capitalize()} file")
    raw = content(path)
    nullable = _nullable_types(pa)
    try:
        table = _arrow_table(path, raw, kind)
        table.validate(full=True)  # before anything follows an offset that points nowhere
        frame = table.to_pandas(types_mapper=nullable.get)
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        MemoryError,
        RecursionError,  # of JSON in what pandas noted
    ) as error:
        raise unread(path, kind.capitalize(), error) from error
    for i, name in enumerate(frame.columns):
        column = frame.iloc[:, i]
        if column.dtype in nullable.values() and not column.isna().any():
            frame[name] = column.astype(column.dtype.numpy_dtype)
    return Table(frame)


def _arrow_table(path: Path, raw: bytes, kind: str) -> Any:
    import pyarrow as pa
    from pyarrow import feather, parquet

    source = pa.BufferReader(raw)
    if kind == "feather":
        return feather.read_table(source, memory_map=False)
    file = parquet.ParquetFile(source)
    cells = file.metadata.num_rows * file.metadata.num_columns
    if cells > max(MOST_CELLS, PER_BYTE * len(raw)):
        raise RBridgeError(
            f"{path} has {len(raw)} bytes and {cells} cells, as no file of data does: it is "
            "refused. Read it by pd.read_parquet if it is right."
        )
    return file.read()


def _nullable_types(pa: Any) -> dict[Any, Any]:
    names = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
    types = {getattr(pa, name.lower())(): getattr(pd, f"{name}Dtype")() for name in names}
    return types | {pa.bool_(): pd.BooleanDtype()}
