"""The joint distribution of parameters and data of small models, simulated in two ways.

Geweke (2004, Getting it right, Journal of the American Statistical Association 99): parameters are
drawn from their prior and data from the model; or the data are drawn anew given the parameters and
the parameters by a step of the sampler given the data, in turn. Both ways have the same
distribution if each step of the sampler is right. Here every chain begins with an exact draw, and
each is a replicate, so that the means of chains are independent.

Nothing here uses the package's own random numbers, linear predictors or priors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from rbridge_mi.sampling.design import Design
from rbridge_mi.sampling.draws import Streams
from rbridge_mi.sampling.mixed_model import MixedModel
from rbridge_mi.sampling.nodes import (
    CategoriesNode,
    ContinuousNode,
    CountNode,
    LogitNode,
    Node,
    OrderedNode,
    PoissonNode,
    ProbitNode,
)
from rbridge_mi.sampling.poisson_model import PoissonModel
from rbridge_mi.sampling.priors import Prior
from rbridge_mi.sampling.random_effects import RandomEffects
from rbridge_mi.sampling.scales import CountScale
from rbridge_mi.sampling.targets import Target

Array = NDArray[Any]

CHAINS = 200
# Tight enough for moments of everything that is compared.
PRIOR = Prior(
    coefficient_sd=0.8,
    intercept_sd=1.2,
    variance_df=8.0,
    variance_scale=0.7,
    covariance_df=5.0,
    sd_scale=0.6,
)


def mixed_model(
    x: Array,
    terms: Sequence[tuple[Array, Sequence[Array]]],
    *,
    rows: Array | None = None,
    free_variance: bool = True,
    counts: bool = False,
) -> MixedModel:
    """Return a model of given designs, all (C, n, p): X, and a group and blocks for each term.

    Chains share the rows that are not in `rows`.
    """
    n = x.shape[1]
    varying = np.arange(n) if rows is None else rows

    def design(matrix: Array) -> Design:
        result = Design(matrix[0], varying, CHAINS)
        result.varying[:] = matrix[:, varying]
        return result

    effects = [
        RandomEffects(
            f"g{k}",
            codes,
            int(codes.max()) + 1,
            design(np.concatenate(blocks, axis=2)),
            [z.shape[2] for z in blocks],
            0 if (blocks[0][..., 0] == 1.0).all() else None,
            PRIOR,
            CHAINS,
        )
        for k, (codes, blocks) in enumerate(terms)
    ]
    return (PoissonModel if counts else MixedModel)(
        design(x),
        effects,
        PRIOR,
        intercept=0,
        free_variance=free_variance and not counts,
        within=[()] * len(effects),
    )


def dense(design: Design) -> Array:
    """Return a design with all its rows, (C, n, p)."""
    full = np.repeat(design.shared[None], CHAINS, axis=0)
    full[:, design.rows] = design.varying
    return full


def eta_of(model: MixedModel) -> Array:
    """Return X b + Z u and the offset."""
    eta = np.einsum("cnp,cp->cn", dense(model.design), model.b)
    if model.offset is not None:
        eta += model.offset
    for effects in model.effects:
        eta += np.einsum("cnq,cqn->cn", dense(effects.design), effects.u[:, :, effects.codes])
    return eta


def covariances(prior: Prior, q: int, size: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw from Huang and Wand's prior (2013, equation 2): auxiliary scales, and matrices."""
    a = prior.sd_scale**-2 / rng.gamma(0.5, size=(size, q))
    df = int(prior.covariance_df) + q - 1
    z = rng.normal(size=(size, df, q)) * np.sqrt(a / (2 * prior.covariance_df))[:, None]
    return a, np.linalg.inv(np.einsum("cdi,cdj->cij", z, z))


