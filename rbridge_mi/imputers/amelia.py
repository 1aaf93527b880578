"""Multiple imputation by Amelia."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from tqdm import tqdm

from .. import rdoor
from ..base.arguments import (
    check_count,
    check_frame_for_r,
    check_known,
    check_memory,
    check_seed,
    check_timeout,
)
from ..data.imputed_data import ImputedData
from ..data.provenance import trace_of_lengths
from ..data.stores import Cells, CellStore, own_copy
from ..errors import ArgumentError, ImputationError, RBridgeWarning, RWarning, RWorkerLost
from ..processes.isolation import Job, run_each_isolated, run_isolated
from ..processes.workers import Later, Packed, run_each
from . import amelia_arguments as amelia
from .restoring import restore

__all__ = ["AmeliaImputer"]

_STREAM = "impute_amelia_stream"  # R's function for one imputation on a stream of its own
_EACH = 1000  # bytes, at least, that a data set takes beside its values: in R, and here


class AmeliaImputer:
    """Multiple imputation by Amelia: ``Amelia::amelia(x, m, ...)``.

    Parameters
    ----------
    m : int, at least 2
        Number of data sets.
    idvars, noms, ords, logs, sqrts, lgstc, lags, leads : name or list of names
        Columns that are identifiers, nominal, ordinal, or to be transformed, as in R.
    ts, cs : name
        The time and the cross-section column.
    priors, bounds, overimp : array-like
        As in R, rows and columns counted from 1; a column may be given by its name instead. Of a
        column in logs, sqrts or lgstc they are on its transformed scale (for logs, that of
        log(x - min + 1), min being at most 0).
    rng : {"r", "streams"}
        "r": R's one stream of random numbers, as in ``set.seed(seed); amelia(...)``. "streams":
        each imputation has a stream of its own (L'Ecuyer et al. 2002), so that any number of
        processes gives the same data sets; they are others than those of "r".
    **arguments
        Every other argument of ``amelia()``, under R's name (``max_resample`` or
        ``**{"max.resample": ...}``). Not taken: ``frontend`` (a window), and ``parallel``, whose
        processes ignore the seed.

    Observed cells stay as they are, but for those in `overimp`. Three faults of Amelia 1.8 are
    dealt with here. Of `priors` of one row Amelia makes a vector, and takes its numbers for other
    cells; here they stay a table, which in R takes a second row (an observed cell, its value, any
    standard deviation). With `logs` its imputed values are 1 too large: so they are here, as in R,
    and a warning says so. With `overimp` it can mix up the categories of `noms`: that is refused.

    Raises
    ------
    ArgumentError
        Unknown arguments, with the nearest valid one and the list of them; arguments that exclude
        each other.

    References
    ----------
    Honaker, King and Blackwell (2011), Amelia II: A Program for Missing Data, Journal of
    Statistical Software 45(7); L'Ecuyer, Simard, Chen and Kelton (2002), An Object-Oriented
    Random-Number Package with Many Long Streams and Substreams, Operations Research 50(6).

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns=["ses", "female"], seed=1)
    >>> imputer = rb.AmeliaImputer(m=2, idvars=["schid", "meanses"], noms="female")
    >>> imp = imputer.impute(holes, seed=1)
    >>> int(imp[0].isna().sum().sum())
    0
    """

    def __init__(
        self,
        m: int = 5,
        *,
        idvars: str | Sequence[str] | None = None,
        noms: str | Sequence[str] | None = None,
        ords: str | Sequence[str] | None = None,
        rng: Literal["r", "streams"] = "r",
        **arguments: Any,
    ) -> None:
        self.m = check_count(m, "m (the number of imputations)", 2)
        check_known([rng], ("r", "streams"), "rng")
        self.rng = rng
        self.arguments: Mapping[str, Any] = amelia.taken(
            {"idvars": idvars, "noms": noms, "ords": ords, **arguments}
        )

    def impute(
        self,
        data: pd.DataFrame,
        seed: int | None = None,
        *,
        n_jobs: int | None = None,
        isolate: bool = False,
        timeout: float | None = None,
    ) -> ImputedData:
        """m completed data sets: ``set.seed(seed); amelia(data, m, ...)``, to the last bit.

        Parameters
        ----------
        data : DataFrame
            Numbers, booleans, categories and text; text columns must be id variables or nominal.
        seed : int, optional
            Drawn, and kept in the result, if not given.
        n_jobs : int, optional
            With ``rng="streams"``: processes, as joblib counts them.
        isolate : bool
            Run Amelia in a process of its own, so that a crash of R, or a kill for want of memory,
            is an `RWorkerLost` here, and no end of this process. Same bits.
        timeout : float, optional
            Seconds that Amelia may take in such a process (with ``rng="streams"``: for one
            imputation), since on awkward data it may never end; implies `isolate`.

        Raises
        ------
        ArgumentError
            The data, a column name, a row of `priors`, `bounds` or `overimp` can't be right, or m
            data sets would not fit into memory; R is not called.
        ImputationError
            Amelia refused the data or failed, with its text and a remedy; or it changed a cell
            that was observed.
        RTimeout, RWorkerLost
            With `timeout` or `isolate`: what was running, R's call and the seed.
        """
        check_frame_for_r(data)
        check_timeout(timeout)
        isolate = isolate or timeout is not None
        seed = check_seed(seed)
        arguments = amelia.checked(self.arguments, data)
        # R's one stream: amelia() keeps all of its data sets until the last is made.
        values = data.size if self.rng == "r" else int(data.isna().to_numpy().sum())
        check_memory(self.m, 8 * values + _EACH, "imputations")
        if self.rng == "r" and n_jobs not in (None, 1):
            raise ArgumentError(
                "n_jobs needs rng='streams': R's one stream of random numbers makes the "
                "imputations one after the other."
            )
        rdoor.require_package("Amelia", "AmeliaImputer")
        if isolate:
            made = self._isolated(data, seed, arguments, n_jobs, timeout)
        elif self.rng == "streams":
            made = self._streams(data, seed, arguments, n_jobs)
        else:
            made = [self._together(data, seed, arguments)]
        found = _joined(data, [x.cells for x in made])
        cells, notes = _restored(data, found)
        notes += dict.fromkeys(text for x in made for text in x.notes)
        notes += amelia.unused_priors(arguments, data)
        said = tuple(dict.fromkeys(text for x in made for text in x.said))
        said += _still_missing(data, found, self.arguments)
        for text in said:
            warnings.warn(f"Amelia: {text}", RWarning, stacklevel=2)
        for text in notes:
            warnings.warn(f"AmeliaImputer: {text}", RBridgeWarning, stacklevel=2)
        return ImputedData(
            original=own_copy(data),
            store=CellStore(own_copy(data), cells, self.m),
            method="amelia",
            seed=seed,
            settings={"m": self.m, "rng": self.rng, **self.arguments},
            warnings=said,
            notes=tuple(notes),
            log=(made[0].message,),
            trace=trace_of_lengths([n for x in made for n in x.chain_lengths], "changing"),
        )

    def _together(self, data: pd.DataFrame, seed: int, arguments: dict[str, Any]) -> _Made:
        with _Progress(self.m) as hear:
            shown = {"p2s": 1} | arguments
            return _made("impute_amelia", data, self.m, seed, shown, on_output=hear)

    def _streams(
        self, data: pd.DataFrame, seed: int, arguments: dict[str, Any], n_jobs: int | None
    ) -> list[_Made]:
        quiet = {"p2s": 0} | arguments
        made = dict(
            run_each(
                range(1, self.m + 1),
                lambda numbers: [
                    Later(partial(_made, _STREAM, data, i, seed, quiet)) for i in numbers
                ],
                rdoor.AsHere(_Stream(seed, quiet)),
                shared=lambda: Packed.of(data),
                own=lambda _: None,
                n_jobs=n_jobs,
                what="Amelia",
            )
        )
        return [made[i] for i in range(1, self.m + 1)]

    def _isolated(
        self,
        data: pd.DataFrame,
        seed: int,
        arguments: dict[str, Any],
        n_jobs: int | None,
        timeout: float | None,
    ) -> list[_Made]:
        """Amelia in a process that may be lost; on streams, in one for each imputation."""
        quiet = {"p2s": 0} | arguments
        warm = partial(rdoor.has_package, "Amelia")

        def job(function: str, number: int, m: int, what: str) -> Job:
            call = f"set.seed({seed}); Amelia::amelia(x, {_r_arguments({'m': m, **arguments})})"
            run = rdoor.AsHere(partial(_made, function, data, number, seed, quiet))
            return Job(run, warm, what, call, seed)

        if self.rng == "r":
            return [run_isolated(job("impute_amelia", self.m, self.m, "Amelia"), timeout)]
        numbers = range(1, self.m + 1)
        found = dict(
            run_each_isolated(
                numbers,
                lambda i: job(_STREAM, i, 1, f"Amelia, imputation {i}"),
                timeout=timeout,
                n_jobs=n_jobs,
            )
        )
        lost = [i for i in numbers if isinstance(found[i], RWorkerLost)]
        if lost:
            error: RWorkerLost = found[lost[0]]
            error.imputation = lost[0]
            if len(lost) > 1:
                error.args = (f"{error.args[0]}\n  Lost too: imputations {lost[1:]}.",)
            raise error
        return [found[i] for i in numbers]

    def __repr__(self) -> str:
        shown = "".join(f", {k.replace('.', '_')}={v!r}" for k, v in self.arguments.items())
        return f"AmeliaImputer(m={self.m}{shown})"


@dataclass(frozen=True)
class _Made:
    """What one call of Amelia gave: its cells by column, as R has them, and what it said."""

    cells: Mapping[str, Any]
    said: tuple[str, ...]
    message: str
    chain_lengths: tuple[int, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Stream:
    """One imputation in a worker process."""

    seed: int
    arguments: dict[str, Any]

    def __call__(self, data: Packed, number: int, _: None) -> _Made:
        return _made(_STREAM, data.unpack(), number, self.seed, self.arguments)


class _Progress:
    """A bar on a terminal, driven by what Amelia prints; nothing elsewhere."""

    def __init__(self, m: int) -> None:
        self._bar = tqdm(total=m, desc="Amelia", unit="imputation", disable=None, leave=False)
        self._started = 0

    def __enter__(self) -> Callable[[str], None]:
        return self._hear

    def _hear(self, text: str) -> None:
        for _ in re.findall(r"-- Imputation \d+ --", text):
            self._bar.update(1 if self._started else 0)
            self._started += 1

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def _made(
    function: str,
    data: pd.DataFrame,
    number: int,
    seed: int,
    arguments: dict[str, Any],
    on_output: Callable[[str], None] | None = None,
) -> _Made:
    reply = rdoor.call(
        function, data, number, seed, arguments, on_output=on_output, error=ImputationError
    )
    found = reply.value
    if "cells" not in found:
        raise amelia.failure(found, reply.output)
    wrong = amelia.altered(found["altered"], number if function == _STREAM else None)
    if wrong is not None:
        raise wrong
    return _Made(
        found["cells"],
        reply.warnings + reply.messages,
        " ".join(found["message"]),
        tuple(int(x) for x in found["chain_lengths"]),
        amelia.log_shift(found["log_shift"]),
    )


def _r_arguments(arguments: Mapping[str, Any]) -> str:
    """Arguments as a message shows them in R's words; long ones are cut."""

    def word(value: Any) -> str:
        if isinstance(value, str):
            return f'"{value}"'
        if isinstance(value, bool):
            return str(value).upper()
        if isinstance(value, list | tuple):
            return f"c({', '.join(word(x) for x in value)})" if len(value) != 1 else word(value[0])
        return " ".join(str(value).split())

    shown = {k: word(v) for k, v in arguments.items()}
    return ", ".join(f"{k} = {v[:60] + '…' if len(v) > 60 else v}" for k, v in shown.items())


