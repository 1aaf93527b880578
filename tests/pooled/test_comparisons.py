"""compare and test against mitml and mice, run in a separate Rscript on the same data sets.

The fits in both are lme4's from the same call, so that estimates and log-likelihoods agree to the
last bits; tests then at 1e-10 (a matrix inverse and a tail probability), as long as mitml's own
rule applies. p values are compared by their logarithm: in a tail that is what an error moves.
"""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.base.glossary import TABLES
from rbridge_mi.testing import run_r
from tests.inference.inference_data import complete, fitted, imputed

pytestmark = [pytest.mark.r, pytest.mark.slow]

TESTS = 1e-10
# Debian's lme4 1.1-31 orders crossed factors by the address at which it is loaded, so that one
# Rscript's estimates differ from another's at the tenth digit (rdoor/placement.py).
CROSSED = 1e-7

# full, reduced, whether mitml can do Wald tests of it
PAIRS = {
    "one coefficient": ("y ~ x1 + x2 + (1 | g)", "y ~ x1 + (1 | g)", True),
    "two coefficients": ("y ~ x1 + x2 + f + (1 | g)", "y ~ x1 + x2 + (1 | g)", True),
    "three, slopes": ("y ~ x2 + f + (1 + x1 | g)", "y ~ 1 + (1 + x1 | g)", True),
    "crossed": ("y ~ x1 + x2 + f + (1 | g) + (1 | h)", "y ~ x1 + (1 | g) + (1 | h)", True),
    "random slopes": ("y ~ x1 + (1 + x1 | g)", "y ~ x1 + (1 | g)", False),
    "no correlation": ("y ~ x1 + (1 + x1 | g)", "y ~ x1 + (1 + x1 || g)", False),
    "both parts": ("y ~ x1 + x2 + (1 + x1 | g)", "y ~ x1 + (1 | g)", False),
}
METHODS: dict[str, dict[str, Any]] = {
    "D1": {"method": "D1", "dfcom": math.inf},
    "D1_dfcom": {"method": "D1", "dfcom": 100},
    "D2_wald": {"method": "D2", "use": "wald"},
    "D2_likelihood": {"method": "D2", "use": "likelihood"},
    "D3": {"method": "D3"},
    "D4": {"method": "D4"},
    "D4_robust": {"method": "D4", "robust": True},
}
WALD = ("D1", "D1_dfcom", "D2_wald")

R = """
suppressMessages({library(lme4); library(mitml); library(mice); library(broom.mixed)})
row <- function(test) as.numeric(test$test)
answers <- lapply(pairs, function(pair) {
  fit <- function(formula) {
    structure(lapply(frames, function(d) {
      do.call("lmer", list(as.formula(formula), data = d))  # mitml refits from the call alone
    }), class = c("mitml.result", "list"))
  }
  full <- fit(pair$full)
  reduced <- fit(pair$reduced)
  test <- function(...) suppressWarnings(row(testModels(full, reduced, ...)))
  out <- list(
    D2_likelihood = test(method = "D2", use = "likelihood"), D3 = test(method = "D3"),
    D4 = test(method = "D4", data = frames),
    D4_robust = test(method = "D4", data = frames, ariv = "robust")
  )
  if (pair$wald) {
    out$D1 <- test(method = "D1")
    out$D1_dfcom <- test(method = "D1", df.com = 100)
    out$D2_wald <- test(method = "D2", use = "wald")
    out$mice_D1 <- as.numeric(suppressWarnings(
      mice::D1(as.mira(full), as.mira(reduced), dfcom = 100))$result)
    out$mice_D2 <- as.numeric(suppressWarnings(
      mice::D2(as.mira(full), as.mira(reduced), use = "wald"))$result)
  }
  out
})
"""


@pytest.fixture(scope="module")
def data() -> rb.ImputedData:
    return imputed(m=7)


