# -- draws of the coefficients ---------------------------------------------------------------------

# The linear map of a carrier, one column per standard normal number.
map_of <- function(carry, n) {
  effects <- carry(diag(n))
  unname(rbind(effects$b, effects$beta))
}

# The covariance of random and fixed effects at sigma = 1: the inverse of Henderson's matrix, from X, Z
# and Lambda alone.
henderson <- function(fit) {
  X <- as.matrix(lme4::getME(fit, "X"))
  lambda <- as.matrix(lme4::getME(fit, "Lambda"))
  ZL <- as.matrix(lme4::getME(fit, "Z")) %*% lambda
  p <- ncol(X)
  q <- ncol(ZL)
  inverse <- solve(rbind(
    cbind(crossprod(ZL) + diag(q), crossprod(ZL, X)), cbind(crossprod(X, ZL), crossprod(X))
  ))
  carry <- rbind(cbind(lambda, matrix(0, q, p)), cbind(matrix(0, p, q), diag(p)))
  carry %*% inverse %*% t(carry)
}

fitted_for_draws <- function(formula, name) {
  lme4::lmer(formula, data = getExportedValue("lme4", name))
}

draws_models <- list(
  slopes = fitted_for_draws(Reaction ~ Days + (Days | Subject), "sleepstudy"),
  crossed = fitted_for_draws(diameter ~ 1 + (1 | plate) + (1 | sample), "Penicillin"),
  nested = fitted_for_draws(strength ~ 1 + (1 | batch / cask), "Pastes"),
  one = fitted_for_draws(Reaction ~ Days + (1 | Subject), "sleepstudy")
)

# Another road to the same matrix, of some 30 to 60 rows: rounding grows with their number.
for (fit in draws_models) {
  expected <- unname(henderson(fit))
  root <- map_of(joint_carrier(fit), nrow(expected))
  stopifnot(all.equal(tcrossprod(root), expected, tolerance = 1e-10))
}

# What is said of arm's draws: right with one random intercept; not with slopes, nor where L is
# permuted.
local({
  wrong <- vapply(draws_models, function(fit) {
    expected <- unname(henderson(fit))
    root <- map_of(arm_carrier(fit), nrow(expected))
    max(abs(sqrt(diag(tcrossprod(root))) / sqrt(diag(expected)) - 1))
  }, 1)
  stopifnot(wrong["one"] < 1e-10, wrong["slopes"] > 0.005, wrong["nested"] > 0.5)
})

# Every random effect has its own name.
for (fit in draws_models) {
  names <- random_effect_names(fit)
  table <- as.data.frame(lme4::ranef(fit))
  key <- paste(names$grpvar, names$term, names$grp)
  values <- lme4::getME(fit, "b")[match(paste(table$grpvar, table$term, table$grp), key)]
  stopifnot(identical(as.vector(values), table$condval))
}

stops(pivoted_root(matrix(c(1, 0, 0.5, 1), 2)), "not symmetric")
