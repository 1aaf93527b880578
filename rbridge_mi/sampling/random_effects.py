"""The random effects of one grouping factor: their sums over groups, draws, and covariance."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .design import Design, group_sums
from .draws import Streams, inverse_wishart
from .priors import Prior
from .small_matrices import Entries, back_solve, cholesky, forward_solve

__all__ = ["RandomEffects"]

Array: TypeAlias = NDArray[Any]


class RandomEffects:
    """Random effects u of one grouping factor: Z u, with u of each group normal around 0.

    The covariance matrix Psi of a group's effects is block diagonal, with a block per random term:
    ``(1 + x | g)`` has one block of two effects, ``(x || g)`` two blocks of one.

    Parameters
    ----------
    name : str
        The grouping factor.
    codes : array of int, shape (n,)
        The group of each row, from 0.
    groups : int
        G.
    design : Design
        Z, with a column per effect.
    blocks : sequence of int
        Number of effects of each block.
    intercept : int or None
        The effect that is a random intercept.
    prior : Prior
    chains : int
        C.

    Attributes
    ----------
    u : array, shape (C, q, G)
    psi : array, shape (C, q, q)
    """

    def __init__(
        self,
        name: str,
        codes: Array,
        groups: int,
        design: Design,
        blocks: Sequence[int],
        intercept: int | None,
        prior: Prior,
        chains: int,
    ) -> None:
        self.name = name
        self.codes = codes
        self.groups = groups
        self.intercept = intercept
        self.design = design
        self.prior = prior
        edges = np.cumsum([0, *blocks])
        self.blocks = [slice(a, b) for a, b in itertools.pairwise(edges)]
        q = design.p
        self.u = np.zeros((chains, q, groups))
        self.psi = np.tile(0.25 * np.eye(q), (chains, 1, 1))
        self.spread = np.ones((chains, q))  # of Huang and Wand's prior
        kept = np.ones(design.n, bool)
        kept[design.rows] = False
        # Rows in the order of their groups, and where each group begins there.
        self.order = np.argsort(codes, kind="stable")
        self.starts = np.searchsorted(codes[self.order], np.arange(groups))
        self._ones = [bool((design.shared[kept, i] == 1.0).all()) for i in range(q)]
        self._column_sums: dict[int, list[Array]] = {}  # of a design's shared rows, by column
        self._shared_sums = [
            [
                np.bincount(codes, design.shared[:, i] * design.shared[:, j], groups)
                for j in range(i + 1)
            ]
            for i in range(q)
        ]

    def log_prior_of_scale(self, factor: Array) -> Array:
        """Return the log prior density of Psi times factor squared, without powers of factor."""
        nu, scale = self.prior.covariance_df, self.prior.sd_scale
        inverse = self.precision()
        total = np.zeros(len(factor))
        for block in self.blocks:
            q = block.stop - block.start
            for i in range(block.start, block.stop):
                spread = nu * inverse[:, i, i] + (factor / scale) ** 2
                total -= 0.5 * (nu + q) * np.log(spread)
        return total

    def log_prior_of_sd(self, i: int, proposed: Array) -> Array:
        """Return the log prior density of another SD of effect i, less that of its SD, (C,).

        The correlations, and all that is held against the SDs, stay.
        """
        nu, scale = self.prior.covariance_df, self.prior.sd_scale
        q = next(x.stop - x.start for x in self.blocks if x.start <= i < x.stop)
        sd = np.sqrt(self.psi[:, i, i])
        # What the prior of Psi says of one standard deviation given all else.
        floor = nu * self.precision()[:, i, i] * sd**2
        ratio = (floor + (sd / scale) ** 2) / (floor + (proposed / scale) ** 2)
        density: Array = 0.5 * (nu + q) * np.log(ratio)
        return density

    def scale(self, i: int, factor: Array) -> None:
        """Multiply effect i and its standard deviation by a number for each chain, (C,)."""
        self.u[:, i] *= factor[:, None]
        self.psi[:, i, :] *= factor[:, None]
        self.psi[:, :, i] *= factor[:, None]

    def largest(self) -> list[Array]:
        """Return the largest size of Z in each group: per effect an array (1, G) or (C, G)."""
        sizes = []
        for i in range(self.design.p):
            if self._is_one(i):
                sizes.append(np.ones((1, self.groups)))
                continue
            size = np.abs(self.design.column(i)).take(self.order, axis=1)
            sizes.append(np.maximum.reduceat(size, self.starts, axis=1))
        return sizes

    def _is_one(self, i: int) -> bool:
        """Tell whether a column of Z is 1 in all rows, those that chains don't share included."""
        return self._ones[i] and bool((self.design.varying[..., i] == 1.0).all())

    def times(self, u: Array) -> Array:
        """Return Z u, (C, n)."""
        rows, varying = self.design.rows, self.design.varying
        total: Array | None = None
        for i, is_one in enumerate(self._ones):
            part = u[:, i].take(self.codes, axis=1)
            if rows.size:
                those = part[:, rows] * varying[..., i]
            if not is_one:
                part *= self.design.shared[:, i]
            if rows.size:
                part[:, rows] = those
            total = part if total is None else np.add(total, part, out=total)
        assert total is not None
        return total

    def cross(self, values: Array) -> list[Array]:
        """Return Z'v summed by group: per effect an array (C, G), for v of shape (C, n)."""
        rows, varying = self.design.rows, self.design.varying
        sums = []
        for i, is_one in enumerate(self._ones):
            if is_one and not rows.size:
                sums.append(group_sums(self.codes, values, self.groups))
                continue
            total = group_sums(self.codes, values * self.design.shared[:, i], self.groups)
            if rows.size:
                there = values[:, rows] * varying[..., i]
                total += group_sums(self.codes[rows], there, self.groups)
            sums.append(total)
        return sums

    def cross_column(self, design: Design, j: int) -> list[Array]:
        """Return Z'x summed by group, for column j of another design with the same `rows`."""
        rows, varying = self.design.rows, self.design.varying
        if j not in self._column_sums:
            self._column_sums[j] = [
                np.bincount(self.codes, z * design.shared[:, j], self.groups)
                for z in self.design.shared.T
            ]
        sums = self._column_sums[j]
        if not rows.size:
            return sums
        return [
            total
            + group_sums(self.codes[rows], varying[..., i] * design.varying[..., j], self.groups)
            for i, total in enumerate(sums)
        ]

    def gram(self, weights: Array | None = None) -> Entries:
        """Return Z'WZ summed by group: entries (G,) or (C, G)."""
        rows, varying = self.design.rows, self.design.varying
        if weights is not None:
            columns = [
                None if self._is_one(i) else self.design.column(i) for i in range(self.design.p)
            ]
            products = [
                [_product(columns[i], columns[j], weights) for j in range(i + 1)]
                for i in range(len(columns))
            ]
            return [[group_sums(self.codes, x, self.groups) for x in line] for line in products]
        if not rows.size:
            return self._shared_sums
        return [
            [
                total + group_sums(self.codes[rows], varying[..., i] * varying[..., j], self.groups)
                for j, total in enumerate(line)
            ]
            for i, line in enumerate(self._shared_sums)
        ]

    def product(self, gram: Entries, u: Array) -> list[Array]:
        """Return Z'WZ u by group, for Z'WZ as `gram` returns it: per effect an array (C, G)."""
        q = self.design.p
        return [
            sum((gram[max(i, j)][min(i, j)] * u[:, j] for j in range(1, q)), gram[i][0] * u[:, 0])
            for i in range(q)
        ]

    def precision(self) -> Array:
        """Return the inverse of Psi, (C, q, q)."""
        inverse = np.zeros_like(self.psi)
        for block in self.blocks:
            part = self.psi[:, block, block]
            # Of one effect by division, since LAPACK is called once per matrix.
            inverse[:, block, block] = 1.0 / part if part.shape[1] == 1 else np.linalg.inv(part)
        return inverse

    def draw(self, sums: list[Array], gram: Entries, variance: Array, streams: Streams) -> None:
        """Draw u given all else: normal, with precision Z'WZ / s2 + inverse of Psi in each group.

        Parameters
        ----------
        sums : list of array
            Z'We by group, where e is the response less everything but these effects.
        gram : list of list of array
            Z'WZ by group.
        variance : array, shape (C,)
            s2.
        streams : Streams
        """
        q = self.design.p
        inverse = self.precision()
        scale = 1.0 / variance[:, None]
        a: Entries = [
            [gram[i][j] * scale + inverse[:, i, j, None] for j in range(i + 1)] for i in range(q)
        ]
        lower = cholesky(a)
        z = streams.normal(q, self.groups)
        half = forward_solve(lower, [s * scale for s in sums])
        drawn = back_solve(lower, [half[i] + z[:, i] for i in range(q)])
        for i in range(q):
            self.u[:, i] = drawn[i]

    def rescale(self, sums: list[Array], gram: Entries, variance: Array, streams: Streams) -> None:
        """Draw the standard deviation of each effect, with u / sd and the correlations held fixed.

        Drawing Psi given u alone takes small steps where a standard deviation is near 0; drawing
        it given u / sd does not (Yu and Meng 2011, Journal of Computational and Graphical
        Statistics 20: interweaving). The response is linear in the standard deviation, so that
        its likelihood is normal; a draw from that is accepted by the ratio of the priors.

        Parameters
        ----------
        sums : list of array
        gram : list of list of array
        variance : array, shape (C,)
        streams : Streams
            As in `draw`.
        """
        normal = streams.normal(self.design.p)
        uniform = streams.uniform(self.design.p)
        for i in range(self.design.p):
            sd = np.sqrt(self.psi[:, i, i])
            unit = self.u[:, i] / sd[:, None]
            rest = sums[i]
            for j in range(self.design.p):
                if j != i:
                    rest = rest - gram[max(i, j)][min(i, j)] * self.u[:, j]
            squares = np.sum(unit**2 * gram[i][i], axis=1)
            # Where all weights are 0, or all of the column, the response tells nothing.
            tells = squares > 0.0
            squares = np.where(tells, squares, 1.0)
            proposed = np.sum(unit * rest, axis=1) / squares
            proposed += np.sqrt(variance / squares) * normal[:, i]
            accepted = np.log(uniform[:, i]) < self.log_prior_of_sd(i, proposed)
            self.scale(i, np.where(accepted & tells, proposed / sd, 1.0))

    def draw_covariance(self, streams: Streams) -> None:
        """Draw Psi given u, under the prior of Huang and Wand (2013, equation 2)."""
        nu = self.prior.covariance_df
        inverse = self.precision()
        diagonal = np.einsum("cii->ci", inverse)
        for block in self.blocks:
            q = block.stop - block.start
            shape = np.full(q, (nu + q) / 2.0)
            rate = nu * diagonal[:, block] + self.prior.sd_scale**-2.0
            spread = rate / streams.gamma(shape)
            self.spread[:, block] = spread
            u = self.u[:, block]
            s = np.matmul(u, u.transpose(0, 2, 1))
            index = np.arange(q)
            s[:, index, index] += 2.0 * nu / spread
            df = nu + q - 1.0 + self.groups
            if q == 1:
                self.psi[:, block, block] = s / streams.chi2([df])[:, :, None]
            else:
                self.psi[:, block, block] = inverse_wishart(streams, df, s)


def _product(one: Array | None, two: Array | None, weights: Array) -> Array:
    """Return the product of weights and columns; None stands for 1."""
    if one is None or two is None:
        other = two if one is None else one
        return weights if other is None else other * weights
    product: Array = one * two * weights
    return product
