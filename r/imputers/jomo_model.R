# A formula as jomo.lmer would read it.

# What a formula says, for the checks of Python's side: nothing of it is evaluated.
describe_jomo_model <- function(text, columns) {
  double <- "||" %in% formula_calls(str2lang(text))
  expr <- parse_formula(text, columns, character(), may_allow = FALSE)
  bars <- lapply(find_bars(expr), function(bar) {
    list(text = deparse1(bar), group = name_of(bar[[3L]]),
         terms = vapply(summands(bar[[2L]]), plain_term, ""))
  })
  fixed <- expr
  fixed[[3L]] <- without_bars(expr[[3L]])
  parsed <- stats::terms(structure(fixed, class = "formula", .Environment = baseenv()),
                         allowDotAsName = TRUE)
  variables <- as.list(attr(parsed, "variables"))[-(1:2)]
  factors <- attr(parsed, "factors")
  terms <- lapply(seq_along(attr(parsed, "term.labels")), function(i) {
    part <- variables[factors[-1L, i] > 0L]
    list(columns = vapply(part, base_of, ""), powers = vapply(part, power_of, 0))
  })
  list(
    double = double, response = name_of(expr[[2L]]), response_text = deparse1(expr[[2L]]),
    right = formula_variables(expr[[3L]]), bars = bars, terms = terms,
    intercept = attr(parsed, "intercept") == 1L,
    others = vapply(Filter(function(x) base_of(x) == "", variables), deparse1, ""),
    nested = "%in%" %in% formula_calls(fixed),
    # Until then jomo.glmer drew missing responses, and did not write them down.
    imputes_binary = utils::packageVersion("jomo") >= "2.7-5"
  )
}

name_of <- function(expr) if (is.name(expr)) as.character(expr) else ""

summands <- function(expr) {
  if (is.call(expr) && identical(expr[[1L]], quote(`+`)) && length(expr) == 3L) {
    return(c(summands(expr[[2L]]), list(expr[[3L]])))
  }
  list(expr)
}

# "1" for an intercept, a column's name, or "" for what is neither. No column is called "1" here,
# since its name would be in backticks.
plain_term <- function(expr) {
  if (is.numeric(expr) && expr == 1) return("1")
  if (identical(name_of(expr), "1")) "" else name_of(expr)
}

# The column of x and of I(x^2), and its power.
base_of <- function(expr) {
  if (is.name(expr)) return(as.character(expr))
  if (is_power(expr)) as.character(expr[[2L]][[2L]]) else ""
}

power_of <- function(expr) if (is_power(expr)) as.numeric(expr[[2L]][[3L]]) else 1

is_power <- function(expr) {
  is.call(expr) && identical(expr[[1L]], quote(I)) && length(expr) == 2L && is.call(expr[[2L]]) &&
    identical(expr[[2L]][[1L]], quote(`^`)) && is.name(expr[[2L]][[2L]]) &&
    is.numeric(expr[[2L]][[3L]]) && expr[[2L]][[3L]] >= 1 && expr[[2L]][[3L]] %% 1 == 0
}
