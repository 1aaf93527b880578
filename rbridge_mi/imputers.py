"""Imputers: anything with ``impute(data, seed) -> ImputedData``."""

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

from . import amelia, rdoor
from .arguments import (
    check_columns,
    check_count,
    check_frame_for_r,
    check_known,
    check_memory,
    check_seed,
    check_timeout,
)
from .dtypes import restore
from .errors import ArgumentError, ImputationError, RBridgeWarning, RWarning, RWorkerLost
from .imputed import Cells, CellStore, ImputedData, RowStore, own_copy
from .isolation import Job, run_each_isolated, run_isolated
from .workers import Later, Packed, run_each

__all__ = ["AmeliaImputer", "BootstrapImputer", "impute"]

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
            message=made[0].message,
            chain_lengths=tuple(n for x in made for n in x.chain_lengths),
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


class BootstrapImputer:
    """Bootstrap samples of whole groups, or of rows as the vignette draws them.

    In R: ``set.seed(seed); lapply(seq_len(m), function(i) data[sample.int(n, replace = TRUE), ])``;
    with `cluster`, n is the number of groups and their rows are taken together. The samples are
    *not* imputations: holes stay holes, and the models drop them. Results are pooled by the spread
    of the estimates (Efron 1979), not by Rubin's rules.

    Parameters
    ----------
    m : int, at least 2
        Number of samples. Five, as for imputations, give a rough standard error; 200 a good one.
    cluster : name, optional
        Draw whole groups (schools, say; of nested ones the highest) with replacement, each draw
        under a label of its own, as a model with groups needs. Without it rows are drawn one by
        one, as in merTools' vignette, and that is right only for a model without groups: a row
        that is drawn twice looks like two rows that agree, so that the variance between groups
        comes out far too large (with 60 groups of 5 rows and no such variance at all, an SD of
        about 0.4 to 0.5 of sigma), and the standard errors of group-level coefficients too small.

    Raises
    ------
    ArgumentError
        A cluster column that isn't there or has missing values; more samples than memory holds.

    References
    ----------
    Efron (1979), The Annals of Statistics 7, 1-26; Davison and Hinkley (1997), Bootstrap Methods
    and their Application, section 3.8 (data with groups).

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> boot = rb.BootstrapImputer(m=3, cluster="schid").impute(rb.load_hsb(), seed=1)
    >>> boot.kind, boot[0]["schid"].nunique()
    ('bootstrap', 160)
    """

    def __init__(self, m: int = 5, cluster: str | None = None) -> None:
        self.m = check_count(m, "m (the number of bootstrap samples)", 2)
        self.cluster = cluster

    def impute(self, data: pd.DataFrame, seed: int | None = None) -> ImputedData:
        """m samples of the data; see the class."""
        check_frame_for_r(data)
        seed = check_seed(seed)
        # A row's number, in R and here; and with clusters its label.
        each = 8 if self.cluster is None else 80
        check_memory(self.m, each * len(data) + _EACH, "bootstrap samples")
        if self.cluster is None:
            store = RowStore(own_copy(data), tuple(self._draw(len(data), seed)))
        else:
            store = self._clusters(data, self.cluster, seed)
        return ImputedData(
            original=own_copy(data),
            store=store,
            method="bootstrap",
            kind="bootstrap",
            seed=seed,
            settings={"m": self.m, "cluster": self.cluster},
        )

    def _draw(self, n: int, seed: int) -> list[np.ndarray[Any, Any]]:
        return [rows - 1 for rows in rdoor.call("bootstrap_rows", n, self.m, seed).value]

    def _clusters(self, data: pd.DataFrame, cluster: str, seed: int) -> RowStore:
        check_columns([cluster], data, "cluster")
        if data[cluster].isna().any():
            raise ArgumentError(f"cluster column {cluster!r} has missing values: drop those rows.")
        codes, _ = pd.factorize(data[cluster])
        members = [np.flatnonzero(codes == i) for i in range(codes.max() + 1)]
        rows, labels = [], []
        for draws in self._draw(len(members), seed):
            picked = [members[i] for i in draws]
            rows.append(np.concatenate(picked).astype(np.int32))
            number = np.repeat(np.arange(1, len(draws) + 1), [len(x) for x in picked])
            names = data[cluster].astype(str).to_numpy()[rows[-1]]
            labels.append(
                np.array([f"{a}#{b}" for a, b in zip(names, number, strict=True)], object)
            )
        return RowStore(own_copy(data), tuple(rows), cluster, tuple(labels))

    def __repr__(self) -> str:
        return f"BootstrapImputer(m={self.m}, cluster={self.cluster!r})"


def impute(
    data: pd.DataFrame,
    m: int = 5,
    engine: Literal["auto", "amelia", "bootstrap"] = "auto",
    seed: int | None = None,
    *,
    cluster: str | None = None,
    isolate: bool = False,
    timeout: float | None = None,
    **arguments: Any,
) -> ImputedData:
    """m data sets by the engine that R has.

    Parameters
    ----------
    data : DataFrame
    m : int, at least 2
    engine : {"auto", "amelia", "bootstrap"}
        "auto" takes Amelia if R has it, else the bootstrap, with a warning that says what that
        means for inference.
    seed : int, optional
    cluster : name, optional
        The groups of the model to come, which the bootstrap then draws whole (`BootstrapImputer`).
        Amelia, where "auto" takes it, needs no such column.
    isolate, timeout
        Of `AmeliaImputer.impute`; the bootstrap has no need of them.
    **arguments
        Amelia's own, which the bootstrap does without where "auto" falls back on it.

    Raises
    ------
    ArgumentError
        Arguments that the engine doesn't have.
    ImputationError
        See `AmeliaImputer.impute`.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
    >>> rb.impute(holes, m=2, seed=1, idvars=["schid", "meanses"]).method
    'amelia'
    """
    if engine not in ("auto", "amelia", "bootstrap"):
        raise ArgumentError(f"engine must be 'auto', 'amelia' or 'bootstrap', not {engine!r}.")
    if engine == "bootstrap":
        check_known(arguments, ("cluster",), "engine='bootstrap'")
        return BootstrapImputer(m, cluster).impute(data, seed)
    if engine == "amelia" and cluster is not None:
        raise ArgumentError(
            "cluster= is the bootstrap's: Amelia knows groups as a nominal column (noms), or as "
            "cross-sections with intercepts of their own (cs=, intercs=True)."
        )
    imputer = AmeliaImputer(m, **arguments)  # refuses what Amelia doesn't take, with or without it
    if engine == "auto" and not rdoor.has_package("Amelia"):
        drawn = "whole groups of " + cluster if cluster else "rows, one by one"
        offer = (
            ""
            if cluster
            else (
                " For a model with groups give their column, cluster=..., so that whole groups are "
                "drawn: of single rows the variance between groups comes out far too large."
            )
        )
        warnings.warn(
            f"R has no Amelia: the data sets are bootstrap samples, not imputations ({drawn}). "
            "Rows with holes are still dropped by each fit, so nothing is regained from them, and "
            "estimates are biased unless values are missing completely at random; standard errors "
            f"are the spread of the estimates.{offer} Install Amelia for multiple imputation (on "
            "Debian: apt-get install r-cran-amelia).",
            RBridgeWarning,
            stacklevel=2,
        )
        return BootstrapImputer(m, cluster).impute(data, seed)
    if cluster is not None:
        check_columns([cluster], data, "cluster")
    return imputer.impute(data, seed, isolate=isolate, timeout=timeout)


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
