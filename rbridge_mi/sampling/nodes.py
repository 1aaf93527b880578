"""The model of one variable: a mixed model of its values, or of latent normals behind them.

A node knows what its variable's values are, in all units and chains, and how these hang on the
normal response of its mixed models: they are the same for a continuous variable; a binary one is 1
where a latent normal is positive (probit; Albert and Chib 1993, Journal of the American
Statistical Association 88); an ordered one says between which cutpoints it lies; a count is the
whole part of its exponential; and unordered categories are a sequence of binary choices: is it the
first, if not the second, and so on (a continuation-ratio model).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, gammaln, log_expit, log_ndtr, ndtr

from .draws import Streams, polya_gamma, truncated_normal, truncated_normal_between
from .latent_moves import move_groups, scale_all
from .mixed_model import MixedModel
from .poisson_model import rates
from .scales import CountScale, RateScale, Scale

__all__ = [
    "CategoriesNode",
    "ContinuousNode",
    "CountNode",
    "LogitNode",
    "Node",
    "OrderedNode",
    "PoissonNode",
    "ProbitNode",
]

Array: TypeAlias = NDArray[Any]


class Node(ABC):
    """The model of a variable of n units.

    Parameters
    ----------
    name : str
    models : sequence of MixedModel
        One, but for unordered categories, where each choice has its model; all share a design.
    missing : array of int, shape (k,)
        The units whose value is imputed.

    Attributes
    ----------
    values : array, shape (C, n)
        On the sampled scale, or codes from 0.
    codes : int
        Number of values that a discrete variable has; 0 for others.
    """

    codes = 0

    def __init__(self, name: str, models: Sequence[MixedModel], missing: Array) -> None:
        self.name = name
        self.models = tuple(models)
        self.missing = missing

    values: Array

    def current(self) -> Array:
        """Return the imputed values, (C, k)."""
        # `take` makes arrays of one layout, whatever C is; sums depend on it in the last bits.
        return self.values.take(self.missing, axis=1)

    def step(self, streams: Streams, gain: float, *, fixed_only: bool = False) -> None:
        """Draw the latent responses, then the parameters.

        Parameters
        ----------
        streams : Streams
        gain : float
            By how much the widths of proposals are adapted.
        fixed_only : bool
            Leave random effects and their covariances as they are.
        """
        del gain
        self.refresh(streams)
        for model in self.models:
            model.step(streams, fixed_only=fixed_only)

    @abstractmethod
    def refresh(self, streams: Streams) -> None:
        """Draw the latent responses of all units, given values and parameters."""

    @abstractmethod
    def log_density(self, candidate: Array, units: Array) -> Array:
        """Return the log density of values of some units given the parameters, up to a constant.

        Latent responses are integrated out.
        """

    @abstractmethod
    def assign(self, candidate: Array, units: Array, streams: Streams) -> None:
        """Take over values of some units, and draw the latent responses behind them."""

    @abstractmethod
    def predictor(self, candidate: Array) -> list[Array]:
        """Return the columns by which others are regressed on values of this variable."""

    @abstractmethod
    def raw(self, candidate: Array) -> Array:
        """Return values as the analysis model's design takes them: numbers, or codes."""

    def parameters(self) -> dict[str, Array]:
        """Return parameters besides those of the mixed models, each (C,)."""
        return {}


class OpenNode(Node):
    """A variable whose values are the response of its model: nothing latent stands behind them.

    Parameters
    ----------
    name : str
    models : sequence of MixedModel
        One.
    missing : array of int, shape (k,)
        As in `Node`.
    values : array, shape (C, n)
    """

    def __init__(
        self, name: str, models: Sequence[MixedModel], missing: Array, values: Array
    ) -> None:
        super().__init__(name, models, missing)
        self.models[0].y = values

    @property
    def values(self) -> Array:  # type: ignore[override]
        """The response itself."""
        return self.models[0].y

    def refresh(self, streams: Streams) -> None:
        """Nothing is latent."""


