"""Are the posterior distributions of the imputation's sampler right? Simulation-based calibration.

    nice .venv/bin/python benchmarks/calibration.py calibration-results --draws 500
    .venv/bin/python benchmarks/calibration.py calibration-results --report docs/calibration.md

Each draw takes parameters from their priors, data from the model with these parameters, and makes
holes. The sampler then runs on the data. If it is right, the rank of each true parameter among 99
independent draws of the sampler is uniform from 0 to 99 (Talts, Betancourt, Simpson, Vehtari and
Gelman 2018, arXiv:1804.06788). So is the rank of a true value behind a hole.

The sampler's draws are correlated. They come from the second halves of 33 independent chains, 3
from each at equal distances; a run is made twice as long until the rank-normalised effective size
(Vehtari et al. 2021) of every quantity is 200 or more in the second halves, twice as many as are
taken. A quantity whose correlation fades exponentially has then a correlation of at most .02
between successive ones. Runs end at 400 iterations; the report says how many were too short.

Nothing is standardised, so that the sampler's priors are those of the simulation. Results are kept
in a folder, one file for each model. The program can be stopped at any time, and goes on where it
was. A draw is the same whatever ran before it.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from rbridge_mi.pooling.convergence import chain_convergence
from rbridge_mi.sampling.chains import Chains, prepared
from rbridge_mi.sampling.children import Block, GroupMean
from rbridge_mi.sampling.draws import Streams
from rbridge_mi.sampling.nodes import OrderedNode
from rbridge_mi.sampling.priors import Prior
from rbridge_mi.sampling.problem import AnalysisModel, Grouping, Level, Problem, Variable
from rbridge_mi.sampling.scales import CountScale, RateScale, Scale

Array = NDArray[Any]
Values = Mapping[str, Array]

PRIOR = Prior(
    coefficient_sd=1.0,
    intercept_sd=1.0,
    variance_df=5.0,
    variance_scale=0.5,
    covariance_df=3.0,
    sd_scale=1.0,
)
# Of the logarithm of a rate: counts of up to some thousands.
RATES = replace(PRIOR, coefficient_sd=0.5, sd_scale=0.3)
GROUPS = 12
CHAINS, KEPT = 33, 3  # 99 draws
SHORTEST, LONGEST, EFFECTIVE = 100, 400, 200
BINS = 20
CHUNK = 50
LARGEST = 34.0  # of the logarithm of a rate
SEED = 1

# The columns of designs: what they depend on, and how they are computed.
TERMS: dict[str, tuple[tuple[str, ...], Callable[..., Array]]] = {
    "x": (("x",), lambda x: x),
    "w": (("w",), lambda w: w),
    "z": (("z",), lambda z: z),
    "x:z": (("x", "z"), lambda x, z: x * z),
    "x^2": (("x",), lambda x: x**2),
    "mean of x": (("x_mean",), lambda m: m),
    "d": (("d",), lambda d: d),
    "f = 1": (("f",), lambda f: f == 1),
    "f = 2": (("f",), lambda f: f == 2),
    "log(k + 1)": (("k",), np.log1p),
}


@dataclass(frozen=True)
class Column:
    """A column of a design."""

    term: str

    @property
    def columns(self) -> frozenset[str]:
        return frozenset(TERMS[self.term][0]) if self.term in TERMS else frozenset()

    def matrix(self, values: Values) -> Array:
        if self.term not in TERMS:  # the intercept
            return np.ones((*next(iter(values.values())).shape, 1))
        needs, function = TERMS[self.term]
        column: Array = function(*(values[name] for name in needs))
        return column[..., None].astype(np.float64)


@dataclass(frozen=True)
class Simulated:
    """A variable with holes: how it is drawn."""

    kind: str = "continuous"
    level: str | None = None
    parents: tuple[str, ...] = ()

    @property
    def codes(self) -> int:
        return {"binary": 2, "logit": 2, "ordered": 3, "categories": 3}.get(self.kind, 0)


@dataclass(frozen=True)
class Study:
    """A model that is calibrated."""

    formula: str
    covariates: Mapping[str, Simulated]
    fixed: tuple[str, ...]
    random: Mapping[str, tuple[tuple[str, ...], ...]]
    response: str = "continuous"
    auxiliary: Mapping[str, Simulated] = field(default_factory=dict)
    weights: bool = False
    offset: bool = False
    prior: Prior = PRIOR  # of the analysis model


X = {"x": Simulated()}
INTERCEPT = (("(Intercept)",),)
STUDIES = {
    "random intercept": Study(
        "y ~ x + w + (1 | g)", X, ("(Intercept)", "x", "w"), {"g": INTERCEPT}
    ),
    "random slope": Study(
        "y ~ x + (1 + x | g)", X, ("(Intercept)", "x"), {"g": (("(Intercept)", "x"),)}
    ),
    "independent slope": Study(
        "y ~ x + (x || g)", X, ("(Intercept)", "x"), {"g": (("(Intercept)",), ("x",))}
    ),
    "crossed": Study(
        "y ~ x + (1 | g) + (1 | h)", X, ("(Intercept)", "x"), {"g": INTERCEPT, "h": INTERCEPT}
    ),
    "nested": Study(
        "y ~ x + (1 + x | g) + (1 | school), g in schools",
        X,
        ("(Intercept)", "x"),
        {"g": (("(Intercept)", "x"),), "school": INTERCEPT},
    ),
    "interaction with level 2": Study(
        "y ~ x * z + (1 + x | g), z of groups",
        {"z": Simulated(level="g"), "x": Simulated(parents=("z",))},
        ("(Intercept)", "x", "z", "x:z"),
        {"g": (("(Intercept)", "x"),)},
    ),
    "quadratic": Study("y ~ x + x^2 + (1 | g)", X, ("(Intercept)", "x", "x^2"), {"g": INTERCEPT}),
    "binary": Study(
        "y ~ d + w + (1 + d | g)",
        {"d": Simulated("binary")},
        ("(Intercept)", "d", "w"),
        {"g": (("(Intercept)", "d"),)},
    ),
    "categories": Study(
        "y ~ f + x + (1 | g), f of 3 categories",
        {"f": Simulated("categories"), "x": Simulated(parents=("f",))},
        ("(Intercept)", "f = 1", "f = 2", "x"),
        {"g": INTERCEPT},
    ),
    "ordered": Study(
        "y ~ f + (1 | g), f of 3 ordered categories",
        {"f": Simulated("ordered")},
        ("(Intercept)", "f = 1", "f = 2"),
        {"g": INTERCEPT},
    ),
    "probit response": Study(
        "probit(y) ~ x + (1 | g)", X, ("(Intercept)", "x"), {"g": INTERCEPT}, response="binary"
    ),
    "logit response": Study(
        "logit(y) ~ x + (1 + x | g)",
        X,
        ("(Intercept)", "x"),
        {"g": (("(Intercept)", "x"),)},
        response="logit",
    ),
    "count response": Study(
        "log(E y) ~ x + offset(o) + (1 + x | g), y a count",
        X,
        ("(Intercept)", "x"),
        {"g": (("(Intercept)", "x"),)},
        response="poisson",
        prior=RATES,
        offset=True,
    ),
    "holes in counts": Study(
        "log(E y) ~ x + (1 | g), holes in y too, auxiliary a regressed on x and y",
        X,
        ("(Intercept)", "x"),
        {"g": INTERCEPT},
        response="poisson",
        prior=RATES,
        auxiliary={"a": Simulated(parents=("x", "y"))},
    ),
    "group mean": Study(
        "y ~ x + mean of x + (1 | g)", X, ("(Intercept)", "x", "mean of x"), {"g": INTERCEPT}
    ),
    "count": Study(
        "y ~ log(k + 1) + (1 | g), k a count",
        {"k": Simulated("count")},
        ("(Intercept)", "log(k + 1)"),
        {"g": INTERCEPT},
    ),
    "holes in y": Study(
        "y ~ x + (1 | g), weights, holes in y too, auxiliary a regressed on x and y",
        X,
        ("(Intercept)", "x"),
        {"g": INTERCEPT},
        auxiliary={"a": Simulated(parents=("x", "y"))},
        weights=True,
    ),
}


# -- the simulation -------------------------------------------------------------------------------


@dataclass
class Drawn:
    """True parameters of one mixed model."""

    b: Array
    s2: float
    psi: list[Array]


@dataclass
class Truth:
    """What is true of one draw: parameters, and values of all units on the sampled scale."""

    models: dict[str, list[Drawn]]
    steps: dict[str, Array]
    values: dict[str, Array]


def draw_covariance(blocks: Sequence[int], prior: Prior, rng: np.random.Generator) -> Array:
    """Huang and Wand's prior (2013, equation 2)."""
    nu = prior.covariance_df
    psi = np.zeros((sum(blocks), sum(blocks)))
    start = 0
    for q in blocks:
        scale = 2 * nu * prior.sd_scale**2 * rng.gamma(0.5, size=q)
        block = slice(start, start + q)
        psi[block, block] = stats.invwishart.rvs(nu + q - 1, np.diag(scale), random_state=rng)
        start += q
    return psi


