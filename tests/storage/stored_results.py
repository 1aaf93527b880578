"""Small results of every kind, what their accessors say, and files of both.

``python -m tests.storage.stored_results FOLDER`` writes the files of the present format, and beside
each a JSON file of the values; folder 1 was made so by the last version that wrote format 1. The
files of a format are never made again: they stand for those that users have.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import rbridge_mi as rb

Values = dict[str, Any]

OF_FIT = ("formula", "reml", "nobs", "npar", "df_residual", "ngrps", "n_lvls", "sigma", "theta",
          "beta", "log_lik", "aic", "bic", "criterion", "is_singular", "optimizer",
          "optimizer_message", "dropped", "imputation", "messages", "index", "fixef",
          "ranef", "varcorr", "vcov", "coef", "model_info", "tidy", "glance", "r2", "fitted",
          "residuals", "summary", "__str__")  # fmt: skip
# What results have not said since the first version: the values of format 1 lack them.
LATER = ("collation", "family", "link", "has_scale", "log", "trace", "saw")
OF_FITS = ("names", "failed", "fixef", "ranef", "varcorr", "vcov", "coef", "model_info", "tidy",
           "glance", "r2", "convergence", "fitted", "residuals")  # fmt: skip
BY_IMPUTATION = ("fixef", "ranef", "varcorr", "vcov", "coef", "tidy", "r2")
OF_POOLED = ("fixed", "vcov", "varcorr", "ranef", "sigma", "icc", "m", "kind", "conf_level",
             "formula", "nobs", "ngrps", "dfcom", "complete_df", "notes", "tidy")  # fmt: skip
OF_DATA = ("original", "m", "method", "kind", "seed", "settings", "warnings", "notes", "missing")


def values_of(result: Any) -> Values:
    """What every accessor of a result says, as JSON has it; doubles keep every bit."""
    if isinstance(result, rb.MerMod):
        return asked(result, OF_FIT)
    if isinstance(result, rb.ImputedData):
        frames = {f"[{i}]": plain(frame) for i, frame in enumerate(result)}
        return asked(result, OF_DATA) | frames
    if isinstance(result, rb.PooledMerMod):
        return asked(result, OF_POOLED) | {
            "test": plain(result.test("x = 0")) if result.kind == "imputation" else None,
            "fits": [plain(fit.fixef()) for fit in result.fits],
            "data": None if result.data is None else asked(result.data, OF_DATA),
        }
    assert isinstance(result, rb.MerModList)
    skipped = ("fitted", "residuals") if result.data.kind == "bootstrap" else ()
    return (
        asked(result, [x for x in OF_FITS if x not in skipped])
        | {f"{x}(by_imputation)": plain(getattr(result, x)(by_imputation=True))
           for x in BY_IMPUTATION}
        | {"fits": [asked(fit, ("messages", "index", "fitted")) for fit in result],
           "data": asked(result.data, OF_DATA)}
    )  # fmt: skip


def asked(result: Any, names: Any) -> Values:
    values = {}
    for name in [*names, *(x for x in LATER if hasattr(result, x))]:
        value = getattr(result, name)
        values[name] = plain(value() if callable(value) else value)
    return values


def plain(value: Any) -> Any:
    """A value as JSON holds it (doubles by their shortest text); what JSON lacks, by its kind."""
    if isinstance(value, pd.DataFrame):
        columns = [value.iloc[:, i] for i in range(value.shape[1])]
        return {"columns": plain(list(value.columns)), "index": plain(list(value.index)),
                "dtypes": [dtype_of(x) for x in columns],
                "cells": [cells_of(x) for x in columns]}  # fmt: skip
    if isinstance(value, pd.Series):
        return {"index": plain(list(value.index)), "dtype": dtype_of(value),
                "cells": cells_of(value)}  # fmt: skip
    if isinstance(value, pd.Index):
        return plain(value.tolist())
    if isinstance(value, BaseException):
        return str(value)
    if hasattr(value, "items"):
        return {str(k): plain(x) for k, x in value.items()}
    if isinstance(value, list | tuple):
        return [plain(x) for x in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else {"double": repr(value)}
    if isinstance(value, dt.date | pd.Timedelta):
        return {"time": str(value)}
    if value is None or isinstance(value, bool | int | str):
        return str(value) if isinstance(value, str) else value
    if dataclasses.is_dataclass(value):
        return plain(vars(value))
    assert value is pd.NA, value
    return {"missing": "NA"}


def cells_of(column: pd.Series) -> list[Any]:
    """The cells; a missing text is null, since pandas 2 and 3 differ in what stands for it."""
    if dtype_of(column) == "text":
        return [None if pd.isna(x) else plain(x) for x in column]
    return [plain(x) for x in column.tolist()]


def dtype_of(column: pd.Series) -> str:
    """The dtype's name; text is called so, since pandas 2 and 3 differ in what they keep it in."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        kind = "ordered" if column.dtype.ordered else "category"
        return f"{kind}: {', '.join(map(str, column.dtype.categories))}"
    text = isinstance(column.dtype, pd.StringDtype) or column.dtype == object
    return "text" if text else str(column.dtype)


