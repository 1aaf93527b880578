"""Residuals of every type, against R's and against their definitions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.fits.fitted_model import ResidualType

pytestmark = pytest.mark.r

TYPES: tuple[ResidualType, ...] = ("response", "pearson", "working", "deviance")


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    g = np.random.default_rng(8)
    x, u = g.normal(size=240), np.repeat(g.normal(size=24), 10)
    frame = pd.DataFrame({"x": x, "g": np.repeat([f"g{i:02}" for i in range(24)], 10)})
    frame["tried"] = g.integers(3, 9, 240)
    frame["hits"] = g.binomial(frame["tried"], 1 / (1 + np.exp(-0.5 * x - u)))
    frame["share"] = frame["hits"] / frame["tried"]
    frame["hours"] = np.exp(x / 3 + u / 2) * g.gamma(4, 0.25, 240)
    frame["y"] = x + u + g.normal(size=240)
    frame.index = pd.Index([f"row {i}" for i in range(240)])
    return frame


@pytest.fixture(scope="module")
def fits(data: pd.DataFrame) -> dict[str, rb.MerMod]:
    return {
        "lmer": rb.Lmer("y ~ x + (1 | g)", weights="tried").fit(data),
        "binomial": rb.Glmer("share ~ x + (1 | g)", weights="tried").fit(data),
        "Gamma": rb.Glmer("hours ~ x + (1 | g)", family="Gamma", link="log").fit(data),
    }


@pytest.mark.parametrize("model", ["lmer", "binomial", "Gamma"])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("scaled", [False, True])
def test_each_type_is_rs(
    fits: dict[str, rb.MerMod], data: pd.DataFrame, model: str, kind: ResidualType, scaled: bool
) -> None:
    fit = fits[model]
    mine = fit.residuals(type=kind, scaled=scaled)
    theirs = fit.r.call("stats::residuals", type=kind, scaled=scaled).value
    assert mine.to_numpy().tobytes() == np.asarray(theirs).tobytes()
    assert mine.index.equals(data.index)


@pytest.mark.parametrize("model", ["lmer", "binomial", "Gamma"])
def test_the_default_is_rs(fits: dict[str, rb.MerMod], model: str) -> None:
    fit = fits[model]
    default: ResidualType = "response" if model == "lmer" else "deviance"
    assert fit.residuals().equals(fit.residuals(type=default))
    assert fit.residuals(scaled=True).equals(fit.residuals(type=default, scaled=True))


def test_they_are_what_the_documentation_says(
    fits: dict[str, rb.MerMod], data: pd.DataFrame
) -> None:
    """To 1e-9: R takes mean and variance from its last iteration, and these from the fit."""
    fit, y, trials = fits["binomial"], data["share"], data["tried"]
    mean = fit.fitted()
    response = fit.residuals(type="response")
    np.testing.assert_allclose(response, y - mean, atol=1e-9)
    variance = mean * (1 - mean)
    pearson = (y - mean) * np.sqrt(trials / variance)
    np.testing.assert_allclose(fit.residuals(type="pearson"), pearson, atol=1e-9)
    np.testing.assert_allclose(fit.residuals(type="working"), (y - mean) / variance, atol=1e-9)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.nan_to_num(y * np.log(y / mean)) + np.nan_to_num(
            (1 - y) * np.log((1 - y) / (1 - mean))
        )
    deviance = np.sign(y - mean) * np.sqrt(2 * trials * parts)
    np.testing.assert_allclose(fit.residuals(type="deviance"), deviance, atol=1e-7)
    assert fit.residuals(type="pearson", scaled=True).equals(fit.residuals(type="pearson"))
    gamma = fits["Gamma"]
    np.testing.assert_allclose(
        gamma.residuals(type="pearson", scaled=True),
        gamma.residuals(type="pearson") / gamma.sigma,
        rtol=1e-15,
    )
    linear = fits["lmer"]
    weighted = linear.residuals(type="response") * np.sqrt(trials)
    np.testing.assert_allclose(linear.residuals(type="pearson"), weighted, rtol=1e-12)
    assert linear.residuals(type="working").equals(linear.residuals(type="response"))
    assert linear.residuals(type="deviance").equals(linear.residuals(type="pearson"))


def test_rows_left_out_are_missing(data: pd.DataFrame) -> None:
    holes = data.assign(x=data["x"].mask(data["tried"] == 4))
    fit = rb.Glmer("share ~ x + (1 | g)", weights="tried", na_action="na.exclude").fit(holes)
    for kind in (None, *TYPES):
        residuals = fit.residuals(type=kind)
        assert residuals.index.equals(data.index)
        assert residuals.isna().equals(holes["x"].isna())


def test_other_types_are_refused(fits: dict[str, rb.MerMod]) -> None:
    with pytest.raises(rb.ArgumentError, match="type"):
        fits["binomial"].residuals(type="partial")  # type: ignore[arg-type]
    with pytest.raises(rb.ArgumentError, match="scaled must be true or false"):
        fits["binomial"].residuals(scaled="yes")  # type: ignore[arg-type]
