"""docs/bridges/statsmodels.md: every block prints what the page shows, statsmodels' numbers too."""

from __future__ import annotations

import re

import pytest

import rbridge_mi as rb
from tests.whole.pages import ROOT, differences, run

pytestmark = [
    pytest.mark.r,
    pytest.mark.slow,
    # Of statsmodels: the page says where its fits stop early.
    pytest.mark.filterwarnings("ignore::statsmodels.tools.sm_exceptions.ConvergenceWarning"),
]

NAME = "bridges/statsmodels.md"


def test_every_block_prints_what_the_page_shows() -> None:
    blocks, _ = run(NAME, width=100)
    assert len(blocks) == 7
    for code, printed, shown in blocks:
        assert shown, code
        assert differences(printed, shown) == [], code


def test_every_name_of_the_page_is_there() -> None:
    text = (ROOT / "docs" / NAME).read_text("utf-8")
    assert [x for x in re.findall(r"\brb\.(\w+)", text) if x not in rb.__all__] == []
    assert [x for x in re.findall(r"`fit\.(\w+)", text) if not hasattr(rb.MerMod, x)] == []
    for name in ("params", "bse", "tvalues", "pvalues", "conf_int", "llf", "fittedvalues", "resid"):
        assert hasattr(rb.MerMod, name), name
