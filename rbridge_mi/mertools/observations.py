"""Rows of data to predict for: merTools' draw, averageObs and wiggle."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..base.arguments import check_columns, check_frame, check_seed, check_value, column_list
from ..errors import ArgumentError, RBridgeWarning
from ..fits.asking import ask
from ..fits.fitted_model import FittedModel
from .arguments import fits_of, under_r_names
from .ranks import re_quantile

__all__ = ["average_obs", "draw", "wiggle"]

_FEW_ROWS = 20
_TOO_FEW_ROWS = 3


@under_r_names
def draw(
    fit_or_fits: Any,
    type: str = "random",
    var_list: Mapping[str, Any] | None = None,
    seed: int | None = None,
    orig_data: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Take a row of the data that a model was fitted to, or their average. In R: ``draw(m)``.

    Parameters
    ----------
    fit_or_fits : MerMod or MerModList
        One fit, or those to m imputed data sets: each row of each data set may be drawn. merTools
        stops at a list.
    type : {"random", "average"}
        A row that is drawn, or that of `average_obs`.
    var_list : mapping of str to value, optional
        Take rows with these values of columns only. For a number merTools takes the place of a
        value among the sorted ones; here it is the value.
    seed : int, optional
        As ``set.seed(seed)`` before R's call. Of type="random".
    orig_data : DataFrame, optional
        As in `average_obs`. Of type="average".

    Returns
    -------
    DataFrame
        One row, with the columns of R's model frame: the response first, and functions of columns
        as the formula writes them. A response of several columns (``cbind``) is put apart.

    Raises
    ------
    ArgumentError
        An argument that can't be right, or values that no row has.

    See Also
    --------
    average_obs : The average.
    wiggle : Makes rows that differ in some columns.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> from rbridge_mi.mertools import draw
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> draw(fit, seed=1).columns.tolist()
    ['mathach', 'ses', 'schid']
    """
    check_value(type, ("random", "average"), "type")
    if type == "average":
        if seed is not None:
            raise ArgumentError("seed is of type='random': an average is not drawn.")
        return average_obs(fit_or_fits, var_list, orig_data)
    if orig_data is not None:
        raise ArgumentError("orig_data is of type='average'.")
    fits = fits_of(fit_or_fits, "draw")
    subset = _subset(fits[0], var_list, None)
    if subset and not any(_count(fit, subset) for fit in fits):
        raise ArgumentError(f"var_list: no row has {_text(subset)}.")
    row: pd.DataFrame = ask(fits[0], "drawn_row", [x.r for x in fits[1:]], subset, check_seed(seed))
    return row.reset_index(drop=True)


