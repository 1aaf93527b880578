"""Predictions pooled over imputations, with what varies within and between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ..base.arguments import check_known, check_level, check_newdata, re_form_text
from ..base.glossary import checked
from ..errors import ArgumentError
from ..fits.mermod import MerMod
from ..pooling import rubin
from .complete_df import ask, is_small_sample, plain_df

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
    check_newdata(newdata)
    form = re_form_text(re_form)
    observed = interval == "prediction"
    if kind == "bootstrap":
        if newdata is None:
            raise ArgumentError(
                "each bootstrap sample has other rows: give newdata to predict for."
            )
        if dfcom is not None:
            raise ArgumentError(
                "dfcom has no effect on bootstrap samples: their spread is the whole error."
            )
    method = dfcom if is_small_sample(dfcom) else None
    if method == "kenward-roger" and (form != "none" or observed):
        raise ArgumentError(
            "dfcom='kenward-roger' is of the fixed part alone: give re_form='NA', and interval "
            "None or 'confidence'; or take 'satterthwaite', which is of the whole variance."
        )
    complete: Any = None if method else plain_df(dfcom, fits)
    found = [
        ask(fit, "prediction_parts", newdata=fit.needed(newdata), re_form=form,
            allow_new_levels=allow_new_levels, observed=observed, method=method)
        for fit in fits
    ]  # fmt: skip
    rows = found[0]["rows"]
    if any(not np.array_equal(x["rows"], rows) for x in found):
        raise ArgumentError("the fits dropped different rows: give newdata to predict for.")
    index = (fits[0].index if newdata is None else newdata.index)[rows - 1]
    q = np.array([x["mean"] for x in found])
    extra = np.array([x["extra"] for x in found])
    u = np.array([x["variance"] for x in found]) + extra
    usable = np.isfinite(q).all(axis=0) & np.isfinite(u).all(axis=0)
    table = np.full((len(rows), 5), np.nan)
    if usable.any():
        if kind == "bootstrap":
            # The spread is the sampling variance; of `u` only what a new observation adds counts.
            pooled = rubin.pool_bootstrap(q[:, usable], conf_level=conf_level)
            if observed:
                pooled = _widened(pooled, extra[:, usable].mean(axis=0))
        else:
            if method:
                complete = np.mean([x["df"] for x in found], axis=0)[usable]
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
