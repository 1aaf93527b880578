"""Where a grid's rows are kept: in memory, or in a folder of Parquet files, written as they come.

The folder has a subfolder per table, and in each the files 000001.parquet, 000002.parquet, ...: the
rows of some fits, which are in the files of that number in all subfolders. That of `FITS` is
written last, so that rows whose number it lacks, as after a kill, don't count.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from ..base.extras import needed_module
from ..base.paths import write_whole
from ..errors import ArgumentError, RBridgeError
from .tables import FITS, columns_of, typed, types_of

__all__ = ["FolderParts", "MemoryParts", "Parts"]

EVERY = 5.0  # seconds between the files that are written
_LOCK = ".lock"


class Parts(Protocol):
    """The rows of a grid."""

    def add(self, model: str, frames: dict[str, pd.DataFrame]) -> None:
        """Add the rows of some fits of a model, by table."""
        ...

    def flush(self) -> None:
        """Put what was added where it lasts."""
        ...

    def rows(self, table: str, models: Iterable[str] | None = None) -> pd.DataFrame:
        """Return the rows of a table, in the order in which they came."""
        ...


class MemoryParts:
    """Rows that are kept in memory."""

    def __init__(self) -> None:
        self._added: dict[str, list[pd.DataFrame]] = {}

    def add(self, model: str, frames: dict[str, pd.DataFrame]) -> None:
        """Add the rows of some fits of a model, by table."""
        for table, frame in frames.items():
            self._added.setdefault(table, []).append(_of_model(model, frame, table))

    def flush(self) -> None:
        """Do nothing."""

    def rows(self, table: str, models: Iterable[str] | None = None) -> pd.DataFrame:
        """Return the rows of a table, in the order in which they came."""
        frames = self._added.get(table, [])
        if len(frames) > 1:  # once, not whenever it is asked for
            frames[:] = [pd.concat(frames, ignore_index=True)]
        frame = frames[0] if frames else _no_rows(table)
        return frame if models is None else frame[frame["model"].isin(list(models))]


class FolderParts:
    """Rows in the Parquet files of a folder.

    Parameters
    ----------
    folder : Path
        Of a grid.
    tables : sequence of str
        Those that it has beside `FITS`.

    Raises
    ------
    MissingExtraError
        pyarrow isn't installed.
    """

    def __init__(self, folder: Path, tables: Sequence[str]) -> None:
        _arrow("parquet")  # says what is missing before anything is written
        self._folder = folder
        self._tables = (*tables, FITS)  # the last one that is written
        self._added = MemoryParts()
        self._empty = True
        self._since = time.monotonic()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Let this process alone write to the folder, which an earlier one may have left untidy.

        What was added is written at the end, also after Ctrl-C or an error.
        """
        with _locked(self._folder / _LOCK):
            self._tidy()
            try:
                yield
            finally:
                self.flush()

    def add(self, model: str, frames: dict[str, pd.DataFrame]) -> None:
        """Add the rows of some fits of a model, and write what there is every few seconds."""
        self._added.add(model, frames)
        self._empty = False
        if time.monotonic() - self._since >= EVERY:
            self.flush()

    def flush(self) -> None:
        """Write what was added to a new file of each table."""
        self._since = time.monotonic()
        if self._empty:
            return
        # Taken first: after Ctrl-C in here rows may be lost, and fitted again, but none is written
        # twice.
        added, self._added, self._empty = self._added, MemoryParts(), True
        name = f"{max(self._numbers(FITS), default=0) + 1:06}.parquet"
        for table in self._tables:
            frame = added.rows(table)
            content = _arrow().Table.from_pandas(frame, self._schema(table), preserve_index=False)
            self._write(self._folder / table / name, content.replace_schema_metadata())

    def rows(self, table: str, models: Iterable[str] | None = None) -> pd.DataFrame:
        """Return the rows of a table, read now, in the order in which they came."""
        parts = [
            self._read(self._folder / table / f"{number:06}.parquet", table)
            for number in sorted(self._numbers(FITS))
        ]
        if not parts:
            return _no_rows(table)
        content = _arrow().concat_tables(parts)
        if models is not None:
            content = content.filter(_arrow("compute").field("model").isin(list(models)))
        return typed(content.to_pandas(), table)

    def _numbers(self, table: str) -> list[int]:
        files = (self._folder / table).glob("*.parquet")
        return [int(x.stem) for x in files if x.stem.isdecimal()]

    def _schema(self, table: str) -> Any:
        pa = _arrow()
        types = {
            "text": pa.string(), "whole": pa.int64(), "truth": pa.bool_(), "real": pa.float64(),
        }  # fmt: skip
        return pa.schema([(name, types[kind]) for name, kind in types_of(table).items()])

    def _write(self, path: Path, content: Any) -> None:
        def write(partial: Path) -> None:
            with partial.open("wb") as file:
                _arrow("parquet").write_table(content, file)
                file.flush()
                os.fsync(file.fileno())

        write_whole(path, "000001.parquet", write)

    def _read(self, path: Path, table: str) -> Any:
        try:
            file = _arrow("parquet").ParquetFile(path)
            if file.schema_arrow != self._schema(table):
                raise ValueError(f"its columns are {', '.join(map(str, file.schema_arrow))}")
            content = file.read()
            content.validate(full=True)
            return content
        except (_arrow().ArrowException, OSError, ValueError) as error:
            raise RBridgeError(f"{path} is no file of this table of a grid ({error}).") from error

    def _tidy(self) -> None:
        """Make the folders of the tables, and take away what a kill left half written."""
        for table in self._tables:
            (self._folder / table).mkdir(exist_ok=True)
            for partial in (self._folder / table).glob(".*.part"):
                shutil.rmtree(partial, ignore_errors=True)
        whole = set(self._numbers(FITS))
        for table in self._tables[:-1]:
            for number in set(self._numbers(table)) - whole:
                (self._folder / table / f"{number:06}.parquet").unlink()


def _arrow(part: str | None = None) -> Any:
    """Return pyarrow, or a part of it; a grid holds none, so that it pickles."""
    name = "pyarrow" if part is None else f"pyarrow.{part}"
    return needed_module(name, "parquet", "a folder of results")


def _of_model(model: str, frame: pd.DataFrame, table: str) -> pd.DataFrame:
    frame.insert(0, "model", model)
    if list(frame.columns) != columns_of(table):
        raise RBridgeError(f"table {table!r} has columns {list(frame.columns)}")
    return typed(frame, table)


def _no_rows(table: str) -> pd.DataFrame:
    return typed(pd.DataFrame(columns=columns_of(table)), table)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl

    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArgumentError(
                f"another process is writing to {path.parent}: wait for it, or name another folder."
            ) from None
        except OSError:  # a file system without locks
            pass
        yield
