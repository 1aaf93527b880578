"""What merTools fits models for: subBoot and ICC."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from .. import rdoor
from ..base.arguments import check_columns, check_count, check_frame_for_r, check_seed
from ..base.glossary import beside
from ..data.imputed_data import ImputedData
from ..errors import ArgumentError, RBridgeWarning, RWarning
from ..fits.answers import Answers
from ..fits.fitted_model import FittedModel
from .arguments import check_flags, fits_of, under_r_names

__all__ = ["icc", "sub_boot"]

# The variance of the standard logistic distribution.
_LOGISTIC = math.pi**2 / 3


@under_r_names
def sub_boot(
    fit_or_fits: Any,
    n: int | None = None,
    fun: Callable[[Any], Any] | None = None,
    r: int = 100,
    seed: int | None = None,
    warn: bool = False,
    as_fitted: bool = False,
) -> pd.DataFrame:
    """Refit a model to rows drawn with replacement. In R: ``subBoot(m, n, FUN, R)``.

    What is wrong with merTools' way: rows are drawn one by one, though the rows of a group belong
    together, so that the spread of what varies between groups is too small; and the refits have the
    formula and family only: REML, weights, offset and control are lmer's defaults, unless
    ``as_fitted=True``. ``fit.confint(method="boot")`` is a parametric bootstrap, which keeps the
    groups.

    Parameters
    ----------
    fit_or_fits : MerMod or MerModList
        One fit, or those to m imputed data sets, each of which is resampled, with the same seed.
        Pool the m estimates with the variances of their replicates by Rubin's rules (Schomaker &
        Heumann 2018, "MI Boot").
    n : int, optional
        Number of rows of each sample; those of the fit by default.
    fun : callable
        Takes a `MerMod`, returns a number, or a sequence or Series of them.
    r : int
        Number of samples: R's ``R``.
    seed : int, optional
        As ``set.seed(seed)`` before R's call; drawn where it is not given.
    warn : bool
        Pass on each warning of R's about a refit, instead of the number of refits that had any.
    as_fitted : bool
        Refit with all arguments of the fit.

    Returns
    -------
    DataFrame
        replicate (0 for the fit itself, merTools' "original"), and a column per number: by the
        index of a Series, else param_1, param_2, ... Of several fits, imputation before them.

    Raises
    ------
    ArgumentError
        An argument that can't be right, or a `fun` that returns no numbers.
    FitError
        As R's error, where a refit stops.

    Warns
    -----
    RBridgeWarning
        Of the number of refits that R warned of.

    See Also
    --------
    rbridge_mi.MerMod.confint : Intervals by a parametric bootstrap.

    References
    ----------
    Schomaker and Heumann (2018), Statistics in Medicine 37, 2252-2266.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> from rbridge_mi.mertools import sub_boot
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> sub_boot(fit, fun=lambda x: x.beta, r=2, seed=1)["replicate"].tolist()
    [0, 1, 2]
    """
    fits = fits_of(fit_or_fits, "sub_boot")
    if not callable(fun):
        raise ArgumentError(f"fun must be a function of a fit (MerMod), not {fun!r}.")
    check_count(r, "r", 1)
    if n is not None:
        check_count(n, "n", 1)
    check_flags({"warn": warn, "as_fitted": as_fitted})
    seed = check_seed(seed)
    tables = []
    for fit in fits:
        table = _resampled(fit, fit.nobs if n is None else n, fun, r, seed, warn, as_fitted)
        if not isinstance(fit_or_fits, FittedModel):
            table.insert(0, "imputation", fit.imputation)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _resampled(
    fit: FittedModel,
    n: int,
    fun: Callable[[Any], Any],
    r: int,
    seed: int,
    warn: bool,
    as_fitted: bool,
) -> pd.DataFrame:
    rows = [_numbers(fun(fit))]
    told = 0
    for positions in fit.r.call("resampled_rows", n, r, seed).value:
        again, texts = _refit(fit, positions, as_fitted)
        told += bool(texts)
        for text in texts if warn else ():
            warnings.warn(f"R: {text.strip()}", RWarning, stacklevel=4)
        rows.append(_numbers(fun(again)))
    if told and not warn:
        warnings.warn(
            f"R warned of {told} of the {r} refits, which may not have converged: warn=True passes "
            "its warnings on.",
            RBridgeWarning,
            stacklevel=4,
        )
    if any(list(row) != list(rows[0]) for row in rows):
        raise ArgumentError("fun returns numbers by other names for a refit than for the fit.")
    keys = pd.DataFrame({"replicate": range(r + 1)})
    return beside(keys, pd.DataFrame(rows))


def _refit(
    fit: FittedModel, positions: Any, as_fitted: bool
) -> tuple[FittedModel, tuple[str, ...]]:
    reply = fit.r.call("resampled_object", positions, as_fitted)
    again = replace(fit, answers=Answers(reply.value["fit"]), index=fit.index[positions - 1])
    texts = reply.warnings + reply.messages
    return replace(again, messages=texts), texts


def _numbers(value: Any) -> dict[Any, float]:
    named = isinstance(value, pd.Series | Mapping)
    try:
        array = np.atleast_1d(np.asarray(list(value.values) if named else value, dtype=float))
    except (TypeError, ValueError):
        raise ArgumentError(f"fun must return numbers, not {value!r}.") from None
    if array.ndim != 1:
        raise ArgumentError(f"fun must return a number or a row of them, not {array.shape}.")
    names = list(value.keys()) if named else [f"param_{i + 1}" for i in range(len(array))]
    return dict(zip(names, array.tolist(), strict=True))


@under_r_names
def icc(outcome: str, group: str, data: Any, subset: Any = None) -> float:
    """Compute the intraclass correlation of a column. In R: ``ICC(outcome, group, data)``.

    It is the variance between groups as a share of the whole, in a model without predictors: linear
    or, for a column of two values, logistic.

    Wrong for two values: merTools takes the residual variance for 1; on the scale of the logit it
    is pi^2/3, so that its ICC is too high. Of m data sets, where merTools has no answer, the
    variances are averaged over them, and those of a logistic model have pi^2/3.

    Parameters
    ----------
    outcome : str
        Column of the response.
    group : str
        Column of the groups.
    data : DataFrame or ImputedData
        With both.
    subset : array_like of bool, optional
        The rows to take. Whether there are two values is seen in all rows, as merTools sees it.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ArgumentError
        An argument that can't be right.
    RCallError
        With R's text, if the model can't be fitted.

    See Also
    --------
    rbridge_mi.MerMod.r2 : Of a fitted model.

    References
    ----------
    Nakagawa, Johnson and Schielzeth (2017), Journal of the Royal Society Interface 14, 20170213,
    table 1, for pi^2/3.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> from rbridge_mi.mertools import icc
    >>> round(icc("mathach", "schid", rb.load_hsb()), 3)
    0.18
    """
    frames = list(data) if isinstance(data, ImputedData) else [check_frame_for_r(data)]
    for name, argument in ((outcome, "outcome"), (group, "group")):
        if not isinstance(name, str):
            raise ArgumentError(f"{argument} must be the name of a column, not {name!r}.")
        check_columns([name], frames[0], argument)
    if outcome == group:
        raise ArgumentError("outcome and group are the same column.")
    rdoor.require_package("lme4", "icc")
    parts = []
    for frame in frames:
        binary = frame[outcome].dropna().nunique() == 2
        rows = frame[[outcome, group]]
        if subset is not None:
            rows = rows[_mask(subset, len(frame))]
        reply = rdoor.call("null_variances", outcome, group, rows, binary)
        for text in reply.warnings + reply.messages:
            warnings.warn(f"R: {text.strip()}", RWarning, stacklevel=3)
        within = reply.value["within"][0]
        if binary and isinstance(data, ImputedData):
            within = _LOGISTIC
        parts.append((reply.value["between"][0], within))
    between, within = np.mean(parts, axis=0)
    return float(between / (within + between))


def _mask(subset: Any, n: int) -> Any:
    mask = np.asarray(subset)
    if mask.shape != (n,) or mask.dtype != bool:
        raise ArgumentError(
            f"subset must have True or False for each of the {n} rows, not {type(subset).__name__} "
            f"of {mask.dtype} and shape {mask.shape}."
        )
    return mask
