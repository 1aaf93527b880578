"""Two processes, and a cluster of two Dask workers, against one, and against merTools in R."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import joblib
from fitting import VIGNETTE, collect, vignette_data
from harness import Report

import rbridge_mi as rb
from rbridge_mi.processes.workers import run_each

M = 20


class MerTools:
    """An Rscript with the same frames, that runs merTools when told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._wait()

    def run(self, name: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(name + "\n")
        self._process.stdin.flush()
        self._wait()

    def _wait(self) -> None:
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() not in ("ready", "done"):
            raise SystemExit("mertools_parallel.R stopped")


@contextmanager
def mertools(data: rb.ImputedData) -> Iterator[MerTools]:
    with tempfile.TemporaryDirectory() as folder:
        for i, frame in enumerate(data):
            frame.to_csv(Path(folder) / f"{i:02}.csv", index=False)
        program = Path(__file__).with_name("mertools_parallel.R")
        with subprocess.Popen(
            [shutil.which("Rscript") or "Rscript", str(program), folder, VIGNETTE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            yield MerTools(process)


def _collect_there(*_: int) -> None:
    collect()
    time.sleep(0.1)  # the other worker is to take the other task


def collect_everywhere() -> None:
    """The garbage of this process, and of its two workers: a full collection takes 0.2 s."""
    collect()
    list(
        run_each(
            range(2), lambda _: [], _collect_there, shared=int, part=int, n_jobs=2, what="collect"
        )
    )


def tables(fits: rb.MerModList) -> None:
    for fit in fits:
        fit.ranef(), fit.vcov(), fit.varcorr(), fit.coef()


def run(report: Report, rounds: int) -> None:
    data = vignette_data(M)
    model = rb.Lmer(VIGNETTE)

    def single() -> None:
        tables(model.fit(data))

    with mertools(data) as peer:

        def collect_here_and_there() -> None:
            collect()
            peer.run("gc")

        def collect_on_workers_and_there() -> None:
            collect_everywhere()
            peer.run("gc")

        report.race(
            f"{M} hsb fits with tables, n_jobs=1", single,
            {"merTools, sequential": lambda: peer.run("sequential")},
            rounds=rounds, before=collect_here_and_there,
        )  # fmt: skip
        report.race(
            f"{M} hsb fits with tables, n_jobs=2", lambda: tables(model.fit(data, n_jobs=2)),
            {"n_jobs=1": single, "future.apply, 2 workers": lambda: peer.run("future")},
            rounds=rounds, before=collect_on_workers_and_there,
            at_most={"n_jobs=1": 1 / 1.7},
        )  # fmt: skip

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
                f"{M} hsb fits with tables, Dask, 2 workers", on_dask, {"n_jobs=1": single},
                rounds=rounds, before=collect,
            )  # fmt: skip
