"""What the random effects do to predictions: merTools' REimpact and REmargins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import check_count, check_frame, column_list
from ..base.checks import is_number
from ..base.glossary import TABLES, beside, checked
from ..errors import ArgumentError
from ..fits.asking import ask
from ..fits.fitted_model import FittedModel
from .arguments import fits_of, under_r_names
from .intervals import predict_interval
from .ranks import INTERCEPT, re_rank

__all__ = ["re_impact", "re_margins"]

Floats = NDArray[np.float64]


@under_r_names
def re_impact(
    fit_or_fits: Any,
    newdata: pd.DataFrame,
    group_fctr: str | None = None,
    term: str | None = None,
    breaks: int | Sequence[float] = 3,
    **arguments: Any,
) -> pd.DataFrame:
    """Predict rows of data as if they were in each group, and average over classes of groups.

    In R: ``REimpact(m, newdata)``. The groups are cut into classes by the percentile of their
    expected rank (`re_rank`); every row of newdata is predicted with each group
    (`predict_interval`), and the predictions are averaged within the classes.

    What is wrong with merTools' numbers, which these are for one fit: the weights are the inverse
    widths of the intervals, not variances; without `term`, groups of a factor with several random
    effects count once for each of them, in the class of each; AvgFitSE is the square of a standard
    error. And `predict_interval` says what its draws lack. Of several fits, ranks and predictions
    are the pooled ones, by joint draws.

    Parameters
    ----------
    fit_or_fits : MerMod or MerModList
        One fit, or those to m imputed data sets.
    newdata : DataFrame
        The rows (cases), with the columns of the formula.
    group_fctr : str, optional
        Grouping factor, a column of the data; the first by default.
    term : str, optional
        Random effect to rank by; all by default.
    breaks : int or sequence of float
        Number of classes of equal width, or their limits, as R's ``cut`` takes them.
    **arguments : Any
        Others of `predict_interval`: ``seed``, ``n_sims``, ``level`` and so on.

    Returns
    -------
    DataFrame
        case, bin, estimate, std_error, n_groups (merTools' case, bin, AvgFit, square root of
        AvgFitSE, nobs): a row per case and class, cases first.

    Raises
    ------
    ArgumentError
        An argument that can't be right.
    PredictionError
        As `predict_interval`.

    See Also
    --------
    re_margins : Predictions with typical groups.

    References
    ----------
    Cochran (1977), Sampling Techniques, 3rd edition, for the variance of a weighted mean, as in
    Gatz and Smith (1995), Atmospheric Environment 29, 1185-1193, eq. 7.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> from rbridge_mi.mertools import re_impact
    >>> hsb = rb.load_hsb()
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(hsb)
    >>> re_impact(fit, hsb.head(1), seed=1)["n_groups"].tolist()
    [52, 59, 49]
    """
    fits = fits_of(fit_or_fits, "re_impact")
    check_frame(newdata, "newdata")
    factor = _factor(fits[0], group_fctr, newdata)
    _check_passed(arguments, ("newdata", "which", "type", "return_sims", "returnSims"))
    ranks = re_rank(fit_or_fits, factor, term)
    levels = [str(x) for x in ask(fits[0], "levels_in_data", factor)]
    cases = np.tile(np.arange(len(newdata)), len(levels))
    rows = newdata.iloc[cases].reset_index(drop=True)
    rows[factor] = _like(fits[0], factor, np.repeat(levels, len(newdata)))
    predicted = predict_interval(fit_or_fits, rows, **arguments)
    predicted = predicted.assign(case=cases + 1, grp=np.repeat(levels, len(newdata)))
    bins = ask(fits[0], "rank_bins", ranks["percentile"].to_numpy(), _breaks(breaks))
    merged = ranks[["grp"]].assign(bin=bins).merge(predicted, on="grp")
    averages = []
    for (case, number), part in merged.groupby(["case", "bin"], sort=True):
        width = (part["pred_high"] - part["pred_low"]).to_numpy()
        mean, variance = _weighted(part["estimate"].to_numpy(), 1 / width)
        averages.append((case, int(number), mean, np.sqrt(variance), len(part)))
    return checked(pd.DataFrame(averages, columns=list(TABLES["re_impact"])), "re_impact")


@under_r_names
def re_margins(
    fit_or_fits: Any,
    newdata: pd.DataFrame | None = None,
    group_fctr: str | None = None,
    term: str | Sequence[str] | None = None,
    breaks: int = 4,
    **arguments: Any,
) -> pd.DataFrame:
    """Predict rows of data as if they were in groups of low to high rank.

    In R: ``REmargins(m, newdata)``. For each random effect, the groups whose percentile of the
    expected rank (`re_rank`) is the nearest to 1, 1 + 100/breaks, ... are found; every row of
    newdata is predicted with each of these.

    What is wrong with merTools' numbers, which these are for one fit: of every random effect but
    the first, merTools takes the places of the nearest groups in the table of that effect, and
    reads the groups there in the table of all effects, so that other groups are taken; the highest
    class stands at 100 - 100/breaks percent, not at the top. And `predict_interval` says what is
    wrong with the draws. Of several fits, ranks and predictions are the pooled ones, by joint
    draws, and the groups are those of the effect.

    Parameters
    ----------
    fit_or_fits : MerMod or MerModList
        One fit, or those to m imputed data sets.
    newdata : DataFrame, optional
        The rows (cases); the rows of the fit by default, each of which is predicted
        terms x breaks times.
    group_fctr : str, optional
        Grouping factor, a column of the data; the first by default.
    term : str or sequence of str, optional
        Random effects; all of the factor by default.
    breaks : int
        Number of classes, from 1 to 100.
    **arguments : Any
        Others of `predict_interval`: ``seed``, ``n_sims``, ``level`` and so on. ``.parallel`` is
        refused.

    Returns
    -------
    DataFrame
        case, grpvar, term, bin, grp (the group that is predicted with), part, estimate, pred_low,
        pred_high, then the columns of newdata, with the group that the row had. merTools has one
        row for all parts, and columns fit_combined, upr_combined, ..., by the part's name.

    Raises
    ------
    ArgumentError
        An argument that can't be right.
    PredictionError
        As `predict_interval`.

    See Also
    --------
    re_impact : Averages over classes of groups.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> from rbridge_mi.mertools import re_margins
    >>> hsb = rb.load_hsb()[["mathach", "ses", "schid"]]
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(hsb)
    >>> table = re_margins(fit, hsb.head(1), seed=1)
    >>> table.query("part == 'combined'")["bin"].tolist()
    [1, 2, 3, 4]
    """
    fits = fits_of(fit_or_fits, "re_margins")
    data = _rows_of(fits) if newdata is None else check_frame(newdata, "newdata")
    factor = _factor(fits[0], group_fctr, data)
    if check_count(breaks, "breaks", 1) > 100:
        raise ArgumentError(f"breaks must be at most 100, not {breaks}.")
    _check_passed(arguments, ("newdata", "which", "return_sims", "returnSims"))
    ranks = re_rank(fit_or_fits, factor, term).drop_duplicates(["grpvar", "term", "percentile"])
    terms = list(dict.fromkeys(ranks["term"]))
    if term is not None:  # in the order that they were asked for
        asked = [INTERCEPT if x not in terms else x for x in column_list(term, "term")]
        terms = sorted(terms, key=asked.index)
    grid = [(name, k) for k in range(breaks) for name in terms]
    at = np.ceil(1 + np.arange(breaks) * (100 / breaks))
    as_mertools = isinstance(fit_or_fits, FittedModel)
    groups = [_nearest(ranks, name, at[k], misplaced=as_mertools) for name, k in grid]
    cases = np.repeat(np.arange(len(data)), len(grid))
    rows = data.iloc[cases].reset_index(drop=True)
    tiled = groups * len(data)
    predicted = predict_interval(
        fit_or_fits,
        rows.assign(**{factor: _like(fits[0], factor, tiled)}),
        which="all",
        **arguments,
    )
    columns = pd.DataFrame(
        {
            "case": cases + 1,
            "grpvar": factor,
            "term": [name for name, _ in grid] * len(data),
            "bin": [k + 1 for _, k in grid] * len(data),
            "grp": tiled,
        }
    )
    n_parts = len(predicted) // len(rows)
    repeated = pd.concat([columns] * n_parts, ignore_index=True)
    table = pd.concat([repeated, predicted.reset_index(drop=True)], axis=1)
    order = np.argsort(np.tile(np.arange(len(rows)), n_parts), kind="stable")
    table = checked(table.iloc[order], "re_margins")
    return beside(table, pd.concat([rows] * n_parts, ignore_index=True).iloc[order])


# -- helpers --------------------------------------------------------------------------------


def _factor(fit: FittedModel, given: str | None, data: pd.DataFrame) -> str:
    factors = list(fit.ngrps)
    factor = factors[0] if given is None else given
    if factor not in factors:
        raise ArgumentError(
            f"group_fctr: {factor!r} is no grouping factor of the fit; it has {', '.join(factors)}."
        )
    if factor not in data.columns:
        raise ArgumentError(
            f"group_fctr: {factor!r} is no column of the data, so that its groups can't be set "
            "there: make it one, and fit with that."
        )
    return factor


def _check_passed(arguments: dict[str, Any], ours: Sequence[str]) -> None:
    given = [x for x in ours if x in arguments]
    if given:
        raise ArgumentError(f"{given[0]} is set here, and can't be passed on to predict_interval.")


def _breaks(breaks: Any) -> Any:
    if is_number(breaks):
        return float(check_count(breaks, "breaks", 2))
    limits = np.asarray(breaks, dtype=float)
    if limits.ndim != 1 or len(limits) < 2 or len(set(limits)) < len(limits):
        raise ArgumentError(f"breaks must be a number of classes, or their limits, not {breaks!r}.")
    return limits


def _rows_of(fits: Sequence[FittedModel]) -> pd.DataFrame:
    rows: pd.DataFrame = ask(fits[0], "rows_of_fit")
    return rows


def _like(fit: FittedModel, factor: str, labels: Any) -> Any:
    """Return labels of groups as values of the kind that the data of the fit have."""
    kind = str(ask(fit, "kind_of_column", factor)[0])
    return (
        pd.to_numeric(np.asarray(labels)) if kind == "number" else np.asarray(labels, dtype=object)
    )


def _nearest(ranks: pd.DataFrame, term: str, wanted: float, *, misplaced: bool) -> str:
    of_term = ranks[ranks["term"] == term]
    place = int(np.argmin(np.abs(of_term["percentile"].to_numpy() - wanted)))
    return str((ranks if misplaced else of_term)["grp"].iloc[place])


def _weighted(x: Floats, w: Floats) -> tuple[float, float]:
    """Return the weighted mean, and its variance by Cochran's ratio formula."""
    n, total = len(w), w.sum()
    mean, average = (w * x).sum() / total, w.mean()
    with np.errstate(invalid="ignore", divide="ignore"):  # one value has no variance
        deviation = w * x - average * mean
        variance = (
            np.float64(n)
            / ((n - 1) * total**2)
            * (
                (deviation**2).sum()
                - 2 * mean * ((w - average) * deviation).sum()
                + mean**2 * ((w - average) ** 2).sum()
            )
        )
    return float(mean), float(variance)
