"""How many imputations a model needs: von Hippel's rule, by a pilot."""

from __future__ import annotations

import math
import re
import warnings
from typing import Any

import pandas as pd
import pytest
from scipy import stats

import rbridge_mi as rb

from .hostile import holed, small

pytestmark = pytest.mark.r

MODEL = rb.Lmer("y ~ x + z + (1 | g)")
CHAINS: dict[str, Any] = {"rhat": 1e9, "min_iter": 25, "max_iter": 25}


def data(share: float = 0.5) -> pd.DataFrame:
    """Make data of which half of x is missing."""
    return small().assign(x=lambda d: holed(d["w"], 1, share), w=0.0)


def chosen(frame: pd.DataFrame, **arguments: Any) -> tuple[rb.ImputedData, list[str]]:
    """Impute without saying m; the data sets, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        imp = rb.impute(frame, model=MODEL, seed=1, **CHAINS, **arguments)
    assert {x.filename for x in caught} == {__file__}
    return imp, [str(x.message) for x in caught]


@pytest.fixture(scope="module")
def pilot() -> rb.ImputedData:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RBridgeWarning)
        return rb.impute(data(), model=MODEL, m=20, seed=1, **CHAINS)


@pytest.fixture(scope="module")
def needed(pilot: rb.ImputedData) -> int:
    """As many as the pilot asks for, by the rule of von Hippel (2020)."""
    fmi = MODEL.fit(pilot).pool().fixed["fmi"].max()
    upper = 1 / (1 + math.exp(-(math.log(fmi / (1 - fmi)) + stats.norm.ppf(0.975) * 0.1**0.5)))
    return math.ceil(1 + 0.5 * (upper / 0.05) ** 2)  # sqrt(2 / 20) is the logit's standard error


def test_the_rule_chooses_m(pilot: rb.ImputedData, needed: int) -> None:
    assert 20 < needed < 300
    imp, said = chosen(data(), max_m=300)
    assert imp.m == needed
    (text,) = (x for x in said if "pilot" in x)
    assert text.startswith(f"m = {needed} was chosen after a pilot of 20: ")
    assert text.endswith(f"for which {needed} imputations make standard errors replicable.")
    fixed = MODEL.fit(pilot).pool().fixed
    worst = fixed.loc[fixed["fmi"].idxmax()]
    assert f"largest for {worst['term']} ({worst['fmi']:.2f})" in text
    assert imp.notes[-1] == text
    # What both stages have to say is said once.
    assert len([x for x in said if "15 groups" in x]) == 1
    # The chains are the pilot's, and some more.
    for one, two in zip(pilot, list(imp)[:20], strict=True):
        pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_max_m_is_the_most(needed: int) -> None:
    imp, said = chosen(data(), max_m=22)
    assert imp.m == 22
    (text,) = (x for x in said if "pilot" in x)
    assert text.endswith(f"for which {needed} imputations make standard errors replicable, "
                         "more than max_m = 22.")  # fmt: skip


def test_the_pilot_may_be_enough() -> None:
    frame = data(share=0.05)
    imp, said = chosen(frame)
    assert imp.m == 20
    assert re.fullmatch(
        r"m = 20 was chosen after a pilot of 20: .* for which \d+ imputations make .*",
        imp.notes[-1],
    )
    assert imp.notes[-1] in said


def test_a_plan_chooses_m_too(needed: int) -> None:
    plan = rb.imputation_plan(data(), MODEL, **CHAINS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RBridgeWarning)
        assert plan.impute(seed=1).m == min(needed, 100)


@pytest.mark.parametrize(
    ("model", "arguments", "text"),
    [
        ("y ~ x + (1 | g)", {}, "m must be given.*str can't be fitted"),
        (MODEL, {"max_m": 19}, "max_m"),
        (None, {"engine": "compatible"}, "imputes from a model: give it"),
    ],
    ids=["a formula", "fewer than the pilot", "no model"],
)
def test_refusals(model: Any, arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        rb.impute(small(), model=model, seed=1, **arguments)
