"""A cluster: two Dask worker processes, each with an R of its own."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator
from typing import Any

import joblib
import pandas as pd
import pytest

import rbridge_mi as rb
from tests.conftest import VIGNETTE

# Dask and tornado leave sockets to the garbage collector; that is theirs to mend.
pytestmark = [
    pytest.mark.r,
    pytest.mark.processes,
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning",
        "ignore::DeprecationWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
    ),
]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    from distributed import Client, LocalCluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client


def environment() -> tuple[int, dict[str, str]]:
    return os.getpid(), dict(os.environ)


def test_fits_on_two_workers_have_the_same_bits(
    client: Any, imp: rb.ImputedData, fits: rb.MerModList
) -> None:
    before = client.run(environment)
    assert len({pid for pid, _ in before.values()} | {os.getpid()}) == 3
    with joblib.parallel_config(backend="dask"):
        mine = rb.Lmer(VIGNETTE).fit(imp)
    assert mine == fits
    pd.testing.assert_frame_equal(mine.pool().fixed, fits.pool().fixed, check_exact=True)
    assert client.run(environment) == before  # each worker's own R has left no trace there
    assert repr(mine[0].r) == "<R object, on request>"


def test_imputations_on_two_workers_have_the_same_bits(client: Any, holes: pd.DataFrame) -> None:
    imputer = rb.AmeliaImputer(
        m=3, idvars=["schid", "meanses"], noms=["minority", "female"], rng="streams"
    )
    with joblib.parallel_config(backend="dask"):
        mine = imputer.impute(holes, seed=1)
    assert mine == imputer.impute(holes, seed=1)


def test_a_worker_that_dies_is_survived(
    client: Any, imp: rb.ImputedData, fits: rb.MerModList
) -> None:
    pids = [pid for pid, _ in client.run(environment).values()]

    def kill() -> None:
        os.kill(pids[0], signal.SIGKILL)

    import threading

    timer = threading.Timer(0.3, kill)
    timer.start()
    with joblib.parallel_config(backend="dask"):
        mine = rb.Lmer(VIGNETTE).fit(imp)
    timer.join()
    assert mine == fits


def test_rs_linear_algebra_has_the_threads_of_its_worker(client: Any) -> None:
    """Dask gives each worker process one; its R is started with that."""

    def threads() -> str:
        from rbridge_mi import rdoor

        return str(rdoor.call("base::Sys.getenv", "OPENBLAS_NUM_THREADS").value[0])

    assert set(client.run(threads).values()) == {"1"}


def test_a_grid_on_a_cluster_has_the_same_bits(client: Any, imp: rb.ImputedData) -> None:
    models = {x: rb.Lmer(f"mathach ~ {x} + (1 | schid)") for x in ("ses", "female")}
    with joblib.parallel_config(backend="dask"):
        mine = rb.fit_each(models, imp)
    here = rb.fit_each(models, imp, n_jobs=1)
    for name in here.tables:
        pd.testing.assert_frame_equal(mine.table(name), here.table(name), check_exact=True)
