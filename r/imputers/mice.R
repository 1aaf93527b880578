# mice's imputations of `data`; see imputed.R. In `args` texts stand for formulas, and what names
# columns or blocks is a list by their names.
run_mice <- function(data, m, args) {
  args <- mice_arguments(data, args)
  call <- as.call(c(list(quote(mice::mice), data = quote(data), m = m), args))
  out <- eval(call)
  for (text in mice_told(out$loggedEvents)) warning(text, call. = FALSE)
  list(object = out, answer = mice_answer(data, out))
}

mice_answer <- function(data, out) {
  # Multivariate methods drop complete columns from `imp`, whose rest complete() would then take by
  # the wrong positions.
  out$imp <- sapply(names(data), function(name) out$imp[[name]], simplify = FALSE)
  frames <- lapply(seq_len(out$m), function(i) mice::complete(out, i))
  open <- out$where
  list(
    log = mice_log(out$loggedEvents),
    trace = mice_trace(out),
    saw = mice_models(data, out),
    cells = changed_cells(data, frames, open),
    altered = altered_cells(data, frames, !open & !is.na(data))
  )
}

# The names of mice's own imputation functions, as `method` takes them. Others, such as a user's, are
# code that this library can't know.
mice_methods <- function() {
  prefix <- "mice.impute."
  exported <- getNamespaceExports("mice")
  methods <- substring(exported[startsWith(exported, prefix)], nchar(prefix) + 1L)
  sort(setdiff(methods, "passive"), method = "radix")
}

# What R would run as code, checked: names of columns and methods, formulas, and the commands in
# `post`. Stops at the first that may not be run; Python asks before it calls run_mice, too.
check_mice_code <- function(columns, args) {
  pasted <- !is_plain_name(columns)
  if (any(pasted)) {
    stop("mice writes the names of columns into formulas, and ",
      paste0("'", columns[pasted], "'", collapse = ", "), " would be no name in R: rename the ",
      "column, for instance to '", plain_names(columns[pasted][1L]), "'", call. = FALSE)
  }
  check_mice_methods(unlist(args$method), columns)
  check_mice_methods(args$defaultMethod, columns)
  for (text in args$formulas) check_mice_formula(text, columns, unlist(args$method))
  for (name in names(args$post)) check_post(args$post[[name]], name)
  invisible(TRUE)
}

check_mice_methods <- function(methods, columns) {
  for (method in methods) {
    if (startsWith(method, "~")) {
      check_passive(method, columns)
    } else if (!method %in% c("", mice_methods())) {
      stop("'", method, "' is no imputation method of mice's: it has ",
        paste(mice_methods(), collapse = ", "), ", and formulas such as '~ I(a / b)'", call. = FALSE)
    }
  }
}

# mice makes a design of a formula by model.matrix(), which knows no offsets and no random terms.
check_mice_formula <- function(text, columns, methods) {
  expr <- parse_formula(text, columns, character(), may_allow = FALSE)
  if (any(c("offset", "stats::offset") %in% formula_calls(expr))) {
    stop("the formula '", text, "' has an offset, which mice leaves out without a word",
      call. = FALSE)
  }
  if (length(find_bars(expr)) > 0L && !any(multilevel_functions %in% methods)) {
    stop("the formula '", text, "' has a random term, which mice knows only with the methods ",
      paste0("'", multilevel_functions, "'", collapse = " and "), ": for others give ",
      "predictor_matrix, with -2 for the groups", call. = FALSE)
  }
}

passive_functions <- c("sum", "mean", "min", "max", "rowSums", "rowMeans", "trunc", "[", "nchar")

# A passive method: a formula without a response that computes a column from others.
check_passive <- function(text, columns) {
  expr <- str2lang(text)
  what <- paste0("the passive method '", text, "'")
  if (!is.call(expr) || !identical(expr[[1L]], quote(`~`)) || length(expr) != 2L) {
    stop(what, " is no formula such as '~ I(a / b)'", call. = FALSE)
  }
  check_calls(expr, what, passive_functions, may_allow = FALSE)
  refuse_unknown(formula_variables(expr), columns, what)
  refuse_shadowed(expr, columns)
}

post_functions <- c(
  passive_functions, "<-", "[[", "$", "{", "squeeze", "mice::squeeze", "levels", "rep", "length",
  "nrow", "which", "as.vector"
)
# What mice's sampler has when it runs a command of `post`.
post_variables <- c("imp", "data", "r", "where", "i", "j", "k", "m", "y", "ry", "wy")

# A command of `post`, which mice runs after each imputation of the column `name`: it may assign to
# parts of `imp` only.
check_post <- function(text, name) {
  what <- paste0("post of '", name, "'")
  for (expr in as.list(str2expression(text))) {
    if (!is.call(expr) || !identical(expr[[1L]], quote(`<-`)) || !is_part_of_imp(expr[[2L]])) {
      stop(what, " must assign to a part of 'imp', as in 'imp[[j]][, i] <- squeeze(imp[[j]][, i], ",
        "c(0, 10))': '", deparse1(expr), "' does not", call. = FALSE)
    }
    check_calls(expr, what, post_functions, may_allow = FALSE)
    if ("<-" %in% c(formula_calls(expr[[2L]]), formula_calls(expr[[3L]]))) {
      stop(what, " assigns within '", deparse1(expr), "': write one assignment a line", call. = FALSE)
    }
    refuse_unknown(formula_variables(without_fields(expr)), post_variables, what)
  }
}

