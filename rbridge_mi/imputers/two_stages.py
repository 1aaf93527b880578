"""How many imputations a model needs, by a pilot (von Hippel 2020)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from ..base.arguments import check_count, check_known, check_seed
from ..data.imputed_data import ImputedData
from ..errors import ArgumentError, RBridgeWarning, RWarning
from ..pooling.diagnostics import imputations_needed
from .compatible import CompatibleImputer
from .compatible_arguments import ARGUMENTS

__all__ = ["from_model"]

PILOT = 20


def from_model(
    model: Any,
    m: int | None,
    data: pd.DataFrame,
    seed: int | None,
    n_jobs: int | None,
    max_m: int,
    arguments: Mapping[str, Any],
) -> ImputedData:
    """Impute from a model; see `impute`.

    Parameters
    ----------
    model : Lmer
    m : int or None
        None: as many as the model needs.
    data : DataFrame
    seed, n_jobs : int or None
    max_m : int
    arguments : mapping
        Of `CompatibleImputer`.

    Returns
    -------
    ImputedData
        With as many data sets as were asked for, or as the rule chose.
    """
    if model is None:
        raise ArgumentError(
            "engine='compatible' imputes from a model: give it, as in "
            "rb.impute(data, model=rb.Lmer(...))."
        )
    check_known(arguments, [x.name for x in ARGUMENTS], "CompatibleImputer")
    seed = check_seed(seed)
    if m is not None:
        imp, warned = _imputed(CompatibleImputer(model, m, **arguments), data, seed, n_jobs)
        _warn(warned)
        return imp
    check_count(max_m, "max_m (the most imputations that may be chosen)", PILOT)
    if not hasattr(model, "fit") or arguments.get("family", "gaussian") != "gaussian":
        raise ArgumentError(
            "m must be given: it is chosen by fitting the model to a pilot of 20 data sets, and "
            f"{type(model).__name__} can't be fitted to them."
        )
    pilot, warned = _imputed(CompatibleImputer(model, PILOT, **arguments), data, seed, n_jobs)
    _warn(warned)
    with warnings.catch_warnings():
        # Of the pilot's fits; those of the final ones are the user's.
        warnings.simplefilter("ignore", RWarning)
        fixed = model.fit(pilot, n_jobs=n_jobs).pool().fixed
    worst = fixed.loc[fixed["fmi"].idxmax()]
    needed = int(imputations_needed(float(worst["fmi"]), PILOT))
    chosen = min(max(needed, PILOT), max_m)
    largest = f"the fraction of missing information is largest for {worst['term']} "
    text = (
        f"m = {chosen} was chosen after a pilot of {PILOT}: {largest}({worst['fmi']:.2f}), for "
        f"which {needed} imputations make standard errors replicable"
    )
    text += f", more than max_m = {max_m}." if needed > max_m else "."
    _warn([RBridgeWarning(text)])
    if chosen == PILOT:
        return replace(pilot, notes=(*pilot.notes, text))
    final, again = _imputed(CompatibleImputer(model, chosen, **arguments), data, seed, n_jobs)
    already = {str(x) for x in warned}
    _warn([x for x in again if str(x) not in already])
    return replace(final, notes=(*final.notes, text))


def _imputed(
    imputer: CompatibleImputer, data: pd.DataFrame, seed: int, n_jobs: int | None
) -> tuple[ImputedData, list[Warning]]:
    """Impute, and return the warnings, which are to be told of the user's own line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        imp = imputer.impute(data, seed, n_jobs=n_jobs)
    return imp, [x.message for x in caught if isinstance(x.message, Warning)]


def _warn(messages: Sequence[Warning]) -> None:
    for message in messages:
        warnings.warn(message, stacklevel=4)  # the line that calls `impute`, or the plan's
