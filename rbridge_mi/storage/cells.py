"""A column of any dtype as text cells and a little JSON, and back, exactly; nothing is executed.

Numbers are written as Python writes them (the shortest text that gives the same double), times as
ISO 8601, categories as codes beside their list of levels. Missing cells are empty, and counted.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..errors import EncodingError

__all__ = ["from_cells", "index_from_cells", "to_cells"]

_PLAIN = re.compile(
    r"(bool|float(16|32|64)|u?int(8|16|32|64)|(datetime|timedelta)64\[(s|ms|us|ns)\])"
)
_MASKED = re.compile(r"(boolean|Float(32|64)|U?Int(8|16|32|64))")
_ARROW = re.compile(
    r"(u?int(8|16|32|64)|float|double|bool|string|large_string|date32\[day\]|"
    r"timestamp\[(s|ms|us|ns)(, tz=[\w/+:-]+)?\])"
)
_MARKS = {"None": None, "nan": float("nan"), "NA": pd.NA, "NaT": pd.NaT}


def to_cells(column: Any, name: str) -> tuple[dict[str, Any], list[str]]:
    """Return what JSON has to know of a column, and a text for each of its cells."""
    if not isinstance(column, pd.Series):
        column = pd.Series(column, dtype=column.dtype)  # pandas would infer text where it is object
    array, dtype = column.array, column.dtype
    missing = np.flatnonzero(column.isna().to_numpy())
    known: dict[str, Any] = {"dtype": str(dtype), "missing": missing.tolist()}
    if isinstance(dtype, pd.CategoricalDtype):
        levels, cells = to_cells(dtype.categories.array, name)
        known |= {"dtype": "category", "ordered": bool(dtype.ordered), "levels": [levels, cells]}
        return known, _blanked((str(x) for x in array.codes), missing)
    if isinstance(dtype, pd.StringDtype):
        known |= {"dtype": "text", "storage": dtype.storage, "nan": dtype.na_value is not pd.NA}
        return known, ["" if x is None or pd.isna(x) else str(x) for x in array]
    if isinstance(dtype, pd.DatetimeTZDtype):
        known |= {"dtype": f"datetime64[{dtype.unit}]", "zone": str(dtype.tz)}
        instants = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        return known, _blanked(map(str, instants), missing)
    if isinstance(dtype, pd.ArrowDtype):
        return _arrow_cells(array, dtype, known, name)
    if _MASKED.fullmatch(known["dtype"]):
        known["missing"] = np.flatnonzero(array._mask).tolist()
        return known, _blanked(map(_number, array._data), known["missing"])
    if isinstance(dtype, np.dtype) and _PLAIN.fullmatch(known["dtype"]):
        values = column.to_numpy()
        if dtype.kind in "biuf":
            return known, _blanked(map(repr, values.tolist()), missing)
        return known, _blanked(map(_number, values), missing)
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        known["marks"] = [_mark(x) for x in array if _is_gone(x)]
        return known, ["" if _is_gone(x) else _json_cell(x, name) for x in array]
    raise EncodingError(
        f"column {name!r} has dtype {dtype}, which this format has no place for: convert it first."
    )


def from_cells(known: dict[str, Any], cells: Sequence[str]) -> pd.Series:
    """Return the column again."""
    dtype, gone = str(known["dtype"]), set(known["missing"])
    if not all(type(i) is int and 0 <= i < len(cells) for i in gone):
        raise ValueError(f"missing cells that a column of {len(cells)} cells doesn't have")
    if dtype == "category":
        spec, level_cells = known["levels"]
        levels = index_from_cells(spec, level_cells)
        codes = [-1 if i in gone else int(x) for i, x in enumerate(cells)]
        return pd.Series(pd.Categorical.from_codes(codes, levels, ordered=bool(known["ordered"])))
    if dtype == "text":
        values = [None if i in gone else x for i, x in enumerate(cells)]
        return pd.Series(values, dtype=_text_dtype(known))
    if dtype == "object":
        if len(known["marks"]) != len(gone):
            raise ValueError(f"{len(known['marks'])} marks for {len(gone)} missing cells")
        marks = iter(known["marks"])
        held = np.empty(len(cells), dtype=object)
        for i, x in enumerate(cells):
            held[i] = _MARKS[next(marks)] if i in gone else _json_value(x)
        return pd.Series(held, dtype=object)
    if dtype.endswith("[pyarrow]"):
        return _from_arrow_cells(dtype.removesuffix("[pyarrow]"), cells, gone)
    if _MASKED.fullmatch(dtype):
        plain = dtype.lower().replace("boolean", "bool")
        data = _numbers(["0" if i in gone else x for i, x in enumerate(cells)], plain)
        mask = np.array([i in gone for i in range(len(cells))], dtype=bool)
        kind = {"b": pd.arrays.BooleanArray, "f": pd.arrays.FloatingArray}
        return pd.Series(kind.get(data.dtype.kind, pd.arrays.IntegerArray)(data, mask))
    if not _PLAIN.fullmatch(dtype):
        raise EncodingError(f"{dtype!r} is no dtype of this format.")
    blank = "NaT" if "64[" in dtype else "nan"
    series = pd.Series(_numbers([blank if i in gone else x for i, x in enumerate(cells)], dtype))
    if "zone" in known:
        return series.dt.tz_localize("UTC").dt.tz_convert(str(known["zone"]))
    return series


def index_from_cells(known: dict[str, Any], cells: Sequence[str]) -> pd.Index:
    """Return the labels again, in their dtype: pandas would infer text where it was object."""
    labels = from_cells(known, cells)
    return pd.Index(labels.array, dtype=labels.dtype, tupleize_cols=False)


def _blanked(cells: Any, missing: Any) -> list[str]:
    blanked = list(cells)
    for i in missing:
        blanked[i] = ""
    return blanked


def _number(value: Any) -> str:
    if isinstance(value, np.timedelta64):
        return str(value.astype(np.int64))
    if isinstance(value, np.datetime64):
        return str(value)
    item = value.item()
    return repr(item)


def _numbers(cells: Sequence[str], dtype: str) -> np.ndarray[Any, Any]:
    kind = np.dtype(dtype).kind
    if kind == "b":
        return np.array([x == "True" for x in cells], dtype=bool)
    if kind == "M":
        return np.array(cells, dtype=dtype)
    if kind == "m":
        gone = np.iinfo(np.int64).min
        return np.array([gone if x == "NaT" else int(x) for x in cells], dtype=np.int64).view(dtype)
    if kind == "f":
        return np.array([float(x) for x in cells], dtype=np.float64).astype(dtype)
    return np.array([int(x) for x in cells], dtype=dtype)


def _text_dtype(known: dict[str, Any]) -> Any:
    try:
        if known["nan"]:
            return pd.StringDtype(str(known["storage"]), na_value=np.nan)
        return pd.StringDtype(str(known["storage"]))
    except (ImportError, TypeError):  # no pyarrow here, or an older pandas
        return "str" if known["nan"] else pd.StringDtype("python")


def _is_gone(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (
        isinstance(value, float) and value != value
    )  # fmt: skip


def _mark(value: Any) -> str:
    return "nan" if isinstance(value, float) else str(value).strip("<>")


def _json_cell(value: Any, name: str) -> str:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return json.dumps({"date": value.isoformat()})
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str | bool | int):
        return json.dumps(value)
    if isinstance(value, float):
        return json.dumps({"float": repr(value)})
    raise EncodingError(
        f"column {name!r} holds {type(value).__name__}, which this format has no place for: "
        "convert it first."
    )


def _json_value(cell: str) -> Any:
    value = json.loads(cell)
    if isinstance(value, dict):
        (kind, text), = value.items()  # fmt: skip
        return dt.date.fromisoformat(text) if kind == "date" else float(text)
    return value


def _arrow_cells(
    array: Any, dtype: Any, known: dict[str, Any], name: str
) -> tuple[dict[str, Any], list[str]]:
    import pyarrow as pa

    kind = dtype.pyarrow_dtype
    if not _ARROW.fullmatch(str(kind)):
        raise EncodingError(
            f"column {name!r} has dtype {dtype}, which this format has no place for: convert it."
        )
    held = pa.chunked_array(array.__arrow_array__())
    known |= {"dtype": f"{kind}[pyarrow]"}
    known["missing"] = np.flatnonzero(held.is_null().to_numpy()).tolist()
    if pa.types.is_temporal(kind):
        held = held.cast(pa.int32() if pa.types.is_date32(kind) else pa.int64())
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    cells = ("" if x is None else x if text else repr(x) for x in held.to_pylist())
    return known, list(cells)


def _from_arrow_cells(kind: str, cells: Sequence[str], gone: set[int]) -> pd.Series:
    import pyarrow as pa

    if not _ARROW.fullmatch(kind):
        raise EncodingError(f"{kind!r} is no dtype of this format.")
    if kind.startswith("timestamp"):
        unit, _, zone = kind[10:-1].partition(", tz=")
        wanted, read = pa.timestamp(unit, zone or None), int
    elif kind.startswith("date32"):
        wanted, read = pa.date32(), int
    else:
        wanted = pa.type_for_alias(kind)
        read = {"f": float, "d": float, "s": str, "l": str}.get(kind[0], int)  # type: ignore[assignment]
        if kind == "bool":
            read = lambda x: x == "True"  # type: ignore[assignment] # noqa: E731
    values = [None if i in gone else read(x) for i, x in enumerate(cells)]
    if pa.types.is_temporal(wanted):
        plain = pa.array(values, pa.int32() if pa.types.is_date32(wanted) else pa.int64())
        array = plain.cast(wanted)
    else:
        array = pa.array(values, wanted)
    return pd.Series(pd.arrays.ArrowExtensionArray(array))
