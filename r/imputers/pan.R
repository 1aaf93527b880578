# Imputations of mitml, by pan or jomo; see imputed.R.
run_pan <- function(data, m, args) run_mitml(quote(mitml::panImpute), data, m, args)

run_jomo_impute <- function(data, m, args) run_mitml(quote(mitml::jomoImpute), data, m, args)

# `args` are the arguments of the R function, but for `formula` (texts) and `type` (lists of numbers
# by column), which have one for level 1 and, where there is one, one for level 2.
run_mitml <- function(imputer, data, m, args) {
  if (is.null(args$formula)) {
    roles <- lapply(args$type, type_roles)
    vectors <- lapply(args$type, type_vector, names(data))
    args$type <- if (length(vectors) == 1L) vectors[[1L]] else vectors
  } else {
    formulas <- mitml_formulas(args$formula, names(data))
    roles <- lapply(formulas, `[[`, "roles")
    expressions <- lapply(formulas, `[[`, "expr")
    several <- length(formulas) > 1L
    args$formula <- if (several) as.call(c(quote(list), expressions)) else expressions[[1L]]
  }
  targets <- unlist(lapply(roles, `[[`, "targets"))
  cluster <- roles[[1L]]$cluster
  as_labels <- identical(imputer, quote(mitml::jomoImpute))
  sent <- data
  for (name in c(cluster, if (as_labels) targets)) sent[[name]] <- labelled(data[[name]])
  check_prior(args$prior, sent, roles, as_labels)
  out <- eval(as.call(c(list(imputer, data = quote(sent)), args, m = m)))
  frames <- lapply(mitml::mitmlComplete(out, "all"), unlabelled, data)
  missing <- is.na(data)
  open <- missing
  open[, !names(data) %in% targets] <- FALSE
  list(object = out, answer = list(
    log = character(),
    trace = mitml_trace(out),
    saw = mitml_models(out, roles, args$group),
    cells = changed_cells(data, lapply(frames, `[`, names(data)), open),
    altered = altered_cells(data, lapply(frames, `[`, names(data)), !missing),
    derived = unclass(frames[[1L]])[setdiff(names(frames[[1L]]), names(data))]
  ))
}

# Text as a factor whose levels are in the order of code points, whatever the locale is, and truth
# values as one too.
labelled <- function(x) {
  if (is.character(x)) return(factor(x, sort(unique(x), method = "radix")))
  if (is.logical(x)) return(factor(x, c(FALSE, TRUE)))
  x
}

# A completed frame with truth values where the data have them.
unlabelled <- function(frame, data) {
  for (name in names(data)) {
    if (is.logical(data[[name]]) && is.factor(frame[[name]])) {
      frame[[name]] <- as.logical(as.character(frame[[name]]))
    }
  }
  frame
}

# mitml's formulas -------------------------------------------------------------------------------

# The formulas that `texts` spell, for level 1 and, if there are two, level 2: for each list(expr,
# roles). Stops at what mitml would read otherwise than it is written.
mitml_formulas <- function(texts, columns) {
  lapply(seq_along(texts), function(i) mitml_formula(texts[[i]], columns, level_1 = i == 1L))
}

# The same for Python, without what is an expression.
mitml_roles <- function(texts, columns) {
  told <- c("targets", "predictors", "as_they_are", "cluster")
  lapply(mitml_formulas(texts, columns), function(formula) formula$roles[told])
}

mitml_formula <- function(text, columns, level_1) {
  expr <- parse_formula(text, columns, c("clusterMeans", "mitml::clusterMeans"), may_allow = FALSE)
  where <- paste0("the formula '", text, "'")
  check_mitml_names(intersect(formula_variables(expr), columns))
  if ("." %in% formula_variables(expr)) {
    stop(where, " has a '.', which mitml does not know: name the columns", call. = FALSE)
  }
  if (any(c("offset", "stats::offset") %in% formula_calls(expr))) {
    stop(where, " has an offset, which mitml leaves out without a word", call. = FALSE)
  }
  check_cluster_means(expr)
  targets <- added_terms(expr[[2L]])
  if (!all(vapply(targets, is.name, NA))) {
    stop(where, " must have names of columns, joined by +, on its left: impute a transformed ",
      "column as a column of its own", call. = FALSE)
  }
  parts <- added_terms(expr[[3L]])
  random <- vapply(parts, is_random_term, NA)
  bars <- parts[random]
  if ("|" %in% unlist(lapply(parts[!random], formula_calls))) {
    stop(where, " has a | that is no random term in parentheses, such as (1 | group), and mitml ",
      "takes any | for one", call. = FALSE)
  }
  if (length(bars) > 1L) {
    stop(where, " has ", length(bars), " random terms (a double bar stands for several), and ",
      "mitml uses the first alone: it knows one grouping of the rows, with all its random effects ",
      "in one term", call. = FALSE)
  }
  if (length(bars) > 0L && !level_1) {
    stop(where, " is that of level 2, which has no random term", call. = FALSE)
  }
  bar <- if (length(bars) > 0L) bars[[1L]][[2L]]
  if (!is.null(bar) && !is.name(bar[[3L]])) {
    stop(where, " has the groups ", deparse1(bar[[3L]]), ": mitml takes the name of one column",
      call. = FALSE)
  }
  fixed <- Filter(Negate(is.null), parts[!random])
  of_data <- function(names) as.character(intersect(unlist(names), columns))
  list(expr = expr, roles = list(
    targets = unique(as.character(unlist(lapply(targets, as.character)))),
    predictors = of_data(lapply(c(fixed, bar[[2L]]), formula_variables)),
    as_they_are = of_data(lapply(c(fixed, bar[[2L]]), bare_variables)),
    random = if (!is.null(bar)) bar[[2L]],
    cluster = if (!is.null(bar)) as.character(bar[[3L]])
  ))
}