@pytest.fixture(scope="module")
def lists(data: rb.ImputedData) -> dict[str, rb.MerModList]:
    formulas = dict.fromkeys(itertools.chain.from_iterable(x[:2] for x in PAIRS.values()))
    return {x: fitted(x, data) for x in formulas}


@pytest.fixture(scope="module")
def theirs(data: rb.ImputedData) -> dict[str, Any]:
    pairs = {k: {"full": a, "reduced": b, "wald": w} for k, (a, b, w) in PAIRS.items()}
    # mitml stacks the groups under labels of its own, which a factor's levels would not hold.
    frames = list(data)
    return run_r(R, frames=frames, pairs=pairs)["answers"]


def quiet(*arguments: Any, **named: Any) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RBridgeWarning)
        return rb.compare(*arguments, **named)


def row(table: pd.DataFrame) -> np.ndarray:
    assert list(table.columns) == list(TABLES["test"])
    assert len(table) == 1
    return np.array([float(table[x].iloc[0]) for x in TABLES["test"][1:]])


def assert_row(mine: pd.DataFrame, expected: Any, rtol: float = TESTS) -> None:
    found, expected = row(mine), np.asarray(expected, dtype=float)
    np.testing.assert_allclose(np.delete(found, 3), np.delete(expected, 3), rtol=rtol)
    np.testing.assert_allclose(np.log(found[3]), np.log(expected[3]), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("pair", PAIRS)
def test_compare_is_mitmls(
    pair: str, method: str, lists: dict[str, rb.MerModList], theirs: dict[str, Any]
) -> None:
    full, reduced, wald = PAIRS[pair]
    if method in WALD and not wald:
        with pytest.raises(rb.ArgumentError, match="same random part"):
            rb.compare(lists[full], lists[reduced], **METHODS[method])
        return
    mine = quiet(lists[full], lists[reduced], **METHODS[method])
    assert mine["method"].tolist() == [METHODS[method]["method"]]
    expected = np.asarray(theirs[pair][method], dtype=float)
    if row(mine)[1] == 1 and method.startswith("D1"):
        # mitml keeps the many-coefficient df for one coefficient; here it is the table's own t.
        found = row(mine)
        np.testing.assert_allclose(found[[0, 1, 4]], expected[[0, 1, 4]], rtol=TESTS)
        pooled = lists[full].pool(dfcom=METHODS[method]["dfcom"]).fixed.set_index("term").loc["x2"]
        assert found[2] == pooled["df"]
        assert found[3] == pytest.approx(pooled["p_value"], rel=1e-12)
        return
    assert_row(mine, expected, CROSSED if pair == "crossed" else TESTS)


@pytest.mark.parametrize("pair", [k for k, x in PAIRS.items() if x[2] and k != "one coefficient"])
def test_compare_is_mices(
    pair: str, lists: dict[str, rb.MerModList], theirs: dict[str, Any]
) -> None:
    full, reduced, _ = PAIRS[pair]
    rtol = CROSSED if pair == "crossed" else TESTS
    mine = rb.compare(lists[full], lists[reduced], dfcom=100)
    assert_row(mine, theirs[pair]["mice_D1"][:5], rtol)
    mine = rb.compare(lists[full], lists[reduced], "D2")
    assert_row(mine, theirs[pair]["mice_D2"][:5], rtol)


def test_ml_fits_are_not_refitted_and_nothing_is_said(data: rb.ImputedData) -> None:
    full, reduced = (fitted(f"y ~ {x} + (1 | g)", data, reml=False) for x in ("x1 + x2", "x1"))
    mine = rb.compare(full, reduced, "D3")  # a warning would be an error
    again = quiet(
        fitted("y ~ x1 + x2 + (1 | g)", data), fitted("y ~ x1 + (1 | g)", data), method="D3"
    )
    pd.testing.assert_frame_equal(mine, again)
    assert mine.attrs["note"] == ""
    assert "refitted by maximum likelihood" in again.attrs["note"]


def test_refitting_is_warned_of(lists: dict[str, rb.MerModList]) -> None:
    full, reduced = lists["y ~ x1 + x2 + (1 | g)"], lists["y ~ x1 + (1 | g)"]
    with pytest.warns(rb.RBridgeWarning, match="D4: fits by REML were refitted") as caught:
        rb.compare(full, reduced, "D4")
    assert caught[0].filename == __file__
    with pytest.warns(rb.RBridgeWarning, match=r"refitted by maximum.*|on the boundary"):
        rb.compare(lists["y ~ x1 + (1 + x1 | g)"], lists["y ~ x1 + (1 | g)"], "D4")


def test_loglik_at_own_parameters_is_lme4s(lists: dict[str, rb.MerModList]) -> None:
    """D3's log-likelihood, where it is known: at each ML fit's own parameters."""
    for formula, fits in lists.items():
        for fit in fits[:2]:
            found = fit.r.call("refit_ml").value
            ml, own = found["object"], ml_parameters(found["object"])
            at = float(ml.call("loglik_at", *own).value[0])
            # The same sums but for the profiled coefficients: some 1e-14 of the log-likelihood.
            assert at == pytest.approx(float(found["log_lik"][0]), rel=1e-12), formula


def ml_parameters(fit: Any) -> tuple[Any, ...]:
    found = fit.call("model_parameters").value
    return found["beta"], found["covs"], float(found["sigma2"][0])


def test_likelihoods_with_weights_and_offset() -> None:
    """lme4's log-likelihood holds the weights' logarithms; D3's and D4's must, too."""
    frame = complete().assign(w=lambda d: 1 + (d["x2"] > 0), o=lambda d: 0.3 * d["x1"])
    data = imputed(frame, m=3)
    full = fitted("y ~ x1 + x2 + (1 | g)", data, weights="w", offset="o", reml=False)
    reduced = fitted("y ~ x1 + (1 | g)", data, weights="w", offset="o", reml=False)
    at = [float(x.r.call("loglik_at", *ml_parameters(x.r)).value[0]) for x in full]
    np.testing.assert_allclose(at, [x.log_lik for x in full], rtol=1e-12)
    # One data set m times: its stacked log-likelihood is m times its own.
    same = rb.ImputedData.from_frames([data[0]] * 3)
    fits = fitted("y ~ x1 + x2 + (1 | g)", same, weights="w", offset="o", reml=False)
    stacked = fits[0].r.call("stacked_loglik", [x.r for x in fits[1:]]).value
    # Both are flat optima of the same function, up to the optimizer's tolerance squared.
    assert float(stacked["log_lik"][0]) == pytest.approx(3 * fits[0].log_lik, rel=1e-9)
    ours = [rb.compare(full, reduced, method) for method in ("D1", "D2", "D3", "D4")]
    assert [x["method"].iloc[0] for x in ours] == ["D1", "D2", "D3", "D4"]
    assert all(0 < x["p_value"].iloc[0] < 1 for x in ours)


# full, reduced, and which of MORE lmer is given beside the formula
STACKED: dict[str, tuple[str, str, str]] = {
    "scale": ("y ~ scale(x2) + x1 + (1 | g)", "y ~ x1 + (1 | g)", ""),
    "poly": ("y ~ poly(x2, 2) + x1 + (1 | g)", "y ~ x1 + (1 | g)", ""),
    "scaled slopes": ("y ~ x1 + (1 + scale(x2) | g)", "y ~ x1 + (1 | g)", ""),
    "a basis": ("y ~ splines::ns(x2, 3) + (1 | g)", "y ~ 1 + (1 | g)", ""),
    "weights, offset": ("y ~ scale(x2) + x1 + (1 | g)", "y ~ x1 + (1 | g)", "weights"),
    "subset": ("y ~ scale(x2) + x1 + (1 | g)", "y ~ x1 + (1 | g)", "subset"),
    "contrasts": ("y ~ f * scale(x2) + (1 | g)", "y ~ f + (1 | g)", "contrasts"),
    "text": ("y ~ scale(x2) + text + (1 | g)", "y ~ scale(x2) + (1 | g)", ""),
    "holes": ("y ~ scale(x2) + hole + (1 | g)", "y ~ hole + (1 | g)", ""),
}  # fmt: skip
MORE: dict[str, tuple[str, dict[str, Any]]] = {
    "": ("", {}),
    "weights": ("weights = w, offset = o", {"weights": "w", "offset": "o"}),
    "subset": ("subset = keep", {"subset": "keep"}),
    "contrasts": ("contrasts = list(f = 'contr.sum')", {"contrasts": {"f": "contr.sum"}}),
}
R_STACKED = """
suppressMessages({library(lme4); library(mitml)})
answers <- lapply(pairs, function(pair) {
  more <- as.list(str2lang(paste0("list(", pair$more, ")")))[-1]
  fit <- function(formula) structure(lapply(frames, function(d) {
    do.call("lmer", c(list(as.formula(formula), data = d, REML = FALSE), more), quote = FALSE)
  }), class = c("mitml.result", "list"))
  as.numeric(testModels(fit(pair$full), fit(pair$reduced), method = "D4", data = frames)$test)
})
"""


@pytest.fixture(scope="module")
def awkward() -> rb.ImputedData:
    """With weights, an offset, a subset, text, holes; an imputation's x2 is on its own scale."""
    rng = np.random.default_rng(4)
    frame = complete(seed=4).assign(
        w=lambda d: 1.0 + (d["x2"] > 0),
        o=lambda d: 0.3 * d["x1"],
        keep=lambda d: d.index % 7 > 0,
        text=lambda d: rng.choice(["low", "mid", "top"], size=len(d)),
        hole=lambda d: d["x1"].where(d.index % 11 > 0),
    )
    frames = [
        x.assign(x2=lambda d, i=i: (1 + 0.3 * i) * d["x2"] + 0.5 * i)
        for i, x in enumerate(imputed(frame, m=4))
    ]
    return rb.ImputedData.from_frames(frames)


def test_the_stacked_model_is_mitmls(awkward: rb.ImputedData) -> None:
    """What a formula computes of its variables (scale, poly), it computes of the stacked ones."""
    pairs = {k: {"full": a, "reduced": b, "more": MORE[x][0]} for k, (a, b, x) in STACKED.items()}
    theirs = run_r(R_STACKED, frames=list(awkward), pairs=pairs)["answers"]
    for name, (full, reduced, more) in STACKED.items():
        lists = [fitted(x, awkward, reml=False, **MORE[more][1]) for x in (full, reduced)]
        expected = np.asarray(theirs[name], dtype=float)
        found = row(quiet(*lists, method="D4"))
        if expected[4] < 0:  # mitml keeps a negative relative increase, here it is 0
            expected[0] *= 1 + expected[4]
            np.testing.assert_allclose(found[[0, 1, 4]], [*expected[:2], 0], rtol=TESTS)
            continue
        assert_row(quiet(*lists, method="D4"), expected)


def test_arguments_given_as_vectors_are_stacked_too(awkward: rb.ImputedData) -> None:
    """The same numbers as columns of the data and as arrays: the same bits."""
    given = {"weights": "w", "offset": "o", "subset": "keep"}
    as_vectors = {name: awkward[0][column].to_numpy() for name, column in given.items()}
    formulas = "y ~ scale(x2) + x1 + (1 | g)", "y ~ x1 + (1 | g)"
    columns, vectors = (
        quiet(*(fitted(x, awkward, reml=False, **arguments) for x in formulas), method="D4")
        for arguments in (given, as_vectors)
    )
    pd.testing.assert_frame_equal(columns, vectors, check_exact=True)


def test_groups_of_imputations_are_kept_apart(awkward: rb.ImputedData) -> None:
    """Nested groups, which mitml can't stack: by hand, with a column per grouping."""
    code = """
    suppressMessages(library(lme4))
    stacked <- do.call(rbind, lapply(seq_along(frames), function(i) {
      cbind(frames[[i]], a = paste(i, frames[[i]]$g), b = paste(i, frames[[i]]$g, frames[[i]]$text))
    }))
    fit <- lmer(y ~ scale(x2) + (1 | a) + (1 | b), stacked, REML = FALSE)
    answer <- as.numeric(logLik(fit))
    """
    expected = float(run_r(code, frames=list(awkward))["answer"][0])
    fits = fitted("y ~ scale(x2) + (1 | g/text)", awkward, reml=False)
    found = fits[0].r.call("stacked_loglik", [x.r for x in fits[1:]]).value
    # The optimum is flat: the optimizer's tolerance, squared.
    assert float(found["log_lik"][0]) == pytest.approx(expected, rel=1e-10)


def test_compare_refuses(lists: dict[str, rb.MerModList], data: rb.ImputedData) -> None:
    full, reduced = lists["y ~ x1 + x2 + (1 | g)"], lists["y ~ x1 + (1 | g)"]
    cases: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
        ((reduced, full), {}, "swapped"),
        ((full, full), {}, "must have fewer"),
        ((full, reduced[:3]), {}, "different data sets"),
        ((full, fitted("y ~ x1 + (1 | g)", imputed(m=7, seed=9))), {}, "different data sets"),
        ((full, reduced), {"method": "D5"}, "'D1', 'D2', 'D3', 'D4'"),
        ((full, reduced), {"method": "D1", "use": "wald"}, "method='D2'"),
        ((full, reduced), {"method": "D3", "robust": True}, "method='D4'"),
        ((full, reduced), {"dfcom": -1}, "dfcom"),
        ((full, reduced[0]), {}, "must be a MerModList"),
        ((full, lists["y ~ 1 + (1 + x1 | g)"]), {}, "swapped|same random part|must have fewer"),
    ]
    for arguments, named, message in cases:
        with pytest.raises(rb.ArgumentError, match=message):
            rb.compare(*arguments, **named)
    boot = rb.BootstrapImputer(m=3).impute(data[0], seed=1)
    full, reduced = (fitted(f"y ~ {x} + (1 | g)", boot) for x in ("x1 + x2", "x1"))
    with pytest.raises(rb.PoolingError, match="imputations"):
        rb.compare(full, reduced)


