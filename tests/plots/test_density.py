"""Densities and bars: the frame against R's density() and counts, the marks against the frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.stats import gaussian_kde

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.plots.density import bandwidth_of

pytestmark = pytest.mark.r


def test_curves_are_the_kernel_densities_of_the_cells(small_imp: rb.ImputedData) -> None:
    frame = rb.plot.data.density(small_imp, "y")
    gone = small_imp.original["y"].isna()
    observed = small_imp.original["y"][~gone].to_numpy()
    sources = [observed, *(x["y"][gone].to_numpy() for x in small_imp)]
    assert frame["imputation"].unique().dropna().tolist() == [1, 2, 3, 4, 5]
    for i, values in enumerate(sources):
        rows = frame[frame["imputation"].fillna(0) == i]
        assert set(rows["source"]) == {"imputed" if i else "observed"}
        bandwidth = bandwidth_of(observed, len(values))
        kernel = gaussian_kde(values, bandwidth / np.std(values, ddof=1))
        np.testing.assert_allclose(rows["density"], kernel(rows["value"]), rtol=1e-10)
        # Each curve has an area of 1, but for what lies beyond its ends and the trapezoids.
        assert trapezoid(rows["density"], rows["value"]) == pytest.approx(1, abs=0.02)
    ends = frame["value"].min(), frame["value"].max()
    ours = frame[frame["source"] == "observed"]
    question: dict[str, Any] = {"n": 201, "from": ends[0], "to": ends[1]}
    theirs = rdoor.call_object("stats::density", observed, **question)
    bw, y = (rdoor.call("base::getElement", theirs, x).value for x in ("bw", "y"))
    # R's quantiles and standard deviation add in another order.
    assert bandwidth_of(observed, len(observed)) == pytest.approx(bw[0], rel=1e-12)
    # R bins the values before it smooths them.
    np.testing.assert_allclose(ours["density"], y, rtol=0, atol=1e-3 * max(y))


def test_shares_of_categories(categories_imp: rb.ImputedData) -> None:
    frame = rb.plot.data.density(categories_imp)
    assert frame["column"].unique().tolist() == ["x1", "f", "count", "flag"]
    for name, order in (("f", ["a", "b", "c"]), ("count", ["0", "1", "2", "3"]),
                        ("flag", ["False", "True"])):  # fmt: skip
        rows = frame[frame["column"] == name]
        gone = categories_imp.original[name].isna()
        for i in range(4):
            part = rows[rows["imputation"].fillna(0) == i]
            assert part["category"].tolist() == order
            cells = categories_imp[i - 1][name][gone] if i else categories_imp.original[name][~gone]
            expected = [(cells.astype(str) == x).mean() for x in order]
            assert part["density"].tolist() == pytest.approx(expected, abs=1e-15)
            assert part["value"].isna().all()


def test_marks_are_where_the_frame_says(categories_imp: rb.ImputedData) -> None:
    frame = rb.plot.data.density(categories_imp, ["x1", "f"])
    figure = categories_imp.plot.density(["x1", "f"])
    curves, bars = figure.axes
    rows = frame[frame["column"] == "x1"]
    lines = [x for _, x in rows[rows["source"] == "imputed"].groupby("imputation")]
    lines.append(rows[rows["source"] == "observed"])
    for line, part in zip(curves.lines, lines, strict=True):
        assert line.get_xdata().tolist() == part["value"].tolist()
        assert line.get_ydata().tolist() == part["density"].tolist()
    rows = frame[frame["column"] == "f"]
    heights = [x.get_height() for x in bars.patches]
    known = rows[rows["source"] == "observed"]["density"].tolist()
    imputed = rows[rows["source"] == "imputed"]
    means = imputed.groupby("category")["density"].mean().tolist()
    assert heights == pytest.approx([*known, *means], abs=1e-15)
    (dots,) = bars.lines
    assert dots.get_ydata().tolist() == imputed["density"].tolist()
    assert np.round(dots.get_xdata()).tolist() == [0, 1, 2] * 3
    assert [x.get_text() for x in bars.get_xticklabels()] == ["a", "b", "c"]


def test_columns_that_were_not_imputed_are_refused(small_imp: rb.ImputedData) -> None:
    with pytest.raises(rb.ArgumentError, match=r"'x1' had no hole .* are 'y', 'x2'"):
        small_imp.plot.density("x1")
    with pytest.raises(rb.ArgumentError, match="names 'q', which the data do not have"):
        small_imp.plot.density(["y", "q"])
    with pytest.raises(rb.ArgumentError, match="no column"):
        small_imp.plot.density([])


def test_a_constant_column_and_a_single_hole() -> None:
    frame = rb.load_hsb().head(20)[["ses"]].assign(ses=2.0)
    holes = frame.copy()
    holes.loc[3, "ses"] = np.nan
    filled = [frame, frame.assign(ses=frame["ses"] + 1e-3 * np.arange(20))]
    imp = rb.ImputedData.from_frames([holes.fillna(x) for x in filled], original=holes)
    table = rb.plot.data.density(imp, "ses")  # two distinct values: categories
    assert table["density"].tolist() == [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    assert bandwidth_of(np.full(5, 2.0), 1) == pytest.approx(1.8)
