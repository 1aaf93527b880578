"""The chains of an imputation, iteration by iteration, and whether they have mixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..base.arguments import check_count, check_known
from ..base.glossary import checked
from ..data.imputed_data import ImputedData
from ..errors import ArgumentError
from .canvas import (
    LIGHT,
    OBSERVED,
    SHADES,
    draw_few_ticks,
    draw_legend,
    draw_title,
    label,
    new_panels,
    result_of,
    styled,
)
from .objects import check_kind

__all__ = ["trace", "trace_data"]

_SHORT = 30  # iterations, of which each can be seen


def trace_data(
    imp: ImputedData, parameters: str | Sequence[str] | None = None, most: int = 12
) -> pd.DataFrame:
    """Tabulate the chains and their R-hat, for `rbridge_mi.plots.trace`.

    Parameters
    ----------
    imp : ImputedData
        Imputations whose engine keeps a trace.
    parameters : str or list of str, optional
        Names of `imp.trace`; by default those with the largest R-hat, of those that change at all.
    most : int
        How many parameters are taken by default.

    Returns
    -------
    DataFrame
        imputation (the chain), iteration, parameter, value, rhat. The last is that of
        `ImputedData.convergence`, missing where there is none: of Amelia, whose trace is of an
        optimizer, of short chains, and of parameters that never change.

    Raises
    ------
    ArgumentError
        A parameter that isn't there, or data sets without a trace.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
    >>> imp = rb.AmeliaImputer(m=2, idvars=["schid", "meanses"]).impute(holes, seed=1)
    >>> rb.plot.data.trace(imp)["parameter"].unique().tolist()
    ['changing']
    """
    check_kind(imp, (ImputedData,), "trace")
    check_count(most, "most", 1)
    table = imp.trace.dropna(subset=["value"]).astype({"parameter": object})
    if not len(table):
        raise ArgumentError(
            "trace: the data sets have no trace of their chains. They were imputed elsewhere, by a "
            "method without chains, or by an engine that was not asked to keep it "
            "(JomoImputer(trace=True))."
        )
    names = [str(x) for x in dict.fromkeys(table["parameter"])]
    try:
        rhat = imp.convergence().set_index("parameter")["rhat"]
    except ArgumentError:  # an optimizer's, or chains that are too short or of several lengths
        rhat = pd.Series(np.nan, index=names)
    if parameters is None:
        values = table.groupby("parameter")["value"]
        changing = (values.max() > values.min()).reindex(names)
        names = [x for x in names if changing[x]] or names
        order = np.argsort(-rhat.reindex(names).fillna(-np.inf).to_numpy(), kind="stable")
        shown = [names[i] for i in order[:most]]
    else:
        shown = [parameters] if isinstance(parameters, str) else list(parameters)
        check_known(shown, names, "trace", "parameter")
    part = table[table["parameter"].isin(shown)].copy()
    part["rhat"] = part["parameter"].map(rhat).astype(float)
    rank = {name: i for i, name in enumerate(shown)}
    part = part.sort_values(
        ["parameter", "imputation", "iteration"],
        key=lambda x: x.map(rank) if x.name == "parameter" else x,
        kind="stable",
        ignore_index=True,
    )
    return checked(part, "plot_trace")


def trace(
    imp: ImputedData,
    parameters: str | Sequence[str] | None = None,
    most: int = 12,
    *,
    ax: Any = None,
    **style: Any,
) -> Any:
    """Draw the chains of an imputation, with their R-hat: they should have forgotten their start.

    Parameters
    ----------
    imp : ImputedData
        Imputations whose engine keeps a trace.
    parameters : str or list of str, optional
        Names of `imp.trace`, a panel each; by default those with the largest R-hat, of those that
        change at all.
    most : int
        How many parameters are drawn by default.
    ax : Axes or sequence of Axes, optional
        To draw on, one for each parameter; a new figure's by default.
    **style : Any
        Properties of the chains' lines (`matplotlib.lines.Line2D`).

    Returns
    -------
    Axes or Figure
        The Figure, if there are several panels. A grey stretch is what `ImputedData.convergence`
        leaves out of R-hat, the first half of the chains. At most five chains have colours and a
        legend; more of them look alike, since what matters is whether they agree. R-hat is in bold
        from 1.05 on.

    Raises
    ------
    ArgumentError
        A parameter that isn't there, or data sets without a trace.
    MissingExtraError
        Where matplotlib isn't installed.

    See Also
    --------
    rbridge_mi.ImputedData.convergence : R-hat and effective sample size as a table.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), Bayesian Analysis 16, 667-718.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
    >>> imp = rb.AmeliaImputer(m=2, idvars=["schid", "meanses"]).impute(holes, seed=1)
    >>> imp.plot.trace("changing").get_title()
    'changing'
    """
    frame = trace_data(imp, parameters, most)
    names = list(dict.fromkeys(frame["parameter"]))
    panels = new_panels(len(names), ax, 3.6 if len(names) > 1 else 6.4, 2.2)
    chains = list(frame["imputation"].unique())
    few = len(chains) <= len(SHADES)
    colours = dict(zip(chains, SHADES if few else [OBSERVED] * len(chains), strict=False))
    for panel, name in zip(panels, names, strict=True):
        rows = frame[frame["parameter"] == name]
        lines = []
        length = rows["iteration"].nunique()
        for number, chain in rows.groupby("imputation"):
            lines += panel.plot(
                chain["iteration"], chain["value"], color=colours[number], zorder=2,
                linewidth=1.3 if few and length <= _SHORT else 0.7,
                alpha=1.0 if few else max(0.25, 3 / len(chains)),
            )  # fmt: skip
        styled(lines, style)
        rhat = rows["rhat"].iloc[0]
        height = 0.0
        if few and panel is panels[0]:
            texts = [f"chain {chains[0]}", *map(str, chains[1:])]
            height = draw_legend(panel, lines, texts, len(chains))
        text = label(name, 34) if np.isnan(rhat) else f"{label(name, 34)}\nR-hat {rhat:.3f}"
        weight = "bold" if rhat >= 1.05 else "normal"
        draw_title(panel, text, 9, "center", height, fontweight=weight)
        warmup = _left_out(rows)
        if not np.isnan(rhat) and warmup is not None:
            panel.axvspan(*warmup, color=LIGHT, alpha=0.3, linewidth=0, zorder=0)
        if rows["value"].nunique() == 1:  # no scale of rounding errors
            panel.set_ylim(rows["value"].iloc[0] - 1, rows["value"].iloc[0] + 1)
        draw_few_ticks(panel, 6, whole=True)
        panel.set_xlabel("iteration", fontsize=8)
        panel.tick_params(labelsize=8)
    return result_of(panels)


def _left_out(rows: pd.DataFrame) -> tuple[float, float] | None:
    """Return the first half of chains that begin together: R-hat is of the rest."""
    lengths = rows.groupby("imputation")["iteration"].agg(["min", "max"])
    if len(lengths) > 1 and lengths["min"].nunique() > 1:
        return None
    first, last = int(lengths["min"].min()), int(lengths["max"].max())
    return first - 0.5, first + (last - first + 1) // 2 - 0.5
