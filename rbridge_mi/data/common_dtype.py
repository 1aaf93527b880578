"""One dtype for a column of several data sets: it holds every value of each, or there is none.

==============================  ===================================================================
values of the data sets         what holds them
==============================  ===================================================================
booleans                        bool; boolean where a cell is missing
integers                        the narrowest integers; nullable where a cell is missing
integers and floats             floats, if each integer is one of them exactly (up to 2**53)
text                            the first data set's dtype; object, if one has it
categories                      all categories, in the order of one that has them all; else, where
                                they are unordered, in the order in which they first appear
times, durations                the finest unit; in UTC, if time zones differ
no value at all                 any of these
==============================  ===================================================================

Nothing holds values of two of these kinds, ordered and unordered categories, categories of another
order, times with and without a zone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from ..base.arrow import masked_integers
from ..errors import ArgumentError

__all__ = ["cast", "common_dtype", "described", "differs", "nullable", "same_dtype", "settable"]

_MAX_EXACT = 2**53  # a double holds each integer up to here
_UNITS = ("s", "ms", "us", "ns")
_NUMBERS, _BOOLEANS, _TEXT, _CATEGORIES = "numbers", "booleans", "text", "categories"
_ZONED, _PLAIN_TIMES, _DURATIONS = "times with a zone", "times without a zone", "durations"


def common_dtype(
    name: Any, columns: Mapping[str, pd.Series[Any]], original: pd.Series[Any] | None = None
) -> Any:
    """Return the dtype that holds the column's values in every data set.

    Parameters
    ----------
    name : hashable
        The column's name.
    columns : mapping
        The column in each data set, by what the data set is called in messages.
    original : Series, optional
        The column with its holes: where categories differ, its order counts first.

    Raises
    ------
    ArgumentError
        There is no such dtype: the message names the column and two of the data sets.
    """
    first = next(iter(columns.values()))
    if all(same_dtype(x.dtype, first.dtype) for x in columns.values()) and _can_be_set(first.dtype):
        return first.dtype
    plain = {who: _plain(x) for who, x in columns.items()}
    held = {who: x for who, x in plain.items() if not x.isna().all()}
    if not held:
        return next(iter(plain.values())).dtype
    kinds = {who: _kind(x) for who, x in held.items()}
    [(one, kind), *others] = kinds.items()
    for who, other in others:
        if other != kind:
            raise _refusal(
                name,
                f"{one} holds {kind} ({columns[one].dtype}), {who} {other} ({columns[who].dtype})",
                "convert the column in each data set before (`.astype(...)`), or leave it out",
            )
    gaps = any(x.isna().any() for x in plain.values())
    if kind == _CATEGORIES:
        return _categories(name, held, original)
    dtypes = [x.dtype for x in held.values()]
    if kind == _BOOLEANS:
        return pd.BooleanDtype() if gaps or any(map(_is_masked, dtypes)) else np.dtype(bool)
    if kind == _NUMBERS:
        return _numbers(name, held, gaps)
    if kind == _TEXT:
        return next((x for x in dtypes if _is_object(x)), dtypes[0])
    if kind in (_ZONED, _PLAIN_TIMES, _DURATIONS):
        return _times(name, held, kind)
    return dtypes[0]


def same_dtype(one: Any, other: Any) -> bool:
    """Return whether two dtypes are the same, the order of unordered categories included."""
    if one != other:
        return False
    if isinstance(one, pd.CategoricalDtype):
        return same_dtype(one.categories.dtype, other.categories.dtype) and bool(
            one.categories.equals(other.categories)
        )
    return True


def cast(column: pd.Series[Any], dtype: Any) -> pd.Series[Any]:
    """Return the column in a dtype that `common_dtype` chose for it."""
    if same_dtype(column.dtype, dtype):
        return column
    if column.isna().all():
        return pd.Series([None] * len(column), column.index, dtype, column.name)
    column = _plain(column)
    if same_dtype(column.dtype, dtype):
        return column
    if isinstance(dtype, pd.CategoricalDtype) and isinstance(column.dtype, pd.CategoricalDtype):
        ours = _in(column.cat.categories, dtype.categories.dtype)
        codes = column.cat.codes.to_numpy()
        codes = np.where(codes < 0, -1, _places(ours, dtype.categories)[codes])
        values = pd.Categorical.from_codes(codes, dtype=dtype)
        return pd.Series(values, index=column.index, name=column.name)
    if isinstance(dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert(dtype.tz)
    return column.astype(dtype)


def nullable(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return the column in a dtype that has room for missing cells."""
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind == "b":
        return column.astype("boolean")
    if isinstance(dtype, np.dtype) and dtype.kind in "iu":
        return column.astype(_masked(dtype))
    return column


