"""Degrees of freedom of the complete data: residual, a number, Satterthwaite, Kenward and Roger."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.inference.degrees_of_freedom import complete_df
from rbridge_mi.pooling import barnard_rubin_df
from rbridge_mi.testing import run_r
from tests.inference.inference_data import complete, fitted, imputed

pytestmark = [pytest.mark.r, pytest.mark.slow]

FORMULA = "y ~ x1 + x2 + f + (1 + x1 | g)"


@pytest.fixture(scope="module")
def data() -> rb.ImputedData:
    return imputed(m=3)


@pytest.fixture(scope="module")
def fits(data: rb.ImputedData) -> rb.MerModList:
    return fitted(FORMULA, data)


def test_residual_is_the_default(fits: rb.MerModList) -> None:
    a, b = fits.pool(), fits.pool("residual")
    pd.testing.assert_frame_equal(a.fixed, b.fixed)
    assert a.dfcom == b.dfcom == "residual"
    assert set(a.complete_df) == {192 - 9}
    pd.testing.assert_frame_equal(a.fixed, fits.pool(183).fixed)
    assert fits.pool(np.float64(183)).fixed.equals(a.fixed)
    assert (fits.pool(math.inf).fixed["df"] > a.fixed["df"]).all()


@pytest.mark.parametrize(
    ("dfcom", "ddf"), [("satterthwaite", "Satterthwaite"), ("kenward-roger", "Kenward-Roger")]
)
def test_small_sample_is_the_mean_of_lmertests(
    fits: rb.MerModList, data: rb.ImputedData, dfcom: str, ddf: str
) -> None:
    code = """
    df <- sapply(frames, function(d) {
      fit <- lmerTest::lmer(y ~ x1 + x2 + f + (1 + x1 | g), d)
      summary(fit, ddf = ddf)$coefficients[, "df"]
    })
    joint <- sapply(frames, function(d) {
      fit <- lmerTest::lmer(y ~ x1 + x2 + f + (1 + x1 | g), d)
      lmerTest::contestMD(fit, rbind(c(0, 0, 0, 1, 0), c(0, 0, 0, 0, 1)), ddf = ddf)$DenDF
    })
    """
    found = run_r(code, frames=list(data), ddf=ddf)
    pooled = fits.pool(dfcom)
    # lmerTest differentiates numerically, along the last bits of where the optimizer stopped.
    expected = np.asarray(found["df"]).mean(axis=1)
    assert list(pooled.complete_df.index) == list(pooled.fixed["term"])
    np.testing.assert_allclose(pooled.complete_df, expected, rtol=1e-5)
    df = barnard_rubin_df(3, pooled.fixed["riv"], pooled.complete_df)
    np.testing.assert_allclose(pooled.fixed["df"], df, rtol=1e-12)
    # Few groups stand behind the slope of x1, which the residual df doesn't see.
    assert pooled.complete_df["x1"] < 30 < fits.pool().complete_df["x1"]
    # Standard errors stay lme4's.
    assert pooled.fixed["std_error"].equals(fits.pool().fixed["std_error"])
    with pytest.warns(rb.RBridgeWarning, match="at most 4"):  # k (m - 1) = 4
        joint = pooled.test("fb = 0, fc = 0")
    with pytest.warns(rb.RBridgeWarning, match="at most 4"):
        given = fits.pool(float(np.mean(found["joint"]))).test("fb = 0, fc = 0")
    np.testing.assert_allclose(joint["df2"], given["df2"], rtol=1e-5)
    one = pooled.test("x1 = 0")
    np.testing.assert_allclose(one["df2"], pooled.fixed["df"][1], rtol=1e-12)


ML = """
df <- sapply(frames, function(d) {
  fit <- lme4::lmer(y ~ x1 + x2 + (1 | g), d, REML = FALSE)
  by_reml <- update(fit, REML = TRUE)
  p <- diag(3)
  list(
    pbkrtest = apply(p, 1, function(row) pbkrtest::get_Lb_ddf(by_reml, row)),
    joint = lmerTest::contestMD(lmerTest::as_lmerModLmerTest(by_reml), p[2:3, ],
                                ddf = "Kenward-Roger")$DenDF,
    satterthwaite = summary(lmerTest::as_lmerModLmerTest(fit))$coefficients[, "df"],
    satterthwaite_joint = lmerTest::contestMD(lmerTest::as_lmerModLmerTest(fit), p[2:3, ])$DenDF,
    wrong = pbkrtest::Lb_ddf(p[1, ], vcov(fit), pbkrtest::vcovAdj(fit))
  )
}, simplify = FALSE)
"""


def test_kenward_rogers_df_of_ml_fits_are_those_of_the_reml_refit() -> None:
    """Few groups, where the two covariances differ; Satterthwaite's df are lmerTest's of ML."""
    data = imputed(complete(groups=9), m=3)
    theirs = run_r(ML, frames=list(data))["df"]
    mean = {key: np.mean([np.asarray(x[key]) for x in theirs], axis=0) for key in theirs[0]}
    fits = fitted("y ~ x1 + x2 + (1 | g)", data, reml=False)
    with pytest.warns(rb.RBridgeWarning, match="'kenward-roger': .* refits by REML") as caught:
        pooled = fits.pool("kenward-roger")
    assert caught[0].filename == __file__
    # Refits by `update` and from the call stop at the same optimum; df are a smooth function of it.
    np.testing.assert_allclose(pooled.complete_df, mean["pbkrtest"], rtol=1e-6)
    assert abs(mean["wrong"] / mean["pbkrtest"][0] - 1) > 0.02  # the ML covariance gives others
    assert pooled.fixed["std_error"].equals(fits.pool().fixed["std_error"])
    by_reml = fitted("y ~ x1 + x2 + (1 | g)", data)
    again = by_reml.pool("kenward-roger")  # nothing is warned of
    np.testing.assert_allclose(pooled.complete_df, again.complete_df, rtol=1e-12)
    satterthwaite = fits.pool("satterthwaite")
    # lmerTest differentiates numerically, along the last bits of where the optimizer stopped.
    np.testing.assert_allclose(satterthwaite.complete_df, mean["satterthwaite"], rtol=1e-5)
    hypotheses = np.eye(3)[1:]
    for dfcom, key in (("kenward-roger", "joint"), ("satterthwaite", "satterthwaite_joint")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rb.RBridgeWarning)
            found = complete_df(dfcom, fits, hypotheses, joint=True)
        assert found == pytest.approx(float(np.ravel(mean[key])[0]), rel=1e-5)


def test_a_singular_fit_has_satterthwaites_too(data: rb.ImputedData) -> None:
    def flat(d: pd.DataFrame) -> pd.DataFrame:
        return d.assign(y=d["y"] - d.groupby("g")["y"].transform("mean"))

    fits = fitted("y ~ x1 + (1 | g)", data.transform(flat))
    assert all(x.is_singular for x in fits)
    df = fits.pool("satterthwaite").complete_df
    assert ((df > 1) & (df < 1000)).all()


@pytest.mark.parametrize("wrong", [0, -3, "many", True, [1, 2], math.nan])
def test_refused(fits: rb.MerModList, wrong: object) -> None:
    with pytest.raises(rb.ArgumentError, match="'satterthwaite', 'kenward-roger'"):
        fits.pool(wrong)


def test_absent_packages_are_named_with_the_remedy() -> None:
    """An R that finds neither lmerTest, pbkrtest nor emmeans."""
    program = """
