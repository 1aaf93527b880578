# One model by every optimizer of lme4, as lme4::allFit() does: that one stops in lme4 before 1.1-32
# where R has neither dfoptim nor optimx.

optimizer_table <- function() {
  data.frame(
    optimizer = c("bobyqa", "Nelder_Mead", "nlminbwrap", "nmkbw", "optimx", "nloptwrap", "nloptwrap"),
    limit = c("maxfun", "maxfun", "maxfun", "maxfeval", "maxit", "maxeval", "maxeval"),
    method = c("", "", "", "", "L-BFGS-B", "NLOPT_LN_NELDERMEAD", "NLOPT_LN_BOBYQA"),
    package = c("", "", "", "dfoptim", "optimx", "", "")
  )
}

# Per optimizer its name, what lme4 reported (or why there is no fit), and the estimates.
all_fit <- function(fit, maxfun) {
  needs_data(fit)
  table <- optimizer_table()
  lapply(seq_len(nrow(table)), function(i) {
    row <- table[i, ]
    name <- if (row$method == "") row$optimizer else paste0(row$optimizer, " ", row$method)
    if (row$package != "" && !has_package(row$package)) {
      return(list(optimizer = name, messages = paste("needs the R package", row$package)))
    }
    outcome <- fit_by(fit, row, maxfun)
    if (is.character(outcome$fit)) {
      return(list(optimizer = name, messages = paste("not fitted:", outcome$fit)))
    }
    beta <- lme4::fixef(outcome$fit)
    c(
      list(
        optimizer = name, messages = outcome$messages,
        log_lik = as.numeric(stats::logLik(outcome$fit)), singular = lme4::isSingular(outcome$fit),
        terms = as.character(names(beta)), beta = unname(beta)
      ),
      varcorr = list(mermod_varcorr(outcome$fit))
    )
  })
}

# The call of the fit with another optimizer, and the texts of its warnings and messages; in place of
# a fit the text of the error.
fit_by <- function(fit, row, maxfun) {
  call <- stats::getCall(fit)
  env <- environment(stats::formula(fit))
  maker <- if (lme4::isLMM(fit)) lme4::lmerControl else lme4::glmerControl
  control <- if (is.call(call$control)) lapply(as.list(call$control)[-1L], eval, env)
  control$optimizer <- row$optimizer
  control$optCtrl <- stats::setNames(list(maxfun), row$limit)
  if (row$optimizer == "optimx") control$optCtrl$method <- row$method
  if (row$optimizer == "nloptwrap") control$optCtrl$algorithm <- row$method
  call$control <- do.call(maker, control)
  texts <- character()
  note <- function(condition, restart) {
    texts <<- c(texts, trimws(conditionMessage(condition)))
    invokeRestart(restart)
  }
  refit <- tryCatch(
    withCallingHandlers(eval(call, env),
      warning = function(condition) note(condition, "muffleWarning"),
      message = function(condition) note(condition, "muffleMessage")),
    error = conditionMessage
  )
  list(fit = refit, messages = texts)
}