def draw_model(
    x: Array,
    effects: Sequence[tuple[Grouping, Array, Sequence[int]]],
    free_variance: bool,
    rng: np.random.Generator,
    prior: Prior = PRIOR,
) -> tuple[Drawn, Array]:
    """Parameters from their priors, and the linear predictor."""
    sds = np.full(x.shape[1], prior.coefficient_sd)
    sds[0] = prior.intercept_sd
    b = rng.normal(size=len(sds)) * sds
    s2 = 1.0
    if free_variance:
        s2 = prior.variance_df * prior.variance_scale / rng.chisquare(prior.variance_df)
    eta = x @ b
    psis = []
    for grouping, z, blocks in effects:
        psi = draw_covariance(blocks, prior, rng)
        u = rng.multivariate_normal(np.zeros(len(psi)), psi, size=grouping.groups)
        eta = eta + (z * u[grouping.codes]).sum(axis=1)
        psis.append(psi)
    return Drawn(b, s2, psis), eta


def draw_values(
    simulated: Simulated, etas: Sequence[Array], variance: Array, steps: Array, rng: Any
) -> Array:
    """Values of a variable given its linear predictors: normal, or codes."""
    eta = etas[0]
    if simulated.kind == "logit":
        return np.where(rng.random(eta.shape) < expit(eta), 1.0, 0.0)
    if simulated.kind == "poisson":
        # The priors' tails reach to rates that no computer has counts of.
        return np.asarray(rng.poisson(np.exp(np.minimum(eta, LARGEST))), np.float64)
    if simulated.kind == "categories":
        first, second = (rng.normal(size=eta.shape) < x for x in etas)
        return np.where(first, 0.0, np.where(second, 1.0, 2.0))
    latent: Array = eta + np.sqrt(variance) * rng.normal(size=eta.shape)
    if simulated.kind == "binary":
        return np.where(latent > 0, 1.0, 0.0)
    if simulated.kind == "ordered":
        return 1.0 * np.digitize(latent, [0.0, float(np.exp(steps[0]))])
    return latent


