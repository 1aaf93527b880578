"""m data sets by the engine that is asked for, or that R has."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import pandas as pd

from .. import rdoor
from ..base.arguments import (
    check_columns,
    check_known,
)
from ..data.imputed_data import ImputedData
from ..errors import ArgumentError, RBridgeWarning
from .amelia import AmeliaImputer
from .bootstrap import BootstrapImputer

__all__ = ["impute"]


def impute(
    data: pd.DataFrame,
    m: int = 5,
    engine: Literal["auto", "amelia", "bootstrap"] = "auto",
    seed: int | None = None,
    *,
    cluster: str | None = None,
    isolate: bool = False,
    timeout: float | None = None,
    **arguments: Any,
) -> ImputedData:
    """m data sets by the engine that R has.

    Parameters
    ----------
    data : DataFrame
    m : int, at least 2
    engine : {"auto", "amelia", "bootstrap"}
        "auto" takes Amelia if R has it, else the bootstrap, with a warning that says what that
        means for inference.
    seed : int, optional
    cluster : name, optional
        The groups of the model to come, which the bootstrap then draws whole (`BootstrapImputer`).
        Amelia, where "auto" takes it, needs no such column.
    isolate, timeout
        Of `AmeliaImputer.impute`; the bootstrap has no need of them.
    **arguments
        Amelia's own, which the bootstrap does without where "auto" falls back on it.

    Raises
    ------
    ArgumentError
        Arguments that the engine doesn't have.
    ImputationError
        See `AmeliaImputer.impute`.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
    >>> rb.impute(holes, m=2, seed=1, idvars=["schid", "meanses"]).method
    'amelia'
    """
    if engine not in ("auto", "amelia", "bootstrap"):
        raise ArgumentError(f"engine must be 'auto', 'amelia' or 'bootstrap', not {engine!r}.")
    if engine == "bootstrap":
        check_known(arguments, ("cluster",), "engine='bootstrap'")
        return BootstrapImputer(m, cluster).impute(data, seed)
    if engine == "amelia" and cluster is not None:
        raise ArgumentError(
            "cluster= is the bootstrap's: Amelia knows groups as a nominal column (noms), or as "
            "cross-sections with intercepts of their own (cs=, intercs=True)."
        )
    imputer = AmeliaImputer(m, **arguments)  # refuses what Amelia doesn't take, with or without it
    if engine == "auto" and not rdoor.has_package("Amelia"):
        drawn = "whole groups of " + cluster if cluster else "rows, one by one"
        offer = (
            ""
            if cluster
            else (
                " For a model with groups give their column, cluster=..., so that whole groups are "
                "drawn: of single rows the variance between groups comes out far too large."
            )
        )
        warnings.warn(
            f"R has no Amelia: the data sets are bootstrap samples, not imputations ({drawn}). "
            "Rows with holes are still dropped by each fit, so nothing is regained from them, and "
            "estimates are biased unless values are missing completely at random; standard errors "
            f"are the spread of the estimates.{offer} Install Amelia for multiple imputation (on "
            "Debian: apt-get install r-cran-amelia).",
            RBridgeWarning,
            stacklevel=2,
        )
        return BootstrapImputer(m, cluster).impute(data, seed)
    if cluster is not None:
        check_columns([cluster], data, "cluster")
    return imputer.impute(data, seed, isolate=isolate, timeout=timeout)
