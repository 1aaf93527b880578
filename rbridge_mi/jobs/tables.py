"""The tables that a job can write: the name of each, and how it is computed.

A new table is one line of `JOB_TABLES`. Which names a job file may list follows from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from ..base.glossary import beside
from ..base.records import with_terms
from ..data.imputed_data import ImputedData
from ..inference.mermod import MerMod
from ..pooled.mermod_list import MerModList
from ..pooled.pooled_mermod import PooledMerMod

__all__ = [
    "JOB_TABLES",
    "TABLES_OF_CHAINS",
    "TABLES_OF_LIST",
    "TABLES_OF_ONE",
    "FitResults",
    "ListResults",
    "Results",
    "make_tables",
]


@dataclass(frozen=True)
class ListResults:
    """What a job with imputations has at its end."""

    data: pd.DataFrame
    imputed: ImputedData
    fits: MerModList
    pooled: PooledMerMod


@dataclass(frozen=True)
class FitResults:
    """What a job has at its end that fits one model to the data as they are."""

    data: pd.DataFrame
    fit: MerMod


Results = ListResults | FitResults


@dataclass(frozen=True)
class JobTable:
    """A table by its name in job files, and how it is computed from either kind of results.

    A table that has a meaning for one kind only has no maker for the other; `of_chains` is a maker
    for imputations by Markov chains alone. A job that names no tables gets those whose `default`
    names its kind.
    """

    name: str
    of_list: Callable[[ListResults], pd.DataFrame] | None = None
    of_one: Callable[[FitResults], pd.DataFrame] | None = None
    of_chains: Callable[[ListResults], pd.DataFrame] | None = None
    default: tuple[str, ...] = ("list", "one")
    needs: tuple[str, ...] = ()  # R packages, of one fit


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


#: In the order in which a job lists them if it names none.
JOB_TABLES = (
    JobTable("fixef", of_one=lambda r: r.fit.fixef()),
    JobTable(
        "fixed", lambda r: r.pooled.fixed, lambda r: r.fit.fixed(), default=("list",),
        needs=("lmerTest",),
    ),
    JobTable("vcov", lambda r: with_terms(r.pooled.vcov), lambda r: with_terms(r.fit.vcov())),
    JobTable("varcorr", lambda r: r.pooled.varcorr, lambda r: r.fit.varcorr()),
    JobTable("ranef", lambda r: r.pooled.ranef, lambda r: r.fit.ranef()),
    JobTable("coef", lambda r: r.fits.coef(), lambda r: r.fit.coef()),
    JobTable("random", lambda r: r.pooled.random, default=()),
    JobTable("r2", lambda r: r.pooled.r2, lambda r: r.fit.r2(), default=()),
    JobTable(
        "anova", lambda r: r.pooled.anova(), lambda r: r.fit.anova(), default=(),
        needs=("lmerTest",),
    ),
    JobTable("diagnostics", lambda r: r.pooled.diagnostics().coefficients, default=()),
    JobTable("all_fit", lambda r: r.fits.all_fit(), lambda r: r.fit.all_fit(), default=()),
    JobTable("icc", lambda r: r.pooled.icc.rename_axis("grp").reset_index()),
    JobTable("tidy", lambda r: r.pooled.tidy(), lambda r: r.fit.tidy()),
    JobTable("model_info", lambda r: r.fits.model_info(), lambda r: r.fit.model_info()),
    JobTable("glance", lambda r: r.fits.glance(), lambda r: r.fit.glance()),
    JobTable("convergence", lambda r: r.fits.convergence(), lambda r: r.fit.convergence()),
    JobTable("fixef_by_imputation", lambda r: r.fits.fixef(by_imputation=True)),
    JobTable("vcov_by_imputation", lambda r: r.fits.vcov(by_imputation=True)),
    JobTable("varcorr_by_imputation", lambda r: r.fits.varcorr(by_imputation=True)),
    JobTable("ranef_by_imputation", lambda r: r.fits.ranef(by_imputation=True)),
    JobTable("missing", _missing, _missing),
    JobTable("patterns", _patterns),
    JobTable("convergence_chains", of_chains=lambda r: r.imputed.convergence()),
    JobTable("trace", of_chains=lambda r: r.imputed.trace, default=()),  # may be large
)  # fmt: skip

TABLES_OF_LIST = tuple(x.name for x in JOB_TABLES if x.of_list is not None)
TABLES_OF_CHAINS = tuple(x.name for x in JOB_TABLES if x.of_chains is not None)
TABLES_OF_ONE = tuple(x.name for x in JOB_TABLES if x.of_one is not None)


def make_tables(results: Results, names: tuple[str, ...]) -> dict[str, pd.DataFrame]:
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
