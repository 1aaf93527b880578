"""R's printing rules against R's format(), print() and as.character()."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from rbridge_mi.mertools import r_format as rprint
from rbridge_mi.testing import run_r

NUMBERS = [
    [0.0],
    [1.0, -1.0],
    [-0.0004, 12.5],
    [0.1 + 0.2, 1 / 3],
    [99999.99999, 1.0],
    [100000.0],
    [123456.0, 1e5],
    [1e15, 1.5],
    [1e-5],
    [1e-300, 1e300],
    [999.99996, 1.0],
    [9999999.6],
    [129.135, 263.505, 48.707],  # the nearer neighbour depends on the arithmetic
    [0.15, 0.25, 0.35, 0.45, 0.65, 2.5],
    [math.inf, -math.inf, -3.0],
    [46331.144, 35383034.528],
]
_RANDOM = np.random.default_rng(1)
NUMBERS += [
    list(_RANDOM.normal(size=n) * 10.0 ** _RANDOM.uniform(-8, 9, size=size))
    for n in (1, 2, 5)
    for size in (1, n)
    for _ in range(60)
]

NAMES = ["(Intercept)", "x", "I(x^2)", "as.factor(occupation)craftsman or similar trade"]

# R breaks each of these in another way: at an operator, an argument, within brackets, after a
# comparison, where / or %in% ends a product, in a text with spaces and brackets, or not at all.
CALLS = [
    "lmer(formula = y ~ x + (1 | g), data = d)",
    "lmer(formula = mathach ~ minority + female + ses + meanses + (1 + ses | schid), data = d)",
    "lmer(formula = Reaction ~ Days + ((1 | Subject) + (0 + Days | Subject)), data = d, "
    "REML = FALSE)",
    "lmer(formula = a_response_whose_name_alone_is_as_long_as_a_line_can_be ~ x + z + (1 | g), "
    "data = d)",
    "lmer(formula = log(Reaction + 1) ~ ns(age, df = 3, knots = c(20, 30)) * poly(Days, 3) + "
    'factor(grp, levels = c("a, (b", "c + d")) + `a (long + name` + (1 + I(x > 3 & y <= 2) | '
    "school_number), data = d)",
    "lmer(formula = y ~ x/(p + q):minority * (factor(grp) - ns(age, df = 3, knots = c(20, 30)) + "
    "I(x > 3 & y <= 2) - (x[1, 2]/(p + q) + very_long_variable_name_number_one %in% b * log(ses + "
    "1)/z + x:z)) + (1 | g), data = d)",
    "lmer(formula = y ~ very_long_variable_name_number_one + -1 * x:z:x[1, 2]/minority:(factor("
    'grp, levels = c("a b", "c")) * x[1, 2] * minority * ns(age, df = 3)) - (-1 + log(ses)/x) + '
    "(1 | a/b), data = d)",
]

CODE = """
numbers <- lapply(numbers, as.numeric)
rounded <- lapply(0:5, function(k) lapply(numbers, round, k))
fixed <- lapply(0:5, function(k) lapply(numbers, function(x) format(round(x, k), nsmall = k)))
plain <- lapply(numbers, format)
nan <- format(round(c(NaN, 1.25), 3), nsmall = 3)
text <- lapply(numbers, as.character)
wide <- matrix(sprintf("%d", 1:40 * 1234L), 4, dimnames = list(names, paste0("column", 1:10)))
right <- capture.output(print(wide, quote = FALSE, right = TRUE))
left <- capture.output(print(wide, quote = FALSE))
vectors <- lapply(c(1, 2, 4, 12), function(n) {
  capture.output(print(setNames(rep(c("1.5", "22.25", "-3"), length.out = n),
                                rep(names[1:3], length.out = n)), quote = FALSE))
})
long <- capture.output(print(setNames("1", paste(rep("x", 90), collapse = "")), quote = FALSE))
calls <- lapply(calls, function(x) capture.output(print(str2lang(x))))
"""


@pytest.fixture(scope="module")
def r() -> Any:
    return run_r(CODE, numbers=NUMBERS, names=NAMES, calls=CALLS)


def test_round(r: Any) -> None:
    for k in range(6):
        for x, theirs in zip(NUMBERS, r["rounded"][k], strict=True):
            mine = np.array([rprint.round_r(value, k) for value in x])
            np.testing.assert_array_equal(mine, theirs)  # no tolerance: it is an exact rule


def test_format(r: Any) -> None:
    for x, theirs in zip(NUMBERS, r["plain"], strict=True):
        assert rprint.format_numbers(x) == list(theirs)
    for k in range(6):
        for x, theirs in zip(NUMBERS, r["fixed"][k], strict=True):
            rounded = [rprint.round_r(value, k) for value in x]
            assert rprint.format_numbers(rounded, nsmall=k) == list(theirs)
    # NaN is tested apart, since `run_r` passes it to R as NA.
    assert rprint.format_numbers([math.nan, 1.25], nsmall=3) == list(r["nan"])


def test_as_character(r: Any) -> None:
    for x, theirs in zip(NUMBERS, r["text"], strict=True):
        assert [rprint.as_character(value) for value in x] == list(theirs)


@pytest.mark.parametrize("side", ["left", "right"])
def test_matrix_wider_than_the_console(r: Any, side: str) -> None:
    cells = [[f"{(j * 4 + i + 1) * 1234}" for i in range(4)] for j in range(10)]
    heads = [f"column{j}" for j in range(1, 11)]
    mine = rprint.matrix_lines(NAMES, heads, cells, right=side == "right")
    assert mine == list(r[side])
    assert len(mine) > 5  # it did wrap


def test_named_vectors(r: Any) -> None:
    for n, theirs in zip((1, 2, 4, 12), r["vectors"], strict=True):
        names = [NAMES[i % 3] for i in range(n)]
        values = [["1.5", "22.25", "-3"][i % 3] for i in range(n)]
        assert rprint.vector_lines(names, values) == list(theirs)
    assert rprint.vector_lines(["x" * 90], ["1"]) == list(r["long"])


def test_calls(r: Any) -> None:
    for call, theirs in zip(CALLS, r["calls"], strict=True):
        assert rprint.call_lines(call) == list(theirs)
    assert sorted(map(len, r["calls"]))[::6] == [1, 4]  # from one line to four
