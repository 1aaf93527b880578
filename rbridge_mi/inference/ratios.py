"""Odds ratios and rate ratios: coefficients of a log scale, exponentiated."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..errors import ArgumentError
from ..fits.fitted_model import FittedModel

__all__ = ["as_ratios"]

# The coefficients of these are differences of logarithms; with the identity link they may be, where
# the logarithm of a response was modelled.
_LOG_LINKS = ("log", "logit", "cloglog", "identity")


def as_ratios(frame: pd.DataFrame, fit: FittedModel) -> pd.DataFrame:
    """Exponentiate estimates and intervals, as broom.mixed's ``tidy(m, exponentiate = TRUE)``.

    Parameters
    ----------
    frame : DataFrame
        With estimate, std_error, conf_low and conf_high on the scale of the link.
    fit : FittedModel
        Whose estimates they are.

    Returns
    -------
    DataFrame
        A copy, with standard errors by the delta method: that of the coefficient times the ratio.
        Statistics and p values are those of the coefficients, whose intervals were exponentiated.

    Raises
    ------
    ArgumentError
        For a link whose coefficients are no logarithms.
    """
    if fit.link not in _LOG_LINKS:
        raise ArgumentError(
            f"exponentiate=True is for coefficients on a log scale (links {', '.join(_LOG_LINKS)}),"
            f" and those of link {fit.link!r} have no meaning when exponentiated."
        )
    ratios = frame.copy()
    for name in ("estimate", "conf_low", "conf_high"):
        ratios[name] = np.exp(frame[name])
    ratios["std_error"] = frame["std_error"] * ratios["estimate"]
    return ratios
