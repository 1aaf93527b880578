# What passes from this Rscript to Python: vectors, factors, dates, arrays, data frames and lists
# of them, with the attributes that have a meaning there. List elements of other types are left out.

kept_attributes <- c("names", "class", "levels", "dim", "dimnames", "row.names", "tzone")

carried_types <- c("logical", "integer", "double", "character", "raw", "list")

# Returns `x` without the parts that can't be carried, or `left_out` if it can't be carried at all.
carry <- function(x) {
  if (is.null(x)) return(NULL)
  if (isS4(x) || !typeof(x) %in% carried_types) return(left_out)
  if (is.list(x)) {
    frame <- is.data.frame(x)
    rows <- if (frame) .row_names_info(x, 0L)
    names <- names(x)
    items <- lapply(unclass(x), carry)
    keep <- !vapply(items, identical, NA, left_out)
    items <- items[keep]
    attributes(items) <- NULL
    if (!is.null(names)) attr(items, "names") <- names[keep]
    if (frame) {
      attr(items, "row.names") <- rows
      class(items) <- "data.frame"
    }
    return(items)
  }
  kept <- attributes(x)
  kept <- kept[names(kept) %in% kept_attributes]
  classes <- intersect(class(x), c("ordered", "factor", "Date", "POSIXct", "POSIXt"))
  kept$class <- if (length(classes) > 0L) classes
  attributes(x) <- kept
  x
}

left_out <- "\001 not carried \001"

# Evaluates an expression. Returns its value or the error's text, and the warnings and messages, each
# in the order in which they came.
with_conditions <- function(expr) {
  warnings <- messages <- character()
  error <- NULL
  value <- tryCatch(
    withCallingHandlers(
      expr,
      warning = function(condition) {
        warnings[length(warnings) + 1L] <<- conditionMessage(condition)
        invokeRestart("muffleWarning")
      },
      message = function(condition) {
        messages[length(messages) + 1L] <<- conditionMessage(condition)
        invokeRestart("muffleMessage")
      }
    ),
    error = function(condition) {
      error <<- conditionMessage(condition)
      NULL
    }
  )
  list(value = value, error = error, warnings = warnings, messages = messages)
}

# Describes this R: versions, platform, linear algebra, collation.
stack_of <- function(packages = loadedNamespaces()) {
  base <- rownames(utils::installed.packages(priority = "base"))
  packages <- sort(setdiff(as.character(packages), base), method = "radix")
  list(
    r = as.character(getRversion()),
    platform = R.version$platform,
    blas = basename(extSoftVersion()[["BLAS"]]),
    lapack = La_version(),
    collate = Sys.getlocale("LC_COLLATE"),
    packages = vapply(packages, function(name) {
      if (nzchar(system.file(package = name))) utils::packageDescription(name)$Version else ""
    }, "")
  )
}