def small_data() -> pd.DataFrame:
    """30 rows in 6 groups."""
    random = np.random.default_rng(12)
    group = np.repeat([f"g{i}" for i in range(6)], 5)
    x, noise = random.normal(size=30), random.normal(size=30)
    slope = np.repeat(random.normal(size=6), 5)
    return pd.DataFrame(
        {
            "g": group,
            "x": x.round(3),
            "sector": pd.Categorical(np.where(np.arange(30) % 3 == 0, "large", "small")),
            "y": (1 + 0.5 * x + slope * (1 + x) + noise).round(3),
        },
        index=pd.RangeIndex(101, 131, name="pupil"),
    )


def odd_frames() -> tuple[list[pd.DataFrame], pd.DataFrame]:
    """Two completed data sets of six rows, with columns of many dtypes, and their original."""
    original = pd.DataFrame(
        {
            "double": [0.1, -0.0, None, 5e-324, np.inf, 1e308],
            "whole": pd.array([1, None, 3, 4, 5, 2**53 + 1], dtype="Int64"),
            "count": np.array([1, 2, 3, 4, 5, 6], dtype="int8"),
            "text": ["a", "", None, 'b,"c"', "ü", "NA"],
            "flag": pd.array([True, None, False, True, True, False], dtype="boolean"),
            "grade": pd.Categorical(["low", None, "high", "low", "low", "high"],
                                    ["low", "high"], ordered=True),
            "when": pd.to_datetime(
                ["2020-02-29 12:00:00.123456", None, *["2021-01-01 00:00:00.5"] * 4]
            ),
        },
        index=["r1", "r2", "r3", "r4", "r5", "r6"],
    )  # fmt: skip
    frames = []
    for i in range(2):
        frame = original.copy()
        frame.loc["r3", "double"] = 0.1 * (i + 1)
        frame.loc["r2", "whole"] = 7 + i
        frame.loc["r3", "text"] = ["one", "two"][i]
        frame.loc["r2", "flag"] = i == 0
        frame.loc["r2", "grade"] = ["low", "high"][i]
        frame.loc["r2", "when"] = pd.Timestamp("2022-03-04") + pd.Timedelta(days=i)
        frames.append(frame)
    return frames, original


def small_results() -> dict[str, tuple[Any, bool]]:
    """Results by the name of their file, and whether R's objects are saved with them."""
    data = small_data()
    model = rb.Lmer("y ~ x + sector + (1 + x | g)")
    fit = model.fit(data)
    fit.r2()
    holes = rb.ampute(data, prop=0.2, columns=["x"], seed=1)
    imp = rb.AmeliaImputer(m=2, idvars=["g", "sector"]).impute(holes, seed=1)
    fits = model.fit(imp)
    fits.r2(by_imputation=True)
    frames, original = odd_frames()
    samples = rb.BootstrapImputer(m=2, cluster="g").impute(data, seed=1)
    whole = [data.assign(k=np.arange(30) % 5 if i < 2 else 1) for i in range(3)]
    parts = rb.ImputedData.from_frames(whole, kind="bootstrap")
    failed = rb.Lmer("y ~ x + (1 | g) + (1 | k)").fit(parts, errors="keep")
    failed.r2(by_imputation=True)
    return {
        "fit": (fit, False),
        "fit_with_r": (rb.Lmer("y ~ x + (1 | g)").fit(data), True),
        "fits": (fits, False),
        "pooled": (fits.pool(), False),
        "imputed_cells": (rb.ImputedData.from_frames(frames, original=original), False),
        "bootstrap_rows": (samples, False),
        "frames_with_a_failure": (failed, False),
    }


def asked_of_r(fit: rb.MerMod) -> Values:
    """What needs R's object, beside a table that doesn't."""
    return {"fixef": plain(fit.fixef()), "predict": plain(fit.predict(small_data().head(3)))}


def pack(path: Path) -> None:
    """Compress the members of a zip archive again, by LZMA: R's object is a third so large."""
    with zipfile.ZipFile(path) as archive:
        members = {x: archive.read(x) for x in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def write(folder: Path) -> None:
    """The files of the present format, and their values."""
    folder.mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, (result, with_r) in small_results().items():
            pack(rb.save(result, folder / f"{name}.zip", r_objects=with_r))
            values = asked_of_r(result) if with_r else values_of(result)
            text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
            (folder / f"{name}.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
