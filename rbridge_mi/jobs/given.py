"""Data sets that were imputed elsewhere: the file of [data] holds all of them."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from ..data.imputed_data import ImputedData
from ..data.reading import read_imputed
from ..errors import ArgumentError, RBridgeError
from .data import DataFile, read_data
from .data_section import FORMATS
from .job import DataSpec, ImputationSpec
from .values import Mistakes

__all__ = ["read_given"]


def read_given(
    spec: DataSpec, imputation: ImputationSpec, path: Path, mistakes: Mistakes
) -> tuple[DataFile, ImputedData] | None:
    """Read the file, and make data sets of it; None where there are mistakes, which join the list.

    Parameters
    ----------
    spec : DataSpec
        The file's; its path is what messages call it.
    imputation : ImputationSpec
        Has the names of the columns that number data sets and rows.
    path : Path
        The file itself.
    mistakes : Mistakes
        The list.

    Returns
    -------
    tuple of DataFile and ImputedData, or None
        The file's rows, and its data sets.
    """
    before = len(mistakes)
    imp, id = imputation.arguments.get("imp"), imputation.arguments.get("id")
    imputed = None
    try:
        if spec.format in FORMATS:
            assert imp is not None  # which has a default where the file holds a table
            numbering = {imp: "imp"} | ({id: "id"} if id else {})
            file = read_data(spec, path, mistakes, numbering)
            if file is not None and len(mistakes) == before:
                imputed = ImputedData.from_long(file.frame, imp, id or None, method=spec.format)
        else:
            file, imputed = _of_program(spec, imp, id, path)
    except ArgumentError as error:
        mistakes.add("imputation", str(error))
    except RBridgeError as error:
        mistakes.add("data.path", str(error))
    if imputed is not None and imputed.m < 2:
        mistakes.add("imputation", "has one data set to pool: the file must hold at least two")
    if imputed is None or len(mistakes) > before:
        return None
    assert file is not None
    return file, imputed


def _of_program(
    spec: DataSpec, imp: str | None, id: str | None, path: Path
) -> tuple[DataFile, ImputedData]:
    """Read a file of Stata, SPSS or R from a copy, so that what is hashed is what is read."""
    raw = path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(raw)
        try:
            imputed = read_imputed(copy, spec.format, imp, id or None)
        except ArgumentError as error:
            raise ArgumentError(str(error).replace(str(copy), spec.path)) from error
        except RBridgeError as error:
            raise RBridgeError(str(error).replace(str(copy), spec.path)) from error
    return DataFile(imputed.original, hashlib.sha256(raw).hexdigest(), len(raw)), imputed
