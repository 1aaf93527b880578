"""A frame as an analysis model sees it: design, groups, columns, and what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import rdoor
from ..base.arguments import check_columns
from ..errors import ArgumentError, FormulaError
from ..sampling.children import Columns
from .column_checks import Refusal, notes, refusals
from .columns import Column, understand
from .derived_columns import sources
from .imputation_problem import FUNCTIONS, Family
from .model_design import DesignPart, ModelDesign, compile_model

__all__ = ["AnalysisModel", "Formula", "ModelData", "Options", "WithDerived", "read_model_data"]

Array: TypeAlias = NDArray[Any]


class AnalysisModel(Protocol):
    """What the imputer asks of a model; `rbridge_mi.Lmer` is one."""

    def specification(self, data: pd.DataFrame) -> dict[str, Any]:
        """Return what R has to know of the model beside the data."""
        ...


@dataclass(frozen=True)
class Formula:
    """A formula alone, as the model that ``lmer(formula)`` fits.

    Parameters
    ----------
    text : str
    allow : tuple of str
        Further functions that it may call.
    """

    text: str
    allow: tuple[str, ...] = ()

    def specification(self, data: pd.DataFrame) -> dict[str, Any]:
        """Return what R has to know of the model beside the data."""
        del data
        return {
            "fitter": "lmer",
            "control_maker": "lmerControl",
            "formula": self.text,
            "allow": list(self.allow),
            "arguments": {},
            "names": {},
            "vectors": {},
            "control": {},
        }


@dataclass(frozen=True)
class Options:
    """What a user may say of the columns; see `CompatibleImputer`."""

    auxiliary: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[str, str | None] = field(default_factory=dict)
    transforms: Mapping[str, str] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    derived: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelData:
    """A frame as an analysis model sees it.

    Parameters
    ----------
    family : Family
    design : ModelDesign
    values : mapping of str to array, shape (rows,)
        The design's columns in a first completed data set.
    groups : mapping of str to array of int, shape (rows,)
        The grouping factors.
    columns : mapping of str to Column
        All columns of the frame.
    means : mapping of str to (str, str)
        Derived columns that are group means: the column, and the group.
    expressions : mapping of str to DesignPart
        Other derived columns.
    offset, weights : array, shape (rows,), or None
    refused : tuple of Refusal
    notes : tuple of str
    """

    family: Family
    design: ModelDesign
    values: Mapping[str, Array]
    groups: Mapping[str, Array]
    columns: Mapping[str, Column]
    means: Mapping[str, tuple[str, str]]
    expressions: Mapping[str, DesignPart]
    offset: Array | None
    weights: Array | None
    refused: tuple[Refusal, ...]
    notes: tuple[str, ...]

    @property
    def response(self) -> str:
        """The column of the response."""
        assert self.design.response_column is not None
        return self.design.response_column

    def with_derived(self, part: DesignPart) -> Columns:
        """Return a part of the design that computes derived columns by itself."""
        used = {name: x for name, x in self.expressions.items() if name in part.columns}
        return WithDerived(part, used) if used else part


@dataclass(frozen=True)
class WithDerived:
    """A part of a design, some columns of which are computed from others.

    Parameters
    ----------
    part : DesignPart
    expressions : mapping of str to DesignPart
        By derived column, a part with one column.
    """

    part: DesignPart
    expressions: Mapping[str, DesignPart]

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it hangs on, without derived ones."""
        plain = self.part.columns - set(self.expressions)
        return plain.union(*(x.columns for x in self.expressions.values()))

    def matrix(self, values: Mapping[str, Array]) -> Array:
        """Return the design; see `DesignPart.matrix`."""
        derived = {name: evaluated(x, values) for name, x in self.expressions.items()}
        return self.part.matrix({**values, **derived})


def evaluated(expression: DesignPart, values: Mapping[str, Array]) -> Array:
    """Return a derived column for values of those that it follows from."""
    column: Array = expression.matrix({name: values[name] for name in expression.columns})[..., 0]
    return column


