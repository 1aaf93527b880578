"""Estimates over delta: the frame against the table of sensitivity, the marks against the frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color

import rbridge_mi as rb

pytestmark = pytest.mark.r

DELTAS = [2.0, -2.0, 0.0, 4.0]
MODEL = rb.Lmer("y ~ x1 + x2 + (1 + x1 | g)")
FIXED = ["(Intercept)", "x1", "x2"]
RANDOM = ["sd__(Intercept)", "cor__(Intercept).x1", "sd__x1", "sd__Observation"]


@pytest.fixture(scope="module")
def moved(small_imp: rb.ImputedData) -> pd.DataFrame:
    return rb.delta_sensitivity(MODEL, small_imp, "y", DELTAS)


def table_of(
    rows: Sequence[tuple[float, str, float, float, float]], **columns: Any
) -> pd.DataFrame:
    names = ["delta", "term", "estimate", "conf_low", "conf_high"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(**{"effect": "fixed", "group": None, **columns})


def marks(ax: Any) -> dict[float, tuple[float, str, bool]]:
    """The estimate, the shape and whether the mark is white, by delta."""
    drawn = {}
    for line in ax.lines:
        if line.get_marker() in ("o", "D"):
            white = same_color(line.get_markerfacecolor(), "white")
            for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True):
                drawn[x] = (y, line.get_marker(), white)
    return drawn


def test_the_frame_has_the_tables_values_by_term_and_delta(moved: pd.DataFrame) -> None:
    frame = rb.plot.data.delta(moved, FIXED + RANDOM)
    assert frame["term"].tolist() == np.repeat(FIXED + RANDOM, 4).tolist()
    assert frame["delta"].tolist() == sorted(DELTAS) * 7
    columns = ["estimate", "conf_low", "conf_high"]
    table = moved.set_index(["delta", "term"])
    for row in frame.itertuples():
        pd.testing.assert_series_equal(
            pd.Series([row.estimate, row.conf_low, row.conf_high]),
            table.loc[(row.delta, row.term), columns].reset_index(drop=True).astype(float),
            check_names=False,
            check_exact=True,
        )
    fixed = frame[frame["effect"] == "fixed"]
    inside = (fixed["conf_low"] <= 0) & (fixed["conf_high"] >= 0)
    assert fixed["holds_zero"].tolist() == inside.tolist()
    assert frame.loc[frame["effect"] == "ran_pars", "holds_zero"].isna().all()
    assert frame.attrs == moved.attrs


def test_without_terms_all_coefficients_but_the_intercept(moved: pd.DataFrame) -> None:
    assert rb.plot.data.delta(moved)["term"].unique().tolist() == ["x1", "x2"]
    alone = moved[moved["term"] == "(Intercept)"]
    assert rb.plot.data.delta(alone)["term"].unique().tolist() == ["(Intercept)"]
    random = moved[moved["effect"] == "ran_pars"]
    assert rb.plot.data.delta(random)["term"].unique().tolist() == RANDOM


def test_marks_are_where_the_frame_says(moved: pd.DataFrame) -> None:
    frame = rb.plot.data.delta(moved)
    figure = rb.plot.delta(moved)
    assert [x.get_title("left") for x in figure.axes] == ["x1", "x2"]
    for ax, term in zip(figure.axes, ["x1", "x2"], strict=True):
        rows = frame[frame["term"] == term]
        assert marks(ax) == {
            row.delta: (row.estimate, "o" if row.delta else "D", row.holds_zero)
            for row in rows.itertuples()
        }
        (bars,) = ax.collections
        ends = [[x[0][1], x[1][1]] for x in bars.get_segments()]
        assert ends == rows[["conf_low", "conf_high"]].to_numpy().tolist()
        assert ax.get_xlabel() == "delta of y"
        assert ax.get_ylabel() == "estimate and 95% interval"


def test_where_the_interval_comes_to_hold_0_the_marks_turn_white() -> None:
    table = table_of([(-1, "x", -0.4, -0.7, -0.1), (0, "x", -0.2, -0.5, 0.1), (1, "x", 0, -1, 0)])
    ax = rb.plot.delta(table)
    assert marks(ax) == {-1: (-0.4, "o", False), 0: (-0.2, "D", True), 1: (0, "o", True)}
    texts = [x.get_text() for x in ax.get_legend().get_texts()]
    assert texts == ["interval without 0", "with 0", "delta = 0"]
    assert ax.get_ylabel() == "estimate and interval"  # a frame without attrs doesn't say which
    assert ax.get_xlabel() == "delta"


def levels(ax: Any) -> list[float]:
    """Where horizontal dashed lines are."""
    return [x.get_ydata()[0] for x in ax.lines if x.get_linestyle() == "--"]


def test_the_line_of_no_effect_is_drawn_unless_it_is_far() -> None:
    near = table_of([(0, "x", 1.0, 0.5, 1.5), (1, "x", 1.2, 0.7, 1.7)])
    assert levels(rb.plot.delta(near)) == [0]
    far = table_of([(0, "x", 101, 100, 102), (1, "x", 102, 101, 103)])
    ax = rb.plot.delta(far)
    assert levels(ax) == []
    assert ax.get_ylim()[0] > 99
    below = table_of([(0, "x", -101, -102, -100), (1, "x", -102, -103, -101)])
    assert levels(rb.plot.delta(below)) == []


def test_the_analysis_as_it_is_has_a_line_if_it_is_among_the_deltas() -> None:
    def upright(table: pd.DataFrame) -> list[float]:
        return [x.get_xdata()[0] for x in rb.plot.delta(table).lines if x.get_linewidth() == 0.8]

    assert upright(table_of([(-1, "x", 1, 0, 2), (1, "x", 1, 0, 2)])) == [0]
    assert upright(table_of([(1, "x", 1, 0, 2), (2, "x", 1, 0, 2)])) == []


def test_random_part_has_estimates_alone(moved: pd.DataFrame) -> None:
    figure = rb.plot.delta(moved, ["sd__x1", "sd__Observation"])
    assert [x.get_title("left") for x in figure.axes] == ["g: sd__x1", "Residual: sd__Observation"]
    assert {x.get_ylabel() for x in figure.axes} == {"estimate"}
    legend = figure.axes[0].get_legend()
    assert [x.get_text() for x in legend.get_texts()] == ["delta = 0"]


def test_two_groups_with_one_name_have_a_panel_each() -> None:
    rows = [(0, "sd__(Intercept)", 1, np.nan, np.nan), (1, "sd__(Intercept)", 2, np.nan, np.nan)]
    table = pd.concat([table_of(rows, effect="ran_pars", group=g) for g in ("s", "d")])
    figure = rb.plot.delta(table.sample(frac=1, random_state=3).sort_values("group"))
    assert [x.get_title("left") for x in figure.axes] == [
        "d: sd__(Intercept)", "s: sd__(Intercept)",
    ]  # fmt: skip
    assert marks(figure.axes[1]).keys() == {0, 1}


def test_groups_that_were_shifted_are_named(small_imp: rb.ImputedData) -> None:
    table = rb.delta_sensitivity(MODEL, small_imp, "y", [1], by="f", groups=["a", "b"])
    figure = rb.plot.delta(table)
    assert figure.axes[0].get_xlabel() == "delta of y, f a, b"


def test_many_deltas_have_small_marks_and_long_names_two_lines() -> None:
    name = "a_very_long_$name_" * 5
    table = table_of([(i, name, 0.1 * i, 0.1 * i - 1, 0.1 * i + 1) for i in range(-20, 21)])
    ax = rb.plot.delta(table)
    assert len(ax.get_title("left").splitlines()) == 2
    assert max(x.get_markersize() for x in ax.lines if x.get_marker() in "oD") <= 5
    ax.figure.canvas.draw()  # a dollar is no mathematics


def test_styles_reach_the_points() -> None:
    ax = rb.plot.delta(table_of([(0, "x", 1, 0, 2), (1, "x", 3, 2, 4)]), color="red")
    assert {x.get_color() for x in ax.lines if x.get_marker() in ("o", "D")} == {"red"}


def test_other_tables_are_refused(moved: pd.DataFrame) -> None:
    good = table_of([(0, "x", 1, 0, 2)])
    for wrong, match in (
        ({"x": 1}, "delta takes a DataFrame, not dict"),
        (good.drop(columns=["delta", "term"]), "lacks the columns delta, term. Give the table of"),
        (good.assign(estimate="a lot"), "sensitivity: .*'a lot'.* Give the table"),
        (good.assign(delta=np.inf), "no number in its delta or estimate"),
        (good.assign(term=None), "row without term"),
        (pd.concat([good, good]), "the delta 0 of 'x' twice"),
        (good.head(0), "sensitivity"),
    ):
        with pytest.raises(rb.ArgumentError, match=match):
            rb.plot.delta(wrong)
    with pytest.raises(rb.ArgumentError, match=r"terms names 'X1' \(did you mean 'x1'\?\)"):
        rb.plot.delta(moved, "X1")
    with pytest.raises(rb.ArgumentError, match="at least one term, and each once"):
        rb.plot.delta(moved, [])


def test_the_report_shows_it_after_the_table(
    moved: pd.DataFrame, small_imp: rb.ImputedData, tmp_path: Path
) -> None:
    pooled = MODEL.fit(small_imp).pool()
    page = rb.report(pooled, tmp_path / "a.html", sensitivity=moved).read_text("utf-8")
    _, after = page.split("Sensitivity to values not missing at random")
    assert 'aria-label="How estimates move with delta"><svg' in after
    without = rb.report(pooled, tmp_path / "b.html").read_text("utf-8")
    assert "How estimates move with delta" not in without
