"""The tables that a job can write: the name of each, and how it is computed.

A new table is one line of `JOB_TABLES`. Which names a job file may list follows from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from ..base.glossary import beside
from ..base.records import with_terms
from ..data.imputed_data import ImputedData
from ..inference.degrees_of_freedom import default_dfcom
from ..inference.latent_scale import intercept_shares
from ..inference.mermod import MerMod
from ..pooled.mermod_list import MerModList
from ..pooled.pooled_mermod import PooledMerMod
from .job import PoolingSpec

__all__ = [
    "JOB_TABLES",
    "TABLES_OF_CHAINS",
    "TABLES_OF_DATA",
    "TABLES_OF_LIST",
    "TABLES_OF_ONE",
    "FitResults",
    "ListResults",
    "Results",
    "make_tables",
]


@dataclass(frozen=True)
class ListResults:
    """What a job with imputations has at its end, of one model."""

    data: pd.DataFrame
    imputed: ImputedData
    fits: MerModList
    pooled: PooledMerMod


@dataclass(frozen=True)
class FitResults:
    """What a job has at its end that fits a model to the data as they are."""

    data: pd.DataFrame
    fit: MerMod
    pooling: PoolingSpec

    @property
    def dfcom(self) -> str | float:
        """Degrees of freedom of the tests; the job's, or those that pooled fits have, too."""
        given = self.pooling.dfcom
        return default_dfcom([self.fit]) if given is None else given

    @cached_property
    def fixed(self) -> pd.DataFrame:
        """The fixed effects as [pooling] wants them."""
        spec = self.pooling
        return self.fit.fixed(self.dfcom, spec.conf_level, exponentiate=spec.exponentiate)


Results = ListResults | FitResults


@dataclass(frozen=True)
class JobTable:
    """A table by its name in job files, and how it is computed from either kind of results.

    A table that has a meaning for one kind only has no maker for the other; `of_chains` is a maker
    for imputations by Markov chains alone. A job that names no tables gets those whose `default`
    names its kind. Those that are `of_data` are the same whatever the model.
    """

    name: str
    of_list: Callable[[ListResults], pd.DataFrame] | None = None
    of_one: Callable[[FitResults], pd.DataFrame] | None = None
    of_chains: Callable[[ListResults], pd.DataFrame] | None = None
    default: tuple[str, ...] = ("list", "one")
    needs: tuple[str, ...] = ()  # R packages, of one fit
    of_data: bool = False


def _patterns(results: ListResults) -> pd.DataFrame:
    patterns = results.imputed.patterns()
    return beside(pd.DataFrame({"n_rows": patterns.index}), patterns)


def _missing(results: Results) -> pd.DataFrame:
    is_missing = results.data.isna()
    return pd.DataFrame(
        {
            "column": list(results.data.columns),
            "n_missing": is_missing.sum().to_numpy(),
            "fraction_missing": is_missing.mean().to_numpy(),
        }
    )


def _tidy(results: FitResults) -> pd.DataFrame:
    """Return the fit's table, with the estimates and standard errors of `fixed`."""
    tidy = results.fit.tidy()
    if not results.pooling.exponentiate and results.pooling.vcov == "model":
        return tidy
    rows = (tidy["effect"] == "fixed").to_numpy()
    fixed = results.fixed.set_index("term").loc[tidy.loc[rows, "term"]]
    for name in ("estimate", "std_error", "statistic"):
        tidy.loc[rows, name] = fixed[name].to_numpy()
    return tidy


def _icc(shares: pd.Series[float]) -> pd.DataFrame:
    return shares.rename_axis("grp").reset_index()


#: In the order in which a job lists them if it names none.
JOB_TABLES = (
    JobTable("fixed", lambda r: r.pooled.fixed, lambda r: r.fixed),
    JobTable("fixef", lambda r: r.fits.fixef(), lambda r: r.fit.fixef(), default=()),
    JobTable("vcov", lambda r: with_terms(r.pooled.vcov), lambda r: with_terms(r.fit.vcov())),
    JobTable("varcorr", lambda r: r.pooled.varcorr, lambda r: r.fit.varcorr()),
    JobTable("ranef", lambda r: r.pooled.ranef, lambda r: r.fit.ranef()),
    JobTable("coef", lambda r: r.fits.coef(), lambda r: r.fit.coef()),
    JobTable(
        "random", lambda r: r.pooled.random, lambda r: r.fit.random(r.pooling.conf_level),
        default=(),
    ),
    JobTable("r2", lambda r: r.pooled.r2, lambda r: r.fit.r2(), default=()),
    JobTable(
        "anova", lambda r: r.pooled.anova(), lambda r: r.fit.anova(), default=(),
        needs=("lmerTest",),
    ),
    JobTable("diagnostics", lambda r: r.pooled.diagnostics().coefficients, default=()),
    JobTable("all_fit", lambda r: r.fits.all_fit(), lambda r: r.fit.all_fit(), default=()),
    JobTable(
        "icc", lambda r: _icc(r.pooled.icc),
        lambda r: _icc(intercept_shares(r.fit.varcorr(), r.fit)), default=("list",),
    ),
    JobTable("tidy", lambda r: r.pooled.tidy(), _tidy),
    JobTable("model_info", lambda r: r.fits.model_info(), lambda r: r.fit.model_info()),
    JobTable("glance", lambda r: r.fits.glance(), lambda r: r.fit.glance()),
    JobTable("convergence", lambda r: r.fits.convergence(), lambda r: r.fit.convergence()),
    JobTable("fixef_by_imputation", lambda r: r.fits.fixef(by_imputation=True)),
    JobTable("vcov_by_imputation", lambda r: r.fits.vcov(by_imputation=True)),
    JobTable("varcorr_by_imputation", lambda r: r.fits.varcorr(by_imputation=True)),
    JobTable("ranef_by_imputation", lambda r: r.fits.ranef(by_imputation=True)),
    JobTable("missing", _missing, _missing, of_data=True),
    JobTable("patterns", _patterns, of_data=True),
    JobTable("convergence_chains", of_chains=lambda r: r.imputed.convergence(), of_data=True),
    JobTable(
        "trace", of_chains=lambda r: r.imputed.trace, default=(), of_data=True  # may be large
    ),
)  # fmt: skip

TABLES_OF_LIST = tuple(x.name for x in JOB_TABLES if x.of_list is not None)
TABLES_OF_CHAINS = tuple(x.name for x in JOB_TABLES if x.of_chains is not None)
TABLES_OF_ONE = tuple(x.name for x in JOB_TABLES if x.of_one is not None)
TABLES_OF_DATA = tuple(x.name for x in JOB_TABLES if x.of_data)


def make_tables(results: Results, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Make the tables of these names, in this order."""
    by_name = {table.name: table for table in JOB_TABLES}
    tables = {}
    for name in names:
        table = by_name[name]
        if isinstance(results, ListResults):
            make = table.of_list or table.of_chains
            assert make is not None, name
            tables[name] = make(results)
        else:
            assert table.of_one is not None, name
            tables[name] = table.of_one(results)
    return tables
