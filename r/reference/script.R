# A user's R code, as it would run at R's prompt on these frames.

# Returns the variables that the code assigned, the value of its last expression, what R said, and
# the stack that it ran on; with `order`, and where the code uses lme4, what fill_reducing() gives.
# Stops where the code does.
run_script <- function(code, frames, order = FALSE) {
  for (name in names(frames)) assign(name, frames[[name]], globalenv())
  given <- ls(globalenv(), all.names = TRUE)
  expressions <- parse(text = code, keep.source = FALSE, encoding = "UTF-8")
  heard <- listen(for (expression in expressions) {
    last <- withVisible(eval(expression, globalenv()))
    if (last$visible) print(last$value)
  })
  if (!is.null(heard$error)) stop(heard$error, call. = FALSE)
  assigned <- setdiff(ls(globalenv(), all.names = TRUE, sorted = TRUE), given)
  changed <- Filter(function(name) !identical(get(name, globalenv()), frames[[name]]), names(frames))
  names <- sort(setdiff(c(assigned, changed), ".Random.seed"), method = "radix")
  list(
    values = carry(mget(names, envir = globalenv())),
    value = if (length(expressions) > 0L) carry(list(last$value)),
    warnings = heard$warnings,
    messages = heard$messages,
    stack = stack_of(),
    order = if (order && "lme4" %in% loadedNamespaces()) fill_reducing()
  )
}
