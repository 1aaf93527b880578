"""Data sets of several imputations of the same data as one, and how each of them was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..base.parameters import alike
from ..errors import ArgumentError
from .convergence import burn_in
from .merging import merged
from .provenance import ColumnModel
from .stores import RowStore, Store

if TYPE_CHECKING:
    from .imputed_data import ImputedData

__all__ = [
    "check_joinable",
    "check_one_set_of_chains",
    "joined_models",
    "joined_settings",
    "joined_store",
]


def check_joinable(parts: Sequence[ImputedData]) -> None:
    """Refuse to join data sets of other data, or the same imputations twice.

    Parameters
    ----------
    parts : sequence of ImputedData

    Raises
    ------
    ArgumentError
        Naming the part and what differs.
    """
    first = parts[0]
    for k, part in enumerate(parts[1:], start=2):
        if part.kind != first.kind:
            raise ArgumentError(
                f"part {k} has kind {part.kind!r} and part 1 {first.kind!r}: bootstrap samples are "
                "pooled by another rule, and can't be joined with imputations."
            )
        _check_same_data(first.original, part.original, k)
        # How a column that isn't in the data was derived may differ; that it is there may not.
        if not part.store.base.columns.equals(first.store.base.columns):
            raise ArgumentError(
                f"part {k} has other columns than part 1 in its data sets: derive columns after "
                "the data sets are joined."
            )
    for k, part in enumerate(parts):
        for j, other in enumerate(parts[:k]):
            if other is part or (_made_alike(other, part) and _share_a_data_set(other, part)):
                raise ArgumentError(
                    f"parts {j + 1} and {k + 1} were made by {part.method!r} with the same seed, "
                    f"{part.seed}, and hold the same imputations: impute with another seed."
                )


def _check_same_data(first: pd.DataFrame, other: pd.DataFrame, k: int) -> None:
    what = f"part {k} is of other data than part 1"
    if list(first.columns) != list(other.columns):
        differ = [x for x in [*first.columns, *other.columns]
                  if x not in first.columns or x not in other.columns]  # fmt: skip
        told = f"columns {differ} are in one of them only" if differ else "its columns' order"
        raise ArgumentError(f"{what}: {told}.")
    if not first.index.equals(other.index):
        raise ArgumentError(f"{what}: it has other rows (index).")
    for name in first.columns:
        if not first[name].equals(other[name]):
            raise ArgumentError(f"{what}: column {name!r} has other values, holes or dtype.")


def _made_alike(one: ImputedData, other: ImputedData) -> bool:
    return one.seed is not None and (one.method, one.seed) == (other.method, other.seed)


def _share_a_data_set(one: ImputedData, other: ImputedData) -> bool:
    if one.original.isna().to_numpy().sum() == 0 and one.kind == "imputation":
        return True
    seen = {_digest(frame) for frame in one}
    return any(_digest(frame) in seen for frame in other)


def _digest(frame: pd.DataFrame) -> bytes:
    return np.asarray(pd.util.hash_pandas_object(frame), np.uint64).tobytes()


def joined_store(parts: Sequence[ImputedData]) -> tuple[pd.DataFrame, Store, tuple[str, ...]]:
    """Put the data sets of all parts into one store.

    Parameters
    ----------
    parts : sequence of ImputedData
        As `check_joinable` let them pass.

    Returns
    -------
    tuple of (DataFrame, Store, tuple of str)
        The data with their holes, the store, and notes on columns whose dtype had to change.
    """
    first = parts[0]
    stores = [x.store for x in parts]
    rows = [x for x in stores if isinstance(x, RowStore)]
    if len(rows) == len(stores) and all(
        x.cluster == rows[0].cluster and x.base.equals(rows[0].base) for x in rows
    ):
        samples = tuple(sample for x in rows for sample in x.rows)
        labels = tuple(label for x in rows for label in x.labels)
        return first.original, RowStore(rows[0].base, samples, rows[0].cluster, labels), ()
    frames = [frame for part in parts for frame in part]
    names = [f"imputation {i} of part {k}" for k, part in enumerate(parts, start=1)
             for i in range(1, part.m + 1)]  # fmt: skip
    _, store, notes = merged(frames, first.original, names, first.kind)
    return first.original, store, notes


def joined_settings(parts: Sequence[ImputedData]) -> dict[str, Any]:
    """Say how each part was made, and what they have in common.

    Parameters
    ----------
    parts : sequence of ImputedData

    Returns
    -------
    dict
        "m", those settings that are the same in all parts, and "joined", a list with the method, m,
        seed and settings of each part; parts that were joined themselves stand there as theirs.
    """
    told: list[dict[str, Any]] = []
    for part in parts:
        inner = part.settings.get("joined")
        common = {name: x for name, x in part.settings.items() if name != "joined"}
        if inner is not None and all(_holds(x["settings"], common) for x in inner):
            told += inner
        else:
            settings = dict(part.settings)
            told.append(
                {"method": part.method, "m": part.m, "seed": part.seed, "settings": settings}
            )
    first = told[0]["settings"]
    same = {
        name: value
        for name, value in first.items()
        if name not in ("m", "joined")
        and all(name in x["settings"] and alike(value, x["settings"][name]) for x in told)
    }
    return {"m": sum(x.m for x in parts), **same, "joined": told}


def _holds(settings: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Whether a part's settings tell all that the joined data sets' do: nothing was done since."""
    return all(
        name == "m" or (name in settings and alike(settings[name], x)) for name, x in others.items()
    )


def joined_models(parts: Sequence[ImputedData]) -> dict[Any, ColumnModel]:
    """Say what every imputation model of a column saw, in all parts.

    Parameters
    ----------
    parts : sequence of ImputedData

    Returns
    -------
    dict
        Only columns of which every part knows it. Where parts differ: predictors, groups and random
        effects that all of them had, and no level unless it is the same.
    """
    models = {}
    for name, first in parts[0].saw.items():
        others = [x.saw.get(name) for x in parts]
        known = [x for x in others if x is not None]
        if len(known) < len(parts):
            continue
        methods = " + ".join(dict.fromkeys(x.method for x in known))
        levels = {x.level for x in known}
        models[name] = ColumnModel(
            methods,
            _common(first.predictors, [x.predictors for x in known]),
            _common(first.groups, [x.groups for x in known]),
            first.level if len(levels) == 1 else None,
            _common(first.random_effects, [x.random_effects for x in known]),
        )
    return models


def _common(first: Sequence[str], lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(x for x in first if all(x in names for names in lists))


def check_one_set_of_chains(settings: Mapping[str, Any], trace: pd.DataFrame) -> None:
    """Refuse to compare the chains of parts that are no chains of one sampler.

    Parameters
    ----------
    settings : mapping
        Of the data sets.
    trace : DataFrame

    Raises
    ------
    ArgumentError
        Data sets joined from several engines or settings, from one chain each, or without a trace.
    """
    parts = settings.get("joined")
    if parts is None:
        return
    first, before = parts[0], 0
    for part in parts:
        there = trace["imputation"].between(before + 1, before + part["m"])
        before += part["m"]
        one_engine = part["method"] == first["method"] and alike(
            _without_m(part["settings"]), _without_m(first["settings"])
        )
        if not one_engine or not there.any() or burn_in(trace[there]) is not None:
            raise ArgumentError(
                "the data sets were joined from parts whose chains can't be compared with each "
                "other (several engines or settings, one chain for all data sets of a part, or no "
                "trace): ask each part for its convergence."
            )


def _without_m(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: x for name, x in settings.items() if name != "m"}
