"""Compare two values by their bits: what differs, where, and by how many ulps.

An ulp ("unit in the last place") is the step from a double to the next one. Doubles are equal here
if their 64 bits are equal: 0.0 is not -0.0 (one ulp apart), and nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

__all__ = ["Comparison", "Difference", "Missing", "assert_frame_bits_equal", "compare", "ulps"]

Missing = Literal["any", "exact"]

_NO_DISTANCE = float("inf")
_QUIET = np.uint64(1 << 51)  # any arithmetic sets this bit of a NaN; R's NA has no meaning for it
_SIGN = np.uint64(1 << 63)


@dataclass(frozen=True)
class Difference:
    """One place where two values differ.

    Attributes
    ----------
    where : str
        Path to the cell, such as ``['condval'][17]``.
    left, right : str
        What stands there.
    ulps : float
        Distance; infinite where none is defined: for text, a missing value, a shape.

    See Also
    --------
    Comparison : All differences of two values.
    """

    where: str
    left: str
    right: str
    ulps: float = _NO_DISTANCE

    def __str__(self) -> str:
        distance = "" if self.ulps == _NO_DISTANCE else f" ({self.ulps:,.0f} ulp apart)"
        return f"at {self.where or 'the value itself'}: {self.left} is not {self.right}{distance}"


@dataclass
class Comparison:
    """The result of a comparison.

    Attributes
    ----------
    doubles : int
        Doubles compared, bit by bit.
    others : int
        Other cells compared: texts, integers, logicals, levels, names.
    max_ulp : float
        The largest distance between two doubles; infinite where one of them is missing.
    differences : list of Difference
        All that differs by more than was allowed, in order.

    See Also
    --------
    compare : Makes these.
    """

    doubles: int = 0
    others: int = 0
    max_ulp: float = 0.0
    differences: list[Difference] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether nothing differs by more than was allowed."""
        return not self.differences

    def worst(self) -> Difference | None:
        """Return the difference with the largest distance; None where there is no difference.

        A difference without a distance (of text, say) counts as larger than any with one.
        """
        return max(self.differences, key=lambda x: x.ulps, default=None)

    def report(self, names: tuple[str, str] = ("left", "right"), limit: int = 5) -> str:
        """Describe the worst difference, then the first few.

        Parameters
        ----------
        names : tuple of (str, str)
            What to call the two sides.
        limit : int
            How many differences to list.

        Returns
        -------
        str
            Lines of text.
        """
        worst = self.worst()
        if worst is None:
            return f"equal: {self.doubles} doubles and {self.others} other cells"
        lines = [
            f"{len(self.differences)} differences between {names[0]} and {names[1]}, in "
            f"{self.doubles} doubles and {self.others} other cells; the worst:",
            f"  {worst}",
        ]
        rest = [x for x in self.differences if x is not worst][: limit - 1]
        lines += ["others, from the first:", *(f"  {x}" for x in rest)] if rest else []
        return "\n".join(lines)


