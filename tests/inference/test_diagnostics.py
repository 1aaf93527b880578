"""Diagnostics of imputations, advice with its remedies, listwise beside pooled."""

from __future__ import annotations

import pickle
import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import pooling
from rbridge_mi.base.glossary import TABLES
from tests.inference.inference_data import complete, fitted, imputed

pytestmark = [pytest.mark.r, pytest.mark.slow]


@pytest.fixture(scope="module")
def data() -> rb.ImputedData:
    return imputed(m=5, prop=0.1)


@pytest.fixture(scope="module")
def fits(data: rb.ImputedData) -> rb.MerModList:
    return fitted("y ~ x1 + x2 + f + (1 | g)", data)


def diagnosed(fits: rb.MerModList, **arguments: Any) -> tuple[Any, list[str]]:
    """The diagnostics, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = fits.pool().diagnostics(**arguments)
    return found, [str(x.message) for x in caught if issubclass(x.category, rb.RBridgeWarning)]


def test_coefficients(fits: rb.MerModList) -> None:
    found, _ = diagnosed(fits, cv=0.1, conf_level=0.9)
    pooled = fits.pool()
    table = found.coefficients
    assert list(table.columns) == list(TABLES["diagnostics"])
    assert list(table["term"]) == list(pooled.fixed["term"])
    fmi = pooled.fixed["fmi"]
    assert table["fmi"].tolist() == fmi.tolist()
    low, high = pooling.fmi_interval(fmi, 5, conf_level=0.9)
    assert table["fmi_low"].tolist() == low.tolist()
    assert table["fmi_high"].tolist() == high.tolist()
    needed = pooling.imputations_needed(fmi, 5, cv=0.1, conf_level=0.9)
    assert table["m_needed"].tolist() == needed.tolist()
    q = np.array([x.beta for x in fits])
    u = np.array([np.diag(x.vcov()) for x in fits])
    errors = pooling.monte_carlo_errors(q, u, dfcom=float(fits[0].df_residual))
    for name in ("estimate", "std_error", "df", "p_value"):
        np.testing.assert_allclose(table[f"mce_{name}"], getattr(errors, name), rtol=1e-9)
    # The estimate's has a closed form: sqrt(b / m).
    np.testing.assert_allclose(table["mce_estimate"], np.sqrt(pooled.fixed["b"] / 5), rtol=1e-10)


def test_fits_and_report(fits: rb.MerModList) -> None:
    found, _ = diagnosed(fits)
    table = found.fits
    assert list(table.columns) == ["imputation", *TABLES["diagnostics_fits"]]
    assert table["imputation"].tolist() == [1, 2, 3, 4, 5]
    assert table["is_singular"].tolist() == [x.is_singular for x in fits]
    assert table["optimizer"].tolist() == [x.optimizer for x in fits]
    assert table["converged"].all()
    text = str(found)
    assert "5 of 5 converged" in text
    assert "x2" in text
    assert found._repr_html_().startswith("<pre style=")
    assert pickle.loads(pickle.dumps(found)).coefficients.equals(found.coefficients)


def test_a_fit_that_did_not_converge_is_seen(data: rb.ImputedData) -> None:
    fits = fitted("y ~ x1 + (1 + x1 | g)", data, control={"optCtrl": {"maxeval": 3}})
    found, _ = diagnosed(fits)
    assert not found.fits["converged"].any()
    assert found.fits["messages"].str.len().gt(0).all()
    assert "0 of 5 converged" in str(found)


def test_two_imputations_have_no_monte_carlo_error(data: rb.ImputedData) -> None:
    found, _ = diagnosed(fitted("y ~ x1 + (1 | g)", rb.ImputedData.from_frames(list(data)[:2])))
    assert found.coefficients[["mce_estimate", "mce_p_value"]].isna().all(axis=None)
    assert found.coefficients["m_needed"].gt(1).all()


def test_bootstrap_samples_have_no_fmi() -> None:
    boot = rb.BootstrapImputer(m=4, cluster="g").impute(complete(), seed=1)
    found, said = diagnosed(fitted("y ~ x1 + (1 | g)", boot))
    assert found.coefficients[["fmi", "mce_estimate"]].isna().all(axis=None)
    assert found.coefficients["m_needed"].isna().all()
    assert not said
    assert found.advice == ()


# --- bootstrap samples ---------------------------------------------------------------------------


def grouped(between: float) -> pd.DataFrame:
    """60 groups of 5 with a group-level column w; the SD between groups is given."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(60), 5)
    w, u = rng.normal(size=60)[g], rng.normal(scale=between, size=60)[g]
    y = 1 + 0.5 * w + u + rng.normal(size=300)
    return pd.DataFrame({"y": y, "w": w, "g": [f"g{i:02}" for i in g]})


