"""Simulated prediction intervals: merTools' predictInterval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..base.arguments import (
    check_count,
    check_known,
    check_level,
    check_newdata,
    check_seed,
    check_value,
    column_list,
)
from ..base.glossary import checked
from ..errors import ArgumentError
from ..fits.asking import ask
from ..fits.fitted_model import FittedModel
from ..fits.which_models import is_linear
from .arguments import check_flags, check_same_names, drawn, fits_of, under_r_names

__all__ = ["Simulated", "predict_interval"]

_WHICH = ("full", "fixed", "random", "all")
_STAT = ("median", "mean")
_TYPE = ("linear.prediction", "probability")


class Simulated(NamedTuple):
    """Intervals, and the simulated values that they were read from.

    Attributes
    ----------
    intervals : DataFrame
        As `predict_interval` returns it.
    sims : dict of str to DataFrame
        Per part ("combined" and, with which="all", each grouping factor and "fixed") the simulated
        values: a row per row of the new data, a column per draw. Of several fits, the draws of
        the first fit come first.

    See Also
    --------
    predict_interval : Makes it.
    """

    intervals: pd.DataFrame
    sims: dict[str, pd.DataFrame]


@under_r_names
def predict_interval(
    fit_or_fits: Any,
    newdata: pd.DataFrame | None = None,
    which: str = "full",
    level: float = 0.8,
    n_sims: int = 1000,
    stat: str = "median",
    type: str = "linear.prediction",
    include_resid_var: bool = True,
    return_sims: bool = False,
    seed: int | None = None,
    fix_intercept_variance: bool = False,
    ignore_fixed_terms: str | Sequence[str] | None = None,
    draws: str | None = None,
) -> Any:
    """Simulate predictions, and read intervals from them. In R: ``predictInterval(m, newdata)``.

    ``draws="mertools"`` gives merTools' numbers. What is wrong with them:

    - fixed and random effects are drawn as if they were independent, though an error in a fixed
      intercept is made good by the groups' effects: intervals within groups are too wide
      (`fix_intercept_variance` and `ignore_fixed_terms` are merTools' remedies);
    - a random effect without a fixed effect of the same name is left out of the prediction, as is
      an offset;
    - rows of a new group are predicted without a random effect and without its variance (and where
      the formula makes the factor, as in ``a:b``, with the effect of a group picked at random);
    - with ``which="all"`` every part, not only their sum, gets the residual's noise;
    - a generalised model's linear predictor gets normal noise of variance 1, which is in no such
      model; the residual's variance doesn't know the fit's weights.

    ``draws="joint"`` draws fixed and random effects from their joint distribution, as `re_sim`
    does, with all of their columns and the offset; the effects of new groups from their covariance
    matrix; and the residual (over the row's weight) for the combined part of a linear model only.
    Of a generalised model the intervals are of the linear predictor, or of the mean.

    Of several fits, as many predictions are drawn from each and read together, so that the
    intervals contain the variance between the imputations (see `fe_sim`). merTools stops at a list
    of fits; ``draws="mertools"`` puts its draws of the single fits beside each other.

    Parameters
    ----------
    fit_or_fits : MerMod or MerModList
        One fit, or those to m imputed data sets.
    newdata : DataFrame, optional
        With the columns of the formula, none of them missing; the rows of the fit by default.
    which : {"full", "fixed", "random", "all"}
        All effects, the fixed ones, the random ones, or each part in a table of its own.
    level : float
        Coverage of the interval.
    n_sims : int
        Number of draws, from each fit. Memory: rows x draws x fits x 8 bytes per part.
    stat : {"median", "mean"}
        What the estimate is.
    type : {"linear.prediction", "probability"}
        "probability" applies the inverse of the link: to the ends that were read ("mertools"), or
        to the draws ("joint"). It is refused for linear models, where merTools warns and goes on.
    include_resid_var : bool
        Whether the noise of new observations is added.
    return_sims : bool
        Return the simulated values, too.
    seed : int, optional
        As ``set.seed(seed)`` before R's call; drawn where it is not given.
    fix_intercept_variance : bool
        Take the groups' share out of the intercept's variance. For draws="mertools".
    ignore_fixed_terms : str or sequence of str, optional
        Coefficients whose variance is not to be drawn. For draws="mertools".
    draws : {"mertools", "joint"}, optional
        "mertools" by default for one fit, "joint" for several.

    Returns
    -------
    DataFrame or Simulated
        estimate, pred_low, pred_high (merTools' fit, lwr, upr), by newdata's index. With
        which="all" a column part before them: "combined", then each grouping factor and "fixed",
        each with all rows. With return_sims a `Simulated`, whose combined draws merTools has
        only where which isn't "all".

    Raises
    ------
    ArgumentError
        An argument that can't be right or has no effect; fits to bootstrap samples;
        ``.parallel`` and ``.paropts``, which would draw other numbers than the seed's.
    PredictionError
        newdata that lack a column, have gaps, or levels of a fixed factor that the fit hasn't; a
        model whose random effects merTools can't predict.
    PoolingError
        Fits that differ in their coefficients.

    Warns
    -----
    RWarning
        Of new groups, of families that merTools doesn't know, and of rank deficient covariance
        matrices.

    See Also
    --------
    rbridge_mi.MerModList.predict : Intervals by Rubin's rules, without simulation.
    re_sim : What the joint draws are.

    References
    ----------
    Gelman and Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models,
    section 7.2, for simulation; Henderson (1975), Biometrics 31, 423-447, for the joint draws.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> from rbridge_mi.mertools import predict_interval
    >>> hsb = rb.load_hsb()
    >>> fit = rb.Lmer("mathach ~ ses + (1 + ses | schid)").fit(hsb)
    >>> predict_interval(fit, hsb.head(2), seed=1).round(1)
       estimate  pred_low  pred_high
    0       7.4      -0.6       15.2
    1       9.5       1.8       17.1
    """
    fits = fits_of(fit_or_fits, "predict_interval")
    way = drawn(draws, fit_or_fits)
    check_newdata(newdata)
    for value, valid, name in (
        (which, _WHICH, "which"),
        (stat, _STAT, "stat"),
        (type, _TYPE, "type"),
    ):
        check_value(value, valid, name)
    flags = {
        "include_resid_var": include_resid_var,
        "return_sims": return_sims,
        "fix_intercept_variance": fix_intercept_variance,
    }
    check_flags(flags)
    if type == "probability" and is_linear(fits[0]):
        raise ArgumentError("type='probability' is for generalised models: this one is linear.")
    ignored = _ignored(fits, ignore_fixed_terms)
    if way == "joint" and (fix_intercept_variance or ignored):
        raise ArgumentError(
            "fix_intercept_variance and ignore_fixed_terms are of draws='mertools': joint draws "
            "know how fixed and random effects go together."
        )
    check_same_names(fits, lambda fit: list(fit.beta.index), "coefficients")
    options = {
        "which": which,
        "level": check_level(level, "level"),
        "n_sims": check_count(n_sims, "n_sims", 2),
        "stat": stat,
        "probability": type == "probability",
        "include_resid_var": include_resid_var,
        "return_sims": return_sims,
        "seed": check_seed(seed),
        "draws": way,
        "fix_intercept_variance": fix_intercept_variance,
        "ignore_fixed_terms": ignored or None,
    }
    answer = ask(
        fits[0], "simulated_intervals", [x.r for x in fits[1:]], fits[0].needed(newdata), options
    )
    index = (fits[0].index if newdata is None else newdata.index)[answer["rows"] - 1]
    parts = [str(x) for x in answer["parts"]]
    table = pd.DataFrame(answer["ends"].copy(), columns=["estimate", "pred_low", "pred_high"])
    table.index = index.repeat(1) if len(parts) == 1 else index.append([index] * (len(parts) - 1))
    if which == "all":
        table.insert(0, "part", np.repeat(parts, len(index)))
    table = checked(table, "predict_interval_all" if which == "all" else "predict_interval")
    if not return_sims:
        return table
    sims = zip(parts, answer["sims"], strict=True)
    return Simulated(table, {part: pd.DataFrame(x.copy(), index=index) for part, x in sims})


def _ignored(fits: Sequence[FittedModel], terms: Any) -> list[str]:
    names = column_list(terms, "ignore_fixed_terms")
    check_known(names, [str(x) for x in fits[0].beta.index], "ignore_fixed_terms")
    return names
