"""The codings of a model's factors (``contrasts``), as they are passed to R."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..base.labels import label
from ..errors import ArgumentError

__all__ = ["codings"]


def codings(contrasts: Mapping[Any, Any]) -> dict[str, Any]:
    """Return per factor a function's name, or numbers with the names of their rows and columns.

    R knows which functions there are, so it checks each text, and each list that holds one.
    """
    odd = [name for name in contrasts if not isinstance(name, str)]
    if odd:
        raise ArgumentError(
            f"contrasts names {odd[0]!r}, which is not text: columns are named by text in R. "
            "Rename the column, for instance with `frame.columns = frame.columns.map(str)`."
        )
    return {
        name: value if _holds_text(value) else _numbers(value, name)
        for name, value in contrasts.items()
    }


def _numbers(value: Any, name: str) -> dict[str, Any]:
    """Return the values, and the names of their levels and columns (None: by their order)."""
    if not isinstance(value, pd.DataFrame | pd.Series | np.ndarray | list | tuple):
        raise ArgumentError(f"{_wanted(name)}, not {type(value).__name__}.")
    try:
        values = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{_wanted(name)}: {str(error).rstrip('.')}.") from None
    if values.ndim not in (1, 2) or 0 in values.shape:
        raise ArgumentError(f"{_wanted(name)}, not an array of shape {values.shape}.")
    if not np.isfinite(values).all():
        raise ArgumentError(f"contrasts of {name!r} hold a value that is missing or infinite.")
    return {
        "values": values,
        "levels": _names(value.index) if isinstance(value, pd.DataFrame | pd.Series) else None,
        "columns": _names(value.columns) if isinstance(value, pd.DataFrame) else None,
    }


def _holds_text(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_text, value.values()))
    return isinstance(value, str) or (
        isinstance(value, list | tuple) and any(map(_holds_text, value))
    )


def _wanted(name: str) -> str:
    return (
        f"contrasts of {name!r} must be the name of a contrast function ('contr.sum') or a matrix "
        "of numbers with a row per level"
    )


def _names(labels: pd.Index) -> list[str] | None:
    """Return the labels as text; None for the numbers that pandas gives where nothing was named."""
    if isinstance(labels, pd.RangeIndex) and labels.equals(pd.RangeIndex(len(labels))):
        return None
    return [label(x) for x in labels]
