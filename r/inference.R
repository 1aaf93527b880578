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

# The random effects to include, as R's re.form: NULL for all, NA for "none", or the formula that
# `text` spells.
read_re_form <- function(fit, newdata, text) {
  columns <- c(names(newdata), names(stats::model.frame(fit)))
  refuse_shadowed(stats::formula(fit), columns)
  if (is.null(text)) return(NULL)
  if (identical(text, "none")) return(NA)
  parse_re_form(text, fit, columns)
}

# The terms of the "fixed" or the "random" part; a dot stands for the other columns of the data.
fit_terms <- function(fit, part) {
  data <- environment(stats::formula(fit))$data
  stats::terms(fit, fixed.only = part == "fixed", random.only = part == "random", data = data)
}

# The bars of the random terms that `form` (as above) includes.
included_bars <- function(fit, form) {
  if (is.null(form)) return(find_bars(stats::formula(fit, random.only = TRUE)))
  if (inherits(form, "formula")) find_bars(form) else list()
}

# The text of the error in which `expr` ends; "" if it doesn't.
error_text <- function(expr) {
  tryCatch({
    suppressWarnings(expr)
    ""
  }, error = conditionMessage)
}

quoted <- function(names) paste0("'", names, "'", collapse = ", ")

# What keeps `newdata` from being predicted for, as a text that says what to do; NULL if nothing
# does. `gaps`: whether rows may have missing values (they are predicted as missing).
newdata_problem <- function(fit, newdata, form, allow_new_levels, fixed = TRUE, gaps = TRUE) {
  if (is.null(newdata)) return(NULL)
  bars <- included_bars(fit, form)
  terms <- stats::delete.response(fit_terms(fit, "fixed"))
  wanted <- if (fixed) all.vars(terms)
  wanted <- unique(c(wanted, unlist(lapply(bars, all.vars))))
  data <- environment(stats::formula(fit))$data
  absent <- setdiff(wanted, c(names(newdata), setdiff(formula_constants, names(data))))
  if (length(absent) > 0L) {
    return(paste0("newdata has no column ", quoted(absent), ", which the prediction needs; its ",
      "columns are ", quoted(names(newdata))))
  }
  wanted <- intersect(wanted, names(newdata))
  frame <- stats::model.frame(fit)
  for (name in setdiff(intersect(wanted, names(frame)), unlist(lapply(bars, bar_group_names)))) {
    if (is.logical(frame[[name]])) next
    numbers <- is.numeric(frame[[name]])
    if (numbers != is.numeric(newdata[[name]]) && !is.logical(newdata[[name]])) {
      kinds <- if (numbers) c("text or a factor", "numeric") else c("numeric", "text or a factor")
      return(paste0("column '", name, "' is ", kinds[1L], " in newdata, and was ", kinds[2L],
        " in the data of the fit: convert it"))
    }
  }
  if (!gaps) {
    holed <- wanted[vapply(newdata[wanted], anyNA, NA)]
    if (length(holed) > 0L) {
      return(paste0("newdata has missing values in ", quoted(holed), ": drop those rows, or fill them"))
    }
  }
  known <- level_variables(fit, bars, fixed)
  for (name in names(known)) {
    new <- setdiff(stats::na.omit(as.character(eval_variable(known[[name]]$expr, newdata, fit))),
      known[[name]]$levels)
    if (length(new) > 0L) {
      return(paste0("new levels of ", name, ": ", paste(new, collapse = ", "), "; the fit has ",
        "coefficients for ", paste(known[[name]]$levels, collapse = ", "), " only"))
    }
  }
  if (allow_new_levels) return(NULL)
  flist <- lme4::getME(fit, "flist")
  for (bar in bars) {
    group <- deparse1(bar[[3L]])
    if (!(group %in% names(flist))) next # R has its own word for that
    label <- as.character(bar_groups(bar, newdata))
    new <- setdiff(stats::na.omit(label), levels(flist[[group]]))
    remedy <- "; with allow_new_levels=True they are predicted with a random effect of zero"
    if (length(new) > 0L) {
      return(paste0("new levels of ", group, ": ", paste(new, collapse = ", "), remedy))
    }
    if (anyNA(label)) {
      return(paste0("the group ", group, " is missing in ", sum(is.na(label)), " of the ",
        length(label), " rows of newdata", remedy))
    }
  }
  NULL
}

bar_group_names <- function(bar) all.vars(bar[[3L]])

# The factors and texts that the design is made of, each as list(expr, levels), by its name in the
# model frame: those of the fixed part, and those inside `bars`.
level_variables <- function(fit, bars, fixed) {
  inside <- unlist(lapply(bars, function(bar) all.vars(bar[[2L]])))
  found <- list()
  for (part in c(if (fixed) "fixed", "random")) {
    terms <- stats::delete.response(fit_terms(fit, part))
    levels <- factor_levels(fit, terms)
    for (expr in as.list(attr(terms, "variables"))[-1L]) {
      name <- deparse1(expr)
      if (name %in% names(levels) && (part == "fixed" || all(all.vars(expr) %in% inside))) {
        found[[name]] <- list(expr = expr, levels = levels[[name]])
      }
    }
  }
  found
}

