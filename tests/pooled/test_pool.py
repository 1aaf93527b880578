"""rb.pool: against mice and mitml in a separate Rscript, its forms of input, and its refusals.

Estimates and covariances are the same numbers on both sides, or those of the same linear model by
two solvers; sums in another order, a matrix inverse and a tail probability then leave 1e-10. p
values are compared by their logarithm: in a tail that is what an error moves.
"""

from __future__ import annotations

import copy
import math
import pickle
import warnings
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st

import rbridge_mi as rb
from rbridge_mi.base.glossary import TABLES
from rbridge_mi.testing import run_r
from tests.inference.inference_data import complete, fitted, imputed

EQUAL = 1e-10
DIFFERENCES = 1e-6  # mitml's testConstraints differentiates numerically: about 1e-8, here and there
FORMULA = "y ~ x1 + x2 + f"
IN_R = {
    "Intercept": "(Intercept)", "f[T.b]": "fb", "f[T.c]": "fc", "x1": "x1", "x2": "x2",
}  # fmt: skip


@pytest.fixture(scope="module")
def data() -> rb.ImputedData:
    return imputed(m=5)


@pytest.fixture(scope="module")
def results(data: rb.ImputedData) -> rb.MappedResults:
    return data.map(lambda d: smf.ols(FORMULA, d).fit())


def close(ours: Any, theirs: Any, tolerance: float = EQUAL) -> None:
    np.testing.assert_allclose(
        np.asarray(ours, float), np.asarray(theirs, float), rtol=tolerance, atol=0
    )


def by_r(table: pd.DataFrame) -> pd.DataFrame:
    """A table of ours by R's names of the terms."""
    return table.assign(term=table["term"].map(IN_R)).set_index("term")


# --- against R ------------------------------------------------------------------------------------

R = """
suppressMessages({library(mice); library(mitml); library(broom)})
fits <- lapply(frames, function(d) lm(y ~ x1 + x2 + f, d))
everything <- function(fits, ...) {
  table <- summary(pool(fits, ...), type = "all", conf.int = TRUE, conf.level = 0.9)
  table$term <- as.character(table$term)
  table
}
residual <- everything(fits)
number <- everything(fits, dfcom = 30)
infinite <- everything(fits, dfcom = 1e300)
logits <- lapply(frames, function(d) glm(y > 1 ~ x1 + x2 + f, binomial, d))
odds <- summary(pool(logits), type = "all", conf.int = TRUE, exponentiate = TRUE)
odds$term <- as.character(odds$term)
terms <- names(coef(logits[[1]]))
q <- unname(t(sapply(logits, coef)))
u <- lapply(logits, function(fit) unname(vcov(fit)))
scalar <- as.numeric(pool.scalar(q[, 2], sapply(u, function(x) x[2, 2]), n = 60, k = 3)[
  c("qbar", "ubar", "b", "t", "df", "r", "fmi")])
named <- lapply(logits, coef)
matrices <- lapply(logits, vcov)
estimates <- function(df) {
  table <- testEstimates(qhat = named, uhat = matrices, df.com = df)$estimates
  unname(table[, 1:7])
}
mitml_infinite <- estimates(NULL)
mitml_number <- estimates(50)
constraint <- function(what, rows, right, df) {
  # testConstraints differentiates the constraints by finite differences, which leaves 1e-8 of its
  # covariance matrix; its rule itself is given the exact combinations.
  rows <- matrix(rows, length(what), byrow = TRUE)
  exact <- mitml:::.D1(sapply(named, function(q) rows %*% q - right),
                       array(sapply(matrices, function(v) rows %*% v %*% t(rows)),
                             c(length(what), length(what), length(named))), df)
  list(test = as.numeric(testConstraints(
         qhat = named, uhat = matrices, constraints = what, df.com = df)$test),
       exact = as.numeric(c(exact$F, exact$k, exact$v, exact$r)))
}
zero <- c(0, 0, 0, 1, 0, 0, 0, 0, 0, 1)
tests <- list(
  two = constraint(c("fb", "fc"), zero, 0, NULL),
  two_number = constraint(c("fb", "fc"), zero, 0, 50),
  three = constraint(c("x1 - x2", "fb - fc", "x2 - 0.5"),
                     c(0, 1, -1, 0, 0, 0, 0, 0, 1, -1, 0, 0, 1, 0, 0), c(0, 0, 0.5), NULL)
)
combination <- as.numeric(pool.scalar(
  q[, 2] - 2 * q[, 3],  # x1 and x2
  sapply(matrices, function(v) { a <- c(0, 1, -2, 0, 0); drop(a %*% v %*% a) }), n = 51, k = 1
)[c("qbar", "ubar", "b", "t", "df", "r", "fmi")])
"""


@pytest.fixture(scope="module")
def in_r(data: rb.ImputedData) -> Any:
    return run_r(R, frames=list(data))


@pytest.fixture(scope="module")
def logits(in_r: Any) -> dict[str, Any]:
    return {"results": in_r["q"], "covariances": in_r["u"], "names": list(in_r["terms"])}


