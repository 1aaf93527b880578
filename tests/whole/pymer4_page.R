# What lme4, lmerTest and emmeans say of the models of docs/coming-from-pymer4.md, as plain columns.

suppressMessages({
  library(lme4)
  library(lmerTest)
  library(emmeans)
})
emm_options(lmer.df = "satterthwaite", lmerTest.limit = 1e5)
quiet <- function(x) suppressWarnings(suppressMessages(x))

columns <- function(table, ...) {
  table <- as.data.frame(table, optional = TRUE)
  picked <- lapply(c(...), function(name) as.numeric(table[[name]]))
  stats::setNames(picked, names(c(...)))
}
of_linear <- function(fit) {
  model <- as_lmerModLmerTest(fit)
  rows <- lapply(seq_along(fixef(fit)), function(i) {
    contest1D(model, diag(length(fixef(fit)))[i, ], confint = TRUE)
  })
  columns(do.call(rbind, rows), estimate = "Estimate", std_error = "Std. Error", df = "df",
    statistic = "t value", p_value = "Pr(>|t|)", conf_low = "lower", conf_high = "upper")
}
of_generalised <- function(fit) {
  table <- columns(coef(summary(fit)), estimate = 1, std_error = 2, statistic = 3, p_value = 4)
  half <- qnorm(0.975) * table$std_error
  c(table, list(conf_low = table$estimate - half, conf_high = table$estimate + half))
}
of_terms <- function(fit) {
  columns(anova(as_lmerModLmerTest(fit)), sum_sq = "Sum Sq", mean_sq = "Mean Sq", df1 = "NumDF",
    df2 = "DenDF", statistic = "F value", p_value = "Pr(>F)")
}
of_means <- function(grid, ...) {
  table <- quiet(summary(grid, infer = TRUE, ...))
  ends <- attr(table, "clNames")
  ratio <- intersect(c("t.ratio", "z.ratio"), names(table))
  columns(table, estimate = attr(table, "estName"), std_error = "SE", df = "df", conf_low = ends[1],
    conf_high = ends[2], statistic = ratio, p_value = "p.value")
}
of_limits <- function(table) list(conf_low = unname(table[, 1]), conf_high = unname(table[, 2]))
of_models <- function(table) {
  columns(table, npar = "npar", aic = "AIC", bic = "BIC", log_lik = "logLik", deviance = "deviance",
    statistic = "Chisq", df = "Df", p_value = "Pr(>Chisq)")
}

# -- the models -----------------------------------------------------------------------------------

quiet({ # lmerTest evaluates a fit's call again
  fit <- lme4::lmer(DV ~ IV2 + (IV2 | Group), sample_data)
  slopes <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleep)
  ml <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleep, REML = FALSE)
  intercepts <- lme4::lmer(Reaction ~ Days + (1 | Subject), sleep)
  crossed <- lme4::lmer(DV ~ IV3 + IV2 + (IV2 | Group) + (1 | IV3), sample_data, control = lmerControl(
    optimizer = "Nelder_Mead", optCtrl = list(FtolAbs = 1e-8, XtolRel = 1e-8)))
  logit <- lme4::glmer(DV_l ~ IV3 + (IV3 | Group), two, family = binomial)
  polynomial <- lme4::glmer(DV_l ~ IV3 + (IV3 | Group), ordinal, family = binomial)
  gammas$ROI <- factor(gammas$ROI, c("AG", "IPS", "V1"))
  bold <- lme4::lmer(`BOLD signal` ~ ROI + (1 | subject), gammas)
  coding <- cbind(.AG = c(2, -1, -1) / 3, .V1 = c(0, -1, 1) / 2)
  custom <- lme4::lmer(`BOLD signal` ~ ROI + (1 | subject), gammas, contrasts = list(ROI = coding))
  scaled <- lme4::lmer(DV ~ scale(IV1, scale = FALSE) * factor(IV3) + (1 | Group), sample_data)
  means <- lme4::lmer(DV ~ IV3 + (1 | Group), two)
  cells <- lme4::lmer(DV ~ IV4 * IV3 + (1 | Group), two)
  moderated <- lme4::lmer(DV ~ IV2 * IV3 * IV4 + (1 | Group), two)
  bills <- lme4::lmer(bill_length_mm ~ sex + island + (1 | species), penguins)
  three <- lme4::lmer(DV ~ IV1 * IV3 * DV_l + (IV1 | Group), ordinal,
    contrasts = list(IV3 = "contr.sum", DV_l = "contr.sum"))
  singular <- lme4::lmer(Reaction ~ Days + (Days | Subject) + (1 | Days), sleep)
  risk <- lme4::glmer(DV_l ~ IV1 + (IV1 | Group), sample_data, family = binomial)
  survival <- lme4::glmer(survived ~ sex + (1 | pclass), titanic, family = binomial)
  probit <- lme4::glmer(survived ~ fare + (1 | pclass), titanic, family = binomial("probit"))
})

# -- the tables -----------------------------------------------------------------------------------

