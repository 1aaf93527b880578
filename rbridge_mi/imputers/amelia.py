"""Multiple imputation by Amelia: its arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from ..base.arguments import (
    check_count,
    check_frame_for_r,
    check_memory,
    check_seed,
    check_timeout,
    check_value,
)
from ..data.imputed_data import ImputedData
from ..errors import ImputationError
from ..processes.running import Number
from . import amelia_arguments as amelia
from .arguments import EngineParameters
from .execution import EngineCall, completed, impute_by, joined_cells, refuse_altered

__all__ = ["AmeliaImputer"]

_EACH = 1000  # bytes, at least, that a data set takes beside its values: in R, and here

Columns: TypeAlias = str | Sequence[str]
Table: TypeAlias = Sequence[Sequence[Any]] | np.ndarray[Any, Any] | pd.DataFrame


class AmeliaImputer(EngineParameters):
    """Multiple imputation by Amelia: ``Amelia::amelia(x, m, ...)``.

    Every argument but `rng` is R's, with `_` for `.` in its name; None, where it is the default,
    leaves R's default.

    Parameters
    ----------
    m : int
        Number of data sets. One can be fitted, but not pooled.
    idvars : str or list of str, optional
        Columns that are neither imputed nor imputed from.
    ts : str, optional
        The time column.
    cs : str, optional
        The column of cross-sections, such as persons or countries.
    noms, ords : str or list of str, optional
        Nominal and ordinal columns.
    logs, sqrts, lgstc : str or list of str, optional
        Columns that are imputed on the scale of their logarithm, square root, or log odds.
    lags, leads : str or list of str, optional
        Columns whose values one time before and one time after go into the model.
    polytime : int from 0 to 3, optional
        Degree of the polynomial of time.
    splinetime : int from 0 to 6, optional
        Degrees of freedom of smoothing splines of time.
    intercs : bool, optional
        Whether each cross-section has a separate course over time (with ``polytime=0``, an
        intercept).
    priors : table, optional
        A row per prior: row (0 for all missing cells of the column), column, mean and standard
        deviation; or row, column, lower end, upper end and confidence of a range. Rows and columns
        are counted from 1, as in R; a column may be given by its name instead. Of a column in
        `logs`, `sqrts` or `lgstc` they are on its transformed scale (for `logs`, that of
        log(x - min + 1), min being at most 0).
    bounds : table, optional
        A row per column: the column, the least and the greatest value.
    overimp : table, optional
        A row per observed cell that is imputed nevertheless: row and column.
    empri : float, optional
        Ridge prior, as a number of rows.
    autopri : float from 0 to 1, optional
        How far Amelia may raise that prior by itself, as a share of the rows.
    startvals : 0, 1 or matrix, optional
        Start values of the chains: of complete rows, the identity, or these.
    tolerance : float, optional
        How much a parameter may change in the last iteration.
    emburn : pair of int, optional
        The least and the greatest number of iterations.
    max_resample : int, optional
        How often values are drawn anew that lie outside of `bounds`.
    boot_type : {"ordinary", "none"}, optional
        Whether each chain works on a bootstrap sample of the rows.
    incheck : bool, optional
        Whether Amelia checks the data and the arguments.
    collect : bool, optional
        Whether R collects garbage meanwhile.
    p2s : {0, 1, 2}, optional
        How much Amelia prints.
    arglist : RObject, optional
        All of these arguments, as an earlier call of ``amelia()`` kept them.
    rng : {"r", "streams"}
        "r": R's one stream of random numbers, as in ``set.seed(seed); amelia(...)``. "streams":
        each imputation has a separate stream (L'Ecuyer et al. 2002), so that any number of
        processes gives the same data sets; they are others than those of "r".
    **arguments : object
        The same arguments under R's names, as in ``**{"max.resample": 10}``. Not taken:
        ``frontend`` (a window), and ``parallel``, whose processes ignore the seed.

    Raises
    ------
    ArgumentError
        Unknown arguments, with the nearest valid one and the list of them; arguments that exclude
        each other.

    See Also
    --------
    impute : The same by the engine that R has.
    BootstrapImputer : Bootstrap samples in place of imputations.
    ImputedData : What comes of it.

    Notes
    -----
    Observed cells stay as they are, but for those in `overimp`. Three faults of Amelia 1.8 are
    dealt with here. Of `priors` of one row Amelia makes a vector, and takes its numbers for other
    cells; here they stay a table, which in R takes a second row (an observed cell, its value, any
    standard deviation). With `logs` its imputed values are 1 too large: so they are here, as in R,
    and a warning says so. With `overimp` it can mix up the categories of `noms`: that is refused.

    The `trace` of the data sets has three parameters per iteration of the EM algorithm, from
    Amelia's `iterHist`: "changing", the number of parameters that still change by more than the
    tolerance; "risen", 1 where that number went up after more than 20 iterations; and "singular",
    1 where the covariance matrix could not be inverted.

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
    >>> imp.saw["ses"].groups
    ('female',)
    """

    known = amelia.ARGUMENTS

    def __init__(
        self,
        m: int = 5,
        *,
        idvars: Columns | None = None,
        noms: Columns | None = None,
        ords: Columns | None = None,
        ts: str | None = None,
        cs: str | None = None,
        polytime: int | None = None,
        splinetime: int | None = None,
        intercs: bool | None = None,
        lags: Columns | None = None,
        leads: Columns | None = None,
        logs: Columns | None = None,
        sqrts: Columns | None = None,
        lgstc: Columns | None = None,
        priors: Table | None = None,
        bounds: Table | None = None,
        overimp: Table | None = None,
        empri: float | None = None,
        autopri: float | None = None,
        startvals: int | Table | None = None,
        tolerance: float | None = None,
        emburn: Sequence[int] | None = None,
        max_resample: int | None = None,
        boot_type: Literal["ordinary", "none"] | None = None,
        incheck: bool | None = None,
        collect: bool | None = None,
        p2s: int | None = None,
        arglist: Any = None,
        rng: Literal["r", "streams"] = "r",
        **arguments: Any,
    ) -> None:
        self.remember(locals())
        self.m = check_count(m, "m (the number of imputations)", 1)
        check_value(rng, ("r", "streams"), "rng")
        self.rng = rng
        named = {
            "idvars": idvars, "noms": noms, "ords": ords, "ts": ts, "cs": cs,
            "polytime": polytime, "splinetime": splinetime, "intercs": intercs, "lags": lags,
            "leads": leads, "logs": logs, "sqrts": sqrts, "lgstc": lgstc, "priors": priors,
            "bounds": bounds, "overimp": overimp, "empri": empri, "autopri": autopri,
            "startvals": startvals, "tolerance": tolerance, "emburn": emburn,
            "max_resample": max_resample, "boot_type": boot_type, "incheck": incheck,
            "collect": collect, "p2s": p2s, "arglist": arglist,
        }  # fmt: skip
        self.arguments: Mapping[str, Any] = amelia.checked([*named.items(), *arguments.items()])

    def impute(
        self,
        data: pd.DataFrame,
        seed: int | None = None,
        *,
        n_jobs: int | None = None,
        isolate: bool = False,
        timeout: float | None = None,
        keep_r: bool = False,
    ) -> ImputedData:
        """Make m completed data sets: ``set.seed(seed); amelia(data, m, ...)``, to the last bit.

        Parameters
        ----------
        data : DataFrame
            Numbers, booleans, categories and text; text columns must be id variables or nominal.
        seed : int, optional
            Drawn, and kept in the result, if not given.
        n_jobs : int, optional
            With ``rng="streams"``: processes, as joblib counts them.
        isolate : bool
            Run Amelia in a separate process, so that a crash of R, or a kill for want of memory,
            is an `RWorkerLost` here, and no end of this process. Same bits.
        timeout : float, optional
            Seconds that Amelia may take in such a process (with ``rng="streams"``: for one
            imputation), since on awkward data it may never end; implies `isolate`.
        keep_r : bool
            Keep what ``amelia()`` returned as ``imp.r``, for `ImputedData.overimpute` and
            `ImputedData.disperse`, and for ``imp.r.call("Amelia::...", ...)``; not with
            ``rng="streams"``, where R has no object that holds all data sets. It takes the memory
            of m copies of the data.

        Returns
        -------
        ImputedData
            The original and the m completed data sets.

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

        See Also
        --------
        ImputedData : The completed data sets.
        """
        check_frame_for_r(data)
        check_timeout(timeout)
        seed = check_seed(seed)
        call = EngineCall(
            label="Amelia",
            package="Amelia",
            function="run_amelia",
            r_function="Amelia::amelia",
            seed=seed,
            m=self.m,
            arguments=amelia.for_r(self.arguments, data),
            read=_read,
            quiet={"p2s": 0},
            aloud={"p2s": 1},
            progress=r"-- Imputation \d+ --",
            keep_r=keep_r,
        )
        # R's one stream: amelia() keeps all of its data sets until it returns.
        values = data.size if self.rng == "r" else int(data.isna().to_numpy().sum())
        check_memory(self.m, 8 * values + _EACH, "imputations")
        parts = impute_by(call, data, rng=self.rng, n_jobs=n_jobs, isolate=isolate, timeout=timeout)
        cells = joined_cells(data, parts)
        return completed(
            data,
            parts,
            cells,
            call=call,
            method="amelia",
            settings={"m": self.m, "rng": self.rng, **self.arguments},
            notes=amelia.unused_priors(call.arguments, data),
            conditions=_still_missing(data, cells, self.arguments),
        )

    def __repr__(self) -> str:
        shown = "".join(f", {k.replace('.', '_')}={v!r}" for k, v in self.arguments.items())
        return f"AmeliaImputer(m={self.m}{shown})"


def _read(answer: Mapping[str, Any], output: str, number: Number) -> tuple[str, ...]:
    """Raise what Amelia's answer says went wrong; see `EngineCall`."""
    if "cells" not in answer:
        raise amelia.failure(answer, output)
    remedy = (
        "of text columns make categories (`data[column].astype('category')`); take these columns "
        "out of overimp and priors, or these rows out of the data"
    )
    refuse_altered(answer["altered"], number, "Amelia", remedy)
    return amelia.log_shift(answer)


def _still_missing(
    data: pd.DataFrame, cells: Mapping[str, Any], arguments: Mapping[str, Any]
) -> tuple[str, ...]:
    ids = amelia.id_columns(arguments)
    holes = {
        name: int(max(pd.isna(x).sum() for x in cell["values"])) for name, cell in cells.items()
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