def ulps(left: Any, right: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Distance of doubles in ulps, elementwise: the number of doubles between them, plus one.

    0.0 and -0.0 are one apart. A NaN is infinitely far from any number, and 0 from a NaN.

    Parameters
    ----------
    left, right : array_like
        Doubles, of shapes that broadcast.

    Returns
    -------
    ndarray
        Distances, of the common shape; at least one dimension.

    See Also
    --------
    compare : Differences of whole tables.

    Examples
    --------
    >>> ulps([1.0, 0.0], [np.nextafter(1.0, 2.0), 0.0])
    array([1., 0.])
    """
    a, b = np.atleast_1d(np.asarray(left, np.float64)), np.atleast_1d(np.asarray(right, np.float64))
    places = [_place(x) for x in (a, b)]
    # If the signs differ, the distance may not fit 64 bits: it is huge then, and taken as a float.
    apart = np.abs(places[0] - places[1])
    wide = np.abs(places[0].astype(np.float64) - places[1].astype(np.float64))
    distance = np.where(wide < 2.0**62, apart.astype(np.float64), wide)
    nan_a, nan_b = np.isnan(a), np.isnan(b)
    distance = np.where(nan_a ^ nan_b, _NO_DISTANCE, distance)
    result: np.ndarray[Any, np.dtype[np.float64]] = np.where(nan_a & nan_b, 0.0, distance)
    return result


def _place(values: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Give doubles consecutive integers, so that neighbours are one apart, as are -0.0 and 0.0."""
    bits = values.view(np.int64) if values.flags.c_contiguous else values.copy().view(np.int64)
    place: np.ndarray[Any, np.dtype[np.int64]] = np.where(
        bits < 0, -1 - (bits & np.int64(2**63 - 1)), bits
    )
    return place


def assert_frame_bits_equal(
    a: Any, b: Any, ulp: int = 0, *, missing: Missing = "any", check_index: bool = True
) -> None:
    """Assert that two frames (or Series, arrays, dicts of these) are equal to the last bit.

    Compared are the columns' names and order, the index, the number of rows, the kind of each
    column (double, integer, logical, text, factor, ordered factor, time), levels and their order,
    and every cell. Widths and storage don't count: int32 is int64, ``str`` is object text.

    Parameters
    ----------
    a, b : DataFrame, Series, array, dict, list or scalar
        Frames of equal shape; the first is called left in messages.
    ulp : int
        How far apart two doubles may be. State a reason wherever it isn't 0.
    missing : {"any", "exact"}
        Whether all missing values are alike (NaN, None, NA, NaT), or R's NA is told from NaN.
    check_index : bool
        Whether the row labels count.

    Raises
    ------
    AssertionError
        Naming the worst cell, both values, and their distance in ulps.

    See Also
    --------
    compare : The differences as data.
    assert_parity : Compares all that a fit has with R.

    Examples
    --------
    >>> frame = pd.DataFrame({"x": [1.0, 2.0]})
    >>> assert_frame_bits_equal(frame, frame.copy())
    >>> assert_frame_bits_equal(frame, frame + 1e-15)
    Traceback (most recent call last):
    AssertionError: 2 differences between left and right, in 2 doubles and 4 other cells; the worst:
      at ['x'][0]: 1.0 is not 1.000000000000001 (5 ulp apart)
    others, from the first:
      at ['x'][1]: 2.0 is not 2.000000000000001 (2 ulp apart)
    """
    __tracebackhide__ = True
    comparison = compare(a, b, ulp=ulp, missing=missing, check_index=check_index)
    if not comparison.equal:
        raise AssertionError(comparison.report())


def compare(
    a: Any, b: Any, *, ulp: float = 0, missing: Missing = "any", check_index: bool = True
) -> Comparison:
    """Compare two values, and return what differs.

    Parameters
    ----------
    a, b : DataFrame, Series, array, dict, list or scalar
        The first is called left in messages. See `assert_frame_bits_equal` for what is compared.
    ulp : float
        How far apart two doubles may be.
    missing : {"any", "exact"}
        Whether all missing values are alike (NaN, None, NA, NaT), or R's NA is told from NaN.
    check_index : bool
        Whether the row labels count.

    Returns
    -------
    Comparison
        What was compared, and what differs.

    See Also
    --------
    assert_frame_bits_equal : Raises where something differs.

    Examples
    --------
    >>> comparison = compare([1.0, 2.0], [1.0, 2.0000000000000004])
    >>> comparison.doubles, comparison.max_ulp, comparison.differences[0].where
    (2, 1.0, '[1]')
    """
    comparison = Comparison()
    _Comparer(comparison, ulp, missing, check_index).values(a, b, "")
    return comparison


class _Comparer:
    """Walks through two values side by side, and adds to a `Comparison`."""

    def __init__(self, result: Comparison, ulp: float, missing: Missing, index: bool) -> None:
        self.result = result
        self.ulp = ulp
        self.missing = missing
        self.index = index

    def differ(self, where: str, left: Any, right: Any) -> None:
        self.result.differences.append(Difference(where, str(left), str(right)))

    def values(self, a: Any, b: Any, where: str) -> None:
        if isinstance(a, pd.DataFrame) and isinstance(b, pd.DataFrame):
            self._frames(a, b, where)
        elif isinstance(a, Mapping) and isinstance(b, Mapping):
            if self._same(list(a), list(b), f"{where} names"):
                for name in a:
                    self.values(a[name], b[name], f"{where}[{name!r}]")
        elif isinstance(a, list | tuple) and isinstance(b, list | tuple):
            if self._same(len(a), len(b), f"{where} length"):
                for i, (x, y) in enumerate(zip(a, b, strict=True)):
                    self.values(x, y, f"{where}[{i}]")
        elif isinstance(a, pd.Series) and isinstance(b, pd.Series):
            if self._same(len(a), len(b), f"{where} length"):
                if self.index:
                    self._labels(a.index, b.index, f"{where} index")
                self._columns(a, b, where)
        elif _is_vector(a) and _is_vector(b):
            shapes = [x.shape if isinstance(x, np.ndarray) else (len(x),) for x in (a, b)]
            if self._same(shapes[0], shapes[1], f"{where} shape"):
                columns = [pd.Series(x.ravel() if isinstance(x, np.ndarray) else x) for x in (a, b)]
                self._columns(columns[0], columns[1], where)
        elif _is_scalar(a) and _is_scalar(b):
            self._columns(_scalar(a), _scalar(b), where, scalar=True)
        else:
            self.differ(where, f"a {type(a).__name__}", f"a {type(b).__name__}")

    def _frames(self, a: pd.DataFrame, b: pd.DataFrame, where: str) -> None:
        if not self._same(list(a.columns), list(b.columns), f"{where} columns"):
            return
        if not self._same(len(a), len(b), f"{where} rows"):
            return
        if self.index:
            self._labels(a.index, b.index, f"{where} index")
        for i, name in enumerate(a.columns):
            self._columns(a.iloc[:, i], b.iloc[:, i], f"{where}[{name!r}]")

    def _same(self, a: Any, b: Any, where: str) -> bool:
        self.result.others += len(a) if isinstance(a, list) else 1
        if a != b:
            self.differ(where, a, b)
            return False
        return True

    def _labels(self, a: pd.Index, b: pd.Index, where: str) -> None:
        self._cells(np.array(a, object), np.array(b, object), where)

    def _columns(
        self, a: pd.Series[Any], b: pd.Series[Any], where: str, scalar: bool = False
    ) -> None:
        kinds = _kind(a), _kind(b)
        if "missing" in kinds:  # an object column without a value is of any kind
            kinds = (kinds[0], kinds[0]) if kinds[1] == "missing" else (kinds[1], kinds[1])
        if kinds[0] != kinds[1]:
            self.differ(f"{where} kind", kinds[0], kinds[1])
            return
        if kinds[0] == "double":
            self._doubles(_as_double(a), _as_double(b), where, scalar)
            return
        if kinds[0] in ("factor", "ordered factor"):
            levels = [[str(x) for x in column.cat.categories] for column in (a, b)]
            self._same(levels[0], levels[1], f"{where} levels")
            a, b = (column.astype(object) for column in (a, b))
        self._cells(_objects(a), _objects(b), where, scalar)

    def _doubles(self, a: Any, b: Any, where: str, scalar: bool) -> None:
        self.result.doubles += len(a)
        bits = [x.view(np.uint64) for x in (a, b)]
        if np.array_equal(bits[0], bits[1]):
            return
        distance = ulps(a, b)
        if self.missing == "exact":
            both_nan = np.isnan(a) & np.isnan(b)
            payloads = [(x | _QUIET) & ~_SIGN for x in bits]
            distance = np.where(both_nan & (payloads[0] != payloads[1]), _NO_DISTANCE, distance)
        self.result.max_ulp = max(self.result.max_ulp, float(distance.max(initial=0.0)))
        for i in np.flatnonzero(distance > self.ulp):
            place = where if scalar else f"{where}[{i}]"
            difference = Difference(place, _shown(a[i]), _shown(b[i]), float(distance[i]))
            self.result.differences.append(difference)

    def _cells(self, a: Any, b: Any, where: str, scalar: bool = False) -> None:
        self.result.others += len(a)
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            absent = pd.isna(x), pd.isna(y)
            if absent[0] != absent[1] or (not absent[0] and x != y):
                self.differ(where if scalar else f"{where}[{i}]", repr(x), repr(y))


def _is_vector(x: Any) -> bool:
    return isinstance(x, np.ndarray | pd.api.extensions.ExtensionArray | pd.Index)


def _is_scalar(x: Any) -> bool:
    return x is None or bool(np.isscalar(x)) or isinstance(x, np.generic) or x is pd.NA


def _scalar(x: Any) -> pd.Series[Any]:
    return pd.Series([x], dtype=object if x is None or isinstance(x, str) else None)


def _kind(column: pd.Series[Any]) -> str:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "ordered factor" if dtype.ordered else "factor"
    if pd.api.types.is_bool_dtype(dtype):
        return "logical"
    if pd.api.types.is_integer_dtype(dtype):
        return "integer"
    if pd.api.types.is_float_dtype(dtype):
        return "double"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "time"
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        kind = str(pd.api.types.infer_dtype(column, skipna=True))
        names = {"empty": "missing", "string": "text", "date": "date", "floating": "double",
                 "integer": "integer", "boolean": "logical"}  # fmt: skip
        return names.get(kind, kind)
    if pd.api.types.is_string_dtype(dtype):
        return "text"
    return str(dtype)


def _as_double(column: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    if isinstance(column.dtype, np.dtype) and column.dtype == np.float64:
        return np.ascontiguousarray(column.to_numpy())
    values: np.ndarray[Any, np.dtype[np.float64]] = np.ascontiguousarray(
        column.to_numpy(np.float64, na_value=np.nan)
    )
    return values


def _objects(column: pd.Series[Any]) -> list[Any]:
    return list(column.astype(object))


def _shown(value: float) -> str:
    if np.isnan(value):
        low = int(np.float64(value).view(np.uint64)) & 0xFFFFFFFF
        return "NA" if low == 1954 else "NaN"
    return repr(float(value))
