"""Chains of the Gibbs sampler: built from a problem, run, and put down as a state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .children import Analysis, AnalysisChild, Child, RegressionChild
from .design import Design
from .draws import Streams
from .mixed_model import MixedModel, columns_within
from .nodes import (
    CategoriesNode,
    ContinuousNode,
    CountNode,
    LogitNode,
    Node,
    OrderedNode,
    PoissonNode,
    ProbitNode,
)
from .poisson_model import PoissonModel
from .problem import Grouping, Problem, Variable
from .random_effects import RandomEffects
from .scales import CountScale, RateScale
from .targets import Batch, Target

__all__ = ["Chains", "prepared"]

Array: TypeAlias = NDArray[Any]
State: TypeAlias = Mapping[str, Any]

# By this, values near an end of their range are moved towards the mean, which is 0: on the way
# to the sampled scale and back, rounding could else bring them to where sqrt(x) has no value.
INSIDE = 1.0 - 1e-9

#: Iterations without random effects in the beginning. The first imputed values know nothing of the
#: response; a group whose effects followed them could not leave that state, where the model is not
#: linear in them and few of the group's values are observed.
BEGINNING = 20
#: As many iterations follow in which the likelihood of counts grows sharp: until then each tells no
#: more than a count of 1 would, then 4 times as much in each. Else a large count beside a badly
#: imputed value would hold the parameters, and they hold the value.
SHARPENING = 20
INTERCEPT = "(Intercept)"  # as R names it


class Chains:
    """Some chains of a problem, all in one array.

    Parameters
    ----------
    problem : Problem
        As `prepared` returned it.
    streams : Streams
        One for each chain.
    state : mapping, optional
        Where the chains go on, as `state` returned it; they begin anew if not given.
    """

    def __init__(self, problem: Problem, streams: Streams, state: State | None = None) -> None:
        self.problem = problem
        self.streams = streams
        self.chains = len(streams)
        self.iteration = 0
        self._filled = {x.name: self._begin(x, state is None) for x in problem.variables}
        self.nodes: dict[str, Node] = {}
        for variable in problem.covariates:
            self.nodes[variable.name] = self._regression(variable)
        self.analysis, self.nodes[problem.response.name] = self._analysis()
        for variable in problem.auxiliary:
            self.nodes[variable.name] = self._regression(variable)
        self.targets = [self._target(x) for x in problem.variables if x.missing.size]
        if state is not None:
            self._restore(state)
        self._fill_designs()

    # -- how the chains begin -----------------------------------------------------------------

    def _begin(self, variable: Variable, drawn: bool) -> Array:
        """Fill holes by observed values, drawn at random or just the first one; (C, units)."""
        values = np.repeat(variable.values[None], self.chains, axis=0)
        observed = values[0][~np.isnan(values[0])]
        missing = variable.missing
        if missing.size and not drawn:
            values[:, missing] = observed[0]
        elif missing.size:
            draws = self.streams.uniform(len(missing))
            values[:, missing] = observed[(draws * len(observed)).astype(np.int64)]
        if variable.kind == "continuous":
            values[:, missing] *= INSIDE
        return values

    def _node(self, variable: Variable, models: Sequence[MixedModel]) -> Node:
        values = self._filled[variable.name]
        name, missing, scale = variable.name, variable.missing, variable.scale
        if variable.kind == "continuous":
            return ContinuousNode(name, models, missing, values, scale)
        if variable.kind == "count":
            assert isinstance(scale, CountScale)
            return CountNode(name, models, missing, scale.forward(values), scale, variable.values)
        if variable.kind == "poisson":
            assert isinstance(scale, RateScale)
            return PoissonNode(name, models, missing, values, scale)
        codes = values.astype(np.int64)
        if variable.kind == "ordered":
            return OrderedNode(name, models, missing, codes, variable.shown)
        if variable.kind == "categories":
            return CategoriesNode(name, models, missing, codes, variable.shown)
        observed = variable.values[~np.isnan(variable.values)]
        kind = LogitNode if variable.kind == "logit" else ProbitNode
        spread = float(observed.std()) or 1.0
        return kind(name, models, missing, codes, variable.shown, float(observed.mean()), spread)

    def _units(self, variable: Variable, level: str | None) -> Array:
        """Return the variable's unit of each unit of a level, its own or one below."""
        of_row = self.problem.levels[variable.level].unit_of_row
        if variable.level == level:
            return np.arange(self.problem.levels[level].units)
        return of_row[self.problem.levels[level].first_rows()]

    def _touched(self, variable: Variable, level: str | None) -> Array:
        """Tell which units of a level hang on an imputed value of the variable."""
        missing = np.isnan(variable.values)
        touched: Array = missing[self._units(variable, level)]
        return touched

    def _variable(self, name: str) -> Variable:
        return next(x for x in self.problem.variables if x.name == name)

    def _regression(self, variable: Variable) -> Node:
        """Build a variable's regression on the complete columns and on its parents."""
        units = len(variable.values)
        parents = [self._variable(x) for x in variable.parents]
        touched = np.zeros(units, bool)
        columns = [variable.complete]
        for parent in parents:
            touched |= self._touched(parent, variable.level)
            columns.append(np.stack(self._predictors(parent, variable.level), axis=1))
        shared = np.concatenate(columns, axis=1)
        rows = np.flatnonzero(touched)
        models: list[MixedModel] = []
        for _ in range(variable.codes - 1 if variable.kind == "categories" else 1):
            design = models[0].design if models else Design(shared, rows, self.chains)
            design.varying[:] = shared[rows]
            effects = [
                self._effects(
                    x, Design(np.ones((units, 1)), rows, self.chains), [[INTERCEPT]], variable
                )
                for x in variable.groupings
            ]
            for one in effects:
                one.design.varying[:] = 1.0
            models.append(
                MixedModel(
                    design,
                    effects,
                    variable.prior,
                    intercept=0,
                    free_variance=variable.kind in ("continuous", "count"),
                    within=self.problem.within.get(variable.name, [()] * len(effects)),
                )
            )
        return self._node(variable, models)

    def _effects(
        self,
        grouping: Grouping,
        design: Design,
        blocks: Sequence[Sequence[str]],
        variable: Variable,
    ) -> RandomEffects:
        names = [name for block in blocks for name in block]
        return RandomEffects(
            grouping.name,
            grouping.codes,
            grouping.groups,
            design,
            [len(block) for block in blocks],
            names.index(INTERCEPT) if INTERCEPT in names else None,
            variable.prior,
            self.chains,
        )

    def _predictors(self, parent: Variable, level: str | None) -> list[Array]:
        """Return a parent's columns in a regression; in rows with holes they mean nothing."""
        node = self.nodes[parent.name]
        first = node.predictor(node.values[:1])
        return [x[0][self._units(parent, level)] for x in first]

    def _analysis(self) -> tuple[Analysis, Node]:
        """Build the analysis model."""
        problem, spec = self.problem, self.problem.analysis
        response = problem.response
        n = len(response.values)
        incomplete = [x for x in problem.covariates if x.missing.size]
        touched = np.zeros(n, bool)
        for variable in incomplete:
            rows_touched = self._touched(variable, None)
            if variable.name in spec.columns:
                touched |= rows_touched
            for mean in spec.means:
                if mean.of == variable.name:
                    touched |= np.isin(mean.codes, np.unique(mean.codes[rows_touched]))
        rows = np.flatnonzero(touched)
        widths = [len(x) for x in (spec.names, *(sum(e, ()) for e in spec.effects))]
        shared = [np.zeros((n, width)) for width in widths]
        first = {name: self._column(name)[0] for name in spec.columns}
        for block in spec.blocks:
            k = 0 if block.effects is None else block.effects + 1
            values = {name: first[name] for name in block.part.columns}
            shared[k][:, block.start : block.stop] = block.matrix(values, (n,))
        designs = [Design(x, rows, self.chains) for x in shared]
        effects = [
            self._effects(grouping, design, blocks, response)
            for grouping, design, blocks in zip(
                spec.groupings, designs[1:], spec.effects, strict=True
            )
        ]
        of_response = PoissonModel if response.kind == "poisson" else MixedModel
        model = of_response(
            designs[0],
            effects,
            response.prior,
            intercept=spec.intercept,
            free_variance=response.kind in ("continuous", "count"),
            within=problem.within.get(response.name, [()] * len(effects)),
        )
        if spec.offset is not None:
            model.offset = spec.offset / response.scale.spread
        if response.kind == "poisson":  # whose values are not centred themselves
            model.offset = response.scale.centre + (
                np.zeros(n) if model.offset is None else model.offset
            )
        if spec.weights is not None:
            weights = spec.weights / spec.weights.mean()
            model.weights = np.repeat(weights[None], self.chains, axis=0)
        return Analysis(model, spec.blocks, spec.means), self._node(response, [model])

    def _column(self, name: str) -> Array:
        """Return a column of the analysis model, raw, in all rows: (1, n) or (C, n)."""
        spec = self.problem.analysis
        for mean in spec.means:
            if mean.name == name:
                values = np.broadcast_to(self._column(mean.of), (self.chains, len(mean.codes)))
                sums = np.stack([np.bincount(mean.codes, x, len(mean.sizes)) for x in values])
                means: Array = (sums / mean.sizes)[:, mean.codes]
                return means
        if name in self.nodes:
            node, variable = self.nodes[name], self._variable(name)
            if variable.missing.size:
                raw: Array = node.raw(node.values)[:, self._units(variable, None)]
                return raw
        return spec.columns[name][None]

    def _fill_designs(self) -> None:
        """Put the current values of all variables into the designs, and make all `eta`."""
        for target in self.targets:
            for batch in target.batches:
                for child in batch.children:
                    if isinstance(child, RegressionChild):
                        child.take(child.design_for(target.node.current()[:, batch.at]))
        self.analysis.fill({name: self._column(name) for name in self.problem.analysis.columns})
        for node in self.nodes.values():
            for model in node.models:
                model.eta = model.linear_predictor()

    # -- what is imputed ----------------------------------------------------------------------

    def _target(self, variable: Variable) -> Target:
        node = self.nodes[variable.name]
        groups = [x for x in self.problem.analysis.means if x.of == variable.name]
        missing = variable.missing
        if groups:
            rank = ranks(groups[0].codes[missing])
            positions = [np.flatnonzero(rank == r) for r in range(int(rank.max()) + 1)]
        else:
            positions = [np.arange(len(missing))]
        batches = [Batch(at, list(self._children(variable, at))) for at in positions]
        return Target(node, batches, linear=variable.name in self.problem.linear)

    def _children(self, variable: Variable, at: Array) -> Iterator[Child]:
        """Yield the models that hang on some of a variable's imputed values."""
        node = self.nodes[variable.name]
        units = variable.missing[at]
        for other in (*self.problem.covariates, *self.problem.auxiliary):
            if variable.name in other.parents:
                rows, owner = self._rows(variable, units, other.level)
                before = other.parents[: other.parents.index(variable.name)]
                start = other.complete.shape[1] + sum(self._width(x) for x in before)
                columns = range(start, start + self._width(variable.name))
                child = self.nodes[other.name]
                yield RegressionChild(child.models, rows, owner, len(units), node, columns)
        if variable.name == self.problem.response.name:
            return
        spec = self.problem.analysis
        means = [x for x in spec.means if x.of == variable.name]
        if not means and variable.name not in spec.columns:
            return
        if means:
            group = means[0].codes
            position = np.full(len(means[0].sizes), -1)
            position[group[units]] = np.arange(len(units))
            rows = np.flatnonzero(position[group] >= 0)
            owner, itself = position[group[rows]], np.searchsorted(rows, units)
        else:
            rows, owner = self._rows(variable, units, None)
            itself = None
        yield AnalysisChild(self.analysis, rows, owner, len(units), node, itself)

    def _rows(
        self, variable: Variable, units: Array, level: str | None
    ) -> tuple[Array, Array | None]:
        """Return the units of a level that some units of the variable touch, and whose they are."""
        if variable.level == level:
            return units, None
        position = np.full(len(variable.values), -1)
        position[units] = np.arange(len(units))
        owner = position[self._units(variable, level)]
        rows = np.flatnonzero(owner >= 0)
        return rows, owner[rows]

    def _width(self, name: str) -> int:
        """Return the number of columns that a variable has in others' regressions."""
        variable = self._variable(name)
        return variable.codes - 1 if variable.kind in ("ordered", "categories") else 1

    # -- running ------------------------------------------------------------------------------

    def step(self) -> None:
        """Make one iteration: all parameters, then all imputed values."""
        self.iteration += 1
        # The adaptation fades, so that the chains keep their distribution in the end.
        gain = min(1.0, 3.0 * self.iteration**-0.6)
        fixed_only = self.iteration <= BEGINNING
        if isinstance(self.analysis.model, PoissonModel):
            past = self.iteration - BEGINNING
            self.analysis.model.most = 4.0 ** max(past, 0) if past <= SHARPENING else np.inf
        for node in self.nodes.values():
            node.step(self.streams, gain, fixed_only=fixed_only)
        for target in self.targets:
            target.draw(self.streams, gain)

    def run(self, iterations: int) -> Array:
        """Make iterations, and return what `parameters` says after each: (C, iterations, P)."""
        trace: list[Array] = []
        for _ in range(iterations):
            self.step()
            trace.append(np.stack(list(self.parameters().values()), axis=-1))
        return np.stack(trace, axis=1)

    def state(self) -> dict[str, Any]:
        """Return what is needed to go on, by name; the first axis of each array is the chain."""
        state: dict[str, Any] = {"streams": self.streams, "iteration": self.iteration}
        for name, node in self.nodes.items():
            state[f"{name}/imputed"] = node.current()
            if isinstance(node, OrderedNode):
                state[f"{name}/log_steps"] = node.log_steps
                state[f"{name}/proposal"] = node.proposal
            for j, model in enumerate(node.models):
                state |= {f"{name}/{j}/{x}": getattr(model, x) for x in ("b", "s2")}
                for effects in model.effects:
                    for x in ("u", "psi", "spread"):
                        state[f"{name}/{j}/{effects.name}/{x}"] = getattr(effects, x)
        for target in self.targets:
            state[f"{target.node.name}/width"] = target.width
        # Copies, since the chains change some of these arrays in place.
        return {k: x.copy() if isinstance(x, np.ndarray) else x for k, x in state.items()}

    def _restore(self, state: State) -> None:
        self.iteration = state["iteration"]
        for name, node in self.nodes.items():
            node.values[:, node.missing] = state[f"{name}/imputed"]
            if isinstance(node, CategoriesNode):
                node.weigh()
            if isinstance(node, OrderedNode):
                node.log_steps = state[f"{name}/log_steps"]
                node.proposal = state[f"{name}/proposal"]
            for j, model in enumerate(node.models):
                model.b, model.s2 = state[f"{name}/{j}/b"], state[f"{name}/{j}/s2"]
                for effects in model.effects:
                    for x in ("u", "psi", "spread"):
                        setattr(effects, x, state[f"{name}/{j}/{effects.name}/{x}"])
        for target in self.targets:
            target.width = state[f"{target.node.name}/width"]

    def imputed(self) -> dict[str, Array]:
        """Return the imputed values of each variable, (C, k): numbers, or codes from 0."""
        return {
            target.node.name: target.node.current()
            if target.node.codes
            else target.node.raw(target.node.current())
            for target in self.targets
        }

    @np.errstate(over="ignore", divide="ignore", invalid="ignore")  # of the largest numbers
    def parameters(self) -> dict[str, Array]:
        """Return all parameters, and the mean and variance of each variable's imputed values.

        Those of the analysis model are in the units of the data, those of other models on the
        scales on which these are sampled.
        """
        values: dict[str, Array] = {}
        response = self.problem.response
        for variable in (response, *self.problem.covariates, *self.problem.auxiliary):
            if variable is response:
                values |= analysis_parameters(self.problem, self.analysis.model)
            else:
                values |= self._regression_parameters(variable)
        for target in self.targets:
            values |= imputed_parameters(target.node)
        return values

    def _regression_parameters(self, variable: Variable) -> dict[str, Array]:
        node = self.nodes[variable.name]
        values: dict[str, Array] = {}
        names = list(variable.complete_names)
        for parent in variable.parents:
            width = self._width(parent)
            names += [parent] if width == 1 else [f"{parent}{j + 1}" for j in range(width)]
        for j, model in enumerate(node.models):
            of = variable.name if len(node.models) == 1 else f"{variable.name} {j}"
            for k, name in enumerate(names):
                values[_free(f"{of} ~ {name}", values)] = model.b[:, k]
            for effects in model.effects:
                values[f"{of} ~ sd({effects.name})"] = np.sqrt(effects.psi[:, 0, 0])
            if model.free_variance:
                values[_free(f"{of} ~ sigma", values)] = np.sqrt(model.s2)
        for name, value in node.parameters().items():
            values[_free(f"{variable.name} ~ {name}", values)] = value
        return values


