"""The random part: curvature against lmerTest's and numbers by hand, boundaries, ICC, R2."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

import rbridge_mi as rb
from rbridge_mi import pooling, rdoor
from rbridge_mi.base.glossary import TABLES
from rbridge_mi.testing import run_r
from tests.inference.inference_data import complete, fitted, imputed

pytestmark = [pytest.mark.r, pytest.mark.slow]

FORMULAS = {
    "intercept": "y ~ x1 + x2 + (1 | g)",
    "slope": "y ~ x1 + x2 + (1 + x1 | g)",
    "double bar": "y ~ x1 + x2 + (1 + x1 || g)",
    "crossed": "y ~ x1 + x2 + (1 + x1 | g) + (1 | h)",
    "three": "y ~ x1 + x2 + (1 + x1 + x2 | g)",
}


@pytest.fixture(scope="module")
def data() -> rb.ImputedData:
    return imputed(complete(groups=40, slope_sd=0.9), m=4, prop=0.1)


@pytest.fixture(scope="module")
def lists(data: rb.ImputedData) -> dict[str, rb.MerModList]:
    return {name: fitted(formula, data) for name, formula in FORMULAS.items()}


# In another process and by numDeriv: SDs, correlations and log sigma from theta and sigma, with
# lmerTest's covariance of (theta, sigma).
R = """
suppressMessages(library(lme4))
answers <- lapply(formulas, function(formula) {
  fit <- lmer(as.formula(formula), d, REML = reml)
  v <- lmerTest::as_lmerModLmerTest(fit)@vcov_varpar
  link <- function(par) {
    k <- length(par)
    covs <- lme4::mkVarCorr(par[k], getME(fit, "cnms"), lengths(getME(fit, "cnms")), par[-k],
                            names(getME(fit, "cnms")))
    covs <- structure(covs, useSc = TRUE, class = "VarCorr.merMod")
    table <- as.data.frame(covs)
    cor <- !is.na(table$var2)
    ifelse(cor, atanh(ifelse(cor, table$sdcor, 0)), log(table$sdcor))
  }
  j <- numDeriv::jacobian(link, c(getME(fit, "theta"), sigma(fit)))
  list(vcov = j %*% v %*% t(j))
})
"""


@pytest.mark.parametrize("reml", [True, False])
def test_curvature_is_lmertests(data: rb.ImputedData, reml: bool) -> None:
    first = data[0]
    found = run_r(R, formulas=FORMULAS, d=first, reml=reml)["answers"]
    for name, formula in FORMULAS.items():
        fit = rb.Lmer(formula, reml=reml).fit(first)
        assert not fit.is_singular, name
        own = fit.r.call("random_curvature").value
        expected = np.asarray(found[name]["vcov"])
        # lmerTest's second derivatives are good to some 5 digits, and those at an optimum that was
        # reached to 1e-3 in the gradient depend on the coordinates in the third.
        scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
        np.testing.assert_allclose(own["link_vcov"] / scale, expected / scale, atol=5e-3)
        assert bool(own["definite"][0])


def test_curvature_in_one_variance_by_hand() -> None:
    """Balanced one-way data by ML: the deviance's second derivatives have a closed form."""
    groups, size = 30, 6
    frame = complete(groups=groups, size=size)
    fit = rb.Lmer("y ~ 1 + (1 | g)", reml=False).fit(frame)
    s2, g2 = fit.sigma**2, float(fit.varcorr()["vcov"].iloc[0])
    lam = s2 + size * g2
    # -2 logLik = J (n - 1) log s2 + J log lam + SSW / s2 + SSB / lam; at the optimum the squares
    # are J (n - 1) s2 and J lam (the mean is profiled out, and orthogonal).
    h = np.zeros((2, 2))
    h[0, 0] = groups * (size - 1) / s2**2 + groups / lam**2
    h[0, 1] = h[1, 0] = groups * size / lam**2
    h[1, 1] = groups * size**2 / lam**2
    v = 2 * np.linalg.inv(h)  # of (s2, g2)
    own = fit.r.call("random_curvature").value["link_vcov"]
    # Extrapolated differences, at an optimum known to 1e-4 or so.
    assert own[0, 0] == pytest.approx(v[1, 1] / (4 * g2**2), rel=1e-3)
    assert own[1, 1] == pytest.approx(v[0, 0] / (4 * s2**2), rel=1e-3)
    assert own[0, 1] == pytest.approx(v[0, 1] / (4 * g2 * s2), rel=1e-3)


