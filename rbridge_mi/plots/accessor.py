"""``x.plot``: the plots that there are of a result, as methods."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

from ..base.checks import hint
from ..data.imputed_data import ImputedData
from ..inference.mermod import MerMod
from ..pooled.mermod_list import MerModList
from ..pooled.pooled_estimates import PooledEstimates
from ..pooled.pooled_mermod import PooledMerMod
from .checks import check_model
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

__all__ = ["PlotsOf", "accessor"]

_OF_IMPUTATIONS: tuple[Callable[..., Any], ...] = (
    density, missing_map, missing_pattern, overimpute, scatter, strip, trace,
)  # fmt: skip
_OF_FIT: tuple[Callable[..., Any], ...] = (
    check_model, fe_sim, forest, predictions, profile, ranef, re_sim,
)  # fmt: skip
_OF_POOLED: tuple[Callable[..., Any], ...] = (
    check_model, fmi, forest, predictions, ranef, variance,
)  # fmt: skip
_OF_FITS: tuple[Callable[..., Any], ...] = (*_OF_POOLED, fe_sim, re_sim)
_OF_ESTIMATES: tuple[Callable[..., Any], ...] = (fmi, forest, variance)
_PLOTS: dict[type, tuple[Callable[..., Any], ...]] = {
    ImputedData: _OF_IMPUTATIONS,
    MerMod: _OF_FIT,
    MerModList: _OF_FITS,
    PooledMerMod: _OF_POOLED,
    PooledEstimates: _OF_ESTIMATES,
}


class PlotsOf:
    """The plots of one result: ``x.plot.name(...)`` is ``rb.plot.name(x, ...)``.

    Parameters
    ----------
    obj : object
        The result.
    plots : sequence of callable
        Those that there are of it.
    """

    def __init__(self, obj: Any, plots: tuple[Callable[..., Any], ...]) -> None:
        self._obj = obj
        self._plots = {x.__name__: x for x in plots}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._plots:
            valid = list(self._plots)
            raise AttributeError(
                f"{type(self._obj).__name__} has no plot {name!r}{hint(name, valid)}; it has "
                f"{', '.join(valid)}."
            )
        return MethodType(self._plots[name], self._obj)

    def __dir__(self) -> list[str]:
        return sorted(self._plots)

    def __repr__(self) -> str:
        return f"<plots of {self._obj!r}: {', '.join(self._plots)}>"


def accessor(obj: Any) -> PlotsOf:
    """Return the plots of a result, as its attribute ``plot`` does."""
    kind = next(x for x in type(obj).__mro__ if x in _PLOTS)
    return PlotsOf(obj, _PLOTS[kind])
