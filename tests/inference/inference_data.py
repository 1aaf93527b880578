"""Small two-level data with holes, and imputations of them made in numpy: quick to fit, no R."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

import rbridge_mi as rb


def complete(groups: int = 24, size: int = 8, seed: int = 1, slope_sd: float = 0.6) -> pd.DataFrame:
    """y on x1, x2 and a factor f, with groups g and, across them, items h."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), size)
    n = g.size
    h = np.tile(np.arange(size), groups)
    x1, x2 = rng.normal(size=n), rng.normal(size=n)
    f = rng.integers(3, size=n)
    y = (
        1.0
        + 0.4 * x1
        + 0.2 * x2
        + np.array([0.0, 0.3, 0.1])[f]
        + rng.normal(scale=0.8, size=groups)[g]
        + rng.normal(scale=slope_sd, size=groups)[g] * x1
        + rng.normal(scale=0.9, size=size)[h]
        + rng.normal(size=n)
    )
    return pd.DataFrame(
        {
            "y": y,
            "x1": x1,
            "x2": x2,
            "f": pd.Categorical(np.array(["a", "b", "c"])[f]),
            "g": [f"g{i:02}" for i in g],
            "h": [f"h{i}" for i in h],
        }
    )


def imputed(
    data: pd.DataFrame | None = None, m: int = 5, seed: int = 2, prop: float = 0.25
) -> rb.ImputedData:
    """Holes in y and x2, filled by draws from a regression on the complete rows."""
    data = complete() if data is None else data
    rng = np.random.default_rng(seed)
    holes = data.copy()
    for name in ("y", "x2"):
        holes.loc[rng.uniform(size=len(data)) < prop, name] = np.nan
    whole = holes.dropna()
    frames = []
    for _ in range(m):
        frame = holes.copy()
        boot = whole.iloc[rng.integers(len(whole), size=len(whole))]
        for name, others in (("x2", ["x1"]), ("y", ["x1", "x2"])):
            design = np.column_stack([np.ones(len(boot)), boot[others]])
            beta, residual, *_ = np.linalg.lstsq(design, boot[name].to_numpy(), rcond=None)
            sd = float(np.sqrt(residual[0] / (len(boot) - design.shape[1])))
            gone = frame[name].isna()
            new = np.column_stack([np.ones(int(gone.sum())), frame.loc[gone, others]])
            frame.loc[gone, name] = new @ beta + rng.normal(scale=sd, size=len(new))
        frames.append(frame)
    return rb.ImputedData.from_frames(frames, original=holes)


def fitted(
    formula: str, data: rb.ImputedData, reml: bool = True, **arguments: object
) -> rb.MerModList:
    """The fits, without what lme4 says of singular ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RWarning)
        return rb.Lmer(formula, reml=reml, **arguments).fit(data)  # type: ignore[arg-type]
