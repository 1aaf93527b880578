"""Where plots are drawn: axes, the styles that all of them share, and labels that fit."""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from ..base.checks import hint
from ..base.extras import needed_module
from ..errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    AxesOrMore: TypeAlias = "Axes | Sequence[Axes] | None"

__all__ = [
    "DARK",
    "IMPUTED",
    "INK",
    "LIGHT",
    "LINES",
    "OBSERVED",
    "SHADES",
    "axes_of",
    "category_width",
    "colour_map",
    "columns_fit",
    "draw_few_ticks",
    "draw_legend",
    "draw_level_ticks",
    "draw_ratio_axis",
    "draw_terms",
    "draw_title",
    "draw_zero",
    "enlarge_marks",
    "label",
    "level_label",
    "level_room",
    "level_width",
    "new_axes",
    "new_panels",
    "result_of",
    "share_colours",
    "styled",
]

# Each pair differs in lightness, too, so that it is told apart in grey print.
OBSERVED = "#16324f"
IMPUTED = "#e08a1e"
INK = "#222222"
DARK = "#555555"
LIGHT = "#b8b8b8"
# Colours and dashes of several lines: dark to light.
LINES = (
    ("#16324f", "-"), ("#e08a1e", "--"), ("#2a8f8a", "-."), ("#8c2d5a", ":"),
    ("#5a5a5a", (0, (5, 1, 1, 1, 1, 1))), ("#9bb53c", (0, (1, 1))),
)  # fmt: skip
# Colours of a few lines that all are solid: they can be told apart by their lightness alone.
SHADES = ("#16324f", "#8c2d5a", "#2a8f8a", "#e08a1e", "#b9cf7a")
_MOST_LABELS = 45  # of levels below each other that can be read
_WIDTH = 28  # characters of a line of a label
_LEVEL_WIDTH = 44  # of the name of a level, which has one line


def _new_figure(width: float, height: float) -> Figure:
    """Make a figure; where pyplot is in use, one that ``plt.show()`` and notebooks show."""
    size = (width, height)
    what = "a plot"
    if "matplotlib.pyplot" in sys.modules or _in_notebook():
        pyplot = needed_module("matplotlib.pyplot", "plot", what)
        figure: Figure = pyplot.figure(figsize=size, layout="constrained")
    else:
        module = needed_module("matplotlib.figure", "plot", what)
        figure = module.Figure(figsize=size, layout="constrained")
    return figure


def _in_notebook() -> bool:
    module = sys.modules.get("IPython")
    return module is not None and module.get_ipython() is not None


def new_axes(ax: Any, width: float = 6.4, height: float = 4.0) -> Axes:
    """Take the given Axes, or make one in a figure of its own.

    Parameters
    ----------
    ax : Axes or None
        As it was given.
    width, height : float
        Of the new figure, in inches.

    Returns
    -------
    Axes
        To draw on.

    Raises
    ------
    ArgumentError
        Something that is no Axes.
    MissingExtraError
        Where matplotlib isn't installed.
    """
    (one,) = new_panels(1, ax, width, height)
    return one


def new_panels(count: int, ax: Any, width: float, height: float, columns: int = 3) -> list[Axes]:
    """Take as many Axes as were given, or make a figure of panels.

    Parameters
    ----------
    count : int
        Number of panels.
    ax : Axes, sequence of Axes, or None
        As it was given.
    width, height : float
        Of each panel, in inches.
    columns : int
        Panels beside each other, at most; of four, two.

    Returns
    -------
    list of Axes
        One per panel.

    Raises
    ------
    ArgumentError
        Another number of Axes, or something else.
    """
    if ax is None:
        columns = min(columns, 2 if count == 4 else count)
        rows = math.ceil(count / columns)
        figure = _new_figure(width * columns, height * rows)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for spare in grid[count:]:
            spare.remove()
        return [_plain(x) for x in grid[:count]]
    axes_class = needed_module("matplotlib.axes", "plot", "a plot").Axes
    given = [ax] if isinstance(ax, axes_class) else ax
    try:
        given = list(np.ravel(np.array(given, dtype=object)))
    except ValueError:
        given = [None]
    if not all(isinstance(x, axes_class) for x in given):
        raise ArgumentError(
            f"ax must be a matplotlib Axes{'' if count == 1 else ' or several'}, not {ax!r}."
        )
    if len(given) != count:
        raise ArgumentError(
            f"ax: this plot has {count} panel{'' if count == 1 else 's'}, and {len(given)} Axes "
            "were given. Give one per panel (`figure.subplots(...)`), or none."
        )
    return [_plain(x) for x in given]


def _plain(ax: Axes) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def axes_of(ax: Axes) -> Axes:
    """Return what a plot of one panel returns, with labels that fit."""
    result_of([ax])
    return ax


