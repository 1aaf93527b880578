"""Draws for chains: their distributions, far tails, and that chains don't depend on one another."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from rbridge_mi.errors import ArgumentError
from rbridge_mi.sampling import draws
from rbridge_mi.sampling.draws import Streams

CHAINS = 7
N = 1001  # Odd, so that vector instructions have a remainder.


def uniform_p(values: Any, cdf: Callable[[Any], Any]) -> float:
    """P value of a Kolmogorov-Smirnov test of draws against their distribution function."""
    return float(stats.kstest(cdf(np.ravel(values)), "uniform").pvalue)


def of_all_kinds(streams: Streams) -> list[Any]:
    """Each function called once, with other parameters for each of the chains 0 to 6."""
    mean = np.linspace(-9, 9, CHAINS * N).reshape(CHAINS, N)
    chains = [0, 1, 2, 3, 4, 5, 6] if len(streams) == CHAINS else [3]
    mean = mean[chains]
    logp = np.stack([mean * k for k in range(10)])
    scale = np.eye(3) + np.arange(CHAINS)[chains, None, None]
    return [
        streams.normal(N),
        streams.normal(),
        streams.uniform(2, 3),
        streams.gamma(np.abs(mean) + 0.1),
        streams.chi2([2.5, 3.0]),
        streams.chi2(4),
        draws.truncated_normal(streams, mean, np.arange(N) % 2 == 0),
        draws.truncated_normal(streams, mean, mean > 1),
        draws.truncated_normal_between(
            streams, mean, 0.5, 1.0, [np.inf if i % 2 else 1.5 for i in range(N)]
        ),
        draws.polya_gamma(streams, mean),
        draws.categorical(streams, logp),
        draws.categorical(streams, logp[:, :, :1]),
        draws.inverse_wishart(streams, 2.5, scale),
    ]


def test_a_chain_has_the_same_bits_whatever_chains_are_beside_it() -> None:
    together = of_all_kinds(Streams.of(5, range(CHAINS)))
    alone = of_all_kinds(Streams.of(5, [3]))
    for several, one in zip(together, alone, strict=True):
        assert several.shape == (CHAINS, *one.shape[1:])
        np.testing.assert_array_equal(several[3], one[0])


def test_streams_of_chains_and_seeds_differ() -> None:
    numbers = np.concatenate([Streams.of(s, range(4)).uniform(50).ravel() for s in (0, 1)])
    assert len(np.unique(numbers)) == 400


def test_streams_go_on_from_a_pickle() -> None:
    streams = Streams.of(1, [0, 2])
    streams.normal(3)
    copy = pickle.loads(pickle.dumps(streams))
    np.testing.assert_array_equal(copy.normal(5), streams.normal(5))


def test_plain_draws() -> None:
    streams = Streams.of(2, range(4))
    assert uniform_p(streams.normal(5000), stats.norm.cdf) > 1e-3
    assert uniform_p(streams.uniform(50, 100), lambda x: x) > 1e-3
    assert uniform_p(streams.gamma(np.full(5000, 0.7)), stats.gamma(0.7).cdf) > 1e-3
    assert uniform_p(streams.chi2(np.full((4, 5000), 3.3)), stats.chi2(3.3).cdf) > 1e-3


def test_parameters_of_gamma_hold_for_all_chains_or_for_each() -> None:
    assert Streams.of(1, range(3)).gamma(2.0).shape == (3,)
    assert Streams.of(1, range(3)).gamma([2.0, 1e9]).shape == (3, 2)
    for_each = Streams.of(1, range(3)).gamma([[1.0], [1e6], [1e12]])
    np.testing.assert_allclose(for_each[1:, 0], [1e6, 1e12], rtol=0.01)


@pytest.mark.parametrize("mean", [-40.0, -8.0, -4.99, -1.0, 0.0, 2.0, 30.0])
def test_truncated_normal(mean: float) -> None:
    streams = Streams.of(3, range(2))
    above = draws.truncated_normal(streams, np.full((2, 5000), mean), np.array([True]))
    below = draws.truncated_normal(streams, np.full((2, 5000), -mean), np.array([False]))
    assert (above > 0).all()
    assert (below < 0).all()
    distribution = stats.truncnorm(-mean, np.inf, loc=mean)
    assert uniform_p(above, distribution.cdf) > 1e-3
    assert uniform_p(-below, distribution.cdf) > 1e-3


def test_truncated_normal_by_sign_of_each() -> None:
    mean = np.zeros((2, 100))
    positive = np.arange(200).reshape(2, 100) % 3 == 0
    np.testing.assert_array_equal(
        draws.truncated_normal(Streams.of(1, [0, 1]), mean, positive) > 0, positive
    )


@pytest.mark.parametrize("mean", [-5.01, -20.0, -40.0])
def test_truncated_normal_inverts_the_tail_to_all_digits(mean: float) -> None:
    """Scipy's survival function on the log scale gives back the uniform numbers."""
    u = Streams.of(4, [0]).uniform(2000)
    y = draws.truncated_normal(Streams.of(4, [0]), np.full((1, 2000), mean), np.array([True]))
    log_u = special.log_ndtr(mean - y) - special.log_ndtr(mean)
    np.testing.assert_allclose(log_u, np.log(u), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mean", [1e3, 1e8, 1e100])
def test_a_tail_beyond_any_digit_is_exponential(mean: float) -> None:
    y = draws.truncated_normal(Streams.of(4, [0]), np.full((1, 5000), -mean), np.array([True]))
    assert uniform_p(y * mean, stats.expon.cdf) > 1e-3


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        (-np.inf, np.inf), (-np.inf, 0.3), (0.3, np.inf), (-0.5, 2.0), (-1e-6, 1e-6), (3.0, 3.001),
        (5.5, 5.6), (9.0, np.inf), (-np.inf, -9.0), (-30.01, -30.0), (6.0, 60.0), (-60.0, -4.9),
    ],
)  # fmt: skip
def test_truncated_normal_between(lower: float, upper: float) -> None:
    """Limits are in standard units here."""
    mean, sd = 100.0, 4.0
    y = draws.truncated_normal_between(
        Streams.of(6, [0, 1]), np.full(5000, mean), sd, mean + sd * lower, mean + sd * upper
    )
    assert ((y >= mean + sd * lower) & (y <= mean + sd * upper)).all()
    distribution = stats.truncnorm(lower, upper, loc=mean, scale=sd)
    assert uniform_p(y, distribution.cdf) > 1e-3


