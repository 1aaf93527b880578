"""Comparisons of nested models over imputations: D1 to D4."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import check_value
from ..errors import ArgumentError, PoolingError, RBridgeWarning
from ..fits.asking import ask, ask_each
from ..fits.comparable import check_comparable
from ..fits.which_models import check_likelihood, is_linear
from ..inference.degrees_of_freedom import complete_df
from ..inference.linear_combinations import coefficients, one_row
from ..inference.mermod import MerMod
from ..pooling import joint, rule_for
from .mermod_list import MerModList

__all__ = ["compare", "compare_fits"]

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
        Fits of the two models, to the same `ImputedData`, response, rows, weights and offset; every
        model of `reduced` is nested in that of `full`: the columns of its design lie in the space
        of the full model's (whatever their names: ``f*x`` and ``x*f`` are the same), and each of
        its random terms in one of the full model's, of the same groups: ``(1 | g)`` in
        ``(1 + x | g)``, that in none of ``(1 + x || g)``, and ``(1 | g/f)`` in ``(0 + f | g)``.
    method : {"D1", "D2", "D3", "D4"}
        The rule, as in the table above; D3 and D4 aren't for generalised models with a dispersion
        (Gamma, negative binomial).
    use : {"wald", "likelihood"}, optional
        The statistic of D2: by default Wald where only fixed parts differ, else likelihood ratios.
    dfcom : str or float, optional
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
    PoolingError
        Fits to bootstrap samples.

    See Also
    --------
    PooledMerMod.test : Tests linear hypotheses about the coefficients of one model.
    MerMod.anova : Likelihood ratio tests of single fits.

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
    check_value(method, ("D1", "D2", "D3", "D4"), "method")
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


def compare_fits(full: MerMod, reduced: MerMod) -> pd.DataFrame:
    """Test a fit against one nested in it, both to the same data, by their likelihood ratio.

    Parameters
    ----------
    full, reduced : MerMod
        As in `compare`; fits by REML are refitted by maximum likelihood.

    Returns
    -------
    DataFrame
        One row: statistic (chi-squared), df, p_value. ``attrs["note"]`` says what was done
        differently, and what limits the p value.

    Raises
    ------
    ArgumentError
        Models that aren't nested, or of other data, rows, response, weights or offset, naming
        which.

    See Also
    --------
    compare : Of fits to several data sets.

    Notes
    -----
    In R: ``anova(reduced, full)``, which takes models that aren't nested, too.
    """
    _check_same_family(full, reduced)
    table = full.anova(reduced)  # which checks that rows, response, weights and offset are the same
    _check_sizes(full.npar, reduced.npar)
    nesting = ask(full, "nesting", reduced.r)
    _check_nested(nesting, full, reduced)
    notes = _boundary_notes(nesting)
    if full.reml or reduced.reml:
        notes.append("fits by REML were refitted by maximum likelihood")
    row = table[["statistic", "df", "p_value"]].tail(1).reset_index(drop=True)
    row.attrs["note"] = "; ".join(notes)
    return row


@dataclass(frozen=True)
class _Pair:
    """Two lists of fits, the one's models nested in the other's.

    `k` is the number of parameters that are tested, and `nestings` has R's `nesting` of each pair.
    """

    full: tuple[MerMod, ...]
    reduced: tuple[MerMod, ...]
    k: int
    nestings: tuple[Mapping[str, Any], ...]
    notes: list[str]

    @classmethod
    def of(cls, full: MerModList, reduced: MerModList) -> _Pair:
        for name, given in (("full", full), ("reduced", reduced)):
            if not isinstance(given, MerModList):
                raise ArgumentError(
                    f"{name} must be a MerModList (fits of one model to m data sets), not "
                    f"{type(given).__name__}; two single fits are compared by `fit.anova(other)`."
                )
            rule_for(given.data.kind).check_joint_test(
                f"fit {name} to imputations, or look at the spread of its coefficients "
                "(`pool().contrast`)"
            )
        if full.names != reduced.names or not (
            full.data is reduced.data or full.data == reduced.data
        ):
            raise ArgumentError(
                "the two lists stand on different data sets: fit both models to the same "
                "ImputedData (and slice both lists alike)."
            )
        _check_same_family(full[0], reduced[0])
        pairs = list(zip(full.fits, reduced.fits, strict=True))
        for a, b in pairs:
            common = ask(a, "common_ground", b.r)
            names = ("the full model", "the reduced one")
            check_comparable(common, (a.index, b.index), names, _where(a))
        sizes = {(a.npar, b.npar) for a, b in pairs}
        if len(sizes) > 1:
            raise ArgumentError(
                "the number of parameters differs between imputations: a level of a factor is "
                "absent from some, or a coefficient was dropped there (`fit.dropped`). Drop the "
                "term, or join the level to another, in all imputations."
            )
        n_full, n_reduced = sizes.pop()
        _check_sizes(n_full, n_reduced)
        nestings = tuple(ask(a, "nesting", b.r) for a, b in pairs)
        for (a, b), nesting in zip(pairs, nestings, strict=True):
            _check_nested(nesting, a, b)
        notes = _boundary_notes(nestings[0])
        return cls(full.fits, reduced.fits, n_full - n_reduced, nestings, notes)

    @property
    def same_random(self) -> bool:
        """Whether both random parts are the same: the reduced one has as many parameters."""
        n_full, n_reduced = self.nestings[0]["n_theta"]
        return bool(n_full == n_reduced)

    @property
    def usual(self) -> str:
        """The statistic that D2 takes if none was asked for."""
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
        """Make rows of the full model's coefficients that are 0 under the reduced model."""
        kept = list(self.reduced[0].beta.index)
        frames = [
            pd.DataFrame(
                x["combinations"], index=list(x["terms"]), columns=list(x["reduced_terms"])
            )
            for x in self.nestings
        ]
        combinations = np.array([frame.loc[terms, kept].to_numpy() for frame in frames])
        sizes = pd.Series(self.nestings[0]["sizes"], index=list(self.nestings[0]["terms"]))[terms]
        weight = sizes.to_numpy()
        scaled = combinations * weight[:, None]
        largest = np.abs(scaled[0]).max(axis=0)
        # The tolerance by which R takes columns for combinations of others (span_tolerance).
        if (np.abs(scaled - scaled[0]) > 1e-6 * largest).any():
            raise ArgumentError(
                f"{method} tests coefficients, and those of the reduced model are other "
                "combinations of the full one's in each imputation (as of poly(x, 2) and x, where "
                "x was imputed). Use method='D3' or 'D4' (or 'D2' with use='likelihood')."
            )
        absent = (scaled[0] == 0).all(axis=1)
        if absent.sum() == self.k:
            return np.asarray(np.eye(len(terms))[absent])
        # The coefficients lie in the space of `combinations`: what is orthogonal to it is 0.
        left, _, _ = np.linalg.svd(scaled[0] / largest)
        return np.asarray(left[:, len(kept) :].T * weight)

    def likelihood(self, method: str, robust: bool) -> joint.JointTest:
        if any(fit.reml for fit in (*self.full, *self.reduced)):
            self.notes.append("fits by REML were refitted by maximum likelihood")
        if method != "D2":
            check_likelihood(self.full, method, "Take method='D1' or 'D2'")
        full, reduced = _Likelihoods.of(self.full), _Likelihoods.of(self.reduced)
        at_optimum = full.at_optimum, reduced.at_optimum
        if method == "D2":
            return joint.d2(2 * (at_optimum[0] - at_optimum[1]), self.k)
        if method == "D3":
            d3_optimum = (
                at_optimum if is_linear(self.full[0]) else (full.evaluated(), reduced.evaluated())
            )
            return joint.d3(*d3_optimum, full.at_pooled(), reduced.at_pooled(), self.k)
        n_params = self.full[0].npar if robust else None
        return joint.d4(*at_optimum, full.stacked(), reduced.stacked(), self.k, n_params=n_params)


