"""Likelihood profiles: how the deviance rises as one parameter leaves its estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..base.arguments import check_level, column_list, r_arguments
from ..base.glossary import checked
from ..errors import ArgumentError
from ..fits.asking import told
from ..inference.mermod import MerMod, check_parm
from .canvas import (
    DARK,
    LIGHT,
    OBSERVED,
    draw_few_ticks,
    draw_title,
    label,
    new_panels,
    result_of,
    styled,
)
from .objects import check_kind

__all__ = ["profile", "profile_data"]

_ARGUMENTS = ("alphamax", "maxpts", "delta", "delta.cutoff", "devtol", "maxmult", "optimizer")
_REFUSED = dict.fromkeys(
    ("which", "signames", "prof.scale", "verbose", "parallel", "ncpus", "cl"),
    "the plot gives it itself",
)


def profile_data(
    fit: MerMod,
    parm: str | Sequence[str] | None = None,
    *,
    conf_level: float = 0.95,
    **arguments: Any,
) -> pd.DataFrame:
    """Profile the likelihood in R, ``profile(m, signames = FALSE)``.

    Parameters
    ----------
    fit : MerMod
        One fit; of fits by REML the likelihood itself is profiled, as in R.
    parm : str or list of str, optional
        Parameters, such as "ses", "sigma" or "sd_(Intercept)|schid"; ``"theta_"`` and ``"beta_"``
        are all of the random or the fixed part. All by default, which takes a while in large data.
    conf_level : float
        Of the intervals.
    **arguments : Any
        Others of ``profile.merMod``, under R's names or with underscores for dots: ``maxpts``,
        ``delta``, ``alphamax``, ``devtol``, ...

    Returns
    -------
    DataFrame
        parameter, value, zeta (the signed square root of the rise in deviance, a standard normal
        variable if the likelihood is quadratic), conf_low, conf_high (by ``confint`` of the
        profile).

    Raises
    ------
    ArgumentError
        A parameter that isn't there, or an argument that ``profile.merMod`` doesn't have.

    See Also
    --------
    rbridge_mi.MerMod.confint : The intervals alone.

    References
    ----------
    Bates, Mächler, Bolker and Walker (2015), Journal of Statistical Software 67(1), section 5.1.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb().head(500))
    >>> rb.plot.data.profile(fit, "ses")["parameter"].unique().tolist()
    ['ses']
    """
    check_kind(fit, (MerMod,), "profile")
    level = check_level(conf_level)
    given = r_arguments(arguments, _ARGUMENTS, _REFUSED, "profile")
    names = None if parm is None else column_list(parm, "parm")
    if names is not None:
        check_parm(fit, names, old_names=False)
        if len(names) != 1 and {"theta_", "beta_"} & {*names}:
            raise ArgumentError("parm: 'theta_' and 'beta_' stand alone.")
    answer = told(fit.r.call("mermod_profile", names, level, **given), fit.imputation)
    terms = [str(x) for x in answer["terms"]]
    low, high = (dict(zip(terms, answer[x], strict=True)) for x in ("low", "high"))
    parameter = pd.Series([str(x) for x in answer["parameter"]], dtype=object)
    table = pd.DataFrame(
        {
            "parameter": parameter,
            "value": answer["value"],
            "zeta": answer["zeta"],
            "conf_low": parameter.map(low),
            "conf_high": parameter.map(high),
        }
    )
    return checked(table, "plot_profile")


def profile(
    fit: MerMod,
    parm: str | Sequence[str] | None = None,
    *,
    conf_level: float = 0.95,
    arguments: Mapping[str, Any] | None = None,
    ax: Any = None,
    **style: Any,
) -> Any:
    """Draw likelihood profiles, in R ``lattice::xyplot(profile(m))``: straight lines are quadratic.

    Parameters
    ----------
    fit : MerMod
        One fit; of fits by REML the likelihood itself is profiled, as in R.
    parm : str or list of str, optional
        Parameters, such as "ses", "sigma" or "sd_(Intercept)|schid"; ``"theta_"`` and ``"beta_"``
        are all of the random or the fixed part. All by default, which takes a while in large data.
    conf_level : float
        Of the interval that is marked.
    arguments : mapping, optional
        Others of ``profile.merMod``, as in `rbridge_mi.plots.data.profile`.
    ax : Axes or sequence of Axes, optional
        To draw on, one for each parameter; a new figure's by default.
    **style : Any
        Properties of the lines, `matplotlib.lines.Line2D`.

    Returns
    -------
    Axes or Figure
        The Figure, if there are several panels: zeta by the parameter's value; the grey stretch is
        its confidence interval.

    Raises
    ------
    ArgumentError
        A parameter that isn't there, or an argument that ``profile.merMod`` doesn't have.
    MissingExtraError
        Where matplotlib isn't installed.

    See Also
    --------
    rbridge_mi.MerMod.confint : The intervals alone.

    References
    ----------
    Bates, Mächler, Bolker and Walker (2015), Journal of Statistical Software 67(1), section 5.1.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb().head(500))
    >>> fit.plot.profile("ses").get_title()
    'ses'
    """
    from scipy.special import ndtri

    table = profile_data(fit, parm, conf_level=conf_level, **(arguments or {}))
    names = list(dict.fromkeys(table["parameter"]))
    panels = new_panels(len(names), ax, 3.0 if len(names) > 1 else 5.0, 2.6)
    half = -float(ndtri((1 - conf_level) / 2))
    for panel, name in zip(panels, names, strict=True):
        rows = table[table["parameter"] == name].sort_values("value")
        low, high = rows[["conf_low", "conf_high"]].iloc[0]
        ends = rows["value"].min(), rows["value"].max()
        panel.axvspan(
            *np.where(np.isnan([low, high]), ends, [low, high]), color=LIGHT, alpha=0.35,
            linewidth=0, zorder=0,
        )  # fmt: skip
        for at in (-half, 0.0, half):
            panel.axhline(at, color=DARK, linewidth=0.7, linestyle=":" if at else "-", zorder=1)
        lines = panel.plot(
            rows["value"], rows["zeta"], "o-", color=OBSERVED, markersize=2.5, linewidth=1.4
        )
        styled(lines, style)
        draw_title(panel, label(name, 34), 9, "center")
        panel.set_ylabel("zeta")
        draw_few_ticks(panel)
        panel.tick_params(labelsize=8)
    return result_of(panels)
