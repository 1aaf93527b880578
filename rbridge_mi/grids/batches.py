"""Batches: some data sets of one model, fitted by one process, which sends their tables."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from .. import rdoor
from ..data.stores import Piece
from ..errors import RBridgeError
from ..fits.answers import Question
from ..inference.mermod import MerMod
from ..models.fit_tasks import AnsweredFits, crossed_order
from ..models.mixed_model import MixedModel
from ..processes.running import Number
from ..processes.workers import Packed
from .tables import FITS, questions_of, stacked_fits

__all__ = ["Batch", "Fitted", "LastModel", "RemoteBatch", "fitted"]


@dataclass(frozen=True)
class Batch:
    """What a process needs to fit a model to some data sets, beside the frame that all share.

    Attributes
    ----------
    position : int
        The model's place in the grid.
    model : MixedModel
    columns : sequence of str, or None
        Those that its fits need; None for all.
    pieces : mapping
        The data sets' own parts, by their numbers.
    """

    position: int
    model: MixedModel
    columns: Sequence[str] | None
    pieces: Mapping[int, Piece]

    def some(self, numbers: Iterable[int]) -> dict[Number, Piece]:
        """Return the parts of some of the data sets."""
        return {i: self.pieces[i] for i in numbers}


@dataclass(frozen=True)
class Fitted:
    """What became of a batch.

    Attributes
    ----------
    numbers : tuple of int
        The data sets that are done, those that have no fit included.
    tables : dict of DataFrame
        Rows for each of them, with the column imputation first.
    left : tuple of int
        The data sets for which there was no time.
    seconds : float
        That one of the last fits took.
    order : tuple of int, or None
        How the process orders crossed random effects, if there are any.
    """

    numbers: tuple[int, ...]
    tables: dict[str, pd.DataFrame]
    left: tuple[int, ...] = ()
    seconds: float = 0.0
    order: tuple[int, ...] | None = None


def fitted(results: Mapping[int, MerMod | RBridgeError], tables: Iterable[str]) -> Fitted:
    """Make tables of the fits, or errors, of some data sets."""
    fits = [x for x in results.values() if isinstance(x, MerMod)]
    errors = {i: x for i, x in results.items() if isinstance(x, RBridgeError)}
    # The number stands beside it, so that alike errors have alike texts.
    texts = {i: str(x).removeprefix(f"imputation {i}: ") for i, x in errors.items()}
    rows = {
        "imputation": list(results),
        "error": [type(errors[i]).__name__ if i in errors else None for i in results],
        "message": [texts.get(i) for i in results],
    }
    frames = {name: stacked_fits(name, fits) for name in tables} if fits else {}
    frames[FITS] = pd.DataFrame(rows)
    crossed = any(fit.n_lvls > 1 for fit in fits)
    order = crossed_order() if crossed else None
    return Fitted(tuple(results), frames, order=order)


@dataclass(frozen=True)
class RemoteBatch:
    """Fits a batch in another process, for some time, and at least one data set of it.

    Attributes
    ----------
    differing : tuple, or None
        The columns in which data sets differ.
    tables : tuple of str
    turn : float
        Seconds after which it hands back what is left.
    """

    differing: tuple[Any, ...] | None
    tables: tuple[str, ...]
    turn: float

    def __call__(self, base: Packed, number: Number, batch: Batch) -> Fitted:
        """Fit it."""
        del number
        rdoor.has_package("lme4")  # loads it, outside of the time
        last = base.once(lambda frame: LastModel(frame, self.differing, questions_of(self.tables)))
        fits = last.fits_of(batch)
        results: dict[int, MerMod | RBridgeError] = {}
        left, size = list(batch.pieces), 1
        end = time.perf_counter() + self.turn
        while True:  # in turns of R that grow, as the first takes longer than those after it
            start = time.perf_counter()
            results |= _results(fits, left[:size], batch)
            now = time.perf_counter()
            seconds = max(now - start, 1e-6) / len(left[:size])
            del left[:size]
            # What is left may take another turn: a rest of some fits isn't worth a task.
            rest = len(left) * seconds
            size = len(left) if rest < self.turn else min(4 * size, int((end - now) / seconds))
            if not left or size < 1:
                break
        done = fitted(results, self.tables)
        return replace(done, left=tuple(left), seconds=seconds)


def _results(
    fits: AnsweredFits, numbers: Sequence[int], batch: Batch
) -> dict[int, MerMod | RBridgeError]:
    pending = fits.begin(batch.some(numbers))
    return {i: x.result() for i, x in zip(numbers, pending, strict=True)}


@dataclass
class LastModel:
    """What the fits of a model share, kept for the model that was asked for last.

    Parameters
    ----------
    base : DataFrame
        What all data sets have in common.
    differing : tuple, or None
        The columns in which they differ.
    questions : tuple of str
        What R is asked of each fit.
    """

    base: pd.DataFrame
    differing: tuple[Any, ...] | None
    questions: tuple[Question, ...]
    _position: int = field(default=-1, init=False)
    _fits: AnsweredFits | None = field(default=None, init=False)

    def fits_of(self, batch: Batch) -> AnsweredFits:
        """Return what fits the model of a batch."""
        if self._fits is None or self._position != batch.position:
            self._fits = AnsweredFits(
                batch.model, self.base, self.differing, batch.columns, self.questions
            )
            self._position = batch.position
        return self._fits
