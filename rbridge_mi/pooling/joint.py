"""Tests of several coefficients at once, and of nested models, over m imputations.

====  =======================================================================================
test  what it takes
====  =======================================================================================
D1    estimates and their covariance matrices: a pooled Wald test, the most dependable
D2    the m chi-squares only: rough, to be used where the others cannot be computed
D3    log-likelihoods, at each fit's own parameters and at the pooled ones
D4    log-likelihoods, of each fit and of one fit to the stacked data
====  =======================================================================================

Every function returns a `JointTest`; its `note` says when a published formula did not apply and
what was done instead (empty otherwise):

- *One degree of freedom*: D1 is the squared t of `pool_scalars`, so that test and table agree.
- *k (m - 1) <= 4*, or a dfcom too small: Reiter's (2007) df has no value. The df that Li,
  Raghunathan & Rubin (1991) give for few imputations is joined to the complete-data df as Barnard
  & Rubin (1999) join theirs; at k = 1 the two rules are the same.
- *Negative relative increase in variance* (D3, D4 in small samples): taken as 0, after Chan & Meng
  (2022).
- *One imputation*: that fit's own test.

References
----------
Chan, K. W. & Meng, X.-L. (2022). Multiple improvements of multiple imputation likelihood ratio
tests. Statistica Sinica 32, 1489-1514.
Li, K.-H., Raghunathan, T. E. & Rubin, D. B. (1991). Large-sample significance levels from multiply
imputed data using moment-based statistics and an F reference distribution. JASA 86, 1065-1073.
Li, K.-H., Meng, X.-L., Raghunathan, T. E. & Rubin, D. B. (1991). Significance levels from repeated
p-values with multiply-imputed data. Statistica Sinica 1, 65-92.
Meng, X.-L. & Rubin, D. B. (1992). Performing likelihood ratio tests with multiply-imputed data
sets. Biometrika 79, 103-111.
Reiter, J. P. (2007). Small-sample degrees of freedom for multi-component significance tests with
multiple imputation for missing data. Biometrika 94, 502-508.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ArgumentError
from . import arrays
from .arrays import Floats
from .rubin import pool_scalars
from .tails import f_upper

__all__ = ["JointTest", "d1", "d2", "d3", "d4", "linear_hypothesis", "wald_chi2"]

# A likelihood ratio may be this far below 0 because both optimizers stop short of the maximum.
_SLACK = 1e-2


@dataclass(frozen=True)
class JointTest:
    """One pooled test.

    Attributes
    ----------
    method : str
        D1, D2, D3 or D4.
    statistic : float
        Refers to the F distribution with `df1` and `df2` degrees of freedom.
    df1 : int
        The number of hypotheses, k.
    df2 : float
        Denominator degrees of freedom; may be inf.
    p_value : float
        Upper tail probability.
    riv : float
        Average relative increase in variance due to missing values.
    note : str
        Says where a published formula did not apply and what was done instead; empty otherwise.

    See Also
    --------
    d1, d2, d3, d4 : Make these.
    """

    method: str
    statistic: float
    df1: int
    df2: float
    p_value: float
    riv: float
    note: str = ""


def linear_hypothesis(
    estimates: ArrayLike, vcovs: ArrayLike, matrix: ArrayLike, rhs: ArrayLike = 0.0
) -> tuple[Floats, Floats]:
    """Prepare the test that matrix @ coefficients = rhs, for `d1` and `wald_chi2`.

    Parameters
    ----------
    estimates : array_like of shape (m, p)
        Coefficients.
    vcovs : array_like of shape (m, p, p)
        Their covariance matrices.
    matrix : array_like of shape (k, p)
        One row per hypothesis.
    rhs : float or array_like of shape (k,)
        The hypothesised values.

    Returns
    -------
    tuple of (ndarray of shape (m, k), ndarray of shape (m, k, k))
        The departures from the hypothesis, and their covariance matrices.

    Raises
    ------
    ArgumentError
        If shapes don't match, or one hypothesis follows from the others or contradicts them.

    See Also
    --------
    d1 : The pooled test.
    wald_chi2 : The test of each imputation.

    Examples
    --------
    Is the first coefficient equal to the second?

    >>> q, u = linear_hypothesis([[3.0, 1.0]], [[[1.0, 0.0], [0.0, 1.0]]], [[1, -1]])
    >>> q.tolist(), u.tolist()
    ([[2.0]], [[[2.0]]])
    """
    q, u = _vectors(estimates, vcovs)
    rows = np.asarray(matrix, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != q.shape[1] or not np.isfinite(rows).all():
        raise ArgumentError(
            f"matrix: shape {rows.shape} for {q.shape[1]} coefficients; give finite numbers, "
            "one row per hypothesis and one column per coefficient"
        )
    # The rank is taken in units of standard errors, so that a row does not look empty only because
    # of the units of a predictor.
    scaled = rows * np.sqrt(np.diagonal(arrays.mean(u)))
    norm = np.sqrt(np.sum(scaled * scaled, axis=1, keepdims=True))
    if (norm == 0).any() or np.linalg.matrix_rank(scaled / norm) < rows.shape[0]:
        raise ArgumentError(
            "matrix: a hypothesis is empty, or follows from the others or contradicts them; "
            "give linearly independent rows"
        )
    target = np.asarray(rhs, dtype=np.float64)
    if target.shape not in {(), (rows.shape[0],)} or not np.isfinite(target).all():
        raise ArgumentError(
            f"rhs: {target.tolist()} for {rows.shape[0]} hypotheses; "
            "give one finite number, or one per row of matrix"
        )
    covariance = rows @ u @ rows.T
    return q @ rows.T - target, (covariance + np.swapaxes(covariance, 1, 2)) / 2


def wald_chi2(estimates: ArrayLike, vcovs: ArrayLike) -> Floats:
    """Wald chi-square q' U^-1 q of each imputation, for `d2`.

    Parameters
    ----------
    estimates : array_like of shape (m, k)
        The coefficients under test, or what `linear_hypothesis` returns.
    vcovs : array_like of shape (m, k, k)
        Their covariance matrices.

    Returns
    -------
    ndarray of shape (m,)
        Chi-squares with k degrees of freedom.

    Raises
    ------
    ArgumentError
        If shapes don't match, or a matrix is singular.

    See Also
    --------
    d2 : Pools these.
    d1 : Pools the coefficients instead, which is better.

    Examples
    --------
    >>> wald_chi2([[3.0, 4.0]], [[[1.0, 0.0], [0.0, 1.0]]]).tolist()
    [25.0]
    """
    q, u = _vectors(estimates, vcovs)
    return np.array([_quadratic(qi, ui) for qi, ui in zip(q, u, strict=True)])


def d1(
    estimates: ArrayLike,
    vcovs: ArrayLike,
    *,
    dfcom: float = math.inf,
    one_df: Literal["barnard-rubin", "published"] = "barnard-rubin",
) -> JointTest:
    """Pooled Wald test that k coefficients are 0 (Rubin 1987, p. 137; Li et al. 1991).

    The statistic is qbar' [(1 + r) Ubar]^-1 qbar / k, with r = (1 + 1/m) tr(B Ubar^-1) / k. With
    T = k (m - 1), the df is 4 + (T - 4) (1 + (1 - 2/T)/r)^2 for an infinite dfcom (Li, Raghunathan
    & Rubin 1991) and nu*_f of Reiter (2007, p. 504) for a finite one.

    Parameters
    ----------
    estimates : array_like of shape (m, k)
        The coefficients under test, or what `linear_hypothesis` returns.
    vcovs : array_like of shape (m, k, k)
        Their covariance matrices.
    dfcom : float
        Complete-data degrees of freedom; inf for none.
    one_df : {"barnard-rubin", "published"}
        "barnard-rubin" makes the test of one coefficient the squared t of the coefficients' table;
        "published" uses the df for many coefficients there too, wherever it exists, as mitml and
        mice do.

    Returns
    -------
    JointTest
        With `method` D1.

    Raises
    ------
    ArgumentError
        If shapes don't match, the mean covariance matrix is singular, or dfcom isn't positive.

    See Also
    --------
    linear_hypothesis : For other hypotheses than that coefficients are 0.
    pool_scalars : The test of each coefficient.
    d4 : For nested models that differ in their random part.

    Examples
    --------
    >>> test = d1([[1.0, 2.0], [2.0, 2.0], [3.0, 2.0]], [[[1.0, 0.0], [0.0, 1.0]]] * 3)
    >>> round(test.statistic, 6), test.df1, round(test.df2, 4), round(test.riv, 6)
    (2.4, 2, 18.75, 0.666667)
    """
    q, u = _vectors(estimates, vcovs)
    m, k = q.shape
    complete = float(arrays.complete_df(dfcom))
    qbar, ubar = arrays.mean(q), arrays.mean(u)
    if one_df not in ("barnard-rubin", "published"):
        raise ArgumentError(f"one_df: {one_df!r}; use 'barnard-rubin' or 'published'")
    if m == 1:
        return _single("D1", _quadratic(qbar, ubar) / k, k, complete)
    scale = _scale(ubar)
    b = arrays.covariance(q / scale)
    r = (1 + 1 / m) * float(np.trace(_solve(ubar / np.outer(scale, scale), b))) / k
    statistic = _quadratic(qbar, ubar) / (k * (1 + r))
    if k == 1 and one_df == "barnard-rubin":
        df2 = float(pool_scalars(q[:, 0], u[:, 0, 0], dfcom=complete).df)
        return _test("D1", statistic, k, df2, r)
    df2, note = _d1_df(k, m, r, complete)
    return _test("D1", statistic, k, df2, r, note)


def d2(chi2: ArrayLike, k: int) -> JointTest:
    """Pool m chi-squares of k degrees of freedom (Li, Meng, Raghunathan & Rubin 1991).

    The statistic is (mean(d)/k - r (m + 1)/(m - 1)) / (1 + r), with r = (1 + 1/m) var(sqrt(d)) and
    k^(-3/m) (m - 1) (1 + 1/r)^2 degrees of freedom.

    The test is crude: the chi-squares contain little information about what is missing, and p
    values can be wrong by half. Prefer D1, or D4 where there are no coefficients.

    Parameters
    ----------
    chi2 : array_like of shape (m,)
        Wald statistics (`wald_chi2`) or likelihood ratios. One that is below 0 by at most 0.01,
        because optimizers stop short of the maximum, counts as 0.
    k : int
        Their degrees of freedom.

    Returns
    -------
    JointTest
        With `method` D2. The statistic may be negative; its p value is then 1.

    Raises
    ------
    ArgumentError
        If a chi-square is negative or not finite, or k isn't a whole number of at least 1.

    See Also
    --------
    d1 : From coefficients and their covariance matrices.
    d4 : From log-likelihoods.

    Examples
    --------
    >>> test = d2([4.0, 9.0], k=2)
    >>> round(test.statistic, 6), round(test.riv, 6), round(test.df2, 6)
    (0.571429, 0.75, 1.924902)
    """
    d = arrays.stacked("chi2", chi2)
    arrays.same_shape("chi2", d, (d.shape[0],), "D2: one number per imputation")
    m, k = d.shape[0], arrays.count("k", k, 1)
    if (d < -_SLACK).any():
        raise ArgumentError(
            f"chi2: {float(d.min())} is negative; is the larger model converged, and is the other "
            "nested in it and fitted by ML to the same rows?"
        )
    d = np.maximum(d, 0.0)
    if m == 1:
        return _single("D2", float(d[0]) / k, k, math.inf)
    r = (1 + 1 / m) * float(arrays.variance(np.sqrt(d)))
    statistic = (float(arrays.mean(d)) / k - (m + 1) / (m - 1) * r) / (1 + r)
    df2 = k ** (-3 / m) * (m - 1) * (1 + _inverse(r)) ** 2
    note = "the statistic is negative: p value 1" if statistic < 0 else ""
    return _test("D2", statistic, k, df2, r, note)


def d3(
    loglik_full: ArrayLike,
    loglik_reduced: ArrayLike,
    loglik_full_pooled: ArrayLike,
    loglik_reduced_pooled: ArrayLike,
    k: int,
) -> JointTest:
    """Likelihood-ratio test through the pooled parameters (Meng & Rubin 1992).

    The statistic is d~ / (k (1 + r)), with r = (m + 1) (dbar - d~) / (k (m - 1)); dbar and d~ are
    the mean likelihood ratios at each fit's own and at the pooled parameters. The df is that of
    `d1` with an infinite dfcom.

    Parameters
    ----------
    loglik_full, loglik_reduced : array_like of shape (m,)
        Maximised log-likelihoods (ML, not REML) of each imputation.
    loglik_full_pooled, loglik_reduced_pooled : array_like of shape (m,)
        Log-likelihoods of the same imputations at the mean over imputations of *all* the model's
        parameters (in lme4: coefficients, random-effect covariances and residual variance).
    k : int
        Number of parameters by which the models differ.

    Returns
    -------
    JointTest
        With `method` D3.

    Raises
    ------
    ArgumentError
        If the arrays differ in length, a number isn't finite, or k isn't a whole number of at
        least 1.

    See Also
    --------
    d4 : Needs no likelihoods at the pooled parameters.
    d1 : For models that differ in coefficients only.

    Examples
    --------
    >>> test = d3([-10.0, -11.0], [-14.0, -15.0], [-10.2, -11.2], [-14.0, -15.0], k=2)
    >>> round(test.statistic, 6), round(test.riv, 6), round(test.df2, 4)
    (2.375, 0.6, 10.6667)
    """
    full, reduced, full_bar, reduced_bar = _logliks(
        loglik_full=loglik_full,
        loglik_reduced=loglik_reduced,
        loglik_full_pooled=loglik_full_pooled,
        loglik_reduced_pooled=loglik_reduced_pooled,
    )
    m, k = full.shape[0], arrays.count("k", k, 1)
    at_pooled = 2 * float(arrays.mean(full_bar - reduced_bar))
    if m == 1:
        return _single("D3", at_pooled / k, k, math.inf)
    at_maximum = 2 * float(arrays.mean(full - reduced))
    r, note = _not_negative((m + 1) / (k * (m - 1)) * (at_maximum - at_pooled))
    df2, small = _li_df(k, m, r)
    return _test("D3", at_pooled / (k * (1 + r)), k, df2, r, _join(note, small))


def d4(
    loglik_full: ArrayLike,
    loglik_reduced: ArrayLike,
    loglik_full_stacked: float,
    loglik_reduced_stacked: float,
    k: int,
    *,
    n_params: int | None = None,
) -> JointTest:
    """Likelihood-ratio test through the stacked data (Chan & Meng 2022).

    The statistic is d / (k (1 + r)), with d the likelihood ratio of the stacked data divided by m,
    and h (m - 1) (1 + 1/r)^2 degrees of freedom. With dbar the mean of the m likelihood ratios,
    r = (m + 1) (dbar - d) / (k (m - 1)) and h = k; see `n_params` for the other choice.

    Parameters
    ----------
    loglik_full, loglik_reduced : array_like of shape (m,)
        Maximised log-likelihoods (ML, not REML) of each imputation.
    loglik_full_stacked, loglik_reduced_stacked : float
        Maximised log-likelihoods of the m data sets stacked into one, as the fit reports them (not
        divided by m). A group must belong to one imputation: give every imputation its own labels.
    k : int
        Number of parameters by which the models differ.
    n_params : int, optional
        Number of parameters of the full model, random part included. If it is given, r is Chan and
        Meng's robust estimate, from the full model alone (h = n_params). By default r is that of
        the comparison (h = k), or 0 where it is negative.

    Returns
    -------
    JointTest
        With `method` D4.

    Raises
    ------
    ArgumentError
        If the arrays differ in length, a number isn't finite, k isn't a whole number of at least 1,
        or n_params is less than k.

    See Also
    --------
    d3 : From likelihoods at the pooled parameters instead.
    d1 : For models that differ in coefficients only.

    Examples
    --------
    >>> test = d4([-10.0, -11.0], [-14.0, -15.0], -21.4, -29.0, k=2)
    >>> round(test.statistic, 6), round(test.riv, 6), round(test.df2, 4)
    (2.375, 0.6, 14.2222)
    """
    full, reduced = _logliks(loglik_full=loglik_full, loglik_reduced=loglik_reduced)
    m, k = full.shape[0], arrays.count("k", k, 1)
    h = k if n_params is None else arrays.count("n_params", n_params, k)
    for name, value in (
        ("loglik_full_stacked", loglik_full_stacked),
        ("loglik_reduced_stacked", loglik_reduced_stacked),
    ):
        if not math.isfinite(value):
            raise ArgumentError(f"{name}: {value!r} is not finite; refit the stacked model")
    stacked_full, stacked_reduced = loglik_full_stacked / m, loglik_reduced_stacked / m
    ratio = 2 * (stacked_full - stacked_reduced)
    if m == 1:
        return _single("D4", ratio / k, k, math.inf)
    if n_params is None:
        excess = 2 * float(arrays.mean(full - reduced)) - ratio
    else:
        excess = 2 * (float(arrays.mean(full)) - stacked_full)
    r, note = _not_negative((m + 1) / (h * (m - 1)) * excess)
    df2 = h * (m - 1) * (1 + _inverse(r)) ** 2
    return _test("D4", ratio / (k * (1 + r)), k, df2, r, note)


def _d1_df(k: int, m: int, r: float, dfcom: float) -> tuple[float, str]:
    """Denominator df of D1, and a note where the published formula has no value."""
    t = k * (m - 1)
    complete = dfcom if math.isinf(dfcom) else dfcom * (dfcom + 1) / (dfcom + 3)
    if math.isinf(dfcom):
        return _li_df(k, m, r)
    if t > 4:
        a = r * t / (t - 2)
        if complete > 4 * (1 + a):
            return _reiter_df(t, a, complete), ""
        why = f"dfcom = {dfcom:g} is too small"
    else:
        why = f"k (m - 1) = {t} is at most 4"
    within, _ = _li_df(k, m, r, small=True)
    joined = 1 / (1 / within + (1 + r) / complete)
    return joined, (
        f"{why} for the df of Reiter (2007); used that of Li, Raghunathan & Rubin (1991) for few "
        "imputations, joined to dfcom as Barnard & Rubin (1999) do"
    )


def _li_df(k: int, m: int, r: float, *, small: bool = False) -> tuple[float, str]:
    """Denominator df for an infinite dfcom (Li, Raghunathan & Rubin 1991), and a note."""
    t = k * (m - 1)
    if t > 4 and not small:
        return 4 + (t - 4) * (1 + (1 - 2 / t) * _inverse(r)) ** 2, ""
    df = t * (1 + 1 / k) * (1 + _inverse(r)) ** 2 / 2
    # No note at k = 1, where this is Rubin's own df, nor at r = 0, where every rule gives inf.
    return df, "" if k == 1 or r == 0 else f"k (m - 1) = {t} is at most 4: df for few imputations"


def _reiter_df(t: int, a: float, complete: float) -> float:
    """Denominator df for a finite dfcom (Reiter 2007, p. 504)."""
    two, four, one = complete - 2 * (1 + a), complete - 4 * (1 + a), 1 + a
    between = (
        a**2 * two / (one**2 * four)
        + 8 * a**2 * two / (one * four**2)
        + 4 * a**2 / (one * four)
        + 4 * a**2 / (four * two)
        + 16 * a**2 * two / four**3
        + 8 * a**2 / four**2
    )
    return 4 + 1 / (1 / four + between / (t - 4))


def _vectors(estimates: ArrayLike, vcovs: ArrayLike) -> tuple[Floats, Floats]:
    q = arrays.stacked("estimates", estimates)
    u = arrays.covariances_stacked("vcovs", vcovs)
    if q.ndim != 2 or q.shape[1] == 0:
        raise ArgumentError(
            f"estimates: shape {q.shape}; give (m, k), one row per imputation and one column "
            "per coefficient, at least one"
        )
    arrays.same_shape("vcovs", u, (*q.shape, q.shape[1]), "estimates")
    return q, u


def _scale(matrix: Floats) -> Floats:
    """Return standard errors; after division by them a solve does not depend on units."""
    variances = np.diagonal(matrix)
    if (variances == 0).any():
        raise ArgumentError(
            f"vcovs: coefficient {int(np.argmin(variances))} (from 0) has no variance; "
            "test the others"
        )
    return np.asarray(np.sqrt(variances))


def _quadratic(vector: Floats, matrix: Floats) -> float:
    scale = _scale(matrix)
    standard = vector / scale
    return float(standard @ _solve(matrix / np.outer(scale, scale), standard))


def _solve(correlation: Floats, right: Floats) -> Floats:
    """Solve with a correlation matrix, refusing one that is singular to working precision."""
    if np.linalg.cond(correlation) > 1e14:
        raise ArgumentError(
            "vcovs: singular, so that some combination of these coefficients has no variance; "
            "test fewer of them"
        )
    return np.asarray(np.linalg.solve(correlation, right))


def _logliks(**logliks: ArrayLike) -> list[Floats]:
    checked = {name: arrays.stacked(name, values) for name, values in logliks.items()}
    m = next(iter(checked.values())).shape[0]
    for name, array in checked.items():
        arrays.same_shape(name, array, (m,), "the other log-likelihoods, one per imputation")
    return list(checked.values())


def _inverse(r: float) -> float:
    return math.inf if r == 0 else 1 / r


def _not_negative(r: float) -> tuple[float, str]:
    """Raise a negative relative increase in variance to 0 (Chan & Meng 2022), with a note."""
    if r >= 0:
        return r, ""
    return 0.0, f"the relative increase in variance came out negative ({r:.3g}): taken as 0"


def _join(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _single(method: str, statistic: float, k: int, df2: float) -> JointTest:
    return _test(method, statistic, k, df2, math.nan, "one imputation: the test of that fit alone")


def _test(method: str, statistic: float, k: int, df2: float, r: float, note: str = "") -> JointTest:
    p_value = float(f_upper(statistic, k, df2))
    return JointTest(method, float(statistic), k, float(df2), p_value, float(r), note)
