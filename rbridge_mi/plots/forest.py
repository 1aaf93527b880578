"""Coefficients and their intervals: of the complete rows, of each imputation, and pooled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..base.arguments import column_list
from ..base.checks import hint
from ..base.glossary import checked
from ..errors import ArgumentError
from ..inference.linear_combinations import CoefficientSets
from ..inference.mermod import MerMod
from ..inference.ratios import as_ratios
from ..pooled.mermod_list import MerModList
from ..pooled.pooled_estimates import PooledEstimates
from ..pooled.pooled_mermod import PooledMerMod
from ..pooling import rubin
from .canvas import (
    DARK,
    IMPUTED,
    INK,
    axes_of,
    draw_legend,
    draw_ratio_axis,
    draw_terms,
    draw_zero,
    new_axes,
    styled,
)
from .objects import check_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["forest", "forest_data", "sets_of", "wanted_terms"]

_INTERCEPT = "(Intercept)"
_COLUMNS = ["source", "imputation", "term", "estimate", "std_error", "conf_low", "conf_high"]
_MOST_INTERVALS = 50  # of imputations that one track has room for


def forest_data(
    obj: MerMod | MerModList | PooledMerMod | PooledEstimates,
    *,
    listwise: MerMod | None = None,
    terms: str | Sequence[str] | None = None,
    by_imputation: bool = True,
    exponentiate: bool = False,
) -> pd.DataFrame:
    """Tabulate coefficients with their intervals, for `rbridge_mi.plots.forest`.

    Parameters
    ----------
    obj : MerMod, MerModList, PooledMerMod or PooledEstimates
        Fits of a list are pooled by default.
    listwise : MerMod, optional
        The same model, fitted to the rows without holes.
    terms : str or list of str, optional
        Coefficients to show; all but the intercept by default.
    by_imputation : bool
        Whether each imputation's own estimates are among the rows.
    exponentiate : bool
        Give odds ratios or rate ratios, as `MerMod.fixed` does; they are given anyway, if the
        pooled estimates are exponentiated.

    Returns
    -------
    DataFrame
        source ("listwise", "imputed", "pooled", or "single" of one fit), imputation, term,
        estimate, std_error, conf_low, conf_high. The intervals are those of ``pooled.fixed`` and
        ``fit.fixed()``, those of an imputation of t with the degrees of freedom that complete data
        would leave.

    Raises
    ------
    ArgumentError
        A term that isn't there, or a listwise fit of other coefficients.

    See Also
    --------
    rbridge_mi.compare_estimates : The same comparison as a table.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> pooled = rb.pool([[1.0], [1.5]], [[0.2], [0.3]], names=["x"])
    >>> rb.plot.data.forest(pooled)["source"].tolist()
    ['imputed', 'imputed', 'pooled']
    """
    check_kind(obj, (PooledMerMod, PooledEstimates, MerModList, MerMod), "forest")
    if isinstance(obj, MerMod):
        if listwise is not None:
            raise ArgumentError("listwise is shown beside pooled fits, and this is a single one.")
        shown = wanted_terms(obj.fixef()["term"], terms)
        return _checked([_rows("single", obj.fixed(exponentiate=exponentiate), shown)])
    pooled = obj.pooled_by_default if isinstance(obj, MerModList) else obj
    shown = wanted_terms(pooled.fixed["term"], terms)
    parts = []
    if listwise is not None:
        parts.append(_rows("listwise", _listwise(pooled, listwise), shown))
    if by_imputation:
        parts += _imputed(pooled, shown)
    frame = _checked([*parts, _rows("pooled", pooled.fixed, shown)])
    if not exponentiate or pooled.exponentiate:
        return frame
    if isinstance(pooled, PooledEstimates):
        raise ArgumentError("exponentiate: pool these estimates with exponentiate=True.")
    return as_ratios(frame, pooled.link)


def _checked(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    frame = pd.concat(parts, ignore_index=True)
    return checked(frame.astype({"imputation": "Int64"}), "plot_forest")


def _rows(source: str, table: pd.DataFrame, terms: Sequence[str]) -> pd.DataFrame:
    rows = table.set_index("term").loc[list(terms)].reset_index()
    return rows.assign(source=source, imputation=pd.array([pd.NA] * len(rows), "Int64"))[_COLUMNS]


def _listwise(pooled: PooledMerMod | PooledEstimates, fit: MerMod) -> pd.DataFrame:
    check_kind(fit, (MerMod,), "listwise")
    if not isinstance(pooled, PooledMerMod):
        raise ArgumentError("listwise is a fit of the pooled model: these are other estimates.")
    odd = sorted(set(pooled.fixed["term"]) ^ set(fit.beta.index))
    if odd:
        raise ArgumentError(
            f"the listwise fit and the pooled ones differ in {', '.join(odd)}: fit the same "
            "formula to the data with holes and to the imputed ones."
        )
    return fit.fixed(pooled.dfcom, pooled.conf_level, exponentiate=pooled.exponentiate)


def sets_of(pooled: PooledMerMod | PooledEstimates) -> tuple[CoefficientSets, list[int]]:
    """Return the estimates and covariances that were pooled, and the numbers of their data sets."""
    if isinstance(pooled, PooledEstimates):
        return pooled.sets, list(range(1, pooled.m + 1))
    terms = list(pooled.fixed["term"])
    sets = CoefficientSets.of_fits(pooled.fits, terms, pooled.dfcom, pooled.vcov_method)
    return sets, [fit.imputation or i for i, fit in enumerate(pooled.fits, start=1)]


def _imputed(pooled: PooledMerMod | PooledEstimates, terms: Sequence[str]) -> list[pd.DataFrame]:
    sets, numbers = sets_of(pooled)
    complete = pooled.complete_df.loc[list(sets.terms)].to_numpy(float)
    parts = []
    for i, estimates, variances in zip(numbers, sets.estimates, sets.variances, strict=True):
        one = rubin.pool_scalars(
            estimates[None], variances[None], dfcom=complete, conf_level=pooled.conf_level
        )
        table = pd.DataFrame({"term": list(sets.terms), "estimate": estimates})
        table["std_error"], table["conf_low"], table["conf_high"] = (
            np.sqrt(variances), one.conf_low, one.conf_high,
        )  # fmt: skip
        if pooled.exponentiate:
            table["std_error"] *= np.exp(table["estimate"])
            for name in ("estimate", "conf_low", "conf_high"):
                table[name] = np.exp(table[name])
        parts.append(_rows("imputed", table, terms).assign(imputation=i))
    return parts


def wanted_terms(known: Sequence[str], terms: str | Sequence[str] | None) -> list[str]:
    """Return the terms that are shown: those named, or all but the intercept.

    Raises
    ------
    ArgumentError
        A name that is no term, with the nearest and the list of them.
    """
    known = list(known)
    if terms is None:
        return [x for x in known if x != _INTERCEPT] or known
    shown = column_list(terms, "terms")
    for name in shown:
        if name not in known:
            raise ArgumentError(
                f"terms names {name!r}{hint(name, known)}, which the model does not have; its "
                f"terms are {', '.join(known)}."
            )
    if not shown or len(set(shown)) < len(shown):
        raise ArgumentError("terms must name at least one term, and each once.")
    return shown


def forest(
    obj: MerMod | MerModList | PooledMerMod | PooledEstimates,
    *,
    listwise: MerMod | None = None,
    terms: str | Sequence[str] | None = None,
    by_imputation: bool = True,
    exponentiate: bool = False,
    ax: Axes | None = None,
    **style: Any,
) -> Axes:
    """Draw coefficients with their intervals: listwise, of each imputation, and pooled.

    Parameters
    ----------
    obj : MerMod, MerModList, PooledMerMod or PooledEstimates
        Fits of a list are pooled by default.
    listwise : MerMod, optional
        The same model, fitted to the rows without holes.
    terms : str or list of str, optional
        Coefficients to show; all but the intercept by default.
    by_imputation : bool
        Whether each imputation's estimate is drawn, too: with its interval, if there are at most 50
        of them.
    exponentiate : bool
        Draw odds ratios or rate ratios, on a logarithmic axis.
    ax : Axes, optional
        To draw on; a new figure's by default.
    **style : Any
        Properties of the points of the pooled (or single) estimates, a `matplotlib.lines.Line2D`.

    Returns
    -------
    Axes
        The first term is at the top, at y = 0, the next at -1.

    Raises
    ------
    ArgumentError
        A term that isn't there, or a listwise fit of other coefficients.
    MissingExtraError
        Where matplotlib isn't installed.

    See Also
    --------
    rbridge_mi.plots.variance : How much of each interval is due to missing data.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> pooled = rb.pool([[1.0], [1.5]], [[0.2], [0.3]], names=["x"])
    >>> pooled.plot.forest().get_yticklabels()[0].get_text()
    'x'
    """
    frame = forest_data(
        obj, listwise=listwise, terms=terms, by_imputation=by_imputation, exponentiate=exponentiate
    )
    names = list(dict.fromkeys(frame["term"]))
    parts = dict(list(frame.groupby("source")))
    ax = new_axes(ax, 6.4, 1.1 + min(18.0, (0.62 if len(parts) > 1 else 0.36) * len(names)))
    place = {name: -float(i) for i, name in enumerate(names)}
    main = "pooled" if "pooled" in parts else "single"
    # The tracks of a term, from above: pooled, each imputation, listwise.
    tracks = {"pooled": 0.27, "single": 0.0, "imputed": 0.0, "listwise": -0.27}
    if len(parts) == 1:
        tracks = dict.fromkeys(tracks, 0.0)
    handles: dict[str, Any] = {}
    if "imputed" in parts:
        rows = parts["imputed"]
        m = rows["imputation"].nunique()
        order = rows.groupby("term").cumcount()
        spread = 0.3 * (0.5 - (order + 0.5) / m)
        y = rows["term"].map(place) + tracks["imputed"] + spread
        if m <= _MOST_INTERVALS:
            ax.hlines(
                y, rows["conf_low"], rows["conf_high"], color=IMPUTED, alpha=0.7,
                linewidth=max(0.5, min(1.2, 8 / m)), zorder=1,
            )  # fmt: skip
        (points,) = ax.plot(
            rows["estimate"], y, "o", color=IMPUTED, markersize=3 if m <= 20 else 1.8, zorder=2
        )
        handles[f"each of {m} imputations"] = points
    for source, marker, colour, dash in (
        ("listwise", "s", DARK, (0, (4, 2))),
        (main, "o", INK, "-"),
    ):
        if source in parts:
            rows = parts[source]
            y = rows["term"].map(place) + tracks[source]
            ax.hlines(
                y, rows["conf_low"], rows["conf_high"], color=colour, linestyle=dash, zorder=3,
                linewidth=2.0 if source == main else 1.4,
            )  # fmt: skip
            (points,) = ax.plot(
                rows["estimate"], y, marker, color=colour, markersize=6, zorder=4,
                markerfacecolor=colour if source == main else "white",
            )  # fmt: skip
            if source == main:
                styled(points, style)
            handles[source] = points
    ratios = exponentiate or getattr(obj, "exponentiate", False)
    if ratios:
        draw_ratio_axis(ax)
    draw_zero(ax, 1.0 if ratios else 0.0)
    draw_terms(ax, names)
    level = 0.95 if isinstance(obj, MerMod) else _level(obj)
    ax.set_xlabel(f"{'ratio' if ratios else 'estimate'} and {100 * level:g}% interval")
    if len(handles) > 1:
        order_shown = [x for x in handles if x == main] + [x for x in handles if x != main]
        draw_legend(ax, [handles[x] for x in order_shown], order_shown)
    return axes_of(ax)


def _level(obj: MerModList | PooledMerMod | PooledEstimates) -> float:
    return (obj.pooled_by_default if isinstance(obj, MerModList) else obj).conf_level
