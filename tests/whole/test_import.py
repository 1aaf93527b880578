"""Importing the package is cheap and starts nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import get_args, get_type_hints

import pytest

import rbridge_mi as rb

pytestmark = pytest.mark.r


def test_import_starts_no_r_and_loads_no_rpy2() -> None:
    program = (
        "import json, os, sys, threading\n"
        "before = dict(os.environ)\n"
        "import rbridge_mi\n"
        "heavy = [x for x in ('rpy2', 'scipy', 'joblib', 'pytest') if x in sys.modules]\n"
        "print(json.dumps([heavy, dict(os.environ) == before, threading.active_count()]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[], True, 1]


def test_dir_shows_public_names_only() -> None:
    """In a process of its own, before and after every name was used, and modules were imported."""
    program = (
        "import json\n"
        "import rbridge_mi as rb, rbridge_mi.pooling.rubin, rbridge_mi.testing\n"
        "before = dir(rb)\n"
        "values = [getattr(rb, name) for name in rb.__all__]\n"
        "assert None not in values\n"
        "print(json.dumps([before, dir(rb), rb.__all__]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, after, public = json.loads(done.stdout)
    assert [x for x in before if not x.startswith("__")] == sorted(public)
    assert after == before
    assert "__version__" in after


def test_a_loaded_result_is_typed() -> None:
    """A type checker knows that `rb.load` gives one of four results."""
    results = get_args(get_type_hints(rb.load)["return"])
    assert set(results) == {rb.MerMod, rb.MerModList, rb.PooledMerMod, rb.ImputedData}


def test_the_door_loads_no_pandas() -> None:
    """R starts, and loads its packages, while pandas is still being imported."""
    program = "import sys\nfrom rbridge_mi import rdoor\nprint('pandas' in sys.modules)\n"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
