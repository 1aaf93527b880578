"""Questions to one fit or to m: degrees of freedom, tests, predictions, the random part, advice.

=====================  ==========================================================================
`degrees_of_freedom`   those that complete data would leave
`hypothesis_text`      reads linear hypotheses from text
`linear_combinations`  tests and estimates linear combinations of the coefficients
`marginal_means`       emmeans' means and contrasts
`predictions`          predictions with standard errors and intervals
`random_part`          SDs, correlations and ICCs with intervals; R2; random effects
`diagnostics`          how far the results depend on the imputations, and how each fit went
`advice`               what should be looked at in fits and imputations
=====================  ==========================================================================
"""
