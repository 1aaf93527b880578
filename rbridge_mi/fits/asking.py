"""Questions to the R object of a fit, and what R's replies hold: values, warnings and refusals."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import PredictionError, RCallError, RPackageError, RWarning

if TYPE_CHECKING:
    from .fitted_model import FittedModel

__all__ = ["Reply", "ask", "told"]


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
    told : Takes the value out of the reply.
    """
    try:
        reply = fit.r.call(function, *args, **kwargs)
    except RCallError as error:
        if "needs the R package" in error.r_message:
            raise RPackageError(error.r_message) from None
        raise
    return told(reply, fit.imputation, stacklevel=4)


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
    value = reply.value
    if isinstance(value, dict) and "problem" in value:
        problem, r_message = str(value["problem"][0]), str(value["r_message"][0]).strip()
        r_text = f"\n  R: {r_message}" if r_message else ""
        raise PredictionError(f"{where}{problem}.{r_text}", r_message=str(value["r_message"][0]))
    return value
