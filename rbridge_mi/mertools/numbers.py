"""merTools' tables of a list of fits, computed as merTools computes them.

What is wrong with each table stands in the docstring of the method of `MerToolsTables` that returns
it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..errors import PoolingError, RBridgeWarning, RNotFoundError
from ..fits.fitted_model import FittedModel

__all__ = [
    "RandomTerm",
    "fixef",
    "mean_random_terms",
    "model_fixed_eff",
    "model_info",
    "model_rand_eff_stats",
    "r_mean",
    "r_sd",
    "random_terms",
    "ranef",
    "varcorr",
]


class RandomTerm(NamedTuple):
    """One random-effects term: its group, and its coefficients' SDs and correlations."""

    grp: str | None
    names: list[str]
    sds: list[float]
    correlations: list[list[float]]


def fixef(fits: Sequence[FittedModel]) -> pd.DataFrame:
    """Average the coefficients by their position."""
    betas = [fit.beta for fit in fits]
    longest = max(map(len, betas))
    # R's recycling: a shorter vector starts again from its first element.
    total = sum(np.resize(beta.to_numpy(), longest) for beta in betas)
    terms = next(list(beta.index) for beta in betas if len(beta) == longest)
    return pd.DataFrame({"term": terms, "estimate": total / len(betas)})


def varcorr(fits: Sequence[FittedModel]) -> pd.DataFrame:
    """Average SDs and correlations; per term its SDs, then the correlations below the diagonal."""
    rows: list[tuple[str | None, str, str | None, float]] = []
    for grp, names, sds, correlations in mean_random_terms(fits):
        rows += [(grp, name, None, sd) for name, sd in zip(names, sds, strict=True)]
        rows += [
            (grp, names[j], names[i], correlations[i][j])
            for j in range(len(names))
            for i in range(j + 1, len(names))
        ]
    return pd.DataFrame(rows, columns=["grp", "var1", "var2", "sdcor"])


def ranef(fits: Sequence[FittedModel]) -> pd.DataFrame:
    """Divide the first fit's random effects by m; repeat the first factor's for every factor."""
    effects = fits[0].ranef()
    factors = list(fits[0].ngrps)
    table = effects.loc[effects["grpvar"] == factors[0], ["grpvar", "term", "grp", "condval"]]
    table = table.assign(condval=table["condval"] / len(fits))
    return pd.concat([table.assign(grpvar=name) for name in factors], ignore_index=True)


def model_fixed_eff(fits: Sequence[FittedModel], stacklevel: int) -> pd.DataFrame:
    """Add mean standard errors to variances between fits; `stacklevel` is that of the warning."""
    m = len(fits)
    tables = [fit.tidy().query("effect == 'fixed'") for fit in fits]
    stacked = pd.concat(tables, ignore_index=True)
    terms = list(_ranks(fits[0], stacked["term"]))
    parts = [stacked[stacked["term"] == term] for term in terms]
    estimate = np.array([r_mean(x["estimate"]) for x in parts])
    within = np.array([r_mean(x["std_error"]) for x in parts])
    deviations = [x["estimate"] - mean for x, mean in zip(parts, estimate, strict=True)]
    between = (1 + 1 / m) * np.array([r_mean(x**2) for x in deviations])
    if (between**2 < 1e-9).any():
        alike = ", ".join(np.array(terms)[between**2 < 1e-9])
        warnings.warn(
            f"merTools asks here whether the data sets are too similar, for {alike}: a "
            "question of units, as much as of the data. `fits.pool().fixed` has the relative "
            "increase in variance (riv).",
            RBridgeWarning,
            stacklevel=stacklevel,
        )
    std_error = within + between
    with np.errstate(divide="ignore", invalid="ignore"):
        df = (m - 1) * (1 + within / between) ** 2
    return pd.DataFrame(
        {
            "term": terms,
            "estimate": estimate,
            "std_error": std_error,
            "statistic": estimate / std_error,
            "df": df,
        }
    )


