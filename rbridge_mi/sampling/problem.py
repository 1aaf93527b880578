"""What is to be sampled: the variables, their levels and regressions, and the analysis model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .children import Block, GroupMean
from .priors import Prior
from .scales import Scale

__all__ = ["AnalysisModel", "Grouping", "Level", "Problem", "Variable"]

Array: TypeAlias = NDArray[Any]
Kind = Literal["continuous", "count", "binary", "logit", "ordered", "categories", "poisson"]


@dataclass(frozen=True)
class Level:
    """The units of some variables: rows, or the groups of a factor.

    Parameters
    ----------
    name : str or None
        The factor; None for rows.
    unit_of_row : array of int, shape (rows,)
    units : int
    """

    name: str | None
    unit_of_row: Array
    units: int

    def first_rows(self) -> Array:
        """Return the first row of each unit."""
        return np.unique(self.unit_of_row, return_index=True)[1]


@dataclass(frozen=True)
class Grouping:
    """A grouping factor of some units.

    Parameters
    ----------
    name : str
    codes : array of int, shape (units,)
    groups : int
    """

    name: str
    codes: Array
    groups: int


@dataclass(frozen=True)
class Variable:
    """A variable that is imputed, or that tells something of those that are.

    Parameters
    ----------
    name : str
    kind : str
        "binary" by probit, "logit" for a binary response by its log odds, "poisson" for a response
        of counts.
    level : str or None
    values : array, shape (units,)
        On the sampled scale, codes from 0, or counts; NaN in holes.
    scale : Scale
    shown : tuple of float
        What the analysis model's design takes for each code of a discrete variable.
    complete : array, shape (units, d)
        The complete, standardised columns that it is regressed on; the first is 1. Of no use for
        the response.
    complete_names : tuple of str
    parents : tuple of str
        The incomplete variables that it is regressed on.
    groupings : tuple of Grouping
        Of the random intercepts.
    prior : Prior
    """

    name: str
    kind: Kind
    level: str | None
    values: Array
    scale: Scale = field(default_factory=Scale)
    shown: tuple[float, ...] = ()
    complete: Array = field(default_factory=lambda: np.ones((0, 1)))
    complete_names: tuple[str, ...] = ("(Intercept)",)
    parents: tuple[str, ...] = ()
    groupings: tuple[Grouping, ...] = ()
    prior: Prior = field(default_factory=Prior)

    @property
    def codes(self) -> int:
        """Number of codes of a discrete variable; 0 for others."""
        return len(self.shown)

    @property
    def missing(self) -> Array:
        """The units with a hole."""
        return np.flatnonzero(np.isnan(self.values))


@dataclass(frozen=True)
class AnalysisModel:
    """The model that will be fitted to the completed data.

    Parameters
    ----------
    blocks : sequence of Block
        The parts of X, then those of each Z.
    names : tuple of str
        The columns of X.
    intercept : int or None
    constant : array, shape (p,), or None
        The combination of the columns of X, in the units of the data, that is 1 in every row;
        None where there is no such combination, and the response is not centred then.
    groupings : tuple of Grouping
    effects : tuple of tuple of (str, ...) per grouping
        The names of its random effects, in blocks.
    columns : mapping of str to array, shape (rows,)
        The data's columns that the design hangs on, NaN in holes.
    means : tuple of GroupMean
    offset, weights : array, shape (rows,), or None
        The offset in the units of the response, or of its function; the unit of the weights
        makes no difference, but for that of the residual variance.
    """

    blocks: Sequence[Block]
    names: tuple[str, ...]
    intercept: int | None
    constant: Array | None
    groupings: tuple[Grouping, ...]
    effects: tuple[tuple[tuple[str, ...], ...], ...]
    columns: Mapping[str, Array]
    means: tuple[GroupMean, ...] = ()
    offset: Array | None = None
    weights: Array | None = None


@dataclass(frozen=True)
class Problem:
    """All that is needed to begin the chains; it pickles.

    Parameters
    ----------
    levels : mapping of str or None to Level
    covariates : tuple of Variable
        In the order of their regressions.
    response : Variable
    auxiliary : tuple of Variable
        Regressed on the response too, in their order.
    analysis : AnalysisModel
    within : mapping of str to tuple of tuple of int
        Per variable and grouping factor, see `mixed_model.columns_within`.
    linear : frozenset of str
        The continuous variables in which the analysis model is linear.
    """

    levels: Mapping[str | None, Level]
    covariates: tuple[Variable, ...]
    response: Variable
    auxiliary: tuple[Variable, ...]
    analysis: AnalysisModel
    within: Mapping[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)
    linear: frozenset[str] = frozenset()

    @property
    def variables(self) -> tuple[Variable, ...]:
        """All variables that have a model."""
        return (*self.covariates, self.response, *self.auxiliary)
