"""Comparisons: nested models over imputations; listwise deletion beside multiple imputation."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import check_known
from ..base.glossary import checked
from ..errors import ArgumentError, PoolingError, RBridgeWarning
from ..fits.comparable import check_comparable
from ..fits.mermod import MerMod
from ..inference.combinations import coefficients, one_row
from ..inference.complete_df import ask, complete_df
from ..pooling import joint, rubin
from .mermod_list import MerModList

__all__ = ["compare", "compare_estimates"]

Floats = NDArray[np.float64]


def compare(
    full: MerModList,
    reduced: MerModList,
    method: Literal["D1", "D2", "D3", "D4"] = "D1",
    *,
    use: Literal["wald", "likelihood"] | None = None,
    dfcom: Any = None,
    robust: bool = False,
) -> pd.DataFrame:
    """Test a model against one nested in it, both fitted to the same imputations.

    ======  ============================  ========================================================
    method  compares                      needs
    ======  ============================  ========================================================
    D1      fixed parts                   coefficients and their covariance matrices (Wald)
    D2      fixed parts, or any           m chi-squares: Wald, or likelihood ratios; rough
    D3      fixed and random parts        likelihoods at each fit's own and at the mean parameters
    D4      fixed and random parts        likelihoods of each fit and of the stacked data
    ======  ============================  ========================================================

    Likelihood ratios need maximum likelihood: fits by REML are refitted by it from the same call,
    with a warning. D3's mean parameters are those of coefficients, random-effect covariances and
    residual variance. D4's stacked model is that of the same formula on all imputations' rows under
    each other, so that ``scale(x)`` is computed from all of them; a group of one imputation is
    another group than that of the next.

    Parameters
    ----------
    full, reduced : MerModList
        Of the same `ImputedData`, response, rows, weights and offset; every model of `reduced` is
        nested in that of `full`: the columns of its design lie in the space of the full model's
        (whatever their names: ``f*x`` and ``x*f`` are the same), and each of its random terms in
        one of the full model's, of the same groups: ``(1 | g)`` in ``(1 + x | g)``, that in none of
        ``(1 + x || g)``, and ``(1 | g/f)`` in ``(0 + f | g)``.
    method : {"D1", "D2", "D3", "D4"}
    use : {"wald", "likelihood"}, optional
        For D2: by default Wald where only fixed parts differ, else likelihood ratios.
    dfcom : optional
        For D1, as in `MerModList.pool`; ``math.inf`` is mitml's default.
    robust : bool
        For D4: estimate the relative increase in variance from the full model alone, Chan and
        Meng's robust choice (mitml's ``ariv="robust"``).

    Returns
    -------
    DataFrame
        One row: method, statistic (F), df1, df2, p_value, riv. What had to be done differently
        stands in ``attrs["note"]``, and is warned of.

    Raises
    ------
    ArgumentError
        Models that aren't nested, or of other data, rows, response, weights or offset, naming
        which; a method that can't compare them.

    Notes
    -----
    In R: ``mitml::testModels(full, reduced, method)``, which checks none of this; D1 with a finite
    dfcom ``mice::D1``. With one coefficient D1 is the squared t of the pooled table (mitml keeps
    the many-coefficient df). A variance that is 0 in the reduced model lies on the boundary: its p
    value is conservative (Self and Liang 1987).

    References
    ----------
    Li, Raghunathan and Rubin (1991), JASA 86, 1065-1073; Reiter (2007), Biometrika 94 (D1). Li,
    Meng, Raghunathan and Rubin (1991), Statistica Sinica 1 (D2). Meng and Rubin (1992), Biometrika
    79 (D3). Chan and Meng (2022), Statistica Sinica 32 (D4).

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
    >>> imp = rb.AmeliaImputer(m=4, idvars=["schid", "meanses"]).impute(holes, seed=1)
    >>> full = rb.Lmer("mathach ~ ses + meanses + size + (1 | schid)").fit(imp)
    >>> reduced = rb.Lmer("mathach ~ ses + (1 | schid)").fit(imp)
    >>> rb.compare(full, reduced)[["method", "df1"]]
      method  df1
    0     D1    2
    """
    check_known([method], ("D1", "D2", "D3", "D4"), "method")
    if use is not None and (method != "D2" or use not in ("wald", "likelihood")):
        raise ArgumentError("use is for method='D2': 'wald' or 'likelihood'.")
    if robust and method != "D4":
        raise ArgumentError("robust is for method='D4'.")
    if dfcom is not None and method != "D1":
        raise ArgumentError(f"dfcom is for method='D1': {method} has its own degrees of freedom.")
    pair = _Pair.of(full, reduced)
    if method == "D1" or (method == "D2" and (use or pair.usual) == "wald"):
        tested = pair.wald(method, dfcom)
    else:
        tested = pair.likelihood(method, robust)
    return one_row(tested, [*pair.notes, tested.note], stacklevel=3)


@dataclass(frozen=True)
class _Pair:
    """Two lists of fits, the one's models nested in the other's; `made`: R's `nesting` of each."""

    full: tuple[MerMod, ...]
    reduced: tuple[MerMod, ...]
    k: int
    made: tuple[Mapping[str, Any], ...]
    notes: list[str]

    @classmethod
    def of(cls, full: MerModList, reduced: MerModList) -> _Pair:
        for name, given in (("full", full), ("reduced", reduced)):
            if not isinstance(given, MerModList):
                raise ArgumentError(
                    f"{name} must be a MerModList (fits of one model to m data sets), not "
                    f"{type(given).__name__}; two single fits are compared by `fit.anova(other)`."
                )
            if given.data.kind == "bootstrap":
                raise PoolingError(
                    f"{name} was fitted to bootstrap samples: D1 to D4 are for imputations."
                )
        if full.names != reduced.names or not (
            full.data is reduced.data or full.data == reduced.data
        ):
            raise ArgumentError(
                "the two lists stand on different data sets: fit both models to the same "
                "ImputedData (and slice both lists alike)."
            )
        pairs = list(zip(full.fits, reduced.fits, strict=True))
        for a, b in pairs:
            found = ask(a, "common_ground", b.r)
            names = ("the full model", "the reduced one")
            check_comparable(found, (a.index, b.index), names, _where(a))
        sizes = {(a.npar, b.npar) for a, b in pairs}
        if len(sizes) > 1:
            raise ArgumentError(
                "the number of parameters differs between imputations: a level of a factor is "
                "absent from some, or a coefficient was dropped there (`fit.dropped`). Drop the "
                "term, or join the level to another, in all imputations."
            )
        n_full, n_reduced = sizes.pop()
        if n_full <= n_reduced:
            raise ArgumentError(
                f"the full model has {n_full} parameters, the reduced one {n_reduced}: the reduced "
                "one must have fewer (are they swapped?)."
            )
        made = tuple(ask(a, "nesting", b.r) for a, b in pairs)
        for (a, b), nested in zip(pairs, made, strict=True):
            _check_nested(nested, a, b)
        notes = []
        variances = made[0]["variances"]
        if variances[0] > variances[1]:
            notes.append(
                "a variance of 0 lies on the boundary of its range, so that the p value is "
                "conservative"
            )
        return cls(full.fits, reduced.fits, n_full - n_reduced, made, notes)

    @property
    def same_random(self) -> bool:
        """Nested with as many parameters is the same."""
        n_full, n_reduced = self.made[0]["n_theta"]
        return bool(n_full == n_reduced)

    @property
    def usual(self) -> str:
        """D2's statistic, if none was asked for."""
        return "wald" if self.same_random else "likelihood"

    def wald(self, method: str, dfcom: Any) -> joint.JointTest:
        if not self.same_random:
            raise ArgumentError(
                f"{method} tests coefficients, so that the models must have the same random part. "
                "Use method='D3' or 'D4' (or 'D2' with use='likelihood')."
            )
        terms = list(self.full[0].beta.index)
        matrix = self._hypotheses(terms, method)
        estimates, vcovs = joint.linear_hypothesis(*coefficients(self.full, terms), matrix)
        if method == "D2":
            return joint.d2(joint.wald_chi2(estimates, vcovs), self.k)
        complete = complete_df(dfcom, self.full, matrix, joint=self.k > 1)
        return joint.d1(estimates, vcovs, dfcom=float(np.max(complete)))

    def _hypotheses(self, terms: Sequence[str], method: str) -> Floats:
        """What the reduced model says of the full one's coefficients: each row of them is 0."""
        kept = list(self.reduced[0].beta.index)
        frames = [
            pd.DataFrame(x["made"], index=list(x["terms"]), columns=list(x["reduced_terms"]))
            for x in self.made
        ]
        made = np.array([frame.loc[terms, kept].to_numpy() for frame in frames])
        sizes = pd.Series(self.made[0]["sizes"], index=list(self.made[0]["terms"]))[terms]
        weight = sizes.to_numpy()
        scaled = made * weight[:, None]
        largest = np.abs(scaled[0]).max(axis=0)
        # The tolerance by which R found the columns to be combinations (span_tolerance).
        if (np.abs(scaled - scaled[0]) > 1e-6 * largest).any():
            raise ArgumentError(
                f"{method} tests coefficients, and those of the reduced model are other "
                "combinations of the full one's in each imputation (as of poly(x, 2) and x, where "
                "x was imputed). Use method='D3' or 'D4' (or 'D2' with use='likelihood')."
            )
        absent = (scaled[0] == 0).all(axis=1)
        if absent.sum() == self.k:
            return np.asarray(np.eye(len(terms))[absent])
        # The coefficients lie in the space of `made`: what is orthogonal to it is 0.
        left, _, _ = np.linalg.svd(scaled[0] / largest)
        return np.asarray(left[:, len(kept) :].T * weight)

    def likelihood(self, method: str, robust: bool) -> joint.JointTest:
        if any(fit.reml for fit in (*self.full, *self.reduced)):
            self.notes.append("fits by REML were refitted by maximum likelihood")
        full, reduced = _Likelihoods.of(self.full), _Likelihoods.of(self.reduced)
        own = full.own, reduced.own
        if method == "D2":
            return joint.d2(2 * (own[0] - own[1]), self.k)
        if method == "D3":
            return joint.d3(*own, full.at_pooled(), reduced.at_pooled(), self.k)
        n_params = self.full[0].npar if robust else None
        return joint.d4(*own, full.stacked(), reduced.stacked(), self.k, n_params=n_params)


