"""ImputedData: frames in and out, derived columns, long form, missingness."""

from __future__ import annotations

import pickle
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.data import stores
from rbridge_mi.data.on_disk import Filed
from rbridge_mi.data.stores import CellStore

pytestmark = pytest.mark.r


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {"g": ["a", "a", "b"], "x": [1.0, np.nan, 3.0], "n": pd.array([1, None, 3], dtype="Int64")},
        index=[10, 20, 30],
    )


@pytest.fixture
def imp(frame: pd.DataFrame) -> rb.ImputedData:
    return rb.ImputedData.from_frames(
        [frame.fillna({"x": 5.0, "n": 7}), frame.fillna({"x": 6.0, "n": 8})], original=frame
    )


def test_sequence(imp: rb.ImputedData, frame: pd.DataFrame) -> None:
    assert len(imp) == imp.m == 2
    assert imp[1].loc[20, "x"] == imp[-1].loc[20, "x"] == 6.0
    assert [x.loc[20, "n"] for x in imp] == [7, 8]
    assert imp[0].dtypes.equals(frame.dtypes)
    pd.testing.assert_frame_equal(imp.original, frame)
    with pytest.raises(IndexError, match="0 to 1"):
        imp[2]


def test_only_differing_cells_are_stored(imp: rb.ImputedData) -> None:
    assert isinstance(imp.store, CellStore)
    assert {k: v.rows.tolist() for k, v in imp.store.cells.items()} == {"x": [1], "n": [1]}


def test_from_frames_without_original_finds_the_holes(imp: rb.ImputedData) -> None:
    again = rb.ImputedData.from_frames(list(imp))
    assert again.original.isna().to_numpy().tolist() == imp.original.isna().to_numpy().tolist()
    for a, b in zip(again, imp, strict=True):
        pd.testing.assert_frame_equal(a, b)


def test_from_frames_refuses_what_does_not_match(imp: rb.ImputedData) -> None:
    with pytest.raises(rb.ArgumentError, match="at least one"):
        rb.ImputedData.from_frames([])
    with pytest.raises(rb.ArgumentError, match=r"frames\[1\] has other columns"):
        rb.ImputedData.from_frames([imp[0], imp[1].rename(columns={"x": "y"})])
    with pytest.raises(rb.ArgumentError, match=r"frames\[1\] has other rows"):
        rb.ImputedData.from_frames([imp[0], imp[1].reset_index(drop=True)])
    with pytest.raises(rb.ArgumentError, match="original has other rows"):
        rb.ImputedData.from_frames(list(imp), original=imp[0].reset_index(drop=True))


def test_transform_recomputes_in_every_imputation(imp: rb.ImputedData) -> None:
    means = imp.transform(lambda d: d.assign(mean=d.groupby("g")["x"].transform("mean")))
    assert [x["mean"].tolist() for x in means] == [[3.0, 3.0, 3.0], [3.5, 3.5, 3.0]]
    assert means.method == imp.method
    assert "mean" not in imp[0]


def test_assign(imp: rb.ImputedData) -> None:
    squares = imp.assign(sq=lambda d: d["x"] ** 2, one=1)
    assert squares[1]["sq"].tolist() == [1.0, 36.0, 9.0]
    assert squares[1]["one"].tolist() == [1, 1, 1]
    assert np.isnan(squares.original["sq"][20])


def test_transform_keeps_what_is_known_of_the_imputation() -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=list("abc"))
    holes = rb.ampute(frame, prop=0.1, seed=1)
    imp = rb.AmeliaImputer(m=2).impute(holes, seed=1).assign(d=lambda x: x["a"] + 1)
    assert (imp.seed, imp.method, imp.chain_lengths != ()) == (1, "amelia", True)


