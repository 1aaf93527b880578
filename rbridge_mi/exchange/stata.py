"""Stata's layouts of multiple imputations, and a file that ``mi import flong`` takes.

========  ======================================================================================
flong     all data sets under each other: _mi_m, _mi_id
mlong     the same, but of the completed ones only the rows that had holes
wide      _1_x, _2_x, ... beside x
ice's     all data sets under each other: _mj, _mi
flongsep  a file for each data set, with _mi_id
========  ======================================================================================
"""

from __future__ import annotations

import datetime as dt
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.io.stata import StataWriterUTF8

from ..base.labels import label
from ..errors import EncodingError, RBridgeError, RBridgeWarning
from .data_sets import Stacked, Table
from .labelled import Variable, days_of, read_labelled, typed

__all__ = ["check_stata_name", "check_stata_path", "import_line", "read_stata", "write_stata"]

_M, _ID, _MISS = "_mi_m", "_mi_id", "_mi_miss"
_WIDE = re.compile(r"_([1-9][0-9]*)_(.+)", re.DOTALL)


def read_stata(path: Path, value_labels: bool, stacked: bool) -> Stacked | Table:
    """Read a Stata file, of one data set or of several in any of Stata's layouts.

    Parameters
    ----------
    path : Path
        Of the file, packed or not.
    value_labels : bool
        Make categories of values that all have labels.
    stacked : bool
        Look for a layout of several data sets.

    Returns
    -------
    Stacked or Table
        All data sets under each other, or the one table of the file.

    Raises
    ------
    RBridgeError
        It is no such file, or its layout contradicts itself.
    MissingExtraError
        pyreadstat isn't installed.
    """
    raw, variables = read_labelled(path, "stata")
    names = set(raw.columns)
    imp, id = None, None
    if stacked and {_M, _ID} <= names:
        imp, id, raw = _M, _ID, _completed_rows(path, raw)
    elif stacked and {"_mj", "_mi"} <= names:
        imp, id = "_mj", "_mi"
    elif stacked and _MISS in names and any(_WIDE.fullmatch(x) for x in names):
        imp, id, raw = _M, _ID, _from_wide(path, raw)
    table = _table(raw.drop(columns=[_MISS], errors="ignore"), variables, value_labels)
    return table if imp is None else Stacked(table, imp, id, "stata")


def _table(raw: pd.DataFrame, variables: Mapping[str, Variable], value_labels: bool) -> Table:
    columns: dict[Any, Any] = {}
    notes: list[str] = []
    for name in raw.columns:
        variable = variables.get(name)
        if variable is None:  # it numbers data sets or rows
            columns[name] = raw[name]
            continue
        columns[name], note = typed(raw[name], variable, value_labels)
        if note is not None:
            notes.append(note)
    labels = {x: variables[x].label for x in raw.columns if x in variables and variables[x].label}
    return Table(pd.DataFrame(columns, raw.index), tuple(notes), labels)


def _completed_rows(path: Path, raw: pd.DataFrame) -> pd.DataFrame:
    """Give each data set the rows that it shares with the data with their holes (mlong)."""
    numbers = pd.to_numeric(raw[_M], errors="coerce").to_numpy(np.float64)
    original = raw[numbers == 0]
    every = [x for x in dict.fromkeys(numbers) if x > 0]
    if not len(original) or all((numbers == x).sum() == len(original) for x in every):
        return raw
    if _MISS not in raw.columns:
        raise RBridgeError(
            f"{path} has data sets of several numbers of rows (by {_M}), and no {_MISS} that says "
            "which rows are the same in all of them."
        )
    flags = pd.to_numeric(original[_MISS], errors="coerce")
    if not flags.isin([0, 1]).all():
        raise RBridgeError(
            f"{path}: {_MISS} must be 0 or 1 in the data with their holes, to say which rows are "
            "the same in all data sets."
        )
    complete = original[flags == 0]
    parts = [original]
    for x in every:
        part = raw[numbers == x]
        shared = complete[~complete[_ID].isin(part[_ID])]
        parts.append(pd.concat([part, shared.assign(**{_M: x})]))
    return pd.concat(parts, ignore_index=True)


