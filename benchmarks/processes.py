"""Two processes, and a cluster of two Dask workers, against one, and against merTools in R."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import tempfile
import warnings
from pathlib import Path

import joblib
from fitting import VIGNETTE, vignette_data
from harness import Report

import rbridge_mi as rb

M = 20


def mertools(data: rb.ImputedData, rounds: int) -> dict[str, float]:
    """Median seconds of lmerModList over the same frames, sequential and with future."""
    with tempfile.TemporaryDirectory() as folder:
        for i, frame in enumerate(data):
            frame.to_csv(Path(folder) / f"{i}.csv", index=False)
        program = Path(__file__).with_name("mertools_parallel.R")
        done = subprocess.run(
            [shutil.which("Rscript") or "Rscript", str(program), folder, VIGNETTE, str(rounds)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    found: dict[str, list[float]] = {}
    for name, seconds in re.findall(r"^(\w+) ([\d.]+)$", done.stdout, re.MULTILINE):
        found.setdefault(name, []).append(float(seconds))
    return {name: statistics.median(x) for name, x in found.items()}


def run(report: Report, rounds: int) -> None:
    data = vignette_data(M)
    model = rb.Lmer(VIGNETTE)

    def tables(fits: rb.MerModList) -> None:
        for fit in fits:
            fit.ranef(), fit.vcov(), fit.varcorr(), fit.coef()

    report.race(
        f"{M} hsb fits with tables, n_jobs=2", lambda: tables(model.fit(data, n_jobs=2)),
        {"n_jobs=1": lambda: tables(model.fit(data))}, rounds=rounds,
        at_most={"n_jobs=1": 1 / 1.7},
    )  # fmt: skip
    ours = next(row.ours for row in reversed(report.rows))
    single = next(row.peer for row in reversed(report.rows))
    peers = mertools(data, rounds)
    report.add(f"{M} hsb fits, n_jobs=1", "s", single, "merTools, sequential", peers["sequential"])
    if "future" in peers:
        report.add(f"{M} hsb fits, n_jobs=2", "s", ours, "future.apply, two workers",
                   peers["future"])  # fmt: skip

    from distributed import Client, LocalCluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster),
        ):

            def on_dask() -> None:
                with joblib.parallel_config(backend="dask"):
                    tables(model.fit(data))

            report.race(
                f"{M} hsb fits with tables, Dask, 2 workers", on_dask,
                {"n_jobs=1": lambda: tables(model.fit(data))}, rounds=rounds,
            )  # fmt: skip
