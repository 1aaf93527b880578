"""The Gibbs step of a linear mixed model: all its parameters given its response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .design import Design
from .draws import Streams
from .priors import Prior
from .random_effects import RandomEffects
from .small_matrices import Entries, back_solve, cholesky, forward_solve

__all__ = ["MixedModel", "columns_within", "spanned"]

Array: TypeAlias = NDArray[Any]


class MixedModel:
    """A linear mixed model, y = X b + Z1 u1 + Z2 u2 + ... + e, with e normal of variance s2 / w.

    Parameters
    ----------
    design : Design
        X.
    effects : sequence of RandomEffects
        One for each grouping factor.
    prior : Prior
    intercept : int or None
        The column of X that is 1 throughout.
    free_variance : bool
        Whether s2 is a parameter; it is 1 if not, as in a probit model's latent response.
    within : sequence of sequence of int
        Per grouping factor the columns of X that its Z spans in every group, see
        `columns_within`.

    Attributes
    ----------
    y : array, shape (C, n)
        The response, latent where it is not observed itself.
    eta : array, shape (C, n)
        X b + Z u, as of the last step.
    weights : array, shape (C, n), or None
        w; rows of weight 0 are left out.
    offset : array, shape (n,), or None
        Is part of the linear predictor.
    b : array, shape (C, p)
    s2 : array, shape (C,)
    prior_precision : array, shape (p,)
        Of the coefficients.
    """

    is_normal = True  # whether the response is normal, given all weights

    def __init__(
        self,
        design: Design,
        effects: Sequence[RandomEffects],
        prior: Prior,
        *,
        intercept: int | None,
        free_variance: bool,
        within: Sequence[Sequence[int]],
    ) -> None:
        chains = len(design.varying)
        self.design = design
        self.effects = tuple(effects)
        self.prior = prior
        self.free_variance = free_variance
        self.within = tuple(tuple(columns) for columns in within)
        self.y = np.zeros((chains, design.n))
        self.eta = np.zeros((chains, design.n))
        self.weights: Array | None = None
        self.offset: Array | None = None
        self.b = np.zeros((chains, design.p))
        self.s2 = np.ones(chains)
        sds = np.full(design.p, prior.coefficient_sd)
        if intercept is not None:
            sds[intercept] = prior.intercept_sd
        self.prior_precision = sds**-2.0

    def linear_predictor(self) -> Array:
        """Return X b + Z u and the offset, (C, n)."""
        eta = self.design.times(self.b)
        if self.offset is not None:
            eta += self.offset
        for effects in self.effects:
            eta += effects.times(effects.u)
        return eta

    def change(self, rows: Array, shift: Array) -> Array:
        """Return by how much the log likelihood changes with the linear predictor, times s2.

        Parameters
        ----------
        rows : array of int, shape (r,)
        shift : array, shape (C, r)
            By how much the linear predictors of these rows change.

        Returns
        -------
        array
            Of shape (C, r).
        """
        e = self.y[:, rows] - self.eta[:, rows]
        change: Array = shift * (e - 0.5 * shift)
        if self.weights is not None:
            change *= self.weights[:, rows]
        return change

    def step(self, streams: Streams, *, fixed_only: bool = False) -> None:
        """Draw random effects, their covariances, coefficients and residual variance, in turn.

        Random effects and covariances are drawn a few times over: that takes sums over groups
        only, and they are what mixes slowest.

        Parameters
        ----------
        streams : Streams
        fixed_only : bool
            Leave random effects and covariances as they are.
        """
        w = self.weights
        e = self.y - self.linear_predictor()
        for effects, columns in zip(self.effects, self.within, strict=True):
            if fixed_only:
                break
            e += effects.times(effects.u)
            sums = effects.cross(e if w is None else e * w)
            gram = effects.gram(w)
            moved = np.zeros_like(effects.u)
            h = spanned(self.design, effects, columns) if columns else []
            for _ in range(2 if effects.design.p == 1 else 8):
                effects.draw(sums, gram, self.s2, streams)
                effects.rescale(sums, gram, self.s2, streams)
                if columns:
                    before = effects.u.copy()
                    self.recentre(effects, columns, h, streams)
                    change = effects.u - before
                    moved += change
                    sums = [a + b for a, b in zip(sums, effects.product(gram, change), strict=True)]
                effects.draw_covariance(streams)
            e -= effects.times(effects.u - moved)
        self._draw_coefficients(e, streams)
        if self.free_variance:
            self._draw_variance(e, streams)
        np.subtract(self.y, e, out=self.eta)

    def _draw_coefficients(self, e: Array, streams: Streams) -> None:
        """Draw b given u: normal with precision X'WX / s2 + prior; e is updated."""
        if not self.design.p:
            return
        w = self.weights
        gram = self.design.gram(w)
        scale = 1.0 / self.s2
        cross = self.design.cross(e if w is None else e * w)
        cross = (cross + np.matmul(gram, self.b[:, :, None])[..., 0]) * scale[:, None]
        precision = gram * scale[:, None, None] + np.diag(self.prior_precision)
        lower = np.linalg.cholesky(precision)
        entries: Entries = [[lower[:, i, j] for j in range(i + 1)] for i in range(self.design.p)]
        z = streams.normal(self.design.p)
        half = forward_solve(entries, list(cross.T))
        drawn = back_solve(entries, [half[i] + z[:, i] for i in range(self.design.p)])
        new = np.stack(drawn, axis=1)
        e -= self.design.times(new - self.b)
        self.b = new

    def _draw_variance(self, e: Array, streams: Streams) -> None:
        prior = self.prior
        weighted = e if self.weights is None else e * self.weights
        squares = np.array([a @ b for a, b in zip(e, weighted, strict=True)])
        total = squares + prior.variance_df * prior.variance_scale
        self.s2 = total / streams.chi2([prior.variance_df + e.shape[1]])[:, 0]

    def recentre(
        self,
        effects: RandomEffects,
        columns: Sequence[int],
        h: list[list[Array]],
        streams: Streams,
    ) -> None:
        """Draw the coefficients of columns that Z spans, with X b + Z u held fixed.

        Where column j of X is Z h_j in every group, the effects g = u + h b_j have the prior mean
        h b_j. Drawing b_j given g, and not given u, is the hierarchical centring of Gelfand, Sahu
        and Carlin (1995, Biometrika 82); both draws together mix well whatever the groups' sizes
        (interweaving; Yu and Meng 2011, Journal of Computational and Graphical Statistics 20).
        """
        inverse = effects.precision()
        q, k = effects.design.p, len(columns)
        chains = len(self.b)
        old = self.b[:, list(columns)]
        centred = [
            effects.u[:, c] + sum(h[c][j] * old[:, j, None] for j in range(k)) for c in range(q)
        ]
        a = np.empty((chains, k, k))
        right = np.zeros((chains, k))
        # The inverse of Psi times h, and times the centred effects.
        scaled = [
            [sum(inverse[:, c, d, None] * h[d][j] for d in range(q)) for j in range(k)]
            for c in range(q)
        ]
        for j in range(k):
            for i in range(j + 1):
                dots = [np.sum(h[c][i] * scaled[c][j], axis=-1) for c in range(q)]
                a[:, i, j] = a[:, j, i] = np.sum(dots, axis=0)
            right[:, j] = np.sum([np.sum(scaled[c][j] * centred[c], axis=-1) for c in range(q)], 0)
        index = np.arange(k)
        a[:, index, index] += self.prior_precision[list(columns)]
        lower = np.linalg.cholesky(a)
        entries: Entries = [[lower[:, i, j] for j in range(i + 1)] for i in range(k)]
        z = streams.normal(k)
        half = forward_solve(entries, list(right.T))
        drawn = back_solve(entries, [half[i] + z[:, i] for i in range(k)])
        for j, column in enumerate(columns):
            self.b[:, column] = drawn[j]
        for c in range(q):
            effects.u[:, c] = centred[c] - sum(h[c][j] * drawn[j][:, None] for j in range(k))


