"""Do the intervals cover? Two-level data with holes, imputed by Amelia, pooled by two rules.

    .venv/bin/python benchmarks/coverage.py --replications 400 --n-jobs 2 --table docs/coverage.md

Every replication draws 50 groups of 10 rows: y = 1 + x + u0 + u1 x + e, with random intercepts and
slopes (SDs 0.71 and 0.45), e and x standard normal in sum (30% of x's variance lies between
groups). 30% of x is then made missing, at random given y: the larger y, the likelier. Amelia
imputes, alone (the group is an id variable) or with each group's observed means of x and y as
further columns, and ``y ~ x + (1 + x | g)`` is fitted. x is carried in two units, 10 times
smaller and 100 times larger than the one in which its slope is 1 (lme4's optimizer does not bear
much more).

Finished replications are kept in a file, and are not computed again: the program can be stopped and
started at will. Replication k is the same whatever ran before it, or beside it.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from tqdm import tqdm

import rbridge_mi as rb
from rbridge_mi.pooling import tails

GROUPS, SIZE, SLOPE = 50, 10, 1.0
SDS = {"intercept": 0.5**0.5, "slope": 0.2**0.5, "residual": 1.0}
MISSING = 0.3
MODEL = "y ~ x + (1 + x | g)"
# Name, and by how much x's numbers grow: in smaller units the numbers are larger.
UNITS = {"small": 10.0, "large": 0.01}
FIELDS = ("replication", "imputation", "rule", "units", "estimate", "std_error", "low", "high",
          "slope_variance", "sd_low", "sd_high")  # fmt: skip


def draw(rng: np.random.Generator) -> pd.DataFrame:
    """Complete data."""
    g = np.repeat(np.arange(GROUPS), SIZE)
    x = np.sqrt(0.3) * rng.normal(size=GROUPS)[g] + np.sqrt(0.7) * rng.normal(size=g.size)
    intercept = SDS["intercept"] * rng.normal(size=GROUPS)[g]
    slope = SLOPE + SDS["slope"] * rng.normal(size=GROUPS)[g]
    y = 1.0 + intercept + slope * x + SDS["residual"] * rng.normal(size=g.size)
    return pd.DataFrame({"g": [f"g{i:02}" for i in g], "x": x, "y": y})


def delete(data: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """x missing at random given y, in `MISSING` of the rows on average."""
    z = (data["y"] - data["y"].mean()) / data["y"].std()
    low, high = -10.0, 10.0
    for _ in range(60):  # the intercept that makes the mean probability right
        middle = (low + high) / 2
        probability = 1 / (1 + np.exp(-(middle + z)))
        low, high = (middle, high) if probability.mean() < MISSING else (low, middle)
    return data.assign(x=data["x"].mask(rng.uniform(size=len(data)) < probability))


def one(replication: int, seed: int, m: int) -> list[dict[str, Any]]:
    """All rows of one replication."""
    rng = np.random.default_rng([seed, replication])
    complete = draw(rng)
    holes = delete(complete, rng)
    amelia_seed = int(rng.integers(2**31 - 1))
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # singular fits are part of the study
        for name, data in (("none: complete data", complete), ("none: listwise", holes)):
            fit = rb.Lmer(MODEL).fit(data)
            std_error = float(np.sqrt(fit.vcov().loc["x", "x"]))
            half = float(tails.t_critical(0.95, fit.df_residual)) * std_error
            estimate = float(fit.beta["x"])
            rows.append(
                _row(replication, name, "single fit", "small", 1.0, estimate, std_error, half)
                | {"slope_variance": _slope_variance(fit.varcorr())}
            )
        for units, factor in UNITS.items():
            scaled = holes.assign(x=holes["x"] * factor)
            means = scaled.assign(
                x_mean=scaled.groupby("g")["x"].transform("mean"),
                y_mean=scaled.groupby("g")["y"].transform("mean"),
            )
            for name, data in (("Amelia", scaled), ("Amelia, cluster means", means)):
                imp = rb.AmeliaImputer(m=m, idvars="g").impute(data, seed=amelia_seed)
                fits = rb.Lmer(MODEL).fit(imp)
                rows += _both_rules(replication, name, units, factor, fits)
    return rows


def _both_rules(
    replication: int, name: str, units: str, factor: float, fits: rb.MerModList
) -> Iterator[dict[str, Any]]:
    """Ours and merTools', brought back to the units in which the slope is 1."""
    pooled = fits.pool()
    ours = pooled.fixed.set_index("term").loc["x"]
    half = (ours["conf_high"] - ours["conf_low"]) / 2
    sd = {}
    if units == "small":
        random = pooled.random.set_index("term").loc["sd__x"]
        sd = {"sd_low": random["conf_low"] * factor, "sd_high": random["conf_high"] * factor}
    variance = {"slope_variance": _slope_variance(pooled.varcorr) * factor**2}
    yield (
        _row(replication, name, "Rubin", units, factor, ours["estimate"], ours["std_error"], half)
        | variance
        | sd
    )
    theirs = fits.mertools.model_fixed_eff().set_index("term").loc["x"]
    half = float(tails.t_critical(0.95, theirs["df"])) * theirs["std_error"]
    yield _row(
        replication, name, "merTools", units, factor, theirs["estimate"], theirs["std_error"], half
    )