def predictors(simulated: Simulated, values: Array) -> Array:
    """The columns of a variable in others' regressions."""
    if simulated.codes > 2:
        codes = range(1, simulated.codes)
        return np.stack([values == code for code in codes], axis=1).astype(np.float64)
    if simulated.kind in ("binary", "logit", "count"):
        raise ValueError("these are scaled by the data, and can't be a predictor here")
    if simulated.kind == "poisson":
        values = np.log(values + 0.5)
    return values[:, None]


def simulate(study: Study, rng: np.random.Generator) -> tuple[Problem, Truth]:
    """Draw parameters, data and holes."""
    g = np.repeat(np.arange(GROUPS), rng.integers(4, 10, GROUPS))
    n = len(g)
    factors = {
        "g": Grouping("g", g, GROUPS),
        "h": Grouping("h", rng.permutation(n) % 10, 10),
        "school": Grouping("school", g // 2, GROUPS // 2),
    }
    levels = {None: Level(None, np.arange(n), n), "g": Level("g", g, GROUPS)}
    complete: dict[str | None, Array] = {None: np.stack([np.ones(n), rng.normal(size=n)], axis=1)}
    complete["g"] = np.stack([np.ones(GROUPS), rng.normal(size=GROUPS)], axis=1)
    columns = {"w": complete[None][:, 1]}
    means: list[GroupMean] = []
    truth = Truth({}, {}, {})
    every = {**study.covariates, **study.auxiliary, "y": Simulated(study.response)}
    made: dict[str, Variable] = {}

    def regression(name: str, simulated: Simulated) -> None:
        level = simulated.level
        parts = [complete[level]]
        for parent in simulated.parents:
            values = predictors(every[parent], truth.values[parent])
            parts.append(values if every[parent].level == level else values[g])
        x = np.concatenate(parts, axis=1)
        groupings = tuple(factors[f] for f in study.random) if level is None else ()
        effects = [(f, np.ones((len(x), 1)), [1]) for f in groupings]
        free = simulated.kind in ("continuous", "count")
        drawn, etas = zip(
            *(
                draw_model(x, effects, free, rng)
                for _ in range(2 if simulated.kind == "categories" else 1)
            ),
            strict=True,
        )
        steps = rng.normal(size=1) * OrderedNode.STEP_SD
        truth.models[name], truth.steps[name] = list(drawn), steps
        values = draw_values(simulated, etas, np.array(drawn[0].s2), steps, rng)
        truth.values[name] = values
        shown = np.floor(np.exp(values)) if simulated.kind == "count" else values
        columns[name] = shown if level is None else shown[g]
        made[name] = Variable(
            name,
            simulated.kind,  # type: ignore[arg-type]
            level,
            shown,
            scale=CountScale() if simulated.kind == "count" else Scale(),
            shown=tuple(range(simulated.codes)),
            complete=complete[level],
            complete_names=("(Intercept)", "w"),
            parents=simulated.parents,
            groupings=groupings,
            prior=PRIOR,
        )

    for name, simulated in study.covariates.items():
        regression(name, simulated)
    if "mean of x" in study.fixed:
        sizes = np.bincount(g)
        columns["x_mean"] = (np.bincount(g, columns["x"]) / sizes)[g]
        means.append(GroupMean("x_mean", "x", g, sizes))
    names = list(study.fixed)
    blocks = [block(term, j, None) for j, term in enumerate(names)]
    effects = []
    for k, (factor, of_factor) in enumerate(study.random.items()):
        terms = sum(of_factor, ())
        blocks += [block(term, j, k) for j, term in enumerate(terms)]
        z = design(terms, columns, n)
        effects.append((factors[factor], z, [len(x) for x in of_factor]))
    weights = rng.uniform(0.5, 2.0, n) if study.weights else None
    if weights is not None:
        weights /= weights.mean()  # as the sampler takes them
    x, free = design(names, columns, n), study.response == "continuous"
    drawn, eta = draw_model(x, effects, free, rng, study.prior)
    offset = rng.normal(size=n) if study.offset else None
    if offset is not None:
        eta = eta + offset
    variance = drawn.s2 / (np.ones(n) if weights is None else weights)
    y = draw_values(every["y"], [eta], variance, np.zeros(1), rng)
    truth.models["y"], truth.values["y"] = [drawn], y
    shown = tuple(range(every["y"].codes))
    scale = RateScale() if study.response == "poisson" else Scale()
    made["y"] = Variable("y", study.response, None, y, scale=scale, shown=shown, prior=study.prior)  # type: ignore[arg-type]
    for name, simulated in study.auxiliary.items():
        regression(name, simulated)

    # Holes: at random given y and a complete column, in a fourth of the rows or groups; if y has
    # holes itself, completely at random.
    for name, variable in made.items():
        if name == "y" and not study.auxiliary:
            continue
        chance = np.full(len(variable.values), 0.25)
        if variable.level is None and not study.auxiliary:
            chance = expit(-1.3 + 0.5 * np.tanh(y) + 0.5 * columns["w"])
        holes = rng.random(len(chance)) < chance
        holes[rng.choice(len(chance), 2, replace=False)] = True
        holes[rng.choice(np.flatnonzero(~holes), 1)] = False
        values = np.where(holes, np.nan, variable.values)
        made[name] = replace(variable, values=values)
        if name in columns:
            columns[name] = values if variable.level is None else values[g]
    if means:
        columns["x_mean"] = np.full(n, np.nan)
    analysis = AnalysisModel(
        blocks,
        tuple(names),
        0,
        None,
        tuple(factors[f] for f in study.random),
        tuple(study.random.values()),
        {name: columns[name] for term in names for name in TERMS.get(term, ((),))[0]},
        tuple(means),
        offset,
        weights,
    )
    covariates = tuple(made[name] for name in study.covariates)
    auxiliary = tuple(made[name] for name in study.auxiliary)
    return Problem(levels, covariates, made["y"], auxiliary, analysis), truth


def block(term: str, start: int, effects: int | None) -> Block:
    """One column of a design, as it is."""
    return Block(Column(term), start, np.zeros(1), np.ones(1), effects)


def design(terms: Sequence[str], columns: Values, n: int) -> Array:
    """A design of complete data."""
    parts = []
    for term in terms:
        column = Column(term)
        needs = {name: columns[name] for name in column.columns} or {"": np.zeros(n)}
        parts.append(column.matrix(needs))
    return np.concatenate(parts, axis=1)


# -- the sampler ----------------------------------------------------------------------------------


def quantities(chains: Chains) -> dict[str, Array]:
    """Everything that is ranked: parameters, moments of imputed values, and two of these."""
    values = chains.parameters()
    for target in chains.targets:
        for k, column in enumerate(target.node.current()[:, :2].T):
            values[f"{target.node.name} missing {k + 1}"] = column.astype(np.float64)
    return values


def true_quantities(problem: Problem, truth: Truth) -> dict[str, float]:
    """The same of the truth."""
    chains = Chains(problem, Streams.of(0, [0]))
    for name, node in chains.nodes.items():
        for model, drawn in zip(node.models, truth.models[name], strict=True):
            model.b, model.s2 = drawn.b[None].copy(), np.array([drawn.s2])
            for effects, psi in zip(model.effects, drawn.psi, strict=True):
                effects.psi = psi[None].copy()
        if isinstance(node, OrderedNode):
            node.log_steps = truth.steps[name][None]
        node.values[:, node.missing] = truth.values[name][node.missing]
    return {name: float(value[0]) for name, value in quantities(chains).items()}


def effective_sizes(draws: Array) -> Array:
    """Bulk effective sizes of draws (quantities, chains, iterations); inf of constants."""
    sizes = chain_convergence(draws.transpose(1, 2, 0)).ess_bulk
    return np.where(np.isnan(sizes), np.inf, sizes)


def calibrate(name: str, draw: int, seed: int = SEED) -> dict[str, Any]:
    """Simulate, run the sampler, and rank the truth among its draws."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), draw])
    problem, truth = simulate(STUDIES[name], rng)
    stream = int(rng.integers(2**31))
    chains = Chains(prepared(problem, stream), Streams.of(stream, range(3, 3 + CHAINS)))
    true = true_quantities(chains.problem, truth)
    iterations = SHORTEST
    trace: list[Array] = []
    while True:
        while chains.iteration < iterations:
            chains.step()
            if chains.iteration > iterations // 2:
                trace.append(np.stack(list(quantities(chains).values())))
        half = np.stack(trace, axis=2)  # quantities, chains, iterations
        sizes = effective_sizes(half)
        if sizes.min() >= EFFECTIVE or iterations >= LONGEST:
            break
        iterations *= 2
        trace = []
    at = np.linspace(half.shape[2] / KEPT, half.shape[2], KEPT).round().astype(int) - 1
    kept = half[:, :, at].reshape(len(half), -1)
    ranks = {}
    for label, value, draws in zip(true, true.values(), kept, strict=True):
        # Discrete quantities: a rank at random among equals.
        equals = int(np.count_nonzero(draws == value))
        ranks[label] = int(np.count_nonzero(draws < value) + rng.integers(0, equals + 1))
    worst = list(true)[int(np.argmin(sizes))]
    size = round(min(float(sizes.min()), 1e6), 1)
    return {"draw": draw, "ranks": ranks, "iterations": iterations, "size": size, "worst": worst}


# -- the folder -----------------------------------------------------------------------------------


def read(folder: Path, name: str) -> dict[int, dict[str, Any]]:
    """Finished draws of a model; a line that was cut is passed over."""
    path = folder / f"{name.replace(' ', '-')}.jsonl"
    results = {}
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            result = json.loads(line)
        except json.JSONDecodeError:
            continue
        results[result["draw"]] = result
    return results


def run(folder: Path, names: Sequence[str], draws: int) -> None:
    """Make the draws that are not there, some of each model in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, draws, CHUNK):
        for name in names:
            finished = read(folder, name)
            path = folder / f"{name.replace(' ', '-')}.jsonl"
            for draw in range(start, min(start + CHUNK, draws)):
                if draw not in finished:
                    line = json.dumps(calibrate(name, draw))
                    with path.open("a", encoding="utf-8") as file:
                        file.write(f"\n{line}")


