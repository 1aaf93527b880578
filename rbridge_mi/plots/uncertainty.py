"""What missing data cost: variances within and between imputations, fractions of information."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..base.arguments import column_list
from ..base.glossary import checked
from ..inference.diagnostics import diagnose
from ..pooled.mermod_list import MerModList
from ..pooled.pooled_estimates import PooledEstimates
from ..pooled.pooled_mermod import PooledMerMod
from .canvas import (
    DARK,
    IMPUTED,
    INK,
    OBSERVED,
    axes_of,
    draw_legend,
    draw_terms,
    new_axes,
    styled,
)
from .forest import sets_of, wanted_terms
from .objects import check_kind, check_m

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["fmi", "fmi_data", "variance", "variance_data"]

Pooled = MerModList | PooledMerMod | PooledEstimates


def _pooled(obj: Pooled, what: str) -> PooledMerMod | PooledEstimates:
    check_kind(obj, (PooledMerMod, PooledEstimates, MerModList), what)
    pooled = obj.pooled_by_default if isinstance(obj, MerModList) else obj
    check_m(pooled, what)
    return pooled


def _every_term(pooled: PooledMerMod | PooledEstimates, terms: Any) -> list[str]:
    known = list(pooled.fixed["term"])
    return known if terms is None else wanted_terms(known, column_list(terms, "terms"))


def variance_data(obj: Pooled, terms: Any = None) -> pd.DataFrame:
    """Tabulate each coefficient's variance and its two parts, for `rbridge_mi.plots.variance`.

    Parameters
    ----------
    obj : PooledMerMod, MerModList or PooledEstimates
        Pooled estimates.
    terms : str or list of str, optional
        Coefficients to show; all by default.

    Returns
    -------
    DataFrame
        term, std_error, ubar (within), b (between), t (their total, ubar + (1 + 1/m) b),
        ``lambda_`` (the share of t that missing data cause).

    Raises
    ------
    ArgumentError
        A term that isn't there; bootstrap samples.

    References
    ----------
    Rubin (1987), Multiple Imputation for Nonresponse in Surveys, eqs. 3.1.3 to 3.1.5.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> pooled = rb.pool([[1.0], [1.5]], [[0.2], [0.3]], names=["x"])
    >>> rb.plot.data.variance(pooled)["lambda_"].round(3).tolist()
    [0.429]
    """
    pooled = _pooled(obj, "variance")
    shown = _every_term(pooled, terms)
    columns = ["term", "std_error", "ubar", "b", "t", "lambda_"]
    table = pooled.fixed.set_index("term").loc[shown].reset_index()[columns].copy()
    if pooled.exponentiate:
        table["std_error"] = np.sqrt(table["t"])  # of the coefficient, as the variances are
    return checked(table, "plot_variance")


def variance(obj: Pooled, terms: Any = None, *, ax: Axes | None = None, **style: Any) -> Axes:
    """Draw how much of each coefficient's variance lies within and between the imputations.

    Parameters
    ----------
    obj : PooledMerMod, MerModList or PooledEstimates
        Pooled estimates.
    terms : str or list of str, optional
        Coefficients to show; all by default.
    ax : Axes, optional
        To draw on; a new figure's by default.
    **style : Any
        Properties of the bars of what missing data cause (`matplotlib.patches.Rectangle`).

    Returns
    -------
    Axes
        Bars in percent of the total variance: what the complete data would leave, and what missing
        data add. At the right are the standard errors of complete data (the square root of ubar)
        and of these.

    Raises
    ------
    ArgumentError
        A term that isn't there; bootstrap samples.
    MissingExtraError
        Where matplotlib isn't installed.

    See Also
    --------
    rbridge_mi.plots.fmi : With how many imputations that takes.
    rbridge_mi.plots.ranef : The same for each level of a grouping factor.

    References
    ----------
    Rubin (1987), Multiple Imputation for Nonresponse in Surveys, eqs. 3.1.3 to 3.1.5.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> pooled = rb.pool([[1.0], [1.5]], [[0.2], [0.3]], names=["x"])
    >>> [round(float(x.get_width()), 1) for x in pooled.plot.variance().patches]
    [57.1, 42.9]
    """
    table = variance_data(obj, terms)
    ax = new_axes(ax, 6.4, 1.3 + min(18.0, 0.36 * len(table)))
    y = -np.arange(len(table), dtype=float)
    missing = 100 * table["lambda_"].to_numpy()
    within = ax.barh(y, 100 - missing, 0.62, color=OBSERVED)
    between = ax.barh(y, missing, 0.62, left=100 - missing, color=IMPUTED)
    styled(list(between), style)
    for place, row in zip(y, table.itertuples(), strict=True):
        share = f"{100 * row.lambda_:.0f}%"
        inside = row.lambda_ > 0.1
        ax.text(
            99 if inside else 99 - 100 * row.lambda_, place, share, ha="right", va="center",
            fontsize=8, color="black" if inside else "white",
        )  # fmt: skip
        text = f"{np.sqrt(row.ubar):.3g} → {row.std_error:.3g}"
        ax.text(102, place, text, va="center", fontsize=8, color=INK)
    ax.text(102, 0.62, "standard error", va="bottom", fontsize=8, color=DARK)
    draw_terms(ax, table["term"])
    ax.set_ylim(-len(table) + 0.5, 0.55)
    ax.set_xlim(0, 100)
    ax.set_xlabel("percent of the total variance")
    draw_legend(ax, [within, between], ["complete data", "missing data"], 2)
    return axes_of(ax)


def fmi_data(obj: Pooled, terms: Any = None, cv: float = 0.05) -> pd.DataFrame:
    """Tabulate the fraction of missing information, for `rbridge_mi.plots.fmi`.

    Parameters
    ----------
    obj : PooledMerMod, MerModList or PooledEstimates
        Pooled estimates.
    terms : str or list of str, optional
        Coefficients to show; all by default.
    cv : float
        Wanted coefficient of variation of standard errors over repeated imputation.

    Returns
    -------
    DataFrame
        Rows of ``pooled.diagnostics(cv).coefficients``: term, fmi, fmi_low, fmi_high, Monte Carlo
        errors, m_needed.

    Raises
    ------
    ArgumentError
        A term that isn't there; bootstrap samples.

    References
    ----------
    von Hippel (2020), Sociological Methods and Research 49, 699-718.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> pooled = rb.pool([[1.0], [1.5]], [[0.2], [0.3]], names=["x"])
    >>> rb.plot.data.fmi(pooled)["term"].tolist()
    ['x']
    """
    pooled = _pooled(obj, "fmi")
    shown = _every_term(pooled, terms)
    sets, _ = sets_of(pooled)
    # What `diagnostics` says, without its advice, which is warned of there.
    table = diagnose(
        sets, pooled.fixed, pooled.rule, pooled.complete_df, (), cv, pooled.conf_level
    ).coefficients
    return checked(table.set_index("term").loc[shown].reset_index(), "diagnostics")


def fmi(
    obj: Pooled, terms: Any = None, cv: float = 0.05, *, ax: Axes | None = None, **style: Any
) -> Axes:
    """Draw the fraction of missing information, with the number of imputations that it asks for.

    Parameters
    ----------
    obj : PooledMerMod, MerModList or PooledEstimates
        Pooled estimates.
    terms : str or list of str, optional
        Coefficients to show; all by default.
    cv : float
        Wanted coefficient of variation of standard errors over repeated imputation.
    ax : Axes, optional
        To draw on; a new figure's by default.
    **style : Any
        Properties of the points, a `matplotlib.lines.Line2D`.

    Returns
    -------
    Axes
        Intervals have the level of the pooled estimates. The imputations needed stand at the right,
        in bold where they are more than there are.

    Raises
    ------
    ArgumentError
        A term that isn't there; bootstrap samples.
    MissingExtraError
        Where matplotlib isn't installed.

    See Also
    --------
    rbridge_mi.PooledMerMod.diagnostics : The numbers, with Monte Carlo errors.

    References
    ----------
    von Hippel (2020), Sociological Methods and Research 49, 699-718.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> pooled = rb.pool([[1.0], [1.5]], [[0.2], [0.3]], names=["x"])
    >>> pooled.plot.fmi().get_xlabel()
    'fraction of missing information and 95% interval'
    """
    pooled = _pooled(obj, "fmi")
    table = fmi_data(pooled, terms, cv)
    ax = new_axes(ax, 6.4, 1.2 + min(18.0, 0.36 * len(table)))
    y = -np.arange(len(table), dtype=float)
    ax.hlines(y, table["fmi_low"], table["fmi_high"], color=DARK, linewidth=1.6)
    (points,) = ax.plot(table["fmi"], y, "o", color=INK, markersize=6, clip_on=False, zorder=3)
    styled(points, style)
    for place, needed in zip(y, table["m_needed"], strict=True):
        more = pd.notna(needed) and needed > pooled.m
        ax.text(
            1.03, place, "" if pd.isna(needed) else f"{needed}", va="center", fontsize=9,
            fontweight="bold" if more else "normal",
        )  # fmt: skip
    ax.text(
        1.03, 0.55, f"m needed (m = {pooled.m})", va="bottom", ha="left", fontsize=8, color=DARK
    )
    draw_terms(ax, table["term"])
    ax.set_xlim(0, 1)
    ax.set_xlabel(f"fraction of missing information and {100 * pooled.conf_level:g}% interval")
    return axes_of(ax)
