"""Pooled generalised models against mice, mitml, emmeans and formulas by hand.

mice and mitml are run in this R on the very fits, so that numbers differ by the order of sums
alone: 1e-10. Where another number is compared, the tolerance and its reason stand beside it.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.testing import run_r

pytestmark = pytest.mark.r

SAME = 1e-10


def frame(seed: int, family: str) -> pd.DataFrame:
    g = np.random.default_rng(seed)
    groups, rows = 25, 12
    site = np.repeat([f"s{i:02}" for i in range(groups)], rows)
    x = g.normal(size=groups * rows)
    kind = g.choice(["a", "b", "c"], size=groups * rows)
    u = np.repeat(g.normal(size=groups), rows)
    v = np.repeat(g.normal(size=groups), rows)
    eta = 0.3 + (0.6 + 0.4 * v) * x + 0.5 * (kind == "b") + 0.7 * u
    y = {
        "binomial": lambda: (g.uniform(size=len(x)) < expit(eta)).astype(int),
        "poisson": lambda: g.poisson(np.exp(eta)),
        "nb": lambda: g.negative_binomial(3, 3 / (3 + np.exp(eta))),
        "Gamma": lambda: g.gamma(4, np.exp(eta) / 4),
    }[family]()
    return pd.DataFrame({"y": y, "x": x, "kind": pd.Categorical(kind), "site": site})


def imputations(family: str, m: int = 6) -> rb.ImputedData:
    whole = frame(3, family)
    g = np.random.default_rng(4)
    holes = g.uniform(size=len(whole)) < 0.15
    original = whole.assign(x=whole["x"].mask(holes))
    sets = [
        whole.assign(x=whole["x"].mask(holes, whole["x"] + g.normal(size=len(whole))))
        for _ in range(m)
    ]
    return rb.ImputedData.from_frames(sets, original=original)


MODELS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "logit": ("binomial", rb.Glmer, {}),
    "probit": ("binomial", rb.Glmer, {"link": "probit"}),
    "poisson": ("poisson", rb.Glmer, {"family": "poisson"}),
    "nb given": ("nb", rb.Glmer, {"family": "negative.binomial(3)"}),
    "nb": ("nb", rb.GlmerNb, {}),
    "Gamma": ("Gamma", rb.Glmer, {"family": "Gamma(link = 'log')"}),
}
FULL, REDUCED = "y ~ x + kind + (1 | site)", "y ~ x + (1 | site)"
_lists: dict[tuple[str, str], rb.MerModList] = {}


def fitted(name: str, formula: str = FULL) -> rb.MerModList:
    if (name, formula) not in _lists:
        family, model, arguments = MODELS[name]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rb.RWarning)
            _lists[name, formula] = model(formula, **arguments).fit(imputations(family))
    return _lists[name, formula]


def in_r(code: str, **arguments: Any) -> Any:
    """Call a function that is written in R, on fits of this process."""
    function = rdoor.call_object("base::eval", rdoor.call_object("base::str2lang", code))
    return rdoor.call("base::do.call", function, arguments).value


def objects(fits: rb.MerModList) -> list[Any]:
    return [fit.r for fit in fits]


@pytest.mark.parametrize("name", MODELS)
def test_coefficients_are_mices(name: str) -> None:
    fits = fitted(name)
    theirs = in_r(
        """function(fits, dfcom) {
          loadNamespace("broom.mixed")
          pooled <- mice::pool(mice::as.mira(fits), dfcom = dfcom)
          c(as.list(pooled$pooled), as.list(summary(pooled, conf.int = TRUE)))
        }""",
        fits=objects(fits),
        dfcom=1e300,  # mice takes no infinite one
    )
    pooled = fits.pool(math.inf)
    table = pooled.fixed
    assert table["term"].tolist() == [str(x) for x in theirs["term"]]
    for mine, name_in_mice in {
        "estimate": "estimate", "std_error": "std.error", "statistic": "statistic", "df": "df",
        "p_value": "p.value", "conf_low": "2.5 %", "conf_high": "97.5 %", "ubar": "ubar",
        "b": "b", "t": "t", "riv": "riv", "lambda_": "lambda", "fmi": "fmi",
    }.items():  # fmt: skip
        np.testing.assert_allclose(table[mine], theirs[name_in_mice], rtol=SAME, err_msg=mine)
    assert (fits.pool().dfcom == math.inf) is not fits[0].has_scale


@pytest.mark.parametrize("name", MODELS)
def test_comparisons_are_mitmls(name: str) -> None:
    full, reduced = fitted(name), fitted(name, REDUCED)
    cases: list[tuple[str, dict[str, Any]]] = [
        ('method = "D1"', {"method": "D1", "dfcom": math.inf}),
        ('method = "D2", use = "wald"', {"method": "D2", "use": "wald"}),
        ('method = "D2", use = "likelihood"', {"method": "D2", "use": "likelihood"}),
    ]
    for arguments, options in cases:
        theirs = in_r(
            f"function(a, b) as.numeric(mitml::testModels(a, b, {arguments})$test)",
            a=objects(full), b=objects(reduced),
        )  # fmt: skip
        table = rb.compare(full, reduced, **options)
        mine = table[["statistic", "df1", "df2", "p_value", "riv"]].iloc[0].to_numpy(float)
        np.testing.assert_allclose(mine, theirs, rtol=1e-8, err_msg=arguments)


@pytest.mark.parametrize("name", ["logit", "probit", "poisson"])
def test_d4_is_mitmls(name: str) -> None:
    full, reduced = fitted(name), fitted(name, REDUCED)
    family = {"logit": "binomial", "probit": 'binomial("probit")', "poisson": "poisson"}[name]
    theirs = run_r(
        f"""
        library(lme4)
        full <- lapply(frames, function(data) glmer({FULL}, data, {family}))
        reduced <- lapply(frames, function(data) glmer({REDUCED}, data, {family}))
        d4 <- function(ariv) {{
          tested <- mitml::testModels(full, reduced, method = "D4", data = frames, ariv = ariv)
          as.numeric(tested$test)
        }}
        default <- d4("default")
        robust <- d4("robust")
        """,
        frames=list(full.data),
    )
    for ariv in ("default", "robust"):
        table = rb.compare(full, reduced, "D4", robust=ariv == "robust")
        mine = table[["statistic", "df1", "df2", "p_value", "riv"]].iloc[0].to_numpy(float)
        # The stacked fit begins at other values than mitml's: it agrees as an optimizer's ends do.
        np.testing.assert_allclose(mine, theirs[ariv], rtol=1e-4, err_msg=ariv)


def test_d3_by_hand() -> None:
    """Meng and Rubin's rule from lme4's own deviance function at own and at mean parameters."""
    full, reduced = fitted("poisson"), fitted("poisson", REDUCED)

    def log_likelihoods(fits: rb.MerModList) -> tuple[np.ndarray, np.ndarray]:
        code = """function(fit, theta, beta) {
          env <- environment(stats::formula(fit))
          control <- lme4::glmerControl(tolPwrss = 1e-12, nAGQ0initStep = FALSE)
          devfun <- lme4::glmer(stats::formula(fit), env$data, family = stats::poisson,
            control = control, devFunOnly = TRUE)
          -devfun(c(theta, beta)) / 2
        }"""
        beta = np.mean([fit.beta.to_numpy() for fit in fits], axis=0)
        theta = math.sqrt(np.mean([float(fit.theta.iloc[0]) ** 2 for fit in fits]))
        at_own = [
            in_r(code, fit=x.r, theta=x.theta.to_numpy(), beta=x.beta.to_numpy())[0] for x in fits
        ]
        at_mean = [in_r(code, fit=x.r, theta=np.array([theta]), beta=beta)[0] for x in fits]
        return np.array(at_own), np.array(at_mean)

    (own_full, mean_full), (own_reduced, mean_reduced) = map(log_likelihoods, (full, reduced))
    m, k = len(full), 2
    d_bar = 2 * np.mean(own_full - own_reduced)
    d_tilde = 2 * np.mean(mean_full - mean_reduced)
    r = (m + 1) / (k * (m - 1)) * (d_bar - d_tilde)
    f = d_tilde / (k * (1 + r))
    table = rb.compare(full, reduced, "D3")
    np.testing.assert_allclose(table["statistic"], f, rtol=1e-6)  # differences of 1e3
    np.testing.assert_allclose(table["riv"], r, rtol=1e-5)
    assert table["p_value"][0] == pytest.approx(stats.f.sf(f, k, table["df2"][0]), rel=1e-5)


@pytest.mark.parametrize("name", ["nb", "nb given", "Gamma"])
def test_a_dispersion_has_no_place_in_d3_and_d4(name: str) -> None:
    full, reduced = fitted(name), fitted(name, REDUCED)
    for method in ("D3", "D4"):
        with pytest.raises(rb.ArgumentError, match=rf"{method} has no answer .* dispersion .*'D1'"):
            rb.compare(full, reduced, method)


# -- the random part ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["logit", "poisson", "nb"])
def test_the_random_parts_intervals(name: str) -> None:
    """Each fit's variance of log SD from numDeriv's second derivatives of lme4's deviance."""
    fits = fitted(name)
    code = """function(fit) {
      env <- environment(stats::formula(fit))
      call <- stats::getCall(fit)
      call$control <- lme4::glmerControl(tolPwrss = 1e-12, nAGQ0initStep = FALSE)
      call$devFunOnly <- TRUE
      devfun <- eval(call, env)
      at <- c(lme4::getME(fit, "theta"), lme4::fixef(fit))
      2 * solve(numDeriv::hessian(devfun, at))[1, 1]
    }"""
    theta = np.array([float(fit.theta.iloc[0]) for fit in fits])
    within = np.array([in_r(code, fit=fit.r)[0] for fit in fits]) / theta**2
    log_sd, m = np.log(theta), len(fits)
    between = log_sd.var(ddof=1)
    total = within.mean() + (1 + 1 / m) * between
    df = (m - 1) / ((1 + 1 / m) * between / total) ** 2
    center = math.sqrt(np.mean(theta**2))
    half = stats.t.ppf(0.975, df) * math.sqrt(total)
    row = fits.pool().random.set_index("term").loc["sd__(Intercept)"]
    # Two differences of a deviance that is iterated to 1e-12: some 5 digits.
    np.testing.assert_allclose(row["estimate"], center, rtol=SAME)
    np.testing.assert_allclose(row["std_error"], center * math.sqrt(total), rtol=1e-4)
    np.testing.assert_allclose(row["conf_low"], center * math.exp(-half), rtol=1e-4)
    np.testing.assert_allclose(row["conf_high"], center * math.exp(half), rtol=1e-4)
    assert row["n_boundary"] == 0
    # The latent variable's share: known for the logit, and not for counts.
    pooled = fits.pool()
    if name == "logit":
        share = center**2 / (center**2 + math.pi**2 / 3)
        icc = pooled.random.set_index("term").loc["icc"]
        assert pooled.icc["site"] == pytest.approx(share, rel=1e-12)
        assert icc["estimate"] == pytest.approx(share, rel=1e-12)
        # logit(share) = 2 log sd - log(pi^2 / 3): twice the width on these scales.
        bounds = [expit(math.log(share / (1 - share)) + side * 2 * half) for side in (-1, 1)]
        np.testing.assert_allclose(icc[["conf_low", "conf_high"]].astype(float), bounds, rtol=1e-4)
    else:
        assert pooled.icc.isna().all()
        assert "icc" not in pooled.random["term"].tolist()


