"""Multiple imputation by mice: its arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from .. import rdoor
from ..base.arguments import (
    check_count,
    check_frame_for_r,
    check_memory,
    check_seed,
    check_timeout,
    check_value,
)
from ..data.imputed_data import ImputedData
from ..errors import ArgumentError, ImputationError, RNotFoundError
from ..processes.running import Number
from . import mice_arguments as mice
from . import mice_checks
from .arguments import EngineParameters
from .execution import EngineCall, Imputations, completed, impute_by, joined_cells, refuse_altered

__all__ = ["MiceImputer", "check_with_data"]

_FAR = 10  # times the range of what was observed
_UNFITTED = "does not run. Simplify imputation model"
_EACH = 1000  # bytes, at least, that a data set takes beside its values: in R, and here

Methods: TypeAlias = str | Sequence[str] | Mapping[str, str]
Types: TypeAlias = pd.DataFrame | Mapping[str, Mapping[str, int]]
Blocks: TypeAlias = Mapping[str, Sequence[str]] | Sequence[str | Sequence[str]]


class MiceImputer(EngineParameters):
    """Multiple imputation by chained equations: ``mice::mice(data, m, ...)``.

    Every argument but `rng` is R's: ``predictorMatrix`` is `predictor_matrix` here, and R's own
    spelling is taken, too. None, where it is the default, leaves R's default.

    Parameters
    ----------
    m : int
        Number of data sets. One can be fitted, but not pooled.
    method : str, list or mapping, optional
        mice's name of a method for all columns, such as "pmm"; or one for each column, in their
        order; or those of some columns, others having mice's default. "" leaves a column as it is.
        A passive method is a formula that computes the column: ``"~ I(wgt / (hgt / 100)^2)"``.
    predictor_matrix : DataFrame or mapping of mappings, optional
        By the name of a column (or block) that is imputed, and of its predictors: 0, 1, and for
        multilevel methods -2 (the class, whose groups it knows), 2 (a random slope, too), 3 and 4
        (as 1 and 2, with the class' means). What is not given is as ``make.predictorMatrix`` has
        it: 1, and 0 on the diagonal.
    ignore : array of bool, optional
        Rows from which nothing is estimated; their holes are imputed.
    where : DataFrame of bool or {"missing", "all", "none", "observed"}, optional
        The cells to impute; observed ones among them are imputed over.
    blocks : mapping of lists or list, optional
        Columns that are imputed together; columns in no block are not imputed.
    visit_sequence : list of str or {"roman", "arabic", "monotone", "revmonotone"}, optional
        Order of the columns or blocks in an iteration.
    formulas : mapping of str, optional
        By column or block, the model: ``{"bmi": "bmi ~ age * hyp"}``. As in R, columns without a
        formula are imputed only if there is a `predictor_matrix`, too.
    blots : mapping of mappings, optional
        By column or block, arguments for its imputation function: those that mice passes on, see
        `arguments` below.
    post : mapping of str, optional
        By column, what R does after each imputation of it:
        ``{"bmi": "imp[[j]][, i] <- squeeze(imp[[j]][, i], c(15, 40))"}``.
    default_method : list of four str, optional
        Methods for numbers, two categories (and truth values), more, and ordered ones.
    maxit : int, optional
        Number of iterations.
    data_init : DataFrame, optional
        A completed data set with which the chains begin.
    rng : {"r", "streams"}
        "r": R's one stream of random numbers, as in ``set.seed(seed); mice(...)``. "streams":
        each imputation has a separate stream (L'Ecuyer et al. 2002), so that any number of
        processes gives the same data sets; they are others than those of "r".
    **arguments : object
        The same arguments under R's names, and those that mice passes on to its imputation
        functions, under R's names or with `_`: ``donors``, ``matchtype``, ``exclude``, ``ridge``,
        ``ls_meth``, ``eps``, ``maxcor``, ``threshold``, ``allow_na``, ``remove_constant``,
        ``remove_collinear``, ``use_matcher``, ``rank_adjust``, ``intercept``, ``paniter``,
        ``groupcenter_slope``, ``n_burn``, ``n_iter``, ``nnet_maxit``, ``nnet_trace``,
        ``nnet_max_nwts``, ``polr_to_logged_events``, ``minbucket``, ``cp``, ``ntree``,
        ``rf_package``, ``nfolds``, ``midas_kappa``, ``outout``, ``quad_outcome``, ``ri_maxit``,
        ``ums``. Not taken: ``seed``, which is `impute`'s, and ``printFlag``.

    Raises
    ------
    ArgumentError
        Unknown arguments, with the nearest valid one and the list of them; arguments that exclude
        each other.

    See Also
    --------
    impute : The same by the engine that R has.
    CompatibleImputer : For multilevel models with random slopes, products, categories.
    ImputedData : What comes of it.

    Notes
    -----
    A class (-2) of text is carried as integers in the order of its first appearance, and a class of
    categories as its codes; mice needs numbers there. Other text mice neither imputes nor imputes
    from: make it a category.

    Formulas, passive methods and the commands of `post` are checked before R sees them: they may
    call only what a model's formula may (and a few functions such as ``squeeze``), name only
    columns, and `post` assigns only to parts of ``imp``. Methods are mice's own.

    The `trace` has the mean and the variance of each column's imputed values per iteration (of
    categories those of their codes), from mice's ``chainMean`` and ``chainVar``; `log` has its
    ``loggedEvents``, which are warnings as well.

    References
    ----------
    van Buuren and Groothuis-Oudshoorn (2011), mice: Multivariate Imputation by Chained Equations in
    R, Journal of Statistical Software 45(3); L'Ecuyer, Simard, Chen and Kelton (2002), An
    Object-Oriented Random-Number Package with Many Long Streams and Substreams, Operations Research
    50(6).

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
    >>> imputer = rb.MiceImputer(
    ...     m=2,
    ...     maxit=1,
    ...     method={"ses": "2l.lmer"},
    ...     predictor_matrix={"ses": {"schid": -2, "mathach": 2}},
    ... )
    >>> imp = imputer.impute(holes[["schid", "ses", "mathach"]], seed=1)
    >>> int(imp[0].isna().sum().sum())
    0
    >>> imp.saw["ses"].groups
    ('schid',)
    """

    known = mice.ARGUMENTS

    def __init__(
        self,
        m: int = 5,
        *,
        method: Methods | None = None,
        predictor_matrix: Types | None = None,
        ignore: Sequence[bool] | np.ndarray[Any, Any] | pd.Series[Any] | None = None,
        where: pd.DataFrame | Literal["missing", "all", "none", "observed"] | None = None,
        blocks: Blocks | None = None,
        visit_sequence: str | Sequence[str] | None = None,
        formulas: Mapping[str, str] | None = None,
        blots: Mapping[str, Mapping[str, Any]] | None = None,
        post: Mapping[str, str] | None = None,
        default_method: Sequence[str] | None = None,
        maxit: int | None = None,
        data_init: pd.DataFrame | None = None,
        rng: Literal["r", "streams"] = "r",
        **arguments: Any,
    ) -> None:
        self.remember(locals())
        self.m = check_count(m, "m (the number of imputations)", 1)
        check_value(rng, ("r", "streams"), "rng")
        self.rng = rng
        named = {
            "method": method, "predictor_matrix": predictor_matrix, "ignore": ignore,
            "where": where, "blocks": blocks, "visit_sequence": visit_sequence,
            "formulas": formulas, "blots": blots, "post": post, "default_method": default_method,
            "maxit": maxit, "data_init": data_init,
        }  # fmt: skip
        self.arguments: Mapping[str, Any] = mice.checked([*named.items(), *arguments.items()])

    def impute(
        self,
        data: pd.DataFrame,
        seed: int | None = None,
        *,
        n_jobs: int | None = None,
        isolate: bool | None = None,
        timeout: float | None = None,
        keep_r: bool = False,
    ) -> ImputedData:
        """Make m completed data sets: ``set.seed(seed); mice(data, m, ...)``, to the last bit.

        Parameters
        ----------
        data : DataFrame
            Numbers, truth values and categories are imputed, and imputed from.
        seed : int, optional
            Drawn, and kept in the result, if not given.
        n_jobs : int, optional
            With ``rng="streams"``: processes, as joblib counts them.
        isolate : bool, optional
            Run mice in a separate process, so that a crash of R, or a kill for want of memory, is
            an `RWorkerLost` here, and no end of this process. Same bits. It is so by default, and
            can't be otherwise, with the methods 2l.pan, panImpute and jomoImpute: their compiled
            code keeps state from one call to the next, so that each call has a new process.
        timeout : float, optional
            Seconds that mice may take in such a process (with ``rng="streams"``: for one
            imputation); implies `isolate`.
        keep_r : bool
            Keep what ``mice()`` returned as ``imp.r``, for ``imp.r.call("mice::complete", 1)`` and
            the like; not with ``rng="streams"``, where R has no object that holds all data sets.

        Returns
        -------
        ImputedData
            The original and the m completed data sets.

        Raises
        ------
        ArgumentError
            The data or an argument can't be right, code in it is not on the list, or a method
            can't impute its column; mice is not called.
        RPackageError
            R lacks mice, or a package that a method needs.
        ImputationError
            mice failed, with its text; or it changed a cell that was observed.
        RTimeout, RWorkerLost
            With `timeout` or `isolate`: what was running, R's call and the seed.

        See Also
        --------
        ImputedData : The completed data sets.
        """
        check_frame_for_r(data)
        check_timeout(timeout)
        seed = check_seed(seed)
        setup, notes = _checked_with_data(self.arguments, data)
        fresh = mice_checks.keeps_state(setup)
        if fresh and isolate is False:
            raise ArgumentError(
                "isolate=False: compiled code of 2l.pan, panImpute and jomoImpute keeps state from "
                "one call to the next, so that the same seed gives other numbers: leave isolate "
                "out."
            )
        arguments = mice.for_r(self.arguments, setup, data)
        self._ask_r(data, setup, arguments)
        call = EngineCall(
            label="mice",
            package="mice",
            function="run_mice",
            r_function="mice::mice",
            seed=seed,
            m=self.m,
            arguments=arguments,
            read=_read,
            quiet={"printFlag": False},
            aloud={"printFlag": True},
            progress=r"\n +\d+ +(?=\d)",  # the iteration, and the imputation
            keep_r=keep_r,
            steps=max(1, int(arguments.get("maxit", 5))),
            fresh=fresh,
        )
        check_memory(self.m, 8 * data.size + _EACH, "imputations")
        sent = mice_checks.carried(data, setup)
        try:
            parts = impute_by(
                call, sent, rng=self.rng, n_jobs=n_jobs, isolate=fresh or bool(isolate),
                timeout=timeout,
            )  # fmt: skip
        except ImputationError as error:
            raise _with_remedy(error) from None
        cells = joined_cells(sent, parts)
        return completed(
            data,
            parts,
            cells,
            call=call,
            method="mice",
            settings={"m": self.m, "rng": self.rng, **self.arguments},
            notes=(
                *notes,
                *_still_missing(cells, setup),
                *_far_off(cells, data, setup),
                *_not_fitted(parts),
            ),
        )

    def _ask_r(self, data: pd.DataFrame, setup: mice.Setup, arguments: Mapping[str, Any]) -> None:
        """Refuse methods that R lacks, and code that isn't on the list, before mice is called."""
        rdoor.require_package("mice", "MiceImputer")
        for package, method in mice_checks.packages(setup, arguments).items():
            rdoor.require_package(package, f"method {method!r} of MiceImputer")
        _check_code(data, arguments)

    def __repr__(self) -> str:
        names = {x.name: x.python_name for x in mice.ARGUMENTS}
        shown = "".join(f", {names[k]}={v!r}" for k, v in self.arguments.items())
        return f"MiceImputer(m={self.m}{shown})"


_CODE = ("method", "defaultMethod", "formulas", "post")


def check_with_data(arguments: Mapping[str, Any], data: pd.DataFrame) -> None:
    """Make every check before the imputation; `arguments` need not be checked yet."""
    values = mice.checked(arguments.items())
    setup, _ = _checked_with_data(values, data)
    for_r = mice.for_r(values, setup, data)
    try:
        has_mice = rdoor.has_package("mice")
    except RNotFoundError:
        return  # R reads the code
    if has_mice:
        _check_code(data, for_r)


def _check_code(data: pd.DataFrame, arguments: Mapping[str, Any]) -> None:
    """Refuse code, and names, that R must not run."""
    code = {x: arguments[x] for x in _CODE if x in arguments}
    try:
        rdoor.call("check_mice_code", list(data.columns), code, error=ImputationError)
    except ImputationError as error:
        raise ArgumentError(f"{error.r_message}.") from None


def _checked_with_data(
    arguments: Mapping[str, Any], data: pd.DataFrame
) -> tuple[mice.Setup, tuple[str, ...]]:
    setup = mice.set_up(arguments, data)
    mice_checks.check(arguments, setup, data)
    return setup, mice_checks.notes(arguments, setup, data)


def _read(answer: Mapping[str, Any], output: str, number: Number) -> tuple[str, ...]:
    """Refuse an answer in which observed cells have changed; see `EngineCall`."""
    del output
    remedy = "leave the column out (method ''), and check its type"
    refuse_altered(answer["altered"], number, "mice", remedy)
    return ()


def _still_missing(cells: Mapping[str, Any], setup: mice.Setup) -> Iterator[str]:
    """Tell of holes that stayed in columns that should have been imputed."""
    methods = {name: method for _, method, name in setup.targets()}
    for name, method in methods.items():
        values = cells.get(name, {"values": []})["values"]
        left = max((int(pd.isna(x).sum()) for x in values), default=0)
        if left:
            yield (
                f"mice left {left} holes in {name!r} (method {method!r}): a predictor that is not "
                "imputed has holes there, mice took the column for constant or collinear (see "
                "`log`), or the method failed"
            )


def _far_off(cells: Mapping[str, Any], data: pd.DataFrame, setup: mice.Setup) -> Iterator[str]:
    """Tell of imputed numbers far from all that were observed."""
    for _, method, name in setup.targets():
        column = data[name]
        numbers = pd.api.types.is_numeric_dtype(column.dtype)
        if name not in cells or not numbers or mice.is_passive(method):
            continue
        observed = column.dropna().to_numpy(np.float64)
        imputed = np.concatenate([np.asarray(x, np.float64) for x in cells[name]["values"]])
        imputed = imputed[np.isfinite(imputed)]
        if not len(observed) or not len(imputed):
            continue
        least, most = observed.min(), observed.max()
        if (_FAR * (most - least) < np.maximum(least - imputed, imputed - most)).any():
            yield (
                f"{name!r}: its imputations ({method}) go from {imputed.min():.3g} to "
                f"{imputed.max():.3g}, and what was observed from {least:.3g} to {most:.3g}: the "
                "model broke down. 2l.lmer with random slopes (type 2) does so where lme4 calls "
                "its fit singular: give type 1, or 2l.pan"
            )


def _not_fitted(parts: Sequence[Imputations]) -> Iterator[str]:
    """Tell what cells hold where lme4 failed."""
    if any(_UNFITTED in text for part in parts for text in part.conditions):
        yield (
            "where lmer or glmer did not run, 2l.lmer and 2l.bin leave the cells as they were, at "
            "first random draws of observed values: take a simpler model (fewer predictors, type 1 "
            "in place of 2), or another method"
        )


def _with_remedy(error: ImputationError) -> ImputationError:
    """Say what helps where a regression could not be solved."""
    if "singular" not in error.r_message:
        return error
    return ImputationError(
        f"{error}\n  what helps: mice could not solve a regression. A predictor may be very large "
        "or very small beside the others (a time counts seconds since 1970): rescale it, or give "
        "it 0 in predictor_matrix. Or imputed values ran away: try maxit=1, and look at them.",
        r_message=error.r_message, r_call=error.r_call, output=error.output,
    )  # fmt: skip
