# What pooled inference asks of the fits: degrees of freedom, likelihoods at given parameters and of
# stacked data, the curvature of the deviance, variances of predictions, estimated marginal means.

needs_package <- function(name, what) {
  if (!has_package(name)) {
    stop(what, " needs the R package ", name, ", which this R does not have. Install it: on Debian ",
      "`apt-get install r-cran-", tolower(name), "`, elsewhere in R install.packages(\"", name, "\")",
      call. = FALSE
    )
  }
}

# -- degrees of freedom -----------------------------------------------------------------------

# Denominator degrees of freedom of each row of L (one-row hypotheses), or, if `joint`, of all rows
# tested together. Kenward and Roger's are made for the REML covariance: fits by ML are refitted.
coefficient_df <- function(fit, L, method, joint) {
  what <- paste0("dfcom = \"", method, "\"")
  if (method == "satterthwaite" || joint) needs_package("lmerTest", what)
  if (method == "kenward-roger") {
    needs_package("pbkrtest", what)
    fit <- refitted(fit, REML = TRUE)
  }
  if (method == "kenward-roger" && !joint) {
    adjusted <- pbkrtest::vcovAdj(fit)
    v <- stats::vcov(fit)
    return(apply(L, 1L, function(row) as.numeric(pbkrtest::ddf_Lb(adjusted, row, v))))
  }
  ddf <- if (method == "satterthwaite") "Satterthwaite" else "Kenward-Roger"
  model <- lmerTest::as_lmerModLmerTest(fit)
  if (joint) {
    return(lmerTest::contestMD(model, L, ddf = ddf)[["DenDF"]])
  }
  apply(L, 1L, function(row) lmerTest::contest1D(model, row, ddf = ddf)[["df"]])
}

# -- likelihoods ------------------------------------------------------------------------------

# The fit by maximum likelihood, from the same call; itself if it is one.
refit_ml <- function(fit) {
  fit <- refitted(fit, REML = FALSE)
  list(object = fit, log_lik = as.numeric(stats::logLik(fit)))
}

# The same call by restricted, or by maximum likelihood; the fit itself if it is one.
refitted <- function(fit, REML) {
  if (lme4::isREML(fit) == REML) return(fit)
  call <- stats::getCall(fit)
  call$REML <- REML
  eval(call, environment(stats::formula(fit)))
}

# Coefficients, covariance matrix per random term, residual variance; and what they belong to.
model_parameters <- function(fit) {
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

# The ML log-likelihood of the fit's data at these parameters (a list as above).
loglik_at <- function(fit, beta, covs, sigma2) {
  theta <- unlist(lapply(covs, function(cov) {
    factor <- lower_factor(cov / sigma2)
    factor[lower.tri(factor, diag = TRUE)]
  }))
  parts <- deviance_parts(fit, beta)(theta)
  n <- stats::nobs(fit)
  weights <- fit@resp$weights
  -(parts$ldL2 + n * log(2 * pi * sigma2) + parts$pwrss / sigma2 - sum(log(weights[weights > 0]))) / 2
}

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

# The maximised ML log-likelihood of the model on all fits' data under each other, groups apart per
# fit: what the formula computes of its variables (scale(x), poly(x, 2)), it computes of the stacked
# ones.
stacked_loglik <- function(first, others) {
  fits <- c(list(first), others)
  stacked <- stacked_call(fits)
  parts <- eval(stacked$call, stacked$env)
  parts$reTrms <- groups_apart(parts$formula, parts$fr, stacked$imputation)
  expected <- lapply(fits, parameter_names)
  found <- c(colnames(parts$X), random_names(parts$reTrms$cnms))
  if (!all(vapply(expected, setequal, NA, found))) {
    stop("the models differ in their parameters: ", describe_difference(c(expected, list(found))),
      call. = FALSE)
  }
  control <- eval(stacked$call$control, stacked$env)
  if (is.null(control)) control <- lme4::lmerControl()
  devfun <- lme4::mkLmerDevfun(parts$fr, parts$X, parts$reTrms, REML = FALSE, control = control)
  opt <- lme4::optimizeLmer(devfun,
    optimizer = control$optimizer, restart_edge = control$restart_edge,
    boundary.tol = control$boundary.tol, control = control$optCtrl, calc.derivs = FALSE
  )
  list(log_lik = -opt$fval / 2, conv = as.integer(opt$conv), message = as.character(opt$msg))
}

# What lmer() is asked of the stacked data before it fits: the first fit's call, in an environment
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
  for (name in intersect(c("weights", "offset", "subset"), names(call))) {
    values <- lapply(seq_along(fits), function(i) {
      value <- eval(call[[name]], frames[[i]], envs[[i]])
      if (name == "subset" && is.numeric(value)) value + sign(value) * before[i] else value
    })
    own <- make.unique(c(names(env$data), paste0(".", name)))
    own <- own[length(own)]
    env[[own]] <- unlist(values, use.names = FALSE)
    call[[name]] <- as.name(own)
  }
  call[[1L]] <- quote(lme4::lFormula)
  call$start <- call$verbose <- NULL
  call$REML <- FALSE
  environment(call$formula) <- env
  list(call = call, env = env, imputation = factor(rep(seq_along(fits), times = sizes)))
}

