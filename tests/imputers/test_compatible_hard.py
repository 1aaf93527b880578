"""CompatibleImputer on data and models that could break it: an answer, or a refusal by name."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb

from .hostile import assert_sound, holed, impute, small

pytestmark = pytest.mark.timeout(60)

SLOPE = "y ~ x + z + (1 + x | g)"
PLAIN = "y ~ x + f + (1 | g)"
TEXT = np.array(["lo", "Mid", "hi"])
RANDOM = np.random.default_rng(7)
CODES = RANDOM.integers(0, 3, 120)
NORMAL = RANDOM.normal(size=120)


def with_f(values: Any, **columns: Any) -> pd.DataFrame:
    return small().assign(f=values, **columns)


# -- hard data ------------------------------------------------------------------------------------


def groups_of_one(some: int) -> pd.DataFrame:
    data = small()
    data.loc[: some - 1, "g"] = [f"single {i}" for i in range(some)]
    return data


HARD: dict[str, tuple[pd.DataFrame, str]] = {
    "a group with every x missing": (
        small().assign(x=lambda d: d["x"].mask(d["g"] == "g3")),
        SLOPE,
    ),
    "groups of one": (groups_of_one(5).assign(z=NORMAL), SLOPE),
    "all groups of one": (groups_of_one(120), "y ~ x + (1 + x | g)"),
    "90% missing": (small().assign(x=lambda d: holed(d["w"], 1, 0.9)), SLOPE),
    "two groups": (small().assign(g=lambda d: np.where(d.index % 2, "a", "b")), "y ~ x + (1|g)"),
    "complete columns that are collinear": (
        small().assign(z2=lambda d: 2 * d["z"]),
        "y ~ x + z + z2 + (1 + x | g)",
    ),
    "columns that are nearly collinear": (
        small().assign(x2=lambda d: holed(d["x"] + 1e-7 * NORMAL, 5)),
        "y ~ x + x2 + (1 | g)",
    ),
    "more columns than rows": (
        small().iloc[:45].assign(**{f"u{i}": NORMAL[i : i + 45] for i in range(50)}),
        "y ~ x + " + " + ".join(f"u{i}" for i in range(50)) + " + (1 | g)",
    ),
    "a constant column without holes": (small().assign(k=3.0), "y ~ x + k + (1 | g)"),
    "a random slope of zeros": (small().assign(k=0.0), "y ~ x + (1 | g) + (0 + k | g)"),
    "an infinite value elsewhere": (small().assign(k=np.inf), SLOPE),
    "a large mean": (
        small().assign(x=lambda d: 1e9 + 1e-2 * d["x"]),
        "y ~ x + (1 + x | g)",
    ),
    "the smallest numbers": (small().assign(x=lambda d: d["x"] * 1e-200), SLOPE),
    "the largest numbers": (small().assign(x=lambda d: d["x"] * 1e200), SLOPE),
    "zeros under a root": (
        small().assign(x=lambda d: holed(np.maximum(d["w"], 0), 3)),
        "y ~ sqrt(x) + (1 | g)",
    ),
    "a slope where only one row is observed": (
        small().assign(x=lambda d: d["x"].where(d.index.isin([0, 16, 32, 48]))),
        SLOPE,
    ),
}


@pytest.mark.parametrize("name", HARD)
def test_hard_data_are_imputed(name: str) -> None:
    data, model = HARD[name]
    incomplete = [x for x in ("x", "x2") if x in data and data[x].isna().any()]
    assert_sound(data, impute(data, model), incomplete)


def test_separation() -> None:
    data = small()
    data["b"] = holed((data["y"] > data["y"].median()).astype(float), 3)
    assert_sound(data, impute(data, "y ~ b + (1 | g)"), ["b"])
    data["above"] = data["z"] > 0
    for link in ("probit", "logit"):
        imp = impute(data, "above ~ x + z + (1 | g)", family="binomial", link=link, iterations=100)
        assert_sound(data, imp, ["x"])


def test_a_category_of_one_row() -> None:
    data = with_f(holed(pd.Series(np.where(CODES > 0, "a", "b")), 3, 0.2))
    data.loc[0, "f"] = "only"
    imp = impute(data, PLAIN)
    assert_sound(data, imp, ["x", "f"])
    assert any("f has one row with 'only'" in note for note in imp.notes)


def test_response_and_covariates_missing_in_the_same_rows() -> None:
    data = small()
    data["y"] = data["y"].mask(data["x"].isna())
    assert_sound(data, impute(data, SLOPE), ["x", "y"])


def test_bounds_are_kept() -> None:
    data = small()
    least, greatest = data["x"].min(), data["x"].max()
    for transforms in ({}, {"x": "logit"}):
        bounds = {"x": (least - 0.01, greatest + 0.01)}
        imp = impute(data, SLOPE, bounds=bounds, transforms=transforms)
        for frame in imp:
            assert frame["x"].between(least - 0.01, greatest + 0.01).all()


def test_bounds_of_counts_are_kept() -> None:
    counts = holed(RANDOM.poisson(3, 120).clip(2, 6).astype(float), 4, 0.4)
    data = small().assign(n=counts)
    imp = impute(data, "y ~ x + n + (1 | g)", bounds={"n": (2, 6)}, iterations=60, m=4)
    assert imp.original["n"].nunique() == 5
    assert {x for frame in imp for x in frame["n"]} == {2.0, 3.0, 4.0, 5.0, 6.0}


def test_index_and_names_are_the_users() -> None:
    data = small()
    data.index = pd.Index([0] * len(data))
    assert_sound(data, impute(data, SLOPE), ["x"])
    names = {"y": 'the "answer"', "x": "my x", "z": "zé·", "g": "gr'p", "w": "mean"}
    odd = small().rename(columns=names)
    formula = '`the "answer"` ~ `my x` + `zé·` + (1 + `my x` | `gr\'p`)'
    assert_sound(odd, impute(odd, formula, auxiliary="mean"), ["my x"])
    r = small().rename(columns={"y": "mean", "x": "c", "z": "I", "g": "T", "w": "(Intercept)"})
    imp = impute(r, "mean ~ c + I + `(Intercept)` + (1 + c | T)")
    assert_sound(r, imp, ["c"])


# -- refusals -------------------------------------------------------------------------------------


def cell(column: str, value: Any) -> pd.DataFrame:
    data = small().assign(v=1.0)
    data.loc[7, column] = value
    return data


REFUSED: dict[str, tuple[pd.DataFrame, Any, str]] = {
    "one group": (small().assign(g="a"), SLOPE, "'g' has one group"),
    "a function of another": (
        small().assign(x2=lambda d: d["x"] ** 2),
        "y ~ x + x2 + (1 | g)",
        r"column 'x2' is a function of 'x' \(x\^2\)",
    ),
    "a constant with holes": (cell("v", None), "y ~ x + v + (1 | g)", "column 'v' has 1 row"),
    "a constant response": (small().assign(y=3.0), SLOPE, "'y', the response, is 3"),
    "an infinite covariate": (cell("x", np.inf), SLOPE, r"column 'x' is infinite in 1 row \(7\)"),
    "an infinite response": (cell("y", -np.inf), SLOPE, r"column 'y' is infinite in 1 row \(7\)"),
    "a hole in the group": (cell("g", None), SLOPE, r"'g' is a grouping factor and has 1 row"),
    "a hole in the weights": (
        cell("v", None),
        rb.Lmer(SLOPE, weights="v"),
        r"weights must be finite and positive, and 1 row is not \(the first is 7\)",
    ),
    "a negative weight": (cell("v", -1), rb.Lmer(SLOPE, weights="v"), "weights must be finite"),
    "a hole in the argument offset": (cell("v", None), rb.Lmer(SLOPE, offset="v"), "offset must"),
    "a hole in offset()": (cell("w", None), SLOPE + " + offset(w)", "column 'w' is in offset"),
    "an incomplete offset": (small(), "y ~ z + offset(x) + (1 | g)", "column 'x' is in offset"),
    "no x at all": (small().assign(x=np.nan), SLOPE, "column 'x' has no observed value"),
    "no y at all": (small().assign(y=np.nan), SLOPE, "column 'y' has no observed value"),
    "no text at all": (
        with_f(pd.Series([None] * 120, dtype=object)),
        PLAIN,
        "column 'f' has no observed value",
    ),
    "times": (with_f(pd.date_range("2020", periods=120)), PLAIN, "column 'f' holds datetime64"),
    "numbers made a factor": (
        with_f(holed(CODES.astype(float), 4)),
        "y ~ x + factor(f) + (1 | g)",
        r"factor\(f\) makes a factor of it.*types={'f': 'categories'}",
    ),
    "a logarithm of what is negative": (small(), "log(y) ~ x + (1 | g)", r"values in 'log\(y\)'"),
    "the response as a slope": (small(), "y ~ x + (1 + y | g)", "column 'y' is the response"),
    "cut": (small(), "y ~ cut(x, 3) + (1 | g)", r"'cut\(x, 3\)' gives a row another value"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name: str) -> None:
    data, model, text = REFUSED[name]
    with pytest.raises(rb.ImputationError, match=text):
        impute(data, model)


def test_what_follows_from_the_response_is_no_predictor() -> None:
    data = small().assign(twice=lambda d: 2 * d["y"])
    with pytest.raises(rb.ImputationError, match="column 'twice' is derived from the response"):
        impute(data, "y ~ x + twice + (1 | g)", derived={"twice": "2 * y"})
    derived = {"twice": "2 * y", "four": "2 * twice"}
    with pytest.raises(rb.ImputationError, match="column 'four' is derived from the response"):
        impute(data.assign(four=0.0), "y ~ x + four + (1 | g)", derived=derived)


def means(**columns: Any) -> pd.DataFrame:
    data = small().assign(m=lambda d: d.groupby("g")["x"].transform("mean"), c=1.0)
    return data.assign(**columns)


MEAN = {"m": ("mean", "x", "g")}
DERIVED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "from holes that stay": (
        SLOPE, {"c": "2 * u"}, r"'c' is derived from 'u', whose holes stay.*auxiliary=\['u'\]",
    ),
    "in two steps from holes that stay": (
        SLOPE, {"c": "2 * m", "m": ("mean", "u", "g")}, "column 'c' is derived from 'u'",
    ),
    "an offset that changes": (
        "y ~ x + offset(m) + (1 | g)", MEAN,
        r"column 'm' is in offset\(\), which is taken as the data have it, and `derived` would",
    ),
    "an argument offset that changes": (
        rb.Lmer("y ~ x + (1 | g)", offset="m"), MEAN, "column 'm' is in the argument offset",
    ),
    "an offset that complete columns would change": (
        "y ~ x + offset(c) + (1 | g)", {"c": "2 * w"}, r"column 'c' is in offset\(\)",
    ),
    "text": (SLOPE, {"a": "2 * x"}, "column 'a' is derived and has the dtype str"),
    "from what is infinite": (SLOPE, {"c": "2 * far"}, "'c' is derived from 'far', whose holes"),
    "the mean of nothing": (
        "y ~ x + (1 | g)", {"m": ("mean", "empty", "g")}, "mean of 'empty', which has no value",
    ),
    "weights that change": (
        rb.Lmer("y ~ x + (1 | g)", weights="c"), {"c": "exp(x)"},
        "column 'c' is in the argument weights",
    ),
    "the mean of text": (
        "y ~ m + (1 | g)", {"m": ("mean", "a", "g")}, "the mean of 'a', which is no number",
    ),
    "the mean of a group's column": (
        "y ~ m + (1 | g)", {"m": ("mean", "z", "g")}, "mean of 'z', which has one value for each g",
    ),
    "the mean of the response": (
        "y ~ x + (1 | g)", {"m": ("mean", "y", "g")}, "mean of 'y', which is the response",
    ),
    "the mean of a derived column": (
        "y ~ m + (1 | g)", {"m": ("mean", "c", "g"), "c": "x^2"}, "'c', which is derived itself",
    ),
    "means in two factors": (
        "y ~ m + c + (1 | g) + (1 | a)", {**MEAN, "c": ("mean", "x", "a")},
        "which has a group mean over g too",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DERIVED)
def test_derived_columns_are_refused_by_name(name: str) -> None:
    model, derived, text = DERIVED[name]
    with pytest.raises(rb.ImputationError, match=text):
        data = means(u=holed(small()["w"]), far=np.r_[np.inf, np.arange(119)], empty=None)
        impute(data, model, derived=derived)


def test_a_function_of_a_derived_column_is_named() -> None:
    """Centred within groups, beside the mean that is recomputed: it can't be left as it is."""
    data = means(c=lambda d: d["x"] - d["m"])
    with pytest.raises(rb.ImputationError, match=r"function of 'x', 'm' \(x - m\)") as error:
        impute(data, "y ~ c + m + (1 | g)", derived=MEAN)
    assert "declare derived={'c': \"x - m\"}" in str(error.value)
    assert_sound(
        data,
        impute(data, "y ~ c + m + (1 | g)", derived={**MEAN, "c": "x - m"}),
        ["x"],
        derived=["m", "c"],
    )


