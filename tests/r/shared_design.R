# Fits that share a design must equal lmer()'s in every slot, every field of their reference objects,
# and every message; and data that don't fit the design must be seen as such.

fields_of <- function(object) {
  names <- setdiff(names(object$getRefClass()$fields()), "Ptr")
  sapply(names, function(name) object$field(name), simplify = FALSE)
}

# A fit's parts; of the environment in which its formulas live (one for all), the names and the data.
parts_of <- function(fit) {
  parts <- sapply(methods::slotNames(fit), function(x) methods::slot(fit, x), simplify = FALSE)
  parts$pp <- fields_of(fit@pp)
  parts$resp <- fields_of(fit@resp)
  home <- environment(parts$call$formula)
  base::stopifnot(
    identical(environment(attr(parts$frame, "terms")), home),
    identical(environment(attr(parts$frame, "formula")), home)
  )
  attr(parts$call$formula, ".Environment") <- attr(attr(parts$frame, "terms"), ".Environment") <-
    attr(attr(parts$frame, "formula"), ".Environment") <- NULL
  c(parts, list(home = ls(home, all.names = TRUE), data = home$data))
}

# The parts of what `run` gave, the conditions with them.
outcome_parts <- function(outcome) {
  names(outcome) <- c("status", "value", "kinds", "texts", "calls")[seq_along(outcome)]
  c(outcome[-2L], if (outcome[[1L]] == "ok") parts_of(outcome[[2L]]))
}

# Fits `formula` to each data set, sharing the design and not, and names the parts in which the two
# differ. The comparison comes after all fits, so that one that changed another's parts is found.
# `shared` says for which of the data sets the design must serve.
compare_lists <- function(formula, sets, shared = TRUE, ...) {
  model <- list(
    fitter = "lmer", control_maker = "lmerControl", formula = formula, allow = character(),
    names = list(), vectors = list(), ...
  )
  model$arguments <- c(model$arguments, list(REML = TRUE))
  same <- vapply(names(sets[[1L]]), function(name) {
    all(vapply(sets, function(set) identical(set[[name]], sets[[1L]][[name]]), NA))
  }, NA)
  plan <- plan_model(model, names(sets[[1L]]))
  sharing <- plan_with_frame(plan, sets[[1L]][same], names(sets[[1L]]))
  printed <- list()
  printed$ours <- utils::capture.output(
    ours <- lapply(sets, function(set) run("fit_model", list(sharing, unclass(set)[!same])))
  )
  printed$theirs <- utils::capture.output(
    theirs <- lapply(sets, function(set) run("fit_model", list(plan, set)))
  )
  served <- vapply(sets, function(set) {
    design <- sharing$kept$design
    !is.null(design) && {
      frame <- filled_frame(design, set, globalenv())
      !is.null(frame) && !is.null(filled_terms(design, frame))
    }
  }, NA)
  base::stopifnot(
    identical(served, rep_len(shared, length(sets))), identical(printed$ours, printed$theirs)
  )
  unlist(lapply(seq_along(sets), function(i) {
    one <- outcome_parts(ours[[i]])
    other <- outcome_parts(theirs[[i]])
    base::stopifnot(identical(names(one), names(other)))
    differ <- !mapply(identical, one, other)
    sprintf("data set %d: %s", rep(i, sum(differ)), names(one)[differ])
  }))
}
equal_lists <- function(...) {
  differing <- compare_lists(...)
  if (length(differing) > 0L) stop(paste(differing, collapse = "; "))
}

# m copies of `data`; of each column of `moved` a twentieth of the values is drawn anew.
data_sets <- function(data, moved, m = 3L) {
  seed_r(1)
  lapply(seq_len(m), function(i) {
    for (name in moved) {
      rows <- sample(nrow(data), nrow(data) %/% 20L + 1L)
      data[[name]][rows] <- sample(data[[name]], length(rows))
    }
    data
  })
}

sleep <- lme4::sleepstudy
sleep$Days <- sleep$Days + 1 # no zeros
sleep$late <- factor(ifelse(sleep$Days > 5, "late", "early"))
sleep$odd <- sleep$Days %% 2 > 0
sleep$half <- rep(c("a", "b"), length.out = nrow(sleep))

