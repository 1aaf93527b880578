"""What data sets tell of their making: trace, log, what each column's model saw, R's object."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.data.provenance import ColumnModel
from rbridge_mi.imputers.engines import ENGINES

pytestmark = pytest.mark.r


def frame(n: int = 80) -> pd.DataFrame:
    """Four waves of twenty persons: two numbers and a nominal text with holes."""
    g = np.random.default_rng(5)
    x = g.normal(size=n)
    data = pd.DataFrame(
        {
            "person": [f"p{i:02}" for i in np.repeat(np.arange(n // 4), 4)],
            "wave": np.tile(np.arange(4.0), n // 4),
            "x": x,
            "y": x + g.normal(size=n),
            "kind": np.resize(np.array(["u", "v", "w"], object), n),
            "z": g.normal(size=n),
        }
    )
    return rb.ampute(data, prop=0.1, columns=["x", "y", "kind"], seed=2)


ARGUMENTS: dict[str, Any] = {"idvars": "person", "noms": "kind", "m": 3}


@pytest.fixture(scope="module")
def kept() -> rb.ImputedData:
    return rb.AmeliaImputer(**ARGUMENTS).impute(frame(), seed=1, keep_r=True)


# --- trace and log -------------------------------------------------------------------------------


def test_the_trace_is_amelias_history(kept: rb.ImputedData) -> None:
    histories = kept.r.call("base::getElement", "iterHist").value
    assert len(histories) == 3
    for number, history in enumerate(histories, start=1):
        part = kept.trace[kept.trace["imputation"] == number]
        table = part.pivot(index="iteration", columns="parameter", values="value")
        assert table.index.tolist() == list(range(1, len(history) + 1))
        columns = table[["changing", "risen", "singular"]].to_numpy()
        assert columns.tobytes() == np.asarray(history, np.float64).tobytes()
    assert kept.chain_lengths == tuple(len(x) for x in histories)
    assert kept.log == ("Normal EM convergence.",)


def test_the_trace_of_streams_counts_its_imputations() -> None:
    imp = rb.AmeliaImputer(**ARGUMENTS, rng="streams").impute(frame(), seed=1)
    assert imp.trace["imputation"].unique().tolist() == [1, 2, 3]
    assert imp.log == ("Normal EM convergence.",)
    ends = imp.trace[imp.trace["parameter"] == "changing"].groupby("imputation")["value"].last()
    assert ends.tolist() == [0.0, 0.0, 0.0]


def test_what_is_not_known_is_empty() -> None:
    for imp in (
        rb.ImputedData.from_frames([frame().fillna({"x": 0.0}), frame().fillna({"x": 1.0})]),
        rb.BootstrapImputer(2).impute(frame(), seed=1),
    ):
        assert list(imp.trace.columns) == ["imputation", "iteration", "parameter", "value"]
        assert (len(imp.trace), imp.chain_lengths, imp.log, imp.r) == (0, (), (), None)
        assert dict(imp.saw) == {}


# --- what the models saw -------------------------------------------------------------------------


def test_what_the_model_of_a_column_saw(kept: rb.ImputedData) -> None:
    assert set(kept.saw) == {"x", "y", "kind"}
    assert kept.saw["x"] == ColumnModel("Amelia", ("wave", "y", "kind", "z"), ("kind",))
    assert kept.saw["kind"].groups == ()  # its own categories are what is imputed
    assert kept.assign(w=1).saw == kept.saw


@pytest.mark.parametrize(
    ("time", "predictors", "groups"),
    [
        ({}, ("y", "z"), ()),
        ({"polytime": 1}, ("wave", "y", "z"), ()),
        ({"polytime": 0, "intercs": True}, ("person", "y", "z"), ("person",)),
        ({"polytime": 1, "intercs": True}, ("person", "wave", "y", "z"), ("person",)),
    ],
    ids=["ids", "time", "sections", "both"],
)
@pytest.mark.filterwarnings("ignore")
def test_time_and_sections_are_seen_where_they_are_in_the_model(
    time: dict[str, Any], predictors: tuple[str, ...], groups: tuple[str, ...]
) -> None:
    data = frame().drop(columns="kind")
    imp = rb.AmeliaImputer(2, ts="wave", cs="person", empri=20, **time).impute(data, seed=1)
    assert imp.saw["x"] == ColumnModel("Amelia", predictors, groups)


# --- R's object ----------------------------------------------------------------------------------


def test_r_keeps_what_amelia_returned(kept: rb.ImputedData) -> None:
    plain = rb.AmeliaImputer(**ARGUMENTS).impute(frame(), seed=1)
    assert plain == kept
    assert plain.r is None
    theirs = kept.r.call("base::getElement", "imputations").value.call("base::unclass").value
    for number, done in enumerate(kept, start=1):
        assert done["x"].to_numpy().tobytes() == theirs[f"imp{number}"]["x"].to_numpy().tobytes()
    again = pickle.loads(pickle.dumps(kept))
    assert again.r.call("base::getElement", "m").value.tolist() == [3]
    isolated = rb.AmeliaImputer(**ARGUMENTS).impute(frame(), seed=1, keep_r=True, isolate=True)
    assert isolated == kept
    assert isolated.r.call("base::getElement", "m").value.tolist() == [3]


def test_one_object_cannot_hold_streams() -> None:
    with pytest.raises(rb.ArgumentError, match="keep_r needs rng='r'"):
        rb.AmeliaImputer(2, rng="streams", idvars="person", noms="kind").impute(
            frame(), seed=1, keep_r=True
        )
    with pytest.raises(rb.ArgumentError, match=r"keep_r: engine='bootstrap'"):
        rb.impute(frame(), m=2, engine="bootstrap", seed=1, keep_r=True)


def test_a_saved_object_is_withheld_unless_it_is_allowed(
    kept: rb.ImputedData, tmp_path: Path
) -> None:
    path = rb.save(kept, tmp_path / "imp.zip")
    closed, opened = rb.load(path), rb.load(path, allow_r_object=True)
    assert isinstance(closed, rb.ImputedData)
    assert isinstance(opened, rb.ImputedData)
    assert closed == opened == kept
    pd.testing.assert_frame_equal(closed.trace, kept.trace)
    assert (closed.saw, closed.log) == (kept.saw, kept.log)
    with pytest.raises(rb.RBridgeError, match="allow_r_object=True"):
        closed.r.call("Amelia::overimpute", "x")
    assert opened.r.call("base::getElement", "m").value.tolist() == [3]
    without = rb.load(rb.save(kept, path, r_objects=False))
    assert isinstance(without, rb.ImputedData)
    assert without.r is None


# --- the engines ---------------------------------------------------------------------------------


def test_arguments_are_taken_under_both_names() -> None:
    data = frame()
    named: dict[str, Any] = {"bounds": [["x", -0.5, 0.5]], "idvars": "person", "noms": "kind"}
    dotted: dict[str, Any] = {"max.resample": 3}
    one = rb.AmeliaImputer(2, max_resample=3, **named)
    two = rb.AmeliaImputer(2, **dotted, **named)
    assert one.arguments == two.arguments
    assert one.impute(data, seed=1) == two.impute(data, seed=1)
    with pytest.raises(rb.ArgumentError, match="given twice"):
        rb.AmeliaImputer(2, max_resample=3, **dotted)


# What an engine can't do without, on the columns x, y, z and person.
NEEDED: dict[str, dict[str, Any]] = {
    "pan": {"formula": "x + y ~ z + (1 | person)", "n_burn": 10, "n_iter": 5}
}


def test_every_engine_can_be_asked_for_by_name() -> None:
    data = frame()[["x", "y", "z"]]
    grouped = frame()[["x", "y", "z", "person"]]
    for engine in ENGINES:
        if engine.needs_model:
            few = {"min_iter": 20, "max_iter": 25}
            formula = "y ~ x + (1 | person)"
            with pytest.warns(rb.RBridgeWarning, match="after 25 iterations"):
                imp = rb.impute(grouped, formula, 2, engine.name, 1, **few)  # type: ignore[arg-type]
                assert imp == engine.imputer(formula, 2, **few).impute(grouped, seed=1)
        else:
            given = NEEDED.get(engine.name, {})
            assert not (engine.auto and given)
            used = grouped if given else data
            imp = rb.impute(used, None, 2, engine.name, 1, **given)  # type: ignore[arg-type]
            assert imp == engine.imputer(2, **given).impute(used, seed=1)
        assert imp.method == engine.name
    assert ENGINES[-1].package is None, "the last engine is what is left where R has no package"


def test_which_of_the_data_sets_a_frame_is(kept: rb.ImputedData) -> None:
    assert kept[1] in kept
    assert (kept.index(kept[1]), kept.count(kept[1])) == (1, 1)
    other = kept[1].assign(z=0.0)
    assert other not in kept
    assert kept.count(other) == 0
    with pytest.raises(ValueError, match="none of the 3 data sets"):
        kept.index(other)
    with pytest.raises(ValueError, match="none of the 1 data sets"):
        kept.index(kept[1], 2)
    for ask in (lambda: "x" in kept, lambda: kept.index("x"), lambda: kept.count("x")):
        with pytest.raises(TypeError, match=r"`'x' in imp.original`.*imp.original.index"):
            ask()
