"""A separate R process, whose answers do not depend on the R that is embedded in this one.

Every comparison with R goes through this one class: `rbridge_mi.testing.run_r`, `assert_parity`,
the pytest plugin, the parity suite, and the library's tests. Programs are the functions of
``r/reference/*.R``; values pass in R's own file format (``rbridge_mi.testing.rds``).
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import RCallError, RNotFoundError
from ..rdoor.session import source_dir
from ..rdoor.startup import find_home, start_environment
from .rds import Node, parse, render
from .values import from_python, to_python

__all__ = ["Rscript", "find_rscript", "stack_from"]


class Rscript:
    """An Rscript that calls functions of ``r/reference/*.R``, one job after another.

    It runs beside this process: `submit` returns at once, and `result` waits. Use it as a context
    manager, or call `close`. It is started by the same rule as the R in this process
    (``rbridge_mi.rdoor.startup``): the same startup files, the same locale.

    Parameters
    ----------
    timeout : float
        Seconds that one job may take; the process is killed after that.

    Raises
    ------
    RNotFoundError
        If there is no Rscript.

    See Also
    --------
    rbridge_mi.testing.run_r : Runs a user's R code.
    rbridge_mi.testing.ordering.steady_rscript : An Rscript whose lme4 computes as this process's.

    Examples
    --------
    >>> with Rscript() as r:
    ...     stack = r.stack(["lme4"])
    >>> list(stack["packages"])
    ['lme4']
    """

    def __init__(self, timeout: float = 600.0) -> None:
        rscript = find_rscript()
        self.timeout = timeout
        self._marker = f"#{secrets.token_hex(16)}"
        self._folder = tempfile.TemporaryDirectory(prefix="rbridge-mi-")
        self._log = (Path(self._folder.name) / "stderr").open("w+b")
        self._jobs = 0
        programs = source_dir() / "reference"
        self._process = subprocess.Popen(
            [str(rscript), str(programs / "serve.R"), str(programs), self._marker],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=start_environment(os.environ),
        )

    def submit(self, program: str, **arguments: Any) -> None:
        """Start a job, and return without waiting for it.

        Parameters
        ----------
        program : str
            Name of a function of ``r/reference/*.R``.
        **arguments : DataFrame, Series, array, number, text, list or dict
            Its arguments by name; see ``rbridge_mi.testing.values`` for the types.

        Raises
        ------
        RCallError
            If the process has ended already.
        """
        self._jobs += 1
        job = {"program": program, **arguments}
        self._place("job").write_bytes(render(from_python(job)))
        line = f"{self._place('job')}\t{self._place('answer')}\n"
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise RCallError(f"Rscript ended too early: {self._errors()}") from None

    def result(self) -> tuple[Node, str]:
        """Wait for the job that was submitted, and return its value.

        Returns
        -------
        tuple of (Node, str)
            The value as an R vector, and what R printed meanwhile.

        Raises
        ------
        RCallError
            With R's text, if the job stopped, took too long, or ended the process.
        """
        printed: list[bytes] = []
        assert self._process.stdout is not None
        clock = threading.Timer(self.timeout, self._process.kill)
        clock.start()
        try:
            for line in self._process.stdout:
                if line.strip() == self._marker.encode():
                    break
                printed.append(line)
            else:
                code = self._process.wait()
                raise RCallError(f"Rscript ended with code {code}: {self._errors()}")
        finally:
            clock.cancel()
        output = b"".join(printed).decode("utf-8", "replace")
        output = output.removesuffix("\n")  # the line break of the marker
        answer = parse(self._place("answer").read_bytes())
        assert answer is not None
        parts = dict(zip(answer.texts("names") or [], answer.values, strict=True))
        if "error" in parts:
            text = str(parts["error"].values[0])
            raise RCallError(f"Rscript: {text.strip()}", r_message=text, output=output)
        return parts["value"], output

    def ask(self, program: str, **arguments: Any) -> Any:
        """Run one job: `submit` it, wait for it, and return its value as a Python value."""
        self.submit(program, **arguments)
        return to_python(self.result()[0])

    def stack(self, packages: Sequence[str]) -> dict[str, Any]:
        """Describe the R that this process runs.

        Parameters
        ----------
        packages : sequence of str
            R packages whose versions are asked for.

        Returns
        -------
        dict
            r, platform, blas, lapack and collate as text; packages as a dict of versions, which
            are empty where a package is not installed.
        """
        self.submit("stack_of", packages=list(packages))
        return stack_from(self.result()[0])

    def close(self) -> None:
        """End the process and remove its files."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        self._folder.cleanup()

    def _place(self, what: str) -> Path:
        return Path(self._folder.name) / f"{what}-{self._jobs}.rds"

    def _errors(self) -> str:
        self._log.flush()
        self._log.seek(0)
        text = self._log.read().decode("utf-8", "replace")
        return "\n".join(text.splitlines()[-20:]) or "it printed no message."

    def __enter__(self) -> Rscript:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def stack_from(node: Node) -> dict[str, Any]:
    """Convert what ``stack_of`` in ``r/reference/carry.R`` returns; see `Rscript.stack`."""
    parts = dict(zip(node.texts("names") or [], node.values, strict=True))
    packages = parts.pop("packages")
    stack: dict[str, Any] = {str(name): str(x.values[0]) for name, x in parts.items()}
    stack["packages"] = dict(zip(packages.texts("names") or [], packages.values, strict=True))
    return stack


def find_rscript() -> Path:
    """Find the Rscript of the R that this library embeds: that of R_HOME, else the one on PATH.

    Raises
    ------
    RNotFoundError
        If there is none.
    """
    if os.environ.get("R_HOME"):
        return Path(find_home(os.environ)) / "bin" / "Rscript"
    on_path = shutil.which("Rscript")
    if on_path is None:
        raise RNotFoundError(
            "Rscript was not found: there is none on PATH and R_HOME is not set. Install R (in a "
            "checkout: `make r`; on Debian: apt-get install r-base-core)."
        )
    return Path(on_path)
