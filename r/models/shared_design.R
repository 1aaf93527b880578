# What m fits of one lmer model have in common: the model frame's structure, the groups, the pattern of
# the random effects' matrix, and the checks of all that. It is computed for the first data set, by
# lme4::lFormula; for each data set only the columns that were imputed are filled in. lme4's modular
# functions do the rest, as lmer() calls them (help("modular", "lme4")), so that every bit of the fit is
# the one that lmer() gives. Wherever that can't be told beforehand, lmer() itself is called.

# The versions of lme4 whose lmer() calls these functions in this way. The later ones are not known yet.
SHARING_VERSIONS <- c("1.1.31", "1.1.37")

# The plan's design for all data sets that differ in the columns `differing`, of which `data` is one,
# with `call` as lmer() is to evaluate it; NULL if these fits can't share one.
shared_design <- function(call, data, differing) {
  if (!may_share(call)) return(NULL)
  environment <- environment(call$formula)
  control <- eval(if (is.null(call$control)) quote(lme4::lmerControl()) else call$control, environment)
  if (!shared_control(control)) return(NULL)
  module <- quiet_module(call, control, environment)
  if (is.null(module)) return(NULL)
  frame <- module$fr
  variables <- as.list(attr(attr(frame, "terms"), "variables"))[-1L]
  imputed <- vapply(variables, function(x) any(all.vars(x) %in% differing), NA)
  bars <- find_bars(module$formula[[3L]])
  if (
    length(variables) != length(frame) || !is.null(attr(frame, "na.action")) ||
      nrow(frame) != nrow(data) || is.matrix(stats::model.response(frame)) ||
      any(grouping_variables(module$formula) %in% differing)
  ) return(NULL)
  effects <- random_columns(bars, frame, module$reTrms, differing)
  if (is.null(effects)) return(NULL)
  fixed <- module$formula
  fixed[[3L]] <- without_bars(fixed[[3L]])
  list(
    module = module, control = control, variables = variables, imputed = which(imputed),
    effects = effects, fixed = fixed, call = match.call(lme4::lmer, as.call(call))
  )
}

# The variables at the right of a formula's bars.
grouping_variables <- function(formula) {
  unlist(lapply(find_bars(formula[[length(formula)]]), function(bar) all.vars(bar[[3L]])))
}

may_share <- function(call) {
  version <- utils::packageVersion("lme4")
  known <- c("", "formula", "data", "REML", "control", "start", "verbose", "contrasts")
  identical(call[[1L]], quote(lmer)) && all(names(call) %in% known) &&
    !"." %in% formula_variables(call$formula) &&
    version >= SHARING_VERSIONS[1L] && version <= SHARING_VERSIONS[2L]
}

# An optimizer, and no check that would have to be made again, or a warning given again, for each data set.
shared_control <- function(control) {
  inherits(control, "lmerControl") && length(control$optimizer) == 1L &&
    control$optimizer != "none" && identical(control$checkControl$check.nobs.vs.rankZ, "ignore") &&
    !is.null(control$checkControl$check.rankX) &&
    isTRUE(control$checkControl$check.scaleX %in% c("ignore", "warning", "stop")) # no rescaling
}

# What lFormula() makes of the first data set; NULL if it has anything to say, but for what it says of
# the fixed effects' matrix, which is computed anew for each data set.
quiet_module <- function(call, control, environment) {
  control$checkControl[c("check.rankX", "check.scaleX")] <- "ignore"
  call[[1L]] <- quote(lme4::lFormula)
  call$control <- control
  call$start <- call$verbose <- NULL
  give_up <- function(condition) NULL
  tryCatch(
    eval(as.call(call), environment), error = give_up, warning = give_up, message = give_up
  )
}

# The random terms' columns in the order of Zt's rows: each term's left side as a formula, its values
# (a row for each coefficient), whether it has imputed columns, and where these values aren't 0; NULL if
# the entries of Zt are not just these.
random_columns <- function(bars, frame, terms, differing) {
  labels <- vapply(bars, deparse1, "")
  if (anyDuplicated(labels) > 0L || !setequal(labels, names(terms$Ztlist))) return(NULL)
  bars <- bars[match(names(terms$Ztlist), labels)]
  formulas <- lapply(bars, function(bar) eval(call("~", bar[[2L]]), asNamespace("lme4")))
  imputed <- vapply(formulas, function(x) any(all.vars(x) %in% differing), NA)
  values <- lapply(formulas, function(x) t(stats::model.matrix(x, frame)))
  all_values <- do.call(rbind, unname(values))
  used <- all_values != 0
  if (!identical(terms$Zt@x, as.vector(all_values[used]))) return(NULL)
  list(
    formulas = formulas, values = values, imputed = which(imputed), used = used,
    all_used = all(used)
  )
}

