# The family of a generalised model is data, too: a name, or a call with the link or with theta.

family_packages <- c(
  binomial = "stats", poisson = "stats", Gamma = "stats", inverse.gaussian = "stats",
  gaussian = "stats", quasi = "stats", quasibinomial = "stats", quasipoisson = "stats",
  negative.binomial = "MASS"
)
family_links <- c(
  "logit", "probit", "cauchit", "cloglog", "log", "identity", "sqrt", "inverse", "1/mu^2"
)

# The call that makes the family which `text` names, such as "poisson" or "binomial(link = 'log')";
# stops where it would call something else, before anything is evaluated.
parse_family <- function(text) {
  if (is.null(text)) return(NULL)
  expr <- tryCatch(str2lang(text), error = function(condition) text)
  if (!is.call(expr) || is_namespaced(expr)) expr <- as.call(list(expr))
  head <- expr[[1L]]
  name <- as.character(if (is_namespaced(head)) head[[3L]] else head)
  package <- if (length(name) == 1L) family_packages[name] else NA
  if (is.na(package) || (is_namespaced(head) && as.character(head[[2L]]) != package)) {
    stop("the family '", text, "' is none of ", paste(names(family_packages), collapse = ", "),
      call. = FALSE)
  }
  arguments <- lapply(as.list(expr)[-1L], family_argument, text)
  as.call(c(call("::", as.name(package), as.name(name)), arguments))
}

# A link, by its name or as a text, or a number; quasi()'s variance is taken as text, for lme4 to refuse.
family_argument <- function(value, text) {
  if (is.name(value)) value <- as.character(value)
  if (is.numeric(value) || is_one_of(value, c(family_links, "constant", "mu", "mu^2"))) return(value)
  stop("the family '", text, "' has ", deparse1(value), " as an argument: it takes a number (theta), ",
    "or one of the links ", paste(family_links, collapse = ", "), call. = FALSE)
}
