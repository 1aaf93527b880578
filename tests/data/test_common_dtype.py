"""Data sets whose columns have other dtypes come back with their own values, or are refused.

Every column is drawn as plain Python values, and what must come back is said of these, apart from
the library: a value is what it was (a bool no number, -0.0 no 0.0, 2**53 + 1 no double), a missing
cell is missing. Which pairs have no dtype in common is written down in `refused`.
"""

from __future__ import annotations

import datetime as dt
import itertools
import pickle
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from math import copysign, isinf
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rbridge_mi as rb
from tests.whole.test_fuzz import FUZZ

pytestmark = pytest.mark.slow

ROWS = 4


@dataclass(frozen=True)
class Make:
    """A dtype, what kind its values are, and some of them."""

    kind: str
    dtype: Any
    values: tuple[Any, ...]
    missing: bool = True  # may its cells be missing

    def column(self, values: list[Any]) -> pd.Series:
        if isinstance(self.dtype, pd.CategoricalDtype):
            return pd.Series(pd.Categorical(values, dtype=self.dtype))
        if isinstance(self.dtype, pd.ArrowDtype):
            return pd.Series(pd.array(pa.array(values, self.dtype.pyarrow_dtype), self.dtype))
        if str(self.dtype).startswith("float"):
            values = [np.nan if x is None else x for x in values]
            return pd.Series(np.array(values, np.float64).astype(self.dtype))
        return pd.Series(values, dtype=self.dtype)


def integers(dtype: str, *more: int) -> Make:
    return Make("number", dtype, (0, 1, 7, *more), missing=dtype[0].isupper())


def arrow(kind: str, type_: Any, *values: Any) -> Make:
    return Make(kind, pd.ArrowDtype(type_), values)


def levels(kind: str, *values: Any, ordered: bool = False) -> Make:
    return Make(kind, pd.CategoricalDtype(list(values), ordered=ordered), values)


FLOATS = (0.0, -0.0, 1.0, 0.5, float("inf"), -3.0)
TIMES = (dt.datetime(2020, 1, 1), dt.datetime(1960, 2, 29, 12, 30, 1))
SPANS = (dt.timedelta(days=3), dt.timedelta(seconds=-1))
MAKES: dict[str, Make] = {
    "bool": Make("bool", "bool", (True, False), missing=False),
    "boolean": Make("bool", "boolean", (True, False)),
    "object bool": Make("bool", object, (True, False)),
    "bool[pyarrow]": arrow("bool", pa.bool_(), True, False),
    "int8": integers("int8", -128, 127),
    "int16": integers("int16", -(2**15)),
    "int32": integers("int32", 2**31 - 1),
    "int64": integers("int64", 2**53 + 1, -(2**63)),
    "small int64": integers("int64", 2**53, -5),
    "uint8": integers("uint8", 255),
    "uint64": integers("uint64", 2**64 - 1),
    "small uint64": integers("uint64", 2**40),
    "Int8": integers("Int8", -128),
    "Int64": integers("Int64", 2**53 + 1),
    "UInt16": integers("UInt16", 2**16 - 1),
    "int64[pyarrow]": arrow("number", pa.int64(), 0, 2**53, -1),
    "long int64[pyarrow]": arrow("number", pa.int64(), 0, -(2**53) - 1),
    "float32": Make("number", "float32", (*FLOATS, float(np.float32(0.1)))),
    "float64": Make("number", "float64", (*FLOATS, 0.1, 1e300, 5e-324)),
    "Float64": Make("number", "Float64", (*FLOATS, 0.1)),
    "double[pyarrow]": arrow("number", pa.float64(), *FLOATS, 0.1),
    "object int": Make("number", object, (0, 1, 2**40)),
    "object text": Make("text", object, ("a", "", "1")),
    "str": Make("text", "str", ("a", "é", "")),
    "string": Make("text", "string", ("a", "1")),
    "string[pyarrow]": arrow("text", pa.string(), "a", "c"),
    "category": levels("text levels", "a", "b"),
    "more categories": levels("text levels", "c", "b", "a"),
    "other categories": levels("text levels", "d", "a"),
    "categories of integers": levels("number levels", 1, 2, 3),
    "categories of floats": levels("number levels", 1.0, 2.5),
    "categories of bools": levels("bool levels", True, False),
    "ordered": levels("ordered", "lo", "hi", ordered=True),
    "more ordered": levels("ordered", "lo", "mid", "hi", ordered=True),
    "other order": levels("ordered", "hi", "lo", ordered=True),
    "dictionary": arrow("text levels", pa.dictionary(pa.int8(), pa.string()), "a", "b"),
    "datetime64[s]": Make("time", "datetime64[s]", TIMES),
    "datetime64[ns]": Make("time", "datetime64[ns]", TIMES),
    "timestamp[pyarrow]": arrow("time", pa.timestamp("us"), *TIMES),
    "datetime64[ns, UTC]": Make(
        "zoned", "datetime64[ns, UTC]", tuple(x.replace(tzinfo=dt.timezone.utc) for x in TIMES)
    ),
    "datetime64[us, Europe/Paris]": Make(
        "zoned",
        "datetime64[us, Europe/Paris]",
        tuple(x.replace(tzinfo=dt.timezone.utc) for x in TIMES),
    ),
    "timedelta64[s]": Make("span", "timedelta64[s]", SPANS),
    "timedelta64[ns]": Make("span", "timedelta64[ns]", SPANS),
}  # fmt: skip


