"""Columns of groups, such as those of schools, added to data sets of their members."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from ..base.arguments import check_columns, check_frame
from ..errors import ArgumentError
from .stores import CellStore, RowStore, Store

__all__ = ["check_merge", "merged_frame", "merged_store", "unmatched_note"]

_MANY_TO_ONE = ("many_to_one", "m:1")


def check_merge(
    right: Any, on: Any, how: str, validate: str, base: pd.DataFrame
) -> tuple[pd.DataFrame, list[Any]]:
    """Check the arguments of `ImputedData.merge`.

    Parameters
    ----------
    right, on : object
    how, validate : str
        As they were given.
    base : DataFrame
        The frame that the data sets share.

    Returns
    -------
    tuple of (DataFrame, list)
        The groups' frame, and the names of its key's columns.

    Raises
    ------
    ArgumentError
        Naming what can't be right.
    """
    right = check_frame(right, "right")
    if how != "left":
        raise ArgumentError(
            f"how must be 'left', not {how!r}: the rows of the data sets stay as they are."
        )
    if validate not in _MANY_TO_ONE:
        raise ArgumentError(
            f"validate must be 'many_to_one', not {validate!r}: each row has one group."
        )
    keys = list(on) if isinstance(on, list) else [on]
    if not keys:
        raise ArgumentError("on is empty: name the column of the groups.")
    check_columns(keys, base, "on")
    check_columns(keys, right, "on (in right)")
    repeated = right[right.duplicated(keys)]
    if len(repeated):
        shown = ", ".join(f"{x} {repeated[x].iloc[0]!r}" for x in keys)
        raise ArgumentError(
            f"right has several rows for {shown}: it must have one for each group "
            f"(`right.drop_duplicates({on!r})`, if they are alike)."
        )
    both = [x for x in right.columns if x in base.columns and x not in keys]
    if both:
        raise ArgumentError(
            f"right has columns that the data sets have too: {both}. Rename or drop them."
        )
    if len(right.columns) == len(keys):
        raise ArgumentError("right has no column beside on: there is nothing to add.")
    for key in keys:
        _check_kinds(base[key], right[key], key)
    return right, keys


def _check_kinds(left: pd.Series[Any], right: pd.Series[Any], key: Any) -> None:
    """Refuse keys of which none could match: pandas would take 1 and "1" for two groups."""
    kind = pd.api.types.is_numeric_dtype
    if kind(_values(left)) != kind(_values(right)):
        raise ArgumentError(
            f"on: {key!r} has dtype {left.dtype} in the data sets and {right.dtype} in right, so "
            "that no group could match: convert one of them."
        )


def _values(column: pd.Series[Any]) -> Any:
    dtype = column.dtype
    return dtype.categories.dtype if isinstance(dtype, pd.CategoricalDtype) else dtype


def merged_frame(frame: pd.DataFrame, right: pd.DataFrame, keys: list[Any]) -> pd.DataFrame:
    """Add the groups' columns to a frame, whose rows, index and other columns stay.

    Parameters
    ----------
    frame, right : DataFrame
    keys : list

    Returns
    -------
    DataFrame
        The frame's columns, and then those of `right`.
    """
    further = [x for x in right.columns if x not in keys]
    added = frame[keys].merge(right, on=keys, how="left", validate="many_to_one")[further]
    return pd.concat([frame, added.set_axis(frame.index)], axis=1)


def merged_store(store: Store, right: pd.DataFrame, keys: list[Any]) -> Store | None:
    """Add the columns to what all data sets share.

    Parameters
    ----------
    store : Store
    right : DataFrame
    keys : list

    Returns
    -------
    Store or None
        None where the groups differ between the data sets, which then get theirs one by one.
    """
    if isinstance(store, CellStore) and not any(key in store.cells for key in keys):
        return replace(store, base=merged_frame(store.base, right, keys))
    if isinstance(store, RowStore):
        # By the base's own groups: where whole groups are drawn, the samples have other labels.
        return replace(store, base=merged_frame(store.base, right, keys))
    return None


def unmatched_note(frame: pd.DataFrame, right: pd.DataFrame, keys: list[Any]) -> tuple[str, ...]:
    """Say how many rows have no group in `right`.

    Parameters
    ----------
    frame, right : DataFrame
    keys : list

    Returns
    -------
    tuple of str
        Empty where all have one.
    """
    marked = frame[keys].merge(right[keys], on=keys, how="left", indicator="__in__")
    lost = int((marked["__in__"] == "left_only").sum())
    if not lost:
        return ()
    return (
        f"{lost} rows have no group in the frame that was merged by {', '.join(map(str, keys))}: "
        "its columns are missing there",
    )
