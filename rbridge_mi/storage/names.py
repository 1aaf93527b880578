"""The names in saved files of results, their parts and R's answers, for each version of the format.

A file says "fit", "row labels" or "core", whatever the class, the field or the R function that it
stands for is called here. After a renaming, only the right-hand side of a line below changes. The
names of a format that a released version has written stay as they are: a later version that stores
something else gives the format a new number, with other tables, and files of it to
`tests/storage/formats`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ..data.imputed_data import ImputedData
from ..data.provenance import ColumnModel
from ..data.stores import Cells, CellStore, FrameStore, RowStore
from ..inference.mermod import MerMod
from ..pooled.mermod_list import MerModList
from ..pooled.pooled_mermod import PooledMerMod

__all__ = ["FORMATS", "NEWEST", "Answer", "Kind", "Names"]


@dataclass(frozen=True)
class Kind:
    """A class, and its fields by their stored names."""

    cls: type
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """An R function that answers for a fit, and the parts of its answer by their stored names.

    Without parts the answer is stored as it is. With `per_group` it is one such answer for each
    grouping factor; with `as_table` it becomes a CSV file.
    """

    function: str
    parts: Mapping[str, str] = field(default_factory=dict)
    per_group: bool = False
    as_table: bool = False

    def stored(self, answer: Any) -> Any:
        """Return the answer with its parts under their stored names."""
        renamed = self._renamed(answer, {part: name for name, part in self.parts.items()})
        return pd.DataFrame(renamed) if self.as_table else renamed

    def loaded(self, answer: Any) -> Any:
        """Return the stored answer with the names that R gives its parts."""
        return self._renamed(answer, self.parts)

    def _renamed(self, answer: Any, names: Mapping[str, str]) -> Any:
        if not names:
            return answer
        if self.per_group:
            return {group: _renamed(x, names, self.function) for group, x in answer.items()}
        return _renamed(answer, names, self.function)


def _renamed(answer: Any, names: Mapping[str, str], function: str) -> Any:
    unknown = [x for x in answer if x not in names]
    if unknown:
        raise ValueError(f"{unknown[0]!r} of {function} has no name in this format")
    if isinstance(answer, pd.DataFrame):
        return answer.rename(columns=names)
    return {names[part]: x for part, x in answer.items()}


@dataclass(frozen=True)
class Names:
    """The names of one version of the format."""

    kinds: Mapping[str, Kind]
    answers: Mapping[str, Answer]

    def kind_of(self, value: Any) -> str | None:
        """Return the stored name of a value's class; None if values of it have no place."""
        return next((name for name, x in self.kinds.items() if x.cls is type(value)), None)

    def stored_answers(self, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return R's answers, by R function, under their stored names."""
        names = {x.function: name for name, x in self.answers.items()}
        return {
            names[function]: self.answers[names[function]].stored(answer)
            for function, answer in answers.items()
        }

    def loaded_answers(self, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return stored answers by the R functions that give them."""
        return {self.answers[x].function: self.answers[x].loaded(y) for x, y in answers.items()}


def _names(same: str, **others: str) -> dict[str, str]:
    """Make stored names: those that are the same here, and those that stand for another."""
    return {**{x: x for x in same.split()}, **others}


_VARCORR = _names("grp var1 var2 vcov sdcor")
_RANEF = _names("grpvar term grp condval condsd")
_CORE = (
    "formula reml terms beta theta_names theta group_names group_counts nobs npar df_residual "
    "sigma criterion log_lik aic bic optimizer optimizer_message convergence dropped columns "
    "collation family link has_scale"
)

# The names of Python's classes and fields and of R's functions, as they were at the time.
_FORMAT_1 = Names(
    kinds={
        "MerMod": Kind(MerMod, _names("r index messages imputation", _known="answers")),
        "MerModList": Kind(MerModList, _names("fits data failed")),
        "PooledMerMod": Kind(
            PooledMerMod,
            _names(
                "fixed vcov varcorr ranef sigma icc m kind conf_level formula nobs ngrps dfcom "
                "complete_df fits data notes"
            ),
        ),
        "ImputedData": Kind(
            ImputedData,
            _names("original store method kind seed settings warnings notes message chain_lengths"),
        ),
        "CellStore": Kind(CellStore, _names("base cells m")),
        "Cells": Kind(Cells, _names("rows values dtype")),
        "RowStore": Kind(RowStore, _names("base rows cluster labels")),
        "FrameStore": Kind(FrameStore, _names("frames")),
    },
    answers={
        "mermod_core": Answer("mermod_core", _names(_CORE + " n_flist singular")),
        "mermod_vcov": Answer("mermod_vcov", _names("terms vcov")),
        "mermod_varcorr": Answer("mermod_varcorr", _VARCORR, as_table=True),
        "mermod_ranef": Answer("mermod_ranef", _RANEF, as_table=True),
        "mermod_coef": Answer("mermod_coef", _names("grp terms values"), per_group=True),
        "mermod_cases": Answer("mermod_cases", _names("rows fitted residual_rows residuals")),
        "mermod_print": Answer("mermod_print"),
        "mermod_summary": Answer("mermod_summary"),
        "variance_shares": Answer("variance_shares", _names("fixed random residual")),
    },
)

_FORMAT_2 = Names(
    kinds={
        "fit": Kind(
            MerMod,
            _names("messages imputation answers", **{"row labels": "index", "R object": "r"}),
        ),
        "fits": Kind(MerModList, _names("fits data failed")),
        "pooled model": Kind(
            PooledMerMod,
            _names(
                "fixed vcov varcorr ranef sigma icc m kind conf_level formula nobs ngrps dfcom "
                "complete_df fits data notes vcov_method exponentiate"
            ),
        ),
        "imputed data": Kind(
            ImputedData,
            _names(
                "original method kind seed settings warnings notes log trace",
                **{"data sets": "store", "column models": "saw", "R object": "r"},
            ),
        ),
        "column model": Kind(ColumnModel, _names("method predictors groups level random_effects")),
        "cells of imputations": Kind(CellStore, _names("cells m", frame="base")),
        "cells of a column": Kind(Cells, _names("rows values dtype")),
        "rows of samples": Kind(RowStore, _names("rows cluster labels", frame="base")),
        "frames": Kind(FrameStore, _names("frames")),
    },
    answers={
        "core": Answer(
            "mermod_core",
            _names(
                _CORE + " deviance nAGQ nb_theta",
                n_grouping_factors="n_flist",
                is_singular="singular",
            ),
        ),
        "vcov": Answer("mermod_vcov", _names("terms", matrix="vcov")),
        "varcorr": Answer("mermod_varcorr", _VARCORR, as_table=True),
        "ranef": Answer("mermod_ranef", _RANEF, as_table=True),
        "coef": Answer("mermod_coef", _names("grp terms", matrix="values"), per_group=True),
        "cases": Answer(
            "mermod_cases",
            _names("fitted residuals", fitted_rows="rows", residual_rows="residual_rows"),
        ),
        "printed": Answer("mermod_print"),
        "printed summary": Answer("mermod_summary"),
        "variance shares": Answer("variance_shares", _names("fixed random residual icc_response")),
    },
)

FORMATS = {1: _FORMAT_1, 2: _FORMAT_2}
NEWEST = max(FORMATS)
