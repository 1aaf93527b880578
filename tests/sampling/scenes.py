"""Nodes of all kinds, and a small model of three variables, one of which has holes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, ndtr

from rbridge_mi.sampling.chains import ranks
from rbridge_mi.sampling.children import (
    Analysis,
    AnalysisChild,
    Block,
    Child,
    GroupMean,
    RegressionChild,
)
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
from rbridge_mi.sampling.scales import CountScale, RateScale, Scale
from rbridge_mi.sampling.targets import Batch, Target

from .joint import CHAINS, mixed_model

SIZES = [1, 2, 3, 4, 6, 7, 8, 9]
G = np.repeat(np.arange(8), SIZES)
N = len(G)
NOTHING = np.zeros(0, np.int64)


def node_of(name: str, kind: str, models: list[MixedModel], missing: Any = NOTHING) -> Node:
    """A node; what its values are doesn't matter yet."""
    shape = models[0].y.shape
    codes = np.zeros(shape, np.int64)
    if kind == "continuous":
        return ContinuousNode(name, models, missing, models[0].y, Scale())
    if kind == "count":
        scale = CountScale(centre=0.4, spread=0.8)
        return CountNode(name, models, missing, models[0].y, scale, np.zeros(shape))
    if kind == "poisson":
        rates = RateScale(centre=5.0, log_mean=0.4, log_sd=0.8)
        return PoissonNode(name, models, missing, models[0].y, rates)
    if kind in ("ordered", "two ordered"):
        ordered = OrderedNode(name, models, missing, codes, range(4 if kind == "ordered" else 2))
        ordered.proposal[:] = 0.5
        return ordered
    if kind == "categories":
        return CategoriesNode(name, models, missing, codes, (0.0, 1.0, 2.0))
    cls = LogitNode if kind == "logit" else ProbitNode
    return cls(name, models, missing, codes, (-1.0, 2.0), 0.4, 0.5)


def models_of(kind: str, x: Any, terms: Any, rows: Any = None) -> list[MixedModel]:
    """The models that a node of a kind has; they share a design."""
    free = kind in ("continuous", "count")
    models = [
        mixed_model(x, terms, rows=rows, free_variance=free, counts=kind == "poisson")
        for _ in range(2 if kind == "categories" else 1)
    ]
    for model in models:
        model.design = models[0].design
    return models


def scores(node: Node) -> dict[str, Any]:
    """Differences of imputed codes from their probabilities, times linear predictors."""
    values = {}
    codes = node.values[:, node.missing]
    for j, model in enumerate(node.models if node.missing.size else ()):
        eta = model.eta[:, node.missing]
        p = expit(eta) if isinstance(node, LogitNode) else ndtr(eta)
        categories = isinstance(node, CategoriesNode)
        is_it = codes == j if categories else codes > 0
        score = np.where(codes >= j, (is_it - p) * eta, 0.0)
        values[f"{node.name}{j} score"] = score.mean(axis=1)
    return values


@dataclass(frozen=True)
class Columns:
    """A part of a design: a function of columns."""

    columns: frozenset[str]
    function: Callable[[Mapping[str, Any]], list[Any]]

    def matrix(self, values: Mapping[str, Any]) -> Any:
        """See `rbridge_mi.sampling.children.Columns`."""
        return np.stack(np.broadcast_arrays(*self.function(values)), axis=-1).astype(np.float64)


