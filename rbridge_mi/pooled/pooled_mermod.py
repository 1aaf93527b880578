"""The pooled model: m fits as one answer, matched by name of term and level."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..base.glossary import checked
from ..base.hooks import Hook
from ..base.records import Recorded, Tables, with_terms
from ..base.text import Printed
from ..data.imputed_data import ImputedData
from ..errors import ArgumentError, NoValueError, RBridgeWarning
from ..fits.fitted_model import random_terms
from ..inference.advice import advise
from ..inference.diagnostics import Diagnostics, diagnose
from ..inference.linear_combinations import (
    CoefficientSets,
    coefficient_table,
    estimate_contrasts,
    hypothesis_test,
)
from ..inference.marginal_means import check_trend, marginal_means
from ..inference.mean_contrasts import MeanContrast
from ..inference.mermod import MerMod
from ..inference.model_column import (
    HasTableColumn,
    ModelColumn,
    check_same_level,
    fixed_columns,
    response_of,
)
from ..inference.random_part import pool_r2, pool_random, ranef_intervals
from ..inference.ratios import as_ratios
from ..inference.statsmodels_names import MixedModelNames
from ..inference.term_tests import pooled_terms
from ..pooling import PoolingRule, rule_for
from .methods_text import write_methods
from .notebook import pooled_html
from .printing import summary_lines

__all__ = ["PooledMerMod"]

# Tables that R is asked for when they are first needed. If they are there, a pickle has them too,
# since it may be read where there is no R.
_ASKED_OF_R = ("random", "r2")


@dataclass(frozen=True, eq=False)
class PooledMerMod(MixedModelNames, Recorded, HasTableColumn):
    """What m fits say together.

    Attributes
    ----------
    fixed : DataFrame
        term, estimate, std_error, statistic, df, p_value, conf_low, conf_high, ubar, b, t, riv,
        ``lambda_``, fmi; one row per coefficient, in the model's order.
    vcov : DataFrame
        Total covariance matrix of the fixed effects, terms x terms.
    varcorr : DataFrame
        grp, var1, var2, vcov, sdcor: mean covariance matrices, SDs and correlations from them.
    ranef : DataFrame
        grpvar, term, grp, condval (mean), condsd (total standard deviation).
    sigma : float
        Square root of the mean residual variance, in the units of the response; missing (nan) if
        the model has no scale.
    icc : Series
        Per grouping factor: its intercept variance as a share of all intercept variances and the
        residual one (with random slopes: where these terms are zero). In a binomial model with a
        logit, probit or cloglog link the residual variance is that of the latent variable: pi^2 /
        3, 1, pi^2 / 6. Missing for other generalised models, whose `r2` has them.
    m : int
        Number of fits.
    kind : {"imputation", "bootstrap"}
        Bootstrap samples are pooled by the spread of their estimates: ubar, riv, ``lambda_`` and
        fmi have no meaning there and are missing.
    conf_level : float
        Coverage of the intervals.
    formula : str
        As R writes it.
    nobs : tuple of int
        Rows of each fit.
    ngrps : dict
        Number of levels per grouping factor, of the first fit.
    dfcom : str or float
        Which degrees of freedom complete data would leave.
    complete_df : Series
        These, per coefficient.
    vcov_method : {"model", "kenward-roger"}
        Which covariance matrices the fits have: their own, or Kenward and Roger's.
    exponentiate : bool
        Whether estimates and intervals of `fixed`, `tidy` and `contrast` are ratios (odds, rates),
        with standard errors by the delta method. All else is on the scale of the link: statistic,
        ubar, b, t, `vcov`, `test`.
    fits : tuple of MerMod
        What was pooled.
    data : ImputedData or None
        The data sets that they were fitted to.
    notes : tuple of str
        Further lines of the summary.

    See Also
    --------
    MerModList.pool : Makes these.

    Notes
    -----
    `random`, `r2`, `diagnostics`, `test`, `contrast`, `anova`, `emmeans` and `emtrends` are
    computed when asked for; `random`, `r2`, `anova`, `emmeans`, `emtrends` and what is of small
    samples need R.
    """

    fixed: pd.DataFrame
    vcov: pd.DataFrame
    varcorr: pd.DataFrame
    ranef: pd.DataFrame
    sigma: float
    icc: pd.Series[float]
    m: int
    kind: Literal["imputation", "bootstrap"]
    conf_level: float
    formula: str
    nobs: tuple[int, ...]
    ngrps: Mapping[str, int]
    dfcom: Any
    complete_df: pd.Series[float] = field(repr=False)
    fits: tuple[MerMod, ...] = field(repr=False)
    data: ImputedData | None = field(default=None, repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)
    vcov_method: Literal["model", "kenward-roger"] = "model"
    exponentiate: bool = False
    plot = Hook("plots")  # pooled.plot.forest() is rb.plot.forest(pooled)

    @property
    def family(self) -> str:
        """Family of the response's distribution, such as "gaussian"."""
        return self.fits[0].family

    @property
    def link(self) -> str:
        """Link between the linear predictor and the response's mean, such as "identity"."""
        return self.fits[0].link

    @property
    def has_scale(self) -> bool:
        """Whether the model has a residual standard deviation."""
        return self.fits[0].has_scale

    @property
    def rule(self) -> PoolingRule:
        """How the fits were pooled: by Rubin's rules, or by their spread."""
        return rule_for(self.kind)

    # -- coefficients ----------------------------------------------------------------------

    @property
    def _coefficients(self) -> CoefficientSets:
        terms = list(self.fixed["term"])
        return CoefficientSets.of_fits(self.fits, terms, self.dfcom, self.vcov_method)

    def test(self, hypothesis: Any, rhs: Any = None) -> pd.DataFrame:
        """Test linear hypotheses about the coefficients, all at once, by D1.

        Parameters
        ----------
        hypothesis : str, sequence of str, or array-like
            Such as ``"ses = meanses"``, ``"female = 0, ses = 2"`` or ``"ses - meanses"`` (= 0):
            terms exactly as in `fixed`, R's backticks included (```school size` = 0``,
            ``"factor(t)2 = 0"``); or a matrix with a column per coefficient. Of terms that begin
            alike, the longest that stands there is meant; a term in backticks or quotes is itself,
            whatever characters it holds: ``"'poly(x, 2)1' - 'a b' = 0"``.
        rhs : float or array-like, optional
            Right-hand sides of a matrix; 0 by default.

        Returns
        -------
        DataFrame
            One row: method, statistic (F), df1, df2, p_value, riv (the average relative increase
            in variance). One hypothesis is the squared t of Barnard and Rubin (1999), several are
            tested by D1 with Reiter's (2007) degrees of freedom; where those have no value,
            ``attrs["note"]`` says what was used, and a warning too. In R:
            ``mitml::testConstraints(fits, constraints, df.com)``.

        Raises
        ------
        ArgumentError
            A hypothesis that can't be read, or that follows from the others.
        PoolingError
            For bootstrap samples, for which D1 does not hold.

        See Also
        --------
        contrast : Estimates the combinations one by one.
        compare : Tests a model against one nested in it.

        References
        ----------
        Li, Raghunathan and Rubin (1991), JASA 86, 1065-1073, eqs. 1.11 to 1.17; Reiter (2007),
        Biometrika 94, p. 504; Barnard and Rubin (1999), Biometrika 86, eq. 3.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
        >>> imp = rb.AmeliaImputer(m=3, idvars=["schid", "meanses"]).impute(holes, seed=1)
        >>> pooled = rb.Lmer("mathach ~ ses + meanses + (1 | schid)").fit(imp).pool()
        >>> pooled.test("ses = meanses").shape
        (1, 6)
        """
        return hypothesis_test(self._coefficients, self.rule, hypothesis, rhs)

    def contrast(
        self,
        contrast: Any,
        rhs: Any = None,
        conf_level: float | None = None,
        adjust: str | None = None,
    ) -> pd.DataFrame:
        """Estimate linear combinations of the coefficients, one row each.

        Parameters
        ----------
        contrast : str, sequence of str, or array-like
            As in `test`, with terms written as there; of ``"ses = meanses"`` the estimate is
            ses - meanses.
        rhs : float or array-like, optional
            Subtracted from the rows of a matrix.
        conf_level : float, optional
            That of the pooled model by default.
        adjust : str, optional
            How p values are adjusted for several combinations, in R ``stats::p.adjust``: "none"
            (the default), "bonferroni", "sidak", "holm", "hochberg", "hommel", "BH" (or "fdr"),
            "BY". Intervals are then Sidak's for "sidak" and Bonferroni's for all others, as
            in emmeans: the other methods have none.

        Returns
        -------
        DataFrame
            The columns of `fixed`, with the combination as term (Rubin 1987, eqs. 3.1.2 to 3.1.10,
            on the combination's m estimates). In R: ``mice::pool.scalar`` on them.
            ``attrs["note"]`` says of several how they were adjusted.

        Raises
        ------
        ArgumentError
            A combination that can't be read, or an adjustment that there isn't.

        See Also
        --------
        test : Tests combinations together.
        emmeans : Means and contrasts of factors' levels.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
        >>> imp = rb.AmeliaImputer(m=3, idvars=["schid", "meanses"]).impute(holes, seed=1)
        >>> pooled = rb.Lmer("mathach ~ ses + meanses + (1 | schid)").fit(imp).pool()
        >>> pooled.contrast("ses - meanses")["term"].tolist()
        ['ses - meanses']
        """
        level = self.conf_level if conf_level is None else conf_level
        table = estimate_contrasts(self._coefficients, self.rule, level, contrast, rhs, adjust)
        return as_ratios(table, self.link) if self.exponentiate else table

    def emmeans(
        self,
        specs: str | Sequence[str],
        contrast: MeanContrast | None = None,
        at: Mapping[str, Any] | None = None,
        conf_level: float | None = None,
        *,
        adjust: str | None = None,
        **arguments: Any,
    ) -> pd.DataFrame:
        """Estimated marginal means, or contrasts of them: ``emmeans::emmeans(fit, specs, at=...)``.

        emmeans makes a reference grid for every fit, from the data of that fit (numeric covariates
        stand at their mean there, unless given in `at`); the m estimates are pooled by Rubin's
        rules.

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
            That of the pooled model by default; R's name, ``level``, will do too.
        adjust : {"none", "tukey", "sidak", "bonferroni", "holm", ...}, optional
            How p values and intervals are adjusted for several comparisons; by default as R does:
            Tukey's for "pairwise", Dunnett's for "trt.vs.ctrl", none for means. Computed by emmeans
            from the pooled estimates and degrees of freedom.
        **arguments : Any
            Under R's names or with underscores for dots. Of ``emmeans()``: ``weights``, ``offset``,
            ``by``, ``cov_keep``, ``cov_reduce``, ``submodel``, ``rg_limit``. Of its ``summary()``,
            asked of the pooled means: ``type`` ("response" goes back from a transformed response),
            ``bias_adjust``, ``null``, ``side``, ``delta``. Of the contrast: such as ``ref``.

        Returns
        -------
        DataFrame
            A column per factor in specs (or ``contrast``), then the columns of `fixed` from
            estimate on. A factor keeps its name: where one of those columns has it too (``t``,
            say), that column gets an underscore (``t_``). ``attrs["note"]`` says how they were
            adjusted, and on which scale they are; after ``type="response"`` ubar, b and t are those
            of the standard errors there, by the delta method. Means that can't be estimated
            (emmeans' nonEst) are missing, with a warning. An ``offset=`` of the model is part of
            the means, as in R.

        Raises
        ------
        ArgumentError
            An argument that emmeans doesn't have, or that would have no effect here.
        RPackageError
            Where R has no emmeans.

        See Also
        --------
        contrast : Combinations of coefficients.

        References
        ----------
        Searle, Speed and Milliken (1980), The American Statistician 34, 216-221; Rubin (1987), eqs.
        3.1.2 to 3.1.10.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
        >>> imp = rb.AmeliaImputer(m=3, idvars=["schid", "meanses"]).impute(holes, seed=1)
        >>> pooled = rb.Lmer("mathach ~ ses + factor(female) + (1 | schid)").fit(imp).pool()
        >>> pooled.emmeans("female", contrast="pairwise", adjust="none").shape
        (1, 14)
        """
        return marginal_means(
            self.fits, self.rule, self.dfcom, conf_level, specs, contrast, at, adjust, arguments,
            default_level=self.conf_level, vcov=self.vcov_method,
        )  # fmt: skip

    def emtrends(
        self,
        specs: str | Sequence[str],
        var: str,
        contrast: MeanContrast | None = None,
        at: Mapping[str, Any] | None = None,
        conf_level: float | None = None,
        *,
        adjust: str | None = None,
        **arguments: Any,
    ) -> pd.DataFrame:
        """Estimated slopes of a covariate, or contrasts: ``emmeans::emtrends(fit, specs, var)``.

        Parameters
        ----------
        specs : str or list of str
            Factors (or covariates given in `at`) to show slopes for; "1" for one over all.
        var : str
            The covariate: a numeric column of the model's fixed part.
        contrast : str or mapping, optional
            As in `emmeans`: "pairwise", ...
        at : mapping, optional
            Values of covariates in the grid.
        conf_level : float, optional
            That of the pooled model by default; R's name, ``level``, will do too.
        adjust : str, optional
            As in `emmeans`.
        **arguments : Any
            Others of `emmeans` but ``offset``, ``type``, ``bias_adjust`` and ``sigma``; and of
            ``emtrends()``: ``delta_var`` (the step of its difference quotient, by default 0.001 of
            the covariate's range) and ``max_degree``.

        Returns
        -------
        DataFrame
            A column per factor in specs (or ``contrast``), then the columns of `fixed` from
            estimate on, as in `emmeans`: slopes of the linear predictor, in its units per unit of
            the covariate.

        Raises
        ------
        ArgumentError
            An argument that emtrends doesn't have, or that would have no effect here.
        RPackageError
            Where R has no emmeans.

        See Also
        --------
        emmeans : The means.
        MerMod.emtrends : Of one fit.

        References
        ----------
        Searle, Speed and Milliken (1980), The American Statistician 34, 216-221; Rubin (1987), eqs.
        3.1.2 to 3.1.10.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
        >>> imp = rb.AmeliaImputer(m=3, idvars=["schid", "meanses"]).impute(holes, seed=1)
        >>> pooled = rb.Lmer("mathach ~ ses * factor(female) + (1 | schid)").fit(imp).pool()
        >>> pooled.emtrends("female", "ses").shape
        (2, 14)
        """
        return marginal_means(
            self.fits, self.rule, self.dfcom, conf_level, specs, contrast, at, adjust, arguments,
            default_level=self.conf_level, vcov=self.vcov_method, trend=check_trend(var),
        )  # fmt: skip

    def anova(self, type: int | str = 3) -> pd.DataFrame:
        """Test each term of the fixed part, by D1.

        Of a linear model the hypotheses are lmerTest's of that type (``lmerTest::show_tests``), of
        a generalised one those of car's type III: that the term's coefficients are 0, as the
        model's own contrasts define them.

        Parameters
        ----------
        type : {3, 2, 1, "III", "II", "I"}
            Of the hypotheses. Those of types 1 and 2 depend on the data, and can be pooled only if
            they are the same in every fit, as they are where no imputed column is in the fixed
            part.

        Returns
        -------
        DataFrame
            A row per term: term, method (D1), statistic (F), df1, df2, p_value, riv; see `test` for
            the rule. What had to be done differently stands in ``attrs["note"]``, and is warned of.

        Raises
        ------
        ArgumentError
            Another type; type 1 or 2 for a generalised model.
        PoolingError
            Hypotheses that differ between the fits; bootstrap samples, for which D1 doesn't hold.
        RPackageError
            Where R lacks lmerTest.

        See Also
        --------
        MerMod.anova : Of one fit.
        test : Of any hypotheses.
        compare : Tests a model against one without the term.

        References
        ----------
        Kuznetsova, Brockhoff and Christensen (2017), Journal of Statistical Software 82(13); Li,
        Raghunathan and Rubin (1991), JASA 86, 1065-1073; Reiter (2007), Biometrika 94, p. 504.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
        >>> imp = rb.AmeliaImputer(m=5, idvars=["schid", "meanses"]).impute(holes, seed=1)
        >>> pooled = rb.Lmer("mathach ~ ses * factor(female) + (1 | schid)").fit(imp).pool()
        >>> pooled.anova()["term"].tolist()
        ['ses', 'factor(female)', 'ses:factor(female)']
        """
        return pooled_terms(self.fits, self._coefficients, self.rule, type)

    # -- under statsmodels' names ------------------------------------------------------------

    def estimate_table(self, conf_level: float | None = None) -> pd.DataFrame:
        """Return the table that `params` and its like read; see `MixedModelNames`."""
        if not self.exponentiate and conf_level in (None, self.conf_level):
            return self.fixed
        level = self.conf_level if conf_level is None else conf_level
        return coefficient_table(self._coefficients, self.rule, level)

    def cov_params(self) -> pd.DataFrame:
        """Return `vcov`, under statsmodels' name."""
        return self.vcov.copy()

    def random_effect_table(self) -> pd.DataFrame:
        """Return `ranef`, which `random_effects` reads."""
        return self.ranef

    @property
    def fittedvalues(self) -> pd.Series[float]:
        """Mean of the fits' fitted values, by the data's index; `NoValueError` of bootstraps."""
        return self._mean_over_fits("fittedvalues")

    @property
    def resid(self) -> pd.Series[float]:
        """Mean of the fits' residuals, by the data's index; `NoValueError` of bootstraps."""
        return self._mean_over_fits("resid")

    def _mean_over_fits(self, name: str) -> pd.Series[float]:
        try:
            self.rule.check_same_rows(f"ask the fits one by one (`pooled.fits[0].{name}`)")
        except ArgumentError as error:
            raise NoValueError(f"{name} of a pooled model: {error}") from None
        return pd.concat([getattr(fit, name) for fit in self.fits], axis=1).mean(axis=1)

    @property
    def llf(self) -> float:
        """Of a pooled model there is none: a `NoValueError`, which says what to use."""
        raise NoValueError(
            "llf: likelihoods have no valid pooled value. `fits.glance(by_imputation=True)` has "
            "each fit's, and `rb.compare` tests nested models by pooled likelihood ratios (D3)."
        )

    # -- the random part -------------------------------------------------------------------

    @cached_property
    def random(self) -> pd.DataFrame:
        """SDs, correlations, sigma and ICCs with standard errors and intervals.

        Every fit's own sampling variance comes from the curvature of its (restricted) deviance at
        the optimum, twice the inverse of the second derivatives in theta and log sigma (of a
        generalised model: in theta and the coefficients; a negative binomial's theta is taken as
        known), and is pooled by Rubin's rules on the log (SDs), Fisher's z (correlations) or logit
        (ICC) scale; estimates are those of the mean covariance matrices (`varcorr`, `icc`).

        A parameter on its boundary in any fit has neither standard error nor interval, and
        `n_boundary` counts those fits; the other parameters' curvature is taken with it held there.
        What is on the boundary is decided by ``lme4::isSingular``, a diagonal theta below 1e-4: the
        SD of that effect, if all of it is below, otherwise its correlations with the effects before
        it, which determine it. So `n_boundary` is 0 everywhere just where no fit `is_singular`.

        Returns
        -------
        DataFrame
            group, term (as in `tidy`; "icc"), estimate, std_error (by the delta method), df,
            conf_low, conf_high, fmi, n_boundary. The df are Rubin's (1987, eq. 3.1.6), for
            complete data without end.

        Raises
        ------
        ArgumentError
            For a generalised model with a scale, such as a Gamma model.

        Notes
        -----
        Bootstrap samples are pooled by their spread on the same scales. Where some of them lie on
        the boundary, as with few groups many do, standard errors are the spread of the values as
        they are, and intervals are percentiles (Efron and Tibshirani 1993, section 13.3), with no
        df; these need m of at least 2 / (1 - conf_level) - 1, 39 for 95%, and a warning says where
        there are none. Correlations have none if an SD is 0 in any sample.

        References
        ----------
        Bates, Mächler, Bolker and Walker (2015), Journal of Statistical Software 67, eqs. 31 to 41
        (the deviance); Rubin (1987), eqs. 3.1.2 to 3.1.10; Fisher (1921), Metron 1; Efron and
        Tibshirani (1993), An Introduction to the Bootstrap.
        """
        return pool_random(self.fits, self.rule, self.varcorr, self.icc, self.conf_level)

    @cached_property
    def r2(self) -> pd.DataFrame:
        """Nakagawa's R2 and intraclass correlations: the means of the fits' values.

        Returns
        -------
        DataFrame
            One row; see `MerMod.r2`. ``fits.r2(by_imputation=True)`` has each fit's.

        Raises
        ------
        RCallError
            A generalised model whose residual variance on the scale of the link isn't known.
        """
        return pool_r2(pd.concat([fit.r2() for fit in self.fits], ignore_index=True))

    def ranef_intervals(self, conf_level: float | None = None) -> pd.DataFrame:
        """Add intervals to the random effects: `ranef`, conf_low and conf_high.

        Normal intervals from the total standard deviation: mean conditional variance plus
        (1 + 1/m) times the variance between imputations (Rubin 1987, eqs. 3.1.2 to 3.1.5), levels
        matched by name. They hold for one level at a time.

        Parameters
        ----------
        conf_level : float, optional
            That of the pooled model by default.

        Returns
        -------
        DataFrame
            grpvar, term, grp, condval, condsd, conf_low, conf_high.

        Raises
        ------
        ArgumentError
            A conf_level that can't be.

        See Also
        --------
        MerModList.ranef : The random effects of the same fits.
        """
        level = self.conf_level if conf_level is None else conf_level
        return ranef_intervals(self.ranef, level)

    # -- how good are the imputations --------------------------------------------------------

    @cached_property
    def advice(self) -> tuple[str, ...]:
        """What should be looked at in fits and imputations, each with its remedy.

        Too few imputations for the largest fmi; random slopes although the imputation knew no
        groups; a group-level column imputed row by row; a derived column not recomputed; bootstrap
        samples that don't keep the model's groups whole.
        """
        return advise(self.fits, self.data, self.fixed)

    def diagnostics(self, cv: float = 0.05, conf_level: float = 0.95) -> Diagnostics:
        """Say how far the results depend on these m imputations, and how each fit went.

        Parameters
        ----------
        cv : float
            Wanted coefficient of variation of standard errors over repeated imputation.
        conf_level : float
            Of the fmi's intervals.

        Returns
        -------
        Diagnostics
            `coefficients` (fmi with interval, Monte Carlo errors by jackknife, imputations needed),
            `fits` (convergence, singularity, messages) and `advice`, which is warned of, too.

        See Also
        --------
        MerModList.convergence : What lme4 reported of each fit.

        References
        ----------
        von Hippel (2020), Sociological Methods and Research 49, 699-718 (interval of the fmi, and
        the two-stage rule for m); White, Royston and Wood (2011), Statistics in Medicine 30,
        377-399 (Monte Carlo errors).
        """
        for text in self.advice:
            warnings.warn(text, RBridgeWarning, stacklevel=2)
        return diagnose(
            self._coefficients, self.fixed, self.rule, self.complete_df, self.advice, cv,
            conf_level, self.fits,
        )  # fmt: skip

    # -- as plain values ---------------------------------------------------------------------

    def _recorded(self) -> tuple[dict[str, Any], Tables, Tables]:
        names = (
            "formula", "family", "link", "m", "kind", "nobs", "ngrps", "sigma", "conf_level",
            "dfcom", "vcov_method", "exponentiate", "notes", "advice",
        )  # fmt: skip
        facts = {name: getattr(self, name) for name in names}
        ready: Tables = {
            "fixed": lambda: self.fixed,
            "vcov": lambda: with_terms(self.vcov),
            "varcorr": lambda: self.varcorr,
            "ranef": lambda: self.ranef,
            "icc": lambda: self.icc.rename_axis("grp").reset_index(),
            "tidy": self.tidy,
        }
        asked: Tables = {
            "random": lambda: self.random,
            "r2": lambda: self.r2,
            "anova": self.anova,
            "diagnostics": lambda: self.diagnostics().coefficients,
        }
        return facts, ready, asked

    # -- reports -----------------------------------------------------------------------------

    def table_column(self, dfcom: Any = None, conf_level: float | None = None) -> ModelColumn:
        """Return what a table shows of the pooled model; see `table`.

        Parameters
        ----------
        dfcom : object
            Without effect: the model was pooled with its own.
        conf_level : float, optional
            Has to be the pooled model's.

        Returns
        -------
        ModelColumn
            Coefficients, random part, and statistics.

        Raises
        ------
        ArgumentError
            Another conf_level.

        See Also
        --------
        table : Puts several of these side by side.
        """
        del dfcom
        check_same_level(conf_level, self.conf_level)
        knows = self.rule.knows_missing_information
        return ModelColumn(
            response=response_of(self.formula),
            fixed=lambda: fixed_columns(self.fixed),
            conf_level=self.conf_level,
            inference=self.rule.short_name,
            varcorr=self.varcorr,
            icc=self.icc,
            ngrps=self.ngrps,
            nobs=self.nobs,
            r2=lambda: self.r2,
            m=self.m,
            fmi=float(self.fixed["fmi"].max()) if knows else None,
            fit=self.fits[0],
            are_ratios=self.exponentiate,
        )

    def tidy(self) -> pd.DataFrame:
        """Put all estimates into one frame, as a single fit's ``tidy()``.

        Returns
        -------
        DataFrame
            effect, group, term, estimate, std_error, statistic.

        See Also
        --------
        MerMod.tidy : Of one fit.
        """
        fixed = self.fixed[["term", "estimate", "std_error", "statistic"]].copy()
        fixed.insert(0, "effect", "fixed")
        fixed.insert(1, "group", None)
        rows = random_terms(self.varcorr)
        random = pd.DataFrame(
            {
                "effect": "ran_pars",
                "group": [x[0] for x in rows],
                "term": [x[1] for x in rows],
                "estimate": [x[2] for x in rows],
                "std_error": np.nan,
                "statistic": np.nan,
            }
        )
        return checked(pd.concat([fixed, random], ignore_index=True), "tidy")

    def summary(self) -> Printed:
        """Write the pooled model in the layout of lme4's summary.

        Returns
        -------
        Printed
            A text.

        See Also
        --------
        MerModList.summary : The same, with a line per fit.
        """
        return Printed.of(summary_lines(self))

    def methods_text(
        self, listwise: MerMod | None = None, sensitivity: pd.DataFrame | None = None
    ) -> Printed:
        """Write a methods section on missing data, from what was done.

        It says what guidelines ask for: amount and patterns of missing values, what was assumed,
        by which software with which settings they were imputed, how often, from which variables
        each, derived variables, convergence and a comparison of imputed and observed values, the
        model, how estimates were pooled, complete cases, and sensitivity. What only the author can
        know stands in brackets, as in "[AUTHOR: why values are missing, ...]": the reasons, whether
        missing at random is plausible, what explains a difference.

        Parameters
        ----------
        listwise : MerMod, optional
            The same model fitted to the data with holes, for the paragraph on complete cases.
        sensitivity : DataFrame, optional
            What `delta_sensitivity` gave, for the paragraph on sensitivity.

        Returns
        -------
        Printed
            Paragraphs of plain text, and the references that they cite. Versions are those that
            are installed where it is written.

        Raises
        ------
        ArgumentError
            A listwise that is no fit of this model, or a sensitivity that is another table.

        See Also
        --------
        compare_estimates : The numbers of the comparison with complete cases.
        table : The results.

        References
        ----------
        van Buuren (2018), Flexible Imputation of Missing Data, 2nd ed., section 12.2; Lee et al.
        (2021), Journal of Clinical Epidemiology 134, 79-88 (TARMOS); Sterne et al. (2009), BMJ 338,
        b2393; von Elm et al. (2007), PLoS Medicine 4, e296 (STROBE, items 12c, 12e and 14b).

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
        >>> imp = rb.AmeliaImputer(m=3, idvars=["schid", "meanses"]).impute(holes, seed=1)
        >>> model = rb.Lmer("mathach ~ ses + (1 | schid)")
        >>> text = model.fit(imp).pool().methods_text(listwise=model.fit(holes))
        >>> "Values were missing in ses (359, 5.0%); the other variables were complete." in text
        True
        """
        return write_methods(self, listwise, sensitivity)

    def __getstate__(self) -> dict[str, Any]:
        state = {x.name: getattr(self, x.name) for x in fields(self)}
        return state | {x: vars(self)[x] for x in _ASKED_OF_R if x in vars(self)}

    def __repr__(self) -> str:
        return f"<PooledMerMod: {self.formula}; {self.m} fits>"

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return pooled_html(self)
