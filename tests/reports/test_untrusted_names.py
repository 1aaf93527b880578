"""Columns, levels and groups that are programs or markup: on plots, in tables and reports text."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lxml import html

import rbridge_mi as rb

pytestmark = [pytest.mark.r, pytest.mark.slow]

COLUMNS = ["if", "a b", "x`y", "$\\frac{", "_first", "<script>alert(1)</script>", "PROGRAM"]
# What needs more than the object.
ARGUMENTS = {"predictions": ("x",), "scatter": ("x", "response")}
LEFT_OUT = {"overimpute": "Amelia's", "profile": "slow: its parameters are named by lme4"}


def quoted(name: str) -> str:
    """The name in R's backticks."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


@pytest.mark.parametrize("column", COLUMNS)
def test_names_are_text(column: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    if column == "PROGRAM":
        column = f"system('touch {canary}')"
    g = np.random.default_rng(1)
    group = np.repeat(np.arange(15), 10)
    x = g.normal(size=150)
    frame = pd.DataFrame(
        {
            column: x, "f": g.choice(["NA", "{{ 7 * 7 }}", "<b>"], 150),
            "for": [f"<i> $x_{i}" for i in group],
            "response": 1 + x + g.normal(size=15)[group] + g.normal(size=150),
        }
    )  # fmt: skip
    frame[column] = frame[column].mask(g.random(150) < 0.1)
    model = rb.Lmer(f"response ~ {quoted(column)} + f + (1 | `for`)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RBridgeWarning)  # short chains
        imp = rb.impute(frame, model=model, m=2, seed=1, max_iter=30, rhat=9.0)
        fits, listwise = model.fit(imp), model.fit(frame)
        moved = rb.delta_sensitivity(model, imp, column, [-1.0, 0.0])
    import matplotlib.pyplot as plt

    drawn = 0
    for result in (imp, fits, fits.pool(), listwise):
        for name in set(dir(result.plot)) - set(LEFT_OUT):
            given = [column if x == "x" else x for x in ARGUMENTS.get(name, ())]
            plot: Any = getattr(result.plot, name)(*given)
            figure = getattr(plot, "figure", None) or plot
            figure.savefig(tmp_path / "plot.svg")
            plt.close(figure)
            drawn += 1
    assert drawn >= 20
    rb.plot.delta(moved).figure.savefig(tmp_path / "plot.svg")
    table = rb.table(listwise, fits)
    assert table.to_latex() and table.to_markdown()
    path = rb.report(fits, tmp_path / "page.html", listwise=listwise, sensitivity=moved)
    for text in (path.read_text("utf-8"), table.to_html()):
        page = html.fromstring(text)
        assert not list(page.iter("script"))
        assert not [x for x in page.iter("i", "b") if "$x_" in x.text_content()]
        # As R writes a name between backticks.
        term = column.replace("\\", "\\\\").replace("`", "\\`")
        assert any(term in x.text_content() for x in page.iter("td", "th"))
        assert "49" not in [x.text_content().strip() for x in page.iter("td", "th")]
    assert not canary.exists()
