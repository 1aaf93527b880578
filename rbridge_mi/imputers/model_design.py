"""The design of a mixed model as numpy computes it: R's model matrices, for many chains at once.

R parses the formula and says which terms each part has, how their factors are coded, and which
variables are calls (see ``r/imputers/design.R``). Here the columns are computed as products, in
R's order. Calls of plain arithmetic are computed here, too; for the others R is asked, once for
all that a part has.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import rdoor
from ..errors import FormulaError, ImputationError
from .arithmetic import Expression, evaluate, read_expression

__all__ = ["DesignPart", "Model", "ModelDesign", "RandomPart", "compile_model"]

_TOLERANCE = 1e-12  # between numpy's matrix and R's, relative to a column's largest value
_MADE_FACTOR = re.compile(r"(as\.)?(factor|ordered)\((`[^`]+`|[\w.]+)[,)]")
_SAME = 1e-15  # between numpy's and R's value of a call, relative; else R evaluates the call


class Model(Protocol):
    """What is asked of a model; `rbridge_mi.Lmer` is one."""

    def specification(self, data: pd.DataFrame) -> dict[str, Any]:
        """Return what R has to know beside the data, and refuse what doesn't fit these."""
        ...


@dataclass(frozen=True, eq=False)
class Variable:
    """A variable of a formula: a column of the data, or a call.

    Attributes
    ----------
    name : str
        R's text of it.
    column : str or None
        The column that it is; None for a call.
    expression : Expression or None
        A call that numpy evaluates; None for one that R evaluates.
    columns : tuple of str
        The columns that it depends on.
    width : int
        Columns that it has in R's model frame, more than one for ``poly(x, 2)``.
    contrasts : array or None
        For a factor, the row of each level.
    """

    name: str
    column: str | None
    expression: Expression | None
    columns: tuple[str, ...]
    width: int
    contrasts: NDArray[np.float64] | None

    @property
    def by_r(self) -> bool:
        """Whether R has to evaluate it."""
        return self.column is None and self.expression is None

    def design_columns(self, values: NDArray[Any], rows: NDArray[Any] | None) -> NDArray[Any]:
        """Return the columns that numbers stand for, or codes of which `rows` has the rows."""
        if rows is None:
            return values if self.width > 1 else values[..., None]
        codes = values.astype(np.intp)
        levels = len(rows) - 1
        for extreme in (codes.min(), codes.max()) if codes.size else ():
            if not -1 <= extreme < levels:
                raise ImputationError(
                    f"{self.name} has the code {extreme}: the codes of its {levels} levels are 0 "
                    f"to {levels - 1}, and -1 is a missing one."
                )
        return np.take(rows, codes, axis=0, mode="wrap")  # -1 is the last row