@dataclass
class Scene:
    """A variable x with holes, a response y with x in its design, and one regressed on both.

    Parameters
    ----------
    x, y : str
        Their kinds.
    group : bool
        Whether x is a variable of the groups G.
    extra : {"", "square", "mean", "both"}
        What is in the analysis model beside x: its square, or its group's mean.
    weights, holes_in_y : bool
    auxiliary : str
        The kind of a third variable, regressed on x and y; "" for none.
    walk : bool
        Whether a normal x is drawn by Metropolis steps all the same.
    """

    x: str
    y: str = "continuous"
    group: bool = False
    extra: str = ""
    weights: bool = False
    auxiliary: str = ""
    holes_in_y: bool = False
    walk: bool = False

    def __post_init__(self) -> None:
        rng = np.random.default_rng(4)
        self.owner = G if self.group else np.arange(N)
        units = self.owner.max() + 1
        self.complete = rng.normal(size=N)
        ones = np.ones((CHAINS, units))
        own = np.stack([ones, ones * rng.normal(size=units)], axis=2)
        of_unit = np.arange(units) // 3 if self.group else G
        holes = np.sort(rng.permutation(units)[: units // 2])
        models = models_of(self.x, own, [(of_unit, [own[..., :1]])])
        self.node = node_of("x", self.x, models, holes)
        self.response, self.analysis = self.make_analysis(holes)
        self.nodes = [self.node, self.response]
        children = [self.child(at) for at in self.positions(holes)]
        targets = [self.response] if self.holes_in_y else []
        self.regressions: list[MixedModel] = []
        if self.auxiliary:
            width = 1 + len(self.predictors()) + 1
            design = np.ones((CHAINS, N, width))
            self.regressions = models_of(self.auxiliary, design, [(G, [design[..., :1]])])
            self.nodes.append(node_of("a", self.auxiliary, self.regressions))
            for at, of_batch in zip(self.positions(holes), children, strict=True):
                of_batch.append(self.regression_child(self.node, holes[at], range(1, width - 1)))
        batches = [Batch(at, c) for at, c in zip(self.positions(holes), children, strict=True)]
        normal = self.y != "poisson"
        linear = self.extra in ("", "mean") and normal and not self.walk
        self.targets = [Target(self.node, batches, linear=linear)]
        if targets:
            missing = self.response.missing
            child = self.regression_child(self.response, missing, [width - 1])
            batch = Batch(np.arange(len(missing)), [child])
            self.targets.append(Target(self.response, [batch], linear=normal))

    def positions(self, holes: Any) -> list[Any]:
        """The batches of holes."""
        if self.extra not in ("mean", "both"):
            return [np.arange(len(holes))]
        rank = ranks(G[holes])
        return [np.flatnonzero(rank == r) for r in range(rank.max() + 1)]

    def make_analysis(self, holes: Any) -> tuple[Node, Analysis]:
        """The analysis model's node and design."""
        functions: dict[str, Callable[[Any], list[Any]]] = {
            "count": lambda x: [np.log1p(x)],
            "ordered": lambda x: [x == 1, x == 2, x == 3],
            "categories": lambda x: [x == 1, x == 2],
        }
        function = functions.get(self.x, lambda x: [x])
        parts = [
            Columns(frozenset({"x"}), lambda v: [1.0 + 0.0 * v["x"], *function(v["x"])]),
            Columns(frozenset({"x", "w"}), lambda v: [v["w"] * function(v["x"])[0]]),
        ]
        if self.extra in ("square", "both"):
            parts.append(Columns(frozenset({"x"}), lambda v: [0.3 * v["x"] ** 2]))
        if self.extra in ("mean", "both"):
            parts.append(Columns(frozenset({"x", "m"}), lambda v: [v["m"], v["m"] * v["x"]]))
            if self.extra == "mean":
                parts[-1] = Columns(frozenset({"m"}), lambda v: [v["m"]])
        random = Columns(frozenset({"x"}), lambda v: [1.0 + 0.0 * v["x"], function(v["x"])[0]])
        blank = {name: np.zeros((CHAINS, N)) for name in ("x", "m")}
        blank["w"] = self.complete[None]
        blocks: list[Block] = []
        start = 0
        for part in parts:
            p = part.matrix(blank).shape[2]
            centre, spread = np.full(p, 0.2), np.full(p, 1.5)
            if not blocks:
                centre[0], spread[0] = 0.0, 1.0
            blocks.append(Block(part, start, centre, spread))
            start += p
        blocks.append(Block(random, 0, np.array([0.0, -0.3]), np.array([1.0, 0.7]), 0))
        x = np.zeros((CHAINS, N, start))
        z = np.stack([np.ones((CHAINS, N)), np.zeros((CHAINS, N))], axis=2)
        models = models_of(self.y, x, [(G, [z])])
        if self.weights:
            models[0].weights = np.random.default_rng(5).uniform(0.3, 2.0, size=(CHAINS, N))
        means = [GroupMean("m", "x", G, np.array(SIZES))] if self.extra in ("mean", "both") else []
        node = node_of("y", self.y, models, holes[::2] if self.holes_in_y else NOTHING)
        analysis = Analysis(models[0], blocks, means)
        analysis.fill(blank)
        return node, analysis

    def child(self, at: Any) -> list[Child]:
        """The analysis model, as some of the holes touch it."""
        units = self.node.missing[at]
        itself = None
        owner = None
        rows = units
        if self.analysis.means:
            position = np.full(8, -1)
            position[G[units]] = np.arange(len(units))
            rows = np.flatnonzero(position[G] >= 0)
            owner, itself = position[G[rows]], np.searchsorted(rows, units)
        elif self.group:
            rows = np.flatnonzero(np.isin(G, units))
            owner = np.searchsorted(units, G[rows])
        return [AnalysisChild(self.analysis, rows, owner, len(units), self.node, itself)]

    def regression_child(self, node: Node, units: Any, at: Sequence[int]) -> Child:
        """The regression of the third variable, as some units of a node touch it."""
        rows, owner = units, None
        if self.group and node is self.node:
            rows = np.flatnonzero(np.isin(G, units))
            owner = np.searchsorted(units, G[rows])
        return RegressionChild(self.regressions, rows, owner, len(units), node, at)

    def raw(self) -> Any:
        """x as the analysis model sees it, in all rows."""
        x = self.node.values[:, self.owner]
        if self.x == "count":
            return np.floor(np.exp(x * 0.8 + 0.4))
        return np.array([-1.0, 2.0])[x] if self.x in ("probit", "logit") else x

    def predictors(self) -> list[Any]:
        """The columns that x has in a regression."""
        x = self.node.values[:, self.owner]
        if self.x == "count":
            return [(np.log(self.raw() + 0.5) - 0.4) / 0.8]
        if self.x in ("probit", "logit"):
            return [(x - 0.4) / 0.5]
        if self.node.codes:
            return [(x == k).astype(float) for k in range(1, self.node.codes)]
        return [x]

    def fill(self) -> None:
        """Put the values of x and y into the designs."""
        raw = np.asarray(self.raw(), np.float64)
        mean = np.stack([raw[:, g == G].mean(axis=1) for g in range(8)], axis=1)[:, G]
        self.analysis.values["x"] = raw
        self.analysis.values["m"] = mean
        values = {"x": raw, "m": mean, "w": self.complete[None]}
        for block in self.analysis.blocks:
            design = self.analysis.model.design
            if block.effects is not None:
                design = self.analysis.model.effects[0].design
            matrix = (block.part.matrix(values) - block.centre) / block.spread
            design.varying[..., block.start : block.stop] = matrix
        if self.regressions:
            y = self.response.values
            last = (y - 0.4) / 0.5 if self.response.codes else y
            if self.y == "poisson":
                last = (np.log(y + 0.5) - 0.4) / 0.8
            self.regressions[0].design.varying[:] = np.stack(
                [np.ones((CHAINS, N)), *self.predictors(), last], axis=2
            )

    def residuals(self) -> dict[str, Any]:
        """Squared residuals, and products of y's with x."""
        values: dict[str, Any] = {}
        x = np.asarray(self.raw(), np.float64)
        for node in self.nodes:
            model = node.models[0]
            if isinstance(node, PoissonNode):
                rate = np.exp(model.eta)
                scaled = (node.values - rate) / np.sqrt(1.0 + rate)
                if node.missing.size:
                    values["y residual"] = scaled[:, node.missing].mean(axis=1)
                values["y with x"] = (scaled * np.tanh(x)).mean(axis=1)
                continue
            if not isinstance(node, ContinuousNode):
                values |= scores(node)
                continue
            scaled = (node.values - model.eta) / np.sqrt(model.s2)[:, None]
            if model.weights is not None:
                scaled *= np.sqrt(model.weights)
            units = node.missing if node.missing.size else np.arange(N)
            values[f"{node.name} squares"] = (scaled[:, units] ** 2).mean(axis=1)
            if node is not self.node and self.x != "count":
                values[f"{node.name} with x"] = (scaled * x).mean(axis=1)
        return values
