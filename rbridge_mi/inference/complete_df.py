"""Questions to the R object of a fit, with R's "needs the R package" made an `RPackageError`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.replies import told
from ..errors import ArgumentError, RBridgeWarning, RCallError, RPackageError
from ..fits.mermod import MerMod

__all__ = ["SMALL_SAMPLE", "ask", "complete_df", "is_small_sample", "plain_df"]

Floats = NDArray[np.float64]

SMALL_SAMPLE = ("satterthwaite", "kenward-roger")


def ask(fit: MerMod, function: str, *args: Any, **kwargs: Any) -> Any:
    """``function(fit, ...)`` in R; what R says becomes an `RWarning` with the imputation."""
    try:
        reply = fit.r.call(function, *args, **kwargs)
    except RCallError as error:
        if "needs the R package" in error.r_message:
            raise RPackageError(error.r_message) from None
        raise
    return told(reply, fit.imputation, stacklevel=4)


def complete_df(
    dfcom: Any, fits: Sequence[MerMod], matrix: Floats, *, joint: bool = False
) -> float | Floats:
    """Degrees of freedom that complete data would leave, for each row of `matrix`.

    Parameters
    ----------
    dfcom : {"residual", "satterthwaite", "kenward-roger"}, float, or None
        None is "residual": the fits' own (nobs minus all parameters), the least of them, as mice
        does. The small-sample ones are computed by R for each fit (lmerTest's ``contest1D``,
        pbkrtest's ``ddf_Lb``; for a joint test lmerTest's ``contestMD``) and averaged. Kenward and
        Roger's are made for REML: fits by ML are refitted by it, as pbkrtest does, with a warning.
    fits : sequence of MerMod
    matrix : (k, p) array
        Linear combinations of the coefficients.
    joint : bool
        Of the rows tested together: one number.

    Raises
    ------
    ArgumentError
        For a dfcom of another kind.
    RPackageError
        Where R lacks lmerTest or pbkrtest.
    """
    if is_small_sample(dfcom):
        if dfcom == "kenward-roger" and not all(fit.reml for fit in fits):
            warnings.warn(
                "dfcom='kenward-roger': the degrees of freedom are those of refits by REML, for "
                "which they are made; estimates and standard errors stay those of the fits by "
                "maximum likelihood.",
                RBridgeWarning,
                stacklevel=4,
            )
        found = np.array([ask(fit, "coefficient_df", matrix, dfcom, joint) for fit in fits])
        mean = np.asarray(found.mean(axis=0), dtype=np.float64)
        return float(mean[0]) if joint else mean
    return plain_df(dfcom, fits)


def is_small_sample(dfcom: Any) -> bool:
    """Whether R computes these degrees of freedom per fit."""
    return isinstance(dfcom, str) and dfcom in SMALL_SAMPLE


def plain_df(dfcom: Any, fits: Sequence[MerMod]) -> float:
    """`complete_df` where it needs no R: the residual ones, or a number."""
    if dfcom is None or (isinstance(dfcom, str) and dfcom == "residual"):
        return float(min(fit.df_residual for fit in fits))
    number = isinstance(dfcom, int | float | np.integer | np.floating)
    if isinstance(dfcom, bool) or not number or not dfcom > 0:
        raise ArgumentError(
            "dfcom must be 'residual' (None), 'satterthwaite', 'kenward-roger', a positive number "
            f"or math.inf, not {dfcom!r}."
        )
    return float(dfcom)
