"""CompatibleImputer: what doesn't change its imputations, and what they agree with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb

from .hostile import assert_sound, holed, impute, small, stacked

MODEL = "y ~ x + z + (1 + x | g)"


def mixed(seed: int = 1) -> pd.DataFrame:
    """Make data with holes in columns of all kinds, the response and a group's column included."""
    data = small(seed)
    random = np.random.default_rng(seed)
    latent = data["w"] + random.normal(size=len(data))
    codes = np.digitize(latent, [-0.7, 0.7])
    data["y"] = holed(data["y"], 3, 0.1)
    data["z"] = data["z"].mask(data["g"].isin(["g1", "g6"]))
    data["w"] = holed(data["w"], 4)
    data["f"] = holed(np.array(["lo", "Mid", "hi"])[codes], 5).astype(object)
    order = pd.CategoricalDtype(["lo", "Mid", "hi"], ordered=True)
    data["o"] = holed(pd.Series(np.array(["lo", "Mid", "hi"])[codes[::-1]]).astype(order), 6)
    data["b"] = holed((latent > 0.5).astype(float), 7)
    data["n"] = holed(random.poisson(np.exp(0.4 * data["w"].fillna(0))).astype(float), 8)
    return data


MIXED = "y ~ x * z + f + o + b + n + (1 + x | g)"
ALL = ["y", "x", "z", "w", "f", "o", "b", "n"]


def same(one: rb.ImputedData, two: rb.ImputedData, index: Any = None) -> bool:
    """Tell whether two imputations are the same bits, the second's rows in the first's order."""
    pairs = zip(one, two, strict=True)
    return all(a.equals(b if index is None else b.loc[index]) for a, b in pairs)


@pytest.fixture(scope="module")
def imputed() -> rb.ImputedData:
    return impute(mixed(), MIXED, auxiliary="w", m=4)


def test_all_kinds_of_columns(imputed: rb.ImputedData) -> None:
    assert_sound(mixed(), imputed, ALL, levels={"z": "g"})
    assert len({frame["x"].sum() for frame in imputed}) == 4
    assert imputed.method == "compatible"
    assert imputed.seed == 1
    assert set(imputed.saw) == set(ALL)
    assert "sd(g: x)" in set(imputed.trace["parameter"])


# -- units ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1e-6, 123.4, 1e6])
@pytest.mark.parametrize("column", ["y", "x", "z", "w", "e"])
def test_units_make_no_difference(column: str, factor: float) -> None:
    data = small()
    data["e"] = holed(np.exp(data["w"] + np.random.default_rng(3).normal(size=len(data))), 9)
    data["y"] = holed(data["y"], 3, 0.1)
    data["z"] = data["z"].mask(data["g"].isin(["g1", "g6"]))
    limits = data["x"].min(), data["x"].max()
    scaled = data.assign(**{column: data[column] * factor})
    model = "y ~ x * z + log(e) + (1 + x | g)"
    arguments: dict[str, Any] = {"auxiliary": "w", "transforms": {"e": "log"}}
    one = impute(data, model, bounds={"x": limits}, **arguments)
    if column == "x":
        limits = limits[0] * factor, limits[1] * factor
    two = impute(scaled, model, bounds={"x": limits}, **arguments)
    for name in ("y", "x", "z", "e"):
        expected = stacked(one, name) * (factor if name == column else 1)
        bound = 1e-9 * np.abs(expected).mean()
        np.testing.assert_allclose(stacked(two, name), expected, rtol=1e-9, atol=bound)


