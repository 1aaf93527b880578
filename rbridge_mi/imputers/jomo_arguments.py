"""What jomo's functions take, and what is wrong with it whatever the data are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError
from .arguments import Argument, check_kinds, under_r_names

__all__ = ["ARGUMENTS", "MATRICES", "checked"]

_PRINTS = "only says what jomo prints, which is not shown"
# All of the arguments of jomo(), jomo.lmer() and jomo.glmer() but the data and nimp, and what is
# this library's. Python's signature, its checks and those of job files follow from this list.
ARGUMENTS = (
    Argument("Y", "columns"),
    Argument("Y2", "columns"),
    Argument("X", "columns"),
    Argument("X2", "columns"),
    Argument("Z", "columns"),
    Argument("clus", "column"),
    Argument("model", "text"),
    Argument("family", "choice", choices=("gaussian", "binomial")),
    Argument("auxiliary", "columns"),
    Argument("levels", "by column", each="level"),
    Argument("factors", "columns"),
    Argument("intercept", "truth"),
    Argument("scale", "truth"),
    Argument("trace", "truth"),
    Argument("meth", "choice", choices=("common", "fixed", "random")),
    Argument("nburn", "whole", least=1),
    Argument("nbetween", "whole", least=1),
    Argument("beta.start", "matrix"),
    Argument("l2.beta.start", "matrix"),
    Argument("u.start", "matrix"),
    Argument("l1cov.start", "matrix"),
    Argument("l2cov.start", "matrix"),
    Argument("l1cov.prior", "matrix"),
    Argument("l2cov.prior", "matrix"),
    Argument("a", "number", least=0, above=True),
    Argument("a.start", "number", least=0, above=True),
    Argument("a.prior", "number", least=0, above=True),
    Argument("output", "whole", hidden=_PRINTS),
    Argument("out.iter", "whole", hidden=_PRINTS),
)
MATRICES = tuple(x.name for x in ARGUMENTS if x.kind == "matrix")

_OF_DATA = ("Y", "Y2", "X", "X2", "Z", "clus", "intercept", "a")
_OF_MODEL = ("family", "auxiliary", "a.start")
_OF_GROUPS = ("Y2", "X2", "Z", "levels", "u.start", "l2.beta.start", "l2cov.start", "l2cov.prior")
_FREE = ("a", "a.start", "a.prior")


def checked(given: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Check arguments as far as that takes no data.

    Parameters
    ----------
    given : iterable of (str, object)
        Names, R's or Python's, and values.

    Returns
    -------
    dict
        Under R's names, without those that are None; matrices as arrays of doubles.

    Raises
    ------
    ArgumentError
        Unknown arguments, values of a wrong kind, arguments that exclude each other.
    """
    given = list(given)
    family = dict(given).get("family")
    if family not in (None, "gaussian", "binomial"):
        raise ArgumentError(
            f"family must be 'gaussian' (jomo.lmer) or 'binomial' (jomo.glmer), not {family!r}: "
            "jomo.glmer is a probit model, and makes one of any other family without saying so."
        )
    values = check_kinds(under_r_names(given, ARGUMENTS, "JomoImputer"), ARGUMENTS)
    for name in ("output", "out.iter"):
        if name in values:
            raise ArgumentError(f"{name} {_PRINTS}: drop it.")
    for name in ("nburn", "nbetween"):
        if name in values:
            values[name] = _whole(values[name], name)
    for name in _FREE:
        if name in values:
            values[name] = _above_0(values[name], name)
    _check_together(values)
    return values


def _check_together(values: Mapping[str, Any]) -> None:
    """Refuse arguments that exclude each other, or need another one."""
    meth = values.get("meth", "common")
    if "model" in values:
        _refuse(values, _OF_DATA, "is jomo()'s, which knows no model: leave it out, or model")
        if meth == "fixed":
            raise ArgumentError(
                "meth='fixed' is jomo()'s: with model= there are 'common' and 'random'."
            )
        if values.get("trace") and meth != "common":
            raise ArgumentError(
                "trace=True with model= needs meth='common', since R's function that keeps the "
                "parameters (jomo.lmer.MCMCchain) fails with meth='random': leave out trace."
            )
    else:
        _refuse(values, _OF_MODEL, "is of jomo.lmer and jomo.glmer: it needs model=")
        if "clus" not in values:
            _refuse(values, _OF_GROUPS, "needs the groups: name their column, clus=")
            if meth != "common":
                raise ArgumentError(
                    f"meth={meth!r} is for covariance matrices of groups: name their column, clus=."
                )
    if meth != "random":
        _refuse(
            values,
            _FREE,
            "is of covariance matrices that differ at random between groups: it needs "
            "meth='random'",
        )


def _refuse(values: Mapping[str, Any], names: Iterable[str], why: str) -> None:
    for name in names:
        if name in values:
            raise ArgumentError(f"{name} {why}.")


def _whole(value: Any, name: str) -> int:
    number = _number(value, name, "a whole number of at least 1")
    if number != int(number) or not 1 <= number < 2**31:
        raise ArgumentError(
            f"{name} must be a whole number of at least 1, and below 2**31, not {value!r}."
        )
    return int(number)


def _above_0(value: Any, name: str) -> float:
    number = _number(value, name, "a number above 0")
    if number <= 0:
        raise ArgumentError(f"{name} must be a number above 0, not {value!r}.")
    return number


def _number(value: Any, name: str, what: str) -> float:
    number = np.asarray(value, np.float64)
    if number.shape != () or not np.isfinite(number):
        raise ArgumentError(f"{name} must be {what}, not {value!r}.")
    return float(number)