# The terms that + and - join, parentheses but those of random terms undone.
added_terms <- function(expr) {
  head <- if (is.call(expr)) expr[[1L]]
  joins <- identical(head, quote(`+`)) || identical(head, quote(`-`))
  if (joins || (identical(head, quote(`(`)) && !is_random_term(expr))) {
    return(unlist(lapply(as.list(expr)[-1L], added_terms), recursive = FALSE))
  }
  list(expr)
}

is_random_term <- function(expr) {
  is_call_of <- function(x, name) is.call(x) && identical(x[[1L]], as.name(name))
  is_call_of(expr, "(") && is_call_of(expr[[2L]], "|")
}

# The variables that stand by themselves or in interactions, not in a function of R's.
bare_variables <- function(expr) {
  if (is.name(expr)) return(as.character(expr))
  if (!is.call(expr) || !is.name(expr[[1L]])) return(character())
  joins <- c("+", "-", "*", ":", "/", "^", "%in%", "(")
  if (!as.character(expr[[1L]]) %in% joins) return(character())
  unlist(lapply(as.list(expr)[-1L], bare_variables))
}

# mitml pastes names into the text of a formula, which it then parses.
check_mitml_names <- function(names) {
  odd <- names[!is_plain_name(names)]
  if (length(odd) > 0L) {
    stop("mitml writes names of columns into formulas without backticks, so that they must be ",
      "names in R: rename ", paste0("'", odd, "'", collapse = ", "), ", to ",
      paste0("'", plain_names(odd), "'", collapse = ", "), " say", call. = FALSE)
  }
}

# clusterMeans() parses and evaluates a text that it is given in place of a column.
check_cluster_means <- function(expr) {
  if (!is.call(expr)) return(invisible())
  head <- expr[[1L]]
  if (identical(if (is_namespaced(head)) head[[3L]] else head, quote(clusterMeans))) {
    if (holds_constant_text(expr)) {
      stop("clusterMeans() takes columns, and no texts: ", deparse1(expr), call. = FALSE)
    }
  }
  for (part in call_arguments(expr)) check_cluster_means(part)
}

holds_constant_text <- function(expr) {
  if (!is.call(expr)) return(is.character(expr))
  any(vapply(call_arguments(expr), holds_constant_text, NA))
}

# mitml's types ----------------------------------------------------------------------------------

type_roles <- function(type) {
  type <- unlist(type)
  check_mitml_names(names(type)[type != 0])
  slopes <- lapply(names(type)[type == 3], as.name)
  list(
    targets = names(type)[type == 1],
    predictors = names(type)[type %in% c(2, 3)],
    random = Reduce(function(left, right) call("+", left, right), c(list(1), slopes)),
    cluster = if (any(type == -2)) names(type)[type == -2],
    group = if (any(type == -1)) names(type)[type == -1]
  )
}

type_vector <- function(type, columns) {
  vector <- stats::setNames(numeric(length(columns)), columns)
  vector[names(type)] <- unlist(type)
  vector
}

# Priors -----------------------------------------------------------------------------------------

# Stops where a prior's matrices have another size than the covariances: pan and jomo would take a
# part of a larger one.
check_prior <- function(prior, data, roles, as_labels) {
  if (is.null(prior)) return(invisible())
  latent <- function(x) if (as_labels && is.factor(x)) nlevels(x) - 1L else 1L
  sizes <- vapply(roles, function(level) sum(vapply(data[level$targets], latent, 1L)), 1L)
  random <- if (!is.null(roles[[1L]]$cluster)) stats::as.formula(call("~", roles[[1L]]$random))
  effects <- if (is.null(random)) 0L else sizes[1L] * ncol(stats::model.matrix(random, data))
  effects <- effects + sum(sizes[-1L])
  for (part in if (is.list(prior[[1L]])) prior else list(prior)) {
    check_size("Binv", part$Binv, sizes[1L], "a row per target (k categories count as k - 1)")
    if (effects > 0L) {
      check_size("Dinv", part$Dinv, effects, "a row per random effect and target of level 2")
    }
    if (!as_labels && part$c <= effects - 1) {
      stop("prior: c must be above ", effects - 1, ", one less than Dinv has rows", call. = FALSE)
    }
  }
}

