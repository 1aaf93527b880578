"""The variables that are imputed: how their values are drawn given everything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .children import Child
from .draws import Streams, categorical, truncated_normal_between
from .nodes import ContinuousNode, CountNode, Node, PoissonNode

__all__ = ["Batch", "Target"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Batch:
    """Units whose values don't hang on each other given everything else.

    Parameters
    ----------
    at : array of int, shape (k,)
        Their positions among the node's missing units.
    children : sequence of Child
        The models in which they are predictors.
    """

    at: Array
    children: Sequence[Child]


class Target:
    """A variable's imputed values.

    They are drawn from the product of the variable's own model and all models that it is a
    predictor in: exactly where that product is normal or discrete, else by two Metropolis steps,
    a step of a random walk and a draw from the variable's own model. The product may have several
    modes, as where a response hangs on a square, and the second step goes from one to the other.

    Parameters
    ----------
    node : Node
    batches : sequence of Batch
    linear : bool
        Whether all models are linear in the variable as it is sampled.
    """

    def __init__(self, node: Node, batches: Sequence[Batch], *, linear: bool) -> None:
        self.node = node
        self.batches = tuple(batches)
        self.linear = linear
        self.width = np.full((len(node.values), len(node.missing)), 1.0)

    def draw(self, streams: Streams, gain: float) -> None:
        """Draw all imputed values given everything else.

        Parameters
        ----------
        streams : Streams
        gain : float
            By how much the widths of proposals are adapted.
        """
        for batch in self.batches:
            units = self.node.missing[batch.at]
            if self.node.codes:
                self._draw_code(batch, units, streams)
            elif self.linear and not isinstance(self.node, CountNode):
                self._draw_normal(batch, units, streams)
            else:
                self._walk(batch, units, streams, gain)
                self._jump(batch, units, streams)

    def _draw_code(self, batch: Batch, units: Array, streams: Streams) -> None:
        node = self.node
        shape = (len(node.values), len(units))
        log_density = np.empty((node.codes, *shape))
        for code in range(node.codes):
            candidate = np.full(shape, code)
            log_density[code] = node.log_density(candidate, units)
            for child in batch.children:
                log_density[code] += child.log_likelihood(candidate)
        self._assign(categorical(streams, log_density), batch, units, streams)

    def _draw_normal(self, batch: Batch, units: Array, streams: Streams) -> None:
        node = self.node
        assert isinstance(node, ContinuousNode)
        value = node.values[:, units]
        model = node.models[0]
        precision = np.broadcast_to(node.precision(units), value.shape).copy()
        linear = precision * (model.eta[:, units] - value)
        for child in batch.children:
            more = child.normal_terms(value + 1.0)
            precision += more[0]
            linear += more[1]
        mean, sd = value + linear / precision, precision**-0.5
        lower, upper = node.scale.lower, node.scale.upper
        if np.isfinite(lower) or np.isfinite(upper):
            drawn = truncated_normal_between(
                streams, mean, sd, np.full(1, lower), np.full(1, upper)
            )
        else:
            drawn = mean + sd * streams.normal(len(units))
        self._assign(drawn, batch, units, streams)

    def _walk(self, batch: Batch, units: Array, streams: Streams, gain: float) -> None:
        node = self.node
        assert isinstance(node, ContinuousNode | PoissonNode)
        value = node.values[:, units]
        width = self.width[:, batch.at]
        candidate = value + node.stride(width * streams.normal(len(units)))
        ratio = node.log_density(candidate, units) - node.log_density(value, units)
        accepted = self._accept(candidate, ratio, batch, units, streams)
        self.width[:, batch.at] = width * np.exp(gain * (accepted - 0.44))

    def _jump(self, batch: Batch, units: Array, streams: Streams) -> None:
        node = self.node
        assert isinstance(node, ContinuousNode | PoissonNode)
        candidate = node.propose(units, streams)
        inside = (candidate >= node.scale.lower) & (candidate <= node.scale.upper)
        self._accept(candidate, np.where(inside, 0.0, -np.inf), batch, units, streams)

    @np.errstate(over="ignore", invalid="ignore")  # what overflows is not accepted
    def _accept(
        self, candidate: Array, ratio: Array, batch: Batch, units: Array, streams: Streams
    ) -> Array:
        """Accept values by a log ratio, to which the children add; return where they were."""
        value = self.node.values[:, units]
        candidate = np.where(ratio > -np.inf, candidate, value)
        for child in batch.children:
            ratio = ratio + child.log_likelihood(candidate)
        accepted = np.log(streams.uniform(len(units))) < ratio
        self._assign(np.where(accepted, candidate, value), batch, units, streams)
        return accepted

    def _assign(self, drawn: Array, batch: Batch, units: Array, streams: Streams) -> None:
        for child in batch.children:
            child.assign(drawn)
        self.node.assign(drawn, units, streams)
