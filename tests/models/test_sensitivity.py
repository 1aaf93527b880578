"""Estimates over delta adjustments, against data sets that were shifted by hand."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb

pytestmark = pytest.mark.r

MODEL = rb.Lmer("mathach ~ ses + female + (1 | schid)")
INFERENCE = [
    "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high", "fmi",
]  # fmt: skip


@pytest.fixture(scope="module")
def moved(imp: rb.ImputedData) -> pd.DataFrame:
    return rb.delta_sensitivity(MODEL, imp, "ses", [-0.5, 0, 0.5])


def by_hand(imp: rb.ImputedData, shift: Any) -> rb.PooledMerMod:
    holes = imp.original["ses"].isna()
    sets = [d.assign(ses=d["ses"].where(~holes, d["ses"] + shift(d))) for d in imp]
    return MODEL.fit(rb.ImputedData.from_frames(sets, original=imp.original)).pool()


def test_each_delta_is_the_fit_to_shifted_data(imp: rb.ImputedData, moved: pd.DataFrame) -> None:
    for delta in (-0.5, 0.0, 0.5):
        pooled = by_hand(imp, lambda d, delta=delta: delta)
        part = moved[(moved["delta"] == delta) & (moved["effect"] == "fixed")]
        assert part["term"].tolist() == pooled.fixed["term"].tolist()
        for name in INFERENCE:  # the same data go the same way, to the last bit
            assert part[name].tolist() == pooled.fixed[name].tolist()
        random = moved[(moved["delta"] == delta) & (moved["effect"] == "ran_pars")]
        tidy = pooled.tidy().query("effect == 'ran_pars'")
        assert random[["group", "term"]].to_numpy().tolist() == (
            tidy[["group", "term"]].to_numpy().tolist()
        )
        assert random["estimate"].tolist() == tidy["estimate"].tolist()
        assert random[INFERENCE[1:]].isna().all(axis=None)


def test_no_shift_is_the_analysis_itself(imp: rb.ImputedData, moved: pd.DataFrame) -> None:
    pooled = MODEL.fit(imp).pool()
    part = moved[(moved["delta"] == 0) & (moved["effect"] == "fixed")]
    assert part["estimate"].tolist() == pooled.fixed["estimate"].tolist()
    assert moved.attrs == {"column": "ses", "by": None, "groups": None, "conf_level": 0.95}


def test_a_group_alone(imp: rb.ImputedData) -> None:
    frame = rb.delta_sensitivity(
        MODEL, imp, "ses", [0.4], by="schtype", groups=[1.0], conf_level=0.9, dfcom=math.inf
    )
    holes = imp.original["ses"].isna()
    sets = [
        d.assign(ses=d["ses"].where(~holes, d["ses"] + 0.4 * (d["schtype"] == 1.0))) for d in imp
    ]
    fits = MODEL.fit(rb.ImputedData.from_frames(sets, original=imp.original))
    expected = fits.pool(dfcom=math.inf, conf_level=0.9).fixed
    part = frame[frame["effect"] == "fixed"]
    for name in INFERENCE:
        assert part[name].tolist() == expected[name].tolist()
    assert frame.attrs["groups"] == [1.0]


def test_a_response_moves_by_the_fraction_that_was_imputed(hsb: pd.DataFrame) -> None:
    """Of equal groups and the mean alone, the estimate is the mean of the response."""
    g = np.random.default_rng(1)
    frame = pd.DataFrame({"g": np.repeat(range(20), 10), "y": g.normal(size=200)})
    frame["y"] += np.repeat(g.normal(size=20), 10)
    holes = frame.assign(y=frame["y"].mask(g.uniform(size=200) < 0.3))
    sets = [holes.fillna({"y": 0.1 * i}) for i in range(4)]
    imp = rb.ImputedData.from_frames(sets, original=holes)
    moved = rb.delta_sensitivity(rb.Lmer("y ~ 1 + (1 | g)"), imp, "y", [0, 2])
    estimates = moved[moved["term"] == "(Intercept)"].set_index("delta")["estimate"]
    change = 2 * holes["y"].isna().mean()
    assert estimates[2.0] - estimates[0.0] == pytest.approx(change, rel=1e-9)  # lme4's solver


def test_a_generalised_model(imp: rb.ImputedData) -> None:
    sets = imp.assign(passed=lambda d: (d["mathach"] > 10).astype(int))
    model = rb.Glmer("passed ~ ses + (1 | schid)", family="binomial")
    frame = rb.delta_sensitivity(model, sets, "ses", [0])
    fixed = model.fit(sets).pool().fixed
    part = frame[frame["effect"] == "fixed"]
    assert part["estimate"].tolist() == fixed["estimate"].tolist()
    assert frame["term"].tolist() == ["(Intercept)", "ses", "sd__(Intercept)"]


def test_warnings_say_of_which_delta() -> None:
    g = np.random.default_rng(1)
    frame = pd.DataFrame({"g": np.repeat(list("abcdefgh"), 10), "y": g.normal(size=80)})
    frame["y"] -= frame.groupby("g")["y"].transform("mean")
    holes = frame.assign(x=np.where(np.arange(80) % 4 == 0, np.nan, 1.0 * (np.arange(80) % 3)))
    sets = [holes.assign(x=holes["x"].fillna(float(i))) for i in range(3)]
    imp = rb.ImputedData.from_frames(sets, original=holes)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rb.delta_sensitivity(rb.Lmer("y ~ x + (1 | g)"), imp, "x", [0, 1.5])
    texts = [str(x.message).split(":")[:3] for x in caught]
    assert texts == [[f"delta {x}", " lmer", " imputations 1-3"] for x in ("0", "1.5")]


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        (("model", "ses", [0]), {}, "model must be Lmer, Glmer or GlmerNb, not str"),
        ((MODEL, "sess", [0]), {}, r"column names 'sess'.*did you mean 'ses'\?"),
        ((MODEL, "ses", 0), {}, "deltas must be a list of numbers, not 0"),
        ((MODEL, "ses", []), {}, "deltas must be a list of numbers"),
        ((MODEL, "ses", [0, "1"]), {}, r"deltas must be a list of numbers, and not \['1'\]"),
        ((MODEL, "ses", [0, math.nan]), {}, "deltas must be a list"),
        ((MODEL, "ses", [1, 1.0]), {}, "deltas has 1.0 twice"),
        ((MODEL, "ses", [1]), {"by": "female"}, "give both"),
        ((MODEL, "ses", [1]), {"groups": [1]}, "give both"),
        ((MODEL, "ses", [1]), {"by": "female", "groups": "a"}, "groups must be a list of groups"),
        ((MODEL, "ses", [1]), {"by": "female", "groups": [7]}, "names the group 7"),
        ((MODEL, "mathach", [1]), {}, "no imputed values"),
    ],
)
def test_wrong_arguments(imp: rb.ImputedData, arguments: Any, options: Any, text: str) -> None:
    model, *rest = arguments
    with pytest.raises(rb.ArgumentError, match=text):
        rb.delta_sensitivity(model, imp, *rest, **options)


def test_wrong_data(fits: rb.MerModList) -> None:
    with pytest.raises(rb.ArgumentError, match="imp must be an ImputedData, not MerModList"):
        rb.delta_sensitivity(MODEL, fits, "ses", [0])  # type: ignore[arg-type]