def plain(value: Any) -> Any:
    """A value by which nothing is equal that is not the same."""
    if value is None or value is pd.NA or value is pd.NaT or value != value:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool | str | pd.Timedelta | dt.timedelta):
        return type(value).__name__.lower(), value
    if isinstance(value, pd.Timestamp | dt.datetime):
        return "zoned" if value.tzinfo else "time", pd.Timestamp(value)
    if isinf(value):
        return "number", value
    return "number", Fraction(value), copysign(1, value) if value == 0 else 0


def values(column: pd.Series) -> list[Any]:
    return [plain(x) for x in column]


def refused(makes: list[Make], columns: list[pd.Series]) -> bool:
    """Have the columns no dtype in common?"""
    pairs = [(a, x) for a, x in zip(makes, columns, strict=True) if not x.isna().all()]
    if len({str(a.dtype) + str(getattr(a.dtype, "categories", "")) for a, _ in pairs}) == 1:
        return False
    kinds = {a.kind for a, _ in pairs}
    if len(kinds) > 1:
        return True
    if kinds == {"ordered"}:
        return "other order" in {k for k, x in MAKES.items() if any(x is a for a, _ in pairs)}
    if kinds == {"number"}:
        held = [x for _, column in pairs for x in column if plain(x) is not None]
        whole = [int(x) for _, c in pairs if _is_whole(c) for x in c if plain(x) is not None]
        if all(_is_whole(c) for _, c in pairs):
            return max(held) >= 2**63 and min(held) < 0
        return any(abs(x) > 2**53 for x in whole)
    return False


def _is_whole(column: pd.Series) -> bool:
    return column.dtype == object or pd.api.types.is_integer_dtype(column.dtype)


def same(one: Any, other: Any) -> bool:
    """Dtypes, the order of categories included."""
    if isinstance(one, pd.CategoricalDtype):
        return one == other and list(one.categories) == list(other.categories)
    return bool(one == other)


def check(imp: rb.ImputedData, frames: list[pd.DataFrame], name: str = "x") -> None:
    """The data sets hold the frames' own values, in one dtype."""
    assert len(imp) == len(frames)
    for i, frame in enumerate(frames):
        assert values(imp[i][name]) == values(frame[name]), i
        assert imp[i]["k"].tolist() == frame["k"].tolist()
        assert same(imp[i][name].dtype, imp[0][name].dtype)
        own = imp.store.piece(i).differing_columns(imp.store.base)
        if name in own:  # what R is given
            assert own[name].equals(imp[i][name])
        dtype = frame[name].dtype
        if isinstance(dtype, pd.CategoricalDtype) and not frame[name].isna().all():
            order = list(imp[i][name].dtype.categories)
            places = [order.index(x) for x in dtype.categories]
            assert imp[i][name].dtype.ordered == dtype.ordered
            assert not dtype.ordered or places == sorted(places)


def framed(columns: list[pd.Series]) -> list[pd.DataFrame]:
    return [pd.DataFrame({"k": range(len(x)), "x": x}) for x in columns]


