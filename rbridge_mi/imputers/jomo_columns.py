"""Which columns jomo imputes and from which, and what the data have that it can't work on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..base.arguments import check_columns
from ..errors import ArgumentError, FormulaError, RNotFoundError, RPackageError
from .columns import Groups, is_constant_within, level_of, numbered
from .jomo_arguments import checked
from .jomo_matrices import Sizes, check_matrices
from .jomo_model import JomoModel, read_model

__all__ = ["JomoPlan", "check_with_data", "plan"]

_MOST_CATEGORIES = 50  # each but one is a latent column of the joint model


@dataclass(frozen=True)
class JomoPlan:
    """A call of jomo on some data.

    Parameters
    ----------
    arguments : mapping
        What R's function takes; see r/imputers/jomo.R.
    columns : tuple of str
        The columns that R needs.
    notes : tuple of str
        What the user may not expect.
    """

    arguments: Mapping[str, Any]
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()


def check_with_data(arguments: Mapping[str, Any], data: pd.DataFrame) -> None:
    """Make every check before the imputation; `arguments` need not be checked yet."""
    values = checked(arguments.items())
    if "model" not in values:
        plan(values, data, None)
        return
    try:
        model = read_model(values["model"], data)
    except (RNotFoundError, RPackageError):
        return  # R reads the formula
    except FormulaError as error:
        raise ArgumentError(f"model: {error.r_message or error}") from None
    plan(values, data, model)


def plan(given: Mapping[str, Any], data: pd.DataFrame, model: JomoModel | None) -> JomoPlan:
    """Say what R is asked, after every check.

    Parameters
    ----------
    given : mapping
        As `jomo_arguments.checked` returned them.
    data : DataFrame
    model : JomoModel, optional
        What the argument `model` was read as.

    Returns
    -------
    JomoPlan
        What R is asked, and what the user should know.

    Raises
    ------
    ArgumentError
        A column of the data or an argument can't be right.
    """
    for name in ("Y", "Y2", "X", "X2", "Z", "auxiliary", "factors", "levels"):
        check_columns(given.get(name, ()), data, name)
    group = model.group if model is not None else given.get("clus")
    if group is not None:
        check_columns([group], data, "clus")
        _check_group(data[group], group)
    groups = None if group is None else numbered(pd.factorize(data[group], sort=True)[0])
    levels = _Levels(data, group, groups, given.get("levels", {}))
    factors = list(given.get("factors", ()))
    _check_factors(factors, data)
    if model is None:
        roles = _roles(given, data, group, levels)
        targets = [*roles["Y"], *roles["Y2"]]
        used = list(dict.fromkeys(name for names in roles.values() for name in names))
    else:
        used = _columns_of(model, given.get("auxiliary", ()), data)
        targets = [name for name in used if name != group]
        if given.get("family") == "binomial":
            factors = list(dict.fromkeys([*factors, model.response]))
        upper = [x for x in targets if x != model.response and levels.is_upper(x)]
        roles = {"Y": [x for x in targets if x not in upper], "Y2": upper}
    _check_names([*used, *([] if group is None else [group])], model is not None)
    for name in used:
        if name != group:
            _check_column(data[name], name, name in factors)
    categories = {x: _categories(data[x], x in factors) for x in used if x != group}
    levels.refuse_partly_missing(roles["Y2"])
    if model is None:
        _check_covariates(roles, data, categories, given.get("intercept", True), levels)
    else:
        model.refuse_columns(categories, set(roles["Y2"]))
        model.refuse_response(data, categories[model.response], given.get("family"))
    if not data[targets].isna().any(axis=None):
        raise ArgumentError(
            "nothing to impute: no column that jomo would impute has a hole. Fit the model to the "
            "data as they are."
        )
    meth = given.get("meth", "common")
    if groups is not None and meth != "common":
        _check_sizes(groups, str(group), meth)
    _check_chain_matrices(given, roles, categories, groups, model, meth)
    named = roles if model is None else {"columns": used, "Y2": roles["Y2"], "clus": group}
    arguments = {
        **{name: value for name, value in given.items() if name not in ("levels", "auxiliary")},
        **named,
        "factors": [x for x in factors if x in used and not _is_category(data[x])],
        "meth": meth,
        "scale": given.get("scale", True),
        "intercept": given.get("intercept", True),
        "nburn": given.get("nburn", 1000),
        "nbetween": given.get("nbetween", 1000),
    }
    if model is not None:
        arguments["level"] = [2 if x in roles["Y2"] else 1 for x in used]
    arguments = {name: value for name, value in arguments.items() if not _is_empty(value)}
    sent = tuple(name for name in data.columns if name in used or name == group)
    return JomoPlan(arguments, sent, _notes(data, targets, factors, model))


def _columns_of(model: JomoModel, auxiliary: Sequence[str], data: pd.DataFrame) -> list[str]:
    """Return the columns that jomo.lmer gets, in the order of the frame."""
    of_model = [model.response, model.group, *model.covariates]
    for name in auxiliary:
        if name in of_model:
            raise ArgumentError(f"auxiliary names {name!r}, which is in the model: leave it out.")
    return [name for name in data.columns if name in (*of_model, *auxiliary)]


class _Levels:
    """Which columns have one value in each group."""

    def __init__(
        self,
        data: pd.DataFrame,
        group: str | None,
        groups: Groups | None,
        given: Mapping[str, str | None],
    ) -> None:
        for name, level in given.items():
            if level is not None and level != group:
                raise ArgumentError(
                    f"levels gives {name!r} the level {level!r}: it must be {group!r}, or None for "
                    "rows."
                )
        self._data, self._group, self._groups, self._given = data, group, groups, given

    def is_upper(self, name: str) -> bool:
        """Whether a column is of the groups' level, as it was declared or as observed."""
        if self._groups is None or self._group is None:
            return False
        if name in self._given:
            return self._given[name] is not None
        codes = _codes(self._data[name])
        return level_of(codes, {self._group: self._groups}, [self._group]) is not None

    def refuse_varying(self, name: str, argument: str) -> None:
        """Refuse a column of groups that has two values in one of them."""
        assert self._groups is not None
        if not is_constant_within(_codes(self._data[name]), self._groups):
            raise ArgumentError(
                f"{argument} names {name!r}, which has two values within a group of "
                f"{self._group!r}: it is no column of the groups' level."
            )

    def refuse_partly_missing(self, names: Sequence[str]) -> None:
        """Refuse holes in groups whose value is known: jomo would draw it anew."""
        for name in names:
            self.refuse_varying(name, "Y2")
            codes = _codes(self._data[name])
            observed = ~np.isnan(codes)
            assert self._groups is not None
            known = np.isin(self._groups, self._groups[observed])
            if (known & ~observed).any():
                row = int(np.flatnonzero(known & ~observed)[0])
                raise ArgumentError(
                    f"column {name!r} has one value in each group of {self._group!r}, and row "
                    f"{row + 1} lacks the value that other rows of its group have. jomo would "
                    f"draw it anew, over the observed ones: fill it in, data[{name!r}] = "
                    f"data.groupby({self._group!r})[{name!r}].transform('first')."
                )


