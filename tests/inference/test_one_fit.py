"""One fit against lmerTest and emmeans in another R process: every table of 20 linear models.

Both processes have the same fit, to the last bit, and ask the same functions of R for degrees of
freedom, so that a tolerance allows for one thing only: here sums are taken in another order than in
R. Those of few terms stay within some 1e-14 of each other; where a difference of near equal numbers
is divided by its small standard error, some digits more are lost. 1e-10 holds for all of them.
"""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import rbridge_mi as rb
from rbridge_mi.base.glossary import TABLES
from rbridge_mi.rdoor import prepare
from rbridge_mi.testing import run_r

pytestmark = [pytest.mark.r, pytest.mark.slow]

TOLERANCE = 1e-10
MODES = ("satterthwaite", "kenward-roger", "asymptotic")


def case(data: str, formula: str, factor: str | None = None, **more: Any) -> dict[str, Any]:
    return {"data": data, "formula": formula, "reml": True, "factor": factor, **more}


CASES = {
    "slope": case("sleep", "Reaction ~ Days + (Days | Subject)"),
    "double bar": case("sleep", "Reaction ~ Days * half + (Days || Subject)", "half", trend="Days"),
    "weights": case("sleep", "Reaction ~ Days * half + (1 | Subject)", "half", trend="Days",
                    weights="w"),
    "ml": case("sleep", "Reaction ~ Days + half + (1 | Subject)", "half", reml=False),
    "crossed": case("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
    "many levels": case("penicillin", "diameter ~ sample + (1 | plate)", "sample"),
    "interaction": case("cake", "angle ~ recipe * temperature + (1 | recipe:replicate)", "recipe"),
    "trend": case("cake", "angle ~ recipe * temp + (1 | recipe:replicate)", "recipe", trend="temp"),
    "sum to zero": case("cake", "angle ~ recipe * temperature + (1 | recipe:replicate)", "recipe",
                        contrasts={"recipe": "contr.sum", "temperature": "contr.helmert"}),
    "an empty cell": case("hole", "angle ~ recipe * temperature + (1 | recipe:replicate)",
                          "recipe"),
    "nested": case("pastes", "strength ~ cask + (1 | batch)", "cask"),
    "two ways unbalanced": case("evaluations", "y ~ service * lectage + (1 | s) + (1 | d)",
                                "service"),
    "intercept": case("dyestuff", "Yield ~ 1 + (1 | Batch)"),
    "students": case("achievement", "MathAch ~ SES * Sex + Minority + MEANSES + (SES | School)",
                     "Sex", trend="SES"),
    "growth": case("orthodont", "distance ~ age * Sex + (age | Subject)", "Sex", trend="age"),
    "machines": case("machines", "score ~ Machine + (1 | Worker/Machine)", "Machine"),
    "unbalanced": case("unbalanced", "score ~ Machine + (Machine | Worker)", "Machine"),
    "stools": case("stool", "effort ~ Type + (1 | Subject)", "Type"),
    "no intercept": case("stool", "effort ~ 0 + Type + (1 | Subject)", "Type"),
    "split plot": case("oats", "yield ~ nitro * Variety + (1 | Block/Variety)", "Variety",
                       trend="nitro"),
    "two factors": case("oats", "yield ~ N * Variety + (1 | Block/Variety)", "N"),
    "rails": case("rail", "travel ~ 1 + (1 | Rail)"),
    "pixels": case("pixel", "pixel ~ day + I(day^2) + Side + (day | Dog)", "Side"),
}  # fmt: skip


@pytest.fixture(scope="module")
def theirs() -> dict[str, Any]:
    prepare("lme4")  # loaded here, `run_r` takes care of the order of crossed random effects
    cases = {k: {n: x for n, x in v.items() if x is not None} for k, v in CASES.items()}
    code = Path(__file__).with_name("one_fit.R").read_text("utf-8")
    return run_r(code, cases=cases)


@pytest.fixture(scope="module")
def fits(theirs: dict[str, Any]) -> dict[str, rb.MerMod]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RWarning)  # of singular fits
        return {
            name: rb.Lmer(
                x["formula"],
                reml=x["reml"],
                **{k: x[k] for k in ("weights", "contrasts") if k in x},
            ).fit(theirs["frames"][x["data"]])
            for name, x in CASES.items()
        }


