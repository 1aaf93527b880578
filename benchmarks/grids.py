"""Grids of models and data sets of sleepstudy's size, against R's own time, and their memory.

``python benchmarks/grids.py 1000 400`` measures 10^3 models x 10^2 data sets, killed after 400 s
and resumed: some 13 minutes, and four of R, which fits every tenth model.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from harness import Report

import rbridge_mi as rb

M = 100
WORKERS = 2
LIMIT = 1.2
_RSCRIPT = shutil.which("Rscript") or "Rscript"

MEMORY_PROGRAM = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from grids import M, WORKERS, children, data, models
import rbridge_mi as rb

def peak(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024

if __name__ == "__main__":
    rb.fit_each(models(int(sys.argv[2])), data(M), path=sys.argv[3], n_jobs=WORKERS)
    workers = [x for x in map(peak, children()) if x is not None]
    print(json.dumps([peak("self"), sum(sorted(workers)[-WORKERS:])]))
"""


def data(m: int) -> rb.ImputedData:
    """The sleepstudy data with five columns of noise, of which one is imputed m times."""
    program = "write.csv(lme4::sleepstudy, stdout(), row.names = FALSE)"
    done = subprocess.run([_RSCRIPT, "-e", program], capture_output=True, text=True, check=True)
    frame = pd.read_csv(io.StringIO(done.stdout))
    frame["Subject"] = "s" + frame["Subject"].astype(str)
    rng = np.random.default_rng(1)
    for i in range(5):
        frame[f"x{i}"] = rng.normal(size=len(frame))
    holes = rb.ampute(frame, prop=0.1, columns=["x0"], seed=1)
    missing = holes["x0"].isna()
    filled = []
    for _ in range(m):
        complete = holes.copy()
        complete.loc[missing, "x0"] = rng.normal(size=int(missing.sum()))
        filled.append(complete)
    return rb.ImputedData.from_frames(filled, original=holes)


def models(n: int) -> dict[str, rb.Lmer]:
    """Models that differ in one term: the columns of noise, in turn, times some number."""
    terms = [f"I(x{1 + i % 4} * {1 + i // 4 / 10})" for i in range(n)]
    return {
        f"m{i:04}": rb.Lmer(f"Reaction ~ Days + x0 + {term} + (Days | Subject)")
        for i, term in enumerate(terms)
    }


def children() -> list[int]:
    """The processes that this one has started and that are there."""
    kin = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if stat.read_text().rpartition(")")[2].split()[1] == str(os.getpid()):
                kin.append(int(stat.parent.name))
        except OSError:
            continue
    return kin


def cpu_seconds() -> float:
    """What this process and its children have used until now."""
    total = time.process_time()
    for pid in children():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def against_r(report: Report, rounds: int, n: int = 20) -> None:
    """Our wall time on two workers against half of R's, and both times of the processors."""
    imputed, given = data(M), models(n)
    with tempfile.TemporaryDirectory() as folder:
        for i, frame in enumerate(imputed):
            frame.to_csv(Path(folder) / f"{i:03}.csv", index=False)
        formulas = "\n".join(x.formula for x in given.values()) + "\n"
        (Path(folder) / "formulas.txt").write_text(formulas)
        rb.fit_each(models(4), imputed, n_jobs=WORKERS)  # workers and R are warm
        times = []
        for turn in range(rounds):
            cpu, start = cpu_seconds(), time.perf_counter()
            rb.fit_each(given, imputed, path=Path(folder) / f"grid{turn}", n_jobs=WORKERS)
            ours = time.perf_counter() - start, cpu_seconds() - cpu
            done = subprocess.run(
                [_RSCRIPT, str(Path(__file__).with_name("grids.R")), folder],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            times.append((*ours, *map(float, done.stdout.split()[-2:])))
    wall, cpu, r_wall, r_cpu = np.median(times, axis=0)
    report.add(
        f"{n} models x {M} data sets of sleepstudy's size, to Parquet, n_jobs={WORKERS}", "s", wall,
        "lapply(lmer) with the same tables, halved", r_wall / WORKERS,
        ratio=float(np.median([x[0] / x[2] * WORKERS for x in times])), at_most=LIMIT,
        note=f"processors: {cpu:.3g} s, R {r_cpu:.3g} s, ratio {cpu / r_cpu:.3g}",
    )  # fmt: skip


def memory(report: Report, small: int = 10, large: int = 100) -> None:
    """The most memory that ten times the fits take: the calling process, and its workers."""
    peaks = []
    for n in (small, large):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, "-c", MEMORY_PROGRAM, str(Path(__file__).parent), str(n),
                 folder + "/grid"],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
        peaks.append(json.loads(done.stdout.splitlines()[-1]))
    for what, before, after in zip(("caller", "workers"), *peaks, strict=True):
        report.add(
            f"most memory of {large * M} fits of a grid: {what}", "MB", after / 1e6,
            f"of {small * M}", before / 1e6, at_most=1.1,
        )  # fmt: skip


def run(report: Report, rounds: int) -> None:
    against_r(report, rounds)
    memory(report)


def killed_and_resumed(report: Report, n: int, kill_after: float, every: int = 10) -> None:
    """Wall time of a grid that SIGKILL stops and the same call resumes; each fit is there once.

    R fits every tenth model, and the time of all of them is taken for ten times that.
    """
    imputed, given = data(M), models(n)
    with tempfile.TemporaryDirectory() as folder:
        for i, frame in enumerate(imputed):
            frame.to_csv(Path(folder) / f"{i:03}.csv", index=False)
        formulas = [x.formula for x in given.values()][::every]
        (Path(folder) / "formulas.txt").write_text("\n".join(formulas) + "\n")
        path = Path(folder) / "grid"
        here = str(Path(__file__).parent)
        program = [sys.executable, "-c", MEMORY_PROGRAM, here, str(n), str(path)]
        start = time.perf_counter()
        with contextlib.suppress(subprocess.TimeoutExpired):  # SIGKILL is what ends it then
            subprocess.run(program, timeout=kill_after, capture_output=True, check=True)
        before = rb.FitGrid.read(path).table("glance").shape[0]
        subprocess.run(program, capture_output=True, check=True)
        wall = time.perf_counter() - start
        glance = rb.FitGrid.read(path).table("glance")
        twice = int(glance.duplicated(["model", "imputation"]).sum())
        done = subprocess.run(
            [_RSCRIPT, str(Path(__file__).with_name("grids.R")), folder],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    r_wall = float(done.stdout.split()[-2]) * every
    report.add(
        f"{n} models x {M} data sets of sleepstudy's size, killed and resumed, n_jobs={WORKERS}",
        "s", wall,
        f"lapply(lmer) with the same tables, halved ({every} times that of every {every}th model)",
        r_wall / WORKERS, at_most=LIMIT,
        note=f"{before} fits there when killed, {len(glance)} at the end, {twice} twice",
    )  # fmt: skip


if __name__ == "__main__":
    killed_and_resumed(Report(), int(sys.argv[1]), float(sys.argv[2]))
