# jomo's imputations of `data`; see imputed.R. `args` holds jomo's arguments, names of columns in
# place of data (Y, Y2, X, X2, Z, clus; with a model `columns`, those of its frame, and `level` of
# each), and how the columns are carried: `factors` (numbers that are categories), `intercept`,
# `scale`. They are asked for as args[["X"]], since args$X is X2 where there is no X. With `trace`
# the chain is run a second time, since jomo() keeps no parameters.
run_jomo <- function(data, m, args) {
  columns <- jomo_columns(data, args)
  call <- jomo_call(data, columns, args)
  start <- get(".Random.seed", globalenv())
  # One imputation is that of jomo's chain after its burn-in, and such a chain keeps its parameters.
  has_chain <- is.null(args$model) || identical(args$meth, "common")
  if (m == 1L && has_chain) {
    chain <- run_jomo_chain(call, args$nburn)
    long <- chain$finimp
  } else {
    chain <- NULL
    arguments <- as_given(call$arguments)
    if (m == 1L) arguments$nbetween <- 1  # jomo makes two at least
    long <- do.call(call$engine, c(arguments, nimp = max(m, 2L), output = 0), quote = TRUE)
  }
  frames <- lapply(seq_len(m), jomo_frame, long, columns)
  if (isTRUE(args$trace) && is.null(chain)) {
    assign(".Random.seed", start, globalenv())
    chain <- suppressMessages(suppressWarnings(
      run_jomo_chain(call, args$nburn + (m - 1) * args$nbetween)
    ))
    if (!identical(jomo_frame(1L, chain$finimp, columns), frames[[m]])) {
      stop("the chain that jomo kept the parameters of is not the one that made the data sets, so ",
        "that there is no trace: leave out trace", call. = FALSE)
    }
  }
  list(object = with_names(long, columns), answer = jomo_answer(data, frames, columns, chain, args))
}

# The call but for the number of imputations: the function, its name for messages, its arguments.
jomo_call <- function(data, columns, args) {
  sent <- as_frame(lapply(columns, `[[`, "values"))
  names(sent) <- safe_names(columns)
  named <- function(names) sent[match(unlist(names), base::names(columns))]
  taken <- c(
    "beta.start", "l2.beta.start", "u.start", "l1cov.start", "l2cov.start", "l1cov.prior",
    "l2cov.prior", "nburn", "nbetween", "a", "a.start", "a.prior"
  )
  arguments <- args[intersect(taken, names(args))]
  if (!is.null(args$model)) {
    binary <- identical(args$family, "binomial")
    engine <- if (binary) "jomo.glmer" else "jomo.lmer"
    arguments <- c(
      list(
        formula = jomo_formula(args$model, names(data), columns), data = sent,
        level = unlist(args$level), meth = args$meth
      ),
      arguments
    )
  } else {
    engine <- "jomo"
    covariates <- function(names) {
      if (length(names) == 0L) return(NULL)
      if (args$intercept) cbind("(Intercept)" = 1, named(names)) else named(names)
    }
    arguments <- c(
      list(
        Y = named(args[["Y"]]), Y2 = if (!is.null(args[["Y2"]])) named(args[["Y2"]]),
        X = covariates(args[["X"]]), X2 = covariates(args[["X2"]]), Z = covariates(args[["Z"]]),
        clus = if (!is.null(args$clus)) group_factor(data[[args$clus]]), meth = args$meth
      ),
      arguments
    )
  }
  list(
    engine = getExportedValue("jomo", engine), arguments = arguments,
    chain = getExportedValue("jomo", paste0(engine, ".MCMCchain"))
  )
}

# A copy, since jomo's compiled code writes into its arguments.
as_given <- function(arguments) unserialize(serialize(arguments, NULL))

run_jomo_chain <- function(call, iterations) {
  arguments <- as_given(call$arguments)[setdiff(names(call$arguments), "nbetween")]
  arguments$nburn <- iterations
  chain <- do.call(call$chain, c(arguments, output = 0), quote = TRUE)
  if (!is.null(arguments$formula)) named_effects(chain, arguments) else chain
}

# jomo leaves the effects of the analysis model without their names, which are those of lme4.
named_effects <- function(chain, arguments) {
  model <- arguments$formula
  fixed <- effect_names(without_bars(model[[3L]]), arguments$data)
  random <- effect_names(find_bars(model)[[1L]][[2L]], arguments$data)
  dimnames(chain$collectbetaY) <- list(as.character(model[[2L]]), fixed, NULL)
  dimnames(chain$collectcovuY) <- list(random, random, NULL)
  chain
}

