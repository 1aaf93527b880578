"""Tables of models: numbers against the models' own tables and broom.mixed, and their texts."""

from __future__ import annotations

import math
import subprocess
import warnings
from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.inference.latent_scale import latent_variance
from rbridge_mi.reports.layout import Cell
from rbridge_mi.reports.numbers import decimals, p_value, stars_of
from rbridge_mi.reports.table_numbers import Key, merged

pytestmark = pytest.mark.r

ESTIMATES = [
    "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high",
]  # fmt: skip


@pytest.fixture(scope="module")
def logit(hsb: pd.DataFrame) -> rb.MerMod:
    data = hsb.assign(passed=(hsb["mathach"] > 10).astype(int))
    return rb.Glmer("passed ~ ses * female + (1 | schid)", family="binomial").fit(data)


@pytest.fixture(scope="module")
def whole(fit: rb.MerMod, fits: rb.MerModList, logit: rb.MerMod) -> rb.ModelTable:
    names = ["Listwise", "Imputed", "Passed"]
    return rb.table(fit, fits.pool(), logit, names=names, show=["std_error", "interval"])


def of(table: rb.ModelTable, model: str, section: str) -> pd.DataFrame:
    numbers = table.numbers
    picked = numbers[(numbers["model"] == model) & (numbers["section"] == section)]
    return picked.reset_index(drop=True)


# -- the numbers ---------------------------------------------------------------------------------


def test_coefficients_are_those_of_each_model(
    whole: rb.ModelTable, fit: rb.MerMod, fits: rb.MerModList, logit: rb.MerMod
) -> None:
    expected = {"Listwise": fit.fixed(), "Imputed": fits.pool().fixed, "Passed": logit.fixed()}
    for model, frame in expected.items():
        part = of(whole, model, "fixed")
        assert part["term"].tolist() == frame["term"].tolist()
        # The same numbers, not computed anew: to the last bit.
        assert part[ESTIMATES].equals(frame[ESTIMATES])


def test_the_random_part_is_that_of_broom_mixed(
    whole: rb.ModelTable, fit: rb.MerMod, logit: rb.MerMod
) -> None:
    """broom.mixed computes nothing of its own on this scale, so that the bits are lme4's."""
    for model, one in {"Listwise": fit, "Passed": logit}.items():
        reply = one.r.call("broom.mixed::tidy", effects="ran_pars", scales="vcov").value
        theirs = dict(
            zip(zip(reply["group"], reply["term"], strict=True), reply["estimate"], strict=True)
        )
        part = of(whole, model, "random")
        ours = dict(
            zip(zip(part["group"], part["term"], strict=True), part["estimate"], strict=True)
        )
        assert ours == theirs


def test_the_random_part_of_a_pooled_model(whole: rb.ModelTable, fits: rb.MerModList) -> None:
    part = of(whole, "Imputed", "random")
    assert part["term"].tolist() == [
        "var__(Intercept)", "var__ses", "cov__(Intercept).ses", "var__Observation",
    ]  # fmt: skip
    assert part["estimate"].tolist() == fits.varcorr()["vcov"].tolist()


def test_standard_deviations_on_request(fit: rb.MerMod) -> None:
    part = of(rb.table(fit, random="sd"), "(1)", "random")
    assert part["term"].tolist() == [
        "sd__(Intercept)", "sd__ses", "cor__(Intercept).ses", "sd__Observation",
    ]  # fmt: skip
    assert part["estimate"].tolist() == fit.varcorr()["sdcor"].tolist()
    assert of(rb.table(fit, random=None), "(1)", "random").empty


