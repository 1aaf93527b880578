"""benchmarks/coverage.py: replications are the same whenever they run; a cut one runs again."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

pytestmark = [pytest.mark.r, pytest.mark.slow]

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
DESIGNS = ("slope", "binary", "level2", "quadratic", "interaction", "unbalanced", "few")


def module(name: str) -> ModuleType:
    """One of the benchmarks' modules, which import one another by name."""
    sys.path.append(str(BENCHMARKS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def study() -> ModuleType:
    # By its path: the coverage of pytest-cov has the same name.
    spec = importlib.util.spec_from_file_location("coverage_study", BENCHMARKS / "coverage.py")
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    module("coverage_tables")
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def rows(study: ModuleType) -> pd.DataFrame:
    """Replication 3 of two designs, by an engine of each kind."""
    engines = ("complete", "listwise", "amelia")
    wanted = [(design, engine) for design in ("slope", "large_units") for engine in engines]
    return pd.concat(map(pd.DataFrame, study.one(3, wanted, seed=1, m=2).values()))


# -- designs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DESIGNS)
def test_designs(study: ModuleType, name: str) -> None:
    design = study.DESIGNS[name]
    rng = np.random.default_rng(1)
    pairs = []
    for replication in range(60):
        complete = design.draw(rng)
        complete["g"] += f" of {replication}"
        pairs.append((complete, design.delete(complete, rng)))
    complete, holes = (pd.concat(frames, ignore_index=True) for frames in zip(*pairs, strict=True))
    assert len(pairs[0][0]) == pytest.approx(500, abs=2)
    # Least squares are unbiased for the true coefficients: none of which is 0.
    x = complete["x"]
    z = complete["z"] if "z" in complete else pd.Series(0.0, x.index)
    terms = {"(Intercept)": x**0, "x": x, "I(x^2)": x**2, "z": z, "x:z": x * z}
    matrix = np.column_stack([terms[term] for term in design.truth])
    estimates = np.linalg.lstsq(matrix, complete["y"], rcond=None)[0]
    assert estimates == pytest.approx(list(design.truth.values()), abs=0.08)
    # Holes are where they should be, and the likelier the larger y is.
    assert list(holes.columns[holes.isna().any()]) == list(design.holes)
    if "x" in design.holes:
        missing = holes["x"].isna()
        assert missing.mean() == pytest.approx(0.3, abs=0.02)
        assert complete["y"][missing].mean() > complete["y"][~missing].mean() + 0.5
    if "z" in design.holes:
        by_group = holes.groupby("g")["z"]
        missing = by_group.count() == 0
        assert (missing == by_group.apply(lambda part: part.isna().any())).all()
        assert missing.mean() == pytest.approx(0.2, abs=0.03)
        means = complete.groupby("g")["y"].mean()
        assert means[missing].mean() > means[~missing].mean() + 0.5


# -- engines ---------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["pan", "jomo"])
@pytest.mark.parametrize("name", ["binary", "interaction"])
def test_engines_of_r(study: ModuleType, name: str, engine: str) -> None:
    given = study.drawn(study.DESIGNS[name], 0, seed=1, m=5)
    imp, seconds = study.impute(engine, given)
    assert seconds > 0
    assert imp.original.equals(given.holes)
    first, second, *_ = imp
    for column in given.design.holes:
        missing = given.holes[column].isna()
        assert first[column].notna().all()
        assert (first[column] != second[column])[missing].any()
        # They resemble what is missing.
        mean = np.mean([frame[column][missing] for frame in imp], axis=0)
        assert np.corrcoef(mean, given.complete[column][missing])[0, 1] > 0.2
    if given.design.binary:
        assert set(first["x"]) == {0.0, 1.0}
    else:
        assert first.groupby("g")["z"].nunique().max() == 1
    # Whatever ran before in that process: pan would remember it.
    again, _ = study.impute(engine, given)
    assert again == imp


def test_a_failed_imputation_is_stored(
    study: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = module("coverage_engines")

    def fail(given: object) -> None:
        raise engines.EngineError("not positive definite")

    monkeypatch.setitem(study.ENGINES, "pan", engines.Engine("mice", fail))
    study.run(tmp_path, ["slope"], ["pan", "complete"], 1, seed=1, m=2, n_jobs=1)
    stored = study.collected(tmp_path)
    failed = stored[stored["part"] == "failed"]
    assert failed["parameter"].tolist() == ["not positive definite"]
    assert study.left(tmp_path, ["slope"], ["pan"], 1) == []


# -- replications ----------------------------------------------------------------------------


def test_a_replication_is_the_same_again(study: ModuleType, rows: pd.DataFrame) -> None:
    alone = study.one(3, [("slope", "amelia")], seed=1, m=2)["slope", "amelia"]
    same = rows[(rows["design"] == "slope") & (rows["engine"] == "amelia")]
    without_time = pd.DataFrame(alone)[lambda x: x["part"] != "cpu"]
    pd.testing.assert_frame_equal(
        without_time, same[same["part"] != "cpu"][list(without_time)], check_like=True
    )
    # Single fits have no pooling, and so no merTools'.
    kept = rows.groupby("engine")["rule"].unique().map(lambda x: sorted(set(x) - {np.nan}))
    assert kept["complete"] == kept["listwise"] == ["residual", "satterthwaite"]
    assert kept["amelia"] == ["mertools", "residual", "satterthwaite"]


def test_units_move_mertools_intervals_and_not_rubins(rows: pd.DataFrame) -> None:
    of_x = rows[(rows["parameter"] == "x") & (rows["engine"] == "amelia")]
    table = of_x.set_index(["design", "rule"])
    width = table["conf_high"] - table["conf_low"]
    # But for what lme4's optimizer leaves.
    assert width["large_units", "residual"] == pytest.approx(width["slope", "residual"], rel=0.02)
    assert width["large_units", "mertools"] > 1.2 * width["slope", "mertools"]
    assert table.loc[("large_units", "mertools"), "estimate"] == pytest.approx(
        table.loc[("slope", "residual"), "estimate"], rel=0.02
    )


def test_resumed(study: ModuleType, tmp_path: Path) -> None:
    settings = {"seed": 1, "m": 2, "n_jobs": 1}
    study.run(tmp_path, ["slope"], ["complete"], 2, **settings)
    path = study.path_of(tmp_path, "slope", "complete")
    text = path.read_text()
    path.write_text(text[:-30])  # cut short within the last line
    assert study.stored(path)["replication"].unique().tolist() == [0]
    assert study.left(tmp_path, ["slope"], ["complete"], 3) == [
        (k, [("slope", "complete")]) for k in (1, 2)
    ]
    study.run(tmp_path, ["slope"], ["complete", "listwise"], 2, **settings)
    assert without_seconds(path.read_text()) == without_seconds(text)
    assert set(study.collected(tmp_path)["engine"]) == {"complete", "listwise"}
    with pytest.raises(SystemExit, match="was begun with"):
        study.run(tmp_path, ["slope"], ["complete"], 2, seed=2, m=2, n_jobs=1)


def without_seconds(text: str) -> list[str]:
    return [line for line in text.splitlines() if ",cpu," not in line]


# -- the page --------------------------------------------------------------------------------


def made_up(engine: str, estimates: list[float], half: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "design": "level2",
            "replication": range(len(estimates)),
            "engine": engine,
            "part": "fixed",
            "rule": "residual",
            "parameter": "z",
            "estimate": estimates,
            "conf_low": np.array(estimates) - half,
            "conf_high": np.array(estimates) + half,
        }
    )


def test_figures() -> None:
    tables = module("coverage_tables")
    rows = pd.concat([made_up("complete", [0.4, 0.6], 0.2), made_up("pan", [0.4, 0.5, 0.9], 0.2)])
    figures = tables.fixed_effects(tables.beside_complete(rows), "level2").loc["residual"].loc["z"]
    pan = figures.loc["pan"]  # the truth is 0.5
    assert pan["bias"] == pytest.approx(0.2)
    assert pan["bias_error"] == pytest.approx(np.std([-0.2, 0, 0.8], ddof=1) / 3**0.5)
    assert pan["against_complete"] == pytest.approx(-0.1)  # of two replications, 0 and -0.1 of 0.5
    assert pan["against_complete_error"] == pytest.approx(0.1)
    assert pan["width"] == pytest.approx(0.4)
    assert pan["coverage"] == pytest.approx(2 / 3)
    assert pan["coverage_error"] == pytest.approx((2 / 9 / 3) ** 0.5)
    assert figures.index.tolist() == ["complete", "pan"]


def test_page(rows: pd.DataFrame) -> None:
    page = module("coverage_tables").page(rows, seed=1, m=2)
    assert "(seed 1, m = 2)" in page
    assert "## A random slope" in page
    assert "## A quadratic term" not in page  # nothing of it is stored
    assert page.index("| none: complete data |") < page.index("| Amelia |")
    # In short, two coefficients, variances, two rules in other units, the SD's interval.
    assert page.count("| Amelia |") == 1 + 2 + 1 + 2 + 1
    assert page.count("nan") == page.count("(nan)")  # Monte Carlo errors of one replication
