"""Standard errors and intervals for SDs, correlations and intraclass correlations.

These parameters live on bounded ranges, where estimates are skewed and their m values far from
normal. They are therefore carried to a scale without bounds (``rbridge_mi.pooling.scales``) and
pooled there by Rubin's rules with each fit's own sampling variance, and the interval's ends are
carried back. (The spread between imputations alone is no standard error: it does not contain what
sampling adds.)

===========  ==========  =====================================================================
function     scale       carried back
===========  ==========  =====================================================================
pool_sd      log         an interval above 0
pool_cor     Fisher's z  an interval inside (-1, 1)
pool_icc     logit       an interval inside (0, 1); with two variances the logit of the ICC is
                         the log of their ratio
===========  ==========  =====================================================================

*At the boundary* (a singular fit: an SD of 0, a correlation of -1 or 1 or undefined, an ICC of 0 or
1) the scale has no value, and the likelihood no curvature from which to take a variance. Leaving
such fits out would bias what remains. A parameter that has any therefore gets an estimate, but
neither a standard error nor an interval (nan); `n_boundary` counts such fits. To say more, simplify
the random part, or use a profile or parametric bootstrap of each fit.

References
----------
Rubin, D. B. (1987). Multiple Imputation for Nonresponse in Surveys. Wiley. Equations 3.1.2-3.1.10.
Barnard, J. & Rubin, D. B. (1999). Small-sample degrees of freedom with multiple imputation.
Biometrika 86, 948-955.
Fisher, R. A. (1921). On the probable error of a coefficient of correlation deduced from a small
sample. Metron 1, 3-32. For z = atanh(r).
White, I. R., Royston, P. & Wood, A. M. (2011). Multiple imputation using chained equations.
Statistics in Medicine 30, 377-399. On scales: pool where the estimate is nearest to normal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError
from . import arrays
from .arrays import Floats
from .rubin import pool_scalars
from .scales import FISHER_Z, LOG, LOGIT, Scale

__all__ = ["PooledComponents", "pool_cor", "pool_icc", "pool_on_scale", "pool_sd"]

VariancesOn = Literal["natural", "link"]


@dataclass(frozen=True, eq=False)
class PooledComponents:
    """Pooled random-part parameters; every field is an array, one value per parameter.

    Attributes
    ----------
    estimate, std_error, conf_low, conf_high : ndarray of shape () or (p,)
        In the units of the parameter; `std_error` by the delta method. The interval is that of the
        link scale, carried back, and so not symmetric.
    df, riv, lambda_, fmi : ndarray of shape () or (p,)
        As in `pool_scalars`, on the link scale.
    link_estimate, link_std_error : ndarray of shape () or (p,)
        What was pooled, on the link scale.
    n_boundary : ndarray of shape () or (p,)
        How many of the m fits lie on the boundary; where any does, all but `estimate` is nan.

    See Also
    --------
    pool_sd, pool_cor, pool_icc : Make these.
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
    sd : array_like of shape (m,) or (m, p)
        Standard deviations, not negative.
    variances : array_like of the shape of `sd`
        Each fit's sampling variances: of the SD ("natural") or of log SD ("link"). The two are
        related by var(log sd) = var(sd) / sd^2. Ignored (nan is fine) where a fit lies on the
        boundary.
    variances_on : {"natural", "link"}
        Which of the two.
    center : array_like of shape () or (p,), optional
        Point estimates to report and to centre the interval on, such as the SDs of
        `pool_covariance`. By default the geometric mean, or the root mean square where a fit is 0.
    dfcom : float or array_like of shape (p,)
        Complete-data degrees of freedom: one number, one per parameter, or inf.
    conf_level : float
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    PooledComponents
        Its arrays have shape () or (p,).

    Raises
    ------
    ArgumentError
        If shapes differ, an SD is negative or not finite, or a fit inside the range has a variance
        that is negative or missing.

    See Also
    --------
    pool_covariance : The point estimates that `center` may be.
    pool_cor : The same for correlations.
    pool_icc : The same for intraclass correlations.

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
    return pool_on_scale(
        LOG,
        sd,
        variances,
        variances_on=variances_on,
        center=center,
        dfcom=dfcom,
        conf_level=conf_level,
    )


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
    cor : array_like of shape (m,) or (m, p)
        Correlations, from -1 to 1; nan where a fit leaves one undefined (an SD of 0).
    variances : array_like of the shape of `cor`
        Each fit's sampling variances: of r ("natural") or of z ("link"). The two are related by
        var(z) = var(r) / (1 - r^2)^2. Ignored where a fit lies on the boundary.
    variances_on : {"natural", "link"}
        Which of the two.
    center : array_like of shape () or (p,), optional
        Point estimates to report and to centre the interval on. By default tanh of the mean z, or
        the mean of the correlations that are defined where a fit lies on the boundary.
    dfcom : float or array_like of shape (p,)
        Complete-data degrees of freedom: one number, one per parameter, or inf.
    conf_level : float
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    PooledComponents
        Its arrays have shape () or (p,).

    Raises
    ------
    ArgumentError
        As `pool_sd`, for values outside -1 to 1.

    See Also
    --------
    pool_covariance : The point estimates that `center` may be.
    pool_sd : The same for standard deviations.

    Examples
    --------
    >>> pooled = pool_cor([0.5, 0.5], [0.01, 0.01], variances_on="link")
    >>> [round(float(x), 4) for x in (pooled.estimate, pooled.conf_low, pooled.conf_high)]
    [0.5, 0.3393, 0.6323]
    """
    return pool_on_scale(
        FISHER_Z,
        cor,
        variances,
        variances_on=variances_on,
        center=center,
        dfcom=dfcom,
        conf_level=conf_level,
    )


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
    icc : array_like of shape (m,) or (m, p)
        Intraclass correlations, from 0 to 1.
    variances : array_like of the shape of `icc`
        Each fit's sampling variances: of the ICC ("natural") or of its logit ("link"). The two are
        related by var(logit icc) = var(icc) / (icc (1 - icc))^2. Ignored where a fit lies on the
        boundary.
    variances_on : {"natural", "link"}
        Which of the two.
    center : array_like of shape () or (p,), optional
        Point estimates to report and to centre the interval on. By default that of the mean logit,
        or the mean ICC where a fit lies on the boundary.
    dfcom : float or array_like of shape (p,)
        Complete-data degrees of freedom: one number, one per parameter, or inf.
    conf_level : float
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    PooledComponents
        Its arrays have shape () or (p,).

    Raises
    ------
    ArgumentError
        As `pool_sd`, for values outside 0 to 1.

    See Also
    --------
    pool_sd : The same for standard deviations.
    pool_cor : The same for correlations.

    Examples
    --------
    >>> pooled = pool_icc([0.2, 0.2], [0.0016, 0.0016])
    >>> [round(float(x), 4) for x in (pooled.estimate, pooled.conf_low, pooled.conf_high)]
    [0.2, 0.1328, 0.2898]
    """
    return pool_on_scale(
        LOGIT,
        icc,
        variances,
        variances_on=variances_on,
        center=center,
        dfcom=dfcom,
        conf_level=conf_level,
    )


