"""What the coverage study compares: data sets for the model, from data with holes."""

from __future__ import annotations

import atexit
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from coverage_designs import Design

import rbridge_mi as rb
from rbridge_mi.testing.rscript import find_rscript

__all__ = ["ENGINES", "Engine", "EngineError", "Given", "impute"]


class EngineError(Exception):
    """R's message about an imputation that failed."""


@dataclass(frozen=True)
class Given:
    """One replication of one design, for any engine."""

    design: Design
    complete: pd.DataFrame
    holes: pd.DataFrame
    m: int
    seed: int


Answer: TypeAlias = pd.DataFrame | rb.ImputedData


def impute(engine: str, given: Given) -> tuple[Answer, float]:
    """What an engine makes of a replication, and the CPU seconds that it took."""
    before = time.process_time()
    answer = ENGINES[engine].run(given)
    if isinstance(answer, tuple):
        return answer
    return answer, time.process_time() - before


def _amelia(given: Given) -> Answer:
    return _by_amelia(given, given.holes)


def _amelia_means(given: Given) -> Answer:
    """With each group's means of the observed values of y and x as further columns."""
    by_group = given.holes.groupby("g")
    means = {f"{name}_mean": by_group[name].transform("mean") for name in ("x", "y")}
    return _by_amelia(given, given.holes.assign(**means))


def _by_amelia(given: Given, data: pd.DataFrame) -> Answer:
    nominal = "x" if given.design.binary else None
    return rb.AmeliaImputer(m=given.m, idvars="g", noms=nominal).impute(data, seed=given.seed)


def _compatible(given: Given) -> Answer:
    imputer = rb.CompatibleImputer(rb.Lmer(given.design.model), m=given.m)
    return imputer.impute(given.holes, seed=given.seed)


def _by_r(engine: str) -> Callable[[Given], tuple[Answer, float]]:
    def run(given: Given) -> tuple[Answer, float]:
        return _r_server().impute(engine, given)

    return run


class _RServer:
    """An R process that imputes for as long as this process lives."""

    def __init__(self) -> None:
        program = Path(__file__).with_suffix("").with_name("coverage.R")
        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [find_rscript(), "--vanilla", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        atexit.register(self.close)

    def impute(self, engine: str, given: Given) -> tuple[rb.ImputedData, float]:
        data, answer = (Path(self._folder.name) / name for name in ("data.csv", "answer"))
        given.holes.to_csv(data, index=False)
        binary = "x" if given.design.binary else ""
        fields = (engine, data, answer, given.m, given.seed, given.design.model, binary)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("\t".join(map(str, fields)) + "\n")
        self._process.stdin.flush()
        outcome, _, value = self._process.stdout.readline().rstrip("\n").partition("\t")
        if not outcome:
            raise RuntimeError("R ended; its message is above.")
        if outcome != "ok":
            raise EngineError(value)
        names = [name for name in given.holes if given.holes[name].isna().any()]
        values = np.fromfile(answer).reshape(given.m, len(names), len(given.holes))
        frames = [
            given.holes.assign(
                **{name: given.holes[name].where(given.holes[name].notna(), part[i])
                   for i, name in enumerate(names)}
            )
            for part in values
        ]  # fmt: skip
        return rb.ImputedData.from_frames(frames, given.holes, method=engine), float(value)

    def close(self) -> None:
        self._process.communicate()
        self._folder.cleanup()


@cache
def _r_server() -> _RServer:
    return _RServer()


@dataclass(frozen=True)
class Engine:
    title: str
    run: Callable[[Given], Answer | tuple[Answer, float]]


ENGINES = {
    "complete": Engine("none: complete data", lambda given: given.complete),
    "listwise": Engine("none: listwise", lambda given: given.holes),
    "amelia": Engine("Amelia", _amelia),
    "amelia_means": Engine("Amelia, cluster means", _amelia_means),
    "pan": Engine("mice, 2l.pan", _by_r("pan")),
    "jomo": Engine("jomo.lmer", _by_r("jomo")),
    "compatible": Engine("compatible", _compatible),
}
