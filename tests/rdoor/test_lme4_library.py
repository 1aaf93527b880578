"""lme4 orders crossed effects alike in every process that this library starts R in."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.r, pytest.mark.processes]

PROGRAM = """
from rbridge_mi import rdoor
order = rdoor.call("crossed_order").value.tolist()
with open("/proc/self/maps") as maps:
    first = next(x for x in maps if x.rstrip().endswith("/lme4.so"))
print(order, int(first.split("-")[0], 16) >> 31 & 1)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere addresses are not chosen")
def test_processes_do_not_toss_for_the_order_of_crossed_effects() -> None:
    found = {
        subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True).stdout
        for _ in range(4)
    }
    assert len(found) == 1
    assert found.pop().split()[-1] == b"1"
