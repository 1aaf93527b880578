# Formulas are data: they are parsed without being evaluated, and name only what is listed here. So
# is every other text that R would take for code, or for the name of a function to call.

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
contrast_functions <- c("contr.treatment", "contr.sum", "contr.helmert", "contr.poly", "contr.SAS")
formula_constants <- c("pi", "T", "F", contrast_functions)
optimizer_functions <- c("nloptwrap", "bobyqa", "Nelder_Mead", "nlminbwrap", "nmkbw", "optimx")
na_actions <- c("na.omit", "na.exclude", "na.fail", "na.pass")

# The formula that `text` spells; stops with what is wrong before anything is evaluated.
parse_formula <- function(text, columns, allow, may_allow = TRUE) {
  expr <- str2lang(text)
  if (!is.call(expr) || !identical(expr[[1L]], as.name("~"))) {
    stop("this is not a formula: '", text, "' has no '~' at its top", call. = FALSE)
  }
  if (length(expr) != 3L) {
    stop("the formula '", text, "' has no response: write 'response ~ terms'", call. = FALSE)
  }
  check_calls(expr, "the formula", allow, may_allow)
  unknown <- setdiff(formula_variables(expr), c(columns, formula_constants, "."))
  if (length(unknown) > 0L) {
    stop("the formula names ", paste0("'", unknown, "'", collapse = ", "),
      ", not among the columns ", paste0("'", columns, "'", collapse = ", "), call. = FALSE
    )
  }
  refuse_shadowed(expr, columns)
  expr[[3L]] <- expand_double_bars(expr[[3L]])
  expr
}

# Stops if `expr` would call what isn't on the list or in `allow`; returns the calls' names. Where
# the user can't give `allow`, the message doesn't offer it.
check_calls <- function(expr, what, allow = character(), may_allow = TRUE) {
  used <- formula_calls(expr)
  refused <- setdiff(used, c(formula_vocabulary, allow))
  refused <- refused[!vapply(strsplit(refused, "::", fixed = TRUE), function(parts) {
    length(parts) == 2L && parts[1L] %in% formula_packages && parts[2L] %in% formula_vocabulary
  }, NA)]
  if (length(refused) > 0L) {
    stop(what, " calls ", paste0("'", refused, "'", collapse = ", "), ", which ",
      if (length(refused) == 1L) "is" else "are",
      " not on the list of functions that a formula may call",
      if (may_allow) "; if it is meant, name it in `allow` (in Python; a job file has none)",
      python_hints(refused), call. = FALSE
    )
  }
  check_coding(expr, what, allow)
  used
}

# C(f, contr) calls what `contr` names: that must be one of R's codings, or numbers.
check_coding <- function(expr, what, allow) {
  if (!is.call(expr)) return(invisible())
  head <- expr[[1L]]
  if (identical(if (is_namespaced(head)) head[[3L]] else head, quote(C))) {
    for (part in as.list(match.call(stats::C, expr))[-(1:2)]) {
      if (!is_plain_coding(part, allow)) {
        stop(what, " has ", deparse1(part), " as a coding in ", deparse1(expr), ": it takes ",
          paste(contrast_functions, collapse = ", "), ", or numbers; name others in `allow`",
          python_hints(c(formula_calls(part), formula_variables(part))), call. = FALSE
        )
      }
    }
  }
  for (part in call_arguments(expr)) check_coding(part, what, allow)
}

# What Python's formulas (patsy, formulaic, bambi) write for what R has under another name.
python_forms <- c(
  Treatment = paste(
    "contr.treatment, as in C(f, contr.treatment); for another reference level",
    "relevel(f, ref = \"b\")"
  ),
  Sum = "contr.sum, as in C(f, contr.sum)", Poly = "contr.poly, as in C(f, contr.poly)",
  Helmert = "contr.helmert, as in C(f, contr.helmert)",
  Q = "backticks, as in `school id`", center = "scale(x, scale = FALSE)", standardize = "scale(x)",
  cr = "ns(x, df = 4)", power = "I(x^2)", absolute = "abs(x)", where = "ifelse(test, yes, no)",
  minimum = "pmin(x, y)", maximum = "pmax(x, y)", isnan = "is.na(x)", astype = "as.numeric(x)"
)

# What R has for each name that is Python's: one of those above, or numpy's of a function of R's.
python_hints <- function(names) {
  hints <- lapply(unique(names), function(name) {
    bare <- sub("^(np|numpy|math)\\.", "", name)
    form <- if (bare %in% names(python_forms)) {
      python_forms[[bare]]
    } else if (bare != name && bare %in% formula_vocabulary) {
      paste0(bare, "(x)")
    }
    if (!is.null(form)) paste0("; for ", name, " R has ", form)
  })
  paste(unlist(hints), collapse = "")
}

# The columns that stand by themselves in C(column) and C(column, coding).
coded_columns <- function(expr) {
  if (!is.call(expr)) return(character())
  coded <- if (identical(expr[[1L]], quote(C))) as.list(match.call(stats::C, expr))$object
  c(if (is.name(coded)) as.character(coded), unlist(lapply(call_arguments(expr), coded_columns)))
}

# In C(f, contr.sum) a column `contr.sum` would stand before the function, and a text in it be called
# by its name.
refuse_shadowed <- function(expr, columns) {
  shadowed <- intersect(coding_names(expr), columns)
  if (length(shadowed) > 0L) {
    stop("'", shadowed[1L], "' is a coding in C(), and a column of the data, too: rename the column",
      call. = FALSE)
  }
}

# The variables in the codings of C(f, ...).
coding_names <- function(expr) {
  if (!is.call(expr)) return(character())
  head <- expr[[1L]]
  if (identical(if (is_namespaced(head)) head[[3L]] else head, quote(C))) {
    return(unlist(lapply(call_arguments(match.call(stats::C, expr))[-1L], formula_variables)))
  }
  unlist(lapply(call_arguments(expr), coding_names))
}

