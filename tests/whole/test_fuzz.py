"""Frames of every make go to R and come back identical, or are refused with the column named.

What "identical" means is written down here, apart from the encoder: every column is drawn as plain
Python values, from which both the pandas column and what must come back are made.

==============================  ===================================================
sent                            comes back as
==============================  ===================================================
floats                          float64, the same bits; NaN and NA as NaN
integers                        int32 (Int32 with holes), float64 beyond 32 bits
booleans                        bool (boolean with holes)
text                            text, None for every kind of missing value
categories                      the labels as text; order, unused levels, holes kept
dates and times                 the instant in UTC, to the microsecond
index                           rows keep their order; the labels stay in Python
==============================  ===================================================

``RBRIDGE_FUZZ=10000`` (``make fuzz``) sets the number of examples.
"""

from __future__ import annotations

import datetime as dt
import os
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rbridge_mi as rb
from rbridge_mi import rdoor

pytestmark = [pytest.mark.r, pytest.mark.slow]

EXAMPLES = int(os.environ.get("RBRIDGE_FUZZ", "250"))
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="RBRIDGE_FUZZ" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
EPOCH = dt.datetime(1970, 1, 1)


@dataclass
class Column:
    """A column, what must come back of it, and whether it may (or must) be refused instead."""

    series: pd.Series
    values: list[Any] | None
    may_refuse: bool = False
    levels: list[str] | None = None
    ordered: bool = False

    def __repr__(self) -> str:
        return f"{self.series.dtype}: {self.series.tolist()}"


# -- values -----------------------------------------------------------------------------------

FLOATS = st.one_of(
    st.floats(allow_nan=False),
    st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 2.2e-308, 1.7976931348623157e308, float("inf"),
                     float("-inf"), 0.1, 2.0**53, 2.0**53 + 2, -2147483648.0, 1954.0]),
)  # fmt: skip
INTS = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.integers(-(2**31) - 2, -(2**31) + 2),
    st.integers(2**31 - 2, 2**31 + 2),
    st.integers(2**53 - 2, 2**53 + 2),
    st.integers(-(2**53) - 2, -(2**53) + 2),
    st.integers(-5, 5),
)
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["", " ", "NA", "NaN", "None", "<NA>", "TRUE", "1", "1.0", "\\", "`", '"', "'",
                     "\ufeff", "\ufffe", "\U0010ffff", "é", "e\u0301", "\u202e", "a\nb", "\r",
                     "\x7f", "\x01", "%s", "{}", "$(x)", "x" * 5000, "🙂", "\x80", "\x85"]),
)  # fmt: skip
WRONG_TEXTS = st.sampled_from(["a\0b", "\0", "\ud800", "a\udfff"])
MISSING = [None, float("nan"), pd.NA, pd.NaT, np.float64("nan")]


def holes(draw: Any, n: int) -> list[bool]:
    if not draw(st.booleans()):
        return [False] * n
    return draw(st.lists(st.booleans(), min_size=n, max_size=n))


def drawn(draw: Any, values: Any, n: int) -> list[Any]:
    return draw(st.lists(values, min_size=n, max_size=n))


# -- columns, one strategy for each kind ----------------------------------------------------------


def float_column(draw: Any, n: int) -> Column:
    values, gone = drawn(draw, FLOATS, n), holes(draw, n)
    kind = draw(st.sampled_from(
        ["float64", ">f8", "Float64", "arrow64", "float32", "Float32", "arrow32", "float16"]
    ))  # fmt: skip
    narrow: Any = {"32": np.float32, "16": np.float16}.get(kind[-2:])
    if narrow is not None:
        with np.errstate(over="ignore"):
            values = [float(narrow(x)) for x in values]
    sent = [None if hole else x for x, hole in zip(values, gone, strict=True)]
    plain = np.array([np.nan if x is None else x for x in sent], dtype=np.float64)
    if kind.startswith("arrow"):
        series = pd.Series(
            sent, dtype=pd.ArrowDtype(pa.float64() if narrow is None else pa.float32())
        )
    elif kind.startswith("F"):
        series = pd.Series(sent, dtype=kind)
    else:
        series = pd.Series(plain.astype(kind))
    return Column(series, sent)