eval_variable <- function(expr, newdata, fit) eval(expr, newdata, environment(stats::formula(fit)))

# Whether a row of `newdata` has a missing level, which R's model matrix leaves out.
lacks_level <- function(fit, newdata, form, fixed) {
  lacks <- logical(nrow(newdata))
  for (known in level_variables(fit, included_bars(fit, form), fixed)) {
    lacks <- lacks | is.na(eval_variable(known$expr, newdata, fit))
  }
  frame <- stats::model.frame(fit)
  for (name in intersect(names(newdata), names(frame))) {
    if (is.logical(frame[[name]])) lacks <- lacks | is.na(newdata[[name]])
  }
  lacks
}

# Whether lme4 stops at this re.form: it empties the columns that re.form doesn't name, and then asks
# for the contrasts of a factor among them.
loses_slope <- function(fit, form) {
  if (!inherits(form, "formula")) return(FALSE)
  inside <- unlist(lapply(find_bars(stats::formula(fit, random.only = TRUE)), function(bar) {
    all.vars(bar[[2L]])
  }))
  frame <- stats::model.frame(fit)
  lost <- setdiff(intersect(inside, names(frame)), all.vars(form))
  any(vapply(frame[lost], is.factor, NA))
}

slope_problem <- function(form) {
  paste0("lme4 can't do this with re_form = ", deparse1(form),
    ", which leaves out the slope of a factor: name that slope, too")
}

# lme4 forgets the offset= of the call where it is given new data.
say_offset <- function(fit, newdata) {
  if (!is.null(newdata) && !is.null(stats::getCall(fit)$offset)) {
    warning("the fit's offset= is not part of what lme4 predicts for newdata: write it into the ",
      "formula, as offset(column), to have it added", call. = FALSE)
  }
}

