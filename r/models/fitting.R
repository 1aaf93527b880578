# A model as the call that R will make once it has data of these columns; nothing of it is evaluated.
# `model` is list(fitter, control_maker, formula, allow, arguments, names, vectors, controls): the names
# of lme4's two functions, the formula, what it may call besides, and the arguments: plain ones, names
# of columns, vectors of one value per row, and those that control_maker makes.
plan_model <- function(model, columns) {
  model$arguments["contrasts"] <- list(lapply(model$arguments$contrasts, coding_values))
  if (length(model$arguments$contrasts) == 0L) model$arguments$contrasts <- NULL
  model$arguments$family <- parse_family(model$arguments$family)
  check_names_of_functions(model$arguments$contrasts, model$controls, model$allow)
  formula <- parse_formula(model$formula, columns, model$allow)
  call <- c(
    list(as.name(model$fitter), formula = formula, data = quote(data)), model$arguments,
    lapply(model$names, as.name)
  )
  vectors <- model$vectors
  for (name in names(vectors)) {
    # A column of that name would hide the vector.
    free <- if (name %in% columns) make.unique(c(columns, paste0(".", name))) else name
    free <- free[length(free)]
    names(vectors)[names(vectors) == name] <- free
    call[[name]] <- as.name(free)
  }
  for (name in names(model$controls)) {
    call[[name]] <- as.call(c(list(as.name(model$control_maker)), model$controls[[name]]))
  }
  bases <- intersect(c("ns", "bs"), formula_calls(formula))
  # What its fits keep for later ones: the design that they share, once there is one.
  kept <- new.env(parent = emptyenv())
  structure(list(call = call, vectors = vectors, bases = bases, kept = kept), class = "model_plan")
}

# The plan for data sets that have columns in common: `frame` holds these, and `columns` names all.
plan_with_frame <- function(plan, frame, columns) {
  plan$frame <- frame
  plan$columns <- columns
  plan$kept <- new.env(parent = emptyenv()) # not what fits to other frames keep
  plan
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
# functions, and the arguments that the control takes; and `columns`, which are all that the fit needs
# of the data (NULL: all that there are, for a formula with a dot).
check_model <- function(model, columns) {
  plan <- plan_model(model, columns)
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
    control = names(formals(getExportedValue("lme4", model$control_maker))),
    plan = plan
  )
}

# The fixed part before any fit: the columns of the data that it names, and the names that its
# coefficients will have, by the data as they are (NULL: R can't tell before the holes are filled).
fixed_part <- function(model, data) {
  plan <- plan_model(model, names(data))
  env <- design_environment(plan$bases)
  formula <- structure(plan$call$formula, class = "formula", .Environment = env)
  formula[[3L]] <- without_bars(formula[[3L]])
  variables <- formula_variables(formula[[3L]])
  if ("." %in% variables) return(list(variables = NULL, terms = NULL))
  terms <- tryCatch({
    frame <- stats::model.frame(formula, data, drop.unused.levels = TRUE, na.action = stats::na.pass)
    texts <- vapply(frame, is.character, NA)
    frame[texts] <- lapply(frame[texts], factor)
    codings <- codings_of_levels(plan$call$contrasts, data)
    colnames(stats::model.matrix(formula, frame, codings))
  }, error = function(condition) NULL)
  list(variables = intersect(variables, names(data)), terms = terms)
}

# The fit to one data set: a frame, or, where the plan has a frame already, the other columns of it.
# The call is evaluated, and its formula lives, in a separate environment, in which `update`,
# `refit`, `profile` and the like find the data again.
fit_model <- function(plan, part) {
  data <- if (is.null(plan$frame)) part else joined_frame(plan$frame, part, plan$columns)
  env <- new.env(parent = asNamespace("lme4"))
  env$data <- data
  attr(env, "collation") <- text_order() # R makes factors of text while it fits
  list2env(plan$vectors, env)
  # The two bases of splines need no attached package.
  for (name in plan$bases) env[[name]] <- getExportedValue("splines", name)
  call <- plan$call
  call$contrasts <- codings_of_levels(call$contrasts, data)
  call$formula <- structure(call$formula, class = "formula", .Environment = env)
  fit <- if (is.null(plan$frame)) {
    fit_again(plan, call, data)
  } else {
    fit_sharing(plan, call, data, names(part))
  }
  if (is.null(fit)) eval(as.call(call), env) else fit
}

# The fit by the design that all data sets share, which the first one makes; NULL if that can't be.
fit_sharing <- function(plan, call, data, differing) {
  if (!exists("design", plan$kept, inherits = FALSE)) {
    plan$kept$design <- shared_design(call, data, differing)
  }
  if (!is.null(plan$kept$design)) fit_with_shared_design(plan$kept$design, call, data)
}

# The fit by the design of earlier fits of this model, each to a frame of its own, such as those of a
# simulation study: the second one in a row with the same groups makes it. NULL if that can't be. A
# large frame's design is not kept: there a fit takes long in any case, and the design much memory.
fit_again <- function(plan, call, data) {
  if (nrow(data) > 10000L) return(NULL)
  groups <- intersect(names(data), grouping_variables(call$formula))
  setting <- list(
    groups = unclass(data)[groups], rows = attr(data, "row.names"), order = text_order(),
    options = options()[c("contrasts", "lmerControl")]
  )
  if (!identical(plan$kept$setting, setting)) {
    rm(list = ls(plan$kept), envir = plan$kept)
    plan$kept$setting <- setting
    return(NULL)
  }
  fit_sharing(plan, call, data, setdiff(names(data), groups))
}

# How lme4 orders the random effects of a crossed design in this process. Where lme4 and Matrix were
# compiled with different layouts of CHOLMOD's settings (Debian 12), that depends on the address at
# which the system loaded lme4's library, and with it the last bits of a fit with several factors.
crossed_order <- function() {
  fit <- lme4::lmer(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin)
  factor <- lme4::getME(fit, "L")
  c(factor@type[1L], factor@perm)
}
