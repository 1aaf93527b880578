"""The example notebook runs, and what is stored in it is what it shows."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import nbformat
import pytest

from tests.examples.notebook import PATH, executed, shown, stored
from tests.whole.pages import differences

pytestmark = [pytest.mark.r, pytest.mark.processes, pytest.mark.slow]


def test_stored_outputs_are_those_of_a_run(tmp_path: Path) -> None:
    """Numbers may differ by one in the last place shown, as on the pages of docs/."""
    book = executed(tmp_path)
    now, then = shown(book), shown(stored())
    assert [kind for kind, _ in now] == [kind for kind, _ in then]
    assert [differences(x, y) for (_, x), (_, y) in zip(now, then, strict=True)] == [[]] * len(now)
    report = (tmp_path / "report.html").read_text("utf-8")
    assert "mathach ~" in report
    assert [x.name for x in tmp_path.iterdir()] == ["report.html"]


def test_the_notebook_is_whole_and_tells_nothing_of_a_machine() -> None:
    book = stored()
    nbformat.validate(book)
    code = [x for x in book.cells if x.cell_type == "code"]
    assert [x.execution_count for x in code] == list(range(1, len(code) + 1))
    assert all(x.outputs for x in code)
    assert not any(x.metadata for x in book.cells)
    assert set(book.metadata) == {"kernelspec", "language_info"}
    text = PATH.read_text("utf-8")
    words = re.sub(r'"image/png": "[^"]*"', "", text)
    assert not re.search(r"/(home|tmp|root|usr|work|src|opt|Users)\b|\\\\Users", words)
    pictures = [y.data["image/png"] for x in code for y in x.outputs if "data" in y and
                "image/png" in y.data]  # fmt: skip
    assert len(pictures) == 2
    assert all(base64.b64decode(x).startswith(b"\x89PNG\r\n\x1a\n") for x in pictures)
    assert len(text) < 200_000
    kinds = {kind for kind, _ in shown(book)}
    assert kinds <= {"text/plain", "image/png"}  # no warning, no progress bar
