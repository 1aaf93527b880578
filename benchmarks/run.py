"""All benchmarks, side by side in one run: ``make bench`` (or ``--quick`` for a look).

Prints each row as it is measured, and at the end those that fall short of their limit. What is
known is written to --out after each group, as benchmarks.md and benchmarks.json. ``--rows fits
frames`` measures these groups only, and keeps what --out has of the others.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import blas
import carrying
import cold
import fitting
import grids
import imputing
import memory
import peers
import processes
import sizing
from harness import HEADER, Report, machine, put

HERE = Path(__file__).resolve().parent
# What measures a group, given the report, the number of rounds, and whether a look is enough.
Group: TypeAlias = Callable[[Report, int, bool], None]


def frames(report: Report, rounds: int, quick: bool) -> None:
    carrying.in_loops(report, rounds)
    carrying.run(report, [10**4, 10**5, 10**6] if quick else [10**4, 10**5, 10**6, 10**7])


GROUPS: dict[str, Group] = {
    "starts": lambda report, rounds, _: cold.run(report, rounds),
    "fits": lambda report, rounds, _: fitting.run(report, rounds),
    "small": lambda report, rounds, _: fitting.small(report, rounds),
    "profile": lambda report, *_: report.page(fitting.profile()),
    "workers": lambda report, rounds, _: processes.run(report, rounds),
    "grids": lambda report, rounds, _: grids.run(report, rounds),
    "memory": lambda report, *_: memory.run(report),
    "choices": lambda report, rounds, _: fitting.choices(report, rounds),
    "blas": lambda report, rounds, _: blas.run(report, rounds),
    "imputing": lambda report, rounds, _: imputing.run(report, rounds),
    "growth": lambda report, *_: report.page(imputing.growth()),
    "cluster": lambda report, rounds, _: report.page(sizing.measure(rounds)),
    "without-r": lambda report, rounds, _: peers.run(report, rounds),
    "frames": frames,  # last: pandas2ri leaves this process larger, and slower
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", nargs="+", choices=GROUPS, metavar="GROUP", default=[*GROUPS],
                        help=f"groups of rows: {', '.join(GROUPS)}")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller frames")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--page", type=Path, help="the page whose tables are written")
    given = parser.parse_args(arguments)
    rounds = 2 if given.quick else 5
    order = [*GROUPS]
    wanted = [group for group in order if group in given.rows]
    warnings.simplefilter("ignore")
    report = Report() if wanted == order else Report.read(given.out, order)
    unknown = [group for group in order if group not in {*wanted, *report.measured}]
    if given.page and unknown:
        parser.error(f"--page would lose the rows not yet measured: {', '.join(unknown)}")
    head = machine()
    print("\n".join([*head, "", HEADER]))
    for group in wanted:
        report.begin(group)
        GROUPS[group](report, rounds, given.quick)
        report.write(given.out, head, order)
    pages = {group: report.pages[group] for group in wanted if group in report.pages}
    print("\n".join(["", *pages.values(), *report.short(wanted)]))
    if given.page:
        put(given.page, "rows", [*head, *report.table(order)])
        for group, text in pages.items():
            put(given.page, group, text.rstrip().splitlines())


if __name__ == "__main__":
    main()
