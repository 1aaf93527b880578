"""The trace of an imputation's chains as an array, and what it says of their convergence."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import check_count
from ..base.glossary import checked
from ..errors import ArgumentError
from ..pooling.convergence import LEAST_ITERATIONS, chain_convergence

__all__ = ["burn_in", "chains_of", "convergence_table", "worst_mixing"]

# How an engine that keeps no parameters by itself is told to.
_UNTRACED = {
    "jomo": "jomo() keeps no parameters of its chain: give JomoImputer(trace=True), which runs it "
    "twice, or rng='streams', which has a chain for each imputation."
}
# Their chains are iterations of an optimizer, which end where it has converged.
OPTIMIZERS = ("amelia",)


def convergence_table(trace: pd.DataFrame, method: str, warmup: int | None) -> pd.DataFrame:
    """Tabulate R-hat and effective sample size; see `ImputedData.convergence`."""
    if method in OPTIMIZERS:
        raise ArgumentError(
            f"{method} draws no Markov chains: its trace is of an optimizer, whose end the "
            "messages tell. Look at imp.log, and at imp.chain_lengths."
        )
    if method in _UNTRACED and not len(trace):
        raise ArgumentError(_UNTRACED[method])
    before = burn_in(trace)
    names, draws = chains_of(trace if before is None else trace.assign(imputation=1))
    iterations = draws.shape[1]
    if warmup is None:
        warmup = iterations // 2 if before is None else before
    left = iterations - check_count(warmup, "warmup", 0)
    if left < LEAST_ITERATIONS:
        raise ArgumentError(
            f"warmup {warmup} leaves {max(left, 0)} of {iterations} iterations, and R-hat needs "
            f"{LEAST_ITERATIONS}: run longer chains, or drop fewer iterations (warmup=0: none)."
        )
    result = chain_convergence(draws[:, warmup:])
    columns = {"parameter": names, "rhat": result.rhat, "ess_bulk": result.ess_bulk}
    return checked(pd.DataFrame(columns), "convergence_chains")


def burn_in(trace: pd.DataFrame) -> int | None:
    """Return how many iterations one chain that makes all imputations has before the first of them.

    Of such a chain each imputation has the iterations that lead to it from the one before, equally
    many, and the first has those of the burn-in too.

    Parameters
    ----------
    trace : DataFrame
        As `ImputedData.trace`.

    Returns
    -------
    int or None
        None where each imputation has a chain of its own, whose iterations begin anew.
    """
    part = trace.groupby("imputation")["iteration"].agg(["min", "max", "nunique"])
    first, last = part["min"].to_numpy(), part["max"].to_numpy()
    if len(part) < 2 or (first[1:] <= last[:-1]).any():
        return None
    lengths = part["nunique"].to_numpy()
    return int(lengths[0] - lengths[1])


def worst_mixing(trace: pd.DataFrame, method: str) -> str | None:
    """Say which parameter's chains have mixed worst; None where there are no values to tell by."""
    if method in OPTIMIZERS or trace["value"].isna().all():
        return None
    try:
        table = convergence_table(trace, method, None)
    except ArgumentError:  # chains that are too short, or differ in length
        return None
    if table["rhat"].isna().all():
        return None
    worst = table.loc[table["rhat"].idxmax()]
    return f"worst R-hat {worst['rhat']:.3f} ({worst['parameter']})"


def chains_of(trace: pd.DataFrame) -> tuple[pd.Index, NDArray[np.float64]]:
    """Arrange a trace as an array.

    Parameters
    ----------
    trace : DataFrame
        As `ImputedData.trace`, its rows in any order.

    Returns
    -------
    tuple of (Index, ndarray)
        Names of the parameters, in the order in which they first occur, and their values as
        (chains, iterations, parameters).

    Raises
    ------
    ArgumentError
        There are no values, or the chains differ in their iterations or parameters.
    """
    if trace["value"].isna().all():
        raise ArgumentError(
            "the data sets have no trace of their chains: they were imputed elsewhere, or by a "
            "method without chains. Convergence has to be judged where they were imputed."
        )
    parameter, names = pd.factorize(trace["parameter"])
    chain, chains = pd.factorize(trace["imputation"])
    iteration, iterations = pd.factorize(trace["iteration"], sort=True)
    shape = (len(chains), len(iterations), len(names))
    cell = np.ravel_multi_index((chain, iteration, parameter), shape)
    if len(cell) != np.prod(shape) or (np.bincount(cell) != 1).any():
        raise ArgumentError(_why_not_an_array(trace))
    values = np.empty(len(cell))
    values[cell] = trace["value"].to_numpy()
    return pd.Index(np.asarray(names, object), dtype=object), values.reshape(shape)


def _why_not_an_array(trace: pd.DataFrame) -> str:
    lengths = trace.groupby("imputation")["iteration"].nunique()
    if lengths.nunique() > 1:
        return (
            f"the chains have from {lengths.min()} to {lengths.max()} iterations, and R-hat "
            "compares chains of one length: cut them to the shortest, or look at each in imp.trace."
        )
    return (
        "the trace has not one value for every chain, iteration and parameter: each chain must "
        "have the same iterations and parameters."
    )