class ContinuousNode(OpenNode):
    """A variable that is normal on its sampled scale.

    Parameters
    ----------
    name : str
    models : sequence of MixedModel
    missing : array of int, shape (k,)
        As in `Node`.
    values : array, shape (C, n)
    scale : Scale
    """

    def __init__(
        self, name: str, models: Sequence[MixedModel], missing: Array, values: Array, scale: Scale
    ) -> None:
        super().__init__(name, models, missing, values)
        self.scale = scale

    def precision(self, units: Array) -> Array:
        """Return the inverse of the residual variance of some units, (C, 1) or (C, k)."""
        model = self.models[0]
        scale: Array = 1.0 / model.s2[:, None]
        return scale if model.weights is None else scale * model.weights[:, units]

    def log_density(self, candidate: Array, units: Array) -> Array:
        """Return the normal log density, without its constant; -inf outside of the bounds."""
        e = candidate - self.models[0].eta[:, units]
        density: Array = -0.5 * self.precision(units) * e**2
        if np.isfinite(self.scale.lower) or np.isfinite(self.scale.upper):
            inside = (candidate >= self.scale.lower) & (candidate <= self.scale.upper)
            density = np.where(inside, density, -np.inf)
        return density

    def assign(self, candidate: Array, units: Array, streams: Streams) -> None:
        """Take over values."""
        del streams  # nothing is latent
        self.models[0].y[:, units] = candidate

    def propose(self, units: Array, streams: Streams) -> Array:
        """Draw values of some units from the variable's own model, whatever the bounds."""
        drawn = self.precision(units) ** -0.5 * streams.normal(len(units))
        return self.models[0].eta[:, units] + drawn

    def stride(self, length: Array) -> Array:
        """Return a step of a random walk, of the kind that the values take."""
        return length

    def predictor(self, candidate: Array) -> list[Array]:
        """Return the values on the scale that others are regressed on."""
        return [self.scale.predictor(candidate)]

    def raw(self, candidate: Array) -> Array:
        """Return the variable's own values."""
        return self.scale.backward(candidate)


class CountNode(ContinuousNode):
    """A count: the whole part of the exponential of a normal.

    Parameters
    ----------
    name : str
    models : sequence of MixedModel
    missing : array of int, shape (k,)
    values : array, shape (C, n)
    scale : CountScale
        As in `ContinuousNode`; the values of observed units are where to begin.
    counts : array, shape (n,) or (C, n)
        The observed counts; what stands in units with holes doesn't matter.
    """

    def __init__(
        self,
        name: str,
        models: Sequence[MixedModel],
        missing: Array,
        values: Array,
        scale: CountScale,
        counts: Array,
    ) -> None:
        super().__init__(name, models, missing, values, scale)
        kept = np.ones(counts.shape[-1], bool)
        kept[missing] = False
        self._observed = np.flatnonzero(kept)
        count = counts[..., self._observed]
        with np.errstate(divide="ignore"):
            lower = np.where(count > 0, np.log(count), -np.inf)
        self._lower = (lower - scale.centre) / scale.spread
        self._upper = (np.log(count + 1.0) - scale.centre) / scale.spread

    def refresh(self, streams: Streams) -> None:
        """Draw the normals behind the observed counts."""
        model = self.models[0]
        sd = np.sqrt(model.s2)[:, None]
        mean = model.eta[:, self._observed]
        model.y[:, self._observed] = truncated_normal_between(
            streams, mean, sd, self._lower, self._upper
        )


class PoissonNode(OpenNode):
    """A response of counts: Poisson, with a logarithmic link.

    Parameters
    ----------
    name : str
    models : sequence of PoissonModel
        One.
    missing : array of int, shape (k,)
        As in `Node`.
    values : array, shape (C, n)
        The counts.
    scale : RateScale
    """

    LARGEST = 34.0  # the log of a rate: a double has each whole number up to its exponential

    def __init__(
        self,
        name: str,
        models: Sequence[MixedModel],
        missing: Array,
        values: Array,
        scale: RateScale,
    ) -> None:
        super().__init__(name, models, missing, values)
        self.scale = scale

    def log_density(self, candidate: Array, units: Array) -> Array:
        """Return the log probability; -inf below 0."""
        count = np.maximum(candidate, 0.0)
        eta = self.models[0].eta[:, units]
        density = count * eta - rates(eta) - gammaln(count + 1.0)
        return np.where(candidate >= 0.0, density, -np.inf)

    def assign(self, candidate: Array, units: Array, streams: Streams) -> None:
        """Take over values."""
        del streams  # nothing is latent
        self.models[0].y[:, units] = candidate

    def propose(self, units: Array, streams: Streams) -> Array:
        """Draw counts of some units from the model."""
        eta = np.minimum(self.models[0].eta[:, units], self.LARGEST)
        return streams.poisson(rates(eta))

    def stride(self, length: Array) -> Array:
        """Return a step of a random walk: a whole number."""
        return np.rint(length)

    def predictor(self, candidate: Array) -> list[Array]:
        """Return the values on the scale that others are regressed on."""
        return [self.scale.predictor(candidate)]

    def raw(self, candidate: Array) -> Array:
        """Return the counts."""
        return candidate