ESTIMATES = list(TABLES["estimates"][1:])
TERMS = list(TABLES["anova_terms"][1:])


def agree(table: pd.DataFrame, rs: dict[str, Any], columns: list[str], rtol: float) -> None:
    """Every value of these columns is R's; what is missing here is missing there."""
    for name in columns:
        theirs = np.atleast_1d(np.asarray(rs[name], dtype=float))
        np.testing.assert_allclose(table[name], theirs, rtol=rtol, atol=0, err_msg=name)


def names(rs: dict[str, Any]) -> list[str]:
    return list(np.atleast_1d(rs["rows"]))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("mode", MODES)
def test_tables_are_lmertests_and_emmeans(
    name: str, mode: str, fits: dict[str, rb.MerMod], theirs: dict[str, Any]
) -> None:
    fit, of_case = fits[name], CASES[name]
    if mode == "kenward-roger" and not of_case["reml"]:
        with pytest.raises(rb.ArgumentError, match="for fits by REML"):
            fit.fixed("kenward-roger")
        return
    rs = theirs["answers"][name][mode]
    dfcom = math.inf if mode == "asymptotic" else mode
    # lme4's own table, the third, has no df, and no p values.
    table = fit.fixed(dfcom)
    assert table["term"].tolist() == names(rs["fixed"])
    columns = ESTIMATES[:3] if mode == "asymptotic" else ESTIMATES[:5]
    agree(table, rs["fixed"], columns, TOLERANCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RBridgeWarning)  # of means that can't be estimated
        check_means(fit, of_case, mode, rs)
    if mode == "asymptotic":
        return
    matrix, right = hypotheses(len(fit.beta))
    table = fit.contrast(matrix, right, dfcom, conf_level=0.9)
    for column in ("estimate", "conf_low", "conf_high"):
        table[column] += right  # lmerTest keeps the right-hand side in the estimate
    agree(table, rs["contest1D"], ESTIMATES, TOLERANCE)
    agree(fit.test(matrix, right, dfcom), rs["contestMD"], TERMS[2:], TOLERANCE)
    for number, expected in enumerate(rs["anova"], 1):
        table = fit.anova(type=number, ddf=mode)  # type: ignore[arg-type]
        assert tuple(table.columns) == TABLES["anova_terms"]
        if len(table):
            assert table["term"].tolist() == names(expected)
        agree(table, expected, TERMS, TOLERANCE)


def hypotheses(p: int) -> tuple[np.ndarray, np.ndarray]:
    matrix = np.vstack([np.arange(1, p + 1) / 7, np.eye(p)[p - 1]])
    k = 2 if p > 1 else 1
    return matrix[:k], np.array([0.3, -0.2])[:k]


def check_means(fit: rb.MerMod, of_case: dict[str, Any], mode: str, rs: dict[str, Any]) -> None:
    factor = of_case["factor"]
    if factor is None:
        return
    agree(fit.emmeans(factor, lmer_df=mode), rs["emmeans"].pop("means"), ESTIMATES, TOLERANCE)
    for adjust, expected in rs["emmeans"].items():
        table = fit.emmeans(factor, contrast="pairwise", adjust=adjust, lmer_df=mode)
        agree(table, expected, ESTIMATES, TOLERANCE)
    if "trend" not in of_case:
        return
    trend = of_case["trend"]
    slopes = fit.emtrends(factor, trend, lmer_df=mode)
    agree(slopes, rs["emtrends"]["means"], ESTIMATES, TOLERANCE)
    pairs = fit.emtrends(factor, trend, contrast="pairwise", lmer_df=mode)
    agree(pairs, rs["emtrends"]["tukey"], ESTIMATES, TOLERANCE)


@pytest.mark.parametrize("name", CASES)
def test_the_sequential_table_is_lme4s(
    name: str, fits: dict[str, rb.MerMod], theirs: dict[str, Any]
) -> None:
    table = fits[name].anova(ddf="lme4")
    agree(table, theirs["answers"][name]["lme4"], ["df1", "sum_sq", "mean_sq", "statistic"], 0)
    assert table[["df2", "p_value"]].isna().all(axis=None)


