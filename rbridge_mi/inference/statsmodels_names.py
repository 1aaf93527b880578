"""Results under the names that statsmodels gives them, for code that was written for its results.

Each is made of a table that the result has already; statsmodels isn't imported.
"""

from __future__ import annotations

import pandas as pd

from ..base.checks import is_number
from ..errors import ArgumentError, NoValueError

__all__ = ["EstimateNames", "MixedModelNames"]


class EstimateNames:
    """Estimates as statsmodels' results have them: Series and matrices by term, read-only.

    They are the fixed effects alone, on the scale of the link, also where tables are exponentiated.
    statsmodels' ``MixedLMResults`` adds the random part to them, divided by the residual variance
    ("Group Var"); here `varcorr` has it, in the units of the response.
    """

    def estimate_table(self, conf_level: float | None = None) -> pd.DataFrame:
        """Return the table that the names read.

        Parameters
        ----------
        conf_level : float, optional
            Without it, the columns df, p_value, conf_low and conf_high may be absent, and R is not
            asked for degrees of freedom.

        Returns
        -------
        DataFrame
            term, estimate, std_error, statistic, df, p_value, conf_low, conf_high; not
            exponentiated.

        See Also
        --------
        MerMod.fixed : The table of one fit.
        """
        raise NotImplementedError

    def cov_params(self) -> pd.DataFrame:
        """Return the covariance matrix of the fixed effects, under statsmodels' name.

        Returns
        -------
        DataFrame
            Terms x terms.

        See Also
        --------
        conf_int : Intervals.
        MerMod.vcov : The same, of one fit.
        """
        raise NotImplementedError

    @property
    def params(self) -> pd.Series[float]:
        """Fixed effects by term, as statsmodels' ``params``; without the random part."""
        return self._by_term("estimate")

    @property
    def bse(self) -> pd.Series[float]:
        """Standard errors of `params`, by term; of pooled models the total ones."""
        return self._by_term("std_error")

    @property
    def tvalues(self) -> pd.Series[float]:
        """Estimates over standard errors, by term."""
        return self._by_term("statistic")

    @property
    def pvalues(self) -> pd.Series[float]:
        """P values by term: those of `fixed`, by t where it has degrees of freedom.

        statsmodels' mixed models have normal ones, which are smaller where there are few groups.
        """
        return self._by_term("p_value", 0.95)

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Return intervals of the fixed effects, in statsmodels' layout.

        Parameters
        ----------
        alpha : float
            One minus their coverage: 0.05 for intervals of 95%, whatever `conf_level` a pooled
            model has.

        Returns
        -------
        DataFrame
            By term; columns 0 and 1, the lower and the upper end, as in `fixed`: by t where that
            has degrees of freedom.

        Raises
        ------
        ArgumentError
            An alpha that is not between 0 and 1.

        See Also
        --------
        MerMod.confint : lme4's intervals, by profile likelihood or bootstrap.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
        >>> fit.conf_int().loc["ses"].round(2).tolist()
        [2.18, 2.6]
        """
        if not is_number(alpha) or not 0 < alpha < 1:
            raise ArgumentError(
                f"alpha must be a number between 0 and 1, not {alpha!r}: 0.05 for intervals of 95%."
            )
        table = self.estimate_table(1 - alpha)
        columns = {0: table["conf_low"].to_numpy(), 1: table["conf_high"].to_numpy()}
        return pd.DataFrame(columns, index=list(table["term"]))

    def _by_term(self, column: str, conf_level: float | None = None) -> pd.Series[float]:
        table = self.estimate_table(conf_level)
        return pd.Series(table[column].to_numpy(copy=True), index=list(table["term"]))


class MixedModelNames(EstimateNames):
    """What mixed models have beside `EstimateNames`, under the names of ``MixedLMResults``."""

    def random_effect_table(self) -> pd.DataFrame:
        """Return the conditional modes: columns grpvar, term, grp, condval.

        Returns
        -------
        DataFrame
            A row per grouping factor, term and level.

        See Also
        --------
        MerMod.ranef : The table of one fit.
        """
        raise NotImplementedError

    @property
    def fe_params(self) -> pd.Series[float]:
        """Fixed effects by term, as `params`."""
        return self.params

    @property
    def random_effects(self) -> dict[str, pd.Series[float]]:
        """Conditional modes: for each level of the grouping factor, as text, a Series by term.

        statsmodels' models have one grouping factor. Where there are several, this is a
        `NoValueError`: ``ranef`` tells them apart.
        """
        table = self.random_effect_table()
        factors = list(dict.fromkeys(table["grpvar"]))
        if len(factors) > 1:
            raise NoValueError(
                f"random_effects has a level of one grouping factor as its key, and this model has "
                f"{', '.join(map(repr, factors))}: use ranef, whose column grpvar tells them apart."
            )
        terms, values = table["term"].to_numpy(), table["condval"].to_numpy()
        # Levels are grouped by their places: rows of a level needn't stand together.
        return {
            str(level): pd.Series(values[rows], index=list(terms[rows]))
            for level, rows in table.groupby("grp", sort=False).indices.items()
        }

    @property
    def fittedvalues(self) -> pd.Series[float]:
        """Fitted values with all random effects, on the response's scale, by the frame's index."""
        raise NotImplementedError

    @property
    def resid(self) -> pd.Series[float]:
        """Response minus `fittedvalues`, by the frame's index."""
        raise NotImplementedError

    @property
    def llf(self) -> float:
        """Log-likelihood; the restricted one after REML."""
        raise NotImplementedError
