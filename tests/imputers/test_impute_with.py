"""Imputation by a function of the user's: what is kept of it, and what it may not return."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

import rbridge_mi as rb
from rbridge_mi.errors import RBridgeWarning


def iterative(data: pd.DataFrame, seed: int) -> Any:
    imputer = IterativeImputer(sample_posterior=True, random_state=seed, max_iter=3)
    return imputer.fit_transform(data)


def hot_deck(data: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Fill each hole by a draw from the column's observed values, of any dtype."""
    rng, filled = np.random.default_rng(seed), data.copy()
    for name in data.columns:
        gone = data[name].isna()
        draws = rng.choice(np.flatnonzero(~gone), int(gone.sum()))
        filled.loc[gone, name] = data[name].iloc[draws].to_numpy()
    return filled


@pytest.fixture
def numbers() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    x = rng.normal(size=60)
    data = pd.DataFrame({"x": x, "y": x + rng.normal(size=60), "n": rng.integers(0, 5, 60)})
    data.index = pd.Index([f"row {i}" for i in range(60)])
    return data.assign(
        x=data["x"].mask(rng.random(60) < 0.3), n=data["n"].astype("Int64").mask(data["y"] > 1.5)
    )


@pytest.fixture
def mixed() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "float": [1.5, None, 2.5, 0.5],
            "whole": pd.array([1, 2, None, 4], "Int64"),
            "truth": pd.array([True, None, False, True], "boolean"),
            "category": pd.Categorical(["a", "b", None, "a"], ["a", "b", "c"]),
            "text": ["u", "v", "w", None],
            "time": pd.to_datetime(["2020-01-01", None, "2020-01-03", "2020-01-04"]),
            "complete": [1, 2, 3, 4],
        }
    )


def test_each_data_set_is_a_call_with_its_own_seed(numbers: pd.DataFrame) -> None:
    floats = numbers.astype(float)
    imp = rb.impute_with(iterative, floats, m=3, seed=7, method="IterativeImputer")
    seeds = imp.settings["seeds"]
    assert len(set(seeds)) == 3
    assert all(0 <= x < 2**31 for x in seeds)
    for i, seed in enumerate(seeds):
        by_hand = pd.DataFrame(iterative(floats, seed), floats.index, floats.columns)
        pd.testing.assert_frame_equal(imp[i], by_hand, check_exact=True)
    assert (imp.method, imp.m, imp.seed) == ("IterativeImputer", 3, 7)
    assert imp.settings["m"] == 3
    assert imp.settings["f"].endswith("test_impute_with.iterative")
    pd.testing.assert_frame_equal(imp.original, floats)
    assert imp.notes == ()


def test_the_same_seed_gives_the_same_and_more_of_them_begin_alike(mixed: pd.DataFrame) -> None:
    one, other = (rb.impute_with(hot_deck, mixed, m=m, seed=5) for m in (2, 4))
    assert rb.impute_with(hot_deck, mixed, m=2, seed=5) == one
    for i in range(2):
        pd.testing.assert_frame_equal(one[i], other[i])
    assert rb.impute_with(hot_deck, mixed, m=4, seed=6) != other


def test_columns_keep_their_dtypes(mixed: pd.DataFrame) -> None:
    imp = rb.impute_with(hot_deck, mixed, m=4, seed=1)
    for frame in imp:
        assert frame.dtypes.equals(mixed.dtypes)
        assert not frame.isna().any(axis=None)
        for name in mixed.columns:
            there = mixed[name].notna()
            pd.testing.assert_series_equal(frame.loc[there, name], mixed.loc[there, name])
    assert isinstance(rb.impute_with(hot_deck, mixed, seed=1)[0]["category"].dtype,
                      pd.CategoricalDtype)  # fmt: skip


