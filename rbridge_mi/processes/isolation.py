"""R in a separate process, which may crash, hang or be killed while this one goes on.

A worker is a new Python process that starts R itself. Nothing of the caller's main program is run
again (no ``if __name__ == "__main__"`` is needed), and the same call gives the same bits as here.
Workers are kept for further calls, and end themselves when idle or when this process is gone. At a
time limit a worker is killed, together with whatever it started.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ..base.arguments import check_timeout
from ..errors import RBridgeError, RTimeout, RWorkerLost
from .workers import check_main_thread, thread_limits

__all__ = ["Job", "run_each_isolated", "run_isolated"]

RETRIES = 1  # of a lost job in a list; a job that ran out of time is not run again
START_LIMIT = 300.0  # seconds for Python, pandas, R and its packages to load
_DAY = 86400.0
IDLE = 60.0  # seconds after which a worker without work ends itself
_READY, _STARTED = b"ready", b"started"

# The search path is set first, so that no file in the working directory is taken for a module.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2].split(sys.argv[3]); "
    "from rbridge_mi.processes.isolation import serve; serve(int(sys.argv[1]))"
)

_CAUSES = {
    signal.SIGKILL: "killed, by someone or by the system for want of memory",
    signal.SIGSEGV: "a crash in R or in a compiled package",
    signal.SIGBUS: "a crash in R or in a compiled package",
    signal.SIGABRT: "R or a compiled package called abort()",
    signal.SIGTERM: "told to end",
}


@dataclass(frozen=True)
class Job:
    """Something for a worker to do; `run` and `warm` must pickle.

    Attributes
    ----------
    run : callable
        Returns the job's value.
    warm : callable
        Loads what the job needs, before its time begins.
    what, r_call : str
        For messages: what the job is, and its call as R code.
    seed : int or None
        The seed that it was given, for messages.
    fresh : bool
        Do it in a process that has done nothing before, and does nothing afterwards.
    """

    run: Callable[[], Any]
    warm: Callable[[], Any]
    what: str
    r_call: str
    seed: int | None = None
    fresh: bool = False


def run_isolated(job: Job, timeout: float | None = None) -> Any:
    """Do the job in a worker and return its value, or raise what it raised.

    Raises
    ------
    RTimeout
        It took longer than `timeout` seconds, and its worker was killed.
    RWorkerLost
        The worker died.
    """
    check_timeout(timeout)
    return _run(job, timeout, _Held(1))


def run_each_isolated(
    numbers: Iterable[int],
    job_of: Callable[[int], Job],
    *,
    timeout: float | None,
    n_jobs: int | None,
) -> Iterator[tuple[int, Any]]:
    """Yield (number, value) as the jobs end; the value of a lost one is its `RWorkerLost`.

    A job whose worker died is run once more; one that ran out of time is not. `n_jobs` is
    joblib's; the processes are always on this machine.
    """
    check_main_thread("isolated processes")
    import joblib  # a tenth of the package's import time, needed here alone

    check_timeout(timeout)
    wanted = list(numbers)
    processes = min(len(wanted), joblib.effective_n_jobs(n_jobs))
    held = _Held(processes)

    def one(number: int) -> Any:
        job = job_of(number)
        for left in reversed(range(1 + RETRIES)):
            try:
                return _run(job, timeout, held)
            except RTimeout as error:
                return error
            except RWorkerLost as error:
                if not left or held.stopped:
                    return error
        raise AssertionError("unreachable")

    with ThreadPoolExecutor(processes, thread_name_prefix="isolated") as pool:
        try:
            # Each thread has this one's context variables, such as the door to R keeps.
            left = {pool.submit(copy_context().run, one, number): number for number in wanted}
            while left:
                done, _ = wait(left, return_when=FIRST_COMPLETED)
                for future in done:
                    yield left.pop(future), future.result()
        finally:  # also after Ctrl-C, or when the caller wants no more results
            for future in left:
                future.cancel()
            held.stop()


def _run(job: Job, timeout: float | None, held: _Held) -> Any:
    request = pickle.dumps((job.warm, job.run), protocol=5)
    worker = _pool.take(held, fresh=job.fresh)
    try:
        try:
            worker.begin(request)
        except _Gone:  # an idle worker may have ended itself just now
            worker = _pool.exchange(worker, held)
            worker.begin(request)
        kind, value = worker.answer(timeout)
    except _Late:
        worker.kill()
        raise RTimeout(
            f"{job.what}: not done after {timeout:g} seconds, and stopped.\n  in: {job.r_call}"
            f"\n  seed: {_seed(job)}\n  This process and its R go on. Give it more time "
            "(timeout=), or less to do.",
            what=job.what, r_call=job.r_call, seed=job.seed, cause="timeout",
        ) from None  # fmt: skip
    except _Gone:
        cause, output = worker.death()
        raise _lost(job, cause, output) from None
    finally:
        _pool.put_back(worker, held, keep=not job.fresh)
    if kind == "value":
        return value
    if isinstance(value, MemoryError):
        raise _lost(job, f"it ran out of memory ({value})")
    raise value


def _lost(job: Job, cause: str, output: str = "") -> RWorkerLost:
    return RWorkerLost(
        f"{job.what}: the process that ran it was lost: {cause}.\n  in: {job.r_call}"
        f"\n  seed: {_seed(job)}" + (f"\n  it said: {output}" if output else "") + "\n  This "
        "process and its R go on. If memory ran out: a smaller task, or fewer at a time (n_jobs); "
        "if R crashed, the call and the seed above crash it again.",
        what=job.what, r_call=job.r_call, seed=job.seed, cause=cause,
    )  # fmt: skip


def _seed(job: Job) -> str:
    return "none was given" if job.seed is None else str(job.seed)


class _Gone(Exception):  # noqa: N818 - never leaves this module
    """The worker is dead."""


class _Late(Exception):  # noqa: N818 - never leaves this module
    """The worker isn't done in time."""


