"""m data sets as files of other programs; see `ImputedData.to_r`, `to_stata` and `to_spss`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from ..base.arguments import check_columns
from ..base.paths import write_whole
from ..errors import ArgumentError, EncodingError
from ..exchange.r_written import RClass, check_r_class, write_imputations
from ..exchange.spss import IMPUTATION, check_spss_name, write_spss
from ..exchange.stata import check_stata_name, check_stata_path, import_line, write_stata
from .long_form import ID, IMP, stacked
from .merging import check_known_cells, columns_of, filled_cells

__all__ = ["write_r", "write_spss_file", "write_stata_file"]


class _Imputed(Protocol):
    """What is written of an `ImputedData`."""

    @property
    def original(self) -> pd.DataFrame: ...
    @property
    def kind(self) -> str: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, i: int, /) -> pd.DataFrame: ...


def write_r(imp: _Imputed, path: Any, as_: RClass) -> Path:
    """Write an object of R; see `ImputedData.to_r`."""
    check_r_class(as_)
    taken = [x for x in (IMP, ID) if x in imp[0].columns]
    if as_ == "mids" and taken:
        raise EncodingError(
            f"column {taken[0]!r} has a name that mice's complete() needs for itself: rename it, "
            "imp.transform(lambda d: d.rename(columns={...}))."
        )
    if as_ != "list":
        _check_imputations(imp, f"to_r(as_={as_!r})")
        frames, original = _frames(imp), columns_of(imp.original, imp[0])
        where = filled_cells(frames, original)
    else:
        frames = _frames(imp)
        original, where = frames[0], None
    return write_imputations(path, frames, original, where, as_)


def write_stata_file(imp: _Imputed, path: Any, labels: Mapping[Any, str] | None) -> Path:
    """Write a Stata file, and print what Stata is to be told; see `ImputedData.to_stata`."""
    check_stata_path(path)
    for name in imp[0].columns:
        check_stata_name(name)
    numbers, rows = "imp_", "id_"
    long, about = _for_file(imp, "to_stata", numbers, rows, labels)
    file = write_whole(path, "imputed.dta", lambda partial: write_stata(long, partial, about))
    holes = columns_of(imp.original, imp[0]).isna().any()
    print(import_line(file, numbers, rows, [x for x in holes.index if holes[x]]))
    return file


def write_spss_file(imp: _Imputed, path: Any, labels: Mapping[Any, str] | None) -> Path:
    """Write an SPSS file; see `ImputedData.to_spss`."""
    for name in imp[0].columns:
        check_spss_name(name)
    long, about = _for_file(imp, "to_spss", IMPUTATION, "id_", labels)
    return write_whole(path, "imputed.sav", lambda partial: write_spss(long, partial, about))


def _frames(imp: _Imputed) -> list[pd.DataFrame]:
    return [imp[i] for i in range(len(imp))]


def _for_file(
    imp: _Imputed, what: str, numbers: str, rows: str, labels: Mapping[Any, str] | None
) -> tuple[pd.DataFrame, Mapping[Any, str]]:
    """Return the long form for a file of another program, and what its columns are about."""
    _check_imputations(imp, what)
    frames = _frames(imp)
    about = imp.settings.get("labels", {}) if labels is None else labels
    if not isinstance(about, Mapping) or not all(isinstance(x, str) for x in about.values()):
        raise ArgumentError("labels must be a mapping of columns to texts.")
    if labels is not None:
        check_columns(labels, frames[0], "labels")
    names = [f"imputation {i}" for i in range(1, len(frames) + 1)]
    remedy = f"{what} can't keep that; a derived column is computed anew in the program"
    check_known_cells(frames, columns_of(imp.original, frames[0]), names, remedy)
    original = imp.original
    if not _can_name_rows(original.index):
        counted = pd.RangeIndex(len(original))
        frames = [x.set_axis(counted, axis=0) for x in frames]
        original = original.set_axis(counted, axis=0)
    long = stacked(frames, original, include=True, whole=True, imp=numbers, id=rows)
    return long, about


def _can_name_rows(index: pd.Index) -> bool:
    """Whether a column of row labels tells rows apart, in one type: else they are numbered."""
    if index.nlevels > 1 or index.has_duplicates or index.hasnans:
        return False
    if pd.api.types.is_numeric_dtype(index.dtype):
        return bool((index >= 0).all())
    return not pd.api.types.infer_dtype(index).startswith("mixed")


def _check_imputations(imp: _Imputed, what: str) -> None:
    if imp.kind != "imputation":
        raise ArgumentError(
            f"{what}: these are bootstrap samples, which other programs would pool as if they were "
            "imputations."
        )
