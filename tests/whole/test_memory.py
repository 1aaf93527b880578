"""Memory: large frames are carried without being copied over and over.

That 2,000 fits don't grow the process is tested with the threads, in test_server.py.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

pytestmark = [pytest.mark.r, pytest.mark.processes, pytest.mark.slow]

PROGRAM = """
    import gc, numpy as np, pandas as pd
    from pathlib import Path
    from rbridge_mi import rdoor
    n = {rows}
    rng = np.random.default_rng(1)
    small = pd.DataFrame({{"x": [1.0, None], "i": [1, 2], "t": ["a", None]}})
    rdoor.call("base::identity", small)  # R is there
    x = rng.normal(size=n)
    x[::10] = np.nan
    made = {{
        "floats": lambda: pd.DataFrame({{"x": x, "y": rng.normal(size=n)}}),
        "integers": lambda: pd.DataFrame({{"i": rng.integers(0, 100, n)}}),
        "categories": lambda: pd.DataFrame(
            {{"c": pd.Categorical.from_codes(rng.integers(-1, 50, n).astype("int8"),
                                           [f"level {{i}}" for i in range(50)])}}),
        "text": lambda: pd.DataFrame(
            {{"t": pd.Series(np.array(["one", "two", None], dtype=object)[rng.integers(0, 3, n)],
                           dtype="str")}}),
    }}
    frame = made[{kind!r}]()
    del x, made
    gc.collect()
    def held(name):  # VmRSS: now; VmHWM: the most since the mark was set back
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(x.split()[1]) for x in lines if x.startswith(name))
    size = int(frame.memory_usage(index=False).sum())
    Path("/proc/self/clear_refs").write_text("5")
    before = held("VmRSS")
    assert rdoor.call("base::nrow", frame).value[0] == n
    print(size, held("VmHWM") - before)
"""


def carried(kind: str, rows: int) -> tuple[int, int]:
    """The frame's size, and by how much the peak grew as it was carried to R."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM.format(kind=kind, rows=rows))],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    size, grown = map(int, done.stdout.split())
    return size, grown


@pytest.mark.parametrize(
    ("kind", "rows", "most"),
    [
        ("floats", 10**7, 1.5),  # R's copy, and a mask
        ("integers", 10**7, 1.5),
        ("categories", 10**7, 12.0),  # one byte a row here; four in R, and four to make them
        ("text", 10**6, 6.0),
    ],
)
def test_large_frames_are_not_tripled(kind: str, rows: int, most: float) -> None:
    """The whole peak stays below three times the frame, where R's type is no wider than ours."""
    size, grown = carried(kind, rows)
    assert grown < most * size, (size, grown, grown / size)
