# The tables of a fit, as plain vectors.

# What an attribute of a fit is read from: it costs little to ask.
mermod_core <- function(fit) {
  formula <- stats::formula(fit)
  beta <- lme4::fixef(fit)
  theta <- lme4::getME(fit, "theta")
  groups <- lme4::ngrps(fit)
  likelihood <- stats::logLik(fit)
  reml <- lme4::isREML(fit)
  dropped <- attr(lme4::getME(fit, "X"), "col.dropped")
  generalised <- if (!lme4::isLMM(fit)) {
    list(nAGQ = fit@devcomp$dims[["nAGQ"]], nb_theta = nb_theta(fit))
  }
  c(list(
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
    family = stats::family(fit)$family,
    link = stats::family(fit)$link,
    has_scale = has_scale(fit),
    criterion = unname(fit@devcomp$cmp[[if (reml) "REML" else "dev"]]),
    deviance = if (!lme4::isLMM(fit)) stats::deviance(fit), # of an lmer fit it is the criterion
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
  ), generalised[lengths(generalised) > 0L])
}

# The theta of a negative binomial fit; NULL for other families.
nb_theta <- function(fit) {
  if (grepl("^Negative Binomial", stats::family(fit)$family)) lme4::getME(fit, "glmer.nb.theta")
}

mermod_vcov <- function(fit) {
  v <- if (lme4::isLMM(fit)) stats::sigma(fit)^2 * fit@pp$unsc()
  # vcov() makes a dpoMatrix of it, which these matrices go through unchanged.
  if (!is.null(v) && identical(v, t(v)) && !is.null(tryCatch(chol(v), error = function(e) NULL))) {
    return(list(terms = as.character(names(lme4::fixef(fit))), vcov = v))
  }
  v <- stats::vcov(fit, correlation = FALSE) # the same numbers, without their correlations
  if (!isS4(v)) v <- stats::vcov(fit) # not positive definite: what R returns then
  list(terms = as.character(rownames(v)), vcov = unname(as.matrix(v)))
}

# The table of as.data.frame(VarCorr(fit)): of one group after another the variances, then the
# covariances; and last the residual variance, if the model has a scale.
mermod_varcorr <- function(fit) {
  matrices <- lme4::VarCorr(fit)
  parts <- lapply(matrices, function(v) {
    below <- lower.tri(v)
    terms <- rownames(v)
    list(
      var1 = c(terms, terms[col(v)[below]]), var2 = c(rep(NA, nrow(v)), terms[row(v)[below]]),
      vcov = c(diag(v), v[below]),
      sdcor = c(attr(v, "stddev"), attr(v, "correlation")[below])
    )
  })
  scale <- if (isTRUE(attr(matrices, "useSc"))) attr(matrices, "sc")
  whole <- function(name, last) c(unlist(lapply(parts, `[[`, name), use.names = FALSE), last)
  list(
    grp = c(rep(names(matrices), lengths(lapply(parts, `[[`, "vcov"))), rep("Residual", length(scale))),
    var1 = whole("var1", rep(NA_character_, length(scale))),
    var2 = whole("var2", rep(NA_character_, length(scale))),
    vcov = whole("vcov", scale^2), sdcor = whole("sdcor", scale)
  )
}

# The table of as.data.frame(ranef(fit, condVar = TRUE)), without the factors that it makes, which take
# half of its time.
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

# The conditional standard deviations of a table of ranef(). Its variances are one array, terms x terms
# x levels, or, where the terms were written apart, a list of such arrays.
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

# The numbers of a fit's rows of these names. A fit that R made by itself may have others than numbers:
# their places among all rows then.
case_rows <- function(fit, names) {
  rows <- suppressWarnings(as.integer(names))
  if (anyNA(rows) || any(rows < 1L)) match(names, names(stats::fitted(fit))) else rows
}

# Fitted values and residuals, and the numbers of the rows that they belong to.
mermod_cases <- function(fit) {
  values <- stats::fitted(fit)
  residuals <- stats::residuals(fit)
  rows <- case_rows(fit, names(values))
  same <- identical(names(values), names(residuals))
  list(
    rows = rows, fitted = unname(values),
    residual_rows = if (same) rows else case_rows(fit, names(residuals)),
    residuals = unname(residuals)
  )
}

# What several of these functions return for a fit, without those in which R stopped.
mermod_answers <- function(fit, functions) {
  answers <- lapply(functions, function(name) {
    tryCatch(list(find_function(name)(fit)), error = function(condition) NULL)
  })
  names(answers) <- functions
  lapply(answers[lengths(answers) > 0L], `[[`, 1L)
}

mermod_print <- function(fit) utils::capture.output(print(fit))

mermod_summary <- function(fit) {
  table <- summary(fit)
  utils::capture.output(print(table))
}
