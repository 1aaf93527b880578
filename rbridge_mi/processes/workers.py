"""The same task for each of m data sets, in this process or in joblib's worker processes.

The frame that all share goes to a worker as memory-mapped blocks (numbers, codes of text). Each
task carries only the cells of its data set, and its result comes back as soon as it is there. Of a
worker that dies only the current task is lost, and is run again, a few times.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from numbers import Integral
from typing import Any, Protocol, TypeVar

import pandas as pd

from ..errors import ArgumentError, RBridgeError, RWorkerLost
from .progress import progress_bar

__all__ = [
    "Begun",
    "Later",
    "Packed",
    "check_main_thread",
    "effective_jobs",
    "pickled",
    "run_each",
    "thread_limits",
    "wake",
]

T = TypeVar("T")

RETRIES = 2  # after the first try
_TURN = 1.0  # seconds of work that R is given at once, as several short tasks
_GRACE = 0.001  # seconds
_THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
_LOOK = 1.0  # seconds between a worker's looks after its parent
_MAPPED_FROM = "64K"  # arrays of this size and more are memory-mapped, smaller ones sent along


@dataclass(frozen=True)
class Packed:
    """A frame whose blocks joblib can memory-map: text travels as codes and its distinct values.

    It travels with every task, and its token tells a worker that it has the frame already.
    """

    frame: pd.DataFrame
    dtypes: Mapping[str, Any]
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Packed:
        """Pack a frame; only columns that hold text, or None for missing text, change."""
        text = {name: dtype for name, dtype in frame.dtypes.items() if _is_text(frame[name])}
        return cls(frame.astype(dict.fromkeys(text, "category")) if text else frame, text)

    def unpack(self) -> pd.DataFrame:
        """Return the frame as it was."""
        return self.frame.astype(dict(self.dtypes)) if self.dtypes else self.frame

    def once(self, make: Callable[[pd.DataFrame], T]) -> T:
        """Return ``make(frame)``, computed for a worker's first task and kept for the others."""
        kept: T | None = _kept.get(self.token)
        if kept is None:
            kept = make(self.unpack())
            _kept.clear()
            _kept[self.token] = kept
        return kept


_kept: dict[str, Any] = {}  # the value of `Packed.once`, for the last frame alone


def _is_text(column: pd.Series[Any]) -> bool:
    if isinstance(column.dtype, pd.StringDtype):
        return True
    return bool(column.dtype == object and pd.api.types.infer_dtype(column) == "string")


class Begun(Protocol):
    """A task that this process has started, or runs when its result is asked for."""

    def result(self) -> Any:
        """Wait for the task to end, and return its result."""
        ...

    def withdraw(self) -> None:
        """Stop the task, since nobody wants its result any more."""
        ...


@dataclass(frozen=True)
class Later:
    """A task that is done when its result is asked for."""

    result: Callable[[], Any]

    def withdraw(self) -> None:
        """Do nothing: the task was not started."""


def run_each(
    numbers: Iterable[int],
    here: Callable[[Sequence[int]], Sequence[Begun]],
    there: Callable[[Any, int, Any], Any],
    *,
    shared: Callable[[], Any],
    part: Callable[[int], Any],
    n_jobs: int | None,
    what: str,
    bar: bool = True,
) -> Iterator[tuple[int, Any]]:
    """Yield (number, result) for each number, as the results come.

    Parameters
    ----------
    numbers : iterable of int
        Of the data sets.
    here : callable
        ``here(numbers)`` begins tasks in this process; it is called where joblib's setting is one
        process. Some tasks are started ahead of those that are waited for.
    there : callable
        ``there(shared, number, part)`` is called in a worker, so that it has to pickle.
    shared, part : callable
        ``shared()`` is what all tasks need, ``part(number)`` what one needs besides.
    n_jobs : int or None
        As joblib has it; None is joblib's setting.
    what : str
        For the progress bar and for messages.
    bar : bool
        Draw a progress bar, if there is a terminal or a notebook.

    Yields
    ------
    number : int
    result : object
        What `Begun.result` or `there` returned.

    Raises
    ------
    RWorkerLost
        Workers died with the same task, retries included; the message names the data sets.
    """
    if not _one_process(n_jobs):
        check_main_thread(what)
    left = dict.fromkeys(numbers)
    with progress_bar(len(left), what, "data set", draw=bar) as progress:
        if _one_process(n_jobs):
            for number, result in _one_turn_ahead(left, here):
                yield number, result
                progress.update()
            return
        from joblib import delayed

        for_all = shared()
        lost: BaseException | None = None
        for _ in range(1 + RETRIES):
            pool = _parallel(n_jobs, return_as="generator_unordered")
            # Made as they are sent off, so that the parts of many tasks aren't all there at once.
            tasks = (delayed(_numbered)(there, for_all, i, part(i)) for i in list(left))
            try:
                for number, result in pool(tasks):
                    del left[number]
                    progress.update()
                    yield number, result
            except _death() as error:
                lost = error
            else:
                return
        raise RWorkerLost(
            f"{what}: worker processes died {1 + RETRIES} times; data sets "
            f"{', '.join(map(str, left))} are not done ({lost}). They may have run out of memory, "
            "or R may have crashed: try fewer processes (n_jobs), or one of these alone."
        ) from lost