def _roles(
    given: Mapping[str, Any], data: pd.DataFrame, group: str | None, levels: _Levels
) -> dict[str, list[str]]:
    """Return the columns of each argument, found in the data where they are not given."""
    roles = {name: list(given.get(name, ())) for name in ("Y", "Y2", "X", "X2", "Z")}
    given_roles = {name for names in roles.values() for name in names}
    open_ones = [
        name for name in data.columns[data.isna().any()] if name not in given_roles | {group}
    ]
    if "Y" not in given:
        roles["Y"] = [x for x in open_ones if not levels.is_upper(x)]
        if "Y2" not in given:
            roles["Y2"] = [x for x in open_ones if levels.is_upper(x)]
    for argument, names in roles.items():
        if group is not None and group in names:
            raise ArgumentError(f"{argument} names {group!r}, the column of the groups (clus).")
        if len(set(names)) < len(names):
            raise ArgumentError(f"{argument} names a column twice.")
    for name in roles["Y"]:
        if levels.is_upper(name):
            raise ArgumentError(
                f"Y names {name!r}, which has one value in each group of {group!r}, and jomo would "
                f"impute it row by row: name it in Y2, or give levels={{{name!r}: None}}."
            )
    pairs = [("Y", "Y2"), ("Y", "X"), ("Y", "X2"), ("Y", "Z"), ("Y2", "X"), ("Y2", "X2"),
             ("Y2", "Z")]  # fmt: skip
    for one, other in pairs:
        for name in roles[one]:
            if name in roles[other]:
                raise ArgumentError(f"{one} and {other} both name {name!r}: leave one out.")
    if not roles["Y"]:
        why = (
            "no column has a hole in it"
            if not open_ones
            else f"the columns with holes ({', '.join(map(repr, open_ones))}) are of the groups' "
            "level, and jomo needs one of the rows' beside them"
        )
        raise ArgumentError(f"Y is empty: {why}. Name columns in Y, complete ones as well.")
    return roles


