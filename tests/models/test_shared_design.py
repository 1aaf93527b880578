"""Fits of a list, which share their design, against fits of each data set alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb

pytestmark = [pytest.mark.r]


@pytest.mark.parametrize("m", [1, 3])
def test_columns_named_as_programs_and_a_level_na_have_the_same_bits(m: int) -> None:
    rng = np.random.default_rng(0)
    groups = np.where(rng.random(200) < 0.5, "NA", rng.choice(list("abcdef"), 200))
    holes = pd.DataFrame(rng.normal(5, 1, (200, 3)), columns=["y", "if", "log"])
    holes = holes.assign(grp=pd.Categorical(groups))
    for column, step in (("if", 9), ("log", 7)):
        holes.loc[::step, column] = np.nan
    filled = [holes.fillna({"if": 4.0 + i / 8, "log": 5.0 + i / 8}) for i in range(m)]
    model = rb.Lmer("y ~ `if` + log(log) + (1 + `if` | grp)")
    fits = model.fit(rb.ImputedData.from_frames(filled, original=holes))
    for fit, frame in zip(fits, filled, strict=True):
        alone = model.fit(frame)
        for table in ("fixef", "vcov", "varcorr", "ranef", "coef", "glance"):
            pd.testing.assert_frame_equal(
                getattr(fit, table)(), getattr(alone, table)(), check_exact=True
            )
