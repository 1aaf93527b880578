"""What an engine's arguments hold, in one list: for Python's checks and for those of job files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from ..base.arguments import check_known, checked_argument, column_list
from ..base.checks import whole
from ..base.parameters import Parameters
from ..errors import ArgumentError

__all__ = ["Argument", "EngineParameters", "check_kinds", "columns_named", "under_r_names"]

Kind = Literal[
    "columns",
    "column",
    "table",
    "number",
    "whole",
    "wholes",
    "start",
    "matrix",
    "text",
    "truth",
    "choice",
    "object",
    "by column",
    "text",
    "texts",
    "methods",
    "blocks",
    "values",
    "formulas",
    "roles",
    "prior",
]
Each = Literal["", "choice", "level", "bounds", "derivation", "text", "types", "settings"]


@dataclass(frozen=True)
class Argument:
    """An argument of an engine that makes imputations.

    Parameters
    ----------
    name : str
        R's name, or Python's where the engine is no R function.
    kind : str
        "columns" (names of columns), "column", "table" (rows of numbers), "number", "whole" (a
        whole number), "wholes" (`count` of them), "start" (a whole number or a matrix), "matrix"
        (of numbers), "truth", "choice" (one of `choices`), "object" (an R object), "by column" (a
        mapping from names of columns to something of each), "text", "texts" (one or several),
        "methods" (texts, or a mapping from names of columns or blocks to them), "blocks" (lists of
        columns, or a mapping to them), "values" (a frame or values for each row, which the engine
        itself checks), "formulas" (a text, or one for level 1 and one for level 2), "roles" (a
        mapping from names of columns to whole numbers, or two of them likewise) or "prior" (a
        mapping from names to numbers and matrices, or several).
    least, most : float, optional
        Limits of a number in a job file; R itself says what it thinks of others.
    above : bool
        The least number itself is too small.
    count : int
        How many whole numbers.
    choices : tuple of str
        All the texts that are taken.
    widths : tuple of int
        How many numbers a row of a table may have.
    column_at : int
        Which of them, counted from 1, stands for a column and may be its name.
    each : str
        What a mapping gives a column: "choice" (one of `choices`), "level" (a grouping factor, or
        none), "bounds" (the least and the greatest value), "derivation" (how it is computed),
        "text", "types" (whole numbers by column) or "settings" (arguments by name).
    hidden : str
        Why a job file doesn't take the argument, and a signature doesn't show it; empty for others.
    """

    name: str
    kind: Kind
    least: float | None = None
    most: float | None = None
    above: bool = False
    count: int = 0
    choices: tuple[str, ...] = ()
    widths: tuple[int, ...] = ()
    column_at: int = 0
    each: Each = ""
    hidden: str = ""

    @property
    def python_name(self) -> str:
        """R's name with `_` for `.`, and in place of capitals: `predictor_matrix`."""
        parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.name)
        return (parted.lower() if parted != self.name else self.name).replace(".", "_")


class EngineParameters(Parameters):
    """An engine's class, whose constructor takes arguments under Python's and under R's names."""

    known: ClassVar[Sequence[Argument]] = ()
    _given: Mapping[str, Any]

    def remember(self, given: Mapping[str, Any]) -> None:
        """Keep the constructor's arguments for `get_params`, under Python's names.

        Parameters
        ----------
        given : mapping
            The constructor's ``locals()`` at its beginning.
        """
        further = given.get("arguments", {})
        self._given = {
            **{name: x for name, x in given.items() if name not in _NO_ARGUMENTS},
            **{self.parameter_name(name): x for name, x in further.items()},
        }

    def own_parameters(self) -> dict[str, Any]:
        """Return the constructor's arguments by Python's names, as they were given."""
        return dict(self._given)

    def parameter_name(self, name: str) -> str:
        """Return Python's name of an argument that was given by R's; see `Parameters`."""
        return next((x.python_name for x in self.known if x.name == name), name)


_NO_ARGUMENTS = ("self", "arguments", "__class__")


def under_r_names(
    given: Iterable[tuple[str, Any]], arguments: Sequence[Argument], what: str
) -> dict[str, Any]:
    """Put arguments under R's names, refuse unknown ones, and leave out those that are None.

    Parameters
    ----------
    given : iterable of (str, object)
        Names, R's or Python's, and values.
    arguments : sequence of Argument
    what : str
        The class, for messages.

    Returns
    -------
    dict
        Values by R's names.

    Raises
    ------
    ArgumentError
        An unknown argument, or one that is given under both names.
    """
    names = [x.name for x in arguments]
    by_python = {x.python_name: x.name for x in arguments}
    values: dict[str, Any] = {}
    for written, value in given:
        name = by_python.get(written, written)
        if values.get(name) is not None and value is not None:
            raise ArgumentError(f"{name} is given twice, under R's name and under Python's.")
        if value is not None or name not in names:
            values[name] = value
    check_known(values, names, what)
    return values


