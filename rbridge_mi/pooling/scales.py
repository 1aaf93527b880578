"""The scales without bounds on which SDs, correlations and ICCs are pooled.

=========  ==============  ==========  ================================
scale      parameter       open range  transformation
=========  ==============  ==========  ================================
`LOG`      SD              (0, inf)    log
`FISHER_Z` correlation     (-1, 1)     Fisher's z = atanh(r)
`LOGIT`    ICC             (0, 1)      logit(p) = log(p / (1 - p))
=========  ==============  ==========  ================================

At the ends of its range a parameter has no value on its scale; ``rbridge_mi.pooling.components``
describes what is done about that.

References
----------
Fisher, R. A. (1921). On the probable error of a coefficient of correlation deduced from a small
sample. Metron 1, 3-32. For z = atanh(r).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats
from .tails import special

__all__ = ["FISHER_Z", "LOG", "LOGIT", "Scale"]


@dataclass(frozen=True)
class Scale:
    """A kind of parameter, its open range, and the scale without bounds where it is pooled.

    Attributes
    ----------
    name : str
        The parameter's name in messages: sd, cor or icc.
    low, high : float
        The ends of its range, which themselves have no value on the scale.
    there : callable
        Takes an array of parameters to the scale.
    back : callable
        Takes an array on the scale back to the units of the parameter.
    slope : callable
        The derivative of `there` at an array of parameters, for the delta method.

    Examples
    --------
    >>> LOGIT.back(LOGIT.there(np.array([0.25]))).tolist(), LOGIT.slope(0.5)
    ([0.25], 4.0)
    """

    name: str
    low: float
    high: float
    there: Callable[[Floats], Floats]
    back: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]

    def inside(self, values: Floats) -> NDArray[np.bool_]:
        """Tell which values have a value on the scale; nan has none.

        Examples
        --------
        >>> LOG.inside(np.array([0.0, 1.0, np.nan])).tolist()
        [False, True, False]
        """
        return np.asarray((values > self.low) & (values < self.high))


def _logit(x: Floats) -> Floats:
    return np.asarray(special().logit(x))


def _expit(x: Floats) -> Floats:
    return np.asarray(special().expit(x))


def _exp(x: Floats) -> Floats:
    """Infinite where the interval of an SD that is nearly 0 has no end that a double can hold."""
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(x))


LOG = Scale("sd", 0.0, math.inf, np.log, _exp, lambda x: 1 / x)
FISHER_Z = Scale("cor", -1.0, 1.0, np.arctanh, np.tanh, lambda x: 1 / (1 - x * x))
LOGIT = Scale("icc", 0.0, 1.0, _logit, _expit, lambda x: 1 / (x * (1 - x)))
