"""R, started once, on a dedicated thread.

One thread owns R for the life of the process. Callers wait for it: a KeyboardInterrupt therefore
reaches them as in any Python code, whatever R is doing, no signal handler has to be replaced, and
R is never entered by two threads or released by the garbage collector of another one.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ..errors import RForkError, RNotFoundError
from . import startup
from .lme4_library import load_steadily

__all__ = ["MIN_R", "Session", "is_running", "session", "source_dir"]

T = TypeVar("T")

MIN_R = (4, 2)

# rpy2 switches R's check of the C stack off, so that R may run on any thread: a stack that R's
# limit on nested expressions (5000) can't exhaust takes its place. The memory is only reserved.
_STACK_BYTES = 256 * 1024 * 1024

# No saved workspace: a .RData lying in the working directory must not change an answer. Which
# profiles R reads depends on environment variables; see `startup`.
_R_OPTIONS = ("rpy2", "--quiet", "--no-save", "--no-restore")


def source_dir() -> Path:
    """Return the folder of the R sources: in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for place in (package / "r", package.parent / "r"):
        if (place / "harness.R").is_file():
            return place
    raise RNotFoundError(
        f"rbridge_mi's own R sources (r/harness.R) were not found beside {package}: the "
        "installation is incomplete. Reinstall the package."
    )


def r_files() -> list[Path]:
    """List the files of this library's R functions; only an Rscript reads those of reference/."""
    source = source_dir()
    return [
        x for x in sorted(source.rglob("*.R")) if "reference" not in x.relative_to(source).parts
    ]


