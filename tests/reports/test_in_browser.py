"""A report as a browser shows it: whole at every width, in print too, and quiet."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rbridge_mi as rb
from tests.browser import browser_page

pytestmark = [pytest.mark.r, pytest.mark.slow, pytest.mark.processes]

_LONG = "the_percentage_of_pupils_whose_parents_have_an_academic_degree"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a model with what makes pages wide: a long name, many groups, chains."""
    hsb = rb.load_hsb().rename(columns={"ses": _LONG})
    hsb = hsb[hsb["schid"].isin(hsb["schid"].unique()[:60])].reset_index(drop=True)
    holes = rb.ampute(hsb, prop=0.1, columns=[_LONG, "minority"], seed=1)
    model = rb.Lmer(f"mathach ~ {_LONG} + minority + (1 + {_LONG} | schid)")
    imp = rb.impute(holes, model=model, m=4, seed=1, max_iter=60, rhat=10.0)
    path = tmp_path_factory.mktemp("report") / "report.html"
    return rb.report(model.fit(imp), path, listwise=model.fit(holes))


@pytest.mark.parametrize("width", [1400, 1100, 390])
def test_nothing_is_cut_off(report: Path, width: int) -> None:
    with browser_page(report, width) as shown:
        assert shown.messages == []
        assert shown.fetched == []
        assert shown.number("document.documentElement.scrollWidth") <= width
        # Wide tables scroll within a box of their own.
        assert shown.outside("h1, h2, h3, p, pre, li, figure, figure > svg, .wide") == []
        assert shown.number("document.querySelectorAll('figure > svg').length") >= 9
        # Letters and lines of a picture lie in it.
        assert shown.outside("figure svg g[id^=text_], figure svg g[id^=axes_]", "svg") == []


def test_tables_are_whole_on_a_desktop(report: Path) -> None:
    with browser_page(report, 1400) as shown:
        hidden = (
            "[...document.querySelectorAll('.wide')].filter(x => x.scrollWidth > x.clientWidth)"
        )
        captions = shown.page.evaluate(f"{hidden}.map(x => x.previousElementSibling.textContent)")
        assert captions == []


def test_every_picture_is_drawn(report: Path) -> None:
    """No box of a picture is of one colour."""
    with browser_page(report) as shown:
        pictures = shown.page.query_selector_all("figure > svg")
        for picture in pictures:
            pixels = _pixels(picture.screenshot())
            ink = (pixels.max(axis=-1) < 0.9).mean()
            assert 0.002 < ink < 0.8


def test_it_prints(report: Path) -> None:
    with browser_page(report) as shown:
        shown.page.emulate_media(media="print")
        assert shown.style("nav", "display") == ["none"]
        printed = shown.page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert 4 <= printed.count(b"/Type /Page\n") <= 20


def _pixels(png: bytes) -> Any:
    from matplotlib.image import imread

    return np.asarray(imread(io.BytesIO(png), format="png"))[..., :3]
