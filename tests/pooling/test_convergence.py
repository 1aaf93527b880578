"""R-hat and bulk effective size: arviz' numbers, known cases, and what has no answer.

convergence_arviz.json was made by arviz-stats 0.8.0 (numpy 2.4.6): for each parameter of `CASES`,
``array_stats.rhat(x, method="rank")`` and ``array_stats.ess(x, method="bulk")``.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from rbridge_mi.errors import ArgumentError
from rbridge_mi.pooling.convergence import chain_convergence
from tests.pooling.chains import CASES, Floats, autoregressive

ARVIZ: dict[str, Any] = json.loads(
    (Path(__file__).parent / "convergence_arviz.json").read_text("utf-8")
)


@pytest.mark.parametrize("name", CASES)
def test_arviz_says_the_same(name: str) -> None:
    result = chain_convergence(CASES[name])
    if ARVIZ[name]["rhat"] is not None:
        np.testing.assert_allclose(result.rhat, ARVIZ[name]["rhat"], rtol=1e-10)
    np.testing.assert_allclose(result.ess_bulk, ARVIZ[name]["ess_bulk"], rtol=1e-8)


def plain_rhat(draws: Floats) -> float:
    """R-hat of one parameter, (chains, iterations), written down as the article has it."""

    def of(values: Floats) -> float:
        scores = special.ndtri(
            (stats.rankdata(values).reshape(values.shape) - 3 / 8) / (values.size + 1 / 4)
        )
        n = values.shape[1]
        w = np.mean([np.var(x, ddof=1) for x in scores])
        b = n * np.var([np.mean(x) for x in scores], ddof=1)
        return float(np.sqrt(((n - 1) / n * w + b / n) / w))

    half = draws.shape[1] // 2
    halves = np.vstack([draws[:, :half], draws[:, -half:]])
    return max(of(halves), of(np.abs(halves - np.median(halves))))


@pytest.mark.parametrize("name", CASES)
def test_rhat_is_that_of_the_formulas(name: str) -> None:
    """One chain too, which is split in two; arviz has no R-hat for it."""
    draws = CASES[name]
    expected = [plain_rhat(draws[:, :, i]) for i in range(draws.shape[2])]
    np.testing.assert_allclose(chain_convergence(draws).rhat, expected, rtol=1e-12)


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_the_size_is_that_of_an_autoregression(phi: float) -> None:
    draws = autoregressive([phi], 20, 20000, 11)
    result = chain_convergence(draws)
    assert result.ess_bulk[0] == pytest.approx(400_000 * (1 - phi) / (1 + phi), rel=0.1)
    assert 0.999 < result.rhat[0] < 1.01


def test_antithetic_chains_are_worth_more_than_their_draws_up_to_a_limit() -> None:
    draws = autoregressive([-0.5, -0.999], 4, 1000, 12)
    size = chain_convergence(draws).ess_bulk
    assert size[0] > 2 * 4000
    assert size[1] == pytest.approx(4000 * np.log10(4000))


def test_stuck_chains_are_noticed() -> None:
    """Chains that are elsewhere, that spread otherwise, that stand still."""
    assert (chain_convergence(CASES["stuck"]).rhat > 1.2).all()
    still = np.repeat(np.arange(4.0)[:, None, None], 50, axis=1)
    result = chain_convergence(still)
    assert result.rhat[0] == np.inf
    assert result.ess_bulk[0] < 5


def test_only_ranks_count() -> None:
    draws = CASES["autoregressive"]
    before, after = chain_convergence(draws), chain_convergence(np.exp(draws))
    np.testing.assert_allclose(after.ess_bulk, before.ess_bulk, rtol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_constant_or_not_finite_has_no_answer(value: float) -> None:
    draws = autoregressive([0.0, 0.0, 0.0], 4, 50, 13)
    alone = chain_convergence(draws[:, :, :1])
    draws[:, :, 1] = 2.5
    draws[2, 7, 2] = value
    result = chain_convergence(draws)
    assert np.isnan([result.rhat[1:], result.ess_bulk[1:]]).all()
    assert (result.rhat[0], result.ess_bulk[0]) == (alone.rhat[0], alone.ess_bulk[0])


def test_two_values_whose_distances_from_the_median_are_equal() -> None:
    """Half of the signs are 1, so that the median is 0: the folded values are constant."""
    signs = np.repeat([1.0, -1.0], 100)
    np.random.default_rng(14).shuffle(signs)
    result = chain_convergence(signs.reshape(4, 50, 1))
    assert 0.95 < result.rhat[0] < 1.1


@pytest.mark.parametrize("shape", [(4, 50), (4, 9, 1), (0, 50, 1)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match="at least 10 iterations"):
        chain_convergence(np.zeros(shape))


def test_no_parameters() -> None:
    assert chain_convergence(np.zeros((4, 20, 0))).rhat.shape == (0,)


def test_it_is_quick() -> None:
    """A hundred parameters of twenty chains of 500; the limit is for a busy machine."""
    draws = np.random.default_rng(1).normal(size=(20, 500, 100))
    start = time.perf_counter()
    chain_convergence(draws)
    assert time.perf_counter() - start < 3
