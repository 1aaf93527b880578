"""Plots of holes and imputations: frames against the data, marks against the frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor

pytestmark = pytest.mark.r


# -- what is missing ----------------------------------------------------------------------------


def test_missing_map_by_group(small_imp: rb.ImputedData) -> None:
    frame = rb.plot.data.missing_map(small_imp, "g")
    holes = small_imp.original
    shares = holes.drop(columns="g").isna().groupby(holes["g"]).mean()
    assert len(frame) == shares.size
    for row in frame.itertuples():
        assert row.missing == shares.loc[row.grp, row.column]
        assert row.n_rows == (holes["g"] == row.grp).sum()
    # Those with most missing values come first.
    means = shares.mean(axis=1)
    order = frame["grp"].drop_duplicates().map(means)
    assert order.is_monotonic_decreasing
    ax = rb.plot.missing_map(holes, "g")
    (image,) = ax.images
    assert np.ravel(np.asarray(image.get_array())).tolist() == frame["missing"].tolist()
    assert [x.get_text() for x in ax.get_xticklabels()] == ["y", "x1", "x2", "f", "h"]
    assert ax.get_yticklabels()[0].get_text() == frame["grp"][0]


def test_missing_map_by_rows(small_imp: rb.ImputedData) -> None:
    holes = small_imp.original
    frame = rb.plot.data.missing_map(holes)
    assert frame["missing"].tolist() == holes.isna().to_numpy(float).ravel().tolist()
    many = pd.concat([holes] * 5, ignore_index=True)
    frame = rb.plot.data.missing_map(many)
    rows = frame[frame["column"] == "y"]
    assert len(rows) == 240
    assert set(rows["n_rows"]) == {4}
    expected = many["y"].isna().to_numpy(float).reshape(-1, 4).mean(axis=1)
    assert rows["missing"].tolist() == expected.tolist()
    assert rows["row"].tolist() == list(range(0, 960, 4))


def test_groups_that_are_missing_have_a_row_of_their_own() -> None:
    frame = pd.DataFrame({"g": ["a", None, "a"], "x": [1.0, None, None]})
    table = rb.plot.data.missing_map(frame, "g")
    assert table[["grp", "n_rows", "missing"]].to_numpy().tolist() == [
        ["(missing)", 1, 1.0], ["a", 2, 0.5],
    ]  # fmt: skip


def test_160_groups_are_drawn_with_every_fourth_name(holes: pd.DataFrame) -> None:
    ax = rb.plot.missing_map(holes, "schid")
    assert len(ax.get_yticks()) == 40
    assert ax.get_ylabel() == "schid (160 groups)"


def test_missing_pattern_is_that_of_mice(small_imp: rb.ImputedData) -> None:
    holes = small_imp.original
    frame = rb.plot.data.missing_pattern(small_imp)
    theirs = rdoor.call_object("mice::md.pattern", holes, plot=False)
    cells = np.asarray(rdoor.call("base::unname", theirs).value)[:-1, :]
    names = [str(x) for x in rdoor.call("base::colnames", theirs).value][:-1]
    counts = [int(x) for x in rdoor.call("base::rownames", theirs).value[:-1]]
    ours = frame.pivot(index="pattern", columns="column", values="is_missing")
    whole = {x for x in names if x not in ours}
    assert not holes[list(whole)].isna().any(axis=None)
    mine = {
        tuple(ours.loc[i, ["y", "x2"]]): n
        for i, n in frame.groupby("pattern")["n_rows"].first().items()
    }
    expected = {
        tuple(cells[i, names.index(x)] == 0 for x in ("y", "x2")): n for i, n in enumerate(counts)
    }
    assert mine == expected
    assert frame["n_rows"].is_monotonic_decreasing
    ax = rb.plot.missing_pattern(holes, most=2)
    assert [x.get_text() for x in ax.get_yticklabels()] == [
        f"{n}" for n in sorted(counts, reverse=True)[:2]
    ]
    below = [x.get_text() for x in ax.texts]
    assert below == [str(holes[x].isna().sum()) for x in frame["column"].unique()]
    assert "not drawn: 2 rarer patterns" in ax.get_xlabel()


def test_complete_data_have_no_pattern(hsb: pd.DataFrame) -> None:
    with pytest.raises(rb.ArgumentError, match="nothing is missing"):
        rb.plot.missing_pattern(hsb)
    with pytest.raises(rb.ArgumentError, match="group names 'q'"):
        rb.plot.missing_map(hsb, "q")
    with pytest.raises(rb.ArgumentError, match="takes a DataFrame or an ImputedData, not str"):
        rb.plot.missing_map("hsb")


# -- cells ---------------------------------------------------------------------------------------


def test_strip_has_every_cell(categories_imp: rb.ImputedData) -> None:
    frame = rb.plot.data.strip(categories_imp, ["x1", "f"])
    original = categories_imp.original
    for name, column in (("x1", "value"), ("f", "category")):
        rows = frame[frame["column"] == name]
        gone = original[name].isna()
        known = rows[rows["source"] == "observed"]
        assert known[column].tolist() == original[name][~gone].tolist()
        assert known["row"].tolist() == original.index[~gone].tolist()
        for i, data in enumerate(categories_imp, start=1):
            assert rows[rows["imputation"] == i][column].tolist() == data[name][gone].tolist()
    figure = categories_imp.plot.strip(["x1", "f"])
    numbers, categories = figure.axes
    for line, source in zip(numbers.lines, ("observed", "imputed"), strict=True):
        rows = frame[(frame["column"] == "x1") & (frame["source"] == source)]
        assert line.get_ydata().tolist() == rows["value"].tolist()
        places = rows["imputation"].fillna(0).tolist()
        assert np.round(np.asarray(line.get_xdata())).tolist() == places
    rows = frame[(frame["column"] == "f") & (frame["source"] == "imputed")]
    heights = np.round(np.asarray(categories.lines[1].get_ydata())).astype(int)
    assert [["a", "b", "c"][i] for i in heights] == rows["category"].tolist()


def test_scatter_has_the_rows_with_holes_filled(small_imp: rb.ImputedData) -> None:
    frame = rb.plot.data.scatter(small_imp, "x2", "y")
    gone = small_imp.original[["x2", "y"]].isna().any(axis=1)
    assert frame["source"].value_counts().tolist() == [5 * gone.sum(), (~gone).sum()]
    rows = frame[frame["imputation"] == 2]
    assert rows[["x", "y"]].to_numpy().tolist() == small_imp[1][gone][["x2", "y"]].values.tolist()
    figure = small_imp.plot.scatter("x2", "y", most=2)
    known, filled = figure.axes[1].lines
    assert filled.get_xdata().tolist() == rows["x"].tolist()
    assert filled.get_ydata().tolist() == rows["y"].tolist()
    assert len(known.get_xdata()) == (~gone).sum()
    for wrong, match in (
        (("x2", "x2"), "two different columns"),
        (("f", "y"), "'f' holds no numbers"),
        (("x1", "q"), "names 'q'"),
    ):
        with pytest.raises(rb.ArgumentError, match=match):
            small_imp.plot.scatter(*wrong)
    with pytest.raises(rb.ArgumentError, match="neither 'x1' nor 'z'"):
        small_imp.assign(z=1.0).plot.scatter("x1", "z")


# -- chains --------------------------------------------------------------------------------------


def traced(imp: rb.ImputedData, iterations: int = 60) -> rb.ImputedData:
    """Two parameters, one of which drifts apart."""
    rng = np.random.default_rng(4)
    names = [f"mean({x})" for x in ("x2", "y")]
    index = pd.MultiIndex.from_product([range(1, 6), range(1, iterations + 1), names])
    trace = pd.DataFrame(index.tolist(), columns=["imputation", "iteration", "parameter"])
    trace["value"] = rng.normal(size=len(trace))
    trace.loc[trace["parameter"] == "mean(y)", "value"] += 3 * trace["imputation"]
    return dataclasses.replace(imp, trace=trace.astype({"parameter": "category"}))


def test_trace_has_the_chains_and_their_rhat(small_imp: rb.ImputedData) -> None:
    imp = traced(small_imp)
    frame = rb.plot.data.trace(imp)
    assert frame["parameter"].unique().tolist() == ["mean(y)", "mean(x2)"]  # the worst first
    rhat = imp.convergence().set_index("parameter")["rhat"]
    assert rhat["mean(y)"] > 1.05 > rhat["mean(x2)"]
    figure = imp.plot.trace()
    for ax, name in zip(figure.axes, ["mean(y)", "mean(x2)"], strict=True):
        rows = frame[frame["parameter"] == name]
        assert set(rows["rhat"]) == {rhat[name]}
        assert ax.get_title() == f"{name}\nR-hat {rhat[name]:.3f}"
        assert ax.title.get_fontweight() == ("bold" if rhat[name] >= 1.05 else "normal")
        for line, (_, chain) in zip(ax.lines, rows.groupby("imputation"), strict=True):
            assert line.get_xdata().tolist() == chain["iteration"].tolist()
            assert line.get_ydata().tolist() == chain["value"].tolist()
        (half,) = ax.patches
        assert half.get_extents().transformed(ax.transData.inverted()).x1 == pytest.approx(30.5)
    assert imp.plot.trace("mean(x2)").get_title().startswith("mean(x2)")
    with pytest.raises(rb.ArgumentError, match=r"no parameter 'mean\(z\)'"):
        imp.plot.trace("mean(z)")


def test_trace_of_an_optimizer_and_of_none(small_imp: rb.ImputedData, imp: rb.ImputedData) -> None:
    frame = rb.plot.data.trace(imp, "changing")
    assert frame["rhat"].isna().all()
    expected = imp.trace[imp.trace["parameter"] == "changing"]["value"]
    assert frame["value"].tolist() == expected.tolist()
    assert imp.plot.trace("changing").get_title() == "changing"
    assert np.isnan(rb.plot.data.trace(traced(small_imp, 8))["rhat"]).all()  # too short
    with pytest.raises(rb.ArgumentError, match="no trace of their chains"):
        small_imp.plot.trace()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["mice", "jomo", "pan", "compatible"])
def test_trace_of_every_engine(engine: str, small_imp: rb.ImputedData) -> None:
    holes = small_imp.original
    imputers: dict[str, Callable[[], Any]] = {
        "mice": lambda: rb.MiceImputer(m=2, maxit=25, printFlag=False),
        "jomo": lambda: rb.JomoImputer(m=2, clus="g", nburn=60, nbetween=20, trace=True),
        "pan": lambda: rb.PanImputer(m=2, formula="y + x2 ~ x1 + (1 | g)", n_burn=60, n_iter=20),
        "compatible": lambda: rb.CompatibleImputer(rb.Lmer("y ~ x1 + x2 + (1 | g)"), m=2),
    }
    imp = imputers[engine]().impute(holes, seed=1)
    frame = rb.plot.data.trace(imp, most=3)
    assert frame["parameter"].nunique() <= 3
    figure = imp.plot.trace(most=3)
    lines = [line for ax in figure.axes for line in ax.lines]
    drawn = np.concatenate([np.asarray(line.get_ydata()) for line in lines])
    assert drawn.tolist() == frame["value"].tolist()


def test_overimpute_draws_amelias_table(holes: pd.DataFrame) -> None:
    some = holes.head(400).drop(columns=["minority", "size"])
    imputer = rb.AmeliaImputer(m=2, idvars=["schid", "meanses", "schtype"], noms=["female"])
    imp = imputer.impute(some, seed=1, keep_r=True)
    table = imp.overimpute("ses")
    pd.testing.assert_frame_equal(rb.plot.data.overimpute(imp, "ses"), table)
    ax = imp.plot.overimpute("ses")
    lines, points = ax.collections[:2]
    assert points.get_offsets().tolist() == table[["observed", "overimputed_mean"]].values.tolist()
    ends = [[x[0][1], x[1][1]] for x in lines.get_segments()]
    assert ends == table[["overimputed_low", "overimputed_high"]].values.tolist()
    inside = table["observed"].between(table["overimputed_low"], table["overimputed_high"])
    assert ax.get_title(loc="left").startswith(f"{100 * inside.mean():.1f}%")
    with pytest.raises(rb.ArgumentError, match="keep_r=True"):
        imputer.impute(some, seed=1).plot.overimpute("ses")