def test_truncated_normal_between_narrow_and_far() -> None:
    streams = Streams.of(7, range(3))
    point = draws.truncated_normal_between(streams, 0.0, 1.0, [[2.0, 70.0]], [[2.0, 70.0]])
    np.testing.assert_array_equal(point, [[2.0, 70.0]] * 3)
    far = draws.truncated_normal_between(streams, np.full(4000, -1e8), 1.0, 0.0, np.inf)
    assert uniform_p(far * 1e8, stats.expon.cdf) > 1e-3
    # So far out that the density is flat in the interval.
    flat = draws.truncated_normal_between(streams, np.zeros(4000), 1e9, 1e10, 1e10 + 1e3)
    assert uniform_p((flat - 1e10) / 1e3, lambda x: x) > 1e-3
    with pytest.raises(ArgumentError, match="above the upper limit"):
        draws.truncated_normal_between(streams, 0.0, 1.0, 1.0, 0.0)
    with pytest.raises(ArgumentError, match="a limit is nan"):
        draws.truncated_normal_between(streams, 0.0, 1.0, np.nan, 0.0)


@pytest.mark.parametrize("z", [0.0, 0.1, -1.5, 3.1, 3.2, 8.0, 40.0])
def test_polya_gamma_has_the_moments_and_the_laplace_transform(z: float) -> None:
    x = draws.polya_gamma(Streams.of(8, range(4)), np.full((4, 25000), z)).ravel()
    size = abs(z)
    mean = np.tanh(size / 2) / (2 * size) if size else 0.25
    # (sinh z - z) / (4 z^3 cosh^2(z/2)), written so that it does not overflow.
    decay = np.exp(-size)
    variance = (
        (1 - decay**2 - 2 * size * decay) / (2 * size**3 * (1 + decay) ** 2) if size else 1 / 24
    )
    assert abs(x.mean() - mean) < 4 * np.sqrt(variance / x.size)
    assert abs(((x - mean) ** 2).mean() - variance) < 4 * ((x - mean) ** 2).std() / np.sqrt(x.size)
    for s in (0.5, 2.0, 10.0, 50.0):
        root = np.sqrt(z**2 / 4 + s / 2)
        transform = np.exp(size / 2 - root) * (1 + decay) / (1 + np.exp(-2 * root))
        drawn = np.exp(-s * x)
        assert abs(drawn.mean() - transform) < 4 * drawn.std() / np.sqrt(x.size)


