"""docs/bridges/r-users.md: each variable that both blocks of a pair assign has the same value.

The page itself is read. Its R blocks run in one Rscript, which shares nothing with the R in this
process, its Python blocks here, in one folder with the same files. Values are compared bit for
bit, unless the line under a pair says within what, and why.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.rdoor import prepare
from rbridge_mi.testing import run_r
from tests.whole.pages import ROOT

pytestmark = [pytest.mark.r, pytest.mark.slow]

PAGE = (ROOT / "docs" / "bridges" / "r-users.md").read_text("utf-8")
PAIR = re.compile(
    r"```r\n(.*?)```\n:::\n:::\{grid-item\}\n```python\n(.*?)```\n:::\n::::\n(?:\n([^#:].*?)\n\n)?",
    re.DOTALL,
)
# R's names of columns, as the library calls them; see the glossary of columns.
COLUMNS = {
    "Estimate": "estimate", "Std. Error": "std_error", "t value": "statistic",
    "z value": "statistic", "Pr(>|t|)": "p_value", "Pr(>|z|)": "p_value", "Pr(>F)": "p_value",
    "Pr(>Chisq)": "p_value", "Sum Sq": "sum_sq", "Mean Sq": "mean_sq", "NumDF": "df1",
    "DenDF": "df2", "F value": "statistic", "Chisq": "statistic", "Df": "df", "AIC": "aic",
    "BIC": "bic", "logLik": "log_lik", "lower.CL": "conf_low", "upper.CL": "conf_high",
    "SE": "std_error", "emmean": "estimate", "ses.trend": "estimate", "t.ratio": "statistic",
    "p.value": "p_value", "2.5 %": "conf_low", "97.5 %": "conf_high", "std.error": "std_error",
    "F.value": "statistic", "P(>F)": "p_value", "RIV": "riv", "df.residual": "df_residual",
    "REMLcrit": "reml_crit", "P(>|t|)": "p_value", "Std.Error": "std_error", "FMI": "fmi",
    "conf.low": "conf_low", "conf.high": "conf_high",
    "t.value": "statistic", "lambda": "lambda_", "groupFctr": "grpvar", "groupID": "grp",
    "fit": "estimate", "upr": "pred_high", "lwr": "pred_low",
}  # fmt: skip


@dataclass(frozen=True)
class Pair:
    r: str
    python: str
    tolerance: float

    @property
    def shared(self) -> list[tuple[str, str]]:
        """R's and Python's name of each variable that both assign; fits and specifications too."""
        assigned = {
            target.id
            for node in ast.parse(self.python).body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        names = dict.fromkeys(re.findall(r"^([\w.]+) <-", self.r, re.MULTILINE))
        return [(x, x.replace(".", "_")) for x in names if x.replace(".", "_") in assigned]


PAIRS = [
    Pair(r, python, float(within[1]) if (within := re.match(r"Within (1e-\d+)", after)) else 0.0)
    for r, python, after in PAIR.findall(PAGE)
]
LABELS = ("term", "grp", "names", "level")  # our columns that say what R's row names say
# Columns of R's tables that the library's have not, and why.
NOT_HERE = {
    "m": "is the number of fits",
    "dfcom": "is an attribute of the pooled model",
}
# Variables that hold objects of the languages, which are compared by what is asked of them.
OBJECTS = ("m", "smaller", "by.ml", "g", "nb", "sector", "a", "imp", "p", "j", "fits", "reduced")


@dataclass(frozen=True)
class Both:
    """What each pair assigned, in both languages, under R's names."""

    r: list[dict[str, Any]]
    python: list[dict[str, Any]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    return run_both(tmp_path_factory.mktemp("bridges"))


def run_both(folder: Path) -> Both:
    prepare("lme4")  # so that `run_r` takes care of the order of crossed random effects
    save_data(folder)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RBridgeWarning)
        patch.chdir(folder)
        return Both(by_r(), by_python())


def by_r() -> list[dict[str, Any]]:
    """R's variables after each pair."""
    code = "".join(
        f"{pair.r}\nafter{i} <- list({', '.join(f'{x} = {x}' for x in kept_of(pair))})\n"
        for i, pair in enumerate(PAIRS)
    )
    variables = run_r(code)
    return [variables[f"after{i}"] or {} for i in range(len(PAIRS))]


def by_python() -> list[dict[str, Any]]:
    variables: dict[str, Any] = {}
    after = []
    for pair in PAIRS:
        exec(compile(pair.python, "r-users.md", "exec"), variables)
        after.append({x: variables[x.replace(".", "_")] for x in kept_of(pair)})
    return after


