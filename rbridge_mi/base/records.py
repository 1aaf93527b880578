"""Tables and results as plain Python values, of which JSON can be made: for services and files."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ..errors import ArgumentError
from .arguments import check_known
from .glossary import beside, name_beside
from .labels import label

__all__ = ["Recorded", "Tables", "plain_value", "to_records", "with_terms"]

Tables: TypeAlias = Mapping[str, Callable[[], pd.DataFrame]]


def to_records(table: pd.DataFrame | pd.Series[Any]) -> list[dict[str, Any]]:
    """Return a table's rows as dicts of plain values, which ``json`` and web frameworks take.

    Of ``table.to_dict("records")`` missing numbers stay nan, which JSON doesn't have: a service
    that returns them answers with an error.

    Parameters
    ----------
    table : DataFrame or Series
        Any table of this library, or another one.

    Returns
    -------
    list of dict
        A dict per row, by column. Missing and infinite numbers are None; numbers are Python's, and
        doubles keep every bit, also through JSON's text; categories are text, times are text in ISO
        8601. Labels of the rows come first, as "index" or by their name, where they are more than
        numbers from 0. The values of a Series are under its name, or "value".

    Raises
    ------
    ArgumentError
        A column whose values have no such form, by name, or two columns whose names are the same
        text.

    See Also
    --------
    MerMod.to_dict : All tables of a result.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import rbridge_mi as rb
    >>> rb.to_records(pd.DataFrame({"term": ["x", "z"], "df": [4.5, np.nan]}))
    [{'term': 'x', 'df': 4.5}, {'term': 'z', 'df': None}]
    """
    if isinstance(table, pd.Series):
        table = table.to_frame("value" if table.name is None else table.name)
    if not isinstance(table, pd.DataFrame):
        raise ArgumentError(f"table must be a DataFrame or Series, not {type(table).__name__}.")
    names = [_name(x) for x in table.columns]
    twice = [x for x in dict.fromkeys(names) if names.count(x) > 1]
    if twice:
        raise ArgumentError(f"table has several columns that are {twice[0]!r} as text: rename one.")
    columns = dict(zip(names, (table.iloc[:, i] for i in range(len(names))), strict=True))
    cells = {name: _plain_column(x, name) for name, x in (_labels(table, names) | columns).items()}
    return [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]


def _labels(table: pd.DataFrame, names: Sequence[str]) -> dict[str, pd.Series[Any]]:
    index = table.index
    if isinstance(index, pd.RangeIndex) and index.equals(pd.RangeIndex(len(index))):
        return {}
    labels: dict[str, pd.Series[Any]] = {}
    for i in range(index.nlevels):
        plain = "index" if index.nlevels == 1 else f"index{i + 1}"
        name = plain if index.names[i] is None else _name(index.names[i])
        level = index.get_level_values(i)
        labels[name_beside(name, [*names, *labels])] = pd.Series(level.array, dtype=level.dtype)
    return labels


def _name(name: Any) -> str:
    return name if isinstance(name, str) else label(name)


def _plain_column(column: pd.Series[Any], name: str) -> list[Any]:
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        values = column.to_numpy().astype(np.float64)
        return [
            x if ok else None for x, ok in zip(values.tolist(), np.isfinite(values), strict=True)
        ]
    if isinstance(dtype, pd.CategoricalDtype):
        texts = [*map(label, dtype.categories), None]  # the code of a missing cell is -1
        return [texts[code] for code in column.cat.codes]
    return [plain_value(x, f"column {name!r}") for x in column.array]


def plain_value(value: Any, where: str) -> Any:
    """Return a value as JSON knows it; see `to_records`.

    Parameters
    ----------
    value : object
        A scalar; or a mapping, list or tuple of such.
    where : str
        What it is, for the message.

    Returns
    -------
    object
        None, bool, int, float, str, dict or list.

    Raises
    ------
    ArgumentError
        There is no such form.

    See Also
    --------
    to_records : Of a table.

    Examples
    --------
    >>> plain_value({"x": float("inf"), "n": np.int64(3)}, "x")
    {'x': None, 'n': 3}
    """
    if isinstance(value, Mapping):
        return {_name(k): plain_value(x, f"{where}, {k}") for k, x in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(x, where) for x in value]
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64 | np.timedelta64):
        value = value.item()
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    if isinstance(value, np.timedelta64):
        value = pd.Timedelta(value)
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dt.date | dt.time | pd.Timedelta):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return pd.Timedelta(value).isoformat()
    if isinstance(value, pd.Interval | pd.Period):
        return str(value)
    raise ArgumentError(
        f"{where} holds {type(value).__name__}, which JSON has no form for: convert it to text or "
        "numbers first."
    )


class Recorded:
    """A result that gives its tables as plain values."""

    def _recorded(self) -> tuple[dict[str, Any], Tables, Tables]:
        """Return facts, tables, and tables that are made on request only: R is asked, or warns."""
        raise NotImplementedError

    def to_dict(self, tables: Sequence[str] | None = None) -> dict[str, Any]:
        """Return the result as plain values, of which JSON can be made.

        Parameters
        ----------
        tables : sequence of str, optional
            Names of the tables that are wanted; by default all that are there without asking R.

        Returns
        -------
        dict
            What the result says of itself (formula, family, nobs, ...) under the names of its
            attributes, and each table under its name as a list of rows; see `to_records`. A matrix
            has the column "term" first. Missing and infinite numbers are None.

        Raises
        ------
        ArgumentError
            A table that there isn't, with the list of those that there are.
        RPackageError
            Where R lacks what a table needs that was asked for by name.

        See Also
        --------
        to_json : The same as text.
        to_records : Of one table.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
        >>> fit.to_dict(tables=["fixef"])["fixef"][1]["term"]
        'ses'
        >>> fit.to_dict()["tidy"][-1]["std_error"] is None
        True
        """
        facts, ready, asked = self._recorded()
        makers = {**ready, **asked}
        if isinstance(tables, str):
            raise ArgumentError(f"tables must be a list of names, such as [{tables!r}].")
        names = list(ready) if tables is None else list(tables)
        check_known(names, list(makers), f"{type(self).__name__}.to_dict(tables=...)")
        plain: dict[str, Any] = plain_value(facts, type(self).__name__)
        return plain | {name: to_records(makers[name]()) for name in names}

    def to_json(self, tables: Sequence[str] | None = None, *, indent: int | None = None) -> str:
        """Return the result as JSON: `to_dict` as text.

        Parameters
        ----------
        tables : sequence of str, optional
            As in `to_dict`.
        indent : int, optional
            Of the text's levels; one line without it.

        Returns
        -------
        str
            Valid JSON, without NaN or Infinity; doubles are the same ones when they are read.

        Raises
        ------
        ArgumentError
            As in `to_dict`.

        See Also
        --------
        to_dict : The values themselves.
        """
        return json.dumps(self.to_dict(tables), allow_nan=False, ensure_ascii=False, indent=indent)


def with_terms(matrix: pd.DataFrame) -> pd.DataFrame:
    """Return a matrix of terms x terms with its terms as a column.

    Parameters
    ----------
    matrix : DataFrame
        By term.

    Returns
    -------
    DataFrame
        term first; it has an underscore where a coefficient has that name.
    """
    return beside(pd.DataFrame({"term": list(matrix.index)}), matrix)
