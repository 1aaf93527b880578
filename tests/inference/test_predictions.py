"""Pooled predictions against lme4's and against dense algebra; marginal means against emmeans'."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import pooling
from rbridge_mi.base.glossary import TABLES
from rbridge_mi.testing import run_r
from tests.inference.inference_data import complete, fitted, imputed

pytestmark = [pytest.mark.r, pytest.mark.slow]

FORMULA = "y ~ x1 + x2 + f + (1 + x1 | g) + (1 | h)"


@pytest.fixture(scope="module")
def data() -> rb.ImputedData:
    return imputed(m=4, prop=0.15)


@pytest.fixture(scope="module")
def fits(data: rb.ImputedData) -> rb.MerModList:
    return fitted(FORMULA, data)


@pytest.fixture(scope="module")
def newdata(data: rb.ImputedData) -> pd.DataFrame:
    frame = data[0].iloc[[3, 40, 41, 77, 150]].copy()
    frame.index = pd.Index(["a", "b", "c", "d", "e"])
    return frame.assign(x1=[0.0, 1.5, -2.0, 0.3, 4.0])


def dense(
    fit: rb.MerMod, frame: pd.DataFrame, rows: pd.DataFrame, parts: tuple[str, ...]
) -> np.ndarray:
    """Variances by inverting Henderson's equations whole; `parts` of the random part included."""
    tables = dict(iter(fit.varcorr().groupby("grp", sort=False)))
    v = tables["g"]["vcov"].to_numpy()
    g_cov, h_var = np.array([[v[0], v[2]], [v[2], v[1]]]), float(tables["h"]["vcov"].iloc[0])
    groups, items = sorted(frame["g"].unique()), sorted(frame["h"].unique())

    def design(d: pd.DataFrame, parts: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        x = np.column_stack([np.ones(len(d)), d["x1"], d["x2"], d["f"] == "b", d["f"] == "c"])
        z = np.zeros((len(d), 2 * len(groups) + len(items)))
        for i, (g, h, x1) in enumerate(zip(d["g"], d["h"], d["x1"], strict=True)):
            if g in groups:
                z[i, 2 * groups.index(g)] = "g" in parts
                z[i, 2 * groups.index(g) + 1] = x1 * ("slope" in parts)
            if h in items:
                z[i, 2 * len(groups) + items.index(h)] = "h" in parts
        return x.astype(float), z

    x, z = design(frame, ("g", "slope", "h"))
    cov = np.zeros((z.shape[1], z.shape[1]))
    for i in range(len(groups)):
        cov[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = g_cov
    cov[2 * len(groups) :, 2 * len(groups) :] = h_var * np.eye(len(items))
    s2 = fit.sigma**2
    w = np.column_stack([x, z])
    equations = w.T @ w / s2
    equations[x.shape[1] :, x.shape[1] :] += np.linalg.inv(cov)
    new = np.column_stack(design(rows, parts))
    return np.einsum("ij,jk,ik->i", new, np.linalg.inv(equations), new)


def left_out(fit: rb.MerMod, rows: pd.DataFrame, parts: tuple[str, ...]) -> np.ndarray:
    """Variance of the random effects that aren't included."""
    tables = dict(iter(fit.varcorr().groupby("grp", sort=False)))
    v = tables["g"]["vcov"].to_numpy()
    total = np.zeros(len(rows))
    if "h" not in parts:
        total += float(tables["h"]["vcov"].iloc[0])
    x1 = rows["x1"].to_numpy()
    if "g" not in parts and "slope" not in parts:
        total += v[0] + 2 * x1 * v[2] + x1**2 * v[1]
    elif "slope" not in parts:
        total += x1**2 * v[1]
    return total


FORMS: dict[str | None, tuple[str, ...]] = {
    None: ("g", "slope", "h"),
    "NA": (),
    "~0": (),
    "~(1 + x1 | g)": ("g", "slope"),
    "~(1 | h)": ("h",),
    "~(1 | g) + (1 | h)": ("g", "h"),
}


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_predictions(
    fits: rb.MerModList, data: rb.ImputedData, newdata: pd.DataFrame, form: str | None
) -> None:
    assert not any(x.is_singular for x in fits)  # the dense algebra inverts their covariances
    parts = FORMS[form]
    q = np.array([x.predict(newdata, re_form=form) for x in fits])
    u = np.array([dense(x, d, newdata, parts) for x, d in zip(fits, data, strict=True)])
    df = float(fits[0].df_residual)
    # A dense inverse against lme4's sparse factors.
    pooled = pooling.pool_scalars(q, u, dfcom=df, conf_level=0.9)
    plain = fits.predict(newdata, re_form=form)
    assert list(plain.columns) == list(TABLES["predict"])
    assert plain.index.equals(newdata.index)
    np.testing.assert_allclose(plain["estimate"], pooled.estimate, rtol=1e-12)
    np.testing.assert_allclose(plain["std_error"], pooled.std_error, rtol=1e-8)
    table = fits.predict(newdata, re_form=form, interval="confidence", conf_level=0.9)
    assert list(table.columns) == list(TABLES["predict_confidence"])
    for name in ("estimate", "std_error", "df", "conf_low", "conf_high"):
        np.testing.assert_allclose(table[name], getattr(pooled, name), rtol=1e-8)
    # A new observation: sigma squared, and what the prediction leaves out.
    more = np.array([x.sigma**2 + left_out(x, newdata, parts) for x in fits])
    wide = pooling.pool_scalars(q, u + more, dfcom=df, conf_level=0.9)
    table = fits.predict(newdata, re_form=form, interval="prediction", conf_level=0.9)
    assert list(table.columns) == list(TABLES["predict_prediction"])
    for name, own in (
        ("std_error", "std_error"),
        ("pred_low", "conf_low"),
        ("pred_high", "conf_high"),
    ):
        np.testing.assert_allclose(table[name], getattr(wide, own), rtol=1e-8)


def test_fixed_part_is_the_pooled_vcovs(fits: rb.MerModList, newdata: pd.DataFrame) -> None:
    pooled = fits.pool()
    table = fits.predict(newdata, re_form="NA")
    x = np.column_stack(
        [np.ones(5), newdata["x1"], newdata["x2"], newdata["f"] == "b", newdata["f"] == "c"]
    ).astype(float)
    np.testing.assert_allclose(table["estimate"], x @ pooled.fixed["estimate"], rtol=1e-11)
    expected = np.sqrt(np.einsum("ij,jk,ik->i", x, pooled.vcov.to_numpy(), x))
    np.testing.assert_allclose(table["std_error"], expected, rtol=1e-10)


def test_own_rows(fits: rb.MerModList) -> None:
    table = fits.predict()
    np.testing.assert_allclose(table["estimate"], fits.fitted(), rtol=0, atol=1e-13)
    assert table.index.equals(fits[0].index)
    assert (table["std_error"] > 0).all()


def test_new_levels(fits: rb.MerModList, newdata: pd.DataFrame) -> None:
    rows = newdata.assign(g=["new", *newdata["g"][1:]])
    with pytest.raises(rb.RCallError, match=r"new levels of g: new.*allow_new_levels"):
        fits.predict(rows)
    # Where the group isn't asked for, its level doesn't matter, nor whether there is a column.
    assert fits.predict(rows, re_form="~(1 | h)").equals(fits.predict(newdata, re_form="~(1 | h)"))
    without = rows.drop(columns="g")
    assert fits.predict(without, re_form="~(1 | h)").equals(
        fits.predict(newdata, re_form="~(1 | h)")
    )
    table = fits.predict(rows, allow_new_levels=True)
    known = fits.predict(newdata)
    assert table.iloc[1:].equals(known.iloc[1:])
    q = np.array([x.predict(rows, allow_new_levels=True).iloc[0] for x in fits])
    assert table["estimate"].iloc[0] == pytest.approx(q.mean(), rel=1e-12)
    # x1 is 0 there: the new group's own variance is the intercept's, beside what is known of h.
    only_h = fits.predict(rows, re_form="~(1 | h)").iloc[0]
    own = np.mean([x.varcorr()["vcov"].iloc[0] for x in fits])
    b = (1 + 1 / 4) * q.var(ddof=1)
    h_within = only_h["std_error"] ** 2 - b
    assert table["std_error"].iloc[0] == pytest.approx(math.sqrt(h_within + own + b), rel=1e-6)


def test_bases_and_factors_are_those_of_the_fit(data: rb.ImputedData) -> None:
    """poly, scale and factors with absent levels: new rows use the fit's own columns."""
    fits = fitted("y ~ poly(x1, 2) * f + scale(x2) + (f | h)", data)
    rows = data[0].iloc[[0, 5]].assign(f=pd.Categorical(["b", "b"]))
    table = fits.predict(rows, interval="confidence")
    q = np.array([x.predict(rows) for x in fits])
    np.testing.assert_allclose(table["estimate"], q.mean(axis=0), rtol=1e-10)
    assert (table["std_error"] > 0).all()


def test_missing_covariates_give_missing_predictions(
    fits: rb.MerModList, newdata: pd.DataFrame
) -> None:
    rows = newdata.assign(x2=[np.nan, 0.0, 1.0, 2.0, 3.0])
    table = fits.predict(rows, interval="prediction")
    assert table.iloc[0].isna().all()
    assert table.iloc[1:].notna().all(axis=None)


def test_identical_data_sets_give_the_single_fits_variance(data: rb.ImputedData) -> None:
    same = fitted(FORMULA, rb.ImputedData.from_frames([data[0]] * 2))
    rows = data[0].head(6)
    table = same.predict(rows)
    np.testing.assert_allclose(
        table["std_error"] ** 2, dense(same[0], data[0], rows, FORMS[None]), rtol=1e-8
    )


def test_bootstrap_predictions_are_spread(newdata: pd.DataFrame) -> None:
    boot = rb.BootstrapImputer(m=5).impute(complete(), seed=3)
    fits = fitted("y ~ x1 + (1 | g)", boot)
    rows = newdata[["x1", "g"]]
    q = np.array([x.predict(rows) for x in fits])
    table = fits.predict(rows, interval="confidence")
    np.testing.assert_allclose(table["std_error"], q.std(axis=0, ddof=1), rtol=1e-10)
    wide = fits.predict(rows, interval="prediction")
    extra = np.mean([x.sigma**2 for x in fits])
    np.testing.assert_allclose(wide["std_error"] ** 2, q.var(axis=0, ddof=1) + extra, rtol=1e-10)
    with pytest.raises(rb.ArgumentError, match="newdata"):
        fits.predict()


def test_refused(fits: rb.MerModList, newdata: pd.DataFrame) -> None:
    with pytest.raises(rb.ArgumentError, match="'confidence', 'prediction'"):
        fits.predict(newdata, interval="tolerance")  # type: ignore[arg-type]
    with pytest.raises(rb.ArgumentError, match="conf_level"):
        fits.predict(newdata, conf_level=95)
    with pytest.raises(rb.ArgumentError, match="DataFrame"):
        fits.predict([1, 2])
    with pytest.raises(rb.ArgumentError, match=r"of the fixed part alone: give re_form='NA'"):
        fits.predict(newdata, dfcom="kenward-roger")
    with pytest.raises(rb.ArgumentError, match="dfcom must be"):
        fits.predict(newdata, dfcom="welch")
    with pytest.raises(rb.RCallError, match="x9"):
        fits.predict(newdata, re_form="~(x9 | g)")
    with pytest.raises(rb.RCallError, match=r"re_form names f \(Intercept\), which the model has"):
        fits.predict(newdata, re_form="~(1 | f)")


# --- emmeans ------------------------------------------------------------------------------------

R = """
suppressMessages({library(lme4); library(emmeans)})
emm_options(lmer.df = "asymptotic")
ask <- function(...) lapply(frames, function(d) {
  fit <- lmer(y ~ x1 + x2 + f + (1 + x1 | g) + (1 | h), d)
  grid <- emmeans(fit, ...)
  pairs <- summary(contrast(grid, method = "pairwise"), adjust = "none")
  means <- summary(grid)
  list(mean = means$emmean, se = means$SE, difference = pairs$estimate, pair_se = pairs$SE,
       contrast = as.character(pairs$contrast))
})
plain <- ask("f")
at <- ask("f", at = list(x1 = 2))
"""


def test_marginal_means(fits: rb.MerModList, data: rb.ImputedData) -> None:
    found = run_r(R, frames=list(data))
    pooled = fits.pool(conf_level=0.9)
    df = float(fits[0].df_residual)
    for name, at in (("plain", None), ("at", {"x1": 2})):
        q = np.array([x["mean"] for x in found[name]])
        u = np.array([x["se"] for x in found[name]]) ** 2
        expected = pooling.pool_scalars(q, u, dfcom=df, conf_level=0.9)
        table = pooled.emmeans("f", at=at)
        assert list(table.columns) == ["f", *pooling.COLUMNS]
        assert table["f"].tolist() == ["a", "b", "c"]
        for column in pooling.COLUMNS:
            # b, and what follows from it, subtracts the fits' means: their last digits count.
            np.testing.assert_allclose(table[column], getattr(expected, column), rtol=1e-6)
        q = np.array([x["difference"] for x in found[name]])
        u = np.array([x["pair_se"] for x in found[name]]) ** 2
        expected = pooling.pool_scalars(q, u, dfcom=df, conf_level=0.9)
        table = pooled.emmeans("f", contrast="pairwise", at=at, adjust="none")
        assert list(table.columns) == ["contrast", *pooling.COLUMNS]
        assert table["contrast"].tolist() == list(found[name][0]["contrast"])
        for column in pooling.COLUMNS:
            np.testing.assert_allclose(table[column], getattr(expected, column), rtol=1e-6)


def test_marginal_means_are_contrasts_of_the_coefficients(fits: rb.MerModList) -> None:
    pooled = fits.pool()
    by_emmeans = pooled.emmeans("f", contrast="trt.vs.ctrl", adjust="none")
    by_text = pooled.contrast(["fb", "fc"])
    for column in pooling.COLUMNS:
        np.testing.assert_allclose(by_emmeans[column], by_text[column], rtol=1e-9)
    grid = pooled.emmeans(["f", "x1"], at={"x1": [0, 1], "x2": 0})
    assert grid[["f", "x1"]].drop_duplicates().shape == (6, 2)
    slope = grid.set_index(["f", "x1"])["estimate"]
    assert slope["a", 1] - slope["a", 0] == pytest.approx(pooled.fixed["estimate"][1], rel=1e-9)


def test_marginal_means_with_small_sample_df(fits: rb.MerModList) -> None:
    small = fits.pool("satterthwaite")
    table = small.emmeans("f", contrast="pairwise", at={"x1": 0})
    alone = small.contrast(["fb", "fc"])
    np.testing.assert_allclose(table["df"][:2], alone["df"], rtol=1e-6)
    assert (table["df"] < fits.pool().emmeans("f", contrast="pairwise")["df"]).all()


def test_marginal_means_refuse(fits: rb.MerModList) -> None:
    pooled = fits.pool()
    with pytest.raises(rb.RCallError, match="No variable named"):
        pooled.emmeans("nothing")
    with pytest.raises(rb.ArgumentError, match="specs"):
        pooled.emmeans(3)  # type: ignore[arg-type]
    with pytest.raises(rb.ArgumentError, match="pairwise"):
        pooled.emmeans("f", contrast=["pairwise"])  # type: ignore[arg-type]
