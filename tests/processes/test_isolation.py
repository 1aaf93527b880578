"""R in a process that may be lost: real kills, crashes and time limits, amid the work."""

from __future__ import annotations

import ctypes
import os
import pickle
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.processes import isolation
from rbridge_mi.processes.isolation import Job, run_each_isolated, run_isolated

pytestmark = [pytest.mark.r, pytest.mark.processes, pytest.mark.slow]

FORMULA = "mathach ~ ses + (1 | schid)"
# One that takes some seconds on `long`: a worker can be killed in its midst.
SLOW = "mathach ~ ses + (1 + ses + female + minority | schid)"


def gone(pid: int) -> bool:
    """No such process, or one that only waits for its parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter if it goes while it is read
        return True


def r_is_well() -> bool:
    return bool(rdoor.call("base::sum", [1, 2]).value[0] == 3)


@pytest.fixture(scope="module")
def long(hsb: pd.DataFrame) -> pd.DataFrame:
    parts = [hsb.assign(schid=hsb["schid"] + f"-{i}") for i in range(20)]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def at_work(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[int]]]:
    """Do something to the worker that is given the n-th job (or any), some time after it began."""
    timers: list[threading.Timer] = []
    whole = isolation._Worker.answer

    def arrange(
        act: Callable[[int], Any], after: float = 0.5, only: tuple[int, ...] = ()
    ) -> list[int]:
        pids: list[int] = []

        def answer(worker: isolation._Worker, timeout: float | None) -> Any:
            pids.append(worker.pid)
            if not only or len(pids) in only:
                timers.append(threading.Timer(after, act, [worker.pid]))
                timers[-1].start()
            return whole(worker, timeout)

        monkeypatch.setattr(isolation._Worker, "answer", answer)
        return pids

    yield arrange
    for timer in timers:
        timer.cancel()


@pytest.fixture
def memory_limit() -> Iterator[Callable[[int], None]]:
    """Let a process have 1 MB more than it has, and no byte beyond.

    The kernel kills it for want of memory, by a control group of its own. Where none may be made
    (in a container, say), a thread does what the kernel does: it looks at the resident memory, and
    kills.
    """
    room = 2**20
    top = Path(
        "/sys/fs/cgroup/memory" if Path("/sys/fs/cgroup/memory").is_dir() else "/sys/fs/cgroup"
    )
    groups: list[Path] = []

    def limit(pid: int) -> None:
        group = top / f"rbridge-test-{pid}"
        try:
            group.mkdir()
            groups.append(group)
            names = {x.name for x in group.iterdir()}
            for name in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max"):
                if name in names:
                    (group / name).write_text(str(room))
            if "memory.swap.max" in names:
                (group / "memory.swap.max").write_text("0")
            (group / "cgroup.procs").write_text(str(pid))
        except OSError:
            threading.Thread(target=watch, args=(pid, resident(pid) + room), daemon=True).start()

    def watch(pid: int, most: int) -> None:
        while not gone(pid):
            if resident(pid) > most:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)

    yield limit
    for group in groups:
        told = [group / x for x in ("memory.oom_control", "memory.events") if (group / x).exists()]
        by_the_kernel = [x for x in told if "oom_kill 1" in x.read_text()]
        group.rmdir()
        assert by_the_kernel


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def test_the_bits_are_the_same(hsb: pd.DataFrame, holes: pd.DataFrame, imp: rb.ImputedData) -> None:
    here, there = rb.Lmer(FORMULA).fit(hsb), rb.Lmer(FORMULA).fit(hsb, isolate=True)
    assert there == here
    assert repr(there.r) == "<R object, serialized>"  # not to be made again in this process
    assert there.predict(hsb.head(3)).equals(here.predict(hsb.head(3)))
    assert str(there.summary()) == str(here.summary())
    imputer = rb.AmeliaImputer(m=5, idvars=["schid", "meanses"], noms=["minority", "female"])
    assert imputer.impute(holes, seed=1, isolate=True) == imp
    assert rb.Lmer(FORMULA).fit(imp, timeout=60, n_jobs=2) == rb.Lmer(FORMULA).fit(imp)


def test_streams_are_isolated_one_by_one(holes: pd.DataFrame) -> None:
    imputer = rb.AmeliaImputer(m=3, rng="streams", idvars=["schid", "meanses"])
    assert imputer.impute(holes, seed=4, timeout=60, n_jobs=2) == imputer.impute(holes, seed=4)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_worker_killed_during_lmer(
    number: signal.Signals, long: pd.DataFrame, at_work: Callable[..., list[int]]
) -> None:
    pids = at_work(lambda pid: os.kill(pid, number))
    with pytest.raises(rb.RWorkerLost) as caught:
        rb.Lmer(SLOW).fit(long, isolate=True)
    error = caught.value
    assert not isinstance(error, rb.RTimeout)
    assert number.name in error.cause
    assert (error.what, error.seed) == ("lmer", None)
    assert error.r_call == f"lme4::lmer({SLOW}, REML = TRUE)"
    assert error.r_call in str(error)
    assert all(gone(pid) for pid in pids)
    assert r_is_well()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_killed_during_amelia(
    number: signal.Signals, holes: pd.DataFrame, at_work: Callable[..., list[int]]
) -> None:
    at_work(lambda pid: os.kill(pid, number), after=0.3)
    imputer = rb.AmeliaImputer(m=200, idvars=["schid", "meanses"])
    with pytest.raises(rb.RWorkerLost, match=rf"(?s)Amelia: .*{number.name}.*seed: 17") as caught:
        imputer.impute(holes, seed=17, isolate=True)
    assert caught.value.seed == 17
    assert caught.value.r_call == (
        'set.seed(17); Amelia::amelia(x, m = 200, idvars = c("schid", "meanses"))'
    )
    assert r_is_well()


@pytest.mark.parametrize("number", [6, 11])
def test_r_that_ends_its_own_process(number: int, hsb: pd.DataFrame) -> None:
    """The signal comes out of R code that lmer itself evaluates."""
    model = rb.Lmer(
        f"mathach ~ ses + tools::pskill(Sys.readlink('/proc/self'), {number}L) + (1 | schid)",
        allow=["tools::pskill", "Sys.readlink"],
    )
    with pytest.raises(rb.RWorkerLost, match=signal.Signals(number).name):
        model.fit(hsb, isolate=True)
    assert r_is_well()


def test_r_that_quits(hsb: pd.DataFrame) -> None:
    model = rb.Lmer("mathach ~ ses + quit('no', 3L) + (1 | schid)", allow=["quit"])
    with pytest.raises(rb.RBridgeError, match=r"exit code 3|lost|SystemExit|quit"):
        model.fit(hsb, timeout=20)
    assert r_is_well()


def abort() -> None:
    ctypes.CDLL(None).abort()


def read_address_zero() -> None:
    ctypes.string_at(0)


def say_and_abort() -> None:
    os.write(2, b"double free or corruption (test)\n")
    abort()


@pytest.mark.parametrize(
    ("crash", "name"), [(abort, "SIGABRT"), (read_address_zero, "SIGSEGV")], ids=["abort", "segv"]
)
def test_crashes_in_compiled_code(crash: Callable[[], None], name: str) -> None:
    with pytest.raises(rb.RWorkerLost, match=name):
        run_isolated(Job(crash, list, "a crash", "boom()"))


def test_the_workers_last_words_are_told() -> None:
    with pytest.raises(rb.RWorkerLost, match=r"it said: double free or corruption \(test\)"):
        run_isolated(Job(say_and_abort, list, "a crash", "boom()"))


def test_memory_that_runs_out_during_amelia(
    holes: pd.DataFrame, at_work: Callable[..., list[int]], memory_limit: Callable[[int], None]
) -> None:
    at_work(memory_limit, after=0.05)
    big = pd.concat([holes] * 40, ignore_index=True)
    imputer = rb.AmeliaImputer(m=20, idvars=["schid", "meanses"])
    with pytest.raises(rb.RWorkerLost, match=r"(?s)SIGKILL.*want of memory.*m = 20.*seed: 8"):
        imputer.impute(big, seed=8, isolate=True)
    assert r_is_well()


def test_memory_that_runs_out_during_lmer(
    long: pd.DataFrame, at_work: Callable[..., list[int]], memory_limit: Callable[[int], None]
) -> None:
    at_work(memory_limit, after=0.05)
    with pytest.raises(rb.RWorkerLost, match=r"(?s)SIGKILL.*want of memory.*lme4::lmer"):
        rb.Lmer(SLOW).fit(long, isolate=True)
    assert r_is_well()


def ask_for_too_much() -> None:
    rdoor.call("base::numeric", 1e14)


def test_memory_that_r_itself_cannot_have(at_work: Callable[..., list[int]]) -> None:
    """R says so and goes on; its process, whose memory may be all but used up, does not."""
    pids = at_work(lambda pid: None)
    with pytest.raises(rb.RCallError, match="cannot allocate vector of size"):
        run_isolated(Job(ask_for_too_much, list, "too much", "numeric(1e14)"))
    assert all(gone(pid) for pid in pids)
    assert r_is_well()


def test_an_endless_amelia(holes: pd.DataFrame, at_work: Callable[..., list[int]]) -> None:
    pids = at_work(lambda pid: None)
    imputer = rb.AmeliaImputer(m=2, idvars=["schid", "meanses"], emburn=[10**9, 10**9])
    with pytest.raises(
        rb.RTimeout, match=r"(?s)Amelia: not done after 2 seconds.*seed: 5"
    ) as caught:
        imputer.impute(holes, seed=5, timeout=2)
    assert isinstance(caught.value, TimeoutError)
    assert all(gone(pid) for pid in pids)
    assert r_is_well()


def test_a_fit_that_takes_too_long(long: pd.DataFrame) -> None:
    rb.Lmer(FORMULA).fit(long.head(500), isolate=True)  # a worker is there
    begun = time.monotonic()
    with pytest.raises(rb.RTimeout, match=r"lmer: not done after 0.5 seconds"):
        rb.Lmer(SLOW).fit(long, timeout=0.5)
    assert time.monotonic() - begun < 6
    assert r_is_well()


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSEGV", "memory"])
def test_in_a_list_a_lost_fit_is_run_again(
    how: str,
    long: pd.DataFrame,
    at_work: Callable[..., list[int]],
    memory_limit: Callable[[int], None],
) -> None:
    """The second of three; those that were done before are kept."""
    act = memory_limit if how == "memory" else lambda pid: os.kill(pid, signal.Signals[how])
    pids = at_work(act, after=0.02, only=(2,))
    part = long.head(40_000)
    fits = rb.Lmer(FORMULA).fit(rb.ImputedData.from_frames([part] * 3), isolate=True)
    assert len(pids) == 4
    assert pids[0] == pids[1] != pids[2] == pids[3]
    assert (fits.names, fits.failed) == (("imp1", "imp2", "imp3"), {})
    assert fits[0] == fits[1] == fits[2] == rb.Lmer(FORMULA).fit(part)


@pytest.mark.parametrize("how", ["SIGKILL", "memory"])
def test_in_a_list_a_fit_that_is_lost_again_is_named(
    how: str,
    long: pd.DataFrame,
    at_work: Callable[..., list[int]],
    memory_limit: Callable[[int], None],
) -> None:
    act = memory_limit if how == "memory" else lambda pid: os.kill(pid, signal.Signals[how])
    pids = at_work(act, after=0.02, only=(2, 3))
    data = rb.ImputedData.from_frames([long.head(40_000)] * 3)
    with pytest.warns(
        rb.RWarning, match=r"imputation 2 was not fitted: lmer, imputation 2.*SIGKILL"
    ):
        fits = rb.Lmer(FORMULA).fit(data, isolate=True, errors="keep")
    assert len(pids) == 4
    assert (fits.names, list(fits.failed)) == (("imp1", "imp3"), [2])
    assert fits[0] == fits[1]


def test_in_a_list_of_imputations_lost_ones_are_named(
    holes: pd.DataFrame, at_work: Callable[..., list[int]]
) -> None:
    """Amelia on streams: the second of three data sets is lost, and lost again."""
    at_work(lambda pid: os.kill(pid, signal.SIGSEGV), after=0.0, only=(2, 3))
    imputer = rb.AmeliaImputer(m=3, rng="streams", idvars=["schid", "meanses"])
    with pytest.raises(rb.RWorkerLost, match=r"(?s)Amelia, imputation 2.*seed: 4") as caught:
        imputer.impute(holes, seed=4, isolate=True)
    assert caught.value.imputation == 2
    assert r_is_well()


def test_in_a_list_finished_fits_are_kept_and_lost_ones_named(imp: rb.ImputedData) -> None:
    """Data set 3 crashes R whenever it is fitted."""
    marked = rb.ImputedData.from_frames(
        [x.assign(die=float(i == 2)) for i, x in enumerate(imp)], kind="bootstrap"
    )
    model = rb.Lmer(
        "mathach ~ ses + ifelse(die > 0, tools::pskill(Sys.readlink('/proc/self'), 11L), ses^2) "
        "+ (1 | schid)",
        allow=["tools::pskill", "Sys.readlink"],
    )
    with pytest.warns(
        rb.RWarning, match=r"imputation 3 was not fitted: lmer, imputation 3.*SIGSEGV"
    ):
        fits = model.fit(marked, isolate=True, errors="keep")
    assert fits.names == ("imp1", "imp2", "imp4", "imp5")
    assert list(fits.failed) == [3]
    with pytest.raises(rb.RWorkerLost, match=r"lmer, imputation 3") as caught:
        model.fit(marked, isolate=True)
    assert caught.value.imputation == 3
    assert isinstance(caught.value.fits, rb.MerModList)
    assert len(caught.value.fits) == 4


def test_errors_of_r_are_the_same_as_here(hsb: pd.DataFrame) -> None:
    model = rb.Lmer("mathach ~ ses + (1 | constant)")
    data = hsb.assign(constant=1)
    with pytest.raises(rb.FitError) as here:
        model.fit(data)
    with pytest.raises(rb.FitError) as there:
        model.fit(data, isolate=True)
    assert str(there.value) == str(here.value)
    assert there.value.r_message == here.value.r_message


def test_an_idle_worker_that_died_is_replaced(hsb: pd.DataFrame) -> None:
    rb.Lmer(FORMULA).fit(hsb, isolate=True)
    for worker in isolation._pool._idle:
        os.kill(worker.pid, signal.SIGKILL)
    assert rb.Lmer(FORMULA).fit(hsb, isolate=True).nobs == 7185


def test_a_worker_that_ends_as_it_is_taken_is_replaced(
    hsb: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    rb.Lmer(FORMULA).fit(hsb, isolate=True)
    whole = isolation._Worker.begin
    killed: list[int] = []

    def begin(worker: isolation._Worker, request: bytes) -> None:
        if not killed:
            killed.append(worker.pid)
            os.kill(worker.pid, signal.SIGKILL)
        whole(worker, request)

    monkeypatch.setattr(isolation._Worker, "begin", begin)
    assert rb.Lmer(FORMULA).fit(hsb, isolate=True).nobs == 7185
    assert killed


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan"), "5", True])
def test_timeouts_that_cannot_be(timeout: Any, hsb: pd.DataFrame, holes: pd.DataFrame) -> None:
    with pytest.raises(rb.ArgumentError, match="timeout must be a positive number of seconds"):
        rb.Lmer(FORMULA).fit(hsb, timeout=timeout)
    with pytest.raises(rb.ArgumentError, match="timeout must be a positive number of seconds"):
        rb.impute(holes, engine="amelia", seed=1, timeout=timeout)


@pytest.mark.parametrize("timeout", [1e10, 1e300, 10**400])
def test_timeouts_longer_than_a_clock_counts(
    timeout: Any, hsb: pd.DataFrame, holes: pd.DataFrame
) -> None:
    for ask in (
        lambda: rb.Lmer(FORMULA).fit(hsb, timeout=timeout),
        lambda: rb.impute(holes, engine="amelia", seed=1, timeout=timeout),
    ):
        with pytest.raises(rb.ArgumentError, match="at most 9223372036"):
            ask()


def test_a_timeout_of_centuries_is_one(hsb: pd.DataFrame) -> None:
    """Longer than the weeks that the system's own waits take."""
    assert rb.Lmer(FORMULA).fit(hsb, timeout=threading.TIMEOUT_MAX).nobs == 7185


