"""Questions to one fit or to m: degrees of freedom, tests, predictions, the random part, advice.

=====================  ==========================================================================
`mermod`               `MerMod`: one fit, and all that can be asked of it
`tested_fit`           those of its questions that are about coefficients
`degrees_of_freedom`   those that complete data would leave
`hypothesis_text`      reads linear hypotheses from text
`linear_combinations`  tests and estimates linear combinations of the coefficients
`term_tests`           tests of a model's terms
`ratios`               odds and rate ratios
`marginal_means`       emmeans' means, slopes and contrasts
`predictions`          predictions with standard errors and intervals
`random_part`          SDs, correlations and ICCs with intervals; R2; random effects
`latent_scale`         the residual variance of generalised models on the scale of the link
`optimizers`           one model by every optimizer
`diagnostics`          how far the results depend on the imputations, and how each fit went
`advice`               what should be looked at in fits and imputations
=====================  ==========================================================================
"""
