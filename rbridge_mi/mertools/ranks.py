"""Groups by the size of their random effects: merTools' expectedRank and REquantile."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr

from ..base.arguments import column_list
from ..base.checks import is_number
from ..base.glossary import checked
from ..errors import ArgumentError, RBridgeWarning
from ..fits.fitted_model import FittedModel
from .arguments import check_same_names, fits_of, under_r_names

__all__ = ["INTERCEPT", "re_quantile", "re_rank"]

INTERCEPT = "(Intercept)"
_FEW_GROUPS = 20


@under_r_names
def re_rank(
    fit_or_fits: Any,
    group_fctr: str | Sequence[str] | None = None,
    term: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Rank the groups by their random effects, with regard to their uncertainty.

    In R: ``expectedRank(m)``. A group's expected rank is 1 plus, over all other groups, the sum of
    the probabilities that its effect is the larger one: of normal distributions with the
    conditional modes and variances, taken as independent between groups.

    Of several fits, the difference between two groups has the mean over the fits, and the total
    variance of Rubin's rules: the mean conditional variances of the two plus (1 + 1/m) times the
    variance of their difference between fits. merTools stops at a list of fits.

    Parameters
    ----------
    fit_or_fits : MerMod or MerModList
        One fit, or those to m imputed data sets.
    group_fctr : str or sequence of str, optional
        Grouping factors; all by default.
    term : str or sequence of str, optional
        Random effects; all by default. "Intercept" stands for "(Intercept)". merTools takes every
        term that contains this text, and stops if there are several.

    Returns
    -------
    DataFrame
        grpvar, term, grp, condval, condsd, expected_rank, percentile (merTools' groupFctr,
        term, groupLevel, estimate, std.error, ER, pctER). merTools' std.error is the variance, the
        square of condsd; and its terms are written without brackets. percentile is
        100 (expected_rank - 0.5) / n, rounded.

    Raises
    ------
    ArgumentError
        A factor or term that the fit hasn't (an unknown factor gets an empty table from merTools);
        fits to bootstrap samples.
    PoolingError
        Fits that differ in their random effects.

    See Also
    --------
    re_quantile : The group at a quantile.
    rbridge_mi.MerMod.ranef : The effects.

    References
    ----------
    Lingsma, Eijkemans and Steyerberg (2009), Statistics in Medicine 28, 2843-2853; Rubin (1987).

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> from rbridge_mi.mertools import re_rank
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> re_rank(fit).nlargest(1, "expected_rank")[["grp", "percentile"]].values.tolist()
    [['3427', 99.0]]
    """
    fits = fits_of(fit_or_fits, "re_rank")
    table = _effects(fits)
    factors = _factors(fits[0], group_fctr)
    terms = _terms(table[table["grpvar"].isin(factors)], term)
    parts = []
    for factor in factors:
        of_factor = table[table["grpvar"] == factor]
        for name in terms:
            if name in set(of_factor["term"]):
                parts.append(_ranked(of_factor[of_factor["term"] == name]))
    return checked(pd.concat(parts, ignore_index=True), "re_rank")


@under_r_names
def re_quantile(
    fit_or_fits: Any,
    quantile: float | Sequence[float],
    group_fctr: str,
    term: str | None = None,
) -> pd.DataFrame:
    """Find the groups at quantiles of the random effects. In R: ``REquantile(m, quantile, g)``.

    It is the group in place ``floor(quantile * n)`` of the n groups in ascending order. Of several
    fits, these are in the order of the mean of their effects. merTools takes the first fit.

    Parameters
    ----------
    fit_or_fits : MerMod or MerModList
        One fit, or those to m imputed data sets.
    quantile : float or sequence of float
        From 1/n to 1. For smaller ones merTools returns nothing, and shortens its answer.
    group_fctr : str
        The grouping factor.
    term : str, optional
        The random effect, "(Intercept)" by default. Where the factor has no such effect, the first
        is taken, with a warning; an unknown name is refused (merTools takes the first for it, too).

    Returns
    -------
    DataFrame
        quantile, grp, condval (the effect of the group); merTools returns the names of the groups.

    Raises
    ------
    ArgumentError
        A quantile, factor or term that can't be; fits to bootstrap samples.

    Warns
    -----
    RBridgeWarning
        With fewer than 20 groups, as merTools tells.

    See Also
    --------
    re_rank : All groups.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> from rbridge_mi.mertools import re_quantile
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> re_quantile(fit, [0.25, 0.75], "schid")["grp"].tolist()
    ['9550', '5650']
    """
    fits = fits_of(fit_or_fits, "re_quantile")
    quantiles = np.atleast_1d(np.asarray(quantile, dtype=object))
    (factor,) = _factors(fits[0], [group_fctr])
    table = _effects(fits)
    table = table[table["grpvar"] == factor]
    if term is None:
        names = list(table["term"].unique())
        term = INTERCEPT if INTERCEPT in names else names[0]
        if term != INTERCEPT:
            warnings.warn(
                f"{factor} has no random intercept: the quantiles are those of {term}.",
                RBridgeWarning,
                stacklevel=3,
            )
    (name,) = _terms(table, [term])
    table = table[table["term"] == name]
    n = len(table)
    wrong = [x for x in quantiles if not is_number(x) or not 1 / n <= x <= 1]
    if wrong:
        raise ArgumentError(
            f"quantile must be numbers from 1/{n} (there are {n} groups) to 1, not {wrong[0]!r}."
        )
    if n < _FEW_GROUPS:
        warnings.warn(
            f"{factor} has {n} groups: quantiles of so few say little.",
            RBridgeWarning,
            stacklevel=3,
        )
    table = table.iloc[np.argsort(table["condval"].to_numpy(), kind="stable")]
    places = np.floor(quantiles.astype(float) * n).astype(int) - 1
    chosen = table.iloc[places][["grp", "condval"]].reset_index(drop=True)
    chosen.insert(0, "quantile", quantiles.astype(float))
    return checked(chosen, "re_quantile")


