"""m data sets by the engine that is asked for, or that R has."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd

from ..base.arguments import check_columns, check_known
from ..data.imputed_data import ImputedData
from ..errors import ArgumentError, RBridgeWarning
from .engines import Engine, available, engine_named

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
    keep_r: bool = False,
    **arguments: Any,
) -> ImputedData:
    """Make m data sets by the engine that R has.

    Parameters
    ----------
    data : DataFrame
    m : int, at least 2
    engine : {"auto", "amelia", "bootstrap"}
        "auto" takes Amelia if R has it, else the bootstrap, with a warning that says what that
        means for inference.
    seed : int, optional
    cluster : str, optional
        The column of the groups of the model to come, which the bootstrap then draws whole
        (`BootstrapImputer`). Amelia, where "auto" takes it, needs no such column.
    isolate : bool
    timeout : float, optional
    keep_r : bool
        Of `AmeliaImputer.impute`; the bootstrap has no need of `isolate` and `timeout`, and no R
        object to keep.
    **arguments : object
        Of Amelia; they are left out where "auto" falls back on the bootstrap.

    Returns
    -------
    ImputedData
        Made by the engine that its `method` names.

    Raises
    ------
    ArgumentError
        Arguments that the engine doesn't have.
    ImputationError
        See `AmeliaImputer.impute`.

    See Also
    --------
    AmeliaImputer : Multiple imputation by Amelia.
    BootstrapImputer : Bootstrap samples.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
    >>> rb.impute(holes, m=2, seed=1, idvars=["schid", "meanses"]).method
    'amelia'
    """
    asked = engine_named(engine)
    given = arguments if cluster is None else {"cluster": cluster, **arguments}
    how: dict[str, Any] = {"isolate": isolate, "timeout": timeout, "keep_r": keep_r}
    if engine != "auto":
        for name in given:
            if name in asked.foreign:
                raise ArgumentError(asked.foreign[name])
        if not asked.isolates:
            check_known(given, [x.name for x in asked.arguments], f"engine={engine!r}")
        if keep_r and not asked.isolates:
            raise ArgumentError(f"keep_r: engine={engine!r} makes no R object that could be kept.")
        return _by(asked, data, m, seed, given, how)
    asked.imputer(m, **arguments)  # refuses what it doesn't take, also where R lacks it
    chosen = available()
    if chosen is not asked:
        takes = {x.name for x in chosen.arguments}
        given = {name: value for name, value in given.items() if name in takes}
        warnings.warn(_in_place_of(asked, cluster), RBridgeWarning, stacklevel=2)
        return _by(chosen, data, m, seed, given, how)
    if cluster is not None:
        check_columns([cluster], data, "cluster")
    return _by(asked, data, m, seed, arguments, how)


def _by(
    engine: Engine,
    data: pd.DataFrame,
    m: int,
    seed: int | None,
    arguments: Mapping[str, Any],
    how: Mapping[str, Any],
) -> ImputedData:
    imputed: ImputedData = engine.imputer(m, **arguments).impute(
        data, seed, **(how if engine.isolates else {})
    )
    return imputed


def _in_place_of(engine: Engine, cluster: str | None) -> str:
    """Say what it means that the bootstrap stands in for an engine that R lacks."""
    drawn = f"whole groups of {cluster}" if cluster else "rows, one by one"
    offer = (
        ""
        if cluster
        else (
            " For a model with groups give their column, cluster=..., so that whole groups are "
            "drawn: of single rows the variance between groups comes out far too large."
        )
    )
    return (
        f"R has no {engine.package}: the data sets are bootstrap samples, not imputations "
        f"({drawn}). Rows with holes are still dropped by each fit, so nothing is regained from "
        "them, and estimates are biased unless values are missing completely at random; standard "
        f"errors are the spread of the estimates.{offer} Install {engine.package} for multiple "
        f"imputation (on Debian: apt-get install r-cran-{str(engine.package).lower()})."
    )
