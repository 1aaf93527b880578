# What plots of a fit show, and no table has.

# The columns of the data that the fixed part is computed from, in the rows that were used.
fixed_columns <- function(fit) {
  data <- environment(stats::formula(fit))$data
  names <- intersect(all.vars(stats::delete.response(fit_terms(fit, "fixed"))), names(data))
  as.data.frame(data)[rows_in_data(fit), names, drop = FALSE]
}

# The response as numbers, and residuals of unit variance, by the numbers of the rows. Of a factor the
# first level is 0, of successes and failures it is the share of successes, as in the likelihood.
response_and_residuals <- function(fit) {
  list(
    rows = as.integer(row.names(stats::model.frame(fit))), response = as.numeric(fit@resp$y),
    mean = as.numeric(lme4::getME(fit, "mu")),
    scaled = as.numeric(stats::resid(fit, type = "pearson", scaled = TRUE))
  )
}

# The profile of R's profile(): the values of each parameter, the signed root of what they cost in
# deviance, and the interval that confint() reads from that.
mermod_profile <- function(fit, parm, level, ...) {
  arguments <- c(list(fit, signames = FALSE), plain_arguments(list(...), "optimizer"))
  if (!is.null(parm)) arguments$which <- parm
  profiled <- do.call(stats::profile, arguments, quote = TRUE)
  limits <- stats::confint(profiled, level = level)
  parameter <- as.character(profiled$.par)
  values <- as.matrix(as.data.frame(unclass(profiled)[unique(parameter)], optional = TRUE))
  list(
    parameter = parameter,
    value = values[cbind(seq_along(parameter), match(parameter, unique(parameter)))],
    zeta = profiled$.zeta, terms = rownames(limits), low = unname(limits[, 1L]),
    high = unname(limits[, 2L])
  )
}

# simulate()'s responses as numbers of the kind that response_and_residuals() has, rows x draws.
simulated_numbers <- function(fit, nsim, seed) {
  if (!is.null(seed)) seed_r(seed)
  say_weights(fit)
  draws <- stats::simulate(fit, nsim = nsim)
  rows <- as.integer(row.names(stats::model.frame(fit)))
  kept <- match(rows, as.integer(row.names(draws)))
  numbers <- function(x) {
    if (is.factor(x)) x <- as.integer(x) > 1L
    if (is.matrix(x)) x <- x[, 1L] / rowSums(x)
    as.numeric(x)[kept]
  }
  unname(vapply(draws, numbers, numeric(length(rows))))
}
