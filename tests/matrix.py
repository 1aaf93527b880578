"""The tests under every Python of this machine, with the oldest and the newest pandas and numpy.

``make matrix`` (python tests/matrix.py [--core] [--python 3.12 ...]) makes a fresh environment for
each pairing, installs the checkout into it, runs the tests there, and prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 10)
HEADER = "| Python | pandas | numpy | R | lme4 | Amelia | passed | failed | skipped | tests |\n" + (
    "|---|---|---|---|---|---|---|---|---|---|"
)

# --core leaves out what is about R and processes; others meet what it meets of pandas and numpy.
CORE = "not processes and not slow"

VERSIONS = """
from rbridge_mi.doctor import diagnose
found = diagnose()
both = found.python | found.r | found.packages
print(*(both[x] for x in ("Python", "pandas", "numpy", "r", "lme4", "Amelia")), sep=",")
"""


def pythons() -> dict[str, Path]:
    """Interpreters by version: pyenv's, the system's, and those on PATH."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    folders = [*pyenv.glob("*/bin"), Path("/usr/bin"), *map(Path, os.get_exec_path())]
    found: dict[str, Path] = {}
    for path in (x for folder in folders for x in sorted(folder.glob("python3.*"))):
        if not re.fullmatch(r"python3\.\d+", path.name):
            continue
        asked = subprocess.run(
            [path, "-c", "import ensurepip, platform; print(platform.python_version())"],
            capture_output=True, text=True,
        )  # fmt: skip
        if asked.returncode == 0 and numbers(asked.stdout) >= OLDEST_PYTHON:
            found.setdefault(asked.stdout.strip(), path)
    return dict(sorted(found.items(), key=lambda x: numbers(x[0])))


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(x) for x in re.findall(r"\d+", version)[:3])


def pairings(version: str) -> Iterator[tuple[str, list[str]]]:
    """The oldest pandas and numpy that the package allows and this Python has, and the newest."""
    if numbers(version) < (3, 13):  # newer pyarrows want numpy 2, though they don't say so to pip
        yield "oldest", ["pandas==2.2.*", "numpy==1.26.*", "pyarrow<19"]
    else:
        yield "oldest", ["pandas==2.2.*", "numpy<2.2"]
    yield "newest", ["pandas", "numpy"]


def run(python: Path, wanted: list[str], tests: list[str], log: Path, folder: Path) -> list[str]:
    """One row of the table: versions, and what the tests said."""

    def done(*command: str | Path, **environment: str) -> str:
        with log.open("a") as told:
            told.write(f"\n$ {' '.join(map(str, command))}\n")
            told.flush()
            return subprocess.run(
                command, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=told, text=True,
                env={**os.environ, **environment},
            ).stdout  # fmt: skip

    done(python, "-m", "venv", folder)
    inner = folder / "bin" / "python"
    pip: list[str | Path] = [inner, "-m", "pip", "install", "--quiet"]
    done(*pip, "--upgrade", "pip>=25.1")
    # Compiled against this R, whatever wheel an earlier build has left in the cache.
    (binding,) = re.findall(r'"(rpy2-rinterface.*)"', (ROOT / "pyproject.toml").read_text())
    done(*pip, "--no-cache-dir", "--no-binary", "rpy2-rinterface", binding, RPY2_CFFI_MODE="API")
    done(*pip, "--editable", ".[parquet]", "--group", "dev", *wanted)
    row = done(inner, "-c", VERSIONS).strip().split(",")
    results = folder / "results.xml"
    command: list[str | Path] = [
        inner, "-m", "pytest", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadfile",
        "-q", "--durations=20", f"--junitxml={results}", *tests,
    ]  # fmt: skip
    with log.open("a") as told:
        subprocess.run(
            command, cwd=ROOT, stdout=told, stderr=told, env={**os.environ, "CI": "true"}
        )
    (suite,) = ET.parse(results).getroot().iter("testsuite")
    count = {x: int(suite.get(x, 0)) for x in ("tests", "failures", "errors", "skipped")}
    failed = count["failures"] + count["errors"]
    passed = count["tests"] - failed - count["skipped"]
    return [*row, str(passed), str(failed), str(count["skipped"])]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core", action="store_true", help=f"the tests that are {CORE}")
    parser.add_argument("--python", nargs="+", default=[], help="versions, such as 3.12 or 3.11.2")
    parser.add_argument("--pairing", choices=["oldest", "newest"], help="only that one")
    parser.add_argument("--logs", type=Path, default=ROOT / "build" / "matrix")
    asked = parser.parse_args()
    tests = ["-m", CORE] if asked.core else []
    asked.logs.mkdir(parents=True, exist_ok=True)
    print(HEADER, flush=True)
    good = True
    for version, python in pythons().items():
        if asked.python and not any(f"{version}.".startswith(f"{x}.") for x in asked.python):
            continue
        for name, wanted in pairings(version):
            if asked.pairing not in (None, name):
                continue
            log = asked.logs / f"{version}-{name}.txt"
            log.unlink(missing_ok=True)
            with tempfile.TemporaryDirectory(prefix="matrix-") as folder:
                row = run(python, wanted, tests, log, Path(folder))
            good &= row[-2] == "0"
            print(f"| {' | '.join([*row, 'core' if asked.core else 'all'])} |", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