def uniformity(ranks: Array) -> float:
    """p of the chi-squared test that ranks from 0 to 99 are uniform."""
    bins = CHAINS * KEPT + 1
    counts = np.bincount(ranks * BINS // bins, minlength=BINS)
    return float(stats.chisquare(counts).pvalue)


def holm(p: Sequence[float]) -> Array:
    """p values adjusted for their number (Holm 1979)."""
    order = np.argsort(p)
    steps = np.array(p)[order] * (len(p) - np.arange(len(p)))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def tested(results: Mapping[int, Mapping[str, Any]]) -> dict[str, tuple[float, float]]:
    """For each quantity the adjusted p of uniformity, and z of the mean rank."""
    ranks: dict[str, list[int]] = defaultdict(list)
    for result in results.values():
        for name, rank in result["ranks"].items():
            ranks[name].append(rank)
    p = holm([uniformity(np.array(x)) for x in ranks.values()])
    last = CHAINS * KEPT
    sd = np.sqrt(((last + 1) ** 2 - 1) / 12)
    z = [(np.mean(x) - last / 2) / (sd / np.sqrt(len(x))) for x in ranks.values()]
    return {name: (float(a), float(b)) for name, a, b in zip(ranks, p, z, strict=True)}


def report(folder: Path, names: Sequence[str]) -> str:
    """A table of all models, as markdown."""
    lines = [
        "| model | draws | quantities | smallest p | of | largest z of a mean rank | of "
        "| median iterations | effective size under 200 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in names:
        results = read(folder, name)
        if not results:
            continue
        tests = tested(results)
        least = min(tests, key=lambda x: tests[x][0])
        largest = max(tests, key=lambda x: abs(tests[x][1]))
        p, z = tests[least][0], tests[largest][1]
        iterations = np.median([x["iterations"] for x in results.values()])
        short = np.mean([x["size"] < EFFECTIVE for x in results.values()])
        verdict = f"**{p:.3f}**" if p < 0.01 else f"{p:.3f}"
        formula = STUDIES[name].formula.replace("|", "\\|")
        lines.append(
            f"| {name}: {formula} | {len(results)} | {len(tests)} | {verdict} "
            f"| {least} | {z:.1f} | {largest} | {iterations:.0f} | {short:.1%} |"
        )
    return "\n".join(lines)


HEADER = """# Calibration of the compatible imputation's sampler

Output of `benchmarks/calibration.py`: simulation-based calibration (Talts, Betancourt, Simpson,
Vehtari and Gelman 2018). Parameters are drawn from their priors, data from the model, and holes
are made in about a fourth of the cells; 99 draws of the sampler are then taken. If the sampler is
right, the rank of each true parameter, and of each true value behind a hole, is uniform among
them. The test is a chi-squared one of 20 bins; p is adjusted by Holm's method for the quantities
of the model, and bold under .01. The data have 12 groups of 4 to 9 rows. Covariates without a
regression on others are regressed on a complete column, with random intercepts.

"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="+", choices=list(STUDIES), default=list(STUDIES))
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--report", type=Path, help="write the report, and run nothing")
    options = parser.parse_args()
    if options.report is None:
        run(options.folder, options.models, options.draws)
        print(report(options.folder, options.models))
    else:
        text = HEADER + report(options.folder, options.models) + "\n"
        options.report.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