@dataclass(frozen=True)
class _Likelihoods:
    """Fits of one model by maximum likelihood, and their log-likelihoods."""

    fits: tuple[Any, ...]  # R objects
    at_optimum: Floats

    @classmethod
    def of(cls, fits: Sequence[MerMod]) -> _Likelihoods:
        refits = ask_each(fits, "refit_ml")
        at_optimum = np.array([float(x["log_lik"][0]) for x in refits])
        return cls(tuple(x["object"] for x in refits), at_optimum)

    def evaluated(self) -> Floats:
        """Each imputation's log-likelihood at its own parameters, to the digits of `at_pooled`.

        lme4 ends the penalised iterations of a generalised model early, so that its log-likelihood
        of a fit has fewer.
        """
        return np.array(
            [
                float(fit.call("loglik_at", x["beta"], x["covs"], float(x["sigma2"][0])).value[0])
                for fit, x in zip(self.fits, self._parameters(), strict=True)
            ]
        )

    def at_pooled(self) -> Floats:
        """Each imputation's log-likelihood at the mean parameters."""
        parameters = self._parameters()
        if any(list(x["names"]) != list(parameters[0]["names"]) for x in parameters):
            raise PoolingError(
                "the fits differ in their parameters, or in the order of their random terms (which "
                "lme4 sorts by their number of levels): they have no mean. Use method='D1'."
            )
        covs = [np.mean(x, axis=0) for x in zip(*(y["covs"] for y in parameters), strict=True)]
        beta = np.mean([x["beta"] for x in parameters], axis=0)
        sigma2 = float(np.mean([x["sigma2"] for x in parameters]))
        return np.array(
            [float(x.call("loglik_at", beta, covs, sigma2).value[0]) for x in self.fits]
        )

    def _parameters(self) -> list[Mapping[str, Any]]:
        return [fit.call("model_parameters").value for fit in self.fits]

    def stacked(self) -> float:
        """Log-likelihood of one fit to all imputations' rows (not divided by m)."""
        stacked: Mapping[str, Any] = self.fits[0].call("stacked_loglik", list(self.fits[1:])).value
        if stacked["conv"][0] != 0:
            warnings.warn(
                "the optimizer did not converge on the stacked data: "
                f"{' '.join(stacked['message'])}; try another one (`control`).",
                RBridgeWarning,
                stacklevel=5,
            )
        return float(stacked["log_lik"][0])


