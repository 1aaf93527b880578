# A case of the parity suite: amelia() as a user's `script` calls it on `data`, after set.seed().
imputation_case <- function(script, data, seed, model = NULL) {
  suppressPackageStartupMessages(library(Amelia))
  env <- new.env(parent = globalenv())
  env$data <- data
  set.seed(seed)
  outcome <- with_conditions(eval(parse(text = script, keep.source = FALSE, encoding = "UTF-8"), env))
  if (!is.null(outcome$error)) return(list(impute = list(error = outcome$error)))
  out <- outcome$value
  complete <- !is.null(out$imputations) && all(vapply(out$imputations, is.data.frame, NA))
  if (!complete) return(list(impute = list(error = trimws(paste(out$message, collapse = " ")))))
  answers <- list(
    attributes = list(
      chain_lengths = unname(vapply(out$iterHist, NROW, 1L)),
      warnings = c(outcome$warnings, outcome$messages)
    ),
    imputations = unname(lapply(out$imputations, function(frame) {
      as.data.frame(lapply(frame, identity), optional = TRUE, stringsAsFactors = FALSE)
    }))
  )
  if (!is.null(model)) {
    suppressPackageStartupMessages(library(lme4))
    fits <- lapply(out$imputations, function(data) lmer(stats::as.formula(model), data = data))
    answers$fixef <- lapply(unname(fits), function(fit) {
      data.frame(term = names(fixef(fit)), estimate = unname(fixef(fit)))
    })
    answers$varcorr <- lapply(unname(fits), function(fit) as.data.frame(VarCorr(fit)))
    answers$ranef <- lapply(unname(fits), modes)
    answers$vcov <- lapply(unname(fits), function(fit) as.matrix(vcov(fit)))
  }
  answers
}
