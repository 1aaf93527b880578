"""What a value of a job file must be: one small check per kind, and mistakes by their key."""

from __future__ import annotations

import datetime as dt
import difflib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from ..errors import RBridgeError

__all__ = [
    "Check",
    "JobError",
    "Mistakes",
    "Table",
    "Wrong",
    "any_of",
    "boolean",
    "encoding",
    "list_of",
    "matrix",
    "number",
    "one_of",
    "shown",
    "text",
    "text_list",
    "whole",
]

Check: TypeAlias = Callable[[Any], Any]
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN = 60


class Wrong(Exception):  # noqa: N818 - never leaves this package
    """A value that can't be right; the text goes on after the key."""


class JobError(RBridgeError, ValueError):
    """A job that can't be run as it stands; every mistake that was found is in the message.

    Attributes
    ----------
    mistakes : tuple of (key, text)
        Such as ``("imputation.m", "must be a whole number of at least 2, not 1.5")``.

    Examples
    --------
    >>> print(JobError("job.toml", [("imputation.m", "must be a whole number, not 1.5")]))
    job.toml has 1 mistake:
      imputation.m: must be a whole number, not 1.5
    """

    def __init__(self, job: str, mistakes: Iterable[tuple[str, str]]) -> None:
        self.job = job
        self.mistakes = tuple(mistakes)
        count = len(self.mistakes)
        lines = [f"{job} has {count} mistake{'s' if count > 1 else ''}:"]
        told = (f"{key}: {text.strip()}" for key, text in self.mistakes)
        lines += ["  " + text.replace("\n", "\n    ") for text in told]
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.job, self.mistakes))


class Mistakes(list[tuple[str, str]]):
    """Mistakes as they are found, each under its key."""

    def add(self, key: str, text: str) -> None:
        """One more, unless it is known already."""
        if (key, text) not in self:
            self.append((key, text))

    def under(self, key: str) -> bool:
        """Whether the key, or one below it, has a mistake."""
        return any(x == key or x.startswith(f"{key}.") for x, _ in self)

    def stop(self, job: str) -> None:
        """Raise what was found, if anything was."""
        if self:
            raise JobError(job, self)


