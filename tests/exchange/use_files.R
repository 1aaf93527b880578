# What R's packages make of files that this library wrote: Rscript use_files.R FOLDER. It prints CSV.

folder <- commandArgs(trailingOnly = TRUE)[1L]
at <- function(name) file.path(folder, name)
say <- function(what, terms, values) {
  cat(paste(what, terms, sprintf("%a", values), sep = ";"), sep = "\n")
}

for (name in c("broom.mixed", "mitml", "Amelia")) invisible(loadNamespace(name)) # for their methods
mids <- readRDS(at("mids.rds"))
stopifnot(mice::is.mids(mids), mids$m == 3, all(mids$where[, "x"] == is.na(mids$data$x)))
invisible(utils::capture.output(print(mids), summary(mids)))
pooled <- summary(mice::pool(with(mids, lme4::lmer(y ~ x + age + (1 | school)))))
say("mice", as.character(pooled$term), pooled$estimate)
say("mice_se", as.character(pooled$term), pooled$std.error)
long <- mice::complete(mids, "long", include = TRUE)
say("long", "x", long$x[long$.imp == 2])

data_sets <- readRDS(at("mitml_list.rds"))
stopifnot(inherits(data_sets, "mitml.list"))
fits <- with(data_sets, lme4::lmer(y ~ x + age + (1 | school)))
estimates <- mitml::testEstimates(fits)$estimates
say("mitml", rownames(estimates), estimates[, "Estimate"])
say("mitml_se", rownames(estimates), estimates[, "Std.Error"])

amelia <- readRDS(at("amelia.rds"))
invisible(utils::capture.output(print(amelia), summary(amelia)))
stopifnot(inherits(amelia, "amelia"), inherits(amelia$imputations, "mi"))
say("missing", colnames(amelia$missMatrix), colSums(amelia$missMatrix))
converted <- mitml::amelia2mitml.list(amelia)
say("amelia", "x", converted[[2]]$x)
doubled <- transform(amelia, z = x * 2)
say("transformed", "z", doubled$imputations[[1]]$z)

plain <- readRDS(at("list.rds"))
stopifnot(is.list(plain), identical(class(plain), "list"), is.data.frame(plain[[1]]))
say("list", "x", plain[[2]]$x)

fit <- readRDS(at("fit.rds"))
say("fit", names(lme4::fixef(fit)), lme4::fixef(fit))
fewer <- update(fit, . ~ . - age)
say("update", names(lme4::fixef(fewer)), lme4::fixef(fewer))
say("predict", 1:3, predict(fit)[1:3])
invisible(utils::capture.output(print(summary(fit))))
list_of_fits <- readRDS(at("fits.rds"))
pooled <- summary(mice::pool(mice::as.mira(list_of_fits)))
say("pool", as.character(pooled$term), pooled$estimate)