def _joined(data: pd.DataFrame, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The cells of several calls of Amelia, by column; rows counted from 1."""
    joined = {}
    for name in data.columns:
        have = [x[name] for x in parts if name in x]
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


def _restored(data: pd.DataFrame, found: Mapping[str, Any]) -> tuple[dict[str, Cells], list[str]]:
    cells, notes = {}, []
    for name, cell in found.items():
        if _all_missing(cell["values"]):
            continue  # holes in rows that have no other value stay
        column = restore(data[name], cell["values"])
        cells[name] = Cells(cell["rows"] - 1, tuple(column.values), column.dtype)
        if column.note:
            notes.append(column.note)
    return cells, notes


def _all_missing(values: Sequence[Any]) -> bool:
    return all(bool(pd.isna(x).all()) for x in values)


def _still_missing(
    data: pd.DataFrame, found: Mapping[str, Any], arguments: Mapping[str, Any]
) -> tuple[str, ...]:
    ids = amelia.id_columns(arguments)
    holes = {
        name: int(max(pd.isna(x).sum() for x in cell["values"])) for name, cell in found.items()
    }
    left = {name: n for name, n in holes.items() if n and name not in ids}
    blank = int(data.drop(columns=list(ids & set(data.columns))).isna().all(axis=1).sum())
    if left and max(left.values()) > blank:
        raise ImputationError(
            f"Amelia left holes in {', '.join(f'{k!r} ({v} cells)' for k, v in left.items())}: "
            "its data sets are not complete. Check these columns' type and bounds."
        )
    if blank:
        return (f"{blank} rows have no value but their id variables: they are left as they are",)
    return ()
