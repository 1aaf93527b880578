"""Random effects, level by level: caterpillars of their modes, and of simulated values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..base.arguments import check_level, column_list
from ..base.checks import hint
from ..base.glossary import checked
from ..errors import ArgumentError
from ..inference.mermod import MerMod
from ..inference.random_part import ranef_intervals
from ..mertools.simulations import fe_sim as simulate_fixed
from ..mertools.simulations import re_sim as simulate_random
from ..pooled.mermod_list import MerModList
from ..pooled.pooled_mermod import PooledMerMod
from .canvas import (
    DARK,
    INK,
    LIGHT,
    OBSERVED,
    axes_of,
    draw_level_ticks,
    draw_terms,
    draw_title,
    draw_zero,
    label,
    level_room,
    level_width,
    new_axes,
    new_panels,
    result_of,
    share_colours,
    styled,
)
from .forest import wanted_terms
from .objects import check_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["fe_sim", "fe_sim_data", "ranef", "ranef_data", "re_sim", "re_sim_data"]

_KEYS = ["grpvar", "term", "grp"]
_DENSE = 250  # levels whose bars touch: no names are read there


def ranef_data(
    obj: MerMod | MerModList | PooledMerMod,
    *,
    terms: str | Sequence[str] | None = None,
    group: str | None = None,
    conf_level: float | None = None,
) -> pd.DataFrame:
    """Tabulate random effects with their variances and intervals, for `rbridge_mi.plots.ranef`.

    Parameters
    ----------
    obj : MerMod, MerModList or PooledMerMod
        Fits of a list are pooled by default.
    terms : str or list of str, optional
        Terms to show, such as "(Intercept)"; all by default.
    group : str, optional
        Grouping factor to show; all by default.
    conf_level : float, optional
        That of the pooled model by default; 0.95 of a single fit.

    Returns
    -------
    DataFrame
        grpvar, term, grp, condval, condsd (pooled: total), ubar (mean conditional variance), b
        (variance of the modes between imputations), ``lambda_`` ((1 + 1/m) b as a share of the
        total variance), within_low and within_high (normal interval of the conditional variance
        alone), conf_low and conf_high (of the total): for each term, by condval, the lowest first.
        Of a single fit, and of bootstrap samples, ubar, b, ``lambda_`` and the inner interval are
        missing.

    Raises
    ------
    ArgumentError
        A term or group that isn't there, or a level that can't be.

    See Also
    --------
    rbridge_mi.PooledMerMod.ranef_intervals : The outer intervals, in the model's order.

    References
    ----------
    Rubin (1987), Multiple Imputation for Nonresponse in Surveys, eqs. 3.1.3 to 3.1.5.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> rb.plot.data.ranef(fit)["condval"].is_monotonic_increasing
    True
    """
    check_kind(obj, (MerMod, MerModList, PooledMerMod), "ranef")
    pooled = obj.pooled_by_default if isinstance(obj, MerModList) else obj
    default = 0.95 if isinstance(pooled, MerMod) else pooled.conf_level
    level = check_level(default if conf_level is None else conf_level)
    effects = pooled.ranef() if isinstance(pooled, MerMod) else pooled.ranef
    table = ranef_intervals(effects, level)
    for name in ("ubar", "b", "lambda_", "within_low", "within_high"):
        table[name] = np.nan
    if isinstance(pooled, PooledMerMod) and pooled.rule.knows_missing_information:
        ubar, b = _parts(pooled, table)
        half = (table["conf_high"] - table["condval"]) / table["condsd"] * np.sqrt(ubar)
        table = table.assign(
            ubar=ubar,
            b=b,
            lambda_=(1 + 1 / pooled.m) * b / table["condsd"] ** 2,
            within_low=table["condval"] - half,
            within_high=table["condval"] + half,
        )
    table = _chosen(table, terms, group)
    order = {key: i for i, key in enumerate(_panels_of(table))}
    rank = pd.Series([order[key] for key in zip(table["grpvar"], table["term"], strict=True)])
    table = table.iloc[np.lexsort((table["condval"], rank))].reset_index(drop=True)
    columns = [
        *_KEYS, "condval", "condsd", "ubar", "b", "lambda_", "within_low", "within_high",
        "conf_low", "conf_high",
    ]  # fmt: skip
    return checked(table[columns], "plot_ranef")


def _parts(pooled: PooledMerMod, table: pd.DataFrame) -> tuple[Any, Any]:
    """Return the mean conditional variances and the variances between fits, by name of level."""
    each = pd.concat([_numbered(fit.ranef()) for fit in pooled.fits], ignore_index=True)
    keys = [*_KEYS, "place"]
    by_level = each.assign(condvar=each["condsd"] ** 2).groupby(keys, sort=False)
    parts = by_level.agg(ubar=("condvar", "mean"), b=("condval", "var"))
    wanted = pd.MultiIndex.from_frame(_numbered(table)[keys])
    parts = parts.reindex(wanted)
    return parts["ubar"].to_numpy(), parts["b"].to_numpy()


def _numbered(table: pd.DataFrame) -> pd.DataFrame:
    """Count effects of one name: (1 | g) + (1 | g) has two of each level."""
    return table.assign(place=table.groupby(_KEYS).cumcount())


def _panels_of(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(dict.fromkeys(zip(table["grpvar"], table["term"], strict=True)))


def _chosen(table: pd.DataFrame, terms: Any, group: Any) -> pd.DataFrame:
    for column, names, what in (
        ("grpvar", column_list(group, "group"), "group"),
        ("term", column_list(terms, "terms"), "terms"),
    ):
        known = [str(x) for x in table[column].unique()]
        for name in names:
            if name not in known:
                raise ArgumentError(
                    f"{what} names {name!r}{hint(name, known)}, which the random effects do not "
                    f"have; they have {', '.join(known)}."
                )
        if names:
            table = table[table[column].isin(names)]
    if table.empty:
        raise ArgumentError(f"group {group!r} has no random effects of the terms {terms!r}.")
    return table.reset_index(drop=True)


def ranef(
    obj: MerMod | MerModList | PooledMerMod,
    *,
    terms: str | Sequence[str] | None = None,
    group: str | None = None,
    conf_level: float | None = None,
    ax: Any = None,
    **style: Any,
) -> Any:
    """Draw random effects as a caterpillar: the levels sorted, with intervals, a panel for a term.

    Of pooled fits each level has two bars: the inner one is its conditional uncertainty, what would
    be left had nothing been missing; the outer one its total uncertainty. The inner bar's colour is
    the share of the total variance that missing data cause.

    Parameters
    ----------
    obj : MerMod, MerModList or PooledMerMod
        Fits of a list are pooled by default.
    terms : str or list of str, optional
        Terms to show, such as "(Intercept)"; all by default.
    group : str, optional
        Grouping factor to show; all by default.
    conf_level : float, optional
        That of the pooled model by default; 0.95 of a single fit.
    ax : Axes or sequence of Axes, optional
        To draw on, one for each term; a new figure's by default.
    **style : Any
        Properties of the points, a `matplotlib.lines.Line2D`.

    Returns
    -------
    Axes or Figure
        The Figure, if there are several panels. The lowest level is at y = 0, the next at 1. Of
        more than 45 levels every k-th is named, of more than 250 none.

    Raises
    ------
    ArgumentError
        A term or group that isn't there, or a level that can't be.
    MissingExtraError
        Where matplotlib isn't installed.

    See Also
    --------
    rbridge_mi.plots.variance : The same of the coefficients.

    References
    ----------
    Rubin (1987), Multiple Imputation for Nonresponse in Surveys, eqs. 3.1.3 to 3.1.5.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> fit.plot.ranef().get_title("left")
    'schid: (Intercept)'
    """
    table = ranef_data(obj, terms=terms, group=group, conf_level=conf_level)
    keys = _panels_of(table)
    parts = [table[(table["grpvar"] == g) & (table["term"] == t)] for g, t in keys]
    panels = new_panels(len(keys), ax, _width(table), _height(max(map(len, parts))))
    level = conf_level if conf_level is not None else getattr(obj, "conf_level", 0.95)
    top = max(float(table["lambda_"].max()), 0.05)  # less than 5% is no difference to look at
    for panel, (grpvar, term), rows in zip(panels, keys, parts, strict=True):
        y = np.arange(len(rows))
        dense, room = len(rows) > _DENSE, level_room(panel, len(rows))
        pooled = rows["lambda_"].notna().any()
        panel.hlines(
            y, rows["conf_low"], rows["conf_high"], color=LIGHT if dense else DARK,
            linewidth=max(0.2, min(1.0, 0.2 * room)), zorder=1, rasterized=dense,
        )  # fmt: skip
        if pooled:
            inner = panel.hlines(
                y, rows["within_low"], rows["within_high"], array=rows["lambda_"].to_numpy(),
                cmap=share_colours(), linewidth=max(0.3, min(3.4, 0.65 * room)), zorder=2,
                rasterized=dense,
            )  # fmt: skip
            inner.set_clim(0, top)
        (points,) = panel.plot(
            rows["condval"], y, "o", color=INK, markersize=max(1.4, min(4.0, 0.7 * room)), zorder=3
        )
        styled(points, style)
        draw_zero(panel, front=True)
        _name_levels(panel, rows, grpvar)
        draw_title(panel, label(f"{grpvar}: {term}", 40))
        panel.set_xlabel(f"random effect and {100 * level:g}% interval")
    if table["lambda_"].notna().any():
        panels[-1].figure.colorbar(
            inner, ax=panels, label="share of the variance due to missing data", pad=0.02,
            shrink=0.7, aspect=30,
        )  # fmt: skip
    return result_of(panels)


def _width(table: pd.DataFrame) -> float:
    return 3.4 + level_width(table["grp"])


def _height(levels: int) -> float:
    return min(7.5, 1.3 + 0.17 * levels)


def _name_levels(ax: Axes, rows: pd.DataFrame, grpvar: str) -> None:
    if len(rows) > _DENSE:
        ax.set_yticks([])
    else:
        draw_level_ticks(ax, range(len(rows)), list(rows["grp"]))
    ax.set_ylim(-0.8, len(rows) - 0.2)
    ax.set_ylabel(f"{label(grpvar)} ({len(rows)} levels)")


def re_sim_data(
    obj: MerMod | MerModList,
    n_sims: int = 200,
    seed: int | None = None,
    *,
    conf_level: float = 0.95,
    draws: str | None = None,
) -> pd.DataFrame:
    """Tabulate simulated random effects with their intervals, for `rbridge_mi.plots.re_sim`.

    Parameters
    ----------
    obj : MerMod or MerModList
        One fit, or those to m imputed data sets.
    n_sims : int
        Number of draws, from each fit.
    seed : int, optional
        As ``set.seed(seed)`` before R's call; drawn where it is not given.
    conf_level : float
        Of the intervals: median plus and minus a normal quantile times sd, as in merTools.
    draws : {"mertools", "joint"}, optional
        How they are drawn; see `rbridge_mi.mertools.re_sim`.

    Returns
    -------
    DataFrame
        grpvar, term, grp, mean, median, sd, conf_low, conf_high: for each term by median, the
        lowest first.

    Raises
    ------
    ArgumentError
        An argument that can't be right, or fits to bootstrap samples.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> rb.plot.data.re_sim(fit, seed=1)["median"].is_monotonic_increasing
    True
    """
    check_kind(obj, (MerMod, MerModList), "re_sim")
    table = simulate_random(obj, n_sims, seed=seed, draws=draws)
    order = {key: i for i, key in enumerate(_panels_of(table))}
    rank = [order[key] for key in zip(table["grpvar"], table["term"], strict=True)]
    table = table.iloc[np.lexsort((table["median"], rank))].reset_index(drop=True)
    return checked(_with_interval(table, conf_level), "plot_re_sim")


def _with_interval(table: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    from scipy.special import ndtri

    half = -ndtri((1 - check_level(conf_level)) / 2) * table["sd"]
    return table.assign(conf_low=table["median"] - half, conf_high=table["median"] + half)


def re_sim(
    obj: MerMod | MerModList,
    n_sims: int = 200,
    seed: int | None = None,
    *,
    conf_level: float = 0.95,
    draws: str | None = None,
    ax: Any = None,
    **style: Any,
) -> Any:
    """Draw simulated random effects, in R ``merTools::plotREsim(REsim(m))``.

    Parameters
    ----------
    obj : MerMod or MerModList
        One fit, or those to m imputed data sets.
    n_sims : int
        Number of draws, from each fit.
    seed : int, optional
        As ``set.seed(seed)`` before R's call; drawn where it is not given.
    conf_level : float
        Of the intervals: median plus and minus a normal quantile times sd, as in merTools.
    draws : {"mertools", "joint"}, optional
        How they are drawn; see `rbridge_mi.mertools.re_sim`.
    ax : Axes or sequence of Axes, optional
        To draw on, one for each term; a new figure's by default.
    **style : Any
        Properties of the points, a `matplotlib.lines.Line2D`.

    Returns
    -------
    Axes or Figure
        The Figure, if there are several panels. Levels whose interval holds 0 are drawn in grey.

    Raises
    ------
    ArgumentError
        An argument that can't be right, or fits to bootstrap samples.
    MissingExtraError
        Where matplotlib isn't installed.

    See Also
    --------
    rbridge_mi.plots.ranef : Without simulation.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> fit.plot.re_sim(seed=1).get_title("left")
    'schid: (Intercept)'
    """
    table = re_sim_data(obj, n_sims, seed, conf_level=conf_level, draws=draws)
    keys = _panels_of(table)
    parts = [table[(table["grpvar"] == g) & (table["term"] == t)] for g, t in keys]
    panels = new_panels(len(keys), ax, _width(table), _height(max(map(len, parts))))
    for panel, (grpvar, term), rows in zip(panels, keys, parts, strict=True):
        y = np.arange(len(rows))
        room = level_room(panel, len(rows))
        away = ((rows["conf_low"] > 0) | (rows["conf_high"] < 0)).to_numpy()
        panel.hlines(
            y, rows["conf_low"], rows["conf_high"],
            colors=[OBSERVED if x else LIGHT for x in away], zorder=1,
            linewidth=max(0.2, min(0.8, 0.2 * room)),
        )  # fmt: skip
        (points,) = panel.plot(
            rows["median"], y, "o", color=INK, markersize=max(1.4, min(4.0, 0.7 * room)), zorder=2
        )
        styled(points, style)
        draw_zero(panel, front=True)
        _name_levels(panel, rows, grpvar)
        draw_title(panel, label(f"{grpvar}: {term}", 40))
        panel.set_xlabel(f"simulated median and {100 * conf_level:g}% interval")
    return result_of(panels)


def fe_sim_data(
    obj: MerMod | MerModList,
    n_sims: int = 200,
    seed: int | None = None,
    *,
    conf_level: float = 0.95,
    terms: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Tabulate simulated fixed effects with their intervals, for `rbridge_mi.plots.fe_sim`.

    Parameters
    ----------
    obj : MerMod or MerModList
        One fit, or those to m imputed data sets.
    n_sims : int
        Number of draws, from each fit.
    seed : int, optional
        As ``set.seed(seed)`` before R's call; drawn where it is not given.
    conf_level : float
        Of the intervals: median plus and minus a normal quantile times sd, as in merTools.
    terms : str or list of str, optional
        Coefficients to show; all but the intercept by default.

    Returns
    -------
    DataFrame
        term, mean, median, sd, conf_low, conf_high.

    Raises
    ------
    ArgumentError
        An argument that can't be right, or fits to bootstrap samples.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> rb.plot.data.fe_sim(fit, seed=1)["term"].tolist()
    ['ses']
    """
    check_kind(obj, (MerMod, MerModList), "fe_sim")
    table = simulate_fixed(obj, n_sims, seed=seed)
    shown = wanted_terms(table["term"], terms)
    rows = table.set_index("term").loc[shown].reset_index()
    return checked(_with_interval(rows, conf_level), "plot_fe_sim")


