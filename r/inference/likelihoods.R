# Likelihoods that comparisons of nested models need: of refits, at given parameters, of stacked data.

# The fit by maximum likelihood, from the same call; itself if it is one.
refit_ml <- function(fit) {
  fit <- refitted(fit, REML = FALSE)
  list(object = fit, log_lik = as.numeric(stats::logLik(fit)))
}

# The ML log-likelihood of the fit's data at these parameters (a list as above).
loglik_at <- function(fit, beta, covs, sigma2) {
  theta <- unlist(lapply(covs, function(cov) {
    factor <- lower_factor(cov / sigma2)
    factor[lower.tri(factor, diag = TRUE)]
  }))
  if (lme4::isGLMM(fit)) return(-generalised_deviance(fit)(theta, beta) / 2)
  parts <- deviance_parts(fit, beta)(theta)
  n <- stats::nobs(fit)
  weights <- fit@resp$weights
  -(parts$ldL2 + n * log(2 * pi * sigma2) + parts$pwrss / sigma2 - sum(log(weights[weights > 0]))) / 2
}

# The maximised ML log-likelihood of the model on all fits' data under each other, groups apart per
# fit: what the formula computes of its variables (scale(x), poly(x, 2)), it computes of the stacked
# ones.
stacked_loglik <- function(first, others) {
  no_dispersion(first, "D4")
  fits <- c(list(first), others)
  stacked <- stacked_call(fits)
  parts <- eval(stacked$call, stacked$env)
  parts$reTrms <- groups_apart(parts$formula, parts$fr, stacked$imputation)
  expected <- lapply(fits, parameter_names)
  parameters <- c(colnames(parts$X), random_names(parts$reTrms$cnms))
  if (!all(vapply(expected, setequal, NA, parameters))) {
    different <- describe_difference(c(expected, list(parameters)))
    stop("the models differ in their parameters: ", different, call. = FALSE)
  }
  control <- eval(stacked$call$control, stacked$env)
  opt <- if (lme4::isLMM(first)) {
    optimised_linear(parts, if (is.null(control)) lme4::lmerControl() else control)
  } else {
    optimised_generalised(parts, if (is.null(control)) lme4::glmerControl() else control,
      fit_nAGQ = first@devcomp$dims[["nAGQ"]])
  }
  list(log_lik = -opt$fval / 2, conv = as.integer(opt$conv), message = as.character(opt$msg))
}

optimised_linear <- function(parts, control) {
  devfun <- lme4::mkLmerDevfun(parts$fr, parts$X, parts$reTrms, REML = FALSE, control = control)
  lme4::optimizeLmer(devfun,
    optimizer = control$optimizer, restart_edge = control$restart_edge,
    boundary.tol = control$boundary.tol, control = control$optCtrl, calc.derivs = FALSE
  )
}

# In the two steps of glmer(): theta alone, then theta and the coefficients.
optimised_generalised <- function(parts, control, fit_nAGQ) {
  # Its deviance looks for lme4's own functions where it is called from.
  devfun <- do.call(lme4::mkGlmerDevfun, envir = new.env(parent = asNamespace("lme4")), list(
    parts$fr, parts$X, parts$reTrms, parts$family, nAGQ = 0L, control = control
  ))
  optimised <- function(devfun, stage, ...) {
    lme4::optimizeGlmer(devfun,
      optimizer = control$optimizer[[stage]], restart_edge = control$restart_edge,
      boundary.tol = control$boundary.tol, control = control$optCtrl, nAGQ = if (stage == 1L) 0L else
        fit_nAGQ, stage = stage, calc.derivs = FALSE, ...)
  }
  opt <- optimised(devfun, 1L)
  if (fit_nAGQ == 0L) return(opt)
  start <- list(theta = opt$par)
  devfun <- lme4::updateGlmerDevfun(devfun, parts$reTrms, nAGQ = fit_nAGQ)
  optimised(devfun, 2L, start = start)
}

# What lmer() or glmer() is asked of the stacked data before it fits: the first fit's call, in an environment
# that holds the rows of all fits, and their weights, offsets and subsets.
stacked_call <- function(fits) {
  envs <- lapply(fits, function(fit) environment(stats::formula(fit)))
  frames <- lapply(envs, function(env) env$data)
  sizes <- vapply(frames, nrow, 1L)
  before <- cumsum(c(0L, sizes))
  env <- new.env(parent = envs[[1L]])
  env$data <- do.call(rbind, frames)
  row.names(env$data) <- NULL
  call <- stats::getCall(fits[[1L]])
  for (name in intersect(c("weights", "offset", "subset", "mustart", "etastart"), names(call))) {
    values <- lapply(seq_along(fits), function(i) {
      value <- eval(call[[name]], frames[[i]], envs[[i]])
      if (name == "subset" && is.numeric(value)) value + sign(value) * before[i] else value
    })
    column <- make.unique(c(names(env$data), paste0(".", name)))
    column <- column[length(column)]
    env[[column]] <- unlist(values, use.names = FALSE)
    call[[name]] <- as.name(column)
  }
  linear <- lme4::isLMM(fits[[1L]])
  call[[1L]] <- if (linear) quote(lme4::lFormula) else quote(lme4::glFormula)
  call$start <- call$verbose <- call$nAGQ <- NULL
  if (linear) call$REML <- FALSE
  environment(call$formula) <- env
  list(call = call, env = env, imputation = factor(rep(seq_along(fits), times = sizes)))
}

# lme4's random terms for the rows of a stacked frame, a group of each imputation for itself.
groups_apart <- function(formula, frame, imputation) {
  column <- make.unique(c(names(frame), ".imputation"))
  column <- column[length(column)]
  frame[[column]] <- imputation[as.integer(row.names(frame))]
  bars <- find_bars(formula)
  apart <- lapply(bars, function(bar) {
    bar[[3L]] <- call(":", as.name(column), bar[[3L]])
    bar
  })
  label <- function(bar) deparse1(bar[[3L]])
  terms <- make_random_terms(apart, frame)
  renamed <- stats::setNames(vapply(bars, label, ""), vapply(apart, label, ""))
  names(terms$cnms) <- renamed[names(terms$cnms)]
  terms
}

make_random_terms <- function(bars, frame) {
  if (has_package("reformulas")) reformulas::mkReTrms(bars, frame) else lme4::mkReTrms(bars, frame)
}

describe_difference <- function(names) {
  common <- Reduce(intersect, names)
  paste0("not all have ", paste(setdiff(unique(unlist(names)), common), collapse = ", "))
}
