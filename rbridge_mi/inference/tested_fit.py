"""One fit, with what is asked of its fixed effects: estimates with p values, tests, means, slopes.

It is what m fits are asked, with m = 1: no variance between imputations is added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..base.arguments import check_level
from ..base.glossary import TABLES, checked
from ..errors import ArgumentError
from ..fits.asking import ask
from ..fits.fitted_model import FittedModel
from ..pooling import joint, rule_for
from ..pooling.tails import f_upper
from .degrees_of_freedom import dfcom_of_one, vcov_of_one
from .hypothesis_text import linear_rows
from .linear_combinations import CoefficientSets, estimate_contrasts, joint_test
from .marginal_means import check_trend, marginal_means
from .mean_contrasts import MeanContrast
from .ratios import as_ratios

__all__ = ["TestedFit"]

# One fit is pooled like m of them.
_RULE = rule_for("imputation")
_LMER_DF = {"satterthwaite": "satterthwaite", "kenward-roger": "kenward-roger",
            "asymptotic": float("inf")}  # fmt: skip


class TestedFit(FittedModel):
    """A fit whose coefficients can be tested; see `MerMod`."""

    __test__ = False  # no test, whatever its name

    def fixed(
        self, dfcom: Any = None, conf_level: float = 0.95, *, exponentiate: bool = False
    ) -> pd.DataFrame:
        """Return the fixed effects with their p values, in R ``lmerTest``'s ``summary(m)``.

        Parameters
        ----------
        dfcom : {"satterthwaite", "kenward-roger", "residual"} or float, optional
            Degrees of freedom. "satterthwaite", the default for linear models: per coefficient, by
            lmerTest. "kenward-roger": by pbkrtest, with Kenward and Roger's standard errors, as
            lmerTest's ``summary(m, ddf = "Kenward-Roger")`` has them; for fits by REML, in time and
            memory that grow with the square of nobs. "residual": nobs minus all parameters. Or a
            number; ``math.inf`` gives normal tests and intervals, and is the default for models
            that are not linear, as in lme4's summary.
        conf_level : float
            Of the intervals, those of t with these degrees of freedom.
        exponentiate : bool
            Give odds ratios or rate ratios (of the logit or log link; also hazard ratios of
            cloglog, and ratios of a response whose logarithm was modelled), as broom.mixed's
            ``tidy(m, exponentiate = TRUE)``: estimates and ends of the intervals are exponentiated,
            standard errors multiplied by the ratio (the delta method); statistic and p value stay
            those of the coefficient.

        Returns
        -------
        DataFrame
            Columns term, estimate, std_error, statistic, df, p_value, conf_low, conf_high.

        Raises
        ------
        ArgumentError
            A dfcom or conf_level that can't be; small-sample ones for a model that is not linear;
            Kenward and Roger's for a fit by maximum likelihood; exponentiate for a link whose
            coefficients are no logarithms.
        RPackageError
            Where R lacks lmerTest or pbkrtest, and dfcom needs it.

        See Also
        --------
        MerMod.fixef : Estimates alone.
        MerMod.tidy : With the random part.
        MerModList.pool : Of several fits.

        References
        ----------
        Kuznetsova, Brockhoff and Christensen (2017), Journal of Statistical Software 82(13)
        (Satterthwaite); Kenward and Roger (1997), Biometrics 53, 983-997.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> fit = rb.Lmer("mathach ~ meanses + (1 | schid)").fit(rb.load_hsb())
        >>> fit.fixed()[["term", "df"]].round(0)
                  term     df
        0  (Intercept)  154.0
        1      meanses  153.0
        """
        check_level(conf_level)
        sets = self._coefficient_sets(dfcom)
        pooled = _RULE.scalars(
            sets.estimates,
            sets.variances,
            dfcom=sets.complete_df(np.eye(len(sets.terms))),
            conf_level=conf_level,
        )
        frame = pd.DataFrame({"term": sets.terms, **pooled.columns()})
        frame = checked(frame[list(TABLES["estimates"])], "estimates")
        return as_ratios(frame, self.link) if exponentiate else frame

    def test(self, hypothesis: Any, rhs: Any = None, dfcom: Any = None) -> pd.DataFrame:
        """Test linear hypotheses about the coefficients together, in R ``lmerTest::contestMD``.

        Parameters
        ----------
        hypothesis : str, sequence of str, or array-like
            As in `PooledMerMod.test`: ``"ses = meanses"``, ``"female = 0, ses = 2"``, or a matrix
            with a column per coefficient.
        rhs : float or array-like, optional
            Right-hand sides of a matrix; 0 by default.
        dfcom : str or float, optional
            As in `fixed`; "kenward-roger" is ``pbkrtest::KRmodcomp``.

        Returns
        -------
        DataFrame
            One row: statistic (F; Kenward and Roger's with their scaling), df1, df2, p_value. One
            hypothesis is the squared t of `contrast`; with infinite df2, the statistic times df1 is
            Wald's chi-squared.

        Raises
        ------
        ArgumentError
            A hypothesis that can't be read, or that follows from the others (lmerTest drops those);
            a dfcom that can't be.
        RPackageError
            Where R lacks lmerTest or pbkrtest, and dfcom needs it.

        See Also
        --------
        contrast : Estimates the combinations one by one.
        MerMod.anova : Tests the model's terms.
        PooledMerMod.test : Of several fits.

        References
        ----------
        Kuznetsova, Brockhoff and Christensen (2017), Journal of Statistical Software 82(13);
        Kenward and Roger (1997), Biometrics 53, 983-997.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> fit = rb.Lmer("mathach ~ ses + meanses + (1 | schid)").fit(rb.load_hsb())
        >>> fit.test("ses = 0, meanses = 0")["df1"].tolist()
        [2]
        """
        sets = self._coefficient_sets(dfcom)
        matrix, right, labels = linear_rows(hypothesis, sets.terms, rhs)
        tested = joint_test(sets, matrix, right)
        scale = 1.0
        if len(matrix) > 1 and vcov_of_one(dfcom) == "kenward-roger":
            scale = float(ask(self, "f_scaling", matrix)[0])
        frame = _f_row(tested, scale)
        frame.attrs["hypothesis"] = "; ".join(labels)
        return checked(frame, "test_one")

    def contrast(
        self,
        contrast: Any,
        rhs: Any = None,
        dfcom: Any = None,
        conf_level: float = 0.95,
        adjust: str | None = None,
    ) -> pd.DataFrame:
        """Estimate linear combinations of the coefficients, in R ``lmerTest::contest1D``.

        Parameters
        ----------
        contrast : str, sequence of str, or array-like
            As in `PooledMerMod.contrast`.
        rhs : float or array-like, optional
            Subtracted from the rows of a matrix. lmerTest subtracts it in the statistic only.
        dfcom : str or float, optional
            As in `fixed`.
        conf_level : float
            Of the intervals.
        adjust : str, optional
            How p values are adjusted for several combinations, in R ``stats::p.adjust``: "none"
            (the default), "bonferroni", "sidak", "holm", "hochberg", "hommel", "BH" (or "fdr"),
            "BY". Intervals are then Sidak's for "sidak" and Bonferroni's for all others, as
            in emmeans: the other methods have none.

        Returns
        -------
        DataFrame
            The columns of `fixed`, with the combination as term. ``attrs["note"]`` says of several
            how they were adjusted.

        Raises
        ------
        ArgumentError
            A combination that can't be read; an adjustment that there isn't; a dfcom or conf_level
            that can't be.
        RPackageError
            Where R lacks lmerTest or pbkrtest, and dfcom needs it.

        See Also
        --------
        test : Tests combinations together.
        emmeans : Means and contrasts of factors' levels.
        PooledMerMod.contrast : Of several fits.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> fit = rb.Lmer("mathach ~ ses + meanses + (1 | schid)").fit(rb.load_hsb())
        >>> fit.contrast(["ses", "meanses - ses"], adjust="holm")["term"].tolist()
        ['ses', 'meanses - ses']
        """
        sets = self._coefficient_sets(dfcom)
        table = estimate_contrasts(sets, _RULE, conf_level, contrast, rhs, adjust)
        return checked(table[list(TABLES["estimates"])], "estimates")

    def emmeans(
        self,
        specs: str | Sequence[str],
        contrast: MeanContrast | None = None,
        at: Mapping[str, Any] | None = None,
        conf_level: float | None = None,
        *,
        adjust: str | None = None,
        dfcom: Any = None,
        lmer_df: str | None = None,
        **arguments: Any,
    ) -> pd.DataFrame:
        """Estimated marginal means, or contrasts of them: ``emmeans::emmeans(m, specs, at=...)``.

        Parameters
        ----------
        specs : str or list of str
            Factors (or covariates given in `at`) to show means for; "1" for one mean over all.
        contrast : str or mapping, optional
            A method of ``emmeans::contrast``: "pairwise", "trt.vs.ctrl", "poly", ...; or
            coefficients of the means by name, in R ``contrast(means, list(...))``:
            ``{"last - first": [-1, 0, 1]}`` in the order of the means, or, of one factor, by level,
            ``{"C - A": {"C": 1, "A": -1}}``, where a level that isn't named has 0. They are taken
            within each level of ``by``, and are not adjusted by default.
        at : mapping, optional
            Values of covariates in the grid.
        conf_level : float, optional
            0.95 by default; R's name, ``level``, will do too.
        adjust : {"none", "tukey", "sidak", "bonferroni", "holm", ...}, optional
            As in `PooledMerMod.emmeans`: by default as R does. Intervals are Bonferroni's for
            methods that have none, such as "holm" and "fdr".
        dfcom : str or float, optional
            As in `fixed`, "satterthwaite" for a linear model where nothing is said; emmeans' own
            default is "kenward-roger", whatever nobs up to 3000. Here there is no such limit.
        lmer_df : {"satterthwaite", "kenward-roger", "asymptotic"}, optional
            R's name of it: ``lmer.df``.
        **arguments : Any
            Others of ``emmeans()``, ``summary()`` and of the contrast, as in
            `PooledMerMod.emmeans`.

        Returns
        -------
        DataFrame
            A column per factor in specs (or ``contrast``), then estimate, std_error, statistic, df,
            p_value, conf_low, conf_high. ``attrs["note"]`` says how they were adjusted, and on
            which scale they are.

        Raises
        ------
        ArgumentError
            An argument that emmeans doesn't have, or that would have no effect here.
        RPackageError
            Where R lacks emmeans, or what dfcom needs.

        See Also
        --------
        emtrends : Slopes.
        contrast : Combinations of coefficients.
        PooledMerMod.emmeans : Of several fits.

        References
        ----------
        Searle, Speed and Milliken (1980), The American Statistician 34, 216-221.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> fit = rb.Lmer("mathach ~ ses + factor(female) + (1 | schid)").fit(rb.load_hsb())
        >>> fit.emmeans("female", contrast="pairwise")["contrast"].tolist()
        ['female0 - female1']
        """
        return self._marginal(
            None, specs, contrast, at, conf_level, adjust, dfcom, lmer_df, arguments
        )

    def emtrends(
        self,
        specs: str | Sequence[str],
        var: str,
        contrast: MeanContrast | None = None,
        at: Mapping[str, Any] | None = None,
        conf_level: float | None = None,
        *,
        adjust: str | None = None,
        dfcom: Any = None,
        lmer_df: str | None = None,
        **arguments: Any,
    ) -> pd.DataFrame:
        """Estimated slopes of a covariate, or contrasts: ``emmeans::emtrends(m, specs, var)``.

        Parameters
        ----------
        specs : str or list of str
            Factors (or covariates given in `at`) to show slopes for; "1" for one over all.
        var : str
            The covariate: a numeric column of the model's fixed part.
        contrast : str or mapping, optional
            As in `emmeans`.
        at : mapping, optional
            Values of covariates in the grid.
        conf_level : float, optional
            0.95 by default; R's name, ``level``, will do too.
        adjust : str, optional
            As in `emmeans`.
        dfcom : str or float, optional
            As in `emmeans`.
        lmer_df : {"satterthwaite", "kenward-roger", "asymptotic"}, optional
            R's name of it.
        **arguments : Any
            As in `PooledMerMod.emtrends`: ``delta_var``, ``max_degree``, and those of `emmeans`.

        Returns
        -------
        DataFrame
            The columns of `emmeans`; the estimate is a slope of the linear predictor, in its units
            per unit of the covariate.

        Raises
        ------
        ArgumentError
            An argument that emtrends doesn't have, or that would have no effect here.
        RPackageError
            Where R lacks emmeans, or what dfcom needs.

        See Also
        --------
        emmeans : Means.
        PooledMerMod.emtrends : Of several fits.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> fit = rb.Lmer("mathach ~ ses * factor(female) + (1 | schid)").fit(rb.load_hsb())
        >>> fit.emtrends("female", "ses").shape
        (2, 8)
        """
        return self._marginal(
            check_trend(var), specs, contrast, at, conf_level, adjust, dfcom, lmer_df, arguments
        )

    # -- helpers ---------------------------------------------------------------------------

    def _coefficient_sets(self, dfcom: Any) -> CoefficientSets:
        terms = list(self.beta.index)
        wanted = dfcom_of_one(self, dfcom)
        return CoefficientSets.of_fits([self], terms, wanted, vcov_of_one(wanted))

    def _marginal(
        self,
        trend: str | None,
        specs: str | Sequence[str],
        contrast: MeanContrast | None,
        at: Mapping[str, Any] | None,
        conf_level: float | None,
        adjust: str | None,
        dfcom: Any,
        lmer_df: str | None,
        arguments: Mapping[str, Any],
    ) -> pd.DataFrame:
        if lmer_df is not None:
            if dfcom is not None:
                raise ArgumentError("lmer_df is R's name of dfcom: give one of them.")
            if lmer_df not in _LMER_DF:
                raise ArgumentError(
                    f"lmer_df must be one of {', '.join(_LMER_DF)}, not {lmer_df!r}."
                )
            dfcom = _LMER_DF[lmer_df]
        wanted = dfcom_of_one(self, dfcom)
        return marginal_means(
            [self], _RULE, wanted, conf_level, specs, contrast, at, adjust, arguments,
            vcov=vcov_of_one(wanted), trend=trend,
        )  # fmt: skip


def _f_row(tested: joint.JointTest, scale: float) -> pd.DataFrame:
    statistic = tested.statistic * scale
    p_value = float(f_upper(statistic, tested.df1, tested.df2))
    row = {
        "statistic": [statistic], "df1": [tested.df1], "df2": [tested.df2], "p_value": [p_value],
    }  # fmt: skip
    return pd.DataFrame(row)
