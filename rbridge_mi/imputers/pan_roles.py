"""Which columns mitml's imputers impute, from what, and which data they can't take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .. import rdoor
from ..base.arguments import check_columns
from ..errors import ArgumentError, FormulaError, RNotFoundError
from .pan_arguments import checked

__all__ = ["Level", "Roles", "check_data", "check_with_data", "notes", "roles_of"]

_CLUSTER, _GROUP, _TARGET, _PREDICTORS = -2, -1, 1, (2, 3)


@dataclass(frozen=True)
class Level:
    """The model of the columns of one level.

    Parameters
    ----------
    targets : tuple of str
        The columns that are imputed, jointly.
    predictors : tuple of str
        Those from which they are imputed.
    as_they_are : tuple of str
        The predictors that stand in the model by themselves, and not in a function only.
    """

    targets: tuple[str, ...]
    predictors: tuple[str, ...]
    as_they_are: tuple[str, ...]


@dataclass(frozen=True)
class Roles:
    """What each column is to an imputer of mitml's.

    Parameters
    ----------
    levels : tuple of Level
        Level 1, and level 2 where it has a model.
    cluster : str or None
        The column of the clusters.
    group : str or None
        The column by whose values the imputation is run separately.
    """

    levels: tuple[Level, ...]
    cluster: str | None
    group: str | None

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns that are imputed at any level."""
        return tuple(name for level in self.levels for name in level.targets)


def roles_of(arguments: Mapping[str, Any], data: pd.DataFrame) -> Roles:
    """Read the roles of the data's columns, from a formula (by R) or from types.

    Parameters
    ----------
    arguments : mapping
        As `pan_arguments.checked` returned them.
    data : DataFrame

    Raises
    ------
    ArgumentError, FormulaError
        The formula or a type can't be right.
    """
    if "type" in arguments:
        return _roles_of_types(arguments["type"], data)
    group = arguments.get("group")
    check_columns([] if group is None else [group], data, "group")
    columns = [str(x) for x in data.columns]
    told = rdoor.call("mitml_roles", arguments["formula"], columns, error=FormulaError).value
    levels = tuple(
        Level(*(_names(level[x]) for x in ("targets", "predictors", "as_they_are")))
        for level in told
    )
    for level in levels:
        check_columns(level.targets, data, "formula")
    cluster = _names(told[0]["cluster"])
    return Roles(levels, cluster[0] if cluster else None, group)


def _names(value: Any) -> tuple[str, ...]:
    return () if value is None else tuple(map(str, value))


def _roles_of_types(types: list[dict[str, int]], data: pd.DataFrame) -> Roles:
    named: dict[int, list[str]] = {_CLUSTER: [], _GROUP: []}
    levels = []
    for number, level in enumerate(types, start=1):
        check_columns(level, data, "type")
        targets = tuple(name for name, x in level.items() if x == _TARGET)
        if not targets:
            raise ArgumentError(f"type of level {number} names no target: a column with type 1.")
        predictors = tuple(name for name, x in level.items() if x in _PREDICTORS)
        levels.append(Level(targets, predictors, predictors))
        for role, columns in named.items():
            if role == _GROUP or number == 1:
                columns += [name for name, x in level.items() if x == role and name not in columns]
    for role, what in ((_CLUSTER, "clusters"), (_GROUP, "groups")):
        if len(named[role]) > 1:
            raise ArgumentError(
                f"type names {len(named[role])} columns of {what} ({role}): "
                f"{', '.join(map(repr, named[role]))}. There can be one."
            )
    used = [name for level in types for name, x in level.items() if x]
    rdoor.call("check_mitml_names", used, error=FormulaError)
    cluster, group = (next(iter(named[role]), None) for role in (_CLUSTER, _GROUP))
    return Roles(tuple(levels), cluster, group)


def check_with_data(arguments: Mapping[str, Any], data: pd.DataFrame) -> None:
    """Make every check before the imputation; `arguments` need not be checked yet."""
    values = checked(arguments.items())
    try:
        roles = roles_of(values, data)
    except RNotFoundError:
        return  # R reads the formula
    except FormulaError as error:
        raise ArgumentError(f"formula: {error.r_message or error}") from None
    check_data(roles, values, data)


