"""The page of the coverage study, from its stored rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from coverage_designs import DESIGNS, MISSING, RESIDUAL, STUDIED, UNITS, VARIANCES
from coverage_engines import ENGINES

__all__ = ["beside_complete", "fixed_effects", "page", "variances"]

INTERCEPTS, SLOPES = "g: (Intercept)", "g: x"


def page(rows: pd.DataFrame, *, seed: int, m: int) -> str:
    """All tables, each design under its heading."""
    rows = beside_complete(rows)
    studied = [name for name in STUDIED if (rows["design"] == name).any()]
    lines = [*_introduction(seed, m), *_in_short(rows, studied)]
    for name in studied:
        lines += [*_coefficients(rows, name), *_variances(rows, name, m)]
    lines += [*_units(rows), *_intervals(rows, studied)]
    return "\n".join(lines) + "\n"


def beside_complete(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, with the estimate that the same replication's complete data give."""
    keys = ["design", "replication", "part", "rule", "parameter"]
    complete = rows[rows["engine"] == "complete"].set_index(keys)["estimate"].rename("complete")
    return rows.join(complete, on=keys)


def fixed_effects(rows: pd.DataFrame, design: str) -> pd.DataFrame:
    """Bias, width and coverage of each coefficient, per engine and rule.

    Bias is a share of the truth, and `against_complete` is the difference from the complete data of
    the same replications as such a share. Columns that end in ``_error`` are Monte Carlo standard
    errors.
    """
    part = rows[(rows["design"] == design) & (rows["part"] == "fixed")]
    cells = []
    for (rule, term, engine), cell in _by_engine(part, ["rule", "parameter", "engine"]):
        truth = DESIGNS[design].truth[term]
        cells.append(
            {"rule": rule, "parameter": term, "engine": engine}
            | _mean("bias", cell["estimate"] / truth - 1)
            | _mean("against_complete", (cell["estimate"] - cell["complete"]) / truth)
            | _mean("width", cell["conf_high"] - cell["conf_low"])
            | _coverage(cell, truth)
        )
    return pd.DataFrame(cells).set_index(["rule", "parameter", "engine"])


def variances(rows: pd.DataFrame, design: str) -> pd.DataFrame:
    """Mean of each variance, its difference from complete data's as a share, and its interval."""
    part = rows[(rows["design"] == design) & (rows["part"] == "variance")]
    cells = []
    for (name, engine), cell in _by_engine(part, ["parameter", "engine"]):
        difference = (cell["estimate"] - cell["complete"]) / cell["complete"].mean()
        bounded = cell[cell["conf_low"].notna() & cell["conf_high"].notna()]
        cells.append(
            {"parameter": name, "engine": engine, "replications": len(cell)}
            | _mean("mean", cell["estimate"])
            | _mean("against_complete", difference)
            | {
                "with_interval": len(bounded) / len(cell),
                "low": np.sqrt(bounded["conf_low"]).median(),
                "high": np.sqrt(bounded["conf_high"]).median(),
            }
            | _coverage(bounded, VARIANCES[name])
        )
    return pd.DataFrame(cells).set_index(["parameter", "engine"])


def _by_engine(
    rows: pd.DataFrame, keys: list[str]
) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    """Groups in the order of their keys, engines in that of `ENGINES`."""
    engine = pd.Categorical(rows["engine"], list(ENGINES))
    yield from rows.assign(engine=engine).groupby(keys, observed=True)


def _mean(name: str, values: pd.Series[float]) -> dict[str, Any]:
    return {name: values.mean(), f"{name}_error": values.sem() if len(values) > 1 else np.nan}


def _coverage(rows: pd.DataFrame, truth: float) -> dict[str, Any]:
    share = ((rows["conf_low"] <= truth) & (rows["conf_high"] >= truth)).mean()
    error = np.sqrt(share * (1 - share) / len(rows)) if len(rows) else np.nan
    return {"coverage": share, "coverage_error": error}


