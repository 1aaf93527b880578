"""m data sets that were imputed from one; each is completed when it is asked for."""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NoReturn, SupportsIndex, overload

import pandas as pd

from ..base.arguments import check_frame
from ..base.hooks import Hook
from ..base.text import Printed
from ..errors import ArgumentError, RBridgeError
from ..exchange.r_written import RClass
from .amelia_diagnostics import dispersed, overimputed
from .convergence import burn_in, convergence_table, worst_mixing
from .delta import check_delta, shift_note, shifted_store
from .group_columns import check_merge, merged_frame, merged_store, unmatched_note
from .joining import (
    check_joinable,
    check_one_set_of_chains,
    joined_models,
    joined_settings,
    joined_store,
)
from .long_form import ID, IMP, split_long, stacked
from .mapped_results import MappedResults
from .mapping import map_data_sets
from .merging import Kind, check_known_cells, columns_of, merged
from .provenance import ColumnModel, chain_lengths, empty_trace, joined_traces
from .stores import CellStore, Store, own_copy
from .subsets import Keep, columns_to_select, filtered_store, rows_to_keep, selected_store
from .writing import write_r, write_spss_file, write_stata_file

__all__ = ["ImputedData"]

_NOT_A_NUMBER = (
    "imp[i] is the i-th of the {m} data sets, a DataFrame, and i a whole number from 0 to {last}, "
    "not {0}. A column of one data set is imp[0][name], of each [d[name] for d in imp], with its "
    "holes imp.original[name]; some of the data sets are [imp[i] for i in ...]."
)
_NOT_A_FRAME = (
    "an ImputedData holds m data sets, and `{1}` looks for one of them, a DataFrame, not {0}. Its "
    "columns are imp.original.columns (`{0} in imp.original`), its rows imp.original.index, and "
    "their number is len(imp.original)."
)


