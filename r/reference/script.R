# Runs a user's R code as it would run at R's prompt on these frames.

# Returns the variables that the code assigned, the value of its last expression, the warnings and
# messages, and the stack that it ran on; with `order`, and if the code loaded lme4, also the result
# of fill_reducing(). An error of the code is an error here.
run_script <- function(code, frames, order = FALSE) {
  for (name in names(frames)) assign(name, frames[[name]], globalenv())
  given <- ls(globalenv(), all.names = TRUE)
  expressions <- parse(text = code, keep.source = FALSE, encoding = "UTF-8")
  outcome <- with_conditions(for (expression in expressions) {
    last <- withVisible(eval(expression, globalenv()))
    if (last$visible) print(last$value)
  })
  if (!is.null(outcome$error)) stop(outcome$error, call. = FALSE)
  assigned <- setdiff(ls(globalenv(), all.names = TRUE, sorted = TRUE), given)
  changed <- Filter(function(name) !identical(get(name, globalenv()), frames[[name]]), names(frames))
  names <- sort(setdiff(c(assigned, changed), ".Random.seed"), method = "radix")
  list(
    values = carry(mget(names, envir = globalenv())),
    value = if (length(expressions) > 0L) carry(list(last$value)),
    warnings = outcome$warnings,
    messages = outcome$messages,
    stack = stack_of(),
    order = if (order && "lme4" %in% loadedNamespaces()) fill_reducing()
  )
}
