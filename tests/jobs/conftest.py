"""A folder for a job."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs.job_files import data_frame


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the data in it."""
    data_frame().to_csv(tmp_path / "d.csv", index=False)
    return tmp_path
