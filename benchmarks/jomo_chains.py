"""Chains and imputations of R's jomo.lmer, each made by an R process of its own."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rbridge_mi.testing.rscript import find_rscript

__all__ = ["JomoRun", "jomo_chain", "jomo_imputations"]


@dataclass(frozen=True)
class JomoRun:
    """What a call gave: arrays by name, and the CPU seconds that it took."""

    values: dict[str, NDArray[np.float64]]
    seconds: float


def jomo_chain(
    data: pd.DataFrame,
    model: str,
    iterations: int,
    *,
    seed: int,
    binary: Sequence[str] = (),
    of_groups: Sequence[str] = (),
) -> JomoRun:
    """Every parameter in each iteration, the first ones included.

    The data are standardised; their grouping factor is called g.
    """
    return _run(data, model, "chain", [iterations], seed, binary, of_groups)


def jomo_imputations(
    data: pd.DataFrame,
    model: str,
    m: int,
    *,
    burn: int,
    between: int,
    seed: int,
    binary: Sequence[str] = (),
    of_groups: Sequence[str] = (),
) -> JomoRun:
    """The imputed values of each incomplete column, (m, holes)."""
    run = _run(data, model, "imputations", [m, burn, between], seed, binary, of_groups)
    values = {name: x.reshape(m, -1) for name, x in run.values.items()}
    return JomoRun(values, run.seconds)


def _run(
    data: pd.DataFrame,
    model: str,
    kind: str,
    sizes: Sequence[int],
    seed: int,
    binary: Sequence[str],
    of_groups: Sequence[str],
) -> JomoRun:
    program = Path(__file__).with_name("jomo_chains.R")
    with tempfile.TemporaryDirectory() as folder:
        path, answer = Path(folder) / "data.csv", Path(folder) / "answer"
        data.to_csv(path, index=False)
        columns = [",".join(x) or "-" for x in (binary, of_groups)]
        numbers = [str(seed), ",".join(map(str, sizes))]
        done = subprocess.run(
            [find_rscript(), "--vanilla", program, path, answer, model, *columns, kind, *numbers],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"jomo.lmer failed on {model}:\n{done.stderr}")
        seconds, *lines = done.stdout.split("\n")
        names = [x for x in lines if x]
        lengths = [int(x.rpartition(" ")[2]) for x in names]
        parts = np.split(np.fromfile(answer), np.cumsum(lengths)[:-1])
    values = {x.rpartition(" ")[0]: part for x, part in zip(names, parts, strict=True)}
    return JomoRun(values, float(seconds))
