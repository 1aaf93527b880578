"""One fit: its tables, and what can be asked of it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
import pandas as pd

from ..base.arguments import (
    check_count,
    check_known,
    check_level,
    check_newdata,
    check_seed,
    check_value,
    r_arguments,
    re_form_text,
)
from ..base.glossary import checked
from ..base.hooks import Hook
from ..base.paths import readable_file
from ..base.records import Recorded, Tables, with_terms
from ..errors import ArgumentError, RBridgeWarning, RWarning
from ..exchange.trusted import Trust, check_trust, read_objects
from ..fits.answers import Answers, Askable
from ..fits.asking import told
from ..fits.comparable import check_comparable
from ..fits.which_models import is_linear
from ..pooling import rule_for
from .degrees_of_freedom import dfcom_of_one, vcov_of_one
from .model_column import HasTableColumn, ModelColumn, column_of_fit
from .optimizers import all_fit
from .predictions import predict_fits, to_response
from .random_part import random_of_one
from .statsmodels_names import MixedModelNames
from .term_tests import table_of_terms
from .tested_fit import TestedFit

__all__ = ["MerMod", "check_parm", "fits_of_file"]

# Arguments of R's methods, by R's names: those that are passed on, and those that are refused, with
# the reason.
_OLD_NAMES = dict.fromkeys(("ReForm", "REForm", "REform"), "it is an old name of re_form")
_PREDICT = ("random.only", "newparams", "na.action", "type")
_NOT_PREDICT = {**_OLD_NAMES, "terms": "lme4 has not implemented it"}
_SIMULATE = (
    "use.u", "re.form", "newdata", "newparams", "allow.new.levels", "na.action", "cond.sim",
)  # fmt: skip
_NOT_SIMULATE = {
    **_OLD_NAMES,
    "family": "the fit has its family",
    **dict.fromkeys(
        ("formula", "weights", "offset"), "lme4 takes it only where it is given no fit"
    ),
}
_PARALLEL = ("parallel", "ncpus")
_CONFINT = {
    "profile": (
        "zeta", "alphamax", "maxpts", "delta", "delta.cutoff", "verbose", "devtol", "maxmult",
        "startmethod", "optimizer", "control", "prof.scale", *_PARALLEL,
    ),
    "Wald": (),
    "boot": ("nsim", "boot.type", "use.u", "re.form", "type", "verbose", *_PARALLEL),
}  # fmt: skip
_NOT_CONFINT = {
    "quiet": "nothing is printed here",
    "FUN": "it is an R function; `fit.r.call('lme4::bootMer', ...)` takes one",
    **dict.fromkeys(("which", "signames"), "confint gives it itself, from parm and oldNames"),
    **dict.fromkeys((".progress", "PBargs"), "it draws a progress bar"),
    "cl": "it is an R cluster",
}


class MerMod(TestedFit, MixedModelNames, Recorded, HasTableColumn):
    """A mixed model fitted by lme4; every number has the 64 bits that R gave it.

    What costs R time is fetched when first asked for, and kept in `answers`. A pickled fit holds
    all of it, so that it can be read where there is no R.

    Attributes
    ----------
    answers : Answers
        The fitted R object, and what it has answered so far.
    index : Index
        Of the frame that the model was fitted to.
    messages : tuple of str
        R's warnings and messages while fitting.
    imputation : int or None
        The data set (from 1) that it was fitted to, in a list of fits.

    See Also
    --------
    Lmer : Fits one to a frame.
    MerModList : The fits to m data sets.
    PooledMerMod : What they say together.
    """

    plot = Hook("plots")  # fit.plot.ranef() is rb.plot.ranef(fit)

    @classmethod
    def from_r(cls, path: Any, trust: Trust = False, data: pd.DataFrame | None = None) -> MerMod:
        """Read a model that lme4 fitted in R from a file that ``saveRDS`` wrote.

        Parameters
        ----------
        path : path
            Of the file.
        trust : bool or "despite CVE-2024-27322"
            Whether you trust whoever made the file: the object may hold any code, in its formula's
            environment for one. R before 4.4 runs code that a file holds while it reads it
            (CVE-2024-27322), so it is refused there, unless you say so.
        data : DataFrame, optional
            What it was fitted to, with the rows that the fit left out, or without them. It is
            needed for what R computes from the data, such as lmerTest's degrees of freedom and
            emmeans, where the file has no data and its model frame doesn't tell them either: of
            ``ns(x, 3)`` the frame has no x.

        Returns
        -------
        MerMod
            By lme4; a model that lmerTest fitted, too. Rows are named by R's row names.

        Raises
        ------
        ArgumentError
            It is not trusted, it holds something else, such as several models, or `data` aren't
            what it was fitted to, with the column that differs.
        RBridgeError
            R can't read it, or this R is too old for it.
        MissingPathError
            There is no such file.

        See Also
        --------
        MerMod.to_r : Writes such files.
        MerModList.from_r : Reads a list of models.

        Notes
        -----
        R looks the data of a fit up by name where the fit was made. Here its data are those saved
        with it, if its model frame can be computed from them, or those that the frame tells (x of
        ``log(x)``, ``scale(x)``, ``poly(x, 2)``); the name is looked up nowhere else.

        Examples
        --------
        >>> import tempfile
        >>> import rbridge_mi as rb
        >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = fit.to_r(folder.name + "/fit.rds")
        >>> rb.MerMod.from_r(path, trust="despite CVE-2024-27322") == fit
        True
        >>> folder.cleanup()
        """
        if data is not None and not isinstance(data, pd.DataFrame):
            raise ArgumentError(f"data must be a DataFrame, not {type(data).__name__}.")
        fits = fits_of_file(path, trust, "MerMod.from_r", None if data is None else [data])
        if len(fits) != 1:
            raise ArgumentError(f"{path} holds {len(fits)} models: MerModList.from_r reads them.")
        return fits[0]

    def r2(self) -> pd.DataFrame:
        """Return explained variance and intraclass correlations.

        In R: ``performance::r2_nakagawa(m)``, ``performance::icc(m)``.

        Returns
        -------
        DataFrame
            One row. Columns r2_marginal (fixed part), r2_conditional (fixed and random part),
            icc_adjusted (random over random and residual variance), icc_conditional (random over
            all), icc_response (as icc_adjusted, on the scale of the response: the expected
            correlation of two responses of a group), and the variances: var_fixed of the fixed
            part's predictions (divisor n - 1), var_random averaged over the rows where there are
            random slopes (Johnson 2014, eq. 10), var_residual.

            Of a generalised model all but icc_response are on the scale of the link. There the
            residual variance is the latent variable's in a binomial model (logit: pi^2 / 3,
            probit: 1, cloglog: pi^2 / 6); log(1 + 1/mu) in a Poisson and log(1 + 1/mu + 1/theta)
            in a negative binomial model with a log link, (1 + mu/theta) / 4 with a square root, mu
            being the mean count by the model without its fixed part (but with its offset); log(1 +
            sigma^2) in a Gamma model with a log link. Effects of a grouping factor with a level for
            each row count as residual.

        Raises
        ------
        RCallError
            A generalised model whose residual variance on the scale of the link isn't known.

        See Also
        --------
        MerModList.r2 : The mean over several fits.

        References
        ----------
        Nakagawa, Johnson and Schielzeth (2017), Journal of the Royal Society Interface 14,
        20170213, eqs. 2.2 to 2.5, 5.8 and table 2; Johnson (2014), Methods in Ecology and
        Evolution 5, 944-946; Goldstein, Browne and Rasbash (2002), Understanding Statistics 1,
        223-231, and de Villemereuil, Schielzeth, Nakagawa and Morrissey (2016), Genetics 204,
        1281-1294 (the scale of the response).
        """
        shares = self.answers["variance_shares"]
        fixed, random, residual = (float(shares[x][0]) for x in ("fixed", "random", "residual"))
        total = fixed + random + residual
        adjusted = random / (random + residual)
        response = shares.get("icc_response")
        row = {
            "r2_marginal": [fixed / total],
            "r2_conditional": [(fixed + random) / total],
            "icc_adjusted": [adjusted],
            "icc_conditional": [random / total],
            "icc_response": [adjusted if response is None else float(response[0])],
            "var_fixed": [fixed],
            "var_random": [random],
            "var_residual": [residual],
        }
        return checked(pd.DataFrame(row), "r2")

    def random(self, conf_level: float = 0.95) -> pd.DataFrame:
        """Return SDs, correlations, sigma and ICCs with standard errors and intervals.

        As `PooledMerMod.random` has them of several fits: sampling variances come from the
        curvature of the (restricted) deviance at the optimum, intervals are normal ones on the log
        (SDs), Fisher's z (correlations) or logit (ICC) scale.

        Parameters
        ----------
        conf_level : float
            Coverage of the intervals.

        Returns
        -------
        DataFrame
            group, term (as in `tidy`; "icc"), estimate, std_error (by the delta method), conf_low,
            conf_high, n_boundary: 1 of a parameter on its boundary, which has neither standard
            error nor interval, else 0.

        Raises
        ------
        ArgumentError
            For a generalised model with a scale, such as a Gamma model.

        See Also
        --------
        varcorr : The estimates alone.
        confint : Profile and bootstrap intervals.
        PooledMerMod.random : Of several fits.

        References
        ----------
        Bates, Mächler, Bolker and Walker (2015), Journal of Statistical Software 67, eqs. 31 to 41
        (the deviance); Fisher (1921), Metron 1.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
        >>> fit.random()[["term", "estimate", "std_error"]].round(3)
                      term  estimate  std_error
        0  sd__(Intercept)     2.184      0.150
        1  sd__Observation     6.086      0.051
        2              icc     0.114      0.014
        """
        return random_of_one(self, conf_level)

    # -- under statsmodels' names ------------------------------------------------------------

    def estimate_table(self, conf_level: float | None = None) -> pd.DataFrame:
        """Return the table that `params` and its like read; see `MixedModelNames`."""
        if conf_level is not None:
            return self.fixed(conf_level=conf_level)
        tidy = self.tidy()
        return tidy[tidy["effect"] == "fixed"]

    def cov_params(self) -> pd.DataFrame:
        """Return `vcov`, under statsmodels' name."""
        return self.vcov()

    def random_effect_table(self) -> pd.DataFrame:
        """Return `ranef`, which `random_effects` reads."""
        return self.ranef()

    @property
    def fittedvalues(self) -> pd.Series[float]:
        """Fitted values with all random effects, on the response's scale, by the frame's index."""
        return self.fitted().rename(None)

    @property
    def resid(self) -> pd.Series[float]:
        """Response minus `fittedvalues`, by the frame's index."""
        return self.residuals(type=None if is_linear(self) else "response").rename(None)

    @property
    def llf(self) -> float:
        """Log-likelihood; the restricted one after REML."""
        return self.log_lik

    # -- as plain values ---------------------------------------------------------------------

    def _recorded(self) -> tuple[dict[str, Any], Tables, Tables]:
        names = (
            "formula", "family", "link", "reml", "imputation", "nobs", "npar", "ngrps", "sigma",
            "log_lik", "aic", "bic", "is_singular", "optimizer", "messages",
        )  # fmt: skip
        facts = {name: getattr(self, name) for name in names}
        ready: Tables = {
            "fixef": self.fixef,
            "vcov": lambda: with_terms(self.vcov()),
            "varcorr": self.varcorr,
            "ranef": self.ranef,
            "coef": self.coef,
            "tidy": self.tidy,
            "glance": self.glance,
            "model_info": self.model_info,
            "convergence": self.convergence,
        }
        return facts, ready, {"fixed": self.fixed, "r2": self.r2, "anova": self.anova}

    # -- asked of R -------------------------------------------------------------------------

    @overload
    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        re_form: str | None = None,
        allow_new_levels: bool = False,
        *,
        se_fit: Literal[False] = False,
        interval: None = None,
        **arguments: Any,
    ) -> pd.Series[float]: ...
    @overload
    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        re_form: str | None = None,
        allow_new_levels: bool = False,
        *,
        se_fit: bool = ...,
        interval: Literal["confidence", "prediction"] | None = ...,
        conf_level: float | None = ...,
        dfcom: Any = ...,
        **arguments: Any,
    ) -> pd.Series[float] | pd.DataFrame: ...
    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        re_form: str | None = None,
        allow_new_levels: bool = False,
        *,
        se_fit: bool = False,
        interval: Literal["confidence", "prediction"] | None = None,
        conf_level: float | None = None,
        dfcom: Any = None,
        **arguments: Any,
    ) -> pd.Series[float] | pd.DataFrame:
        """Predict, in R ``predict(m, newdata, re.form, allow.new.levels)``.

        Parameters
        ----------
        newdata : DataFrame, optional
            With the columns of the formula; the data of the fit by default.
        re_form : str, optional
            Random effects to include: all by default (R's NULL); "NA" or "~0" for none; or a
            one-sided formula such as "~(1 | schid)".
        allow_new_levels : bool
            Give levels that the fit didn't see a random effect of zero, instead of an error.
        se_fit : bool
            Add standard errors: of fixed and random effects together, given the covariance
            parameters (Henderson's mixed model equations). lme4 has them since 1.1-34; these are
            computed by this library, as in `MerModList.predict`.
        interval : {"confidence", "prediction"}, optional
            Add standard errors, degrees of freedom and intervals, as in `MerModList.predict`:
            "confidence" of the mean response given the random effects included; "prediction" of a
            new observation.
        conf_level : float, optional
            Of the intervals; 0.95 by default.
        dfcom : str or float, optional
            Degrees of freedom of the intervals, as in `fixed`: "satterthwaite" by default, of each
            row's variance. "kenward-roger" is of the fixed part alone (``re_form="NA"``, interval
            "confidence"), and has Kenward and Roger's standard errors.
        **arguments : object
            Others of ``predict.merMod``, under R's names or with underscores for dots:
            ``random_only``, ``newparams``, ``na_action`` (a name such as "na.omit"), ``type``.

        Returns
        -------
        Series, or DataFrame with `se_fit`
            One value per row of newdata, by newdata's index; missing where a row has missing
            values. Of a generalised model on the scale of the link, or on that of the response with
            ``type="response"``. What lme4 says about the call, such as that it leaves the fit's
            ``offset=`` out for newdata, becomes an `RWarning`. With `se_fit`, columns estimate and
            std_error. With an `interval`, columns estimate, std_error (of the mean, and for
            "prediction" of a new observation), df, and conf_low and conf_high, or pred_low and
            pred_high.

        Raises
        ------
        ArgumentError
            An argument that ``predict.merMod`` doesn't have, or that would have no effect.
        RPackageError
            Where R lacks lmerTest or pbkrtest, and dfcom needs it.
        PredictionError
            newdata that lack a column or have new levels, with R's text.

        See Also
        --------
        MerMod.simulate : Responses with their random variation.
        MerModList.predict : Pooled over several fits.

        References
        ----------
        Henderson (1975), Biometrics 31, 423-447.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> hsb = rb.load_hsb()
        >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(hsb)
        >>> fit.predict(hsb.head(2), random_only=True).round(3).tolist()
        [-1.634, -1.634]
        >>> list(fit.predict(hsb.head(2), se_fit=True).columns)
        ['estimate', 'std_error']
        >>> list(fit.predict(hsb.head(2), interval="confidence", dfcom="residual").columns)
        ['estimate', 'std_error', 'df', 'conf_low', 'conf_high']
        """
        given = r_arguments(arguments, _PREDICT, _NOT_PREDICT, "predict")
        if interval is not None:
            scale = given.pop("type", "link")
            if given:
                raise ArgumentError(f"interval can't be combined with {', '.join(given)}.")
            wanted = dfcom_of_one(self, dfcom)
            return predict_fits(
                [self], rule_for("imputation"), newdata, re_form, interval,
                0.95 if conf_level is None else conf_level, allow_new_levels, wanted,
                type=scale, vcov=vcov_of_one(wanted),
            )  # fmt: skip
        if conf_level is not None or dfcom is not None:
            raise ArgumentError("conf_level and dfcom are of an interval: give interval, too.")
        check_newdata(newdata)
        form = re_form_text(re_form)
        if "type" in given:
            check_value(given["type"], ("link", "response"), "type")
        if given.get("random.only") and form == "none":
            raise ArgumentError("random_only=True with re_form='NA' leaves nothing to predict.")
        if se_fit and given.keys() - {"type"}:
            raise ArgumentError(
                f"se_fit=True can't be combined with {', '.join(given.keys() - {'type'})}."
            )
        question = {
            "newdata": self.needed(newdata),
            "re_form": form,
            "allow_new_levels": allow_new_levels,
        }
        predicted = told(self.r.call("mermod_predict", **question, **given), self.imputation)
        index = self.index_of(newdata)[predicted["rows"] - 1]
        values = pd.Series(predicted["values"], index=index, name="predict")
        if not se_fit:
            return values
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RWarning)  # the call for the values has warned already
            reply = self.r.call("prediction_parts", **question, observed=False, method=None)
            parts = told(reply, self.imputation)
        std_error = np.sqrt(parts["variance"])
        if given.get("type") == "response" and self.link != "identity":
            std_error = to_response(self, np.column_stack([parts["mean"], std_error]))[:, 1]
        errors = pd.Series(std_error, index=self.index_of(newdata)[parts["rows"] - 1])
        if newdata is None:
            errors = errors.reindex(index)
        frame = {"estimate": values.to_numpy(), "std_error": errors.to_numpy()}
        return checked(pd.DataFrame(frame, index=index), "predict_se")

    def simulate(self, nsim: int = 1, seed: int | None = None, **arguments: Any) -> pd.DataFrame:
        """Simulate responses from the fit, in R ``simulate(m, nsim, seed)``.

        Parameters
        ----------
        nsim : int
            How many.
        seed : int, optional
            As R's argument: ``set.seed(seed)``.
        **arguments : object
            Others of ``simulate.merMod``, under R's names or with underscores for dots: ``use_u``,
            ``re_form``, ``newdata``, ``newparams``, ``allow_new_levels``, ``na_action``,
            ``cond_sim``.

        Returns
        -------
        DataFrame
            Columns sim_1 ... sim_nsim, by the frame's index, or newdata's; for a response by
            ``cbind(success, failure)`` two each, sim_1_success and sim_1_failure.

        Raises
        ------
        ArgumentError
            An argument that ``simulate.merMod`` doesn't have, or that would have no effect.
        PredictionError
            newdata that lack a column, or have new levels or missing values, with R's text.

        See Also
        --------
        MerMod.predict : Expected responses.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
        >>> fit.simulate(2, seed=1, use_u=True).shape
        (7185, 2)
        """
        check_count(nsim, "nsim", 1)
        if seed is not None:
            check_seed(seed)
        given = r_arguments(arguments, _SIMULATE, _NOT_SIMULATE, "simulate")
        newdata = given.get("newdata")
        check_newdata(newdata)
        if newdata is not None:
            given["newdata"] = self.needed(newdata)
        if "re.form" in given:
            given["re.form"] = re_form_text(given["re.form"])
            if "use.u" in given:
                raise ArgumentError("give one of use_u and re_form: each says which effects stay.")
        reply = self.r.call("mermod_simulate", nsim=nsim, seed=seed, **given)
        draws = told(reply, self.imputation)
        frame = pd.DataFrame(dict(zip(draws["names"], draws["values"], strict=True)))
        frame.index = self.index_of(newdata)[draws["rows"] - 1]
        return frame

    def confint(
        self,
        parm: Sequence[str] | str | None = None,
        level: float = 0.95,
        method: Literal["profile", "Wald", "boot"] = "profile",
        seed: int | None = None,
        **arguments: Any,
    ) -> pd.DataFrame:
        """Return confidence intervals, in R ``confint(m, parm, level, method)``.

        Parameters
        ----------
        parm : str, int, or a sequence of them, optional
            Terms, or their numbers from 1; ``"theta_"`` and ``"beta_"`` for all of the random or
            the fixed part.
        level : float
            Between 0 and 1.
        method : {"profile", "Wald", "boot"}
            "Wald" has no intervals for the random part.
        seed : int, optional
            Of the bootstrap: ``set.seed(seed)``.
        **arguments : object
            Others of ``confint.merMod``, and of what it calls, ``profile`` or ``bootMer``, under
            R's names or with underscores for dots: ``oldNames``; ``zeta``, ``devtol``, ``maxpts``
            and others of the profile; ``nsim``, ``boot_type``, ``use_u`` of the bootstrap.

        Returns
        -------
        DataFrame
            Columns term, conf_low, conf_high. Terms are R's row names: ``.sig01`` ... and
            ``.sigma`` for the random part (or, with ``oldNames=False``, sd_(Intercept)|schid),
            then the fixed effects.

        Raises
        ------
        ArgumentError
            A term that isn't there, a level outside of 0 to 1, or an argument that has no effect
            with this method.

        See Also
        --------
        MerMod.tidy : Estimates and standard errors.
        """
        check_value(method, tuple(_CONFINT), "method")
        check_level(level, "level")
        if seed is not None:
            if method != "boot":
                raise ArgumentError(f"seed is for method='boot': {method!r} draws nothing.")
            check_seed(seed)
        refused = {
            name: f"it is of method={other!r}, and this is {method!r}"
            for other, names in _CONFINT.items()
            for name in names
        }
        valid = ("oldNames", *_CONFINT[method])
        refused = {k: v for k, v in {**refused, **_NOT_CONFINT}.items() if k not in valid}
        given = r_arguments(arguments, valid, refused, "confint")
        if "re.form" in given:
            given["re.form"] = re_form_text(given["re.form"])
        if parm is not None:
            check_parm(self, parm, given.get("oldNames", True))
        reply = self.r.call(
            "mermod_confint", parm=parm, level=level, method=method, seed=seed, **given
        )
        limits = told(reply, self.imputation)
        frame = pd.DataFrame(
            {"term": limits["terms"], "conf_low": limits["low"], "conf_high": limits["high"]}
        )
        return checked(frame, "confint")

    def all_fit(self, maxfun: int = 100_000) -> pd.DataFrame:
        """Fit the model again by every optimizer, in R ``summary(allFit(m))``.

        Estimates that agree say that a convergence warning can be left alone.

        Parameters
        ----------
        maxfun : int
            How many evaluations (or, of optimx, iterations) each may take.

        Returns
        -------
        DataFrame
            One row per optimizer: optimizer, log_lik, is_singular, messages (R's warnings and
            messages while fitting, or why there is no fit, such as a package that R lacks), then a
            column per coefficient, by term, and per SD and correlation, as in ``"schid
            sd__(Intercept)"``.

        See Also
        --------
        MerMod.convergence : What was reported of this fit.
        MerModList.all_fit : Of several fits.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> table = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb()).all_fit()
        >>> table.loc[table["optimizer"] == "bobyqa", ["log_lik", "ses"]].round(3)
             log_lik   ses
        0 -23322.585  2.39
        """
        return all_fit(self, maxfun)

    def anova(
        self,
        *others: MerMod,
        refit: bool = True,
        type: int | str | None = None,
        ddf: Literal["satterthwaite", "kenward-roger", "lme4"] | None = None,
    ) -> pd.DataFrame:
        """Compare nested fits by likelihood ratio tests, or test the terms of this one.

        In R ``anova(m, ...)``; without others that of lmerTest, ``anova(m, type=, ddf=)``, and for
        generalised models car's ``Anova(m, type=)``.

        Parameters
        ----------
        *others : MerMod
            Of the same response, rows, weights and offset. As in R, models that are not nested are
            taken: their aic and bic can be compared, but statistic and p_value mean nothing.
        refit : bool
            Refit those that were fitted by REML by ML first, as R does. Restricted likelihoods of
            models with different coefficients can't be compared: False warns of that.
        type : {3, 2, 1, "III", "II", "I"}, optional
            Which hypotheses are tested of a term, without others. Linear models: lmerTest's, 3 by
            default, whose hypotheses don't hang on the coding of factors. Generalised models: 1,
            the default, is lme4's table of sequential sums of squares; 3 tests that the term's
            coefficients are 0, as the model's own contrasts define them (the intercept, too), and 2
            that they are, if those of the terms that contain it are.
        ddf : {"satterthwaite", "kenward-roger", "lme4"}, optional
            How denominator degrees of freedom are computed: "satterthwaite" by default for linear
            models; "kenward-roger" for fits by REML; "lme4" gives none, and is of type 1.

        Returns
        -------
        DataFrame
            With others: columns npar, aic, bic, log_lik, deviance, statistic (chi-squared), df,
            p_value; indexed by the models' formulas, in R's order (by npar). Without: a row per
            term, columns term, sum_sq, mean_sq, df1, df2, statistic (F), p_value, where df2 and
            p_value are missing in lme4's table; types 2 and 3 of a generalised model have term,
            statistic (Wald's chi-squared), df, p_value.

        Raises
        ------
        ArgumentError
            Fits of another response, weights or offset, or to other rows or data, naming which. R
            asks only for the same number of rows and the same names in the call. Or a type or ddf
            that there isn't for this model.
        RPackageError
            Where R lacks lmerTest or pbkrtest, and ddf needs it; ``ddf="lme4"`` needs neither.

        See Also
        --------
        compare : Compare models of several data sets.
        PooledMerMod.anova : Terms of pooled fits.
        MerMod.test : Any hypotheses about the coefficients.

        References
        ----------
        Kuznetsova, Brockhoff and Christensen (2017), Journal of Statistical Software 82(13); Fox
        and Weisberg (2019), An R Companion to Applied Regression, section 5.3.4 (the Wald tests of
        types II and III).

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> hsb = rb.load_hsb()
        >>> full = rb.Lmer("mathach ~ ses + meanses + (1 | schid)", reml=False).fit(hsb)
        >>> reduced = rb.Lmer("mathach ~ ses + (1 | schid)", reml=False).fit(hsb)
        >>> full.anova(reduced)["npar"].tolist()
        [4.0, 5.0]
        >>> full.anova(type=2)["term"].tolist()
        ['ses', 'meanses']
        """
        if not others:
            if not refit:
                raise ArgumentError("refit is for comparing fits: there are no others here.")
            return table_of_terms(self, type, ddf)
        if type is not None or ddf is not None:
            raise ArgumentError("type and ddf are for the terms of one fit: leave the others out.")
        objects = _others_r(others)
        for i, other in enumerate(others):
            check_comparable(
                self.r.call("common_ground", objects[i]).value,
                (self.index, other.index),
                ("the first model", "the other" if len(others) == 1 else f"model {i + 2}"),
                "anova: ",
            )
        if not refit:
            self._warn_of_reml(others)
        reply = self.r.call("mermod_anova", objects, refit=refit)
        for text in reply.warnings:
            warnings.warn(f"R: {text.strip()}", RWarning, stacklevel=2)
        formulas = [self.formula, *(x.formula for x in others)]
        frame = pd.DataFrame(reply.value["table"])
        frame.index = pd.Index([formulas[i - 1] for i in reply.value["order"]], name="formula")
        return checked(frame, "anova")

    # -- beside other models ----------------------------------------------------------------

    def table_column(self, dfcom: Any = None, conf_level: float | None = None) -> ModelColumn:
        """Return what a table shows of the fit; see `table`."""
        return column_of_fit(self, dfcom, 0.95 if conf_level is None else conf_level)

    # -- helpers ---------------------------------------------------------------------------

    def _warn_of_reml(self, others: Sequence[MerMod]) -> None:
        restricted = [x for x in (self, *others) if x.reml]
        if any(set(x.beta.index) != set(restricted[0].beta.index) for x in restricted):
            warnings.warn(
                "anova: restricted likelihoods of models with different coefficients can't be "
                "compared; refit=True compares their maximum likelihood fits.",
                RBridgeWarning,
                stacklevel=3,
            )


