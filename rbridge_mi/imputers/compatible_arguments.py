"""What `CompatibleImputer` takes beside the model and m, for the checks of job files."""

from __future__ import annotations

from typing import get_args

from .arguments import Argument
from .column_kinds import Kind
from .transforms import TransformName

__all__ = ["ARGUMENTS"]

ARGUMENTS = (
    Argument("family", "choice", choices=("gaussian", "binomial", "poisson")),
    Argument("link", "choice", choices=("identity", "probit", "logit", "log")),
    Argument("auxiliary", "columns"),
    Argument("types", "by column", each="choice", choices=get_args(Kind)),
    Argument("levels", "by column", each="level"),
    Argument("transforms", "by column", each="choice", choices=get_args(TransformName)),
    Argument("bounds", "by column", each="bounds"),
    Argument("derived", "by column", each="derivation"),
    Argument("rhat", "number", least=1, above=True),
    Argument("min_iter", "whole", least=20),
    Argument("max_iter", "whole", least=25),
)