@pytest.mark.parametrize(
    ("derived", "text"),
    [
        ({"c": "cbind(x, z)"}, "'c' 'cbind.*which has 2 columns: it must have one number"),
        ({"c": "log(x"}, r"'c' 'log\(x': R: .*unexpected end of input"),
        ({"g": "x"}, "derived names 'g', a grouping factor"),
        ({"c": "pi * w"}, "pi is a constant of R and a column of the data: write `pi`"),
    ],
)
def test_derived_that_cannot_be(derived: dict[str, Any], text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=re.compile(text, re.DOTALL)):
        impute(means(pi=1.0), SLOPE, derived=derived)


# -- what could be missed -------------------------------------------------------------------------


def test_groups_are_the_columns_that_r_sees() -> None:
    """However the formula writes them: a hole there is refused, and no role changes them."""
    data = small().rename(columns={"g": "class id"})
    data["g"] = small()["g"]
    holes = data.assign(**{"class id": data["class id"].mask(data.index == 7)})
    for formula in ("y ~ x + (1 | (`class id`))", "y ~ x + (1 | a/`class id`)"):
        with pytest.raises(rb.ImputationError, match="'class id' is a grouping factor and has 1"):
            impute(holes, formula)
        for arguments in ({"auxiliary": "class id"}, {"derived": {"class id": "2 * x"}}):
            with pytest.raises(rb.ArgumentError, match="names 'class id', a grouping factor"):
                impute(data, formula, **arguments)
    infinite = small().assign(g=np.where(np.arange(120) % 15 == 3, np.inf, np.arange(120) % 15))
    with pytest.raises(rb.ImputationError, match="'g' is a grouping factor and is infinite in 8"):
        impute(infinite, SLOPE)


