"""Give imputed values the dtype that their column had, or say why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..base.labels import label
from ..data.common_dtype import nullable, settable
from ..errors import EncodingError

__all__ = ["Restored", "restore"]


class Restored:
    """A column's dtype after imputation, its values per imputation, and a note on a change."""

    def __init__(self, dtype: Any, values: list[Any], note: str | None = None) -> None:
        self.dtype = dtype
        self.values = values
        self.note = note


def restore(column: pd.Series[Any], values: Sequence[Any]) -> Restored:
    """Imputed values, as R gave them, in the dtype of the column that they belong to.

    Parameters
    ----------
    column : Series
        The column with its holes.
    values : sequence of arrays
        Per imputation, the values of the same rows: doubles, logicals, or labels.

    Raises
    ------
    EncodingError
        Where a value has no place in the dtype: a label that the categories lack.
    """
    if (plain := settable(column)) is not column:
        note = f"{column.name}: {column.dtype} became {plain.dtype}, whose cells can be filled"
        restored = restore(plain, values)
        return Restored(restored.dtype, restored.values, restored.note or note)
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return Restored(dtype, [_categories(column, x) for x in values])
    if pd.api.types.is_bool_dtype(dtype):
        return _booleans(column, [_plain(x) for x in values])
    if pd.api.types.is_integer_dtype(dtype):
        return _integers(column, [_plain(x) for x in values])
    if pd.api.types.is_float_dtype(dtype):
        return _floats(column, [_plain(x) for x in values])
    # text, and what object columns hold: nothing to convert
    return Restored(dtype, [pd.array(list(x), dtype=dtype) for x in values])


def _plain(values: Any) -> np.ndarray[Any, Any]:
    if isinstance(values, pd.api.extensions.ExtensionArray):
        values = values.to_numpy(dtype=np.float64, na_value=np.nan)
    array = np.asarray(values, dtype=np.float64)
    # R's NA is a NaN that warns when it is cast; numpy's NaN does not.
    doubles: np.ndarray[Any, Any] = np.where(np.isnan(array), np.nan, array)
    return doubles


def _categories(column: pd.Series[Any], labels: Any) -> Any:
    code = {label(x): i for i, x in enumerate(column.cat.categories)}
    gone = pd.isna(np.asarray(labels, dtype=object))  # holes that stayed
    unknown = sorted({str(x) for x, hole in zip(labels, gone, strict=True) if not hole} - set(code))
    if unknown:
        raise EncodingError(
            f"column {column.name!r}: imputed labels {unknown} are none of its categories."
        )
    codes = [-1 if hole else code[x] for x, hole in zip(labels, gone, strict=True)]
    return pd.Categorical.from_codes(codes, dtype=column.dtype)


def _booleans(column: pd.Series[Any], values: list[np.ndarray[Any, Any]]) -> Restored:
    """Restore logicals, which R returns as doubles; without `noms` Amelia imputes 0.37, say."""
    dtype = column.dtype
    if all(np.isin(x, (0.0, 1.0)).all() for x in values):
        return Restored(dtype, [pd.array(x == 1.0, dtype=dtype) for x in values])
    if all((np.isin(x, (0.0, 1.0)) | np.isnan(x)).all() for x in values):  # holes that stayed
        held = [pd.array(np.where(np.isnan(x), None, x == 1.0), dtype="boolean") for x in values]
        return Restored(pd.BooleanDtype(), held)
    wide = pd.Float64Dtype()
    note = f"{column.name}: {dtype} became {wide}, since its imputations are not true or false"
    return Restored(wide, [pd.array(x, dtype=wide) for x in values], note)


def _integers(column: pd.Series[Any], values: list[np.ndarray[Any, Any]]) -> Restored:
    dtype = column.dtype
    is_nullable = pd.api.types.is_extension_array_dtype(dtype)
    held = np.concatenate([x[~np.isnan(x)] for x in values])
    if not np.array_equal(held, np.rint(held)) or (np.abs(held) > _MAX_EXACT).any():
        wide: Any = pd.Float64Dtype() if is_nullable else np.dtype(np.float64)
        note = f"{column.name}: {dtype} became {wide}, since its imputations are not whole numbers"
        return Restored(wide, [pd.array(x, dtype=wide) for x in values], note)
    stayed = sum(map(len, values)) > len(held)  # holes
    limits = np.iinfo(getattr(dtype, "numpy_dtype", dtype))
    fits = held.size == 0 or (limits.min <= held.min() and held.max() <= limits.max)
    chosen: Any = dtype if fits else pd.Int64Dtype() if is_nullable else np.dtype(np.int64)
    if stayed and not is_nullable:
        chosen = nullable(pd.Series([], dtype=chosen)).dtype
    note = f"{column.name}: {dtype} became {chosen}, which holds its imputations"
    return Restored(chosen, [_whole(x, chosen) for x in values], None if fits else note)


def _whole(values: np.ndarray[Any, Any], dtype: Any) -> Any:
    if isinstance(dtype, np.dtype):
        return pd.array(values.astype(dtype), dtype=dtype)
    gone = np.isnan(values)
    whole = pd.arrays.IntegerArray(np.where(gone, 0, values).astype(np.int64), gone)
    return whole.astype(dtype)


def _floats(column: pd.Series[Any], values: list[np.ndarray[Any, Any]]) -> Restored:
    dtype = column.dtype
    plain: Any = getattr(dtype, "numpy_dtype", dtype)
    if plain.itemsize < 8 and not all(
        np.array_equal(x, x.astype(plain), equal_nan=True) for x in values
    ):
        is_nullable = pd.api.types.is_extension_array_dtype(dtype)
        wide: Any = pd.Float64Dtype() if is_nullable else np.dtype(np.float64)
        note = f"{column.name}: {dtype} became {wide}, which holds its imputations exactly"
        return Restored(wide, [pd.array(x, dtype=wide) for x in values], note)
    return Restored(dtype, [pd.array(x, dtype=dtype) for x in values])


_MAX_EXACT = 2**53  # a double holds each integer up to here
