"""benchmarks/coverage.py: replications are the same whenever they run; a cut one runs again."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

pytestmark = [pytest.mark.r, pytest.mark.slow]

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "coverage.py"


@pytest.fixture(scope="module")
def study() -> ModuleType:
    spec = importlib.util.spec_from_file_location("coverage_study", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows(study: ModuleType) -> pd.DataFrame:
    return pd.DataFrame(study.one(3, seed=1, m=2))


def test_design(study: ModuleType) -> None:
    rng = np.random.default_rng(1)
    data = pd.concat([study.draw(rng) for _ in range(40)])
    assert data["x"].var() == pytest.approx(1, rel=0.05)  # of 20000 rows
    holes = study.delete(data, rng)
    assert holes["x"].isna().mean() == pytest.approx(0.3, abs=0.02)
    # At random given y: the larger y, the likelier.
    assert (
        holes.loc[holes["x"].isna(), "y"].mean() > holes.loc[holes["x"].notna(), "y"].mean() + 0.5
    )


def test_a_replication_is_the_same_again(study: ModuleType, rows: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(pd.DataFrame(study.one(3, seed=1, m=2)), rows)
    assert len(rows) == 10
    assert set(rows["rule"]) == {"single fit", "Rubin", "merTools"}
    # Both rules have the same estimate; the units move merTools' interval, and not Rubin's beyond
    # what lme4's optimizer leaves.
    width = (
        (rows["high"] - rows["low"])
        .groupby([rows["imputation"], rows["rule"], rows["units"]])
        .sum()
    )
    rubin, theirs = width.loc["Amelia", "Rubin"], width.loc["Amelia", "merTools"]
    assert rubin["large"] == pytest.approx(rubin["small"], rel=0.02)
    assert theirs["large"] > 1.2 * theirs["small"]


def test_resumed(study: ModuleType, rows: pd.DataFrame, tmp_path: Path) -> None:
    other = rows.assign(replication=4)
    path = tmp_path / "rows.csv"
    pd.concat([rows, other.head(6)]).to_csv(path, index=False)  # the second was cut short
    found = study.finished(path)
    assert found["replication"].unique().tolist() == [3]
    assert study.finished(tmp_path / "none.csv").empty
    page = study.report(found, m=2, seed=1)
    assert "1 replications, m = 2" in page
    assert page.count("| Amelia, cluster means |") == 5
