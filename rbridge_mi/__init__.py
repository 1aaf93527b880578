"""Multilevel models on incomplete data: R's Amelia and lme4 from pandas, bit for bit, pooled.

Importing this package starts no R, and loads no more than is asked for: the first use of a name
loads its module, the first call that needs R starts it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import plots as plot
    from .base.records import to_records
    from .data.imputed_data import ImputedData
    from .data.mapped_results import MappedResults
    from .data.reading import read_imputed
    from .datasets import ampute, load_hsb
    from .errors import (
        ArgumentError,
        EncodingError,
        FitError,
        FormulaError,
        ImputationError,
        MapError,
        MissingExtraError,
        MissingPathError,
        NoValueError,
        PoolingError,
        PredictionError,
        RBridgeError,
        RBridgeWarning,
        RCallError,
        RForkError,
        RNotFoundError,
        RPackageError,
        RTimeout,
        RWarning,
        RWorkerLost,
    )
    from .grids.fit_each import fit_each
    from .grids.fit_grid import FitGrid
    from .imputers.amelia import AmeliaImputer
    from .imputers.bootstrap import BootstrapImputer
    from .imputers.choose import impute
    from .imputers.compatible import CompatibleImputer
    from .imputers.imputation_plan import imputation_plan
    from .imputers.impute_with import impute_with
    from .imputers.jomo import JomoImputer
    from .imputers.mice import MiceImputer
    from .imputers.pan import PanImputer
    from .inference.mermod import MerMod
    from .models.fitting import start_workers
    from .models.glmer import Glmer
    from .models.glmer_nb import GlmerNb
    from .models.lmer import Lmer
    from .models.sensitivity import delta_sensitivity
    from .pooled.listwise import compare_estimates
    from .pooled.mermod_list import MerModList
    from .pooled.nested_models import compare
    from .pooled.pooled_estimates import PooledEstimates
    from .pooled.pooled_mermod import PooledMerMod
    from .pooled.pooling_estimates import pool
    from .reports.for_maketables import for_maketables
    from .reports.page import report
    from .reports.table import ModelTable, table
    from .storage.files import load, save

try:
    # pandas needs it, and Python refuses its first import once the main thread has ended: so that
    # an import of this package in time is enough for its first use in any thread, at any time.
    import concurrent.futures.thread  # noqa: F401
except RuntimeError as error:
    from .errors import RBridgeError as _RBridgeError

    raise _RBridgeError(
        "rbridge_mi can't be imported first after the main thread has ended: Python doesn't let "
        f"pandas be imported any more ({error}). Put `import rbridge_mi` at the top of the program."
    ) from error

__version__ = "0.1.0"

# Where each public name lives. A module is loaded when one of its names is first used, so that
# the command line can start R while pandas is still loading.
_HOMES = {
    "pooled.listwise": ("compare_estimates",),
    "datasets": ("ampute", "load_hsb"),
    "errors": (
        "ArgumentError",
        "EncodingError",
        "FitError",
        "FormulaError",
        "ImputationError",
        "MapError",
        "MissingExtraError",
        "MissingPathError",
        "NoValueError",
        "PoolingError",
        "PredictionError",
        "RBridgeError",
        "RBridgeWarning",
        "RCallError",
        "RForkError",
        "RNotFoundError",
        "RPackageError",
        "RTimeout",
        "RWarning",
        "RWorkerLost",
    ),
    "base.records": ("to_records",),
    "data.imputed_data": ("ImputedData",),
    "data.mapped_results": ("MappedResults",),
    "data.reading": ("read_imputed",),
    "grids.fit_each": ("fit_each",),
    "grids.fit_grid": ("FitGrid",),
    "imputers.amelia": ("AmeliaImputer",),
    "imputers.bootstrap": ("BootstrapImputer",),
    "imputers.choose": ("impute",),
    "imputers.compatible": ("CompatibleImputer",),
    "imputers.imputation_plan": ("imputation_plan",),
    "imputers.impute_with": ("impute_with",),
    "imputers.jomo": ("JomoImputer",),
    "imputers.mice": ("MiceImputer",),
    "imputers.pan": ("PanImputer",),
    "inference.mermod": ("MerMod",),
    "pooled.mermod_list": ("MerModList",),
    "models.fitting": ("start_workers",),
    "models.glmer": ("Glmer",),
    "models.glmer_nb": ("GlmerNb",),
    "models.lmer": ("Lmer",),
    "models.sensitivity": ("delta_sensitivity",),
    "pooled.nested_models": ("compare",),
    "pooled.pooled_estimates": ("PooledEstimates",),
    "pooled.pooled_mermod": ("PooledMerMod",),
    "pooled.pooling_estimates": ("pool",),
    "reports.for_maketables": ("for_maketables",),
    "reports.page": ("report",),
    "reports.table": ("ModelTable", "table"),
    "storage.files": ("load", "save"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
# Public names that are modules themselves.
_MODULES = {"plot": "plots"}

__all__ = [
    "AmeliaImputer",
    "ArgumentError",
    "BootstrapImputer",
    "CompatibleImputer",
    "EncodingError",
    "FitError",
    "FitGrid",
    "FormulaError",
    "Glmer",
    "GlmerNb",
    "ImputationError",
    "ImputedData",
    "JomoImputer",
    "Lmer",
    "MapError",
    "MappedResults",
    "MerMod",
    "MerModList",
    "MiceImputer",
    "MissingExtraError",
    "MissingPathError",
    "ModelTable",
    "NoValueError",
    "PanImputer",
    "PooledEstimates",
    "PooledMerMod",
    "PoolingError",
    "PredictionError",
    "RBridgeError",
    "RBridgeWarning",
    "RCallError",
    "RForkError",
    "RNotFoundError",
    "RPackageError",
    "RTimeout",
    "RWarning",
    "RWorkerLost",
    "ampute",
    "compare",
    "compare_estimates",
    "delta_sensitivity",
    "fit_each",
    "for_maketables",
    "imputation_plan",
    "impute",
    "impute_with",
    "load",
    "load_hsb",
    "plot",
    "pool",
    "read_imputed",
    "report",
    "save",
    "start_workers",
    "table",
    "to_records",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f".{_MODULES[name]}", __name__)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names, and those that every module has."""
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
