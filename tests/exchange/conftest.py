"""Files that R's packages wrote, made once per process."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def r_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("r_files")
    run_r(Path(__file__).with_name("make_files.R"), folder)
    return folder


def run_r(script: Path, *arguments: object) -> str:
    """What an Rscript prints; it has the files of this machine's R, and no startup files."""
    command = ["Rscript", "--vanilla", str(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout
