# The demo's work as merTools' vignette does it, for `benchmarks/cold.py`.
suppressMessages({
  library(lme4)
  library(Amelia)
  library(merTools)
})
data(hsb)
set.seed(1)
holes <- hsb
for (name in c("minority", "female", "ses", "size")) {
  holes[sample(nrow(hsb), round(0.05 * nrow(hsb))), name] <- NA
}
print(colMeans(is.na(holes)))
imputed <- amelia(holes, m = 5, idvars = c("schid", "meanses"), noms = c("minority", "female"), p2s = 0)
print(summary(imputed))
formula <- mathach ~ minority + female + ses + meanses + (1 + ses | schid)
listwise <- lmer(formula, data = holes)
print(summary(listwise))
fits <- lmerModList(formula, data = imputed$imputations)
print(fixef(fits))
print(VarCorr(fits))
print(modelFixedEff(fits))
print(modelRandEffStats(fits))
print(do.call(rbind, lapply(fits, modelInfo)))
effects <- ranef(fits)
print(head(effects$schid))
print(summary(fits))
