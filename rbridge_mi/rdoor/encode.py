"""Python values to R objects, exactly or not at all. Runs on R's thread.

===============================  =========================================================
pandas                           R
===============================  =========================================================
float64, float32                 double; NaN is NA
Float64, Float32 (nullable)      double; NA is NA, NaN stays NaN
int8 … uint64, Int8 … UInt64     integer; double where a value is beyond 32 bits
bool, boolean                    logical
str, string, object holding str  character
category                         factor; labels, order, and unused levels kept
datetime64, with zone or without POSIXct in UTC
object holding datetime.date     Date
===============================  =========================================================

Refused, by name and with a remedy: what R's types can't hold exactly.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..base.arrow import masked_integers
from ..base.labels import label
from ..errors import EncodingError
from .names import check_frame_names, check_text, text_fault

__all__ = ["to_r"]

_NA_REAL = np.uint64(0x7FF00000000007A2)  # R's NA: a NaN whose low word is 1954
_NA_INT = np.int32(-(2**31))
_MAX_INT = 2**31 - 1
_MAX_EXACT = 2**53


def to_r(value: Any) -> Any:
    """Return the R object of a Python value; see the module's table for frames and columns."""
    from rpy2 import rinterface

    if hasattr(type(value), "__rsexp__"):
        return value.__rsexp__()
    if value is None:
        return rinterface.NULL
    if isinstance(value, pd.DataFrame):
        return _frame(value)
    if isinstance(value, pd.Series):
        return _column(value, "value" if value.name is None else str(value.name))
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, str):
        return _strings([value])
    if isinstance(value, bool | np.bool_):
        return rinterface.BoolSexpVector([bool(value)])
    if type(value) is float and value == value:  # without pandas, which takes a tenth of a ms
        return rinterface.FloatSexpVector([value])
    if isinstance(value, int | np.integer | float | np.floating):
        return _atomic([value])
    if isinstance(value, Mapping):
        return _list(value.values(), value.keys())
    if isinstance(value, list | tuple):
        return _atomic(list(value)) if _is_atomic(value) else _list(value)
    raise EncodingError(
        f"a value of type {type(value).__name__} has no R equivalent here: give numbers, text, "
        "booleans, None, lists or dicts of these, numpy arrays, or pandas objects."
    )


def _is_atomic(value: Iterable[Any]) -> bool:
    kinds = {_kind(x) for x in value} - {"none"}
    return kinds in ({"bool"}, {"text"}) or (bool(kinds) and kinds <= {"int", "float"})


def _kind(x: Any) -> str:
    if x is None or x is pd.NA:
        return "none"
    for kind, types in (
        ("bool", (bool, np.bool_)),
        ("int", (int, np.integer)),
        ("float", (float, np.floating)),
        ("text", (str,)),
    ):
        if isinstance(x, types):
            return kind
    return "other"


def _atomic(values: list[Any]) -> Any:
    kinds = {_kind(x) for x in values} - {"none"}
    if "text" in kinds:
        return _strings(values)
    dtype = "boolean" if kinds == {"bool"} else "Int64" if kinds == {"int"} else "Float64"
    try:
        series = pd.Series(values, dtype=dtype)
    except OverflowError:
        raise EncodingError(f"{values} holds an integer that R can't hold exactly.") from None
    return _column(series, "value")


def _list(values: Iterable[Any], names: Iterable[str] | None = None) -> Any:
    from rpy2 import rinterface

    vector = rinterface.ListSexpVector([to_r(x) for x in values])
    if names is not None:
        vector.names = _strings(list(names))
    return vector


def _array(array: np.ndarray[Any, Any]) -> Any:
    from rpy2 import rinterface

    vector = _column(pd.Series(array.ravel(order="F")), "array")
    if array.ndim > 1:
        dim = rinterface.IntSexpVector(list(array.shape))
        vector = rinterface.baseenv["dim<-"](vector, value=dim)
    return vector


def _frame(frame: pd.DataFrame) -> Any:
    from rpy2 import rinterface

    from .session import session

    check_frame_names(frame)
    columns = [_encoded(column, str(name)) for name, column in frame.items()]
    return session().function("assemble_frame")(
        rinterface.ListSexpVector(columns),
        _strings(frame.columns.tolist()),
        rinterface.IntSexpVector([len(frame)]),
    )


