"""The one way to run a task: here, on workers, isolated."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from io import StringIO
from typing import Any

import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.processes import progress
from rbridge_mi.processes.progress import OutputProgress
from rbridge_mi.processes.running import run_all, run_each_of, run_one
from rbridge_mi.processes.workers import Later
from rbridge_mi.rdoor.locale import is_plain

pytestmark = [pytest.mark.r, pytest.mark.processes]


@dataclass(frozen=True)
class Remote:
    """Says where it ran; some numbers kill the process."""

    deadly: tuple[int, ...] = ()

    def __call__(self, shared: str, number: int | None, part: Any) -> tuple[Any, ...]:
        if number in self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return (shared, number, part, os.getpid(), is_plain())


class Task:
    """What each number's task returns says how it was run."""

    label, package, seed = "task", "stats", 7

    def __init__(self, deadly: tuple[int, ...] = (), fresh: bool = False) -> None:
        self.remote = Remote(deadly)
        self.fresh = fresh
        self.shared_made = 0

    def r_call(self, number: int | None) -> str:
        return f"f({number})"

    def begin(self, numbers: Sequence[int | None]) -> list[Later]:
        return [Later(partial(self._here, i)) for i in numbers]

    def _here(self, number: int | None) -> tuple[str, Any]:
        return "here", self.remote(self.shared(), number, self.part(number))

    def shared(self) -> str:
        self.shared_made += 1
        return "all"

    def part(self, number: int | None) -> int:
        return 10 * (number or 0)

    def received(self, value: Any, number: int | None) -> tuple[str, Any]:
        return "received", value


WAYS: list[dict[str, Any]] = [{"n_jobs": 1}, {"n_jobs": 2}, {"isolate": True}, {"timeout": 60}]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_each_data_set_is_run_once(way: dict[str, Any]) -> None:
    task = Task()
    results = run_all(task, [3, 1, 2], **way)
    kind = "here" if way == {"n_jobs": 1} else "received"
    assert [x[0] for x in results] == 3 * [kind]
    assert [x[1][:3] for x in results] == [("all", 3, 30), ("all", 1, 10), ("all", 2, 20)]
    assert all((x[1][3] == os.getpid()) == (kind == "here") for x in results)
    if kind == "received":
        assert task.shared_made == 1
    assert dict(run_each_of(task, [1], **way))[1][1][:2] == ("all", 1)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_elsewhere_is_as_here(way: dict[str, Any]) -> None:
    with rdoor.plain_locale():
        assert all(x[1][4] for x in run_all(Task(), [1, 2], **way))
    assert not any(x[1][4] for x in run_all(Task(), [1, 2], **way))


@pytest.mark.parametrize("way", [{}, {"isolate": True}, {"timeout": 60}], ids=str)
def test_the_only_data_set_has_no_number(way: dict[str, Any]) -> None:
    kind, value = run_one(Task(), **way)
    assert kind == ("received" if way else "here")
    assert value[:3] == ("all", None, 0)


def test_a_fresh_process_does_one_thing_only() -> None:
    def processes(fresh: bool) -> list[int]:
        return [run_one(Task(fresh=fresh), isolate=True)[1][3] for _ in range(3)]

    kept = processes(fresh=False)
    assert len(set(kept)) == 1
    fresh = processes(fresh=True)
    assert len({*kept, *fresh}) == 4
    several = run_all(Task(fresh=True), [1, 2, 3], isolate=True, n_jobs=1)
    assert len({*kept, *fresh, *(x[1][3] for x in several)}) == 7


def test_idle_processes_with_other_limits_make_room() -> None:
    many = max(2, os.cpu_count() or 1)
    run_all(Task(), range(1, many + 1), isolate=True, n_jobs=many)
    assert len({run_one(Task(), isolate=True)[1][3] for _ in range(3)}) == 1


def test_a_lost_one_says_which_it_was() -> None:
    results = dict(run_each_of(Task(deadly=(2,)), [1, 2, 3], isolate=True))
    lost = results[2]
    assert isinstance(lost, rb.RWorkerLost)
    assert (lost.imputation, lost.what, lost.r_call, lost.seed) == (
        2, "task, imputation 2", "f(2)", 7,
    )  # fmt: skip
    assert results[1][0] == results[3][0] == "received"
    with pytest.raises(rb.RWorkerLost, match=r"imputation 1(?s:.*)Lost too: imputations \[3\]"):
        run_all(Task(deadly=(1, 3)), [1, 2, 3], isolate=True)
    with pytest.raises(rb.RWorkerLost, match=r"task, imputation 2"):
        run_all(Task(deadly=(2,)), [1, 2, 3], isolate=True)


def test_a_lost_only_one_has_no_number() -> None:
    task = Task()
    task.remote = Remote(deadly=(None,))  # type: ignore[arg-type]
    with pytest.raises(rb.RWorkerLost) as caught:
        run_one(task, isolate=True)
    assert (caught.value.what, caught.value.r_call) == ("task", "f(None)")
    assert caught.value.imputation is None


@pytest.mark.parametrize("timeout", [0, -1, True, "1", float("nan")])
def test_a_timeout_is_checked_first(timeout: Any) -> None:
    for run in (run_one, partial(run_all, numbers=[1])):
        with pytest.raises(rb.ArgumentError, match="timeout"):
            run(Task(), timeout=timeout)


def test_output_drives_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []

    class Bar:
        def update(self, n: int) -> None:
            shown.append(n)

        def close(self) -> None:
            shown.append(-1)

    monkeypatch.setattr(progress, "progress_bar", lambda *_: Bar())
    with OutputProgress("Amelia", 3, r"-- Imputation \d+ --") as read:
        read("-- Imputation 1 --\n 1 2 3\n")
        read("4\n-- Imputation 2 --\n-- Imputation 3 --")
    assert shown == [0, 1, 1, -1]  # a line says that one begins, so that the one before is done
    shown.clear()
    with OutputProgress("Amelia", 2, r"-- Imputation \d+ --") as read:
        for piece in (
            "-- Imputation",
            " ",
            "1",
            " --\n\n",
            "  1",
            "  2\n",
            "-- Imputation",
            " ",
            "2",
        ):
            read(piece)
        assert shown == [0]
        read(" --\n")
        assert shown == [0, 1]


@pytest.mark.parametrize(
    ("imputer", "steps"),
    [
        (rb.AmeliaImputer(m=3, idvars=["schid", "size", "schtype", "meanses"]), 3),
        (rb.MiceImputer(m=2, maxit=3), 6),
    ],
    ids=["amelia", "mice"],
)
def test_a_progress_bar_moves_with_what_r_prints(
    hsb: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, imputer: Any, steps: int
) -> None:
    """R hands a line over in pieces."""
    moved: list[int] = []
    totals: list[int] = []

    class Bar:
        def update(self, n: int) -> None:
            moved.append(n)

        def close(self) -> None:
            pass

    def bar(total: int, *_: str) -> Bar:
        totals.append(total)
        return Bar()

    monkeypatch.setattr(progress, "progress_bar", bar)
    data = hsb.head(300)
    imputer.impute(rb.ampute(data, prop=0.1, columns=["ses"], seed=1), seed=1)
    assert totals == [steps]
    assert moved == [0] + [1] * (steps - 1)  # each line says that one begins


@pytest.mark.parametrize(("value", "drawn"), [("", True), ("0", True), ("1", False)])
def test_tqdms_environment_variable_turns_bars_off(
    value: str, drawn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TQDM_DISABLE", value)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress.progress_bar(2, "lmer", "fit") as bar:
        bar.update(2)
    assert ("lmer" in terminal.getvalue()) is drawn
