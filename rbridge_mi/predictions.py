"""Predictions pooled over imputations, with what varies within and between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from .arguments import check_known, check_level
from .asking import ask, complete_df
from .errors import ArgumentError
from .mermod import MerMod
from .pooling import rubin
from .schemas import checked

__all__ = ["predict_fits"]


def predict_fits(
    fits: Sequence[MerMod],
    kind: str,
    newdata: pd.DataFrame | None,
    re_form: str | None,
    interval: str | None,
    conf_level: float,
    allow_new_levels: bool,
    dfcom: Any,
) -> pd.DataFrame:
    """See `MerModList.predict`."""
    if interval is not None:
        check_known([interval], ("confidence", "prediction"), "interval")
    check_level(conf_level)
    if newdata is not None and not isinstance(newdata, pd.DataFrame):
        raise ArgumentError(f"newdata must be a DataFrame, not {type(newdata).__name__}.")
    if isinstance(dfcom, str) and dfcom != "residual":
        raise ArgumentError(
            f"dfcom={dfcom!r} is for coefficients: predictions take 'residual' or a number."
        )
    if newdata is None and kind == "bootstrap":
        raise ArgumentError("each bootstrap sample has other rows: give newdata to predict for.")
    form = "none" if re_form in ("NA", "~0", "~ 0") else re_form
    found = [
        ask(fit, "prediction_parts", newdata=fit.needed(newdata), re_form=form,
            allow_new_levels=allow_new_levels)
        for fit in fits
    ]  # fmt: skip
    rows = found[0]["rows"]
    if any(not np.array_equal(x["rows"], rows) for x in found):
        raise ArgumentError("the fits dropped different rows: give newdata to predict for.")
    index = (fits[0].index if newdata is None else newdata.index)[rows - 1]
    q = np.array([x["mean"] for x in found])
    u = np.array([x["variance"] for x in found])
    if interval == "prediction":
        sigma2 = np.array([[fit.sigma**2] for fit in fits])
        u = u + sigma2 + np.array([x["left_out"] for x in found])
    usable = np.isfinite(q).all(axis=0) & np.isfinite(u).all(axis=0)
    table = np.full((len(rows), 5), np.nan)
    if usable.any():
        if kind == "bootstrap":
            # The spread is the sampling variance; of `u` only what a new observation adds counts.
            pooled = rubin.pool_bootstrap(q[:, usable], conf_level=conf_level)
            if interval == "prediction":
                extra = sigma2 + np.array([x["left_out"] for x in found])
                pooled = _widened(pooled, extra[:, usable].mean(axis=0))
        else:
            complete = complete_df(dfcom, fits, np.eye(len(fits[0].beta)))
            pooled = rubin.pool_scalars(
                q[:, usable], u[:, usable], dfcom=complete, conf_level=conf_level
            )
        for j, name in enumerate(("estimate", "std_error", "df", "conf_low", "conf_high")):
            table[usable, j] = getattr(pooled, name)
    what = "predict" if interval is None else f"predict_{interval}"
    ends = {
        None: [],
        "confidence": ["conf_low", "conf_high"],
        "prediction": ["pred_low", "pred_high"],
    }
    names = ["estimate", "std_error", "df", *ends[interval]]
    return checked(pd.DataFrame(table[:, : len(names)], index=index, columns=names), what)


def _widened(pooled: rubin.PooledScalars, extra: Any) -> rubin.PooledScalars:
    """The spread of bootstrap predictions and a new observation's own variance, added."""
    std_error = np.sqrt(pooled.t + extra)
    half = (pooled.conf_high - pooled.estimate) / pooled.std_error * std_error
    return replace(
        pooled,
        std_error=std_error,
        conf_low=pooled.estimate - half,
        conf_high=pooled.estimate + half,
    )
