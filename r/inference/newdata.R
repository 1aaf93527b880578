# What predictions and simulations for new data need, checked for one fit and for pooled ones alike.

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
    if (!(group %in% names(flist))) next # R's error describes that
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

# The factors and texts that the design is computed from, each as list(expr, levels), by its name in the
# model frame: those of the fixed part, and those inside `bars`.
level_variables <- function(fit, bars, fixed) {
  inside <- unlist(lapply(bars, function(bar) all.vars(bar[[2L]])))
  variables <- list()
  for (part in c(if (fixed) "fixed", "random")) {
    terms <- stats::delete.response(fit_terms(fit, part))
    levels <- factor_levels(fit, terms)
    for (expr in as.list(attr(terms, "variables"))[-1L]) {
      name <- deparse1(expr)
      if (name %in% names(levels) && (part == "fixed" || all(all.vars(expr) %in% inside))) {
        variables[[name]] <- list(expr = expr, levels = levels[[name]])
      }
    }
  }
  variables
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
