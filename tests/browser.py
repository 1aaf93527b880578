"""Pages as a browser shows them: headless Chromium, which `r/install.sh --test` installs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Route, sync_playwright

# The elements of a page that lie outside of what should hold them, by more than a pixel.
_OUTSIDE = """
([inner, outer]) => [...document.querySelectorAll(inner)].flatMap(element => {
    const box = element.getBoundingClientRect();
    const all = {left: 0, right: window.innerWidth, top: -Infinity, bottom: Infinity};
    const holder = outer === null ? all : element.closest(outer).getBoundingClientRect();
    const inside = box.left >= holder.left - 1 && box.right <= holder.right + 1
                && box.top >= holder.top - 1 && box.bottom <= holder.bottom + 1;
    return inside ? [] : [`${element.tagName} ${element.id || element.textContent.slice(0, 40)}`];
})
"""


@dataclass
class Shown:
    """A page in the browser, with what its console said and what it wanted to fetch."""

    page: Page
    messages: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    def outside(self, inner: str, outer: str | None = None) -> list[str]:
        """Elements (a CSS selector) that reach out of the window, or of the `outer` around them."""
        for selector in inner.split(","):  # one that finds nothing would prove nothing
            assert self.page.query_selector(selector) is not None, selector
        texts: list[str] = self.page.evaluate(_OUTSIDE, [inner, outer])
        return texts

    def style(self, selector: str, name: str) -> list[str]:
        """A computed style of each element."""
        program = "([s, n]) => [...document.querySelectorAll(s)].map(x => getComputedStyle(x)[n])"
        values: list[str] = self.page.evaluate(program, [selector, name])
        return values

    def number(self, expression: str) -> float:
        return float(self.page.evaluate(expression))


@contextmanager
def browser_page(path: Path, width: int = 1100) -> Iterator[Shown]:
    """Open a file; what it wants from the network is refused, and noted."""
    executable = shutil.which("chromium")
    assert executable is not None, "Chromium is missing: r/install.sh --test"
    options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=options)
        try:
            page = browser.new_page(viewport={"width": width, "height": 900})
            shown = Shown(page)

            def answer(route: Route) -> Any:
                if route.request.url.startswith(("file:", "data:")):
                    return route.continue_()
                shown.fetched.append(route.request.url)
                return route.abort()

            page.route("**/*", answer)
            page.on("console", lambda message: shown.messages.append(message.text))
            page.on("pageerror", lambda error: shown.messages.append(str(error)))
            page.goto(path.as_uri())
            yield shown
        finally:
            browser.close()