def test_long_form_and_back(imp: rb.ImputedData) -> None:
    long = imp.to_long()
    assert list(long.columns[:2]) == [".imp", ".id"]
    assert long[".imp"].tolist() == [1, 1, 1, 2, 2, 2]
    assert long[".id"].tolist() == [10, 20, 30] * 2
    full = imp.to_long(include=True)
    assert full[".imp"].tolist() == [0] * 3 + [1] * 3 + [2] * 3
    again = rb.ImputedData.from_long(full)
    assert again == imp
    for a, b in zip(again, imp, strict=True):
        pd.testing.assert_frame_equal(a, b)


def test_long_form_counts_rows_from_one() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    imp = rb.ImputedData.from_frames([frame, frame])
    assert imp.to_long()[".id"].tolist() == [1, 2, 1, 2]
    assert isinstance(rb.ImputedData.from_long(imp.to_long())[0].index, pd.RangeIndex)


def test_long_form_needs_its_columns() -> None:
    with pytest.raises(rb.ArgumentError, match=r"no column '\.imp'"):
        rb.ImputedData.from_long(pd.DataFrame({"x": [1]}))


# -- made elsewhere ------------------------------------------------------------------------------


def long_frame(**columns: Sequence[object]) -> pd.DataFrame:
    return pd.DataFrame({f".{k}" if k in ("imp", "id") else k: v for k, v in columns.items()})


def test_the_frames_own_values_come_back() -> None:
    def frame(*values: object, **how: Any) -> pd.DataFrame:
        return pd.DataFrame({"x": pd.Series(values, **how)})

    made = rb.ImputedData.from_frames
    frames = [frame(1, 2), frame(1, 3)]
    for original in (None, frame(1.0, np.nan), frame("1", None), frame(1, 2)):
        imp = made(frames, original)
        for i in (0, 1):
            pd.testing.assert_frame_equal(imp[i], frames[i])
        assert imp.notes == ()
    categories = pd.CategoricalDtype(["a", "b"])
    frames = [frame("a", "b", dtype=categories), frame("a", "a", dtype=categories)]
    imp = made(frames, frame("a", None, dtype=categories))
    assert [x["x"].tolist() for x in imp] == [["a", "b"], ["a", "a"]]
    with pytest.raises(rb.ArgumentError, match=r"'x': imputation 1 holds booleans \(bool\), "
                       r"imputation 2 numbers \(float64\)"):  # fmt: skip
        made([frame(True, False), frame(1.0, 2.5)], frame(1.0, np.nan))


def test_a_dtype_that_holds_all_is_noted() -> None:
    frames = [pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": [1.0, 2.5]})]
    imp = rb.ImputedData.from_frames(frames)
    assert imp.notes == ("x: int64, float64 became float64, for all data sets",)
    assert "x: int64, float64 became float64" in imp.summary()
    assert [x["x"].tolist() for x in imp] == [[1.0, 2.0], [1.0, 2.5]]
    assert imp.assign(y=1).notes == imp.notes
    levels = [pd.DataFrame({"f": pd.Categorical(list(x))}) for x in ("aba", "aca")]
    imp = rb.ImputedData.from_frames(levels)
    assert imp.notes == ("f: its categories became ['a', 'b', 'c'], for all data sets",)


def test_categories_keep_an_order_that_has_them_all() -> None:
    def frame(*values: str, ordered: bool = False) -> pd.DataFrame:
        return pd.DataFrame({"f": pd.Categorical(values[:2], values, ordered=ordered)})

    made = rb.ImputedData.from_frames
    assert made([frame("a", "c"), frame("a", "b", "c")])[0]["f"].cat.categories.tolist() == [*"abc"]
    imp = made([frame("a", "c"), frame("a", "b")], frame("c", "b", "a"))
    assert imp[0]["f"].cat.categories.tolist() == ["c", "b", "a"]
    # pandas takes the two for the same dtype; R's reference level hangs on it.
    imp = made([frame("b", "a"), frame("a", "b")])
    assert [x["f"].cat.categories.tolist() for x in imp] == [["b", "a"]] * 2
    assert [x["f"].tolist() for x in imp] == [["b", "a"], ["a", "b"]]
    ordered = made([frame("a", "c", ordered=True), frame("a", "b", "c", ordered=True)])
    assert ordered[0]["f"].dtype == pd.CategoricalDtype([*"abc"], ordered=True)
    for wrong in (frame("c", "a", ordered=True), frame("c", "d", ordered=True), frame("a", "c")):
        with pytest.raises(rb.ArgumentError, match=r"column 'f': .*imputation 1.* imputation 2.*"
                           r"same pd\.CategoricalDtype"):  # fmt: skip
            made([frame("a", "c", ordered=True), wrong])


@pytest.fixture
def scores() -> rb.ImputedData:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"ses": rng.normal(size=80), "g": np.repeat(np.arange(8), 10)})
    frame["y"] = frame["ses"] + rng.normal(size=8)[frame["g"]] + rng.normal(size=80)
    holes = frame.assign(ses=frame["ses"].mask(rng.random(80) < 0.2))
    gone = holes["ses"].isna()
    frames = [
        holes.assign(ses=holes["ses"].fillna(pd.Series(rng.normal(size=80)))) for _ in range(3)
    ]
    assert gone.sum() > 5
    return rb.ImputedData.from_frames(frames, original=holes)


