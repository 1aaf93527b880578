"""How estimates move with delta, the shift of imputed values that may be missing not at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..base.arguments import check_frame
from ..base.checks import is_number
from ..base.glossary import checked
from ..errors import ArgumentError
from .canvas import (
    DARK,
    INK,
    draw_legend,
    draw_title,
    draw_zero,
    label,
    new_panels,
    result_of,
    styled,
)
from .forest import wanted_terms
from .objects import check_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["delta", "delta_data"]

_NUMBERS = ["delta", "estimate", "conf_low", "conf_high"]
_TEXTS = ["effect", "group", "term"]
_KEYS = ["effect", "group", "term"]
_MANY = 15  # deltas whose marks would touch at their full size
# What a mark means: an interval without 0, one with it, and the analysis as it is.
_LEGEND = ("interval without 0", "with 0", "delta = 0")
_REACH = 1.5  # as many times the height of what is drawn, 0 may lie away and is drawn, too


def delta_data(sensitivity: pd.DataFrame, terms: str | Sequence[str] | None = None) -> pd.DataFrame:
    """Tabulate how estimates move with delta, for `rbridge_mi.plots.delta`.

    Parameters
    ----------
    sensitivity : DataFrame
        What `rbridge_mi.delta_sensitivity` gave, or rows of it.
    terms : str or list of str, optional
        Terms to show, those of the random part, such as "sd__(Intercept)", included; by default all
        coefficients but the intercept.

    Returns
    -------
    DataFrame
        delta, effect, group, term, estimate, conf_low, conf_high, holds_zero (whether the interval
        does; missing where there is none, as of the random part): the terms in the order in which
        they are shown, each by delta.

    Raises
    ------
    ArgumentError
        Another table, a delta that a term has twice, or a term that isn't there.

    See Also
    --------
    rbridge_mi.delta_sensitivity : The table.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> rows = {"delta": [0.0, -1.0], "estimate": [0.5, 0.2], "conf_low": [0.1, -0.2]}
    >>> moved = pd.DataFrame({**rows, "conf_high": [0.9, 0.6], "effect": "fixed", "term": "x"})
    >>> rb.plot.data.delta(moved.assign(group=None))["holds_zero"].tolist()
    [True, False]
    """
    table = _sensitivity_of(sensitivity)
    known = list(dict.fromkeys(table["term"]))
    coefficients = list(dict.fromkeys(table.loc[table["effect"] == "fixed", "term"]))
    shown = wanted_terms(known if terms is not None else coefficients or known, terms)
    rank = {name: i for i, name in enumerate(shown)}
    table = table[table["term"].isin(rank)]
    # Standard deviations of several groups may have one name: each has its place.
    places = {key: i for i, key in enumerate(dict.fromkeys(_keys_of(table)))}
    order = [(rank[key[-1]], places[key]) for key in _keys_of(table)]
    first, second = np.array(order).T
    table = table.iloc[np.lexsort((table["delta"], second, first))].reset_index(drop=True)
    inside = (table["conf_low"] <= 0) & (table["conf_high"] >= 0)
    known_ends = table[["conf_low", "conf_high"]].notna().all(axis=1)
    table["holds_zero"] = inside.astype("boolean").where(known_ends)
    frame = checked(table, "plot_delta")
    frame.attrs = dict(sensitivity.attrs)
    return frame


def _keys_of(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    return list(zip(*(table[x] for x in _KEYS), strict=True))


def _sensitivity_of(given: Any) -> pd.DataFrame:
    """Take the columns that are drawn, as numbers and text."""
    remedy = "Give the table of delta_sensitivity, or rows of it"
    check_kind(given, (pd.DataFrame,), "delta")
    frame = check_frame(given, "sensitivity")
    absent = [x for x in (*_NUMBERS, *_TEXTS) if x not in frame.columns]
    if absent:
        raise ArgumentError(f"sensitivity lacks the columns {', '.join(absent)}. {remedy}.")
    table = frame[["delta", *_TEXTS, *_NUMBERS[1:]]].copy()
    try:
        table = table.astype(dict.fromkeys(_NUMBERS, float))
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"sensitivity: {error}. {remedy}.") from error
    if not np.isfinite(table[["delta", "estimate"]].to_numpy()).all():
        raise ArgumentError(f"sensitivity has no number in its delta or estimate. {remedy}.")
    for name in _TEXTS:
        texts = [None if x is None or pd.isna(x) else str(x) for x in table[name]]
        table[name] = pd.Series(texts, index=table.index, dtype=object)
    if table["term"].isna().any():
        raise ArgumentError(f"sensitivity has a row without term. {remedy}.")
    twice = table[table.duplicated(["delta", *_KEYS])]
    if len(twice):
        term, value = twice["term"].iloc[0], twice["delta"].iloc[0]
        raise ArgumentError(
            f"sensitivity has the delta {value:g} of {term!r} twice: draw one analysis at a time."
        )
    return table


def delta(
    sensitivity: pd.DataFrame,
    terms: str | Sequence[str] | None = None,
    *,
    ax: Any = None,
    **style: Any,
) -> Any:
    """Draw how estimates move with delta, and where their intervals come to hold 0.

    Parameters
    ----------
    sensitivity : DataFrame
        What `rbridge_mi.delta_sensitivity` gave, or rows of it.
    terms : str or list of str, optional
        Terms to show, those of the random part, such as "sd__(Intercept)", included; by default all
        coefficients but the intercept.
    ax : Axes or sequence of Axes, optional
        To draw on, one for each term; a new figure's by default.
    **style : Any
        Properties of the points (`matplotlib.lines.Line2D`).

    Returns
    -------
    Axes or Figure
        The Figure, if there are several panels. A point is white where its interval holds 0, and a
        diamond where delta is 0, which is the analysis as it is. The line of no effect is drawn
        unless the estimates lie far from it.

    Raises
    ------
    ArgumentError
        Another table, a delta that a term has twice, or a term that isn't there.
    MissingExtraError
        Where matplotlib isn't installed.

    See Also
    --------
    rbridge_mi.delta_sensitivity : The table.

    References
    ----------
    van Buuren (2018), Flexible Imputation of Missing Data, 2nd ed., section 9.2.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> rows = {"delta": [-1.0, 0.0], "estimate": [0.2, 0.5], "conf_low": [-0.2, 0.1]}
    >>> moved = pd.DataFrame({**rows, "conf_high": [0.6, 0.9], "effect": "fixed", "term": "x"})
    >>> rb.plot.delta(moved.assign(group=None)).get_title("left")
    'x'
    """
    frame = delta_data(sensitivity, terms)
    parts = [part for _, part in frame.groupby(_KEYS, sort=False, dropna=False)]
    panels = new_panels(len(parts), ax, 3.6 if len(parts) > 1 else 6.0, 2.9)
    marks: dict[str, Any] = {}
    for panel, rows in zip(panels, parts, strict=True):
        marks |= _draw_one(panel, rows, style)
        panel.set_xlabel(_shift_label(frame.attrs))
        panel.set_ylabel(_estimate_label(rows, frame.attrs))
    texts = [x for x in _LEGEND if x in marks]
    height = draw_legend(panels[0], [marks[x] for x in texts], texts, 3) if texts else 0.0
    for panel, rows in zip(panels, parts, strict=True):
        group, term = rows[["group", "term"]].iloc[0]
        name = term if group is None else f"{group}: {term}"
        draw_title(panel, label(name, 34), above=height if panel is panels[0] else 0.0)
    return result_of(panels)


def _draw_one(ax: Axes, rows: pd.DataFrame, style: dict[str, Any]) -> dict[str, Any]:
    """Draw one term; return the marks that the legend explains, by its text."""
    x, y = rows["delta"].to_numpy(), rows["estimate"].to_numpy()
    many = len(rows) > _MANY
    ax.vlines(
        x, rows["conf_low"], rows["conf_high"], color=DARK, linewidth=0.8 if many else 1.6, zorder=2
    )
    ax.plot(x, y, color=INK, linewidth=1.0, zorder=3)
    holds = rows["holds_zero"].fillna(False).to_numpy(bool)
    marks = {}
    for as_it_is in (False, True):
        for white in (False, True):
            mine = (holds == white) & ((x == 0) == as_it_is)
            if mine.any():
                (points,) = ax.plot(
                    x[mine], y[mine], "D" if as_it_is else "o", color=INK, zorder=4,
                    markerfacecolor="white" if white else INK,
                    markersize=(3.5 if many else 6.0) + 1.5 * as_it_is,
                )  # fmt: skip
                styled(points, style)
                marks[_LEGEND[2] if as_it_is else _LEGEND[white]] = points
    if rows["holds_zero"].isna().all():
        marks = {text: mark for text, mark in marks.items() if text == _LEGEND[2]}
    if x.min() <= 0 <= x.max():
        draw_zero(ax)
    drawn = rows[["estimate", "conf_low", "conf_high"]]
    low, high = float(drawn.min(axis=None)), float(drawn.max(axis=None))
    if max(low, -high, 0.0) <= _REACH * (high - low):
        ax.axhline(0, color=INK, linewidth=0.9, linestyle="--", zorder=1)
    return marks


def _shift_label(attrs: dict[Any, Any]) -> str:
    column, by, groups = (attrs.get(x) for x in ("column", "by", "groups"))
    if column is None:
        return "delta"
    where = "" if by is None or groups is None else f", {by} {', '.join(map(str, groups))}"
    return label(f"delta of {column}{where}", 44)


def _estimate_label(rows: pd.DataFrame, attrs: dict[Any, Any]) -> str:
    if rows["holds_zero"].isna().all():
        return "estimate"
    level = attrs.get("conf_level")
    if level is None or not is_number(level):
        return "estimate and interval"
    return f"estimate and {100 * level:g}% interval"
