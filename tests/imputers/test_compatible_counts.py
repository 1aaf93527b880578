"""CompatibleImputer with a response of counts: Poisson, by log."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb

from .hostile import assert_sound, holed, impute, small, stacked

SLOPE = "n ~ x + z + (1 + x | g)"


def counts(seed: int = 1, rows: int = 120, exposed: bool = False) -> pd.DataFrame:
    """Make counts n of 15 groups, with exposures e; x has holes."""
    data = small(seed, rows)
    random = np.random.default_rng(seed + 50)
    data["e"] = np.exp(random.normal(size=rows))
    eta = 0.5 + 0.3 * data["w"] + 0.2 * data["z"] + (np.log(data["e"]) if exposed else 0)
    data["n"] = random.poisson(np.exp(eta))
    return data


def poisson(formula: str = SLOPE, **arguments: Any) -> rb.Glmer:
    return rb.Glmer(formula, family="poisson", **arguments)


# -- what is said before ---------------------------------------------------------------------------


def test_the_plan() -> None:
    data = counts()
    data["n"] = holed(data["n"], 4).astype("Int64")
    plan = rb.imputation_plan(data, poisson(), auxiliary="w")
    table = plan.table.set_index("column")
    assert plan.refused == ()
    assert list(table.loc["n", ["role", "type", "imputed_by"]]) == [
        "response", "count", "analysis model",
    ]  # fmt: skip
    assert table.loc["n", "reason"] == "it is the response of a poisson model."
    assert table.loc["x", "imputed_by"] == "normal"
    assert table.loc["x", "predictors"].endswith("and the analysis model of n")
    assert "n: from the analysis model. It is the response of a poisson model." in str(plan)


REFUSED: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], rb.Glmer, str]] = {
    "fractions": (
        lambda d: d.assign(n=d["n"] + 0.5 * (d.index == 3)),
        poisson(),
        r"column 'n': a Poisson response has whole numbers of at least 0, and row 4 has \d\.5",
    ),
    "below zero": (
        lambda d: d.assign(n=d["n"].where(d.index != 5, -1)),
        poisson(),
        "row 6 has -1: give counts, with the logarithm of the exposure as offset if these are rate",
    ),
    "too large": (
        lambda d: d.assign(n=d["n"].where(d.index != 5, 2.0**52)),
        poisson(),
        "at most 1e.15, and row 6 has 4.5036e",
    ),
    "infinite": (
        lambda d: d.assign(n=d["n"].where(d.index != 7, np.inf)),
        poisson(),
        r"column 'n' is infinite in 1 row \(7\)",
    ),
    "all zero": (lambda d: d.assign(n=0), poisson(), "'n', the response, is 0"),
    "weights": (lambda d: d, poisson(weights="e"), "weights: the sampler has none for a Poisson"),
    "a hole in the exposure": (
        lambda d: d.assign(o=np.log(d["e"]).mask(d.index == 3)),
        poisson(offset="o"),
        r"offset must be finite, and 1 row is not \(the first is 3\)",
    ),
    "an exposure with holes": (
        lambda d: d.assign(e=d["e"].mask(d.index == 3)),
        poisson(SLOPE + " + offset(log(e))"),
        "column 'e' is in offset",
    ),
    "exposures in place of logarithms": (
        lambda d: d.assign(e=1000 * d["e"]),
        poisson(offset="e"),
        r"offset is \S+ in row 0, and beyond 50 in \d+ rows: .* give log\(exposure\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name: str) -> None:
    change, model, text = REFUSED[name]
    data = change(counts())
    with pytest.raises(rb.ImputationError, match=text):
        impute(data, model)
    assert rb.imputation_plan(data, model).refused


WRONG: dict[str, tuple[rb.Glmer | rb.GlmerNb | str, dict[str, Any], str]] = {
    "link": (poisson(link="sqrt"), {}, "link must be log with family='poisson', not 'sqrt'"),
    "link in the family": (
        rb.Glmer(SLOPE, family="poisson(link = 'identity')"), {}, "not 'identity'",
    ),
    "negative binomial": (rb.GlmerNb(SLOPE), {}, "family must be one of .*poisson, not 'negative"),
    "types": (poisson(), {"types": {"n": "continuous"}}, "types or levels name 'n', the response"),
    "bounds": (poisson(), {"bounds": {"n": (0, 9)}}, "bounds names 'n', .*leave it out there"),
    "transforms": (poisson(), {"transforms": {"n": "log"}}, "transforms names 'n', the response"),
    "a function": (poisson("log1p(n) ~ x + (1 | g)"), {}, "it must be a column of the data: make"),
    "text": (poisson("a ~ x + (1 | g)"), {}, "'a' has the dtype .*and a poisson one has numbers"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_refused_by_name(name: str) -> None:
    model, arguments, text = WRONG[name]
    with pytest.raises(rb.ArgumentError, match=text):
        impute(counts(), model, **arguments)


def test_an_exposure_of_zero() -> None:
    data = counts().assign(e=lambda d: d["e"].where(d.index != 3, 0.0))
    with pytest.raises(rb.RBridgeError, match=r"log\(e\)"):
        impute(data, poisson(SLOPE + " + offset(log(e))"))


# -- what makes no difference ----------------------------------------------------------------------


def incomplete() -> pd.DataFrame:
    """Make counts with holes in the response and in covariates of all kinds."""
    data = counts()
    random = np.random.default_rng(5)
    data["n"] = holed(data["n"], 4).astype("Int64")
    data["z"] = data["z"].mask(data["g"].isin(["g1", "g6"]))
    data["f"] = holed(pd.Series(np.array(["lo", "Mid", "hi"])[random.integers(0, 3, 120)]), 5)
    data["k"] = holed(random.poisson(1.5, 120).astype(float), 6)
    data["w"] = holed(data["w"], 7)
    return data


EVERYTHING = "n ~ x * z + I(x^2) + f + log1p(k) + offset(log(e)) + (1 + x | g)"


def same(one: rb.ImputedData, two: rb.ImputedData, index: Any = None) -> bool:
    pairs = zip(one, two, strict=False)
    return all(a.equals(b if index is None else b.loc[index]) for a, b in pairs)


@pytest.fixture(scope="module")
def imputed() -> rb.ImputedData:
    return impute(incomplete(), poisson(EVERYTHING), auxiliary="w", m=4)


def test_all_kinds_of_covariates(imputed: rb.ImputedData) -> None:
    assert_sound(incomplete(), imputed, ["n", "x", "z", "f", "k", "w"], levels={"z": "g"})
    assert imputed[1]["n"].dtype == "Int64"
    assert min(frame["n"].min() for frame in imputed) >= 0
    assert {"n ~ x", "sigma"}.isdisjoint(imputed.trace["parameter"])


@pytest.mark.parametrize(("backend", "n_jobs"), [("loky", 2), ("threading", 3)])
def test_same_bits_from_processes(imputed: rb.ImputedData, backend: str, n_jobs: int) -> None:
    with joblib.parallel_config(backend=backend):
        again = impute(incomplete(), poisson(EVERYTHING), auxiliary="w", m=4, n_jobs=n_jobs)
    assert same(imputed, again)
    pd.testing.assert_frame_equal(imputed.trace, again.trace)


@pytest.mark.parametrize("m", [2, 7])
def test_first_imputations_are_the_same_for_any_m(imputed: rb.ImputedData, m: int) -> None:
    assert same(imputed, impute(incomplete(), poisson(EVERYTHING), auxiliary="w", m=m))


def test_order_of_rows_and_names_of_groups_make_no_difference(imputed: rb.ImputedData) -> None:
    data = incomplete()
    shuffled = data.sample(frac=1, random_state=1)
    assert same(imputed, impute(shuffled, poisson(EVERYTHING), auxiliary="w", m=4), data.index)
    data = counts()
    names = dict(zip(data["g"].unique(), [f"q{7 * i % 15}" for i in range(15)], strict=True))
    one = impute(data, poisson())
    two = impute(data.assign(g=data["g"].map(names)), poisson())
    assert (stacked(one, "x") == stacked(two, "x")).all()


@pytest.mark.parametrize("factor", [1e-6, 123.4, 1e6])
@pytest.mark.parametrize("column", ["x", "z", "e"])
def test_units_make_no_difference(column: str, factor: float) -> None:
    data = counts(exposed=True)
    data["n"] = holed(data["n"], 4)
    model = poisson(SLOPE + " + offset(log(e))")
    one = impute(data, model)
    two = impute(data.assign(**{column: data[column] * factor}), model)
    for name in ("n", "x"):
        expected = stacked(one, name) * (factor if name == column else 1)
        bound = 1e-9 * np.abs(expected).mean()
        np.testing.assert_allclose(stacked(two, name), expected, rtol=1e-9, atol=bound)


def test_ways_to_give_the_exposure() -> None:
    """An exposure that is a column is a predictor of x, too; one that is a vector is not."""
    data = counts(exposed=True).assign(o=lambda d: np.log(d["e"]))
    ways = [
        poisson(offset="o"),
        poisson(SLOPE + " + offset(o)"),
        poisson(SLOPE + " + offset(0.25 * o)", offset=0.75 * data["o"].to_numpy()),
    ]
    first, *others = (stacked(impute(data, model), "x") for model in ways)
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-9)
    vector = stacked(impute(data, poisson(offset=data["o"].to_numpy())), "x")
    assert np.abs(stacked(impute(data, poisson()), "x") - vector).max() > 0.1


# -- hard data -------------------------------------------------------------------------------------

HARD: dict[str, tuple[pd.DataFrame, str]] = {
    "a group of zeros": (counts().assign(n=lambda d: d["n"].mask(d["g"] == "g3", 0)), SLOPE),
    "all zeros but one": (counts().assign(n=lambda d: 1 * (d.index == 5)), SLOPE),
    "large counts": (counts().assign(n=lambda d: (1e5 * np.exp(d["y"] / 3)).round()), SLOPE),
    "the largest counts": (counts().assign(n=lambda d: (1e12 * np.exp(d["y"])).round()), SLOPE),
    "counts of many magnitudes": (counts().assign(n=lambda d: np.exp(3 * d["y"]).round()), SLOPE),
    "a group without any x": (counts().assign(x=lambda d: d["x"].mask(d["g"] == "g3")), SLOPE),
    "zeros and ones": (counts().assign(n=lambda d: d["n"].clip(0, 1)), SLOPE),
    "all groups of one": (
        counts().assign(g=lambda d: [f"q{i}" for i in d.index], z=lambda d: d["w"]),
        "n ~ x + z + (1 | g)",
    ),
    "more columns than rows": (
        counts()
        .iloc[:45]
        .assign(**{f"u{i}": np.random.default_rng(i).normal(size=45) for i in range(50)}),
        "n ~ x + " + " + ".join(f"u{i}" for i in range(50)) + " + (1 | g)",
    ),
    "an exponential": (counts(), "n ~ exp(2 * x) + (1 | g)"),
    "no intercept": (counts(), "n ~ 0 + x + (0 + x | g)"),
    "no fixed part": (counts(), "n ~ 0 + (1 + x | g)"),
    "crossed and nested": (counts(), "n ~ x + (1 | a/g) + (x || e > 1)"),
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.timeout(120)
def test_hard_data_are_imputed(name: str) -> None:
    data, formula = HARD[name]
    if "e > 1" in formula:
        data = data.assign(h=np.random.default_rng(1).integers(0, 12, len(data)).astype(str))
        formula = formula.replace("e > 1", "h")
    data["n"] = holed(data["n"], 4, 0.1)
    imp = impute(data, poisson(formula), iterations=60)
    assert_sound(data, imp, ["x", "n"])
    drawn = stacked(imp, "n")
    assert (drawn == np.rint(drawn)).all() and (drawn >= 0).all()


@pytest.mark.parametrize("size", [1.0, 1e5])
def test_chains_of_small_and_large_counts_mix(size: float) -> None:
    """The posterior of large counts is a hundred times as narrow as the groups are wide.

    Of 1200 draws a parameter that mixed badly would have some tens; a correlation whose SD is near
    0 has an R-hat of up to 1.06 over as few.
    """
    data = counts(rows=300)
    random = np.random.default_rng(8)
    effect = 0.5 * random.normal(size=15)[data.index % 15]
    data["n"] = random.poisson(size * np.exp(0.5 + 0.4 * small(1, 300)["w"] + effect))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RBridgeWarning)  # of few groups
        imp = rb.CompatibleImputer(
            poisson("n ~ w + x + (1 + w | g)"), 8, min_iter=300, max_iter=300
        ).impute(data, 1)
    table = imp.convergence().set_index("parameter")
    assert table["rhat"].max() < 1.1
    assert table["ess_bulk"].min() > 200


# -- against lme4 ----------------------------------------------------------------------------------


def many(seed: int, groups: int = 50, of_each: int = 40) -> pd.DataFrame:
    """Make counts of many rows, by two covariates of which the one tells of the other."""
    random = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), of_each)
    z = random.normal(size=len(g))
    x = 0.5 * z + 0.5 * random.normal(size=groups)[g] + random.normal(size=len(g))
    u = random.normal(size=(2, groups))[:, g] * [[0.5], [0.2]]
    exposure = random.uniform(0.5, 3, len(g))
    eta = 0.2 + 0.4 * x - 0.3 * z + u[0] + u[1] * x + np.log(exposure)
    n = random.poisson(np.exp(eta))
    return pd.DataFrame({"n": n, "x": x, "z": z, "o": np.log(exposure), "g": g.astype(str)})


def estimates(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index("term")[["estimate", "std_error"]]


def test_the_posterior_is_near_what_glmer_estimates() -> None:
    """With one hole among 2000 rows, and weak priors, both say the same of the coefficients.

    Their distance is of the order of the Laplace approximation and of the priors, a tenth of a
    standard error; the Monte Carlo error of means over 8 x 200 iterations is a thirtieth.
    """
    data = many(3)
    data.loc[0, "x"] = None
    model = poisson("n ~ x + z + (1 + x | g)", offset="o")
    imp = rb.CompatibleImputer(model, 8, min_iter=400, max_iter=400, rhat=1.1).impute(data, 1)
    trace = imp.trace.query("iteration > 200").groupby("parameter")["value"].agg(["mean", "std"])
    fit = model.fit(data.drop(index=0))
    fixed = estimates(fit.tidy().query("effect == 'fixed'"))
    assert set(fixed.index) == {"(Intercept)", "x", "z"}
    for term, line in fixed.iterrows():
        mean, sd = trace.loc[term]
        assert abs(mean - line["estimate"]) < 0.2 * line["std_error"], term
        assert sd / line["std_error"] == pytest.approx(1, abs=0.12), term
    variances = fit.varcorr().query("var2.isna()").set_index("var1")["sdcor"]
    for term in ("(Intercept)", "x"):
        mean, sd = trace.loc[f"sd(g: {term})"]
        assert abs(mean - variances[term]) < 0.5 * sd


def test_slopes_where_those_of_complete_rows_are_biased() -> None:
    """x is missing where z and n are large: complete rows have too small slopes, these have not."""
    distances = []
    model = poisson("n ~ x + z + (1 + x | g)", offset="o")
    data = many(11, groups=60, of_each=30)
    gone = np.random.default_rng(1).random(len(data)) < 0.75 * (data["n"] > 3)
    holes = data.assign(x=data["x"].mask(gone), n=holed(data["n"], 3, 0.05).astype("Int64"))
    holes.loc[gone, "n"] = data.loc[gone, "n"]
    whole = estimates(model.fit(data).tidy().query("effect == 'fixed'"))
    listwise = estimates(model.fit(holes).tidy().query("effect == 'fixed'"))
    imp = rb.impute(holes, model=model, m=10, seed=1)
    pooled = estimates(model.fit(imp).pool().fixed)
    for one in (listwise, pooled):
        distances.append((one["estimate"] - whole["estimate"]) / pooled["std_error"])
    assert distances[0].abs().max() > 2.5
    assert distances[1].abs().max() < 1.5, distances
    assert imp[1]["n"].dtype == "Int64"


def test_m_is_chosen_by_fits_of_the_model() -> None:
    data = many(5, groups=25, of_each=12)
    data["x"] = holed(data["x"], 2, 0.1)
    with pytest.warns(rb.RBridgeWarning, match="was chosen after a pilot of 20"):
        imp = rb.impute(data, poisson("n ~ x + z + (1 | g)", offset="o"), seed=1, max_m=20)
    assert len(imp) == 20


def test_chains_are_longer_than_their_beginning() -> None:
    """After 40 iterations counts have only just their whole likelihood."""
    model = rb.Glmer("y ~ x + (1 | g)", "poisson")
    with pytest.raises(rb.ArgumentError, match="max_iter must be a whole number of at least 50"):
        rb.CompatibleImputer(model, max_iter=49)
    assert rb.CompatibleImputer(model, max_iter=50).max_iter == 50
    with pytest.raises(rb.ArgumentError, match="max_iter must be a whole number of at least 25"):
        rb.CompatibleImputer("y ~ x + (1 | g)", max_iter=24)
