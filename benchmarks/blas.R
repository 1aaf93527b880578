# Seconds of two kinds of fit, and their REML criteria, under whatever linear algebra this R is run
# with; for `blas.py`.
suppressMessages(library(lme4))
insteval <- head(InstEval, 20000L)
hsb <- merge(as.data.frame(nlme::MathAchieve), as.data.frame(nlme::MathAchSchool)[c("School", "Sector")],
             by = "School", sort = FALSE)
small <- MathAch ~ Minority + Sex + SES + MEANSES + (1 + SES | School)
fits <- function(formula, data, times) {
  for (i in seq_len(times)) fit <- lmer(formula, data)
  REMLcrit(fit)
}
invisible(fits(small, hsb, 1L))
for (name in c("InstEval", "hsb")) {
  seconds <- system.time(criterion <- switch(name,
    InstEval = fits(y ~ service + (1 | s) + (1 | d), insteval, 1L),
    hsb = fits(small, hsb, 5L)
  ))[["elapsed"]]
  cat(name, sprintf("%.4f", seconds), sprintf("%.17g", criterion), "\n")
}
