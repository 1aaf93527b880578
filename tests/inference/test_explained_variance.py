"""R2 and intraclass correlations of generalised models, against their formulas in numpy."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit

import rbridge_mi as rb

pytestmark = pytest.mark.r


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    g = np.random.default_rng(5)
    site = np.repeat([f"s{i:02}" for i in range(40)], 15)
    x = g.normal(size=600)
    u = np.repeat(g.normal(size=40), 15)
    eta = 0.4 + 0.6 * x + 0.7 * u
    return pd.DataFrame(
        {
            "x": x,
            "site": site,
            "row": [f"r{i}" for i in range(600)],
            "event": (g.uniform(size=600) < expit(eta)).astype(int),
            "count": g.poisson(np.exp(eta)),
            "wild": g.negative_binomial(2, 2 / (2 + np.exp(eta))),
            "time": g.gamma(3, np.exp(eta) / 3),
        }
    )


def shares(fit: rb.MerMod) -> dict[str, float]:
    return {str(k): float(x) for k, x in fit.r2().iloc[0].items()}


def check_shares(fit: rb.MerMod, frame: pd.DataFrame, residual: float) -> dict[str, float]:
    """Nakagawa's shares, by hand from the tables of the fit."""
    row = shares(fit)
    beta = fit.beta
    linear = beta["(Intercept)"] + beta["x"] * frame["x"]
    fixed, random = linear.var(), fit.varcorr()["vcov"][0]
    total = fixed + random + residual
    expected = {
        "r2_marginal": fixed / total,
        "r2_conditional": (fixed + random) / total,
        "icc_adjusted": random / (random + residual),
        "icc_conditional": random / total,
        "var_fixed": fixed,
        "var_random": random,
        "var_residual": residual,
    }
    for name, value in expected.items():  # sums in another order
        assert row[name] == pytest.approx(value, rel=1e-12), name
    return row


@pytest.mark.parametrize(
    ("link", "residual"), [("logit", math.pi**2 / 3), ("probit", 1), ("cloglog", math.pi**2 / 6)]
)
def test_a_binomial_model_has_the_latent_variables_variance(
    frame: pd.DataFrame, link: str, residual: float
) -> None:
    fit = rb.Glmer("event ~ x + (1 | site)", link=link).fit(frame)
    row = check_shares(fit, frame, residual)
    assert 0 < row["icc_response"] < row["icc_adjusted"]


def null(formula: str, frame: pd.DataFrame, **arguments: Any) -> float:
    """The mean count by the model without its fixed part."""
    response = formula.split("~")[0]
    fit = rb.Glmer(f"{response} ~ 1 + (1 | site)", **arguments).fit(frame)
    return math.exp(fit.beta["(Intercept)"] + fit.varcorr()["vcov"][0] / 2)


def test_counts_and_times(frame: pd.DataFrame) -> None:
    poisson: dict[str, Any] = {"family": "poisson"}
    fit = rb.Glmer("count ~ x + (1 | site)", **poisson).fit(frame)
    check_shares(fit, frame, math.log1p(1 / null("count ~", frame, **poisson)))
    given: dict[str, Any] = {"family": "negative.binomial(2)"}
    fit = rb.Glmer("wild ~ x + (1 | site)", **given).fit(frame)
    assert fit.nb_theta == 2
    check_shares(fit, frame, math.log1p(1 / null("wild ~", frame, **given) + 1 / 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it may not have converged
        fit = rb.Glmer("time ~ x + (1 | site)", family="Gamma(link = 'log')").fit(frame)
    check_shares(fit, frame, math.log1p(fit.sigma**2))
    root = rb.Glmer("count ~ x + (1 | site)", family="poisson", link="sqrt").fit(frame)
    check_shares(root, frame, 1 / 4)


def test_counts_are_expected_at_their_exposures(frame: pd.DataFrame) -> None:
    """The mean count, and with it the residual variance, is that of the rows' offsets."""
    data = frame.assign(exposure=np.random.default_rng(6).uniform(1, 20, size=len(frame)))
    inside = rb.Glmer("count ~ x + offset(log(exposure)) + (1 | site)", "poisson").fit(data)
    beside = rb.Glmer(
        "count ~ x + (1 | site)", "poisson", offset=np.log(data["exposure"]).to_numpy()
    ).fit(data)
    null = rb.Glmer("count ~ 1 + offset(log(exposure)) + (1 | site)", "poisson").fit(data)
    mean = math.exp(null.beta["(Intercept)"] + null.varcorr()["vcov"][0] / 2)
    expected = math.log1p(1 / (mean * data["exposure"].mean()))
    for fit in (inside, beside):
        assert shares(fit)["var_residual"] == pytest.approx(expected, rel=1e-10)


def test_an_effect_of_each_row_is_residual(frame: pd.DataFrame) -> None:
    fit = rb.Glmer("wild ~ x + (1 | site) + (1 | row)", family="poisson").fit(frame)
    variance = fit.varcorr().set_index("grp")["vcov"]
    row = shares(fit)
    assert row["var_random"] == pytest.approx(variance["site"], rel=1e-12)
    with_both = rb.Glmer("wild ~ 1 + (1 | site) + (1 | row)", family="poisson").fit(frame)
    mean = math.exp(with_both.beta["(Intercept)"] + with_both.varcorr()["vcov"].sum() / 2)
    assert row["var_residual"] == pytest.approx(variance["row"] + math.log1p(1 / mean), rel=1e-10)
    # The mean over the rows' effects of exp(eta + u + e) is exp(eta + u + var_e / 2).
    beta = fit.beta
    mu = np.exp(beta["(Intercept)"] + beta["x"] * frame["x"] + variance.sum() / 2)
    between = mu**2 * math.expm1(variance["site"])
    whole = mu**2 * math.expm1(variance.sum()) + mu
    assert row["icc_response"] == pytest.approx(between.mean() / whole.mean(), rel=1e-9)


RESPONSES: dict[str, tuple[str, dict[str, Any], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "logit": ("event", {}, expit, lambda mu: mu * (1 - mu)),
    "probit": ("event", {"link": "probit"}, stats.norm.cdf, lambda mu: mu * (1 - mu)),
    "poisson": ("count", {"family": "poisson"}, np.exp, lambda mu: mu),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_the_share_of_the_response_is_the_integral(frame: pd.DataFrame, name: str) -> None:
    response, arguments, inverse, variance = RESPONSES[name]
    fit = rb.Glmer(f"{response} ~ x + (1 | site)", **arguments).fit(frame)
    beta, sd = fit.beta, math.sqrt(fit.varcorr()["vcov"][0])
    # The trapezoidal rule on a normal density has more digits than are compared.
    z = np.linspace(-9, 9, 2001)
    weights = stats.norm.pdf(z) * (z[1] - z[0])
    mu = inverse((beta["(Intercept)"] + beta["x"] * frame["x"]).to_numpy()[:, None] + sd * z)
    mean = mu @ weights
    between = (mu**2 @ weights - mean**2).mean()
    within = (variance(mu) @ weights).mean()
    assert shares(fit)["icc_response"] == pytest.approx(between / (between + within), rel=1e-9)


def test_others_are_refused_by_name(frame: pd.DataFrame) -> None:
    fit = rb.Glmer("event ~ x + (1 | site)", link="cauchit").fit(frame)
    with pytest.raises(rb.RCallError, match="'binomial' with link 'cauchit': r2 is for binomial"):
        fit.r2()
