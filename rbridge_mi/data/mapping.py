"""A user's function, called with each of m data sets, here or in worker processes."""

from __future__ import annotations

import pickle
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from ..base.arguments import check_value
from ..errors import ArgumentError, MapError, RBridgeError, RBridgeWarning
from ..processes.workers import Later, Packed, pickled, run_each
from .mapped_results import MappedResults
from .merging import Kind
from .stores import Piece, Store

__all__ = ["call_with_each", "map_data_sets"]

Function = Callable[[pd.DataFrame], Any]


def map_data_sets(
    store: Store, kind: Kind, f: Function, n_jobs: int | None, errors: str
) -> MappedResults:
    """Call a function with each data set; see `ImputedData.map`."""
    check_value(errors, ("raise", "keep"), "errors")
    if not callable(f):
        raise ArgumentError(f"f must be a function of a data set, not {type(f).__name__}.")
    numbers = range(1, len(store) + 1)
    outcomes, failed = call_with_each(
        store, f, dict.fromkeys(numbers, ()), n_jobs, what="map", keep=errors == "keep"
    )
    for stopped in failed.values():
        warnings.warn(str(stopped), RBridgeWarning, stacklevel=3)
    return MappedResults(tuple(outcomes.values()), tuple(outcomes), kind, failed)


def call_with_each(
    store: Store,
    f: Callable[..., Any],
    further: Mapping[int, tuple[Any, ...]],
    n_jobs: int | None,
    *,
    what: str,
    keep: bool = False,
) -> tuple[dict[int, Any], dict[int, MapError]]:
    """Call a user's function with each data set, here or in worker processes.

    Parameters
    ----------
    store : Store
    f : callable
        Takes a frame of its own, and what `further` has for it.
    further : mapping
        The other arguments for each data set, by its number from 1.
    n_jobs : int, optional
        As joblib counts them.
    what : str
        What is done, for messages and the progress bar.
    keep : bool
        Go on where f stops at some of the data sets.

    Returns
    -------
    tuple of dict
        What f returned, and the errors where it stopped, by number, in order.

    Raises
    ------
    MapError
        f stopped; with `keep`, at every data set.
    ArgumentError
        f, or an n_jobs, that can't be.
    """
    numbers = range(1, len(store) + 1)

    def here(some: Sequence[int]) -> list[Later]:
        return [Later(partial(_call_here, f, store, number, further[number])) for number in some]

    outcomes: dict[int, Any] = {}
    try:
        for number, value in run_each(
            numbers,
            here,
            _There(f, further),
            shared=lambda: Packed.of(store.base),
            part=lambda number: store.piece(number - 1),
            n_jobs=n_jobs,
            what=what,
        ):
            in_worker = isinstance(value, _Carried)
            outcomes[number] = outcome = value.unpack() if in_worker else value
            # Here they come in order. Workers end in any order, and the first data set's error is
            # known once all are done.
            if not keep and isinstance(outcome, _Stopped) and not in_worker:
                raise outcome.error_of(number)
    except RBridgeError:
        raise
    except Exception as error:  # what f raises is caught where it is called
        raise ArgumentError(
            f"{what}: f can't be carried to other processes ({type(error).__name__}: {error}). Let "
            "it hold nothing but what pickles, or run here (n_jobs=1)."
        ) from error
    failed = {i: x.error_of(i) for i in numbers if isinstance(x := outcomes[i], _Stopped)}
    if failed and (not keep or len(failed) == len(numbers)):
        raise next(iter(failed.values()))
    return {i: outcomes[i] for i in numbers if i not in failed}, failed


@dataclass(frozen=True)
class _Stopped:
    """An exception of the user's function, with Python's report of it."""

    error: BaseException
    report: str
    what: str = "the function stopped with"

    def error_of(self, imputation: int) -> MapError:
        text = f"{self.what} {type(self.error).__name__}: {self.error}"
        error = MapError(f"imputation {imputation}: {text}\n{self.report}", imputation, self.report)
        error.__cause__ = self.error
        return error


@dataclass(frozen=True)
class _Carried:
    """An outcome on its way from a worker process."""

    pickled: bytes

    @classmethod
    def of(cls, outcome: Any) -> _Carried:
        """Pack it; an exception that can't be sent is replaced by its text."""
        try:
            packed = cls(pickled(outcome))
            if isinstance(outcome, _Stopped):
                packed.unpack()  # not every exception that pickles can be made again
        except Exception as error:  # pickling calls methods of the user's classes
            if isinstance(outcome, _Stopped):
                of_class = type(outcome.error).__name__
                told = RuntimeError(f"{of_class}: {outcome.error}")
                return cls(pickled(_Stopped(told, outcome.report)))
            return cls.of(_Stopped(error, _NOT_CARRIED, "what the function returned can't pickle:"))
        return packed

    def unpack(self) -> Any:
        """Return the outcome."""
        return pickle.loads(self.pickled)


_NOT_CARRIED = (
    "A function that runs in another process has to return what pickles, such as plain values; or "
    "let it run here (n_jobs=1)."
)


@dataclass(frozen=True)
class _There:
    """The call in a worker process."""

    f: Callable[..., Any]
    further: Mapping[int, tuple[Any, ...]]

    def __call__(self, base: Packed, number: int, piece: Piece) -> _Carried:
        # The frame that tasks share is mapped from a file and can't be written to; f's own can.
        frame = piece.complete(base.once(lambda frame: frame)).copy()
        return _Carried.of(_called(self.f, frame, self.further[number]))


def _call_here(f: Callable[..., Any], store: Store, number: int, further: tuple[Any, ...]) -> Any:
    return _called(f, store.piece(number - 1).complete(store.base), further)


def _called(f: Callable[..., Any], frame: pd.DataFrame, further: tuple[Any, ...]) -> Any:
    try:
        return f(frame, *further)
    except Exception as error:  # it is the user's function, which may raise anything
        # The first line of the traceback is this function's.
        inner = error.__traceback__ and error.__traceback__.tb_next
        return _Stopped(
            error, "".join(traceback.format_exception(type(error), error, inner)).strip()
        )
