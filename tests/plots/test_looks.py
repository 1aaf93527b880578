"""What makes a plot readable: names that don't touch, marks that hide nothing, colours in grey."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import rbridge_mi as rb
from rbridge_mi.plots.canvas import IMPUTED, OBSERVED, SHADES, label, share_colours
from rbridge_mi.plots.cells import in_order

SMALL = (2.4, 2.0)


def lightness(colour: Any) -> float:
    """CIE L* of a colour, from 0 to 100: what is left of it in grey print (CIE 15:2004, 8.2.1)."""
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    y = float(linear @ [0.2126, 0.7152, 0.0722])
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


def imputations(m: int, **columns: Any) -> rb.ImputedData:
    """Data with a hole in each column's first tenth, filled with other values of the column."""
    data = pd.DataFrame(columns)
    holes = data.copy()
    count = max(2, len(data) // 10)
    holes.iloc[:count] = np.nan
    frames = []
    for i in range(m):
        frame = data.copy()
        drawn = data.sample(count, random_state=i)
        for name in data:
            frame.loc[: count - 1, name] = drawn[name].to_numpy()
        frames.append(frame)
    return rb.ImputedData.from_frames(frames, original=holes)


def traced(m: int, iterations: int = 20, **values: Any) -> rb.ImputedData:
    """Chains of normal numbers, or of the values that are given."""
    rng = np.random.default_rng(2)
    index = pd.MultiIndex.from_product([range(1, m + 1), range(1, iterations + 1), ["a", *values]])
    trace = pd.DataFrame(index.tolist(), columns=["imputation", "iteration", "parameter"])
    trace["value"] = rng.normal(size=len(trace))
    for name, value in values.items():
        trace.loc[trace["parameter"] == name, "value"] = value
    imp = imputations(m, x=rng.normal(size=40))
    return dataclasses.replace(imp, trace=trace.astype({"parameter": "category"}))


def pooled_of(count: int, name: str = "x") -> rb.PooledEstimates:
    rng = np.random.default_rng(1)
    names = [f"{name}{i}" for i in range(count)]
    return rb.pool(list(rng.normal(size=(5, count))), [[0.3] * count] * 5, names=names)


def overlaps(ax: Any, axis: str) -> bool:
    """Whether two names along an axis touch, where they are drawn."""
    ax.figure.canvas.draw()
    texts = [x for x in getattr(ax, f"get_{axis}ticklabels")() if x.get_text()]
    boxes = sorted(
        ((b.x0, b.x1) if axis == "x" else (b.y0, b.y1))
        for b in (x.get_window_extent() for x in texts)
    )
    return any(a[1] > b[0] for a, b in pairwise(boxes))


# -- colours -------------------------------------------------------------------------------------


def test_colours_differ_in_grey() -> None:
    # A step of 10 is seen at a glance, also side by side in thin lines.
    shades = sorted(lightness(x) for x in SHADES)
    assert min(np.diff(shades)) > 10
    assert abs(lightness(OBSERVED) - lightness(IMPUTED)) > 40
    along = [lightness(x) for x in share_colours()(np.linspace(0, 1, 11))[:, :3]]
    assert min(np.diff(along)) > 2


def test_few_chains_have_their_colours_and_many_are_alike() -> None:
    few = traced(5).plot.trace("a")
    assert [x.get_color() for x in few.lines] == list(SHADES)
    texts = [x.get_text() for x in few.get_legend().get_texts()]
    assert texts == ["chain 1", "2", "3", "4", "5"]
    many = traced(20).plot.trace("a")
    assert {x.get_color() for x in many.lines} == {OBSERVED}
    assert many.get_legend() is None
    assert max(x.get_alpha() for x in many.lines) < 0.5


def test_constant_parameters_are_left_out_but_not_if_they_are_all() -> None:
    imp = traced(3, b=2.0)
    assert rb.plot.data.trace(imp)["parameter"].unique().tolist() == ["a"]
    asked = imp.plot.trace("b")
    assert asked.get_ylim() == (1, 3)
    alone = dataclasses.replace(imp, trace=imp.trace[imp.trace["parameter"] == "b"])
    assert rb.plot.data.trace(alone)["parameter"].unique().tolist() == ["b"]


def test_iterations_are_whole_numbers() -> None:
    ax = traced(2, 3).plot.trace("a")
    assert all(float(x).is_integer() for x in ax.get_xticks())


# -- marks ---------------------------------------------------------------------------------------


def test_points_of_few_values_are_moved_aside() -> None:
    rng = np.random.default_rng(5)
    imp = imputations(2, x=rng.integers(0, 2, 80).astype(float), y=rng.normal(size=80))
    frame = rb.plot.data.scatter(imp, "x", "y")
    figure = imp.plot.scatter("x", "y")
    for number, ax in enumerate(figure.axes, start=1):
        known, filled = ax.lines
        for line, rows in (
            (known, frame[frame["source"] == "observed"]),
            (filled, frame[frame["imputation"] == number]),
        ):
            x = np.asarray(line.get_xdata())
            assert np.round(x).tolist() == rows["x"].tolist()
            assert np.abs(x - rows["x"]).max() <= 0.25
            assert len(np.unique(x)) == len(x)
            assert line.get_ydata().tolist() == rows["y"].tolist()
        assert ax.get_xticks().tolist() == [0, 1]


def test_strips_of_many_imputations_are_fainter() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=3000)
    few, many = (imputations(m, x=values).plot.strip().lines for m in (2, 30))
    assert many[1].get_alpha() < few[1].get_alpha()
    assert few[0].get_markersize() == few[1].get_markersize()


