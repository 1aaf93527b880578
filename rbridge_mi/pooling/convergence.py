"""Whether Markov chains have converged: rank-normalised split R-hat and bulk effective sample size.

References
----------
Geyer, C. J. (1992). Practical Markov chain Monte Carlo. Statistical Science 7, 473-483.
Vehtari, A., Gelman, A., Simpson, D., Carpenter, B. & Bürkner, P.-C. (2021). Rank-normalization,
folding, and localization: an improved R-hat for assessing convergence of MCMC (with discussion).
Bayesian Analysis 16, 667-718.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError
from .arrays import Floats
from .tails import special

__all__ = ["LEAST_ITERATIONS", "ChainConvergence", "chain_convergence"]

# Halves of 5 iterations are the shortest of which a pair of autocorrelations can be summed.
LEAST_ITERATIONS = 10


@dataclass(frozen=True, eq=False)
class ChainConvergence:
    """R-hat and effective sample size of several parameters.

    Attributes
    ----------
    rhat : ndarray of shape (p,)
        The larger of R-hat of the rank-normalised halves of chains and that of their folded values,
        which tells chains of different spread apart. At 1.05 or above the chains have not mixed.
        It is inf where each half-chain stands still, but not all at one value.
    ess_bulk : ndarray of shape (p,)
        The number of independent draws that would tell as much of the middle of the distribution.

    See Also
    --------
    chain_convergence : Makes these.
    """

    rhat: Floats
    ess_bulk: Floats


def chain_convergence(draws: ArrayLike) -> ChainConvergence:
    """Compute rank-normalised split R-hat and bulk effective sample size (Vehtari et al. 2021).

    Parameters
    ----------
    draws : array_like of shape (chains, iterations, p)
        Of each of p parameters, without warm-up: one chain or more, at least 10 iterations. Each
        chain is split into halves; of an odd number of iterations the middle one is left out.

    Returns
    -------
    ChainConvergence
        nan for a parameter that is constant, or has a value that is nan or infinite.

    Raises
    ------
    ArgumentError
        `draws` has another shape, or too few iterations.

    Examples
    --------
    >>> draws = np.random.default_rng(1).normal(size=(4, 500, 2))
    >>> draws[0, :, 1] += 3  # A chain that is elsewhere.
    >>> result = chain_convergence(draws)
    >>> result.rhat.round(2).tolist(), result.ess_bulk.round().tolist()
    ([1.0, 1.47], [1911.0, 8.0])
    """
    array = np.asarray(draws, np.float64)
    if array.ndim != 3 or array.shape[0] < 1 or array.shape[1] < LEAST_ITERATIONS:
        raise ArgumentError(
            f"draws: an array of shape {array.shape}; give chains x iterations x parameters, "
            f"with at least {LEAST_ITERATIONS} iterations"
        )
    halves = _halves(array)
    flat = halves.reshape(len(halves), halves.shape[1] * halves.shape[2])
    with np.errstate(invalid="ignore"):
        varies = np.isfinite(flat).all(axis=1) & (flat.max(axis=1) > flat.min(axis=1))
    result = ChainConvergence(np.full(len(flat), np.nan), np.full(len(flat), np.nan))
    flat = flat[varies]
    shape = (len(flat), *halves.shape[1:])
    order = np.argsort(flat, axis=1)
    scores = _normal_scores(flat, order).reshape(shape)
    result.ess_bulk[varies] = _effective_size(scores)
    folded, folded_order = _folded(flat, order)
    folded_scores = _normal_scores(folded, folded_order).reshape(shape)
    # The folded values of a variable with two values may be constant: then its R-hat is nan.
    result.rhat[varies] = np.fmax(_split_rhat(scores), _split_rhat(folded_scores))
    return result


def _halves(array: Floats) -> Floats:
    """Return the first and last halves of all chains, as (p, 2 chains, iterations // 2)."""
    length = array.shape[1] // 2
    halves = np.concatenate([array[:, :length], array[:, -length:]])
    return np.ascontiguousarray(np.moveaxis(halves, 2, 0))


def _normal_scores(flat: Floats, order: NDArray[np.intp]) -> Floats:
    """Return the normal quantiles of each row's ranks: section 4.1, equation 14.

    Equal values have the mean of their ranks. `order` sorts each row.
    """
    size = flat.shape[1]
    # Quantiles of the ranks 1, 1.5, 2, ..., size.
    quantiles = special().ndtri((np.arange(2, 2 * size + 1) / 2 - 3 / 8) / (size + 1 / 4))
    place = np.arange(size)
    doubled = np.broadcast_to(2 * place, flat.shape).copy()
    ordered = np.take_along_axis(flat, order, axis=1)
    new = ordered[:, 1:] != ordered[:, :-1]
    tied = ~new.all(axis=1)
    if tied.any():
        border = np.ones((int(tied.sum()), 1), np.bool_)
        starts, ends = np.hstack([border, new[tied]]), np.hstack([new[tied], border])
        first = np.maximum.accumulate(np.where(starts, place, 0), axis=1)
        last = np.minimum.accumulate(np.where(ends, place, size)[:, ::-1], axis=1)[:, ::-1]
        doubled[tied] = first + last
    scores = np.empty(flat.shape)
    np.put_along_axis(scores, order, quantiles[doubled], axis=1)
    return scores


def _folded(flat: Floats, order: NDArray[np.intp]) -> tuple[Floats, NDArray[np.intp]]:
    """Return each row's distances from its median (section 4.2), and what sorts them."""
    ordered = np.take_along_axis(flat, order, axis=1)
    middle = flat.shape[1] // 2  # The size is even, as there are two halves of each chain.
    median = (ordered[:, middle - 1 : middle] + ordered[:, middle : middle + 1]) / 2
    # In the order of the values, distances fall and then rise: a stable sort only merges them.
    by_distance = np.argsort(np.abs(ordered - median), axis=1, kind="stable")
    return np.abs(flat - median), np.take_along_axis(order, by_distance, axis=1)


def _variances(chains: Floats) -> tuple[Floats, Floats]:
    """Return W and var+ of (p, M, n) chains: equations 2 and 3."""
    n = chains.shape[2]
    within = chains.var(axis=2, ddof=1).mean(axis=1)
    between = chains.mean(axis=2).var(axis=1, ddof=1)  # B / n of equation 1
    return within, (n - 1) / n * within + between


def _split_rhat(chains: Floats) -> Floats:
    """Return R-hat of half-chains: equation 4."""
    within, total = _variances(chains)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Floats = np.sqrt(total / within)
    return ratio


def _effective_size(chains: Floats) -> Floats:
    """Return the effective sample size of (p, M, n) chains (section 3.2)."""
    _, m, n = chains.shape
    within, total = _variances(chains)
    correlation = 1 - (within[:, None] - _mean_autocovariance(chains)) / total[:, None]
    correlation[:, 0] = 1
    time = _autocorrelation_time(correlation)
    # Of antithetic chains the size is limited, as it can't be estimated well.
    size: Floats = m * n / np.maximum(time, 1 / np.log10(m * n))
    return size


def _mean_autocovariance(chains: Floats) -> Floats:
    """Return autocovariances at the lags 0 to n - 1, averaged over chains, with divisor n.

    The averages are taken of the squared Fourier transforms, so that one inverse is needed for each
    parameter. Zeros up to twice the length keep the ends of a chain from meeting.
    """
    n = chains.shape[2]
    size = 2 ** int(2 * n - 1).bit_length()
    transform = np.fft.rfft(chains - chains.mean(axis=2, keepdims=True), size, axis=2)
    power = (transform.real**2 + transform.imag**2).mean(axis=1)
    covariance: Floats = np.fft.irfft(power, size, axis=1)[:, :n] / n
    return covariance


def _autocorrelation_time(correlation: Floats) -> Floats:
    """Sum (p, n) autocorrelations by Geyer's (1992) initial monotone sequence.

    Correlations are summed in pairs of the lags 2k and 2k + 1, up to the first sum that isn't
    positive; no sum counts as more than one before it. Of the pair at which the summing stops, the
    first correlation is still added if it is positive, for antithetic chains.
    """
    last = (correlation.shape[1] - 3) // 2
    pairs = correlation[:, 0 : 2 * last + 2 : 2] + correlation[:, 1 : 2 * last + 2 : 2]
    ends = pairs <= 0
    ends[:, last] = True
    stop = ends.argmax(axis=1)
    summed = np.where(np.arange(last + 1) < stop[:, None], np.minimum.accumulate(pairs, axis=1), 0)
    edge = np.take_along_axis(correlation, 2 * stop[:, None], axis=1)[:, 0]
    time: Floats = 2 * summed.sum(axis=1) - 1 + np.maximum(edge, 0)
    return time
