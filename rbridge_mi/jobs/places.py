"""Where a job may read and write: inside the job file's folder, or where the command line says."""

from __future__ import annotations

import os
from pathlib import Path

from .values import Mistakes, shown

__all__ = ["data_file", "output_folder"]


def data_file(given: str, job: Path, root: Path | None, mistakes: Mistakes) -> Path | None:
    """Return the data's file, which is relative to the root and inside it, links followed.

    The root is the job file's folder, or what the command line gave as ``--data-root``.
    """
    key = "data.path"
    base = _real(job.parent if root is None else root)
    where = "the job file's folder" if root is None else "the data root"
    if not base.is_dir():
        mistakes.add(key, f"{where} {base} is no folder")
        return None
    real = _inside(given, base, where, key, mistakes)
    if real is None:
        return None
    if root is None and not real.is_relative_to(base):
        mistakes.add(
            key,
            f"{shown(given)} leads out of {where}: put the data there, or name another folder on "
            "the command line (--data-root DIR)",
        )
    elif not real.is_relative_to(base):
        mistakes.add(key, f"{shown(given)} leads out of {where}, {base}")
    elif not os.path.exists(real):  # noqa: PTH110 - says False of a name that is too long
        mistakes.add(key, f"there is no {shown(given)} in {where}, {base}")
    elif not real.is_file():
        mistakes.add(key, f"{shown(given)} is no file")
    elif not os.access(real, os.R_OK):
        mistakes.add(key, f"{shown(given)} may not be read by this user")
    else:
        return real
    return None


def output_folder(
    given: str | None, job: Path, out: Path | None, mistakes: Mistakes
) -> Path | None:
    """Return the folder to write: the command line's, or one below the job file's folder."""
    if out is not None:
        return _real(out)
    key, where, base = "output.folder", "the job file's folder", _real(job.parent)
    name = f"{job.stem}-results" if given is None else given
    real = _inside(name, base, where, key, mistakes)
    if real is None:
        return None
    if real == base or not real.is_relative_to(base):
        mistakes.add(
            key,
            f"{shown(name)} is not below {where}: name a folder below it, or another one on the "
            "command line (--out DIR)",
        )
        return None
    return real


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _inside(given: str, base: Path, where: str, key: str, mistakes: Mistakes) -> Path | None:
    """Return the path with its links followed; the caller checks that it is inside `base`."""
    if "\0" in given:
        mistakes.add(key, f"{shown(given)} is no path")
        return None
    if Path(given).is_absolute():
        mistakes.add(key, f"must be relative to {where}, not the absolute {shown(given)}")
        return None
    return _real(base / given)
