"""Random numbers for C chains, each from the chain's own generator.

The draws of a chain are the same bits whichever other chains are in the arrays beside it, so that
chains may be split over processes in any way. Everywhere the first axis of an array is the chains.

References
----------
Devroye, L. (2009). On exact simulation algorithms for some distributions related to Jacobi theta
functions. Statistics & Probability Letters 79, 2251-2259.
Odell, P. L. & Feiveson, A. H. (1966). A numerical procedure to generate a sample covariance matrix.
Journal of the American Statistical Association 61, 199-203.
Polson, N. G., Scott, J. G. & Windle, J. (2013). Bayesian inference for logistic models using
Pólya-Gamma latent variables. Journal of the American Statistical Association 108, 1339-1349.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.random import PCG64DXSM, Generator, SeedSequence
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ..errors import ArgumentError

__all__ = [
    "Streams",
    "categorical",
    "inverse_wishart",
    "polya_gamma",
    "truncated_normal",
    "truncated_normal_between",
]

Floats = NDArray[np.float64]

# Below this mean, and above this lower limit, truncated normals are drawn by `_excess`.
TAIL = 5.0
# The smallest probability that is inverted: half of the spacing of `Generator.random`.
SMALLEST = 2.0**-54
# Where the two series of the Pólya-Gamma density meet (Polson, Scott & Windle 2013, section 4).
MEETING = 0.64


@dataclass(frozen=True)
class Streams:
    """One random generator for each chain.

    Attributes
    ----------
    generators : tuple of numpy.random.Generator
        In the order of the chains. They are advanced by every draw; a pickle keeps their states.

    Examples
    --------
    >>> both, second = Streams.of(1, [0, 1]), Streams.of(1, [1])
    >>> bool((both.normal(3)[1] == second.normal(3)[0]).all())
    True
    """

    generators: tuple[Generator, ...]

    @classmethod
    def of(cls, seed: int, chains: Sequence[int]) -> Streams:
        """Make the streams of some chains of a seed.

        Parameters
        ----------
        seed : int
            Not negative.
        chains : sequence of int
            The chains' numbers, not negative. A number has the same stream whatever the others are.

        Returns
        -------
        Streams
            In the order of `chains`.
        """
        sequences = [SeedSequence(seed, spawn_key=(int(c),)) for c in chains]
        return cls(tuple(Generator(PCG64DXSM(x)) for x in sequences))

    def __len__(self) -> int:
        return len(self.generators)

    def __iter__(self) -> Iterator[Generator]:
        return iter(self.generators)

    def normal(self, *shape: int) -> Floats:
        """Draw standard normals.

        Parameters
        ----------
        *shape : int
            Of one chain's draws.

        Returns
        -------
        ndarray of shape (C, *shape)
            Independent draws.
        """
        draws = np.empty((len(self), *shape))
        for stream, row in zip(self, _rows(draws), strict=True):
            stream.standard_normal(out=row)
        return draws

    def uniform(self, *shape: int) -> Floats:
        """Draw uniform numbers of [0, 1).

        Parameters
        ----------
        *shape : int
            Of one chain's draws.

        Returns
        -------
        ndarray of shape (C, *shape)
            Independent draws.
        """
        draws = np.empty((len(self), *shape))
        for stream, row in zip(self, _rows(draws), strict=True):
            stream.random(out=row)
        return draws

    def gamma(self, shape: ArrayLike) -> Floats:
        """Draw gamma variates of scale 1.

        Parameters
        ----------
        shape : array_like
            The shape parameters, positive: one number or a vector (k,) that holds for every chain,
            or an array (C, ...) with the chains first.

        Returns
        -------
        ndarray of shape (C,), (C, k) or that of `shape`
            Independent draws.
        """
        parameters = np.asarray(shape, np.float64)
        if parameters.ndim < 2 and parameters.size and (parameters == parameters.flat[0]).all():
            # One parameter: numpy is several times as fast as with an array of them.
            draws = np.empty((len(self), *parameters.shape))
            for stream, row in zip(self, _rows(draws), strict=True):
                stream.standard_gamma(parameters.flat[0], out=row)
            return draws
        if parameters.ndim < 2:
            parameters = np.broadcast_to(parameters, (len(self), *parameters.shape))
        parameters = np.ascontiguousarray(parameters)
        draws = np.empty(parameters.shape)
        rows = zip(self, _rows(parameters), _rows(draws), strict=True)
        for stream, parameter, row in rows:
            stream.standard_gamma(parameter, out=row)
        return draws

    def chi2(self, df: ArrayLike) -> Floats:
        """Draw chi-squared variates.

        Parameters
        ----------
        df : array_like
            Degrees of freedom, positive: one number or a vector (k,) that holds for every chain, or
            an array (C, ...) with the chains first.

        Returns
        -------
        ndarray of shape (C,), (C, k) or that of `df`
            Independent draws.
        """
        return 2 * self.gamma(np.asarray(df, np.float64) / 2)

    def poisson(self, rate: Floats) -> Floats:
        """Draw Poisson counts.

        Parameters
        ----------
        rate : ndarray of shape (C, k)
            The means, from 0 to 1e15.

        Returns
        -------
        ndarray of shape (C, k)
            Independent draws.
        """
        pairs = zip(self, rate, strict=True)
        return np.stack([stream.poisson(x) for stream, x in pairs]).astype(np.float64)


def truncated_normal(streams: Streams, mean: Floats, positive: NDArray[np.bool_]) -> Floats:
    """Draw N(mean, 1) above 0 or below 0, by inversion: one uniform number for each draw.

    Parameters
    ----------
    streams : Streams
        Of C chains.
    mean : ndarray of shape (C, n)
        Finite, of any size: the draws are accurate however far in the tail 0 lies.
    positive : ndarray of bool, of shape (n,) or (C, n)
        Where the draw is above 0; elsewhere it is below.

    Returns
    -------
    ndarray of shape (C, n)
        Never 0, always of the sign asked for.

    See Also
    --------
    truncated_normal_between : Other limits.
    """
    sign = np.where(positive, 1.0, -1.0)
    towards = sign * mean
    u = np.maximum(streams.uniform(*mean.shape[1:]), SMALLEST)
    # P(Z > z | Z > -mean) = u, that is, Phi(-z) = u Phi(mean).
    draws: Floats = special.ndtr(towards)
    draws *= u
    special.ndtri(draws, out=draws)
    np.subtract(towards, draws, out=draws)
    tail = towards < -TAIL
    if tail.any():
        draws[tail] = _excess(-towards[tail], -np.log(u[tail]))
    np.maximum(draws, np.finfo(np.float64).tiny, out=draws)
    draws *= sign
    return draws


def truncated_normal_between(
    streams: Streams, mean: ArrayLike, sd: ArrayLike, lower: ArrayLike, upper: ArrayLike
) -> Floats:
    """Draw normals in intervals, by inversion: one uniform number for each draw.

    Parameters
    ----------
    streams : Streams
        Of C chains.
    mean, sd, lower, upper : array_like
        Of shapes that broadcast to (C, n); the limits may be infinite.

    Returns
    -------
    ndarray of shape (C, n)
        From `lower` to `upper`; accurate however far from the mean the interval lies.

    Raises
    ------
    ArgumentError
        A lower limit is above its upper one.

    See Also
    --------
    truncated_normal : Faster, for the limit 0 and the variance 1.
    """
    every = (np.asarray(x, np.float64) for x in (mean, sd, lower, upper))
    _, mean, sd, lower, upper = np.broadcast_arrays(np.empty((len(streams), 1)), *every)
    if not (lower <= upper).all():
        raise ArgumentError("lower: a limit is nan, or above the upper limit of its interval")
    a, b = (lower - mean) / sd, (upper - mean) / sd
    width = (upper - lower) / sd
    # The interval is mirrored to where most of it is below the mean: there Phi has all its digits.
    with np.errstate(invalid="ignore"):
        mirrored = a + b > 0
    a, b = np.where(mirrored, -b, a), np.where(mirrored, -a, b)
    u = np.maximum(streams.uniform(*a.shape[1:]), SMALLEST)
    low, high = special.ndtr(a), special.ndtr(b)
    z = special.ndtri(low + u * (high - low))
    draws: Floats = mean + sd * np.where(mirrored, -z, z)
    tail = b < -TAIL
    if tail.any():
        start, width = -b[tail], width[tail]
        bounded = np.isfinite(width)
        # The probability beyond the far end relative to that beyond the near one, as a logarithm.
        ends = np.where(bounded, _log_ratio(start, np.where(bounded, width, 0.0)), -np.inf)
        excess = np.minimum(_excess(start, -np.log1p(u[tail] * np.expm1(ends))), width)
        near = np.where(mirrored, lower, upper)[tail]
        draws[tail] = near + sd[tail] * np.where(mirrored[tail], excess, -excess)
    return np.clip(draws, lower, upper)


def polya_gamma(streams: Streams, z: Floats) -> Floats:
    """Draw exactly from the Pólya-Gamma distribution PG(1, z).

    The method is Devroye's (2009) in the form of Polson, Scott & Windle (2013, section 4): a
    proposal from an exponential or a truncated inverse Gaussian distribution is accepted or
    rejected by partial sums of the density's alternating series.

    Parameters
    ----------
    streams : Streams
        Of C chains.
    z : ndarray of shape (C, n)
        The tilting parameters: for a logistic regression the linear predictors.

    Returns
    -------
    ndarray of shape (C, n)
        Independent draws, all positive. Their mean is tanh(z/2) / (2z).
    """
    half = np.abs(z) / 2
    return np.stack([_jacobi(*x) for x in zip(streams, half, strict=True)]) / 4


def categorical(streams: Streams, logp: Floats) -> NDArray[np.int64]:
    """Draw categories of given log probabilities, by inversion.

    Parameters
    ----------
    streams : Streams
        Of C chains.
    logp : ndarray of shape (K, C, k)
        Log probabilities of the K categories, up to a constant for each draw; -inf for a category
        that is impossible.

    Returns
    -------
    ndarray of int, of shape (C, k)
        Codes from 0 to K - 1.

    Raises
    ------
    ArgumentError
        A draw has no possible category, or a log probability is nan or inf.
    """
    largest = logp.max(axis=0)
    if not np.isfinite(largest).all():
        raise ArgumentError("logp: a draw has no possible category, or a value that is nan or inf")
    cumulative = np.exp(logp - largest)
    for lower, higher in pairwise(cumulative):
        higher += lower
    target = streams.uniform(logp.shape[2]) * cumulative[-1]
    codes = np.zeros(target.shape, np.int64)
    for below in cumulative[:-1]:
        codes += target >= below
    return codes


def inverse_wishart(streams: Streams, df: float, scale: Floats) -> Floats:
    """Draw covariance matrices from inverse Wishart distributions, by Bartlett's decomposition.

    Odell & Feiveson (1966): with scale L L' and Bartlett's lower triangular A, the draw is
    (A^-1 L')' (A^-1 L').

    Parameters
    ----------
    streams : Streams
        Of C chains.
    df : float
        Degrees of freedom, a real number above q - 1.
    scale : ndarray of shape (C, q, q)
        Positive definite. The mean of the draws is scale / (df - q - 1).

    Returns
    -------
    ndarray of shape (C, q, q)
        Symmetric, positive definite.

    Raises
    ------
    ArgumentError
        `df` is not above q - 1.
    """
    q = scale.shape[-1]
    if not df > q - 1:
        raise ArgumentError(f"df: {df!r} is not above {q - 1}, the order of the matrix less 1")
    bartlett = np.zeros(scale.shape)
    rows, columns = np.tril_indices(q, -1)
    bartlett[:, rows, columns] = streams.normal(len(rows))
    bartlett[:, range(q), range(q)] = np.sqrt(streams.chi2(df - np.arange(q)))
    root = np.linalg.solve(bartlett, np.swapaxes(np.linalg.cholesky(scale), 1, 2))
    draws = np.swapaxes(root, 1, 2) @ root
    symmetric: Floats = (draws + np.swapaxes(draws, 1, 2)) / 2
    return symmetric


def _rows(array: Floats) -> Floats:
    """Return a view of an array with one vector for each chain."""
    return array.reshape(len(array), -1)


def _log_ratio(start: Floats, excess: Floats) -> Floats:
    """Return log(P(Z > start + excess) / P(Z > start)), without cancellation."""
    scaled: Floats = special.erfcx((start + excess) / math.sqrt(2)) / special.erfcx(
        start / math.sqrt(2)
    )
    logarithm: Floats = np.log(scaled) - excess * (start + excess / 2)
    return logarithm


def _excess(start: Floats, exponent: Floats) -> Floats:
    """Return y for which P(Z > start + y) = exp(-exponent) P(Z > start), for start above `TAIL`.

    The first value takes the tail for that of a Rayleigh distribution. Newton's steps are on the
    log scale, where the function is nearly quadratic.
    """
    root = np.sqrt(2 * exponent)
    y: Floats = root * (root / (start + np.hypot(start, root)))
    for _ in range(3):
        hazard = math.sqrt(2 / math.pi) / special.erfcx((start + y) / math.sqrt(2))
        y = np.maximum(y + (_log_ratio(start, y) + exponent) / hazard, 0.0)
    return y


def _jacobi(stream: Generator, z: Floats) -> Floats:
    """Draw from J*(1, z) of Polson, Scott & Windle (2013), for one chain's z of at least 0."""
    rate = math.pi**2 / 8 + z**2 / 2
    beyond = _probability_beyond(z, rate)
    draws = np.empty(z.shape)
    pending = np.arange(len(z))
    while pending.size:
        exponential = stream.random(pending.size) < beyond[pending]
        proposal = np.empty(pending.size)
        right, left = pending[exponential], pending[~exponential]
        proposal[exponential] = MEETING + stream.standard_exponential(right.size) / rate[right]
        proposal[~exponential] = _truncated_inverse_gaussian(stream, z[left])
        accepted = _series_accepts(proposal, stream.random(pending.size))
        draws[pending[accepted]] = proposal[accepted]
        pending = pending[~accepted]
    return draws


def _probability_beyond(z: Floats, rate: Floats) -> Floats:
    """Return the probability that a proposal is of the exponential part, p / (p + q)."""
    log_p = np.log(math.pi / 2 / rate) - rate * MEETING
    root = math.sqrt(MEETING)
    log_q = math.log(2) + np.logaddexp(
        special.log_ndtr((MEETING * z - 1) / root) - z,
        special.log_ndtr(-(MEETING * z + 1) / root) + z,
    )
    return np.asarray(special.expit(log_p - log_q))


def _truncated_inverse_gaussian(stream: Generator, z: Floats) -> Floats:
    """Draw inverse Gaussians of mean 1/z and shape 1 that are below `MEETING`."""
    draws = np.empty(z.shape)
    large = z > 1 / MEETING
    draws[large] = _until(lambda x: _inverse_gaussian(stream, x), z[large])
    draws[~large] = _until(lambda x: _tilted_levy(stream, x), z[~large])
    return draws


def _until(propose: Callable[[Floats], tuple[Floats, NDArray[np.bool_]]], z: Floats) -> Floats:
    """Propose draws for each z until they are accepted."""
    draws = np.empty(z.shape)
    pending = np.arange(len(z))
    while pending.size:
        proposal, accepted = propose(z[pending])
        draws[pending[accepted]] = proposal[accepted]
        pending = pending[~accepted]
    return draws


def _inverse_gaussian(stream: Generator, z: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    proposal = stream.wald(1 / z, 1.0)
    return proposal, proposal < MEETING


def _tilted_levy(stream: Generator, z: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Propose x = 1/Z^2, with a normal |Z| > MEETING^(-1/2), accepted by the tilt exp(-z^2 x/2)."""
    u = 1 - stream.random(z.size)
    proposal = special.ndtri(u * special.ndtr(-1 / math.sqrt(MEETING))) ** -2
    return proposal, stream.random(z.size) <= np.exp(-(z**2) * proposal / 2)


def _series_accepts(x: Floats, v: Floats) -> NDArray[np.bool_]:
    """Compare v with the alternating series of the density at x, relative to its first term.

    The n-th term is (2n + 1) exp(-n (n + 1) c), with c = 2/x to the left of `MEETING` and
    pi^2 x/2 to the right of it.
    """
    c = np.where(x <= MEETING, 2 / x, math.pi**2 * x / 2)
    accepted = np.zeros(x.shape, np.bool_)
    total = np.ones(x.shape)
    pending = np.arange(len(x))
    n = 0
    while pending.size:
        n += 1
        term = (2 * n + 1) * np.exp(-n * (n + 1) * c[pending])
        if n % 2:
            total[pending] -= term
            decided = v[pending] <= total[pending]
            accepted[pending[decided]] = True
        else:
            total[pending] += term
            decided = v[pending] > total[pending]
        pending = pending[~decided]
    return accepted
