"""How a model is fitted, whichever it is: to a frame or to each of m data sets."""

from __future__ import annotations

import contextlib
import pickle
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from .. import rdoor
from ..base.arguments import check_frame_for_r, check_known, check_timeout, check_value
from ..base.checks import nearest
from ..data.imputed_data import ImputedData
from ..data.stores import FrameStore, Piece, Store
from ..errors import ArgumentError, FitError, FormulaError, RBridgeError, RWarning, RWorkerLost
from ..fits.answers import Answers, Question
from ..fits.asking import warn_of_each
from ..inference.mermod import MerMod
from ..pooled.mermod_list import MerModList
from ..processes.running import Number, run_each_of, run_one
from ..processes.workers import Begun, Later, Packed, wake

__all__ = [
    "AnsweredFits",
    "FixedPart",
    "Model",
    "Plan",
    "check_model",
    "fit_each",
    "fit_frame",
    "fixed_part",
    "start_workers",
]


class Model(Protocol):
    """What a model says of itself."""

    @property
    def fitter(self) -> str:
        """The name of lme4's function that fits it."""
        ...

    @property
    def control_maker(self) -> str:
        """The name of lme4's function that makes its ``control``."""
        ...

    @property
    def verbose(self) -> int:
        """How much R is to print while it fits."""
        ...

    def controls(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the arguments that `control_maker` makes, each with what that is given."""
        ...

    def r_call(self) -> str:
        """Return the call as R code, for messages."""
        ...

    def specification(self, data: pd.DataFrame) -> dict[str, Any]:
        """Return what R has to know beside the data, and refuse what doesn't fit these."""
        ...


@dataclass(frozen=True)
class Plan:
    """The call that R will make once it has data.

    Attributes
    ----------
    call : RObject
    columns : sequence of str, or None
        All that the fit needs of the data; None for every column.
    """

    call: rdoor.RObject
    columns: Sequence[str] | None


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
    store = FrameStore((_needed(data, plan.columns),))
    task = _FitTask(model, store, plan, with_objects=isolate, isolated=isolate)
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
    task = _FitTask(model, data.store, plan, with_objects=with_objects, isolated=isolate)
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


def check_model(model: Model, data: pd.DataFrame) -> Plan:
    """Check what can be checked before any fit: formula, columns, names of the control.

    Raises
    ------
    RPackageError
        This R lacks lme4.
    FormulaError
        With R's text.
    ArgumentError
        An argument or a column that can't be right, by name.
    """
    rdoor.require_package("lme4", type(model).__name__)
    specification, names = model.specification(data), rdoor.names_for_r(data.columns)
    try:
        facts = _facts(specification, names)
    except FormulaError as error:
        _name_odd_columns(error, data)
        _suggest_columns(error, data)
        raise
    if facts["columns"] is None:  # a formula with a dot
        rdoor.check_frame_names(data)
    for name, given in model.controls().items():
        check_known(given, facts["control"], f"{name} ({model.control_maker})")
    for name in facts["variables"]:
        _check_values(data[name], name)
    for name in facts["coded"] if facts["coded"] is not None else ():
        if not isinstance(data[name].dtype, pd.CategoricalDtype):
            raise ArgumentError(
                f"C({name}) in the formula: R's C() takes a factor, and column {name!r} has "
                f"dtype {data[name].dtype}. Write factor({name}) for C({name}), and "
                f"C(factor({name}), ...) for C({name}, ...), or make the column a Categorical."
            )
    columns = facts["columns"]
    return Plan(facts["plan"], None if columns is None else tuple(map(str, columns)))


def _facts(specification: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Return what R's `check_model` says; for a model without values per row it is kept."""
    if not specification["vectors"]:
        # What can't be pickled can't go to R either, which then says so by name.
        with contextlib.suppress(pickle.PicklingError, TypeError, AttributeError):
            return _kept_facts(pickle.dumps((specification, names)))
    return _asked(specification, names)


@lru_cache(maxsize=128)
def _kept_facts(pickled: bytes) -> dict[str, Any]:
    return _asked(*pickle.loads(pickled))


def _asked(specification: dict[str, Any], names: list[str]) -> dict[str, Any]:
    facts: dict[str, Any] = rdoor.call(
        "check_model", specification, names, error=FormulaError
    ).value
    return facts


@dataclass(frozen=True)
class FixedPart:
    """A model's fixed part before any fit.

    `columns` are those of the data that it names, `terms` the names that its coefficients will
    have; None where that can't be told.
    """

    columns: tuple[str, ...] | None
    terms: tuple[str, ...] | None


def fixed_part(model: Model, data: pd.DataFrame) -> FixedPart:
    """Return what can be said of a model's coefficients before any fit; `check_model` comes first.

    The names of terms are those of the data as they are. Truth values with holes may be imputed as
    numbers, which have terms of other names, so that nothing is said of these.
    """
    columns = check_model(model, data).columns
    needed = _needed(data, columns)
    facts = rdoor.call("fixed_part", model.specification(data), needed, error=FormulaError).value
    names = facts["variables"]
    if names is None:
        return FixedPart(None, None)
    names = tuple(map(str, names))
    odd = any(data[x].isna().any() and pd.api.types.is_bool_dtype(data[x].dtype) for x in names)
    terms = None if odd or facts["terms"] is None else tuple(map(str, facts["terms"]))
    return FixedPart(names, terms)


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


# -- the task --------------------------------------------------------------------------------


class _FitTask:
    """The fits of a model to the data sets of a store; a `running.Task`.

    Parameters
    ----------
    model : Model
    store : Store
    plan : Plan
    with_objects : bool
        Whether other processes send R's objects back.
    isolated : bool
        Whether those are processes that may be lost.
    """

    package = "lme4"
    seed = None
    fresh = False

    def __init__(
        self, model: Model, store: Store, plan: Plan, *, with_objects: bool, isolated: bool
    ) -> None:
        self._model = model
        self._store = store
        self._columns = plan.columns
        self._with_objects = with_objects
        self._isolated = isolated
        self._fits = _Fits(model, store.base, store.differing, plan.columns, plan.call)

    @property
    def label(self) -> str:
        return self._model.fitter

    @property
    def remote(self) -> _RemoteFit:
        return _RemoteFit(
            self._model, self._store.differing, self._columns, self._with_objects, self._isolated
        )

    def r_call(self, number: Number) -> str:
        del number
        return self._model.r_call()

    def begin(self, numbers: Sequence[Number]) -> list[Begun]:
        return self._fits.begin({i: self.part(i) for i in numbers})

    def shared(self) -> Packed:
        return Packed.of(self._store.base)

    def part(self, number: Number) -> Piece:
        return self._store.piece(0 if number is None else number - 1)

    def received(self, value: Any, number: Number) -> MerMod | RBridgeError:
        if isinstance(value, RBridgeError):
            return value
        if value["order"] not in (None, _crossed_order()):
            return self._fitted_here(number)  # the other process' R rounds in another order
        make = rdoor.AsHere(partial(self._object_made_here, number))
        r = value["r"] or rdoor.RObject(make=make)
        return MerMod(Answers(r, value["known"]), value["index"], value["messages"], number)

    def _object_made_here(self, number: Number) -> rdoor.RObject:
        fit = self._fitted_here(number)
        if isinstance(fit, RBridgeError):
            raise fit
        r: Any = fit.r
        held: rdoor.RObject = r
        return held

    def _fitted_here(self, number: Number) -> MerMod | RBridgeError:
        [pending] = self.begin([number])
        result: MerMod | RBridgeError = pending.result()
        return result


@dataclass(frozen=True)
class _RemoteFit:
    """One fit in another process; its tables come back as plain data.

    From an isolated process R's object comes back too: if it were fitted here later on, it could do
    what the isolation is to prevent. For the same reason no order of effects is compared then.
    """

    model: Model
    differing: tuple[Any, ...] | None
    columns: Sequence[str] | None
    with_object: bool
    isolated: bool

    def __call__(self, base: Packed, number: Number, piece: Piece) -> Any:
        fits = base.once(lambda frame: _Fits(self.model, frame, self.differing, self.columns))
        [pending] = fits.begin({number: piece})
        fit: MerMod | RBridgeError = pending.result()
        if isinstance(fit, RBridgeError):
            return fit
        return {
            "known": fit.answers.tables(),
            "index": fit.index,
            "messages": fit.messages,
            "r": fit.r if self.with_object else None,
            "order": _crossed_order() if fit.n_lvls > 1 and not self.isolated else None,
        }


class _Fits:
    """Fits of one model, in this process, to data sets that have a frame in common.

    Parameters
    ----------
    model : Model
    base : DataFrame
        What they have in common.
    differing : tuple, or None
        The columns in which they differ, so that R is given the others once; None if they differ
        in their rows, so that each goes to R as a whole.
    columns : sequence of str, or None
        Those that a fit needs; None for all.
    plan : RObject, optional
        The plan, if there is one already; otherwise the first data set's is computed, and kept.
    """

    def __init__(
        self,
        model: Model,
        base: pd.DataFrame,
        differing: tuple[Any, ...] | None,
        columns: Sequence[str] | None,
        plan: rdoor.RObject | None = None,
    ) -> None:
        self._model = model
        self._base = base
        self._differing = differing
        self._columns = columns
        self._plan = plan
        self._plan_in_use: rdoor.RObject | None = None

    def begin(self, pieces: Mapping[Number, Piece]) -> list[Begun]:
        """Begin the fits to some of the data sets, given by their numbers."""
        parts: dict[Number, _Part] = {}
        refused: dict[Number, Begun] = {}
        for number, piece in pieces.items():
            try:
                parts[number] = self._part(piece)
            except RBridgeError as error:
                refused[number] = _refused(error)
        # R's output is captured per turn, so a verbose model's fits get a turn each.
        numbers = list(parts)
        turns = [[x] for x in numbers] if self._model.verbose else [numbers]
        pending: dict[Number, Begun] = dict(refused)
        for turn in turns:
            pending |= self._begin_turn({i: parts[i] for i in turn})
        return [pending[i] for i in pieces]

    def _begin_turn(self, parts: Mapping[Number, _Part]) -> dict[Number, Begun]:
        if not parts:
            return {}
        try:
            plan = self._plan_for(next(iter(parts.values())).frame)
        except RBridgeError as error:  # it is what all of them share, and so each one's error
            return {i: _refused(error) for i in parts}
        data = [part.data for part in parts.values()]
        calls = rdoor.begin_each("fit_model", plan, data, error=FitError)
        return {
            i: _Begun(call, part.frame.index, i)
            for (i, part), call in zip(parts.items(), calls, strict=True)
        }

    def _part(self, piece: Piece) -> _Part:
        if self._differing is None:
            frame = _needed(piece.complete(self._base), self._columns)
            self._model.specification(check_frame_for_r(frame))  # refuses what doesn't fit it
            return _Part(frame, frame)
        series = piece.differing_columns(self._base)
        wanted = {k: x for k, x in series.items() if self._columns is None or k in self._columns}
        return _Part(self._base, wanted)

    def _plan_for(self, frame: pd.DataFrame) -> rdoor.RObject:
        if self._plan_in_use is None:
            frame = _needed(frame, self._columns)
            columns = list(frame.columns)
            plan = self._plan or rdoor.call_object(
                "plan_model", self._model.specification(frame), columns
            )
            if self._differing is not None:
                common = frame[[x for x in columns if x not in set(self._differing)]]
                plan = rdoor.call_object("plan_with_frame", plan, common, columns)
            self._plan_in_use = plan
        return self._plan_in_use


@dataclass(frozen=True)
class _Part:
    """What R is given of one data set, and a frame with its rows."""

    frame: pd.DataFrame
    data: Any


@dataclass(frozen=True)
class _Begun:
    """A fit that R was given; an error is its result, and says which data set it was."""

    call: rdoor.Pending
    index: pd.Index
    number: Number

    def result(self) -> MerMod | RBridgeError:
        """Wait for it."""
        try:
            reply = self.call.reply()
        except RBridgeError as error:
            if isinstance(error, FitError) and self.number is not None:
                error.imputation = self.number
                error.args = (f"imputation {self.number}: {error.args[0]}",)
            return error.with_traceback(None)
        messages = tuple(text.strip() for text in reply.warnings + reply.messages)
        return MerMod(Answers(reply.value), self.index, messages, self.number)

    def withdraw(self) -> None:
        """Stop R, if it is at it."""
        self.call.withdraw()


class AnsweredFits(_Fits):
    """Fits that R answers some questions about, and keeps no object of: `begin` begins them.

    Parameters
    ----------
    model : Model
    base : DataFrame
    differing : tuple, or None
    columns : sequence of str, or None
        As in a list of fits: what the data sets have in common, the columns in which they differ,
        those that a fit needs.
    questions : sequence of str
        All that can be read of the fits afterwards.
    """

    def __init__(
        self,
        model: Model,
        base: pd.DataFrame,
        differing: tuple[Any, ...] | None,
        columns: Sequence[str] | None,
        questions: Sequence[Question],
    ) -> None:
        super().__init__(model, base, differing, columns)
        self._questions = list(questions)
        self._plan_with_questions: rdoor.RObject | None = None

    def _begin_turn(self, parts: Mapping[Number, _Part]) -> dict[Number, Begun]:
        if not parts:
            return {}
        try:
            plan = self._plan_for(next(iter(parts.values())).frame)
        except RBridgeError as error:
            return {i: _refused(error) for i in parts}
        data = [part.data for part in parts.values()]
        calls = rdoor.begin_each("fit_answers", plan, data, decode=True, error=FitError)
        return {
            i: _BegunAnswers(call, part.frame.index, i)
            for (i, part), call in zip(parts.items(), calls, strict=True)
        }

    def _plan_for(self, frame: pd.DataFrame) -> rdoor.RObject:
        if self._plan_with_questions is None:
            plan = super()._plan_for(frame)
            self._plan_with_questions = rdoor.call_object(
                "plan_with_questions", plan, self._questions
            )
        return self._plan_with_questions

    @staticmethod
    def crossed_order() -> tuple[int, ...]:
        """Return how this process' R orders crossed random effects, on which their last bits hang.

        It is of interest only for fits with several grouping factors.
        """
        return _crossed_order()


@dataclass(frozen=True)
class _BegunAnswers(_Begun):
    """A fit that R was given, which answers and is forgotten."""

    def result(self) -> MerMod | RBridgeError:
        """Wait for it."""
        fit = super().result()
        if isinstance(fit, RBridgeError):
            return fit
        known: Any = fit.r
        return replace(fit, answers=Answers(_FORGOTTEN, known))


class _Forgotten:
    """Stands for the R object of a fit that R has kept none of."""

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        """Refuse: a question that was to be asked is missing from the list."""
        del args, kwargs
        raise RBridgeError(f"{function} was not asked of the fit while it was there")


_FORGOTTEN = _Forgotten()


def _refused(error: RBridgeError) -> Later:
    return Later(partial(error.with_traceback, None))


@cache
def _crossed_order() -> tuple[int, ...]:
    """Return how lme4 orders crossed random effects in this process; see R's `crossed_order`."""
    return tuple(int(x) for x in rdoor.call("crossed_order").value)


# -- checks and messages ---------------------------------------------------------------------


def _needed(data: pd.DataFrame, columns: Sequence[str] | None) -> pd.DataFrame:
    """Return the columns that a fit needs: what R can't hold may stand in the others."""
    if columns is None:
        return data
    wanted = [x for x in data.columns if x in columns]
    return data if len(wanted) == data.shape[1] else data[wanted]


def _check_values(column: pd.Series[Any], name: str) -> None:
    if column.dtype == np.float64 and np.isfinite(column.to_numpy()).all():
        return  # the usual case, which takes no more than this
    if column.isna().all():
        raise ArgumentError(f"column {name!r} has no value at all: no model can use it.")
    if (
        pd.api.types.is_float_dtype(column.dtype)
        and np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan)).any()
    ):
        raise ArgumentError(
            f"column {name!r} holds infinite values: make them missing, or drop those rows."
        )


def _name_odd_columns(error: FormulaError, data: pd.DataFrame) -> None:
    """Add to the error which of the data's columns it may mean, where their names aren't text."""
    for name in data.columns:
        if not isinstance(name, str) and f"'{name}'" in (error.r_message or ""):
            error.args = (
                f"{error.args[0]}\n  The name of the column {name!r} is not text, as R's are: "
                "rename it, for instance with `frame.columns = frame.columns.map(str)`.",
            )


def _suggest_columns(error: FormulaError, data: pd.DataFrame) -> None:
    """Add to the error which columns were probably meant by names that there aren't."""
    unknown = _UNKNOWN.search(error.r_message or "")
    if unknown is None:
        return
    names = _QUOTED.findall(unknown[1])
    columns = [x for x in data.columns if isinstance(x, str)]
    meant = {x: close for x in names if (close := nearest(x, columns)) is not None}
    if meant:
        listed = ", ".join(f"{close!r} for {x!r}" for x, close in meant.items())
        error.args = (f"{error.args[0]}\n  Did you mean {listed}?",)


_UNKNOWN = re.compile(r"^the formula names (.*?), not among the columns", re.DOTALL)
_QUOTED = re.compile(r"'([^']*)'")


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
