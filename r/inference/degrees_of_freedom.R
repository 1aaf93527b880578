# Denominator degrees of freedom of one fit, and Kenward and Roger's covariance matrix.

# Denominator degrees of freedom of each row of L (one-row hypotheses), or, if `joint`, of all rows
# tested together. Kenward and Roger's are for the REML covariance: fits by ML are refitted.
coefficient_df <- function(fit, L, method, joint) {
  what <- paste0("dfcom = \"", method, "\"")
  linear_only(fit, what)
  needs_data(fit)
  if (method == "satterthwaite" || joint) needs_package("lmerTest", what)
  if (method == "kenward-roger") {
    needs_package("pbkrtest", what)
    fit <- refitted(fit, REML = TRUE)
    say_unweighted(fit)
  }
  if (method == "kenward-roger" && !joint) {
    adjusted <- pbkrtest::vcovAdj(fit)
    v <- stats::vcov(fit)
    return(apply(L, 1L, function(row) as.numeric(pbkrtest::ddf_Lb(adjusted, row, v))))
  }
  ddf <- if (method == "satterthwaite") "Satterthwaite" else "Kenward-Roger"
  model <- lmerTest::as_lmerModLmerTest(fit)
  if (joint) {
    return(lmerTest::contestMD(model, L, ddf = ddf)[["DenDF"]])
  }
  apply(L, 1L, function(row) lmerTest::contest1D(model, row, ddf = ddf)[["df"]])
}

# Kenward and Roger's (1997) covariance matrix of the fixed effects of a fit by REML.
adjusted_vcov <- function(fit) {
  what <- "Kenward and Roger's covariance matrix"
  linear_only(fit, what)
  needs_package("pbkrtest", what)
  if (!lme4::isREML(fit)) stop(what, " is for fits by REML, and this is one by ML", call. = FALSE)
  say_unweighted(fit)
  list(
    terms = as.character(names(lme4::fixef(fit))),
    vcov = unname(as.matrix(pbkrtest::vcovAdj(fit)))
  )
}

# What Kenward and Roger multiply the F statistic of the rows of L by.
f_scaling <- function(fit, L) {
  needs_package("pbkrtest", "the test by Kenward and Roger")
  pbkrtest::KRmodcomp(fit, L)$test["Ftest", "F.scaling"]
}

# The derivative of the rows' covariance matrix in sigma^2 is pbkrtest's identity matrix.
say_unweighted <- function(fit) {
  if (is.null(stats::getCall(fit)$weights)) return(invisible())
  warning("pbkrtest gives every row the residual variance sigma^2, and leaves the fit's weights out ",
    "of Kenward and Roger's adjustment", call. = FALSE)
}
