"""Small data with holes for the tests of CompatibleImputer, and what holds of any imputations."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

import rbridge_mi as rb

GROUPS = 15


def small(seed: int = 1, rows: int = 120) -> pd.DataFrame:
    """Make 15 groups with y, x, z of their level, a, which groups them, and w; x has holes."""
    random = np.random.default_rng(seed)
    group = np.arange(rows) % GROUPS
    z = random.normal(size=GROUPS)[group]
    x = 0.5 * random.normal(size=GROUPS)[group] + 0.3 * z + random.normal(size=rows)
    u = random.normal(size=(2, GROUPS))[:, group] * [[0.7], [0.4]]
    data = pd.DataFrame(
        {
            "y": 1 + x + 0.5 * z + u[0] + u[1] * x + random.normal(size=rows),
            "x": x,
            "z": z,
            "w": x + random.normal(size=rows),
            "g": [f"g{i}" for i in group],
            "a": [f"a{i}" for i in group // 3],
        }
    )
    data["x"] = holed(data["x"], seed)
    return data


def holed(column: Any, seed: int = 2, share: float = 0.25) -> pd.Series[Any]:
    """Make holes in a column."""
    series = pd.Series(column)
    hole = np.random.default_rng(seed).random(len(series)) < share
    return series.mask(hole)


def impute(
    data: pd.DataFrame,
    model: Any,
    *,
    m: int = 2,
    iterations: int | None = None,
    seed: int = 1,
    n_jobs: int | None = None,
    **arguments: Any,
) -> rb.ImputedData:
    """Impute by chains of a fixed length, the least; what numpy warns of is an error."""
    if iterations is None:
        iterations = 50 if getattr(model, "family", None) == "poisson" else 25
    imputer = rb.CompatibleImputer(
        model, m, rhat=1e9, min_iter=iterations, max_iter=iterations, **arguments
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", rb.RBridgeWarning)
        return imputer.impute(data, seed=seed, n_jobs=n_jobs)


def stacked(imp: rb.ImputedData, column: str) -> np.ndarray[Any, Any]:
    """Return a column of numbers of all data sets, (m, rows)."""
    return np.stack([frame[column].to_numpy(np.float64) for frame in imp])


def assert_sound(
    data: pd.DataFrame,
    imp: rb.ImputedData,
    filled: Sequence[str],
    derived: Sequence[str] = (),
    levels: Mapping[str, str] | None = None,
) -> None:
    """Assert what holds of any imputations of some columns; others must be as they were."""
    for frame in imp:
        assert frame.index.equals(data.index)
        assert list(frame.columns) == list(data.columns)
        for name in data.columns:
            if name in derived:
                continue
            if name not in filled:
                pd.testing.assert_series_equal(frame[name], data[name])
                continue
            observed = data[name].notna().to_numpy()
            before = data[name].to_numpy(object)[observed]
            assert (frame[name].to_numpy(object)[observed] == before).all()
            assert frame[name].notna().all(), name
            if pd.api.types.is_numeric_dtype(frame[name].dtype):
                assert np.isfinite(frame[name].to_numpy(np.float64)).all(), name
            else:
                assert set(frame[name]) <= set(before)
        for name, group in (levels or {}).items():
            assert (frame.groupby(group)[name].nunique() == 1).all()