def test_statistics_of_each_model(
    whole: rb.ModelTable, fit: rb.MerMod, fits: rb.MerModList, logit: rb.MerMod
) -> None:
    pooled = fits.pool()
    variance = logit.varcorr()["vcov"].iloc[0]
    expected = {
        "Listwise": {
            "icc": fit.varcorr()["vcov"].iloc[0] / (fit.varcorr()["vcov"].iloc[[0, 3]].sum()),
            "nobs": fit.nobs,
            "r2": fit.r2(),
        },
        "Imputed": {"icc": pooled.icc["schid"], "nobs": 7185, "r2": pooled.r2, "m": 5},
        "Passed": {
            "icc": variance / (variance + latent_variance(logit)), "nobs": 7185, "r2": logit.r2(),
        },
    }  # fmt: skip
    for model, values in expected.items():
        part = of(whole, model, "statistics").set_index("term")["estimate"]
        assert part["icc"] == pytest.approx(values["icc"], rel=1e-14)  # another order of the sum
        assert part["nobs"] == values["nobs"]
        assert part["ngrps"] == 160
        assert part["r2_marginal"] == values["r2"]["r2_marginal"].iloc[0]
        assert part["r2_conditional"] == values["r2"]["r2_conditional"].iloc[0]
        assert part.get("m") == values.get("m")
    assert of(whole, "Imputed", "statistics").set_index("term")["estimate"]["fmi"] == (
        pooled.fixed["fmi"].max()
    )


def test_fits_of_several_numbers_of_rows(hsb: pd.DataFrame) -> None:
    sets = rb.BootstrapImputer(m=4, cluster="schid").impute(hsb.head(600), seed=1)
    fits = rb.Lmer("mathach ~ ses + (1 | schid)").fit(sets)
    table = rb.table(fits)
    part = of(table, "(1)", "statistics").set_index("term")["estimate"]
    low, high = min(x.nobs for x in fits), max(x.nobs for x in fits)
    assert (part["nobs"], part["nobs_max"]) == (low, high)
    assert table.frame.loc[("statistics", "Observations", "estimate"), "(1)"] == f"{low}–{high}"
    assert "fmi" not in part
    assert "Pooled over bootstrap samples: (1)." in table.notes


def test_a_list_of_fits_is_pooled_by_its_default(fits: rb.MerModList) -> None:
    assert rb.table(fits).numbers.equals(rb.table(fits.pool()).numbers)


def test_estimates_of_any_estimator() -> None:
    estimates = [[1.0, 2.0], [1.2, 2.1], [0.9, 1.8]]
    pooled = rb.pool(estimates, variances=[[0.1, 0.2]] * 3, names=["x", "z"])
    table = rb.table(pooled)
    assert of(table, "(1)", "fixed")[ESTIMATES].equals(pooled.fixed[ESTIMATES])
    assert set(table.numbers["section"]) == {"fixed", "statistics"}
    assert of(table, "(1)", "statistics")["term"].tolist() == ["m", "fmi"]
    with pytest.raises(rb.ArgumentError, match=r"whose link is known; `pool\(..., exponentiate"):
        rb.table(pooled, exponentiate=[True])


def test_ratios(fit: rb.MerMod, logit: rb.MerMod) -> None:
    table = rb.table(fit, logit, exponentiate=True)
    expected = logit.fixed(exponentiate=True)
    assert of(table, "(2)", "fixed")[ESTIMATES].equals(expected[ESTIMATES])
    assert of(table, "(1)", "fixed")[ESTIMATES].equals(fit.fixed()[ESTIMATES])
    assert "Exponentiated: odds ratios in (2)." in table.notes
    both = rb.table(fit, logit, exponentiate=[True, False])
    assert of(both, "(1)", "fixed")["estimate"].tolist() == np.exp(fit.beta).tolist()
    assert of(both, "(2)", "fixed")[ESTIMATES].equals(logit.fixed()[ESTIMATES])


def test_a_pooled_generalised_model(hsb: pd.DataFrame, imp: rb.ImputedData) -> None:
    sets = imp.assign(passed=lambda d: (d["mathach"] > 10).astype(int))
    pooled = rb.Glmer("passed ~ ses + (1 | schid)", family="binomial").fit(sets).pool()
    part = of(rb.table(pooled, exponentiate=True), "(1)", "fixed")
    assert part["estimate"].tolist() == np.exp(pooled.fixed["estimate"]).tolist()
    assert part["conf_high"].tolist() == np.exp(pooled.fixed["conf_high"]).tolist()
    # The delta method.
    expected = pooled.fixed["std_error"] * np.exp(pooled.fixed["estimate"])
    assert part["std_error"].tolist() == expected.tolist()
    assert part["p_value"].tolist() == pooled.fixed["p_value"].tolist()


