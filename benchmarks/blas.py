"""The same Rscript under this machine's linear algebra and under OpenBLAS, in turn."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

from harness import Report

R_LIBRARIES = "/usr/lib/R/lib"
PROGRAM = Path(__file__).with_name("blas.R")
FITS = {"InstEval": "one fit to 20,000 rows of InstEval", "hsb": "five fits to hsb"}


def openblas(folder: Path) -> Path | None:
    """Debian's serial OpenBLAS, unpacked but not installed; None where it can't be had."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return None
    download = ["apt-get", "download", "--quiet", "libopenblas0-serial"]
    if subprocess.run(download, cwd=folder, capture_output=True).returncode:
        return None
    subprocess.run(["dpkg", "-x", *folder.glob("*.deb"), folder], check=True)
    return next(folder.glob("usr/lib/*/openblas-serial/libblas.so.3")).parent


def environment(library: Path | None) -> dict[str, str]:
    """R's start script puts this before the system's folders, and nothing else of the user's."""
    lent = {} if library is None else {"R_LD_LIBRARY_PATH": f"{library}:{R_LIBRARIES}"}
    return {**os.environ, **lent}


def once(library: Path | None) -> dict[str, tuple[float, float]]:
    """Seconds and REML criterion of each kind of fit."""
    done = subprocess.run(
        [shutil.which("Rscript") or "Rscript", str(PROGRAM)],
        capture_output=True, text=True, check=True, env=environment(library),
    )  # fmt: skip
    parts = (line.split() for line in done.stdout.splitlines())
    return {name: (float(seconds), float(criterion)) for name, seconds, criterion in parts}


def run(report: Report, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        library = openblas(Path(folder))
        if library is None:
            print("OpenBLAS: not measured, since apt could not fetch libopenblas0-serial")
            return
        used = subprocess.run(
            [shutil.which("Rscript") or "Rscript", "-e", "cat(extSoftVersion()[['BLAS']])"],
            capture_output=True, text=True, check=True, env=environment(library),
        ).stdout  # fmt: skip
        if not used.startswith(folder):
            print(f"OpenBLAS: not measured, since R keeps {used}")
            return
        pairs = [(once(library), once(None)) for _ in range(rounds)]
    for name, words in FITS.items():
        ours, peer = ([x[i][name] for x in pairs] for i in (0, 1))
        far = abs(ours[0][1] / peer[0][1] - 1)
        report.add(
            f"OpenBLAS: {words}", "s", statistics.median(x[0] for x in ours),
            "this machine's BLAS", statistics.median(x[0] for x in peer),
            ratio=statistics.median(a[0] / b[0] for a, b in zip(ours, peer, strict=True)),
            note=f"REML criteria differ by {far:.1e}",
        )  # fmt: skip
