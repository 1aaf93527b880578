# Refits to resampled rows, and the null model of an intraclass correlation.

# Positions of n rows of the model frame, drawn with replacement, once per replicate.
resampled_rows <- function(fit, n, R, seed) {
  rows <- as.numeric(row.names(stats::model.frame(fit)))
  seed_r(seed)
  lapply(seq_len(R), function(i) match(sample(rows, n, replace = TRUE), rows))
}

# The model on these rows of its data, by formula and family alone or, with `as_fitted`, with the
# other arguments of its call, too.
resampled_object <- function(fit, positions, as_fitted) list(fit = resampled_fit(fit, positions, as_fitted))

resampled_fit <- function(fit, positions, as_fitted) {
  place <- environment(stats::formula(fit))
  used <- used_rows(fit)
  rows <- used$rows[positions]
  env <- new.env(parent = if (identical(place, globalenv())) place else parent.env(place))
  if (!identical(place, globalenv())) list2env(as.list(place, all.names = TRUE), env)
  env$data <- used$data[rows, , drop = FALSE]
  row.names(env$data) <- seq_along(rows)
  formula <- stats::formula(fit)
  environment(formula) <- env
  linear <- lme4::isLMM(fit)
  if (!as_fitted) {
    if (linear) return(lme4::lmer(formula, data = env$data))
    return(lme4::glmer(formula, data = env$data, family = stats::family(fit)))
  }
  call <- stats::getCall(fit)
  n <- nrow(used$data)
  for (name in setdiff(ls(env, all.names = TRUE), "data")) {
    value <- env[[name]]
    if (is.atomic(value) && length(value) == n) env[[name]] <- value[rows]
  }
  if (!is.null(call$subset)) call$subset <- NULL
  call$formula <- formula
  eval(call, env)
}

# Variances between and within groups of a model without predictors, on the scale of the link. Of
# a response of two values it is a logistic model, to which merTools ascribes a residual variance of 1.
null_variances <- function(outcome, group, data, binary) {
  formula <- call("~", as.name(outcome), call("+", 1, call("(", call("|", 1, as.name(group)))))
  formula <- structure(formula, class = "formula", .Environment = new.env(parent = baseenv()))
  fit <- if (binary) {
    lme4::glmer(formula, data = data, family = stats::binomial())
  } else {
    lme4::lmer(formula, data = data)
  }
  list(
    between = as.numeric(attr(lme4::VarCorr(fit)[[1L]], "stddev"))^2,
    within = if (binary) 1 else stats::sigma(fit)^2
  )
}