def test_a_model_that_was_pooled_as_ratios(imp: rb.ImputedData) -> None:
    sets = imp.assign(passed=lambda d: (d["mathach"] > 10).astype(int))
    fits = rb.Glmer("passed ~ ses + (1 | schid)", family="binomial").fit(sets)
    ratios = fits.pool(exponentiate=True)
    for given in (False, True):  # they are not exponentiated twice
        table = rb.table(ratios, fits.pool(), exponentiate=given)
        assert of(table, "(1)", "fixed")[ESTIMATES].equals(ratios.fixed[ESTIMATES])
        which = "(1), (2)" if given else "(1)"
        assert f"Exponentiated: odds ratios in {which}." in table.notes
    [column] = rb.for_maketables(ratios)
    assert column.__maketables_coef_table__["b"].tolist() == ratios.fixed["estimate"].tolist()


def test_degrees_of_freedom_and_level_of_single_fits(fit: rb.MerMod, fits: rb.MerModList) -> None:
    table = rb.table(fit, fits.pool(conf_level=0.9), dfcom="residual", show="interval")
    assert of(table, "(1)", "fixed")[ESTIMATES].equals(fit.fixed("residual", 0.9)[ESTIMATES])
    assert "90% confidence intervals in brackets." in table.notes


def test_r2_that_is_not_known_is_told(hsb: pd.DataFrame) -> None:
    data = hsb.assign(y=hsb["mathach"] - hsb["mathach"].min() + 1)
    model = rb.Glmer("y ~ ses + (1 | schid)", family="Gamma", link="identity")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gamma = model.fit(data.head(800))
    table = rb.table(gamma)
    assert "r2_marginal" not in of(table, "(1)", "statistics")["term"].tolist()
    [note] = [x for x in table.notes if "R²" in x]
    assert note.startswith("No R² of (1): ")
    with pytest.raises(rb.RCallError) as error:
        gamma.r2()
    assert note.endswith(error.value.r_message.strip())


# -- the order of rows ---------------------------------------------------------------------------


def test_each_models_order_is_kept() -> None:
    def keys(*terms: str) -> list[Key]:
        return [Key("fixed", None, x) for x in terms]

    def order(*models: list[Key]) -> list[str]:
        return [x.term for x in merged(models)]

    assert order(keys("i", "a", "b"), keys("i", "c", "b")) == ["i", "a", "c", "b"]
    assert order(keys("i", "a"), keys("i", "b")) == ["i", "a", "b"]
    assert order(keys("b", "a"), keys("a", "b")) == ["b", "a"]
    residual = Key("random", "Residual", "var__Observation")
    one, two = (Key("random", g, "var__x", ("x",)) for g in "gh")
    assert merged([[one, residual], [two]]) == [one, two, residual]
    icc = [Key("statistics", g, "icc") for g in "gh"]
    groups = [Key("statistics", g, "ngrps") for g in "gh"]
    assert merged([[icc[0], groups[0]], [icc[1], groups[1]]]) == [*icc, *groups]


def test_a_covariance_is_matched_whatever_the_order_of_its_effects(hsb: pd.DataFrame) -> None:
    model = "mathach ~ ses + minority + (0 + {} | schid)"
    one = rb.Lmer(model.format("ses + minority")).fit(hsb)
    other = rb.Lmer(model.format("minority + ses")).fit(hsb)
    table = rb.table(one, other, statistics=[])
    random = table.frame.loc["random"]
    assert len(random) == 4
    assert (random != "").all(axis=None)
    values = table.numbers.query("section == 'random'").set_index(["model", "term"])["estimate"]
    for model, fit in {"(1)": one, "(2)": other}.items():
        varcorr = fit.varcorr()
        variances = varcorr[varcorr["var2"].isna()].set_index("var1")["vcov"]
        assert values[model]["var__ses"] == variances["ses"]
        assert values[model]["var__minority"] == variances["minority"]
        [covariance] = varcorr.loc[varcorr["var2"].notna(), "vcov"]
        assert values[model]["cov__minority.ses"] == covariance


# -- the texts -----------------------------------------------------------------------------------


