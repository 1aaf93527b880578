"""SPSS's files of multiple imputations: all data sets under each other, numbered by Imputation_."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..base.extras import needed_module
from ..base.labels import label
from ..errors import EncodingError
from .data_sets import Table
from .labelled import days_of, read_labelled, typed

__all__ = ["IMPUTATION", "read_spss", "write_spss"]

IMPUTATION = "Imputation_"
_RESERVED = frozenset(
    ("ALL", "AND", "BY", "EQ", "GE", "GT", "LE", "LT", "NE", "NOT", "OR", "TO", "WITH")
)
_MAX_EXACT = 2**53
_TEXT = 32767


def read_spss(path: Path, value_labels: bool) -> Table:
    """Read an SPSS file.

    Parameters
    ----------
    path : Path
        Of the file, packed or not.
    value_labels : bool
        Make categories of values that all have labels.

    Returns
    -------
    Table
        Its columns; user-missing values are missing.

    Raises
    ------
    RBridgeError
        It is no such file.
    MissingExtraError
        pyreadstat isn't installed.
    """
    raw, variables = read_labelled(path, "spss")
    columns: dict[Any, Any] = {}
    notes: list[str] = []
    for name in raw.columns:
        numbers = name.lower() == IMPUTATION.lower()  # capitals are no matter to SPSS
        column, note = typed(raw[name], variables[name], value_labels and not numbers)
        columns[IMPUTATION if numbers else name] = column
        if note is not None:
            notes.append(note)
    labels = {x: y.label for x, y in variables.items() if y.label}
    return Table(pd.DataFrame(columns, raw.index), tuple(notes), labels)


def write_spss(long: pd.DataFrame, path: Path, labels: Mapping[Any, str]) -> None:
    """Write a frame as an SPSS file.

    Parameters
    ----------
    long : DataFrame
        Data sets under each other.
    path : Path
        Of the file.
    labels : mapping
        What columns are about, by their names.

    Raises
    ------
    EncodingError
        A name or a value that SPSS has no place for, by column.
    MissingExtraError
        pyreadstat isn't installed.
    """
    pyreadstat = needed_module("pyreadstat", "io", "a file of SPSS")
    columns, value_labels, formats, measures = {}, {}, {}, {}
    lower: dict[str, str] = {}
    for name in long.columns:
        check_spss_name(name)
        if lower.setdefault(name.lower(), name) != name:
            raise EncodingError(
                f"columns {lower[name.lower()]!r} and {name!r} have one name to SPSS, which takes "
                "no notice of capitals: rename one."
            )
        columns[name], texts, style, measure = _spss_column(long[name], name)
        if texts:
            value_labels[name] = texts
        if style is not None:
            formats[name] = style
        measures[name] = measure
    pyreadstat.write_sav(
        pd.DataFrame(columns),
        str(path),
        column_labels={x: labels.get(x) for x in columns},
        variable_value_labels=value_labels,
        variable_format=formats,
        variable_measure=measures,
        row_compress=False,  # which would drop the sign of -0.0
    )


def check_spss_name(name: Any) -> None:
    """Refuse a name that SPSS has no place for.

    Parameters
    ----------
    name : object
        Of a column.

    Raises
    ------
    EncodingError
        The message says which names there are.
    """
    if (
        not isinstance(name, str)
        or not re.fullmatch(r"[^\W\d_][\w.@#$]*(?<!\.)", name)
        or len(name.encode()) > 64
        or name.upper() in _RESERVED
    ):
        raise EncodingError(
            f"column {name!r}: SPSS's names begin with a letter, have letters, digits and . _ @ # "
            "$, up to 64 bytes, and are no word of its language. Rename it: "
            "imp.transform(lambda d: d.rename(columns={...}))."
        )


def _spss_column(
    column: pd.Series[Any], name: str
) -> tuple[pd.Series[Any], dict[int | float, str] | None, str | None, str]:
    """Return what is written, labels of values, the format, and SPSS's measure."""
    dtype = column.dtype
    missing = column.isna().to_numpy()
    if isinstance(dtype, pd.CategoricalDtype):
        codes = pd.Series(column.cat.codes.to_numpy(np.float64) + 1).where(~missing)
        texts = {float(i): label(x) for i, x in enumerate(dtype.categories, 1)}
        if any(len(x.encode()) > 120 for x in texts.values()):
            raise EncodingError(
                f"column {name!r} has a category of more than 120 bytes, and SPSS's labels have "
                "no more: rename it (`.cat.rename_categories`)."
            )
        return codes, texts, "F8.0", "ordinal" if dtype.ordered else "nominal"
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_integer_dtype(dtype):
        held = column[~missing]
        if len(held) and max(abs(int(held.max())), abs(int(held.min()))) > _MAX_EXACT:
            raise EncodingError(
                f"column {name!r} holds integers beyond 2**53, which SPSS's numbers don't hold "
                "exactly: give them as text (`.astype(str)`)."
            )
        numbers = pd.Series(column.to_numpy(np.float64, na_value=np.nan))
        return numbers, None, "F12.0" if len(held) else None, "unknown"
    if pd.api.types.is_float_dtype(dtype):
        numbers = pd.Series(column.to_numpy(np.float64, na_value=np.nan))
        if np.isinf(numbers).any():
            raise EncodingError(f"column {name!r} holds infinite numbers, and SPSS has none.")
        return numbers, None, "F16.8", "scale"
    if isinstance(dtype, pd.DatetimeTZDtype):
        raise EncodingError(
            f"column {name!r} holds times with a zone, which SPSS has none of: "
            "`.dt.tz_localize(None)`."
        )
    if dtype.kind == "M":
        return _seconds(pd.Series(column.to_numpy()), name), None, "DATETIME26.6", "scale"
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind == "date" and not any(isinstance(x, dt.datetime) for x in column):
        times = pd.Series(days_of(column))
        return _seconds(times, name), None, "DATE11", "scale"
    if kind in ("string", "empty"):
        return _texts(column, missing, name), None, None, "nominal"
    raise EncodingError(
        f"column {name!r} has dtype {dtype}, which SPSS has no type for: convert it to numbers, "
        "text, dates or categories."
    )


