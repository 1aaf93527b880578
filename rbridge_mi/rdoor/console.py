"""R's console and its event loop, held for the length of one turn of R."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

__all__ = ["captured_console", "without_events"]


@contextlib.contextmanager
def captured_console(on_output: Callable[[str], None] | None) -> Iterator[list[str]]:
    """Collect what R prints, piece by piece; afterwards the user's rpy2 has its console again.

    Parameters
    ----------
    on_output : callable or None
        Gets each piece as it comes.

    Yields
    ------
    list of str
        The pieces so far.
    """
    from rpy2.rinterface_lib import callbacks

    pieces: list[str] = []

    def write(text: str) -> None:
        pieces.append(text)
        if on_output is not None:
            on_output(text)

    before = callbacks.consolewrite_print, callbacks.consolewrite_warnerror
    callbacks.consolewrite_print = callbacks.consolewrite_warnerror = write
    try:
        yield pieces
    finally:
        callbacks.consolewrite_print, callbacks.consolewrite_warnerror = before


@contextlib.contextmanager
def without_events() -> Iterator[None]:
    """Keep R from asking for window events, which no call from here has.

    R asks some 5,000 times a second, and rpy2 answers in Python, under Python's lock. Ctrl-C
    doesn't need these events.
    """
    from rpy2.rinterface_lib import openrlib

    before = openrlib.rlib.ptr_R_ProcessEvents
    openrlib.rlib.ptr_R_ProcessEvents = openrlib.ffi.NULL
    try:
        yield
    finally:
        openrlib.rlib.ptr_R_ProcessEvents = before
