"""Tests of several coefficients and of nested models: identities, limits and invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rbridge_mi import pooling


def made_up(m: int, k: int, seed: int = 0, spread: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(m, k, k + 4))
    u = root @ np.swapaxes(root, 1, 2) / (k + 4)
    return rng.normal(size=k) + spread * rng.normal(size=(m, k)), u


# --- D1 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [2, 3, 5, 30])
@pytest.mark.parametrize("dfcom", [7.0, 300.0, math.inf])
def test_d1_of_one_coefficient_is_its_t_test(m: int, dfcom: float) -> None:
    q, u = made_up(m, 1, seed=m)
    test = pooling.d1(q, u, dfcom=dfcom)
    alone = pooling.pool_scalars(q[:, 0], u[:, 0, 0], dfcom=dfcom)
    np.testing.assert_allclose(test.statistic, alone.statistic**2, rtol=1e-13)
    assert test.df2 == alone.df
    np.testing.assert_allclose(test.p_value, alone.p_value, rtol=1e-12)
    np.testing.assert_allclose(test.riv, alone.riv, rtol=1e-13)
    assert test.note == ""


@pytest.mark.parametrize("dfcom", [50.0, math.inf])
def test_d1_for_few_imputations_is_barnard_rubin_at_k_1(dfcom: float) -> None:
    # What stands in for Reiter's df must not jump between k = 1 and the rest.
    q, u = made_up(4, 1)
    small = pooling.d1(q, u, dfcom=dfcom, one_df="published")
    assert small.df2 == pytest.approx(pooling.d1(q, u, dfcom=dfcom).df2, rel=1e-12)


def test_d1_with_a_huge_dfcom_is_the_infinite_one() -> None:
    q, u = made_up(6, 3)
    finite, infinite = pooling.d1(q, u, dfcom=1e13), pooling.d1(q, u)
    assert finite.df2 == pytest.approx(infinite.df2, rel=1e-9)


@pytest.mark.parametrize(("m", "k"), [(2, 2), (2, 3), (2, 4), (3, 2)])
def test_d1_where_the_published_df_breaks(m: int, k: int) -> None:
    q, u = made_up(m, k)
    test = pooling.d1(q, u, dfcom=100)
    assert "at most 4" in test.note
    assert 0 < test.df2 < 100
    assert 0 < test.p_value < 1
    infinite = pooling.d1(q, u)
    assert infinite.df2 > test.df2


def test_d1_with_a_dfcom_too_small_for_reiter() -> None:
    q, u = made_up(5, 3)
    test = pooling.d1(q, u, dfcom=4)
    assert "dfcom = 4 is too small" in test.note
    assert 0 < test.df2 < 4


def test_d1_of_identical_fits_is_the_wald_test() -> None:
    q, u = made_up(1, 3)
    q, u = np.repeat(q, 4, axis=0), np.repeat(u, 4, axis=0)
    test = pooling.d1(q, u, dfcom=60)
    assert test.riv == 0
    assert test.df2 == pytest.approx(60 * 61 / 63, rel=1e-12)
    assert test.statistic == pytest.approx(pooling.wald_chi2(q, u)[0] / 3, rel=1e-12)
    assert pooling.d1(q, u).df2 == math.inf


def test_rescaling_and_reordering_change_no_test() -> None:
    q, u = made_up(5, 3)
    base = pooling.d1(q, u, dfcom=80)
    c = np.array([1e-6, 1.0, 1e7])
    scaled = pooling.d1(q * c, u * np.outer(c, c), dfcom=80)
    order, turned = np.array([3, 0, 4, 1, 2]), np.array([2, 0, 1])
    shuffled = pooling.d1(q[order], u[order], dfcom=80)
    renamed = pooling.d1(q[:, turned], u[:, turned][:, :, turned], dfcom=80)
    assert shuffled == base
    for other in (scaled, renamed):
        for name in ("statistic", "df2", "p_value", "riv"):
            assert getattr(other, name) == pytest.approx(getattr(base, name), rel=1e-11)


def test_equivalent_hypotheses_have_one_test() -> None:
    q, u = made_up(5, 3)
    a = pooling.d1(*pooling.linear_hypothesis(q, u, [[1, 0, -1], [0, 1, -1]]), dfcom=80)
    b = pooling.d1(*pooling.linear_hypothesis(q, u, [[1, -1, 0], [2, 1, -3]]), dfcom=80)
    assert a.statistic == pytest.approx(b.statistic, rel=1e-11)
    assert a.df2 == pytest.approx(b.df2, rel=1e-11)


def test_rhs_moves_the_hypothesis() -> None:
    q, u = made_up(5, 2)
    moved, same = pooling.linear_hypothesis(q, u, np.eye(2), rhs=[0.3, -0.2])
    np.testing.assert_allclose(moved, q - [0.3, -0.2])
    np.testing.assert_allclose(same, u)


# --- D2, D3, D4 ---------------------------------------------------------------------------------


def test_equal_chi_squares_are_their_own_test() -> None:
    test = pooling.d2([6.0] * 4, k=2)
    assert (test.statistic, test.riv, test.df2) == (3.0, 0.0, math.inf)
    assert test.p_value == pytest.approx(math.exp(-3), rel=1e-14)


def test_a_negative_d2_has_p_value_1() -> None:
    test = pooling.d2([0.0, 9.0, 0.1], k=1)
    assert test.statistic < 0
    assert test.p_value == 1
    assert "negative" in test.note


def test_d2_forgives_the_optimizers_slack_only() -> None:
    assert pooling.d2([4.0, -1e-4], k=1) == pooling.d2([4.0, 0.0], k=1)
    with pytest.raises(ValueError, match="is the larger model converged"):
        pooling.d2([4.0, -1.0], k=1)


def test_d3_and_d4_without_missing_information() -> None:
    full, reduced = [-10.0, -10.0, -10.0], [-14.0, -14.0, -14.0]
    d3 = pooling.d3(full, reduced, full, reduced, k=2)
    d4 = pooling.d4(full, reduced, -30.0, -42.0, k=2)
    for test in (d3, d4):
        assert (test.statistic, test.riv, test.df2) == (4.0, 0.0, math.inf)
        assert test.note == ""


def test_a_negative_riv_is_taken_as_0() -> None:
    d3 = pooling.d3([-10.0, -11.0], [-14.0, -15.0], [-10.0, -11.0], [-14.5, -15.5], k=2)
    d4 = pooling.d4([-10.0, -11.0], [-14.0, -15.0], -21.0, -30.0, k=2)
    for test in (d3, d4):
        assert (test.riv, test.df2) == (0.0, math.inf)
        assert "came out negative" in test.note


def test_robust_d4_looks_at_the_full_model_only() -> None:
    full, stacked = [-10.0, -11.0, -12.0], -35.0
    a = pooling.d4(full, [-14.0, -15.0, -19.0], stacked, -49.0, k=2, n_params=6)
    b = pooling.d4(full, [-13.0, -15.0, -15.0], stacked, -45.0, k=2, n_params=6)
    assert a.riv == b.riv == pytest.approx(4 / (6 * 2) * 2 * (35.0 / 3 - 11.0))
    assert a.df2 == pytest.approx(6 * 2 * (1 + 1 / a.riv) ** 2)


def test_df_for_few_imputations_is_noted() -> None:
    test = pooling.d3([-10.0, -11.0], [-14.0, -15.0], [-10.2, -11.2], [-14.0, -15.0], k=2)
    assert "at most 4" in test.note
    one = pooling.d3([-10.0, -11.0], [-14.0, -15.0], [-10.2, -11.2], [-14.0, -15.0], k=1)
    assert one.note == ""
    assert one.df2 == pytest.approx(float(pooling.rubin_df(2, one.riv)))


def test_one_imputation_is_the_single_fit() -> None:
    q, u = made_up(1, 2)
    wald = float(pooling.wald_chi2(q, u)[0])
    tests = {
        "D1": pooling.d1(q, u, dfcom=40),
        "D2": pooling.d2([wald], k=2),
        "D3": pooling.d3([-10.0], [-14.0], [-10.0], [-14.0], k=2),
        "D4": pooling.d4([-10.0], [-14.0], -10.0, -14.0, k=2),
    }
    assert tests["D1"].statistic == pytest.approx(wald / 2)
    assert tests["D1"].df2 == 40
    assert tests["D2"].p_value == pytest.approx(math.exp(-wald / 2))
    for name, test in tests.items():
        assert test.method == name
        assert math.isnan(test.riv)
        assert "one imputation" in test.note
    assert tests["D3"].p_value == tests["D4"].p_value == pytest.approx(math.exp(-4))


# --- errors -------------------------------------------------------------------------------------


def test_wrong_input_is_refused() -> None:
    q, u = made_up(4, 2)
    singular = np.ones((4, 2, 2))
    cases = [
        (lambda: pooling.d1(q[:, 0], u), "one row per imputation and one column"),
        (lambda: pooling.d1(q, u[:3]), "does not go with estimates"),
        (lambda: pooling.d1(q, singular), "singular"),
        (lambda: pooling.d1(q, u * [[1.0, 0.0], [0.0, 0.0]]), "coefficient 1 .* has no variance"),
        (lambda: pooling.wald_chi2(q, singular), "singular"),
        (lambda: pooling.d1(q, u, dfcom=-1), "dfcom"),
        (lambda: pooling.d1(q, u, one_df="t"), "one_df: 't'"),  # type: ignore[arg-type]
        (lambda: pooling.linear_hypothesis(q, u, [1, 0]), "one row per hypothesis"),
        (lambda: pooling.linear_hypothesis(q, u, [[1, 0], [2, 0]]), "linearly independent"),
        (lambda: pooling.linear_hypothesis(q, u, [[0, 0]]), "empty"),
        (lambda: pooling.linear_hypothesis(q, u, [[1, 0]], [1, 2]), "rhs"),
        (lambda: pooling.d2([1.0, 2.0], k=0), "k: 0"),
        (lambda: pooling.d2([[1.0], [2.0]], k=1), "one number per imputation"),
        (lambda: pooling.d3([1.0, 2.0], [1.0], [1.0, 2.0], [1.0, 2.0], k=1), "loglik_reduced"),
        (lambda: pooling.d4([1.0, 2.0], [1.0, 1.0], math.nan, 1.0, k=1), "loglik_full_stacked"),
        (lambda: pooling.d4([1.0], [1.0], 1.0, 1.0, k=3, n_params=2), "n_params: 2"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()


def test_a_badly_scaled_hypothesis_is_not_taken_for_empty() -> None:
    q, u = made_up(4, 2)
    c = np.array([1e-12, 1.0])
    rows, _ = pooling.linear_hypothesis(q * c, u * np.outer(c, c), [[1, 0], [0, 1]])
    assert rows.shape == (4, 2)
