"""The pooled model: m fits as one answer, matched by name of term and level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from .errors import ArgumentError, PoolingError
from .mermod import MerMod, random_terms
from .pooling import rubin
from .printed import Printed
from .schemas import checked

__all__ = ["PooledMerMod", "pool_fits"]


@dataclass(frozen=True, eq=False)
class PooledMerMod:
    """What m fits say together.

    Attributes
    ----------
    fixed : DataFrame
        term, estimate, std_error, statistic, df, p_value, conf_low, conf_high, ubar, b, t, riv,
        lambda_, fmi; one row per coefficient, in the model's order.
    vcov : DataFrame, terms x terms
        Total covariance matrix of the fixed effects.
    varcorr : DataFrame
        grp, var1, var2, vcov, sdcor: mean covariance matrices, SDs and correlations from them.
    ranef : DataFrame
        grpvar, term, grp, condval (mean), condsd (total standard deviation).
    sigma : float
        Square root of the mean residual variance, in the units of the response.
    icc : Series
        Per grouping factor: its intercept variance as a share of all intercept variances and the
        residual one (with random slopes: where these terms are zero).
    m : int
        Number of fits.
    kind : {"imputation", "bootstrap"}
        Bootstrap samples are pooled by the spread of their estimates: ubar, riv, lambda_ and fmi
        have no meaning there and are missing.
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
    notes: tuple[str, ...] = field(default=(), repr=False)

    def tidy(self) -> pd.DataFrame:
        """effect, group, term, estimate, std_error, statistic, as a single fit's ``tidy()``."""
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
        """The pooled model in the layout of lme4's summary."""
        rule = (
            "Rubin's rules over imputations"
            if self.kind == "imputation"
            else "spread over bootstrap samples (no imputations)"
        )
        lines = [f"Linear mixed model, {self.m} fits pooled by {rule}", f"Formula: {self.formula}"]
        lines += ["", "Random effects (mean covariance matrices):", *_random_lines(self.varcorr)]
        low, high = min(self.nobs), max(self.nobs)
        groups = "; ".join(f"{name}, {n}" for name, n in self.ngrps.items())
        lines += [f"Number of obs: {low if low == high else f'{low} to {high}'}, groups:  {groups}"]
        shown = self.fixed.set_index("term").rename_axis(None)
        columns = ["estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high"]
        if self.kind == "imputation":
            columns += ["riv", "fmi"]
        table = shown[columns].to_string(formatters=_FORMATS)
        lines += ["", f"Fixed effects ({100 * self.conf_level:g}% intervals):", *table.split("\n")]
        return Printed.of([*lines, *self.notes])

    def __repr__(self) -> str:
        return f"<PooledMerMod: {self.formula}; {self.m} fits>"

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def _p_text(p: float) -> str:
    if p < 1e-300:  # a double can't hold it
        return "<1e-300"
    return f"{p:.3g}" if p >= 1e-4 or np.isnan(p) else f"{p:.1e}"


_FORMATS: Any = {
    **dict.fromkeys(("estimate", "std_error", "conf_low", "conf_high"), "{:.5f}".format),
    "df": "{:.1f}".format,
    "statistic": "{:.3f}".format,
    "p_value": _p_text,
    **dict.fromkeys(("riv", "fmi"), "{:.4f}".format),
}


def _random_lines(varcorr: pd.DataFrame) -> list[str]:
    """Groups, names, variance, SD and correlations, laid out as lme4 prints them."""
    rows = []
    for grp, part in varcorr.groupby("grp", sort=False):
        own = part[part["var2"].isna()]
        pairs = part[part["var2"].notna()]
        for i, row in enumerate(own.itertuples()):
            name = "" if pd.isna(row.var1) else str(row.var1)
            with_earlier = [f"{r.sdcor:.2f}" for r in pairs.itertuples() if r.var2 == row.var1]
            rows.append(
                [
                    str(grp) if i == 0 else "",
                    name,
                    f"{row.vcov:.5f}",
                    f"{row.sdcor:.4f}",
                    " ".join(with_earlier),
                ]
            )
    head = ["Groups", "Name", "Variance", "Std.Dev.", "Corr"]
    table = [head, *rows]
    a, b, c, d = (max(len(row[i]) for row in table) for i in range(4))
    return [f" {r[0]:<{a}} {r[1]:<{b}} {r[2]:>{c}} {r[3]:>{d}} {r[4]}".rstrip() for r in table]


