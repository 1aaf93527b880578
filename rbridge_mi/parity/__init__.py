"""The parity suite: compares this library with a separate Rscript, bit by bit, on the user's R.

================  ==========================================================================
`case`            what a case is
`models`          the cases of linear models
`generalised`     the cases of generalised models
`amelia`          the cases of Amelia
`jomo`            the cases of jomo
`mice`            the cases of mice
`pan`             the cases of mitml's imputers
`engine`          runs a case on both sides, and compares the answers
`report`          runs the suite, and prints the report of ``rbridge-mi parity``
`scripts`         writes a case as two scripts that can be run alone
================  ==========================================================================
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from .amelia import AMELIA
from .case import Apart, Argument, Column, ImputationCase, ModelCase
from .engine import Case, Checked, Suite
from .generalised import GENERALISED
from .jomo import JOMO
from .mice import MICE
from .models import MODELS
from .pan import PAN
from .report import Outcome, run_suite

__all__ = ["CASES", "Apart", "Argument", "Case", "Checked", "Column", "ImputationCase",
           "ModelCase", "Outcome", "Suite", "find_cases", "run_suite"]  # fmt: skip

CASES: tuple[Case, ...] = (*MODELS, *GENERALISED, *AMELIA, *JOMO, *MICE, *PAN)


def find_cases(pattern: str) -> list[Case]:
    """Look cases up by name.

    Parameters
    ----------
    pattern : str
        A name such as ``random/slope``; ``*`` stands for anything.

    Returns
    -------
    list of ModelCase or ImputationCase
        In the order of `CASES`; empty where no name matches.

    Examples
    --------
    >>> [case.name for case in find_cases("random/slope*")]
    ['random/slope', 'random/slope_only', 'random/slope_and_crossed']
    """
    return [x for x in CASES if fnmatchcase(x.name, pattern)]
