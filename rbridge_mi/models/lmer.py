"""Models: anything with ``fit(data)``. ``Lmer`` is ``lme4::lmer``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any, Literal, TypeAlias, TypeVar, overload

import numpy as np
import pandas as pd

from .. import rdoor
from ..base.arguments import check_columns, check_frame_for_r, check_known, check_timeout
from ..data.imputed_data import ImputedData
from ..data.stores import Piece
from ..errors import ArgumentError, FitError, FormulaError, RBridgeError, RWarning, RWorkerLost
from ..fits.mermod import MerMod
from ..pooled.mermod_list import MerModList
from ..processes.isolation import Job, run_each_isolated, run_isolated
from ..processes.workers import Begun, Later, Packed, run_each, wake
from .codings import codings

__all__ = ["Lmer", "start_workers"]

T = TypeVar("T")

_NA_ACTIONS = ("na.omit", "na.exclude", "na.fail", "na.pass")
Column: TypeAlias = (
    Any  # str | Sequence[Any] | np.ndarray | pd.Series: a column's name, or one value per row
)


@dataclass(frozen=True)
class Lmer:
    """A linear mixed model: ``lme4::lmer(formula, data, REML, ...)``.

    Parameters
    ----------
    formula : str
        As in R: ``"mathach ~ ses + (1 + ses | schid)"``. It is parsed by R, not evaluated, and
        may call arithmetic, ``log``, ``poly``, ``splines::ns``, ``scale``, ``factor`` and the
        like; columns whose names aren't R names stand in backticks. A double bar, as in
        ``(x + z || g)``, stands for the terms that lme4 makes of it.
    reml : bool
        Restricted maximum likelihood (R's ``REML``).
    control : mapping, optional
        Arguments of ``lmerControl()`` under R's names, such as
        ``{"optimizer": "bobyqa", "optCtrl": {"maxfun": 20000}, "calc.derivs": False}``.
    start : sequence or mapping, optional
        Start values of theta.
    weights, offset, subset : name of a column, or an array
        One value per row of the data; a Series must have the data's index. A subset holds True or
        False.
    na_action : {"na.omit", "na.exclude", "na.fail", "na.pass"}, optional
    contrasts : mapping, optional
        Per factor, the name of a contrast function ("contr.sum"), or a matrix with a row per level
        and a column per coefficient: a list of rows, an array, or a DataFrame. The rows stand in
        the order of the levels; those of a DataFrame whose index names levels are taken by name,
        and its column names become part of the terms' names, as in R.
    verbose : int
        What lme4 then prints goes to the logger ``rbridge_mi.r``.
    allow : sequence of str
        Further functions that the formula may call, or that `contrasts` and the optimizer may
        name; they run with this process' rights.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> fit.fixef()
              term   estimate
    0  (Intercept)  12.657480
    1          ses   2.390196

    References
    ----------
    Bates, Mächler, Bolker and Walker (2015), Fitting Linear Mixed-Effects Models Using lme4,
    Journal of Statistical Software 67(1).
    """

    formula: str
    reml: bool = True
    control: Mapping[str, Any] | None = None
    start: Any = None
    weights: Column | None = None
    offset: Column | None = None
    subset: Column | None = None
    na_action: str | None = None
    contrasts: Mapping[str, Any] | None = None
    verbose: int = 0
    allow: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.formula, str):
            raise ArgumentError(
                f"formula must be text, as in R, not {type(self.formula).__name__}."
            )
        if self.na_action is not None:
            check_known([self.na_action], _NA_ACTIONS, "na_action")
        if isinstance(self.allow, str):
            raise ArgumentError("allow must be a list of function names.")

    @overload
    def fit(
        self,
        data: ImputedData,
        *,
        n_jobs: int | None = None,
        errors: Literal["raise", "keep"] = "raise",
        return_objects: bool = False,
        isolate: bool = False,
        timeout: float | None = None,
    ) -> MerModList: ...
    @overload
    def fit(
        self, data: pd.DataFrame, *, isolate: bool = False, timeout: float | None = None
    ) -> MerMod: ...
    def fit(
        self,
        data: pd.DataFrame | ImputedData,
        *,
        n_jobs: int | None = None,
        errors: Literal["raise", "keep"] = "raise",
        return_objects: bool = False,
        isolate: bool = False,
        timeout: float | None = None,
    ) -> MerMod | MerModList:
        """Fit to a frame, or to each of m data sets.

        Parameters
        ----------
        data : DataFrame or ImputedData
            Only the columns that formula and arguments name go to R (all of them where the formula
            has a dot): others may hold what R can't, and have names that aren't text.
        n_jobs : int, optional
            Processes for the fits, as joblib counts them (-1 for all cores); by default joblib's
            own setting, ``joblib.parallel_config``. The numbers do not depend on it. This, `errors`
            and `return_objects` are for an ImputedData, and refused with a DataFrame.
        errors : {"raise", "keep"}
            When a data set can't be fitted: raise, with the successful fits in ``error.fits``; or
            warn and return them, with the failures in ``fits.failed``.
        return_objects : bool
            Have worker processes send the fitted R objects back with the tables (3.5 MB for a fit
            to the hsb data). Without, ``fit.r`` is fitted again here when it is first asked for:
            the same bits, later.
        isolate : bool
            Fit in a process of its own, so that a crash of R, or a kill for want of memory, is an
            `RWorkerLost` here, and no end of this process. Same bits; some 3 s for the first such
            call, which starts the process, and 0.1 s for those that follow it. In a list, the fit
            that was lost is run once more; lost again it counts as failed, see `errors`.
        timeout : float, optional
            Seconds that one fit may take in such a process; implies `isolate`.

        Returns
        -------
        MerMod or MerModList

        Raises
        ------
        FormulaError, FitError
            With R's text.
        RTimeout, RWorkerLost
            With `timeout` or `isolate`: what was running, and R's call.
        """
        check_timeout(timeout)
        isolate = isolate or timeout is not None
        if isinstance(data, ImputedData):
            return self._fit_each(data, n_jobs, errors, return_objects, isolate, timeout)
        plan = self._check(check_frame_for_r(data))
        _refuse_of_many(n_jobs, errors, return_objects)
        data = plan.needed(data)
        if isolate:
            found = run_isolated(self._job(data, None), timeout)
            fit = self._received(found, lambda: data)
            if not isinstance(fit, MerMod):
                raise fit
        else:
            begun = rdoor.begin_call_object("fit_planned", plan.call, data, error=FitError)
            fit = _fit_of(begun.reply(), data.index, None)
        _warn([fit])
        return fit

    def _fit_each(
        self,
        data: ImputedData,
        n_jobs: int | None,
        errors: Literal["raise", "keep"],
        return_objects: bool,
        isolate: bool,
        timeout: float | None,
    ) -> MerModList:
        check_known([errors], ("raise", "keep"), "errors")
        plan = self._check(data[0])
        numbers = range(1, data.m + 1)

        def one(i: int) -> pd.DataFrame:
            return plan.needed(data[i - 1])

        fitter = _Fitter(self, data.store.base, data.store.differing, plan.columns, plan.call)
        found = dict(
            self._isolated(numbers, one, n_jobs, timeout)
            if isolate
            else run_each(
                numbers,
                lambda numbers: fitter.begin({i: data.store.piece(i - 1) for i in numbers}),
                rdoor.AsHere(_Remote(self, data.store.differing, plan.columns, return_objects)),
                shared=lambda: Packed.of(data.store.base),
                own=lambda i: data.store.piece(i - 1),
                n_jobs=n_jobs,
                what="lmer",
            )
        )
        outcomes = {i: self._received(found[i], partial(one, i)) for i in numbers}
        fits = tuple(x for x in outcomes.values() if isinstance(x, MerMod))
        failed = {i: x for i, x in outcomes.items() if not isinstance(x, MerMod)}
        _warn(fits)
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

    def _try_one(self, data: pd.DataFrame, imputation: int) -> MerMod | RBridgeError:
        found: MerMod | RBridgeError = self._begun(data, imputation).result()
        return found

    def _received(self, found: Any, data: Callable[[], pd.DataFrame]) -> MerMod | RBridgeError:
        """A worker's result as a fit of this process."""
        if isinstance(found, MerMod | RBridgeError):
            return found
        if found.pop("order", None) not in (None, _crossed_order()):
            return self._try_one(data(), found["imputation"])  # the worker's R rounds otherwise
        r = found.pop("r") or rdoor.RObject(make=rdoor.AsHere(lambda: self._fitted(data())))
        return MerMod(**found, r=r)

    def _isolated(
        self,
        numbers: Sequence[int],
        data: Callable[[int], pd.DataFrame],
        n_jobs: int | None,
        timeout: float | None,
    ) -> Iterator[tuple[int, Any]]:
        """Each fit in a process that may be lost; a lost one's error has its imputation."""
        for number, found in run_each_isolated(
            numbers,
            lambda i: self._job(data(i), i),
            timeout=timeout,
            n_jobs=n_jobs,
        ):
            if isinstance(found, RWorkerLost):
                found.imputation = number
            yield number, found

    def _job(self, data: pd.DataFrame, imputation: int | None) -> Job:
        what = "lmer" if imputation is None else f"lmer, imputation {imputation}"
        call = f"lme4::lmer({self.formula}, REML = {str(self.reml).upper()})"
        warm = partial(rdoor.has_package, "lme4")
        return Job(rdoor.AsHere(_Isolated(self, data, imputation)), warm, what, call)

    def _fitted(self, data: pd.DataFrame) -> rdoor.RObject:
        r: Any = self._fit_one(data, None).r
        held: rdoor.RObject = r
        return held

    def _fit_one(self, data: pd.DataFrame, imputation: int | None) -> MerMod:
        return _fit_of(self._begin(data).reply(), data.index, imputation)

    def _begun(self, data: pd.DataFrame, imputation: int) -> Begun:
        try:
            return _Begun(self._begin(data), data.index, imputation)
        except RBridgeError as error:
            return _refused(error)

    def _begin(self, data: pd.DataFrame) -> rdoor.Pending:
        words = self._in_words(check_frame_for_r(data))
        return rdoor.begin_call_object("fit_lmer", data, words, error=FitError)

    def _in_words(self, data: pd.DataFrame) -> dict[str, Any]:
        """What R has to know beside the data."""
        arguments, names, vectors = self._arguments(data)
        return {
            "formula": self.formula,
            "allow": list(self.allow),
            "arguments": arguments,
            "names": names,
            "vectors": vectors,
            "control": dict(self.control or {}),
        }

    def check(self, data: pd.DataFrame) -> None:
        """Raise what can be said against this model of these data before any fit."""
        self._check(check_frame_for_r(data))

    def _check(self, data: pd.DataFrame) -> _Plan:
        """What can be said before any fit: the formula, its columns, the control's names."""
        rdoor.require_package("lme4", "Lmer")
        words, columns = self._in_words(data), rdoor.names_for_r(data.columns)
        try:
            found = rdoor.call("check_lmer", words, columns, error=FormulaError).value
        except FormulaError as error:
            _name_odd_columns(error, data)
            raise
        if found["columns"] is None:  # a formula with a dot
            rdoor.check_frame_names(data)
        check_known(self.control or (), found["control"], "control (lmerControl)")
        for name in found["variables"]:
            column = data[name]
            if column.isna().all():
                raise ArgumentError(f"column {name!r} has no value at all: no model can use it.")
            if (
                pd.api.types.is_float_dtype(column.dtype)
                and np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan)).any()
            ):
                raise ArgumentError(
                    f"column {name!r} holds infinite values: make them missing, or drop those rows."
                )
        for name in found["coded"] if found["coded"] is not None else ():
            if not isinstance(data[name].dtype, pd.CategoricalDtype):
                raise ArgumentError(
                    f"C({name}) in the formula: R's C() takes a factor, and column {name!r} has "
                    f"dtype {data[name].dtype}. Write factor({name}) for C({name}), and "
                    f"C(factor({name}), ...) for C({name}, ...), or make the column a Categorical."
                )
        columns = found["columns"]
        return _Plan(found["plan"], None if columns is None else tuple(map(str, columns)))

    def _arguments(
        self, data: pd.DataFrame
    ) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
        """R's arguments: plain ones, names of columns, and vectors of one value per row."""
        arguments: dict[str, Any] = {"REML": self.reml}
        names: dict[str, str] = {}
        vectors: dict[str, Any] = {}
        if self.start is not None:
            arguments["start"] = (
                dict(self.start)
                if isinstance(self.start, Mapping)
                else [float(x) for x in self.start]
            )
        if self.verbose:
            arguments["verbose"] = self.verbose
        if self.na_action is not None:
            arguments["na.action"] = self.na_action
        if self.contrasts is not None:
            check_columns(self.contrasts, data, "contrasts")
            arguments["contrasts"] = codings(self.contrasts)
        for name in ("weights", "offset", "subset"):
            given = getattr(self, name)
            if isinstance(given, str):
                check_columns([given], data, name)
                names[name] = given
            elif given is not None:
                vectors[name] = _per_row(given, data, name)
            if name == "subset" and given is not None:
                _check_truths(data[given] if isinstance(given, str) else vectors[name])
        return arguments, names, vectors


