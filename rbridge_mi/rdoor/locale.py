"""In which locale calls have R sort text and speak."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

__all__ = ["AsHere", "is_plain", "plain_locale"]

_plain: ContextVar[bool] = ContextVar("plain", default=False)


@contextlib.contextmanager
def plain_locale(wanted: bool = True) -> Iterator[None]:
    """Have R in the C locale for calls from here: text sorted by code point, messages in English.

    Otherwise R's order of text, hence the levels of factors that R makes of it, is that of this
    process's locale. Calls of other threads, and R's LC_CTYPE, stay as they are.
    """
    before = _plain.set(wanted)
    try:
        yield
    finally:
        _plain.reset(before)


def is_plain() -> bool:
    """Tell whether calls from here have R in the C locale."""
    return _plain.get()


class AsHere:
    """A callable that is called elsewhere, or later, in the locale of the calls from here.

    Parameters
    ----------
    function : callable
        A thing that pickles, if it goes to another process.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.plain = is_plain()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        with plain_locale(self.plain):
            return self.function(*args, **kwargs)
