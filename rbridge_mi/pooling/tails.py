"""Tail probabilities and quantiles of t and F, exact far out in the tail and for very large df.

``stdtrit`` and ``fdtrc`` of scipy lose digits in some releases (1.14: 1e-11 in quantiles, 1e-4
in F tails at a df of 1e12), so everything here goes through the regularised incomplete beta
function. Of its two complementary forms the one with the argument at most 1/2 is used, because the
other rounds to 1 and would cancel.

scipy is imported at the first call, so that importing the package stays quick.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def special() -> Any:
    """Import ``scipy.special``, at the first call."""
    from scipy import special as module

    return module


def t_two_sided(statistic: ArrayLike, df: ArrayLike) -> Floats:
    """P(|T| > |statistic|) for Student's t.

    Parameters
    ----------
    statistic, df : array_like
        Shapes that broadcast. A df of inf is the normal distribution; of 0 or below gives nan.

    Returns
    -------
    ndarray
        Probabilities, of the common shape.

    See Also
    --------
    t_critical : The inverse.

    Examples
    --------
    >>> float(t_two_sided(1.0, 1.0))
    0.5
    >>> 0 < float(t_two_sided(35.0, float("inf"))) < 1e-267
    True
    """
    t, nu = np.broadcast_arrays(np.abs(np.asarray(statistic, float)), np.asarray(df, float))
    usable = _usable(nu)
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        ratio = usable / t / t  # not usable / t**2: the square overflows before the tail is empty
    tail = _beta_tail(ratio, 1.0, usable)
    return _by_df(nu, normal=2.0 * special().ndtr(-t), finite=np.where(np.isnan(t), np.nan, tail))


def t_critical(conf_level: float, df: ArrayLike) -> Floats:
    """Return the c with P(|T| > c) = 1 - conf_level, for Student's t.

    Parameters
    ----------
    conf_level : float
        Between 0 and 1.
    df : array_like
        Degrees of freedom. inf is the normal distribution; 0 or below gives nan.

    Returns
    -------
    ndarray
        Critical values, of the shape of `df`.

    See Also
    --------
    t_two_sided : The inverse.

    Examples
    --------
    >>> round(float(t_critical(0.95, float("inf"))), 6)
    1.959964
    """
    nu = np.asarray(df, float)
    alpha = 1.0 - conf_level
    usable = _usable(nu)
    # df / (df + T^2) and its complement are both beta; each is exact where it is the smaller.
    near_0 = special().betaincinv(usable / 2, 0.5, alpha)
    near_1 = special().betainccinv(0.5, usable / 2, alpha)
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = np.where(near_0 < 0.5, 1.0 / near_0 - 1.0, near_1 / (1.0 - near_1))
    return _by_df(nu, normal=-special().ndtri(alpha / 2), finite=np.sqrt(usable * odds))


def f_upper(statistic: ArrayLike, df1: ArrayLike, df2: ArrayLike) -> Floats:
    """P(F > statistic) for the F distribution with df1 and df2 degrees of freedom.

    Parameters
    ----------
    statistic, df1, df2 : array_like
        Shapes that broadcast. A statistic below zero gives 1; df2 may be inf.

    Returns
    -------
    ndarray
        Probabilities, of the common shape.

    See Also
    --------
    t_two_sided : The case of one numerator degree of freedom.

    Examples
    --------
    >>> round(float(f_upper(0.5, 2, 4)), 12)
    0.64
    >>> float(f_upper(-3.0, 2, 4))
    1.0
    """
    f, k, nu = np.broadcast_arrays(*(np.asarray(x, float) for x in (statistic, df1, df2)))
    f = np.maximum(f, 0.0)  # keeps nan
    usable = _usable(nu)
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        ratio = usable / k / f
    tail = _beta_tail(ratio, k, usable)
    return _by_df(
        nu,
        normal=special().gammaincc(k / 2, k * f / 2),
        finite=np.where(np.isnan(f), np.nan, tail),
    )


def _beta_tail(ratio: Floats, df1: ArrayLike, df2: Floats) -> Floats:
    """P(F > f) from ratio = df2 / (df1 f), by the form whose argument is at most 1/2."""
    k = np.asarray(df1, float)
    with np.errstate(divide="ignore", over="ignore", under="ignore", invalid="ignore"):
        small, large = ratio / (1.0 + ratio), 1.0 / (1.0 + ratio)
        by_small = special().betainc(df2 / 2, k / 2, small)
        by_large = special().betaincc(k / 2, df2 / 2, large)
    return np.asarray(np.where(ratio < 1.0, by_small, by_large))


def _usable(df: Floats) -> Floats:
    """Replace the df that `_by_df` treats apart (infinite, not positive, nan) by 1."""
    return np.asarray(np.where(np.isfinite(df) & (df > 0), df, 1.0))


def _by_df(df: Floats, *, normal: Floats, finite: Floats) -> Floats:
    """Choose `finite` for a finite positive df, `normal` for inf, and nan for anything else."""
    return np.asarray(np.where(np.isposinf(df), normal, np.where(df > 0, finite, np.nan)))