def draw_parameters(model: MixedModel, rng: np.random.Generator) -> None:
    """Put draws from the prior into a model."""
    prior = model.prior
    model.b = rng.normal(size=model.b.shape) * prior.coefficient_sd
    model.b[:, 0] *= prior.intercept_sd / prior.coefficient_sd
    if model.free_variance:
        chi2 = rng.chisquare(prior.variance_df, CHAINS)
        model.s2 = prior.variance_df * prior.variance_scale / chi2
    for effects in model.effects:
        effects.psi = np.zeros_like(effects.psi)
        for block in effects.blocks:
            a, psi = covariances(prior, block.stop - block.start, CHAINS, rng)
            effects.spread[:, block] = a
            effects.psi[:, block, block] = psi
        z = rng.normal(size=effects.u.shape)
        effects.u = np.matmul(np.linalg.cholesky(effects.psi), z)


def draw_values(node: Node, rng: np.random.Generator) -> Array:
    """Draw values of all units given a node's parameters, (C, n)."""
    etas = [eta_of(model) for model in node.models]
    eta, shape = etas[0], etas[0].shape
    if isinstance(node, ContinuousNode):
        model = node.models[0]
        variance = model.s2[:, None] / (1.0 if model.weights is None else model.weights)
        return eta + np.sqrt(variance) * rng.normal(size=shape)
    if isinstance(node, PoissonNode):
        return rng.poisson(np.exp(np.minimum(eta, 34.0))).astype(np.float64)
    if isinstance(node, LogitNode):
        return (rng.random(size=shape) < expit(eta)).astype(np.int64)
    if isinstance(node, ProbitNode):
        return (eta + rng.normal(size=shape) > 0).astype(np.int64)
    if isinstance(node, OrderedNode):
        latent = eta + rng.normal(size=shape)
        codes = (latent > 0).astype(np.int64)
        for limit in np.cumsum(np.exp(node.log_steps), axis=1).T:
            codes += latent > limit[:, None]
        return codes
    assert isinstance(node, CategoriesNode)
    codes = np.full(shape, len(etas))
    for j in reversed(range(len(etas))):
        codes[etas[j] + rng.normal(size=shape) > 0] = j
    return codes


@dataclass
class Joint:
    """Some nodes, each after those that it is regressed on.

    Parameters
    ----------
    nodes : sequence of Node
    targets : sequence of Target
    fill : callable
        Puts the nodes' values into all designs.
    more : callable, optional
        Returns further quantities to compare.
    """

    nodes: Sequence[Node]
    targets: Sequence[Target] = ()
    fill: Callable[[], None] = lambda: None
    more: Callable[[], dict[str, Array]] = dict

    def start(self, rng: np.random.Generator) -> None:
        """Draw everything from the prior and the model."""
        for node in self.nodes:
            for model in node.models:
                draw_parameters(model, rng)
            if isinstance(node, OrderedNode):
                node.log_steps = rng.normal(size=node.log_steps.shape) * node.STEP_SD
        self.draw_data(rng, everything=True)

    def draw_data(self, rng: np.random.Generator, *, everything: bool = False) -> None:
        """Draw what is observed, given the parameters and what is not."""
        for i, node in enumerate(self.nodes):
            values = draw_values(node, rng)
            if not everything:
                values[:, node.missing] = node.values[:, node.missing]
            if isinstance(node, CountNode):
                assert isinstance(node.scale, CountScale)
                counts = np.floor(np.exp(values * node.scale.spread + node.scale.centre))
                other = CountNode(node.name, node.models, node.missing, values, node.scale, counts)
                vars(node).update(vars(other))
            elif isinstance(node, ContinuousNode | PoissonNode):
                node.models[0].y = values
            else:
                node.values = values
            if isinstance(node, CategoriesNode):
                for j, model in enumerate(node.models):
                    weights = (node.values >= j) * 1.0
                    if not everything and model.weights is not None:
                        weights[:, node.missing] = model.weights[:, node.missing]
                    model.weights = weights
            self.fill()
            for later in self.nodes[i:]:
                for model in later.models:
                    model.eta = eta_of(model)

    def step(self, streams: Streams) -> None:
        """Make a step of the sampler."""
        for node in self.nodes:
            node.step(streams, 0.0)
        for target in self.targets:
            target.draw(streams, 0.0)

    def quantities(self) -> dict[str, Array]:
        """Return what is compared, each (C,)."""
        values: dict[str, Array] = {}
        for node in self.nodes:
            for j, model in enumerate(node.models):
                values |= {f"{node.name}{j} {k}": v for k, v in parameters(model).items()}
            if isinstance(node, OrderedNode):
                values |= {f"{node.name} step{k}": v for k, v in enumerate(node.log_steps.T)}
        for target in self.targets:
            node = target.node
            x = np.asarray(node.values[:, node.missing], np.float64)
            if isinstance(node, PoissonNode):
                x = np.log(x + 0.5)  # which has moments
            if isinstance(node, CategoriesNode):
                values |= {f"{node.name} is {k}": (x == k).mean(1) for k in range(1, node.codes)}
            else:
                values[f"{node.name} mean"] = x.mean(axis=1)
                values[f"{node.name} sd"] = np.log(x.std(axis=1) + 0.01)
        return values | self.more()


