"""What a model predicts along one of its variables, with pooled bands."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..base.arguments import check_count, check_level, check_value
from ..base.checks import hint, is_number
from ..base.glossary import beside
from ..base.labels import label as category_label
from ..errors import ArgumentError
from ..fits.asking import ask
from ..inference.degrees_of_freedom import dfcom_of_one, vcov_of_one
from ..inference.mermod import MerMod
from ..inference.predictions import predict_fits
from ..pooled.mermod_list import MerModList
from ..pooled.pooled_mermod import PooledMerMod
from ..pooling import rule_for
from .canvas import LINES, axes_of, category_width, draw_legend, label, new_axes, styled
from .cells import in_order
from .objects import check_kind, fits_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["predictions", "predictions_data"]

_FEW = 5  # distinct numbers that are shown one by one
_MOST_LINES = 6


def predictions_data(
    obj: MerMod | MerModList | PooledMerMod,
    x: str,
    by: str | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    points: int = 60,
    conf_level: float | None = None,
    type: str = "response",
) -> pd.DataFrame:
    """Tabulate predictions of the fixed part along a variable, for `rbridge_mi.plots.predictions`.

    Parameters
    ----------
    obj : MerMod, MerModList or PooledMerMod
        Fits of a list are pooled by default.
    x : str
        A column of the data that is in the fixed part.
    by : str, optional
        Another one: its categories, or, of more than five distinct numbers, their mean and one
        standard deviation below and above it.
    at : mapping, optional
        Values of columns: several of x or by, one of others. By default other columns are held at
        their mean over rows and imputations, those that are not numeric at their most frequent
        category.
    points : int
        Values of a numeric x, from the smallest to the largest.
    conf_level : float, optional
        That of the pooled model by default; 0.95 of a single fit.
    type : {"response", "link"}
        Scale of a generalised model's predictions; they are pooled on that of the link.

    Returns
    -------
    DataFrame
        x and by, under their names in the data, then estimate, std_error, df, conf_low, conf_high,
        as ``fits.predict(newdata, re_form="NA", interval="confidence")`` has them, with the pooled
        model's degrees of freedom and covariances. ``attrs["note"]`` says at which values the other
        columns are held.

    Raises
    ------
    ArgumentError
        A column that isn't in the fixed part, or a value that can't be.

    See Also
    --------
    rbridge_mi.MerModList.predict : For any new data.
    rbridge_mi.PooledMerMod.emmeans : Means over the other columns' categories.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> list(rb.plot.data.predictions(fit, "ses", points=3).columns)
    ['ses', 'estimate', 'std_error', 'df', 'conf_low', 'conf_high']
    """
    check_kind(obj, (MerMod, MerModList, PooledMerMod), "predictions")
    check_value(type, ("response", "link"), "type")
    check_count(points, "points", 2)
    model = obj.pooled_by_default if isinstance(obj, MerModList) else obj
    fits = fits_of(model, "predictions")
    data = pd.concat([ask(fit, "fixed_columns") for fit in fits], ignore_index=True)
    if by is not None and by == x:
        raise ArgumentError(f"by must be another column than x, {x!r}.")
    at = {} if at is None else dict(at)
    for name in (x, *([] if by is None else [by]), *at):
        _check_column(name, data)
    axes = {x: _values_of_x(data[x], at.pop(x, None), points)}
    if by is not None:
        axes[by] = _values_of_by(data[by], at.pop(by, None))
    held = {name: _held(data[name], at.get(name)) for name in data.columns if name not in axes}
    grid = _grid(data, axes, held)
    table = _predicted(model, fits, grid, conf_level, type)
    shown = beside(table, grid[list(axes)], first=False)
    texts = [f"{name} = {_written(value, data[name])}" for name, value in held.items()]
    shown.attrs["note"] = ", ".join(texts)
    return shown


def _written(value: Any, column: pd.Series[Any]) -> str:
    """Write a value; a number with as many decimals as the column's spread makes worth while."""
    if not is_number(value):
        return category_label(value)
    spread = float(column.std()) if column.nunique() > 1 else abs(value) or 1.0
    decimals = max(0, 2 - math.floor(math.log10(spread)))
    text = f"{value:.{decimals}f}"
    return f"{float(text):g}" if float(text) else "0"


