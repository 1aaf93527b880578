"""How a category reads as text."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["label"]


def label(category: Any) -> str:
    """The text that stands for a category in R: 1.0 as "1", as R's `as.character` has it."""
    if isinstance(category, float | np.floating) and float(category).is_integer():
        value = float(category)
        return str(int(value)) if abs(value) < 1e15 else repr(value)
    return str(category)
