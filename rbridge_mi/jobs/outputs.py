"""Files that appear all at once: written beside their folder, put in its place at the end."""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from .values import Mistakes, shown

__all__ = [
    "FORMAT",
    "RUN_JSON",
    "check_folder",
    "fingerprints",
    "staged",
    "write_json",
    "write_table",
]

FORMAT = "rbridge-mi run"
RUN_JSON = "run.json"


def check_folder(folder: Path, mistakes: Mistakes) -> None:
    """Check that the folder may be written: it is absent, empty, or all of an earlier run.

    A folder that is there is replaced as a whole, so that it must hold nothing but what the
    `run.json` in it lists.
    """
    key = "output.folder"
    if folder.is_dir():
        present = {x.relative_to(folder).as_posix() for x in folder.rglob("*")}
        if present:
            written = _earlier_run(folder)
            if written is None:
                mistakes.add(
                    key,
                    f"{folder} is there and no run wrote it (it has no {RUN_JSON} of one): name "
                    "another folder, or empty it",
                )
                return
            foreign = sorted(present - written - {RUN_JSON})
            if foreign:
                mistakes.add(
                    key,
                    f"{folder} holds {', '.join(map(shown, foreign[:5]))}, which the earlier run "
                    "there did not write and this one would delete: move it away",
                )
                return
    elif os.path.lexists(folder):
        mistakes.add(key, f"{folder} is there and is no folder: name another one")
        return
    parent = _existing(folder.parent)
    if not parent.is_dir():
        mistakes.add(key, f"{parent} is no folder, so that {folder} can't be made in it")
    elif not os.access(parent, os.W_OK | os.X_OK):
        mistakes.add(
            key,
            f"{parent}, in which {folder.name} is to be made, may not be written by this user: "
            "name another folder on the command line (--out DIR)",
        )
    elif folder.is_dir() and folder.is_mount():
        mistakes.add(
            key,
            f"{folder} is a mount point, which can't be put in place as a whole: name a folder "
            f"inside it, such as --out {folder / 'results'}",
        )


def _existing(folder: Path) -> Path:
    while not os.path.lexists(folder):
        folder = folder.parent
    return folder


def _earlier_run(folder: Path) -> set[str] | None:
    try:
        record = json.loads((folder / RUN_JSON).read_text("utf-8"))
        if record["format"] != FORMAT:
            return None
        files = {PurePosixPath(x) for x in record["files"]}
        folders = {parent for x in files for parent in x.parents} - {PurePosixPath()}
        return {str(x) for x in files | folders}
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Give a new folder that takes the place of `folder` if the block ends well, else vanishes."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    stem = f".{folder.name}.{secrets.token_hex(4)}"
    partial, old = folder.with_name(f"{stem}.partial"), folder.with_name(f"{stem}.old")
    try:
        partial.mkdir()
        yield partial
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
    finally:
        if old.exists() and not folder.exists():  # interrupted in between
            old.rename(folder)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_table(table: pd.DataFrame, folder: Path, name: str, formats: tuple[str, ...]) -> None:
    """One table in each format. Doubles are written with the digits that give them back exactly."""
    if "csv" in formats:
        table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n", encoding="utf-8")
    if "parquet" in formats:
        table.to_parquet(folder / f"{name}.parquet", engine="pyarrow", index=False)
    if "feather" in formats:
        table.reset_index(drop=True).to_feather(folder / f"{name}.feather")


def fingerprints(folder: Path) -> dict[str, str]:
    """SHA-256 of each file, by its path in the folder, with / between the parts."""
    files = sorted(x for x in folder.rglob("*") if x.is_file())
    return {
        x.relative_to(folder).as_posix(): hashlib.sha256(x.read_bytes()).hexdigest() for x in files
    }


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """JSON that any reader takes: what is not finite stands as text."""
    path.write_text(
        json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8"
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(x) for k, x in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(x) for x in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
