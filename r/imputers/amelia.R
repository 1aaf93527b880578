# Amelia's imputations of `data`; see imputed.R.
run_amelia <- function(data, m, args) {
  registerS3method("[", "rbridge_mi_table", subset_table)
  missing <- is.na(data)
  args$priors <- priors_table(args$priors, missing)
  if (!is.null(args$arglist)) {
    args$arglist$priors <- priors_table(args$arglist$priors, missing)
  }
  call <- as.call(c(list(quote(Amelia::amelia), x = quote(data), m = m), args))
  out <- eval(call)
  list(object = out, answer = amelia_answer(data, m, out, missing))
}

amelia_answer <- function(data, m, out, missing) {
  if (is.null(out$imputations)) {
    return(list(code = out$code, message = out$message))
  }
  failed <- which(!vapply(out$imputations, is.data.frame, NA))
  if (length(failed) > 0L || length(out$imputations) < m) {
    return(list(code = 2L, message = out$message, failed = failed))
  }
  used <- out$arguments
  open <- missing
  open[, c(used$idvars, used$ts, used$cs)] <- FALSE
  open[used$overimp] <- TRUE
  # Amelia writes an observed cell with a prior back through its scaling; it stays as it was.
  closed <- !open & !missing
  if (!is.null(used$priors)) closed[unclass(used$priors)[, 1:2, drop = FALSE]] <- FALSE
  list(
    code = out$code,
    log = out$message,
    trace = amelia_trace(out$iterHist),
    saw = list(amelia_model(names(data), used)),
    cells = changed_cells(data, out$imputations, open),
    altered = altered_cells(data, out$imputations, closed),
    log_shift = log_shift(data, used$logs)
  )
}

# The chains of the EM algorithm: per iteration how many parameters still changed, whether these
# were more than before (after 20 iterations; Amelia prints a `*`), and whether the covariance matrix
# could not be inverted (`!`). A chain that had nothing to do has one row of missing values.
amelia_trace <- function(histories) {
  parameters <- c("changing", "risen", "singular")
  parts <- lapply(seq_along(histories), function(i) {
    history <- histories[[i]]
    if (!is.matrix(history)) history <- matrix(NA_real_, 1L, length(parameters))
    list(
      imputation = rep(i, length(history)),
      iteration = rep(seq_len(nrow(history)), each = length(parameters)),
      parameter = rep(parameters, nrow(history)),
      value = as.numeric(t(history))
    )
  })
  fields <- c("imputation", "iteration", "parameter", "value")
  sapply(fields, function(field) unlist(lapply(parts, `[[`, field)), simplify = FALSE)
}

# The one model of all columns, and what it holds: time by its polynomial or splines, cross-sections
# only where they have separate intercepts, which tell their groups apart, as the indicators of
# nominal columns do.
amelia_model <- function(columns, used) {
  has <- function(degree) isTRUE(any(as.numeric(degree) > 0))
  sections <- if (isTRUE(used$intercs)) used$cs
  time <- if (has(used$polytime) || has(used$splinetime)) used$ts
  never_imputed <- c(used$idvars, used$ts, used$cs)
  unseen <- setdiff(never_imputed, c(sections, time))
  list(
    columns = columns[setdiff(seq_along(columns), never_imputed)],
    method = "Amelia",
    predictors = columns[setdiff(seq_along(columns), unseen)],
    groups = columns[c(used$noms, sections)],
    level = NULL
  )
}

# Priors as Amelia uses them, one cell each, by mean and standard deviation (what its own
# `generatepriors` makes of them, in the same order). Amelia forgets `drop = FALSE` in five places,
# so that a table of one row becomes a vector, and its numbers are taken for cells of the first
# column; this table stays one.
priors_table <- function(priors, missing) {
  if (is.null(priors)) return(NULL)
  if (ncol(priors) == 5L) {
    low <- priors[, 3L]
    high <- priors[, 4L]
    sd <- (high - low) / (2 * stats::qnorm(1 - (1 - priors[, 5L]) / 2))
    priors <- cbind(priors[, 1:2, drop = FALSE], low + (high - low) / 2, sd, deparse.level = 0L)
  }
  whole <- which(priors[, 1L] == 0)
  holes <- which(missing[, priors[whole, 2L], drop = FALSE], arr.ind = TRUE, useNames = FALSE)
  spread <- priors[whole[holes[, 2L]], , drop = FALSE]
  spread[, 1L] <- holes[, 1L]
  cells <- rbind(priors[setdiff(seq_len(nrow(priors)), whole), , drop = FALSE], spread)
  cells <- cells[!duplicated(cells[, 1:2, drop = FALSE]), , drop = FALSE]
  structure(cells, class = c("rbridge_mi_table", "matrix"))
}

# `[` of that table: several columns are a table again, even of one row; one column is a vector.
subset_table <- function(x, ..., drop = FALSE) {
  part <- NextMethod(drop = FALSE)
  if (!missing(drop)) return(part)
  if (ncol(part) == 1L) return(as.vector(part))
  structure(part, class = oldClass(x))
}

# By how much the imputed values of columns in `logs` are too large: Amelia takes
# log(x - min + 1), but gives back exp(z) + min.
log_shift <- function(data, logs) {
  amelia <- asNamespace("Amelia")
  logs <- unique(logs)
  there <- amelia$amtransform(data, logs = logs, sqrts = NULL, lgstc = NULL)
  back <- amelia$untransform(
    there$x, logs = logs, xmin = there$xmin, sqrts = NULL, lgstc = NULL
  )
  shift <- function(j) stats::median(back[[j]] - data[[j]], na.rm = TRUE)
  list(column = names(data)[logs], shift = vapply(logs, shift, 0))
}
