"""A build of the site in a folder of its own, and what the tests ask of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cached_property
from pathlib import Path

from lxml import html

ROOT = Path(__file__).resolve().parents[2]

# Sphinx, which may ask no other machine.
OFFLINE = """
import ipaddress, sys

def refuse(event, arguments):
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if host not in (None, "", "localhost", "127.0.0.1", "::1", b"localhost"):
        raise RuntimeError(f"the build asks for {host}")

sys.addaudithook(refuse)
from sphinx.cmd.build import main
raise SystemExit(main(sys.argv[1:]))
"""


class Site:
    """The site as it was built in `folder`: ``html`` has its pages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "docs"
        self.html = folder / "html"

    def build(self) -> None:
        """Build from a copy: a build writes the generated pages of the reference."""
        shutil.copytree(ROOT / "docs", self.source)
        # Notebooks that ran on this state of the code, in `make docs` too, aren't run again.
        (ROOT / "build").mkdir(exist_ok=True)
        for name in ("build", "examples", "SECURITY.md"):
            (self.folder / name).symlink_to(ROOT / name)
        warnings = self.folder / "warnings"
        options = ["-b", "html", "--fail-on-warning", "--keep-going", "-q", "-w", str(warnings)]
        ran = subprocess.run(
            [sys.executable, "-c", OFFLINE, *options, str(self.source), str(self.html)],
            # "agg", which some libraries set, shows nothing: the figures are there all the same.
            cwd=self.folder, env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"},
            capture_output=True, text=True,
        )  # fmt: skip
        text = warnings.read_text("utf-8") if warnings.exists() else ran.stdout + ran.stderr
        log = f"{ran.returncode}\n{text}"
        (self.folder / "log").write_text(log, "utf-8")

    @cached_property
    def log(self) -> tuple[int, str]:
        """Sphinx's exit code, and its warnings; or all that it wrote, if it broke off before."""
        code, _, text = (self.folder / "log").read_text("utf-8").partition("\n")
        return int(code), text

    @cached_property
    def pages(self) -> dict[Path, html.HtmlElement]:
        """Each page, by its place below ``html``."""
        # In _static/ the theme has a template, which is no page.
        paths = sorted(x for x in self.html.rglob("*.html") if "_static" not in x.parts)
        return {x.relative_to(self.html): html.fromstring(x.read_bytes()) for x in paths}

    @cached_property
    def notebooks(self) -> dict[str, list[str]]:
        """The code of each notebook's cells, by the page's name without its suffix."""
        pages = sorted(self.source.rglob("*.md"))
        return {
            str(page.relative_to(self.source).with_suffix("")): CELL.findall(text)
            for page in pages
            if "file_format: mystnb" in (text := page.read_text("utf-8"))
        }


CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?::[^\n]*\n)*(.*?)^```", re.DOTALL | re.MULTILINE)