def test_nan_of_nullable_columns_is_missing() -> None:
    pa = pytest.importorskip("pyarrow")
    hole = holed(small()["w"]).to_numpy()
    arrays = [
        pd.arrays.FloatingArray(hole, np.zeros(120, bool)),
        pd.arrays.ArrowExtensionArray(pa.array(hole)),
    ]
    for array in arrays:
        data = small().assign(w=pd.Series(array))
        for model, auxiliary in ((SLOPE, "w"), ("y ~ w + (1 | g)", ())):
            for frame in impute(data, model, auxiliary=auxiliary):
                assert np.isfinite(frame["w"].to_numpy(np.float64, na_value=np.nan)).all()
                assert frame["w"].dtype == data["w"].dtype
        # A column's name may be a number, which no formula has.
        numbered = impute(data.rename(columns={"w": 3}), SLOPE)[0]
        assert numbered[3].isna().sum() == np.isnan(hole).sum()


AUXILIARY = {
    "one value": (["a"] * 120, "is auxiliary and is 'a' in all rows"),
    "one number": ([1.5] * 120, "is auxiliary and is 1.5 in all rows"),
    "identifiers": ([f"i{k}" for k in range(120)], "a category of its own in each row"),
    "names of groups": ([f"n{k % 15}" for k in range(120)], "its own in each group of 'g'"),
    "many categories": ([f"c{k % 59}" for k in range(120)], "has 59 unordered categories"),
}