def check_data(roles: Roles, arguments: Mapping[str, Any], data: pd.DataFrame) -> None:
    """Refuse data that the imputer can't take, or from which it would make something else.

    Parameters
    ----------
    roles : Roles
    arguments : mapping
        As `pan_arguments.checked` returned them.
    data : DataFrame

    Raises
    ------
    ArgumentError
        Naming the column, with a remedy.
    """
    package = arguments["package"]
    _check_grouping(roles, arguments, data)
    twice = [x for x in roles.targets if roles.targets.count(x) > 1 or x in (roles.cluster,)]
    if twice:
        raise ArgumentError(
            f"column {twice[0]!r} is a target twice, or the clusters' column: each target stands "
            "at one level, and the clusters must be known."
        )
    for level in roles.levels:
        for name in level.as_they_are:
            _check_predictor(data[name])
    for name in roles.targets:
        _check_target(data[name], package)
    if not data[list(roles.targets)].isna().any(axis=None):
        raise ArgumentError(
            "no target has a missing value: there is nothing to impute. The targets are "
            f"{', '.join(map(repr, roles.targets))}."
        )
    if len(data) < 2:
        raise ArgumentError("the data have a single row, from which nothing can be imputed.")
    if roles.group is not None:
        _check_groups(roles, roles.group, package, data)
    if len(roles.levels) > 1:
        _check_level_2(roles, data)


def notes(roles: Roles, arguments: Mapping[str, Any], data: pd.DataFrame) -> tuple[str, ...]:
    """Return notes on what R does without a word."""
    texts = []
    left = [x for x in data.columns if x not in roles.targets and data[x].isna().any()]
    if left:
        texts.append(f"{', '.join(map(repr, left))}: no targets, so that their holes stay")
    incomplete = [data[x] for x in roles.targets if data[x].isna().any()]
    zero_one = [
        x.name
        for x in incomplete
        if pd.api.types.is_numeric_dtype(x.dtype) and set(x.dropna().unique()) <= {0, 1}
    ]
    if zero_one:
        texts.append(
            f"{', '.join(map(repr, zero_one))}: numbers 0 and 1 are imputed as continuous numbers, "
            "such as 0.37. For zeros and ones make them categories, with package='jomo'"
        )
    if arguments["package"] == "pan" and "prior" in arguments:
        residual, random = arguments["prior"]["Binv"], arguments["prior"]["Dinv"]
        if random.size == 1 and (random != residual).any():
            texts.append(
                "prior: pan takes Binv in place of a Dinv of one number, so that Dinv = "
                f"{random.item():g} has no effect"
            )
    return tuple(texts)


def _check_grouping(roles: Roles, arguments: Mapping[str, Any], data: pd.DataFrame) -> None:
    for what, name in (("clusters", roles.cluster), ("groups", roles.group)):
        if name is None:
            continue
        check_columns([name], data, what)
        if data[name].isna().any():
            row = int(np.flatnonzero(data[name].isna())[0]) + 1
            raise ArgumentError(
                f"column {name!r} (the {what}) has missing values, the first in row {row}: mitml "
                f"would make a cluster of them, or stop. Drop those rows "
                f"(`data.dropna(subset=[{name!r}])`)."
            )
    if roles.cluster is not None:
        return
    needing = {
        "package='pan' imputes rows in clusters": arguments["package"] == "pan",
        "a model of level 2 needs clusters": len(roles.levels) > 1,
        "random_L1 lets clusters differ": arguments.get("random.L1", "none") != "none",
    }
    for why, needed in needing.items():
        if needed:
            raise ArgumentError(
                f"the model names no clusters, and {why}: add (1 | group) to the formula, or -2 "
                "for their column in type. Without clusters, package='jomo' imputes a single level."
            )


def _is_category(column: pd.Series[Any]) -> bool:
    dtype = column.dtype
    return isinstance(dtype, pd.CategoricalDtype) or not (
        pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_datetime64_any_dtype(dtype)
    )


def _is_infinite(column: pd.Series[Any]) -> bool:
    if not pd.api.types.is_float_dtype(column.dtype):
        return False
    return bool(np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan)).any())


