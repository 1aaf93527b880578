"""Importing the package is cheap and starts nothing."""

from __future__ import annotations

import json
import subprocess
import sys


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
