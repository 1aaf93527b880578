"""Rubin's rules or the spread: one object decides, and what it gives is each rule's own formula."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rbridge_mi
from rbridge_mi.errors import ArgumentError, PoolingError
from rbridge_mi.pooling import (
    COLUMNS,
    bootstrap_vcov,
    pool_blups,
    pool_bootstrap,
    pool_scalars,
    pool_vcov,
    rule_for,
)
from rbridge_mi.pooling.components import pool_on_scale
from rbridge_mi.pooling.scales import FISHER_Z, LOG

RUBIN, SPREAD = rule_for("imputation"), rule_for("bootstrap")
RNG = np.random.default_rng(1)
Q = RNG.normal(size=(50, 3))
U = RNG.uniform(0.5, 1, size=(50, 3))
VCOVS = np.array([np.diag(u) for u in U])
NAMES = ("std_error", "df", "conf_low", "conf_high", "fmi")


def test_scalars_and_matrices_are_each_rules() -> None:
    dfcom = np.array([5.0, 50.0, math.inf])
    theirs = pool_scalars(Q, U, dfcom=dfcom, conf_level=0.9)
    ours = RUBIN.scalars(Q, U, dfcom=dfcom, conf_level=0.9)
    spread = SPREAD.scalars(Q, U, dfcom=dfcom, conf_level=0.9)
    for name in COLUMNS:
        assert np.array_equal(getattr(ours, name), getattr(theirs, name))
        alone = getattr(pool_bootstrap(Q, conf_level=0.9), name)
        assert np.array_equal(getattr(spread, name), alone, equal_nan=True)
    assert np.array_equal(RUBIN.vcov(Q, VCOVS), pool_vcov(Q, VCOVS).t)
    assert np.array_equal(SPREAD.vcov(Q, VCOVS), bootstrap_vcov(Q))
    blups = pool_blups(Q, U)
    for rule, total in ((RUBIN, blups.condsd), (SPREAD, np.sqrt(U.mean(axis=0)))):
        mean, sd = rule.random_effects(Q, U)
        assert np.array_equal(mean, blups.condval)
        np.testing.assert_allclose(sd, total, rtol=1e-14)  # a mean of 50, in any order


def test_a_new_observation_adds_its_variance() -> None:
    added = np.full(Q.shape, 2.0)
    ours = RUBIN.scalars(Q, U, dfcom=20.0, conf_level=0.95, added=added)
    assert np.array_equal(ours.t, pool_scalars(Q, U + 2, dfcom=20.0).t)
    mean, wide = pool_bootstrap(Q), SPREAD.scalars(Q, U, dfcom=20.0, conf_level=0.95, added=added)
    np.testing.assert_allclose(wide.std_error**2, mean.std_error**2 + 2, rtol=1e-12)
    t = (mean.conf_high - mean.estimate) / mean.std_error
    np.testing.assert_allclose((wide.conf_high - wide.estimate) / wide.std_error, t, rtol=1e-12)
    assert np.array_equal(wide.df, mean.df)


def test_on_a_scale_boundaries_have_no_inference_by_rubin() -> None:
    values = np.exp(Q)
    inside = np.ones(values.shape, dtype=bool)
    values[3, 1], inside[3, 1] = 0.0, False
    variances = U.copy()
    variances[:, 2] = np.nan  # a curvature that could not be had
    center = values.mean(axis=0)
    columns = RUBIN.on_scale(
        LOG, values, inside, variances, variances_on="link", center=center, conf_level=0.95
    )
    first = pool_on_scale(LOG, values[:, 0], U[:, 0], variances_on="link", center=center[0])
    assert tuple(columns) == NAMES
    for name, column in columns.items():
        # One column by itself and three at once are summed in other orders.
        assert column[0] == pytest.approx(float(getattr(first, name)), rel=1e-12)
        assert np.isnan(column[1:]).all()
    assert RUBIN.least_m_at_boundary(0.95) is None


def test_on_a_scale_boundaries_have_percentiles_by_spread() -> None:
    values = np.exp(Q)
    inside = np.ones(values.shape, dtype=bool)
    values[3, 1], inside[3, 1] = 0.0, False
    asked: dict[str, Any] = {"variances_on": "link", "center": values.mean(axis=0)}
    asked["conf_level"] = 0.95
    columns = SPREAD.on_scale(LOG, values, inside, U, **asked)
    spread = pool_bootstrap(np.log(values[:, [0, 2]]))
    np.testing.assert_allclose(
        np.log(columns["conf_high"] / columns["conf_low"])[[0, 2]],
        spread.conf_high - spread.conf_low,
        rtol=1e-12,
    )
    assert columns["std_error"][1] == pytest.approx(np.std(values[:, 1], ddof=1), rel=1e-12)
    # With 50 samples the ends lie 27.5% of the way from the first to the second, and so above.
    first, second, *_, before, last = np.sort(values[:, 1])
    assert columns["conf_low"][1] == pytest.approx(first + 0.275 * (second - first), rel=1e-12)
    assert columns["conf_high"][1] == pytest.approx(last - 0.275 * (last - before), rel=1e-12)
    assert np.isnan(columns["df"][1])
    assert np.isnan(columns["fmi"]).all()
    few = SPREAD.on_scale(LOG, values[:38], inside[:38], U[:38], **asked)
    assert np.isnan(few["conf_low"][1])
    assert few["std_error"][1] == pytest.approx(np.std(values[:38, 1], ddof=1), rel=1e-12)


def test_correlations_of_no_sd_have_nothing() -> None:
    values = np.tanh(Q[:, :1])
    values[0] = np.nan
    inside = np.isfinite(values)
    columns = SPREAD.on_scale(
        FISHER_Z, values, inside, U[:, :1],
        variances_on="link", center=np.array([0.1]), conf_level=0.95,
    )  # fmt: skip
    assert all(np.isnan(x).all() for x in columns.values())


# (m + 1) (1 - level) / 2 is at least 1: the first of the ordered values is the lower end.
@pytest.mark.parametrize(("level", "least"), [(0.95, 39), (0.9, 19), (0.99, 199), (0.5, 3)])
def test_least_number_of_samples(level: float, least: int) -> None:
    assert SPREAD.least_m_at_boundary(level) == least


def test_refusals() -> None:
    for ask in (RUBIN.check_joint_test, RUBIN.check_same_rows, RUBIN.check_dfcom):
        ask("anything")
    assert SPREAD.check_dfcom(None) is None  # type: ignore[func-returns-value]
    with pytest.raises(PoolingError, match=r"bootstrap samples are none: use this\."):
        SPREAD.check_joint_test("use this")
    with pytest.raises(ArgumentError, match=r"other rows: do that\."):
        SPREAD.check_same_rows("do that")
    with pytest.raises(ArgumentError, match="dfcom has no effect"):
        SPREAD.check_dfcom(20)
    with pytest.raises(KeyError):
        rule_for("jackknife")


def test_nobody_else_decides_by_the_kind() -> None:
    """What pools is handed the rule: the kind's name is compared in data and its advice alone."""
    package = Path(rbridge_mi.__file__).parent
    for folder in ("inference", "pooled", "pooling"):
        for path in package.joinpath(folder).glob("*.py"):
            if path.name != "advice.py":
                text = path.read_text("utf-8")
                assert not re.search(r"kind\s*[!=]=", text), path.name
