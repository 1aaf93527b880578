"""One Rscript for all parity tests that a process runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rbridge_mi.parity import Suite


@pytest.fixture(scope="session")
def suite() -> Iterator[Suite]:
    with Suite() as suite:
        yield suite
