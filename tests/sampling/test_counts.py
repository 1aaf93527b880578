"""A model of counts: its posterior by another algorithm, and its likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from rbridge_mi.sampling.draws import Streams
from rbridge_mi.sampling.metropolis import Expansion, moved
from rbridge_mi.sampling.mixed_model import columns_within
from rbridge_mi.sampling.nodes import PoissonNode
from rbridge_mi.sampling.poisson_model import PoissonModel
from rbridge_mi.sampling.scales import RateScale

from .joint import CHAINS, PRIOR, mixed_model
from .scenes import NOTHING

GROUP = np.repeat([0, 1, 2], [6, 4, 2])
N = len(GROUP)
X = np.linspace(-1.2, 1.1, N)
OFFSET = np.where(np.arange(N) % 2, 0.4, -0.3)
COUNTS = np.array([0, 2, 1, 4, 2, 7, 0, 0, 0, 0, 9, 3], np.float64)


def log_posterior(b: Any, log_sd: Any, unit: Any) -> Any:
    """The log density of coefficients, log SD and u / SD of an intercept of three groups, (S,)."""
    sd = np.exp(log_sd)
    eta = OFFSET + b[:, [0]] + b[:, [1]] * X + sd[:, None] * unit[:, GROUP]
    total = stats.poisson.logpmf(COUNTS, np.exp(np.minimum(eta, 40.0))).sum(axis=1)
    total += stats.norm.logpdf(b / [PRIOR.intercept_sd, PRIOR.coefficient_sd]).sum(axis=1)
    total += stats.norm.logpdf(unit).sum(axis=1)
    # The SD is half-t; the Jacobian of its logarithm is the SD.
    return total + stats.t.logpdf(sd / PRIOR.sd_scale, PRIOR.covariance_df) + log_sd


def reference(chains: int, steps: int, seed: int) -> np.ndarray[Any, Any]:
    """Draw from the posterior by a random walk: b, log SD and u, (6, chains, steps / 2)."""
    rng = np.random.default_rng(seed)
    at = 0.1 * rng.normal(size=(chains, 6))
    value = log_posterior(at[:, :2], at[:, 2], at[:, 3:])
    kept = []
    for step in range(steps):
        scale = np.array([0.35, 0.25, 0.8, 0.5, 0.5, 0.5]) * rng.choice([0.3, 1.0, 1.6])
        tried = at + scale * rng.normal(size=at.shape)
        there = log_posterior(tried[:, :2], tried[:, 2], tried[:, 3:])
        accepted = np.log(rng.random(chains)) < there - value
        at, value = np.where(accepted[:, None], tried, at), np.where(accepted, there, value)
        if step >= steps // 2:
            u = np.exp(at[:, [2]]) * at[:, 3:]
            kept.append(np.concatenate([at[:, :3], u], axis=1))
    return np.stack(kept, axis=2).transpose(1, 0, 2)


@pytest.mark.parametrize("recentred", [True, False], ids=["recentred", "plain"])
def test_the_posterior_of_a_tiny_model(recentred: bool) -> None:
    """Means, SDs and tails agree with those of a random walk, within Monte Carlo error."""
    design = np.repeat(np.stack([np.ones(N), X], axis=1)[None], CHAINS, axis=0)
    model = mixed_model(design, [(GROUP, [design[..., :1]])], rows=NOTHING, counts=True)
    model.offset = OFFSET
    if recentred:
        model.within = (columns_within(model.design, model.effects[0]),)
        assert model.within == ((0,),)
    counts = np.repeat(COUNTS[None], CHAINS, axis=0)
    node = PoissonNode("y", [model], NOTHING, counts, RateScale())
    streams = Streams.of(1, range(CHAINS))
    kept = []
    for iteration in range(400):
        node.step(streams, 0.0, fixed_only=iteration < 5)
        if iteration >= 100:
            effects = model.effects[0]
            parts = [model.b, 0.5 * np.log(effects.psi[:, 0]), effects.u[:, 0]]
            kept.append(np.concatenate(parts, axis=1))
    ours, walk = np.stack(kept, axis=2).transpose(1, 0, 2), reference(200, 6000, 2)
    for name, a, b in zip(["b0", "b1", "log sd", "u0", "u1", "u2"], ours, walk, strict=True):
        low, high = np.quantile(b, [0.05, 0.95])
        for f in (lambda x: x, np.square, lambda x: x < low, lambda x: x > high):  # noqa: B023
            means = f(a).mean(axis=1), f(b).mean(axis=1)  # of independent chains
            error = np.sqrt(sum(x.var(ddof=1) / len(x) for x in means))
            assert abs(means[0].mean() - means[1].mean()) < 4 * error, name


def test_from_far_away() -> None:
    """A normal proposal would never be accepted here: the mode is 9 away, its SD is 0.001."""
    streams = Streams.of(1, range(CHAINS))
    count, point = 1e6, [np.full(CHAINS, np.log(1e6) - 9.0)]

    def expand(eta: list[Any]) -> Expansion:
        rate = np.exp(eta[0])
        return Expansion(count * eta[0] - rate, [count - rate], [[np.sqrt(rate)]])

    for _ in range(40):
        proposed, accepted = moved(point, expand(point), expand, lambda x: np.abs(x[0]), streams)
        point = [np.where(accepted, proposed[0], point[0])]
    z = (np.exp(point[0]) - count) / np.sqrt(count)
    assert stats.kstest(z, "norm").pvalue > 0.01


def test_what_a_count_tells_at_most() -> None:
    design = np.ones((CHAINS, N, 1))
    model = mixed_model(design, [], counts=True)
    assert isinstance(model, PoissonModel)
    counts, eta = COUNTS[None] * 1e4, np.zeros((1, N)) + 3.0
    for most in (np.inf, 1.0, 64.0):
        model.most = most
        value, score, information = model.derivatives(counts, eta)
        np.testing.assert_allclose(value, model.log_likelihood(counts, eta))
        step = 1e-5
        up, down = (model.log_likelihood(counts, eta + x) for x in (step, -step))
        np.testing.assert_allclose(score, (up - down) / (2 * step), rtol=1e-5)
        slopes = [model.derivatives(counts, eta + x)[1] for x in (step, -step)]
        np.testing.assert_allclose(information, (slopes[1] - slopes[0]) / (2 * step), rtol=1e-5)
        at_mode = model.derivatives(counts, np.log(counts + 1e-9))[2]
        assert (at_mode < most).all()