def pool_on_scale(
    scale: Scale,
    values: ArrayLike,
    variances: ArrayLike,
    *,
    variances_on: VariancesOn = "natural",
    center: ArrayLike | None = None,
    dfcom: ArrayLike = math.inf,
    conf_level: float = 0.95,
) -> PooledComponents:
    """Pool parameters on a scale: the rule that `pool_sd`, `pool_cor` and `pool_icc` share.

    Parameters
    ----------
    scale : Scale
        One of ``rbridge_mi.pooling.scales``.
    values : array_like of shape (m,) or (m, p)
        The parameters, untransformed.
    variances : array_like of the shape of `values`
        Each fit's sampling variances, as in `pool_sd`.
    variances_on : {"natural", "link"}
        What they are variances of: the parameter, or its value on the scale.
    center : array_like of shape () or (p,), optional
        Point estimates to report and to centre the interval on.
    dfcom : float or array_like of shape (p,)
        Complete-data degrees of freedom: one number, one per parameter, or inf.
    conf_level : float
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    PooledComponents
        Its arrays have shape () or (p,).

    Raises
    ------
    ArgumentError
        As `pool_sd`, for values outside the scale's range.

    See Also
    --------
    rbridge_mi.pooling.scales : The scales.

    Examples
    --------
    >>> pooled = pool_on_scale(LOG, [2.0, 2.0], [0.04, 0.04])
    >>> round(float(pooled.estimate), 4), round(float(pooled.std_error), 4)
    (2.0, 0.2)
    """
    if variances_on not in ("natural", "link"):
        raise ArgumentError(f"variances_on: {variances_on!r}; use 'natural' or 'link'")
    x = arrays.stacked(scale.name, values, missing=scale is FISHER_Z)
    u = np.asarray(variances, dtype=np.float64)
    arrays.same_shape("variances", u, x.shape, scale.name)
    outside = (x < scale.low) | (x > scale.high)
    if outside.any():
        raise ArgumentError(
            f"{scale.name}: values outside {scale.low:g} to {scale.high:g}: "
            f"{x[outside][:3].tolist()}"
        )
    inside = scale.inside(x)
    if (inside & ~(np.isfinite(u) & (u >= 0))).any():
        raise ArgumentError(
            f"variances: negative or missing for a {scale.name} inside its range; give every fit's "
            "own sampling variance (the spread between fits is no substitute)"
        )
    usable = np.asarray(inside.all(axis=0))
    # Where a fit lies on the boundary, 0.5 and 1 stand in, which every scale can carry. The results
    # there are replaced by nan below.
    safe = np.where(usable, x, 0.5)
    sampling = np.where(usable, u, 1.0)
    on_link = sampling if variances_on == "link" else sampling * scale.slope(safe) ** 2
    pooled = pool_scalars(scale.there(safe), on_link, dfcom=dfcom, conf_level=conf_level)
    estimate = _point_estimate(scale, x, safe, usable, center)
    middle = scale.there(np.where(usable, estimate, 0.5))
    shift = middle - pooled.estimate

    def where_usable(result: Floats) -> Floats:
        return np.asarray(np.where(usable, result, np.nan))

    return PooledComponents(
        estimate=estimate,
        std_error=where_usable(pooled.std_error / scale.slope(scale.back(middle))),
        conf_low=where_usable(scale.back(pooled.conf_low + shift)),
        conf_high=where_usable(scale.back(pooled.conf_high + shift)),
        df=where_usable(pooled.df),
        riv=where_usable(pooled.riv),
        lambda_=where_usable(pooled.lambda_),
        fmi=where_usable(pooled.fmi),
        link_estimate=where_usable(middle),
        link_std_error=where_usable(pooled.std_error),
        n_boundary=np.asarray((~inside).sum(axis=0), dtype=np.float64),
    )


def _point_estimate(
    scale: Scale, x: Floats, safe: Floats, usable: NDArray[np.bool_], center: ArrayLike | None
) -> Floats:
    """Return `center`; without one, the mean on the scale, or the plain average at the boundary."""
    if center is None:
        undefined = np.isnan(x).all(axis=0)
        average = _root_mean_square if scale is LOG else arrays.mean
        plain = np.where(undefined, np.nan, average(np.where(undefined, 0.5, x)))
        return np.asarray(np.where(usable, scale.back(arrays.mean(scale.there(safe))), plain))
    point = np.asarray(center, dtype=np.float64)
    arrays.same_shape("center", point, x.shape[1:], scale.name)
    if (usable & ~scale.inside(point)).any():
        raise ArgumentError(
            f"center: {point.tolist()} holds a {scale.name} on or outside its boundary "
            f"({scale.low:g} to {scale.high:g}) although no fit is"
        )
    return point.copy()


def _root_mean_square(array: Floats) -> Floats:
    return np.asarray(np.sqrt(arrays.mean(array * array)))