def sd_and_error(frame: pd.DataFrame, cluster: str | None) -> tuple[float, float]:
    """Of 30 samples: the SD between groups, and the standard error of w."""
    boot = rb.BootstrapImputer(m=30, cluster=cluster).impute(frame, seed=1)
    pooled = fitted("y ~ w + (1 | g)", boot).pool()
    return pooled.varcorr["sdcor"].iloc[0], pooled.fixed["std_error"].iloc[1]


def test_rows_invent_a_variance_between_groups_and_whole_groups_do_not() -> None:
    frame = grouped(between=0.0)
    alone = rb.Lmer("y ~ w + (1 | g)").fit(frame)
    assert alone.varcorr()["sdcor"].iloc[0] == 0
    assert sd_and_error(frame, None)[0] > 0.3
    assert sd_and_error(frame, "g")[0] < 0.1


def test_rows_make_errors_of_group_level_coefficients_too_small() -> None:
    frame = grouped(between=1.0)
    alone = rb.Lmer("y ~ w + (1 | g)").fit(frame).tidy().set_index("term")["std_error"]["w"]
    assert sd_and_error(frame, None)[1] < 0.6 * alone
    # 30 samples leave a coefficient of variation of 13% to chance.
    assert sd_and_error(frame, "g")[1] == pytest.approx(alone, rel=0.4)


def test_rows_drawn_one_by_one_are_told_of() -> None:
    frame = grouped(between=1.0)
    fits = fitted("y ~ w + (1 | g)", rb.BootstrapImputer(m=3).impute(frame, seed=1))
    found, said = diagnosed(fits)
    assert found.advice == fits.pool().advice == tuple(said)
    assert re.search(r"rows one by one.*by g:.*far too large.*too small.*cluster='g'", said[0])
    assert "Note: the bootstrap samples draw rows one by one" in fits.summary()
    whole = rb.BootstrapImputer(m=3, cluster="g").impute(frame, seed=1)
    fits = fitted("y ~ w + (1 | g)", whole)
    assert not diagnosed(fits)[1]
    assert "Note:" not in fits.summary()


def test_samples_say_in_their_summary_what_was_drawn() -> None:
    frame = grouped(between=1.0)
    rows = rb.BootstrapImputer(m=2).impute(frame, seed=1).summary()
    assert "sample of the rows" in rows
    assert "whole groups (cluster=)" in rows
    groups = rb.BootstrapImputer(m=2, cluster="g").impute(frame, seed=1).summary()
    assert "whole groups of g" in groups
    assert "far too large" not in groups
    elsewhere = rb.ImputedData.from_frames([frame, frame], kind="bootstrap")
    assert "far too large" not in elsewhere.summary()


def test_groupings_that_the_samples_do_not_keep_whole() -> None:
    frame = complete(groups=12, size=8)
    frame["s"] = frame["g"].str[-1]  # twelve groups in ten, of which two hold two
    boot = rb.BootstrapImputer(m=3, cluster="s").impute(frame, seed=1)
    assert not fitted("y ~ x1 + (1 | s/g)", boot).pool().advice
    (text,) = fitted("y ~ x1 + (1 | s) + (1 | g)", boot).pool().advice
    assert "whole groups of s, but the model also groups by g" in text
    assert "(1 | s/g)" in text
    boot = rb.BootstrapImputer(m=3).impute(frame, seed=1)
    (text,) = fitted("y ~ x1 + (1 | s/g)", boot).pool().advice
    assert "cluster='s'" in text
    elsewhere = rb.ImputedData.from_frames(list(boot), kind="bootstrap")
    assert not fitted("y ~ x1 + (1 | s/g)", elsewhere).pool().advice


# --- advice -------------------------------------------------------------------------------------


