"""Linear hypotheses about coefficients, from text.

``"ses = meanses"``, ``"female = 0, 2*ses - meanses = 1"``, ``"ses - meanses"`` (which is to be 0).
A term is written as R writes it; one that could be read otherwise stands in backticks. Numbers,
``+ - * /`` and brackets combine them, ``=`` (or ``==``) separates the two sides, commas (or a list
of texts) separate hypotheses; without ``=`` the expression is 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ArgumentError

__all__ = ["linear_rows"]

Floats = NDArray[np.float64]

_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WORD = re.compile(r"[\w.]")


def linear_rows(
    hypothesis: Any, terms: Sequence[str], rhs: Any = None
) -> tuple[Floats, Floats, list[str]]:
    """The matrix, right-hand sides and labels of hypotheses about these terms.

    Parameters
    ----------
    hypothesis : str, sequence of str, or array-like
        Text, or a matrix with one row per hypothesis and one column per term (one row may be given
        as a vector).
    terms : sequence of str
        Names of the coefficients, in their order.
    rhs : float or array-like, optional
        Right-hand sides of a matrix; 0 by default. Text has its own.

    Raises
    ------
    ArgumentError
        Text that can't be read, a term that isn't there (with those that are), or a shape that
        doesn't fit.

    Examples
    --------
    >>> matrix, right, labels = linear_rows("a = b, 2*a = 1", ["(Intercept)", "a", "b"])
    >>> matrix.tolist(), right.tolist(), labels
    ([[0.0, 1.0, -1.0], [0.0, 2.0, 0.0]], [0.0, 1.0], ['a = b', '2*a = 1'])
    """
    texts = [hypothesis] if isinstance(hypothesis, str) else hypothesis
    if isinstance(texts, Sequence) and texts and all(isinstance(x, str) for x in texts):
        if rhs is not None:
            raise ArgumentError("rhs goes with a matrix: write it into the text, as in 'ses = 2'.")
        found = [row for text in texts for row in _Reader(text, terms).hypotheses()]
        return (
            np.array([x[0][:-1] for x in found]),
            np.array([0.0 - x[0][-1] for x in found]),
            [x[1] for x in found],
        )
    try:
        matrix = np.atleast_2d(np.asarray(hypothesis, dtype=np.float64))
        right = np.asarray(0.0 if rhs is None else rhs, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"a hypothesis is text ('ses = meanses'), a list of texts or a matrix, not "
            f"{type(hypothesis).__name__}."
        ) from error
    if matrix.ndim != 2 or matrix.shape[1] != len(terms) or matrix.shape[0] == 0:
        raise ArgumentError(
            f"the matrix has shape {matrix.shape}: it needs a column for each of the {len(terms)} "
            f"coefficients {', '.join(terms)}."
        )
    if right.shape not in {(), (matrix.shape[0],)}:
        raise ArgumentError(
            f"rhs has shape {right.shape}: give one number, or one for each of the "
            f"{matrix.shape[0]} rows."
        )
    right = np.broadcast_to(right, (matrix.shape[0],)).copy()
    labels = [_label(row, x, terms) for row, x in zip(matrix, right, strict=True)]
    return matrix, right, labels


def _label(row: Floats, right: float, terms: Sequence[str]) -> str:
    """A row in the words that `linear_rows` reads."""
    text = ""
    for x, name in zip(row, terms, strict=True):
        if x:
            sign = ("-" if x < 0 else "") if not text else (" - " if x < 0 else " + ")
            text += sign + (name if abs(x) == 1 else f"{abs(x):g}*{name}")
    return f"{text or '0'} = {right:g}"


class _Reader:
    """A recursive-descent reader; a value is a vector: one number per term, and a constant."""

    def __init__(self, text: str, terms: Sequence[str]) -> None:
        self.text = text
        self.terms = terms
        self.longest_first = sorted(terms, key=len, reverse=True)
        self.at = 0

    def hypotheses(self) -> list[tuple[Floats, str]]:
        found = []
        while True:
            start = self.at
            left = self.sum()
            if self.skip("==") or self.skip("="):
                left = left - self.sum()
            found.append((left, self.text[start : self.at].strip()))
            if not self.skip(","):
                break
        if self.at < len(self.text):
            self.fail("an operator, '=' or ','")
        return found

    def sum(self) -> Floats:
        total = self.product()
        while True:
            if self.skip("+"):
                total = total + self.product()
            elif self.skip("-"):
                total = total - self.product()
            else:
                return total

    def product(self) -> Floats:
        value = self.factor()
        while True:
            if self.skip("*"):
                value = self.times(value, self.factor())
            elif self.skip("/"):
                by = self.factor()
                if by[:-1].any() or by[-1] == 0:
                    self.fail("a number other than 0 after '/'")
                value = value / by[-1]
            else:
                return value

    def times(self, a: Floats, b: Floats) -> Floats:
        if a[:-1].any() and b[:-1].any():
            self.fail("a linear expression: terms can't be multiplied with each other")
        product: Floats = a * b[-1] if a[:-1].any() else b * a[-1]
        return product

    def factor(self) -> Floats:
        self.blanks()
        # Names first: "(Intercept)", "I(x^2)" and "poly(x, 2)1" hold brackets and commas.
        name = self.name()
        if name is not None:
            unit: Floats = np.eye(len(self.terms) + 1)[list(self.terms).index(name)]
            return unit
        number = _NUMBER.match(self.text, self.at)
        if number:
            self.at = number.end()
            return np.append(np.zeros(len(self.terms)), float(number.group()))
        if self.skip("-"):
            return -self.factor()
        if self.skip("+"):
            return self.factor()
        if self.skip("("):
            value = self.sum()
            if not self.skip(")"):
                self.fail("')'")
            return value
        self.fail(f"a number or one of the terms {', '.join(self.terms)}")
        raise AssertionError

    def name(self) -> str | None:
        if self.text.startswith("`", self.at):
            end = self.text.find("`", self.at + 1)
            quoted = self.text[self.at + 1 : end] if end > 0 else ""
            if quoted not in self.terms:
                self.fail(f"one of the terms {', '.join(self.terms)} between backticks")
            self.at = end + 1
            return quoted
        for name in self.longest_first:
            end = self.at + len(name)
            if self.text.startswith(name, self.at) and not (
                end < len(self.text) and _continues(name[-1], self.text[end:])
            ):
                self.at = end
                return name
        return None

    def blanks(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def skip(self, token: str) -> bool:
        self.blanks()
        if not self.text.startswith(token, self.at):
            return False
        self.at += len(token)
        return True

    def fail(self, wanted: str) -> None:
        raise ArgumentError(
            f"the hypothesis {self.text!r} can't be read at position {self.at + 1} "
            f"({self.text[self.at : self.at + 20]!r}): expected {wanted}."
        )


def _continues(last: str, rest: str) -> bool:
    """Whether a name that ends here would really be part of a longer word ("ses" in "sesame")."""
    return bool(_WORD.match(last) and _WORD.match(rest)) or rest.startswith(":")