def test_every_text_is_of_its_number(whole: rb.ModelTable) -> None:
    labels = {"nobs": "Observations", "m": "Imputations", "fmi": "Largest FMI"}
    labels |= {"r2_marginal": "R² (marginal)", "r2_conditional": "R² (conditional)"}
    labels |= {"icc": "ICC (schid)", "ngrps": "Groups (schid)"}
    labels |= {"var__Observation": "Residual", "var__ses": "schid: ses"}
    labels |= {"var__(Intercept)": "schid: (Intercept)"}
    labels |= {"cov__(Intercept).ses": "schid: (Intercept), ses (covariance)"}
    labels |= {"ses:female": "ses:female"}
    texts = whole.frame.copy()
    for x in whole.numbers.itertuples():
        at = (x.section, labels.get(x.term, x.term))
        whole_number = x.term in ("nobs", "m", "ngrps")
        shown = f"{x.estimate:.0f}" if whole_number else f"{x.estimate:.3f}"
        assert texts.loc[(*at, "estimate"), x.model] == shown
        texts.loc[(*at, "estimate"), x.model] = ""
        if x.section == "fixed":
            assert texts.loc[(*at, "std_error"), x.model] == f"({x.std_error:.3f})"
            interval = f"[{x.conf_low:.3f}, {x.conf_high:.3f}]"
            assert texts.loc[(*at, "interval"), x.model] == interval
            texts.loc[[(*at, "std_error"), (*at, "interval")], x.model] = ""
    assert (texts == "").all(axis=None)  # nothing else is shown


def test_no_stars_unless_they_are_asked_for(fit: rb.MerMod, whole: rb.ModelTable) -> None:
    assert not whole.frame.stack().str.contains("*", regex=False).any()
    table = rb.table(fit, stars=[0.1, 1e-35], show=[])
    p = fit.fixed().set_index("term")["p_value"]
    for term, x in p.items():
        text = table.frame.loc[("fixed", term, "estimate"), "(1)"]
        assert text.count("*") == (x < 0.1) + (x < 1e-35)
    assert {x.count("*") for x in table.frame.loc["fixed"]["(1)"]} == {1, 2}
    assert "* p < 0.1, ** p < 1e-35." in table.notes


def test_p_values_are_never_zero(fits: rb.MerModList) -> None:
    pooled = fits.pool()
    assert (pooled.fixed["p_value"] == 0).any()  # it underflows
    frame = rb.table(pooled, show="p_value").frame
    assert frame.loc[("fixed", "(Intercept)", "p_value"), "(1)"] == "<0.001"
    assert "<1e-300" in str(pooled.summary())


@pytest.mark.parametrize(
    ("x", "digits", "text"),
    [
        (0.0, 3, "0.000"), (-0.0, 2, "-0.00"), (1.0005, 3, "1.000"), (0.0012, 3, "0.001"),
        (0.0009999, 3, "0.001"), (-0.000123, 3, "-0.00012"), (math.nan, 3, ""), (5.4, 0, "5"),
        (math.inf, 3, "∞"), (-math.inf, 3, "-∞"), (123456789.5, 1, "123456789.5"),
        (1.5e12, 2, "1.50e+12"),
    ],
)  # fmt: skip
def test_decimals(x: float, digits: int, text: str) -> None:
    assert decimals(x, digits) == text


def test_p_values_and_stars() -> None:
    assert [p_value(x, 3) for x in (0, 9.9e-4, 0.001, 0.04999, 1, math.nan)] == [
        "<0.001", "<0.001", "0.001", "0.050", "1.000", "",
    ]  # fmt: skip
    assert p_value(1e-5, 2) == "<0.01"
    assert [stars_of(x, (0.05, 0.01)) for x in (0.05, 0.04, 0.001, math.nan)] == ["", "*", "**", ""]


def test_labels(fit: rb.MerMod, logit: rb.MerMod) -> None:
    labels = {"ses": "Status", "schid": "School", "nobs": "N"}
    frame = rb.table(fit, logit, labels=labels).frame
    shown = frame.index.get_level_values("label")
    assert {"Status", "Status × female", "School: Status", "ICC (School)", "N"} <= set(shown)
    assert "School: (Intercept), Status (covariance)" in shown


# -- documents -----------------------------------------------------------------------------------

