"""Columns of Stata and SPSS, numbers with formats, labels and missing values, as pandas' types.

=========================================  =====================================================
Stata, SPSS                                pandas
=========================================  =====================================================
numbers with a label for each value        category, in the order of the codes; ordered where
                                           SPSS says that the variable is ordinal
byte, int, long; F8.0 with whole numbers   int64, or Int64 with holes
other numbers                              float64
%td; DATE, ADATE, EDATE, SDATE, JDATE      datetime.date
%tc; DATETIME, YMDHMS                      datetime64[ms], datetime64[us]
text                                       text
system, extended and user-missing values   missing; empty text of Stata, too
=========================================  =====================================================

Labels of single values among other numbers say what these mean, and the numbers stay.
"""

from __future__ import annotations

import datetime as dt
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..base.extras import needed_module
from ..errors import RBridgeError, RWorkerLost
from ..processes.isolation import Job, run_isolated
from .files import content, unread

__all__ = ["Variable", "days_of", "read_labelled", "typed"]

_BEGIN, _END = b"<stata_dta>", b"</stata_dta>"
_STATA_EPOCH = dt.date(1960, 1, 1)
_SPSS_EPOCH = dt.datetime(1582, 10, 14)
_SPSS_DATES = re.compile(r"(A|E|S|J)?DATE[0-9]*(\.[0-9]+)?")
_SPSS_TIMES = re.compile(r"(DATETIME|YMDHMS)[0-9]*(\.[0-9]+)?")
_SPSS_WHOLE = re.compile(r"[FN][0-9]+(\.0)?")
_MAX_EXACT = 2**53


@dataclass(frozen=True)
class Variable:
    """What a file says of one of its columns.

    Attributes
    ----------
    name : str
        The column.
    program : {"stata", "spss"}
        Whose file it is.
    storage : str
        How it is kept, such as "int8" or "string".
    format : str
        How it is shown, such as "%td" or "F8.2".
    labels : mapping
        Labels of values, by the values.
    missing : tuple of (float, float)
        Ranges of values that count as missing.
    ordinal : bool
        Whether SPSS calls it ordinal.
    label : str
        What it is about.
    """

    name: str
    program: str
    storage: str
    format: str
    labels: Mapping[Any, str] = field(default_factory=dict)
    missing: tuple[tuple[float, float], ...] = ()
    ordinal: bool = False
    label: str = ""


def read_labelled(path: Path, program: str) -> tuple[pd.DataFrame, dict[str, Variable]]:
    """Read a file of Stata or SPSS as it is: numbers as numbers, with what is said of them.

    Parameters
    ----------
    path : Path
        Of the file, packed or not.
    program : {"stata", "spss"}
        Whose it is.

    Returns
    -------
    tuple of (DataFrame, dict of Variable)
        The columns, and what the file says of each.

    Raises
    ------
    RBridgeError
        It is no such file, or it is damaged.
    MissingExtraError
        pyreadstat isn't installed.
    """
    name = {"stata": "Stata", "spss": "SPSS"}[program]
    needed_module("pyreadstat", "io", f"a file of {name}")
    with _unpacked(path) as plain:
        if program == "stata":
            _check_end(path, plain)
        what = f"reading {path}"
        # Compiled code that a damaged file can make crash: in a process that may be lost.
        job = Job(partial(_parse, str(plain), program), _warm, what, f"pyreadstat: {plain}")
        try:
            told = run_isolated(job)
        except RWorkerLost as error:
            raise unread(path, f"a file of {name}", error.cause) from error
    if isinstance(told, str):
        raise unread(path, f"a file of {name}", told)
    frame, meta, full = told
    rows = meta.number_rows
    if rows is not None and rows >= 0 and rows != len(frame):
        raise RBridgeError(f"{path} is damaged: it has {len(frame)} of its {rows} rows.")
    if any(x not in meta.readstat_variable_types for x in frame.columns):
        raise RBridgeError(f"{path} is damaged: one of its columns has no name.")
    variables = {
        x: Variable(
            x,
            program,
            meta.readstat_variable_types[x],
            meta.original_variable_types[x] or "",
            meta.variable_value_labels.get(x, {}),
            tuple((y["lo"], y["hi"]) for y in full.missing_ranges.get(x, ())),
            meta.variable_measure.get(x) == "ordinal",
            meta.column_names_to_labels.get(x) or "",
        )
        for x in frame.columns
    }
    return frame, variables


def _warm() -> None:
    import pyreadstat  # noqa: F401


def _parse(path: str, program: str) -> tuple[pd.DataFrame, Any, Any] | str:
    """Return the columns, what is said of them, and that with user-missing values; or an error."""
    import pyreadstat

    read = pyreadstat.read_dta if program == "stata" else pyreadstat.read_sav
    try:
        frame, meta = read(path, apply_value_formats=False, disable_datetime_conversion=True)
        _, full = read(path, metadataonly=True, user_missing=True)
    except Exception as error:  # pyreadstat's own, or that of a text that is none
        return f"{type(error).__name__}: {error}"  # a worker that raises an error is not kept
    return frame, meta, full


def _check_end(path: Path, plain: Path) -> None:
    """Refuse a file of Stata 13 and later without its end, where the labels of values are."""
    with plain.open("rb") as file:
        if file.read(len(_BEGIN)) != _BEGIN:
            return
        file.seek(-min(len(_END), plain.stat().st_size), 2)
        if file.read() != _END:
            raise RBridgeError(f"{path} is damaged: a part of it is missing at its end.")


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """Give the file itself, or, if it is packed, a copy that is not."""
    with path.open("rb") as file:
        head = file.read(6)
    if not head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="rbridge-") as folder:
        plain = Path(folder) / "data"
        plain.write_bytes(content(path))
        yield plain