@pytest.mark.parametrize("name", FORMULAS)
def test_random_table(name: str, lists: dict[str, rb.MerModList]) -> None:
    fits = lists[name]
    pooled = fits.pool()
    table = pooled.random
    assert list(table.columns) == list(TABLES["random"])
    tidy = pooled.tidy().query("effect == 'ran_pars'").set_index(["group", "term"])["estimate"]
    own = table[table["term"] != "icc"].set_index(["group", "term"])
    assert set(own.index) == set(tidy.index)
    assert own["estimate"].tolist() == tidy.loc[list(own.index)].tolist()
    icc = table[table["term"] == "icc"].set_index("group")["estimate"]
    assert icc.to_dict() == pooled.icc.to_dict()
    if any(x.is_singular for x in fits):
        return
    assert (table["n_boundary"] == 0).all()
    assert (table["conf_low"] < table["estimate"]).all()
    assert (table["estimate"] < table["conf_high"]).all()
    bounded = table[table["term"].str.startswith("cor__")]
    assert bounded["conf_low"].gt(-1).all()
    assert bounded["conf_high"].lt(1).all()
    # Each row by the pure functions.
    found = [x.r.call("random_curvature").value for x in fits]
    keys = [
        tuple(map(str, row))
        for row in zip(*(found[0][k] for k in ("grp", "var1", "var2")), strict=True)
    ]
    for i, (grp, var1, var2) in enumerate(keys):
        values = np.array([x["value"][i] for x in found])
        variances = np.array([x["link_vcov"][i, i] for x in found])
        is_cor = var2 not in ("None", "nan")
        function = pooling.pool_cor if is_cor else pooling.pool_sd
        term = (
            f"cor__{var1}.{var2}"
            if is_cor
            else f"sd__{'Observation' if var1 in ('None', 'nan') else var1}"
        )
        row = own.loc[(grp, term)]
        expected = function(values, variances, variances_on="link", center=row["estimate"])
        for column in ("std_error", "df", "conf_low", "conf_high", "fmi"):
            assert row[column] == pytest.approx(float(getattr(expected, column)), rel=1e-10), term


def test_interval_is_near_the_profile() -> None:
    """m identical data sets: the interval of one fit, beside lme4's profile of it."""
    same = rb.ImputedData.from_frames([complete(groups=200)] * 3)
    fits = fitted("y ~ x1 + (1 | g)", same)
    table = fits.pool().random.set_index("term")
    assert (table["fmi"] == 0).all()
    profile = fits[0].confint(parm="theta_", method="profile").set_index("term")
    # 200 groups: the log scale is nearly quadratic; the profile is of ML, the fit REML.
    for mine, theirs in (("sd__(Intercept)", ".sig01"), ("sd__Observation", ".sigma")):
        for end in ("conf_low", "conf_high"):
            assert table.loc[mine, end] == pytest.approx(profile.loc[theirs, end], rel=0.03)