# What is imputed: the response, a slope's column, a factor, truth values, whole numbers.
equal_lists("Reaction ~ Days + (Days | Subject)", data_sets(sleep, "Reaction"))
equal_lists("Reaction ~ Days + (Days | Subject)", data_sets(sleep, "Days"))
equal_lists("Reaction ~ Days + (1 | Subject)", data_sets(sleep, "Days"))
equal_lists("Reaction ~ Days + (1 | Subject)", data_sets(sleep, c("Reaction", "Days")))
equal_lists("Reaction ~ Days + late * odd + (1 | Subject)", data_sets(sleep, c("late", "odd")))
equal_lists("Reaction ~ Days + (Days || Subject)", data_sets(sleep, "Days"))
equal_lists("Reaction ~ Days + (0 + Days | Subject) + (1 | late)", data_sets(sleep, "Days"))
equal_lists("Reaction ~ Days + (log(1 + Days) | Subject)", data_sets(sleep, "Days"))
equal_lists("log(Reaction) ~ I(Days^2) + Days + (1 | Subject)", data_sets(sleep, c("Days", "Reaction")))
equal_lists("Reaction ~ half + Days + (1 | Subject)", data_sets(sleep, "Days"))
equal_lists("Reaction ~ offset(Days) + late + (1 | Subject)", data_sets(sleep, "Days"))
equal_lists("Reaction ~ Days + (late | Subject)", data_sets(sleep, "Days")) # zeros that stay

# Nested and crossed groups, several terms of one group, the order of terms by their numbers of levels.
equal_lists("strength ~ 1 + (1 | batch / cask)", data_sets(lme4::Pastes, "strength"))
equal_lists("diameter ~ 1 + (1 | plate) + (1 | sample)", data_sets(lme4::Penicillin, "diameter"))
equal_lists(
  "Reaction ~ Days + (1 | late) + (Days | Subject) + (0 + odd | Subject)", data_sets(sleep, "Days")
)

# Arguments: contrasts, start values, ML, controls, verbose; and messages of a rank-deficient matrix.
equal_lists("Reaction ~ late + Days + (1 | Subject)", data_sets(sleep, c("late", "Days")),
  arguments = list(contrasts = list(late = "contr.sum")))
equal_lists("Reaction ~ Days + (Days | Subject)", data_sets(sleep, "Days"),
  arguments = list(start = c(1, 0.1, 0.5), verbose = 1L))
equal_lists("Reaction ~ Days + (Days | Subject)", data_sets(sleep, "Days"),
  controls = list(control = list(optimizer = "bobyqa", optCtrl = list(maxfun = 30L))))
equal_lists("Reaction ~ Days + (Days | Subject)", data_sets(sleep, "Days"),
  controls = list(control = list(calc.derivs = FALSE, check.scaleX = "stop")))
equal_lists("Reaction ~ Days + I(2 * Days) + I(1e6 * Days) + (1 | Subject)", data_sets(sleep, "Days"))
equal_lists("Reaction ~ Days + (Days | Subject)", data_sets(transform(sleep, Reaction = Days), "Days"))

# Errors of later data sets are lmer()'s.
wrong <- data_sets(sleep, "Reaction")
wrong[[2L]]$Reaction[3L] <- Inf
equal_lists("Reaction ~ Days + (1 | Subject)", wrong)

# Data sets that don't fit the design are left to lmer(): a zero that appears or goes, a level that
# nobody has, a hole, a basis that depends on the data, text, and a grouping factor that is imputed.
zero <- data_sets(sleep, "Days")
zero[[2L]]$Days[5L] <- 0
equal_lists("Reaction ~ Days + (Days | Subject)", zero, shared = c(TRUE, FALSE, TRUE))
equal_lists("Reaction ~ Days + (Days | Subject)", rev(zero), shared = c(TRUE, FALSE, TRUE))
equal_lists("Reaction ~ Days + (1 | Subject)", zero)
level <- data_sets(sleep, "late")
level[[2L]]$late[] <- "late"
level[[2L]]$late[1L] <- NA
equal_lists("Reaction ~ Days + late + (1 | Subject)", level, shared = c(TRUE, FALSE, TRUE))
level[[3L]]$late <- factor(level[[3L]]$late, c("early", "late", "never"))
equal_lists("Reaction ~ Days + late + (1 | Subject)", level[-2L], shared = c(TRUE, FALSE))
equal_lists("Reaction ~ poly(Days, 2) + (1 | Subject)", data_sets(sleep, "Days"),
  shared = c(TRUE, FALSE, FALSE))
equal_lists("Reaction ~ scale(Days) + (1 | Subject)", data_sets(sleep, "Days"),
  shared = c(TRUE, FALSE, FALSE))
equal_lists("Reaction ~ half + (1 | Subject)", data_sets(sleep, "half"), shared = FALSE)
equal_lists("Reaction ~ Days + (1 | late)", data_sets(sleep, "late"), shared = FALSE)
equal_lists("Reaction ~ Days + (1 | Subject)", data_sets(sleep, "Days"), shared = FALSE,
  controls = list(control = list(check.nlev.gtreq.5 = "warning", check.nobs.vs.rankZ = "stop")))
