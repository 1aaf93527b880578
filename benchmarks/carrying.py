"""DataFrames to R and back, per kind of column, against a plain copy and against pandas2ri."""

from __future__ import annotations

import mmap
from collections.abc import Callable

import numpy as np
import pandas as pd
from harness import Report

from rbridge_mi import rdoor

PANDAS2RI_ROWS = 1_000_000  # it takes 2 to 6 microseconds a cell, however many there are


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
            copy = {"a copy into new memory": fresh_copy(values)} if numeric else {}
            limits = {"a copy into new memory": 2.0} if numeric and n >= 10**6 else {}
            rounds = 7 if n <= 10**6 else 3
            if copy:
                report.race(to, lambda f=frame: rdoor.call_object("base::identity", f), copy,
                            rounds=rounds, at_most=limits)  # fmt: skip
                report.race(back, lambda h=held: rdoor.call("base::identity", h), copy,
                            rounds=rounds, at_most=limits)  # fmt: skip
            if n == PANDAS2RI_ROWS:
                factor = 1 / 100 if numeric or "Int64" in kind or kind == "bool" else 1 / 30
                peers = {"pandas2ri": lambda f=frame: theirs(f)}
                report.race(to, lambda f=frame: rdoor.call_object("base::identity", f), peers,
                            rounds=2, at_most={"pandas2ri": factor})  # fmt: skip
                other = theirs(frame)
                peers = {"pandas2ri": lambda o=other: theirs_back(o)}
                report.race(back, lambda h=held: rdoor.call("base::identity", h), peers,
                            rounds=2, at_most={"pandas2ri": factor})  # fmt: skip