def test_too_few_imputations() -> None:
    fits = fitted("y ~ x1 + x2 + (1 | g)", imputed(m=3, prop=0.4))
    found, said = diagnosed(fits)
    worst = fits.pool().fixed["fmi"].max()
    needed = int(np.ceil(1 + 0.5 * (worst / 0.05) ** 2))
    assert needed > 3
    text = next(x for x in said if "too few imputations" in x)
    assert f"m = {needed} or more" in text
    assert text in found.advice
    assert "Note: too few imputations" in fits.summary()


def test_enough_imputations_are_not_complained_of() -> None:
    fits = fitted("y ~ x1 + x2 + (1 | g)", imputed(m=30, prop=0.03))
    _, said = diagnosed(fits)
    assert not said
    assert "Note:" not in fits.summary()


def amelia(frame: pd.DataFrame, **arguments: Any) -> rb.ImputedData:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RWarning)
        return rb.AmeliaImputer(m=4, **arguments).impute(frame, seed=1)


@pytest.fixture(scope="module")
def gaps() -> pd.DataFrame:
    frame = complete(groups=30, size=10)[["y", "x1", "x2", "g"]]
    rng = np.random.default_rng(5)
    return frame.assign(x1=frame["x1"].mask(rng.uniform(size=len(frame)) < 0.1))


def test_slopes_that_amelia_does_not_know(gaps: pd.DataFrame) -> None:
    formula = "y ~ x1 + (1 + x1 | g)"
    _, said = diagnosed(fitted(formula, amelia(gaps, idvars="g")))
    text = next(x for x in said if "random slopes of x1 over g" in x)
    assert "too small" in text
    assert "transform('mean')" in text
    assert text.index("`rb.impute(data, model=model, m=20)`") < text.index("transform('mean')")
    # No slopes; the remedy taken; complete data: nothing to say.
    quiet = [
        ("y ~ x1 + (1 | g)", amelia(gaps, idvars="g")),
        (formula, amelia(gaps.assign(m=gaps.groupby("g")["x1"].transform("mean")), idvars="g")),
        (formula, rb.ImputedData.from_frames([complete(), complete()])),
    ]
    for own_formula, imp in quiet:
        _, said = diagnosed(fitted(own_formula, imp))
        assert not any("random slopes" in x for x in said), own_formula


def test_slopes_where_the_imputation_knows_intercepts_alone(gaps: pd.DataFrame) -> None:
    model = "y ~ x1 + (1 + x1 | g)"
    _, said = diagnosed(fitted(model, amelia(gaps, noms="g")))
    (text,) = [x for x in said if "random slopes" in x]
    assert "random slopes of x1 over g, but x1 imputed with an intercept for each g alone" in text
    assert "(Amelia)" in text and "`rb.impute(data, model=model, m=20)`" in text
    # A double bar's second block is of the same group.
    _, said = diagnosed(fitted("y ~ x1 + (x1 || g)", amelia(gaps, noms="g")))
    assert any("slopes of x1 over g, but x1 imputed with an intercept" in x for x in said)


def test_slopes_that_the_model_imputed_from_lacks(gaps: pd.DataFrame) -> None:
    poorer, richer = from_model(gaps, "y ~ x1 + (1 | g)"), from_model(gaps, "y ~ x1 + (x1 | g)")
    assert poorer.saw["x1"].random_effects == ("g: (Intercept)",)
    assert richer.saw["x1"].random_effects == ("g: (Intercept)", "g: x1")
    _, said = diagnosed(fitted("y ~ x1 + (1 + x1 | g)", poorer))
    (text,) = [x for x in said if "random slopes" in x]
    assert "x1 imputed from a model without them (compatible)" in text
    for formula in ("y ~ x1 + (1 + x1 | g)", "y ~ x1 + (x1 || g)", "y ~ x1 + (1 | g)"):
        _, said = diagnosed(fitted(formula, richer))
        assert not any("random slopes" in x for x in said), formula


def test_products_and_powers_that_the_imputation_does_not_know(gaps: pd.DataFrame) -> None:
    formula = "y ~ x1 * x2 + I(x1^2) + (1 | g)"
    _, said = diagnosed(fitted(formula, amelia(gaps, noms="g")))
    (text,) = [x for x in said if "products or powers" in x]
    assert text.startswith("I(x1^2), x1:x2 in the model, but x1 imputed (Amelia) without")
    for quiet in (
        fitted("y ~ x1 + I(x2^2) + (1 | g)", amelia(gaps, noms="g")),  # of a complete column
        fitted(formula, from_model(gaps, formula)),
    ):
        _, said = diagnosed(quiet)
        assert not any("products or powers" in x for x in said)


