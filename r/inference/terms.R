# Tests of a model's terms.

# The analysis of variance of one fit: lme4's of sequential sums of squares, without denominator degrees
# of freedom, where `ddf` is "lme4"; else lmerTest's.
terms_table <- function(fit, type, ddf) {
  if (ddf == "lme4") {
    table <- stats::anova(fit)
    unknown <- rep(NA_real_, nrow(table))
    return(list(
      term = row.names(table), sum_sq = table[["Sum Sq"]], mean_sq = table[["Mean Sq"]],
      df1 = as.numeric(table[[intersect(c("npar", "Df"), names(table))[1L]]]), df2 = unknown,
      statistic = table[["F value"]], p_value = unknown
    ))
  }
  table <- lmertest_anova(fit, type, ddf)
  list(
    term = row.names(table), sum_sq = table[["Sum Sq"]], mean_sq = table[["Mean Sq"]],
    df1 = as.numeric(table[["NumDF"]]), df2 = table[["DenDF"]],
    statistic = table[["F value"]], p_value = table[["Pr(>F)"]]
  )
}

# lmerTest's matrix of each term's hypotheses, by the names of the terms.
term_hypotheses <- function(fit, type) {
  hypotheses <- attr(lmertest_anova(fit, type, "Satterthwaite"), "hypotheses")
  lapply(hypotheses[lengths(hypotheses) > 0L], unname)
}

lmertest_anova <- function(fit, type, ddf) {
  what <- "anova with degrees of freedom"
  linear_only(fit, what)
  needs_package("lmerTest", what)
  if (ddf == "Kenward-Roger") {
    needs_package("pbkrtest", what)
    say_unweighted(fit)
  }
  refuse_unreadable_terms(fit)
  needs_data(fit)
  stats::anova(lmerTest::as_lmerModLmerTest(fit), type = as.character(type), ddf = ddf)
}

# lmerTest makes formulas of the terms' texts.
refuse_unreadable_terms <- function(fit) {
  terms <- fit_terms(fit, "fixed")
  labels <- attr(terms, "term.labels")
  factors <- attr(terms, "factors")
  variables <- as.list(attr(terms, "variables"))[-1L]
  for (label in labels) {
    wanted <- unlist(lapply(variables[factors[, label] > 0], formula_variables))
    read <- tryCatch(formula_variables(str2lang(label)), error = function(condition) NULL)
    lost <- setdiff(wanted, read)
    if (length(lost) > 0L) {
      stop("lmerTest reads the names of columns as R code, and can't read ", quoted(lost),
        ": rename the column", call. = FALSE)
    }
  }
}

# Per term of the fixed part ("(Intercept)" the first, if there is one): the numbers of its
# coefficients, and the terms that contain all of its variables, to which it is marginal.
term_structure <- function(fit) {
  terms <- fit_terms(fit, "fixed")
  labels <- attr(terms, "term.labels")
  assign <- attr(lme4::getME(fit, "X"), "assign")
  factors <- attr(terms, "factors") > 0
  containing <- lapply(labels, function(label) {
    within <- vapply(labels, function(other) {
      other != label && all(factors[factors[, label], other])
    }, NA)
    as.character(labels[within])
  })
  intercept <- attr(terms, "intercept") == 1L
  names <- c(if (intercept) "(Intercept)", labels)
  numbers <- c(if (intercept) 0L, seq_along(labels))
  list(
    terms = names,
    columns = lapply(numbers, function(number) which(assign == number)),
    containing = c(if (intercept) list(character()), containing)
  )
}
