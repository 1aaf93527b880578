"""Files: what kind they are of, and their bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, RBridgeError

__all__ = ["FORMATS", "content", "format_of", "unread"]

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
    told = error if isinstance(error, str) else f"{type(error).__name__}: {str(error).strip()}"
    return RBridgeError(
        f"{path} can't be read as {kind}: it is damaged, or of another kind ({told})."
    )
