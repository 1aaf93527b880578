"""The design of a mixed model as numpy computes it: R's model matrices, for many chains at once.

R parses the formula and says which terms each part has, how their factors are coded, and which
variables are calls that only R can evaluate (see ``r/imputers/design.R``). Here the columns are
computed as products, in R's order; a part that has such calls asks R once for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import rdoor
from ..errors import FormulaError, ImputationError

__all__ = ["DesignPart", "ModelDesign", "RandomPart", "compile_model"]

_TOLERANCE = 1e-12  # of a column, relative to its largest value: between numpy's matrix and R's


class Model(Protocol):
    """What a model says of itself; `rbridge_mi.Lmer` is one."""

    def specification(self, data: pd.DataFrame) -> dict[str, Any]:
        """Return what R has to know beside the data, and refuse what doesn't fit these."""
        ...


@dataclass(frozen=True, eq=False)
class Variable:
    """A variable of a formula: a column, or a call that R evaluates.

    Attributes
    ----------
    name : str
        R's text of it.
    column : str or None
        The column that it is; None for a call.
    needs : tuple of str
        The columns that it depends on.
    width : int
        Columns that it has in R's model frame, more than one for ``poly(x, 2)``.
    contrasts : array or None
        For a factor, a row of contrasts for each level, and one of NaN for a missing one.
    indicators : array or None
        The same with a column of 0 and 1 for each level.
    """

    name: str
    column: str | None
    needs: tuple[str, ...]
    width: int
    contrasts: NDArray[np.float64] | None
    indicators: NDArray[np.float64] | None

    def columns(self, values: NDArray[Any], by_indicators: bool) -> NDArray[np.float64]:
        """Return the columns of the design that these numbers or codes stand for: (..., k)."""
        if self.contrasts is None:
            return values
        rows = self.indicators if by_indicators else self.contrasts
        assert rows is not None
        codes = values.astype(np.intp)
        if codes.size and not (codes.min() >= -1 and codes.max() < len(rows) - 1):
            raise ImputationError(
                f"{self.name} has the code {int(codes.max())}: the codes of its {len(rows) - 1} "
                f"levels are 0 to {len(rows) - 2}."
            )
        return rows[codes]


@dataclass(frozen=True, eq=False)
class Term:
    """A product of variables; each counts by its place among the part's variables.

    Attributes
    ----------
    factors : tuple of (int, bool)
        The variables, and whether a factor is coded by indicators rather than by contrasts.
    columns : slice
        The columns of the part that the term fills.
    """

    factors: tuple[tuple[int, bool], ...]
    columns: slice


