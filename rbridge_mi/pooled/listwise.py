"""One fit to the rows without holes, beside the pooled fits to the imputed data sets."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..base.glossary import checked
from ..errors import ArgumentError
from ..inference.degrees_of_freedom import plain_df
from ..inference.mermod import MerMod
from ..pooling import rubin
from .mermod_list import MerModList

__all__ = ["compare_estimates"]


def compare_estimates(fit: MerMod, fits: MerModList, conf_level: float = 0.95) -> pd.DataFrame:
    """Put one fit (listwise deletion) beside the pooled ones, coefficient by coefficient.

    Parameters
    ----------
    fit : MerMod
        Such as ``model.fit(holes)``, which drops the rows with holes.
    fits : MerModList
        The same model on the imputed data sets.
    conf_level : float
        Of the intervals.

    Returns
    -------
    DataFrame
        One row per coefficient: term; estimate, std_error, conf_low, conf_high, nobs of the single
        fit under ``listwise_...`` and of the pooled model under ``pooled_...``; difference (pooled
        minus listwise); se_ratio (pooled over listwise: below 1 where imputation gained
        precision); and the pooled fmi. Both intervals use t with Barnard and Rubin's (pooled) and
        the residual (listwise) degrees of freedom.

    Raises
    ------
    ArgumentError
        If the models differ in their response or coefficients.

    See Also
    --------
    MerModList.pool : The pooled model.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
    >>> imp = rb.AmeliaImputer(m=4, idvars=["schid", "meanses"]).impute(holes, seed=1)
    >>> model = rb.Lmer("mathach ~ ses + (1 | schid)")
    >>> rb.compare_estimates(model.fit(holes), model.fit(imp))["listwise_nobs"].tolist()
    [6826, 6826]
    """
    if not isinstance(fit, MerMod) or not isinstance(fits, MerModList):
        raise ArgumentError("compare_estimates takes one fit (MerMod) and a list (MerModList).")
    default = conf_level == fits.pooled_by_default.conf_level
    pooled = fits.pooled_by_default if default else fits.pool(conf_level=conf_level)
    table = pooled.fixed
    responses = [x.formula.split("~")[0].strip() for x in (fit, fits[0])]
    if responses[0] != responses[1]:
        raise ArgumentError(
            f"the response of the single fit is {responses[0]!r}, that of the list "
            f"{responses[1]!r}: fit the same formula to the data with holes and to the imputed "
            "ones."
        )
    if set(table["term"]) != set(fit.beta.index):
        odd = sorted(set(table["term"]) ^ set(fit.beta.index))
        raise ArgumentError(
            f"the models differ in {', '.join(odd)}: fit the same formula to the data with holes "
            "and to the imputed ones."
        )
    terms = list(table["term"])
    estimate = fit.beta.loc[terms].to_numpy()
    std_error = np.sqrt(np.diag(fit.vcov().loc[terms, terms].to_numpy()))
    alone = rubin.pool_scalars(
        [estimate], [std_error**2], dfcom=plain_df(None, [fit]), conf_level=conf_level
    )
    frame = pd.DataFrame(
        {
            "term": terms,
            "listwise_estimate": estimate,
            "listwise_std_error": std_error,
            "listwise_conf_low": alone.conf_low,
            "listwise_conf_high": alone.conf_high,
            "listwise_nobs": fit.nobs,
            "pooled_estimate": table["estimate"],
            "pooled_std_error": table["std_error"],
            "pooled_conf_low": table["conf_low"],
            "pooled_conf_high": table["conf_high"],
            "pooled_nobs": max(pooled.nobs),
            "difference": table["estimate"] - estimate,
            "se_ratio": table["std_error"] / std_error,
            "fmi": table["fmi"],
        }
    )
    return checked(frame, "compare_estimates")
