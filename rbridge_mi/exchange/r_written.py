"""Data sets and fitted models as files that R reads by ``readRDS``."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd

from .. import rdoor
from ..base.arguments import check_value
from ..base.paths import write_whole
from ..errors import ArgumentError, EncodingError

__all__ = ["RClass", "check_r_class", "write_imputations", "write_object", "write_objects"]

RClass: TypeAlias = Literal["mids", "mitml.list", "amelia", "list"]
_PACKAGES = {"mids": "mice", "mitml.list": "mitml"}
_MAX_INT = 2**31 - 1


def check_r_class(as_: Any) -> None:
    """Refuse what is no class of imputations, and one whose package this R lacks.

    Parameters
    ----------
    as_ : object
        As it was given.

    Raises
    ------
    ArgumentError
        Another class; the message names all.
    RPackageError
        This R lacks the package that makes such objects.
    """
    check_value(as_, get_args(RClass), "as_")
    if as_ in _PACKAGES:
        rdoor.require_package(_PACKAGES[as_], f"an object of class {as_}")


def write_imputations(
    path: Any,
    frames: Sequence[pd.DataFrame],
    original: pd.DataFrame,
    where: np.ndarray[Any, Any] | None,
    as_: RClass,
) -> Path:
    """Write data sets as an object of R.

    Parameters
    ----------
    path : path
        Of the file.
    frames : sequence of DataFrame
        The completed data sets.
    original : DataFrame
        The data with their holes, with the same columns.
    where : array of bool or None
        The cells that the data sets fill, rows x columns.
    as_ : {"mids", "mitml.list", "amelia", "list"}
        The class.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    EncodingError
        A column or a name that R has no place for.
    """
    names = rdoor.names_for_r(original.columns)
    if as_ == "mids":
        proper = rdoor.call("base::make.names", names).value
        odd = [x for x, y in zip(names, proper, strict=True) if x != y]
        if odd:
            raise EncodingError(
                f"column {odd[0]!r}: mice pastes names into formulas, and takes those only that R "
                "needs no quotes for (letters, digits, points and underscores). Rename it: "
                "imp.transform(lambda d: d.rename(columns={...})), or take as_='mitml.list'."
            )
    r = rdoor.call_object(
        "imputations_object", as_, [*frames], original, where, _row_names(original.index)
    )
    return write_object(path, r)


def write_object(path: Any, r: Any) -> Path:
    """Write an R object as an .rds file.

    Parameters
    ----------
    path : path
        Of the file.
    r : RObject
        What is written.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    ArgumentError
        The object isn't here: it was not loaded, say.
    MissingPathError
        There is no such folder.
    """
    check_object(r)
    raw = r.to_bytes()
    # As saveRDS packs it; without the time, so that the same object gives the same file.
    packed = gzip.compress(raw, 6, mtime=0)
    return write_whole(path, "fit.rds", lambda partial: _write(partial, packed))


def write_objects(path: Any, objects: Sequence[Any]) -> Path:
    """Write a list of R objects as an .rds file.

    Parameters
    ----------
    path : path
        Of the file.
    objects : sequence of RObject
        What is written.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    ArgumentError
        One of them isn't here.
    """
    for r in objects:
        check_object(r)
    return write_object(path, rdoor.call_object("base::list", *objects))


def check_object(r: Any) -> None:
    """Refuse what stands for an R object that isn't here.

    Parameters
    ----------
    r : object
        As a result has it.

    Raises
    ------
    ArgumentError
        The message says how to get it.
    """
    if not isinstance(r, rdoor.RObject):
        raise ArgumentError(
            f"there is no R object to write ({r!r}): fit the model anew, or load it with its "
            "objects, rb.load(path, allow_r_object=True)."
        )


def _write(path: Path, packed: bytes) -> None:
    path.write_bytes(packed)


def _row_names(index: pd.Index) -> Any:
    """Return labels as R's row names; None where they number the rows, or R can't have them."""
    if index.equals(pd.RangeIndex(len(index))) or index.has_duplicates or index.nlevels > 1:
        return None
    if pd.api.types.is_integer_dtype(index.dtype):
        values = index.to_numpy(np.int64)
        if (np.abs(values) <= _MAX_INT).all():
            return values.astype(np.int32)
        return [str(x) for x in values]
    if all(isinstance(x, str) for x in index):
        return list(index)
    return None