@dataclass(frozen=True, eq=False)
class ImputedData(Sequence[pd.DataFrame]):
    """m completed data sets, and how they were imputed.

    ``imp[i]`` (or iteration) completes one frame. Each column has one dtype, which holds its
    values in every data set. The base frame is stored once, with only the cells that differ per
    imputation; where these are larger than the frame, and than 64 MB, they lie in a temporary file
    (in TMPDIR).

    Attributes
    ----------
    original : DataFrame
        The data with their holes.
    m : int
        Number of data sets, also ``len(imp)``.
    method : str
        The engine, such as "amelia".
    kind : {"imputation", "bootstrap"}
        Bootstrap samples are no imputations: they are pooled by another rule.
    seed : int or None
        What ``set.seed`` was given.
    settings : mapping
        The arguments of the method, under R's names.
    warnings : tuple of str
        R's warnings.
    notes : tuple of str
        Columns whose dtype had to change.
    log : tuple of str
        What the engine reported, such as "Normal EM convergence."
    trace : DataFrame
        The iterations of the engine's chains: imputation and iteration (from 1), parameter (a
        categorical column), value; see `convergence`.
        Each engine has other parameters, see `AmeliaImputer`. It has no rows where there is no
        chain, or where the data sets were imputed elsewhere.
    saw : mapping
        By imputed column, what its imputation model saw: ``imp.saw["ses"].predictors``, ``.groups``
        (columns whose groups it told apart), ``.level`` (the units that get one value each; None
        for rows), ``.random_effects`` (of the analysis model, where it was imputed from one) and
        ``.method``. Empty where that is not known.
    r : RObject or None
        R's imputation object, where it was asked for (`keep_r`): `overimpute` and `disperse` ask
        it, and ``imp.r.call("mitml::mitmlComplete", ...)`` any R function. It stays as it is in
        data sets that `transform` derives.

    See Also
    --------
    AmeliaImputer : Multiple imputation by Amelia.
    Lmer.fit : Fit a model to each data set.
    ImputedData.from_long : Data sets that were imputed elsewhere.

    Examples
    --------
    >>> frame = pd.DataFrame({"x": [1.0, None], "y": [1, 2]})
    >>> imp = ImputedData.from_frames([frame.fillna(5.0), frame.fillna(6.0)], original=frame)
    >>> imp.m, float(imp[1].loc[1, "x"])
    (2, 6.0)
    """

    original: pd.DataFrame
    store: Store = field(repr=False)
    method: str
    kind: Kind = "imputation"
    seed: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    trace: pd.DataFrame = field(default_factory=empty_trace, repr=False)
    saw: Mapping[Any, ColumnModel] = field(default_factory=dict, repr=False)
    r: Any = field(default=None, repr=False)
    plot = Hook("plots")  # imp.plot.density() is rb.plot.density(imp)

    # -- a sequence of frames ---------------------------------------------------------------

    @property
    def m(self) -> int:
        """Number of data sets."""
        return len(self.store)

    @property
    def chain_lengths(self) -> tuple[int, ...]:
        """Number of iterations of each imputation's chain, from `trace`."""
        return chain_lengths(self.trace)

    def __len__(self) -> int:
        return self.m

    @overload
    def __getitem__(self, i: SupportsIndex) -> pd.DataFrame: ...
    @overload
    def __getitem__(self, i: slice) -> NoReturn: ...
    def __getitem__(self, i: SupportsIndex | slice) -> pd.DataFrame:
        try:
            if isinstance(i, bool):
                raise TypeError
            number = operator.index(i)  # type: ignore[arg-type]
        except TypeError:
            text = _NOT_A_NUMBER.format(reprlib.repr(i), m=self.m, last=self.m - 1)
            raise TypeError(text) from None
        if not -self.m <= number < self.m:
            raise IndexError(f"imputation {number} of {self.m}: numbers go from 0 to {self.m - 1}")
        return self.store.piece(number % self.m).complete(self.store.base)

    def __contains__(self, frame: object) -> bool:
        return bool(self._equal_to(frame, "in"))

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """Position of the first data set that equals a frame.

        Parameters
        ----------
        value : DataFrame
        start, stop : int, optional
            Look among ``imp[start], ..., imp[stop - 1]`` only, as `list.index` does.

        Returns
        -------
        int
            Counted from 0.

        Raises
        ------
        ValueError
            No data set equals the frame.
        TypeError
            `value` is no DataFrame; the message names where columns and rows are.

        See Also
        --------
        ImputedData.count
        """
        allowed = range(self.m)[start:stop]
        for i in self._equal_to(value, "index"):
            if i in allowed:
                return i
        raise ValueError(f"none of the {len(allowed)} data sets equals this frame")

    def count(self, value: Any) -> int:
        """Count the data sets that equal a frame.

        Parameters
        ----------
        value : DataFrame

        Returns
        -------
        int
            0 where none equals it.

        Raises
        ------
        TypeError
            `value` is no DataFrame; the message names where columns and rows are.

        See Also
        --------
        ImputedData.index
        """
        return len(self._equal_to(value, "count"))

    def _equal_to(self, frame: object, what: str) -> list[int]:
        """Positions of the data sets that equal a frame."""
        if not isinstance(frame, pd.DataFrame):
            raise TypeError(_NOT_A_FRAME.format(reprlib.repr(frame), what))
        return [i for i, data_set in enumerate(self) if data_set.equals(frame)]

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return (self[i] for i in range(self.m))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ImputedData):
            return NotImplemented
        return (
            (self.m, self.kind) == (other.m, other.kind)
            and self.original.equals(other.original)
            and all(a.equals(b) for a, b in zip(self, other, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]

    # -- from frames --------------------------------------------------------------------------

    @classmethod
    def from_frames(
        cls,
        frames: Sequence[pd.DataFrame],
        original: pd.DataFrame | None = None,
        *,
        kind: Kind = "imputation",
        method: str = "frames",
    ) -> ImputedData:
        """Take data sets that were imputed elsewhere.

        Parameters
        ----------
        frames : sequence of DataFrame
            The completed data sets: the same rows (index) and columns in each. Where a column's
            dtypes differ, it gets one that holds the values of all of them (float for int and
            float, nullable where holes remain, the union of categories), and `notes` says so.
        original : DataFrame, optional
            The data with their holes. Without it, a cell that differs between the frames counts
            as having been missing.
        kind : {"imputation", "bootstrap"}
            Bootstrap samples may differ in their rows.
        method : str
            A name for the engine.

        Raises
        ------
        ArgumentError
            The frames don't match, or no dtype holds a column's values in two of them (booleans
            and numbers, categories of another order, times with and without a zone, ...).
        """
        frames = [check_frame(frame, f"frames[{i}]") for i, frame in enumerate(frames)]
        if not frames:
            raise ArgumentError("frames is empty: give at least one completed data set.")
        if original is not None:
            check_frame(original, "original")
        names = [f"frames[{i}]" for i in range(len(frames))]
        holes, store, notes = merged(frames, original, names, kind)
        return cls(holes, store, method, kind, notes=notes)

    def transform(self, f: Callable[[pd.DataFrame], pd.DataFrame]) -> ImputedData:
        """Apply `f` to every completed data set, so that derived columns agree with imputed ones.

        It is applied to the data with their holes too. If it stops there, as `astype(int)` does
        at a missing value, a derived cell counts as having been missing where it differs between
        the data sets.

        Parameters
        ----------
        f : callable
            Takes a frame, returns a frame with the same rows.

        Raises
        ------
        ArgumentError
            `f` gave no frame, or the frames that it gave don't match; see `from_frames`. The
            intervals of ``pd.qcut``, say, differ between data sets, and are no categories of one
            column: name them (``labels=[...]``), or cut each data set at the same places.

        See Also
        --------
        ImputedData.assign : The same by columns.

        Examples
        --------
        >>> frame = pd.DataFrame({"g": ["a", "a"], "x": [1.0, None]})
        >>> imp = ImputedData.from_frames([frame.fillna(3.0), frame.fillna(5.0)], original=frame)
        >>> means = imp.transform(lambda d: d.assign(xbar=d.groupby("g").x.transform("mean")))
        >>> means[1].xbar.tolist()
        [3.0, 3.0]
        """
        names = [f"what f gave for imputation {i}" for i in range(1, self.m + 1)]
        frames = [_result(f(x), name) for x, name in zip(self, names, strict=True)]
        original: pd.DataFrame | None = self.original
        notes = self.notes
        if self.kind == "imputation":
            try:
                original = _result(f(self.original.copy()), "what f gave for the data with holes")
            except RBridgeError:
                raise
            except Exception as error:  # it is the user's function, which may raise anything
                original = None
                notes += (
                    "the data with their holes are derived from the data sets, since f stopped at "
                    f"them ({type(error).__name__}: {error})",
                )
        holes, store, more = merged(frames, original, names, self.kind)
        if original is None:
            holes = self._known_before(frames, holes)
        notes = tuple(dict.fromkeys((*notes, *more)))
        return replace(self, original=holes, store=store, notes=notes)

    def _known_before(self, frames: Sequence[pd.DataFrame], derived: pd.DataFrame) -> pd.DataFrame:
        """Put the original's columns back where `frames` have them as the data sets do."""
        holes = own_copy(derived)
        if not self.original.index.equals(holes.index):
            return holes
        for name in holes.columns.intersection(self.original.columns, sort=False):
            if all(x[name].equals(mine[name]) for x, mine in zip(frames, self, strict=True)):
                holes[name] = self.original[name]
        return holes

    def assign(self, **columns: Any) -> ImputedData:
        """Add columns to every completed data set, as ``DataFrame.assign`` adds them.

        See Also
        --------
        ImputedData.transform : The same by a function of the whole frame.
        """
        return self.transform(lambda frame: frame.assign(**columns))

    # -- fewer rows, fewer or more columns, more data sets -------------------------------------

    def filter(self, keep: Keep) -> ImputedData:
        """Keep some rows, the same in every data set.

        Parameters
        ----------
        keep : callable or array_like of bool
            True for the rows that stay: a function of a completed frame, or one value per row (a
            Series has the data's index).

        Returns
        -------
        ImputedData
            The rows that stay, under their labels. `trace` and `saw` are of the imputation, which
            had all rows; `notes` and ``settings["filter"]`` say that rows were left out. `r` is
            None, since R's object has all rows.

        Raises
        ------
        ArgumentError
            A condition that hangs on imputed values, so that each data set would have other rows;
            one that leaves no row; bootstrap samples.

        See Also
        --------
        ImputedData.select : Keeps columns.

        Notes
        -----
        Rows are better left out after imputing than before: those that stay are then imputed from
        all that is known. Where the condition is about an imputed column, mark the rows by a
        column, ``imp.assign(keep=lambda d: d["ses"] > 0)``, and fit ``rb.Lmer(..., subset="keep")``
        to each data set's own rows. So the number of rows may differ between the fits, but nothing
        by row (fitted values, a table of the data) is ever averaged over different cases.

        Examples
        --------
        >>> frame = pd.DataFrame({"x": [1.0, None, 2.0], "g": ["a", "b", "a"]})
        >>> imp = ImputedData.from_frames([frame.fillna(3.0), frame.fillna(5.0)], original=frame)
        >>> [d["x"].tolist() for d in imp.filter(lambda d: d["g"] == "b")]
        [[3.0], [5.0]]
        """
        if not isinstance(self.store, CellStore):
            raise ArgumentError(
                "filter: rows of bootstrap samples are drawn from all rows. Leave rows out before "
                "the samples are drawn, `BootstrapImputer(...).impute(data[keep])`."
            )
        mask = rows_to_keep(keep, self.original, self)
        store = filtered_store(self.store, mask)
        counts = {"kept": int(mask.sum()), "of": len(mask)}
        return replace(
            self,
            original=own_copy(self.original[mask]),
            store=store,
            settings={**self.settings, "filter": [*self.settings.get("filter", []), counts]},
            notes=(*self.notes, f"{counts['kept']} of {counts['of']} imputed rows were kept"),
            saw={name: x for name, x in self.saw.items() if name in store.cells},
            r=None,
        )

    def select(self, columns: str | Sequence[str]) -> ImputedData:
        """Keep some columns, in this order.

        Parameters
        ----------
        columns : str or list of str

        Returns
        -------
        ImputedData
            `trace`, `settings` and the predictors in `saw` are of the imputation, and may name
            columns that are not there any more.

        Raises
        ------
        ArgumentError
            A column that there isn't, or one twice.

        See Also
        --------
        ImputedData.filter : Keeps rows.

        Examples
        --------
        >>> frame = pd.DataFrame({"x": [1.0, None], "y": [1, 2], "z": [3, 4]})
        >>> imp = ImputedData.from_frames([frame.fillna(5.0), frame.fillna(6.0)], original=frame)
        >>> list(imp.select(["y", "x"])[0].columns)
        ['y', 'x']
        """
        names = columns_to_select(columns, self.store.base)
        return replace(
            self,
            original=own_copy(self.original[names]),
            store=selected_store(self.store, names),
            saw={name: x for name, x in self.saw.items() if name in names},
        )

    def merge(
        self,
        right: pd.DataFrame,
        on: str | list[str],
        how: Literal["left"] = "left",
        validate: Literal["many_to_one", "m:1"] = "many_to_one",
    ) -> ImputedData:
        """Add columns of groups to every data set, as ``DataFrame.merge`` does.

        Parameters
        ----------
        right : DataFrame
            One row for each group.
        on : str or list of str
            The column or columns that name the groups, in both.
        how : {"left"}
            All rows stay, in their order, with their index.
        validate : {"many_to_one"}
            A group with two rows in `right` is refused.

        Returns
        -------
        ImputedData
            With the further columns. Where the groups themselves were imputed, each data set has
            the columns of its own groups. Rows whose group `right` lacks have missing values there,
            which `notes` say; so have holes in `right`, since nothing is imputed here.

        Raises
        ------
        ArgumentError
            A group twice, columns that both have, keys of two kinds (1 and "1").

        See Also
        --------
        ImputedData.assign : Columns that are computed.

        Examples
        --------
        >>> frame = pd.DataFrame({"g": ["a", "b"], "x": [1.0, None]})
        >>> imp = ImputedData.from_frames([frame.fillna(3.0), frame.fillna(5.0)], original=frame)
        >>> imp.merge(pd.DataFrame({"g": ["a", "b"], "size": [10, 20]}), on="g")[1]["size"].tolist()
        [10, 20]
        """
        right, keys = check_merge(right, on, how, validate, self.store.base)
        store = merged_store(self.store, right, keys)
        # Columns that the data sets had once, and have no more, must not meet those of right.
        original = columns_of(self.original, self.store.base)
        if store is None:
            of_each = replace(self, original=original).transform(
                lambda frame: merged_frame(frame, right, keys)
            )
            notes = tuple(dict.fromkeys(x for d in self for x in unmatched_note(d, right, keys)))
            return replace(of_each, notes=(*of_each.notes, *notes))
        notes = unmatched_note(self.store.base, right, keys)
        original = merged_frame(original, right, keys)
        return replace(self, original=original, store=store, notes=(*self.notes, *notes))

    def join(self, *others: ImputedData) -> ImputedData:
        """Put data sets that were imputed from the same data together, as Amelia's ``ameliabind``.

        Parameters
        ----------
        *others : ImputedData
            By the same engine with another seed, or by another engine.

        Returns
        -------
        ImputedData
            All data sets, this one's first. ``settings["joined"]`` lists the method, m, seed and
            settings of each part; `seed` is None. `log`, `warnings` and `notes` are those of all
            parts, in `trace` the imputations are counted on, and `saw` has what the models of all
            parts saw. Where the parts' dtypes of a column differ, it gets one that holds both. `r`
            is None.

        Raises
        ------
        ArgumentError
            Parts of other data, by the column that differs; imputations and bootstrap samples
            together; the same imputations twice (the same method and seed).

        See Also
        --------
        ImputedData.from_frames : Of frames.

        Notes
        -----
        Data sets of several engines are pooled as if each engine were right with a probability of
        its share. Add as many as the least trusted of them deserves.

        References
        ----------
        Honaker, King and Blackwell (2011), Amelia II: A Program for Missing Data, Journal of
        Statistical Software 45(7), section 4.2 (running imputations in several calls).

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
        >>> imputer = rb.AmeliaImputer(m=2, idvars=["schid", "meanses"])
        >>> imp = imputer.impute(holes, seed=1).join(imputer.impute(holes, seed=2))
        >>> imp.m, [x["seed"] for x in imp.settings["joined"]]
        (4, [1, 2])
        """
        wrong = [x for x in others if not isinstance(x, ImputedData)]
        if wrong or not others:
            what = type(wrong[0]).__name__ if wrong else "nothing"
            raise ArgumentError(f"join takes one ImputedData or several, not {what}.")
        parts = (self, *others)
        check_joinable(parts)
        original, store, notes = joined_store(parts)
        return replace(
            self,
            original=original,
            store=store,
            method=" + ".join(dict.fromkeys(x.method for x in parts)),
            seed=None,
            settings=joined_settings(parts),
            warnings=tuple(dict.fromkeys(text for x in parts for text in x.warnings)),
            notes=tuple(dict.fromkeys([*(text for x in parts for text in x.notes), *notes])),
            log=tuple(dict.fromkeys(text for x in parts for text in x.log)),
            trace=joined_traces([x.trace for x in parts], [x.m for x in parts]),
            saw=joined_models(parts),
            r=None,
        )

    def delta(
        self, column: str, delta: float | Mapping[Any, float], by: str | None = None
    ) -> ImputedData:
        """Shift the imputed values of a column, as if they were missing not at random.

        The engine imputes as if values that are missing were like those that are observed, given
        the other columns. A delta says by how much they are not.

        Parameters
        ----------
        column : str
            A column of numbers that has imputed values. Observed ones stay as they are.
        delta : float or mapping
            What is added to them, in the column's units; with `by`, a mapping of groups to shifts,
            such as ``{"treated": -1.0}``. Groups that it doesn't name are not shifted.
        by : str, optional
            A column of groups. Where a row's group was imputed, it is that of each data set.

        Returns
        -------
        ImputedData
            The shifted data sets. Its `settings` have what was shifted under "delta" (several
            shifts one after the other), and its `notes` say so.

        Raises
        ------
        ArgumentError
            A column without imputed values, or of other than numbers; a fractional shift of whole
            numbers; a group that there isn't; bootstrap samples.

        See Also
        --------
        delta_sensitivity : How a model's estimates move over several deltas.

        Notes
        -----
        The values are shifted after all of them were imputed: other columns were imputed from what
        they were before (mice's ``post`` shifts within its iterations). Columns that are computed
        from this one do not follow: compute them by `assign` after the shift. `r` and `trace` are
        of the data sets as they were.

        References
        ----------
        van Buuren (2018), Flexible Imputation of Missing Data, 2nd ed., sections 3.8 and 9.2.

        Examples
        --------
        >>> frame = pd.DataFrame({"x": [1.0, None], "g": ["a", "b"]})
        >>> imp = ImputedData.from_frames([frame.fillna(3.0), frame.fillna(5.0)], original=frame)
        >>> [d["x"].tolist() for d in imp.delta("x", -0.5)]
        [[1.0, 2.5], [1.0, 4.5]]
        >>> imp.delta("x", {"a": 1.0}, by="g") == imp
        True
        """
        store, shift = check_delta(self.original, self.store, column, delta, by)
        groups = None if by is None else [data[by] for data in self]
        told = {"column": column, "delta": shift} | ({} if by is None else {"by": by})
        return replace(
            self,
            store=shifted_store(self.original, store, column, shift, groups),
            settings={**self.settings, "delta": [*self.settings.get("delta", []), told]},
            notes=(*self.notes, shift_note(column, shift, by)),
        )

    def map(
        self,
        f: Callable[[pd.DataFrame], Any],
        *,
        n_jobs: int | None = None,
        errors: Literal["raise", "keep"] = "raise",
    ) -> MappedResults:
        """Call a function with each completed data set, on the workers that fit models.

        Parameters
        ----------
        f : callable
            Takes a frame and returns anything: an estimate, a result of another library's model.
            With several processes it and what it returns have to pickle, by cloudpickle, so that
            it may be a lambda. A function that draws random numbers has to seed them itself.
        n_jobs : int, optional
            Processes, as joblib counts them; None is joblib's own setting. What f warns of in a
            worker is written to standard error.
        errors : {"raise", "keep"}
            "raise" stops at the first data set at which f stops; "keep" warns, leaves out its
            result, and has its error in `MappedResults.failed`.

        Returns
        -------
        MappedResults
            What f returned, in the order of the data sets, the same for any `n_jobs`.

        Raises
        ------
        MapError
            f stopped; the error names the data set, has the traceback, and f's own exception as
            its cause. With ``errors="keep"`` only where f stopped at every data set.
        ArgumentError
            f is no function, or f or what it returns can't be carried to or from a worker.

        See Also
        --------
        pool : Pools what f returned.
        ImputedData.transform : Derives columns.

        Examples
        --------
        >>> frame = pd.DataFrame({"x": [1.0, None]})
        >>> imp = ImputedData.from_frames([frame.fillna(3.0), frame.fillna(5.0)], original=frame)
        >>> list(imp.map(lambda d: float(d["x"].mean())))
        [2.0, 3.0]
        """
        return map_data_sets(self.store, self.kind, f, n_jobs, errors)

    # -- long form -------------------------------------------------------------------------

    def to_long(self, include: bool = False, *, imp: str = IMP, id: str = ID) -> pd.DataFrame:
        """Put all data sets under each other, as ``mice::complete(imp, action = "long")``.

        Parameters
        ----------
        include : bool
            Put the data with their holes first, as ``.imp`` 0.
        imp, id : str
            Other names for ``.imp`` and ``.id``.

        Returns
        -------
        DataFrame
            ``.imp`` (from 1), ``.id`` (see below), and the columns.

        Raises
        ------
        ArgumentError
            The data already have a column of these names, or, with `include`, no dtype
            holds a column's values with and without its holes.

        See Also
        --------
        ImputedData.from_long : The way back.

        Notes
        -----
        ``.id`` counts the rows from 1 where the index is the one that pandas gives by itself (0,
        1, ...), and is the row's label otherwise. Labels that could be taken for such row numbers
        (an index 1, 2, ..., n) have pandas' nullable dtype Int64, by which `from_long` knows them
        again; a CSV file doesn't keep that. The labels of several levels are tuples. Names of the
        index are not kept.
        """
        whole = self.kind == "imputation"
        return stacked(list(self), self.original, include=include, whole=whole, imp=imp, id=id)

    @classmethod
    def from_long(
        cls,
        long: pd.DataFrame,
        imp: str = IMP,
        id: str | None = ID,
        *,
        kind: Kind = "imputation",
        method: str = "long",
    ) -> ImputedData:
        """Take data sets in the long form: the inverse of `to_long`.

        It reads what ``mice::complete(imp, action = "long")`` gives, too.

        Parameters
        ----------
        long : DataFrame
            ``.imp`` numbers the data sets: whole numbers, or the text of such; 0, where present, is
            the data with their holes. ``.id`` names the rows, each once in a data set. Rows may
            come in any order: each data set gets that of ``.imp`` 0, or else of the first one. Row
            numbers 1, 2, ..., n are put in order, and become the index 0, 1, ..., n - 1; any other
            ``.id`` becomes the index as it is (see `to_long`).
        imp : str
            What the column ``.imp`` is called, such as ``"_mi_m"`` or ``"Imputation_"``.
        id : str or None
            What the column ``.id`` is called. None where there is none: then the rows of all data
            sets are in one order, and what is known in the data with their holes has to be the
            same in each.
        kind : {"imputation", "bootstrap"}
            In bootstrap samples rows may be repeated or absent, and keep their order.
        method : str
            A name for the engine.

        Raises
        ------
        ArgumentError
            ``.imp`` or ``.id`` is absent or can't be right, the data sets have other rows, or, with
            ``id=None``, other values where the data with their holes have some.

        See Also
        --------
        read_imputed : The same from files, of other programs too.

        Examples
        --------
        >>> long = pd.DataFrame({"m": [0, 1, 2], "case": [7, 7, 7], "x": [None, 1.5, 2.5]})
        >>> imp = ImputedData.from_long(long, imp="m", id="case")
        >>> [d.loc[7, "x"].item() for d in imp]
        [1.5, 2.5]
        """
        check_frame(long, "long")
        parts = split_long(long, whole=kind == "imputation", imp=imp, id=id)
        original = parts.pop(0, None)
        if not parts:
            raise ArgumentError(f"long holds no data set but the one with holes ({imp} 0).")
        names = [f"imputation {i}" for i in parts]
        if id is None and original is not None and kind == "imputation":
            check_known_cells(list(parts.values()), original, names)
        holes, store, notes = merged(list(parts.values()), original, names, kind)
        if list(parts) != list(range(1, len(parts) + 1)):
            told = ", ".join(map(str, parts))
            notes = (*notes, f"the data sets are numbered {told} by {imp}: here they are 1, 2, ...")
        return cls(holes, store, method, kind, notes=notes)

    # -- files of other programs ------------------------------------------------------------

    def to_r(self, path: Any, as_: RClass = "mids") -> Path:
        """Write the data sets as an object of an R package, for ``readRDS(path)``.

        Parameters
        ----------
        path : path
            Of the file, such as "imp.rds"; one that is there is replaced.
        as_ : {"mids", "mitml.list", "amelia", "list"}
            The class. "mids" is mice's: ``mice::complete(x, i)`` is the i-th data set,
            ``mice::complete(x, 0)`` the data with their holes. "mitml.list" is mitml's, "list" a
            plain list of data frames. "amelia" has the data sets and what was missing, but not
            what Amelia's own algorithm knows (mu, covMatrices, theta): its diagnostics have nothing
            to show, and Amelia's ``ameliabind`` can't join it with another.

        Returns
        -------
        Path
            Of the file.

        Raises
        ------
        ArgumentError
            Another class; bootstrap samples as anything but "list".
        EncodingError
            A column or a value that R has no place for, by name.
        RPackageError
            This R lacks the package of the class.
        MissingPathError
            There is no such folder.

        See Also
        --------
        read_imputed : Reads such files.

        Notes
        -----
        Columns become what they become for a model: text stays text, a category a factor. Row
        labels become row names, where R can have them.

        Examples
        --------
        >>> import tempfile
        >>> import rbridge_mi as rb
        >>> frame = pd.DataFrame({"x": [1.0, None], "y": [1, 2]})
        >>> imp = ImputedData.from_frames([frame.fillna(5.0), frame.fillna(6.0)], original=frame)
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = imp.to_r(folder.name + "/imp.rds", as_="list")
        >>> rb.read_imputed(path)[1].equals(imp[1])
        True
        >>> folder.cleanup()
        """
        return write_r(self, path, as_)

    def to_stata(self, path: Any, labels: Mapping[Any, str] | None = None) -> Path:
        """Write a Stata file, and print the lines by which Stata takes it as multiply imputed.

        All data sets are under each other, numbered by ``imp_``, with the data with their holes as
        0; ``id_`` names the rows: by their index, or, where that is negative, of several levels or
        types, or has a label twice, from 1 on.

        Parameters
        ----------
        path : path
            Of the file, such as "imp.dta"; one that is there is replaced.
        labels : mapping, optional
            What columns are about, by their names; without it, what a file said that they were
            read from.

        Returns
        -------
        Path
            Of the file, of Stata 14 and later.

        Raises
        ------
        EncodingError
            A name or a value that Stata has no place for, by column; a path with a character that
            means more than a letter in its commands.
        ArgumentError
            Bootstrap samples; data sets that differ where nothing was missing, which Stata would
            silently put back.
        MissingPathError
            There is no such folder.

        See Also
        --------
        read_imputed : Reads such files.
        ImputedData.to_spss : The same for SPSS.

        Notes
        -----
        Categories become labelled numbers from 1, dates %td, times %tc, truth values 0 and 1. Empty
        texts are missing ones to Stata, of which a warning tells.

        Examples
        --------
        >>> import tempfile
        >>> frame = pd.DataFrame({"x": [1.0, None], "y": [1, 2]})
        >>> imp = ImputedData.from_frames([frame.fillna(5.0), frame.fillna(6.0)], original=frame)
        >>> folder = tempfile.TemporaryDirectory()
        >>> _ = imp.to_stata(folder.name + "/imp.dta")  # doctest: +ELLIPSIS
        use "...imp.dta", clear
        mi import flong, m(imp_) id(id_) imputed(x) clear
        >>> folder.cleanup()
        """
        return write_stata_file(self, path, labels)

    def to_spss(self, path: Any, labels: Mapping[Any, str] | None = None) -> Path:
        """Write an SPSS file: all data sets under each other, numbered by ``Imputation_``.

        SPSS pools what its procedures say once the file is split, ``SPLIT FILE LAYERED BY
        Imputation_.``; 0 are the data with their holes. ``id_`` names the rows: by their index, or,
        where that is negative, of several levels or types, or has a label twice, from 1 on.

        Parameters
        ----------
        path : path
            Of the file, such as "imp.sav"; one that is there is replaced.
        labels : mapping, optional
            What columns are about, by their names; without it, what a file said that they were
            read from.

        Returns
        -------
        Path
            Of the file.

        Raises
        ------
        EncodingError
            A name or a value that SPSS has no place for, by column.
        ArgumentError
            Bootstrap samples; data sets that differ where nothing was missing.
        MissingPathError
            There is no such folder.
        MissingExtraError
            pyreadstat isn't installed.

        See Also
        --------
        read_imputed : Reads such files.
        ImputedData.to_stata : The same for Stata.

        Notes
        -----
        Categories become labelled numbers from 1, nominal or, if they are ordered, ordinal.

        Examples
        --------
        >>> import tempfile
        >>> import rbridge_mi as rb
        >>> frame = pd.DataFrame({"x": [1.0, None], "y": [1, 2]})
        >>> imp = ImputedData.from_frames([frame.fillna(5.0), frame.fillna(6.0)], original=frame)
        >>> folder = tempfile.TemporaryDirectory()
        >>> rb.read_imputed(imp.to_spss(folder.name + "/imp.sav")) == imp
        True
        >>> folder.cleanup()
        """
        return write_spss_file(self, path, labels)

    # -- what is missing -------------------------------------------------------------------

    def missing(self) -> pd.Series[Any]:
        """Return the fraction of each column's cells that were missing, by column name.

        See Also
        --------
        ImputedData.patterns : Which columns are missing together.
        """
        return self.original.isna().mean().rename("fraction_missing")

    def patterns(self) -> pd.DataFrame:
        """Return the patterns of missingness, the most frequent first.

        Returns
        -------
        DataFrame
            One row per pattern, True where the column is missing; the index counts its rows.

        See Also
        --------
        ImputedData.missing : The fraction of each column.
        """
        holes = self.original.isna()
        counts = holes.value_counts(sort=True)
        frame = counts.index.to_frame(index=False)
        frame.index = pd.Index(counts.to_numpy(), name="n_rows")
        return frame

    def convergence(self, warmup: int | None = None) -> pd.DataFrame:
        """Say whether the imputation's chains have converged, by parameter.

        R-hat is that of Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), rank-normalised, of
        chains split into halves; the larger of two, for location and for spread. Imputations of
        chains with an R-hat of 1.05 or above are not draws from the distribution that was meant.

        Where one chain makes all imputations (`PanImputer` without ``rng="streams"``), the halves
        are those of this chain. That shows whether it still drifts, but not whether it would have
        come to the same from elsewhere.

        Parameters
        ----------
        warmup : int, optional
            Number of iterations dropped at the beginning of every chain; without it, half of them,
            and the burn-in of one chain that makes all imputations. At least 10 must be left.

        Returns
        -------
        DataFrame
            parameter, rhat, ess_bulk: in the order of `trace`. A parameter that never changes has
            nan.

        Raises
        ------
        ArgumentError
            There are no values of Markov chains (data that were imputed elsewhere; Amelia, which
            has an optimizer instead, that tells of its end in `log`), the chains are of several
            lengths, or too short.

        See Also
        --------
        ImputedData.trace : The values.

        Examples
        --------
        >>> frame = pd.DataFrame({"x": [1.0, None]})
        >>> imp = ImputedData.from_frames([frame.fillna(5.0), frame.fillna(6.0)], original=frame)
        >>> import dataclasses
        >>> import numpy as np
        >>> trace = pd.DataFrame(
        ...     {
        ...         "imputation": np.repeat([1, 2], 400),
        ...         "iteration": np.tile(np.arange(1, 401), 2),
        ...         "parameter": "mean of x",
        ...         "value": np.random.default_rng(1).normal(size=800),
        ...     }
        ... )
        >>> dataclasses.replace(imp, trace=trace).convergence().round(2)
           parameter  rhat  ess_bulk
        0  mean of x  1.01    456.22
        """
        check_one_set_of_chains(self.settings, self.trace)
        return convergence_table(self.trace, self.method, warmup)

    def overimpute(self, column: str, draws: int = 20, seed: int | None = None) -> pd.DataFrame:
        """Say what each observed cell of a column would have been imputed as: Amelia's overimpute.

        About 90% of the intervals should hold the observed values. It is what
        ``Amelia::overimpute(output, column, draws)`` plots; nothing is drawn here.

        Parameters
        ----------
        column : str
            A column that Amelia imputes as a number.
        draws : int
            Draws per imputation.
        seed : int, optional
            For ``set.seed``; without it, that of the imputations.

        Returns
        -------
        DataFrame
            row (its label), observed, overimputed_mean, overimputed_low, overimputed_high (a 90%
            interval), row_missing (the fraction that Amelia's colours show): a row per observed
            cell, in the order of the data.

        Raises
        ------
        ArgumentError
            Data sets that are not Amelia's, or without R's object (``keep_r=True``); a column that
            is nominal, or not imputed.

        See Also
        --------
        ImputedData.disperse : Whether starting values matter.

        Notes
        -----
        Of columns in `logs` the overimputed values are 1 too large, as imputed ones are
        (`AmeliaImputer`). R's `subset`, an expression, is not taken.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> holes = rb.ampute(rb.load_hsb().head(300), prop=0.1, columns="ses", seed=1)
        >>> imputer = rb.AmeliaImputer(m=2, idvars=["schid", "meanses", "size", "schtype"])
        >>> table = imputer.impute(holes, seed=1, keep_r=True).overimpute("ses")
        >>> bool(table["observed"].between(table.overimputed_low, table.overimputed_high).any())
        True
        """
        seed = self.seed if seed is None else seed
        return overimputed(self.r, self.method, self.settings, self.original, column, draws, seed)

    def disperse(self, m: int = 5, dims: int = 1, seed: int | None = None) -> pd.DataFrame:
        """Follow EM chains from overdispersed starting values: Amelia's disperse.

        All of them should end where the first does. It is what ``Amelia::disperse(output, m,
        dims)`` plots; nothing is drawn here. How the chains of the imputations themselves went,
        Amelia's ``iterHist``, is in `trace`.

        Parameters
        ----------
        m : int, at least 2
            Number of chains; the first begins as Amelia's own do.
        dims : {1, 2}
            Number of principal components of the model's parameters.
        seed : int, optional
            For ``set.seed``; without it, that of the imputations.

        Returns
        -------
        DataFrame
            chain, iteration, component (all from 1), value.

        Raises
        ------
        ArgumentError
            Data sets that are not Amelia's, or without R's object (``keep_r=True``).

        See Also
        --------
        ImputedData.overimpute : Whether the model predicts what is known.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> holes = rb.ampute(rb.load_hsb().head(300), prop=0.1, columns="ses", seed=1)
        >>> imputer = rb.AmeliaImputer(m=2, idvars=["schid", "meanses", "size", "schtype"])
        >>> table = imputer.impute(holes, seed=1, keep_r=True).disperse(m=3)
        >>> ends = table.groupby("chain")["value"].last()
        >>> bool(ends.max() - ends.min() < 0.01)
        True
        """
        return dispersed(self.r, self.method, m, dims, self.seed if seed is None else seed)

    def summary(self) -> Printed:
        """Summarise as ``summary(amelia)`` does, with any column whose dtype changed."""
        holes = self.original.isna()
        complete = int((~holes.any(axis=1)).sum())
        kind = "imputed" if self.kind == "imputation" else "bootstrap"
        lines = [f"{self.method}: {self.m} {kind} data sets, seed {self.seed}"]
        lines += [f"Message: {text}" for text in self.log]
        lines += self._chains()
        lines += ["", f"Rows: {len(self.original)}", f"Rows after listwise deletion: {complete}"]
        if self.kind == "imputation":
            lines += [f"Rows after imputation: {int((~self[0].isna().any(axis=1)).sum())}"]
        else:
            lines += _sampled(self.settings)
        lines += [
            f"Patterns of missingness: {len(self.patterns())}",
            "",
            "Fraction missing for original variables:",
        ]
        width = max(len(str(x)) for x in self.original.columns)
        lines += [f"  {name!s:<{width}}  {part:.4f}" for name, part in self.missing().items()]
        for title, texts in (("Notes", self.notes), ("Warnings from R", self.warnings)):
            if texts:
                lines += ["", f"{title}:", *(f"  {x}" for x in texts)]
        return Printed.of(lines)

    def _chains(self) -> list[str]:
        """Return lines on the chains: how long, and the worst R-hat where they have one."""
        lengths, mixing = self.chain_lengths, self._worst_mixing()
        if lengths and burn_in(self.trace) is not None:
            of_all = f"One chain for all imputations, of {lengths[-1]} iterations"
            return ["", of_all if mixing is None else f"{of_all}; {mixing}"]
        if mixing is not None and len(set(lengths)) == 1:
            return ["", f"Chains: {len(lengths)}, of {lengths[0]} iterations; {mixing}"]
        if not lengths:
            return []
        chains = [f"  Imputation {i}: {n}" for i, n in enumerate(lengths, start=1)]
        return ["", "Chain lengths:", *chains]

    def _worst_mixing(self) -> str | None:
        try:
            check_one_set_of_chains(self.settings, self.trace)
        except ArgumentError:
            return None
        return worst_mixing(self.trace, self.method)

    def __repr__(self) -> str:
        rows, columns = self.original.shape
        size = f"m={self.m}, {rows} rows x {columns} columns"
        return f"<ImputedData: {self.method}, {size}, seed={self.seed}>"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def _sampled(settings: Mapping[str, Any]) -> list[str]:
    """Return lines on what bootstrap samples are samples of."""
    cluster = settings.get("cluster")
    if cluster is not None:
        return [
            f"Each data set is a sample of whole groups of {cluster}, with replacement; its holes "
            "stay holes."
        ]
    lines = ["Each data set is a sample of the rows with replacement; its holes stay holes."]
    if "cluster" in settings:
        lines += [
            "For a model with groups draw whole groups (cluster=): of single rows the variance "
            "between groups comes out far too large."
        ]
    return lines


def _result(frame: Any, name: str) -> pd.DataFrame:
    """Check that what a user's function returned is a frame."""
    if frame is None:
        raise ArgumentError(
            f"{name} is None: f must return the frame (a function that changes it in place needs "
            "`return d` at its end)."
        )
    return check_frame(frame, name)
