"""m sets of estimates in any form, read as arrays that are matched by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.checks import is_number
from ..data.mapped_results import MappedResults
from ..errors import ArgumentError, PoolingError
from .matching import common_names
from .mermod_list import MerModList
from .result_objects import OneSet, is_result, read_result

__all__ = ["EstimateSets", "read_sets"]

Floats = NDArray[np.float64]

_OF_RESULT = "its covariance matrix"  # the argument, where a result has it
_SMALL = 1e-8  # of a correlation: what rounding leaves in a covariance matrix


@dataclass(frozen=True)
class EstimateSets:
    """m sets of p estimates, by name.

    Attributes
    ----------
    names : list of str
        Of the estimates.
    imputations : list of int
        Numbers of the data sets, from 1.
    estimates : ndarray of shape (m, p)
        The estimates.
    covariances : ndarray of shape (m, p, p), or None
        Their covariance matrices; diagonal ones where only variances are known; None where neither
        was given.
    covariances_known : bool
        Whether what lies off the diagonal is known.
    df : list of float, or None
        Residual degrees of freedom, where every result has them.
    model : str
        What they are estimates of; empty where that is not known.
    """

    names: list[str]
    imputations: list[int]
    estimates: Floats
    covariances: Floats | None
    covariances_known: bool
    df: list[float] | None
    model: str


def read_sets(
    results: Any, variances: Any, std_errors: Any, covariances: Any, names: Sequence[str] | None
) -> EstimateSets:
    """Read m sets of estimates; see `pool` for the arguments.

    Raises
    ------
    ArgumentError
        What can't be read, or can't be right, by argument, imputation and term.
    PoolingError
        Sets that differ in their names, or in their model.
    """
    items, numbers = _items(results)
    sets = [_one_set(x, i) for x, i in zip(items, numbers, strict=True)]
    _check_one_model(sets, numbers)
    given = {
        name: _parts(value, name, len(sets))
        for name, value in (
            ("variances", variances), ("std_errors", std_errors), ("covariances", covariances)
        )
        if value is not None
    }  # fmt: skip
    if len(given) > 1:
        raise ArgumentError(f"{' and '.join(given)} say the same: give one of them.")
    sets = _named(sets, names, numbers)
    common = common_names(
        [x.names or [] for x in sets],
        numbers,
        "estimates",
        twice="Rename one of them.",
        odd="Give every set the same terms; a factor may have lost a level in one of the data "
        "sets.",
    )
    [(argument, parts)] = given.items() or [(_OF_RESULT, [x.covariance for x in sets])]
    if given and any(x.names != common for x in sets) and not all(map(_has_names, parts)):
        raise ArgumentError(
            f"the estimates have their names in several orders, and {argument} has no names: give "
            "it by name, too (Series, or DataFrames of matrices)."
        )
    rows = [
        _matrix(part, x.names or [], argument, number)
        for x, part, number in zip(sets, parts, numbers, strict=True)
    ]
    order = [[(x.names or []).index(name) for name in common] for x in sets]
    lacking = [i for i, x in zip(numbers, rows, strict=True) if x is None]
    if lacking and len(lacking) < len(rows):
        raise ArgumentError(f"imputation {lacking[0]} has no covariance matrix, others have one.")
    df = [x.df for x in sets]
    return EstimateSets(
        common,
        numbers,
        np.array([x.estimates[i] for x, i in zip(sets, order, strict=True)]),
        None if lacking else np.array(
            [x[np.ix_(i, i)] for x, i in zip(rows, order, strict=True) if x is not None]
        ),
        argument in ("covariances", _OF_RESULT) or len(common) == 1,
        None if None in df else [float(x) for x in df if x is not None],
        sets[0].model,
    )  # fmt: skip


# -- the sets ----------------------------------------------------------------------------------


def _items(results: Any) -> tuple[list[Any], list[int]]:
    """Return the m sets, and the numbers of their data sets."""
    if isinstance(results, MerModList):
        return list(results), [x.imputation or i for i, x in enumerate(results, start=1)]
    if isinstance(results, MappedResults):
        items, numbers = list(results), list(results.imputations)
    elif not _is_set_of_sets(results):
        raise ArgumentError(
            "the first argument is what is pooled: an array with a row per imputation, or a list "
            f"of m results or sets of estimates, not {_kind(results)}."
        )
    else:
        items = [row for _, row in results.iterrows()] if _is_frame(results) else list(results)
        numbers = list(range(1, len(items) + 1))
    if len(items) < 2:
        raise ArgumentError(
            f"pooling needs at least two sets of estimates, not {len(items)}: one shows nothing of "
            "the variance between imputations."
        )
    return items, numbers


def _is_set_of_sets(results: Any) -> bool:
    if isinstance(results, np.ndarray):
        return results.ndim in (1, 2)
    if isinstance(results, str | Mapping) or not isinstance(results, Iterable):
        return False
    return isinstance(results, pd.Series | pd.DataFrame) or not is_result(results)


def _is_frame(value: Any) -> bool:
    return isinstance(value, pd.DataFrame)


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return f"one {type(value).__name__}"


def _one_set(item: Any, number: int) -> OneSet:
    if isinstance(item, Mapping):
        item = pd.Series(dict(item))
    if isinstance(item, pd.Series):
        one = OneSet(item.to_numpy(), [str(x) for x in item.index])
    elif is_number(item) or isinstance(item, np.ndarray | list | tuple):
        one = OneSet(np.atleast_1d(item))
    else:
        try:
            one = read_result(item)
        except ArgumentError as error:
            raise ArgumentError(f"imputation {number}: {error}") from error
    estimates = _numbers(one.estimates, f"imputation {number}: the estimates")
    if estimates.ndim != 1 or not estimates.size:
        raise ArgumentError(
            f"imputation {number}: the estimates have shape {estimates.shape}; a set of them is "
            "one vector."
        )
    return replace(one, estimates=estimates)


def _check_one_model(sets: Sequence[OneSet], numbers: Sequence[int]) -> None:
    for one, number in zip(sets, numbers, strict=True):
        if one.model != sets[0].model:
            raise PoolingError(
                f"imputation {number} is of another model than imputation {numbers[0]}: "
                f"{one.model or 'numbers'}, and {sets[0].model or 'numbers'}. Pool results of one "
                "model."
            )


def _named(
    sets: Sequence[OneSet], names: Sequence[str] | None, numbers: Sequence[int]
) -> list[OneSet]:
    """Give the sets their names, and refuse estimates that aren't finite, by name."""
    nameless = [i for one, i in zip(sets, numbers, strict=True) if one.names is None]
    if nameless and len(nameless) < len(sets):
        raise ArgumentError(
            f"the estimates of imputation {nameless[0]} have no names, and others have: pooling "
            "goes by name, so give all of them as Series, or all as arrays."
        )
    if names is not None and not nameless:
        raise ArgumentError(
            "names is for estimates without names, and these have some: "
            f"{', '.join(sets[0].names or [])}."
        )
    k = len(sets[0].estimates)
    if nameless:
        called = [f"b{i}" for i in range(1, k + 1)] if names is None else _checked_names(names)
        for one, number in zip(sets, numbers, strict=True):
            if len(one.estimates) != len(called):
                raise ArgumentError(
                    f"imputation {number} has {len(one.estimates)} estimates, and there are "
                    f"{len(called)} " + ("in the first." if names is None else "names.")
                )
        sets = [replace(one, names=called) for one in sets]
    for one, number in zip(sets, numbers, strict=True):
        for name, value in zip(one.names or [], one.estimates, strict=True):
            if not np.isfinite(value):
                raise ArgumentError(
                    f"imputation {number}: the estimate of {name!r} is {value}. Leave the term "
                    "out, or the result that could not estimate it."
                )
    return list(sets)


