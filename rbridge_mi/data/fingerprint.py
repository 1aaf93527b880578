"""A fingerprint of data, by which a result can be traced to what it was computed from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import pandas as pd

__all__ = ["fingerprint"]


def fingerprint(frames: Iterable[pd.DataFrame]) -> str:
    """Return the SHA-256 of the names and values of frames, in the order of columns and rows.

    Parameters
    ----------
    frames : iterable of DataFrame
        The row index doesn't count.

    Returns
    -------
    str
        64 hexadecimal digits. The values enter as ``pandas.util.hash_pandas_object`` gives them,
        Python objects by their ``repr``.

    Examples
    --------
    >>> data = pd.DataFrame({"x": [1.0, 2.0]})
    >>> fingerprint([data])[:12], fingerprint([data[::-1]])[:12]
    ('b64b2e27b370', 'caa8b6eddf3f')
    """
    digest = hashlib.sha256()
    for frame in frames:
        for position, name in enumerate(frame.columns):
            digest.update(repr(name).encode())
            column = frame.iloc[:, position]
            if column.dtype == object:  # whose values may be of any types
                column = column.map(repr)
            hashes = pd.util.hash_pandas_object(column, index=False)
            digest.update(hashes.to_numpy().tobytes())
    return digest.hexdigest()
