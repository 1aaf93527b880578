# lme4's answers about one model, asked as its manual pages say, as plain vectors and tables.

# A case of the parity suite. The user's `script` evaluates to a fit, `against` to another one of the
# same data. Where R stops, the answer is list(error = its text).
model_case <- function(script, data, against = NULL, newdata = NULL, new_levels = NULL,
                       part = NULL, profile = FALSE, collate = NULL) {
  suppressPackageStartupMessages(library(lme4))
  if (!is.null(collate)) {
    icuSetCollate(locale = collate)
    on.exit(icuSetCollate(locale = "default"))
  }
  env <- new.env(parent = globalenv())
  env$data <- data
  outcome <- with_conditions(eval(parse(text = script, keep.source = FALSE, encoding = "UTF-8"), env))
  if (!is.null(outcome$error)) return(list(fit = list(error = outcome$error)))
  fit <- outcome$value
  answers <- model_answers(fit, c(outcome$warnings, outcome$messages))
  answers$predict <- answer(numbered(predict(fit)))
  answers$predict_fixed <- answer(numbered(predict(fit, re.form = NA)))
  answers$predict_response <- answer(numbered(predict(fit, type = "response")))
  if (!is.null(part)) {
    form <- stats::as.formula(part, env)
    answers$predict_part <- answer(numbered(predict(fit, re.form = form)))
  }
  if (!is.null(newdata)) {
    answers$predict_new <- answer(numbered(predict(fit, newdata = newdata)))
    answers$predict_new_fixed <- answer(numbered(predict(fit, newdata = newdata, re.form = NA)))
    answers$predict_new_response <- answer(
      numbered(predict(fit, newdata = newdata, type = "response"))
    )
    answers$predict_new_fixed_response <- answer(
      numbered(predict(fit, newdata = newdata, re.form = NA, type = "response"))
    )
  }
  if (!is.null(new_levels)) {
    answers$predict_unseen <- answer(
      numbered(predict(fit, newdata = new_levels, allow.new.levels = TRUE))
    )
    answers$predict_unseen_response <- answer(
      numbered(predict(fit, newdata = new_levels, allow.new.levels = TRUE, type = "response"))
    )
    answers$predict_unseen_refused <- answer(numbered(predict(fit, newdata = new_levels)))
  }
  answers$simulate <- answer(simulated(simulate(fit, nsim = 2, seed = 101)))
  answers$simulate_use_u <- answer(simulated(simulate(fit, nsim = 1, seed = 7, use.u = TRUE)))
  answers$confint_wald <- answer(intervals(confint(fit, method = "Wald")))
  answers$confint_wald_90 <- answer(
    intervals(confint(fit, parm = "beta_", level = 0.9, method = "Wald"))
  )
  if (profile) answers$confint_profile <- answer(intervals(confint(fit, quiet = TRUE)))
  answers$anova_terms <- answer(as.data.frame(anova(fit)))
  if (!is.null(against)) {
    other <- NULL
    second <- function() {
      if (is.null(other)) {
        other <<- eval(parse(text = against, keep.source = FALSE, encoding = "UTF-8"), env)
      }
      other
    }
    answers$anova <- answer({
      other <- second()
      compared(anova(fit, other), list(fit = fit, other = other))
    })
    answers$anova_no_refit <- answer({
      other <- second()
      compared(anova(fit, other, refit = FALSE), list(fit = fit, other = other))
    })
  }
  answers
}

# Every answer that needs no further argument. `conditions` are the warnings and messages of the fit.
model_answers <- function(fit, conditions = character()) {
  suppressPackageStartupMessages(library(lme4))
  absent <- names(accessor_packages)[!vapply(accessor_packages, requireNamespace, NA, quietly = TRUE)]
  lapply(accessors[setdiff(names(accessors), absent)], function(accessor) {
    answer(accessor(fit, conditions))
  })
}

# Tables of other packages; left out where R lacks the package.
accessor_packages <- c(model_info = "merTools", tidy = "broom.mixed", glance = "broom.mixed")

answer <- function(expr) {
  outcome <- with_conditions(expr)
  if (is.null(outcome$error)) outcome$value else list(error = outcome$error)
}

