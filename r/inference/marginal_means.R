# Estimated marginal means, by emmeans.

# emmeans' grid for one fit: levels, linear functions of the coefficients, estimates, variances; a
# mean that can't be estimated is NA. Variances are those of `vcov` (NULL: lme4's).
marginal_means <- function(fit, specs, contrast, at, arguments, comparing, trend = NULL, vcov = NULL) {
  grid <- marginal_grid(fit, specs, contrast, at, arguments, comparing, trend)
  v <- if (is.null(vcov)) grid@V else vcov
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
    variance = rowSums((linear %*% v) * linear)
  )
}

# emmeans looks a contrast's function up by name.
check_contrast <- function(contrast) {
  known <- sub("\\.emmc$", "", ls(asNamespace("emmeans"), pattern = "\\.emmc$"))
  if (!is.null(contrast) && !is.list(contrast) && !is_one_of(contrast, known)) {
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
  fit@call$formula[[2L]] <- plain_variables(fit@call$formula[[2L]])
  fit
}

# An expression whose variables have syntactic names, and whose strings are empty.
plain_variables <- function(expr) {
  if (is.name(expr)) return(as.name(make.names(as.character(expr))))
  if (is.character(expr)) return("")
  if (!is.call(expr)) return(expr)
  for (i in seq_along(expr)[-1L]) {
    if (!identical(expr[[i]], quote(expr = ))) expr[[i]] <- plain_variables(expr[[i]])
  }
  expr
}

# With a `trend`, the name of a covariate, the means are those of the slopes in it.
marginal_grid <- function(fit, specs, contrast, at, arguments, comparing, trend) {
  needs_package("emmeans", "emmeans")
  check_contrast(contrast)
  needs_data(fit)
  if (!is.null(trend)) check_trend(fit, trend)
  reserved <- intersect(all.vars(stats::formula(fit)), c(".wgt.", ".offset."))
  if (length(reserved) > 0L) {
    stop("emmeans has a column '", reserved[1L], "' of its own in its grid, and the model has a ",
      "variable of that name: rename the variable", call. = FALSE)
  }
  # The rows of the fit: emmeans would take all that it is given, whatever subset= says.
  rows <- rows_in_data(fit)
  data <- environment(stats::formula(fit))$data[rows, , drop = FALSE]
  call <- c(
    list(readable_fit(fit), specs = specs, lmer.df = "asymptotic", data = data),
    plain_arguments(arguments, c("weights", "by", "cov.keep", "submodel"))
  )
  if (!is.null(at)) call$at <- at
  if (!is.null(trend)) call$var <- trend
  grid <- if (is.null(trend)) {
    do.call(emmeans::emmeans, call, quote = TRUE)
  } else {
    trend_grid(fit, call)
  }
  if (is.null(contrast)) return(grid)
  method <- if (is.list(contrast)) mean_coefficients(grid, contrast) else contrast
  arguments <- c(
    list(grid, method = method, name = contrast_name(grid@misc$by.vars)), plain_arguments(comparing)
  )
  do.call(emmeans::contrast, arguments, quote = TRUE)
}

# Coefficients of the means (within each level of `by`), in the order of the means; each contrast has
# its values, and the levels of one factor that they belong to, or NULL for the order of the means.
mean_coefficients <- function(grid, contrasts) {
  means <- unique(grid@grid[grid@misc$pri.vars])
  labels <- do.call(paste, lapply(unname(means), as.character))
  Map(function(contrast, name) {
    if (is.null(contrast$levels)) {
      if (length(contrast$values) != length(labels)) {
        stop("contrast '", name, "' has ", length(contrast$values), " coefficients, and there are ",
          length(labels), " means: ", quoted(labels), call. = FALSE)
      }
      return(as.numeric(contrast$values))
    }
    if (length(means) != 1L) {
      stop("contrast '", name, "' names levels, which takes means of one factor: give its ",
        "coefficients as a list, in the order of the means: ", quoted(labels), call. = FALSE)
    }
    unknown <- setdiff(contrast$levels, labels)
    if (length(unknown) > 0L) {
      stop("contrast '", name, "' names ", quoted(unknown), ", which is no level of ", names(means),
        ": those are ", quoted(labels), call. = FALSE)
    }
    values <- as.numeric(contrast$values)[match(labels, contrast$levels)]
    replace(values, is.na(values), 0)
  }, contrasts, names(contrasts))
}

# Some versions of emmeans can't do this for a model with an offset.
trend_grid <- function(fit, call) {
  tryCatch(do.call(emmeans::emtrends, call, quote = TRUE), error = function(condition) {
    if (all(fit@resp$offset == 0)) stop(condition)
    stop("emmeans::emtrends stops at this model, which has an offset (", conditionMessage(condition),
      "): give its coefficients to contrast()", call. = FALSE)
  })
}

# emtrends() evaluates a `var` that is no column's name as R code.
check_trend <- function(fit, trend) {
  used <- intersect(all.vars(stats::delete.response(fit_terms(fit, "fixed"))),
    names(environment(stats::formula(fit))$data))
  data <- environment(stats::formula(fit))$data
  numbers <- used[vapply(data[used], is.numeric, NA)]
  if (!(trend %in% numbers)) {
    stop("var '", trend, "' is no numeric column of the model's fixed part: those are ",
      if (length(numbers) > 0L) quoted(numbers) else "none", call. = FALSE)
  }
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
contrast_arguments <- function(contrast) {
  needs_package("emmeans", "emmeans")
  check_contrast(contrast)
  method <- get(paste0(contrast, ".emmc"), asNamespace("emmeans"), mode = "function")
  setdiff(names(formals(method)), c("levs", "..."))
}

# What emmeans' summary() makes of pooled estimates, their variances and degrees of freedom, on the
# grid of `fit`: an emmGrid in which each mean is its own coefficient. `options` are of summary().
marginal_summary <- function(fit, specs, contrast, at, arguments, comparing, trend,
                             estimate, variance, df, level, options) {
  grid <- marginal_grid(fit, specs, contrast, at, arguments, comparing, trend)
  k <- length(estimate)
  whole <- is.finite(estimate)
  rank <- qr(grid@linfct[whole, , drop = FALSE])$rank # of Scheffe's
  grid@linfct <- diag(1, k)
  grid@bhat <- estimate
  grid@V <- diag(variance[whole], sum(whole))
  grid@nbasis <- if (all(whole)) estimability::all.estble else grid@linfct[, !whole, drop = FALSE]
  grid@grid$.offset. <- NULL
  grid@dfargs <- list(df = df[whole]) # emmeans leaves the coefficients out that are NA
  grid@dffun <- function(k, dfargs) dfargs$df[which(k != 0)]
  grid@post.beta <- matrix(NA)
  options <- c(
    list(grid, infer = TRUE, level = level, scheffe.rank = rank),
    plain_arguments(options, c("adjust", "type", "side"))
  )
  summarised <- do.call(summary, options, quote = TRUE)
  ends <- attr(summarised, "clNames")
  ratio <- intersect(c("t.ratio", "z.ratio"), names(summarised))
  list(
    name = contrast_name(grid@misc$by.vars),
    contrast = as.character(summarised[[contrast_name(grid@misc$by.vars)]]),
    estimate = summarised[[attr(summarised, "estName")]], std_error = summarised$SE,
    low = summarised[[ends[1L]]], high = summarised[[ends[2L]]],
    statistic = summarised[[ratio]], p_value = summarised$p.value,
    notes = as.character(attr(summarised, "mesg"))
  )
}
