"""How a model is fitted, whichever it is: to a frame or to each of m data sets."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Literal

import pandas as pd

from .. import rdoor
from ..base.arguments import check_frame_for_r, check_timeout, check_value
from ..data.imputed_data import ImputedData
from ..data.stores import FrameStore
from ..errors import ArgumentError, FitError, RWarning, RWorkerLost
from ..fits.asking import warn_of_each
from ..inference.mermod import MerMod
from ..pooled.mermod_list import MerModList
from ..processes.running import run_each_of, run_one
from ..processes.workers import wake
from .fit_tasks import FitTask
from .plans import Model, check_model, needed

__all__ = ["fit_each", "fit_frame", "start_workers"]


def fit_frame(
    model: Model,
    data: pd.DataFrame,
    *,
    isolate: bool,
    timeout: float | None,
    refused: Sequence[str] = (),
) -> MerMod:
    """Fit a model to one frame; see `MixedModel.fit`."""
    check_timeout(timeout)
    plan = check_model(model, check_frame_for_r(data))
    if refused:
        raise ArgumentError(
            f"{', '.join(refused)} of fit() is for an ImputedData: a DataFrame makes one fit, "
            "here, which raises its error and keeps its R object."
        )
    isolate = isolate or timeout is not None
    store = FrameStore((needed(data, plan.columns),))
    task = FitTask(model, store, plan, with_objects=isolate, isolated=isolate)
    fit = run_one(task, isolate=isolate, timeout=timeout)
    if not isinstance(fit, MerMod):
        raise fit
    _warn(model, [fit])
    return fit


def fit_each(
    model: Model,
    data: ImputedData,
    *,
    n_jobs: int | None,
    errors: Literal["raise", "keep"],
    return_objects: bool,
    isolate: bool,
    timeout: float | None,
) -> MerModList:
    """Fit a model to each of m data sets; see `MixedModel.fit`."""
    check_timeout(timeout)
    check_value(errors, ("raise", "keep"), "errors")
    isolate = isolate or timeout is not None
    plan = check_model(model, data[0])
    with_objects = return_objects or isolate
    task = FitTask(model, data.store, plan, with_objects=with_objects, isolated=isolate)
    numbers = range(1, data.m + 1)
    outcomes = dict(run_each_of(task, numbers, n_jobs=n_jobs, isolate=isolate, timeout=timeout))
    results = {i: outcomes[i] for i in numbers}
    fits = tuple(x for x in results.values() if isinstance(x, MerMod))
    _make_kin(fits)
    failed = {i: x for i, x in results.items() if not isinstance(x, MerMod)}
    _warn(model, fits)
    kept = MerModList(fits, data, failed) if fits else None
    if failed and (errors == "raise" or kept is None):
        first = next(iter(failed.values()))
        if isinstance(first, FitError | RWorkerLost):
            first.fits = kept
        raise first
    for i, error in failed.items():
        warnings.warn(f"imputation {i} was not fitted: {error}", RWarning, stacklevel=3)
    assert kept is not None
    return kept


def start_workers(n_jobs: int = -1) -> None:
    """Start the processes of later ``n_jobs=`` calls, each loading R and lme4, and return at once.

    They take some 3 s to start, which reading or imputing the data may as well use. They end when
    idle for five minutes, and with this process.

    Parameters
    ----------
    n_jobs : int
        As joblib counts them: the number that the later calls give; -1 for all cores.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> rb.start_workers(2)
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
    >>> imp = rb.AmeliaImputer(m=2, idvars=["schid", "meanses"]).impute(holes, seed=1)
    >>> len(rb.Lmer("mathach ~ ses + (1 | schid)").fit(imp, n_jobs=2))
    2
    """
    wake(n_jobs, partial(rdoor.has_package, "lme4"))


def _make_kin(fits: Sequence[MerMod]) -> None:
    """Let the fits' R objects be pickled by what they share."""
    kin = rdoor.Kin()
    for fit in fits:
        if isinstance(fit.r, rdoor.RObject):
            fit.r.kin = kin


def _warn(model: Model, fits: Sequence[MerMod]) -> None:
    """Warn of what R said of the fits."""
    texts = [(fit.imputation, text) for fit in fits for text in fit.messages]
    warn_of_each(texts, model.fitter, stacklevel=5)
