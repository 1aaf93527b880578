# Models that R saved, with the data that their calls refer to. R looks these up by name, where the
# call was made; here they are in the environment of the fit's formula, and nowhere else, as in the
# fits of this library. No name is looked up in R's global environment or among attached packages.

# The fit with its data: those that are `given`, which must agree with its model frame; else those
# that came with it, if they agree; else what its model frame tells of them.
with_own_data <- function(fit, given = NULL, labels = NULL) {
  if (lme4::isNLMM(fit)) {
    if (!is.null(given)) stop("data= is taken for fits of lmer and glmer, not of nlmer", call. = FALSE)
    return(fit)
  }
  if (!is.null(given)) return(with_given_data(fit, given, labels))
  for (data in data_that_came(fit)) {
    settled <- settle(fit, data, whole = TRUE)
    if (is.null(disagreement(fit, settled))) return(settled)
  }
  data <- data_of_frame(fit)
  settled <- settle(fit, data, whole = FALSE)
  env <- environment(stats::formula(settled))
  lacking <- setdiff(data_variables(stats::formula(fit)), c(names(data), names(env)))
  for (name in lacking) hold_place(env, name)
  problem <- if (length(lacking) > 0L) {
    paste0("the model frame of the fit, which R saved, has the column ",
      quoted(frame_columns_with(fit, lacking)), ", from which ", quoted(lacking), " can't be recovered")
  } else {
    odd <- disagreement(fit, settled)
    if (!is.null(odd)) paste0("the data can't be recovered from the model frame that R saved: ", odd)
  }
  if (!is.null(problem)) attr(env, "lacks") <- paste0(problem, "; give the data that it was fitted ",
    "to: from_r(path, data=...)")
  settled
}

# Stops where something has to be computed from data that a file didn't have.
needs_data <- function(fit) {
  problem <- attr(environment(stats::formula(fit)), "lacks")
  if (!is.null(problem)) stop(problem, call. = FALSE)
}

# Positions in the data of a fit of the rows that it used, or of others by their labels.
rows_in_data <- function(fit, labels = row.names(stats::model.frame(fit))) {
  data <- environment(stats::formula(fit))$data
  if (is.null(data) || .row_names_info(data) < 0L) return(as.integer(labels))
  match(labels, row.names(data))
}

with_given_data <- function(fit, given, labels) {
  used <- row.names(stats::model.frame(fit))
  absent <- setdiff(data_variables(stats::formula(fit)),
    c(names(given), names(local_values(fit, all.vars(stats::formula(fit))))))
  if (length(absent) > 0L) {
    stop("data have no column ", quoted(absent), ", which the fit's formula names", call. = FALSE)
  }
  ways <- list(labels, as.character(seq_len(nrow(given))))
  if (nrow(given) == length(used)) ways <- c(list(used), ways)
  problems <- character()
  for (way in ways) {
    if (anyDuplicated(way) || !all(used %in% way)) next
    data <- given
    attr(data, "row.names") <- if (identical(way, ways[[length(ways)]])) seq_len(nrow(data)) else way
    # Rows that subset= or missing values took away may be in the data, or not.
    for (whole in c(TRUE, FALSE)) {
      rows <- if (whole) data else data[match(used, way), , drop = FALSE]
      settled <- settle(fit, rows, whole)
      problem <- disagreement(fit, settled)
      if (is.null(problem)) return(settled)
      problems <- c(problems, problem)
    }
  }
  if (length(problems) == 0L) {
    problems <- paste0("they have ", nrow(given), " rows, and the fit has ", length(used),
      ", not all of which are among their labels")
  }
  stop("data aren't those that the model was fitted to: ", problems[length(problems)], call. = FALSE)
}

# The frames that came with a fit: that of its call, and the variables beside its formula.
data_that_came <- function(fit) {
  value <- stats::getCall(fit)$data
  if (is.name(value)) value <- local_value(fit, value)
  frames <- if (is.data.frame(value)) list(as.data.frame(value))
  beside <- local_values(fit, data_variables(stats::formula(fit)))
  beside <- beside[vapply(beside, function(x) is.atomic(x) && length(x) > 1L, NA)]
  sizes <- vapply(beside, NROW, 1L)
  if (is.null(stats::getCall(fit)$data) && length(sizes) > 0L) {
    frames <- c(frames, list(as.data.frame(beside[sizes == max(sizes)], optional = TRUE)))
  }
  Filter(function(x) all(row.names(stats::model.frame(fit)) %in% row.names(x)), frames)
}

