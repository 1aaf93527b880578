# The same work inside R, for the benchmarks: fits, and fits with every table.
tables_of <- function(m) {
  list(
    lme4::fixef(m), stats::vcov(m), as.data.frame(lme4::VarCorr(m)),
    as.data.frame(lme4::ranef(m, condVar = TRUE)), stats::coef(m), stats::AIC(m), stats::BIC(m),
    stats::logLik(m), lme4::isSingular(m), stats::sigma(m), lme4::getME(m, "theta")
  )
}
fit_each <- function(frames, formula) {
  formula <- stats::as.formula(formula)
  lapply(frames, function(data) lme4::lmer(formula, data = data))
}
fit_each_with_tables <- function(frames, formula) lapply(fit_each(frames, formula), tables_of)

# Where the time of one fit goes, in seconds: the steps that lmer() takes, one by one.
steps_of_a_fit <- function(data, formula, times) {
  formula <- stats::as.formula(formula)
  clock <- function(expr) system.time(expr, gcFirst = FALSE)[["elapsed"]]
  one <- function() {
    out <- numeric()
    out["model frame and matrices"] <- clock(parsed <- lme4::lFormula(formula, data))
    out["deviance function"] <- clock(devfun <- do.call(lme4::mkLmerDevfun, parsed))
    out["optimizer"] <- clock(opt <- lme4::optimizeLmer(devfun, calc.derivs = FALSE))
    out["derivatives"] <- clock(lme4:::deriv12(devfun, opt$par))
    out["fitted object"] <- clock(
      m <- lme4::mkMerMod(environment(devfun), opt, parsed$reTrms, fr = parsed$fr)
    )
    out["tables"] <- clock(tables_of(m))
    out["printed summary"] <- clock(utils::capture.output(print(summary(m))))
    out
  }
  runs <- vapply(seq_len(times), function(i) one(), numeric(7L))
  apply(runs, 1L, stats::median)
}
