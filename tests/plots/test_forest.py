"""The forest of coefficients: its frame against the tables and R, its marks against its frame."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.plots.canvas import IMPUTED, INK

pytestmark = pytest.mark.r

TABLE = ["term", "estimate", "std_error", "conf_low", "conf_high"]


def bars(ax: Axes) -> pd.DataFrame:
    """The horizontal bars: y, low, high, colour."""
    rows = []
    for lines in ax.collections:
        for (low, y), (high, _) in lines.get_segments():  # type: ignore[attr-defined]
            rows.append((y, low, high, lines.get_colors()[0][:3]))  # type: ignore[attr-defined]
    return pd.DataFrame(rows, columns=["y", "low", "high", "colour"])


def test_the_frame_has_the_tables_values(
    small_pooled: rb.PooledMerMod, small_fit: rb.MerMod
) -> None:
    frame = rb.plot.data.forest(small_pooled, listwise=small_fit)
    terms = ["x1", "x2", "fb", "fc"]
    pooled = frame[frame["source"] == "pooled"][TABLE].reset_index(drop=True)
    expected = small_pooled.fixed.set_index("term").loc[terms].reset_index()[TABLE]
    pd.testing.assert_frame_equal(pooled, expected, check_exact=True)
    alone = frame[frame["source"] == "listwise"][TABLE].reset_index(drop=True)
    fixed = small_fit.fixed("satterthwaite").set_index("term").loc[terms].reset_index()[TABLE]
    pd.testing.assert_frame_equal(alone, fixed, check_exact=True)
    assert frame["imputation"].dropna().tolist() == np.repeat([1, 2, 3, 4, 5], 4).tolist()
    for i, fit in enumerate(small_pooled.fits, start=1):
        rows = frame[frame["imputation"] == i].set_index("term")
        assert rows["estimate"].tolist() == fit.beta[terms].tolist()
        variances = np.diag(fit.vcov().loc[terms, terms])
        assert rows["std_error"].tolist() == np.sqrt(variances).tolist()
        # The interval of t with the degrees of freedom of complete data, by R's qt: a relative
        # 1e-12, since scipy's quantile is another algorithm than R's.
        df = small_pooled.complete_df[terms].tolist()
        half = np.array(rdoor.call("stats::qt", 0.975, df).value) * rows["std_error"]
        np.testing.assert_allclose(rows["conf_high"], rows["estimate"] + half, rtol=1e-12)
        np.testing.assert_allclose(rows["conf_low"], rows["estimate"] - half, rtol=1e-12)


def test_marks_are_where_the_frame_says(
    small_pooled: rb.PooledMerMod, small_fit: rb.MerMod
) -> None:
    frame = rb.plot.data.forest(small_pooled, listwise=small_fit)
    ax = small_pooled.plot.forest(listwise=small_fit)
    assert [x.get_text() for x in ax.get_yticklabels()] == ["x1", "x2", "fb", "fc"]
    drawn = bars(ax)
    assert len(drawn) == len(frame)
    for source, colour in (("pooled", INK), ("imputed", IMPUTED)):
        rows = frame[frame["source"] == source]
        mine = drawn[[same_color(x, colour) for x in drawn["colour"]]]
        assert mine["low"].tolist() == rows["conf_low"].tolist()
        assert mine["high"].tolist() == rows["conf_high"].tolist()
        # Each mark lies in the strip of its term: the first at the top, at 0.
        place = dict(zip(["x1", "x2", "fb", "fc"], [0, -1, -2, -3], strict=True))
        assert np.round(mine["y"]).tolist() == rows["term"].map(place).tolist()
    points = {x.get_marker(): x for x in ax.lines if x.get_marker() in ("s", "o")}
    listwise = frame[frame["source"] == "listwise"]
    assert list(points["s"].get_xdata()) == listwise["estimate"].tolist()
    assert [x.get_text() for x in ax.get_legend().get_texts()] == [
        "pooled", "each of 5 imputations", "listwise",
    ]  # fmt: skip


def test_one_fit_and_chosen_terms(small_fit: rb.MerMod) -> None:
    frame = rb.plot.data.forest(small_fit, terms=["x2", "(Intercept)"])
    assert frame["term"].tolist() == ["x2", "(Intercept)"]
    assert set(frame["source"]) == {"single"}
    ax = small_fit.plot.forest(terms="x2")
    expected = small_fit.fixed().set_index("term").loc["x2"]
    assert bars(ax)[["low", "high"]].to_numpy().tolist() == [
        [expected["conf_low"], expected["conf_high"]]
    ]
    assert ax.get_legend() is None


def test_fits_are_pooled_by_default(small_fits: rb.MerModList) -> None:
    pd.testing.assert_frame_equal(
        rb.plot.data.forest(small_fits), rb.plot.data.forest(small_fits.pool())
    )


def test_other_estimates_and_exponentiated_ones() -> None:
    sets = ([[1.0, 0.2], [1.5, 0.1]], [[0.2, 0.1], [0.3, 0.2]])
    plain = rb.plot.data.forest(rb.pool(*sets, names=["x", "z"]))
    pooled = rb.pool(*sets, names=["x", "z"], exponentiate=True)
    ratios = rb.plot.data.forest(pooled)
    for name in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(ratios[name], np.exp(plain[name]), rtol=1e-14)  # two orders
    assert [x.get_xdata()[0] for x in pooled.plot.forest().lines][-1] == 1.0


def test_odds_ratios_are_on_a_logarithmic_axis(binary_fits: rb.MerModList) -> None:
    plain, ratios = (rb.plot.data.forest(binary_fits, exponentiate=x) for x in (False, True))
    for name in ("estimate", "conf_low", "conf_high"):
        assert ratios[name].tolist() == np.exp(plain[name]).tolist()
    pooled = binary_fits.pool(exponentiate=True)
    already = rb.plot.data.forest(pooled)
    pd.testing.assert_frame_equal(already, ratios, rtol=1e-14)
    pd.testing.assert_frame_equal(rb.plot.data.forest(pooled, exponentiate=True), already)
    unchanged = rb.plot.data.variance(binary_fits)
    pd.testing.assert_frame_equal(rb.plot.data.variance(pooled), unchanged, rtol=1e-14)
    ax = binary_fits.plot.forest(exponentiate=True)
    assert ax.get_xscale() == "log"
    assert len(ax.get_xticks()) >= 3
    assert 1.0 in ax.get_xticks()
    assert ax.get_xlabel().startswith("ratio")
    with pytest.raises(rb.ArgumentError, match="with exponentiate=True"):
        rb.pool([[1.0], [2.0]], [[1.0], [1.0]], names=["x"]).plot.forest(exponentiate=True)


def test_many_imputations_have_points_without_bars() -> None:
    rng = np.random.default_rng(1)
    pooled = rb.pool(rng.normal(size=(60, 1)), np.ones((60, 1)), names=["x"])
    ax = pooled.plot.forest()
    assert len(bars(ax)) == 1
    assert [len(x.get_xdata()) for x in ax.lines if x.get_marker() == "o"] == [60, 1]


def test_what_is_wrong_is_named(
    small_pooled: rb.PooledMerMod, small_fit: rb.MerMod, small_imp: rb.ImputedData
) -> None:
    with pytest.raises(rb.ArgumentError, match=r"'X2' \(did you mean 'x2'\?\), which the model"):
        small_pooled.plot.forest(terms="X2")
    with pytest.raises(rb.ArgumentError, match="at least one term"):
        small_pooled.plot.forest(terms=[])
    with pytest.raises(rb.ArgumentError, match="this is a single one"):
        small_fit.plot.forest(listwise=small_fit)
    other = rb.Lmer("y ~ x1 + (1 | g)").fit(small_imp.original)
    with pytest.raises(rb.ArgumentError, match="differ in fb, fc, x2"):
        small_pooled.plot.forest(listwise=other)
    with pytest.raises(rb.ArgumentError, match=r"listwise takes a fit \(MerMod\), not ImputedData"):
        small_pooled.plot.forest(listwise=small_imp)


def test_long_names_are_shortened_and_dollars_are_no_mathematics() -> None:
    names = ["a$x$ " + "very long name " * 20, "_private"]
    pooled = rb.pool([[1.0, 2.0], [1.1, 2.1]], [[0.2, 0.1], [0.2, 0.1]], names=names)
    ax = pooled.plot.forest()
    ax.figure.canvas.draw()  # a formula that can't be parsed would stop here
    text = ax.get_yticklabels()[0].get_text()
    assert text.startswith(r"a\$x\$ very long")
    assert "…" in text
    assert max(map(len, text.split("\n"))) <= 34
    assert rb.plot.data.forest(pooled)["term"].tolist()[0] == names[0]