def check_kinds(given: dict[str, Any], arguments: Sequence[Argument]) -> dict[str, Any]:
    """Check values by the kind of their arguments; names of columns become lists of names.

    Compiled code may take these unchecked: a text in place of a number would end the process.

    Parameters
    ----------
    given : dict
        Values by R's names.
    arguments : sequence of Argument

    Returns
    -------
    dict
        The checked values by R's names.

    Raises
    ------
    ArgumentError
        A value of another kind.
    """
    kinds = {x.name: x for x in arguments}
    return {name: _checked(kinds[name], value) for name, value in given.items()}


def _checked(argument: Argument, value: Any) -> Any:
    name, kind = argument.name, argument.kind
    if kind == "columns":
        return column_list(value, name)
    if kind == "column" and not isinstance(value, str):
        raise ArgumentError(f"{name} must be the name of one column, not {value!r}.")
    numbers = kind in ("number", "whole", "wholes", "start")
    if numbers and np.asarray(value).dtype.kind not in "biuf":
        raise ArgumentError(f"{name} must be a number or numbers, not {value!r}.")
    if kind == "wholes" and np.shape(value) != (argument.count,):
        raise ArgumentError(f"{name} must be {argument.count} whole numbers, not {value!r}.")
    if kind == "choice" and value not in argument.choices:
        raise ArgumentError(f"{name} must be {' or '.join(argument.choices)}, not {value!r}.")
    if kind == "matrix":
        return _matrix(value, name)
    if kind == "text" and not isinstance(value, str):
        raise ArgumentError(f"{name} must be text, not {value!r}.")
    if kind == "object" and not hasattr(value, "__rsexp__"):
        raise ArgumentError(f"{name} must be an R object, not {type(value).__name__}.")
    if kind == "truth" and not isinstance(value, bool | np.bool_):
        raise ArgumentError(f"{name} must be True or False, not {value!r}.")
    if kind == "text" and not isinstance(value, str):
        raise ArgumentError(f"{name} must be a text, not {value!r}.")
    if kind == "texts" and not all(isinstance(x, str) for x in _several(value)):
        raise ArgumentError(f"{name} must be a text or a list of texts, not {value!r}.")
    if kind == "by column" and argument.each == "types" and isinstance(value, pd.DataFrame):
        return value
    if kind == "by column" and not isinstance(value, Mapping):
        raise ArgumentError(f"{name} must be a mapping from names of columns, not {value!r}.")
    if kind == "formulas":
        return _of_levels(name, value, str, "a formula as text")
    if kind == "roles":
        return [_roles(argument, x) for x in _of_levels(name, value, Mapping, "a mapping")]
    return value


def _matrix(value: Any, name: str) -> np.ndarray[Any, Any]:
    try:
        matrix = np.array(value, np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} must be a matrix of numbers, not {value!r}.") from None
    if matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise ArgumentError(f"{name} must be a matrix (rows and columns) of finite numbers.")
    return matrix


def _several(value: Any) -> Sequence[Any]:
    """Return a list of one or of several; of what is no list, a list that holds it."""
    return [*value] if isinstance(value, list | tuple) else [value]


def _of_levels(name: str, value: Any, kind: type, what: str) -> list[Any]:
    """Make a list of one value or of two, for level 1 and level 2."""
    values = [value] if isinstance(value, kind) else value
    right = isinstance(values, list | tuple) and all(isinstance(x, kind) for x in values)
    if not right or len(values) not in (1, 2):
        raise ArgumentError(
            f"{name} must be {what}, or a list of two of them for level 1 and level 2, not "
            f"{value!r}."
        )
    return list(values)


def _roles(argument: Argument, value: Mapping[str, Any]) -> dict[str, int]:
    least, most = argument.least, argument.most
    check = whole(None if least is None else int(least), None if most is None else int(most))
    return {
        name: int(checked_argument(x, check, f"{argument.name} of {name!r}"))
        for name, x in value.items()
    }


def columns_named(argument: Argument, value: Any) -> list[str]:
    """Return the names of columns in an argument's value.

    Parameters
    ----------
    argument : Argument
    value : object
        Of its kind.

    Returns
    -------
    list of str
        Empty where the argument names no columns.
    """
    if argument.kind == "table":
        at = argument.column_at - 1
        return [row[at] for row in value if isinstance(row[at], str)]
    if argument.kind == "column":
        return [value]
    if argument.kind == "by column":
        # Such an argument of mice's may be by the names of blocks.
        return [] if argument.each in ("text", "types", "settings") else list(value)
    if argument.kind == "roles":
        levels = [value] if isinstance(value, Mapping) else value
        return list(dict.fromkeys(name for level in levels for name in level))
    return list(column_list(value, argument.name)) if argument.kind == "columns" else []
