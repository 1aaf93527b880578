"""Where a variable is a predictor: what other values of it do to another model's linear part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .design import group_sums
from .mixed_model import MixedModel
from .nodes import Node

__all__ = ["Analysis", "AnalysisChild", "Child", "Columns", "GroupMean", "RegressionChild"]

Array: TypeAlias = NDArray[Any]


class Child(ABC):
    """Another node's models, in which some units of a variable are predictors.

    Parameters
    ----------
    models : sequence of MixedModel
    rows : array of int, shape (r,)
        The rows of the models that the units touch.
    owner : array of int, shape (r,), or None
        For each row the position of its unit; None where rows and units are the same.
    units : int
        k, the number of units.
    """

    def __init__(
        self, models: Sequence[MixedModel], rows: Array, owner: Array | None, units: int
    ) -> None:
        self.models = tuple(models)
        self.rows = rows
        self.owner = owner
        self.units = units
        varying = self.models[0].design.rows
        self.at = np.searchsorted(varying, rows)

    @abstractmethod
    def design_for(self, candidate: Array) -> Any:
        """Return what the design would be with other values, for `shift` and `take`."""

    @abstractmethod
    def shift(self, design: Any) -> list[Array]:
        """Return by how much each model's X b + Z u would change, (C, r)."""

    @abstractmethod
    def take(self, design: Any) -> None:
        """Make the design what `design_for` returned."""

    def assign(self, candidate: Array) -> None:
        """Put values into the design, and what follows from them into each model's `eta`."""
        design = self.design_for(candidate)
        for model, shift in zip(self.models, self.shift(design), strict=True):
            model.eta[:, self.rows] += shift
        self.take(design)

    def by_unit(self, values: Array) -> Array:
        """Sum over the rows of each unit."""
        return values if self.owner is None else group_sums(self.owner, values, self.units)

    def by_row(self, candidate: Array) -> Array:
        """Return each row's unit's value."""
        return candidate if self.owner is None else candidate[:, self.owner]

    def log_likelihood(self, candidate: Array) -> Array:
        """Return, per unit, by how much other values change the models' log likelihood, (C, k)."""
        total = np.zeros(candidate.shape)
        shifts = self.shift(self.design_for(candidate))
        for model, shift in zip(self.models, shifts, strict=True):
            total += self.by_unit(model.change(self.rows, shift)) / model.s2[:, None]
        return total

    def normal_terms(self, step: Array) -> tuple[Array, Array]:
        """Return what normal models say of a change of the values: a normal density's terms.

        Of a change d the density is proportional to exp(linear d - precision d^2 / 2).

        Parameters
        ----------
        step : array, shape (C, k)
            The values that are larger by 1 than the current ones: the models are linear in them.

        Returns
        -------
        tuple of (array, array)
            precision and linear, each of shape (C, k).
        """
        precision, linear = np.zeros(step.shape), np.zeros(step.shape)
        slopes = self.shift(self.design_for(step))
        for model, slope in zip(self.models, slopes, strict=True):
            e = model.y[:, self.rows] - model.eta[:, self.rows]
            weighted = slope if model.weights is None else slope * model.weights[:, self.rows]
            precision += self.by_unit(weighted * slope) / model.s2[:, None]
            linear += self.by_unit(weighted * e) / model.s2[:, None]
        return precision, linear


