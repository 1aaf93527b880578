"""Questions to the R object of a fit, and what R's replies hold: values, warnings and refusals."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..base.labels import listed_imputations
from ..errors import PredictionError, RCallError, RPackageError, RWarning

if TYPE_CHECKING:
    from .fitted_model import FittedModel

__all__ = ["Reply", "ask", "ask_each", "told", "warn_of_each"]


class Reply(Protocol):
    """A reply of R's, as ``fit.r.call`` gives it."""

    @property
    def value(self) -> Any:
        """What the R function returned."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """The texts of R's warnings."""

    @property
    def messages(self) -> tuple[str, ...]:
        """The texts of R's messages."""


def ask(fit: FittedModel, function: str, *args: Any, **kwargs: Any) -> Any:
    """Call an R function on a fit, and pass R's warnings on, with the number of the imputation.

    Parameters
    ----------
    fit : FittedModel
        Its R object is the first argument.
    function : str
        The function's name, one of this library's or "package::function".
    *args, **kwargs : Any
        The other arguments.

    Returns
    -------
    Any
        The reply's value.

    Raises
    ------
    RPackageError
        Where R lacks a package that the function needs.
    PredictionError
        As in `told`.

    See Also
    --------
    ask_each : The same of several fits.
    told : Takes the value out of the reply.
    """
    return told(_reply(fit, function, args, kwargs), fit.imputation, stacklevel=4)


def ask_each(
    fits: Sequence[FittedModel],
    function: str,
    *args: Any,
    of_each: Mapping[str, Sequence[Any]] | None = None,
    **kwargs: Any,
) -> list[Any]:
    """Call an R function on each fit, and warn once of what R says of several of them.

    Parameters
    ----------
    fits : sequence of FittedModel
        Each one's R object is the first argument.
    function : str
        The function's name, one of this library's or "package::function".
    *args : Any
        Other arguments.
    of_each : mapping, optional
        Arguments that have another value for each fit: by their names, the values.
    **kwargs : Any
        Other arguments by name.

    Returns
    -------
    list
        The replies' values.

    Raises
    ------
    RPackageError
        Where R lacks a package that the function needs.
    PredictionError
        As in `told`.
    """
    replies = [
        _reply(fit, function, args, {**kwargs, **{x: y[i] for x, y in (of_each or {}).items()}})
        for i, fit in enumerate(fits)
    ]
    pairs = zip(fits, replies, strict=True)
    texts = [(fit.imputation, x) for fit, y in pairs for x in (*y.warnings, *y.messages)]
    warn_of_each(texts, "R", stacklevel=4)
    return [_value(x.value, fit.imputation) for fit, x in zip(fits, replies, strict=True)]


def warn_of_each(texts: Iterable[tuple[int | None, str]], who: str, *, stacklevel: int) -> None:
    """Warn once of each thing that R said of several fits, perhaps with other numbers of each.

    Parameters
    ----------
    texts : iterable of tuple
        The number of an imputation, or None, and what R said of its fit.
    who : str
        What the warnings begin with.
    stacklevel : int
        As in `warnings.warn`, counted from here.
    """
    alike: dict[str, dict[tuple[int | None, str], None]] = {}
    for imputation, text in texts:
        same = alike.setdefault(_NUMBER.sub("#", text.strip()), {})
        same[imputation, text.strip()] = None
    for told_of in alike.values():
        (first, text), *_ = told_of
        numbers = list(dict.fromkeys(x for x, _ in told_of if x is not None))
        where = f"{listed_imputations(numbers)}: " if numbers else ""
        if len({x for _, x in told_of}) > 1:
            text += f" (the numbers are those of imputation {first})"
        warnings.warn(f"{who}: {where}{text}", RWarning, stacklevel=stacklevel)


# One in a name, such as x1, is none.
_NUMBER = re.compile(r"(?<![\w.])-?\d+(\.\d*)?(e[-+]?\d+)?")


def told(reply: Reply, imputation: int | None, *, stacklevel: int = 3) -> Any:
    """Take the value out of a reply; each of R's warnings and messages becomes an `RWarning`.

    Parameters
    ----------
    reply : Reply
        As ``fit.r.call`` gives it.
    imputation : int or None
        Number of the data set, for the texts.
    stacklevel : int
        As in `warnings.warn`, counted from here.

    Returns
    -------
    Any
        The reply's value.

    Raises
    ------
    PredictionError
        Where this library's R function returns a `problem`, together with R's text (`r_message`).
    """
    where = "" if imputation is None else f"imputation {imputation}: "
    for text in reply.warnings + reply.messages:
        warnings.warn(f"R: {where}{text.strip()}", RWarning, stacklevel=stacklevel)
    return _value(reply.value, imputation)


def _reply(
    fit: FittedModel, function: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Reply:
    try:
        reply: Reply = fit.r.call(function, *args, **kwargs)
    except RCallError as error:
        if "needs the R package" in error.r_message:
            raise RPackageError(error.r_message) from None
        raise
    return reply


def _value(value: Any, imputation: int | None) -> Any:
    """Return the value of a reply, unless it is this library's way of saying that there is none."""
    if isinstance(value, dict) and "problem" in value:
        where = "" if imputation is None else f"imputation {imputation}: "
        problem, r_message = str(value["problem"][0]), str(value["r_message"][0]).strip()
        r_text = f"\n  R: {r_message}" if r_message else ""
        raise PredictionError(f"{where}{problem}.{r_text}", r_message=str(value["r_message"][0]))
    return value
