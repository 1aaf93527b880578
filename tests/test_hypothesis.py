"""Hypotheses as text: what is read, and what is refused with a useful message."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbridge_mi.errors import ArgumentError
from rbridge_mi.hypothesis import linear_rows

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