def kept_of(pair: Pair) -> list[str]:
    return [x for x, _ in pair.shared if x not in OBJECTS]


def save_data(folder: Path) -> None:
    made = run_r("""
        sleep <- lme4::sleepstudy; sleep$Subject <- as.integer(as.character(sleep$Subject))
        cbpp <- lme4::cbpp; cbpp$herd <- as.integer(as.character(cbpp$herd))
        cbpp$period <- as.integer(as.character(cbpp$period))
        ticks <- lme4::grouseticks[c("TICKS", "YEAR", "BROOD")]
        ticks$BROOD <- as.integer(as.character(ticks$BROOD))
        ticks$YEAR <- as.integer(as.character(ticks$YEAR))
    """)
    for name in ("sleep", "cbpp", "ticks"):
        made[name].to_csv(folder / f"{name}.csv", index=False)
    hsb = rb.load_hsb()
    hsb = hsb[hsb["schid"].isin(hsb["schid"].unique()[:40])].reset_index(drop=True)
    holes = rb.ampute(hsb, prop=0.1, columns=["ses", "minority"], seed=1)
    holes.to_csv(folder / "pupils.csv", index=False)


# -- two values ----------------------------------------------------------------------------------


def cells(value: Any, of_r: bool) -> dict[str, list[Any]]:
    """A value as columns: of a table its own under the library's names, of others one column."""
    if isinstance(value, pd.DataFrame):
        names = [COLUMNS.get(str(x), str(x)) if of_r else str(x) for x in value.columns]
        table = value.set_axis(names, axis=1)
        named = not isinstance(table.index, pd.RangeIndex)
        rows = {"<rows>": [str(x) for x in table.index]} if of_r and named else {}
        return rows | {k: list(table[k]) for k in names}
    if isinstance(value, pd.Series):
        return {"<rows>": [str(x) for x in value.index], "<values>": list(value)}
    if isinstance(value, np.ndarray):
        if value.ndim == 2:
            return {f"<{i}>": list(x) for i, x in enumerate(value.T)}
        return {"<values>": list(value)}
    return {"<values>": list(value) if isinstance(value, list | tuple) else [value]}


def same(x: Any, y: Any, tolerance: float) -> bool:
    if pd.isna(x) or pd.isna(y):
        return bool(pd.isna(x) and pd.isna(y))
    if isinstance(x, str) or isinstance(y, str):
        return str(x) == str(y)
    x, y = float(x), float(y)
    return x == y if tolerance == 0 else abs(x - y) <= tolerance * max(abs(x), abs(y), 1e-8)


def differences(theirs: Any, ours: Any, tolerance: float) -> list[str]:
    """What differs between R's value and Python's; every column of R's must be in ours."""
    a, b = cells(theirs, True), cells(ours, False)
    rows = a.pop("<rows>", None)
    labels = b.pop("<rows>", None) or next((b[x] for x in LABELS if x in b), None)
    result = []
    if labels is not None and list(map(str, labels)) == [str(i) for i in range(len(labels))]:
        labels = list(range(1, len(labels) + 1))  # rows without names are counted from 1 in R
    if rows is not None and labels is not None and list(map(str, labels)) != rows:
        result.append(f"rows {rows[:5]} are not {labels[:5]}")
    if "<values>" in a:  # R's named vector is the table's only column of numbers, or the estimate
        b = {"<values>": b.get("<values>") or b.get("estimate") or next(iter(b.values()))}
    for name, values in a.items():
        if name in NOT_HERE:
            continue
        if name not in b:
            result.append(f"{name} is not among {list(b)}")
        elif len(values) != len(b[name]):
            result.append(f"{name}: {len(values)} rows are not {len(b[name])}")
        else:
            result += [
                f"{name}[{i}]: {x!r} is not {y!r}"
                for i, (x, y) in enumerate(zip(values, b[name], strict=True))
                if not same(x, y, tolerance)
            ]
    return result


@pytest.mark.parametrize("i", range(len(PAIRS)))
def test_both_say_the_same(i: int, both: Both) -> None:
    names = kept_of(PAIRS[i])
    assert names or set(dict(PAIRS[i].shared)) & set(OBJECTS)
    for name in names:
        theirs, ours = both.r[i][name], both.python[i][name]
        assert differences(theirs, ours, PAIRS[i].tolerance) == [], name
