"""How columns are understood: kinds, levels, values and back, transforms, what is derived."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.imputers.columns import Column, understand
from rbridge_mi.imputers.derived_columns import check_derived, sources
from rbridge_mi.imputers.restoring import restore
from rbridge_mi.imputers.transforms import Transform, transform_of

N = 60
GROUPS = np.repeat(np.arange(12), 5)
SCHOOLS = {"g": GROUPS}


def frame(**columns: Any) -> pd.DataFrame:
    """Sixty rows in twelve groups, with a response, and these columns."""
    rng = np.random.default_rng(1)
    return pd.DataFrame({"y": rng.normal(size=N), "g": GROUPS, **columns})


def column(values: Any, dtype: Any = None, **arguments: Any) -> Column:
    """The column x of a frame, whose first cell is a hole."""
    cells = [None, *list(values)[1:]]
    data = frame(x=pd.Series(cells, dtype=dtype))
    return understand(data, response="y", covariates=["x"], groups=SCHOOLS, **arguments)["x"]


RNG = np.random.default_rng(2)
NORMAL = RNG.normal(size=N)
COUNTS = RNG.poisson(1.5, size=N)
BINARY = np.arange(N) % 2
THREE = RNG.permutation(np.arange(N) % 3)
ORDERED = pd.CategoricalDtype(["lo", "mid", "hi"], ordered=True)
TEXTS = [["hi", "lo", "mid"][i] for i in THREE]


@pytest.mark.parametrize(
    ("values", "dtype", "kind", "labels", "reason"),
    [
        (NORMAL, float, "continuous", None, "it holds numbers;"),
        (NORMAL, "Float64", "continuous", None, "it holds numbers;"),
        (COUNTS, "Int64", "count", None, "whole numbers of at least 0 with a mean below 3 SDs"),
        (COUNTS, float, "count", None, "whole numbers of at least 0"),
        (COUNTS - 1, "Int64", "continuous", None, "it holds numbers;"),
        (COUNTS + 100, "Int64", "continuous", None, "it holds numbers;"),
        (BINARY, "Int8", "binary", (0, 1), "its observed values are 0 and 1"),
        (BINARY + 0.5, float, "binary", (0.5, 1.5), "its observed values are 0.5 and 1.5"),
        (BINARY == 1, "boolean", "binary", (False, True), "it holds truth values"),
        (BINARY == 1, object, "binary", (False, True), "it holds truth values"),
        (TEXTS, "string", "categories", ("hi", "lo", "mid"), "it holds text"),
        (TEXTS, object, "categories", ("hi", "lo", "mid"), "it holds text"),
        (TEXTS, "category", "categories", ("hi", "lo", "mid"), "it holds unordered categories"),
        (TEXTS, ORDERED, "ordered", ("lo", "mid", "hi"), "it holds ordered categories"),
        (THREE, "category", "categories", ("0", "1", "2"), "it holds unordered categories"),
    ],
)
def test_kind_and_values(values: Any, dtype: Any, kind: str, labels: Any, reason: str) -> None:
    x = column(values, dtype)
    assert (x.kind, x.labels, x.level, x.missing, x.units) == (kind, labels, None, 1, N)
    assert reason in x.reason
    assert x.reason.endswith("; it varies within groups.")
    assert np.isnan(x.values[0])
    wanted = list(values)[1:]
    if labels is not None:
        place = {str(k): i for i, k in enumerate(labels)}
        wanted = [place[str(v)] for v in wanted]
    assert x.values[1:].tolist() == [float(v) for v in wanted]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (NORMAL, float),
        (NORMAL.astype("float32"), "float32"),
        (NORMAL, "Float64"),
        (COUNTS, "Int64"),
        (COUNTS, "int64"),
        (COUNTS, "UInt8"),
        (BINARY, "Int8"),
        (BINARY + 1.5, float),
        (BINARY == 1, "boolean"),
        (BINARY == 1, "bool"),
        (BINARY == 1, object),
        (TEXTS, "category"),
        (TEXTS, ORDERED),
        (THREE * 1.5, "category"),
        (TEXTS, "string"),
        (TEXTS, object),
        ([["f", "m"][i] for i in BINARY], pd.CategoricalDtype(["m", "f", "x"])),
    ],
)
def test_decoded_values_have_the_dtype_and_the_values_of_the_column(
    values: Any, dtype: Any
) -> None:
    original = pd.Series(list(values), dtype=dtype, name="x")
    data = frame(x=original)
    x = understand(data, response="y", covariates=["x"], groups=SCHOOLS)["x"]
    restored = restore(original, [x.decode(x.values)])
    assert restored.note is None
    assert restored.dtype == original.dtype
    back = pd.Series(restored.values[0], dtype=restored.dtype, name="x")
    pd.testing.assert_series_equal(back, original)


def test_decoding_keeps_holes() -> None:
    assert column(TEXTS, object).decode([0, np.nan, 2]) == ["hi", None, "mid"]
    decoded = column(BINARY + 0.5).decode([1, np.nan, 0])
    np.testing.assert_array_equal(decoded, [1.5, np.nan, 0.5])


def test_two_categories_are_binary_and_an_unused_one_is_told() -> None:
    dtype = pd.CategoricalDtype(["m", "x", "f"])
    x = column([["f", "m"][i] for i in BINARY], dtype)
    assert (x.kind, x.labels) == ("binary", ("m", "f"))
    assert set(x.values[1:]) == {0.0, 1.0}
    assert "of which 'x' is never observed and can't be imputed" in x.reason
    more = column(TEXTS, pd.CategoricalDtype(["lo", "never", "mid", "hi"], ordered=True))
    assert (more.kind, more.labels) == ("ordered", ("lo", "never", "mid", "hi"))
    assert set(more.values[1:]) == {0.0, 2.0, 3.0}
    assert "'never' is never observed" in more.reason
    two = column([["lo", "hi"][i] for i in BINARY], ORDERED)
    assert (two.kind, two.labels) == ("binary", ("lo", "hi"))


def test_types_override() -> None:
    counts = column(COUNTS, types={"x": "continuous"})
    assert counts.kind == "continuous"
    assert counts.reason.startswith("its kind is as `types` gives it;")
    assert column(BINARY, types={"x": "continuous"}).labels is None
    assert column(COUNTS + 100, types={"x": "count"}).kind == "count"
    coded = column(THREE * 2, types={"x": "ordered"})
    assert (coded.kind, coded.labels) == ("ordered", (0, 2, 4))
    np.testing.assert_array_equal(coded.decode([2, 0]), [4.0, 0.0])
    assert column(TEXTS, "category", types={"x": "ordered"}).kind == "ordered"


@pytest.mark.parametrize(
    ("values", "dtype", "kind", "says"),
    [
        (NORMAL, float, "category", "'category'; it must be one of 'continuous', 'binary'"),
        (NORMAL, float, "count", "'x' 'count', but it holds numbers that are no whole numbers"),
        (NORMAL, float, "binary", "'x' 'binary', but it holds 59 different numbers"),
        (TEXTS, object, "continuous", "'x' 'continuous', but it holds text"),
        (TEXTS, object, "ordered", r"text, which has no order: make it pd.Categorical"),
        (TEXTS, ORDERED, "count", "but it holds ordered categories: leave it out there"),
        (TEXTS, ORDERED, "binary", "'binary', but it holds 3 categories"),
        (BINARY == 1, "boolean", "count", "but it holds truth values"),
    ],
)
def test_types_that_cannot_be(values: Any, dtype: Any, kind: str, says: str) -> None:
    with pytest.raises(rb.ArgumentError, match=says):
        column(values, dtype, types={"x": kind})


def leveled(**arguments: Any) -> dict[str, Column]:
    rng = np.random.default_rng(3)
    district = GROUPS // 4
    z, w = rng.normal(size=12)[GROUPS], rng.normal(size=3)[district]
    z[[0, 7]] = np.nan  # their groups have other values
    z[GROUPS == 5] = np.nan
    data = frame(z=z, w=w, x=rng.normal(size=N), district=district)
    factors = {"g:district": GROUPS * 7 + 3, "district": district}
    names = ["z", "w", "x"]
    return understand(
        data, response="y", covariates=names, groups=factors, group_columns=["g", "district"],
        **arguments,
    )  # fmt: skip


def test_levels_are_seen_in_the_data() -> None:
    columns = leveled()
    z, w, x = columns["z"], columns["w"], columns["x"]
    assert (z.level, z.missing, z.units) == ("g:district", 1, 12)
    assert (w.level, w.missing, w.units) == ("district", 0, 3)
    assert (x.level, x.missing, x.units) == (None, 0, N)
    assert z.reason == "it holds numbers; it is constant within each group of g:district."
    # Holes of groups with a value are filled by it.
    assert z.values[0] == z.values[1]
    assert z.values[7] == z.values[5]
    assert np.isnan(z.values[GROUPS == 5]).all()
    assert np.isnan(z.values).sum() == 5
    assert {k: v.role for k, v in columns.items()} == {
        "y": "response",
        "g": "group",
        "z": "covariate",
        "w": "covariate",
        "x": "covariate",
        "district": "group",
    }


def test_levels_override() -> None:
    z = leveled(levels={"z": None, "w": "g:district"})
    assert (z["z"].level, z["z"].missing) == (None, 7)
    assert "as `levels` gives it" in z["z"].reason
    assert (z["w"].level, z["w"].units) == ("g:district", 12)
    with pytest.raises(rb.ArgumentError, match="levels gives 'z' 'school'; it must be one of 'g:"):
        leveled(levels={"z": "school"})


def test_a_column_with_one_row_per_group_is_of_the_level_of_rows() -> None:
    data = frame(x=NORMAL, id=np.arange(N))
    x = understand(data, response="y", covariates=["x"], groups={"id": np.arange(N)})["x"]
    assert (x.level, x.units) == (None, N)


def test_a_count_is_judged_by_the_values_of_its_groups() -> None:
    sizes = np.repeat([1, 3, 300], [20, 30, 10])
    groups = np.r_[np.zeros(20, int), np.ones(30, int), np.full(10, 2)]
    data = frame(n=sizes, y2=NORMAL)
    n = understand(data, response="y", covariates=["n"], groups={"k": groups})["n"]
    assert (n.kind, n.level, n.units) == ("count", "k", 3)


def test_roles() -> None:
    data = frame(x=NORMAL, a=NORMAL**2, m=NORMAL, other=pd.Timestamp("2020-01-01"))
    columns = understand(
        data,
        response="y",
        covariates=["x", "m", "g"],
        auxiliary=["a"],
        groups=SCHOOLS,
        derived={"m": ("mean", "x", "g")},
    )
    assert {k: v.role for k, v in columns.items()} == {
        "y": "response",
        "g": "covariate",
        "x": "covariate",
        "a": "auxiliary",
        "m": "derived",
        "other": "unused",
    }
    assert columns["m"].level == "g"
    assert not columns["other"].is_understood
    assert columns["other"].reason == "it holds datetime64[us], which are no values of any kind."


def test_the_response_is_of_the_level_of_rows() -> None:
    data = frame(x=NORMAL).assign(y=GROUPS * 1.5)
    assert understand(data, response="y", covariates=["x"], groups=SCHOOLS)["y"].level is None


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_units_change_nothing(factor: float) -> None:
    rng = np.random.default_rng(4)
    columns = {"x": NORMAL, "b": BINARY * 1.0, "z": rng.normal(size=12)[GROUPS], "s": NORMAL**4}
    columns["x"] = np.where(np.arange(N) < 9, np.nan, NORMAL)
    names = list(columns)
    data = frame(**columns)
    scaled = data.assign(**{x: data[x] * factor for x in names})
    one = understand(data, response="y", covariates=names, groups=SCHOOLS)
    two = understand(scaled, response="y", covariates=names, groups=SCHOOLS)
    for name in names:
        a, b = one[name], two[name]
        assert (a.kind, a.level, a.missing, a.units) == (b.kind, b.level, b.missing, b.units)
    counts = understand(frame(n=COUNTS * 1e6), response="y", covariates=["n"], groups=SCHOOLS)
    assert counts["n"].kind == "count"


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("auxiliary", ["nope"]),
        ("types", {"nope": "count"}),
        ("levels", {"nope": None}),
        ("transforms", {"nope": "log"}),
        ("bounds", {"nope": (0, 1)}),
        ("derived", {"nope": "log(x)"}),
    ],
)
def test_unknown_columns(argument: str, value: Any) -> None:
    says = f"{argument} names 'nope', which the data do not have; their columns are 'y', 'g', 'x'"
    with pytest.raises(rb.ArgumentError, match=says):
        column(NORMAL, **{argument: value})


# --- transforms


@pytest.mark.parametrize(
    ("name", "bounds", "values", "scaled", "limits"),
    [
        (None, None, [-1.0, 2.0], [-1.0, 2.0], (-np.inf, np.inf)),
        (None, (0, 5), [0.0, 5.0], [0.0, 5.0], (0.0, 5.0)),
        (None, (None, 5), [-9.0, 5.0], [-9.0, 5.0], (-np.inf, 5.0)),
        ("log", None, [1.0, math.e], [0.0, 1.0], (-np.inf, np.inf)),
        ("log", (10, None), [11.0, 10 + math.e], [0.0, 1.0], (-np.inf, np.inf)),
        ("log", (10, 12), [11.0, 12.0], [0.0, np.log(2)], (-np.inf, np.log(2))),
        ("logit", None, [0.5, 0.75], [0.0, np.log(3)], (-np.inf, np.inf)),
        ("logit", (0, 100), [50.0, 75.0], [0.0, np.log(3)], (-np.inf, np.inf)),
    ],
)
def test_transforms(name: Any, bounds: Any, values: Any, scaled: Any, limits: Any) -> None:
    transform = transform_of("x", name, bounds)
    np.testing.assert_allclose(transform.forward(values), scaled, atol=1e-14)
    np.testing.assert_allclose(transform.backward(scaled), values, rtol=1e-14)
    assert (transform.lower, transform.upper) == limits
    assert not transform.outside([*values, np.nan]).any()


@pytest.mark.parametrize("transform", [Transform("log", 0.0), Transform("logit", 2.0, 3.0)])
def test_draws_far_out_come_back_inside_the_range(transform: Transform) -> None:
    values = transform.backward([-1e4, 1e4])
    assert not transform.outside(values).any()
    assert np.isfinite(transform.forward(values)).all()


def test_which_values_are_outside() -> None:
    assert transform_of("x", None, (0, 1)).outside([-0.1, 0, 1, 1.1]).tolist() == [1, 0, 0, 1]
    assert transform_of("x", "log", (None, 1)).outside([0, 0.1, 1, 1.1]).tolist() == [1, 0, 0, 1]
    assert transform_of("x", "logit").outside([0, 0.5, 1]).tolist() == [1, 0, 1]


def test_a_transform_makes_a_count_continuous_and_bounds_do_not() -> None:
    x = column(COUNTS + 1, transforms={"x": "log"})
    assert (x.kind, x.transform) == ("continuous", Transform("log", 0.0))
    assert x.reason.startswith("it is imputed on the scale of its log;")
    bounded = column(COUNTS, bounds={"x": (0, 20)})
    assert (bounded.kind, bounded.transform.upper) == ("count", 20.0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"transforms": {"x": "sqrt"}}, "'x' 'sqrt'; a transform is one of 'identity', 'log'"),
        (
            {"transforms": {"x": "logit"}, "bounds": {"x": (0, None)}},
            "one limit, .* its logit needs both: give the other too",
        ),
        ({"bounds": {"x": (3, 1)}}, r"\(3, 1\), between which there is no value"),
        ({"bounds": {"x": 3}}, r"must be a pair of numbers, such as \(0, 100\)"),
        ({"bounds": {"x": (0, np.nan)}}, "must be a pair of numbers"),
        (
            {"transforms": {"x": "log"}, "bounds": {"x": (None, -1)}},
            "no value that has a log",
        ),
    ],
)
def test_transforms_that_cannot_be(arguments: Any, says: str) -> None:
    with pytest.raises(rb.ArgumentError, match=says):
        column(NORMAL, **arguments)


@pytest.mark.parametrize("argument", [{"transforms": {"x": "log"}}, {"bounds": {"x": (0, 1)}}])
@pytest.mark.parametrize(("values", "dtype"), [(TEXTS, object), (BINARY, float)])
def test_transforms_of_what_is_not_continuous(values: Any, dtype: Any, argument: Any) -> None:
    says = f"{next(iter(argument))} names 'x', which is of the kind .* or give types="
    with pytest.raises(rb.ArgumentError, match=says):
        column(values, dtype, **argument)


# --- derived


def test_sources() -> None:
    assert sources(("mean", "ses", "g")) == ["ses"]
    assert sources("log(ses) + 1e3 * `my x` - ses^2") == ["ses", "my x"]
    assert sources("stats::poly(a.b, degree = 2L)[, 1] == TRUE") == ["a.b"]
    assert sources("ifelse(sex == 'f', .x1, pi)") == ["sex", ".x1"]


@pytest.mark.parametrize(
    ("derived", "says"),
    [
        ({"x": 3}, r"'x' 3; it must be \('mean', column, group\), or an R expression"),
        ({"x": ("median", "y", "g")}, "or an R expression of columns such as"),
        ({"y": "x"}, "names 'y', the response"),
        ({"x": ("mean", "y", "h")}, "the mean in 'h', which is no grouping factor .* are 'g'"),
        ({"x": ("mean", "v", "g")}, "no column 'v'; their columns are 'y', 'g', 'x'"),
        ({"x": "log(v)"}, "no column 'v'"),
        ({"x": "1 + 2"}, "in which no column is named"),
        ({"x": "g + 1", "g": "x"}, "derived has a circle, x -> g -> x"),
    ],
)
def test_derived_that_cannot_be(derived: Any, says: str) -> None:
    with pytest.raises(rb.ArgumentError, match=says):
        check_derived(derived, frame(x=NORMAL), ["g"], "y")