MICE = {
    "estimate": "estimate", "std_error": "std.error", "statistic": "statistic", "df": "df",
    "conf_low": "5 %", "conf_high": "95 %", "ubar": "ubar", "b": "b", "t": "t", "riv": "riv",
    "lambda_": "lambda", "fmi": "fmi",
}  # fmt: skip


@pytest.mark.r
@pytest.mark.parametrize(
    ("dfcom", "name"), [(None, "residual"), (30, "number"), (math.inf, "infinite")]
)
def test_linear_models_as_mice_pools_them(
    results: rb.MappedResults, in_r: Any, dfcom: Any, name: str
) -> None:
    pooled = rb.pool(results, dfcom=dfcom, conf_level=0.9)
    assert list(pooled.fixed.columns) == list(TABLES["fixed"])
    theirs = in_r[name].set_index("term")
    ours = by_r(pooled.fixed).loc[theirs.index]
    for column, called in MICE.items():
        close(ours[column], theirs[called])
    close(np.log(ours["p_value"]), np.log(theirs["p.value"].astype(float)))
    if name == "residual":
        assert pooled.dfcom == "residual"
        close(pooled.complete_df, theirs["dfcom"])


@pytest.mark.r
def test_odds_ratios_as_mice_and_broom_give_them(logits: dict[str, Any], in_r: Any) -> None:
    theirs = in_r["odds"].set_index("term")
    dfcom = float(theirs["dfcom"].iloc[0])
    pooled = rb.pool(**logits, dfcom=dfcom, exponentiate=True)
    ours = pooled.fixed.set_index("term").loc[theirs.index]
    columns = MICE | {"conf_low": "2.5 %", "conf_high": "97.5 %"}
    for column, called in columns.items():
        # mice leaves the standard errors of the logarithms.
        ratio_scale = ours["estimate"] if column == "std_error" else 1
        close(ours[column], theirs[called] * ratio_scale)
    plain = rb.pool(**logits, dfcom=dfcom)
    close(np.log(pooled.fixed["estimate"]), plain.fixed["estimate"])
    close(pooled.fixed["std_error"], plain.fixed["std_error"] * pooled.fixed["estimate"])
    assert "exponentiated" in pooled.fixed.attrs["note"]
    assert "exponentiated" in str(pooled)
    ratio, difference = pooled.contrast("fb - fc"), plain.contrast("fb - fc")
    for column in ("estimate", "conf_low", "conf_high"):
        close(ratio[column], np.exp(difference[column]))
    close(ratio["std_error"], difference["std_error"] * ratio["estimate"])
    assert pooled.test("fb = fc").equals(plain.test("fb = fc"))


@pytest.mark.r
def test_one_number_as_pool_scalar_pools_it(in_r: Any) -> None:
    q, u = in_r["q"][:, 1], [x[1, 1] for x in in_r["u"]]
    row = rb.pool(q, u, dfcom=57).fixed.iloc[0]
    names = ["estimate", "ubar", "b", "t", "df", "riv", "fmi"]
    close([row[x] for x in names], in_r["scalar"])
    again = rb.pool(list(q), std_errors=np.sqrt(u), dfcom=57).fixed.iloc[0]
    close([again[x] for x in names], in_r["scalar"])


@pytest.mark.r
@pytest.mark.parametrize(("dfcom", "name"), [(None, "mitml_infinite"), (50, "mitml_number")])
def test_estimates_as_mitml_pools_them(
    logits: dict[str, Any], in_r: Any, dfcom: Any, name: str
) -> None:
    fixed = rb.pool(**logits, dfcom=dfcom).fixed
    columns = ["estimate", "std_error", "statistic", "df", "p_value", "riv", "fmi"]
    theirs = pd.DataFrame(in_r[name], columns=columns)
    for column in columns:
        ours = fixed[column]
        if column == "p_value":
            close(np.log(ours), np.log(theirs[column]))
        else:
            close(ours, theirs[column])


@pytest.mark.r
@pytest.mark.parametrize(
    ("hypothesis", "dfcom", "name"),
    [
        ("fb = 0, fc = 0", None, "two"),
        ("fb = 0, fc = 0", 50, "two_number"),
        (["x1 = x2", "fb = fc", "x2 = 0.5"], None, "three"),
    ],
)
def test_hypotheses_as_mitml_tests_them(
    logits: dict[str, Any], in_r: Any, hypothesis: Any, dfcom: Any, name: str
) -> None:
    row = rb.pool(**logits, dfcom=dfcom).test(hypothesis).iloc[0]
    ours = [row[x] for x in ("statistic", "df1", "df2", "riv")]
    close(ours, in_r["tests"][name]["exact"])
    statistic, df1, df2, p, riv = in_r["tests"][name]["test"]
    close(ours, [statistic, df1, df2, riv], DIFFERENCES)
    close(np.log(row["p_value"]), np.log(p), DIFFERENCES)


