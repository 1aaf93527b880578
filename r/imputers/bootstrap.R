# Row numbers of m bootstrap samples of `n` rows: `n` draws with replacement each.
bootstrap_rows <- function(n, m, seed) {
  seed_r(seed)
  lapply(seq_len(m), function(i) sample.int(n, n, replace = TRUE))
}
