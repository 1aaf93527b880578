# Formulas are data: they are parsed without being evaluated, and name only what is listed here.

formula_vocabulary <- c(
  "~", "+", "-", "*", "/", "^", ":", "%in%", "%%", "%/%", "(", "|", "||", "&", "&&", "!",
  "==", "!=", "<", ">", "<=", ">=", "I", "c", "log", "log2", "log10", "log1p", "exp", "expm1",
  "sqrt", "abs", "sin", "cos", "tan", "tanh", "poly", "ns", "bs", "scale", "factor", "ordered",
  "as.factor", "as.ordered", "as.numeric", "as.integer", "as.character", "as.logical", "cut",
  "interaction", "offset", "cbind", "C", "relevel", "round", "floor", "ceiling", "sign", "pmin",
  "pmax", "ifelse", "is.na", "dummy", "contr.treatment", "contr.sum", "contr.helmert",
  "contr.poly", "contr.SAS"
)
formula_packages <- c("stats", "base", "splines", "lme4")
formula_constants <- c("pi", "T", "F", "contr.treatment", "contr.sum", "contr.helmert",
                       "contr.poly", "contr.SAS")

# The formula that `text` spells, in `env`; stops with what is wrong before anything is evaluated.
parse_formula <- function(text, columns, allow, env) {
  expr <- str2lang(text)
  if (!is.call(expr) || !identical(expr[[1L]], as.name("~"))) {
    stop("this is not a formula: '", text, "' has no '~' at its top", call. = FALSE)
  }
  if (length(expr) != 3L) {
    stop("the formula '", text, "' has no response: write 'response ~ terms'", call. = FALSE)
  }
  used <- formula_calls(expr)
  refused <- setdiff(used, c(formula_vocabulary, allow))
  refused <- refused[!vapply(strsplit(refused, "::", fixed = TRUE), function(parts) {
    length(parts) == 2L && parts[1L] %in% formula_packages && parts[2L] %in% formula_vocabulary
  }, NA)]
  if (length(refused) > 0L) {
    stop("the formula calls ", paste0("'", refused, "'", collapse = ", "), ", which ",
      if (length(refused) == 1L) "is" else "are",
      " not on the list of functions that a formula may call; if it is meant, name it in `allow`",
      call. = FALSE
    )
  }
  unknown <- setdiff(formula_variables(expr), c(columns, formula_constants, "."))
  if (length(unknown) > 0L) {
    stop("the formula names ", paste0("'", unknown, "'", collapse = ", "),
      ", not among the columns ", paste0("'", columns, "'", collapse = ", "), call. = FALSE
    )
  }
  # lme4 evaluates its formula here: splines' two bases are found without being attached.
  if ("ns" %in% used) env$ns <- splines::ns
  if ("bs" %in% used) env$bs <- splines::bs
  structure(expr, class = "formula", .Environment = env)
}

# What can be checked before a fit: the formula, with the columns that it names, and what
# lmerControl() takes.
check_lmer <- function(text, columns, allow) {
  expr <- parse_formula(text, columns, allow, new.env(parent = baseenv()))
  if (!any(c("|", "||") %in% formula_calls(expr))) {
    stop("the formula '", text, "' has no random term: add one, such as (1 | group), or fit it ",
      "without lme4", call. = FALSE)
  }
  list(
    variables = intersect(formula_variables(expr), columns),
    control = names(formals(lme4::lmerControl))
  )
}

# The functions that an expression would call, "pkg::name" where it says so.
formula_calls <- function(expr) {
  if (!is.call(expr)) return(character())
  head <- expr[[1L]]
  if (is.name(head)) {
    name <- as.character(head)
    if (name %in% c("::", ":::")) {
      return(if (name == "::" && is.name(expr[[2L]]) && is.name(expr[[3L]])) character() else name)
    }
  } else if (is_namespaced(head)) {
    name <- paste0(as.character(head[[2L]]), "::", as.character(head[[3L]]))
  } else {
    name <- paste(deparse(head, nlines = 1L), collapse = " ")
  }
  arguments <- as.list(expr)[-1L]
  arguments <- arguments[!vapply(arguments, identical, NA, quote(expr = ))]
  unique(c(name, unlist(lapply(arguments, formula_calls))))
}

is_namespaced <- function(head) {
  is.call(head) && length(head) == 3L && identical(head[[1L]], as.name("::")) &&
    is.name(head[[2L]]) && is.name(head[[3L]])
}

# The variables of an expression; the two names around `::` are none.
formula_variables <- function(expr) {
  if (is.name(expr)) return(as.character(expr))
  if (!is.call(expr)) return(character())
  arguments <- as.list(expr)[-1L]
  arguments <- arguments[!vapply(arguments, identical, NA, quote(expr = ))]
  if (is.name(expr[[1L]]) && as.character(expr[[1L]]) %in% c("::", ":::")) return(character())
  unique(unlist(lapply(arguments, formula_variables)))
}
