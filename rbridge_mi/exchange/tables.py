"""CSV, Parquet and Feather files as tables."""

from __future__ import annotations

import io
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
MOST_CELLS = 10**8  # that any file may have; a larger one no more than these per byte:
PER_BYTE = 1000


def read_csv(path: Path) -> Table:
    """Read a CSV file; of one named .tsv the delimiter is the tab.

    Numbers are read exactly. Empty cells, NA, NaN and a lone point are missing. A column of whole
    numbers is one of integers, with holes too. The row names that R's ``write.csv`` puts first are
    left out.

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
        It is no such file.
    """
    raw = content(path)
    tab = ".tsv" in path.name.lower()
    try:
        frame = pd.read_csv(
            io.BytesIO(raw),
            sep="\t" if tab else ",",
            **_EXACT,
            keep_default_na=False,
            na_values=list(_MISSING),
            encoding="utf-8-sig",
            low_memory=False,
        )
    except UnicodeDecodeError as error:
        raise RBridgeError(
            f"{path} is no text in UTF-8 ({error}): write it in UTF-8, or read it by "
            "pd.read_csv(encoding=...) and give the frame to ImputedData.from_long."
        ) from error
    except (ValueError, OverflowError, MemoryError, RecursionError, IndexError) as error:
        # pandas' errors of parsing are ValueErrors
        raise unread(path, "CSV", error) from error
    if frame.shape[1] == 1 and any(x in str(frame.columns[0]) for x in (";", "\t")):
        raise RBridgeError(
            f"{path} has one column, {frame.columns[0]!r}: its delimiter is another than "
            f"{'a tab' if tab else 'the comma'}. Read it by pd.read_csv(sep=..., decimal=...) and "
            "give the frame to ImputedData.from_long."
        )
    columns = {name: _whole(frame[name]) for name in frame.columns}
    return without_row_names(pd.DataFrame(columns, frame.index, copy=False))


def without_row_names(frame: pd.DataFrame) -> Table:
    """Leave out the column without a name that R and pandas write row names to."""
    if len(frame.columns) > 1 and frame.columns[0] == "Unnamed: 0":
        note = "the first column of the file, which has no name, was taken for row names"
        return Table(frame.iloc[:, 1:], (note,))
    return Table(frame)


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
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError) as error:
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
