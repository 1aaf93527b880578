"""docs/models.md: every block prints what the page shows."""

from __future__ import annotations

import re

import pytest

import rbridge_mi as rb
from tests.whole.pages import ROOT, differences, run

pytestmark = [pytest.mark.r, pytest.mark.slow, pytest.mark.processes]


def test_every_block_prints_what_the_page_shows() -> None:
    blocks, variables = run("models.md", width=120)
    assert len(blocks) >= 8
    for code, printed, shown in blocks:
        assert differences(printed, shown) == [], code
    text = (ROOT / "docs" / "models.md").read_text("utf-8")
    assert {x for x in re.findall(r"\brb\.(\w+)", text) if x not in rb.__all__} == set()
    for name, value in (("fit", rb.MerMod), ("fits", rb.MerModList)):
        asked = set(re.findall(rf"\b{name}\.(\w+)", text))
        assert {x for x in asked if not hasattr(value, x)} == set(), name
    assert isinstance(variables["fit"], rb.MerMod)
