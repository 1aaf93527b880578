# Predictions with their variance given the covariance parameters, on the scale of the link.

# Per row of `newdata` (NULL: the data of the fit): the prediction, its variance given the covariance
# parameters (Henderson's mixed model equations, through lme4's factors), what a new observation adds
# (`extra`: its residual variance, and that of the random effects that `re_form` leaves out; 0 if
# none is `observed`), and, for a `method` of small samples, the degrees of freedom of their sum.
# Of the fixed part alone, `vcov` may be another covariance matrix of the coefficients than lme4's.
prediction_parts <- function(fit, newdata, re_form, allow_new_levels, observed, method, vcov = NULL) {
  if (observed || !is.null(method)) linear_only(fit, "a prediction interval of this kind")
  form <- read_re_form(fit, newdata, re_form)
  residual <- if (observed) residual_rows(fit, newdata) else 0
  problem <- newdata_problem(fit, newdata, form, allow_new_levels)
  if (is.null(problem) && is.character(residual)) return(list(problem = residual, r_message = ""))
  if (!is.null(problem)) {
    r_message <- error_text(
      stats::predict(fit, newdata = newdata, re.form = form, allow.new.levels = allow_new_levels)
    )
    return(list(problem = problem, r_message = r_message))
  }
  say_offset(fit, newdata)
  rows <- design_rows(fit, newdata, form)
  at <- list(
    L = lme4::getME(fit, "L"), Lambdat = lme4::getME(fit, "Lambdat"),
    RZX = lme4::getME(fit, "RZX"), RX = coefficient_factor(fit),
    covs = lapply(lme4::VarCorr(fit), plain_matrix)
  )
  sigma2 <- stats::sigma(fit)^2
  within <- if (is.null(vcov)) {
    sigma2 * prediction_norms(at, rows$X, rows$Z) + block_rows(rows, at, "unseen")
  } else {
    quadratic_rows(rows$X, vcov)
  }
  list(
    rows = rows$rows, mean = mean_rows(fit, rows, TRUE), variance = within,
    extra = if (observed) residual + block_rows(rows, at, "left_out") else numeric(length(rows$rows)),
    df = if (!is.null(method)) prediction_df(fit, rows, if (observed) residual / sigma2, method)
  )
}

# The factor R of the coefficients' covariance matrix, sigma^2 (R' R)^-1. In a generalised fit that is
# vcov(fit), from the second derivatives of the deviance, and not from the factor that lme4 holds.
coefficient_factor <- function(fit) {
  if (lme4::isLMM(fit)) return(lme4::getME(fit, "RX"))
  chol(solve(plain_matrix(stats::vcov(fit)) / stats::sigma(fit)^2))
}

# Means of the response at values of the linear predictor, and the derivatives there.
link_inverse <- function(fit, eta) {
  if (length(eta) == 0L) return(list(mean = numeric(), slope = numeric())) # R's families stop there
  family <- stats::family(fit)
  list(mean = family$linkinv(eta), slope = family$mu.eta(eta))
}

# The residual variance of a new observation in each row: sigma^2 over its weight. A text says why
# it can't be known.
residual_rows <- function(fit, newdata) {
  sigma2 <- stats::sigma(fit)^2
  given <- stats::getCall(fit)$weights
  if (is.null(given)) return(rep(sigma2, if (is.null(newdata)) stats::nobs(fit) else nrow(newdata)))
  if (is.null(newdata)) return(sigma2 / fit@resp$weights)
  name <- as.character(given)
  if (!(name %in% names(environment(stats::formula(fit))$data))) {
    return(paste("the fit's weights= were given as values, one per row, and a new observation's are",
      "not known: fit with the name of a column as weights, which newdata has too"))
  }
  if (!(name %in% names(newdata))) {
    return(paste0("a new observation's variance is sigma^2 over its weight, and newdata has no column '",
      name, "', which are the fit's weights"))
  }
  if (any(newdata[[name]] <= 0, na.rm = TRUE)) {
    return(paste0("the weights of newdata (column '", name, "') must be positive"))
  }
  sigma2 / newdata[[name]]
}

# Design of new rows: X, offset and the row numbers; Z of the random effects that are included; per
# random term its columns, which of them are kept and which rows have a level that the fit knows.
design_rows <- function(fit, newdata, form) {
  fixed <- fixed_rows(fit, newdata)
  n <- nrow(fixed$X)
  q <- length(lme4::getME(fit, "b"))
  included <- Matrix::sparseMatrix(i = integer(), j = integer(), x = numeric(), dims = c(n, q))
  blocks <- random_rows(fit, newdata, form)
  for (block in blocks) {
    known <- !is.na(block$level)
    for (j in which(block$keep)) {
      included <- included + Matrix::sparseMatrix(
        i = which(known), j = block$first + (block$level[known] - 1L) * ncol(block$z) + j,
        x = block$z[known, j], dims = c(n, q)
      )
    }
  }
  c(fixed, list(Z = included, blocks = blocks))
}

