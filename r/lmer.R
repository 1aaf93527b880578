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

# What is cheap to say.
mermod_core <- function(fit) {
  formula <- stats::formula(fit)
  beta <- lme4::fixef(fit)
  theta <- lme4::getME(fit, "theta")
  groups <- lme4::ngrps(fit)
  likelihood <- stats::logLik(fit)
  reml <- lme4::isREML(fit)
  dropped <- attr(lme4::getME(fit, "X"), "col.dropped")
  list(
    formula = paste(deparse(formula, width.cutoff = 500L), collapse = " "),
    columns = union(names(environment(formula)$data), all.vars(formula)),
    terms = as.character(names(beta)),
    beta = unname(beta),
    dropped = names(dropped),
    theta_names = names(theta),
    theta = unname(theta),
    group_names = names(groups),
    group_counts = unname(groups),
    n_flist = length(lme4::getME(fit, "flist")),
    nobs = stats::nobs(fit),
    sigma = stats::sigma(fit),
    reml = reml,
    criterion = unname(fit@devcomp$cmp[[if (reml) "REML" else "dev"]]),
    log_lik = as.numeric(likelihood),
    npar = as.integer(attr(likelihood, "df")),
    aic = stats::AIC(likelihood),
    bic = stats::BIC(likelihood),
    df_residual = stats::df.residual(fit),
    singular = lme4::isSingular(fit),
    optimizer = fit@optinfo$optimizer,
    optimizer_message = as.character(fit@optinfo$message),
    convergence = as.character(unlist(fit@optinfo$conv$lme4$messages)),
    collation = as.character(attr(environment(stats::formula(fit)), "collation"))
  )
}

mermod_vcov <- function(fit) {
  v <- stats::vcov(fit, correlation = FALSE) # the same numbers, without their correlations
  if (!isS4(v)) v <- stats::vcov(fit) # not positive definite: R's own way to say so
  list(terms = as.character(rownames(v)), vcov = unname(as.matrix(v)))
}

# As as.data.frame(VarCorr(fit)) has it: variances, then covariances, of one group after another.
mermod_varcorr <- function(fit) {
  found <- lme4::VarCorr(fit)
  parts <- lapply(found, function(v) {
    below <- lower.tri(v)
    terms <- rownames(v)
    list(
      var1 = c(terms, terms[col(v)[below]]), var2 = c(rep(NA, nrow(v)), terms[row(v)[below]]),
      vcov = c(diag(v), v[below]),
      sdcor = c(attr(v, "stddev"), attr(v, "correlation")[below])
    )
  })
  scale <- attr(found, "sc")
  whole <- function(name, last) c(unlist(lapply(parts, `[[`, name), use.names = FALSE), last)
  list(
    grp = c(rep(names(found), lengths(lapply(parts, `[[`, "vcov"))), "Residual"),
    var1 = whole("var1", NA_character_), var2 = whole("var2", NA_character_),
    vcov = whole("vcov", scale^2), sdcor = whole("sdcor", scale)
  )
}

# As as.data.frame(ranef(fit, condVar = TRUE)) has it, in half the time: that one makes factors.
mermod_ranef <- function(fit) {
  tables <- lme4::ranef(fit, condVar = TRUE)
  sizes <- lengths(tables) * vapply(tables, nrow, 1L) # terms x levels
  list(
    grpvar = rep(names(tables), sizes),
    term = unlist(lapply(tables, function(x) rep(names(x), each = nrow(x))), use.names = FALSE),
    grp = unlist(lapply(tables, function(x) rep(row.names(x), length(x))), use.names = FALSE),
    condval = unlist(tables, use.names = FALSE),
    condsd = unlist(lapply(tables, condsd_of), use.names = FALSE)
  )
}

# The conditional standard deviations of a table of ranef(): its terms' variances come as one array,
# terms x terms x levels, or, where the terms were written apart, as a list of such arrays.
condsd_of <- function(table) {
  variances <- attr(table, "postVar")
  if (is.null(variances)) return(rep(NA_real_, length(table) * nrow(table)))
  if (!is.list(variances)) variances <- list(variances)
  lapply(variances, function(block) {
    lapply(seq_len(nrow(block)), function(i) sqrt(block[i, i, ]))
  })
}

mermod_coef <- function(fit) {
  lapply(stats::coef(fit), function(table) {
    list(grp = rownames(table), terms = names(table), values = unname(as.matrix(table)))
  })
}

# Fitted values and residuals with the numbers of the rows that they belong to.
mermod_cases <- function(fit) {
  values <- stats::fitted(fit)
  residuals <- stats::residuals(fit)
  rows <- as.integer(names(values))
  same <- identical(names(values), names(residuals))
  list(
    rows = rows, fitted = unname(values),
    residual_rows = if (same) rows else as.integer(names(residuals)),
    residuals = unname(residuals)
  )
}

# What several of these functions say of a fit; one that R refuses is left out.
mermod_answers <- function(fit, functions) {
  answers <- lapply(functions, function(name) {
    tryCatch(list(find_function(name)(fit)), error = function(condition) NULL)
  })
  names(answers) <- functions
  lapply(answers[lengths(answers) > 0L], `[[`, 1L)
}

mermod_print <- function(fit) utils::capture.output(print(fit))

mermod_summary <- function(fit) {
  found <- summary(fit)
  utils::capture.output(print(found))
}

