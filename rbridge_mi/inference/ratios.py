"""Odds ratios and rate ratios: coefficients of a log scale, exponentiated."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..errors import ArgumentError

__all__ = ["as_ratios", "check_ratios"]

# The coefficients of these are differences of logarithms; with the identity link they may be, where
# the logarithm of a response was modelled.
_LOG_LINKS = ("log", "logit", "cloglog", "identity")


def check_ratios(link: str | None) -> None:
    """Refuse a link whose coefficients are no logarithms; None is not known.

    Raises
    ------
    ArgumentError
        Naming the link.
    """
    if link is not None and link not in _LOG_LINKS:
        raise ArgumentError(
            f"exponentiate=True is for coefficients on a log scale (links {', '.join(_LOG_LINKS)}),"
            f" and those of link {link!r} have no meaning when exponentiated."
        )


def as_ratios(frame: pd.DataFrame, link: str | None = None) -> pd.DataFrame:
    """Exponentiate estimates and intervals, as broom.mixed's ``tidy(m, exponentiate = TRUE)``.

    Parameters
    ----------
    frame : DataFrame
        With estimate, std_error, conf_low and conf_high on the scale of the link.
    link : str, optional
        The model's link; None where it isn't known.

    Returns
    -------
    DataFrame
        A copy, with standard errors by the delta method: that of the coefficient times the ratio.
        Statistics, p values and variances are those of the coefficients. ``attrs["note"]`` says so.

    Raises
    ------
    ArgumentError
        For a link whose coefficients are no logarithms.
    """
    check_ratios(link)
    ratios = frame.copy()
    for name in ("estimate", "conf_low", "conf_high"):
        ratios[name] = np.exp(frame[name])
    ratios["std_error"] = frame["std_error"] * ratios["estimate"]
    note = (
        "estimates and intervals are exponentiated, standard errors by the delta method; "
        "statistics and variances are those of the logarithms"
    )
    ratios.attrs["note"] = "; ".join(x for x in (frame.attrs.get("note", ""), note) if x)
    return ratios
