"""How an engine's R function is run, and how its answer becomes an `ImputedData`.

An engine gives an `EngineCall`: what R is asked, and how its refusals are read. Where the call is
run (here, on worker processes, in a process that may be lost) is the business of
`processes.running`; what all engines' answers have in common is joined, checked and restored here.
r/imputers/imputed.R says what an engine's R function returns.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd

from .. import rdoor
from ..data.imputed_data import ImputedData
from ..data.provenance import ColumnModel, joined_traces, parameters
from ..data.stores import Cells, CellStore, own_copy
from ..errors import ArgumentError, ImputationError, RBridgeWarning, RWarning
from ..processes.progress import OutputProgress
from ..processes.running import Number, run_all, run_one
from ..processes.workers import Later, Packed
from .restoring import restore

__all__ = ["EngineCall", "Imputations", "completed", "impute_by", "joined_cells", "refuse_altered"]

# Of an engine's answer, R's output and the number of the data set (None: all of them): raises what
# the answer says went wrong, and returns notes.
Reader = Callable[[Mapping[str, Any], str, Number], tuple[str, ...]]


@dataclass(frozen=True)
class EngineCall:
    """A call of an engine: what R is asked, and how its answer is read. It pickles.

    Parameters
    ----------
    label : str
        The engine's name in messages.
    package : str
        The R package.
    function : str
        The engine in r/imputers/, a function(data, m, args).
    r_function : str
        The function that it calls, as messages show it.
    seed : int
    m : int
    arguments : mapping
        Under R's names.
    read : callable
        Raises what the answer says went wrong, and returns notes; see `Reader`.
    quiet, aloud : mapping
        Arguments that keep R from printing, and those that make it print its progress; both give
        way to `arguments`.
    progress : str
        A regular expression for the line that R prints when it begins an imputation, or one of the
        steps of which it has several.
    keep_r : bool
        Keep the engine's R object.
    steps : int
        How many such lines there are for each imputation.
    fresh : bool
        A separate process must have done nothing before, since compiled code of the engine's keeps
        state from one call to the next.
    """

    label: str
    package: str
    function: str
    r_function: str
    seed: int
    m: int
    arguments: Mapping[str, Any]
    read: Reader
    quiet: Mapping[str, Any] = field(default_factory=dict)
    aloud: Mapping[str, Any] = field(default_factory=dict)
    progress: str = ""
    keep_r: bool = False
    steps: int = 1
    fresh: bool = False

    @property
    def imputer(self) -> str:
        """The name of its class."""
        return f"{self.label.capitalize()}Imputer"


@dataclass(frozen=True)
class Imputations:
    """What one call of an engine gave.

    Parameters
    ----------
    cells : mapping
        By column, the rows (from 1) that imputations fill, and per imputation their values, as R
        has them.
    trace : DataFrame
    saw : mapping
        By column, what its model saw.
    log : tuple of str
        What the engine reported.
    conditions : tuple of str
        R's warnings and messages.
    notes : tuple of str
    r : RObject, optional
    derived : mapping
        Complete columns that the engine adds to the data.
    """

    cells: Mapping[str, Any]
    trace: pd.DataFrame
    saw: Mapping[str, ColumnModel]
    log: tuple[str, ...]
    conditions: tuple[str, ...]
    notes: tuple[str, ...]
    r: rdoor.RObject | None = None
    derived: Mapping[str, Any] = field(default_factory=dict)


def impute_by(
    call: EngineCall,
    data: pd.DataFrame,
    *,
    rng: Literal["r", "streams"],
    n_jobs: int | None = None,
    isolate: bool = False,
    timeout: float | None = None,
) -> list[Imputations]:
    """Run an engine.

    Parameters
    ----------
    call : EngineCall
    data : DataFrame
    rng : {"r", "streams"}
        One call that makes all data sets, or one for each of them.
    n_jobs : int, optional
    isolate : bool
    timeout : float, optional
        As in `processes.running`.

    Returns
    -------
    list of Imputations
        One per call.

    Raises
    ------
    ArgumentError
        The random numbers of R's one stream can't be had from several processes, nor one R object
        from several calls.
    RPackageError
        R lacks the engine's package.
    """
    if rng == "r" and n_jobs not in (None, 1):
        raise ArgumentError(
            "n_jobs needs rng='streams': R's one stream of random numbers makes the "
            "imputations one after the other."
        )
    if rng == "streams" and call.keep_r:
        raise ArgumentError(
            "keep_r needs rng='r': on streams each imputation is a call of its own, so that R has "
            "no object that holds them all."
        )
    rdoor.require_package(call.package, call.imputer)
    task = _ImputationTask(call, data)
    if rng == "r":
        return [run_one(task, isolate=isolate, timeout=timeout)]
    numbers = range(1, call.m + 1)
    return run_all(task, numbers, n_jobs=n_jobs, isolate=isolate, timeout=timeout)


@dataclass(frozen=True)
class _ImputationTask:
    """An engine's call as `processes.running` takes it; number None makes all data sets."""

    call: EngineCall
    data: pd.DataFrame

    @property
    def label(self) -> str:
        return self.call.label

    @property
    def package(self) -> str:
        return self.call.package

    @property
    def seed(self) -> int:
        return self.call.seed

    @property
    def fresh(self) -> bool:
        return self.call.fresh

    @property
    def remote(self) -> _Remote:
        return _Remote(self.call)

    def r_call(self, number: Number) -> str:
        m = self.call.m if number is None else 1
        arguments = _in_r({"m": m, **self.call.arguments})
        return f"set.seed({self.seed}); {self.call.r_function}(x, {arguments})"

    def begin(self, numbers: Sequence[Number]) -> Sequence[Later]:
        return [Later(partial(self._here, number)) for number in numbers]

    def _here(self, number: Number) -> Imputations:
        """Run it in this process, with a progress bar where R makes all data sets in one call."""
        if number is not None:
            return _run(self.call, self.data, number)
        call = self.call
        unit = "imputation" if call.steps == 1 else "step"
        with OutputProgress(self.label, call.m * call.steps, call.progress, unit) as on_output:
            return _run(self.call, self.data, number, on_output)

    def shared(self) -> Packed:
        return Packed.of(self.data)

    def part(self, number: Number) -> None:
        """Nothing: all imputations are of the same data."""

    def received(self, value: Imputations, number: Number) -> Imputations:
        del number
        return value