def _checked_names(names: Any) -> list[str]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ArgumentError(f"names must be a list of names, not {names!r}.")
    called = list(names)
    if not all(isinstance(x, str) and x for x in called):
        raise ArgumentError(f"names must be texts, not {called!r}.")
    return called


# -- their variances ---------------------------------------------------------------------------


def _parts(value: Any, argument: str, m: int) -> list[Any]:
    """Split variances, standard errors or covariances by imputation."""
    if _is_frame(value) and argument != "covariances":
        parts = [row for _, row in value.iterrows()]
    elif isinstance(value, str | Mapping | pd.DataFrame) or not isinstance(value, Iterable):
        raise ArgumentError(
            f"{argument} must have a part for each of the {m} sets of estimates, not be "
            f"{_kind(value)}."
        )
    else:
        parts = list(value)
    if len(parts) != m:
        raise ArgumentError(f"{argument} has {len(parts)} parts for {m} sets of estimates.")
    return parts


def _has_names(part: Any) -> bool:
    return isinstance(part, pd.Series | pd.DataFrame | Mapping)


def _matrix(part: Any, names: list[str], argument: str, number: int) -> Floats | None:
    """Read the covariance matrix of one set, in the order of its names."""
    if part is None:
        return None
    where = f"imputation {number}: {argument}"
    if argument in ("variances", "std_errors"):
        return _diagonal(part, names, argument, where)
    matrix = _numbers(part, where)
    if matrix.ndim != 2 or matrix.shape != (len(names), len(names)):
        raise ArgumentError(
            f"{where}: shape {matrix.shape} for the {len(names)} estimates {', '.join(names)}, "
            f"which ask for ({len(names)}, {len(names)})."
        )
    if isinstance(part, pd.DataFrame):
        for labels in (part.index, part.columns):
            _check_names([str(x) for x in labels], names, where)
        frame = pd.DataFrame(matrix, part.index.map(str), part.columns.map(str))
        matrix = frame.loc[names, names].to_numpy()
    _check_covariance(matrix, names, where)
    return matrix