def model_rand_eff_stats(fits: Sequence[FittedModel]) -> pd.DataFrame:
    """Return means and standard deviations over the fits of each SD and correlation."""
    estimates: dict[tuple[str, str], list[float]] = {}
    for fit in fits:
        part = fit.tidy().query("effect == 'ran_pars'")
        for term, group, x in zip(part["term"], part["group"], part["estimate"], strict=True):
            estimates.setdefault((term, group), []).append(x)
    rank = _ranks(fits[0], (text for key in estimates for text in key))
    keys = sorted(estimates, key=lambda key: (rank[key[0]], rank[key[1]]))
    rows = [(*key, r_mean(estimates[key]), r_sd(estimates[key])) for key in keys]
    return pd.DataFrame(rows, columns=["term", "group", "estimate", "std_error"])


def model_info(fits: Sequence[FittedModel]) -> pd.DataFrame:
    """Return one row per fit, with its imputation's number in front."""
    parts = [fit.model_info() for fit in fits]
    for fit, part in zip(fits, parts, strict=True):
        part.insert(0, "imputation", fit.imputation)
    return pd.concat(parts, ignore_index=True)


# -- random terms ---------------------------------------------------------------------------


def random_terms(fit: FittedModel) -> list[RandomTerm]:
    """Return the random terms of one fit, in its order."""
    terms = []
    varcorr = fit.varcorr()
    for grp, part in varcorr[varcorr["var1"].notna()].groupby("grp", sort=False):
        is_sd = part["var2"].isna()
        names = list(part.loc[is_sd, "var1"])
        matrix = np.eye(len(names))
        for a, b, x in part.loc[~is_sd, ["var1", "var2", "sdcor"]].itertuples(index=False):
            i, j = names.index(a), names.index(b)
            matrix[i, j] = matrix[j, i] = x
        terms.append(RandomTerm(str(grp), names, list(part.loc[is_sd, "sdcor"]), matrix.tolist()))
    return terms


def mean_random_terms(fits: Sequence[FittedModel]) -> list[RandomTerm]:
    """Average SDs and correlations over the fits, named as merTools names them.

    Raises
    ------
    PoolingError
        If the fits' terms differ in their number of coefficients.
    """
    per_fit = [random_terms(fit) for fit in fits]
    sizes = [[len(term.names) for term in terms] for terms in per_fit]
    if any(x != sizes[0] for x in sizes):
        raise PoolingError(
            "merTools fails here: the random terms of the fits differ in their number of "
            "coefficients. A factor may have lost a level in some data sets."
        )
    means = []
    factors = list(fits[0].ngrps)
    # Names are given out in the order of the grouping factors, whatever factor a term has.
    for factor, same in zip_longest(factors, zip(*per_fit, strict=True)):
        names = same[0].names
        means.append(
            RandomTerm(
                factor,
                names if len(names) > 1 else ["(Intercept)"],
                [r_mean(x) for x in zip(*(x.sds for x in same), strict=True)],
                [
                    [r_mean([x.correlations[i][j] for x in same]) for j in range(len(names))]
                    for i in range(len(names))
                ],
            )
        )
    return means


# -- R's order and arithmetic ---------------------------------------------------------------


def _ranks(fit: FittedModel, texts: Iterable[str]) -> dict[str, int]:
    """Return the distinct texts and their places, in the order of R's locale."""
    distinct = sorted(set(texts))
    with suppress(RNotFoundError):
        distinct = list(fit.r.call("sorted_texts", distinct).value)
    return {text: i for i, text in enumerate(distinct)}


def r_mean(values: Any) -> float:
    """R's ``mean()``: summed in extended precision, and corrected once by the mean residual."""
    x = np.asarray(values, dtype=np.longdouble)
    mean = x.cumsum()[-1] / len(x)
    return float(mean + (x - mean).cumsum()[-1] / len(x))


def r_sd(values: Any) -> float:
    """R's ``sd()``, in extended precision; missing for one value."""
    x = np.asarray(values, dtype=np.longdouble)
    if len(x) < 2:
        return float("nan")
    deviations = x - r_mean(x)
    return float(np.sqrt(float((deviations**2).cumsum()[-1] / (len(x) - 1))))
