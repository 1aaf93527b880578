"""m fits of one model: a sequence of them, their pooled tables, and what each had to say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import pandas as pd

from ..base.glossary import beside, checked
from ..base.hooks import Hook
from ..base.records import Recorded, Tables
from ..base.text import Printed
from ..data.imputed_data import ImputedData
from ..errors import ArgumentError, RBridgeError
from ..exchange.r_written import write_objects
from ..exchange.trusted import Trust
from ..fits.fitted_model import stacked
from ..inference.mermod import MerMod, fits_of_file
from ..inference.model_column import HasTableColumn, ModelColumn
from ..inference.predictions import predict_fits
from ..mertools import MerToolsTables
from ..pooling import rule_for
from .pooled_mermod import PooledMerMod
from .pooling_fits import pool_fits
from .printing import fit_line

__all__ = ["MerModList"]


@dataclass(frozen=True, eq=False)
class MerModList(Sequence[MerMod], Recorded, HasTableColumn):
    """Fits of one model to the data sets of an `ImputedData`.

    ``fits[0]`` is a `MerMod`, a slice a `MerModList`; the accessors pool by name of term and
    level, or, with ``by_imputation=True``, put the fits' tables under each other.

    Attributes
    ----------
    fits : tuple of MerMod
        One per data set that could be fitted.
    data : ImputedData
        What they were fitted to.
    failed : dict
        The error of each data set (from 1) that could not be fitted (``errors="keep"``).

    See Also
    --------
    Lmer.fit : Makes these.
    PooledMerMod : The pooled model, which `pool` gives.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
    >>> imp = rb.AmeliaImputer(m=2, idvars=["schid", "meanses"]).impute(holes, seed=1)
    >>> fits = rb.Lmer("mathach ~ ses + (1 | schid)").fit(imp)
    >>> len(fits), fits.names
    (2, ('imp1', 'imp2'))
    >>> fits.fixef(by_imputation=True).shape
    (4, 3)
    """

    fits: tuple[MerMod, ...]
    data: ImputedData = field(repr=False)
    failed: Mapping[int, RBridgeError] = field(default_factory=dict)
    plot = Hook("plots")  # pooled.plot.forest() is rb.plot.forest(pooled)

    # -- R's files -----------------------------------------------------------------------

    @classmethod
    def from_r(cls, path: Any, trust: Trust = False, data: ImputedData | None = None) -> MerModList:
        """Read models that lme4 fitted to several data sets in R from a file of ``saveRDS``.

        Parameters
        ----------
        path : path
            Of the file: a list of models, or an object of class mira (``with(mids, lmer(...))``).
        trust : bool or "despite CVE-2024-27322"
            Whether you trust whoever made the file; see `MerMod.from_r`.
        data : ImputedData, optional
            What they were fitted to, as `MerMod.from_r` takes it of one model; without it, the rows
            and columns that the models hold.

        Returns
        -------
        MerModList
            In the order of the file.

        Raises
        ------
        ArgumentError
            It is not trusted, it holds something else, or `data` are of another number, or aren't
            what a model was fitted to: with the imputation, and the column that differs.
        RBridgeError
            R can't read it, or this R is too old for it.
        MissingPathError
            There is no such file.

        See Also
        --------
        MerMod.from_r : Reads one model.
        MerModList.to_r : Writes such files.

        Examples
        --------
        >>> import tempfile
        >>> import rbridge_mi as rb
        >>> imp = rb.BootstrapImputer(m=2).impute(rb.load_hsb().head(400), seed=1)
        >>> fits = rb.Lmer("mathach ~ ses + (1 | schid)").fit(imp)
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = fits.to_r(folder.name + "/fits.rds")
        >>> rb.MerModList.from_r(path, trust="despite CVE-2024-27322", data=imp) == fits
        True
        >>> folder.cleanup()
        """
        if data is not None and not isinstance(data, ImputedData):
            raise ArgumentError(f"data must be the ImputedData of the models, not {data!r}.")
        fits = fits_of_file(path, trust, "MerModList.from_r", None if data is None else list(data))
        numbered = tuple(replace(fit, imputation=i) for i, fit in enumerate(fits, start=1))
        return cls(numbered, ImputedData.from_frames(_held(fits)) if data is None else data)

    def to_r(self, path: Any) -> Path:
        """Write the fitted R objects to a file, a list for ``readRDS(path)``.

        Parameters
        ----------
        path : path
            Of the file, such as "fits.rds"; one that is there is replaced.

        Returns
        -------
        Path
            Of the file.

        Raises
        ------
        ArgumentError
            The R objects aren't here, as in fits that were loaded without them.
        MissingPathError
            There is no such folder.

        See Also
        --------
        MerModList.from_r : Reads such files.

        Notes
        -----
        In R, ``mice::pool(mice::as.mira(fits))`` and ``mitml::testEstimates(fits)`` pool them.
        """
        return write_objects(path, [fit.r for fit in self.fits])

    # -- a sequence ----------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.fits)

    def __iter__(self) -> Iterator[MerMod]:
        return iter(self.fits)

    @overload
    def __getitem__(self, i: int | str) -> MerMod: ...
    @overload
    def __getitem__(self, i: slice) -> MerModList: ...
    def __getitem__(self, i: int | str | slice) -> MerMod | MerModList:
        if isinstance(i, slice):
            return MerModList(self.fits[i], self.data, {})
        if isinstance(i, str):
            if i not in self.names:
                raise KeyError(f"{i!r}: the fits are {', '.join(self.names)}")
            return self.fits[self.names.index(i)]
        return self.fits[i]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fits, imp1, imp2, ..., by the numbers of their data sets."""
        return tuple(f"imp{fit.imputation}" for fit in self.fits)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MerModList):
            return NotImplemented
        return self.fits == other.fits

    __hash__ = None  # type: ignore[assignment]

    # -- pooled --------------------------------------------------------------------------

    def pool(
        self,
        dfcom: Any = None,
        conf_level: float = 0.95,
        vcov: Literal["model", "kenward-roger"] = "model",
        exponentiate: bool = False,
    ) -> PooledMerMod:
        """Pool the fits by Rubin's rules or, if of bootstrap samples, by their spread.

        Parameters
        ----------
        dfcom : {"residual", "satterthwaite", "kenward-roger"} or float, optional
            Degrees of freedom that the data would leave, had nothing been missing. "residual" (the
            default, but for models without a scale, such as binomial ones, whose default is
            infinite), as in mice: nobs minus all parameters, too many where there are few groups.
            "satterthwaite" and "kenward-roger": per coefficient, by lmerTest and pbkrtest, the mean
            over the fits; standard errors stay lme4's unless `vcov` says otherwise. Kenward and
            Roger's take time and memory that grow with the square of nobs, and are for REML: of
            fits by ML they are those of refits by it, with a warning. Or a number; ``math.inf``
            gives Rubin's (1987).
        conf_level : float
            Of the intervals.
        vcov : {"model", "kenward-roger"}
            Covariance matrices of the fits' coefficients: lme4's, or Kenward and Roger's, larger in
            small samples (``pbkrtest::vcovAdj``; for linear models by REML). All that is asked of
            the pooled model has them. Usual with ``dfcom="kenward-roger"``.

        exponentiate : bool
            Give odds or rate ratios (of logit or log links; hazard ratios of cloglog): estimates
            and intervals of `fixed` and `contrast` are exponentiated, standard errors multiplied
            by the ratio, as in broom.mixed (``mice::summary.mipo`` leaves those).

        Returns
        -------
        PooledMerMod
            Estimates, their inference, and what can be asked of all fits together.

        Raises
        ------
        ArgumentError
            One fit only, or a dfcom, conf_level or vcov that can't be.
        PoolingError
            Fits that differ in their coefficients or covariance parameters.
        RPackageError
            Where R lacks lmerTest or pbkrtest, and dfcom or vcov needs it.

        See Also
        --------
        compare : Tests a model against one nested in it.
        compare_estimates : One fit beside the pooled ones.

        References
        ----------
        Rubin (1987), Multiple Imputation for Nonresponse in Surveys, eqs. 3.1.2 to 3.1.10;
        Barnard and Rubin (1999), Biometrika 86, eq. 3; Kuznetsova, Brockhoff and Christensen
        (2017), Journal of Statistical Software 82(13) (Satterthwaite); Kenward and Roger (1997),
        Biometrics 53, 983-997.
        """
        return pool_fits(
            self.fits, self.data.kind, dfcom, conf_level, self.data, vcov, exponentiate
        )

    @property
    def pooled_by_default(self) -> PooledMerMod:
        """The default of `pool`, computed once: the pooled tables are copies of its tables."""
        return self._pooled

    @cached_property
    def _pooled(self) -> PooledMerMod:
        return self.pool()

    def fixef(self, by_imputation: bool = False) -> pd.DataFrame:
        """Average the fixed effects over the fits.

        Parameters
        ----------
        by_imputation : bool
            Each fit's, under each other, instead of the pooled ones.

        Returns
        -------
        DataFrame
            term, estimate.

        See Also
        --------
        MerModList.pool : With standard errors and tests.
        MerMod.fixef : Of one fit.
        """
        if by_imputation:
            return self._stack(MerMod.fixef, "fixef")
        return checked(self._pooled.fixed[["term", "estimate"]].copy(), "fixef")

    def ranef(self, by_imputation: bool = False) -> pd.DataFrame:
        """Pool the random effects: condval is their mean, condsd the total standard deviation.

        The total variance is the mean conditional variance plus (1 + 1/m) times the variance
        between the fits.

        Parameters
        ----------
        by_imputation : bool
            Each fit's, under each other, instead of the pooled ones.

        Returns
        -------
        DataFrame
            grpvar, term, grp, condval, condsd.

        See Also
        --------
        PooledMerMod.ranef_intervals : With intervals.
        MerMod.ranef : Of one fit.
        """
        if by_imputation:
            return self._stack(MerMod.ranef, "ranef")
        return self._pooled.ranef.copy()

    def varcorr(self, by_imputation: bool = False) -> pd.DataFrame:
        """Average the covariance matrices of the random effects.

        Parameters
        ----------
        by_imputation : bool
            Each fit's, under each other, instead of the pooled ones.

        Returns
        -------
        DataFrame
            grp, var1, var2, vcov, sdcor: SDs and correlations are those of the mean matrices.

        See Also
        --------
        MerMod.varcorr : Of one fit.
        """
        if by_imputation:
            return self._stack(MerMod.varcorr, "varcorr")
        return self._pooled.varcorr.copy()

    def vcov(self, by_imputation: bool = False) -> pd.DataFrame:
        """Pool the covariance of the fixed effects: mean vcov + (1 + 1/m) covariance between.

        Parameters
        ----------
        by_imputation : bool
            Each fit's, under each other, instead of the pooled ones.

        Returns
        -------
        DataFrame
            Terms x terms. With `by_imputation`: imputation, term, a column per term. A term keeps
            its name: if it is called imputation or term, the column that is about all terms gets an
            underscore (``term_``).

        See Also
        --------
        MerMod.vcov : Of one fit.
        """
        if not by_imputation:
            return self._pooled.vcov.copy()
        matrices = [fit.vcov() for fit in self.fits]
        keys = [pd.DataFrame({"term": matrix.index}) for matrix in matrices]
        return beside(self._numbered(keys), stacked(matrices))

    def coef(self, by_imputation: bool = False) -> pd.DataFrame:
        """Average fixed plus random effects per level over the fits, matched by level.

        Parameters
        ----------
        by_imputation : bool
            Each fit's, under each other, instead of the pooled ones.

        Returns
        -------
        DataFrame
            Columns as in `MerMod.coef`; with `by_imputation`, imputation before them.

        See Also
        --------
        MerMod.coef : Of one fit.
        """
        parts = [fit.coef_parts() for fit in self.fits]
        keys, values = stacked([x[0] for x in parts]), stacked([x[1] for x in parts])
        if by_imputation:
            return beside(self._numbered([x[0] for x in parts]), values)
        level = keys.groupby(["grpvar", "grp"], sort=False).ngroup()
        return beside(keys[~level.duplicated()], values.groupby(level).mean())

    def model_info(self, by_imputation: bool = True) -> pd.DataFrame:
        """List what merTools' ``modelInfo`` says, one row per fit: there is no valid pooled AIC.

        Parameters
        ----------
        by_imputation : bool
            False is refused.

        Returns
        -------
        DataFrame
            imputation, n_obs, n_lvls, aic, sigma.

        Raises
        ------
        ArgumentError
            With ``by_imputation=False``.

        See Also
        --------
        MerMod.model_info : Of one fit.
        """
        _only_by_imputation(by_imputation, "model_info")
        return self._stack(MerMod.model_info, "model_info")

    def glance(self, by_imputation: bool = True) -> pd.DataFrame:
        """List the fits' likelihoods and criteria, one row per fit: they have no pooled value.

        Parameters
        ----------
        by_imputation : bool
            False is refused.

        Returns
        -------
        DataFrame
            imputation, and the columns of `MerMod.glance`.

        Raises
        ------
        ArgumentError
            With ``by_imputation=False``.

        See Also
        --------
        MerMod.glance : Of one fit.
        """
        _only_by_imputation(by_imputation, "glance")
        return self._stack(MerMod.glance)

    def tidy(self, by_imputation: bool = False) -> pd.DataFrame:
        """Put all estimates into one frame.

        Parameters
        ----------
        by_imputation : bool
            Each fit's, under each other, instead of the pooled ones.

        Returns
        -------
        DataFrame
            effect, group, term, estimate, std_error, statistic.

        See Also
        --------
        MerModList.pool : With other rules and degrees of freedom.
        MerMod.tidy : Of one fit.
        """
        return self._stack(MerMod.tidy, "tidy") if by_imputation else self._pooled.tidy()

    def r2(self, by_imputation: bool = False) -> pd.DataFrame:
        """Average Nakagawa's R2 and intraclass correlations over the fits.

        Parameters
        ----------
        by_imputation : bool
            Each fit's, under each other, instead of the pooled ones.

        Returns
        -------
        DataFrame
            The columns of `MerMod.r2`.

        See Also
        --------
        MerMod.r2 : Of one fit.
        """
        return self._stack(MerMod.r2, "r2") if by_imputation else self._pooled.r2.copy()

    def convergence(self) -> pd.DataFrame:
        """List which fits are singular, and what lme4 and its optimizer reported of them.

        Returns
        -------
        DataFrame
            One row per fit: imputation, is_singular, messages.

        See Also
        --------
        PooledMerMod.diagnostics : With how far the results depend on the imputations.
        MerMod.convergence : Of one fit.
        """
        return self._stack(MerMod.convergence, "convergence")

    def all_fit(self, maxfun: int = 100_000) -> pd.DataFrame:
        """Fit the model again by every optimizer, to each data set.

        Parameters
        ----------
        maxfun : int
            How many evaluations each may take.

        Returns
        -------
        DataFrame
            imputation, and the columns of `MerMod.all_fit`.

        See Also
        --------
        convergence : What was reported of these fits.
        MerMod.all_fit : Of one fit.
        """
        return self._stack(lambda fit: fit.all_fit(maxfun))

    def fitted(self, by_imputation: bool = False) -> pd.Series[float] | pd.DataFrame:
        """Average the fitted values over the fits.

        Parameters
        ----------
        by_imputation : bool
            A frame with a column per fit instead.

        Returns
        -------
        Series or DataFrame
            By the data's index.

        Raises
        ------
        ArgumentError
            For bootstrap samples, which have other rows each.

        See Also
        --------
        MerModList.predict : For new data.
        MerMod.fitted : Of one fit.
        """
        return self._columns(MerMod.fitted, by_imputation)

    def residuals(self, by_imputation: bool = False) -> pd.Series[float] | pd.DataFrame:
        """Average the residuals over the fits.

        Parameters
        ----------
        by_imputation : bool
            A frame with a column per fit instead.

        Returns
        -------
        Series or DataFrame
            By the data's index.

        Raises
        ------
        ArgumentError
            For bootstrap samples, which have other rows each.

        See Also
        --------
        MerModList.fitted : The fitted values.
        MerMod.residuals : Of one fit.
        """
        return self._columns(MerMod.residuals, by_imputation)

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        re_form: str | None = None,
        interval: Literal["confidence", "prediction"] | None = None,
        conf_level: float = 0.95,
        allow_new_levels: bool = False,
        dfcom: float | str | None = None,
        type: Literal["link", "response"] = "link",
    ) -> pd.DataFrame:
        """Pool predictions over the fits, with standard errors.

        A prediction's variance within a fit is that of fixed and random effects together, given
        the covariance parameters (Henderson's mixed model equations); (1 + 1/m) times the variance
        between the fits' predictions is added (Rubin 1987, eqs. 3.1.2 to 3.1.10).

        Parameters
        ----------
        newdata : DataFrame, optional
            With the columns of the formula; by default the (completed) rows of each fit.
        re_form : str, optional
            Random effects to include: all by default; "NA" or "~0" for none; or a formula such as
            "~(1 | schid)".
        interval : {"confidence", "prediction"}, optional
            "confidence" for the mean response given the random effects included; "prediction" for
            a new observation: the residual variance is added, and that of the random effects that
            `re_form` leaves out. In fits with ``weights="w"`` the residual variance is sigma^2 / w,
            and newdata must have the column w; weights given as an array are not known for newdata:
            this is refused.
        conf_level : float
            Of the intervals.
        allow_new_levels : bool
            Levels that the fits didn't see have a random effect of zero, with its whole variance.
        dfcom : {"residual", "satterthwaite", "kenward-roger"} or float, optional
            As in `pool`; the residual ones by default, which are too many where there are few
            groups. "satterthwaite": per row, of the whole variance that the interval has, 2 v^2 /
            var(v), by the delta method from lmerTest's sampling covariance of theta and sigma; for
            the fixed part alone they are lmerTest's. "kenward-roger": per row, by
            pbkrtest, for the fixed part alone (``re_form="NA"``, and no new observation).
        type : {"link", "response"}
            Of a generalised model: on the scale of the link, as R's ``predict`` is by default, or
            on that of the response. Predictions are pooled on the scale of the link, and taken
            back last: estimates and limits by the inverse link, standard errors by the delta
            method.

        Returns
        -------
        DataFrame
            estimate, std_error (of a new observation, with interval="prediction"), df, and
            conf_low, conf_high or pred_low, pred_high; by newdata's index. Missing where a row of
            newdata has missing values. `estimate` is the mean of R's ``predict(fit, newdata,
            re.form, allow.new.levels)``, of generalised models on the scale of the link. There
            the coefficients' covariance is ``vcov(fit)``, and the random effects' that at the
            weights of their conditional modes.

        Raises
        ------
        ArgumentError
            Arguments that can't be right; ``interval="prediction"`` of a generalised model.
        PredictionError
            newdata that lack a column, or have new levels without `allow_new_levels`.

        See Also
        --------
        MerMod.predict : R's predictions, of one fit.

        References
        ----------
        Henderson (1975), Biometrics 31, 423-447; Bates, Mächler, Bolker and Walker (2015), Journal
        of Statistical Software 67, eqs. 18 and 54; Rubin (1987); Satterthwaite (1946), Biometrics
        Bulletin 2, 110-114; Kenward and Roger (1997), Biometrics 53, 983-997.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
        >>> imp = rb.AmeliaImputer(m=3, idvars=["schid", "meanses"]).impute(holes, seed=1)
        >>> fits = rb.Lmer("mathach ~ ses + (1 | schid)").fit(imp)
        >>> list(fits.predict(imp[0].head(2), interval="prediction").columns)
        ['estimate', 'std_error', 'df', 'pred_low', 'pred_high']
        """
        if len(self.fits) < 2:
            raise ArgumentError(
                "predict pools, and one fit shows nothing of the variance between imputations: ask "
                "`fits[0].predict(...)`."
            )
        return predict_fits(
            self.fits, rule_for(self.data.kind), newdata, re_form, interval, conf_level,
            allow_new_levels, dfcom, type=type,
        )  # fmt: skip

    @property
    def mertools(self) -> MerToolsTables:
        """The tables of merTools for these fits, its mistakes included: to match an old R report.

        Raises
        ------
        PoolingError
            Where a data set could not be fitted, as merTools stops there.
        """
        return MerToolsTables(self.fits, tuple(self.failed))

    # -- as plain values ---------------------------------------------------------------------

    def _recorded(self) -> tuple[dict[str, Any], Tables, Tables]:
        fit = self.fits[0]
        facts = {
            "formula": fit.formula, "family": fit.family, "link": fit.link, "m": len(self),
            "kind": self.data.kind, "failed": {str(i): str(x) for i, x in self.failed.items()},
        }  # fmt: skip
        ready: Tables = {
            "tidy_by_imputation": lambda: self.tidy(by_imputation=True),
            "varcorr_by_imputation": lambda: self.varcorr(by_imputation=True),
            "glance": self.glance,
            "convergence": self.convergence,
        }
        return facts, ready, {"r2_by_imputation": lambda: self.r2(by_imputation=True)}

    # -- reports -------------------------------------------------------------------------

    def table_column(self, dfcom: Any = None, conf_level: float | None = None) -> ModelColumn:
        """Return what a table shows of the pooled fits; see `PooledMerMod.table_column`."""
        return self._pooled.table_column(dfcom, conf_level)

    def summary(self) -> Printed:
        """Write the pooled model in lme4's layout, then one line per fit.

        One fit by itself is not pooled: its own summary, and a line that says so.

        Returns
        -------
        Printed
            A text.

        See Also
        --------
        PooledMerMod.summary : After `pool` with other rules.
        """
        if len(self.fits) == 1:
            lines = [str(self.fits[0].summary()), "", "There is one fit, and nothing is pooled."]
        else:
            lines = [str(self._pooled.summary())]
        lines += ["", "Fits:"]
        for fit in self.fits:
            lines.append(fit_line(fit))
            lines += [f"    {text}" for text in fit.messages]
        for i, error in self.failed.items():
            lines.append(f"  imp{i}: not fitted: {error}")
        return Printed.of(lines)

    def __getstate__(self) -> dict[str, Any]:
        # The pooled model that the accessors share is computed again when it is needed.
        return {x.name: getattr(self, x.name) for x in fields(self)}

    def __repr__(self) -> str:
        lost = f", {len(self.failed)} failed" if self.failed else ""
        return f"<MerModList: {len(self)} fits of {self.fits[0].formula}{lost}>"

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    # -- plumbing ------------------------------------------------------------------------

    def _stack(
        self, table: Callable[[MerMod], pd.DataFrame], name: str | None = None
    ) -> pd.DataFrame:
        frame = self._numbered([table(fit) for fit in self.fits])
        return frame if name is None else checked(frame, name, by_imputation=True)

    def _numbered(self, tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
        """Put the fits' tables under each other, each with the number of its data set."""
        numbers = np.array([fit.imputation for fit in self.fits])
        frame = stacked(tables)
        frame.insert(0, "imputation", np.repeat(numbers, [len(x) for x in tables]))
        return frame

    def _columns(
        self, values: Callable[[MerMod], pd.Series[float]], by_imputation: bool
    ) -> pd.Series[float] | pd.DataFrame:
        rule_for(self.data.kind).check_same_rows("ask the fits one by one (`fits[0].fitted()`)")
        frame = pd.concat([values(fit).rename(f"imp{fit.imputation}") for fit in self.fits], axis=1)
        if by_imputation:
            return frame
        return frame.mean(axis=1).rename(values(self.fits[0]).name)


def _only_by_imputation(by_imputation: bool, what: str) -> None:
    if not by_imputation:
        raise ArgumentError(
            f"{what} has one row per fit: likelihoods and criteria have no valid pooled value, so "
            "that by_imputation=False is not to be had."
        )


def _held(fits: Sequence[MerMod]) -> list[pd.DataFrame]:
    """Return the frames that models hold of their data."""
    frames = []
    for fit in fits:
        frame = fit.r.call("columns_of_fit").value
        frames.append(frame.set_axis(pd.Index(fit.r.call("frame_labels").value), axis=0))
    return frames
