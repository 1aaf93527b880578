"""A job, its data and its file, which the tests of jobs change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.jobs import JobError, check_job, parse_job
from rbridge_mi.jobs.spec import parse_toml
from rbridge_mi.jobs.values import Mistakes

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

JOB: dict[str, Any] = {
    "data": {
        "path": "d.csv",
        "columns": {"g": "text", "x": "float", "z": "integer", "y": "float"},
    },
    "imputation": {"engine": "amelia", "m": 2, "seed": 1, "idvars": ["g"]},
    "model": {"formula": "y ~ x + z + (1 | g)"},
    "output": {"folder": "out"},
}


def toml(table: dict[str, Any], prefix: str = "") -> str:
    """Enough of TOML's writing for these jobs: JSON's scalars and lists are TOML's."""
    own = [
        f"{json.dumps(k)} = {json.dumps(v)}" for k, v in table.items() if not isinstance(v, dict)
    ]
    inner = []
    for key, value in table.items():
        if isinstance(value, dict):
            name = f"{prefix}{json.dumps(key)}"
            inner.append(f"[{name}]\n{toml(value, name + '.')}")
    return "\n".join([*own, *inner])


def changed(**sections: Any) -> dict[str, Any]:
    """JOB with keys replaced; None drops a section or a key."""
    job = {k: dict(v) for k, v in JOB.items()}
    for name, keys in sections.items():
        if keys is None:
            del job[name]
            continue
        job[name] = {k: v for k, v in {**job.get(name, {}), **keys}.items() if v is not None}
    return job


def data_frame(seed: int = 1) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    group = np.repeat(np.arange(12), 10)
    x, z = random.normal(size=120), random.integers(0, 5, size=120)
    y = 1 + x + 0.3 * z + random.normal(size=12)[group] + random.normal(size=120)
    frame = pd.DataFrame({"g": [f"{i:02d}" for i in group], "x": x, "z": z, "y": y})
    return rb.ampute(frame, prop=0.1, columns=["x", "z"], seed=seed)


def write(place: Path, job: dict[str, Any] | str, name: str = "job.toml") -> Path:
    path = place / name
    path.write_text(job if isinstance(job, str) else toml(job))
    return path


def mistakes_of(path: Path, **places: Any) -> dict[str, str]:
    with pytest.raises(JobError) as caught:
        check_job(path, **places)
    return dict(caught.value.mistakes)


def doubles(texts: pd.Series[Any]) -> np.ndarray[Any, Any]:
    """Each text as Python reads it: exactly, which pandas 2 does not by itself."""
    return np.array([float(x) for x in texts], dtype=np.float64)


def parsed(source: str) -> tuple[Any, dict[str, str]]:
    found = Mistakes()
    job = parse_job(parse_toml(source, found), found)
    return job, dict(found)
