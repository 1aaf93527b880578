"""The pure pooling functions against stored answers of mice, mitml and mitools.

``*_oracle.json.gz`` hold fits of lme4 and what R made of them; ``joint_mitml.json.gz``, made by
``make_joint_mitml.R`` beside it, holds tests of coefficients and models with all that went in.
"""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rbridge_mi import pooling

DATA = Path(__file__).parent / "data"
CASES = ("hsb", "sleepstudy", "sleepstudy_zcp", "penicillin", "cbpp")
TESTED = ("hsb", "sleepstudy", "sleepstudy_zcp", "cbpp")  # penicillin has an intercept only

POOLED = 1e-12  # same per-fit numbers in, so only the order of sums differs
TESTS = 1e-10  # a matrix inverse and a tail probability further


def load(name: str) -> Any:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as handle:
        return json.load(handle)


def array(values: Any) -> np.ndarray:
    if isinstance(values, dict):
        values = values["values"]
    numbers = np.array([np.nan if v is None else float(v) for v in np.ravel(values)])
    return numbers.reshape(np.shape(values))


def close(actual: Any, expected: Any, rtol: float, scale: float = 0.0) -> None:
    np.testing.assert_allclose(actual, array(expected), rtol=rtol, atol=rtol * scale)


def row(test: pooling.JointTest) -> list[float]:
    return [test.statistic, test.df1, test.df2, test.p_value, test.riv]


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Any:
    return load(f"{request.param}_oracle.json.gz")


@pytest.fixture(scope="module", params=TESTED)
def tested(request: pytest.FixtureRequest) -> Any:
    return load(f"{request.param}_oracle.json.gz")


def estimates(case: Any) -> np.ndarray:
    return np.array([array(fit["fixef"]) for fit in case["fits"]])


def vcovs(case: Any) -> np.ndarray:
    return np.array([array(fit["vcov"]) for fit in case["fits"]])


def scalars(case: Any, dfcom: float) -> pooling.PooledScalars:
    u = np.diagonal(vcovs(case), axis1=1, axis2=2)
    return pooling.pool_scalars(estimates(case), u, dfcom=dfcom)


def under_test(case: Any) -> tuple[np.ndarray, np.ndarray]:
    """The coefficients that the null model lacks."""
    names = case["fits"][0]["fixef"]["names"]
    null = {"hsb": ["(Intercept)", "female", "ses"]}.get(case["case"], ["(Intercept)"])
    pick = [i for i, name in enumerate(names) if name not in null]
    return estimates(case)[:, pick], vcovs(case)[:, pick][:, :, pick]


# --- coefficients -------------------------------------------------------------------------------


def test_rubin_vcov(case: Any) -> None:
    expected = case["pooled"]["rubin"]
    pooled = pooling.pool_vcov(estimates(case), vcovs(case))
    close(pooled.estimate, expected["estimate"], POOLED)
    for name in ("ubar", "b", "t"):
        matrix = array(expected[name])
        # Covariances near 0 are differences of larger numbers: judge them by their variances.
        close(getattr(pooled, name), matrix, POOLED, scale=float(np.abs(matrix).max()))


@pytest.mark.parametrize("rule", ["barnard_rubin", "rubin1987"])
def test_rubin_scalars(case: Any, rule: str) -> None:
    expected = case["pooled"]["rubin"]
    pooled = scalars(case, expected["dfcom"] if rule == "barnard_rubin" else math.inf)
    close(pooled.estimate, expected["estimate"], POOLED)
    close(pooled.std_error, expected["se"], POOLED)
    close(pooled.statistic, expected["statistic"], POOLED)
    close(pooled.riv, expected["riv"], POOLED)
    close(pooled.lambda_, expected["lambda"], POOLED)
    close(pooled.df, expected[rule]["df"], POOLED)
    close(pooled.fmi, expected[rule]["fmi"], POOLED)
    close(pooled.conf_low, expected[rule]["lower"], POOLED)
    close(pooled.conf_high, expected[rule]["upper"], POOLED)
    # In the far tail a p value has |log p| times the relative error of its statistic.
    close(pooled.p_value, expected[rule]["p"], TESTS)