def _from_wide(path: Path, raw: pd.DataFrame) -> pd.DataFrame:
    """Put the data sets under each other whose columns stand side by side."""
    matches = {x: y for x in raw.columns if (y := _WIDE.fullmatch(x)) and y[2] in raw.columns}
    of_each: dict[int, dict[str, str]] = {}
    for name, match in matches.items():
        of_each.setdefault(int(match[1]), {})[match[2]] = name
    first = of_each.get(1, {})
    if sorted(of_each) != list(range(1, len(of_each) + 1)) or any(
        x.keys() != first.keys() for x in of_each.values()
    ):
        told = "; ".join(f"{i}: {', '.join(sorted(x))}" for i, x in sorted(of_each.items()))
        raise RBridgeError(
            f"{path} has not the same variables in each of its data sets 1, 2, ... (_1_x, _2_x, "
            f"...): {told or 'none'}."
        )
    plain = raw.drop(columns=[*matches])
    ids = {_ID: np.arange(1, len(raw) + 1)}
    parts = [plain.assign(**{_M: 0, **ids})]
    for i, names in sorted(of_each.items()):
        filled = {name: raw[column] for name, column in names.items()}
        parts.append(plain.assign(**{_M: i, **ids, **filled}))
    return pd.concat(parts, ignore_index=True)


# -- writing -------------------------------------------------------------------------------

_RESERVED = frozenset(
    [
        "_all",
        "_b",
        "byte",
        "_coef",
        "_cons",
        "double",
        "float",
        "if",
        "in",
        "int",
        "long",
        "_n",
        "_N",
        "_pi",
        "_pred",
        "_rc",
        "_se",
        "_skip",
        "str",
        "strL",
        "using",
        "with",
    ]
)
_LONG = 2147483620  # the largest whole number of Stata's type long
_DOUBLE = 8.9884656743e307
_TEXT = 2 * 10**6


def import_line(path: Path, imp: str, id: str, imputed: list[str]) -> str:
    """Return the lines by which Stata takes a file as data that were multiply imputed.

    Parameters
    ----------
    path : Path
        Of the file.
    imp, id : str
        The columns that number data sets and rows.
    imputed : list of str
        Those that have holes.

    Returns
    -------
    str
        Two commands.

    Raises
    ------
    EncodingError
        The path has a character that Stata takes for more than a letter.
    """
    varlist = f" imputed({' '.join(imputed)})" if imputed else ""
    check_stata_path(path)
    return f'use "{path}", clear\nmi import flong, m({imp}) id({id}){varlist} clear'


def check_stata_path(path: Any) -> None:
    """Refuse a path in which Stata sees a macro, the end of its text or of the line.

    Parameters
    ----------
    path : object
        Of a file that Stata is to read.

    Raises
    ------
    EncodingError
        The message names the character.
    """
    odd = next((x for x in str(path) if x in '`$"' or not x.isprintable()), None)
    if odd is not None:
        raise EncodingError(
            f"the path {str(path)!r} holds {odd!r}, which is no mere letter in Stata's commands: "
            "give the file another name."
        )


def write_stata(long: pd.DataFrame, path: Path, labels: Mapping[Any, str]) -> None:
    """Write a frame as a Stata file of version 14 and later (format 118).

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
        A name or a value that Stata has no place for, by column.
    """
    columns, value_labels, dates = {}, {}, {}
    for name in long.columns:
        check_stata_name(name)
        column, texts, date = _stata_column(long[name], name)
        columns[name] = column
        if texts is not None:
            value_labels[name] = texts
        if date is not None:
            dates[name] = date
    frame = pd.DataFrame(columns)
    long_labels = [x for x in labels if x in columns and len(labels[x]) > 80]
    if long_labels:
        raise EncodingError(
            f"the label of column {long_labels[0]!r} has more than the 80 characters that Stata "
            "takes: give a shorter one (labels={...})."
        )
    try:
        _Writer(
            path,
            frame,
            write_index=False,
            version=118,
            convert_dates=dates,
            variable_labels={x: labels[x] for x in columns if x in labels},
            value_labels=value_labels,
            convert_strl=[
                x for x in columns if frame[x].dtype == object and frame[x].map(_bytes).max() > 2045
            ],
        ).write_file()
    except (OverflowError, ValueError) as error:  # of pandas 2: times beyond its nanoseconds
        raise EncodingError(
            f"pandas {pd.__version__} can't write this for Stata: {error}"
        ) from error


class _Writer(StataWriterUTF8):
    """pandas' writer, for all names that Stata takes.

    pandas puts an underscore before words of Mata, such as class and NULL, which are no reserved
    words of Stata's.
    """

    @property
    def RESERVED_WORDS(self) -> frozenset[str]:  # noqa: N802 -- pandas' name
        return _RESERVED

    @RESERVED_WORDS.setter
    def RESERVED_WORDS(self, given: Any) -> None:  # noqa: N802
        del given


