"""Tasks on other processes: deaths are survived, text is packed, objects come on request."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.processes import workers
from rbridge_mi.processes.workers import RETRIES, Later, Packed, run_each
from tests.conftest import VIGNETTE

pytestmark = [pytest.mark.r, pytest.mark.processes, pytest.mark.slow]


def dies_once(folder: str, number: int, part: Any) -> int:
    """The worker that gets number 2 is killed, the first time."""
    flag = Path(folder) / "died"
    if number == 2 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return int(part) ** 2


def always_dies(folder: str, number: int, part: Any) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return int(part) ** 2


def each(task: Any, folder: Path) -> dict[int, int]:
    return dict(
        run_each(
            range(5),
            lambda numbers: [Later(partial(int, i)) for i in numbers],
            task,
            shared=lambda: str(folder),
            part=lambda i: i,
            n_jobs=2,
            what="test",
        )
    )


def test_a_dead_workers_task_is_run_again(tmp_path: Path) -> None:
    assert each(dies_once, tmp_path) == {i: i**2 for i in range(5)}
    assert (tmp_path / "died").exists()


class Task:
    """Says what happens to it."""

    def __init__(self, number: int, heard: list[str]) -> None:
        self._number, self._heard = number, heard
        heard.append(f"begin {number}")

    def result(self) -> int:
        self._heard.append(f"result {self._number}")
        if self._number == 3:
            raise KeyboardInterrupt
        return self._number

    def withdraw(self) -> None:
        self._heard.append(f"withdraw {self._number}")


def events(numbers: list[int]) -> list[str]:
    """What happens to tasks of this process, until the third is interrupted."""
    heard: list[str] = []

    def here(some: Sequence[int]) -> list[Task]:
        return [Task(i, heard) for i in some]

    def elsewhere(shared: object, number: int, part: object) -> object:
        raise AssertionError("every task is one of this process")

    with pytest.raises(KeyboardInterrupt):
        for number, result in run_each(
            numbers, here, elsewhere, shared=int, part=int, n_jobs=1, what="t"
        ):
            heard.append(f"have {number}")
            assert result == number
    return heard


def test_one_task_is_begun_ahead_and_withdrawn_if_not_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "_TURN", 0.0)
    assert events([1, 2, 3, 4, 5]) == [
        "begin 1", "begin 2", "result 1", "have 1", "begin 3", "result 2", "have 2", "begin 4",
        "result 3", "withdraw 3", "withdraw 4",
    ]  # fmt: skip


def test_short_tasks_share_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_TURN", 1e6)
    assert events([1, 2, 4, 5, 3]) == [
        "begin 1", "begin 2", "result 1", "have 1", "begin 4", "begin 5", "begin 3", "result 2",
        "have 2", "result 4", "have 4", "result 5", "have 5", "result 3", "withdraw 4",
        "withdraw 5", "withdraw 3",
    ]  # fmt: skip


@pytest.mark.parametrize("turn", [0.0, 1e6])
def test_what_goes_wrong_in_a_turn_is_its_own_data_sets(
    turn: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_TURN", turn)
    g = np.random.default_rng(1)
    frames = []
    for i in range(1, 7):
        y = np.zeros(60) if i == 4 else g.normal(size=60)
        label = np.where(np.arange(60) % 2 == 0, f"a{i}", "b\0b" if i == 5 else "b")
        frames.append(pd.DataFrame({"y": y, "label": label, "g": np.repeat(list("uvwxyz"), 10)}))
    frames[3]["y"] = np.nan
    frames[3].loc[0, "y"] = 1.0
    imp = rb.ImputedData.from_frames(frames)
    with pytest.warns(rb.RWarning, match="was not fitted") as heard:
        fits = rb.Lmer("y ~ label + (1 | g)", control={"calc.derivs": False}).fit(
            imp, errors="keep"
        )
    assert [fit.imputation for fit in fits] == [1, 2, 3, 6]
    assert len([w for w in heard if "was not fitted" in str(w.message)]) == 2
    assert isinstance(fits.failed[4], rb.FitError)
    assert fits.failed[4].imputation == 4 and "imputation 4: R: " in str(fits.failed[4])
    assert isinstance(fits.failed[5], rb.EncodingError)
    assert "column 'label'" in str(fits.failed[5])
    for fit in fits:  # the same bits as alone
        assert fit.imputation is not None
        alone = rb.Lmer("y ~ label + (1 | g)", control={"calc.derivs": False}).fit(
            imp[fit.imputation - 1]
        )
        pd.testing.assert_frame_equal(alone.fixef(), fit.fixef(), check_exact=True)


def test_a_task_that_kills_every_worker_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        rb.RWorkerLost, match=rf"(?s)died {1 + RETRIES} times; data sets .*2.*n_jobs"
    ):
        each(always_dies, tmp_path)


held: list[Any] = []  # of a worker


def grows(common: int, number: int, part: Any) -> tuple[int, int]:
    if number:  # the first task's size is what loky compares with
        held.append(np.ones(common // 8))
        time.sleep(1.1)  # so often it looks
    return os.getpid(), sum(x.nbytes for x in held)


def test_a_worker_that_grows_is_kept() -> None:
    def run(numbers: list[int]) -> dict[int, tuple[int, int]]:
        return dict(
            run_each(
                numbers, lambda _: [], grows, shared=lambda: 3 * 10**8, part=int, n_jobs=2, what="t"
            )
        )

    # Workers of its own: those that other tests left have a size already.
    joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
    before = {pid for pid, _ in run([0]).values()}
    after = run([1, 2, 3, 4, 5])
    assert before <= {pid for pid, _ in after.values()}
    assert len({pid for pid, _ in after.values()}) == 2
    assert max(size for _, size in after.values()) >= 6 * 10**8
    joblib.externals.loky.get_reusable_executor().shutdown(wait=True)


def test_packing_changes_nothing() -> None:
    frame = pd.DataFrame(
        {
            "t": pd.Series(["b", None, "a"], dtype="string"),
            "o": pd.Series(["x", None, 1], dtype=object),
            "c": pd.Categorical(["u", "v", None]),
            "n": pd.array([1, None, 3], dtype="Int64"),
            "x": [1.5, np.nan, 2.0],
        },
        index=["p", "q", "r"],
    )
    packed = Packed.of(frame)
    pd.testing.assert_frame_equal(packed.unpack(), frame)
    assert str(packed.frame["t"].dtype) == "category"
    plain = frame[["x"]]
    assert Packed.of(plain).frame is plain


def test_the_base_frame_is_memory_mapped_in_workers() -> None:
    frame = pd.DataFrame(
        {"x": np.arange(100_000.0), "t": pd.Series(["a", "b"] * 50_000, dtype="str")}
    )
    found = dict(
        run_each(
            [1, 2],
            lambda numbers: [Later(str) for _ in numbers],
            is_mapped,
            shared=lambda: Packed.of(frame),
            part=lambda i: i,
            n_jobs=2,
            what="test",
        )
    )
    assert found == {1: (True, True), 2: (True, True)}


def is_mapped(base: Packed, number: int, part: Any) -> tuple[bool, bool]:
    def mapped(array: Any) -> bool:
        while array is not None and not isinstance(array, np.memmap):
            array = array.base
        return isinstance(array, np.memmap)

    return mapped(base.frame["x"].to_numpy()), mapped(base.frame["t"].array.codes)


def has_r(common: Any, number: int, part: Any) -> tuple[int, bool]:
    time.sleep(0.2)  # so that one worker doesn't do it all
    return os.getpid(), sys.modules["rbridge_mi.rdoor.session"]._session is not None


def test_workers_start_while_the_caller_goes_on(tmp_path: Path) -> None:
    """In a process of its own, whose workers are not there yet."""
    program = textwrap.dedent(
        """
        import sys, threading
        sys.path.insert(0, sys.argv[1])
        import rbridge_mi as rb
        from rbridge_mi.processes.workers import run_each
        from tests.processes.test_workers import has_r
        rb.start_workers(2)
        waiting = [x for x in threading.enumerate() if x.name == "start workers"]
        assert len(waiting) == 1  # it is still at it
        waiting[0].join()
        settings = {"shared": int, "part": int, "n_jobs": 2, "what": "t"}
        run = lambda: dict(run_each(range(4), None, has_r, **settings))
        first, second = run(), run()
        assert all(loaded for _, loaded in first.values()), first
        pids = {pid for pid, _ in first.values()}
        assert len(pids) == 2
        assert {pid for pid, _ in second.values()} == pids, "workers are kept between calls"
        assert sys.modules["rbridge_mi.rdoor.session"]._session is None, "no R was needed here"
        """
    )
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program, root], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_joblibs_setting_is_followed(imp: rb.ImputedData, fits: rb.MerModList) -> None:
    with joblib.parallel_config(backend="loky", n_jobs=2):
        parallel = rb.Lmer(VIGNETTE).fit(imp)
    assert parallel == fits
    assert repr(parallel[0].r) == "<R object, on request>"
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert rb.Lmer(VIGNETTE).fit(imp) == fits


def test_objects_come_on_request_with_the_same_bits(
    imp: rb.ImputedData, fits: rb.MerModList
) -> None:
    model = rb.Lmer(VIGNETTE)
    later, at_once = model.fit(imp, n_jobs=2), model.fit(imp, n_jobs=2, return_objects=True)
    assert repr(at_once[1].r) == "<R object, serialized>"
    new = imp[1].head(5)
    expected = fits[1].predict(new)
    simple = rb.Lmer(VIGNETTE.replace("(1 + ses | schid)", "(1 | schid)")).fit(imp[1])
    for parallel in (later, at_once):
        assert parallel[1].predict(new).equals(expected)
        assert parallel[1].summary() == fits[1].summary()
        assert parallel[1].anova(simple, refit=False).equals(fits[1].anova(simple, refit=False))
    assert repr(later[1].r) == "<R object, live>"
    assert repr(later[0].r) == "<R object, on request>"


def test_crossed_factors_too_have_the_same_bits() -> None:
    """Where lme4 orders crossed effects by a coin tossed per process, the wrong ones are redone."""
    frame = rdoor.call("base::getExportedValue", "lme4", "Penicillin").value
    data = rb.ImputedData.from_frames(
        [frame.assign(diameter=frame["diameter"] + 0.01 * i * (frame.index % 7)) for i in range(6)]
    )
    model = rb.Lmer("diameter ~ 1 + (1 | plate) + (1 | sample)")
    assert model.fit(data, n_jobs=2) == model.fit(data)


def test_messages_cross_processes(imp: rb.ImputedData) -> None:
    data = imp.transform(lambda d: d.assign(noise=np.random.default_rng(1).normal(size=len(d))))
    with pytest.warns(rb.RWarning, match="imputations 1-5: boundary"):
        fits = rb.Lmer("noise ~ ses + (1 | schid)").fit(data, n_jobs=2)
    assert all("singular" in x.messages[0] for x in fits)


def test_ctrl_c_ends_a_parallel_run_and_its_workers(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import pandas as pd, rbridge_mi as rb
        if __name__ == "__main__":
            hsb = rb.load_hsb()
            long = pd.concat([hsb.assign(schid=hsb["schid"] + f"-{i}") for i in range(20)])
            model = rb.Lmer("mathach ~ ses + (1 + ses + female + minority | schid)")
            data = rb.ImputedData.from_frames([long, long, long, long])
            print("ready", flush=True)
            model.fit(data, n_jobs=2)
        """
    )
    (tmp_path / "program.py").write_text(program)
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        time.sleep(8)  # workers start, load lme4, and are in the midst of a fit
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert "KeyboardInterrupt" in process.communicate(timeout=10)[1]
    deadline = time.monotonic() + 10  # joblib's resource tracker cleans up its files and goes
    while _group(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _group(process.pid) == ""


def _group(leader: int) -> str:
    command = ["ps", "-o", "pid=,stat=,args=", "-g", str(leader)]
    return subprocess.run(command, capture_output=True, text=True).stdout


def test_rs_linear_algebra_shares_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """joblib divides them among its workers, before their R is started."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with joblib.parallel_config("loky", inner_max_num_threads=3):
        threads = joblib.Parallel(n_jobs=2)(joblib.delayed(threads_of_r)() for _ in range(2))
    assert threads == ["3", "3"]
    expected = str(max(1, joblib.cpu_count() // 2))
    threads = joblib.Parallel(n_jobs=2)(joblib.delayed(threads_of_r)() for _ in range(2))
    assert threads == [expected, expected]


def threads_of_r() -> str:
    return str(rdoor.call("base::Sys.getenv", "OPENBLAS_NUM_THREADS").value[0])


@pytest.mark.parametrize("n_jobs", [0, "2", 1.5, float("nan"), True])
def test_a_number_of_processes_that_cannot_be(n_jobs: Any, imp: rb.ImputedData) -> None:
    for ask in (
        lambda: rb.Lmer(VIGNETTE).fit(imp, n_jobs=n_jobs),
        lambda: imp.map(len, n_jobs=n_jobs),
        lambda: rb.start_workers(n_jobs),
    ):
        with pytest.raises(rb.ArgumentError, match="n_jobs must be a number of processes"):
            ask()
