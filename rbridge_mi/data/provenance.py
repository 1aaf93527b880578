"""How data sets were imputed: what each column's model saw, and the trace of the chains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import union_categoricals

__all__ = [
    "TRACE",
    "ColumnModel",
    "chain_lengths",
    "empty_trace",
    "joined_traces",
    "parameters",
    "trace_of_chains",
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
    random_effects : tuple of str
        Those of the analysis model, as in ("schid: (Intercept)", "schid: ses"), where the column
        was imputed from one. Empty where its model was made apart from any analysis.
    """

    method: str
    predictors: tuple[str, ...]
    groups: tuple[str, ...] = ()
    level: str | None = None
    random_effects: tuple[str, ...] = ()


def parameters(names: Iterable[str]) -> pd.Categorical:
    """Make the column ``parameter`` of a trace, which repeats few names many times."""
    codes, unique = pd.factorize(np.array([*names], object))
    return pd.Categorical.from_codes(codes, pd.Index(unique, dtype=object))


def empty_trace() -> pd.DataFrame:
    """Return a trace without rows, for data sets whose chains are not known."""
    return pd.DataFrame(
        {
            "imputation": np.array([], np.int64),
            "iteration": np.array([], np.int64),
            "parameter": parameters([]),
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
            "parameter": parameters([parameter] * rows),
            "value": np.full(rows, np.nan),
        }
    )


def trace_of_chains(names: Sequence[str], draws: NDArray[np.float64]) -> pd.DataFrame:
    """Return the trace of the parameters' values, (chains, iterations, parameters)."""
    chains, iterations, width = draws.shape
    codes = np.tile(np.arange(width), chains * iterations)
    return pd.DataFrame(
        {
            "imputation": np.repeat(np.arange(1, chains + 1), iterations * width),
            "iteration": np.tile(np.repeat(np.arange(1, iterations + 1), width), chains),
            "parameter": pd.Categorical.from_codes(codes, pd.Index([*names], dtype=object)),
            "value": draws.ravel(),
        }
    )


def chain_lengths(trace: pd.DataFrame) -> tuple[int, ...]:
    """Return the number of iterations of each imputation's chain."""
    return tuple(int(n) for n in trace.groupby("imputation")["iteration"].max())


def _of_objects(names: pd.Series[str]) -> pd.Categorical:
    """Return the names as categories of objects, whichever dtype pandas gave their texts."""
    if not isinstance(names.dtype, pd.CategoricalDtype):
        return parameters(names)
    categories = pd.Index(np.asarray(names.cat.categories, object), dtype=object)
    return pd.Categorical.from_codes(names.cat.codes.to_numpy(), categories)


def joined_traces(
    traces: Sequence[pd.DataFrame], counts: Sequence[int] | None = None
) -> pd.DataFrame:
    """Join the traces of several calls, whose imputations are counted on.

    Without `counts`, how many each call made, the last imputation in a call's trace says so.
    """
    parts, before = [], 0
    for i, trace in enumerate(traces):
        parts.append(trace.assign(imputation=trace["imputation"] + before))
        if counts is not None:
            before += counts[i]
        else:
            before += int(trace["imputation"].max()) if len(trace) else 0
    if not parts:
        return empty_trace()
    names = union_categoricals([_of_objects(x["parameter"]) for x in parts])
    columns = [x.drop(columns="parameter") for x in parts]
    return pd.concat(columns, ignore_index=True).assign(parameter=names)[list(TRACE)]
