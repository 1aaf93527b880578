"""merTools' answers for a list of fits, mistakes included: to match an old R report, not to trust.

Every number is the one that merTools 0.5.2 gives for a ``merModList``, computed here from the
fits' own tables: merTools need not be installed. What is wrong with a number, and which method to
use instead, stands in the docstring of each method.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .errors import PoolingError, RBridgeWarning, RNotFoundError
from .mermod import MerMod
from .pooling._tails import t_two_sided
from .printed import Printed
from .rprint import (
    as_character,
    call_lines,
    format_numbers,
    matrix_lines,
    round_r,
    vector_lines,
)

__all__ = ["MerToolsTables"]


class _Term(NamedTuple):
    """One random-effects term: its group, and its coefficients' SDs and correlations."""

    grp: str | None
    names: list[str]
    sds: list[float]
    correlations: list[list[float]]


@dataclass(frozen=True, eq=False, repr=False)
class MerToolsTables:
    """What merTools 0.5.2 says of the fits, for reports that must match it: ``fits.mertools``.

    None of these numbers is the right one to report, for the reasons that each method gives:
    ``fits.pool()``, ``fits.fixef()``, ``fits.varcorr()``, ``fits.ranef()`` and ``fits.summary()``
    are. merTools knows no bootstrap: it treats such samples as imputations, and so do these.

    Rows sorted by term are in the order of R's locale, as dplyr 1.0 sorts them. The order is the
    one thing that R is asked; where there is no R it is by code point, as in dplyr since 1.1.

    Parameters
    ----------
    fits : sequence of MerMod
    failed : collection of int
        Numbers of the data sets that could not be fitted.

    Raises
    ------
    PoolingError
        Where a fit is missing: merTools then stops, without a list.

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

    fits: Sequence[MerMod]
    failed: Collection[int] = ()

    def __post_init__(self) -> None:
        if self.failed:
            numbers = ", ".join(map(str, self.failed))
            raise PoolingError(
                f"merTools fails here: imputation {numbers} could not be fitted, and its "
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
        it, under the first names of full length. Instead: ``fits.fixef()``, which matches by name
        (and is the same where all fits have the same terms).

        Returns
        -------
        DataFrame
            One row per coefficient, in the model's order; units of the response per unit of term.
        """
        betas = [fit.beta for fit in self.fits]
        longest = max(map(len, betas))
        # R's recycling: a shorter vector starts again from its first element.
        total = sum(np.resize(beta.to_numpy(), longest) for beta in betas)
        terms = next(list(beta.index) for beta in betas if len(beta) == longest)
        return pd.DataFrame({"term": terms, "estimate": total / len(betas)})

    def varcorr(self) -> pd.DataFrame:
        """Mean SDs and mean correlations of the random effects. In R: ``VarCorr(list)``.

        Wrong: SDs and correlations are averaged, not covariances, so that they need not belong to
        any covariance matrix; one fit with a variance of zero makes a correlation missing; there
        is no residual; a term with one coefficient is always called (Intercept), as in
        ``(0 + x | g)``; and groups are named in the order of the grouping factors, so that a
        second term on the same factor (``||``) shifts the names and leaves the last without one.
        Instead: ``fits.varcorr()``.

        Returns
        -------
        DataFrame
            grp, var1, var2, sdcor: per term its SDs, in units of the response per unit of var1
            (var2 missing), then its correlations. A missing grp is R's NA.

        Raises
        ------
        PoolingError
            Where the fits' terms differ in their number of coefficients: merTools stops there.
        """
        rows: list[tuple[str | None, str, str | None, float]] = []
        for grp, names, sds, correlations in self._mean_terms():
            rows += [(grp, name, None, sd) for name, sd in zip(names, sds, strict=True)]
            rows += [
                (grp, names[j], names[i], correlations[i][j])
                for j in range(len(names))
                for i in range(j + 1, len(names))
            ]
        return pd.DataFrame(rows, columns=["grp", "var1", "var2", "sdcor"])

    def ranef(self) -> pd.DataFrame:
        """Random effects of the first fit, divided by m. In R: ``ranef(list)``.

        Wrong: they are no means: only the first fit is looked at, and its effects are m times too
        small. With several grouping factors, the first one's table stands under every name.
        Instead: ``fits.ranef()``.

        Returns
        -------
        DataFrame
            grpvar, term, grp, condval; in units of the response per unit of the term.
        """
        first = self.fits[0].ranef()
        factors = list(self.fits[0].ngrps)
        table = first.loc[first["grpvar"] == factors[0], ["grpvar", "term", "grp", "condval"]]
        table = table.assign(condval=table["condval"] / len(self.fits))
        return pd.concat([table.assign(grpvar=name) for name in factors], ignore_index=True)

    def model_fixed_eff(self) -> pd.DataFrame:
        """Fixed effects with merTools' standard errors. In R: ``modelFixedEff(list)``.

        Wrong: std_error is the mean *standard error* plus (1 + 1/m) times the *variance* between
        the fits (with divisor m), without a root. The sum depends on the units of the term and of
        the response: a rescaled predictor has another statistic. df comes from the same mix, and
        doesn't know how many rows the data have. A term that some fits lack still counts as if m
        fits had it. Instead: ``fits.pool().fixed``.

        Returns
        -------
        DataFrame
            term, estimate, std_error, statistic, df; sorted by term. With one fit df is NaN.

        Warns
        -----
        RBridgeWarning
            Where merTools warns that the variance between the fits is very small.
        """
        return self._fixed(stacklevel=3)

    def model_rand_eff_stats(self) -> pd.DataFrame:
        """SDs and correlations, with their spread. In R: ``modelRandEffStats(list)``.

        Wrong: the means are those of `varcorr`, and std_error is the standard deviation between
        the fits, which says nothing of the sampling error within each. Instead:
        ``fits.varcorr()``; and for an interval ``fits[0].confint()``, per fit.

        Returns
        -------
        DataFrame
            term, group, estimate, std_error; sorted by term and group; SDs in units of the
            response per unit of the term. With one fit std_error is missing.
        """
        found: dict[tuple[str, str], list[float]] = {}
        for fit in self.fits:
            part = fit.tidy().query("effect == 'ran_pars'")
            for term, group, x in zip(part["term"], part["group"], part["estimate"], strict=True):
                found.setdefault((term, group), []).append(x)
        rank = self._ranks(x for key in found for x in key)
        keys = sorted(found, key=lambda key: (rank[key[0]], rank[key[1]]))
        rows = [(*key, _mean(found[key]), _sd(found[key])) for key in keys]
        return pd.DataFrame(rows, columns=["term", "group", "estimate", "std_error"])

    def model_info(self) -> pd.DataFrame:
        """One row per fit, as the vignette shows them. In R: ``lapply(list, modelInfo)``.

        Misleading: n_lvls is the number of grouping *factors*, not of their levels (those are in
        ``fits[0].ngrps``), and aic that of the restricted likelihood, which can't be compared
        between different fixed effects. Instead: ``fits.glance()``.

        Returns
        -------
        DataFrame
            imputation, n_obs, n_lvls, aic, sigma (in the units of the response).
        """
        parts = [fit.model_info() for fit in self.fits]
        for fit, part in zip(self.fits, parts, strict=True):
            part.insert(0, "imputation", fit.imputation)
        return pd.concat(parts, ignore_index=True)

    # -- printed ----------------------------------------------------------------------------

    def summary(self, digits: int = 3) -> Printed:
        """The text of ``print(summary(list), digits)``, line by line.

        Wrong: its tables are `model_fixed_eff` and `varcorr`; call, method and number of rows are
        those of the first fit; AIC is a mean, which has no meaning. Instead: ``fits.summary()``.

        The call is the one that ``lmerModList(formula, data)`` leaves, with ``REML = FALSE`` after
        ML. A `MerMod` doesn't know of other arguments: R would show ``control = ..1`` and the
        like (and merTools stops at weights, offset and subset).

        Parameters
        ----------
        digits : int
            Decimals.
        """
        first, terms = self.fits[0], self._mean_terms()
        method = "REML" if first.reml else "maximum likelihood "
        lines = [f'[1] "Linear mixed model fit by {method}"', "Model family: ", *self._call()]
        lines += ["", "Fixed Effects:"]
        lines += _frame_lines(self._fixed(stacklevel=3), digits)
        lines += ["", "Random Effects:", "", "Error Term Standard Deviations by Level:"]
        for grp, names, sds, _ in terms:
            lines += ["", grp or "NA", *vector_lines(names, _rounded(sds, digits)), ""]
        lines += ["", "Error Term Correlations:"]
        for grp, names, _, correlations in terms:
            cells = _rounded_matrix(correlations, digits)
            lines += ["", grp or "NA", *matrix_lines(names, names, cells, right=False), ""]
        (sigma,) = _rounded([_mean([fit.sigma for fit in self.fits])], digits)
        return Printed.of(
            [
                *lines,
                "",
                f"Residual Error = {sigma} ",
                "",
                "---Groups",
                self._groups(first.nobs),
                "",
                "Model Fit Stats",
                self._aic(),
                f"Residual standard deviation = {sigma} ",
            ]
        )

    def fastdisp(self, digits: int = 2, detail: bool = False) -> Printed:
        """The text of ``fastdisp(list, digits, detail)``, line by line.

        Wrong: its coefficients are those of `model_fixed_eff`. The SDs of `model_rand_eff_stats`
        are filled in by alphabetical order of their terms, beside names in the model's order:
        those of two slopes, or of two groups, may be swapped. The correlations are the first
        fit's alone; AIC is a mean. Instead: ``fits.summary()``.

        Parameters
        ----------
        digits : int
            Decimals.
        detail : bool
            With statistic, df and p value.

        Raises
        ------
        PoolingError
            Where merTools has not as many SDs as rows (a term's name holds "cor_", or the fits'
            terms differ).
        """
        fixed = self._fixed(stacklevel=3)
        if detail:
            fixed["p.value"] = t_two_sided(fixed["statistic"], fixed["df"])
        else:
            fixed = fixed[["term", "estimate", "std_error"]]
        mean_n = round(_mean([fit.nobs for fit in self.fits]))
        return Printed.of(
            [
                *self._call(),
                *_frame_lines(fixed, digits),
                "",
                "Error terms:",
                *self._error_terms(digits),
                "---",
                self._groups(mean_n),
                f"{self._aic()}---",
            ]
        )

    # -- parts ------------------------------------------------------------------------------

    def _fixed(self, stacklevel: int) -> pd.DataFrame:
        m = len(self.fits)
        tables = [fit.tidy().query("effect == 'fixed'") for fit in self.fits]
        stacked = pd.concat(tables, ignore_index=True)
        terms = list(self._ranks(stacked["term"]))
        parts = [stacked[stacked["term"] == term] for term in terms]
        estimate = np.array([_mean(x["estimate"]) for x in parts])
        within = np.array([_mean(x["std_error"]) for x in parts])
        deviations = [x["estimate"] - mean for x, mean in zip(parts, estimate, strict=True)]
        between = (1 + 1 / m) * np.array([_mean(x**2) for x in deviations])
        if (between**2 < 1e-9).any():
            alike = ", ".join(np.array(terms)[between**2 < 1e-9])
            warnings.warn(
                f"merTools asks here whether the data sets are too similar, for {alike}: a "
                "question of units, as much as of the data. `fits.pool().fixed` has the relative "
                "increase in variance (riv).",
                RBridgeWarning,
                stacklevel=stacklevel,
            )
        std_error = within + between
        with np.errstate(divide="ignore", invalid="ignore"):
            df = (m - 1) * (1 + within / between) ** 2
        return pd.DataFrame(
            {
                "term": terms,
                "estimate": estimate,
                "std_error": std_error,
                "statistic": estimate / std_error,
                "df": df,
            }
        )

    def _ranks(self, texts: Iterable[str]) -> dict[str, int]:
        """The distinct texts and their places, in the order of R's locale."""
        distinct = sorted(set(texts))
        with suppress(RNotFoundError):
            distinct = list(self.fits[0].r.call("sorted_texts", distinct).value)
        return {text: i for i, text in enumerate(distinct)}

    def _mean_terms(self) -> list[_Term]:
        fits = [_terms(fit) for fit in self.fits]
        if any([len(x.names) for x in fit] != [len(x.names) for x in fits[0]] for fit in fits):
            raise PoolingError(
                "merTools fails here: the random terms of the fits differ in their number of "
                "coefficients. A factor may have lost a level in some data sets."
            )
        terms = []
        factors = list(self.fits[0].ngrps)
        for factor, same in zip_longest(factors, zip(*fits, strict=True)):
            names = same[0].names
            terms.append(
                _Term(
                    factor,
                    names if len(names) > 1 else ["(Intercept)"],
                    [_mean(x) for x in zip(*(x.sds for x in same), strict=True)],
                    [
                        [_mean([x.correlations[i][j] for x in same]) for j in range(len(names))]
                        for i in range(len(names))
                    ],
                )
            )
        return terms

    def _error_terms(self, digits: int) -> list[str]:
        terms = _terms(self.fits[0])
        widest = max(len(x.names) for x in terms)
        groups, names, corr = [], [], []
        for term in terms:
            size = len(term.names)
            groups += [term.grp or "", *[""] * (size - 1)]
            names += term.names
            columns = _rounded_matrix(term.correlations, digits)
            corr += [
                [columns[j][i] if j < i else "" for j in range(size)] + [""] * (widest - size)
                for i in range(size)
            ]
        stats = self.model_rand_eff_stats()
        # merTools' own test for a correlation.
        stats = stats[~stats["term"].str.contains("cor_", regex=False)]
        residual = stats["group"] == "Residual"
        sds = [*stats.loc[~residual, "estimate"], *stats.loc[residual, "estimate"]]
        if (len(names) + 1) % len(sds):
            raise PoolingError(
                f"merTools' fastdisp fails here: it has {len(sds)} standard deviations for "
                f"{len(names) + 1} rows. Either a term's name holds 'cor_', so that it is taken "
                "for a correlation, or the fits' terms differ."
            )
        shown = [as_character(round_r(x, digits)) for x in sds]
        head = ["Groups", "Name", "Std.Dev."]
        cells = [
            [*groups, "Residual"],
            [*names, ""],
            shown * ((len(names) + 1) // len(shown)),  # recycled by R
        ]
        if widest > 1:
            head += ["Corr", *[""] * (widest - 1)]
            cells += [list(x) for x in zip(*corr, [""] * widest, strict=True)]
        return matrix_lines([""] * (len(names) + 1), head, cells, right=False)

    def _call(self) -> list[str]:
        ml = "" if self.fits[0].reml else ", REML = FALSE"
        return call_lines(f"lmer(formula = {self.fits[0].formula}, data = d{ml})")

    def _groups(self, nobs: int) -> str:
        groups = "; ".join(f"{name}, {n}" for name, n in self.fits[0].ngrps.items())
        return f"number of obs: {nobs}, groups: {groups}"

    def _aic(self) -> str:
        return f"AIC = {round_r(_mean([fit.aic for fit in self.fits]), 1):g}"


def _terms(fit: MerMod) -> list[_Term]:
    """The random terms of one fit, in its order."""
    terms = []
    varcorr = fit.varcorr()
    for grp, part in varcorr[varcorr["var1"].notna()].groupby("grp", sort=False):
        own = part["var2"].isna()
        names = list(part.loc[own, "var1"])
        matrix = np.eye(len(names))
        for a, b, x in part.loc[~own, ["var1", "var2", "sdcor"]].itertuples(index=False):
            i, j = names.index(a), names.index(b)
            matrix[i, j] = matrix[j, i] = x
        terms.append(_Term(str(grp), names, list(part.loc[own, "sdcor"]), matrix.tolist()))
    return terms


# -- R's arithmetic -------------------------------------------------------------------------


def _mean(values: Any) -> float:
    """R's ``mean()``: summed in extended precision, and corrected once by the mean residual."""
    x = np.asarray(values, dtype=np.longdouble)
    mean = x.cumsum()[-1] / len(x)
    return float(mean + (x - mean).cumsum()[-1] / len(x))


def _sd(values: Any) -> float:
    """R's ``sd()``, in extended precision; missing for one value."""
    x = np.asarray(values, dtype=np.longdouble)
    if len(x) < 2:
        return float("nan")
    deviations = x - _mean(x)
    return float(np.sqrt(float((deviations**2).cumsum()[-1] / (len(x) - 1))))


# -- R's tables -----------------------------------------------------------------------------

_HEADS = {"std_error": "std.error"}


def _rounded(values: Sequence[float], digits: int) -> list[str]:
    """Rounded, and written with as many decimals, in one width: arm's ``fround``."""
    return format_numbers([round_r(float(x), digits) for x in values], nsmall=digits)


def _rounded_matrix(rows: list[list[float]], digits: int) -> list[list[str]]:
    """The columns of a square matrix, all cells in one width."""
    n = len(rows)
    texts = _rounded([rows[i][j] for j in range(n) for i in range(n)], digits)
    return [texts[j * n : (j + 1) * n] for j in range(n)]


def _frame_lines(frame: pd.DataFrame, digits: int) -> list[str]:
    """A frame as R prints it, its terms as row names; each column in a width of its own."""
    columns = [x for x in frame.columns if x != "term"]
    cells = [_rounded(frame[x].tolist(), digits) for x in columns]
    heads = [_HEADS.get(x, x) for x in columns]
    return matrix_lines(list(frame["term"]), heads, cells, right=True)
