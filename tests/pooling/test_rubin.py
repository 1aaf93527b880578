"""Rubin's rules: identities, limits and invariances, each under a stable id."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbridge_mi import pooling
from rbridge_mi.errors import RBridgeError
from rbridge_mi.pooling.tails import f_upper, t_critical, t_two_sided

FREE_OF_SCALE = ("statistic", "df", "p_value", "riv", "lambda_", "fmi")
finite = st.floats(-50, 50).map(lambda x: round(x, 6))


@st.composite
def fits(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    m = draw(st.integers(2, 12))
    q = draw(st.lists(finite, min_size=m, max_size=m))
    u = draw(st.lists(st.floats(0.01, 20), min_size=m, max_size=m))
    return np.array(q), np.array(u)


def same(a: pooling.PooledScalars, b: pooling.PooledScalars, names: tuple[str, ...]) -> None:
    for name in names:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def floats(*values: Any) -> tuple[float, ...]:
    return tuple(float(x) for x in values)


# --- identities ---------------------------------------------------------------------------------


@given(fits(), st.floats(3, 1e6))
@settings(max_examples=60, deadline=None)
def test_identities(data: tuple[np.ndarray, np.ndarray], dfcom: float) -> None:
    q, u = data
    m = len(q)
    x = pooling.pool_scalars(q, u, dfcom=dfcom)
    np.testing.assert_allclose(x.t, x.ubar + (1 + 1 / m) * x.b, rtol=1e-14)
    np.testing.assert_allclose(x.std_error**2, x.t, rtol=1e-14)
    np.testing.assert_allclose(x.lambda_, x.riv / (1 + x.riv), rtol=1e-12)
    width = float(x.conf_high - x.conf_low)  # nearly infinite where almost nothing was observed
    if width < 1e6:
        np.testing.assert_allclose((x.conf_low + x.conf_high) / 2, x.estimate, atol=1e-9)
    assert 0 <= x.lambda_ < 1
    assert 0 <= x.fmi <= 1
    assert 0 <= x.p_value <= 1
    assert x.df <= dfcom
    assert x.df <= pooling.rubin_df(m, x.riv)


def test_fields_are_the_columns_of_the_design() -> None:
    x = pooling.pool_scalars([[1.0, 2.0], [2.0, 3.0]], [[1.0, 1.0], [1.0, 1.0]])
    assert tuple(x.columns()) == pooling.COLUMNS
    assert all(column.shape == (2,) for column in x.columns().values())


def test_interval_excludes_zero_as_p_is_below_alpha() -> None:
    q, u = np.array([2.0, 2.2, 2.4]), np.array([0.5, 0.5, 0.5])
    p = float(pooling.pool_scalars(q, u, dfcom=30).p_value)
    at_the_edge = pooling.pool_scalars(q, u, dfcom=30, conf_level=1 - p)
    np.testing.assert_allclose(at_the_edge.conf_low, 0.0, atol=1e-12)


def test_vcov_diagonal_is_the_scalar_rule() -> None:
    rng = np.random.default_rng(1)
    q = rng.normal(size=(7, 3))
    root = rng.normal(size=(7, 3, 5))
    u = root @ np.swapaxes(root, 1, 2)
    whole = pooling.pool_vcov(q, u)
    parts = pooling.pool_scalars(q, np.diagonal(u, axis1=1, axis2=2))
    for name in ("ubar", "b", "t"):
        np.testing.assert_allclose(np.diag(getattr(whole, name)), getattr(parts, name), rtol=1e-14)
    np.testing.assert_allclose(whole.b, np.cov(q.T), rtol=1e-13)


# --- limits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dfcom", [12.0, math.inf])
def test_identical_fits_give_the_single_fit(dfcom: float) -> None:
    # In doubles, the plain mean of three times 0.1 is not 0.1.
    x = pooling.pool_scalars([0.1] * 3, [0.3] * 3, dfcom=dfcom)
    assert floats(x.estimate, x.ubar, x.b, x.t) == (0.1, 0.3, 0.0, 0.3)
    assert floats(x.riv, x.lambda_, x.fmi) == (0.0, 0.0, 0.0)
    np.testing.assert_allclose(x.df, dfcom * (dfcom + 1) / (dfcom + 3) if dfcom < 99 else dfcom)


@pytest.mark.parametrize("dfcom", [12.0, math.inf])
def test_one_imputation_is_the_single_fit(dfcom: float) -> None:
    x = pooling.pool_scalars([[2.0, -1.0]], [[1.0, 4.0]], dfcom=dfcom)
    assert x.estimate.tolist() == [2.0, -1.0]
    assert x.std_error.tolist() == [1.0, 2.0]
    assert x.df.tolist() == [dfcom, dfcom]
    np.testing.assert_array_equal(x.p_value, t_two_sided([2.0, -0.5], dfcom))
    for name in ("b", "riv", "lambda_", "fmi"):
        assert np.isnan(getattr(x, name)).all()
    whole = pooling.pool_vcov([[2.0, -1.0]], [[[1.0, 0.5], [0.5, 4.0]]])
    assert whole.t.tolist() == [[1.0, 0.5], [0.5, 4.0]]
    assert np.isnan(whole.b).all()


def test_infinite_dfcom_is_rubins_df() -> None:
    riv = np.array([1e-6, 0.01, 0.5, 3.0, 1e4])
    np.testing.assert_allclose(pooling.barnard_rubin_df(5, riv), pooling.rubin_df(5, riv))
    np.testing.assert_allclose(
        pooling.barnard_rubin_df(5, riv[1:], dfcom=1e14), pooling.rubin_df(5, riv[1:]), rtol=1e-6
    )


def test_many_imputations_leave_the_observed_df() -> None:
    riv, dfcom = 0.4, 30.0
    observed = dfcom * (dfcom + 1) / (dfcom + 3) / (1 + riv)
    np.testing.assert_allclose(pooling.barnard_rubin_df(10**9, riv, dfcom), observed, rtol=1e-6)


def test_dfcom_per_coefficient() -> None:
    q, u = np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]]), np.ones((3, 2))
    both = pooling.pool_scalars(q, u, dfcom=[10.0, math.inf])
    for i, dfcom in enumerate((10.0, math.inf)):
        assert both.df[i] == pooling.pool_scalars(q[:, i], u[:, i], dfcom=dfcom).df


def test_lambda_is_not_clamped() -> None:
    # mice before 3.19 raises lambda to at least 1e-4, so that with m = 3 the df is at most 2e8.
    x = pooling.pool_scalars([1.0, 1.0 + 1e-6, 1.0 - 1e-6], [1.0] * 3)
    assert 0 < x.lambda_ < 1e-4
    assert x.df > 1e20


def test_no_sampling_variance() -> None:
    x = pooling.pool_scalars([1.0, 2.0, 3.0], [0.0] * 3)
    assert floats(x.riv, x.lambda_, x.fmi, x.df) == (math.inf, 1.0, 1.0, 2.0)
    finite_df = pooling.pool_scalars([1.0, 2.0, 3.0], [0.0] * 3, dfcom=20)
    assert finite_df.df == 0
    assert np.isnan(finite_df.p_value)
    constant = pooling.pool_scalars([1.0, 1.0], [0.0, 0.0])
    assert floats(constant.std_error, constant.statistic, constant.p_value) == (0.0, math.inf, 0.0)
    assert np.isnan(pooling.pool_scalars([0.0, 0.0], [0.0, 0.0]).p_value)


# --- invariances --------------------------------------------------------------------------------


@given(fits(), st.integers(-40, 40))
@settings(max_examples=40, deadline=None)
def test_rescaling_by_a_power_of_two_is_exact(
    data: tuple[np.ndarray, np.ndarray], power: int
) -> None:
    q, u = data
    c = 2.0**power
    x, y = (pooling.pool_scalars(q / s, u / s**2, dfcom=50) for s in (1.0, c))
    same(x, y, FREE_OF_SCALE)
    np.testing.assert_array_equal(x.std_error / c, y.std_error)


@given(fits(), st.floats(1e-6, 1e6))
@settings(max_examples=40, deadline=None)
def test_rescaling_by_any_number(data: tuple[np.ndarray, np.ndarray], c: float) -> None:
    q, u = data
    x, y = (pooling.pool_scalars(q / s, u / s**2, dfcom=50) for s in (1.0, c))
    # b is computed from differences, so its precision is that of the spread relative to estimates.
    slack = 1e-13 * (1 + np.abs(q).max() / max(float(np.sqrt(x.b)), 1e-8))
    for name in FREE_OF_SCALE:
        np.testing.assert_allclose(getattr(x, name), getattr(y, name), rtol=slack, atol=slack)
    np.testing.assert_allclose(x.std_error / c, y.std_error, rtol=slack)


@given(fits(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_order_of_imputations_changes_no_bit(
    data: tuple[np.ndarray, np.ndarray], random: object
) -> None:
    q, u = data
    order = np.random.default_rng(len(q)).permutation(len(q))
    x, y = pooling.pool_scalars(q, u, dfcom=9), pooling.pool_scalars(q[order], u[order], dfcom=9)
    same(x, y, pooling.COLUMNS)


def test_order_of_imputations_changes_no_bit_of_matrices() -> None:
    rng = np.random.default_rng(3)
    q, root = rng.normal(size=(9, 4)), rng.normal(size=(9, 4, 6))
    u = root @ np.swapaxes(root, 1, 2)
    order = rng.permutation(9)
    x, y = pooling.pool_vcov(q, u), pooling.pool_vcov(q[order], u[order])
    for name in ("estimate", "ubar", "b", "t"):
        np.testing.assert_array_equal(getattr(x, name), getattr(y, name))
    r, s = pooling.pool_blups(q, u[:, 0] * 0 + 1.0), pooling.pool_blups(q[order], u[:, 0] * 0 + 1.0)
    np.testing.assert_array_equal(r.condsd, s.condsd)


def test_memory_layout_changes_nothing() -> None:
    q = np.random.default_rng(5).normal(size=(11, 3))
    x = pooling.pool_scalars(q, np.ones_like(q))
    y = pooling.pool_scalars(np.asfortranarray(q), np.ones_like(q))
    same(x, y, pooling.COLUMNS)


# --- bootstrap, random effects, covariances -----------------------------------------------------


def test_bootstrap_is_the_spread() -> None:
    q = np.random.default_rng(2).normal(size=(200, 2))
    x = pooling.pool_bootstrap(q)
    np.testing.assert_allclose(x.std_error, q.std(axis=0, ddof=1), rtol=1e-13)
    assert x.df.tolist() == [199.0, 199.0]
    assert np.isnan(x.ubar).all()
    np.testing.assert_allclose(pooling.bootstrap_vcov(q), np.cov(q.T), rtol=1e-12)
    np.testing.assert_allclose(np.diag(pooling.bootstrap_vcov(q)), x.t, rtol=1e-13)
    with pytest.raises(ValueError, match="at least 2"):
        pooling.pool_bootstrap(q[:1])


def test_blups_follow_the_scalar_rule() -> None:
    rng = np.random.default_rng(4)
    values, variances = rng.normal(size=(5, 6, 2)), rng.uniform(0.5, 2, size=(5, 6, 2))
    x = pooling.pool_blups(values, variances)
    y = pooling.pool_scalars(values, variances)
    for ours, theirs in (("condval", "estimate"), ("total", "t"), ("condsd", "std_error")):
        np.testing.assert_array_equal(getattr(x, ours), getattr(y, theirs))
    blocks = variances[..., None] * np.eye(2)
    z = pooling.pool_blups(values, blocks)
    np.testing.assert_allclose(z.condsd, x.condsd, rtol=1e-14)
    assert z.total.shape == (6, 2, 2)


def test_blups_of_levels_that_some_imputations_lack() -> None:
    nan = math.nan
    values = [[[1.0], [nan], [7.0]], [[3.0], [nan], [9.0]], [[5.0], [2.0], [nan]]]
    variances = np.where(np.isnan(values), nan, 1.0)[..., None]
    x = pooling.pool_blups(values, variances)
    assert x.m.tolist() == [[3.0], [1.0], [2.0]]
    assert x.condval.ravel().tolist() == [3.0, 2.0, 8.0]
    np.testing.assert_allclose(x.total.ravel(), [1 + (4 / 3) * 4, 1.0, 1 + 1.5 * 2.0], rtol=1e-14)
    assert np.isnan(x.between[1, 0, 0])


def test_blups_refuse_what_they_cannot_pool() -> None:
    with pytest.raises(ValueError, match=r"no imputation has a value at \[1\]"):
        pooling.pool_blups([[1.0, math.nan]] * 2, [[1.0, math.nan]] * 2)
    with pytest.raises(ValueError, match="condvar: negative or missing"):
        pooling.pool_blups([[1.0, 2.0]] * 2, [[1.0, math.nan]] * 2)


def test_mean_covariance_survives_a_singular_fit() -> None:
    # With a variance of zero in one fit, the mean of SDs is far from the root of the mean variance.
    covs = [[[400.0, 60.0], [60.0, 36.0]], [[300.0, 0.0], [0.0, 0.0]]]
    x = pooling.pool_covariance(covs)
    np.testing.assert_allclose(x.sd, np.sqrt([350.0, 18.0]))
    assert np.linalg.eigvalsh(x.cov).min() >= 0
    assert x.cor.diagonal().tolist() == [1.0, 1.0]
    alone = pooling.pool_covariance(covs[1:])
    assert np.isnan(alone.cor[0, 1])


# --- tails --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("t", "df", "p"),
    [
        # 60-digit references (mpmath's incomplete beta function)
        (8.0, 2.7, 0.0059122556207358584),
        (35.0, 45.8, 1.0646817980188009e-34),
        (35.0, math.inf, 2.2498214129448125e-268),
        (8.0, 6000.25, 1.481729392874288e-15),
    ],
)
def test_t_tail_values(t: float, df: float, p: float) -> None:
    np.testing.assert_allclose(t_two_sided(t, df), p, rtol=1e-13)


@pytest.mark.parametrize("df", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("t", [1e-9, 0.3, 2.0, 1e5, 1e9, 1e12, 1e150])
def test_t_tail_closed_forms(t: float, df: float) -> None:
    # Written without cancellation: atan(1/t), and 1 - t/sqrt(t^2 + a) = a / (s (s + t)).
    s = math.hypot(t, math.sqrt(df))
    exact = {
        1.0: 2 / math.pi * math.atan2(1, t),
        2.0: 2 / s / (s + t),
        4.0: None,
    }[df]
    if exact is None:  # 1 - sin(a) (1 + cos(a)^2 / 2) with cos(a) = 2/s and h = 1 - sin(a)
        h = 4 / s / (s + t)
        exact = h * h * (3 - h) / 2
    # Boost's own closed form for df = 1 leaves 1e-11 next to p = 1.
    rtol = 1e-11 if (df, t) == (1.0, 1e-9) else 2e-14
    np.testing.assert_allclose(t_two_sided(t, df), exact, rtol=rtol, atol=0)


def test_large_df_runs_into_the_normal() -> None:
    t = np.array([1e-8, 0.5, 2.0, 8.0, 35.0])
    np.testing.assert_allclose(t_two_sided(t, 1e18), t_two_sided(t, math.inf), rtol=1e-11)
    np.testing.assert_allclose(t_critical(0.95, 1e18), t_critical(0.95, math.inf), rtol=1e-14)
    np.testing.assert_allclose(f_upper(3.0, 4, 1e15), f_upper(3.0, 4, math.inf), rtol=1e-12)


@pytest.mark.parametrize("df", [0.5, 1.0, 2.7, 45.8, 6000.3, 1e9, math.inf])
@pytest.mark.parametrize("conf_level", [0.1, 0.5, 0.95, 0.999, 1 - 1e-10])
def test_critical_value_inverts_the_tail(df: float, conf_level: float) -> None:
    c = t_critical(conf_level, df)
    np.testing.assert_allclose(t_two_sided(c, df), 1.0 - conf_level, rtol=2e-12)


@given(st.floats(0, 1e6), st.floats(0.1, 1e12))
@settings(max_examples=100, deadline=None)
def test_f_with_one_degree_is_t_squared(t: float, df: float) -> None:
    np.testing.assert_allclose(f_upper(t * t, 1, df), t_two_sided(t, df), rtol=1e-11, atol=1e-300)


@given(st.floats(0, 1e300), st.integers(1, 50), st.floats(1e-3, 1e300))
@settings(max_examples=150, deadline=None)
def test_probabilities_stay_between_0_and_1(f: float, k: int, df: float) -> None:
    assert 0 <= f_upper(f, k, df) <= 1
    assert 0 <= t_two_sided(f, df) <= 1


@pytest.mark.parametrize("df", [0.0, -1.0, math.nan])
def test_no_df_no_probability(df: float) -> None:
    assert np.isnan(t_two_sided(2.0, df))
    assert np.isnan(t_critical(0.95, df))
    assert np.isnan(f_upper(2.0, 3, df))


def test_missing_statistics_stay_missing() -> None:
    assert np.isnan(t_two_sided(math.nan, [3.0, math.inf])).all()
    assert np.isnan(f_upper(math.nan, 2, [3.0, math.inf])).all()
    assert t_two_sided(math.inf, [3.0, math.inf]).tolist() == [0.0, 0.0]


# --- errors and imports -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimates", "variances", "options", "message"),
    [
        ([], [], {}, "no imputations"),
        (1.0, 1.0, {}, "no imputations"),
        ([1.0, "a"], [1.0, 1.0], {}, "not a rectangular array of numbers"),
        ([[1.0], [1.0, 2.0]], [1.0, 1.0], {}, "not a rectangular array"),
        ([1.0, math.nan], [1.0, 1.0], {}, r"estimates: the value at \[1\] .* is nan"),
        ([1.0, 2.0], [1.0, math.inf], {}, "variances: the value .* is inf"),
        ([1.0, 2.0], [1.0, -1.0], {}, "is negative"),
        ([1.0, 2.0], [1.0], {}, r"shape \(1,\) does not go with estimates"),
        ([1.0, 2.0], [1.0, 1.0], {"dfcom": 0}, "dfcom.*not positive"),
        ([1.0, 2.0], [1.0, 1.0], {"dfcom": math.nan}, "dfcom.*not positive"),
        ([1.0, 2.0], [1.0, 1.0], {"dfcom": [1.0, 2.0]}, "dfcom: shape"),
        ([1.0, 2.0], [1.0, 1.0], {"conf_level": 95}, "conf_level: 95"),
    ],
)
def test_wrong_input_is_refused(
    estimates: Any, variances: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        pooling.pool_scalars(estimates, variances, **options)
    assert isinstance(raised.value, RBridgeError)


@pytest.mark.parametrize(
    ("vcovs", "message"),
    [
        ([[1.0, 1.0]] * 2, "not a stack of square matrices"),
        ([[[1.0, 0.0], [0.5, 1.0]]] * 2, "not symmetric"),
        ([[[1.0, 0.0], [0.0, -1.0]]] * 2, "diagonal of vcovs"),
        ([[[1.0]]] * 2, "does not go with estimates"),
    ],
)
def test_wrong_matrices_are_refused(vcovs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pooling.pool_vcov([[1.0, 2.0], [2.0, 3.0]], vcovs)


@pytest.mark.parametrize("m", [0, 1.5, True])
def test_wrong_m_is_refused(m: Any) -> None:
    with pytest.raises(ValueError, match=r"m: .* is not a whole number"):
        pooling.barnard_rubin_df(m, 0.5)


def test_input_is_left_alone() -> None:
    q, u = np.array([3.0, 1.0, 2.0]), np.array([1.0, 3.0, 2.0])
    pooling.pool_scalars(q, u)
    assert (q.tolist(), u.tolist()) == ([3.0, 1.0, 2.0], [1.0, 3.0, 2.0])


def test_importing_takes_no_scipy() -> None:
    code = "import sys, rbridge_mi.pooling; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