@pytest.mark.r
def test_one_hypothesis_is_the_squared_t_of_its_contrast(logits: dict[str, Any]) -> None:
    pooled = rb.pool(**logits)
    test, contrast = pooled.test("x1 = x2").iloc[0], pooled.contrast("x1 - x2").iloc[0]
    close(test["statistic"], contrast["statistic"] ** 2)
    close([test["df2"], test["p_value"]], [contrast["df"], contrast["p_value"]])


@pytest.mark.r
def test_contrasts_as_pool_scalar_pools_them(logits: dict[str, Any], in_r: Any) -> None:
    row = rb.pool(**logits, dfcom=50).contrast("x1 - 2*x2").iloc[0]
    names = ["estimate", "ubar", "b", "t", "df", "riv", "fmi"]
    close([row[x] for x in names], in_r["combination"])


@pytest.mark.r
@pytest.mark.slow
def test_our_fits_give_what_their_list_gives(data: rb.ImputedData) -> None:
    fits = fitted("y ~ x1 + x2 + f + (1 | g)", data)
    whole, pooled = fits.pool(), rb.pool(fits)
    assert pooled.fixed.equals(whole.fixed)
    assert pooled.vcov.equals(whole.vcov)
    assert pooled.complete_df.equals(whole.complete_df)
    assert pooled.test("fb = 0, fc = 0").equals(whole.test("fb = 0, fc = 0"))
    assert pooled.contrast(["x1", "fb - fc"]).equals(whole.contrast(["x1", "fb - fc"]))
    assert rb.pool(list(fits), dfcom=math.inf).fixed.equals(fits.pool(dfcom=math.inf).fixed)
    ours, theirs = diagnosed(pooled), diagnosed(whole)
    assert ours.coefficients.equals(theirs.coefficients)
    assert ours.fits is None
    assert "mixed model" in repr(pooled)
    with pytest.raises(rb.ArgumentError, match=r"fits.pool\(dfcom=...\)"):
        rb.pool(fits, dfcom="satterthwaite")
    other = fitted("y ~ x1 + (1 | g)", data)
    with pytest.raises(rb.PoolingError, match="imputation 5 is of another model"):
        rb.pool([*list(fits)[:4], other[4]])


@pytest.mark.r
@pytest.mark.slow
def test_bootstrap_samples_are_pooled_by_their_spread() -> None:
    boot = rb.BootstrapImputer(m=6, cluster="g").impute(complete(), seed=1)
    fits = fitted("y ~ x1 + (1 | g)", boot)
    assert rb.pool(fits).fixed.equals(fits.pool().fixed)
    with pytest.raises(rb.ArgumentError, match="results are of bootstrap data sets"):
        rb.pool(fits, kind="imputation")
    with pytest.raises(rb.ArgumentError, match="dfcom has no effect"):
        rb.pool(fits, dfcom=10)
    mapped = boot.map(lambda d: smf.ols("y ~ x1", d).fit())
    pooled = rb.pool(mapped)
    q = np.array([x.params for x in mapped])
    close(pooled.fixed["std_error"], q.std(axis=0, ddof=1))
    assert pooled.fixed[["ubar", "riv", "fmi"]].isna().all(axis=None)
    bare = rb.pool(q, names=["Intercept", "x1"], kind="bootstrap")
    assert bare.fixed.equals(pooled.fixed)
    close(bare.contrast("x1 - Intercept")["std_error"], np.std(q[:, 1] - q[:, 0], ddof=1))
    assert not pooled.diagnostics().advice
    with pytest.raises(rb.PoolingError, match="bootstrap samples"):
        bare.test("x1 = 0")
    with pytest.raises(rb.ArgumentError, match="have no effect on bootstrap samples"):
        rb.pool(q, q**2, kind="bootstrap")


# --- forms of input -------------------------------------------------------------------------------

RNG = np.random.default_rng(7)
Q = RNG.normal(size=(4, 3))
FACTORS = RNG.normal(size=(4, 3, 8))
V = FACTORS @ np.swapaxes(FACTORS, 1, 2) / 8
NAMES = ["a", "b", "c"]
EXPECTED = rb.pool(Q, covariances=V, names=NAMES)


def series(order: list[int] | None = None) -> list[pd.Series[float]]:
    order = [0, 1, 2] if order is None else order
    return [pd.Series(row, NAMES).iloc[order] for row in Q]


def frames(order: list[int] | None = None) -> list[pd.DataFrame]:
    order = [0, 1, 2] if order is None else order
    return [pd.DataFrame(v, NAMES, NAMES).iloc[order, order[::-1]] for v in V]