# Per row of `newdata` (NULL: the fit's own): the prediction, its variance given the covariance
# parameters (Henderson's mixed model equations, through lme4's factors), what a new observation adds
# (`extra`: its residual variance, and that of the random effects that `re_form` leaves out; 0 if
# none is `observed`), and, for a `method` of small samples, the degrees of freedom of their sum.
prediction_parts <- function(fit, newdata, re_form, allow_new_levels, observed, method) {
  form <- read_re_form(fit, newdata, re_form)
  residual <- if (observed) residual_rows(fit, newdata) else 0
  problem <- newdata_problem(fit, newdata, form, allow_new_levels)
  if (is.null(problem) && is.character(residual)) return(list(problem = residual, said = ""))
  if (!is.null(problem)) {
    said <- error_text(
      stats::predict(fit, newdata = newdata, re.form = form, allow.new.levels = allow_new_levels)
    )
    return(list(problem = problem, said = said))
  }
  say_offset(fit, newdata)
  rows <- design_rows(fit, newdata, form)
  at <- list(
    L = lme4::getME(fit, "L"), Lambdat = lme4::getME(fit, "Lambdat"),
    RZX = lme4::getME(fit, "RZX"), RX = lme4::getME(fit, "RX"),
    covs = lapply(lme4::VarCorr(fit), plain_matrix)
  )
  sigma2 <- stats::sigma(fit)^2
  list(
    rows = rows$rows, mean = mean_rows(fit, rows, TRUE),
    variance = sigma2 * prediction_norms(at, rows$X, rows$Z) + block_rows(rows, at, "unseen"),
    extra = if (observed) residual + block_rows(rows, at, "left_out") else numeric(length(rows$rows)),
    df = if (!is.null(method)) prediction_df(fit, rows, if (observed) residual / sigma2, method)
  )
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
  model <- lmerTest::as_lmerModLmerTest(fit)
  theta <- unname(lme4::getME(fit, "theta"))
  factors <- factors_at(fit)
  variance <- function(theta) {
    at <- factors(theta)
    found <- prediction_norms(at, X, rows$Z) + block_rows(rows, at, "unseen")
    if (!is.null(weight)) found <- found + weight + block_rows(rows, at, "left_out")
    found[whole]
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

# Levels of the factors (or text columns) that some terms use; in `. - g` g is a variable, and unused.
factor_levels <- function(fit, terms) {
  frame <- stats::model.frame(fit)
  names <- vapply(as.list(attr(terms, "variables"))[-1L], deparse1, "")
  used <- attr(terms, "factors")
  used <- if (length(used) > 0L) rowSums(used) > 0
  names <- intersect(names(frame), names[used])
  names <- names[vapply(frame[names], function(x) is.factor(x) || is.character(x), NA)]
  lapply(frame[names], function(x) levels(as.factor(x)))
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
  found <- list()
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
    found[[length(found) + 1L]] <- list(
      group = group, term = k, z = unname(z), keep = keep, level = match(label, known),
      first = before[k]
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

# emmeans' grid for one fit: levels, linear functions of the coefficients, estimates, variances; a
# mean that can't be estimated is NA.
marginal_means <- function(fit, specs, contrast, at, arguments, comparing) {
  grid <- marginal_grid(fit, specs, contrast, at, arguments, comparing)
  kept <- !is.na(grid@bhat) # coefficients that were not dropped
  linear <- unname(grid@linfct)
  whole <- rowSums(is.na(linear)) == 0
  if (!all(kept)) {
    whole[whole] <- estimability::is.estble(linear[whole, , drop = FALSE], grid@nbasis, 1e-8)
  }
  linear <- linear[, kept, drop = FALSE]
  linear[!whole, ] <- NA
  offset <- grid@grid[[".offset."]]
  estimate <- as.vector(linear %*% grid@bhat[kept])
  list(
    levels = lapply(grid_levels(grid), function(x) if (is.factor(x)) as.character(x) else x),
    linear = linear,
    estimate = if (is.null(offset)) estimate else estimate + as.vector(offset),
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

marginal_grid <- function(fit, specs, contrast, at, arguments, comparing) {
  needs_package("emmeans", "emmeans")
  check_contrast(contrast)
  reserved <- intersect(all.vars(stats::formula(fit)), c(".wgt.", ".offset."))
  if (length(reserved) > 0L) {
    stop("emmeans has a column '", reserved[1L], "' of its own in its grid, and the model has a ",
      "variable of that name: rename the variable", call. = FALSE)
  }
  # The rows of the fit: emmeans would take all that it is given, whatever subset= says.
  rows <- as.integer(row.names(stats::model.frame(fit)))
  data <- environment(stats::formula(fit))$data[rows, , drop = FALSE]
  call <- c(
    list(readable_fit(fit), specs = specs, lmer.df = "asymptotic", data = data),
    plain_arguments(arguments, c("weights", "by", "cov.keep", "submodel"))
  )
  if (!is.null(at)) call$at <- at
  grid <- do.call(emmeans::emmeans, call, quote = TRUE)
  if (is.null(contrast)) return(grid)
  arguments <- c(
    list(grid, method = contrast, name = contrast_name(grid@misc$by.vars)), plain_arguments(comparing)
  )
  do.call(emmeans::contrast, arguments, quote = TRUE)
}

# The column of the contrasts: a factor that they are taken within keeps its name.
contrast_name <- function(by) {
  name <- "contrast"
  while (name %in% by) name <- paste0(name, "_")
  name
}

grid_levels <- function(grid) {
  grid@grid[names(grid@grid) %in% c(grid@misc$pri.vars, grid@misc$by.vars)]
}

# The arguments of one of emmeans' methods of contrast.
contrast_arguments <- function(fit, contrast) {
  needs_package("emmeans", "emmeans")
  check_contrast(contrast)
  method <- get(paste0(contrast, ".emmc"), asNamespace("emmeans"), mode = "function")
  setdiff(names(formals(method)), c("levs", "..."))
}

# What emmeans' summary() makes of pooled estimates, their variances and degrees of freedom, on the
# grid of `fit`: an emmGrid in which each mean is its own coefficient. `options` are of summary().
marginal_summary <- function(fit, specs, contrast, at, arguments, comparing,
                             estimate, variance, df, level, options) {
  grid <- marginal_grid(fit, specs, contrast, at, arguments, comparing)
  k <- length(estimate)
  whole <- is.finite(estimate)
  rank <- qr(grid@linfct[whole, , drop = FALSE])$rank # of Scheffe's
  grid@linfct <- diag(1, k)
  grid@bhat <- estimate
  grid@V <- diag(variance[whole], sum(whole))
  grid@nbasis <- if (all(whole)) estimability::all.estble else grid@linfct[, !whole, drop = FALSE]
  grid@grid$.offset. <- NULL
  grid@dfargs <- list(df = df)
  grid@dffun <- function(k, dfargs) dfargs$df[which(k != 0)]
  grid@post.beta <- matrix(NA)
  options <- c(
    list(grid, infer = TRUE, level = level, scheffe.rank = rank),
    plain_arguments(options, c("adjust", "type", "side"))
  )
  found <- do.call(summary, options, quote = TRUE)
  list(
    name = contrast_name(grid@misc$by.vars),
    contrast = as.character(found[[contrast_name(grid@misc$by.vars)]]),
    estimate = found[[attr(found, "estName")]], std_error = found$SE,
    low = found[[attr(found, "clNames")[1L]]], high = found[[attr(found, "clNames")[2L]]],
    statistic = found[[intersect(c("t.ratio", "z.ratio"), names(found))]], p_value = found$p.value,
    notes = as.character(attr(found, "mesg"))
  )
}
