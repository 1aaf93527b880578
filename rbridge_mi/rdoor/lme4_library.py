"""lme4's library, loaded where it orders crossed effects as every other process does.

On Debian 12 that order hangs on bit 31 of the address at which the system loads the library, which
is random (``rbridge_mi.testing.ordering`` says why). So it is loaded before R asks for it, while
all room in which the bit would be 0 is taken. With 1, lme4 has CHOLMOD's default order, as it has
on installations without that flaw.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
import sys
from pathlib import Path

__all__ = ["load_steadily", "mapped_size"]

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
        # The system takes the highest gap that is large enough. So gaps of the library's own size
        # are filled until the next is in the right place; larger ones first, to be quick.
        for size in (2**26, mapped_size(Path(library))):
            for _ in range(4 * _BIT // size):
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


def mapped_size(library: Path) -> int:
    """Return how many bytes of addresses a shared library takes when it is loaded.

    Parameters
    ----------
    library : Path
        A file in the ELF format.

    Returns
    -------
    int
        Whole pages: from the first of its segments to the end of the last, and what the loader adds
        for segments that need more than a page's alignment.

    Raises
    ------
    OSError
        The file can't be read, or isn't of that format.
    """
    content = library.read_bytes()
    try:
        first, size, count = _HEADER.unpack_from(content)
        segments = [_SEGMENT.unpack_from(content, first + i * size) for i in range(count)]
        loaded = [x for x in segments if x[0] == _LOADED]
        start = min(address for _, address, _, _ in loaded) // mmap.PAGESIZE * mmap.PAGESIZE
        end = max(address + memory for _, address, memory, _ in loaded)
        alignment: int = max(alignment for _, _, _, alignment in loaded)
    except (struct.error, ValueError) as error:
        raise OSError(f"{library} is no shared library that can be read: {error}") from error
    pages: int = -(-(end - start) // mmap.PAGESIZE) * mmap.PAGESIZE
    return pages + (alignment if alignment > mmap.PAGESIZE else 0)


# Of the header of a 64-bit ELF file: where its table of segments begins, the size of an entry, and
# their number. Of an entry: its type, address, size in memory, and alignment.
_HEADER = struct.Struct("<32x Q 14x H H")
_SEGMENT = struct.Struct("<I 12x Q 16x Q Q")
_LOADED = 1
