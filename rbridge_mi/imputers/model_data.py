"""A frame as an analysis model sees it: design, groups, columns, and what speaks against it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import check_columns
from ..data.common_dtype import settable
from ..errors import ArgumentError, FormulaError
from ..sampling.children import Columns
from .column_checks import Refusal, notes, refusals
from .columns import Column, understand
from .derived_columns import check_derived, in_order, origins
from .imputation_problem import FUNCTIONS, Family
from .model_design import DesignPart, Model, ModelDesign, compile_model
from .row_order import by_first_row, order_of_rows

__all__ = ["Formula", "ModelData", "Options", "WithDerived", "nan_as_missing", "read_model_data"]

Array: TypeAlias = NDArray[Any]

#: What a response of each family is read as.
_KINDS = {"gaussian": "continuous", "binomial": "binary", "poisson": "count"}
_MOST = 1e15  # a Poisson count, at most: the sampler draws none above it
_LARGEST_OFFSET = 50.0  # of a count: the logarithm of an exposure is never as large


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
            "controls": {},
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
    """A frame as an analysis model sees it; all arrays have the rows in the order of `order`.

    Parameters
    ----------
    order : array of int, shape (rows,)
        Where the rows stand in the frame. It hangs on what they hold, see `row_order`, so that
        they are imputed alike however they are shuffled.
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
    expressions : mapping of str to Columns
        Other derived columns, each a part with one column.
    offset, weights : array, shape (rows,), or None
    refused : tuple of Refusal
    notes : tuple of str
    """

    order: Array
    family: Family
    design: ModelDesign
    values: Mapping[str, Array]
    groups: Mapping[str, Array]
    columns: Mapping[str, Column]
    means: Mapping[str, tuple[str, str]]
    expressions: Mapping[str, Columns]
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
        return _with_derived(part, self.expressions)


@dataclass(frozen=True)
class WithDerived:
    """A part of a design, some columns of which are computed from others.

    Parameters
    ----------
    part : DesignPart
    expressions : mapping of str to Columns
        By derived column, a part with one column.
    """

    part: DesignPart
    expressions: Mapping[str, Columns]

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it hangs on, without derived ones."""
        plain = self.part.columns - set(self.expressions)
        return plain.union(*(x.columns for x in self.expressions.values()))

    def matrix(self, values: Mapping[str, Array]) -> Array:
        """Return the design; see `DesignPart.matrix`."""
        derived = {name: evaluated(x, values) for name, x in self.expressions.items()}
        return self.part.matrix({**values, **derived})


def _with_derived(part: DesignPart, expressions: Mapping[str, Columns]) -> Columns:
    used = {name: x for name, x in expressions.items() if name in part.columns}
    return WithDerived(part, used) if used else part


def evaluated(expression: Columns, values: Mapping[str, Array]) -> Array:
    """Return a derived column for values of those that it follows from."""
    column: Array = expression.matrix({name: values[name] for name in expression.columns})[..., 0]
    return column


def nan_as_missing(data: pd.DataFrame) -> pd.DataFrame:
    """Return a frame in whose nullable columns NaN is missing, as it is in all others.

    Parameters
    ----------
    data : DataFrame
        It isn't changed.

    Returns
    -------
    DataFrame
        The same one where there is nothing to change.
    """
    changed = data
    for name in data.columns:
        column = data[name]
        if isinstance(column.dtype, np.dtype) or not pd.api.types.is_float_dtype(column.dtype):
            continue
        nan = np.isnan(column.to_numpy(dtype=np.float64, na_value=np.nan))
        if (nan & column.notna().to_numpy()).any():
            changed = data.copy(deep=False) if changed is data else changed
            changed[name] = column.mask(nan)
    return changed


