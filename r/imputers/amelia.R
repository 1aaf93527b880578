# Amelia's imputations of `data`: what they fill in, and what they should have left alone.
impute_amelia <- function(data, m, seed, args) {
  seed_r(seed)
  run_amelia(data, m, args)
}

# The number-th of many imputations, on a stream of its own: the same whoever makes the others.
impute_amelia_stream <- function(data, number, seed, args) {
  kinds <- RNGkind()
  on.exit(RNGkind(kinds[1L], kinds[2L], kinds[3L]))
  set.seed(seed, kind = "L'Ecuyer-CMRG", normal.kind = "Inversion", sample.kind = "Rejection")
  stream <- get(".Random.seed", globalenv())
  for (i in seq_len(number - 1L)) stream <- parallel::nextRNGStream(stream)
  assign(".Random.seed", stream, globalenv())
  run_amelia(data, 1L, args)
}

run_amelia <- function(data, m, args) {
  registerS3method("[", "rbridge_mi_table", subset_table)
  missing <- is.na(data)
  args$priors <- priors_table(args$priors, missing)
  if (!is.null(args$arglist)) {
    args$arglist$priors <- priors_table(args$arglist$priors, missing)
  }
  call <- as.call(c(list(quote(Amelia::amelia), x = quote(data), m = m), args))
  out <- eval(call)
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
  list(
    code = out$code,
    message = out$message,
    chain_lengths = vapply(out$iterHist, NROW, 1L),
    cells = changed_cells(data, out$imputations, open),
    altered = altered_cells(data, out$imputations, open, used$priors),
    log_shift = log_shift(data, used$logs)
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

# For each column, the open cells that any of the imputations fills: their rows, and per imputation
# the values there.
changed_cells <- function(data, frames, open) {
  cells <- lapply(seq_along(data), function(j) {
    old <- comparable(data[[j]])
    new <- lapply(frames, function(frame) comparable(frame[[j]]))
    changed <- is.na(old)
    for (values in new) changed <- changed | is.na(values) | values != old
    rows <- which(changed & open[, j])
    list(rows = rows, values = unname(lapply(new, function(values) values[rows])))
  })
  names(cells) <- names(data)
  cells[vapply(cells, function(cell) length(cell$rows) > 0L, NA)]
}

# The cells that were observed and that an imputation changed, though nobody asked for it. Amelia
# writes an observed cell with a prior back through its scaling; such a cell stays as it was.
altered_cells <- function(data, frames, open, priors) {
  closed <- !open & !is.na(data)
  if (!is.null(priors)) closed[unclass(priors)[, 1:2, drop = FALSE]] <- FALSE
  found <- lapply(seq_along(frames), function(i) {
    lapply(seq_along(data), function(j) {
      old <- comparable(data[[j]])
      new <- comparable(frames[[i]][[j]])
      rows <- which(closed[, j] & (is.na(new) | new != old))
      list(
        imputation = rep(i, length(rows)), row = rows, column = rep(names(data)[j], length(rows)),
        was = as.character(old[rows]), became = as.character(new[rows])
      )
    })
  })
  found <- unlist(found, recursive = FALSE)
  fields <- c("imputation", "row", "column", "was", "became")
  sapply(fields, function(field) unlist(lapply(found, `[[`, field)), simplify = FALSE)
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

# Factors by their labels, since an imputation may have lost the original's level order.
comparable <- function(x) if (is.factor(x)) as.character(x) else unclass(x)
