"""What the data have that the compatible imputer refuses, and what it tells about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ImputationError
from .columns import Column, Groups, is_constant_within, numbered
from .dependencies import Dependency, GroupMean, dependencies, group_means, unit_rows
from .transforms import Doubles

__all__ = ["Refusal", "check_columns_can_be_imputed", "notes", "refusals"]

_MOST_CATEGORIES = 20
_FEW_GROUPS = 20
_SKEWED = 2.0
_FEW_DIFFERING = 0.1  # of groups: they may be mistakes
_SHOWN = 5


@dataclass(frozen=True)
class Refusal:
    """Why a column can't be imputed, or can't help to impute others.

    Attributes
    ----------
    column : str
        The column, or the grouping factor.
    text : str
        What is wrong, where, and the remedy.
    """

    column: str
    text: str


def refusals(
    data: pd.DataFrame, columns: Mapping[str, Column], groups: Mapping[str, Any]
) -> list[Refusal]:
    """Return all that keeps the data from being imputed.

    Parameters
    ----------
    data : DataFrame
        With holes.
    columns : mapping of str to Column
        What `columns.understand` says of them.
    groups : mapping of str to array of int
        As `columns.understand` takes them.

    Returns
    -------
    list of Refusal
        First of the grouping factors, then of each column, then of columns that are functions of
        others.

    See Also
    --------
    check_columns_can_be_imputed : Raises them.
    """
    numbers = {factor: numbered(codes) for factor, codes in groups.items()}
    factors = [Refusal(*x) for x in _of_factors(data, columns, numbers)]
    used = _used(columns)
    of_columns = [
        Refusal(column.name, text)
        for column in used
        for check in _CHECKS
        if (text := check(column, data, numbers)) is not None
    ]
    refused = {x.column for x in of_columns}
    sound = [x for x in used if x.is_understood and x.name not in refused]
    derived = [x for x in columns.values() if x.role == "derived" and x.is_understood]
    functions = dependencies(sound, derived, numbers)
    dependent = [Refusal(x.column, _dependency(x, columns[x.column].role)) for x in functions]
    refused |= {x.column for x in functions}
    means = [
        Refusal(x.column, _mean(x))
        for x in group_means([x for x in sound if x.name not in refused], numbers)
        if columns[x.column].missing
    ]
    return [*factors, *of_columns, *dependent, *means]


def check_columns_can_be_imputed(refused: Sequence[Refusal]) -> None:
    """Raise all refusals as one error.

    Parameters
    ----------
    refused : sequence of Refusal
        What `refusals` returns; nothing happens if there are none.

    Raises
    ------
    ImputationError
        With their texts, one a line.
    """
    if refused:
        raise ImputationError("\n".join(x.text for x in refused))


def notes(
    data: pd.DataFrame, columns: Mapping[str, Column], groups: Mapping[str, Any]
) -> list[str]:
    """Return what a user should know of data that can be imputed.

    Parameters
    ----------
    data : DataFrame
        With holes.
    columns : mapping of str to Column
        What `columns.understand` says of them.
    groups : mapping of str to array of int
        As `columns.understand` takes them.

    Returns
    -------
    list of str
        Sentences.
    """
    numbers = {factor: numbered(codes) for factor, codes in groups.items()}
    used = [x for x in _used(columns) if x.is_understood]
    return [
        *_about_factors(numbers),
        *(text for column in used for text in _taken_from_groups(column, data)),
        *(text for column in used if column.missing for text in _about(column, data, numbers)),
        *(_mean_as_given(x) for x in group_means(used, numbers) if not columns[x.column].missing),
    ]


def _used(columns: Mapping[str, Column]) -> list[Column]:
    return [x for x in columns.values() if x.role in ("response", "covariate", "auxiliary")]


def _of_factors(
    data: pd.DataFrame, columns: Mapping[str, Column], numbers: Mapping[str, Groups]
) -> Iterator[tuple[str, str]]:
    """Refuse holes in the columns of a grouping factor, and a factor with one group."""
    for name in (x.name for x in columns.values() if x.is_grouping):
        hole = data[name].isna().to_numpy()
        if pd.api.types.is_float_dtype(data[name].dtype):
            infinite = np.isinf(data[name].to_numpy(dtype=np.float64, na_value=np.nan))
            if infinite.any():
                yield (
                    name,
                    f"column {name!r} is a grouping factor and is infinite in "
                    f"{_rows(data, infinite)}: give these rows a group, or leave them out.",
                )
        if hole.any():
            yield (
                name,
                f"column {name!r} is a grouping factor and has {_rows(data, hole)} without a "
                "value: a row's group can't be imputed; leave these rows out, or give them one.",
            )
    for factor, group in numbers.items():
        if group.max(initial=-1) == 0:
            yield (
                factor,
                f"the grouping factor {factor!r} has one group: nothing tells how groups vary; "
                "use a model without it, or AmeliaImputer, which knows no groups.",
            )


def _not_understood(column: Column, *_: Any) -> str | None:
    if column.is_understood:
        return None
    what = column.reason.removeprefix("it holds ").rstrip(".")
    return (
        f"column {column.name!r} holds {what}: convert it to numbers, truth values, categories or "
        "text of one type, or leave it out."
    )


def _nothing_observed(column: Column, *_: Any) -> str | None:
    if not column.is_understood or not np.isnan(column.values).all():
        return None
    return (
        f"column {column.name!r} has no observed value: nothing tells what it could be; leave it "
        "out."
    )


def _infinite(column: Column, data: pd.DataFrame, _: Any) -> str | None:
    infinite = np.isinf(column.values)
    if not infinite.any():
        return None
    return (
        f"column {column.name!r} is infinite in {_rows(data, infinite)}: give finite values there, "
        "or make them missing."
    )


def _constant(column: Column, *_: Any) -> str | None:
    observed = column.values[~np.isnan(column.values)]
    if len(observed) == 0 or (observed != observed[0]).any():
        return None
    if column.role == "response":
        return (
            f"column {column.name!r}, the response, is {_shown(column, observed[0])} wherever it "
            "is observed: there is nothing that the model could tell."
        )
    if column.role == "auxiliary" and not column.missing:
        return (
            f"column {column.name!r} is auxiliary and is {_shown(column, observed[0])} in all "
            "rows: it tells nothing; leave it out."
        )
    if not column.missing:
        return None
    return (
        f"column {column.name!r} has {_missing(column)} without a value, and all observed ones "
        f"are {_shown(column, observed[0])}: nothing tells how it varies; leave it out, or fill it "
        "with that value."
    )


def _many_categories(column: Column, *_: Any) -> str | None:
    observed = len(np.unique(column.values[~np.isnan(column.values)]))
    if column.kind != "categories":
        return None
    if column.role == "auxiliary" and not column.missing:
        each = "row" if column.level is None else f"group of {column.level!r}"
        if observed == column.units:
            return (
                f"column {column.name!r} is auxiliary and has a category of its own in each "
                f"{each}: as an identifier it tells nothing of others; leave it out."
            )
        if observed > _MOST_CATEGORIES:
            return (
                f"column {column.name!r} is auxiliary and has {observed} unordered categories: at "
                f"most {_MOST_CATEGORIES} can be modelled; merge some, or leave it out."
            )
    if not column.missing or observed <= _MOST_CATEGORIES:
        return None
    return (
        f"column {column.name!r} has {observed} unordered categories and {_missing(column)} "
        f"without a value: at most {_MOST_CATEGORIES} can be imputed; merge some, or leave it out "
        "if it is an identifier."
    )


def _differs_within_groups(
    column: Column, data: pd.DataFrame, numbers: Mapping[str, Groups]
) -> str | None:
    if column.level is None or is_constant_within(column.values, numbers[column.level]):
        return None
    group = numbers[column.level]
    frame = pd.DataFrame({"group": group, "value": column.values}).dropna()
    distinct = frame.groupby("group")["value"].nunique()
    first = int(distinct.index[distinct > 1][0])
    one, two = frame.loc[frame["group"] == first, "value"].unique()[:2]
    shown = [_shown(column, one), _shown(column, two)]
    if shown[0] == shown[1]:
        shown = [repr(float(one)), repr(float(two))]
    others = int((distinct > 1).sum()) - 1
    more = f", and {others} more groups have several" if others else ""
    return (
        f"column {column.name!r} is to have one value in each group of {column.level!r}, but "
        f"group {_group_name(data, column.level, group == first)} has {shown[0]} and "
        f"{shown[1]}{more}: make them the same, or leave "
        f"levels={{{column.name!r}: {column.level!r}}} out."
    )


def _outside(column: Column, data: pd.DataFrame, _: Any) -> str | None:
    if column.labels is not None:
        return None
    outside = column.transform.outside(column.values) & np.isfinite(column.values)
    if not outside.any():
        return None
    rows = np.flatnonzero(outside)
    shown = [f"{column.values[i]:g} in row {_row(data, i)}" for i in rows[:_SHOWN]]
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    name = column.transform.name
    on_scale = "" if name == "identity" else f" for its {name}"
    return (
        f"column {column.name!r} must be {column.transform.range}{on_scale}, but is "
        f"{', '.join(shown)}{more}: change bounds or transforms, or make these cells missing."
    )


_CHECKS: tuple[Callable[[Column, pd.DataFrame, Mapping[str, Groups]], str | None], ...] = (
    _not_understood,
    _nothing_observed,
    _infinite,
    _constant,
    _many_categories,
    _differs_within_groups,
    _outside,
)


def _dependency(dependency: Dependency, role: str) -> str:
    name, others = dependency.column, dependency.others
    if dependency.expression is None:
        return (
            f"columns {name!r} and {others[0]!r} hold the same in other categories: in the "
            f"{dependency.units} units where both are observed, each value of the one goes with "
            "one value of the other. Fill the holes of the one from the other and leave one out."
        )
    named = ", ".join(map(repr, others))
    remedy = f'declare derived={{{name!r}: "{dependency.expression}"}}, or leave {name!r} out'
    if role == "response":
        remedy = f"leave {named} out of the model"
    return (
        f"column {name!r} is a function of {named} ({dependency.expression}) in all "
        f"{dependency.units} units where they are observed, so that one can't be imputed without "
        f"the other: {remedy}."
    )


def _mean(mean: GroupMean) -> str:
    give = "give the mean itself and declare" if mean.is_scaled else "declare"
    return (
        f"column {mean.column!r} has holes and is {_of_mean(mean)} {mean.other!r} in each group of "
        f"{mean.factor!r}: {give} {_declaration(mean)}, so that it is computed, or leave "
        f"{mean.column!r} out."
    )


def _mean_as_given(mean: GroupMean) -> str:
    where = "in the groups without holes" if mean.complete_groups else "of what is observed"
    give = "give the mean itself and declare" if mean.is_scaled else "declare"
    return (
        f"{mean.column} is {_of_mean(mean)} {mean.other} in {mean.factor} ({where}): it is taken "
        f"as given; {give} {_declaration(mean)} to have it recomputed."
    )


def _of_mean(mean: GroupMean) -> str:
    return "a linear function of the mean of" if mean.is_scaled else "the mean of"


def _declaration(mean: GroupMean) -> str:
    return f"derived={{{mean.column!r}: ('mean', {mean.other!r}, {mean.factor!r})}}"


def _about_factors(numbers: Mapping[str, Groups]) -> Iterator[str]:
    for factor, group in numbers.items():
        sizes = np.bincount(group)
        if len(sizes) < _FEW_GROUPS:
            yield (
                f"{factor} has {len(sizes)} groups: with fewer than {_FEW_GROUPS}, variances "
                "between groups depend on the priors."
            )
        single = int((sizes == 1).sum())
        if 3 * single > len(sizes):
            yield (
                f"{factor} has {single} groups of one row among {len(sizes)}: they tell nothing of "
                "the variance within groups."
            )


def _about(column: Column, data: pd.DataFrame, numbers: Mapping[str, Groups]) -> Iterator[str]:
    """Tell what makes an incomplete column hard to impute."""
    observed = column.values[unit_rows([column], numbers)]
    if column.level is None and column.kind == "continuous" and column.role != "response":
        for factor, group in numbers.items():
            several, differing = _with_several_values(column, group)
            if 0 < differing <= _FEW_DIFFERING * several:
                yield (
                    f"{column.name} is constant in all but {differing} of {several} groups of "
                    f"{factor}: if it should be in all, correct these, or each row has a value of "
                    "its own."
                )
    if column.level is None and column.role == "covariate":
        for factor, group in numbers.items():
            n = int(group.max()) + 1
            empty = int((np.bincount(group[~np.isnan(column.values)], minlength=n) == 0).sum())
            if 0 < empty < n:
                yield (
                    f"{column.name} has no observed value in {empty} of {n} groups of {factor}: "
                    "they get it from the other columns and groups."
                )
    is_plain = column.kind == "continuous" and column.transform.name == "identity"
    if is_plain and column.role != "response":
        skewness = _skewness(observed)
        if abs(skewness) > _SKEWED:
            remedy = f"transforms={{{column.name!r}: 'log'}}"
            if skewness < 0:
                remedy = f"transforms={{{column.name!r}: 'logit'}} with bounds"
            elif observed.min() <= 0:
                remedy += f" with bounds={{{column.name!r}: (least, None)}}"
            yield (
                f"{column.name} is skewed (skewness {skewness:.1f}) and is imputed by a normal "
                f"distribution: consider {remedy}."
            )
    if column.labels is not None:
        for code, units in zip(*np.unique(observed, return_counts=True), strict=True):
            if units == 1:
                row = _row(data, int(np.flatnonzero(column.values == code)[0]))
                where = "row" if column.level is None else f"group of {column.level}"
                yield (
                    f"{column.name} has one {where} with {_shown(column, code)} (row {row}): it "
                    "is hardly ever imputed; consider merging the category with another."
                )


def _with_several_values(column: Column, group: Groups) -> tuple[int, int]:
    """Count the groups with several observed values, and those whose values differ."""
    observed = ~np.isnan(column.values)
    by_group = pd.Series(column.values[observed]).groupby(group[observed])
    several = by_group.size() > 1
    return int(several.sum()), int((several & (by_group.nunique() > 1)).sum())


def _taken_from_groups(column: Column, data: pd.DataFrame) -> Iterator[str]:
    """Tell of holes that are filled by the known value of their group."""
    if column.level is None:
        return
    rows = int((data[column.name].isna().to_numpy() & ~np.isnan(column.values)).sum())
    if rows:
        yield (
            f"{column.name} takes the value of its group of {column.level} in {rows} "
            f"row{'s' * (rows > 1)}: levels={{{column.name!r}: None}} imputes each row."
        )


def _skewness(values: Doubles) -> float:
    if len(values) < 3 or values.min() == values.max():
        return 0.0
    values = values / np.abs(values).max()
    spread = float(values.std())
    return float((((values - values.mean()) / spread) ** 3).mean())


def _shown(column: Column, value: float) -> str:
    if column.labels is None:
        return f"{value:g}"
    return repr(column.labels[int(value)])


def _missing(column: Column) -> str:
    if column.level is None:
        return f"{column.missing} row{'s' * (column.missing != 1)}"
    return f"{column.missing} group{'s' * (column.missing != 1)} of {column.level!r}"


def _rows(data: pd.DataFrame, which: Any) -> str:
    """Return how many rows these are, and the first of them."""
    rows = np.flatnonzero(which)
    shown = ", ".join(_row(data, i) for i in rows[:_SHOWN])
    more = ", ..." if len(rows) > _SHOWN else ""
    return f"{len(rows)} row{'s' * (len(rows) != 1)} ({shown}{more})"


def _row(data: pd.DataFrame, i: int) -> str:
    """Return a row's name in the data."""
    name = data.index[i]
    return repr(name.item() if isinstance(name, np.generic) else name)


def _group_name(data: pd.DataFrame, factor: str, rows: Any) -> str:
    """Return how the data name the group of these rows."""
    parts = [factor] if factor in data.columns else factor.split(":")
    names = [x for x in parts if x in data.columns]
    first = int(np.flatnonzero(rows)[0])
    return repr(":".join(str(data[x].iloc[first]) for x in names)) if names else f"of row {first}"
