"""Do CompatibleImputer and R's jomo.lmer have the same posterior? Long chains of both.

    .venv/bin/python benchmarks/against_jomo.py --out docs/against-jomo.md

against_jomo_cases.py has the data and the priors, jomo_chains.py runs jomo.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from against_jomo_cases import CASES, GROUPS, SIZE, Case
from jomo_chains import jomo_chain, jomo_imputations
from numpy.typing import NDArray

import rbridge_mi as rb
from rbridge_mi.data.convergence import chains_of
from rbridge_mi.pooling.convergence import chain_convergence

Array: TypeAlias = NDArray[Any]
Draws: TypeAlias = Mapping[str, Array]


@dataclass(frozen=True)
class Lengths:
    """How long everything runs."""

    chains: int = 20
    iterations: int = 4000  # of which the second half counts
    jomo_chains: int = 4
    jomo_burn: int = 1000
    jomo_iterations: int = 20_000
    jomo_imputations: int = 100
    jomo_between: int = 50
    m: int = 100

    def shorter(self, factor: int) -> Lengths:
        return Lengths(
            iterations=self.iterations // factor,
            jomo_iterations=self.jomo_iterations // factor,
            jomo_imputations=max(10, self.jomo_imputations // factor),
            m=max(10, self.m // factor),
        )


@dataclass(frozen=True)
class Estimate:
    """Mean and SD of a parameter's draws, with Monte Carlo standard errors."""

    mean: float
    sd: float
    mean_error: float
    sd_error: float
    size: float


def estimate(draws: Array, weights: Array | None = None) -> Estimate:
    """Of draws (chains, iterations), weighted if need be.

    An error is the SD of what each draw contributes to the estimate, over the square root of the
    effective number of these contributions.
    """
    w = np.ones(draws.shape) if weights is None else weights / weights.mean()
    mean = float((w * draws).mean())
    sd = float(np.sqrt((w * (draws - mean) ** 2).mean()))
    parts = np.stack([w * (draws - mean), w * ((draws - mean) ** 2 - sd**2) / (2 * sd)], axis=-1)
    size = chain_convergence(parts).ess_bulk
    errors = parts.std(axis=(0, 1)) / np.sqrt(size)
    return Estimate(mean, sd, float(errors[0]), float(errors[1]), float(size[0]))


