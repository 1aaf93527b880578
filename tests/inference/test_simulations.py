"""Simulated responses of generalised models: pairs of counts, levels, and numbers of trials."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor

pytestmark = pytest.mark.r


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    g = np.random.default_rng(4)
    frame = pd.DataFrame({"x": g.normal(size=120), "g": np.repeat([*"abcdefghijkl"], 10)})
    frame["tried"] = g.integers(2, 9, 120)
    chance = 1 / (1 + np.exp(-frame["x"] - np.repeat(g.normal(size=12), 10)))
    frame["hits"] = g.binomial(frame["tried"], chance)
    frame["misses"] = frame["tried"] - frame["hits"]
    frame["share"] = frame["hits"] / frame["tried"]
    frame["passed"] = pd.Categorical.from_codes(g.binomial(1, chance), ["no", "yes"])
    frame.index = pd.RangeIndex(500, 620)
    return frame


def test_a_pair_of_counts_is_simulated_as_two_columns(data: pd.DataFrame) -> None:
    fit = rb.Glmer("cbind(hits, misses) ~ x + (1 | g)").fit(data)
    mine = fit.simulate(2, seed=3)
    assert list(mine.columns) == [
        "sim_1_success", "sim_1_failure", "sim_2_success", "sim_2_failure",
    ]  # fmt: skip
    assert mine.index.equals(data.index)
    for i in (1, 2):
        total = mine[f"sim_{i}_success"] + mine[f"sim_{i}_failure"]
        assert total.tolist() == data["tried"].tolist()
    theirs = rdoor.call("base::unlist", rdoor.call_object("stats::simulate", fit.r, 2, 3)).value
    assert mine.to_numpy().ravel(order="F").tolist() == np.asarray(theirs).tolist()
    assert list(fit.simulate(1, seed=1, newdata=data.head(0)).columns) == list(mine.columns[:2])


def test_shares_and_levels_stay_what_they_are(data: pd.DataFrame) -> None:
    shares = rb.Glmer("share ~ x + (1 | g)", weights="tried").fit(data).simulate(1, seed=3)
    trials = shares["sim_1"] * data["tried"]
    np.testing.assert_allclose(trials, trials.round(), atol=1e-12)
    levels = rb.Glmer("passed ~ x + (1 | g)").fit(data).simulate(1, seed=3)
    assert levels["sim_1"].cat.categories.tolist() == ["no", "yes"]


def test_trials_that_lme4_makes_up_for_new_data_are_warned_of(data: pd.DataFrame) -> None:
    new = data.head(4)
    pairs = rb.Glmer("cbind(hits, misses) ~ x + (1 | g)").fit(data)
    with pytest.warns(rb.RWarning, match="the numbers of trials of the fit's own rows"):
        drawn = pairs.simulate(1, seed=1, newdata=data[::-1])
    assert (drawn["sim_1_success"] + drawn["sim_1_failure"]).tolist() == data["tried"].tolist()
    with pytest.raises(rb.PredictionError, match="the 120 rows of the fit, and newdata has 4"):
        pairs.simulate(1, seed=1, newdata=new)
    shares = rb.Glmer("share ~ x + (1 | g)", weights="tried").fit(data)
    with pytest.warns(rb.RWarning, match="one trial"):
        drawn = shares.simulate(1, seed=1, newdata=new)
    assert set(drawn["sim_1"]) <= {0.0, 1.0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shares.simulate(1, seed=1)
        rb.Glmer("passed ~ x + (1 | g)").fit(data).simulate(1, seed=1, newdata=new)
