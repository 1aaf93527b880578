"""What merTools' functions take: one fit or several, and arguments under its names."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ..base.arguments import check_known, check_value
from ..errors import ArgumentError, PoolingError
from ..fits.fitted_model import FittedModel

__all__ = [
    "DRAWS",
    "check_flags",
    "check_same_names",
    "drawn",
    "fits_of",
    "under_r_names",
]

DRAWS = ("mertools", "joint")

_NO_PARALLEL = "R would draw in other processes, and not the numbers of the seed"
_REFUSED = {".parallel": _NO_PARALLEL, ".paropts": _NO_PARALLEL}

Result = TypeVar("Result")


def under_r_names(function: Callable[..., Result]) -> Callable[..., Result]:
    """Let a function take its arguments under merTools' names, too, such as ``n.sims``.

    merTools' names are written in snake case here: dots are underscores, and a capital letter
    begins a word (groupFctr is group_fctr).

    Parameters
    ----------
    function : callable
        With arguments in snake case.

    Returns
    -------
    callable
        The same, which raises an `ArgumentError` for unknown names and for those of merTools'
        arguments that can't be taken.
    """
    parameters = inspect.signature(function).parameters
    names = [name for name, x in parameters.items() if x.kind is not x.VAR_KEYWORD]
    passes_on = len(names) < len(parameters)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Result:
        given: dict[str, Any] = {}
        for name, value in kwargs.items():
            ours = name if name in names else _snake(name)
            if "." + ours in _REFUSED:
                raise ArgumentError(
                    f"{function.__name__} does not take {name!r}: {_REFUSED['.' + ours]}."
                )
            if ours not in names and not passes_on:
                check_known([name], names, function.__name__)
            if ours in given or ours in names[: len(args)]:
                raise ArgumentError(f"{function.__name__} was given {ours!r} twice.")
            given[ours] = value
        return function(*args, **given)

    return wrapper


def _snake(name: str) -> str:
    dotless = name.strip(".").replace(".", "_")
    if dotless.isupper():
        return dotless.lower()
    return re.sub("(?<=[a-z])[A-Z]", lambda x: "_" + x.group().lower(), dotless)


def fits_of(fit_or_fits: Any, what: str) -> tuple[FittedModel, ...]:
    """Take one fit, or the fits to several imputed data sets.

    Parameters
    ----------
    fit_or_fits : MerMod or sequence of MerMod
        As it was given.
    what : str
        The function, for the messages.

    Returns
    -------
    tuple of MerMod
        At least one.

    Raises
    ------
    ArgumentError
        Anything else, and fits to bootstrap samples: their spread is the whole variance, to which
        a simulation from each of them would add each fit's own once more.
    """
    if isinstance(fit_or_fits, FittedModel):
        return (fit_or_fits,)
    if not isinstance(fit_or_fits, Sequence) or not all(
        isinstance(x, FittedModel) for x in fit_or_fits
    ):
        raise ArgumentError(
            f"{what} takes a fit (MerMod) or a list of fits (MerModList), not "
            f"{type(fit_or_fits).__name__}."
        )
    if not fit_or_fits:
        raise ArgumentError(f"{what} was given a list without a fit.")
    data = getattr(fit_or_fits, "data", None)
    if getattr(data, "kind", "imputation") != "imputation":
        raise ArgumentError(
            f"{what}: these are fits to bootstrap samples, whose spread is the whole variance "
            "already; each fit's own variance would be counted once more. Take the fits to imputed "
            "data sets, or one fit."
        )
    return tuple(fit_or_fits)


def drawn(draws: Any, fit_or_fits: Any) -> str:
    """Take the way of drawing: merTools' by default for one fit, the joint one for several."""
    if draws is None:
        return "mertools" if isinstance(fit_or_fits, FittedModel) else "joint"
    check_value(draws, DRAWS, "draws")
    return str(draws)


def check_same_names(
    fits: Sequence[FittedModel], names: Callable[[FittedModel], Any], what: str
) -> None:
    """Refuse fits that don't have the same names, since they are matched by these."""
    first = set(names(fits[0]))
    for fit in fits[1:]:
        odd = first ^ set(names(fit))
        if odd:
            raise PoolingError(
                f"imputation {fit.imputation} has other {what} than imputation "
                f"{fits[0].imputation}: they differ in {', '.join(sorted(map(str, odd)))}."
            )


def check_flags(values: Mapping[str, Any]) -> None:
    """Refuse what is neither True nor False, by its name."""
    for name, value in values.items():
        if not isinstance(value, bool):
            raise ArgumentError(f"{name} must be True or False, not {value!r}.")
