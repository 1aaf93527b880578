# -- designs for numpy -----------------------------------------------------------------------------

numbers <- data.frame(x = c(1, 2, 4), k = 1:3, b = c(TRUE, FALSE, TRUE), check.names = FALSE)

stopifnot(identical(arithmetic_tree(quote(I(x^2)), numbers), list("^", "x", 2)))
stopifnot(identical(arithmetic_tree(quote(-log(k)), numbers), list("negative", list("log", "k"))))
stopifnot(identical(
  arithmetic_tree(quote(scale(x, center = 2, scale = 3)), numbers), list("/", list("-", "x", 2), 3)
))
stopifnot(is.null(arithmetic_tree(quote(I(b + 1)), numbers)))
stopifnot(is.null(arithmetic_tree(quote(log(x, 2)), numbers)))
stopifnot(is.null(arithmetic_tree(quote(scale(x)), numbers)))
stopifnot(is.null(arithmetic_tree(quote(I(x * pi)), numbers)))

stopifnot(identical(restore_column(c(1, 2), list(kind = "integer")), 1:2))
stopifnot(identical(restore_column(c(1, 2.5), list(kind = "integer")), c(1, 2.5)))
stopifnot(identical(restore_column(c(0, 1), list(kind = "logical")), c(FALSE, TRUE)))
letters_of <- list(kind = "text", levels = c("a", "b"))
stopifnot(identical(restore_column(c(1L, -1L), letters_of), c("b", NA)))
stops(restore_column(c(1L, 2L), letters_of), "the code 2 is none of the levels 'a', 'b'")
part_used <- column_kind(factor(c("q", "s"), levels = c("p", "q", "s")))
stopifnot(identical(part_used$levels, c("q", "s")))
stopifnot(identical(
  restore_column(c(1, -1, 0), part_used), factor(c("s", NA, "q"), levels = c("p", "q", "s"))
))