DERIVED = {
    "cut": lambda d: pd.cut(d["ses"], [-9, 0, 9], labels=["lo", "hi"]),
    "cut at the same places": lambda d: pd.cut(d["ses"], [-9, 0, 9]),
    "qcut": lambda d: pd.qcut(d["ses"], 3, labels=["a", "b", "c"]),
    "qcut, numbered": lambda d: pd.qcut(d["ses"], 3, labels=False),
    "bool": lambda d: d["ses"] > 0,
    "int": lambda d: (d["ses"] * 3).round().astype(int),
    "whole or not": lambda d: (
        d["ses"].round().astype(int) if d["ses"].max() > 2.3 else d["ses"].round(1)
    ),
    "levels that are there": lambda d: pd.Categorical(
        np.select([d["ses"] < 0, d["ses"] < 2.3], ["below", "middle"], "top")  # not always there
    ),
    "text": lambda d: np.where(d["ses"] > 0, "high", "low"),
}  # fmt: skip


@pytest.mark.parametrize("how", DERIVED)
def test_derived_columns_are_each_data_sets_own_also_in_r(scores: rb.ImputedData, how: str) -> None:
    derived = scores.assign(q=DERIVED[how])
    frames = [x.assign(q=DERIVED[how]) for x in scores]
    model = rb.Lmer("y ~ q + (1 | g)")
    fits = model.fit(derived)
    joined = [x for x in derived.notes if x.endswith("for all data sets")]
    assert bool(joined) == (how in ("levels that are there", "whole or not"))
    for i, frame in enumerate(frames):
        assert derived[i]["q"].tolist() == frame["q"].tolist()
        alone = model.fit(frame)
        pd.testing.assert_frame_equal(fits[i].fixef(), alone.fixef(), check_exact=True)
        pd.testing.assert_frame_equal(fits[i].vcov(), alone.vcov(), check_exact=True)


def test_derived_where_the_holes_stop_the_function(scores: rb.ImputedData) -> None:
    derived = scores.assign(k=lambda d: (d["ses"] * 3).astype(int))
    assert derived[0]["k"].dtype == np.int64
    assert any("f stopped at them (IntCastingNaNError" in x for x in derived.notes)
    known = scores.original["ses"].notna()
    assert derived.original["k"].dtype == "Int64"
    assert derived.original.loc[known, "k"].tolist() == derived[0].loc[known, "k"].tolist()
    assert derived.original["k"].isna().any()
    pd.testing.assert_frame_equal(derived.original[["ses", "g", "y"]], scores.original)
    # An existing column that is changed is derived, too.
    changed = scores.assign(ses=lambda d: d["ses"].astype(int)).original["ses"]
    assert changed.dtype == "Int64"


