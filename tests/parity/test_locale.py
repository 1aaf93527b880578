"""Parity where text sorts differently: in the C locale, and with a collation set from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.r, pytest.mark.processes, pytest.mark.slow]


@pytest.mark.parametrize(
    "environment", [{"LC_ALL": "C"}, {"LC_ALL": "POSIX", "R_ICU_LOCALE": "en_US"}]
)
def test_levels_in_another_locale(environment: dict[str, str]) -> None:
    program = "import sys; from rbridge_mi.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "parity", "--json", "--case", "levels/[do]*_[co]*"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["equal"] and outcome["cases"] == 3 and outcome["doubles"] > 5_000
    assert outcome["stack"]["collate"] == "C"