def start_workers(n_jobs: int = -1) -> None:
    """Start the processes of later ``n_jobs=`` calls now, each loading R and lme4, and go on.

    They take some 3 s to start: time that reading, or imputing, the data may as well use. They
    end when idle for five minutes, and with this process.

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


def _fit_of(reply: rdoor.Reply, index: pd.Index, imputation: int | None) -> MerMod:
    said = tuple(text.strip() for text in reply.warnings + reply.messages)
    return MerMod(reply.value, index, said, imputation)


@dataclass(frozen=True)
class _Plan:
    """The call that R will make, once it has data; and the columns that it needs (None: all)."""

    call: rdoor.RObject
    columns: Sequence[str] | None

    def needed(self, data: pd.DataFrame) -> pd.DataFrame:
        """The part of a data set that a fit needs: what R can't hold may stand in the rest."""
        return _needed(data, self.columns)


def _needed(data: pd.DataFrame, columns: Sequence[str] | None) -> pd.DataFrame:
    return data if columns is None else data[[x for x in data.columns if x in columns]]


def _name_odd_columns(error: FormulaError, data: pd.DataFrame) -> None:
    """Add to the error which of the data's columns it may mean, where their names aren't text."""
    for name in data.columns:
        if not isinstance(name, str) and f"'{name}'" in (error.r_message or ""):
            error.args = (
                f"{error.args[0]}\n  The name of the column {name!r} is not text, as R's are: "
                "rename it, for instance with `frame.columns = frame.columns.map(str)`.",
            )


