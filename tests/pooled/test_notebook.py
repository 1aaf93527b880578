"""Pooled models and reports in notebooks and consoles."""

from __future__ import annotations

import warnings
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

import rbridge_mi as rb
from rbridge_mi.base.text import Printed, p_text
from rbridge_mi.models import fitting
from tests.browser import browser_page

pytestmark = pytest.mark.r

FIRST = ["term", "estimate", "std_error", "conf_low", "conf_high", "p_value", "df", "fmi"]


def test_the_columns_that_matter_come_first(fits: rb.MerModList) -> None:
    pooled = fits.pool()
    text = pooled._repr_html_()
    page = BeautifulSoup(text, "html.parser")
    first, rest = page.find_all("table")
    assert rest.find_parent("details") is not None
    assert first.find_parent("details") is None
    [shown] = pd.read_html(StringIO(str(first)))
    [more] = pd.read_html(StringIO(str(rest)))
    assert list(shown.columns) == FIRST
    assert list(more.columns) == ["term", "statistic", "ubar", "b", "t", "riv", "lambda_"]
    assert shown["term"].tolist() == pooled.fixed["term"].tolist()
    for name in FIRST[1:]:
        if name != "p_value":
            # What is shown is rounded: df to one decimal, fmi to four, others to five.
            rounding = {"df": 0.051, "fmi": 5.1e-5}.get(name, 5.1e-6)
            assert np.abs(shown[name] - pooled.fixed[name]).max() < rounding, name
    assert shown["p_value"].astype(str).tolist() == [p_text(x) for x in pooled.fixed["p_value"]]
    assert "<script" not in text
    summary = str(pooled.summary())
    for line in page.find("pre").text.split("\n"):  # type: ignore[union-attr]
        assert line in summary


def test_p_values_are_never_shown_as_zero(fits: rb.MerModList) -> None:
    pooled = fits.pool()
    assert (pooled.fixed["p_value"] == 0).any()
    shown = BeautifulSoup(pooled._repr_html_(), "html.parser").find("table")
    [frame] = pd.read_html(StringIO(str(shown)))
    assert not (pd.to_numeric(frame["p_value"], errors="coerce") == 0).any()
    assert "<1e-300" in frame["p_value"].tolist()
    assert [p_text(x) for x in (0.0, 5e-324, 2e-9, 0.01234, 1.0, float("nan"))] == [
        "<1e-300", "<1e-300", "2.0e-09", "0.0123", "1", "nan",
    ]  # fmt: skip


def test_bootstrap_samples_have_no_fmi(hsb: pd.DataFrame) -> None:
    sets = rb.BootstrapImputer(m=4, cluster="schid").impute(hsb.head(600), seed=1)
    pooled = rb.Lmer("mathach ~ ses + (1 | schid)").fit(sets).pool()
    page = BeautifulSoup(pooled._repr_html_(), "html.parser")
    [shown] = pd.read_html(StringIO(str(page.find("table"))))
    assert list(shown.columns) == FIRST[:-1]
    assert "fmi" not in page.text


def test_names_are_shown_as_they_are(hsb: pd.DataFrame) -> None:
    name = "<b>&" + "x" * 60
    sets = rb.ImputedData.from_frames(
        [hsb.head(900).assign(**{name: lambda d, i=i: d["ses"] + i * d["size"]}) for i in (0, 1e-5)]
    )
    pooled = rb.Lmer(f"mathach ~ `{name}` + (1 | schid)").fit(sets).pool()
    text = pooled._repr_html_()
    assert "<b>&x" not in text
    assert name in BeautifulSoup(text, "html.parser").find("table").text  # type: ignore[union-attr]


def test_estimates_of_any_estimator() -> None:
    pooled = rb.pool([[1.0], [1.2], [0.9]], variances=[[0.1]] * 3, names=["a<b"])
    page = BeautifulSoup(pooled._repr_html_(), "html.parser")
    [shown] = pd.read_html(StringIO(str(page.find("table"))))
    assert shown["term"].tolist() == ["a<b"]
    assert "3 sets pooled by Rubin's rules" in page.text


