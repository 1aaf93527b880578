# Makes joint_mitml.json: mitml's and mice's tests of several coefficients and of nested models, with
# the numbers that went in. Run: Rscript make_joint_mitml.R joint_mitml.json
suppressMessages({
  library(lme4)
  library(mice)
  library(mitml)
})

# Two-level data with holes in y and x2, imputed row by row: enough to tell formulas apart.
simulate_case <- function(m, seed, groups = 30, size = 8) {
  set.seed(seed)
  g <- rep(seq_len(groups), each = size)
  n <- length(g)
  x1 <- rnorm(n)
  x2 <- 0.5 * x1 + rnorm(n)
  x3 <- rnorm(n)
  y <- 0.2 * x1 + 0.15 * x2 + 0.1 * x3 + rnorm(groups, sd = 0.6)[g] + rnorm(n)
  y[runif(n) < 0.15] <- NA
  x2[runif(n) < 0.25] <- NA
  frame <- data.frame(g, x1, x2, x3, y)
  predictors <- make.predictorMatrix(frame)
  predictors[, "g"] <- 0
  imputed <- mice(frame, m = m, method = "norm", predictorMatrix = predictors,
                  maxit = 5, printFlag = FALSE)
  as.mitml.list(lapply(seq_len(m), function(i) complete(imputed, i)))
}

row <- function(test) as.list(setNames(as.numeric(test$test),
                                       c("statistic", "df1", "df2", "p_value", "riv")))

one_case <- function(name, m, seed, full, reduced, dfcom) {
  data <- simulate_case(m, seed)
  fit <- function(formula) {
    as.mitml.result(lapply(data, function(d) {
      eval(bquote(lme4::lmer(.(formula), data = d, REML = FALSE)), list(d = d))
    }))
  }
  fits <- fit(full)
  nulls <- fit(reduced)
  tested <- setdiff(names(fixef(fits[[1]])), names(fixef(nulls[[1]])))
  own <- mitml:::.evaluateUserLogLik(fits)
  own_null <- mitml:::.evaluateUserLogLik(nulls)
  stack <- mitml:::.evaluateStackedLogLik(fits, data)
  stack_null <- mitml:::.evaluateStackedLogLik(nulls, data)
  test <- function(...) row(testModels(fits, nulls, ...))
  out <- list(
    name = name, m = m, k = own$df - own_null$df, n_params = own$df, dfcom = dfcom,
    loglik_full = own$LL, loglik_reduced = own_null$LL,
    loglik_full_pooled = own$LL.pooled, loglik_reduced_pooled = own_null$LL.pooled,
    loglik_full_stacked = as.numeric(stack$LL.stacked) * m,
    loglik_reduced_stacked = as.numeric(stack_null$LL.stacked) * m,
    D2_lik = test(method = "D2", use = "likelihood"),
    D3 = test(method = "D3"), D3_positive = test(method = "D3", ariv = "positive"),
    D4 = test(method = "D4", data = data),
    D4_positive = test(method = "D4", data = data, ariv = "positive"),
    D4_robust = test(method = "D4", data = data, ariv = "robust")
  )
  if (length(tested)) {
    out$estimates <- t(sapply(fits, function(f) fixef(f)))
    out$vcovs <- lapply(fits, function(f) unname(as.matrix(vcov(f))))
    out$tested <- match(tested, names(fixef(fits[[1]]))) - 1
    out$D1 <- test(method = "D1")
    out$D1_dfcom <- test(method = "D1", df.com = dfcom)
    out$D2_wald <- test(method = "D2", use = "wald")
    pair <- c("x1 - x3", "x1 + 2*x2 - 0.5")
    out$constraints <- row(testConstraints(fits, constraints = pair, df.com = dfcom))
    out$constraints_D2 <- row(testConstraints(fits, constraints = pair, method = "D2"))
    # pool.scalar wants n and k, and uses their difference as dfcom
    out$pool <- lapply(seq_len(ncol(out$estimates)), function(j) {
      u <- sapply(out$vcovs, function(v) v[j, j])
      p <- pool.scalar(out$estimates[, j], u, n = dfcom + 1, k = 1)
      p[c("qbar", "ubar", "b", "t", "df", "r", "fmi")]
    })
  }
  out
}

three <- y ~ x1 + x2 + x3 + (1 | g)
slope <- y ~ x1 + x2 + x3 + (1 + x1 | g)
cases <- list(
  one_case("k3-m5", 5, 1, three, y ~ 1 + (1 | g), 200),
  one_case("k2-m5", 5, 2, three, y ~ x1 + (1 | g), 60),
  one_case("k2-m20", 20, 3, three, y ~ x1 + (1 | g), 40),
  one_case("k1-m20", 20, 4, three, y ~ x1 + x3 + (1 | g), 100),
  one_case("k1-m3", 3, 5, three, y ~ x1 + x3 + (1 | g), 100),
  one_case("k2-m3", 3, 6, three, y ~ x1 + (1 | g), 100),
  one_case("k2-m2", 2, 7, three, y ~ x1 + (1 | g), 100),
  one_case("slope-m5", 5, 8, slope, three, 100)
)
# jsonlite stops at 15 digits, so doubles go as text with all 17.
exact <- function(x) {
  if (is.double(x)) x[] <- sprintf("%.17g", x)
  x
}
cases <- rapply(cases, exact, how = "replace")
cat(jsonlite::toJSON(cases, auto_unbox = TRUE), file = commandArgs(TRUE)[[1]])
