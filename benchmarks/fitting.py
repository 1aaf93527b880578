"""Fits through the bridge against the same calls inside the same R; where lme4's time goes."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from harness import Report

import rbridge_mi as rb
from rbridge_mi import rdoor

VIGNETTE = "mathach ~ minority + female + ses + meanses + (1 + ses | schid)"
INSTEVAL = "y ~ service + (1 | s) + (1 | d)"
SLEEPSTUDY = "Reaction ~ Days + (Days | Subject)"
IN_R, TABLES_IN_R = "lapply(lmer) in R", "lapply(lmer) and the tables in R"


def r_function(name: str) -> Any:
    """A function of peers.R, in this process' R."""
    source = str(Path(__file__).with_name("peers.R"))
    environment = rdoor.call_object("base::new.env")
    rdoor.call("base::sys.source", source, environment)
    return rdoor.call_object("base::get", name, environment)


def vignette_data(m: int, seed: int = 1, *, ses: bool = True) -> rb.ImputedData:
    """hsb with 5% holes, imputed; with or without those of `ses`, which has random slopes."""
    columns = ["minority", "female", *(["ses"] if ses else []), "size"]
    holes = rb.ampute(rb.load_hsb(), prop=0.05, columns=columns, seed=1)
    imputer = rb.AmeliaImputer(m=m, idvars=["schid", "meanses"], noms=["minority", "female"])
    return imputer.impute(holes, seed=seed)


def of_lme4(name: str) -> pd.DataFrame:
    """One of lme4's data sets."""
    frame: pd.DataFrame = rdoor.call("base::getExportedValue", "lme4", name).value
    return frame


def insteval(rows: int) -> pd.DataFrame:
    return of_lme4("InstEval").head(rows).astype({"s": "str", "d": "str", "service": "str"})


def with_noise(frame: pd.DataFrame, response: str, sd: float, m: int) -> rb.ImputedData:
    """Data sets that differ in their response."""
    g = np.random.default_rng(0)
    noise = (g.normal(0, sd, len(frame)) for _ in range(m))
    return rb.ImputedData.from_frames(
        [frame.assign(**{response: frame[response] + x}) for x in noise]
    )


def collect() -> None:
    """Python's garbage, and R's: a full collection of R's takes as long as two fits."""
    gc.collect()
    rdoor.call("base::gc")


def collecting() -> float:
    """Seconds that R has spent on collecting garbage. It does so wholly every 100th time, 0.2 s at
    once: whether that falls into our twenty fits or into the peer's is chance."""
    return float(rdoor.call("base::gc.time").value[2])


def all_tables(fits: Iterable[rb.MerMod]) -> None:
    for fit in fits:
        fit.fixef(), fit.ranef(), fit.varcorr(), fit.vcov(), fit.coef(), fit.model_info()
        fit.tidy(), fit.glance()


def against_r(
    report: Report,
    name: str,
    fit: Callable[[], Iterable[rb.MerMod]],
    formula: str,
    frames: Sequence[pd.DataFrame],
    *,
    rounds: int,
    at_most: float | None = None,
    at_most_with_tables: float | None = None,
) -> None:
    """Our fits to these frames, and R's; then both with every table."""
    bare, tabled = r_function("fit_each"), r_function("fit_each_with_tables")
    held = rdoor.call_object("base::list", *frames)

    def inside(function: Any) -> None:
        rdoor.call_object("base::do.call", function, [held, formula])

    report.race(
        f"{name}, tables not yet asked for",
        fit,
        {IN_R: partial(inside, bare)},
        rounds=rounds, before=collect, less=collecting,
        at_most={} if at_most is None else {IN_R: at_most},
    )  # fmt: skip
    report.race(
        f"{name} with all tables",
        lambda: all_tables(fit()),
        {IN_R: partial(inside, bare), TABLES_IN_R: partial(inside, tabled)},
        rounds=rounds, before=collect, less=collecting,
        at_most={} if at_most_with_tables is None else {TABLES_IN_R: at_most_with_tables},
    )  # fmt: skip


def run(report: Report, rounds: int) -> None:
    """hsb and InstEval: lists of fits, and one."""
    for name, formula, data, at_most in (
        ("hsb", VIGNETTE, vignette_data(20, ses=False), 0.85),
        ("hsb, ses imputed", VIGNETTE, vignette_data(20), 0.92),
        ("InstEval, 5000 rows", INSTEVAL, with_noise(insteval(5000), "y", 0.01, 20), 1.02),
    ):  # fmt: skip
        model = rb.Lmer(formula)
        one = rb.ImputedData.from_frames([data[0]])
        against_r(report, f"{name}: 1 fits", partial(model.fit, one), formula, list(one),
                  rounds=rounds)  # fmt: skip
        # A percent is what is asked about, and what chance adds to one round.
        against_r(report, f"{name}: 20 fits", partial(model.fit, data), formula, list(data),
                  rounds=3 * rounds, at_most=at_most, at_most_with_tables=1.05)  # fmt: skip


def small(report: Report, rounds: int, count: int = 50) -> None:
    """Fits of some milliseconds: in a list, and one call after the other."""
    model = rb.Lmer(SLEEPSTUDY)
    data = with_noise(of_lme4("sleepstudy"), "Reaction", 1.0, count)
    against_r(report, f"sleepstudy: {count} fits in a list", partial(model.fit, data), SLEEPSTUDY,
              list(data), rounds=3 * rounds, at_most=1.05, at_most_with_tables=1.2)  # fmt: skip
    frames = list(data)

    def alone() -> list[rb.MerMod]:
        return [model.fit(x) for x in frames]

    against_r(report, f"sleepstudy: {count} fits, each alone", alone, SLEEPSTUDY, frames,
              rounds=3 * rounds, at_most=1.15, at_most_with_tables=1.2)  # fmt: skip


def profile() -> str:
    """Where the time of one hsb fit goes, as a table."""
    steps = r_function("steps_of_a_fit")
    named = rdoor.call_object("base::do.call", steps, [vignette_data(2)[0], VIGNETTE, 9])
    names, values = rdoor.call("base::names", named).value, rdoor.call("base::c", named).value
    found = dict(zip(names, [float(x) for x in values], strict=True))
    whole = sum(x for name, x in found.items() if name not in ("tables", "printed summary"))
    lines = ["| one hsb fit, in R | ms | of the fit |", "|---|---|---|"]
    lines += [f"| {name} | {1000 * x:.1f} | {x / whole:.0%} |" for name, x in found.items()]
    return "\n".join([*lines, ""])


def choices(report: Report, rounds: int) -> None:
    """What a user can choose, and its price."""
    data = vignette_data(2)[0]
    plain = rb.Lmer(VIGNETTE)
    for name, control in (
        ("calc.derivs = FALSE", {"calc.derivs": False}),
        ("optimizer = bobyqa", {"optimizer": "bobyqa"}),
        ("optimizer = Nelder_Mead", {"optimizer": "Nelder_Mead"}),
        ("optimizer = nlminbwrap", {"optimizer": "nlminbwrap"}),
    ):
        other = rb.Lmer(VIGNETTE, control=control)
        a, b = plain.fit(data), other.fit(data)
        far = float(np.max(np.abs(a.beta / b.beta - 1)))
        report.race(
            f"one hsb fit, {name}", partial(other.fit, data),
            {"the default": lambda: plain.fit(data)}, rounds=rounds,
            before=collect, less=collecting,
            note=f"fixed effects differ by {far:.1e} at most",
        )  # fmt: skip
