"""Estimated marginal means and trends: emmeans' grid for every fit, pooled mean by mean."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import rdoor
from ..base.arguments import (
    check_level,
    check_value,
    checked_argument,
    column_list,
    r_arguments,
)
from ..base.checks import is_number, text, whole
from ..base.glossary import TABLES, beside
from ..errors import ArgumentError, PoolingError, RBridgeWarning, RCallError, RPackageError
from ..fits.asking import ask, ask_each
from ..fits.fitted_model import FittedModel
from ..pooling import COLUMNS, PoolingRule
from .degrees_of_freedom import adjusted_vcovs, complete_df, is_small_sample
from .mean_contrasts import MeanContrast, checked_contrast

__all__ = ["MEANS_ARGUMENTS", "check_means", "check_trend", "marginal_means"]

Floats = NDArray[np.float64]


# Arguments by R's names: those of emmeans() and ref_grid(), which make the grid; those of
# summary(), which is called on the pooled means; and those that are not taken, with the reason.
_GRID = ("weights", "offset", "by", "cov.keep", "cov.reduce", "submodel", "rg.limit")
_TREND_GRID = (*(x for x in _GRID if x != "offset"), "delta.var", "max.degree")
_SUMMARY = ("type", "null", "side", "delta", "bias.adjust", "bias.adj", "sigma", "cross.adjust")
#: What emmeans and emtrends take beside their own arguments, by R's names.
MEANS_ARGUMENTS = tuple(dict.fromkeys((*_GRID, *_TREND_GRID, *_SUMMARY)))
_OWN_DF = "degrees of freedom are pooled, from those of complete data: `fits.pool(dfcom=...)`"
_NOT_LINEAR = "the means would not be linear in the coefficients"
_NOT_TAKEN = {
    "df": _OWN_DF,
    **dict.fromkeys(
        ("lmer.df", "mode", "pbkrtest.limit", "lmerTest.limit", "disable.pbkrtest",
         "disable.lmerTest"),
        _OWN_DF,
    ),
    **dict.fromkeys(("regrid", "transform", "tran", "counterfactuals"), _NOT_LINEAR),
    **dict.fromkeys(("wt.counter", "avg.counter"), "it is of counterfactuals"),
    **dict.fromkeys(("nuisance", "non.nuisance", "wt.nuis", "nesting"), "it is not carried to R"),
    **dict.fromkeys(("mult.names", "mult.levs"), "it is for several responses"),
    "contr": "that is `contrast`",
    "method": "that is `contrast`",
    "simple": "give `by`",
    "interaction": "it is not carried to R",
    "data": "each fit has its own",
    "object": "each fit is its own",
    "vcov.": "each fit has its own",
    "infer": "the table has both intervals and tests",
    "frequentist": "there is no other answer",
    "options": "name them one by one",
    **dict.fromkeys(("fac.reduce", "calc"), "it is code"),
}  # fmt: skip
_NOT_OF_TRENDS = {
    "offset": "a slope has none",
    "specs": "that is the first argument",
    "var": "that is the second argument",
    "type": "slopes are on the scale of the link",
    "bias.adjust": "slopes are on the scale of the link",
    "sigma": "slopes are on the scale of the link",
}
_ADJUST = (
    "none", "tukey", "scheffe", "sidak", "dunnettx", "bonferroni", "holm", "hochberg", "hommel",
    "BH", "BY", "fdr",
)  # fmt: skip
_WEIGHTS = ("equal", "proportional", "outer", "cells", "flat")
_TYPES = ("link", "response", "unlink", "mu")


@dataclass(frozen=True)
class _Question:
    """The arguments of emmeans, but for the fit; of emtrends, if `trend` names a covariate."""

    specs: list[str]
    contrast: str | dict[str, dict[str, Any]] | None
    at: dict[str, list[Any]] | None
    grid: dict[str, Any]
    comparing: dict[str, Any]
    trend: str | None

    @property
    def parts(self) -> tuple[Any, ...]:
        return (self.specs, self.contrast, self.at, self.grid, self.comparing, self.trend)


@dataclass(frozen=True)
class _Asked:
    """What `check_means` makes of the arguments."""

    question: _Question
    options: dict[str, Any]
    conf_level: float | None


def check_means(
    specs: str | Sequence[str],
    contrast: MeanContrast | None = None,
    at: Mapping[str, Any] | None = None,
    conf_level: float | None = None,
    adjust: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    trend: str | None = None,
) -> _Asked:
    """Check what can be checked of the arguments without a fit.

    Parameters
    ----------
    specs : str or sequence of str
        As in `PooledMerMod.emmeans`, as are all others.
    contrast : str or mapping, optional
        A method, or coefficients.
    at : mapping, optional
        Values of covariates.
    conf_level : float, optional
        Of the intervals.
    adjust : str, optional
        How p values are adjusted.
    arguments : mapping, optional
        The others.
    trend : str, optional
        The covariate of `PooledMerMod.emtrends`.

    Returns
    -------
    _Asked
        For `marginal_means`.

    Raises
    ------
    ArgumentError
        An argument that can't be right.
    RCallError
        A contrast that emmeans doesn't have.
    RPackageError
        Where R lacks emmeans, and a contrast is named.
    """
    arguments = dict(arguments or {})
    if "level" in arguments:
        if conf_level is not None:
            raise ArgumentError("level is R's name of conf_level: give one of them.")
        conf_level = arguments.pop("level")
    if conf_level is not None:
        check_level(conf_level)
    method = checked_contrast(contrast)
    names = column_list(specs, "specs")
    if not names:
        raise ArgumentError("specs names no factor: '1' stands for one mean of them all.")
    comparing = _contrast_arguments(method) if isinstance(method, str) else ()
    what, of_grid = ("emmeans", _GRID) if trend is None else ("emtrends", _TREND_GRID)
    summarising = (
        _SUMMARY if trend is None else tuple(x for x in _SUMMARY if x not in _NOT_OF_TRENDS)
    )
    valid = (*of_grid, *summarising, *comparing)
    not_taken = _NOT_TAKEN if trend is None else {**_NOT_TAKEN, **_NOT_OF_TRENDS}
    refused = {k: v for k, v in not_taken.items() if k not in valid}
    given = r_arguments(arguments, valid, refused, what)
    question = _Question(
        names,
        method,
        None if at is None else {k: _values(v) for k, v in at.items()},
        _checked_grid({k: v for k, v in given.items() if k in of_grid}),
        {k: v for k, v in given.items() if k in comparing},
        trend,
    )
    options = _checked_options({k: v for k, v in given.items() if k in _SUMMARY}, adjust)
    return _Asked(question, options, conf_level)


def _contrast_arguments(method: str) -> tuple[str, ...]:
    """Ask R for the arguments of a contrast of emmeans'."""
    try:
        return tuple(rdoor.call("contrast_arguments", method).value)
    except RCallError as error:
        if "needs the R package" in error.r_message:
            raise RPackageError(error.r_message) from None
        raise