def test_group_level_columns_imputed_row_by_row(gaps: pd.DataFrame) -> None:
    rng = np.random.default_rng(6)
    size = dict(zip(gaps["g"].unique(), rng.normal(size=30), strict=True))
    frame = gaps.assign(size=gaps["g"].map(size))
    frame["size"] = frame["size"].mask(rng.uniform(size=len(frame)) < 0.2)
    imp = amelia(frame, idvars="g")
    formula = "y ~ x1 + size + (1 | g)"
    _, said = diagnosed(fitted(formula, imp))
    text = next(x for x in said if "size is a g-level column" in x)
    assert "imp.assign" in text
    assert "`rb.impute(data, model=model, m=20)`, which gives each g one value" in text
    # The remedy, as the text spells it, silences it.
    filled = imp.assign(size=lambda d: d.groupby("g")["size"].transform("mean"))
    _, said = diagnosed(fitted(formula, filled))
    assert not any("g-level" in x for x in said)
    # A column that isn't in the model doesn't matter to it.
    _, said = diagnosed(fitted("y ~ x1 + (1 | g)", imp))
    assert not any("g-level" in x for x in said)


def from_model(frame: pd.DataFrame, formula: str, **arguments: Any) -> rb.ImputedData:
    """A few iterations: what the advice looks at is there after the first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RBridgeWarning)
        arguments |= {"min_iter": 20, "max_iter": 50}
        return rb.impute(frame, rb.Lmer(formula), 4, seed=1, **arguments)


def test_imputations_from_the_model_have_neither_fault(gaps: pd.DataFrame) -> None:
    """The remedy that the two texts name first silences them."""
    rng = np.random.default_rng(6)
    size = dict(zip(gaps["g"].unique(), rng.normal(size=30), strict=True))
    frame = gaps.assign(size=gaps["g"].map(size))
    frame["size"] = frame["size"].mask(frame["g"].isin(["g03", "g11"]))
    formula = "y ~ x1 + size + (1 + x1 | g)"
    _, said = diagnosed(fitted(formula, amelia(frame, idvars="g")))
    assert sum("`rb.impute(data, model=model, m=20)`" in x for x in said) == 2
    _, said = diagnosed(fitted(formula, from_model(frame, formula)))
    assert not [x for x in said if not x.startswith("too few")]


@pytest.mark.parametrize("is_derived", [True, False], ids=["recomputed", "as given"])
def test_group_means_in_imputations_from_the_model(is_derived: bool) -> None:
    """Recomputed ones fit, and of those that are taken as given the notes tell already."""
    frame = complete(groups=30, size=10)[["y", "x1", "x2", "g"]]
    frame["mean"] = frame.groupby("g")["x1"].transform("mean")
    rng = np.random.default_rng(5)
    gone = (rng.uniform(size=len(frame)) < 0.3) & (frame["g"] < "g20")
    frame["x1"] = frame["x1"].mask(gone)
    formula = "y ~ x1 + mean + (1 + x1 | g)"
    arguments = {"derived": {"mean": ("mean", "x1", "g")}} if is_derived else {}
    imp = from_model(frame, formula, **arguments)
    assert any("mean is the mean of x1 in g" in x for x in imp.notes) == (not is_derived)
    _, said = diagnosed(fitted(formula, imp))
    assert not any("looks like" in x for x in said)
    _, said = diagnosed(fitted(formula, amelia(frame, idvars="g")))
    assert any("mean looks like the g mean of x1" in x for x in said)


RECIPES: dict[str, tuple[str, Any]] = {
    "mean": ("the g mean of x1", lambda d: d.groupby("g")["x1"].transform("mean")),
    "within": ("x1 minus its g mean", lambda d: d["x1"] - d.groupby("g")["x1"].transform("mean")),
    "square": ("the square of x1", lambda d: d["x1"] ** 2),
    "product": ("x1 times x2", lambda d: d["x1"] * d["x2"]),
}


@pytest.mark.parametrize("name", RECIPES)
def test_derived_columns(name: str) -> None:
    """Computed before the holes came (mean, within) or imputed by themselves (square, product)."""
    words, recipe = RECIPES[name]
    frame = complete(groups=40, size=6)[["y", "x1", "x2", "g"]]
    rng = np.random.default_rng(5)
    derived = recipe(frame)
    # Groups with a hole, and groups without.
    gone = (rng.uniform(size=len(frame)) < 0.3) & (frame["g"] < "g20")
    holes = frame.assign(x1=frame["x1"].mask(gone))
    kept = derived if name in ("mean", "within") else recipe(holes)
    holes = holes.assign(derived=kept)
    imp = amelia(holes, idvars="g")
    formula = "y ~ x1 + x2 + derived + (1 | g)"
    _, said = diagnosed(fitted(formula, imp))
    text = next(x for x in said if x.startswith("derived looks like"))
    assert words in text
    assert "recompute" in text
    fixed = imp.assign(derived=recipe)
    _, said = diagnosed(fitted(formula, fixed))
    assert not any("looks like" in x for x in said)


def test_logarithms_are_seen() -> None:
    frame = complete()[["y", "x1", "g"]].assign(x1=lambda d: np.exp(d["x1"]))
    rng = np.random.default_rng(5)
    holes = frame.assign(x1=frame["x1"].mask(rng.uniform(size=len(frame)) < 0.2))
    holes = holes.assign(lx=np.log(holes["x1"]))
    _, said = diagnosed(fitted("y ~ lx + x1 + (1 | g)", amelia(holes, idvars="g")))
    assert any("lx looks like the logarithm of x1" in x for x in said)


def drawn(frame: pd.DataFrame, m: int = 3) -> rb.ImputedData:
    """Every hole filled from its column's observed values: no relation between columns is kept."""
    rng = np.random.default_rng(8)
    frames = []
    for _ in range(m):
        done = frame.copy()
        for name in frame.columns[frame.isna().any()]:
            hole = frame[name].isna()
            done.loc[hole, name] = rng.choice(frame[name].dropna(), hole.sum())
        frames.append(done)
    return rb.ImputedData.from_frames(frames, original=frame)


