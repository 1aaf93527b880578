"""Small fixed data and frames: what is drawn must not move with lme4, an imputer, or numpy.

The numbers are of `numpy.random.RandomState`, whose streams numpy keeps as they are (NEP 19).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

import rbridge_mi as rb

CATEGORIES = ["never", "at times", "often"]


def holes() -> pd.DataFrame:
    random = np.random.RandomState(1)
    data = pd.DataFrame(
        {
            "school": [f"School {i // 8}" for i in range(96)],
            "score": random.normal(10, 3, 96).round(1),
            "ses": random.normal(0, 1, 96).round(2),
            "often": pd.Categorical.from_codes(random.randint(0, 3, 96), CATEGORIES),
        }
    )
    for name, share in (("score", 0.15), ("ses", 0.3), ("often", 0.2)):
        data.loc[random.uniform(size=96) < share, name] = np.nan
    return data


def imputed(m: int = 4) -> rb.ImputedData:
    """Holes filled by observed values, with chains of two parameters, one of which drifts."""
    data, random = holes(), np.random.RandomState(2)
    frames = []
    for _ in range(m):
        frame = data.copy()
        for name in ("score", "ses", "often"):
            gone = data[name].isna().to_numpy()
            known = data[name][~gone].array
            frame.loc[gone, name] = known.take(random.randint(0, len(known), gone.sum()))
        frames.append(frame)
    index = pd.MultiIndex.from_product([range(1, m + 1), range(1, 41), ["mean(ses)", "sd(score)"]])
    trace = pd.DataFrame(index.tolist(), columns=["imputation", "iteration", "parameter"])
    trace["value"] = random.normal(size=len(trace))
    trace.loc[trace["parameter"] == "sd(score)", "value"] += 2.0 * trace["imputation"]
    imp = rb.ImputedData.from_frames(frames, original=data)
    return replace(imp, trace=trace.astype({"parameter": "category"}))


def pooled(**arguments: Any) -> rb.PooledEstimates:
    random = np.random.RandomState(3)
    names = ["(Intercept)", "ses", "oftenat times", "oftenoften", "ses:a_term_with_a_$long$_name"]
    estimates = np.array([1.0, 0.8, -0.4, 0.1, -0.9]) + random.normal(0, 0.12, (6, 5))
    return rb.pool(list(estimates), [[0.2, 0.15, 0.3, 0.25, 0.2]] * 6, names=names, **arguments)


def levels(count: int = 24, **columns: str) -> pd.DataFrame:
    """Two terms of one grouping factor; the columns' names differ between tables."""
    random = np.random.RandomState(4)
    parts = []
    for term, spread in (("(Intercept)", 1.0), ("ses", 0.3)):
        middle = np.sort(random.normal(0, spread, count))
        share = random.uniform(0, 0.5, count)
        sd = spread * random.uniform(0.3, 0.6, count)
        inner = sd * np.sqrt(1 - share)
        part = pd.DataFrame(
            {
                "grpvar": "school", "term": term, "grp": [f"School {i}" for i in range(count)],
                "middle": middle, "spread": sd, "lambda_": share,
                "within_low": middle - 1.96 * inner, "within_high": middle + 1.96 * inner,
                "conf_low": middle - 1.96 * sd, "conf_high": middle + 1.96 * sd,
            }
        )  # fmt: skip
        parts.append(part)
    return pd.concat(parts, ignore_index=True).rename(columns=columns)


def simulated_terms() -> pd.DataFrame:
    median = np.array([0.8, -0.4, 0.1])
    frame = pd.DataFrame({"term": ["ses", "oftenat times", "oftenoften"], "median": median})
    return frame.assign(conf_low=median - 0.3, conf_high=median + 0.3)


def overimputed() -> pd.DataFrame:
    random = np.random.RandomState(5)
    observed = random.normal(size=120)
    mean = 0.6 * observed + random.normal(0, 0.5, 120)
    missing = np.where(random.uniform(size=120) < 0.7, 0.2, 0.6)
    return pd.DataFrame(
        {"observed": observed, "overimputed_mean": mean, "overimputed_low": mean - 1.3,
         "overimputed_high": mean + 1.3, "row_missing": missing}
    )  # fmt: skip


