"""lme4's library, loaded where it orders crossed effects as every other process does.

On Debian 12 that order hangs on bit 31 of the address at which the system loads the library, which
is random (``rbridge_mi.testing.ordering`` says why). So it is loaded before R asks for it, while
all room in which the bit would be 0 is taken. With 1, lme4 has CHOLMOD's default order, as it has
on installations without that flaw.
"""

from __future__ import annotations

import ctypes
import mmap
import sys

__all__ = ["load_steadily"]

_BIT = 1 << 31
_FAILED = ctypes.c_void_p(-1).value
# Reserved, not used: PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE.
_NO_ACCESS, _RESERVE = 0, 0x4022


def load_steadily(library: str) -> None:
    """Load a shared library at an address whose bit 31 is 1, where the system allows it."""
    if sys.platform != "linux" or sys.maxsize < 2**32:
        return
    c = ctypes.CDLL(None)
    c.mmap.restype = ctypes.c_void_p
    c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *3 * [ctypes.c_int], ctypes.c_long]
    c.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    taken: list[tuple[int, int]] = []
    try:
        # The system takes the highest gap that is large enough: fill the large ones, then the
        # smaller ones, until the next would be in the right place.
        for size in (2**26, 2**23, 2**20, 2**17, mmap.PAGESIZE * 4):
            for _ in range(_BIT // 2**20):
                start = c.mmap(None, size, _NO_ACCESS, _RESERVE, -1, 0)
                if start is None or start == _FAILED:
                    break
                if start & _BIT and (start + size - 1) & _BIT:
                    c.munmap(start, size)
                    break
                taken.append((start, size))
        ctypes.CDLL(library)
    except OSError:
        return  # R will say what is wrong with it
    finally:
        for start, size in taken:
            c.munmap(start, size)
