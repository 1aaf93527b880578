"""Predictions pooled over imputations, with what varies within and between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import check_level, check_newdata, check_value, re_form_text
from ..base.glossary import checked
from ..errors import ArgumentError
from ..fits.asking import ask, ask_each
from ..fits.fitted_model import FittedModel
from ..fits.which_models import check_linear
from ..pooling import PoolingRule
from .degrees_of_freedom import adjusted_vcovs, is_small_sample, plain_df

__all__ = ["predict_fits", "to_response"]

Floats = NDArray[np.float64]


def predict_fits(
    fits: Sequence[FittedModel],
    rule: PoolingRule,
    newdata: pd.DataFrame | None,
    re_form: str | None,
    interval: str | None,
    conf_level: float,
    allow_new_levels: bool,
    dfcom: Any,
    *,
    type: str = "link",
    vcov: str = "model",
) -> pd.DataFrame:
    """Pool predictions row by row; see `MerModList.predict`. One fit has its own intervals."""
    check_value(type, ("link", "response"), "type")
    if interval is not None:
        check_value(interval, ("confidence", "prediction"), "interval")
    check_level(conf_level)
    check_newdata(newdata)
    form = re_form_text(re_form)
    observed = interval == "prediction"
    if newdata is None:
        rule.check_same_rows("give newdata to predict for")
    rule.check_dfcom(dfcom)
    if observed:
        check_linear(
            fits, "interval='prediction' (new responses of others are drawn by `fit.simulate`)"
        )
    method = dfcom if is_small_sample(dfcom) else None
    if method == "kenward-roger" and (form != "none" or observed):
        raise ArgumentError(
            "dfcom='kenward-roger' is of the fixed part alone: give re_form='NA', and interval "
            "None or 'confidence'; or take 'satterthwaite', which is of the whole variance."
        )
    of_each: dict[str, list[Any]] = {"newdata": [fit.needed(newdata) for fit in fits]}
    if vcov != "model":
        of_each["vcov"] = [x.to_numpy() for x in adjusted_vcovs(fits)]
    given = math.inf if method else plain_df(dfcom, fits)
    parts = ask_each(
        fits, "prediction_parts", re_form=form, allow_new_levels=allow_new_levels,
        observed=observed, method=method, of_each=of_each,
    )  # fmt: skip
    rows = parts[0]["rows"]
    if any(not np.array_equal(x["rows"], rows) for x in parts):
        raise ArgumentError("the fits dropped different rows: give newdata to predict for.")
    index = (fits[0].index if newdata is None else newdata.index)[rows - 1]
    q, u, added = (np.array([x[name] for x in parts]) for name in ("mean", "variance", "extra"))
    usable = np.isfinite(q).all(axis=0) & np.isfinite(u + added).all(axis=0)
    table = np.full((len(rows), 5), np.nan)
    if usable.any():
        complete = np.mean([x["df"] for x in parts], axis=0)[usable] if method else given
        pooled = rule.scalars(
            q[:, usable],
            u[:, usable],
            dfcom=complete,
            conf_level=conf_level,
            added=added[:, usable] if observed else None,
        )
        for j, name in enumerate(("estimate", "std_error", "df", "conf_low", "conf_high")):
            table[usable, j] = getattr(pooled, name)
    if type == "response" and fits[0].link != "identity":
        table = to_response(fits[0], table)
    what = "predict" if interval is None else f"predict_{interval}"
    ends = {
        None: [],
        "confidence": ["conf_low", "conf_high"],
        "prediction": ["pred_low", "pred_high"],
    }
    names = ["estimate", "std_error", "df", *ends[interval]]
    return checked(pd.DataFrame(table[:, : len(names)], index=index, columns=names), what)


def to_response(fit: FittedModel, table: Floats) -> Floats:
    """Take predictions from the scale of the link to that of the response.

    Parameters
    ----------
    fit : FittedModel
        Its family has the link.
    table : array
        Rows x (estimate, standard error, df, low, high) on the scale of the link; columns behind
        the standard error may be absent.

    Returns
    -------
    array
        The same on the scale of the response; standard errors by the delta method, limits taken
        back (in their order, where the link falls).
    """
    back = ask(fit, "link_inverse", table[:, 0])
    columns = [back["mean"], table[:, 1] * np.abs(back["slope"]), *table[:, 2:3].T]
    limits = table[:, 3:]
    if limits.shape[1]:
        there = ask(fit, "link_inverse", limits.ravel())["mean"].reshape(limits.shape)
        columns += [*np.sort(there, axis=1).T]
    return np.column_stack(columns)