def test_defaults(fits: dict[str, rb.MerMod]) -> None:
    fit = fits["growth"]
    pd.testing.assert_frame_equal(fit.fixed(), fit.fixed("satterthwaite"))
    pd.testing.assert_frame_equal(fit.anova(), fit.anova(type="III", ddf="satterthwaite"))
    pd.testing.assert_frame_equal(fit.emmeans("Sex"), fit.emmeans("Sex", dfcom="satterthwaite"))
    assert set(fit.fixed("residual")["df"]) == {float(fit.df_residual)}
    assert set(fit.fixed(12)["df"]) == {12.0}
    narrow, wide = fit.fixed(conf_level=0.5), fit.fixed(conf_level=0.99)
    assert (wide["conf_low"] < narrow["conf_low"]).all()


def test_one_hypothesis_is_the_squared_t(fits: dict[str, rb.MerMod]) -> None:
    fit = fits["growth"]
    for dfcom in ("satterthwaite", "kenward-roger", "residual", math.inf):
        one, t = fit.test("age = 0.5", dfcom=dfcom), fit.contrast("age = 0.5", dfcom=dfcom)
        np.testing.assert_allclose(one["statistic"], t["statistic"] ** 2, rtol=1e-13)
        np.testing.assert_allclose(one["p_value"], t["p_value"], rtol=1e-12)
        np.testing.assert_allclose(one["df2"], t["df"], rtol=1e-13)


def test_adjusted_contrasts_are_emmeans(fits: dict[str, rb.MerMod]) -> None:
    """The same comparisons by coefficients and by emmeans, which has its own adjustments."""
    fit = fits["stools"]
    pairs = ["-TypeT2", "-TypeT3", "-TypeT4", "TypeT2 - TypeT3", "TypeT2 - TypeT4",
             "TypeT3 - TypeT4"]  # fmt: skip
    for adjust in ("none", "bonferroni", "sidak", "holm", "hochberg", "hommel", "BH", "fdr", "BY"):
        here = fit.contrast(pairs, adjust=adjust)
        there = fit.emmeans("Type", contrast="pairwise", adjust=adjust)
        # Sidak's 1 - (1 - p)^k loses in emmeans what is below 1e-16.
        np.testing.assert_allclose(here[ESTIMATES], there[ESTIMATES], rtol=1e-11, atol=1e-15)
    assert fit.contrast(pairs, adjust="holm").attrs["note"] == (
        "p values are adjusted by holm, intervals by bonferroni, for 6 comparisons"
    )
    assert "not adjusted" in fit.contrast(pairs).attrs["note"]
    assert fit.contrast(pairs[0], adjust="holm").attrs["note"] == ""


MORE = """
suppressMessages({library(lme4); library(emmeans)})
d$keep <- d$Days > 1
fits <- list(
  lmer(Reaction ~ scale(Days) * half + (1 | Subject), d),
  lmer(Reaction ~ poly(Days, 2) * half + (1 | Subject), d, subset = keep),
  lmer(log(Reaction) ~ Days * half + (1 | Subject), d, weights = w)
)
slopes <- lapply(fits, function(fit) {
  table <- summary(emtrends(fit, "half", "Days", lmer.df = "satterthwaite"), infer = TRUE)
  list(estimate = table$Days.trend, std_error = table$SE, df = table$df, p_value = table$p.value)
})
bends <- as.data.frame(emtrends(fits[[2]], "half", "Days", max.degree = 2, delta.var = 1,
                                lmer.df = "asymptotic"))
bends$degree <- as.character(bends$degree)
"""


