"""Several comparisons at once: p values and confidence levels that allow for their number.

References
----------
Holm (1979), Scandinavian Journal of Statistics 6, 65-70. Hochberg (1988), Biometrika 75, 800-802.
Hommel (1988), Biometrika 75, 383-386. Benjamini and Hochberg (1995), JRSS B 57, 289-300. Benjamini
and Yekutieli (2001), Annals of Statistics 29, 1165-1188. Sidak (1967), JASA 62, 626-633.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ArgumentError
from .arrays import Floats

__all__ = ["ADJUSTMENTS", "adjusted_level", "adjusted_p"]


def adjusted_p(p: ArrayLike, method: str) -> Floats:
    """Adjust p values for their number.

    In R: ``stats::p.adjust(p, method)``, and emmeans' for "sidak", which p.adjust doesn't have.

    Parameters
    ----------
    p : array_like of shape (k,)
        P values; missing ones stay missing, and don't count.
    method : str
        One of `ADJUSTMENTS`: "bonferroni", "sidak", "holm", "hochberg" and "hommel" hold the
        probability of any false rejection, "BH" (or "fdr") and "BY" the share of false ones among
        the rejected; "none" changes nothing.

    Returns
    -------
    ndarray of shape (k,)
        The adjusted p values, at most 1.

    Raises
    ------
    ArgumentError
        Another method.

    See Also
    --------
    adjusted_level : The level of the intervals that go with them.

    Examples
    --------
    >>> adjusted_p([0.01, 0.03, 0.02], "holm").round(12).tolist()
    [0.03, 0.04, 0.04]
    """
    _check(method)
    values = np.array(p, dtype=np.float64)
    known = ~np.isnan(values)
    if known.any():
        values[known] = np.minimum(_METHODS[method](values[known]), 1.0)
    return values


def adjusted_level(conf_level: float, k: int, method: str) -> float:
    """Give the level that each of k intervals needs, so that all hold together.

    Parameters
    ----------
    conf_level : float
        The probability that all k intervals cover.
    k : int
        Their number.
    method : str
        One of `ADJUSTMENTS`. There are no intervals to the stepwise methods and to those for shares
        of false rejections: as in emmeans, theirs are Bonferroni's.

    Returns
    -------
    float
        The level of each; conf_level itself for "none".

    Raises
    ------
    ArgumentError
        Another method.

    See Also
    --------
    adjusted_p : The p values.

    Examples
    --------
    >>> round(adjusted_level(0.95, 5, "bonferroni"), 12), adjusted_level(0.95, 5, "none")
    (0.99, 0.95)
    """
    _check(method)
    if method == "none" or k < 2:
        return conf_level
    if method == "sidak":
        return float(conf_level ** (1 / k))
    return 1 - (1 - conf_level) / k


def _check(method: str) -> None:
    if method not in _METHODS:
        raise ArgumentError(f"adjust: {method!r}; use one of {', '.join(_METHODS)}")


def _bonferroni(p: Floats) -> Floats:
    return p * len(p)


def _sidak(p: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(len(p) * np.log1p(-p)))  # 1 - (1 - p)^k, for small p too


def _holm(p: Floats) -> Floats:
    order = np.argsort(p)
    factors = np.arange(len(p), 0, -1)
    return _in_place(np.maximum.accumulate(p[order] * factors), order)


def _step_up(p: Floats, factors: Floats) -> Floats:
    """Multiply the ordered p values, the largest first; none may exceed a larger one's."""
    order = np.argsort(-p)
    return _in_place(np.minimum.accumulate(p[order] * factors), order)


def _hochberg(p: Floats) -> Floats:
    return _step_up(p, np.arange(1.0, len(p) + 1))


def _benjamini_hochberg(p: Floats) -> Floats:
    return _step_up(p, len(p) / np.arange(len(p), 0.0, -1))


def _benjamini_yekutieli(p: Floats) -> Floats:
    return _benjamini_hochberg(p) * np.sum(1 / np.arange(1.0, len(p) + 1))


def _hommel(p: Floats) -> Floats:
    """Take the largest of Simes' p values over all sets of hypotheses with the one in question.

    Among the sets of j hypotheses only those with the largest p values matter.
    """
    k = len(p)
    order = np.argsort(p)
    ordered = p[order]
    adjusted = ordered.copy()
    for j in range(k, 1, -1):
        largest = ordered[k - j + 1 :]  # the j - 1 largest, that a set has beside its smallest
        simes = float(np.min(j * largest / np.arange(2, j + 1)))
        of_set = np.minimum(simes, j * ordered)
        of_set[k - j + 1 :] = simes
        adjusted = np.maximum(adjusted, of_set)
    return _in_place(adjusted, order)


def _in_place(ordered: Floats, order: np.ndarray) -> Floats:
    values = np.empty_like(ordered)
    values[order] = ordered
    return values


_METHODS: dict[str, Callable[[Floats], Floats]] = {
    "none": np.array,
    "bonferroni": _bonferroni,
    "sidak": _sidak,
    "holm": _holm,
    "hochberg": _hochberg,
    "hommel": _hommel,
    "BH": _benjamini_hochberg,
    "fdr": _benjamini_hochberg,
    "BY": _benjamini_yekutieli,
}

#: The methods' names, those of ``stats::p.adjust`` and "sidak".
ADJUSTMENTS = tuple(_METHODS)