# --- pooled.test and pooled.contrast ------------------------------------------------------------


@pytest.fixture(scope="module")
def pooled(lists: dict[str, rb.MerModList]) -> rb.PooledMerMod:
    return lists["y ~ x1 + x2 + f + (1 | g)"].pool(dfcom=100)


def test_one_hypothesis_is_the_tables_t(pooled: rb.PooledMerMod) -> None:
    for term, own in pooled.fixed.set_index("term").iterrows():
        found = row(pooled.test(f"{term} = 0"))
        expected = [own["statistic"] ** 2, 1, own["df"], own["p_value"], own["riv"]]
        np.testing.assert_allclose(found, expected, rtol=1e-12)  # t squared, or F


def test_hypotheses_are_mitmls(
    lists: dict[str, rb.MerModList], data: rb.ImputedData, pooled: rb.PooledMerMod
) -> None:
    # testConstraints differentiates numerically, which leaves it some 8 digits.
    code = """
    suppressMessages({library(lme4); library(mitml)})
    fits <- lapply(frames, function(d) lmer(y ~ x1 + x2 + f + (1 | g), d))
    class(fits) <- c("mitml.result", "list")
    test <- testConstraints(fits, constraints = c("x1 - x2", "fb + 2*fc - 0.5"), df.com = 100)
    answer <- as.numeric(test$test)
    """
    expected = run_r(code, frames=list(data))["answer"]
    for hypothesis in ("x1 = x2, fb + 2*fc = 0.5", ["x1 - x2 = 0", "(fb + 2*fc)/2 = 1/4"]):
        assert_row(pooled.test(hypothesis), expected, 1e-6)
    matrix = [[0, 1, -1, 0, 0], [0, 0, 0, 1, 2]]
    table = pooled.test(matrix, rhs=[0, 0.5])
    assert_row(table, expected, 1e-6)
    assert table.attrs["hypothesis"] == "x1 - x2 = 0; fb + 2*fc = 0.5"
    assert table.attrs["note"] == ""


