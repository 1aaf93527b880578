# The Rscript that Python compares with. For each line "job <tab> answer" on standard input it reads
# list(program = name, ...) from the file `job`, calls the function of that name with the other
# elements as its arguments, and saves the value to the file `answer`. Then it prints the marker on a
# line of its own: everything before it was printed by the job.
#
# Usage: Rscript serve.R FOLDER MARKER

options(warn = 1)
programs <- new.env(parent = globalenv())
arguments <- commandArgs(trailingOnly = TRUE)
for (name in c("carry", "script", "models", "imputations", "data", "mertools")) {
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