@dataclass(frozen=True)
class _Begun:
    """A fit that R was given; an error is its result, and says which data set it was."""

    pending: rdoor.Pending
    index: pd.Index
    imputation: int

    def result(self) -> MerMod | RBridgeError:
        """Wait for it."""
        try:
            return _fit_of(self.pending.reply(), self.index, self.imputation)
        except RBridgeError as error:
            if isinstance(error, FitError):
                error.imputation = self.imputation
                error.args = (f"imputation {self.imputation}: {error.args[0]}",)
            return error.with_traceback(None)

    def withdraw(self) -> None:
        """Stop R, if it is at it."""
        self.pending.withdraw()


def _refused(error: RBridgeError) -> Later:
    return Later(partial(error.with_traceback, None))


@dataclass(frozen=True)
class _Fitter:
    """Fits a model to data sets that have a frame in common: R is told once of what is the same."""

    model: Lmer
    base: pd.DataFrame
    differing: tuple[str, ...] | None
    columns: Sequence[str] | None  # those that a fit needs; None for all
    plan: rdoor.RObject | None = None  # made here, if it wasn't yet

    def begin(self, pieces: Mapping[int, Piece]) -> list[Begun]:
        """To some of the data sets, by their numbers."""
        if self.differing is None:
            whole = {i: piece.complete(self.base) for i, piece in pieces.items()}
            frames = {i: _needed(frame, self.columns) for i, frame in whole.items()}
            return [self.model._begun(frame, i) for i, frame in frames.items()]
        own = [self._own(piece) for piece in pieces.values()]
        # What a fit prints, and few do, is heard of the whole turn.
        turns = [[x] for x in own] if self.model.verbose else [own]
        try:
            begun = [x for turn in turns for x in self._begin_each(turn)]
        except RBridgeError as error:  # of what they share: each one's answer
            return [_refused(error) for _ in pieces]
        return [_Begun(x, self.base.index, i) for x, i in zip(begun, pieces, strict=True)]

    def _own(self, piece: Piece) -> dict[str, Any]:
        found = piece.own(self.base)
        return {k: x for k, x in found.items() if self.columns is None or k in self.columns}

    def _begin_each(self, own: Sequence[Mapping[str, Any]]) -> list[rdoor.Pending]:
        return rdoor.begin_each("fit_shared", self._shared, own, error=FitError)

    @cached_property
    def _shared(self) -> rdoor.RObject:
        """What R keeps between the fits."""
        base, words = _needed(self.base, self.columns), self.model._in_words
        columns, own = list(base.columns), set(self.differing or ())
        return rdoor.call_object(
            "base::list",
            plan=self.plan or rdoor.call_object("plan_lmer", words(base), columns),
            frame=base[[x for x in columns if x not in own]],
            columns=columns,
        )