def imputed_parameters(node: Node) -> dict[str, Array]:
    """Return means and variances of imputed values, or the shares of all categories but one."""
    current = node.current()
    if node.codes:
        return {
            f"share({node.name} = {code})": (current == code).mean(axis=1)
            for code in range(1, node.codes)
        }
    raw = node.raw(current)
    values = {f"mean({node.name})": raw.mean(axis=1)}
    if raw.shape[1] > 1:
        values[f"var({node.name})"] = raw.var(axis=1)
    return values


def analysis_parameters(problem: Problem, model: MixedModel) -> dict[str, Array]:
    """Return coefficients, standard deviations and correlations in the units of the data."""
    spec, response = problem.analysis, problem.response
    unit = response.scale.spread  # 1 of a binary response, and of counts
    centre, spread = np.zeros(len(spec.names)), np.ones(len(spec.names))
    for block in spec.blocks:
        if block.effects is None:
            centre[block.start : block.stop] = block.centre
            spread[block.start : block.stop] = block.spread
    b = model.b / spread * unit
    if spec.intercept is not None:
        b[:, spec.intercept] -= (b * centre).sum(axis=1)
    if spec.constant is not None:
        b += response.scale.centre * spec.constant
    values: dict[str, Array] = {}
    for j, name in enumerate(spec.names):
        values[_free(name, values)] = b[:, j]
    for k, effects in enumerate(model.effects):
        q = effects.design.p
        back = np.zeros((q, q))
        names = list(sum(spec.effects[k], ()))
        for block in spec.blocks:
            if block.effects == k:
                at = np.arange(block.start, block.stop)
                back[at, at] = 1.0 / block.spread
                if block.centre.any():
                    first = block.start + list(block.centre == 0).index(True)
                    others = at[at != first]
                    back[first, others] = -(block.centre / block.spread)[others - block.start]
        psi = back @ effects.psi @ back.T * unit * unit
        sd = np.sqrt(np.einsum("cii->ci", psi))
        for i in range(q):
            values[f"sd({effects.name}: {names[i]})"] = sd[:, i]
        for term in effects.blocks:
            for i in range(term.start, term.stop):
                for j in range(term.start, i):
                    correlation = psi[:, i, j] / (sd[:, i] * sd[:, j])
                    values[f"cor({effects.name}: {names[j]}, {names[i]})"] = correlation
    if model.free_variance:
        mean_weight = 1.0 if spec.weights is None else spec.weights.mean()
        values[_free("sigma", values)] = np.sqrt(model.s2 * mean_weight) * unit
    return values