is_plain_coding <- function(expr, allow) {
  if (is.numeric(expr) || is.logical(expr)) return(TRUE)
  known <- c(contrast_functions, allow)
  if (is.character(expr)) return(expr %in% known)
  if (is.name(expr)) return(as.character(expr) %in% known)
  if (!is.call(expr)) return(FALSE)
  if (is_namespaced(expr)) return(as.character(expr[[3L]]) %in% known)
  head <- if (is.name(expr[[1L]])) as.character(expr[[1L]]) else ""
  head %in% c(known, "c", "cbind", "(", "-", "+", "/", "*", ":") &&
    all(vapply(as.list(expr)[-1L], is_plain_coding, NA, allow))
}

# A one-sided formula for random effects (re.form), checked as the model's is: it names variables of
# the model. `columns` are those of the data that it is asked for.
parse_re_form <- function(text, fit, columns) {
  expr <- str2lang(text)
  if (!is.call(expr) || !identical(expr[[1L]], as.name("~")) || length(expr) != 2L) {
    stop("re_form must be NULL, NA or a one-sided formula such as ~(1 | group), not '", text, "'",
      call. = FALSE)
  }
  check_calls(expr, "re_form")
  known <- formula_variables(stats::formula(fit))
  unknown <- setdiff(formula_variables(expr), c(known, formula_constants))
  if (length(unknown) > 0L) {
    stop("re_form names ", paste0("'", unknown, "'", collapse = ", "),
      ", not among the model's variables ", paste0("'", known, "'", collapse = ", "), call. = FALSE
    )
  }
  refuse_shadowed(expr, columns)
  expr[[2L]] <- expand_double_bars(expr[[2L]])
  env <- new.env(parent = environment(stats::formula(fit)))
  structure(expr, class = "formula", .Environment = env)
}

# Arguments passed on to R's methods. A text could be taken for the name of a function to call, so
# that texts are taken only where they are choices.
plain_arguments <- function(arguments, choices = character()) {
  for (name in names(arguments)) {
    value <- arguments[[name]]
    if (name == "na.action" && is_one_of(value, na_actions)) {
      arguments[[name]] <- get(value, asNamespace("stats"))
    } else if (name == "optimizer" && name %in% choices) {
      check_optimizer(value, character())
    } else if (!(name %in% choices) && holds_text(value)) {
      stop("the argument ", name, " holds text, which R may take for the name of a function to ",
        "call: it is not passed on", if (length(choices) > 0L) "; texts are taken for ",
        paste(choices, collapse = ", "), call. = FALSE)
    }
  }
  arguments
}

holds_text <- function(value) {
  is.character(value) || (is.list(value) && !is.object(value) && any(vapply(value, holds_text, NA)))
}

is_one_of <- function(value, known) {
  is.character(value) && length(value) == 1L && value %in% known
}

# lme4 looks these up by name, and calls what it finds.
check_names_of_functions <- function(contrasts, controls, allow) {
  for (name in names(contrasts)) {
    value <- contrasts[[name]]
    if (holds_text(value) && !is_one_of(value, c(contrast_functions, allow))) {
      stop("contrasts of '", name, "' must be one of ", paste(contrast_functions, collapse = ", "),
        ", or a matrix of numbers; if '", paste(value, collapse = " "),
        "' is meant, name it in `allow`", call. = FALSE)
    }
  }
  for (control in controls) check_optimizer(control$optimizer, allow)
}

check_optimizer <- function(value, allow) {
  unknown <- setdiff(if (is.character(value)) value, c(optimizer_functions, allow))
  if (length(unknown) > 0L) {
    stop("the optimizer '", unknown[1L], "' is none of ",
      paste(optimizer_functions, collapse = ", "), "; if it is meant, name it in `allow`",
      call. = FALSE)
  }
}

# The functions that an expression would call, "pkg::name" where it says so.
formula_calls <- function(expr) {
  if (!is.call(expr)) return(character())
  head <- expr[[1L]]
  if (is.name(head)) {
    name <- as.character(head)
    # A function that is named and not called may be called by the one that is given it.
    if (name %in% c("::", ":::")) return(if (is_namespaced(expr)) namespaced(expr) else name)
  } else if (is_namespaced(head)) {
    name <- namespaced(head)
  } else {
    name <- paste(deparse(head, nlines = 1L), collapse = " ")
  }
  unique(c(name, unlist(lapply(call_arguments(expr), formula_calls))))
}

is_namespaced <- function(head) {
  is.call(head) && length(head) == 3L && identical(head[[1L]], as.name("::")) &&
    is.name(head[[2L]]) && is.name(head[[3L]])
}

namespaced <- function(expr) paste0(as.character(expr[[2L]]), "::", as.character(expr[[3L]]))

# The variables of an expression; the two names around `::` are none.
formula_variables <- function(expr) {
  if (is.name(expr)) return(as.character(expr))
  if (!is.call(expr)) return(character())
  if (is.name(expr[[1L]]) && as.character(expr[[1L]]) %in% c("::", ":::")) return(character())
  unique(unlist(lapply(call_arguments(expr), formula_variables)))
}

# The arguments of a call, but for those that are left empty.
call_arguments <- function(expr) {
  arguments <- as.list(expr)[-1L]
  arguments[!vapply(arguments, identical, NA, quote(expr = ))]
}

# Names that may stand in a formula without backticks. `...` and `..1` are arguments of functions.
is_plain_name <- function(names) names == plain_names(names)

plain_names <- function(names) sub("^(\\.\\.(\\.|[0-9]+))$", "X\\1", make.names(names))
