"""SDs, correlations and ICCs: what the scales promise, and what happens at the boundary."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rbridge_mi import pooling
from rbridge_mi.pooling import scales

POOLS: dict[str, tuple[Callable[..., Any], list[float], Callable[[Any], Any]]] = {
    "sd": (pooling.pool_sd, [0.8, 1.1, 1.3], np.log),
    "cor": (pooling.pool_cor, [-0.2, 0.3, 0.5], np.arctanh),
    "icc": (pooling.pool_icc, [0.1, 0.2, 0.15], lambda p: np.log(p / (1 - p))),
}
BOUNDARY = {"sd": [0.0], "cor": [-1.0, 1.0, math.nan], "icc": [0.0, 1.0]}


@pytest.mark.parametrize(
    ("scale", "name"), [(scales.LOG, "sd"), (scales.FISHER_Z, "cor"), (scales.LOGIT, "icc")]
)
def test_a_scale_is_what_it_says(scale: scales.Scale, name: str) -> None:
    _, values, link = POOLS[name]
    v, h = np.array(values), 1e-6
    np.testing.assert_allclose(scale.there(v), link(v), rtol=1e-14)
    np.testing.assert_allclose(scale.back(scale.there(v)), v, rtol=1e-14)
    # A central difference: its error is of the order of h squared, and of rounding over h.
    numeric = (scale.there(v + h) - scale.there(v - h)) / (2 * h)
    np.testing.assert_allclose(scale.slope(v), numeric, rtol=1e-8)
    assert scale.name == name
    assert scale.inside(v).all()
    assert not scale.inside(np.array([scale.low, scale.high, *BOUNDARY[name]])).any()


@pytest.mark.parametrize("name", POOLS)
def test_pooled_on_its_scale_by_rubins_rules(name: str) -> None:
    pool, values, link = POOLS[name]
    x = pool(values, [0.02] * 3, variances_on="link", dfcom=40)
    y = pooling.pool_scalars(link(np.array(values)), [0.02] * 3, dfcom=40)
    np.testing.assert_allclose(link(x.estimate), y.estimate, rtol=1e-12)
    np.testing.assert_allclose(link(x.conf_low), y.conf_low, rtol=1e-12)
    np.testing.assert_allclose(link(x.conf_high), y.conf_high, rtol=1e-12)
    np.testing.assert_allclose(x.link_std_error, y.std_error, rtol=1e-13)
    for column in ("df", "riv", "lambda_", "fmi"):
        np.testing.assert_allclose(getattr(x, column), getattr(y, column), rtol=1e-13)


@pytest.mark.parametrize("name", POOLS)
def test_variances_go_to_the_link_by_the_delta_method(name: str) -> None:
    pool, values, link = POOLS[name]
    v, h = np.array(values), 1e-6
    slope = (link(v + h) - link(v - h)) / (2 * h)
    x = pool(v, [0.003] * 3)
    y = pool(v, 0.003 * slope**2, variances_on="link")
    np.testing.assert_allclose(x.link_std_error, y.link_std_error, rtol=1e-8)
    np.testing.assert_allclose(x.std_error, y.std_error, rtol=1e-8)


@pytest.mark.parametrize("name", POOLS)
def test_identical_fits_give_the_single_fit(name: str) -> None:
    pool, values, _ = POOLS[name]
    x = pool([values[1]] * 4, [0.0025] * 4)
    np.testing.assert_allclose([x.estimate, x.std_error], [values[1], 0.05], rtol=1e-12)
    assert x.fmi == 0


@pytest.mark.parametrize("name", POOLS)
def test_intervals_stay_in_range(name: str) -> None:
    pool, values, _ = POOLS[name]
    x = pool(values, [25.0] * 3, variances_on="link")
    low, high = {"sd": (0, math.inf), "cor": (-1, 1), "icc": (0, 1)}[name]
    assert low <= x.conf_low < x.estimate < x.conf_high <= high


@pytest.mark.parametrize(("name", "edge"), [(n, e) for n in BOUNDARY for e in BOUNDARY[n]])
def test_a_fit_on_the_boundary_leaves_no_interval(name: str, edge: float) -> None:
    pool, values, _ = POOLS[name]
    # The second column is inside its range: it must not be affected by the first.
    v = np.column_stack([[edge, *values[1:]], values])
    u = np.where(np.arange(6).reshape(3, 2) == 0, math.nan, 0.01)
    x = pool(v, u)
    assert x.n_boundary.tolist() == [1.0, 0.0]
    for column in ("std_error", "conf_low", "conf_high", "df", "fmi"):
        assert np.isnan(getattr(x, column)).tolist() == [True, False]
    plain = np.sqrt(np.mean(v[:, 0] ** 2)) if name == "sd" else np.nanmean(v[:, 0])
    np.testing.assert_allclose(x.estimate[0], plain)
    alone = pool(values, [0.01] * 3)
    np.testing.assert_allclose(x.conf_high[1], alone.conf_high)


def test_a_correlation_defined_in_no_fit() -> None:
    x = pooling.pool_cor([math.nan, math.nan], [math.nan, math.nan])
    assert np.isnan(x.estimate)
    assert x.n_boundary == 2


def test_center_moves_the_interval_on_the_link() -> None:
    sd, u = np.array([0.8, 1.1, 1.3]), np.full(3, 0.01)
    center = np.sqrt(np.mean(sd**2))
    x, y = pooling.pool_sd(sd, u), pooling.pool_sd(sd, u, center=center)
    assert y.estimate == center
    np.testing.assert_allclose(y.conf_low / center, x.conf_low / x.estimate, rtol=1e-13)
    np.testing.assert_allclose(y.conf_high / center, x.conf_high / x.estimate, rtol=1e-13)
    singular = pooling.pool_sd([0.0, 1.0], [math.nan, 0.1], center=0.7)
    assert singular.estimate == 0.7
    assert np.isnan(singular.conf_low)


def test_units_of_the_response_scale_sds_only() -> None:
    sd, u = np.array([0.8, 1.1, 1.3]), np.array([0.01, 0.02, 0.015])
    x, y = pooling.pool_sd(sd, u), pooling.pool_sd(sd * 1000, u * 1e6)
    for column in ("estimate", "std_error", "conf_low", "conf_high"):
        np.testing.assert_allclose(1000 * getattr(x, column), getattr(y, column), rtol=1e-12)
    for column in ("df", "riv", "fmi"):
        np.testing.assert_allclose(getattr(x, column), getattr(y, column), rtol=1e-10)


def test_sd_and_variance_have_one_interval() -> None:
    # On the log scale a variance is twice an SD: squaring the ends must agree.
    sd, u = np.array([0.8, 1.1, 1.3]), np.full(3, 0.02)
    on_sd = pooling.pool_sd(sd, u, variances_on="link")
    on_variance = pooling.pool_sd(sd**2, 4 * u, variances_on="link")
    np.testing.assert_allclose(on_sd.conf_high**2, on_variance.conf_high, rtol=1e-12)


def test_logit_of_icc_is_the_log_of_the_variance_ratio() -> None:
    ratio, u = np.array([0.3, 0.25, 0.4]), np.full(3, 0.05)
    icc = pooling.pool_icc(ratio / (1 + ratio), u, variances_on="link")
    odds = pooling.pool_sd(ratio, u, variances_on="link")
    np.testing.assert_allclose(icc.conf_low, odds.conf_low / (1 + odds.conf_low), rtol=1e-12)


@pytest.mark.parametrize(
    ("pool", "values", "variances", "options", "message"),
    [
        (pooling.pool_sd, [1.0, -1.0], [0.1, 0.1], {}, "sd: values outside 0 to inf"),
        (pooling.pool_sd, [1.0, math.nan], [0.1, 0.1], {}, "sd: the value at"),
        (pooling.pool_cor, [0.1, 1.1], [0.1, 0.1], {}, "cor: values outside -1 to 1"),
        (pooling.pool_icc, [0.1, 1.1], [0.1, 0.1], {}, "icc: values outside 0 to 1"),
        (pooling.pool_sd, [1.0, 1.0], [0.1], {}, "variances: shape"),
        (pooling.pool_sd, [1.0, 1.0], [0.1, math.nan], {}, "variances: negative or missing"),
        (pooling.pool_sd, [1.0, 1.0], [0.1, 0.1], {"variances_on": "log"}, "variances_on: 'log'"),
        (pooling.pool_sd, [1.0, 1.0], [0.1, 0.1], {"center": 0.0}, "center: 0.0"),
        (pooling.pool_sd, [1.0, 1.0], [0.1, 0.1], {"center": [1.0]}, "center: shape"),
    ],
)
def test_wrong_input_is_refused(
    pool: Callable[..., object],
    values: list[float],
    variances: list[float],
    options: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        pool(values, variances, **options)
