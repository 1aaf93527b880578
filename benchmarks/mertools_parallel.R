# lmerModList over the frames of a folder, sequential and on two workers of future; one run for each
# line on standard input, which names it.
arguments <- commandArgs(TRUE)
suppressMessages({
  library(lme4)
  library(merTools)
})
files <- list.files(arguments[1L], pattern = "[.]csv$", full.names = TRUE)
frames <- lapply(files, read.csv, colClasses = c(schid = "character"))
formula <- as.formula(arguments[2L])
future::plan(future::multisession, workers = 2L)
runs <- list(
  sequential = function() lmerModList(formula, data = frames),
  future = function() {
    future.apply::future_lapply(frames, function(d) lme4::lmer(formula, data = d))
  }
)
invisible(runs$future()) # its workers are warm, as ours are
input <- file("stdin", "r")
cat("ready\n")
while (length(name <- readLines(input, 1L)) > 0L) {
  if (name == "gc") invisible(gc()) else runs[[name]]()
  cat("done\n")
}
