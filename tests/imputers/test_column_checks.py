"""Each refusal says what is wrong, where, and the remedy; each note what to know of the data."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.imputers.column_checks import (
    Refusal,
    check_columns_can_be_imputed,
    notes,
    refusals,
)
from rbridge_mi.imputers.columns import understand

N = 200
GROUPS = np.repeat(np.arange(25), 8)
RNG = np.random.default_rng(7)
X = RNG.normal(size=N)
POSITIVE = np.exp(RNG.normal(size=N))
Z = RNG.normal(size=25)[GROUPS]
Y = RNG.normal(size=N)
BINARY = RNG.integers(0, 2, size=N).astype(float)
THREE = RNG.integers(0, 3, size=N)
HOLES = np.arange(N) % 10 == 3


def holed(values: Any, dtype: Any = float, holes: Any = HOLES) -> pd.Series[Any]:
    """Make a column with holes in every tenth row, the first of which is row 3."""
    cells = [None if hole else x for x, hole in zip(values, holes, strict=True)]
    return pd.Series(cells, dtype=dtype)


def frame(columns: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame({"y": Y, "g": GROUPS, **columns})


def refused(columns: dict[str, Any], groups: Any = None, **arguments: Any) -> list[Refusal]:
    data = frame(columns)
    factors = {"g": pd.factorize(data["g"])[0]} if groups is None else groups
    names = [x for x in data.columns if x not in ("y", "g")]
    understood = understand(data, response="y", covariates=names, groups=factors, **arguments)
    return refusals(data, understood, factors)


def told(columns: dict[str, Any], groups: Any = None, **arguments: Any) -> list[str]:
    data = frame(columns)
    factors = {"g": GROUPS} if groups is None else groups
    names = [x for x in data.columns if x not in ("y", "g")]
    understood = understand(data, response="y", covariates=names, groups=factors, **arguments)
    return notes(data, understood, factors)


def test_sound_data_are_not_refused() -> None:
    columns = {
        "x": holed(X),
        "z": holed(Z, holes=GROUPS == 2),
        "b": holed(BINARY, "Int8"),
        "c": holed([["a", "b", "c"][i] for i in THREE], object),
        "p": holed(POSITIVE),
    }
    assert refused(columns) == []
    assert refused(columns, transforms={"p": "log"}, bounds={"x": (-9, 9)}) == []


MANY = [f"k{i % 25}" for i in range(N)]
INFINITE = np.where(np.isin(np.arange(N), [4, 9]), np.inf, X)


@pytest.mark.parametrize(
    ("columns", "arguments", "column", "text"),
    [
        (
            {"g": holed([f"s{i}" for i in GROUPS], object)},
            {},
            "g",
            "column 'g' is a grouping factor and has 20 rows (3, 13, 23, 33, 43, ...) without a "
            "value: a row's group can't be imputed; leave these rows out, or give them one.",
        ),
        (
            {"x": INFINITE},
            {},
            "x",
            "column 'x' is infinite in 2 rows (4, 9): give finite values there, or make them "
            "missing.",
        ),
        (
            {"x": np.where(np.arange(N) == 2, -np.inf, 1.0)},
            {},
            "x",
            "column 'x' is infinite in 1 row (2): give finite values there, or make them missing.",
        ),
        (
            {"x": pd.Series([None] * N, dtype=object)},
            {},
            "x",
            "column 'x' has no observed value: nothing tells what it could be; leave it out.",
        ),
        (
            {"x": holed(np.full(N, 2.5))},
            {},
            "x",
            "column 'x' has 20 rows without a value, and all observed ones are 2.5: nothing tells "
            "how it varies; leave it out, or fill it with that value.",
        ),
        (
            {"x": holed(["a"] * N, object, GROUPS == 1)},
            {"levels": {"x": "g"}},
            "x",
            "column 'x' has 1 group of 'g' without a value, and all observed ones are 'a': nothing "
            "tells how it varies; leave it out, or fill it with that value.",
        ),
        (
            {"x": np.full(N, np.nan)},
            {},
            "x",
            "column 'x' has no observed value: nothing tells what it could be; leave it out.",
        ),
        (
            {"x": holed(MANY, object)},
            {},
            "x",
            "column 'x' has 25 unordered categories and 20 rows without a value: at most 20 can be "
            "imputed; merge some, or leave it out if it is an identifier.",
        ),
        (
            {"x": pd.Series(pd.Timestamp("2020-01-01"), range(N)).astype("datetime64[s]")},
            {},
            "x",
            "column 'x' holds datetime64[s], which are no values of any kind: convert it to "
            "numbers, truth values, categories or text of one type, or leave it out.",
        ),
        (
            {"x": pd.Series([1, "a"] * (N // 2), dtype=object)},
            {},
            "x",
            "column 'x' holds objects (mixed-integer), which are no values of any kind: convert it "
            "to numbers, truth values, categories or text of one type, or leave it out.",
        ),
        (
            {"x": pd.Series([2**53 + 1, 2] * (N // 2))},
            {},
            "x",
            "column 'x' holds whole numbers beyond 2**53, which are no values of any kind: convert "
            "it to numbers, truth values, categories or text of one type, or leave it out.",
        ),
        (
            {"x": np.arange(N) * 1.0},
            {"levels": {"x": "g"}},
            "x",
            "column 'x' is to have one value in each group of 'g', but group '0' has 0 and 1, and "
            "24 more groups have several: make them the same, or leave levels={'x': 'g'} out.",
        ),
        (
            {"x": np.where(np.arange(N) == 17, -3.0, POSITIVE)},
            {"transforms": {"x": "log"}},
            "x",
            "column 'x' must be above 0 for its log, but is -3 in row 17: change bounds or "
            "transforms, or make these cells missing.",
        ),
        (
            {"x": np.where(np.arange(N) > 192, 11.0, BINARY + X / 10)},
            {"bounds": {"x": (None, 10)}},
            "x",
            "column 'x' must be at most 10, but is 11 in row 193, 11 in row 194, 11 in row 195, 11 "
            "in row 196, 11 in row 197 and 2 more: change bounds or transforms, or make these "
            "cells missing.",
        ),
        (
            {"x": np.where(np.arange(N) == 1, 1.0, 1 / (1 + POSITIVE))},
            {"transforms": {"x": "logit"}},
            "x",
            "column 'x' must be above 0 and below 1 for its logit, but is 1 in row 1: change "
            "bounds or transforms, or make these cells missing.",
        ),
    ],
)
def test_single_columns(columns: Any, arguments: Any, column: str, text: str) -> None:
    assert refused(columns, **arguments) == [Refusal(column, text)]


@pytest.mark.parametrize("scale", [1e-300, 1e9, 1e300])
def test_large_and_small_numbers(scale: float) -> None:
    columns = {"x": holed(X * scale), "w": holed(POSITIVE * scale), "z": Z * scale}
    assert refused(columns) == []
    assert [x for x in told(columns) if "mean of" in x] == []


def test_one_group() -> None:
    (refusal,) = refused({"x": holed(X)}, groups={"g": np.zeros(N, int)})
    assert refusal == Refusal(
        "g",
        "the grouping factor 'g' has one group: nothing tells how groups vary; use a model without "
        "it, or AmeliaImputer, which knows no groups.",
    )


def test_a_hole_in_a_column_of_a_nested_factor() -> None:
    classes = holed(np.arange(N) // 4, "Int64", np.arange(N) == 5)
    data = frame({"class": classes})
    groups = {"class:g": pd.factorize(classes)[0]}
    columns = understand(
        data, response="y", covariates=[], groups=groups, group_columns=["class", "g"]
    )
    (refusal,) = refusals(data, columns, groups)
    assert refusal.column == "class"
    assert "has 1 row (5) without a value" in refusal.text


def test_unused_columns_are_not_looked_at() -> None:
    data = frame({"x": INFINITE, "when": pd.Timestamp("2020-01-01")})
    columns = understand(data, response="y", covariates=[], groups={"g": GROUPS})
    assert refusals(data, columns, {"g": GROUPS}) == []


def test_all_refusals_are_raised_at_once() -> None:
    found = refused({"x": INFINITE, "e": np.full(N, np.nan)})
    with pytest.raises(rb.ImputationError) as error:
        check_columns_can_be_imputed(found)
    assert str(error.value).splitlines() == [x.text for x in found]
    assert [x.column for x in found] == ["x", "e"]
    check_columns_can_be_imputed([])


# --- functions of other columns


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize(
    ("of", "value", "expression"),
    [
        (X, 3 + 2 * X, "3 + 2 * x"),
        (X, 2 - X, "2 - x"),
        (POSITIVE, np.log(POSITIVE), "log(x)"),
        (POSITIVE, 1 - 4 * np.log(POSITIVE), "1 - 4 * log(x)"),
        (X, np.exp(X), "exp(x)"),
        (POSITIVE, np.sqrt(POSITIVE), "x^0.5"),
        (POSITIVE, POSITIVE**2, "x^2"),
        (POSITIVE, 3 / POSITIVE, "3 * x^-1"),
        (X, X**2, "x^2"),
        (X, (X - 1) ** 2, "1 - 2 * x + x^2"),
    ],
    ids=[
        "line",
        "negative",
        "log",
        "log line",
        "exp",
        "root",
        "power",
        "inverse",
        "square",
        "centred square",
    ],
)
def test_functions_of_one_column(of: Any, value: Any, expression: str, scale: float) -> None:
    (refusal,) = refused({"x": of, "x2": holed(value * scale)})
    assert refusal.column == "x2"
    assert refusal.text.startswith("column 'x2' is a function of 'x' (")
    assert "in all 180 units where they are observed" in refusal.text
    assert refusal.text.endswith(", or leave 'x2' out.")
    if scale == 1.0:
        assert f"declare derived={{'x2': \"{expression}\"}}" in refusal.text


W = np.random.default_rng(8).normal(size=N)
FACTORS = {"x": X, "w": W, "b": BINARY, "p": POSITIVE, "h": np.exp(W / 4)}


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize(
    ("value", "expression", "others"),
    [
        (X * W, "x * w", ["x", "w"]),
        (X * BINARY, "x * b", ["x", "b"]),
        ((X - 1) * (W - 2), "2 + x * w - 2 * x - w", ["x", "w"]),
        (-3 * X * W, "-3 * x * w", ["x", "w"]),
        (POSITIVE / FACTORS["h"] ** 2, "p * h^-2", ["p", "h"]),
        (10 * POSITIVE * FACTORS["h"], "10 * p * h", ["p", "h"]),
    ],
    ids=["product", "with a binary", "centred", "negative", "ratio", "positive"],
)
def test_products_of_columns(value: Any, expression: str, others: list[str], scale: float) -> None:
    columns = {name: FACTORS[name] for name in others}
    (refusal,) = refused({**columns, "q": holed(value * scale)})
    assert refusal.column == "q"
    assert f"column 'q' is a function of {', '.join(map(repr, others))} (" in refusal.text
    if scale == 1.0:
        assert f"declare derived={{'q': \"{expression}\"}}" in refusal.text
    # With an error in it, it is no function.
    noisy = value * (1 + 1e-6 * RNG.normal(size=N)) * scale
    assert refused({**columns, "q": holed(noisy)}) == []
    assert refused({**columns, "q": holed(value * scale)}, derived={"q": expression}) == []


def test_units_of_the_other_column_change_nothing() -> None:
    for scale in (1e-6, 1e6):
        for value in (3 + 2 * X, X**2):
            (refusal,) = refused({"x": X * scale, "x2": holed(value)})
            assert refusal.column == "x2"
        assert refused({"x": holed(X * scale), "p": holed(POSITIVE)}) == []


def test_the_expression_gives_the_values() -> None:
    (refusal,) = refused({"x": X, "x2": holed(1.7 - 0.3 * (X + 4) ** 2)})
    match = re.search(r'"(.*)"', refusal.text)
    assert match is not None
    terms = re.fullmatch(r"([\d.-]+) - ([\d.]+) \* x - ([\d.]+) \* x\^2", match[1])
    assert terms is not None
    a, b, c = map(float, terms.groups())
    np.testing.assert_allclose(a - b * X - c * X**2, 1.7 - 0.3 * (X + 4) ** 2, rtol=1e-8)


def test_a_declared_function_is_not_refused() -> None:
    columns = {"x": holed(X), "x2": holed(X**2)}
    assert refused(columns, derived={"x2": "x^2"}) == []


def test_complete_columns_may_be_functions_of_each_other() -> None:
    assert refused({"x": X, "x2": X**2, "w": holed(POSITIVE)}) == []


def test_the_later_of_two_functions_with_as_many_holes_is_named() -> None:
    (refusal,) = refused({"x": holed(X), "x2": holed(5 * X)})
    assert refusal.column == "x2"
    (refusal,) = refused({"x": holed(X), "x2": 5 * X})
    assert refusal.column == "x"


def test_each_function_is_named_once() -> None:
    found = refused({"x": holed(X), "x2": holed(2 * X), "x3": holed(1 - X), "x4": holed(X**2)})
    assert [x.column for x in found] == ["x2", "x3", "x4"]
    assert all("function of 'x' (" in x.text for x in found)


def test_a_covariate_that_is_the_response() -> None:
    data = frame({"x": 2 * Y})
    data["y"] = holed(Y)
    columns = understand(data, response="y", covariates=["x"], groups={"g": GROUPS})
    (refusal,) = refusals(data, columns, {"g": GROUPS})
    assert refusal.column == "x"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (THREE, holed([["u", "v", "w"][i] for i in THREE], object)),
        (BINARY, holed(1 - BINARY)),
        (BINARY == 1, holed([["m", "f"][int(i)] for i in BINARY], "category")),
    ],
)
def test_recoded_categories(one: Any, two: Any) -> None:
    (refusal,) = refused({"one": one, "two": two})
    assert refusal.text == (
        "columns 'two' and 'one' hold the same in other categories: in the 180 units where both "
        "are observed, each value of the one goes with one value of the other. Fill the holes of "
        "the one from the other and leave one out."
    )


def test_a_category_in_most_rows_the_same_is_not_the_same() -> None:
    other = BINARY.copy()
    other[10] = 1 - other[10]
    assert refused({"one": BINARY, "two": holed(other)}) == []


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_linear_functions_of_several_columns(scale: float) -> None:
    total = (X + 2 * POSITIVE) * scale
    columns = {"x": X * scale, "p": POSITIVE * scale, "w": BINARY, "total": holed(total)}
    (refusal,) = refused(columns)
    assert refusal.column == "total"
    assert "function of 'x', 'p' (x + 2 * p) in all 180 units" in refusal.text


def test_dummies_that_sum_to_one() -> None:
    dummies = {f"d{i}": holed((i == THREE) * 1.0) for i in range(3)}
    (refusal,) = refused(dummies)
    assert "column 'd2' is a function of 'd0', 'd1' (1 - d0 - d1)" in refusal.text


def test_few_groups_are_no_function_by_chance() -> None:
    rng = np.random.default_rng(5)
    district = GROUPS // 5
    columns = {f"z{i}": rng.normal(size=5)[district] for i in range(6)}
    columns["z0"] = np.where(district == 1, np.nan, columns["z0"])
    assert refused({**columns, "g": district}) == []


def test_functions_at_the_level_of_groups() -> None:
    z = np.where(GROUPS == 4, np.nan, 2 * Z + 1)
    (refusal,) = refused({"z1": Z, "z2": z})
    assert "function of 'z1' (1 + 2 * z1) in all 24 units" in refusal.text


def test_an_incomplete_group_mean() -> None:
    mean = pd.Series(X).groupby(GROUPS).transform("mean")
    holes = np.isin(GROUPS, [3, 8])
    (refusal,) = refused({"x": X, "m": mean.mask(holes)})
    assert refusal == Refusal(
        "m",
        "column 'm' has holes and is the mean of 'x' in each group of 'g': declare "
        "derived={'m': ('mean', 'x', 'g')}, so that it is computed, or leave 'm' out.",
    )
    (scaled,) = refused({"x": X, "m": 1e6 * mean.mask(holes)})
    assert "is a linear function of the mean of 'x'" in scaled.text
    assert "give the mean itself and declare derived=" in scaled.text
    declared = {"m": ("mean", "x", "g")}
    assert refused({"x": X, "m": mean.mask(holes)}, derived=declared) == []


# --- notes


def test_nothing_is_told_of_sound_data() -> None:
    assert told({"x": holed(X), "b": holed(BINARY)}) == []


@pytest.mark.parametrize("rows", ["complete", "observed"])
def test_a_complete_group_mean_of_an_incomplete_column(rows: str) -> None:
    mean = pd.Series(X).groupby(GROUPS).transform("mean").round(4)
    holes = np.arange(N) % 40 == 3 if rows == "complete" else np.arange(N) % 8 == 3
    x = holed(X, holes=holes)
    where = "in the groups without holes"
    if rows == "observed":
        mean, where = x.groupby(GROUPS).transform("mean"), "of what is observed"
    assert told({"x": x, "m": mean}) == [
        f"m is the mean of x in g ({where}): it is taken as given; declare "
        "derived={'m': ('mean', 'x', 'g')} to have it recomputed."
    ]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        (POSITIVE**2, "consider transforms={'x': 'log'}."),
        (POSITIVE**2 - 1, "transforms={'x': 'log'} with bounds={'x': (least, None)}."),
        (-(POSITIVE**2), "consider transforms={'x': 'logit'} with bounds."),
    ],
)
def test_skewed(values: Any, remedy: str, scale: float) -> None:
    (note,) = told({"x": holed(values * scale)})
    assert note.startswith("x is skewed (skewness ")
    assert note.endswith(remedy)
    assert told({"x": values}) == []


def test_a_transform_is_the_answer_to_skewness() -> None:
    assert told({"x": holed(POSITIVE**2)}, transforms={"x": "log"}) == []


def test_few_groups_and_groups_of_one() -> None:
    assert told({"x": holed(X)}, groups={"g": np.arange(N) // 20}) == [
        "g has 10 groups: with fewer than 20, variances between groups depend on the priors."
    ]
    singles = np.r_[np.arange(30), np.repeat(np.arange(30, 47), 10)]
    assert told({"x": holed(X, holes=np.arange(N) == 150)}, groups={"g": singles}) == [
        "g has 30 groups of one row among 47: they tell nothing of the variance within groups."
    ]


def test_groups_without_an_observed_value() -> None:
    (note,) = told({"x": holed(X, holes=np.isin(GROUPS, [2, 5, 6]))})
    assert note == (
        "x has no observed value in 3 of 25 groups of g: they get it from the other columns and "
        "groups."
    )


def test_a_category_with_one_row() -> None:
    texts = ["rare" if i == 42 else ["a", "b"][i % 2] for i in range(N)]
    assert refused({"x": holed(texts, object)}) == []
    (note,) = told({"x": holed(texts, object)})
    assert note == (
        "x has one row with 'rare' (row 42): it is hardly ever imputed; consider merging the "
        "category with another."
    )
