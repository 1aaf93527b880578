# Objects of mice, Amelia, mitml and lme4 from and to files. Only files whose origin is trusted are
# read here: see SECURITY.md.

# The object of an .rds file, or the one object of an .rda file.
read_r_file <- function(path) {
  start <- readBin(path, "raw", 7L)
  if (identical(start[1:2], as.raw(c(0x1f, 0x8b)))) {
    connection <- gzfile(path, "rb")
    start <- readBin(connection, "raw", 5L)
    close(connection)
  }
  if (!identical(start[1:2], charToRaw("RD"))) return(readRDS(path))
  place <- new.env(parent = emptyenv())
  names <- load(path, envir = place)
  if (length(names) != 1L) {
    stop("it has ", length(names), " objects, and one was looked for: saveRDS(x, file)", call. = FALSE)
  }
  place[[names]]
}

# What of an object is data, serialized: without calls, formulas and functions.
data_parts <- function(object) {
  parts <- if (inherits(object, "mids")) {
    structure(unclass(object)[c("data", "imp", "where", "m")], class = "mids")
  } else if (inherits(object, "amelia")) {
    structure(unclass(object)[c("imputations", "missMatrix")], class = "amelia")
  } else if (inherits(object, "mira")) {
    structure(lapply(object$analyses, plain_model_frame), class = c("mira_frames", "list"))
  } else {
    object
  }
  serialize(parts, NULL)
}

plain_model_frame <- function(fit) {
  frame <- stats::model.frame(fit)
  attr(frame, "terms") <- attr(frame, "formula") <- NULL
  frame
}

# How many models of lme4 an object is: n is NULL if it is something else.
fits_told <- function(object) {
  if (inherits(object, "mira")) object <- object$analyses
  of_lmertest <- function(x) identical(attr(class(x), "package"), "lmerTest")
  items <- if (isS4(object)) list(object) else if (is.list(object)) unclass(object) else list()
  if (any(vapply(items, of_lmertest, NA))) needs_package("lmerTest", "a model that lmerTest fitted")
  fits <- length(items) > 0L && all(vapply(items, inherits, NA, "merMod"))
  list(n = if (fits) length(items), class = class(object))
}

# The i-th model, as lme4's own: one of lmerTest has the same numbers, and other summaries. `data` are
# those that it was fitted to (NULL: as they came with it), and `labels` name their rows.
fit_of_several <- function(object, i, data = NULL, labels = NULL) {
  if (inherits(object, "mira")) object <- object$analyses
  fit <- if (isS4(object)) object else object[[i]]
  if (inherits(fit, "lmerModLmerTest")) fit <- methods::as(fit, "lmerMod")
  with_own_data(fit, data, labels)
}

# The labels of a fit's rows, whole numbers where they are such.
fit_row_labels <- function(fit) {
  labels <- names(stats::fitted(fit))
  numbers <- suppressWarnings(as.integer(labels))
  if (anyNA(numbers) || any(numbers < 1L)) labels else numbers
}

# The columns that a fit holds of its data, without matrices, and the labels of their rows.
columns_of_fit <- function(fit) {
  frame <- plain_model_frame(fit)
  frame[!vapply(frame, is.matrix, NA)]
}

frame_labels <- function(fit) {
  labels <- row.names(stats::model.frame(fit))
  numbers <- suppressWarnings(as.integer(labels))
  if (anyNA(numbers)) labels else numbers
}

# -- writing ---------------------------------------------------------------------------------

# `frames`, and `original` with its holes, as an object of the class `as_`. `rows` are row names, or
# NULL; `where` is a matrix of the cells that data sets fill.
imputations_object <- function(as_, frames, original, where, rows) {
  frames <- lapply(frames, with_row_names, rows)
  original <- with_row_names(original, rows)
  switch(as_,
    list = frames,
    mitml.list = mitml::as.mitml.list(frames),
    amelia = amelia_object(frames, original),
    mids = mids_object(frames, original, where)
  )
}

with_row_names <- function(frame, rows) {
  if (!is.null(rows)) attr(frame, "row.names") <- rows
  frame
}

# What Amelia's functions ask of the data sets. What only its algorithm knows is not there.
amelia_object <- function(frames, original) {
  m <- length(frames)
  names(frames) <- paste0("imp", seq_len(m))
  structure(list(
    imputations = structure(frames, class = c("mi", "list")), m = m, missMatrix = is.na(original),
    overvalues = NULL, theta = NULL, mu = NULL, covMatrices = NULL, code = 1,
    message = "These data sets were imputed outside Amelia.\n",
    iterHist = rep(list(matrix(0, 0L, 3L)), m), arguments = list(), orig.vars = names(original)
  ), class = "amelia")
}

mids_object <- function(frames, original, where) {
  dimnames(where) <- list(row.names(original), names(original))
  stacked <- do.call(rbind, c(list(original), frames))
  stacked$.imp <- rep(0:length(frames), each = nrow(original))
  seed_r(1L) # mice begins with random imputations, which the given ones replace
  object <- mice::as.mids(stacked, where = where, .id = NA)
  attr(object$data, "row.names") <- attr(original, "row.names")
  object
}