import warnings
import rbridge_mi as rb
from rbridge_mi import rdoor
from tests.inference.inference_data import fitted, imputed
warnings.simplefilter("ignore")
rdoor.call("base::eval", rdoor.call_object("base::str2lang", "1"))
fits = fitted("y ~ x1 + (1 | g)", imputed(m=2))
hidden = rdoor.call_object("base::eval", rdoor.call_object("base::str2lang",
    "function(name) !name %in% c('lmerTest', 'pbkrtest', 'emmeans', 'reformulas')"))
rdoor.call("base::assign", "has_package", hidden,
           envir=rdoor.call_object("base::environment", rdoor.call_object("find_function", "run")))
for name, ask in {
    "lmerTest": lambda: fits.pool("satterthwaite"),
    "pbkrtest": lambda: fits.pool("kenward-roger"),
    "emmeans": lambda: fits.pool().emmeans("x1"),
}.items():
    try:
        ask()
    except rb.RPackageError as error:
        assert name in str(error) and "apt-get install r-cran-" + name.lower() in str(error), error
    else:
        raise SystemExit(f"{name} was not missed")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_few_groups_have_wider_intervals() -> None:
    """With 6 groups the slope's t has some 5 degrees of freedom, not the residual 30."""
    fits = fitted("y ~ x1 + (1 + x1 | g)", imputed(complete(groups=6, size=6), m=4))
    wide, narrow = fits.pool("satterthwaite").fixed, fits.pool().fixed
    assert wide["df"][1] < 10 < narrow["df"][1]
    assert (wide["conf_low"] < narrow["conf_low"]).all()
