"""Python's values as R vectors and back, for `rds`.

The package itself carries values with other code (``rbridge_mi.rdoor``), which this one checks.

===========================================  ==============================================
Python                                       R
===========================================  ==============================================
float64, float32, Float64, list of floats    double; NaN is NA
int8 … int64, Int8 … Int64                   integer; double where a value is beyond 32 bits
bool, boolean                                logical
str, string, object holding str              character
category                                     factor, or ordered factor
datetime64, with zone or without             POSIXct in UTC
object holding datetime.date                 Date
DataFrame                                    data.frame with automatic row names
dict, list                                   list
===========================================  ==============================================

Back: a named vector is a Series, a matrix with names a DataFrame, any other vector a numpy array
(integer and logical with NA: a masked pandas array), text an object array with None for NA.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..errors import EncodingError
from .rds import NA_INTEGER, NA_REAL_BITS, Kind, Node

__all__ = ["from_python", "to_python"]

_MAX_INTEGER = 2**31 - 1
_EPOCH = dt.date(1970, 1, 1)


# -- to R -------------------------------------------------------------------------------------


def from_python(value: Any, what: str = "value") -> Node | None:
    """Convert a Python value to an R vector; see the module's table.

    Parameters
    ----------
    value : DataFrame, Series, array, scalar, mapping, sequence, Node or None
        The value.
    what : str
        What to call it in messages.

    Returns
    -------
    Node or None
        The R vector; None is NULL.

    Raises
    ------
    EncodingError
        Naming the value or column that R's vectors can't hold exactly.

    See Also
    --------
    to_python : The inverse.

    Examples
    --------
    >>> from_python([1.5, 2.0]).kind
    'double'
    """
    if value is None or isinstance(value, Node):
        return value
    if isinstance(value, pd.DataFrame):
        return _frame(value, what)
    if isinstance(value, pd.Series):
        return _column(value, what)
    if isinstance(value, np.ndarray):
        node = _column(pd.Series(value.ravel(order="F")), what)
        if value.ndim > 1:
            node.attributes["dim"] = _integers(value.shape)
        return node
    if isinstance(value, bool | np.bool_):
        return Node("logical", np.array([int(value)], np.int32))
    if isinstance(value, str | int | float | np.generic):
        return _column(pd.Series([value]), what)
    if isinstance(value, Mapping):
        items = [from_python(x, f"{what}[{name!r}]") for name, x in value.items()]
        return Node("list", items, {"names": _texts([str(x) for x in value])})
    if isinstance(value, Sequence):
        if value and all(isinstance(x, type(value[0])) for x in value[1:]):
            if isinstance(value[0], str):
                return _texts(list(value))
            if isinstance(value[0], bool | int | float):
                return _column(pd.Series(list(value)), what)
        return Node("list", [from_python(x, f"{what}[{i}]") for i, x in enumerate(value)])
    raise EncodingError(f"{what}: a value of type {type(value).__name__} has no R vector.")


def _frame(frame: pd.DataFrame, what: str) -> Node:
    names = [str(x) for x in frame.columns]
    columns = [
        _column(frame.iloc[:, i], f"{what}: column {name!r}") for i, name in enumerate(names)
    ]
    attributes: dict[str, Node | None] = {
        "names": _texts(names),
        "row.names": _integers([NA_INTEGER, -len(frame)]),  # R's short form of 1 ... n
        "class": _texts(["data.frame"]),
    }
    return Node("list", columns, attributes)


def _column(column: pd.Series[Any], what: str) -> Node:
    dtype = column.dtype
    missing = column.isna().to_numpy()
    if isinstance(dtype, pd.CategoricalDtype):
        return _factor(column)
    if pd.api.types.is_bool_dtype(dtype) or _all_of(column, bool | np.bool_):
        codes = [NA_INTEGER if na else int(x) for x, na in zip(column, missing, strict=True)]
        return Node("logical", np.array(codes, np.int32))
    if pd.api.types.is_integer_dtype(dtype):
        return _whole(column, missing, what)
    if pd.api.types.is_float_dtype(dtype):
        return _doubles(column.to_numpy(np.float64, na_value=np.nan), missing)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        if isinstance(dtype, pd.DatetimeTZDtype):
            column = column.dt.tz_convert("UTC").dt.tz_localize(None)
        micros = column.astype("datetime64[us]").to_numpy().view(np.int64)
        node = _doubles(micros / 1e6, missing)
        classes = _texts(["POSIXct", "POSIXt"])
        return Node("double", node.values, {"class": classes, "tzone": _texts(["UTC"])})
    texts = isinstance(dtype, pd.StringDtype) or str(dtype).endswith("string[pyarrow]")
    if texts or _all_of(column, str):
        return _texts([None if na else x for x, na in zip(column, missing, strict=True)])
    if _all_of(column, dt.date):
        days = [0 if na else (x - _EPOCH).days for x, na in zip(column, missing, strict=True)]
        node = _doubles(np.array(days, np.float64), missing)
        return Node("double", node.values, {"class": _texts(["Date"])})
    raise EncodingError(f"{what} has dtype {dtype}, which has no R vector.")


def _all_of(column: pd.Series[Any], kind: Any) -> bool:
    plain = isinstance(column.dtype, np.dtype) and column.dtype.kind == "O"
    return plain and all(isinstance(x, kind) for x in column[column.notna()])


def _factor(column: pd.Series[Any]) -> Node:
    levels = [
        str(int(x)) if isinstance(x, float) and x.is_integer() else str(x)
        for x in column.cat.categories
    ]
    codes = column.cat.codes.to_numpy().astype(np.int32) + 1
    codes[codes == 0] = NA_INTEGER
    classes = ["ordered", "factor"] if column.cat.ordered else ["factor"]
    return Node("integer", codes, {"levels": _texts(levels), "class": _texts(classes)})


def _whole(column: pd.Series[Any], missing: Any, what: str) -> Node:
    values = [0 if na else int(x) for x, na in zip(column, missing, strict=True)]
    largest = max(map(abs, values), default=0)
    if largest > 2**53:
        raise EncodingError(f"{what} holds {largest}, beyond 2**53: R has no type for it.")
    if largest > _MAX_INTEGER:
        return _doubles(np.array(values, np.float64), missing)
    codes = np.array(values, np.int32)
    codes[missing] = NA_INTEGER
    return Node("integer", codes)


def _doubles(values: Any, missing: Any) -> Node:
    bits = np.array(values, np.float64).view(np.uint64)
    bits[missing] = NA_REAL_BITS
    return Node("double", bits.view(np.float64))


def _texts(values: list[Any]) -> Node:
    return Node("character", values)


def _integers(values: Sequence[int]) -> Node:
    return Node("integer", np.array(values, np.int32))


# -- from R -----------------------------------------------------------------------------------


def to_python(node: Node | None) -> Any:
    """Convert an R vector to a frame, Series, array, dict or list; see the module's table.

    Parameters
    ----------
    node : Node or None
        The R vector; None is NULL.

    Returns
    -------
    DataFrame, Series, array, dict, list, bytes or None
        The Python value.

    See Also
    --------
    from_python : The inverse.

    Examples
    --------
    >>> to_python(from_python({"a": [1.5], "b": None}))
    {'a': array([1.5]), 'b': None}
    """
    if node is None:
        return None
    classes = node.texts("class") or []
    names = node.texts("names")
    if node.kind == "list":
        items = [to_python(x) for x in node.values]
        if "data.frame" in classes:
            return _to_frame(node, items, names or [])
        return items if names is None else dict(zip(names, items, strict=True))
    if node.kind == "raw":
        return node.values
    values = _plain(node.kind, node.values)
    if "factor" in classes:
        codes = np.where(node.values == NA_INTEGER, 0, node.values) - 1
        return pd.Categorical.from_codes(
            codes, node.texts("levels") or [], ordered="ordered" in classes
        )
    if "Date" in classes:
        return _ticks(node, 86400, "s")
    if "POSIXct" in classes:
        return _ticks(node, 10**6, "us")
    dim = node.attributes.get("dim")
    if dim is not None:
        return _to_array(node, values, tuple(int(x) for x in dim.values))
    return values if names is None else pd.Series(values, index=pd.Index(names))


def _plain(kind: Kind, values: Any) -> Any:
    if kind == "double":
        return values
    if kind == "character":
        array = np.empty(len(values), object)
        array[:] = values
        return array
    missing = values == NA_INTEGER
    if kind == "logical":
        return pd.arrays.BooleanArray(values == 1, missing) if missing.any() else values == 1
    return pd.arrays.IntegerArray(values, missing) if missing.any() else values


def _to_frame(node: Node, items: list[Any], names: list[Any]) -> pd.DataFrame:
    rows = node.attributes["row.names"]
    assert rows is not None
    index: pd.Index
    if rows.kind == "character":
        index = pd.Index(rows.values)
    elif len(rows.values) == 2 and rows.values[0] == NA_INTEGER:
        index = pd.RangeIndex(abs(int(rows.values[1])))
    else:
        whole = np.array_equal(rows.values, np.arange(1, len(rows.values) + 1))
        index = pd.RangeIndex(len(rows.values)) if whole else pd.Index(rows.values)
    wrong = [x for x, item in zip(names, items, strict=True) if len(item) != len(index)]
    if wrong:
        raise EncodingError(f"columns {wrong} of R's data frame are no vectors: split them in R.")
    frame = pd.DataFrame(dict(enumerate(items)), index=index)
    frame.columns = pd.Index(names)
    return frame


def _to_array(node: Node, values: Any, shape: tuple[int, ...]) -> Any:
    array = np.reshape(np.asarray(values), shape, order="F")
    dimnames = node.attributes.get("dimnames")
    if dimnames is None or len(shape) != 2:
        return array
    rows, columns = (None if x is None else x.values for x in dimnames.values)
    return pd.DataFrame(array, index=rows, columns=columns)


def _ticks(node: Node, per_unit: int, unit: str) -> Any:
    values = np.asarray(node.values, np.float64)
    missing = np.isnan(values)
    ticks = np.rint(np.where(missing, 0.0, values) * per_unit).astype(np.int64)
    ticks[missing] = np.iinfo(np.int64).min
    return ticks.view(f"datetime64[{unit}]")