class DiscreteNode(Node):
    """A variable that has one of a few values.

    Parameters
    ----------
    name : str
    models : sequence of MixedModel
    missing : array of int, shape (k,)
        As in `Node`.
    values : array of int, shape (C, n)
        Codes from 0.
    shown : sequence of float
        What the analysis model's design takes for each code.
    """

    def __init__(
        self,
        name: str,
        models: Sequence[MixedModel],
        missing: Array,
        values: Array,
        shown: Sequence[float],
    ) -> None:
        super().__init__(name, models, missing)
        self.values = values
        self.shown = np.asarray(shown, np.float64)
        self.codes = len(self.shown)

    def predictor(self, candidate: Array) -> list[Array]:
        """Return an indicator of each code but the first."""
        return [(candidate == code).astype(np.float64) for code in range(1, self.codes)]

    def raw(self, candidate: Array) -> Array:
        """Return what the analysis model's design takes."""
        shown: Array = self.shown[candidate]
        return shown


class LatentNode(DiscreteNode):
    """A variable with latent normals of variance 1, each in an interval that its value tells."""

    free_scale = True  # whether the intervals are the same on every scale

    def step(self, streams: Streams, gain: float, *, fixed_only: bool = False) -> None:
        """Draw the latent normals, then the parameters, then move both together."""
        super().step(streams, gain, fixed_only=fixed_only)
        if fixed_only:
            return
        for j, model in enumerate(self.models):
            lower, upper = self.intervals(j)
            for effects in model.effects:
                move_groups(model, effects, lower, upper, streams)
            if self.free_scale and model.offset is None:
                scale_all(model, streams)

    @abstractmethod
    def intervals(self, j: int) -> tuple[Array, Array]:
        """Return the limits of the latent normals of model j, (C, n)."""


class ProbitNode(LatentNode):
    """A binary variable: 1 where a latent normal of variance 1 is positive.

    Parameters
    ----------
    name : str
    models : sequence of MixedModel
    missing : array of int, shape (k,)
        As in `Node`.
    values : array of int, shape (C, n)
        0 or 1.
    shown : sequence of float
        The numbers that the analysis model sees for 0 and 1.
    centre, spread : float
        Mean and standard deviation of the observed codes, for others' regressions.
    """

    def __init__(
        self,
        name: str,
        models: Sequence[MixedModel],
        missing: Array,
        values: Array,
        shown: Sequence[float],
        centre: float,
        spread: float,
    ) -> None:
        super().__init__(name, models, missing, values, shown)
        self.centre = centre
        self.spread = spread

    def refresh(self, streams: Streams) -> None:
        """Draw all latent normals."""
        model = self.models[0]
        model.y = truncated_normal(streams, model.eta, self.values == 1)

    def intervals(self, j: int) -> tuple[Array, Array]:
        """Return the limits of the latent normals."""
        del j
        positive = self.values == 1
        return np.where(positive, 0.0, -np.inf), np.where(positive, np.inf, 0.0)

    def log_density(self, candidate: Array, units: Array) -> Array:
        """Return the log probability."""
        density: Array = log_ndtr((2 * candidate - 1) * self.models[0].eta[:, units])
        return density

    def assign(self, candidate: Array, units: Array, streams: Streams) -> None:
        """Take over values, and draw the latent normals behind them."""
        self.values[:, units] = candidate
        model = self.models[0]
        model.y[:, units] = truncated_normal(streams, model.eta[:, units], candidate == 1)

    def predictor(self, candidate: Array) -> list[Array]:
        """Return the standardised code."""
        return [(candidate - self.centre) / self.spread]