def test_icc_variance_by_delta(lists: dict[str, rb.MerModList]) -> None:
    """The ICC's standard error within fits is that of numerical derivatives in the log SDs."""
    fits = lists["crossed"]
    pooled = fits.pool()
    found = [x.r.call("random_curvature").value for x in fits]

    def share(log_sds: np.ndarray, which: int) -> float:
        v = np.exp(2 * log_sds)
        return float(v[which] / v.sum())

    names = [(str(g), str(a)) for g, a in zip(found[0]["grp"], found[0]["var1"], strict=True)]
    rows = [names.index(("g", "(Intercept)")), names.index(("h", "(Intercept)")), len(names) - 1]
    for which, group in enumerate(("g", "h")):
        values, variances = [], []
        for x in found:
            at = np.log(x["value"][rows])
            v = x["link_vcov"][np.ix_(rows, rows)]
            slope = np.array(
                [(share(at + e, which) - share(at - e, which)) / 2e-5 for e in 1e-5 * np.eye(3)]
            )
            values.append(share(at, which))
            variances.append(slope @ v @ slope)
        expected = pooling.pool_icc(values, variances, center=pooled.icc[group])
        row = pooled.random.query("group == @group and term == 'icc'").iloc[0]
        assert row["std_error"] == pytest.approx(float(expected.std_error), rel=1e-7)
        assert row["conf_low"] == pytest.approx(float(expected.conf_low), rel=1e-7)


def test_boundary() -> None:
    """A variance of 0 in some fits: an estimate, no interval; the others keep theirs."""
    data = imputed(complete(slope_sd=0.0), m=4)
    fits = fitted("y ~ x1 + (1 | g) + (0 + x2 | g)", data)
    singular = [x.is_singular for x in fits]
    assert sum(singular) > 0
    table = fits.pool().random.set_index("term")
    row = table.loc["sd__x2"]
    assert row["n_boundary"] == sum(singular)
    assert row["estimate"] == pytest.approx(
        math.sqrt(np.mean([x.varcorr()["vcov"].iloc[1] for x in fits])), rel=1e-12
    )
    assert row[["std_error", "df", "conf_low", "conf_high", "fmi"]].isna().all()
    others = table.drop(index="sd__x2")
    assert others.notna().all(axis=None)
    assert (others["n_boundary"] == 0).all()


def test_correlation_at_the_boundary() -> None:
    """A correlation of 1 or -1 has no z; the SDs beside it keep their intervals."""
    rng = np.random.default_rng(1)
    frame = complete(groups=30, size=8)
    parts = []
    for _, part in frame.groupby("g", sort=False):
        design = np.column_stack([np.ones(len(part)), part["x1"]])
        noise = rng.normal(size=(len(part), 3))
        noise -= design @ np.linalg.lstsq(design, noise, rcond=None)[0]
        parts.append((1 + part["x1"].to_numpy()[:, None]) * rng.normal() + noise)
    values = np.concatenate(parts)  # every group's own coefficients are equal, without noise
    frames = [frame.assign(y=values[:, i]) for i in range(3)]
    fits = fitted("y ~ x1 + (1 + x1 | g)", rb.ImputedData.from_frames(frames))
    assert all(x.is_singular for x in fits)
    table = fits.pool().random.set_index("term")
    cor = table.loc["cor__(Intercept).x1"]
    assert abs(cor["estimate"]) > 0.999
    assert cor["n_boundary"] == 3
    assert math.isnan(cor["conf_low"])
    assert table.loc[["sd__(Intercept)", "sd__x1", "sd__Observation"]].notna().all(axis=None)


