"""Observed and imputed cells as points: of one column, and of two against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..base.arguments import check_columns, check_count
from ..base.glossary import checked
from ..base.labels import label as category_label
from ..data.imputed_data import ImputedData
from ..errors import ArgumentError
from .canvas import (
    IMPUTED,
    OBSERVED,
    draw_legend,
    draw_level_ticks,
    label,
    new_panels,
    result_of,
    styled,
)
from .cells import MOST_CATEGORIES, cells_of, imputed_columns, shown_columns
from .objects import imputations_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["scatter", "scatter_data", "strip", "strip_data"]

_MOST = 2000  # points of one source that can be told apart in its strip or panel
_MANY = 1500  # points that are pixels in a vector image


def strip_data(imp: ImputedData, columns: Any = None) -> pd.DataFrame:
    """Tabulate the observed cells and those of each imputation, for `rbridge_mi.plots.strip`.

    Parameters
    ----------
    imp : ImputedData
        Imputations.
    columns : str or list, optional
        Imputed columns; all of them by default.

    Returns
    -------
    DataFrame
        column, row (label), source ("observed" or "imputed"), imputation, value (of numbers) or
        category (of others, and of numbers of at most ten distinct values, as text).

    Raises
    ------
    ArgumentError
        A column that isn't there or wasn't imputed; bootstrap samples.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> frame = pd.DataFrame({"f": ["a", "b", None]})
    >>> filled = [frame.fillna("a"), frame.fillna("b")]
    >>> imp = rb.ImputedData.from_frames(filled, original=frame)
    >>> rb.plot.data.strip(imp)["category"].tolist()
    ['a', 'b', 'a', 'b']
    """
    imputations_of(imp, "strip")
    parts = []
    for cells in cells_of(imp, shown_columns(imp, columns, "strip")):
        numbers = cells.categories is None
        imputed = list(enumerate(cells.imputed, start=1))
        for number, values in [(pd.NA, cells.observed), *imputed]:
            there = values.dropna()
            rows = pd.DataFrame({"row": there.index.to_numpy()})
            rows.insert(0, "column", cells.column)
            rows["source"] = "observed" if number is pd.NA else "imputed"
            rows["imputation"] = pd.array([number] * len(rows), "Int64")
            rows["value"] = there.to_numpy(dtype=float) if numbers else np.nan
            texts = None if numbers else [category_label(x) for x in there]
            rows["category"] = pd.Series(texts, dtype=object)
            parts.append(rows)
    return checked(pd.concat(parts, ignore_index=True), "plot_strip")


def strip(imp: ImputedData, columns: Any = None, *, ax: Any = None, **style: Any) -> Any:
    """Draw each value as a point: the observed ones at 0, those of each imputation beside them.

    Parameters
    ----------
    imp : ImputedData
        Imputations.
    columns : str or list, optional
        Imputed columns, a panel each; all of them by default.
    ax : Axes or sequence of Axes, optional
        To draw on, one for each column; a new figure's by default.
    **style : Any
        Properties of the imputed points (`matplotlib.lines.Line2D`).

    Returns
    -------
    Axes or Figure
        The Figure, if there are several panels. Points are moved aside at random (categories up and
        down, too), always in the same way. Of more than 2000 values in a strip so many are drawn,
        and the label says so; the frame has them all.

    Raises
    ------
    ArgumentError
        A column that isn't there or wasn't imputed; bootstrap samples.
    MissingExtraError
        Where matplotlib isn't installed.

    See Also
    --------
    rbridge_mi.plots.density : Their distributions.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> frame = pd.DataFrame({"f": ["a", "b", None]})
    >>> filled = [frame.fillna("a"), frame.fillna("b")]
    >>> imp = rb.ImputedData.from_frames(filled, original=frame)
    >>> [x.get_text() for x in imp.plot.strip().get_yticklabels()]
    ['a', 'b']
    """
    frame = strip_data(imp, columns)
    names = list(frame["column"].unique())
    cells = cells_of(imp, names)
    rows_most = max(len(x.categories or []) for x in cells)
    height = max(3.2, min(7.0, 1.0 + 0.2 * rows_most))
    texts = [category_label(x) for one in cells for x in one.categories or []]
    width = max(4.4, 3.4 + min(30, max(map(len, texts), default=0)) * 0.062)
    panels = new_panels(len(names), ax, width if len(names) > 1 else 6.4, height)
    for panel, one in zip(panels, cells, strict=True):
        every = frame[frame["column"] == one.column]
        rows = _sampled(every)
        y = rows["value"].to_numpy(copy=True)
        jitter = np.random.default_rng(1).uniform(-0.32, 0.32, size=(2, len(rows)))
        if rows["value"].isna().all():
            texts = [category_label(x) for x in one.categories or []]
            place = {x: float(i) for i, x in enumerate(texts)}
            y = rows["category"].map(place).to_numpy(float) + jitter[1]
            draw_level_ticks(panel, range(len(texts)), texts, 30)
        x = rows["imputation"].fillna(0).to_numpy(float) + jitter[0]
        handles = []
        # A strip of many imputations is narrow, and its points lie closer.
        closer = max(1.0, (imp.m + 1) / 8)
        for source, colour in (("observed", OBSERVED), ("imputed", IMPUTED)):
            mine = (rows["source"] == source).to_numpy()
            each = mine.sum() / (1 if source == "observed" else imp.m)
            handles += _draw_points(panel, x[mine], y[mine], colour, closer * each)
        least = min(x.get_markersize() for x in handles)
        for points in handles:
            points.set_markersize(least)
        styled(handles[1:], style)
        step = -(-(imp.m + 1) // 12)
        panel.set_xticks(range(0, imp.m + 1, step))
        note = f"\nat most {_MOST} values of each" if len(rows) < len(every) else ""
        panel.set_xlabel(f"imputation (0: observed){note}")
        panel.set_ylabel(label(one.column))
        draw_legend(panel, handles, ["observed", "imputed"])
    return result_of(panels)


def _sampled(rows: pd.DataFrame) -> pd.DataFrame:
    """Take so many points of each source at random, always the same, that they leave gaps."""
    shuffled = rows.sample(frac=1.0, random_state=1)
    place = shuffled.groupby(shuffled["imputation"].fillna(0)).cumcount()
    return rows[place.reindex(rows.index) < _MOST]


def _draw_points(ax: Axes, x: Any, y: Any, colour: str, crowd: float) -> list[Any]:
    """Draw points, smaller and fainter the more of them there are in one place."""
    return ax.plot(
        x, y, "o", color=colour, markeredgewidth=0, rasterized=len(x) > _MANY,
        markersize=max(1.6, min(3.0, 60 / max(1.0, crowd) ** 0.5)),
        alpha=max(0.06, min(0.65, 400 / max(1.0, crowd))),
    )  # fmt: skip


def scatter_data(imp: ImputedData, x: Any, y: Any) -> pd.DataFrame:
    """Tabulate two columns of observed rows and of imputed ones, for `rbridge_mi.plots.scatter`.

    Parameters
    ----------
    imp : ImputedData
        Imputations.
    x, y : str
        Two columns of numbers, at least one of which was imputed.

    Returns
    -------
    DataFrame
        row (label), source ("imputed" where a hole of x or y was filled), imputation, x, y: the
        rows observed in both once, the others for each imputation.

    Raises
    ------
    ArgumentError
        Columns that aren't there, hold no numbers, or neither of which was imputed; bootstrap
        samples.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, None]})
    >>> filled = [frame.fillna(2.5), frame.fillna(3.5)]
    >>> imp = rb.ImputedData.from_frames(filled, original=frame)
    >>> rb.plot.data.scatter(imp, "x", "y")["y"].tolist()
    [1.0, 2.0, 2.5, 3.5]
    """
    imputations_of(imp, "scatter")
    check_columns([x, y], imp.original, "scatter")
    if x == y:
        raise ArgumentError("scatter draws two different columns against each other.")
    for name in (x, y):
        dtype = imp.original[name].dtype
        if not pd.api.types.is_numeric_dtype(dtype):
            raise ArgumentError(
                f"scatter: column {name!r} holds no numbers (dtype {dtype}); "
                "strip and density draw categories."
            )
    imputed = imputed_columns(imp)
    if x not in imputed and y not in imputed:
        raise ArgumentError(f"scatter: neither {x!r} nor {y!r} had holes that were imputed.")
    holes = imp.original[[x, y]].isna().any(axis=1).to_numpy()
    parts = [_pairs(imp.original[~holes], x, y, pd.NA)]
    parts += [_pairs(frame[holes], x, y, i) for i, frame in enumerate(imp, start=1)]
    return checked(pd.concat(parts, ignore_index=True), "plot_scatter")


def _aside(values: pd.Series[float], generator: np.random.Generator) -> Any:
    """Return how far points are moved aside, of few distinct values that would hide each other."""
    distinct = np.sort(values.unique())
    if not 1 < len(distinct) <= MOST_CATEGORIES:
        return 0.0
    return generator.uniform(-0.25, 0.25, len(values)) * np.diff(distinct).min()


def _pairs(frame: pd.DataFrame, x: Any, y: Any, imputation: Any) -> pd.DataFrame:
    there = frame.dropna(subset=[x, y])
    return pd.DataFrame(
        {
            "row": there.index.to_numpy(),
            "source": "observed" if imputation is pd.NA else "imputed",
            "imputation": pd.array([imputation] * len(there), "Int64"),
            "x": there[x].to_numpy(dtype=float),
            "y": there[y].to_numpy(dtype=float),
        }
    )


def scatter(
    imp: ImputedData, x: Any, y: Any, most: int = 6, *, ax: Any = None, **style: Any
) -> Any:
    """Draw two columns against each other: observed rows, and those that each imputation filled.

    Parameters
    ----------
    imp : ImputedData
        Imputations.
    x, y : str
        Two columns of numbers, at least one of which was imputed.
    most : int
        How many imputations are drawn, the first ones, a panel each.
    ax : Axes or sequence of Axes, optional
        To draw on, one for each imputation that is drawn; a new figure's by default.
    **style : Any
        Properties of the imputed points (`matplotlib.lines.Line2D`).

    Returns
    -------
    Axes or Figure
        The Figure, if there are several panels. Points of a column of at most ten distinct values
        are moved aside at random, always in the same way. Of more than 2000 rows observed, or
        filled, so many are drawn, and the label says so; the frame has them all.

    Raises
    ------
    ArgumentError
        Columns that aren't there, hold no numbers, or neither of which was imputed; bootstrap
        samples.
    MissingExtraError
        Where matplotlib isn't installed.

    See Also
    --------
    rbridge_mi.plots.strip : One column.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, None]})
    >>> filled = [frame.fillna(2.5), frame.fillna(3.5)]
    >>> imp = rb.ImputedData.from_frames(filled, original=frame)
    >>> len(imp.plot.scatter("x", "y").axes)
    2
    """
    check_count(most, "most", 1)
    frame = scatter_data(imp, x, y)
    numbers = range(1, min(most, imp.m) + 1)
    panels = new_panels(len(numbers), ax, 3.1 if len(numbers) > 1 else 5.0, 3.0)
    every = frame[frame["imputation"].isna() | (frame["imputation"] <= len(numbers))]
    drawn = _sampled(every).copy()
    note = f"\nat most {_MOST} rows of each" if len(drawn) < len(every) else ""
    jitter = np.random.default_rng(1)
    for name in ("x", "y"):
        drawn[name] += _aside(drawn[name], jitter)
    known = drawn[drawn["source"] == "observed"]
    for panel, number in zip(panels, numbers, strict=True):
        rows = drawn[drawn["imputation"] == number]
        handles = _draw_points(panel, known["x"], known["y"], OBSERVED, len(known) + len(rows))
        handles += _draw_points(panel, rows["x"], rows["y"], IMPUTED, len(known) + len(rows))
        handles[0].set(alpha=0.45)
        handles[1].set(alpha=0.7)
        styled(handles[1:], style)
        panel.set_xlabel(f"{label(x)}{note}")
        panel.set_ylabel(label(y))
        for name, setter in (("x", panel.set_xlim), ("y", panel.set_ylim)):
            low, high = drawn[name].min(), drawn[name].max()
            margin = 0.04 * (high - low) or 1.0
            setter(low - margin, high + margin)
        for name, axis in (("x", panel.xaxis), ("y", panel.yaxis)):
            if frame[name].nunique() <= MOST_CATEGORIES:
                axis.set_ticks(sorted(frame[name].unique()))
        draw_legend(panel, handles, ["observed", f"imputation {number}"])
    return result_of(panels)
