"""Linear hypotheses about coefficients, from text.

``"ses = meanses"``, ``"female = 0, 2*ses - meanses = 1"``, ``"ses - meanses"`` (which is to be 0).
Numbers, ``+ - * /`` and brackets combine terms, ``=`` (or ``==``) separates the two sides, commas
(or a list of texts) separate hypotheses; without ``=`` the expression is 0.

A term is written as it stands in the table, R's backticks included: ``x``, ``I(x^2)``,
``poly(x, 2)1``, ```x y`b:z``. Of several terms that begin alike, the longest that stands there is
meant. Where another one is meant (``fa - b`` is one term, and ``fa`` and ``b`` are two), terms go
into backticks, single or double quotes, whatever characters they hold: ``"'fa' - 'b' = 0"``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError

__all__ = ["linear_rows"]

Floats = NDArray[np.float64]

_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WORD = re.compile(r"[\w.]")


def linear_rows(
    hypothesis: Any, terms: Sequence[str], rhs: Any = None
) -> tuple[Floats, Floats, list[str]]:
    """Read hypotheses about terms as a matrix, right-hand sides and labels.

    Parameters
    ----------
    hypothesis : str, sequence of str, or array-like
        Text, or a matrix with one row per hypothesis and one column per term (one row may be given
        as a vector).
    terms : sequence of str
        Names of the coefficients, in their order.
    rhs : float or array-like, optional
        Right-hand sides of a matrix; 0 by default. Text contains its right-hand sides.

    Returns
    -------
    tuple of ndarray, ndarray and list of str
        A row of coefficients, a right-hand side and a label per hypothesis.

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
        rows = [row for text in texts for row in _Reader(text, terms).hypotheses()]
        return (
            np.array([coefficients[:-1] for coefficients, _ in rows]),
            np.array([0.0 - coefficients[-1] for coefficients, _ in rows]),
            [label for _, label in rows],
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
    """Write a row as text that `linear_rows` reads; terms are quoted where they must be."""
    for quote in ("", *_QUOTES):
        text = _written(row, right, terms, quote)
        try:
            rows = _Reader(text, terms).hypotheses()
        except ArgumentError:
            continue
        if len(rows) == 1 and np.array_equal(np.sign(rows[0][0][:-1]), np.sign(row)):
            return text
    return _written(row, right, terms, "")  # two terms of one name, say


def _written(row: Floats, right: float, terms: Sequence[str], quote: str) -> str:
    text = ""
    for x, name in zip(row, terms, strict=True):
        if x:
            sign = ("-" if x < 0 else "") if not text else (" - " if x < 0 else " + ")
            quoted = f"{quote}{name}{quote}"
            text += sign + (quoted if abs(x) == 1 else f"{abs(x):g}*{quoted}")
    return f"{text or '0'} = {right:g}"


# How tightly operators bind; "neg" is the sign before an operand.
_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2, "neg": 3}
_QUOTES = {"`": "backticks", "'": "single quotes", '"': "double quotes"}


class _Reader:
    """Reads an expression by its operators' precedence.

    A value is a vector: one number per term, and a constant.
    """

    def __init__(self, text: str, terms: Sequence[str]) -> None:
        self.text = text
        self.terms = list(terms)
        self.longest_first = sorted(self.terms, key=len, reverse=True)
        self.at = 0

    def hypotheses(self) -> list[tuple[Floats, str]]:
        hypotheses = []
        while True:
            start = self.at
            left = self.expression()
            if self.skip("==") or self.skip("="):
                left = left - self.expression()
            hypotheses.append((left, self.text[start : self.at].strip()))
            if not self.skip(","):
                break
        if self.at < len(self.text):
            self.fail("an operator, '=' or ','")
        return hypotheses

    def expression(self) -> Floats:
        values: list[Floats] = []
        waiting: list[str] = []  # operators and opening brackets; the last is next
        while True:
            while (value := self.operand()) is None:
                if self.skip("-"):
                    waiting.append("neg")
                elif self.skip("("):
                    waiting.append("(")
                elif not self.skip("+"):
                    self.fail(f"a number or one of the terms {', '.join(self.terms)}")
            values.append(value)
            while "(" in waiting and self.skip(")"):
                self.reduce(values, waiting, 0)
                waiting.pop()
            operator = self.peek("+-*/")
            self.reduce(values, waiting, _BINDS.get(operator, 0))
            if not operator:
                break
            self.skip(operator)
            waiting.append(operator)
        if waiting:
            self.fail("')'")
        return values.pop()

    def reduce(self, values: list[Floats], waiting: list[str], binds: int) -> None:
        """Apply the operators since the last opening bracket that bind at least so tightly."""
        while waiting and waiting[-1] != "(" and _BINDS[waiting[-1]] >= binds:
            operator, right = waiting.pop(), values.pop()
            if operator == "neg":
                values.append(-right)
                continue
            left = values.pop()
            if operator == "+":
                values.append(left + right)
            elif operator == "-":
                values.append(left - right)
            elif operator == "*":
                values.append(self.times(left, right))
            else:
                values.append(self.over(left, right))

    def times(self, a: Floats, b: Floats) -> Floats:
        if a[:-1].any() and b[:-1].any():
            self.fail("a linear expression: terms can't be multiplied with each other")
        product: Floats = a * b[-1] if a[:-1].any() else b * a[-1]
        return product

    def over(self, a: Floats, by: Floats) -> Floats:
        if by[:-1].any() or by[-1] == 0:
            self.fail("a number other than 0 after '/'")
        quotient: Floats = a / by[-1]
        return quotient

    def operand(self) -> Floats | None:
        self.blanks()
        value = np.zeros(len(self.terms) + 1)
        # Names first: "(Intercept)", "I(x^2)" and "poly(x, 2)1" hold brackets and commas.
        name = self.name()
        if name is not None:
            if self.terms.count(name) > 1:
                self.fail(
                    f"a term that stands once, and {self.terms.count(name)} are called {name!r} "
                    "(give a matrix)"
                )
            value[self.terms.index(name)] = 1
            return value
        number = _NUMBER.match(self.text, self.at)
        if number:
            self.at = number.end()
            value[-1] = float(number.group())
            return value
        return None

    def name(self) -> str | None:
        """Read the term that stands here, bare or in quotes: of several the longest."""
        for name in self.longest_first:
            end = self.at + len(name)
            if self.text.startswith(name, self.at) and not _continues(name, self.text[end:]):
                self.at = end
                return name
        quote = self.text[self.at : self.at + 1]
        if quote not in _QUOTES:
            return None
        for name in self.longest_first:
            quoted = quote + name + quote
            if self.text.startswith(quoted, self.at):
                self.at += len(quoted)
                return name
        self.fail(f"one of the terms {', '.join(self.terms)} between {_QUOTES[quote]}")
        raise AssertionError

    def peek(self, tokens: str) -> str:
        """Look for one of the characters as the next one; empty if it is another."""
        self.blanks()
        character = self.text[self.at : self.at + 1]
        return character if character and character in tokens else ""

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


def _continues(name: str, rest: str) -> bool:
    """Whether a name that ends here would really be part of a longer word ("ses" in "sesame")."""
    return bool(_WORD.match(name[-1]) and _WORD.match(rest)) or rest.startswith(":")
