# Fits of plain lme4, saved without the data that their calls name, and what R says of them where the
# data are: "fit;what;term;value" per number.
suppressPackageStartupMessages({library(lme4); library(lmerTest); library(emmeans)})
folder <- commandArgs(TRUE)[1]
set.seed(11)
n <- 160
d <- data.frame(g = rep(sprintf("g%02d", 1:16), each = 10), f = rep(c("b", "a", "c", "a"), n / 4),
  x = runif(n, 1, 5), z = rnorm(n), w = runif(n, .5, 2), k = rep(1:2, each = 5, length.out = n))
d$y <- d$x + (d$f == "a") + rep(rnorm(16), each = 10) + rnorm(n)
d$size <- 5L + rpois(n, 5)
d$s <- rbinom(n, d$size, plogis(d$z / 2 + rep(rnorm(16), each = 10) / 2))
write.csv(d, file.path(folder, "d.csv"), row.names = FALSE)
d <- read.csv(file.path(folder, "d.csv")) # the values that a reader of the file has
ChickWeight <- as.data.frame(ChickWeight)
ChickWeight$Chick <- factor(as.character(ChickWeight$Chick))
ChickWeight$Time <- ChickWeight$Time / 10
ChickWeight <- ChickWeight[as.integer(ChickWeight$Chick) %% 3 == 0, ]
holes <- d
holes$z[c(3, 50, 120)] <- NA
named <- d
row.names(named) <- paste("row", seq_len(n))
lenient <- lmerControl(optimizer = "bobyqa")
sums <- function(expr) {
  old <- options(contrasts = c("contr.sum", "contr.poly"))
  on.exit(options(old))
  expr
}
fits <- list(
  plain = lme4::lmer(y ~ x + f + (1 | g), d),
  chick = lme4::lmer(weight ~ Time + Diet + (1 | Chick), ChickWeight),
  log = lme4::lmer(y ~ log(x) + f + (1 | g), d),
  poly = lme4::lmer(y ~ poly(x, 2) + f + (1 | g), d),
  scale = lme4::lmer(y ~ scale(x) + factor(k) + f + (1 | g), d),
  weights = lme4::lmer(y ~ x + f + (1 | g), d, weights = w),
  offset = lme4::lmer(y ~ x + f + offset(z / 2) + (1 | g), d),
  offset_argument = lme4::lmer(y ~ x + f + (1 | g), d, offset = z / 2),
  subset = lme4::lmer(y ~ x + f + (1 | g), d, subset = z > -1),
  rows = lme4::lmer(y ~ x + f + (1 | g), d[31:160, ]),
  omitted = lme4::lmer(y ~ x + z + f + (1 | g), holes),
  excluded = lme4::lmer(y ~ x + z + f + (1 | g), holes, na.action = na.exclude),
  named = lme4::lmer(y ~ x + f + (1 | g), named),
  control = lme4::lmer(y ~ x + f + (x || g), d, control = lenient, REML = FALSE),
  sums = sums(lme4::lmer(y ~ x + f + (1 | g), d)),
  counts = glmer(cbind(s, size - s) ~ z + f + (1 | g), d, family = binomial),
  share = glmer(s / size ~ z + f + (1 | g), d, family = binomial, weights = size),
  poisson = glmer(s ~ z + f + offset(log(size)) + (1 | g), d, family = poisson),
  spline = lme4::lmer(y ~ splines::ns(x, 3) + f + (1 | g), d)
)
say <- function(fit, what, terms, values) {
  cat(sprintf("%s;%s;%s;%a\n", fit, what, terms, as.numeric(values)), sep = "")
}
for (name in names(fits)) {
  fit <- fits[[name]]
  saveRDS(fit, file.path(folder, paste0(name, ".rds")))
  used <- switch(name, chick = ChickWeight, omitted = , excluded = holes, named = named,
    rows = d[31:160, ], subset = d[d$z > -1, ], d)
  means <- as.data.frame(emmeans(fit, if (name == "chick") "Diet" else "f", lmer.df = "satterthwaite",
    data = used))
  say(name, "emmeans", as.character(means[[1]]), means$emmean)
  say(name, "emmeans_se", as.character(means[[1]]), means$SE)
  if (isLMM(fit)) {
    table <- if (name == "sums") sums(summary(as_lmerModLmerTest(fit))$coefficients) else
      summary(as_lmerModLmerTest(fit))$coefficients
    say(name, "df", rownames(table), table[, "df"])
    say(name, "p", rownames(table), table[, "Pr(>|t|)"])
    terms <- if (name == "sums") sums(anova(as_lmerModLmerTest(fit))) else anova(as_lmerModLmerTest(fit))
    say(name, "anova_df", rownames(terms), terms$DenDF)
    say(name, "anova_p", rownames(terms), terms[["Pr(>F)"]])
  }
  again <- if (name == "sums") sums(update(fit, control = lmerControl(optimizer = "Nelder_Mead"))) else
    update(fit, control = if (isLMM(fit)) lmerControl(optimizer = "Nelder_Mead") else
      glmerControl(optimizer = "Nelder_Mead"))
  say(name, "nelder_mead", names(fixef(again)), fixef(again))
}
