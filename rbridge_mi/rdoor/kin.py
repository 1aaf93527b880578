"""Serialized R objects that are alike, such as fits of one model to m data sets, made small.

Each holds the model frame and the matrices that come of it. Serialized, most of their bytes are the
same at the same places: the first is compressed, and of each other one what differs from it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

__all__ = ["Compressed", "Kin"]

_FAST = 1  # zlib's level: a higher one takes seven times as long, and saves a fifth


@dataclass(frozen=True)
class Compressed:
    """Bytes, compressed; with a base, those that differ from it.

    Pickled together, several that have one base carry it once; alone, each carries it, too.

    Parameters
    ----------
    data : bytes
        By zlib. With a base, the bytewise difference (exclusive or) from it.
    base : Compressed, optional
    """

    data: bytes = field(repr=False)
    base: Compressed | None = field(default=None, repr=False)

    def unpack(self) -> bytes:
        """Return the bytes."""
        data = zlib.decompress(self.data)
        return data if self.base is None else _difference(data, self.base.unpack())


@dataclass
class Kin:
    """What several R objects that are alike compress their bytes by.

    Parameters
    ----------
    bases : dict
        By length: the first that was compressed. Objects of other lengths have their bytes at other
        places.
    """

    bases: dict[int, Compressed] = field(default_factory=dict, repr=False)

    def compressed(self, raw: bytes) -> Compressed:
        """Compress the bytes of one of them.

        Parameters
        ----------
        raw : bytes

        Returns
        -------
        Compressed
            Whatever is in `bases`, `Compressed.unpack` gives these bytes again.
        """
        base = self.bases.get(len(raw))
        if base is None:
            return self.bases.setdefault(len(raw), Compressed(zlib.compress(raw, _FAST)))
        return Compressed(zlib.compress(_difference(raw, base.unpack()), _FAST), base)


def _difference(one: bytes, other: bytes) -> bytes:
    """Return the bytewise exclusive or, which is its own inverse."""
    import numpy as np  # here, so that R may start before it is imported

    return np.bitwise_xor(np.frombuffer(one, np.uint8), np.frombuffer(other, np.uint8)).tobytes()