def _where(fit: MerMod) -> str:
    return "" if fit.imputation is None else f"imputation {fit.imputation}: "


def _check_sizes(n_full: int, n_reduced: int) -> None:
    if n_full <= n_reduced:
        raise ArgumentError(
            f"the full model has {n_full} parameters, the reduced one {n_reduced}: the reduced "
            "one must have fewer (are they swapped?)."
        )


def _boundary_notes(nesting: Mapping[str, Any]) -> list[str]:
    n_full, n_reduced = nesting["variances"]
    if n_full <= n_reduced:
        return []
    return [
        "a variance of 0 lies on the boundary of its range, so that the p value is conservative"
    ]


def _check_same_family(full: MerMod, reduced: MerMod) -> None:
    """Refuse models whose likelihoods are those of different distributions."""
    # Negative binomial models are named by their thetas, which each fit may have estimated.
    names = [x.family.partition("(")[0] for x in (full, reduced)]
    if names[0] != names[1] or full.link != reduced.link:
        raise ArgumentError(
            f"the full model has family {full.family!r} with link {full.link!r}, the reduced one "
            f"{reduced.family!r} with {reduced.link!r}: models of different distributions aren't "
            "nested."
        )


def _check_nested(nesting: Mapping[str, Any], full: MerMod, reduced: MerMod) -> None:
    """Refuse a reduced model that isn't one of those that the full model allows."""
    outside = []
    if columns := list(nesting["columns"]):
        outside.append(
            f"its coefficients {', '.join(map(repr, columns))} are of columns that are no "
            "combination of the full model's"
        )
    if terms := list(nesting["random"]):
        outside.append(
            f"its random {'term' if len(terms) == 1 else 'terms'} {', '.join(terms)} "
            f"{'is' if len(terms) == 1 else 'are'} in none of the full model's, "
            f"{', '.join(nesting['full_random'])}"
        )
    if outside:
        raise ArgumentError(
            f"{_where(full)}the reduced model, {reduced.formula}, isn't nested in the full one, "
            f"{full.formula}: {'; '.join(outside)}. Compare models of which one leaves out terms "
            "of the other (the full model may hold the terms of both); models that aren't nested "
            "are compared by their AIC or BIC, fit by fit (`fit.anova(other)`)."
        )
