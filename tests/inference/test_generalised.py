"""Fits that are not linear: what holds for them is R's, and what doesn't is refused by name."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import pooling
from rbridge_mi.testing import run_r
from tests.inference.inference_data import fitted, imputed

pytestmark = pytest.mark.r

FULL = "event ~ x1 + x2 + f + (1 | g)"
REDUCED = "event ~ x1 + (1 | g)"


def glmer(formula: str, data: rb.ImputedData, family: str = "binomial") -> rb.MerModList:
    fits: rb.MerModList = rb.Glmer(formula, family=family).fit(data)
    return fits


@pytest.fixture(scope="module")
def data() -> rb.ImputedData:
    return imputed(m=4).transform(lambda d: d.assign(event=(d["y"] > 1).astype("int64")))


@pytest.fixture(scope="module")
def fits(data: rb.ImputedData) -> rb.MerModList:
    return glmer(FULL, data)


@pytest.fixture(scope="module")
def pooled(fits: rb.MerModList) -> rb.PooledMerMod:
    return fits.pool()


@pytest.fixture(scope="module")
def theirs(data: rb.ImputedData) -> dict[str, Any]:
    code = f"""
    fit <- function(formula) lapply(frames, function(data) lme4::glmer(formula, data, binomial))
    full <- fit({FULL})
    reduced <- fit({REDUCED})
    beta <- sapply(full, lme4::fixef)
    u <- sapply(full, function(x) diag(as.matrix(vcov(x))))
    pooled <- lapply(seq_len(nrow(beta)), function(i) {{
      mice::pool.scalar(beta[i, ], u[i, ], n = Inf)[c("qbar", "t", "df")]
    }})
    d1 <- mitml::testModels(full, reduced, method = "D1")$test
    d2 <- mitml::testModels(full, reduced, method = "D2", use = "likelihood")$test
    means <- sapply(full, function(x) as.data.frame(emmeans::emmeans(x, "f"))$emmean)
    chance <- as.data.frame(emmeans::emmeans(full[[1]], "f", type = "response"))$prob
    """
    return run_r(code, frames=list(data))


def test_df_are_infinite_where_there_is_no_scale(
    pooled: rb.PooledMerMod, fits: rb.MerModList, theirs: dict[str, Any]
) -> None:
    assert (pooled.family, pooled.link, pooled.has_scale) == ("binomial", "logit", False)
    assert pooled.dfcom == math.inf
    assert set(pooled.complete_df) == {math.inf}
    assert fits.pool(math.inf).fixed.equals(pooled.fixed)
    # Fits in another R process: they agree to the optimizer's tolerance.
    for name, key in (("estimate", "qbar"), ("t", "t"), ("df", "df")):
        mice = [float(np.ravel(x[key])[0]) for x in theirs["pooled"]]
        np.testing.assert_allclose(pooled.fixed[name], mice, rtol=1e-6)
    # mice takes the residual ones by itself; they can still be asked for.
    assert set(fits.pool("residual").complete_df) == {float(fits[0].df_residual)}


def test_no_residual_is_invented(pooled: rb.PooledMerMod, fits: rb.MerModList) -> None:
    assert pooled.varcorr["grp"].tolist() == fits[0].varcorr()["grp"].tolist()
    assert math.isnan(pooled.sigma)
    assert pooled.icc.index.tolist() == ["g"]
    variance = pooled.varcorr["vcov"][0]
    assert pooled.icc["g"] == variance / (variance + math.pi**2 / 3)
    linear = fitted("y ~ x1 + (1 | g)", fits.data).pool()
    assert linear.has_scale
    assert linear.icc["g"] > 0


def test_the_summary_names_the_model(pooled: rb.PooledMerMod, fits: rb.MerModList) -> None:
    first, *lines = str(fits.summary()).split("\n")
    assert first.startswith("Generalized linear mixed model (binomial, logit), 4 fits pooled by")
    assert "REML" not in "".join(lines)
    assert f"imp1: 192 obs., -2 logLik {-2 * fits[0].log_lik:.1f}" in "\n".join(lines)


REFUSED: dict[str, Callable[[rb.MerModList, rb.MerModList], object]] = {
    "interval='prediction'": lambda fits, _: fits.predict(interval="prediction"),
    "dfcom='satterthwaite'": lambda fits, _: fits.pool("satterthwaite"),
    "dfcom='kenward-roger'": lambda fits, _: fits.pool("kenward-roger"),
}


@pytest.fixture(scope="module")
def reduced(data: rb.ImputedData) -> rb.MerModList:
    return glmer(REDUCED, data)


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_for_linear_models_is_refused_by_name(
    what: str, fits: rb.MerModList, reduced: rb.MerModList
) -> None:
    with pytest.raises(rb.ArgumentError, match=f"{what}.* is for linear mixed models.*'binom"):
        REFUSED[what](fits, reduced)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("coefficient_df", (np.eye(5), "satterthwaite", False)),
        ("prediction_parts", (None, None, False, True, None)),
        ("deviance_parts", ()),
    ],
)
def test_r_refuses_too(fits: rb.MerModList, function: str, arguments: tuple[Any, ...]) -> None:
    match = "is for linear mixed models: this one is of family 'binomial' with link 'logit'"
    with pytest.raises(rb.RCallError, match=match):
        fits[0].r.call(function, *arguments)


def test_comparisons_are_mitmls(
    fits: rb.MerModList, reduced: rb.MerModList, theirs: dict[str, Any]
) -> None:
    # Of fits in another R process, to the optimizer's tolerance.
    for name, options in (
        ("d1", {"method": "D1"}),
        ("d2", {"method": "D2", "use": "likelihood"}),
    ):
        found = rb.compare(fits, reduced, **options)  # type: ignore[arg-type]
        f, df1, df2, p, riv = np.ravel(theirs[name])
        assert found["df1"][0] == df1
        np.testing.assert_allclose(found[["statistic", "riv"]], [[f, riv]], rtol=1e-4)
        np.testing.assert_allclose(found[["df2", "p_value"]], [[df2, p]], rtol=1e-3)
        assert found.attrs["note"] == ""  # nothing was refitted


def test_other_families_are_not_nested(fits: rb.MerModList, data: rb.ImputedData) -> None:
    with pytest.raises(
        rb.ArgumentError, match=r"'binomial' with link 'logit'.*'poisson' with 'log"
    ):
        rb.compare(fits, glmer(REDUCED, data, "poisson"))


def test_marginal_means(pooled: rb.PooledMerMod, theirs: dict[str, Any]) -> None:
    means = pooled.emmeans("f")
    expected = np.asarray(theirs["means"]).mean(axis=1)
    np.testing.assert_allclose(means["estimate"], expected, rtol=1e-6)
    chance = pooled.emmeans("f", type="response")
    np.testing.assert_allclose(chance["estimate"], 1 / (1 + np.exp(-means["estimate"])))
    with pytest.raises(rb.ArgumentError, match=r"'binomial' has no residual .* needs sigma"):
        pooled.emmeans("f", type="response", bias_adjust=True)
    given = pooled.emmeans("f", type="response", bias_adjust=True, sigma=0.8)
    assert (given["estimate"] != chance["estimate"]).all()


def test_tests_and_diagnostics(pooled: rb.PooledMerMod, fits: rb.MerModList) -> None:
    row = pooled.fixed.set_index("term").loc["x1"]
    test = pooled.test("x1 = 0")
    np.testing.assert_allclose(test["statistic"], row["statistic"] ** 2, rtol=1e-12)
    np.testing.assert_allclose(pooled.contrast("x1")["df"], row["df"], rtol=1e-12)
    with pytest.warns(rb.RBridgeWarning, match="too few imputations"):
        table = pooled.diagnostics().coefficients
    assert np.isfinite(table[["mce_estimate", "mce_std_error"]].to_numpy()).all()
    assert pooled.tidy()["effect"].tolist().count("fixed") == 5


# -- what is computed later ---------------------------------------------------------------------


def test_pickles_hold_fields_and_what_was_asked_of_r(data: rb.ImputedData) -> None:
    fits = fitted("y ~ x1 + (1 | g)", data)
    pooled = fits.pool()
    fits.fixef()  # pools, and keeps that
    assert len(pooled.random) == 3  # two SDs and an ICC
    assert len(pooled.r2) == 1
    assert isinstance(pooled.advice, tuple)
    again, fits_again = pickle.loads(pickle.dumps((pooled, fits)))
    # Of what is computed later, tables that R was asked for stay, and no others.
    assert set(vars(again)) == {x.name for x in dataclasses.fields(pooled)} | {"random", "r2"}
    assert set(vars(fits_again)) == {"fits", "data", "failed"}
    pd.testing.assert_frame_equal(again.fixed, pooled.fixed)
    pd.testing.assert_frame_equal(vars(again)["random"], pooled.random)
    assert fits_again == fits
    assert set(vars(copy.copy(fits.pool()))) == {x.name for x in dataclasses.fields(pooled)}
    assert again.rule is pooling.rule_for("imputation")
