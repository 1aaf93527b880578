"""What the pooling functions share: checks of their arguments, and sums over imputations.

The sums do not depend on the order of the imputations, not even in the last bit, and m equal
numbers have exactly that number as their mean and exactly 0 as their variance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError

Floats = NDArray[np.float64]


def stacked(name: str, values: ArrayLike, *, missing: bool = False) -> Floats:
    """Convert to float64, imputations along the first axis; refuse what is not finite.

    With ``missing=True`` nan is allowed (infinities are not). `name` is the argument's name.

    >>> stacked("estimates", [1, 2]).tolist()
    [1.0, 2.0]
    >>> stacked("estimates", [[1.0, float("nan")]])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    rbridge_mi.errors.ArgumentError: estimates: the value at [0, 1] (imputation first) is nan; ...
    """
    try:
        array = np.array(values, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"{name}: not a rectangular array of numbers ({error}); "
            "give one row per imputation, matched by name of term"
        ) from error
    if array.ndim == 0 or array.shape[0] == 0:
        raise ArgumentError(
            f"{name}: no imputations in an array of shape {array.shape}; "
            "imputations go along the first axis, at least one"
        )
    bad = np.isinf(array) if missing else ~np.isfinite(array)
    if bad.any():
        where = [int(i) for i in np.argwhere(bad)[0]]
        raise ArgumentError(
            f"{name}: the value at {where} (imputation first) is {array[tuple(where)]}; "
            "pool only finite numbers: drop the term, or the fit that could not estimate it"
        )
    return array


def same_shape(name: str, array: Floats, expected: tuple[int, ...], against: str) -> None:
    """Refuse an array whose shape is not `expected`, which the argument `against` implies."""
    if array.shape != expected:
        raise ArgumentError(
            f"{name}: shape {array.shape} does not go with {against}, which asks for {expected}"
        )


def variances_stacked(name: str, values: ArrayLike) -> Floats:
    """Convert as `stacked` does, and refuse negative numbers."""
    array = stacked(name, values)
    if (array < 0).any():
        where = [int(i) for i in np.argwhere(array < 0)[0]]
        raise ArgumentError(
            f"{name}: the value at {where} (imputation first) is negative; give sampling variances "
            "(squared standard errors), not covariances or log values"
        )
    return array


def covariances_stacked(name: str, values: ArrayLike) -> Floats:
    """Convert (m, ..., k, k) covariance matrices, and refuse what can't be one."""
    array = stacked(name, values)
    if array.ndim < 3 or array.shape[-1] != array.shape[-2]:
        raise ArgumentError(
            f"{name}: shape {array.shape} is not a stack of square matrices; "
            "give (m, k, k), imputations first"
        )
    diagonal = np.diagonal(array, axis1=-2, axis2=-1)
    variances_stacked(f"diagonal of {name}", diagonal)
    size = np.sqrt(diagonal[..., :, None] * diagonal[..., None, :])
    if (np.abs(array - np.swapaxes(array, -1, -2)) > 1e-8 * size).any():
        raise ArgumentError(f"{name}: a matrix is not symmetric; give covariance matrices")
    return array


def level(conf_level: float) -> float:
    """Check that a confidence level lies strictly between 0 and 1."""
    if not 0 < conf_level < 1:
        raise ArgumentError(f"conf_level: {conf_level!r} is not between 0 and 1; use 0.95 for 95%")
    return float(conf_level)


def complete_df(dfcom: ArrayLike) -> Floats:
    """Convert complete-data degrees of freedom, and refuse what is not positive; inf is allowed."""
    array = np.asarray(dfcom, dtype=np.float64)
    if not (array > 0).all():
        raise ArgumentError(
            f"dfcom: {array.tolist()} holds a value that is not positive; "
            "give residual degrees of freedom, or inf"
        )
    return array


def count(name: str, value: int, least: int) -> int:
    """Check that the argument `name` is a whole number of at least `least`."""
    if isinstance(value, bool) or int(value) != value or value < least:
        raise ArgumentError(f"{name}: {value!r} is not a whole number of at least {least}")
    return int(value)


def mean(array: Floats) -> Floats:
    """Average over the first axis, without nan; the bits are the same in any order.

    >>> float(mean(stacked("x", [0.1] * 3)))
    0.1
    """
    ordered = np.sort(array, axis=0)  # nan goes last
    n = np.sum(~np.isnan(array), axis=0)
    lowest = ordered[0]
    return np.asarray(lowest + np.nansum(ordered - lowest, axis=0) / n)


def variance(array: Floats) -> Floats:
    """Variance over the first axis with divisor n - 1, without nan; nan for a single value.

    >>> float(variance(stacked("x", [1.0, 2.0, 3.0])))
    1.0
    """
    deviation = array - mean(array)
    return _average_product(deviation * deviation)


def covariance(array: Floats) -> Floats:
    """(..., k, k) covariance over the first axis of (m, ..., k), divisor n - 1; nan for n = 1."""
    deviation = array - mean(array)
    return _average_product(deviation[..., :, None] * deviation[..., None, :])


def _average_product(products: Floats) -> Floats:
    n = np.sum(~np.isnan(products), axis=0)
    total = np.nansum(np.sort(products, axis=0), axis=0)
    return np.asarray(np.where(n > 1, total / np.maximum(n - 1, 1), np.nan))
