# The harness in which every R function of this library runs. Functions here and in the other files
# are sourced once, into a separate environment.

# Calls a function, by its name, with `args`; returns its value and, if there were any, the error and
# every warning and message, in order, as plain vectors. Options, working directory, search path,
# locale, time zone and the state of the random number generator are put back afterwards.
# With `plain`, R sorts text by code point and speaks English meanwhile, whatever its locale.
run <- function(name, args, plain = FALSE) {
  kind <- text <- where <- character()
  note <- function(what, condition) {
    i <- length(kind) + 1L # R lets vectors grow in place; c() would copy them for each warning
    kind[i] <<- what
    text[i] <<- conditionMessage(condition)
    where[i] <<- call_text(conditionCall(condition))
  }
  restore <- session_state()
  restore_icu <- if (plain) plain_locale()
  kinds <- RNGkind()
  had_seed <- exists(".Random.seed", globalenv(), inherits = FALSE)
  seed <- if (had_seed) get(".Random.seed", globalenv(), inherits = FALSE)
  on.exit({
    restore()
    if (plain) restore_icu()
    if (had_seed) {
      assign(".Random.seed", seed, globalenv())
    } else if (exists(".Random.seed", globalenv(), inherits = FALSE)) {
      suppressWarnings(RNGkind(kinds[1L], kinds[2L], kinds[3L]))  # R keeps them beside the seed
      rm(".Random.seed", envir = globalenv())
    }
  })
  status <- "ok"
  value <- tryCatch(
    withCallingHandlers(
      do.call(find_function(name), args, quote = TRUE, envir = calling_place(name, args)),
      warning = function(condition) {
        note("warning", condition)
        invokeRestart("muffleWarning")
      },
      message = function(condition) {
        note("message", condition)
        invokeRestart("muffleMessage")
      }
    ),
    error = function(condition) {
      status <<- "error"
      note("error", condition)
      NULL
    },
    interrupt = function(condition) {
      status <<- "interrupt"
      NULL
    }
  )
  c(list(status, value), if (length(kind) > 0L) list(kind, text, where))
}

# The environment that a package's function is called from. Some functions (lme4's `influence`) look
# there for the data of a fit's call, which are in the environment of the fit's formula.
calling_place <- function(name, args) {
  fit <- if (length(args) > 0L) args[[1L]]
  if (!grepl("::", name, fixed = TRUE) || !inherits(fit, "merMod")) return(parent.frame())
  new.env(parent = environment(stats::formula(fit)))
}

# `run` of a function with `shared` and each of `parts`, one after the other; an interrupt ends it.
run_each <- function(name, shared, parts, plain = FALSE) {
  outcomes <- list()
  for (part in parts) {
    outcome <- run(name, list(shared, part), plain)
    outcomes[[length(outcomes) + 1L]] <- outcome
    if (outcome[[1L]] == "interrupt") break
  }
  outcomes
}

# Notes this session's settings, and returns a function that puts them back.
session_state <- function() {
  before <- as.list(.Options) # options() would sort them first
  loaded <- loadedNamespaces()
  directory <- getwd()
  path <- search()
  locale <- Sys.getlocale()
  zone <- Sys.getenv("TZ", NA)
  function() {
    if (!identical(as.list(.Options), before)) {
      options(before)
      # Options that are new, unless a package that was loaded meanwhile may have brought them.
      if (length(loadedNamespaces()) == length(loaded)) {
        added <- setdiff(names(.Options), names(before))
        if (length(added) > 0L) options(structure(vector("list", length(added)), names = added))
      }
    }
    if (!is.null(directory)) setwd(directory)
    for (name in setdiff(search(), path)) detach(name, character.only = TRUE)
    if (!identical(Sys.getlocale(), locale)) restore_locale(locale)
    if (!identical(Sys.getenv("TZ", NA), zone)) {
      if (is.na(zone)) Sys.unsetenv("TZ") else Sys.setenv(TZ = zone)
    }
  }
}

# Sets the C locale in the categories that an answer may depend on. ICU's collation changes with it:
# the function that is returned puts that back.
plain_locale <- function() {
  before <- icuGetCollate()
  for (category in c("LC_COLLATE", "LC_MESSAGES", "LC_TIME")) Sys.setlocale(category, "C")
  function() {
    if (uses_icu(before) && !identical(icuGetCollate(), before)) icuSetCollate(locale = before)
  }
}

uses_icu <- function(collation) !collation %in% c("ICU not in use", "unknown")

# The rules by which this session sorts text: the locale's, or ICU's where R follows those.
text_order <- function() {
  locale <- Sys.getlocale("LC_COLLATE")
  icu <- icuGetCollate()
  if (uses_icu(icu)) paste0(locale, " (ICU: ", icu, ")") else locale
}

# `locale` as Sys.getlocale() has it: one name, or "LC_CTYPE=...;LC_NUMERIC=...;...".
restore_locale <- function(locale) {
  for (part in strsplit(locale, ";", fixed = TRUE)[[1L]]) {
    pair <- strsplit(part, "=", fixed = TRUE)[[1L]]
    category <- if (length(pair) == 2L) pair[1L] else "LC_ALL"
    known <- c("LC_ALL", "LC_CTYPE", "LC_COLLATE", "LC_TIME", "LC_MONETARY", "LC_NUMERIC",
               "LC_MESSAGES")
    if (category %in% known) suppressWarnings(Sys.setlocale(category, pair[length(pair)]))
  }
}

call_text <- function(call) {
  if (is.null(call) || identical(call[[1L]], quote(do.call))) return("")
  paste(deparse(call, width.cutoff = 80L, nlines = 1L), collapse = " ")
}

# What `set.seed(seed)` means in a fresh R, whatever generator this session has been switched to.
# A package may have changed the default kinds, so they are named.
seed_r <- function(seed) {
  set.seed(seed, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")
}

# A function by its name: "package::function", or one of this library's.
find_function <- function(name) {
  parts <- strsplit(name, "::", fixed = TRUE)[[1L]]
  if (length(parts) == 2L) getExportedValue(parts[1L], parts[2L]) else get(name, mode = "function")
}

has_package <- function(name) requireNamespace(name, quietly = TRUE)

needs_package <- function(name, what) {
  if (!has_package(name)) {
    stop(what, " needs the R package ", name, ", which this R does not have. Install it: on Debian ",
      "`apt-get install r-cran-", tolower(name), "`, elsewhere in R install.packages(\"", name, "\")",
      call. = FALSE
    )
  }
}

# The text of the error in which `expr` ends; "" if it doesn't.
error_text <- function(expr) {
  tryCatch({
    suppressWarnings(expr)
    ""
  }, error = conditionMessage)
}

to_bytes <- function(object) serialize(object, NULL, xdr = FALSE)

from_bytes <- function(bytes) unserialize(bytes)

# Refuses a generalised model by name, where what follows holds for linear ones only.
linear_only <- function(fit, what) {
  if (lme4::isLMM(fit)) return(invisible())
  family <- stats::family(fit)
  stop(what, " is for linear mixed models: this one is of family '", family$family, "' with link '",
    family$link, "'", call. = FALSE)
}