def _introduction(seed: int, m: int) -> list[str]:
    return [
        "# Coverage of pooled intervals",
        "",
        f"Output of `benchmarks/coverage.py` (seed {seed}, m = {m}). In brackets: Monte Carlo "
        "standard errors.",
        "",
        "Two-level data of about 500 rows in groups g: `y = fixed part + u0 + u1 x + e`, with "
        "random intercepts and slopes (variances "
        f"{VARIANCES[INTERCEPTS]} and {VARIANCES[SLOPES]}) and residual variance "
        f"{VARIANCES[RESIDUAL]:.0f}. "
        "x has variance 1, of which 0.3 lies between groups (in the design with a binary x it is "
        "whether such a variable is positive); z is constant within groups. "
        f"Where x has holes, {100 * MISSING['x']:.0f}% of its rows are missing; where z has, "
        f"{100 * MISSING['z']:.0f}% of its groups. They are missing at random given y, which is "
        "always observed, as g is: the larger a row's y, the likelier is its x missing; the larger "
        "the mean of a group's y, the likelier is its z. Designs and engines see the same random "
        "numbers in a replication.",
        "",
        "The engines: *listwise* drops rows with holes. *Amelia* takes g for an id variable, and "
        "imputes z row by row; *cluster means* adds each group's means of the observed x and y "
        "(a binary x is nominal to it). *mice, 2l.pan* imputes a binary x by 2l.bin, and z by "
        "2lonly.norm; random intercepts, no random slope of y (with one, the coefficients of x are "
        "more biased); where the model has x:z, the product y:z is among x's predictors and y:x "
        "among z's (passive); one iteration where one column is incomplete, else 10. *jomo.lmer* "
        "has the analysis model, its own burn-in of 1000 and 1000 iterations between imputations, "
        "and standardised columns. *compatible* is "
        "`rb.CompatibleImputer` of the analysis model, with its defaults.",
        "",
        "Bias is in percent of the true coefficient; *against complete* is the difference from the "
        "same replications' complete data, in percent of the truth, whose Monte Carlo error is "
        "smaller. Coverage is that of 95% intervals by Rubin's rules, with the default degrees of "
        'freedom, and with `dfcom="satterthwaite"`, which allow for the number of groups. '
        "Variances are means over replications. CPU seconds are per imputed data set.",
    ]


def _in_short(rows: pd.DataFrame, studied: list[str]) -> Iterator[str]:
    """The extremes of each engine over all designs."""
    fixed = pd.concat([fixed_effects(rows, name) for name in studied])
    of_variances = pd.concat([variances(rows, name) for name in studied])
    yield from [
        "",
        "## In short",
        "",
        "The least and the largest figure over all designs and coefficients; all but coverage are "
        "differences from complete data. Replications are those of each design; where the program "
        "has not come to the end of them, the least.",
        "",
        "| imputation | coefficients | coverage | with Satterthwaite's df | slope variance "
        "| residual variance | replications |",
        "|---|---|---|---|---|---|---|",
    ]
    for engine in fixed.loc["residual"].index.unique("engine"):
        of_rule = fixed.xs(engine, level="engine")
        coefficients, small_sample = of_rule.loc["residual"], of_rule.loc["satterthwaite"]
        of_engine = of_variances.xs(engine, level="engine")
        own = of_engine["against_complete"]
        yield (
            f"| {ENGINES[engine].title} | {_span(coefficients['against_complete'], '{:+.1%}')} "
            f"| {_span(coefficients['coverage'], '{:.3f}')} "
            f"| {_span(small_sample['coverage'], '{:.3f}')} | {_span(own.loc[[SLOPES]], '{:+.1%}')}"
            f" | {_span(own.loc[[RESIDUAL]], '{:+.1%}')} | {of_engine['replications'].min()} |"
        )


def _coefficients(rows: pd.DataFrame, name: str) -> Iterator[str]:
    design = DESIGNS[name]
    truth = ", ".join(f"{term} {value:g}" for term, value in design.truth.items())
    yield from [
        "",
        f"## {design.title[0].upper()}{design.title[1:]}",
        "",
        f"`{design.model}`; {len(design.sizes)} groups; holes in {' and '.join(design.holes)}; "
        f"true coefficients: {truth}.",
        "",
        "| coefficient | imputation | bias | against complete | mean width | coverage "
        "| with Satterthwaite's df |",
        "|---|---|---|---|---|---|---|",
    ]
    table = fixed_effects(rows, name)
    for term in design.truth:
        small_sample = table.loc["satterthwaite"].loc[term]
        for engine, r in table.loc["residual"].loc[term].iterrows():
            yield (
                f"| {term} | {ENGINES[engine].title} | {_percent(r, 'bias')} "
                f"| {_percent(r, 'against_complete', engine)} | {_number(r, 'width')} "
                f"| {_number(r, 'coverage')} | {_number(small_sample.loc[engine], 'coverage')} |"
            )


