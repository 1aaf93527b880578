"""The oracle's data sets through ImputedData, Lmer, Glmer and pool: fits, pooled tables and tests.

Tolerances. Another BLAS, or a processor with other caches (by which Eigen parts its products),
moves the last digits of lme4's optimizer, which ends once the deviance changes by less than 1e-8.
There the likelihood agrees to 1e-8, and a parameter to 1e-4 of its standard error, as the deviance
is a square of such distances. (On the oracle's own machine the fits are equal to the bit.) What
follows from the fits is compared at what their actual distance from the oracle's makes of it,
written beside each comparison.
"""

from __future__ import annotations

import gzip
import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.base.glossary import TABLES

pytestmark = [pytest.mark.r, pytest.mark.slow]

DATA = Path(__file__).parent / "data"
CASES = ("hsb", "sleepstudy", "sleepstudy_zcp", "penicillin", "cbpp")
FORMULAS = {
    "hsb": (
        "mathach ~ minority + female + ses + meanses + (1 + ses | schid)",
        "mathach ~ female + ses + (1 + ses | schid)",
    ),
    "sleepstudy": ("Reaction ~ Days + (Days | Subject)", "Reaction ~ 1 + (Days | Subject)"),
    "sleepstudy_zcp": ("Reaction ~ Days + (Days || Subject)", "Reaction ~ 1 + (Days || Subject)"),
    "penicillin": ("diameter ~ 1 + (1 | plate) + (1 | sample)", None),
    "cbpp": (
        "cbind(incidence, size - incidence) ~ period + (1 | herd)",
        "cbind(incidence, size - incidence) ~ 1 + (1 | herd)",
    ),
}
LIKELY = 1e-8  # of log-likelihoods and what is made of them
STOP = 1e-4  # of parameters, on the scale beside each comparison
# Log-likelihoods of up to 2e4 are subtracted to statistics of 1 to 100; they agree in 1e-9 and
# better, since they are flat where their optimum is. (Here: 1e-11.) tests/test_inference_joint.py
# runs mitml on the same fits, at 1e-10.
LIKELIHOOD = 1e-7


def array(values: Any) -> np.ndarray:
    if isinstance(values, dict):
        values = values["values"]
    numbers = np.array([np.nan if v is None else float(v) for v in np.ravel(values)])
    return numbers.reshape(np.shape(values))


def close(actual: Any, expected: Any, rtol: float, scale: float = 0.0) -> None:
    np.testing.assert_allclose(actual, array(expected), rtol=rtol, atol=rtol * scale)


def read_long(name: str, factors: dict[str, list[str]]) -> pd.DataFrame:
    """The CSV, its doubles exact in every pandas, its factors in the oracle's order of levels."""
    text = pd.read_csv(DATA / name, dtype=str, keep_default_na=False)
    frame = pd.DataFrame(index=text.index)
    for column in text.columns:
        if column in factors:
            labels = text[column].where(text[column] != "NA")
            frame[column] = pd.Categorical(labels, categories=factors[column])
        elif column in (".imp", ".id"):
            frame[column] = text[column].astype(int)
        else:
            frame[column] = [math.nan if x == "NA" else float(x) for x in text[column]]
    return frame


def distance(fit: rb.MerMod, expected: Any) -> float:
    """How far a fit is from the oracle's, relative to an estimate or the largest of a matrix."""
    shares = [fit.beta / array(expected["fixef"]) - 1]
    if fit.has_scale:
        shares.append(fit.sigma / array(expected["sigma"]) - 1)
    for own, theirs in ((fit.vcov(), expected["vcov"]), (fit.theta, expected["theta"])):
        shares.append((np.asarray(own) - array(theirs)) / np.abs(array(theirs)).max())
    for factor, theirs in expected["ranef"].items():
        table = fit.ranef().set_index(["grpvar", "term", "grp"])["condval"].loc[factor]
        for j, term in enumerate(theirs["cols"]):
            values = array(theirs["values"])[:, j]
            own = table.loc[term].loc[[str(x) for x in theirs["levels"]]]
            shares.append((own - values) / np.abs(values).max())
    return max(float(np.abs(x).max()) for x in shares)


class Case:
    """One case: what the oracle has, and the same from this library."""

    def __init__(self, name: str) -> None:
        with gzip.open(DATA / f"{name}_oracle.json.gz", "rt", encoding="utf-8") as handle:
            self.oracle = json.load(handle)
        factors = {k: [str(x) for x in v] for k, v in self.oracle["factors"].items()}
        self.data = rb.ImputedData.from_long(read_long(self.oracle["data"], factors))
        full, reduced = FORMULAS[name]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rb.RWarning)
            model = rb.Glmer if name == "cbpp" else rb.Lmer
            self.fits = model(full).fit(self.data)
            self.reduced = None if reduced is None else model(reduced).fit(self.data)
        # mice and the oracle take the residual df of a model without a scale, too.
        self.pooled = self.fits.pool("residual")
        self.far = max(1e-8, *map(distance, self.fits, self.oracle["fits"]))


