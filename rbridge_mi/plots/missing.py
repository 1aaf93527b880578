"""Where values are missing: by rows or groups, and which columns are missing together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..base.arguments import check_columns, check_count, check_frame
from ..base.glossary import checked
from ..base.labels import label as category_label
from ..data.imputed_data import ImputedData
from ..errors import ArgumentError
from .canvas import (
    axes_of,
    colour_map,
    columns_fit,
    draw_level_ticks,
    label,
    level_width,
    new_axes,
    styled,
)
from .objects import check_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["missing_map", "missing_map_data", "missing_pattern", "missing_pattern_data"]

_CLASSES = 300  # of rows: more can't be told apart


def _holes_of(data: Any, what: str) -> pd.DataFrame:
    check_kind(data, (pd.DataFrame, ImputedData), what)
    frame: pd.DataFrame = data.original if isinstance(data, ImputedData) else data
    return check_frame(frame)


def missing_map_data(data: pd.DataFrame | ImputedData, group: Any = None) -> pd.DataFrame:
    """Tabulate where values are missing, for `rbridge_mi.plots.missing_map`.

    Parameters
    ----------
    data : DataFrame or ImputedData
        Data with holes.
    group : str, optional
        A column whose groups are shown instead of rows.

    Returns
    -------
    DataFrame
        By group: column, grp, n_rows, missing (fraction of the group's rows), the groups with most
        missing values first; rows without a group are in "(missing)". Without group: column, row
        (label of the first of some consecutive rows, so many that there are at most 300 classes),
        n_rows, missing.

    Raises
    ------
    ArgumentError
        A group that isn't there.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> frame = pd.DataFrame({"g": ["a", "a", "b"], "x": [1.0, None, 2.0]})
    >>> rb.plot.data.missing_map(frame, "g")["missing"].tolist()
    [0.5, 0.0]
    """
    frame = _holes_of(data, "missing_map")
    holes = frame.isna()
    if group is None:
        size = -(-len(frame) // _CLASSES)
        which = np.arange(len(frame)) // size
        keys: list[Any] = list(frame.index[::size])
        key = "row"
    else:
        check_columns([group], frame, "group")
        texts = frame[group].map(category_label, na_action="ignore").astype(object)
        which, levels = pd.factorize(texts.where(texts.notna(), "(missing)"))
        keys, key = list(levels), "grp"
        holes = holes.drop(columns=[group])
        if not holes.shape[1]:
            raise ArgumentError(f"data have no column besides the group {group!r}.")
    shares = holes.groupby(which).mean()
    counts = np.bincount(which)
    order = np.arange(len(keys))
    if group is not None:
        order = np.argsort(-shares.mean(axis=1).to_numpy(), kind="stable")
    width = holes.shape[1]
    table = pd.DataFrame(
        {
            "column": np.tile(np.array([*holes.columns], dtype=object), len(keys)),
            key: np.repeat(np.array(keys, dtype=object)[order], width),
            "n_rows": np.repeat(counts[order], width),
            "missing": shares.to_numpy()[order].ravel(),
        }
    )
    return checked(table, f"plot_missing_map_{'rows' if group is None else 'groups'}")


def missing_map(
    data: pd.DataFrame | ImputedData, group: Any = None, *, ax: Axes | None = None, **style: Any
) -> Axes:
    """Draw where values are missing: a row of cells for each group, or for some rows of the data.

    Columns that are missing in whole groups can't be imputed from within them, and groups without
    any value say little about themselves: both are seen here before anything is imputed.

    Parameters
    ----------
    data : DataFrame or ImputedData
        Data with holes.
    group : str, optional
        A column whose groups are shown instead of rows; those with most missing values are on top.
    ax : Axes, optional
        To draw on; a new figure's by default.
    **style : Any
        Properties of the cells, a `matplotlib.image.AxesImage`.

    Returns
    -------
    Axes
        With a colour bar beside it.

    Raises
    ------
    ArgumentError
        A group that isn't there.
    MissingExtraError
        Where matplotlib isn't installed.

    See Also
    --------
    rbridge_mi.plots.missing_pattern : Which columns are missing together.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> frame = pd.DataFrame({"g": ["a", "a", "b"], "x": [1.0, None, 2.0]})
    >>> rb.plot.missing_map(frame, "g").get_ylabel()
    'g (2 groups)'
    """
    table = missing_map_data(data, group)
    columns = list(dict.fromkeys(table["column"]))
    keys = table["row" if group is None else "grp"].to_numpy()[:: len(columns)]
    cells = table["missing"].to_numpy().reshape(len(keys), len(columns))
    names = 0.0 if group is None else level_width(keys)
    width = 2.0 + names + min(10.0, 0.45 * len(columns))
    ax = new_axes(ax, width, min(7.0, 1.4 + 0.18 * len(keys)))
    top = max(float(cells.max()), 0.01)
    # Thousands of groups have less than a pixel each: neighbours are drawn together, as their mean.
    blocks = np.arange(0, len(keys), -(-len(keys) // _CLASSES))
    sizes = np.diff([*blocks, len(keys)])
    image = ax.imshow(
        np.add.reduceat(cells, blocks) / sizes[:, None], aspect="auto", cmap="Greys", vmin=0,
        vmax=top, interpolation="nearest",
        extent=(-0.5, len(columns) - 0.5, sizes[0] * len(blocks) - 0.5, -0.5),
    )  # fmt: skip
    ax.set_ylim(len(keys) - 0.5, -0.5)
    styled(image, style)
    _label_columns(ax, columns)
    one = False  # whether each cell is one value, missing or not
    total = int(table["n_rows"].to_numpy()[:: len(columns)].sum())
    if group is None:
        ax.set_ylabel(f"rows of the data ({total})")
        ax.set_yticks([])
        one = len(keys) == total
    else:
        ax.set_ylabel(f"{label(group)} ({len(keys)} groups)")
        draw_level_ticks(ax, range(len(keys)), list(keys))
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.7, pad=0.02)
    bar.set_label("" if one else "fraction missing")
    if one:
        bar.set_ticks([0, top], labels=["observed", "missing"])
    ax.spines[["top", "right"]].set_visible(True)
    return axes_of(ax)


def _every(columns: list[Any]) -> int:
    """Name every k-th column, of more than can be read."""
    return -(-len(columns) // 60)


def _label_columns(ax: Axes, columns: list[Any]) -> None:
    step = _every(columns)
    shown = columns[::step]
    ax.set_xticks(range(0, len(columns), step), [label(x, 22) for x in shown])
    ax.tick_params(axis="x", top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    if not columns_fit(ax, columns):
        for text in ax.get_xticklabels():
            text.set(rotation=50, ha="left", rotation_mode="anchor")


def missing_pattern_data(data: pd.DataFrame | ImputedData) -> pd.DataFrame:
    """Tabulate the patterns of missingness, for `rbridge_mi.plots.missing_pattern`.

    Parameters
    ----------
    data : DataFrame or ImputedData
        Data with holes.

    Returns
    -------
    DataFrame
        pattern (from 1, the most frequent first), n_rows, column (those that have holes, the one
        with fewest first), is_missing. In R: ``mice::md.pattern(data)``.

    Raises
    ------
    ArgumentError
        Data without holes.

    See Also
    --------
    rbridge_mi.ImputedData.patterns : A row for each pattern.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> frame = pd.DataFrame({"g": ["a", "a", "b"], "x": [1.0, None, 2.0]})
    >>> rb.plot.data.missing_pattern(frame)["n_rows"].tolist()
    [2, 1]
    """
    frame = _holes_of(data, "missing_pattern")
    holes = frame.isna()
    counts = holes.sum()
    columns = [x for x in counts.sort_values(kind="stable").index if counts[x] > 0]
    if not columns:
        raise ArgumentError("missing_pattern: nothing is missing in these data.")
    patterns = holes[columns].value_counts()
    # The most frequent first; of equally frequent ones that with fewer holes.
    cells = np.array([*patterns.index]).reshape(len(patterns), len(columns))
    order = np.lexsort((cells.sum(axis=1), -patterns.to_numpy()))
    width = len(columns)
    table = pd.DataFrame(
        {
            "pattern": np.repeat(np.arange(1, len(order) + 1), width),
            "n_rows": np.repeat(patterns.to_numpy()[order], width),
            "column": np.tile(np.array(columns, dtype=object), len(order)),
            "is_missing": cells[order].ravel(),
        }
    )
    return checked(table, "plot_missing_pattern")


def missing_pattern(
    data: pd.DataFrame | ImputedData, most: int = 20, *, ax: Axes | None = None, **style: Any
) -> Axes:
    """Draw which columns are missing together, and in how many rows.

    Parameters
    ----------
    data : DataFrame or ImputedData
        Data with holes.
    most : int
        How many patterns are drawn, the most frequent ones.
    ax : Axes, optional
        To draw on; a new figure's by default.
    **style : Any
        Properties of the cells, a `matplotlib.image.AxesImage`.

    Returns
    -------
    Axes
        Columns without holes are left out; dark cells are missing. At the right are the patterns'
        rows, below the columns' missing values.

    Raises
    ------
    ArgumentError
        Data without holes.
    MissingExtraError
        Where matplotlib isn't installed.

    See Also
    --------
    rbridge_mi.plots.missing_map : Where values are missing.

    References
    ----------
    van Buuren (2018), Flexible Imputation of Missing Data, section 4.1.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> frame = pd.DataFrame({"g": ["a", "a", "b"], "x": [1.0, None, 2.0]})
    >>> len(rb.plot.missing_pattern(frame).get_yticks())
    2
    """
    check_count(most, "most", 1)
    table = missing_pattern_data(data)
    columns = list(dict.fromkeys(table["column"]))
    whole = table["is_missing"].to_numpy().reshape(-1, len(columns))
    rows = table["n_rows"].to_numpy()[:: len(columns)]
    cells, shown = whole[:most], rows[:most]
    # Long names of columns stand aslant above the cells, and need room.
    longest = max(len(str(x)) for x in columns)
    height = 1.7 + 0.26 * len(cells) + 0.07 * min(longest, 28)
    ax = new_axes(ax, 2.6 + min(10.0, 0.6 * len(columns)), height)
    image = ax.imshow(
        np.where(cells, 0.85, 0.1), aspect="auto", cmap=colour_map("Greys"), vmin=0, vmax=1,
        interpolation="nearest",
    )  # fmt: skip
    styled(image, style)
    _label_columns(ax, columns)
    ax.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(cells) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1.5)
    ax.tick_params(which="minor", length=0)
    ax.spines[:].set_visible(False)
    ax.set_yticks(range(len(cells)), [f"{n:,}" for n in shown])
    ax.tick_params(axis="y", right=True, labelright=True, left=False, labelleft=False, length=0)
    ax.set_ylabel("patterns, most frequent first")
    counts = [f"{n:,}" for n in (whole * rows[:, None]).sum(axis=0)]
    upright = not columns_fit(ax, counts)
    for j in range(0, len(counts), _every(columns)):
        ax.text(
            j, len(cells) - 0.35, counts[j], ha="center", va="top", fontsize=8,
            rotation=90 if upright else 0,
        )  # fmt: skip
    note = "dark: missing\nright: rows of the pattern\nbelow: missing values of the column"
    if len(rows) > most:
        note += f"\nnot drawn: {len(rows) - most} rarer patterns of {rows[most:].sum():,} rows"
    room = 5 * max(map(len, counts)) if upright else 10
    ax.set_xlabel(note, fontsize=8, labelpad=8 + room)
    return axes_of(ax)