def test_of_thousands_of_points_a_sample_is_drawn_and_said() -> None:
    rng = np.random.default_rng(5)
    imp = imputations(2, x=rng.normal(size=2600), y=rng.normal(size=2600))
    frame = rb.plot.data.strip(imp, "x")
    assert frame["imputation"].fillna(0).value_counts().tolist() == [2340, 260, 260]
    ax = imp.plot.strip("x")
    known, filled = ax.lines
    assert len(known.get_ydata()) == 2000
    observed = frame[frame["source"] == "observed"]["value"]
    assert set(np.asarray(known.get_ydata())) <= set(observed)
    assert np.asarray(filled.get_ydata()).tolist() == frame["value"].iloc[2340:].tolist()
    assert ax.get_xlabel() == "imputation (0: observed)\nat most 2000 values of each"
    again = imp.plot.strip("x").lines[0]
    assert np.asarray(again.get_xydata()).tolist() == np.asarray(known.get_xydata()).tolist()
    panel = imp.plot.scatter("x", "y").axes[1]
    assert [len(x.get_xdata()) for x in panel.lines] == [2000, 260]
    assert panel.get_xlabel() == "x\nat most 2000 rows of each"


def test_thousands_of_groups_are_averaged_in_blocks() -> None:
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"g": np.repeat(np.arange(1000), 4), "x": rng.normal(size=4000)})
    data.loc[rng.uniform(size=4000) < 0.3, "x"] = np.nan
    table = rb.plot.data.missing_map(data, "g")
    image: Any = rb.plot.missing_map(data, "g").images[0]
    shares = table["missing"].to_numpy()
    # Each block has 4 of the 1,000 groups.
    np.testing.assert_allclose(image.get_array().ravel(), shares.reshape(250, 4).mean(axis=1))
    assert image.get_extent()[2:] == [999.5, -0.5]
    few = data[data["g"] < 200]
    image = rb.plot.missing_map(few, "g").images[0]
    table = rb.plot.data.missing_map(few, "g")
    assert image.get_array().ravel().tolist() == table["missing"].tolist()


