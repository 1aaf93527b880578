# A model, list(formula, allow, arguments, names, vectors, control), as a call that waits for data of
# these columns; nothing of it is evaluated.
plan_lmer <- function(model, columns) {
  model$arguments["contrasts"] <- list(lapply(model$arguments$contrasts, coding_values))
  if (length(model$arguments$contrasts) == 0L) model$arguments$contrasts <- NULL
  check_names_of_functions(model$arguments$contrasts, model$control, model$allow)
  formula <- parse_formula(model$formula, columns, model$allow)
  call <- c(
    list(quote(lmer), formula = formula, data = quote(data)), model$arguments,
    lapply(model$names, as.name)
  )
  vectors <- model$vectors
  for (name in names(vectors)) {
    # A column of that name would be found before the vector.
    own <- if (name %in% columns) make.unique(c(columns, paste0(".", name))) else name
    own <- own[length(own)]
    names(vectors)[names(vectors) == name] <- own
    call[[name]] <- as.name(own)
  }
  if (length(model$control) > 0L) {
    call$control <- as.call(c(list(quote(lmerControl)), model$control))
  }
  bases <- intersect(c("ns", "bs"), formula_calls(formula))
  structure(list(call = call, vectors = vectors, bases = bases), class = "lmer_plan")
}

# A factor's coding, the name of a function or list(values, levels, columns), as R takes it.
coding_values <- function(coding) {
  if (!is.list(coding) || !is.numeric(coding$values)) return(coding) # its texts are checked later
  values <- coding$values
  if (is.matrix(values)) {
    dimnames(values) <- list(coding$levels, coding$columns)
  } else {
    names(values) <- coding$levels
  }
  values
}

# The codings with their rows in the order of the factors' levels, where rows are named; R itself
# goes by position.
codings_of_levels <- function(codings, data) {
  for (name in intersect(names(codings), names(data))) {
    values <- codings[[name]]
    rows <- if (is.matrix(values)) rownames(values) else names(values)
    if (is.null(rows)) next
    column <- as.factor(data[[name]])
    there <- levels(droplevels(column))
    odd <- c(setdiff(there, rows), setdiff(rows, levels(column)), rows[duplicated(rows)])
    if (length(odd) > 0L) {
      stop("contrasts of '", name, "' have rows for ", paste0("'", rows, "'", collapse = ", "),
        ", and '", name, "' has the levels ", paste0("'", levels(column), "'", collapse = ", "),
        ": each level takes one row", call. = FALSE)
    }
    codings[[name]] <- if (is.matrix(values)) values[there, , drop = FALSE] else values[there]
  }
  codings
}

# What can be checked before a fit: the formula, with the columns that it names, the names of
# functions, and what lmerControl() takes; and `columns`, which are all that the fit needs of the
# data (NULL: all that there are, for a formula with a dot).
check_lmer <- function(model, columns) {
  plan <- plan_lmer(model, columns)
  formula <- plan$call$formula
  if (!any(c("|", "||") %in% formula_calls(formula))) {
    stop("the formula '", model$formula, "' has no random term: add one, such as (1 | group), or ",
      "fit it without lme4", call. = FALSE)
  }
  variables <- formula_variables(formula)
  list(
    variables = intersect(variables, columns),
    coded = intersect(coded_columns(formula), columns),
    columns = if (!"." %in% variables) {
      intersect(columns, c(variables, unlist(model$names), names(model$arguments$contrasts)))
    },
    control = names(formals(lme4::lmerControl)),
    plan = plan
  )
}

# The call is evaluated, and its formula lives, in an environment of its own, in which `update`,
# `refit`, `profile` and the like find the data again.
fit_planned <- function(plan, data) {
  env <- new.env(parent = asNamespace("lme4"))
  env$data <- data
  attr(env, "collation") <- text_order() # R makes factors of text meanwhile
  list2env(plan$vectors, env)
  # splines' two bases are found without being attached.
  for (name in plan$bases) env[[name]] <- getExportedValue("splines", name)
  call <- plan$call
  call$contrasts <- codings_of_levels(call$contrasts, data)
  call$formula <- structure(call$formula, class = "formula", .Environment = env)
  eval(as.call(call), env)
}

fit_lmer <- function(data, model) fit_planned(plan_lmer(model, names(data)), data)

# To one of several data sets, which has `own` columns beside what they share: plan, frame, and the
# names of all columns.
fit_shared <- function(shared, own) {
  fit_planned(shared$plan, joined_frame(shared$frame, own, shared$columns))
}

# How lme4 orders the random effects of a crossed design in this process. Where lme4 and Matrix were
# compiled with different layouts of CHOLMOD's settings (Debian 12), that depends on the address at
# which the system loaded lme4's library, and with it the last bits of a fit with several factors.
crossed_order <- function() {
  fit <- lme4::lmer(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin)
  factor <- lme4::getME(fit, "L")
  c(factor@type[1L], factor@perm)
}