@pytest.mark.parametrize(
    ("model", "column"),
    [
        ("y ~ x + I(x^2) + (1 | g)", "x"),
        ("y ~ poly(x, 2) + (0 + x | g)", "x"),
        ("y ~ 0 + x + (x || g)", "x"),
        ("y ~ 0 + x + (1 | g)", "y"),
        ("sqrt(y) ~ x + (1 | g)", "x"),
    ],
)
def test_units_make_no_difference_to_other_models(model: str, column: str) -> None:
    data = small()
    data["y"] = holed(data["y"] - data["y"].min() + 1, 3, 0.1)
    one = impute(data, model)
    two = impute(data.assign(**{column: data[column] * 1e4}), model)
    for name in ("y", "x"):
        expected = stacked(one, name) * (1e4 if name == column else 1)
        bound = 1e-9 * np.abs(expected).mean()
        np.testing.assert_allclose(stacked(two, name), expected, rtol=1e-9, atol=bound)


@pytest.mark.parametrize(
    ("model", "column"),
    [
        (MODEL, "y"),
        (MODEL, "z"),
        (MODEL, "x"),
        ("y ~ 0 + a + x + (1 | g)", "y"),
        ("y ~ x + offset(w) + (1 | g)", "w"),
    ],
)
def test_origins_make_no_difference(model: str, column: str) -> None:
    data = small()
    data["y"] = holed(data["y"], 3, 0.1)
    one = impute(data, model)
    two = impute(data.assign(**{column: data[column] + 100}), model)
    for name in ("y", "x"):
        expected = stacked(one, name) + (100 if name == column else 0)
        if column == "w":  # the response doesn't move with the offset: its intercept does
            expected = stacked(one, name)
        np.testing.assert_allclose(stacked(two, name), expected, rtol=1e-9, atol=1e-9)


def test_units_of_weights_make_no_difference() -> None:
    data = small()
    data["y"] = holed(data["y"], 3, 0.1)
    data["v"] = np.random.default_rng(1).uniform(0.2, 2, len(data))
    one = impute(data, rb.Lmer(MODEL, weights="v"))
    two = impute(data.assign(v=data["v"] * 1e6), rb.Lmer(MODEL, weights="v"))
    np.testing.assert_allclose(stacked(two, "y"), stacked(one, "y"), rtol=1e-9)
    sigma = [x.trace.query("parameter == 'sigma'")["value"].to_numpy() for x in (one, two)]
    np.testing.assert_allclose(sigma[1], 1e3 * sigma[0], rtol=1e-9)


# -- the order of rows, and the names of groups ---------------------------------------------------


def test_order_of_rows_makes_no_difference(imputed: rb.ImputedData) -> None:
    shuffled = mixed().sample(frac=1, random_state=1)
    again = impute(shuffled, MIXED, auxiliary="w", m=4)
    assert same(imputed, again, mixed().index)


def test_names_of_groups_make_no_difference() -> None:
    data = small()
    names = dict(zip(data["g"].unique(), [f"q{7 * i % 15}" for i in range(15)], strict=True))
    renamed = data.assign(g=data["g"].map(names)).sample(frac=1, random_state=2)
    one = impute(data, "y ~ poly(x, 2) + z + (1 + x | g) + (1 | a)")
    two = impute(renamed, "y ~ poly(x, 2) + z + (1 + x | g) + (1 | a)")
    for a, b in zip(one, two, strict=True):
        assert a.drop(columns="g").equals(b.drop(columns="g").loc[data.index])


def test_order_of_rows_with_weights_and_group_means() -> None:
    data = small()
    data["m"] = data.groupby("g")["x"].transform("mean")
    data["v"] = np.random.default_rng(1).uniform(0.2, 2, len(data))
    shuffled = data.sample(frac=1, random_state=1)
    derived = {"m": ("mean", "x", "g")}
    formula = "y ~ x + m + (1 + x | g)"
    one = impute(data, rb.Lmer(formula, weights="v"), derived=derived)
    two = impute(shuffled, rb.Lmer(formula, weights="v"), derived=derived)
    assert same(one, two, data.index)
    vector = impute(data, rb.Lmer(formula, weights=data["v"].to_numpy()), derived=derived)
    assert same(one, vector)


