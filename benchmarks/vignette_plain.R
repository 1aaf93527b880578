# The demo's work with lme4 and Amelia alone, for `benchmarks/cold.py`.
suppressMessages({
  library(lme4)
  library(Amelia)
})
hsb <- merge(as.data.frame(nlme::MathAchieve), as.data.frame(nlme::MathAchSchool)[c("School", "Size", "Sector")], by = "School", sort = FALSE)
hsb <- data.frame(schid = as.character(hsb$School), minority = as.numeric(hsb$Minority == "Yes"), female = as.numeric(hsb$Sex == "Female"), ses = hsb$SES, mathach = hsb$MathAch, size = hsb$Size, schtype = as.numeric(hsb$Sector == "Catholic"), meanses = hsb$MEANSES)
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
fits <- lapply(imputed$imputations, function(data) lmer(formula, data = data))
print(rowMeans(sapply(fits, fixef)))
for (fit in fits) print(VarCorr(fit))
print(head(ranef(fits[[1]])$schid))
