"""``fit_each``: many models, each fitted to m data sets, on as many processes as there are."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import rdoor
from ..base.arguments import check_frame_for_r
from ..base.paths import is_path
from ..data.imputed_data import ImputedData
from ..data.stores import FrameStore, Store
from ..errors import ArgumentError, MissingPathError, RBridgeError, RWarning, RWorkerLost
from ..inference.mermod import MerMod
from ..models.fit_tasks import crossed_order
from ..models.mixed_model import MixedModel
from ..models.plans import check_model
from ..processes.isolation import Job, run_each_isolated
from ..processes.progress import progress_bar
from ..processes.workers import Begun, Packed, effective_jobs, pickled, run_each
from .batches import Batch, Fitted, LastModel, RemoteBatch, fitted
from .fit_grid import FitGrid
from .identity import MANIFEST, Identity, digest_of_data, digest_of_model, stack
from .parts import FolderParts, MemoryParts, Parts
from .tables import FITS, STANDARD, checked_tables, questions_of

__all__ = ["fit_each"]

TURN = 1.0  # seconds of work that a task is to have
_AT_ONCE = 1000  # fits that this process looks at together
_MOST_BYTES = 16 * 2**20  # that a batch carries


def fit_each(
    models: Mapping[str, MixedModel],
    data: ImputedData | pd.DataFrame,
    *,
    path: Any = None,
    tables: Sequence[str] = STANDARD,
    n_jobs: int | None = None,
) -> FitGrid:
    """Fit many models to each of m data sets, and keep their tables.

    A fit's tables are made where it is fitted, and R forgets it then, so that memory doesn't grow
    with the number of fits. A data set that a model can't be fitted to doesn't stop the others. The
    numbers are those of ``model.fit(data)``, whatever `n_jobs`.

    Parameters
    ----------
    models : mapping of str to Lmer, Glmer or GlmerNb
        By name. All are checked before the first fit.
    data : ImputedData or DataFrame
        A DataFrame is the only data set, number 1.
    path : path, optional
        A folder for the results, which is made if it isn't there: they are written to Parquet files
        every few seconds. Called again with the same models and data, after Ctrl-C, a kill or an
        error, `fit_each` goes on with the fits that are missing. By default the tables are kept in
        memory.
    tables : sequence of str
        Some of fixef, vcov, varcorr, glance, convergence (these by default; `FitGrid.pool` needs
        fixef, vcov, glance), tidy, ranef and model_info.
    n_jobs : int, optional
        Processes, as joblib counts them (-1 for all cores); by default joblib's own setting, so
        that ``joblib.parallel_config("dask")`` sends the fits to a cluster.

    Returns
    -------
    FitGrid
        Its tables, and what failed. Failures are warned of once.

    Raises
    ------
    ArgumentError, FormulaError
        A model that can't be fitted to these data, by name; no fit is begun.
    ArgumentError
        The folder holds the results of other models, data or tables, or of another R.
    MissingPathError
        The folder that `path` is to be made in isn't there.
    MissingExtraError
        `path` is given, and pyarrow isn't installed.

    See Also
    --------
    Lmer.fit : One model, whose fits are kept, and can be asked anything.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> imp = rb.BootstrapImputer(m=2).impute(rb.load_hsb().head(400), seed=1)
    >>> models = {x: rb.Lmer(f"mathach ~ {x} + (1 | schid)") for x in ("ses", "female")}
    >>> rb.fit_each(models, imp)
    <FitGrid: 2 models x 2 data sets, 4 fits>
    """
    _check_models(models)
    names = checked_tables(tables)
    frames: Sequence[pd.DataFrame] = data if isinstance(data, ImputedData) else [data]
    if isinstance(data, ImputedData):
        store, kind = data.store, str(data.kind)
    else:
        store, kind = FrameStore((check_frame_for_r(data),)), "imputation"
    identity = Identity(
        {x: (_described(model), digest_of_model(model)) for x, model in models.items()},
        "" if path is None else digest_of_data(frames),
        len(store),
        kind,
        names,
    )
    parts: Parts = MemoryParts() if path is None else _opened(path, identity)
    grid = FitGrid(identity, parts, None if path is None else Path(path))
    with parts.writing() if isinstance(parts, FolderParts) else nullcontext():
        work = _Work(models, store, parts, names, n_jobs)
        work.drop(parts.rows(FITS))
        if work.left:
            if grid.path is not None:
                _check_stack(grid.path)
            work.check(frames[0])
            work.run()
    _warn(grid)
    return grid


def _check_models(models: Any) -> None:
    if not isinstance(models, Mapping) or not models:
        raise ArgumentError('models must be a dict of models by name, such as {"a": rb.Lmer(...)}.')
    for name, model in models.items():
        if not isinstance(name, str):
            raise ArgumentError(f"models: the name {name!r} is not text.")
        if not isinstance(model, MixedModel):
            raise ArgumentError(
                f"models: {name!r} is {type(model).__name__}, not a model such as rb.Lmer(...)."
            )


def _described(model: MixedModel) -> str:
    return f"{type(model).__name__}({model.formula!r})"


def _opened(path: Any, identity: Identity) -> FolderParts:
    """Return the parts of a folder, which is made, or has results of the same grid."""
    if not is_path(path):
        raise ArgumentError(f"path must be the name of a folder, not {path!r}.")
    folder = Path(path)
    parts = FolderParts(folder, identity.tables)  # says what is missing before anything is made
    if (folder / MANIFEST).is_file():
        there, _ = Identity.read(folder)
        identity.check_same(there, folder)
        return parts
    if folder.is_dir() and any(x for x in folder.iterdir() if not x.name.startswith(".")):
        raise ArgumentError(
            f"{folder} holds other files, and no grid: name a new folder, or an empty one."
        )
    if not folder.parent.is_dir():
        raise MissingPathError(
            f"{folder} can't be made: there is no folder {folder.parent.absolute()}."
        )
    if folder.exists() and not folder.is_dir():
        raise ArgumentError(f"{folder} is a file: name a folder.")
    folder.mkdir(exist_ok=True)
    identity.write(folder)
    return parts


def _check_stack(folder: Path) -> None:
    _, there = Identity.read(folder)
    here = stack()
    differ = [x for x in {**there, **here} if there.get(x) != here.get(x)]
    if differ:
        what = "; ".join(f"{x} is {here.get(x)}, there {there.get(x)}" for x in differ)
        raise ArgumentError(
            f"{folder} holds results of another R, which may differ in their last digits: {what}. "
            "Go on where it was begun, or name another folder."
        )


def _warn(grid: FitGrid) -> None:
    failures = grid.failures
    if len(failures):
        first, wanted = failures.iloc[0], len(grid.models) * grid.m
        warnings.warn(
            f"{len(failures)} of {wanted} fits failed, see `failures`; the first is of "
            f"model {first['model']!r}, imputation {first['imputation']}: "
            f"{first['message'].splitlines()[0]}",
            RWarning,
            stacklevel=3,
        )


# -- the work ----------------------------------------------------------------------------------


@dataclass
class _Work:
    """The fits that are left to do, and how they are done."""

    models: Mapping[str, MixedModel]
    store: Store
    parts: Parts
    tables: tuple[str, ...]
    n_jobs: int | None
    _columns: dict[int, tuple[str, ...] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._names = list(self.models)
        self._left = np.ones((len(self.models), len(self.store)), dtype=bool)

    @property
    def left(self) -> int:
        """How many fits are left."""
        return int(self._left.sum())

    def drop(self, rows: pd.DataFrame) -> None:
        """Leave out what was done in an earlier call."""
        places = pd.Categorical(rows["model"], categories=self._names).codes
        self._left[places, rows["imputation"].to_numpy() - 1] = False

    def check(self, frame: pd.DataFrame) -> None:
        """Check the models that are left, before the first fit.

        Raises
        ------
        ArgumentError, FormulaError
            With the name of the model.
        """
        for position in np.flatnonzero(self._left.any(axis=1)).tolist():
            name = self._names[position]
            try:
                columns = check_model(self.models[name], frame).columns
            except RBridgeError as error:
                error.args = (f"model {name!r}: {error.args[0]}", *error.args[1:])
                raise
            self._columns[position] = None if columns is None else tuple(columns)

    def run(self) -> None:
        """Do all fits, with one progress bar."""
        with progress_bar(self.left, "fits", "fit") as bar:
            for position, done in self._here() if self._processes == 1 else self._there():
                self.parts.add(self._names[position], done.tables)
                self._left[position, np.array(done.numbers) - 1] = False
                bar.update(len(done.numbers))

    @property
    def _processes(self) -> int:
        return effective_jobs(self.n_jobs)

    def _batch(self, position: int, numbers: Iterable[int]) -> Batch:
        pieces = {i: self.store.piece(i - 1) for i in numbers}
        return Batch(position, self.models[self._names[position]], self._columns[position], pieces)

    # -- here ------------------------------------------------------------------------------

    def _here(self) -> Iterator[tuple[int, Fitted]]:
        """Do the fits in this process, which looks at some of them at a time."""
        last = self._last_model()
        pairs = ((int(p), int(i) + 1) for p, i in np.argwhere(self._left))
        while some := list(islice(pairs, _AT_ONCE)):
            results: dict[int, MerMod | RBridgeError] = {}
            for key, result in run_each(
                range(len(some)), partial(self._begin, last, some), _elsewhere,
                shared=_nothing, part=_nothing, n_jobs=1, what="fits", bar=False,
            ):  # fmt: skip
                position, number = some[key]
                results[number] = result
                if key + 1 == len(some) or some[key + 1][0] != position:
                    yield position, fitted(results, self.tables)
                    results = {}

    def _begin(
        self, last: LastModel, pairs: Sequence[tuple[int, int]], keys: Sequence[int]
    ) -> list[Begun]:
        pending: list[Begun] = []
        for position, some in groupby((pairs[key] for key in keys), lambda pair: pair[0]):
            batch = self._batch(position, [number for _, number in some])
            pending += last.fits_of(batch).begin(batch.some(batch.pieces))
        return pending

    def _last_model(self) -> LastModel:
        return LastModel(self.store.base, self.store.differing, questions_of(self.tables))

    # -- in other processes ----------------------------------------------------------------

    def _there(self) -> Iterator[tuple[int, Fitted]]:
        """Do the fits in other processes; what these leave for want of time is a next round's."""
        remote = RemoteBatch(self.store.differing, self.tables, TURN)
        seconds: dict[int, float] = {}
        while self._left.any():
            batches = list(self._batches(seconds))
            sent: dict[int, None] = {}

            def part(key: int) -> Batch:
                sent[key] = None  # noqa: B023 - it is called in this round
                return self._batch(*batches[key])  # noqa: B023

            try:
                for key, done in run_each(
                    range(len(batches)), _elsewhere, rdoor.AsHere(remote),
                    shared=self._shared, part=part, n_jobs=self.n_jobs, what="fits", bar=False,
                ):  # fmt: skip
                    position, _ = batches[key]
                    sent.pop(key, None)
                    seconds[position] = done.seconds
                    yield position, self._checked(position, done)
            except RWorkerLost:  # some fit kills its process: it is among those that were sent
                yield from self._alone([batches[key] for key in sent], remote)

    def _shared(self) -> Packed:
        return Packed.of(self.store.base)

    def _batches(self, seconds: Mapping[int, float]) -> Iterator[tuple[int, list[int]]]:
        """Part what is left, so that each part takes about a turn, and each process has several."""
        share = math.ceil(self.left / (4 * self._processes))
        most = _MOST_BYTES // len(pickled(self.store.piece(0)))
        for position in np.flatnonzero(self._left.any(axis=1)).tolist():
            numbers = (np.flatnonzero(self._left[position]) + 1).tolist()
            in_time = int(TURN / seconds[position]) if position in seconds else share
            size = max(1, min(in_time, share, most))
            for start in range(0, len(numbers), size):
                yield position, numbers[start : start + size]

    def _checked(self, position: int, done: Fitted) -> Fitted:
        """Do a batch again, here, if the other process' R rounds in another order."""
        if done.order is None or done.order == crossed_order():
            return done
        batch = self._batch(position, done.numbers)
        pending = self._last_model().fits_of(batch).begin(batch.some(batch.pieces))
        results = {i: x.result() for i, x in zip(batch.pieces, pending, strict=True)}
        return fitted(results, self.tables)

    def _alone(
        self, batches: Iterable[tuple[int, list[int]]], remote: RemoteBatch
    ) -> Iterator[tuple[int, Fitted]]:
        """Do each fit in a process that may be lost; that it was is what a lost one ends with."""
        pairs = [(position, i) for position, numbers in batches for i in numbers]
        shared = self._shared()

        def job(key: int) -> Job:
            position, number = pairs[key]
            batch = self._batch(position, [number])
            return Job(
                rdoor.AsHere(partial(remote, shared, None, batch)),
                partial(rdoor.has_package, "lme4"),
                f"model {self._names[position]!r}, imputation {number}",
                batch.model.r_call(),
            )

        for key, value in run_each_isolated(
            range(len(pairs)), job, timeout=None, n_jobs=self.n_jobs
        ):
            position, number = pairs[key]
            if isinstance(value, RWorkerLost):
                value = fitted({number: value}, self.tables)
            yield position, value


def _nothing(*_: Any) -> None:
    """Nothing is shared with this process itself."""


def _elsewhere(*_: Any) -> Any:
    raise AssertionError("not where this task is done")