def read_model_data(
    data: pd.DataFrame, model: Model, family: Family, options: Options, seed: int
) -> ModelData:
    """Read a frame as a model sees it.

    Parameters
    ----------
    data : DataFrame
        With holes.
    model : Model
    family : Family
    options : Options
    seed : int
        Of the first completed data set, on which bases such as ``poly(x, 2)`` are fixed.

    Returns
    -------
    ModelData
        With what it refuses.

    Raises
    ------
    ArgumentError, FormulaError
        What can't be right whatever the data's holes are.
    """
    specification = model.specification(data)
    order = order_of_rows(data)
    place = np.argsort(order)
    filled = _filled(data.iloc[order], seed)
    design = compile_model(model, filled)
    if specification["names"].get("subset") or "subset" in specification["vectors"]:
        raise ArgumentError(
            "subset: rows outside of it have no part in the model, so that nothing says how to "
            "impute them. Take the rows out of the data before imputing."
        )
    response = _response_column(design, family)
    ordered_groups = {part.group: by_first_row(part.codes) for part in design.random}
    groups = {name: codes[place] for name, codes in ordered_groups.items()}
    in_design = design.fixed.columns.union(*(x.design.columns for x in design.random))
    if design.offset is not None:
        in_design |= design.offset.columns
    in_design |= {specification["names"].get("offset")} - {None}
    check_derived(options.derived, data, list(groups), response)
    known = in_design.union(
        *(origins(name, options.derived) for name in options.derived if name in in_design)
    )
    covariates = [
        x for x in data.columns if x in known and x != response and x not in options.derived
    ]
    group_columns = {x for part in design.random for x in part.group_columns}
    _check_roles(options, response, group_columns)
    natural = _KINDS[family.name]
    if response in options.levels or options.types.get(response, natural) != natural:
        raise ArgumentError(
            f"types or levels name {response!r}, the response, which has a value in each row and "
            f"is {family.name}: leave it out there."
        )
    dtype = settable(data[response]).dtype
    is_number = pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
    if natural != "binary" and not is_number:
        raise ArgumentError(
            f"the response {response!r} has the dtype {data[response].dtype}, and a {family.name} "
            "one has numbers: make it numbers, or give family='binomial' if it has two values."
        )
    of_response = {} if natural == "binary" else {response: natural}
    if natural == "count" and not _are_counts(data[response]):
        of_response = {response: "continuous"}  # and is refused below
    columns = understand(
        data,
        response=response,
        covariates=covariates,
        auxiliary=options.auxiliary,
        groups=groups,
        group_columns=group_columns,
        types={**options.types, **of_response},
        levels=options.levels,
        transforms=options.transforms,
        bounds=options.bounds,
        derived=options.derived,
    )
    means = {k: (v[1], v[2]) for k, v in options.derived.items() if not isinstance(v, str)}
    design, values, expressions = _with_expressions(options.derived, design, model, filled)
    given = {*specification["names"], *specification["vectors"]}
    refused = [
        *refusals(data, columns, groups),
        *_refused_response(columns[response], design, family, options, "weights" in given),
        *_refused_means(columns, means),
        *_refused_sources(columns, data),
        *_refused_predictors(response, in_design, columns),
        *_refused_offset(design, columns),
        *_refused_factors(design, columns),
    ]
    of_formula = None if design.offset is None else evaluated(design.offset, values)
    offset = _sum(_per_row(specification, "offset", data, columns, refused, order), of_formula)
    if offset is not None and family.name == "poisson":
        refused.extend(_refused_exposures(offset, data, order))
    return ModelData(
        order=order,
        family=family,
        design=design,
        values=values,
        groups=ordered_groups,
        columns={name: _reordered(x, order) for name, x in columns.items()},
        means=means,
        expressions=expressions,
        offset=offset,
        weights=_per_row(specification, "weights", data, columns, refused, order),
        refused=tuple(refused),
        notes=tuple(notes(data, columns, groups)),
    )


def _reordered(column: Column, order: Array) -> Column:
    values = column.values[order]
    values.flags.writeable = False
    return replace(column, values=values)