def test_rows_one_by_one_are_missing_or_not() -> None:
    frame = pd.DataFrame({"x": [1.0, None, 2.0], "y": [1.0, 2.0, 3.0]})
    ax = rb.plot.missing_map(frame)
    (bar,) = [x for x in ax.figure.axes if x is not ax]
    assert [x.get_text() for x in bar.get_yticklabels()] == ["observed", "missing"]


# -- names ---------------------------------------------------------------------------------------


def test_two_lines_of_a_name_have_like_lengths() -> None:
    assert label("one_long_name_of_29_letters_x", 28) == "one_long_name_o\nf_29_letters_x"
    assert label("public school of the town", 24) == "public school\nof the town"
    assert label("short enough", 12) == "short enough"


def test_categories_are_in_the_order_of_their_numbers() -> None:
    assert in_order(["10", "9", "b2", "b10", "a", True, 1]) == [
        1,
        "9",
        "10",
        True,
        "a",
        "b2",
        "b10",
    ]
    names = [f"dept {i}" for i in range(1, 12)] * 4
    frame = rb.plot.data.density(imputations(2, f=names), "f")
    assert frame["category"].unique().tolist() == names[:11]


def test_bars_that_are_left_out_are_said() -> None:
    imp = imputations(2, town=[f"Town of the number {i}" for i in range(30)] * 4)
    ax = imp.plot.density("town")
    assert ax.get_xlabel() == "town (12 of 30 categories)"
    assert {x.get_rotation() for x in ax.get_xticklabels()} == {50.0}


@pytest.mark.parametrize("count", [3, 10, 25, 60])
def test_names_of_terms_stand_apart(count: int) -> None:
    pooled = pooled_of(count, "a name of a variable that is long enough for two lines ")
    for draw in (pooled.plot.forest, pooled.plot.fmi, pooled.plot.variance):
        ax = draw()
        assert len(ax.get_yticks()) == count
        assert not overlaps(ax, "y")


def test_names_of_many_categories_stand_apart() -> None:
    imp = imputations(2, town=[f"Town of the number {i}" for i in range(80)] * 3)
    assert not overlaps(imp.plot.strip("town"), "y")
    small = Figure(figsize=SMALL, layout="constrained").subplots()
    assert not overlaps(imp.plot.strip("town", ax=small), "y")


def test_columns_turn_their_names_where_they_have_no_room() -> None:
    frame = pd.DataFrame({"event": [1.0, None], "minority": [None, 1.0], "sector": [1.0, None]})
    wide = rb.plot.missing_pattern(frame, ax=Figure(figsize=(6, 4)).subplots())
    assert {x.get_rotation() for x in wide.get_xticklabels()} == {0.0}
    assert not overlaps(wide, "x")
    small = rb.plot.missing_pattern(frame, ax=Figure(figsize=SMALL).subplots())
    assert {x.get_rotation() for x in small.get_xticklabels()} == {50.0}


def test_labels_and_legends_have_lines_that_fit_small_axes() -> None:
    pooled = pooled_of(3)
    small = Figure(figsize=SMALL).subplots()
    pooled.plot.fmi(ax=small)
    assert small.get_xlabel() == "fraction of missing\ninformation and 95% interval"
    assert pooled.plot.fmi().get_xlabel().count("\n") == 0
    tiny = Figure(figsize=(1.6, 2.0)).subplots()
    pooled.plot.forest(ax=tiny)
    legend: Any = tiny.get_legend()
    assert legend._ncols == 1  # matplotlib has no public name for it
    panel = Figure(figsize=SMALL).subplots()
    table = pd.DataFrame(
        {"delta": [0.0, 1.0], "estimate": 1.0, "conf_low": 0.5, "conf_high": 2.0, "group": None,
         "effect": "fixed", "term": "a term of several words and more"}
    )  # fmt: skip
    rb.plot.delta(table, ax=panel)
    assert panel.get_title("left") == "a term of several words and\nmore"
