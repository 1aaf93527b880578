"""Each step of the sampler leaves the joint distribution of parameters and data as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy import stats

from rbridge_mi.sampling.draws import Streams
from rbridge_mi.sampling.latent_moves import move_groups, scale_all
from rbridge_mi.sampling.mixed_model import MixedModel, columns_within
from rbridge_mi.sampling.nodes import ContinuousNode, PoissonNode, ProbitNode
from rbridge_mi.sampling.poisson_model import PoissonModel, Sums
from rbridge_mi.sampling.scales import RateScale, Scale

from . import joint
from .joint import CHAINS, PRIOR, Joint, covariances, mixed_model, worst, z_scores
from .scenes import NOTHING, G, N, Scene, models_of, node_of

SCHOOL = G // 3
CROSSED = np.arange(N) * 7 % 6
KINDS = [
    "continuous", "count", "poisson", "probit", "logit", "ordered", "two ordered", "categories",
]  # fmt: skip


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
    model = mixed_model(
        x, [(g, [x[..., z] for z in blocks]) for g, blocks in TERMS[terms]], rows=rows
    )
    if recentred:
        model.within = tuple(columns_within(model.design, e) for e in model.effects)
        assert any(model.within)
    check_mixed_model(model)


@pytest.mark.parametrize("terms", ["intercept", "slope", "nested"])
def test_a_mixed_model_with_weights(terms: str) -> None:
    rng = np.random.default_rng(9)
    x, rows = columns(rng, some=True)
    model = mixed_model(
        x, [(g, [x[..., z] for z in blocks]) for g, blocks in TERMS[terms]], rows=rows
    )
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


class RescalingAlone(ContinuousNode):
    """A response given which only standard deviations are drawn."""

    def step(self, streams: Streams, gain: float, *, fixed_only: bool = False) -> None:
        """Draw standard deviations with u / sd held fixed."""
        model = self.models[0]
        for effects in model.effects:
            e = model.y - joint.eta_of(model) + effects.times(effects.u)
            effects.rescale(effects.cross(e), effects.gram(), model.s2, streams)


@pytest.mark.parametrize("terms", ["intercept", "slope", "independent"])
def test_standard_deviations_alone(terms: str) -> None:
    """The other steps would hide a small fault of this one."""
    x, rows = columns(np.random.default_rng(3), some=True)
    blocks = [(g, [x[..., z] for z in blocks]) for g, blocks in TERMS[terms]]
    model = mixed_model(x, blocks, rows=rows)
    node = RescalingAlone("y", [model], NOTHING, model.y, Scale())
    assert worst(z_scores(Joint([node]), seed=1, rounds=400, starts=300)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("terms", ["slope", "slope alone", "crossed"])
@pytest.mark.parametrize("kind", ["poisson", "probit", "logit", "ordered", "categories"])
def test_a_node_with_other_effects(kind: str, terms: str) -> None:
    """All rows differ between chains, so that no column is 1 in the rows that they share."""
    x, _ = columns(np.random.default_rng(3), some=True)
    models = models_of(kind, x, [(g, [x[..., z] for z in blocks]) for g, blocks in TERMS[terms]])
    assert worst(z_scores(Joint([node_of("y", kind, models)]), seed=2, rounds=30)) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_given_its_values(kind: str) -> None:
    x, rows = columns(np.random.default_rng(3), some=True)
    models = models_of(kind, x, [(G, [x[..., :1]])], rows)
    for model in models:
        model.within = tuple(columns_within(model.design, e) for e in model.effects)
    assert worst(z_scores(Joint([node_of("y", kind, models)]), seed=2, rounds=100)) == {}


class OneStep(PoissonNode):
    """A response of counts given which one thing is drawn."""

    what = ""

    def step(self, streams: Streams, gain: float, *, fixed_only: bool = False) -> None:
        """Draw the effects, or their standard deviations."""
        model = self.models[0]
        assert isinstance(model, PoissonModel)
        for effects in model.effects:
            here = Sums.of(model, joint.eta_of(model), effects)
            if self.what == "effects":
                model.draw_effects(effects, here, streams)
            for i in range(effects.design.p if self.what == "sds" else 0):
                here = model.rescale(effects, i, here, streams)
        if self.what == "coefficients":
            model.draw_coefficients(joint.eta_of(model), streams)


@pytest.mark.parametrize("what", ["effects", "sds", "coefficients"])
@pytest.mark.parametrize("terms", ["intercept", "slope", "independent"])
def test_one_step_of_counts_alone(terms: str, what: str) -> None:
    """As above; an offset is in the linear predictor."""
    x, rows = columns(np.random.default_rng(3), some=True)
    blocks = [(g, [x[..., z] for z in blocks]) for g, blocks in TERMS[terms]]
    model = mixed_model(x, blocks, rows=rows, counts=True)
    model.offset = np.random.default_rng(4).normal(size=N)
    node = OneStep("y", [model], NOTHING, model.y, RateScale())
    node.what = what
    assert worst(z_scores(Joint([node]), seed=1, rounds=300, starts=200)) == {}


class LatentMove(ProbitNode):
    """A binary response of which only latent normals are drawn, and then one move is made."""

    move = ""

    def step(self, streams: Streams, gain: float, *, fixed_only: bool = False) -> None:
        """Move latent normals together with parameters."""
        model = self.models[0]
        model.eta = joint.eta_of(model)
        self.refresh(streams)
        for effects in model.effects if self.move == "groups" else ():
            move_groups(model, effects, *self.intervals(0), streams)
        if self.move == "scale":
            scale_all(model, streams)


@pytest.mark.parametrize("move", ["groups", "scale"])
@pytest.mark.parametrize("terms", ["intercept", "slope", "independent", "nested"])
def test_one_move_of_latent_normals_alone(terms: str, move: str) -> None:
    """The other steps would hide a small fault of these too."""
    x, rows = columns(np.random.default_rng(3), some=True)
    blocks = [(g, [x[..., z] for z in blocks]) for g, blocks in TERMS[terms]]
    model = mixed_model(x, blocks, rows=rows, free_variance=False)
    node = LatentMove("y", [model], NOTHING, np.zeros((CHAINS, N), np.int64), (-1.0, 2.0), 0.4, 0.5)
    node.move = move
    assert worst(z_scores(Joint([node]), seed=1, rounds=400, starts=400)) == {}


SCENES = {
    "normal": partial(Scene, "continuous"),
    "normal, weights": partial(Scene, "continuous", weights=True),
    "normal, by a walk": partial(Scene, "continuous", walk=True),
    "normal of groups": partial(Scene, "continuous", group=True, auxiliary="continuous"),
    "normal, probit response": partial(Scene, "continuous", y="probit", auxiliary="continuous"),
    "normal, logit response": partial(Scene, "continuous", y="logit"),
    "normal, counts as response": partial(Scene, "continuous", y="poisson", auxiliary="continuous"),
    "normal, binary after it": partial(Scene, "continuous", auxiliary="probit"),
    "normal, categories after it": partial(Scene, "continuous", auxiliary="categories"),
    "normal, ordered after it": partial(Scene, "continuous", auxiliary="ordered", extra="mean"),
    "categories, categories after it": partial(Scene, "categories", auxiliary="categories"),
    "binary of groups, count after it": partial(Scene, "probit", group=True, auxiliary="count"),
    "normal, holes in y": partial(
        Scene, "continuous", auxiliary="continuous", holes_in_y=True, weights=True
    ),
    "square": partial(Scene, "continuous", extra="square", auxiliary="continuous"),
    "square, groups": partial(Scene, "continuous", extra="square", group=True, weights=True),
    "square, logit response": partial(Scene, "continuous", y="logit", extra="square"),
    "group mean": partial(Scene, "continuous", extra="mean", auxiliary="continuous"),
    "group mean and square": partial(Scene, "continuous", extra="both", weights=True),
    "binary": partial(Scene, "probit", auxiliary="continuous"),
    "binary of groups": partial(Scene, "probit", group=True, y="logit"),
    "binary, group mean": partial(Scene, "probit", extra="mean", weights=True),
    "binary, holes in y": partial(
        Scene, "probit", y="probit", auxiliary="continuous", holes_in_y=True
    ),
    "logit, holes in y": partial(
        Scene, "probit", y="logit", auxiliary="continuous", holes_in_y=True
    ),
    "square of groups, counts as response": partial(
        Scene, "continuous", y="poisson", extra="square", group=True
    ),
    "group mean, holes in counts": partial(
        Scene, "continuous", y="poisson", extra="mean", auxiliary="continuous", holes_in_y=True
    ),
    "categories, counts as response": partial(Scene, "categories", y="poisson"),
    "ordered": partial(Scene, "ordered", auxiliary="continuous"),
    "categories": partial(Scene, "categories", auxiliary="continuous", weights=True),
    "categories of groups": partial(Scene, "categories", group=True, auxiliary="continuous"),
    "count": partial(Scene, "count", auxiliary="continuous"),
    "count of groups": partial(Scene, "count", group=True, weights=True),
}


@pytest.mark.slow
@pytest.mark.parametrize("make", SCENES.values(), ids=SCENES)
def test_imputed_values_given_all_else(make: Callable[[], Scene]) -> None:
    scene = make()
    everything = Joint(scene.nodes, scene.targets, scene.fill, scene.residuals)
    assert worst(z_scores(everything, seed=3)) == {}
    for node in scene.nodes:
        for model in node.models:
            np.testing.assert_allclose(model.eta, joint.eta_of(model), atol=1e-8)
    before = scene.analysis.model.design.varying.copy()
    scene.fill()
    np.testing.assert_allclose(scene.analysis.model.design.varying, before, atol=1e-8)


def test_standard_deviations_are_half_t_and_correlations_uniform() -> None:
    prior = replace(PRIOR, covariance_df=2.0)
    _, psi = covariances(prior, 2, 20_000, np.random.default_rng(6))
    sd = np.sqrt(psi[:, [0, 1], [0, 1]])
    half_t = stats.kstest(sd[:, 0] / prior.sd_scale, lambda x: 2 * stats.t.cdf(x, 2) - 1)
    uniform = stats.kstest(psi[:, 0, 1] / sd.prod(axis=1), stats.uniform(-1, 2).cdf)
    assert min(half_t.pvalue, uniform.pvalue) > 0.01


@pytest.mark.parametrize("walk", [False, True], ids=["exact", "walk"])
def test_values_within_bounds(walk: bool) -> None:
    """Given all else, a value is normal between its bounds; its distribution function is known."""
    scene = Scene("continuous", weights=True, walk=walk)
    scale = Scale(lower=-0.4, upper=0.9)
    assert isinstance(scene.node, ContinuousNode)
    scene.node.scale = scale
    rng = np.random.default_rng(7)
    Joint(scene.nodes, scene.targets, scene.fill).start(rng)
    holes, model, child = scene.node.missing, scene.node.models[0], scene.analysis.model
    x = scene.node.values
    x[:, holes] = rng.uniform(-0.4, 0.9, size=(CHAINS, len(holes)))
    etas = []
    for step in (1.0, 0.0):
        x[:, holes] += step
        scene.fill()
        etas.append(joint.eta_of(child))
        x[:, holes] -= step
    child.eta = etas[1]
    slope, e = etas[0] - etas[1], child.y - etas[1]
    assert child.weights is not None
    weight = child.weights / child.s2[:, None]
    precision = (1 / model.s2[:, None] + weight * slope**2)[:, holes]
    linear = ((model.eta - x) / model.s2[:, None] + weight * slope * e)[:, holes]
    mean, sd = x[:, holes] + linear / precision, precision**-0.5
    streams = Streams.of(7, range(CHAINS))
    for _ in range(60 if walk else 1):
        scene.targets[0].draw(streams, 0.0)
    low, high = (stats.norm.cdf((limit - mean) / sd) for limit in (scale.lower, scale.upper))
    usual = high - low > 1e-3
    p = (stats.norm.cdf((x[:, holes] - mean) / sd) - low)[usual] / (high - low)[usual]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert (np.abs(x[:, holes] - 0.25) <= 0.65).all()
