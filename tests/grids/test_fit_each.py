"""Grids of models and data sets: the same bits as lists of fits, written, interrupted, resumed."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.grids import identity, parts
from rbridge_mi.grids.tables import GRID_TABLES
from rbridge_mi.models.fit_tasks import AnsweredFits

pytestmark = [pytest.mark.r]

M = 4


def data(m: int = M) -> rb.ImputedData:
    """The same in every process; x is imputed, and constant in the third data set's first group."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"g": np.repeat([f"g{i:02d}" for i in range(24)], 5)})
    frame["h"] = np.tile(["a", "b", "c", "d", "e"], 24)
    frame["x"] = rng.normal(size=120)
    frame["z"] = rng.normal(size=120)
    frame["y"] = frame["x"] + rng.normal(size=24)[frame.index // 5] + rng.normal(size=120)
    frame["b"] = (frame["y"] > 0).astype(int)
    holes = frame.copy()
    holes.loc[::7, "x"] = np.nan
    filled = [holes.assign(x=holes["x"].fillna(pd.Series(rng.normal(size=120)))) for _ in range(m)]
    return rb.ImputedData.from_frames(filled, original=holes)


def models() -> dict[str, Any]:
    return {
        "reml": rb.Lmer("y ~ x + z + (1 + z | g)"),
        "ml": rb.Lmer("y ~ x + (1 | g)", reml=False),
        "crossed": rb.Lmer("y ~ x + (1 | g) + (1 | h)"),
        "binomial": rb.Glmer("b ~ x + (1 | g)"),
    }


@pytest.fixture(scope="module")
def imputed() -> rb.ImputedData:
    return data()


@pytest.fixture(scope="module")
def grid(imputed: rb.ImputedData) -> rb.FitGrid:
    return rb.fit_each(models(), imputed, tables=list(GRID_TABLES), n_jobs=1)


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def same_grids(one: rb.FitGrid, other: rb.FitGrid) -> None:
    """All rows, once each, in the same order and with the same bits."""
    for name in one.tables:
        same(one.table(name), other.table(name))
    same(one.failures, other.failures)


@pytest.mark.parametrize("name", ["reml", "ml", "crossed", "binomial"])
def test_tables_are_those_of_a_list_of_fits(
    grid: rb.FitGrid, imputed: rb.ImputedData, name: str
) -> None:
    fits = models()[name].fit(imputed)

    def of(table: str) -> pd.DataFrame:
        return grid.table(table, name).drop(columns="model")

    for table in ("fixef", "varcorr", "ranef", "tidy", "model_info"):
        expected = getattr(fits, table)(by_imputation=True)
        pd.testing.assert_frame_equal(of(table), expected, check_exact=True, check_dtype=False)
    same(of("convergence"), fits.convergence())
    glance = fits.glance()
    same(of("glance")[list(glance.columns)], glance)
    assert of("glance")[[*({"reml_crit", "deviance"} - {*glance.columns})]].isna().all(axis=None)
    for i, fit in enumerate(fits, start=1):
        rows = of("vcov")
        matrix = rows[rows["imputation"] == i].pivot(
            index="term", columns="other_term", values="vcov"
        )
        expected = fit.vcov()
        assert (matrix.loc[expected.index, expected.columns].to_numpy() == expected).all(axis=None)


@pytest.mark.parametrize("asked", [{}, {"dfcom": 100.0, "conf_level": 0.9}])
def test_each_model_is_pooled_as_its_fits_are(
    grid: rb.FitGrid, imputed: rb.ImputedData, asked: dict[str, Any]
) -> None:
    pooled = grid.pool(**asked)
    assert pooled["model"].unique().tolist() == list(models())
    for name, model in models().items():
        mine = pooled[pooled["model"] == name].drop(columns="model").reset_index(drop=True)
        same(mine, model.fit(imputed).pool(**asked).fixed)
    same(grid.pool("ml", **asked), pooled[pooled["model"] == "ml"].reset_index(drop=True))


def test_bootstrap_samples_are_pooled_by_their_spread(imputed: rb.ImputedData) -> None:
    samples = rb.BootstrapImputer(m=3).impute(imputed[0], seed=1)
    model = rb.Lmer("y ~ x + (1 | g)")
    pooled = rb.fit_each({"a": model}, samples).pool()
    same(pooled.drop(columns="model"), model.fit(samples).pool().fixed)


def test_a_frame_is_the_only_data_set(imputed: rb.ImputedData) -> None:
    model = rb.Lmer("y ~ x + (1 | g)")
    grid = rb.fit_each({"a": model}, imputed[0])
    assert (grid.m, grid.table("fixef")["imputation"].tolist()) == (1, [1, 1])
    same(grid.table("fixef")[["term", "estimate"]], model.fit(imputed[0]).fixef())
    with pytest.raises(rb.PoolingError, match="at least two fits"):
        grid.pool()


def test_what_fails_is_kept_by_name(imputed: rb.ImputedData) -> None:
    """One model fails on the second data set alone, another on all; each says so in R's words."""
    frames = list(imputed)
    frames[1] = frames[1].assign(z=-1.0)
    some = rb.ImputedData.from_frames(frames)
    given = {
        "good": rb.Lmer("y ~ x + (1 | g)"),
        "some": rb.Lmer("y ~ x + log(z + 0.5) + (1 | g)"),
        "bad": rb.Lmer("y ~ x + (1 | y)"),
    }
    with pytest.warns(rb.RWarning, match=r"5 of 12 fits failed.*'some', imputation 2: R: "):
        grid = rb.fit_each(given, some)
    failures = grid.failures
    assert failures[["model", "imputation"]].to_numpy().tolist() == [
        ["some", 2], ["bad", 1], ["bad", 2], ["bad", 3], ["bad", 4],
    ]  # fmt: skip
    assert failures["error"].unique().tolist() == ["FitError"]
    assert failures["message"].str.contains("number of levels of each grouping factor").sum() == 4
    assert grid.table("fixef").groupby("model")["imputation"].nunique().to_dict() == {
        "good": 4, "some": 3,
    }  # fmt: skip
    with pytest.warns(rb.RBridgeWarning, match=r"1 of 3 models are not pooled: 'bad'"):
        pooled = grid.pool()
    with pytest.warns(rb.RWarning):
        fits = given["some"].fit(some, errors="keep")
    mine = pooled[pooled["model"] == "some"].drop(columns="model").reset_index(drop=True)
    same(mine, fits.pool().fixed)
    assert "failed: some, 1 of 4; imputation 2: R: " in str(grid)
    assert repr(grid) == "<FitGrid: 3 models x 4 data sets, 7 fits, 5 failed>"


def test_mistakes_are_refused_before_any_fit(
    imputed: rb.ImputedData, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(AnsweredFits, "begin", None)
    good = rb.Lmer("y ~ x + (1 | g)")
    with pytest.raises(rb.FormulaError, match=r"model 'b': .*'w'"):
        rb.fit_each({"a": good, "b": rb.Lmer("y ~ w + (1 | g)")}, imputed)
    with pytest.raises(rb.ArgumentError, match="models must be a dict"):
        rb.fit_each([good], imputed)  # type: ignore[arg-type]
    with pytest.raises(rb.ArgumentError, match="'a' is str, not a model"):
        rb.fit_each({"a": "y ~ x"}, imputed)  # type: ignore[dict-item]
    with pytest.raises(rb.ArgumentError, match=r"tables must be one of .*'fixed'"):
        rb.fit_each({"a": good}, imputed, tables=["fixed"])
    with pytest.raises(rb.MissingPathError, match="there is no folder"):
        rb.fit_each({"a": good}, imputed, path=tmp_path / "no" / "grid")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(rb.ArgumentError, match="holds other files"):
        rb.fit_each({"a": good}, imputed, path=tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_questions_that_the_tables_have_no_answer_to(
    grid: rb.FitGrid, imputed: rb.ImputedData
) -> None:
    with pytest.raises(rb.ArgumentError, match="takes the fits themselves"):
        grid.pool(dfcom="satterthwaite")
    with pytest.raises(rb.ArgumentError, match="dfcom must be"):
        grid.pool(dfcom=-1)
    with pytest.raises(rb.ArgumentError, match="without vcov"):
        rb.fit_each({"a": rb.Lmer("y ~ x + (1 | g)")}, imputed, tables=["fixef", "glance"]).pool()
    with pytest.raises(rb.ArgumentError, match="no model 'other'"):
        grid.table("fixef", "other")
    with pytest.raises(rb.ArgumentError, match="'coef'"):
        grid.table("coef")


# -- in a folder -------------------------------------------------------------------------------


def test_the_folder_holds_the_same_bits(
    grid: rb.FitGrid, imputed: rb.ImputedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "EVERY", 0.0)  # each model's rows in files of their own
    path = tmp_path / "grid"
    written = rb.fit_each(models(), imputed, path=path, tables=grid.tables, n_jobs=1)
    assert len(list((path / "fixef").iterdir())) == len(models())
    same_grids(written, grid)
    read = rb.FitGrid.read(path)
    same_grids(read, grid)
    same(read.pool(), grid.pool())
    same_grids(pickle.loads(pickle.dumps(read)), pickle.loads(pickle.dumps(grid)))
    assert repr(read) == f"<FitGrid: 4 models x 4 data sets, 16 fits, in {path}>"
    # Other programs read the tables as they are.
    frame = pd.read_parquet(path / "fixef")
    assert len(frame) == len(grid.table("fixef"))


def interrupted(path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Ctrl-C is pressed when some models are done, and their rows are not written yet."""
    whole = parts.FolderParts.add
    calls: list[str] = []

    def add(self: parts.FolderParts, model: str, frames: Any) -> None:
        if len(calls) == after:
            raise KeyboardInterrupt
        calls.append(model)
        whole(self, model, frames)

    with monkeypatch.context() as patch:
        patch.setattr(parts.FolderParts, "add", add)
        with pytest.raises(KeyboardInterrupt):
            rb.fit_each(models(), data(), path=path, tables=list(GRID_TABLES), n_jobs=1)


def test_an_interrupted_grid_goes_on_where_it_was(
    grid: rb.FitGrid, imputed: rb.ImputedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "grid"
    interrupted(path, monkeypatch, after=2)
    assert repr(rb.FitGrid.read(path)).endswith(f"8 fits, 8 not done, in {path}>")
    fitted: list[str] = []
    begin = AnsweredFits.begin

    def noted(self: Any, pieces: Any) -> Any:
        fitted.extend([self._model.formula] * len(pieces))
        return begin(self, pieces)

    monkeypatch.setattr(AnsweredFits, "begin", noted)
    again = rb.fit_each(models(), imputed, path=path, tables=grid.tables, n_jobs=1)
    assert fitted == [models()[x].formula for x in ("crossed", "binomial") for _ in range(M)]
    same_grids(again, grid)
    monkeypatch.setattr(AnsweredFits, "begin", None)  # nothing is left to do
    same_grids(rb.fit_each(models(), imputed, path=path, tables=grid.tables), grid)


def test_what_a_kill_leaves_half_written_does_not_count(
    grid: rb.FitGrid, imputed: rb.ImputedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "grid"
    interrupted(path, monkeypatch, after=1)
    shutil.copy(path / "fixef" / "000001.parquet", path / "fixef" / "000002.parquet")
    partial = path / "fixef" / ".0123456789abcdef.part"
    partial.mkdir()
    (partial / "000002.parquet").write_bytes(b"PAR1")
    assert len(rb.FitGrid.read(path).table("fixef")) == 3 * M
    same_grids(rb.fit_each(models(), imputed, path=path, tables=grid.tables, n_jobs=1), grid)
    assert not partial.exists()


def test_other_models_data_or_tables_are_refused_by_name(
    imputed: rb.ImputedData, tmp_path: Path
) -> None:
    path = tmp_path / "grid"
    a, b = rb.Lmer("y ~ x + (1 | g)"), rb.Lmer("y ~ z + (1 | g)")
    rb.fit_each({"a": a, "b": b}, imputed, path=path)

    def refused(match: str, given: Any, of: Any = imputed, **kwargs: Any) -> None:
        with pytest.raises(rb.ArgumentError, match=match):
            rb.fit_each(given, of, path=path, **kwargs)

    refused(
        "models 'b' are others now. Name another", {"a": a, "b": rb.Lmer(b.formula, reml=False)}
    )
    refused("models 'c' are new; models 'b' are gone", {"a": a, "c": b})
    refused("another order", {"b": b, "a": a})
    refused(r"the data are others \(3 data sets, 4 there\)", {"a": a, "b": b}, data(3))
    frames = list(imputed)
    frames[3] = frames[3].assign(x=frames[3]["x"].where(frames[3].index != 0, 0.5))
    refused("the data are others", {"a": a, "b": b}, rb.ImputedData.from_frames(frames))
    levels = [x.assign(g=pd.Categorical(x["g"], sorted(set(x["g"]))[::-1])) for x in imputed]
    refused("the data are others", {"a": a, "b": b}, rb.ImputedData.from_frames(levels))
    refused("the tables are 'fixef', there", {"a": a, "b": b}, tables=["fixef"])
    weights = np.linspace(1, 2, 120)
    refused("models 'b' are others", {"a": a, "b": rb.Lmer(b.formula, weights=weights)})


def test_digests_are_the_same_in_every_process(imputed: rb.ImputedData) -> None:
    weights = pd.Series(np.linspace(1, 2, 120))
    model = rb.Lmer("y ~ x + (1 | g)", weights=weights, control={"optimizer": "bobyqa"})
    program = (
        "import numpy as np, pandas as pd, rbridge_mi as rb\n"
        "from rbridge_mi.grids.identity import digest_of_data, digest_of_model\n"
        "from tests.grids.test_fit_each import data\n"
        "m = rb.Lmer('y ~ x + (1 | g)', weights=pd.Series(np.linspace(1, 2, 120)),\n"
        "            control={'optimizer': 'bobyqa'})\n"
        "print(digest_of_model(m), digest_of_data(data()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )  # fmt: skip
    assert done.stdout.split() == [
        identity.digest_of_model(model), identity.digest_of_data(imputed)
    ]  # fmt: skip


def test_results_of_another_r_are_not_mixed(
    imputed: rb.ImputedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "grid"
    interrupted(path, monkeypatch, after=1)
    record = json.loads((path / "grid.json").read_text())
    record["stack"]["lme4"] = "1.0"
    (path / "grid.json").write_text(json.dumps(record))
    with pytest.raises(rb.ArgumentError, match=r"another R.*lme4 is .*, there 1\.0"):
        rb.fit_each(models(), imputed, path=path, tables=list(GRID_TABLES))


def test_one_process_at_a_time_writes(imputed: rb.ImputedData, tmp_path: Path) -> None:
    given = {"a": rb.Lmer("y ~ x + (1 | g)")}
    rb.fit_each(given, imputed, path=tmp_path / "grid")
    with (
        parts.FolderParts(tmp_path / "grid", ["fixef"]).writing(),
        pytest.raises(rb.ArgumentError, match="another process is writing"),
    ):
        rb.fit_each(given, imputed, path=tmp_path / "grid")


@pytest.mark.parametrize(
    "record",
    ["", "[]", "{}", '{"format": "rbridge-mi run"}', '{"format": "rbridge-mi grid"}'],
)
def test_a_record_of_something_else_is_refused(record: str, tmp_path: Path) -> None:
    (tmp_path / "grid.json").write_text(record)
    with pytest.raises(rb.RBridgeError, match="is no record of a grid"):
        rb.FitGrid.read(tmp_path)


def test_a_file_of_something_else_is_refused(imputed: rb.ImputedData, tmp_path: Path) -> None:
    path = tmp_path / "grid"
    grid = rb.fit_each({"a": rb.Lmer("y ~ x + (1 | g)")}, imputed, path=path)
    shutil.copy(path / "vcov" / "000001.parquet", path / "fixef" / "000001.parquet")
    with pytest.raises(rb.RBridgeError, match=r"000001\.parquet is no file of this table"):
        grid.table("fixef")
    (path / "vcov" / "000001.parquet").write_bytes(b"PAR1")
    with pytest.raises(rb.RBridgeError, match=r"000001\.parquet is no file of this table"):
        grid.table("vcov")
    with pytest.raises(rb.MissingPathError, match="is no folder of a grid"):
        rb.FitGrid.read(tmp_path)


# -- on workers --------------------------------------------------------------------------------


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.parametrize("turn", [0.0, 1.0])
def test_workers_give_the_same_bits(
    grid: rb.FitGrid, imputed: rb.ImputedData, turn: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where each task is out of time at once, so that most fits are of a later round."""
    monkeypatch.setattr("rbridge_mi.grids.fit_each.TURN", turn)
    same_grids(rb.fit_each(models(), imputed, tables=grid.tables, n_jobs=2), grid)


@pytest.mark.processes
@pytest.mark.slow
def test_a_fit_that_kills_its_process_is_a_failure_of_its_own(imputed: rb.ImputedData) -> None:
    pid = 'as.integer(basename(normalizePath("/proc/self")))'
    killer = rb.Lmer(
        f"y ~ I(x + tools::pskill({pid}, 9L)) + (1 | g)",
        allow=["tools::pskill", "as.integer", "basename", "normalizePath"],
    )
    given = {"a": rb.Lmer("y ~ x + (1 | g)"), "killer": killer, "b": rb.Lmer("y ~ z + (1 | g)")}
    with pytest.warns(rb.RWarning, match="4 of 12 fits failed"):
        grid = rb.fit_each(given, imputed, n_jobs=2)
    failures = grid.failures
    assert failures["model"].tolist() == ["killer"] * M
    assert failures["error"].unique().tolist() == ["RWorkerLost"]
    assert failures["message"].str.contains("SIGKILL").all()
    good = {x: given[x] for x in ("a", "b")}
    same(grid.table("fixef"), rb.fit_each(good, imputed, n_jobs=1).table("fixef"))


PROGRAM = """
import sys
import rbridge_mi as rb
from tests.grids.test_fit_each import data, many
if __name__ == "__main__":
    rb.fit_each(many(), data(20), path=sys.argv[1], n_jobs=int(sys.argv[2]))
"""


def many() -> dict[str, Any]:
    return {f"m{i:02}": rb.Lmer(f"y ~ x + I(z^{i + 1}) + (1 + x | g)") for i in range(12)}


def children(pid: int) -> list[int]:
    kin = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if stat.read_text().rpartition(")")[2].split()[1] == str(pid):
                kin.append(int(stat.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return kin


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def undisturbed() -> Iterator[rb.FitGrid]:
    yield rb.fit_each(many(), data(20), n_jobs=1)


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_is_resumed(
    undisturbed: rb.FitGrid, number: signal.Signals, n_jobs: int, tmp_path: Path
) -> None:
    """It is killed twice, each time once it has written something; its workers end with it."""
    path = tmp_path / "grid"
    program = PROGRAM.replace("import sys\n", "import sys\nfrom rbridge_mi.grids import parts\n")
    program = program.replace("if __name__", "parts.EVERY = 0.0\nif __name__", 1)

    def files() -> int:
        return len(list((path / "fits").glob("*.parquet")))

    for _ in range(2):
        before = files()
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", program, str(path), str(n_jobs)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(lambda: files() >= before + 2 or process.poll() is not None, 120)  # noqa: B023
        workers = children(process.pid)
        process.send_signal(number)
        process.wait(timeout=60)
        wait_until(lambda: not any(map(is_there, workers)), 30)  # noqa: B023
    done = len(rb.FitGrid.read(path).table("convergence"))
    assert 0 < done < len(many()) * 20
    same_grids(rb.fit_each(many(), data(20), path=path, n_jobs=n_jobs), undisturbed)
