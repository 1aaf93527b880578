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

from . import rdoor
from .arguments import (
    check_columns,
    check_count,
    check_frame,
    check_known,
    check_seed,
    check_timeout,
    column_list,
)
from .dtypes import restore
from .errors import ArgumentError, ImputationError, RBridgeWarning, RWarning, RWorkerLost
from .imputed import Cells, CellStore, ImputedData, RowStore, own_copy
from .isolation import Job, run_each_isolated, run_isolated
from .workers import Later, Packed, run_each

__all__ = ["AmeliaImputer", "BootstrapImputer", "impute"]

# amelia()'s arguments, by what they hold. Those that name columns are checked against the data.
_NAMES = ("idvars", "noms", "ords", "logs", "sqrts", "lgstc", "lags", "leads")
_NAME = ("ts", "cs")
_TABLES = {"priors": 2, "bounds": 1, "overimp": 2}  # which column of the table names a column
_OTHER = (
    "p2s", "frontend", "polytime", "splinetime", "intercs", "startvals", "tolerance", "incheck",
    "collect", "arglist", "empri", "autopri", "emburn", "max.resample", "boot.type", "parallel",
    "ncpus", "cl",
)  # fmt: skip
# Amelia hands these to compiled code unchecked: a text in place of a number ends the process.
_NUMBERS = (
    "p2s", "polytime", "splinetime", "startvals", "tolerance", "empri", "autopri", "emburn",
    "max.resample", "ncpus",
)  # fmt: skip
_TEXTS = {"boot.type": ("ordinary", "none"), "parallel": ("no",)}
_AMELIA = (*_NAMES, *_NAME, *_TABLES, *_OTHER)

