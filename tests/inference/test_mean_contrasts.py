"""Contrasts of marginal means by their coefficients, against emmeans in another R process.

1e-10: as in test_one_fit.py, sums are taken in another order than in R.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import pooling
from rbridge_mi.base.glossary import TABLES
from rbridge_mi.testing import run_r

pytestmark = pytest.mark.r

TOLERANCE = 1e-10
ESTIMATES = list(TABLES["estimates"][1:])
BOTH = {"last - first": [-1, 0, 1], "b - rest": {"b": 1.0, "a": -0.5, "c": -0.5}}
FORMULA = "y ~ x * f + z * f + (1 | g)"

R = """
suppressMessages({library(lme4); library(emmeans)})
table <- function(grid, ...) {
  t <- suppressMessages(summary(grid, infer = TRUE, ...))
  ends <- attr(t, "clNames")
  list(contrast = as.character(t$contrast), within = as.character(t$z),
    estimate = t[[attr(t, "estName")]], std_error = t$SE, df = t$df, conf_low = t[[ends[1]]],
    conf_high = t[[ends[2]]], statistic = t[[intersect(c("t.ratio", "z.ratio"), names(t))]],
    p_value = t$p.value)
}
both <- list("last - first" = c(-1, 0, 1), "b - rest" = c(-0.5, 1, -0.5))
answers <- lapply(frames, function(d) {
  fit <- lmer(y ~ x * f + z * f + (1 | g), d)
  means <- function(...) suppressMessages(emmeans(fit, ..., lmer.df = "satterthwaite"))
  slopes <- suppressMessages(emtrends(fit, "f", "x", lmer.df = "satterthwaite"))
  list(
    means = table(contrast(means("f"), both)),
    sidak = table(contrast(means("f"), both), adjust = "sidak"),
    within = table(contrast(means("f", by = "z"), both)),
    cells = table(contrast(means(c("f", "z")), list(d = c(-1, 0, 1, 1, 0, -1)))),
    slopes = table(contrast(slopes, both)),
    slope = table(suppressMessages(emtrends(fit, "1", "x", lmer.df = "satterthwaite")))
  )
})
odds <- glmer(success ~ f + (1 | g), frames[[1]], family = binomial)
ratios <- table(contrast(emmeans(odds, "f"), both[1]), type = "response")
"""

ASKED: dict[str, Callable[[Any], pd.DataFrame]] = {
    "means": lambda fit: fit.emmeans("f", contrast=BOTH),
    "sidak": lambda fit: fit.emmeans("f", contrast=BOTH, adjust="sidak"),
    "within": lambda fit: fit.emmeans("f", contrast=BOTH, by="z"),
    "cells": lambda fit: fit.emmeans(["f", "z"], contrast={"d": (-1, 0, 1, 1, 0, -1)}),
    "slopes": lambda fit: fit.emtrends("f", "x", contrast=BOTH),
    "slope": lambda fit: fit.emtrends("1", "x"),
}


def frame(seed: int) -> pd.DataFrame:
    g = np.random.default_rng(seed)
    data = pd.DataFrame({"g": np.repeat(range(20), 12), "x": g.normal(size=240)})
    data["f"] = pd.Categorical(np.array(["a", "b", "c"])[g.integers(3, size=240)])
    data["z"] = pd.Categorical(np.array(["u", "v"])[g.integers(2, size=240)])
    shift = data["f"].cat.codes * (0.3 + 0.2 * data["x"]) + g.normal(size=20)[data["g"]]
    data["y"] = shift + g.normal(size=240)
    return data.assign(success=(data["y"] > 0.5).astype(int))


@pytest.fixture(scope="module")
def frames() -> list[pd.DataFrame]:
    return [frame(1), frame(2)]


@pytest.fixture(scope="module")
def fit(frames: list[pd.DataFrame]) -> rb.MerMod:
    return rb.Lmer(FORMULA).fit(frames[0])


@pytest.fixture(scope="module")
def theirs(fit: rb.MerMod, frames: list[pd.DataFrame]) -> Any:
    return run_r(R, frames=frames)


@pytest.mark.parametrize("name", ASKED)
def test_contrasts_are_emmeans(name: str, fit: rb.MerMod, theirs: Any) -> None:
    table, expected = ASKED[name](fit), theirs["answers"][0][name]
    if name != "slope":
        assert table["contrast"].tolist() == list(np.atleast_1d(expected["contrast"]))
    if name == "within":
        assert table["z"].tolist() == list(expected["within"])
    for column in ESTIMATES:
        np.testing.assert_allclose(
            table[column], np.atleast_1d(expected[column]), rtol=TOLERANCE, err_msg=column
        )


def test_ratios_are_emmeans(frames: list[pd.DataFrame], theirs: Any) -> None:
    fit = rb.Glmer("success ~ f + (1 | g)").fit(frames[0])
    table = fit.emmeans("f", contrast={"last - first": {"a": -1, "c": 1}}, type="response")
    for column in ESTIMATES:
        np.testing.assert_allclose(table[column], theirs["ratios"][column], rtol=TOLERANCE)


def test_pooled_contrasts_are_rubins(frames: list[pd.DataFrame], theirs: Any) -> None:
    holes = frames[0].copy()
    holes[["x", "f", "z", "y", "success"]] = None  # so that the sets may differ in every column
    fits = rb.Lmer(FORMULA).fit(rb.ImputedData.from_frames(frames, original=holes))
    table = fits.pool("satterthwaite").emmeans("f", contrast=BOTH, by="z")
    each = [x["within"] for x in theirs["answers"]]
    q, u, df = (np.array([x[name] for x in each]) for name in ("estimate", "std_error", "df"))
    expected = pooling.pool_scalars(q, u**2, dfcom=df.mean(axis=0))
    assert table["contrast"].tolist() == ["last - first", "b - rest"] * 2
    for column in pooling.COLUMNS:
        np.testing.assert_allclose(table[column], getattr(expected, column), rtol=1e-8)


def test_levels_are_matched_by_name(fit: rb.MerMod) -> None:
    by_order = fit.emmeans("f", contrast={"d": [-1, 0, 1]})
    for given in ({"c": 1, "a": -1}, pd.Series({"c": 1.0, "b": 0.0, "a": -1.0})):
        pd.testing.assert_frame_equal(fit.emmeans("f", contrast={"d": given}), by_order)


REFUSED: dict[str, tuple[str, Any]] = {
    "a list": ("must be the name of a method", ["pairwise"]),
    "nothing": ("must be the name of a method", {}),
    "no name": ("is no name of a contrast", {3: [1, 2, 3]}),
    "a method by name": ("'a' has 'pairwise'", {"a": "pairwise"}),
    "text": ("a finite number per mean", {"a": ["x", "y", "z"]}),
    "a table": ("a finite number per mean", {"a": [[1, 2], [3, 4]]}),
    "missing": ("a finite number per mean", {"a": [1, np.nan, 0]}),
    "no numbers": ("a finite number per mean", {"a": []}),
    "zeros": ("no coefficient other than 0", {"a": [0, 0, 0]}),
    "twice": ("names the level 'a' twice", {"d": pd.Series([1, 2], index=["a", "a"])}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_wrong_contrasts_are_refused(what: str, fit: rb.MerMod) -> None:
    match, contrast = REFUSED[what]
    with pytest.raises(rb.ArgumentError, match=match):
        fit.emmeans("f", contrast=contrast)
    with pytest.raises(rb.ArgumentError, match=match):
        fit.emtrends("f", "x", contrast=contrast)


def test_what_the_means_are_is_said(fit: rb.MerMod) -> None:
    with pytest.raises(rb.RCallError, match="'d' has 2 coefficients, and there are 3 means: 'a'"):
        fit.emmeans("f", contrast={"d": [1, -1]})
    with pytest.raises(rb.RCallError, match="'d' names 'q', which is no level of f: those are"):
        fit.emmeans("f", contrast={"d": {"a": 1, "q": -1}})
    with pytest.raises(rb.RCallError, match="takes means of one factor"):
        fit.emmeans(["f", "z"], contrast={"d": {"a": 1, "b": -1}})
    with pytest.raises(rb.ArgumentError, match="specs names no factor"):
        fit.emtrends([], "x")