def _check_covariates(
    roles: Mapping[str, Sequence[str]],
    data: pd.DataFrame,
    categories: Mapping[str, int],
    intercept: bool,
    levels: _Levels,
) -> None:
    """Refuse covariates (X, X2, Z) that jomo can't work on or would take for numbers."""
    for argument in ("X", "X2", "Z"):
        for name in roles[argument]:
            column = data[name]
            if column.isna().any():
                raise ArgumentError(
                    f"{argument} names {name!r}, which has holes, and must be complete: name it in "
                    "Y, which holds what is imputed."
                )
            if categories[name] > 2:
                raise ArgumentError(
                    f"{argument} names {name!r}, of whose {categories[name]} categories jomo would "
                    "make the numbers 1, 2, 3, ...: give dummy columns (pd.get_dummies), or name "
                    "it in Y."
                )
            if intercept and column.nunique() < 2:
                raise ArgumentError(
                    f"{argument} names {name!r}, which has one value, and an intercept is added "
                    "already: leave it out, or give intercept=False."
                )
    for name in roles["X2"]:
        levels.refuse_varying(name, "X2")
    if not intercept and not any(roles[x] for x in ("X", "X2", "Z")):
        raise ArgumentError("intercept=False is for X, X2 or Z, and none of them is given.")


def _check_group(column: pd.Series[Any], name: str) -> None:
    if column.isna().any():
        row = int(np.flatnonzero(column.isna())[0])
        raise ArgumentError(
            f"the column of the groups, {name!r}, has missing values (the first in row {row + 1}), "
            f"and jomo would end R: drop those rows (`data.dropna(subset=[{name!r}])`)."
        )
    if column.nunique() < 2:
        raise ArgumentError(f"the column of the groups, {name!r}, has only one group.")


def _check_sizes(groups: Groups, group: str, meth: str) -> None:
    sizes = np.bincount(groups)
    if (sizes == 1).any():
        raise ArgumentError(
            f"meth={meth!r} gives each group of {group!r} a covariance matrix, and "
            f"{int((sizes == 1).sum())} of them have a single row, of which jomo makes NaN: use "
            "meth='common'."
        )


def _check_factors(factors: Sequence[str], data: pd.DataFrame) -> None:
    for name in factors:
        if not _is_category(data[name]) and not pd.api.types.is_numeric_dtype(data[name].dtype):
            raise ArgumentError(
                f"factors names {name!r} ({data[name].dtype}), which jomo can't use."
            )


def _check_names(names: Sequence[str], in_formula: bool) -> None:
    """Refuse names by which R can't be asked for a column."""
    for name in names:
        if name == "" or (in_formula and re.fullmatch(r"\.|\.\.(\.|\d+)", name)):
            raise ArgumentError(
                f"R can't be asked for a column that is called {name!r}: rename it "
                f"(`data.rename(columns={{{name!r}: 'x'}})`)."
            )