def read_model_data(
    data: pd.DataFrame, model: AnalysisModel, family: Family, options: Options, seed: int
) -> ModelData:
    """Read a frame as a model sees it.

    Parameters
    ----------
    data : DataFrame
        With holes.
    model : AnalysisModel
    family : Family
    options : Options
    seed : int
        Of the first completed data set, on which bases such as ``poly(x, 2)`` are fixed.

    Returns
    -------
    ModelData

    Raises
    ------
    ArgumentError, FormulaError
        What can't be right whatever the data's holes are.
    """
    specification = model.specification(data)
    filled = _filled(data, seed)
    design = compile_model(model, filled)
    if specification["names"].get("subset") or "subset" in specification["vectors"]:
        raise ArgumentError(
            "subset: rows outside of it have no part in the model, so that nothing says how to "
            "impute them. Take the rows out of the data before imputing."
        )
    response = _response_column(design, family)
    groups = {part.group: part.codes for part in design.random}
    in_design = design.fixed.columns.union(*(x.design.columns for x in design.random))
    if design.offset is not None:
        in_design |= design.offset.columns
    known_by_derived = [
        x for name in options.derived for x in sources(options.derived[name]) if name in in_design
    ]
    derived = set(options.derived)
    covariates = [
        x
        for x in data.columns
        if (x in in_design or x in known_by_derived) and x != response and x not in derived
    ]
    gaussian = {response: "continuous"} if family.name == "gaussian" else {}
    columns = understand(
        data,
        response=response,
        covariates=covariates,
        auxiliary=options.auxiliary,
        groups=groups,
        types={**options.types, **gaussian},
        levels=options.levels,
        transforms=options.transforms,
        bounds=options.bounds,
        derived=options.derived,
    )
    means = {k: (v[1], v[2]) for k, v in options.derived.items() if not isinstance(v, str)}
    expressions = {
        name: _expression(text, name, design, model, filled)
        for name, text in options.derived.items()
        if isinstance(text, str)
    }
    refused = [
        *refusals(data, columns, groups),
        *_refused_response(columns[response], design, family, options),
        *_refused_means(columns, options.derived),
        *_refused_offset(design, columns),
    ]
    return ModelData(
        family=family,
        design=design,
        values=design.values(filled),
        groups=groups,
        columns=columns,
        means=means,
        expressions=expressions,
        offset=_per_row(specification, "offset", data, refused, design, filled),
        weights=_per_row(specification, "weights", data, refused),
        refused=tuple(refused),
        notes=tuple(notes(data, columns, groups)),
    )