HOSTILE = [
    "a|b", "<script>alert(1)</script>", "100% & $5_{x}^2#~", "\\input{x}", "*bold* `code` [x](y)",
    "&lt;&amp;", '"quoted" \'too\'', "line\nbreak\tand\x00nul", "--dash---", "[0.1] * 2",
    "ünï – ² × …", "| --- |", "- item", "1. item", "# head", "> quote", "=", "\u202eright to left",
    "{{7*7}}", "http://x.y", "a  b", " ]]> ", "**", "~~gone~~", ":b:",
]  # fmt: skip


def as_shown(text: str) -> str:
    """What a reader sees: control characters are spaces, and spaces are one."""
    return " ".join("".join(x if x.isprintable() else " " for x in text).split())


@pytest.fixture(scope="module")
def hostile(fit: rb.MerMod) -> rb.ModelTable:
    names = HOSTILE
    labels = {"ses": HOSTILE[0], "female": HOSTILE[1], "schid": HOSTILE[3], "nobs": HOSTILE[10]}
    models = [fit] * len(names)
    return rb.table(*models, names=names, labels=labels, caption=HOSTILE[2], stars=True,
                    statistics=["nobs"])  # fmt: skip


def cells_of(table: rb.ModelTable) -> list[list[str]]:
    """The table as a reader sees it: its head, and each row with its label."""
    rows = [["", *table.grid.head]]
    for section in table.grid.sections:
        rows.append([section.title])
        rows += [[row.label, *map(str, row.cells)] for row in section.rows]
    return [[as_shown(x) for x in row] for row in rows]


def test_html_shows_every_label_as_itself(hostile: rb.ModelTable) -> None:
    import xml.etree.ElementTree as ET

    root = ET.fromstring(hostile.to_html().replace("<br>", "<br/>"))  # it parses, as strictly
    assert {x.tag for x in root.iter()} == {
        "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "sup", "br",
    }  # fmt: skip
    rows = [
        [as_shown("".join(cell.itertext())).replace("−", "-") for cell in row]
        for part in root
        if part.tag in ("thead", "tbody")
        for row in part.iter("tr")
    ]
    assert rows == cells_of(hostile)
    assert as_shown("".join(root.find("caption").itertext())) == as_shown(HOSTILE[2])  # type: ignore[union-attr]


def test_markdown_shows_every_label_as_itself(hostile: rb.ModelTable) -> None:
    import mistune
    from bs4 import BeautifulSoup

    text = hostile.to_markdown()
    render: Any = mistune.create_markdown(escape=False, plugins=["table", "strikethrough"])
    page = BeautifulSoup(render(text), "html.parser")
    # The titles of sections are in italics; nothing else is anything but text.
    assert {x.name for x in page.find_all()} == {
        "table", "thead", "tbody", "tr", "th", "td", "p", "em",
    }  # fmt: skip
    assert len(page.find_all("em")) == len(hostile.grid.sections)
    rows = [[as_shown(x.text) for x in row.find_all(["th", "td"])] for row in page.find_all("tr")]
    width = 1 + len(hostile.grid.head)
    assert rows == [x + [""] * (width - len(x)) for x in cells_of(hostile)]
    assert as_shown(page.find_all("p")[0].text) == as_shown(HOSTILE[2])


def test_latex_shows_every_label_as_itself(hostile: rb.ModelTable) -> None:
    from pylatexenc.latex2text import LatexNodes2Text
    from pylatexenc.latexwalker import LatexWalker

    text = hostile.to_latex("tab:x")
    nodes, _, _ = LatexWalker(text, tolerant_parsing=False).get_latex_nodes()
    assert nodes
    assert all(x.isprintable() or x == "\n" for x in text)
    body = text.split(r"\midrule", 1)[0].split(r"\toprule")[1] + text.split(r"\midrule", 1)[1]
    body = body.split(r"\bottomrule")[0]
    rows = []
    for line in body.replace(r"\midrule", "").strip().split("\n"):
        if not line.strip():
            continue
        assert line.endswith(r" \\")
        cells = _split_cells(line.removesuffix(r" \\"))
        rows.append([_plain(LatexNodes2Text(), cell) for cell in cells])
    assert rows == cells_of(hostile)


