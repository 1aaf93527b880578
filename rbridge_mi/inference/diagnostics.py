"""How far pooled results depend on these m imputations, and how each fit went."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..base.glossary import checked
from ..base.text import Printed
from ..fits.fitted_model import FittedModel
from ..pooling import PoolingRule, fmi_interval, imputations_needed, monte_carlo_errors
from .linear_combinations import CoefficientSets

__all__ = ["Diagnostics", "diagnose"]

_FAILED = ("failed to converge", "convergence code", "unable to evaluate scaled gradient")


@dataclass(frozen=True, eq=False)
class Diagnostics:
    """What `diagnostics` of pooled fits, or of other pooled estimates, gives.

    Attributes
    ----------
    coefficients : DataFrame
        term; fmi with its interval (fmi_low, fmi_high); Monte Carlo errors of estimate, standard
        error, df and p value (mce_...; missing with fewer than 3 imputations); m_needed.
    fits : DataFrame or None
        imputation, converged, is_singular, optimizer, optimizer_message, messages. None where the
        estimates are not of lme4's fits.
    advice : tuple of str
        What should be looked at, with the remedy.
    m : int
        Number of fits.

    See Also
    --------
    PooledMerMod.diagnostics : Makes these.
    """

    coefficients: pd.DataFrame
    fits: pd.DataFrame | None
    advice: tuple[str, ...]
    m: int

    def summary(self) -> Printed:
        """Write all of it as text."""
        table = self.coefficients.set_index("term").rename_axis(None)
        lines = [f"Diagnostics of {self.m} imputations", "", *table.to_string().split("\n"), ""]
        lines += [] if self.fits is None else _fit_lines(self.fits)
        for text in self.advice:
            lines += textwrap.wrap(f"Note: {text}", 100, subsequent_indent="  ")
        return Printed.of(lines)

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def _fit_lines(fits: pd.DataFrame) -> list[str]:
    bad = fits[~fits["converged"] | fits["is_singular"]]
    return [
        f"Fits: {int(fits['converged'].sum())} of {len(fits)} converged, "
        f"{int(fits['is_singular'].sum())} singular",
        *(f"  imputation {r.imputation}: {r.messages}" for r in bad.itertuples()),
    ]


def diagnose(
    sets: CoefficientSets,
    fixed: pd.DataFrame,
    rule: PoolingRule,
    complete_df: pd.Series[float],
    advice: tuple[str, ...],
    cv: float,
    conf_level: float,
    fits: Sequence[FittedModel] | None = None,
) -> Diagnostics:
    """Collect what `PooledMerMod.diagnostics` says; of other estimates than fits', without fits."""
    m, fmi = len(sets.estimates), fixed["fmi"].to_numpy()
    errors = {
        name: np.full(len(fixed), np.nan) for name in ("estimate", "std_error", "df", "p_value")
    }
    needed = pd.array([pd.NA] * len(fixed), dtype="Int64")
    low, high = fmi_interval(fmi, m, conf_level=conf_level)
    if rule.knows_missing_information:
        needed = pd.array(imputations_needed(fmi, m, cv=cv, conf_level=conf_level), dtype="Int64")
        if m >= 3:
            jackknifed = monte_carlo_errors(
                sets.estimates, sets.variances, dfcom=complete_df.to_numpy()
            )
            errors = {name: getattr(jackknifed, name) for name in errors}
    table = pd.DataFrame(
        {
            "term": fixed["term"],
            "fmi": fmi,
            "fmi_low": low,
            "fmi_high": high,
            **{f"mce_{name}": values for name, values in errors.items()},
            "m_needed": needed,
        }
    )
    return Diagnostics(
        coefficients=checked(table, "diagnostics"),
        fits=None if fits is None else _table_of_fits(fits),
        advice=advice,
        m=m,
    )


def _table_of_fits(fits: Sequence[FittedModel]) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "imputation": [fit.imputation for fit in fits],
            "converged": [not any(x in y for x in _FAILED for y in fit.messages) for fit in fits],
            "is_singular": [fit.is_singular for fit in fits],
            "optimizer": [fit.optimizer for fit in fits],
            "optimizer_message": [fit.optimizer_message for fit in fits],
            "messages": ["; ".join(fit.messages) for fit in fits],
        }
    )
    return checked(table, "diagnostics_fits", by_imputation=True)
