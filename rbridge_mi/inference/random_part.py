"""The pooled random part: standard errors and intervals, intraclass correlations, R2."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import check_level
from ..base.glossary import TABLES, checked
from ..errors import ArgumentError, RBridgeWarning
from ..fits.asking import ask
from ..fits.fitted_model import FittedModel
from ..fits.which_models import is_linear
from ..pooling import PoolingRule, rule_for
from ..pooling.scales import FISHER_Z, LOG, LOGIT
from .latent_scale import intercept_shares, latent_variance

__all__ = ["pool_r2", "pool_random", "random_of_one", "ranef_intervals"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Key = tuple[str, "str | None", "str | None"]


def pool_random(
    fits: Sequence[FittedModel],
    rule: PoolingRule,
    varcorr: pd.DataFrame,
    icc: pd.Series[float],
    level: float,
) -> pd.DataFrame:
    """Pool the random part with intervals; see `PooledMerMod.random`."""
    if not is_linear(fits[0]) and fits[0].has_scale:
        raise ArgumentError(
            f"the random part of family {fits[0].family!r} has no standard errors and intervals "
            "(`random`): lme4 takes its scale from the residuals, apart from the likelihood. "
            "`varcorr` has the estimates, and `fit.confint(method='boot')` intervals of one fit."
        )
    curvatures = [ask(fit, "random_curvature") for fit in fits]
    keys = [_keys(x["grp"], x["var1"], x["var2"]) for x in curvatures]
    # Of each fit, where the parameters of the first stand.
    places = [[keys_of_fit.index(key) for key in keys[0]] for keys_of_fit in keys]
    ordered = list(zip(curvatures, places, strict=True))
    values = np.array([x["value"][i] for x, i in ordered])
    inside = ~np.array([x["boundary"][i] for x, i in ordered], dtype=bool)
    link_vcovs = np.array([x["link_vcov"][np.ix_(i, i)] for x, i in ordered])
    odd = [str(f.imputation) for f, x in zip(fits, curvatures, strict=True) if not x["definite"][0]]
    if odd:
        warnings.warn(
            f"the deviance isn't convex at the optimum of imputation {', '.join(odd)}: the random "
            "part has neither standard errors nor intervals. The fit may not have converged: try "
            "another optimizer (`control`), or a simpler random part.",
            RBridgeWarning,
            stacklevel=4,
        )
    means = _keyed(varcorr)
    center = np.array([means[key] for key in keys[0]])
    link = np.diagonal(link_vcovs, axis1=1, axis2=2)
    is_cor = np.array([key[2] is not None for key in keys[0]])
    parts = []
    for scale, pick in ((LOG, ~is_cor), (FISHER_Z, is_cor)):
        if pick.any():
            columns = rule.on_scale(
                scale,
                values[:, pick],
                inside[:, pick],
                link[:, pick],
                variances_on="link",
                center=center[pick],
                conf_level=level,
            )
            part = _rows(center[pick], columns, inside[:, pick])
            parts.append(part.set_index(np.flatnonzero(pick)))
    rows = pd.concat(parts).sort_index()
    rows.insert(0, "group", [key[0] for key in keys[0]])
    rows.insert(1, "term", [_term(key) for key in keys[0]])
    icc = icc.dropna()
    if len(icc):
        of_link = latent_variance(fits[0])
        shares, variances = _icc(keys[0], list(icc.index), values, link_vcovs, of_link)
        there = inside[:, [keys[0].index(_intercept(group)) for group in icc.index]]
        center_of_icc = icc.to_numpy()
        columns = rule.on_scale(
            LOGIT,
            shares,
            there,
            variances,
            variances_on="natural",
            center=center_of_icc,
            conf_level=level,
        )
        of_icc = _rows(center_of_icc, columns, there)
        of_icc.insert(0, "group", list(icc.index))
        of_icc.insert(1, "term", "icc")
        rows = pd.concat([rows, of_icc], ignore_index=True)
    least = rule.least_m_at_boundary(level)
    if least is not None:
        _warn_of_no_interval(rows, len(fits), least, level)
    return checked(rows.reset_index(drop=True), "random")


def random_of_one(fit: FittedModel, level: float) -> pd.DataFrame:
    """Give the random part of one fit its standard errors and intervals; see `MerMod.random`."""
    varcorr = fit.varcorr()
    shares = intercept_shares(varcorr, fit)
    rows = pool_random([fit], rule_for("imputation"), varcorr, shares, check_level(level))
    return checked(rows[list(TABLES["random_one"])], "random_one")


def _rows(estimate: Floats, columns: Mapping[str, Floats], inside: Bools) -> pd.DataFrame:
    """One row per parameter, with the number of fits in which it lies on its boundary."""
    return pd.DataFrame({"estimate": estimate, **columns, "n_boundary": (~inside).sum(axis=0)})


def _keys(grp: Sequence[Any], var1: Sequence[Any], var2: Sequence[Any]) -> list[Key]:
    def text(x: Any) -> str | None:
        return None if x is None or pd.isna(x) else str(x)

    return [(str(a), text(b), text(c)) for a, b, c in zip(grp, var1, var2, strict=True)]


def _keyed(varcorr: pd.DataFrame) -> dict[Key, float]:
    keys = _keys(varcorr["grp"], varcorr["var1"], varcorr["var2"])
    return dict(zip(keys, varcorr["sdcor"], strict=True))


def _intercept(group: str) -> Key:
    return (group, "(Intercept)", None)


def _term(key: Key) -> str:
    """As in `tidy`."""
    _, var1, var2 = key
    if var1 is None:
        return "sd__Observation"
    return f"sd__{var1}" if var2 is None else f"cor__{var1}.{var2}"


def _warn_of_no_interval(rows: pd.DataFrame, m: int, least: int, level: float) -> None:
    """Warn of parameters without an interval, and say why a bootstrap gives them none."""
    lacking = rows[rows["conf_low"].isna()]
    if lacking.empty:
        return
    names = ", ".join(f"{x.term} ({x.group}, {x.n_boundary})" for x in lacking.itertuples())
    few = (
        f"percentiles of {100 * level:g}% need m of at least {least}, not {m}" if m < least else ""
    )
    undefined = "a correlation has no value in samples where an SD is 0"
    why = few if not lacking["std_error"].isna().any() else f"{few}; {undefined}".lstrip("; ")
    warnings.warn(
        "no interval for parameters that lie on their boundary (an SD of 0) in some bootstrap "
        f"samples: {names}, with the number of such samples; {why}. Draw more samples, or simplify "
        "the random part.",
        RBridgeWarning,
        stacklevel=5,
    )


def _icc(
    keys: Sequence[Key], groups: Sequence[str], values: Floats, link_vcovs: Floats, of_link: float
) -> tuple[Floats, Floats]:
    """Each fit's intercept shares and their variances, by the delta method from log SDs.

    The residual variance is estimated along, or it is that of the link, `of_link`.
    """
    rows = [keys.index(_intercept(group)) for group in groups]
    k = len(rows)
    rows += [i for i, key in enumerate(keys) if key[1] is None]
    variances = values[:, rows] ** 2
    known = of_link if len(rows) == k else 0.0
    shares = variances / (variances.sum(axis=1, keepdims=True) + known)
    # d share_g / d log sd_j = 2 share_j (1[g = j] - share_g)
    slopes = 2 * shares[:, None, :] * (np.eye(len(rows))[None, :k] - shares[:, :k, None])
    joint = link_vcovs[:, rows][:, :, rows]
    zero = variances == 0  # an SD of 0 has no log, and no part in the others' shares
    joint = np.where(zero[:, :, None] | zero[:, None, :], 0.0, joint)
    return shares[:, :k], np.einsum("mgj,mjk,mgk->mg", slopes, joint, slopes)


def pool_r2(rows: pd.DataFrame) -> pd.DataFrame:
    """Average the rows of the fits' R2 and intraclass correlations: one row."""
    return checked(rows.mean().to_frame().T, "r2")


def ranef_intervals(ranef: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    """Add normal intervals to random effects; see `PooledMerMod.ranef_intervals`."""
    from scipy.special import ndtri

    half = -ndtri((1 - check_level(conf_level)) / 2) * ranef["condsd"]
    frame = ranef.assign(conf_low=ranef["condval"] - half, conf_high=ranef["condval"] + half)
    return checked(frame, "ranef_intervals")