class RegressionChild(Child):
    """A covariate's or an auxiliary variable's regression, in which the variable has columns.

    Parameters
    ----------
    models : sequence of MixedModel
    rows : array of int, shape (r,)
    owner : array of int, shape (r,), or None
    units : int
        As in `Child`.
    node : Node
        The variable that is the predictor.
    columns : sequence of int
        Its columns in the design.
    """

    def __init__(
        self,
        models: Sequence[MixedModel],
        rows: Array,
        owner: Array | None,
        units: int,
        node: Node,
        columns: Sequence[int],
    ) -> None:
        super().__init__(models, rows, owner, units)
        self._node = node
        self._columns = tuple(columns)

    def design_for(self, candidate: Array) -> list[Array]:
        """See `Child.design_for`."""
        return [self.by_row(x) for x in self._node.predictor(candidate)]

    def shift(self, design: list[Array]) -> list[Array]:
        """See `Child.shift`."""
        varying = self.models[0].design.varying
        columns = list(zip(design, self._columns, strict=True))
        changes = [(new - varying[:, self.at, j], j) for new, j in columns]
        shifts = []
        for model in self.models:
            first, j = changes[0]
            total = first * model.b[:, j, None]
            for change, j in changes[1:]:
                total += change * model.b[:, j, None]
            shifts.append(total)
        return shifts

    def take(self, design: list[Array]) -> None:
        """See `Child.take`."""
        varying = self.models[0].design.varying
        for new, j in zip(design, self._columns, strict=True):
            varying[:, self.at, j] = new


class Columns(Protocol):
    """A part of a model's design, as R makes it of the data's columns."""

    @property
    def columns(self) -> frozenset[str]:
        """The data's columns that it hangs on."""
        ...

    def matrix(self, values: Mapping[str, Array]) -> Array:
        """Return the design, S + (p,), for columns of a common shape S."""
        ...


@dataclass(frozen=True)
class Block:
    """A part of the analysis model's design, and the standardised columns that it gives.

    Parameters
    ----------
    part : Columns
    start : int
        The first of its columns in the design that it belongs to.
    centre, spread : array, shape (p,)
        By which its columns are standardised.
    effects : int or None
        The number of the grouping factor whose Z it belongs to; None for X.
    """

    part: Columns
    start: int
    centre: Array
    spread: Array
    effects: int | None = None

    @property
    def stop(self) -> int:
        """Behind the last of its columns."""
        return self.start + len(self.centre)

    def matrix(self, values: Mapping[str, Array], shape: tuple[int, ...]) -> Array:
        """Return the standardised columns for the part's columns, all of one shape."""
        # A part of an intercept alone has no columns, but must be told its shape.
        matrix = self.part.matrix(values or {"": np.zeros(shape)})
        standardised: Array = (matrix - self.centre) / self.spread
        return standardised


@dataclass(frozen=True)
class GroupMean:
    """A column of the analysis model that is the mean of another one over each group.

    Parameters
    ----------
    name : str
    of : str
        The column whose mean it is.
    codes : array of int, shape (n,)
        The group of each row.
    sizes : array of int, shape (G,)
    """

    name: str
    of: str
    codes: Array
    sizes: Array


class Analysis:
    """The analysis model's design in the rows that hang on imputed values, for all chains.

    Parameters
    ----------
    model : MixedModel
    blocks : sequence of Block
        All parts of X and Z.
    means : sequence of GroupMean

    Attributes
    ----------
    values : dict of str to array, shape (C, k) or (1, k)
        The columns' current values in the design's varying rows, once `fill` has been told them;
        (1, k) of complete ones.
    """

    def __init__(
        self,
        model: MixedModel,
        blocks: Sequence[Block],
        means: Sequence[GroupMean],
    ) -> None:
        self.model = model
        self.blocks = tuple(blocks)
        self.means = tuple(means)
        self.values: dict[str, Array] = {}

    def design_of(self, block: Block) -> Array:
        """Return the varying rows of the design that a block belongs to."""
        if block.effects is None:
            return self.model.design.varying
        return self.model.effects[block.effects].design.varying

    def fill(self, columns: Mapping[str, Array]) -> None:
        """Take over the columns' values, and evaluate the varying rows of all blocks.

        Parameters
        ----------
        columns : mapping of str to array, shape (C, n) or (1, n)
            (1, n) of complete ones.
        """
        rows = self.model.design.rows
        self.values = {name: column[:, rows] for name, column in columns.items()}
        shape = (len(self.model.y), len(rows))
        for block in self.blocks:
            needed = {
                name: np.broadcast_to(x, shape)
                for name, x in self.values.items()
                if name in block.part.columns
            }
            self.design_of(block)[..., block.start : block.stop] = block.matrix(needed, shape)


