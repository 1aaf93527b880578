"""Rubin's rules for any estimator."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import check_level, check_value
from ..base.checks import is_number
from ..base.glossary import checked
from ..data.mapped_results import MappedResults
from ..errors import ArgumentError
from ..inference.degrees_of_freedom import LeastDf
from ..inference.linear_combinations import CoefficientSets
from ..inference.ratios import as_ratios
from ..pooling import rule_for
from .estimate_sets import EstimateSets, read_sets
from .mermod_list import MerModList
from .pooled_estimates import PooledEstimates

__all__ = ["pool"]

Floats = NDArray[np.float64]


def pool(
    results: Any,
    variances: Any = None,
    *,
    std_errors: Any = None,
    covariances: Any = None,
    names: Sequence[str] | None = None,
    dfcom: Any = None,
    conf_level: float = 0.95,
    kind: Literal["imputation", "bootstrap"] | None = None,
    exponentiate: bool = False,
) -> PooledEstimates:
    """Pool m sets of estimates, of whatever estimator, by Rubin's rules.

    Parameters
    ----------
    results : array_like, sequence, or MappedResults
        What `ImputedData.map` gave, or a list of m: result objects of statsmodels (``params``,
        ``cov_params()``, ``df_resid``, or ``df_resid_inference`` where clusters leave fewer), of
        linearmodels (``params``, ``cov``, ``df_resid``) or of pyfixest (``coef()``, ``_vcov``,
        ``_df_t``); estimators as scikit-learn has them (``intercept_`` if there is one, then
        ``coef_``), with `covariances`; fits of `Lmer`; or estimates, with `variances` or
        `covariances`: m numbers, an m x p array, a DataFrame with a column per term, or a list of
        Series or dicts. Matched by name where they have names.
    variances : array_like, DataFrame, or list of Series or dicts, optional
        Squared standard errors, in the form of the estimates. Where only these are given, nothing
        can be asked that takes the covariances between estimates.
    std_errors : array_like, DataFrame, or list of Series or dicts, optional
        Standard errors instead.
    covariances : array_like of shape (m, p, p), or list of DataFrames, optional
        Covariance matrices instead; DataFrames are matched by name. Of result objects, in place of
        their own.
    names : sequence of str, optional
        Of estimates that have no names; by default b1, b2, ...
    dfcom : float, "residual", mapping, Series or sequence, optional
        Degrees of freedom that complete data would leave: one number, or one per estimate (by name,
        or in their order). "residual" is the least of those of the results, and the default where
        all have them, as in mice; otherwise infinite, which gives Rubin's (1987).
    conf_level : float
        Coverage of the intervals.
    kind : {"imputation", "bootstrap"}, optional
        Of the data sets: by default that of `MappedResults` and of `MerModList`, otherwise
        "imputation". Estimates from bootstrap samples need no variances: their spread is it.
    exponentiate : bool
        Exponentiate the estimates and the ends of their intervals (odds ratios, say) in `fixed`,
        `contrast` and `tidy`, with standard errors by the delta method, as broom.mixed has them
        (``mice::summary.mipo`` leaves those of the logarithms); statistic, ubar, b and t are of the
        logarithms.

    Returns
    -------
    PooledEstimates
        `fixed`, `vcov`, `test`, `contrast`, `diagnostics`, `summary` and `tidy`.

    Raises
    ------
    ArgumentError
        One set only, shapes that don't match, a number that is missing or infinite (with the
        imputation and the term), a matrix that is no covariance matrix, or an argument that has no
        effect.
    PoolingError
        Sets that differ in their terms, or results of several models.

    See Also
    --------
    ImputedData.map : Makes such results.
    MerModList.pool : Pools fits of `Lmer` with their random part.

    Notes
    -----
    In R: ``mice::pool`` for a list of fits, ``mice::pool.scalar(Q, U, n)`` for numbers, and
    ``mitml::testEstimates(qhat, uhat)``. Estimates are pooled on the scale on which they are given,
    which should be one on which their distribution is near normal: of a variance or a correlation
    pool the logarithm or Fisher's z. A part of a result (``fe_params`` of statsmodels' MixedLM) is
    pooled as Series, with `covariances` as DataFrames.

    The residual degrees of freedom of linearmodels don't count clusters; where these are few, give
    `dfcom`, their number minus 1.

    References
    ----------
    Rubin (1987), Multiple Imputation for Nonresponse in Surveys, eqs. 3.1.2 to 3.1.10; Barnard and
    Rubin (1999), Biometrika 86, eq. 3; for bootstrap samples Efron and Tibshirani (1993), An
    Introduction to the Bootstrap, chapter 6.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> pooled = rb.pool([1.0, 2.0, 3.0], [0.5, 0.5, 0.5], names=["mean"], dfcom=99)
    >>> pooled.fixed[["term", "estimate", "std_error", "df"]].round(3).values.tolist()
    [['mean', 2.0, 1.354, 3.309]]

    The m means of a column, each with its squared standard error:

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"x": [1.0, 2.0, 6.0, None]})
    >>> frames = [frame.fillna(x) for x in (1.0, 2.0, 3.0)]
    >>> imp = rb.ImputedData.from_frames(frames, original=frame)
    >>> means = imp.map(lambda d: {"x": d["x"].mean()})
    >>> errors = imp.map(lambda d: {"x": d["x"].sem()})
    >>> round(float(rb.pool(means, std_errors=errors, dfcom=3).fixed.loc[0, "estimate"]), 3)
    2.75
    """
    check_level(conf_level)
    if not isinstance(exponentiate, bool):
        raise ArgumentError(f"exponentiate must be True or False, not {exponentiate!r}.")
    kind = _kind(results, kind)
    rule = rule_for(kind)
    rule.check_dfcom(dfcom)
    read = read_sets(results, variances, std_errors, covariances, names)
    matrices = read.covariances
    if rule.uses_variances and matrices is None:
        raise ArgumentError(
            "the estimates come without variances: give `variances` (squared standard errors), "
            "`std_errors` or `covariances`."
        )
    if not rule.uses_variances:
        if not all(x is None for x in (variances, std_errors, covariances)):
            raise ArgumentError(
                "variances, std_errors and covariances have no effect on bootstrap samples: the "
                "spread of the estimates is the whole error."
            )
        matrices = np.zeros((*read.estimates.shape, len(read.names)))
    assert matrices is not None
    asked, complete = _complete_df(dfcom, read) if rule.uses_dfcom else (math.inf, math.inf)
    per_term = np.broadcast_to(np.asarray(complete, np.float64), (len(read.names),)).copy()
    known = read.covariances_known or not rule.uses_variances
    sets = CoefficientSets(tuple(read.names), read.estimates, matrices, LeastDf(per_term), known)
    scalars = rule.scalars(sets.estimates, sets.variances, dfcom=per_term, conf_level=conf_level)
    fixed = checked(pd.DataFrame({"term": read.names, **scalars.columns()}), "fixed")
    vcov = rule.vcov(sets.estimates, sets.vcovs)
    if not known:
        vcov = np.where(np.eye(len(vcov), dtype=bool), vcov, np.nan)
    return PooledEstimates(
        fixed=as_ratios(fixed) if exponentiate else fixed,
        vcov=pd.DataFrame(vcov, index=read.names, columns=read.names),
        sets=sets,
        m=len(sets.estimates),
        kind=kind,
        conf_level=conf_level,
        dfcom=asked,
        complete_df=pd.Series(per_term, index=read.names, name="df"),
        exponentiate=exponentiate,
        model=read.model,
    )


def _kind(
    results: Any, kind: Literal["imputation", "bootstrap"] | None
) -> Literal["imputation", "bootstrap"]:
    of_data: Literal["imputation", "bootstrap"] | None = None
    if isinstance(results, MerModList):
        of_data = results.data.kind
    elif isinstance(results, MappedResults):
        of_data = results.kind
    if kind is None:
        return of_data or "imputation"
    check_value(kind, ("imputation", "bootstrap"), "kind")
    if of_data not in (None, kind):
        raise ArgumentError(f"kind is {kind!r}, but the results are of {of_data} data sets.")
    return kind


def _complete_df(dfcom: Any, read: EstimateSets) -> tuple[Any, float | Floats]:
    """Return what was asked for, and the degrees of freedom: one number, or one per estimate."""
    if dfcom is None:
        dfcom = math.inf if read.df is None else "residual"
    if isinstance(dfcom, str):
        return dfcom, _residual(dfcom, read)
    if is_number(dfcom):
        if not dfcom > 0:
            raise ArgumentError(f"dfcom must be positive, or math.inf, not {dfcom!r}.")
        return float(dfcom), float(dfcom)
    values = pd.Series(dict(dfcom)) if isinstance(dfcom, Mapping) else dfcom
    if isinstance(values, pd.Series):
        labels = [str(x) for x in values.index]
        if sorted(labels) != sorted(read.names):
            odd = ", ".join(sorted(set(labels) ^ set(read.names))) or "names that occur twice"
            raise ArgumentError(f"dfcom has other names than the estimates: {odd}.")
        values = [values.iloc[labels.index(name)] for name in read.names]
    if not isinstance(values, Sequence | np.ndarray) or not all(map(is_number, values)):
        raise ArgumentError(
            "dfcom must be a positive number, math.inf, 'residual', or one number per estimate, "
            f"not {dfcom!r}."
        )
    per_term = np.asarray(values, dtype=np.float64)
    if per_term.shape != (len(read.names),):
        raise ArgumentError(f"dfcom has {len(per_term)} values for {len(read.names)} estimates.")
    for name, value in zip(read.names, per_term, strict=True):
        if not value > 0:
            raise ArgumentError(f"dfcom of {name!r} must be positive, or math.inf, not {value}.")
    return pd.Series(per_term, index=read.names, name="df"), per_term


def _residual(dfcom: str, read: EstimateSets) -> float:
    if dfcom != "residual":
        raise ArgumentError(
            f"dfcom={dfcom!r}: give a number, 'residual' (that of the results), or one number per "
            "estimate. Small-sample ones are for fits of `Lmer`: `fits.pool(dfcom=...)`."
        )
    if read.df is None:
        raise ArgumentError("dfcom='residual': the results have no residual degrees of freedom.")
    least = min(read.df)
    if not least > 0:
        number = read.imputations[read.df.index(least)]
        raise ArgumentError(
            f"imputation {number} has {least:g} residual degrees of freedom: give dfcom."
        )
    return least