def _check_column(column: pd.Series[Any], name: str, is_factor: bool) -> None:
    """Refuse a column that jomo can't work on."""
    category = _is_category(column) or is_factor
    if not category and not pd.api.types.is_numeric_dtype(column.dtype):
        raise ArgumentError(
            f"column {name!r} ({column.dtype}) is neither numbers nor categories nor text: jomo "
            "can't use it."
        )
    observed = column.dropna()
    if observed.empty:
        raise ArgumentError(f"column {name!r} has no value at all: leave it out.")
    if not category and not np.isfinite(observed.to_numpy(np.float64)).all():
        raise ArgumentError(
            f"column {name!r} holds infinite values: make them missing, or drop those rows."
        )
    if column.isna().any() and observed.nunique() < 2:
        raise ArgumentError(
            f"column {name!r} has holes and a single value, of which jomo can make no model: fill "
            "it in, or leave it out."
        )
    if category and observed.nunique() > _MOST_CATEGORIES:
        raise ArgumentError(
            f"column {name!r} has {observed.nunique()} categories, and jomo makes a column of its "
            f"joint model of each but one; more than {_MOST_CATEGORIES} are refused. Combine "
            "categories, or leave the column out (of Y)."
        )


def _check_chain_matrices(
    given: Mapping[str, Any],
    roles: Mapping[str, Sequence[str]],
    categories: Mapping[str, int],
    groups: Groups | None,
    model: JomoModel | None,
    meth: str,
) -> None:
    """Check the matrices of start values and priors, which compiled code takes as they are."""

    def latent(names: Sequence[str]) -> int:
        """Return the columns of the joint model: a category has one less than it has values."""
        return sum(max(1, categories[x] - 1) for x in names)

    extra = 1 if given.get("intercept", True) else 0
    width = {x: len(roles[x]) + extra if roles.get(x) else 1 for x in ("X", "X2", "Z")}
    lower = [x for x in roles["Y"] if model is None or x != model.response]
    sizes = Sizes(
        outcomes=latent(lower),
        upper_outcomes=latent(roles["Y2"]),
        covariates=width["X"],
        upper_covariates=width["X2"],
        random=width["Z"],
        groups=0 if groups is None else int(groups.max()) + 1,
        each_group=meth != "common",
    )
    check_matrices(given, sizes)


def _is_empty(value: Any) -> bool:
    return isinstance(value, list) and not value


def _categories(column: pd.Series[Any], is_factor: bool) -> int:
    """Return the number of observed categories; 0 for numbers."""
    return int(column.nunique()) if _is_category(column) or is_factor else 0


def _is_category(column: pd.Series[Any]) -> bool:
    """Whether a column holds categories whatever `factors` names: logical, text or categorical."""
    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype) or isinstance(dtype, pd.CategoricalDtype):
        return True
    if not (pd.api.types.is_string_dtype(dtype) or pd.api.types.is_object_dtype(dtype)):
        return False
    return bool(column.dropna().map(lambda x: isinstance(x, str | bool | np.bool_)).all())


def _codes(column: pd.Series[Any]) -> np.ndarray[Any, Any]:
    """Return a number for each different value, and nan for holes."""
    codes = pd.factorize(column)[0].astype(np.float64)
    return np.where(codes < 0, np.nan, codes)


def _notes(
    data: pd.DataFrame, targets: Sequence[str], factors: Sequence[str], model: JomoModel | None
) -> tuple[str, ...]:
    """Tell of numbers that look like categories and are imputed as numbers."""
    response = None if model is None else model.response
    zero_one = [
        name
        for name in targets
        if name not in factors
        and name != response
        and not _is_category(data[name])
        and data[name].isna().any()
        and set(data[name].dropna().unique()) <= {0, 1}
    ]
    if not zero_one:
        return ()
    shown = ", ".join(map(repr, zero_one))
    return (
        f"{shown}: numbers 0 and 1 are imputed as continuous numbers, such as 0.37. For zeros and "
        f"ones name them in factors ({zero_one!r}), or make them logical",
    )