def test_slopes_of_transformed_covariates(theirs: dict[str, Any]) -> None:
    """With subset and weights: emtrends finds the data itself, through the fit's call."""
    data = theirs["frames"]["sleep"].assign(keep=lambda d: d["Days"] > 1)
    rs = run_r(MORE, d=data)
    models = (
        rb.Lmer("Reaction ~ scale(Days) * half + (1 | Subject)"),
        rb.Lmer("Reaction ~ poly(Days, 2) * half + (1 | Subject)", subset="keep"),
        rb.Lmer("log(Reaction) ~ Days * half + (1 | Subject)", weights="w"),
    )
    fits = [model.fit(data) for model in models]
    for fit, expected in zip(fits, rs["slopes"], strict=True):
        table = fit.emtrends("half", "Days")
        assert table["half"].tolist() == ["early", "late"]
        agree(table, expected, ["estimate", "std_error", "df", "p_value"], 1e-9)
    table = fits[1].emtrends("half", "Days", max_degree=2, delta_var=1, dfcom=math.inf)
    assert table["degree"].tolist() == rs["bends"]["degree"].tolist()
    np.testing.assert_allclose(table["estimate"], rs["bends"]["Days.trend"], rtol=TOLERANCE)


PREDICTED = """
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest)})
fit <- lme4::lmer(distance ~ age * Sex + (age | Subject), d)
model <- as_lmerModLmerTest(fit)
X <- model.matrix(fit)[1:8, ]
rows <- function(ddf) as.matrix(do.call(rbind, lapply(1:8, function(i) {
  contest1D(model, X[i, ], ddf = ddf, confint = TRUE)
}))[c("Estimate", "Std. Error", "df", "lower", "upper")])
satterthwaite <- rows("Satterthwaite")
adjusted <- rows("Kenward-Roger")
"""


def test_predictions_of_the_fixed_part_are_contrasts(
    fits: dict[str, rb.MerMod], theirs: dict[str, Any]
) -> None:
    data = theirs["frames"]["orthodont"]
    rs = run_r(PREDICTED, d=data)
    fit, eight = fits["growth"], data.head(8)
    plain = fit.predict(eight, "NA", interval="confidence")
    adjusted = fit.predict(eight, "NA", interval="confidence", dfcom="kenward-roger")
    assert tuple(plain.columns) == TABLES["predict_confidence"]
    # The derivatives of the variances are numerical ones, and taken in other steps than lmerTest's.
    np.testing.assert_allclose(plain, rs["satterthwaite"], rtol=1e-6)
    np.testing.assert_allclose(adjusted, rs["adjusted"], rtol=TOLERANCE)
    assert plain["estimate"].tolist() == fit.predict(eight, "NA").tolist()


def test_prediction_intervals(fits: dict[str, rb.MerMod], theirs: dict[str, Any]) -> None:
    fit, eight = fits["growth"], theirs["frames"]["orthodont"].head(8)
    confidence = fit.predict(eight, interval="confidence", dfcom="residual", conf_level=0.9)
    new = fit.predict(eight, interval="prediction", dfcom="residual", conf_level=0.9)
    by_hand = fit.predict(eight, se_fit=True)
    np.testing.assert_allclose(confidence["std_error"], by_hand["std_error"], rtol=1e-13)
    np.testing.assert_allclose(
        new["std_error"], np.sqrt(by_hand["std_error"] ** 2 + fit.sigma**2), rtol=1e-13
    )
    half = scipy.stats.t.ppf(0.95, fit.df_residual) * new["std_error"]
    np.testing.assert_allclose(new["pred_high"], by_hand["estimate"] + half, rtol=1e-12)
    np.testing.assert_allclose(new["pred_low"], by_hand["estimate"] - half, rtol=1e-12)


# --- what is refused ----------------------------------------------------------------------------

