"""The design that numpy computes is the one of R's model.matrix, on the data and on others."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.imputers.model_design import DesignPart, ModelDesign, compile_model

pytestmark = pytest.mark.r

# lme4's own matrices for `data`; and R's for `other`, with the bases, levels and contrasts of `data`.
REFERENCE = r"""
function(text, data, other, contrasts) {
  env <- new.env(parent = asNamespace("lme4"))
  for (name in c("ns", "bs")) env[[name]] <- getExportedValue("splines", name)
  formula <- as.formula(text, env)
  ignored <- paste0("check.", c("nobs.vs.nRE", "nobs.vs.nlev", "nobs.vs.rankZ", "nlev.gtr.1", "rankX"))
  control <- do.call(lme4::lmerControl, as.list(setNames(rep("ignore", length(ignored)), ignored)))
  made <- lme4::lFormula(formula, data, contrasts = contrasts, control = control)
  terms <- attr(made$fr, "terms")
  frame <- stats::model.frame(terms, other, na.action = na.pass,
    xlev = stats::.getXlevels(terms, made$fr))
  fixed <- formula
  fixed[[3L]] <- lme4::nobars(formula[[3L]])
  fixed <- stats::terms(fixed, data = made$fr)
  matrix_of <- function(matrix) list(names = colnames(matrix), matrix = unname(matrix))
  with_groups <- function(frame, bar) {
    for (name in all.vars(bar[[3L]])) frame[[name]] <- as.factor(frame[[name]])
    frame
  }
  flist <- made$reTrms$flist
  flist <- unclass(flist)[attr(flist, "assign")]
  bars <- lapply(lme4::findbars(formula), function(bar) {
    i <- match(deparse1(bar), names(made$reTrms$Ztlist))
    names <- made$reTrms$cnms[[i]]
    stacked <- as.matrix(made$reTrms$Ztlist[[i]])
    rows <- rep(seq_along(names), nrow(stacked) / length(names))
    left <- structure(call("~", bar[[2L]]), class = "formula", .Environment = env)
    codings <- attr(stats::model.matrix(left, with_groups(made$fr, bar)), "contrasts")
    list(
      data = list(names = names, matrix = unname(t(rowsum(stacked, rows)))),
      other = matrix_of(stats::model.matrix(left, with_groups(frame, bar), codings)),
      group = deparse1(bar[[3L]]), labels = as.character(flist[[i]]), levels = levels(flist[[i]])
    )
  })
  codings <- attr(made$X, "contrasts")
  list(
    data = matrix_of(made$X), other = matrix_of(stats::model.matrix(fixed, frame, codings)),
    offset = if (is.null(stats::model.offset(frame))) 0 else stats::model.offset(frame), bars = bars
  )
}
"""

FORMULAS = [
    "y ~ 1 + (1 | g)",
    "y ~ x + z + (1 | g)",
    "y ~ x * z + (x | g)",
    "y ~ 0 + x + (0 + x | g)",
    "y ~ -1 + f + x + (x || g)",
    "y ~ 0 + x:f + (1 | g)",
    "y ~ 0 + x + f * t + (1 | g)",
    "y ~ x:z + (1 | g)",
    "y ~ f * t * x + (f | g)",
    "y ~ f:t + (0 + f || g)",
    "y ~ o + o:x + (o | g)",
    "y ~ b * x + (b | g)",
    "y ~ 0 + b + (0 + b | g)",
    "y ~ . - g - h + (1 | g) + (1 | h)",
    "y ~ x + I(x^2) + I(x * z) + (I(x^2) | g)",
    "y ~ poly(x, 2) * z + (poly(x, 2) | g)",
    "y ~ splines::ns(x, 3) + ns(z, df = 3):f + bs(x, df = 4) + (1 | g)",
    "y ~ scale(x) * f + (scale(x) | g)",
    "log(y) ~ log(z) + sqrt(z) + exp(x) + log2(z):f + (log(z) || g)",
    "y ~ factor(k) + ordered(k):x + as.numeric(k) + (factor(k) || g)",
    "y ~ cut(x, c(-Inf, 0, Inf)) * t + (1 | g)",
    "y ~ C(f, contr.sum) + C(o, contr.treatment) + (C(f, contr.helmert) | g)",
    'y ~ relevel(f, ref = "b") * b + (relevel(f, "c") | g)',
    "y ~ ifelse(b, x, z) + pmax(x, 0) + I(x > 0) + (I(x > 0) | g)",
    "y ~ interaction(f, t) + as.integer(f) + (1 | g)",
    "y ~ x + (1 | g/h)",
    "y ~ x + (x | g:h) + (1 | t)",
    "y ~ x + (x || h/g) + (0 + z | g)",
    "y ~ x + offset(z) + offset(log(z)) + (1 | g)",
    "y ~ offset(x) + (1 | g)",
    "sqrt(y) ~ `school id` * if_ + `school id`:log + c + (`school id` || g)",
    "cbind(y, x) ~ z * k + u + (k | g)",
    "y ~ k + (1 + k | g:k) + (1 | g)",
    "y ~ f2 + d + (f2 | g)",
    'y ~ dummy(f, "b"):x + (dummy(f, "b") || g)',
    "y ~ (x + z + f)^2 - x:z + t + (1 | g) + (1 | interaction(g, t))",
    "y ~ x %in% f + f/x + (1 | g)",
    "y ~ 0 + (x + I(z^2)):(f + b) + (1 | g)",
]


def frame(seed: int, n: int = 240) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.arange(n) % 3)
    return pd.DataFrame(
        {
            "y": rng.uniform(1, 9, n),
            "x": rng.normal(size=n),
            "z": rng.uniform(0.5, 2, n),
            "k": pd.array(codes + 1, dtype="Int64"),
            "b": pd.array(rng.permutation(np.arange(n) % 2 == 0), dtype="boolean"),
            "u": rng.permutation(np.arange(n) % 5 == 0),
            "f": pd.Categorical.from_codes(codes, ["c", "a", "b"]),
            # The first level has no row.
            "f2": pd.Categorical.from_codes(rng.permutation(codes) + 1, ["r", "s", "t", "u"]),
            "o": pd.Categorical.from_codes(
                rng.permutation(np.arange(n) % 4), ["lo", "mid", "hi", "top"], ordered=True
            ),
            "t": np.array(["v", "W", "ä"], object)[rng.permutation(codes)],
            "school id": rng.normal(size=n),
            "if_": rng.normal(size=n),
            "log": rng.normal(size=n),
            "c": rng.normal(size=n),
            "d": pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, n), "D"),
            "g": np.arange(n) // 10,
            "h": [f"h{i}" for i in np.arange(n) % 8],
        }
    )


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return frame(1)


@pytest.fixture(scope="module")
def other() -> pd.DataFrame:
    """Other values in all columns but the groups, of the same range."""
    changed = frame(2)
    changed["x"] = changed["x"].clip(-1.9, 1.9)
    return changed


@pytest.fixture(scope="module")
def reference() -> rdoor.RObject:
    parsed = rdoor.call_object("base::str2lang", REFERENCE)
    return rdoor.call_object("base::eval", parsed, rdoor.call_object("base::globalenv"))


def check(part: DesignPart, values: dict[str, Any], expected: dict[str, Any]) -> None:
    expected_names = [] if expected["names"] is None else list(expected["names"])
    assert list(part.names) == expected_names
    matrix = part.matrix({name: values[name] for name in part.columns} or {"y": values["y"]})
    for j, name in enumerate(part.names):
        column = expected["matrix"][:, j]
        bound = 1e-13 * np.abs(column).max()
        assert np.abs(matrix[:, j] - column).max() <= bound, name


@pytest.mark.parametrize("formula", FORMULAS)
def test_numpy_has_the_matrices_of_lme4(
    formula: str, data: pd.DataFrame, other: pd.DataFrame, reference: rdoor.RObject
) -> None:
    if "." in formula.split():
        keep = ["y", "x", "f", "b", "t", "g", "h"]
        data, other = data[keep], other[keep]
    design = compile_model(rb.Lmer(formula), data)
    expected = rdoor.call("base::do.call", reference, [formula, data, other, None]).value
    values, changed = design.values(data), design.values(other)
    check(design.fixed, values, expected["data"])
    check(design.fixed, changed, expected["other"])
    offset = 0.0 if design.offset is None else design.offset.matrix(changed)[:, 0]
    assert np.allclose(offset, expected["offset"], rtol=1e-14, atol=0)
    assert (design.offset is not None) == ("offset" in formula)
    assert len(design.random) == len(expected["bars"])
    for random, bar in zip(design.random, expected["bars"], strict=True):
        check(random.design, values, bar["data"])
        check(random.design, changed, bar["other"])
        assert random.group == bar["group"][0]
        assert list(random.levels) == list(bar["levels"])
        assert [random.levels[i] for i in random.codes] == list(bar["labels"])