def _check_predictor(column: pd.Series[Any]) -> None:
    if column.isna().any():
        raise ArgumentError(
            f"predictor {column.name!r} has missing values: mitml takes complete predictors only. "
            "Make it a target too (left of the ~, or type 1): targets are imputed jointly, each "
            "from the others."
        )
    if _is_infinite(column):
        raise ArgumentError(f"predictor {column.name!r} holds infinite values: drop those rows.")


def _check_target(column: pd.Series[Any], package: str) -> None:
    name = column.name
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        raise ArgumentError(f"target {name!r} is a time: make it a number.")
    if column.isna().all():
        raise ArgumentError(f"target {name!r} has no value at all, so nothing can tell what it is.")
    if _is_infinite(column):
        raise ArgumentError(
            f"target {name!r} holds infinite values: make them missing, or drop those rows."
        )
    is_logical = pd.api.types.is_bool_dtype(column.dtype)
    if package == "pan":
        if _is_category(column) and not is_logical:
            raise ArgumentError(
                f"target {name!r} ({column.dtype}) is categorical, and pan imputes numbers: take "
                "package='jomo' (mitml::jomoImpute), or code it in numbers."
            )
        return
    values = column.dropna()
    if (_is_category(column) or is_logical) and values.nunique() < 2:
        raise ArgumentError(f"target {name!r} has a single category as observed: drop it.")
    if isinstance(column.dtype, pd.CategoricalDtype):
        unused = [x for x in column.cat.categories if not (values == x).any()]
        if unused:
            raise ArgumentError(
                f"target {name!r} has the category {unused[0]!r}, which no row has, and jomo would "
                f"impute it: `data[{name!r}].cat.remove_unused_categories()` takes it out."
            )


def _check_groups(roles: Roles, group: str, package: str, data: pd.DataFrame) -> None:
    parts = dict(tuple(data.groupby(group, observed=True, sort=False)))
    if len(parts) > 1 and package == "pan" and len(roles.targets) == 1:
        raise ArgumentError(
            f"group={group!r} with the single target {roles.targets[0]!r}: here mitml's panImpute "
            "gives rows the values of other rows. Take package='jomo', or impute each group's rows "
            "by themselves."
        )
    for label, rows in parts.items():
        if len(parts) > 1 and package == "pan" and rows[roles.cluster].nunique() < 2:
            raise ArgumentError(
                f"group {label!r} of {group!r} has a single cluster of {roles.cluster!r}, at which "
                "pan fails: leave group= out, or drop those rows."
            )
        if len(rows) < 2:
            raise ArgumentError(f"group {label!r} of {group!r} has a single row: drop it.")
        for name in roles.targets:
            if rows[name].isna().all():
                raise ArgumentError(
                    f"target {name!r} has no value in group {label!r} of {group!r}, and each group "
                    "is imputed separately: leave group= out, or drop those rows."
                )
            if package == "jomo" and (
                _is_category(data[name]) or pd.api.types.is_bool_dtype(data[name].dtype)
            ):
                lacking = set(data[name].dropna()) - set(rows[name].dropna())
                if lacking:
                    raise ArgumentError(
                        f"target {name!r} lacks the category {min(map(str, lacking))!r} in group "
                        f"{label!r} of {group!r}: jomo would take it for another. Leave group= out."
                    )


def _check_level_2(roles: Roles, data: pd.DataFrame) -> None:
    """Refuse targets of level 2 that differ within a cluster, or are missing in part of it."""
    clusters = data[roles.cluster]
    for name in roles.levels[1].targets:
        differing = _clusters_where(data[name].groupby(clusters, observed=True).nunique() > 1)
        if differing:
            raise ArgumentError(
                f"target {name!r} of level 2 differs within cluster {differing[0]!r} of "
                f"{roles.cluster!r}: it belongs to level 1."
            )
        missing = data[name].isna().groupby(clusters, observed=True)
        partly = _clusters_where(missing.any() & ~missing.all())
        if partly:
            raise ArgumentError(
                f"target {name!r} of level 2 is missing in some rows of cluster {partly[0]!r} and "
                "known in others, and jomo would give that cluster two values. Copy what is known: "
                f"`data[{name!r}] = data.groupby({roles.cluster!r})[{name!r}].transform('first')`."
            )


def _clusters_where(condition: pd.Series[Any]) -> list[Any]:
    return list(condition.index[condition.to_numpy(bool)])
