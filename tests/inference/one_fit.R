# What lmerTest and emmeans say of linear models: the data, and every table, as plain frames.

suppressMessages({
  library(lme4)
  library(lmerTest)
  library(emmeans)
})
emm_options(pbkrtest.limit = 1e5, lmerTest.limit = 1e5)

from <- function(package, name) {
  env <- new.env()
  utils::data(list = name, package = package, envir = env)
  d <- as.data.frame(env[[name]])
  # nlme's frames have classes and attributes that other data don't.
  plain <- lapply(d, function(x) {
    if (is.factor(x)) factor(as.character(x), levels = levels(x), ordered = is.ordered(x)) else as.vector(x)
  })
  data.frame(plain, check.names = FALSE)
}

set.seed(1)
sleep <- from("lme4", "sleepstudy")
sleep$w <- round(runif(nrow(sleep), 0.5, 2), 3)
sleep$half <- factor(rep(c("early", "late"), length.out = nrow(sleep)))
cake <- from("lme4", "cake")
cake$temp <- as.numeric(as.character(cake$temperature))
evaluations <- from("lme4", "InstEval")
evaluations <- droplevels(evaluations[as.integer(evaluations$s) <= 25L, ])
achievement <- from("nlme", "MathAchieve")
schools <- unique(as.character(achievement$School))[1:25]
achievement <- droplevels(achievement[achievement$School %in% schools, ])
achievement$School <- factor(as.character(achievement$School))
machines <- from("nlme", "Machines")
oats <- from("nlme", "Oats")
oats$N <- factor(oats$nitro)
frames <- list(
  sleep = sleep, cake = cake, evaluations = evaluations, achievement = achievement,
  machines = machines, oats = oats, penicillin = from("lme4", "Penicillin"),
  pastes = from("lme4", "Pastes"), dyestuff = from("lme4", "Dyestuff"),
  orthodont = from("nlme", "Orthodont"), stool = from("nlme", "ergoStool"),
  rail = from("nlme", "Rail"), pixel = from("nlme", "Pixel"),
  unbalanced = machines[-c(2, 3, 17, 30, 31, 44), ], hole = cake[!(cake$recipe == "B" & cake$temp == 185), ]
)

columns <- function(table, ...) {
  table <- as.data.frame(table, optional = TRUE)
  picked <- lapply(c(...), function(name) if (name %in% names(table)) as.numeric(table[[name]]) else
    rep(NA_real_, nrow(table)))
  c(list(rows = row.names(table)), stats::setNames(picked, names(c(...))))
}

of_coefficients <- function(table) {
  columns(table, estimate = "Estimate", std_error = "Std. Error", df = "df", statistic = "t value",
    p_value = "Pr(>|t|)", conf_low = "lower", conf_high = "upper")
}

of_terms <- function(table) {
  columns(table, sum_sq = "Sum Sq", mean_sq = "Mean Sq", df1 = "NumDF", df2 = "DenDF",
    statistic = "F value", p_value = "Pr(>F)")
}

of_means <- function(grid, adjust = NULL) {
  arguments <- list(grid, infer = TRUE)
  if (!is.null(adjust)) arguments$adjust <- adjust
  table <- suppressMessages(do.call(summary, arguments))
  ends <- attr(table, "clNames")
  ratio <- intersect(c("t.ratio", "z.ratio"), names(table))
  columns(table, estimate = attr(table, "estName"), std_error = "SE", df = "df", conf_low = ends[1],
    conf_high = ends[2], statistic = ratio, p_value = "p.value")
}

ask <- function(case) {
  d <<- frames[[case$data]]
  form <- as.formula(case$formula, globalenv())
  call <- bquote(lme4::lmer(.(form), d, REML = .(case$reml)))
  if (!is.null(case$weights)) call$weights <- as.name(case$weights)
  if (!is.null(case$contrasts)) call$contrasts <- case$contrasts
  fit <- suppressWarnings(suppressMessages(eval(call, globalenv())))
  model <- as_lmerModLmerTest(fit)
  b <- fixef(fit)
  p <- length(b)
  L <- rbind(seq_len(p) / 7, diag(p)[p, ])[if (p > 1) 1:2 else 1, , drop = FALSE]
  right <- c(0.3, -0.2)[seq_len(nrow(L))]
  methods <- c("Satterthwaite", if (case$reml) "Kenward-Roger")
  answers <- list(formula = deparse1(form))
  for (ddf in methods) {
    rows <- lapply(seq_len(nrow(L)), function(i) {
      contest1D(model, L[i, ], rhs = right[i], ddf = ddf, confint = TRUE, level = 0.9)
    })
    mode <- tolower(ddf)
    one <- list(
      fixed = of_coefficients(summary(model, ddf = ddf)$coefficients),
      contest1D = of_coefficients(do.call(rbind, rows)),
      contestMD = of_terms(contestMD(model, L, rhs = right, ddf = ddf)),
      anova = lapply(1:3, function(type) of_terms(suppressMessages(anova(model, type = type, ddf = ddf))))
    )
    if (!is.null(case$factor)) one$emmeans <- means_of(fit, mode, case)
    if (!is.null(case$trend)) one$emtrends <- trends_of(fit, mode, case)
    answers[[mode]] <- one
  }
  asymptotic <- list()
  asymptotic$fixed <- of_coefficients(coef(summary(fit)))
  if (!is.null(case$factor)) asymptotic$emmeans <- means_of(fit, "asymptotic", case)
  if (!is.null(case$trend)) asymptotic$emtrends <- trends_of(fit, "asymptotic", case)
  answers$asymptotic <- asymptotic
  answers$lme4 <- columns(anova(fit), df1 = "npar", sum_sq = "Sum Sq", mean_sq = "Mean Sq",
    statistic = "F value")
  answers
}

# emmeans asks lmerTest anew for each row of each summary, which takes its time.
means_of <- function(fit, mode, case) {
  adjustments <- c("tukey", "holm")
  if (mode == "asymptotic") {
    adjustments <- c(adjustments, "bonferroni", "sidak", "fdr", "BY", "hochberg", "hommel", "none")
  }
  grid <- suppressMessages(emmeans(fit, case$factor, lmer.df = mode))
  pairs <- contrast(grid, "pairwise")
  c(list(means = of_means(grid)),
    stats::setNames(lapply(adjustments, function(x) of_means(pairs, x)), adjustments))
}

trends_of <- function(fit, mode, case) {
  grid <- suppressMessages(emtrends(fit, case$factor, var = case$trend, lmer.df = mode))
  list(means = of_means(grid), tukey = of_means(contrast(grid, "pairwise")))
}

answers <- lapply(cases, ask)
