"""Where lme4's library is loaded, since on some installations its answers hang on that.

Debian 12's lme4 1.1-31 was compiled with RcppEigen 0.3.3.9.3's layout of CHOLMOD's settings, in
which one field more stands than in that of the Matrix 1.5-3 which it calls. lme4 so writes the
address of its error handler where Matrix looks for the number of fill-reducing orderings to try:
positive means "all nine", negative "the default". Bit 31 of that address decides, hence the place
at which the system loads the library: a coin tossed for each process. With crossed factors another
order means another rounding, and estimates that differ from the tenth digit on (half of ten
Rscripts gave each answer to ``diameter ~ 1 + (1 | plate) + (1 | sample)``).

The same call must give the same bits in every process. So while lme4 is being loaded, addresses
with the bit clear are kept occupied, and it takes CHOLMOD's default, as its authors meant. Nothing
is lost where lme4 is compiled right: then the place means nothing.
"""

from __future__ import annotations

import atexit
import ctypes
import sys
from typing import Any

__all__ = ["place_lme4"]

_BIT = 1 << 31
_LIBRARY = 4 * 2**20  # more than lme4's library takes
_TRIES = 4096  # gaps between what is mapped already; a dozen are usual

# Of Linux' sys/mman.h.
_PRIVATE, _ANONYMOUS, _NORESERVE = 0x02, 0x20, 0x4000
_alive: list[Any] = []  # R's hooks call back into these: they must outlive R
_FAILED = ctypes.c_void_p(-1).value


def place_lme4(base: Any) -> None:
    """Have R keep the wrong addresses occupied from the loading of Matrix until that of lme4."""
    if not sys.platform.startswith("linux") or sys.maxsize < 2**32:
        return
    from rpy2 import rinterface

    held: list[tuple[int, int]] = []

    def occupy(*_: Any) -> Any:
        if not held:
            held.extend(_occupied())
        return rinterface.NULL

    def release(*_: Any) -> Any:
        while held:
            _libc().munmap(*held.pop())
        return rinterface.NULL

    atexit.register(_alive.clear)  # while rpy2 can still let go of them
    # lme4 loads Matrix before its own library; both events come on R's thread.
    for package, hook in (("Matrix", occupy), ("lme4", release)):
        event = base["packageEvent"](package, "onLoad")
        function = rinterface.rternalize(hook)
        _alive.append(function)
        base["setHook"](event, function)


def _occupied() -> list[tuple[int, int]]:
    """Take addresses until the next one that the system would give has the bit set."""
    libc = _libc()
    held: list[tuple[int, int]] = []

    def take(size: int, near: int | None = None) -> int | None:
        flags = _PRIVATE | _ANONYMOUS | _NORESERVE
        found = libc.mmap(near, size, 0, flags, -1, 0)
        if found in (None, _FAILED):
            return None
        held.append((int(found), size))
        return int(found)

    for _ in range(_TRIES):
        place = take(_LIBRARY)
        if place is None:
            break
        if place & _BIT and (place + _LIBRARY) & _BIT:
            libc.munmap(*held.pop())
            break
        # The system goes downwards: take all that lies between here and where the bit is set.
        rest = place & (_BIT - 1)
        if rest:
            take(rest, place - rest)
    return held


def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
    ]  # fmt: skip
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return libc
