"""benchmarks/run.py: groups of rows, what is kept of those not run, and what falls short."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
PAGE = """# Benchmarks
<!-- benchmarks/run.py, rows: begin -->
| old |
<!-- end -->
between
<!-- benchmarks/run.py, slow: begin -->
<!-- end -->
behind
"""


def module(name: str) -> ModuleType:
    """One of the benchmarks' modules, which import one another by name."""
    sys.path.append(str(BENCHMARKS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, with two groups that take no time, of which one is slower than it may be."""
    loaded = module("run")
    figures = {"slow": 3.0}

    def slow(report: Any, *_: Any) -> None:
        report.add("the slow one", "s", figures["slow"], "the peer", 2.0, at_most=1.1)
        report.page("| page of the slow |")

    def fast(report: Any, *_: Any) -> None:
        report.add("the fast one", "s", 1.0, "the peer", 2.0, at_most=0.85)
        report.add("the fast one", "s", 1.0, "a peer that stops", float("nan"), note="stops")

    monkeypatch.setattr(loaded, "figures", figures, raising=False)
    monkeypatch.setattr(loaded, "GROUPS", {"slow": slow, "fast": fast})
    monkeypatch.setattr(loaded, "machine", lambda: ["a machine"])
    return loaded


def test_unknown_group_is_refused_with_the_valid_ones(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    program = module("run")
    with pytest.raises(SystemExit) as stop:
        program.main(["--rows", "fits", "frmaes", "--out", str(tmp_path)])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "'frmaes'" in said
    assert all(group in said.split("choose from")[1] for group in program.GROUPS)


def test_limits_that_fall_short_are_named(
    run: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run.main(["--out", str(tmp_path)])
    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == [
        "FALLS SHORT: the slow one, against the peer: 1.5, limit <= 1.1",
        "1 of 2 limits not kept",
    ]
    assert "| the fast one | 1 s | a peer that stops | - | - |  | stops |" in said


def test_one_group_alone_keeps_what_is_known_of_the_others(
    run: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run.main(["--out", str(tmp_path)])
    run.figures["slow"] = 2.0
    capsys.readouterr()
    run.main(["--out", str(tmp_path), "--rows", "slow"])
    said = capsys.readouterr().out
    assert said.endswith("\n0 of 1 limits not kept\n") and "the fast one" not in said
    rows = json.loads((tmp_path / "benchmarks.json").read_text())["rows"]
    assert [(row["name"], row["ours"]) for row in rows if row["group"] == "slow"] == [
        ("the slow one", 2.0)
    ]
    table = (tmp_path / "benchmarks.md").read_text()
    assert table.index("| the slow one | 2 s") < table.index("| the fast one | 1 s")
    assert "page of the slow" in table


def test_page_gets_the_tables_between_its_markers(run: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    run.main(["--out", str(tmp_path), "--page", str(page)])
    once = page.read_text()
    run.main(["--out", str(tmp_path), "--page", str(page)])
    assert page.read_text() == once
    assert "| old |" not in once
    rows, slow = once.split("between")
    assert "| the slow one | 3 s | the peer | 2 s | 1.5 | <= 1.1 | FALLS SHORT |" in rows
    assert "page of the slow" not in rows and "| page of the slow |" in slow
    assert once.startswith("# Benchmarks\n") and once.endswith("behind\n")


def test_page_is_not_written_with_rows_that_nobody_measured(
    run: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    alone = ["--rows", "slow", "--out", str(tmp_path), "--page", str(page)]
    with pytest.raises(SystemExit):
        run.main(alone)
    assert "not yet measured: fast" in capsys.readouterr().err
    assert page.read_text() == PAGE
    run.main(["--out", str(tmp_path)])
    run.main(alone)
    assert "the fast one" in page.read_text()


def test_markers_of_the_page_are_of_groups() -> None:
    text = (BENCHMARKS.parent / "docs" / "benchmarks.md").read_text("utf-8")
    names = [x.split(": begin")[0] for x in text.split("<!-- benchmarks/run.py, ")[1:]]
    assert names[0] == "rows" and set(names[1:]) == {"profile", "cluster"}
    assert set(names[1:]) <= set(module("run").GROUPS)


def test_agreement_counts_digits_of_lme4() -> None:
    lme4 = {
        "fixed": {"(Intercept)": 10.0, "x": 2.0}, "errors": [1.0, 0.5],
        "random": {"g": {"(Intercept)": 3.0}}, "residual": 5.0, "log_lik": -100.0,
    }  # fmt: skip
    near = {
        "fixed": {"Intercept": 10.0, "x": 2.0001}, "random": {"g": {"(Intercept)": 3.0}},
        "residual": 5.01, "log_lik": -100.0,
    }  # fmt: skip
    said = module("peers").agreement(lme4, near)
    assert said == "digits of lme4's: 4 of fixed effects, 2 of SDs, 15 of log likelihood"
    assert module("peers").agreement(lme4, {"error": "no answer\nsecond line"}) == (
        "stops: no answer"
    )