ITEMS = [f"i{k}" for k in range(1, 6)]
UP_TO_A_LINE: dict[str, tuple[str, Any]] = {
    "centred": (r"looks like x minus [\d.]+ \(its mean\),", lambda d: d["x"] - d["x"].mean()),
    "standard": (r"plus [\d.]+ times x,", lambda d: (d["x"] - d["x"].mean()) / d["x"].std()),
    "unit": (r"looks like 2.54 times x,",
             lambda d: 2.54 * d["x"]),
    "square": (r"looks like 1.5 plus -0.2 times the square of x,",
               lambda d: 1.5 - 0.2 * d["x"] ** 2),
    "centred square": (r"looks like a quadratic in x,", lambda d: (d["x"] - 4.5) ** 2),
    "log10": (r"looks like 0.4343 times the logarithm of x,", lambda d: np.log10(d["x"])),
    "rounded": (r"\(its mean\)", lambda d: (d["x"] - d["x"].mean()).round(2)),
    "sum": (r"looks like the sum of i1, i2, i3, i4 and i5,", lambda d: d[ITEMS].sum(axis=1)),
    "mean": (r"looks like the mean of i1, i2, i3, i4 and i5,",
             lambda d: d[ITEMS].mean(axis=1)),
    "two": (r"looks like the sum of i2 and i5,", lambda d: d["i2"] + d["i5"]),
}  # fmt: skip


def scored(name: str) -> tuple[pd.DataFrame, Any]:
    """Items and x, outside of the model to come, and a column that was made from them."""
    frame = complete(groups=40, size=8)[["y", "g"]]
    rng = np.random.default_rng(4)
    level = rng.normal(size=len(frame))
    frame["x"] = np.exp(0.2 * level + 1.5)
    for item in ITEMS:
        frame[item] = np.clip(np.rint(3 + level + rng.normal(size=len(frame))), 1, 5)
    whole = frame.assign(made=UP_TO_A_LINE[name][1])
    for column in ("x", *ITEMS):
        gone = rng.uniform(size=len(frame)) < 0.08
        whole[column] = whole[column].mask(gone)
        whole["made"] = whole["made"].mask(gone)
    return whole, UP_TO_A_LINE[name][1]


