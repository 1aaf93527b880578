"""The frames that plots draw: ``rb.plot.data.x(obj)`` is what ``rb.plot.x(obj)`` shows."""

from __future__ import annotations

from .checks import check_model_data as check_model
from .deltas import delta_data as delta
from .density import density_data as density
from .effects import fe_sim_data as fe_sim
from .effects import ranef_data as ranef
from .effects import re_sim_data as re_sim
from .forest import forest_data as forest
from .missing import missing_map_data as missing_map
from .missing import missing_pattern_data as missing_pattern
from .overimputed import overimpute_data as overimpute
from .points import scatter_data as scatter
from .points import strip_data as strip
from .predicted import predictions_data as predictions
from .profiled import profile_data as profile
from .trace import trace_data as trace
from .uncertainty import fmi_data as fmi
from .uncertainty import variance_data as variance

__all__ = [
    "check_model",
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
