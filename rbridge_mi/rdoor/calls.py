"""Calling R functions by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import RCallError
from .objects import RObject
from .turns import Pending, Reply, begin_each_turn, begin_turn

__all__ = ["begin_call_object", "begin_each", "call", "call_object"]


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
        The name of a function of ``r/``, or "package::function".
    *args : object
        Python values of R's arguments by position.
    on_output : callable, optional
        Gets each piece of text that R prints, as it comes (for progress).
    error : subclass of RCallError
        What to raise when R stops.
    **kwargs : object
        Python values of R's arguments by name.

    Returns
    -------
    Reply
        The decoded value, with R's warnings, messages and output.
    """
    return begin_turn(
        function, args, kwargs, wrap=RObject, decode=True, error=error, on_output=on_output
    ).reply()


def call_object(
    function: str, *args: Any, error: type[RCallError] = RCallError, **kwargs: Any
) -> RObject:
    """Call an R function and keep what it returns in R."""
    value: RObject = begin_call_object(function, *args, error=error, **kwargs).reply().value
    return value


def begin_call_object(
    function: str,
    *args: Any,
    on_output: Callable[[str], None] | None = None,
    error: type[RCallError] = RCallError,
    **kwargs: Any,
) -> Pending:
    """Begin `call_object`, and go on while R works; more calls may wait behind this one."""
    return begin_turn(
        function, args, kwargs, wrap=RObject, decode=False, error=error, on_output=on_output
    )


def begin_each(
    function: str,
    shared: RObject,
    each: Sequence[Any],
    *,
    decode: bool = False,
    error: type[RCallError] = RCallError,
) -> list[Pending]:
    """Begin ``function(shared, x)`` for each x, all in one turn of R.

    The values stay in R, unless they are to be decoded. Output is captured per turn, and logged
    with the first of its calls.
    """
    return begin_each_turn(function, shared, each, wrap=RObject, decode=decode, error=error)
