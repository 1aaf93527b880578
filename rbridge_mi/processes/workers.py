"""The same task for each of m data sets, here or on other processes, by way of joblib.

The frame that all share goes to a worker as memory-mapped blocks (numbers, codes of text), each
task carries only its own cells, and a result comes back as soon as it is there. A worker that
dies takes nothing with it but the task it had: that one is run again, a few times.
"""

from __future__ import annotations

import contextlib
import math
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol, TypeVar

import pandas as pd
from tqdm import tqdm

from ..errors import RBridgeError, RWorkerLost

__all__ = ["Begun", "Later", "Packed", "check_main_thread", "run_each", "wake"]

T = TypeVar("T")

RETRIES = 2  # after the first try
_TURN = 1.0  # seconds that R may work on several tasks before any of them is told of
_GRACE = 0.001  # seconds
_MAPPED_FROM = "64K"  # arrays of this size and more are memory-mapped, smaller ones sent along


@dataclass(frozen=True)
class Packed:
    """A frame whose blocks joblib can memory-map: text travels as codes and its distinct values.

    It travels with every task; by its token a worker knows it again.
    """

    frame: pd.DataFrame
    dtypes: Mapping[str, Any]
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Packed:
        """Pack a frame; only columns that hold text change (and None for a missing one)."""
        text = {name: dtype for name, dtype in frame.dtypes.items() if _is_text(frame[name])}
        return cls(frame.astype(dict.fromkeys(text, "category")) if text else frame, text)

    def unpack(self) -> pd.DataFrame:
        """The frame again."""
        return self.frame.astype(dict(self.dtypes)) if self.dtypes else self.frame

    def once(self, make: Callable[[pd.DataFrame], T]) -> T:
        """What `make` makes of the frame: made for a worker's first task, kept for the others."""
        made: T | None = _made.get(self.token)
        if made is None:
            made = make(self.unpack())
            _made.clear()
            _made[self.token] = made
        return made


_made: dict[str, Any] = {}  # of the last frame alone


def _is_text(column: pd.Series[Any]) -> bool:
    if isinstance(column.dtype, pd.StringDtype):
        return True
    return bool(column.dtype == object and pd.api.types.infer_dtype(column) == "string")


class Begun(Protocol):
    """A task that this process has begun, or will do when its result is asked for."""

    def result(self) -> Any:
        """Wait for it."""
        ...

    def withdraw(self) -> None:
        """Stop it: nobody wants its result any more."""
        ...


@dataclass(frozen=True)
class Later:
    """A task that is done when its result is asked for."""

    result: Callable[[], Any]

    def withdraw(self) -> None:
        """There is nothing to stop."""


def run_each(
    numbers: Iterable[int],
    here: Callable[[Sequence[int]], Sequence[Begun]],
    there: Callable[[Any, int, Any], Any],
    *,
    shared: Callable[[], Any],
    own: Callable[[int], Any],
    n_jobs: int | None,
    what: str,
) -> Iterator[tuple[int, Any]]:
    """Yield (number, result) for each number, as the results come.

    Parameters
    ----------
    numbers : iterable of int
        Of the data sets.
    here : callable
        ``here(numbers)`` begins tasks in this process, where joblib's setting is one process; some
        are begun ahead of those that are waited for.
    there : callable
        ``there(shared, number, own)``: run in a worker, so a thing that pickles.
    shared, own : callable
        ``shared()`` is what all tasks need, ``own(number)`` what one needs besides.
    n_jobs : int or None
        As joblib has it; None is joblib's own setting.
    what : str
        For the progress bar and for messages.

    Raises
    ------
    RWorkerLost
        Workers died with the same task, retries included: names the data sets.
    """
    if not _one_process(n_jobs):
        check_main_thread(what)
    left = dict.fromkeys(numbers)
    with tqdm(desc=what, total=len(left), disable=None, leave=False) as bar:
        if _one_process(n_jobs):
            for number, result in _one_turn_ahead(left, here):
                yield number, result
                bar.update()
            return
        from joblib import delayed

        common = shared()
        lost: BaseException | None = None
        for _ in range(1 + RETRIES):
            pool = _parallel(n_jobs, return_as="generator_unordered")
            tasks = [delayed(_numbered)(there, common, k, own(k)) for k in left]
            try:
                for number, result in pool(tasks):
                    del left[number]
                    bar.update()
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
    """R is given its next turn before it is done with the last: it doesn't wait for Python.

    Short tasks share a turn, since the start of each costs R a millisecond or two.
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
            if turns:  # R's thread is taking the next up: not to be kept waiting for Python's lock
                time.sleep(_GRACE)
    finally:  # Ctrl-C, or the caller has heard enough
        for _, task in chain.from_iterable(turns):
            task.withdraw()


def check_main_thread(what: str) -> None:
    """Refuse what takes other processes or threads once the main thread has ended.

    Raises
    ------
    RBridgeError
        Python lets nobody start any then, and joblib would say so in its own words.
    """
    if not threading.main_thread().is_alive():
        raise RBridgeError(
            f"{what}: no worker processes can be started after the main thread has ended. Keep it "
            "waiting until the work is done (`thread.join()`), or do the work here (n_jobs=1)."
        )


def wake(n_jobs: int | None, load: Callable[[], object]) -> None:
    """Start the worker processes of later calls, and have each call `load`, while this one returns.

    Of this machine's processes (joblib's loky); another backend's are for others to start.
    """
    if _one_process(n_jobs):
        return
    check_main_thread("start_workers")
    import joblib

    processes = joblib.effective_n_jobs(n_jobs)

    def run() -> None:
        # The first task that needs a worker meets again what goes wrong here.
        with contextlib.suppress(*_death()):
            _parallel(processes)(joblib.delayed(load)() for _ in range(processes))

    threading.Thread(target=run, name="start workers", daemon=True).start()


def _parallel(n_jobs: int | None, **settings: Any) -> Any:
    """joblib keeps its workers from one call to the next if both ask for them alike.

    Tasks go one by one: joblib's own batches are made for tasks of milliseconds, and leave one
    worker idle at the end while another has two fits to do.
    """
    import joblib

    return joblib.Parallel(n_jobs=n_jobs, max_nbytes=_MAPPED_FROM, batch_size=1, **settings)


def _one_process(n_jobs: int | None) -> bool:
    # Who hasn't loaded joblib can't have set it to more: its import is spared (0.05 s).
    if n_jobs == 1 or (n_jobs is None and "joblib" not in sys.modules):
        return True
    if "joblib" not in sys.modules and not threading.main_thread().is_alive():
        return False  # it could not be imported any more
    import joblib

    return bool(joblib.effective_n_jobs(n_jobs) == 1)


def _numbered(
    there: Callable[[Any, int, Any], Any], common: Any, number: int, own: Any
) -> tuple[int, Any]:
    _allow_growth()
    return number, there(common, number, own)


def _allow_growth() -> None:
    """loky takes a worker that has grown by 300 MB for a leaking one, and ends it, with a warning
    and the R that it holds: a model of some size is no leak."""
    loky = sys.modules.get("joblib.externals.loky.process_executor")
    if loky is not None:
        vars(loky)["_MAX_MEMORY_LEAK_SIZE"] = math.inf


def _death() -> tuple[type[BaseException], ...]:
    """What the backends raise when a worker died."""
    try:
        from distributed import KilledWorker
    except ImportError:
        return (BrokenExecutor,)
    return (BrokenExecutor, KilledWorker)