mean_rows <- function(fit, rows, fixed) {
  random <- as.vector(rows$Z %*% lme4::getME(fit, "b"))
  if (fixed) as.vector(rows$X %*% lme4::fixef(fit)) + rows$offset + random else random
}

# The variance of random effects that aren't predicted: those of levels that the fit didn't see
# ("unseen"), or those that re_form leaves out. `at$covs` has each term's covariance matrix.
block_rows <- function(rows, at, which) {
  total <- numeric(length(rows$rows))
  for (block in rows$blocks) {
    keep <- if (which == "unseen") block$keep else !block$keep
    row <- if (which == "unseen") is.na(block$level) else rep(TRUE, length(total))
    cov <- at$covs[[block$term]][keep, keep, drop = FALSE]
    total[row] <- total[row] + quadratic_rows(block$z[row, keep, drop = FALSE], cov)
  }
  total
}

# Degrees of freedom per row. Kenward and Roger's are those of the fixed part. Satterthwaite's are
# 2 v^2 / var(v), of the whole variance v that the interval has, by the delta method from the joint
# sampling covariance of theta and sigma, which lmerTest has. `weight`: a new observation's residual
# variance over sigma^2, NULL if there is none.
prediction_df <- function(fit, rows, weight, method) {
  X <- rows$X
  whole <- which(rowSums(is.na(X)) == 0)
  df <- rep(NA_real_, nrow(X))
  if (method == "kenward-roger") {
    df[whole] <- coefficient_df(fit, X[whole, , drop = FALSE], method, FALSE)
    return(df)
  }
  needs_package("lmerTest", "dfcom = \"satterthwaite\"")
  needs_data(fit)
  model <- lmerTest::as_lmerModLmerTest(fit)
  theta <- unname(lme4::getME(fit, "theta"))
  factors <- factors_at(fit)
  variance <- function(theta) {
    at <- factors(theta)
    total <- prediction_norms(at, X, rows$Z) + block_rows(rows, at, "unseen")
    if (!is.null(weight)) total <- total + weight + block_rows(rows, at, "left_out")
    total[whole]
  }
  sigma <- stats::sigma(fit)
  v <- sigma^2 * variance(theta)
  usable <- is.finite(v)
  slopes <- sigma^2 * numDeriv::jacobian(function(x) variance(x)[usable], theta)
  slopes <- cbind(slopes, 2 * v[usable] / sigma)
  df[whole[usable]] <- 2 * v[usable]^2 / rowSums((slopes %*% model@vcov_varpar) * slopes)
  df
}

# A function of theta: the factors of the mixed model equations there, and the random terms'
# covariance matrices over sigma^2.
factors_at <- function(fit) {
  parts <- deviance_parts(fit)
  pp <- environment(parts)$env$pp
  cnms <- lme4::getME(fit, "cnms")
  function(theta) {
    parts(theta)
    covs <- lme4::mkVarCorr(1, cnms, lengths(cnms), theta, names(cnms))
    list(L = pp$L(), Lambdat = pp$Lambdat, RZX = pp$RZX, RX = pp$RX(), covs = lapply(covs, plain_matrix))
  }
}

quadratic_rows <- function(z, cov) rowSums((z %*% as.matrix(cov)) * z)

# x' C x per row, C the inverse of the mixed model equations' matrix on the scale of sigma = 1, by
# its factors.
prediction_norms <- function(at, X, Z) {
  L <- at$L
  Lambdat <- at$Lambdat
  RZX <- as.matrix(at$RZX)
  RX <- as.matrix(at$RX)
  norms <- numeric(nrow(X))
  for (rows in split(seq_len(nrow(X)), (seq_len(nrow(X)) - 1L) %/% 500L)) {
    u <- Lambdat %*% Matrix::t(Z[rows, , drop = FALSE])
    u <- Matrix::solve(L, Matrix::solve(L, u, system = "P"), system = "L")
    rest <- t(X[rows, , drop = FALSE]) - as.matrix(Matrix::crossprod(RZX, u))
    norms[rows] <- Matrix::colSums(u^2) + colSums(backsolve(RX, rest, transpose = TRUE)^2)
  }
  norms
}

