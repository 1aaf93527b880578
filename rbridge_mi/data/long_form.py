"""The long form of data sets: all under each other, by number (``.imp``) and row (``.id``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ArgumentError
from .common_dtype import cast, common_dtype
from .merging import columns_of

__all__ = ["ID", "IMP", "split_long", "stacked"]

IMP, ID = ".imp", ".id"  # mice's names


def stacked(
    frames: Sequence[pd.DataFrame],
    original: pd.DataFrame,
    *,
    include: bool,
    whole: bool,
    imp: str = IMP,
    id: str = ID,
) -> pd.DataFrame:
    """Put data sets under each other; see `ImputedData.to_long`.

    With `include` the data with their holes come first; with `whole`, each data set has all rows.
    """
    _check_names(imp, id)
    taken = [x for x in (imp, id) if x in list(original.columns)]
    if taken:
        raise ArgumentError(
            f"the data have a column {', '.join(map(repr, taken))}, a name that the long form "
            "needs for itself: rename it, `imp.transform(lambda d: d.rename(columns={...}))`."
        )
    numbered = dict(enumerate(frames, start=1))
    if include:
        numbered = {0: columns_of(original, numbered[1]), **numbered}
    who = {i: f"imputation {i}" if i else "the data with their holes" for i in numbered}
    indexes = [x.index for x in numbered.values()]
    columns: dict[Any, Any] = {
        imp: np.repeat(list(numbered), [len(x) for x in indexes]),
        id: _row_ids(original.index, indexes, whole=whole),
    }
    for name in next(iter(numbered.values())).columns:
        parts = {who[i]: x[name] for i, x in numbered.items()}
        dtype = common_dtype(name, parts)
        columns[name] = pd.concat([cast(x, dtype) for x in parts.values()], ignore_index=True)
    long = pd.DataFrame(dict(enumerate(columns.values())), copy=False)
    long.columns = pd.Index(list(columns), tupleize_cols=False)
    return long


def _row_ids(original: pd.Index, indexes: Sequence[pd.Index], *, whole: bool) -> pd.Series[Any]:
    """Return the column ``.id`` of data sets under each other, given the indexes.

    Row numbers, from 1, if the index is the one that pandas gives by itself; else its labels.
    Labels that would be taken for row numbers are marked by a nullable dtype.
    """
    if _is_default(original) and all(_is_plain_integer(x.dtype) for x in indexes):
        return pd.concat([pd.Series(x + 1) for x in indexes], ignore_index=True)
    parts = [_labels(x) for x in indexes]
    ids = pd.concat(parts, ignore_index=True)
    if _is_plain_integer(ids.dtype) and _are_row_numbers(parts, whole):
        return pd.Series(pd.array(ids.to_numpy()))
    return ids


def split_long(
    long: pd.DataFrame, *, whole: bool, imp: str = IMP, id: str | None = ID
) -> dict[int, pd.DataFrame]:
    """Return the data sets by their numbers; 0 is the data with their holes.

    With `whole`, each has all rows, which are put in one order. The index is the one that
    `_row_ids` wrote as the column `id`; without such a column, rows are told by their places.
    """
    _check_names(imp, id)
    for name in (imp, id):
        if name is not None and name not in list(long.columns):
            raise ArgumentError(
                f"long has no column {name!r}, which numbers the data sets or rows: its columns "
                f"are {_some(list(long.columns))}. Other names are given as imp and id."
            )
    numbers = _numbers(long[imp], imp)
    if id is None:
        ids = pd.Series(numbers).groupby(numbers).cumcount() + 1
        _check_sizes(numbers, imp)
    else:
        ids = _checked_ids(long[id], id)
    rest = [x for x in long.columns if x not in (imp, id)]
    if not rest:
        raise ArgumentError(f"long has no column beside {imp!r} and {id!r}: there are no data.")
    rows = {int(k): x for k, x in sorted(long.groupby(numbers).indices.items())}
    labels = {k: pd.Series(ids.array[x], copy=False) for k, x in rows.items()}
    counted = _is_plain_integer(ids.dtype) and _are_row_numbers(list(labels.values()), whole)
    if whole:
        first = next(iter(labels.values()))
        order = pd.Index(np.sort(first) if counted else first.array, tupleize_cols=False)
        for k in rows:
            rows[k] = rows[k][_in_order(labels[k], order, k, next(iter(rows)), imp, id)]
            labels[k] = pd.Series(ids.array[rows[k]], copy=False)
    data = long.iloc[:, [i for i, x in enumerate(long.columns) if x not in (imp, id)]]
    parts = {}
    for k, x in rows.items():
        parts[k] = data.iloc[x]
        parts[k].columns = pd.Index(rest)
        parts[k].index = _index(labels[k] - 1 if counted else labels[k], whole)
    return parts


def _check_names(imp: Any, id: Any) -> None:
    for name, argument in ((imp, "imp"), (id, "id")):
        if not isinstance(name, str) and not (name is None and argument == "id"):
            raise ArgumentError(f"{argument} must be the name of a column, not {name!r}.")
    if imp == id:
        raise ArgumentError(f"imp and id are both {imp!r}: two columns are needed.")


def _check_sizes(numbers: np.ndarray[Any, Any], imp: str) -> None:
    """Refuse data sets of several lengths whose rows have no labels."""
    sizes = pd.Series(numbers).value_counts().sort_index()
    if sizes.nunique() > 1:
        told = ", ".join(f"{i}: {n}" for i, n in sizes.items())
        raise ArgumentError(
            f"the data sets have several numbers of rows (by {imp}, {told}): name the column that "
            "tells their rows apart (id=...)."
        )


def _is_default(index: pd.Index) -> bool:
    return _is_plain_integer(index.dtype) and bool(index.equals(pd.RangeIndex(len(index))))


def _is_plain_integer(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in "iu"


def _labels(index: pd.Index) -> pd.Series[Any]:
    if isinstance(index, pd.MultiIndex):
        tuples = np.empty(len(index), dtype=object)
        tuples[:] = index.to_list()
        return pd.Series(tuples, dtype=object)
    return pd.Series(index.array)


def _are_row_numbers(parts: Sequence[pd.Series[Any]], whole: bool) -> bool:
    """Whether whole numbers read as row numbers: 1 to n in each data set, or some of them."""
    if not whole:
        return all(bool((x >= 1).all()) for x in parts)
    first = np.sort(parts[0].to_numpy())
    return bool(np.array_equal(first, np.arange(1, len(first) + 1)))


def _index(labels: pd.Series[Any], whole: bool) -> pd.Index:
    """Return the index whose column `_row_ids` wrote."""
    if all(isinstance(x, tuple) for x in labels):
        return pd.MultiIndex.from_tuples(list(labels))
    dtype = labels.dtype
    if isinstance(dtype, pd.api.extensions.ExtensionDtype) and dtype.kind in "iu":
        bare = pd.Series(labels.to_numpy(dtype.numpy_dtype))
        labels = bare if _are_row_numbers([bare], whole) else labels
    if labels.dtype == np.int64 and len(labels) > 1:
        first, second = int(labels.iloc[0]), int(labels.iloc[1])
        if first != second:
            even = pd.RangeIndex(first, first + (second - first) * len(labels), second - first)
            if even.equals(pd.Index(labels)):
                return even
    return pd.Index(labels.array, tupleize_cols=False)


def _numbers(column: pd.Series[Any], imp: str) -> np.ndarray[Any, Any]:
    """Return the numbers of the data sets, as whole numbers."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if column.isna().any():
        raise _wrong(column, column.isna(), imp, "is missing: it must number the data set")
    kind = pd.api.types.infer_dtype(column)
    if kind not in ("string", "integer", "floating", "mixed-integer-float", "decimal"):
        raise ArgumentError(
            f"{imp} holds {kind} values ({column.dtype}): it must number the data sets from 1, and "
            "0 is the data with their holes."
        )
    values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    wrong = ~((values >= 0) & (values == np.floor(values)) & (values < 2**31))
    if wrong.any():
        raise _wrong(column, wrong, imp, "must be a whole number, from 1 (0: with holes)")
    numbers: np.ndarray[Any, Any] = values.astype(np.int64)
    return numbers


