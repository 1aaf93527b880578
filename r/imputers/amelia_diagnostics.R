# Amelia's diagnostics without their plots.

# What Amelia::overimpute() says of a column: per observed cell its row, its value, and what was
# imputed in its place. Amelia counts rows without those that have no value at all.
overimputed_cells <- function(object, column, draws, seed) {
  seed_r(seed)
  out <- without_plot(Amelia::overimpute(object, column, draws = draws, legend = FALSE))
  amelia <- asNamespace("Amelia")
  data <- amelia$getOriginalData(object)
  blanks <- amelia$amelia.prep(data, arglist = object$arguments, incheck = FALSE)$blanks
  list(
    row = setdiff(seq_len(nrow(data)), blanks)[out$row],
    observed = out$orig,
    overimputed_mean = out$mean.overimputed,
    overimputed_low = out$lower.overimputed,
    overimputed_high = out$upper.overimputed,
    row_missing = out$prcntmiss
  )
}

# The principal components of Amelia::disperse()'s parameters, chain after chain.
dispersed_chains <- function(object, m, dims, seed) {
  seed_r(seed)
  out <- without_plot(Amelia::disperse(object, m = m, dims = dims))
  components <- t(out$rotations) %*% out$impdat
  list(
    chain = rep(rep(seq_along(out$iters), out$iters), each = dims),
    iteration = rep(sequence(out$iters), each = dims),
    component = rep(seq_len(dims), ncol(components)),
    value = as.numeric(components)
  )
}

# The value of `plotting`, which draws on a device that shows and writes nothing.
without_plot <- function(plotting) {
  before <- grDevices::dev.cur()
  grDevices::pdf(NULL)
  device <- grDevices::dev.cur()
  on.exit({
    grDevices::dev.off(device)
    if (before > 1L) grDevices::dev.set(before)
  })
  force(plotting)
}
