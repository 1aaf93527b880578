"""A fit that is not linear: what depends on family, link and scale asks the fit for them."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor

pytestmark = pytest.mark.r


def pupils(seed: int = 1) -> pd.DataFrame:
    g = np.random.default_rng(seed)
    school = np.repeat([f"s{i:02}" for i in range(30)], 20)
    x = g.normal(size=600)
    eta = -0.3 + 0.8 * x + np.repeat(g.normal(size=30), 20)
    passed = (g.uniform(size=600) < 1 / (1 + np.exp(-eta))).astype(int)
    return pd.DataFrame(
        {"passed": passed, "n": g.poisson(np.exp(0.3 * eta)), "x": x, "school": school}
    )


FORMULA = "passed ~ x + (1 | school)"


@pytest.fixture(scope="module")
def fit() -> rb.MerMod:
    fit: rb.MerMod = rb.Glmer(FORMULA).fit(pupils())
    return fit


@pytest.fixture(scope="module")
def in_r() -> rdoor.RObject:
    """The same model by R's own call."""
    formula = rdoor.call_object("stats::as.formula", FORMULA)
    return rdoor.call_object("lme4::glmer", formula, data=pupils(), family="binomial")


def test_a_model_of_its_own_arguments_is_fitted(fit: rb.MerMod, in_r: rdoor.RObject) -> None:
    beta = in_r.call("lme4::fixef").value
    assert fit.fixef()["estimate"].to_numpy().tobytes() == np.asarray(beta).tobytes()
    assert fit.log_lik == float(in_r.call("stats::logLik").value[0])
    assert (fit.family, fit.link, fit.has_scale) == ("binomial", "logit", False)
    assert fit.reml is False
    with pytest.raises(rb.ArgumentError, match=r"control \(glmerControl\)"):
        rb.Glmer(FORMULA, control={"optimise": "bobyqa"}).fit(pupils())
    with pytest.raises(rb.ArgumentError, match="family 'no family' is none of binomial"):
        rb.Glmer(FORMULA, family="no family").fit(pupils())


def test_it_is_fitted_to_several_data_sets_alike_everywhere() -> None:
    frame = pupils()
    imp = rb.ImputedData.from_frames([frame, frame.assign(x=frame["x"] + 0.1)])
    here = rb.Glmer(FORMULA).fit(imp)
    for elsewhere in (
        rb.Glmer(FORMULA).fit(imp, n_jobs=2),
        rb.Glmer(FORMULA).fit(imp, isolate=True),
    ):
        for one, other in zip(here, elsewhere, strict=True):
            assert one == other
    alone = rb.Glmer(FORMULA).fit(imp[1])
    assert alone.fixef().equals(here[1].fixef())
    assert alone.imputation is None and here[1].imputation == 2


def test_a_lost_fit_is_named_by_its_own_call() -> None:
    with pytest.raises(rb.RTimeout) as caught:
        rb.Glmer(FORMULA).fit(pd.concat([pupils(i) for i in range(40)]), timeout=0.01)
    assert caught.value.what == "glmer"
    assert caught.value.r_call == f"lme4::glmer({FORMULA}, family = binomial)"


def test_without_a_scale_there_is_no_residual(fit: rb.MerMod, in_r: rdoor.RObject) -> None:
    assert fit.varcorr()["grp"].tolist() == ["school"]
    table = rdoor.call("base::as.data.frame", in_r_varcorr(in_r)).value
    assert fit.varcorr()["vcov"].tolist() == table["vcov"].tolist()
    assert "sd__Observation" not in fit.tidy()["term"].tolist()
    assert math.isnan(fit.sigma)
    assert fit.model_info()["sigma"].isna().all()
    assert fit.glance()["sigma"].isna().all()


def in_r_varcorr(fit: rdoor.RObject) -> rdoor.RObject:
    return rdoor.call_object("lme4::VarCorr", fit)


def test_the_deviance_is_rs(fit: rb.MerMod, in_r: rdoor.RObject) -> None:
    """Of a generalised model, deviance() is not -2 log-likelihood, as it is of a linear one."""
    assert fit.glance()["deviance"].tolist() == [float(in_r.call("stats::deviance").value[0])]
    assert fit.criterion == pytest.approx(-2 * fit.log_lik, rel=1e-12)
    assert fit.glance()["deviance"][0] != pytest.approx(fit.criterion, rel=1e-3)
    linear = rb.Lmer("x ~ passed + (1 | school)", reml=False).fit(pupils())
    assert linear.glance()["deviance"].tolist() == [linear.criterion]


def test_a_slope_of_a_factor_can_be_left_out_of_predictions() -> None:
    """lme4 stops there; on the other scale it is the same prediction."""
    frame = pupils().assign(kind=pd.Categorical(["a", "b"] * 300))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is singular
        slopes = rb.Glmer("passed ~ x + (1 + kind | school)").fit(frame)
    link = slopes.predict(frame, re_form="~(1 | school)")
    intercepts = slopes.ranef()[lambda d: d["term"] == "(Intercept)"].set_index("grp")["condval"]
    beta = slopes.beta
    by_hand = beta["(Intercept)"] + beta["x"] * frame["x"] + intercepts[frame["school"]].to_numpy()
    np.testing.assert_allclose(link, by_hand, rtol=1e-12)
    response = slopes.predict(frame, re_form="~(1 | school)", type="response")
    np.testing.assert_allclose(response, 1 / (1 + np.exp(-link)), rtol=1e-12)


def test_the_report_line(fit: rb.MerMod) -> None:
    assert "binomial (logit), ML, 600 obs., school 30" in repr(fit)


def test_weights_are_no_loss_in_a_simulation_of_trials() -> None:
    frame = pupils().assign(w=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = rb.Glmer(FORMULA, weights="w").fit(frame)
        assert len(fit.simulate(1, seed=1)) == 600


def test_a_family_with_a_scale_has_a_residual() -> None:
    frame = pupils().assign(y=lambda d: np.exp(0.2 * d["x"] + 0.1 * (d["n"] + 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it did not converge
        fit = rb.Glmer("y ~ x + (1 | school)", family="Gamma").fit(frame)
    assert (fit.family, fit.link, fit.has_scale) == ("Gamma", "inverse", True)
    assert fit.varcorr()["grp"].tolist() == ["school", "Residual"]
    assert fit.sigma == float(fit.r.call("stats::sigma").value[0])


def test_standard_errors_of_predictions_on_both_scales(fit: rb.MerMod) -> None:
    frame = pupils().head(5)
    link = fit.predict(frame, se_fit=True)
    response = fit.predict(frame, se_fit=True, type="response")
    mean = 1 / (1 + np.exp(-link["estimate"]))
    np.testing.assert_allclose(response["estimate"], mean, rtol=1e-12)
    # The delta method: the inverse logit's slope is mean (1 - mean).
    expected = link["std_error"] * mean * (1 - mean)
    np.testing.assert_allclose(response["std_error"], expected, rtol=1e-12)
    assert fit.predict(frame.head(0), se_fit=True, type="response").shape == (0, 2)
    assert fit.predict(frame.head(0), interval="confidence", type="response").shape == (0, 5)
    ends = fit.predict(frame, interval="confidence", type="response")
    np.testing.assert_allclose(ends[["estimate", "std_error"]], response, rtol=1e-12)
    assert ((ends["conf_low"] > 0) & (ends["conf_high"] < 1)).all()
