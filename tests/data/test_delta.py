"""Delta adjustment: which cells are shifted by how much, and what is said of it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.data.stores import Cells, CellStore

HOLES = pd.DataFrame(
    {
        "x": [1.0, np.nan, 3.0, np.nan, np.nan],
        "count": pd.array([1, None, 3, 4, None], dtype="Int16"),
        "arm": ["a", "b", None, "b", "a"],
        "kind": pd.Categorical(["p", None, "q", "q", "p"]),
        "flag": pd.array([True, None, False, False, True], dtype="boolean"),
        "whole": [1.0, 2.0, 3.0, 4.0, 5.0],
    }
)


def filled(i: int) -> pd.DataFrame:
    frame = HOLES.copy()
    frame["x"] = frame["x"].fillna(10.0 + i)
    frame["count"] = frame["count"].fillna(20 + i)
    frame["arm"] = frame["arm"].fillna("ab"[i % 2])
    frame["kind"] = frame["kind"].fillna("pq"[i % 2])
    frame["flag"] = frame["flag"].fillna(bool(i % 2))
    return frame


IMP = rb.ImputedData.from_frames([filled(i) for i in range(3)], original=HOLES)


def test_imputed_cells_are_shifted_and_no_others() -> None:
    shifted = IMP.delta("x", -0.5)
    for before, after in zip(IMP, shifted, strict=True):
        expected = before["x"] - 0.5 * HOLES["x"].isna()
        assert after["x"].tolist() == expected.tolist()
        assert after.drop(columns="x").equals(before.drop(columns="x"))
    assert shifted.original.equals(HOLES)
    assert IMP[0]["x"].tolist() == filled(0)["x"].tolist()  # these are as they were
    assert shifted.m == 3
    assert IMP.delta("x", 0) == IMP


def test_a_shift_for_each_group_and_by_an_imputed_group() -> None:
    shifted = IMP.delta("x", {"a": 1.0, "b": -2.0}, by="arm")
    for before, after in zip(IMP, shifted, strict=True):
        shift = before["arm"].map({"a": 1.0, "b": -2.0}) * HOLES["x"].isna()
        assert after["x"].tolist() == (before["x"] + shift).tolist()
    only = IMP.delta("x", {"b": -2.0}, by="arm")
    assert only[0]["x"].tolist() == [1.0, 8.0, 3.0, 8.0, 10.0]
    # Of a row whose group was imputed, too, that of each data set counts.
    holes = HOLES.assign(x=[1.0, 2.0, np.nan, 4.0, 5.0])
    sets = [holes.assign(x=holes["x"].fillna(7.0), arm=filled(i)["arm"]) for i in range(2)]
    imp = rb.ImputedData.from_frames(sets, original=holes)
    assert [d["x"][2] for d in imp.delta("x", {"a": 1.0}, by="arm")] == [8.0, 7.0]


def test_whole_numbers_keep_their_dtype() -> None:
    shifted = IMP.delta("count", 2)
    assert shifted[1]["count"].tolist() == [1, 23, 3, 4, 23]
    assert shifted[1]["count"].dtype == pd.Int16Dtype()
    with pytest.raises(rb.ArgumentError, match=r"delta is 0.5, and column 'count' holds whole"):
        IMP.delta("count", 0.5)
    with pytest.raises(rb.ArgumentError, match="Int16, which has no room"):
        IMP.delta("count", 40_000)


def test_observed_cells_that_the_engine_imputed_too_stay() -> None:
    rows = np.array([0, 1], np.int32)  # the first is observed: Amelia's overimp
    values = tuple(np.array([5.0 + i, 6.0 + i]) for i in range(2))
    base = HOLES[["x", "whole"]]
    store = CellStore(base, {"x": Cells(rows, values, np.dtype(float))}, 2)
    imp = rb.ImputedData(base, store, "amelia")
    assert [d["x"].tolist()[:2] for d in imp.delta("x", 1.0)] == [[5.0, 7.0], [6.0, 8.0]]


def test_holes_that_stayed_stay() -> None:
    sets = [HOLES.assign(x=[1.0, 4.0 + i, 3.0, np.nan, 5.0]) for i in range(2)]
    imp = rb.ImputedData.from_frames(sets, original=HOLES)
    assert np.isnan(imp.delta("x", 1.0)[0]["x"][3])
    assert imp.delta("x", 1.0)[1]["x"][1] == 6.0


def test_it_says_what_was_shifted(tmp_path: Path) -> None:
    once = IMP.delta("x", -0.5)
    twice = once.delta("count", {"a": 1}, by="arm")
    assert once.settings["delta"] == [{"column": "x", "delta": -0.5}]
    assert twice.settings["delta"] == [
        {"column": "x", "delta": -0.5}, {"column": "count", "delta": {"a": 1.0}, "by": "arm"},
    ]  # fmt: skip
    assert twice.notes == (
        *IMP.notes,
        "x: imputed values were shifted by -0.5 (delta adjustment)",
        "count: imputed values were shifted, by +1 where arm is a (delta adjustment)",
    )
    assert "delta" not in IMP.settings
    assert "shifted by -0.5" in twice.summary()
    assert (twice.method, twice.saw, twice.seed) == (IMP.method, IMP.saw, IMP.seed)
    for other in (pickle.loads(pickle.dumps(twice)), saved(twice, tmp_path / "imp")):
        assert other == twice
        assert list(other.settings["delta"]) == twice.settings["delta"]
        assert other.notes == twice.notes


def saved(imp: rb.ImputedData, path: Path) -> Any:
    rb.save(imp, path)
    return rb.load(path)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("xx", 1), r"column names 'xx', which the data do not have"),
        (("whole", 1), "column 'whole' has no imputed values"),
        (("arm", 1), "dtype .*, and delta shifts numbers"),
        (("kind", 1), "dtype category, and delta shifts numbers"),
        (("flag", 1), "dtype boolean, and delta shifts numbers"),
        (("x", "1"), "delta must be a number, not '1'"),
        (("x", True), "delta must be a number, not True"),
        (("x", np.inf), "delta must be a number, not inf"),
        (("x", {"a": 1}), "needs by="),
        (("x", 1, "arm"), r"with by='arm', delta must map groups to shifts"),
        (("x", {}, "arm"), "delta must map groups"),
        (("x", {"c": 1}, "arm"), r"group 'c', which 'arm' does not have; it has 'a', 'b'"),
        (("x", {"a": None}, "arm"), "delta of 'a' must be a number"),
        (("x", {1.0: 1}, "x"), "by names 'x', the column that is shifted"),
        (("x", {"a": 1}, "arms"), r"did you mean 'arm'\?"),
    ],
)  # fmt: skip
def test_wrong_arguments(arguments: Any, text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        IMP.delta(*arguments)


@pytest.mark.r
def test_bootstrap_samples_have_nothing_to_shift(hsb: pd.DataFrame) -> None:
    sets = rb.BootstrapImputer(m=2).impute(hsb.head(50), seed=1)
    with pytest.raises(rb.ArgumentError, match="bootstrap samples have none"):
        sets.delta("ses", 1)
