"""One model by every optimizer of lme4, to see whether its estimates hang on the search."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from ..base.arguments import check_count
from ..base.glossary import beside, checked
from ..fits.asking import ask
from ..fits.fitted_model import FittedModel, random_terms

__all__ = ["all_fit"]


def all_fit(fit: FittedModel, maxfun: int) -> pd.DataFrame:
    """Fit a model again by every optimizer; see `MerMod.all_fit`."""
    check_count(maxfun, "maxfun", 1)
    outcomes = ask(fit, "all_fit", maxfun)
    rows, estimates = [], []
    for outcome in outcomes:
        has_fit = "log_lik" in outcome
        rows.append(
            {
                "optimizer": str(outcome["optimizer"][0]),
                "log_lik": float(outcome["log_lik"][0]) if has_fit else math.nan,
                "is_singular": bool(outcome["singular"][0]) if has_fit else None,
                "messages": "; ".join(map(str, outcome["messages"])),
            }
        )
        values = {}
        if has_fit:
            values = dict(zip(outcome["terms"], outcome["beta"], strict=True))
            values |= {f"{g} {term}": x for g, term, x in random_terms(outcome["varcorr"])}
        estimates.append(values)
    table = checked(pd.DataFrame(rows), "all_fit")
    table["is_singular"] = table["is_singular"].astype("boolean")
    named = pd.DataFrame(estimates, index=range(len(rows)), dtype=np.float64)
    return beside(table, named)
