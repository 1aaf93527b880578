"""Design matrices of which the chains share all rows that have no imputed value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Design", "group_sums"]

Array = NDArray[Any]


class Design:
    """A design matrix of n rows and p columns, for C chains.

    Rows without imputed values are the same in all chains, and are held once.

    Parameters
    ----------
    shared : array, shape (n, p)
        The rows that all chains share; what stands in the other rows doesn't matter.
    rows : array of int, shape (k,)
        The rows that differ, in increasing order.
    chains : int
        C.

    Attributes
    ----------
    varying : array, shape (C, k, p)
        The rows that differ.
    """

    def __init__(self, shared: Array, rows: Array, chains: int) -> None:
        self.shared = np.array(shared, np.float64)
        self.shared[rows] = 0.0
        self.rows = rows
        self.varying = np.zeros((chains, len(rows), shared.shape[1]))
        self._gram = self.shared.T @ self.shared

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.shared.shape[0])

    @property
    def p(self) -> int:
        """Number of columns."""
        return int(self.shared.shape[1])

    def times(self, coefficients: Array) -> Array:
        """Multiply by a vector of coefficients per chain, (C, p); returns (C, n)."""
        product: Array = np.matmul(coefficients[:, None, :], self.shared.T)[:, 0]
        if self.rows.size:
            product[:, self.rows] = np.matmul(self.varying, coefficients[:, :, None])[..., 0]
        return product

    def gram(self, weights: Array | None = None) -> Array:
        """Return X'WX per chain, (C, p, p); weights are (C, n), 1 if not given."""
        if weights is None:
            if not self.rows.size:
                return np.broadcast_to(self._gram, (len(self.varying), self.p, self.p))
            rest = np.matmul(self.varying.transpose(0, 2, 1), self.varying)
            return np.add(self._gram, rest)
        parts = [(self.shared.T * w) @ self.shared for w in weights]
        weighted = self.varying.transpose(0, 2, 1) * weights.take(self.rows, axis=1)[:, None, :]
        total: Array = np.stack(parts) + np.matmul(weighted, self.varying)
        return total

    def cross(self, values: Array) -> Array:
        """Return X'v per chain, (C, p), for v of shape (C, n)."""
        product: Array = np.matmul(values[:, None, :], self.shared)[:, 0]
        if self.rows.size:
            # `take` makes arrays of one layout, whatever C is; sums depend on it in the last bits.
            there = values.take(self.rows, axis=1)
            product += np.matmul(there[:, None, :], self.varying)[:, 0]
        return product

    def column(self, j: int) -> Array:
        """Return one column for all chains, (C, n)."""
        column = np.repeat(self.shared[None, :, j], len(self.varying), axis=0)
        column[:, self.rows] = self.varying[..., j]
        return column


def group_sums(codes: Array, values: Array, groups: int) -> Array:
    """Sum the rows of each group, per chain.

    Parameters
    ----------
    codes : array of int, shape (k,)
        The group of each row.
    values : array, shape (C, k)
    groups : int
        G.

    Returns
    -------
    array, shape (C, G)
        A row per chain.
    """
    sums: Array = np.empty((len(values), groups))
    for total, row in zip(sums, values, strict=True):
        total[:] = np.bincount(codes, weights=row, minlength=groups)
    return sums