def settable(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return the column in a dtype whose cells may be filled in."""
    return column if _can_be_set(column.dtype) else _plain(column)


def differs(one: pd.Series[Any], other: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """In which cells do two columns of one dtype not have the same? Missing cells have the same."""
    gone, too = one.isna().to_numpy(), other.isna().to_numpy()
    a, b = _comparable(one), _comparable(other)
    if a is None or b is None:
        unequal = pd.Series(one.array, copy=False) != pd.Series(other.array, copy=False)
        unequal = unequal.to_numpy(dtype=bool, na_value=True)
    elif a.dtype == object:
        pairs = zip(a, b, strict=True)
        unequal = np.fromiter((not _alike(x, y) for x, y in pairs), bool, len(a))
    else:
        unequal = a != b
    different: np.ndarray[Any, np.dtype[np.bool_]] = (gone != too) | (~gone & ~too & unequal)
    return different


def _alike(x: Any, y: Any) -> bool:
    """Is an object of a column the same as another? To Python, 1, 1.0 and True are equal."""
    if x is y:
        return True
    try:
        return type(x) is type(y) and bool(x == y)
    except (TypeError, ValueError):  # arrays in cells, say
        return False


def _comparable(column: pd.Series[Any]) -> Any:
    """Numbers that are equal where the cells are; None to compare the columns themselves."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy()
    if isinstance(dtype, pd.ArrowDtype) and dtype.kind not in "biuf":
        return None
    if isinstance(dtype, pd.DatetimeTZDtype) or dtype.kind in "mM":
        return column.array.view("int64")
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_integer_dtype(dtype):
        wanted = getattr(dtype, "numpy_dtype", dtype)
        return (
            column.to_numpy()
            if wanted is dtype
            else column.to_numpy(wanted, na_value=wanted.type())
        )
    if pd.api.types.is_float_dtype(dtype):
        if getattr(dtype, "itemsize", 8) > 8:
            return column.to_numpy()
        values = column.to_numpy(np.float64, na_value=np.nan)
        # By their bits, so that -0.0 is not 0.0; but any NaN is any other.
        return np.where(np.isnan(values), np.nan, values).view(np.int64)
    if _is_object(dtype):
        return None if _kind(column) == _TEXT else column.to_numpy()
    return None


def _can_be_set(dtype: Any) -> bool:
    """Return whether cells of such a column may be filled in."""
    if isinstance(dtype, pd.ArrowDtype):
        return not _is_dictionary(dtype)
    return not isinstance(dtype, pd.SparseDtype)


def _is_dictionary(dtype: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_dictionary(dtype.pyarrow_dtype))


def _is_object(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind == "O"


def _is_masked(dtype: Any) -> bool:
    return isinstance(dtype, pd.api.extensions.ExtensionDtype)


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return the same values in a dtype that pandas defines, where one holds them."""
    dtype = column.dtype
    if isinstance(dtype, pd.SparseDtype):
        return _plain(column.astype(dtype.subtype))
    if isinstance(dtype, pd.ArrowDtype):
        return _from_arrow(column, dtype)
    if not _is_object(dtype):
        return column
    held = column.dropna()
    kind = pd.api.types.infer_dtype(held)
    if kind == "boolean":
        return column.where(column.notna(), None).astype("boolean")
    if kind == "integer":
        wide = "UInt64" if max(held) >= 2**63 else "Int64"
        try:
            return column.where(column.notna(), None).astype(wide)
        except OverflowError:
            return column
    if kind == "floating":
        return column.astype(np.float64)
    return column if kind in ("string", "date") else column.infer_objects()


def _from_arrow(column: pd.Series[Any], dtype: Any) -> pd.Series[Any]:
    import pyarrow as pa

    kind = dtype.pyarrow_dtype
    if pa.types.is_dictionary(kind):
        # By way of Arrow: the conversion by pandas loses the order and the unused levels.
        values = pa.chunked_array(column.array.__arrow_array__()).combine_chunks().to_pandas()
        return pd.Series(values.array, index=column.index, name=column.name)
    if pa.types.is_boolean(kind):
        return column.astype("boolean")
    if pa.types.is_integer(kind):
        return masked_integers(column)
    if pa.types.is_floating(kind):
        return column.astype(_masked(dtype.numpy_dtype))
    if pa.types.is_date(kind):
        return column.astype(object)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column.astype("string")
    if pa.types.is_timestamp(kind):
        zoned = f", {kind.tz}" if kind.tz else ""
        return column.astype(f"datetime64[{kind.unit}{zoned}]")
    if pa.types.is_duration(kind):
        return column.astype(f"timedelta64[{kind.unit}]")
    return column


def _kind(column: pd.Series[Any]) -> str:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _CATEGORIES
    if isinstance(dtype, pd.StringDtype):
        return _TEXT
    if isinstance(dtype, pd.DatetimeTZDtype):
        return _ZONED
    if _is_object(dtype):
        kind = pd.api.types.infer_dtype(column, skipna=True)
        return _TEXT if kind == "string" else f"objects ({kind})"
    if isinstance(dtype, np.dtype) and dtype.kind in "mM":
        return _PLAIN_TIMES if dtype.kind == "M" else _DURATIONS
    if pd.api.types.is_bool_dtype(dtype):
        return _BOOLEANS
    if pd.api.types.is_integer_dtype(dtype) or pd.api.types.is_float_dtype(dtype):
        return _NUMBERS
    return str(dtype)


def _masked(dtype: np.dtype[Any]) -> Any:
    """Return the nullable dtype of the same numbers."""
    if dtype.kind == "f":
        return pd.Float32Dtype() if dtype.itemsize <= 4 else pd.Float64Dtype()
    return pd.array([], dtype=dtype.name.replace("int", "Int").replace("u", "U")).dtype


def _numbers(name: Any, held: Mapping[str, pd.Series[Any]], gaps: bool) -> Any:
    dtypes = {who: getattr(x.dtype, "numpy_dtype", x.dtype) for who, x in held.items()}
    common: Any = reduce(np.promote_types, dtypes.values())
    whole = {who: x for who, x in held.items() if dtypes[who].kind in "iu"}
    if len(whole) == len(held):
        if common.kind == "f":  # there is no numpy type for int64 and uint64
            common = np.dtype(np.int64)
            large = next((who for who, x in whole.items() if int(x.max()) >= 2**63), None)
            negative = next((who for who, x in whole.items() if int(x.min()) < 0), None)
            if large is not None:
                common = np.dtype(np.uint64)
            if large is not None and negative is not None:
                raise _refusal(
                    name,
                    f"{large} holds integers of 2**63 and more ({held[large].dtype}), {negative} "
                    f"integers below 0 ({held[negative].dtype})",
                    "give them as text (`.astype(str)`), if they are identifiers",
                )
    else:
        for who, x in whole.items():
            if int(x.max()) > _MAX_EXACT or int(x.min()) < -_MAX_EXACT:
                other = next(k for k in held if k not in whole)
                raise _refusal(
                    name,
                    f"{who} holds integers beyond 2**53 ({x.dtype}), {other} floats "
                    f"({held[other].dtype})",
                    "give them as text (`.astype(str)`), if they are identifiers",
                )
    nullable = common.itemsize <= 8 and any(_is_masked(x.dtype) for x in held.values())
    return _masked(common) if nullable or (gaps and common.kind in "iu") else common


def _times(name: Any, held: Mapping[str, pd.Series[Any]], kind: str) -> Any:
    units = {who: np.datetime_data(_clock(x))[0] for who, x in held.items()}
    finest = max(units.values(), key=_UNITS.index)
    if kind == _ZONED:
        zones = [x.dtype.tz for x in held.values()]
        zone = zones[0] if len(set(map(str, zones))) == 1 else "UTC"
        dtype: Any = pd.DatetimeTZDtype(finest, zone)
    else:
        dtype = np.dtype(f"{'M' if kind == _PLAIN_TIMES else 'm'}8[{finest}]")
    for who, x in held.items():
        try:
            cast(x, dtype)
        except (OverflowError, ValueError):  # pandas' OutOfBoundsDatetime is a ValueError
            other = next(k for k, unit in units.items() if unit == finest)
            raise _refusal(
                name,
                f"{who} holds {kind} that the unit of {other}, {finest}, has no room for",
                "give all of them the coarser unit (`.dt.as_unit('s')`)",
            ) from None
    return dtype


def _clock(column: pd.Series[Any]) -> np.dtype[Any]:
    dtype = column.dtype
    return np.dtype(f"M8[{dtype.unit}]") if isinstance(dtype, pd.DatetimeTZDtype) else dtype


def _in(categories: pd.Index, dtype: Any) -> pd.Index:
    """Return the categories in another dtype, in the same order."""
    values = cast(pd.Series(categories), dtype)
    return pd.Index(values.array, tupleize_cols=False)


def _places(categories: pd.Index, among: pd.Index) -> np.ndarray[Any, Any]:
    """Where each category stands among others, -1 if nowhere; intervals may overlap."""
    place = {x: i for i, x in enumerate(among)}
    return np.array([place.get(x, -1) for x in categories], dtype=np.intp)


def _categories(
    name: Any, held: Mapping[str, pd.Series[Any]], original: pd.Series[Any] | None
) -> pd.CategoricalDtype:
    dtypes = {who: x.dtype for who, x in held.items()}
    [(one, first), *others] = dtypes.items()
    for who, dtype in others:
        if bool(dtype.ordered) != bool(first.ordered):
            kinds = ("unordered", "ordered")
            raise _refusal(
                name,
                f"{one} holds {kinds[bool(first.ordered)]} categories, {who} "
                f"{kinds[bool(dtype.ordered)]} ones",
                "give each data set the same pd.CategoricalDtype",
            )
    labels = {who: pd.Series(x.categories) for who, x in dtypes.items()}
    inner = common_dtype(f"{name} (its categories)", labels)
    each = {who: _in(x.categories, inner) for who, x in dtypes.items()}
    union = reduce(lambda a, b: a.append(b[_places(b, a) < 0]), each.values())
    known = list(each.values())
    if original is not None and isinstance(original.dtype, pd.CategoricalDtype):
        theirs = original.dtype
        if bool(theirs.ordered) == bool(first.ordered) and same_dtype(
            theirs.categories.dtype, inner
        ):
            known.insert(0, theirs.categories)
    whole = [x for x in known if (_places(union, x) >= 0).all()]
    if not first.ordered:
        return pd.CategoricalDtype(whole[0] if whole else union, ordered=False)
    for order in whole:
        if all((np.diff(_places(x, order)) > 0).all() for x in each.values()):
            return pd.CategoricalDtype(order, ordered=True)
    who = next(k for k, x in each.items() if not x.equals(each[one]))
    remedy = "give each data set the same pd.CategoricalDtype([...], ordered=True)"
    if isinstance(inner, pd.IntervalDtype):
        remedy = (
            "name the groups, `pd.qcut(d['x'], 4, labels=[...])`, or cut every data set at the "
            "same places, `pd.cut(d['x'], [...])`"
        )
    raise _refusal(
        name,
        f"the ordered categories of {one}, {_listed(each[one])}, and of {who}, "
        f"{_listed(each[who])}, have no order in common",
        remedy,
    )


def _listed(categories: pd.Index) -> str:
    shown = [str(x) for x in categories[:6]] + ["..."] * (len(categories) > 6)
    return "[" + " < ".join(shown) + "]"


def _refusal(name: Any, what: str, remedy: str) -> ArgumentError:
    return ArgumentError(f"column {name!r}: {what}. No dtype holds the values of both: {remedy}.")


def described(dtypes: Sequence[Any], dtype: Any) -> str:
    """Return what a note says of a dtype that had to change."""
    given = list(dict.fromkeys(map(str, dtypes)))
    if isinstance(dtype, pd.CategoricalDtype) and given == ["category"]:
        return f"its categories became {[str(x) for x in dtype.categories]}"
    return f"{', '.join(given)} became {dtype}"
