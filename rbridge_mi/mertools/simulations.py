"""Simulated fixed and random effects: merTools' FEsim and REsim."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..base.arguments import check_count, check_seed
from ..base.glossary import checked
from ..fits.asking import ask
from ..fits.fitted_model import FittedModel
from .arguments import check_flags, check_same_names, drawn, fits_of, under_r_names

__all__ = ["fe_sim", "re_sim"]


@under_r_names
def fe_sim(
    fit_or_fits: Any,
    n_sims: int = 200,
    odds_ratio: bool = False,
    seed: int | None = None,
    draws: str | None = None,
) -> pd.DataFrame:
    """Simulate the fixed effects, and summarise the simulated values. In R: ``FEsim(m)``.

    sigma is drawn from its scaled inverse chi distribution (in a linear model), then the fixed and
    random effects from their normal distribution given sigma and the covariance parameters.

    Of several fits, as many values are drawn from each, and summarised together (Gelman et al.
    2013, section 18.2). So the spread contains the variance between the imputations: it is the mean
    variance within a fit plus (1 - 1/m) times the variance between fits, where Rubin's rules have
    (1 + 1/m), so that some 20 or more imputations are needed before the two agree (Zhou & Reiter
    2010). merTools stops at a list of fits.

    Parameters
    ----------
    fit_or_fits : MerMod or MerModList
        One fit, or those to m imputed data sets.
    n_sims : int
        Number of draws, from each fit.
    odds_ratio : bool
        Exponentials of mean and median, and no sd, as merTools has them. The exponential of a mean
        is no mean of exponentials: it is the geometric mean.
    seed : int, optional
        As ``set.seed(seed)`` before R's call; drawn where it is not given.
    draws : {"mertools", "joint"}, optional
        How they are drawn; see `re_sim`. Of the fixed effects both are draws from the same
        distribution; in a generalised model with a scale (Gamma), "mertools" draws as if the scale
        were 1, which is wrong.

    Returns
    -------
    DataFrame
        term, mean, median, sd: on the scale of the linear predictor, unless `odds_ratio`.

    Raises
    ------
    ArgumentError
        An argument that can't be right, or fits to bootstrap samples.
    PoolingError
        Fits that differ in their coefficients.

    See Also
    --------
    re_sim : Of the random effects.
    rbridge_mi.PooledMerMod.fixed : Rubin's rules, without simulation.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, 3rd edition, section 18.2; Zhou and Reiter (2010),
    The American Statistician 64, 159-163.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> from rbridge_mi.mertools import fe_sim
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> fe_sim(fit, seed=1)["term"].tolist()
    ['(Intercept)', 'ses']
    """
    fits = fits_of(fit_or_fits, "fe_sim")
    check_same_names(fits, lambda fit: list(fit.beta.index), "coefficients")
    way = drawn(draws, fit_or_fits)
    table = _simulated("simulated_fixed", fits, n_sims, odds_ratio, seed, way)
    return checked(table, "fe_sim")


@under_r_names
def re_sim(
    fit_or_fits: Any,
    n_sims: int = 200,
    odds_ratio: bool = False,
    seed: int | None = None,
    draws: str | None = None,
) -> pd.DataFrame:
    """Simulate the random effects, and summarise the simulated values. In R: ``REsim(m)``.

    merTools draws with ``arm::sim``, and so does ``draws="mertools"``, with the same numbers for
    the same seed. They are wrong in two ways: Lambda is transposed, so that the effects of one
    group have other variances and correlations than the model gives them (sleepstudy's intercepts
    and slopes -0.61 for -0.57); and the permutation of lme4's Cholesky factor is left out, so that
    with several grouping factors an effect may get another one's spread (Pastes: casks with an sd
    of 2.5 for 1.25). With one random intercept they are right.

    ``draws="joint"`` draws fixed and random effects from their joint normal distribution, given
    sigma and the covariance parameters: the inverse of Henderson's mixed model equations. It takes
    the generator's numbers in the same order.

    Of several fits, as many values are drawn from each, and summarised together, as in `fe_sim`, so
    that the variance between the imputations is in them; merTools stops at a list of fits.

    Parameters
    ----------
    fit_or_fits : MerMod or MerModList
        One fit, or those to m imputed data sets.
    n_sims : int
        Number of draws, from each fit.
    odds_ratio : bool
        Exponentials of mean and median, and no sd, as merTools has them.
    seed : int, optional
        As ``set.seed(seed)`` before R's call; drawn where it is not given.
    draws : {"mertools", "joint"}, optional
        "mertools" by default for one fit, "joint" for several.

    Returns
    -------
    DataFrame
        grpvar, term, grp (merTools' groupFctr, term, groupID), mean, median, sd: on the scale of
        the linear predictor, unless `odds_ratio`.

    Raises
    ------
    ArgumentError
        An argument that can't be right, or fits to bootstrap samples.
    PoolingError
        Fits that differ in their random effects.

    See Also
    --------
    fe_sim : Of the fixed effects.
    rbridge_mi.MerMod.ranef : Conditional modes and standard deviations, without simulation.

    References
    ----------
    Henderson (1975), Biometrics 31, 423-447; Bates et al. (2015), Journal of Statistical Software
    67(1), eqs. 17 to 20.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> from rbridge_mi.mertools import re_sim
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> re_sim(fit, seed=1).shape
    (160, 6)
    """
    fits = fits_of(fit_or_fits, "re_sim")
    if len(fits) > 1:
        check_same_names(fits, _effects, "random effects")
    way = drawn(draws, fit_or_fits)
    table = _simulated("simulated_random", fits, n_sims, odds_ratio, seed, way)
    return checked(table, "re_sim")


def _effects(fit: FittedModel) -> list[Any]:
    table = fit.ranef()
    return list(zip(table["grpvar"], table["term"], table["grp"], strict=True))


def _simulated(
    function: str,
    fits: tuple[FittedModel, ...],
    n_sims: int,
    odds_ratio: bool,
    seed: int | None,
    draws: str,
) -> pd.DataFrame:
    check_count(n_sims, "n_sims", 2)
    check_flags({"odds_ratio": odds_ratio})
    others = [x.r for x in fits[1:]]
    table = pd.DataFrame(ask(fits[0], function, others, n_sims, check_seed(seed), draws))
    if odds_ratio:
        table[["mean", "median"]] = np.exp(table[["mean", "median"]])
        table["sd"] = np.nan
    return table