# Values of these names in the environments that were saved with the formula. An active binding would
# run a function of the file's; `hold_place` makes such ones.
local_values <- function(fit, names) {
  values <- list()
  place <- environment(stats::formula(fit))
  while (!nzchar(environmentName(place))) { # a name have the global, the empty and packages' ones
    for (name in setdiff(names, names(values))) {
      if (exists(name, place, inherits = FALSE) && !bindingIsActive(as.name(name), place)) {
        values[name] <- list(get(name, place, inherits = FALSE))
      }
    }
    place <- parent.env(place)
  }
  values
}

local_value <- function(fit, name) {
  values <- local_values(fit, as.character(name))
  if (length(values) > 0L) values[[1L]]
}

data_variables <- function(expr) setdiff(all.vars(expr), c(".", formula_constants))

# The fit with these data in a new environment, and a call that finds there all that it names. With
# `whole` the data have the rows that subset= and na.action= take away, too.
settle <- function(fit, data, whole) {
  linear <- lme4::isLMM(fit)
  frame <- stats::model.frame(fit)
  formula <- stats::formula(fit)
  call <- stats::getCall(fit)
  env <- new.env(parent = asNamespace("lme4"))
  attr(env, "collation") <- attr(environment(formula), "collation")
  rows <- c("weights", "offset", "subset")
  if (!whole) call$subset <- call$na.action <- NULL
  call$mustart <- call$etastart <- call$start <- call$verbose <- call$devFunOnly <- NULL
  if (!whole) {
    for (name in intersect(c("weights", "offset"), names(call))) {
      values <- frame[[paste0("(", name, ")")]]
      column <- if (is.name(call[[name]])) as.character(call[[name]]) else paste0(".", name)
      if (!(column %in% names(data))) data[[column]] <- values
      call[[name]] <- as.name(column)
    }
  }
  used <- unique(c(all.vars(formula), unlist(lapply(as.list(call)[rows], all.vars))))
  if (!("." %in% used)) data <- data[intersect(names(data), used)]
  for (name in intersect(names(data), names(frame))) {
    data[[name]] <- with_levels_of(data[[name]], frame[[name]])
  }
  beside <- local_values(fit, setdiff(used, names(data)))
  constants <- vapply(beside, function(x) is.atomic(x) && (whole || length(x) == 1L), NA)
  list2env(beside[constants], env)
  for (name in intersect(c("ns", "bs"), formula_calls(formula))) {
    env[[name]] <- getExportedValue("splines", name)
  }
  list2env(Filter(is.function, local_values(fit, setdiff(formula_calls(formula), formula_vocabulary))), env)
  env$data <- data
  environment(formula) <- env
  call[[1L]] <- as.name(if (linear) "lmer" else "glmer")
  call$formula <- formula
  call$data <- quote(data)
  call["contrasts"] <- list(other_contrasts(fit))
  if (is.null(call$contrasts)) call$contrasts <- NULL
  if (linear && !is.null(call$REML)) call$REML <- lme4::isREML(fit)
  if (!linear) call$family <- stats::family(fit)
  if (!is.null(call$nAGQ)) call$nAGQ <- fit@devcomp$dims[["nAGQ"]]
  call$control <- plain_control(fit, call$control)
  fit@call <- call
  attr(fit@frame, "formula") <- formula
  attr(attr(fit@frame, "terms"), ".Environment") <- env
  fit
}

# A control that names nothing, the value of one that was saved, or NULL.
plain_control <- function(fit, control) {
  if (is.name(control)) control <- local_value(fit, control)
  if (is.null(control) || is.list(control)) return(control)
  makers <- c("lmerControl", "glmerControl", "lme4::lmerControl", "lme4::glmerControl")
  calls <- setdiff(formula_calls(control), c(makers, "list", "c", "-", "(", "*", "/", "^"))
  if (length(calls) == 0L && length(setdiff(all.vars(control), c("T", "F"))) == 0L) control
}

# The codings of a fit's factors, if R's options made them others than treatment contrasts; else NULL.
other_contrasts <- function(fit) {
  codings <- attr(lme4::getME(fit, "X"), "contrasts")
  frame <- stats::model.frame(fit)
  usual <- vapply(names(codings), function(name) {
    identical(codings[[name]], if (is.ordered(frame[[name]])) "contr.poly" else "contr.treatment")
  }, NA)
  if (!all(usual)) codings
}