def marginal_means(
    fits: Sequence[FittedModel],
    rule: PoolingRule,
    dfcom: Any,
    conf_level: float | None,
    specs: str | Sequence[str],
    contrast: MeanContrast | None,
    at: Mapping[str, Any] | None,
    adjust: str | None,
    arguments: Mapping[str, Any],
    *,
    default_level: float = 0.95,
    vcov: str = "model",
    trend: str | None = None,
) -> pd.DataFrame:
    """Pool emmeans' grids of the fits; see `PooledMerMod.emmeans` and `PooledMerMod.emtrends`.

    Of one fit, the table has the columns of one (`MerMod.emmeans`).
    """
    asked = check_means(specs, contrast, at, conf_level, adjust, arguments, trend)
    question, options = asked.question, asked.options
    what = "emmeans" if trend is None else "emtrends"
    method = question.contrast
    conf_level = default_level if asked.conf_level is None else asked.conf_level
    check_level(conf_level)
    of_each = {} if vcov == "model" else {"vcov": [x.to_numpy() for x in adjusted_vcovs(fits)]}
    grids = ask_each(fits, "marginal_means", *question.parts, of_each=of_each)
    levels = [pd.DataFrame(dict(x["levels"])) for x in grids]
    for fit, levels_of_fit in zip(fits, levels, strict=True):
        # Covariates of the grid may stand at the mean of each data set; levels must be the same.
        texts = levels_of_fit.select_dtypes(exclude="number").astype(str)
        if len(levels_of_fit) != len(levels[0]) or not texts.equals(
            levels[0].select_dtypes(exclude="number").astype(str)
        ):
            raise PoolingError(
                f"{what} makes another grid for imputation {fit.imputation} than for the first: "
                "its factors have other levels. Combine levels, or give values in `at`."
            )
    numbers = levels[0].select_dtypes(include="number").columns
    table = levels[0].copy()
    for name in numbers:
        table[name] = np.mean([x[name].to_numpy() for x in levels], axis=0)
    columns, usable = _pooled(fits, rule, dfcom, conf_level, grids)
    notes = []
    if options or method is not None:
        if options.get("bias.adjust") and "sigma" not in options:
            options = {"sigma": _sigma(fits), **options}
        summary = ask(
            fits[0], "marginal_summary", *question.parts, columns["estimate"], columns["t"],
            columns["df"], conf_level, options,
        )  # fmt: skip
        notes += [x for x in summary["notes"] if not x.startswith("Confidence level used")]
        if method is not None:
            table[summary["name"][0]] = summary["contrast"]  # "a / b" on the response scale
        columns = _summarised(columns, summary)
    if not usable.all():
        lost = table[~usable].astype(str).agg(", ".join, axis=1)
        notes.append(
            f"can't be estimated (emmeans' nonEst): {'; '.join(lost)}. A level has no data in the "
            "combination, or the design lacks the rank"
        )
        warnings.warn(f"{what}: {notes[-1]}.", RBridgeWarning, stacklevel=3)
    shown = COLUMNS if len(fits) > 1 else TABLES["estimates"][1:]
    table = beside(pd.DataFrame({name: columns[name] for name in shown}), table, first=False)
    table.attrs["note"] = "; ".join(notes)
    return table