def _row(
    replication: int,
    imputation: str,
    rule: str,
    units: str,
    factor: float,
    estimate: float,
    std_error: float,
    half: float,
) -> dict[str, Any]:
    return {
        "replication": replication,
        "imputation": imputation,
        "rule": rule,
        "units": units,
        "estimate": estimate * factor,
        "std_error": std_error * factor,
        "low": (estimate - half) * factor,
        "high": (estimate + half) * factor,
    }


def _slope_variance(varcorr: pd.DataFrame) -> float:
    own = varcorr[(varcorr["var1"] == "x") & varcorr["var2"].isna()]
    return float(own["vcov"].iloc[0])


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Bias, width and coverage per imputation, rule and units, each with its Monte Carlo error."""
    keys = ["imputation", "rule", "units"]
    found = []
    for key, part in rows.groupby(keys, sort=False):
        n = len(part)
        covered = ((part["low"] <= SLOPE) & (part["high"] >= SLOPE)).mean()
        found.append(
            {
                **dict(zip(keys, key, strict=True)),
                "bias": part["estimate"].mean() / SLOPE - 1,
                "bias_error": part["estimate"].std() / SLOPE / np.sqrt(n),
                "width": (part["high"] - part["low"]).mean(),
                "width_error": (part["high"] - part["low"]).std() / np.sqrt(n),
                "coverage": covered,
                "coverage_error": np.sqrt(covered * (1 - covered) / n),
            }
        )
    return pd.DataFrame(found)


def slope_variances(rows: pd.DataFrame) -> pd.DataFrame:
    """The slopes' variance, and how often the interval of their SD covers, where it has one."""
    truth = SDS["slope"]
    found = []
    for name, part in rows[rows["units"] == "small"].groupby("imputation", sort=False):
        part = part[part["slope_variance"].notna()]
        bounded = part[part["sd_low"].notna()]
        covered = (
            ((bounded["sd_low"] <= truth) & (bounded["sd_high"] >= truth)).mean()
            if len(bounded)
            else np.nan
        )
        found.append(
            {
                "imputation": name,
                "mean": part["slope_variance"].mean(),
                "mean_error": part["slope_variance"].std() / np.sqrt(len(part)),
                "with_interval": len(bounded) / len(part),
                "low": bounded["sd_low"].median(),
                "high": bounded["sd_high"].median(),
                "coverage": covered,
                "coverage_error": np.sqrt(covered * (1 - covered) / max(len(bounded), 1)),
            }
        )
    return pd.DataFrame(found)


