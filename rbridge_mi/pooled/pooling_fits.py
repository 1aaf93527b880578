"""How m fits become one pooled model, matched by name of term and level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..base.arguments import check_value
from ..base.glossary import checked
from ..data.imputed_data import ImputedData
from ..errors import ArgumentError
from ..inference.degrees_of_freedom import VCOVS, complete_df, default_dfcom
from ..inference.latent_scale import intercept_shares
from ..inference.linear_combinations import coefficients
from ..inference.mermod import MerMod
from ..inference.ratios import as_ratios
from ..pooling import PoolingRule, rule_for
from .matching import common_names
from .pooled_mermod import PooledMerMod

__all__ = ["pool_fits"]


def pool_fits(
    fits: Sequence[MerMod],
    kind: Literal["imputation", "bootstrap"],
    dfcom: Any = None,
    conf_level: float = 0.95,
    data: ImputedData | None = None,
    vcov: Literal["model", "kenward-roger"] = "model",
    exponentiate: bool = False,
) -> PooledMerMod:
    """Pool fits by name; see `MerModList.pool`.

    Parameters
    ----------
    fits : sequence of MerMod
        At least two, of one model.
    kind : {"imputation", "bootstrap"}
        Of the data sets that they were fitted to.
    dfcom : str or float, optional
        Degrees of freedom that complete data would leave.
    conf_level : float
        Of the intervals.
    data : ImputedData, optional
        The data sets.
    vcov : {"model", "kenward-roger"}
        The fits' covariance matrices of the coefficients.
    exponentiate : bool
        Whether the coefficients are shown as ratios.

    Returns
    -------
    PooledMerMod
        What the fits say together.

    Raises
    ------
    ArgumentError
        One fit only, or a dfcom or conf_level that can't be.
    PoolingError
        Fits that differ in their coefficients or covariance parameters.
    """
    rule = rule_for(kind)
    check_value(vcov, VCOVS, "vcov")
    if vcov != "model" and not rule.uses_dfcom:
        raise ArgumentError(
            "vcov has no effect on bootstrap samples: their spread is the whole error."
        )
    if len(fits) < 2:
        raise ArgumentError(
            f"pooling needs at least two fits, not {len(fits)}: one fit shows nothing of the "
            "variance between imputations. Its own tables are in `fits[0]`."
        )
    terms = _common([list(fit.beta.index) for fit in fits], "coefficients", fits)
    estimates, vcovs = coefficients(fits, terms, vcov)
    complete = complete_df(dfcom, fits, np.eye(len(terms)))
    variances = np.diagonal(vcovs, axis1=1, axis2=2)
    fixed = rule.scalars(estimates, variances, dfcom=complete, conf_level=conf_level)
    total = rule.vcov(estimates, vcovs)
    varcorr = _pool_varcorr(fits)
    table = checked(pd.DataFrame({"term": terms, **fixed.columns()}), "fixed")
    return PooledMerMod(
        fixed=as_ratios(table, fits[0].link) if exponentiate else table,
        vcov=pd.DataFrame(total, index=terms, columns=terms),
        varcorr=varcorr,
        ranef=_pool_ranef(fits, rule),
        sigma=_sigma(fits),
        icc=intercept_shares(varcorr, fits[0]),
        m=len(fits),
        kind=kind,
        conf_level=conf_level,
        formula=fits[0].formula,
        nobs=tuple(fit.nobs for fit in fits),
        ngrps=fits[0].ngrps,
        dfcom=default_dfcom(fits) if dfcom is None else dfcom,
        complete_df=pd.Series(np.broadcast_to(complete, len(terms)), index=terms, name="df"),
        fits=tuple(fits),
        data=data,
        vcov_method=vcov,
        exponentiate=exponentiate,
    )


def _common(names: Sequence[Sequence[Any]], what: str, fits: Sequence[MerMod]) -> list[Any]:
    """Take the names of the first fit, which all others must have too, and which occur once."""
    return common_names(
        names,
        [fit.imputation for fit in fits],
        what,
        twice="The name of a factor and its level may read as another column's name (factor 'a' "
        "with a level 'b', and a column 'ab'): rename one of them.",
        odd="A factor may have lost a level, or the design its rank: combine levels, or leave "
        "those fits out (slice the list).",
    )


def _pool_varcorr(fits: Sequence[MerMod]) -> pd.DataFrame:
    tables = [fit.varcorr() for fit in fits]
    keys = [
        [
            tuple(None if pd.isna(x) else x for x in row)
            for row in t[["grp", "var1", "var2"]].to_numpy()
        ]
        for t in tables
    ]
    common = _common(keys, "covariance parameters", fits)
    by_key = [dict(zip(k, t["vcov"], strict=True)) for k, t in zip(keys, tables, strict=True)]
    mean = {key: float(np.mean([x[key] for x in by_key])) for key in common}
    variance = {(grp, var1): x for (grp, var1, var2), x in mean.items() if var2 is None}
    with np.errstate(invalid="ignore", divide="ignore"):
        sdcor = [
            np.sqrt(x)
            if var2 is None
            else x / np.sqrt(variance[grp, var1]) / np.sqrt(variance[grp, var2])
            for (grp, var1, var2), x in mean.items()
        ]
    frame = tables[0][["grp", "var1", "var2"]].copy()
    return checked(frame.assign(vcov=list(mean.values()), sdcor=sdcor), "varcorr")


def _pool_ranef(fits: Sequence[MerMod], rule: PoolingRule) -> pd.DataFrame:
    tables = _with_the_same_levels([fit.ranef() for fit in fits])
    condval = np.array([x["condval"].to_numpy() for x in tables])
    condvar = np.array([x["condsd"].to_numpy() for x in tables]) ** 2
    mean, total_sd = rule.random_effects(condval, condvar)
    return checked(tables[0][_LEVEL].assign(condval=mean, condsd=total_sd), "ranef")


_LEVEL = ["grpvar", "term", "grp"]


def _with_the_same_levels(tables: list[pd.DataFrame]) -> list[pd.DataFrame]:
    """Give each table a row for every level of any of them, with missing numbers if it had none."""
    levels = tables[0][_LEVEL]
    if all(x[_LEVEL].equals(levels) for x in tables[1:]):
        return tables
    indexed = [x.set_index(_LEVEL) for x in tables]
    index = indexed[0].index
    for x in indexed[1:]:
        index = index.append(x.index.difference(index, sort=False))
    return [x.reindex(index).reset_index() for x in indexed]


def _sigma(fits: Sequence[MerMod]) -> float:
    """Take the square root of the mean residual variance; missing where the model has none."""
    if not fits[0].has_scale:
        return math.nan
    return float(np.sqrt(np.mean([fit.sigma**2 for fit in fits])))
