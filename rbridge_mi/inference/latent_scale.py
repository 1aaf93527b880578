"""The residual variance of generalised models on the scale of the link."""

from __future__ import annotations

import math

from ..fits.fitted_model import FittedModel

__all__ = ["latent_variance"]

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
