"""The vignette beside a user's own R script: bit for bit, and the pooled table beside mice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.testing import REvaluation, compare, run_r

pytestmark = [pytest.mark.r, pytest.mark.processes]

SCRIPT = Path(__file__).resolve().parents[2] / "r" / "reference" / "vignette.R"


@pytest.fixture(scope="module")
def theirs(holes: pd.DataFrame) -> REvaluation:
    return run_r(SCRIPT.read_text(encoding="utf-8"), holes=holes)


def assert_bits(mine: Any, theirs: Any, what: str) -> int:
    """Both have the same bits in every cell. Returns how many doubles there were."""
    comparison = compare(mine, theirs)
    assert comparison.equal, f"{what}: {comparison.report(('this library', 'R'))}"
    return comparison.doubles


def assert_fit(mine: rb.MerMod, theirs: dict[str, Any]) -> int:
    criteria = ("sigma", "log_lik", "aic", "bic", "criterion")
    tables = {
        "fixef": mine.fixef(),
        "vcov": mine.vcov(),
        "theta": mine.theta.to_numpy(),
        "criteria": pd.Series({name: getattr(mine, name) for name in criteria}),
        "varcorr": mine.varcorr(),
        "ranef": mine.ranef(),
        "coef": mine.coef().drop(columns=["grpvar", "grp"]).to_numpy(),
        "fitted": mine.fitted().to_numpy(),
        "residuals": mine.residuals().to_numpy(),
        "summary": np.array(mine.summary().split("\n"), object),
        "print": np.array(str(mine).split("\n"), object),
    }
    assert set(tables) == set(theirs)
    return sum(assert_bits(table, theirs[name], name) for name, table in tables.items())


def test_listwise_fit_has_rs_bits(fit: rb.MerMod, theirs: REvaluation) -> None:
    assert assert_fit(fit, theirs["listwise"]) > 10_000


def test_every_imputed_cell_has_rs_bits(
    imp: rb.ImputedData, holes: pd.DataFrame, theirs: REvaluation
) -> None:
    assert len(imp) == len(theirs["imputations"]) == 5
    for i, (frame, table) in enumerate(zip(imp, theirs["imputations"], strict=True)):
        assert list(frame.columns) == list(table.columns)
        mine, expected = (x.drop(columns="schid").astype(np.float64) for x in (frame, table))
        assert_bits(mine, expected, f"imputation {i + 1}")
        assert frame["schid"].equals(holes["schid"])


@pytest.mark.parametrize("i", range(5))
def test_fit_to_imputation_has_rs_bits(i: int, fits: rb.MerModList, theirs: REvaluation) -> None:
    assert fits[i].imputation == i + 1
    assert assert_fit(fits[i], theirs["imputed_fits"][i]) > 10_000


def test_pooled_table_is_mices(fits: rb.MerModList, theirs: REvaluation) -> None:
    mine = fits.pool().fixed.set_index("term")
    pooled = theirs["pooled"]
    assert list(mine.index) == list(pooled["term"])
    for name in ("estimate", "ubar", "b", "t", "df", "riv", "lambda", "fmi"):
        column = mine[{"lambda": "lambda_"}.get(name, name)]
        # The same 64-bit inputs summed in another order: a few units in the last place.
        np.testing.assert_allclose(column, pooled[name], rtol=1e-12, atol=0, err_msg=name)
