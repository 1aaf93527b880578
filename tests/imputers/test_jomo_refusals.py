"""What jomo would do wrong, or end R at, is refused by name before it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.imputers import jomo as jomo_module
from rbridge_mi.imputers import jomo_columns

from .test_jomo import SHORT, frame

pytestmark = [pytest.mark.r]


@pytest.fixture(autouse=True)
def never_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """jomo is not called."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("jomo was called")

    monkeypatch.setattr(jomo_module, "impute_by", refuse)


def refused(data: pd.DataFrame, text: str, **arguments: Any) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        rb.JomoImputer(2, **{**SHORT, **arguments}).impute(data, seed=1)


# --- models --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("y ~ x + (1 + x || school)", r"ends R at '\|\|': write \(1 \+ x \| g\)"),
        ("y ~ x + (0 + x | school)", r"\(0 \+ x \| school\) does not begin with its intercept"),
        ("y ~ x + (x | school)", r"\(x \| school\) does not begin with its intercept.*\(1 \+ x"),
        ("y ~ x + (x + 1 | school)", "does not begin with its intercept"),
        ("y ~ x + (1 + x - 1 | school)", "does not begin with its intercept"),
        ("y ~ x + (1 + log(w) | school)", "more than an intercept and columns"),
        ("y ~ x + (1 + x:w | school)", "more than an intercept and columns"),
        ("y ~ x + (1 | school) + (1 | text)", "2 random terms.*takes one.*CompatibleImputer"),
        ("y ~ x + (1 | school) + (0 + x | school)", "2 random terms"),
        ("y ~ x + (1 | school / text)", "2 random terms.*crossed or nested"),
        ("y ~ x + (1 | school:text)", "the group of .* is not a column"),
        ("y ~ x", "has no random term"),
        ("y ~ z + (1 | school)", "no covariate that differs within the groups"),
        ("y ~ 1 + (1 | school)", "no covariate that differs within the groups"),
        ("log(y) ~ x + (1 | school)", r"the response is log\(y\), and jomo takes a column"),
        ("y ~ log(x) + (1 | school)", r"it has log\(x\).*wrong design.*column of the data"),
        ("y ~ scale(x) + (1 | school)", r"it has scale\(x\)"),
        ("y ~ poly(x, 2) + (1 | school)", r"it has poly\(x, 2\)"),
        ("y ~ x + offset(w) + (1 | school)", r"it has offset\(w\)"),
        ("y ~ I(x + w) + (1 | school)", r"it has I\(x \+ w\)"),
        ("y ~ I(x * w) + (1 | school)", r"it has I\(x \* w\)"),
        ("y ~ I(x^0.5) + (1 | school)", r"it has I\(x\^0.5\)"),
        ("y ~ I(x^-1) + (1 | school)", r"it has I\(x\^-1\)"),
        ("y ~ 0 + x + (1 | school)", "it has no intercept"),
        ("y ~ x - 1 + (1 | school)", "it has no intercept"),
        ("y ~ x + w %in% x + (1 | school)", "it has %in%"),
        ("y ~ x + y + (1 | school)", "'y' is the response and on the right side"),
        ("y ~ x + school + (1 | school)", "'school' is the group and a covariate"),
        ("y ~ x + (1 + z | school)", "'z' has a random slope and one value in each group"),
        ("y ~ x + (1 + text + x | school)", "'text' holds categories.*write it last"),
        ("y ~ x + I(text^2) + (1 | school)", "a power of 'text', which holds categories"),
        ("y ~ x + size * kind + (1 | school)", "'size:kind'.*three or more categories.*NaN"),
        ("y ~ x + text:w + (1 | school)", "'w' is no term of its own.*add it"),
        ("text ~ x + (1 | school)", "'text' holds categories.*family='binomial'"),
    ],
)  # fmt: skip
def test_models(formula: str, text: str) -> None:
    data = frame()
    data["kind"] = np.resize(["a", "b", "c"], len(data))
    refused(data, text, model=formula)


