# -- what a formula may hold ---------------------------------------------------------------------

columns <- c("y", "x", "g", "school id", "contr.sum")

stopifnot(identical(parse_formula("y ~ x + (1 | g)", columns, character()), quote(y ~ x + (1 | g))))
stopifnot(identical(
  parse_formula("y ~ `school id` + (x || g)", columns, character()),
  quote(y ~ `school id` + ((1 | g) + (0 + x | g)))
))
stops(parse_formula("y", columns, character()), "has no '~'")
stops(parse_formula("~ x", columns, character()), "has no response")
stops(parse_formula("y ~ system('x') + (1 | g)", columns, character()), "calls 'system'")
stops(parse_formula("y ~ base::system('x') + (1 | g)", columns, character()), "calls 'base::system'")
stops(parse_formula("y ~ (function() 1)() + (1 | g)", columns, character()), "not on the list")
stops(parse_formula("y ~ z + (1 | g)", columns, character()), "names 'z'")
stops(parse_formula("y ~ C(x, contr.sum) + (1 | g)", columns, character()), "is a coding")
stopifnot(is.call(parse_formula("y ~ mine(x) + (1 | g)", columns, "mine")))

# -- the pieces ------------------------------------------------------------------------------------

stopifnot(identical(formula_variables(quote(a + log(b):splines::ns(c, 2))), c("a", "b", "c")))
stopifnot(setequal(formula_calls(quote(a + log(b) + splines::ns(c))), c("+", "log", "splines::ns")))
stopifnot(is_plain_coding(quote(contr.sum), character()))
stopifnot(is_plain_coding(quote(c(1, -1)), character()))
stopifnot(!is_plain_coding(quote(system("x")), character()))
stopifnot(!is_plain_coding("system", character()))
stopifnot(holds_text(list(1, list("a"))), !holds_text(list(1, factor("a"))))
stops(check_optimizer("system", character()), "is none of")
stops(plain_arguments(list(FUN = "system")), "holds text")

# -- double bars -------------------------------------------------------------------------------------

stopifnot(identical(expand_double_bars(quote(a + (1 | g))), quote(a + (1 | g))))
stopifnot(identical(
  expand_double_bars(quote((x * z || g))),
  quote(((1 | g) + (0 + x | g) + (0 + z | g) + (0 + x:z | g)))
))
stopifnot(identical(expand_double_bars(quote((0 + x || g))), quote(((0 + x | g)))))
stops(expand_double_bars(quote((x | g) || h)), "bar")
stops(expand_double_bars(quote((. || g))), "name the columns")