class LogitNode(ProbitNode):
    """A binary variable whose log odds are linear, by Polya and Gamma's augmentation.

    Given weights w that are PG(1, eta), the response (value - 1/2) / w is normal around eta with
    the variance 1 / w (Polson, Scott and Windle 2013, Journal of the American Statistical
    Association 108, theorem 1).
    """

    def step(self, streams: Streams, gain: float, *, fixed_only: bool = False) -> None:
        """Draw the weights, then the parameters."""
        Node.step(self, streams, gain, fixed_only=fixed_only)

    def refresh(self, streams: Streams) -> None:
        """Draw the weights."""
        model = self.models[0]
        model.weights = polya_gamma(streams, model.eta)
        model.y = (self.values - 0.5) / model.weights

    def log_density(self, candidate: Array, units: Array) -> Array:
        """Return the log probability."""
        density: Array = log_expit((2 * candidate - 1) * self.models[0].eta[:, units])
        return density

    def assign(self, candidate: Array, units: Array, streams: Streams) -> None:
        """Take over values, and draw the weights anew."""
        self.values[:, units] = candidate
        model = self.models[0]
        assert model.weights is not None
        weights = polya_gamma(streams, model.eta[:, units])
        model.weights[:, units] = weights
        model.y[:, units] = (candidate - 0.5) / weights

    def probability(self, units: Array) -> Array:
        """Return the probability of a 1."""
        p: Array = expit(self.models[0].eta[:, units])
        return p


class OrderedNode(LatentNode):
    """An ordered variable: it says between which cutpoints a latent normal of variance 1 lies.

    The first cutpoint is 0, since the regression has an intercept. The logarithms of the steps
    from each cutpoint to the next are normal a priori, with mean 0 and the SD `STEP_SD`; they are
    drawn with the latent normals integrated out (Cowles 1996, Statistics and Computing 6).

    Parameters
    ----------
    name : str
    models : sequence of MixedModel
    missing : array of int, shape (k,)
        As in `Node`.
    values : array of int, shape (C, n)
        Codes from 0.
    shown : sequence of float
        As in `DiscreteNode`.
    """

    STEP_SD = 1.5
    free_scale = False

    def __init__(
        self,
        name: str,
        models: Sequence[MixedModel],
        missing: Array,
        values: Array,
        shown: Sequence[float],
    ) -> None:
        super().__init__(name, models, missing, values, shown)
        chains = len(values)
        self.log_steps = np.full((chains, self.codes - 2), np.log(0.7))
        self.proposal = np.full(chains, 0.1)

    def cutpoints(self, log_steps: Array) -> Array:
        """Return all limits, -inf and inf included, (C, codes + 1)."""
        chains = len(log_steps)
        inner = np.concatenate(
            [np.zeros((chains, 1)), np.cumsum(np.exp(log_steps), axis=1)], axis=1
        )
        ends = np.full((chains, 1), np.inf)
        return np.concatenate([-ends, inner, ends], axis=1)

    def step(self, streams: Streams, gain: float, *, fixed_only: bool = False) -> None:
        """Draw the cutpoints, the latent normals, and the parameters."""
        self._draw_cutpoints(streams, gain)
        super().step(streams, gain, fixed_only=fixed_only)

    def _draw_cutpoints(self, streams: Streams, gain: float) -> None:
        units = np.arange(self.values.shape[1])
        z = streams.normal(self.log_steps.shape[1])
        proposed = self.log_steps + self.proposal[:, None] * z
        old = self._log_density(self.values, units, self.log_steps).sum(axis=1)
        new = self._log_density(self.values, units, proposed).sum(axis=1)
        prior = -0.5 * (proposed**2 - self.log_steps**2).sum(axis=1) / self.STEP_SD**2
        accepted = np.log(streams.uniform(1)[:, 0]) < new - old + prior
        self.log_steps = np.where(accepted[:, None], proposed, self.log_steps)
        self.proposal = self.proposal * np.exp((accepted - 0.35) * gain)

    def _limits(self, values: Array, log_steps: Array) -> tuple[Array, Array]:
        cutpoints = self.cutpoints(log_steps)
        lower = np.take_along_axis(cutpoints, values, axis=1)
        return lower, np.take_along_axis(cutpoints, values + 1, axis=1)

    def _log_density(self, values: Array, units: Array, log_steps: Array) -> Array:
        lower, upper = self._limits(values, log_steps)
        eta = self.models[0].eta[:, units]
        return log_interval(lower - eta, upper - eta)

    def refresh(self, streams: Streams) -> None:
        """Draw all latent normals."""
        model = self.models[0]
        lower, upper = self._limits(self.values, self.log_steps)
        model.y = truncated_normal_between(streams, model.eta, 1.0, lower, upper)

    def intervals(self, j: int) -> tuple[Array, Array]:
        """Return the limits of the latent normals."""
        del j
        return self._limits(self.values, self.log_steps)

    def log_density(self, candidate: Array, units: Array) -> Array:
        """Return the log probability."""
        return self._log_density(candidate, units, self.log_steps)

    def assign(self, candidate: Array, units: Array, streams: Streams) -> None:
        """Take over values, and draw the latent normals behind them."""
        self.values[:, units] = candidate
        model = self.models[0]
        lower, upper = self._limits(candidate, self.log_steps)
        model.y[:, units] = truncated_normal_between(
            streams, model.eta[:, units], 1.0, lower, upper
        )

    def parameters(self) -> dict[str, Array]:
        """Return the cutpoints but the first, which is 0."""
        inner = self.cutpoints(self.log_steps)[:, 2:-1]
        return {f"cutpoint {j + 2}": column for j, column in enumerate(inner.T)}


