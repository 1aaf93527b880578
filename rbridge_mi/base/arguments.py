"""Checks of arguments that several public names take, with one wording."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from ..errors import ArgumentError
from .checks import LEVEL, SECONDS, SEED, Check, Wrong, hint, nearest, whole

__all__ = [
    "check_columns",
    "check_count",
    "check_frame",
    "check_frame_for_r",
    "check_known",
    "check_level",
    "check_memory",
    "check_newdata",
    "check_seed",
    "check_timeout",
    "check_value",
    "checked_argument",
    "column_list",
    "r_arguments",
    "re_form_text",
]


def check_frame(data: Any, what: str = "data") -> pd.DataFrame:
    """Take a DataFrame with rows, columns, and column names that occur once.

    Parameters
    ----------
    data : object
        As it was given.
    what : str
        Name of the argument, for the message.

    Returns
    -------
    DataFrame
        The same.

    Raises
    ------
    ArgumentError
        Anything else.

    See Also
    --------
    check_frame_for_r : With column names that R can have.
    """
    if not isinstance(data, pd.DataFrame):
        raise ArgumentError(
            f"{what} must be a pandas DataFrame, not {type(data).__name__}: wrap it in "
            "pd.DataFrame(...)."
        )
    if data.shape[0] == 0 or data.shape[1] == 0:
        raise ArgumentError(
            f"{what} is empty ({data.shape[0]} rows, {data.shape[1]} columns): there is nothing to "
            "work on."
        )
    if not data.columns.is_unique:
        twice = data.columns[data.columns.duplicated()].unique().tolist()
        raise ArgumentError(
            f"{what} has column names that stand more than once: {twice}. Rename or drop one."
        )
    return data


def check_frame_for_r(data: Any, what: str = "data") -> pd.DataFrame:
    """Take a DataFrame as in `check_frame`, whose column names have one level, as R's have.

    Parameters
    ----------
    data : object
        As it was given.
    what : str
        Name of the argument, for the message.

    Returns
    -------
    DataFrame
        The same.

    Raises
    ------
    ArgumentError
        Anything else.

    See Also
    --------
    check_frame : For frames that are not sent to R.
    """
    check_frame(data, what)
    if isinstance(data.columns, pd.MultiIndex):
        raise ArgumentError(
            f"{what} has column names of {data.columns.nlevels} levels, and R's have one: make "
            "them text, for instance with `data.columns = ['_'.join(x) for x in data.columns]`."
        )
    return data


def check_columns(names: Iterable[Any], data: pd.DataFrame, argument: str) -> None:
    """Refuse names that are no columns of the frame.

    Parameters
    ----------
    names : iterable
        Names of columns.
    data : DataFrame
        The frame.
    argument : str
        Name of the argument, for the message.

    Raises
    ------
    ArgumentError
        Naming the unknown ones, with those that were probably meant, and all that there are.
    """
    unknown = [x for x in names if x not in data.columns]
    if unknown:
        texts = [x for x in data.columns if isinstance(x, str)]
        meant = dict.fromkeys(close for x in unknown if (close := nearest(x, texts)) is not None)
        question = f" (did you mean {', '.join(map(repr, meant))}?)" if meant else ""
        raise ArgumentError(
            f"{argument} names {', '.join(map(repr, unknown))}, which the data do not have"
            f"{question}; their columns are {', '.join(map(repr, data.columns))}."
        )


def column_list(value: Any, argument: str) -> list[str]:
    """Make a list of one name or of several; None is none.

    Parameters
    ----------
    value : str, iterable of str or None
        As it was given.
    argument : str
        Name of the argument, for the message.

    Returns
    -------
    list of str
        The names.

    Raises
    ------
    ArgumentError
        Anything else.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    names = list(value) if isinstance(value, Iterable) else None
    if names is None or not all(isinstance(x, str) for x in names):
        raise ArgumentError(f"{argument} must be a column name or a list of them, not {value!r}.")
    return names


def checked_argument(value: Any, check: Check, argument: str) -> Any:
    """Return the checked value, or raise an `ArgumentError` that says what the check says."""
    try:
        return check(value)
    except Wrong as wrong:
        raise ArgumentError(f"{argument} {wrong.told()}.") from None


def check_count(value: Any, argument: str, least: int) -> int:
    """Take a whole number of at least `least`.

    Parameters
    ----------
    value : object
        As it was given.
    argument : str
        Name of the argument, for the message.
    least : int
        The smallest that is taken.

    Returns
    -------
    int
        The number.

    Raises
    ------
    ArgumentError
        Anything else.
    """
    count: int = checked_argument(value, whole(least), argument)
    return count


def check_seed(seed: Any) -> int:
    """Take a seed for R's `set.seed`; None draws one, so that a result can say how to repeat it.

    Parameters
    ----------
    seed : int or None
        As it was given.

    Returns
    -------
    int
        The seed.

    Raises
    ------
    ArgumentError
        A seed that R can't take.
    """
    if seed is None:
        return secrets.randbelow(2**31)
    number: int = checked_argument(seed, SEED, "seed")
    return number


