"""Multilevel models on incomplete data: R's Amelia and lme4 from pandas, bit for bit, pooled.

Importing this package starts no R; the first call that needs it does.
"""

from .datasets import ampute, load_hsb
from .errors import (
    ArgumentError,
    EncodingError,
    FitError,
    FormulaError,
    ImputationError,
    PoolingError,
    RBridgeError,
    RBridgeWarning,
    RCallError,
    RForkError,
    RNotFoundError,
    RPackageError,
    RWarning,
)
from .imputed import ImputedData
from .imputers import AmeliaImputer, BootstrapImputer, impute
from .mermod import MerMod
from .mermodlist import MerModList
from .models import Lmer
from .pooled import PooledMerMod

__version__ = "0.1.0"

__all__ = [
    "AmeliaImputer",
    "ArgumentError",
    "BootstrapImputer",
    "EncodingError",
    "FitError",
    "FormulaError",
    "ImputationError",
    "ImputedData",
    "Lmer",
    "MerMod",
    "MerModList",
    "PooledMerMod",
    "PoolingError",
    "RBridgeError",
    "RBridgeWarning",
    "RCallError",
    "RForkError",
    "RNotFoundError",
    "RPackageError",
    "RWarning",
    "ampute",
    "impute",
    "load_hsb",
]
