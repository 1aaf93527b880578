"""Pictures are compared where they can be the same: with ``--mpl``, in the Docker image.

Another version of matplotlib sets letters and lines elsewhere. So these tests are collected only if
pytest-mpl's options ask for it, and do not stand among the skipped ones otherwise.
"""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    wanted = config.getoption("--mpl", False) or config.getoption("--mpl-generate-path", None)
    return None if wanted or collection_path.suffix != ".py" else True