def report(rows: pd.DataFrame, m: int, seed: int) -> str:
    """The page: what was done, and the tables."""
    n = rows["replication"].nunique()
    lines = [
        "# Coverage of pooled intervals",
        "",
        f"Output of `benchmarks/coverage.py` (seed {seed}, {n} replications, m = {m}). In "
        "brackets: Monte Carlo standard errors.",
        "",
        "Two-level data, 50 groups of 10 rows, `y = 1 + x + u0 + u1 x + e` with random intercepts "
        "and slopes; 30% of x missing at random given y (the larger y, the likelier); model "
        f"`{MODEL}`; 95% intervals for the slope of x, which is 1. x comes in two units: small "
        "ones, in which its numbers are 10 times larger, and large ones, in which they are 100 "
        "times smaller. Bias and width are brought back to the unit in which the slope is 1. "
        "merTools' rule is `modelFixedEff`'s standard error and df (`fits.mertools`).",
        "",
        "| imputation | rule | units of x | bias | mean width | coverage |",
        "|---|---|---|---|---|---|",
    ]
    for r in summarise(rows).itertuples():
        units = "-" if r.rule == "single fit" else r.units
        bias = f"{100 * r.bias:+.1f}% ({100 * r.bias_error:.1f})"
        lines.append(
            f"| {r.imputation} | {r.rule} | {units} | {bias}"
            f" | {r.width:.3f} ({r.width_error:.3f}) | {r.coverage:.3f} ({r.coverage_error:.3f}) |"
        )
    lines += [
        "",
        f"The variance of the slopes, which is {SDS['slope'] ** 2:.2f}, and the 95% intervals of "
        f"their SD, {SDS['slope']:.3f} (`pooled.random`). They are made on the log scale, and "
        "reach far up where the SD is small: so they cover though the estimates are too small. A "
        "fit on the boundary (a variance of 0) in any imputation leaves no interval.",
        "",
        "| imputation | mean variance | with an interval | its median | its coverage |",
        "|---|---|---|---|---|",
    ]
    for r in slope_variances(rows).itertuples():
        covered = "-" if np.isnan(r.coverage) else f"{r.coverage:.3f} ({r.coverage_error:.3f})"
        share = "-" if np.isnan(r.coverage) else f"{100 * r.with_interval:.0f}%"
        median = "-" if np.isnan(r.coverage) else f"{r.low:.3f} to {r.high:.3f}"
        mean = f"{r.mean:.3f} ({r.mean_error:.3f})"
        lines.append(f"| {r.imputation} | {mean} | {share} | {median} | {covered} |")
    return "\n".join(lines) + "\n"


def finished(path: Path) -> pd.DataFrame:
    """Replications that are complete in the file; one that was cut short is left out."""
    if not path.exists():
        return pd.DataFrame(columns=list(FIELDS))
    rows = pd.read_csv(path)
    size = 2 + 2 * 2 * len(UNITS)
    whole = rows.groupby("replication")["rule"].transform("size") == size
    return rows[whole].reset_index(drop=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--replications", type=int, default=400)
    parser.add_argument("--m", type=int, default=10, help="imputations")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, help="finished replications; in build/ by default")
    parser.add_argument("--table", type=Path, help="where to write the page; else it is printed")
    given = parser.parse_args()
    out = given.out or Path("build") / f"coverage-seed{given.seed}-m{given.m}.csv"
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = finished(out)
    rows.to_csv(out, index=False)
    done = set(rows["replication"])
    left = [k for k in range(given.replications) if k not in done]
    results = joblib.Parallel(n_jobs=given.n_jobs, return_as="generator_unordered")(
        joblib.delayed(one)(k, given.seed, given.m) for k in left
    )
    bar = tqdm(results, total=given.replications, initial=len(done), unit="replication")
    with out.open("a", newline="") as handle:
        writer = csv.DictWriter(handle, FIELDS, restval="")
        for found in bar:
            writer.writerows(
                {k: repr(float(v)) if isinstance(v, float) else v for k, v in row.items()}
                for row in found
            )
            handle.flush()
    rows = finished(out)
    rows = rows[rows["replication"] < given.replications].sort_values("replication", kind="stable")
    page = report(rows, given.m, given.seed)
    if given.table:
        given.table.parent.mkdir(parents=True, exist_ok=True)
        given.table.write_text(page)
    else:
        print(page)


if __name__ == "__main__":
    main()