def _split_cells(line: str) -> list[str]:
    """At each & that has no backslash of its own before it."""
    cells, i, start = [], 0, 0
    while i < len(line):
        if line[i] == "\\":
            i += 1
        elif line[i] == "&":
            cells.append(line[start:i])
            start = i + 1
        i += 1
    return [*cells, line[start:]]


def _plain(reader: Any, cell: str) -> str:
    """Read a cell; what the reader doesn't know is put in its place, as LaTeX would."""
    known = {r"\char34{}": '"', r"\char39{}": "'", "$-$": "-", r"\textbar{}": "|"}
    known |= {r"\textless{}": "<", r"\textgreater{}": ">", r"\textasciicircum{}": "^"}
    for code, character in known.items():
        cell = cell.replace(code, "{" + character + "}")
    if cell.strip().startswith(r"\multicolumn"):
        cell = cell.split(r"\textit{")[1].removesuffix("}}")
    superscript = cell.replace(r"\textsuperscript{2}", "²").replace(r"\textsuperscript", "")
    return as_shown(reader.latex_to_text(superscript.replace(r"\dots{}", "…")))


def test_plain_text_has_its_columns_aligned(hostile: rb.ModelTable, whole: rb.ModelTable) -> None:
    lines = str(whole).split("\n")
    ends = {line.rstrip()[-1] for line in lines if line}
    assert "\t" not in str(hostile) and "\x00" not in str(hostile)
    assert len({len(x) for x in lines[:1]}) == 1
    assert ends
    start = lines[0].index("Listwise") + len("Listwise")
    for line in lines[3:6]:  # right-aligned under their title
        assert line[:start].rstrip() == line[:start]


def test_it_shows_in_consoles_and_notebooks(whole: rb.ModelTable) -> None:
    assert repr(whole) == str(whole)
    assert whole._repr_html_() == whole.to_html()
    assert r"\hline" in whole._repr_latex_()
    assert r"\toprule" not in whole._repr_latex_()
    [frame] = pd.read_html(StringIO(whole.to_html()))
    assert frame.shape[1] == 4


def test_a_cell_is_its_text_and_stars() -> None:
    assert str(Cell("1.0", "**")) == "1.0**"