TOL = 1e-4  # lme4's isSingular()


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda k: st.tuples(
            st.just(k),
            st.lists(
                st.sampled_from([0.0, 1e-9, 3e-5, 9.99e-5, 1.01e-4, 1e-3, 0.5, 2.0, -0.7, 1e4]),
                min_size=k * (k + 1) // 2,
                max_size=k * (k + 1) // 2,
            ),
        )
    )
)
def test_the_canonical_factor_is_singular_where_lme4s_is(drawn: tuple[int, list[float]]) -> None:
    """A 0 on its diagonal just where a diagonal theta is below isSingular's tolerance; and the
    covariance stays, but for what was set to 0."""
    k, thetas = drawn
    factor = np.zeros((k, k))
    factor[np.tril_indices(k)] = thetas
    factor[np.diag_indices(k)] = np.abs(np.diag(factor))  # lme4's lower bound
    found = np.asarray(rdoor.call("canonical_factor", factor, TOL).value).reshape(k, k)
    flagged = np.diag(found) == 0
    assert flagged.any() == (np.diag(factor) < TOL).any()
    assert (np.triu(found, 1) == 0).all()
    gone = np.linalg.norm(factor, axis=1) < TOL
    assert ((np.linalg.norm(found, axis=1) == 0) == gone).all()
    assert (found[:, flagged] == 0).all()
    # Each of the k numbers set to 0 was below TOL, in units in which its row has this length.
    length = np.linalg.norm(factor, axis=1)
    allowed = k * TOL * (length[:, None] + length[None, :]) + k * TOL**2
    assert (np.abs(found @ found.T - factor @ factor.T) <= allowed).all()


@pytest.mark.parametrize(
    "formula",
    ["y ~ x1 + (1 + x1 | g)", "y ~ x1 + (1 + x1 + x2 | g)", "y ~ x1 + (1 + x1 || g) + (1 | h)"],
)
def test_on_the_boundary_is_what_lme4_calls_singular(formula: str) -> None:
    """n_boundary counts a fit in some row just where it is singular; such a row has no interval."""
    kinds = set()
    for seed in range(8):
        frame = complete(groups=10, size=6, seed=seed, slope_sd=0.1 if seed % 2 else 0.8)
        fits = fitted(formula, imputed(frame, m=2, seed=seed))
        for fit in fits:
            found = fit.r.call("random_curvature").value
            assert bool(np.any(found["boundary"])) == fit.is_singular, fit.theta
            kinds.add(fit.is_singular)
        table = fits.pool().random
        assert (table["n_boundary"] > 0).any() == any(x.is_singular for x in fits)
        assert table["n_boundary"].max() <= sum(x.is_singular for x in fits)
        counted = table[table["n_boundary"] > 0]
        assert counted[["std_error", "df", "conf_low", "conf_high", "fmi"]].isna().all(axis=None)
    assert kinds == {True, False}


def test_an_effect_that_two_others_determine() -> None:
    """The third of three effects: both its correlations are on the boundary, neither is 1."""
    frame = complete(groups=30)
    x2 = frame["x2"]
    own = {g: np.random.default_rng(i).normal(size=2) for i, g in enumerate(frame["g"].unique())}
    u = np.array([own[g] for g in frame["g"]])
    y = u[:, 0] + u[:, 1] * frame["x1"] + (0.6 * u[:, 0] - 0.6 * u[:, 1]) * x2
    frame["y"] = y + 0.3 * np.random.default_rng(9).normal(size=len(frame))
    fits = fitted("y ~ 1 + (1 + x1 + x2 | g)", rb.ImputedData.from_frames([frame] * 2))
    assert fits[0].is_singular
    table = fits.pool().random.set_index("term")
    counted = table.index[table["n_boundary"] > 0].tolist()
    assert counted == ["cor__(Intercept).x2", "cor__x1.x2"]
    assert (table.loc[counted, "estimate"].abs() < 0.9).all()
    assert table.drop(index=counted).notna().all(axis=None)


def test_r2_of_terms_in_another_order_than_lme4s(data: rb.ImputedData) -> None:
    """lme4 sorts random terms by their number of levels."""
    a, b = (
        rb.Lmer(f"y ~ x1 + {x}").fit(data[0]).r2()
        for x in ("(1 | h) + (1 + x1 | g)", "(1 + x1 | g) + (1 | h)")
    )
    pd.testing.assert_frame_equal(a, b, rtol=1e-6)