# lme4's random terms for the rows of a stacked frame, a group of each imputation for itself.
groups_apart <- function(formula, frame, imputation) {
  own <- make.unique(c(names(frame), ".imputation"))
  own <- own[length(own)]
  frame[[own]] <- imputation[as.integer(row.names(frame))]
  bars <- find_bars(formula)
  apart <- lapply(bars, function(bar) {
    bar[[3L]] <- call(":", as.name(own), bar[[3L]])
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

# -- the random part --------------------------------------------------------------------------

# Log standard deviations, Fisher's z of correlations and log sigma, in the order of
# as.data.frame(VarCorr(fit)), with their joint sampling covariance: twice the inverse of the
# (restricted) deviance's second derivatives in theta and log sigma, carried over by the delta
# method. What lies on the boundary gets no value there, and is held where it is for the others.
random_curvature <- function(fit) {
  table <- as.data.frame(lme4::VarCorr(fit))
  sigma <- stats::sigma(fit)
  tol <- singular_tolerance()
  factors <- lapply(lme4::getME(fit, "Tlist"), canonical_factor, tol)
  theta <- unlist(lapply(factors, function(factor) factor[lower.tri(factor, diag = TRUE)]))
  free <- which(unlist(lapply(factors, function(factor) {
    open <- lower.tri(factor, diag = TRUE) & rep(diag(factor) > 0, each = nrow(factor))
    open[rowSums(factor^2) == 0, ] <- FALSE
    open[lower.tri(factor, diag = TRUE)]
  })))
  covariance <- curvature_covariance(fit, theta, free, sigma)
  slopes <- random_slopes(factors, sigma)
  jacobian <- slopes$jacobian[, c(free, length(theta) + 1L), drop = FALSE]
  link <- jacobian %*% covariance %*% t(jacobian)
  link[slopes$boundary, ] <- link[, slopes$boundary] <- NA
  list(
    grp = table$grp, var1 = table$var1, var2 = table$var2,
    value = slopes$value, boundary = slopes$boundary, link_vcov = link,
    definite = !anyNA(covariance)
  )
}

# Below which lme4's isSingular() counts a diagonal theta as 0.
singular_tolerance <- function() eval(formals(lme4::isSingular)$tol, asNamespace("lme4"))

# A term's relative Cholesky factor of the same covariance matrix, in which every diagonal theta that
# isSingular() counts as 0 is 0, and its column, too: plane rotations carry what stands below it into
# the columns behind. A row of zeros is a standard deviation of 0; any other row with a 0 on the
# diagonal belongs to an effect that the earlier ones determine.
canonical_factor <- function(factor, tol) {
  factor[sqrt(rowSums(factor^2)) < tol, ] <- 0
  k <- nrow(factor)
  for (j in seq_len(k)) {
    if (factor[j, j] >= tol) next
    factor[j, j] <- 0
    for (i in seq_len(k)[seq_len(k) > j]) {
      length <- sqrt(factor[i, i]^2 + factor[i, j]^2)
      if (length == 0) next
      turn <- rbind(c(factor[i, i], -factor[i, j]), c(factor[i, j], factor[i, i])) / length
      factor[, c(i, j)] <- factor[, c(i, j)] %*% turn
      factor[i, j] <- 0
    }
  }
  factor
}

# Per row of as.data.frame(VarCorr(fit)): the value, whether it lies on the boundary, and the
# derivatives of its log (SDs) or Fisher's z (correlations) in theta and log sigma.
random_slopes <- function(factors, sigma) {
  lengths <- vapply(factors, function(factor) nrow(factor) * (nrow(factor) + 1L) / 2L, 0)
  before <- cumsum(c(0, lengths))
  total <- sum(lengths)
  rows <- list()
  add <- function(value, boundary, slope) {
    rows[[length(rows) + 1L]] <<- list(value = value, boundary = boundary, slope = slope)
  }
  for (term in seq_along(factors)) {
    factor <- factors[[term]]
    k <- nrow(factor)
    position <- matrix(0, k, k)
    position[lower.tri(position, diag = TRUE)] <- before[term] + seq_len(lengths[term])
    norm <- sqrt(rowSums(factor^2))
    for (i in seq_len(k)) {
      slope <- numeric(total + 1L)
      slope[position[i, seq_len(i)]] <- factor[i, seq_len(i)] / norm[i]^2
      slope[total + 1L] <- 1
      add(norm[i] * sigma, norm[i] == 0, slope)
    }
    for (j in seq_len(k)) {
      for (i in seq_len(k)[seq_len(k) > j]) {
        a <- factor[i, ] / norm[i]
        b <- factor[j, ] / norm[j]
        cor <- sum(a * b)
        slope <- numeric(total + 1L)
        slope[position[i, seq_len(i)]] <- ((b - cor * a) / norm[i])[seq_len(i)]
        slope[position[j, seq_len(j)]] <- ((a - cor * b) / norm[j])[seq_len(j)]
        # The later effect, or either's standard deviation, has a theta that counts as 0.
        add(cor, factor[i, i] == 0 || norm[j] == 0, slope / (1 - cor^2))
      }
    }
  }
  add(sigma, FALSE, c(numeric(total), 1))
  list(
    value = vapply(rows, `[[`, 0, "value"),
    boundary = vapply(rows, `[[`, NA, "boundary"),
    jacobian = do.call(rbind, lapply(rows, `[[`, "slope"))
  )
}

# Covariance matrix of the free thetas and log sigma; NA where the deviance isn't convex there.
curvature_covariance <- function(fit, theta, free, sigma) {
  n <- stats::nobs(fit)
  reml <- lme4::isREML(fit)
  df <- if (reml) n - ncol(lme4::getME(fit, "X")) else n
  parts <- deviance_parts(fit)
  # With sigma held: the deviance but for constants, and the penalized residual sum of squares.
  at <- function(x) {
    theta[free] <- x
    found <- parts(theta)
    logdet <- found$ldL2 + if (reml) found$ldRX2 else 0
    c(logdet + found$pwrss / sigma^2, found$pwrss / sigma^2)
  }
  found <- second_derivatives(at, theta[free])
  k <- length(free)
  hessian <- matrix(0, k + 1L, k + 1L)
  hessian[seq_len(k), seq_len(k)] <- found$hessian
  hessian[seq_len(k), k + 1L] <- hessian[k + 1L, seq_len(k)] <- -2 * found$gradient
  hessian[k + 1L, k + 1L] <- 4 * df
  scale <- sqrt(abs(diag(hessian)))
  convex <- all(is.finite(hessian)) && all(scale > 0) &&
    all(eigen(hessian / outer(scale, scale), symmetric = TRUE, only.values = TRUE)$values > 1e-10)
  if (!convex) return(matrix(NA_real_, k + 1L, k + 1L))
  2 * solve(hessian / outer(scale, scale)) / outer(scale, scale)
}

# Second derivatives of the first and first derivatives of the second value of `f`, by central
# differences with Richardson's extrapolation; steps are a fraction of each standard error.
second_derivatives <- function(f, x) {
  k <- length(x)
  middle <- f(x)
  moved <- function(i, by) f(replace(x, i, x[i] + by))
  step <- 1e-2 * pmax(abs(x), 1e-2)
  for (pass in 1:2) {
    curvature <- vapply(seq_len(k), function(i) {
      (moved(i, step[i])[1L] + moved(i, -step[i])[1L] - 2 * middle[1L]) / step[i]^2
    }, 0)
    error <- sqrt(2 / pmax(curvature, 1e-12))
    step <- pmin(0.2 * error, 0.25 * pmax(abs(x), 0.1 * error))
  }
  rough <- lapply(c(1, 1 / 2), function(part) {
    h <- step * part
    hessian <- matrix(0, k, k)
    gradient <- numeric(k)
    for (i in seq_len(k)) {
      up <- moved(i, h[i])
      down <- moved(i, -h[i])
      hessian[i, i] <- (up[1L] + down[1L] - 2 * middle[1L]) / h[i]^2
      gradient[i] <- (up[2L] - down[2L]) / (2 * h[i])
      for (j in seq_len(i - 1L)) {
        corner <- function(a, b) f(replace(x, c(i, j), x[c(i, j)] + c(a * h[i], b * h[j])))[1L]
        hessian[i, j] <- hessian[j, i] <-
          (corner(1, 1) + corner(-1, -1) - corner(1, -1) - corner(-1, 1)) / (4 * h[i] * h[j])
      }
    }
    list(hessian = hessian, gradient = gradient)
  })
  list(
    hessian = (4 * rough[[2L]]$hessian - rough[[1L]]$hessian) / 3,
    gradient = (4 * rough[[2L]]$gradient - rough[[1L]]$gradient) / 3
  )
}

# Variance of the fixed predictions, mean variance of the random ones, residual variance.
variance_shares <- function(fit) {
  covs <- lme4::VarCorr(fit)
  n <- stats::nobs(fit)
  random <- mapply(function(cov, z) {
    z <- as.matrix(z)
    sum(plain_matrix(cov) * crossprod(z)) / nrow(z)
  }, covs, term_columns(fit))
  list(
    fixed = stats::var(as.vector(lme4::getME(fit, "X") %*% lme4::fixef(fit))),
    random = sum(random),
    residual = stats::sigma(fit)^2
  )
}

# -- predictions ------------------------------------------------------------------------------

# Per row of `newdata` (NULL: the fit's own): the prediction, its variance given the covariance
# parameters (Henderson's mixed model equations, through lme4's factors), and the variance of the
# random effects that `re_form` leaves out. `re_form`: NULL for all, "none", or a formula as text.
prediction_parts <- function(fit, newdata, re_form, allow_new_levels) {
  refuse_shadowed(stats::formula(fit), names(newdata))
  fixed <- fixed_rows(fit, newdata)
  n <- nrow(fixed$X)
  q <- length(lme4::getME(fit, "b"))
  included <- Matrix::sparseMatrix(i = integer(), j = integer(), x = numeric(), dims = c(n, q))
  left_out <- unseen <- numeric(n)
  for (block in random_rows(fit, newdata, re_form)) {
    z <- block$z
    keep <- block$keep
    known <- !is.na(block$level)
    if (!all(known) && any(keep) && !allow_new_levels) {
      stop("new levels of ", block$group, ": ",
        paste(unique(block$label[!known]), collapse = ", "),
        "; with allow_new_levels they are predicted with a random effect of zero", call. = FALSE
      )
    }
    left_out <- left_out + quadratic_rows(z[, !keep, drop = FALSE], block$cov[!keep, !keep])
    unseen[!known] <- unseen[!known] +
      quadratic_rows(z[!known, keep, drop = FALSE], block$cov[keep, keep])
    for (j in which(keep)) {
      included <- included + Matrix::sparseMatrix(
        i = which(known), j = block$first + (block$level[known] - 1L) * ncol(z) + j,
        x = z[known, j], dims = c(n, q)
      )
    }
  }
  mean <- as.vector(fixed$X %*% lme4::fixef(fit)) + fixed$offset +
    as.vector(included %*% lme4::getME(fit, "b"))
  list(
    rows = fixed$rows, mean = mean, left_out = left_out,
    variance = stats::sigma(fit)^2 * prediction_norms(fit, fixed$X, included) + unseen
  )
}

quadratic_rows <- function(z, cov) rowSums((z %*% as.matrix(cov)) * z)

# x' C x per row, C the inverse of the mixed model equations' matrix on the scale of sigma = 1.
prediction_norms <- function(fit, X, Z) {
  L <- lme4::getME(fit, "L")
  Lambdat <- lme4::getME(fit, "Lambdat")
  RZX <- as.matrix(lme4::getME(fit, "RZX"))
  RX <- as.matrix(lme4::getME(fit, "RX"))
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
  terms <- stats::delete.response(stats::terms(fit, fixed.only = TRUE))
  levels <- factor_levels(fit, terms)
  frame <- stats::model.frame(terms, newdata, na.action = stats::na.pass, xlev = levels)
  new <- stats::model.matrix(terms, frame, contrasts.arg = attr(X, "contrasts"))
  dropped <- attr(X, "col.dropped")
  if (length(dropped) > 0L) new <- new[, -dropped, drop = FALSE]
  offset <- stats::model.offset(frame)
  list(
    X = unname(new), offset = if (is.null(offset)) numeric(nrow(new)) else as.vector(offset),
    rows = seq_len(nrow(new))
  )
}

# Levels of the factors (or text columns) among the variables of some terms.
factor_levels <- function(fit, terms) {
  frame <- stats::model.frame(fit)
  names <- intersect(names(frame), vapply(as.list(attr(terms, "variables"))[-1L], deparse1, ""))
  names <- names[vapply(frame[names], function(x) is.factor(x) || is.character(x), NA)]
  lapply(frame[names], function(x) levels(as.factor(x)))
}

# Per random term: its columns for new rows, which of them re_form keeps, the rows' levels, and
# where the term's effects begin in b.
random_rows <- function(fit, newdata, re_form) {
  bars <- find_bars(stats::formula(fit, random.only = TRUE))
  inside <- unique(unlist(lapply(bars, function(bar) all.vars(bar[[2L]]))))
  if (is.null(newdata)) {
    frame <- stats::model.frame(fit)
  } else {
    terms <- stats::delete.response(stats::terms(fit, random.only = TRUE))
    levels <- factor_levels(fit, terms)
    levels <- levels[names(levels) %in% inside]
    if (!is.null(re_form)) {
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
  if (is.character(re_form) && re_form != "none") {
    kept <- unlist(lapply(find_bars(parse_re_form(re_form, fit, names(frame))), function(bar) {
      columns <- tryCatch(colnames(bar_columns(bar, frame)), error = function(condition) {
        stop("re_form names (", deparse1(bar), "), which the model hasn't", call. = FALSE)
      })
      paste(deparse1(bar[[3L]]), columns)
    }))
  }
  cnms <- lme4::getME(fit, "cnms")
  before <- lme4::getME(fit, "Gp")
  covs <- lme4::VarCorr(fit)
  found <- list()
  for (bar in bars) {
    group <- deparse1(bar[[3L]])
    z <- bar_columns(bar, frame)
    k <- which(names(cnms) == group & vapply(cnms, identical, NA, colnames(z)))
    if (length(k) != 1L) {
      stop("the random term (", deparse1(bar), ") can't be matched with the fit's", call. = FALSE)
    }
    keep <- if (is.null(re_form)) rep(TRUE, ncol(z)) else paste(group, colnames(z)) %in% kept
    label <- rep(NA_character_, nrow(frame))
    if (any(keep)) label <- as.character(bar_groups(bar, frame))
    known <- levels(lme4::getME(fit, "flist")[[group]])
    found[[length(found) + 1L]] <- list(
      group = group, z = unname(z), keep = keep, label = label, level = match(label, known),
      first = before[k], cov = plain_matrix(as.matrix(covs[[k]]))
    )
  }
  missing <- setdiff(kept, unlist(lapply(found, function(block) {
    paste(block$group, cnms[[which(before == block$first)[1L]]])
  })))
  if (length(missing) > 0L) {
    stop("re_form names ", paste(missing, collapse = ", "), ", which the model hasn't",
      call. = FALSE
    )
  }
  found
}

bar_columns <- function(bar, frame) {
  stats::model.matrix(eval(substitute(~lhs, list(lhs = bar[[2L]]))), frame)
}

bar_groups <- function(bar, frame) {
  frame <- lme4::factorize(bar, frame)
  eval(bar[[3L]], frame)
}

# -- estimated marginal means -----------------------------------------------------------------

# emmeans' grid for one fit: levels, linear functions of the coefficients, estimates, variances.
marginal_means <- function(fit, specs, contrast, at, arguments) {
  needs_package("emmeans", "emmeans")
  check_contrast(contrast)
  reserved <- intersect(all.vars(stats::formula(fit)), c(".wgt.", ".offset."))
  if (length(reserved) > 0L) {
    stop("emmeans has a column '", reserved[1L], "' of its own in its grid, and the model has a ",
      "variable of that name: rename the variable", call. = FALSE)
  }
  call <- c(
    list(readable_fit(fit), specs = specs, lmer.df = "asymptotic", data = environment(stats::formula(fit))$data),
    plain_arguments(arguments, c("weights", "by", "type", "cov.keep", "submodel"))
  )
  if (!is.null(at)) call$at <- at
  grid <- do.call(emmeans::emmeans, call, quote = TRUE)
  if (!is.null(contrast)) {
    # A factor that the contrasts are taken within keeps its name.
    name <- "contrast"
    while (name %in% grid@misc$by.vars) name <- paste0(name, "_")
    grid <- emmeans::contrast(grid, method = contrast, name = name)
  }
  linear <- grid@linfct
  levels <- grid@grid[names(grid@grid) %in% c(grid@misc$pri.vars, grid@misc$by.vars)]
  list(
    levels = lapply(levels, function(x) if (is.factor(x)) as.character(x) else x),
    linear = unname(linear),
    estimate = as.vector(linear %*% grid@bhat),
    variance = rowSums((linear %*% grid@V) * linear)
  )
}

# emmeans looks a contrast's function up by name.
check_contrast <- function(contrast) {
  known <- sub("\\.emmc$", "", ls(asNamespace("emmeans"), pattern = "\\.emmc$"))
  if (!is.null(contrast) && !is_one_of(contrast, known)) {
    stop("contrast '", paste(contrast, collapse = " "), "' is none of emmeans' own: ",
      paste(known, collapse = ", "), call. = FALSE)
  }
}

# The fit as emmeans may read it: it looks for a transformation and its constants by evaluating pieces
# of the response's text, and parses the text of the fixed part again.
readable_fit <- function(fit) {
  terms <- stats::delete.response(stats::terms(fit))
  attributes(terms) <- NULL
  text <- paste(as.character(terms), collapse = " ")
  read <- tryCatch(formula_variables(str2lang(text)), error = function(condition) NULL)
  lost <- setdiff(formula_variables(terms), read)
  if (length(lost) > 0L) {
    stop("emmeans reads the names of columns as R code, and can't read ",
      paste0("'", lost, "'", collapse = ", "), ": rename the column", call. = FALSE)
  }
  fit@call$formula[[2L]] <- plain_words(fit@call$formula[[2L]])
  fit
}

# An expression with plain names for its variables, and without its texts.
plain_words <- function(expr) {
  if (is.name(expr)) return(as.name(make.names(as.character(expr))))
  if (is.character(expr)) return("")
  if (!is.call(expr)) return(expr)
  for (i in seq_along(expr)[-1L]) {
    if (!identical(expr[[i]], quote(expr = ))) expr[[i]] <- plain_words(expr[[i]])
  }
  expr
}
