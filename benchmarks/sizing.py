"""What a fit and a megabyte cost on workers, and what that makes of a thousand models."""

from __future__ import annotations

import pickle
import statistics
import time
import warnings

import joblib
import numpy as np
import pandas as pd
from fitting import VIGNETTE, collect, vignette_data

import rbridge_mi as rb
from rbridge_mi.data.stores import CellStore

MODELS, IMPUTATIONS = 1000, 100


def measure(rounds: int) -> str:
    """Seconds per fit and per MB of shared frame on two Dask workers, and an extrapolation."""
    from distributed import Client, LocalCluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster),
            joblib.parallel_config(backend="dask"),
        ):
            return _page(rounds)


def _page(rounds: int) -> str:
    model = rb.Lmer(VIGNETTE)
    few, many = vignette_data(4), vignette_data(24)
    wide = _with_ballast(few, megabytes=40)
    model.fit(few)
    seconds: dict[str, list[float]] = {"few": [], "many": [], "wide": []}
    work: dict[str, list[float]] = {"few": [], "many": [], "wide": []}
    for _ in range(rounds):
        for name, data in (("few", few), ("many", many), ("wide", wide)):
            collect()
            start, worked = time.perf_counter(), time.process_time()
            model.fit(data)
            seconds[name].append(time.perf_counter() - start)
            work[name].append(time.process_time() - worked)
    few_s, many_s, wide_s = (statistics.median(x) for x in seconds.values())
    per_fit = 2 * (many_s - few_s) / 20  # of one worker
    call = max(few_s - 4 * per_fit / 2, 0.0)
    per_mb = max(wide_s - few_s, 0.0) / 40
    assert isinstance(few.store, CellStore)
    cells = sum(part.nbytes for x in few.store.cells.values() for part in x.values) / few.m / 1e6
    back = _shipped(model, few) / 1e6
    alone = _in_this_process(model, few)
    fits = MODELS * IMPUTATIONS
    # Of the client, which sends every task, takes in every result, and holds Dask's scheduler.
    client = (statistics.median(work["many"]) - statistics.median(work["few"])) / 20
    by_workers, by_client = MODELS * (IMPUTATIONS * per_fit / 100 + call), fits * client
    lines = [
        "| on workers | measured |",
        "|---|---|",
        f"| one hsb fit with its tables, on a worker | {1000 * per_fit:.0f} ms "
        f"({1000 * alone:.0f} ms in the client's own process) |",
        f"| a call of fit(), beside its fits | {1000 * call:.0f} ms |",
        f"| one MB of the shared frame, to two workers | {1000 * per_mb:.1f} ms |",
        f"| sent per fit: its cells, to the worker | {cells:.3f} MB |",
        f"| sent per fit: its tables, back | {back:.2f} MB |",
        f"| the client's own work per fit, Dask's scheduler included | {1000 * client:.1f} ms |",
        f"| {MODELS} models x {IMPUTATIONS} imputations, extrapolated: work | "
        f"{fits * per_fit / 3600:.1f} hours of one core |",
        f"| the same, moved | {fits * back / 1000:.0f} GB back to the client |",
        "| the same, on 100 workers of one client | "
        f"{max(by_workers, by_client) / 60:.0f} minutes: "
        f"{by_workers / 60:.0f} if the client kept up |",
        f"| the bottleneck | the client and its scheduler: {per_fit / client:.0f} workers keep "
        "them busy, more don't help (several clients, or one task per model, do) |",
    ]
    return "\n".join([*lines, ""])


def _with_ballast(data: rb.ImputedData, megabytes: int) -> rb.ImputedData:
    """The same data sets with columns of noise that no model uses."""
    noise = np.random.default_rng(0).normal(size=(len(data.original), 17 * megabytes))
    columns = {f"noise{i}": noise[:, i] for i in range(noise.shape[1])}
    frames = [pd.concat([x, pd.DataFrame(columns)], axis=1) for x in data]
    return rb.ImputedData.from_frames(frames)


def _shipped(model: rb.Lmer, data: rb.ImputedData) -> int:
    return len(pickle.dumps(model.fit(data[0]).answers.tables(), protocol=5))


def _in_this_process(model: rb.Lmer, data: rb.ImputedData) -> float:
    frame = data[0]
    start = time.perf_counter()
    for _ in range(5):
        model.fit(frame).answers.tables()
    return (time.perf_counter() - start) / 5
