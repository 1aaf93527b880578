"""What doesn't hold for every model, and is refused for others by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import ArgumentError

if TYPE_CHECKING:
    from .fitted_model import FittedModel

__all__ = ["check_likelihood", "check_linear", "is_linear"]


def is_linear(fit: FittedModel) -> bool:
    """Tell whether a fit is a linear mixed model: normal residuals about a linear predictor."""
    return fit.family == "gaussian" and fit.link == "identity" and fit.has_scale


def check_linear(fits: Sequence[FittedModel], what: str) -> None:
    """Refuse what doesn't hold for generalised models, before R is asked.

    Parameters
    ----------
    fits : sequence of FittedModel
        Of one model.
    what : str
        What was asked for, for the message.

    Raises
    ------
    ArgumentError
        With the family and link of the model.

    See Also
    --------
    is_linear : The condition.
    """
    if not is_linear(fits[0]):
        raise ArgumentError(
            f"{what} is for linear mixed models, and {fits[0].formula} was fitted with family "
            f"{fits[0].family!r} and link {fits[0].link!r}."
        )


def check_likelihood(fits: Sequence[FittedModel], what: str, instead: str) -> None:
    """Refuse models whose likelihood has a parameter besides the coefficients and theta.

    lme4 takes the scale of a Gamma model from its residuals, and finds a negative binomial's theta
    in fits of their own: neither is part of the likelihood that it maximises.

    Parameters
    ----------
    fits : sequence of FittedModel
        Of one model.
    what : str
        What was asked for, for the message.
    instead : str
        What to do, for the message.

    Raises
    ------
    ArgumentError
        With the family and link of the model.

    See Also
    --------
    check_linear : Refuses every generalised model.
    """
    fit = fits[0]
    if is_linear(fit) or not (fit.has_scale or math.isfinite(fit.nb_theta)):
        return
    raise ArgumentError(
        f"{what} has no answer for {fit.formula} with family {fit.family!r} and link {fit.link!r}: "
        f"lme4 estimates its dispersion apart from the likelihood's other parameters. {instead}."
    )