@dataclass(frozen=True)
class _Remote:
    """One fit in a worker process; its tables come back as plain data."""

    model: Lmer
    differing: tuple[str, ...] | None
    columns: Sequence[str] | None
    with_object: bool

    def __call__(self, base: Packed, number: int, piece: Piece) -> dict[str, Any] | RBridgeError:
        fitter = base.once(lambda frame: _Fitter(self.model, frame, self.differing, self.columns))
        [begun] = fitter.begin({number: piece})
        fit: MerMod | RBridgeError = begun.result()
        if isinstance(fit, RBridgeError):
            return fit
        shipped = fit.shipped(self.with_object)
        return {**shipped, "order": _crossed_order() if fit.n_lvls > 1 else None}


@cache
def _crossed_order() -> tuple[int, ...]:
    """How lme4 orders crossed random effects in this process; see ``crossed_order`` in R."""
    return tuple(int(x) for x in rdoor.call("crossed_order").value)


@dataclass(frozen=True)
class _Isolated:
    """One fit in a process that may be lost. R's object comes back with it: made here later on, it
    could do what the isolation is to prevent."""

    model: Lmer
    data: pd.DataFrame
    imputation: int | None

    def __call__(self) -> dict[str, Any] | RBridgeError:
        if self.imputation is None:
            return self.model._fit_one(self.data, None).shipped(with_object=True)
        fit = self.model._try_one(self.data, self.imputation)
        return fit if isinstance(fit, RBridgeError) else fit.shipped(with_object=True)


