"""The methods text: each fact against the data, the fits and R, and what is left to the author."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor

pytestmark = pytest.mark.r


@pytest.fixture(scope="module")
def pooled(fits: rb.MerModList) -> rb.PooledMerMod:
    return fits.pool()


@pytest.fixture(scope="module")
def paragraphs(pooled: rb.PooledMerMod) -> dict[str, str]:
    return by_title(pooled.methods_text())


def by_title(text: str) -> dict[str, str]:
    parts = [x.split(". ", 1) for x in text.split("\n\n")[:-1]]
    return dict(parts)


def test_it_has_what_the_guidelines_ask_for(pooled: rb.PooledMerMod) -> None:
    """Each of van Buuren's twelve items is told, or left to the author by name."""
    text = str(pooled.methods_text())
    items = {
        1: "6173 rows (85.9%) were complete",
        2: "[AUTHOR: why values are missing",
        3: "Rows with missing values differed",
        4: "missing at random",
        5: "Amelia 1.8",
        6: "imputed 5 times",
        7: "imputed from each other",
        8: "[AUTHOR: whether any of",
        9: "The EM chains ended",
        10: "pooled by the rules of Rubin (1987)",
        11: "[AUTHOR: whether an analysis of the complete cases",
        12: "[AUTHOR: how the conclusions hold if values are missing not at random",
    }
    assert {i for i, x in items.items() if x in text} == set(range(1, 13))
    titles = ["Missing data", "Imputation", "Checks", "Analysis", "Complete cases", "Sensitivity"]
    assert list(by_title(text)) == titles


def test_the_amount_of_missing_values(paragraphs: dict[str, str], holes: pd.DataFrame) -> None:
    text = paragraphs["Missing data"]
    used = ["schid", "minority", "female", "ses", "mathach", "meanses"]
    assert f"uses 6 variables ({', '.join(used[:-1])} and {used[-1]}) of {len(holes)} rows" in text
    missing = holes[used].isna()
    for name in ("minority", "female", "ses"):
        n = missing[name].sum()
        assert f"{name} ({n}, {100 * n / len(holes):.1f}%)" in text
    assert "size" not in text  # it is no part of the analysis
    whole = (~missing.any(axis=1)).sum()
    assert f"{whole} rows ({100 * whole / len(holes):.1f}%) were complete" in text
    patterns = missing[missing.any(axis=1)].value_counts()
    assert f"had {len(patterns)} patterns" in text
    first = patterns.index[0]
    named = [x for x, there in zip(used, first, strict=True) if there]
    assert f"lacked {' and '.join(named)} ({patterns.iloc[0]} rows)" in text


def test_rows_with_and_without_holes(paragraphs: dict[str, str], holes: pd.DataFrame) -> None:
    used = ["minority", "female", "ses", "mathach", "meanses"]
    incomplete = holes[[*used, "schid"]].isna().any(axis=1)
    gaps = {
        x: (holes[x][incomplete].mean() - holes[x][~incomplete].mean()) / holes[x].std()
        for x in used
    }
    name = max(gaps, key=lambda x: abs(gaps[x]))
    way = "higher" if gaps[name] > 0 else "lower"
    told = f"by at most {abs(gaps[name]):.2f} standard deviations of a variable's observed values"
    assert f"{told} ({name}, {way} where" in paragraphs["Missing data"]


def test_engine_versions_and_settings(paragraphs: dict[str, str]) -> None:
    text = paragraphs["Imputation"]
    version = rdoor.call("base::as.character", rdoor.call_object("utils::packageVersion", "Amelia"))
    assert f"and Amelia {version.value[0]}, rbridge_mi {rb.__version__}, Python" in text
    assert "idvars = schid and meanses, noms = minority and female, and seed 1." in text
    assert (
        "minority, female, ses and size were imputed from each other, mathach and schtype." in text
    )
    assert "size and schtype have no part in the analysis (auxiliary variables)." in text
    assert "did not tell apart the groups of schid." in text
    assert "Products" not in text


