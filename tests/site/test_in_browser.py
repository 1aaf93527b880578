"""The site as a reader sees it, in headless Chromium, from files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser import Shown, browser_page
from tests.site.built import Site

pytestmark = [pytest.mark.r, pytest.mark.slow, pytest.mark.processes]

# What a reader looks for; the cards that are clicked, from the front page; what is then in view.
WAYS = {
    "first model": (["The first model"], "rb.Lmer("),
    "binary outcome": (["A binary outcome"], "rb.Glmer("),
    "imputing well": (["Imputing well"], "Which engine when"),
    "a plot": (["A plot"], "rb.plot.missing_map("),
    "a container run": (["A container run"], "docker run"),
}


@pytest.fixture(scope="module")
def shown(site: Site) -> Iterator[Shown]:
    with browser_page(site.html / "index.html", width=1400) as shown:
        yield shown


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("what", WAYS)
def test_two_clicks_from_the_front_page(what: str, width: int, shown: Shown, site: Site) -> None:
    clicks, text = WAYS[what]
    assert len(clicks) <= 2
    page = shown.page
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((site.html / "index.html").as_uri())
    for link in clicks:
        page.locator(".bd-article .sd-card", has_text=link).first.click()
    page.wait_for_load_state("load")
    assert page.url.split("#")[0] != (site.html / "index.html").as_uri()
    assert page.locator(".bd-article").get_by_text(text).first.is_visible()
    if what == "a plot":
        assert shown.number("document.querySelector('.bd-article img').naturalWidth") > 300


def test_each_page_fits_its_window_and_asks_for_nothing(shown: Shown, site: Site) -> None:
    """At the width of a desktop and of a phone; pictures are shown, the console is silent."""
    wide, unseen = [], []
    for width in (1400, 390):
        shown.page.set_viewport_size({"width": width, "height": 900})
        for path in site.pages:
            shown.page.goto((site.html / path).as_uri())
            shown.page.wait_for_load_state("load")
            if shown.number("document.documentElement.scrollWidth") > width:
                wide.append(f"{path} at {width}")
            shown.page.evaluate("document.querySelectorAll('img')")
            broken = "[...document.images].filter(x => x.complete && x.naturalWidth === 0).length"
            if shown.number(broken):
                unseen.append(str(path))
    assert wide == []
    assert unseen == []
    assert shown.fetched == []
    # The theme tells which of its colours it takes: the one thing that it writes.
    assert [x for x in shown.messages if not x.startswith("[PST]: ")] == []


def test_search_answers(shown: Shown, site: Site) -> None:
    page = shown.page
    page.set_viewport_size({"width": 1400, "height": 900})
    page.goto((site.html / "search.html").as_uri() + "?q=exponentiate")
    page.locator("#search-results li a").first.wait_for(timeout=20_000)
    titles = page.locator("#search-results li a").all_text_contents()
    assert any("PooledMerMod" in x or "binary" in x.lower() for x in titles), titles
