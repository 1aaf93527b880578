"""How data sets were imputed: what each column's model saw, and the trace of the chains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = [
    "TRACE",
    "ColumnModel",
    "chain_lengths",
    "empty_trace",
    "joined_traces",
    "trace_of_lengths",
]

TRACE = ("imputation", "iteration", "parameter", "value")


@dataclass(frozen=True)
class ColumnModel:
    """What the imputation model of one column saw.

    Parameters
    ----------
    method : str
        The model, as its engine calls it, such as "Amelia".
    predictors : tuple of str
        The other columns from which the column was imputed.
    groups : tuple of str
        Columns whose groups the model told apart.
    level : str, optional
        The column that names the units which get one value each, such as the school of a
        school-level column; None where each row is imputed separately.
    """

    method: str
    predictors: tuple[str, ...]
    groups: tuple[str, ...] = ()
    level: str | None = None


def empty_trace() -> pd.DataFrame:
    """Return a trace without rows, for data sets whose chains are not known."""
    return pd.DataFrame(
        {
            "imputation": np.array([], np.int64),
            "iteration": np.array([], np.int64),
            "parameter": np.array([], object),
            "value": np.array([], np.float64),
        }
    )


def trace_of_lengths(lengths: Sequence[int], parameter: str) -> pd.DataFrame:
    """Return the trace of chains of which the lengths alone are known; the values are missing."""
    if not lengths:
        return empty_trace()
    rows = int(sum(lengths))
    return pd.DataFrame(
        {
            "imputation": np.repeat(np.arange(1, len(lengths) + 1), lengths),
            "iteration": np.concatenate([np.arange(1, n + 1) for n in lengths]),
            "parameter": np.full(rows, parameter, dtype=object),
            "value": np.full(rows, np.nan),
        }
    )


def chain_lengths(trace: pd.DataFrame) -> tuple[int, ...]:
    """Return the number of iterations of each imputation's chain."""
    return tuple(int(n) for n in trace.groupby("imputation")["iteration"].max())


def joined_traces(traces: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join the traces of several calls, whose imputations are counted on."""
    parts, before = [], 0
    for trace in traces:
        parts.append(trace.assign(imputation=trace["imputation"] + before))
        before += int(trace["imputation"].max()) if len(trace) else 0
    return pd.concat(parts, ignore_index=True) if parts else empty_trace()
