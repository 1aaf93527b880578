"""One page on an analysis: what stands in it, that it is whole, and that names in it are text."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from lxml import html

import rbridge_mi as rb
from rbridge_mi.base import extras
from rbridge_mi.base.text import p_text

pytestmark = [pytest.mark.r, pytest.mark.slow]

SECTIONS = ["data", "imputations", "fits", "results", "diagnostics", "methods", "provenance"]


@pytest.fixture(scope="module")
def analysed() -> dict[str, Any]:
    hsb = rb.load_hsb()
    hsb = hsb[hsb["schid"].isin(hsb["schid"].unique()[:30])].reset_index(drop=True)
    holes = rb.ampute(hsb, prop=0.1, columns=["ses", "minority"], seed=1)
    imputer = rb.AmeliaImputer(m=3, idvars=["schid", "meanses"])
    imp = imputer.impute(holes, seed=1)
    model = rb.Lmer("mathach ~ ses + minority + (1 | schid)")
    return {"fits": model.fit(imp), "listwise": model.fit(holes)}


@pytest.fixture(scope="module")
def page(analysed: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert rb.report(analysed["fits"], path, listwise=analysed["listwise"]) == path
    return html.fromstring(path.read_text("utf-8"))


def tables(page: Any) -> dict[str, list[list[str]]]:
    """Every table by its caption, as rows of texts."""
    found = {}
    for table in page.iter("table"):
        caption = table.getparent().getprevious().text_content()
        rows = [[x.text_content() for x in row.iter("th", "td")] for row in table.iter("tr")]
        found[caption] = rows
    return found


def test_it_has_its_sections_and_pictures(page: Any) -> None:
    assert [x.get("id") for x in page.iter("section")] == SECTIONS
    links = [x.get("href") for x in page.find(".//nav").iter("a")]
    assert links == [f"#{x}" for x in SECTIONS]
    figures = list(page.iter("figure"))
    assert len(figures) >= 8
    for figure in figures:
        assert len(list(figure.iter("svg"))) == 1
        assert figure.find("figcaption").text_content() == figure.get("aria-label")


def test_it_fetches_and_runs_nothing(page: Any) -> None:
    assert not list(page.iter("script", "link", "iframe", "img", "object"))
    for element in page.iter():
        if not isinstance(element.tag, str):
            continue
        for name, value in element.attrib.items():
            assert not name.startswith("on"), (element.tag, name)
            if name in ("src", "href") or name.endswith("}href"):
                assert value.startswith("#"), value


def test_its_tables_are_the_pooled_ones(page: Any, analysed: dict[str, Any]) -> None:
    pooled = analysed["fits"].pool()
    head, *rows = tables(page)["Fixed effects (95% intervals)"]
    assert head == ["term", "estimate", "std_error", "df", "statistic", "p_value", "conf_low",
                    "conf_high", "fmi"]  # fmt: skip
    assert [x[0] for x in rows] == pooled.fixed["term"].tolist()
    for row, (_, expected) in zip(rows, pooled.fixed.iterrows(), strict=True):
        for name, text in zip(head[1:], row[1:], strict=True):
            value = float(expected[name])
            df = f"{value:.1f}" if value < 1000 else f"{value:,.0f}"
            texts = {"p_value": p_text(value), "df": df}
            assert text == texts.get(name, f"{value:.4g}"), name
    random = tables(page)["Random part with intervals"]
    assert [x[1] for x in random[1:]] == pooled.random["term"].tolist()
    compared = tables(page)["Beside the rows without holes"]
    assert [x[0] for x in compared[1:]] == pooled.fixed["term"].tolist()


def test_the_methods_text_is_whole_and_its_gaps_are_marked(
    page: Any, analysed: dict[str, Any]
) -> None:
    text = str(analysed["fits"].pool().methods_text(analysed["listwise"]))
    section = next(x for x in page.iter("section") if x.get("id") == "methods")
    shown = re.sub(r"\s+", " ", section.text_content())
    for paragraph in text.split("\n\n")[:-1]:
        assert re.sub(r"\s+", " ", paragraph).strip() in shown
    marks = [x.text_content() for x in section.iter("mark")]
    assert marks == re.findall(r"\[AUTHOR:[^\]]*\]", text)
    references = text.partition("\nReferences\n")[2].strip().split("\n")
    assert [x.text_content() for x in section.iter("li")] == references


def test_the_same_call_writes_the_same_bytes(analysed: dict[str, Any], tmp_path: Path) -> None:
    pages = [
        rb.report(analysed["fits"].pool(), tmp_path / f"{i}.html").read_bytes() for i in (1, 2)
    ]
    assert pages[0] == pages[1]


def test_pyplot_keeps_none_of_its_figures(tmp_path: Path) -> None:
    """In a notebook they would be shown below the cell, and in a service they would add up.

    In a process of its own: where pyplot is loaded, all plots make their figures by it.
    """
    program = """
