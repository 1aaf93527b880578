# Amelia's imputations of `data`: for each column, the rows in which any of them differs from the
# data, and per imputation the values there.
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
  call <- as.call(c(list(quote(Amelia::amelia), x = quote(data), m = m), args))
  out <- eval(call)
  if (is.null(out$imputations)) {
    return(list(code = out$code, message = out$message))
  }
  failed <- which(!vapply(out$imputations, is.data.frame, NA))
  if (length(failed) > 0L || length(out$imputations) < m) {
    return(list(code = 2L, message = out$message, failed = failed))
  }
  list(
    code = out$code,
    message = out$message,
    chain_lengths = vapply(out$iterHist, NROW, 1L),
    cells = changed_cells(data, out$imputations)
  )
}

changed_cells <- function(data, frames) {
  cells <- lapply(names(data), function(name) {
    old <- data[[name]]
    new <- lapply(frames, function(frame) comparable(frame[[name]]))
    old <- comparable(old)
    changed <- is.na(old)
    for (values in new) changed <- changed | is.na(values) | values != old
    rows <- which(changed)
    list(rows = rows, values = unname(lapply(new, function(values) values[rows])))
  })
  names(cells) <- names(data)
  cells[vapply(cells, function(cell) length(cell$rows) > 0L, NA)]
}

# Factors by their labels, since an imputation may have lost the original's level order.
comparable <- function(x) if (is.factor(x)) as.character(x) else unclass(x)

# Row numbers of m bootstrap samples of `n` rows: `n` draws with replacement each.
bootstrap_rows <- function(n, m, seed) {
  seed_r(seed)
  lapply(seq_len(m), function(i) sample.int(n, n, replace = TRUE))
}