def test_an_exported_notebook_has_reports_in_a_monospaced_font(tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient
    from nbconvert import HTMLExporter

    cells = [
        "import pandas as pd, rbridge_mi as rb\n"
        "frame = pd.DataFrame({'x': [1.0, None], 'y': [1, 2]})\n"
        "imp = rb.ImputedData.from_frames([frame.fillna(5.0), frame.fillna(6.0)], original=frame)\n"
        "imp.summary()",
        "rb.pool([[1.0], [1.2], [0.9]], variances=[[0.1]] * 3, names=['x'])",
        "from rbridge_mi.processes.progress import progress_bar\n"
        "with progress_bar(2, 'lmer', 'fit') as bar:\n    bar.update(2)\n"
        "type(bar).__mro__[1].__module__",
    ]
    book: Any = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(x) for x in cells])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the event loop's, on some systems
        NotebookClient(book, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
        text, _ = HTMLExporter().from_notebook_node(book)
    shown = [x["data"] for cell in book.cells for x in cell.outputs if "data" in x]
    assert "text/html" in shown[0] and "text/html" in shown[1]
    # In a notebook the bar is a widget.
    assert shown[-1]["text/plain"] == "'tqdm.notebook'"
    path = tmp_path / "book.html"
    path.write_text(text, "utf-8")
    with browser_page(path) as shown_page:
        families = shown_page.style("pre[style]", "fontFamily")
        assert len(families) == 1  # pooled estimates show as a table
        assert families[0].endswith("monospace")
        assert shown_page.style("pre[style]", "whiteSpace") == ["pre"]
        # In a monospaced font the columns of a report stand below each other.
        widths = shown_page.page.evaluate(_WIDTHS)
    assert widths[0] == pytest.approx(widths[1], abs=0.01)


# How wide "iiii" and "MMMM" are in the report.
_WIDTHS = """
() => ["iiii", "MMMM"].map(text => {
    const span = document.createElement("span");
    span.textContent = text;
    document.querySelector("pre[style]").append(span);
    return span.getBoundingClientRect().width;
})
"""


def test_a_report_is_escaped() -> None:
    assert "&lt;b&gt; &amp;" in Printed("<b> &")._repr_html_()


# -- warnings and hints ---------------------------------------------------------------------------


def test_each_warning_of_lmer_comes_once() -> None:
    """A variance of 0: every fit is singular, and R says so of each."""
    g = np.random.default_rng(1)
    frame = pd.DataFrame({"g": np.repeat(list("abcdefgh"), 10), "y": g.normal(size=80)})
    frame["y"] -= frame.groupby("g")["y"].transform("mean")
    sets = [frame.assign(x=g.normal(size=80)) for _ in range(5)]
    imp = rb.ImputedData.from_frames(sets)
    with pytest.warns(rb.RWarning) as caught:
        fits = rb.Lmer("y ~ x + (1 | g)").fit(imp)
    texts = [str(x.message) for x in caught]
    assert texts == ["lmer: imputations 1-5: boundary (singular) fit: see help('isSingular')"]
    assert (fits.convergence()["messages"] != "").sum() == 5
    with pytest.warns(rb.RWarning) as caught:
        rb.Lmer("y ~ x + (1 | g)").fit(sets[0])
    assert str(caught[0].message) == "lmer: boundary (singular) fit: see help('isSingular')"


def test_warnings_that_differ_in_their_numbers_are_one(imp: rb.ImputedData) -> None:
    loose = {"optimizer": "nloptwrap", "optCtrl": {"ftol_abs": 0.1, "xtol_abs": 0.1}}
    model = rb.Lmer("mathach ~ ses + (1 + ses | schid)", control=loose)
    with pytest.warns(rb.RWarning) as caught:
        fits = model.fit(imp)
    [text] = [str(x.message) for x in caught]
    messages = {x for fit in fits for x in fit.messages}
    assert len(messages) == 5  # each with its own gradient
    [first] = fits[0].messages
    assert text == f"lmer: imputations 1-5: {first} (the numbers are those of imputation 1)"


def test_warnings_of_other_names_are_two() -> None:
    """A number in a name is part of it: x1 and x2 are not one column with another number."""
    fits: Any = [
        SimpleNamespace(imputation=i, messages=(text,))
        for i, text in ((1, "x1 is large: 3.5"), (2, "x1 is large: -7e2"), (3, "x2 is large: 3.5"))
    ]
    with pytest.warns(rb.RWarning) as caught:
        fitting._warn(SimpleNamespace(fitter="lmer"), fits)
    assert [str(x.message) for x in caught] == [
        "lmer: imputations 1, 2: x1 is large: 3.5 (the numbers are those of imputation 1)",
        "lmer: imputation 3: x2 is large: 3.5",
    ]


def test_misspelt_columns_get_a_hint(hsb: pd.DataFrame, imp: rb.ImputedData) -> None:
    with pytest.raises(rb.FormulaError, match=r"Did you mean 'meanses' for 'meansess'\?"):
        rb.Lmer("mathach ~ meansess + (1 | schid)").fit(hsb)
    with pytest.raises(rb.FormulaError, match=r"Did you mean 'ses' for 'sess', 'schid' for 'scid'"):
        rb.Lmer("mathach ~ sess + q9 + (1 | scid)").fit(imp)
    with pytest.raises(rb.FormulaError) as error:
        rb.Lmer("mathach ~ q9 + (1 | schid)").fit(hsb)
    assert "Did you mean" not in str(error.value)
    with pytest.raises(rb.ArgumentError, match=r"cluster names 'schidd'.*did you mean 'schid'\?"):
        rb.BootstrapImputer(m=2, cluster="schidd").impute(hsb)
