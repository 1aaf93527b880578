"""ImputedData: frames in and out, derived columns, long form, missingness."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import imputed
from rbridge_mi.filed import Filed


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
    assert imp._repr_html_().startswith("<pre>")


def test_pickles_and_compares(imp: rb.ImputedData) -> None:
    again = pickle.loads(pickle.dumps(imp))
    assert again == imp
    assert again != imp.assign(x=lambda d: d["x"] + 1)


@pytest.fixture
def filed(
    imp: rb.ImputedData, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> rb.ImputedData:
    """The same data sets, their cells in a file."""
    monkeypatch.setattr(imputed, "_IN_MEMORY", 0)
    monkeypatch.setattr(pd.DataFrame, "memory_usage", lambda _: pd.Series([0]))
    made = rb.ImputedData.from_frames(list(imp), original=frame)
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

    monkeypatch.setattr(imputed, "_IN_MEMORY", -1)
    monkeypatch.setattr(pd.DataFrame, "memory_usage", lambda _: pd.Series([0]))
    monkeypatch.setattr(imputed, "Filed", full)
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