class Table:
    """A table of the job file, read key by key; what nobody asked for is unknown."""

    def __init__(self, key: str, value: Any, mistakes: Mistakes) -> None:
        self.key = key
        self.mistakes = mistakes
        self.given: dict[str, Any] = {}
        self._valid: list[str] = []
        self._refused: list[str] = []
        if isinstance(value, Mapping):
            self.given = dict(value)
        else:
            mistakes.add(key, f"must be a table of keys and values, not {shown(value)}")

    def take(self, name: str, check: Check, default: Any = None, required: str = "") -> Any:
        """The checked value of a key, or the default; `required` says what to write there."""
        self._valid.append(name)
        if name not in self.given:
            if required:
                self.mistakes.add(self.path(name), f"is missing: {required}")
            return default
        try:
            return check(self.given[name])
        except Wrong as wrong:
            self.mistakes.add(self.path(name), str(wrong))
            return default

    def refuse(self, name: str, why: str) -> None:
        """A key that is known, but has no place here."""
        if name in self.given:
            self._refused.append(name)
            self.mistakes.add(self.path(name), why)

    def flatten(self, valid: Iterable[str]) -> None:
        """Let R's dotted names be written as TOML reads them: ``max.resample = 10`` or with _."""
        names = list(valid)
        plain = {x.replace(".", "_"): x for x in names}
        found: dict[str, Any] = {}

        def walk(prefix: str, table: Mapping[str, Any]) -> None:
            for key, value in table.items():
                name = prefix + key
                inner = isinstance(value, Mapping) and name not in names
                if inner and any(x.startswith(f"{name}.") for x in names):
                    walk(f"{name}.", value)
                else:
                    found[plain.get(name, name)] = value

        walk("", self.given)
        self.given = found

    def path(self, name: str) -> str:
        """The key as it would be written at the top of the file."""
        part = name if all(map(_BARE.fullmatch, name.split("."))) else shown(name)
        return f"{self.key}.{part}" if self.key else part

    def finish(self, *names: str) -> None:
        """Let these keys stand unchecked, and report the unknown ones."""
        self._refused += names
        self.done()

    def done(self) -> None:
        """Report the keys that nobody asked for."""
        for name in self.given:
            if name in self._valid or name in self._refused:
                continue
            close = difflib.get_close_matches(name, self._valid, 1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            valid = ", ".join(self._valid)
            self.mistakes.add(
                self.path(name), f"is no key that is known here{hint}; valid: {valid}"
            )


def shown(value: Any) -> str:
    """A value as TOML writes it, cut short."""
    if isinstance(value, dt.date | dt.time):
        text = str(value)
    elif isinstance(value, float):
        text = repr(value)
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
        if not text.isprintable():  # nothing from a file may steer a terminal
            text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole(least: int | None = None, most: int | None = None) -> Check:
    """A whole number within limits."""
    if least is not None and most is not None:
        wanted = f"a whole number from {least} to {most}"
    else:
        wanted = "a whole number" + ("" if least is None else f" of at least {least}")

    def check(value: Any) -> int:
        right = isinstance(value, int) and not isinstance(value, bool)
        low = least is not None and right and value < least
        high = most is not None and right and value > most
        if not right or low or high:
            raise Wrong(f"must be {wanted}, not {shown(value)}")
        return int(value)

    return check


def number(
    wanted: str = "a number", right: Callable[[float], bool] = math.isfinite
) -> Callable[[Any], float]:
    """A number for which `right` holds."""

    def check(value: Any) -> float:
        if not _is_number(value) or not right(value):
            raise Wrong(f"must be {wanted}, not {shown(value)}")
        return float(value)

    return check


def boolean(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Wrong(f"must be true or false, not {shown(value)}")
    return value


def text(value: Any) -> str:
    """A text that isn't empty."""
    if not isinstance(value, str) or not value.strip():
        raise Wrong(f"must be a text, not {shown(value)}")
    return value


def one_of(*names: str) -> Check:
    """One of these texts."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise Wrong(f"must be one of {', '.join(map(shown, names))}, not {shown(value)}")
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
    """A list of values that each pass, none twice; with `single`, one value alone will do."""

    def check_all(value: Any) -> list[Any]:
        if single and not isinstance(value, list):
            value = [value]
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise Wrong(f"must be a list of {wanted}, not {shown(value)}")
        found = []
        for item in value:
            try:
                found.append(check(item))
            except Wrong as wrong:
                raise Wrong(f"must be a list of {wanted}; an item {wrong}") from None
        twice = [x for i, x in enumerate(found) if x in found[:i]]
        if unique and twice:
            raise Wrong(f"names {shown(twice[0])} twice")
        return found

    return check_all


def _any_text(value: Any) -> str:
    if not isinstance(value, str):
        raise Wrong(f"must be a text, not {shown(value)}")
    return value


def text_list(wanted: str, least: int = 0) -> Check:
    """A list of texts, the empty one among them."""
    return list_of(_any_text, wanted, least)


def matrix(widths: Iterable[int] = (), name_at: int | None = None) -> Check:
    """Rows of numbers of one length; at position `name_at` (from 0) a column's name will do."""
    allowed = tuple(widths)
    size = f"{' or '.join(map(str, allowed))} numbers" if allowed else "numbers"
    or_name = "" if name_at is None else f" (number {name_at + 1} may be a column's name)"
    wanted = f"must be rows of {size}{or_name}"

    def check(value: Any) -> list[list[Any]]:
        if not isinstance(value, list) or not value:
            raise Wrong(f"{wanted}, not {shown(value)}")
        for row in value:
            if not isinstance(row, list) or not row or (allowed and len(row) not in allowed):
                raise Wrong(f"{wanted}, not {shown(row)}")
            for i, item in enumerate(row):
                if not _is_number(item) and not (i == name_at and isinstance(item, str)):
                    raise Wrong(f"{wanted}, not {shown(row)}")
        if len({len(row) for row in value}) > 1:
            raise Wrong("must be rows of one length")
        return [list(row) for row in value]

    return check


def any_of(*checks: Check) -> Check:
    """A value that passes one of the checks; the last one's text tells what is wanted."""

    def check(value: Any) -> Any:
        for attempt in checks[:-1]:
            try:
                return attempt(value)
            except Wrong:
                continue
        return checks[-1](value)

    return check


def encoding(value: Any) -> str:
    """The name of a text encoding that Python knows."""
    name = text(value)
    try:
        b"text".decode(name)  # codecs of bytes, such as zlib, are a LookupError here
    except UnicodeError:
        pass  # not these four bytes
    except (LookupError, ValueError):
        raise Wrong(f'must be a text encoding, such as "utf-8", not {shown(value)}') from None
    return name
