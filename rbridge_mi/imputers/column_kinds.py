"""Which kind of variable a column is, and its values as numbers.

=================================================  =============================================
column                                             kind
=================================================  =============================================
truth values, and whatever has two observed        binary
values
ordered categories                                 ordered
unordered categories, text                         categories
whole numbers of at least 0, three or more, whose  count: a normal distribution would reach below
mean is less than 3 SDs                            zero
other numbers                                      continuous
=================================================  =============================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..base.labels import label
from ..data.common_dtype import settable
from ..errors import ArgumentError
from .transforms import Doubles

__all__ = ["Kind", "Reading", "read", "read_group"]

Kind = Literal["continuous", "binary", "ordered", "categories", "count"]

_LARGEST = 2**53  # a double holds each whole number up to here


@dataclass(frozen=True)
class Reading:
    """A column's kind and values, as `Column` has them, and why it has that kind."""

    kind: Kind
    values: Doubles
    labels: tuple[Any, ...] | None
    reason: str

    @property
    def is_understood(self) -> bool:
        """Whether its values could be turned into numbers."""
        return self.labels is not None or self.kind in ("continuous", "count")


def read(column: Any, kind: Any, units: Callable[[Doubles], Doubles]) -> Reading:
    """Find the kind of a column, and turn its values into numbers.

    Parameters
    ----------
    column : Series
        With holes.
    kind : str or None
        The kind that it is to have; None to tell by its dtype and values.
    units : callable
        Returns the observed values of the units of its level, each once, for the mean and SD.

    Returns
    -------
    Reading
        Without labels and with holes only, where its dtype can't be understood.

    Raises
    ------
    ArgumentError
        The column can't have that kind.
    """
    column = settable(column)
    if column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) == "boolean":
        column = column.where(column.notna(), None).astype("boolean")
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _categories(column, kind)
    if pd.api.types.is_bool_dtype(dtype):
        _check_kind(column.name, kind, ("binary",), "truth values")
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return Reading("binary", values, (False, True), "it holds truth values")
    if pd.api.types.is_integer_dtype(dtype) or pd.api.types.is_float_dtype(dtype):
        return _numbers(column, kind, units)
    if pd.api.types.infer_dtype(column, skipna=True) == "string":
        return _texts(column, kind)
    return _unknown(column)


def read_group(column: Any) -> Reading:
    """Read a column that only tells to which groups the rows belong."""
    codes, labels = pd.factorize(column.astype(object))
    values = np.where(codes < 0, np.nan, codes.astype(np.float64))
    return Reading("categories", values, tuple(labels), "it tells the groups")


def _unknown(column: Any, what: str | None = None) -> Reading:
    if column.isna().all():
        return Reading("categories", np.full(len(column), np.nan), (), "it holds nothing")
    if what is None:
        what = str(column.dtype)
        if column.dtype == object:
            what = f"objects ({pd.api.types.infer_dtype(column, skipna=True)})"
    values = np.full(len(column), np.nan)
    return Reading("categories", values, None, f"it holds {what}, which are no values of any kind")


