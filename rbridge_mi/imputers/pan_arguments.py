"""What mitml's imputers take, and what of it can't be right whatever the data are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..base.arguments import check_count, check_known
from ..base.checks import is_number
from ..errors import ArgumentError
from .arguments import Argument, check_kinds, under_r_names

__all__ = ["ARGUMENTS", "checked", "in_r"]

# All arguments of panImpute() and jomoImpute() but the data, m and the seed.
ARGUMENTS = (
    Argument("package", "choice", choices=("pan", "jomo")),
    Argument("formula", "formulas"),
    Argument("type", "roles", least=-2, most=3),
    Argument("group", "column"),
    Argument("random.L1", "choice", choices=("none", "mean", "full")),
    Argument("n.burn", "whole", least=1),
    Argument("n.iter", "whole", least=1),
    Argument("prior", "prior"),
    Argument("save.pred", "truth"),
    Argument("keep.chains", "choice", choices=("full", "diagonal")),
    Argument("silent", "truth", hidden="is for the R console: imp.log and warnings tell the rest"),
)
_PRIOR = {"pan": ("a", "Binv", "c", "Dinv"), "jomo": ("Binv", "Dinv", "a")}


def checked(given: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Check arguments as far as that takes no data.

    Parameters
    ----------
    given : iterable of (str, object)
        Names, R's or Python's, and values.

    Returns
    -------
    dict
        Under R's names, without those that are None; `formula` and `type` are lists, of one or
        of two levels.

    Raises
    ------
    ArgumentError
        Unknown arguments, values of a wrong kind, arguments that exclude each other.
    """
    pairs = [*given]
    for name, value in pairs:
        if name == "seed" and value is not None:
            raise ArgumentError("seed is an argument of impute(): PanImputer(...).impute(data, 1).")
    values = check_kinds(under_r_names(pairs, ARGUMENTS, "PanImputer"), ARGUMENTS)
    package = values.setdefault("package", "pan")
    if "silent" in values:
        raise ArgumentError("silent is for the R console: drop it.")
    given_as = [name for name in ("formula", "type") if name in values]
    if len(given_as) != 1:
        raise ArgumentError(
            "PanImputer needs the imputation model as a formula, such as formula='y + z ~ x + "
            "(1 | group)', or as a type per column, such as type={'y': 1, 'z': 1, 'x': 2, "
            f"'group': -2}}: {'not both' if given_as else 'one of them'}."
        )
    levels = values[given_as[0]]
    if package == "pan" and len(levels) > 1:
        raise ArgumentError(
            f"{given_as[0]} has two levels, and pan imputes columns of level 1 only: take "
            "package='jomo' (mitml::jomoImpute)."
        )
    if package == "pan" and "random.L1" in values:
        raise ArgumentError("random_L1 is of package='jomo': pan has one residual covariance.")
    if "type" in values and "group" in values:
        raise ArgumentError("group is for a formula: in type the column of the groups has -1.")
    for name in ("n.burn", "n.iter"):
        if name in values:
            values[name] = check_count(values[name], name.replace(".", "_"), 1)
    if "prior" in values:
        values["prior"] = _prior(values["prior"], package)
    return values


def in_r(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return checked arguments as the R function takes them."""
    return {name: value for name, value in arguments.items() if name != "package"}


def _prior(value: Any, package: str) -> Any:
    """Check a prior; of jomo there may be one per group."""
    if isinstance(value, Mapping):
        return _one_prior(value, package)
    if package == "jomo" and isinstance(value, list | tuple) and value:
        return [_one_prior(part, package) for part in value]
    names = ", ".join(_PRIOR[package])
    raise ArgumentError(f"prior must be a mapping with {names}, not {value!r}.")


def _one_prior(value: Any, package: str) -> dict[str, Any]:
    names = _PRIOR[package]
    if not isinstance(value, Mapping):
        raise ArgumentError(f"prior must be a mapping with {', '.join(names)}, not {value!r}.")
    check_known(value, names, "prior")
    needed = names if package == "pan" else names[:1]
    missing = [name for name in needed if name not in value]
    if missing:
        raise ArgumentError(f"prior lacks {', '.join(missing)}: it has {', '.join(names)}.")
    prior: dict[str, Any] = {}
    for name, part in value.items():
        if name in ("Binv", "Dinv"):
            prior[name] = _scale_matrix(part, name)
        elif not is_number(part) or not np.isfinite(part) or part <= 0:
            raise ArgumentError(f"prior: {name} must be a number above 0, not {part!r}.")
        else:
            prior[name] = float(part)
    if package == "pan" and prior["a"] <= len(prior["Binv"]) - 1:
        raise ArgumentError(
            f"prior: a must be above {len(prior['Binv']) - 1}, one less than Binv has rows."
        )
    return prior


def _scale_matrix(value: Any, name: str) -> np.ndarray[Any, Any]:
    """Take a symmetric positive definite matrix; a number is one of a single row."""
    wanted = f"prior: {name} must be a symmetric, positive definite matrix of numbers"
    try:
        matrix = np.atleast_2d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        raise ArgumentError(f"{wanted}, not {value!r}.") from None
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
    if not square or not np.isfinite(matrix).all() or not np.array_equal(matrix, matrix.T):
        raise ArgumentError(f"{wanted}, not {value!r}.")
    if (np.linalg.eigvalsh(matrix) <= 0).any():
        raise ArgumentError(f"{wanted}: an eigenvalue is not above 0.")
    return np.ascontiguousarray(matrix)
