"""The pytest plugin: R's answers in tests, recorded once and checked later, with R or without.

::

    def test_slopes(r_reference):
        d = pd.read_csv("pupils.csv")
        r = r_reference("library(lme4); b <- as.data.frame(VarCorr(lmer(y ~ x + (x | g), d)))", d=d)
        fit = rb.Lmer("y ~ x + (x | g)").fit(d)
        assert_frame_bits_equal(fit.varcorr(), r["b"])

``pytest``             asks R each time
``pytest --r-record``  asks R, and writes its answers beside the tests: ``r_records/<module>/``
``pytest --r-check``   reads them, and asks no R; where R is installed, it must be the recorded one

Loading this module is quick: pandas and R are loaded at the first use of the fixture.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .records import Mode, Records

__all__ = ["pytest_addoption", "pytest_configure", "r_reference"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options ``--r-record`` and ``--r-check``."""
    group = parser.getgroup("rbridge_mi", "reference results of R (rbridge_mi)")
    group.addoption(
        "--r-record",
        action="store_true",
        help="run R for the fixture r_reference, and write its answers to r_records/",
    )
    group.addoption(
        "--r-check",
        action="store_true",
        help="take the answers of r_reference from r_records/; R need not be installed",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse both options at once."""
    if config.getoption("--r-record") and config.getoption("--r-check"):
        raise pytest.UsageError("--r-record writes the records that --r-check reads: give one.")


@pytest.fixture
def r_reference(request: pytest.FixtureRequest) -> Iterator[Records]:
    """Run R code in a test: ``r_reference(code, **frames)``, as `rbridge_mi.testing.run_r`.

    Under ``--r-record`` its answers are written to ``r_records/<module>/<test>.json`` beside the
    test's file; under ``--r-check`` they are read from there.

    Yields
    ------
    Records
        A callable that returns an `REvaluation`.
    """
    from .records import Records

    config = request.config
    mode: Mode = "live"
    if config.getoption("--r-record"):
        mode = "record"
    elif config.getoption("--r-check"):
        mode = "check"
    module = request.node.path
    name = ".".join(request.node.nodeid.split("::")[1:])
    records = Records(module.parent / "r_records" / module.stem / f"{_file_name(name)}.json", mode)
    yield records
    records.save()


def _file_name(name: str) -> str:
    """Make a file name of a test's name; a hash keeps those apart that had to be changed."""
    plain = re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII)
    if plain == name and len(name) < 100:
        return name
    return f"{plain[:90]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
