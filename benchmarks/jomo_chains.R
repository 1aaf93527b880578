# jomo.lmer for jomo_chains.py. Arguments:
#   csv file, answer file, model, binary columns or "-", columns of groups or "-", kind, seed, sizes
# Of kind "chain" (sizes: iterations) it writes the chain of all parameters, of kind "imputations"
# (sizes: how many, iterations before the first, between) the imputed values of each incomplete
# column. The answer is doubles, by column; CPU seconds, names and lengths go to standard output.
# jomo's priors depend on units: the data come standardised.

suppressPackageStartupMessages(library(jomo))

lower <- function(array, name) {
  labels <- dimnames(array)[[1L]]
  if (is.null(labels)) labels <- seq_len(dim(array)[1L])
  parts <- list()
  for (i in seq_along(labels)) {
    for (j in seq_len(i)) {
      parts[[paste0(name, "[", labels[j], ",", labels[i], "]")]] <- array[i, j, ]
    }
  }
  parts
}

by_row <- function(array, name) {
  labels <- if (is.null(dimnames(array)[[2L]])) seq_len(dim(array)[2L]) else dimnames(array)[[2L]]
  parts <- lapply(seq_along(labels), function(j) array[1L, j, ])
  stats::setNames(parts, paste0(name, "[", labels, "]"))
}

chain_of <- function(data, model, level, sizes) {
  result <- jomo::jomo.lmer.MCMCchain(model, data, level = level, nburn = sizes[1L], output = 0)
  parts <- c(
    by_row(result$collectbetaY, "fixed"),
    list(residual = as.vector(result$collectvarY)),
    lower(result$collectcovuY, "random"),
    by_row(result$collectbeta, "mean"),
    lower(result$collectomega, "within"),
    lower(result$collectcovu, "between")
  )
  if (!is.null(result$collectbeta2)) parts <- c(parts, by_row(result$collectbeta2, "mean2"))
  parts
}

imputations_of <- function(data, model, level, sizes) {
  imp <- jomo::jomo.lmer(
    model, data, level = level, nimp = sizes[1L], nburn = sizes[2L], nbetween = sizes[3L],
    output = 0
  )
  holes <- names(data)[vapply(data, anyNA, NA)]
  lapply(stats::setNames(nm = holes), function(name) {
    value <- imp[imp$Imputation > 0, name]
    value <- if (is.factor(value)) as.numeric(as.character(value)) else value
    value[rep(is.na(data[[name]]), sizes[1L])]
  })
}

fields <- commandArgs(trailingOnly = TRUE)
data <- utils::read.csv(fields[1L])
data$g <- as.integer(factor(data$g))
binary <- intersect(strsplit(fields[4L], ",")[[1L]], names(data))
data[binary] <- lapply(data[binary], factor)
level <- ifelse(names(data) %in% strsplit(fields[5L], ",")[[1L]], 2, 1)
model <- stats::as.formula(fields[3L])
sizes <- as.integer(strsplit(fields[8L], ",")[[1L]])
set.seed(as.integer(fields[7L]))
run <- if (fields[6L] == "chain") chain_of else imputations_of
before <- proc.time()
invisible(utils::capture.output(parts <- run(data, model, level, sizes)))
seconds <- sum((proc.time() - before)[c("user.self", "sys.self")])
writeBin(unlist(parts, use.names = FALSE), fields[2L])
cat(format(seconds, digits = 10L), paste(names(parts), lengths(parts)), sep = "\n")
