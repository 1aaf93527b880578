"""The objects in which R's packages keep imputations, as data sets.

==================================  ==============================================================
class                               data sets
==================================  ==============================================================
mids (mice)                         as ``mice::complete(x, i)``; with holes: ``x$data``
amelia                              ``x$imputations``; with holes: where ``x$missMatrix`` says so
mira                                the frame of each model; of lme4's, lm's and the like
mild, mitml.list, other lists       their data frames; with holes: the one named "0"
imputationList (mitools)            ``x$imputations``
==================================  ==============================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ArgumentError, RBridgeError
from .data_sets import DataSets, Table
from .files import content
from .r_columns import frame_of, matrix_of
from .r_tree import DAMAGED, Tree, parsed
from .trusted import Trust, serialized

__all__ = ["read_r"]


def read_r(path: Path, trust: Trust) -> DataSets | Table:
    """Read an .rds or .rda file.

    Parameters
    ----------
    path : Path
        Of the file, packed or not.
    trust : bool or "despite CVE-2024-27322"
        Have R read it; False reads it without R.

    Returns
    -------
    DataSets or Table
        Of one data frame, a table.

    Raises
    ------
    RBridgeError
        It is no such file, or it is damaged.
    ArgumentError
        It holds something else.
    MissingExtraError
        rdata isn't installed.
    """
    raw = serialized(path, trust) if trust else content(path)
    tree = parsed(raw, path, None if trust else path.stat().st_size)
    try:
        return _data_sets(tree, path)
    except RBridgeError:
        raise
    except DAMAGED as error:  # parts that a damaged object has not
        raise RBridgeError(
            f"{path} can't be read: its object is not as its class says ({type(error).__name__}: "
            f"{error})."
        ) from error


def _data_sets(tree: Tree, path: Path) -> DataSets | Table:
    classes, parts = tree.classes, tree.by_name()
    if "data.frame" in classes:
        return Table(frame_of(tree, str(path)))
    if "mids" in classes:
        return _mids(parts, path)
    if "amelia" in classes:
        return _amelia(parts, path)
    if "mira" in classes and "analyses" in parts:
        return DataSets(_model_frames(parts["analyses"], path), None, "mira")
    if "imputationList" in classes and "imputations" in parts:
        return _list(parts["imputations"], path, "imputationList")
    if "mitml" in classes:
        raise ArgumentError(
            f"{path} holds an object of class mitml, which panImpute and jomoImpute return: save "
            'its data sets, in R saveRDS(mitml::mitmlComplete(x, "all"), file).'
        )
    if tree.type == "VEC" and len(tree):
        return _list(tree, path, next((x for x in classes if x != "list"), "list"))
    told = " and ".join(classes) or tree.r_type
    raise ArgumentError(
        f"{path} holds an R object of class {told}, and no imputations: mids, amelia, mira, "
        "mitml.list, or another list of data frames. Fitted models are read by MerMod.from_r."
    )


def _list(tree: Tree, path: Path, method: str, without: Sequence[int] = ()) -> DataSets:
    items = tree.items()
    names: Sequence[str] = tree.names or tuple(str(i) for i in range(1, len(items) + 1))
    if without:
        names = [x for i, x in enumerate(names, 1) if i not in without]
        items = [x for i, x in enumerate(items, 1) if i not in without]
    for name, item in zip(names, items, strict=True):
        if "data.frame" not in item.classes:
            told = " and ".join(item.classes) or item.r_type
            raise ArgumentError(
                f"{path} holds a list whose element {name!r} is no data frame ({told}): only a "
                "list of data frames holds data sets."
            )
    frames = [frame_of(x, f"data set {name!r}") for name, x in zip(names, items, strict=True)]
    if tree.names and names[0] == "0" and len(frames) > 1:
        return DataSets(frames[1:], _as_completed(frames[0], frames[1:]), method)
    return DataSets(frames, None, method)


def _as_completed(data: pd.DataFrame, frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the data with their holes, with numbers where mice made such of truth values."""
    data = data.copy()
    is_bool = pd.api.types.is_bool_dtype
    for name in data.columns.intersection(frames[0].columns):
        if is_bool(data[name].dtype) and pd.api.types.is_float_dtype(frames[0][name].dtype):
            data[name] = data[name].astype("Float64").to_numpy(np.float64, na_value=np.nan)
    return data


def _model_frames(tree: Tree, path: Path) -> Sequence[pd.DataFrame]:
    frames = []
    for i, fit in enumerate(tree.items(), start=1):
        frame = fit.attributes.get("frame") if fit.type == "S4" else fit.by_name().get("model")
        if frame is None or "data.frame" not in frame.classes:
            raise ArgumentError(
                f"{path}: model {i} ({' and '.join(fit.classes) or fit.r_type}) holds no frame of "
                "its data: save the imputations themselves."
            )
        frames.append(frame_of(frame, f"the frame of model {i}"))
    if not frames:
        raise ArgumentError(f"{path} holds no models.")
    return frames