@dataclass(frozen=True)
class _Likelihoods:
    """ML fits of one model, and their log-likelihoods."""

    fits: tuple[Any, ...]  # R objects
    own: Floats

    @classmethod
    def of(cls, fits: Sequence[MerMod]) -> _Likelihoods:
        found = [ask(fit, "refit_ml") for fit in fits]
        own = np.array([float(x["log_lik"][0]) for x in found])
        return cls(tuple(x["object"] for x in found), own)

    def at_pooled(self) -> Floats:
        """Each imputation's log-likelihood at the mean parameters."""
        found = [fit.call("model_parameters").value for fit in self.fits]
        if any(list(x["names"]) != list(found[0]["names"]) for x in found):
            raise PoolingError(
                "the fits differ in their parameters, or in the order of their random terms (which "
                "lme4 sorts by their number of levels): they have no mean. Use method='D1'."
            )
        covs = [np.mean(x, axis=0) for x in zip(*(y["covs"] for y in found), strict=True)]
        beta = np.mean([x["beta"] for x in found], axis=0)
        sigma2 = float(np.mean([x["sigma2"] for x in found]))
        return np.array(
            [float(x.call("loglik_at", beta, covs, sigma2).value[0]) for x in self.fits]
        )

    def stacked(self) -> float:
        """Log-likelihood of one fit to all imputations' rows (not divided by m)."""
        found: Mapping[str, Any] = self.fits[0].call("stacked_loglik", list(self.fits[1:])).value
        if found["conv"][0] != 0:
            warnings.warn(
                "the optimizer did not converge on the stacked data: "
                f"{' '.join(found['message'])}; try another one (`control`).",
                RBridgeWarning,
                stacklevel=5,
            )
        return float(found["log_lik"][0])


