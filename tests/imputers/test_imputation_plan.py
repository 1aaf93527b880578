"""imputation_plan: what it tells of each column, what it refuses, and that it does what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb

from .hostile import holed, small

pytestmark = pytest.mark.r

MODEL = rb.Lmer("y ~ x * z + f + b + mean_x + log(p) + (1 + x | g)")
ARGUMENTS: dict[str, Any] = {
    "auxiliary": ["w"],
    "transforms": {"p": "log"},
    "derived": {"mean_x": ("mean", "x", "g")},
}


def data() -> pd.DataFrame:
    """Make 120 rows of 15 groups; the holes' rows are chosen, so that fractions are known."""
    frame = small()
    row = np.arange(len(frame))
    random = np.random.default_rng(1)
    frame["x"] = random.normal(size=120)
    frame["mean_x"] = frame["x"].groupby(frame["g"]).transform("mean")
    frame["x"] = frame["x"].mask(row < 30)
    frame["z"] = frame["z"].mask(frame["g"].isin(["g1", "g6", "g9"]))
    frame["f"] = pd.Series(random.choice(["hi", "lo", "mid"], 120)).mask(row % 10 == 1)
    frame["b"] = pd.Series(row % 7 < 3, dtype="boolean").mask(row % 8 == 0)
    frame["p"] = pd.Series(np.exp(random.normal(size=120))).mask(row == 5)
    frame["y"] = frame["y"].mask(row % 20 == 2)
    frame["a"] = frame["a"].mask(row % 4 == 0)
    return frame


VARIES = "; it varies within groups."
ANALYSIS = "; and the analysis model of y"
# Each column is imputed from those before it: of groups first, of rows those with few holes first.
EXPECTED = {
    "y": ("response", None, "continuous", 6 / 120, "analysis model", "the analysis model",
          "it is the response of a gaussian model."),
    "x": ("covariate", None, "continuous", 30 / 120, "normal",
          "z, p, f, b; intercepts by g" + ANALYSIS, "it holds numbers" + VARIES),
    "z": ("covariate", "g", "continuous", 3 / 15, "normal", "its mean" + ANALYSIS,
          "it holds numbers; it is constant within each group of g."),
    "w": ("auxiliary", None, "continuous", 0.0, None, None, "it holds numbers" + VARIES),
    "g": ("group", "g", "categories", 0.0, None, None, "it tells the groups."),
    "a": ("unused", "g", "categories", 30 / 120, None, None,
          "it holds text; it is constant within each group of g."),
    "mean_x": ("derived", "g", "continuous", 0.0, "recomputed",
               "the mean of x in each group of g", "it is recomputed as `derived` has it."),
    "f": ("covariate", None, "categories", 12 / 120, "probits in sequence",
          "z, p; intercepts by g" + ANALYSIS, "it holds text" + VARIES),
    "b": ("covariate", None, "binary", 15 / 120, "probit",
          "z, p, f; intercepts by g" + ANALYSIS, "it holds truth values" + VARIES),
    "p": ("covariate", None, "continuous", 1 / 120, "normal of the log",
          "z; intercepts by g" + ANALYSIS, "it holds numbers" + VARIES),
}  # fmt: skip


def test_each_column_is_told() -> None:
    table = rb.imputation_plan(data(), MODEL, **ARGUMENTS).table
    assert list(table) == [
        "column", "role", "level", "type", "missing", "imputed_by", "predictors", "reason",
    ]  # fmt: skip
    assert table["column"].tolist() == list(data())
    seen = {row[0]: tuple(None if pd.isna(x) else x for x in row[1:]) for row in table.to_numpy()}
    for name, wanted in EXPECTED.items():
        assert seen[name] == wanted, name
    assert set(seen) == set(EXPECTED)


def test_the_reasons_for_the_level_of_rows() -> None:
    frame = small().assign(one=1.5, first=np.r_[np.arange(15) + 0.5, np.full(105, np.nan)])
    table = rb.imputation_plan(frame, "y ~ x + (1 | g)").table.set_index("column")
    assert table["reason"]["one"] == "it holds numbers; all its observed values are the same."
    assert (
        table["reason"]["first"]
        == "it holds numbers; too few groups have two observed values to tell."
    )
    assert table["level"][["one", "first"]].isna().all()


def test_it_prints_as_a_table() -> None:
    frame = small().assign(w=lambda d: d["w"].mask(d.index == 3))
    plan = rb.imputation_plan(frame, rb.Lmer("y ~ x + z + (1 | g)"))
    assert (
        repr(plan)
        == f"""\
column role      level type       missing imputed_by
y      response  row   continuous
x      covariate row   continuous {frame["x"].isna().mean():.1%}   normal
z      covariate g     continuous
g      group     g     categories
Not used, and left as they are: w (0.8% missing), a.
x: from z; intercepts by g; and the analysis model of y. It holds numbers; it varies within groups.
Note: g has 15 groups: with fewer than 20, variances between groups depend on the priors."""
    )
    assert repr(plan) == str(plan.summary())
    assert "y      response" in plan._repr_html_()


def test_all_refusals_are_told_at_once() -> None:
    frame = small().assign(
        square=lambda d: d["x"] ** 2,
        empty=np.nan,
        far=holed(np.r_[np.inf, np.arange(119.0)], 3).where(np.arange(120) > 0, np.inf),
    )
    plan = rb.imputation_plan(frame, "y ~ x + square + empty + far + (1 | g)")
    for name, text in {
        "square": "column 'square' is a function of 'x' (x^2)",
        "empty": "column 'empty' has no observed value",
        "far": "column 'far' is infinite in 1 row",
    }.items():
        (refusal,) = (x for x in plan.refused if x.startswith(f"column '{name}'"))
        assert text in refusal
        assert f"Refused: column '{name}'" in repr(plan)
    with pytest.raises(rb.ImputationError) as error:
        plan.impute(m=2, seed=1)
    for refusal in plan.refused:
        assert refusal in str(error.value)


@pytest.mark.filterwarnings("ignore::rbridge_mi.RBridgeWarning")
def test_it_imputes_as_planned() -> None:
    arguments = {**ARGUMENTS, "rhat": 1e9, "min_iter": 25, "max_iter": 25}
    plan = rb.imputation_plan(data(), MODEL, **arguments)
    planned = plan.impute(m=2, seed=3)
    directly = rb.CompatibleImputer(MODEL, 2, **arguments).impute(data(), seed=3)
    shortly = rb.impute(data(), model=MODEL, m=2, seed=3, **arguments)
    for other in (directly, shortly):
        for one, two in zip(planned, other, strict=True):
            pd.testing.assert_frame_equal(one, two, check_exact=True)
    # What the plan says is missing, and nothing else, has been imputed.
    imputed = plan.table.loc[plan.table["imputed_by"].notna(), "column"]
    assert set(planned.saw) == set(imputed) - {"mean_x"}
    for frame in planned:
        assert frame[list(imputed)].notna().all(axis=None)
        assert frame["a"].isna().sum() == 30


def test_it_refuses_arguments_that_are_not_the_imputers() -> None:
    with pytest.raises(rb.ArgumentError, match=r"CompatibleImputer.*idvars"):
        rb.imputation_plan(small(), "y ~ x + (1 | g)", idvars=["g"])
