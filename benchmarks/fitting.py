"""Fits through the bridge against the same calls inside the same R; where lme4's time goes."""

from __future__ import annotations

import gc
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


def r_function(name: str) -> Any:
    """A function of peers.R, in this process' R."""
    source = str(Path(__file__).with_name("peers.R"))
    environment = rdoor.call_object("base::new.env")
    rdoor.call("base::sys.source", source, environment)
    return rdoor.call_object("base::get", name, environment)


def vignette_data(m: int, seed: int = 1) -> rb.ImputedData:
    holes = rb.ampute(
        rb.load_hsb(), prop=0.05, columns=["minority", "female", "ses", "size"], seed=1
    )
    imputer = rb.AmeliaImputer(m=m, idvars=["schid", "meanses"], noms=["minority", "female"])
    return imputer.impute(holes, seed=seed)


def insteval(m: int) -> rb.ImputedData:
    whole = rdoor.call_object("base::getExportedValue", "lme4", "InstEval")
    frame: pd.DataFrame = rdoor.call("utils::head", whole, 5000).value
    frame = frame.astype({"s": "str", "d": "str", "service": "str"})
    g = np.random.default_rng(0)
    return rb.ImputedData.from_frames(
        [frame.assign(y=frame["y"] + g.normal(0, 0.01, len(frame))) for _ in range(m)]
    )


def collect() -> None:
    """Python's garbage, and R's: a full collection of R's takes as long as two fits."""
    gc.collect()
    rdoor.call("base::gc")


def collecting() -> float:
    """Seconds that R has spent on collecting garbage. It does so wholly every 100th time, 0.2 s at
    once: whether that falls into our twenty fits or into the peer's is chance."""
    return float(rdoor.call("base::gc.time").value[2])


def all_tables(fits: rb.MerModList) -> None:
    for fit in fits:
        fit.fixef(), fit.ranef(), fit.varcorr(), fit.vcov(), fit.coef(), fit.model_info()
        fit.tidy(), fit.glance()


def fit_with_tables(model: rb.Lmer, data: rb.ImputedData) -> None:
    all_tables(model.fit(data))


def run(report: Report, rounds: int) -> None:
    rdoor.call("base::gc.time", True)
    bare, tabled = r_function("fit_each"), r_function("fit_each_with_tables")
    for name, formula, data in (
        ("hsb", VIGNETTE, vignette_data(20)), ("InstEval, 5000 rows", INSTEVAL, insteval(20)),
    ):  # fmt: skip
        model = rb.Lmer(formula)
        held = rdoor.call_object("base::list", *list(data))
        one = rb.ImputedData.from_frames([data[0]])
        held_one = rdoor.call_object("base::list", data[0])

        def inside(function: Any, frames: Any, formula: str = formula) -> None:
            rdoor.call_object("base::do.call", function, [frames, formula])

        # A percent is what is asked about, and what chance adds to one round.
        for count, mine, frames, turns in (
            (1, one, held_one, rounds),
            (20, data, held, 3 * rounds),
        ):
            report.race(
                f"{name}: {count} fits, tables not yet asked for",
                partial(model.fit, mine),
                {"lapply(lmer) in R": partial(inside, bare, frames)},
                rounds=turns, before=collect, less=collecting,
                at_most={"lapply(lmer) in R": 1.02} if count == 20 else None,
            )  # fmt: skip
            report.race(
                f"{name}: {count} fits with all tables",
                partial(fit_with_tables, model, mine),
                {
                    "lapply(lmer) in R": partial(inside, bare, frames),
                    "lapply(lmer) and the tables in R": partial(inside, tabled, frames),
                },
                rounds=turns, before=collect, less=collecting,
                at_most={"lapply(lmer) and the tables in R": 1.05} if count == 20 else None,
            )  # fmt: skip


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
