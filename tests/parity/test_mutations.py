"""The parity suite notices deliberate mistakes, and names the accessor that is wrong.

The mistakes are made first in the answers, one cell at a time; then in the library, in what is sent
to R, in what is asked of it, and in what is read back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.parity import Suite, find_cases
from rbridge_mi.parity.engine import verdicts
from rbridge_mi.rdoor import decode, encode

pytestmark = [pytest.mark.r, pytest.mark.processes, pytest.mark.slow]

Answers = dict[str, Any]

FIT = "levels/odd_names_slopes"
COUNTS = "binomial/cbind"
NEGATIVE = "negative_binomial/theta_given"
TYPES = "types/all"
HOLES = "missing/exclude"
IMPUTED = "amelia/all_kinds"


@pytest.fixture(scope="module")
def suite() -> Iterator[Suite]:
    with Suite() as suite:
        yield suite


@pytest.fixture(scope="module")
def both(suite: Suite) -> Callable[[str], tuple[Answers, Answers]]:
    """Both sides' answers to a case; each case is asked once."""
    kept: dict[str, tuple[Answers, Answers]] = {}

    def answers(name: str) -> tuple[Answers, Answers]:
        if name not in kept:
            (case,) = find_cases(name)
            kept[name] = suite.answers(case, suite.data(case))
        return kept[name]

    return answers


def caught(name: str, mine: Answers, theirs: Answers) -> set[str]:
    """Accessors in which the suite sees a difference."""
    (case,) = find_cases(name)
    return {row.accessor for row in verdicts(case, mine, theirs) if not row.equal}


