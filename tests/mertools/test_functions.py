"""merTools' functions for one fit against merTools itself, and what they say of several fits."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import rbridge_mi as rb
from rbridge_mi import mertools, rdoor
from rbridge_mi.base.glossary import GLOSSARY
from rbridge_mi.mertools import (
    average_obs,
    draw,
    fe_sim,
    icc,
    predict_interval,
    re_impact,
    re_margins,
    re_quantile,
    re_rank,
    re_sim,
    sub_boot,
    wiggle,
)

pytestmark = [pytest.mark.r, pytest.mark.slow]

# The draws are R's own, in merTools' order, and so are the sums that are taken of them: every bit.
# What is computed in numpy (ranks, averages over groups) takes its sums in another order.
RTOL = 1e-12

R_NAMES = {
    "n_sims": "n.sims",
    "include_resid_var": "include.resid.var",
    "fix_intercept_variance": "fix.intercept.variance",
    "ignore_fixed_terms": "ignore.fixed.terms",
    "return_sims": "returnSims",
    "odds_ratio": "oddsRatio",
    "group_fctr": "groupFctr",
    "var_list": "varList",
    "orig_data": "origData",
}


def lme4_data(name: str) -> pd.DataFrame:
    return rdoor.call("base::getExportedValue", "lme4", name).value


def insteval() -> pd.DataFrame:
    """The 60 students and 40 lecturers with the most ratings, crossed."""
    frame = lme4_data("InstEval")
    for column, n in (("s", 60), ("d", 40)):
        kept = frame[column].value_counts().index[:n]
        frame = frame[frame[column].isin(kept)]
    return frame.reset_index(drop=True).assign(
        s=lambda x: x["s"].astype(str), d=lambda x: x["d"].astype(str)
    )


SLOPES = "Reaction ~ Days + (Days | Subject)"
HSB = "mathach ~ minority + female + ses + meanses + (1 + ses | schid)"
MODELS: dict[str, tuple[Callable[[], pd.DataFrame], Any]] = {
    "hsb": (rb.load_hsb, rb.Lmer(HSB)),
    "slopes": (lambda: lme4_data("sleepstudy"), rb.Lmer(SLOPES)),
    "crossed": (
        lambda: lme4_data("Penicillin"),
        rb.Lmer("diameter ~ 1 + (1 | plate) + (1 | sample)"),
    ),
    "crossed ratings": (insteval, rb.Lmer("y ~ service + (1 | s) + (1 | d)")),
    "nested": (lambda: lme4_data("Pastes"), rb.Lmer("strength ~ 1 + (1 | batch / cask)")),
    "slope without fixed": (
        lambda: lme4_data("sleepstudy"),
        rb.Lmer("Reaction ~ 1 + (Days | Subject)"),
    ),
    "no intercept": (
        lambda: lme4_data("sleepstudy"),
        rb.Lmer("Reaction ~ 0 + Days + (1 | Subject)"),
    ),
    "slope alone": (
        lambda: lme4_data("sleepstudy"),
        rb.Lmer("Reaction ~ 1 + (0 + Days | Subject)"),
    ),
    "interaction alone": (
        lambda: lme4_data("sleepstudy").assign(
            half=lambda d: np.where(np.arange(len(d)) % 2, "a", "b")
        ),
        rb.Lmer("Reaction ~ Days:half + (0 + Days | Subject)"),
    ),
    "binomial": (
        lambda: lme4_data("cbpp"),
        rb.Glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", family="binomial"),
    ),
    "poisson": (
        lambda: lme4_data("grouseticks"),
        rb.Glmer("TICKS ~ YEAR + (1 | BROOD)", family="poisson"),
    ),
}
NAMES = list(MODELS)


@pytest.fixture(scope="module")
def models() -> dict[str, tuple[rb.MerMod, pd.DataFrame]]:
    made = {}
    for name, (data, model) in MODELS.items():
        frame = data()
        made[name] = (model.fit(frame), frame)
    return made


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RBridgeWarning)  # of few groups
        yield


def theirs(fit: rb.MerMod, function: str, *args: Any, **arguments: Any) -> Any:
    named = {R_NAMES.get(name, name): value for name, value in arguments.items()}
    return fit.r.call(f"merTools::{function}", *args, **named).value


def same_bits(ours: pd.DataFrame, theirs: pd.DataFrame, columns: dict[str, str]) -> None:
    for our, their in columns.items():
        assert ours[our].to_numpy().tobytes() == theirs[their].to_numpy().tobytes(), our


def near(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(
        np.asarray(ours, float), np.asarray(theirs, float), rtol=RTOL, atol=0
    )


# -- simulations ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_simulated_effects_are_mertools(name: str, models: Any) -> None:
    fit, _ = models[name]
    fixed, random = fe_sim(fit, 40, seed=3), re_sim(fit, 40, seed=3)
    draws = {x: x for x in ("mean", "median", "sd")}
    expected = theirs(fit, "FEsim", n_sims=40, seed=3)
    assert fixed["term"].tolist() == expected["term"].tolist()
    same_bits(fixed, expected, draws)
    expected = theirs(fit, "REsim", n_sims=40, seed=3)
    for our, their in {"grpvar": "groupFctr", "term": "term", "grp": "groupID"}.items():
        assert random[our].tolist() == expected[their].tolist()
    same_bits(random, expected, draws)


def test_odds_ratios(models: Any) -> None:
    fit, _ = models["binomial"]
    for ours, name in ((fe_sim, "FEsim"), (re_sim, "REsim")):
        table = ours(fit, 30, odds_ratio=True, seed=2)
        expected = theirs(fit, name, n_sims=30, odds_ratio=True, seed=2)
        near(table["mean"], expected["mean"])
        near(table["median"], expected["median"])
        assert table["sd"].isna().all()


def test_two_terms_of_one_factor(models: Any) -> None:
    """merTools stops at them in predictInterval and expectedRank."""
    _, frame = models["slopes"]
    fit = rb.Lmer("Reaction ~ Days + (Days || Subject)").fit(frame)
    table, expected = re_sim(fit, 30, seed=1), theirs(fit, "REsim", n_sims=30, seed=1)
    assert set(table["grpvar"]) == {"Subject"}
    assert table["term"].tolist() == expected["term"].tolist()
    same_bits(table, expected, {x: x for x in ("mean", "median", "sd")})
    with pytest.raises(rb.RCallError):
        theirs(fit, "expectedRank")
    assert re_rank(fit)["term"].value_counts().to_dict() == {"(Intercept)": 18, "Days": 18}
    assert len(predict_interval(fit, frame.head(3), n_sims=20, seed=1)) == 3


# -- intervals ------------------------------------------------------------------------------

INTERVALS: dict[str, dict[str, Any]] = {
    "default": {},
    "all": {"which": "all"},
    "random": {"which": "random", "include_resid_var": False},
    "fixed": {"which": "fixed", "stat": "mean", "level": 0.95},
    "all means": {"which": "all", "stat": "mean"},
    "no noise": {"include_resid_var": False},
    "narrowed": {"fix_intercept_variance": True},
    "ignored": {"ignore_fixed_terms": 1},
    "both": {"fix_intercept_variance": True, "ignore_fixed_terms": 1, "which": "fixed"},
    "probability": {"type": "probability"},
    "all probabilities": {"type": "probability", "which": "all"},
    "many": {"n_sims": 2100},
}
ENDS = {"estimate": "fit", "pred_low": "lwr", "pred_high": "upr"}


@pytest.mark.parametrize("how", list(INTERVALS))
@pytest.mark.parametrize("name", NAMES)
def test_intervals_are_mertools(name: str, how: str, models: Any) -> None:
    fit, frame = models[name]
    arguments: dict[str, Any] = {"n_sims": 60, "seed": 2, **INTERVALS[how]}
    if "ignore_fixed_terms" in arguments:
        arguments["ignore_fixed_terms"] = [str(fit.beta.index[-1])]
    if "type" in arguments and fit.family == "gaussian":
        with pytest.raises(rb.ArgumentError, match="generalised"):
            predict_interval(fit, frame.head(2), **arguments)
        return
    rows = frame.iloc[:: max(1, len(frame) // 25)]
    table = predict_interval(fit, rows, **arguments)
    expected = theirs(fit, "predictInterval", rows, **arguments)
    same_bits(table, expected, ENDS)
    assert table.index.tolist() == rows.index.tolist() * (len(table) // len(rows))
    if arguments.get("which") == "all":
        assert table["part"].tolist() == expected["effect"].tolist()


@pytest.mark.parametrize("name", ["slopes", "crossed", "nested", "poisson"])
def test_intervals_of_the_fits_own_rows(name: str, models: Any) -> None:
    fit, frame = models[name]
    table = predict_interval(fit, n_sims=25, seed=4)
    same_bits(table, theirs(fit, "predictInterval", n_sims=25, seed=4), ENDS)
    assert table.index.equals(frame.index)


@pytest.mark.parametrize("which", ["full", "all"])
def test_simulated_values(which: str, models: Any) -> None:
    fit, frame = models["slopes"]
    rows = frame.iloc[[3, 50]]
    answer = predict_interval(fit, rows, which, n_sims=30, seed=1, return_sims=True)
    named: dict[str, Any] = {"n.sims": 30, "returnSims": True, "seed": 1, "which": which}
    table = rdoor.call_object("merTools::predictInterval", fit.r, rows, **named)
    expected = table.call("base::attr", "sim.results").value
    if which == "full":
        expected = {"combined": expected}
    for part, values in expected.items():
        assert answer.sims[part].to_numpy().tolist() == np.asarray(values).tolist()
    if which == "full":
        medians = answer.sims["combined"].median(axis=1)
        assert answer.intervals["estimate"].tolist() == medians.tolist()


def test_a_single_row(models: Any) -> None:
    for name in ("slopes", "binomial"):
        fit, frame = models[name]
        table = predict_interval(fit, frame.head(1), seed=1, n_sims=50)
        same_bits(table, theirs(fit, "predictInterval", frame.head(1), seed=1, n_sims=50), ENDS)


def test_new_groups_are_mertools(models: Any) -> None:
    """Also where merTools picks a known group at random, in a factor that the formula makes."""
    for name, column in (("slopes", "Subject"), ("crossed", "plate"), ("nested", "cask")):
        fit, frame = models[name]
        rows = frame.iloc[[0, 5, 20, 21]].copy()
        labels = rows[column].astype(str).tolist()
        rows[column] = ["new", *labels[1:3], "newer"]
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            table = predict_interval(fit, rows, seed=1, n_sims=50)
        expected = theirs(fit, "predictInterval", rows, seed=1, n_sims=50)
        same_bits(table, expected, ENDS)
        if name != "nested":
            assert any("new, newer" in str(x.message) for x in told)


def test_a_singular_fit() -> None:
    frame = lme4_data("Pastes")
    frame["strength"] -= frame.groupby("batch", observed=True)["strength"].transform("mean")
    fit = rb.Lmer("strength ~ 1 + (1 | batch)").fit(frame)
    assert fit.is_singular
    table = predict_interval(fit, frame.head(4), seed=1, n_sims=50)
    same_bits(table, theirs(fit, "predictInterval", frame.head(4), seed=1, n_sims=50), ENDS)


def test_random_effects_that_mertools_cannot_place() -> None:
    frame = lme4_data("sleepstudy").assign(late=lambda d: np.where(d["Days"] > 4, "y", "n"))
    fit = rb.Lmer("Reaction ~ I(Days^2) + (0 + Days | Subject)").fit(frame)
    with pytest.raises(rb.RCallError):
        theirs(fit, "predictInterval", frame.head(2))
    with pytest.raises(rb.PredictionError, match=r"draws=\"joint\" every random effect"):
        predict_interval(fit, frame.head(2))
    assert len(predict_interval(fit, frame.head(2), draws="joint", n_sims=20)) == 2


# -- joint draws ----------------------------------------------------------------------------

# Standard deviations of 20,000 draws have a Monte Carlo error of 0.5 percent: five of these.
MANY, CLOSE = 20_000, 0.025


def test_joint_draws_have_the_variance_of_predictions(models: Any) -> None:
    """That of Henderson's equations, which `predict(se_fit=True)` computes without drawing.

    sigma is drawn, too: a t distribution with n - p degrees of freedom widens them all.
    """
    for name in ("slopes", "crossed", "nested", "slope without fixed"):
        fit, frame = models[name]
        rows = frame.iloc[:: len(frame) // 6]
        sims = predict_interval(
            fit, rows, draws="joint", n_sims=MANY, include_resid_var=False, seed=1, return_sims=True
        ).sims["combined"]
        exact = fit.predict(rows, se_fit=True)
        df = fit.nobs - len(fit.beta)
        widened = math.sqrt(df / (df - 2))
        np.testing.assert_allclose(sims.std(axis=1), exact["std_error"] * widened, rtol=CLOSE)
        error = sims.std(axis=1) / math.sqrt(MANY)
        assert (abs(sims.mean(axis=1) - exact["estimate"]) < 5 * error).all()


def test_joint_draws_of_new_groups_and_new_observations(models: Any) -> None:
    fit, _ = models["slopes"]
    rows = pd.DataFrame({"Days": [4.0, 4.0], "Subject": ["new", "new"]})
    drawn = predict_interval(fit, rows, "all", draws="joint", n_sims=MANY, seed=1, return_sims=True)
    parts = drawn.sims
    v = fit.varcorr().set_index(["var1", "var2"], drop=False)["vcov"].tolist()
    variance = v[0] + 16 * v[1] + 8 * v[2]
    assert parts["Subject"].loc[0].std() == pytest.approx(math.sqrt(variance), rel=CLOSE)
    # Both rows are of one new group, and have the same effects.
    assert parts["Subject"].loc[0].equals(parts["Subject"].loc[1])
    noise = parts["combined"] - parts["Subject"] - parts["fixed"]
    assert noise.loc[0].std() == pytest.approx(fit.sigma, rel=CLOSE)
    assert abs(np.corrcoef(noise.to_numpy())[0, 1]) < 5 / math.sqrt(MANY)


def test_joint_draws_know_offset_and_weights() -> None:
    frame = lme4_data("sleepstudy").assign(w=lambda d: 1.0 + d["Days"], o=100.0)
    fit = rb.Lmer("Reaction ~ Days + offset(o) + (1 | Subject)", weights="w").fit(frame)
    rows = frame.iloc[[0, 9]]
    parts = predict_interval(
        fit, rows, "all", draws="joint", n_sims=MANY, seed=1, return_sims=True
    ).sims
    noise = parts["combined"] - parts["Subject"] - parts["fixed"]
    assert noise.iloc[0].std() / noise.iloc[1].std() == pytest.approx(math.sqrt(10), rel=CLOSE)
    with pytest.raises(rb.PredictionError, match="newdata has no column 'w'"):
        predict_interval(fit, rows.drop(columns="w"), draws="joint")
    exact = fit.predict(rows)
    assert np.allclose(parts["combined"].mean(axis=1), exact, rtol=0.01)


def test_joint_draws_of_a_generalised_model(models: Any) -> None:
    """No noise on the scale of the link; probabilities are read from those of the draws."""
    fit, frame = models["binomial"]
    rows = frame.head(3)
    link = predict_interval(fit, rows, draws="joint", seed=1, return_sims=True)
    quiet = predict_interval(fit, rows, draws="joint", seed=1, include_resid_var=False)
    assert link.intervals.equals(quiet)
    mean = predict_interval(fit, rows, type="probability", stat="mean", draws="joint", seed=1)
    probabilities = 1 / (1 + np.exp(-link.sims["combined"]))
    np.testing.assert_allclose(mean["estimate"], probabilities.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(mean["pred_low"], probabilities.quantile(0.1, axis=1), rtol=1e-12)


# -- ranks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_ranks_are_mertools(name: str, models: Any) -> None:
    fit, _ = models[name]
    table, expected = re_rank(fit), theirs(fit, "expectedRank")
    assert table["grpvar"].tolist() == expected["groupFctr"].tolist()
    assert table["grp"].tolist() == expected["groupLevel"].tolist()
    terms = [x.replace("(Intercept)", "Intercept") for x in table["term"]]
    assert terms == expected["term"].tolist()
    assert table["condval"].tolist() == expected["estimate"].tolist()
    near(table["condsd"] ** 2, expected["std.error"])  # merTools' std.error is the variance
    near(table["expected_rank"], expected["ER"])
    assert table["percentile"].tolist() == expected["pctER"].tolist()


def test_ranks_of_some(models: Any) -> None:
    fit, _ = models["slopes"]
    for term in ("Days", "int", "(Intercept)"):
        near(re_rank(fit, term=term)["expected_rank"], theirs(fit, "expectedRank", term=term)["ER"])
    crossed, _ = models["crossed"]
    table = re_rank(crossed, groupFctr="sample")
    assert table["grpvar"].unique().tolist() == ["sample"]
    # Their ranks have the mean of ranks.
    assert table["expected_rank"].mean() == pytest.approx((6 + 1) / 2, rel=1e-14)
    for arguments, said in (
        ({"group_fctr": "plot"}, "'plot' is no grouping factor.*plate, sample"),
        ({"term": "Days"}, "'Days' is no random effect here"),
        ({"group_fctr": 1}, "group_fctr must be a column name"),
    ):
        with pytest.raises(rb.ArgumentError, match=said):
            re_rank(crossed, **arguments)


@pytest.mark.parametrize("quantile", [0.06, 0.25, 0.5, 1.0])
def test_quantiles_are_mertools(quantile: float, models: Any) -> None:
    for name, factor, term in (
        ("slopes", "Subject", "(Intercept)"),
        ("slopes", "Subject", "Days"),
        ("hsb", "schid", "ses"),
        ("nested", "cask:batch", "(Intercept)"),
        ("slope alone", "Subject", None),
    ):
        fit, _ = models[name]
        expected = theirs(fit, "REquantile", quantile, factor, **({"term": term} if term else {}))
        assert re_quantile(fit, quantile, factor, term)["grp"].tolist() == expected.tolist()


def test_quantiles_refuse(models: Any) -> None:
    fit, _ = models["slopes"]
    assert len(theirs(fit, "REquantile", [0.01, 0.5], "Subject")) == 1  # merTools loses one
    for arguments, said in (
        ((0.01, "Subject"), "from 1/18"),
        ((1.2, "Subject"), "not 1.2"),
        (("a", "Subject"), "not 'a'"),
        ((0.5, "Days"), "'Days' is no grouping factor"),
        ((0.5, "Subject", "x"), "'x' is no random effect"),
    ):
        with pytest.raises(rb.ArgumentError, match=said):
            re_quantile(fit, *arguments)
    with pytest.warns(rb.RBridgeWarning, match="18 groups"):
        re_quantile(fit, 0.5, "Subject")


# -- impacts --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("slopes", {}),
        ("slopes", {"term": "Days", "breaks": [0.0, 30.0, 60.0, 100.0]}),
        ("slopes", {"level": 0.9, "stat": "mean"}),
        ("hsb", {"term": "Intercept", "breaks": 4}),
        ("crossed", {"group_fctr": "sample", "breaks": 2}),
        ("binomial", {"breaks": 5}),
    ],
)
def test_impacts_are_mertools(name: str, arguments: dict[str, Any], models: Any) -> None:
    fit, frame = models[name]
    rows = frame.iloc[[0, len(frame) // 2]]
    table = re_impact(fit, rows, seed=1, n_sims=50, **arguments)
    expected = theirs(fit, "REimpact", rows, seed=1, n_sims=50, **arguments)
    expected = expected.sort_values(["case", "bin"])
    assert table["case"].tolist() == expected["case"].tolist()
    assert table["bin"].tolist() == expected["bin"].tolist()
    assert table["n_groups"].tolist() == expected["nobs"].tolist()
    near(table["estimate"], expected["AvgFit"])
    # A sum of three terms that cancel, over some 20 to 100 groups.
    np.testing.assert_allclose(table["std_error"] ** 2, expected["AvgFitSE"], rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("slopes", {}),
        ("slopes", {"term": ["Days", "Intercept"], "breaks": 3}),
        ("hsb", {"breaks": 7}),
        ("hsb", {"term": "ses", "stat": "mean"}),
        ("crossed", {"group_fctr": "sample"}),
        ("binomial", {"include_resid_var": False}),
    ],
)
def test_margins_are_mertools(name: str, arguments: dict[str, Any], models: Any) -> None:
    """Their numbers, and the groups that merTools takes for the second effect by mistake."""
    fit, frame = models[name]
    rows = frame.iloc[[0, len(frame) // 2]]
    table = re_margins(fit, rows, seed=1, n_sims=50, **arguments)
    named = {R_NAMES.get(name, name): value for name, value in arguments.items()}
    expected = theirs(fit, "REmargins", rows, seed=1, n_sims=50, **named)
    factor = expected["grouping_var"].iloc[0]
    for part in ("combined", *fit.ngrps, "fixed"):
        one = table[table["part"] == part].reset_index(drop=True)
        same_bits(one, expected, {our: f"{their}_{part}" for our, their in ENDS.items()})
        assert one["case"].tolist() == expected["case"].tolist()
        assert one["bin"].tolist() == expected["breaks"].tolist()
        assert one["grp"].tolist() == expected[factor].astype(str).tolist()
        before = one[factor].astype(str).tolist()
        assert before == expected["original_group_level"].astype(str).tolist()
        terms = [x.replace("(Intercept)", "Intercept") for x in one["term"]]
        assert terms == expected["term"].tolist()


def test_margins_of_the_fits_own_rows(models: Any) -> None:
    fit, _ = models["slopes"]
    table = re_margins(fit, breaks=1, n_sims=20, seed=1)
    expected = theirs(fit, "REmargins", breaks=1, n_sims=20, seed=1)
    one = table[table["part"] == "combined"].reset_index(drop=True)
    same_bits(one, expected, {"estimate": "fit_combined"})


def test_impacts_and_margins_refuse(models: Any) -> None:
    fit, frame = models["slopes"]
    nested, pastes = models["nested"]
    rows = frame.head(1)
    for ask, said in (
        (lambda: re_impact(fit, rows, "Days"), "'Days' is no grouping factor"),
        (lambda: re_impact(fit, None), "newdata must be a pandas DataFrame"),
        (lambda: re_impact(fit, rows, breaks=1), "breaks must be a whole number of at least 2"),
        (lambda: re_impact(fit, rows, breaks=[1, 1]), "or their limits"),
        (lambda: re_impact(fit, rows, which="fixed"), "which is set here"),
        (lambda: re_impact(fit, rows, nsims=3), "no argument 'nsims'.*did you mean 'n_sims'"),
        (lambda: re_impact(nested, pastes.head(1)), "'cask:batch' is no column"),
        (lambda: re_margins(fit, rows, breaks=101), "at most 100"),
        (lambda: re_margins(fit, rows, breaks=0), "breaks must be a whole number"),
        (lambda: re_margins(fit, rows, term="x"), "'x' is no random effect"),
        (lambda: re_margins(fit, rows, **{".parallel": True}), "does not take '.parallel'"),
        (lambda: re_margins(fit, rows, return_sims=True), "return_sims is set here"),
    ):
        with pytest.raises(rb.ArgumentError, match=said):
            ask()


# -- rows -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 77])
def test_drawn_rows_are_mertools(seed: int, models: Any) -> None:
    for name in ("hsb", "slopes", "crossed", "nested", "poisson"):
        fit, _ = models[name]
        ours, expected = draw(fit, seed=seed), theirs(fit, "draw", "random", seed=seed)
        assert ours.astype(str).values.tolist() == expected.astype(str).values.tolist()
        assert ours.columns.tolist() == expected.columns.tolist()
    fit, _ = models["slopes"]
    ours = draw(fit, varList={"Subject": "335"}, seed=seed)
    expected = theirs(fit, "draw", "random", var_list={"Subject": "335"}, seed=seed)
    assert ours.astype(str).values.tolist() == expected.astype(str).values.tolist()
    assert draw(fit, var_list={"Days": 2}, seed=seed)["Days"].tolist() == [2]
    binomial, _ = models["binomial"]
    row = draw(binomial, seed=seed)
    assert len(row) == 1 and row.columns[0].endswith(".incidence")


def test_averages_are_mertools(models: Any) -> None:
    for name in ("hsb", "slopes", "crossed", "nested", "poisson"):
        fit, _ = models[name]
        ours, expected = average_obs(fit), theirs(fit, "averageObs")
        assert ours.columns.tolist() == expected.columns.tolist()
        for column in ours:
            assert str(ours[column][0]) == str(expected[column][0]), (name, column)
    fit, frame = models["slopes"]
    ours = draw(fit, "average", {"Subject": "309"})
    expected = theirs(fit, "averageObs", var_list={"Subject": "309"})
    assert ours.astype(str).values.tolist() == expected.astype(str).values.tolist()
    by_hand = average_obs(fit, {"Days": 2})
    assert by_hand["Reaction"][0] == pytest.approx(
        frame.loc[frame["Days"] == 2, "Reaction"].mean(), rel=1e-14
    )


@pytest.mark.parametrize(
    "formula",
    [
        "Reaction ~ Days + I(Days^2) + (1 | Subject)",
        "log(Reaction) ~ I(Days^2) + (1 | Subject)",
        "log(Reaction) ~ Days + (1 | Subject)",
    ],
)
def test_averages_of_functions_are_mertools(formula: str, models: Any) -> None:
    _, frame = models["slopes"]
    fit = rb.Lmer(formula).fit(frame)
    for arguments in ({}, {"orig_data": frame}):
        ours = average_obs(fit, **arguments)
        if formula.startswith("log(Reaction) ~ Days") and not arguments:
            # merTools looks for Reaction among the predictors, and stops.
            with pytest.raises(rb.RCallError):
                theirs(fit, "averageObs")
            continue
        expected = theirs(fit, "averageObs", **arguments)
        near(ours.iloc[0, :-1], expected.iloc[0, :-1])
        assert str(ours.iloc[0, -1]) == str(expected.iloc[0, -1])


def test_the_average_of_a_matrix_and_of_ties(models: Any) -> None:
    fit, frame = models["binomial"]
    with pytest.raises(rb.RCallError):
        theirs(fit, "averageObs")
    row = average_obs(fit)
    assert row.iloc[0, 0] == pytest.approx(frame["incidence"].mean(), rel=1e-14)
    assert row["period"][0] == frame["period"].mode()[0]
    sleep = lme4_data("sleepstudy").assign(half=lambda d: np.arange(len(d)) % 2)
    tied = rb.Lmer("Reaction ~ half + (1 | Subject)").fit(
        sleep.assign(half=sleep["half"].map({0: "a", 1: "b"}).astype("category"))
    )
    assert average_obs(tied)["half"].astype(str).tolist() == ["."]


def test_rows_refuse(models: Any) -> None:
    fit, frame = models["slopes"]
    for ask, said in (
        (lambda: draw(fit, "mean"), "type must be one of .*, not 'mean'"),
        (lambda: draw(fit, var_list={"days": 1}), "'days', which is no column here"),
        (lambda: draw(fit, var_list={"Days": [1, 2]}), "'Days' needs one value"),
        (lambda: draw(fit, var_list={"Days": 50}), "no row has Days = 50"),
        (lambda: draw(fit, var_list=["Days"]), "must map columns to values"),
        (lambda: draw(fit, "average", seed=1), "seed is of type='random'"),
        (lambda: draw(fit, orig_data=frame), "orig_data is of type='average'"),
        (lambda: draw(frame), "takes a fit .MerMod. or a list of fits"),
        (lambda: average_obs(fit, orig_data=3), "orig_data must be a pandas DataFrame"),
    ):
        with pytest.raises(rb.ArgumentError, match=said):
            ask()
    with pytest.warns(rb.RBridgeWarning, match="0 rows have Subject = 'x'.*all rows"):
        assert average_obs(fit, {"Subject": "x"})["Days"].tolist() == [4.5]


def test_wiggled_rows_are_mertools(models: Any) -> None:
    fit, frame = models["slopes"]
    rows = frame.iloc[[4, 40]]
    for names, values in (
        (["Days"], [[1.0, 5.0, 9.0]]),
        (["Days", "Subject"], [[1.0, 2.0], ["308", "new"]]),
        (["Subject", "Days", "Reaction"], [["309", "310"], [0.0, 1.0, 2.0], [5.0, 6.0]]),
    ):
        ours = wiggle(rows, names, values)
        expected = rdoor.call("merTools::wiggle", rows, names, values).value
        assert ours.astype(str).values.tolist() == expected.astype(str).values.tolist()
        assert list(ours["Subject"].cat.categories) == list(expected["Subject"].cat.categories)
    assert wiggle(rows, "Days", [1, 2])["Days"].tolist() == [1, 1, 2, 2]
    for arguments, said in (
        ((["Days"], [[1], [2]]), "names 1 columns, and valueslist has 2"),
        ((["days"], [[1]]), "'days', which the data do not have"),
        ((["Days"], [[]]), "'Days' needs a list of values"),
        ((["Days"], 3), "must be a list of lists"),
        (([], []), "names 0 columns"),
    ):
        with pytest.raises(rb.ArgumentError, match=said):
            wiggle(rows, *arguments)
    with pytest.raises(rb.ArgumentError, match="must be a pandas DataFrame"):
        wiggle(fit, ["Days"], [[1]])


# -- refits ---------------------------------------------------------------------------------


def test_resampled_fits_are_mertools(models: Any) -> None:
    for name in ("slopes", "nested"):
        fit, _ = models[name]
        for n in (None, 60):
            table = sub_boot(fit, n, lambda x: x.beta, r=3, seed=5)
            function = rdoor.call_object("base::getExportedValue", "lme4", "fixef")
            given = {} if n is None else {"n": n}
            expected = fit.r.call(
                "merTools::subBoot", FUN=function, R=3, seed=5, warn=True, **given
            ).value
            assert table["replicate"].tolist() == [0, 1, 2, 3]
            assert expected["replicate"].tolist() == ["original", "1", "2", "3"]
            values = expected.drop(columns="replicate").to_numpy()
            assert table[list(fit.beta.index)].to_numpy().tolist() == values.tolist()


def last_refit(fit: rb.MerMod, **arguments: Any) -> rb.MerMod:
    seen: list[rb.MerMod] = []

    def number(refit: rb.MerMod) -> float:
        seen.append(refit)
        return refit.log_lik

    sub_boot(fit, fun=number, r=1, seed=1, **arguments)
    return seen[-1]


def test_resampled_fits_keep_the_arguments_where_asked() -> None:
    frame = lme4_data("sleepstudy").assign(w=lambda d: 1.0 + d["Days"])
    fit = rb.Lmer("log(Reaction) ~ Days + (1 | Subject)", reml=False, weights="w").fit(frame)
    plain, kept = (last_refit(fit, as_fitted=x) for x in (False, True))
    assert (plain.reml, kept.reml) == (True, False)
    again = frame.loc[kept.index].reset_index(drop=True)
    expected = rb.Lmer("log(Reaction) ~ Days + (1 | Subject)", reml=False, weights="w").fit(again)
    assert kept.beta.tolist() == expected.beta.tolist()
    assert plain.beta.tolist() == (
        rb.Lmer("log(Reaction) ~ Days + (1 | Subject)").fit(again).beta.tolist()
    )
    given = frame["w"].to_numpy()  # as values, one per row
    valued = rb.Lmer("Reaction ~ Days + (1 | Subject)", weights=given).fit(frame)
    named = rb.Lmer("Reaction ~ Days + (1 | Subject)", weights="w").fit(frame)
    one, other = (
        sub_boot(x, fun=lambda y: y.beta, r=2, seed=3, as_fitted=True) for x in (valued, named)
    )
    assert one.equals(other)


def test_resampled_generalised_fits(models: Any) -> None:
    """merTools stops where the family is not written out in the call."""
    fit, frame = models["binomial"]
    refit = last_refit(fit)
    again = frame.loc[refit.index].reset_index(drop=True)
    assert refit.beta.tolist() == MODELS["binomial"][1].fit(again).beta.tolist()


def test_resampling_refuses(models: Any) -> None:
    fit, _ = models["slopes"]
    for ask, said in (
        (lambda: sub_boot(fit), "fun must be a function"),
        (lambda: sub_boot(fit, fun=lambda x: "a", R=2), "must return numbers, not 'a'"),
        (lambda: sub_boot(fit, fun=lambda x: [[1]], r=2), "a number or a row of them"),
        (lambda: sub_boot(fit, 0, abs), "n must be a whole number"),
        (lambda: sub_boot(fit, fun=abs, r=0), "r must be a whole number"),
        (lambda: sub_boot(fit, fun=abs, warn=1), "warn must be True or False"),
    ):
        with pytest.raises(rb.ArgumentError, match=said):
            ask()


def test_intraclass_correlations_are_mertools() -> None:
    sleep = lme4_data("sleepstudy").assign(long=lambda d: (d["Reaction"] > 300).astype(int))
    late = (sleep["Days"] > 3).to_numpy()
    for outcome, subset in (("Reaction", None), ("Reaction", late), ("long", None)):
        given = {} if subset is None else {"subset": subset}
        call = f"merTools::ICC('{outcome}', 'Subject', sleep{', subset = late' if given else ''})"
        expected = rdoor.call(
            "base::eval",
            rdoor.call_object("base::str2lang", call),
            {"sleep": sleep, "late": late},
            rdoor.call_object("base::globalenv"),
        ).value[0]
        assert icc(outcome, "Subject", sleep, subset) == pytest.approx(expected, rel=1e-12)
    hsb = rb.load_hsb()
    expected = rdoor.call("merTools::ICC", "mathach", "schid", hsb).value[0]
    assert icc("mathach", "schid", hsb) == pytest.approx(expected, rel=1e-12)
    for arguments, said in (
        (("reaction", "Subject", sleep), "outcome names 'reaction'"),
        (("Reaction", 3, sleep), "group must be the name of a column"),
        (("Reaction", "Reaction", sleep), "the same column"),
        (("Reaction", "Subject", None), "must be a pandas DataFrame"),
        (("Reaction", "Subject", sleep, [1, 2]), "True or False for each of the 180 rows"),
    ):
        with pytest.raises(rb.ArgumentError, match=said):
            icc(*arguments)


# -- several fits ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def several() -> rb.MerModList:
    sleep = lme4_data("sleepstudy")
    rng = np.random.default_rng(1)
    rows = rng.choice(180, 60, replace=False)
    holes, frames = sleep.copy(), []
    holes.loc[rows, "Reaction"] = np.nan
    for _ in range(4):
        filled = sleep.copy()
        filled.loc[rows, "Reaction"] += rng.normal(0, 60, 60)
        frames.append(filled)
    return rb.Lmer(SLOPES).fit(rb.ImputedData.from_frames(frames, original=holes))


def test_draws_of_several_fits_have_the_variance_between_them(several: rb.MerModList) -> None:
    """The mean variance within plus (1 - 1/m) b: the variance of a mixture of m distributions."""
    table = fe_sim(several, MANY, seed=1)
    fixed = several.pool().fixed
    df = several[0].nobs - 2
    # The fits' own variance is widened by the draws of sigma.
    within = [np.diag(fit.vcov()) * df / (df - 2) for fit in several]
    expected = np.sqrt(np.mean(within, axis=0) + (1 - 1 / 4) * fixed["b"])
    np.testing.assert_allclose(table["sd"], expected, rtol=CLOSE)
    near_mean = abs(table["mean"] - fixed["estimate"]) / expected * math.sqrt(4 * MANY)
    assert (near_mean < 5).all()


def test_draws_of_a_list_of_one_are_those_of_the_fit(several: rb.MerModList) -> None:
    for function in (fe_sim, re_sim):
        assert function(several[:1], seed=2).equals(function(several[0], seed=2, draws="joint"))
    rows = several.data[0].head(4)
    one = predict_interval(several[:1], rows, seed=2, n_sims=50)
    assert one.equals(predict_interval(several[0], rows, seed=2, n_sims=50, draws="joint"))


def test_predictions_of_several_fits(several: rb.MerModList) -> None:
    """They are as wide as Rubin's, but for the share 2b/m of the variance between."""
    rows = several.data[0].iloc[[0, 9, 100]]
    level = 0.8
    table = predict_interval(several, rows, n_sims=MANY // 4, seed=1, level=level)
    exact = several.predict(rows, interval="prediction", conf_level=level)
    np.testing.assert_allclose(table["estimate"], exact["estimate"], rtol=0.01)
    width = table["pred_high"] - table["pred_low"]
    ratio = width / (exact["pred_high"] - exact["pred_low"])
    assert ratio.between(0.93, 1.03).all()


def test_mertools_draws_of_several_fits_stand_beside_each_other(several: rb.MerModList) -> None:
    rows = several.data[0].head(3)
    both = predict_interval(
        several[:2], rows, n_sims=40, seed=1, draws="mertools", return_sims=True
    )
    first = predict_interval(several[0], rows, n_sims=40, seed=1, return_sims=True)
    assert both.sims["combined"].iloc[:, :40].equals(first.sims["combined"])
    assert both.sims["combined"].shape == (3, 80)


def test_ranks_of_several_fits_are_rubins(several: rb.MerModList) -> None:
    table = re_rank(several, term="Days")
    effects = [x[x["term"] == "Days"].set_index("grp") for x in (fit.ranef() for fit in several)]
    for grp in ("308", "371"):
        expected = 1.0
        for other in effects[0].index.drop(grp):
            d = np.array([x["condval"][grp] - x["condval"][other] for x in effects])
            u = np.mean([x["condsd"][grp] ** 2 + x["condsd"][other] ** 2 for x in effects])
            expected += norm.cdf(d.mean() / math.sqrt(u + 1.25 * d.var(ddof=1)))
        row = table.set_index("grp").loc[grp]
        assert row["expected_rank"] == pytest.approx(expected, rel=1e-12)
    pooled = several.ranef().query("term == 'Days'")
    near(table["condval"], pooled["condval"])
    near(table["condsd"], pooled["condsd"])
    middle = re_quantile(several, 0.5, "Subject", "Days")
    assert middle["grp"][0] == pooled.sort_values("condval")["grp"].iloc[8]


def test_other_functions_of_several_fits(several: rb.MerModList) -> None:
    frames = list(several.data)
    rows = frames[0].head(2)
    row = average_obs(several)
    assert row["Reaction"][0] == pytest.approx(
        np.mean([x["Reaction"].mean() for x in frames]), rel=1e-14
    )
    drawn = [draw(several, seed=i)["Reaction"][0] for i in range(40)]
    sources = [{i for i, x in enumerate(frames) if value in set(x["Reaction"])} for value in drawn]
    assert all(sources) and {1, 2, 3} <= set().union(*sources)
    impact = re_impact(several, rows, seed=1, n_sims=50, term="Days")
    assert impact.groupby("case")["n_groups"].sum().tolist() == [18, 18]
    margins = re_margins(several, rows, seed=1, n_sims=50, breaks=2)
    ranks = re_rank(several)
    # The groups are those of the effect, where merTools takes others.
    for term in ("(Intercept)", "Days"):
        of_term = ranks[ranks["term"] == term].set_index("grp")["percentile"]
        chosen = margins.query("term == @term and bin == 2 and case == 1")["grp"].iloc[0]
        assert abs(of_term[chosen] - 51) == abs(of_term - 51).min()
    boot = sub_boot(several, fun=lambda x: x.beta, r=2, seed=1)
    assert boot["imputation"].tolist() == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3
    single = sub_boot(several[2], fun=lambda x: x.beta, r=2, seed=1)
    assert boot.query("imputation == 3")["Days"].tolist() == single["Days"].tolist()


def test_intraclass_correlations_of_several_data_sets(several: rb.MerModList) -> None:
    null = rb.Lmer("Reaction ~ 1 + (1 | Subject)").fit(several.data)
    v = null.varcorr()["vcov"]
    assert icc("Reaction", "Subject", several.data) == pytest.approx(v[0] / v.sum(), rel=1e-10)
    frames = [x.assign(long=(x["Reaction"] > 300).astype(int)) for x in several.data]
    data = rb.ImputedData.from_frames(frames, original=frames[0].assign(Reaction=np.nan))
    between = [
        1 / (1 / icc("long", "Subject", x) - 1) for x in frames
    ]  # merTools' own, with 1 within
    share = np.mean(between) / (np.mean(between) + math.pi**2 / 3)
    assert icc("long", "Subject", data) == pytest.approx(share, rel=1e-10)


def test_fits_to_bootstrap_samples_are_refused() -> None:
    sleep = lme4_data("sleepstudy")
    data = rb.ImputedData.from_frames([sleep, sleep], kind="bootstrap")
    fits = rb.Lmer(SLOPES).fit(data)
    for function in (fe_sim, re_sim, re_rank, predict_interval):
        with pytest.raises(rb.ArgumentError, match="whose spread is the whole variance"):
            function(fits)


def test_fits_that_differ_are_refused(several: rb.MerModList, models: Any) -> None:
    other, _ = models["slope without fixed"]
    with pytest.raises(rb.PoolingError, match=r"other coefficients.*differ in Days"):
        fe_sim([several[0], other])
    crossed, _ = models["crossed"]
    with pytest.raises(rb.PoolingError, match="other random effects"):
        re_rank([several[0], crossed])


@pytest.mark.processes
def test_lists_from_other_processes(several: rb.MerModList) -> None:
    """Their R objects are made again where they are needed, and give the same draws."""
    again = rb.Lmer(SLOPES).fit(several.data, n_jobs=2)
    assert re_sim(again, 20, seed=1).equals(re_sim(several, 20, seed=1))


# -- arguments ------------------------------------------------------------------------------


def test_simulations_refuse(models: Any) -> None:
    fit, frame = models["slopes"]
    rows = frame.head(2)
    gaps = rows.assign(Days=[np.nan, 1.0])
    for ask, said in (
        (lambda: fe_sim(frame), "fe_sim takes a fit .MerMod. or a list"),
        (lambda: fe_sim([]), "a list without a fit"),
        (lambda: fe_sim(fit, 1), "n_sims must be a whole number of at least 2"),
        (lambda: fe_sim(fit, 2.5), "n_sims must be"),
        (lambda: fe_sim(fit, odds_ratio="no"), "odds_ratio must be True or False"),
        (lambda: fe_sim(fit, seed="a"), "seed must be"),
        (lambda: fe_sim(fit, nsim=3), "did you mean 'n_sims'"),
        (lambda: fe_sim(fit, 20, **{"n.sims": 30}), "given 'n_sims' twice"),
        (lambda: re_sim(fit, draws="arm"), "draws must be one of .*, not 'arm'"),
        (lambda: predict_interval(fit, 3), "newdata must be a DataFrame"),
        (lambda: predict_interval(fit, rows, which="fixd"), "did you mean 'fixed'"),
        (lambda: predict_interval(fit, rows, level=80), "level must be"),
        (lambda: predict_interval(fit, rows, stat="mode"), "stat must be one of .*, not 'mode'"),
        (lambda: predict_interval(fit, rows, type="link"), "type must be one of .*, not 'link'"),
        (lambda: predict_interval(fit, rows, include_resid_var=1), "include_resid_var must be"),
        (lambda: predict_interval(fit, rows, ignore_fixed_terms="days"), "mean 'Days'"),
        (lambda: predict_interval(fit, rows, parallel=True), "does not take 'parallel'.*seed"),
        (lambda: predict_interval(fit, rows, **{".paropts": {}}), "does not take '.paropts'"),
        (
            lambda: predict_interval(fit, rows, draws="joint", fix_intercept_variance=True),
            "are of draws='mertools'",
        ),
    ):
        with pytest.raises(rb.ArgumentError, match=said):
            ask()
    for wrong, said in (
        (rows.drop(columns="Days"), "no column 'Days'"),
        (gaps, "missing values in 'Days'"),
        (rows.assign(Days=["a", "b"]), "column 'Days' is text"),
    ):
        with pytest.raises(rb.PredictionError, match=said):
            predict_interval(fit, wrong)


def test_r_names_are_taken(models: Any) -> None:
    fit, frame = models["slopes"]
    rows = frame.head(2)
    named = {"n.sims": 30, "include.resid.var": False, "returnSims": False, "seed": 1}
    ours = predict_interval(fit, rows, n_sims=30, include_resid_var=False, seed=1)
    assert predict_interval(fit, rows, **named).equals(ours)
    assert sub_boot(fit, FUN=lambda x: x.sigma, R=1, seed=1).shape == (2, 2)


def test_every_argument_of_mertools_is_taken_or_refused() -> None:
    names = {
        "predict_interval": "predictInterval", "re_sim": "REsim", "fe_sim": "FEsim",
        "re_impact": "REimpact", "re_quantile": "REquantile", "re_rank": "expectedRank",
        "re_margins": "REmargins", "icc": "ICC", "draw": "draw", "average_obs": "averageObs",
        "wiggle": "wiggle", "sub_boot": "subBoot",
    }  # fmt: skip
    for ours, function in names.items():
        formals = rdoor.call(
            "base::names",
            rdoor.call_object(
                "base::formals", rdoor.call_object("base::getExportedValue", "merTools", function)
            ),
        ).value
        for name in set(formals) - {"merMod", "object", "..."}:
            with pytest.raises((rb.ArgumentError, TypeError)) as caught:
                getattr(mertools, ours)(**{name: object()})
            # Not "unknown": it is refused with a reason, or what is missing is said.
            assert "no argument" not in str(caught.value) or name == "type", (ours, name)


def test_columns_are_of_the_glossary(models: Any) -> None:
    fit, frame = models["slopes"]
    rows = frame.head(1)
    for table in (
        fe_sim(fit, 5),
        re_sim(fit, 5),
        predict_interval(fit, rows, "all", n_sims=5),
        re_rank(fit),
        re_quantile(fit, 0.5, "Subject"),
        re_impact(fit, rows, n_sims=5),
        re_margins(fit, rows, n_sims=5).drop(columns=list(frame)),
    ):
        assert set(table.columns) <= set(GLOSSARY)
