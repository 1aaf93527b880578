"""Plots of imputations and of models, ``rb.plot``: each draws one frame of ``rb.plot.data``.

``rb.plot.forest(pooled)`` is also ``pooled.plot.forest()``. A plot returns its Axes, or the Figure
where it has several panels; with ``ax=`` it draws there and makes no figure. Nothing is shown, and
no setting of matplotlib is changed: where pyplot is in use, or in a notebook, a new figure is one
that it shows; elsewhere ``ax.figure.savefig(...)`` writes it. matplotlib is loaded at the first
plot, and not by ``rb.plot.data``.
"""

from __future__ import annotations

from . import data
from .accessor import accessor
from .checks import check_model
from .deltas import delta
from .density import density
from .effects import fe_sim, ranef, re_sim
from .forest import forest
from .missing import missing_map, missing_pattern
from .overimputed import overimpute
from .points import scatter, strip
from .predicted import predictions
from .profiled import profile
from .trace import trace
from .uncertainty import fmi, variance

__all__ = [
    "accessor",
    "check_model",
    "data",
    "delta",
    "density",
    "fe_sim",
    "fmi",
    "forest",
    "missing_map",
    "missing_pattern",
    "overimpute",
    "predictions",
    "profile",
    "ranef",
    "re_sim",
    "scatter",
    "strip",
    "trace",
    "variance",
]