_made: dict[str, Case] = {}


def made(name: str) -> Case:
    if name not in _made:
        _made[name] = Case(name)
    return _made[name]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return made(request.param)


@pytest.fixture(params=[x for x in CASES if FORMULAS[x][1]])
def tested(request: pytest.FixtureRequest) -> Case:
    return made(request.param)


# --- fits ---------------------------------------------------------------------------------------


def test_fits(case: Case) -> None:
    assert len(case.fits) == case.oracle["m"]
    for fit, expected in zip(case.fits, case.oracle["fits"], strict=True):
        assert list(fit.beta.index) == expected["fixef"]["names"]
        close(fit.beta, expected["fixef"], STOP)
        vcov = array(expected["vcov"])
        close(fit.vcov(), vcov, STOP, scale=float(np.abs(vcov).max()))
        assert list(fit.theta.index) == expected["theta"]["names"]
        # A theta near 0 is known only as well as the largest: a share of the random part's scale.
        close(fit.theta, expected["theta"], STOP, scale=float(array(expected["theta"]).max()))
        if fit.has_scale:  # without a scale R's sigma() is 1
            close(fit.sigma, expected["sigma"], STOP)
        for name, theirs in (
            ("log_lik", "logLik"), ("npar", "logLik_df"), ("aic", "AIC"), ("bic", "BIC"),
            ("nobs", "nobs"), ("df_residual", "df.residual"),
        ):  # fmt: skip
            close(getattr(fit, name), expected[theirs], LIKELY)
        if fit.reml:
            close(fit.criterion, expected["REMLcrit"], LIKELY)
        else:  # R's deviance() of a generalised fit is another number than -2 log-likelihood
            close(fit.criterion, -2 * expected["logLik"], LIKELY)
            close(fit.glance()["deviance"], [expected["deviance"]], LIKELY)
        assert fit.reml is expected["REML"]
        assert fit.is_singular is expected["isSingular"]
        assert fit.optimizer == expected["optimizer"]
        assert dict(fit.ngrps) == dict(
            zip(expected["ngrps"]["names"], expected["ngrps"]["values"], strict=True)
        )
        close(fit.fitted().iloc[:10], expected["fitted_head"], STOP)
        assert fit.imputation is not None
        fixed_only = fit.predict(case.data[fit.imputation - 1].head(10), re_form="NA")
        close(fixed_only, expected["fixed_pred_head"], STOP)
        assert list(fit.messages) == expected["messages"]


def test_random_parts_of_fits(case: Case) -> None:
    for fit, expected in zip(case.fits, case.oracle["fits"], strict=True):
        table = fit.varcorr().set_index(["grp", "var1", "var2"])
        rows = 0
        for grp, theirs in expected["VarCorr"].items():
            cov, cor = array(theirs["cov"]), array(theirs["cor"])
            scale = float(np.abs(cov).max())
            for i, a in enumerate(theirs["cols"]):
                own = table.loc[(grp, a, np.nan)]
                close(own["vcov"], cov[i, i], STOP, scale)
                close(own["sdcor"], array(theirs["sd"])[i], STOP, math.sqrt(scale))
                rows += 1
                for j in range(i + 1, len(theirs["cols"])):
                    pair = table.loc[(grp, a, theirs["cols"][j])]
                    close(pair["vcov"], cov[i, j], STOP, scale)
                    # cor divides by SDs that may be small.
                    close(pair["sdcor"], cor[i, j], STOP * 10, 1.0)
                    rows += 1
        assert rows == len(table) - fit.has_scale
        if fit.has_scale:
            close(table["sdcor"].iloc[-1], expected["sigma"], STOP)


def test_ranef_of_fits(case: Case) -> None:
    for fit, expected in zip(case.fits, case.oracle["fits"], strict=True):
        table = fit.ranef().set_index(["grpvar", "term", "grp"])
        rows = 0
        for factor, theirs in expected["ranef"].items():
            values = array(theirs["values"])
            for j, term in enumerate(theirs["cols"]):
                own = table.loc[(factor, term)].loc[[str(x) for x in theirs["levels"]]]
                scale = float(np.abs(values[:, j]).max())
                close(own["condval"], values[:, j], STOP, scale)
                close(own["condsd"], np.sqrt(variances(theirs, j)), STOP, 1.0)
                rows += len(own)
        assert rows == len(table)