@pytest.mark.parametrize("name", AUXILIARY)
def test_auxiliary_columns_that_tell_nothing_are_refused(name: str) -> None:
    values, text = AUXILIARY[name]
    with pytest.raises(rb.ImputationError, match=f"column 'c' .*{text}"):
        impute(small().assign(c=values), SLOPE, auxiliary="c")


def test_values_that_agree_in_few_groups_are_of_rows() -> None:
    """Half of the rows have a binary value; two groups have two, which are the same by chance."""
    group = np.arange(120) % 60
    wave = np.arange(120) // 60
    random = np.random.default_rng(1)
    binary = pd.Series(random.integers(0, 2, 120).astype(float))
    seen = (wave == 0) | (group < 2)
    binary[60:62] = binary[:2]
    data = small().assign(g=group, b=binary.where(seen))
    plan = rb.imputation_plan(data, "y ~ x + b + (1 | g)").table.set_index("column")
    assert pd.isna(plan["level"]["b"])
    assert plan["missing"]["b"] == 58 / 120


def test_what_groups_give_and_what_differs_in_them_is_told() -> None:
    data = small()
    data.loc[3, "z"] = np.nan
    imp = impute(data, SLOPE)
    assert "z takes the value of its group of g in 1 row: levels={'z': None} imputes each row." in (
        imp.notes
    )
    assert imp[0]["z"][3] == data["z"][3 + 15]
    data.loc[5, "z"] += 1e-15
    text = "z is constant in all but 1 of 15 groups of g: if it should be in all, correct these"
    assert any(x.startswith(text) for x in impute(data, SLOPE).notes)
    with pytest.raises(rb.ImputationError) as error:
        impute(data, SLOPE, levels={"z": "g"})
    one, two = sorted({repr(float(x)) for x in data["z"][[5, 20]]})
    assert one in str(error.value)
    assert two in str(error.value)