# -- processes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("backend", "n_jobs"), [("loky", 2), ("loky", 3), ("threading", 2)])
def test_same_bits_from_processes(imputed: rb.ImputedData, backend: str, n_jobs: int) -> None:
    with joblib.parallel_config(backend=backend):
        again = impute(mixed(), MIXED, auxiliary="w", m=4, n_jobs=n_jobs)
    assert same(imputed, again)
    pd.testing.assert_frame_equal(imputed.trace, again.trace)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_same_bits_where_r_evaluates_calls(backend: str) -> None:
    model = "y ~ splines::ns(x, 3) + poly(z, 2) + (1 | g)"
    one = impute(small(), model)
    with joblib.parallel_config(backend=backend):
        assert same(one, impute(small(), model, n_jobs=2))


@pytest.mark.parametrize("m", [2, 3, 7])
def test_first_imputations_are_the_same_for_any_m(imputed: rb.ImputedData, m: int) -> None:
    other = impute(mixed(), MIXED, auxiliary="w", m=m)
    for one, two in zip(imputed, other, strict=False):
        assert one.equals(two)


def test_same_bits_from_a_fresh_process() -> None:
    code = (
        "from tests.imputers.hostile import *\n"
        f"print(stacked(impute(small(), {MODEL!r}), 'x').tobytes().hex())"
    )
    root = Path(__file__).parents[2]
    fresh = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert fresh.stdout.strip() == stacked(impute(small(), MODEL), "x").tobytes().hex()


# -- what there is nothing to do for ---------------------------------------------------------------


def test_without_holes_all_data_sets_are_the_same() -> None:
    data = small().dropna()
    imp = impute(data, MODEL, iterations=2000)  # none of which is made
    assert all(frame.equals(data) for frame in imp)
    assert imp.trace.empty
    assert "nothing has to be drawn: the data sets are all the same." in imp.notes


def test_holes_in_unused_columns_stay_and_are_told() -> None:
    data = small()
    data["w"] = holed(data["w"], 4)
    imp = impute(data, MODEL)
    assert_sound(data, imp, ["x"])
    assert "w: holes stay, since neither the model nor `auxiliary` names this column." in imp.notes


# -- derived columns ------------------------------------------------------------------------------


def test_derived_columns_are_recomputed() -> None:
    data = mixed()
    data["ex"] = np.exp(data["x"])
    data["xf"] = data["x"] * (data["f"] == "lo")
    data["m"] = data.groupby("g")["x"].transform("mean")
    derived = {"ex": "exp(x)", "xf": 'x * (f == "lo")', "m": ("mean", "x", "g")}
    imp = impute(data, "y ~ ex + m + xf + (1 + ex | g)", derived=derived)
    for frame in imp:
        np.testing.assert_allclose(frame["ex"], np.exp(frame["x"]), rtol=1e-12)
        np.testing.assert_allclose(frame["xf"], frame["x"] * (frame["f"] == "lo"), rtol=1e-12)
        means = frame.groupby("g")["x"].transform("mean")
        np.testing.assert_allclose(frame["m"], means, rtol=1e-12)


def centred() -> pd.DataFrame:
    """Data whose x is split in its group's mean, of what is observed, and the distance from it."""
    return small().assign(
        m=lambda d: d.groupby("g")["x"].transform("mean"),
        c=lambda d: d["x"] - d["m"],
        square=lambda d: d["c"] ** 2,
    )


CENTRED = {"c": "x - m", "m": ("mean", "x", "g"), "square": "c^2"}


