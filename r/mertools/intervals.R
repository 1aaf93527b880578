# Simulated prediction intervals: the draws of merTools' predictInterval, or draws of the model's own
# distribution; and what is read from them.

# Of one fit, or of several whose draws are put beside each other: per row of `newdata` (NULL: the
# rows of the fit) the middle of the drawn values and the ends of their interval.
# `o` holds the options: which, level, n_sims, stat, probability, include_resid_var, return_sims, seed,
# draws, fix_intercept_variance, ignore_fixed_terms.
simulated_intervals <- function(fit, others, newdata, o) {
  fits <- c(list(fit), others)
  for (one in fits) {
    problem <- newdata_problem(one, newdata, NULL, TRUE, gaps = FALSE)
    if (is.null(problem) && has_residual(one, o)) {
      variance <- residual_rows(one, newdata)
      if (is.character(variance)) problem <- variance
    }
    if (!is.null(problem)) return(list(problem = problem, r_message = ""))
  }
  rows <- lapply(fits, predicted_rows, newdata)
  same <- vapply(rows, identical, NA, rows[[1L]])
  if (!all(same)) {
    return(list(problem = "the fits dropped different rows: give newdata to predict for", r_message = ""))
  }
  seed_r(o$seed)
  simulate <- if (o$draws == "mertools") mertools_simulation else joint_simulation
  drawn <- lapply(fits, simulate, newdata, o)
  if (any(lengths(drawn) == 0L)) return(list(problem = lost_columns(fit), r_message = ""))
  parts <- names(drawn[[1L]])
  values <- lapply(parts, function(part) do.call(cbind, lapply(drawn, `[[`, part)))
  inverse <- if (o$probability) stats::family(fit)$linkinv else identity
  # merTools takes the inverse of the link from the ends that it has read.
  if (o$draws == "joint") values <- lapply(values, inverse)
  ends <- lapply(values, read_interval, o$stat, o$level)
  if (o$draws == "mertools") ends <- lapply(ends, inverse)
  list(
    parts = parts, rows = rows[[1L]], ends = unname(do.call(rbind, ends)),
    sims = if (o$return_sims) lapply(values, unname)
  )
}

predicted_rows <- function(fit, newdata) {
  if (is.null(newdata)) as.integer(row.names(stats::model.frame(fit))) else seq_len(nrow(newdata))
}

# Three columns: the median or mean of each row, and its quantiles.
read_interval <- function(values, stat, level) {
  tail <- (1 - level) / 2
  wanted <- c(tail, 1 - tail)
  if (stat == "median") wanted <- c(0.5, wanted)
  quantiles <- t(apply(values, 1L, stats::quantile, probs = wanted, names = FALSE, na.rm = TRUE))
  if (stat == "median") quantiles else cbind(apply(values, 1L, mean, na.rm = TRUE), quantiles)
}

# The parts of a prediction that are asked for, the combined one first. `parts`: of each grouping
# factor, and last of the fixed effects.
combined_parts <- function(parts, which) {
  summands <- switch(which,
    fixed = parts["fixed"], random = parts[names(parts) != "fixed"], parts
  )
  c(list(combined = Reduce(`+`, summands)), if (which == "all") parts)
}

# -- merTools' draws ---------------------------------------------------------------------------

# NULL where predictInterval stops since it can't tell the random effects' columns.
mertools_simulation <- function(fit, newdata, o) {
  sigma <- mertools_sigma(fit, o$n_sims)
  design <- mertools_design(fit, newdata)
  parts <- list()
  for (group in names(lme4::ngrps(fit))) {
    parts[[group]] <- mertools_random_part(fit, group, design, o$n_sims)
    if (is.null(parts[[group]])) return(NULL)
  }
  beta <- fixed_draws(fit, o)
  parts$fixed <- design$X %*% t(beta)
  values <- combined_parts(parts, o$which)
  if (!o$include_resid_var) return(values)
  # The combined part gets its noise last.
  for (part in c(setdiff(names(values), "combined"), "combined")) {
    values[[part]] <- with_noise(values[[part]], sigma)
  }
  values
}

# sigma is drawn whether it is used or not.
mertools_sigma <- function(fit, n_sims) {
  if (!lme4::isLMM(fit)) {
    if (!(stats::family(fit)$family == "binomial" && stats::family(fit)$link %in% c("logit", "probit"))) {
      warning("merTools' predictInterval is not tested for this family and link; it takes sigma to be 1",
        call. = FALSE)
    }
    return(rep(1, n_sims))
  }
  n_parameters <- length(lme4::getME(fit, "beta")) + length(lme4::getME(fit, "theta")) + 1L
  df <- nrow(stats::model.frame(fit)) - n_parameters
  sqrt(1 / stats::rgamma(n_sims, 0.5 * df, 0.5 * fit@devcomp$cmp[["pwrss"]]))
}

with_noise <- function(values, sigma) {
  n <- nrow(values)
  for (i in seq_len(ncol(values))) {
    values[, i] <- stats::rnorm(n, values[, i], sigma[i])
  }
  values
}

