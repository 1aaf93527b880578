# The Rscript that Python's tests compare with: for each line "job <tab> answer" on standard input
# it reads a list(program, ...) from the file `job`, calls that program, and saves what it gives to
# the file `answer`. A line that begins with the marker ends what a job prints.
#
# Usage: Rscript serve.R FOLDER MARKER

options(warn = 1)
programs <- new.env(parent = globalenv())
arguments <- commandArgs(trailingOnly = TRUE)
for (name in c("carry", "script", "lmer", "amelia", "data", "mertools")) {
  path <- file.path(arguments[1L], paste0(name, ".R"))
  sys.source(path, envir = programs, keep.source = FALSE)
}

local({
  marker <- arguments[2L]
  requests <- file("stdin", open = "r", encoding = "UTF-8")
  repeat {
    line <- readLines(requests, n = 1L)
    if (length(line) == 0L) break
    places <- strsplit(line, "\t", fixed = TRUE)[[1L]]
    job <- readRDS(places[1L])
    before <- options()
    answer <- tryCatch(
      list(value = do.call(programs[[job$program]], job[-1L], quote = TRUE)),
      error = function(condition) list(error = conditionMessage(condition))
    )
    options(before)
    saveRDS(programs$carry(answer), places[2L], version = 2, compress = FALSE)
    cat("\n", marker, "\n", sep = "")
    flush(stdout())
  }
})
