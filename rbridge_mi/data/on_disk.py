"""Values kept in a file that has no name, and read back one at a time."""

from __future__ import annotations

import os
import pickle
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from typing import Any, overload

__all__ = ["Filed"]


class Filed(Sequence[Any]):
    """A sequence whose values lie on disk, in the folder for temporary files (TMPDIR).

    The file has no name, so that it goes with the process, however that ends; nobody else can
    write to what is unpickled here. A copy by pickle has a separate file.

    Parameters
    ----------
    values : iterable
        Anything that pickles.

    Raises
    ------
    OSError
        No room there.
    """

    def __init__(self, values: Iterable[Any]) -> None:
        self._file = tempfile.TemporaryFile(prefix="rbridge-")  # noqa: SIM115 - closed by the next
        weakref.finalize(self, self._file.close)
        self._ends = [0]
        for value in values:
            pickle.dump(value, self._file, protocol=5)
            self._ends.append(self._file.tell())
        self._file.flush()

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, i: int) -> Any: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Any]: ...
    def __getitem__(self, i: int | slice) -> Any:
        places = range(len(self))[i]
        if isinstance(places, range):
            return tuple(self[j] for j in places)
        start, end = self._ends[places], self._ends[places + 1]
        # By place, not by the file's position: threads and forked processes share that.
        return pickle.loads(os.pread(self._file.fileno(), end - start, start))

    def __reduce__(self) -> tuple[Any, ...]:
        return (Filed, (list(self),))