@under_r_names
def average_obs(
    fit_or_fits: Any,
    var_list: Mapping[str, Any] | None = None,
    orig_data: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Average the rows of the data that a model was fitted to. In R: ``averageObs(m)``.

    Numbers have their mean, other columns their most frequent value ("." where several are as
    frequent), and grouping factors the group with the median random effect (`re_quantile`).

    A function of columns, such as ``I(x^2)``, has its value at their averages, if they are columns
    of the formula themselves or of orig_data; else the mean of its values, with a warning. In
    merTools, rows are not left out by var_list where the formula has functions and orig_data is
    given: other columns are averaged over all rows, and so they are here. Without orig_data
    merTools stops there, as it does for ``cbind(a, b)`` as the response.

    Parameters
    ----------
    fit_or_fits : MerMod or MerModList
        One fit, or those to m imputed data sets, whose rows are averaged together. merTools stops
        at a list.
    var_list : mapping of str to value, optional
        As in `draw`. With fewer than 3 such rows all are averaged.
    orig_data : DataFrame, optional
        Data to average instead of R's model frame, with its columns.

    Returns
    -------
    DataFrame
        One row, as in `draw`.

    Raises
    ------
    ArgumentError
        An argument that can't be right.

    Warns
    -----
    RBridgeWarning
        Where there are few rows, or few groups.

    See Also
    --------
    draw : A row that is drawn.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> from rbridge_mi.mertools import average_obs
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> average_obs(fit).round(2).values.tolist()
    [[12.75, 0.0, '5667']]
    """
    fits = fits_of(fit_or_fits, "average_obs")
    if orig_data is not None:
        check_frame(orig_data, "orig_data")
    subset = _subset(fits[0], var_list, orig_data)
    if subset:
        subset = _enough_rows(fits, subset, orig_data)
    columns = _columns(fits[0])
    groups = {}
    for factor in fits[0].ngrps:
        if factor in columns and factor not in (var_list or {}):
            groups[factor] = str(re_quantile(fit_or_fits, 0.5, factor)["grp"][0])
    row: pd.DataFrame = ask(
        fits[0],
        "average_row",
        [x.r for x in fits[1:]],
        fits[0].needed(orig_data),
        subset,
        groups,
    )
    return row.reset_index(drop=True)


@under_r_names
def wiggle(
    data: pd.DataFrame, varlist: str | Sequence[str], valueslist: Sequence[Any]
) -> pd.DataFrame:
    """Repeat rows with each combination of values of some columns. In R: ``wiggle(d, v, l)``.

    Parameters
    ----------
    data : DataFrame
        The rows.
    varlist : str or sequence of str
        Columns.
    valueslist : sequence
        Per column the sequence of its values; of a single column named by a str, the values.

    Returns
    -------
    DataFrame
        All rows with the first value of each column, then with the second value of the first
        column, and so on: the last column's values change last. A categorical column gets the
        categories that it lacks. The index is new; merTools numbers and prefixes row names.

    Raises
    ------
    ArgumentError
        Names that are no columns, or as many lists of values as there are not columns.

    See Also
    --------
    draw : Takes a row of a fit's data.

    Examples
    --------
    >>> import pandas as pd
    >>> from rbridge_mi.mertools import wiggle
    >>> wiggle(pd.DataFrame({"x": [0], "g": ["a"]}), ["x", "g"], [[1, 2], ["a", "b"]])
       x  g
    0  1  a
    1  2  a
    2  1  b
    3  2  b
    """
    check_frame(data)
    names = column_list(varlist, "varlist")
    check_columns(names, data, "varlist")
    if isinstance(valueslist, str) or not isinstance(valueslist, Sequence | np.ndarray | pd.Series):
        raise ArgumentError(f"valueslist must be a list of lists of values, not {valueslist!r}.")
    lists = [valueslist] if isinstance(varlist, str) else list(valueslist)
    if len(lists) != len(names) or not names:
        raise ArgumentError(
            f"varlist names {len(names)} columns, and valueslist has {len(lists)} lists of values: "
            "give one for each column."
        )
    rows = data.reset_index(drop=True)
    for name, values in zip(names, lists, strict=True):
        if isinstance(values, str) or not hasattr(values, "__len__") or not len(values):
            raise ArgumentError(f"valueslist: {name!r} needs a list of values, not {values!r}.")
        rows = _repeated(rows, name, list(values))
    return rows


# -- helpers --------------------------------------------------------------------------------


def _repeated(rows: pd.DataFrame, name: str, values: list[Any]) -> pd.DataFrame:
    repeated = pd.concat([rows] * len(values), ignore_index=True)
    column = [x for x in values for _ in range(len(rows))]
    dtype = rows[name].dtype
    if isinstance(dtype, pd.CategoricalDtype):
        more = [x for x in dict.fromkeys(values) if x not in dtype.categories]
        categories = [*dtype.categories, *more]
        repeated[name] = pd.Categorical(column, categories=categories, ordered=dtype.ordered)
    else:
        repeated[name] = column
    return repeated


def _columns(fit: FittedModel) -> list[str]:
    return [str(x) for x in ask(fit, "frame_facts", {})["columns"]]


def _count(fit: FittedModel, subset: Mapping[str, Any]) -> int:
    return int(ask(fit, "frame_facts", subset)["rows"][0])


def _subset(
    fit: FittedModel, var_list: Mapping[str, Any] | None, data: pd.DataFrame | None
) -> dict[str, Any]:
    if var_list is None:
        return {}
    if not isinstance(var_list, Mapping):
        raise ArgumentError(f"var_list must map columns to values, not {var_list!r}.")
    columns = _columns(fit) if data is None else list(data.columns)
    unknown = [x for x in var_list if x not in columns]
    if unknown:
        raise ArgumentError(
            f"var_list names {unknown[0]!r}, which is no column here; there are "
            f"{', '.join(map(str, columns))}."
        )
    for name, value in var_list.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float | np.number):
            raise ArgumentError(f"var_list: {name!r} needs one value, a text or a number.")
    return dict(var_list)


def _enough_rows(
    fits: Sequence[FittedModel], subset: dict[str, Any], data: pd.DataFrame | None
) -> dict[str, Any]:
    if data is None:
        rows = _count(fits[0], subset)
    else:
        rows = int(np.logical_and.reduce([data[k] == v for k, v in subset.items()]).sum())
    if rows >= _FEW_ROWS:
        return subset
    what = f"var_list: {rows} rows have {_text(subset)}"
    if rows < _TOO_FEW_ROWS:
        warnings.warn(f"{what}: all rows are averaged instead.", RBridgeWarning, stacklevel=4)
        return {}
    warnings.warn(f"{what}: averages of so few say little.", RBridgeWarning, stacklevel=4)
    return subset


def _text(subset: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in subset.items())
