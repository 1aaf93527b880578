# Draws of a fit's coefficients from their distribution given its covariance parameters.

# `draws` is "mertools" for the draws of arm::sim(), which merTools summarises, or "joint" for those
# of the distribution that arm means to draw from. A list: the fixed effects (draws x terms), the
# random effects in the order of getME(fit, "b") (draws x effects), and the residual standard
# deviations. The generator gives the same numbers in the same order to both.
coefficient_draws <- function(fit, n_sims, draws) {
  mean_b <- as.vector(lme4::getME(fit, "b"))
  mean_beta <- lme4::getME(fit, "beta")
  carry <- if (draws == "mertools") arm_carrier(fit) else joint_carrier(fit)
  q <- length(mean_b)
  p <- length(mean_beta)
  draw_sigma <- sigma_drawer(fit, draws)
  sigma <- numeric(n_sims)
  z <- matrix(0, q + p, n_sims)
  for (i in seq_len(n_sims)) {
    sigma[i] <- draw_sigma()
    z[, i] <- stats::rnorm(q + p, 0, sigma[i])
  }
  effects <- carry(z)
  beta <- t(effects$beta + mean_beta)
  colnames(beta) <- names(lme4::fixef(fit))
  list(beta = beta, b = t(effects$b + mean_b), sigma = sigma)
}

# A function that draws sigma; of a generalised model it is not drawn, and arm leaves its scale out,
# whether the family has one or not.
sigma_drawer <- function(fit, draws) {
  if (lme4::isLMM(fit)) {
    df <- stats::nobs(fit) - length(lme4::getME(fit, "beta"))
    rss <- fit@devcomp$cmp[["pwrss"]]
    return(function() sqrt(1 / stats::rgamma(1, 0.5 * df, 0.5 * rss)))
  }
  sigma <- if (draws == "joint") stats::sigma(fit) else 1
  function() sigma
}

# A function of normal numbers, a column per draw, as arm carries them to the coefficients: with the
# transpose of Lambda, and without the permutation of L. One draw after the other, as arm does: a
# product of matrices may be summed in another order.
arm_carrier <- function(fit) {
  q <- length(lme4::getME(fit, "b"))
  L <- lme4::getME(fit, "L")
  lambdat <- Matrix::t(lme4::getME(fit, "Lambda"))
  root_b <- Matrix::t(Matrix::solve(L, Matrix::Diagonal(q), system = "L"))
  root_beta <- Matrix::solve(lme4::getME(fit, "RX"))
  across <- -root_b %*% lme4::getME(fit, "RZX") %*% root_beta
  from_b <- lambdat %*% root_b
  from_beta <- lambdat %*% across
  function(z) {
    of_b <- z[seq_len(q), , drop = FALSE]
    of_beta <- z[-seq_len(q), , drop = FALSE]
    b <- of_b
    beta <- of_beta
    for (i in seq_len(ncol(z))) {
      b[, i] <- as.vector(from_b %*% of_b[, i] + from_beta %*% of_beta[, i])
      beta[, i] <- as.vector(root_beta %*% of_beta[, i])
    }
    list(b = b, beta = beta)
  }
}

# The same for their joint normal distribution: the mixed model equations' matrix is R'R, with
# R = [L' RZX; 0 RX] in the order of L's permutation, and R^-1 z has its inverse as covariance.
joint_carrier <- function(fit) {
  q <- length(lme4::getME(fit, "b"))
  L <- lme4::getME(fit, "L")
  lambda <- lme4::getME(fit, "Lambda")
  RZX <- as.matrix(lme4::getME(fit, "RZX"))
  RX <- as.matrix(lme4::getME(fit, "RX"))
  function(z) {
    beta <- backsolve(RX, z[-seq_len(q), , drop = FALSE])
    u <- Matrix::solve(L, z[seq_len(q), , drop = FALSE] - RZX %*% beta, system = "Lt")
    u <- Matrix::solve(L, u, system = "Pt")
    list(b = as.matrix(lambda %*% u), beta = beta)
  }
}

# Which random effect each element of getME(fit, "b") is, one after the other: grpvar, term, grp.
random_effect_names <- function(fit) {
  flist <- lme4::getME(fit, "flist")
  cnms <- lme4::getME(fit, "cnms")
  factors <- names(flist)[attr(flist, "assign")]
  sizes <- vapply(factors, function(name) nlevels(flist[[name]]), 1L)
  list(
    grpvar = rep(factors, sizes * lengths(cnms)),
    term = unlist(Map(rep, cnms, sizes), use.names = FALSE),
    grp = unlist(Map(function(name, terms) rep(levels(flist[[name]]), each = length(terms)),
      factors, cnms), use.names = FALSE),
    # Where a table stands that goes through the levels of one term before the next term.
    order = order(rep(seq_along(cnms), sizes * lengths(cnms)),
      unlist(Map(function(terms, n) rep(seq_along(terms), n), cnms, sizes)))
  )
}

# Mean, median and standard deviation of the fixed effects' draws, those of all fits together.
simulated_fixed <- function(fit, others, n_sims, seed, draws) {
  seed_r(seed)
  terms <- names(lme4::fixef(fit))
  beta <- lapply(c(list(fit), others), function(one) {
    coefficient_draws(one, n_sims, draws)$beta[, terms, drop = FALSE]
  })
  c(list(term = terms), draw_summary(do.call(rbind, beta)))
}

# The same of the random effects, which the fits have under the same names.
simulated_random <- function(fit, others, n_sims, seed, draws) {
  seed_r(seed)
  names <- random_effect_names(fit)
  key <- function(names) paste(names$grpvar, names$term, names$grp, sep = "\r")
  b <- lapply(c(list(fit), others), function(one) {
    b <- coefficient_draws(one, n_sims, draws)$b
    b[, match(key(names), key(random_effect_names(one))), drop = FALSE]
  })
  b <- do.call(rbind, b)[, names$order, drop = FALSE]
  c(lapply(names[c("grpvar", "term", "grp")], `[`, names$order), draw_summary(b))
}

draw_summary <- function(draws) {
  list(
    mean = unname(apply(draws, 2L, mean)), median = unname(apply(draws, 2L, stats::median)),
    sd = unname(apply(draws, 2L, stats::sd))
  )
}
