"""The tables of docs/bridges/without-r.md, from the rows of `without_r.py`."""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

from without_r_numbers import compared

Row: TypeAlias = dict[str, Any]
BEGIN, END = "<!-- benchmarks/without_r.py: begin -->", "<!-- end -->"
# The models of the table that is shown first; all others stand below it.
SHOWN = (
    "random/vignette", "random/intercept", "random/slope", "random/double_bar", "estimation/ml",
    "random/intercept_only", "random/crossed_penicillin", "random/crossed_insteval",
    "random/nested_slash", "random/nested_three_deep", "random/nested_slopes",
    "random/factor_slopes", "random/quadratic_slopes", "random/three_factors",
    "estimation/weights", "estimation/offset", "terms/polynomial_by_ordered", "terms/splines_ns",
    "missing/omit", "awkward/singular", "awkward/singular_slopes", "awkward/rank_deficient",
    "awkward/rescale_slopes", "binomial/cbind", "binomial/numbers", "binomial/crossed",
    "binomial/slopes", "quadrature/eleven", "quadrature/none", "counts/grouseticks",
    "counts/offset", "negative_binomial/estimated", "positive/gamma_log",
)  # fmt: skip
KINDS = {
    "same": "lme4's numbers, to 4 digits or more",
    "close": "the same maximum, to fewer digits",
    "log_lik": "the same estimates, another log likelihood",
    "coding": "the same fit, columns coded otherwise",
    "higher": "other estimates, of a higher likelihood than lme4's",
    "other": "other estimates",
    "error": "stops",
    "not_offered": "no way to write it",
}


def kind(row: Row) -> str:
    """Which of `KINDS` a row is of."""
    for name in ("not_offered", "error"):
        if name in row:
            return name
    of = compared(row["lme4"], row)
    least = -1 if of["fixed"] is None or of["sd"] is None else min(of["fixed"], of["sd"])
    gap = abs(of["gap"])
    if least >= 4 and gap < 1e-3:
        return "same"
    if least >= 1 and gap < 1e-4:
        return "close"
    if least >= 3:
        return "log_lik" if gap > 0.1 else "close"
    if (of["sd"] or 0) >= 3 and (row["fitted"] or 0) >= 3:
        return "coding"
    return "higher" if of["gap"] > 1e-3 and row["fitter"] == "lmer" else "other"


def cell(row: Row) -> str:
    """A package's answer to one model: digits, and its time as a multiple of this library's."""
    what = kind(row)
    if what == "not_offered":
        return f"not offered ({row['not_offered']})"
    if what == "error":
        text = row["error"].splitlines()[0]
        return "stops: " + escape(text if len(text) < 70 else text[:67] + "...")
    of = compared(row["lme4"], row)
    digits = ("-" if of[x] is None else str(of[x]) for x in ("fixed", "sd", "log_lik"))
    notes = {
        "log_lik": ", other log likelihood",
        "coding": ", coded otherwise",
        "higher": f", **higher likelihood** (+{of['gap']:.2g})",
        "other": ", **other**",
    }
    return f"{' / '.join(digits)}{notes.get(what, '')}; {ratio(row['seconds'] / row['ours'])}"


def escape(text: str) -> str:
    return re.sub(r"([|*_`<\[\]])", r"\\\1", text)


def ratio(x: float) -> str:
    return f"{x:.2g}x" if x < 10 else f"{x:.0f}x"


def table(rows: list[Row], packages: Iterable[str]) -> list[str]:
    packages = list(packages)
    cases: dict[str, dict[str, Row]] = {}
    for row in rows:
        cases.setdefault(row["case"], {})[row["package"]] = row
    lines = [
        "| model | rows | here | " + " | ".join(packages) + " |",
        "|---|---|---|" + "---|" * len(packages),
    ]
    for of in cases.values():
        one = next(iter(of.values()))
        singular = ", singular" if one["singular"] else ""
        formula = one["formula"].replace("|", "\\|")
        ours = min(x["ours"] for x in of.values())
        lines.append(
            f"| {one['data']}{singular}: `{formula}` | {one['rows']} | {ours * 1000:.0f} ms | "
            + " | ".join(cell(of[x]) if x in of else "" for x in packages) + " |"
        )  # fmt: skip
    return lines


def counts(rows: list[Row], packages: Iterable[str]) -> list[str]:
    packages = list(packages)
    lines = ["| | " + " | ".join(packages) + " |", "|---|" + "---|" * len(packages)]
    for fitters, title in ((("lmer",), "linear"), (("glmer", "glmer.nb"), "generalised")):
        of = [x for x in rows if x["fitter"] in fitters]
        total = len({x["case"] for x in of})
        lines.append(f"| **{total} {title} models** | " + " | ".join("" for _ in packages) + " |")
        for name, text in KINDS.items():
            number = [sum(x["package"] == p and kind(x) == name for x in of) for p in packages]
            if any(number):
                lines.append(f"| {text} | " + " | ".join(map(str, number)) + " |")
        medians = []
        for p in packages:
            ratios = [x["seconds"] / x["ours"] for x in of if x["package"] == p and "seconds" in x]
            medians.append(ratio(statistics.median(ratios)) if ratios else "")
        lines.append("| time beside this library's, median | " + " | ".join(medians) + " |")
    return lines


def write_page(path: Path, rows: list[Row], versions: dict[str, str]) -> None:
    """Put the tables between the page's markers."""
    models = [x for x in rows if "fitter" in x]
    shown = [x for name in SHOWN for x in models if x["case"] == name]
    others = [x for x in models if x["case"] not in SHOWN]
    names = ", ".join(f"{k} {v}" for k, v in versions.items())
    text = [
        BEGIN, "",
        f"{names}, in one environment; on {os.cpu_count()} CPUs, of which BLAS used one.", "",
        *counts(models, versions), "",
        *cold(rows), "",
        "## Model by model", "", *table(shown, versions), "",
    ]  # fmt: skip
    if others:
        text += [":::{dropdown} The other models of the parity suite that were run", "",
                 *table(others, versions), "", ":::", ""]  # fmt: skip
    page = path.read_text("utf-8")
    before, after = page.split(BEGIN)[0], page.split(END, 1)[1]
    path.write_text(before + "\n".join([*text, END]) + after, "utf-8")


def cold(rows: list[Row]) -> list[str]:
    of = [x for x in rows if x["case"] == "cold"]
    if not of:
        return []
    head = ["here", *(x["package"] for x in of)]
    seconds = [min(x["ours"] for x in of), *(x["seconds"] for x in of)]
    title = (
        "From the start of a new Python process to a first model (`sleepstudy`, random slopes), "
        "R's start included:"
    )
    return [title, "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head),
            "| " + " | ".join(f"{x:.1f} s" for x in seconds) + " |"]  # fmt: skip