def _free(name: str, taken: Mapping[str, Any]) -> str:
    """Return a name that no parameter has: a column may be called "sigma", too."""
    while name in taken:
        name += "_"
    return name


def ranks(codes: Array) -> Array:
    """Return, for each element, how many of the same code stand before it."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.append(starts, len(codes)))
    rank = np.empty(len(codes), np.int64)
    rank[order] = np.arange(len(codes)) - np.repeat(starts, sizes)
    return rank


def _points(node: ContinuousNode) -> Array:
    """Return evenly spaced values, of which the first and the last were not observed."""
    least, greatest = float(node.values.min()), float(node.values.max())
    beyond = 0.5 * (greatest - least)
    lower = max(least - beyond, node.scale.lower * INSIDE)
    upper = min(greatest + beyond, node.scale.upper * INSIDE)
    return np.linspace(lower, upper, 9)


def prepared(problem: Problem, seed: int) -> Problem:
    """Find out by a few chains what holds in all: which columns Z spans, and what is linear.

    Parameters
    ----------
    problem : Problem
    seed : int

    Returns
    -------
    Problem
        With `within` and `linear`.
    """
    chains = Chains(problem, Streams.of(seed, [0, 1, 2]))
    within = {
        name: tuple(
            columns_within(node.models[0].design, effects) for effects in node.models[0].effects
        )
        for name, node in chains.nodes.items()
    }
    linear = []
    for target in chains.targets:
        node = target.node
        if not isinstance(node, ContinuousNode) or isinstance(node, CountNode):
            continue
        points = _points(node)
        children = [
            (child, len(batch.at))
            for batch in target.batches
            for child in batch.children
            if isinstance(child, AnalysisChild)
        ]
        bends = any(
            child.bends([np.full((chains.chains, k), x) for x in points]) for child, k in children
        )
        if not bends:
            linear.append(node.name)
    return replace(problem, within=within, linear=frozenset(linear))
