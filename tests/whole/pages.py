"""Pages of docs/ whose blocks are run, and shown with what they print."""

from __future__ import annotations

import ast
import io
import re
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb

ROOT = Path(__file__).resolve().parents[2]
Page = dict[str, Any]
BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n```\n(.*?)```\n)?", re.DOTALL)
NUMBER = re.compile(r"-?\d+\.(\d+)(?:e([+-]\d+))?$")  # a whole number has no places to differ in


def run(
    name: str, width: int = 80, given: Page | None = None, show: bool = False
) -> tuple[list[tuple[str, str, str]], Page]:
    """Each block's code, what it printed and what the page shows; and the variables at the end.

    `given` are variables that the page takes as known; with `show` a block that ends in an
    expression prints its value, as a notebook does.
    """
    path = ROOT / "docs" / name
    variables: Page = {**(given or {})}
    blocks = []
    state = np.random.get_state()
    with (
        pytest.MonkeyPatch.context() as patch,
        pd.option_context("display.width", width, "display.max_columns", 0),
        warnings.catch_warnings(),
    ):
        patch.chdir(ROOT)
        warnings.simplefilter("ignore", rb.RBridgeWarning)  # of singular fits, as the pages say
        for code, shown in BLOCK.findall(path.read_text("utf-8")):
            printed = io.StringIO()
            with redirect_stdout(printed):
                value = execute(code, str(path), variables)
                if show and value is not None:
                    print(value)  # noqa: T201
            blocks.append((code, printed.getvalue(), shown))
    np.random.set_state(state)
    return blocks, variables


def execute(code: str, where: str, variables: Page) -> Any:
    """Run a block; the value of the expression that it ends in, or None."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, where, "exec"), variables)
    if not isinstance(last, ast.Expr):
        return None
    return eval(compile(ast.Expression(last.value), where, "eval"), variables)


def differences(printed: str, shown: str) -> list[tuple[str, str]]:
    """Words that differ. Numbers may by one in the last place that is shown.

    Another BLAS takes the optimizer along another path, so that estimates differ somewhere behind
    the places shown, and may be rounded to the other side.
    """
    a, b = re.split(r"[\s\[\],]+", printed.strip()), re.split(r"[\s\[\],]+", shown.strip())
    if len(a) != len(b):
        return [(printed, shown)]
    return [(x, y) for x, y in zip(a, b, strict=True) if not _same(x, y)]


def _same(x: str, y: str) -> bool:
    of_x, of_y = NUMBER.match(x), NUMBER.match(y)
    if not of_x or not of_y:
        return x == y
    place = max(int(z[2] or 0) - len(z[1]) for z in (of_x, of_y))
    return abs(float(x) - float(y)) <= 1.001 * 10.0**place