def check_known(
    given: Iterable[str], valid: Sequence[str], what: str, noun: str = "argument"
) -> None:
    """Refuse unknown names, with the nearest valid one and the list of them.

    Parameters
    ----------
    given : iterable of str
        As they were given.
    valid : sequence of str
        Those that there are.
    what : str
        What has these names, for the message.
    noun : str
        What the names are of.

    Raises
    ------
    ArgumentError
        An unknown name.

    See Also
    --------
    r_arguments : For arguments of R functions.
    """
    unknown = [x for x in given if x not in valid]
    if unknown:
        named = ", ".join(f"{x!r}{hint(x, valid)}" for x in unknown)
        raise ArgumentError(f"{what} has no {noun} {named}; it has {', '.join(valid)}.")


def check_value(value: Any, valid: Sequence[str], argument: str) -> None:
    """Refuse a text that is none of those that an argument takes, with the nearest one.

    Parameters
    ----------
    value : object
        As it was given.
    valid : sequence of str
        Those that it takes.
    argument : str
        Its name, for the message.

    Raises
    ------
    ArgumentError
        Another value.
    """
    if value not in valid:
        listed = ", ".join(map(repr, valid))
        meant = hint(value, valid)
        raise ArgumentError(f"{argument} must be one of {listed}, not {value!r}{meant}.")


def check_level(level: Any, argument: str = "conf_level") -> float:
    """Take a confidence level strictly between 0 and 1.

    Parameters
    ----------
    level : object
        As it was given.
    argument : str
        Name of the argument, for the message.

    Returns
    -------
    float
        The level.

    Raises
    ------
    ArgumentError
        Anything else.
    """
    number: float = checked_argument(level, LEVEL, argument)
    return number


def check_newdata(newdata: Any) -> None:
    """Refuse new data that are neither a DataFrame nor None, which stands for the rows of the fit.

    Parameters
    ----------
    newdata : object
        As it was given.

    Raises
    ------
    ArgumentError
        Anything else.
    """
    if newdata is not None and not isinstance(newdata, pd.DataFrame):
        raise ArgumentError(f"newdata must be a DataFrame, not {type(newdata).__name__}.")


def re_form_text(re_form: Any) -> str | None:
    """Write R's ``re.form`` as our R functions take it.

    Parameters
    ----------
    re_form : str or None
        As it was given: R's NULL is None.

    Returns
    -------
    str or None
        None for all random effects, "none", or the text of a formula.

    Raises
    ------
    ArgumentError
        Anything else.
    """
    if re_form is None:
        return None
    if not isinstance(re_form, str):
        raise ArgumentError(
            "re_form must be None (all random effects), 'NA' (none), or a one-sided formula such "
            f"as '~(1 | group)', not {re_form!r}."
        )
    return "none" if re_form.replace(" ", "") in ("NA", "~0") else re_form


def r_arguments(
    given: Mapping[str, Any], valid: Sequence[str], refused: Mapping[str, str], what: str
) -> dict[str, Any]:
    """Collect arguments of an R function by R's names, which can be written with `_` for `.`.

    Parameters
    ----------
    given : mapping of str to object
        As they were given.
    valid : sequence of str
        R's names of those that are passed on.
    refused : mapping of str to str
        R's names of those that the R function has and that are not passed on, with the reason.
    what : str
        The method, for the message.

    Returns
    -------
    dict of str to object
        The arguments by R's names.

    Raises
    ------
    ArgumentError
        An argument that is refused, unknown, or given under both names.
    """
    dotted_arguments: dict[str, Any] = {}
    for name, value in given.items():
        dotted = name if name in valid else name.replace("_", ".")
        if dotted in refused:
            raise ArgumentError(f"{what} does not take {name!r}: {refused[dotted]}.")
        if dotted not in valid:
            check_known([name], valid, what)
        if dotted in dotted_arguments:
            raise ArgumentError(f"{what} was given {dotted!r} twice.")
        dotted_arguments[dotted] = value
    return dotted_arguments


def check_memory(m: int, each: int, what: str) -> None:
    """Refuse m data sets of (at least) so many bytes each that this machine can't hold them.

    Parameters
    ----------
    m : int
        Number of data sets.
    each : int
        Bytes of each.
    what : str
        What they are, for the message.

    Raises
    ------
    ArgumentError
        If they are more than the machine's memory.
    """
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # a system that doesn't report it
        there = 2**40
    needed = m * each
    if needed > there:
        raise ArgumentError(
            f"m = {m} {what} of these data need at least {needed / 1e9:,.0f} GB, and this machine "
            f"has {there / 1e9:,.0f} GB of memory: give a smaller m (5 to 100 imputations, or 200 "
            "to 2,000 bootstrap samples, are usual)."
        )


def check_timeout(timeout: Any) -> float | None:
    """Take a positive number of seconds that a clock can count to, or None for no limit.

    Parameters
    ----------
    timeout : float or None
        As it was given.

    Returns
    -------
    float or None
        The same.

    Raises
    ------
    ArgumentError
        Anything else.
    """
    if timeout is None:
        return None
    seconds: float = checked_argument(timeout, SECONDS, "timeout")
    return seconds
