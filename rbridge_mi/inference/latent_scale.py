"""The residual variance on the scale of the link, and the intercepts' shares of the variance."""

from __future__ import annotations

import math

import pandas as pd

from ..fits.fitted_model import FittedModel
from ..fits.which_models import is_linear

__all__ = ["intercept_shares", "latent_variance"]

# Binomial responses are thresholds of latent variables with these standard distributions: the
# logistic, the normal, and the Gumbel of minima.
_VARIANCES = {"logit": math.pi**2 / 3, "probit": 1.0, "cloglog": math.pi**2 / 6}


def latent_variance(fit: FittedModel) -> float:
    """Return the variance of the latent variable's residual, where the link alone decides it.

    Parameters
    ----------
    fit : FittedModel
        Of any family.

    Returns
    -------
    float
        pi^2 / 3 for a logit, 1 for a probit, pi^2 / 6 for a complementary log-log link of a
        binomial model; nan for others.

    References
    ----------
    Nakagawa, Johnson and Schielzeth (2017), Journal of the Royal Society Interface 14, 20170213,
    table 2.
    """
    return _VARIANCES.get(fit.link, math.nan) if fit.family == "binomial" else math.nan


def intercept_shares(varcorr: pd.DataFrame, fit: FittedModel) -> pd.Series[float]:
    """Return the intercepts' shares of the variance; missing where the residual's isn't known.

    Parameters
    ----------
    varcorr : DataFrame
        grp, var1, var2, vcov: of one fit, or pooled.
    fit : FittedModel
        Of that model.

    Returns
    -------
    Series
        By grouping factor: its intercept variance over the sum of all intercept variances and the
        residual one, which in a generalised model is `latent_variance`.
    """
    intercepts = varcorr[(varcorr["var1"] == "(Intercept)") & varcorr["var2"].isna()]
    residual = latent_variance(fit)
    if is_linear(fit):
        residual = float(varcorr.loc[varcorr["var1"].isna(), "vcov"].sum())
    shares = intercepts.set_index("grp")["vcov"]
    return (shares / (shares.sum() + residual)).rename("icc").rename_axis(None)
