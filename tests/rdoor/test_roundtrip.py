"""Frames to R and back: every kind of column, every kind of missing value, every refusal."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor

pytestmark = [pytest.mark.r, pytest.mark.slow]


def there_and_back(column: pd.Series) -> pd.Series:
    frame = rdoor.call("base::identity", pd.DataFrame({"x": column})).value
    return frame["x"]


def r_says(column: pd.Series, function: str) -> Any:
    held = rdoor.call_object("base::identity", pd.DataFrame({"x": column}))
    return rdoor.call(function, rdoor.call_object("base::[[", held, 1)).value


def test_doubles_keep_their_bits() -> None:
    values = np.array([0.1, -0.0, 5e-324, 1.7976931348623157e308, np.inf, -np.inf, np.pi])
    back = there_and_back(pd.Series(values))
    assert back.dtype == np.float64
    assert back.to_numpy().tobytes() == values.tobytes()


def test_float_nan_is_rs_na() -> None:
    column = pd.Series([1.0, np.nan])
    assert r_says(column, "base::is.na").tolist() == [False, True]
    assert r_says(column, "base::is.nan").tolist() == [False, False]


def test_nullable_float_tells_na_from_nan() -> None:
    column = pd.Series(
        pd.arrays.FloatingArray(np.array([1.0, np.nan, 0.0]), np.array([False, False, True]))
    )
    assert r_says(column, "base::is.nan").tolist() == [False, True, False]
    assert r_says(column, "base::is.na").tolist() == [False, True, True]


def test_float32_is_exact() -> None:
    values = np.array([0.1, 1e-40, 3.4e38], dtype=np.float32)
    back = there_and_back(pd.Series(values))
    assert (back.to_numpy() == values.astype(np.float64)).all()


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
)
def test_integers_within_32_bits_are_rs_integers(dtype: str) -> None:
    top = min(np.iinfo(dtype).max, 2**31 - 1)
    low = max(np.iinfo(dtype).min, -(2**31) + 1)
    column = pd.Series(np.array([low, 0, top], dtype=dtype))
    assert list(r_says(column, "base::typeof")) == ["integer"]
    assert there_and_back(column).tolist() == [low, 0, top]


@pytest.mark.parametrize("value", [-(2**31), 2**31, 2**40, 2**53, -(2**53)])
def test_integers_beyond_32_bits_are_exact_doubles(value: int) -> None:
    column = pd.Series([value, 1])
    assert list(r_says(column, "base::typeof")) == ["double"]
    assert [int(x) for x in there_and_back(column)] == [value, 1]


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, 2**63 - 1])
def test_integers_that_r_cannot_hold_are_refused(value: int) -> None:
    with pytest.raises(rb.EncodingError, match=r"column 'x' holds .*2\*\*53.*astype\(str\)"):
        there_and_back(pd.Series([value, 1]))


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1])
def test_arrows_integers_that_r_cannot_hold_are_refused_beside_holes(value: int) -> None:
    import pyarrow as pa

    column = pd.Series([0, value, None], dtype=pd.ArrowDtype(pa.int64()))
    with pytest.raises(rb.EncodingError, match=rf"column 'x' holds {value}, beyond 2\*\*53"):
        there_and_back(column)


@pytest.mark.parametrize("value", [5, 2**40])
def test_nullable_integers_keep_their_holes(value: int) -> None:
    back = there_and_back(pd.Series([value, None], dtype="Int64"))
    assert back.isna().tolist() == [False, True]
    assert int(back[0]) == value


def test_booleans_and_their_holes() -> None:
    assert there_and_back(pd.Series([True, False])).tolist() == [True, False]
    back = there_and_back(pd.Series([True, None, False], dtype="boolean"))
    assert back.dtype == "boolean"
    assert back.isna().tolist() == [False, True, False]
    assert bool(back[0]) and not bool(back[2])
    objects = there_and_back(pd.Series([True, None], dtype=object))
    assert objects.isna().tolist() == [False, True]


TEXTS = ["plain", "", "NA", "ü 漢字 🙂", "a\nb\t\"'\\", " ", "NaN", "TRUE", "1"]


@pytest.mark.parametrize("dtype", [object, "str", "string"])
def test_text_is_unchanged_and_na_is_not_text(dtype: Any) -> None:
    column = pd.Series([*TEXTS, None], dtype=dtype)
    back = there_and_back(column)
    assert back.tolist()[:-1] == TEXTS
    assert back.isna().tolist() == [False] * len(TEXTS) + [True]
    assert list(r_says(column, "base::typeof")) == ["character"]


MANY = [f"school {i}" for i in range(50)]


@pytest.mark.parametrize(
    "added",
    [[], ["last", ""], ["", "last"], ["a\x1fb"], ["\x1f", "x"], ["x", "\x1f"], [*TEXTS, "x"]],
    ids=repr,
)
def test_many_texts_are_those_that_r_makes_one_by_one(added: list[str]) -> None:
    """Many go as one joined text, which must not change an empty one or one with the separator."""
    texts = [*MANY, *added]
    levels = pd.Series(pd.Categorical(texts, categories=texts))
    assert there_and_back(levels).cat.categories.tolist() == texts
    assert there_and_back(pd.Series(texts)).tolist() == texts
    # A single text doesn't go joined; R's serialize() writes the mark of each one's encoding.
    parts = [rdoor.call_object("base::identity", x) for x in texts]
    singly = rdoor.call_object("base::c", *parts)
    assert rdoor.call("base::identical", texts, singly).value[0]
    assert rdoor.call_object("base::identity", texts).to_bytes() == singly.to_bytes()


@pytest.mark.parametrize("bad", ["a\0b", "\ud800"])
def test_many_texts_of_which_r_cannot_hold_one(bad: str) -> None:
    with pytest.raises(rb.EncodingError, match=r"column 'x' holds .*remove it"):
        there_and_back(
            pd.Series(pd.Categorical.from_codes([0], pd.Index([*MANY, bad], dtype=object)))
        )


def test_many_texts_and_a_missing_one() -> None:
    given = [*MANY, None, "last"]
    assert rdoor.call("base::identity", given).value.tolist() == given


def test_missing_marks_of_object_columns() -> None:
    back = there_and_back(pd.Series(["a", None, np.nan, pd.NA, pd.NaT], dtype=object))
    assert back.isna().tolist() == [False, True, True, True, True]


def test_categories_keep_labels_order_and_unused_levels() -> None:
    column = pd.Series(pd.Categorical(["b", None, "a"], categories=["z", "b", "a"], ordered=True))
    back = there_and_back(column)
    pd.testing.assert_series_equal(back, column, check_names=False)
    assert list(r_says(column, "base::class")) == ["ordered", "factor"]
    assert list(r_says(column, "base::levels")) == ["z", "b", "a"]
    unordered = column.cat.as_unordered()
    pd.testing.assert_series_equal(there_and_back(unordered), unordered, check_names=False)


def test_numeric_categories_become_labels() -> None:
    column = pd.Series(pd.Categorical([3.0, 1.0, 2.5], categories=[3.0, 1.0, 2.5]))
    assert list(r_says(column, "base::levels")) == ["3", "1", "2.5"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_times_are_posixct_in_utc(unit: str, zone: str | None) -> None:
    times = ["2020-02-29 12:34:56", "1969-12-31 23:59:59", None, "2100-01-01 00:00:00"]
    column = pd.Series(pd.to_datetime(times)).astype(f"datetime64[{unit}]")
    if zone:
        column = column.dt.tz_localize(zone)
    back = there_and_back(column)
    expected = column.dt.tz_convert("UTC").dt.tz_localize(None) if zone else column
    assert (back.astype("datetime64[ns]").isna() == expected.isna()).all()
    assert back.dropna().tolist() == expected.dropna().tolist()
    assert list(r_says(column, "base::class")) == ["POSIXct", "POSIXt"]
    told = r_says(pd.Series(pd.to_datetime(["2020-02-29 12:34:56"])), "base::format")
    assert list(told) == ["2020-02-29 12:34:56"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_whole_seconds_are_rs_bits(unit: str) -> None:
    seconds = np.array([0, -1, 1582979696, -62135596800, 253402300799 if unit != "ns" else 1])
    if unit == "ns":
        seconds[3] = -(9 * 10**9)
    column = pd.Series(seconds.astype("M8[s]").astype(f"M8[{unit}]"))
    assert r_says(column, "base::as.numeric").tolist() == seconds.tolist()
    with_a_part = pd.concat([column, pd.Series([np.datetime64("2020-01-01T00:00:00.5")])])
    assert r_says(with_a_part, "base::as.numeric").tolist() == [*seconds, 1577836800.5]


def test_microseconds_are_kept() -> None:
    column = pd.Series(pd.to_datetime(["2020-01-01 00:00:00.123457", "1955-05-05 05:05:05.000001"]))
    assert there_and_back(column.astype("datetime64[us]")).tolist() == column.tolist()


def test_nanoseconds_that_a_double_cannot_hold_are_refused() -> None:
    column = pd.Series(pd.to_datetime(["2020-01-01 00:00:00.123456789"])).astype("datetime64[ns]")
    with pytest.raises(rb.EncodingError, match=r"column 'x'.*floor"):
        there_and_back(column)


def test_dates_are_rs_dates() -> None:
    column = pd.Series([dt.date(2020, 2, 29), None, dt.date(1900, 1, 1)], dtype=object)
    back = there_and_back(column)
    assert [None if pd.isna(x) else x.date() for x in back] == column.tolist()
    assert list(r_says(column, "base::class")) == ["Date"]


NAMES = ["if", "a b", "ü", "NA", "", "1x", "(Intercept)", "a.b", "TRUE", "x`y", 'q"', "function"]


def test_column_names_of_any_text_are_unchanged() -> None:
    frame = pd.DataFrame([range(len(NAMES))], columns=NAMES)
    assert list(rdoor.call("base::identity", frame).value.columns) == NAMES


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), r"more than once: \['a'\]"),
        (pd.DataFrame([[1]], columns=[3]), r"column name 3 is not text.*map\(str\)"),
        (pd.DataFrame([[1]], columns=["a\0b"]), r"NUL"),
        (pd.DataFrame({"x": ["a\0b"]}), r"column 'x'.*NUL"),
        (pd.DataFrame({"x": ["\ud800"]}, dtype=object), r"column 'x'.*surrogate"),
        (pd.DataFrame({"x": pd.Series([1, "a"], dtype=object)}), r"column 'x'.*int, str"),
        (pd.DataFrame({"x": pd.to_timedelta(["1s"])}), r"column 'x'.*total_seconds"),
        (pd.DataFrame({"x": pd.period_range("2020", periods=1, freq="M")}), r"'x'.*to_timestamp"),
        (pd.DataFrame({"x": pd.arrays.SparseArray([1.0])}), r"column 'x'.*to_dense"),
        (pd.DataFrame({"x": [1 + 2j]}), r"column 'x'.*complex"),
        (pd.DataFrame({"x": pd.interval_range(0, 1)}), r"column 'x'.*category"),
        (pd.DataFrame({"x": pd.Categorical([1, "1"])}), r"column 'x'.*read the same.*rename"),
    ],
    ids=lambda x: x if isinstance(x, str) else "frame",
)
def test_refusals_name_the_column_and_the_remedy(frame: pd.DataFrame, text: str) -> None:
    with pytest.raises(rb.EncodingError, match=text):
        rdoor.call("base::identity", frame)


@pytest.mark.parametrize(
    "index", [["x", "y"], [5, 5], pd.MultiIndex.from_tuples([(1, "a"), (1, "b")])]
)
def test_any_index_is_fine_and_rows_keep_their_order(index: Any) -> None:
    frame = pd.DataFrame({"x": [2.0, 1.0]}, index=index)
    assert rdoor.call("base::identity", frame).value["x"].tolist() == [2.0, 1.0]


def test_frames_without_rows() -> None:
    frame = pd.DataFrame(
        {
            "x": pd.Series([], dtype=float),
            "t": pd.Series([], dtype="str"),
            "c": pd.Categorical([], categories=["a"]),
        }
    )
    back = rdoor.call("base::identity", frame).value
    assert back.shape == (0, 3)
    assert list(back["c"].cat.categories) == ["a"]


def test_arrow_columns() -> None:
    import pyarrow as pa

    for values, kind in (
        ([1, None], pa.int64()), ([1.5, None], pa.float64()), (["ü", None], pa.string()),
        ([True, None], pa.bool_()), ([dt.date(2020, 1, 2), None], pa.date32()),
        ([dt.datetime(2020, 1, 2, 3), None], pa.timestamp("us")),
    ):  # fmt: skip
        back = there_and_back(pd.Series(values, dtype=pd.ArrowDtype(kind)))
        assert back.isna().tolist() == [False, True], kind
        assert back[0] == (pd.Timestamp(values[0]) if "20" in str(values[0]) else values[0]), kind


def test_matrices_keep_their_shape() -> None:
    matrix = np.arange(6.0).reshape(2, 3)
    assert (rdoor.call("base::identity", matrix).value == matrix).all()
    assert rdoor.call("base::dim", matrix).value.tolist() == [2, 3]


def test_scalars_lists_and_names() -> None:
    value = {"a": [1, 2], "b": {"c": "x", "d": None}, "e": [True, None], "f": [1, 2.5]}
    back = rdoor.call("base::identity", value).value
    assert back["a"].tolist() == [1, 2]
    assert list(back["b"]["c"]) == ["x"]
    assert back["b"]["d"] is None
    assert back["e"].tolist() == [True, pd.NA]
    assert back["f"].tolist() == [1.0, 2.5]
