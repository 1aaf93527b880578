"""What is installed, what is missing, and the command that mends it."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass, field

from . import rdoor
from .base.text import Printed
from .errors import RBridgeError
from .imputers.engines import ENGINES

__all__ = ["Diagnosis", "diagnose"]

_ENGINES = tuple(x.package for x in ENGINES if x.package is not None)
NEEDED = ("lme4", _ENGINES[0])  # the models, and the engine that is tried first
OPTIONAL = (*_ENGINES[1:], "pan", "lmerTest", "pbkrtest", "emmeans")
_PYTHON = ("rbridge_mi", "rpy2", "rpy2-rinterface", "pandas", "numpy", "scipy", "joblib")


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
    """

    python: dict[str, str]
    r: dict[str, str] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    problems: tuple[tuple[str, str], ...] = ()

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
    return Diagnosis(python, r, packages, tuple(problems))
