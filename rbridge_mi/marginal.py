"""Estimated marginal means: emmeans' grid for every fit, pooled by Rubin's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .arguments import column_list
from .asking import SMALL_SAMPLE, ask, complete_df
from .errors import ArgumentError, PoolingError
from .mermod import MerMod
from .pooling import rubin
from .schemas import beside

__all__ = ["marginal_means"]


def marginal_means(
    fits: Sequence[MerMod],
    kind: str,
    dfcom: Any,
    conf_level: float,
    specs: str | Sequence[str],
    contrast: str | None,
    at: Mapping[str, Any] | None,
    arguments: Mapping[str, Any],
) -> pd.DataFrame:
    """See `PooledMerMod.emmeans`."""
    if contrast is not None and not isinstance(contrast, str):
        raise ArgumentError("contrast must be the name of a method, such as 'pairwise'.")
    names = column_list(specs, "specs")
    grid = None if at is None else {k: _values(v) for k, v in at.items()}
    found = [ask(fit, "marginal_means", names, contrast, grid, dict(arguments)) for fit in fits]
    levels = [pd.DataFrame(dict(x["levels"])) for x in found]
    for fit, own in zip(fits, levels, strict=True):
        # Covariates of the grid may stand at each data set's own mean; levels must be the same.
        texts = own.select_dtypes(exclude="number").astype(str)
        if len(own) != len(levels[0]) or not texts.equals(
            levels[0].select_dtypes(exclude="number").astype(str)
        ):
            raise PoolingError(
                f"emmeans makes another grid for imputation {fit.imputation} than for the first: "
                "its factors have other levels. Combine levels, or give values in `at`."
            )
    q = np.array([x["estimate"] for x in found])
    u = np.array([x["variance"] for x in found])
    if not np.isfinite(q).all():
        raise PoolingError(
            "emmeans can't estimate some of these means (levels without data, or coefficients "
            "that were dropped): leave those factors out of specs."
        )
    if kind == "bootstrap":
        pooled = rubin.pool_bootstrap(q, conf_level=conf_level)
    else:
        if isinstance(dfcom, str) and dfcom in SMALL_SAMPLE:
            per_fit = [
                complete_df(dfcom, [fit], x["linear"]) for fit, x in zip(fits, found, strict=True)
            ]
            complete: Any = np.mean(np.array(per_fit), axis=0)
        else:
            complete = complete_df(dfcom, fits, found[0]["linear"])
        pooled = rubin.pool_scalars(q, np.maximum(u, 0), dfcom=complete, conf_level=conf_level)
    numbers = levels[0].select_dtypes(include="number").columns
    table = levels[0].copy()
    for name in numbers:
        table[name] = np.mean([own[name].to_numpy() for own in levels], axis=0)
    return beside(pd.DataFrame(pooled.columns()), table, first=False)


def _values(value: Any) -> list[Any]:
    return [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
