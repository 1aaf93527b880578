# Single rows of a fit's model frame: one that is drawn, or one of averages.

# The rows of `frame` in which the columns have the values of `subset`; matrices are put apart into
# their columns.
chosen_rows <- function(frame, subset) {
  keep <- rep(TRUE, nrow(frame))
  for (name in names(subset)) {
    values <- frame[[name]]
    if (!is.numeric(values)) values <- as.character(values)
    keep <- keep & !is.na(values) & values == subset[[name]]
  }
  plain_columns(frame[keep, , drop = FALSE])
}

plain_columns <- function(frame) {
  columns <- lapply(names(frame), function(name) {
    values <- frame[[name]]
    class(values) <- setdiff(oldClass(values), c("AsIs", "poly", "matrix"))
    if (!is.matrix(values)) return(stats::setNames(list(values), name))
    labels <- colnames(values)
    if (is.null(labels)) labels <- rep("", ncol(values))
    unnamed <- labels == ""
    labels[unnamed] <- paste0("V", which(unnamed))
    columns <- lapply(seq_len(ncol(values)), function(i) as.vector(values[, i]))
    stats::setNames(columns, paste0(name, ".", labels))
  })
  structure(do.call(c, columns), class = "data.frame", row.names = seq_len(nrow(frame)))
}

# The columns of the fit's model frame, and how many of its rows `subset` leaves.
frame_facts <- function(fit, subset) {
  frame <- stats::model.frame(fit)
  known <- intersect(names(subset), names(frame))
  list(columns = names(frame), rows = nrow(chosen_rows(frame, subset[known])))
}

# One row of the fits' frames, each of their rows with the same probability.
drawn_row <- function(fit, others, subset, seed) {
  rows <- lapply(c(list(fit), others), function(one) chosen_rows(stats::model.frame(one), subset))
  ends <- cumsum(vapply(rows, nrow, 1L))
  seed_r(seed)
  k <- sample(seq_len(ends[length(ends)]), 1L)
  which <- which(k <= ends)[1L]
  rows[[which]][k - c(0L, ends)[which], , drop = FALSE]
}

# A row of averages: of each numeric column the mean, of each other one the most frequent value ("."
# if there are several), over the fits' frames or, where it is given, over `data`; and of the grouping
# factors the given groups.
average_row <- function(fit, others, data, subset, groups) {
  frames <- lapply(c(list(fit), others), stats::model.frame)
  functions <- function_columns(fit, response = !is.null(data))
  if (is.null(data)) {
    row <- of_data <- averages(lapply(frames, chosen_rows, subset))
  } else {
    of_data <- averages(list(chosen_rows(data, subset)))
    row <- if (length(functions) > 0L) averages(lapply(frames, plain_columns)) else of_data
  }
  row <- at_averages(fit, row, of_data, functions)
  frame <- plain_columns(frames[[1L]])
  row[names(groups)] <- groups
  like_frame(row[names(frame)], frame)
}

averages <- function(frames) {
  columns <- lapply(stats::setNames(nm = names(frames[[1L]])), function(name) {
    values <- lapply(frames, `[[`, name)
    unlist(if (is.numeric(values[[1L]])) values else lapply(values, as.character), use.names = FALSE)
  })
  lapply(columns, function(values) if (is.numeric(values)) mean(values) else most_frequent(values))
}

most_frequent <- function(values) {
  counts <- table(values)
  most <- names(counts)[counts == max(counts)]
  if (length(most) == 1L) most else "."
}

# The parts of the fixed formula that are columns of the model frame and functions of others, such as
# I(x^2).
function_columns <- function(fit, response) {
  terms <- fit_terms(fit, "fixed")
  if (!response) terms <- stats::delete.response(terms)
  parts <- as.list(attr(terms, "variables"))[-1L]
  names(parts) <- vapply(parts, deparse1, "")
  parts[!vapply(parts, is.name, NA)]
}

# These columns of a row, computed from the averages of what they are functions of, if those are known
# for all of them.
at_averages <- function(fit, row, of_data, functions) {
  functions <- functions[names(functions) %in% names(row)]
  absent <- setdiff(unlist(lapply(functions, all.vars)), names(of_data))
  if (length(absent) > 0L) {
    warning("the averages of ", quoted(names(functions)), " are means of their values, not their values ",
      "at means: orig_data with ", quoted(absent), " would give those", call. = FALSE)
    return(row)
  }
  for (name in names(functions)) {
    row[[name]] <- eval(functions[[name]], of_data, environment(stats::formula(fit)))
  }
  row
}

like_frame <- function(row, frame) {
  columns <- Map(function(value, like) {
    if (is.factor(like)) return(factor(value, levels = union(levels(like), value)))
    if (is.numeric(like)) as.numeric(value) else value
  }, row, frame)
  structure(columns, class = "data.frame", row.names = 1L)
}
