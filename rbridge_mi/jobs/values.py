"""The mistakes of a job, collected by key, and the checks of values that only job files have."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..base.checks import (
    SECONDS,
    Check,
    Wrong,
    any_text,
    boolean,
    hint,
    is_number,
    list_of,
    text,
)
from ..errors import RBridgeError

__all__ = [
    "JobError",
    "Mistakes",
    "Table",
    "as_given",
    "by_column",
    "encoding",
    "file_name",
    "isolation",
    "matrix",
    "setting",
    "shown",
    "text_list",
]

_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN = 60


class JobError(RBridgeError, ValueError):
    """A job that can't be run as it stands; all of its mistakes are in the message.

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
    """The mistakes of a job, each under its key."""

    def add(self, key: str, text: str) -> None:
        """Add a mistake, unless it is known already."""
        if (key, text) not in self:
            self.append((key, text))

    def unlike(self, key: str, names: Iterable[str]) -> None:
        """Report names that differ in upper and lower case alone, as files may not everywhere."""
        by_fold: dict[str, str] = {}
        for name in names:
            other = by_fold.setdefault(name.casefold(), name)
            if other != name:
                self.add(key, f"has {shown(other)} and {shown(name)}, one name to some systems")

    def under(self, key: str) -> bool:
        """Say whether the key, or one below it, has a mistake."""
        return any(x == key or x.startswith(f"{key}.") for x, _ in self)

    def stop(self, job: str) -> None:
        """Raise the mistakes, if there are any."""
        if self:
            raise JobError(job, self)


class Table:
    """A table of the job file, read key by key; keys that were never read are unknown."""

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
        """Return the checked value of a key, or the default; `required` says what to write."""
        self._valid.append(name)
        if name not in self.given:
            if required:
                self.mistakes.add(self.path(name), f"is missing: {required}")
            return default
        try:
            return check(self.given[name])
        except Wrong as wrong:
            self.mistakes.add(self.path(name), wrong.told(shown))
            return default

    def refuse(self, name: str, why: str) -> None:
        """Report a key that is known, but has no place here."""
        if name in self.given:
            self._refused.append(name)
            self.mistakes.add(self.path(name), why)

    def flatten(self, valid: Iterable[str]) -> None:
        """Let R's dotted names be written as TOML reads them: ``max.resample = 10`` or with _."""
        names = list(valid)
        plain = {x.replace(".", "_"): x for x in names}
        flat: dict[str, Any] = {}

        def walk(prefix: str, table: Mapping[str, Any]) -> None:
            for key, value in table.items():
                name = prefix + key
                inner = isinstance(value, Mapping) and name not in names
                if inner and any(x.startswith(f"{name}.") for x in names):
                    walk(f"{name}.", value)
                else:
                    flat[plain.get(name, name)] = value

        walk("", self.given)
        self.given = flat

    def path(self, name: str) -> str:
        """Return the key as it would be written at the top of the file."""
        part = name if all(map(_BARE.fullmatch, name.split("."))) else shown(name)
        return f"{self.key}.{part}" if self.key else part

    def finish(self, *names: str) -> None:
        """Let these keys stand unchecked, and report the unknown ones."""
        self._refused += names
        self.done()

    def done(self) -> None:
        """Report the keys that were never read."""
        for name in self.given:
            if name in self._valid or name in self._refused:
                continue
            valid = ", ".join(self._valid)
            meant = hint(name, self._valid)
            self.mistakes.add(
                self.path(name), f"is no key that is known here{meant}; valid: {valid}"
            )


def shown(value: Any) -> str:
    """Write a value as TOML does, cut short."""
    if isinstance(value, dt.date | dt.time):
        text = str(value)
    elif isinstance(value, float):
        text = repr(value)
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
        if not text.isprintable():  # nothing from a file may steer a terminal
            text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def text_list(wanted: str, least: int = 0) -> Check:
    """Make the check of a list of texts, which may be empty ones."""
    return list_of(any_text, wanted, least)


def matrix(widths: Iterable[int] = (), name_at: int | None = None) -> Check:
    """Make the check of rows of numbers; at `name_at` (from 0) a column's name will do."""
    allowed = tuple(widths)
    size = f"{' or '.join(map(str, allowed))} numbers" if allowed else "numbers"
    or_name = "" if name_at is None else f" (number {name_at + 1} may be a column's name)"
    wanted = f"must be rows of {size}{or_name}"

    def check(value: Any) -> list[list[Any]]:
        if not isinstance(value, list) or not value:
            raise Wrong(f"{wanted}, not {{}}", value)
        for row in value:
            if not isinstance(row, list) or not row or (allowed and len(row) not in allowed):
                raise Wrong(f"{wanted}, not {{}}", row)
            for i, item in enumerate(row):
                if not is_number(item) and not (i == name_at and isinstance(item, str)):
                    raise Wrong(f"{wanted}, not {{}}", row)
        if len({len(row) for row in value}) > 1:
            raise Wrong("must be rows of one length")
        return [list(row) for row in value]

    return check


def by_column(check: Check) -> Check:
    """Make the check of a table that has, by names of columns, values that each pass."""

    def check_all(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not value:
            raise Wrong("must be a table of columns, such as {x = ...}, not {}", value)
        checked = {}
        for name, item in value.items():
            try:
                checked[name] = check(item)
            except Wrong as wrong:
                told = f"has {{}}, whose value {wrong.text}"
                raise Wrong(told, name, *wrong.values) from None
        return checked

    return check_all


def encoding(value: Any) -> str:
    """Check the name of a text encoding that Python knows."""
    name = text(value)
    try:
        b"text".decode(name)  # codecs of bytes, such as zlib, are a LookupError here
    except UnicodeError:
        pass  # not these four bytes
    except (LookupError, ValueError):
        raise Wrong('must be a text encoding, such as "utf-8", not {}', value) from None
    return name


def as_given(value: Any) -> Any:
    """Take any value: what is in it is checked elsewhere."""
    return value


def file_name(value: Any) -> str:
    """Check a name that becomes a part of a file's name, on any system."""
    if not isinstance(value, str) or not _FILE.fullmatch(value):
        raise Wrong(
            "is no name for files: take up to 64 of the characters A-Z, a-z, 0-9, _ and -, "
            "not first of all _ or -"
        )
    return value


def setting(value: Any) -> Any:
    """Check a number, a truth value, a text, or a list of one kind of these."""
    kinds = {type(x) for x in value} if isinstance(value, list) else {type(value)}
    if kinds == {int, float}:
        return [float(x) for x in value]
    if len(kinds) != 1 or not kinds <= {bool, int, float, str}:
        raise Wrong("must be a number, a text, true or false, or a list of these, not {}", value)
    return value


def isolation(table: Table, default: bool | None) -> dict[str, Any]:
    """Take the keys of a computation that may run in a process of its own."""
    return {
        "isolate": table.take("isolate", boolean, default),
        "timeout": table.take("timeout", SECONDS),
    }
