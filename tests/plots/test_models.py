"""Plots of fits and pooled models: frames against the tables and R, marks against the frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.mertools import fe_sim, re_sim
from rbridge_mi.testing import run_r
from tests.inference.inference_data import fitted
from tests.plots.conftest import FORMULA

pytestmark = pytest.mark.r


def segments(collection: Any) -> list[list[float]]:
    return [[x[0][0], x[1][0]] for x in collection.get_segments()]


# -- random effects -----------------------------------------------------------------------------


def test_ranef_splits_the_total_variance(small_pooled: rb.PooledMerMod) -> None:
    frame = rb.plot.data.ranef(small_pooled)
    table = small_pooled.ranef_intervals().set_index(["term", "grp"])
    fits = [x.ranef().set_index(["term", "grp"]) for x in small_pooled.fits]
    z = rdoor.call("stats::qnorm", 0.975).value[0]
    for row in frame.itertuples():
        key = (row.term, row.grp)
        assert (row.condval, row.condsd) == tuple(table.loc[key, ["condval", "condsd"]])
        assert (row.conf_low, row.conf_high) == tuple(table.loc[key, ["conf_low", "conf_high"]])
        values = [x.loc[key, "condval"] for x in fits]
        # Sums of five in another order.
        within = np.mean([x.loc[key, "condsd"] ** 2 for x in fits])
        assert row.ubar == pytest.approx(within, rel=1e-13)
        assert row.b == pytest.approx(np.var(values, ddof=1), rel=1e-10)
        assert row.ubar + 1.2 * row.b == pytest.approx(row.condsd**2, rel=1e-12)
        assert row.lambda_ == pytest.approx(1.2 * row.b / row.condsd**2, rel=1e-12)
        assert row.within_high - row.condval == pytest.approx(z * within**0.5, rel=1e-12)
        assert row.condval - row.within_low == pytest.approx(z * within**0.5, rel=1e-12)
    assert frame.groupby("term")["condval"].apply(lambda x: x.is_monotonic_increasing).all()


def test_caterpillar_has_outer_and_inner_bars(small_pooled: rb.PooledMerMod) -> None:
    frame = rb.plot.data.ranef(small_pooled)
    figure = small_pooled.plot.ranef()
    panels = figure.axes[:2]
    assert [x.get_title(loc="left") for x in panels] == ["g: (Intercept)", "g: x1"]
    for ax, term in zip(panels, ["(Intercept)", "x1"], strict=True):
        rows = frame[frame["term"] == term]
        outer, inner = ax.collections
        assert segments(outer) == rows[["conf_low", "conf_high"]].to_numpy().tolist()
        assert segments(inner) == rows[["within_low", "within_high"]].to_numpy().tolist()
        assert inner.get_array().tolist() == rows["lambda_"].tolist()
        assert inner.get_clim() == (0, frame["lambda_"].max())
        assert ax.lines[0].get_xdata().tolist() == rows["condval"].tolist()
        assert [x.get_text() for x in ax.get_yticklabels()] == rows["grp"].tolist()
    assert figure.axes[2].get_ylabel() == "share of the variance due to missing data"


def test_ranef_of_one_fit_and_of_bootstrap_samples(
    small_fit: rb.MerMod, small_imp: rb.ImputedData
) -> None:
    frame = rb.plot.data.ranef(small_fit, terms="x1", conf_level=0.8)
    assert set(frame["term"]) == {"x1"}
    assert frame[["ubar", "b", "lambda_", "within_low"]].isna().all(axis=None)
    z = rdoor.call("stats::qnorm", 0.9).value[0]
    np.testing.assert_allclose(
        frame["conf_high"] - frame["condval"], z * frame["condsd"], rtol=1e-12
    )
    ax = small_fit.plot.ranef(terms="x1", conf_level=0.8)
    assert len(ax.collections) == 1
    assert ax.get_xlabel() == "random effect and 80% interval"
    samples = rb.BootstrapImputer(m=3, cluster="g").impute(small_imp.original, seed=1)
    pooled = fitted("y ~ x1 + (1 | g)", samples).pool()
    assert rb.plot.data.ranef(pooled)["ubar"].isna().all()
    for name in ("variance", "fmi"):
        with pytest.raises(rb.ArgumentError, match="bootstrap samples don't have them"):
            getattr(pooled.plot, name)()


def test_unknown_terms_and_groups_are_named(small_fit: rb.MerMod) -> None:
    with pytest.raises(rb.ArgumentError, match=r"'X1' \(did you mean 'x1'\?\).*\(Intercept\), x1"):
        small_fit.plot.ranef(terms="X1")
    with pytest.raises(rb.ArgumentError, match="group names 'h', which the random effects do not"):
        small_fit.plot.ranef(group="h")
    with pytest.raises(rb.ArgumentError, match="conf_level must be"):
        small_fit.plot.ranef(conf_level=95)


def test_many_levels_have_every_kth_name_or_none(fit: rb.MerMod) -> None:
    ax = fit.plot.ranef(terms="ses")
    assert len(ax.get_yticks()) == 40
    names = rb.plot.data.ranef(fit, terms="ses")["grp"].tolist()
    assert [x.get_text() for x in ax.get_yticklabels()] == names[::4]


def test_simulated_effects_are_mertools(small_fit: rb.MerMod, small_fits: rb.MerModList) -> None:
    frame = rb.plot.data.re_sim(small_fit, 50, 3, conf_level=0.9)
    table = re_sim(small_fit, 50, seed=3).set_index(["term", "grp"])
    z = rdoor.call("stats::qnorm", 0.95).value[0]
    for row in frame.itertuples():
        mean, median, sd = table.loc[(row.term, row.grp), ["mean", "median", "sd"]]
        assert (row.mean, row.median, row.sd) == (mean, median, sd)
        assert row.conf_high == pytest.approx(median + z * sd, rel=1e-12)
    panels = small_fit.plot.re_sim(50, 3, conf_level=0.9).axes
    rows = frame[frame["term"] == "x1"]
    assert segments(panels[1].collections[0]) == rows[["conf_low", "conf_high"]].values.tolist()
    assert panels[1].lines[0].get_xdata().tolist() == rows["median"].tolist()
    fixed = rb.plot.data.fe_sim(small_fits, 50, 3)
    expected = fe_sim(small_fits, 50, seed=3).iloc[1:].reset_index(drop=True)
    pd.testing.assert_frame_equal(fixed[["term", "mean", "median", "sd"]], expected)
    ax = small_fits.plot.fe_sim(50, 3)
    assert segments(ax.collections[0]) == fixed[["conf_low", "conf_high"]].values.tolist()


# -- what missing data cost ---------------------------------------------------------------------


def test_variance_shows_the_two_parts(small_pooled: rb.PooledMerMod) -> None:
    frame = rb.plot.data.variance(small_pooled)
    pd.testing.assert_frame_equal(frame, small_pooled.fixed[list(frame.columns)])
    ax = small_pooled.plot.variance()
    widths = [x.get_width() for x in ax.patches]
    p = len(frame)
    within, between = np.array(widths[:p]), np.array(widths[p:])
    # Percentages of the total: ubar / t and (1 + 1/m) b / t, by Rubin (1987), eq. 3.1.5.
    np.testing.assert_allclose(within, 100 * frame["ubar"] / frame["t"], rtol=1e-12)
    np.testing.assert_allclose(between, 120 * frame["b"] / frame["t"], rtol=1e-12)
    texts = [x.get_text() for x in ax.texts]
    last = frame.iloc[-1]
    assert f"{last['ubar'] ** 0.5:.3g} → {last['std_error']:.3g}" in texts


@pytest.mark.filterwarnings("ignore::rbridge_mi.RBridgeWarning")
def test_fmi_shows_the_imputations_needed(small_pooled: rb.PooledMerMod) -> None:
    frame = rb.plot.data.fmi(small_pooled, "x2")
    expected = small_pooled.diagnostics().coefficients.query("term == 'x2'").reset_index(drop=True)
    pd.testing.assert_frame_equal(frame, expected)
    ax = small_pooled.plot.fmi()
    table = rb.plot.data.fmi(small_pooled)
    assert segments(ax.collections[0]) == table[["fmi_low", "fmi_high"]].values.tolist()
    assert ax.lines[0].get_xdata().tolist() == table["fmi"].tolist()
    for text, needed in zip(ax.texts, table["m_needed"], strict=False):
        assert text.get_text() == str(needed)
        assert text.get_fontweight() == ("bold" if needed > 5 else "normal")


# -- predictions ---------------------------------------------------------------------------------


def test_predictions_are_those_of_predict(small_fits: rb.MerModList) -> None:
    frame = rb.plot.data.predictions(small_fits, "x1", "f", points=7)
    data = pd.concat(list(small_fits.data))
    newdata = frame[["x1", "f"]].assign(x2=data["x2"].mean())
    newdata["f"] = newdata["f"].astype(data["f"].dtype)
    expected = small_fits.predict(newdata, re_form="NA", interval="confidence")
    columns = list(expected.columns)
    # The mean over rows and imputations may be added in another order.
    np.testing.assert_allclose(frame[columns], expected, rtol=1e-12)
    assert frame["x1"].iloc[[0, -1]].tolist() == [data["x1"].min(), data["x1"].max()]
    assert frame.attrs["note"] == f"x2 = {data['x2'].mean():.3f}".rstrip("0")
    ax = small_fits.plot.predictions("x1", "f", points=7)
    assert [x.get_text() for x in ax.get_legend().get_texts()] == ["f = a", "f = b", "f = c"]
    for line, band, level in zip(ax.lines, ax.collections, "abc", strict=True):
        rows = frame[frame["f"] == level]
        assert line.get_ydata().tolist() == rows["estimate"].tolist()
        corners = band.get_paths()[0].vertices
        assert set(rows["conf_low"]) | set(rows["conf_high"]) == set(corners[:, 1])


def test_the_pooled_models_own_degrees_of_freedom_are_used(
    small_pooled: rb.PooledMerMod, small_fits: rb.MerModList
) -> None:
    ours = rb.plot.data.predictions(small_pooled, "f")
    newdata = (
        ours[["f"]]
        .astype(small_fits.data[0]["f"].dtype)
        .assign(**{x: pd.concat(list(small_fits.data))[x].mean() for x in ("x1", "x2")})
    )
    theirs = small_fits.predict(newdata, re_form="NA", interval="confidence", dfcom="satterthwaite")
    np.testing.assert_allclose(ours["df"], theirs["df"], rtol=1e-8)  # of means that were rounded
    ax = small_pooled.plot.predictions("f")
    bars = [[x[0][1], x[1][1]] for x in ax.collections[0].get_segments()]
    assert bars == ours[["conf_low", "conf_high"]].values.tolist()
    assert [x.get_text() for x in ax.get_xticklabels()] == ["a", "b", "c"]


def test_generalised_predictions_are_probabilities(binary_fits: rb.MerModList) -> None:
    frame = rb.plot.data.predictions(binary_fits, "x1", at={"f": "b"}, points=5)
    newdata = frame[["x1"]].assign(f=pd.Categorical(["b"] * 5, ["a", "b", "c"]))
    expected = binary_fits.predict(newdata, "NA", "confidence", type="response")
    assert frame["estimate"].tolist() == expected["estimate"].tolist()
    assert frame["conf_low"].between(0, 1).all()
    assert binary_fits.plot.predictions("x1").get_ylabel() == "probability of event"
    link = rb.plot.data.predictions(binary_fits, "x1", at={"f": "b"}, points=5, type="link")
    np.testing.assert_allclose(frame["estimate"], 1 / (1 + np.exp(-link["estimate"])), rtol=1e-12)


def test_numbers_as_second_variable_and_chosen_values(small_fit: rb.MerMod) -> None:
    frame = rb.plot.data.predictions(small_fit, "x1", "x2", points=2)
    data = small_fit.r.call("fixed_columns").value
    mean, sd = data["x2"].mean(), data["x2"].std()
    assert frame["x2"].unique().tolist() == [mean - sd, mean, mean + sd]
    chosen = rb.plot.data.predictions(small_fit, "x1", at={"x1": [0, 1], "x2": 0.5})
    assert chosen["x1"].tolist() == [0.0, 1.0]
    assert chosen.attrs["note"] == "x2 = 0.5, f = " + data["f"].value_counts().idxmax()


def test_columns_named_like_the_tables_own(small_imp: rb.ImputedData) -> None:
    renamed = small_imp.transform(lambda d: d.rename(columns={"x1": "estimate", "f": "df"}))
    fits = fitted("y ~ estimate + df + (1 | g)", renamed)
    frame = rb.plot.data.predictions(fits, "estimate", "df", points=3)
    assert list(frame.columns[:5]) == ["estimate", "df", "estimate_", "std_error", "df_"]
    ax = fits.plot.predictions("estimate", "df", points=3)
    assert ax.lines[1].get_ydata().tolist() == frame["estimate_"].iloc[[1, 4, 7]].tolist()


def test_what_can_not_be_predicted_is_named(small_fit: rb.MerMod) -> None:
    for arguments, match in (
        (("X1",), r"'X1' \(did you mean 'x1'\?\) is no column of the fixed part"),
        (("g",), "'g' is no column of the fixed part; its columns are 'x1', 'x2', 'f'"),
        (("x1", "x1"), "by must be another column"),
    ):
        with pytest.raises(rb.ArgumentError, match=match):
            small_fit.plot.predictions(*arguments)
    for at, match in (
        ({"f": "z"}, "'z' is none of its categories, 'a', 'b', 'c'"),
        ({"x2": "a"}, "must be numbers, not 'a'"),
        ({"x2": [1, 2]}, "takes one value"),
        ({"x1": []}, "is empty"),
        ({"q": 1}, "'q' is no column"),
    ):
        with pytest.raises(rb.ArgumentError, match=match):
            small_fit.plot.predictions("x1", at=at)
    with pytest.raises(rb.ArgumentError, match=r"type must be one of .*, not 'probs'"):
        small_fit.plot.predictions("x1", type="probs")
    with pytest.raises(rb.ArgumentError, match="6 lines can be told apart"):
        small_fit.plot.predictions("x1", "x2", at={"x2": list(range(9))})


# -- checks --------------------------------------------------------------------------------------


def rows_of(frame: pd.DataFrame, panel: str, series: str = "residuals") -> pd.DataFrame:
    return frame[(frame["panel"] == panel) & (frame["series"] == series)].reset_index(drop=True)


def test_checks_of_a_linear_model_are_rs_numbers(small_fit: rb.MerMod) -> None:
    frame = rb.plot.data.check_model(small_fit, nsim=20, seed=5)
    residuals = rows_of(frame, "residuals")
    assert residuals["x"].tolist() == small_fit.fitted().tolist()
    # response - mu, where R has it from the weighted residual: other roundings.
    np.testing.assert_allclose(residuals["y"], small_fit.residuals(), atol=1e-13)
    normal = rows_of(frame, "normal_residuals")
    scaled = small_fit.r.call("stats::residuals", type="pearson", scaled=True).value
    plain: dict[str, Any] = {"plot.it": False}
    theirs = rdoor.call("stats::qqnorm", np.asarray(scaled).tolist(), **plain).value
    np.testing.assert_allclose(normal["x"], np.sort(theirs["x"]), rtol=1e-12, atol=1e-15)
    assert normal["y"].tolist() == np.sort(scaled).tolist()
    root = rows_of(frame, "scale_location")
    assert root["y"].tolist() == np.sqrt(np.abs(scaled)).tolist()
    trend = rows_of(frame, "residuals", "trend")
    order = residuals.sort_values("x", ignore_index=True)
    count = len(trend)
    classes = np.arange(len(order)) * count // len(order)
    np.testing.assert_allclose(trend["y"], order["y"].groupby(classes).mean(), atol=1e-13)
    effects = rows_of(frame, "random_effects", "g: x1")
    modes = small_fit.ranef().query("term == 'x1'")["condval"]
    np.testing.assert_allclose(effects["y"], np.sort(modes) / modes.std(), rtol=1e-12)


def test_simulated_responses_are_those_of_simulate(
    small_fit: rb.MerMod, binary_fits: rb.MerModList
) -> None:
    draws = np.asarray(small_fit.r.call("simulated_numbers", 3, 7).value)
    assert draws.tolist() == small_fit.simulate(3, seed=7).to_numpy().tolist()
    frame = rb.plot.data.check_model(binary_fits, nsim=20, seed=7)
    simulated = binary_fits[0].simulate(20, seed=7)
    rows = frame[(frame["panel"] == "posterior_predictive") & (frame["replicate"] > 0)]
    assert rows[rows["x"] == 1]["y"].tolist() == pytest.approx(simulated.mean().tolist(), abs=1e-12)
    observed = rows_of(frame, "posterior_predictive", "observed")
    event = binary_fits.data[0]["event"]
    assert observed["y"].tolist() == pytest.approx([1 - event.mean(), event.mean()], abs=1e-12)


def test_factors_and_successes_are_simulated_as_numbers(small_imp: rb.ImputedData) -> None:
    data = small_imp[0].assign(n=4)
    data["event"] = pd.Categorical(np.where(data["y"] > 1, "yes", "no"))
    rng = np.random.default_rng(1)
    data["k"] = rng.binomial(4, 0.4, len(data))
    data["rest"] = 4 - data["k"]
    for formula in ("event ~ x1 + (1 | g)", "cbind(k, rest) ~ x1 + (1 | h)"):
        fit = rb.Glmer(formula).fit(data)
        draws = np.asarray(fit.r.call("simulated_numbers", 2, 7).value)
        theirs = run_r(
            f"fit <- lme4::glmer({formula}, d, binomial)\n"
            "set.seed(7)\n"
            "s <- sapply(simulate(fit, 2), function(x) {\n"
            "  if (is.factor(x)) (x == 'yes') + 0 else x[, 1] / rowSums(x)\n"
            "})",
            d=data,
        )["s"]
        assert draws.tolist() == np.asarray(theirs).tolist()
        assert draws.shape == (len(data), 2)
        assert set(np.unique(draws)) <= {0.0, 0.25, 0.5, 0.75, 1.0}


def test_checks_of_a_binary_model(binary_fits: rb.MerModList) -> None:
    frame = rb.plot.data.check_model(binary_fits, nsim=50, seed=2)
    assert list(dict.fromkeys(frame["panel"])) == [
        "binned_residuals", "uniform_residuals", "residuals_by_rank", "random_effects",
        "posterior_predictive",
    ]  # fmt: skip
    fit = binary_fits[0]
    event, mean = binary_fits.data[0]["event"], fit.fitted()
    binned = rows_of(frame, "binned_residuals")
    order = mean.to_numpy().argsort(kind="stable")
    classes = np.empty(len(order), int)
    classes[order] = np.arange(len(order)) * len(binned) // len(order)
    residual = (event - mean).groupby(classes)
    np.testing.assert_allclose(binned["y"], residual.mean(), atol=1e-13)
    limit = rows_of(frame, "binned_residuals", "limit")
    np.testing.assert_allclose(limit["y"], 2 * residual.sem(), rtol=1e-10)
    uniform = rows_of(frame, "uniform_residuals")
    assert uniform["y"].between(0, 1).all()


def testquantile_residuals_of_the_true_model_are_uniform() -> None:
    from scipy.stats import kstest

    from rbridge_mi.plots.checks import quantile_residuals

    rng = np.random.default_rng(3)
    response, draws = rng.poisson(2.0, 4000).astype(float), rng.poisson(2.0, (4000, 200))
    residuals = quantile_residuals(response, draws.astype(float), rng)
    assert kstest(residuals, "uniform").pvalue > 0.01


def test_marks_of_checks_are_where_the_frame_says(small_fits: rb.MerModList) -> None:
    frame = rb.plot.data.check_model(small_fits, nsim=10, seed=1, imputation=2)
    figure = small_fits.plot.check_model(nsim=10, seed=1, imputation=2)
    assert len(figure.axes) == 5
    points, trend, _ = figure.axes[0].lines
    for line, series in ((points, "residuals"), (trend, "trend")):
        rows = rows_of(frame, "residuals", series)
        assert line.get_xdata().tolist() == rows["x"].tolist()
        assert line.get_ydata().tolist() == rows["y"].tolist()
    curves = figure.axes[4].lines
    assert len(curves) == 11
    observed = rows_of(frame, "posterior_predictive", "observed")
    assert curves[-1].get_ydata().tolist() == observed["y"].tolist()
    assert figure.axes[4].get_xlabel() == "y"
    with pytest.raises(rb.ArgumentError, match="imputation 9 is none of the fits' numbers, 1, 2"):
        small_fits.plot.check_model(imputation=9)
    with pytest.raises(rb.ArgumentError, match="nsim must be a whole number of at least 2"):
        small_fits.plot.check_model(nsim=1)
    with pytest.raises(rb.ArgumentError, match="and this is one"):
        small_fits[0].plot.check_model(imputation=1)


# -- profiles ------------------------------------------------------------------------------------


def test_profile_is_rs(small_fit: rb.MerMod, small_imp: rb.ImputedData) -> None:
    frame = rb.plot.data.profile(small_fit, ["sigma", "x2"])
    for name in ("sigma", "x2"):
        rows = frame[frame["parameter"] == name]
        limits = small_fit.confint(name, oldNames=False)
        assert rows["conf_low"].unique().tolist() == limits["conf_low"].tolist()
        assert rows["conf_high"].unique().tolist() == limits["conf_high"].tolist()
        assert rows["zeta"].is_monotonic_increasing
    theirs = run_r(
        f"p <- profile(lme4::lmer({FORMULA}, d), which = c('sigma', 'x2'), signames = FALSE)\n"
        "par <- as.character(p$.par); zeta <- p$.zeta\n"
        "value <- ifelse(par == 'x2', p$x2, p$sigma)",
        d=small_imp.original,
    )
    assert frame["parameter"].tolist() == list(theirs["par"])
    # The same R, in a process of its own, whose optimizer takes the same steps.
    assert frame["value"].tolist() == list(theirs["value"])
    assert frame["zeta"].tolist() == list(theirs["zeta"])
    beta = rb.plot.data.profile(small_fit, "beta_")
    assert beta["parameter"].unique().tolist() == ["(Intercept)", "x1", "x2", "fb", "fc"]
    figure = small_fit.plot.profile(["sigma", "x2"])
    for ax, name in zip(figure.axes, ["sigma", "x2"], strict=True):
        rows = frame[frame["parameter"] == name]
        curve = ax.lines[-1]
        assert curve.get_xdata().tolist() == rows["value"].tolist()
        assert curve.get_ydata().tolist() == rows["zeta"].tolist()
        assert ax.get_title() == name


def test_profile_refuses_by_name(small_fit: rb.MerMod, small_pooled: rb.PooledMerMod) -> None:
    with pytest.raises(rb.ArgumentError, match=r"'Sigma' \(did you mean 'sigma'\?\)"):
        small_fit.plot.profile("Sigma")
    with pytest.raises(rb.ArgumentError, match="stand alone"):
        small_fit.plot.profile(["beta_", "sigma"])
    with pytest.raises(rb.ArgumentError, match="does not take 'signames'"):
        small_fit.plot.profile("sigma", arguments={"signames": True})
    with pytest.raises(rb.ArgumentError, match="has no argument 'max_points'"):
        rb.plot.data.profile(small_fit, "sigma", max_points=3)
    with pytest.raises(rb.ArgumentError, match=r"profile takes a fit \(MerMod\), not PooledMerMod"):
        rb.plot.profile(small_pooled)  # type: ignore[arg-type]