class _Worker:
    """One worker process, seen from here.

    Parameters
    ----------
    limits : dict
        Variables of its environment that limit the threads of its linear algebra.
    """

    def __init__(self, limits: dict[str, str]) -> None:
        self.limits = limits
        # R's temporary files, which a killed R would leave behind, go where they can be removed.
        self._folder = tempfile.TemporaryDirectory(prefix="rbridge-", ignore_cleanup_errors=True)
        self._output = Path(self._folder.name) / "output"
        self._connection, theirs = Pipe()
        self._busy = False
        with theirs, self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(theirs.fileno()),
                 os.pathsep.join(sys.path), os.pathsep],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                pass_fds=[theirs.fileno()],
                env={**os.environ, **limits, "TMPDIR": self._folder.name},
                start_new_session=True,  # so that Ctrl-C reaches this process only
            )  # fmt: skip
        self._ready = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def usable(self) -> bool:
        return not self._busy and self._process.poll() is None

    def begin(self, request: bytes) -> None:
        """Hand a job over, and wait until the worker has started on it."""
        self._busy = True
        with _gone_if_closed():
            if not self._ready:
                self._expect(_READY)
                self._ready = True
            self._connection.send_bytes(request)
            self._expect(_STARTED)

    def _expect(self, expected: bytes) -> None:
        if not self._connection.poll(START_LIMIT):
            raise _Gone
        if self._connection.recv_bytes() != expected:
            raise _Gone

    def answer(self, timeout: float | None) -> tuple[str, Any]:
        with _gone_if_closed():
            self._wait(timeout)
            answer: tuple[str, Any] = pickle.loads(self._connection.recv_bytes())
        self._busy = answer[0] == "error"  # not used again: its memory may be all but used up
        return answer

    def _wait(self, timeout: float | None) -> None:
        """Wait for an answer, a day at a time: the system can't wait longer than some weeks."""
        end = None if timeout is None else time.monotonic() + timeout
        left = timeout
        while not self._connection.poll(None if left is None else max(0.0, min(left, _DAY))):
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise _Late

    def kill(self) -> None:
        """Kill the worker and what it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        self.kill()
        self._connection.close()
        self._folder.cleanup()

    def death(self) -> tuple[str, str]:
        """Return of what the worker died, and the end of what it printed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        code = self._process.poll()
        self.kill()
        output = self._output.read_text("utf-8", errors="replace").strip()[-500:]
        if code is None:
            return "it no longer answered", output
        if code >= 0:
            return f"it ended with exit code {code}", output
        number = signal.Signals(-code)
        return f"it died of {number.name} ({_CAUSES.get(number, 'a signal')})", output


@contextlib.contextmanager
def _gone_if_closed() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError):
        raise _Gone from None


