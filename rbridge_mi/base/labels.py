"""How a category reads as text."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["label"]


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
    if isinstance(category, float | np.floating) and float(category).is_integer():
        value = float(category)
        return str(int(value)) if abs(value) < 1e15 else repr(value)
    return str(category)
