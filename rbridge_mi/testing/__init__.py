"""Regression tests against R, to the last bit, with the tools of this library's parity suite.

===========================  ==================================================================
``run_r``                    runs R code in a separate Rscript, on given frames; returns values
                             with every bit
``assert_parity``            compares every accessor of a fit with a user's R script
``assert_frame_bits_equal``  compares two tables; names the worst cell, with its distance in ulps
``compare``, ``ulps``        what differs as data; distances
===========================  ==================================================================

A plugin is registered with pytest and needs no configuration: the fixture ``r_reference`` and the
options ``--r-record`` and ``--r-check``; see ``rbridge_mi.testing.plugin``. A name's module is
loaded at its first use, so that test runs that use none of these are not slowed down.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bits import Comparison, Difference, assert_frame_bits_equal, compare, ulps
    from .evaluation import REvaluation, run_r
    from .fits import assert_parity

__all__ = ["Comparison", "Difference", "REvaluation", "assert_frame_bits_equal", "assert_parity",
           "compare", "run_r", "ulps"]  # fmt: skip

_HOMES = {
    "bits": ("Comparison", "Difference", "assert_frame_bits_equal", "compare", "ulps"),
    "evaluation": ("REvaluation", "run_r"),
    "fits": ("assert_parity",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
