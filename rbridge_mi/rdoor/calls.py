"""Calling R: arguments go in as values, the value and everything R said come back."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from ..errors import EncodingError, RCallError, RPackageError
from .session import session

__all__ = [
    "AsHere",
    "Pending",
    "RObject",
    "Reply",
    "begin_call_object",
    "begin_each",
    "call",
    "call_object",
    "has_package",
    "interface_mode",
    "plain_locale",
    "prepare",
    "require_package",
]

_log = logging.getLogger("rbridge_mi.r")

_plain: ContextVar[bool] = ContextVar("plain", default=False)


@contextlib.contextmanager
def plain_locale(wanted: bool = True) -> Iterator[None]:
    """Calls from here have R in the C locale: text sorted by code point, messages in English.

    Otherwise R's order of text, hence the levels of factors that R makes of it, is that of this
    process's locale. Calls of other threads, and R's LC_CTYPE, stay as they are.
    """
    before = _plain.set(wanted)
    try:
        yield
    finally:
        _plain.reset(before)


class AsHere:
    """A callable that is called elsewhere, or later, in the locale of the calls from here.

    Parameters
    ----------
    function : callable
        A thing that pickles, if it goes to another process.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.plain = _plain.get()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function gives."""
        with plain_locale(self.plain):
            return self.function(*args, **kwargs)


@dataclass(frozen=True)
class Reply:
    """What an R call gave: its decoded `value`, and what R said on the way."""

    value: Any
    warnings: tuple[str, ...]
    messages: tuple[str, ...]
    output: str


class RObject:
    """An R object that Python holds: live in this process, serialized once it leaves it.

    `call` asks any R function of it; pickling and copying go through R's own `serialize`, which
    keeps every bit. Unpickling needs no R: it is started at the first `call`.

    A pickle of an R object, as any pickle, must come from a source that is trusted.
    """

    def __init__(
        self,
        sexp: Any = None,
        raw: bytes | None = None,
        make: Callable[[], RObject] | None = None,
    ) -> None:
        self._sexp = sexp
        self._raw = raw
        self._make = make

    def call(self, function: str, *args: Any, **kwargs: Any) -> Reply:
        """``function(object, ...)`` in R; the function by its R name, such as "lme4::getME".

        Parameters
        ----------
        function : str
            "package::function", or the name of one of this library's own R functions.
        *args, **kwargs
            Further arguments, as Python values.

        Raises
        ------
        RCallError
            With R's text, if R stops.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
        >>> fit.r.call("lme4::getME", "n_rtrms").value
        array([1], dtype=int32)
        """
        return call(function, self, *args, **kwargs)

    @property
    def sexp(self) -> Any:
        """The rpy2.rinterface object, for use with rpy2."""
        self.ready()
        return session().run(self.__rsexp__)

    def ready(self) -> None:
        """Make the object, if it is one that is made on request: by calls of its own."""
        if self._sexp is None and self._raw is None and self._make is not None:
            made = self._make()
            made.ready()
            self._sexp, self._raw, self._make = made._sexp, made._raw, None

    def __rsexp__(self) -> Any:
        if self._sexp is None:
            self._sexp = session().functions["from_bytes"](_raw_vector(self._raw))
            self._raw = None
        return self._sexp

    def __getstate__(self) -> dict[str, Any]:
        self.ready()
        raw = self._raw
        if self._sexp is not None:
            raw = call("to_bytes", self).value
        return {"raw": raw}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._sexp = None
        self._raw = state["raw"]
        self._make = None

    def __del__(self) -> None:
        sexp = self.__dict__.get("_sexp")
        # When Python ends it empties its modules first: R's memory goes with the process then.
        if sexp is not None and session is not None:
            session().discard(sexp)

    def __repr__(self) -> str:
        if self._sexp is not None:
            return "<R object, live>"
        return "<R object, serialized>" if self._raw is not None else "<R object, on request>"


def call(
    function: str,
    *args: Any,
    on_output: Callable[[str], None] | None = None,
    error: type[RCallError] = RCallError,
    **kwargs: Any,
) -> Reply:
    """Call an R function and decode what it returns.

    Parameters
    ----------
    function : str
        The name of a function of ``r/*.R``, or "package::function".
    *args, **kwargs
        Python values; keywords are R's argument names.
    on_output : callable, optional
        Gets each piece of text that R prints, as it comes (for progress).
    error : subclass of RCallError
        What to raise when R stops.
    """
    return _begin(function, args, kwargs, on_output, error, decode=True).reply()


def call_object(
    function: str, *args: Any, error: type[RCallError] = RCallError, **kwargs: Any
) -> RObject:
    """Call an R function and keep what it returns in R."""
    value: RObject = begin_call_object(function, *args, error=error, **kwargs).reply().value
    return value


def begin_call_object(
    function: str, *args: Any, error: type[RCallError] = RCallError, **kwargs: Any
) -> Pending:
    """`call_object`, but go on while R works; more calls may wait behind the one that R has."""
    return _begin(function, args, kwargs, None, error, decode=False)


def begin_each(
    function: str, shared: RObject, each: Sequence[Any], *, error: type[RCallError] = RCallError
) -> list[Pending]:
    """`begin_call_object` of ``function(shared, x)`` for each x, all in one turn of R's.

    What R prints is heard, and logged, of the whole turn.
    """
    r = session()
    shared.ready()
    plain = _plain.get()

    def job() -> list[_Outcome | EncodingError]:
        from rpy2 import rinterface

        carried: list[Any] = [_carried(x) for x in each]
        ready = [x for x in carried if not isinstance(x, EncodingError)]
        with _console(None) as output, _no_events():
            done = r.functions["run_each"](
                function, shared.__rsexp__(), rinterface.ListSexpVector(ready), plain
            )
        outcomes = [_outcome(result, False, "".join(output)) for result in done]
        outcomes += outcomes[-1:] * (len(ready) - len(outcomes))  # after an interrupt
        left = iter(outcomes)
        return [x if isinstance(x, EncodingError) else next(left) for x in carried]

    future = r.begin(job)

    def reply(i: int) -> Reply:
        outcome = r.wait(future)[i]
        if isinstance(outcome, EncodingError):
            raise outcome
        return _reply(outcome, error, log=i == 0)

    return [Pending(partial(reply, i), lambda: r.abandon(future)) for i in range(len(each))]


def prepare(*packages: str) -> None:
    """Start R, and have it load packages while the caller goes on.

    R's start is Python's work in good part, and would only wait for the caller's; loading is R's.
    Errors of loading are left to the first call, which meets them again.
    """
    r = session()

    def load() -> None:
        with _no_events():  # each would wait for Python's lock, which imports hold
            for name in packages:
                r.functions["has_package"](name)

    def wait() -> None:
        with contextlib.suppress(Exception):
            r.run(load)

    threading.Thread(target=wait, name="load R packages", daemon=True).start()


def interface_mode() -> str:
    """How rpy2 is bound to R: "API" (compiled) or "ABI"."""

    def mode() -> str:
        from rpy2.rinterface_lib import openrlib

        return str(openrlib.cffi_mode.name)

    return session().run(mode)


def has_package(name: str) -> bool:
    """Whether R can load the package: it is loaded, and not asked for again."""
    if name not in _loaded and call("has_package", name).value[0]:
        _loaded.add(name)
    return name in _loaded


_loaded: set[str] = set()


def require_package(name: str, what: str) -> None:
    """Refuse, with the remedy, where R lacks a package that `what` needs."""
    if not has_package(name):
        folders = ", ".join(call("base::.libPaths").value)
        raise RPackageError(
            f"{what} needs the R package {name}, which this R does not have. Install it: on "
            f"Debian `apt-get install r-cran-{name.lower()}`, elsewhere in R "
            f'install.packages("{name}"). R looks for packages in {folders}; name further folders '
            "in the environment variable R_LIBS. `rbridge-mi doctor` lists what is missing."
        )


@dataclass(frozen=True)
class Pending:
    """A call that was handed to R."""

    _wait: Callable[[], Reply]
    _abandon: Callable[[], None]

    def reply(self) -> Reply:
        """Wait for it; Ctrl-C meanwhile stops R, and is raised."""
        return self._wait()

    def withdraw(self) -> None:
        """Its reply isn't wanted any more: R stops, if it is at it."""
        self._abandon()


_Outcome: TypeAlias = tuple[str, Any, list[tuple[str, ...]], str]  # status, value, said, printed


def _begin(
    function: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    on_output: Callable[[str], None] | None,
    error: type[RCallError],
    decode: bool,
) -> Pending:
    r = session()
    for value in _held((*args, *kwargs.values())):
        value.ready()
    plain = _plain.get()

    def job() -> _Outcome:
        from rpy2 import rinterface

        names = ["" for _ in args] + list(kwargs)
        values = [
            _argument(x, name) for x, name in zip([*args, *kwargs.values()], names, strict=True)
        ]
        arguments = rinterface.ListSexpVector(values)
        arguments.names = rinterface.StrSexpVector(names)
        with _console(on_output) as output, _no_events():
            result = r.functions["run"](function, arguments, plain)
        return _outcome(result, decode, "".join(output))

    future = r.begin(job)
    return Pending(
        lambda: _reply(r.wait(future), error, log=on_output is None), lambda: r.abandon(future)
    )


def _outcome(result: Any, decode: bool, output: str) -> _Outcome:
    """What R's `run` found, on R's thread."""
    from .decode import from_r

    status, value, *heard = result
    said = list(zip(*map(_strings, heard), strict=True))
    if status[0] != "ok":
        return status[0], None, said, output
    return "ok", from_r(value, RObject) if decode else RObject(value), said, output


def _reply(outcome: _Outcome, error: type[RCallError], log: bool = True) -> Reply:
    status, value, said, output = outcome
    if output and log:
        _log.info("%s", output)
    if status == "interrupt":
        raise KeyboardInterrupt
    if status == "error":
        _, text, where = said[-1]
        heard = "".join(f"\n  {kind}: {text.strip()}" for kind, text, _ in said[:-1])
        raise error(
            f"R: {text.strip()}" + (f"\n  in: {where}" if where else "") + heard,
            r_message=text,
            r_call=where,
            output=output,
        )
    return Reply(
        value,
        tuple(text for kind, text, _ in said if kind == "warning"),
        tuple(text.rstrip("\n") for kind, text, _ in said if kind == "message"),
        output,
    )


def _carried(value: Any) -> Any:
    """R's object, or why there is none."""
    try:
        return _argument(value, "")
    except EncodingError as error:
        return error


def _held(values: Iterable[Any]) -> Iterator[RObject]:
    """The R objects among arguments, in lists too."""
    for value in values:
        if isinstance(value, RObject):
            yield value
        elif isinstance(value, list | tuple):
            yield from _held(value)


def _argument(value: Any, name: str) -> Any:
    from .encode import to_r

    try:
        return to_r(value)
    except EncodingError as error:
        if name in ("", "data", "newdata", "frame"):
            raise
        raise EncodingError(f"argument {name!r}: {error}") from None


def _strings(vector: Any) -> list[str]:
    return [str(x) for x in vector]


def _raw_vector(raw: bytes | None) -> Any:
    from rpy2 import rinterface

    return rinterface.ByteSexpVector.from_memoryview(memoryview(raw or b""))


@contextlib.contextmanager
def _no_events() -> Iterator[None]:
    """R asks for the user's events some 5,000 times a second: rpy2 answers in Python, with Python's
    lock, for windows that no call from here has. Ctrl-C doesn't need it."""
    from rpy2.rinterface_lib import openrlib

    before = openrlib.rlib.ptr_R_ProcessEvents
    openrlib.rlib.ptr_R_ProcessEvents = openrlib.ffi.NULL
    try:
        yield
    finally:
        openrlib.rlib.ptr_R_ProcessEvents = before


@contextlib.contextmanager
def _console(on_output: Callable[[str], None] | None) -> Iterator[list[str]]:
    """Take R's console for the length of one call; the user's own rpy2 gets it back."""
    from rpy2.rinterface_lib import callbacks

    heard: list[str] = []

    def write(text: str) -> None:
        heard.append(text)
        if on_output is not None:
            on_output(text)

    before = callbacks.consolewrite_print, callbacks.consolewrite_warnerror
    callbacks.consolewrite_print = callbacks.consolewrite_warnerror = write
    try:
        yield heard
    finally:
        callbacks.consolewrite_print, callbacks.consolewrite_warnerror = before
