"""CompatibleImputer: how long it takes, against jomo.lmer, and how that grows with the data."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from fitting import VIGNETTE
from harness import Report
from jomo_chains import jomo_chain
from numpy.typing import NDArray

import rbridge_mi as rb
from rbridge_mi.data.convergence import chains_of
from rbridge_mi.pooling.convergence import chain_convergence

BINARY = ["minority", "female"]
LIMIT_SECONDS, LIMIT_LARGE_SECONDS, LIMIT_LARGE_GB, TIMES_FASTER = 15.0, 180.0, 2.0, 20.0

LARGE_PROGRAM = """
import json, sys, time, warnings
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from imputing import grouped
import rbridge_mi as rb

def processes(pid):
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from processes(child)

def peak(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0

warnings.simplefilter("ignore")
rows, groups, m = map(int, sys.argv[2:5])
data, model = grouped(rows, groups)
start = time.perf_counter()
imp = rb.CompatibleImputer(model, m=m).impute(data, seed=1, n_jobs=2)
seconds = time.perf_counter() - start
peaks = [peak(pid) for pid in processes("self")]
worst = imp.convergence()["rhat"].max()
print(json.dumps([seconds, sum(peaks), len(peaks), max(imp.chain_lengths), worst]))
"""


def hsb_with_holes() -> pd.DataFrame:
    return rb.ampute(rb.load_hsb(), prop=0.05, columns=[*BINARY, "ses"], seed=1)


def grouped(rows: int, groups: int) -> tuple[pd.DataFrame, rb.Lmer]:
    """Data with a random slope, and a tenth of three columns missing, one of them binary."""
    rng = np.random.default_rng(1)
    g = np.arange(rows) % groups
    u0, u1 = 0.7 * rng.normal(size=groups)[g], 0.4 * rng.normal(size=groups)[g]
    shared = rng.normal(size=rows)
    x = 0.5 * rng.normal(size=groups)[g] + shared
    z = 0.5 * shared + rng.normal(size=rows)
    b = (0.5 * shared + rng.normal(size=rows) > 0).astype(np.float64)
    y = 1 + u0 + (1 + u1) * x + 0.5 * z + 0.5 * b + rng.normal(size=rows)
    data = pd.DataFrame({"g": [f"g{i}" for i in g], "x": x, "z": z, "b": b, "y": y})
    for name in ("x", "z", "b"):
        data[name] = data[name].mask(rng.uniform(size=rows) < 0.1)
    return data, rb.Lmer("y ~ x + z + b + (1 + x | g)")


def run(report: Report, rounds: int, jomo_iterations: int = 3000) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _hsb_time(report, rounds)
        _hsb_against_jomo(report, jomo_iterations)
        _large(report)


def _hsb_time(report: Report, rounds: int) -> None:
    data, imputer = hsb_with_holes(), rb.CompatibleImputer(rb.Lmer(VIGNETTE), m=20)
    times, lengths = [], []
    for i in range(rounds + 1):
        start = time.perf_counter()
        imp = imputer.impute(data, seed=i, n_jobs=2)
        if i:  # the first one starts the workers
            times.append(time.perf_counter() - start)
            lengths.append(max(imp.chain_lengths))
    report.add(
        "hsb, 5% holes in three columns, m=20 to R-hat 1.05, two processes",
        "s",
        float(np.median(times)),
        "the limit",
        LIMIT_SECONDS,
        at_most=1.0,
        note=f"{', '.join(map(str, lengths))} iterations",
    )


def _hsb_against_jomo(report: Report, iterations: int) -> None:
    """CPU seconds for each effective draw of the parameter that has the fewest.

    The parameters are those of the analysis model, which both have. The second half of the chains
    counts, and the time of all of them.
    """
    holes = hsb_with_holes()
    start = time.process_time()
    imp = rb.CompatibleImputer(rb.Lmer(VIGNETTE), m=20).impute(holes, seed=1)
    seconds = time.process_time() - start
    names, draws = chains_of(imp.trace)
    ours = draws[:, :, : list(names).index("sigma") + 1]  # what comes behind is of covariates
    theirs = jomo_chain(
        _for_jomo(holes),
        VIGNETTE.replace("schid", "g"),
        iterations,
        seed=1,
        binary=BINARY,
        of_groups=["meanses"],
    )
    our_name, our_size = _slowest(ours, list(names))
    their_name, their_size = _slowest(*_analysis_of_jomo(theirs.values))
    report.add(
        "hsb, 5% holes: CPU time for an effective draw of the slowest parameter",
        "s",
        seconds / our_size,
        "jomo.lmer",
        theirs.seconds / their_size,
        at_most=1 / TIMES_FASTER,
        note=f"ours: {our_size:.0f} of {our_name} in {seconds:.1f} s, 20 chains of "
        f"{draws.shape[1]} iterations; jomo: {their_size:.0f} of {their_name} in "
        f"{theirs.seconds:.1f} s, one of {iterations}",
    )


def _analysis_of_jomo(
    values: Mapping[str, NDArray[np.float64]],
) -> tuple[NDArray[np.float64], list[str]]:
    """The analysis model's parameters, with a correlation as ours have it: (1, iterations, p)."""
    kept = {k: x for k, x in values.items() if k.startswith(("fixed", "random", "residual"))}
    scale = np.sqrt(kept["random[1,1]"] * kept["random[2,2]"])
    kept["random[1,2]"] = kept["random[1,2]"] / scale
    return np.stack([*kept.values()], axis=-1)[None], [*kept]


def _slowest(draws: NDArray[np.float64], names: list[str]) -> tuple[str, float]:
    size = chain_convergence(draws[:, draws.shape[1] // 2 :]).ess_bulk
    worst = int(np.nanargmin(size))
    return names[worst], float(size[worst])


def _for_jomo(holes: pd.DataFrame) -> pd.DataFrame:
    """The model's columns, standardised: jomo's priors depend on units."""
    data = holes.rename(columns={"schid": "g"})
    data = data[["g", *BINARY, "ses", "meanses", "mathach"]]
    numbers = ["ses", "meanses", "mathach"]
    return data.assign(**{x: (data[x] - data[x].mean()) / data[x].std() for x in numbers})


def _large(report: Report, rows: int = 10**5, groups: int = 10**3) -> None:
    """In a process of its own, of which and of whose workers the peak memory is summed."""
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", LARGE_PROGRAM, here, str(rows), str(groups), "20"],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, memory, processes, iterations, worst = json.loads(done.stdout)
    name = f"{rows:,} rows in {groups:,} groups, three incomplete columns, m=20, two processes"
    note = f"{iterations} iterations, worst R-hat {worst:.2f}"
    report.add(name, "s", seconds, "the limit", LIMIT_LARGE_SECONDS, at_most=1.0, note=note)
    note = f"peaks of {processes} processes, summed"
    report.add(name, "GB", memory / 1e9, "the limit", LIMIT_LARGE_GB, at_most=1.0, note=note)


def growth(largest: int = 10**5) -> str:
    """CPU seconds for 100 iterations in one process, by rows, groups and m."""
    middle = largest // 10
    grid = [
        *((rows, rows // 20, 20) for rows in (middle // 10, middle, largest)),
        *((middle, groups, 20) for groups in (20, middle // 4)),
        *((middle, middle // 20, m) for m in (5, 80)),
    ]
    lines = [
        "| CompatibleImputer: rows | groups | m | 100 iterations, CPU time | per row and chain |",
        "|---|---|---|---|---|",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data, model = grouped(100, 10)
        rb.CompatibleImputer(model, m=2, min_iter=20, max_iter=50).impute(data, seed=1)  # starts R
        for rows, groups, m in grid:
            data, model = grouped(rows, groups)
            imputer = rb.CompatibleImputer(model, m=m, min_iter=100, max_iter=100)
            start = time.process_time()
            imputer.impute(data, seed=1, n_jobs=1)
            seconds = time.process_time() - start
            each = seconds / (rows * m * 100)
            lines.append(f"| {rows:,} | {groups:,} | {m} | {seconds:.2f} s | {1e9 * each:.0f} ns |")
    return "\n".join([*lines, ""])