# Text or a factor with the levels, and their order, that it has in the frame.
with_levels_of <- function(column, framed) {
  if (!is.factor(framed) || !(is.factor(column) || is.character(column))) return(column)
  texts <- as.character(column)
  levels <- c(levels(framed), setdiff(unique(texts[!is.na(texts)]), levels(framed)))
  settled <- factor(texts, levels, ordered = is.ordered(framed))
  attr(settled, "contrasts") <- attr(framed, "contrasts")
  settled
}

# A variable that nothing is known of: R would look for its name among attached packages.
hold_place <- function(env, name) {
  asked <- eval(call("function", NULL, call("stop", paste0("the data of the fit have no '", name,
    "': give them, from_r(path, data=...)"), call. = FALSE)), baseenv())
  makeActiveBinding(name, asked, env)
}

# How what lme4 makes of a settled fit's data differs from what the fit has; NULL if it doesn't.
disagreement <- function(fit, settled) {
  linear <- lme4::isLMM(fit)
  ignored <- c("check.nobs.vs.rankZ", "check.nobs.vs.nlev", "check.nlev.gtreq.5", "check.nlev.gtr.1",
    "check.nobs.vs.nRE")
  call <- stats::getCall(settled)
  call[[1L]] <- if (linear) quote(lme4::lFormula) else quote(lme4::glFormula)
  call$nAGQ <- NULL
  maker <- if (linear) lme4::lmerControl else lme4::glmerControl
  call$control <- do.call(maker, stats::setNames(as.list(rep("ignore", 5L)), ignored))
  env <- environment(stats::formula(settled))
  again <- tryCatch(suppressWarnings(suppressMessages(eval(call, env))), error = conditionMessage)
  if (is.character(again)) return(again)
  frame <- stats::model.frame(fit)
  if (!identical(row.names(again$fr), row.names(frame))) {
    return(paste0("the model has ", nrow(frame), " rows, and they give ", nrow(again$fr),
      if (nrow(frame) == nrow(again$fr)) " others"))
  }
  for (name in names(frame)) {
    if (is.null(again$fr[[name]])) return(paste0("they give no '", name, "'"))
    rows <- rows_that_differ(again$fr[[name]], frame[[name]])
    if (length(rows) > 0L) {
      return(paste0("column '", name, "' differs in ", length(rows), " of ", nrow(frame),
        " rows, the first of them ", row.names(frame)[rows[1L]]))
    }
  }
  X <- lme4::getME(fit, "X")
  if (!identical(colnames(again$X), colnames(X))) return("the coefficients have other names")
  odd <- apply(abs(again$X - X), 2L, max) > 1e-8 * apply(abs(X), 2L, max)
  if (any(odd)) return(paste("the design matrix differs in", quoted(colnames(X)[odd])))
  NULL
}

# Rows in which a column has other values; numbers may have gone through text of 15 digits.
rows_that_differ <- function(a, b) {
  if (NROW(a) != NROW(b) || NCOL(a) != NCOL(b)) return(seq_len(NROW(b)))
  same <- if (is.numeric(a) && is.numeric(b)) {
    close <- abs(unclass(a) - unclass(b)) <= 1e-12 * max(abs(b), na.rm = TRUE)
    (is.na(a) & is.na(b)) | (!is.na(close) & close)
  } else {
    as.character(a) == as.character(b) | (is.na(a) & is.na(b))
  }
  same <- matrix(same & !is.na(same), nrow = NROW(b))
  which(rowSums(!same) > 0L)
}

# -- what a model frame tells ------------------------------------------------------------------

