"""``r/install.sh`` among commands that only say what they were asked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rbridge_mi.doctor import is_reference_blas

SCRIPT = Path(__file__).resolve().parents[2] / "r" / "install.sh"
REFERENCE = "/usr/lib/x86_64-linux-gnu/blas/libblas.so.3.11.0"
OPENBLAS = "/usr/lib/x86_64-linux-gnu/openblas-serial/libblas.so.3"


@pytest.fixture
def install(tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Run the script where only `lacks` is absent and R's BLAS is `blas`: printed, asked of apt."""
    asked = tmp_path / "asked"
    fakes = {
        "dpkg-query": 'case " $LACKS " in *" $3 "*) exit 1;; esac; echo installed',
        "Rscript": 'case "$*" in *extSoftVersion*) echo "$BLAS";; *) exit 1;; esac',
        "R": "exit 0",
        "python": "exit 0",
        "chromium": "exit 0",
        "apt-cache": "exit 0",
        "apt-get": f'echo "$@" >>"{asked}"',
        "id": "echo 0",
    }
    for name, text in fakes.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        (tmp_path / name).chmod(0o755)

    def run(*options: str, blas: str, lacks: str = "") -> tuple[str, str]:
        path = f"{tmp_path}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "BLAS": blas, "LACKS": lacks}
        environment["PYTHON"] = "python"
        done = subprocess.run(
            ["sh", str(SCRIPT), *options],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout, asked.read_text("utf-8") if asked.exists() else ""

    return run


def test_openblas_is_offered_and_not_installed(install: Callable[..., tuple[str, str]]) -> None:
    printed, asked = install(blas=REFERENCE)
    assert "make r-openblas" in printed
    assert asked == ""
    printed, asked = install(blas=REFERENCE, lacks="r-cran-amelia")
    assert "make r-openblas" in printed.splitlines()[-2]
    assert "r-cran-amelia" in asked
    assert "blas" not in asked


def test_openblas_is_installed_on_request_alone(install: Callable[..., tuple[str, str]]) -> None:
    _, asked = install("--openblas", blas=REFERENCE)
    assert asked.splitlines()[-1].endswith("--no-install-recommends libopenblas0-serial")


@pytest.mark.parametrize("options", [(), ("--engines",), ("--test",), ("--openblas",)])
def test_nothing_is_said_under_openblas(
    install: Callable[..., tuple[str, str]], options: tuple[str, ...]
) -> None:
    assert install(*options, blas=OPENBLAS) == ("", "")


@pytest.mark.parametrize(
    ("file", "reference"),
    [
        (REFERENCE, True),
        ("/usr/lib/R/lib/libRblas.so", True),
        ("/Library/Frameworks/R.framework/Versions/4.4/Resources/lib/libRblas.0.dylib", True),
        ("/usr/lib64/libblas.so.3.12.0", True),
        (OPENBLAS, False),
        ("/usr/lib/x86_64-linux-gnu/atlas/libblas.so.3.10.3", False),
        ("/usr/lib64/libflexiblas.so.3.4", False),
        ("/opt/conda/lib/libopenblasp-r0.3.28.so", False),
        ("", False),
    ],
)
def test_the_reference_blas_is_known_by_its_file(file: str, reference: bool) -> None:
    assert is_reference_blas(file) is reference