def _numbers(column: Any, kind: Any, units: Callable[[Doubles], Doubles]) -> Reading:
    if pd.api.types.is_integer_dtype(column.dtype):
        largest = column.abs().max() if column.notna().any() else 0
        if int(largest) > _LARGEST or int(largest) < 0:  # the least integer has no absolute value
            return _unknown(column, "whole numbers beyond 2**53")
    values = np.array(column.to_numpy(dtype=np.float64, na_value=np.nan))
    observed = values[~np.isnan(values)]
    distinct = np.unique(observed)
    if not np.isfinite(distinct).all():
        return Reading("continuous", values, None, "it holds numbers, and infinite ones")
    is_whole = bool(((distinct == np.rint(distinct)) & (np.abs(distinct) <= _LARGEST)).all())
    given = "its kind is as `types` gives it"
    if kind == "continuous":
        return Reading("continuous", values, None, given)
    if kind == "count":
        if not is_whole or (distinct < 0).any():
            raise _wrong_kind(column.name, kind, "numbers that are no whole numbers of at least 0")
        return Reading("count", values, None, given)
    if kind in ("ordered", "categories"):
        kind = "binary" if len(distinct) == 2 else kind
        return _coded(kind, values, distinct, given)
    if kind == "binary" and len(distinct) > 2:
        raise _wrong_kind(column.name, kind, f"{len(distinct)} different numbers")
    if kind == "binary" or len(distinct) == 2:
        shown = " and ".join(f"{x:g}" for x in distinct)
        return _coded("binary", values, distinct, f"its observed values are {shown}")
    if is_whole and len(distinct) >= 3 and distinct[0] >= 0:
        once = units(values)
        if once.mean() < 3 * once.std(ddof=1):
            why = "it holds whole numbers of at least 0 with a mean below 3 SDs"
            return Reading("count", values, None, why)
    return Reading("continuous", values, None, "it holds numbers")


def _coded(kind: Kind, values: Doubles, distinct: Doubles, reason: str) -> Reading:
    codes = np.searchsorted(distinct, values).astype(np.float64)
    codes[np.isnan(values)] = np.nan
    numbers = [float(x) for x in distinct]
    labels = tuple(int(x) if x.is_integer() else x for x in numbers)
    return Reading(kind, codes, labels, reason)


def _texts(column: Any, kind: Any) -> Reading:
    if kind == "ordered":
        raise ArgumentError(
            f"types gives {column.name!r} 'ordered', but it holds text, which has no order: make "
            "it pd.Categorical(..., categories=[...], ordered=True)."
        )
    texts = column.astype(object)
    categories = sorted(texts[texts.notna()].unique())
    codes = pd.Categorical(texts, categories=categories).codes
    return _among(column.name, kind, "categories", codes, categories, "text")


def _categories(column: Any, kind: Any) -> Reading:
    categories = [label(x) for x in column.cat.categories]
    if len(set(categories)) < len(categories):
        return _unknown(column, "several categories that read the same as text")
    natural: Kind = "ordered" if column.cat.ordered else "categories"
    what = f"{'ordered' if column.cat.ordered else 'unordered'} categories"
    return _among(column.name, kind, natural, column.cat.codes, categories, what)


def _among(
    name: Any, given: Any, natural: Kind, codes: Any, categories: list[str], what: str
) -> Reading:
    """Read codes of categories, some of which may never be observed."""
    _check_kind(name, given, ("binary", "ordered", "categories"), what)
    codes = np.asarray(codes)
    values = np.where(codes < 0, np.nan, codes.astype(np.float64))
    observed = [int(x) for x in np.unique(codes[codes >= 0])]
    if given == "binary" and len(observed) > 2:
        raise _wrong_kind(name, given, f"{len(observed)} categories")
    kind: Kind = natural if given is None else given
    reason = f"it holds {what}" if given is None else "its kind is as `types` gives it"
    unused = [x for i, x in enumerate(categories) if i not in observed]
    if unused and observed:
        never = ", ".join(map(repr, unused))
        reason += f", of which {never} {'is' if len(unused) == 1 else 'are'} never observed"
        reason += " and can't be imputed"
    if len(observed) == 2:
        kind = "binary"
        values = np.where(np.isnan(values), np.nan, (values == observed[1]).astype(np.float64))
        categories = [categories[i] for i in observed]
        reason += f", and two are observed, {' and '.join(map(repr, categories))}"
    return Reading(kind, values, tuple(categories), reason)


def _check_kind(name: Any, given: Any, valid: tuple[Kind, ...], what: str) -> None:
    if given is not None and given not in valid:
        raise _wrong_kind(name, given, what)


def _wrong_kind(name: Any, given: Any, what: str) -> ArgumentError:
    return ArgumentError(
        f"types gives {name!r} {given!r}, but it holds {what}: leave it out there, or convert the "
        "column before."
    )
