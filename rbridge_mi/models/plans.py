"""What can be said of a model before any fit: its plan, its fixed part, and what is wrong."""

from __future__ import annotations

import contextlib
import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import pandas as pd

from .. import rdoor
from ..base.arguments import check_known
from ..base.checks import nearest
from ..errors import ArgumentError, FormulaError

__all__ = ["FixedPart", "Model", "Plan", "check_model", "fixed_part", "needed"]


class Model(Protocol):
    """What a model says of itself."""

    @property
    def fitter(self) -> str:
        """The name of lme4's function that fits it."""
        ...

    @property
    def control_maker(self) -> str:
        """The name of lme4's function that makes its ``control``."""
        ...

    @property
    def verbose(self) -> int:
        """How much R is to print while it fits."""
        ...

    def controls(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the arguments that `control_maker` makes, each with what that is given."""
        ...

    def r_call(self) -> str:
        """Return the call as R code, for messages."""
        ...

    def specification(self, data: pd.DataFrame) -> dict[str, Any]:
        """Return what R has to know beside the data, and refuse what doesn't fit these."""
        ...


@dataclass(frozen=True)
class Plan:
    """The call that R will make once it has data.

    Attributes
    ----------
    call : RObject
    columns : sequence of str, or None
        All that the fit needs of the data; None for every column.
    """

    call: rdoor.RObject
    columns: Sequence[str] | None


def check_model(model: Model, data: pd.DataFrame) -> Plan:
    """Check what can be checked before any fit: formula, columns, names of the control.

    Raises
    ------
    RPackageError
        This R lacks lme4.
    FormulaError
        With R's text.
    ArgumentError
        An argument or a column that can't be right, by name.
    """
    rdoor.require_package("lme4", type(model).__name__)
    specification, names = model.specification(data), rdoor.names_for_r(data.columns)
    try:
        facts = _facts(specification, names)
    except FormulaError as error:
        _name_odd_columns(error, data)
        _suggest_columns(error, data)
        raise
    if facts["columns"] is None:  # a formula with a dot
        rdoor.check_frame_names(data)
    for name, given in model.controls().items():
        check_known(given, facts["control"], f"{name} ({model.control_maker})")
    for name in facts["variables"]:
        _check_values(data[name], name)
    for name in facts["coded"] if facts["coded"] is not None else ():
        if not isinstance(data[name].dtype, pd.CategoricalDtype):
            raise ArgumentError(
                f"C({name}) in the formula: R's C() takes a factor, and column {name!r} has "
                f"dtype {data[name].dtype}. Write factor({name}) for C({name}), and "
                f"C(factor({name}), ...) for C({name}, ...), or make the column a Categorical."
            )
    columns = facts["columns"]
    return Plan(facts["plan"], None if columns is None else tuple(map(str, columns)))


def _facts(specification: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Return what R's `check_model` says; for a model without values per row it is kept."""
    if not specification["vectors"]:
        # What can't be pickled can't go to R either, which then says so by name.
        with contextlib.suppress(pickle.PicklingError, TypeError, AttributeError):
            return _kept_facts(pickle.dumps((specification, names)))
    return _asked(specification, names)


@lru_cache(maxsize=128)
def _kept_facts(pickled: bytes) -> dict[str, Any]:
    return _asked(*pickle.loads(pickled))


def _asked(specification: dict[str, Any], names: list[str]) -> dict[str, Any]:
    facts: dict[str, Any] = rdoor.call(
        "check_model", specification, names, error=FormulaError
    ).value
    return facts


@dataclass(frozen=True)
class FixedPart:
    """A model's fixed part before any fit.

    `columns` are those of the data that it names, `terms` the names that its coefficients will
    have; None where that can't be told.
    """

    columns: tuple[str, ...] | None
    terms: tuple[str, ...] | None


def fixed_part(model: Model, data: pd.DataFrame) -> FixedPart:
    """Return what can be said of a model's coefficients before any fit; `check_model` comes first.

    The names of terms are those of the data as they are. Truth values with holes may be imputed as
    numbers, which have terms of other names, so that nothing is said of these.
    """
    columns = check_model(model, data).columns
    facts = rdoor.call(
        "fixed_part", model.specification(data), needed(data, columns), error=FormulaError
    ).value
    names = facts["variables"]
    if names is None:
        return FixedPart(None, None)
    names = tuple(map(str, names))
    odd = any(data[x].isna().any() and pd.api.types.is_bool_dtype(data[x].dtype) for x in names)
    terms = None if odd or facts["terms"] is None else tuple(map(str, facts["terms"]))
    return FixedPart(names, terms)


def needed(data: pd.DataFrame, columns: Sequence[str] | None) -> pd.DataFrame:
    """Return the columns that a fit needs: what R can't hold may stand in the others."""
    if columns is None:
        return data
    wanted = [x for x in data.columns if x in columns]
    return data if len(wanted) == data.shape[1] else data[wanted]


def _check_values(column: pd.Series[Any], name: str) -> None:
    if column.dtype == np.float64 and np.isfinite(column.to_numpy()).all():
        return  # the usual case, which takes no more than this
    if column.isna().all():
        raise ArgumentError(f"column {name!r} has no value at all: no model can use it.")
    if (
        pd.api.types.is_float_dtype(column.dtype)
        and np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan)).any()
    ):
        raise ArgumentError(
            f"column {name!r} holds infinite values: make them missing, or drop those rows."
        )


def _name_odd_columns(error: FormulaError, data: pd.DataFrame) -> None:
    """Add to the error which of the data's columns it may mean, where their names aren't text."""
    for name in data.columns:
        if not isinstance(name, str) and f"'{name}'" in (error.r_message or ""):
            error.args = (
                f"{error.args[0]}\n  The name of the column {name!r} is not text, as R's are: "
                "rename it, for instance with `frame.columns = frame.columns.map(str)`.",
            )


def _suggest_columns(error: FormulaError, data: pd.DataFrame) -> None:
    """Add to the error which columns were probably meant by names that there aren't."""
    unknown = _UNKNOWN.search(error.r_message or "")
    if unknown is None:
        return
    names = _QUOTED.findall(unknown[1])
    columns = [x for x in data.columns if isinstance(x, str)]
    meant = {x: close for x in names if (close := nearest(x, columns)) is not None}
    if meant:
        listed = ", ".join(f"{close!r} for {x!r}" for x, close in meant.items())
        error.args = (f"{error.args[0]}\n  Did you mean {listed}?",)


_UNKNOWN = re.compile(r"^the formula names (.*?), not among the columns", re.DOTALL)
_QUOTED = re.compile(r"'([^']*)'")
