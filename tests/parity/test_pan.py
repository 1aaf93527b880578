"""Parity with a separate Rscript: imputations by mitml's panImpute and jomoImpute."""

from __future__ import annotations

import pytest

from rbridge_mi.parity import Case, Suite

from .checking import check, enough, of_families

pytestmark = [pytest.mark.r, pytest.mark.processes, pytest.mark.slow]

HERE = of_families("pan")


@pytest.mark.parametrize("case", HERE, ids=lambda case: case.name)
def test_every_bit(suite: Suite, case: Case) -> None:
    check(suite, case, __name__)


def test_how_much_was_compared() -> None:
    enough(__name__, HERE, 120_000)