# The fixed part's design with its names; the data, and the blocks of the random part.
mertools_design <- function(fit, newdata) {
  rows <- design_rows(fit, newdata, NULL)
  X <- rows$X
  colnames(X) <- names(lme4::fixef(fit))
  data <- if (is.null(newdata)) stats::model.frame(fit) else newdata
  list(X = X, data = data, blocks = rows$blocks, labels = row_labels(fit, newdata))
}

# Per random term of the formula the group of each row, as a factor.
row_labels <- function(fit, newdata) {
  frame <- newdata
  if (is.null(frame)) frame <- stats::model.frame(fit)
  lapply(find_bars(stats::formula(fit, random.only = TRUE)), function(bar) factor(bar_groups(bar, frame)))
}

# Rows x draws of the random effects of one grouping factor, as merTools predicts them: from the
# columns of the fixed part that have a random effect's name.
mertools_random_part <- function(fit, group, design, n_sims) {
  effects <- lme4::ranef(fit, condVar = TRUE)[[group]]
  k <- which(vapply(design$blocks, function(block) block$group == group, NA))[1L]
  present <- mertools_levels(design, k, group, rownames(effects))
  drawn <- effect_draws(effects, present$kept, n_sims)
  columns <- mertools_columns(names(effects), design)
  if (is.null(columns)) return(NULL)
  label <- present$label()
  new <- setdiff(unique(label), present$kept)
  if (length(new) > 0L) {
    warning("the fit has no ", group, " ", paste(new, collapse = ", "), ": merTools predicts these rows ",
      "without a random effect, and without its variance", call. = FALSE)
  }
  values <- matrix(0, length(label), n_sims)
  for (level in intersect(present$kept, label)) {
    coefficients <- t(drawn[[level]][, columns$terms, drop = FALSE])
    for (i in which(label == level)) values[i, ] <- columns$z[i, ] %*% coefficients
  }
  values
}

# The levels that merTools draws for, in its order, and a function that gives the rows' levels (which
# may take a random number, and is to be called after the draws).
mertools_levels <- function(design, k, group, known) {
  if (group %in% names(design$data)) {
    label <- as.character(design$data[[group]])
    return(list(kept = intersect(unique(label), known), label = function() label))
  }
  # A factor that the formula makes, such as a:b: merTools reads the level from Z, and where a row has
  # none of the known ones, from a tie that is broken at random.
  label <- design$labels[[k]]
  kept <- intersect(levels(label), known)
  indicator <- outer(as.character(label), kept, `==`) * design$blocks[[k]]$z[, 1L]
  list(kept = kept, label = function() {
    if (length(kept) == 0L) as.character(label) else kept[max.col(indicator)]
  })
}

# One matrix, draws x terms, per level; without a known level merTools draws for the first.
effect_draws <- function(effects, levels, n_sims) {
  means <- as.matrix(effects)
  variances <- effect_variances(effects)
  names <- if (length(levels) > 0L) levels else rownames(means)[1L]
  drawn <- lapply(names, function(level) {
    k <- match(level, rownames(means))
    mean <- stats::setNames(means[k, ], names(effects))
    normal_draws(n_sims, mean, pivoted_root(as.matrix(variances[, , k])))
  })
  names(drawn) <- names
  drawn
}

# The conditional variances of a table of ranef(), terms x terms x levels.
effect_variances <- function(effects) {
  variances <- attr(effects, "postVar")
  if (!is.list(variances)) return(variances)
  whole <- array(0, c(length(effects), length(effects), nrow(effects)))
  before <- 0L
  for (block in variances) {
    at <- before + seq_len(nrow(block))
    whole[at, at, ] <- block
    before <- before + nrow(block)
  }
  whole
}

pivoted_root <- function(variance) {
  if (!isSymmetric(variance, tol = sqrt(.Machine$double.eps), check.attributes = FALSE)) {
    stop("the covariance matrix to draw from is not symmetric", call. = FALSE)
  }
  root <- chol(variance, pivot = TRUE)
  root[, order(attr(root, "pivot")), drop = FALSE]
}

normal_draws <- function(n, mean, root) {
  draws <- matrix(stats::rnorm(n * ncol(root)), nrow = n, byrow = TRUE) %*% root
  draws <- sweep(draws, 2L, mean, `+`)
  dimnames(draws) <- list(NULL, names(mean))
  draws
}

# The columns that merTools multiplies the random effects with, and the term of each; NULL where it
# stops. It looks for them among the fixed part's columns, and takes what it has found for all.
mertools_columns <- function(terms, design) {
  X <- design$X
  shared <- intersect(colnames(X), terms)
  if (length(shared) > 0L) return(list(z = X[, shared, drop = FALSE], terms = shared))
  like <- grep(terms[1L], colnames(X), value = TRUE)
  if (length(like) > 0L) {
    main <- unique(sub("(.*):.*", "\\1", like))
    if (!all(grepl(":", like, fixed = TRUE)) || !identical(main, terms[1L])) return(NULL)
    return(list(z = X[, like, drop = FALSE], terms = rep(main, length(like))))
  }
  if (is.numeric(design$data[[terms[1L]]])) {
    return(list(z = as.matrix(design$data[terms[1L]]), terms = terms[1L]))
  }
  if ("(Intercept)" %in% terms) list(z = matrix(1, nrow(X), 1L), terms = "(Intercept)")
}

