"""What a saved result must be like, looked at when it is loaded.

A file may have been damaged or tampered with. Whatever an accessor needs later is checked here:
that each field has the type of its annotation, that R's answers have their parts with the lengths
that belong together, that tables have their columns, and that each data set can be completed. What
is amiss is a `ValueError` that says where.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd

from ..base.glossary import TABLES
from ..data.imputed_data import ImputedData
from ..data.provenance import TRACE
from ..data.stores import CellStore, FrameStore, RowStore
from ..pooled.mermod_list import MerModList
from ..pooled.pooled_mermod import PooledMerMod

__all__ = ["check_answers", "check_stored"]

# R's answers that a saved fit must have: per part its kind and its length, a number or the name of
# one that other parts of the same fit have too; "rows" are numbers of rows of the data.
_ANSWERS: dict[str, dict[str, str]] = {
    "mermod_core": {
        **dict.fromkeys(("formula", "optimizer"), "text 1"),
        "optimizer_message": "text *",
        "terms": "text q",
        "beta": "number q",
        "theta_names": "text theta",
        "theta": "number theta",
        "group_names": "text groups",
        "group_counts": "whole groups",
        **dict.fromkeys(("n_flist", "nobs", "npar", "df_residual"), "whole 1"),
        **dict.fromkeys(("sigma", "criterion", "log_lik", "aic", "bic"), "number 1"),
        **dict.fromkeys(("reml", "singular"), "truth 1"),
    },
    "mermod_vcov": {"terms": "text q", "vcov": "number q q"},
    "mermod_varcorr": {
        "grp": "text pairs",
        **dict.fromkeys(("var1", "var2"), "text? pairs"),
        **dict.fromkeys(("vcov", "sdcor"), "number pairs"),
    },
    "mermod_ranef": {
        **dict.fromkeys(("grpvar", "term", "grp"), "text modes"),
        **dict.fromkeys(("condval", "condsd"), "number modes"),
    },
    "mermod_cases": {
        "rows": "row fitted",
        "fitted": "number fitted",
        "residual_rows": "row residuals",
        "residuals": "number residuals",
    },
}
_COEF = {"grp": "text levels", "terms": "text terms", "values": "number levels terms"}
# Parts of mermod_core that files of earlier versions lack.
_LATER_PARTS = {
    "collation": "text *",
    "columns": "text *",
    "family": "text 1",
    "link": "text 1",
    "has_scale": "truth 1",
    "deviance": "number 1",
    "nAGQ": "whole 1",
    "nb_theta": "number 1",
}
_SHARES = dict.fromkeys(("fixed", "random", "residual"), "number 1")
_NEEDED = (*_ANSWERS, "mermod_coef", "mermod_print", "mermod_summary")


def check_stored(value: Any) -> Any:
    """Return the value, if it is as `save` wrote it; see the module.

    Parameters
    ----------
    value : object
        Of one of the classes that `save` takes, or that these contain.

    Raises
    ------
    ValueError
        With the place and what is amiss.
    """
    where = type(value).__name__
    for name, hint in _hints(type(value)).items():
        if not _is_a(getattr(value, name), hint):
            raise ValueError(f"{where}.{name} is no {_type_name(hint)}")
    if isinstance(value, MerModList):
        _check_list(value)
    elif isinstance(value, PooledMerMod):
        _check_pooled(value)
    elif isinstance(value, ImputedData):
        _check_data(value)
    return value


# -- fields by their annotations -------------------------------------------------------------


class _Pandas:
    """pandas' names as annotations use them: at run time a Series can't be subscripted."""

    DataFrame = pd.DataFrame
    Index = pd.Index
    Series: Mapping[Any, Any] = {float: pd.Series, Any: pd.Series}


# What is known better than the annotation says, or is computed when the result is loaded.
_BY_HAND: dict[tuple[str, str], Any] = {
    ("MerMod", "answers"): Any,
    ("ImputedData", "r"): Any,
    ("ImputedData", "store"): CellStore | RowStore | FrameStore,
}


def _hints(cls: type) -> dict[str, Any]:
    hints = get_type_hints(cls, localns={"pd": _Pandas})
    names = [x.name for x in fields(cls)]
    return {name: _BY_HAND.get((cls.__name__, name), hints[name]) for name in names}


def _is_a(value: Any, hint: Any) -> bool:
    """Whether a value has the type of an annotation, its parts too."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if hint is None or hint is type(None):
        return value is None
    if origin in (Union, types.UnionType):
        return any(_is_a(value, x) for x in parts)
    if origin is Literal:
        return isinstance(value, str) and value in parts
    if origin is tuple:
        return isinstance(value, tuple) and all(_is_a(x, parts[0]) for x in value)
    if origin is np.ndarray:
        dtype = get_args(parts[1])[0]
        return isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype == dtype
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            _is_a(k, parts[0]) and _is_a(x, parts[1]) for k, x in value.items()
        )
    if origin is not None and issubclass(origin, Sequence):
        return isinstance(value, Sequence) and not isinstance(value, str)
    if hint in (int, float, bool, str):  # a truth value is no number here
        return type(value) is hint or (hint is str and isinstance(value, str))
    return isinstance(value, hint)