def test_a_timeout_is_kept_over_several_waits(
    hsb: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "_DAY", 0.05)
    assert rb.Lmer(FORMULA).fit(hsb, timeout=100).nobs == 7185
    job = isolation.Job(partial(time.sleep, 60), partial(abs, 1), "sleep", "Sys.sleep(60)")
    begun = time.monotonic()
    with pytest.raises(rb.RTimeout, match="not done after"):
        isolation.run_isolated(job, 0.3)
    assert time.monotonic() - begun < 30


def test_errors_pickle() -> None:
    with pytest.raises(rb.RWorkerLost) as caught:
        run_isolated(Job(abort, list, "a crash", "boom()", 3))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.seed) == (rb.RWorkerLost, str(caught.value), 3)
    late = pickle.loads(pickle.dumps(rb.RTimeout("late", what="lmer", seed=1)))
    assert (type(late), str(late), late.what) == (rb.RTimeout, "late", "lmer")


def run_out_of_memory() -> None:
    raise MemoryError("unable to allocate 1 EiB")


def test_pythons_own_lack_of_memory_in_a_worker() -> None:
    with pytest.raises(rb.RWorkerLost, match=r"it ran out of memory \(unable to allocate 1 EiB\)"):
        run_isolated(Job(run_out_of_memory, list, "a job", "f()"))


