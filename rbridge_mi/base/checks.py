"""What a value must be: checks that calls and job files share.

A check returns the value, or raises `Wrong` with a text that goes on after the value's name. A call
raises the first of them as an `ArgumentError` (`base.arguments`), and shows values as Python writes
them; a job collects all of its mistakes (`jobs.values`), and shows values as TOML writes them.
"""

from __future__ import annotations

import difflib
import math
import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np

__all__ = [
    "LEVEL",
    "SECONDS",
    "SEED",
    "Check",
    "Wrong",
    "any_of",
    "any_text",
    "boolean",
    "hint",
    "is_number",
    "list_of",
    "nearest",
    "number",
    "one_of",
    "text",
    "whole",
]

Check: TypeAlias = Callable[[Any], Any]


class Wrong(Exception):  # noqa: N818 - never leaves this package
    """A value that can't be right.

    Parameters
    ----------
    text : str
        Goes on after the value's name; {} stands where a value is to be shown.
    *values : object
        Those to show.

    Examples
    --------
    >>> Wrong("must be a text, not {}", 1).told()
    'must be a text, not 1'
    """

    def __init__(self, text: str, *values: Any) -> None:
        super().__init__(text, *values)
        self.text = text
        self.values = values

    def told(self, shown: Callable[[Any], str] = repr) -> str:
        """Return the text, with the values in it as `shown` writes them."""
        first, *rest = self.text.split("{}")
        return first + "".join(shown(x) + y for x, y in zip(self.values, rest, strict=True))


def is_number(value: Any) -> bool:
    """Tell whether it is an integer or a float, of Python or numpy; truth values are none."""
    number = isinstance(value, int | float | np.integer | np.floating)
    return number and not isinstance(value, bool)


def whole(least: int | None = None, most: int | None = None) -> Check:
    """Make the check of a whole number within limits.

    Examples
    --------
    >>> whole(2)(3)
    3
    """
    if least is not None and most is not None:
        wanted = f"a whole number from {least} to {most}"
    else:
        wanted = "a whole number" + ("" if least is None else f" of at least {least}")

    def check(value: Any) -> int:
        right = isinstance(value, int | np.integer) and not isinstance(value, bool)
        low = least is not None and right and value < least
        high = most is not None and right and value > most
        if not right or low or high:
            raise Wrong(f"must be {wanted}, not {{}}", value)
        return int(value)

    return check


def number(
    wanted: str = "a number", right: Callable[[float], bool] = math.isfinite
) -> Callable[[Any], float]:
    """Make the check of a number for which `right` holds."""

    def check(value: Any) -> float:
        if not is_number(value) or not right(value):
            raise Wrong(f"must be {wanted}, not {{}}", value)
        return float(value)

    return check


def boolean(value: Any) -> bool:
    """Check a truth value."""
    if not isinstance(value, bool):
        raise Wrong("must be true or false, not {}", value)
    return value


def any_text(value: Any) -> str:
    """Check a text, which may be empty."""
    if not isinstance(value, str):
        raise Wrong("must be a text, not {}", value)
    return value


def text(value: Any) -> str:
    """Check a text that isn't empty."""
    if not any_text(value).strip():
        raise Wrong("must be a text, not {}", value)
    return str(value)


def one_of(*names: str) -> Check:
    """Make the check of a text that is one of these."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            listed = ", ".join(f'"{x}"' for x in names)
            raise Wrong(f"must be one of {listed}, not {{}}", value)
        return value

    return check


def list_of(
    check: Check,
    wanted: str,
    least: int = 1,
    most: float = math.inf,
    *,
    single: bool = False,
    unique: bool = True,
) -> Check:
    """Make the check of a list of values that each pass; with `single`, one alone will do."""

    def check_all(value: Any) -> list[Any]:
        if single and not isinstance(value, list):
            value = [value]
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise Wrong(f"must be a list of {wanted}, not {{}}", value)
        items = []
        for item in value:
            try:
                items.append(check(item))
            except Wrong as wrong:
                told = f"must be a list of {wanted}; an item {wrong.text}"
                raise Wrong(told, *wrong.values) from None
        twice = [x for i, x in enumerate(items) if x in items[:i]]
        if unique and twice:
            raise Wrong("names {} twice", twice[0])
        return items

    return check_all


def any_of(*checks: Check) -> Check:
    """Make the check of a value that passes one of these, the last of which says what it is."""

    def check(value: Any) -> Any:
        for attempt in checks[:-1]:
            try:
                return attempt(value)
            except Wrong:
                continue
        return checks[-1](value)

    return check


def nearest(name: Any, valid: Iterable[str]) -> str | None:
    """Return the valid name that was probably meant; None where none is near.

    Examples
    --------
    >>> nearest("max_resamples", ["max.resample", "m"])
    'max.resample'
    """

    def plain(text: str) -> str:
        return "".join(x for x in text.casefold() if x.isalnum())

    by_plain = {plain(x): x for x in valid}
    close = difflib.get_close_matches(plain(str(name)), by_plain, n=1, cutoff=0.75)
    return by_plain[close[0]] if close else None


def hint(name: Any, valid: Iterable[str]) -> str:
    """Return the question whether the nearest valid name was meant, for a message; or nothing.

    Examples
    --------
    >>> hint("sess", ["ses", "size"]), hint("q", ["ses", "size"])
    (" (did you mean 'ses'?)", '')
    """
    close = nearest(name, valid)
    return "" if close is None else f" (did you mean {close!r}?)"


#: The seed of R's `set.seed`.
SEED = whole(-(2**31) + 1, 2**31 - 1)

#: A confidence level.
LEVEL = number("a number between 0 and 1 (0.95 for 95%)", lambda x: 0 < x < 1)

_LONGEST = threading.TIMEOUT_MAX  # the limit of Python's waits

#: A time limit that a clock can count to.
SECONDS = number(
    f"a positive number of seconds, at most {_LONGEST:.0f} ({_LONGEST / 31_556_952:.0f} years)",
    lambda x: 0 < x <= _LONGEST,
)
