# The design of a model, as arrays that Python computes R's model matrices from: the terms of each
# part, the contrasts of its factors, and the calls that only R can evaluate, with the bases of one
# completed data set.

# `model` as for plan_model, `data` a completed frame. Returns the response, the parts, and `calls`,
# which stays in R for evaluate_design and design_values.
compile_design <- function(model, data) {
  plan <- plan_model(model, names(data))
  env <- design_environment(plan$bases)
  formula <- structure(plan$call$formula, class = "formula", .Environment = env)
  wanted <- formula_variables(formula)
  refuse_holes(if ("." %in% wanted) data else data[intersect(wanted, names(data))])
  frame <- design_frame(formula, data)
  variables <- design_variables(frame, data, env)
  frame <- with_fixed_bases(frame, variables, data, env)
  used <- intersect(formula_variables(attr(stats::terms(frame), "variables")), names(data))
  fixed <- formula
  fixed[[3L]] <- without_bars(formula[[3L]])
  fixed <- describe_part(
    stats::terms(fixed, data = frame), frame, variables, data,
    codings_of_levels(plan$call$contrasts, data)
  )
  bars <- find_bars(formula)
  groups <- lme4::mkReTrms(bars, frame, reorder.terms = FALSE)$flist
  groups <- unclass(groups)[attr(groups, "assign")]
  random <- Map(function(bar, group) describe_bar(bar, group, frame, variables, data), bars, groups)
  offset <- describe_offset(frame, variables, data)
  parts <- c(list(fixed, offset), unname(lapply(random, `[[`, "design")))
  calls <- do.call(c, lapply(parts, `[[`, "calls"))
  calls <- structure(list(
    variables = calls[!duplicated(names(calls))], bases = plan$bases,
    columns = lapply(unclass(data)[used], column_kind)
  ), class = "design_calls")
  refuse_row_dependence(calls, data)
  list(
    response = response_facts(formula[[2L]], names(data)), fixed = fixed[names(fixed) != "calls"],
    offset = offset[names(offset) != "calls"], random = unname(random), variables = used,
    levels = Filter(Negate(is.null), lapply(calls$columns, `[[`, "levels")), calls = calls
  )
}

# Where the calls of a formula find their functions, as in fit_model.
design_environment <- function(bases) {
  env <- new.env(parent = asNamespace("lme4"))
  for (name in bases) env[[name]] <- getExportedValue("splines", name)
  env
}

# The model frame that lme4 makes: all variables, text as factors, and no level that no row has.
design_frame <- function(formula, data) {
  frame <- stats::model.frame(
    subbars_of(formula), data, drop.unused.levels = TRUE, na.action = stats::na.pass
  )
  refuse_holes(frame)
  texts <- vapply(frame, is.character, NA)
  frame[texts] <- lapply(frame[texts], factor)
  frame
}

refuse_holes <- function(frame) {
  holed <- vapply(unclass(frame), function(values) {
    anyNA(values) || (is.numeric(values) && !all(is.finite(values)))
  }, NA)
  if (any(holed)) {
    stop("missing or infinite values in ", quoted(names(frame)[holed]), ": the model needs finite ",
      "values in all rows", call. = FALSE)
  }
}

# The expression of each variable of the frame, by its name there, with the bases of `data`.
design_variables <- function(frame, data, env) {
  terms <- stats::terms(frame)
  variables <- as.list(attr(terms, "predvars"))[-1L]
  names(variables) <- variable_names(terms)
  lapply(variables, with_inner_bases, data, env)
}

# Names as stats::model.frame and stats::model.matrix make them.
variable_names <- function(terms) {
  vapply(as.list(attr(terms, "variables"))[-1L], function(expr) {
    paste(deparse(expr, width.cutoff = 500L, backtick = !is.symbol(expr) && is.language(expr)),
      collapse = " ")
  }, "")
}

# R fixes the basis of a variable of the formula, poly(x, 2), but not of a call within it, as in
# I(scale(x)^2).
with_inner_bases <- function(expr, data, env) {
  if (!is.call(expr)) return(expr)
  for (i in seq_along(expr)[-1L]) {
    if (!is.call(expr[[i]])) next
    inner <- with_inner_bases(expr[[i]], data, env)
    if (is_basis(inner)) inner <- stats::makepredictcall(eval(inner, data, env), inner)
    expr[[i]] <- inner
  }
  expr
}