def _column(column: pd.Series[Any], name: str) -> Any:
    from rpy2 import rinterface

    from .session import session

    encoded = _encoded(column, name)
    if isinstance(encoded, rinterface.ListSexpVector):
        return session().function("assemble_column")(encoded)
    return encoded


def _encoded(column: pd.Series[Any], name: str) -> Any:
    """Return what ``assemble_column`` in R takes: a vector, or list(kind, values, ...)."""
    return _encoder(column, name)(column, name)


def _described(kind: str, values: Any, **more: Any) -> Any:
    from rpy2 import rinterface

    parts = {"kind": rinterface.StrSexpVector([kind]), "values": values, **more}
    described = rinterface.ListSexpVector(list(parts.values()))
    described.names = rinterface.StrSexpVector(list(parts))
    return described


def _encoder(column: pd.Series[Any], name: str) -> Callable[[Any, str], Any]:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _factor
    if isinstance(dtype, pd.ArrowDtype):
        return _arrow
    if isinstance(dtype, pd.SparseDtype):
        raise EncodingError(f"column {name!r} has dtype {dtype}, {_remedy(dtype)}")
    if isinstance(dtype, pd.DatetimeTZDtype) or dtype.kind == "M":
        return _datetime
    if pd.api.types.is_bool_dtype(dtype):
        return _logical
    if pd.api.types.is_integer_dtype(dtype):
        return _integer
    if pd.api.types.is_float_dtype(dtype):
        return _double
    if isinstance(dtype, pd.StringDtype):
        return _text
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        return _object
    raise EncodingError(f"column {name!r} has dtype {dtype}, {_remedy(dtype)}")


def _remedy(dtype: Any) -> str:
    text = str(dtype)
    if text.startswith("timedelta"):
        return "which R has no exact type for: give numbers (`.dt.total_seconds()`)."
    if text.startswith("period"):
        return "which R has no type for: give time stamps (`.dt.to_timestamp()`) or text."
    if text.startswith("interval"):
        return "which R has no type for: give categories (`.astype(str).astype('category')`)."
    if text.startswith("Sparse"):
        return "which R can't share: give a dense column (`.sparse.to_dense()`)."
    if text.startswith("complex"):
        return "which no model here takes: give the real and the imaginary part as two columns."
    return "which has no R equivalent: convert it to numbers, text, booleans or categories."


def _double(column: pd.Series[Any], name: str) -> Any:
    from rpy2 import rinterface

    nullable = pd.api.types.is_extension_array_dtype(column.dtype)
    if nullable:
        values = column.array._data
        missing = column.array._mask
    else:
        values = column.to_numpy()
        missing = None
    if values.dtype.itemsize > 8:
        raise EncodingError(
            f"column {name!r} has dtype {values.dtype}, wider than R's doubles: use float64."
        )
    values = np.ascontiguousarray(values, dtype=np.float64)
    if missing is None:
        missing = np.isnan(values)
    vector = rinterface.FloatSexpVector.from_memoryview(values.data)
    if missing.any():
        np.frombuffer(vector.memoryview(), dtype=np.uint64)[missing] = _NA_REAL
    return vector


def _integer(column: pd.Series[Any], name: str) -> Any:
    from rpy2 import rinterface

    values, missing = _values_and_mask(column)
    held = values if missing is None else values[~missing]
    low, high = (int(held.min()), int(held.max())) if held.size else (0, 0)
    if low >= -_MAX_INT and high <= _MAX_INT:
        return _int_vector(values, missing)
    if low < -_MAX_EXACT or high > _MAX_EXACT:
        worst = high if high > _MAX_EXACT else low
        raise EncodingError(
            f"column {name!r} holds {worst}, beyond 2**53: R has no type that holds it exactly. "
            "If it is an identifier, give it as text (`.astype(str)`)."
        )
    doubles = values.astype(np.float64)
    vector = rinterface.FloatSexpVector.from_memoryview(doubles.data)
    if missing is not None:
        np.frombuffer(vector.memoryview(), dtype=np.uint64)[missing] = _NA_REAL
    return vector


