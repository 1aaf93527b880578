"""The frames that plots draw: ``rb.plot.data.x(obj)`` is what ``rb.plot.x(obj)`` shows."""

from __future__ import annotations

from .density import density_data as density
from .forest import forest_data as forest

__all__ = ["density", "forest"]