def variances(ranef: Any, j: int) -> np.ndarray:
    """Conditional variances of the j-th term, per level."""
    if isinstance(ranef["condVar"], dict):  # several terms on one factor: one array per term
        return array(ranef["condVar"][ranef["cols"][j]])[:, 0, 0]
    return array(ranef["condVar"])[:, j, j]


# --- pooled -------------------------------------------------------------------------------------


def spread(case: Case) -> np.ndarray:
    """By how much b, a variance of differences, enlarges a relative error of the estimates."""
    table = case.pooled.fixed
    return 1 + 4 * (table["estimate"].abs() / np.sqrt(table["b"])).to_numpy()


def test_pooled_coefficients(case: Case) -> None:
    expected, table = case.oracle["pooled"]["rubin"], case.pooled.fixed
    assert list(table.columns) == list(TABLES["fixed"])
    assert list(table["term"]) == case.oracle["fits"][0]["fixef"]["names"]
    assert case.pooled.dfcom == "residual"
    assert set(case.pooled.complete_df) == {expected["dfcom"]}
    own = expected["barnard_rubin"]
    more = case.far * float(spread(case).max())
    close(table["estimate"], expected["estimate"], case.far)
    close(table["ubar"], np.diagonal(array(expected["ubar"])), case.far)
    close(table["b"], np.diagonal(array(expected["b"])), more)
    for mine, theirs in (
        ("t", np.diagonal(array(expected["t"]))), ("std_error", expected["se"]),
        ("statistic", expected["statistic"]), ("riv", expected["riv"]),
        ("lambda_", expected["lambda"]), ("df", own["df"]), ("fmi", own["fmi"]),
        ("conf_low", own["lower"]), ("conf_high", own["upper"]),
    ):  # fmt: skip
        # df goes with the square of riv.
        close(table[mine], theirs, 2 * more)
    # In the far tail log p goes with the square of the statistic; below 1e-308 there is only 0.
    shown = array(own["p"]) > 0
    close(np.log(table["p_value"][shown]), np.log(array(own["p"])[shown]), 2 * more)
    assert (table["p_value"][~shown] < 1e-300).all()
    total = array(expected["t"])
    close(case.pooled.vcov, total, more, scale=float(np.abs(total).max()))


def test_pooled_with_endless_df(case: Case) -> None:
    expected = case.oracle["pooled"]["rubin"]["rubin1987"]
    table = case.fits.pool(dfcom=math.inf).fixed
    close(table["df"], expected["df"], 2 * case.far * float(spread(case).max()))
    close(table["fmi"], expected["fmi"], 2 * case.far * float(spread(case).max()))
    mitools = case.oracle["pooled"]["mitools"]["value"]
    close(table["df"], mitools["df"], 2 * case.far * float(spread(case).max()))


def test_pooled_random_part(case: Case) -> None:
    expected = case.oracle["pooled"]["VarCorr"]
    table = case.pooled.varcorr.set_index(["grp", "var1", "var2"])
    random = case.pooled.random.set_index(["group", "term"])
    rows = 0
    for grp, theirs in expected["terms"].items():
        cov, cor = array(theirs["mean_cov"]), array(theirs["cor_of_mean_cov"])
        for i, a in enumerate(theirs["cols"]):
            close(table.loc[(grp, a, np.nan), "vcov"], cov[i, i], case.far * 10)
            sd = array(theirs["sd_of_mean_cov"])[i]
            close(table.loc[(grp, a, np.nan), "sdcor"], sd, case.far * 10)
            close(random.loc[(grp, f"sd__{a}"), "estimate"], sd, case.far * 10)
            rows += 1
            for j in range(i + 1, len(theirs["cols"])):
                b = theirs["cols"][j]
                close(table.loc[(grp, a, b), "vcov"], cov[i, j], case.far * 10)
                close(table.loc[(grp, a, b), "sdcor"], cor[i, j], case.far * 10)
                close(random.loc[(grp, f"cor__{a}.{b}"), "estimate"], cor[i, j], case.far * 10)
                rows += 1
    assert rows == len(table) - case.pooled.has_scale
    if case.pooled.has_scale:
        close(case.pooled.sigma, expected["sigma_sqrt_mean_var"], case.far)


def test_pooled_ranef(case: Case) -> None:
    table = case.pooled.ranef.set_index(["grpvar", "term", "grp"])
    rows = 0
    for factor, theirs in case.oracle["pooled"]["ranef"].items():
        mean, total = array(theirs["mean"]), array(theirs["total"])
        for j, term in enumerate(theirs["cols"]):
            own = table.loc[(factor, term)].loc[[str(x) for x in theirs["levels"]]]
            scale = float(np.abs(mean[:, j]).max())
            close(own["condval"], mean[:, j], case.far, scale)
            # The square of a difference of effects: their error, doubled, against the total.
            close(own["condsd"] ** 2, total[:, j, j], 4 * case.far, scale**2)
            rows += len(own)
    assert rows == len(table)


