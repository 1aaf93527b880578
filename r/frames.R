# A data frame from carried columns: a vector, or list(kind, values, ...); see encode.py.
assemble_frame <- function(columns, names, nrow) {
  frame <- lapply(columns, assemble_column)
  attr(frame, "names") <- names
  attr(frame, "row.names") <- .set_row_names(nrow)
  class(frame) <- "data.frame"
  frame
}

assemble_column <- function(column) {
  if (!is.list(column)) return(column)
  switch(column$kind,
    text = column$levels[column$values],
    factor = structure(column$values,
      levels = column$levels,
      class = if (column$ordered) c("ordered", "factor") else "factor"
    ),
    datetime = structure(column$values, class = c("POSIXct", "POSIXt"), tzone = "UTC"),
    date = structure(column$values, class = "Date")
  )
}

# The data frame of the columns `names`: those of `base`, and `others`, a list of the same length.
joined_frame <- function(base, others, names) {
  columns <- c(unclass(base), others)
  frame <- columns[match(names, names(columns))]
  attr(frame, "row.names") <- .set_row_names(.row_names_info(base, 2L))
  class(frame) <- "data.frame"
  frame
}

# The texts that were joined into `text` by `separator`.
parted <- function(text, separator) strsplit(text, separator, fixed = TRUE)[[1L]]