# What helps, by the start of Amelia's own text or its code.
_REMEDIES = {
    38: "text columns must be id variables (idvars) or nominal (noms)",
    39: "there is nothing to impute: fit the model to the data as they are",
    42: "drop the constant column, or make it an id variable (idvars)",
    43: "drop the constant column, or make it an id variable (idvars)",
    2: "drop or combine collinear columns, or add a ridge prior (empri, about 1% of the rows)",
}


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
        As in R, rows and columns counted from 1; a column may be given by its name instead.
    rng : {"r", "streams"}
        "r": R's one stream of random numbers, as in ``set.seed(seed); amelia(...)``. "streams":
        each imputation has a stream of its own (L'Ecuyer et al. 2002), so that any number of
        processes gives the same data sets; they are others than those of "r".
    **arguments
        Every other argument of ``amelia()``, under R's name (``max_resample`` or
        ``**{"max.resample": ...}``). Not taken: ``frontend`` (a window), and ``parallel``, whose
        processes ignore the seed.

    Raises
    ------
    ArgumentError
        Unknown arguments, listing the valid ones.

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
        given = {name.replace("_", "."): value for name, value in arguments.items()}
        check_known(given, _AMELIA, "AmeliaImputer")
        given = {"idvars": idvars, "noms": noms, "ords": ords, **given}
        if given.get("frontend"):
            raise ArgumentError(
                "frontend=True opens Amelia's window, which a bridge can't: drop it."
            )
        if given.get("parallel", "no") != "no":
            raise ArgumentError(
                "Amelia's own parallel= ignores the seed, so the result could not be repeated: "
                "drop it; `Lmer.fit(imp, n_jobs=...)` runs the fits in parallel."
            )
        for name in _NAMES:
            if given.get(name) is not None:
                given[name] = column_list(given[name], name)
        _check_kinds(given)
        self.arguments: Mapping[str, Any] = {k: v for k, v in given.items() if v is not None}

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
            The data or a column name can't be right; R is not called.
        ImputationError
            Amelia refused the data or failed, with its text and a remedy.
        RTimeout, RWorkerLost
            With `timeout` or `isolate`: what was running, R's call and the seed.
        """
        check_frame(data)
        check_timeout(timeout)
        isolate = isolate or timeout is not None
        seed = check_seed(seed)
        arguments = self._checked(data)
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
                    Later(partial(_made, "impute_amelia_stream", data, i, seed, quiet))
                    for i in numbers
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
                lambda i: job("impute_amelia_stream", i, 1, f"Amelia, imputation {i}"),
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

    def _checked(self, data: pd.DataFrame) -> dict[str, Any]:
        """The arguments for R, after every check that needs no R."""
        arguments = dict(self.arguments)
        for name in _NAMES:
            check_columns(arguments.get(name, ()), data, name)
        for name in _NAME:
            if name in arguments:
                check_columns([arguments[name]], data, name)
        for name, position in _TABLES.items():
            if name in arguments:
                arguments[name] = _numbered(arguments[name], position, data, name)
        ids = {*arguments.get("idvars", ()), *(arguments[x] for x in _NAME if x in arguments)}
        classed = {*arguments.get("noms", ()), *arguments.get("ords", ())}
        _check_values(data, ids, classed)
        return arguments

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


@dataclass(frozen=True)
class _Stream:
    """One imputation in a worker process."""

    seed: int
    arguments: dict[str, Any]

    def __call__(self, data: Packed, number: int, _: None) -> _Made:
        return _made("impute_amelia_stream", data.unpack(), number, self.seed, self.arguments)


class BootstrapImputer:
    """Bootstrap samples of the rows, for where Amelia is absent: as the vignette does.

    In R: ``set.seed(seed); lapply(seq_len(m), function(i) data[sample.int(n, replace = TRUE), ])``.
    The samples are *not* imputations: holes stay holes, and the models drop them. Results are
    pooled by the spread of the estimates (Efron 1979), not by Rubin's rules.

    Parameters
    ----------
    m : int, at least 2
        Number of samples. Five, as for imputations, give a rough standard error; 200 a good one.
    cluster : name, optional
        Draw whole clusters (schools, say) with replacement, each draw under a label of its own,
        as multilevel data need: resampled rows alone understate the variance between clusters.

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
        check_frame(data)
        seed = check_seed(seed)
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
    isolate, timeout
        Of `AmeliaImputer.impute`; the bootstrap has no need of them.
    **arguments
        The engine's own; under "auto" Amelia's, which the bootstrap does without.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
    >>> rb.impute(holes, m=2, seed=1, idvars=["schid", "meanses"]).method
    'amelia'
    """
    if engine not in ("auto", "amelia", "bootstrap"):
        raise ArgumentError(f"engine must be 'auto', 'amelia' or 'bootstrap', not {engine!r}.")
    if engine == "amelia" or (engine == "auto" and rdoor.has_package("Amelia")):
        imputer = AmeliaImputer(m, **arguments)
        return imputer.impute(data, seed, isolate=isolate, timeout=timeout)
    if engine == "auto":
        warnings.warn(
            "R has no Amelia: the data sets are bootstrap samples, not imputations. Rows with "
            "holes are still dropped by each fit, so nothing is regained from them, and estimates "
            "are biased unless values are missing completely at random; standard errors are the "
            "spread of the estimates. Install Amelia for multiple imputation (on Debian: "
            "apt-get install r-cran-amelia).",
            RBridgeWarning,
            stacklevel=2,
        )
        AmeliaImputer(m, **arguments)  # what Amelia would refuse is refused here too
        arguments = {}
    return BootstrapImputer(m, **arguments).impute(data, seed)


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


def _check_values(data: pd.DataFrame, ids: set[str], classed: set[str]) -> None:
    """What Amelia can't impute from, found before it is called."""
    for name in data.columns:
        if name in ids:
            continue
        column = data[name]
        if column.isna().all():
            raise ArgumentError(
                f"column {name!r} has no value at all, so nothing can be imputed from it: drop it, "
                "or make it an id variable (idvars)."
            )
        if (
            pd.api.types.is_float_dtype(column.dtype)
            and np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan)).any()
        ):
            raise ArgumentError(
                f"column {name!r} holds infinite values: make them missing, or drop those rows."
            )
        coded = pd.api.types.is_numeric_dtype(column.dtype) or name in classed
        if not coded:
            raise ArgumentError(
                f"column {name!r} ({column.dtype}) is neither a number, nor an id variable, nor "
                "nominal or ordinal: Amelia can't use it. Name it in idvars, noms or ords."
            )


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
        raise _failure(found, reply.output)
    return _Made(
        found["cells"],
        reply.warnings + reply.messages,
        " ".join(found["message"]),
        tuple(int(x) for x in found["chain_lengths"]),
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


def _numbered(table: Any, position: int, data: pd.DataFrame, name: str) -> np.ndarray[Any, Any]:
    """A table of Amelia's with column names turned into R's column numbers."""
    rows = [list(row) for row in np.atleast_2d(np.asarray(table, dtype=object))]
    wanted = (4, 5) if name == "priors" else (3,) if name == "bounds" else (2,)
    if any(len(row) not in wanted for row in rows):
        raise ArgumentError(
            f"{name} must be a table of {' or '.join(map(str, wanted))} columns, as in R."
        )
    for row in rows:
        if isinstance(row[position - 1], str):
            check_columns([row[position - 1]], data, name)
            row[position - 1] = list(data.columns).index(row[position - 1]) + 1
    try:
        return np.array(rows, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} must hold numbers, but for names of columns.") from None


def _check_kinds(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if value is None:
            continue
        if name in _NUMBERS and np.asarray(value).dtype.kind not in "biuf":
            raise ArgumentError(f"{name} must be a number or numbers, not {value!r}.")
        if name == "emburn" and np.shape(value) != (2,):
            raise ArgumentError(
                f"emburn must be the least and the greatest number of iterations, not {value!r}."
            )
        if name in _TEXTS and value not in _TEXTS[name]:
            raise ArgumentError(f"{name} must be {' or '.join(_TEXTS[name])}, not {value!r}.")
        if name in ("arglist", "cl") and not hasattr(value, "__rsexp__"):
            raise ArgumentError(f"{name} must be an R object, not {type(value).__name__}.")
        if name in ("intercs", "incheck", "collect", "frontend") and not isinstance(
            value, bool | np.bool_
        ):
            raise ArgumentError(f"{name} must be True or False, not {value!r}.")


def _restored(data: pd.DataFrame, found: Mapping[str, Any]) -> tuple[dict[str, Cells], list[str]]:
    cells, notes = {}, []
    for name, cell in found.items():
        if _all_missing(cell["values"]):
            continue  # an id variable's holes stay
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
    ids = {*arguments.get("idvars", ()), *(arguments[x] for x in _NAME if x in arguments)}
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


def _failure(found: Mapping[str, Any], output: str) -> ImputationError:
    code = int(found["code"][0])
    said = found.get("message")
    text = " ".join(str(x).strip() for x in said if x) if said is not None else ""
    if code == 2:
        failed = ", ".join(str(x) for x in found.get("failed", []))
        text = text or "the variance matrix of an imputation was not invertible"
        text = f"imputation {failed} failed: {text}"
    remedy = _REMEDIES.get(code, "see ?amelia")
    return ImputationError(
        f"Amelia (code {code}): {text}\n  what helps: {remedy}.", r_message=text, output=output
    )
