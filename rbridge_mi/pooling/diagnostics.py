"""How much the results depend on which m imputations were drawn.

References
----------
Harel, O. (2007). Inferences on missing information under multiple imputation and two-stage multiple
imputation. Statistical Methodology 4, 75-89.
von Hippel, P. T. (2020). How many imputations do you need? A two-stage calculation using a
quadratic rule. Sociological Methods & Research 49, 699-718.
White, I. R., Royston, P. & Wood, A. M. (2011). Multiple imputation using chained equations: issues
and guidance for practice. Statistics in Medicine 30, 377-399.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError
from . import arrays
from .arrays import Floats
from .rubin import PooledScalars, pool_scalars
from .tails import special

__all__ = ["MonteCarloErrors", "fmi_interval", "imputations_needed", "monte_carlo_errors"]


@dataclass(frozen=True, eq=False)
class MonteCarloErrors:
    """Standard deviations of the pooled numbers over repeated sets of m imputations.

    Attributes
    ----------
    estimate, std_error, statistic, df, p_value, conf_low, conf_high, fmi : ndarray
        The error of the field of that name of `PooledScalars`; shape () or (p,).

    See Also
    --------
    monte_carlo_errors : Makes these.
    """

    estimate: Floats
    std_error: Floats
    statistic: Floats
    df: Floats
    p_value: Floats
    conf_low: Floats
    conf_high: Floats
    fmi: Floats


def monte_carlo_errors(
    estimates: ArrayLike,
    variances: ArrayLike,
    *,
    dfcom: ArrayLike = math.inf,
    conf_level: float = 0.95,
) -> MonteCarloErrors:
    """Monte Carlo error of each pooled number, by jackknife (White, Royston & Wood 2011).

    Each imputation is left out in turn. If x_j is the pooled number of the others, the error is the
    square root of (m - 1)/m times the sum of (x_j - mean(x))^2. For the estimate that is
    sqrt(b / m).

    Parameters
    ----------
    estimates : array_like of shape (m,) or (m, p)
        Coefficients, m at least 3.
    variances : array_like of the shape of `estimates`
        Squared standard errors.
    dfcom : float or array_like of shape (p,)
        Complete-data degrees of freedom: one number, one per coefficient, or inf.
    conf_level : float
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    MonteCarloErrors
        Its arrays have shape () or (p,). The df's error is nan where some of the m pools that leave
        one out have an infinite df, and others have not.

    Raises
    ------
    ArgumentError
        If m is below 3, and as `pool_scalars`.

    See Also
    --------
    pool_scalars : The numbers whose errors these are.
    imputations_needed : How large m should be.

    Examples
    --------
    >>> errors = monte_carlo_errors([1.0, 2.0, 3.0], [0.5, 0.5, 0.5])
    >>> round(float(errors.estimate), 6)  # sqrt(1 / 3)
    0.57735
    """
    q = arrays.stacked("estimates", estimates)
    u = arrays.variances_stacked("variances", variances)
    arrays.same_shape("variances", u, q.shape, "estimates")
    m = q.shape[0]
    if m < 3:
        raise ArgumentError(f"estimates: a jackknife over {m} imputations; draw at least 3")
    without: list[PooledScalars] = [
        pool_scalars(np.delete(q, j, 0), np.delete(u, j, 0), dfcom=dfcom, conf_level=conf_level)
        for j in range(m)
    ]
    return MonteCarloErrors(
        **{
            name: _jackknife(np.stack([getattr(pooled, name) for pooled in without]))
            for name in MonteCarloErrors.__dataclass_fields__
        }
    )


def fmi_interval(fmi: ArrayLike, m: int, *, conf_level: float = 0.95) -> tuple[Floats, Floats]:
    """Confidence interval of a fraction of missing information (Harel 2007; von Hippel 2020).

    The logit of an estimated fmi is nearly normal with standard error sqrt(2/m).

    Parameters
    ----------
    fmi : array_like
        Estimates of any shape, from 0 to 1; nan gives nan.
    m : int
        Number of imputations that they come from, at least 2.
    conf_level : float
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    tuple of (ndarray, ndarray)
        Lower and upper ends, of the shape of `fmi`. An fmi of exactly 0 or 1 has no logit; its
        interval is that point.

    Raises
    ------
    ArgumentError
        If an fmi is outside 0 to 1, or m is below 2.

    See Also
    --------
    fraction_missing : The estimates.
    imputations_needed : Uses the upper end.

    Examples
    --------
    >>> low, high = fmi_interval(0.5, 8)
    >>> round(float(low), 4), round(float(high), 4)
    (0.2729, 0.7271)
    """
    fraction = _fractions(fmi)
    arrays.count("m", m, 2)
    sp = special()
    half = -sp.ndtri((1 - arrays.level(conf_level)) / 2) * math.sqrt(2 / m)
    middle = sp.logit(fraction)
    return np.asarray(sp.expit(middle - half)), np.asarray(sp.expit(middle + half))


def imputations_needed(
    fmi: ArrayLike, m: int, *, cv: float = 0.05, conf_level: float = 0.95
) -> NDArray[np.int64]:
    """Count the imputations that make the standard errors replicable (von Hippel 2020).

    The rule has two stages. The first is the m imputations at hand: they estimate fmi, and the
    upper end of its `fmi_interval` is taken. The second is 1 + (1/2) (fmi / cv)^2.

    Parameters
    ----------
    fmi : array_like
        Estimates of the first stage, of any shape, from 0 to 1.
    m : int
        Number of imputations that they come from, at least 2.
    cv : float
        Wanted coefficient of variation of a standard error over repeated sets of imputations. With
        0.05 a standard error lies within about a tenth of its mean in 95 sets of 100.
    conf_level : float
        Confidence of the interval whose upper end is used, between 0 and 1.

    Returns
    -------
    ndarray of int
        Whole numbers of at least 2, of the shape of `fmi`. The analysis needs the largest.

    Raises
    ------
    ArgumentError
        If an fmi is nan or outside 0 to 1, m is below 2, or cv isn't positive.

    See Also
    --------
    fmi_interval : The interval whose upper end is used.
    monte_carlo_errors : The errors that the m imputations at hand leave.

    Examples
    --------
    >>> imputations_needed([0.1, 0.5], 20).tolist()
    [7, 86]
    """
    if not (math.isfinite(cv) and cv > 0):
        raise ArgumentError(f"cv: {cv!r} is not a positive number; use 0.05 for 5%")
    if np.isnan(np.asarray(fmi, float)).any():
        raise ArgumentError("fmi: nan; it takes at least 2 imputations to estimate it")
    _, high = fmi_interval(fmi, m, conf_level=conf_level)
    # Rounded before ceil, so that 51 + 1e-14 does not become 52.
    return np.maximum(2, np.ceil(np.round(1 + 0.5 * (high / cv) ** 2, 9))).astype(np.int64)


def _fractions(fmi: ArrayLike) -> Floats:
    fraction = np.asarray(fmi, dtype=np.float64)
    if ((fraction < 0) | (fraction > 1)).any():
        raise ArgumentError(
            f"fmi: {fraction.tolist()} holds a value outside 0 to 1; give fractions, not percent"
        )
    return fraction


def _jackknife(without: Floats) -> Floats:
    """Jackknife standard error, from the (m, ...) results that each leave one imputation out."""
    m = without.shape[0]
    # Equal values have error 0, also where they are infinite and can't be subtracted.
    equal = (without == without[0]).all(axis=0)
    usable = np.isfinite(without).all(axis=0)
    spread = arrays.variance(np.where(usable, without, 0.0))
    error = (m - 1) * np.sqrt(spread / m)
    return np.asarray(np.where(equal, 0.0, np.where(usable, error, np.nan)))