check_size <- function(name, matrix, size, what) {
  if (!identical(dim(matrix), c(as.integer(size), as.integer(size)))) {
    stop("prior: ", name, " must be a matrix of ", size, " x ", size, ": ", what, call. = FALSE)
  }
}

# What mitml tells -------------------------------------------------------------------------------

# The parameters in every iteration of the chain, burn-in first. Iterations are those of the one
# chain; each belongs to the imputation that it leads to, the burn-in to the first.
mitml_trace <- function(out) {
  names <- mitml_parameters(out)
  iterations <- function(part, phase) {
    draws <- aperm(out[[phase]][[part]], c(3L, 1L, 2L, 4L))
    matrix(draws, dim(draws)[1L])[, !is.na(names[[part]]), drop = FALSE]
  }
  values <- do.call(cbind, lapply(names(names), function(part) {
    rbind(iterations(part, "par.burnin"), iterations(part, "par.imputation"))
  }))
  names <- unlist(lapply(names, function(x) x[!is.na(x)]), use.names = FALSE)
  used <- colSums(!is.na(values)) > 0L
  values <- values[, used, drop = FALSE]
  names <- names[used]
  imputation <- c(rep(1L, out$iter$burn), rep(seq_len(out$iter$m), each = out$iter$iter))
  list(
    imputation = rep(imputation, each = length(names)),
    iteration = rep(seq_len(nrow(values)), each = length(names)),
    parameter = rep(names, nrow(values)),
    value = as.numeric(t(values))
  )
}

# By part (beta, beta2, psi, sigma) the names of its parameters in the order of mitml's array; NA
# for what stands above a diagonal, as it does below it, and for what only other groups have.
mitml_parameters <- function(out) {
  parts <- names(out$par.imputation)
  groups <- attr(out$data, "group")
  # One group is no group: the names are those of all rows.
  each <- lapply(unique(groups), function(label) {
    rows <- out$data[groups == label, ]
    suffix <- if (length(unique(groups)) > 1L) paste0(" of ", label) else ""
    lapply(stats::setNames(nm = parts), function(part) {
      names <- names_of_part(part, out, rows)
      names[!is.na(names)] <- paste0(names[!is.na(names)], suffix)
      sizes <- dim(out$par.imputation[[part]])[1:2]
      c(rbind(names, matrix(NA_character_, sizes[1L] - nrow(names), ncol(names))))
    })
  })
  lapply(stats::setNames(nm = parts), function(part) unlist(lapply(each, `[[`, part)))
}

names_of_part <- function(part, out, rows) {
  model <- out$model
  full <- attr(model, "full.names")
  diagonal <- identical(out$keep.chains, "diagonal")
  level_1 <- latent_names(model$yvrs, out$data)
  level_2 <- latent_names(model$yvrs.L2, out$data)
  on <- function(x, y) paste(y, "on", x)
  switch(part,
    beta = outer(full$pvrs, level_1, function(x, y) paste0("beta[", on(x, y), "]")),
    beta2 = outer(full$pvrs.L2, level_2, function(x, y) paste0("beta2[", on(x, y), "]")),
    psi = symmetric_names("psi", c(outer(full$qvrs, level_1, on), level_2), diagonal),
    sigma = if (identical(out$random.L1, "full")) {
      clusters <- unique(rows[[model$clus]])
      blocks <- paste0("sigma[", model$clus, " ", clusters, "]")
      do.call(rbind, lapply(blocks, symmetric_names, level_1, diagonal))
    } else {
      symmetric_names("sigma", level_1, diagonal)
    }
  )
}

# What stands for a target in the model: itself, and for k categories k - 1 normal variables.
latent_names <- function(targets, data) {
  is_factor <- vapply(data[targets], is.factor, NA)
  latent <- lapply(targets[is_factor], function(name) {
    k <- nlevels(data[[name]]) - 1L
    if (k == 1L) name else paste0(name, seq_len(k))
  })
  c(targets[!is_factor], unlist(latent))
}

# The names of a symmetric matrix with these rows and columns, or of its diagonal alone.
symmetric_names <- function(what, names, diagonal) {
  if (diagonal) return(matrix(paste0(what, "[", names, "]")))
  pairs <- outer(names, names, function(x, y) {
    paste0(what, "[", ifelse(x == y, x, paste0(y, ", ", x)), "]")
  })
  pairs[upper.tri(pairs)] <- NA
  pairs
}

# What the models of the columns of each level saw: all targets are imputed jointly.
mitml_models <- function(out, roles, group) {
  cluster <- out$model$clus
  method <- if (inherits(out, "pan")) "panImpute" else "jomoImpute"
  groups <- as.character(unique(c(cluster, group, unlist(lapply(roles, `[[`, "group")))))
  targets <- unlist(lapply(roles, `[[`, "targets"))
  lapply(seq_along(roles), function(i) {
    list(
      columns = roles[[i]]$targets, method = method,
      predictors = unique(c(roles[[i]]$predictors, targets)), groups = groups,
      level = if (i == 2L) cluster
    )
  })
}
