"""How the compatible imputer understands each column of a frame: its kind, level and values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd

from ..base.arguments import check_columns
from ..errors import ArgumentError
from .column_kinds import Kind, Reading, read, read_group
from .derived_columns import origins
from .transforms import IDENTITY, Doubles, Transform, transform_of

__all__ = [
    "Column",
    "Groups",
    "Kind",
    "Role",
    "is_constant_within",
    "level_of",
    "numbered",
    "understand",
]

#: The number of each row's group.
Groups: TypeAlias = np.ndarray[Any, np.dtype[np.intp]]

_CHANCE = 1e-3  # of a column of rows to be taken for one of groups

Role = Literal["response", "covariate", "auxiliary", "group", "derived", "unused"]


@dataclass(frozen=True, eq=False)
class Column:
    """What is known of a column before it is imputed.

    Attributes
    ----------
    name : str
        The column's name.
    role : str
        "response", "covariate", "auxiliary", "group", "derived" or "unused".
    kind : str
        "continuous", "binary", "ordered", "categories" or "count".
    level : str or None
        The grouping factor each group of which has one value; None where each row has its own.
    missing : int
        How many units have no value: groups, or rows where there is no level.
    units : int
        How many there are.
    values : array of float
        One value per row, NaN in holes. Continuous columns and counts have their numbers, the
        others codes that begin with 0. A hole in a group whose value is known has that value.
    labels : tuple or None
        What each code stands for: numbers, truth values or texts. None where `values` are numbers,
        and where the column can't be understood, which `reason` tells then.
    transform : Transform
        The scale that the column is imputed on, and the range of its values.
    reason : str
        Why the column has this kind and level.
    origins : tuple of str
        Of a derived column those that it follows from, none of which is derived.
    is_grouping : bool
        Whether a grouping factor is made of it; it may be a covariate, too.
    """

    name: str
    role: Role
    kind: Kind
    level: str | None
    missing: int
    units: int
    values: Doubles
    labels: tuple[Any, ...] | None
    transform: Transform
    reason: str
    origins: tuple[str, ...] = ()
    is_grouping: bool = False

    @property
    def is_understood(self) -> bool:
        """Whether the column has values that can be imputed, or that others are imputed from."""
        return self.labels is not None or self.kind in ("continuous", "count")

    def decode(self, codes_or_values: Any) -> Doubles | list[Any]:
        """Turn imputed codes or numbers into what `imputers.restoring.restore` takes.

        Parameters
        ----------
        codes_or_values : array of float
            Codes where the column has labels, numbers otherwise; NaN for holes that stayed.

        Returns
        -------
        array of float or list
            Doubles for numbers. Texts for categories and text, and truth values, with None in
            holes.
        """
        values = np.asarray(codes_or_values, dtype=np.float64)
        if self.labels is None:
            return values
        hole = np.isnan(values)
        codes = np.where(hole, 0, values).astype(np.intp)
        if self.labels and isinstance(self.labels[0], str | bool):
            pairs = zip(codes, hole, strict=True)
            return [None if gone else self.labels[code] for code, gone in pairs]
        numbers = np.array([*self.labels, np.nan], dtype=np.float64)
        return np.asarray(numbers[np.where(hole, -1, codes)])


def understand(
    data: pd.DataFrame,
    *,
    response: str,
    covariates: Sequence[str],
    auxiliary: Sequence[str] = (),
    groups: Mapping[str, Any],
    group_columns: Collection[str] | None = None,
    types: Mapping[str, str] | None = None,
    levels: Mapping[str, str | None] | None = None,
    transforms: Mapping[str, str] | None = None,
    bounds: Mapping[str, Any] | None = None,
    derived: Mapping[str, Any] | None = None,
) -> dict[str, Column]:
    """Tell of each column which role, kind and level it has, and turn its values into numbers.

    A column is of the level of a grouping factor if its observed values are constant within every
    group, and enough groups have several that this is no chance; of several such factors the one
    with the fewest groups is taken. Its kind follows from its dtype and its observed values: see
    `column_kinds`.

    Parameters
    ----------
    data : DataFrame
        With holes.
    response : str
        The response of the analysis model. It is imputed by that model, whatever its kind.
    covariates : sequence of str
        The columns in the analysis model, except for the response and the grouping factors.
    auxiliary : sequence of str
        Columns that are in the imputation model only.
    groups : mapping of str to array of int
        By the name of each grouping factor, such as "schid" or "class:schid", the group of each
        row.
    group_columns : collection of str, optional
        The columns that they are made of; by default those of their names.
    types : mapping of str to str, optional
        Kinds that are to be used in place of those that the values suggest.
    levels : mapping of str to str or None, optional
        Grouping factors that are to be used likewise; None stands for rows.
    transforms : mapping of str to str, optional
        "log" or "logit", the scale that a continuous column is imputed on.
    bounds : mapping of str to tuple, optional
        The least and the greatest value of a column, None where there is no limit.
    derived : mapping of str to tuple or str, optional
        How a column follows from others, as `derived_columns.check_derived` has checked it.

    Returns
    -------
    dict of str to Column
        All columns of the data, in their order.

    Raises
    ------
    ArgumentError
        An argument that names an unknown column, or that says of a column what can't be.

    See Also
    --------
    column_checks.refusals : What the data have that can't be imputed.
    """
    types, levels, derived = dict(types or {}), dict(levels or {}), dict(derived or {})
    transforms, bounds = dict(transforms or {}), dict(bounds or {})
    named = {
        "response": [response],
        "covariates": covariates,
        "auxiliary": auxiliary,
        "types": types,
        "levels": levels,
        "transforms": transforms,
        "bounds": bounds,
        "derived": derived,
    }
    for argument, names in named.items():
        check_columns(names, data, argument)
    _check_choices("types", types, get_args(Kind))
    _check_choices("levels", levels, [*groups, None])
    numbers = {factor: numbered(codes) for factor, codes in groups.items()}
    factors = sorted(numbers, key=lambda x: int(numbers[x].max(initial=-1)))
    # Where several hold, the last does.
    roles: dict[Role, Sequence[str]] = {
        "auxiliary": auxiliary,
        "covariate": covariates,
        "derived": list(derived),
        "response": [response],
    }
    in_groups = groups if group_columns is None else group_columns
    columns = {}
    for name in data.columns:
        role: Role = "group" if name in in_groups else "unused"
        for candidate, names in roles.items():
            if name in names:
                role = candidate
        transform = transform_of(name, transforms.get(name), bounds.get(name))
        if role == "group":
            reading = read_group(data[name])
        else:
            reading = read(data[name], types.get(name), lambda x: _units(x, numbers, factors))
        reading = _with_transform(name, reading, transform)
        values, missing, units = reading.values, int(data[name].isna().sum()), len(data)
        level, reason = None, f"{reading.reason}."
        if reading.is_understood:
            level, why = _level(name, role, values, numbers, factors, levels, derived)
            if role != "group":
                reason = f"{reading.reason}; {why}."
            missing = int(np.isnan(values).sum())
        if level is not None:
            values, missing = _completed(values, numbers[level], fill=role != "derived")
            units = int(numbers[level].max(initial=-1)) + 1
        values.flags.writeable = False
        columns[name] = Column(
            name=name,
            role=role,
            kind=reading.kind,
            level=level,
            missing=missing,
            units=units,
            values=values,
            labels=reading.labels,
            transform=transform,
            reason=reason,
            origins=tuple(origins(name, derived)) if name in derived else (),
            is_grouping=name in in_groups,
        )
    return columns


def numbered(codes: Any) -> Groups:
    """Give each row the number of its group: from 0, without gaps."""
    return np.unique(np.asarray(codes), return_inverse=True)[1].astype(np.intp)


def level_of(
    values: Doubles,
    numbers: Mapping[str, Groups],
    factors: Sequence[str],
) -> str | None:
    """Return the first of the factors that a column is of the level of; None for rows.

    A column with one value in all rows is of the level of rows.
    """
    if len(np.unique(values[~np.isnan(values)])) < 2:
        return None
    for factor in factors:
        if is_constant_within(values, numbers[factor]) and not _by_chance(values, numbers[factor]):
            return factor
    return None


def _by_chance(values: Doubles, group: Groups) -> bool:
    """Tell whether values that agree within groups might do so by chance.

    If two groups have the same value with the probability p, and k values are observed beyond the
    first of each group, rows that know nothing of groups agree with the probability p^k.
    """
    of_groups = _of_groups(values, group)
    counts = np.unique(of_groups[~np.isnan(of_groups)], return_counts=True)[1]
    n = int(counts.sum())
    beyond = int((~np.isnan(values)).sum()) - n
    if not beyond or n < 2:
        return True
    same = float((counts * (counts - 1)).sum()) / (n * (n - 1))
    return same**beyond > _CHANCE


def is_constant_within(values: Doubles, group: Groups) -> bool:
    """Tell whether no group has two different observed values."""
    observed = ~np.isnan(values)
    return bool((_of_groups(values, group)[group[observed]] == values[observed]).all())


def _of_groups(values: Doubles, group: Groups) -> Doubles:
    """Return one observed value of each group; NaN where it has none."""
    observed = ~np.isnan(values)
    of_groups = np.full(int(group.max(initial=-1)) + 1, np.nan)
    of_groups[group[observed]] = values[observed]
    return of_groups


def _units(
    values: Doubles,
    numbers: Mapping[str, Groups],
    factors: Sequence[str],
) -> Doubles:
    """Return the observed values of a column's units, each once."""
    level = level_of(values, numbers, factors)
    units = values if level is None else _of_groups(values, numbers[level])
    return units[~np.isnan(units)]