def test_slopes_and_their_correlation_have_intervals() -> None:
    fits = fitted("poisson", "y ~ x + (1 + x | site)")
    table = fits.pool().random
    assert table["term"].tolist() == ["sd__(Intercept)", "sd__x", "cor__(Intercept).x"]
    assert (table["conf_low"] < table["estimate"]).all()
    assert (table["estimate"] < table["conf_high"]).all()
    assert table.loc[2, "conf_low"] > -1 and table.loc[2, "conf_high"] < 1


def test_a_scale_has_no_intervals() -> None:
    with pytest.raises(rb.ArgumentError, match="family 'Gamma' has no standard errors"):
        _ = fitted("Gamma").pool().random


# -- predictions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_predictions_of_the_fixed_part(name: str) -> None:
    """The mean of R's predictions; the variance from vcov(fit), as emmeans has it."""
    fits = fitted(name)
    new = frame(9, MODELS[name][0]).head(7)
    table = fits.predict(new, re_form="NA", interval="confidence")
    each = np.array([fit.predict(new, re_form="NA") for fit in fits])
    np.testing.assert_allclose(table["estimate"], each.mean(axis=0), rtol=1e-12)
    design = np.column_stack([np.ones(7), new["x"], new["kind"] == "b", new["kind"] == "c"]).astype(
        float
    )
    u = np.array([np.einsum("ni,ij,nj->n", design, fit.vcov().to_numpy(), design) for fit in fits])
    total = u.mean(axis=0) + (1 + 1 / len(fits)) * each.var(axis=0, ddof=1)
    np.testing.assert_allclose(table["std_error"], np.sqrt(total), rtol=1e-8)  # solve() of vcov
    back = fits.predict(new, re_form="NA", interval="confidence", type="response")
    inverse = stats.norm.cdf if name == "probit" else expit if name == "logit" else np.exp
    for column in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(back[column], inverse(table[column]), rtol=1e-12)
    slope = {
        "probit": stats.norm.pdf(table["estimate"]),
        "logit": back["estimate"] * (1 - back["estimate"]),
    }.get(name, back["estimate"])
    np.testing.assert_allclose(back["std_error"], table["std_error"] * slope, rtol=1e-12)
    assert back["df"].equals(table["df"])