@dataclass(frozen=True)
class _Remote:
    """The call in another process."""

    call: EngineCall

    def __call__(self, shared: Packed, number: Number, part: None) -> Imputations:
        del part
        return _run(self.call, shared.unpack(), number)


def _run(
    call: EngineCall,
    data: pd.DataFrame,
    number: Number,
    on_output: Callable[[str], None] | None = None,
) -> Imputations:
    """Call R in this process."""
    printing = call.quiet if on_output is None else call.aloud
    arguments = {**printing, **call.arguments}
    kept = None
    if number is not None:
        reply = rdoor.call(
            "impute_on_stream", call.function, data, number, call.seed, arguments,
            error=ImputationError,
        )  # fmt: skip
        answer = reply.value
    elif call.keep_r:
        reply = rdoor.begin_call_object(
            "impute_together", call.function, data, call.m, call.seed, arguments, keep=True,
            on_output=on_output, error=ImputationError,
        ).reply()  # fmt: skip
        answer = reply.value.call("imputation_answer").value
        kept = rdoor.call_object("imputation_object", reply.value)
    else:
        reply = rdoor.call(
            "impute_together", call.function, data, call.m, call.seed, arguments,
            on_output=on_output, error=ImputationError,
        )  # fmt: skip
        answer = reply.value
    notes = call.read(answer, reply.output, number)
    return Imputations(
        answer["cells"],
        _trace(answer["trace"]),
        dict(_column_models(answer["saw"])),
        tuple(map(str, answer["log"])),
        reply.warnings + reply.messages,
        notes,
        kept,
        answer.get("derived", {}),
    )


def _trace(answer: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "imputation": np.asarray(answer["imputation"], np.int64),
            "iteration": np.asarray(answer["iteration"], np.int64),
            "parameter": parameters(map(str, answer["parameter"])),
            "value": np.asarray(answer["value"], np.float64),
        }
    )


def _column_models(answer: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ColumnModel]]:
    """Pair each column with its model; R lists each model once, with the columns it imputes."""
    for model in answer:
        predictors = tuple(map(str, model["predictors"]))
        level = None if model["level"] is None else str(model["level"][0])
        effects = model.get("random_effects")
        for name in map(str, model["columns"]):
            yield (
                name,
                ColumnModel(
                    str(model["method"][0]),
                    tuple(x for x in predictors if x != name),
                    tuple(x for x in map(str, model["groups"]) if x != name),
                    level,
                    () if effects is None else tuple(map(str, effects)),
                ),
            )