def _logical(column: pd.Series[Any], name: str) -> Any:
    from rpy2 import rinterface

    values, missing = _values_and_mask(column)
    return rinterface.BoolSexpVector.from_memoryview(_int_array(values, missing).data)


def _values_and_mask(column: pd.Series[Any]) -> tuple[Any, Any]:
    if not pd.api.types.is_extension_array_dtype(column.dtype):
        return column.to_numpy(), None
    mask = column.array._mask
    return column.array._data, mask if mask.any() else None


def _int_array(values: Any, missing: Any) -> np.ndarray[Any, np.dtype[np.int32]]:
    array: np.ndarray[Any, np.dtype[np.int32]]
    if missing is None:
        array = np.ascontiguousarray(values, dtype=np.int32)
    else:
        array = np.where(missing, _NA_INT, values.astype(np.int32))
    return array


def _int_vector(values: Any, missing: Any = None) -> Any:
    from rpy2 import rinterface

    return rinterface.IntSexpVector.from_memoryview(_int_array(values, missing).data)


def _text(column: pd.Series[Any], name: str) -> Any:
    codes, levels = column.array.factorize()
    return _described("text", _codes(codes), levels=_strings(levels.tolist(), f"column {name!r}"))


def _factor(column: pd.Series[Any], name: str) -> Any:
    from rpy2 import rinterface

    values: Any = column.array  # a Categorical: `column.cat` would be made anew for each use
    labels = [label(x) for x in values.categories.tolist()]
    if len(set(labels)) < len(labels):
        twice = sorted({x for x in labels if labels.count(x) > 1})
        raise EncodingError(
            f"column {name!r} has categories that read the same as text: {twice}. R's levels are "
            "text: rename them (`.cat.rename_categories`)."
        )
    return _described(
        "factor",
        _codes(values.codes),
        levels=_strings(labels, f"column {name!r}"),
        ordered=rinterface.BoolSexpVector([bool(values.ordered)]),
    )


def _codes(codes: Any) -> Any:
    """R's codes start at 1; pandas' -1 is NA. In place: a column may have 10^7 of them."""
    ours = codes.astype(np.int32)
    missing = ours < 0
    ours += 1
    if missing.any():
        ours[missing] = _NA_INT
    return _int_vector(ours)


def _datetime(column: pd.Series[Any], name: str) -> Any:
    from rpy2 import rinterface

    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    values = column.to_numpy()
    missing = np.isnat(values)
    holes = bool(missing.any())
    seconds_of = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
    per_second = seconds_of[np.datetime_data(values.dtype)[0]]
    ticks = values.view(np.int64)
    if holes:
        ticks = np.where(missing, np.int64(0), ticks)
    if per_second > 10**6 and (ticks % 1000 != 0).any():
        raise EncodingError(
            f"column {name!r} holds times finer than the microseconds that R's double of seconds "
            "can tell apart: round it (`.dt.floor('us')`)."
        )
    seconds = _seconds(ticks, per_second)
    if seconds is None:
        raise EncodingError(
            f"column {name!r} holds times so far from 1970 that R's double of seconds doesn't hold "
            "their microseconds: round it (`.dt.floor('s')`), or leave them out."
        )
    vector = rinterface.FloatSexpVector.from_memoryview(seconds.data)
    if holes:
        np.frombuffer(vector.memoryview(), dtype=np.uint64)[missing] = _NA_REAL
    return _described("datetime", vector)