def unpicklable() -> Any:
    return lambda: None


def test_a_value_that_does_not_pickle_is_an_error() -> None:
    with pytest.raises(rb.RBridgeError, match="in a worker process"):
        run_isolated(Job(unpicklable, list, "a job", "f()"))


# -- programs of their own --------------------------------------------------------------------

PROGRAM = """
    import sys, rbridge_mi as rb
    from rbridge_mi.processes import isolation
    hsb = rb.load_hsb()
    fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(hsb, isolate=True)
    print(isolation._pool._idle[0].pid, isolation._pool._idle[0]._folder.name, flush=True)
"""


def program(path: Path, text: str) -> subprocess.Popen[str]:
    path.write_text(textwrap.dedent(text))
    return subprocess.Popen(
        [sys.executable, str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def soon(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def test_a_script_needs_no_main_guard_and_leaves_nothing(tmp_path: Path) -> None:
    with program(tmp_path / "script.py", PROGRAM) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert err == ""
    assert len(out.split("\n")) == 2  # the program ran once
    pid, folder = out.split()
    assert gone(int(pid))
    assert not Path(folder).exists()


def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    text = PROGRAM + "    import time; time.sleep(100)\n"
    with program(tmp_path / "script.py", text) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline().split()[0])
        assert not gone(pid)
        process.kill()
    assert soon(lambda: gone(pid))


@pytest.mark.parametrize("what", ["fit", "list"])
def test_ctrl_c_ends_the_workers(what: str, tmp_path: Path) -> None:
    text = f"""
    import threading, time, pandas as pd, rbridge_mi as rb
    from rbridge_mi.processes import isolation
    hsb = rb.load_hsb()
    long = pd.concat([hsb.assign(schid=hsb["schid"] + f"-{{i}}") for i in range(40)])
    data = rb.ImputedData.from_frames([long] * 4) if {what!r} == "list" else long
    whole = isolation._Worker.answer
    def answer(worker, timeout):
        print(worker.pid, flush=True)
        return whole(worker, timeout)
    isolation._Worker.answer = answer
    try:
        jobs = {{"n_jobs": 2}} if {what!r} == "list" else {{}}
        rb.Lmer({SLOW!r}).fit(data, isolate=True, **jobs)
    except KeyboardInterrupt:
        assert not isolation._pool.busy
        fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(hsb)
        print("stopped, and R is well:", fit.nobs, flush=True)
    """
    with program(tmp_path / "script.py", text) as process:
        assert process.stdout is not None
        pids = [int(process.stdout.readline()) for _ in range(2 if what == "list" else 1)]
        time.sleep(0.7)
        sent = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert soon(lambda: all(gone(pid) for pid in pids), 2)
        assert time.monotonic() - sent < 2
        out, err = process.communicate(timeout=60)
    assert "stopped, and R is well: 7185" in out, err


def test_isolated_calls_from_threads(hsb: pd.DataFrame) -> None:
    expected = rb.Lmer(FORMULA).fit(hsb)
    found: list[rb.MerMod] = []

    def fit() -> rb.MerMod:
        return rb.Lmer(FORMULA).fit(hsb, timeout=60)

    threads = [threading.Thread(target=lambda: found.append(fit())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert all(x == expected for x in found)


def threads_of_r() -> str:
    return str(rdoor.call("base::Sys.getenv", "OPENBLAS_NUM_THREADS").value[0])


def test_processes_that_work_at_once_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """One alone may use all of them, and what the environment says is never changed."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    # Fresh, as an idle process may have been started in another environment.
    job = Job(threads_of_r, threads_of_r, "threads", "Sys.getenv()", None, True)

    def each() -> list[str]:
        return [x for _, x in run_each_isolated([1, 2], lambda _: job, timeout=None, n_jobs=2)]

    assert each() == ["4", "4"]
    assert run_isolated(job) == ""
    assert each() == ["4", "4"]
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    isolation._pool.close()
    assert [*each(), run_isolated(job)] == ["3", "3", "3"]