def refuse_altered(answer: Mapping[str, Any], number: Number, label: str, remedy: str) -> None:
    """Refuse an answer in which observed cells have changed.

    Parameters
    ----------
    answer : mapping
        The answer's `altered`.
    number : int or None
        Of the one data set that was asked for.
    label, remedy : str
        For the message.

    Raises
    ------
    ImputationError
        Names some of the cells.
    """
    names = ("imputation", "row", "column", "was", "became")
    cells = pd.DataFrame({name: np.atleast_1d(answer[name]) for name in names})
    if cells.empty:
        return
    if number is not None:
        cells["imputation"] = number
    shown = [
        f"column {x.column!r}, row {x.row} in imputation {x.imputation} ({x.was!r} became "
        f"{x.became!r})"
        for x in cells.head(3).itertuples()
    ]
    more = f" and {len(cells) - 3} more" if len(cells) > 3 else ""
    raise ImputationError(
        f"{label} changed cells that were observed, which it must not: {'; '.join(shown)}{more} "
        f"(rows are counted from 1). This is a fault of {label}'s, so its data sets are not given "
        f"out.\n  what helps: {remedy}."
    )


def joined_cells(data: pd.DataFrame, parts: Sequence[Imputations]) -> dict[str, Any]:
    """Join the cells of several calls, by column; rows are counted from 1.

    Parameters
    ----------
    data : DataFrame
    parts : sequence of Imputations

    Returns
    -------
    dict
        For each column, its rows and its values.

    Raises
    ------
    ImputationError
        The calls fill different cells.
    """
    joined = {}
    for name in data.columns:
        have = [x.cells[name] for x in parts if name in x.cells]
        if not have:
            continue
        rows = have[0]["rows"]
        if len(have) < len(parts) or not all(np.array_equal(x["rows"], rows) for x in have):
            raise ImputationError(
                f"column {name!r}: the imputations differ in the cells that they fill, so that "
                "they can't be stored as one: use rng='r'."
            )
        joined[name] = {"rows": rows, "values": [v for x in have for v in x["values"]]}
    return joined


def completed(
    data: pd.DataFrame,
    parts: Sequence[Imputations],
    cells: Mapping[str, Any],
    *,
    call: EngineCall,
    method: str,
    settings: Mapping[str, Any],
    notes: Sequence[str] = (),
    conditions: Sequence[str] = (),
) -> ImputedData:
    """Make the data sets, and pass on the warnings of R and of the engine's reader.

    Parameters
    ----------
    data : DataFrame
    parts : sequence of Imputations
    cells : mapping
        As `joined_cells` joined them.
    call : EngineCall
    method : str
    settings : mapping
        What the `ImputedData` tells of the engine's arguments.
    notes, conditions : sequence of str
        More of both, beside those of the parts.

    Returns
    -------
    ImputedData
        With the warnings and the notes of all calls.
    """
    stored, all_notes = _restored(data, cells)
    all_notes += dict.fromkeys(text for x in parts for text in x.notes)
    all_notes += notes
    all_conditions = tuple(dict.fromkeys(text for x in parts for text in x.conditions))
    all_conditions += tuple(conditions)
    for text in all_conditions:
        warnings.warn(f"{call.label}: {text}", RWarning, stacklevel=3)
    for text in all_notes:
        warnings.warn(f"{call.imputer}: {text}", RBridgeWarning, stacklevel=3)
    return ImputedData(
        original=own_copy(data),
        store=CellStore(own_copy(data), stored, call.m),
        method=method,
        seed=call.seed,
        settings=settings,
        warnings=all_conditions,
        notes=tuple(all_notes),
        log=tuple(dict.fromkeys(text for x in parts for text in x.log)),
        trace=joined_traces([x.trace for x in parts]),
        saw={name: parts[0].saw[name] for name in stored if name in parts[0].saw},
        r=parts[0].r,
    )


def _restored(data: pd.DataFrame, joined: Mapping[str, Any]) -> tuple[dict[str, Cells], list[str]]:
    cells, notes = {}, []
    for name, cell in joined.items():
        if all(bool(pd.isna(x).all()) for x in cell["values"]):
            continue  # holes in rows that have no other value stay
        column = restore(data[name], cell["values"])
        cells[name] = Cells(cell["rows"] - 1, tuple(column.values), column.dtype)
        if column.note:
            notes.append(column.note)
    return cells, notes


def _in_r(arguments: Mapping[str, Any]) -> str:
    """Write arguments as R does, for messages; long ones are cut."""

    def written(value: Any) -> str:
        if isinstance(value, str):
            return f'"{value}"'
        if isinstance(value, bool):
            return str(value).upper()
        if isinstance(value, list | tuple):
            items = [written(x) for x in value]
            return f"c({', '.join(items)})" if len(items) != 1 else items[0]
        return " ".join(str(value).split())

    texts = {name: written(value) for name, value in arguments.items()}
    return ", ".join(f"{k} = {v[:60] + '…' if len(v) > 60 else v}" for k, v in texts.items())
