"""Adjusted p values against R's ``p.adjust``; levels against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

import rbridge_mi as rb
from rbridge_mi.pooling import adjusted_level, adjusted_p
from rbridge_mi.testing import run_r

METHODS = ("bonferroni", "holm", "hochberg", "hommel", "BH", "fdr", "BY", "none")


@pytest.mark.r
def test_p_adjust() -> None:
    rng = np.random.default_rng(1)
    sets = [rng.uniform(size=k) ** power for k in (1, 2, 3, 5, 12, 40) for power in (1, 5)]
    sets += [np.array([0.01, 0.01, 0.5, 1, 0]), np.array([0.02, np.nan, 0.3, 0.001])]
    theirs = run_r(
        "z <- lapply(sets, function(p) lapply(methods, function(x) p.adjust(p, x)))",
        sets=sets,
        methods=list(METHODS),
    )["z"]
    for p, of_methods in zip(sets, theirs, strict=True):
        for method, expected in zip(METHODS, of_methods, strict=True):
            # The same products; R's and numpy's may be rounded in another order.
            np.testing.assert_allclose(adjusted_p(p, method), np.atleast_1d(expected), rtol=1e-14)


def test_sidak() -> None:
    p = np.array([0.01, 0.2, 1.0, np.nan])
    np.testing.assert_allclose(adjusted_p(p, "sidak"), 1 - (1 - p) ** 3, rtol=1e-14)
    assert adjusted_p([1e-30, 1e-20], "sidak").tolist() == [2e-30, 2e-20]  # not 0
    assert adjusted_level(0.95, 4, "sidak") ** 4 == pytest.approx(0.95, rel=1e-15)


def test_levels() -> None:
    for method in METHODS[:-1]:
        assert adjusted_level(0.9, 4, method) == pytest.approx(1 - 0.1 / 4, rel=1e-15)
        assert adjusted_level(0.9, 1, method) == 0.9
    assert adjusted_level(0.9, 4, "none") == 0.9


def test_others_are_refused() -> None:
    for ask in (lambda: adjusted_p([0.1], "tukey"), lambda: adjusted_level(0.9, 2, "tukey")):
        with pytest.raises(rb.ArgumentError, match="'tukey'; use one of none, bonferroni"):
            ask()