_EPOCH = np.datetime64("1582-10-14", "us")


def _seconds(times: pd.Series[Any], name: str) -> pd.Series[Any]:
    """Return times as SPSS counts them, in seconds since the first day of its calendar."""
    instants = times.to_numpy()
    missing = np.isnat(instants)
    ticks = (instants.astype("datetime64[us]") - _EPOCH).astype(np.int64)
    whole, part = np.divmod(np.where(missing, 0, ticks), 10**6)
    seconds = whole + part / 10**6
    exact = np.rint(seconds * 10**6).astype(np.int64) == np.where(missing, 0, ticks)
    fine = times.dropna() != times.dropna().dt.floor("us")
    if not exact.all() or fine.any():
        raise EncodingError(
            f"column {name!r} holds times finer than SPSS's numbers of seconds: `.dt.floor('ms')`."
        )
    return pd.Series(seconds).where(~missing)


def _texts(column: pd.Series[Any], missing: np.ndarray[Any, Any], name: str) -> pd.Series[Any]:
    texts = np.array([None if gone else x for x, gone in zip(column, missing, strict=True)], object)
    if missing.any():
        raise EncodingError(
            f"column {name!r} holds missing texts, and SPSS has none: make it a category "
            "(`.astype('category')`), or fill them with a mark of your own."
        )
    if any("\0" in x or len(x.encode()) > _TEXT or x != x.rstrip(" ") for x in texts):
        raise EncodingError(
            f"column {name!r} holds a text with a NUL character, of more than {_TEXT} bytes, or "
            "with blanks at its end, which SPSS doesn't keep."
        )
    return pd.Series(texts, dtype=object)