def payload_column(draw: Any, n: int) -> Column:
    """NaNs of every payload, R's NA among them."""
    bits = drawn(draw, st.sampled_from([0x7FF8000000000000, 0x7FF00000000007A2, 0xFFF8000000000001,
                                        0x7FF0000000000001]), n)  # fmt: skip
    return Column(pd.Series(np.array(bits, dtype=np.uint64).view(np.float64)), [None] * n)


def int_column(draw: Any, n: int) -> Column:
    dtype = draw(st.sampled_from(
        ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", ">i4", ">i8"]
    ))  # fmt: skip
    info = np.iinfo(dtype)
    values = [min(max(x, int(info.min)), int(info.max)) for x in drawn(draw, INTS, n)]
    how = draw(st.sampled_from(["numpy", "masked", "arrow"]))
    sent: list[Any] = values
    if how == "numpy":
        series = pd.Series(np.array(values, dtype=dtype))
    else:
        dtype = np.dtype(dtype).newbyteorder("=").name
        sent = [None if hole else x for x, hole in zip(values, holes(draw, n), strict=True)]
        name = dtype.replace("uint", "UInt") if dtype[0] == "u" else dtype.replace("int", "Int")
        series = pd.Series(sent, dtype=name)
        if how == "arrow":
            series = pd.Series(sent, dtype=pd.ArrowDtype(getattr(pa, dtype)()))
    return Column(series, sent, any(x is not None and abs(x) > 2**53 for x in sent))


def bool_column(draw: Any, n: int) -> Column:
    values = drawn(draw, st.booleans(), n)
    how = draw(st.sampled_from(["bool", "boolean", "arrow", "object"]))
    if how == "bool":
        return Column(pd.Series(np.array(values, dtype=bool)), values)
    sent = [None if hole else x for x, hole in zip(values, holes(draw, n), strict=True)]
    if how == "object":
        marks = [draw(st.sampled_from(MISSING)) if x is None else x for x in sent]
        if not any(x is not None for x in sent):
            return Column(pd.Series(marks, dtype=object), sent)
        return Column(pd.Series(marks, dtype=object), sent)
    dtype = "boolean" if how == "boolean" else pd.ArrowDtype(pa.bool_())
    return Column(pd.Series(sent, dtype=dtype), sent)


def text_column(draw: Any, n: int) -> Column:
    wrong = draw(st.booleans()) and draw(st.booleans())
    values = drawn(draw, st.one_of(TEXTS, WRONG_TEXTS) if wrong else TEXTS, n)
    sent = [None if hole else x for x, hole in zip(values, holes(draw, n), strict=True)]
    how = draw(st.sampled_from(["str", "string", "python", "object", "arrow", "large"]))
    surrogate = any(x is not None and any(0xD800 <= ord(c) < 0xE000 for c in x) for x in sent)
    if surrogate:
        how = "object"  # pyarrow and pandas' own text refuse these themselves
    if how == "object":
        series = pd.Series(
            [draw(st.sampled_from(MISSING)) if x is None else x for x in sent], dtype=object
        )
    elif how in ("arrow", "large"):
        series = pd.Series(
            sent, dtype=pd.ArrowDtype(pa.string() if how == "arrow" else pa.large_string())
        )
    else:
        series = pd.Series(sent, dtype=pd.StringDtype("python") if how == "python" else how)
    return Column(series, sent, surrogate or any(x is not None and "\0" in x for x in sent))


def category_column(draw: Any, n: int) -> Column:
    kinds = st.one_of(
        st.lists(TEXTS, unique=True, max_size=5),
        st.lists(st.integers(-3, 300), unique=True, max_size=5),
        st.lists(st.sampled_from([0.5, 1.0, -2.0, 1e20, 1e-9, 3.0]), unique=True, max_size=5),
        st.just([True, False]),
        st.just([1, "1", "2"]),
        st.just([1.0, "1"]),
        st.just(["a\0"]),
        st.just([dt.date(2020, 1, 1), "x"]),
    )
    categories = draw(kinds)
    ordered = draw(st.booleans())
    index = pd.Index(categories, dtype=object) if draw(st.booleans()) else pd.Index(
        categories, tupleize_cols=False
    )  # fmt: skip
    codes = [-1] * n
    if categories:
        codes = drawn(draw, st.integers(-1, len(categories) - 1), n)
    series = pd.Series(pd.Categorical.from_codes(codes, categories=index, ordered=ordered))

    def text(x: Any) -> str:
        if isinstance(x, float) and x.is_integer():
            return str(int(x)) if abs(x) < 1e15 else repr(x)
        return str(x)

    levels = [text(x) for x in categories]
    refused = len(set(levels)) < len(levels) or any("\0" in x for x in levels)
    values = None if refused else [None if i < 0 else levels[i] for i in codes]
    return Column(series, values, refused, None if refused else levels, ordered)


