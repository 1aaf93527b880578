"""A separate Rscript: frames go in, and numbers come out, as hexadecimal doubles (every bit)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rbridge_mi.rdoor.startup import start_environment

REFERENCE = Path(__file__).resolve().parent.parent / "r" / "reference"


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """A CSV whose doubles are hexadecimal text; the program turns them back."""
    text = frame.copy()
    for name in text.columns:
        if pd.api.types.is_float_dtype(text[name].dtype):
            text[name] = [("NA" if np.isnan(x) else float(x).hex()) for x in text[name]]
    text.to_csv(path, index=False)


def run(program: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """Run r/reference/PROGRAM in `folder`; its JSON, with hexadecimal doubles made floats."""
    rscript = shutil.which("Rscript")
    assert rscript, "these tests need R: run `make r-test`"
    done = subprocess.run(
        [rscript, str(REFERENCE / program), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env=start_environment(os.environ),
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def doubles(texts: list[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([np.nan if x == "NA" else float.fromhex(x) for x in texts])


def assert_bits(mine: Any, theirs: list[str], what: str) -> int:
    """Every double has the bits that R's has; missing where R's is. Returns how many there were."""
    a, b = np.asarray(mine, dtype=np.float64), doubles(theirs)
    assert a.shape == b.shape, f"{what}: {a.shape} against {b.shape}"
    same = (a.view(np.int64) == b.view(np.int64)) | (np.isnan(a) & np.isnan(b))
    assert same.all(), f"{what}: {np.flatnonzero(~same)[:5]}: {a[~same][:3]} is not {b[~same][:3]}"
    return int(a.size)