def fe_sim(
    obj: MerMod | MerModList,
    n_sims: int = 200,
    seed: int | None = None,
    *,
    conf_level: float = 0.95,
    terms: str | Sequence[str] | None = None,
    ax: Axes | None = None,
    **style: Any,
) -> Axes:
    """Draw simulated fixed effects, in R ``merTools::plotFEsim(FEsim(m))``.

    Parameters
    ----------
    obj : MerMod or MerModList
        One fit, or those to m imputed data sets.
    n_sims : int
        Number of draws, from each fit.
    seed : int, optional
        As ``set.seed(seed)`` before R's call; drawn where it is not given.
    conf_level : float
        Of the intervals: median plus and minus a normal quantile times sd, as in merTools.
    terms : str or list of str, optional
        Coefficients to show; all but the intercept by default.
    ax : Axes, optional
        To draw on; a new figure's by default.
    **style : Any
        Properties of the points, a `matplotlib.lines.Line2D`.

    Returns
    -------
    Axes
        The first term is at the top, at y = 0, the next at -1.

    Raises
    ------
    ArgumentError
        An argument that can't be right, or fits to bootstrap samples.
    MissingExtraError
        Where matplotlib isn't installed.

    See Also
    --------
    rbridge_mi.plots.forest : Without simulation.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> fit.plot.fe_sim(seed=1).get_xlabel()
    'simulated median and 95% interval'
    """
    table = fe_sim_data(obj, n_sims, seed, conf_level=conf_level, terms=terms)
    ax = new_axes(ax, 6.4, 1.1 + min(18.0, 0.36 * len(table)))
    y = -np.arange(len(table), dtype=float)
    ax.hlines(y, table["conf_low"], table["conf_high"], color=INK, linewidth=2.0)
    (points,) = ax.plot(table["median"], y, "o", color=INK, markersize=6)
    styled(points, style)
    draw_zero(ax)
    draw_terms(ax, table["term"])
    ax.set_xlabel(f"simulated median and {100 * conf_level:g}% interval")
    return axes_of(ax)