def predicted(by: bool = True) -> pd.DataFrame:
    parts = []
    for i, group in enumerate(CATEGORIES if by else ["never"]):
        x = np.linspace(-2, 2, 25)
        y = 10 + i + (1 - 0.5 * i) * x
        half = 0.4 + 0.2 * np.abs(x)
        parts.append(
            pd.DataFrame(
                {"ses": x, "often": group, "estimate": y, "std_error": half / 2, "df": np.inf,
                 "conf_low": y - half, "conf_high": y + half}
            )
        )  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    table.attrs["note"] = "score = 10.2"
    return table


def predicted_categories() -> pd.DataFrame:
    y = np.array([10.0, 11.0, 12.5])
    return predicted().groupby("often", sort=False).head(1).drop(columns="ses").assign(
        estimate=y, conf_low=y - 0.5, conf_high=y + 0.7
    )  # fmt: skip


def profiled() -> pd.DataFrame:
    zeta = np.linspace(-4, 4, 17)
    parts = []
    for name, middle, bend in (("ses", 0.8, 0.0), ("sigma", 2.0, 0.008)):
        value = middle + 0.1 * zeta + bend * zeta**2
        parts.append(
            pd.DataFrame(
                {"parameter": name, "value": value, "zeta": zeta, "conf_low": middle - 0.19,
                 "conf_high": middle + 0.2}
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def series(panel: str, name: str, x: Any, y: Any, replicate: int = 0) -> pd.DataFrame:
    rows = {"panel": panel, "series": name, "replicate": replicate}
    return pd.DataFrame({"x": np.asarray(x, float), "y": np.asarray(y, float)}).assign(**rows)


def effects() -> pd.DataFrame:
    x = np.linspace(-2, 2, 20)
    parts = [series("random_effects", f"school: {t}", x, x + 0.1 * i) for i, t in enumerate("ab")]
    return pd.concat(parts, ignore_index=True)


def checked_linear() -> pd.DataFrame:
    random = np.random.RandomState(6)
    x, y = random.uniform(5, 15, 150), random.normal(size=150)
    q = np.linspace(-2.5, 2.5, 150)
    grid = np.linspace(0, 20, 151)
    bell = np.exp(-0.5 * ((grid - 10) / 3) ** 2) / 7.52
    middle = np.linspace(6, 14, 8)
    parts = [
        series("residuals", "residuals", x, y),
        series("residuals", "trend", middle, 0.3 * np.sin(middle)),
        series("normal_residuals", "residuals", q, np.sort(y)),
        series("scale_location", "residuals", x, np.sqrt(np.abs(y))),
        series("scale_location", "trend", middle, 0.8 + 0.02 * middle),
        effects(),
        series("posterior_predictive", "observed", grid, bell),
    ]
    for i in range(1, 9):
        parts.append(series("posterior_predictive", "simulated", grid + 0.2 * i - 1, bell, i))
    return pd.concat(parts, ignore_index=True)


def checked_binary() -> pd.DataFrame:
    random = np.random.RandomState(7)
    middle = np.linspace(0.1, 0.9, 15)
    place = (np.arange(150) + 0.5) / 150
    parts = [
        series("binned_residuals", "residuals", middle, random.normal(0, 0.05, 15)),
        series("binned_residuals", "limit", middle, 0.25 * np.sqrt(middle * (1 - middle))),
        series("uniform_residuals", "residuals", place, np.sort(random.uniform(size=150))),
        series("residuals_by_rank", "residuals", place, random.uniform(size=150)),
        series("residuals_by_rank", "trend", middle, 0.5 + 0.1 * np.sin(9 * middle)),
        effects(),
        series("posterior_predictive", "observed", [0, 1], [0.4, 0.6]),
    ]
    for i in range(1, 9):
        share = 0.4 + 0.01 * (i - 4)
        parts.append(series("posterior_predictive", "simulated", [0, 1], [share, 1 - share], i))
    return pd.concat(parts, ignore_index=True)


def moved() -> pd.DataFrame:
    delta = np.arange(-3.0, 4.0)
    parts = []
    for term, slope, half in (("ses", 0.15, 0.4), ("oftenoften", -0.1, 0.6)):
        y = 0.5 + slope * delta
        parts.append(
            pd.DataFrame(
                {"delta": delta, "effect": "fixed", "group": None, "term": term, "estimate": y,
                 "conf_low": y - half, "conf_high": y + half}
            )
        )  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    table.attrs = {"column": "score", "by": None, "groups": None, "conf_level": 0.95}
    return table
