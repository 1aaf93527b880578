"""Paths of files that are read or written; a file is written whole or not at all."""

from __future__ import annotations

import difflib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, MissingPathError, RBridgeError

__all__ = ["is_path", "readable_file", "writable_file", "write_whole"]


def is_path(value: Any) -> bool:
    """Tell whether a value names one file."""
    return isinstance(value, str | os.PathLike)


def readable_file(path: Any, end: str | None = None) -> Path:
    """Return the path of a file that is there.

    Parameters
    ----------
    path : str or Path
        As it was given.
    end : str, optional
        Of the names of such files, for the message: where no name is near, it tells of these.

    Returns
    -------
    Path
        Of a regular file.

    Raises
    ------
    MissingPathError
        There is no such file; the message names those of a like name.
    ArgumentError
        Something that is no path, or one of something else than a file.

    Examples
    --------
    >>> readable_file("nowhere/fit.zip")
    Traceback (most recent call last):
        ...
    rbridge_mi.errors.MissingPathError: nowhere/fit.zip can't be read: there is no folder ...
    """
    file = _path(path)
    if file.is_dir():
        raise ArgumentError(f"{file} is a folder: name the file in it.")
    if file.is_file():
        return file
    if file.exists():
        raise ArgumentError(f"{file} is no regular file: only such are read.")
    here = file.parent.absolute()
    if not here.is_dir():
        raise MissingPathError(f"{file} can't be read: there is no folder {here}.")
    names = sorted(x.name for x in here.iterdir() if x.is_file())
    close = difflib.get_close_matches(file.name, names, 3)
    if not close and end is not None:
        close = [x for x in names if x.endswith(end)][:3]
    hint = f" There is {', '.join(close)}." if close else ""
    raise MissingPathError(f"{file} can't be read: there is no such file in {here}.{hint}")


def writable_file(path: Any, example: str) -> Path:
    """Return the path of a file to write, refused where there can't be one.

    Parameters
    ----------
    path : str or Path
        As it was given.
    example : str
        Name of such a file, for the message.

    Returns
    -------
    Path
        In a folder that is there.

    Raises
    ------
    ArgumentError
        Something that is no path, or a folder.
    MissingPathError
        The folder that the file would be in isn't there.

    Examples
    --------
    >>> writable_file("fit.zip", "fit.zip").name
    'fit.zip'
    """
    file = _path(path)
    if not file.parent.is_dir():
        raise MissingPathError(
            f"{file} can't be written: there is no folder {file.parent.absolute()}. Make it first: "
            f"Path({str(file.parent)!r}).mkdir(parents=True)."
        )
    if file.is_dir():
        raise ArgumentError(f"{file} is a folder: name the file in it, such as {file / example}.")
    return file


def write_whole(path: Any, example: str, write: Callable[[Path], None]) -> Path:
    """Have a file written under another name, and give it its name when it is whole.

    Parameters
    ----------
    path : path
        Of the file; one that is there is replaced.
    example : str
        Name of such a file, for messages.
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
    file = writable_file(path, example)
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


def _path(path: Any) -> Path:
    if not is_path(path):
        raise ArgumentError(f"path must be the name of a file, not {path!r}.")
    file = Path(os.fsdecode(path))
    if "\0" in str(file):
        raise ArgumentError(f"{str(file)!r} is no path: it holds a NUL character.")
    return file