def _where(fit: MerMod) -> str:
    return "" if fit.imputation is None else f"imputation {fit.imputation}: "


def _check_nested(found: Mapping[str, Any], full: MerMod, reduced: MerMod) -> None:
    """Refuse a reduced model that isn't one of those that the full model allows."""
    outside = []
    if columns := list(found["columns"]):
        outside.append(
            f"its coefficients {', '.join(map(repr, columns))} are of columns that are no "
            "combination of the full model's"
        )
    if terms := list(found["random"]):
        outside.append(
            f"its random {'term' if len(terms) == 1 else 'terms'} {', '.join(terms)} "
            f"{'is' if len(terms) == 1 else 'are'} in none of the full model's, "
            f"{', '.join(found['full_random'])}"
        )
    if outside:
        raise ArgumentError(
            f"{_where(full)}the reduced model, {reduced.formula}, isn't nested in the full one, "
            f"{full.formula}: {'; '.join(outside)}. Compare models of which one leaves out terms "
            "of the other (the full model may hold the terms of both); models that aren't nested "
            "are compared by their AIC or BIC, fit by fit (`fit.anova(other)`)."
        )


def compare_estimates(fit: MerMod, fits: MerModList, conf_level: float = 0.95) -> pd.DataFrame:
    """One fit (listwise deletion) beside the pooled ones, coefficient by coefficient.

    Parameters
    ----------
    fit : MerMod
        Such as ``model.fit(holes)``, which drops the rows with holes.
    fits : MerModList
        The same model on the imputed data sets.
    conf_level : float
        Of the intervals.

    Returns
    -------
    DataFrame
        One row per coefficient: term; estimate, std_error, conf_low, conf_high, nobs of the single
        fit under ``listwise_...`` and of the pooled model under ``pooled_...``; difference (pooled
        minus listwise); se_ratio (pooled over listwise: below 1 where imputation gained
        precision); and the pooled fmi. Both intervals use t with Barnard and Rubin's (pooled) and
        the residual (listwise) degrees of freedom.

    Raises
    ------
    ArgumentError
        If the models differ in their response or coefficients.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
    >>> imp = rb.AmeliaImputer(m=4, idvars=["schid", "meanses"]).impute(holes, seed=1)
    >>> model = rb.Lmer("mathach ~ ses + (1 | schid)")
    >>> rb.compare_estimates(model.fit(holes), model.fit(imp))["listwise_nobs"].tolist()
    [6826, 6826]
    """
    if not isinstance(fit, MerMod) or not isinstance(fits, MerModList):
        raise ArgumentError("compare_estimates takes one fit (MerMod) and a list (MerModList).")
    default = conf_level == fits.pooled_by_default.conf_level
    pooled = fits.pooled_by_default if default else fits.pool(conf_level=conf_level)
    table = pooled.fixed
    responses = [x.formula.split("~")[0].strip() for x in (fit, fits[0])]
    if responses[0] != responses[1]:
        raise ArgumentError(
            f"the response of the single fit is {responses[0]!r}, that of the list "
            f"{responses[1]!r}: fit the same formula to the data with holes and to the imputed "
            "ones."
        )
    if set(table["term"]) != set(fit.beta.index):
        odd = sorted(set(table["term"]) ^ set(fit.beta.index))
        raise ArgumentError(
            f"the models differ in {', '.join(odd)}: fit the same formula to the data with holes "
            "and to the imputed ones."
        )
    terms = list(table["term"])
    estimate = fit.beta.loc[terms].to_numpy()
    std_error = np.sqrt(np.diag(fit.vcov().loc[terms, terms].to_numpy()))
    alone = rubin.pool_scalars(
        [estimate], [std_error**2], dfcom=float(fit.df_residual), conf_level=conf_level
    )
    frame = pd.DataFrame(
        {
            "term": terms,
            "listwise_estimate": estimate,
            "listwise_std_error": std_error,
            "listwise_conf_low": alone.conf_low,
            "listwise_conf_high": alone.conf_high,
            "listwise_nobs": fit.nobs,
            "pooled_estimate": table["estimate"],
            "pooled_std_error": table["std_error"],
            "pooled_conf_low": table["conf_low"],
            "pooled_conf_high": table["conf_high"],
            "pooled_nobs": max(pooled.nobs),
            "difference": table["estimate"] - estimate,
            "se_ratio": table["std_error"] / std_error,
            "fmi": table["fmi"],
        }
    )
    return checked(frame, "compare_estimates")
