"""Paths of files that are to be written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, MissingPathError

__all__ = ["writable_file"]


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
    if not isinstance(path, str | os.PathLike):
        raise ArgumentError(f"path must be the name of a file, not {path!r}.")
    file = Path(path)
    if not file.parent.is_dir():
        raise MissingPathError(
            f"{file} can't be written: there is no folder {file.parent.absolute()}. Make it first: "
            f"Path({str(file.parent)!r}).mkdir(parents=True)."
        )
    if file.is_dir():
        raise ArgumentError(f"{file} is a folder: name the file in it, such as {file / example}.")
    return file