def test_asking_leaves_the_fits_alone(data: rb.ImputedData) -> None:
    """lme4 writes into what its deviance function is given: it must be given copies."""
    fits = fitted("y ~ x1 + x2 + f + (1 + x1 | g)", data)
    newdata = data[0].head(20)
    names = ("theta", "Lambdat", "b", "RX", "Zt", "fixef", "L")

    def state() -> list[Any]:
        parts = [rdoor.call_object("lme4::getME", x.r, name) for x in fits for name in names]
        raw = [x.call("base::serialize", None).value for x in parts]
        return [raw, [x.predict(newdata).tolist() for x in fits]]

    before = state()
    pooled = fits.pool()
    assert len(pooled.random) == 5
    pooled.r2, fits.predict(newdata, interval="prediction")
    fits.pool("satterthwaite")
    with pytest.warns(rb.RBridgeWarning):
        rb.compare(fits, fitted("y ~ x1 + x2 + (1 + x1 | g)", data), "D4")
    with pytest.warns(rb.RBridgeWarning):
        rb.compare(fits, fitted("y ~ x1 + x2 + (1 + x1 | g)", data), "D3")
    after = state()
    assert before == after


def test_plain_pooling_asks_nothing_of_r(lists: dict[str, rb.MerModList]) -> None:
    """The random part, R2 and the rest are computed when asked for, and then kept."""
    pooled = lists["slope"].pool()
    assert not {"random", "r2", "advice"} & set(pooled.__dict__)
    first = pooled.random
    assert pooled.random is first
    again = pickle.loads(pickle.dumps(pooled))
    pd.testing.assert_frame_equal(again.__dict__["random"], first)


def test_bootstrap_samples_are_pooled_by_spread() -> None:
    boot = rb.BootstrapImputer(m=6, cluster="g").impute(complete(groups=40), seed=1)
    fits = fitted("y ~ x1 + (1 | g)", boot)
    pooled = fits.pool()
    table = pooled.random.set_index("term")
    logs = np.log([x.varcorr()["sdcor"] for x in fits])
    spread = logs.std(axis=0, ddof=1)
    np.testing.assert_allclose(
        table["std_error"].iloc[:2] / table["estimate"].iloc[:2], spread, rtol=1e-10
    )
    assert (table["df"] == 5).all()
    assert table["fmi"].isna().all()


def few_groups(seed: int) -> pd.DataFrame:
    """Eight groups, among whose bootstrap samples some have no variance between groups."""
    return complete(groups=8, size=10, seed=seed, slope_sd=0.0)[["y", "x1", "g"]]


def test_bootstrap_samples_on_the_boundary_leave_percentile_intervals() -> None:
    """With few groups some samples have an SD of 0: intervals are R's quantiles of type 6."""
    n_boundary = 0
    for seed in (2, 3):
        boot = rb.BootstrapImputer(m=39, cluster="g").impute(few_groups(seed), seed=1)
        fits = fitted("y ~ x1 + (1 | g)", boot)
        table = fits.pool().random.set_index("term")
        assert table[["std_error", "conf_low", "conf_high"]].notna().all(axis=None)
        row = table.loc["sd__(Intercept)"]
        n_boundary += row["n_boundary"]
        if not row["n_boundary"]:
            continue
        values = np.array([x.varcorr()["sdcor"].iloc[0] for x in fits])
        assert (values < 1e-3).sum() == row["n_boundary"]
        # A fit that lme4 calls singular counts as 0, and is as near to it as that.
        theirs = rdoor.call("stats::quantile", values, [0.025, 0.975], type=6, names=False).value
        np.testing.assert_allclose([row["conf_low"], row["conf_high"]], theirs, atol=1e-3)
        assert row["std_error"] == pytest.approx(values.std(ddof=1), rel=1e-3)
        assert np.isnan(row["df"])
        assert row["conf_low"] <= row["estimate"] <= row["conf_high"]
        sigma = table.loc["sd__Observation"]
        assert sigma["df"] == 38
    assert n_boundary > 0


