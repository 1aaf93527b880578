# Files of imputations as R's packages write them: Rscript make_files.R FOLDER.

folder <- commandArgs(trailingOnly = TRUE)[1L]
at <- function(name) file.path(folder, name)

set.seed(7)
n <- 60L
data <- data.frame(
  school = rep(paste0("s", 1:12), each = 5L), # text
  y = rnorm(n), x = rnorm(n) / 3,
  age = as.integer(sample(20:60, n, TRUE)),
  grp = factor(sample(c("low", "h\u00f6her", "mid"), n, TRUE), levels = c("mid", "low", "h\u00f6her", "never")),
  ord = factor(sample(1:3, n, TRUE), levels = 1:3, labels = c("a", "b", "c"), ordered = TRUE),
  flag = sample(c(TRUE, FALSE), n, TRUE),
  when = as.Date("2020-02-28") + 0:(n - 1L),
  at = as.POSIXct("2021-03-04 05:06:07.25", tz = "UTC") + 0:(n - 1L),
  stringsAsFactors = FALSE
)
data$x[c(3, 9, 27, 50)] <- NA
data$y[c(4, 9, 31)] <- NA
data$age[c(1, 9, 44)] <- NA
data$grp[c(2, 10)] <- NA
data$ord[c(5, 11)] <- NA
data$flag[c(6, 12, 13)] <- NA

saveRDS(data, at("holes.rds"))

# -- mice
ini <- mice::mice(data, maxit = 0, printFlag = FALSE)
predictors <- ini$predictorMatrix
predictors[, c("school", "when", "at")] <- 0
imp <- mice::mice(data, m = 3, maxit = 2, seed = 1, printFlag = FALSE, predictorMatrix = predictors)
saveRDS(imp, at("mids.rds"))
saveRDS(imp, at("mids_xz.rds"), compress = "xz")
saveRDS(imp, at("mids_bzip2.rds"), compress = "bzip2")
saveRDS(imp, at("mids_plain2.rds"), compress = FALSE, version = 2)
saveRDS(imp, at("mids_ascii.rds"), ascii = TRUE)
more <- mice::mice(data, m = 2, maxit = 1, seed = 9, printFlag = FALSE, predictorMatrix = predictors)
saveRDS(more, at("mids_more.rds"))
saveRDS(mice::ibind(imp, more), at("mids_ibind.rds"))
save(imp, file = at("mids.rda"))
both <- imp
save(imp, both, file = at("two.rda"))
where <- is.na(data)
where[20:22, "x"] <- TRUE
over <- mice::mice(data, m = 2, maxit = 1, seed = 2, where = where, printFlag = FALSE, predictorMatrix = predictors)
saveRDS(over, at("mids_over.rds"))
# A column that mice left alone: its holes stay.
method <- ini$method
method["age"] <- ""
left <- mice::mice(data, m = 2, maxit = 1, seed = 3, method = method, printFlag = FALSE, predictorMatrix = predictors)
saveRDS(left, at("mids_left.rds"))
# As an analyst makes one, within a function.
inside <- function(d) {
  raw <- as.raw(1:9)
  hidden <- function(z) z + length(raw)
  mice::mice(d, m = 2, maxit = 1, seed = 4, printFlag = FALSE, predictorMatrix = predictors)
}
saveRDS(inside(data), at("mids_inside.rds"))

fits <- with(imp, lme4::lmer(y ~ x + age + (1 | school)))
saveRDS(fits, at("mira_lmer.rds"))
saveRDS(with(imp, lm(y ~ x + grp)), at("mira_lm.rds"))
saveRDS(fits$analyses, at("fits.rds"))
saveRDS(fits$analyses[[2]], at("fit.rds"))

saveRDS(mice::complete(imp, "all"), at("mild.rds"))
saveRDS(mice::complete(imp, "all", include = TRUE), at("mild0.rds"))
long <- mice::complete(imp, "long", include = TRUE)
saveRDS(long, at("long.rds"))
write.csv(long, at("long.csv"))
saveRDS(split(long[long$.imp > 0, ], ~.imp), at("split.rds"))
saveRDS(list(data, data[-1, ]), at("other_rows.rds"))
write.csv(long[long$.imp > 0, ], gzfile(at("completed.csv.gz")), row.names = FALSE, na = "")

# -- Amelia
small <- data[c("school", "y", "x", "age", "grp", "ord")]
amelia <- Amelia::amelia(small, m = 3, idvars = "school", noms = "grp", ords = "ord", p2s = 0)
saveRDS(amelia, at("amelia.rds"))
saveRDS(transform(amelia, xy = x * y), at("amelia_transformed.rds"))

# -- mitml
two <- data[c("school", "y", "x")]
two$school <- as.integer(factor(two$school))
pan <- mitml::panImpute(two, formula = y + x ~ 1 + (1 | school), n.burn = 50, n.iter = 10, m = 3, seed = 5, silent = TRUE)
saveRDS(pan, at("mitml.rds"))
saveRDS(mitml::mitmlComplete(pan, "all"), at("mitml_list.rds"))
saveRDS(structure(list(imputations = mitml::mitmlComplete(pan, "all"), call = quote(f(x))), class = "imputationList"),
  at("imputation_list.rds"))

# -- columns of many kinds
odd <- data.frame(id = 3:1, row.names = c("u", "v", "w"))
odd$na_nan <- c(NA, NaN, -0)
odd$deferred <- as.character(c(100000, 123456, NA))
odd$deferred_int <- as.character(c(7L, NA, 100000L))
odd$days <- as.difftime(c(1, 2.5, NA), units = "days")
odd$local <- as.POSIXct(c("2020-07-01 12:00", NA, "2020-12-01 12:00"), tz = "Europe/Berlin")
odd$as_is <- I(c(1.5, 2.5, 3.5))
odd$scaled <- scale(c(1, 2, 4))
odd$big <- structure(c(1e-320, 2e-320, 0), class = "integer64") # the bits of small whole numbers
latin <- "caf\xe9"
Encoding(latin) <- "latin1"
odd$latin <- c(latin, NA, "NA")
saveRDS(list(odd, odd), at("odd.rds"))
saveRDS(list(odd, odd), at("odd_ascii.rds"), ascii = TRUE)
odd$matrix <- matrix(1:6, 3)
saveRDS(list(odd), at("matrix.rds"))

# -- hostile and mistaken ones
saveRDS(function(x) x, at("closure.rds"))
saveRDS(new.env(), at("environment.rds"))
saveRDS(quote(system("touch canary")), at("call.rds"))
saveRDS(list(data, 1), at("mixed.rds"))
saveRDS(list(), at("empty.rds"))
saveRDS(1:10, at("numbers.rds"))
saveRDS(lm(y ~ x, data), at("lm.rds"))
active <- new.env()
makeActiveBinding("x", function() system("touch canary"), active)
delayedAssign("promise", system("touch canary"), assign.env = active)
hostile <- data
attr(hostile, "environment") <- active
attr(hostile, "finalizer") <- quote(system("touch canary"))
saveRDS(list(hostile, hostile), at("active.rds"), refhook = NULL)
failed <- amelia
failed$imputations[[2]] <- NA
saveRDS(failed, at("amelia_failed.rds"))