is_basis <- function(expr) {
  head <- expr[[1L]]
  if (is_namespaced(head)) head <- head[[3L]]
  is.name(head) && as.character(head) %in% c("poly", "ns", "bs", "scale")
}

# The frame with the values that the variables have by their fixed bases. Those of poly() differ, by
# rounding, from those that R first computed, the more the more rows there are.
with_fixed_bases <- function(frame, variables, data, env) {
  terms <- stats::terms(frame)
  written <- as.list(attr(terms, "variables"))[-1L]
  for (i in setdiff(seq_along(written), attr(terms, "response"))) {
    if (is_coded(frame[[i]]) || identical(written[[i]], variables[[i]])) next
    values <- as.double(eval(variables[[i]], data, env))
    if (!isTRUE(all.equal(values, as.double(frame[[i]]), tolerance = 1e-6))) {
      stop("R computes other values of '", names(variables)[i], "' where it keeps its basis",
        call. = FALSE)
    }
    frame[[i]][] <- values
  }
  frame
}

# A part: the names of its columns; the variables of its terms; for each term the variables (from 0)
# and how each is coded, by its contrasts (1) or by indicators of all its levels (2).
describe_part <- function(terms, frame, variables, data, contrasts = NULL) {
  names <- variable_names(terms)
  if (anyDuplicated(names)) {
    stop("lme4 takes '.' of the formula for ", quoted(names[duplicated(names)]), ", too: name the ",
      "columns in its place", call. = FALSE)
  }
  matrix <- stats::model.matrix(terms, frame, contrasts)
  factors <- attr(terms, "factors")
  intercept <- attr(terms, "intercept") == 1L
  coded <- vapply(names, function(name) is_coded(frame[[name]]), NA)
  if (!intercept) factors <- with_first_indicators(factors, coded, attr(terms, "response"))
  there <- setdiff(unique(attr(matrix, "assign")), 0L)
  used <- names[if (length(there) > 0L) rowSums(factors[, there, drop = FALSE]) > 0 else FALSE]
  described <- lapply(used, function(name) {
    coding <- attr(matrix, "contrasts")[[name]]
    describe_variable(variables[[name]], name, frame[[name]], data, coding)
  })
  list(
    names = colnames(matrix), intercept = intercept,
    variables = lapply(described, function(variable) variable[names(variable) != "call"]),
    terms = lapply(there, function(j) {
      codes <- factors[match(used, names), j]
      list(variables = which(codes > 0L) - 1L, codes = unname(codes[codes > 0L]))
    }),
    matrix = unname(matrix), calls = described_calls(described), is_sum = FALSE
  )
}

is_coded <- function(values) is.factor(values) || is.logical(values)

# Without an intercept the first factor of the first term that has one is coded by indicators.
with_first_indicators <- function(factors, coded, response) {
  for (j in seq_len(NCOL(factors) * (length(factors) > 0L))) {
    if (response > 0L && factors[response, j] > 0L) next
    first <- which(coded & factors[, j] > 0L)
    if (length(first) > 0L) {
      factors[first[1L], j] <- 2L
      break
    }
  }
  factors
}

# A variable of a part: `column` if it is one; the columns that it needs; the contrasts of its
# levels, NULL for numbers; how many columns it has; and what numpy and R evaluate a call from.
describe_variable <- function(expr, name, values, data, coding) {
  plain <- is.name(expr) && as.character(expr) %in% names(data)
  if (plain && is.factor(values) && is.numeric(data[[as.character(expr)]])) {
    expr <- call("factor", expr) # a number that is a grouping factor, too
    name <- deparse1(expr)
    plain <- FALSE
  }
  list(
    name = name, column = if (plain) as.character(expr),
    needs = intersect(formula_variables(expr), names(data)),
    contrasts = if (is_coded(values)) contrast_rows(values, coding),
    width = NCOL(values), arithmetic = if (!plain) arithmetic_tree(expr, data),
    call = if (!plain) list(expr = expr, levels = if (is_coded(values)) levels(as_coded(values)))
  )
}

