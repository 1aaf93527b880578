"""A mixed model of counts: Poisson with a logarithmic link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .design import group_sums
from .draws import Streams
from .metropolis import Expansion, moved
from .mixed_model import MixedModel, spanned
from .random_effects import RandomEffects
from .small_matrices import Entries, cholesky

__all__ = ["PoissonModel", "Sums", "rates"]

Array: TypeAlias = NDArray[Any]

#: Linear predictors are cut here, so that no rate overflows: no count is as large.
LARGEST = 50.0
#: How often random effects and their covariances are drawn in a step.
REPEATS = 2


def rates(eta: Array) -> Array:
    """Return the expected counts."""
    expected: Array = np.exp(np.minimum(eta, LARGEST))
    return expected


class PoissonModel(MixedModel):
    """A mixed model of counts y, Poisson with the mean exp(X b + Z1 u1 + Z2 u2 + ... + offset).

    Coefficients, random effects and their standard deviations are drawn by Metropolis steps, see
    `metropolis`, which need no tuning: each group's effects given all else, all groups at once.
    What doesn't change a linear predictor is drawn as in a linear model.

    Parameters are those of `MixedModel`; there are no weights, and s2 is 1.

    Attributes
    ----------
    most : float
        inf for the likelihood as it is. With another number each count's log likelihood is
        multiplied by 1 / (1 + y / most), so that it tells no more than a count of `most` would: so
        chains may begin.
    """

    is_normal = False
    most = np.inf

    def log_likelihood(self, count: Array, eta: Array) -> Array:
        """Return the log probability of each count, without what hangs on the count alone."""
        total: Array = (count * eta - rates(eta)) / (1.0 + count / self.most)
        return total

    def derivatives(self, count: Array, eta: Array) -> tuple[Array, Array, Array]:
        """Return the log likelihood, and its first and negative second derivative by eta."""
        rate = rates(eta)
        value, score = count * eta - rate, count - rate
        if np.isfinite(self.most):
            power = 1.0 / (1.0 + count / self.most)
            value, score, rate = value * power, score * power, rate * power
        return value, score, rate

    def change(self, rows: Array, shift: Array) -> Array:
        """See `MixedModel.change`."""
        eta, count = self.eta[:, rows], self.y[:, rows]
        change: Array = self.log_likelihood(count, eta + shift) - self.log_likelihood(count, eta)
        return change

    def step(self, streams: Streams, *, fixed_only: bool = False) -> None:
        """Draw random effects, their covariances and coefficients, in turn.

        Parameters
        ----------
        streams : Streams
        fixed_only : bool
            Leave random effects and covariances as they are.
        """
        if not self.b.any():
            self._begin()
        eta = self.linear_predictor()
        for effects, columns in zip(self.effects, self.within, strict=True):
            if fixed_only:
                break
            here = Sums.of(self, eta, effects)
            h = spanned(self.design, effects, columns) if columns else []
            for _ in range(REPEATS):
                here = self.draw_effects(effects, here, streams)
                for i in range(effects.design.p):
                    here = self.rescale(effects, i, here, streams)
                if columns:
                    self.recentre(effects, columns, h, streams)
                effects.draw_covariance(streams)
            eta = here.eta
        self.eta = self.draw_coefficients(eta, streams)

    def _begin(self) -> None:
        """Set the coefficients to those of a linear regression of log(y + 1/2)."""
        if not self.design.p:
            return
        values = np.log(self.y + 0.5)
        if self.offset is not None:
            values -= self.offset
        precision = self.design.gram() + np.diag(self.prior_precision)
        self.b = np.linalg.solve(precision, self.design.cross(values)[..., None])[..., 0]

    def draw_effects(self, effects: RandomEffects, here: Sums, streams: Streams) -> Sums:
        """Draw each group's effects given all else."""
        q = effects.design.p
        inverse = effects.precision()
        old = [effects.u[:, i] for i in range(q)]
        tried = here

        def expanded(u: list[Array], sums: Sums) -> Expansion:
            pull = [sum(inverse[:, i, j, None] * u[j] for j in range(q)) for i in range(q)]
            value = sums.value - 0.5 * sum(a * b for a, b in zip(u, pull, strict=True))
            gradient = [a - b for a, b in zip(sums.score, pull, strict=True)]
            precision = [
                [sums.gram[i][j] + inverse[:, i, j, None] for j in range(i + 1)] for i in range(q)
            ]
            return Expansion(value, gradient, cholesky(precision))

        def expand(u: list[Array]) -> Expansion:
            nonlocal tried
            change = np.stack([a - b for a, b in zip(u, old, strict=True)], axis=1)
            tried = Sums.of(self, here.eta + effects.times(change), effects)
            return expanded(u, tried)

        def reach(step: list[Array]) -> Array:
            sizes = [a * np.abs(b) for a, b in zip(largest, step, strict=True)]
            total: Array = np.sum(sizes, axis=0)
            return total

        largest = effects.largest()
        proposed, accepted = moved(old, expanded(old, here), expand, reach, streams)
        for i in range(q):
            effects.u[:, i] = np.where(accepted, proposed[i], old[i])
        return tried.where(accepted, here, effects)

    def rescale(self, effects: RandomEffects, i: int, here: Sums, streams: Streams) -> Sums:
        """Draw the standard deviation of an effect, with u / sd held fixed.

        See `RandomEffects.rescale`: here the likelihood is not normal in it.
        """
        sd = np.sqrt(effects.psi[:, i, i])
        unit = effects.u[:, i] / sd[:, None]
        least = self.prior.sd_scale**-2.0  # where the likelihood tells nothing
        largest = np.max(effects.largest()[i] * np.abs(unit), axis=1)
        tried = here

        def expanded(proposed: Array, sums: Sums) -> Expansion:
            value = sums.value.sum(axis=1) + effects.log_prior_of_sd(i, proposed)
            gradient = np.sum(unit * sums.score[i], axis=1)
            precision = np.sum(unit**2 * sums.gram[i][i], axis=1) + least
            return Expansion(value, [gradient], [[np.sqrt(precision)]])

        def expand(proposed: list[Array]) -> Expansion:
            nonlocal tried
            change = np.zeros_like(effects.u)
            change[:, i] = unit * (proposed[0] - sd)[:, None]
            tried = Sums.of(self, here.eta + effects.times(change), effects)
            return expanded(proposed[0], tried)

        proposed, accepted = moved(
            [sd], expanded(sd, here), expand, lambda step: largest * np.abs(step[0]), streams
        )
        effects.scale(i, np.where(accepted, proposed[0] / sd, 1.0))
        return tried.where(np.repeat(accepted[:, None], effects.groups, axis=1), here, effects)

    def draw_coefficients(self, eta: Array, streams: Streams) -> Array:
        """Draw b given u; return the linear predictors."""
        p = self.design.p
        if not p:
            return eta
        old = self.b
        tried = eta

        def expanded(b: Array, at: Array) -> Expansion:
            of_rows, score, weight = self.derivatives(self.y, at)
            pull = b * self.prior_precision
            value = np.sum(of_rows, axis=1) - 0.5 * np.sum(b * pull, axis=1)
            gradient = self.design.cross(score) - pull
            lower = _factor(self.design.gram(weight) + np.diag(self.prior_precision))
            return Expansion(
                value,
                list(gradient.T),
                [[lower[:, i, j] for j in range(i + 1)] for i in range(p)],
            )

        def expand(b: list[Array]) -> Expansion:
            nonlocal tried
            proposed = np.stack(b, axis=1)
            tried = eta + self.design.times(proposed - old)
            return expanded(proposed, tried)

        def reach(step: list[Array]) -> Array:
            largest: Array = np.abs(self.design.times(np.stack(step, axis=1))).max(axis=1)
            return largest

        proposed, accepted = moved(list(old.T), expanded(old, eta), expand, reach, streams)
        self.b = np.where(accepted[:, None], np.stack(proposed, axis=1), old)
        return np.where(accepted[:, None], tried, eta)