def _filled(data: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Fill each column's holes by its observed values, drawn at random."""
    random = np.random.default_rng([seed, 0])
    filled = data.copy(deep=False)
    for name in data.columns:
        hole = data[name].isna().to_numpy()
        draws = random.random(int(hole.sum()))  # the same number whatever the values are
        observed = np.flatnonzero(~hole)
        if hole.any() and observed.size:
            rows = np.arange(len(data))
            rows[hole] = observed[(draws * len(observed)).astype(np.int64)]
            filled[name] = data[name].array.take(rows)
    return filled


def _response_column(design: ModelDesign, family: Family) -> str:
    column = design.response_column
    known = design.response_function is None or design.response_function in FUNCTIONS
    if column is None or not known or (design.response_function and family.name != "gaussian"):
        functions = ", ".join(FUNCTIONS)
        raise ArgumentError(
            f"the response is {design.response}; it must be a column of the data"
            + (f", or {functions} of one" if family.name == "gaussian" else "")
            + ": make a column of it before imputing."
        )
    return column


def _expression(
    text: str, name: str, design: ModelDesign, model: AnalysisModel, filled: pd.DataFrame
) -> DesignPart:
    """Compile a derived column's expression, which is checked as a formula's calls are."""
    allow = tuple(model.specification(filled)["allow"])
    formula = Formula(f"{design.response} ~ 0 + I({text}) + (1 | {design.random[0].group})", allow)
    try:
        part = compile_model(formula, filled).fixed
    except FormulaError as error:
        raise ArgumentError(f"derived gives {name!r} {text!r}: {error}") from error
    if len(part.names) != 1:
        raise ArgumentError(
            f"derived gives {name!r} {text!r}, which has {len(part.names)} columns: it must have "
            "one number for each row."
        )
    return part


def _refused_response(
    column: Column, design: ModelDesign, family: Family, options: Options
) -> list[Refusal]:
    name = column.name
    if family.name == "gaussian":
        for argument in ("transforms", "bounds"):
            if name in getattr(options, argument):
                raise ArgumentError(
                    f"{argument} names {name!r}, the response, which is imputed by the analysis "
                    "model: write the model for a function of it, such as log(y)."
                )
        forward = FUNCTIONS.get(design.response_function or "", (np.array, None))[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            wrong = ~np.isfinite(forward(column.values)) & ~np.isnan(column.values)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            return [
                Refusal(
                    name,
                    f"column {name!r}: {design.response} is not a finite number in row {row + 1} "
                    f"(the value is {column.values[row]:g}); correct the value, or take the row "
                    "out.",
                )
            ]
        return []
    if column.kind != "binary":
        return [
            Refusal(
                name,
                f"column {name!r}: a binomial response has two values, and this one is "
                f"{column.kind}: make it 0 and 1, or use family='gaussian'.",
            )
        ]
    return []


def _refused_means(columns: Mapping[str, Column], derived: Mapping[str, Any]) -> list[Refusal]:
    refused = []
    seen: dict[str, str] = {}
    for name, formula in derived.items():
        if isinstance(formula, str):
            inner = [x for x in sources(formula) if x in derived]
            if inner:
                text = (
                    f"column {name!r} is derived from {inner[0]!r}, which is derived itself: "
                    f"write it in terms of {', '.join(map(repr, sources(derived[inner[0]])))}."
                )
                refused.append(Refusal(name, text))
            continue
        of = columns[formula[1]]
        if of.labels is not None and isinstance(of.labels[0], str):
            why = "is no number"
        elif of.level is not None:
            why = f"has one value for each {of.level}, and its mean over rows is not recomputed"
        elif of.role in ("derived", "response"):
            why = f"is {'derived itself' if of.role == 'derived' else 'the response'}"
        elif seen.get(formula[1], formula[2]) != formula[2]:
            why = f"has a group mean over {seen[formula[1]]} too, and one at a time is recomputed"
        else:
            seen[formula[1]] = formula[2]
            continue
        text = f"column {name!r} is derived as the mean of {formula[1]!r}, which {why}."
        refused.append(Refusal(name, text))
    return refused


def _refused_offset(design: ModelDesign, columns: Mapping[str, Column]) -> list[Refusal]:
    if design.offset is None:
        return []
    return [
        Refusal(
            name,
            f"column {name!r} is in offset(), and has {columns[name].missing} holes: an offset "
            "must be complete. Fill it, or take these rows out of the data.",
        )
        for name in sorted(design.offset.columns)
        if columns[name].missing
    ]


def _per_row(
    specification: Mapping[str, Any],
    argument: str,
    data: pd.DataFrame,
    refused: list[Refusal],
    design: ModelDesign | None = None,
    filled: pd.DataFrame | None = None,
) -> Array | None:
    """Return weights or offset, one number per row; those of the formula are added."""
    column = specification["names"].get(argument)
    given = data[column] if column else specification["vectors"].get(argument)
    total: Array | None = None
    if given is not None:
        check_columns([column] if column else [], data, argument)
        total = pd.to_numeric(pd.Series(given)).to_numpy(dtype=np.float64, na_value=np.nan)
        wrong = ~np.isfinite(total) | ((total <= 0) if argument == "weights" else False)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0]) + 1
            must = "finite and positive" if argument == "weights" else "finite"
            refused.append(
                Refusal(
                    column or argument,
                    f"{argument} must be {must}, and {int(wrong.sum())} rows are not (the first "
                    f"is row {row}): fill them, or take these rows out of the data.",
                )
            )
    if design is not None and design.offset is not None and filled is not None:
        values = design.values(filled)
        of_formula = evaluated(design.offset, values)
        total = of_formula if total is None else total + of_formula
    return total

