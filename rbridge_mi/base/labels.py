"""How a category, or several imputations, read as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["label", "listed_imputations"]


def label(category: Any) -> str:
    """Write a category as the text that stands for it in R.

    Parameters
    ----------
    category : object
        A category of a pandas categorical.

    Returns
    -------
    str
        A whole number without its decimals, as R's ``as.character`` writes it.

    Examples
    --------
    >>> label(1.0), label(0.5), label("a")
    ('1', '0.5', 'a')
    """
    if isinstance(category, str):
        return str(category)
    if isinstance(category, float | np.floating) and float(category).is_integer():
        value = float(category)
        return str(int(value)) if abs(value) < 1e15 else repr(value)
    return str(category)


def listed_imputations(numbers: Sequence[int]) -> str:
    """Name imputations by their numbers, of which several in a row are a span.

    Parameters
    ----------
    numbers : sequence of int
        In ascending order.

    Returns
    -------
    str
        Such as "imputations 1-3, 7".

    Examples
    --------
    >>> listed_imputations([4]), listed_imputations([1, 2, 3, 7, 9, 10])
    ('imputation 4', 'imputations 1-3, 7, 9, 10')
    """
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][-1] + 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    parts = [f"{x[0]}-{x[-1]}" if len(x) > 2 else ", ".join(map(str, x)) for x in spans]
    return f"imputation{'s' if len(numbers) > 1 else ''} {', '.join(parts)}"