FORMS: dict[str, Callable[[], rb.PooledEstimates]] = {
    "lists": lambda: rb.pool(Q.tolist(), covariances=V.tolist(), names=NAMES),
    "a frame": lambda: rb.pool(pd.DataFrame(Q, columns=NAMES), covariances=V),
    "series": lambda: rb.pool(series(), covariances=V),
    "series, frames": lambda: rb.pool(series(), covariances=frames([2, 0, 1])),
    "dicts, frames": lambda: rb.pool([dict(x) for x in series()], covariances=frames([1, 0, 2])),
    "mixed orders": lambda: rb.pool(
        [x if i == 0 else x.iloc[::-1] for i, x in enumerate(series())], covariances=frames()
    ),
    "arrays by name": lambda: rb.pool(Q, covariances=frames([2, 1, 0]), names=NAMES),
    "a tuple": lambda: rb.pool(tuple(Q), covariances=tuple(V), names=tuple(NAMES)),
    "int names": lambda: rb.pool(Q, covariances=V, names=NAMES, dfcom=np.float64(math.inf)),
    "dfcom by name": lambda: rb.pool(
        series(), covariances=V, dfcom={"c": math.inf, "a": math.inf, "b": math.inf}
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_bits(form: str) -> None:
    pooled = FORMS[form]()
    assert pooled.fixed.equals(EXPECTED.fixed)
    assert pooled.vcov.equals(EXPECTED.vcov)
    assert pooled.test("a = b, c = 1").equals(EXPECTED.test("a = b, c = 1"))


@pytest.mark.parametrize(
    "variances",
    [
        {"variances": np.diagonal(V, axis1=1, axis2=2)},
        {"std_errors": [pd.Series(np.sqrt(np.diag(v)), NAMES).iloc[::-1] for v in V]},
        {"std_errors": pd.DataFrame([np.sqrt(np.diag(v)) for v in V], columns=NAMES)},
        {"variances": [dict(zip(NAMES, np.diag(v), strict=True)) for v in V]},
    ],
)
def test_variances_alone(variances: dict[str, Any]) -> None:
    pooled = rb.pool(series(), **variances)
    close(pooled.fixed.drop(columns="term"), EXPECTED.fixed.drop(columns="term"), 1e-14)
    close(np.diag(pooled.vcov), np.diag(EXPECTED.vcov), 1e-14)
    assert pooled.vcov.to_numpy()[~np.eye(3, dtype=bool)].tolist() != []
    assert np.isnan(pooled.vcov.to_numpy()[~np.eye(3, dtype=bool)]).all()
    close(pooled.test("a = 1")["p_value"], EXPECTED.test("a = 1")["p_value"], 1e-12)
    close(pooled.contrast(["2*a", "b"])["t"], EXPECTED.contrast(["2*a", "b"])["t"], 1e-14)
    for ask in (pooled.test, pooled.contrast):
        with pytest.raises(rb.ArgumentError, match="a, b are asked about together"):
            ask("a = b")
    with pytest.raises(rb.ArgumentError, match="a, c are asked about together"):
        pooled.test("a = 0, c = 0")


def test_default_names() -> None:
    assert rb.pool(Q, Q**2).fixed["term"].tolist() == ["b1", "b2", "b3"]
    assert rb.pool([1.0, 2.0], [1, 1]).fixed["term"].tolist() == ["b1"]
    close(rb.pool([1.0, 2.0], [1, 1]).vcov, [[1.75]])


def test_dfcom_of_each_coefficient() -> None:
    pooled = rb.pool(Q, covariances=V, names=NAMES, dfcom=[10, 20, math.inf])
    for name, dfcom in zip(NAMES, [10.0, 20.0, math.inf], strict=True):
        alone = rb.pool(Q, covariances=V, names=NAMES, dfcom=dfcom).fixed.set_index("term")
        assert pooled.fixed.set_index("term").loc[name].equals(alone.loc[name])
    least = rb.pool(Q, covariances=V, names=NAMES, dfcom=10)
    assert pooled.contrast("a - b").equals(least.contrast("a - b"))
    assert pooled.test("a = c, b = 0").equals(least.test("a = c, b = 0"))
    of_b = rb.pool(Q, covariances=V, names=NAMES, dfcom=20)
    assert pooled.contrast("b - c").equals(of_b.contrast("b - c"))
    by_name = rb.pool(
        Q, covariances=V, names=NAMES, dfcom=pd.Series({"c": math.inf, "b": 20, "a": 10})
    )
    assert by_name.fixed.equals(pooled.fixed)
    assert "10 to inf" in str(pooled)


# --- result objects -------------------------------------------------------------------------------


def test_statsmodels(data: rb.ImputedData, results: rb.MappedResults) -> None:
    pooled = rb.pool(results)
    arrays = rb.pool(
        [x.params for x in results], covariances=[x.cov_params() for x in results],
        dfcom=results[0].df_resid,
    )  # fmt: skip
    assert pooled.fixed.equals(arrays.fixed)
    assert pooled.vcov.equals(arrays.vcov)
    assert pooled.model == "OLS of y"
    assert list(pooled.fixed["term"]) == list(results[0].params.index)
    given = rb.pool(results, covariances=[4 * x.cov_params() for x in results])
    close(given.fixed["ubar"], 4 * pooled.fixed["ubar"])


def test_statsmodels_without_names_in_its_arrays(data: rb.ImputedData) -> None:
    arrays = data.map(lambda d: sm.OLS(d["y"].to_numpy(), sm.add_constant(d[["x1"]].to_numpy())))
    pooled = rb.pool([x.fit() for x in arrays])
    assert pooled.fixed["term"].tolist() == ["const", "x1"]
    formula = rb.pool(data.map(lambda d: smf.ols("y ~ x1", d).fit()))
    close(pooled.fixed["estimate"], formula.fixed["estimate"])


def test_statsmodels_generalised_and_clustered(data: rb.ImputedData) -> None:
    def logit(d: pd.DataFrame) -> Any:
        d = d.assign(high=(d["y"] > 1).astype(float))
        return smf.glm("high ~ x1", d, family=sm.families.Binomial()).fit()

    pooled = rb.pool(data.map(logit), exponentiate=True)
    assert pooled.model == "GLM (Binomial, Logit) of high"
    assert pooled.complete_df.tolist() == [190.0, 190.0]
    clustered = data.map(
        lambda d: smf.ols("y ~ x1", d).fit(
            cov_type="cluster", cov_kwds={"groups": d["g"].astype("category").cat.codes}
        )
    )
    assert rb.pool(clustered).complete_df.tolist() == [23.0, 23.0]


class LinearmodelsResult:
    """What linearmodels documents of its results: params, cov, df_resid; no cov_params."""

    def __init__(self, q: np.ndarray, v: np.ndarray) -> None:
        self.params = pd.Series(q, NAMES, name="parameter")
        self.cov = pd.DataFrame(v, NAMES, NAMES)
        self.df_resid = np.int64(40)


class PyfixestResult:
    """What pyfixest documents of its fits: coef() and _vcov, with _df_t for its t tests."""

    def __init__(self, q: np.ndarray, v: np.ndarray) -> None:
        self._q, self._vcov, self._df_t = q, v, 40

    def coef(self) -> pd.Series[float]:
        return pd.Series(self._q, pd.Index(NAMES, name="Coefficient"), name="Estimate")

    def vcov(self, vcov: Any) -> None:
        """Chooses another covariance matrix, as pyfixest's method does."""


@pytest.mark.parametrize("result", [LinearmodelsResult, PyfixestResult])
def test_results_of_linearmodels_and_pyfixest(result: Callable[..., Any]) -> None:
    pooled = rb.pool([result(q, v) for q, v in zip(Q, V, strict=True)])
    expected = rb.pool(Q, covariances=V, names=NAMES, dfcom=40)
    assert pooled.fixed.equals(expected.fixed)
    assert pooled.vcov.equals(expected.vcov)
    assert pooled.model == result.__name__


def estimator(q: np.ndarray, **attributes: Any) -> Any:
    return SimpleNamespace(**{"coef_": q[1:], "intercept_": q[0], **attributes})


def test_estimators_of_scikit_learn() -> None:
    named = {"feature_names_in_": np.array(["b", "c"], dtype=object)}
    pooled = rb.pool([estimator(q, **named) for q in Q], covariances=V)
    assert pooled.fixed["term"].tolist() == ["Intercept", "b", "c"]
    numbers = pooled.fixed.drop(columns="term")
    assert numbers.equals(EXPECTED.fixed.drop(columns="term"))
    by_name = [x.rename(index={"a": "Intercept"}, columns={"a": "Intercept"}) for x in frames()]
    assert rb.pool([estimator(q, **named) for q in Q], covariances=by_name).fixed.equals(
        pooled.fixed
    )
    logistic = [estimator(q, coef_=q[None, 1:], intercept_=q[:1]) for q in Q]
    assert rb.pool(logistic, covariances=V).fixed.drop(columns="term").equals(numbers)
    bare = rb.pool(
        [estimator(q, fit_intercept=False, intercept_=0.0) for q in Q], covariances=V[:, 1:, 1:]
    )
    assert bare.fixed["term"].tolist() == ["x0", "x1"]
    with pytest.raises(rb.ArgumentError, match=r"shape \(2, 2\) for the 3 estimates Intercept"):
        rb.pool([estimator(q) for q in Q], covariances=V[:, 1:, 1:])
    with pytest.raises(rb.ArgumentError, match=r"coef_ of SimpleNamespace has shape \(3, 3\)"):
        rb.pool([estimator(q, coef_=np.eye(3)) for q in Q], covariances=V)
    with pytest.raises(rb.ArgumentError, match="come without variances"):
        rb.pool([estimator(q) for q in Q])


# --- properties -----------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(order=st.permutations(range(3)), sets=st.permutations(range(4)))
def test_orders_change_nothing(order: list[int], sets: list[int]) -> None:
    names = [NAMES[i] for i in order]
    pooled = rb.pool(
        [pd.Series(Q[j], NAMES)[names] for j in sets],
        covariances=[pd.DataFrame(V[j], NAMES, NAMES).loc[names, names] for j in sets],
    )
    assert pooled.fixed["term"].tolist() == names
    ours = pooled.fixed.set_index("term").loc[NAMES]
    assert ours.equals(EXPECTED.fixed.set_index("term"))
    assert pooled.vcov.loc[NAMES, NAMES].equals(EXPECTED.vcov)
    close(pooled.test("a = b, c = 0")["statistic"], EXPECTED.test("a = b, c = 0")["statistic"])


@settings(max_examples=40, deadline=None)
@given(power=st.integers(-30, 30), sign=st.sampled_from([-1.0, 1.0]))
def test_a_rescaled_estimate_rescales_its_row(power: int, sign: float) -> None:
    factor = np.array([1.0, sign * 2.0**power, 1.0])
    pooled = rb.pool(Q * factor, covariances=V * np.outer(factor, factor), names=NAMES)
    expected = EXPECTED.fixed.set_index("term")
    ours = pooled.fixed.set_index("term")
    assert ours.drop("b").equals(expected.drop("b"))
    for column in ("df", "p_value", "riv", "lambda_", "fmi"):
        close(ours.loc["b", column], expected.loc["b", column], 1e-14)
    ends = factor[1] * expected.loc["b", ["conf_low", "conf_high"]]
    theirs = {
        "estimate": factor[1] * expected.loc["b", "estimate"],
        "std_error": 2.0**power * expected.loc["b", "std_error"],
        "statistic": sign * expected.loc["b", "statistic"],
        "conf_low": ends.min(),
        "conf_high": ends.max(),
    }
    # A mean is summed from its lowest number, so that a change of sign moves the last bit.
    close(ours.loc["b", list(theirs)], list(theirs.values()), 1e-14)
    close(pooled.vcov, EXPECTED.vcov * np.outer(factor, factor), 1e-14)


@settings(max_examples=20, deadline=None)
@given(shift=st.floats(-100, 100))
def test_a_contrast_against_a_number_shifts_the_estimate(shift: float) -> None:
    row = EXPECTED.contrast([[1, -1, 0]], rhs=shift).iloc[0]
    plain = EXPECTED.contrast("a - b").iloc[0]
    close(row["estimate"] + shift, plain["estimate"], 1e-9)
    close([row["std_error"], row["df"]], [plain["std_error"], plain["df"]], 1e-9)


def test_equal_sets_are_one_set() -> None:
    pooled = rb.pool([Q[0]] * 3, covariances=[V[0]] * 3, names=NAMES, dfcom=20)
    assert pooled.fixed["b"].eq(0).all()
    assert pooled.fixed["fmi"].eq(0).all()
    assert pooled.fixed["estimate"].tolist() == Q[0].tolist()
    assert pooled.vcov.to_numpy().tolist() == V[0].tolist()
    close(pooled.fixed["df"], [20 * 21 / 23] * 3)


# --- the value ------------------------------------------------------------------------------------


def diagnosed(pooled: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RBridgeWarning)
        return pooled.diagnostics()


def test_it_is_a_value() -> None:
    for other in (pickle.loads(pickle.dumps(EXPECTED)), copy.deepcopy(EXPECTED)):
        assert other.fixed.equals(EXPECTED.fixed)
        assert other.test("a = b").equals(EXPECTED.test("a = b"))
    with pytest.raises(FrozenInstanceError):
        EXPECTED.m = 3  # type: ignore[misc]
    assert repr(EXPECTED) == "<PooledEstimates: 4 sets of 3 estimates>"
    assert EXPECTED._repr_html_().startswith("<p><b>Estimates, 4 sets pooled by Rubin")
    assert list(EXPECTED.tidy().columns) == list(TABLES["tidy"])
    assert EXPECTED.tidy()["estimate"].equals(EXPECTED.fixed["estimate"])
    text = str(EXPECTED.summary())
    for row in EXPECTED.fixed.itertuples():
        assert f"{row.estimate:.5f}" in text


def test_diagnostics() -> None:
    with pytest.warns(rb.RBridgeWarning, match="too few imputations"):
        diagnostics = EXPECTED.diagnostics(cv=0.1)
    assert list(diagnostics.coefficients.columns) == list(TABLES["diagnostics"])
    # The estimate's Monte Carlo error has a closed form: sqrt(b / m).
    close(diagnostics.coefficients["mce_estimate"], np.sqrt(EXPECTED.fixed["b"] / 4))
    assert "Fits" not in str(diagnostics)
    assert diagnostics.m == 4


# --- refusals -------------------------------------------------------------------------------------


def bad(v: np.ndarray, i: int, j: int, value: float, *, both: bool = True) -> np.ndarray:
    v = v.copy()
    v[1, i, j] = value
    if both:
        v[1, j, i] = value
    return v


def with_nan() -> np.ndarray:
    q = Q.copy()
    q[2, 1] = np.nan
    return q


ODD = [pd.Series(Q[0], NAMES), *(pd.Series(q, ["a", "b", "z"]) for q in Q[1:])]
INDEFINITE = np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])

