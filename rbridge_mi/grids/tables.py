"""The tables of a grid: what R is asked for each, how it is made of fits, the types of columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..base.arguments import check_value
from ..base.glossary import TABLES
from ..errors import ArgumentError
from ..fits.answers import Question
from ..fits.fitted_model import stacked
from ..inference.mermod import MerMod

__all__ = [
    "FITS",
    "GRID_TABLES",
    "KEYS",
    "STANDARD",
    "checked_tables",
    "columns_of",
    "questions_of",
    "stacked_fits",
    "typed",
    "types_of",
]

KEYS = ("model", "imputation")
FITS = "fits"  # one row per fit that was tried, with its error if there was one


@dataclass(frozen=True)
class GridTable:
    """A table with rows for each fit.

    Attributes
    ----------
    columns : tuple of str
        Those beside `KEYS`.
    questions : tuple of str
        What R has to answer.
    make : callable
        Makes it of one fit.
    """

    columns: tuple[str, ...]
    questions: tuple[Question, ...]
    make: Callable[[MerMod], pd.DataFrame]


def _vcov(fit: MerMod) -> pd.DataFrame:
    matrix = fit.vcov()
    terms, p = matrix.index.to_numpy(), len(matrix)
    return pd.DataFrame(
        {
            "term": np.repeat(terms, p),
            "other_term": np.tile(terms, p),
            "vcov": matrix.to_numpy().ravel(),
        }
    )


def _glance(fit: MerMod) -> pd.DataFrame:
    return fit.glance().reindex(columns=list(TABLES["grid_glance"]))


_CORE: tuple[Question, ...] = ("mermod_core",)
GRID_TABLES: dict[str, GridTable] = {
    "fixef": GridTable(TABLES["fixef"], _CORE, MerMod.fixef),
    "vcov": GridTable(TABLES["grid_vcov"], ("mermod_vcov",), _vcov),
    "varcorr": GridTable(TABLES["varcorr"], ("mermod_varcorr",), MerMod.varcorr),
    "glance": GridTable(TABLES["grid_glance"], _CORE, _glance),
    "convergence": GridTable(TABLES["convergence"], _CORE, MerMod.convergence),
    "tidy": GridTable(TABLES["tidy"], (*_CORE, "mermod_vcov", "mermod_varcorr"), MerMod.tidy),
    "ranef": GridTable(TABLES["ranef"], ("mermod_ranef",), MerMod.ranef),
    "model_info": GridTable(TABLES["model_info"], _CORE, MerMod.model_info),
}
STANDARD = ("fixef", "vcov", "varcorr", "glance", "convergence")

_TEXTS = {
    "model", "term", "other_term", "grp", "var1", "var2", "effect", "group", "grpvar", "messages",
    "error", "message",
}  # fmt: skip
_WHOLE = {"imputation", "nobs", "n_obs", "n_lvls", "df_residual"}
_TRUTHS = {"is_singular"}
_TEXT: Any = object if int(pd.__version__.split(".")[0]) < 3 else pd.StringDtype(na_value=np.nan)


def checked_tables(tables: Any) -> tuple[str, ...]:
    """Return the names of tables that were asked for, in their own order.

    Raises
    ------
    ArgumentError
        None, or one that a grid doesn't have.
    """
    if isinstance(tables, str) or not isinstance(tables, Iterable):
        raise ArgumentError(f'tables must be a list of names, such as ["fixef"], not {tables!r}.')
    names = list(tables)
    for name in names:
        check_value(name, list(GRID_TABLES), "tables")
    if not names:
        raise ArgumentError(f"tables is empty: name some of {', '.join(GRID_TABLES)}.")
    return tuple(x for x in GRID_TABLES if x in names)


def columns_of(table: str) -> list[str]:
    """Return all columns of a table of a grid."""
    columns = TABLES["failures"] if table == FITS else GRID_TABLES[table].columns
    return [*KEYS, *columns]


def questions_of(tables: Iterable[str]) -> tuple[Question, ...]:
    """Return what R has to be asked of a fit; its core in any case."""
    questions = [*_CORE, *(q for table in tables for q in GRID_TABLES[table].questions)]
    return tuple(dict.fromkeys(questions))


def types_of(table: str) -> dict[str, str]:
    """Return the kind of each column of a table: "text", "whole", "truth" or "real"."""
    return {
        name: "text"
        if name in _TEXTS
        else "whole"
        if name in _WHOLE
        else "truth"
        if name in _TRUTHS
        else "real"
        for name in columns_of(table)
    }


def typed(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Give the columns of a table their types, which hang on no values."""
    dtypes: dict[str, Any] = {"text": _TEXT, "whole": "int64", "truth": "bool", "real": "float64"}
    return frame.astype({name: dtypes[kind] for name, kind in types_of(table).items()})


def stacked_fits(table: str, fits: Sequence[MerMod]) -> pd.DataFrame:
    """Put a table of several fits under each other, each with the number of its data set."""
    frames = [GRID_TABLES[table].make(fit) for fit in fits]
    frame = stacked(frames)
    numbers = np.array([fit.imputation for fit in fits], dtype=np.int64)
    frame.insert(0, "imputation", np.repeat(numbers, [len(x) for x in frames]))
    return frame
