"""Fits in R as tasks: of a frame, or of data sets that have a frame in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import pandas as pd

from .. import rdoor
from ..base.arguments import check_frame_for_r
from ..data.stores import Piece, Store
from ..errors import FitError, RBridgeError
from ..fits.answers import Answers, Question
from ..inference.mermod import MerMod
from ..processes.running import Number
from ..processes.workers import Begun, Later, Packed
from .plans import Model, Plan, needed

__all__ = ["AnsweredFits", "FitTask", "crossed_order"]


class FitTask:
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
        """lme4's name of the function."""
        return self._model.fitter

    @property
    def remote(self) -> _RemoteFit:
        """What fits one data set in another process."""
        return _RemoteFit(
            self._model, self._store.differing, self._columns, self._with_objects, self._isolated
        )

    def r_call(self, number: Number) -> str:
        """Return the call as R code, for messages."""
        del number
        return self._model.r_call()

    def begin(self, numbers: Sequence[Number]) -> list[Begun]:
        """Begin the fits to some of the data sets, in this process."""
        return self._fits.begin({i: self.part(i) for i in numbers})

    def shared(self) -> Packed:
        """Return what the data sets have in common."""
        return Packed.of(self._store.base)

    def part(self, number: Number) -> Piece:
        """Return a data set's own part."""
        return self._store.piece(0 if number is None else number - 1)

    def received(self, value: Any, number: Number) -> MerMod | RBridgeError:
        """Return the fit, or the error, that another process sent."""
        if isinstance(value, RBridgeError):
            return value
        if value["order"] not in (None, crossed_order()):
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
            "order": crossed_order() if fit.n_lvls > 1 and not self.isolated else None,
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
            frame = needed(piece.complete(self._base), self._columns)
            self._model.specification(check_frame_for_r(frame))  # refuses what doesn't fit it
            return _Part(frame, frame)
        series = piece.differing_columns(self._base)
        wanted = {k: x for k, x in series.items() if self._columns is None or k in self._columns}
        return _Part(self._base, wanted)

    def _plan_for(self, frame: pd.DataFrame) -> rdoor.RObject:
        if self._plan_in_use is None:
            frame = needed(frame, self._columns)
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
def crossed_order() -> tuple[int, ...]:
    """Return how lme4 orders crossed random effects in this process; see R's `crossed_order`."""
    return tuple(int(x) for x in rdoor.call("crossed_order").value)
