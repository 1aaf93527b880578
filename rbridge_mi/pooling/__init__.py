"""Pooling over imputations: pure functions of numpy arrays, each with its source.

==============  ==============================================================================
`rubin`         pools coefficients, covariance matrices and random effects
`joint`         tests several coefficients at once, or nested models
`components`    pools SDs, correlations and ICCs, on the scales of `scales`
`diagnostics`   says how much the results depend on the m imputations drawn
`convergence`   says whether chains have converged, and how many draws they are worth
`rules`         Rubin's rules or the spread: chosen once, by the kind of the data sets
`multiplicity`  p values and levels of several comparisons
`tails`         tail probabilities and quantiles of t and F
==============  ==============================================================================

None of these uses R or pandas, and scipy is imported at the first call that needs it.
"""

from __future__ import annotations

from .components import PooledComponents, pool_cor, pool_icc, pool_sd
from .convergence import ChainConvergence, chain_convergence
from .diagnostics import MonteCarloErrors, fmi_interval, imputations_needed, monte_carlo_errors
from .joint import JointTest, d1, d2, d3, d4, linear_hypothesis, wald_chi2
from .multiplicity import adjusted_level, adjusted_p
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
from .rules import PoolingRule, rule_for

__all__ = [
    "COLUMNS",
    "ChainConvergence",
    "JointTest",
    "MonteCarloErrors",
    "PooledBlups",
    "PooledComponents",
    "PooledCovariance",
    "PooledScalars",
    "PooledVcov",
    "PoolingRule",
    "adjusted_level",
    "adjusted_p",
    "barnard_rubin_df",
    "bootstrap_vcov",
    "chain_convergence",
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
    "rule_for",
    "wald_chi2",
]
