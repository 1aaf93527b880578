"""What observed cells would have been imputed as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from ..data.imputed_data import ImputedData
from .canvas import axes_of, draw_title, label, new_axes, share_colours, styled
from .objects import check_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["overimpute", "overimpute_data"]


def overimpute_data(
    imp: ImputedData, column: str, draws: int = 20, seed: int | None = None
) -> pd.DataFrame:
    """Tabulate what observed cells would have been imputed as: `ImputedData.overimpute`.

    Parameters
    ----------
    imp : ImputedData
        Amelia's imputations, with R's object (``keep_r=True``).
    column : str
        A column that Amelia imputes as a number.
    draws : int
        Draws per imputation.
    seed : int, optional
        For ``set.seed``; without it, that of the imputations.

    Returns
    -------
    DataFrame
        row, observed, overimputed_mean, overimputed_low, overimputed_high, row_missing.

    Raises
    ------
    ArgumentError
        As `ImputedData.overimpute` does.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb().head(300), prop=0.1, columns="ses", seed=1)
    >>> imputer = rb.AmeliaImputer(m=2, idvars=["schid", "meanses", "size", "schtype"])
    >>> imp = imputer.impute(holes, seed=1, keep_r=True)
    >>> len(rb.plot.data.overimpute(imp, "ses"))
    270
    """
    check_kind(imp, (ImputedData,), "overimpute")
    return imp.overimpute(column, draws, seed)


def overimpute(
    imp: ImputedData,
    column: str,
    draws: int = 20,
    seed: int | None = None,
    *,
    ax: Axes | None = None,
    **style: Any,
) -> Axes:
    """Draw what each observed cell would have been imputed as, in R ``Amelia::overimpute``.

    Parameters
    ----------
    imp : ImputedData
        Amelia's imputations, with R's object (``keep_r=True``).
    column : str
        A column that Amelia imputes as a number.
    draws : int
        Draws per imputation.
    seed : int, optional
        For ``set.seed``; without it, that of the imputations.
    ax : Axes, optional
        To draw on; a new figure's by default.
    **style : Any
        Properties of the points, a `matplotlib.collections.PathCollection`.

    Returns
    -------
    Axes
        Means and 90% intervals against the observed values: about 90% of the intervals should cross
        the diagonal, and the title says how many do. The colour tells how much else the row lacks.

    Raises
    ------
    ArgumentError
        As `ImputedData.overimpute` does.
    MissingExtraError
        Where matplotlib isn't installed.

    See Also
    --------
    rbridge_mi.ImputedData.overimpute : The same as a table.

    References
    ----------
    Honaker, King and Blackwell (2011), Journal of Statistical Software 45(7), section 4.6.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb().head(300), prop=0.1, columns="ses", seed=1)
    >>> imputer = rb.AmeliaImputer(m=2, idvars=["schid", "meanses", "size", "schtype"])
    >>> imp = imputer.impute(holes, seed=1, keep_r=True)
    >>> imp.plot.overimpute("ses").get_xlabel()
    'observed ses'
    """
    table = overimpute_data(imp, column, draws, seed)
    ax = new_axes(ax, 5.6, 4.6)
    many = len(table) > 1500
    shares = share_colours()
    shades = table["row_missing"].to_numpy()
    lines = ax.vlines(
        table["observed"], table["overimputed_low"], table["overimputed_high"], array=shades,
        cmap=shares, linewidth=0.4 if many else 0.8, alpha=0.15 if many else 0.45,
        rasterized=many, zorder=1,
    )  # fmt: skip
    points = ax.scatter(
        table["observed"], table["overimputed_mean"], s=4 if many else 12, c=shades,
        cmap=shares, linewidths=0, rasterized=many, zorder=2,
    )  # fmt: skip
    ends = shades.min(), max(shades.max(), shades.min() + 1e-9)
    for artist in (lines, points):
        artist.set_clim(*ends)
    styled(points, style)
    ax.axline((0, 0), slope=1, color="black", linewidth=1.0, linestyle="--", zorder=3)
    low = table[["observed", "overimputed_low"]].min(axis=None)
    high = table[["observed", "overimputed_high"]].max(axis=None)
    left, right = table["observed"].min(), table["observed"].max()
    ax.set_xlim(left - 0.03 * (right - left), right + 0.03 * (right - left))
    ax.set_ylim(low - 0.03 * (high - low), high + 0.03 * (high - low))
    inside = table["observed"].between(table["overimputed_low"], table["overimputed_high"]).mean()
    draw_title(ax, f"{100 * inside:.1f}% of the 90% intervals hold the observed value", 9)
    ax.set_xlabel(f"observed {label(column)}")
    ax.set_ylabel("imputed, were it missing")
    if shades.min() < shades.max():
        ax.figure.colorbar(points, ax=ax, label="fraction of its row that is missing", pad=0.02)
    return axes_of(ax)