def _type_name(hint: Any) -> str:
    return getattr(hint, "__name__", None) if get_origin(hint) is None else str(hint)  # type: ignore[return-value]


# -- fits ------------------------------------------------------------------------------------


def check_answers(known: Any, n_rows: int) -> None:
    """Check R's answers about a fit, before they become a fit.

    Parameters
    ----------
    known : mapping
        The answers, by R function.
    n_rows : int
        Of the data that the model was fitted to.

    Raises
    ------
    ValueError
        With the place and what is amiss.
    """
    lacks = [x for x in _NEEDED if x not in known]
    if lacks:
        raise ValueError(f"a fit lacks {lacks[0]}")
    sizes = {"rows of the data": n_rows}
    for name, parts in _ANSWERS.items():
        _check_answer(known[name], parts, sizes, name)
    if not isinstance(known["mermod_coef"], Mapping) or not known["mermod_coef"]:
        raise ValueError("mermod_coef is no mapping")
    for group, answer in known["mermod_coef"].items():
        _check_answer(answer, _COEF, {}, f"mermod_coef of {group}")
        if len(set(answer["terms"])) < len(answer["terms"]):
            raise ValueError(f"mermod_coef of {group} has a term twice")
    for name in ("mermod_print", "mermod_summary"):
        _check_part(known[name], "text *", {}, name)
    if "variance_shares" in known:
        shares = known["variance_shares"]
        of_response = {"icc_response": "number 1"} if "icc_response" in shares else {}
        _check_answer(shares, {**_SHARES, **of_response}, {}, "variance_shares")
    core = known["mermod_core"]
    terms = list(core["terms"])
    if list(known["mermod_vcov"]["terms"]) != terms or len(set(terms)) < len(terms):
        raise ValueError("mermod_vcov and mermod_core don't have the same coefficients, each once")
    for name, kind in _LATER_PARTS.items():
        if name in core and not (core[name] is None and name in ("columns", "deviance")):
            _check_part(core[name], kind, {}, f"mermod_core's {name}")
    if "dropped" not in core:
        raise ValueError("mermod_core lacks dropped")
    if core["dropped"] is not None:
        _check_part(core["dropped"], "text *", {}, "mermod_core's dropped")


def _check_answer(answer: Any, parts: Mapping[str, str], sizes: dict[str, int], where: str) -> None:
    if not isinstance(answer, Mapping | pd.DataFrame):
        raise ValueError(f"{where} is no mapping")
    for name, kind in parts.items():
        if name not in answer:
            raise ValueError(f"{where} lacks {name}")
        values = answer[name]
        if isinstance(values, pd.Series):
            values = values.to_numpy()
        _check_part(values, kind, sizes, f"{where}'s {name}")


def _check_part(values: Any, wanted: str, sizes: dict[str, int], where: str) -> None:
    kind, *lengths = wanted.split()
    if not isinstance(values, np.ndarray) or values.ndim != len(lengths):
        raise ValueError(f"{where} is no array of {len(lengths)} dimensions")
    for size, length in zip(values.shape, lengths, strict=True):
        if length == "*":
            continue
        expected = int(length) if length.isdecimal() else sizes.setdefault(length, size)
        if size != expected:
            raise ValueError(f"{where} has {size} values, not {expected}")
    right = {
        "number": values.dtype == np.float64,
        "whole": values.dtype.kind in "if" and bool((values == np.rint(values)).all()),
        "truth": values.dtype.kind == "b",
        "row": values.dtype.kind == "i",
        "text": _are_texts(values, holes=False),
        "text?": _are_texts(values, holes=True),
    }
    if not right[kind]:
        raise ValueError(f"{where} holds other values than {kind.rstrip('?')}s")
    if kind == "row" and len(values):
        last = sizes["rows of the data"]
        if values.min() < 1 or values.max() > last:
            raise ValueError(f"{where} holds rows that the data, of {last} rows, don't have")
        if len(np.unique(values)) < len(values):
            raise ValueError(f"{where} holds a row twice")


def _are_texts(values: Iterable[Any], holes: bool) -> bool:
    return all(isinstance(x, str) or (holes and _is_gone(x)) for x in values)