def tried(makes: list[Make], columns: list[pd.Series], original: pd.DataFrame | None) -> Any:
    """The data sets, or None where they are refused, and should be."""
    frames = framed(columns)
    if refused(makes, columns):
        with pytest.raises(rb.ArgumentError, match=r"column 'x.*imputation \d.*imputation \d"):
            rb.ImputedData.from_frames(frames, original)
        return None
    imp = rb.ImputedData.from_frames(frames, original)
    check(imp, frames)
    common = imp[0]["x"].dtype
    assert bool(imp.notes) == (not all(same(x.dtype, common) for x in columns))
    if all(same(x.dtype, columns[0].dtype) for x in columns) and "dictionary" not in str(common):
        assert imp.notes == () or "dictionary" in imp.notes[0]
    unlike = [values(x) != values(columns[0]) for x in columns]
    if original is None:
        holes = [len(set(x)) > 1 or x[0] is None for x in zip(*map(values, columns), strict=True)]
        assert imp.original["x"].isna().tolist() == holes
        assert imp.store.differing == (("x",) if any(unlike) else ())
    else:
        pd.testing.assert_frame_equal(imp.original, original)
    return imp


def cells(make: Make, seed: int, holes: bool) -> list[Any]:
    found = list(itertools.islice(itertools.cycle(make.values), seed, seed + ROWS))
    return [None, *found[1:]] if holes and make.missing else found


@pytest.mark.parametrize("one", MAKES)
def test_all_pairs(one: str) -> None:
    cases = ((False, 1, None), (True, 1, one))
    for other, (holes, start, given_by) in itertools.product(MAKES, cases):
        makes = [MAKES[one], MAKES[other]]
        columns = [makes[0].column(cells(makes[0], 0, holes)),
                   makes[1].column(cells(makes[1], start, holes))]  # fmt: skip
        original = None
        if given_by is not None:
            make = MAKES[given_by]
            original = framed([make.column([None if make.missing else make.values[0]] * ROWS)])[0]
        tried(makes, columns, original)


@st.composite
def data_sets(draw: Any) -> tuple[list[Make], list[pd.Series], pd.DataFrame | None]:
    kinds = sorted({x.kind for x in MAKES.values()})
    kind = draw(st.sampled_from([*kinds, "any"]))
    of_kind = [x for x in MAKES.values() if kind in (x.kind, "any")]
    rows = draw(st.integers(1, 5))

    def column(make: Make) -> pd.Series:
        cell = st.sampled_from([*make.values, None] if make.missing else make.values)
        return make.column(draw(st.lists(cell, min_size=rows, max_size=rows)))

    makes = draw(st.lists(st.sampled_from(of_kind), min_size=1, max_size=4))
    columns = [column(x) for x in makes]
    if draw(st.booleans()):  # none differs from the first
        makes, columns = [makes[0]] * len(makes), [columns[0]] * len(columns)
    given_by = draw(st.none() | st.sampled_from(list(MAKES.values())))
    return makes, columns, None if given_by is None else framed([column(given_by)])[0]


@FUZZ
@given(data_sets())
def test_by_every_way(drawn: tuple[list[Make], list[pd.Series], pd.DataFrame | None]) -> None:
    makes, columns, original = drawn
    imp = tried(makes, columns, original)
    if imp is None:
        return
    frames = framed(columns)
    check(pickle.loads(pickle.dumps(imp)), frames)
    check(rb.ImputedData.from_long(imp.to_long()), frames)
    check(rb.ImputedData.from_long(imp.to_long().sample(frac=1, random_state=1)), frames)
    check(imp.transform(lambda d: d), frames)
    derived = imp.assign(z=lambda d: d["x"], one=1)
    check(derived, frames)
    check(derived, [x.rename(columns={"x": "z"}) for x in frames], "z")
    assert derived.store.differing == (("x", "z") if imp.store.differing else ())
    try:
        full = rb.ImputedData.from_long(imp.to_long(include=True))
    except rb.ArgumentError as error:
        assert "data with their holes" in str(error)
    else:
        check(full, frames)
        assert values(full.original["x"]) == values(imp.original["x"])
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = rb.save(imp, Path(folder) / "imp.zip")
        except rb.EncodingError as error:
            assert "dictionary" in str(error)
        else:
            again = rb.load(path)
            assert isinstance(again, rb.ImputedData)
            check(again, frames)
            assert again.notes == imp.notes