REFUSED: dict[str, tuple[type[Exception], str, Callable[[], Any]]] = {
    "one set": (rb.ArgumentError, "at least two sets", lambda: rb.pool(Q[:1], Q[:1] ** 2)),
    "none": (rb.ArgumentError, "at least two sets", lambda: rb.pool([], [])),
    "a number": (rb.ArgumentError, "not one float", lambda: rb.pool(1.0, 1.0)),
    "text": (rb.ArgumentError, "not one str", lambda: rb.pool("ab", [1, 1])),
    "one result": (
        rb.ArgumentError, "not one LinearmodelsResult",
        lambda: rb.pool(LinearmodelsResult(Q[0], V[0])),
    ),
    "a cube": (rb.ArgumentError, r"array of shape \(4, 3, 3\)", lambda: rb.pool(V, covariances=V)),
    "unknown objects": (
        rb.ArgumentError, "imputation 1: object has no estimates", lambda: rb.pool([object()] * 2)
    ),
    "no variances": (rb.ArgumentError, "come without variances", lambda: rb.pool(Q)),
    "two kinds of them": (
        rb.ArgumentError, "variances and covariances say the same",
        lambda: rb.pool(Q, Q**2, covariances=V),
    ),
    "nan": (
        rb.ArgumentError, "imputation 3: the estimate of 'b' is nan",
        lambda: rb.pool(with_nan(), covariances=V, names=NAMES),
    ),
    "infinite": (
        rb.ArgumentError, "imputation 2: the estimate of 'b1' is inf",
        lambda: rb.pool([1.0, np.inf], [1.0, 1.0]),
    ),
    "text in them": (
        rb.ArgumentError, "imputation 1: the estimates must be real numbers",
        lambda: rb.pool([["x"], ["y"]], [[1], [1]]),
    ),
    "complex": (
        rb.ArgumentError, "must be real numbers, not complex",
        lambda: rb.pool(Q.astype(complex), Q**2),
    ),
    "truth values": (
        rb.ArgumentError, "must be real numbers, not bool", lambda: rb.pool(Q > 0, Q**2)
    ),
    "other lengths": (
        rb.ArgumentError, "imputation 2 has 2 estimates, and there are 3 in the first",
        lambda: rb.pool([Q[0], Q[1][:2]], [Q[0] ** 2, Q[1] ** 2]),
    ),
    "other names": (
        rb.PoolingError, "imputation 2 has other estimates than imputation 1: .* c, z",
        lambda: rb.pool(ODD, covariances=V),
    ),
    "a name twice": (
        rb.PoolingError, "imputation 1: two estimates are called a",
        lambda: rb.pool(Q, covariances=V, names=["a", "a", "b"]),
    ),
    "too few names": (
        rb.ArgumentError, "imputation 1 has 3 estimates, and there are 2 names",
        lambda: rb.pool(Q, covariances=V, names=["a", "b"]),
    ),
    "names that are no texts": (
        rb.ArgumentError, "names must be texts",
        lambda: rb.pool(Q, covariances=V, names=[1, 2, 3]),  # type: ignore[list-item]
    ),
    "names as a text": (
        rb.ArgumentError, "names must be a list", lambda: rb.pool(Q, covariances=V, names="abc")
    ),
    "names of named": (
        rb.ArgumentError, "names is for estimates without names",
        lambda: rb.pool(series(), covariances=V, names=NAMES),
    ),
    "some named": (
        rb.ArgumentError, "imputation 2 have no names, and others have",
        lambda: rb.pool([series()[0], *Q[1:]], covariances=V),
    ),
    "numbers among results": (
        rb.PoolingError, "imputation 2 is of another model .*: numbers, and LinearmodelsResult",
        lambda: rb.pool([LinearmodelsResult(Q[0], V[0]), *Q[1:]]),
    ),
    "arrays of mixed orders": (
        rb.ArgumentError, "covariances has no names",
        lambda: rb.pool([series()[0], *series([1, 0, 2])[1:]], covariances=V),
    ),
    "an unnamed matrix for nameless": (
        rb.ArgumentError, "they differ in a, b, b1, b2, b3, c",
        lambda: rb.pool(Q, covariances=frames()),
    ),
    "fewer variances": (
        rb.ArgumentError, "variances has 3 parts for 4 sets", lambda: rb.pool(Q, Q[:3] ** 2)
    ),
    "one variance": (
        rb.ArgumentError, "variances must have a part for each", lambda: rb.pool(Q, 1.0)
    ),
    "matrices as variances": (
        rb.ArgumentError, "matrices are given as `covariances`", lambda: rb.pool(Q, V)
    ),
    "variances as matrices": (
        rb.ArgumentError, r"imputation 1: covariances: shape \(3,\) for the 3 estimates",
        lambda: rb.pool(Q, covariances=Q**2),
    ),
    "one frame of them": (
        rb.ArgumentError, "covariances must have a part",
        lambda: rb.pool(Q, covariances=frames()[0]),
    ),
    "negative variance": (
        rb.ArgumentError, "imputation 1: variances: that of 'b1' is -1",
        lambda: rb.pool(Q, -np.ones_like(Q)),
    ),
    "a missing error": (
        rb.ArgumentError, "imputation 3: std_errors: that of 'b2' is nan",
        lambda: rb.pool(Q, std_errors=with_nan() ** 2),
    ),
    "a missing covariance": (
        rb.ArgumentError, "imputation 2: covariances: the covariance of 'a' and 'c' is nan",
        lambda: rb.pool(Q, covariances=bad(V, 0, 2, np.nan), names=NAMES),
    ),
    "asymmetric": (
        rb.ArgumentError, "'a' and 'c' is not the same in both places",
        lambda: rb.pool(Q, covariances=bad(V, 0, 2, 0.01, both=False), names=NAMES),
    ),
    "too large": (
        rb.ArgumentError, "'a' and 'c' exceeds what their variances allow",
        lambda: rb.pool(Q, covariances=bad(V, 0, 2, 1e6), names=NAMES),
    ),
    "negative diagonal": (
        rb.ArgumentError, "the variance of 'b' is negative",
        lambda: rb.pool(Q, covariances=bad(V, 1, 1, -1.0), names=NAMES),
    ),
    "indefinite": (
        rb.ArgumentError, "imputation 1: covariances: the matrix is not positive semi-definite",
        lambda: rb.pool(Q, covariances=[INDEFINITE] * 4, names=NAMES),
    ),
    "a dfcom of 0": (
        rb.ArgumentError, "dfcom must be positive", lambda: rb.pool(Q, Q**2, dfcom=0)
    ),
    "dfcom as text": (
        rb.ArgumentError, "dfcom='kenward-roger'",
        lambda: rb.pool(Q, Q**2, dfcom="kenward-roger"),
    ),
    "no residual dfcom": (
        rb.ArgumentError, "no residual degrees of freedom",
        lambda: rb.pool(Q, Q**2, dfcom="residual"),
    ),
    "two dfcom": (
        rb.ArgumentError, "dfcom has 2 values for 3", lambda: rb.pool(Q, Q**2, dfcom=[1, 2])
    ),
    "dfcom of other names": (
        rb.ArgumentError, "dfcom has other names than the estimates: b2, z",
        lambda: rb.pool(Q, Q**2, dfcom={"b1": 1, "z": 2, "b3": 3}),
    ),
    "one dfcom negative": (
        rb.ArgumentError, "dfcom of 'b2' must be positive",
        lambda: rb.pool(Q, Q**2, dfcom=[1, -2, 3]),
    ),
    "conf_level": (
        rb.ArgumentError, "conf_level must be", lambda: rb.pool(Q, Q**2, conf_level=95)
    ),
    "kind": (
        rb.ArgumentError, "kind", lambda: rb.pool(Q, Q**2, kind="jackknife")  # type: ignore[arg-type]
    ),
    "exponentiate": (
        rb.ArgumentError, "exponentiate must be True or False",
        lambda: rb.pool(Q, Q**2, exponentiate="yes"),  # type: ignore[arg-type]
    ),
    "an unknown term": (rb.ArgumentError, "one of the terms a, b, c", lambda: EXPECTED.test("x")),
    "another level": (
        rb.ArgumentError, "conf_level", lambda: EXPECTED.contrast("a", conf_level=2)
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_name(case: str) -> None:
    error, text, call = REFUSED[case]
    with pytest.raises(error, match=text):
        call()


def test_results_of_several_models_are_refused(data: rb.ImputedData) -> None:
    one, other = smf.ols("y ~ x1", data[0]).fit(), smf.ols("x2 ~ x1", data[1]).fit()
    with pytest.raises(rb.PoolingError, match="OLS of x2, and OLS of y"):
        rb.pool([one, other])
    with pytest.raises(rb.PoolingError, match=r"differ in x2"):
        rb.pool([one, smf.ols("y ~ x1 + x2", data[1]).fit()])
    counts = [d.assign(level=np.arange(len(d)) % 3) for d in data]
    several = [smf.mnlogit("level ~ x1", d).fit(disp=0) for d in counts]
    with pytest.raises(rb.ArgumentError, match="has 2 dimensions"):
        rb.pool(several)


def test_a_result_that_gives_no_covariance_is_told() -> None:
    class Unfinished(LinearmodelsResult):
        def cov_params(self) -> None:
            raise ValueError("need covariance of parameters")

    good, wrong = LinearmodelsResult(Q[0], V[0]), Unfinished(Q[1], V[1])
    with pytest.raises(rb.ArgumentError, match=r"imputation 2: .*ValueError: need covariance"):
        rb.pool([good, wrong])


def test_a_factor_that_lost_a_level_is_refused_by_its_term(data: rb.ImputedData) -> None:
    frames = list(data)
    frames[1] = frames[1][frames[1]["f"] != "c"]
    frames[1] = frames[1].assign(f=frames[1]["f"].cat.remove_unused_categories())
    with pytest.raises(rb.PoolingError, match=r"imputation 2 .* differ in f\[T.c\]"):
        rb.pool([smf.ols(FORMULA, d).fit() for d in frames])