def test_few_imputations_are_said(data: rb.ImputedData) -> None:
    fits = fitted("y ~ x1 + x2 + (1 | g)", rb.ImputedData.from_frames(list(data)[:3]))
    with pytest.warns(rb.RBridgeWarning, match="at most 4") as caught:
        table = fits.pool().test("x1 = 0, x2 = 0")
    assert caught[0].filename == __file__
    assert "at most 4" in table.attrs["note"]
    assert 0 < row(table)[3] < 1
    assert 0 < row(table)[2] < fits[0].df_residual


def test_contrasts_by_hand(pooled: rb.PooledMerMod, lists: dict[str, rb.MerModList]) -> None:
    table = pooled.contrast(["x1 - x2", "fb = fc", "2*x1 + (Intercept) = 1"])
    assert list(table.columns) == list(TABLES["fixed"])
    assert table["term"].tolist() == ["x1 - x2", "fb = fc", "2*x1 + (Intercept) = 1"]
    q = np.array(
        [[b["x1"] - b["x2"], b["fb"] - b["fc"], 2 * b["x1"] + b["(Intercept)"] - 1]
         for b in (fit.beta for fit in pooled.fits)]
    )  # fmt: skip
    np.testing.assert_allclose(table["estimate"], q.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(table["b"], q.var(axis=0, ddof=1), rtol=1e-11)
    v = [fit.vcov() for fit in pooled.fits]
    u = np.mean([x.loc["x1", "x1"] + x.loc["x2", "x2"] - 2 * x.loc["x1", "x2"] for x in v])
    assert table["ubar"].iloc[0] == pytest.approx(u, rel=1e-12)
    # The same test either way.
    for term, own in table.set_index("term").iterrows():
        assert row(pooled.test(str(term)))[3] == pytest.approx(own["p_value"], rel=1e-10)
    by_term = pooled.contrast(np.eye(5)).assign(term=pooled.fixed["term"])
    pd.testing.assert_frame_equal(by_term, pooled.fixed, rtol=1e-13)  # the sums of a product


def test_contrasts_of_bootstrap_samples_are_their_spread() -> None:
    boot = rb.BootstrapImputer(m=6).impute(complete(), seed=1)
    pooled = fitted("y ~ x1 + x2 + (1 | g)", boot).pool()
    table = pooled.contrast("x1 - x2")
    spread = np.std([x.beta["x1"] - x.beta["x2"] for x in pooled.fits], ddof=1)
    assert table["std_error"].iloc[0] == pytest.approx(spread, rel=1e-12)
    assert table["df"].iloc[0] == 5
    with pytest.raises(rb.PoolingError, match="contrast"):
        pooled.test("x1 = 0")


def test_refused_hypotheses(pooled: rb.PooledMerMod) -> None:
    for hypothesis, message in (
        ("x9 = 0", "one of the terms"),
        ("x1 = 0, x1 = 1", "follows from the others"),
        ("x1 = x1", "empty"),
        ([[1, 0]], "a column for each of the 5"),
        (3.5, "a column for each"),
        ({"x1": 0}, "text"),
    ):
        with pytest.raises(rb.ArgumentError, match=message):
            pooled.test(hypothesis)