def test_predictions_with_random_effects_have_their_variance() -> None:
    """Henderson's equations with the weights of the modes, in dense matrices."""
    fits = fitted("poisson")
    new = frame(9, "poisson").head(4)
    table = fits.predict(new)
    estimates, variances = [], []
    for fit in fits:
        parts = in_r(
            """function(fit) list(X = lme4::getME(fit, "X"), Z = as.matrix(lme4::getME(fit, "Z")),
              mu = unname(stats::fitted(fit)))""",
            fit=fit.r,
        )
        theta = float(fit.theta.iloc[0])
        x, z, w = parts["X"], parts["Z"] * theta, parts["mu"]
        level = {name: i for i, name in enumerate(sorted(set(fit.ranef()["grp"])))}
        ztwz = z.T @ (w[:, None] * z) + np.eye(z.shape[1])
        ztwx = z.T @ (w[:, None] * x)
        rows_x = np.column_stack(
            [np.ones(4), new["x"], new["kind"] == "b", new["kind"] == "c"]
        ).astype(float)
        rows_z = np.zeros((4, z.shape[1]))
        rows_z[np.arange(4), [level[s] for s in new["site"]]] = theta
        of_modes = np.einsum("ni,ij,nj->n", rows_z, np.linalg.inv(ztwz), rows_z)
        rest = rows_x - rows_z @ np.linalg.solve(ztwz, ztwx)
        of_beta = np.einsum("ni,ij,nj->n", rest, fit.vcov().to_numpy(), rest)
        variances.append(of_modes + of_beta)
        estimates.append(fit.predict(new).to_numpy())
    each = np.array(estimates)
    total = np.mean(variances, axis=0) + (1 + 1 / len(fits)) * each.var(axis=0, ddof=1)
    np.testing.assert_allclose(table["estimate"], each.mean(axis=0), rtol=1e-12)
    # lme4 weighs by the modes of its last iteration, which it ends at 1e-7.
    np.testing.assert_allclose(table["std_error"], np.sqrt(total), rtol=1e-5)