@dataclass(frozen=True, eq=False)
class Term:
    """A product of variables.

    Attributes
    ----------
    factors : tuple of (int, array or None)
        The places of the variables in the part, each with the rows that a factor's codes pick:
        its contrasts, or indicators of its levels, and a row of NaN at the end.
    columns : slice
        The columns of the part that the term fills.
    """

    factors: tuple[tuple[int, NDArray[np.float64] | None], ...]
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

    @property
    def made_factors(self) -> dict[str, str]:
        """The calls that make a factor of a column, such as ``factor(k)``, with the column."""
        calls = (x for x in self._variables if x.column is None and x.contrasts is not None)
        pairs = ((x.name, _MADE_FACTOR.match(x.name), x.columns) for x in calls)
        return {name: columns[0] for name, is_factor, columns in pairs if is_factor}

    def matrix(self, values: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return R's model matrix for these values of the columns.

        Parameters
        ----------
        values : mapping of str to array
            For each name in `columns` an array, such as one of shape (chains, rows): numbers, 0 and
            1 for a logical column, and for a factor or text the codes from 0 into the `levels` of
            the `ModelDesign`, or -1 for a missing one. Arrays of different shapes are broadcast to
            one, so that a complete column may have the shape (rows,). Other names may be there;
            their arrays count for the shape only.

        Returns
        -------
        array
            Of that shape, with one more axis for the columns of the design. A row for which a call
            has no value, as ``log(x)`` of a negative x, is NaN there.

        Raises
        ------
        ImputationError
            A code that no level has; a value that a factor made in the formula did not have in the
            data that the design was made for; what R could not evaluate.
        """
        shape = np.broadcast_shapes(*(np.shape(x) for x in values.values()))
        design = np.empty((*shape, len(self.names)))
        variables = self._evaluated(values, shape)
        if self._is_sum:
            design[..., 0] = sum(variables)
            return design
        if self._intercept:
            design[..., 0] = 1.0
        for term in self._terms:
            design[..., term.columns] = self._product(term, variables)
        return design

    def _product(self, term: Term, variables: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Return a term's columns; those of its first variable vary fastest."""
        product: NDArray[Any] | None = None
        for i, rows in term.factors:
            columns = self._variables[i].design_columns(variables[i], rows)
            if product is None:
                product = columns
            elif product.shape[-1] == 1 or columns.shape[-1] == 1:
                product = product * columns
            else:
                pairs = columns[..., :, None] * product[..., None, :]
                product = pairs.reshape(*pairs.shape[:-2], prod(pairs.shape[-2:]))
        assert product is not None
        return product

    def _evaluated(
        self, values: Mapping[str, NDArray[Any]], shape: tuple[int, ...]
    ) -> list[NDArray[Any]]:
        """Return the numbers or codes of the variables."""
        by_r = [x for x in self._variables if x.by_r]
        answers = iter(_evaluated_by_r(by_r, self._calls, values, shape))
        evaluated = []
        for variable in self._variables:
            if variable.column is not None:
                evaluated.append(np.asarray(values[variable.column]))
            elif variable.expression is not None:
                evaluated.append(evaluate(variable.expression, values))
            else:
                evaluated.append(next(answers))
        return evaluated


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
        The fixed part.
    offset : DesignPart or None
        The sum of the terms ``offset(...)`` of the formula, in one column.
    random : tuple of RandomPart
        One for each bar, in the order in which lme4 reads the formula, with ``||`` and ``a/b``
        expanded.
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

    def values(
        self, data: pd.DataFrame, columns: Collection[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return columns of a frame as `DesignPart.matrix` takes them, each of shape (rows,).

        Parameters
        ----------
        data : DataFrame
            A frame that has these columns.
        columns : collection of str, optional
            All `variables` unless given.

        Returns
        -------
        dict of str to array
            Numbers, NaN where they are missing, and for factors and texts codes, -1 where they
            are missing.

        Raises
        ------
        ImputationError
            A factor or text that is not among the `levels`.
        """
        wanted = self.variables if columns is None else frozenset(columns)
        return _values(data[[x for x in data.columns if x in wanted]], self._calls)


def compile_model(model: Model, data: pd.DataFrame) -> ModelDesign:
    """Compile a model to its design.

    The model's arguments `subset`, `weights` and `offset` are left to the caller.

    Parameters
    ----------
    model : Lmer or another model
        What its ``fit`` takes: formula, contrasts, allow.
    data : DataFrame
        Without holes in the columns of the formula. The bases of ``poly``, ``ns``, ``bs`` and
        ``scale``, and the levels of factors, are those that it has.

    Returns
    -------
    ModelDesign
        An object that pickles, and works in another process.

    Raises
    ------
    FormulaError
        A formula that R can't parse, or that names something it may not.
    ImputationError
        What can't be computed row by row from complete values: a hole, a call whose value in a row
        depends on other rows, such as ``cut(x, 3)``; and a matrix that numpy would compute
        otherwise than R.
    """
    specification = model.specification(data)
    names = rdoor.names_for_r(data.columns)
    needed = rdoor.call("check_model", specification, names, error=FormulaError).value["columns"]
    data = data if needed is None else data[list(needed)]
    facts = rdoor.call("compile_design", specification, data, error=ImputationError).value
    calls: rdoor.RObject = facts["calls"]
    variables = frozenset(map(str, facts["variables"]))
    values = _values(data[[x for x in data.columns if x in variables]], calls)
    described = [facts["fixed"], *(x["design"] for x in facts["random"])]
    fixed, *left_sides = (_part(x, calls, values) for x in described)
    offset = None if facts["offset"] is None else _part(facts["offset"], calls, values)
    response = facts["response"]
    return ModelDesign(
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
                codes=np.asarray(x["codes"], dtype=np.int64),
                levels=tuple(map(str, x["levels"])),
            )
            for left_side, x in zip(left_sides, facts["random"], strict=True)
        ),
        levels={name: tuple(map(str, x)) for name, x in dict(facts["levels"]).items()},
        variables=variables,
        _calls=calls,
    )


# -- what R is asked -------------------------------------------------------------------------


def _values(data: pd.DataFrame, calls: rdoor.RObject) -> dict[str, NDArray[Any]]:
    return dict(rdoor.call("design_values", calls, data, error=ImputationError).value)


def _evaluated_by_r(
    variables: Sequence[Variable],
    calls: rdoor.RObject,
    values: Mapping[str, NDArray[Any]],
    shape: tuple[int, ...],
) -> list[NDArray[Any]]:
    """Return R's numbers or codes of the variables, by one call."""
    shapes = [(*shape, x.width) if x.width > 1 else shape for x in variables]
    if not variables or prod(shape) == 0:
        return list(map(np.empty, shapes))
    needed = {
        name: np.broadcast_to(values[name], shape).ravel() for x in variables for name in x.columns
    }
    names = [x.name for x in variables]
    answers = rdoor.call("evaluate_design", calls, names, needed, error=ImputationError).value
    return [x.reshape(shape) for x, shape in zip(answers, shapes, strict=True)]


# -- what R has said of a part ---------------------------------------------------------------


def _part(
    facts: Mapping[str, Any], calls: rdoor.RObject, values: Mapping[str, NDArray[Any]]
) -> DesignPart:
    """Return a part, compared with R's matrix for `values`."""
    variables = tuple(_variable(x, calls, values) for x in facts["variables"])
    intercept = bool(facts["intercept"][0])
    terms = []
    start = int(intercept)
    for term in facts["terms"]:
        factors = tuple(
            (int(i), _rows(variables[i].contrasts, by_indicators=code == 2))
            for i, code in zip(term["variables"], term["codes"], strict=True)
        )
        widths = (variables[i].width if rows is None else rows.shape[1] for i, rows in factors)
        stop = start + prod(widths)
        terms.append(Term(factors, slice(start, stop)))
        start = stop
    part = DesignPart(
        names=() if facts["names"] is None else tuple(map(str, facts["names"])),
        columns=frozenset(name for x in variables for name in x.columns),
        _intercept=intercept,
        _variables=variables,
        _terms=tuple(terms),
        _calls=calls,
        _is_sum=bool(facts["is_sum"][0]),
    )
    if not part._is_sum and start != len(part.names):
        raise ImputationError(f"numpy has {start} columns for {len(part.names)}: {part.names}.")
    _compare(part, values, facts["matrix"])
    return part


def _variable(
    facts: Mapping[str, Any], calls: rdoor.RObject, values: Mapping[str, NDArray[Any]]
) -> Variable:
    def variable(expression: Expression | None) -> Variable:
        contrasts = facts["contrasts"]
        return Variable(
            name=str(facts["name"][0]),
            column=_text(facts["column"]),
            expression=expression,
            columns=tuple(map(str, facts["needs"])),
            width=int(facts["width"][0]),
            contrasts=None if contrasts is None else np.asarray(contrasts, dtype=np.float64),
        )

    by_r = variable(None)
    if facts["arithmetic"] is None:
        return by_r
    expression = read_expression(facts["arithmetic"])
    shape = np.shape(values[by_r.columns[0]])
    [expected] = _evaluated_by_r([by_r], calls, values, shape)
    is_same = np.allclose(evaluate(expression, values), expected, rtol=_SAME, atol=0)
    return variable(expression) if is_same else by_r


def _rows(contrasts: NDArray[np.float64] | None, *, by_indicators: bool) -> Any:
    """Return the rows that a factor's codes pick, with one of NaN at the end."""
    if contrasts is None:
        return None
    rows = np.eye(len(contrasts)) if by_indicators else contrasts
    return np.vstack([rows, np.full((1, rows.shape[1]), np.nan)])


def _text(value: Any) -> str | None:
    return None if value is None else str(value[0])


def _compare(part: DesignPart, values: Mapping[str, Any], matrix: NDArray[np.float64]) -> None:
    """Stop if numpy's matrix isn't R's."""
    if not part.names:
        return
    difference = np.abs(part.matrix(values) - matrix).max(axis=0)
    bound = _TOLERANCE * np.abs(matrix).max(axis=0)
    for name, is_within in zip(part.names, difference <= bound, strict=True):
        if not is_within:
            raise ImputationError(
                f"the column {name!r} of the design is not the one that R's model.matrix has."
            )
