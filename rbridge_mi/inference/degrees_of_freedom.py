"""Degrees of freedom that complete data would leave: residual, small-sample, or given."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import ArgumentError, RBridgeWarning
from ..fits.asking import ask_each
from ..fits.fitted_model import FittedModel
from ..fits.which_models import check_linear, is_linear

__all__ = [
    "SMALL_SAMPLE",
    "VCOVS",
    "LeastDf",
    "adjusted_vcovs",
    "check_adjusted",
    "complete_df",
    "default_dfcom",
    "dfcom_of_one",
    "is_small_sample",
    "plain_df",
    "vcov_of_one",
]

Floats = NDArray[np.float64]

SMALL_SAMPLE = ("satterthwaite", "kenward-roger")
# Covariance matrices of the coefficients: those of the fits, and Kenward and Roger's.
VCOVS = ("model", "kenward-roger")


def complete_df(
    dfcom: Any, fits: Sequence[FittedModel], matrix: Floats, *, joint: bool = False
) -> float | Floats:
    """Degrees of freedom that complete data would leave, for each row of `matrix`.

    Parameters
    ----------
    dfcom : {"residual", "satterthwaite", "kenward-roger"}, float, or None
        None is "residual" where the model has a scale, and infinite where it has none
        (`default_dfcom`). "residual": the least of the fits' nobs minus all parameters, as mice
        does. The small-sample ones are computed by R for each fit (lmerTest's
        ``contest1D``, pbkrtest's ``ddf_Lb``; for a joint test lmerTest's ``contestMD``) and
        averaged. Kenward and Roger's are for REML: fits by ML are refitted by it, as pbkrtest
        does, with a warning.
    fits : sequence of FittedModel
        Of one model.
    matrix : ndarray of shape (k, p)
        Linear combinations of the coefficients.
    joint : bool
        Of the rows tested together: one number.

    Returns
    -------
    float or ndarray of shape (k,)
        One number where it is the same for every row.

    Raises
    ------
    ArgumentError
        For a dfcom of another kind, or a small-sample one for a model that is not linear.
    RPackageError
        Where R lacks lmerTest or pbkrtest.

    See Also
    --------
    plain_df : Where R need not be asked.
    rbridge_mi.pooling.barnard_rubin_df : The pooled df that depend on them.
    """
    if not is_small_sample(dfcom):
        return plain_df(dfcom, fits)
    check_linear(fits, f"dfcom={dfcom!r}")
    if dfcom == "kenward-roger" and not all(fit.reml for fit in fits):
        warnings.warn(
            "dfcom='kenward-roger': the degrees of freedom are those of refits by REML, for "
            "which they are made; estimates and standard errors stay those of the fits by "
            "maximum likelihood.",
            RBridgeWarning,
            stacklevel=4,
        )
    of_fits = np.array(ask_each(fits, "coefficient_df", matrix, dfcom, joint))
    mean = np.asarray(of_fits.mean(axis=0), dtype=np.float64)
    return float(mean[0]) if joint else mean


def is_small_sample(dfcom: Any) -> bool:
    """Tell whether R computes these degrees of freedom per fit."""
    return isinstance(dfcom, str) and dfcom in SMALL_SAMPLE


def default_dfcom(fits: Sequence[FittedModel]) -> str | float:
    """Choose the degrees of freedom where none were asked for.

    Parameters
    ----------
    fits : sequence of FittedModel
        Of one model.

    Returns
    -------
    str or float
        "residual"; infinite for a model without a scale, whose variances hang on no residual
        variance that would be estimated (R's summary of such a fit has z values, too).
    """
    return "residual" if fits[0].has_scale else math.inf


def dfcom_of_one(fit: FittedModel, dfcom: Any) -> Any:
    """Choose the degrees of freedom of a single fit where none were asked for.

    Parameters
    ----------
    fit : FittedModel
        The fit.
    dfcom : str, float, or None
        As it was given.

    Returns
    -------
    str or float
        What was given; by default "satterthwaite" for linear models, as in lmerTest's summary, and
        infinite for others, as in lme4's.

    See Also
    --------
    default_dfcom : Of pooled fits.
    """
    if dfcom is not None:
        return dfcom
    return "satterthwaite" if is_linear(fit) else math.inf


def vcov_of_one(dfcom: Any) -> str:
    """Choose the covariance matrix of a single fit's coefficients by its degrees of freedom.

    Parameters
    ----------
    dfcom : str or float
        As `dfcom_of_one` gives it.

    Returns
    -------
    {"model", "kenward-roger"}
        Kenward and Roger's matrix goes with their degrees of freedom, as in lmerTest and emmeans.
    """
    return "kenward-roger" if isinstance(dfcom, str) and dfcom == "kenward-roger" else "model"


def check_adjusted(fits: Sequence[FittedModel]) -> None:
    """Refuse Kenward and Roger's standard errors where they are not to be had.

    Parameters
    ----------
    fits : sequence of FittedModel
        Of one model.

    Raises
    ------
    ArgumentError
        Fits that are not linear, or not by REML.
    """
    check_linear(fits, "Kenward and Roger's covariance matrix")
    if not all(fit.reml for fit in fits):
        raise ArgumentError(
            "Kenward and Roger's standard errors are for fits by REML, and this is by maximum "
            "likelihood: fit with reml=True, or take dfcom='satterthwaite'."
        )


def adjusted_vcovs(fits: Sequence[FittedModel]) -> list[pd.DataFrame]:
    """Return Kenward and Roger's (1997) covariance matrices of the coefficients, a frame a fit.

    Parameters
    ----------
    fits : sequence of FittedModel
        Of one model.

    Returns
    -------
    list of DataFrame
        Terms by terms. In R: ``pbkrtest::vcovAdj(fit)``.

    Raises
    ------
    ArgumentError
        As in `check_adjusted`.
    RPackageError
        Where R lacks pbkrtest.
    """
    check_adjusted(fits)
    answers = ask_each(fits, "adjusted_vcov")
    return [pd.DataFrame(x["vcov"], list(x["terms"]), list(x["terms"])) for x in answers]


def plain_df(dfcom: Any, fits: Sequence[FittedModel]) -> float:
    """`complete_df` where it needs no R: the residual ones, or a number.

    Parameters
    ----------
    dfcom : "residual", float, or None
        As in `complete_df`.
    fits : sequence of FittedModel
        Of one model.

    Returns
    -------
    float
        The degrees of freedom.

    Raises
    ------
    ArgumentError
        For a dfcom of another kind.

    See Also
    --------
    complete_df : With those that R computes.
    """
    if dfcom is None:
        dfcom = default_dfcom(fits)
    if isinstance(dfcom, str) and dfcom == "residual":
        return float(min(fit.df_residual for fit in fits))
    number = isinstance(dfcom, int | float | np.integer | np.floating)
    if isinstance(dfcom, bool) or not number or not dfcom > 0:
        raise ArgumentError(
            "dfcom must be 'residual' (None), 'satterthwaite', 'kenward-roger', a positive number "
            f"or math.inf, not {dfcom!r}."
        )
    return float(dfcom)


@dataclass(frozen=True, eq=False)
class LeastDf:
    """Degrees of freedom of combinations, from those of each coefficient: the least of them.

    Parameters
    ----------
    values : ndarray of shape (p,)
        Of each coefficient; may be infinite.

    See Also
    --------
    complete_df : Asks fits.

    Examples
    --------
    >>> least = LeastDf(np.array([10.0, 20.0]))
    >>> rows = np.array([[0.0, 1.0], [1.0, -1.0]])
    >>> least(rows).tolist(), least(rows, joint=True)
    ([20.0, 10.0], 10.0)
    """

    values: Floats

    def __call__(self, matrix: Floats, *, joint: bool = False) -> float | Floats:
        """Return the least among the coefficients of each row, or of all rows together."""
        of_rows = np.where(matrix != 0, self.values, np.inf).min(axis=1)
        return float(of_rows.min()) if joint else np.asarray(of_rows)
