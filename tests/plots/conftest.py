"""Small imputations and fits that the tests of plots share."""

from __future__ import annotations

import pandas as pd
import pytest

import rbridge_mi as rb
from tests.inference.inference_data import complete, fitted, imputed

FORMULA = "y ~ x1 + x2 + f + (1 + x1 | g)"


@pytest.fixture(scope="session")
def small_imp() -> rb.ImputedData:
    return imputed()


@pytest.fixture(scope="session")
def small_fits(small_imp: rb.ImputedData) -> rb.MerModList:
    return fitted(FORMULA, small_imp)


@pytest.fixture(scope="session")
def small_pooled(small_fits: rb.MerModList) -> rb.PooledMerMod:
    return small_fits.pool(dfcom="satterthwaite")


@pytest.fixture(scope="session")
def small_fit(small_imp: rb.ImputedData) -> rb.MerMod:
    return rb.Lmer(FORMULA).fit(small_imp.original)


@pytest.fixture(scope="session")
def categories_imp() -> rb.ImputedData:
    """Holes in a factor, a count of few values, a truth value and a number."""
    data = complete(8, 6).drop(columns=["h"])
    data["count"] = range(len(data))
    data["count"] %= 4
    data["flag"] = pd.array([i % 3 == 0 for i in range(len(data))], dtype="boolean")
    holes = rb.ampute(data, 0.25, ["f", "count", "flag", "x1"], seed=3)
    frames = []
    for i in range(3):
        frame = holes.copy()
        for name in ("f", "count", "flag", "x1"):
            gone = frame[name].isna()
            known = frame.loc[~gone, name]
            drawn = known.sample(int(gone.sum()), replace=True, random_state=i).array
            frame.loc[gone, name] = drawn
        frames.append(frame)
    return rb.ImputedData.from_frames(frames, original=holes)


@pytest.fixture(scope="session")
def binary_fits(small_imp: rb.ImputedData) -> rb.MerModList:
    data = small_imp.transform(lambda d: d.assign(event=(d["y"] > 1).astype("int64")))
    fits: rb.MerModList = rb.Glmer("event ~ x1 + f + (1 | g)", family="binomial").fit(data)
    return fits
