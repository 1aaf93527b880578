"""Pooled estimates of any estimator: m sets of them as one answer, matched by name."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import pandas as pd

from ..base.glossary import checked
from ..base.hooks import Hook
from ..base.records import Recorded, Tables, with_terms
from ..base.text import Printed
from ..errors import RBridgeWarning
from ..inference.advice import too_few_imputations
from ..inference.diagnostics import Diagnostics, diagnose
from ..inference.linear_combinations import (
    CoefficientSets,
    coefficient_table,
    estimate_contrasts,
    hypothesis_test,
)
from ..inference.model_column import HasTableColumn, ModelColumn, check_same_level, fixed_columns
from ..inference.ratios import as_ratios
from ..inference.statsmodels_names import EstimateNames
from ..pooling import PoolingRule, rule_for
from .notebook import estimates_html
from .printing import estimates_title, fixed_lines, note_lines

__all__ = ["PooledEstimates"]


@dataclass(frozen=True, eq=False)
class PooledEstimates(EstimateNames, Recorded, HasTableColumn):
    """What m sets of estimates say together.

    Attributes
    ----------
    fixed : DataFrame
        term, estimate, std_error, statistic, df, p_value, conf_low, conf_high, ubar, b, t, riv,
        ``lambda_``, fmi: one row per estimate, in the order of the first set; the columns of
        `PooledMerMod.fixed`.
    vcov : DataFrame
        Total covariance matrix, terms x terms; missing off the diagonal where only variances were
        given.
    sets : CoefficientSets
        What was pooled: `terms`, `estimates` (m x p) and `vcovs` (m x p x p).
    m : int
        Number of sets.
    kind : {"imputation", "bootstrap"}
        Bootstrap samples are pooled by the spread of their estimates: ubar, riv, ``lambda_`` and
        fmi have no meaning there and are missing.
    conf_level : float
        Coverage of the intervals.
    dfcom : str, float or Series
        Degrees of freedom that complete data would leave, as they were given; "residual" where
        they are those of the results.
    complete_df : Series
        These, per coefficient.
    exponentiate : bool
        Whether `fixed`, `contrast` and `tidy` have exponentiated estimates and intervals.
    model : str
        What the estimates are of; empty where that is not known.

    See Also
    --------
    pool : Makes these.
    PooledMerMod : Of lme4's fits, with their random part.
    """

    fixed: pd.DataFrame
    vcov: pd.DataFrame
    sets: CoefficientSets = field(repr=False)
    m: int
    kind: Literal["imputation", "bootstrap"]
    conf_level: float
    dfcom: Any
    complete_df: pd.Series[float] = field(repr=False)
    exponentiate: bool = False
    model: str = ""
    plot = Hook("plots")  # pooled.plot.forest() is rb.plot.forest(pooled)

    @property
    def rule(self) -> PoolingRule:
        """How the sets were pooled: by Rubin's rules, or by their spread."""
        return rule_for(self.kind)

    def test(self, hypothesis: Any, rhs: Any = None) -> pd.DataFrame:
        """Test linear hypotheses about the estimates, all at once, by D1.

        Parameters
        ----------
        hypothesis : str, sequence of str, or array-like
            Such as ``"x = z"``, ``"x = 0, z = 2"``, or a matrix with a column per term; see
            `PooledMerMod.test`. About the estimates as they were given, not exponentiated.
        rhs : float or array-like, optional
            Right-hand sides of a matrix; 0 by default.

        Returns
        -------
        DataFrame
            One row: method, statistic (F), df1, df2, p_value, riv. In R:
            ``mitml::testConstraints(model, qhat, uhat, constraints, df.com)``. Of terms whose dfcom
            differ the least counts.

        Raises
        ------
        ArgumentError
            A hypothesis that can't be read, or follows from the others; or one about several terms,
            if only their variances were given.
        PoolingError
            For bootstrap samples, for which D1 does not hold.

        See Also
        --------
        contrast : Estimates the combinations one by one.

        References
        ----------
        Li, Raghunathan and Rubin (1991), JASA 86, 1065-1073, eqs. 1.11 to 1.17; Reiter (2007),
        Biometrika 94, p. 504; Barnard and Rubin (1999), Biometrika 86, eq. 3.

        Examples
        --------
        >>> import numpy as np
        >>> import rbridge_mi as rb
        >>> q = [[1.0, 2.0], [1.2, 2.1], [0.9, 1.8]]
        >>> pooled = rb.pool(q, covariances=[np.eye(2)] * 3, names=["x", "z"])
        >>> pooled.test("x = z")[["df1", "statistic"]].round(3).values.tolist()
        [[1.0, 0.435]]
        """
        return hypothesis_test(self.sets, self.rule, hypothesis, rhs)

    def contrast(
        self,
        contrast: Any,
        rhs: Any = None,
        conf_level: float | None = None,
        *,
        adjust: str | None = None,
    ) -> pd.DataFrame:
        """Estimate linear combinations of the estimates, one row each.

        Parameters
        ----------
        contrast : str, sequence of str, or array-like
            As in `test`; of ``"x = z"`` the estimate is x - z.
        rhs : float or array-like, optional
            Subtracted from the rows of a matrix.
        conf_level : float, optional
            That of the pooled estimates by default.
        adjust : str, optional
            How p values are adjusted for several combinations; as in `PooledMerMod.contrast`.

        Returns
        -------
        DataFrame
            The columns of `fixed`, with the combination as term; exponentiated, if those are. In R:
            ``mice::pool.scalar`` on the m combinations. Of terms whose dfcom differ the least
            counts.

        Raises
        ------
        ArgumentError
            A combination that can't be read, or one of several terms, if only their variances were
            given.

        See Also
        --------
        test : Tests combinations together.

        References
        ----------
        Rubin (1987), Multiple Imputation for Nonresponse in Surveys, eqs. 3.1.2 to 3.1.10.

        Examples
        --------
        >>> import numpy as np
        >>> import rbridge_mi as rb
        >>> q = [[1.0, 2.0], [1.2, 2.1], [0.9, 1.8]]
        >>> pooled = rb.pool(q, covariances=[np.eye(2)] * 3, names=["x", "z"])
        >>> pooled.contrast("z - x")[["term", "estimate"]].round(3).values.tolist()
        [['z - x', 0.933]]
        """
        level = self.conf_level if conf_level is None else conf_level
        table = estimate_contrasts(self.sets, self.rule, level, contrast, rhs, adjust)
        return as_ratios(table) if self.exponentiate else table

    def estimate_table(self, conf_level: float | None = None) -> pd.DataFrame:
        """Return the table that `params` and its like read; see `EstimateNames`."""
        if not self.exponentiate and conf_level in (None, self.conf_level):
            return self.fixed
        level = self.conf_level if conf_level is None else conf_level
        return coefficient_table(self.sets, self.rule, level)

    def cov_params(self) -> pd.DataFrame:
        """Return `vcov`, under statsmodels' name."""
        return self.vcov.copy()

    @cached_property
    def advice(self) -> tuple[str, ...]:
        """What should be looked at: too few imputations for the largest fmi."""
        if not self.rule.knows_missing_information:
            return ()
        return tuple(too_few_imputations(self.fixed, self.m))

    def diagnostics(self, cv: float = 0.05, conf_level: float = 0.95) -> Diagnostics:
        """Say how far the results depend on these m imputations.

        Parameters
        ----------
        cv : float
            Wanted coefficient of variation of standard errors over repeated imputation.
        conf_level : float
            Of the fmi's intervals.

        Returns
        -------
        Diagnostics
            `coefficients` (fmi with interval, Monte Carlo errors by jackknife, imputations needed)
            and `advice`, which is warned of, too; `fits` is None. The errors are of the estimates
            as they were given, not exponentiated.

        References
        ----------
        von Hippel (2020), Sociological Methods and Research 49, 699-718 (interval of the fmi, and
        the two-stage rule for m); White, Royston and Wood (2011), Statistics in Medicine 30,
        377-399 (Monte Carlo errors).
        """
        for text in self.advice:
            warnings.warn(text, RBridgeWarning, stacklevel=2)
        return diagnose(
            self.sets, self.fixed, self.rule, self.complete_df, self.advice, cv, conf_level
        )

    def tidy(self) -> pd.DataFrame:
        """Put the estimates into the frame that fits have, too.

        Returns
        -------
        DataFrame
            effect ("fixed"), group (missing), term, estimate, std_error, statistic.

        See Also
        --------
        PooledMerMod.tidy : With the random part.
        """
        table = self.fixed[["term", "estimate", "std_error", "statistic"]].copy()
        table.insert(0, "effect", "fixed")
        table.insert(1, "group", None)
        return checked(table, "tidy")

    def _recorded(self) -> tuple[dict[str, Any], Tables, Tables]:
        names = ("model", "m", "kind", "conf_level", "exponentiate", "advice")
        dfcom = self.dfcom.to_dict() if isinstance(self.dfcom, pd.Series) else self.dfcom
        facts = {name: getattr(self, name) for name in names} | {"dfcom": dfcom}
        ready: Tables = {
            "fixed": lambda: self.fixed,
            "vcov": lambda: with_terms(self.vcov),
            "tidy": self.tidy,
        }
        return facts, ready, {"diagnostics": lambda: self.diagnostics().coefficients}

    def table_column(self, dfcom: Any = None, conf_level: float | None = None) -> ModelColumn:
        """Return what a table shows of the estimates; see `PooledMerMod.table_column`."""
        del dfcom
        check_same_level(conf_level, self.conf_level)
        knows = self.rule.knows_missing_information
        return ModelColumn(
            response="",
            fixed=lambda: fixed_columns(self.fixed),
            conf_level=self.conf_level,
            inference=self.rule.short_name,
            m=self.m,
            fmi=float(self.fixed["fmi"].max()) if knows else None,
            are_ratios=self.exponentiate,
        )

    def summary(self) -> Printed:
        """Write the pooled estimates as text."""
        return Printed.of(self._lines())

    def _lines(self) -> Iterator[str]:
        yield estimates_title(self)
        if self.rule.uses_dfcom:
            low, high = self.complete_df.min(), self.complete_df.max()
            shown = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            yield f"Degrees of freedom of complete data: {shown}"
        yield f"\nEstimates ({100 * self.conf_level:g}% intervals):"
        yield from fixed_lines(self.fixed, self.rule)
        note = self.fixed.attrs.get("note", "")
        yield from note_lines([*([note] if note else []), *self.advice])

    def __repr__(self) -> str:
        of = f"{self.model}; " if self.model else ""
        return f"<PooledEstimates: {of}{self.m} sets of {len(self.fixed)} estimates>"

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return estimates_html(self)
