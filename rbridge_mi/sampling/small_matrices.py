"""Cholesky factors of many small matrices at once, held entry by entry.

A matrix of q rows is a list of lists of arrays: entry i, j of all of them is one array, so that the
work is done by a few operations on long arrays (LAPACK is called once per matrix, which costs more
than the arithmetic).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Entries", "back_solve", "cholesky", "forward_solve"]

Array: TypeAlias = NDArray[Any]
Entries: TypeAlias = list[list[Array]]  # the lower triangle: entries[i][j] for j <= i


def cholesky(a: Entries) -> Entries:
    """Return L, lower triangular, with L L' = A; the diagonal of A is taken as positive.

    A diagonal entry that rounding made smaller than 1e-13 of A's is raised to that.
    """
    q = len(a)
    lower: Entries = [[] for _ in range(q)]
    for i in range(q):
        for j in range(i):
            total = a[i][j]
            for k in range(j):
                total = total - lower[i][k] * lower[j][k]
            lower[i].append(total / lower[j][j])
        total = a[i][i]
        for k in range(i):
            total = total - lower[i][k] ** 2
        lower[i].append(np.sqrt(np.maximum(total, 1e-13 * a[i][i])))
    return lower


def forward_solve(lower: Entries, b: list[Array]) -> list[Array]:
    """Return x with L x = b."""
    x: list[Array] = []
    for i, row in enumerate(lower):
        total = b[i]
        for k in range(i):
            total = total - row[k] * x[k]
        x.append(total / row[i])
    return x


def back_solve(lower: Entries, b: list[Array]) -> list[Array]:
    """Return x with L' x = b."""
    q = len(lower)
    x: list[Array] = [b[0]] * q
    for i in reversed(range(q)):
        total = b[i]
        for k in range(i + 1, q):
            total = total - lower[k][i] * x[k]
        x[i] = total / lower[i][i]
    return x