# -- mice --------------------------------------------------------------------------------------


def _mids(parts: Any, path: Path) -> DataSets:
    data = frame_of(parts["data"], "the data of the mids object")
    where = matrix_of(parts["where"], "`where` of the mids object")
    if where.shape != data.shape:
        raise RBridgeError(f"{path} is damaged: `where` has not the cells of the data.")
    m = int(parts["m"].numbers()[0][0])
    imputed = parts["imp"].by_name()
    filled: dict[str, pd.DataFrame | None] = {}
    for j, name in enumerate(data.columns):
        if where.iloc[:, j].any():
            of_column = imputed.get(name)
            if of_column is None or of_column.is_null:
                filled[name] = None
                continue
            filled[name] = values = frame_of(
                of_column, f"the imputations of {name!r}", by_place=True
            )
            if values.shape[1] < m:
                raise RBridgeError(f"{path} is damaged: {name!r} has not {m} imputations.")
    if m < 1:
        raise ArgumentError(f"{path} holds a mids object without imputations.")
    frames = []
    for i in range(m):
        frame = data.copy()
        for name, values in filled.items():
            rows = where.iloc[:, data.columns.get_loc(name)].to_numpy()
            frame[name] = _with_cells(
                data[name], rows, None if values is None else values.iloc[:, i]
            )
        frames.append(frame)
    return DataSets(frames, _as_completed(data, frames), "mids")


def _with_cells(
    column: pd.Series[Any], rows: np.ndarray[Any, Any], values: pd.Series[Any] | None
) -> pd.Series[Any]:
    """Return ``column[rows] <- values`` as R does it: in a type that holds both."""
    if values is None:
        return _with_holes(column, rows)
    if len(values) != int(rows.sum()):
        raise RBridgeError(f"column {column.name!r} has not as many imputed cells as it says.")
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = column.cat.codes.to_numpy().astype(np.int64)
        codes[rows] = column.cat.categories.get_indexer(values.astype(object))
        return pd.Series(pd.Categorical.from_codes(codes, dtype=column.dtype), column.index)
    old, new = column.dtype, values.dtype
    if pd.api.types.is_bool_dtype(old) and pd.api.types.is_bool_dtype(new):
        return _masked(column, rows, values, "boolean", np.bool_)
    if pd.api.types.is_numeric_dtype(old) and pd.api.types.is_numeric_dtype(new):
        if not (pd.api.types.is_float_dtype(old) or pd.api.types.is_float_dtype(new)):
            return _masked(column, rows, values, "Int64", np.int64)
        numbers = column.to_numpy(np.float64, na_value=np.nan).copy()
        numbers[rows] = values.to_numpy(np.float64, na_value=np.nan)
        return pd.Series(numbers, column.index)
    cells = column.astype(object).to_numpy().copy()
    cells[rows] = values.astype(object).to_numpy()
    return pd.Series(cells, column.index, dtype=old)


def _masked(
    column: pd.Series[Any],
    rows: np.ndarray[Any, Any],
    values: pd.Series[Any],
    wide: str,
    plain: Any,
) -> pd.Series[Any]:
    cells = column.astype(wide).copy()
    cells[rows] = values.astype(wide).array
    return cells if cells.isna().any() else cells.astype(plain)


def _with_holes(column: pd.Series[Any], rows: np.ndarray[Any, Any]) -> pd.Series[Any]:
    wide = {"i": "Int64", "b": "boolean"}
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in wide:
        column = column.astype(wide[column.dtype.kind])
    return column.mask(rows)


# -- Amelia ------------------------------------------------------------------------------------


def _amelia(parts: Any, path: Path) -> DataSets:
    if "imputations" not in parts or "missMatrix" not in parts:
        raise ArgumentError(f"{path} holds an amelia object without imputations: it had failed.")
    items = parts["imputations"].items()
    # Of a chain that failed, Amelia keeps NA.
    failed = [i for i, x in enumerate(items, 1) if x.type == "LGL" and len(x) == 1]
    if len(failed) == len(items):
        raise ArgumentError(f"{path} holds an amelia object of which all chains had failed.")
    data = _list(parts["imputations"], path, "amelia", without=failed)
    holes = matrix_of(parts["missMatrix"], "missMatrix of the amelia object")
    first = data.frames[0]
    if len(holes) != len(first):
        raise RBridgeError(f"{path} is damaged: missMatrix has not the rows of the data.")
    original = first.copy()
    for name in first.columns:
        if name in holes.columns:
            rows = holes[name].to_numpy()
        else:  # added by transform()
            columns = [x[name].astype(object) for x in data.frames]
            rows = np.any([(x != columns[0]) & ~(x.isna() & columns[0].isna()) for x in columns], 0)
        if rows.any():
            original[name] = _with_holes(first[name], rows)
    notes = [f"Amelia's chain {i} of {len(items)} failed: it has no data set" for i in failed]
    return DataSets(data.frames, original, "amelia", tuple(notes))
