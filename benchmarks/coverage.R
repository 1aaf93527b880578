# R's engines for the coverage study. For each line
#   engine <tab> csv file <tab> answer file <tab> m <tab> seed <tab> model <tab> binary columns
# on standard input it imputes the data and writes the imputed columns' values to the answer file, as
# doubles: column by column, one data set after the other. It then prints "ok" and the CPU seconds, or
# "error" and the message. Each runs in a fork: pan keeps a number from one call to the next, and jomo
# may end its process.

# Loaded here, once, and not in every fork.
library(mice, warn.conflicts = FALSE)
library(jomo)

constant_within <- function(values, groups) {
  all(tapply(values, groups, function(part) length(unique(part[!is.na(part)])) <= 1L))
}

# Each incomplete column by 2l.pan, 2l.bin or 2lonly.norm, given all others. Where the model has the
# product of two covariates, one's imputation model has the product of the other and y (passive).
impute_pan <- function(data, m, model, binary) {
  data$g <- as.integer(factor(data$g))
  holes <- names(data)[vapply(data, anyNA, NA)]
  products <- if (grepl(":", model, fixed = TRUE)) c(x = "yz", z = "yx")
  method <- stats::setNames(character(ncol(data)), names(data))
  for (name in holes) {
    method[name] <- if (name %in% binary) {
      "2l.bin"
    } else if (constant_within(data[[name]], data$g)) "2lonly.norm" else "2l.pan"
  }
  visits <- "roman"
  if (length(products) > 0L) {
    data$yz <- data$y * data$z
    data$yx <- data$y * data$x
    method <- c(method, yz = "~ I(y * z)", yx = "~ I(y * x)")
    visits <- c("x", "yx", "z", "yz")
  }
  predictors <- matrix(0, ncol(data), ncol(data), dimnames = list(names(data), names(data)))
  for (name in holes) {
    others <- setdiff(names(data), c(name, "g", setdiff(products, products[name])))
    predictors[name, others] <- 1
    predictors[name, "g"] <- -2
  }
  iterations <- if (length(holes) > 1L) 10L else 1L
  imp <- mice::mice(
    data, m = m, method = method, predictorMatrix = predictors, visitSequence = visits,
    maxit = iterations, printFlag = FALSE
  )
  lapply(seq_len(m), function(i) mice::complete(imp, i)[holes])
}

# The model's own imputation, on standardised columns: jomo's priors depend on units.
impute_jomo <- function(data, m, model, binary) {
  holes <- names(data)[vapply(data, anyNA, NA)]
  data$g <- as.integer(factor(data$g))
  level <- rep(1, ncol(data))
  level[names(data) == "z"] <- 2
  numbers <- setdiff(names(data), c("g", binary))
  centre <- vapply(data[numbers], mean, 0, na.rm = TRUE)
  spread <- vapply(data[numbers], stats::sd, 0, na.rm = TRUE)
  standardised <- data
  standardised[numbers] <- scale(data[numbers], centre, spread)
  standardised[binary] <- lapply(data[binary], factor)
  imp <- jomo::jomo.lmer(
    stats::as.formula(model), standardised, level = level, nimp = m, output = 0
  )
  lapply(seq_len(m), function(i) {
    part <- imp[imp$Imputation == i, holes, drop = FALSE]
    for (name in holes) {
      part[[name]] <- if (name %in% binary) {
        as.numeric(as.character(part[[name]]))
      } else part[[name]] * spread[[name]] + centre[[name]]
    }
    part
  })
}

engines <- list(pan = impute_pan, jomo = impute_jomo)

answer <- function(fields) {
  data <- utils::read.csv(fields[2L], colClasses = c(g = "character"))
  set.seed(as.integer(fields[5L]))
  before <- proc.time()
  frames <- engines[[fields[1L]]](
    data, as.integer(fields[4L]), fields[6L], setdiff(strsplit(fields[7L], ",")[[1L]], "")
  )
  seconds <- sum((proc.time() - before)[c("user.self", "sys.self")])
  for (frame in frames) {
    for (name in names(frame)) {
      seen <- !is.na(data[[name]])
      stopifnot(isTRUE(all.equal(frame[[name]][seen], data[[name]][seen])))
    }
  }
  writeBin(as.double(unlist(frames)), fields[3L])
  seconds
}

requests <- file("stdin", open = "r")
repeat {
  line <- readLines(requests, n = 1L)
  if (length(line) == 0L) break
  fields <- strsplit(paste0(line, "\t"), "\t", fixed = TRUE)[[1L]]
  fields <- c(fields, "")[1:7]
  job <- parallel::mcparallel(answer(fields), mc.set.seed = FALSE, silent = TRUE)
  value <- suppressWarnings(parallel::mccollect(job)[[1L]])
  if (is.numeric(value)) {
    cat("ok\t", format(value, digits = 15L), "\n", sep = "")
  } else {
    message <- if (is.null(value)) "R died" else as.character(value)
    cat("error\t", gsub("[\r\n\t]+", " ", message), "\n", sep = "")
  }
  flush(stdout())
}
