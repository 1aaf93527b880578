"""Cold `rbridge-mi demo` beside the same work as an Rscript with merTools, in one run.

    .venv/bin/python benchmarks/demo.py [--runs 5]

Whole processes, started in turn; prints medians, the median of the paired ratios, and its range.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stderr}")
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    rscript = shutil.which("Rscript") or "Rscript"
    mine = [str(Path(sys.executable).parent / "rbridge-mi"), "demo"]
    theirs = [rscript, str(HERE / "vignette_mertools.R")]
    seconds(mine), seconds(theirs)  # warm the page cache
    pairs = [(seconds(mine), seconds(theirs)) for _ in range(runs)]
    ratios = [a / b for a, b in pairs]
    print(f"{platform.machine()}, Python {platform.python_version()}, {runs} runs in turn")
    print(f"rbridge-mi demo        median {statistics.median(a for a, _ in pairs):.2f} s")
    print(f"Rscript with merTools  median {statistics.median(b for _, b in pairs):.2f} s")
    print(f"ratio                  median {statistics.median(ratios):.2f}"
          f"  (from {min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
