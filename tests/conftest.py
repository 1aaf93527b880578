"""Data and fits that many tests share, made once per process."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pandas as pd
import pytest

import rbridge_mi as rb

# What a shell starts in the background ignores Ctrl-C, and so would all that the tests start there:
# they press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

VIGNETTE = "mathach ~ minority + female + ses + meanses + (1 + ses | schid)"
HOLED = ["minority", "female", "ses", "size"]


def pytest_configure() -> None:
    """A shell that starts the tests in the background has Ctrl-C ignored, here and in children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Close pyplot's figures: another test may have loaded it, and then it has all new ones."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def hsb() -> pd.DataFrame:
    return rb.load_hsb()


@pytest.fixture(scope="session")
def holes(hsb: pd.DataFrame) -> pd.DataFrame:
    return rb.ampute(hsb, prop=0.05, columns=HOLED, seed=1)


@pytest.fixture(scope="session")
def imp(holes: pd.DataFrame) -> rb.ImputedData:
    imputer = rb.AmeliaImputer(m=5, idvars=["schid", "meanses"], noms=["minority", "female"])
    return imputer.impute(holes, seed=1)


@pytest.fixture(scope="session")
def fit(holes: pd.DataFrame) -> rb.MerMod:
    return rb.Lmer(VIGNETTE).fit(holes)


@pytest.fixture(scope="session")
def fits(imp: rb.ImputedData) -> rb.MerModList:
    return rb.Lmer(VIGNETTE).fit(imp)