@dataclass(frozen=True)
class Sums:
    """The log likelihood and its derivatives, by the groups of a factor.

    Parameters
    ----------
    eta : array, shape (C, n)
        The linear predictors.
    value : array, shape (C, G)
    score : list of array, shape (C, G)
        Z' times the derivatives by the linear predictors, per effect.
    gram : list of list of array
        Z'WZ, W being the negative second derivatives.
    """

    eta: Array
    value: Array
    score: list[Array]
    gram: Entries

    @classmethod
    def of(cls, model: PoissonModel, eta: Array, effects: RandomEffects) -> Sums:
        """Return the sums of a model's counts at some linear predictors."""
        value, score, weight = model.derivatives(model.y, eta)
        by_group = group_sums(effects.codes, value, effects.groups)
        return cls(eta, by_group, effects.cross(score), effects.gram(weight))

    def where(self, chosen: Array, other: Sums, effects: RandomEffects) -> Sums:
        """Return these sums in some groups, (C, G), and others elsewhere."""

        def by_group(mine: Sequence[Array], others: Sequence[Array]) -> list[Array]:
            return [np.where(chosen, a, b) for a, b in zip(mine, others, strict=True)]

        return Sums(
            np.where(chosen.take(effects.codes, axis=1), self.eta, other.eta),
            np.where(chosen, self.value, other.value),
            by_group(self.score, other.score),
            [by_group(a, b) for a, b in zip(self.gram, other.gram, strict=True)],
        )


def _factor(precision: Array) -> Array:
    """Return Cholesky factors of matrices (C, p, p), or of what is 1e-12 beside them.

    Rates of several magnitudes would else leave a matrix that is not positive in all digits.
    """
    root = np.sqrt(np.einsum("cii->ci", precision))
    scaled = precision / (root[:, :, None] * root[:, None, :])
    scaled[:, np.arange(root.shape[1]), np.arange(root.shape[1])] = 1.0 + 1e-12
    lower: Array = np.linalg.cholesky(scaled) * root[:, :, None]
    return lower