def cell(column: str, row: int, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def mutate(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.copy()
        place = frame.columns.get_loc(column)
        frame.iloc[row, place] = change(frame.iloc[row, place])
        return frame

    return mutate


def next_double(x: float) -> float:
    return float(np.nextafter(x, np.inf))


def swapped_rows(frame: pd.DataFrame) -> pd.DataFrame:
    order = [1, 0, *range(2, len(frame))]
    return frame.iloc[order].reset_index(drop=True)


def swapped_columns(a: str, b: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.assign(**{a: frame[b], b: frame[a]})


def line(number: int, change: Callable[[str], str]) -> Callable[[Any], Any]:
    def mutate(lines: Any) -> Any:
        lines = lines.copy()
        lines[number] = change(lines[number])
        return lines

    return mutate


def attribute(name: str, change: Callable[[Any], Any]) -> Callable[[Answers], Answers]:
    return lambda attributes: {**attributes, name: change(attributes[name])}


def in_imputation(column: str, change: Callable[[pd.Series], Any]) -> Callable[[Any], Any]:
    def mutate(frames: Any) -> Any:
        return [frames[0].assign(**{column: change(frames[0][column])}), *frames[1:]]

    return mutate


def quiet_nan(x: float) -> float:
    assert np.isnan(x)
    return float("nan")


MUTATIONS: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "the last bit of a coefficient": (FIT, "fixef", cell("estimate", 1, next_double)),
    "the last bit of a variance": (FIT, "varcorr", cell("vcov", 2, next_double)),
    "the last bit of a fitted value": (FIT, "fitted", cell("value", 100, next_double)),
    "the last bit of sigma": (FIT, "attributes", attribute("sigma", lambda x: np.nextafter(x, 9))),
    "a sign": (FIT, "residuals", cell("value", 3, lambda x: -x)),
    "a zero's sign": (FIT, "design", lambda x: np.where(x == 0.0, -0.0, x)),
    "two columns swapped": (FIT, "varcorr", swapped_columns("vcov", "sdcor")),
    "columns in another order": (FIT, "ranef", lambda f: f[[*f.columns[::-1]]]),
    "a column renamed": (FIT, "confint_wald", lambda f: f.rename(columns={"conf_low": "low"})),
    "two rows swapped": (FIT, "ranef", swapped_rows),
    "a row dropped": (FIT, "predict", lambda f: f.iloc[:-1]),
    "two levels swapped by name": (FIT, "coef", cell("grp", 0, lambda x: x + " ")),
    "the level 'NA' made missing": (
        FIT, "ranef", lambda f: f.assign(grp=f["grp"].where(f["grp"] != "NA", None))),
    "the level '' made missing": (
        FIT, "coef", lambda f: f.assign(grp=f["grp"].where(f["grp"] != "", None))),
    "a term renamed": (FIT, "vcov", lambda f: f.rename(index={"x": "x "})),
    "a matrix transposed by its names": (FIT, "vcov", lambda f: f[f.columns[::-1]]),
    "a line of the summary": (FIT, "summary", line(4, lambda x: x.replace(" ", "  ", 1))),
    "a line too many": (FIT, "print", lambda x: np.append(x, "")),
    "a message lost": (FIT, "attributes", attribute("messages", lambda x: np.append(x, "more"))),
    "a count off by one": (FIT, "attributes", attribute("nobs", lambda x: x - 1)),
    "an integer made a double": (FIT, "attributes", attribute("npar", lambda x: x * 1.0)),
    "REML and ML confused": (FIT, "attributes", attribute("reml", lambda x: ~x)),
    "the groups' order": (FIT, "attributes", attribute("theta", lambda x: x.iloc[::-1])),
    "an accessor lost": (FIT, "tidy", lambda _: None),
    "simulations in another order": (FIT, "simulate", swapped_columns("sim_1", "sim_2")),
    "an interval of another width": (FIT, "confint_wald_90", cell("conf_high", 0, next_double)),
    "the text of an error": (
        FIT, "predict_unseen_refused", lambda x: {"error": x["error"] + "."}),
    "a residual of another type": (
        COUNTS, "residual_types", swapped_columns("response", "working")),
    "the default residual's type": (
        COUNTS, "residuals", lambda f: f.assign(value=f["value"] ** 2)),
    "failures for successes": (
        COUNTS, "simulate", swapped_columns("sim_1_success", "sim_1_failure")),
    "the link for the response": (COUNTS, "predict_response", lambda f: f.assign(
        value=np.log(f["value"] / (1 - f["value"])))),
    "another link": (COUNTS, "attributes", attribute("link", lambda x: x + "s")),
    "points of another quadrature": (COUNTS, "attributes", attribute("nAGQ", lambda x: x - 1)),
    "theta of another family": (
        NEGATIVE, "attributes", attribute("nb_theta", lambda x: np.nextafter(x, 9))),
    "NA made NaN": (HOLES, "fitted", lambda f: f.assign(
        value=[quiet_nan(x) if np.isnan(x) else x for x in f["value"]])),
    "a padded row filled": (HOLES, "residuals", lambda f: f.fillna({"value": 0.0})),
    "row labels shifted": (HOLES, "fitted", cell("row", 0, lambda x: x + 1)),
    "an imputed value's last bit": (IMPUTED, "imputations", in_imputation(
        "skew", lambda x: x * (1 + 2**-52))),
    "factor levels in another order": (IMPUTED, "imputations", in_imputation(
        "size", lambda x: x.cat.reorder_categories(["L", "M", "S"]))),
    "an ordered factor made unordered": (IMPUTED, "imputations", in_imputation(
        "size", lambda x: x.cat.as_unordered())),
    "a level lost": (IMPUTED, "imputations", in_imputation(
        "size", lambda x: x.cat.rename_categories({"L": "XL"}))),
    "a factor made text": (IMPUTED, "imputations", in_imputation("size", lambda x: x.astype(str))),
    "imputations in another order": (IMPUTED, "imputations", lambda x: x[::-1]),
    "a chain's length": (IMPUTED, "attributes", attribute("chain_lengths", lambda x: x + 1)),
}  # fmt: skip


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_wrong_answer_is_caught(
    both: Callable[[str], tuple[Answers, Answers]], mutation: str
) -> None:
    name, accessor, mutate = MUTATIONS[mutation]
    mine, theirs = both(name)
    assert caught(name, mine, theirs) == set()
    assert caught(name, {**mine, accessor: mutate(mine[accessor])}, theirs) == {accessor}


def other_text_order(column: pd.Series, name: str) -> dict[str, Any]:
    return encode._factor(column.astype("category"), name)


def other_factor_order(column: pd.Series, name: str) -> dict[str, Any]:
    return encode.__dict__["_true_factor"](
        column.cat.set_categories(sorted(column.cat.categories)), name
    )


def one_ulp_more(column: pd.Series, name: str) -> dict[str, Any]:
    more = column.copy()
    more.iloc[0] = np.nextafter(more.iloc[0], np.inf)
    return encode.__dict__["_true_double"](more, name)


def unordered(column: pd.Series, name: str) -> dict[str, Any]:
    return encode.__dict__["_true_factor"](column.cat.as_unordered(), name)


def single_precision(column: pd.Series, name: str) -> dict[str, Any]:
    return encode.__dict__["_true_double"](column.astype("float32"), name)


def logical_as_number(column: pd.Series, name: str) -> dict[str, Any]:
    return encode.__dict__["_true_double"](column.astype(float), name)


# Mistakes in the library: the function that is replaced, its replacement, a case that must notice.
LIBRARY: dict[str, tuple[str, Any, str]] = {
    "text sent as a factor, sorted by code point": (
        "_text", other_text_order, "levels/default_collation"),
    "levels sorted on the way": ("_factor", other_factor_order, "types/factor_unused_level"),
    "an ordered factor sent unordered": ("_factor", unordered, "types/ordered"),
    "a double off by its last bit": ("_double", one_ulp_more, "random/intercept_only"),
    "doubles sent in single precision": ("_double", single_precision, "types/all"),
    "logicals sent as numbers": ("_logical", logical_as_number, "types/logical"),
}  # fmt: skip


@pytest.mark.parametrize("mutation", LIBRARY)
def test_a_wrong_encoder_is_caught(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, mutation: str
) -> None:
    function, replacement, name = LIBRARY[mutation]
    (case,) = find_cases(name)
    for original in ("_factor", "_double"):
        monkeypatch.setattr(encode, f"_true{original}", getattr(encode, original), raising=False)
    monkeypatch.setattr(encode, function, replacement)
    mine, theirs = suite.answers(case, suite.data(case))
    assert caught(name, mine, theirs), "the suite did not notice"


def test_a_wrong_decoder_is_caught(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Doubles come back rounded to fifteen digits, as they would if they passed as text."""
    (case,) = find_cases("random/intercept_only")
    copy = decode._copy

    def rounded(sexp: Any, dtype: Any) -> Any:
        values = copy(sexp, dtype)
        if dtype is np.float64:
            return np.array([float(f"{x:.15g}") for x in values])
        return values

    monkeypatch.setattr(decode, "_copy", rounded)
    mine, theirs = suite.answers(case, suite.data(case))
    assert {"fixef", "ranef", "fitted", "vcov"} <= caught(case.name, mine, theirs)


def test_a_wrong_argument_is_caught(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """REML, weights and offset do not reach R."""
    specification = rb.Lmer.specification

    def forgetful(self: rb.Lmer, data: pd.DataFrame) -> dict[str, Any]:
        return specification(replace(self, reml=True, weights=None, offset=None), data)

    monkeypatch.setattr(rb.Lmer, "specification", forgetful)
    for name in ("estimation/ml", "estimation/weights", "estimation/offset"):
        (case,) = find_cases(name)
        mine, theirs = suite.answers(case, suite.data(case))
        assert {"fixef", "varcorr", "summary"} & caught(name, mine, theirs), name


def test_a_wrong_argument_of_a_generalised_model_is_caught(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Link, quadrature and the numbers of trials do not reach R."""
    specification = rb.Glmer.specification

    def forgetful(self: rb.Glmer, data: pd.DataFrame) -> dict[str, Any]:
        return specification(replace(self, nAGQ=1, link=None, weights=None), data)

    monkeypatch.setattr(rb.Glmer, "specification", forgetful)
    for name in ("binomial/cloglog", "quadrature/five", "binomial/shares_and_weights"):
        (case,) = find_cases(name)
        mine, theirs = suite.answers(case, suite.data(case))
        assert {"fixef", "varcorr", "summary"} & caught(case.name, mine, theirs), name


def test_a_wrong_seed_is_caught(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    impute = rb.AmeliaImputer.impute

    def other(self: rb.AmeliaImputer, data: pd.DataFrame, seed: int) -> rb.ImputedData:
        return impute(self, data, seed + 1)

    monkeypatch.setattr(rb.AmeliaImputer, "impute", other)
    (case,) = find_cases("amelia/plain")
    mine, theirs = suite.answers(case, suite.data(case))
    assert "imputations" in caught(case.name, mine, theirs)