@pytest.mark.parametrize("key", ["mice", "mice_dfcomInf"])
def test_mice_pool(case: Any, key: str) -> None:
    # mice 3.15 raises a lambda below 1e-4 to 1e-4 before it computes the df, as mice 3.19 no longer
    # does and this library never did; none of these cases has one that small.
    expected = case["pooled"][key]["value"]
    pooled = scalars(case, array(expected["dfcom"])[0])
    assert (pooled.lambda_ > 1e-4).all()
    for name, theirs in {
        "estimate": "estimate",
        "std_error": "std.error",
        "statistic": "statistic",
        "df": "df",
        "conf_low": "2.5 %",
        "conf_high": "97.5 %",
        "riv": "riv",
        "lambda_": "lambda",
        "fmi": "fmi",
        "ubar": "ubar",
        "b": "b",
        "t": "t",
    }.items():
        close(getattr(pooled, name), expected[theirs], POOLED)
    close(pooled.p_value, expected["p.value"], TESTS)


@pytest.mark.parametrize("key", ["mitml", "mitml_dfcom"])
def test_mitml_estimates(case: Any, key: str) -> None:
    expected = case["pooled"][key]["value"]
    dfcom = case["pooled"]["rubin"]["dfcom"] if key == "mitml_dfcom" else math.inf
    pooled = scalars(case, dfcom)
    estimate, std_error, statistic, df, p_value, riv, fmi = array(expected["estimates"]).T
    close(pooled.estimate, estimate, POOLED)
    close(pooled.std_error, std_error, POOLED)
    close(pooled.statistic, statistic, POOLED)
    close(pooled.df, df, POOLED)
    close(pooled.riv, riv, POOLED)
    close(pooled.fmi, fmi, POOLED)
    # mitml takes its p value as 2 (1 - P(T < t)), which cancels: here only to an absolute 1e-15.
    np.testing.assert_allclose(pooled.p_value, p_value, rtol=0, atol=1e-15)
    t = pooling.pool_vcov(estimates(case), vcovs(case)).t
    close(t, expected["T"], POOLED, scale=float(np.abs(t).max()))


def test_mitools(case: Any) -> None:
    expected = case["pooled"]["mitools"]["value"]
    pooled = scalars(case, math.inf)
    close(pooled.estimate, expected["coefficients"], POOLED)
    close(pooled.t, np.diagonal(array(expected["variance"])), POOLED)
    close(pooled.df, expected["df"], POOLED)
    close(pooled.fmi, expected["missinfo"], POOLED)


def test_mitools_with_dfcom_differs(case: Any) -> None:
    # mitools leaves out Barnard and Rubin's factor (dfcom + 1)/(dfcom + 3): its df is the larger.
    expected = case["pooled"]["mitools_dfcom"]["value"]
    pooled = scalars(case, case["pooled"]["rubin"]["dfcom"])
    close(pooled.t, np.diagonal(array(expected["variance"])), POOLED)
    assert (pooled.df < array(expected["df"])).all()


def test_average_riv(case: Any) -> None:
    q, u = estimates(case), vcovs(case)
    expected = case["pooled"]["rubin"]
    close(pooling.d1(q, u).riv, expected["average_riv"], TESTS)
    inflated = (1 + pooling.d1(q, u).riv) * pooling.pool_vcov(q, u).ubar
    close(inflated, expected["Ttilde_LRR1991"], TESTS, scale=float(np.abs(inflated).max()))


# --- random part --------------------------------------------------------------------------------


def test_covariances(case: Any) -> None:
    expected = case["pooled"]["VarCorr"]
    for name, term in expected["terms"].items():
        covs = [array(fit["VarCorr"][name]["cov"]) for fit in case["fits"]]
        pooled = pooling.pool_covariance(covs)
        close(pooled.cov, term["mean_cov"], POOLED)
        close(pooled.sd, term["sd_of_mean_cov"], POOLED)
        close(pooled.cor, term["cor_of_mean_cov"], POOLED)
        sds = np.sqrt([np.diag(cov) for cov in covs])
        on_log = pooling.pool_sd(sds, np.ones_like(sds), variances_on="link")
        close(on_log.estimate, term["exp_mean_log_sd"], POOLED)
    sigma = np.array([float(fit["sigma"]) for fit in case["fits"]])
    close(
        pooling.pool_covariance(sigma[:, None, None] ** 2).sd[0],
        expected["sigma_sqrt_mean_var"],
        POOLED,
    )
    close(
        pooling.pool_sd(sigma, np.ones_like(sigma)).estimate, expected["sigma_exp_mean_log"], POOLED
    )


def test_spread_of_log_sds_is_the_between_variance(case: Any) -> None:
    for name, term in case["pooled"]["VarCorr"]["terms"].items():
        sds = np.array([array(fit["VarCorr"][name]["sd"]) for fit in case["fits"]])
        b = pooling.pool_bootstrap(np.log(sds)).b
        close(b, term["between_var_of_log_sd"], POOLED * 10)