def test_whole_numbers_that_become_decimals_are_told_of(numbers: pd.DataFrame) -> None:
    def of_floats(data: pd.DataFrame, seed: int) -> Any:
        return iterative(data.astype(float), seed)

    with pytest.warns(RBridgeWarning, match="n: Int64 became Float64"):
        imp = rb.impute_with(of_floats, numbers, m=2, seed=1)
    assert imp[0]["n"].dtype == "Float64"
    assert len(imp.notes) == 1


def test_processes_give_the_same(mixed: pd.DataFrame) -> None:
    here = rb.impute_with(hot_deck, mixed, m=3, seed=2)
    there = rb.impute_with(lambda d, s: hot_deck(d, s), mixed, m=3, seed=2, n_jobs=2)
    assert here == there


def test_f_cannot_change_the_data(mixed: pd.DataFrame) -> None:
    def careless(data: pd.DataFrame, seed: int) -> pd.DataFrame:
        filled = hot_deck(data, seed)
        data["complete"] = 0
        return filled

    before = mixed.copy()
    imp = rb.impute_with(careless, mixed, m=2, seed=1)
    pd.testing.assert_frame_equal(mixed, before)
    assert imp[1]["complete"].tolist() == [1, 2, 3, 4]


def test_columns_in_another_order_are_matched_by_name(mixed: pd.DataFrame) -> None:
    imp = rb.impute_with(lambda d, s: hot_deck(d, s).iloc[:, ::-1], mixed, m=2, seed=1)
    assert imp == rb.impute_with(hot_deck, mixed, m=2, seed=1)


def test_a_function_that_ignores_its_seed_is_told_of(numbers: pd.DataFrame) -> None:
    with pytest.warns(RBridgeWarning, match="same values for every seed"):
        imp = rb.impute_with(lambda d, s: d.fillna(d.mean()), numbers[["x", "y"]], m=2, seed=1)
    assert "same values" in imp.notes[0]


def test_one_data_set_can_be_made(mixed: pd.DataFrame) -> None:
    imp = rb.impute_with(hot_deck, mixed, m=1, seed=1)
    assert (imp.m, len(imp.settings["seeds"])) == (1, 1)


def test_a_drawn_seed_is_kept(mixed: pd.DataFrame) -> None:
    imp = rb.impute_with(hot_deck, mixed, m=2)
    assert rb.impute_with(hot_deck, mixed, m=2, seed=imp.seed) == imp


def changed(data: pd.DataFrame, seed: int) -> pd.DataFrame:
    filled = hot_deck(data, seed)
    filled.loc[0, "float"] = 9.0
    return filled


def coded(data: pd.DataFrame, seed: int) -> pd.DataFrame:
    filled = hot_deck(data, seed)
    return filled.assign(category=filled["category"].cat.codes)


def partly(data: pd.DataFrame, seed: int) -> pd.DataFrame:
    filled = hot_deck(data, seed)
    return filled.assign(whole=data["whole"])


