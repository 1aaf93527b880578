"""How far estimates hang on values being missing at random: the model over delta adjustments."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from ..base.checks import is_number
from ..base.glossary import TABLES, checked
from ..data.imputed_data import ImputedData
from ..errors import ArgumentError
from ..fits.fitted_model import random_terms
from ..pooled.pooled_mermod import PooledMerMod
from .mixed_model import MixedModel

__all__ = ["delta_sensitivity"]


def delta_sensitivity(
    model: MixedModel,
    imp: ImputedData,
    column: str,
    deltas: Sequence[float],
    *,
    by: str | None = None,
    groups: Sequence[Any] | None = None,
    n_jobs: int | None = None,
    dfcom: Any = None,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Fit a model again with the imputed values of a column shifted, and say how estimates move.

    Each delta is a scenario: were the values that are missing that much larger than those that were
    imputed, as they may be if they are missing not at random, the analysis would say this. Where an
    estimate changes its sign or an interval comes to hold 0 is the tipping point; whether a shift
    of that size is plausible, those who know the data have to say.

    Parameters
    ----------
    model : Lmer, Glmer or GlmerNb
        The analysis model.
    imp : ImputedData
        Imputed data sets.
    column : str
        The column, as in `ImputedData.delta`.
    deltas : sequence of float
        Shifts, in the column's units; 0 is the analysis as it is.
    by : str, optional
        A column of groups.
    groups : sequence, optional
        The groups in `by` whose imputed values are shifted; those of others stay.
    n_jobs : int, optional
        Processes, as in the model's ``fit``.
    dfcom, conf_level : object
        As in `MerModList.pool`.

    Returns
    -------
    DataFrame
        A row per delta and parameter: delta, effect ("fixed" or "ran_pars"), group, term, estimate,
        std_error, statistic, df, p_value, conf_low, conf_high, fmi. Standard deviations and
        correlations (as in `PooledMerMod.tidy`) have an estimate alone.

    Raises
    ------
    ArgumentError
        What `ImputedData.delta` refuses; no deltas, or one twice; a model that is none; `groups`
        without `by`, or the reverse.

    See Also
    --------
    ImputedData.delta : The data sets of one delta.

    References
    ----------
    van Buuren (2018), Flexible Imputation of Missing Data, 2nd ed., sections 3.8 and 9.2; Carpenter
    and Kenward (2013), Multiple Imputation and its Application, chapter 10.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.2, columns="mathach", seed=1)
    >>> imp = rb.AmeliaImputer(m=3, idvars=["schid", "meanses"]).impute(holes, seed=1)
    >>> model = rb.Lmer("mathach ~ minority + (1 | schid)")
    >>> moved = rb.delta_sensitivity(model, imp, "mathach", [-2, 0, 2])
    >>> moved[moved["term"] == "(Intercept)"].set_index("delta")["estimate"].round(1).to_dict()
    {-2.0: 13.3, 0.0: 13.7, 2.0: 14.1}
    """
    if not isinstance(model, MixedModel):
        raise ArgumentError(f"model must be Lmer, Glmer or GlmerNb, not {type(model).__name__}.")
    if not isinstance(imp, ImputedData):
        raise ArgumentError(f"imp must be an ImputedData, not {type(imp).__name__}.")
    if (by is None) != (groups is None):
        raise ArgumentError(
            "by names the column, and groups its groups that are shifted: give both."
        )
    if isinstance(groups, str) or (groups is not None and not isinstance(groups, Iterable)):
        raise ArgumentError(f"groups must be a list of groups of {by!r}, not {groups!r}.")
    chosen = None if groups is None else list(groups)
    data_sets = {
        delta: imp.delta(column, delta if chosen is None else dict.fromkeys(chosen, delta), by)
        for delta in _checked_deltas(deltas)
    }
    tables = []
    for delta, shifted in data_sets.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pooled = model.fit(shifted, n_jobs=n_jobs).pool(dfcom, conf_level)
        for x in caught:
            warnings.warn(f"delta {delta:g}: {x.message}", x.category, stacklevel=2)
        tables.append(_estimates(pooled, delta))
    frame = checked(pd.concat(tables, ignore_index=True), "delta_sensitivity")
    frame.attrs = {"column": column, "by": by, "groups": chosen, "conf_level": conf_level}
    return frame


def _checked_deltas(deltas: Any) -> list[float]:
    if isinstance(deltas, str) or not isinstance(deltas, Iterable):
        raise ArgumentError(f"deltas must be a list of numbers, not {deltas!r}.")
    values = list(deltas)
    wrong = [x for x in values if not is_number(x) or not math.isfinite(x)]
    if wrong or not values:
        raise ArgumentError(f"deltas must be a list of numbers, and not {(wrong or values)!r}.")
    twice = [x for i, x in enumerate(values) if x in values[:i]]
    if twice:
        raise ArgumentError(f"deltas has {twice[0]!r} twice.")
    return [float(x) for x in values]


def _estimates(pooled: PooledMerMod, delta: float) -> pd.DataFrame:
    columns = list(TABLES["delta_sensitivity"])
    fixed = pooled.fixed.assign(delta=delta, effect="fixed", group=None)
    random = pd.DataFrame(random_terms(pooled.varcorr), columns=["group", "term", "estimate"])
    random = random.assign(delta=delta, effect="ran_pars").reindex(columns=columns)
    rows = fixed[columns].to_dict("records") + random.to_dict("records")
    return pd.DataFrame(rows, columns=columns)