def _check_column(name: Any, data: pd.DataFrame) -> None:
    if name not in data.columns:
        meant = hint(name, [str(x) for x in data.columns])
        listed = ", ".join(map(repr, data.columns)) or "none"
        raise ArgumentError(
            f"predictions: {name!r}{meant} is no column of the fixed part; "
            f"its columns are {listed}."
        )


def _is_numeric(column: pd.Series[Any]) -> bool:
    dtype = column.dtype
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def _given(column: pd.Series[Any], value: Any) -> list[Any]:
    several = isinstance(value, Sequence | np.ndarray | pd.Series) and not isinstance(value, str)
    values = list(value) if several else [value]
    if not values:
        raise ArgumentError(f"at[{column.name!r}] is empty.")
    if _is_numeric(column):
        wrong = [x for x in values if not is_number(x) or not np.isfinite(x)]
        if wrong:
            raise ArgumentError(f"at[{column.name!r}] must be numbers, not {wrong[0]!r}.")
        return values
    known = _categories(column)
    for x in values:
        if x not in known:
            raise ArgumentError(
                f"at[{column.name!r}]: {x!r} is none of its categories, "
                f"{', '.join(map(repr, known[:20]))}."
            )
    return values


def _categories(column: pd.Series[Any]) -> list[Any]:
    present = column.dropna().unique()
    if isinstance(column.dtype, pd.CategoricalDtype):
        there = set(present)
        return [x for x in column.dtype.categories if x in there]
    return sorted(present) if _is_numeric(column) else in_order(present)


def _values_of_x(column: pd.Series[Any], given: Any, points: int) -> list[Any]:
    if given is not None:
        return _given(column, given)
    if not _is_numeric(column) or column.nunique() <= _FEW:
        return _categories(column)
    return list(np.linspace(float(column.min()), float(column.max()), points))


def _values_of_by(column: pd.Series[Any], given: Any) -> list[Any]:
    if given is not None:
        values = _given(column, given)
    elif not _is_numeric(column) or column.nunique() <= _FEW:
        values = _categories(column)
    else:
        mean, sd = float(column.mean()), float(column.std())
        values = [mean - sd, mean, mean + sd]
    if len(values) > _MOST_LINES:
        raise ArgumentError(
            f"by={column.name!r} has {len(values)} values, and {_MOST_LINES} lines can be told "
            f"apart: choose some with at={{{column.name!r}: [...]}}."
        )
    return values


def _held(column: pd.Series[Any], given: Any) -> Any:
    if given is not None:
        values = _given(column, given)
        if len(values) > 1:
            raise ArgumentError(f"at[{column.name!r}] takes one value: it is neither x nor by.")
        return values[0]
    if _is_numeric(column):
        return float(column.mean())
    counts = column.value_counts()
    return counts.idxmax()


def _grid(data: pd.DataFrame, axes: dict[str, list[Any]], held: dict[str, Any]) -> pd.DataFrame:
    """Return the new data, with the columns' kinds as they are in the data."""
    product = pd.MultiIndex.from_product(axes.values(), names=list(axes)).to_frame(index=False)
    columns = {}
    for name in data.columns:
        values = product[name] if name in axes else pd.Series([held[name]] * len(product))
        dtype = float if _is_numeric(data[name]) else data[name].dtype
        columns[name] = values.astype(dtype)
    return pd.DataFrame(columns)


def _predicted(
    model: MerMod | PooledMerMod,
    fits: Sequence[MerMod],
    grid: pd.DataFrame,
    conf_level: float | None,
    type: str,
) -> pd.DataFrame:
    if isinstance(model, PooledMerMod):
        rule, dfcom, level = model.rule, model.dfcom, model.conf_level
        vcov: str = model.vcov_method
    else:
        rule, dfcom, level = rule_for("imputation"), dfcom_of_one(model, None), 0.95
        vcov = vcov_of_one(dfcom)
    level = level if conf_level is None else check_level(conf_level)
    return predict_fits(
        fits, rule, grid, "NA", "confidence", level, False, dfcom, type=type, vcov=vcov
    )