# Whether it is imp[[...]], imp$x, imp[[...]][...] and so on.
is_part_of_imp <- function(target) {
  if (!is.call(target) || !as.character(target[[1L]])[1L] %in% c("[", "[[", "$")) return(FALSE)
  identical(target[[2L]], quote(imp)) || is_part_of_imp(target[[2L]])
}

# The expression with `x` in place of `x$name`: that name is no variable.
without_fields <- function(expr) {
  if (!is.call(expr)) return(expr)
  if (identical(expr[[1L]], quote(`$`))) {
    if (!is.name(expr[[3L]]) && !is.character(expr[[3L]])) return(expr)
    return(without_fields(expr[[2L]]))
  }
  as.call(c(expr[[1L]], lapply(call_arguments(expr), without_fields)))
}

refuse_unknown <- function(variables, known, what) {
  unknown <- setdiff(variables, c(known, formula_constants))
  if (length(unknown) > 0L) {
    stop(what, " names ", paste0("'", unknown, "'", collapse = ", "), ", and knows only ",
      paste0("'", known, "'", collapse = ", "), call. = FALSE)
  }
}

# The arguments as mice() takes them.
mice_arguments <- function(data, args) {
  check_mice_code(names(data), args)
  if (!is.null(args$method)) args$method <- unlist(args$method)
  if (!is.null(args$predictorMatrix)) {
    given <- args$predictorMatrix
    args$predictorMatrix <- given$types
    dimnames(args$predictorMatrix) <- list(given$rows, given$columns)
  }
  if (!is.null(args$formulas)) {
    args$formulas <- lapply(args$formulas, function(text) {
      expr <- parse_formula(text, names(data), character())
      structure(expr, class = "formula", .Environment = globalenv())
    })
  }
  if (!is.null(args$post)) {
    post <- mice::make.post(data)
    post[names(args$post)] <- unlist(args$post)
    args$post <- post
  }
  args
}

# Means and variances of the imputed values, per iteration; of factors those of their codes.
mice_trace <- function(out) {
  has_values <- vapply(dimnames(out$chainMean)[[1L]], function(name) {
    NROW(out$imp[[name]]) > 0L && !all(is.na(out$imp[[name]]))
  }, NA)
  columns <- names(has_values)[has_values]
  if (length(columns) == 0L || out$iteration == 0L) {
    return(list(imputation = integer(), iteration = integer(), parameter = character(),
      value = numeric()))
  }
  steps <- seq_len(out$iteration)
  grid <- expand.grid(column = columns, of = c("mean", "var"), iteration = steps,
    imputation = seq_len(out$m), stringsAsFactors = FALSE)
  means <- grid$of == "mean"
  cells <- cbind(
    match(grid$column, dimnames(out$chainMean)[[1L]]), grid$iteration, grid$imputation
  )
  list(
    imputation = grid$imputation, iteration = grid$iteration,
    parameter = paste0(grid$of, "(", grid$column, ")"),
    value = ifelse(means, out$chainMean[cells], out$chainVar[cells])
  )
}

# For each imputed column, its method and what that sees. 2l.norm uses predictors of type 2 alone.
mice_models <- function(data, out) {
  models <- lapply(names(out$blocks), function(block) {
    method <- out$method[[block]]
    columns <- out$blocks[[block]]
    if (method == "") return(NULL)
    class <- character()
    types <- if (block %in% rownames(out$predictorMatrix)) out$predictorMatrix[block, ]
    if (startsWith(method, "~")) {
      predictors <- formula_variables(str2lang(method))
    } else if (method %in% c("sample", "mean")) {
      predictors <- character()
    } else if (identical(unname(attr(out$blocks, "calltype")[block]), "formula")) {
      predictors <- all.vars(out$formulas[[block]][[3L]])
    } else {
      predictors <- names(types)[if (method == "2l.norm") types %in% c(-2, 2) else types != 0]
      if (startsWith(method, "2l") || method %in% multilevel_functions) {
        class <- names(types)[types == -2]
      }
    }
    predictors <- intersect(names(data), predictors)
    coded <- predictors[vapply(data[predictors], is.factor, NA)]
    lapply(columns, function(column) list(
      columns = column, method = if (startsWith(method, "~")) "passive" else method,
      predictors = predictors, groups = unique(c(class, coded)),
      level = if (startsWith(method, "2lonly")) class
    ))
  })
  do.call(c, c(list(list()), models))
}

multilevel_functions <- c("panImpute", "jomoImpute")

# What mice noted of a column: that it is constant or collinear (text counts as constant), or what
# came up in its imputation, such as predictors that were dropped.
mice_events <- function(events) {
  setup <- events$dep == ""
  ifelse(setup,
    paste0("'", events$out, "' is ", events$meth, ": mice neither imputes it nor imputes from it"),
    paste0(events$dep, " (", events$meth, "): ", events$out))
}

mice_log <- function(events) {
  if (is.null(events)) return(character())
  texts <- mice_events(events)
  at <- paste0("iteration ", events$it, ", imputation ", events$im, ": ")
  paste0(ifelse(events$it > 0, at, ""), texts)
}

# The same for a warning: each text once, with how often it came up.
mice_told <- function(events) {
  if (is.null(events)) return(character())
  texts <- mice_events(events)
  each <- unique(texts)
  times <- tabulate(match(texts, each))
  paste0("logged event: ", each, ifelse(times > 1L, paste0(" (", times, " times)"), ""))
}
