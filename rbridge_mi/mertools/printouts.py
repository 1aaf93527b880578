"""What merTools prints of a list of fits, line by line.

What is wrong with each printout stands in the docstring of the method of `MerToolsTables` that
returns it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ..errors import PoolingError
from ..fits.fitted_model import FittedModel
from ..fits.which_models import is_linear
from ..pooling.tails import t_two_sided
from . import numbers
from .numbers import r_mean
from .r_format import as_character, call_lines, format_numbers, matrix_lines, round_r, vector_lines

__all__ = ["fastdisp_lines", "summary_lines"]

# Of the warning in `numbers.model_fixed_eff`: it names the line that called the method of
# `MerToolsTables`, two calls above the function here.
_STACKLEVEL = 4

# R's names of the columns, where ours are others.
_HEADS = {"std_error": "std.error"}


def summary_lines(fits: Sequence[FittedModel], digits: int) -> list[str]:
    """Return the lines of ``print(summary(list), digits)``."""
    terms = numbers.mean_random_terms(fits)
    family = "" if is_linear(fits[0]) else f" {fits[0].family}"
    lines = [f'[1] "{_title(fits[0])}"', f"Model family: {family}", *_call(fits[0])]
    lines += ["", "Fixed Effects:"]
    lines += _frame_lines(numbers.model_fixed_eff(fits, stacklevel=_STACKLEVEL), digits)
    lines += ["", "Random Effects:", "", "Error Term Standard Deviations by Level:"]
    for grp, names, sds, _ in terms:
        lines += ["", grp or "NA", *vector_lines(names, _rounded(sds, digits)), ""]
    lines += ["", "Error Term Correlations:"]
    for grp, names, _, correlations in terms:
        cells = _rounded_matrix(correlations, digits)
        lines += ["", grp or "NA", *matrix_lines(names, names, cells, right=False), ""]
    # R's sigma() is 1 where there is none.
    sigmas = [fit.sigma if fit.has_scale else 1.0 for fit in fits]
    (sigma,) = _rounded([r_mean(sigmas)], digits)
    return [
        *lines,
        "",
        f"Residual Error = {sigma} ",
        "",
        "---Groups",
        _groups(fits[0], fits[0].nobs),
        "",
        "Model Fit Stats",
        _aic(fits),
        f"Residual standard deviation = {sigma} ",
    ]


def fastdisp_lines(fits: Sequence[FittedModel], digits: int, detail: bool) -> list[str]:
    """Return the lines of ``fastdisp(list, digits, detail)``."""
    fixed = numbers.model_fixed_eff(fits, stacklevel=_STACKLEVEL)
    if detail:
        fixed["p.value"] = t_two_sided(fixed["statistic"], fixed["df"])
    else:
        fixed = fixed[["term", "estimate", "std_error"]]
    mean_n = round(r_mean([fit.nobs for fit in fits]))
    return [
        *_call(fits[0]),
        *_frame_lines(fixed, digits),
        "",
        "Error terms:",
        *_error_terms(fits, digits),
        "---",
        _groups(fits[0], mean_n),
        f"{_aic(fits)}---",
    ]


# -- parts of a printout --------------------------------------------------------------------


def _error_terms(fits: Sequence[FittedModel], digits: int) -> list[str]:
    """Return the table of SDs and correlations, its SDs in merTools' wrong order."""
    terms = numbers.random_terms(fits[0])
    widest = max(len(x.names) for x in terms)
    groups, names, corr = [], [], []
    for term in terms:
        size = len(term.names)
        groups += [term.grp or "", *[""] * (size - 1)]
        names += term.names
        columns = _rounded_matrix(term.correlations, digits)
        corr += [
            [columns[j][i] if j < i else "" for j in range(size)] + [""] * (widest - size)
            for i in range(size)
        ]
    stats = numbers.model_rand_eff_stats(fits)
    # The test by which merTools recognises a correlation.
    stats = stats[~stats["term"].str.contains("cor_", regex=False)]
    residual = stats["group"] == "Residual"
    sds = [*stats.loc[~residual, "estimate"], *stats.loc[residual, "estimate"]]
    if (len(names) + 1) % len(sds):
        raise PoolingError(
            f"merTools' fastdisp fails here: it has {len(sds)} standard deviations for "
            f"{len(names) + 1} rows. Either a term's name holds 'cor_', so that it is taken "
            "for a correlation, or the fits' terms differ, or the model has no residual."
        )
    shown = [as_character(round_r(x, digits)) for x in sds]
    head = ["Groups", "Name", "Std.Dev."]
    cells = [
        [*groups, "Residual"],
        [*names, ""],
        shown * ((len(names) + 1) // len(shown)),  # recycled by R
    ]
    if widest > 1:
        head += ["Corr", *[""] * (widest - 1)]
        cells += [list(x) for x in zip(*corr, [""] * widest, strict=True)]
    return matrix_lines([""] * (len(names) + 1), head, cells, right=False)


def _title(fit: FittedModel) -> str:
    """Name the kind of model and its method, as lme4's summary does."""
    if is_linear(fit):
        return f"Linear mixed model fit by {'REML' if fit.reml else 'maximum likelihood '}"
    by = "Laplace Approximation"
    if fit.nAGQ != 1:
        by = f"Adaptive Gauss-Hermite Quadrature, nAGQ = {fit.nAGQ}"
    return f"Generalized linear mixed model fit by maximum likelihood ({by})"


def _call(fit: FittedModel) -> list[str]:
    if is_linear(fit):
        ml = "" if fit.reml else ", REML = FALSE"
        return call_lines(f"lmer(formula = {fit.formula}, data = d{ml})")
    # What lmerModList() and glmerModList() pass on in their dots is no more than numbered.
    more = "" if fit.nAGQ == 1 else f", nAGQ = {fit.nAGQ}"
    return call_lines(f"glmer(formula = {fit.formula}, data = d, family = ..1{more})")


def _groups(fit: FittedModel, nobs: int) -> str:
    groups = "; ".join(f"{name}, {n}" for name, n in fit.ngrps.items())
    return f"number of obs: {nobs}, groups: {groups}"


def _aic(fits: Sequence[FittedModel]) -> str:
    return f"AIC = {round_r(r_mean([fit.aic for fit in fits]), 1):g}"


# -- numbers as text ------------------------------------------------------------------------


def _rounded(values: Sequence[float], digits: int) -> list[str]:
    """Round, and write all with that many decimals and in one width, as arm's ``fround`` does."""
    return format_numbers([round_r(float(x), digits) for x in values], nsmall=digits)


def _rounded_matrix(rows: list[list[float]], digits: int) -> list[list[str]]:
    """Return the columns of a square matrix as text, all cells in one width."""
    n = len(rows)
    texts = _rounded([rows[i][j] for j in range(n) for i in range(n)], digits)
    return [texts[j * n : (j + 1) * n] for j in range(n)]


def _frame_lines(frame: pd.DataFrame, digits: int) -> list[str]:
    """Print a frame as R does, with its terms as row names; each column has its own width."""
    columns = [x for x in frame.columns if x != "term"]
    cells = [_rounded(frame[x].tolist(), digits) for x in columns]
    heads = [_HEADS.get(x, x) for x in columns]
    return matrix_lines(list(frame["term"]), heads, cells, right=True)
