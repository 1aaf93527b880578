# Small questions about the groups of a fit.

# The groups of a factor in the order in which they come in the data.
levels_in_data <- function(fit, factor) as.character(unique(stats::model.frame(fit)[[factor]]))

kind_of_column <- function(fit, name) {
  if (is.numeric(stats::model.frame(fit)[[name]])) "number" else "text"
}

# R's classes of equal width, or between limits; NA outside of them.
rank_bins <- function(fit, percentiles, breaks) {
  cut(percentiles, breaks = breaks, labels = FALSE, include.lowest = TRUE)
}

# The data of the fit that it used, with the columns that the formula names.
rows_of_fit <- function(fit) {
  used <- used_rows(fit)
  names <- intersect(all.vars(stats::formula(fit)), names(used$data))
  used$data[used$rows, names, drop = FALSE]
}

# The data of the fit, and the numbers of the rows that it used; a fit that this library hasn't made
# has its model frame only.
used_rows <- function(fit) {
  frame <- stats::model.frame(fit)
  data <- environment(stats::formula(fit))$data
  if (!is.data.frame(data)) return(list(data = frame, rows = seq_len(nrow(frame))))
  list(data = data, rows = rows_in_data(fit))
}