def test_imputed_values_against_observed_ones(
    paragraphs: dict[str, str], imp: rb.ImputedData, holes: pd.DataFrame
) -> None:
    text = paragraphs["Checks"]
    for name in ("minority", "female", "ses"):
        gone = holes[name].isna()
        imputed = np.concatenate([d.loc[gone, name].to_numpy() for d in imp])
        seen = holes[name].dropna()
        expected = (
            f"{name} mean {imputed.mean():.3g} (SD {imputed.std(ddof=1):.3g}) against "
            f"{seen.mean():.3g} (SD {seen.std():.3g})"
        )
        assert expected in text
    low, high = min(imp.chain_lengths), max(imp.chain_lengths)
    length = low if low == high else f"{low} to {high}"
    assert f"after {length} iterations (the engine reported: Normal EM convergence)." in text


def test_the_fits(paragraphs: dict[str, str], pooled: rb.PooledMerMod) -> None:
    text = paragraphs["Analysis"]
    assert f"Linear mixed models, {pooled.formula}, were fitted to each of the 5 data sets" in text
    assert "by restricted maximum likelihood (lme4's lmer)" in text
    assert "They have 7185 rows, in 160 groups of schid." in text
    assert "the number of rows minus that of the model's parameters" in text
    worst = pooled.fixed.loc[pooled.fixed["fmi"].idxmax()]
    assert f"at most {worst['fmi']:.2f} ({worst['term']})" in paragraphs["Checks"]


def test_degrees_of_freedom_are_named(fits: rb.MerModList) -> None:
    def of(**options: Any) -> str:
        return by_title(fits.pool(**options).methods_text())["Analysis"]

    assert "taken to be infinite." in of(dfcom=math.inf)
    assert "taken to be given by the authors." in of(dfcom=150)
    assert "taken to be Satterthwaite's, the mean over the fits." in of(dfcom="satterthwaite")


def test_complete_cases(pooled: rb.PooledMerMod, fit: rb.MerMod, fits: rb.MerModList) -> None:
    text = by_title(pooled.methods_text(listwise=fit))["Complete cases"]
    table = rb.compare_estimates(fit, fits).set_index("term")
    moved = (table["difference"] / table["pooled_std_error"]).abs()
    assert f"An analysis of the {fit.nobs} complete rows" in text
    assert f"by at most {moved.max():.2f} pooled standard errors ({moved.idxmax()})" in text
    assert f"are {table['se_ratio'].min():.2f} to {table['se_ratio'].max():.2f} times" in text
    holds = [
        (table[f"{x}_conf_low"] <= 0) & (table[f"{x}_conf_high"] >= 0)
        for x in ("pooled", "listwise")
    ]
    assert holds[0].equals(holds[1])
    assert "The 95% intervals of both hold 0 for the same coefficients." in text
    assert "[AUTHOR" not in text


def test_complete_cases_that_say_something_else(hsb: pd.DataFrame) -> None:
    """Imputed by what was there, the whole data show a slope that the few complete rows don't."""
    g = np.random.default_rng(3)
    whole = hsb.head(600)[["schid", "mathach"]].assign(x=g.normal(size=600))
    whole["mathach"] += 0.9 * whole["x"]
    holes = whole.assign(x=whole["x"].mask(g.uniform(size=600) < 0.9))
    sets = [
        whole.assign(x=whole["x"].mask(holes["x"].isna(), whole["x"] + i * 1e-9)) for i in (0, 1)
    ]
    model = rb.Lmer("mathach ~ x + (1 | schid)")
    pooled = model.fit(rb.ImputedData.from_frames(sets, original=holes)).pool()
    fit = model.fit(holes)
    alone = fit.fixed("residual").set_index("term").loc["x"]
    assert alone["conf_low"] < 0 < alone["conf_high"]
    assert pooled.fixed.set_index("term").loc["x", "conf_low"] > 0
    text = by_title(pooled.methods_text(listwise=fit))["Complete cases"]
    assert "Of x one of the two 95% intervals holds 0, and the other does not. [AUTHOR" in text


def test_ratios_are_compared_on_the_scale_of_the_link(
    hsb: pd.DataFrame, imp: rb.ImputedData
) -> None:
    sets = imp.assign(passed=lambda d: (d["mathach"] > 10).astype(int))
    model = rb.Glmer("passed ~ ses + female + (1 | schid)", family="binomial")
    fits = model.fit(sets)
    alone = model.fit(sets.original.assign(passed=lambda d: (d["mathach"] > 10).astype(int)))
    table = rb.delta_sensitivity(model, sets, "ses", [0, 1])
    plain = by_title(fits.pool().methods_text(alone, table))
    ratios = by_title(fits.pool(exponentiate=True).methods_text(alone, table))
    assert ratios == plain