@pytest.mark.parametrize("cut", [pd.qcut, pd.cut])
def test_intervals_of_each_data_set_are_refused_with_the_remedy(
    scores: rb.ImputedData, cut: object
) -> None:
    with pytest.raises(
        rb.ArgumentError, match=r"column 'q': .*imputation 1.*imputation [23].*labels"
    ):
        scores.assign(q=lambda d: cut(d["ses"], 4))  # type: ignore[operator]


def test_transform_needs_a_frame(imp: rb.ImputedData) -> None:
    with pytest.raises(rb.ArgumentError, match=r"imputation 1 is None: f must return the frame"):
        imp.transform(lambda d: None)
    with pytest.raises(rb.ArgumentError, match=r"imputation 1 must be a pandas DataFrame"):
        imp.transform(lambda d: d["x"])
    with pytest.raises(rb.ArgumentError, match=r"f gave for imputation 2 has other rows"):
        imp.transform(lambda d: d[d["x"] != 6.0])
    with pytest.raises(rb.ArgumentError, match=r"f gave for imputation 2 has other columns"):
        imp.transform(lambda d: d.assign(**{f"x{d['x'][20]}": 1}))


@pytest.mark.parametrize(
    "i", ["x", "0", None, 1.0, True, np.bool_(True), [0], (0,), slice(0, 1), np.arange(2), pd.NA]
)
def test_imp_i_takes_a_number(imp: rb.ImputedData, i: Any) -> None:
    with pytest.raises(TypeError, match=r"imp\[i\] is the i-th of the 2 data sets, a DataFrame.*"
                       r"imp\[0\]\[name\].*\[d\[name\] for d in imp\]"):  # fmt: skip
        imp[i]
    assert imp[np.int64(1)].equals(imp[1])


NAMES = [0, ("a", "b"), 1.5, None, pd.Timestamp("2020-01-01")]


@pytest.mark.parametrize("name", NAMES, ids=str)
def test_names_that_are_not_text(name: object) -> None:
    columns = pd.Index([name, "0", "y"], dtype=object, tupleize_cols=False)
    holes = pd.DataFrame([[1.0, 5.0, 1], [np.nan, np.nan, 2]], columns=columns)
    frames = [holes.fillna(7.0), holes.fillna(8.0)]
    frames[1].iloc[1, 1] = 9.0
    for imp in (
        rb.ImputedData.from_frames(frames, holes),
        rb.ImputedData.from_frames(frames),
        rb.ImputedData.from_frames(frames, holes).assign(z=1).transform(lambda d: d.iloc[:, :3]),
    ):
        assert imp.store.differing is not None
        assert imp.store.differing[1] == "0"
        for again in (imp, pickle.loads(pickle.dumps(imp)), rb.ImputedData.from_long(
                imp.to_long(include=True))):  # fmt: skip
            assert [x.iloc[:, 0].tolist() for x in again] == [[1.0, 7.0], [1.0, 8.0]]
            assert [x.iloc[:, 1].tolist() for x in again] == [[5.0, 7.0], [5.0, 9.0]]
            assert again[0].columns.equals(frames[0].columns)
            assert again.missing().tolist() == [0.5, 0.5, 0.0]
        assert "Rows: 2" in imp.summary()


def test_columns_of_several_levels(tmp_path: Path) -> None:
    holes = pd.DataFrame({("a", "x"): [1.0, np.nan], ("a", "y"): [1, 2]})
    assert isinstance(holes.columns, pd.MultiIndex)
    imp = rb.ImputedData.from_frames([holes.fillna(3.0), holes.fillna(4.0)], holes)
    assert rb.ImputedData.from_long(imp.to_long(include=True)) == imp
    assert rb.load(rb.save(imp, tmp_path / "imp.zip")) == imp