accessors <- list(
  attributes = function(fit, conditions) {
    list(
      formula = one_line(formula(bars_apart(fit))),
      reml = isREML(fit),
      family = family(fit)$family,
      link = family(fit)$link,
      has_scale = has_scale(fit),
      nAGQ = if (isGLMM(fit)) as.integer(getME(fit, "devcomp")$dims[["nAGQ"]]),
      nb_theta = if (is_negative_binomial(fit)) getME(fit, "glmer.nb.theta") else NaN,
      nobs = as.integer(nobs(fit)),
      npar = as.integer(attr(logLik(fit), "df")),
      df_residual = as.integer(df.residual(fit)),
      ngrps = vapply(ngrps(fit), as.integer, 1L),
      sigma = residual_sd(fit),
      theta = getME(fit, "theta"),
      log_lik = as.numeric(logLik(fit)),
      aic = AIC(fit),
      bic = BIC(fit),
      criterion = if (isREML(fit)) REMLcrit(fit) else as.numeric(-2 * logLik(fit)),
      is_singular = isSingular(fit),
      dropped = as.character(names(attr(getME(fit, "X"), "col.dropped"))),
      optimizer = fit@optinfo$optimizer,
      optimizer_message = paste(as.character(fit@optinfo$message), collapse = " "),
      messages = trimws(conditions)
    )
  },
  fixef = function(fit, ...) {
    beta <- fixef(fit)
    data.frame(term = as.character(names(beta)), estimate = unname(beta))
  },
  ranef = function(fit, ...) modes(fit),
  varcorr = function(fit, ...) as.data.frame(VarCorr(fit)),
  vcov = function(fit, ...) {
    covariance <- vcov(fit)
    as.matrix(covariance)
  },
  coef = function(fit, ...) coefficients_by_level(fit),
  model_info = function(fit, ...) {
    info <- renamed(merTools::modelInfo(fit), c("n_obs", "n_lvls", "aic", "sigma"))
    info$sigma <- residual_sd(fit)
    info
  },
  tidy = function(fit, ...) tidied(fit),
  glance = function(fit, ...) glanced(fit),
  fitted = function(fit, ...) numbered(fitted(fit)),
  residuals = function(fit, ...) numbered(residuals(fit)),
  residual_types = function(fit, ...) {
    types <- c("response", "pearson", "working", "deviance")
    values <- lapply(types, function(type) as.numeric(residuals(fit, type = type)))
    names(values) <- types
    scaled <- as.numeric(residuals(fit, type = "pearson", scaled = TRUE))
    data.frame(row = as.integer(names(residuals(fit))), values, scaled)
  },
  design = function(fit, ...) unname(as.matrix(getME(fit, "X"))),
  summary = function(fit, ...) {
    fit_summary <- summary(bars_apart(fit))
    utils::capture.output(print(fit_summary))
  },
  print = function(fit, ...) {
    fit <- bars_apart(fit)
    utils::capture.output(print(fit))
  }
)

# A fit whose formula has the terms that each double bar stands for, as lmer() itself writes them;
# glmer() leaves the double bars there. Nothing else is changed.
bars_apart <- function(fit) {
  formula <- formula(fit)
  if (isLMM(fit) || !"||" %in% all.names(formula)) return(fit)
  formula[[3L]] <- expandDoubleVerts(formula[[3L]])
  attr(fit@frame, "formula") <- fit@call$formula <- formula
  fit
}

# lme4 gives a model without a residual standard deviation the sigma 1; this library says NaN.
has_scale <- function(fit) as.logical(getME(fit, "devcomp")$dims[["useSc"]])
residual_sd <- function(fit) if (has_scale(fit)) sigma(fit) else NaN

is_negative_binomial <- function(fit) startsWith(family(fit)$family, "Negative Binomial")

one_line <- function(formula) paste(deparse(formula, width.cutoff = 500L), collapse = " ")

renamed <- function(frame, names) stats::setNames(as.data.frame(frame), names)

# Named values as rows: R's row numbers, and the values.
numbered <- function(x) data.frame(row = as.integer(names(x)), value = as.numeric(x))

modes <- function(fit) {
  table <- as.data.frame(ranef(fit, condVar = TRUE))
  for (name in c("grpvar", "term", "grp")) table[[name]] <- as.character(table[[name]])
  if (is.null(table$condsd)) table$condsd <- NA_real_
  table[c("grpvar", "term", "grp", "condval", "condsd")]
}

coefficients_by_level <- function(fit) {
  tables <- coef(fit)
  terms <- unique(unlist(lapply(tables, names)))
  parts <- lapply(names(tables), function(grpvar) {
    part <- data.frame(grpvar = grpvar, grp = rownames(tables[[grpvar]]))
    for (term in terms) {
      part[[term]] <- if (term %in% names(tables[[grpvar]])) tables[[grpvar]][[term]] else NA_real_
    }
    part
  })
  do.call(rbind, parts)
}

