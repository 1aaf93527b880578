"""`MerToolsTables`: merTools' tables and printouts as methods, each with what is wrong about it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from ..base.text import Printed
from ..errors import PoolingError
from ..fits.fitted_model import FittedModel
from . import numbers, printouts

__all__ = ["MerToolsTables"]


@dataclass(frozen=True, eq=False, repr=False)
class MerToolsTables:
    """merTools 0.5.2's answers for a list of fits, for reports that must match it.

    Users have it as ``fits.mertools``. None of these numbers is the right one to report; each
    method says why. merTools does not know about bootstrap samples: it treats them as imputations,
    and so do these methods.

    Rows sorted by term are in the order of R's locale, as dplyr 1.0 sorts them. Only this order is
    asked of R; where there is no R it is by code point, as in dplyr since 1.1.

    Parameters
    ----------
    fits : sequence of FittedModel
        One fit per imputation.
    failed : collection of int
        Numbers of the data sets that could not be fitted.

    Raises
    ------
    PoolingError
        If a fit is missing: merTools then stops, without a list.

    See Also
    --------
    rbridge_mi.MerModList.pool : The pooled model, by Rubin's rules.
    rbridge_mi.MerModList.summary : The printed summary to use instead.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
    >>> imp = rb.AmeliaImputer(m=3, idvars=["schid", "meanses"]).impute(holes, seed=1)
    >>> tables = rb.Lmer("mathach ~ ses + (1 + ses | schid)").fit(imp).mertools
    >>> list(tables.model_rand_eff_stats()["term"])
    ['cor__(Intercept).ses', 'sd__(Intercept)', 'sd__Observation', 'sd__ses']
    >>> tables.ranef().shape
    (320, 4)
    >>> tables.model_info().shape
    (3, 5)
    """

    fits: Sequence[FittedModel]
    failed: Collection[int] = ()

    def __post_init__(self) -> None:
        if self.failed:
            failed = ", ".join(map(str, self.failed))
            raise PoolingError(
                f"merTools fails here: imputation {failed} could not be fitted, and its "
                "lmerModList then stops without a list. `fits[:].mertools` leaves it out."
            )
        if not self.fits:
            raise PoolingError("merTools fails here: the list holds no fits.")

    def __repr__(self) -> str:
        return f"<MerToolsTables: {len(self.fits)} fits of {self.fits[0].formula}>"

    # -- tables -----------------------------------------------------------------------------

    def fixef(self) -> pd.DataFrame:
        """Mean fixed effects: term, estimate. In R: ``fixef(list)``.

        Wrong: coefficients are added by position. Where a data set drops one, others are added to
        it, under the first names of full length.

        Returns
        -------
        DataFrame
            One row per coefficient, in the model's order; units of the response per unit of term.

        See Also
        --------
        rbridge_mi.MerModList.fixef : Use this instead. It matches by name, and is the same where
            all fits have the same terms.
        """
        return numbers.fixef(self.fits)

    def varcorr(self) -> pd.DataFrame:
        """Mean SDs and mean correlations of the random effects. In R: ``VarCorr(list)``.

        Wrong: SDs and correlations are averaged, not covariances, so that they need not belong to
        any covariance matrix; one fit with a variance of zero makes a correlation missing; there
        is no residual; a term with one coefficient is always called (Intercept), as in
        ``(0 + x | g)``; and groups are named in the order of the grouping factors, so that a
        second term on the same factor (``||``) shifts the names and leaves the last without one.

        Returns
        -------
        DataFrame
            grp, var1, var2, sdcor: per term its SDs, in units of the response per unit of var1
            (var2 missing), then its correlations. A missing grp is R's NA.

        Raises
        ------
        PoolingError
            If the fits' terms differ in their number of coefficients: merTools stops there.

        See Also
        --------
        rbridge_mi.MerModList.varcorr : Use this instead.
        """
        return numbers.varcorr(self.fits)

    def ranef(self) -> pd.DataFrame:
        """Random effects of the first fit, divided by m. In R: ``ranef(list)``.

        Wrong: these are not means. Only the first fit is used, and its effects are m times too
        small. With several grouping factors, the first one's table stands under every name.

        Returns
        -------
        DataFrame
            grpvar, term, grp, condval; in units of the response per unit of the term.

        See Also
        --------
        rbridge_mi.MerModList.ranef : Use this instead.
        """
        return numbers.ranef(self.fits)

    def model_fixed_eff(self) -> pd.DataFrame:
        """Return fixed effects with merTools' standard errors. In R: ``modelFixedEff(list)``.

        Wrong: std_error is the mean *standard error* plus (1 + 1/m) times the *variance* between
        the fits (with divisor m), without a root. The sum depends on the units of the term and of
        the response: a rescaled predictor has another statistic. df comes from the same mixture,
        and does not depend on the number of rows. A term that some fits lack still counts as if m
        fits had it.

        Returns
        -------
        DataFrame
            term, estimate, std_error, statistic, df; sorted by term. With one fit df is NaN.

        Warns
        -----
        RBridgeWarning
            Where merTools warns that the variance between the fits is very small.

        See Also
        --------
        rbridge_mi.PooledMerMod.fixed : Use this instead: ``fits.pool().fixed``.
        """
        return numbers.model_fixed_eff(self.fits, stacklevel=3)

    def model_rand_eff_stats(self) -> pd.DataFrame:
        """SDs and correlations, with their spread. In R: ``modelRandEffStats(list)``.

        Wrong: the means are those of `varcorr`, and std_error is the standard deviation between
        the fits, which does not contain the sampling error within each.

        Returns
        -------
        DataFrame
            term, group, estimate, std_error; sorted by term and group; SDs in units of the
            response per unit of the term. With one fit std_error is missing.

        See Also
        --------
        rbridge_mi.MerModList.varcorr : Use this instead, for the estimates.
        rbridge_mi.PooledMerMod.random : Use this instead, for standard errors and intervals.
        rbridge_mi.MerMod.confint : Intervals of one fit.
        """
        return numbers.model_rand_eff_stats(self.fits)

    def model_info(self) -> pd.DataFrame:
        """One row per fit, as the vignette shows them. In R: ``lapply(list, modelInfo)``.

        Misleading: n_lvls is the number of grouping *factors*, not of their levels (those are in
        ``fits[0].ngrps``), and aic is that of the restricted likelihood, which can't be compared
        between different fixed effects.

        Returns
        -------
        DataFrame
            imputation, n_obs, n_lvls, aic, sigma (in the units of the response).

        See Also
        --------
        rbridge_mi.MerModList.glance : Use this instead.
        """
        return numbers.model_info(self.fits)

    # -- printouts --------------------------------------------------------------------------

    def summary(self, digits: int = 3) -> Printed:
        """Return the text of ``print(summary(list), digits)``.

        Wrong: its tables are `model_fixed_eff` and `varcorr`; call, method and number of rows are
        those of the first fit; AIC is a mean, which has no meaning.

        The call is the one that ``lmerModList(formula, data)`` leaves, with ``REML = FALSE`` after
        ML, or ``glmerModList(formula, data, family)``, which shows the family as ``..1``. A
        `MerMod` does not record other arguments: R would show ``control = ..1`` and the like (and
        merTools stops at weights, offset and subset). The residual SD of a model without a scale
        is 1 there.

        Parameters
        ----------
        digits : int
            Decimals.

        Returns
        -------
        Printed
            A `str` with R's line breaks.

        Raises
        ------
        PoolingError
            As `varcorr`.

        See Also
        --------
        rbridge_mi.MerModList.summary : Use this instead.
        """
        return Printed.of(printouts.summary_lines(self.fits, digits))

    def fastdisp(self, digits: int = 2, detail: bool = False) -> Printed:
        """Return the text of ``fastdisp(list, digits, detail)``.

        Wrong: its coefficients are those of `model_fixed_eff`. The SDs of `model_rand_eff_stats`
        are filled in by alphabetical order of their terms, beside names in the model's order:
        those of two slopes, or of two groups, may be swapped. The correlations are the first
        fit's alone; AIC is a mean. A model without a residual gets a row for it, too: R fills the
        column by taking its first SDs again.

        Parameters
        ----------
        digits : int
            Decimals.
        detail : bool
            With statistic, df and p value.

        Returns
        -------
        Printed
            A `str` with R's line breaks.

        Raises
        ------
        PoolingError
            If merTools has not as many SDs as rows (a term's name holds "cor_", or the fits'
            terms differ).

        See Also
        --------
        rbridge_mi.MerModList.summary : Use this instead.
        """
        return Printed.of(printouts.fastdisp_lines(self.fits, digits, detail))
