# lmerModList over the frames of a folder: sequential, and lmer with future.apply on two workers.
arguments <- commandArgs(TRUE)
suppressMessages({
  library(lme4)
  library(merTools)
})
files <- list.files(arguments[1L], pattern = "[.]csv$", full.names = TRUE)
frames <- lapply(files, read.csv, colClasses = c(schid = "character"))
formula <- as.formula(arguments[2L])
rounds <- as.integer(arguments[3L])
report <- function(name, f) {
  for (i in seq_len(rounds)) {
    seconds <- system.time(f())[["elapsed"]]
    cat(name, " ", sprintf("%.4f", seconds), "\n", sep = "")
  }
}
report("sequential", function() lmerModList(formula, data = frames))
if (requireNamespace("future.apply", quietly = TRUE)) {
  future::plan(future::multisession, workers = 2L)
  once <- function() future.apply::future_lapply(frames, function(d) lme4::lmer(formula, data = d))
  invisible(once())
  report("future", once)
}
