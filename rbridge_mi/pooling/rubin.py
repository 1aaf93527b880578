"""Rubin's rules: one answer from m, with the uncertainty that missing values add.

Every function takes plain arrays with the imputations along the first axis, whose terms the caller
has matched by name; none uses R or pandas. Where the papers leave a case open:

- *One imputation* (m = 1): the single fit's own inference, with ``t = ubar`` and ``df = dfcom``.
  ``b``, ``riv``, ``lambda_`` and ``fmi`` are nan: one data set has no information about them.
- *Identical fits* (b = 0): the single fit's standard errors, and an fmi of exactly 0.
- *No sampling variance* (ubar = 0, b > 0): ``riv`` is inf, ``lambda_`` and ``fmi`` are 1; with a
  finite dfcom the df is 0 and p value and interval are nan.

References
----------
Rubin, D. B. (1987). Multiple Imputation for Nonresponse in Surveys. Wiley. Equations 3.1.2-3.1.10.
Barnard, J. & Rubin, D. B. (1999). Small-sample degrees of freedom with multiple imputation.
Biometrika 86, 948-955.
Efron, B. & Tibshirani, R. J. (1993). An Introduction to the Bootstrap. Chapman & Hall.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ArgumentError
from . import arrays
from .arrays import Floats
from .tails import t_critical, t_two_sided

__all__ = [
    "COLUMNS",
    "PooledBlups",
    "PooledCovariance",
    "PooledScalars",
    "PooledVcov",
    "barnard_rubin_df",
    "bootstrap_vcov",
    "fraction_missing",
    "pool_blups",
    "pool_bootstrap",
    "pool_covariance",
    "pool_scalars",
    "pool_vcov",
    "rubin_df",
]

COLUMNS = (
    "estimate",
    "std_error",
    "statistic",
    "df",
    "p_value",
    "conf_low",
    "conf_high",
    "ubar",
    "b",
    "t",
    "riv",
    "lambda_",
    "fmi",
)


@dataclass(frozen=True, eq=False)
class PooledScalars:
    """Pooled coefficients: arrays with one value per coefficient, beside `m` and `conf_level`.

    Attributes
    ----------
    estimate, std_error, statistic, df, p_value, conf_low, conf_high : ndarray of shape () or (p,)
        The usual table, by a t distribution with `df` degrees of freedom.
    ubar, b, t : ndarray of shape () or (p,)
        Within-imputation, between-imputation (divisor m - 1) and total variance.
    riv, lambda_, fmi : ndarray of shape () or (p,)
        Relative increase in variance due to missing values, their share of the total variance, and
        fraction of missing information.
    m : int
        Number of imputations.
    conf_level : float
        Coverage of the interval.

    See Also
    --------
    pool_scalars, pool_bootstrap : Make these.
    """

    estimate: Floats
    std_error: Floats
    statistic: Floats
    df: Floats
    p_value: Floats
    conf_low: Floats
    conf_high: Floats
    ubar: Floats
    b: Floats
    t: Floats
    riv: Floats
    lambda_: Floats
    fmi: Floats
    m: int
    conf_level: float

    def columns(self) -> dict[str, Floats]:
        """Return the arrays by column name, in the order of `COLUMNS`, for a DataFrame."""
        return {name: getattr(self, name) for name in COLUMNS}


@dataclass(frozen=True, eq=False)
class PooledVcov:
    """A pooled vector of estimates with its covariance matrices.

    Attributes
    ----------
    estimate : ndarray of shape (k,)
        Mean over the imputations.
    ubar, b, t : ndarray of shape (k, k)
        Within-imputation, between-imputation and total covariance.
    m : int
        Number of imputations.

    See Also
    --------
    pool_vcov : Makes these.
    """

    estimate: Floats
    ubar: Floats
    b: Floats
    t: Floats
    m: int


@dataclass(frozen=True, eq=False)
class PooledBlups:
    """Pooled random effects.

    Attributes
    ----------
    condval, condsd : ndarray of shape (n,) or (n, q)
        Pooled conditional modes, and their standard deviations.
    within, between, total : ndarray of shape (n,), (n, q) or (n, q, q)
        Variances, or covariance matrices if such were pooled.
    m : ndarray of shape (n,) or (n, q)
        The number of imputations that have the level.

    See Also
    --------
    pool_blups : Makes these.
    """

    condval: Floats
    condsd: Floats
    within: Floats
    between: Floats
    total: Floats
    m: Floats


@dataclass(frozen=True, eq=False)
class PooledCovariance:
    """The mean of m covariance matrices.

    Attributes
    ----------
    cov : ndarray of shape (k, k)
        The mean.
    sd : ndarray of shape (k,)
        Square roots of its diagonal.
    cor : ndarray of shape (k, k)
        Its correlations.

    See Also
    --------
    pool_covariance : Makes these.
    """

    cov: Floats
    sd: Floats
    cor: Floats


def rubin_df(m: int, riv: ArrayLike) -> Floats:
    """Degrees of freedom if the complete data have infinitely many (Rubin 1987, eq. 3.1.6).

    Parameters
    ----------
    m : int
        Number of imputations, at least 2.
    riv : array_like
        Relative increases in variance, of any shape.

    Returns
    -------
    ndarray
        (m - 1) (1 + 1/riv)^2, of the shape of `riv`; inf where riv is 0.

    Raises
    ------
    ArgumentError
        If `m` is no whole number of at least 2.

    See Also
    --------
    barnard_rubin_df : For complete data with few degrees of freedom.

    Examples
    --------
    >>> rubin_df(5, [1.0, 0.0]).tolist()
    [16.0, inf]
    """
    arrays.count("m", m, 2)
    with np.errstate(divide="ignore"):
        return np.asarray((m - 1) * np.square(1.0 + 1.0 / np.asarray(riv, float)))


def barnard_rubin_df(m: int, riv: ArrayLike, dfcom: ArrayLike = math.inf) -> Floats:
    """Degrees of freedom if the complete data have `dfcom` (Barnard & Rubin 1999).

    Parameters
    ----------
    m : int
        Number of imputations. With m = 1 the answer is `dfcom`.
    riv : array_like
        Relative increases in variance, of any shape.
    dfcom : float or array_like of the shape of `riv`
        Complete-data degrees of freedom: one number, or one per coefficient; inf gives `rubin_df`.

    Returns
    -------
    ndarray
        1 / (1/old + 1/obs), of the shape of `riv`, with old = (m - 1) / lambda^2 and
        obs = (1 - lambda) dfcom (dfcom + 1) / (dfcom + 3), where lambda = riv / (1 + riv).

    Raises
    ------
    ArgumentError
        If `m` is no whole number of at least 1, or a dfcom isn't positive.

    See Also
    --------
    rubin_df : The limit for a large `dfcom`.

    Examples
    --------
    >>> barnard_rubin_df(5, 1.0, dfcom=[17.0, float("inf")]).round(6).tolist()
    [5.175476, 16.0]
    """
    arrays.count("m", m, 1)
    complete = arrays.complete_df(dfcom)
    increase, complete = np.broadcast_arrays(np.asarray(riv, float), complete)
    if m == 1:
        return complete.copy()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        old = (m - 1) * np.square(1.0 + 1.0 / increase)
        observed = complete * (1.0 - 2.0 / (complete + 3.0)) / (1.0 + increase)
        small = 1.0 / (1.0 / old + 1.0 / observed)
    # An infinite dfcom is treated apart, because infinity times 1 - lambda = 0 has no value.
    return np.asarray(np.where(np.isposinf(complete), old, small))


def fraction_missing(riv: ArrayLike, df: ArrayLike) -> Floats:
    """Fraction of missing information (Rubin 1987, eq. 3.1.10), with the df that the test uses.

    Parameters
    ----------
    riv : array_like
        Relative increases in variance.
    df : array_like
        Degrees of freedom, of a shape that broadcasts with that of `riv`.

    Returns
    -------
    ndarray
        (riv + 2/(df + 3)) / (1 + riv), of the common shape. It is exactly 0 where riv is 0, since
        nothing is missing there (for a finite df the formula would leave 2/(df + 3)).

    See Also
    --------
    fmi_interval : How precisely m imputations estimate it.

    Examples
    --------
    >>> fraction_missing([0.25, 0.0], [17.0, 17.0]).round(12).tolist()
    [0.28, 0.0]
    """
    increase = np.asarray(riv, float)
    observed = 1.0 / (1.0 + increase)
    fmi = (1.0 - observed) + observed * 2.0 / (np.asarray(df, float) + 3.0)
    return np.asarray(np.where(increase == 0, 0.0, fmi))


def pool_scalars(
    estimates: ArrayLike,
    variances: ArrayLike,
    *,
    dfcom: ArrayLike = math.inf,
    conf_level: float = 0.95,
) -> PooledScalars:
    """Pool coefficients one by one (Rubin 1987, eqs. 3.1.2-3.1.10; Barnard & Rubin 1999).

    Parameters
    ----------
    estimates : array_like of shape (m,) or (m, p)
        One coefficient, or p of them.
    variances : array_like of the shape of `estimates`
        Squared standard errors.
    dfcom : float or array_like of shape (p,)
        Complete-data degrees of freedom: one number, one per coefficient, or inf.
    conf_level : float
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    PooledScalars
        Its arrays have shape () or (p,). The module's docstring says what they hold for m = 1 and
        where a variance is 0.

    Raises
    ------
    ArgumentError
        If shapes differ, a number isn't finite, a variance is negative, a dfcom isn't positive, or
        conf_level isn't between 0 and 1.

    See Also
    --------
    pool_vcov : The covariances between coefficients too.
    pool_bootstrap : For fits to bootstrap samples.
    d1 : Test of several coefficients at once.
    monte_carlo_errors : How much these numbers depend on the m imputations drawn.

    Examples
    --------
    >>> pooled = pool_scalars([1.0, 2.0, 3.0], [0.5, 0.5, 0.5], dfcom=50)
    >>> float(pooled.estimate), float(pooled.ubar), float(pooled.b), round(float(pooled.t), 6)
    (2.0, 0.5, 1.0, 1.833333)
    >>> round(float(pooled.df), 4), round(float(pooled.p_value), 4)
    (2.9354, 0.2381)
    """
    q = arrays.stacked("estimates", estimates)
    u = arrays.variances_stacked("variances", variances)
    arrays.same_shape("variances", u, q.shape, "estimates")
    m = q.shape[0]
    estimate, ubar, b = arrays.mean(q), arrays.mean(u), arrays.variance(q)
    extra = (1.0 + 1.0 / m) * b
    t = ubar if m == 1 else ubar + extra
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        riv = np.where(extra == 0, 0.0, extra / ubar)
        lambda_ = np.where(extra == 0, 0.0, extra / t)
    df = barnard_rubin_df(m, riv, _broadcast_dfcom(dfcom, estimate.shape))
    return _with_inference(
        estimate,
        t,
        df,
        conf_level,
        m=m,
        ubar=ubar,
        b=b,
        riv=riv,
        lambda_=lambda_,
        fmi=fraction_missing(riv, df),
    )


def pool_bootstrap(estimates: ArrayLike, *, conf_level: float = 0.95) -> PooledScalars:
    """Pool fits to bootstrap data sets by their spread (Efron & Tibshirani 1993, ch. 6).

    Bootstrap fits differ by sampling already. Adding each fit's own sampling variance, as Rubin's
    rules do, would count it twice. The variance is therefore that of the estimates, with divisor
    m - 1. It is estimated with m - 1 degrees of freedom, so the t distribution with this df is
    used: the interval of few samples is wide, and becomes the normal one as m grows.

    Parameters
    ----------
    estimates : array_like of shape (m,) or (m, p)
        One coefficient, or p of them; m at least 2.
    conf_level : float
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    PooledScalars
        Both ``b`` and ``t`` are that variance; ``ubar``, ``riv``, ``lambda_`` and ``fmi`` have no
        meaning here and are nan.

    Raises
    ------
    ArgumentError
        If m is 1, or a number isn't finite.

    See Also
    --------
    pool_scalars : For fits to imputed data sets.
    bootstrap_vcov : The covariances between coefficients.

    Examples
    --------
    >>> pooled = pool_bootstrap([1.0, 2.0, 3.0])
    >>> float(pooled.estimate), float(pooled.std_error), float(pooled.df)
    (2.0, 1.0, 2.0)
    """
    q = _several(estimates)
    estimate, b = arrays.mean(q), arrays.variance(q)
    undefined = np.full(estimate.shape, np.nan)
    return _with_inference(
        estimate,
        b,
        np.full(estimate.shape, q.shape[0] - 1.0),
        conf_level,
        m=q.shape[0],
        ubar=undefined,
        b=b,
        riv=undefined,
        lambda_=undefined,
        fmi=undefined,
    )


def pool_vcov(estimates: ArrayLike, vcovs: ArrayLike) -> PooledVcov:
    """Total covariance matrix T = Ubar + (1 + 1/m) B (Rubin 1987, sec. 3.1, in its matrix form).

    Parameters
    ----------
    estimates : array_like of shape (m, k)
        Coefficients.
    vcovs : array_like of shape (m, k, k)
        Their sampling covariance matrices.

    Returns
    -------
    PooledVcov
        With m = 1, T is Ubar and B is nan.

    Raises
    ------
    ArgumentError
        If shapes don't match, a number isn't finite, or a matrix isn't a covariance.

    See Also
    --------
    pool_scalars : The variances alone, with tests and intervals.
    bootstrap_vcov : For fits to bootstrap samples.

    Examples
    --------
    >>> pooled = pool_vcov([[0.0, 1.0], [2.0, 1.0]], [[[1.0, 0.5], [0.5, 1.0]]] * 2)
    >>> pooled.t.tolist()
    [[4.0, 0.5], [0.5, 1.0]]
    """
    q = arrays.stacked("estimates", estimates)
    u = arrays.covariances_stacked("vcovs", vcovs)
    arrays.same_shape("vcovs", u, (*q.shape, q.shape[-1]), "estimates")
    m = q.shape[0]
    ubar, b = arrays.mean(u), arrays.covariance(q)
    t = ubar if m == 1 else ubar + (1.0 + 1.0 / m) * b
    return PooledVcov(estimate=arrays.mean(q), ubar=ubar, b=b, t=t, m=m)


def bootstrap_vcov(estimates: ArrayLike) -> Floats:
    """Covariance matrix of estimates from bootstrap samples (Efron & Tibshirani 1993, ch. 6).

    Parameters
    ----------
    estimates : array_like of shape (m, k)
        Coefficients; m at least 2.

    Returns
    -------
    ndarray of shape (k, k)
        With divisor m - 1.

    Raises
    ------
    ArgumentError
        If m is 1, or a number isn't finite.

    See Also
    --------
    pool_bootstrap : The variances alone, with intervals; says why only the spread counts.
    pool_vcov : For fits to imputed data sets.

    Examples
    --------
    >>> bootstrap_vcov([[0.0, 1.0], [2.0, 3.0]]).tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    """
    return arrays.covariance(_several(estimates))


def pool_blups(condval: ArrayLike, condvar: ArrayLike) -> PooledBlups:
    """Pool conditional modes by Rubin's rules: mean, and mean condVar + (1 + 1/m) b (Rubin 1987).

    The total includes the spread between imputations: condVar alone is too small.

    Parameters
    ----------
    condval : array_like of shape (m, n) or (m, n, q)
        Conditional modes of n levels; nan where an imputation lacks a level.
    condvar : array_like of the shape of `condval`, or of shape (m, n, q, q)
        Their conditional variances, or their covariance matrices; nan where condval is.

    Returns
    -------
    PooledBlups
        A level that only one imputation has keeps that fit's variance; its `between` is nan.

    Raises
    ------
    ArgumentError
        If shapes don't match, a variance is negative, condvar lacks a value that condval has, or
        no imputation has some level.

    See Also
    --------
    pool_scalars : The same rules for coefficients.

    Examples
    --------
    >>> pooled = pool_blups([[1.0, 5.0], [3.0, float("nan")]], [[1.0, 4.0], [1.0, float("nan")]])
    >>> pooled.condval.tolist(), pooled.condsd.tolist(), pooled.m.tolist()
    ([2.0, 5.0], [2.0, 2.0], [2.0, 1.0])
    """
    values = arrays.stacked("condval", condval, missing=True)
    variances = arrays.stacked("condvar", condvar, missing=True)
    matrices = variances.ndim == values.ndim + 1
    expected = (*values.shape, values.shape[-1]) if matrices else values.shape
    arrays.same_shape("condvar", variances, expected, "condval")
    diagonals = np.diagonal(variances, axis1=-2, axis2=-1) if matrices else variances
    present = ~np.isnan(values)
    wrong = present & ~(diagonals >= 0)
    if wrong.any():
        where = [int(i) for i in np.argwhere(wrong)[0]]
        raise ArgumentError(
            f"condvar: negative or missing at {where} (imputation first), where condval isn't; "
            "give the conditional variances of every random effect"
        )
    if not present.any(axis=0).all():
        where = [int(i) for i in np.argwhere(~present.any(axis=0))[0]]
        raise ArgumentError(f"condval: no imputation has a value at {where}; leave that level out")
    within = arrays.mean(variances)
    between = arrays.covariance(values) if matrices else arrays.variance(values)
    m = np.asarray(present.sum(axis=0), dtype=np.float64)
    share = 1.0 + 1.0 / (m[..., None] if matrices else m)
    total = within + np.where(np.isnan(between), 0.0, share * between)
    of_values = np.diagonal(total, axis1=-2, axis2=-1) if matrices else total
    return PooledBlups(arrays.mean(values), np.sqrt(of_values), within, between, total, m)


def pool_covariance(covs: ArrayLike) -> PooledCovariance:
    """Average the m random-effect covariance matrices, and give the mean's SDs and correlations.

    The mean of the matrices is positive semi-definite, and exists if a fit is singular. Means of
    SDs and correlations, as merTools takes them, need be neither. The same function serves sigma,
    as 1 x 1 matrices: the square root of the mean residual variance.

    Parameters
    ----------
    covs : array_like of shape (m, k, k)
        Covariance matrices.

    Returns
    -------
    PooledCovariance
        A correlation with a term of zero variance is nan.

    Raises
    ------
    ArgumentError
        If the shape is another, a number isn't finite, or a matrix isn't a covariance.

    See Also
    --------
    pool_sd, pool_cor, pool_icc : Standard errors and intervals.

    Examples
    --------
    >>> pooled = pool_covariance([[[1.0, 0.0], [0.0, 0.0]], [[7.0, 1.0], [1.0, 2.0]]])
    >>> pooled.sd.tolist(), pooled.cor[0].tolist()
    ([2.0, 1.0], [1.0, 0.25])
    """
    cov = arrays.mean(arrays.covariances_stacked("covs", covs))
    sd = np.sqrt(np.diagonal(cov, axis1=-2, axis2=-1))
    with np.errstate(divide="ignore", invalid="ignore"):
        cor = np.clip(cov / (sd[..., :, None] * sd[..., None, :]), -1.0, 1.0)
    np.einsum("...ii->...i", cor)[...] = 1.0
    return PooledCovariance(cov, sd, cor)


def _several(estimates: ArrayLike) -> Floats:
    """Convert bootstrap estimates as `stacked` does, and refuse a single one."""
    q = arrays.stacked("estimates", estimates)
    if q.shape[0] < 2:
        raise ArgumentError(
            "estimates: one bootstrap data set has no spread; draw at least 2, better 200"
        )
    return q


def _broadcast_dfcom(dfcom: ArrayLike, shape: tuple[int, ...]) -> Floats:
    complete = arrays.complete_df(dfcom)
    try:
        return np.broadcast_to(complete, shape)
    except ValueError as error:
        raise ArgumentError(
            f"dfcom: shape {complete.shape} does not go with {shape} coefficients; "
            "give one number, or one per coefficient"
        ) from error


def _with_inference(
    estimate: Floats,
    t: Floats,
    df: Floats,
    conf_level: float,
    *,
    m: int,
    ubar: Floats,
    b: Floats,
    riv: Floats,
    lambda_: Floats,
    fmi: Floats,
) -> PooledScalars:
    """Add what follows from estimate, total variance and df: the t test and the interval."""
    level = arrays.level(conf_level)
    std_error = np.sqrt(t)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = estimate / std_error
    half = t_critical(level, df) * std_error
    return PooledScalars(
        estimate=estimate,
        std_error=std_error,
        statistic=statistic,
        df=df,
        p_value=t_two_sided(statistic, df),
        conf_low=estimate - half,
        conf_high=estimate + half,
        ubar=ubar,
        b=b,
        t=t,
        riv=riv,
        lambda_=lambda_,
        fmi=fmi,
        m=m,
        conf_level=level,
    )
