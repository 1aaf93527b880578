# What two fits have in common, and whether one model is nested in the other.

# Two columns of numbers count as one where they differ by less than this part of their size: lme4
# drops a coefficient by the same tolerance (its rank check's `tol`), so that it can't tell them apart.
span_tolerance <- 1e-7

# The rows of each fit; what it takes as response; and what differs between the fits: "response",
# "weights", "offset", or the names of variables of both formulas that hold other values.
common_ground <- function(fit, other) {
  fits <- list(fit, other)
  rows <- lapply(fits, function(x) row.names(stats::model.frame(x)))
  ground <- list(
    rows = case_rows(fit, rows[[1L]]), other_rows = case_rows(other, rows[[2L]]),
    responses = vapply(fits, function(x) deparse1(stats::formula(x)[[2L]]), "")
  )
  if (length(rows[[1L]]) != length(rows[[2L]])) return(c(ground, list(differ = character())))
  parts <- c(response = "y", weights = "weights", offset = "offset")
  same <- vapply(parts, function(part) {
    same_numbers(methods::slot(fit, "resp")[[part]], methods::slot(other, "resp")[[part]])
  }, NA)
  c(ground, list(differ = names(parts)[!same], changed = changed_variables(fits, rows)))
}

# The same quantity may be computed in two ways, which differ in the last bits.
same_numbers <- function(a, b) all(abs(a - b) <= 1e-12 * max(abs(a), abs(b)))

# Variables of both formulas whose values in the fits' data differ.
changed_variables <- function(fits, rows) {
  formulas <- lapply(fits, stats::formula)
  frames <- lapply(formulas, function(formula) environment(formula)$data)
  names <- Reduce(intersect, c(lapply(formulas, all.vars), lapply(frames, names)))
  positions <- Map(function(fit, labels) rows_in_data(fit, labels = labels), fits, rows)
  same <- vapply(names, function(name) {
    values <- Map(function(frame, kept) as.vector(frame[kept, name]), frames, positions)
    isTRUE(all.equal(values[[1L]], values[[2L]], tolerance = 0))
  }, NA)
  names[!same]
}

# Whether every model that `reduced` allows is one that `full` allows: which columns and random terms
# of it are not within those of the full model; and, if all columns are, the matrix B by which they
# are combinations of the full model's, X_reduced = X_full B.
nesting <- function(full, reduced) {
  X <- as.matrix(lme4::getME(full, "X"))
  x <- as.matrix(lme4::getME(reduced, "X"))
  fixed <- inside_span(x, X)
  terms <- random_blocks(full)
  random <- vapply(random_blocks(reduced), function(block) {
    any(vapply(terms, function(term) block_within(block, term), NA))
  }, NA)
  answer <- list(
    columns = colnames(x)[!fixed], random = random_labels(reduced)[!random],
    full_random = random_labels(full),
    variances = c(sum(lme4::getME(full, "lower") == 0), sum(lme4::getME(reduced, "lower") == 0)),
    n_theta = c(length(lme4::getME(full, "theta")), length(lme4::getME(reduced, "theta")))
  )
  if (all(fixed)) {
    sizes <- sqrt(colSums(X^2))
    combinations <- as.matrix(qr.coef(qr(X, tol = 1e-12), x))
    negligible <- span_tolerance * rep(sqrt(colSums(x^2)), each = ncol(X))
    combinations[abs(combinations * sizes) < negligible] <- 0
    answer <- c(answer, list(
      terms = colnames(X), reduced_terms = colnames(x), combinations = unname(combinations),
      sizes = unname(sizes)
    ))
  }
  answer
}

# Per column of x: does it lie in the space of the columns of X? What is left of it is compared with
# the column's size about its mean, where X holds constants, so that a far mean hides nothing.
inside_span <- function(x, X) {
  space <- qr(X, tol = 1e-12)
  left <- function(columns) sqrt(colSums(qr.resid(space, columns)^2))
  constant <- left(matrix(1, nrow(X), 1L)) <= span_tolerance * sqrt(nrow(X))
  centred <- if (constant) scale(x, scale = FALSE) else x
  size <- sqrt(colSums(centred^2))
  flat <- size <= span_tolerance * sqrt(colSums(x^2)) # a constant, but for its last bits
  flat & constant | left(centred) <= span_tolerance * size
}

# Each random term: its columns, as the model has them, its grouping factor, and, where that is an
# interaction, the factors of it by name.
random_blocks <- function(fit) {
  columns <- term_columns(fit)
  flist <- lme4::getME(fit, "flist")
  frame <- stats::model.frame(fit)
  names <- names(columns)
  bars <- find_bars(stats::formula(fit, random.only = TRUE))
  sides <- lapply(bars, `[[`, 3L)
  labels <- vapply(sides, deparse1, "")
  lapply(seq_along(names), function(i) {
    operands <- interaction_operands(sides[[match(names[i], labels)]])
    list(
      columns = columns[[i]], group = first_seen(flist[[names[i]]]),
      operands = if (all(operands %in% names(frame))) frame[operands] else list()
    )
  })
}

# Per random term the columns that each of its effects multiplies, one value per row.
term_columns <- function(fit) {
  Zt <- lme4::getME(fit, "Zt")
  before <- lme4::getME(fit, "Gp")
  cnms <- lme4::getME(fit, "cnms")
  columns <- lapply(seq_along(cnms), function(i) {
    k <- length(cnms[[i]])
    vapply(seq_len(k), function(j) {
      # A row belongs to one level, so that the sum over levels is that level's value.
      Matrix::colSums(Zt[seq(before[i] + j, before[i + 1L], by = k), , drop = FALSE])
    }, numeric(ncol(Zt)))
  })
  stats::setNames(columns, names(cnms))
}

random_labels <- function(fit) {
  cnms <- lme4::getME(fit, "cnms")
  vapply(seq_along(cnms), function(i) {
    effects <- sub("^[(]Intercept[)]$", "1", cnms[[i]])
    paste0("(", paste(effects, collapse = " + "), " | ", names(cnms)[i], ")")
  }, "")
}

interaction_operands <- function(side) {
  if (is.call(side) && identical(side[[1L]], as.name(":"))) {
    return(c(interaction_operands(side[[2L]]), interaction_operands(side[[3L]])))
  }
  if (is.name(side)) as.character(side) else deparse1(side)
}

# A grouping by the order in which its groups appear, so that labels don't matter.
first_seen <- function(groups) match(groups, unique(groups))

# Any covariance matrix of `block`'s effects is one of `term`'s: both have the same groups, and the
# columns of the one are made of those of the other. Or the groups of `block` are those of `term`
# divided by further factors, as in (1 | g:f) within (0 + f | g): then its columns within each level
# of those factors must be.
block_within <- function(block, term) {
  columns <- block$columns
  if (!identical(block$group, term$group)) {
    further <- setdiff(names(block$operands), names(term$operands))
    divided <- length(further) > 0L && length(term$operands) > 0L &&
      all(names(term$operands) %in% names(block$operands))
    if (!divided) return(FALSE)
    level <- interaction(block$operands[further], drop = TRUE)
    columns <- do.call(cbind, lapply(levels(level), function(one) columns * (level == one)))
  }
  all(inside_span(columns, term$columns))
}