def check_parm(fit: MerMod, parm: Any, old_names: bool = True) -> None:
    """Refuse what ``confint`` and ``profile`` of R would not find among the fit's parameters.

    Parameters
    ----------
    fit : MerMod
    parm : str, int, or several
        As it was given: names, numbers from 1, or ``"theta_"`` and ``"beta_"``.
    old_names : bool
        R's argument ``oldNames``.

    Raises
    ------
    ArgumentError
        With the nearest name, and all that there are.
    """
    names = [str(x) for x in fit.r.call("confint_names", old_names).value]
    for x in [parm] if isinstance(parm, str | int) else parm:
        if isinstance(x, str):
            check_known([x], [*names, "theta_", "beta_"], "parm: the fit", "parameter")
        elif isinstance(x, bool) or not isinstance(x, int | np.integer):
            raise ArgumentError(f"parm takes names of terms or their numbers, not {x!r}.")
        elif not 1 <= x <= len(names):
            raise ArgumentError(f"parm {x}: the fit has {len(names)} terms, from 1.")


def _others_r(others: Sequence[MerMod]) -> list[Askable]:
    """Return the R objects of fits, and refuse what is no fit."""
    wrong = [type(x).__name__ for x in others if not isinstance(x, MerMod)]
    if wrong:
        raise ArgumentError(f"anova compares fits (MerMod), not {', '.join(wrong)}.")
    return [x.r for x in others]


def fits_of_file(
    path: Any, trust: Trust, what: str, data: Sequence[pd.DataFrame] | None = None
) -> list[MerMod]:
    """Read the models of an R file.

    Parameters
    ----------
    path : path
        Of the file.
    trust : bool or "despite CVE-2024-27322"
        See `MerMod.from_r`.
    what : str
        The function that asks, for messages.
    data : sequence of DataFrame, optional
        What each of the models was fitted to.

    Returns
    -------
    list of MerMod
        One, or those of a list, numbered as its imputations.
    """
    check_trust(trust)
    objects = read_objects(readable_file(path), trust, what, data)
    numbers: list[int | None] = [None] if len(objects) == 1 else [*range(1, len(objects) + 1)]
    fits = []
    for r, number in zip(objects, numbers, strict=True):
        labels = np.asarray(r.call("fit_row_labels").value)
        # Rows that have numbers are found by these; others by their places.
        counted = np.issubdtype(labels.dtype, np.integer)
        index: pd.Index = pd.RangeIndex(1, int(labels.max()) + 1) if counted else pd.Index(labels)
        fits.append(MerMod(Answers(r), index, (), number))
    return fits