def dictionary_column(draw: Any, n: int) -> Column:
    """Arrow's categories."""
    levels = draw(
        st.lists(TEXTS.filter(lambda x: "\0" not in x), unique=True, min_size=1, max_size=4)
    )
    codes = drawn(draw, st.one_of(st.none(), st.integers(0, len(levels) - 1)), n)
    ordered = draw(st.booleans())
    array = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), levels, ordered=ordered)
    values = [None if i is None else levels[i] for i in codes]
    return Column(pd.Series(pd.arrays.ArrowExtensionArray(array)), values, False, levels, ordered)


def time_column(draw: Any, n: int) -> Column:
    unit, per = draw(st.sampled_from([("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)]))
    usual = draw(st.booleans())
    far = 2**63 - 1000 if not usual else 4 * 10**9 * per  # until the year 2096
    ticks = drawn(draw, st.integers(-far, far), n)
    if unit == "ns" and (usual or draw(st.booleans())):
        ticks = [x // 1000 * 1000 for x in ticks]
    gone = holes(draw, n)
    marked = [-(2**63) if hole else x for x, hole in zip(ticks, gone, strict=True)]  # NaT
    array = np.array(marked, dtype=np.int64).view(f"datetime64[{unit}]")
    series = pd.Series(array)
    how = draw(st.sampled_from(["numpy", "zoned", "arrow"]))
    if how == "zoned" and usual:
        series = series.dt.tz_localize("UTC").dt.tz_convert("America/St_Johns")
    if how == "arrow" and usual:
        series = pd.Series(pd.arrays.ArrowExtensionArray(pa.array(array, pa.timestamp(unit))))
    values = [None if hole else ("us", x * 10**6, per) for x, hole in zip(ticks, gone, strict=True)]
    return Column(series, values, not usual)


def date_column(draw: Any, n: int) -> Column:
    values = drawn(draw, st.dates(), n)
    sent = [None if hole else x for x, hole in zip(values, holes(draw, n), strict=True)]
    if draw(st.booleans()):
        series = pd.Series(
            sent, dtype=pd.ArrowDtype(draw(st.sampled_from([pa.date32(), pa.date64()])))
        )
    else:
        marks = [draw(st.sampled_from(MISSING)) if x is None else x for x in sent]
        series = pd.Series(marks, dtype=object)
    days = [None if x is None else ("us", (x - EPOCH.date()).days * 86400 * 10**6, 1) for x in sent]
    return Column(series, days)


def foreign_column(draw: Any, n: int) -> Column:
    """What R has no type for."""
    made = draw(st.sampled_from([
        lambda: pd.Series(pd.to_timedelta(["1s"] * n)),
        lambda: pd.Series(pd.period_range("2020", periods=n, freq="M")),
        lambda: pd.Series(pd.interval_range(0, n)) if n else pd.Series(pd.IntervalIndex([])),
        lambda: pd.Series(pd.arrays.SparseArray([1.0] * n)),
        lambda: pd.Series(pd.arrays.SparseArray([1] * n)),
        lambda: pd.Series(np.ones(n, dtype=complex)),
        lambda: pd.Series(np.ones(n, dtype=np.longdouble)),
        lambda: pd.Series([b"x"] * n, dtype=object),
        lambda: pd.Series([[1, 2]] * n, dtype=object),
        lambda: pd.Series([{"a": 1}] * n, dtype=object),
        lambda: pd.Series([object()] * n, dtype=object),
        lambda: pd.Series([1, "a"] * n, dtype=object).head(n * 2),
        lambda: pd.Series([1, 2.5] * n, dtype=object).head(n),
        lambda: pd.Series([True, 1] * n, dtype=object).head(n * 2),
        lambda: pd.Series([True, "x"] * n, dtype=object).head(n * 2),
        lambda: pd.Series([dt.datetime(2020, 1, 1)] * n, dtype=object),
        lambda: pd.Series([dt.date(2020, 1, 1), dt.datetime(2020, 1, 1)] * n, dtype=object),
        lambda: pd.Series([dt.time(1)] * n, dtype=object),
        lambda: pd.Series([2**70] * n, dtype=object),
        lambda: pd.Series([None] * n, dtype=pd.ArrowDtype(pa.null())),
        lambda: pd.Series([None] * n, dtype=pd.ArrowDtype(pa.decimal128(5, 2))),
        lambda: pd.Series([None] * n, dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
        lambda: pd.Series([None] * n, dtype=pd.ArrowDtype(pa.binary())),
        lambda: pd.Series([None] * n, dtype=pd.ArrowDtype(pa.duration("s"))),
        lambda: pd.Series([None] * n, dtype=pd.ArrowDtype(pa.time64("us"))),
        lambda: pd.Series([None] * n, dtype=pd.ArrowDtype(pa.struct([("a", pa.int64())]))),
    ]))()  # fmt: skip
    empty_object = made.dtype == object and len(made) == 0
    return Column(made, [] if empty_object else None, not empty_object)


KINDS = [float_column, payload_column, int_column, bool_column, text_column, category_column,
         dictionary_column, time_column, date_column]  # fmt: skip


@st.composite
def columns(draw: Any, n: int) -> Column:
    return draw(st.sampled_from(KINDS))(draw, n)


@st.composite
def frames(draw: Any) -> tuple[pd.DataFrame, list[Column]]:
    n = draw(st.sampled_from([0, 1, 1, 2, 3, 5]))
    found = [draw(columns(n)) for _ in range(draw(st.integers(0, 4)))]
    names = draw(st.lists(TEXTS, unique=True, min_size=len(found), max_size=len(found)))
    names = [x.replace("\0", "") + f"·{i}" for i, x in enumerate(names)]
    frame = pd.DataFrame({i: x.series for i, x in enumerate(found)}, index=range(n))
    frame.columns = pd.Index(names, dtype=object)
    index = draw(st.sampled_from(["range", "text", "twice", "multi", "times", "float"]))
    frame.index = {
        "range": pd.RangeIndex(n),
        "text": pd.Index([f"r{i}" for i in range(n)]),
        "twice": pd.Index([7] * n),
        "multi": pd.MultiIndex.from_arrays([range(n), ["a"] * n]),
        "times": pd.date_range("2020", periods=n, freq="h", tz="UTC"),
        "float": pd.Index([np.nan] * n, dtype=float),
    }[index]
    if draw(st.booleans()) and n:  # a view: neither contiguous nor in order
        order = list(range(n))[::-1]
        frame = frame.iloc[::-1]
        found = [
            Column(x.series, x.values and [x.values[i] for i in order], x.may_refuse, x.levels,
                   x.ordered)
            for x in found
        ]  # fmt: skip
    return frame, found


# -- what came back -------------------------------------------------------------------------------


def bits(x: float) -> bytes:
    return struct.pack("<d", x)


def same(found: Any, expected: Any) -> bool:
    if expected is None or found is None:
        return found is expected
    if isinstance(expected, tuple):  # an instant: microseconds, from ticks of which `per` a second
        return isinstance(found, int) and found * expected[2] == expected[1]
    if isinstance(expected, bool) or isinstance(found, bool):
        return type(found) is type(expected) and found == expected
    if isinstance(expected, float):
        return isinstance(found, float) and bits(found) == bits(expected)
    if isinstance(expected, int):
        return isinstance(found, int | float) and int(found) == expected
    return type(found) is str and found == expected


def listed(back: pd.Series) -> list[Any]:
    """Plain Python values of a column that came back."""
    if back.dtype.kind == "M":
        raw = back.to_numpy().view(np.int64)
        scale = {"s": 10**6, "us": 1}[np.datetime_data(back.dtype)[0]]
        return [None if gone else int(x) * scale for x, gone in zip(raw, back.isna(), strict=True)]
    if back.dtype == np.float64:  # as it is: a column of pandas has one NaN, R's NA is another
        return [None if x != x else x for x in back.to_numpy().tolist()]
    return [None if pd.isna(x) else x.item() if hasattr(x, "item") else x for x in back]


def check(back: pd.Series, column: Column) -> None:
    assert column.values is not None
    found = listed(back)
    assert len(found) == len(column.values)
    wrong = [(a, b) for a, b in zip(found, column.values, strict=True) if not same(a, b)]
    assert not wrong, (column, back.dtype, wrong)
    if column.levels is not None:
        assert list(back.cat.categories) == column.levels
        assert bool(back.cat.ordered) == column.ordered
    known = [x for x in column.values if x is not None]
    if known and all(type(x) is int for x in known):
        narrow = all(abs(x) < 2**31 for x in known)
        assert back.dtype.kind == ("i" if narrow else "f"), back.dtype


@FUZZ
@given(frames())
def test_frames_come_back_identical_or_are_refused_by_name(
    drawn: tuple[pd.DataFrame, list[Column]],
) -> None:
    frame, found = drawn
    before = frame.copy(deep=True)
    refusable = [str(name) for name, x in zip(frame.columns, found, strict=True) if x.may_refuse]
    try:
        back = rdoor.call("base::identity", frame).value
    except rb.EncodingError as error:
        assert any(repr(name) in str(error) for name in refusable), (error, refusable)
        return
    finally:
        pd.testing.assert_frame_equal(frame, before)  # what was sent is as it was
    assert all(x.values is not None for x in found)
    assert list(back.columns) == list(frame.columns)
    assert len(back) == len(frame)
    for i, column in enumerate(found):
        check(back.iloc[:, i], column)


@st.composite
def foreign(draw: Any) -> Column:
    return foreign_column(draw, draw(st.integers(0, 3)))


@settings(FUZZ, max_examples=max(50, EXAMPLES // 10))
@given(foreign())
def test_what_r_has_no_type_for_is_refused_by_name(column: Column) -> None:
    frame = pd.DataFrame({"the column": column.series})
    if not column.may_refuse:
        assert len(rdoor.call("base::identity", frame).value) == 0
        return
    with pytest.raises(
        rb.EncodingError, match=r"column 'the column' .*(:|give|use|remove|R needs)"
    ):
        rdoor.call("base::identity", frame)


@st.composite
def odd_names(draw: Any) -> Any:
    return draw(st.sampled_from([
        pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")]),
        pd.Index([1, 2]), pd.Index([1.5, "a"], dtype=object), pd.Index([None, "a"], dtype=object),
        pd.Index(["a", "a"]), pd.Index([("a", 1), "b"], tupleize_cols=False, dtype=object),
        pd.date_range("2020", periods=2), pd.Index(["a\0", "b"], dtype=object),
        pd.Index(["\ud800", "b"], dtype=object), pd.Index([pd.NA, "b"], dtype=object),
        pd.Index([b"a", "b"], dtype=object), pd.CategoricalIndex([1, 2]), pd.Index([True, False]),
    ]))  # fmt: skip


@settings(FUZZ, max_examples=50)
@given(odd_names())
def test_names_that_r_cannot_have_are_refused(names: pd.Index) -> None:
    frame = pd.DataFrame([[1.0, 2.0]])
    frame.columns = names
    with pytest.raises(rb.EncodingError, match=r"column names? .*(Rename|remove)"):
        rdoor.call("base::identity", frame)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), FLOATS,
              TEXTS.filter(lambda x: "\0" not in x)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(TEXTS.filter(lambda x: "\0" not in x), inner, max_size=4),
    ),
    max_leaves=12,
)  # fmt: skip


def as_r(value: Any) -> Any:
    """What a value means in R, and so how it must come back, as plain Python."""
    if isinstance(value, dict):
        return {k: as_r(v) for k, v in value.items()}
    if isinstance(value, list):
        kinds = {type(x) for x in value if x is not None}
        if kinds and (kinds <= {int, float} or kinds in ({bool}, {str})):
            numbers = kinds <= {int, float}
            return [float(x) if numbers and x is not None else x for x in value]
        return [as_r(x) for x in value]
    if value is None:
        return None
    return [float(value) if type(value) in (int, float) else value]


def as_found(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: as_found(v) for k, v in value.items()}
    if isinstance(value, list):
        return [as_found(x) for x in value]
    if value is None:
        return None
    items = pd.Series(value)
    plain: list[Any] = [
        None if pd.isna(x) else x.item() if hasattr(x, "item") else x for x in items
    ]
    return [float(x) if type(x) in (int, float) else x for x in plain]


@settings(FUZZ, max_examples=max(100, EXAMPLES // 10))
@given(VALUES)
def test_lists_and_scalars_come_back(value: Any) -> None:
    back = rdoor.call("base::list", value).value
    assert len(back) == 1
    assert repr(as_found(back[0])) == repr(as_r(value))
