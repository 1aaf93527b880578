"""The one way to run a task: on one data set or on each of m, here, on workers, or isolated.

A model's fit and an imputer's call are tasks alike. `Task` is what each of them says of itself,
and the functions here do the rest: R is given its next turn before it is done with the last, dead
workers' data sets are run again, a lost process is an error that says which data set it had, and
R works in the locale of the caller wherever it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Protocol, TypeAlias

from .. import rdoor
from ..base.arguments import check_timeout
from ..errors import RWorkerLost
from .isolation import Job, run_each_isolated, run_isolated
from .workers import Begun, run_each

__all__ = ["Number", "Remote", "Task", "run_all", "run_each_of", "run_one"]

Number: TypeAlias = int | None  # of a data set, from 1; None for the only one
Remote: TypeAlias = Callable[[Any, Number, Any], Any]  # remote(shared, number, part)


class Task(Protocol):
    """What is run: `begin` does it in this process, `remote` in another one."""

    @property
    def label(self) -> str:
        """What the progress bar and messages call it, such as "lmer"."""
        ...

    @property
    def package(self) -> str:
        """The R package that a new process loads first, outside of its time limit."""
        ...

    @property
    def seed(self) -> int | None:
        """The seed that it was given, for the message when its process is lost."""
        ...

    @property
    def fresh(self) -> bool:
        """Whether an isolated process may have done nothing before, as its package keeps state."""
        ...

    @property
    def remote(self) -> Remote:
        """``remote(shared(), number, part(number))`` does it for one data set elsewhere.

        It has to pickle, and so has what it returns: plain data that `received` understands.
        """
        ...

    def r_call(self, number: Number) -> str:
        """Return the call as R code, for messages."""
        ...

    def begin(self, numbers: Sequence[Number]) -> Sequence[Begun]:
        """Begin the task in this process for some of the data sets."""
        ...

    def shared(self) -> Any:
        """Return what every data set's task needs; a frame goes in a `workers.Packed`."""
        ...

    def part(self, number: Number) -> Any:
        """Return what the task of this data set needs besides."""
        ...

    def received(self, value: Any, number: Number) -> Any:
        """Return the result, given what `remote` returned in another process."""
        ...


def run_one(task: Task, *, isolate: bool = False, timeout: float | None = None) -> Any:
    """Run a task that has a single data set, whose number is None.

    Parameters
    ----------
    task : Task
    isolate : bool
        Run it in a separate process that may be lost.
    timeout : float, optional
        Seconds that it may take there; implies `isolate`.

    Returns
    -------
    object
        What the task's `Begun.result` or `Task.received` returned.

    Raises
    ------
    RTimeout, RWorkerLost
        With `timeout` or `isolate`.
    """
    check_timeout(timeout)
    if isolate or timeout is not None:
        value = run_isolated(_job(task, task.shared(), None), timeout)
        return task.received(value, None)
    [pending] = task.begin([None])
    return pending.result()


def run_each_of(
    task: Task,
    numbers: Sequence[int],
    *,
    n_jobs: int | None = None,
    isolate: bool = False,
    timeout: float | None = None,
    bar: bool = True,
) -> Iterator[tuple[int, Any]]:
    """Run a task for each of several data sets.

    Parameters
    ----------
    task : Task
    numbers : sequence of int
        Of the data sets, from 1.
    n_jobs : int, optional
        Processes, as joblib counts them; None is joblib's setting.
    isolate : bool
        Run each data set's task in a process that may be lost.
    timeout : float, optional
        Seconds that each may take there; implies `isolate`.
    bar : bool
        Draw a progress bar, if there is a terminal or notebook and no process is isolated.

    Yields
    ------
    number : int
    result : object
        What `Begun.result` or `Task.received` returned; where an isolated process was lost, its
        `RWorkerLost` with the number as its `imputation`. Results come in any order.

    Raises
    ------
    RWorkerLost
        Without `isolate`: worker processes died with the same task, retries included.
    """
    check_timeout(timeout)
    if isolate or timeout is not None:
        shared = cache(task.shared)  # pickled per data set, computed once
        for number, value in run_each_isolated(
            numbers, lambda i: _job(task, shared(), i), timeout=timeout, n_jobs=n_jobs
        ):
            if isinstance(value, RWorkerLost):
                value.imputation = number
                yield number, value
            else:
                yield number, task.received(value, number)
        return
    for number, value in run_each(
        numbers,
        task.begin,
        rdoor.AsHere(_Sending(task.remote)),
        shared=task.shared,
        part=task.part,
        n_jobs=n_jobs,
        what=task.label,
        bar=bar,
    ):
        sent = isinstance(value, _Sent)
        yield number, task.received(value.value, number) if sent else value


def run_all(
    task: Task,
    numbers: Sequence[int],
    *,
    n_jobs: int | None = None,
    isolate: bool = False,
    timeout: float | None = None,
    bar: bool = True,
) -> list[Any]:
    """Run a task for each of several data sets, all of which are needed.

    Parameters
    ----------
    task : Task
    numbers : sequence of int
    n_jobs : int, optional
    isolate : bool
    timeout : float, optional
    bar : bool
        As in `run_each_of`.

    Returns
    -------
    list
        The results in the order of the numbers.

    Raises
    ------
    RTimeout, RWorkerLost
        Of the first data set that was lost; the message names the others.
    """
    results = dict(
        run_each_of(task, numbers, n_jobs=n_jobs, isolate=isolate, timeout=timeout, bar=bar)
    )
    lost = [i for i in numbers if isinstance(results[i], RWorkerLost)]
    if lost:
        error: RWorkerLost = results[lost[0]]
        if len(lost) > 1:
            error.args = (f"{error.args[0]}\n  Lost too: imputations {lost[1:]}.",)
        raise error
    return [results[i] for i in numbers]


@dataclass(frozen=True)
class _Sent:
    """A value from another process, as opposed to a result of this one."""

    value: Any


@dataclass(frozen=True)
class _Sending:
    """Wraps what `remote` returns in a worker process."""

    remote: Remote

    def __call__(self, shared: Any, number: Number, part: Any) -> _Sent:
        return _Sent(self.remote(shared, number, part))


def _job(task: Task, shared: Any, number: Number) -> Job:
    label = task.label if number is None else f"{task.label}, imputation {number}"
    return Job(
        rdoor.AsHere(partial(task.remote, shared, number, task.part(number))),
        partial(rdoor.has_package, task.package),
        label,
        task.r_call(number),
        task.seed,
        task.fresh,
    )