def test_fisher_z(case: Any) -> None:
    for name, term in case["pooled"]["VarCorr"]["terms"].items():
        if term["fisher_z_cor"] is None:
            continue
        cors = np.array([array(fit["VarCorr"][name]["cor"])[1, 0] for fit in case["fits"]])
        pooled = pooling.pool_cor(cors, np.full_like(cors, 0.01), variances_on="link")
        close(pooled.estimate, array(term["fisher_z_cor"])[1, 0], POOLED)


def test_blups(case: Any) -> None:
    for factor, expected in case["pooled"]["ranef"].items():
        columns = expected["cols"]
        condval, condvar = [], []
        for fit in case["fits"]:
            ranef = fit["ranef"][factor]
            assert ranef["levels"] == expected["levels"]
            assert ranef["cols"] == columns
            condval.append(array(ranef["values"]))
            condvar.append(matrices(ranef["condVar"], columns))
        pooled = pooling.pool_blups(condval, condvar)
        size = np.sqrt(np.abs(array(expected["total"])).max())
        close(pooled.condval, expected["mean"], POOLED, scale=float(size))
        for name, theirs in {
            "within": "mean_condVar",
            "between": "between",
            "total": "total",
        }.items():
            close(getattr(pooled, name), expected[theirs], POOLED, scale=float(size**2))
        close(
            pooled.condsd, np.sqrt(np.diagonal(array(expected["total"]), axis1=1, axis2=2)), POOLED
        )


def matrices(condvar: Any, columns: list[str]) -> np.ndarray:
    """One (levels, q, q) array; several terms on one factor come as one array each."""
    if not isinstance(condvar, dict):
        return array(condvar)
    blocks = [array(condvar[name])[:, 0, 0] for name in columns]
    return np.stack([np.diag(variances) for variances in np.transpose(blocks)])


# --- tests --------------------------------------------------------------------------------------


def test_d1(tested: Any) -> None:
    q, u = under_test(tested)
    close(row(pooling.d1(q, u)), tested["tests"]["mitml"]["D1"]["value"], TESTS)


def test_d1_with_dfcom(tested: Any) -> None:
    q, u = under_test(tested)
    dfcom = tested["pooled"]["rubin"]["dfcom"]
    ours = pooling.d1(q, u, dfcom=dfcom)
    mitml = array(tested["tests"]["mitml"]["D1_dfcom"]["value"])
    close(mitml, tested["tests"]["mice"]["D1"]["value"], TESTS)
    if q.shape[1] > 1:
        close(row(ours), mitml, TESTS)
        assert ours.note == ""
        return
    # One coefficient and m = 5: k (m - 1) = 4, where Reiter's formula divides by 0 and mitml's and
    # mice's df become 4. The squared t of Barnard and Rubin stands.
    close([ours.statistic, ours.riv], mitml[[0, 4]], TESTS)
    assert mitml[2] == 4
    alone = pooling.pool_scalars(q[:, 0], u[:, 0, 0], dfcom=dfcom)
    assert ours.df2 == alone.df
    np.testing.assert_allclose(ours.p_value, alone.p_value, rtol=1e-13)


def test_d2_wald(tested: Any) -> None:
    q, u = under_test(tested)
    ours = pooling.d2(pooling.wald_chi2(q, u), q.shape[1])
    close(row(ours), tested["tests"]["mitml"]["D2_wald"]["value"], TESTS)
    close(row(ours), tested["tests"]["mice"]["D2_wald"]["value"], TESTS)


# --- mitml with all that went in ----------------------------------------------------------------

JOINT = {case["name"]: case for case in load("joint_mitml.json.gz")}
WITH_COEFFICIENTS = [name for name, case in JOINT.items() if "tested" in case]


def mitml(case: Any, test: str) -> np.ndarray:
    names = ("statistic", "df1", "df2", "p_value", "riv")
    return np.array([float(case[test][name]) for name in names])


def coefficients(case: Any) -> tuple[np.ndarray, np.ndarray]:
    pick = np.atleast_1d(np.asarray(case["tested"], dtype=int))
    return array(case["estimates"])[:, pick], array(case["vcovs"])[:, pick][:, :, pick]


