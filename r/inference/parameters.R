# The parameters of a fit, and lme4's deviance as a function of them.

# Coefficients, covariance matrix per random term, residual variance (1 in a model without a scale);
# and what they belong to.
model_parameters <- function(fit) {
  no_dispersion(fit, "D3")
  list(
    beta = unname(lme4::fixef(fit)), covs = unname(lapply(lme4::VarCorr(fit), plain_matrix)),
    sigma2 = stats::sigma(fit)^2, names = parameter_names(fit)
  )
}

parameter_names <- function(fit) {
  c(names(lme4::fixef(fit)), random_names(lme4::getME(fit, "cnms")))
}

random_names <- function(cnms) {
  paste(rep(names(cnms), lengths(cnms)), unlist(cnms), sep = ": ")
}

plain_matrix <- function(x) matrix(as.numeric(x), NROW(x))

# The lower triangular factor of a covariance matrix that may be singular: a pivot of (relative)
# size `tol` makes a column of zeros.
lower_factor <- function(cov, tol = 1e-14) {
  k <- nrow(cov)
  factor <- matrix(0, k, k)
  for (j in seq_len(k)) {
    before <- seq_len(j - 1L)
    pivot <- cov[j, j] - sum(factor[j, before]^2)
    if (pivot <= tol * cov[j, j]) next
    factor[j, j] <- sqrt(pivot)
    for (i in seq_len(k)[seq_len(k) > j]) {
      factor[i, j] <- (cov[i, j] - sum(factor[i, before] * factor[j, before])) / factor[j, j]
    }
  }
  factor
}

# A function of theta that gives the parts of lme4's deviance (Bates et al. 2015, eqs. 31 to 41);
# the coefficients are profiled out, or held at `beta`. The fit itself is left alone.
deviance_parts <- function(fit, beta = NULL) {
  linear_only(fit, "this deviance")
  X <- lme4::getME(fit, "X")
  offset <- fit@resp$offset
  if (!is.null(beta)) {
    offset <- offset + as.vector(X %*% beta)
    X <- X[, 0L, drop = FALSE]
  }
  theta <- unname(lme4::getME(fit, "theta"))
  # lme4 writes new thetas into these two where they lie: it gets copies, or the fit would change.
  Lambdat <- lme4::getME(fit, "Lambdat")
  Lambdat@x <- Lambdat@x + 0
  terms <- list(
    Zt = lme4::getME(fit, "Zt"), theta = theta + 0, Lambdat = Lambdat,
    Lind = lme4::getME(fit, "Lind"), lower = lme4::getME(fit, "lower")
  )
  devfun <- lme4::mkLmerDevfun(
    X = X, reTrms = terms, REML = FALSE, start = theta,
    y = fit@resp$y, offset = offset, weights = fit@resp$weights
  )
  env <- environment(devfun)
  function(theta) {
    devfun(theta)
    list(ldL2 = env$pp$ldL2(), ldRX2 = env$pp$ldRX2(), pwrss = env$resp$wrss() + env$pp$sqrL(1))
  }
}

# What holds for linear models, and for generalised ones whose likelihood has no parameter besides the
# coefficients and theta: lme4 takes a Gamma's scale from the residuals, and a negative binomial's theta
# as known while it fits the others.
no_dispersion <- function(fit, what) {
  if (lme4::isLMM(fit)) return(invisible())
  family <- stats::family(fit)$family
  if (has_scale(fit) || !is.null(nb_theta(fit))) {
    stop(what, " has no answer for family '", family, "', whose dispersion lme4 estimates apart from ",
      "the likelihood's other parameters", call. = FALSE)
  }
}

has_scale <- function(fit) isTRUE(as.logical(fit@devcomp$dims[["useSc"]]))

# The same, but a negative binomial's theta may be taken as known.
no_scale <- function(fit, what) {
  if (is.null(nb_theta(fit))) no_dispersion(fit, what)
}

# A function of theta and the coefficients that gives minus twice the log-likelihood of a generalised
# fit, by its quadrature (Laplace's approximation for nAGQ of 0 and 1). The tolerance of the penalised
# iterations is smaller than lme4's, with which differences of neighbouring values are noise.
generalised_deviance <- function(fit) {
  no_scale(fit, "this likelihood")
  needs_data(fit)
  call <- stats::getCall(fit)
  env <- environment(stats::formula(fit))
  control <- eval(call$control, env)
  if (is.null(control)) control <- lme4::glmerControl()
  control$nAGQ0initStep <- FALSE
  control$tolPwrss <- 1e-12
  call$control <- control
  call$nAGQ <- max(1L, fit@devcomp$dims[["nAGQ"]])
  call$devFunOnly <- TRUE
  call$start <- call$verbose <- NULL
  devfun <- eval(call, env)
  function(theta, beta) devfun(c(theta, beta))
}

# The same call by restricted, or by maximum likelihood; the fit itself if it is one (generalised
# models are fitted by maximum likelihood only).
refitted <- function(fit, REML) {
  if (REML) linear_only(fit, "restricted maximum likelihood")
  if (lme4::isREML(fit) == REML) return(fit)
  needs_data(fit)
  call <- stats::getCall(fit)
  call$REML <- REML
  eval(call, environment(stats::formula(fit)))
}