@dataclass(frozen=True)
class _Changed:
    """The analysis model's columns and designs with other values of a variable."""

    columns: Mapping[str, Array]
    blocks: Sequence[Array]


class AnalysisChild(Child):
    """The analysis model, in which some units of a variable are predictors.

    Parameters
    ----------
    analysis : Analysis
    rows : array of int, shape (r,)
    owner : array of int, shape (r,), or None
    units : int
        As in `Child`. With a group mean of the variable, all rows of a unit's group are touched.
    node : Node
        The variable.
    itself : array of int, shape (k,), or None
        With a group mean: the position in `rows` of each unit's only row.
    """

    def __init__(
        self,
        analysis: Analysis,
        rows: Array,
        owner: Array | None,
        units: int,
        node: Node,
        itself: Array | None,
    ) -> None:
        super().__init__([analysis.model], rows, owner, units)
        self._analysis = analysis
        self._node = node
        self._itself = itself
        self._means = [x for x in analysis.means if x.of == node.name]
        touched = {node.name, *(x.name for x in self._means)}
        self._blocks = [x for x in analysis.blocks if touched & x.part.columns]

    def _changed(self, candidate: Array) -> dict[str, Array]:
        """Return the columns that hang on the variable, in the child's rows."""
        name = self._node.name
        value = self._node.raw(candidate)
        if self._itself is None:
            return {name: self.by_row(value)}
        column = self._analysis.values[name][:, self.at]
        difference = value - column[:, self._itself]
        column[:, self._itself] = value
        columns = {name: column}
        for mean in self._means:
            sizes = mean.sizes[mean.codes[self.rows]]
            before = self._analysis.values[mean.name][:, self.at]
            columns[mean.name] = before + self.by_row(difference) / sizes
        return columns

    def design_for(self, candidate: Array) -> _Changed:
        """See `Child.design_for`."""
        changed = self._changed(candidate)
        shape = (len(self.models[0].b), len(self.rows))
        designs = []
        for block in self._blocks:
            columns = {
                name: np.broadcast_to(
                    changed[name] if name in changed else self._analysis.values[name][:, self.at],
                    shape,
                )
                for name in block.part.columns
            }
            designs.append(block.matrix(columns, shape))
        return _Changed(changed, designs)

    def shift(self, design: _Changed) -> list[Array]:
        """See `Child.shift`."""
        model = self.models[0]
        total: Array = np.zeros(design.blocks[0].shape[:2])
        for block, new in zip(self._blocks, design.blocks, strict=True):
            before = self._analysis.design_of(block)
            effects = None if block.effects is None else model.effects[block.effects]
            for i in range(block.start, block.stop):
                change = new[..., i - block.start] - before[:, self.at, i]
                if effects is None:
                    change *= model.b[:, i, None]
                else:
                    change *= effects.u[:, i].take(effects.codes[self.rows], axis=1)
                total += change
        return [total]

    def take(self, design: _Changed) -> None:
        """See `Child.take`."""
        for block, new in zip(self._blocks, design.blocks, strict=True):
            self._analysis.design_of(block)[:, self.at, block.start : block.stop] = new
        for name, value in design.columns.items():
            self._analysis.values[name][:, self.at] = value

    def bends(self, points: Sequence[Array]) -> bool:
        """Tell whether the log likelihood is anything but quadratic in the variable.

        Parameters
        ----------
        points : sequence of array, shape (C, k)
            Evenly spaced values of the variable.
        """
        if not self.models[0].is_normal:
            return True
        designs = [self.design_for(x).blocks for x in points]
        for block in zip(*designs, strict=True):
            bend = np.abs(np.diff(np.stack(block), n=2, axis=0)).max(initial=0.0)
            # Where a function has no value, this is not so either.
            if not bend <= 1e-9 * max(np.abs(x).max(initial=0.0) for x in block):
                return True
        return False
