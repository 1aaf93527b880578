"""A turn of R: arguments go in as values, and a value and R's conditions come back.

What stays in R is wrapped by the caller's `wrap`, so that this module needn't know `RObject`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias, runtime_checkable

from ..errors import EncodingError, RCallError
from .console import captured_console, without_events
from .locale import is_plain
from .session import session

__all__ = ["Pending", "Reply", "begin_each_turn", "begin_turn"]

_log = logging.getLogger("rbridge_mi.r")

Wrap: TypeAlias = Callable[[Any], Any]
Condition: TypeAlias = tuple[str, str, str]  # kind, text, the call that it came from


@dataclass(frozen=True)
class Reply:
    """What an R call gave: its decoded `value`, and R's warnings, messages and output."""

    value: Any
    warnings: tuple[str, ...]
    messages: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class Pending:
    """A call that was handed to R."""

    _wait: Callable[[], Reply]
    _abandon: Callable[[], None]

    def reply(self) -> Reply:
        """Wait for the reply; Ctrl-C meanwhile stops R, and is raised."""
        return self._wait()

    def withdraw(self) -> None:
        """Stop R if it is at this call: nobody wants its reply any more."""
        self._abandon()


@runtime_checkable
class _HeldInR(Protocol):
    """An argument that is an R object already."""

    def ready(self) -> None: ...
    def __rsexp__(self) -> Any: ...


@dataclass(frozen=True)
class _Outcome:
    """How a call ended: "ok", "error" or "interrupt"."""

    status: str
    value: Any
    conditions: Sequence[Condition]
    output: str


def begin_turn(
    function: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    wrap: Wrap,
    decode: bool,
    error: type[RCallError],
    on_output: Callable[[str], None] | None = None,
) -> Pending:
    """Hand R one call of a function; its value is decoded, or kept in R by `wrap`."""
    r = session()
    plain = is_plain()  # of the caller: R's thread has another context
    _make_ready([*args, *kwargs.values()])

    def job() -> _Outcome:
        from rpy2 import rinterface

        names = ["" for _ in args] + list(kwargs)
        values = [
            _argument(x, name) for x, name in zip([*args, *kwargs.values()], names, strict=True)
        ]
        arguments = rinterface.ListSexpVector(values)
        if kwargs:
            arguments.names = rinterface.StrSexpVector(names)
        with captured_console(on_output) as output, without_events():
            result = r.function("run")(function, arguments, plain)
        return _outcome(result, wrap, decode, "".join(output))

    future = r.begin(job)
    return Pending(
        lambda: _reply(r.wait(future), error, log=on_output is None), lambda: r.abandon(future)
    )


def begin_each_turn(
    function: str,
    shared: Any,
    each: Sequence[Any],
    *,
    wrap: Wrap,
    decode: bool,
    error: type[RCallError],
) -> list[Pending]:
    """Hand R ``function(shared, x)`` for each x, all in one turn.

    The values are decoded, or kept in R by `wrap`. Output is captured per turn,
    and logged with the first of its calls.
    """
    r = session()
    plain = is_plain()
    _make_ready([shared])

    def job() -> list[_Outcome | EncodingError]:
        from rpy2 import rinterface

        carried = [_argument_or_error(x) for x in each]
        ready = [x for x in carried if not isinstance(x, EncodingError)]
        with captured_console(None) as output, without_events():
            results = r.function("run_each")(
                function, shared.__rsexp__(), rinterface.ListSexpVector(ready), plain
            )
        outcomes = [_outcome(result, wrap, decode, "".join(output)) for result in results]
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


def _outcome(result: Any, wrap: Wrap, decode: bool, output: str) -> _Outcome:
    """Read what R's `run` returned; on R's thread."""
    from .decode import from_r

    status, value, *columns = result
    conditions: list[Condition] = [
        (str(kind), str(text), str(where)) for kind, text, where in zip(*columns, strict=True)
    ]
    if status[0] != "ok":
        return _Outcome(status[0], None, conditions, output)
    return _Outcome("ok", from_r(value, wrap) if decode else wrap(value), conditions, output)


def _reply(outcome: _Outcome, error: type[RCallError], log: bool) -> Reply:
    if outcome.output and log:
        _log.info("%s", outcome.output)
    if outcome.status == "interrupt":
        raise KeyboardInterrupt
    if outcome.status == "error":
        *earlier, (_, text, where) = outcome.conditions
        before = "".join(f"\n  {kind}: {message.strip()}" for kind, message, _ in earlier)
        raise error(
            f"R: {text.strip()}" + (f"\n  in: {where}" if where else "") + before,
            r_message=text,
            r_call=where,
            output=outcome.output,
        )
    return Reply(
        outcome.value,
        tuple(text for kind, text, _ in outcome.conditions if kind == "warning"),
        tuple(text.rstrip("\n") for kind, text, _ in outcome.conditions if kind == "message"),
        outcome.output,
    )


def _make_ready(values: Iterable[Any]) -> None:
    """Compute the R objects among the arguments, in lists too, each in a separate turn."""
    for value in _held_in_r(values):
        value.ready()


def _held_in_r(values: Iterable[Any]) -> Iterator[_HeldInR]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _held_in_r(value)
        elif hasattr(type(value), "__rsexp__") and isinstance(value, _HeldInR):
            yield value


def _argument(value: Any, name: str) -> Any:
    from .encode import to_r

    try:
        return to_r(value)
    except EncodingError as error:
        if name in ("", "data", "newdata", "frame"):
            raise
        raise EncodingError(f"argument {name!r}: {error}") from None


def _argument_or_error(value: Any) -> Any:
    try:
        return _argument(value, "")
    except EncodingError as error:
        return error
