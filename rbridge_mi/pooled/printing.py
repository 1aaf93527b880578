"""The pooled model as text, in the layout of lme4's summary."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..base.text import p_text
from ..fits.which_models import is_linear

if TYPE_CHECKING:
    from ..inference.mermod import MerMod
    from ..pooling import PoolingRule
    from .pooled_estimates import PooledEstimates
    from .pooled_mermod import PooledMerMod

__all__ = [
    "FORMATS",
    "estimates_title",
    "fit_line",
    "fixed_lines",
    "note_lines",
    "observations_line",
    "random_lines",
    "summary_lines",
    "title_line",
]


def summary_lines(pooled: PooledMerMod) -> list[str]:
    """Lay out a pooled model: the random part, numbers of observations, fixed effects, notes."""
    lines = [title_line(pooled), f"Formula: {pooled.formula}"]
    lines += ["", "Random effects (mean covariance matrices):", *random_lines(pooled.varcorr)]
    lines += [observations_line(pooled)]
    scale = ", exponentiated" if pooled.exponentiate else ""
    lines += ["", f"Fixed effects{scale} ({100 * pooled.conf_level:g}% intervals):"]
    lines += fixed_lines(pooled.fixed, pooled.rule)
    return [*lines, *note_lines(pooled.advice), *pooled.notes]


def title_line(pooled: PooledMerMod) -> str:
    """Say what kind of model was fitted how often, and how the fits were pooled."""
    kind = _kind_of_model(pooled.fits[0])
    return f"{kind}, {pooled.m} fits pooled by {pooled.rule.description}"


def estimates_title(pooled: PooledEstimates) -> str:
    """Say what the estimates are of, and how their sets were pooled."""
    what = f"Estimates of {pooled.model}" if pooled.model else "Estimates"
    return f"{what}, {pooled.m} sets pooled by {pooled.rule.description}"


def observations_line(pooled: PooledMerMod) -> str:
    """Say how many rows the fits have, and how many groups."""
    low, high = min(pooled.nobs), max(pooled.nobs)
    groups = "; ".join(f"{name}, {n}" for name, n in pooled.ngrps.items())
    return f"Number of obs: {low if low == high else f'{low} to {high}'}, groups:  {groups}"


def fixed_lines(fixed: pd.DataFrame, rule: PoolingRule) -> list[str]:
    """Lay out a table of pooled coefficients."""
    shown = fixed.set_index("term").rename_axis(None)
    columns = ["estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high"]
    if rule.knows_missing_information:
        columns += ["riv", "fmi"]
    text: str = shown[columns].to_string(formatters=FORMATS)
    return text.split("\n")


def note_lines(texts: Iterable[str]) -> list[str]:
    """Lay out notes, wrapped."""
    wrapped = [textwrap.wrap(f"Note: {text}", 100, subsequent_indent="  ") for text in texts]
    return [line for lines in wrapped for line in lines]


def fit_line(fit: MerMod) -> str:
    """Say of one fit its rows, what it was fitted by, and its SDs and correlations."""
    sds = ", ".join(f"{x:.4g}" for x in fit.varcorr()["sdcor"][lambda s: s.notna()])
    criterion = "REML" if fit.reml else "-2 logLik"
    return (
        f"  imp{fit.imputation}: {fit.nobs} obs., {criterion} {fit.criterion:.1f}, "
        f"SDs and correlations {sds}" + (", singular" if fit.is_singular else "")
    )


def _kind_of_model(fit: MerMod) -> str:
    if is_linear(fit):
        return "Linear mixed model"
    return f"Generalized linear mixed model ({fit.family}, {fit.link})"


#: How a column of estimates is written.
FORMATS: Any = {
    **dict.fromkeys(("estimate", "std_error", "conf_low", "conf_high"), "{:.5f}".format),
    "df": "{:.1f}".format,
    "statistic": "{:.3f}".format,
    "p_value": p_text,
    **dict.fromkeys(("riv", "lambda_", "fmi"), "{:.4f}".format),
}


def random_lines(varcorr: pd.DataFrame) -> list[str]:
    """Lay out groups, names, variances, SDs and correlations as lme4 prints them."""
    rows = []
    # The residual's row stands apart from a grouping factor that is called "Residual".
    blocks = [varcorr["grp"], varcorr["var1"].isna().rename(None)]
    for (grp, _), part in varcorr.groupby(blocks, sort=False):
        effects = part[part["var2"].isna()]
        pairs = part[part["var2"].notna()]
        for i, row in enumerate(effects.itertuples()):
            name = "" if pd.isna(row.var1) else str(row.var1)
            with_earlier = [f"{r.sdcor:.2f}" for r in pairs.itertuples() if r.var2 == row.var1]
            rows.append(
                [
                    str(grp) if i == 0 else "",
                    name,
                    f"{row.vcov:.5f}",
                    f"{row.sdcor:.4f}",
                    " ".join(with_earlier),
                ]
            )
    head = ["Groups", "Name", "Variance", "Std.Dev.", "Corr"]
    table = [head, *rows]
    a, b, c, d = (max(len(row[i]) for row in table) for i in range(4))
    return [f" {r[0]:<{a}} {r[1]:<{b}} {r[2]:>{c}} {r[3]:>{d}} {r[4]}".rstrip() for r in table]
