"""All benchmarks, side by side in one run: ``make bench`` (or ``--quick`` for a look).

Prints each row as it is measured, marks those that fall short of their limit, and writes
benchmarks.md and benchmarks.json to --out.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import blas  # noqa: E402
import carrying  # noqa: E402
import cold  # noqa: E402
import fitting  # noqa: E402
import imputing  # noqa: E402
import memory  # noqa: E402
import processes  # noqa: E402
import sizing  # noqa: E402
from harness import HEADER, Report, machine  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller frames")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    rounds = 2 if arguments.quick else 5
    sizes = [10**4, 10**5, 10**6] if arguments.quick else [10**4, 10**5, 10**6, 10**7]
    warnings.simplefilter("ignore")
    report, head = Report(), machine()
    print("\n".join([*head, "", HEADER]))
    cold.run(report, rounds)
    fitting.run(report, rounds)
    processes.run(report, rounds)
    memory.run(report)
    fitting.choices(report, rounds)
    blas.run(report, rounds)
    imputing.run(report, rounds)
    pages = [fitting.profile(), sizing.measure(rounds), imputing.growth()]
    carrying.run(report, sizes)  # last: pandas2ri leaves this process larger, and slower
    print("\n".join(["", *pages]))
    report.write(arguments.out, head, pages)
    short = [row.name for row in report.rows if row.ok is False]
    print(
        f"\n{len(short)} of {sum(row.ok is not None for row in report.rows)} limits not kept: "
        + ("; ".join(short) or "none")
    )


if __name__ == "__main__":
    main()