def test_a_bootstrap_interval_that_is_lacking_is_told_of() -> None:
    boot = rb.BootstrapImputer(m=12, cluster="g").impute(few_groups(3), seed=1)
    pooled = fitted("y ~ x1 + (1 | g)", boot).pool()
    with pytest.warns(
        rb.RBridgeWarning, match=r"sd__\(Intercept\) \(g, \d+\).*at least 39, not 12"
    ):
        table = pooled.random.set_index("term")
    assert np.isnan(table.loc["sd__(Intercept)", "conf_low"])
    assert table.loc["sd__(Intercept)", "std_error"] > 0
    boot = rb.BootstrapImputer(m=39, cluster="g").impute(few_groups(3), seed=1)
    pooled = fitted("y ~ x1 + (1 + x1 | g)", boot).pool()
    with pytest.warns(rb.RBridgeWarning, match=r"cor__.*a correlation has no value"):
        table = pooled.random.set_index("term")
    assert table.loc["cor__(Intercept).x1", ["std_error", "conf_low"]].isna().all()
    assert table.loc["sd__x1", "conf_low"] >= 0


# --- ICC and R2 --------------------------------------------------------------------------------


def test_r2_by_hand(lists: dict[str, rb.MerModList], data: rb.ImputedData) -> None:
    fit = lists["slope"][0]
    frame = data[0]
    table = fit.r2()
    assert list(table.columns) == list(TABLES["r2"])
    row = table.iloc[0]
    linear = np.column_stack([np.ones(len(frame)), frame["x1"], frame["x2"]]) @ fit.beta.to_numpy()
    z = np.column_stack([np.ones(len(frame)), frame["x1"]])
    v = fit.varcorr()["vcov"].to_numpy()
    cov = np.array([[v[0], v[2]], [v[2], v[1]]])
    random = np.mean(np.einsum("ni,ij,nj->n", z, cov, z))
    fixed, residual = linear.var(ddof=1), fit.sigma**2
    total = fixed + random + residual
    share = random / (random + residual)  # on the scale of the response, too
    expected = [fixed / total, (fixed + random) / total, share, random / total, share,
                fixed, random, residual]  # fmt: skip
    np.testing.assert_allclose(row, expected, rtol=1e-12)


def test_r2_without_slopes_is_that_of_the_variances(lists: dict[str, rb.MerModList]) -> None:
    fits = lists["intercept"]
    per_fit = fits.r2(by_imputation=True)
    assert list(per_fit.columns) == ["imputation", *TABLES["r2"]]
    for fit, (_, row) in zip(fits, per_fit.iterrows(), strict=True):
        v = fit.varcorr()["vcov"]
        assert row["icc_adjusted"] == pytest.approx(v[0] / v.sum(), rel=1e-12)
        assert row["var_random"] == pytest.approx(v[0], rel=1e-12)
    np.testing.assert_allclose(
        fits.r2().iloc[0], per_fit.drop(columns="imputation").mean(), rtol=1e-14
    )
    pd.testing.assert_frame_equal(fits.pool().r2, fits.r2())


# --- random effects ----------------------------------------------------------------------------


def test_ranef_intervals(lists: dict[str, rb.MerModList]) -> None:
    pooled = lists["slope"].pool()
    table = pooled.ranef_intervals(0.9)
    assert list(table.columns) == list(TABLES["ranef_intervals"])
    pd.testing.assert_frame_equal(table[list(TABLES["ranef"])], pooled.ranef)
    half = ndtri(0.95) * pooled.ranef["condsd"]
    np.testing.assert_allclose(table["conf_high"] - table["condval"], half, rtol=1e-10)
    np.testing.assert_allclose(table["condval"] - table["conf_low"], half, rtol=1e-10)
    with pytest.raises(rb.ArgumentError, match="conf_level"):
        pooled.ranef_intervals(95)