# The columns of the data, from those of the model frame that R computed from them.
data_of_frame <- function(fit) {
  frame <- stats::model.frame(fit)
  attr(frame, "terms") <- attr(frame, "formula") <- NULL
  expressions <- lapply(names(frame), function(name) {
    if (name %in% c("(weights)", "(offset)")) return(stats::getCall(fit)[[gsub("[()]", "", name)]])
    tryCatch(if (name %in% data_variables(stats::formula(fit))) as.name(name) else str2lang(name),
      error = function(condition) NULL)
  })
  constants <- Filter(function(x) is.atomic(x) && length(x) == 1L,
    local_values(fit, data_variables(stats::formula(fit))))
  data <- list()
  repeat {
    before <- length(data)
    for (i in seq_along(frame)) {
      for (name in setdiff(all.vars(expressions[[i]]), c(names(data), names(constants)))) {
        value <- solved_for(expressions[[i]], name, frame[[i]], c(data, constants))
        if (!is.null(value) && (is.factor(value) || is.atomic(value))) data[[name]] <- value
      }
    }
    if (length(data) == before) break
  }
  labels <- attr(frame, "row.names")
  structure(data, names = as.character(names(data)), class = "data.frame", row.names = labels)
}

# The value of the variable `name` where the expression has this value; NULL if it can't be told.
solved_for <- function(expr, name, value, known) {
  if (identical(expr, as.name(name))) {
    if (inherits(value, "AsIs")) class(value) <- setdiff(class(value), "AsIs")
    return(value)
  }
  if (!is.call(expr) || !is.name(expr[[1L]])) return(NULL)
  parts <- as.list(expr)[-1L]
  with_it <- which(vapply(parts, function(x) name %in% all.vars(x), NA))
  if (length(with_it) == 0L) return(NULL)
  head <- as.character(expr[[1L]])
  if (head == "cbind") {
    for (i in with_it) {
      value_i <- solved_for(parts[[i]], name, unname(value[, i]), known)
      if (!is.null(value_i)) return(value_i)
    }
    return(NULL)
  }
  if (length(with_it) != 1L) return(NULL)
  inner <- parts[[with_it]]
  if (head %in% c("+", "-", "*", "/") && length(parts) == 2L) {
    other <- parts[[3L - with_it]]
    if (length(setdiff(all.vars(other), names(known))) > 0L ||
      length(setdiff(formula_calls(other), formula_vocabulary)) > 0L) return(NULL)
    b <- eval(other, known, baseenv())
    value <- as.vector(unclass(value))
    value <- switch(head,
      "+" = value - b, "*" = value / b,
      "-" = if (with_it == 1L) value + b else b - value,
      "/" = if (with_it == 1L) value * b else b / value
    )
    return(solved_for(inner, name, value, known))
  }
  if (with_it != 1L) return(NULL)
  plain <- length(parts) == 1L
  numbers <- if (is.numeric(value) && !is.matrix(value)) as.vector(unclass(value))
  value <- switch(head,
    log = if (plain) exp(numbers), log2 = 2^numbers, log10 = 10^numbers, log1p = expm1(numbers),
    exp = log(numbers), expm1 = log1p(numbers), sqrt = numbers^2, offset = numbers,
    I = , "(" = , as.numeric = if (plain) numbers,
    factor = , as.factor = , ordered = , as.ordered = if (plain) numbers_of_levels(value),
    scale = unscaled(value), poly = first_of_polynomial(value)
  )
  if (is.null(value)) return(NULL)
  solved_for(inner, name, value, known)
}

numbers_of_levels <- function(column) {
  numbers <- suppressWarnings(as.numeric(levels(column)))
  if (anyNA(numbers) || !identical(as.character(numbers), levels(column))) return(column)
  numbers[as.integer(column)]
}

unscaled <- function(value) {
  if (!is.matrix(value) || ncol(value) != 1L) return(NULL)
  scale <- attr(value, "scaled:scale")
  center <- attr(value, "scaled:center")
  numbers <- as.vector(value)
  if (!is.null(scale)) numbers <- numbers * scale
  if (is.null(center)) numbers else numbers + center
}

# A polynomial's first column is x, or (x - alpha) over the root of its sum of squares.
first_of_polynomial <- function(value) {
  if (!is.matrix(value) || length(attr(value, "degree")) == 0L) return(NULL)
  coefs <- attr(value, "coefs")
  numbers <- as.vector(value[, 1L])
  if (is.null(coefs)) return(numbers)
  if (is.null(coefs$norm2)) return(NULL)
  numbers * sqrt(coefs$norm2[3L]) + coefs$alpha[1L]
}

frame_columns_with <- function(fit, names) {
  columns <- names(stats::model.frame(fit))
  columns[vapply(columns, function(column) {
    read <- tryCatch(all.vars(str2lang(column)), error = function(condition) character())
    any(names %in% read)
  }, NA)]
}