# -- wrong arguments -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"show": "stderror"}, r"show has no 'stderror' \(did you mean 'std_error'\?\); it has"),
        ({"show": 3}, "show must be of std_error, interval"),
        ({"stars": [2]}, "stars must be a list of levels; an item must be a number between 0 and"),
        ({"stars": "yes"}, "stars must be a list of levels"),
        ({"digits": -1}, "digits must be a whole number of at least 0"),
        ({"names": ["a", "b"]}, "names has 2 titles for 1 models"),
        ({"names": "a"}, "names must be a list of texts"),
        ({"random": "var"}, "random must be one of .*, not 'var'"),
        ({"statistics": ["iccs"]}, r"statistics has no 'iccs' \(did you mean 'icc'"),
        ({"statistics": 1}, "statistics must be a list of icc, groups"),
        ({"labels": {"sess": "x"}}, r"labels has no 'sess' \(did you mean 'ses'\?\); it has"),
        ({"labels": {"ses": 1}}, "labels must map names to texts"),
        ({"exponentiate": True}, r"these are linear.*exponentiate=\[True\]"),
        ({"exponentiate": [True, False]}, "a truth value for each of the 1 models"),
        ({"exponentiate": 1}, "exponentiate must be true or false"),
        ({"conf_level": 95}, "conf_level must be a number between 0 and 1"),
        ({"caption": 1}, "caption must be a text"),
        ({"dfcom": "kenwardroger"}, "dfcom"),
    ],
)
def test_wrong_arguments(fit: rb.MerMod, arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        rb.table(fit, **arguments)


def test_wrong_models(fit: rb.MerMod, fits: rb.MerModList) -> None:
    with pytest.raises(rb.ArgumentError, match="at least one model"):
        rb.table()
    with pytest.raises(rb.ArgumentError, match="number 2 is of type str"):
        rb.table(fit, "model")
    with pytest.raises(rb.ArgumentError, match=r"one by one: `rb.table\(\*models\)`"):
        rb.table([fit, fit])
    with pytest.raises(rb.ArgumentError, match=r"names has 'a' twice"):
        rb.table(fit, fit, names=["a", "a"])
    with pytest.raises(rb.ArgumentError, match=r"has intervals of 95%.*conf_level=0.9"):
        rb.table(fits.pool(), conf_level=0.9)
    with pytest.raises(rb.ArgumentError, match="intervals of 90% and 95%"):
        rb.table(fits.pool(), fits.pool(conf_level=0.9))
    with pytest.raises(rb.ArgumentError, match=r"label 'a\}b'"):
        rb.table(fit).to_latex("a}b")


def test_ratios_of_a_link_that_has_none(hsb: pd.DataFrame) -> None:
    data = hsb.head(1000).assign(passed=lambda d: (d["mathach"] > 10).astype(int))
    model = rb.Glmer("passed ~ ses + (1 | schid)", family="binomial", link="probit")
    with pytest.raises(rb.ArgumentError, match="link 'probit' have no meaning"):
        rb.table(model.fit(data), exponentiate=True)


# -- maketables ----------------------------------------------------------------------------------


def test_maketables_reads_the_models(fit: rb.MerMod, fits: rb.MerModList, logit: rb.MerMod) -> None:
    import maketables

    pooled = fits.pool()
    models = rb.for_maketables(fit, pooled, logit, fits)
    table = maketables.ETable(models, coef_fmt="b:.4f\n[ci95l:.3f, ci95u:.3f]")
    frame = table.df.map(str)
    assert frame.shape[1] == 4
    tables = {0: fit.fixed(), 1: pooled.fixed, 2: logit.fixed(), 3: pooled.fixed}
    for column, fixed in tables.items():
        shown = frame.iloc[:, column]
        for x in fixed.itertuples():
            text = shown.loc[("coef", x.term.replace(":", " × "))]
            assert text == f"{x.estimate:.4f}\n[{x.conf_low:.3f}, {x.conf_high:.3f}]"
    stats = frame.loc["stats"]
    assert stats.loc["Observations"].tolist() == ["6,173", "7,185", "7,185", "7,185"]
    assert stats.loc["Groups: schid"].tolist() == ["160"] * 4
    assert stats.loc["Imputations"].tolist() == ["-", "5", "-", "5"]
    assert stats.loc["Marginal R²"].tolist()[0] == f"{fit.r2()['r2_marginal'].iloc[0]:.3f}"
    assert float(stats.loc["Largest FMI"].iloc[1]) == pytest.approx(
        pooled.fixed["fmi"].max(), abs=5e-4  # three digits are shown
    )  # fmt: skip
    assert [x[0] for x in table.df.columns] == ["mathach", "mathach", "passed", "mathach"]


def test_what_maketables_asks(fit: rb.MerMod, fits: rb.MerModList) -> None:
    """The names and columns that its page on the plug-in format lists."""
    one, several, pooled = rb.for_maketables(fit, fits, fits.pool(conf_level=0.9))
    table = pooled.__maketables_coef_table__
    assert table.index.name == "Coefficient"
    assert list(table.columns) == ["b", "se", "t", "p", "df", "ci90l", "ci90u"]
    assert table["b"].tolist() == fits.pool().fixed["estimate"].tolist()
    assert one.__maketables_stat__("N") == 6173
    assert one.__maketables_stat__("adj_r2") is None
    assert one.__maketables_stat__("se_type") == "model-based"
    assert several.__maketables_stat__("se_type") == "Rubin's rules"
    assert one.__maketables_depvar__ == "mathach"
    assert one.__maketables_fixef_string__ is None
    assert pooled.__maketables_vcov_info__ == {"vcov_type": "Rubin's rules"}
    with pytest.raises(rb.ArgumentError, match="takes fits and pooled models, not DataFrame"):
        rb.for_maketables(fit, table)


def test_no_package_of_tables_is_loaded(fit: rb.MerMod) -> None:
    code = (
        "import sys, rbridge_mi as rb; rb.table; "
        "assert not {'maketables', 'jinja2', 'matplotlib', 'lxml'} & set(sys.modules)"
    )
    import sys

    subprocess.run([sys.executable, "-c", code], check=True)