def check_trend(var: Any) -> str:
    """Take the name of the covariate whose slopes are asked for.

    Parameters
    ----------
    var : object
        As it was given.

    Returns
    -------
    str
        The name.

    Raises
    ------
    ArgumentError
        Anything else than a text.
    """
    name: str = checked_argument(var, text, "var")
    return name


def _pooled(
    fits: Sequence[FittedModel],
    rule: PoolingRule,
    dfcom: Any,
    conf_level: float,
    grids: Sequence[Any],
) -> tuple[dict[str, Floats], NDArray[np.bool_]]:
    """Pool the columns, and mark the means that every fit can estimate: others are missing."""
    q = np.array([x["estimate"] for x in grids])
    u = np.maximum(np.array([x["variance"] for x in grids]), 0)
    usable = np.isfinite(q).all(axis=0)
    columns = {name: np.full(len(usable), np.nan) for name in COLUMNS}
    if not usable.any():
        return columns, usable
    linear = [x["linear"][usable] for x in grids]
    complete: Any = math.inf
    if rule.uses_dfcom and is_small_sample(dfcom):
        per_fit = [complete_df(dfcom, [fit], x) for fit, x in zip(fits, linear, strict=True)]
        complete = np.mean(np.array(per_fit), axis=0)
    elif rule.uses_dfcom:
        complete = complete_df(dfcom, fits, linear[0])
    pooled = rule.scalars(q[:, usable], u[:, usable], dfcom=complete, conf_level=conf_level)
    for name, values in pooled.columns().items():
        columns[name][usable] = values
    return columns, usable


def _sigma(fits: Sequence[FittedModel]) -> float:
    """Of the bias adjustment: the square root of the mean residual variance."""
    if not fits[0].has_scale:
        raise ArgumentError(
            f"a model of family {fits[0].family!r} has no residual standard deviation: bias_adjust "
            "needs sigma, the standard deviation of what the means are averaged over (on the scale "
            "of the link)."
        )
    return float(np.sqrt(np.mean([fit.sigma**2 for fit in fits])))


def _summarised(columns: dict[str, Floats], summary: Mapping[str, Any]) -> dict[str, Floats]:
    """Take emmeans' summary into the columns; variances on the scale of its standard errors."""
    columns = dict(columns)
    with np.errstate(invalid="ignore"):  # a mean that varies nowhere
        squared = (summary["std_error"] / columns["std_error"]) ** 2
    for name in ("ubar", "b", "t"):
        columns[name] = np.where(squared == 1, columns[name], columns[name] * squared)
    names = ("estimate", "std_error", "statistic", "p_value")
    columns.update({name: summary[name] for name in names})
    return {**columns, "conf_low": summary["low"], "conf_high": summary["high"]}


def _checked_grid(grid: dict[str, Any]) -> dict[str, Any]:
    weights = grid.get("weights")
    if isinstance(weights, str):
        check_value(weights, _WEIGHTS, "weights")
    if not isinstance(grid.get("cov.reduce", True), bool):
        raise ArgumentError("cov_reduce must be True (means) or False (every value).")
    delta, degree = grid.get("delta.var", 1), grid.get("max.degree", 1)
    if not is_number(delta) or not math.isfinite(delta) or delta == 0:
        raise ArgumentError(f"delta_var must be a number other than 0, not {delta!r}.")
    checked_argument(degree, whole(1, 5), "max_degree")
    return grid


def _checked_options(options: dict[str, Any], adjust: str | None) -> dict[str, Any]:
    """Those of summary() that were given, under one name."""
    if adjust is not None:
        if adjust == "mvt":
            raise ArgumentError("adjust='mvt' is drawn at random: take 'tukey' or 'holm'.")
        check_value(adjust, _ADJUST, "adjust")
        options = {**options, "adjust": adjust}
    if "type" in options:
        check_value(options["type"], _TYPES, "type")
    if "bias.adj" in options:
        options["bias.adjust"] = options.pop("bias.adj")
    back = options.get("type", "link") != "link"
    if ("bias.adjust" in options or "sigma" in options) and not back:
        raise ArgumentError("bias_adjust and sigma are of type='response', which is not asked for.")
    return options


def _values(value: Any) -> list[Any]:
    return [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
