"""The wheel, installed in an empty environment away from the checkout, fits a model."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.r, pytest.mark.processes]

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import pathlib
import rbridge_mi as rb
from rbridge_mi.rdoor.session import source_dir
assert "site-packages" in rb.__file__, rb.__file__
assert source_dir().parent == pathlib.Path(rb.__file__).parent, source_dir()
print(rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb()).fixef().to_csv(index=False))
"""


def test_wheel_fits_a_model(tmp_path: Path) -> None:
    import rbridge_mi as rb

    def run(*command: str, **environment: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, **environment}
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path),
        str(ROOT))  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    sources = {f"rbridge_mi/r/{x.relative_to(ROOT / 'r')}" for x in (ROOT / "r").rglob("*.R")}
    assert sources <= inside
    assert "rbridge_mi/py.typed" in inside

    run(sys.executable, "-m", "venv", str(tmp_path / "venv"))
    python = str(tmp_path / "venv" / "bin" / "python")
    run(python, "-m", "pip", "install", "--quiet", str(wheel), RPY2_CFFI_MODE="API")
    expected = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb()).fixef()
    assert run(python, "-c", PROGRAM).strip() == expected.to_csv(index=False).strip()
    run(str(tmp_path / "venv" / "bin" / "rbridge-mi"), "doctor")