@pytest.mark.parametrize("name", UP_TO_A_LINE)
def test_columns_that_were_made_up_to_a_line_are_seen(name: str) -> None:
    frame, _ = scored(name)
    imp = drawn(frame)
    _, said = diagnosed(fitted("y ~ made + (1 | g)", imp))
    (text,) = [x for x in said if "looks like" in x]
    assert text.startswith("made ")
    assert re.search(UP_TO_A_LINE[name][0], text)
    # The remedy, as the text spells it, gives back what was observed and silences the advice.
    code = re.search(r"imp\.assign\(.*?\)`", text)
    assert code
    recomputed = eval(code[0].rstrip("`"), {"imp": imp, "np": np})
    known = frame["made"].notna()
    # A constant and a factor are written with ten digits; "rounded" was rounded to hundredths.
    atol = 0.006 if name == "rounded" else 1e-7
    np.testing.assert_allclose(
        recomputed[1].loc[known, "made"], frame.loc[known, "made"], rtol=1e-7, atol=atol
    )
    _, said = diagnosed(fitted("y ~ made + (1 | g)", recomputed))
    assert not any("looks like" in x for x in said)


def test_an_item_does_not_come_from_the_score_nor_x_from_its_centred_copy() -> None:
    for name, formula in (("sum", "y ~ i1 + i2 + (1 | g)"), ("centred", "y ~ x + (1 | g)")):
        _, said = diagnosed(fitted(formula, drawn(scored(name)[0])))
        assert not any("looks like" in x for x in said), name


def test_ordinary_columns_are_no_recipes(fits: rb.MerModList) -> None:
    found, _ = diagnosed(fits)
    assert not any("looks like" in x or "level column" in x for x in found.advice)


def test_the_vignettes_recipe_is_commented(fits_hsb: rb.MerModList) -> None:
    _, said = diagnosed(fits_hsb)
    assert [x.split(":")[0].split(",")[0] for x in said] == [
        "random slopes of ses over schid",
        "meanses looks like the schid mean of ses",
    ]


@pytest.fixture(scope="module")
def fits_hsb(imp: rb.ImputedData) -> rb.MerModList:
    return fitted("mathach ~ minority + female + ses + meanses + (1 + ses | schid)", imp)


# --- listwise beside pooled ------------------------------------------------------------------


def test_compare_estimates(fits: rb.MerModList, data: rb.ImputedData) -> None:
    alone = rb.Lmer("y ~ x1 + x2 + f + (1 | g)").fit(data.original)
    table = rb.compare_estimates(alone, fits, conf_level=0.9)
    assert list(table.columns) == list(TABLES["compare_estimates"])
    pooled = fits.pool(conf_level=0.9).fixed
    assert table["term"].tolist() == pooled["term"].tolist()
    for name in ("estimate", "std_error", "conf_low", "conf_high"):
        assert table[f"pooled_{name}"].tolist() == pooled[name].tolist()
    assert table["fmi"].tolist() == pooled["fmi"].tolist()
    assert table["listwise_estimate"].tolist() == alone.beta.tolist()
    se = np.sqrt(np.diag(alone.vcov()))
    np.testing.assert_allclose(table["listwise_std_error"], se, rtol=1e-15)
    single = pooling.pool_scalars(
        [alone.beta.to_numpy()], [se**2], dfcom=alone.df_residual, conf_level=0.9
    )
    np.testing.assert_allclose(table["listwise_conf_low"], single.conf_low, rtol=1e-12)
    np.testing.assert_allclose(table["listwise_conf_high"], single.conf_high, rtol=1e-12)
    assert set(table["listwise_nobs"]) == {alone.nobs} == {len(data.original.dropna())}
    assert set(table["pooled_nobs"]) == {192}
    difference = pooled["estimate"].to_numpy() - alone.beta.to_numpy()
    np.testing.assert_allclose(table["difference"], difference, rtol=1e-12)
    np.testing.assert_allclose(table["se_ratio"], pooled["std_error"] / se, rtol=1e-12)


def test_compare_estimates_refuses(fits: rb.MerModList, data: rb.ImputedData) -> None:
    other = rb.Lmer("y ~ x1 + (1 | g)").fit(data.original)
    with pytest.raises(rb.ArgumentError, match="differ in fb, fc, x2"):
        rb.compare_estimates(other, fits)
    with pytest.raises(rb.ArgumentError, match="MerModList"):
        rb.compare_estimates(fits, fits)  # type: ignore[arg-type]
