"""merTools' answers: those for a list of fits, and its simulations, ranks and rows for any fit.

Of a list of fits, ``fits.mertools`` has merTools' tables, its mistakes included, for matching an
old R report. The functions here are merTools' other functions, with its numbers for one fit and the
same seed, and right ones for several fits, where merTools stops. merTools need not be installed.

================  ======================================================
`tables`          `MerToolsTables`, which users have as ``fits.mertools``
`numbers`         their numbers: merTools' sums, in R's arithmetic
`printouts`       the lines that merTools prints
`simulations`     `fe_sim`, `re_sim`
`intervals`       `predict_interval`
`ranks`           `re_rank`, `re_quantile`
`impacts`         `re_impact`, `re_margins`
`observations`    `draw`, `average_obs`, `wiggle`
`refits`          `sub_boot`, `icc`
`arguments`       what these functions take
================  ======================================================
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .impacts import re_impact, re_margins
    from .intervals import Simulated, predict_interval
    from .observations import average_obs, draw, wiggle
    from .ranks import re_quantile, re_rank
    from .refits import icc, sub_boot
    from .simulations import fe_sim, re_sim
    from .tables import MerToolsTables

_HOMES = {
    "impacts": ("re_impact", "re_margins"),
    "intervals": ("Simulated", "predict_interval"),
    "observations": ("average_obs", "draw", "wiggle"),
    "ranks": ("re_quantile", "re_rank"),
    "refits": ("icc", "sub_boot"),
    "simulations": ("fe_sim", "re_sim"),
    "tables": ("MerToolsTables",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "MerToolsTables",
    "Simulated",
    "average_obs",
    "draw",
    "fe_sim",
    "icc",
    "predict_interval",
    "re_impact",
    "re_margins",
    "re_quantile",
    "re_rank",
    "re_sim",
    "sub_boot",
    "wiggle",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value
