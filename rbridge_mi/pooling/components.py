"""Standard errors and intervals for SDs, correlations and intraclass correlations.

These live on bounded ranges, where estimates are skewed and their m values far from normal. So they
are carried to a scale without bounds, pooled there by Rubin's rules with each fit's own sampling
variance, and the interval's ends are carried back. (The spread between imputations alone is no
standard error: it holds nothing of what sampling adds.)

===========  ==========  =====================================================================
function     scale       carried back
===========  ==========  =====================================================================
pool_sd      log         an interval above 0
pool_cor     Fisher's z  an interval inside (-1, 1)
pool_icc     logit       an interval inside (0, 1); with two variances the logit of the ICC is
                         the log of their ratio
===========  ==========  =====================================================================

*At the boundary* (a singular fit: an SD of 0, a correlation of -1 or 1 or undefined, an ICC of 0 or
1) the scale has no value and the likelihood no curvature to take a variance from. Leaving such fits
out would bias what remains, so a parameter that has any gets an estimate but neither standard error
nor interval (nan); `n_boundary` counts them. Simplify the random part, or use a profile or
parametric bootstrap of each fit, to say more.

References
----------
Rubin, D. B. (1987). Multiple Imputation for Nonresponse in Surveys. Wiley. Equations 3.1.2-3.1.10.
Barnard, J. & Rubin, D. B. (1999). Biometrika 86, 948-955.
Fisher, R. A. (1921). On the probable error of a coefficient of correlation deduced from a small
sample. Metron 1, 3-32. For z = atanh(r).
White, I. R., Royston, P. & Wood, A. M. (2011). Multiple imputation using chained equations.
Statistics in Medicine 30, 377-399. On scales: pool where the estimate is nearest to normal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError
from . import _arrays
from ._arrays import Floats
from .rubin import pool_scalars
from .tails import special

__all__ = ["PooledComponents", "pool_cor", "pool_icc", "pool_sd"]

VariancesOn = Literal["natural", "link"]


@dataclass(frozen=True, eq=False)
class PooledComponents:
    """Pooled random-part parameters; every field is an array, one value per parameter.

    Attributes
    ----------
    estimate, std_error, conf_low, conf_high
        In the parameter's own units; `std_error` by the delta method. The interval is that of the
        link scale, carried back, and so not symmetric.
    df, riv, lambda_, fmi
        As in `pool_scalars`, on the link scale.
    link_estimate, link_std_error
        What was pooled, on the link scale.
    n_boundary
        How many of the m fits lie on the boundary; where any does, all but `estimate` is nan.
    """

    estimate: Floats
    std_error: Floats
    conf_low: Floats
    conf_high: Floats
    df: Floats
    riv: Floats
    lambda_: Floats
    fmi: Floats
    link_estimate: Floats
    link_std_error: Floats
    n_boundary: Floats


@dataclass(frozen=True)
class _Link:
    """A scale without bounds: there, back, the derivative of going there, the range it serves."""

    name: str
    there: Callable[[Floats], Floats]
    back: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]
    lowest: float
    highest: float
    average: Callable[[Floats], Floats]


def _root_mean_square(array: Floats) -> Floats:
    return np.asarray(np.sqrt(_arrays.mean(array * array)))


def _logit(x: Floats) -> Floats:
    return np.asarray(special().logit(x))


def _expit(x: Floats) -> Floats:
    return np.asarray(special().expit(x))


_LOG = _Link("sd", np.log, np.exp, lambda x: 1 / x, 0.0, math.inf, _root_mean_square)
_FISHER = _Link("cor", np.arctanh, np.tanh, lambda x: 1 / (1 - x * x), -1.0, 1.0, _arrays.mean)
_LOGIT = _Link("icc", _logit, _expit, lambda x: 1 / (x * (1 - x)), 0.0, 1.0, _arrays.mean)


def pool_sd(
    sd: ArrayLike,
    variances: ArrayLike,
    *,
    variances_on: VariancesOn = "natural",
    center: ArrayLike | None = None,
    dfcom: ArrayLike = math.inf,
    conf_level: float = 0.95,
) -> PooledComponents:
    """Pool standard deviations (sigma too) on the log scale (Rubin 1987, eqs. 3.1.2-3.1.10).

    Parameters
    ----------
    sd
        Shape (m,) or (m, p), not negative.
    variances
        Each fit's sampling variances, of the same shape: of the SD ("natural") or of log SD
        ("link"); they are linked by var(log sd) = var(sd) / sd^2. Ignored (nan is fine) where a fit
        lies on the boundary.
    variances_on
        Which of the two.
    center
        Point estimates to report and to centre the interval on, such as the SDs of
        `pool_covariance`; otherwise the geometric mean, or the root mean square where a fit is 0.
    dfcom
        Complete-data degrees of freedom: one number, one per parameter, or inf.
    conf_level
        Coverage of the interval.

    Returns
    -------
    PooledComponents, its arrays of shape () or (p,).

    Raises
    ------
    ArgumentError
        If shapes differ, an SD is negative or not finite, or a fit inside the range has a variance
        that is negative or missing.

    Examples
    --------
    >>> pooled = pool_sd([2.0, 2.0], [0.04, 0.04])
    >>> [round(float(x), 4) for x in (pooled.estimate, pooled.std_error)]
    [2.0, 0.2]
    >>> [round(float(x), 4) for x in (pooled.conf_low, pooled.conf_high)]
    [1.644, 2.433]
    >>> singular = pool_sd([3.0, 0.0], [0.04, float("nan")])
    >>> round(float(singular.estimate), 4), float(singular.conf_low), int(singular.n_boundary)
    (2.1213, nan, 1)
    """
    return _pool_on(_LOG, sd, variances, variances_on, center, dfcom, conf_level)


def pool_cor(
    cor: ArrayLike,
    variances: ArrayLike,
    *,
    variances_on: VariancesOn = "natural",
    center: ArrayLike | None = None,
    dfcom: ArrayLike = math.inf,
    conf_level: float = 0.95,
) -> PooledComponents:
    """Pool correlations on Fisher's z scale, z = atanh(r) (Fisher 1921; Rubin 1987).

    Parameters
    ----------
    cor
        Shape (m,) or (m, p), from -1 to 1; nan where a fit leaves it undefined (an SD of 0).
    variances
        Each fit's sampling variances: of r ("natural") or of z ("link"), linked by
        var(z) = var(r) / (1 - r^2)^2. Ignored where a fit lies on the boundary.
    variances_on, center, dfcom, conf_level
        As in `pool_sd`. The estimate without `center` is tanh of the mean z; where a fit lies on
        the boundary, the mean of the correlations that are defined.

    Returns
    -------
    PooledComponents, its arrays of shape () or (p,).

    Raises
    ------
    ArgumentError
        As `pool_sd`, for values outside -1 to 1.

    Examples
    --------
    >>> pooled = pool_cor([0.5, 0.5], [0.01, 0.01], variances_on="link")
    >>> [round(float(x), 4) for x in (pooled.estimate, pooled.conf_low, pooled.conf_high)]
    [0.5, 0.3393, 0.6323]
    """
    return _pool_on(_FISHER, cor, variances, variances_on, center, dfcom, conf_level)


def pool_icc(
    icc: ArrayLike,
    variances: ArrayLike,
    *,
    variances_on: VariancesOn = "natural",
    center: ArrayLike | None = None,
    dfcom: ArrayLike = math.inf,
    conf_level: float = 0.95,
) -> PooledComponents:
    """Pool intraclass correlations on the logit scale (Rubin 1987, eqs. 3.1.2-3.1.10).

    Parameters
    ----------
    icc
        Shape (m,) or (m, p), from 0 to 1.
    variances
        Each fit's sampling variances: of the ICC ("natural") or of its logit ("link"), linked by
        var(logit icc) = var(icc) / (icc (1 - icc))^2. Ignored where a fit lies on the boundary.
    variances_on, center, dfcom, conf_level
        As in `pool_sd`. The estimate without `center` is that of the mean logit; where a fit lies
        on the boundary, the mean ICC.

    Returns
    -------
    PooledComponents, its arrays of shape () or (p,).

    Raises
    ------
    ArgumentError
        As `pool_sd`, for values outside 0 to 1.

    Examples
    --------
    >>> pooled = pool_icc([0.2, 0.2], [0.0016, 0.0016])
    >>> [round(float(x), 4) for x in (pooled.estimate, pooled.conf_low, pooled.conf_high)]
    [0.2, 0.1328, 0.2898]
    """
    return _pool_on(_LOGIT, icc, variances, variances_on, center, dfcom, conf_level)


def _pool_on(
    link: _Link,
    values: ArrayLike,
    variances: ArrayLike,
    variances_on: str,
    center: ArrayLike | None,
    dfcom: ArrayLike,
    conf_level: float,
) -> PooledComponents:
    if variances_on not in ("natural", "link"):
        raise ArgumentError(f"variances_on: {variances_on!r}; use 'natural' or 'link'")
    x = _arrays.stacked(link.name, values, missing=link is _FISHER)
    u = np.asarray(variances, dtype=np.float64)
    _arrays.same_shape("variances", u, x.shape, link.name)
    if ((x < link.lowest) | (x > link.highest)).any():
        raise ArgumentError(
            f"{link.name}: values outside {link.lowest:g} to {link.highest:g}: "
            f"{x[(x < link.lowest) | (x > link.highest)][:3].tolist()}"
        )
    inside = (x > link.lowest) & (x < link.highest)
    if (inside & ~(np.isfinite(u) & (u >= 0))).any():
        raise ArgumentError(
            f"variances: negative or missing for a {link.name} inside its range; give every fit's "
            "own sampling variance (the spread between fits is no substitute)"
        )
    usable = np.asarray(inside.all(axis=0))
    # A stand-in that every link can carry; its results are blotted out below.
    safe = np.where(usable, x, 0.5)
    own = np.where(usable, u, 1.0)
    on_link = own if variances_on == "link" else own * link.slope(safe) ** 2
    pooled = pool_scalars(link.there(safe), on_link, dfcom=dfcom, conf_level=conf_level)
    estimate = _point(link, x, safe, usable, center)
    middle = link.there(np.where(usable, estimate, 0.5))
    shift = middle - pooled.estimate

    def where_usable(result: Floats) -> Floats:
        return np.asarray(np.where(usable, result, np.nan))

    return PooledComponents(
        estimate=estimate,
        std_error=where_usable(pooled.std_error / link.slope(link.back(middle))),
        conf_low=where_usable(link.back(pooled.conf_low + shift)),
        conf_high=where_usable(link.back(pooled.conf_high + shift)),
        df=where_usable(pooled.df),
        riv=where_usable(pooled.riv),
        lambda_=where_usable(pooled.lambda_),
        fmi=where_usable(pooled.fmi),
        link_estimate=where_usable(middle),
        link_std_error=where_usable(pooled.std_error),
        n_boundary=np.asarray((~inside).sum(axis=0), dtype=np.float64),
    )


def _point(
    link: _Link, x: Floats, safe: Floats, usable: NDArray[np.bool_], center: ArrayLike | None
) -> Floats:
    """The given centre; else the mean on the link scale, or the plain average at the boundary."""
    if center is None:
        defined = np.where(np.isnan(x).all(axis=0), 0.5, x)
        plain = np.where(np.isnan(x).all(axis=0), np.nan, link.average(defined))
        return np.asarray(np.where(usable, link.back(_arrays.mean(link.there(safe))), plain))
    given = np.asarray(center, dtype=np.float64)
    _arrays.same_shape("center", given, x.shape[1:], link.name)
    if (usable & ~((given > link.lowest) & (given < link.highest))).any():
        raise ArgumentError(
            f"center: {given.tolist()} holds a {link.name} on or outside its boundary "
            f"({link.lowest:g} to {link.highest:g}) although no fit is"
        )
    return given.copy()
