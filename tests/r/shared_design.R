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

is_served <- function(design, set) {
  !is.null(design) && {
    frame <- filled_frame(design, set, globalenv())
    !is.null(frame) && !is.null(filled_terms(design, frame))
  }
}

# Fits `formula` to each data set, sharing the design and not, and names the parts in which the two
# differ. The comparison comes after all fits, so that one that changed another's parts is found.
# `shared` says for which of the data sets the design must serve, which all fits of a list have in
# common, or those that are made one by one (`alone`).
compare_lists <- function(formula, sets, shared = TRUE, alone = FALSE, ...) {
  model <- list(
    fitter = "lmer", control_maker = "lmerControl", formula = formula, allow = character(),
    names = list(), vectors = list(), ...
  )
  model$arguments <- c(model$arguments, list(REML = TRUE))
  same <- vapply(names(sets[[1L]]), function(name) {
    all(vapply(sets, function(set) identical(set[[name]], sets[[1L]][[name]]), NA))
  }, NA)
  new_plan <- function() plan_model(model, names(sets[[1L]]))
  sharing <- new_plan()
  if (!alone) sharing <- plan_with_frame(sharing, sets[[1L]][same], names(sets[[1L]]))
  parts <- if (alone) sets else lapply(sets, function(set) unclass(set)[!same])
  served <- logical()
  printed <- list()
  printed$ours <- utils::capture.output(
    ours <- lapply(seq_along(sets), function(i) {
      fit <- run("fit_model", list(sharing, parts[[i]]))
      served[i] <<- is_served(sharing$kept$design, sets[[i]])
      fit
    })
  )
  printed$theirs <- utils::capture.output(
    theirs <- lapply(sets, function(set) run("fit_model", list(new_plan(), set)))
  )
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
for (factor in c(1e-4, 1 / 950, 950, 1e4)) { # beside lme4's limits of scales: what is said, and isn't
  scaled <- transform(sleep, Days = Days * factor / stats::sd(Days))
  equal_lists("Reaction ~ Days + late + (1 | Subject)", data_sets(scaled, "Days"))
  equal_lists("Reaction ~ Days + late + (1 | Subject)", data_sets(scaled, "Days"), shared = FALSE,
    controls = list(control = list(check.scaleX = "warn+rescale")))
}
equal_lists("Reaction ~ Days + (1 | Subject)", data_sets(sleep, "Days"),
  controls = list(control = list(check.scaleX = "ignore")))
equal_lists("Reaction ~ 0 + I(5 + 0 * Days) + Days + (1 | Subject)", data_sets(sleep, "Days"))
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

# Fits of one model, each to a frame of its own: the second one with the same groups makes the design.
again <- function(formula, sets, shared = seq_along(sets) > 1L, ...) {
  equal_lists(formula, sets, shared, alone = TRUE, ...)
}
moved <- c("Reaction", "Days", "late", "odd", "half")
again("Reaction ~ Days + (Days | Subject)", data_sets(sleep, moved))
again("Reaction ~ Days + late * odd + (late | Subject) + (1 | late)",
  data_sets(sleep, setdiff(moved, "late")))
again("log(Reaction) ~ Days + (1 | Subject / half)", data_sets(sleep, c("Reaction", "Days")))
again("Reaction ~ late + (1 | Subject)", data_sets(sleep, moved),
  arguments = list(contrasts = list(late = "contr.sum")))
again("Reaction ~ Days + (Days | Subject)", zero, shared = c(FALSE, TRUE, FALSE))
again("Reaction ~ half + (1 | Subject)", data_sets(sleep, "half"), shared = FALSE)
again("Reaction ~ Days + (1 | late)", data_sets(sleep, "late"), shared = FALSE)
again("Reaction ~ Days + (1 | Subject)", data_sets(sleep, "Days"), shared = FALSE,
  controls = list(control = list(check.nobs.vs.rankZ = "stop")))
again("strength ~ 1 + (1 | batch / cask)", data_sets(lme4::Pastes, "strength"))

# Other groups, rows or levels than those of the fit before: lmer() is called, and the next may share.
sets <- data_sets(sleep, "Reaction", 8L)
sets[[4L]] <- sets[[4L]][-1L, ]
row.names(sets[[4L]]) <- NULL
sets[[6L]]$Subject <- rev(sets[[6L]]$Subject)
sets[[7L]]$Subject <- factor(sets[[7L]]$Subject, c(levels(sleep$Subject), "nobody"))
sets[[8L]]$Subject[2L] <- NA
again("Reaction ~ Days + (1 | Subject)", sets,
  shared = c(FALSE, TRUE, TRUE, FALSE, FALSE, FALSE, FALSE, FALSE))
again("Reaction ~ Days + (1 | Subject)", rep(sets[3:4], each = 2L), shared = c(FALSE, TRUE))
again("Reaction ~ Days + (1 | Subject)", rep(sets[8L], 3L), shared = FALSE)

# So do other contrasts, and another order of text.
plan <- plan_model(list(fitter = "lmer", control_maker = "lmerControl", allow = character(),
  names = list(), vectors = list(), formula = "Reaction ~ late + (late | Subject)",
  arguments = list(REML = TRUE)), names(sleep))
fit_of <- function() lme4::getME(fit_model(plan, sleep), "mmList")[[1L]]
for (i in 1:3) base::stopifnot(all(fit_of() %in% 0:1))
before <- options(contrasts = c("contr.sum", "contr.poly"))
base::stopifnot(identical(sort(unique(as.vector(fit_of()))), c(-1, 1)), is.null(plan$kept$design))
options(before)

# A large frame's design is not kept.
large <- data.frame(g = rep(seq_len(20L), 501L))
large$y <- stats::rnorm(nrow(large)) + large$g / 10
again("y ~ 1 + (1 | g)", data_sets(large, "y", 2L), shared = FALSE)
again("y ~ 1 + (1 | g)", lapply(data_sets(large, "y", 2L), function(set) set[1:10000, ]))