def _variances(rows: pd.DataFrame, name: str, m: int) -> Iterator[str]:
    yield from [
        "",
        f"| imputation | slope variance ({VARIANCES[SLOPES]:g}) | intercept variance "
        f"({VARIANCES[INTERCEPTS]:g}) | residual variance, against complete | replications "
        "| failed | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    table = variances(rows, name)
    part = rows[rows["design"] == name]
    seconds = part[part["part"] == "cpu"].groupby("engine")["estimate"].mean() / m
    failed = part[part["part"] == "failed"].groupby("engine").size()
    for engine, residual in table.loc[RESIDUAL].iterrows():
        imputed = engine not in ("complete", "listwise")
        yield (
            f"| {ENGINES[engine].title} | {_number(table.loc[(SLOPES, engine)], 'mean')} "
            f"| {_number(table.loc[(INTERCEPTS, engine)], 'mean')} "
            f"| {_percent(residual, 'against_complete', engine)} | {residual['replications']:.0f} "
            f"| {failed.get(engine, 0)} | {f'{seconds[engine]:.3f}' if imputed else '-'} |"
        )


def _units(rows: pd.DataFrame) -> Iterator[str]:
    """merTools' rule beside Rubin's, in two units of x."""
    if not rows["design"].isin(UNITS).any():
        return
    yield from [
        "",
        "## Units, and merTools' rule",
        "",
        "The first design, with x in two other units: small ones, in which its numbers are 10 "
        "times larger, and large ones, in which they are 100 times smaller. Bias and width are "
        "brought back to the unit in which the slope of x is 1. merTools' rule is "
        "`modelFixedEff`'s standard error and df (`fits.mertools`).",
        "",
        "| imputation | rule | units of x | bias | mean width | coverage |",
        "|---|---|---|---|---|---|",
    ]
    titles = {"residual": "Rubin", "mertools": "merTools"}
    for design in (name for name in UNITS if (rows["design"] == name).any()):
        table = fixed_effects(rows, design).xs("x", level="parameter")
        for engine in table.loc["mertools"].index:
            for rule, title in titles.items():
                r = table.loc[(rule, engine)]
                yield (
                    f"| {ENGINES[engine].title} | {title} | {design.removesuffix('_units')} "
                    f"| {_percent(r, 'bias')} | {_number(r, 'width')} | {_number(r, 'coverage')} |"
                )


def _intervals(rows: pd.DataFrame, studied: list[str]) -> Iterator[str]:
    yield from [
        "",
        "## Intervals of the slopes' SD",
        "",
        "The 95% intervals of the SD of the slopes (`pooled.random`), which is "
        f"{np.sqrt(VARIANCES[SLOPES]):.3f}. They are made on the log scale, and reach far up where "
        "the SD is small: so they may cover though the estimates are too small. A fit on the "
        "boundary (a variance of 0) in any imputation leaves no interval.",
        "",
        "| design | imputation | with an interval | its median | its coverage |",
        "|---|---|---|---|---|",
    ]
    for design in studied:
        for engine, r in variances(rows, design).loc[SLOPES].iterrows():
            if r["with_interval"] > 0:
                yield (
                    f"| {DESIGNS[design].title} | {ENGINES[engine].title} "
                    f"| {100 * r['with_interval']:.0f}% | {r['low']:.3f} to {r['high']:.3f} "
                    f"| {_number(r, 'coverage')} |"
                )


def _number(row: pd.Series[float], name: str) -> str:
    return f"{row[name]:.3f} ({row[f'{name}_error']:.3f})"


def _percent(row: pd.Series[float], name: str, engine: str = "") -> str:
    if engine == "complete":
        return "-"
    return f"{100 * row[name]:+.1f}% ({100 * row[f'{name}_error']:.1f})"


def _span(values: pd.Series[float], form: str) -> str:
    if not values.any():  # complete data beside themselves
        return "-"
    return f"{form.format(values.min())} to {form.format(values.max())}"
