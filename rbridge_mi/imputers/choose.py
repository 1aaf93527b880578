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
    model: Any = None,
    m: int | None = None,
    engine: Literal["auto", "amelia", "compatible", "mice", "jomo", "pan", "bootstrap"] = "auto",
    seed: int | None = None,
    n_jobs: int | None = None,
    *,
    max_m: int = 100,
    cluster: str | None = None,
    isolate: bool | None = None,
    timeout: float | None = None,
    keep_r: bool = False,
    **arguments: Any,
) -> ImputedData:
    """Make m data sets: compatible with a model if one is given, else by the engine that R has.

    Parameters
    ----------
    data : DataFrame
    model : Lmer or Glmer, optional
        The model that will be fitted. The data are then imputed from it (`CompatibleImputer`), as
        is right for multilevel models; all further arguments are that class'. ``engine="jomo"``
        takes it, too (`JomoImputer`).
    m : int, optional
        Number of data sets. With a model von Hippel's (2020) rule chooses it, if it is not given:
        the model is fitted to 20 data sets, and as many are made as make its standard errors
        replicable (`imputations_needed`; the largest fraction of missing information counts). A
        warning says how many. Without a model it is 5.
    engine : {"auto", "amelia", "compatible", "mice", "jomo", "pan", "bootstrap"}
        "auto" takes "compatible" if there is a model. Else it takes Amelia if R has it, or the
        bootstrap, with a warning that says what that means for inference.
    seed : int, optional
    n_jobs : int, optional
        Processes, as joblib counts them; the data sets are the same to the last bit. Amelia takes
        it with ``rng="streams"`` only.
    max_m : int
        The most data sets that the rule may choose.
    cluster : str, optional
        The column of the groups of the model to come, which the bootstrap then draws whole
        (`BootstrapImputer`). Amelia, where "auto" takes it, needs no such column.
    isolate : bool, optional
    timeout : float, optional
    keep_r : bool
        Of `AmeliaImputer.impute`; without `isolate` the engine decides whether it runs in a
        separate process. The bootstrap has no need of `isolate` and `timeout`, and no R object to
        keep.
    **arguments : object
        Of the engine's class; those of Amelia are left out where "auto" falls back on the
        bootstrap.

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
    CompatibleImputer : Multiple imputation from the model.
    AmeliaImputer : Multiple imputation by Amelia.
    JomoImputer : Multiple imputation by jomo.
    MiceImputer : Multiple imputation by chained equations.
    PanImputer : Multilevel imputation by mitml.
    BootstrapImputer : Bootstrap samples.
    imputation_plan : What will be imputed, and how.

    References
    ----------
    von Hippel (2020), How many imputations do you need? A two-stage calculation using a quadratic
    rule, Sociological Methods & Research 49, 699-718.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
    >>> rb.impute(holes, m=2, seed=1, idvars=["schid", "meanses"]).method
    'amelia'
    """
    if isinstance(model, int):
        raise ArgumentError(f"the second argument is the model: write m={model!r}.")
    if engine == "auto" and model is not None:
        engine = "compatible"
    asked = engine_named(engine)
    if asked.needs_model:
        refused = {"cluster": cluster, "isolate": isolate, "timeout": timeout, "keep_r": keep_r}
        for name, value in refused.items():
            if value:
                raise ArgumentError(
                    f"{name} is of other engines: engine={engine!r} knows the groups by the model, "
                    "and runs in numpy."
                )
        from .two_stages import from_model

        return from_model(model, m, data, seed, n_jobs, max_m, arguments)
    if model is not None:
        if all(x.name != "model" for x in asked.arguments):
            raise ArgumentError(
                f"model: engine={engine!r} knows nothing of models. Leave the model out, or the "
                "engine."
            )
        arguments = {"model": model, **arguments}
    m = 5 if m is None else m
    given = arguments if cluster is None else {"cluster": cluster, **arguments}
    how: dict[str, Any] = {"timeout": timeout, "keep_r": keep_r}
    if isolate is not None:
        how["isolate"] = isolate
    if n_jobs is not None:
        how["n_jobs"] = n_jobs
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