def test_mice_pool(case: Case) -> None:
    """mice's pool() of the same fits."""
    theirs = case.oracle["pooled"]["mice"]["value"]
    assert theirs["term"] == list(case.pooled.fixed["term"])
    for name, mine in {
        "estimate": "estimate", "std.error": "std_error", "statistic": "statistic", "df": "df",
        "ubar": "ubar", "b": "b", "t": "t", "riv": "riv", "lambda": "lambda_", "fmi": "fmi",
    }.items():  # fmt: skip
        close(case.pooled.fixed[mine], theirs[name], 2 * case.far * float(spread(case).max()))


# --- tests --------------------------------------------------------------------------------------


def row(table: pd.DataFrame) -> list[float]:
    assert list(table.columns) == list(TABLES["test"])
    assert len(table) == 1
    return [float(table[x].iloc[0]) for x in TABLES["test"][1:]]


def mitml(case: Case, test: str) -> np.ndarray:
    return array(case.oracle["tests"]["mitml"][test]["value"])


def test_d1(tested: Case) -> None:
    assert tested.reduced is not None
    expected = mitml(tested, "D1")
    tolerance = 2 * tested.far * float(spread(tested).max())
    extra = [x for x in tested.fits[0].beta.index if x not in tested.reduced[0].beta.index]
    for table in (
        rb.compare(tested.fits, tested.reduced, dfcom=math.inf),
        tested.fits.pool(dfcom=math.inf).test([f"`{x}` = 0" for x in extra]),
    ):
        found = row(table)
        close(found[0], expected[0], tolerance)
        close(found[4], expected[4], tolerance)
        assert found[1] == expected[1] == len(extra)
        if len(extra) > 1:
            close(found[2], expected[2], tolerance)
            close(math.log(found[3]), math.log(expected[3]), tolerance)
    if len(extra) == 1:
        # mitml's many-coefficient df has no value here, or another than the table's t.
        alone = tested.pooled.fixed.set_index("term").loc[extra[0]]
        found = row(tested.pooled.test(extra[0]))
        close(
            found, [alone["statistic"] ** 2, 1, alone["df"], alone["p_value"], alone["riv"]], 1e-12
        )


def test_d1_with_dfcom(tested: Case) -> None:
    assert tested.reduced is not None
    expected = array(tested.oracle["tests"]["mice"]["D1"]["value"])
    found = row(rb.compare(tested.fits, tested.reduced, dfcom="residual"))
    tolerance = 2 * tested.far * float(spread(tested).max())
    close(np.array(found)[[0, 1, 4]], expected[[0, 1, 4]], tolerance)
    if found[1] > 1:
        close(found[2], expected[2], tolerance)
        close(math.log(found[3]), math.log(expected[3]), tolerance)


def test_d2_wald(tested: Case) -> None:
    assert tested.reduced is not None
    found = row(rb.compare(tested.fits, tested.reduced, "D2"))
    tolerance = 4 * tested.far * float(spread(tested).max())
    for expected in (
        mitml(tested, "D2_wald"),
        array(tested.oracle["tests"]["mice"]["D2_wald"]["value"]),
    ):
        close(np.delete(found, 3), np.delete(expected, 3), tolerance)
        close(math.log(found[3]), math.log(expected[3]), tolerance)


@pytest.mark.parametrize(
    ("test", "arguments"),
    [
        ("D2_lik", {"method": "D2", "use": "likelihood"}),
        ("D3", {"method": "D3"}),
        ("D4", {"method": "D4"}),
        ("D4_robust", {"method": "D4", "robust": True}),
    ],
)
def test_likelihoods(tested: Case, test: str, arguments: dict[str, Any]) -> None:
    assert tested.reduced is not None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = rb.compare(tested.fits, tested.reduced, **arguments)
    refitted = any("refitted by maximum likelihood" in str(x.message) for x in caught)
    assert refitted is tested.fits[0].reml
    if "ERROR" in tested.oracle["tests"]["mitml"][test]["value"]:
        assert (test, tested.fits[0].family) == ("D3", "binomial")  # see tests/pooled
        return
    expected, found = mitml(tested, test), row(table)
    close(np.delete(found, 3), np.delete(expected, 3), LIKELIHOOD)
    close(math.log(found[3]), math.log(expected[3]), LIKELIHOOD)