def test_a_rare_event_of_rows_is_no_mistake_in_groups() -> None:
    rare = pd.Series(np.where(np.isin(np.arange(120), [4, 19]), 1.0, 0.0))  # both of group g4
    rare[40:60] = np.nan
    imp = impute(small().assign(b=rare), "y ~ x + b + (1 | g)")
    assert not any("constant" in x for x in imp.notes)


def test_a_column_may_have_the_name_of_a_parameter() -> None:
    data = small().rename(columns={"x": "sigma"})
    imp = impute(data, "y ~ sigma + z + (1 | g)")
    names = list(dict.fromkeys(imp.trace["parameter"]))
    assert names[:5] == ["(Intercept)", "sigma", "z", "sd(g: (Intercept))", "sigma_"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"types": "x"}, "types must be a mapping by column"),
        ({"derived": ["x"]}, "derived must be a mapping by column"),
        ({"derived": {"w": "2 * x"}, "auxiliary": "w"}, "auxiliary names 'w', which `derived`"),
        ({"derived": {"w": "2 * x"}, "bounds": {"w": (0, 1)}}, "bounds names 'w', which `derived`"),
    ],
)
def test_arguments_that_contradict_are_refused(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        impute(small(), SLOPE, **arguments)


def test_weights_of_text_are_refused() -> None:
    for values in (["a"] * 120, pd.Categorical(["1"] * 120)):
        with pytest.raises(rb.ArgumentError, match="weights must be numbers, and has the dtype"):
            impute(small().assign(v=values), rb.Lmer(SLOPE, weights="v"))


def test_auxiliary_may_be_any_iterable() -> None:
    names: Any = (x for x in ["w"])
    assert rb.CompatibleImputer(SLOPE, auxiliary=names).options.auxiliary == ("w",)


def test_a_computed_column_without_a_value_is_told() -> None:
    data = small().assign(e=lambda d: holed(d["w"].abs()), log=np.nan)
    notes = impute(data, SLOPE, auxiliary="e", derived={"log": "log(e)"}).notes
    assert any(x.startswith("log is computed, and missing where its expression") for x in notes)


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "empty": (SLOPE, {}, "data is empty"),
    "family": (SLOPE, {"family": "Gamma"}, "family must be one of gaussian, binomial, poisson"),
    "link": (SLOPE, {"link": "logit"}, "link must be identity with family='gaussian'"),
    "auxiliary response": (SLOPE, {"auxiliary": "y"}, "'y', the response of the model"),
    "auxiliary group": (SLOPE, {"auxiliary": "g"}, "'g', a grouping factor of the model"),
    "auxiliary unknown": (SLOPE, {"auxiliary": "who"}, "auxiliary names 'who'"),
    "type of the response": (SLOPE, {"types": {"y": "count"}}, "'y', the response"),
    "level of the response": (SLOPE, {"levels": {"y": "g"}}, "'y', the response"),
    "text as response": ("a ~ x + (1 | g)", {}, "the response 'a' has the dtype"),
    "two responses": ("cbind(y, w) ~ x + (1 | g)", {}, r"the response is cbind\(y, w\)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_refused_by_name(name: str) -> None:
    model, arguments, text = WRONG[name]
    data = small() if name != "empty" else small().iloc[:0]
    with pytest.raises(rb.ArgumentError, match=text):
        impute(data, model, **arguments)


def test_negative_seeds_are_seeds() -> None:
    negative, positive = (impute(small(), SLOPE, seed=seed) for seed in (-1, 1))
    assert negative.seed == -1
    assert not negative[1].equals(positive[1])


def test_binomial_refusals() -> None:
    data = small().assign(v=2.0, b=lambda d: (d["y"] > 0).astype(int))
    with pytest.raises(rb.ImputationError, match="give a row to each trial"):
        impute(data, rb.Lmer("b ~ x + (1 | g)", weights="v"), family="binomial")
    with pytest.raises(rb.ImputationError, match="a binomial response has two values"):
        impute(data, SLOPE, family="binomial")


# -- dtypes ---------------------------------------------------------------------------------------

ORDERED = pd.CategoricalDtype(["never", "lo", "Mid", "zz", "hi"], ordered=True)
DTYPES: dict[str, Any] = {
    "Int64": pd.Series(CODES * 7).astype("Int64"),
    "counts": pd.Series(RANDOM.poisson(2, 120)).astype(float),
    "boolean": pd.Series(NORMAL > 0).astype("boolean"),
    "bool and None": pd.Series(NORMAL > 0).astype(object),
    "text": pd.Series(TEXT[CODES], dtype=object),
    "string": pd.Series(TEXT[CODES], dtype="string"),
    "category": pd.Series(pd.Categorical(TEXT[CODES], ["hi", "never", "lo", "Mid"])),
    "ordered": pd.Series(TEXT[CODES]).astype(ORDERED),
    "category of numbers": pd.Series(pd.Categorical(CODES)),
    "two of three categories": pd.Series(
        pd.Categorical(np.where(NORMAL > 0, "b", "a"), list("zba"))
    ),
    "float32": pd.Series(NORMAL).astype("float32"),
    "Float64": pd.Series(NORMAL).astype("Float64"),
}


@pytest.mark.parametrize("name", DTYPES)
def test_dtypes(name: str) -> None:
    data = with_f(holed(DTYPES[name], 4))
    imp = impute(data, PLAIN)
    assert_sound(data, imp, ["x", "f"])
    if name != "float32":
        assert imp[1]["f"].dtype == data["f"].dtype


# -- models ---------------------------------------------------------------------------------------

# Each with the incomplete columns in it, s of the level of a and t of that of g.
MODELS = {
    "y ~ x + (0 + x | g)": "x",
    "y ~ x + (x || g)": "x",
    "y ~ x + z + (1 + x + z | g)": "x",
    "y ~ f + x + (f | g)": "fx",
    "y ~ f + (0 + f | g)": "f",
    "y ~ x * f + (1 | g)": "fx",
    "y ~ 0 + f + x + (1 | g)": "fx",
    "y ~ 0 + (1 + x | g)": "x",
    "y ~ x + (1 | a/g)": "x",
    "y ~ s * x + (1 + x | a) + (1 | g:a)": "sx",
    "y ~ x + s + t + (1 | a/g) + (1 + x | k)": "xst",
    "y ~ t * x + (1 + x | g)": "tx",
    "y ~ x + I(x^2) + (1 | g)": "x",
    "y ~ poly(x, 2) + (1 | g)": "x",
    "y ~ splines::ns(x, 3) + (1 | g)": "x",
    "y ~ scale(x) + (1 | g)": "x",
    "y ~ I(x > 0) + I(pmin(x, 5)) + (1 | g)": "x",
    "y ~ log(e) + (1 + log(e) | g)": "e",
    "log(e) ~ x + f + (1 | g)": "exf",
    "y ~ x + offset(w) + (1 | g)": "x",
}


def nested() -> pd.DataFrame:
    """Make data with incomplete columns of rows (f, e) and of both levels of groups (s, t)."""
    data = with_f(holed(pd.Series(TEXT[CODES]), 4), k=TEXT[CODES[::-1]])
    data["k"] += (np.arange(120) % 4).astype(str)
    data["s"] = data["a"].map({f"a{i}": v for i, v in enumerate(NORMAL[:4])})
    data["t"] = data["g"].map({f"g{i}": TEXT[i % 3] for i in range(15) if i not in (3, 4)})
    data["t"] = data["t"].mask(data.index % 7 == 0)
    data["e"] = holed(np.exp(data["w"]), 5)
    return data


@pytest.mark.parametrize("formula", MODELS)
def test_models(formula: str) -> None:
    data, filled = nested(), MODELS[formula]
    levels = {name: level for name, level in (("s", "a"), ("t", "g")) if name in filled}
    transforms = {"e": "log"} if formula.startswith("y ~ log") else {}
    imp = impute(data, formula, transforms=transforms)
    assert_sound(data, imp, list(filled), levels=levels)


@pytest.mark.parametrize("link", ["probit", "logit"])
def test_binary_responses(link: str) -> None:
    data = small().assign(b=lambda d: holed(pd.Series(np.where(d["y"] > 1, "Yes", "no")), 3))
    formula = "b ~ x + z + offset(w) + (1 + x | g)"
    imp = impute(data, formula, family="binomial", link=link)
    assert_sound(data, imp, ["x", "b"])


def test_auxiliary_columns_of_rows_and_groups() -> None:
    data = nested()
    data["w"] = holed(data["w"], 8)
    imp = impute(data, "y ~ x + (1 + x | g)", auxiliary=["w", "f", "t", "s", "z"])
    assert_sound(data, imp, ["x", "w", "f", "t", "s"], levels={"t": "g", "s": "g"})


@pytest.mark.parametrize(
    ("group", "response"),
    [("my school", "the y"), ("if", "else"), ("x); stop('ran'); (", "a`b"), ("NA", "TRUE")],
)
def test_names_may_be_programs(group: str, response: str) -> None:
    """The model and the expression of a derived column are compiled whatever columns are called."""

    def quoted(name: str) -> str:
        return "`" + name.replace("`", "\\`") + "`"

    rng = np.random.default_rng(2)
    data = pd.DataFrame({group: np.repeat(list("abcdefgh"), 8), "x": rng.normal(size=64)})
    data[response] = data["x"] + rng.normal(size=64)
    data["x"] = data["x"].mask(rng.uniform(size=64) < 0.2)
    data["twice"] = 2 * data["x"]
    model = f"{quoted(response)} ~ twice + (1 | {quoted(group)})"
    imputer = rb.CompatibleImputer(
        model, 2, derived={"twice": "2 * x"}, min_iter=20, max_iter=50, rhat=100
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RBridgeWarning)  # of few groups
        imp = imputer.impute(data, 1)
    for done in imp:
        assert not done[["x", "twice"]].isna().any(axis=None)
        np.testing.assert_allclose(done["twice"], 2 * done["x"], rtol=1e-15)