def parameters(model: MixedModel) -> dict[str, Array]:
    """Return functions of a model's parameters that have moments."""
    values = {f"b{j}": b for j, b in enumerate(model.b.T)}
    if model.free_variance:
        values["log s2"] = np.log(model.s2)
    for effects in model.effects:
        of = effects.name
        sd = np.sqrt(np.einsum("cii->ci", effects.psi))
        for i in range(sd.shape[1]):
            values[f"{of} log sd{i}"] = np.log(sd[:, i])
            values[f"{of} u{i}"] = (effects.u[:, i] / sd[:, [i]]).mean(axis=1)
            values[f"{of} u{i}^2"] = ((effects.u[:, i] / sd[:, [i]]) ** 2).mean(axis=1)
        for block in effects.blocks:
            for i, j in combinations(range(block.start, block.stop), 2):
                values[f"{of} cor{i}{j}"] = effects.psi[:, i, j] / (sd[:, i] * sd[:, j])
    return values


def z_scores(joint: Joint, seed: int, rounds: int = 40, starts: int = 60) -> dict[str, float]:
    """Compare means, squares and products of all quantities under both ways of simulation.

    Returns
    -------
    dict
        z of each, over the chains.
    """
    rng = np.random.default_rng(seed)
    streams = Streams.of(seed, range(CHAINS))

    def snapshot() -> Array:
        return np.stack(list(joint.quantities().values()))

    expected = []
    for _ in range(starts):
        joint.start(rng)
        expected.append(snapshot())
    names = list(joint.quantities())
    direct = np.concatenate(expected, axis=1)
    centre, spread = direct.mean(axis=1)[:, None], direct.std(axis=1)[:, None]

    def moments(values: Array) -> Array:
        standard = (values - centre) / spread
        products = [standard[i] * standard[j] for i, j in combinations(range(len(names)), 2)]
        return np.concatenate([standard, standard**2, products])

    labels = [*names, *(f"{x} squared" for x in names)]
    labels += [f"{x} times {y}" for x, y in combinations(names, 2)]
    reference = moments(direct)
    joint.start(rng)
    total = np.zeros((len(labels), CHAINS))
    for _ in range(rounds):
        joint.draw_data(rng)
        joint.step(streams)
        total += moments(snapshot())
    means = total / rounds
    variance = means.var(axis=1, ddof=1) / CHAINS + reference.var(axis=1) / reference.shape[1]
    z = (means.mean(axis=1) - reference.mean(axis=1)) / np.sqrt(variance)
    return dict(zip(labels, z, strict=True))


def worst(scores: dict[str, float], limit: float = 4.5) -> dict[str, float]:
    """Return the z scores that are too large to be chance."""
    return {name: round(z, 1) for name, z in scores.items() if not abs(z) < limit}
