"""Contrasts of marginal means: a method of emmeans, or coefficients that the user gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ..base.labels import label
from ..errors import ArgumentError

__all__ = ["MeanContrast", "checked_contrast"]

# A method's name; or, per contrast, coefficients of the means: in their order, or by level.
MeanContrast: TypeAlias = str | Mapping[str, Any]

_WANTED = (
    "contrast must be the name of a method, such as 'pairwise', or coefficients of the means by "
    "name, such as {'last - first': [-1, 0, 1]}"
)


def checked_contrast(contrast: Any) -> str | dict[str, dict[str, Any]] | None:
    """Check what was given as `contrast`.

    Parameters
    ----------
    contrast : str, mapping or None
        As in `PooledMerMod.emmeans`.

    Returns
    -------
    str, dict or None
        A method's name as it is; per contrast, values and the levels that they belong to (None: in
        the order of the means). R knows the methods and the means, and checks the rest.

    Raises
    ------
    ArgumentError
        Anything else than a name or finite numbers by name.
    """
    if contrast is None or isinstance(contrast, str):
        return contrast
    if not isinstance(contrast, Mapping) or not contrast:
        raise ArgumentError(f"{_WANTED}, not {contrast!r}.")
    odd = [name for name in contrast if not isinstance(name, str) or not name.strip()]
    if odd:
        raise ArgumentError(f"contrast: {odd[0]!r} is no name of a contrast: give a text.")
    return {name: _coefficients(given, name) for name, given in contrast.items()}


def _coefficients(given: Any, name: str) -> dict[str, Any]:
    levels = None
    if isinstance(given, Mapping | pd.Series):
        levels = [label(x) for x in given.keys()]  # noqa: SIM118 -- iterating a Series gives values
        given = list(given.to_numpy() if isinstance(given, pd.Series) else given.values())
        twice = [x for i, x in enumerate(levels) if x in levels[:i]]
        if twice:
            raise ArgumentError(f"contrast {name!r} names the level {twice[0]!r} twice.")
    if not isinstance(given, list | tuple | np.ndarray):
        raise ArgumentError(f"{_WANTED}; {name!r} has {given!r}.")
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.array([[]])
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ArgumentError(f"contrast {name!r} must hold a finite number per mean, not {given!r}.")
    if not values.any():
        raise ArgumentError(f"contrast {name!r} has no coefficient other than 0.")
    return {"values": values, "levels": levels}
