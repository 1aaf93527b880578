"""What result objects of several libraries say of their estimates, by their documented names."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..base.checks import is_number
from ..errors import ArgumentError
from ..inference.degrees_of_freedom import plain_df
from ..inference.mermod import MerMod
from ..inference.statsmodels_names import EstimateNames

__all__ = ["OneSet", "is_result", "read_result"]


@dataclass(frozen=True)
class OneSet:
    """One set of estimates, as it was given.

    Attributes
    ----------
    estimates : object
        What numpy can make a vector of.
    names : list of str, or None
        Their names.
    covariance : DataFrame, array_like or None
        Their covariance matrix, in their order where it has no names.
    df : float or None
        Residual degrees of freedom.
    model : str
        The model that they are of; those of one pool agree in it.
    """

    estimates: Any
    names: list[str] | None = None
    covariance: Any = None
    df: float | None = None
    model: str = ""


def is_result(value: Any) -> bool:
    """Tell whether `read_result` knows an object of this kind."""
    return any(is_of_this_kind(value) for is_of_this_kind, _ in _READERS)


def read_result(result: Any) -> OneSet:
    """Read a result object.

    Parameters
    ----------
    result : object
        A `MerMod`; a result of statsmodels (``params``, ``cov_params()``, ``df_resid``), of
        linearmodels (``params``, ``cov``, ``df_resid``) or of pyfixest (``coef()``, ``_vcov``,
        ``_df_t``); an estimator as scikit-learn has them (``coef_``, ``intercept_``).

    Returns
    -------
    OneSet
        What it says.

    Raises
    ------
    ArgumentError
        An object of another kind, a result with more than one column of estimates, or one that has
        no covariance matrix.

    See Also
    --------
    is_result : Whether it is one.
    """
    for is_of_this_kind, read in _READERS:
        if is_of_this_kind(result):
            return read(result)
    raise ArgumentError(
        f"{type(result).__name__} has no estimates that are known here: neither `params` with "
        "`cov_params()` or `cov`, nor `coef_`. Give arrays or Series of estimates, with "
        "`variances` or `covariances`."
    )


def _of_mermod(fit: MerMod) -> OneSet:
    model = f"{fit.family} ({fit.link}) mixed model {fit.formula}"
    return OneSet(
        fit.beta.to_numpy(), list(fit.beta.index), fit.vcov(), plain_df(None, [fit]), model
    )


def _refuse_pooled(result: Any) -> OneSet:
    raise ArgumentError(
        f"{type(result).__name__} is pooled already: pool the fits, or the estimates of all data "
        "sets, in one call."
    )


def _of_params(result: Any) -> OneSet:
    """Read a result of statsmodels or linearmodels."""
    params = result.params
    if np.ndim(params) != 1:
        raise ArgumentError(
            f"params of {type(result).__name__} has {np.ndim(params)} dimensions, such as a column "
            "per equation, and pooling takes one vector of named estimates: give estimates and "
            "`covariances` as arrays, with `names`."
        )
    try:
        asked = hasattr(result, "cov_params")
        covariance = result.cov_params() if asked else getattr(result, "cov", None)
    except Exception as error:  # another library's method, which may raise anything
        raise ArgumentError(
            f"{type(result).__name__} gives no covariance matrix ({type(error).__name__}: {error})."
            " Leave this result out, or give `covariances` and the estimates as arrays."
        ) from error
    model = getattr(result, "model", None)
    is_series = isinstance(params, pd.Series)
    names: Any = list(params.index) if is_series else getattr(model, "exog_names", None)
    if not isinstance(names, list) or len(names) != len(params):
        names = None
    return OneSet(
        np.asarray(params),
        None if names is None else [str(x) for x in names],
        covariance,
        _residual_df(result, "df_resid_inference", "df_resid"),
        _model_text(result, model),
    )


def _of_pyfixest(result: Any) -> OneSet:
    coefficients = result.coef()
    return OneSet(
        coefficients.to_numpy(),
        [str(x) for x in coefficients.index],
        np.asarray(getattr(result, "_vcov", None)),
        _residual_df(result, "_df_t"),
        type(result).__name__,
    )


def _of_sklearn(estimator: Any) -> OneSet:
    """Read an estimator: the intercept, where one was fitted, and then the coefficients."""
    coefficients = np.asarray(estimator.coef_, dtype=np.float64)
    if coefficients.ndim == 2 and coefficients.shape[0] == 1:
        coefficients = coefficients[0]
    if coefficients.ndim != 1:
        raise ArgumentError(
            f"coef_ of {type(estimator).__name__} has shape {coefficients.shape}, a row per class "
            "or response, and pooling takes one vector: give estimates and `covariances` as "
            "arrays, with `names`."
        )
    names = [str(x) for x in getattr(estimator, "feature_names_in_", ())]
    names = names or [f"x{i}" for i in range(len(coefficients))]
    if hasattr(estimator, "intercept_") and getattr(estimator, "fit_intercept", True):
        intercept = np.asarray(estimator.intercept_, dtype=np.float64).reshape(-1)
        coefficients, names = np.concatenate([intercept, coefficients]), ["Intercept", *names]
    return OneSet(coefficients, names, model=type(estimator).__name__)


def _residual_df(result: Any, *attributes: str) -> float | None:
    """Return the first of these that is a number; infinite ones count, nan doesn't."""
    for name in attributes:
        value: Any = getattr(result, name, None)
        if is_number(value) and not math.isnan(value):
            return float(value)
    return None


def _model_text(result: Any, model: Any) -> str:
    """Describe the model by its class, family, link and response, where the result tells them."""
    text = type(result if model is None else model).__name__
    family = getattr(model, "family", None)
    if family is not None:
        link = getattr(family, "link", None)
        parts = [type(x).__name__ for x in (family, link) if x is not None]
        text += f" ({', '.join(parts)})"
    response = getattr(model, "endog_names", None)
    return f"{text} of {response}" if isinstance(response, str) else text


_READERS: tuple[tuple[Callable[[Any], bool], Callable[[Any], OneSet]], ...] = (
    (lambda x: isinstance(x, MerMod), _of_mermod),
    (lambda x: isinstance(x, EstimateNames), _refuse_pooled),
    (lambda x: callable(getattr(x, "coef", None)) and hasattr(x, "_vcov"), _of_pyfixest),
    (lambda x: hasattr(x, "params"), _of_params),
    (lambda x: hasattr(x, "coef_"), _of_sklearn),
)