def _completed(values: Doubles, group: Groups, fill: bool) -> tuple[Doubles, int]:
    """Copy the value of each group into its holes, and count the groups without one."""
    of_groups = _of_groups(values, group)
    if fill:
        values = np.where(np.isnan(values), of_groups[group], values)
    return values, int(np.isnan(of_groups).sum())


def _check_choices(argument: str, given: Mapping[str, Any], valid: Sequence[Any]) -> None:
    for name, choice in given.items():
        if choice not in valid:
            raise ArgumentError(
                f"{argument} gives {name!r} {choice!r}; it must be one of "
                f"{', '.join(map(repr, valid))}."
            )


def _level(
    name: str,
    role: Role,
    values: Doubles,
    numbers: Mapping[str, Groups],
    factors: Sequence[str],
    levels: Mapping[str, str | None],
    derived: Mapping[str, Any],
) -> tuple[str | None, str]:
    """Return a column's level, and why it has that one."""
    formula = derived.get(name)
    if isinstance(formula, tuple | list):
        return formula[2], "it is derived as the mean of each group"
    if name in levels:
        return levels[name], "its level is as `levels` gives it"
    if role == "response":
        return None, "it is the response, whose units are the rows"
    level = level_of(values, numbers, factors)
    if level is not None:
        return level, f"it is constant within each group of {level}"
    return None, _why_of_rows(values, numbers, factors)


def _why_of_rows(values: Doubles, numbers: Mapping[str, Groups], factors: Sequence[str]) -> str:
    """Say why a column is of no group's level."""
    if len(np.unique(values[~np.isnan(values)])) < 2:
        return "all its observed values are the same"
    if any(not is_constant_within(values, numbers[x]) for x in factors):
        return "it varies within groups"
    return "too few groups have two observed values to tell"


def _with_transform(name: str, reading: Reading, transform: Transform) -> Reading:
    """Return what a column is read as, given its transform; or refuse the transform."""
    if transform == IDENTITY or reading.kind == "continuous":
        return reading
    is_scale = transform.name != "identity"
    if reading.kind == "count":
        reason = f"it is imputed on the scale of its {transform.name}"
        return replace(reading, kind="continuous", reason=reason) if is_scale else reading
    raise ArgumentError(
        f"{'transforms' if is_scale else 'bounds'} names {name!r}, which is of the kind "
        f"{reading.kind!r} ({reading.reason}): leave it out there, or give "
        f"types={{{name!r}: 'continuous'}} if it holds numbers."
    )
