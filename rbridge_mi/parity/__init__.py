"""The parity suite: this library beside a separate Rscript, bit by bit, on the user's own R."""

from __future__ import annotations

from fnmatch import fnmatchcase

from .case import Apart, Argument, Column, ImputationCase, ModelCase
from .engine import Case, Checked, Suite
from .imputations import IMPUTATIONS
from .models import MODELS
from .report import Outcome, run_suite

__all__ = ["CASES", "Apart", "Argument", "Case", "Checked", "Column", "ImputationCase",
           "ModelCase", "Outcome", "Suite", "find_cases", "run_suite"]  # fmt: skip

CASES: tuple[Case, ...] = (*MODELS, *IMPUTATIONS)


def find_cases(pattern: str) -> list[Case]:
    """Cases by name, such as ``random/slope``; ``*`` stands for anything."""
    return [x for x in CASES if fnmatchcase(x.name, pattern)]
