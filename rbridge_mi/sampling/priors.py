"""The priors of a mixed model whose response and columns are standardised."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Prior"]


@dataclass(frozen=True)
class Prior:
    """Weakly informative priors; all scales are in standard deviations of the data.

    Parameters
    ----------
    coefficient_sd : float
        Coefficients are normal around 0 with this standard deviation.
    intercept_sd : float
        So is the intercept.
    variance_df, variance_scale : float
        The residual variance is scaled inverse chi-squared.
    covariance_df, sd_scale : float
        Covariance matrices have Huang and Wand's (2013) prior: each standard deviation is half-t
        with `covariance_df` degrees of freedom and the scale `sd_scale`; with 2 degrees of freedom
        each correlation is uniform.

    References
    ----------
    Huang and Wand (2013), Simple marginally noninformative prior distributions for covariance
    matrices, Bayesian Analysis 8, 439-452.
    """

    coefficient_sd: float = 10.0
    intercept_sd: float = 10.0
    variance_df: float = 1.0
    variance_scale: float = 0.001
    covariance_df: float = 2.0
    sd_scale: float = 0.2