# The fit to `data`, to which `call` and the design belong; NULL if this data set doesn't fit the design.
fit_with_shared_design <- function(design, call, data) {
  environment <- environment(call$formula)
  frame <- filled_frame(design, data, environment)
  if (is.null(frame)) return(NULL)
  terms <- filled_terms(design, frame)
  if (is.null(terms)) return(NULL)
  fixed <- structure(design$fixed, .Environment = environment)
  control <- design$control
  kinds <- control$checkControl
  lme4 <- asNamespace("lme4")
  X <- stats::model.matrix(fixed, frame, call$contrasts)
  X <- lme4$chkRank.drop.cols(X, kind = kinds$check.rankX, tol = 1e-07)
  X <- if (kinds$check.scaleX != "ignore" && on_similar_scales(X)) {
    structure(X, msgScaleX = character()) # what checkScaleX() gives if it has nothing to say
  } else {
    lme4$checkScaleX(X, kind = kinds$check.scaleX)
  }
  start <- call$start
  verbose <- if (is.null(call$verbose)) 0L else call$verbose
  REML <- if (is.null(call$REML)) TRUE else call$REML
  module <- list(
    fr = frame, X = X, reTrms = terms, REML = REML, start = start, verbose = verbose,
    control = control
  )
  devfun <- do.call(lme4::mkLmerDevfun, module)
  opt <- lme4::optimizeLmer(devfun,
    optimizer = control$optimizer, restart_edge = control$restart_edge,
    boundary.tol = control$boundary.tol, control = control$optCtrl, verbose = verbose,
    start = start, calc.derivs = control$calc.derivs, use.last.params = control$use.last.params
  )
  checkConv <- lme4::checkConv # its warnings name the call, as lmer() writes it
  cc <- checkConv(attr(opt, "derivs"), opt$par,
    ctrl = control$checkConv, lbound = environment(devfun)$lower
  )
  matched <- design$call
  matched$formula <- structure(design$module$formula, .Environment = environment)
  if (!is.null(call$contrasts)) matched$contrasts <- call$contrasts
  lme4::mkMerMod(environment(devfun), opt, terms, fr = frame, mc = matched, lme4conv = cc)
}

# Whether lme4's check of the columns' scales can't find anything. It looks at the standard deviations of
# those that hold other values than 0 and 1, and minds factors of 1000 between them or from 1. Here it is
# asked of all columns but those of ones alone, and of factors of 900, which takes a tenth of the time.
on_similar_scales <- function(X) {
  if (ncol(X) == 0L) return(FALSE)
  deviations <- X - rep(colMeans(X), each = nrow(X))
  spreads <- sqrt(colSums(deviations^2) / (nrow(X) - 1))
  spreads <- spreads[!(spreads == 0 & X[1L, ] == 1)]
  all(is.finite(spreads)) && (length(spreads) == 0L ||
    (max(spreads) < 900 * min(spreads) && max(spreads) < 900 && min(spreads) > 1 / 900))
}

# The model frame with this data set's values of the imputed variables. Their attributes (levels, the
# basis of a spline) must be those of the first data set's, since the frame's terms keep them.
filled_frame <- function(design, data, environment) {
  frame <- design$module$fr
  attributes <- attributes(frame)
  columns <- unclass(frame)
  for (i in design$imputed) {
    value <- eval(design$variables[[i]], data, environment)
    if (!of_one_kind(value, columns[[i]])) return(NULL)
    columns[[i]] <- value
  }
  attr(attributes$formula, ".Environment") <- environment
  attr(attributes$terms, ".Environment") <- environment
  attributes(columns) <- attributes
  columns
}

of_one_kind <- function(value, model) {
  typeof(value) == typeof(model) && identical(attributes(value), attributes(model)) &&
    length(value) == length(model) && !anyNA(value) && !is.character(value) &&
    (!is.factor(value) || all(tabulate(value, nlevels(value)) > 0L))
}

# The random effects' terms with the values of the imputed columns in Zt; NULL if one of these is 0
# where it was not, or was where it isn't, since lme4 leaves zeros out of Zt. lme4 changes Lambdat and
# theta in place, so that each fit gets its own.
filled_terms <- function(design, frame) {
  terms <- design$module$reTrms
  effects <- design$effects
  if (length(effects$imputed) > 0L) {
    values <- effects$values
    for (i in effects$imputed) {
      columns <- t(stats::model.matrix(effects$formulas[[i]], frame))
      if (!identical(rownames(columns), rownames(values[[i]]))) return(NULL)
      values[[i]] <- columns
    }
    values <- if (length(values) == 1L) values[[1L]] else do.call(rbind, unname(values))
    if (effects$all_used) {
      if (!isTRUE(all(values != 0))) return(NULL)
      terms$Zt@x <- as.vector(values)
    } else {
      if (!identical(values != 0, effects$used)) return(NULL)
      terms$Zt@x <- as.vector(values[effects$used])
    }
  } else {
    terms$Zt@x <- terms$Zt@x + 0
  }
  terms$Lambdat@x <- terms$Lambdat@x + 0
  terms$theta <- terms$theta + 0
  terms$lower <- terms$lower + 0
  terms$Lind <- terms$Lind + 0L
  terms
}