WRONG: dict[str, tuple[str, Callable[[rb.MerMod], object]]] = {
    "dfcom": ("dfcom must be", lambda fit: fit.fixed("many")),
    "level": ("conf_level", lambda fit: fit.fixed(conf_level=95)),
    "contrast's level": ("conf_level", lambda fit: fit.contrast("age", conf_level=95)),
    "hypothesis": ("can't be read", lambda fit: fit.test("weight = 0")),
    "dependent": ("follows from", lambda fit: fit.test("age = 0, 2*age = 0")),
    "contrast": ("can't be read", lambda fit: fit.contrast("weight")),
    "adjust": ("adjust must be one of", lambda fit: fit.contrast("age", adjust="tukey")),
    "adjust of emmeans": ("adjust must be one of", lambda fit: fit.emmeans("Sex", adjust="some")),
    "both names": ("one of them", lambda fit: fit.emmeans("Sex", dfcom=3, lmer_df="asymptotic")),
    "lmer_df": ("lmer_df must be one of", lambda fit: fit.emmeans("Sex", lmer_df="none")),
    "both levels": ("give one of them", lambda fit: fit.emmeans("Sex", conf_level=0.9, level=0.9)),
    "var": ("var must be a text", lambda fit: fit.emtrends("Sex", 3)),  # type: ignore[arg-type]
    "offset": ("a slope has none", lambda fit: fit.emtrends("Sex", "age", offset=1)),
    "type of slopes": ("of the link", lambda fit: fit.emtrends("Sex", "age", type="response")),
    "delta_var": ("delta_var must be", lambda fit: fit.emtrends("Sex", "age", delta_var=0)),
    "max_degree": ("max_degree must be", lambda fit: fit.emtrends("Sex", "age", max_degree=9)),
    "type": ("type must be 1, 2 or 3", lambda fit: fit.anova(type=4)),
    "truth": ("type must be 1, 2 or 3", lambda fit: fit.anova(type=True)),
    "ddf": ("ddf must be one of", lambda fit: fit.anova(ddf="none")),  # type: ignore[arg-type]
    "lme4's": ("of type 1", lambda fit: fit.anova(type=3, ddf="lme4")),
    "others": ("leave the others out", lambda fit: fit.anova(fit, type=3)),
    "interval": ("interval must be one of", lambda fit: fit.predict(interval="new")),  # type: ignore[call-overload]
    "random_only": ("can't be combined with random.only",
                    lambda fit: fit.predict(interval="confidence", random_only=True)),
    "level alone": ("give interval, too", lambda fit: fit.predict(conf_level=0.9)),
    "random part": ("of the fixed part alone",
                    lambda fit: fit.predict(interval="confidence", dfcom="kenward-roger")),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_wrong_arguments_are_refused_by_name(what: str, fits: dict[str, rb.MerMod]) -> None:
    match, ask = WRONG[what]
    with pytest.raises(rb.ArgumentError, match=match):
        ask(fits["growth"])


def test_var_is_a_name_and_no_code(fits: dict[str, rb.MerMod], tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for var in (f"system('touch {canary}')", "log(age)", "distance", "Sex", "Subject", "nothing"):
        with pytest.raises(rb.RCallError, match="is no numeric column of the model's fixed part"):
            fits["growth"].emtrends("Sex", var)
    assert not canary.exists()


def test_kenward_and_roger_leave_weights_out(fits: dict[str, rb.MerMod]) -> None:
    with pytest.warns(rb.RWarning, match="leaves the fit's weights out of Kenward"):
        fits["weights"].fixed("kenward-roger")


def test_absent_packages_are_named() -> None:
    """An R that finds neither lmerTest, pbkrtest nor emmeans."""
    program = """
import warnings
import rbridge_mi as rb
from rbridge_mi import rdoor
from tests.inference.inference_data import complete
fit = rb.Lmer("y ~ x1 * f + (1 | g)").fit(complete())
hidden = rdoor.call_object("base::eval", rdoor.call_object("base::str2lang",
    "function(name) !name %in% c('lmerTest', 'pbkrtest', 'emmeans', 'reformulas')"))
rdoor.call("base::assign", "has_package", hidden,
           envir=rdoor.call_object("base::environment", rdoor.call_object("find_function", "run")))
for ask, name in (
    (fit.fixed, "lmerTest"), (fit.anova, "lmerTest"), (lambda: fit.test("x1 = 0"), "lmerTest"),
    (lambda: fit.contrast("x1"), "lmerTest"),
    (lambda: fit.fixed("kenward-roger"), "pbkrtest"),
    (lambda: fit.test("x1 = 0", dfcom="kenward-roger"), "pbkrtest"),
    (lambda: fit.emmeans("f"), "emmeans"), (lambda: fit.emtrends("f", "x1"), "emmeans"),
    (lambda: fit.predict(interval="confidence"), "lmerTest"),
):
    try:
        ask()
    except rb.RPackageError as error:
        assert f"r-cran-{name.lower()}" in str(error), error
    else:
        raise SystemExit(f"{name} was not missed")
assert len(fit.fixed("residual")) == 6
assert fit.anova(ddf="lme4")["p_value"].isna().all()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
