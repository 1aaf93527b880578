"""Tests of several coefficients at once, and of nested models, over m imputations.

============  =================================================================================
D1            estimates and covariance matrices: pooled Wald test, the most dependable
D2            only the m chi-squares: rough, for when nothing else is at hand
D3            log-likelihoods, at each fit's own and at the pooled parameters
D4            log-likelihoods, of each fit and of one fit to the stacked data
============  =================================================================================

Every function returns a `JointTest`; its `note` says when a published formula did not apply and
what was done instead (empty otherwise):

- *One degree of freedom*: D1 is the squared t of `pool_scalars`, so that test and table agree.
- *k (m - 1) <= 4*, or a dfcom too small: Reiter's (2007) df has no value. The df that Li,
  Raghunathan & Rubin (1991) give for few imputations is joined to the complete-data df as Barnard
  & Rubin (1999) join theirs; at k = 1 the two rules are the same.
- *Negative relative increase in variance* (D3, D4 in small samples): 0, after Chan & Meng (2022).
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
from . import _arrays
from ._arrays import Floats
from .rubin import pool_scalars
from .tails import f_upper

__all__ = ["JointTest", "d1", "d2", "d3", "d4", "linear_hypothesis", "wald_chi2"]

# A likelihood ratio may come out this far below 0 by the slack of two optimizers.
_SLACK = 1e-2


@dataclass(frozen=True)
class JointTest:
    """One row: an F `statistic` with `df1` and `df2` degrees of freedom; `riv` is the average."""

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
    """What `d1` and `wald_chi2` need to test that matrix @ coefficients = rhs.

    Parameters
    ----------
    estimates
        Shape (m, p).
    vcovs
        Shape (m, p, p).
    matrix
        One row per hypothesis, (k, p).
    rhs
        One number, or (k,).

    Returns
    -------
    The m departures from the hypothesis (m, k), and their covariance matrices (m, k, k).

    Raises
    ------
    ArgumentError
        If shapes don't match, or one hypothesis follows from the others or contradicts them.

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
    # Rank in units of standard errors, so that a predictor's scale can't make a row look empty.
    scaled = rows * np.sqrt(np.diagonal(_arrays.mean(u)))
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
    """The m Wald chi-squares q' U^-1 q, each with k degrees of freedom, for `d2`.

    Parameters
    ----------
    estimates
        Shape (m, k).
    vcovs
        Shape (m, k, k).

    Raises
    ------
    ArgumentError
        If shapes don't match, or a matrix is singular.

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
    estimates
        Shape (m, k): the coefficients under test, or what `linear_hypothesis` returns.
    vcovs
        Their covariance matrices, (m, k, k).
    dfcom
        Complete-data degrees of freedom, one number; inf for none.
    one_df
        "barnard-rubin" makes k = 1 the squared t of the coefficients' table; "published" keeps the
        many-coefficient df there too, as mitml and mice do, wherever it exists.

    Returns
    -------
    JointTest

    Raises
    ------
    ArgumentError
        If shapes don't match, the mean covariance matrix is singular, or dfcom isn't positive.

    Examples
    --------
    >>> test = d1([[1.0, 2.0], [2.0, 2.0], [3.0, 2.0]], [[[1.0, 0.0], [0.0, 1.0]]] * 3)
    >>> round(test.statistic, 6), test.df1, round(test.df2, 4), round(test.riv, 6)
    (2.4, 2, 18.75, 0.666667)
    """
    q, u = _vectors(estimates, vcovs)
    m, k = q.shape
    complete = float(_arrays.complete_df(dfcom))
    qbar, ubar = _arrays.mean(q), _arrays.mean(u)
    if one_df not in ("barnard-rubin", "published"):
        raise ArgumentError(f"one_df: {one_df!r}; use 'barnard-rubin' or 'published'")
    if m == 1:
        return _single("D1", _quadratic(qbar, ubar) / k, k, complete)
    scale = _scale(ubar)
    b = _arrays.covariance(q / scale)
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

    Crude: the chi-squares hold little of what missed information there is, and p values can be off
    by half. Prefer D1, or D4 where no coefficients are at hand.

    Parameters
    ----------
    chi2
        Shape (m,): Wald statistics (`wald_chi2`) or likelihood ratios. One below 0 by no more than
        0.01, the slack of the optimizers, counts as 0.
    k
        Their degrees of freedom.

    Returns
    -------
    JointTest. The statistic may be negative; its p value is then 1.

    Raises
    ------
    ArgumentError
        If a chi-square is negative or not finite, or k isn't a whole number of at least 1.

    Examples
    --------
    >>> test = d2([4.0, 9.0], k=2)
    >>> round(test.statistic, 6), round(test.riv, 6), round(test.df2, 6)
    (0.571429, 0.75, 1.924902)
    """
    d = _arrays.stacked("chi2", chi2)
    _arrays.same_shape("chi2", d, (d.shape[0],), "D2: one number per imputation")
    m, k = d.shape[0], _arrays.count("k", k, 1)
    if (d < -_SLACK).any():
        raise ArgumentError(
            f"chi2: {float(d.min())} is negative; is the larger model converged, and is the other "
            "nested in it and fitted by ML to the same rows?"
        )
    d = np.maximum(d, 0.0)
    if m == 1:
        return _single("D2", float(d[0]) / k, k, math.inf)
    r = (1 + 1 / m) * float(_arrays.variance(np.sqrt(d)))
    statistic = (float(_arrays.mean(d)) / k - (m + 1) / (m - 1) * r) / (1 + r)
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
    loglik_full, loglik_reduced
        Shape (m,): maximised log-likelihoods (ML, not REML) of each imputation.
    loglik_full_pooled, loglik_reduced_pooled
        Shape (m,): log-likelihoods of the same imputations at the mean over imputations of *all*
        the model's parameters (in lme4: coefficients, random-effect covariances and residual
        variance).
    k
        Number of parameters by which the models differ.

    Returns
    -------
    JointTest

    Raises
    ------
    ArgumentError
        If the arrays differ in length, a number isn't finite, or k isn't a whole number of at
        least 1.

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
    m, k = full.shape[0], _arrays.count("k", k, 1)
    at_pooled = 2 * float(_arrays.mean(full_bar - reduced_bar))
    if m == 1:
        return _single("D3", at_pooled / k, k, math.inf)
    own = 2 * float(_arrays.mean(full - reduced))
    r, note = _not_negative((m + 1) / (k * (m - 1)) * (own - at_pooled))
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
    loglik_full, loglik_reduced
        Shape (m,): maximised log-likelihoods (ML, not REML) of each imputation.
    loglik_full_stacked, loglik_reduced_stacked
        Maximised log-likelihoods of the m data sets stacked into one, as the fit reports them (not
        divided by m). Groups must not run across imputations: give every imputation its own labels.
    k
        Number of parameters by which the models differ.
    n_params
        Number of parameters of the full model, random part included. If given, r is their robust
        estimate, from the full model alone (h = n_params); else that of the comparison (h = k),
        or 0 where it is negative.

    Returns
    -------
    JointTest

    Raises
    ------
    ArgumentError
        If the arrays differ in length, a number isn't finite, k isn't a whole number of at least 1,
        or n_params is less than k.

    Examples
    --------
    >>> test = d4([-10.0, -11.0], [-14.0, -15.0], -21.4, -29.0, k=2)
    >>> round(test.statistic, 6), round(test.riv, 6), round(test.df2, 4)
    (2.375, 0.6, 14.2222)
    """
    full, reduced = _logliks(loglik_full=loglik_full, loglik_reduced=loglik_reduced)
    m, k = full.shape[0], _arrays.count("k", k, 1)
    h = k if n_params is None else _arrays.count("n_params", n_params, k)
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
        excess = 2 * float(_arrays.mean(full - reduced)) - ratio
    else:
        excess = 2 * (float(_arrays.mean(full)) - stacked_full)
    r, note = _not_negative((m + 1) / (h * (m - 1)) * excess)
    df2 = h * (m - 1) * (1 + _inverse(r)) ** 2
    return _test("D4", ratio / (k * (1 + r)), k, df2, r, note)


