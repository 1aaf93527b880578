# Fits that are asked a few questions where they are made, and then forgotten.

# The plan for such fits: `questions` are names of functions of r/fits/tables.R.
plan_with_questions <- function(plan, questions) {
  plan$questions <- questions
  plan
}

# The answers of the fit to one data set, by the names of the questions. R's conditions are those of the
# fit alone, as if it had been kept, and asked later.
fit_answers <- function(plan, part) {
  fit <- fit_model(plan, part)
  answers <- suppressMessages(suppressWarnings(
    lapply(plan$questions, function(name) find_function(name)(fit))
  ))
  names(answers) <- plan$questions
  answers
}
