"""Arithmetic of a formula, such as ``I(x^2)`` or ``log(x)``, as numpy computes it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Expression", "evaluate", "read_expression"]

# A number, a column's name as (name,), or a function's name with its arguments.
Expression: TypeAlias = "float | tuple[Any, ...]"

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
    "negative": operator.neg,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "exp": np.exp,
    "expm1": np.expm1,
    "sqrt": np.sqrt,
    "abs": np.abs,
}


def read_expression(tree: Any) -> Expression:
    """Return the expression of what ``arithmetic_tree`` in r/imputers/design.R gives.

    Parameters
    ----------
    tree : array or list
        A number, the text of a column's name, or a list of a function's name and its arguments.

    Returns
    -------
    float or tuple
        A number, a column's name as ``(name,)``, or a function's name with its arguments.
    """
    if isinstance(tree, list):
        return (str(tree[0][0]), *map(read_expression, tree[1:]))
    return (tree[0],) if isinstance(tree[0], str) else np.float64(tree[0])


def evaluate(expression: Expression, values: Mapping[str, NDArray[Any]]) -> Any:
    """Compute an expression; NaN or infinite where R's answer is, without a warning.

    Parameters
    ----------
    expression : float or tuple
        As `read_expression` returns it.
    values : mapping of str to array
        The columns that it names.

    Returns
    -------
    array
        Of the columns' shape.
    """
    with np.errstate(all="ignore"):
        return _value(expression, values)


def _value(expression: Expression, values: Mapping[str, NDArray[Any]]) -> Any:
    if not isinstance(expression, tuple):
        return expression
    name: str = expression[0]
    arguments: Sequence[Expression] = expression[1:]
    if not arguments:
        return np.asarray(values[name], dtype=np.float64)
    return _FUNCTIONS[name](*(_value(x, values) for x in arguments))