# A call of plain arithmetic on columns of numbers, as arithmetic.py reads it; NULL for any other.
arithmetic_tree <- function(expr, data) {
  if (is.numeric(expr) && length(expr) == 1L) return(as.double(expr))
  if (is.name(expr)) {
    column <- data[[as.character(expr)]]
    return(if (is.numeric(column) && !is.object(column)) as.character(expr))
  }
  if (is.call(expr) && identical(expr[[1L]], quote(scale))) return(scale_tree(expr, data))
  if (!is.call(expr) || !is.name(expr[[1L]]) || !is.null(names(expr))) return(NULL)
  arguments <- lapply(as.list(expr)[-1L], arithmetic_tree, data)
  if (any(vapply(arguments, is.null, NA))) return(NULL)
  name <- as.character(expr[[1L]])
  if (length(arguments) == 2L && name %in% c("+", "-", "*", "/", "^")) return(c(name, arguments))
  if (length(arguments) != 1L) return(NULL)
  if (name %in% c("I", "(", "+", "offset")) return(arguments[[1L]])
  if (name == "-") return(c("negative", arguments))
  if (name %in% c("log", "log2", "log10", "log1p", "exp", "expm1", "sqrt", "abs")) {
    c(name, arguments)
  }
}

# scale(x, center = 0.2, scale = 1.5), its numbers being those of a basis, as (x - 0.2) / 1.5.
scale_tree <- function(expr, data) {
  parts <- as.list(match.call(base::scale.default, expr))[-1L]
  column <- arithmetic_tree(parts$x, data)
  if (is.null(column) || !is.numeric(parts$center) || length(parts$center) != 1L) return(NULL)
  centered <- list("-", column, as.double(parts$center))
  if (identical(parts$scale, FALSE)) return(centered)
  if (is.numeric(parts$scale)) list("/", centered, as.double(parts$scale))
}

as_coded <- function(values) {
  if (is.logical(values)) factor(values, levels = c(FALSE, TRUE)) else values
}

# The rows of a coding, the name of a function or a matrix, as model.matrix finds it from stats.
contrast_rows <- function(values, coding) {
  if (is.character(coding)) {
    coding <- get(coding, asNamespace("stats"), mode = "function")(levels(as_coded(values)))
  }
  unname(as.matrix(coding))
}

described_calls <- function(described) {
  calls <- lapply(described, `[[`, "call")
  names(calls) <- vapply(described, `[[`, "", "name")
  calls[!vapply(calls, is.null, NA)]
}

# A random term: the design of its left side, with R's usual contrasts as in lme4, and its groups.
describe_bar <- function(bar, group, frame, variables, data) {
  for (name in intersect(all.vars(bar[[3L]]), names(frame))) {
    if (!is.factor(frame[[name]])) frame[[name]] <- factor(frame[[name]])
  }
  if ("." %in% formula_variables(bar[[2L]])) {
    stop("(", deparse1(bar), ") has '.' among its random terms: name the columns", call. = FALSE)
  }
  left <- structure(call("~", bar[[2L]]), class = "formula", .Environment = baseenv())
  terms <- stats::terms(left)
  list(
    design = describe_part(terms, frame, variables, data), group = deparse1(bar[[3L]]),
    columns = intersect(formula_variables(bar[[3L]]), names(data)),
    codes = as.integer(group) - 1L, levels = levels(group)
  )
}

# The sum of the terms offset(...): a part of variables without terms. NULL if there are none.
describe_offset <- function(frame, variables, data) {
  names <- names(variables)[attr(stats::terms(frame), "offset")]
  if (length(names) == 0L) return(NULL)
  described <- lapply(names, function(name) {
    describe_variable(variables[[name]], name, as.numeric(frame[[name]]), data, NULL)
  })
  list(
    names = paste(names, collapse = " + "), intercept = FALSE,
    variables = lapply(described, function(variable) variable[names(variable) != "call"]),
    terms = list(), matrix = unname(as.matrix(stats::model.offset(frame))),
    calls = described_calls(described), is_sum = TRUE
  )
}

# The response's text; the column and the function where it is a column or a plain call of one.
response_facts <- function(expr, columns) {
  inner <- expr
  if (is.call(expr) && length(expr) == 2L && is.name(expr[[1L]]) && is.null(names(expr)) &&
    as.character(expr[[1L]]) %in% c("log", "log2", "log10", "log1p", "exp", "expm1", "sqrt")) {
    inner <- expr[[2L]]
  }
  plain <- is.name(inner) && as.character(inner) %in% columns
  list(
    text = deparse1(expr), column = if (plain) as.character(inner),
    transformation = if (plain && is.call(expr)) as.character(expr[[1L]])
  )
}