@pytest.mark.parametrize(
    "formula",
    [
        'y ~ x + (1 | school) + system("touch payload")',
        "y ~ x + I(system('touch payload')) + (1 | school)",
        'y ~ get("sys" ) + (1 | school)',
        "y ~ `system`('touch payload') + (1 | school)",
        "y ~ base::eval(x) + (1 | school)",
        "y ~ (function() 1)() + (1 | school)",
        "y ~ x + (1 + system('touch payload') || school)",
        "y ~ nowhere + (1 | school)",
        "y ~ x +",
        "x",
    ],
)
def test_formulas_are_parsed_and_never_evaluated(
    formula: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(rb.FormulaError):
        rb.JomoImputer(2, model=formula).impute(frame(), seed=1)
    assert not list(tmp_path.iterdir())


def test_models_with_more_than_a_formula() -> None:
    data = frame()
    with pytest.raises(rb.ArgumentError, match="model has weights, and jomo knows of a formula"):
        rb.JomoImputer(2, model=rb.Lmer("y ~ x + (1 | school)", weights="full"))
    with pytest.raises(rb.ArgumentError, match="must be a formula, or a model"):
        rb.JomoImputer(2, model=7)
    refused(data, "auxiliary names 'x', which is in the model", model="y ~ x + (1 | school)",
            auxiliary="x")  # fmt: skip


def test_jomo_knows_one_grouping() -> None:
    with pytest.raises(rb.ArgumentError, match="clus must be the name of one column"):
        rb.JomoImputer(2, clus=["school", "class"])  # type: ignore[arg-type]


def test_families() -> None:
    data = frame()
    data["fails"] = np.resize([0, 1, 2], len(data))
    with pytest.raises(rb.ArgumentError, match="a probit model, and makes one of any other"):
        rb.JomoImputer(2, model="fails ~ x + (1 | school)", family="poisson")  # type: ignore[arg-type]
    refused(data, "two categories, and the response 'fails' has 3",
            model="fails ~ x + (1 | school)", family="binomial")  # fmt: skip
    refused(data, "'yes' has holes, which this version of jomo.glmer leaves open",
            model="yes ~ x + (1 | school)", family="binomial")  # fmt: skip
    with pytest.raises(rb.ArgumentError, match=r"family is of jomo\.lmer"):
        rb.JomoImputer(2, family="binomial")


# --- columns -------------------------------------------------------------------------------------


def test_groups() -> None:
    data = frame()
    refused(data.assign(school="one"), "'school', has only one group", clus="school")
    holes = data.assign(school=data["school"].where(data.index != 503))
    refused(holes, r"'school', has missing values \(the first in row 4\)", clus="school")
    refused(holes, "has missing values", model="y ~ x + (1 | school)")
    single = data.assign(school=data["school"].where(data.index != 503, "alone"))
    for meth in ("fixed", "random"):
        refused(single, f"meth='{meth}' .* 1 of them have a single row.*meth='common'",
                Y=["y", "x"], clus="school", meth=meth)  # fmt: skip


def test_iterations_beyond_an_integer_of_r_would_end_it() -> None:
    with pytest.raises(rb.ArgumentError, match=r"nburn must be .* below"):
        rb.JomoImputer(2, nburn=2**31)


@pytest.mark.parametrize("name", [".", "...", "..1"])
def test_names_by_which_r_cannot_be_asked(name: str) -> None:
    text = "R can't be asked for a column that is called"
    refused(frame().rename(columns={"x": name}), text, model=f"y ~ `{name}` + (1 | school)")
    refused(frame().rename(columns={"x": ""}), text, Y=["y", ""], clus="school")


@pytest.mark.parametrize(
    ("formula", "text"),
    [("y ~ system(1) + (1 | school)", "'system'.*not on the list"),
     ("y ~ log(x) + (1 | school)", r"it has log\(x\)")],
)  # fmt: skip
def test_jobs_are_told_before_they_run(formula: str, text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        jomo_columns.check_with_data({"model": formula}, frame())


def test_levels() -> None:
    data = frame()
    refused(data, r"Y names 'z', which has one value in each group.*name it in Y2", Y=["x", "z"],
            clus="school")  # fmt: skip
    refused(data, "Y2 names 'x', which has two values within a group", Y="w", Y2="x",
            clus="school")  # fmt: skip
    refused(data, "X2 names 'full', which has two values", Y="x", Y2="z", X2="full", clus="school")
    refused(data, "levels gives 'z' the level 'text': it must be 'school', or None", clus="school",
            levels={"z": "text"})  # fmt: skip
    partly = data.copy()
    row = int(np.flatnonzero(data["z"].notna())[2])
    partly.iloc[row, partly.columns.get_loc("z")] = None
    text = rf"row {row + 1} lacks the value.*groupby\('school'\)\['z'\].transform\('first'\)"
    refused(partly, text, clus="school")
    refused(partly, text, model="y ~ x + z + (1 | school)")
    only = data[["school", "z"]]
    refused(only, r"Y is empty: the columns with holes \('z'\) are of the groups' level",
            clus="school")  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"Y": ["x", "gone"]}, "Y names 'gone', which the data do not have"),
        ({"Y": "x", "X": "w"}, "X names 'w', which has holes.*name it in Y"),
        ({"Y": "x", "X": "x"}, "Y and X both name 'x'"),
        ({"Y": ["x", "x"]}, "Y names a column twice"),
        ({"Y": ["x", "school"], "clus": "school"}, "Y names 'school', the column of the groups"),
        ({"Y": "x", "X": "kind"}, r"X names 'kind', of whose 3 categories.*1, 2, 3.*get_dummies"),
        ({"Y": "x", "X": "one"}, "X names 'one', which has one value, and an intercept is added"),
        ({"Y": "x", "intercept": False}, "intercept=False is for X, X2 or Z"),
        ({"Y": ["y", "full"]}, "nothing to impute"),
        ({"Y": ["x", "day"]}, r"column 'day' \(datetime64.*neither numbers nor categories"),
        ({"Y": ["x", "empty"]}, "column 'empty' has no value at all"),
        ({"Y": ["x", "same"]}, "column 'same' has holes and a single value"),
        ({"Y": ["x", "far"]}, "column 'far' holds infinite values"),
        ({"Y": ["x", "row"]}, "column 'row' has 90 categories.*more than 50"),
        ({"Y": "x", "factors": "day"}, "factors names 'day'"),
    ],
)  # fmt: skip
def test_columns(arguments: dict[str, Any], text: str) -> None:
    data = frame()
    n = len(data)
    data["kind"] = np.resize(["a", "b", "c"], n)
    data["one"] = 1.0
    data["day"] = pd.Timestamp("2020-01-01")
    data["empty"] = np.nan
    data["same"] = np.where(np.arange(n) < 4, np.nan, 2.0)
    data["far"] = np.where(np.arange(n) < 4, np.inf, data["y"])
    data["row"] = [f"row {i}" for i in range(n)]
    refused(data, text, **arguments)