def our_draws(case: Case, data: pd.DataFrame, lengths: Lengths, seed: int) -> dict[str, Array]:
    """The second half of all chains, by parameter: (chains, iterations)."""
    imputer = rb.CompatibleImputer(
        rb.Lmer(case.model),
        m=lengths.chains,
        rhat=1.0001,
        min_iter=lengths.iterations,
        max_iter=lengths.iterations,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that R-hat is above 1.0001
        names, draws = chains_of(imputer.impute(data, seed=seed).trace)
    half = draws[:, lengths.iterations // 2 :]
    return {name: half[..., j] for j, name in enumerate(names)}


def jomo_draws(
    case: Case, data: pd.DataFrame, lengths: Lengths, seed: int
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The same of jomo, and the imputed values by column, (chains, imputations, holes)."""
    kinds = {"binary": case.binary, "of_groups": case.of_groups}
    parameters, imputed = [], []
    for i in range(lengths.jomo_chains):
        length = lengths.jomo_burn + lengths.jomo_iterations
        run = jomo_chain(data, case.model, length, seed=seed + i, **kinds)
        parameters.append(
            case.from_jomo({k: x[lengths.jomo_burn :] for k, x in run.values.items()})
        )
        imputations = jomo_imputations(
            data,
            case.model,
            lengths.jomo_imputations,
            burn=lengths.jomo_burn,
            between=lengths.jomo_between,
            seed=seed + 100 + i,
            **kinds,
        )
        imputed.append(imputations.values)
    return _stacked(parameters), _stacked(imputed)


def _stacked(parts: list[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.stack([part[name] for part in parts]) for name in parts[0]}


def of_imputed(case: Case, data: pd.DataFrame, imputed: Draws) -> dict[str, Array]:
    """Means and variances of imputed values, under our names; a group's value counts once."""
    values: dict[str, Array] = {}
    for name, x in imputed.items():
        if name in case.binary:
            values[f"share({name} = 1)"] = x.mean(axis=-1)
            continue
        if name in case.of_groups:
            first = ~data.loc[data[name].isna(), "g"].duplicated().to_numpy()
            x = x[..., first]
        values |= {f"mean({name})": x.mean(axis=-1), f"var({name})": x.var(axis=-1)}
    return values


def compare(case: Case, data: pd.DataFrame, lengths: Lengths, seed: int) -> tuple[str, str]:
    """The tables of parameters and of pooled estimates."""
    ours = our_draws(case, data, lengths, seed)
    chains, imputed = jomo_draws(case, data, lengths, seed)
    log_weights = case.log_ratio(ours, data)
    weights = np.exp(log_weights - log_weights.max())
    rows = []
    for name, theirs in (chains | of_imputed(case, data, imputed)).items():
        rows.append(
            {
                "parameter": name,
                "plain": estimate(ours[name]),
                "weighted": estimate(ours[name], weights),
                "jomo": estimate(theirs),
            }
        )
    return parameter_table(rows), pooled_table(case, data, imputed, lengths, seed)


def in_errors(a: float, b: float, a_error: float, b_error: float) -> float:
    return (a - b) / float(np.hypot(a_error, b_error))


def parameter_table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| parameter | ours | ours, jomo's priors | jomo.lmer | means differ by | SDs differ by | "
        "ESS, ours | ESS, jomo |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        plain, weighted, jomo = row["plain"], row["weighted"], row["jomo"]
        means = in_errors(weighted.mean, jomo.mean, weighted.mean_error, jomo.mean_error)
        sds = in_errors(weighted.sd, jomo.sd, weighted.sd_error, jomo.sd_error)
        shown = [f"{x.mean:.4f} ({x.sd:.4f})" for x in (plain, weighted, jomo)]
        sizes = [f"{x.size:.0f}" for x in (weighted, jomo)]
        cells = [f"`{row['parameter']}`", *shown, f"{means:+.1f}", f"{sds:+.1f}", *sizes]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def pooled_table(
    case: Case, data: pd.DataFrame, imputed: Draws, lengths: Lengths, seed: int
) -> str:
    """Pooled estimates of lmer, from our imputer as it comes and from jomo's imputations."""
    mine = rb.CompatibleImputer(rb.Lmer(case.model), m=lengths.m).impute(data, seed=seed + 1)
    m = min(lengths.m, lengths.jomo_chains * lengths.jomo_imputations)
    theirs = rb.ImputedData.from_frames(_frames(data, imputed, m))
    estimates = [_by_imputation(case, x) for x in (mine, theirs)]
    lines = [
        "| lmer after imputation | ours | jomo.lmer | they differ by |",
        "|---|---|---|---|",
    ]
    for name in estimates[0]:
        means = [float(x[name].mean()) for x in estimates]
        errors = [float(x[name].std(ddof=1) / np.sqrt(len(x))) for x in estimates]
        difference = in_errors(*means, *errors)
        shown = [f"{a:.4f} ({b:.4f})" for a, b in zip(means, errors, strict=True)]
        lines.append(f"| `{name}` | {shown[0]} | {shown[1]} | {difference:+.1f} |")
    return "\n".join(lines)


def _frames(data: pd.DataFrame, imputed: Draws, m: int) -> list[pd.DataFrame]:
    flat = {name: x.reshape(-1, x.shape[-1]) for name, x in imputed.items()}
    number = len(next(iter(flat.values())))
    frames = []
    for i in np.linspace(0, number - 1, m).round().astype(int):
        frame = data.copy()
        for name, x in flat.items():
            frame.loc[data[name].isna(), name] = x[i]
        frames.append(frame)
    return frames


def _by_imputation(case: Case, imp: rb.ImputedData) -> pd.DataFrame:
    """Coefficients and variances, a row per imputation."""
    rows = []
    for fit in rb.Lmer(case.model).fit(imp):
        table = fit.varcorr()
        variances = table[table["var2"].isna()]
        names = [
            "residual variance" if row.grp == "Residual" else f"var(g: {row.var1})"
            for row in variances.itertuples()
        ]
        rows.append(fit.beta.to_dict() | dict(zip(names, variances["vcov"].tolist(), strict=True)))
    return pd.DataFrame(rows)


def page(tables: dict[str, tuple[str, str]], lengths: Lengths, seed: int) -> str:
    lines = [
        "# CompatibleImputer against jomo.lmer",
        "",
        f"Output of `benchmarks/against_jomo.py` (seed {seed}). {GROUPS} groups of {SIZE} rows, "
        "standardised, 30% of x missing at random given y. Posterior means, with posterior SDs in "
        f"brackets: ours from {lengths.chains} chains of {lengths.iterations} iterations (the "
        f"second half), jomo's from {lengths.jomo_chains} chains of {lengths.jomo_iterations}, "
        f"after {lengths.jomo_burn}. Differences are in Monte Carlo standard errors.",
        "",
        "The priors differ: jomo's variances have inverse Wishart priors, some of them around the "
        "complete records' estimates. The third column weights our draws by the ratio of the "
        "priors' densities, and this column is compared with jomo's. Coefficients' priors are "
        "flat in jomo and wide in ours, and are taken as equal.",
        "",
        "lmer was fitted to the data sets that either imputer made (ours with its defaults, "
        f"m = {lengths.m}); estimates are means over them, in brackets their Monte Carlo "
        "standard errors. These differ by the priors, too.",
    ]
    for name, (parameters, pooled) in tables.items():
        case = CASES[name]
        lines += ["", f"## {case.title}: `{case.model}`", "", parameters, "", pooled]
        lines += ["", case.note] if case.note else []
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shorter", type=int, default=1, help="divide all lengths by this")
    parser.add_argument("--out", type=Path, help="write the page here")
    given = parser.parse_args()
    lengths = Lengths().shorter(given.shorter) if given.shorter > 1 else Lengths()
    tables = {}
    for name in given.cases:
        case = CASES[name]
        data = case.draw(np.random.default_rng([given.seed, list(CASES).index(name)]))
        tables[name] = compare(case, data, lengths, given.seed)
        print("\n\n".join([case.title, *tables[name], ""]), flush=True)
    if given.out:
        given.out.write_text(page(tables, lengths, given.seed))


if __name__ == "__main__":
    main()
