# Denominator degrees of freedom of one fit.

# Denominator degrees of freedom of each row of L (one-row hypotheses), or, if `joint`, of all rows
# tested together. Kenward and Roger's are for the REML covariance: fits by ML are refitted.
coefficient_df <- function(fit, L, method, joint) {
  what <- paste0("dfcom = \"", method, "\"")
  linear_only(fit, what)
  if (method == "satterthwaite" || joint) needs_package("lmerTest", what)
  if (method == "kenward-roger") {
    needs_package("pbkrtest", what)
    fit <- refitted(fit, REML = TRUE)
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