def _filled(data: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Fill each column's holes, and what is infinite, by its observed values drawn at random.

    A column without any gets some values, so that the design can be made: it is refused later.
    """
    random = np.random.default_rng([seed, 0])
    filled = data.copy(deep=False)
    for name in data.columns:
        column = data[name]
        hole = _holes(column)
        draws = random.random(int(hole.sum()))  # the same number whatever the values are
        observed = np.flatnonzero(~hole)
        if hole.any() and observed.size:
            rows = np.arange(len(data))
            rows[hole] = observed[(draws * len(observed)).astype(np.int64)]
            filled[name] = column.array.take(rows)
        elif hole.any():
            filled[name] = _stand_in(column, draws)
    return filled


def _holes(column: pd.Series[Any]) -> Array:
    """Tell which cells of a column have no value, or an infinite one."""
    hole: Array = column.isna().to_numpy()
    if pd.api.types.is_float_dtype(column.dtype):
        hole = hole | ~np.isfinite(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return hole


def _stand_in(column: Any, draws: Array) -> Any:
    """Return values for a column that has none."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        categories = len(column.cat.categories)
        codes = np.arange(len(draws)) % categories if categories else np.full(len(draws), -1)
        return pd.Categorical.from_codes(codes, dtype=column.dtype)
    if pd.api.types.is_bool_dtype(column.dtype):
        return pd.array(draws < 0.5, dtype=column.dtype)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return 1.0 + draws
    return np.where(np.arange(len(draws)) % 2, "a", "b").astype(object)


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


def _check_roles(options: Options, response: str, group_columns: Collection[str]) -> None:
    for name in options.auxiliary:
        if name in options.derived:
            raise ArgumentError(
                f"auxiliary names {name!r}, which `derived` names too: a column is imputed or "
                "computed; leave it out of one of them."
            )
        if name in group_columns:
            raise ArgumentError(
                f"auxiliary names {name!r}, a grouping factor of the model, by which all "
                "columns are imputed anyway: leave it out there."
            )
    for name in options.derived:
        for argument in ("types", "levels", "transforms", "bounds"):
            if name in getattr(options, argument):
                raise ArgumentError(
                    f"{argument} names {name!r}, which `derived` names too: it is computed, not "
                    f"drawn. Name the columns that it follows from in {argument}, or none."
                )
        if name in group_columns:
            raise ArgumentError(
                f"derived names {name!r}, a grouping factor of the model, which must be given: "
                "leave it out there."
            )
    if response in options.auxiliary:
        raise ArgumentError(
            f"auxiliary names {response!r}, the response of the model: leave it out there."
        )


def _with_expressions(
    derived: Mapping[str, Any], design: ModelDesign, model: Model, filled: pd.DataFrame
) -> tuple[ModelDesign, dict[str, Array], dict[str, Columns]]:
    """Compile derived columns' expressions.

    They come with the design that knows the levels of the factors in them, and with the values of
    its columns and of all that derived columns follow from.
    """
    values = design.values(filled)
    expressions: dict[str, Columns] = {}
    for name in in_order(derived):
        formula = derived[name]
        if not isinstance(formula, str):
            values = {**design.values(filled, [formula[1]]), **values}
            continue
        compiled = _expression(formula, name, design, model, filled)
        expressions[name] = _with_derived(compiled.fixed, expressions)
        values = {**compiled.values(filled), **values}
        design = replace(design, levels={**compiled.levels, **design.levels})
    return design, values, expressions


def _expression(
    text: str, name: str, design: ModelDesign, model: Model, filled: pd.DataFrame
) -> ModelDesign:
    """Compile a derived column's expression, which is checked as a formula's calls are."""
    allow = tuple(model.specification(filled)["allow"])
    # Any response and group will do; names stand in backticks, since they may be anything.
    response = _in_backticks(str(design.response_column))
    group = _in_backticks(design.random[0].group_columns[0])
    formula = Formula(f"{response} ~ 0 + I({text}) + (1 | {group})", allow)
    try:
        compiled = compile_model(formula, filled)
    except FormulaError as error:
        raise ArgumentError(f"derived gives {name!r} {text!r}: {error}") from error
    width = len(compiled.fixed.names)
    if width != 1:
        raise ArgumentError(
            f"derived gives {name!r} {text!r}, which has {width} columns: it must have one number "
            "for each row."
        )
    return compiled


def _in_backticks(name: str) -> str:
    """Write a column's name as R reads it whatever it is."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _refused_response(
    column: Column, design: ModelDesign, family: Family, options: Options, weighted: bool
) -> list[Refusal]:
    name = column.name
    if family.name != "binomial":
        remedy = "leave it out there."
        if family.name == "gaussian":
            remedy = "write the model for a function of it, such as log(y)."
        for argument in ("transforms", "bounds"):
            if name in getattr(options, argument):
                raise ArgumentError(
                    f"{argument} names {name!r}, the response, which is imputed by the analysis "
                    f"model: {remedy}"
                )
    if family.name == "poisson":
        return _refused_counts(column, weighted)
    if family.name == "gaussian":
        forward = FUNCTIONS.get(design.response_function or "", (np.array, None))[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            wrong = ~np.isfinite(forward(column.values)) & np.isfinite(column.values)
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
    if weighted:
        return [
            Refusal(
                "weights",
                "weights of a binomial response are numbers of trials, and the response must be "
                "0 or 1 in each row here: give a row to each trial.",
            )
        ]
    if column.kind != "binary":
        return [
            Refusal(
                name,
                f"column {name!r}: a binomial response has two values, and this one is "
                f"{column.kind}: make it 0 and 1, or use family='gaussian'.",
            )
        ]
    return []


def _refused_counts(column: Column, weighted: bool) -> list[Refusal]:
    refused = []
    if weighted:
        text = (
            "weights: the sampler has none for a Poisson response. If they are exposures, give "
            "their logarithm as offset; if they tell how many rows one stands for, give these rows."
        )
        refused.append(Refusal("weights", text))
    wrong = np.isfinite(column.values) & ~_is_count(column.values)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        most = f", and at most {_MOST:g}" if column.values[row] > _MOST else ""
        text = (
            f"column {column.name!r}: a Poisson response has whole numbers of at least 0{most}, "
            f"and row {row + 1} has {column.values[row]:g}: give counts, with the logarithm of the "
            "exposure as offset if these are rates."
        )
        refused.append(Refusal(column.name, text))
    return refused


def _is_count(values: Array) -> Array:
    """Tell which numbers are counts, small enough to be exact."""
    counts: Array = (values >= 0) & (values == np.rint(values)) & (values <= _MOST)
    return counts


def _are_counts(column: Any) -> bool:
    values = pd.to_numeric(column.dropna()).to_numpy(dtype=np.float64)
    return bool(_is_count(values).all())


def _refused_means(
    columns: Mapping[str, Column], means: Mapping[str, tuple[str, str]]
) -> list[Refusal]:
    refused = []
    seen: dict[str, str] = {}
    for name, (other, group) in means.items():
        of = columns[other]
        if of.labels is not None and not of.labels:
            why = "has no value"
        elif of.labels and isinstance(of.labels[0], str):
            why = "is no number"
        elif of.level is not None:
            why = f"has one value for each {of.level}, and its mean over rows is not recomputed"
        elif of.role in ("derived", "response"):
            why = f"is {'derived itself' if of.role == 'derived' else 'the response'}"
        elif seen.get(other, group) != group:
            why = f"has a group mean over {seen[other]} too, and one at a time is recomputed"
        else:
            seen[other] = group
            continue
        text = f"column {name!r} is derived as the mean of {other!r}, which {why}."
        refused.append(Refusal(name, text))
    return refused


def _refused_sources(columns: Mapping[str, Column], data: pd.DataFrame) -> list[Refusal]:
    """Refuse derived columns that can't be computed: of text, or from holes which nothing fills."""
    refused = [
        Refusal(
            column.name,
            f"column {column.name!r} is derived and has the dtype {data[column.name].dtype}, and "
            "what is computed are numbers: make it numbers or truth values.",
        )
        for column in columns.values()
        if column.role == "derived" and not _takes_numbers(data[column.name])
    ]
    return refused + [
        Refusal(
            column.name,
            f"column {column.name!r} is derived from {origin!r}, whose holes stay, since neither "
            f"the model nor `auxiliary` names it: give auxiliary=[{origin!r}].",
        )
        for column in columns.values()
        for origin in column.origins
        if columns[origin].role == "unused" and _holes(data[origin]).any()
    ]


def _takes_numbers(column: pd.Series[Any]) -> bool:
    dtype = settable(column).infer_objects().dtype
    return bool(pd.api.types.is_numeric_dtype(dtype) or column.isna().all())


def _refused_predictors(
    response: str, in_design: frozenset[str], columns: Mapping[str, Column]
) -> list[Refusal]:
    """Refuse the response among what it is predicted by."""
    names = [x for x in columns if x in in_design and response in (x, *columns[x].origins)]
    return [
        Refusal(
            name,
            f"column {name!r} {'is' if name == response else 'is derived from'} the response, and "
            "the formula has it among the predictors: leave it out there.",
        )
        for name in names
    ]


def _refused_offset(design: ModelDesign, columns: Mapping[str, Column]) -> list[Refusal]:
    if design.offset is None:
        return []
    refused: list[Refusal] = []
    for name in sorted(design.offset.columns):
        column = columns[name]
        if column.role == "derived":
            refused.append(_refused_to_follow(name, "offset()"))
        elif column.missing:
            text = (
                f"column {name!r} is in offset(), and {column.missing} of its values are "
                "missing: an offset must be complete. Fill it, or take these rows out of the data."
            )
            refused.append(Refusal(name, text))
    return refused


def _refused_to_follow(name: str, place: str) -> Refusal:
    """Refuse a derived column where the model takes the values that the data have."""
    return Refusal(
        name,
        f"column {name!r} is in {place}, which is taken as the data have it, and `derived` would "
        "change it: leave it out of `derived` if it follows from complete columns alone, else out "
        "of the model.",
    )


def _refused_exposures(offset: Array, data: pd.DataFrame, order: Array) -> list[Refusal]:
    """Refuse offsets that can't be logarithms of exposures."""
    wrong = np.zeros(len(offset), bool)
    wrong[order] = np.abs(offset) > _LARGEST_OFFSET
    if not wrong.any():
        return []
    rows = int(wrong.sum())
    first = int(np.flatnonzero(wrong)[0])
    value = float(offset[np.flatnonzero(order == first)[0]])
    text = (
        f"offset is {value:g} in row {data.index[first]!s}, and beyond {_LARGEST_OFFSET:g} in "
        f"{rows} row{'s' * (rows > 1)}: with a logarithmic link it is the logarithm of the "
        "exposure; give log(exposure)."
    )
    return [Refusal("offset", text)]


def _refused_factors(design: ModelDesign, columns: Mapping[str, Column]) -> list[Refusal]:
    """Refuse numbers that the formula makes a factor: a new number would be no level of it."""
    parts = (design.fixed, *(x.design for x in design.random))
    factors = {call: name for part in parts for call, name in part.made_factors.items()}
    return [
        Refusal(
            name,
            f"column {name!r} is imputed as numbers, and {call} makes a factor of it, which has "
            f"the observed numbers only: give types={{{name!r}: 'categories'}}.",
        )
        for call, name in factors.items()
        if columns[name].missing and columns[name].labels is None
    ]


def _sum(one: Array | None, two: Array | None) -> Array | None:
    if one is None or two is None:
        return two if one is None else one
    return one + two


def _per_row(
    specification: Mapping[str, Any],
    argument: str,
    data: pd.DataFrame,
    columns: Mapping[str, Column],
    refused: list[Refusal],
    order: Array,
) -> Array | None:
    """Return the argument `weights` or `offset`, one number per row, or None; refuse others."""
    column = specification["names"].get(argument)
    given = data[column] if column else specification["vectors"].get(argument)
    if given is None:
        return None
    check_columns([column] if column else [], data, argument)
    if column and columns[column].role == "derived":
        refused.append(_refused_to_follow(column, f"the argument {argument}"))
    numbers = settable(pd.Series(given)).infer_objects()
    if not pd.api.types.is_numeric_dtype(numbers.dtype):
        raise ArgumentError(f"{argument} must be numbers, and has the dtype {numbers.dtype}.")
    values = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~np.isfinite(values) | ((values <= 0) if argument == "weights" else False)
    if wrong.any():
        rows = int(wrong.sum())
        first = data.index[int(np.flatnonzero(wrong)[0])]
        must = "finite and positive" if argument == "weights" else "finite"
        text = (
            f"{argument} must be {must}, and {rows} row{'s are' if rows > 1 else ' is'} not (the "
            f"first is {first!s}): fill them, or take these rows out of the data."
        )
        refused.append(Refusal(column or argument, text))
    ordered: Array = values[order]
    return ordered
