"""Parity on small, awkward data sets and formulas that hypothesis generates."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rbridge_mi.parity import Argument, Column, ModelCase, Suite
from rbridge_mi.parity.engine import verdicts
from rbridge_mi.parity.scripts import python_script, r_script
from rbridge_mi.testing.rscript import find_rscript

pytestmark = [pytest.mark.r, pytest.mark.processes, pytest.mark.slow]

# Any text but NUL and lone surrogates, which R's text can't hold.
LEVELS = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6),
    min_size=3,
    max_size=8,
    unique=True,
)
FIXED = st.lists(
    st.sampled_from(
        ["x", "k", "t", "b", "o", "w", "I(x^2)", "x:k", "poly(x, 2)", "scale(x)", "factor(k)"]
    ),
    max_size=3,
    unique=True,
)
RANDOM = st.sampled_from(
    ["(1 | g)", "(x | g)", "(x || g)", "(0 + x | g)", "(1 | g) + (1 | h)", "(1 | h/g)",
     "(1 | g) + (0 + x | h)", "(1 | g:h)", "(b | g)"]
)  # fmt: skip


@st.composite
def situations(draw: st.DrawFn) -> tuple[ModelCase, pd.DataFrame]:
    """A frame with columns of every kind, a formula on them, and arguments."""
    n = draw(st.integers(24, 60))
    g = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([1.0, 1e-6, 1e6, 1 / 3]))
    names = draw(LEVELS)
    frame = pd.DataFrame(
        {
            "x": g.normal(size=n) * scale,
            "k": g.integers(0, 4, n),
            "t": g.choice(np.array(["lo", "Hi", "mid"], object), n),
            "b": g.random(n) < 0.5,
            "o": pd.Categorical(g.choice(["S", "M", "L"], n), ["S", "M", "L"], ordered=True),
            "w": g.uniform(0.5, 2.0, n),
            "g": np.array([names[i % len(names)] for i in range(n)], object),
            "h": pd.Categorical(g.choice(["p", "q", "r", "s"], n), ["s", "r", "q", "p", "never"]),
        }
    )
    frame["y"] = g.normal(size=n) + frame["x"] / scale * draw(st.sampled_from([0.0, 1.0]))
    if draw(st.booleans()):
        for name in ("x", "y", "t"):
            frame.loc[g.choice(n, 2, replace=False), name] = None
    fixed = " + ".join(draw(FIXED)) or "1"
    arguments = []
    if draw(st.booleans()):
        arguments.append(Argument("reml", False, "REML = FALSE"))
    if draw(st.booleans()):
        arguments.append(Argument("weights", "w", "weights = w"))
    if draw(st.booleans()):
        arguments.append(Argument("na_action", "na.exclude", "na.action = na.exclude"))
    formula = f"y ~ {fixed} + {draw(RANDOM)}"
    return ModelCase("generated", "generated", "", formula, ("g",), tuple(arguments)), frame


GENERALISED = {
    "r ~ ": ("binomial", ""),
    "(r == 1) ~ ": ("binomial", "probit"),
    "cbind(hits, misses) ~ ": ("binomial", "cloglog"),
    "misses ~ ": ("poisson", ""),
    "hits ~ ": ("poisson", "sqrt"),
    "time ~ ": ("Gamma", "log"),
}


@st.composite
def generalised_situations(draw: st.DrawFn) -> tuple[ModelCase, pd.DataFrame]:
    """The same, with responses for generalised models; many can't be fitted, and R says why."""
    linear, frame = draw(situations())
    g = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = len(frame)
    scaled = (frame["x"] / frame["x"].std()).fillna(0.0)
    frame["r"] = (scaled + g.normal(size=n) > 0).astype(int)
    frame["hits"] = g.binomial(9, 1 / (1 + np.exp(-scaled)))
    frame["misses"] = 9 - frame["hits"]
    frame["time"] = np.exp(scaled + g.normal(size=n))
    response = draw(st.sampled_from(list(GENERALISED)))
    family, link = GENERALISED[response]
    r = f'{family}(link = "{link}")' if link else family
    arguments = [Argument("family", family, f"family = {r}")]
    arguments += [Argument("link", link, "")] if link else []
    points = draw(st.sampled_from([0, 0, 1, 7]))
    arguments += [Argument("nAGQ", points, f"nAGQ = {points}L")]
    arguments += [x for x in linear.arguments if x.name == "na_action"]
    formula = response + linear.formula.split("~", 1)[1].strip()
    return replace(linear, fitter="glmer", formula=formula, arguments=tuple(arguments)), frame


