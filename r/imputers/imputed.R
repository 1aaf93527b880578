# What every imputation engine shares. An engine is a function(data, m, args) that returns
# list(object, answer): its R object with the m completed data sets, and what Python is told of
# it. An answer has `cells`, `altered`, `log`, `trace` and `saw` (the functions below make the first
# two), or `code` and `message` where there are no imputations. `args` are the engine's arguments
# under R's names.

# m imputations of `data` on R's one stream of random numbers. With `keep`, all that the engine
# returned, for `imputation_answer` and `imputation_object`; else its answer.
impute_together <- function(engine, data, m, seed, args, keep = FALSE) {
  seed_r(seed)
  imputations <- find_function(engine)(data, m, args)
  if (keep) imputations else imputations$answer
}

# The number-th of many imputations, on a separate stream, so that it does not depend on which
# process makes the others.
impute_on_stream <- function(engine, data, number, seed, args) {
  kinds <- RNGkind()
  on.exit(RNGkind(kinds[1L], kinds[2L], kinds[3L]))
  set.seed(seed, kind = "L'Ecuyer-CMRG", normal.kind = "Inversion", sample.kind = "Rejection")
  stream <- get(".Random.seed", globalenv())
  for (i in seq_len(number - 1L)) stream <- parallel::nextRNGStream(stream)
  assign(".Random.seed", stream, globalenv())
  find_function(engine)(data, 1L, args)$answer
}

imputation_answer <- function(imputations) imputations$answer

imputation_object <- function(imputations) imputations$object

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

# The `closed` cells, a matrix of truth values, that an imputation changed.
altered_cells <- function(data, frames, closed) {
  cells <- lapply(seq_along(frames), function(i) {
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
  cells <- unlist(cells, recursive = FALSE)
  fields <- c("imputation", "row", "column", "was", "became")
  sapply(fields, function(field) unlist(lapply(cells, `[[`, field)), simplify = FALSE)
}

# Factors by their labels, since an imputation may have lost the original's level order.
comparable <- function(x) if (is.factor(x)) as.character(x) else unclass(x)