def test_sensitivity(imp: rb.ImputedData, pooled: rb.PooledMerMod) -> None:
    model = rb.Lmer("mathach ~ minority + female + ses + meanses + (1 + ses | schid)")
    table = rb.delta_sensitivity(model, imp, "ses", [-2, 0, 2])
    text = by_title(pooled.methods_text(sensitivity=table))["Sensitivity"]
    assert "the imputed values of ses were shifted by -2 to +2 (delta adjustment, 3 values)" in text
    fixed = table[table["effect"] == "fixed"]
    spread = fixed.groupby("term")["estimate"].agg(["min", "max"])
    errors = pooled.fixed.set_index("term")["std_error"]
    term = ((spread["max"] - spread["min"]) / errors).idxmax()
    assert (
        f"was {term}, from {spread.loc[term, 'min']:.4g} to {spread.loc[term, 'max']:.4g}." in text
    )
    holds = ((fixed["conf_low"] <= 0) & (fixed["conf_high"] >= 0)).groupby(fixed["term"]).nunique()
    changed = [x for x in pooled.fixed["term"] if holds[x] > 1]
    assert ("For no coefficient did the shift decide" in text) == (not changed)
    groups = rb.delta_sensitivity(model, imp, "ses", [1], by="schtype", groups=[1.0])
    assert "by +1 to +1 where schtype is 1" in pooled.methods_text(sensitivity=groups)


def test_chains_that_have_converged_and_those_that_have_not(holes: pd.DataFrame) -> None:
    data = holes.head(600).drop(columns=["minority", "size"])
    model = rb.Lmer("mathach ~ female + ses + (1 | schid)")
    imp = rb.MiceImputer(m=3, maxit=20).impute(data.drop(columns="schid"), seed=1)
    imp = imp.assign(schid=data["schid"])
    text = by_title(model.fit(imp).pool().methods_text())
    table = imp.convergence().dropna()
    worst = table.loc[table["rhat"].idxmax()]
    assert (
        f"which after 20 iterations was at most {worst['rhat']:.3f} ({worst['parameter']}); the "
        f"smallest effective sample size was {table['ess_bulk'].min():.0f}."
    ) in text["Checks"]
    assert worst["rhat"] > 1.05
    assert "[AUTHOR: why the chains were not run on" in text["Checks"]
    assert "female and ses were imputed by pmm from each other" in text["Imputation"]
    assert (
        "fully conditional specification (van Buuren and Groothuis-Oudshoorn 2011)"
        in (text["Imputation"])
    )
    short = rb.MiceImputer(m=2, maxit=3).impute(data.drop(columns="schid"), seed=1)
    short = short.assign(schid=data["schid"])
    assert "[AUTHOR: how the convergence of the imputation was checked]" in (
        model.fit(short).pool().methods_text()
    )


