"""Files: what kind they are of, their bytes, and writing them whole or not at all."""

from __future__ import annotations

import bz2
import difflib
import gzip
import io
import lzma
import os
import secrets
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, MissingPathError, RBridgeError

__all__ = ["FORMATS", "checked_path", "content", "format_of", "is_path", "unread", "written"]

# The kinds of files, with the ends of their names.
FORMATS = {
    "csv": (".csv", ".tsv", ".txt"),
    "parquet": (".parquet", ".pq"),
    "feather": (".feather", ".arrow", ".ipc"),
    "stata": (".dta",),
    "spss": (".sav", ".zsav"),
    "r": (".rds", ".rda", ".rdata"),
}
_PACKED: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
ALWAYS = 256 * 2**20  # bytes that any file may unpack to
_RATIO = 300  # a larger file may not unpack to more times its size: data sets don't
_BLOCK = 2**20


def is_path(value: Any) -> bool:
    """Tell whether a value names one file."""
    return isinstance(value, str | os.PathLike)


def checked_path(path: Any) -> Path:
    """Take the path of a file that is there.

    Parameters
    ----------
    path : path
        As it was given.

    Returns
    -------
    Path
        The same.

    Raises
    ------
    MissingPathError
        There is no such file; the message names those of a like name.
    ArgumentError
        No path, or one of something else than a file.
    """
    if not is_path(path):
        raise ArgumentError(f"path must be the path of a file, not {type(path).__name__}.")
    file = Path(os.fsdecode(path))
    if "\0" in str(file):
        raise ArgumentError(f"{str(file)!r} is no path: it holds a NUL character.")
    if file.is_dir():
        raise ArgumentError(f"{file} is a folder: name the file, or a list of files, in it.")
    if not file.exists():
        here = file.parent.absolute()
        if not here.is_dir():
            raise MissingPathError(f"{file} can't be read: there is no folder {here}.")
        close = difflib.get_close_matches(file.name, sorted(x.name for x in here.iterdir()), 3)
        hint = f" There is {', '.join(close)}." if close else ""
        raise MissingPathError(f"{file} can't be read: there is no such file in {here}.{hint}")
    if not file.is_file():
        raise ArgumentError(f"{file} is no regular file: data sets are read from files only.")
    return file


def format_of(path: Path, given: str | None) -> str:
    """Return the format of a file: the one that was given, or that of the end of its name.

    Parameters
    ----------
    path : Path
        Of the file; ``.gz`` at its end is no matter.
    given : str or None
        One of `FORMATS`.

    Returns
    -------
    str
        One of `FORMATS`.

    Raises
    ------
    ArgumentError
        Another one, or an end that says none.
    """
    if given is not None:
        if given not in FORMATS:
            raise ArgumentError(f"format must be one of {', '.join(FORMATS)}, not {given!r}.")
        return given
    name = path.name.lower()
    for end in (".gz", ".bz2", ".xz"):
        name = name.removesuffix(end)
    for kind, ends in FORMATS.items():
        if name.endswith(ends):
            return kind
    raise ArgumentError(
        f"the name of {path} doesn't say what kind of file it is: give "
        f"format={' or '.join(map(repr, FORMATS))}."
    )


def content(path: Path) -> bytes:
    """Return the bytes of a file, unpacked if it is packed by gzip, bzip2 or xz.

    Parameters
    ----------
    path : Path
        Of a file that is there.

    Returns
    -------
    bytes
        What it holds.

    Raises
    ------
    RBridgeError
        It can't be read or unpacked, or unpacks to far more than data sets would.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RBridgeError(f"{path} can't be read: {error}.") from error
    opener = next((x for magic, x in _PACKED.items() if raw.startswith(magic)), None)
    if opener is None:
        return raw
    most = max(ALWAYS, _RATIO * len(raw))
    unpacked = bytearray()
    try:
        with opener(io.BytesIO(raw)) as file:
            while block := file.read(_BLOCK):
                unpacked += block
                if len(unpacked) > most:
                    raise RBridgeError(
                        f"{path} has {len(raw)} bytes and unpacks to more than {most}, as no file "
                        "of data does: it is refused. Unpack it yourself if it is right."
                    )
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise RBridgeError(f"{path} can't be unpacked, it is damaged: {error}.") from error
    return bytes(unpacked)


def unread(path: Path, kind: str, error: BaseException | str) -> RBridgeError:
    """Make the error that says that a file can't be read as one of its kind."""
    told = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return RBridgeError(
        f"{path} can't be read as {kind}: it is damaged, or of another kind ({told})."
    )


def written(path: Any, write: Callable[[Path], None]) -> Path:
    """Have a file written under another name, and give it its name when it is whole.

    Parameters
    ----------
    path : path
        Of the file; one that is there is replaced.
    write : callable
        Writes to the path that it is given.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    MissingPathError
        There is no such folder.
    ArgumentError
        No path, or that of a folder.
    """
    if not is_path(path):
        raise ArgumentError(f"path must be the path of a file, not {type(path).__name__}.")
    file = Path(os.fsdecode(path))
    if not file.parent.is_dir():
        raise MissingPathError(
            f"{file} can't be written: there is no folder {file.parent.absolute()}. Make it first: "
            f"Path({str(file.parent)!r}).mkdir(parents=True)."
        )
    if file.is_dir():
        raise ArgumentError(f"{file} is a folder: name the file in it.")
    # A new folder, so that no link that is there is followed; it keeps the end of the name.
    folder = file.parent / f".{secrets.token_hex(8)}.part"
    partial = folder / file.name
    try:
        folder.mkdir(mode=0o700)
        write(partial)
        partial.replace(file)
    except OSError as error:
        raise RBridgeError(f"{file} can't be written: {error}.") from error
    finally:
        partial.unlink(missing_ok=True)
        if folder.is_dir():
            folder.rmdir()
    return file