class _Held:
    """The workers of one call, which end together if the call is given up.

    Parameters
    ----------
    processes : int
        How many of them work at once.
    """

    def __init__(self, processes: int) -> None:
        self.limits = thread_limits(processes)
        self._lock = threading.Lock()
        self._workers: set[_Worker] = set()
        self.stopped = False

    def add(self, worker: _Worker) -> None:
        with self._lock:
            self._workers.add(worker)
            if self.stopped:
                worker.kill()

    def remove(self, worker: _Worker) -> None:
        with self._lock:
            self._workers.discard(worker)

    def stop(self) -> None:
        with self._lock:
            self.stopped = True
            for worker in self._workers:
                worker.kill()


class _Pool:
    """The workers that are idle, and those that are busy."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._idle: list[_Worker] = []
        self.busy: set[_Worker] = set()

    def take(self, held: _Held, fresh: bool = False) -> _Worker:
        with self._lock:
            if self._pid != os.getpid():  # a forked child: the workers are its parent's
                self._pid, self._idle, self.busy = os.getpid(), [], set()
            worker = None
            alike = [x for x in self._idle if x.limits == held.limits]
            while alike and worker is None and not fresh:
                worker = alike.pop()
                self._idle.remove(worker)
                if not worker.usable:
                    worker.close()
                    worker = None
            worker = worker or _Worker(held.limits)
            self.busy.add(worker)
        held.add(worker)
        return worker

    def exchange(self, dead: _Worker, held: _Held) -> _Worker:
        """Return a fresh worker in place of a dead one."""
        self.put_back(dead, held)
        worker = _Worker(held.limits)
        with self._lock:
            self.busy.add(worker)
        held.add(worker)
        return worker

    def put_back(self, worker: _Worker, held: _Held, keep: bool = True) -> None:
        """Keep a worker that is done for later calls, and end one that isn't done.

        Of more idle workers than there are cores the one that has been idle longest ends.
        """
        held.remove(worker)
        surplus: _Worker | None = worker
        with self._lock:
            self.busy.discard(worker)
            if keep and worker.usable:
                self._idle.append(worker)
                surplus = self._idle.pop(0) if len(self._idle) > (os.cpu_count() or 1) else None
        if surplus is not None:
            surplus.close()

    def close(self) -> None:
        if self._pid != os.getpid():
            return
        with self._lock:
            for worker in [*self._idle, *self.busy]:
                worker.close()
            self._idle.clear()


_pool = _Pool()
atexit.register(_pool.close)


# -- in the worker ---------------------------------------------------------------------------


def serve(fd: int) -> None:
    """Do the jobs that come through the connection `fd`, one after the other; a worker's life."""
    os.set_inheritable(fd, False)
    _be_expendable()
    connection = Connection(fd)
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    parent = os.getppid()
    threading.Thread(target=_listen, args=(connection, requests, parent), daemon=True).start()
    connection.send_bytes(_READY)
    while True:
        try:
            request = requests.get(timeout=IDLE)
        except queue.Empty:
            os._exit(0)
        answer = _answer(connection, request)
        with contextlib.suppress(OSError):  # nobody waits any more, and `_listen` ends this process
            connection.send_bytes(answer)


def _answer(connection: Connection, request: bytes) -> bytes:
    """Do a job, and return its value or error, pickled."""
    answer: tuple[str, Any]
    try:
        warm, run = pickle.loads(request)
        warm()
        connection.send_bytes(_STARTED)
    except BaseException as error:
        connection.send_bytes(_STARTED)
        answer = ("error", error)
    else:
        try:
            answer = ("value", run())
        except BaseException as error:
            answer = ("error", error)
    try:
        pickled = pickle.dumps(answer, protocol=5)
        if answer[0] == "error":
            pickle.loads(pickled)  # fails for some exceptions that take other arguments
        return pickled
    except Exception as error:
        cause = answer[1] if answer[0] == "error" else error
        substitute = RBridgeError(f"in a worker process: {type(cause).__name__}: {cause}")
        return pickle.dumps(("error", substitute), protocol=5)


def _listen(connection: Connection, requests: queue.SimpleQueue[bytes], parent: int) -> None:
    """Take requests, also while R computes, and end the process when its parent is gone."""
    try:
        while os.getppid() == parent:
            if connection.poll(1.0):
                requests.put(connection.recv_bytes())
    finally:
        os._exit(1)


def _be_expendable() -> None:
    """Write no core dump, and have the system end this process first when memory runs out."""
    import resource

    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900")