def _checked_ids(ids: pd.Series[Any], id: str) -> pd.Series[Any]:
    if ids.isna().any():
        raise _wrong(ids, ids.isna(), id, "is missing: each row needs one")
    numeric = pd.api.types.is_numeric_dtype(ids.dtype)
    if numeric and not pd.api.types.is_bool_dtype(ids.dtype) and (ids < 0).any():
        raise _wrong(ids, ids < 0, id, "is negative: row numbers go from 1")
    return ids


def _wrong(column: pd.Series[Any], wrong: Any, name: str, why: str) -> ArgumentError:
    places = np.flatnonzero(np.asarray(wrong, dtype=bool))
    value, row = column.iloc[places[0]], column.index[places[0]]
    value = value.item() if isinstance(value, np.generic) else value
    more = f" ({len(places)} rows are so)" if len(places) > 1 else ""
    return ArgumentError(f"{name} of long's row {row} is {value!r}, which {why}{more}.")


def _in_order(
    ids: pd.Series[Any], order: pd.Index, number: int, first: int, imp: str, id: str | None
) -> Any:
    """Return the position in this data set of each row of `order`."""
    index = pd.Index(ids.array, tupleize_cols=False)
    who = f"imputation {number}" if number else f"the data with their holes ({imp} 0)"
    if index.has_duplicates:
        twice = index[index.duplicated()].unique().tolist()
        raise ArgumentError(
            f"{who}: {id} {_some(twice)} stands more than once; each row has one of its index. Are "
            "these bootstrap samples? Then kind='bootstrap'."
        )
    lacking, extra = order.difference(index, sort=False), index.difference(order, sort=False)
    if len(lacking) or len(extra):
        differences = [f"lacks {_some(lacking.tolist())}"] * bool(len(lacking))
        differences += [f"has {_some(extra.tolist())} besides"] * bool(len(extra))
        than = f"imputation {first}" if first else f"the data with their holes ({imp} 0)"
        raise ArgumentError(
            f"{who} has other rows than {than}: by {id}, it {' and '.join(differences)}. Each data "
            "set needs the same rows."
        )
    return index.get_indexer(order)


def _some(values: list[Any]) -> str:
    shown = ", ".join(map(repr, values[:5]))
    return shown + (f", ... ({len(values)} in all)" if len(values) > 5 else "")
