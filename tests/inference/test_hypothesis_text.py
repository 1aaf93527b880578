"""Hypotheses as text: what is read, and what is refused with a useful message."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbridge_mi.errors import ArgumentError
from rbridge_mi.inference.hypothesis_text import linear_rows

TERMS = [
    "(Intercept)", "x", "x1", "x:x1", "I(x^2)", "factor(f)b", "poly(x, 2)1", "I(x == 2)TRUE", "a-b",
]  # fmt: skip


def vector(**by_term: float) -> list[float]:
    names = {"intercept": "(Intercept)", "by": "x:x1", "square": "I(x^2)", "level": "factor(f)b"}
    wanted = {names.get(k, k): v for k, v in by_term.items()}
    return [wanted.get(term, 0.0) for term in TERMS]


@pytest.mark.parametrize(
    ("text", "rows", "right"),
    [
        ("x", [vector(x=1)], [0]),
        ("x = x1", [vector(x=1, x1=-1)], [0]),
        ("x == 2", [vector(x=1)], [2]),
        ("x = 0, x1 = 2", [vector(x=1), vector(x1=1)], [0, 2]),
        ("(Intercept) = 12.5", [vector(intercept=1)], [12.5]),
        ("x:x1 - x1", [vector(by=1, x1=-1)], [0]),
        ("-(x - 2*x1)/4 = 1e-3 + I(x^2)", [vector(x=-0.25, x1=0.5, square=-1)], [1e-3]),
        ("2*3*x + x*.5 = (1 + 1)*x1", [vector(x=6.5, x1=-2)], [0]),
        ("factor(f)b=+1", [vector(level=1)], [1]),
        ("`a-b` - x", [[0, -1, 0, 0, 0, 0, 0, 0, 1]], [0]),
        ("poly(x, 2)1 = 0, I(x == 2)TRUE == 1",
         [[0, 0, 0, 0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0, 0, 1, 0]], [0, 1]),
        ("1 = x", [vector(x=-1)], [-1]),
        ("2*-x - -(3 - x)/-2 = --1", [vector(x=-1.5)], [2.5]),
        ("8/2/2*x - 1 - 2 = 0", [vector(x=2)], [3]),
        ("'poly(x, 2)1' = \"I(x == 2)TRUE\", `x:x1`",
         [[0, 0, 0, 0, 0, 0, 1, -1, 0], [0, 0, 0, 1, 0, 0, 0, 0, 0]], [0, 0]),
    ],
)  # fmt: skip
def test_read(text: str, rows: list[list[float]], right: list[float]) -> None:
    matrix, rhs, labels = linear_rows(text, TERMS)
    np.testing.assert_array_equal(matrix, rows)
    np.testing.assert_array_equal(rhs, right)
    assert len(labels) == len(rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x2 = 0", "one of the terms"),  # not x, then a 2
        ("xx = 0", "one of the terms"),
        ("x:x = 0", "one of the terms"),
        ("x =", "position 4"),
        ("x = 1 = 2", "an operator"),
        ("x x1", "an operator"),
        ("(x", r"'\)'"),
        ("x*x1", "linear"),
        ("x/x1", "a number other than 0"),
        ("x/0", "a number other than 0"),
        ("`q` = 0", "between backticks"),
        ("'x = 0", "between single quotes"),
        ('"x"x1', "an operator"),
        ("x)", "an operator"),
        ("((x)", r"'\)'"),
        ("", "position 1"),
        ("x,", "position 3"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        linear_rows(text, TERMS)


def test_matrix() -> None:
    matrix, rhs, labels = linear_rows([0, 1.5, -1, 0, 0, 0, 0, 0, 0], TERMS, rhs=2)
    assert matrix.shape == (1, 9)
    assert rhs.tolist() == [2.0]
    assert labels == ["1.5*x - x1 = 2"]
    for wrong in ([[1, 2]], np.zeros((0, 9)), [["a"] * 9]):
        with pytest.raises(ArgumentError, match=r"matrix|text"):
            linear_rows(np.array(wrong), TERMS)
    with pytest.raises(ArgumentError, match="rhs has shape"):
        linear_rows(np.eye(9), TERMS, rhs=[1, 2])
    with pytest.raises(ArgumentError, match="goes with a matrix"):
        linear_rows("x", TERMS, rhs=2)


@given(
    st.lists(
        st.lists(st.integers(-20, 20), min_size=9, max_size=9).filter(any), min_size=1, max_size=4
    ),
    st.integers(-50, 50),
)
def test_labels_are_read_back(rows: list[list[int]], right: int) -> None:
    """The label of a matrix row is text that means the row."""
    terms = [f"`{x}`" if x == "a-b" else x for x in TERMS]
    matrix, rhs, labels = linear_rows(np.array(rows, dtype=float), terms, rhs=right)
    again, right_again, _ = linear_rows(labels, TERMS)
    np.testing.assert_array_equal(again, matrix)
    np.testing.assert_array_equal(right_again, rhs)


@pytest.mark.parametrize("depth", [3_000, 50_000])
def test_brackets_and_signs_without_end(depth: int) -> None:
    """The reader keeps its own stack: no depth is too much for Python's."""
    for text in (
        "(" * depth + "x" + ")" * depth,
        "-" * depth + "x",
        "-(" * depth + "x" + ")" * depth,
    ):
        matrix, _, _ = linear_rows(text, TERMS)
        assert matrix.tolist() == [vector(x=1)]  # the depths are even
    with pytest.raises(ArgumentError, match=rf"position {depth + 2} .*expected '\)'"):
        linear_rows("(" * depth + "x", TERMS)


# Terms that contain, begin like, or read as expressions of, each other.
AWKWARD = [
    "a", "b", "a - b", "a-1", "2*a", "`a b`", "`a b`c:b", "a:b", "x,y", "a = b", "(a)", "it's",
    'the "a"', "größe", "größe 2",
]  # fmt: skip


@given(
    st.lists(st.sampled_from([-3, -1, 0, 0, 1, 2]), min_size=15, max_size=15).filter(any),
    st.integers(-5, 5),
)
def test_labels_of_awkward_terms_are_read_back(row: list[int], right: int) -> None:
    _, _, labels = linear_rows(np.array(row, dtype=float), AWKWARD, rhs=right)
    matrix, again, _ = linear_rows(labels, AWKWARD)
    assert matrix.tolist() == [row]
    assert again.tolist() == [right]


@pytest.mark.parametrize("term", AWKWARD)
@pytest.mark.parametrize("quote", ["`", "'", '"'])
def test_a_term_in_quotes_is_itself(term: str, quote: str) -> None:
    matrix, _, _ = linear_rows(f"2*{quote}{term}{quote} = 1", AWKWARD)
    assert matrix.tolist() == [[2.0 if x == term else 0.0 for x in AWKWARD]]


def test_of_terms_that_begin_alike_the_longest_is_meant() -> None:
    whole, apart = linear_rows(["a - b", "'a' - 'b'"], AWKWARD)[0]
    assert AWKWARD[int(whole.argmax())] == "a - b"
    assert (apart[0], apart[1]) == (1, -1)


def test_a_name_that_two_terms_have_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"2 are called 'ab' \(give a matrix\)"):
        linear_rows("ab = 0", ["ab", "c", "ab"])
    assert linear_rows([1, 0, -1], ["ab", "c", "ab"])[2] == ["ab - ab = 0"]
