"""Each step of the sampler leaves the joint distribution of parameters and data as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from rbridge_mi.sampling.mixed_model import MixedModel, columns_within
from rbridge_mi.sampling.nodes import ContinuousNode
from rbridge_mi.sampling.scales import Scale

from . import joint
from .joint import CHAINS, PRIOR, Joint, covariances, mixed_model, worst, z_scores

SIZES = [1, 2, 3, 4, 6, 7, 8, 9]
G = np.repeat(np.arange(8), SIZES)
N = len(G)
SCHOOL = G // 3
CROSSED = np.arange(N) * 7 % 6
NOTHING = np.zeros(0, np.int64)


def columns(rng: np.random.Generator, some: bool) -> tuple[Any, Any]:
    """1, a covariate, and a column that is constant in each group; and the rows that differ."""
    rows = np.flatnonzero(rng.random(N) < 0.3) if some else NOTHING
    x = np.repeat(rng.normal(size=(1, N)), CHAINS, axis=0)
    x[:, rows] = rng.normal(size=(CHAINS, len(rows)))
    group = np.broadcast_to(rng.normal(size=8)[G], x.shape)
    return np.stack([np.ones_like(x), x, group], axis=2), rows


TERMS = {
    "intercept": [(G, [[0]])],
    "slope": [(G, [[0, 1]])],
    "slope alone": [(G, [[1]])],
    "independent": [(G, [[0], [1]])],
    "three": [(G, [[0, 1], [2]])],
    "crossed": [(G, [[0]]), (CROSSED, [[0]])],
    "nested": [(G, [[0, 1]]), (SCHOOL, [[0]])],
}


@pytest.mark.parametrize("recentred", [True, False], ids=["recentred", "plain"])
@pytest.mark.parametrize("terms", TERMS)
def test_a_mixed_model_given_its_response(terms: str, recentred: bool) -> None:
    rng = np.random.default_rng(list(TERMS).index(terms))
    x, rows = columns(rng, some=True)
    model = mixed_model(x, [(g, [x[..., z] for z in blocks]) for g, blocks in TERMS[terms]], rows=rows)
    if recentred:
        model.within = tuple(columns_within(model.design, e) for e in model.effects)
        assert any(model.within)
    check_mixed_model(model)


@pytest.mark.parametrize("terms", ["intercept", "slope", "nested"])
def test_a_mixed_model_with_weights(terms: str) -> None:
    rng = np.random.default_rng(9)
    x, rows = columns(rng, some=True)
    model = mixed_model(x, [(g, [x[..., z] for z in blocks]) for g, blocks in TERMS[terms]], rows=rows)
    model.within = tuple(columns_within(model.design, e) for e in model.effects)
    model.weights = rng.uniform(0.2, 3.0, size=(CHAINS, N))
    check_mixed_model(model)


@pytest.mark.parametrize("free", [True, False])
def test_a_mixed_model_whose_chains_share_all_rows(free: bool) -> None:
    x, rows = columns(np.random.default_rng(8), some=False)
    model = mixed_model(x, [(G, [x[..., :2]])], rows=rows, free_variance=free)
    model.within = tuple(columns_within(model.design, e) for e in model.effects)
    check_mixed_model(model)


def check_mixed_model(model: MixedModel) -> None:
    node = ContinuousNode("y", [model], NOTHING, model.y, Scale())
    assert worst(z_scores(Joint([node]), seed=1)) == {}
    np.testing.assert_allclose(model.eta, joint.eta_of(model), atol=1e-9)