# -- long form -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [".imp", ".id"])
def test_the_long_forms_own_names_are_refused(imp: rb.ImputedData, name: str) -> None:
    taken = imp.assign(**{name: 1})
    assert taken[0][name].tolist() == [1, 1, 1]
    with pytest.raises(rb.ArgumentError, match=rf"a column '\{name}'.*rename"):
        taken.to_long()


def test_data_sets_are_ordered_by_number_also_as_text() -> None:
    whole = list(range(1, 11))
    texts = [str(i) for i in whole]
    for numbers in (whole, texts, [float(i) for i in whole], [f"{i}.0" for i in whole]):
        backwards = numbers[::-1]
        long = long_frame(imp=backwards, id=[1] * 10, x=[float(x) for x in backwards])
        assert [x["x"][0] for x in rb.ImputedData.from_long(long)] == list(range(1, 11))
    long[".imp"] = pd.Categorical(long[".imp"])
    assert rb.ImputedData.from_long(long)[9]["x"].tolist() == [10.0]


@pytest.mark.parametrize(
    ("imps", "ids", "said"),
    [
        ([1, 1, 1.5, 1.5], [1, 2, 1, 2], r"\.imp of long's row 2 is 1\.5.*whole number"),
        ([1, 1, np.nan, np.nan], [1, 2, 1, 2], r"\.imp of long's row 2 is nan.*is missing"),
        ([1, 1, -1, -1], [1, 2, 1, 2], r"\.imp of long's row 2 is -1.*whole number"),
        (["1", "1", "b", "b"], [1, 2, 1, 2], r"\.imp of long's row 2 is 'b'.*whole number"),
        ([True, True, False, False], [1, 2, 1, 2], r"\.imp holds boolean values"),
        ([0, 0, 0, 0], [1, 2, 3, 4], r"no data set but the one with holes"),
        ([1, 1, 2, 2], [1, 2, 1, np.nan], r"\.id of long's row 3 is nan.*is missing"),
        ([1, 1, 2, 2], [1, -2, 1, -2], r"\.id of long's row 1 is -2.*negative"),
        ([1, 1, 2, 2], [1, 1, 1, 1], r"imputation 1: \.id 1 stands more than once"),
        ([1, 1, 2, 2], [1, 2, 2, 2], r"imputation 2: \.id 2 stands more than once"),
        ([1, 1, 2, 2], [1, 2, 1, 3], r"imputation 2 has other rows than imputation 1: by \.id, it "
                                     r"lacks 2 and has 3 besides"),
        ([0, 0, 1, 2], ["a", "b", "a", "a"], r"imputation 1 has other rows than the data with their"
                                             r" holes \(\.imp 0\): by \.id, it lacks 'b'"),
    ],
)  # fmt: skip
def test_a_long_form_that_cant_be_right(imps: list[object], ids: list[object], said: str) -> None:
    with pytest.raises(rb.ArgumentError, match=said):
        rb.ImputedData.from_long(long_frame(imp=imps, id=ids, x=[1, 2, 1, 3]))


def test_shuffled_rows_are_put_in_order() -> None:
    long = long_frame(imp=[2, 1, 1, 2], id=[2, 2, 1, 1], x=[4, 2, 1, 3])
    assert [x["x"].tolist() for x in rb.ImputedData.from_long(long)] == [[1, 2], [3, 4]]
    # Labels have no order of their own: that of the data with their holes, or of the first set.
    text = long.assign(**{".id": ["b", "b", "a", "a"]})
    assert [x["x"].to_dict() for x in rb.ImputedData.from_long(text)] == [
        {"b": 2, "a": 1}, {"b": 4, "a": 3}
    ]  # fmt: skip
    first = long_frame(imp=[0, 0], id=["a", "b"], x=[None, 2.0])
    imp = rb.ImputedData.from_long(pd.concat([text, first]))
    assert [list(x.index) for x in (imp.original, *imp)] == [["a", "b"]] * 3
    assert [x["x"].tolist() for x in imp] == [[1.0, 2.0], [3.0, 4.0]]


