"""What a table of several models shows of one of them, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..base.arguments import check_level
from ..base.glossary import TABLES, checked
from ..errors import ArgumentError
from ..fits.which_models import is_linear
from .degrees_of_freedom import vcov_of_one
from .latent_scale import intercept_shares
from .ratios import as_ratios

if TYPE_CHECKING:
    from .mermod import MerMod

__all__ = [
    "HasTableColumn",
    "ModelColumn",
    "check_same_level",
    "column_of_fit",
    "fixed_columns",
    "response_of",
]


@dataclass(frozen=True)
class ModelColumn:
    """A model, as a column of a table of several.

    Parameters
    ----------
    response : str
        As the formula has it; empty where that is not known.
    fixed : callable
        Returns the columns of a fit's ``fixed()``; R may have to be asked, as for `r2`.
    conf_level : float
        Of its intervals.
    inference : str
        Whose standard errors these are, in short.
    varcorr : DataFrame, optional
        The random part.
    icc : Series, optional
        By grouping factor.
    ngrps : mapping
        Number of levels by grouping factor.
    nobs : tuple of int
        Rows of each fit; empty where that is not known.
    r2 : callable, optional
        Returns the one row of ``r2()``.
    m : int, optional
        Number of data sets, where there were several.
    fmi : float, optional
        The largest of the coefficients', where there are any.
    fit : MerMod, optional
        A fit of the model, which knows its family and link.
    are_ratios : bool
        Whether `fixed` is exponentiated.
    """

    response: str
    fixed: Callable[[], pd.DataFrame]
    conf_level: float
    inference: str
    varcorr: pd.DataFrame | None = None
    icc: pd.Series[float] | None = None
    ngrps: Mapping[str, int] = field(default_factory=dict)
    nobs: tuple[int, ...] = ()
    r2: Callable[[], pd.DataFrame] | None = None
    m: int | None = None
    fmi: float | None = None
    fit: MerMod | None = None
    are_ratios: bool = False

    @property
    def is_linear(self) -> bool:
        """Whether it is a linear model, or estimates of which nothing is known."""
        return self.fit is None or is_linear(self.fit)

    def as_ratios(self) -> ModelColumn:
        """Exponentiate the coefficients; see `MerMod.fixed`.

        Returns
        -------
        ModelColumn
            With ratios, and their intervals.

        Raises
        ------
        ArgumentError
            Coefficients of a link that are no logarithms, or of which the link is not known.
        """
        if self.are_ratios:
            return self
        if self.fit is None:
            raise ArgumentError(
                "exponentiate is for models whose link is known; `pool(..., exponentiate=True)` "
                "exponentiates estimates of others."
            )
        fixed, link = self.fixed, self.fit.link
        return replace(self, fixed=lambda: as_ratios(fixed(), link), are_ratios=True)


def column_of_fit(fit: MerMod, dfcom: Any, conf_level: float) -> ModelColumn:
    """Make a column of one fit; see `MerMod.table_column`."""
    inference = "Kenward-Roger" if vcov_of_one(dfcom) == "kenward-roger" else "model-based"
    varcorr = fit.varcorr()
    return ModelColumn(
        response=response_of(fit.formula),
        fixed=partial(fit.fixed, dfcom, conf_level),
        conf_level=conf_level,
        inference=inference,
        varcorr=varcorr,
        icc=intercept_shares(varcorr, fit),
        ngrps=fit.ngrps,
        nobs=(fit.nobs,),
        r2=fit.r2,
        fit=fit,
    )


def response_of(formula: str) -> str:
    """Return the left-hand side of a formula as R writes it."""
    return formula.split("~")[0].strip()


class HasTableColumn:
    """What tables of several models take."""

    def table_column(self, dfcom: Any = None, conf_level: float | None = None) -> ModelColumn:
        """Return what a table shows of the model.

        Parameters
        ----------
        dfcom : str or float, optional
            Degrees of freedom of a single fit, as its ``fixed()`` takes them; pooled models have
            theirs already.
        conf_level : float, optional
            Of a single fit's intervals, 0.95 by default.

        Returns
        -------
        ModelColumn
            Coefficients, random part, and statistics.

        See Also
        --------
        table : Puts several of these side by side.
        """
        raise NotImplementedError


def fixed_columns(fixed: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of a pooled table that a single fit's table has, too."""
    return checked(fixed[list(TABLES["estimates"])].copy(), "estimates")


def check_same_level(conf_level: float | None, pooled: float) -> None:
    """Refuse a confidence level that is not the one of a pooled model's intervals."""
    if conf_level is not None and check_level(conf_level) != pooled:
        raise ArgumentError(
            f"conf_level {conf_level:g}: the pooled model has intervals of {100 * pooled:g}%. Pool "
            f"with another level, `fits.pool(conf_level={conf_level:g})`."
        )
