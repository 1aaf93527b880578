"""How much memory m imputations take, against the frame; measured in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from harness import Report

PROGRAM = """
import ctypes, json, sys
import numpy as np, pandas as pd
import rbridge_mi as rb

def resident():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024

n, m = int(sys.argv[1]), int(sys.argv[2])
g = np.random.default_rng(0)
frame = pd.DataFrame({f"x{i}": g.normal(size=n) for i in range(8)})
holes = frame.copy()
for i in range(4):
    holes.loc[g.random(n) < 0.05, f"x{i}"] = np.nan
del frame
size = int(holes.memory_usage(deep=True).sum())
ctypes.CDLL(None).malloc_trim(0)
before = resident()
from rbridge_mi.data.stores import Cells, CellStore
cells = {}
for i in range(4):
    rows = np.flatnonzero(holes[f"x{i}"].isna()).astype("int32")
    values = tuple(g.normal(size=len(rows)) for _ in range(m))
    cells[f"x{i}"] = Cells(rows, values, np.dtype("float64"))
imp = rb.ImputedData(holes, CellStore(holes, cells, m), "made for this measurement")
del cells, values
ctypes.CDLL(None).malloc_trim(0)  # what the making of the cells left to the allocator
total = resident() - before + size
during = max(resident() for frame in imp) - before + size
print(json.dumps([size, total, during]))
"""

LIST_PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
from fitting import VIGNETTE, collect, vignette_data
import rbridge_mi as rb

def resident():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024

data = vignette_data(int(sys.argv[2]))
model = rb.Lmer(VIGNETTE)
model.fit(data[0])
collect()
before = resident()
fits = model.fit(data)
collect()
print(json.dumps(resident() - before))
"""


def run(report: Report) -> None:
    for m in (5, 20, 100):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "1000000", str(m)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        size, total, during = json.loads(done.stdout)
        report.add(
            f"ImputedData, 10^6 rows x 8, 5% missing in half the columns, m={m}", "MB",
            total / 1e6, "the frame", size / 1e6, at_most=2.0 if m == 100 else None,
            note=f"{during / 1e6:.0f} MB while every frame is completed in turn",
        )  # fmt: skip
    frame = 7185 * 8 * 8 / 1e6
    for m in (5, 20, 80):
        done = subprocess.run(
            [sys.executable, "-c", LIST_PROGRAM, str(Path(__file__).parent), str(m)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        size = json.loads(done.stdout) / 1e6
        report.add(f"fits to hsb and their R objects, m={m}", "MB", size, "m frames", m * frame,
                   note=f"{size / m:.1f} MB a fit")  # fmt: skip