# What makes a column of the data again from numbers: `levels` are those that rows have.
column_kind <- function(column) {
  if (is.factor(column)) {
    return(list(kind = "factor", levels = levels(droplevels(column)), labels = levels(column),
      class = class(column)))
  }
  if (is.character(column)) return(list(kind = "text", levels = levels(factor(column))))
  if (is.object(column)) return(list(kind = "classed", attributes = attributes(column)))
  list(kind = typeof(column))
}

# The columns of a frame as Python has them: numbers, and codes from 0 where there are levels.
design_values <- function(calls, data) {
  lapply(stats::setNames(names(data), names(data)), function(name) {
    levels <- calls$columns[[name]]$levels
    if (is.null(levels)) return(as.double(data[[name]]))
    level_codes(data[[name]], levels, name)
  })
}

level_codes <- function(values, levels, name) {
  texts <- as.character(values)
  codes <- match(texts, levels)
  new <- unique(texts[is.na(codes) & !is.na(texts)])
  if (length(new) > 0L) {
    stop("'", name, "' has the new value ", quoted(new[1L]), ": the design was made for ",
      quoted(levels), call. = FALSE)
  }
  codes[is.na(codes)] <- 0L
  codes - 1L
}

# A column of numbers or codes as it was in the data.
restore_column <- function(values, column) {
  switch(column$kind,
    logical = values != 0,
    integer = if (all(is.na(values) | (values == floor(values) & abs(values) < 2^31))) {
      as.integer(values)
    } else {
      values
    },
    text = column$levels[code_positions(values, column$levels)],
    factor = structure(
      match(column$levels, column$labels)[code_positions(values, column$levels)],
      levels = column$labels, class = column$class
    ),
    classed = `attributes<-`(values, column$attributes),
    values
  )
}

# Codes from 0 as R's positions, NA for -1.
code_positions <- function(codes, levels) {
  odd <- codes < -1 | codes >= length(levels)
  if (any(odd)) {
    stop("the code ", codes[odd][1L], " is none of the levels ", quoted(levels), call. = FALSE)
  }
  codes[codes < 0] <- NA
  codes + 1
}

# The variables `names` of the design for columns of numbers and codes: each a matrix of numbers, or
# codes from 0 (-1 where R has NA).
evaluate_design <- function(calls, names, values) {
  columns <- Map(restore_column, values, calls$columns[names(values)])
  env <- design_environment(calls$bases)
  lapply(unname(calls$variables[names]), evaluate_variable, columns, env, length(values[[1L]]))
}

# The value of a variable: texts where it is coded, NA among them, otherwise a matrix of numbers.
variable_value <- function(variable, columns, env, n) {
  value <- eval(variable$expr, columns, env)
  if (is.null(variable$levels)) matrix(as.double(value), n) else as.character(value)
}

evaluate_variable <- function(variable, columns, env, n) {
  value <- variable_value(variable, columns, env, n)
  if (is.null(variable$levels)) return(value)
  level_codes(value, variable$levels, deparse1(variable$expr))
}

# Stops if a call gives a row another value when other rows are left out, as cut(x, 3) does.
refuse_row_dependence <- function(calls, data) {
  data <- unclass(data)[names(calls$columns)]
  env <- design_environment(calls$bases)
  n <- length(data[[1L]])
  for (name in names(calls$variables)) {
    value_of <- function(rows) {
      variable_value(calls$variables[[name]], lapply(data, `[`, rows), env, length(rows))
    }
    whole <- value_of(seq_len(n))
    for (rows in list(seq_len(ceiling(n / 2)), seq_len(n)[-1L], 1L, n)) {
      same <- if (is.matrix(whole)) whole[rows, , drop = FALSE] else whole[rows]
      # relevel() stops where no row has the level.
      part <- tryCatch(value_of(rows), error = function(condition) NULL)
      if (is.null(part) || isTRUE(all.equal(part, same, tolerance = 1e-9))) next
      stop("'", name, "' gives a row another value when other rows change: give what it takes ",
        "from the data as numbers, as in cut(x, c(0, 1, 2))", call. = FALSE)
    }
  }
}