def _is_gone(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def _check_list(fits: MerModList) -> None:
    _check_numbers([fit.imputation for fit in fits.fits], fits.data)
    if isinstance(fits.data.store, CellStore):
        rows = fits.data.store.base.index
        if any(not fit.index.equals(rows) for fit in fits.fits):
            raise ValueError("the fits have other rows than the data")


def _check_numbers(numbers: Sequence[int | None], data: ImputedData) -> None:
    given = [x for x in numbers if x is not None]
    if len(given) < len(numbers) or len(set(given)) < len(given):
        raise ValueError("the fits' numbers of imputations are not distinct numbers")
    if any(not 1 <= x <= data.m for x in given):
        raise ValueError(f"the fits' numbers of imputations are not from 1 to {data.m}")


# -- the pooled model ------------------------------------------------------------------------


def _check_pooled(pooled: PooledMerMod) -> None:
    q = _check_table(pooled.fixed, "fixed", {"term"})
    _check_table(pooled.varcorr, "varcorr", {"grp"}, {"var1", "var2"})
    _check_table(pooled.ranef, "ranef", {"grpvar", "term", "grp"})
    terms = list(pooled.fixed["term"])
    labels = (list(pooled.vcov.index), list(pooled.vcov.columns))
    if labels != (terms, terms) or any(x != np.float64 for x in pooled.vcov.dtypes):
        raise ValueError("vcov is no matrix of the coefficients")
    for name, values in (("icc", pooled.icc), ("complete_df", pooled.complete_df)):
        if values.dtype != np.float64:
            raise ValueError(f"{name} holds other values than numbers")
    if len(pooled.complete_df) != q:
        raise ValueError(f"complete_df has {len(pooled.complete_df)} values, not {q}")
    if not 0 < pooled.conf_level < 1:
        raise ValueError(f"conf_level is {pooled.conf_level}")
    if not len(pooled.fits) == len(pooled.nobs) == pooled.m:
        raise ValueError(f"there are not {pooled.m} fits")
    if any(list(fit.beta.index) != terms for fit in pooled.fits):
        raise ValueError("the fits have other coefficients than the pooled model")
    if pooled.data is not None and len(pooled.fits) > 1:
        numbers = [fit.imputation for fit in pooled.fits]
        if any(x is not None for x in numbers):
            _check_numbers(numbers, pooled.data)


def _check_table(
    frame: pd.DataFrame, table: str, texts: set[str], gaps: set[str] | None = None
) -> int:
    if list(frame.columns) != list(TABLES[table]):
        raise ValueError(f"{table} has other columns than {', '.join(TABLES[table])}")
    gaps = gaps or set()
    for name, column in frame.items():
        if name in texts | gaps:
            right = _are_texts(column.tolist(), holes=name in gaps)
        else:
            right = column.dtype == np.float64
        if not right:
            raise ValueError(f"{table}'s {name} holds other values than it should")
    return len(frame)


# -- data sets -------------------------------------------------------------------------------


def _check_data(data: ImputedData) -> None:
    store = data.store
    for frame in (data.original, store.base):
        if not frame.columns.is_unique or not len(frame.columns):
            raise ValueError("a frame has no columns, or several of one name")
    if len(store) < 1:
        raise ValueError("there are no data sets")
    if tuple(data.trace.columns) != TRACE:
        raise ValueError(f"the trace has other columns than {', '.join(TRACE)}")
    for name in ("imputation", "iteration"):
        numbers = data.trace[name]
        if numbers.dtype != np.int64 or (len(numbers) and numbers.min() < 1):
            raise ValueError(f"the trace's {name} holds other values than numbers from 1")
    names = data.trace["parameter"].unique()
    if data.trace["value"].dtype != np.float64 or not _are_texts(names, False):
        raise ValueError("the trace's parameters or values hold other values than they should")
    if isinstance(store, CellStore):
        if len(data.original) != len(store.base):
            raise ValueError("the data with their holes have another number of rows")
        lacks = [x for x in store.base.columns if x not in data.original.columns]
        if lacks:
            raise ValueError(f"the data with their holes lack {lacks[0]}")
    columns = set(store.base.columns)
    for i in range(len(store)):
        piece = store.piece(i)
        if isinstance(store, CellStore):
            if not set(store.cells) <= columns:
                raise ValueError("imputed cells of a column that the data lack")
            columns_of_set = piece.differing_columns(store.base)
        else:
            frame = piece.complete(store.base)
            if not frame.columns.is_unique or set(frame.columns) != columns:
                raise ValueError(f"data set {i + 1} has other columns")
            columns_of_set = dict(frame.items())
        if any(len(x) != len(next(iter(columns_of_set.values()))) for x in columns_of_set.values()):
            raise ValueError(f"data set {i + 1} has columns of several lengths")
