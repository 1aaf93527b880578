"""How many imputations a model needs, by a pilot (von Hippel 2020)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
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
        return CompatibleImputer(model, m, **arguments).impute(data, seed, n_jobs=n_jobs)
    check_count(max_m, "max_m (the most imputations that may be chosen)", PILOT)
    if not hasattr(model, "fit") or arguments.get("family", "gaussian") != "gaussian":
        raise ArgumentError(
            "m must be given: it is chosen by fitting the model to a pilot of 20 data sets, and "
            f"{type(model).__name__} can't be fitted to them."
        )
    pilot = CompatibleImputer(model, PILOT, **arguments).impute(data, seed, n_jobs=n_jobs)
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
    warnings.warn(text, RBridgeWarning, stacklevel=3)
    if chosen == PILOT:
        return replace(pilot, notes=(*pilot.notes, text))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RBridgeWarning)
        final = CompatibleImputer(model, chosen, **arguments).impute(data, seed, n_jobs=n_jobs)
    for note in final.notes:
        if note not in pilot.notes:  # which were told of the pilot
            warnings.warn(f"CompatibleImputer: {note}", RBridgeWarning, stacklevel=3)
    return replace(final, notes=(*final.notes, text))