def pool_fits(
    fits: Sequence[MerMod],
    kind: Literal["imputation", "bootstrap"],
    dfcom: Any = None,
    conf_level: float = 0.95,
) -> PooledMerMod:
    """Pool fits by name; see `MerModList.pool`."""
    if len(fits) < 2:
        raise ArgumentError(
            f"pooling needs at least two fits, not {len(fits)}: one fit shows nothing of the "
            "variance between imputations. Its own tables are in `fits[0]`."
        )
    betas = [fit.beta for fit in fits]
    terms = _common([list(x.index) for x in betas], "coefficients", fits)
    estimates = np.array([x.loc[terms].to_numpy() for x in betas])
    vcovs = np.array([fit.vcov().loc[terms, terms].to_numpy() for fit in fits])
    if kind == "bootstrap":
        fixed = rubin.pool_bootstrap(estimates, conf_level=conf_level)
        vcov = rubin.bootstrap_vcov(estimates)
    else:
        variances = np.diagonal(vcovs, axis1=1, axis2=2)
        complete = _complete_df(dfcom, fits)
        fixed = rubin.pool_scalars(estimates, variances, dfcom=complete, conf_level=conf_level)
        vcov = rubin.pool_vcov(estimates, vcovs).t
    varcorr = _pool_varcorr(fits)
    return PooledMerMod(
        fixed=checked(pd.DataFrame({"term": terms, **fixed.columns()}), "fixed"),
        vcov=pd.DataFrame(vcov, index=terms, columns=terms),
        varcorr=varcorr,
        ranef=_pool_ranef(fits, kind),
        sigma=float(np.sqrt(np.mean([fit.sigma**2 for fit in fits]))),
        icc=_icc(varcorr),
        m=len(fits),
        kind=kind,
        conf_level=conf_level,
        formula=fits[0].formula,
        nobs=tuple(fit.nobs for fit in fits),
        ngrps=fits[0].ngrps,
    )


def _complete_df(dfcom: Any, fits: Sequence[MerMod]) -> float:
    """Degrees of freedom of the complete data; by default the fits' residual ones, as mice does."""
    if dfcom is None or dfcom == "residual":
        return float(min(fit.df_residual for fit in fits))
    if isinstance(dfcom, bool) or not isinstance(dfcom, int | float) or not dfcom > 0:
        raise ArgumentError(
            "dfcom must be a positive number, math.inf, or None for the residual ones, not "
            f"{dfcom!r}."
        )
    return float(dfcom)


def _common(names: Sequence[Sequence[Any]], what: str, fits: Sequence[MerMod]) -> list[Any]:
    """The names of the first fit, which all others must have too."""
    for fit, found in zip(fits, names, strict=True):
        odd = set(found) ^ set(names[0])
        if odd:
            raise PoolingError(
                f"imputation {fit.imputation} has other {what} than imputation "
                f"{fits[0].imputation}: they differ in {', '.join(sorted(map(str, odd)))}. A "
                "factor may have lost a level, or the design its rank: combine levels, or leave "
                "those fits out (slice the list)."
            )
    return list(names[0])


def _pool_varcorr(fits: Sequence[MerMod]) -> pd.DataFrame:
    tables = [fit.varcorr() for fit in fits]
    keys = [
        [
            tuple(None if pd.isna(x) else x for x in row)
            for row in t[["grp", "var1", "var2"]].to_numpy()
        ]
        for t in tables
    ]
    common = _common(keys, "covariance parameters", fits)
    by_key = [dict(zip(k, t["vcov"], strict=True)) for k, t in zip(keys, tables, strict=True)]
    mean = {key: float(np.mean([x[key] for x in by_key])) for key in common}
    variance = {(grp, var1): x for (grp, var1, var2), x in mean.items() if var2 is None}
    with np.errstate(invalid="ignore", divide="ignore"):
        sdcor = [
            np.sqrt(x)
            if var2 is None
            else x / np.sqrt(variance[grp, var1]) / np.sqrt(variance[grp, var2])
            for (grp, var1, var2), x in mean.items()
        ]
    frame = tables[0][["grp", "var1", "var2"]].copy()
    return checked(frame.assign(vcov=list(mean.values()), sdcor=sdcor), "varcorr")


def _pool_ranef(fits: Sequence[MerMod], kind: str) -> pd.DataFrame:
    keys = ["grpvar", "term", "grp"]
    tables = [fit.ranef().set_index(keys) for fit in fits]
    index = tables[0].index
    for table in tables[1:]:
        index = index.append(table.index.difference(index, sort=False))
    rows = [table.reindex(index) for table in tables]
    condval = np.array([x["condval"].to_numpy() for x in rows])
    condvar = np.array([x["condsd"].to_numpy() for x in rows]) ** 2
    pooled = rubin.pool_blups(condval, condvar)
    # The spread of bootstrap fits holds what condVar measures already: it isn't added to it.
    condsd = pooled.condsd if kind == "imputation" else np.sqrt(pooled.within)
    frame = index.to_frame(index=False).assign(condval=pooled.condval, condsd=condsd)
    return checked(frame, "ranef")


def _icc(varcorr: pd.DataFrame) -> pd.Series[float]:
    intercepts = varcorr[(varcorr["var1"] == "(Intercept)") & varcorr["var2"].isna()]
    residual = float(varcorr.loc[varcorr["var1"].isna(), "vcov"].sum())
    shares = intercepts.set_index("grp")["vcov"]
    return (shares / (shares.sum() + residual)).rename("icc").rename_axis(None)