def typed(
    values: pd.Series[Any], variable: Variable, value_labels: bool
) -> tuple[pd.Series[Any], str | None]:
    """Give a column its type in pandas.

    Parameters
    ----------
    values : Series
        The column as `read_labelled` gives it, of all data sets.
    variable : Variable
        What the file says of it.
    value_labels : bool
        Make categories of values that all have labels.

    Returns
    -------
    tuple of (Series, str or None)
        The column, and a note where labels could not be kept.

    Raises
    ------
    RBridgeError
        A date or a time that there is none of.
    """
    if variable.storage == "string":
        text = values.where(values != "", None) if variable.program == "stata" else values
        return text, None
    numbers = pd.to_numeric(values).to_numpy(np.float64)
    missing = np.isnan(numbers)
    held = numbers[~missing]
    try:
        times = _times(numbers, missing, variable)
    except (OverflowError, ValueError) as error:
        raise RBridgeError(
            f"column {variable.name!r} has format {variable.format} and a value that is no such "
            f"time ({error})."
        ) from error
    if times is not None:
        return pd.Series(times, values.index), None
    labels = _labels(variable)
    note = None
    if value_labels and labels and held.size:
        texts = list(labels.values())
        if not np.isin(held, list(labels)).all():
            note = f"{variable.name}: some of its values have labels, and others none: numbers"
        elif len(set(texts)) < len(texts):
            note = f"{variable.name}: two of its values have the same label: numbers"
        else:
            codes = pd.Index(list(labels), dtype=np.float64).get_indexer(pd.Index(numbers))
            ordered = variable.ordinal
            kept = pd.Categorical.from_codes(codes, pd.Index(texts, dtype=object), ordered=ordered)
            return pd.Series(kept, values.index), None
    whole = variable.storage.startswith("int") or (
        variable.program == "spss" and bool(_SPSS_WHOLE.fullmatch(variable.format))
    )
    if whole and (np.rint(held) == held).all() and (np.abs(held) <= _MAX_EXACT).all():
        integers = np.where(missing, 0, numbers).astype(np.int64)
        if missing.any():
            return pd.Series(pd.arrays.IntegerArray(integers, missing), values.index), note
        return pd.Series(integers, values.index), note
    return pd.Series(numbers, values.index), note


def days_of(column: pd.Series[Any]) -> np.ndarray[Any, Any]:
    """Return dates, None where one is missing, as numpy's times of whole seconds.

    Parameters
    ----------
    column : Series
        Of datetime.date.

    Returns
    -------
    array of datetime64[s]
        Their midnights.
    """
    days = [None if gone else x for x, gone in zip(column, column.isna(), strict=True)]
    return np.array(days, dtype="datetime64[D]").astype("datetime64[s]")


def _labels(variable: Variable) -> dict[float, str]:
    """Return the labels of numbers that are not missing values, in the order of the numbers."""
    labels = {}
    for value, text in variable.labels.items():
        if not isinstance(value, int | float) or np.isnan(value):
            continue  # a letter, which stands for one of Stata's missing values
        if not any(
            low <= value <= high for low, high in variable.missing if _are_numbers(low, high)
        ):
            labels[float(value)] = text
    return dict(sorted(labels.items()))


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(x, int | float) for x in values)


def _times(numbers: np.ndarray[Any, Any], missing: np.ndarray[Any, Any], variable: Variable) -> Any:
    """Return dates or times, or None if the numbers are neither."""
    style = variable.format
    if variable.program == "stata":
        if re.match(r"%-?[0-9]*t?d", style):
            return _dates(numbers, missing, _STATA_EPOCH, 1)
        if re.match(r"%-?[0-9]*tc", style):
            return _instants(numbers, missing, dt.datetime(1960, 1, 1), "ms", 1)
        return None
    if _SPSS_DATES.fullmatch(style):
        return _dates(numbers, missing, _SPSS_EPOCH.date(), 86400)
    if _SPSS_TIMES.fullmatch(style):
        return _instants(numbers, missing, _SPSS_EPOCH, "us", 10**6)
    return None


def _dates(
    numbers: np.ndarray[Any, Any], missing: np.ndarray[Any, Any], epoch: dt.date, per_day: int
) -> Any:
    days = np.empty(len(numbers), dtype=object)
    for i in np.flatnonzero(~missing):
        day, part = divmod(float(numbers[i]), per_day)
        if part:
            raise ValueError(f"{numbers[i]!r} is not a whole day")
        days[i] = epoch + dt.timedelta(days=int(day))
    return pd.Series(days, dtype=object).array


def _instants(
    numbers: np.ndarray[Any, Any],
    missing: np.ndarray[Any, Any],
    epoch: dt.datetime,
    unit: str,
    per_number: int,
) -> Any:
    ticks = np.rint(np.where(missing, 0.0, numbers) * per_number)
    if (np.abs(ticks) >= 2**62).any():
        raise OverflowError("out of range")
    start = np.array([epoch], dtype=f"datetime64[{unit}]")
    times = start + ticks.astype(np.int64).astype(f"timedelta64[{unit}]")
    times[missing] = np.datetime64("NaT")
    return times