def _refuse_of_many(n_jobs: int | None, errors: str, return_objects: bool) -> None:
    """What has no effect on one fit."""
    given = {
        "n_jobs": n_jobs not in (None, 1),
        "errors": errors != "raise",
        "return_objects": return_objects,
    }
    names = [name for name, is_given in given.items() if is_given]
    if names:
        raise ArgumentError(
            f"{', '.join(names)} of fit() is for an ImputedData: a DataFrame makes one fit, here, "
            "which raises its error and keeps its R object."
        )


def _per_row(given: Any, data: pd.DataFrame, name: str) -> Any:
    if isinstance(given, pd.Series):
        if not given.index.equals(data.index):
            raise ArgumentError(
                f"{name} has another index than the data: align it (`.reindex(data.index)`), or "
                "give an array."
            )
        return given
    array = np.asarray(given)
    if array.shape != (len(data),):
        raise ArgumentError(
            f"{name} has shape {array.shape}: it needs one value for each of the {len(data)} rows."
        )
    return array


def _check_truths(subset: Any) -> None:
    """R takes numbers for the numbers of rows: 0 and 1 would be the first row, again and again."""
    if pd.api.types.is_numeric_dtype(subset.dtype) and not pd.api.types.is_bool_dtype(subset.dtype):
        raise ArgumentError(
            f"subset holds {subset.dtype}: it needs True or False for each row, as `column == 1` "
            "gives them, since R takes numbers for the numbers of rows."
        )


def _warn(fits: Sequence[MerMod]) -> None:
    for fit in fits:
        where = "" if fit.imputation is None else f"imputation {fit.imputation}: "
        for text in fit.messages:
            warnings.warn(f"lmer: {where}{text}", RWarning, stacklevel=4)
