"""DataFrames to R and back, per kind of column, against a plain copy and against pandas2ri."""

from __future__ import annotations

import mmap
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from fitting import collect
from harness import Report

from rbridge_mi import rdoor

# pandas2ri takes 2 to 13 microseconds a cell, however many there are: beyond this it is not waited
# for, but for one kind.
PATIENCE = 1_000_000


def columns(n: int) -> dict[str, pd.Series]:
    g = np.random.default_rng(0)
    words = np.array([f"school {i}" for i in range(200)], dtype=object)
    x = g.normal(size=n)
    return {
        "float64": pd.Series(x),
        "float64, 5% missing": pd.Series(np.where(g.random(n) < 0.05, np.nan, x)),
        "int64": pd.Series(g.integers(0, 1000, n)),
        "bool": pd.Series(g.random(n) < 0.5),
        "Int64, 5% missing": pd.Series(pd.array(g.integers(0, 9, n), dtype="Int64")).mask(
            pd.Series(g.random(n) < 0.05)
        ),
        "text": pd.Series(g.choice(words, n), dtype="str"),
        "category": pd.Series(pd.Categorical(g.choice(words, n))),
        "datetime64": pd.Series(pd.to_datetime(g.integers(0, 10**9, n), unit="s")),
    }


def fresh_copy(array: np.ndarray) -> Callable[[], object]:
    """A copy into memory that the process did not have before, as a new vector of R's needs."""

    def copy() -> object:
        target = np.frombuffer(mmap.mmap(-1, array.nbytes), array.dtype)
        np.copyto(target, array)
        return target

    return copy


def in_loops(report: Report, rounds: int, n: int = 10**4, times: int = 20) -> None:
    """Milliseconds of a small frame among others: the first after a garbage collection is slow."""
    for kind, column in columns(n).items():
        frame = pd.DataFrame({"x": column})
        taken = []
        for turn in range(rounds + 1):
            collect()
            start = time.perf_counter()
            for _ in range(times):
                rdoor.call_object("base::identity", frame)
            if turn:
                taken.append(1000 * (time.perf_counter() - start) / times)
        report.add(f"{kind}, {n:,} rows, to R, one of {times} in a row", "ms",
                   statistics.median(taken), "the limit", 1.0, at_most=1.0)  # fmt: skip


def run(report: Report, sizes: list[int]) -> None:
    from rpy2 import robjects
    from rpy2.robjects import pandas2ri
    from rpy2.robjects.conversion import localconverter

    converter = robjects.default_converter + pandas2ri.converter

    def theirs(frame: pd.DataFrame) -> object:
        with localconverter(converter):
            return robjects.conversion.get_conversion().py2rpy(frame)

    def theirs_back(held: object) -> object:
        with localconverter(converter):
            return robjects.conversion.get_conversion().rpy2py(held)

    for n in sizes:
        for kind, column in columns(n).items():
            frame = pd.DataFrame({"x": column})
            numeric = kind.startswith(("float", "int64"))
            values = column.to_numpy() if numeric else column.to_numpy(dtype=object)
            to, back = f"{kind}, {n:,} rows, to R", f"{kind}, {n:,} rows, back"
            held = rdoor.call_object("base::identity", frame)
            copy = fresh_copy(values) if numeric else partial(frame.copy, deep=True)
            copying = "a copy into new memory" if numeric else "a deep copy by pandas"
            large = n >= 10**6  # a call's own half millisecond no longer counts
            limits = {copying: 2.0} if numeric and large else {}
            rounds = 7 if n <= 10**6 else 3
            report.race(to, partial(rdoor.call_object, "base::identity", frame),
                        {copying: copy}, rounds=rounds, at_most=limits)  # fmt: skip
            report.race(back, partial(rdoor.call, "base::identity", held),
                        {copying: copy}, rounds=rounds, at_most=limits)  # fmt: skip
            if n <= PATIENCE or kind == "float64":
                fast = numeric or "Int64" in kind or kind == "bool"
                limits = {"pandas2ri": 1 / 100 if fast else 1 / 30} if large else {}
                rounds = 5 if n < PATIENCE else 3
                report.race(to, partial(rdoor.call_object, "base::identity", frame),
                            {"pandas2ri": partial(theirs, frame)},
                            rounds=rounds, at_most=limits)  # fmt: skip
                other = theirs(frame)
                report.race(back, partial(rdoor.call, "base::identity", held),
                            {"pandas2ri": partial(theirs_back, other)},
                            rounds=rounds, at_most=limits)  # fmt: skip