def test_nothing_has_holes() -> None:
    refused(frame().dropna(), "Y is empty: no column has a hole")
    refused(frame().dropna(), "nothing to impute", model="y ~ x + (1 | school)")


# --- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"Y2": "z"}, "Y2 needs the groups: name their column, clus="),
        ({"Z": "x"}, "Z needs the groups"),
        ({"meth": "random"}, "meth='random' is for covariance matrices of groups"),
        ({"meth": "other", "clus": "school"}, "meth must be common or fixed or random"),
        ({"a": 10, "clus": "school"}, "a is of covariance matrices that differ at random"),
        ({"auxiliary": "x"}, "auxiliary is of jomo.lmer and jomo.glmer: it needs model="),
        ({"model": "y ~ x + (1 | g)", "Y": "x"}, r"Y is jomo\(\)'s, which knows no model"),
        ({"model": "y ~ x + (1 | g)", "clus": "g"}, r"clus is jomo\(\)'s"),
        ({"model": "y ~ x + (1 | g)", "meth": "fixed"}, r"meth='fixed' is jomo\(\)'s"),
        ({"model": "y ~ x + (1 | g)", "meth": "random", "trace": True}, "trace=True.*common"),
        ({"nburn": 0}, "nburn must be a whole number of at least 1, .* not 0"),
        ({"nbetween": 2.5}, "nbetween must be a whole number"),
        ({"nburn": "20"}, "nburn must be a number"),
        ({"nburn": [5, 6]}, "nburn must be a whole number"),
        ({"a": -1.0, "clus": "g", "meth": "random"}, "a must be a number above 0"),
        ({"output": 1}, "output only says what jomo prints"),
        ({"out_iter": 1}, "out.iter only says what jomo prints"),
        ({"nimp": 3}, "no argument 'nimp'"),
        ({"l1cov_prior": "text"}, "l1cov.prior must be a matrix of numbers"),
        ({"l1cov_prior": [1.0, 2.0]}, "l1cov.prior must be a matrix"),
        ({"l1cov_prior": [[np.nan]]}, "finite numbers"),
        ({"l1cov_prior": [[1.0]], "l1cov.prior": [[1.0]]}, "given twice"),
    ],
)  # fmt: skip
def test_arguments(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        rb.JomoImputer(2, **arguments)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"l1cov_prior": np.eye(3)}, "l1cov.prior must have 4 rows and 4 columns"),
        ({"l1cov_prior": -np.eye(4)}, "l1cov.prior must hold covariances"),
        ({"l1cov_start": np.triu(np.ones((4, 4)))}, "l1cov.start must hold covariances"),
        ({"beta_start": np.zeros((1, 4))}, "beta.start must have 2 rows and 4 columns"),
        ({"u_start": np.zeros((15, 4))}, "u.start must have 15 rows and 9 columns"),
        ({"l2cov_prior": np.eye(8)}, "l2cov.prior must have 9 rows and 9 columns"),
        ({"l2_beta_start": np.zeros((2, 1))}, "l2.beta.start must have 1 rows and 1 columns"),
        ({"meth": "random", "l1cov_start": np.eye(4)}, "l1cov.start must have 60 rows"),
        ({"meth": "random", "a": 3}, "a is a number of degrees of freedom.*at least 4"),
        ({"meth": "random", "a_prior": 3.5}, "a.prior is a number of degrees of freedom"),
    ],
)  # fmt: skip
def test_matrices(arguments: dict[str, Any], text: str) -> None:
    refused(frame(), text, Y=["y", "x", "size"], Y2="z", X="full", Z="full", clus="school",
            **arguments)  # fmt: skip


def test_matrices_of_a_model() -> None:
    model = "y ~ x + size + z + (1 | school)"
    refused(frame(), "u.start must have 15 rows and 4 columns", model=model,
            u_start=np.zeros((15, 5)))  # fmt: skip
    refused(frame(), "l1cov.prior must have 3 rows", model=model, l1cov_prior=np.eye(4))
