"""R objects to Python values. Runs on R's thread.

A double vector becomes a float64 array (NA is a NaN, its payload kept), an integer or logical
vector an int32 or bool array, or a masked pandas array where it holds NA; text becomes an object
array with None for NA; a factor a Categorical; Date and POSIXct datetime64; a list a dict by name
(a list where it has no names); a data frame a DataFrame; arrays keep their dimensions. Everything
else stays in R, as an `RObject`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["from_r"]

_NA_INT = -(2**31)


def from_r(sexp: Any, hold: Callable[[Any], Any]) -> Any:
    """Return the Python value of an R object; `hold` wraps one that has none."""
    read = _readers().get(type(sexp))
    if read is None:
        return hold(sexp)
    if not _has_attributes(sexp):  # most have none, and need no look-up
        return [from_r(x, hold) for x in sexp] if read is _list else read(sexp)
    classes = _attribute(sexp, "class")
    if read is _list:
        if classes is None:
            return _list(sexp, hold)
        return _frame(sexp, hold) if "data.frame" in classes else hold(sexp)
    values = read(sexp)
    if classes is not None:
        return _classed(sexp, values, classes)
    dim = _attribute(sexp, "dim")
    return values if dim is None else np.reshape(values, tuple(dim), order="F")


@cache
def _readers() -> dict[type, Callable[..., Any]]:
    """Return what reads each of rpy2's types that has a Python value."""
    from rpy2 import rinterface

    return {
        type(rinterface.NULL): _nothing,
        rinterface.ListSexpVector: _list,
        rinterface.FloatSexpVector: _doubles,
        rinterface.BoolSexpVector: _truths,
        rinterface.IntSexpVector: _integers,
        rinterface.ByteSexpVector: _bytes,
        rinterface.ComplexSexpVector: _complexes,
        rinterface.StrSexpVector: _strings,
    }


def _list(sexp: Any, hold: Callable[[Any], Any]) -> Any:
    values = [from_r(x, hold) for x in sexp]
    names = _attribute(sexp, "names")
    return values if names is None else dict(zip(names, values, strict=True))


def _frame(sexp: Any, hold: Callable[[Any], Any]) -> pd.DataFrame:
    names = list(_attribute(sexp, "names"))
    columns = [from_r(x, hold) for x in sexp]
    rows = _attribute(sexp, "row.names")
    # R keeps automatic row names as a pair (NA, n), which rpy2 shows expanded: integers.
    index = None if rows is None or rows.dtype.kind == "i" else pd.Index(rows)
    length = 0 if rows is None else len(rows)
    frame = pd.DataFrame(
        dict(enumerate(columns)),
        index=pd.RangeIndex(length) if index is None else index,
        copy=False,  # they are copies of R's memory already
    )
    frame.columns = pd.Index(names)
    return frame


def _nothing(sexp: Any) -> None:
    """Read R's NULL."""


def _doubles(sexp: Any) -> Any:
    return _copy(sexp, np.float64)


def _complexes(sexp: Any) -> Any:
    return _copy(sexp, np.complex128)


def _truths(sexp: Any) -> Any:
    codes = _copy(sexp, np.int32)
    missing = codes == _NA_INT
    return pd.arrays.BooleanArray(codes == 1, missing) if missing.any() else codes == 1


def _integers(sexp: Any) -> Any:
    codes = _copy(sexp, np.int32)
    missing = codes == _NA_INT
    return pd.arrays.IntegerArray(codes, missing) if missing.any() else codes


def _copy(sexp: Any, dtype: Any) -> np.ndarray[Any, Any]:
    """One block copied out of R's memory."""
    from rpy2.rinterface_lib import openrlib

    if len(sexp) == 0:
        return np.empty(0, dtype)
    pointer = sexp._R_GET_PTR(sexp.__sexp__._cdata)
    size = len(sexp) * np.dtype(dtype).itemsize
    return np.frombuffer(openrlib.ffi.buffer(pointer, size), dtype).copy()


def _bytes(sexp: Any) -> bytes:
    from rpy2.rinterface_lib import openrlib

    return bytes(openrlib.ffi.buffer(openrlib.RAW(sexp.__sexp__._cdata), len(sexp)))


def _strings(sexp: Any) -> np.ndarray[Any, Any]:
    """R keeps each distinct text once, so decoding each distinct address once is enough."""
    from rpy2.rinterface_lib import openrlib

    if len(sexp) == 0:
        return np.empty(0, object)
    rlib, ffi = openrlib.rlib, openrlib.ffi
    cdata = sexp.__sexp__._cdata
    block = ffi.buffer(ffi.cast("char *", openrlib.DATAPTR(cdata)), len(sexp) * 8)
    addresses = np.frombuffer(block, np.int64)
    few = len(addresses) <= _FEW
    codes, distinct = (slice(None), addresses) if few else pd.factorize(addresses)
    texts = np.empty(len(distinct), object)
    for i, address in enumerate(distinct.tolist()):
        charsxp = ffi.cast("SEXP", address)
        if charsxp != rlib.R_NaString:
            texts[i] = ffi.string(rlib.Rf_translateCharUTF8(charsxp)).decode("utf-8")
    decoded: np.ndarray[Any, Any] = texts[codes]
    return decoded


_FEW = 64  # so many texts are decoded sooner than sorted out


def _classed(sexp: Any, values: Any, classes: Any) -> Any:
    if "factor" in classes:
        codes = np.asarray(pd.array(values, dtype="Int32").fillna(0)) - 1
        return pd.Categorical.from_codes(
            codes, list(_attribute(sexp, "levels")), ordered="ordered" in classes
        )
    if "Date" in classes:
        return _ticks(np.asarray(values, np.float64), 86400, "s")
    if "POSIXct" in classes:
        return _ticks(np.asarray(values, np.float64), 10**6, "us")
    return values  # AsIs, table, ...: the numbers are all there is


def _ticks(values: np.ndarray[Any, Any], per_unit: int, unit: str) -> Any:
    missing = np.isnan(values)
    whole = np.floor(np.where(missing, 0.0, values))
    part = np.where(missing, 0.0, values) - whole
    ticks = whole.astype(np.int64) * per_unit + np.rint(part * per_unit).astype(np.int64)
    ticks[missing] = np.iinfo(np.int64).min
    return ticks.view(f"datetime64[{unit}]")


def _has_attributes(sexp: Any) -> bool:
    from rpy2.rinterface_lib import openrlib

    rlib = openrlib.rlib
    return bool(rlib.ATTRIB(sexp.__sexp__._cdata) != rlib.R_NilValue)


def _attribute(sexp: Any, name: str) -> Any:
    """Return an attribute's values, or None.

    It is read by R's C interface, since a call would evaluate a language object.
    """
    from rpy2.rinterface_lib import conversion, memorymanagement, openrlib

    rlib = openrlib.rlib
    with memorymanagement.rmemory() as keep:
        symbol = rlib.Rf_install(name.encode())
        cdata = keep.protect(rlib.Rf_getAttrib(sexp.__sexp__._cdata, symbol))
        if cdata == rlib.R_NilValue:
            return None
        values = conversion._cdata_to_rinterface(cdata)
        return _readers()[type(values)](values)
