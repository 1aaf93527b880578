"""Whole processes: the demo against Rscripts, and the import."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from harness import Report

HERE = Path(__file__).resolve().parent


def process(*command: str) -> object:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stderr}")
    return done


def run(report: Report, rounds: int) -> None:
    rscript = shutil.which("Rscript") or "Rscript"
    demo = str(Path(sys.executable).parent / "rbridge-mi")
    report.race(
        "the vignette, cold: rbridge-mi demo --vignette",
        lambda: process(demo, "demo", "--vignette"),
        {
            "Rscript with merTools": lambda: process(rscript, str(HERE / "vignette_mertools.R")),
            "Rscript with lme4 and Amelia alone": lambda: process(
                rscript, str(HERE / "vignette_plain.R")
            ),
        },
        rounds=rounds,
        at_most={"Rscript with merTools": 0.70, "Rscript with lme4 and Amelia alone": 1.0},
    )  # fmt: skip
    report.race(
        "import rbridge_mi and use a name",
        lambda: process(sys.executable, "-c", "import rbridge_mi; rbridge_mi.Lmer"),
        {"import pandas": lambda: process(sys.executable, "-c", "import pandas")},
        rounds=rounds, at_most={"import pandas": 1.1},
    )  # fmt: skip