@dataclass(frozen=True, eq=False)
class DesignPart:
    """The fixed part, the offset, or the left side of one random term.

    Attributes
    ----------
    names : tuple of str
        R's names of the columns of its model matrix.
    columns : frozenset of str
        The columns of the data that its values depend on.
    """

    names: tuple[str, ...]
    columns: frozenset[str]
    _intercept: bool = field(repr=False)
    _variables: tuple[Variable, ...] = field(repr=False)
    _terms: tuple[Term, ...] = field(repr=False)
    _calls: rdoor.RObject = field(repr=False)
    _is_sum: bool = field(default=False, repr=False)

    def matrix(self, values: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return R's model matrix for these values of the columns.

        Parameters
        ----------
        values : mapping of str to array
            For each name in `columns` an array, all of one shape, such as (chains, rows): numbers,
            0 and 1 for a logical column, and for a factor or text the codes from 0 into the
            `levels` of the `ModelDesign`. If there are no columns, any array gives the shape.

        Returns
        -------
        array
            Of that shape, with one more axis for the columns of the design. A row for which a call
            in R has no value, as ``log(x)`` of a negative x, is NaN there.

        Raises
        ------
        ImputationError
            A code that no level has; a value that a factor made in the formula did not have in the
            data that the design was made for; what R could not evaluate.
        """
        shape = np.shape(next(iter(values.values())))
        design = np.empty((*shape, len(self.names)))
        variables = self._evaluated(values, shape)
        if self._is_sum:
            design[..., 0] = sum(variables)
            return design
        if self._intercept:
            design[..., 0] = 1.0
        for term in self._terms:
            self._fill(design[..., term.columns], term, variables)
        return design

    def _fill(self, block: NDArray[Any], term: Term, variables: Sequence[NDArray[Any]]) -> None:
        """Write a term's columns; those of its first variable vary fastest."""
        product: NDArray[Any] | None = None
        for i, by_indicators in term.factors:
            columns = self._variables[i].columns(variables[i], by_indicators)
            if columns.ndim < block.ndim:
                columns = columns[..., None]
            if product is None:
                product = columns
            elif product.shape[-1] == columns.shape[-1] == 1:
                product = product * columns
            else:
                product = columns[..., :, None] * product[..., None, :]
                product = product.reshape(*block.shape[:-1], -1)
        block[...] = product

    def _evaluated(
        self, values: Mapping[str, NDArray[Any]], shape: tuple[int, ...]
    ) -> list[NDArray[Any]]:
        """Return the variables' numbers or codes; R is called once, for all that it evaluates."""
        answers = iter(self._asked([x for x in self._variables if x.column is None], values, shape))
        return [
            next(answers) if x.column is None else np.asarray(values[x.column])
            for x in self._variables
        ]

    def _asked(
        self,
        variables: Sequence[Variable],
        values: Mapping[str, NDArray[Any]],
        shape: tuple[int, ...],
    ) -> list[NDArray[Any]]:
        if not variables:
            return []
        if prod(shape) == 0:
            return [np.empty((*shape, x.width) if x.width > 1 else shape) for x in variables]
        needed = {name: np.ravel(values[name]) for x in variables for name in x.needs}
        answers = rdoor.call(
            "evaluate_design",
            self._calls,
            [x.name for x in variables],
            needed,
            error=ImputationError,
        ).value
        return [
            answer.reshape((*shape, x.width) if x.width > 1 else shape)
            for x, answer in zip(variables, answers, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class RandomPart:
    """One random term, ``(design | group)``.

    Attributes
    ----------
    design : DesignPart
        Its left side.
    group : str
        R's text of the grouping expression: "schid", "g1:g2".
    group_columns : tuple of str
        The columns of the data that this names.
    codes : array of int
        The group of each row, from 0.
    levels : tuple of str
        The groups' labels.
    """

    design: DesignPart
    group: str
    group_columns: tuple[str, ...]
    codes: NDArray[np.int64]
    levels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ModelDesign:
    """The design of a mixed model.

    Attributes
    ----------
    response : str
        R's text of the response.
    response_column : str or None
        The column that the response is, or is a function of; None if it is anything else.
    response_function : str or None
        "log", "log2", "log10", "log1p", "exp", "expm1" or "sqrt", where the response is that of
        `response_column`.
    fixed : DesignPart
    offset : DesignPart or None
        The sum of the terms ``offset(...)`` of the formula, in one column.
    random : tuple of RandomPart
        One for each bar, in the order of the formula, with ``||`` and ``a/b`` expanded.
    levels : mapping of str to tuple of str
        For the factors and texts of the formula, the levels that codes count, in R's order.
        Levels that no row has are left out, as lme4 leaves them out.
    variables : frozenset of str
        All columns of the data that the formula names.
    """

    response: str
    response_column: str | None
    response_function: str | None
    fixed: DesignPart
    offset: DesignPart | None
    random: tuple[RandomPart, ...]
    levels: Mapping[str, tuple[str, ...]]
    variables: frozenset[str]
    _calls: rdoor.RObject = field(repr=False)

    def values(self, data: pd.DataFrame) -> dict[str, NDArray[Any]]:
        """Return the columns of a frame as `DesignPart.matrix` takes them, each of shape (rows,).

        Parameters
        ----------
        data : DataFrame
            With the columns `variables`.

        Returns
        -------
        dict of str to array
            Numbers, and codes for factors and texts.

        Raises
        ------
        ImputationError
            A factor or text that is not among the `levels`.
        """
        columns = data[[x for x in data.columns if x in self.variables]]
        values: dict[str, NDArray[Any]] = rdoor.call(
            "design_values", self._calls, columns, error=ImputationError
        ).value
        return values


def compile_model(model: Model, data: pd.DataFrame) -> ModelDesign:
    """Compile a model to its design.

    The model's arguments `subset`, `weights` and `offset` are left to the caller.

    Parameters
    ----------
    model : Lmer or another model
    data : DataFrame
        Without holes in the columns of the formula. The bases of ``poly``, ``ns``, ``bs`` and
        ``scale``, and the levels of factors, are those that it has.

    Returns
    -------
    ModelDesign

    Raises
    ------
    FormulaError
        A formula that R can't parse, or that names something it may not.
    ImputationError
        What has no design of its own rows: a hole, a call whose value in a row depends on other
        rows, such as ``cut(x, 3)``; or a matrix that numpy computes otherwise than R.
    """
    specification = model.specification(data)
    names = rdoor.names_for_r(data.columns)
    columns = rdoor.call("check_model", specification, names, error=FormulaError).value["columns"]
    needed = data if columns is None else data[list(columns)]
    facts = rdoor.call("compile_design", specification, needed, error=ImputationError).value
    calls = facts["calls"]
    parts = [facts["fixed"], *(x["design"] for x in facts["random"])]
    fixed, *left_sides = (_part(x, calls) for x in parts)
    offset = None if facts["offset"] is None else _offset(facts["offset"], calls)
    response = facts["response"]
    design = ModelDesign(
        response=str(response["text"][0]),
        response_column=_text(response["column"]),
        response_function=_text(response["transformation"]),
        fixed=fixed,
        offset=offset,
        random=tuple(
            RandomPart(
                design=left_side,
                group=str(x["group"][0]),
                group_columns=tuple(map(str, x["columns"])),
                codes=x["codes"].astype(np.int64),
                levels=tuple(map(str, x["levels"])),
            )
            for left_side, x in zip(left_sides, facts["random"], strict=True)
        ),
        levels={name: tuple(map(str, x)) for name, x in dict(facts["levels"]).items()},
        variables=frozenset(map(str, facts["variables"])),
        _calls=calls,
    )
    values = design.values(needed)
    for part, x in zip([fixed, *left_sides], parts, strict=True):
        _compare(part, values, x["matrix"])
    if offset is not None:
        _compare(offset, values, facts["offset"]["matrix"])
    return design


def _part(facts: Mapping[str, Any], calls: rdoor.RObject) -> DesignPart:
    variables = tuple(map(_variable, facts["variables"]))
    intercept = bool(facts["intercept"][0])
    terms = []
    start = int(intercept)
    for term in facts["terms"]:
        factors = tuple(
            (int(i), bool(code == 2))
            for i, code in zip(term["variables"], term["codes"], strict=True)
        )
        stop = start + prod(_width(variables[i], by) for i, by in factors)
        terms.append(Term(factors, slice(start, stop)))
        start = stop
    names = () if facts["names"] is None else tuple(map(str, facts["names"]))
    if start != len(names):
        raise ImputationError(f"R's model matrix has the columns {names}, and not {start}.")
    return DesignPart(names, _needs(variables), intercept, variables, tuple(terms), calls)


def _offset(facts: Mapping[str, Any], calls: rdoor.RObject) -> DesignPart:
    variables = tuple(map(_variable, facts["variables"]))
    names = (str(facts["names"][0]),)
    return DesignPart(names, _needs(variables), False, variables, (), calls, True)


def _variable(facts: Mapping[str, Any]) -> Variable:
    contrasts = indicators = None
    if facts["contrasts"] is not None:
        contrasts = _with_missing(np.asarray(facts["contrasts"], dtype=np.float64))
        indicators = _with_missing(np.eye(len(contrasts) - 1))
    return Variable(
        name=str(facts["name"][0]),
        column=_text(facts["column"]),
        needs=tuple(map(str, facts["needs"])),
        width=int(facts["width"][0]),
        contrasts=contrasts,
        indicators=indicators,
    )


def _with_missing(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Append the row that the code -1 picks."""
    return np.vstack([rows, np.full((1, rows.shape[1]), np.nan)])


def _width(variable: Variable, by_indicators: bool) -> int:
    rows = variable.indicators if by_indicators else variable.contrasts
    return variable.width if rows is None else rows.shape[1]


def _needs(variables: Sequence[Variable]) -> frozenset[str]:
    return frozenset(name for x in variables for name in x.needs)


def _text(value: Any) -> str | None:
    return None if value is None else str(value[0])


def _compare(part: DesignPart, values: Mapping[str, Any], matrix: NDArray[np.float64]) -> None:
    """Stop if numpy's matrix for the compiled data isn't R's."""
    if not part.names:
        return
    difference = np.abs(part.matrix(values) - matrix).max(axis=0)
    bound = _TOLERANCE * np.abs(matrix).max(axis=0)
    for name, is_within in zip(part.names, difference <= bound, strict=True):
        if not is_within:
            raise ImputationError(
                f"the column {name!r} of the design is not the one that R's model.matrix has."
            )