def test_derived_columns_may_follow_from_one_another() -> None:
    imp = impute(centred(), "y ~ c + square + m + (1 + c | g)", derived=CENTRED)
    for frame in imp:
        means = frame.groupby("g")["x"].transform("mean")
        np.testing.assert_allclose(frame["m"], means, rtol=1e-12)
        np.testing.assert_allclose(frame["c"], frame["x"] - means, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(frame["square"], frame["c"] ** 2, rtol=1e-12)
    # The formula may say the same: these are the same numbers.
    formula = "y ~ I(x - m) + I((x - m)^2) + m + (1 + I(x - m) | g)"
    said = impute(centred(), formula, derived={"m": CENTRED["m"]})
    for one, two in zip(imp, said, strict=True):
        np.testing.assert_array_equal(one[["x", "m"]], two[["x", "m"]])


def test_derived_columns_that_no_model_has_are_recomputed_too() -> None:
    data = centred().assign(total=lambda d: d["w"] + d["x"], wm=np.nan)
    derived = {**CENTRED, "total": "w + x", "wm": ("mean", "w", "g")}
    for frame in impute(data, "y ~ x + (1 | g)", derived=derived):
        np.testing.assert_allclose(frame["total"], frame["w"] + frame["x"], rtol=1e-12)
        means = frame.groupby("g")[["x", "w"]].transform("mean")
        np.testing.assert_allclose(frame["m"], means["x"], rtol=1e-12)
        np.testing.assert_allclose(frame["wm"], means["w"], rtol=1e-12)


# -- against the complete data --------------------------------------------------------------------


def large() -> pd.DataFrame:
    """Make complete data in which each category, level and column has a coefficient of its own."""
    random = np.random.default_rng(3)
    n, groups = 600, 30
    group = random.integers(0, groups, n)
    upper = group // 3
    x = 0.6 * random.normal(size=groups)[group] + random.normal(size=n)
    code = np.digitize(x + random.normal(size=n), [-0.8, 0.6])
    of_group, chosen = random.integers(0, 3, groups)[group], x + random.normal(size=n) > 0.5
    s = random.normal(size=10)[upper]
    y = 1 + x + np.array([0, 3, -2])[code] + np.array([0, -2, 2])[of_group] + 1.5 * chosen + s
    y += 0.5 * random.normal(size=groups)[group] + random.normal(size=n)
    return pd.DataFrame(
        {
            "y": y,
            "x": x,
            "text": np.array(["zz", "Aa", "mm"])[code],
            "category": pd.Categorical(np.array(["zz", "Aa", "mm"])[code], ["mm", "zz", "Aa"]),
            "answer": np.where(chosen, "Yes", "no"),
            "of_group": np.array(["u", "T", "b"])[of_group],
            "s": s,
            "g": [f"g{i}" for i in group],
            "a": [f"a{i}" for i in upper],
        }
    )


@pytest.mark.parametrize(
    ("formula", "incomplete"),
    [
        ("y ~ x + text + of_group + answer + s + (1 | g)", ["x", "text", "answer"]),
        ("y ~ x + category + of_group + answer + s + (1 | a/g)", ["category", "of_group", "s"]),
        ("y ~ 0 + text + x + of_group + answer + s + (1 | g)", ["text", "y"]),
    ],
)
def test_estimates_are_near_those_of_the_complete_data(formula: str, incomplete: list[str]) -> None:
    data = large()
    holes = data.copy()
    for i, name in enumerate(incomplete):
        holes[name] = holed(holes[name], i, 0.2)
        level = {"of_group": "g", "s": "a"}.get(name)
        if level is not None:  # without the value of all rows of some groups, too
            gone = holes[level].unique()[i::10]
            holes[name] = holes[name].mask(holes[level].isin(gone))
    imp = impute(holes, formula, m=4, iterations=40)
    assert_sound(holes, imp, incomplete)
    for name, level in (("of_group", "g"), ("s", "a")):
        assert all((frame.groupby(level)[name].nunique() == 1).all() for frame in imp)
    model = rb.Lmer(formula)
    complete = model.fit(data).tidy().query("effect == 'fixed'").set_index("term")["estimate"]
    pooled = model.fit(imp).pool().fixed.set_index("term")
    distance = (pooled["estimate"] - complete) / pooled["std_error"]
    assert distance.abs().max() < 3