def result_of(panels: Sequence[Axes]) -> Any:
    """Return what a plot returns: its Axes, or the Figure of several, with labels that fit."""
    for panel in panels:
        panel.set_xlabel(_wrapped(panel.get_xlabel(), _inches(panel, 0)))
        panel.set_ylabel(_wrapped(panel.get_ylabel(), _inches(panel, 1)))
    return panels[0] if len(panels) == 1 else panels[0].figure


def _wrapped(text: str, inches: float) -> str:
    """Break lines that are longer than the side that they stand at."""
    # Letters have 0.08 inches, and the layout makes panels somewhat wider than they are before.
    width = max(14, int(1.25 * inches / 0.08))
    return "\n".join(
        piece
        for line in text.split("\n")
        for piece in (
            textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [line]
        )
    )


def styled(artists: Artist | Iterable[Artist], style: Mapping[str, Any]) -> None:
    """Set the properties that a user gave for the main marks of a plot.

    Parameters
    ----------
    artists : Artist or iterable of Artist
        The marks.
    style : mapping
        Properties, as ``artist.set(...)`` takes them.

    Raises
    ------
    ArgumentError
        A property that such marks don't have, with the nearest that they have.
    """
    if not style:
        return
    inspector = needed_module("matplotlib.artist", "plot", "a plot").ArtistInspector
    for artist in artists if isinstance(artists, Iterable) else [artists]:
        known = inspector(artist)
        valid = {*known.get_setters(), *(x for names in known.aliasd.values() for x in names)}
        for name in style:
            if name not in valid:
                raise ArgumentError(
                    f"the plot has no argument {name!r}{hint(name, valid)}; its marks, of "
                    f"matplotlib's {type(artist).__name__}, take {', '.join(sorted(valid))}."
                )
        try:
            artist.set(**style)
        except (TypeError, ValueError, AttributeError) as error:
            raise ArgumentError(
                f"the plot's marks can't be given {dict(style)!r}: {error}."
            ) from error


def label(name: Any, width: int = _WIDTH) -> str:
    r"""Write a name of the data as a label: in two lines at most, and never read as mathematics.

    Parameters
    ----------
    name : object
        Of a column, term or level.
    width : int
        Characters of a line.

    Returns
    -------
    str
        For matplotlib.

    Examples
    --------
    >>> label("a$b$")
    'a\\$b\\$'
    >>> print(label("a very long name of a column that nobody would ever want to read in full", 20))
    a very long name of
    … to read in full
    """
    text = str(name)
    lines = textwrap.wrap(text, width, break_on_hyphens=False) or [text]
    if len(lines) == 2:  # of like lengths: no last letter alone
        halves = (textwrap.wrap(text, n, break_on_hyphens=False) for n in range(1, width + 1))
        lines = next(x for x in halves if len(x) == 2)
    if len(lines) > 2:
        end = text[-(width - 2) :]
        lines = [lines[0], f"… {end[end.find(' ') + 1 :].lstrip()}"]
    return "\n".join(lines).replace("$", r"\$")


def level_label(name: Any, width: int = _LEVEL_WIDTH) -> str:
    """Write the name of a level in one line, the middle of a long one left out."""
    text = " ".join(str(name).split()) or str(name)
    half = width // 2
    if len(text) > width:
        text = f"{text[:half].rstrip()} … {text[-half:].lstrip()}"
    return text.replace("$", r"\$")


def level_width(names: Iterable[Any]) -> float:
    """Return the inches that the names of levels take beside an axis."""
    return 0.062 * max((len(level_label(x)) for x in names), default=0)


def draw_level_ticks(
    ax: Axes, places: Sequence[float], names: Sequence[Any], width: int = _LEVEL_WIDTH
) -> None:
    """Label levels along the y axis; of more than the axes have room for, every k-th."""
    size = 9 if len(places) <= 20 else 7
    room = int(_inches(ax, 1) * 72 / (1.3 * size))
    step = math.ceil(len(places) / max(1, min(_MOST_LABELS, room)))
    ax.set_yticks(list(places[::step]), [level_label(x, width) for x in names[::step]])
    ax.tick_params(axis="y", labelsize=size, length=0 if step == 1 else 2)


def draw_terms(ax: Axes, names: Sequence[Any]) -> None:
    """Name terms along the y axis, the first at 0, the next at -1; in small print if they touch."""
    # No more than about as wide as the axes themselves.
    width = max(12, int(9 * _inches(ax, 0)))
    texts = [label(x, min(_WIDTH, width)) for x in names]
    lines = 1 + max(x.count("\n") for x in texts)
    small = level_room(ax, len(names)) < 13 * lines
    if small:
        texts = [level_label(x, min(_LEVEL_WIDTH, width)) for x in names]
    ax.set_yticks([-float(i) for i in range(len(names))], texts)
    ax.set_ylim(-len(names) + 0.5, 0.5)
    ax.tick_params(axis="y", length=0, **({"labelsize": 8} if small else {}))