def _diagonal(part: Any, names: list[str], argument: str, where: str) -> Floats:
    if isinstance(part, Mapping):
        part = pd.Series(dict(part))
    values = np.atleast_1d(_numbers(part, where))
    if values.shape != (len(names),):
        shown = "a number" if np.ndim(part) == 0 else f"shape {values.shape}"
        hint = "; matrices are given as `covariances`" if values.ndim > 1 else ""
        raise ArgumentError(
            f"{where}: {shown} for the {len(names)} estimates {', '.join(names)}{hint}."
        )
    if isinstance(part, pd.Series):
        labels = [str(x) for x in part.index]
        _check_names(labels, names, where)
        values = values[[labels.index(x) for x in names]]
    for name, value in zip(names, values, strict=True):
        if not (np.isfinite(value) and value >= 0):
            raise ArgumentError(
                f"{where}: that of {name!r} is {value}, and neither a variance nor a standard "
                "error is missing, infinite or negative."
            )
    return np.diag(values**2 if argument == "std_errors" else values)


def _check_names(labels: list[str], names: list[str], where: str) -> None:
    if sorted(labels) != sorted(names):
        odd = sorted(set(labels) ^ set(names)) or sorted({x for x in labels if labels.count(x) > 1})
        raise ArgumentError(
            f"{where}: its names are not those of the estimates; they differ in {', '.join(odd)}."
        )


def _check_covariance(matrix: Floats, names: list[str], where: str) -> None:
    """Refuse what can't be a covariance matrix, naming the terms."""

    def fail(at: Any, text: str) -> None:
        raise ArgumentError(
            f"{where}: the covariance of {names[at[0]]!r} and {names[at[1]]!r} {text}."
        )

    if not np.isfinite(matrix).all():
        at = np.argwhere(~np.isfinite(matrix))[0]
        fail(at, f"is {matrix[tuple(at)]}")
    variances = np.diagonal(matrix)
    if (variances < 0).any():
        name = names[int(np.argmin(variances))]
        raise ArgumentError(f"{where}: the variance of {name!r} is negative ({variances.min()}).")
    size = np.sqrt(np.outer(variances, variances))
    unequal = np.abs(matrix - matrix.T) > _SMALL * size
    if unequal.any():
        fail(np.argwhere(unequal)[0], "is not the same in both places: the matrix isn't symmetric")
    too_large = np.abs(matrix) > (1 + _SMALL) * size
    if too_large.any():
        fail(np.argwhere(too_large)[0], "exceeds what their variances allow")
    scale = np.where(variances > 0, np.sqrt(variances), 1.0)
    least = np.linalg.eigvalsh(matrix / np.outer(scale, scale)).min()
    if least < -_SMALL * len(names):
        raise ArgumentError(
            f"{where}: the matrix is not positive semi-definite (as a correlation matrix it has an "
            f"eigenvalue of {least:.3g}), so that some combination of estimates would have a "
            "negative variance."
        )


def _numbers(value: Any, what: str) -> Floats:
    """Convert to float64, and refuse what isn't a rectangular array of real numbers."""
    array = np.asarray(value)
    if array.dtype.kind in "bcSUmM":
        raise ArgumentError(f"{what} must be real numbers, not {array.dtype}.")
    try:
        return np.array(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{what} can't be read as numbers: {error}.") from error
