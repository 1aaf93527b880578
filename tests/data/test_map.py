"""ImputedData.map: a user's function on each data set, here and on workers."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import rbridge_mi as rb
from tests.inference.inference_data import complete, imputed

processes = pytest.mark.processes


@pytest.fixture(scope="module")
def data() -> rb.ImputedData:
    return imputed(m=4)


def both(n_jobs: int | None) -> Any:
    return pytest.param(n_jobs, marks=[processes] if n_jobs == 2 else [])


JOBS = pytest.mark.parametrize("n_jobs", [both(None), both(1), both(2)])


@JOBS
def test_results_are_in_the_order_of_the_data_sets(data: rb.ImputedData, n_jobs: int) -> None:
    offset = 3.0  # a lambda with a closure is carried, too
    results = data.map(lambda d: float(d["y"].sum()) + offset, n_jobs=n_jobs)
    assert list(results) == [float(d["y"].sum()) + offset for d in data]
    assert isinstance(results, rb.MappedResults)
    assert results.imputations == (1, 2, 3, 4)
    assert results.kind == "imputation"
    assert not results.failed
    assert len(results) == 4
    assert results[-1] == list(results)[3]
    assert list(results[1:3]) == list(results)[1:3]
    assert results[1:3].imputations == (2, 3)


@JOBS
def test_the_function_gets_the_completed_frame_and_may_change_it(
    data: rb.ImputedData, n_jobs: int
) -> None:
    def change(d: pd.DataFrame) -> pd.DataFrame:
        whole = d.copy()
        d["y"] += 1
        d.loc[d.index[0], "x1"] = 0.0
        del d["x2"]
        return whole

    before = [d.copy() for d in data]
    for result, frame, now in zip(data.map(change, n_jobs=n_jobs), before, data, strict=True):
        pd.testing.assert_frame_equal(result, frame, check_exact=True)
        pd.testing.assert_frame_equal(now, frame, check_exact=True)


@processes
def test_large_frames_are_the_same_on_workers_where_they_are_mapped() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=50_000), "t": rng.choice(["a", "é"], 50_000)})
    frame.loc[5, "x"] = np.nan
    imp = rb.ImputedData.from_frames([frame.fillna(x) for x in (1.0, 2.0)], original=frame)

    def written(d: pd.DataFrame) -> Any:
        values = d["x"].array
        values[0] = 0.0  # in place
        return d.dtypes.astype(str).to_dict(), d.sum(numeric_only=True).to_dict(), d["t"].iloc[9]

    assert list(imp.map(written, n_jobs=2)) == list(imp.map(written, n_jobs=1))
    assert imp[0]["x"].iloc[0] == frame["x"].iloc[0]


@processes
def test_joblibs_own_setting_is_the_default(data: rb.ImputedData) -> None:
    assert set(data.map(lambda d: os.getpid())) == {os.getpid()}
    with joblib.parallel_config(n_jobs=2):
        assert os.getpid() not in set(data.map(lambda d: os.getpid()))
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert set(data.map(lambda d: os.getpid())) == {os.getpid()}


def stops_at(*numbers: int) -> Any:
    """A function that stops at some of the data sets, which it tells by their values."""

    def f(d: pd.DataFrame) -> float:
        number = MARKS.index(float(d["y"].sum())) + 1
        if number in numbers:
            raise KeyError(f"no column for {number}")
        return float(number)

    return f


MARKS = [float(d["y"].sum()) for d in imputed(m=4)]


@JOBS
def test_an_error_names_the_first_data_set_and_keeps_the_traceback(
    data: rb.ImputedData, n_jobs: int
) -> None:
    with pytest.raises(rb.MapError, match="imputation 2: the function stopped with KeyError") as e:
        data.map(stops_at(4, 2), n_jobs=n_jobs)
    assert e.value.imputation == 2
    assert isinstance(e.value.__cause__, KeyError)
    assert e.value.__cause__.args == ("no column for 2",)
    assert "in f" in e.value.traceback
    assert e.value.traceback in str(e.value)
    again = pickle.loads(pickle.dumps(e.value))
    assert (str(again), again.imputation, again.traceback) == (
        str(e.value), 2, e.value.traceback,
    )  # fmt: skip


@JOBS
def test_errors_can_be_kept(data: rb.ImputedData, n_jobs: int) -> None:
    with pytest.warns(rb.RBridgeWarning, match=r"imputation 3: .*no column for 3"):
        results = data.map(stops_at(3), n_jobs=n_jobs, errors="keep")
    assert list(results) == [1.0, 2.0, 4.0]
    assert results.imputations == (1, 2, 4)
    assert list(results.failed) == [3]
    assert isinstance(results.failed[3], rb.MapError)
    with pytest.raises(rb.MapError, match="imputation 1"):
        data.map(stops_at(1, 2, 3, 4), n_jobs=n_jobs, errors="keep")
    with pytest.raises(rb.ArgumentError, match="imputation 4: variances"):
        rb.pool(results, [1.0, 1.0, np.nan])


class TwoArgumentsError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


@processes
def test_exceptions_and_results_that_do_not_pickle_are_told(data: rb.ImputedData) -> None:
    def odd(d: pd.DataFrame) -> None:
        raise TwoArgumentsError(1, 2)

    with pytest.raises(rb.MapError, match="TwoArgumentsError: 1 and 2"):
        data.map(odd, n_jobs=2)
    with pytest.raises(rb.MapError, match="imputation 1: what the function returned can't pickle"):
        data.map(lambda d: (x for x in d), n_jobs=2)
    lock = threading.Lock()
    with pytest.raises(rb.ArgumentError, match="f can't be carried to other processes"):
        data.map(lambda d: lock.locked(), n_jobs=2)


def test_refusals(data: rb.ImputedData) -> None:
    with pytest.raises(rb.ArgumentError, match="f must be a function"):
        data.map("mean")  # type: ignore[arg-type]
    for n_jobs in (0, True, 1.5, "2"):
        with pytest.raises(rb.ArgumentError, match="n_jobs must be"):
            data.map(len, n_jobs=n_jobs)  # type: ignore[arg-type]
    with pytest.raises(rb.ArgumentError, match="errors"):
        data.map(len, errors="ignore")  # type: ignore[arg-type]


def test_ctrl_c_is_no_error_of_the_function(data: rb.ImputedData) -> None:
    def interrupted(d: pd.DataFrame) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        data.map(interrupted)


@pytest.mark.r
def test_bootstrap_samples_keep_their_kind() -> None:
    boot = rb.BootstrapImputer(m=3, cluster="g").impute(complete(), seed=1)
    results = boot.map(lambda d: float(d["y"].mean()))
    assert list(results) == [float(d["y"].mean()) for d in boot]
    assert results.kind == "bootstrap"
    assert results[:2].kind == "bootstrap"


@JOBS
def test_models_of_another_library_end_to_end(data: rb.ImputedData, n_jobs: int) -> None:
    pooled = rb.pool(data.map(lambda d: smf.ols("y ~ x1 + x2", d).fit(), n_jobs=n_jobs))
    here = rb.pool([smf.ols("y ~ x1 + x2", d).fit() for d in data])
    # Workers have BLAS threads of their own number, which may sum in another order.
    numbers = pooled.fixed.drop(columns="term")
    np.testing.assert_allclose(numbers, here.fixed.drop(columns="term"), rtol=1e-12)
    assert pooled.fixed["term"].tolist() == ["Intercept", "x1", "x2"]


def test_it_needs_no_r() -> None:
    program = (
        "import sys, pandas as pd, rbridge_mi as rb\n"
        "frame = pd.DataFrame({'x': [1.0, 2.0, None]})\n"
        "frames = [frame.fillna(3.0), frame.fillna(4.0)]\n"
        "imp = rb.ImputedData.from_frames(frames, original=frame)\n"
        "means = imp.map(lambda d: d.x.mean(), n_jobs=2)\n"
        "print(rb.pool(means, std_errors=imp.map(lambda d: d.x.sem())).m)\n"
        "assert 'rpy2' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "2"), done.stderr
