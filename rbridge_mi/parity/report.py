"""Runs the suite and writes the report of ``rbridge-mi parity``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePath
from typing import Any

from tqdm import tqdm

from ..errors import RBridgeError
from ..rdoor import call
from .engine import PACKAGES, Case, Checked, Suite

__all__ = ["Outcome", "heading", "run_suite", "table_line", "totals"]

_ROW = "{:<38} {:<24} {:>9} {:>12}"


@dataclass
class Outcome:
    """The result of a run.

    Attributes
    ----------
    stack : dict
        The R in this process: r, platform, blas, lapack, collate, packages.
    reference : dict
        The Rscript's, likewise.
    rows : list of Checked
        One per case and accessor.
    not_run : dict
        Cases that need R packages which this R lacks, with the names of these packages.
    seconds : float
        How long the run took.

    See Also
    --------
    run_suite : Makes these.
    """

    stack: dict[str, Any]
    reference: dict[str, Any]
    rows: list[Checked] = field(default_factory=list)
    not_run: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def doubles(self) -> int:
        """Doubles compared, bit by bit."""
        return sum(x.doubles for x in self.rows)

    @property
    def others(self) -> int:
        """Other cells compared: text, levels, counts, names."""
        return sum(x.others for x in self.rows)

    @property
    def cases(self) -> int:
        """Cases that ran."""
        return len({x.case for x in self.rows})

    @property
    def wrong(self) -> list[Checked]:
        """The rows in which something differs."""
        return [x for x in self.rows if not x.equal]

    @property
    def equal(self) -> bool:
        """Whether something was compared, on one and the same stack, and nothing differs."""
        return bool(self.rows) and not self.wrong and self.stack == self.reference

    def as_json(self) -> dict[str, Any]:
        """Return plain values for `json.dumps`; an infinite distance is null."""
        rows = [asdict(x) for x in self.rows]
        for row in rows:
            row["max_ulp"] = row["max_ulp"] if math.isfinite(row["max_ulp"]) else None
            row["differences"] = list(row["differences"])
        return {
            "stack": self.stack,
            "reference": self.reference,
            "equal": self.equal,
            "cases": self.cases,
            "doubles": self.doubles,
            "others": self.others,
            "seconds": round(self.seconds, 1),
            "not_run": self.not_run,
            "rows": rows,
        }


def run_suite(cases: Sequence[Case], say: Callable[[str], None] | None = None) -> Outcome:
    """Run cases, with a progress bar on a terminal.

    Parameters
    ----------
    cases : sequence of ModelCase or ImputationCase
        The cases, in this order.
    say : callable, optional
        Is called with each line of the report: the heading, the table, the totals.

    Returns
    -------
    Outcome
        The rows of all cases.

    Raises
    ------
    RBridgeError
        If R or Rscript can't be used.

    See Also
    --------
    rbridge_mi.parity.find_cases : Looks cases up by name.

    Examples
    --------
    >>> from rbridge_mi.parity import find_cases
    >>> run_suite(find_cases("random/intercept_only")).equal
    True
    """
    say = say or (lambda _: None)
    begin = time.monotonic()
    with Suite() as suite:
        outcome = Outcome(_stack(), suite.stack())
        for line in heading(outcome):
            say(line)
        bar = tqdm(cases, desc="parity", unit="case", disable=None, leave=False)
        for case in bar:
            bar.set_postfix_str(case.name, refresh=False)
            lacking = suite.missing_packages(case)
            if lacking:
                outcome.not_run[case.name] = lacking
                continue
            for row in _checked(suite, case):
                outcome.rows.append(row)
                for line in table_line(row):
                    say(line)
    outcome.seconds = time.monotonic() - begin
    for line in totals(outcome):
        say(line)
    return outcome


def _checked(suite: Suite, case: Case) -> list[Checked]:
    """Check a case. An error that stops it counts as a difference, and the run goes on."""
    try:
        return suite.check(case)
    except RBridgeError as error:
        suite.restart()
        # Where R itself ended, its text may hold the data.
        text = f"{type(error).__name__}: {error}"[:1000]
        return [Checked(case.name, "all", 0, 0, math.inf, (text,))]


def heading(outcome: Outcome) -> list[str]:
    """Write the stack, line by line, and the head of the table."""
    lines = []
    for name, value in outcome.stack.items():
        if name == "packages":
            text = ", ".join(f"{k} {v or '(not installed)'}" for k, v in value.items())
        else:
            text = value
        lines.append(f"{name:<9} {text}")
    if outcome.stack != outcome.reference:
        lines += ["", "DIFFERENT: Rscript runs on another stack than the R in this process:"]
        lines += [f"  {k}: {v}" for k, v in outcome.reference.items() if outcome.stack.get(k) != v]
    return [*lines, "", _ROW.format("case", "accessor", "doubles", "largest ulp")]


def table_line(row: Checked) -> list[str]:
    """Write a row of the table, and what differs in it."""
    distance = f"{row.max_ulp:,.0f}" if math.isfinite(row.max_ulp) else "no number"
    lines = [_ROW.format(row.case, row.accessor, row.doubles, distance)]
    if not row.equal:
        lines[0] += f"   DIFFERENT in {len(row.differences)} places"
        lines += [f"    {x}" for x in row.differences[:3]]
    elif row.reason:
        lines[0] += f"   allowed: {row.reason}"
    return lines


def totals(outcome: Outcome) -> list[str]:
    """Write which cases did not run, and the totals of those that did."""
    lines = [""]
    by_packages: dict[str, list[str]] = {}
    for name, lacking in outcome.not_run.items():
        by_packages.setdefault(", ".join(lacking), []).append(name)
    for packages, names in by_packages.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        lines.append(f"not run: {', '.join(names[:3])}{more} (R lacks {packages})")
    largest = max((x.max_ulp for x in outcome.rows), default=0.0)
    verdict = "all equal" if outcome.equal else f"{len(outcome.wrong)} accessors DIFFER"
    lines.append(
        f"{outcome.cases} cases, {outcome.doubles:,} doubles and {outcome.others:,} other cells "
        f"compared in {outcome.seconds:.0f} s: {verdict}, largest distance {largest:,.0f} ulp"
    )
    return lines


def _stack() -> dict[str, Any]:
    """Describe the R in this process, with the names that `Rscript.stack` uses."""
    stack = call("describe_stack", list(PACKAGES)).value
    texts = {name: str(value[0]) for name, value in stack.items() if name != "packages"}
    versions = dict(zip(stack["packages"], stack["versions"], strict=True))
    return {
        "r": texts["r"],
        "platform": texts["platform"],
        "blas": PurePath(texts["blas"]).name,
        "lapack": texts["lapack_version"],
        "collate": texts["collate"],
        "packages": {name: versions[name] for name in sorted(versions)},
    }