def _bytes(text: Any) -> int:
    return len(text.encode()) if isinstance(text, str) else 0


def check_stata_name(name: Any) -> None:
    """Refuse a name that Stata has no place for.

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
        or not re.fullmatch(r"[^\W\d]\w{0,31}", name)
        or name in _RESERVED
        or re.fullmatch(r"str[0-9]+|_mi_.*", name)
    ):
        raise EncodingError(
            f"column {name!r}: Stata's names are letters, digits and underscores, up to 32, the "
            "first no digit, and no word of its language. Rename it: "
            "imp.transform(lambda d: d.rename(columns={...}))."
        )


def _stata_column(
    column: pd.Series[Any], name: str
) -> tuple[pd.Series[Any], dict[int, str] | None, str | None]:
    """Return what pandas is to write, labels of values, and the format of a date."""
    dtype = column.dtype
    missing = column.isna().to_numpy()
    if isinstance(dtype, pd.CategoricalDtype):
        codes = pd.Series(column.cat.codes.to_numpy(np.float64) + 1).where(~missing)
        texts = [label(x) for x in dtype.categories]
        if not missing.any():
            codes = codes.astype(np.int32)
        return codes, dict(enumerate(texts, 1)) or None, None
    if pd.api.types.is_bool_dtype(dtype):
        return _plain_numbers(column, missing, name), None, None
    if pd.api.types.is_integer_dtype(dtype):
        return _plain_numbers(column, missing, name), None, None
    if pd.api.types.is_float_dtype(dtype):
        numbers = column.to_numpy(np.float64, na_value=np.nan)
        if np.isinf(numbers).any() or (np.abs(numbers[~missing]) > _DOUBLE).any():
            raise EncodingError(
                f"column {name!r} holds a number beyond the largest of Stata's, {_DOUBLE:.4g}."
            )
        return pd.Series(numbers), None, None
    if isinstance(dtype, pd.DatetimeTZDtype):
        raise EncodingError(
            f"column {name!r} holds times with a zone, which Stata has none of: "
            "`.dt.tz_localize(None)`."
        )
    if dtype.kind == "M":
        times = pd.Series(column.to_numpy())
        if (times.dropna() != times.dropna().dt.floor("ms")).any():
            raise EncodingError(
                f"column {name!r} holds times finer than Stata's milliseconds: `.dt.floor('ms')`."
            )
        return times, None, "tc"
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind == "date" and not any(isinstance(x, dt.datetime) for x in column):
        return pd.Series(days_of(column)), None, "td"
    if kind in ("string", "empty"):
        return _texts(column, missing, name), None, None
    raise EncodingError(
        f"column {name!r} has dtype {dtype}, which Stata has no type for: convert it to numbers, "
        "text, dates or categories."
    )


def _plain_numbers(
    column: pd.Series[Any], missing: np.ndarray[Any, Any], name: str
) -> pd.Series[Any]:
    held = column[~missing]
    if len(held) and max(abs(int(held.max())), abs(int(held.min()))) > _MAX_EXACT:
        raise EncodingError(
            f"column {name!r} holds integers beyond 2**53, which Stata's numbers don't hold "
            "exactly: give them as text (`.astype(str)`)."
        )
    values = column.to_numpy(np.float64, na_value=np.nan)
    if (np.abs(values[~missing]) > _LONG).any():
        return pd.Series(values)
    # One of Stata's types of whole numbers, which have room for holes.
    return pd.Series(pd.array(values, dtype="Int32" if missing.any() else "int64"))


_MAX_EXACT = 2**53


def _texts(column: pd.Series[Any], missing: np.ndarray[Any, Any], name: str) -> pd.Series[Any]:
    texts = np.array([None if gone else x for x, gone in zip(column, missing, strict=True)], object)
    if missing.any() and (texts == "").any():
        raise EncodingError(
            f"column {name!r} holds empty texts and missing ones, and Stata has one for both: fill "
            "the missing ones with a mark of your own."
        )
    if any("\0" in x for x in texts[~missing]):
        raise EncodingError(f"column {name!r} holds a NUL character, which ends Stata's texts.")
    if (texts == "").any():
        warnings.warn(
            f"column {name!r} holds empty texts, which are missing ones to Stata.",
            RBridgeWarning,
            stacklevel=2,
        )
    texts[missing] = ""
    return pd.Series(texts, dtype=object)
