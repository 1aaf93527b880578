# Variances that R2 and intraclass correlations are made of (Nakagawa, Johnson and Schielzeth 2017).

# Variance of the fixed predictions, mean variance of the random ones, residual variance, all on the
# scale of the link; and the random variance's share of both on the scale of the response. Effects of a
# grouping factor that has a level for each row of a generalised model are overdispersion: residual.
variance_shares <- function(fit) {
  random <- random_variances(fit)
  overdispersion <- !lme4::isLMM(fit) & group_sizes(fit) == stats::nobs(fit)
  mean_of <- function(columns) mean(rowSums(random[, columns, drop = FALSE]))
  residual <- if (lme4::isLMM(fit)) stats::sigma(fit)^2 else distribution_variance(fit)
  shares <- list(
    fixed = stats::var(as.vector(lme4::getME(fit, "X") %*% lme4::fixef(fit))),
    random = mean_of(!overdispersion),
    residual = residual + mean_of(overdispersion)
  )
  if (lme4::isLMM(fit)) return(shares)
  rows <- lapply(list(!overdispersion, overdispersion), function(columns) {
    rowSums(random[, columns, drop = FALSE])
  })
  c(shares, icc_response = response_share(fit, rows[[1L]], rows[[2L]]))
}

# The variance of each row's random effects, a column per random term.
random_variances <- function(fit) {
  parts <- mapply(function(cov, z) {
    z <- as.matrix(z)
    rowSums((z %*% plain_matrix(cov)) * z)
  }, lme4::VarCorr(fit), term_columns(fit), SIMPLIFY = FALSE)
  matrix(unlist(parts), stats::nobs(fit))
}

# Per random term, the number of levels of its grouping factor.
group_sizes <- function(fit) {
  flist <- lme4::getME(fit, "flist")
  vapply(flist[attr(flist, "assign")], nlevels, 1L)
}

# The residual variance on the scale of the link (tables 1 and 2 there): that of a binomial model's
# latent variable, by the lognormal approximation for a log link, by the delta method for a root.
distribution_variance <- function(fit) {
  family <- stats::family(fit)
  name <- if (is.null(nb_theta(fit))) family$family else "negative binomial"
  constant <- c(logit = pi^2 / 3, probit = 1, cloglog = pi^2 / 6)
  if (name == "binomial" && family$link %in% names(constant)) return(constant[[family$link]])
  if (name == "Gamma" && family$link == "log") return(log1p(stats::sigma(fit)^2))
  over <- switch(name, poisson = 0, "negative binomial" = 1 / nb_theta(fit), NA)
  if (!is.na(over) && family$link == "log") return(log1p(1 / expected_count(fit) + over))
  if (!is.na(over) && family$link == "sqrt") return((1 + over * expected_count(fit)) / 4)
  stop("there is no residual variance on the scale of the link for family '", family$family,
    "' with link '", family$link, "': r2 is for binomial models with logit, probit or cloglog, Poisson ",
    "and negative binomial ones with log or sqrt, and Gamma ones with log", call. = FALSE)
}

# The mean count, by the model without its fixed part (equation 5.8 there, and its like for a root), over
# the rows' offsets.
expected_count <- function(fit) {
  null <- without_fixed_part(fit)
  at <- lme4::fixef(null)[[1L]] + null@resp$offset
  random <- mean(rowSums(random_variances(null)))
  mean(if (stats::family(fit)$link == "log") exp(at + random / 2) else at^2 + random)
}

# The same call with an intercept and the offset as its fixed part.
without_fixed_part <- function(fit) {
  needs_data(fit)
  formula <- stats::formula(fit)
  call <- stats::getCall(fit)
  parts <- lapply(find_bars(formula), function(bar) call("(", bar))
  offsets <- attr(stats::terms(fit, fixed.only = TRUE), "variables")
  offsets <- Filter(function(x) is.call(x) && identical(x[[1L]], quote(offset)), as.list(offsets)[-1L])
  formula[[3L]] <- Reduce(function(a, b) call("+", a, b), c(list(1), offsets, parts))
  call$formula <- formula
  call$contrasts <- call$start <- NULL
  suppressMessages(eval(call, environment(formula)))
}

# The share of the random effects in the variance of the response: the variance of the means that they
# lead to, over that and the mean variance about the means, each a mean over rows; by Gauss and
# Hermite's quadrature (Goldstein, Browne and Rasbash 2002; de Villemereuil et al. 2016, eqs. 6 to 12).
response_share <- function(fit, random, over) {
  family <- stats::family(fit)
  dispersion <- if (has_scale(fit)) stats::sigma(fit)^2 else 1
  eta <- as.vector(lme4::getME(fit, "X") %*% lme4::fixef(fit)) + fit@resp$offset
  rule <- lme4::GHrule(30L)
  inner <- if (any(over > 0)) rule else cbind(z = 0, w = 1)
  first <- second <- noise <- 0
  for (i in seq_len(nrow(rule))) {
    mean <- square <- 0
    for (j in seq_len(nrow(inner))) {
      mu <- family$linkinv(eta + sqrt(random) * rule[i, "z"] + sqrt(over) * inner[j, "z"])
      mean <- mean + inner[j, "w"] * mu
      square <- square + inner[j, "w"] * (mu^2 + dispersion * family$variance(mu))
    }
    first <- first + rule[i, "w"] * mean
    second <- second + rule[i, "w"] * mean^2
    noise <- noise + rule[i, "w"] * square
  }
  mean(second - first^2) / mean(noise - first^2)
}
