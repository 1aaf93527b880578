"""Distributions of imputed and observed values: densities of numbers, bars of categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.glossary import checked
from ..base.labels import label as category_label
from ..data.imputed_data import ImputedData
from .canvas import (
    IMPUTED,
    OBSERVED,
    draw_legend,
    label,
    level_label,
    new_panels,
    result_of,
    styled,
)
from .cells import Cells, as_numbers, cells_of, shown_columns
from .objects import imputations_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["bandwidth_of", "density", "density_data", "kernel_density"]

Floats = NDArray[np.float64]

_POINTS = 201
_MOST_BARS = 12


def density_data(imp: ImputedData, columns: Any = None) -> pd.DataFrame:
    """Tabulate the distributions of observed and imputed values, for `rbridge_mi.plots.density`.

    Numbers have Gaussian kernel densities, their bandwidths by Silverman (1986, eq. 3.31) from the
    spread of the observed values and the number of values of each curve. Categories, and numbers of
    at most ten distinct values, have shares.

    Parameters
    ----------
    imp : ImputedData
        Imputations.
    columns : str or list, optional
        Imputed columns; all of them by default.

    Returns
    -------
    DataFrame
        column, source ("observed" or "imputed"), imputation, value (in the column's units) or
        category (text), density (per unit of the column, or the category's share).

    Raises
    ------
    ArgumentError
        A column that isn't there or wasn't imputed; bootstrap samples.

    References
    ----------
    Silverman (1986), Density Estimation for Statistics and Data Analysis, eq. 3.31.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> frame = pd.DataFrame({"f": ["a", "b", None]})
    >>> filled = [frame.fillna("a"), frame.fillna("b")]
    >>> imp = rb.ImputedData.from_frames(filled, original=frame)
    >>> rb.plot.data.density(imp, "f")["density"].tolist()
    [0.5, 0.5, 1.0, 0.0, 0.0, 1.0]
    """
    imputations_of(imp, "density")
    parts = [
        rows
        for cells in cells_of(imp, shown_columns(imp, columns, "density"))
        for rows in (_curves(cells) if cells.categories is None else _shares(cells))
    ]
    frame = pd.concat(parts, ignore_index=True).astype({"imputation": "Int64"})
    return checked(frame, "plot_density")


def _sources(cells: Cells) -> list[tuple[str, Any, pd.Series[Any]]]:
    imputed = [("imputed", i, x) for i, x in enumerate(cells.imputed, start=1)]
    return [("observed", pd.NA, cells.observed), *imputed]


def _curves(cells: Cells) -> list[pd.DataFrame]:
    observed = as_numbers(cells.observed)
    every = np.concatenate([observed, *(as_numbers(x) for x in cells.imputed)])
    margin = bandwidth_of(observed, min(len(x) for x in cells.imputed))
    grid = np.linspace(every.min() - margin, every.max() + margin, _POINTS)
    parts = []
    for source, imputation, values in _sources(cells):
        numbers = as_numbers(values)
        if len(numbers):
            height = kernel_density(numbers, grid, bandwidth_of(observed, len(numbers)))
            parts.append(
                _rows(cells, source, imputation, value=grid, category=None, density=height)
            )
    return parts


def _shares(cells: Cells) -> list[pd.DataFrame]:
    categories = cells.categories or []
    texts = [category_label(x) for x in categories]
    parts = []
    for source, imputation, values in _sources(cells):
        counts = values.dropna().value_counts().reindex(categories, fill_value=0)
        share = counts.to_numpy(float) / max(1, counts.sum())
        parts.append(_rows(cells, source, imputation, value=np.nan, category=texts, density=share))
    return parts


def _rows(cells: Cells, source: str, imputation: Any, **columns: Any) -> pd.DataFrame:
    frame = pd.DataFrame(columns)
    frame.insert(0, "column", cells.column)
    frame.insert(1, "source", source)
    frame.insert(2, "imputation", pd.array([imputation] * len(frame), "Int64"))
    return frame.astype({"category": object})


def bandwidth_of(observed: Floats, count: int) -> float:
    """Return the bandwidth for so many values with the spread of the observed ones.

    0.9 min(sd, interquartile range / 1.34) n^(-1/5), by Silverman (1986, eq. 3.31); as in R's
    ``bw.nrd0``, a spread of 0 is replaced by the other one, by the values' size, or by 1.
    """
    spread = float(np.std(observed, ddof=1)) if len(observed) > 1 else 0.0
    low, high = np.quantile(observed, [0.25, 0.75]) if len(observed) else (0.0, 0.0)
    between = float(high - low) / 1.34
    size = abs(float(observed[0])) if len(observed) else 0.0
    narrow = min(spread, between) or spread or size or 1.0
    return float(0.9 * narrow * max(count, 1) ** -0.2)


def kernel_density(values: Floats, grid: Floats, bandwidth: float) -> Floats:
    """Return the Gaussian kernel density of the values at the points of a grid."""
    scale = 1 / (bandwidth * np.sqrt(2 * np.pi) * len(values))
    sums = [np.exp(-0.5 * ((x - values) / bandwidth) ** 2).sum() for x in grid]
    height: Floats = scale * np.array(sums)
    return height


def density(imp: ImputedData, columns: Any = None, *, ax: Any = None, **style: Any) -> Any:
    """Draw the distributions of observed and imputed values: one curve for each imputation.

    Under missingness that depends on other variables the two may well differ; imputations that lie
    where no value can be, or all of which differ from one another, need a second look.

    Parameters
    ----------
    imp : ImputedData
        Imputations.
    columns : str or list, optional
        Imputed columns, a panel each; all of them by default.
    ax : Axes or sequence of Axes, optional
        To draw on, one for each column; a new figure's by default.
    **style : Any
        Properties of the imputations' curves (`matplotlib.lines.Line2D`), or of their dots.

    Returns
    -------
    Axes or Figure
        The Figure, if there are several panels. Categories have bars: observed shares, and the mean
        of the imputed ones, with a dot for each imputation.

    Raises
    ------
    ArgumentError
        A column that isn't there or wasn't imputed; bootstrap samples.
    MissingExtraError
        Where matplotlib isn't installed.

    See Also
    --------
    rbridge_mi.plots.strip : The values themselves.

    References
    ----------
    van Buuren (2018), Flexible Imputation of Missing Data, section 6.6.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> frame = pd.DataFrame({"f": ["a", "b", None]})
    >>> filled = [frame.fillna("a"), frame.fillna("b")]
    >>> imp = rb.ImputedData.from_frames(filled, original=frame)
    >>> imp.plot.density("f").get_xlabel()
    'f'
    """
    frame = density_data(imp, columns)
    by_column = [(name, frame[frame["column"] == name]) for name in frame["column"].unique()]
    panels = new_panels(len(by_column), ax, 4.2 if len(by_column) > 1 else 6.0, 3.0)
    for panel, (name, rows) in zip(panels, by_column, strict=True):
        draw = _draw_curves if rows["category"].isna().all() else _draw_bars
        handles = draw(panel, rows, imp.m, style)
        count = rows["category"].nunique()
        more = f" ({_MOST_BARS} of {count} categories)" if count > _MOST_BARS else ""
        panel.set_xlabel(label(f"{name}{more}"))
        panel.set_ylim(bottom=0)
        draw_legend(panel, list(handles.values()), list(handles))
    return result_of(panels)


def _draw_curves(ax: Axes, rows: pd.DataFrame, m: int, style: dict[str, Any]) -> dict[str, Any]:
    curves = []
    for _, part in rows[rows["source"] == "imputed"].groupby("imputation"):
        curves += ax.plot(
            part["value"], part["density"], color=IMPUTED, linewidth=1.0, zorder=2,
            alpha=max(0.35, min(0.9, 6 / m)),
        )  # fmt: skip
    styled(curves, style)
    known = rows[rows["source"] == "observed"]
    (line,) = ax.plot(known["value"], known["density"], color=OBSERVED, linewidth=2.2, zorder=3)
    ax.set_ylabel("density")
    return {"observed": line, f"{m} imputations": curves[0]}


def _draw_bars(ax: Axes, rows: pd.DataFrame, m: int, style: dict[str, Any]) -> dict[str, Any]:
    shares = rows.groupby(["source", "category"], sort=False)["density"].mean().unstack("source")
    shares = shares.reindex(list(dict.fromkeys(rows["category"])))
    if len(shares) > _MOST_BARS:  # the most frequent ones
        shares = shares.loc[shares.index.isin(shares["observed"].nlargest(_MOST_BARS).index)]
    x = np.arange(len(shares), dtype=float)
    observed = ax.bar(x - 0.2, shares["observed"], 0.38, color=OBSERVED)
    imputed = ax.bar(x + 0.2, shares["imputed"], 0.38, color=IMPUTED)
    place = dict(zip(shares.index, x, strict=True))
    dots = rows[(rows["source"] == "imputed") & rows["category"].isin(place)]
    aside = 0.2 + 0.24 * ((dots["imputation"].astype(float) - 0.5) / m - 0.5)
    (points,) = ax.plot(
        dots["category"].map(place) + aside, dots["density"], "o", color="white", markersize=3.5,
        markeredgecolor="black", markeredgewidth=0.7, zorder=3,
    )  # fmt: skip
    styled(points, style)
    ax.set_xticks(x, [label(name, 14) for name in shares.index])
    if len(x) > 6 or sum(min(14, len(str(name))) for name in shares.index) > 40:
        ax.set_xticklabels(
            [level_label(x, 24) for x in shares.index], rotation=50, ha="right",
            rotation_mode="anchor", fontsize=8,
        )  # fmt: skip
    ax.set_ylabel("share of the cells")
    return {"observed": observed, "imputed, mean": imputed, "each imputation": points}