INDEXES = {
    "default": pd.RangeIndex(3),
    "from 1": pd.RangeIndex(1, 4),
    "from 5": pd.RangeIndex(5, 8),
    "backwards": pd.RangeIndex(6, 0, -2),
    "1..n": pd.Index([1, 2, 3]),
    "1..n in another order": pd.Index([2, 3, 1]),
    "0..n-1 in another order": pd.Index([1, 0, 2]),
    "int32": pd.Index([1, 2, 3], dtype="int32"),
    "uint8": pd.Index([1, 255, 3], dtype="uint8"),
    "nullable": pd.Index([10, 20, 30], dtype="Int64"),
    "floats": pd.Index([1.0, 2.0, 3.0]),
    "text": pd.Index(["b", "a", "c"]),
    "numbers as text": pd.Index(["1", "2", "3"]),
    "days": pd.DatetimeIndex(["2020-01-02", "2020-01-01", "2021-01-01"]),
    "days with a zone": pd.DatetimeIndex(["2020-01-02", "2020-01-01", "2021-01-01"], tz="UTC"),
    "two levels": pd.MultiIndex.from_arrays([["a", "b", "a"], [1, 2, 3]]),
    "categories": pd.CategoricalIndex(["b", "a", "c"]),
    "mixed": pd.Index(["a", 1, 2.5], dtype=object),
}


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("which", INDEXES)
def test_row_labels_come_back(which: str, include: bool) -> None:
    holes = pd.DataFrame({"x": [1.0, np.nan, 3.0], "y": ["a", "b", "c"]}, index=INDEXES[which])
    imp = rb.ImputedData.from_frames([holes.fillna(5.0), holes.fillna(6.0)], holes)
    long = imp.to_long(include)
    again = rb.ImputedData.from_long(long)
    assert again == imp
    for a, b in zip(again, imp, strict=True):
        pd.testing.assert_frame_equal(a, b, check_dtype=True, check_index_type="equiv")
    shuffled = rb.ImputedData.from_long(long.sample(frac=1, random_state=2))
    for a, b in zip(shuffled, imp, strict=True):
        assert a.loc[list(b.index)].equals(b)
    assert long[".id"].nunique() == 3


def test_a_csv_file_keeps_row_numbers(tmp_path: Path) -> None:
    holes = pd.DataFrame({"x": [1.0, np.nan, 3.0]})
    imp = rb.ImputedData.from_frames([holes.fillna(5.0), holes.fillna(6.0)], holes)
    imp.to_long(include=True).to_csv(tmp_path / "long.csv", index=False)
    assert rb.ImputedData.from_long(pd.read_csv(tmp_path / "long.csv")) == imp


MICE = """
suppressMessages(library(mice))
long <- read.csv("long.csv", check.names = FALSE, stringsAsFactors = TRUE)
imp <- as.mids(long)
write.csv(complete(imp, "long", include = TRUE), "back.csv", row.names = FALSE)
"""


