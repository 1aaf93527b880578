# Rscript grids.R FOLDER: fits each formula of FOLDER/formulas.txt to each FOLDER/*.csv, makes the tables
# of `rb.fit_each`, and writes them, by model, to FOLDER/tables.rds. Prints the seconds that it took, and
# those of the processor.
suppressMessages(library(lme4))
folder <- commandArgs(TRUE)[1L]
formulas <- readLines(file.path(folder, "formulas.txt"))
files <- sort(list.files(folder, "[.]csv$", full.names = TRUE))
frames <- lapply(files, read.csv, stringsAsFactors = TRUE)

tables <- function(formula, data) {
  fit <- lmer(formula, data)
  v <- as.matrix(vcov(fit))
  likelihood <- logLik(fit)
  list(
    fixef = data.frame(term = names(fixef(fit)), estimate = fixef(fit)),
    vcov = data.frame(
      term = rep(rownames(v), ncol(v)), other_term = rep(colnames(v), each = nrow(v)), vcov = c(v)
    ),
    varcorr = as.data.frame(VarCorr(fit)),
    glance = data.frame(
      nobs = nobs(fit), sigma = sigma(fit), log_lik = as.numeric(likelihood), aic = AIC(likelihood),
      bic = BIC(likelihood), reml_crit = REMLcrit(fit), df_residual = df.residual(fit)
    ),
    convergence = data.frame(
      is_singular = isSingular(fit),
      messages = paste(unlist(fit@optinfo$conv$lme4$messages), collapse = "; ")
    )
  )
}

stacked <- function(fits) {
  sapply(names(fits[[1L]]), function(name) do.call(rbind, lapply(fits, `[[`, name)), simplify = FALSE)
}

start <- proc.time()
results <- lapply(formulas, function(text) {
  stacked(suppressMessages(suppressWarnings(lapply(frames, tables, formula = as.formula(text)))))
})
saveRDS(results, file.path(folder, "tables.rds"))
spent <- proc.time() - start
cat(spent[["elapsed"]], spent[["user.self"]] + spent[["sys.self"]], "\n")
