"""benchmarks/calibration.py: some models in small, and what the program does with its folder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "calibration.py"


@pytest.fixture(scope="module")
def study() -> ModuleType:
    spec = importlib.util.spec_from_file_location("calibration_study", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses ask for it
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "iterations"), [("random slope", 60), ("binary", 60), ("count response", 100)]
)
def test_ranks_are_uniform(
    study: ModuleType, name: str, iterations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "SHORTEST", iterations)
    monkeypatch.setattr(study, "LONGEST", iterations)
    monkeypatch.setattr(study, "BINS", 10)
    tests = study.tested({draw: study.calibrate(name, draw, seed=2) for draw in range(60)})
    assert len(tests) >= 13
    assert {x: p for x, (p, z) in tests.items() if p < 0.01 or abs(z) > 3.5} == {}


def test_ranks_that_are_not_uniform(study: ModuleType) -> None:
    rng = np.random.default_rng(1)
    uniform, narrow = rng.integers(0, 100, 500), rng.binomial(99, 0.5, 500)
    high = 99 - rng.integers(0, 100, 500) * 4 // 5
    results = {
        draw: {"ranks": {"good": int(a), "narrow": int(b), "high": int(c)}}
        for draw, (a, b, c) in enumerate(zip(uniform, narrow, high, strict=True))
    }
    tests = study.tested(results)
    assert tests["good"][0] > 0.01 and abs(tests["good"][1]) < 3
    assert tests["narrow"][0] < 1e-6
    assert tests["high"][0] < 1e-6 and tests["high"][1] > 5


def test_adjusted_p_values(study: ModuleType) -> None:
    assert study.holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])


def test_a_run_goes_on_where_it_was_cut(
    study: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def calibrate(name: str, draw: int) -> dict[str, object]:
        calls.append((name, draw))
        return {"draw": draw, "ranks": {"b": draw % 100}, "iterations": 100, "size": 300.0}

    monkeypatch.setattr(study, "calibrate", calibrate)
    study.run(tmp_path, ["random slope", "binary"], 3)
    path = tmp_path / "random-slope.jsonl"
    path.write_text(path.read_text("utf-8")[:-9], encoding="utf-8")
    calls.clear()
    study.run(tmp_path, ["random slope", "binary"], 4)
    assert calls == [("random slope", 2), ("random slope", 3), ("binary", 3)]
    assert sorted(study.read(tmp_path, "random slope")) == [0, 1, 2, 3]
    lines = study.report(tmp_path, ["random slope", "binary"]).splitlines()
    assert [line.split(" | ")[1] for line in lines[2:]] == ["4", "4"]


@pytest.mark.parametrize(
    "name", ["group mean", "holes in y", "interaction with level 2", "holes in counts"]
)
def test_a_draw_is_the_same_again(
    study: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "LONGEST", study.SHORTEST)
    first = study.calibrate(name, 5)
    assert first == study.calibrate(name, 5)
    assert first["ranks"].keys() >= {"(Intercept)", "x", "x ~ sigma"}