def test_mice_reads_it_and_writes_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"x": rng.integers(0, 99, 40) / 8, "f": rng.choice(["b", "a", "c"], 40)})
    gone = rng.random((40, 2)) < 0.2
    holes = frame.mask(gone)
    frames = [holes.fillna({"x": i + 0.25}).assign(f=holes["f"].fillna("abc"[i])) for i in range(3)]
    imp = rb.ImputedData.from_frames(frames, holes)
    long = imp.to_long(include=True)
    long.to_csv(tmp_path / "long.csv", index=False, na_rep="NA")
    done = subprocess.run(
        ["Rscript", "-e", MICE], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    back = pd.read_csv(tmp_path / "back.csv")
    assert back[".imp"].tolist() == long[".imp"].tolist()
    assert back[".id"].tolist() == long[".id"].tolist()
    again = rb.ImputedData.from_long(back)  # mice puts .imp and .id last
    for a, b in zip((again.original, *again), (imp.original, *imp), strict=True):
        pd.testing.assert_frame_equal(a, b)


def test_to_long_refuses_what_one_column_cant_hold() -> None:
    holes = pd.DataFrame({"x": [1.0, np.nan]})
    imp = rb.ImputedData.from_frames([pd.DataFrame({"x": [True, False]})], holes)
    assert imp.to_long()["x"].tolist() == [True, False]
    with pytest.raises(rb.ArgumentError, match=r"'x': the data with their holes holds numbers"):
        imp.to_long(include=True)
    whole = rb.ImputedData.from_frames([pd.DataFrame({"x": [1, 2**53 + 1]})], holes)
    with pytest.raises(rb.ArgumentError, match=r"imputation 1 holds integers beyond 2\*\*53"):
        whole.to_long(include=True)


@pytest.mark.parametrize("index", [range(6), range(5, 11), [1, 2, 3, 4, 5, 6], list("abcdef")])
def test_long_form_of_bootstrap_samples(index: list[object]) -> None:
    frame = pd.DataFrame({"x": np.arange(6.0)}, index=index)
    boot = rb.BootstrapImputer(3).impute(frame, seed=1)
    full = rb.ImputedData.from_long(boot.to_long(include=True), kind="bootstrap")
    assert full == boot
    samples = rb.ImputedData.from_long(boot.to_long(), kind="bootstrap")
    assert all(a.equals(b) for a, b in zip(samples, boot, strict=True))


def test_missing_and_patterns(imp: rb.ImputedData) -> None:
    assert imp.missing().to_dict() == pytest.approx({"g": 0.0, "x": 1 / 3, "n": 1 / 3})
    patterns = imp.patterns()
    assert patterns.index.tolist() == [2, 1]
    assert patterns.iloc[1].to_dict() == {"g": False, "x": True, "n": True}


def test_summary_says_what_amelias_does(imp: rb.ImputedData) -> None:
    text = imp.summary()
    for line in ("Rows: 3", "Rows after listwise deletion: 2", "Rows after imputation: 3",
                 "Patterns of missingness: 2", "x  0.3333"):  # fmt: skip
        assert line in text
    assert imp._repr_html_().startswith("<pre style=")


def test_pickles_and_compares(imp: rb.ImputedData) -> None:
    again = pickle.loads(pickle.dumps(imp))
    assert again == imp
    assert again != imp.assign(x=lambda d: d["x"] + 1)


@pytest.fixture
def filed(
    imp: rb.ImputedData, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> rb.ImputedData:
    """The same data sets, their cells in a file."""
    monkeypatch.setattr(stores, "_IN_MEMORY", 0)
    monkeypatch.setattr(pd.DataFrame, "memory_usage", lambda _: pd.Series([0]))
    made = rb.ImputedData.from_frames(list(imp), original=frame)
    assert isinstance(made.store, CellStore)
    assert all(isinstance(x.values, Filed) for x in made.store.cells.values())
    return made


def test_cells_in_a_file_are_the_same(filed: rb.ImputedData, imp: rb.ImputedData) -> None:
    assert filed == imp
    for a, b in zip(filed, imp, strict=True):
        pd.testing.assert_frame_equal(a, b)
    again = pickle.loads(pickle.dumps(filed))
    assert again == imp
    assert isinstance(again.store.cells["x"].values, Filed)
    assert filed.assign(y=lambda d: d["x"] + 1) == imp.assign(y=lambda d: d["x"] + 1)


def test_cells_in_a_file_are_saved(
    filed: rb.ImputedData, imp: rb.ImputedData, tmp_path: Path
) -> None:
    assert rb.load(rb.save(filed, tmp_path / "imp.zip")) == imp


def test_a_filed_sequence() -> None:
    values = Filed([np.arange(3.0), pd.array([1, None], dtype="Int64"), "text"])
    assert len(values) == 3
    assert values[0].tolist() == [0.0, 1.0, 2.0]
    assert values[1].dtype == "Int64"
    assert values[-1] == values[2] == "text"
    assert values[1:][1] == "text"
    with pytest.raises(IndexError):
        values[3]
    file = values._file
    del values
    assert file.closed


def test_without_room_for_a_file_cells_stay_in_memory(
    imp: rb.ImputedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(values: object) -> Filed:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stores, "_IN_MEMORY", -1)
    monkeypatch.setattr(pd.DataFrame, "memory_usage", lambda _: pd.Series([0]))
    monkeypatch.setattr(stores, "Filed", full)
    with pytest.warns(rb.RBridgeWarning, match=r"kept in memory.*No space left.*TMPDIR"):
        assert rb.ImputedData.from_frames(list(imp), original=imp.original) == imp


def test_derived_column_of_a_bootstrap() -> None:
    frame = pd.DataFrame({"x": np.arange(5.0)})
    boot = rb.BootstrapImputer(2).impute(frame, seed=1).assign(mean=lambda d: d["x"].mean())
    assert boot.kind == "bootstrap"
    for sample in boot:
        assert (sample["mean"] == sample["x"].mean()).all()


# -- datasets --------------------------------------------------------------------------------


def test_hsb_is_mertools(hsb: pd.DataFrame) -> None:
    from rbridge_mi import rdoor

    load = '(function() {utils::data("hsb", package = "merTools", envir = environment()); hsb})()'
    theirs = rdoor.call("base::eval", rdoor.call_object("base::str2lang", load)).value
    pd.testing.assert_frame_equal(hsb, theirs, check_exact=True)


def test_ampute_makes_the_holes_asked_for(hsb: pd.DataFrame) -> None:
    before = hsb.copy()
    holes = rb.ampute(hsb, prop=0.05, columns=["ses", "schid"], seed=1)
    removed = {x: round(0.05 * 7185) if x in ("ses", "schid") else 0 for x in hsb}
    assert holes.isna().sum().to_dict() == removed
    pd.testing.assert_frame_equal(hsb, before)
    assert holes.equals(rb.ampute(hsb, prop=0.05, columns=["ses", "schid"], seed=1))
    assert not holes.equals(rb.ampute(hsb, prop=0.05, columns=["ses", "schid"], seed=2))
    known = holes["ses"].notna()
    assert (holes.loc[known, "ses"] == hsb.loc[known, "ses"]).all()


def test_ampute_keeps_integers_and_booleans() -> None:
    frame = pd.DataFrame(
        {
            "i": np.arange(20, dtype="int32"),
            "u": np.arange(20, dtype="uint8"),
            "b": [True, False] * 10,
            "c": pd.Categorical(["a", "b"] * 10),
        }
    )
    holes = rb.ampute(frame, prop=0.2, seed=1)
    assert [str(x) for x in holes.dtypes] == ["Int32", "UInt8", "boolean", "category"]
    assert holes.isna().sum().tolist() == [4] * 4


@pytest.mark.parametrize("prop", [-0.1, 1, 1.5, "a", True])
def test_ampute_refuses_wrong_prop(prop: object) -> None:
    with pytest.raises(rb.ArgumentError, match="prop must be"):
        rb.ampute(pd.DataFrame({"x": [1.0]}), prop=prop)  # type: ignore[arg-type]


def test_columns_made_in_bootstrap_samples_have_no_value_in_the_data() -> None:
    data = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [4, 5, 6]})
    boot = rb.BootstrapImputer(m=2).impute(data, seed=1).assign(double=lambda d: 2 * d.x)
    long = boot.to_long(include=True)
    assert long.loc[long[".imp"] == 0, "double"].isna().all()
    assert (long["double"] == 2 * long["x"])[long[".imp"] > 0].all()
