"""docs/coming-from-pymer4.md: every block prints what the page shows, and its numbers are R's.

The same fits are made in another R process from the same frames, and asked by lme4, lmerTest and
emmeans. 1e-10: both have the same fit to the last bit, and sums of contrasts are taken in another
order than in R. What is lme4's own answer has R's bits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.rdoor import prepare
from rbridge_mi.testing import run_r
from tests.whole.pages import ROOT, Page, differences, run

pytestmark = [pytest.mark.r, pytest.mark.slow]

PAGE = ROOT / "docs" / "coming-from-pymer4.md"


@pytest.fixture(scope="module")
def ran() -> Any:
    return run("coming-from-pymer4.md")


@pytest.fixture(scope="module")
def page(ran: Any) -> Page:
    return ran[1]


def test_every_block_prints_what_the_page_shows(ran: Any) -> None:
    blocks, _ = ran
    assert len(blocks) > 35
    for code, printed, shown in blocks:
        assert differences(printed, shown) == [], code


def test_differences_are_noticed() -> None:
    assert differences("a 1.234 [2.0, 3.1]", "a 1.235 [2.0, 3.1]") == []
    assert differences("a 1.234", "a 1.236") == [("1.234", "1.236")]
    assert differences("4.99e-10", "5.00e-10") == []
    assert differences("4.99e-10", "4.97e-10") == [("4.99e-10", "4.97e-10")]
    assert differences("a 3", "a 4") == [("3", "4")]
    assert differences("a", "b") == [("a", "b")]
    assert differences("a b", "a") == [("a b", "a")]
    assert differences("0.0", "nan") == [("0.0", "nan")]


def test_every_name_of_the_page_is_there(page: Page) -> None:
    text = PAGE.read_text("utf-8")
    assert [x for x in re.findall(r"\brb\.(\w+)", text) if x not in rb.__all__] == []
    assert [x for x in re.findall(r"\bfit\.(\w+)", text) if not hasattr(page["slopes"], x)] == []
    assert [x for x in re.findall(r"\bfits\.(\w+)", text) if not hasattr(rb.MerModList, x)] == []


# --- the same numbers from R --------------------------------------------------------------------

ESTIMATES = ["estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high"]


def fitted(model: rb.Lmer | rb.Glmer, data: Any) -> Any:
    return model.fit(data)


# Per table what the page asks for, and the tolerance: 0 where lme4 itself answers.
ASKED: dict[str, tuple[Callable[[Page], pd.DataFrame], float]] = {
    "fit": (lambda p: p["fit"].fixed(), 1e-10),
    "slopes": (lambda p: p["slopes"].fixed(), 1e-10),
    "ml": (lambda p: fitted(rb.Lmer(p["slopes"].formula, reml=False), p["sleep"]).fixed(), 1e-10),
    "custom": (lambda p: p["custom"].fixed(), 1e-10),
    "scaled": (lambda p: p["model"].fit(p["sample"]).fixed(), 1e-10),
    "coef": (lambda p: p["fit"].coef(), 0),
    "ranef": (lambda p: p["fit"].ranef(), 0),
    "varcorr": (lambda p: p["fit"].varcorr(), 0),
    "glance": (lambda p: p["slopes"].glance(), 0),
    "r2": (lambda p: p["slopes"].r2(), 1e-10),
    "crossed": (lambda p: p["crossed"].coef().query("grpvar == 'Group'"), 0),
    "logit": (lambda p: p["logit"].fixed(), 1e-10),
    "polynomial": (lambda p: p["polynomial"].fixed(), 1e-10),
    "bold": (lambda p: p["bold"].emmeans("ROI", contrast=p["comparison"]), 1e-10),
    "anova": (lambda p: p["means"].anova(), 1e-10),
    "anova_of_two": (lambda p: p["cells"].anova(), 1e-10),
    "anova_of_three": (lambda p: p["moderated"].anova(), 1e-10),
    "emmeans": (lambda p: p["cells"].emmeans("IV3", by="IV4"), 1e-10),
    "pairwise": (lambda p: p["cells"].emmeans("IV3", by="IV4", contrast="pairwise"), 1e-10),
    "fdr": (
        lambda p: p["cells"].emmeans(["IV3", "IV4"], contrast="pairwise", adjust="fdr"),
        1e-10,
    ),
    "trends": (lambda p: p["pairs"], 1e-10),
    "sidak": (lambda p: p["bills"].emmeans("sex", adjust="sidak"), 1e-10),
    "sidak_by": (
        lambda p: p["bills"].emmeans("sex", by="island", contrast="pairwise", adjust="sidak"),
        1e-10,
    ),
    "linear": (
        lambda p: p["three"].emmeans("IV3", by="DV_l", contrast={"linear": [-1, 0, 1]}),
        1e-10,
    ),
    "interaction": (
        lambda p: p["three"].emmeans(["IV3", "DV_l"], contrast={"d": [-1, 0, 1, 1, 0, -1]}),
        1e-10,
    ),
    "slope": (lambda p: p["three"].emtrends("1", "IV1"), 1e-10),
    "slope_pairs": (lambda p: p["three"].emtrends("DV_l", "IV1", contrast="pairwise"), 1e-10),
    "at": (lambda p: p["three"].emmeans("IV3", at={"IV1": 5}), 1e-10),
    "empredict": (
        lambda p: p["three"].emmeans(["IV1", "IV3"], at={"IV1": [0, 5], "IV3": "1.5"}),
        1e-10,
    ),
    "boot": (lambda p: p["slopes"].confint(method="boot", nsim=100, seed=1), 0),
    "profile": (lambda p: p["slopes"].confint(), 0),
    "wald": (lambda p: p["slopes"].confint("beta_", method="Wald"), 0),
    "restricted": (lambda p: p["intercepts"].anova(p["slopes"], refit=False), 0),
    "compared": (lambda p: p["intercepts"].anova(p["slopes"]), 0),
    "singular": (lambda p: p["singular"].varcorr(), 0),
    "risk": (
        lambda p: fitted(rb.Glmer("DV_l ~ IV1 + (IV1 | Group)"), p["sample"]).fixed(),
        1e-10,
    ),
    "odds": (lambda p: p["survival"].fixed(exponentiate=True), 1e-10),
    "odds_by_class": (lambda p: np.exp(p["survival"].coef()[["(Intercept)", "sexmale"]]), 1e-15),
    "probabilities": (lambda p: p["survival"].emmeans("sex", type="response"), 1e-10),
    "ratio": (
        lambda p: p["survival"].emmeans(
            "sex", contrast={"female - male": [1, -1]}, type="response"
        ),
        1e-10,
    ),
    "difference": (
        lambda p: p["survival"].emmeans("sex", contrast={"female - male": [1, -1]}),
        1e-10,
    ),
    "probit": (lambda p: p["probit"].fixed(), 1e-10),
    "wald_terms": (lambda p: p["survival"].anova(type=3), 1e-10),
    "predict": (
        lambda p: pd.DataFrame(
            {
                "with": p["slopes"].predict(p["new"]),
                "without": p["slopes"].predict(p["new"], re_form="NA"),
            }
        ),
        0,
    ),
    "interval": (
        lambda p: p["slopes"].predict(p["new"], re_form="NA", interval="confidence"),
        1e-6,  # the derivatives of the variances are numerical, in other steps than lmerTest's
    ),
    "chances": (
        lambda p: pd.DataFrame(
            {x: p["survival"].predict(p["titanic"], type=x) for x in ("response", "link")}
        ),
        0,
    ),
    "simulate": (lambda p: p["slopes"].simulate(2, seed=1, use_u=True), 0),
    "cases": (
        lambda p: pd.DataFrame(
            {"fits": p["slopes"].fitted(), "residuals": p["slopes"].residuals()}
        ),
        0,
    ),
    "design": (
        lambda p: pd.DataFrame(
            p["means"].r.call("stats::model.matrix").value, columns=["V1", "V2", "V3"]
        ),
        0,
    ),
}


@pytest.fixture(scope="module")
def theirs(page: Page) -> Any:
    prepare("lme4")  # so that `run_r` takes care of the order of crossed random effects
    names = ("sleep", "two", "ordinal", "gammas", "penguins", "titanic", "made", "mtcars")
    code = Path(__file__).with_name("pymer4_page.R").read_text("utf-8")
    return run_r(code, sample_data=page["sample"], **{name: page[name] for name in names})


@pytest.mark.parametrize("name", ASKED)
def test_numbers_are_rs(name: str, page: Page, theirs: Any) -> None:
    ask, tolerance = ASKED[name]
    table, expected = ask(page), theirs["answers"][name]
    assert expected
    for column, values in expected.items():
        np.testing.assert_allclose(
            table[column].to_numpy(dtype=float), np.atleast_1d(values), rtol=tolerance, atol=0,
            err_msg=column,
        )  # fmt: skip


def test_every_answer_is_compared(theirs: Any) -> None:
    assert set(theirs["answers"]) == set(ASKED)


def test_families_and_singular_fits_are_rs(page: Page, theirs: Any) -> None:
    families = (("count", "poisson"), ("time", "Gamma"), ("time", "inverse.gaussian"))
    for (response, family), expected in zip(families, theirs["families"].values(), strict=True):
        fit = fitted(rb.Glmer(f"{response} ~ IV3 + (1 | Group)", family=family), page["made"])
        for column, values in expected.items():
            np.testing.assert_allclose(fit.fixed()[column], values, rtol=1e-10, err_msg=family)
    random = ("(hp | cyl)", "(1 | cyl) + (0 + hp | cyl)", "(1 | cyl)")
    for formula, expected in zip(random, theirs["random"], strict=True):
        fit = fitted(rb.Lmer(f"mpg ~ 1 + {formula}"), page["mtcars"])
        assert fit.varcorr()["sdcor"].tolist() == np.atleast_1d(expected).tolist()


# What pymer4's documentation shows for the same calls, to the digits that it shows.
DOCUMENTED: dict[str, tuple[Callable[[Page], Any], list[float], float]] = {
    "coefs": (lambda p: p["fit"].fixed()["estimate"], [10.300430, 0.682128], 1e-6),
    "DF": (lambda p: p["fit"].fixed()["df"], [20.182531, 42.402062], 1e-6),
    "P-val": (lambda p: p["fit"].fixed()["p_value"], [1.487605e-03, 1.706855e-13], 1e-6),
    "fixef": (lambda p: p["fit"].coef()["IV2"].head(3), [0.885138, 0.622143, 0.838055], 1e-5),
    "ranef": (lambda p: p["fit"].ranef()["condval"].head(2), [-5.818335, 7.690593], 1e-5),
    "ranef_var": (
        lambda p: p["slopes"].varcorr()["sdcor"], [24.740658, 5.922138, 0.065551, 25.591796], 1e-4,
    ),
    "ICC": (lambda p: p["slopes"].r2()["icc_adjusted"], [0.72166], 1e-5),
    "compare": (
        lambda p: p["intercepts"].anova(p["slopes"], refit=False)["aic"],
        [1794.465085, 1755.628272], 1e-9,
    ),
    "polynomials": (
        lambda p: fitted(
            rb.Lmer("`BOLD signal` ~ ROI + (1 | subject)", contrasts={"ROI": "contr.poly"}),
            p["gammas"].assign(ROI=pd.Categorical(p["gammas"]["ROI"], ["IPS", "V1", "AG"])),
        ).fixed()["estimate"][1:],
        [0.870744, 0.609262], 1e-6,
    ),
    "logistic": (
        lambda p: fitted(rb.Glmer("DV_l ~ IV1 + (IV1 | Group)"), p["sample"]).beta,
        [-0.16098421, 0.00296261], 1e-3,
    ),
    "odds": (
        lambda p: np.exp(p["survival"].coef()["(Intercept)"]), [9.515432, 4.268696, 1.512781], 1e-5,
    ),
    "mtcars": (
        lambda p: fitted(rb.Lmer("mpg ~ 1 + (1 | cyl)"), p["mtcars"]).varcorr()["sdcor"],
        [5.761425, 3.222468], 1e-5,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", DOCUMENTED)
def test_numbers_are_those_of_pymer4s_documentation(what: str, page: Page) -> None:
    """Its R and BLAS are others: tolerances are of the optimum, and of the digits shown."""
    ask, shown, tolerance = DOCUMENTED[what]
    np.testing.assert_allclose(ask(page), shown, rtol=tolerance)