# -- helpers --------------------------------------------------------------------------------


def _effects(fits: Sequence[FittedModel]) -> pd.DataFrame:
    """Return the random effects, with those of each fit (fits, rows) in the column `each`."""
    keys = ["grpvar", "term", "grp"]
    tables = [fit.ranef() for fit in fits]
    if len(fits) > 1:
        check_same_names(fits, lambda fit: list(fit.ranef()[keys].itertuples(index=False)),
                         "random effects")  # fmt: skip
    first = tables[0]
    index = pd.MultiIndex.from_frame(first[keys])
    aligned = [table.set_index(keys).loc[index] for table in tables] if len(fits) > 1 else tables
    condval = np.array([x["condval"].to_numpy() for x in aligned])
    condvar = np.array([x["condsd"].to_numpy() for x in aligned]) ** 2
    frame = first[keys].copy()
    frame["condval"] = condval.mean(axis=0)
    frame["within"] = condvar.mean(axis=0)
    frame["each"] = list(condval.T)
    return frame


def _ranked(table: pd.DataFrame) -> pd.DataFrame:
    each = np.stack(table["each"].to_list(), axis=1)  # fits x groups
    m, n = each.shape
    within = table["within"].to_numpy()
    condval = table["condval"].to_numpy()
    share = 1 + 1 / m
    rank = np.empty(n)
    for k in range(n):
        others = np.arange(n) != k
        variance = within[k] + within[others]
        if m > 1:
            variance = variance + share * (each[:, [k]] - each[:, others]).var(axis=0, ddof=1)
        with np.errstate(invalid="ignore", divide="ignore"):  # singular: no variance at all
            rank[k] = 1 + ndtr((condval[k] - condval[others]) / np.sqrt(variance)).sum()
    total = within + (share * each.var(axis=0, ddof=1) if m > 1 else 0)
    return pd.DataFrame(
        {
            **{name: table[name].to_numpy() for name in ("grpvar", "term", "grp")},
            "condval": condval,
            "condsd": np.sqrt(total),
            "expected_rank": rank,
            "percentile": np.round(100 * (rank - 0.5) / n),
        }
    )


def _factors(fit: FittedModel, given: Any) -> list[str]:
    factors = list(fit.ngrps)
    names = column_list(given, "group_fctr") or factors
    unknown = [x for x in names if x not in factors]
    if unknown:
        raise ArgumentError(
            f"group_fctr: {unknown[0]!r} is no grouping factor of the fit; it has "
            f"{', '.join(factors)}."
        )
    return names


def _terms(table: pd.DataFrame, given: Any) -> list[str]:
    """Return the terms by their names in the table, which the given ones must be."""
    valid = list(dict.fromkeys(table["term"]))
    if given is None:
        return valid
    names = column_list(given, "term")
    names = [
        INTERCEPT
        if x not in valid and INTERCEPT in valid and re.fullmatch("[iI]nt[a-z]*", x)
        else x
        for x in names
    ]
    unknown = [x for x in names if x not in valid]
    if unknown:
        raise ArgumentError(
            f"term: {unknown[0]!r} is no random effect here; there are {', '.join(valid)}."
        )
    return names
