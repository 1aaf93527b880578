# Random terms of a formula, worked on as the expressions that they are. lme4 expands (x + z || g) by
# writing it down without backticks and parsing the text again, which makes code of a column's name.
# So double bars are expanded here, and lme4 gets formulas without them.

# `expr` with each double bar as lme4::expandDoubleVerts() has it: (x + z || g) becomes
# ((1 | g) + (0 + x | g) + (0 + z | g)).
expand_double_bars <- function(expr) {
  expanded <- expand_within(expr)
  if ("||" %in% formula_calls(expanded)) {
    stop("'||' stands between random terms and their group, as in (x + z || g), and nowhere else",
      call. = FALSE)
  }
  expanded
}

expand_within <- function(expr) {
  if (!is.call(expr)) return(expr)
  if (identical(expr[[1L]], quote(`||`)) && length(expr) == 3L) return(uncorrelated_terms(expr))
  for (i in seq_along(expr)[-1L]) {
    if (is.call(expr[[i]])) expr[[i]] <- expand_within(expr[[i]])
  }
  expr
}

# What one double bar stands for: separate random terms for the intercept and for each term.
uncorrelated_terms <- function(bar) {
  terms <- separate_terms(bar)
  bars <- lapply(terms, function(term) call("(", call("|", term, bar[[3L]])))
  Reduce(function(left, right) call("+", left, right), bars)
}

separate_terms <- function(bar) {
  left <- bar[[2L]]
  if (any(c("|", "||") %in% c(formula_calls(left), formula_calls(bar[[3L]])))) {
    stop("(", deparse1(bar), ") has a bar within a bar: write each random term in brackets of its ",
      "own", call. = FALSE)
  }
  if ("." %in% formula_variables(left)) {
    stop("(", deparse1(bar), ") has '.' among its random terms: name the columns", call. = FALSE)
  }
  parsed <- stats::terms(structure(call("~", left), class = "formula", .Environment = baseenv()))
  variables <- lapply(as.list(attr(parsed, "variables"))[-1L], with_numbers_as_written)
  for (variable in variables) refuse_loose(variable, bar)
  factors <- attr(parsed, "factors")
  products <- lapply(seq_along(attr(parsed, "term.labels")), function(i) {
    Reduce(function(left, right) call(":", left, right), variables[factors[, i] > 0L])
  })
  terms <- c(
    if (attr(parsed, "intercept") != 0L) list(1),
    lapply(products, function(term) call("+", 0, term))
  )
  if (length(terms) == 0L) {
    stop("(", deparse1(bar), ") has no random term: leave it out", call. = FALSE)
  }
  terms
}

# The labels of terms that lme4 reads have 15 digits of a number, and no mark of an integer.
with_numbers_as_written <- function(expr) {
  if (is.numeric(expr)) return(as.numeric(deparse(expr, control = NULL)))
  if (!is.call(expr)) return(expr)
  for (i in seq_along(expr)[-1L]) {
    if (!identical(expr[[i]], quote(expr = ))) expr[[i]] <- with_numbers_as_written(expr[[i]])
  }
  expr
}

# In 0 + x > 1 the sum would come first, as it does where lme4 writes it.
refuse_loose <- function(variable, bar) {
  loose <- c("==", "!=", "<", ">", "<=", ">=", "!", "&", "&&")
  if (is.call(variable) && is.name(variable[[1L]]) && as.character(variable[[1L]]) %in% loose) {
    stop("(", deparse1(bar), ") has ", deparse1(variable), " as a random term: write I(",
      deparse1(variable), ")", call. = FALSE)
  }
}

# The random terms of a formula without double bars: calls of `|`.
find_bars <- function(formula) {
  if (has_package("reformulas")) reformulas::findbars(formula) else lme4::findbars(formula)
}

# The right side of a formula without its random terms; 1 if there is nothing else.
without_bars <- function(expr) {
  if (has_package("reformulas")) reformulas::nobars(expr) else lme4::nobars(expr)
}

# The formula with each bar replaced by a sum, so that it names all variables.
subbars_of <- function(formula) {
  if (has_package("reformulas")) reformulas::subbars(formula) else lme4::subbars(formula)
}