def draw_title(
    ax: Axes,
    text: str,
    size: float = 10,
    loc: Literal["left", "center"] = "left",
    above: float = 0.0,
    **style: Any,
) -> None:
    """Set the title of a panel, in lines that it has room for; so many points above a legend."""
    lines = _wrapped(text, _inches(ax, 0) * 10 / size)
    ax.set_title(lines, fontsize=size, loc=loc, pad=6 + above, **style)


def draw_few_ticks(ax: Axes, most: int = 5, *, whole: bool = False) -> None:
    """Give the x axis of a narrow panel so few ticks that their labels stand apart."""
    locator = needed_module("matplotlib.ticker", "plot", "a plot").MaxNLocator
    ax.xaxis.set_major_locator(locator(most, integer=whole, steps=[1, 2, 2.5, 5, 10]))


def category_width(ax: Axes, count: int, most: int = 16) -> int:
    """Return how many letters each of so many categories has along the x axis."""
    return max(8, min(most, int(_inches(ax, 0) / count / 0.08)))


def level_room(ax: Axes, levels: int) -> float:
    """Return the points of height that each of so many levels has."""
    return 72 * _inches(ax, 1) / levels


def columns_fit(ax: Axes, names: Sequence[Any]) -> bool:
    """Whether names of columns of equal width have room side by side along the x axis."""
    return 0.09 * max(len(str(x)) + 1 for x in names) * len(names) < _inches(ax, 0)


def _inches(ax: Axes, side: int) -> float:
    """Return the width (0) or height (1) of the axes, before room is made for their labels."""
    return float(ax.bbox.size[side]) / ax.figure.dpi


def draw_zero(ax: Axes, at: float = 0.0, *, vertical: bool = True, front: bool = False) -> None:
    """Draw the line of no effect: behind everything, or dotted before many bars."""
    draw = ax.axvline if vertical else ax.axhline
    if front:
        draw(at, color=INK, linewidth=0.9, linestyle=":", zorder=5)
    else:
        draw(at, color=LIGHT, linewidth=0.8, zorder=0)


def draw_ratio_axis(ax: Axes) -> None:
    """Make the x axis logarithmic, with enough ticks where it spans less than a power of ten."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    decades = math.log10(high / low)
    steps = [1, 1.5, 2, 3, 5, 7] if decades < 1 else [1, 2, 5] if decades < 2 else [1]
    powers = 10.0 ** np.arange(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = np.sort(np.outer(powers, steps).ravel())
    ax.set_xticks(ticks[(ticks >= low) & (ticks <= high)])
    ax.xaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()


def draw_legend(ax: Axes, handles: Sequence[Any], names: Sequence[Any], columns: int = 4) -> float:
    """Put the legend above the axes, where it hides nothing; return its height in points."""
    texts = [label(x) for x in names]
    # matplotlib leaves out what begins with an underscore.
    texts = [f" {x}" if x.startswith("_") else x for x in texts]
    columns = _legend_columns(ax, texts, columns)
    legend = ax.legend(
        handles, texts, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns,
        frameon=False, fontsize=8.5, borderaxespad=0.2, handlelength=1.8, handletextpad=0.5,
        columnspacing=1.1,
    )  # fmt: skip
    enlarge_marks(legend)
    return 14.0 * math.ceil(len(texts) / columns)


def _legend_columns(ax: Axes, texts: Sequence[str], most: int) -> int:
    """Return how many columns of a legend fit above the axes, as far as can be known by now."""
    widths = [0.3 + 0.058 * max(map(len, x.split("\n"))) for x in texts]  # inches
    for columns in range(min(most, len(texts)), 1, -1):
        rows = math.ceil(len(texts) / columns)
        whole = sum(max(widths[i : i + rows]) for i in range(0, len(widths), rows))
        # The layout makes panels somewhat wider than they are before.
        if whole <= 1.25 * _inches(ax, 0):
            return columns
    return 1


def enlarge_marks(legend: Any) -> None:
    """Make points of a legend large and opaque enough to be seen one by one."""
    line = needed_module("matplotlib.lines", "plot", "a plot").Line2D
    for handle in legend.legend_handles:
        if isinstance(handle, line):
            handle.set(markersize=max(5.0, handle.get_markersize()), alpha=1.0)


def colour_map(name: str) -> Any:
    """Return one of matplotlib's colour maps, by its name."""
    return needed_module("matplotlib", "plot", "a plot").colormaps[name]


def share_colours() -> Any:
    """Return the colour map of shares: by the colours of observed and imputed, dark to light."""
    module = needed_module("matplotlib.colors", "plot", "a plot")
    return module.LinearSegmentedColormap.from_list(
        "shares", [OBSERVED, "#8a5a44", IMPUTED, "#f5cf80"]
    )
