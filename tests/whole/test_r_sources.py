"""R's own tests, at the level of its functions: ``tests/r/*.R``, each in an Rscript of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rbridge_mi.rdoor.session import source_dir
from rbridge_mi.rdoor.startup import start_environment
from rbridge_mi.testing.rscript import find_rscript

pytestmark = pytest.mark.r

HERE = Path(__file__).resolve().parents[1] / "r"
FILES = sorted(x for x in HERE.glob("*.R") if x.name != "run.R")


@pytest.mark.parametrize("path", FILES, ids=lambda x: x.stem)
def test_r_functions(path: Path) -> None:
    done = subprocess.run(
        [find_rscript(), HERE / "run.R", source_dir(), path],
        capture_output=True,
        text=True,
        env=start_environment(os.environ),
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.splitlines()[-1] == "0 failed"