import sys, warnings
from matplotlib import pyplot
import rbridge_mi as rb
hsb = rb.load_hsb().head(600)
holes = rb.ampute(hsb, prop=0.1, columns=["ses"], seed=1)
imp = rb.AmeliaImputer(m=2, idvars=["schid", "meanses"]).impute(holes, seed=1)
mine = pyplot.figure()
rb.report(rb.Lmer("mathach ~ ses + (1 | schid)").fit(imp), sys.argv[1])
print(pyplot.get_fignums() == [mine.number])
"""
    command = [sys.executable, "-c", program, str(tmp_path / "report.html")]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "MPLBACKEND": "agg"}
    )
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


def test_names_are_text(tmp_path: Path) -> None:
    hsb = rb.load_hsb()
    hsb = hsb[hsb["schid"].isin(hsb["schid"].unique()[:12])].reset_index(drop=True)
    name = "<script>alert(1)</script>"
    frame = hsb.rename(columns={"ses": name})[["mathach", name, "schid"]]
    holes = rb.ampute(frame, prop=0.1, columns=[name], seed=1)
    imp = rb.AmeliaImputer(m=2, idvars=["schid"]).impute(holes, seed=1)
    fits = rb.Lmer(f"mathach ~ `{name}` + (1 | schid)").fit(imp)
    path = rb.report(fits, tmp_path / "odd.html", title="{{ 7 * 7 }} <b>x</b>")
    page = html.fromstring(path.read_text("utf-8"))
    assert not list(page.iter("script", "b"))
    assert page.find(".//h1").text_content() == "{{ 7 * 7 }} <b>x</b>"
    assert any(name in x.text_content() for x in page.iter("td"))


def test_what_is_wrong_is_refused(
    analysed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(rb.ArgumentError, match="report takes a pooled model"):
        rb.report(analysed["listwise"], tmp_path / "x.html")
    for wrong, text in (
        ({"listwise": analysed["fits"]}, r"listwise is the fit .*not MerModList"),
        ({"listwise": 5}, r"listwise is the fit .*not int"),
        ({"sensitivity": pd.DataFrame()}, "sensitivity is the table"),
    ):
        with pytest.raises(rb.ArgumentError, match=text):
            rb.report(analysed["fits"], tmp_path / "x.html", **wrong)
    with pytest.raises(rb.MissingPathError, match="there is no folder"):
        rb.report(analysed["fits"], tmp_path / "no" / "x.html")
    with pytest.raises(rb.ArgumentError, match=r"is a folder.*such as .*report\.html"):
        rb.report(analysed["fits"], tmp_path)
    with pytest.raises(rb.ArgumentError, match="path must be the name of a file, not 5"):
        rb.report(analysed["fits"], 5)  # type: ignore[arg-type]
    assert not (tmp_path / "x.html").exists()
    load = importlib.import_module

    def absent(module: str) -> Any:
        if module == "jinja2":
            raise ImportError("no jinja2")
        return load(module)

    monkeypatch.setattr(extras, "import_module", absent)
    with pytest.raises(rb.MissingExtraError, match=r'pip install "rbridge_mi\[report\]"'):
        rb.report(analysed["fits"], tmp_path / "x.html")


def test_a_generalised_model_and_bootstrap_samples_have_pages(tmp_path: Path) -> None:
    hsb = rb.load_hsb()
    hsb = hsb[hsb["schid"].isin(hsb["schid"].unique()[:25])].reset_index(drop=True)
    hsb["high"] = (hsb["mathach"] > 15).astype(int)
    holes = rb.ampute(hsb[["high", "ses", "schid"]], prop=0.1, columns=["ses"], seed=1)
    imp = rb.AmeliaImputer(m=3, idvars=["schid"]).impute(holes, seed=1)
    odds = rb.Glmer("high ~ ses + (1 | schid)").fit(imp).pool(exponentiate=True)
    page = html.fromstring(rb.report(odds, tmp_path / "odds.html").read_text("utf-8"))
    assert "Fixed effects, exponentiated (95% intervals)" in tables(page)
    samples = rb.BootstrapImputer(m=4, cluster="schid").impute(holes, seed=1)
    spread = rb.Glmer("high ~ ses + (1 | schid)").fit(samples).pool()
    page = html.fromstring(rb.report(spread, tmp_path / "spread.html").read_text("utf-8"))
    assert "fmi" not in tables(page)["Fixed effects (95% intervals)"][0]
