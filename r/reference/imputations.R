# A case of the parity suite: an engine as a user's `script` calls it on `data`, after set.seed().
# What it returned is read by the function `completed_by_ENGINE`: list(frames, chain_lengths), or
# list(error).
imputation_case <- function(script, data, seed, engine, package, model = NULL) {
  suppressPackageStartupMessages(library(package, character.only = TRUE))
  env <- new.env(parent = globalenv())
  env$data <- data
  set.seed(seed)
  outcome <- with_conditions(eval(parse(text = script, keep.source = FALSE, encoding = "UTF-8"), env))
  if (!is.null(outcome$error)) return(list(impute = list(error = outcome$error)))
  completed <- get(paste0("completed_by_", engine), mode = "function")(outcome$value, data)
  if (!is.null(completed$error)) return(list(impute = list(error = completed$error)))
  frames <- unname(completed$frames)
  answers <- list(
    attributes = list(
      chain_lengths = completed$chain_lengths,
      warnings = unique(trimws(c(outcome$warnings, completed$warnings, outcome$messages)))
    ),
    imputations = lapply(frames, function(frame) {
      as.data.frame(lapply(frame, identity), optional = TRUE, stringsAsFactors = FALSE)
    })
  )
  if (!is.null(model)) {
    suppressPackageStartupMessages(library(lme4))
    fits <- lapply(frames, function(data) lmer(stats::as.formula(model), data = data))
    answers$fixef <- lapply(fits, function(fit) {
      data.frame(term = names(fixef(fit)), estimate = unname(fixef(fit)))
    })
    answers$varcorr <- lapply(fits, function(fit) as.data.frame(VarCorr(fit)))
    answers$ranef <- lapply(fits, modes)
    answers$vcov <- lapply(fits, function(fit) as.matrix(vcov(fit)))
  }
  answers
}

completed_by_amelia <- function(out, data) {
  complete <- !is.null(out$imputations) && all(vapply(out$imputations, is.data.frame, NA))
  if (!complete) return(list(error = trimws(paste(out$message, collapse = " "))))
  list(frames = out$imputations, chain_lengths = unname(vapply(out$iterHist, NROW, 1L)))
}

# The columns of jomo's long frame in the place and the kind that they have in the data; jomo makes
# factors of all categories.
completed_by_jomo <- function(out, data) {
  number <- out[[length(out)]]
  numbers <- setdiff(unique(number), 0)
  frames <- lapply(numbers, function(i) {
    for (name in intersect(names(data), names(out)[seq_len(length(out) - 3L)])) {
      new <- out[[name]][number == i]
      old <- data[[name]]
      if (!anyNA(old)) next
      data[[name]] <- if (is.factor(old)) {
        factor(as.character(new), levels(old), ordered = is.ordered(old))
      } else if (is.logical(old)) {
        as.logical(as.character(new))
      } else if (is.character(old)) {
        as.character(new)
      } else if (is.factor(new)) {
        as.numeric(as.character(new))
      } else {
        new
      }
    }
    data
  })
  list(frames = frames, chain_lengths = integer())
}

# The logged events are warnings of this library's, each once, after those of mice itself.
completed_by_mice <- function(out, data) {
  events <- out$loggedEvents
  told <- character()
  if (!is.null(events)) {
    texts <- sprintf("%s (%s): %s", events$dep, events$meth, events$out)
    setup <- events$dep == ""
    texts[setup] <- sprintf("'%s' is %s: mice neither imputes it nor imputes from it",
                            events$out[setup], events$meth[setup])
    times <- table(factor(texts, unique(texts)))
    told <- sprintf("logged event: %s%s", names(times),
                    ifelse(times > 1, sprintf(" (%d times)", times), ""))
  }
  list(
    frames = lapply(seq_len(out$m), function(i) complete(out, i)),
    chain_lengths = if (out$iteration > 0) rep(as.integer(out$iteration), out$m) else integer(),
    warnings = told
  )
}

# Truth values and texts, which mitml takes as factors, are again what they were.
completed_by_pan <- function(out, data) {
  frames <- lapply(mitml::mitmlComplete(out, "all"), function(frame) {
    frame <- frame[c(names(data), setdiff(names(frame), names(data)))]
    for (name in names(data)) {
      if (is.factor(frame[[name]]) && !is.factor(data[[name]])) {
        frame[[name]] <- methods::as(as.character(frame[[name]]), class(data[[name]]))
      }
    }
    frame
  })
  lengths <- as.integer(out$iter$burn + out$iter$iter * seq_len(out$iter$m))
  list(frames = frames, chain_lengths = lengths)
}
