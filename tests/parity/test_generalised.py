"""Parity with a separate Rscript: generalised models of every family, and what R refuses."""

from __future__ import annotations

import pytest

from rbridge_mi.parity import CASES, Case, ModelCase, Suite

from .checking import check, enough

pytestmark = [pytest.mark.r, pytest.mark.processes, pytest.mark.slow]

HERE: list[Case] = [x for x in CASES if isinstance(x, ModelCase) and x.fitter != "lmer"]


@pytest.mark.parametrize("case", HERE, ids=lambda case: case.name)
def test_every_bit(suite: Suite, case: Case) -> None:
    check(suite, case, __name__)


def test_how_much_was_compared() -> None:
    enough(__name__, HERE, 640_000)