def _one_turn_ahead(
    numbers: Iterable[int], here: Callable[[Sequence[int]], Sequence[Begun]]
) -> Iterator[tuple[int, Any]]:
    """Give R its next turn before it is done with the last, so that it never waits for Python.

    Short tasks share a turn, since the start of a turn costs R a millisecond or two.
    """
    left = list(numbers)
    turns: deque[list[tuple[int, Begun]]] = deque()
    size, since = 1, time.perf_counter()
    try:
        while left or turns:
            while left and len(turns) < 2:
                turns.append(list(zip(left[:size], here(left[:size]), strict=True)))
                del left[:size]
            for number, task in turns[0]:
                yield number, task.result()
            now = time.perf_counter()
            size = max(1, int(_TURN * len(turns[0]) / max(now - since, 1e-6)))
            since = now
            turns.popleft()
            if turns:  # R's thread takes up the next turn now, and needs Python's lock for that
                time.sleep(_GRACE)
    finally:  # after Ctrl-C, or when the caller wants no more results
        for _, task in chain.from_iterable(turns):
            task.withdraw()


def check_main_thread(what: str) -> None:
    """Refuse to start processes or threads once the main thread has ended.

    Raises
    ------
    RBridgeError
        Python lets nobody start any then, and joblib's message would not say what to do.
    """
    if not threading.main_thread().is_alive():
        raise RBridgeError(
            f"{what}: no worker processes can be started after the main thread has ended. Keep it "
            "waiting until the work is done (`thread.join()`), or do the work here (n_jobs=1)."
        )


def wake(n_jobs: int | None, load: Callable[[], object]) -> None:
    """Start the worker processes of later calls, have each call `load`, and return at once.

    They are processes of this machine (joblib's loky). Those of another backend are not started.
    """
    if _one_process(n_jobs):
        return
    check_main_thread("start_workers")
    import joblib

    processes = joblib.effective_n_jobs(n_jobs)

    def run() -> None:
        # What goes wrong here goes wrong again, and is reported, when a task needs the worker.
        with contextlib.suppress(*_death()):
            _parallel(processes)(joblib.delayed(_loaded)(load) for _ in range(processes))

    threading.Thread(target=run, name="start workers", daemon=True).start()


def _parallel(n_jobs: int | None, **settings: Any) -> Any:
    """Return the pool. Calls that ask for it with the same settings share its workers.

    Tasks go one by one: joblib's batches are meant for tasks of milliseconds, and leave one
    worker idle at the end while another has two fits to do.
    """
    import joblib

    return joblib.Parallel(n_jobs=n_jobs, max_nbytes=_MAPPED_FROM, batch_size=1, **settings)


def effective_jobs(n_jobs: int | None) -> int:
    """Return how many processes work at once, as joblib counts them."""
    if _one_process(n_jobs):
        return 1
    import joblib

    return int(joblib.effective_n_jobs(n_jobs))


def thread_limits(processes: int) -> dict[str, str]:
    """Return the environment in which processes that work at once share the cores.

    Linear algebra that has threads (OpenBLAS, R's too) takes all cores in each process otherwise.
    joblib's and Dask's own processes are started in such an environment by these.

    Parameters
    ----------
    processes : int
        How many there are.

    Returns
    -------
    dict
        Variables to set: none for a single process, and none that are set already.

    Examples
    --------
    >>> thread_limits(1)
    {}
    """
    if processes == 1:
        return {}
    each = str(max(1, (os.cpu_count() or 1) // processes))
    return {x: each for x in _THREADS if x not in os.environ}


def pickled(value: Any) -> bytes:
    """Pickle a value by cloudpickle, as joblib does, so that its class may be defined in a script.

    Returns
    -------
    bytes
        What `pickle.loads` reads.
    """
    from joblib.externals.loky.backend.reduction import dumps

    return bytes(dumps(value))


def _one_process(n_jobs: int | None) -> bool:
    is_whole = isinstance(n_jobs, Integral) and not isinstance(n_jobs, bool)
    if n_jobs is not None and not (is_whole and n_jobs):
        raise ArgumentError(
            f"n_jobs must be a number of processes, -1 for all cores, or None for joblib's own "
            f"setting, not {n_jobs!r}."
        )
    # Where joblib isn't loaded it can't have been set to more: its import (0.05 s) is spared.
    if n_jobs == 1 or (n_jobs is None and "joblib" not in sys.modules):
        return True
    if "joblib" not in sys.modules and not threading.main_thread().is_alive():
        return False  # joblib could not be imported any more
    import joblib

    return bool(joblib.effective_n_jobs(n_jobs) == 1)


def _numbered(
    there: Callable[[Any, int, Any], Any], shared: Any, number: int, part: Any
) -> tuple[int, Any]:
    _settle_in()
    return number, there(shared, number, part)


def _loaded(load: Callable[[], object]) -> None:
    _settle_in()
    load()


@cache
def _settle_in() -> None:
    """Have a worker process of loky live for its R, and no longer than its parent."""
    _allow_growth()
    process: Any = multiprocessing.current_process()
    if type(process).__name__ == "LokyProcess":
        parent = os.getppid()
        threading.Thread(target=_end_with, args=(parent,), name="parent", daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process, whatever it is doing, once its parent is gone: loky's would go on."""
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(1)


def _allow_growth() -> None:
    """Keep loky from ending a worker that has grown by 300 MB, which it takes for a leak.

    The worker's R would end with it, and a model of some size is no leak.
    """
    loky = sys.modules.get("joblib.externals.loky.process_executor")
    if loky is not None:
        vars(loky)["_MAX_MEMORY_LEAK_SIZE"] = math.inf


def _death() -> tuple[type[BaseException], ...]:
    """Return the exceptions that the backends raise when a worker died."""
    try:
        from distributed import KilledWorker
    except ImportError:
        return (BrokenExecutor,)
    return (BrokenExecutor, KilledWorker)