effect_names <- function(terms, data) {
  formula <- structure(call("~", terms), class = "formula", .Environment = baseenv())
  colnames(stats::model.matrix(formula, data))
}

# The columns as jomo gets them. jomo.lmer takes a group that is a factor for a covariate, and then
# counts its categories wrong, so that the group is numbers there.
jomo_columns <- function(data, args) {
  alone <- is.null(args$model)
  used <- unlist(if (alone) args[c("Y", "Y2", "X", "X2", "Z")] else args$columns)
  used <- names(data)[names(data) %in% used]
  columns <- lapply(used, function(name) {
    if (!alone && name == args$clus) {
      return(list(values = as.numeric(group_factor(data[[name]])), is_target = FALSE))
    }
    column <- jomo_column(data[[name]], name %in% unlist(args$factors))
    column$is_target <- !alone || name %in% unlist(args[c("Y", "Y2")])
    if (!args$scale || !is.null(column$labels)) return(column)
    # Without an intercept, or without the main effects of a product, a model with a covariate that
    # is shifted is another model. jomo's priors hang on scales alone.
    standardised(column, alone && (column$is_target || args$intercept))
  })
  names(columns) <- used
  columns
}

# Categories as a factor, with what its levels stand for; numbers as doubles.
jomo_column <- function(values, is_category) {
  if (is.numeric(values) && !is_category) return(list(values = as.double(values)))
  labels <- if (is.factor(values)) {
    levels(droplevels(values))
  } else {
    sort(unique(values[!is.na(values)]), method = "radix")
  }
  list(values = factor(match(as.vector(values), labels), seq_along(labels), as.character(labels)),
       labels = labels)
}

standardised <- function(column, shift) {
  spread <- stats::sd(column$values, na.rm = TRUE)
  column$spread <- if (is.na(spread) || spread == 0) 1 else spread
  column$centre <- if (shift) mean(column$values, na.rm = TRUE) else 0
  column$values <- (column$values - column$centre) / column$spread
  column
}

# Groups as a factor: categories in their order, text by code points, numbers by size.
group_factor <- function(values) {
  if (is.factor(values)) return(droplevels(factor(values, ordered = FALSE)))
  groups <- sort(unique(values), method = "radix")
  # factor() finds none of the times, and numbers may read the same in 15 digits.
  if (is.object(values) || anyDuplicated(as.character(groups))) {
    return(factor(match(values, groups)))
  }
  factor(values, groups)
}

as_frame <- function(columns) {
  rows <- if (length(columns) > 0L) length(columns[[1L]]) else 0L
  structure(columns, class = "data.frame", row.names = .set_row_names(rows))
}

# jomo makes syntactic names of all others.
safe_names <- function(columns) make.names(names(columns), unique = TRUE)

# The model as jomo.lmer reads it: with its random term last, as a covariate behind it would be
# taken for another.
jomo_formula <- function(text, names, columns) {
  expr <- parse_formula(text, names, character(), may_allow = FALSE)
  bar <- find_bars(expr)[[1L]]
  expr[[3L]] <- call("+", without_bars(expr[[3L]]), call("(", bar))
  safe <- lapply(safe_names(columns), as.name)
  names(safe) <- base::names(columns)
  renamed <- rename_variables(expr, safe)
  structure(renamed, class = "formula", .Environment = asNamespace("stats"))
}

# The expression with other names for its variables; a function keeps its name, though a column may
# be called `+`.
rename_variables <- function(expr, names) {
  if (is.name(expr)) {
    other <- names[[as.character(expr)]]
    return(if (is.null(other)) expr else other)
  }
  if (is.call(expr)) expr[-1L] <- lapply(as.list(expr)[-1L], rename_variables, names)
  expr
}

# The columns of one imputation, as jomo returned them. Before them jomo may have columns of no one;
# after them there are others of the same name.
jomo_frame <- function(number, long, columns) {
  rows <- long[[length(long)]] == number
  targets <- Filter(function(column) column$is_target, columns)
  safe <- safe_names(columns)[match(names(targets), names(columns))]
  frame <- lapply(unclass(long)[match(safe, names(long))], function(values) values[rows])
  names(frame) <- names(targets)
  as_frame(frame)
}

