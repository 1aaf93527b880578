"""Which columns follow from others, as the argument `derived` declares them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

import pandas as pd

from ..errors import ArgumentError

__all__ = ["check_derived", "in_order", "origins", "sources"]

_CONSTANTS = {"TRUE", "FALSE", "NULL", "NA", "NaN", "Inf", "pi"}
_TOKEN = re.compile(
    r"""
    "[^"]*" | '[^']*'                        # texts
    | (?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?L? # numbers
    | `(?P<quoted>[^`]+)`
    | (?P<plain>[^\W\d_.][\w.]*|\.[^\W\d][\w.]*)
      (?P<after>\s*(?:\(|::|=(?!=)))?        # a function, a package, or an argument's name
    """,
    re.VERBOSE,
)


def sources(formula: tuple[str, str, str] | str) -> list[str]:
    """Return the columns that a derived column follows from.

    Parameters
    ----------
    formula : tuple or str
        ``("mean", column, group)``, or an R expression.

    Returns
    -------
    list of str
        Names in the order in which they first occur.

    Examples
    --------
    >>> sources("log(ses) + x * 2e3")
    ['ses', 'x']
    """
    if not isinstance(formula, str):
        return [formula[1]]
    names = [
        x["quoted"] or x["plain"]
        for x in _TOKEN.finditer(formula)
        if x["quoted"] or (x["plain"] and not x["after"] and x["plain"] not in _CONSTANTS)
    ]
    return list(dict.fromkeys(names))


def in_order(derived: Mapping[str, Any]) -> list[str]:
    """Put derived columns in an order in which each comes after those that it follows from.

    Parameters
    ----------
    derived : mapping of str to tuple or str
        As `check_derived` takes it.

    Returns
    -------
    list of str
        The names.

    Examples
    --------
    >>> in_order({"ses_c": "ses - ses_m", "ses_m": ("mean", "ses", "schid")})
    ['ses_m', 'ses_c']
    """
    of = {name: [x for x in sources(derived[name]) if x in derived] for name in derived}
    return list(TopologicalSorter(of).static_order())


def origins(name: str, derived: Mapping[str, Any]) -> list[str]:
    """Return the columns that a derived column follows from in the end: none of them is derived.

    Parameters
    ----------
    name : str
        The derived column.
    derived : mapping of str to tuple or str
        As `check_derived` takes it.

    Returns
    -------
    list of str
        Names in the order in which they first occur.

    Examples
    --------
    >>> origins("ses_c", {"ses_c": "ses - ses_m", "ses_m": ("mean", "ses", "schid")})
    ['ses']
    """
    names: dict[str, None] = {}
    for source in sources(derived[name]):
        names |= dict.fromkeys(origins(source, derived) if source in derived else [source])
    return list(names)


def check_derived(
    derived: Mapping[str, Any], data: pd.DataFrame, factors: Sequence[str], response: str
) -> None:
    """Check the form of what `derived` declares, and the names in it.

    Parameters
    ----------
    derived : mapping of str to tuple or str
        By column, ``("mean", column, group)`` or an R expression.
    data : DataFrame
        With all columns.
    factors : sequence of str
        The grouping factors of the model.
    response : str
        The response, which can't be derived.

    Raises
    ------
    ArgumentError
        Another form, an unknown name, or columns that follow from one another in a circle.
    """
    for name, formula in derived.items():
        is_mean = isinstance(formula, tuple | list) and len(formula) == 3 and formula[0] == "mean"
        if not is_mean and not (isinstance(formula, str) and formula.strip()):
            raise ArgumentError(
                f"derived gives {name!r} {formula!r}; it must be ('mean', column, group), or an R "
                "expression of columns such as 'log(ses)'."
            )
        if name == response:
            raise ArgumentError(
                f"derived names {name!r}, the response, which the analysis model imputes: leave "
                "it out there."
            )
        if is_mean and formula[2] not in factors:
            raise ArgumentError(
                f"derived gives {name!r} the mean in {formula[2]!r}, which is no grouping factor "
                f"of the model; they are {', '.join(map(repr, factors))}."
            )
        plain = [] if is_mean else [x["plain"] for x in _TOKEN.finditer(formula)]
        ambiguous = [x for x in plain if x in _CONSTANTS and x in data.columns]
        if ambiguous:
            raise ArgumentError(
                f"derived gives {name!r} {formula!r}, and {ambiguous[0]} is a constant of R and a "
                f"column of the data: write `{ambiguous[0]}` in backticks if you mean the column, "
                "else rename it."
            )
        unknown = [x for x in sources(formula) if x not in data.columns]
        if unknown:
            raise ArgumentError(
                f"derived gives {name!r} {formula!r}, and the data have no column "
                f"{', '.join(map(repr, unknown))}; their columns are "
                f"{', '.join(map(repr, data.columns))}."
            )
        if not sources(formula):
            raise ArgumentError(
                f"derived gives {name!r} {formula!r}, in which no column is named: leave it out."
            )
    for name in derived:
        _check_circle(name, derived, [])


def _check_circle(name: str, derived: Mapping[str, Any], trail: list[str]) -> None:
    if name in trail:
        circle = " -> ".join([*trail[trail.index(name) :], name])
        raise ArgumentError(
            f"derived has a circle, {circle}: one of these columns must be given, not derived."
        )
    for source in sources(derived[name]) if name in derived else []:
        _check_circle(source, derived, [*trail, name])
