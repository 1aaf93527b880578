"""The pooled random part: standard errors and intervals, intraclass correlations, R2."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import check_level
from ..base.glossary import checked
from ..errors import RBridgeWarning
from ..fits.mermod import MerMod
from ..pooling import components, rubin
from ..pooling.scales import FISHER_Z, LOG, LOGIT, Scale
from .complete_df import ask

__all__ = ["pool_r2", "pool_random", "ranef_intervals"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Key = tuple[str, "str | None", "str | None"]

_COLUMNS = ("estimate", "std_error", "df", "conf_low", "conf_high", "fmi", "n_boundary")
_INFERENCE = list(_COLUMNS[1:-1])


def pool_random(
    fits: Sequence[MerMod], kind: str, varcorr: pd.DataFrame, icc: pd.Series[float], level: float
) -> pd.DataFrame:
    """See `PooledMerMod.random`."""
    found = [ask(fit, "random_curvature") for fit in fits]
    keys = [_keys(x["grp"], x["var1"], x["var2"]) for x in found]
    order = [[own.index(key) for key in keys[0]] for own in keys]
    values = np.array([x["value"][i] for x, i in zip(found, order, strict=True)])
    inside = ~np.array([x["boundary"][i] for x, i in zip(found, order, strict=True)], dtype=bool)
    link_vcovs = np.array([x["link_vcov"][np.ix_(i, i)] for x, i in zip(found, order, strict=True)])
    odd = [str(f.imputation) for f, x in zip(fits, found, strict=True) if not x["definite"][0]]
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
            own = (values[:, pick], inside[:, pick], link[:, pick])
            part = _pooled(scale, *own, "link", center[pick], kind, level)
            parts.append(part.set_index(np.flatnonzero(pick)))
    rows = pd.concat(parts).sort_index()
    rows.insert(0, "group", [key[0] for key in keys[0]])
    rows.insert(1, "term", [_term(key) for key in keys[0]])
    if len(icc):
        shares, variances = _icc(keys[0], list(icc.index), values, link_vcovs)
        there = inside[:, [keys[0].index(_intercept(group)) for group in icc.index]]
        own = (shares, there, variances)
        whole = _pooled(LOGIT, *own, "natural", icc.to_numpy(), kind, level)
        whole.insert(0, "group", list(icc.index))
        whole.insert(1, "term", "icc")
        rows = pd.concat([rows, whole], ignore_index=True)
    if kind == "bootstrap":
        _say_no_interval(rows, len(fits), level)
    return checked(rows.reset_index(drop=True), "random")


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


def _pooled(
    scale: Scale,
    values: Floats,
    inside: Bools,
    variances: Floats,
    variances_on: components.VariancesOn,
    center: Floats,
    kind: str,
    level: float,
) -> pd.DataFrame:
    """Columns of `_COLUMNS`, one row per parameter.

    Those fits that lme4 calls singular in a parameter are not `inside`; `variances` are nan where
    there are none.
    """
    usable = inside.all(axis=0)
    # What follows can carry a stand-in; it is blotted out below.
    safe, middle = np.where(usable, values, 0.5), np.where(usable, center, 0.5)
    if kind == "bootstrap":
        spread = rubin.pool_bootstrap(scale.there(safe), conf_level=level)
        shift = scale.there(middle) - spread.estimate
        columns = {
            "std_error": spread.std_error / scale.slope(middle),
            "df": spread.df,
            "conf_low": scale.back(spread.conf_low + shift),
            "conf_high": scale.back(spread.conf_high + shift),
            "fmi": np.nan,
        }
    else:
        known = ~(inside & ~np.isfinite(variances)).any(axis=0)
        own = np.where(usable & known, variances, 1.0)
        pooled = components.pool_on_scale(
            scale, safe, own, variances_on=variances_on, center=middle, conf_level=level
        )
        columns = {name: getattr(pooled, name) for name in _INFERENCE}
        usable &= known
    frame = pd.DataFrame({"estimate": center, **columns, "n_boundary": (~inside).sum(axis=0)})
    frame.loc[~usable, _INFERENCE] = np.nan
    if kind == "bootstrap":
        frame = frame.fillna(_percentiles(values[:, ~usable], np.flatnonzero(~usable), level))
    return frame


def _percentiles(values: Floats, rows: NDArray[np.intp], level: float) -> pd.DataFrame:
    """Standard errors and intervals where samples lie on the boundary, which no log scale holds.

    The spread of the values as they are, and their percentiles, the (m + 1) p-th of the ordered
    values; nan where m + 1 values have none so far out. A correlation has no value in a sample
    whose SD is 0, and none of this either.
    """
    tail = (1 - level) / 2
    frame = pd.DataFrame({"std_error": values.std(axis=0, ddof=1)}, index=rows)
    if (len(values) + 1) * tail >= 1 - 1e-9:
        ends = np.quantile(values, [tail, 1 - tail], axis=0, method="weibull")
        frame["conf_low"], frame["conf_high"] = ends
    return frame


def _say_no_interval(rows: pd.DataFrame, m: int, level: float) -> None:
    """Why a bootstrap gives a parameter no interval."""
    lacking = rows[rows["conf_low"].isna()]
    if lacking.empty:
        return
    names = ", ".join(f"{x.term} ({x.group}, {x.n_boundary})" for x in lacking.itertuples())
    least = math.ceil(2 / (1 - level) - 1 - 1e-9)
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
    keys: Sequence[Key], groups: Sequence[str], values: Floats, link_vcovs: Floats
) -> tuple[Floats, Floats]:
    """Each fit's intercept shares and their variances, by the delta method from log SDs."""
    own = [keys.index(_intercept(group)) for group in groups]
    residual = next(i for i, key in enumerate(keys) if key[1] is None)
    rows = [*own, residual]
    variances = values[:, rows] ** 2
    shares = variances / variances.sum(axis=1, keepdims=True)
    k = len(own)
    # d share_g / d log sd_j = 2 share_j (1[g = j] - share_g)
    slopes = 2 * shares[:, None, :] * (np.eye(k + 1)[None, :k] - shares[:, :k, None])
    joint = link_vcovs[:, rows][:, :, rows]
    zero = variances == 0  # an SD of 0 has no log, and no part in the others' shares
    joint = np.where(zero[:, :, None] | zero[:, None, :], 0.0, joint)
    return shares[:, :k], np.einsum("mgj,mjk,mgk->mg", slopes, joint, slopes)


def pool_r2(rows: pd.DataFrame) -> pd.DataFrame:
    """One row: the means of the fits' values."""
    return checked(rows.mean().to_frame().T, "r2")


def ranef_intervals(ranef: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    """See `PooledMerMod.ranef_intervals`."""
    from scipy.special import ndtri

    half = -ndtri((1 - check_level(conf_level)) / 2) * ranef["condsd"]
    frame = ranef.assign(conf_low=ranef["condval"] - half, conf_high=ranef["condval"] + half)
    return checked(frame, "ranef_intervals")
