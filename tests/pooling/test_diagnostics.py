"""Monte Carlo errors, the interval of fmi, and the number of imputations."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from rbridge_mi import pooling


def draws(m: int, sets: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(1.0, 0.5, size=(m, sets)), rng.uniform(0.8, 1.2, size=(m, sets))


def test_error_of_the_estimate_is_the_root_of_b_over_m() -> None:
    q, u = draws(8, 5)
    errors = pooling.monte_carlo_errors(q, u, dfcom=50)
    np.testing.assert_allclose(errors.estimate, np.sqrt(q.var(axis=0, ddof=1) / 8), rtol=1e-12)


def test_errors_match_the_spread_over_repeated_imputations() -> None:
    q, u = draws(30, 600)
    pooled = pooling.pool_scalars(q, u, dfcom=200)
    errors = pooling.monte_carlo_errors(q, u, dfcom=200)
    for name in ("estimate", "std_error", "statistic", "fmi", "conf_low"):
        spread = getattr(pooled, name).std(ddof=1)
        rms = np.sqrt(np.mean(getattr(errors, name) ** 2))
        # The jackknife is somewhat conservative, more so for numbers that are less linear.
        assert 0.93 < rms / spread < 1.15, name


def test_jackknife_of_std_error_by_hand() -> None:
    q, u = np.array([1.0, 2.0, 4.0]), np.array([1.0, 1.5, 2.0])
    without = [
        math.sqrt(np.delete(u, j).mean() + 1.5 * np.delete(q, j).var(ddof=1)) for j in range(3)
    ]
    expected = math.sqrt(2 / 3 * sum((x - np.mean(without)) ** 2 for x in without))
    np.testing.assert_allclose(pooling.monte_carlo_errors(q, u).std_error, expected, rtol=1e-13)


def test_identical_fits_have_no_error() -> None:
    errors = pooling.monte_carlo_errors([0.1] * 4, [0.3] * 4)
    assert all(getattr(errors, name) == 0 for name in errors.__dataclass_fields__)


def test_df_error_is_nan_where_some_df_is_infinite() -> None:
    errors = pooling.monte_carlo_errors([1.0, 1.0, 1.0, 2.0], [1.0] * 4)
    assert np.isnan(errors.df)
    assert errors.std_error > 0


def test_reordering_changes_nothing() -> None:
    q, u = draws(6, 3)
    order = [4, 2, 5, 0, 1, 3]
    a = pooling.monte_carlo_errors(q, u, dfcom=20)
    b = pooling.monte_carlo_errors(q[order], u[order], dfcom=20)
    for name in a.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_a_jackknife_needs_three() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        pooling.monte_carlo_errors([1.0, 2.0], [1.0, 1.0])


@pytest.mark.parametrize("m", [2, 5, 20, 100])
def test_fmi_interval_is_symmetric_on_the_logit(m: int) -> None:
    low, high = pooling.fmi_interval([0.1, 0.5, 0.9], m)
    logit = np.log(np.array([0.1, 0.5, 0.9]) / np.array([0.9, 0.5, 0.1]))
    np.testing.assert_allclose(
        np.log(low / (1 - low)) + np.log(high / (1 - high)), 2 * logit, atol=1e-14
    )
    half = (np.log(high / (1 - high)) - np.log(low / (1 - low))) / 2
    np.testing.assert_allclose(half, 1.959963984540054 * math.sqrt(2 / m), rtol=1e-12)


def test_fmi_interval_at_the_ends() -> None:
    low, high = pooling.fmi_interval([0.0, 1.0, math.nan], 5)
    np.testing.assert_array_equal(low, [0.0, 1.0, math.nan])
    np.testing.assert_array_equal(high, [0.0, 1.0, math.nan])


def test_quadratic_rule_of_von_hippel() -> None:
    # The paper's table for cv = .05. With so large an m in the first stage, fmi is known exactly.
    fmi = [0.1, 0.3, 0.5, 0.7, 0.9]
    assert pooling.imputations_needed(fmi, 10**30).tolist() == [3, 19, 51, 99, 163]


def test_more_is_needed_after_a_small_pilot() -> None:
    needed = [int(pooling.imputations_needed(0.3, m)) for m in (5, 20, 100)]
    assert needed == sorted(needed, reverse=True)
    assert int(pooling.imputations_needed(0.0, 5)) == 2
    assert int(pooling.imputations_needed(1.0, 5, cv=0.05)) == 201


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pooling.fmi_interval(30, 5), "fractions, not percent"),
        (lambda: pooling.fmi_interval(0.3, 1), "m: 1"),
        (lambda: pooling.imputations_needed(math.nan, 5), "at least 2 imputations"),
        (lambda: pooling.imputations_needed(0.3, 5, cv=0), "cv: 0"),
        (lambda: pooling.imputations_needed(0.3, 5, conf_level=1), "conf_level: 1"),
    ],
)
def test_wrong_input_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
