# The vignette as a user's own script, on the data frame `holes`: imputed by amelia(), fitted by
# lmer(), pooled by mice. It leaves `listwise`, `imputations`, `imputed_fits` and `pooled`.
suppressMessages({
  library(lme4)
  library(Amelia)
  library(mice)
  library(broom.mixed)
})

# Every number of a fit, and its printed summary.
describe <- function(fit) {
  ranef <- as.data.frame(ranef(fit, condVar = TRUE))
  ranef[c("grpvar", "term", "grp")] <- lapply(ranef[c("grpvar", "term", "grp")], as.character)
  list(
    fixef = data.frame(term = names(fixef(fit)), estimate = unname(fixef(fit))),
    vcov = as.matrix(vcov(fit)),
    theta = unname(getME(fit, "theta")),
    criteria = c(
      sigma = sigma(fit), log_lik = as.numeric(logLik(fit)), aic = AIC(fit), bic = BIC(fit),
      criterion = REMLcrit(fit)
    ),
    varcorr = as.data.frame(VarCorr(fit)),
    ranef = ranef,
    coef = unname(as.matrix(coef(fit)$schid)),
    fitted = unname(fitted(fit)),
    residuals = unname(residuals(fit)),
    summary = capture.output(print(summary(fit))),
    print = capture.output(print(fit))
  )
}

fit_to <- function(data) {
  lmer(mathach ~ minority + female + ses + meanses + (1 + ses | schid), data = data)
}

listwise <- describe(fit_to(holes))
set.seed(1)
imputed <- amelia(holes, m = 5, idvars = c("schid", "meanses"), noms = c("minority", "female"), p2s = 0)
imputations <- unname(lapply(imputed$imputations, as.data.frame))
fits <- lapply(imputations, fit_to)
imputed_fits <- lapply(fits, describe)
pooled <- as.data.frame(pool(as.mira(fits))$pooled)
rm(imputed, fits)