class Session:
    """The embedded R of this process. Use the module's `session()`; don't make one."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._environment: Any = None  # of R, with the functions of r/*.R
        self._functions: dict[str, Any] = {}
        self._garbage: deque[Any] = deque()
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._running: Future[Any] | None = None
        self._ending: type[BaseException] | None = None
        self._home = ""
        self._state = threading.Lock()
        started: Future[None] = Future()
        self._jobs.put((started, self._start))
        before = threading.stack_size(_STACK_BYTES)
        try:
            # A daemon, not an executor's: those take no work once the main thread has ended, though
            # Python waits for threads that may have some.
            threading.Thread(target=self._serve, name="R", daemon=True).start()
        finally:
            threading.stack_size(before)
        started.result()
        # After Ctrl-C in the main thread nobody wants what R does for the other threads, which
        # Python waits for next. Private, but all that comes before that wait.
        register = getattr(threading, "_register_atexit", None)
        if register is not None:
            with contextlib.suppress(RuntimeError):  # the main thread has ended already
                register(self._end)
        atexit.register(self._stop, SystemExit)  # only daemons are left: they end unheard

    def function(self, name: str) -> Any:
        """Return an R function of r/*.R; on R's thread."""
        if name not in self._functions:
            self._functions[name] = self._environment[name]
        return self._functions[name]

    def run(self, job: Callable[[], T]) -> T:
        """Run `job` on R's thread and wait. Ctrl-C stops R, leaves it usable, and is raised."""
        return self.wait(self.begin(job))

    def begin(self, job: Callable[[], T]) -> Future[T]:
        """Have R's thread run `job` when it is done with those before it."""
        if os.getpid() != self.pid:
            raise RForkError(
                "R was started in the parent of this forked process and can't be used here. Start "
                "workers with 'spawn', 'forkserver' or joblib's loky backend, or let the first R "
                "call come after the fork."
            )
        future: Future[T] = Future()
        self._jobs.put((future, partial(self._work, future, job)))
        return future

    def wait(self, future: Future[T]) -> T:
        """Return the job's result or raise its error; on Ctrl-C, abandon the job."""
        try:
            return future.result()
        except BaseException:
            self.abandon(future)  # KeyboardInterrupt, or the like, came while waiting
            raise

    def discard(self, sexp: Any) -> None:
        """Let go of an R object; R's thread releases it, since no other may touch R's heap."""
        self._garbage.append(sexp)

    def abandon(self, future: Future[Any]) -> None:
        """Take a job out of the queue, or interrupt R until it has stopped."""
        while not (future.done() or future.cancel()):
            with self._state:
                if self._running is future:
                    self._set_interrupt(1)
            # A second Ctrl-C finds R stopping already: nothing more to do than to wait.
            with contextlib.suppress(KeyboardInterrupt):
                wait([future], timeout=1.0)

    def _end(self) -> None:
        """Stop the work of other threads if the main thread ended because of Ctrl-C."""
        if getattr(sys, "last_type", None) is KeyboardInterrupt:
            self._stop(KeyboardInterrupt)

    def _stop(self, error: type[BaseException]) -> None:
        """Interrupt R until it has stopped; it takes no more work, but raises the error."""
        if os.getpid() != self.pid:
            return
        self._ending = error
        while True:
            with self._state:
                if self._running is None:
                    return
                self._set_interrupt(1)
            time.sleep(0.05)

    def _serve(self) -> None:
        while True:
            self._do(*self._jobs.get())

    @staticmethod
    def _do(future: Future[T], job: Callable[[], T]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(job())
        except BaseException as error:
            future.set_exception(error)
            del future  # which holds the error, which holds this frame

    def _work(self, ticket: Future[T], job: Callable[[], T]) -> T:
        from rpy2.rinterface_lib import openrlib

        # The lock of rpy2 too: a user's rpy2 code in another thread waits while this runs.
        with openrlib.rlock, _r_home(self._home):
            self._garbage.clear()
            with self._state:
                if self._ending:
                    raise self._ending
                self._running = ticket
            try:
                value = job()
                if self._ending:
                    raise self._ending
                return value
            except BaseException as error:
                # A traceback keeps its frames' variables: R objects that would be released by
                # whichever thread drops the exception. Release them here.
                seen: BaseException | None = error
                while seen is not None:
                    traceback.clear_frames(seen.__traceback__)
                    seen = seen.__cause__ or seen.__context__
                raise
            finally:
                with self._state:
                    self._running = None
                    self._set_interrupt(0)

    @staticmethod
    def _set_interrupt(pending: int) -> None:
        from rpy2.rinterface_lib import openrlib

        openrlib.rlib.R_interrupts_pending = pending

    def _start(self) -> None:
        before = dict(os.environ)
        names: list[str] = []
        try:
            base = _init_r(before)
            self._home = str(base["R.home"]()[0])
            names = list(base["names"](base["Sys.getenv"]()))
        finally:
            _restore_environment(before, names)
        _check_started(base)
        from rpy2.rinterface import StrSexpVector

        functions = base["new.env"](parent=base["baseenv"]())
        files = StrSexpVector([str(x) for x in r_files()])
        base["lapply"](files, base["sys.source"], envir=functions, **{"keep.source": False})
        library = str(functions["unloaded_library"]("lme4")[0])
        if library:
            load_steadily(library)
        self._environment = functions


def _init_r(environment: Mapping[str, str]) -> Any:
    """Start R through rpy2, unless the user's rpy2 did already; return R's base."""
    known = sys.modules.get("rpy2.rinterface_lib.embedded")
    home = None
    if known is None or not known.isinitialized():
        home = startup.find_home(environment)
        wanted = startup.start_environment(environment) | {"R_HOME": home}
        if startup.reads_users_files(environment):
            _try_users_files(home, wanted)
        _become(wanted)
    try:
        from rpy2 import situation

        with _replaced(situation, "r_ld_library_path_from_subprocess", lambda _: ""):
            from rpy2 import rinterface
        from rpy2.rinterface_lib import embedded, openrlib
    except Exception as error:  # what fails here is a broken build: OSError, ImportError, ...
        raise RNotFoundError(
            f"R is installed but rpy2 can't load it ({type(error).__name__}: {error}). Rebuild the "
            "binding against this R: RPY2_CFFI_MODE=API pip install --force-reinstall "
            "--no-cache-dir --no-binary rpy2-rinterface 'rpy2-rinterface>=3.6.3,<3.6.6'. "
            "`rbridge-mi doctor` shows the details."
        ) from error
    if home is not None:
        _check_library(home)
        openrlib.R_HOME = home  # rpy2 looked R up when the user imported it, before this check
        embedded.set_initoptions(_R_OPTIONS)
        with warnings.catch_warnings():
            # rpy2 warns that Ctrl-C can't interrupt an R started off the main thread; `run` does.
            warnings.filterwarnings("ignore", message=r"(?s).*not initialized by the main")
            with _replaced(rinterface, "_getrenvvars", tuple):
                rinterface.initr(interactive=False)
        # rpy2's way to end R has it collect all garbage first: 0.2 s that nobody waits for.
        atexit.unregister(rinterface.endr)
        atexit.register(_end_r, os.getpid())
    return rinterface.baseenv


def _try_users_files(home: str, environment: dict[str, str]) -> None:
    """Start another R first: startup files that end R would end this process without a word.

    Raises
    ------
    RNotFoundError
        R ended; the message has its output.
    """
    done = subprocess.run(
        [str(Path(home) / "bin" / "R"), "--quiet", "--no-save", "--no-restore", "--no-echo",
         "-e", 'cat("\\nstarted\\n")'],
        capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
        env=environment,
    )  # fmt: skip
    if done.returncode == 0 and done.stdout.endswith("\nstarted\n"):
        return
    output = (done.stderr.strip() or done.stdout.strip() or "nothing")[-500:]
    raise RNotFoundError(
        f"R does not start with the user's startup files (.Rprofile, .Renviron), which it reads "
        f"because {startup.STARTUP} is 'user': it ended with code {done.returncode}. Mend them, or "
        f"unset {startup.STARTUP}.\n  R said: {output}"
    )


def _check_library(home: str) -> None:
    """Check that the R that is loaded is of the version whose packages are in `home`.

    Raises
    ------
    RNotFoundError
        R_HOME names another R than the one that rpy2 was built against: R would end this process.
    """
    maps = Path("/proc/self/maps")
    if not maps.is_file():
        return
    paths = {x.split(maxsplit=5)[-1] for x in maps.read_text("utf-8", "replace").splitlines()}
    loaded = [Path(x).parent.parent for x in paths if x.endswith("/lib/libR.so")]
    versions = [(x, startup.version_of(x)) for x in loaded]
    mine = startup.version_of(Path(home))
    for place, version in versions:
        if version is not None and mine is not None and version != mine:
            raise RNotFoundError(
                f"R_HOME is {home}, an R {mine}, but rpy2 is built against R {version} in {place}: "
                "unset R_HOME, or rebuild rpy2 against the other R (`rbridge-mi doctor` says how)."
            )


def _check_started(base: Any) -> None:
    """Check the version and packages of the R that runs; the user's rpy2 may have started it."""
    version = str(base["as.character"](base["getRversion"]())[0])
    if tuple(int(x) for x in version.split(".")[:2]) < MIN_R:
        raise RNotFoundError(
            f"R {version} is too old: rbridge_mi needs R {MIN_R[0]}.{MIN_R[1]} or newer."
        )
    attached = {str(x) for x in base["search"]()}
    lacks = [x for x in startup.DEFAULT_PACKAGES if f"package:{x}" not in attached]
    if lacks:
        raise RNotFoundError(
            f"R was started without its default packages ({', '.join(lacks)}): unset "
            "R_DEFAULT_PACKAGES and take options(defaultPackages=) out of R's startup files, or "
            "let rbridge_mi start R."
        )
    info = base["l10n_info"]()
    if not bool(info[list(info.names).index("UTF-8")][0]):
        ctype = startup.utf8_locale(str(base["Sys.getlocale"]("LC_CTYPE")[0]))
        base["Sys.setlocale"]("LC_CTYPE", ctype)


def _become(environment: Mapping[str, str]) -> None:
    """Make this process's environment what is given."""
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)


def _end_r(pid: int) -> None:
    """End R as its quit() does; not in a fork, since R's temporary folder is the parent's."""
    from rpy2.rinterface_lib import embedded, openrlib

    if os.getpid() != pid:
        return
    with openrlib.rlock:
        if embedded.isready():
            openrlib.rlib.R_dot_Last()
            openrlib.rlib.Rf_endEmbeddedR(0)
            embedded.rpy2_embeddedR_isinitialized |= embedded.RPY_R_Status.ENDED.value


@contextlib.contextmanager
def _replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    """Replace a function of rpy2 while R starts, so that rpy2 runs no Rscript.

    Each takes a sixth of a second. What rpy2 reads with it are environment variables, which are
    restored after the start in any case, and R reads its Renviron itself.
    """
    before = getattr(module, name, None)
    if before is None:  # another rpy2: leave it alone
        yield
        return
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _restore_environment(before: dict[str, str], names: list[str]) -> None:
    """Undo what R's start wrote, in os.environ and in C's environment, for child processes.

    What R needs of these variables it has read by now, but for R_HOME (see `_r_home`); a child
    that inherited its LD_LIBRARY_PATH would load another libpython.
    """
    for name in set(names) - set(before):
        os.unsetenv(name)
    _become(before)


@contextlib.contextmanager
def _r_home(home: str) -> Iterator[None]:
    """R_HOME in C's environment for the length of a call: R looks for its parts by it."""
    given = os.environ.get("R_HOME")
    if given == home:
        yield
        return
    os.putenv("R_HOME", home)
    try:
        yield
    finally:
        if given is None:
            os.unsetenv("R_HOME")
        else:
            os.putenv("R_HOME", given)


_session: Session | None = None
_starting = threading.Lock()


def session() -> Session:
    """Return the R of this process, and start it if it has not been started yet."""
    global _session
    if _session is None:
        with _starting:
            if _session is None:
                _session = Session()
    return _session


def is_running() -> bool:
    """Tell whether this process has started its R."""
    return _session is not None