def test_an_imputation_from_the_model(holes: pd.DataFrame) -> None:
    model = rb.Lmer("mathach ~ female + ses + (1 | schid)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RBridgeWarning)  # columns that the model doesn't name
        imp = rb.impute(holes.head(900), model=model, m=2, seed=1)
    shifted = imp.delta("ses", -0.5).delta("female", {1.0: 0.25}, by="schtype")
    text = by_title(model.fit(shifted).pool().methods_text())["Imputation"]
    assert "compatible with the analysis model" in text
    assert f"here {imp.settings['formula']}." in text
    assert (
        "telling apart the groups of schid, with the analysis model's random effects (schid: "
        in text
    )
    assert "did not tell apart" not in text
    assert "values of ses were shifted by -0.5 (delta adjustment)" in text
    assert "values of female were shifted by +0.25 where schtype is 1 (delta adjustment)" in text


def test_bootstrap_samples(holes: pd.DataFrame) -> None:
    sets = rb.BootstrapImputer(m=4, cluster="schid").impute(holes.head(900), seed=1)
    fits = rb.Lmer("mathach ~ female + ses + (1 | schid)").fit(sets)
    text = by_title(fits.pool().methods_text())
    assert (
        "were not imputed: the model was fitted to 4 bootstrap samples of whole groups of"
        in (text["Imputation"])
    )
    rows = [x.nobs for x in fits]
    assert f"They have {min(rows)} to {max(rows)} rows" in text["Analysis"]
    assert "the spread of the estimates (Efron and Tibshirani 1993)" in text["Analysis"]
    assert "Checks" not in text
    assert "at random" not in text["Imputation"]


def test_data_sets_from_elsewhere(hsb: pd.DataFrame) -> None:
    data = hsb.head(500)[["schid", "mathach", "ses"]].assign(
        kind=pd.Categorical(["a", "b", "b", "c"] * 125)
    )
    gone = np.arange(500) % 7 == 0
    holes = data.assign(kind=data["kind"].mask(gone), ses2=np.nan)
    sets = [
        data.assign(kind=data["kind"].where(~gone, "abc"[i]), ses2=data["ses"] ** 2)
        for i in range(3)
    ]
    imp = rb.ImputedData.from_frames(sets, original=holes)
    pooled = rb.Lmer("mathach ~ kind * ses + (1 | schid)").fit(imp).pool()
    text = by_title(pooled.methods_text())
    assert "made elsewhere: [AUTHOR: by which software, version and method" in text["Imputation"]
    assert "[AUTHOR: which variables the imputation model had" in text["Imputation"]
    assert "Products and transformations in the formula" in text["Imputation"]
    share = (holes["kind"].dropna() == "b").mean()
    assert f"kind 33.3% b against {100 * share:.1f}%" in text["Checks"]
    bare = replace(pooled, data=None)
    text = by_title(bare.methods_text())
    assert text["Missing data"].startswith("[AUTHOR: how many values were missing")
    assert text["Imputation"].startswith("[AUTHOR: how missing values were imputed")


def test_complete_data_and_a_generalised_model(hsb: pd.DataFrame) -> None:
    data = hsb.head(800).assign(passed=lambda d: (d["mathach"] > 10).astype(int))
    imp = rb.ImputedData.from_frames([data, data])
    pooled = rb.Glmer("passed ~ ses + (1 | schid)", family="binomial").fit(imp).pool()
    text = by_title(pooled.methods_text())
    assert text["Missing data"].endswith("of 800 rows. None of them had missing values.")
    assert "Generalised linear mixed models" in text["Analysis"]
    assert "by maximum likelihood, family binomial, link logit (lme4's glmer)" in text["Analysis"]
    assert "taken to be infinite" in text["Analysis"]


def test_singular_fits_are_counted() -> None:
    g = np.random.default_rng(1)
    frame = pd.DataFrame({"g": np.repeat(list("abcdefgh"), 10), "y": g.normal(size=80)})
    frame["y"] -= frame.groupby("g")["y"].transform("mean")
    imp = rb.ImputedData.from_frames([frame.assign(x=g.normal(size=80)) for _ in range(3)])
    fits = rb.Lmer("y ~ x + (1 | g)").fit(imp)
    assert "3 of these fits were singular" in fits.pool().methods_text()
    assert "1 of the 3 data sets have no part in this: [AUTHOR" in fits[:2].pool().methods_text()


def test_only_what_is_cited_is_listed(pooled: rb.PooledMerMod) -> None:
    text = str(pooled.methods_text())
    body, references = text.split("\n\nReferences\n")
    listed = references.split("\n")
    assert [x.split(",")[0] for x in listed] == ["Barnard", "Bates", "Honaker", "Rubin"]
    for reference in listed:
        year = re.search(r"\((\d{4})\)", reference)
        assert year is not None and year[1] in body
    assert listed == sorted(listed)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"listwise": 1}, "listwise is the fit of the same model to the data with holes"),
        ({"sensitivity": 1}, "sensitivity is the table that `rb.delta_sensitivity` gives"),
        ({"sensitivity": pd.DataFrame({"x": [1]})}, "sensitivity is the table"),
    ],
)
def test_wrong_arguments(pooled: rb.PooledMerMod, arguments: Any, text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        pooled.methods_text(**arguments)


def test_a_fit_of_another_model(pooled: rb.PooledMerMod, hsb: pd.DataFrame) -> None:
    other = rb.Lmer("mathach ~ ses + size + (1 | schid)").fit(hsb)
    with pytest.raises(rb.ArgumentError, match="differs in female, meanses, minority, size"):
        pooled.methods_text(listwise=other)