# Design of the fixed part for new rows, as predict.merMod makes it.
fixed_rows <- function(fit, newdata) {
  X <- lme4::getME(fit, "X")
  if (is.null(newdata)) {
    frame <- stats::model.frame(fit)
    return(list(X = unname(as.matrix(X)), offset = fit@resp$offset, rows = as.integer(row.names(frame))))
  }
  terms <- stats::delete.response(fit_terms(fit, "fixed"))
  levels <- factor_levels(fit, terms)
  frame <- stats::model.frame(terms, newdata, na.action = stats::na.pass, xlev = levels)
  # A factor that no term uses would be coded all the same, and may have one level here.
  unused <- names(frame)[vapply(frame, function(x) is.factor(x) || is.character(x), NA)]
  unused <- setdiff(unused, names(levels))
  frame[unused] <- 0
  contrasts <- attr(X, "contrasts")
  contrasts <- contrasts[setdiff(names(contrasts), unused)]
  new <- stats::model.matrix(terms, frame, contrasts.arg = contrasts)
  dropped <- attr(X, "col.dropped")
  if (length(dropped) > 0L) new <- new[, -dropped, drop = FALSE]
  offset <- stats::model.offset(frame)
  list(
    X = unname(new), offset = if (is.null(offset)) numeric(nrow(new)) else as.vector(offset),
    rows = seq_len(nrow(new))
  )
}

# Per random term: its columns for new rows, which of them re_form keeps, the rows' levels, and
# where the term's effects begin in b.
random_rows <- function(fit, newdata, form) {
  bars <- find_bars(stats::formula(fit, random.only = TRUE))
  inside <- unique(unlist(lapply(bars, function(bar) all.vars(bar[[2L]]))))
  if (is.null(newdata)) {
    frame <- stats::model.frame(fit)
  } else {
    terms <- stats::delete.response(fit_terms(fit, "random"))
    levels <- factor_levels(fit, terms)
    levels <- levels[names(levels) %in% inside]
    if (!is.null(form)) {
      # Grouping columns that aren't asked for may be absent.
      for (name in setdiff(all.vars(terms), names(newdata))) newdata[[name]] <- NA
    }
    frame <- stats::model.frame(terms, newdata, na.action = stats::na.pass, xlev = levels)
    for (name in names(levels)) {
      frame[[name]] <- factor(frame[[name]], levels = levels[[name]])
      attr(frame[[name]], "contrasts") <- attr(stats::model.frame(fit)[[name]], "contrasts")
    }
  }
  kept <- NULL
  if (inherits(form, "formula")) {
    kept <- unlist(lapply(find_bars(form), function(bar) {
      columns <- tryCatch(colnames(bar_columns(bar, frame)), error = function(condition) {
        stop("re_form names (", deparse1(bar), "), which the model hasn't", call. = FALSE)
      })
      paste(deparse1(bar[[3L]]), columns)
    }))
  }
  cnms <- lme4::getME(fit, "cnms")
  before <- lme4::getME(fit, "Gp")
  blocks <- list()
  for (bar in bars) {
    group <- deparse1(bar[[3L]])
    z <- bar_columns(bar, frame)
    k <- which(names(cnms) == group & vapply(cnms, identical, NA, colnames(z)))
    if (length(k) != 1L) {
      stop("the random term (", deparse1(bar), ") can't be matched with the fit's", call. = FALSE)
    }
    keep <- if (is.null(form)) rep(TRUE, ncol(z)) else paste(group, colnames(z)) %in% kept
    label <- rep(NA_character_, nrow(frame))
    if (any(keep)) label <- as.character(bar_groups(bar, frame))
    known <- levels(lme4::getME(fit, "flist")[[group]])
    blocks[[length(blocks) + 1L]] <- list(
      group = group, term = k, z = unname(z), keep = keep, level = match(label, known),
      first = before[k]
    )
  }
  missing <- setdiff(kept, unlist(lapply(blocks, function(block) {
    paste(block$group, cnms[[which(before == block$first)[1L]]])
  })))
  if (length(missing) > 0L) {
    stop("re_form names ", paste(missing, collapse = ", "), ", which the model hasn't",
      call. = FALSE
    )
  }
  blocks
}

bar_columns <- function(bar, frame) {
  stats::model.matrix(eval(substitute(~lhs, list(lhs = bar[[2L]]))), frame)
}

bar_groups <- function(bar, frame) {
  frame <- lme4::factorize(bar, frame)
  eval(bar[[3L]], frame)
}