def predictions(
    obj: MerMod | MerModList | PooledMerMod,
    x: str,
    by: str | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    points: int = 60,
    conf_level: float | None = None,
    type: str = "response",
    ax: Axes | None = None,
    **style: Any,
) -> Axes:
    """Draw what the fixed part predicts along a variable, with pooled confidence bands.

    Parameters
    ----------
    obj : MerMod, MerModList or PooledMerMod
        Fits of a list are pooled by default.
    x : str
        A column of the data that is in the fixed part.
    by : str, optional
        Another one, with a line for each of its categories; or, of more than five distinct numbers,
        for their mean and one standard deviation below and above it.
    at : mapping, optional
        Values of columns: several of x or by, one of others. By default other columns are held at
        their mean over rows and imputations, those that are not numeric at their most frequent
        category.
    points : int
        Values of a numeric x, from the smallest to the largest.
    conf_level : float, optional
        That of the pooled model by default; 0.95 of a single fit.
    type : {"response", "link"}
        Scale of a generalised model's predictions; they are pooled on that of the link.
    ax : Axes, optional
        To draw on; a new figure's by default.
    **style : Any
        Properties of the lines, `matplotlib.lines.Line2D`.

    Returns
    -------
    Axes
        Bands, or bars where x has categories or at most five distinct numbers, are those of the
        mean response in a typical group, whose random effects are 0. Below the axis stands at
        which values the other columns are held.

    Raises
    ------
    ArgumentError
        A column that isn't in the fixed part, or a value that can't be.
    MissingExtraError
        Where matplotlib isn't installed.

    See Also
    --------
    rbridge_mi.MerModList.predict : For any new data.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> fit.plot.predictions("ses").get_ylabel()
    'expected mathach'
    """
    table = predictions_data(obj, x, by, at=at, points=points, conf_level=conf_level, type=type)
    ax = new_axes(ax, 6.0, 4.0)
    # By position: x or by may have the name of a column of the table itself.
    names = [x] if by is None else [x, by]
    values = table.iloc[:, 0]
    groups = [None] if by is None else list(dict.fromkeys(table.iloc[:, 1]))
    limits = table.iloc[:, [-2, -1]].to_numpy()
    estimate = table.iloc[:, len(names)].to_numpy()
    lines, count = [], len(groups)
    smooth = _is_numeric(values) and values.nunique() > _FEW
    numeric = _is_numeric(values)
    shown = list(dict.fromkeys(values))
    for i, group in enumerate(groups):
        rows = np.full(len(table), True) if by is None else (table.iloc[:, 1] == group).to_numpy()
        colour, dash = LINES[i]
        low, high = limits[rows].T
        if smooth:
            at_x = values[rows].to_numpy(float)
            ax.fill_between(at_x, low, high, color=colour, alpha=0.18, linewidth=0, zorder=1)
            lines += ax.plot(
                at_x, estimate[rows], color=colour, linestyle=dash, linewidth=2.0, zorder=2
            )
        else:
            aside = 0.0 if count == 1 else 0.3 * (i / (count - 1) - 0.5)
            at_x = np.array([shown.index(v) for v in values[rows]], float) + aside
            ax.vlines(at_x, low, high, color=colour, linewidth=1.6, zorder=1)
            lines += ax.plot(
                at_x, estimate[rows], color=colour, linestyle=dash, linewidth=0.9,
                marker="os^Dv*"[i], markersize=6, zorder=2,
            )  # fmt: skip
    styled(lines, style)
    if not smooth:
        texts = [f"{v:.3g}" if numeric else category_label(v) for v in shown]
        ax.set_xticks(range(len(shown)), [label(v, category_width(ax, len(texts))) for v in texts])
        ax.set_xlim(-0.5, len(shown) - 0.5)
    if by is not None:
        texts = [f"{by} = {_written(g, table.iloc[:, 1].drop_duplicates())}" for g in groups]
        draw_legend(ax, lines, texts, 3)
    note = table.attrs["note"]
    ax.set_xlabel(label(x) + (f"\n{label(f'at {note}', 70)}" if note else ""))
    ax.set_ylabel(_response_label(obj, type))
    return axes_of(ax)


def _response_label(obj: MerMod | MerModList | PooledMerMod, type: str) -> str:
    first = fits_of(obj, "predictions")[0]
    response = label(first.formula.split("~")[0].strip())
    if first.link == "identity":
        return f"expected {response}"
    if type == "link":
        return f"{first.link} of expected {response}"
    return f"probability of {response}" if first.family == "binomial" else f"expected {response}"
