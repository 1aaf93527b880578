# Runs one file of tests: Rscript run.R SOURCES FILE. Each top-level call of the file is a test, all
# of R's functions of this library being there.
arguments <- commandArgs(TRUE)
functions <- new.env(parent = baseenv())
sources <- list.files(arguments[1L], pattern = "[.]R$", recursive = TRUE, full.names = TRUE)
for (path in sources[!grepl("/reference/", sources, fixed = TRUE)]) sys.source(path, functions)

# `expr` must stop with a message in which `pattern` is found.
functions$stops <- function(expr, pattern) {
  message <- tryCatch({
    expr
    stop("nothing was refused")
  }, error = conditionMessage)
  if (!grepl(pattern, message)) stop("not refused for ", pattern, ", but: ", message, call. = FALSE)
}
functions$stopifnot <- function(...) base::stopifnot(...)

failed <- 0L
for (test in parse(arguments[2L], keep.source = FALSE)) {
  message <- tryCatch({
    eval(test, functions)
    NULL
  }, error = conditionMessage)
  if (!is.null(message)) {
    failed <- failed + 1L
    cat(paste(deparse(test), collapse = "\n"), "\n  ", message, "\n", sep = "")
  }
}
cat(failed, "failed\n")
quit(status = min(failed, 1L))