def test_polya_gamma_is_a_sum_of_exponentials() -> None:
    """Its definition, cut off at 400 terms whose rest is replaced by its mean."""
    rng = np.random.default_rng(9)
    z, terms = 1.2, np.arange(1, 401)
    weights = 1 / ((terms - 0.5) ** 2 + z**2 / (4 * np.pi**2)) / (2 * np.pi**2)
    rest = np.tanh(z / 2) / (2 * z) - weights.sum()
    sums = rng.standard_exponential((4000, 400)) @ weights + rest
    x = draws.polya_gamma(Streams.of(9, [0]), np.full((1, 4000), z))
    assert stats.ks_2samp(x.ravel(), sums).pvalue > 1e-3


@pytest.mark.parametrize("x", [0.3, 0.5, 0.639, 0.641, 0.8, 1.2])
def test_polya_gamma_accepts_in_the_proportion_of_the_densities(x: float) -> None:
    """At most one proposal of 170 is rejected: too few to be noticed in moments of draws."""
    n = np.arange(40)
    c = 2 / x if x < 0.64 else np.pi**2 * x / 2
    terms = (-1.0) ** n * (2 * n + 1) * np.exp(-n * (n + 1) * c)
    share = terms.sum()  # of the density in its proposal's
    assert 1 - 3 * np.exp(-2 * c) <= share < 1
    v = share + np.array([-1e-3, -1e-9, 1e-9, 1e-3])
    accepted = draws._series_accepts(np.full(4, x), v)
    assert accepted.tolist() == [True, True, False, False]


def test_polya_gamma_of_huge_z_is_its_mean() -> None:
    z = np.array([[1e3, 1e5, -1e8]])
    np.testing.assert_allclose(draws.polya_gamma(Streams.of(1, [0]), z), 1 / (2 * abs(z)), rtol=0.2)


def test_categorical() -> None:
    p = np.array([0.0, 0.2, 0.0, 0.5, 0.3, 0.0])
    with np.errstate(divide="ignore"):
        logp = np.log(p)[:, None, None] + np.zeros((6, 4, 10000)) - 5000.0
    codes = draws.categorical(Streams.of(10, range(4)), logp)
    counts = np.bincount(codes.ravel(), minlength=6)
    assert (counts[p == 0] == 0).all()
    assert stats.chisquare(counts[p > 0], 40000 * p[p > 0]).pvalue > 1e-3


def test_categorical_takes_the_only_possible_category() -> None:
    logp = np.full((3, 1, 3), -np.inf)
    logp[[0, 1, 2], 0, [0, 1, 2]] = [-1e5, 0.0, 1e5]
    assert draws.categorical(Streams.of(1, [0]), logp).tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("value", [-np.inf, np.nan, np.inf])
def test_categorical_refuses(value: float) -> None:
    with pytest.raises(ArgumentError, match="no possible category"):
        draws.categorical(Streams.of(1, [0]), np.full((2, 1, 1), value))


def test_inverse_wishart() -> None:
    df, scale = 9.5, np.array([[2.0, 0.6, 0.1], [0.6, 1.0, -0.3], [0.1, -0.3, 0.5]])
    n = 20000
    x = draws.inverse_wishart(Streams.of(11, range(n)), df, np.broadcast_to(scale, (n, 3, 3)))
    np.testing.assert_array_equal(x, np.swapaxes(x, 1, 2))
    error = x.std(axis=0) / np.sqrt(n)
    assert (abs(x.mean(axis=0) - scale / (df - 4)) < 4.5 * error).all()
    # a' S a / a' X a is chi-squared with df - q + 1 degrees of freedom for any a, and what is
    # asked of the inverse is asked of a Wishart variate: a' X^-1 a / a' S^-1 a has df of them.
    for a in ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [1.0, -2.0, 3.0]):
        ratio = (a @ scale @ a) / np.einsum("i,cij,j->c", a, x, a)
        assert uniform_p(ratio, stats.chi2(df - 2).cdf) > 1e-3
        inverse = np.einsum("i,cij,j->c", a, np.linalg.inv(x), a) / (a @ np.linalg.inv(scale) @ a)
        assert uniform_p(inverse, stats.chi2(df).cdf) > 1e-3


def test_inverse_wishart_of_one_variance_and_of_few_degrees_of_freedom() -> None:
    x = draws.inverse_wishart(Streams.of(12, range(4000)), 0.5, np.full((4000, 1, 1), 3.0))
    assert uniform_p(3.0 / x, stats.chi2(0.5).cdf) > 1e-3
    y = draws.inverse_wishart(
        Streams.of(12, range(50)), 2.05, np.broadcast_to(np.eye(3), (50, 3, 3))
    )
    assert (np.linalg.eigvalsh(y)[:, -1] > 0).all()
    with pytest.raises(ArgumentError, match="above 2"):
        draws.inverse_wishart(Streams.of(12, [0]), 2.0, np.eye(3)[None])
