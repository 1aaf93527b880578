# The vignette as a user's own script: holes.csv in, result.json out, doubles as hexadecimal text.
suppressMessages({
  library(lme4)
  library(Amelia)
})

holes <- read.csv("holes.csv", colClasses = "character", na.strings = "NA")
for (name in setdiff(names(holes), "schid")) holes[[name]] <- as.numeric(holes[[name]])

hex <- function(x) ifelse(is.na(x), "NA", sprintf("%a", as.numeric(x)))
text <- function(x) encodeString(as.character(x), quote = '"', na.encode = TRUE)
json <- function(x) {
  if (is.list(x)) {
    body <- vapply(x, json, "")
    if (is.null(names(x))) return(paste0("[", paste(body, collapse = ","), "]"))
    return(paste0("{", paste0(text(names(x)), ":", body, collapse = ","), "}"))
  }
  values <- if (is.character(x)) ifelse(is.na(x), "null", text(x)) else text(hex(x))
  paste0("[", paste(values, collapse = ","), "]")
}

describe <- function(m) {
  vc <- as.data.frame(VarCorr(m))
  re <- as.data.frame(ranef(m, condVar = TRUE))
  list(
    terms = names(fixef(m)), fixef = unname(fixef(m)), vcov = as.vector(as.matrix(vcov(m))),
    theta = unname(getME(m, "theta")), sigma = sigma(m), log_lik = as.numeric(logLik(m)),
    aic = AIC(m), bic = BIC(m), criterion = REMLcrit(m), vc_grp = vc$grp, vc_var1 = vc$var1,
    vc_var2 = vc$var2, vc_vcov = vc$vcov, vc_sdcor = vc$sdcor, re_term = as.character(re$term),
    re_grp = as.character(re$grp), re_condval = re$condval, re_condsd = re$condsd,
    coef = as.vector(as.matrix(coef(m)$schid)), fitted = unname(fitted(m)),
    residuals = unname(residuals(m)), summary = capture.output(print(summary(m))),
    printed = capture.output(print(m))
  )
}

fit_to <- function(data) {
  lmer(mathach ~ minority + female + ses + meanses + (1 + ses | schid), data = data)
}

set.seed(1)
imputed <- amelia(holes, m = 5, idvars = c("schid", "meanses"), noms = c("minority", "female"), p2s = 0)
result <- list(
  listwise = describe(fit_to(holes)),
  imputations = unname(lapply(imputed$imputations, function(d) lapply(d[-1], as.numeric))),
  fits = unname(lapply(imputed$imputations, function(data) describe(fit_to(data))))
)

suppressMessages({
  library(mice)
  library(broom.mixed)
})
fits <- lapply(imputed$imputations, fit_to)
pooled <- pool(as.mira(fits))$pooled
result$pool <- c(list(term = as.character(pooled$term)), as.list(pooled[c(
  "estimate", "ubar", "b", "t", "dfcom", "df", "riv", "lambda", "fmi"
)]))
writeLines(json(result), "result.json")