def spanned(design: Design, effects: RandomEffects, columns: Sequence[int]) -> list[list[Array]]:
    """Return h with X_j = Z h_j in every group, for columns j of X: entries (C, G) by effect."""
    gram = effects.gram()
    q = effects.design.p
    total = np.sum([gram[i][i] for i in range(q)], axis=0)
    ridge = np.where(total > 0.0, 1e-12 * total, 1.0)
    ridged: Entries = [
        [gram[i][j] + (ridge if i == j else 0.0) for j in range(i + 1)] for i in range(q)
    ]
    lower = cholesky(ridged)
    h: list[list[Array]] = [[] for _ in range(q)]
    for j in columns:
        solved = back_solve(lower, forward_solve(lower, effects.cross_column(design, j)))
        for c in range(q):
            h[c].append(solved[c])
    return h


def columns_within(design: Design, effects: RandomEffects) -> tuple[int, ...]:
    """Return the columns of X that are, in every group, a combination of the columns of Z.

    Of a random intercept these are the columns that don't vary within groups.
    """
    chosen = []
    for j in range(design.p):
        column = design.column(j)
        h = spanned(design, effects, [j])
        fitted = effects.times(np.stack([line[0] + 0.0 * effects.u[:, 0] for line in h], axis=1))
        if np.abs(column - fitted).max() <= 1e-7 * max(np.abs(column).max(), 1e-300):
            chosen.append(j)
    return tuple(chosen)
