# -- factors of covariance matrices ---------------------------------------------------------------

local({
  set.seed(1)
  for (k in 1:4) {
    a <- crossprod(matrix(stats::rnorm(25 * k), 25))
    # Both are Cholesky factors with a positive diagonal, which is unique: rounding apart, the same.
    stopifnot(all.equal(lower_factor(a), t(chol(a)), tolerance = 1e-12))
  }
})
# A singular matrix: a column of zeros where nothing is left, and its product is the matrix.
local({
  a <- tcrossprod(c(1, 2, -1))
  factor <- lower_factor(a)
  stopifnot(factor[2, 2] == 0, factor[3, 3] == 0, all.equal(factor %*% t(factor), a))
})

# -- derivatives ----------------------------------------------------------------------------------

# The second derivatives of the first value, and the first derivatives of the second one, of functions
# whose derivatives are known. Richardson's extrapolation leaves an error of fourth order in steps of
# some 1e-1 standard errors, hence 1e-6.
local({
  at <- c(0.7, 1.3)
  f <- function(x) c(exp(x[1]) * x[2]^3 + 50 * sum(x^2), sin(x[1]) + x[2]^2)
  found <- second_derivatives(f, at)
  hessian <- matrix(c(
    exp(at[1]) * at[2]^3 + 100, 3 * exp(at[1]) * at[2]^2,
    3 * exp(at[1]) * at[2]^2, 6 * exp(at[1]) * at[2] + 100
  ), 2)
  stopifnot(all.equal(found$hessian, hessian, tolerance = 1e-6))
  stopifnot(all.equal(found$gradient, c(cos(at[1]), 2 * at[2]), tolerance = 1e-6))
})

# The derivatives of log SDs and Fisher's z in theta and log sigma, against small differences.
local({
  theta <- c(0.8, 0.3, 0.5)
  sigma <- 2
  on_link <- function(x) {
    factor <- matrix(0, 2, 2)
    factor[lower.tri(factor, diag = TRUE)] <- x[1:3]
    cov <- factor %*% t(factor) * exp(x[4])^2
    sd <- sqrt(diag(cov))
    c(log(sd), atanh(cov[1, 2] / prod(sd)), x[4])
  }
  factor <- matrix(0, 2, 2)
  factor[lower.tri(factor, diag = TRUE)] <- theta
  x <- c(theta, log(sigma))
  differences <- sapply(1:4, function(i) {
    h <- replace(numeric(4), i, 1e-6)
    (on_link(x + h) - on_link(x - h)) / 2e-6
  })
  # Central differences of 1e-6 are right to 1e-10 or so, by their own rounding.
  stopifnot(all.equal(random_slopes(list(factor), sigma)$jacobian, differences, tolerance = 1e-8))
})

# -- the deviance ---------------------------------------------------------------------------------

# At the fit's own parameters the likelihood is the fit's.
local({
  fit <- lme4::lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy, REML = FALSE)
  own <- model_parameters(fit)
  at <- loglik_at(fit, own$beta, own$covs, own$sigma2)
  stopifnot(all.equal(at, as.numeric(stats::logLik(fit)), tolerance = 1e-10))
  before <- lme4::getME(fit, "theta")
  deviance_parts(fit)(before * 2)
  stopifnot(identical(lme4::getME(fit, "theta"), before)) # the fit itself is left alone
})

# x' A x per row.
stopifnot(identical(quadratic_rows(matrix(c(1, 2), 1), diag(2)), 5))
