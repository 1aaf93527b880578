"""One fit, beside those of packages without R: its time, and how many digits they have of lme4's.

The packages run in the environment and the processes of `without_r.py`, whose page has many more
models. The time goes from a frame to the estimates: fixed effects, SDs, log likelihood and fitted
values.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from fitting import INSTEVAL, SLEEPSTUDY, VIGNETTE, collect, insteval, of_lme4
from harness import Report
from without_r import PEERS, Peer, environment, job_of, versions, whole
from without_r import of_lme4 as numbers_of
from without_r_numbers import compared

import rbridge_mi as rb

FOLDER = Path(__file__).resolve().parents[1] / "build" / "peers"
LIMIT = 120.0  # seconds of one fit


def run(report: Report, rounds: int) -> None:
    try:
        python = environment(FOLDER)
    except subprocess.CalledProcessError as error:
        print(f"packages without R: not measured, since they could not be installed ({error})")
        return
    names = {name: f"{name} {version}" for name, version in versions(python).items()}
    for what, formula, frame in (
        ("hsb", VIGNETTE, rb.load_hsb()),
        ("sleepstudy", SLEEPSTUDY, of_lme4("sleepstudy")),
        ("InstEval, 20,000 rows", INSTEVAL, insteval(20_000)),
    ):
        peers = {name: Peer(python, name, LIMIT) for name in PEERS}
        try:
            _one_model(report, what, formula, frame, peers, names, rounds)
        finally:
            for peer in peers.values():
                peer.close()


def _one_model(
    report: Report,
    what: str,
    formula: str,
    frame: pd.DataFrame,
    peers: dict[str, Peer],
    names: dict[str, str],
    rounds: int,
) -> None:
    """Everyone's fit in turn, after one that warms up, and whose numbers are compared."""
    model = rb.Lmer(formula)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.pickle"
        frame.to_pickle(path)
        job = job_of(whole(what, formula), path)
        lme4 = numbers_of(model.fit(frame))
        answers = {name: peer.ask(job) for name, peer in peers.items()}
        times: dict[str, list[float]] = {name: [] for name in answers if "fixed" in answers[name]}
        ours = []
        for _ in range(rounds):
            collect()
            start = time.perf_counter()
            estimates(model.fit(frame))
            ours.append(time.perf_counter() - start)
            for name, taken in times.items():
                taken.append(peers[name].ask(job).get("seconds", math.nan))
    for name, answer in answers.items():
        taken = times.get(name, [math.nan] * rounds)
        report.add(
            f"{what}: one fit and its estimates", "s", statistics.median(ours),
            names[name], statistics.median(taken),
            ratio=statistics.median(a / b for a, b in zip(ours, taken, strict=True)),
            note=agreement(lme4, answer),
        )  # fmt: skip


def estimates(fit: rb.MerMod) -> None:
    """What is asked of the packages too."""
    fit.fixef(), fit.varcorr(), fit.glance(), fit.fitted()


def agreement(lme4: dict[str, Any], answer: dict[str, Any]) -> str:
    """How many of lme4's digits an answer has; or why there is none."""
    for why, words in (("not_offered", "can't be written"), ("error", "stops")):
        if why in answer:
            return f"{words}: {answer[why].splitlines()[0][:70]}"
    of = compared(lme4, answer)
    fixed, sd, log_lik = ("no" if of[x] is None else of[x] for x in ("fixed", "sd", "log_lik"))
    return f"digits of lme4's: {fixed} of fixed effects, {sd} of SDs, {log_lik} of log likelihood"