lost_columns <- function(fit) {
  paste("merTools' predictInterval stops here: a random effect has no column in the fixed part that",
    "merTools could multiply it with. With draws=\"joint\" every random effect has its own column")
}

# Draws of the fixed effects, one at a time, as merTools takes them.
fixed_draws <- function(fit, o) {
  variance <- as.matrix(stats::vcov(fit))
  if (o$fix_intercept_variance) variance <- without_group_variance(fit, variance)
  if (!is.null(o$ignore_fixed_terms)) {
    precision <- solve(variance)
    for (term in o$ignore_fixed_terms) precision[term, term] <- precision[term, term] * 1e15
    variance <- solve(precision, tol = 1e-50)
  }
  root <- pivoted_root(variance)
  mean <- lme4::fixef(fit)
  t(matrix(vapply(seq_len(o$n_sims), function(i) normal_draws(1L, mean, root)[1L, ], mean), length(mean)))
}

# The covariance of the fixed effects without the part of the intercept's variance that the groups'
# intercepts have, too, by merTools' reckoning.
without_group_variance <- function(fit, variance) {
  groups <- names(lme4::ngrps(fit))
  intercept_sd <- function(group) attr(lme4::VarCorr(fit)[[group]], "stddev")["(Intercept)"]
  if (is.na(intercept_sd(groups[length(groups)]))) {
    message("the last grouping factor has no random intercept: fix_intercept_variance is left out")
    return(variance)
  }
  if (!("(Intercept)" %in% names(lme4::fixef(fit)))) {
    warning("there is no fixed intercept: fix_intercept_variance changes the first coefficient's variance",
      call. = FALSE)
  }
  left <- variance[1L, 1L]
  effects <- lme4::ranef(fit, condVar = TRUE)
  for (group in groups) {
    precision <- 0
    for (term in 1 / (effect_variances(effects[[group]])[1L, 1L, ] + intercept_sd(group)^2)) {
      precision <- precision + term
    }
    left <- left - 1 / precision
  }
  if (left < 0) {
    warning("fix_intercept_variance leaves a negative variance of the intercept: turn it off",
      call. = FALSE)
  }
  ratio <- left / variance[1L, 1L]
  precision <- solve(variance)
  precision[1L, 1L] <- precision[1L, 1L] / ratio
  solve(precision, tol = 1e-50)
}

# -- draws of the model's own distribution -----------------------------------------------------

has_residual <- function(fit, o) {
  o$draws == "joint" && o$include_resid_var && lme4::isLMM(fit)
}

joint_simulation <- function(fit, newdata, o) {
  rows <- design_rows(fit, newdata, NULL)
  labels <- row_labels(fit, newdata)
  effects <- coefficient_draws(fit, o$n_sims, "joint")
  parts <- list()
  for (k in seq_along(rows$blocks)) {
    block <- rows$blocks[[k]]
    values <- block_draws(fit, block, as.character(labels[[k]]), effects)
    before <- parts[[block$group]]
    parts[[block$group]] <- if (is.null(before)) values else before + values
  }
  parts <- parts[names(lme4::ngrps(fit))]
  parts$fixed <- rows$X %*% t(effects$beta) + rows$offset
  values <- combined_parts(parts, o$which)
  if (has_residual(fit, o)) {
    spread <- sqrt(residual_rows(fit, newdata)) / stats::sigma(fit)
    for (i in seq_len(o$n_sims)) {
      noise <- stats::rnorm(nrow(rows$X), 0, effects$sigma[i] * spread)
      values$combined[, i] <- values$combined[, i] + noise
    }
  }
  values
}

# Rows x draws of one random term. A group that the fit hasn't gets effects drawn from the term's
# covariance matrix, the same in all of its rows.
block_draws <- function(fit, block, label, effects) {
  values <- matrix(0, nrow(block$z), nrow(effects$beta))
  size <- ncol(block$z)
  for (level in unique(block$level[!is.na(block$level)])) {
    at <- which(block$level == level)
    drawn <- effects$b[, block$first + (level - 1L) * size + seq_len(size), drop = FALSE]
    values[at, ] <- block$z[at, , drop = FALSE] %*% t(drawn)
  }
  factor <- lme4::getME(fit, "Tlist")[[block$term]]
  for (level in unique(label[is.na(block$level)])) {
    at <- which(is.na(block$level) & label == level)
    drawn <- factor %*% matrix(stats::rnorm(size * nrow(effects$beta)), size)
    values[at, ] <- block$z[at, , drop = FALSE] %*% sweep(drawn, 2L, effects$sigma, `*`)
  }
  values
}