class CategoriesNode(LatentNode):
    """Unordered categories: a binary choice for each but the last, made one after the other.

    Model j sees the units that are none of the categories before j; its latent normal is positive
    where the unit is of category j.

    Parameters
    ----------
    name : str
    models : sequence of MixedModel
    missing : array of int, shape (k,)
        As in `Node`.
    values : array of int, shape (C, n)
        Codes from 0.
    shown : sequence of float
        As in `DiscreteNode`.
    """

    def __init__(
        self,
        name: str,
        models: Sequence[MixedModel],
        missing: Array,
        values: Array,
        shown: Sequence[float],
    ) -> None:
        super().__init__(name, models, missing, values, shown)
        self.weigh()

    def weigh(self) -> None:
        """Give each model the units that it sees."""
        for j, model in enumerate(self.models):
            model.weights = (self.values >= j).astype(np.float64)

    def refresh(self, streams: Streams) -> None:
        """Draw all latent normals."""
        for j, model in enumerate(self.models):
            model.y = truncated_normal(streams, model.eta, self.values == j)

    def intervals(self, j: int) -> tuple[Array, Array]:
        """Return the limits of model j's latent normals; units that it doesn't see have none."""
        lower = np.where(self.values == j, 0.0, -np.inf)
        return lower, np.where(self.values > j, 0.0, np.inf)

    def log_density(self, candidate: Array, units: Array) -> Array:
        """Return the log probability."""
        total = np.zeros(candidate.shape)
        for j, model in enumerate(self.models):
            eta = model.eta[:, units]
            total += np.where(candidate == j, log_ndtr(eta), 0.0)
            total += np.where(candidate > j, log_ndtr(-eta), 0.0)
        return total

    def assign(self, candidate: Array, units: Array, streams: Streams) -> None:
        """Take over values, and draw the latent normals behind them."""
        self.values[:, units] = candidate
        for j, model in enumerate(self.models):
            assert model.weights is not None
            model.weights[:, units] = candidate >= j
            model.y[:, units] = truncated_normal(streams, model.eta[:, units], candidate == j)


def log_interval(lower: Array, upper: Array) -> Array:
    """Return the log probability that a standard normal lies between two limits."""
    # In the upper tail the differences of the lower tail's mirror image are exact.
    flip = lower > 0.0
    a = np.where(flip, -upper, lower)
    b = np.where(flip, -lower, upper)
    with np.errstate(divide="ignore"):
        plain: Array = np.log(ndtr(b) - ndtr(a))
    tail = ~(plain > -200.0)
    if tail.any():
        high, low = log_ndtr(b[tail]), log_ndtr(a[tail])
        with np.errstate(divide="ignore"):
            plain[tail] = high + np.log(-np.expm1(np.minimum(low - high, -1e-300)))
    return plain
