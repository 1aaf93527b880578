"""Terms tested: pooled by D1 against mitml, and of generalised fits by Wald's chi-squared.

What generalised single fits have besides: z tests, odds ratios, means and slopes.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import rbridge_mi as rb
from rbridge_mi import pooling
from rbridge_mi.base.glossary import TABLES
from rbridge_mi.testing import run_r
from tests.inference.inference_data import complete, fitted, imputed
from tests.inference.test_generalised import glmer

pytestmark = [pytest.mark.r, pytest.mark.slow]

FORMULA = "y ~ x1 * f + x2 + (1 | g)"


@pytest.fixture(scope="module")
def data() -> rb.ImputedData:
    return imputed(m=5).transform(lambda d: d.assign(event=(d["y"] > 1).astype("int64")))


@pytest.fixture(scope="module")
def fits(data: rb.ImputedData) -> rb.MerModList:
    return fitted(FORMULA, data)


def quietly(ask: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RBridgeWarning)
        return ask()


# --- pooled terms ---------------------------------------------------------------------------------

TYPE_3 = """
suppressMessages({library(lme4); library(lmerTest)})
fits <- lapply(frames, function(d) lmerTest::lmer(y ~ x1 * f + x2 + (1 | g), d))
hypotheses <- attr(anova(fits[[1]], type = 3), "hypotheses")
tests <- lapply(hypotheses, function(L) {
  names <- paste0("b", seq_len(ncol(L)))
  text <- apply(L, 1, function(row) paste(row, "*", names, collapse = " + "))
  q <- sapply(fits, function(fit) unname(fixef(fit)))
  rownames(q) <- names
  u <- simplify2array(lapply(fits, function(fit) unname(as.matrix(vcov(fit)))))
  dimnames(u) <- list(names, names, NULL)
  tested <- mitml::testConstraints(qhat = q, uhat = u, constraints = text, df.com = dfcom)
  # D1's statistic and relative increase in variance (Li, Raghunathan and Rubin 1991) by hand.
  m <- length(fits)
  q <- L %*% q
  within <- Reduce(`+`, lapply(seq_len(m), function(i) L %*% u[, , i] %*% t(L))) / m
  riv <- (1 + 1 / m) * sum(diag(var(t(q)) %*% solve(within))) / nrow(L)
  means <- rowMeans(q)
  c(tested$test[1, ], drop(means %*% solve(within, means)) / nrow(L) / (1 + riv), riv)
})
"""


def test_type_3_is_mitmls_test_of_lmertests_hypotheses(
    fits: rb.MerModList, data: rb.ImputedData
) -> None:
    dfcom = float(fits[0].df_residual)
    theirs = run_r(TYPE_3, frames=list(data), dfcom=dfcom)["tests"]
    pooled = fits.pool()
    table = pooled.anova()
    assert tuple(table.columns) == TABLES["anova_pooled"]
    assert table["term"].tolist() == ["x1", "f", "x2", "x1:f"]
    assert set(table["method"]) == {"D1"}
    for row in table.itertuples():
        f, df1, df2, p, riv, by_hand, riv_by_hand = theirs[row.term]
        assert row.df1 == df1
        np.testing.assert_allclose([row.statistic, row.riv], [by_hand, riv_by_hand], rtol=1e-10)
        # mitml differentiates the constraints numerically.
        np.testing.assert_allclose([row.statistic, row.riv], [f, riv], rtol=1e-7)
        if df1 > 1:  # of one coefficient the df is that of the pooled table, and mitml's is not
            np.testing.assert_allclose([row.df2, row.p_value], [df2, p], rtol=1e-6)
    one = pooled.fixed.set_index("term").loc["x2"]
    x2 = table.set_index("term").loc["x2"]
    np.testing.assert_allclose([x2["df2"], x2["p_value"]], one[["df", "p_value"]], rtol=1e-10)
    pd.testing.assert_frame_equal(table, pooled.anova(type="III"))


def test_the_coding_of_factors_does_not_matter(data: rb.ImputedData) -> None:
    plain = fitted(FORMULA, data).pool().anova()
    summed = fitted(FORMULA, data, contrasts={"f": "contr.sum"}).pool().anova()
    # Two parametrisations of one model, whose optima agree to the optimizer's tolerance.
    for column in ("statistic", "df2", "p_value", "riv"):
        np.testing.assert_allclose(summed[column], plain[column], rtol=1e-4)


def test_small_sample_df_are_means_over_the_fits(fits: rb.MerModList) -> None:
    small = fits.pool("satterthwaite").anova()
    usual = fits.pool().anova()
    np.testing.assert_allclose(small["statistic"], usual["statistic"], rtol=1e-12)
    assert (small["df2"] <= usual["df2"]).all()


def test_types_1_and_2_where_nothing_of_the_fixed_part_was_imputed() -> None:
    def same_x2(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(x2=complete()["x2"])

    data = imputed(m=4).transform(same_x2)
    pooled = fitted(FORMULA, data).pool()
    second, third = pooled.anova(type=2), pooled.anova(type=3)
    # The highest term is tested alike, and x1 within no interaction is another hypothesis.
    np.testing.assert_allclose(
        second["statistic"].iloc[[2, 3]], third["statistic"].iloc[[2, 3]], rtol=1e-10
    )
    assert second["statistic"][0] != pytest.approx(third["statistic"][0], rel=1e-3)
    first = pooled.anova(type="I")
    np.testing.assert_allclose(first["statistic"].iloc[3], third["statistic"].iloc[3], rtol=1e-6)


def test_hypotheses_that_differ_are_refused(fits: rb.MerModList) -> None:
    for number in (1, 2):
        with pytest.raises(
            rb.PoolingError, match=f"hypotheses of type {number} about .* others in"
        ):
            fits.pool().anova(type=number)
    for wrong in (0, 4, "IV", True, None, 3.0):
        with pytest.raises(rb.ArgumentError, match="type must be 1, 2 or 3"):
            fits.pool().anova(type=wrong)  # type: ignore[arg-type]


def test_bootstrap_samples_are_refused() -> None:
    boot = rb.BootstrapImputer(m=3, cluster="g").impute(complete(), seed=1)
    fits = fitted("y ~ x1 + (1 | g)", boot)
    with pytest.raises(rb.PoolingError, match="bootstrap samples are none"):
        fits.pool().anova()
    with pytest.raises(rb.ArgumentError, match="vcov has no effect on bootstrap"):
        fits.pool(vcov="kenward-roger")


def test_notes_name_the_term(data: rb.ImputedData) -> None:
    few = fitted(FORMULA, rb.ImputedData.from_frames(list(data)[:2]))
    with pytest.warns(rb.RBridgeWarning, match=r"anova: f: k \(m - 1\) = 2 is at most 4") as caught:
        table = few.pool().anova()
    assert caught[-1].filename == __file__
    assert table.attrs["note"].startswith("f: ")


# --- pooled slopes, adjustments, Kenward and Roger ------------------------------------------------

TRENDS = """
suppressMessages({library(lme4); library(emmeans)})
slopes <- lapply(frames, function(d) {
  fit <- lmer(y ~ x1 * f + x2 + (1 | g), d)
  table <- as.data.frame(emtrends(fit, "f", "x1", lmer.df = "asymptotic"))
  list(estimate = table$x1.trend, se = table$SE)
})
adjusted <- lapply(frames, function(d) {
  as.matrix(pbkrtest::vcovAdj(lmer(y ~ x1 * f + x2 + (1 | g), d)))
})
"""


@pytest.fixture(scope="module")
def theirs(data: rb.ImputedData) -> dict[str, Any]:
    return run_r(TRENDS, frames=list(data))


def test_pooled_slopes(fits: rb.MerModList, theirs: dict[str, Any]) -> None:
    q = np.array([x["estimate"] for x in theirs["slopes"]])
    u = np.array([x["se"] for x in theirs["slopes"]]) ** 2
    pooled = fits.pool(conf_level=0.9)
    expected = pooling.pool_scalars(q, u, dfcom=float(fits[0].df_residual), conf_level=0.9)
    table = pooled.emtrends("f", "x1")
    assert list(table.columns) == ["f", *pooling.COLUMNS]
    for column in ("estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high", "t"):
        np.testing.assert_allclose(table[column], getattr(expected, column), rtol=1e-8)
    # A slope is a coefficient, or a sum of two.
    alone = pooled.contrast(["x1", "x1 + `x1:fb`", "x1 + `x1:fc`"])
    np.testing.assert_allclose(table["estimate"], alone["estimate"], rtol=1e-9)
    pairs = pooled.emtrends("f", "x1", contrast="pairwise", adjust="none")
    assert len(pairs) == 3


def test_kenward_and_rogers_standard_errors(fits: rb.MerModList, theirs: dict[str, Any]) -> None:
    usual, pooled = fits.pool("kenward-roger"), fits.pool("kenward-roger", vcov="kenward-roger")
    assert (usual.vcov_method, pooled.vcov_method) == ("model", "kenward-roger")
    u = np.array([np.asarray(x) for x in theirs["adjusted"]])
    expected = pooling.pool_vcov([fit.beta for fit in fits], u)
    np.testing.assert_allclose(pooled.vcov, expected.t, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(pooled.fixed["std_error"], np.sqrt(np.diag(expected.t)), rtol=1e-10)
    assert (pooled.fixed["std_error"] > usual.fixed["std_error"]).all()
    # All that is asked has them.
    x2 = pooled.fixed.set_index("term").loc["x2"]
    np.testing.assert_allclose(pooled.contrast("x2")["std_error"], x2["std_error"], rtol=1e-12)
    np.testing.assert_allclose(pooled.test("x2")["statistic"], x2["statistic"] ** 2, rtol=1e-12)
    np.testing.assert_allclose(pooled.emtrends("f", "x2")["std_error"], x2["std_error"], rtol=1e-8)
    assert pooled.anova()["statistic"][2] == pytest.approx(x2["statistic"] ** 2, rel=1e-10)
    errors = quietly(pooled.diagnostics).coefficients
    assert not errors["mce_std_error"].equals(
        quietly(usual.diagnostics).coefficients["mce_std_error"]
    )


def test_saved_models_keep_them(fits: rb.MerModList, tmp_path: Path) -> None:
    pooled = fits.pool("kenward-roger", vcov="kenward-roger")
    again: Any = rb.load(rb.save(pooled, tmp_path / "pooled.zip"), allow_r_object=True)
    assert again.vcov_method == "kenward-roger"
    pd.testing.assert_frame_equal(again.contrast("x2"), pooled.contrast("x2"))


def test_vcov_is_checked(data: rb.ImputedData, fits: rb.MerModList) -> None:
    with pytest.raises(rb.ArgumentError, match=r"vcov must be one of .*, not 'adjusted'"):
        fits.pool(vcov="adjusted")  # type: ignore[arg-type]
    by_ml = fitted("y ~ x1 + (1 | g)", data, reml=False)
    with pytest.raises(rb.ArgumentError, match="for fits by REML"):
        by_ml.pool(vcov="kenward-roger")
    with pytest.raises(rb.ArgumentError, match="is for linear mixed models"):
        glmer("event ~ x1 + (1 | g)", data).pool(vcov="kenward-roger")


def test_pooled_contrasts_are_adjusted(fits: rb.MerModList) -> None:
    pooled = fits.pool()
    plain, holm = (
        pooled.contrast(["x1", "x2", "fb"]),
        pooled.contrast(["x1", "x2", "fb"], adjust="holm"),
    )
    np.testing.assert_allclose(
        holm["p_value"], pooling.adjusted_p(plain["p_value"], "holm"), rtol=1e-14
    )
    wide = pooled.contrast(["x1", "x2", "fb"], conf_level=1 - 0.05 / 3)
    np.testing.assert_allclose(holm[["conf_low", "conf_high"]], wide[["conf_low", "conf_high"]])
    with pytest.raises(rb.ArgumentError, match=r"adjust must be one of .*, not 'tukey'"):
        pooled.contrast("x1", adjust="tukey")


def test_a_mean_that_cannot_be_estimated_leaves_the_others_their_df(data: rb.ImputedData) -> None:
    """Of three means the first has no data in a cell; the df of the others stay in their rows."""

    def hole(d: pd.DataFrame) -> pd.DataFrame:
        d = d.assign(h=pd.Categorical(np.where(d["h"].isin(["h1", "h2"]), "u", "v")))
        return d[~((d["f"] == "a") & (d["h"] == "u"))].reset_index(drop=True)

    frames = [hole(x) for x in data]
    fits = fitted("y ~ f * h + (1 | g)", rb.ImputedData.from_frames(frames))
    table = quietly(lambda: fits.pool().emmeans("f", contrast="pairwise", adjust="none"))
    assert table["estimate"].isna().tolist() == [True, True, False]
    last = table.iloc[2]
    half = last["conf_high"] - last["estimate"]
    assert half == pytest.approx(scipy.stats.t.ppf(0.975, last["df"]) * last["std_error"], rel=1e-9)


# --- generalised fits -----------------------------------------------------------------------------

# Types II and III as car defines them: Wald's chi-squared of the coefficients of a term and of the
# terms that contain it, minus that of the latter; and of the term's coefficients as they stand.
WALD = """
suppressMessages({library(lme4); library(emmeans)})
fit <- glmer(event ~ x1 * f + x2 + (1 | g), d, binomial)
b <- fixef(fit)
V <- as.matrix(vcov(fit))
wald <- function(i) if (length(i) == 0) 0 else drop(b[i] %*% solve(V[i, i], b[i]))
own <- list(1, 2, 3:4, 5, 6:7)
above <- list(NULL, 6:7, 6:7, NULL, NULL)
third <- sapply(own, wald)
second <- mapply(function(i, j) wald(c(i, j)) - wald(j), own, above)[-1]
k <- lengths(own)
p <- pchisq(third, k, lower.tail = FALSE)
tidied <- as.data.frame(broom.mixed::tidy(fit, "fixed", conf.int = TRUE, exponentiate = TRUE))
means <- as.data.frame(emmeans(fit, "f", type = "response"))
slopes <- as.data.frame(emtrends(fit, "f", "x1"))
"""


@pytest.fixture(scope="module")
def event(data: rb.ImputedData) -> rb.MerMod:
    return glmer("event ~ x1 * f + x2 + (1 | g)", rb.ImputedData.from_frames(list(data)[:2]))[0]


@pytest.fixture(scope="module")
def wald(data: rb.ImputedData) -> dict[str, Any]:
    return run_r(WALD, d=data[0])


def test_wald_tests_of_terms(event: rb.MerMod, wald: dict[str, Any]) -> None:
    third = event.anova(type=3)
    assert tuple(third.columns) == TABLES["anova_wald"]
    assert third["term"].tolist() == ["(Intercept)", "x1", "f", "x2", "x1:f"]
    np.testing.assert_allclose(third["statistic"], wald["third"], rtol=1e-10)
    assert third["df"].tolist() == [1, 1, 2, 1, 2]
    np.testing.assert_allclose(third["p_value"], wald["p"], rtol=1e-10)
    second = event.anova(type="II")
    assert second["term"].tolist() == ["x1", "f", "x2", "x1:f"]
    # Theirs is a difference of two larger numbers.
    np.testing.assert_allclose(second["statistic"], wald["second"], rtol=1e-9)
    joint = event.test(np.eye(7)[5:])
    np.testing.assert_allclose(joint["statistic"] * 2, third["statistic"].iloc[4], rtol=1e-12)
    plain = event.anova()
    assert tuple(plain.columns) == TABLES["anova_terms"]
    pd.testing.assert_frame_equal(plain, event.anova(type=1, ddf="lme4"))
    assert plain["p_value"].isna().all()


def test_a_generalised_fit_has_z_tests_and_odds_ratios(
    event: rb.MerMod, wald: dict[str, Any]
) -> None:
    table = event.fixed()
    assert set(table["df"]) == {math.inf}
    ratios = event.fixed(exponentiate=True)
    tidied = wald["tidied"]
    for here, there in (
        ("estimate", "estimate"), ("std_error", "std.error"), ("statistic", "statistic"),
        ("p_value", "p.value"), ("conf_low", "conf.low"), ("conf_high", "conf.high"),
    ):  # fmt: skip
        np.testing.assert_allclose(ratios[here], tidied[there], rtol=1e-10)
    means, slopes = event.emmeans("f", type="response"), event.emtrends("f", "x1")
    np.testing.assert_allclose(means["estimate"], wald["means"]["prob"], rtol=1e-10)
    np.testing.assert_allclose(means["std_error"], wald["means"]["SE"], rtol=1e-10)
    np.testing.assert_allclose(slopes["estimate"], wald["slopes"]["x1.trend"], rtol=1e-10)
    np.testing.assert_allclose(slopes["conf_low"], wald["slopes"]["asymp.LCL"], rtol=1e-10)


def test_intervals_of_generalised_predictions(event: rb.MerMod, data: rb.ImputedData) -> None:
    eight = data[0].head(8)
    link = event.predict(eight, "NA", interval="confidence")
    chance = event.predict(eight, "NA", interval="confidence", type="response")
    for name in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(chance[name], 1 / (1 + np.exp(-link[name])), rtol=1e-12)
    assert set(link["df"]) == {math.inf}
    half = scipy.stats.norm.ppf(0.975) * link["std_error"]
    np.testing.assert_allclose(link["conf_high"], link["estimate"] + half, rtol=1e-12)
    both = event.predict(eight, "NA", se_fit=True)
    np.testing.assert_allclose(link["std_error"], both["std_error"], rtol=1e-12)


def test_what_is_of_linear_models_is_refused(event: rb.MerMod, data: rb.ImputedData) -> None:
    for ask in (
        lambda: event.fixed("satterthwaite"),
        lambda: event.fixed("kenward-roger"),
        lambda: event.anova(ddf="satterthwaite"),
        lambda: event.predict(interval="prediction"),
        lambda: event.emmeans("f", lmer_df="kenward-roger"),
    ):
        with pytest.raises(rb.ArgumentError, match="linear mixed models"):
            ask()
    inverse = glmer(
        "exp(y / 5) ~ x1 + (1 | g)", rb.ImputedData.from_frames(list(data)[:2]), "Gamma"
    )
    with pytest.raises(rb.ArgumentError, match=r"log scale .* 'inverse' have no meaning"):
        inverse[0].fixed(exponentiate=True)
    assert set(inverse[0].fixed()["df"]) == {math.inf}  # as in lme4's summary, scale or not


def test_pooled_terms_of_generalised_fits(data: rb.ImputedData) -> None:
    pooled = glmer("event ~ x1 * f + (1 | g)", data).pool()
    table = pooled.anova()
    assert table["term"].tolist() == ["(Intercept)", "x1", "f", "x1:f"]
    joint = pooled.test(["fb", "fc"])
    for column in ("statistic", "df1", "df2", "p_value", "riv"):
        assert table.set_index("term").loc["f", column] == pytest.approx(
            joint[column][0], rel=1e-12
        )
    for number in (1, 2):
        with pytest.raises(rb.ArgumentError, match=f"type {number} of a generalised model"):
            pooled.anova(type=number)
