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
    r_arguments,
    re_form_text,
)
from ..base.glossary import checked
from ..errors import ArgumentError, RBridgeWarning, RWarning
from ..fits.answers import Askable
from ..fits.asking import told
from ..fits.comparable import check_comparable
from ..fits.fitted_model import FittedModel
from ..fits.linear_only import check_linear

__all__ = ["MerMod"]

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


class MerMod(FittedModel):
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

    def r2(self) -> pd.DataFrame:
        """Return explained variance and intraclass correlations.

        In R: ``performance::r2_nakagawa(m)``, ``performance::icc(m)``.

        Returns
        -------
        DataFrame
            One row. Columns r2_marginal (fixed part), r2_conditional (fixed and random part),
            icc_adjusted (random over random and residual variance), icc_conditional (random over
            all), and the variances: var_fixed of the fixed part's predictions (divisor n - 1),
            var_random averaged over the rows where there are random slopes (Johnson 2014, eq. 10),
            var_residual.

        Raises
        ------
        ArgumentError
            The model is a generalised one, whose residual variance depends on the link.

        See Also
        --------
        MerModList.r2 : The mean over several fits.

        References
        ----------
        Nakagawa, Johnson and Schielzeth (2017), Journal of the Royal Society Interface 14,
        20170213, eqs. 2.2 to 2.5; Johnson (2014), Methods in Ecology and Evolution 5, 944-946.
        """
        check_linear([self], "r2")
        shares = self.answers["variance_shares"]
        fixed, random, residual = (float(shares[x][0]) for x in ("fixed", "random", "residual"))
        total = fixed + random + residual
        row = {
            "r2_marginal": [fixed / total],
            "r2_conditional": [(fixed + random) / total],
            "icc_adjusted": [random / (random + residual)],
            "icc_conditional": [random / total],
            "var_fixed": [fixed],
            "var_random": [random],
            "var_residual": [residual],
        }
        return checked(pd.DataFrame(row), "r2")

    # -- asked of R -------------------------------------------------------------------------

    @overload
    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        re_form: str | None = None,
        allow_new_levels: bool = False,
        *,
        se_fit: Literal[False] = False,
        **arguments: Any,
    ) -> pd.Series[float]: ...
    @overload
    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        re_form: str | None = None,
        allow_new_levels: bool = False,
        *,
        se_fit: bool,
        **arguments: Any,
    ) -> pd.Series[float] | pd.DataFrame: ...
    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        re_form: str | None = None,
        allow_new_levels: bool = False,
        *,
        se_fit: bool = False,
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
        **arguments : object
            Others of ``predict.merMod``, under R's names or with underscores for dots:
            ``random_only``, ``newparams``, ``na_action`` (a name such as "na.omit"), ``type``.

        Returns
        -------
        Series, or DataFrame with `se_fit`
            One value per row of newdata, on the scale of the response, by newdata's index; missing
            where a row has missing values. With `se_fit`, columns estimate and std_error. What lme4
            says about the call, such as that it leaves the fit's ``offset=`` out for newdata,
            becomes an `RWarning`.

        Raises
        ------
        ArgumentError
            An argument that ``predict.merMod`` doesn't have, or that would have no effect.
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
        """
        check_newdata(newdata)
        form = re_form_text(re_form)
        given = r_arguments(arguments, _PREDICT, _NOT_PREDICT, "predict")
        if "type" in given:
            check_known([given["type"]], ("link", "response"), "type")
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
        errors = pd.Series(
            np.sqrt(parts["variance"]), index=self.index_of(newdata)[parts["rows"] - 1]
        )
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
            Terms, or their numbers from 1; "theta_" and "beta_" for all of the random or the fixed
            part.
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
        check_known([method], tuple(_CONFINT), "method")
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
            self._check_parm(parm, given.get("oldNames", True))
        reply = self.r.call(
            "mermod_confint", parm=parm, level=level, method=method, seed=seed, **given
        )
        limits = told(reply, self.imputation)
        frame = pd.DataFrame(
            {"term": limits["terms"], "conf_low": limits["low"], "conf_high": limits["high"]}
        )
        return checked(frame, "confint")

    def _check_parm(self, parm: Any, old_names: Any) -> None:
        names = [str(x) for x in self.r.call("confint_names", old_names).value]
        for x in [parm] if isinstance(parm, str | int) else parm:
            if isinstance(x, str):
                check_known([x], [*names, "theta_", "beta_"], "parm")
            elif isinstance(x, bool) or not isinstance(x, int | np.integer):
                raise ArgumentError(f"parm takes names of terms or their numbers, not {x!r}.")
            elif not 1 <= x <= len(names):
                raise ArgumentError(f"parm {x}: the fit has {len(names)} terms, from 1.")

    def anova(self, *others: MerMod, refit: bool = True) -> pd.DataFrame:
        """Compare nested fits by likelihood ratio tests, in R ``anova(m, ...)``.

        Parameters
        ----------
        *others : MerMod
            Of the same response, rows, weights and offset. As in R, models that are not nested are
            taken: their aic and bic can be compared, but statistic and p_value mean nothing.
            Without others, R's table of sequential F values is returned.
        refit : bool
            Refit those that were fitted by REML by ML first, as R does. Restricted likelihoods of
            models with different coefficients can't be compared: False warns of that.

        Returns
        -------
        DataFrame
            Columns npar, aic, bic, log_lik, deviance, statistic (chi-squared), df, p_value;
            indexed by the models' formulas, in R's order (by npar).

        Raises
        ------
        ArgumentError
            Fits of another response, weights or offset, or to other rows or data, naming which. R
            asks only for the same number of rows and the same names in the call.

        See Also
        --------
        compare : Compare models of several data sets.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> hsb = rb.load_hsb()
        >>> full = rb.Lmer("mathach ~ ses + meanses + (1 | schid)", reml=False).fit(hsb)
        >>> reduced = rb.Lmer("mathach ~ ses + (1 | schid)", reml=False).fit(hsb)
        >>> full.anova(reduced)["npar"].tolist()
        [4.0, 5.0]
        """
        if not others:
            if not refit:
                raise ArgumentError("refit is for comparing fits: there are no others here.")
            table: pd.DataFrame = self.r.call("mermod_anova_terms").value
            return table
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


def _others_r(others: Sequence[MerMod]) -> list[Askable]:
    """Return the R objects of fits, and refuse what is no fit."""
    wrong = [type(x).__name__ for x in others if not isinstance(x, MerMod)]
    if wrong:
        raise ArgumentError(f"anova compares fits (MerMod), not {', '.join(wrong)}.")
    return [x.r for x in others]
