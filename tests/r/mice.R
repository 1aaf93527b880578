# -- what mice takes as code ----------------------------------------------------------------------

columns <- c("x", "y", "g")
check <- function(...) check_mice_code(columns, list(...))

stopifnot(check(method = list(x = "pmm", y = "~ I(x / 2)", g = "")))
stopifnot(check(formulas = list(x = "x ~ y * g"), defaultMethod = "norm"))
stopifnot(check(formulas = list(x = "x ~ y + (1 | g)"), method = list(x = "panImpute")))
stops(check(formulas = list(x = "x ~ y + (1 | g)"), defaultMethod = "norm"), "has a random term")
stopifnot(check(post = list(x = "imp[[j]][, i] <- squeeze(imp[[j]][, i], c(0, 1))")))
stopifnot(check(post = list(x = "imp$x[data$y > 0 & !r[, j], i] <- levels(data$g)[1]; imp[[1]] <- 2")))
stopifnot(all(c("pmm", "2l.pan") %in% mice_methods()), !"passive" %in% mice_methods())

stops(check(method = list(x = "mine")), "no imputation method")
stops(check(method = list(x = "~ system('x')")), "calls 'system'")
stops(check(method = list(x = "~ z")), "names 'z'")
stops(check(method = list(x = "~ x ~ y")), "is no formula")
stops(check(formulas = list(x = "x ~ get('system')('x')")), "not on the list")
stops(check(post = list(x = "system('x')")), "must assign")
stops(check(post = list(x = "post[j] <- 'system(1)'")), "must assign")
stops(check(post = list(x = "base::`[[`(imp, 1) <- 1")), "must assign")
stops(check(post = list(x = "imp[[j]] <- system('x')")), "calls 'system'")
stops(check(post = list(x = "imp[[j]] <- (data <- 1)")), "assigns within")
stops(check(post = list(x = "imp[[j]] <- method")), "names 'method'")
stops(check(post = list(x = "imp$x$`y`(1) <- 1")), "must assign")
stops(check_mice_code(c("x", "system('x')"), list()), "would be no name")

stopifnot(is_part_of_imp(quote(imp[[j]][, i])), is_part_of_imp(quote(imp$x)))
stopifnot(!is_part_of_imp(quote(imp)), !is_part_of_imp(quote(data$imp)))
stopifnot(identical(without_fields(quote(data$y + f(a$b[i]))), quote(data + f(a[i]))))

# -- logged events --------------------------------------------------------------------------------

events <- data.frame(
  it = c(0, 1, 1), im = c(0, 1, 2), dep = c("", "x", "x"), meth = c("constant", "pmm", "pmm"),
  out = c("g", "y", "y")
)
stopifnot(identical(mice_told(events), c(
  "logged event: 'g' is constant: mice neither imputes it nor imputes from it",
  "logged event: x (pmm): y (2 times)"
)))
stopifnot(identical(mice_log(events)[2:3], c(
  "iteration 1, imputation 1: x (pmm): y", "iteration 1, imputation 2: x (pmm): y"
)))
stopifnot(identical(mice_told(NULL), character()), identical(mice_log(NULL), character()))
