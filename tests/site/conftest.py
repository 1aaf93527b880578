"""The site, built once for all of its tests.

Sphinx and its extensions are in the extra `docs`, which `make test` installs. The image has none
of them, nor has Python 3.10: there the tests of what is built aren't collected.
"""

from __future__ import annotations

import fcntl
import os
from importlib.util import find_spec

import pytest

from tests.site.built import Site

_BUILT = ["test_build.py", "test_in_browser.py"]
collect_ignore = [] if find_spec("sphinx") and find_spec("myst_nb") else _BUILT


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Build the site, or wait for the process of these tests that does."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    built = Site(shared / "site")
    with (shared / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.folder.exists():
            built.build()
    return built