@pytest.mark.parametrize("name", WITH_COEFFICIENTS)
def test_joint_coefficients(name: str) -> None:
    case = JOINT[name]
    q, u = array(case["estimates"]), array(case["vcovs"])
    pooled = pooling.pool_scalars(q, np.diagonal(u, axis1=1, axis2=2), dfcom=float(case["dfcom"]))
    for i, theirs in enumerate(case["pool"]):
        for ours, key in {
            "estimate": "qbar",
            "ubar": "ubar",
            "b": "b",
            "t": "t",
            "df": "df",
            "riv": "r",
            "fmi": "fmi",
        }.items():
            close(getattr(pooled, ours)[i], float(theirs[key]), POOLED)


@pytest.mark.parametrize("name", WITH_COEFFICIENTS)
def test_joint_d1(name: str) -> None:
    q, u = coefficients(JOINT[name])
    # mitml has no rule of its own for one coefficient.
    close(row(pooling.d1(q, u, one_df="published")), mitml(JOINT[name], "D1"), TESTS)


@pytest.mark.parametrize("name", WITH_COEFFICIENTS)
def test_joint_d1_with_dfcom(name: str) -> None:
    case = JOINT[name]
    q, u = coefficients(case)
    theirs = mitml(case, "D1_dfcom")
    ours = pooling.d1(q, u, dfcom=float(case["dfcom"]), one_df="published")
    if q.shape[1] * (len(q) - 1) > 4:
        close(row(ours), theirs, TESTS)
        assert ours.note == ""
    else:
        # Reiter's formula has no value here: mitml answers 4 or NaN.
        close([ours.statistic, ours.riv], theirs[[0, 4]], TESTS)
        assert theirs[2] == 4 or np.isnan(theirs[2])
        assert 0 < ours.df2 < float(case["dfcom"])
        assert "at most 4" in ours.note


@pytest.mark.parametrize("name", WITH_COEFFICIENTS)
def test_joint_constraints(name: str) -> None:
    case = JOINT[name]
    q, u = pooling.linear_hypothesis(
        array(case["estimates"]), array(case["vcovs"]), [[0, 1, 0, -1], [0, 1, 2, 0]], [0, 0.5]
    )
    # testConstraints differentiates numerically, which leaves it some 8 digits.
    close(row(pooling.d2(pooling.wald_chi2(q, u), 2)), mitml(case, "constraints_D2"), 1e-5)
    theirs = mitml(case, "constraints")
    ours = pooling.d1(q, u, dfcom=float(case["dfcom"]))
    keep = slice(None) if ours.note == "" else [0, 1, 4]
    close(np.array(row(ours))[keep], theirs[keep], 1e-6)


@pytest.mark.parametrize("name", JOINT)
def test_joint_likelihood_ratios(name: str) -> None:
    case = JOINT[name]
    k = int(case["k"])
    full, reduced = array(case["loglik_full"]), array(case["loglik_reduced"])
    close(row(pooling.d2(2 * (full - reduced), k)), mitml(case, "D2_lik"), TESTS)
    d3 = pooling.d3(
        full, reduced, array(case["loglik_full_pooled"]), array(case["loglik_reduced_pooled"]), k
    )
    close(row(d3), mitml(case, "D3"), TESTS)
    stacked = float(case["loglik_full_stacked"]), float(case["loglik_reduced_stacked"])
    d4 = pooling.d4(full, reduced, *stacked, k)
    close(row(d4), mitml(case, "D4"), TESTS)
    close(row(d4), mitml(case, "D4_positive"), TESTS)
    robust = pooling.d4(full, reduced, *stacked, k, n_params=int(case["n_params"]))
    close(row(robust), mitml(case, "D4_robust"), TESTS)


@pytest.mark.parametrize("name", TESTED)
def test_stored_likelihood_tests_follow_from_their_parts(name: str) -> None:
    # The oracle holds no refits, so its D2, D3 and D4 are checked through their own riv and df.
    stored = load(f"{name}_oracle.json.gz")
    m, full_params = stored["m"], stored["fits"][0]["logLik_df"]
    for test, theirs in stored["tests"]["mitml"].items():
        if "ERROR" in theirs["value"]:  # cbpp's D3: mitml has none for glmer
            continue
        statistic, k, df2, _, riv = array(theirs["value"])
        if test in ("D4", "D4_positive", "D4_robust"):
            h = full_params if test == "D4_robust" else int(k)
            np.testing.assert_allclose(df2, h * pooling.rubin_df(m, riv), rtol=TESTS)
        if test == "D3":
            d = statistic * k * (1 + riv)
            excess = riv * k * (m - 1) / (m + 1)
            ones = np.ones(m)
            rebuilt = pooling.d3(ones * (d + excess) / 2, 0 * ones, ones * d / 2, 0 * ones, int(k))
            close(row(rebuilt), theirs["value"], TESTS)
