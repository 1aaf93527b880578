"""Metropolis steps towards a mode, for many small vectors at once.

From each vector a multivariate t distribution is proposed from, around a Newton step and with the
precision that the log density has there (Gamerman 1997, Statistics and Computing 7, with the t
distribution in place of the normal one: from far away, where a Newton step lands beside the mode, a
normal distribution finds the way back impossible, and the step would never be accepted).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .draws import Streams
from .small_matrices import Entries, back_solve, forward_solve

__all__ = ["Expansion", "moved"]

Array: TypeAlias = NDArray[Any]

#: Degrees of freedom of the proposals.
DF = 10.0


@dataclass(frozen=True)
class Expansion:
    """A log density of vectors of q numbers at a point; their shape S has the chains first.

    Parameters
    ----------
    value : array, shape S
        The log density, up to a constant.
    gradient : list of array, shape S
        Its q derivatives.
    lower : list of list of array
        The Cholesky factor of its negative second derivatives, or of what is near to them.
    """

    value: Array
    gradient: list[Array]
    lower: Entries


def moved(
    point: list[Array],
    here: Expansion,
    expand: Callable[[list[Array]], Expansion],
    reach: Callable[[list[Array]], Array],
    streams: Streams,
) -> tuple[list[Array], Array]:
    """Make a Metropolis step from each vector.

    Parameters
    ----------
    point : list of array, shape S
        The q numbers of each vector.
    here : Expansion
        At the point.
    expand : callable
        Returns the expansion at another point.
    reach : callable
        Takes a step, and returns by how much, at most, it changes a linear predictor, of shape S. A
        Newton step is cut where this is more than 1: an exponential is no parabola beyond that.
    streams : Streams

    Returns
    -------
    tuple of (list of array, array of bool)
        What was proposed, and where it is accepted.
    """
    q, shape = len(point), here.value.shape[1:]
    mean = _newton(point, here, reach)
    z = streams.normal(q, *shape)
    wide = np.sqrt(DF / streams.chi2(np.full(shape, DF)))
    noise = back_solve(here.lower, [z[:, i] * wide for i in range(q)])
    proposed = [a + b for a, b in zip(mean, noise, strict=True)]
    there = expand(proposed)
    ratio = there.value - here.value
    ratio += _log_density(point, _newton(proposed, there, reach), there.lower)
    ratio -= _log_density(proposed, mean, here.lower)
    return proposed, np.log(streams.uniform(*shape)) < ratio


def _newton(
    point: list[Array], here: Expansion, reach: Callable[[list[Array]], Array]
) -> list[Array]:
    step = back_solve(here.lower, forward_solve(here.lower, here.gradient))
    cut = 1.0 / np.maximum(reach(step), 1.0)
    return [a + cut * b for a, b in zip(point, step, strict=True)]


def _log_density(point: list[Array], mean: list[Array], lower: Entries) -> Array:
    """Return the log density of the t distribution, up to a constant."""
    q = len(point)
    e = [a - b for a, b in zip(point, mean, strict=True)]
    total: Array = np.zeros_like(point[0])
    squares: Array = np.zeros_like(point[0])
    for j in range(q):
        squares += sum(lower[i][j] * e[i] for i in range(j, q)) ** 2
        total += np.log(lower[j][j])
    total -= 0.5 * (DF + q) * np.log1p(squares / DF)
    return total
