"""Double bars: expanded on the parsed formula, to the terms that lme4 makes of its text."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb

pytestmark = [pytest.mark.r, pytest.mark.slow]

SOURCE = Path(__file__).resolve().parents[2] / "r"

# What lme4 1.1-31 expands; `(1 || g)` and `(0 || g)`, which it can't, stand further down.
FORMULAS = [
    "y ~ x + (x + z || g)",
    "y ~ (x * z || g)",
    "y ~ (z * x || g)",
    "y ~ (x * z * w || g)",
    "y ~ (0 + x || g)",
    "y ~ (x - 1 || g)",
    "y ~ (-1 + x + z || g)",
    "y ~ (1 + x || g)",
    "y ~ (f || g)",
    "y ~ (0 + f || g)",
    "y ~ (f:x + x || g)",
    "y ~ (x || g/h)",
    "y ~ (x || a:b)",
    "y ~ (x || (g))",
    "y ~ (x || interaction(g, h))",
    "y ~ (x || g/h/k)",
    "y ~ ((x || g))",
    "y ~ x + (((x || g))) + z",
    "y ~ ((x) || g)",
    "y ~ (x + (z + w) || g)",
    "y ~ ((x + z)^2 || g)",
    "y ~ ((x + z + w)^3 - x:z:w || g)",
    "y ~ (x %in% z || g)",
    "y ~ (x/z || g)",
    "y ~ (poly(x, 2) + I(x^2) + log(z) || g)",
    "y ~ (offset(z) + x || g)",
    "y ~ (x || g) + (z || h) + (w | k)",
    "y ~ x || g",
    "y ~ x * (z || g)",
    "y ~ (a | g) + (x || h) - x",
    "log(y) ~ scale(x) + (scale(x) || g)",
    'y ~ (dummy(f, "b") || g)',
    "y ~ ns(x, df = 3L) + (ns(x, df = 3L) + cut(x, c(-9, 0.12345678901234567, 1e5)) || g)",
]


def test_expanded_as_lme4_does(tmp_path: Path) -> None:
    """The same expression, bracket for bracket, so that R prints the same formula."""
    (tmp_path / "formulas.json").write_text(json.dumps(FORMULAS))
    program = f"""
        for (name in c("bars.R", "formula.R")) source(file.path({json.dumps(str(SOURCE))}, name))
        for (text in jsonlite::fromJSON("formulas.json")) {{
            right <- str2lang(text)[[3L]]
            mine <- expand_double_bars(right)
            theirs <- lme4::expandDoubleVerts(right)
            if (!identical(mine, theirs)) stop(text, ": ", deparse1(mine), "; ", deparse1(theirs))
        }}
    """
    done = subprocess.run(
        ["Rscript", "-e", program], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 240
    g = np.repeat([f"g{i}" for i in range(24)], 10)
    frame = pd.DataFrame(
        {"x": rng.normal(size=n), "z": rng.normal(size=n), "g": g, "h": np.tile(["p", "q"], 120)}
    )
    frame["f"] = pd.Categorical(np.tile(["a", "b", "c"], 80))
    effects = rng.normal(size=(24, 3)).repeat(10, axis=0)
    frame["y"] = effects[:, 0] + (1 + effects[:, 1]) * frame["x"] + rng.normal(size=n)
    return frame


NAMES = [
    "school id",
    "1st",
    "a\\b",
    "if",
    "system('touch canary')",
    "g)+(1|file.create('canary'))+(1|g",
    "x <- file.create('canary')",
    "größe in cm",
]
# The column that bears the name; the formula with it; a part of its random terms, where lme4 can
# predict (it does not find the factors of interaction() in new data).
ROLES: dict[str, tuple[str, str, str | None]] = {
    "group": ("g", "y ~ x + (x + z || @)", "~ (0 + x || @)"),
    "second group": ("g", "y ~ x + (1 | h) + (0 + x || @)", "~ (0 + x || @)"),
    "inner group": ("h", "y ~ x + (x || g/@)", "~ (x || @:g)"),
    "outer group": ("g", "y ~ x + (x || @/h)", "~ (x || @)"),
    "crossed group": ("h", "y ~ x + (x || @:g)", "~ (0 + x || @:g)"),
    "interaction": ("h", "y ~ x + @ + (1 | g) + (x || interaction(g, @))", None),
    "slope": ("x", "y ~ @ + (@ * z || g)", "~ (@ || g)"),
    "factor": ("f", "y ~ x + (@ || g)", "~ (0 + @ || g)"),
    "within a call": ("x", "y ~ @ + (I(@^2) + @ || g)", "~ (0 + I(@^2) || g)"),
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore::rbridge_mi.RWarning")
def test_any_name_gives_the_bits_of_a_plain_one(
    name: str, role: str, data: pd.DataFrame, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    column, formula, part = ROLES[role]

    def fitted(own: str) -> list[Any]:
        frame = data.rename(columns={column: own})
        backticked = "`" + own.replace("\\", "\\\\").replace("`", "\\`") + "`"
        fit = rb.Lmer(formula.replace("@", backticked)).fit(frame)
        found = [fit.theta, fit.beta, fit.varcorr()["vcov"], fit.ranef()["condval"]]
        if part is not None:
            form = part.replace("@", backticked)
            found += [
                fit.predict(frame.head(7)),
                fit.predict(frame, re_form=form),
                fit.simulate(1, seed=1)["sim_1"],
                fit.simulate(1, seed=1, **{"re.form": form})["sim_1"],
            ]
        return [x.to_numpy().tobytes() for x in found]

    assert fitted(name) == fitted("plain")
    assert not list(tmp_path.iterdir())


def test_re_form_expands_as_the_formula_does(data: pd.DataFrame) -> None:
    imp = rb.ImputedData.from_frames([data, data.assign(z=data["z"] + 0.01)])
    fits = rb.Lmer("y ~ x + (x || g)").fit(imp)
    for call in (fits[0].predict, fits.predict):
        assert call(data, re_form="~ (x || g)").equals(call(data))
        assert not call(data, re_form="~ (0 + x || g)").equals(call(data))
        assert call(data, re_form="~ (1 || g)").equals(call(data, re_form="~ (1 | g)"))


def test_an_intercept_alone(data: pd.DataFrame) -> None:
    """lme4 1.1-31 makes an error of it; its successors the one term that it can mean."""
    one = rb.Lmer("y ~ x + (1 || g)").fit(data)
    assert one.criterion == rb.Lmer("y ~ x + (1 | g)").fit(data).criterion


@pytest.mark.parametrize(
    ("term", "said"),
    [
        ("(0 || g)", r"has no random term"),
        ("(. || g)", r"name the columns|re_form names '\."),
        ("((x || g) || h)", r"a bar within a bar"),
        ("((x | g) || h)", r"a bar within a bar"),
        ("(x > 1 || g)", r"write I\(x > 1\)"),
        ("(!x || g)", r"write I\(!x\)"),
    ],
)
def test_what_has_no_expansion_is_refused(term: str, said: str, data: pd.DataFrame) -> None:
    with pytest.raises(rb.FormulaError, match=said):
        rb.Lmer(f"y ~ x + {term}").fit(data)
    fit = rb.Lmer("y ~ x + (x | g) + (1 | h)").fit(data)
    with pytest.raises(rb.RCallError, match=said):
        fit.predict(re_form=f"~ {term}")


def test_a_double_bar_elsewhere_is_refused(data: pd.DataFrame) -> None:
    with pytest.raises(rb.FormulaError, match=r"'\|\|' stands between random terms"):
        rb.Lmer("y ~ x + `||`(x) + (1 | g)").fit(data)
