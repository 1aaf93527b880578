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

import carrying  # noqa: E402
import cold  # noqa: E402
import fitting  # noqa: E402
import memory  # noqa: E402
import processes  # noqa: E402
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
    carrying.run(report, sizes)
    fitting.run(report, rounds)
    processes.run(report, rounds)
    memory.run(report)
    fitting.choices(report, rounds)
    steps = fitting.profile()
    whole = sum(x for name, x in steps.items() if name not in ("tables", "printed summary"))
    head += ["", "One hsb fit, step by step (ms, share of the fit):"]
    head += [f"  {name:<26} {1000 * x:6.1f}  {100 * x / whole:4.0f}%" for name, x in steps.items()]
    print("\n".join(head[3:]))
    report.write(arguments.out, head)
    short = [row.name for row in report.rows if row.ok is False]
    print(
        f"\n{len(short)} of {sum(row.ok is not None for row in report.rows)} limits not kept: "
        + ("; ".join(short) or "none")
    )


if __name__ == "__main__":
    main()
