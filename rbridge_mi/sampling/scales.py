"""From a variable's values to those that are sampled, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scale"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Scale:
    """The scale on which a numeric variable is sampled: a function of it, standardised.

    Parameters
    ----------
    function : {"identity", "log", "logit", "count"}
        "log" is log(value - low); "logit" is that of (value - low) / (high - low). "count" takes
        the sampled value for the logarithm of a number of which the count is the whole part:
        value k stands for the interval from log(k) to log(k + 1), 0 for all below 0.
    centre, spread : float
        Mean and standard deviation of the observed values on that scale.
    low, high : float
        The limits of "log" and "logit".
    lower, upper : float
        Bounds of imputed values, on the sampled scale.
    """

    function: Literal["identity", "log", "logit", "count"] = "identity"
    centre: float = 0.0
    spread: float = 1.0
    low: float = 0.0
    high: float = 1.0
    lower: float = -np.inf
    upper: float = np.inf

    def backward(self, sampled: Array) -> Array:
        """Return the variable's own values."""
        value: Array = sampled * self.spread + self.centre
        if self.function == "log":
            value = np.exp(value) + self.low
        elif self.function == "logit":
            value = self.low + (self.high - self.low) / (1.0 + np.exp(-value))
        elif self.function == "count":
            value = np.floor(np.exp(np.minimum(value, 700.0)))
        return value

    def predictor(self, sampled: Array) -> Array:
        """Return the values by which other variables are regressed on this one.

        These are the sampled ones, but of a count the standardised log(count + 1).
        """
        if self.function != "count":
            return sampled
        predictor: Array = (np.log1p(self.backward(sampled)) - self.centre) / self.spread
        return predictor
