# merTools' answers about lists of fits, as plain tables and lines of text.

# Returns one answer per case. A case is list(formula, reml, data, files): data frames, and the files
# with this library's fits to them. merTools is asked about these fits, which are given the calls that
# lmerModList leaves.
mertools_answers <- function(cases) {
  suppressMessages({
    library(lme4)
    library(merTools)
  })
  lapply(cases, function(case) suppressWarnings(mertools_answer(case)))
}

mertools_answer <- function(case) {
  theirs <- if (case$reml) {
    lmerModList(case$formula, case$data)
  } else {
    lmerModList(case$formula, case$data, REML = FALSE)
  }
  fits <- theirs
  for (i in seq_along(theirs)) {
    fits[[i]] <- readRDS(case$files[i])
    fits[[i]]@call <- theirs[[i]]@call
  }
  warned <- FALSE
  fixed <- withCallingHandlers(modelFixedEff(fits), warning = function(w) {
    warned <<- warned || grepl("very small", conditionMessage(w))
  })
  fixef <- fixef(fits)
  list(
    ours = numbers_of(fits),
    theirs = numbers_of(theirs),
    fixef = data.frame(term = names(fixef), estimate = unname(fixef)),
    varcorr = tryCatch(varcorr_rows(VarCorr(fits)), error = function(e) NULL),
    ranef = ranef_rows(ranef(fits)),
    model_fixed_eff = fixed,
    model_rand_eff_stats = modelRandEffStats(fits),
    model_info = do.call(rbind, lapply(fits, modelInfo)),
    warned = warned,
    summary = lines_of(print(summary(fits))),
    summary_5 = lines_of(print(summary(fits), digits = 5)),
    fastdisp = lines_of(fastdisp(fits)),
    fastdisp_4 = lines_of(fastdisp(fits, digits = 4)),
    fastdisp_detail = lines_of(fastdisp(fits, detail = TRUE))
  )
}

numbers_of <- function(fits) {
  unlist(lapply(fits, function(fit) {
    c(sigma(fit), AIC(fit), fixef(fit), sqrt(diag(as.matrix(vcov(fit)))), getME(fit, "theta"))
  }), use.names = FALSE)
}

# Returns the lines that are printed or, if merTools stops, "Error: " and its message.
lines_of <- function(expr) {
  error <- NULL
  lines <- utils::capture.output(tryCatch(expr, error = function(e) error <<- conditionMessage(e)))
  if (is.null(error)) lines else paste("Error:", error)
}

# Every SD, then every correlation below the diagonal, of each element of VarCorr(list).
varcorr_rows <- function(varcorr) {
  do.call(rbind, lapply(seq_along(varcorr$stddev), function(i) {
    sd <- varcorr$stddev[[i]]
    correlation <- varcorr$correlation[[i]]
    low <- which(lower.tri(correlation), arr.ind = TRUE)
    data.frame(
      grp = names(varcorr$stddev)[i],
      var1 = c(names(sd), colnames(correlation)[low[, "col"]]),
      var2 = c(rep(NA_character_, length(sd)), rownames(correlation)[low[, "row"]]),
      sdcor = c(unname(sd), correlation[low])
    )
  }))
}

ranef_rows <- function(effects) {
  do.call(rbind, lapply(names(effects), function(grpvar) {
    table <- effects[[grpvar]]
    data.frame(
      grpvar = grpvar,
      term = rep(names(table), each = nrow(table)),
      grp = rep(row.names(table), times = ncol(table)),
      condval = unlist(table, use.names = FALSE)
    )
  }))
}
