"""A separate R process, for answers that owe nothing to the R embedded in this one."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import RCallError, RNotFoundError
from ..rdoor.session import source_dir
from ..rdoor.startup import find_home, start_environment
from .rds import Node, parse, render
from .values import from_python, to_python

__all__ = ["REvaluation", "Rscript", "find_rscript", "run_r", "stack_from"]


class Rscript:
    """An Rscript that runs ``r/reference/*.R`` on what it is sent, one job after another.

    It runs beside this process: `submit` returns at once, `result` waits. Use as a context. It is
    started by the same rule as the R in this process (``rbridge_mi.rdoor.startup``): the same
    startup files, the same locale.

    Parameters
    ----------
    timeout : float
        Seconds that one job may take; the process is killed after that.
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
        """Start a job: the name of a function of ``r/reference/*.R``, and its arguments."""
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
        """The value of the job that was submitted, and what R printed.

        Raises
        ------
        RCallError
            With R's text, if the job stopped, took too long, or R itself went down.
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
        output = output.removesuffix("\n")  # the marker's own
        answer = parse(self._place("answer").read_bytes())
        assert answer is not None
        found = dict(zip(answer.texts("names") or [], answer.values, strict=True))
        if "error" in found:
            text = str(found["error"].values[0])
            raise RCallError(f"Rscript: {text.strip()}", r_message=text, output=output)
        return found["value"], output

    def ask(self, program: str, **arguments: Any) -> Any:
        """`submit`, `result`, and the value as Python's."""
        self.submit(program, **arguments)
        return to_python(self.result()[0])

    def close(self) -> None:
        """End the process, and remove its files."""
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
        return "\n".join(text.splitlines()[-20:]) or "it said nothing."

    def __enter__(self) -> Rscript:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class REvaluation(dict[str, Any]):
    """What R code assigned, by name; see `run_r`.

    Attributes
    ----------
    value
        The value of the last expression; None where it can't be carried.
    output : str
        What R printed.
    warnings, messages : tuple of str
    stack : dict
        r, platform, blas, lapack, collate, and packages: the versions of those that were loaded.
    order : tuple of int, optional
        See ``rbridge_mi.testing.ordering``.
    nodes : dict
        The same values as R vectors (`rds.Node`), bit for bit.
    """

    def __init__(self, answer: Node, output: str) -> None:
        parts = dict(zip(answer.texts("names") or [], answer.values, strict=True))
        values = parts["values"]
        self.nodes: dict[str, Node | None] = dict(
            zip(values.texts("names") or [], values.values, strict=True)
        )
        super().__init__({name: to_python(node) for name, node in self.nodes.items()})
        last = parts["value"]
        self.last: Node | None = last.values[0] if last is not None and last.values else None
        self.value: Any = to_python(self.last)
        self.output = output
        self.warnings = tuple(parts["warnings"].values)
        self.messages = tuple(parts["messages"].values)
        self.stack = stack_from(parts["stack"])
        order = parts.get("order")
        self.order = None if order is None else tuple(int(x) for x in order.values)


def run_r(code: str, /, **frames: Any) -> REvaluation:
    """Run R code in a separate Rscript, on frames given by name; get what it assigned.

    Nothing is shared with the R that this library embeds, and nothing is rounded: values pass in
    R's own file format. Code that fits with lme4 is run where lme4 orders crossed random effects as
    it does in this process, once this process has lme4 loaded; why that is not a matter of course
    is told in ``rbridge_mi.testing.ordering``.

    Parameters
    ----------
    code : str
        As it would stand in a script: ``"library(lme4); b <- fixef(lmer(y ~ 1 + (1 | g), d))"``.
    **frames : DataFrame, Series, array, number, text, list or dict
        Become the R variables of these names; see ``rbridge_mi.testing.values`` for the types.

    Returns
    -------
    REvaluation
        A dict of every variable that the code assigned, or changed, at its top level: data frames
        as DataFrame, named vectors as Series, matrices as array or (with names) DataFrame, other
        vectors as arrays, lists as dict or list. What isn't made of vectors (a fit, a function)
        is left out. ``.value`` is the value of the last expression.

    Raises
    ------
    RCallError
        With R's text, where the code stops.
    RNotFoundError
        Where there is no Rscript.

    Examples
    --------
    >>> import pandas as pd
    >>> run_r("z <- d$x / 3; n <- nrow(d)", d=pd.DataFrame({"x": [1.0, 2.0]}))["z"]
    array([0.33333333, 0.66666667])
    """
    # Late, since they start this process's R and want its fits.
    from .ordering import known_order, steady_rscript

    order = known_order()
    with Rscript() as r:
        r.submit("run_script", code=code, frames=_frames(frames), order=order is not None)
        found = REvaluation(*r.result())
    if order is None or found.order in (None, order):
        return found
    with steady_rscript() as r:
        r.submit("run_script", code=code, frames=_frames(frames))
        return REvaluation(*r.result())


def _frames(frames: Mapping[str, Any]) -> Node:
    node = from_python(dict(frames))
    assert node is not None
    return node


def stack_from(node: Node) -> dict[str, Any]:
    """The stack as plain text: R, platform, BLAS and so on, and a dict of package versions."""
    parts = dict(zip(node.texts("names") or [], node.values, strict=True))
    packages = parts.pop("packages")
    found: dict[str, Any] = {str(name): str(x.values[0]) for name, x in parts.items()}
    found["packages"] = dict(zip(packages.texts("names") or [], packages.values, strict=True))
    return found


def find_rscript() -> Path:
    """The Rscript of the R that the library embeds: R_HOME's, else the one on PATH."""
    if os.environ.get("R_HOME"):
        return Path(find_home(os.environ)) / "bin" / "Rscript"
    found = shutil.which("Rscript")
    if found is None:
        raise RNotFoundError(
            "Rscript was not found: there is none on PATH and R_HOME is not set. Install R (in a "
            "checkout: `make r`; on Debian: apt-get install r-base-core)."
        )
    return Path(found)