def _d1_df(k: int, m: int, r: float, dfcom: float) -> tuple[float, str]:
    """Denominator df of D1, and a note where the published one has no value."""
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
    """Denominator df for complete data without end (Li, Raghunathan & Rubin 1991)."""
    t = k * (m - 1)
    if t > 4 and not small:
        return 4 + (t - 4) * (1 + (1 - 2 / t) * _inverse(r)) ** 2, ""
    df = t * (1 + 1 / k) * (1 + _inverse(r)) ** 2 / 2
    # At k = 1 this is Rubin's own df, and at r = 0 every rule says inf: nothing to excuse.
    return df, "" if k == 1 or r == 0 else f"k (m - 1) = {t} is at most 4: df for few imputations"


def _reiter_df(t: int, a: float, complete: float) -> float:
    """Denominator df for complete data of finite df (Reiter 2007, p. 504)."""
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
    q = _arrays.stacked("estimates", estimates)
    u = _arrays.covariances_stacked("vcovs", vcovs)
    if q.ndim != 2 or q.shape[1] == 0:
        raise ArgumentError(
            f"estimates: shape {q.shape}; give (m, k), one row per imputation and one column "
            "per coefficient, at least one"
        )
    _arrays.same_shape("vcovs", u, (*q.shape, q.shape[1]), "estimates")
    return q, u


def _scale(matrix: Floats) -> Floats:
    """Standard errors: dividing by them first makes a solve blind to the predictors' units."""
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


def _logliks(**arrays: ArrayLike) -> list[Floats]:
    checked = {name: _arrays.stacked(name, values) for name, values in arrays.items()}
    m = next(iter(checked.values())).shape[0]
    for name, array in checked.items():
        _arrays.same_shape(name, array, (m,), "the other log-likelihoods, one per imputation")
    return list(checked.values())


def _inverse(r: float) -> float:
    return math.inf if r == 0 else 1 / r


def _not_negative(r: float) -> tuple[float, str]:
    """The relative increase in variance, at least 0 (Chan & Meng 2022)."""
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