def test_new_groups_and_wrong_arguments() -> None:
    fits = fitted("logit")
    new = frame(9, "binomial").head(3).assign(site="elsewhere")
    with pytest.raises(rb.PredictionError, match="new levels of site: elsewhere"):
        fits.predict(new)
    fixed = fits.predict(new, re_form="NA")
    unseen = fits.predict(new, allow_new_levels=True)
    np.testing.assert_allclose(unseen["estimate"], fixed["estimate"], rtol=1e-12)
    assert (unseen["std_error"] > fixed["std_error"]).all()
    with pytest.raises(rb.ArgumentError, match="type"):
        fits.predict(new, type="mean")  # type: ignore[arg-type]
    with pytest.raises(rb.ArgumentError, match=r"interval='prediction'.*fit\.simulate"):
        fits.predict(new, interval="prediction")


def test_everything_is_saved_and_comes_back(tmp_path: Any) -> None:
    for name in ("logit", "nb", "Gamma"):
        fits = fitted(name)
        path = rb.save(fits, tmp_path / f"{name.replace(' ', '_')}.zip")
        again: Any = rb.load(path)
        assert again == fits
        one, other = fits[0], again[0]
        assert (other.family, other.link, other.nAGQ) == (one.family, one.link, one.nAGQ)
        assert other.nb_theta == one.nb_theta or math.isnan(one.nb_theta)
        pd.testing.assert_frame_equal(again.pool().fixed, fits.pool().fixed)


@pytest.mark.parametrize("name", ["logit", "poisson", "nb"])
def test_ratios_are_the_exponentiated_table(name: str) -> None:
    fits = fitted(name)
    plain, ratios = fits.pool(), fits.pool(exponentiate=True)
    for column in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(ratios.fixed[column], np.exp(plain.fixed[column]), rtol=1e-12)
    # As broom.mixed's tidy(exponentiate = TRUE): the delta method.
    expected = plain.fixed["std_error"] * np.exp(plain.fixed["estimate"])
    np.testing.assert_allclose(ratios.fixed["std_error"], expected, rtol=1e-12)
    changed = ("estimate", "std_error", "conf_low", "conf_high")
    rest = [x for x in plain.fixed.columns if x not in changed]
    pd.testing.assert_frame_equal(ratios.fixed[rest], plain.fixed[rest], check_exact=True)
    pd.testing.assert_frame_equal(ratios.vcov, plain.vcov)
    pd.testing.assert_frame_equal(ratios.test("x = 0"), plain.test("x = 0"))
    both, difference = ratios.contrast("kindb - kindc"), plain.contrast("kindb - kindc")
    np.testing.assert_allclose(both["estimate"], np.exp(difference["estimate"]), rtol=1e-12)
    assert "Fixed effects, exponentiated (95% intervals)" in str(ratios)
    alone = fits[0].fixed(exponentiate=True)
    np.testing.assert_allclose(alone["estimate"], np.exp(fits[0].beta), rtol=1e-12)


def test_other_links_have_no_ratios() -> None:
    with pytest.raises(rb.ArgumentError, match="those of link 'probit' have no meaning"):
        fitted("probit").pool(exponentiate=True)
