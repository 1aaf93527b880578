"""The commands, as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lxml import html

import rbridge_mi as rb
from rbridge_mi.cli import main
from tests.browser import browser_page
from tests.conftest import HOLED, VIGNETTE

pytestmark = [pytest.mark.r, pytest.mark.processes]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rbridge_mi", *arguments],
        capture_output=True, text=True, timeout=300, env={**os.environ, **environment},
    )  # fmt: skip


def test_demo_prints_and_writes_what_the_library_says(tmp_path: Path, fits: rb.MerModList) -> None:
    done = run("demo", "--vignette", "--out", str(tmp_path / "out"), "--m", "5", "--seed", "1")
    assert (done.returncode, done.stderr) == (0, "")
    for part in ("Missing values", "Rows after listwise deletion", "Listwise (6", "Pooled fixed",
                 "variance components", "Model info per imputation", VIGNETTE):  # fmt: skip
        assert part in done.stdout
    pooled = fits.pool()
    for name, table in (
        ("fixed", pooled.fixed), ("varcorr", pooled.varcorr), ("ranef", pooled.ranef),
        ("model_info", fits.model_info()), ("fixef_by_imputation", fits.fixef(by_imputation=True)),
    ):  # fmt: skip
        read = pd.read_csv(tmp_path / "out" / f"{name}.csv", dtype=str, keep_default_na=False)
        assert list(read.columns) == list(table.columns)
        for column in table.columns:
            if table[column].dtype == np.float64:
                doubles = np.array([float(x) for x in read[column]])
                assert doubles.tobytes() == table[column].to_numpy().tobytes(), (name, column)
            else:
                texts = ["" if pd.isna(x) else str(x) for x in table[column]]
                assert read[column].tolist() == texts, (name, column)
    compare = pd.read_csv(tmp_path / "out" / "compare.csv")
    columns = ["term", "listwise", "listwise_se", "pooled", "pooled_se", "fmi"]
    assert list(compare.columns) == columns
    missing = pd.read_csv(tmp_path / "out" / "missing.csv").set_index("column")
    assert missing["fraction_missing"][HOLED].between(0.049, 0.051).all()


def test_demo_shows_the_compatible_imputation_beside_the_vignettes(
    tmp_path: Path, hsb: pd.DataFrame, holes: pd.DataFrame, fits: rb.MerModList
) -> None:
    done = run("demo", "--out", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    vignette, _, compatible = done.stdout.partition("Imputing from the analysis model...")
    assert "Estimates: complete data, listwise" not in vignette
    for part in ("compatible: 5 imputed data sets, seed 1", "worst R-hat", "It took"):
        assert part in compatible
    model = rb.Lmer(VIGNETTE)
    with warnings.catch_warnings():  # of size, which the model leaves out, and of meanses
        warnings.simplefilter("ignore", rb.RBridgeWarning)
        imp = rb.impute(holes, model=model, m=5, seed=1)
    pooled = model.fit(imp).pool()
    read = pd.read_csv(tmp_path / "estimates.csv").set_index("parameter")
    columns = ["complete", "listwise", "listwise_se", "vignette", "vignette_se"]
    assert list(read.columns) == [*columns, "compatible", "compatible_se"]
    terms = pooled.fixed["term"].tolist()
    assert read.index.tolist() == [
        *terms, "variance of (Intercept), schid", "variance of ses, schid", "residual variance",
    ]  # fmt: skip
    expected = {
        "compatible": pooled.fixed["estimate"],
        "compatible_se": pooled.fixed["std_error"],
        "vignette": fits.pool().fixed["estimate"],
        "vignette_se": fits.pool().fixed["std_error"],
        "complete": model.fit(hsb).beta,
        "listwise": model.fit(holes).beta,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(read.loc[terms, name], values, rtol=1e-12, err_msg=name)
    variances = pooled.varcorr.loc[pooled.varcorr["var2"].isna(), "vcov"]
    np.testing.assert_allclose(read["compatible"].iloc[len(terms) :], variances, rtol=1e-12)
    assert read["compatible_se"].iloc[len(terms) :].isna().all()
    page = html.fromstring((tmp_path / "report.html").read_text("utf-8"))
    assert done.stdout.endswith(f"Wrote {tmp_path / 'report.html'}: open it in a browser\n")
    assert page.find(".//h1").text_content() == VIGNETTE
    [fixed] = [x for x in page.iter("h3") if x.text_content().startswith("Fixed effects")]
    shown = [x.findtext("td[2]") for x in fixed.getnext().iter("tr")][1:]
    assert shown == [f"{x:.4g}" for x in pooled.fixed["estimate"]]
    with browser_page(tmp_path / "report.html") as opened:
        assert (opened.messages, opened.fetched) == ([], [])
        assert opened.number("document.querySelectorAll('figure > svg').length") == 9
        assert opened.outside("h1, p, pre, figure > svg, .wide") == []
        assert opened.outside("figure svg g[id^=text_], figure svg g[id^=axes_]", "svg") == []
    # Amelia moves the coefficient of minority by a tenth of its size; this one doesn't.
    of_minority = read.loc["minority"]
    assert abs(of_minority["vignette"] - of_minority["complete"]) > 0.2
    assert abs(of_minority["compatible"] - of_minority["complete"]) < 0.1


def test_the_vignette_alone(tmp_path: Path) -> None:
    done = run("demo", "--vignette", "--m", "2", "--out", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "Imputing from the analysis model" not in done.stdout
    written = {x.name for x in tmp_path.iterdir()}
    assert not {"estimates.csv", "report.html"} & written


def test_demo_refuses_wrong_arguments() -> None:
    done = run("demo", "--m", "1")
    assert done.returncode == 1
    assert "argument --m: must be a whole number of at least 2, not 1" in done.stderr


def test_a_report_of_saved_results(
    tmp_path: Path, imp: rb.ImputedData, fit: rb.MerMod, capsys: pytest.CaptureFixture[str]
) -> None:
    fits = rb.Lmer(VIGNETTE).fit(imp)  # of which nothing that needs R was asked yet
    rb.save(fits.pool(), tmp_path / "pooled")
    rb.save(fit, tmp_path / "listwise")
    page = tmp_path / "page.html"
    command = ["report", str(tmp_path / "pooled"), "--listwise", str(tmp_path / "listwise")]
    assert main([*command, "--trust", "--title", "Schools", "--out", str(page)]) == 0
    assert capsys.readouterr().out == f"Wrote {page}\n"
    assert html.fromstring(page.read_text("utf-8")).find(".//h1").text_content() == "Schools"
    direct = rb.report(fits, tmp_path / "direct.html", listwise=fit, title="Schools")
    assert page.read_bytes() == direct.read_bytes()
    # Without the R objects the page says which parts it lacks.
    assert main([*command, "--out", str(page)]) == 0
    notes = html.fromstring(page.read_text("utf-8")).xpath("//p[@class='note']/text()")
    lacking = [x.partition(":")[0] for x in notes if "the R object, which wasn't loaded" in x]
    assert lacking == ["Assumptions, in the first imputation", "The model, as a paper prints it",
                       "Random part with intervals"]  # fmt: skip
    capsys.readouterr()
    assert main(["report", str(tmp_path / "listwise"), "--out", str(page)]) == 1
    assert "report takes a pooled model" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "absent")]) == 1
    assert "absent" in capsys.readouterr().err
    nowhere = tmp_path / "no" / "folder.html"
    assert main(["report", str(tmp_path / "pooled"), "--out", str(nowhere)]) == 1
    assert "folder.html" in capsys.readouterr().err


def test_doctor_tells_the_stack(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    for part in ("lme4", "Amelia", "blas", "rpy2 mode        API", "All that the main job needs"):
        assert part in text


def test_doctor_advises_openblas_which_is_no_problem(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import rbridge_mi.doctor

    for reference in (True, False):
        monkeypatch.setattr(rbridge_mi.doctor, "is_reference_blas", lambda _, x=reference: x)
        assert main(["doctor"]) == 0
        text = capsys.readouterr().out
        assert "All that the main job needs" in text
        assert ("apt-get install libopenblas0-serial" in text) is reference


def test_doctor_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import rbridge_mi.doctor

    monkeypatch.setattr(rbridge_mi.doctor, "NEEDED", ("lme4", "Amelia", "noSuchPackage"))
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "R lacks noSuchPackage" in text
    assert "apt-get install r-cran-nosuchpackage" in text


def test_demo_without_r_is_one_sentence() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "R_HOME"} | {"PATH": "/nonexistent"}
    command = [sys.executable, "-m", "rbridge_mi", "demo"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("rbridge-mi: R was not found")
    assert "Traceback" not in done.stderr
