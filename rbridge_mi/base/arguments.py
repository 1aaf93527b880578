"""Checks of arguments that several public names take, with one wording."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from ..errors import ArgumentError
from .checks import LEVEL, SECONDS, SEED, Check, Wrong, nearest, whole

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
    "checked_argument",
    "column_list",
    "r_arguments",
    "re_form_text",
]


def check_frame(data: Any, what: str = "data") -> pd.DataFrame:
    """Check a DataFrame: it has rows and columns, and each column name stands once."""
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
    twice = data.columns[data.columns.duplicated()].unique().tolist()
    if twice:
        raise ArgumentError(
            f"{what} has column names that stand more than once: {twice}. Rename or drop one."
        )
    return data


def check_frame_for_r(data: Any, what: str = "data") -> pd.DataFrame:
    """Check a frame as above, and that its column names have one level, as R's have."""
    check_frame(data, what)
    if isinstance(data.columns, pd.MultiIndex):
        raise ArgumentError(
            f"{what} has column names of {data.columns.nlevels} levels, and R's have one: make "
            "them text, for instance with `data.columns = ['_'.join(x) for x in data.columns]`."
        )
    return data


def check_columns(names: Iterable[Any], data: pd.DataFrame, argument: str) -> None:
    """Every name is a column of the frame."""
    unknown = [x for x in names if x not in data.columns]
    if unknown:
        raise ArgumentError(
            f"{argument} names {', '.join(map(repr, unknown))}, which the data do not have; their "
            f"columns are {', '.join(map(repr, data.columns))}."
        )


def column_list(value: Any, argument: str) -> list[str]:
    """One name or a list of names, as a list of names."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, Iterable) or not all(isinstance(x, str) for x in value):
        raise ArgumentError(f"{argument} must be a column name or a list of them, not {value!r}.")
    return list(value)


def checked_argument(value: Any, check: Check, argument: str) -> Any:
    """Return the checked value, or raise an `ArgumentError` that says what the check says."""
    try:
        return check(value)
    except Wrong as wrong:
        raise ArgumentError(f"{argument} {wrong.told()}.") from None


def check_count(value: Any, argument: str, least: int) -> int:
    """Check a whole number of at least `least`."""
    count: int = checked_argument(value, whole(least), argument)
    return count


def check_seed(seed: Any) -> int:
    """Check the seed for R's `set.seed`; for None draw one, which the result then tells."""
    if seed is None:
        return secrets.randbelow(2**31)
    number: int = checked_argument(seed, SEED, "seed")
    return number


def check_known(given: Iterable[str], valid: Sequence[str], what: str) -> None:
    """Refuse unknown argument names, with the nearest valid one and the list of them."""
    unknown = [x for x in given if x not in valid]
    if unknown:
        named = ", ".join(f"{x!r}{_hint(nearest(x, valid))}" for x in unknown)
        raise ArgumentError(f"{what} has no argument {named}; it has {', '.join(valid)}.")


def _hint(name: str | None) -> str:
    return f" (did you mean {name!r}?)" if name is not None else ""


def check_level(level: Any, argument: str = "conf_level") -> float:
    """Check a confidence level, which lies strictly between 0 and 1."""
    number: float = checked_argument(level, LEVEL, argument)
    return number


def check_newdata(newdata: Any) -> None:
    """Check new data: a DataFrame, or None for the rows of the fit."""
    if newdata is not None and not isinstance(newdata, pd.DataFrame):
        raise ArgumentError(f"newdata must be a DataFrame, not {type(newdata).__name__}.")


def re_form_text(re_form: Any) -> str | None:
    """R's ``re.form`` as our R functions take it: None, "none", or a formula's text."""
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
    """Arguments of an R function by R's names, each of which can be written with `_` for `.`.

    Parameters
    ----------
    given : mapping
        As they were given.
    valid : sequence of str
        R's names of those that are passed on.
    refused : mapping
        R's names of those that the R function has and that are not passed on, with the reason.
    what : str
        The method, for the message.

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
    """Refuse m data sets of (at least) so many bytes each that this machine can't hold them."""
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # a system that doesn't tell
        there = 2**40
    needed = m * each
    if needed > there:
        raise ArgumentError(
            f"m = {m} {what} of these data need at least {needed / 1e9:,.0f} GB, and this machine "
            f"has {there / 1e9:,.0f} GB of memory: give a smaller m (5 to 100 imputations, or 200 "
            "to 2,000 bootstrap samples, are usual)."
        )


def check_timeout(timeout: Any) -> float | None:
    """Check a positive number of seconds that a clock can count to, or None for no limit."""
    if timeout is None:
        return None
    seconds: float = checked_argument(timeout, SECONDS, "timeout")
    return seconds
