"""Pooling over imputations: pure functions of numpy arrays, each citing author and year.

`rubin` pools coefficients, covariance matrices and random effects; `joint` tests several
coefficients or nested models; `components` gives intervals for SDs, correlations and ICCs;
`diagnostics` tells how far the results depend on m. None of it touches R or pandas, and scipy is
imported at the first call.
"""

from __future__ import annotations

from .components import PooledComponents, pool_cor, pool_icc, pool_sd
from .diagnostics import MonteCarloErrors, fmi_interval, imputations_needed, monte_carlo_errors
from .joint import JointTest, d1, d2, d3, d4, linear_hypothesis, wald_chi2
from .rubin import (
    COLUMNS,
    PooledBlups,
    PooledCovariance,
    PooledScalars,
    PooledVcov,
    barnard_rubin_df,
    bootstrap_vcov,
    fraction_missing,
    pool_blups,
    pool_bootstrap,
    pool_covariance,
    pool_scalars,
    pool_vcov,
    rubin_df,
)

__all__ = [
    "COLUMNS",
    "JointTest",
    "MonteCarloErrors",
    "PooledBlups",
    "PooledComponents",
    "PooledCovariance",
    "PooledScalars",
    "PooledVcov",
    "barnard_rubin_df",
    "bootstrap_vcov",
    "d1",
    "d2",
    "d3",
    "d4",
    "fmi_interval",
    "fraction_missing",
    "imputations_needed",
    "linear_hypothesis",
    "monte_carlo_errors",
    "pool_blups",
    "pool_bootstrap",
    "pool_cor",
    "pool_covariance",
    "pool_icc",
    "pool_scalars",
    "pool_sd",
    "pool_vcov",
    "rubin_df",
    "wald_chi2",
]
