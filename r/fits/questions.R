# R's methods for a fit: residuals, predict, simulate, confint, anova.

# Residuals of a type ("response", "pearson", "working", "deviance"; NULL: lme4's own choice), divided by
# sigma where they are to be `scaled`.
mermod_residuals <- function(fit, type, scaled) {
  arguments <- list(fit, scaled = scaled)
  arguments$type <- type
  values <- do.call(stats::residuals, arguments, quote = TRUE)
  list(rows = case_rows(fit, names(values)), values = unname(values))
}

# The predictions of R's predict(), or this library's where lme4 stops although there is an answer.
# Where `newdata` can't be predicted for: the `problem` as a text, and R's error message.
mermod_predict <- function(fit, newdata, re_form, allow_new_levels, ...) {
  given <- plain_arguments(list(...), "type")
  form <- read_re_form(fit, newdata, re_form)
  predicted <- function(rows) {
    arguments <- c(list(fit, allow.new.levels = allow_new_levels), given)
    arguments["re.form"] <- list(form)
    arguments$newdata <- rows
    values <- do.call(stats::predict, arguments, quote = TRUE)
    list(rows = case_rows(fit, names(values)), values = unname(as.numeric(values)))
  }
  fixed <- !isTRUE(given$random.only)
  problem <- newdata_problem(fit, newdata, form, allow_new_levels, fixed)
  if (!is.null(problem)) return(list(problem = problem, r_message = error_text(predicted(newdata))))
  if (is.null(given$newparams)) say_offset(fit, newdata)
  if (identical(nrow(newdata), 0L)) return(list(rows = integer(), values = numeric()))
  if (loses_slope(fit, form)) {
    if (!is.null(given$newparams)) return(list(problem = slope_problem(form), r_message = ""))
    design <- design_rows(fit, newdata, form)
    values <- mean_rows(fit, design, fixed)
    if (identical(given$type, "response")) values <- link_inverse(fit, values)$mean
    return(list(rows = design$rows, values = values))
  }
  if (is.null(newdata) || !is.null(given$na.action)) return(predicted(newdata))
  # lme4 takes missing numbers, but stops at missing levels: rows with these have no prediction.
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
  # simulate() draws the random effects that it isn't given, so that new data need their groups too.
  problem <- newdata_problem(fit, newdata, NULL, isTRUE(given$allow.new.levels), TRUE, FALSE)
  if (is.null(problem) && loses_slope(fit, given$re.form)) problem <- slope_problem(given$re.form)
  if (is.null(problem)) problem <- trials_problem(fit, newdata)
  if (!is.null(problem)) {
    r_message <- error_text(do.call(stats::simulate, arguments, quote = TRUE))
    return(list(problem = problem, r_message = r_message))
  }
  say_offset(fit, newdata)
  say_weights(fit)
  say_trials(fit, newdata)
  if (identical(nrow(newdata), 0L)) {
    none <- if (is_pair_of_counts(fit)) matrix(numeric(), 0L, 2L) else numeric()
    columns <- counts_apart(stats::setNames(rep(list(none), nsim), paste0("sim_", seq_len(nsim))))
    return(list(rows = integer(), names = names(columns), values = unname(columns)))
  }
  values <- do.call(stats::simulate, arguments, quote = TRUE)
  columns <- counts_apart(as.list(values))
  list(rows = as.integer(row.names(values)), names = names(columns), values = unname(columns))
}

# Responses with the matrices of cbind(success, failure) taken apart into two columns.
counts_apart <- function(responses) {
  apart <- lapply(names(responses), function(name) {
    values <- responses[[name]]
    if (!is.matrix(values)) return(responses[name])
    stats::setNames(list(values[, 1L], values[, 2L]), paste0(name, c("_success", "_failure")))
  })
  do.call(c, apart)
}

is_pair_of_counts <- function(fit) is.matrix(stats::model.response(stats::model.frame(fit)))

# For new data lme4 takes the numbers of trials of a cbind() response from the fit's own rows, whatever
# their number, and those given as weights= to be 1.
trials_problem <- function(fit, newdata) {
  if (is.null(newdata) || !is_pair_of_counts(fit)) return(NULL)
  if (nrow(newdata) %in% c(0L, stats::nobs(fit))) return(NULL)
  paste0("lme4's simulate() takes the numbers of trials from the ", stats::nobs(fit), " rows of the ",
    "fit, and newdata has ", nrow(newdata), " rows: predict() with type=\"response\" gives each row's ",
    "probability, from which counts of any number of trials can be drawn")
}

say_trials <- function(fit, newdata) {
  if (is.null(newdata) || stats::family(fit)$family != "binomial") return(invisible())
  if (is_pair_of_counts(fit)) {
    warning("lme4's simulate() gives the rows of newdata the numbers of trials of the fit's own rows, ",
      "in their order", call. = FALSE)
  } else if (!is.null(stats::getCall(fit)$weights)) {
    warning("lme4's simulate() gives every row of newdata one trial, whatever the fit's weights",
      call. = FALSE)
  }
}

say_weights <- function(fit) {
  # In a model without a scale the weights are numbers of trials, which simulate() uses.
  if (lme4::isLMM(fit) && !is.null(stats::getCall(fit)$weights)) {
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