# The predictions of R's own predict(); where lme4 stops although there is an answer, ours. What is
# wrong with `newdata` comes back as a text, with what R says of it.
mermod_predict <- function(fit, newdata, re_form, allow_new_levels, ...) {
  given <- plain_arguments(list(...), "type")
  form <- read_re_form(fit, newdata, re_form)
  predicted <- function(rows) {
    arguments <- c(list(fit, allow.new.levels = allow_new_levels), given)
    arguments["re.form"] <- list(form)
    arguments$newdata <- rows
    values <- do.call(stats::predict, arguments, quote = TRUE)
    list(rows = as.integer(names(values)), values = unname(as.numeric(values)))
  }
  fixed <- !isTRUE(given$random.only)
  problem <- newdata_problem(fit, newdata, form, allow_new_levels, fixed)
  if (!is.null(problem)) return(list(problem = problem, said = error_text(predicted(newdata))))
  if (is.null(given$newparams)) say_offset(fit, newdata)
  if (identical(nrow(newdata), 0L)) return(list(rows = integer(), values = numeric()))
  if (loses_slope(fit, form)) {
    if (!is.null(given$newparams)) return(list(problem = slope_problem(form), said = ""))
    found <- design_rows(fit, newdata, form)
    return(list(rows = found$rows, values = mean_rows(fit, found, fixed)))
  }
  if (is.null(newdata) || !is.null(given$na.action)) return(predicted(newdata))
  # lme4 takes missing numbers, and stops at missing levels: those rows have no prediction.
  whole <- !lacks_level(fit, newdata, form, fixed)
  values <- rep(NA_real_, nrow(newdata))
  if (any(whole)) {
    values[whole] <- predicted(if (all(whole)) newdata else newdata[whole, , drop = FALSE])$values
  }
  list(rows = seq_along(values), values = values)
}

mermod_simulate <- function(fit, nsim, seed, ...) {
  given <- list(...)
  newdata <- given$newdata
  if (is.character(given$re.form)) given["re.form"] <- list(read_re_form(fit, newdata, given$re.form))
  refuse_shadowed(stats::formula(fit), c(names(newdata), names(stats::model.frame(fit))))
  arguments <- c(list(fit, nsim = nsim, seed = seed), plain_arguments(given))
  # Random effects that are not given are drawn: their groups are needed, too.
  problem <- newdata_problem(fit, newdata, NULL, isTRUE(given$allow.new.levels), TRUE, FALSE)
  if (is.null(problem) && loses_slope(fit, given$re.form)) problem <- slope_problem(given$re.form)
  if (!is.null(problem)) {
    return(list(problem = problem, said = error_text(do.call(stats::simulate, arguments, quote = TRUE))))
  }
  say_offset(fit, newdata)
  say_weights(fit)
  names <- paste0("sim_", seq_len(nsim))
  if (identical(nrow(newdata), 0L)) {
    return(list(rows = integer(), names = names, values = rep(list(numeric()), nsim)))
  }
  values <- do.call(stats::simulate, arguments, quote = TRUE)
  list(rows = as.integer(row.names(values)), names = names(values), values = unname(as.list(values)))
}

say_weights <- function(fit) {
  if (!is.null(stats::getCall(fit)$weights)) {
    warning("lme4's simulate() gives every row the residual variance sigma^2, and leaves the fit's ",
      "weights out", call. = FALSE)
  }
}

# The names of the rows that confint() has for a fit, in its order.
confint_names <- function(fit, old_names) {
  rownames(stats::confint(fit, method = "Wald", oldNames = old_names))
}

mermod_confint <- function(fit, parm, level, method, seed, ...) {
  if (!is.null(seed)) seed_r(seed)
  if (method == "boot") say_weights(fit)
  choices <- c("boot.type", "type", "parallel", "startmethod", "prof.scale", "optimizer")
  arguments <- c(
    list(fit, level = level, method = method, quiet = TRUE), plain_arguments(list(...), choices)
  )
  if (!is.null(parm)) arguments$parm <- parm
  table <- do.call(stats::confint, arguments, quote = TRUE)
  list(terms = rownames(table), low = unname(table[, 1L]), high = unname(table[, 2L]))
}

# R sorts the models by their number of parameters, stably.
mermod_anova <- function(fit, others, refit) {
  fits <- c(list(fit), others)
  names <- paste0("model", seq_along(fits))
  table <- do.call(stats::anova, c(unname(fits), list(refit = refit, model.names = names)))
  list(
    order = match(row.names(table), names),
    table = list(
      npar = table$npar, aic = table$AIC, bic = table$BIC, log_lik = table$logLik,
      deviance = table[[intersect(c("deviance", "-2*log(L)"), names(table))]], # its newer name
      statistic = table$Chisq, df = table$Df,
      p_value = table[["Pr(>Chisq)"]]
    )
  )
}

mermod_anova_terms <- function(fit) as.data.frame(stats::anova(fit))

# How lme4 orders the random effects of a crossed design in this process. Where lme4 and Matrix were
# compiled with different layouts of CHOLMOD's settings (Debian 12), that depends on the address at
# which the system loaded lme4's library, and with it the last bits of a fit with several factors.
crossed_order <- function() {
  fit <- lme4::lmer(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin)
  factor <- lme4::getME(fit, "L")
  c(factor@type[1L], factor@perm)
}
