"""Numbers as a table shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..base.text import p_text

__all__ = ["decimals", "interval", "p_value", "span", "stars_note", "stars_of"]


def decimals(x: float, digits: int) -> str:
    """Write a number with so many decimals, or the first two digits of one that is below the last.

    Parameters
    ----------
    x : float
        Missing (nan) is an empty text.
    digits : int

    Returns
    -------
    str
        Such as "1.235".

    Examples
    --------
    >>> decimals(1.23456, 3), decimals(0.000123, 3), decimals(-1e-7, 3), decimals(0, 3)
    ('1.235', '0.00012', '-1e-07', '0.000')
    """
    if math.isnan(x):
        return ""
    if math.isinf(x):
        return "∞" if x > 0 else "-∞"
    if x and abs(x) < 10**-digits:
        return f"{x:.2g}"
    if abs(x) >= 1e9:
        return f"{x:.{digits}e}"
    return f"{x:.{digits}f}"


def interval(low: float, high: float, digits: int) -> str:
    """Write an interval in brackets; empty where there is none."""
    if math.isnan(low) and math.isnan(high):
        return ""
    return f"[{decimals(low, digits)}, {decimals(high, digits)}]"


def p_value(p: float, digits: int) -> str:
    """Write a p value with so many decimals; smaller ones as smaller than the least of these."""
    if math.isnan(p):
        return ""
    text = p_text(p, 10**-digits)
    return text if text.startswith("<") else f"{p:.{digits}f}"


def stars_of(p: float, levels: Sequence[float]) -> str:
    """Return a star for each level that the p value is below."""
    return "*" * sum(p < x for x in levels)


def stars_note(levels: Sequence[float]) -> str:
    """Explain the stars.

    Examples
    --------
    >>> stars_note((0.05, 0.01))
    '* p < 0.05, ** p < 0.01'
    """
    ordered = sorted(levels, reverse=True)
    return ", ".join(f"{'*' * i} p < {x:g}" for i, x in enumerate(ordered, start=1))


def span(values: Sequence[int]) -> str:
    """Write whole numbers as one, or as the span that they have."""
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}–{high}"