REFUSED: dict[str, tuple[Callable[[pd.DataFrame, int], Any], str]] = {
    "no frame": (lambda d, s: None, "returned NoneType"),
    "a list": (lambda d, s: [[1.0]], "returned list"),
    "an array without a row": (lambda d, s: np.zeros((3, 7)), r"shape \(3, 7\).*\(4, 7\)"),
    "an array without a column": (lambda d, s: np.zeros((4, 6)), r"shape \(4, 6\)"),
    "a column less": (lambda d, s: hot_deck(d, s).drop(columns="text"), r"lacks \['text'\]"),
    "a column more": (lambda d, s: hot_deck(d, s).assign(z=1), r"has \['z'\] beside"),
    "a row less": (lambda d, s: hot_deck(d, s).iloc[1:], "other rows"),
    "another order": (lambda d, s: hot_deck(d, s).iloc[::-1], "other rows"),
    "another cell": (changed, r"1 observed cells of column 'float'.*row 0, where 1.5 became 9.0"),
    "codes": (coded, "column 'category'.*'a' became 0"),
    "holes": (partly, "left 1 of 1 holes in column 'whole'"),
    "an unknown category": (
        lambda d, s: hot_deck(d, s).assign(category=["a", "b", "new", "a"]),
        "column 'category'.*'new'",
    ),
    "text for a number": (
        lambda d, s: hot_deck(d, s).assign(float=[1.5, "2", 2.5, 0.5]),
        "column 'float'.*'2' is no number",
    ),
    "a number for text": (
        lambda d, s: hot_deck(d, s).assign(text=pd.Series(["u", "v", "w", 3], dtype=object)),
        "column 'text'.*3 is no text",
    ),
    "infinity": (
        lambda d, s: hot_deck(d, s).assign(float=[1.5, np.inf, 2.5, 0.5]),
        "column 'float'.*infinite",
    ),
    "no time": (
        lambda d, s: hot_deck(d, s).assign(
            time=[d["time"][0], "yesterday", d["time"][2], d["time"][3]]
        ),
        "column 'time'",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_f_may_not_return(what: str, mixed: pd.DataFrame) -> None:
    f, text = REFUSED[what]
    with pytest.raises(rb.ImputationError, match=text) as caught:
        rb.impute_with(f, mixed, m=2, seed=1)
    assert "column" in str(caught.value) or "imputation 1" in str(caught.value)


def test_rounding_to_single_precision_is_noticed(numbers: pd.DataFrame) -> None:
    data = numbers[["x", "y"]]
    with pytest.raises(rb.ImputationError, match=r"observed cells of column 'x'.*float32"):
        rb.impute_with(lambda d, s: iterative(d, s).astype("float32"), data, m=2, seed=1)


def test_an_exception_of_f_names_the_data_set(mixed: pd.DataFrame) -> None:
    with pytest.raises(rb.MapError, match="imputation 1") as caught:
        rb.impute_with(iterative, mixed, m=2, seed=1)  # text is no number to it
    assert caught.value.__cause__ is not None
    assert "in iterative" in caught.value.traceback


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"f": "mean"}, "f must be a function"),
        ({"m": 0}, "m \\(the number"),
        ({"m": 2.5}, "m \\(the number"),
        ({"seed": 1.5}, "seed"),
        ({"seed": "a"}, "seed"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"method": ""}, "method"),
        ({"data": [1.0, None]}, "data must be a pandas DataFrame"),
        ({"data": pd.DataFrame({"x": [1.0]})}, "no holes"),
        ({"data": pd.DataFrame({"x": [1.0], "y": [None]})}, "no value in column 'y'"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], text: str, mixed: pd.DataFrame) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        rb.impute_with(**{"f": hot_deck, "data": mixed, "seed": 1, **arguments})


@pytest.mark.r
def test_it_is_fitted_pooled_described_and_saved(hsb: pd.DataFrame, tmp_path: Any) -> None:
    data = hsb[["schid", "mathach", "ses"]]
    holes = rb.ampute(data, prop=0.1, columns="ses", seed=1)

    def within(d: pd.DataFrame, seed: int) -> pd.DataFrame:
        return d.assign(ses=iterative(d[["mathach", "ses"]], seed)[:, 1])

    imp = rb.impute_with(within, holes, m=3, seed=1, method="IterativeImputer")
    pooled = rb.Lmer("mathach ~ ses + (1 | schid)").fit(imp).pool()
    assert (pooled.fixed["b"] > 0).all()
    assert "IterativeImputer" in str(imp.summary())
    assert "[AUTHOR" in str(pooled.methods_text())
    again = rb.load(rb.save(imp, tmp_path / "imp.zip"))
    assert again == imp
    assert isinstance(again, rb.ImputedData)
    assert (again.method, again.seed, again.settings) == (imp.method, imp.seed, imp.settings)


def test_no_warning_where_there_is_nothing_to_say(mixed: pd.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rb.impute_with(hot_deck, mixed, m=3, seed=1)
