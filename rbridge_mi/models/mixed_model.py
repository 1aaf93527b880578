"""What all mixed models of lme4 share: their common arguments, and ``fit``.

What fits them is imported at the first fit, so that naming a model takes little more than pandas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, overload

import numpy as np
import pandas as pd

from ..base.arguments import check_columns, check_value
from ..base.parameters import Parameters
from ..errors import ArgumentError
from .codings import codings

if TYPE_CHECKING:
    from ..data.imputed_data import ImputedData
    from ..inference.mermod import MerMod
    from ..pooled.mermod_list import MerModList

__all__ = ["Code", "Column", "MixedModel"]

_NA_ACTIONS = ("na.omit", "na.exclude", "na.fail", "na.pass")
Column: TypeAlias = (
    Any  # str | Sequence[Any] | np.ndarray | pd.Series: a column's name, or one value per row
)


class Code(str):
    """A text that stands for R code, which R checks before it is evaluated."""

    __slots__ = ()


class MixedModel(Parameters):
    """The base of the models; each is a frozen dataclass that adds further fields.

    A model names lme4's function that fits it (`fitter`) and that makes its ``control``
    (`control_maker`), the arguments that have a value per row (`per_row`), and those that only it
    has (`own_arguments`).
    """

    fitter: ClassVar[str]
    control_maker: ClassVar[str]
    per_row: ClassVar[tuple[str, ...]] = ("weights", "offset", "subset")

    formula: str
    control: Mapping[str, Any] | None
    start: Any
    weights: Column | None
    offset: Column | None
    subset: Column | None
    na_action: str | None
    contrasts: Mapping[str, Any] | None
    verbose: int
    allow: Sequence[str]

    def own_arguments(self) -> dict[str, Any]:
        """Return the arguments that this model has beside the common ones, by R's names."""
        raise NotImplementedError

    def controls(self) -> dict[str, Mapping[str, Any]]:
        """Return the arguments that `control_maker` makes, by R's names."""
        return {} if self.control is None else {"control": self.control}

    def __post_init__(self) -> None:
        if not isinstance(self.formula, str):
            raise ArgumentError(
                f"formula must be text, as in R, not {type(self.formula).__name__}."
            )
        if self.na_action is not None:
            check_value(self.na_action, _NA_ACTIONS, "na_action")
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
        """Fit the model to a frame, or to each of m data sets.

        Parameters
        ----------
        data : DataFrame or ImputedData
            Only the columns that formula and arguments name go to R (all of them where the formula
            has a dot). Others may hold what R can't hold, and have names that aren't text.
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
            the same bits, but later.
        isolate : bool
            Fit in a separate process, so that a crash of R, or a kill for want of memory, raises
            `RWorkerLost` here, and does not end this process. The bits are the same. It takes some
            3 s for the first such call, which starts the process, and 0.1 s for those that follow.
            In a list, a fit that was lost is run once more; lost again it counts as failed, see
            `errors`.
        timeout : float, optional
            Seconds that one fit may take in such a process; implies `isolate`.

        Returns
        -------
        MerMod or MerModList
            The fit to a DataFrame, or the fits to an ImputedData.

        Raises
        ------
        ArgumentError
            An argument or a column that can't be right, by name; R is not called.
        FormulaError, FitError
            With R's text.
        RTimeout, RWorkerLost
            With `timeout` or `isolate`: what was running, and R's call.

        See Also
        --------
        MerModList.pool : Pools the fits.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
        >>> fit.nobs
        7185
        """
        from ..data.imputed_data import ImputedData
        from . import fitting

        if isinstance(data, ImputedData):
            return fitting.fit_each(
                self,
                data,
                n_jobs=n_jobs,
                errors=errors,
                return_objects=return_objects,
                isolate=isolate,
                timeout=timeout,
            )
        given = {
            "n_jobs": n_jobs not in (None, 1),
            "errors": errors != "raise",
            "return_objects": return_objects,
        }
        return fitting.fit_frame(
            self,
            data,
            isolate=isolate,
            timeout=timeout,
            refused=[name for name, is_given in given.items() if is_given],
        )

    def r_call(self) -> str:
        """Return the call as R code, for messages."""
        arguments = "".join(
            f", {name} = {_in_r(value)}" for name, value in self.own_arguments().items()
        )
        return f"lme4::{self.fitter}({self.formula}{arguments})"

    def specification(self, data: pd.DataFrame) -> dict[str, Any]:
        """Return what R has to know beside the data; see ``plan_model`` in r/models/fitting.R.

        Raises
        ------
        ArgumentError
            An argument that doesn't fit these data.
        """
        columns: dict[str, str] = {}
        vectors: dict[str, Any] = {}
        for name in self.per_row:
            value = getattr(self, name)
            if isinstance(value, str):
                check_columns([value], data, name)
                columns[name] = value
            elif value is not None:
                vectors[name] = _per_row(value, data, name)
        if self.subset is not None:
            _check_truths(data[columns["subset"]] if "subset" in columns else vectors["subset"])
        return {
            "fitter": self.fitter,
            "control_maker": self.control_maker,
            "formula": self.formula,
            "allow": list(self.allow),
            "arguments": self._plain_arguments(data),
            "names": columns,
            "vectors": vectors,
            "controls": {name: dict(x) for name, x in self.controls().items() if x},
        }

    def _plain_arguments(self, data: pd.DataFrame) -> dict[str, Any]:
        arguments = self.own_arguments()
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
        return arguments


def _in_r(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    return f'"{value}"' if isinstance(value, str) and not isinstance(value, Code) else str(value)


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
    """Refuse numbers: R takes them for the numbers of rows, so that 1 would be the first row."""
    if pd.api.types.is_numeric_dtype(subset.dtype) and not pd.api.types.is_bool_dtype(subset.dtype):
        raise ArgumentError(
            f"subset holds {subset.dtype}: it needs True or False for each row, as `column == 1` "
            "gives them, since R takes numbers for the numbers of rows."
        )