def scripts(case: ModelCase, frame: pd.DataFrame) -> str:
    rule = "-" * 30
    return (
        f"\n{rule} R {rule}\n{r_script(case, frame)}"
        f"{rule} Python {rule}\n{python_script(case, frame)}{rule}{rule}"
    )


def assert_equal(suite: Suite, case: ModelCase, frame: pd.DataFrame) -> None:
    rows = verdicts(case, *suite.answers(case, frame))
    wrong = [f"{x.accessor}: {text}" for x in rows for text in x.differences[:2]]
    if wrong:  # raised, not asserted: pytest would indent the scripts
        raise AssertionError("\n".join(wrong) + scripts(case, frame))


@settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(situations())
def test_any_small_model(suite: Suite, situation: tuple[ModelCase, pd.DataFrame]) -> None:
    assert_equal(suite, *situation)


@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(generalised_situations())
def test_any_small_generalised_model(
    suite: Suite, situation: tuple[ModelCase, pd.DataFrame]
) -> None:
    assert_equal(suite, *situation)


def run(command: list[str]) -> list[tuple[str, float]]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [line.rsplit(" ", 1) for line in done.stdout.splitlines()]
    return [(name, float.fromhex(value)) for name, value in rows]


WRITTEN = (
    ModelCase(
        "written", "written", "", "y ~ x + `two words` + t + b + k + o + d + (x | g)", ("g",),
        (Argument("reml", False, "REML = FALSE"),),
    ),
    ModelCase(
        "written", "written", "", "n ~ x + `two words` + t + b + o + (1 | g)", ("g",),
        (
            Argument("family", "poisson", 'family = poisson(link = "sqrt")'),
            Argument("link", "sqrt", ""),
            Argument("nAGQ", 0, "nAGQ = 0L"),
            Argument("offset", Column("m"), "offset = offset"),
        ),
        fitter="glmer",
        prelude="offset <- data$m",
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", WRITTEN, ids=lambda case: case.fitter)
def test_the_printed_scripts_stand_alone(
    suite: Suite, case: ModelCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A difference prints two scripts, which give the same numbers when they are run alone."""
    g = np.random.default_rng(5)
    n = 48
    frame = pd.DataFrame(
        {
            "x": g.normal(size=n),
            "two words": g.normal(size=n),
            "t": pd.array(np.resize(['q"', "Ж", "NA", None], n), dtype=object),
            "b": pd.array(np.resize([True, False, None], n), dtype="boolean"),
            "k": pd.array(np.resize([1, 2, None, 4, 5], n), dtype="Int32"),
            "o": pd.Categorical.from_codes(np.resize([0, 2, 1, -1], n), ["z", "a", "é"]),
            "d": pd.to_datetime("2020-02-28") + pd.to_timedelta(g.integers(0, 9, n), "D"),
            "g": np.resize(["", " ", "東京", "b\\", "a\tb", "A"], n),
            "y": g.normal(size=n),
            "n": g.poisson(5.0, n),
            "m": np.resize([0.0, 0.25], n),
        }
    )
    frame["d"] = frame["d"].dt.date
    frame.loc[3, ["x", "y"]] = np.nan
    assert_equal(suite, case, frame)

    def off_by_one_ulp(*arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        mine, theirs = answers(*arguments)
        mine["fixef"]["estimate"] = np.nextafter(mine["fixef"]["estimate"], np.inf)
        return mine, theirs

    answers = suite.answers
    monkeypatch.setattr(suite, "answers", off_by_one_ulp)
    with pytest.raises(AssertionError, match=r"fixef: .*1 ulp apart") as failure:
        assert_equal(suite, case, frame)
    parts = str(failure.value).split("-" * 30)
    r_code, python_code = parts[2], parts[4]
    (tmp_path / "case.R").write_text(r_code, encoding="utf-8")
    (tmp_path / "case.py").write_text(python_code, encoding="utf-8")
    in_r = run([str(find_rscript()), str(tmp_path / "case.R")])
    in_python = run([sys.executable, "-W", "ignore", str(tmp_path / "case.py")])
    assert in_r == in_python
    assert len(in_r) > 5
