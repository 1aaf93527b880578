
SHOWN = (
    "random/vignette", "random/intercept", "random/slope", "random/double_bar", "estimation/ml", "random/intercept_only",
    "random/crossed_penicillin", "random/crossed_insteval", "random/nested_slash", "random/nested_three_deep", "random/nested_slopes",
    "random/factor_slopes", "random/quadratic_slopes", "random/three_factors", "estimation/weights", "estimation/offset",
    "terms/polynomial_by_ordered", "terms/splines_ns", "missing/omit", "awkward/singular", "awkward/singular_slopes", "awkward/rank_deficient",
    "awkward/rescale_slopes", "binomial/cbind", "binomial/numbers", "binomial/crossed", "binomial/slopes", "quadrature/eleven", "quadrature/none", "counts/grouseticks",
    "counts/offset", "negative_binomial/estimated", "positive/gamma_log", "whole/InstEval", "whole/VerbAgg",
)
def write_page(path, rows, versions):
    pass
