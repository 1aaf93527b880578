# Files of Stata and SPSS by haven, with what R has of them: Rscript stata_spss.R FOLDER.

folder <- commandArgs(trailingOnly = TRUE)[1L]
at <- function(name) file.path(folder, name)
library(haven)

set.seed(11)
n <- 20L
m <- 3L
original <- data.frame(
  x = rnorm(n) / 3, age = sample(20:60, n, TRUE), sex = rep(c(1, 2), n / 2),
  score = rep(c(0, 1, 7, 99), n / 4), name = c("", paste0("n\u00e4me", 2:n)),
  day = as.Date("2019-12-30") + 0:(n - 1), at = as.POSIXct("2020-01-01 01:02:03", tz = "UTC") + 0:(n - 1)
)
original$age <- as.integer(original$age)
holes <- list(x = c(2, 5, 9), age = c(2, 7), sex = c(3, 4))
completed <- lapply(seq_len(m), function(i) {
  d <- original
  d$x[holes$x] <- rnorm(3)
  d$age[holes$age] <- sample(20:60, 2)
  d$sex[holes$sex] <- sample(1:2, 2, TRUE)
  d
})
for (name in names(holes)) original[[name]][holes[[name]]] <- NA
incomplete <- sort(unique(unlist(holes)))

labelled_for <- function(d, program) {
  d$sex <- labelled(d$sex, c(male = 1, female = 2), label = "Sex of the person")
  d$score <- labelled(d$score, c(none = 0, top = 99))
  attr(d$x, "label") <- "A number"
  d
}
stack <- function(rows) {
  parts <- lapply(0:m, function(i) {
    d <- if (i == 0L) original else completed[[i]]
    kept <- if (i == 0L) seq_len(n) else rows
    miss <- if (i == 0L) as.integer(seq_len(n) %in% incomplete) else NA_integer_
    cbind(d[kept, ], `_mi_m` = i, `_mi_id` = kept, `_mi_miss` = miss)
  })
  do.call(rbind, parts)
}
flong <- stack(seq_len(n))
write_dta(labelled_for(flong), at("flong.dta"))
old <- flong[c("x", "age", "sex", "_mi_m", "_mi_id")]
old$sex <- factor(old$sex, 1:2, c("male", "female"))
foreign::write.dta(old, at("old.dta"), version = 7L)
write_dta(labelled_for(stack(incomplete)), at("mlong.dta"))
ice <- flong
names(ice)[names(ice) == "_mi_m"] <- "_mj"
names(ice)[names(ice) == "_mi_id"] <- "_mi"
ice$`_mi_miss` <- NULL
write_dta(labelled_for(ice[sample(nrow(ice)), ]), at("ice.dta"))
wide <- cbind(original, `_mi_miss` = as.integer(seq_len(n) %in% incomplete))
for (i in seq_len(m)) for (name in names(holes)) wide[[paste0("_", i, "_", name)]] <- completed[[i]][[name]]
write_dta(labelled_for(wide), at("wide.dta"))
wide$`_2_age` <- NULL
write_dta(wide, at("wide_broken.dta"))
for (i in 0:m) {
  d <- cbind(if (i == 0L) original else completed[[i]], `_mi_id` = seq_len(n))
  if (i == 0L) d$`_mi_miss` <- as.integer(seq_len(n) %in% incomplete)
  d <- if (i == 2L) d[rev(seq_len(n)), ] else d
  write_dta(labelled_for(d), at(if (i == 0L) "sep.dta" else paste0("_", i, "_sep.dta")))
}
own <- flong
names(own)[names(own) == "_mi_m"] <- "number"
names(own)[names(own) == "_mi_id"] <- "person"
own$`_mi_miss` <- NULL
write_dta(labelled_for(own), at("own.dta"))

spss <- flong
spss$`_mi_id` <- spss$`_mi_miss` <- NULL
names(spss)[names(spss) == "_mi_m"] <- "Imputation_"
spss$Imputation_ <- labelled(spss$Imputation_, c("Original data" = 0))
spss <- labelled_for(spss)
spss$answer <- labelled_spss(rep(c(1, 2, 8, 99), nrow(spss) / 4), c(no = 1, yes = 2, refused = 99, unknown = 8),
  na_values = c(8, 99))
write_sav(spss, at("spss.sav"))
write_sav(spss, at("spss.zsav"), compress = "zsav")
shuffled <- spss
rows <- which(shuffled$Imputation_ == 2)
shuffled[rows, ] <- shuffled[rev(rows), ]
write_sav(shuffled, at("shuffled.sav"))
write_sav(spss[-30, ], at("short.sav"))
without <- spss[spss$Imputation_ > 0, ]
write_sav(without, at("without.sav"))

tagged <- flong[1:(2 * n), ]
tagged$x[1] <- tagged_na("a")
write_dta(tagged, at("tagged.dta"))
saveRDS(list(original = original, completed = completed), at("truth.rds"))