grid <- function(...) quiet(emmeans(...))
trends <- function(...) quiet(emtrends(...))
by_dv <- grid(three, "IV3", by = "DV_l")
female <- contrast(grid(survival, "sex"), list("female - male" = c(1, -1)))
new <- data.frame(Days = c(0, 9), Subject = c(308, 308))
at_days <- function(day) contest1D(as_lmerModLmerTest(slopes), c(1, day), confint = TRUE)
odds <- of_generalised(survival)
odds$std_error <- odds$std_error * exp(odds$estimate)
for (name in c("estimate", "conf_low", "conf_high")) odds[[name]] <- exp(odds[[name]])
variances <- VarCorr(slopes)$Subject
of_days <- cbind(1, sleep$Days)
r2 <- local({
  fixed <- var(as.vector(of_days %*% fixef(slopes)))
  random <- mean(rowSums((of_days %*% variances) * of_days))
  total <- fixed + random + sigma(slopes)^2
  list(r2_marginal = fixed / total, r2_conditional = (fixed + random) / total,
    icc_adjusted = random / (total - fixed))
})
answers <- list(
  fit = of_linear(fit), slopes = of_linear(slopes), ml = of_linear(ml), custom = of_linear(custom),
  scaled = of_linear(scaled), coef = as.list(unname(coef(fit)$Group)),
  ranef = columns(as.data.frame(ranef(fit)), condval = "condval", condsd = "condsd"),
  varcorr = columns(as.data.frame(VarCorr(fit)), vcov = "vcov", sdcor = "sdcor"),
  glance = list(nobs = nobs(slopes), sigma = sigma(slopes), log_lik = as.numeric(logLik(slopes)),
    aic = AIC(slopes), bic = BIC(slopes), reml_crit = REMLcrit(slopes),
    df_residual = df.residual(slopes)),
  r2 = r2, crossed = as.list(unname(coef(crossed)$Group)),
  logit = of_generalised(logit), polynomial = of_generalised(polynomial),
  bold = of_means(contrast(grid(bold, "ROI"), list(c(1, -0.5, -0.5)))),
  anova = of_terms(means), anova_of_two = of_terms(cells), anova_of_three = of_terms(moderated),
  emmeans = of_means(grid(cells, "IV3", by = "IV4")),
  pairwise = of_means(contrast(grid(cells, "IV3", by = "IV4"), "pairwise")),
  fdr = of_means(contrast(grid(cells, c("IV3", "IV4")), "pairwise"), adjust = "fdr"),
  trends = of_means(contrast(trends(moderated, c("IV3", "IV4"), "IV2"), "pairwise"),
    adjust = "bonferroni"),
  sidak = of_means(grid(bills, "sex"), adjust = "sidak"),
  sidak_by = of_means(contrast(grid(bills, "sex", by = "island"), "pairwise"), adjust = "sidak"),
  linear = of_means(contrast(by_dv, list(linear = c(-1, 0, 1)))),
  interaction = of_means(contrast(contrast(by_dv, list(linear = c(-1, 0, 1))),
    list(d = c(1, -1)), by = NULL)),
  slope = of_means(trends(three, "1", "IV1")),
  slope_pairs = of_means(contrast(trends(three, "DV_l", "IV1"), "pairwise")),
  at = of_means(grid(three, "IV3", at = list(IV1 = 5))),
  empredict = of_means(grid(three, c("IV1", "IV3"), at = list(IV1 = c(0, 5), IV3 = "1.5"))),
  boot = of_limits(quiet(confint(slopes, method = "boot", nsim = 100, seed = 1, quiet = TRUE))),
  profile = of_limits(quiet(confint(slopes, quiet = TRUE))),
  wald = of_limits(confint(slopes, parm = "beta_", method = "Wald")),
  restricted = of_models(quiet(anova(intercepts, slopes, refit = FALSE))),
  compared = of_models(quiet(anova(intercepts, slopes))),
  singular = columns(as.data.frame(VarCorr(singular)), sdcor = "sdcor"),
  risk = of_generalised(risk), odds = odds, odds_by_class = as.list(exp(unname(coef(survival)$pclass))),
  probabilities = of_means(grid(survival, "sex"), type = "response"),
  ratio = of_means(female, type = "response"), difference = of_means(female),
  probit = of_generalised(probit),
  wald_terms = list(statistic = unname(fixef(survival)^2 / diag(as.matrix(vcov(survival))))),
  predict = list(with = unname(predict(slopes, new)), without = unname(predict(slopes, new, re.form = NA))),
  interval = columns(rbind(at_days(0), at_days(9)), estimate = "Estimate", std_error = "Std. Error",
    df = "df", conf_low = "lower", conf_high = "upper"),
  chances = list(response = unname(predict(survival, titanic, type = "response")),
    link = unname(predict(survival, titanic))),
  simulate = as.list(simulate(slopes, 2, seed = 1, use.u = TRUE)),
  cases = list(fits = unname(fitted(slopes)), residuals = unname(residuals(slopes)))
)
answers$design <- as.list(as.data.frame(unname(model.matrix(means))))
names(answers$coef) <- c("(Intercept)", "IV2")
names(answers$crossed) <- c("(Intercept)", "IV3", "IV2")
names(answers$odds_by_class) <- c("(Intercept)", "sexmale")
families <- lapply(list(poisson = poisson, gamma = Gamma, inverse = inverse.gaussian), function(family) {
  response <- if (family()$family == "poisson") "count" else "time"
  form <- as.formula(paste(response, "~ IV3 + (1 | Group)"))
  of_generalised(quiet(lme4::glmer(form, made, family = family())))
})
random <- lapply(c("(hp | cyl)", "(1 | cyl) + (0 + hp | cyl)", "(1 | cyl)"), function(x) {
  as.data.frame(VarCorr(quiet(lme4::lmer(as.formula(paste("mpg ~ 1 +", x)), mtcars))))$sdcor
})
