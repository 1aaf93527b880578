"""What is installed, what is missing, and the command that mends it."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass, field
from pathlib import PurePath

from . import rdoor
from .base.text import Printed
from .errors import RBridgeError
from .imputers.engines import ENGINES

__all__ = ["Diagnosis", "diagnose"]

_ENGINES = tuple(x.package for x in ENGINES if x.package is not None)
NEEDED = ("lme4", _ENGINES[0])  # the models, and the engine that is tried first
OPTIONAL = (*_ENGINES[1:], "pan", "lmerTest", "pbkrtest", "emmeans")
_PYTHON = ("rbridge_mi", "rpy2", "rpy2-rinterface", "pandas", "numpy", "scipy", "joblib")

# The figures are benchmarks/blas.py's; see docs/benchmarks.md.
_OPENBLAS = (
    "R runs on the reference BLAS. OpenBLAS fits large designs 2.8 times as fast (20,000 rows of "
    "lme4's InstEval, crossed) and small ones as fast or little faster. The two differ in results' "
    "last digits: keep the one that you have to compare with.",
    "apt-get install libopenblas0-serial  (Debian's R; in a checkout: make r-openblas); for an R "
    "with a libRblas of its own: R Installation and Administration, section A.3.1",
)


@dataclass(frozen=True)
class Diagnosis:
    """The stack that answers come from.

    Attributes
    ----------
    python : dict
        Versions of Python and its packages.
    r : dict
        R's version, platform, home, BLAS, LAPACK, locale, the folders that R looks for packages in,
        and whose startup files it read; empty if R can't be used.
    packages : dict
        Versions of the R packages; an empty text for an absent one.
    problems : tuple of (str, str)
        What is wrong, and what mends it. Empty if the main job can run.
    advice : tuple of (str, str)
        What could be better, though the main job can run, and how to have it.
    """

    python: dict[str, str]
    r: dict[str, str] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    problems: tuple[tuple[str, str], ...] = ()
    advice: tuple[tuple[str, str], ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the main job can run."""
        return not self.problems

    def report(self) -> Printed:
        """Return the diagnosis as text."""
        lines = ["Python"]
        lines += [f"  {name:<16} {version}" for name, version in self.python.items()]
        if self.r:
            lines += ["R"] + [f"  {name:<16} {value}" for name, value in self.r.items()]
            lines += ["R packages"]
            for name, version in self.packages.items():
                engines = [f'engine="{x.name}"' for x in ENGINES if x.package == name]
                use = f"optional: {engines[0]}" if engines else "optional"
                absent = "MISSING" if name in NEEDED else f"not installed ({use})"
                lines.append(f"  {name:<16} {version or absent}")
        if self.ok:
            lines += ["", "All that the main job needs is here."]
        for problem, remedy in self.problems:
            lines += ["", f"Problem: {problem}", f"Remedy:  {remedy}"]
        for fact, command in self.advice:
            lines += ["", f"Advice:  {fact}", f"How:     {command}"]
        return Printed.of(lines)


def diagnose() -> Diagnosis:
    """Look at Python, R, the bridge between them, and the R packages; start R to do so.

    Returns
    -------
    Diagnosis
        Versions, and what is wrong, each with its remedy.

    Examples
    --------
    >>> diagnose().ok
    True
    """
    python = {"Python": platform.python_version()}
    for name in _PYTHON:
        try:
            python[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            python[name] = "not installed"
    try:
        python["rpy2 mode"] = rdoor.interface_mode()
        stack = rdoor.call("describe_stack", [*NEEDED, *OPTIONAL]).value
    except RBridgeError as error:
        return Diagnosis(python, problems=((str(error), "see above; in a checkout: make r"),))
    packages = dict(zip(stack.pop("packages"), stack.pop("versions"), strict=True))
    r = {name: ", ".join(map(str, value)) for name, value in stack.items()}
    r["startup files"] = rdoor.startup_files()
    problems = []
    missing = [name for name in NEEDED if not packages[name]]
    if missing:
        debian = " ".join(f"r-cran-{name.lower()}" for name in missing)
        problems.append((
            f"R lacks {', '.join(missing)}",
            f"apt-get install {debian}  (or in R: install.packages(c("
            + ", ".join(f'"{x}"' for x in missing) + ")))",
        ))  # fmt: skip
    if python["rpy2 mode"] != "API":
        problems.append((
            f"rpy2 runs in {python['rpy2 mode']} mode, which is slower and less checked",
            "RPY2_CFFI_MODE=API pip install --force-reinstall --no-cache-dir "
            "--no-binary rpy2-rinterface 'rpy2-rinterface>=3.6.3,<3.6.6'",
        ))  # fmt: skip
    advice = (_OPENBLAS,) if is_reference_blas(r["blas"]) else ()
    return Diagnosis(python, r, packages, tuple(problems), advice)


def is_reference_blas(file: str) -> bool:
    """Whether this file of compiled code is the reference BLAS: the system's, or R's own copy."""
    path = PurePath(file)
    if path.name.startswith("libRblas."):
        return True
    return path.name.startswith("libblas.") and path.parent.name in ("blas", "lib", "lib64")