tidied <- function(fit) {
  table <- as.data.frame(broom.mixed::tidy(fit))
  names <- c("effect", "group", "term", "estimate", "std.error", "statistic")
  table[setdiff(names, names(table))] <- NA_real_  # absent where there are no fixed effects
  renamed(table[names], c("effect", "group", "term", "estimate", "std_error", "statistic"))
}

glanced <- function(fit) {
  table <- as.data.frame(broom.mixed::glance(fit))
  table$logLik <- as.numeric(table$logLik)
  table$sigma <- residual_sd(fit)
  # Of a fit with rows left out, deviance() is NA, and broom.mixed leaves the column out.
  if (isGLMM(fit)) table$deviance <- deviance(fit)
  table$df.residual <- as.integer(table$df.residual) # a double where theta is counted
  new <- c(nobs = "nobs", sigma = "sigma", logLik = "log_lik", AIC = "aic", BIC = "bic",
           REMLcrit = "reml_crit", deviance = "deviance", df.residual = "df_residual")
  table <- table[intersect(names(new), names(table))]
  renamed(table, unname(new[names(table)]))
}

# A response by cbind(success, failure) is simulated as a matrix, which becomes two columns here.
simulated <- function(frame) {
  columns <- list(row = as.integer(row.names(frame)))
  for (name in names(frame)) {
    values <- frame[[name]]
    if (is.matrix(values)) {
      columns[[paste0(name, "_success")]] <- values[, 1L]
      columns[[paste0(name, "_failure")]] <- values[, 2L]
    } else {
      columns[[name]] <- values
    }
  }
  data.frame(columns, row.names = NULL)
}

intervals <- function(table) {
  data.frame(term = as.character(rownames(table)), conf_low = unname(table[, 1L]), conf_high = unname(table[, 2L]))
}

# anova() sorts the models; the row names of its table say which model a row belongs to.
compared <- function(table, fits) {
  data.frame(
    formula = vapply(fits[rownames(table)], function(x) one_line(formula(bars_apart(x))), ""),
    npar = as.numeric(table$npar), aic = table$AIC, bic = table$BIC, log_lik = table$logLik,
    deviance = if ("deviance" %in% names(table)) table$deviance else table[["-2*log(L)"]], # lme4 1.1-37
    statistic = table$Chisq, df = as.numeric(table$Df),
    p_value = table[["Pr(>Chisq)"]], row.names = NULL
  )
}

# Every answer about the fit that a user's code evaluates to, for assert_parity().
parity_script <- function(code, frames) {
  for (name in names(frames)) assign(name, frames[[name]], globalenv())
  expressions <- parse(text = code, keep.source = FALSE, encoding = "UTF-8")
  suppressPackageStartupMessages(library(lme4))
  outcome <- with_conditions(for (expression in expressions) last <- eval(expression, globalenv()))
  if (!is.null(outcome$error)) stop(outcome$error, call. = FALSE)
  if (!methods::is(last, "lmerMod") && !methods::is(last, "glmerMod")) {
    stop("the last expression of the R code is not a fit by lmer(), glmer() or glmer.nb() but a ",
      class(last)[1L], call. = FALSE)
  }
  model_answers(last, c(outcome$warnings, outcome$messages))
}

# The order of the random effects in the sparse Cholesky factor. Where lme4 was compiled with another
# layout of CHOLMOD's settings than Matrix (Debian 12: RcppEigen 0.3.3.9.3, Matrix 1.5-3), the method
# depends on a bit of the address at which lme4's library was loaded. Two processes of the same R may
# then differ in this order, and so in the last digits of every estimate.
fill_reducing <- function() {
  fit <- lme4::lmer(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin)
  factor <- lme4::getME(fit, "L")
  c(factor@type[1L], factor@perm)
}

# Bit 31 of the address of R's library in this process. lme4's library will be loaded nearby, mostly
# with the same bit. NA where the system has no such information.
address_bit <- function() {
  maps <- "/proc/self/maps"
  lines <- if (file.exists(maps)) grep("libR[.]so", readLines(maps), value = TRUE)
  if (length(lines) == 0L) return(NA)
  start <- sub("-.*", "", lines[1L])
  strtoi(substr(start, nchar(start) - 7L, nchar(start) - 7L), 16L) >= 8L
}
