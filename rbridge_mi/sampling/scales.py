"""From a variable's sampled values back to its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["CountScale", "RateScale", "Scale"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Scale:
    """The scale on which a numeric variable is sampled: a function of it, standardised.

    Parameters
    ----------
    centre, spread : float
        Mean and standard deviation of the observed values on that scale.
    back : callable, optional
        From the scale before standardising to the variable's own values; they are the same if not
        given.
    lower, upper : float
        Bounds of imputed values, on the sampled scale.
    """

    centre: float = 0.0
    spread: float = 1.0
    back: Callable[[Array], Array] | None = None
    lower: float = -np.inf
    upper: float = np.inf

    def backward(self, sampled: Array) -> Array:
        """Return the variable's own values."""
        value: Array = sampled * self.spread + self.centre
        return value if self.back is None else self.back(value)

    def predictor(self, sampled: Array) -> Array:
        """Return the values by which other variables are regressed on this one."""
        return sampled


@dataclass(frozen=True)
class CountScale(Scale):
    """The scale of a count: the logarithm of a number of which the count is the whole part.

    A count k stands for the interval from log(k) to log(k + 1), 0 for all below 0; others are
    regressed on the standardised log(count + 1/2).
    """

    def backward(self, sampled: Array) -> Array:
        """Return the counts."""
        count: Array = np.floor(np.exp(np.minimum(sampled * self.spread + self.centre, 700.0)))
        return count

    def forward(self, count: Array) -> Array:
        """Return a value inside of each count's interval."""
        value: Array = (np.log(count + 0.5) - self.centre) / self.spread
        return value

    def predictor(self, sampled: Array) -> Array:
        """Return the values by which other variables are regressed on this one."""
        return self.forward(self.backward(sampled))


@dataclass(frozen=True)
class RateScale(Scale):
    """The scale of a count response, whose values are sampled as they are.

    Its `centre` is the logarithm of a rate: the linear predictor is relative to it.

    Parameters
    ----------
    log_mean, log_sd : float
        Mean and standard deviation of log(count + 1/2), for others' regressions.
    """

    log_mean: float = 0.0
    log_sd: float = 1.0

    def backward(self, sampled: Array) -> Array:
        """Return the counts."""
        return sampled

    def predictor(self, sampled: Array) -> Array:
        """Return the values by which other variables are regressed on this one."""
        value: Array = (np.log(sampled + 0.5) - self.log_mean) / self.log_sd
        return value