with_names <- function(long, columns) {
  at <- match(safe_names(columns), names(long))
  names(long)[at[!is.na(at)]] <- names(columns)[!is.na(at)]
  long
}

jomo_answer <- function(data, frames, columns, chain, args) {
  targets <- names(frames[[1L]])
  sent <- as_frame(lapply(columns[targets], `[[`, "values"))
  holes <- is.na(data)
  holes[, setdiff(names(data), targets)] <- FALSE
  completed <- lapply(frames, function(frame) {
    for (name in targets) {
      open <- holes[, name]
      data[[name]][open] <- from_jomo(frame[[name]], columns[[name]])[open]
    }
    data
  })
  list(
    log = character(),
    trace = jomo_trace(chain),
    saw = jomo_models(columns, args),
    cells = changed_cells(data, completed, holes),
    altered = altered_cells(sent, frames, !is.na(sent))
  )
}

# Values of jomo's in the kind and on the scale of the data.
from_jomo <- function(values, column) {
  if (is.null(column$labels)) {
    return(if (is.null(column$spread)) values else values * column$spread + column$centre)
  }
  column$labels[as.integer(values)]
}

# What the models of the columns saw: one joint model, of which those of group-level columns take
# part by the groups' random effects; with an analysis model its random effects, too.
jomo_models <- function(columns, args) {
  effects <- character()
  one <- function(columns, method, predictors, level) {
    list(columns = as.character(columns), method = method, predictors = as.character(predictors),
         groups = as.character(args$clus), level = level, random_effects = effects)
  }
  if (is.null(args$model)) {
    outcomes <- c(args[["Y"]], args[["Y2"]])
    return(list(
      one(args[["Y"]], "jomo", c(outcomes, args[["X"]], args[["Z"]]), NULL),
      one(args[["Y2"]], "jomo", c(outcomes, args[["X2"]]), args$clus)
    ))
  }
  bar <- find_bars(parse_formula(args$model, names(columns), character(), may_allow = FALSE))[[1L]]
  random <- effect_names(bar[[2L]], as_frame(lapply(columns, `[[`, "values")))
  effects <- paste0(args$clus, ": ", random)
  method <- if (identical(args$family, "binomial")) "jomo.glmer" else "jomo.lmer"
  covariates <- setdiff(names(columns), args$clus)
  upper <- names(columns)[unlist(args$level) == 2]
  list(
    one(setdiff(covariates, upper), method, covariates, NULL),
    one(upper, method, covariates, args$clus)
  )
}

# The parameters of a chain: what jomo collected, but for the random effects of each group and the
# covariance matrices of each group, where these differ.
jomo_trace <- function(chain) {
  kept <- grep("^collect", setdiff(names(chain), c("collectu", "collectuY")), value = TRUE)
  values <- do.call(cbind, lapply(kept, function(name) collected(chain[[name]], name)))
  if (is.null(values)) values <- matrix(0, 0L, 0L)
  iterations <- nrow(values)
  list(
    imputation = rep(1L, length(values)),
    iteration = rep(seq_len(iterations), each = ncol(values)),
    parameter = rep(as.character(colnames(values)), iterations),
    value = as.vector(t(values))
  )
}

# Iterations x parameters; of a symmetric matrix the upper triangle.
collected <- function(draws, name) {
  if (length(draws) == 0L) return(NULL)
  label <- sub("^collect\\.?", "", name)
  if (length(dim(draws)) < 3L) return(matrix(draws, dimnames = list(NULL, label)))
  rows <- nrow(draws)
  if (grepl("omega", name) && rows != ncol(draws)) return(NULL)
  cells <- if (grepl("omega|covu", name)) {
    which(upper.tri(diag(rows), diag = TRUE), arr.ind = TRUE)
  } else {
    arrayInd(seq_len(rows * ncol(draws)), dim(draws)[1:2])
  }
  called <- function(side) {
    names <- dimnames(draws)[[side]]
    if (is.null(names)) cells[, side] else names[cells[, side]]
  }
  flat <- matrix(draws, ncol = dim(draws)[3L])
  values <- t(flat[cells[, 1L] + rows * (cells[, 2L] - 1L), , drop = FALSE])
  colnames(values) <- paste0(label, "[", called(1L), ", ", called(2L), "]")
  values
}