def _seconds(ticks: Any, per_second: int) -> Any:
    """Return R's doubles of seconds; None where they don't give back the same microseconds."""
    whole = ticks // per_second  # several times as fast as np.divmod
    part = ticks - whole * per_second
    if (np.abs(whole) > np.iinfo(np.int64).max // 10**6 - 1).any():
        return None
    if not part.any():
        return whole.astype(np.float64)
    seconds = whole + part / per_second
    back = np.floor(seconds)
    again = np.rint((seconds - back) * 10**6).astype(np.int64) * np.int64(per_second)
    same = np.array_equal(back.astype(np.int64), whole) and np.array_equal(again, part * 10**6)
    return seconds if same else None


def _date(column: pd.Series[Any], name: str) -> Any:
    days = np.array(
        [np.nan if pd.isna(x) else x.toordinal() - _EPOCH for x in column], dtype=np.float64
    )
    return _described("date", _double(pd.Series(days), name))


_EPOCH = dt.date(1970, 1, 1).toordinal()


def _object(column: pd.Series[Any], name: str) -> Any:
    """Encode an object column whose values, except for the missing ones, are all of one kind."""
    held = column.dropna()
    kind = pd.api.types.infer_dtype(held)
    if kind in ("string", "empty"):
        return _text(column, name)
    if kind == "boolean":
        return _logical(column.where(column.notna(), None).astype("boolean"), name)
    # A datetime is a date, too, to Python; as one it would lose its time of day.
    if kind == "date" and not any(isinstance(x, dt.datetime) for x in held):
        return _date(column, name)
    kinds = sorted({type(x).__name__ for x in held})
    raise EncodingError(
        f"column {name!r} is of dtype object and holds {', '.join(kinds)}: R needs one type. "
        "Convert it (`.astype('float64')`, `.astype(str)`, `.convert_dtypes()`)."
    )


def _arrow(column: pd.Series[Any], name: str) -> Any:
    """Arrow-backed columns go by way of the pandas type that holds the same values."""
    import pyarrow as pa

    kind = column.dtype.pyarrow_dtype
    if pa.types.is_date(kind):
        return _date(column.astype(object), name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _text(column, name)
    if pa.types.is_dictionary(kind):
        # By way of Arrow: the conversion by pandas loses the order and the unused levels.
        held = pa.chunked_array(column.array.__arrow_array__()).combine_chunks()
        return _factor(pd.Series(held.to_pandas()), name)
    if pa.types.is_boolean(kind):
        return _logical(column.astype("boolean"), name)
    if pa.types.is_integer(kind):
        return _integer(masked_integers(column), name)
    if pa.types.is_floating(kind):
        return _double(column.astype("Float64"), name)
    if pa.types.is_timestamp(kind):
        zoned = f", {kind.tz}" if kind.tz else ""
        return _datetime(column.astype(f"datetime64[{kind.unit}{zoned}]"), name)
    raise EncodingError(f"column {name!r} has dtype {column.dtype}, {_remedy(column.dtype)}")


def _strings(values: list[Any], what: str = "text") -> Any:
    """Return R's text of these; many go as one joined text, which R parts again.

    200 texts take a third of the time that a call of R for each of them takes.
    """
    from .session import session

    if len(values) >= _MANY and all(type(x) is str for x in values):
        joined = _SEPARATOR.join(values)
        if (
            values[-1]
            and joined.count(_SEPARATOR) == len(values) - 1
            and len(joined) < _LONGEST
            and text_fault(joined) is None
        ):
            return session().function("parted")(
                _each_string([joined], what), _each_string([_SEPARATOR], what)
            )
    return _each_string(values, what)


_MANY = 40  # fewer take no longer one by one
_SEPARATOR = "\x1f"  # ASCII's separator of units
_LONGEST = 2**28  # characters; the limit of R's text is 2**31 bytes


def _each_string(values: list[Any], what: str) -> Any:
    """Return R's text of these; by R's C interface, at a fifth of rpy2's time."""
    from rpy2.rinterface_lib import conversion, memorymanagement, openrlib

    rlib = openrlib.rlib
    with memorymanagement.rmemory() as keep:
        cdata = keep.protect(rlib.Rf_allocVector(rlib.STRSXP, len(values)))
        for i, value in enumerate(values):
            if value is None or value is pd.NA:
                charsxp = rlib.R_NaString
            elif isinstance(value, str):
                utf8 = check_text(value, what).encode("utf-8")
                charsxp = rlib.Rf_mkCharLenCE(utf8, len(utf8), rlib.CE_UTF8)
            else:
                raise EncodingError(f"{what}: {value!r} is not text.")
            rlib.SET_STRING_ELT(cdata, i, charsxp)
        return conversion._cdata_to_rinterface(cdata)
