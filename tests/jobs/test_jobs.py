"""Job files: what they may say, what they may touch, and what a run leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.base.arguments import check_count, check_level, check_seed, check_timeout
from rbridge_mi.cli import main
from rbridge_mi.jobs import check_job, parse_job, run_job
from rbridge_mi.jobs import outputs as job_outputs
from rbridge_mi.jobs.tables import JOB_TABLES, TABLES_OF_CHAINS, TABLES_OF_LIST, TABLES_OF_ONE
from rbridge_mi.jobs.values import Mistakes
from rbridge_mi.processes import isolation
from tests.jobs.job_files import (
    EXAMPLES,
    JOB,
    changed,
    data_frame,
    doubles,
    mistakes_of,
    parsed,
    toml,
    write,
)

pytestmark = [pytest.mark.r, pytest.mark.slow]


# -- the file ------------------------------------------------------------------------------


def test_every_mistake_of_the_file_is_told_at_once_with_its_key() -> None:
    job, found = parsed(
        textwrap.dedent(
            """
            titel = "x"
            [data]
            path = "d.csv"
            colums = 3
            decimal = ","
            encoding = "klingon"
            [data.columns]
            a = "flaot"
            b = {type = "category", ordered = true}
            c = {type = "integer", levels = ["x"], format = "d"}
            "d.e" = {typ = "text"}
            f = 3
            [imputation]
            engine = "amelia"
            m = 1.5
            max.resample = 0
            boot_type = "x"
            idvars = ["a", "a"]
            parallel = "snow"
            isolate = 1
            timeout = 0
            empri = true
            bounds = [["ses", 1]]
            [model]
            reml = "yes"
            formulla = "y ~ x"
            isolate = "no"
            timeout = inf
            control.foo = 1
            control.check.conv.grad = "shout"
            control.optCtrl = {maxfun = [1]}
            [pooling]
            dfcom = -1
            conf_level = 95
            [output]
            formats = ["xlsx"]
            tables = ["fixd"]
            imputed = "yes"
            """
        )
    )
    assert job is None
    assert found["imputation.m"] == "must be a whole number of at least 2, not 1.5"
    assert found["imputation.empri"] == "must be a number of at least 0, not true"
    assert "did you mean 'columns'?" in found["data.colums"]
    assert "valid: path, format, columns" in found["data.colums"]
    assert found["data.columns.b.levels"].startswith("is missing")
    assert set(found) == {
        "titel", "data.colums", "data.decimal", "data.encoding", "data.columns.a",
        "data.columns.b.levels", "data.columns.c.levels", "data.columns.c.format",
        'data.columns."d.e".type', 'data.columns."d.e".typ', "data.columns.f", "imputation.m",
        "imputation.seed", "imputation.max.resample", "imputation.boot.type", "imputation.idvars",
        "imputation.parallel", "imputation.isolate", "imputation.timeout", "imputation.empri",
        "imputation.bounds", "model.reml", "model.isolate", "model.timeout",
        "model.formula", "model.formulla", "model.control.foo", "model.control.check.conv.grad",
        "model.control.optCtrl", "pooling.dfcom", "pooling.conf_level", "output.formats",
        "output.tables", "output.imputed",
    }  # fmt: skip


def test_an_empty_file_says_what_to_begin_with() -> None:
    _, found = parsed("")
    assert set(found) == {"data", "imputation", "model"}
    assert all(x.startswith("is missing: ") for x in found.values())


def test_sections_that_are_no_tables_and_a_wrong_engine() -> None:
    _, found = parsed(
        'data = 1\nmodel = "x"\noutput = []\n[imputation]\nengine = "norm"\nm = 0\nq = 1'
    )
    assert set(found) >= {"data", "model", "output", "imputation.engine", "imputation.m",
                          "imputation.q"}  # fmt: skip
    names = '"amelia", "compatible", "mice", "jomo", "pan", "bootstrap", "auto", "given", "none"'
    assert f'one of {names}, not "norm"' in found["imputation.engine"]


def test_what_is_no_toml_is_told_with_its_line(place: Path) -> None:
    found = mistakes_of(write(place, "[data]\npath = \n"))
    assert "line 2" in found["(file)"]
    (place / "job.toml").write_bytes(b'x = "\xff"')
    assert "UTF-8" in mistakes_of(place / "job.toml")["(file)"]
    assert "can't be read" in mistakes_of(place / "none.toml")["(file)"]


def test_a_byte_order_mark_is_no_mistake(place: Path) -> None:
    (place / "job.toml").write_bytes(b"\xef\xbb\xbf" + toml(JOB).encode())
    assert check_job(place / "job.toml").job.imputation.m == 2


def test_r_names_may_be_dotted_quoted_or_underscored() -> None:
    for name in ("max.resample", '"max.resample"', "max_resample"):
        source = toml(changed(imputation=None)) + (
            f'\n[imputation]\nengine = "amelia"\nseed = 1\n{name} = 7\n'
        )
        job, found = parsed(source)
        assert (found, job.imputation.arguments) == ({}, {"max.resample": 7})
    job, found = parsed(
        toml(changed(model={"control": {"check_conv_grad": "ignore", "calc.derivs": False}}))
    )
    assert found == {}
    assert job.model.arguments["control"] == {"calc.derivs": False, "check.conv.grad": "ignore"}


def test_no_imputation_leaves_no_room_for_its_keys() -> None:
    _, found = parsed(
        toml(
            changed(
                imputation={"engine": "none", "idvars": None},
                output={"imputed": True, "report": True, "tables": ["patterns"]},
            )
        )
    )
    assert set(found) == {"imputation.m", "imputation.seed", "output.imputed", "output.report",
                          "output.tables"}  # fmt: skip


def test_parquet_without_pyarrow_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    _, found = parsed(toml(changed(data={"path": "d.parquet"}, output={"formats": ["parquet"]})))
    for key in ("data.path", "output.formats"):
        assert 'pip install "rbridge_mi[parquet]"' in found[key]


def test_a_report_without_its_packages_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    _, found = parsed(toml(changed(output={"report": True})))
    assert found["output.report"] == (
        'needs jinja2 and matplotlib, which are not installed: pip install "rbridge_mi[report]"'
    )


# -- a job can't run code, nor read or write elsewhere -------------------------------------


@pytest.mark.parametrize(
    "keys",
    [
        {"formula": "y ~ x + (1 | g) + system('touch PWNED')"},
        {"formula": "y ~ x + (1 | g) + (function() file.create('PWNED'))()"},
        {"formula": "y ~ x + (1 | g) + eval(parse(text = 'file.create(\"PWNED\")'))"},
        {"formula": "y ~ x + (1 | g) + `::`('base', 'system')('touch PWNED')"},
        {"formula": "{file.create('PWNED'); y ~ x + (1 | g)}"},
        {"allow": ["system"]},
        {"contrasts": {"g": "system"}},
        {"contrasts": {"g": "file.create"}},
        {"control": {"optimizer": "system"}},
        {"control": {"optCtrl": {"f": ["system"]}}},
        {"control": {"check.conv.grad": "system('touch PWNED')"}},
        {"weights": "file.create('PWNED')"},
        {"subset": "file.create('PWNED')"},
        {"offset": "system"},
        {"start": ["system"]},
        {"na_action": "system"},
        {"data": "file.create('PWNED')"},
    ],
    ids=lambda x: "-".join(map(str, *x.items()))[:40],
)
def test_no_value_of_the_model_runs_as_code(
    place: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any]
) -> None:
    monkeypatch.chdir(place)
    found = mistakes_of(write(place, changed(model=keys)))
    assert all(x.startswith("model") for x in found)
    assert sorted(x.name for x in place.iterdir()) == ["d.csv", "job.toml"]


@pytest.mark.parametrize(
    "keys",
    [
        {"frontend": True},
        {"parallel": "multicore"},
        {"cl": 1},
        {"arglist": {"x": 1}},
        {"idvars": ["system('touch PWNED')"]},
        {"startvals": "system"},
        {"boot.type": "system"},
    ],
    ids=lambda x: next(iter(x)),
)
def test_no_argument_of_the_engine_runs_as_code(place: Path, keys: dict[str, Any]) -> None:
    found = mistakes_of(write(place, changed(imputation=keys)))
    assert any(x.startswith("imputation.") for x in found)
    assert sorted(x.name for x in place.iterdir()) == ["d.csv", "job.toml"]


def test_column_and_level_names_never_become_code(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    evil = "file.create('PWNED')"
    frame = data_frame().rename(columns={"x": evil})
    frame["g"] = frame["g"].radd(evil)
    frame.to_csv(place / "d.csv", index=False)
    columns = {"g": "category", evil: "float", "z": "integer", "y": "float"}
    job = changed(data={"columns": columns}, model={"formula": f"y ~ `{evil}` + (1 | g)"})
    done = run_job(write(place, job))
    terms = pd.read_csv(done.folder / "fixed.csv")["term"].tolist()
    assert terms == ["(Intercept)", f"`{evil}`"]
    assert sorted(x.name for x in place.iterdir()) == ["d.csv", "job.toml", "out"]


def test_data_are_read_only_below_their_root(place: Path, tmp_path_factory: Any) -> None:
    outside = tmp_path_factory.mktemp("outside")
    shutil.copy(place / "d.csv", outside / "d.csv")
    (place / "link.csv").symlink_to(outside / "d.csv")
    (place / "links").symlink_to(outside)
    (place / "inner.csv").symlink_to(place / "d.csv")
    (place / "folder.csv").mkdir()
    os.mkfifo(place / "pipe.csv")
    for path, said in {
        "link.csv": "leads out of",
        "links/d.csv": "leads out of",
        f"../{outside.name}/d.csv": "leads out of",
        str(outside / "d.csv"): "must be relative",
        "/etc/passwd": "must be relative",
        "none.csv": "there is no",
        "folder.csv": "is no file",
        "pipe.csv": "is no file",
        "x\0.csv": "is no path",
        "x" * 5000 + ".csv": "there is no",
    }.items():
        found = mistakes_of(write(place, changed(data={"path": path, "format": "csv"})))
        assert said in found["data.path"], path
    assert check_job(write(place, changed(data={"path": "inner.csv"}))).data.size > 0
    job = write(place, JOB)
    assert check_job(job, data_root=outside).data.size > 0
    job = write(place, changed(data={"path": "link.csv"}))
    assert "leads out of" in mistakes_of(job, data_root=place)["data.path"]
    assert "is no folder" in mistakes_of(job, data_root=place / "no")["data.path"]


def test_results_are_written_only_below_the_jobs_folder(place: Path, tmp_path_factory: Any) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (place / "links").symlink_to(outside)
    for folder in (".", "..", f"../{outside.name}", "links", "links/x", "a/../../b"):
        found = mistakes_of(write(place, changed(output={"folder": folder})))
        assert "is not below the job file's folder" in found["output.folder"], folder
    found = mistakes_of(write(place, changed(output={"folder": str(outside)})))
    assert "must be relative" in found["output.folder"]
    assert check_job(write(place, JOB), out=outside / "x").folder == outside / "x"
    assert check_job(write(place, changed(output=None), "my.toml")).folder == place / "my-results"


# -- the folder ----------------------------------------------------------------------------


def test_only_an_earlier_runs_folder_is_replaced(place: Path) -> None:
    job, out = write(place, JOB), place / "out"
    out.mkdir()
    check_job(job)  # an empty one will do
    (out / "notes.txt").write_text("mine")
    assert "no run wrote it" in mistakes_of(job)["output.folder"]
    (out / "run.json").write_text('{"format": "another program"}')
    assert "no run wrote it" in mistakes_of(job)["output.folder"]
    (out / "run.json").write_text('{"format": "rbridge-mi run", "files": {"fixed.csv": ""}}')
    assert '"notes.txt", which the earlier run' in mistakes_of(job)["output.folder"]
    (out / "notes.txt").rename(out / "fixed.csv")
    check_job(job)
    (out / "sub").mkdir()
    assert '"sub"' in mistakes_of(job)["output.folder"]
    shutil.rmtree(out)
    out.write_text("a file")
    assert "is no folder" in mistakes_of(job)["output.folder"]
    assert "is no folder" in mistakes_of(job, out=out / "x" / "y")["output.folder"]


def test_a_folder_that_cannot_be_written_is_told_before_any_work(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run_job(write(place, JOB))
    found = mistakes_of(write(place, changed(data={"path": "out/ranef.csv"})))
    assert "lies in the output folder" in found["data.path"]
    job = write(place, JOB)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_mount", lambda x: x == done.folder)
        assert "a folder inside it" in mistakes_of(job)["output.folder"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)
        assert "may not be written by this user" in mistakes_of(job)["output.folder"]


def test_a_block_that_fails_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for before in ([], ["old.csv"]):
        with pytest.raises(OSError, match="disk full"), job_outputs.staged(out) as folder:
            (folder / "half.csv").write_text("1,2")
            raise OSError("disk full")
        assert [x.name for x in tmp_path.rglob("*.csv")] == before
        out.mkdir(exist_ok=True)
        (out / "old.csv").write_text("")
    with job_outputs.staged(out) as folder:
        (folder / "new.csv").write_text("")
    assert [str(x.relative_to(tmp_path)) for x in tmp_path.rglob("*")] == ["out", "out/new.csv"]


# -- runs ----------------------------------------------------------------------------------


def test_tables_are_those_of_the_classes_to_the_last_bit(place: Path) -> None:
    job = changed(
        output={"formats": ["csv", "parquet"], "imputed": True},
        pooling={"conf_level": 0.9, "dfcom": 50},
    )
    said: list[str] = []
    done = run_job(write(place, job), say=said.append)
    frame = data_frame().astype({"g": "string"})
    with pytest.warns(rb.RBridgeWarning, match="z: Int64 became Float64"):
        imp = rb.AmeliaImputer(m=2, idvars="g").impute(frame, seed=1)
    fits = rb.Lmer("y ~ x + z + (1 | g)").fit(imp)
    pooled = fits.pool(dfcom=50, conf_level=0.9)
    expected = {
        "fixed": pooled.fixed,
        "vcov": pooled.vcov.rename_axis("term").reset_index(),
        "varcorr": pooled.varcorr,
        "ranef": pooled.ranef,
        "model_info": fits.model_info(),
        "fixef_by_imputation": fits.fixef(by_imputation=True),
        "varcorr_by_imputation": fits.varcorr(by_imputation=True),
    }
    for name, table in expected.items():
        got = pd.read_csv(done.folder / f"{name}.csv", dtype=str)
        again = pd.read_parquet(done.folder / f"{name}.parquet")
        assert list(got.columns) == list(again.columns) == list(table.columns)
        for column in table.columns:
            if table[column].dtype == np.float64:
                bits = table[column].to_numpy().tobytes()
                assert doubles(got[column]).tobytes() == bits
                assert again[column].to_numpy().tobytes() == bits
            else:
                values = [None if pd.isna(x) else str(x) for x in table[column]]
                for found in (got[column], again[column]):
                    assert [None if pd.isna(x) else str(x) for x in found] == values
    imputed = pd.read_parquet(done.folder / "imputed.parquet")
    for i in (1, 2):
        part = imputed[imputed[".imp"] == i]
        assert part[".id"].tolist() == list(range(1, 121))
        assert part["x"].to_numpy().tobytes() == imp[i - 1]["x"].to_numpy().tobytes()
    missing = pd.read_csv(done.folder / "missing.csv").set_index("column")["n_missing"]
    assert missing.to_dict() == {"g": 0, "x": 12, "z": 12, "y": 0}
    assert said[0] == "job.toml: checked"
    assert done.files[-1] == "run.json"
    assert sorted(done.files) == sorted(x.name for x in done.folder.iterdir())


def test_every_table_of_the_registry_is_written(place: Path) -> None:
    """Of m fits and of one: a job that names no tables has the usual ones, in their order."""
    for engine, kind, names in (
        ("bootstrap", "list", TABLES_OF_LIST),
        ("none", "one", TABLES_OF_ONE),
    ):
        imputation = {"engine": engine} | ({"m": 4, "seed": 1} if engine != "none" else {})
        usual = [x.name for x in JOB_TABLES if x.name in names and kind in x.default]
        # The spread of bootstrap samples has no joint tests.
        named = [x for x in names if (engine, x) != ("bootstrap", "anova")]
        for tables, written in ((None, usual), (named, named)):
            job = changed(output={"folder": engine, "tables": tables})
            done = run_job(write(place, {**job, "imputation": imputation}))
            record = json.loads((done.folder / "run.json").read_text())
            assert record["job"]["output"]["tables"] == written
            assert {f"{x}.csv" for x in written} == {x for x in done.files if x.endswith(".csv")}
    every = {*TABLES_OF_LIST, *TABLES_OF_ONE, *TABLES_OF_CHAINS}
    assert every == {x.name for x in JOB_TABLES}
    assert len({x.name for x in JOB_TABLES}) == len(JOB_TABLES)


@pytest.mark.parametrize("value", [True, 1, 1.5, "2", None, [2], float("nan"), 2**40, -3, 0.95])
def test_calls_and_jobs_refuse_the_same_values(value: Any) -> None:
    """What a job file may say and what a call takes are decided by one check."""
    calls: dict[str, Any] = {
        "imputation.m": lambda: check_count(value, "m", 2),
        "imputation.seed": lambda: check_seed(value),
        "imputation.timeout": lambda: check_timeout(value),
        "pooling.conf_level": lambda: check_level(value),
    }
    for key, call in calls.items():
        if value is None:  # is a value of calls alone: TOML has none
            continue
        section, _, name = key.partition(".")
        given = changed(**{section: {name: value}})
        found = Mistakes()
        parse_job(given, found)
        try:
            call()
        except rb.ArgumentError as error:
            text = next(text for where, text in found if where == key)
            assert str(error).split(", not ")[0] == f"{name} {text}".split(", not ")[0]
        else:
            assert key not in dict(found)


def test_fixed_is_the_table_of_one_fit_too(place: Path) -> None:
    """With [pooling], and with lmer's plain degrees of freedom where nothing is said."""
    fit = rb.Lmer(JOB["model"]["formula"]).fit(data_frame())
    calls: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "plain": ({}, {"dfcom": "residual"}),
        "number": ({"dfcom": 50, "conf_level": 0.9}, {"dfcom": 50, "conf_level": 0.9}),
        "small": ({"dfcom": "satterthwaite"}, {"dfcom": "satterthwaite"}),
        "adjusted": ({"vcov": "kenward-roger"}, {"dfcom": "kenward-roger"}),
        "ratios": ({"exponentiate": True}, {"dfcom": "residual", "exponentiate": True}),
    }
    tables = ["fixed", "fixef", "tidy", "random", "icc", "r2"]
    for name, (pooling, arguments) in calls.items():
        job = changed(pooling=pooling, output={"folder": name, "tables": tables})
        done = run_job(write(place, {**job, "imputation": {"engine": "none"}}))
        level = arguments.get("conf_level", 0.95)
        expected = {"fixed": fit.fixed(**arguments), "random": fit.random(level), "r2": fit.r2()}
        expected["fixef"] = fit.fixef()
        for table, values in expected.items():
            got = pd.read_csv(done.folder / f"{table}.csv", dtype=str)
            assert list(got.columns) == list(values.columns)
            for column in values.select_dtypes("float").columns:
                np.testing.assert_array_equal(
                    doubles(got[column].replace("", np.nan)), values[column].to_numpy()
                )
        tidy = pd.read_csv(done.folder / "tidy.csv", dtype=str)
        of_fixed = tidy[tidy["effect"] == "fixed"]
        assert doubles(of_fixed["estimate"]).tolist() == expected["fixed"]["estimate"].tolist()
        if name in ("plain", "number", "small"):
            assert doubles(tidy["statistic"].dropna()).tolist() == (
                fit.tidy()["statistic"].dropna().tolist()
            )
    icc = pd.read_csv(done.folder / "icc.csv")
    row = fit.random().set_index("term").loc["icc"]
    assert (icc["grp"].tolist(), icc["icc"].tolist()) == (["g"], [row["estimate"]])


@pytest.mark.parametrize("given", [{"dfcom": "kenward-roger", "vcov": "model"},
                                   {"dfcom": "residual", "vcov": "kenward-roger"}])  # fmt: skip
def test_of_one_fit_kenward_and_rogers_errors_and_df_go_together(given: dict[str, Any]) -> None:
    _, found = parsed(toml({**changed(pooling=given), "imputation": {"engine": "none"}}))
    assert set(found) == {"pooling.vcov"}
    assert "go with their degrees of freedom" in found["pooling.vcov"]


def test_run_json_tells_what_the_numbers_came_from(place: Path) -> None:
    done = run_job(write(place, changed(pooling={"dfcom": 1e3}, output={"tables": ["fixed"]})))
    record = json.loads((done.folder / "run.json").read_text())
    assert record["format"] == "rbridge-mi run"
    assert record["job"]["model"]["formula"] == JOB["model"]["formula"]
    assert record["job"]["pooling"] == {
        "dfcom": 1000.0,
        "conf_level": 0.95,
        "vcov": "model",
        "exponentiate": False,
    }
    assert record["data"]["rows"] == 120
    assert record["data"]["columns"]["z"] == "Int64"
    assert record["seeds"] == {"imputation": 1}
    assert record["versions"]["r"]["r"].count(".") == 2
    assert "blas" in record["versions"]["r"]["blas"].lower()
    assert record["versions"]["r_packages"]["lme4"]
    assert record["versions"]["r_packages"]["Amelia"]
    assert record["versions"]["python"]["rbridge_mi"] == rb.__version__
    assert [x["imputation"] for x in record["fits"]] == [1, 2]
    assert set(record["run"]) == {"started", "finished", "seconds"}
    assert set(record["files"]) == {"fixed.csv", "summary.txt"}
    # z was whole numbers; its imputations aren't, and the record says so.
    assert record["warnings"] == list(done.warnings)
    assert any("z: Int64 became Float64" in x for x in record["warnings"])


def test_a_job_may_ask_for_processes_that_may_be_lost(place: Path) -> None:
    """The same tables; and the record says so."""
    here = run_job(write(place, JOB))
    asked = {"isolate": True, "timeout": 300}
    there = run_job(write(place, changed(imputation=asked, model=asked, output={"folder": "b"})))
    for name in set(here.files) - {"run.json"}:
        assert (here.folder / name).read_bytes() == (there.folder / name).read_bytes(), name
    job = json.loads((there.folder / "run.json").read_text())["job"]
    assert (job["imputation"]["isolate"], job["imputation"]["timeout"]) == (True, 300.0)
    assert (job["model"]["isolate"], job["model"]["timeout"]) == (True, 300.0)
    _, found = parsed(toml(changed(imputation={"engine": "bootstrap", "idvars": None, **asked})))
    assert set(found) == {"imputation.isolate", "imputation.timeout"}


def test_no_byte_depends_on_the_number_of_processes(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = write(place, JOB)
    here = run_job(job)
    assert main(["run", str(job), "--out", str(place / "parallel"), "--n-jobs", "2"]) == 0
    assert str(place / "parallel") in capsys.readouterr().out
    for name in set(here.files) - {"run.json"}:
        assert (here.folder / name).read_bytes() == (place / "parallel" / name).read_bytes(), name


@pytest.mark.parametrize("stage", ["imputation", "model"])
def test_a_lost_process_ends_the_job_and_nothing_else(
    place: Path, stage: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, what was lost and with which call; of the results, not even a half."""
    whole = isolation._Worker.answer

    def answer(worker: isolation._Worker, timeout: float | None) -> Any:
        os.kill(worker.pid, signal.SIGKILL)
        return whole(worker, timeout)

    monkeypatch.setattr(isolation._Worker, "answer", answer)
    assert main(["run", str(write(place, changed(**{stage: {"isolate": True}})))]) == 2
    said = capsys.readouterr().err
    assert "the process that ran it was lost: it died of SIGKILL" in said
    assert ("seed: 1" if stage == "imputation" else "lmer, imputation 1") in said
    assert sorted(x.name for x in place.iterdir()) == ["d.csv", "job.toml"]


def test_a_job_that_takes_too_long(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    endless = {"emburn": [10**9, 10**9], "timeout": 1}
    assert main(["run", str(write(place, changed(imputation=endless)))]) == 2
    assert "Amelia: not done after 1 seconds" in capsys.readouterr().err
    assert sorted(x.name for x in place.iterdir()) == ["d.csv", "job.toml"]


def test_every_argument_of_the_model_reaches_r(place: Path) -> None:
    frame = data_frame().assign(w=1.0 + np.arange(120) % 3, k=lambda d: d["g"] < "06")
    frame["f"] = pd.Series(["a", "b", "c", "d"] * 30)
    frame.to_csv(place / "d.csv", index=False)
    columns = {**JOB["data"]["columns"], "w": "float", "k": "boolean", "f": "category"}
    model: dict[str, Any] = {
        "formula": "y ~ x + f + (1 | g)",
        "reml": False,
        "weights": "w",
        "subset": "k",
        "start": [0.5],
        "contrasts": {"f": "contr.sum"},
        "control": {"optimizer": "bobyqa", "optCtrl": {"maxfun": 5000}, "calc.derivs": False},
    }
    job = changed(
        data={"columns": columns},
        imputation={"engine": "none", "m": None, "seed": None, "idvars": None},
        model=model,
    )
    done = run_job(write(place, job))
    frame["f"] = frame["f"].astype("category")
    expected = rb.Lmer(**model).fit(frame)
    got = pd.read_csv(done.folder / "fixed.csv", dtype=str)
    assert got["term"].tolist() == ["(Intercept)", "x", "f1", "f2", "f3"]
    assert doubles(got["estimate"]).tolist() == expected.fixef()["estimate"].tolist()
    assert expected.nobs < 60


# -- the command ---------------------------------------------------------------------------

CLI = [sys.executable, "-m", "rbridge_mi"]


def test_the_same_job_gives_the_same_bytes(tmp_path: Path) -> None:
    """Also: the example runs as its own comments say."""
    for name in ("hsb.toml", "make_hsb.py"):
        shutil.copy(EXAMPLES / name, tmp_path / name)
    job = (tmp_path / "hsb.toml").read_text().replace('["csv"]', '["csv", "parquet"]')
    assert "# report = true " in job
    job = job.replace("# report = true ", "report = true ")
    (tmp_path / "hsb.toml").write_text(job)
    subprocess.run([sys.executable, "make_hsb.py"], cwd=tmp_path, check=True)
    runs = []
    for _ in range(2):  # into the same folder: the second replaces the first
        done = subprocess.run(
            [*CLI, "run", "hsb.toml"], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "imputing: amelia, m = 5, seed 1" in done.stderr.splitlines()
        files = {x.name: x.read_bytes() for x in (tmp_path / "hsb-results").iterdir()}
        record = json.loads(files.pop("run.json"))
        assert record.pop("run")["seconds"]["fit"] > 0
        runs.append((files, json.dumps(record)))
    assert runs[0] == runs[1]
    assert len(runs[0][0]) == 2 * 17 + 2
    assert not list(tmp_path.glob(".*"))


def test_a_job_may_write_a_report(place: Path) -> None:
    from lxml import html

    job = write(place, changed(output={"report": True, "tables": ["fixed"]}))
    done = run_job(job)
    assert set(done.files) == {"fixed.csv", "summary.txt", "report.html", "run.json"}
    page = html.fromstring((done.folder / "report.html").read_text("utf-8"))
    rows = {
        row.find("td[1]").text_content(): row.find("td[2]").text_content()
        for row in page.findall(".//section[@id='provenance']//tbody/tr")
    }
    record = json.loads((done.folder / "run.json").read_text())
    assert rows["job file"] == f"job.toml, SHA-256 {record['job_file']['sha256']}"
    assert rows["data file"] == f"d.csv, SHA-256 {record['data']['sha256']}"
    assert {"jinja2", "matplotlib"} <= set(record["versions"]["python"])
    # The rows without holes stand beside the pooled model.
    complete = read_data_rows(place)
    fits = page.findall(".//section[@id='fits']//tbody/tr")
    assert [x.text_content() for x in fits[-1].findall("td")][:2] == ["none: listwise", complete]


def read_data_rows(place: Path) -> str:
    """The number of rows without holes, as a text."""
    return str(len(pd.read_csv(place / "d.csv").dropna()))


def test_a_report_does_without_complete_cases_where_there_are_too_few(place: Path) -> None:
    frame = pd.read_csv(place / "d.csv", dtype={"g": str})
    frame["w"] = np.random.default_rng(1).normal(size=len(frame))
    frame.loc[frame.index % 2 == 0, "w"] = np.nan
    frame.loc[frame.index % 2 == 1, "x"] = np.nan  # each row lacks one or the other
    frame.to_csv(place / "d.csv", index=False)
    columns = {"g": "text", "x": "float", "w": "float", "y": "float"}
    job = changed(
        data={"columns": columns},
        imputation={"engine": "compatible", "idvars": None, "max_iter": 60},
        model={"formula": "y ~ x + w + (1 | g)"},
        output={"report": True},
    )
    done = run_job(write(place, job))
    assert "report.html" in done.files
    [text] = [x for x in done.warnings if "the report does without complete cases" in x]
    assert "0 (non-NA) cases" in text


def test_the_same_job_gives_the_same_bytes_in_every_locale(tmp_path: Path) -> None:
    """Text that the locales sort apart: the reference level and all estimates hang on the order."""
    frame = data_frame().assign(word=["b", "B", "a", "Ä"] * 30)
    frame["g"] = frame["g"].map(lambda x: f"{'aBcDeFgHiJkL'[int(x)]}{x}")
    frame.to_csv(tmp_path / "d.csv", index=False)
    columns = {**JOB["data"]["columns"], "word": "text"}
    job = changed(
        data={"columns": columns},
        imputation={"idvars": ["g"], "noms": ["word"]},
        model={"formula": "y ~ x + word + (1 | g)"},
    )
    write(tmp_path, job)
    runs = []
    for environment in ({"LC_ALL": "C"}, {"LC_ALL": "C.UTF-8", "R_ICU_LOCALE": "sv_SE"}):
        done = subprocess.run(
            [*CLI, "run", "job.toml"], cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, **environment},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        files = {x.name: x.read_bytes() for x in (tmp_path / "out").iterdir()}
        record = json.loads(files.pop("run.json"))
        del record["run"]
        runs.append((files, record))
    assert runs[0] == runs[1]
    assert record["collation"] == record["versions"]["r"]["collate"] == "C"
    terms = [x.split(b",")[0] for x in files["fixed.csv"].split(b"\n")]
    assert terms[3:6] == [b"worda", b"wordb", "wordÄ".encode()]  # B is the first by code point


def test_a_job_sorts_text_alike_in_every_process(place: Path) -> None:
    """Here, in isolated processes and in workers, though this R sorts otherwise; it still does."""
    frame = data_frame().assign(word=["b", "B", "a"] * 40)
    frame.to_csv(place / "d.csv", index=False)
    columns = {**JOB["data"]["columns"], "word": "text"}
    tables = []
    rdoor.call("base::icuSetCollate", locale="sv_SE")
    try:
        for keys, n_jobs in (({}, 1), ({"isolate": True}, 1), ({}, 2)):
            job = changed(
                data={"columns": columns},
                imputation={"idvars": ["g", "word"]},
                model={"formula": "y ~ x + word + (1 | g)", **keys},
                output={"tables": ["fixed"]},
            )
            done = run_job(write(place, job), n_jobs=n_jobs)
            tables.append((done.folder / "fixed.csv").read_text())
        fit = rb.Lmer("y ~ x + word + (1 | g)").fit(frame)
    finally:
        rdoor.call("base::icuSetCollate", locale="default")
    assert len(set(tables)) == 1
    assert tables[0].split("\n")[3].startswith("worda,")
    if "ICU" in fit.collation:
        assert fit.collation.endswith("(ICU: sv)")
        assert fit.fixef()["term"].tolist()[2:] == ["wordb", "wordB"]


def test_exit_codes(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = write(place, JOB)
    assert main(["run", str(job), "--check"]) == 0
    assert "no mistakes" in capsys.readouterr().out
    assert not (place / "out").exists()
    assert main(["run", str(job)]) == 0
    assert f"to {place / 'out'}: coef.csv" in capsys.readouterr().out
    before = {x.name: x.read_bytes() for x in (place / "out").iterdir()}

    assert main(["run", str(write(place, changed(imputation={"m": 1.5}), "bad.toml"))]) == 1
    said = capsys.readouterr().err
    assert "bad.toml has 1 mistake:\n  imputation.m: must be a whole number" in said
    with pytest.raises(SystemExit) as wrong:
        main(["run", str(job), "--no-such-option"])
    assert wrong.value.code == 1

    # Each row a group of its own: only lmer finds that out.
    frame = data_frame()
    frame["g"] = [f"{i:03d}" for i in range(120)]
    frame.to_csv(place / "d.csv", index=False)
    assert main(["run", str(job)]) == 2
    assert "number of levels of each grouping factor" in capsys.readouterr().err
    assert {x.name: x.read_bytes() for x in (place / "out").iterdir()} == before
    assert sorted(x.name for x in place.iterdir()) == ["bad.toml", "d.csv", "job.toml", "out"]


def test_an_unexpected_error_is_no_mistake_of_the_job(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", broken)
    job = write(place, JOB)
    assert main(["run", str(job)]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert sorted(x.name for x in place.iterdir()) == ["d.csv", "job.toml"]
    monkeypatch.setattr("rbridge_mi.jobs.run.diagnose", lambda: 1 / 0)
    assert main(["run", str(job)]) == 2
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "code", "stage"),
    [
        (signal.SIGINT, 130, "imputing"),
        (signal.SIGINT, 130, "fitting"),
        (signal.SIGTERM, 143, "fitting"),
    ],
    ids=["ctrl-c-imputing", "ctrl-c-fitting", "terminated"],
)
def test_an_interrupted_run_leaves_nothing_behind(
    place: Path, number: int, code: int, stage: str
) -> None:
    m = 5000 if stage == "imputing" else 300
    engine = "amelia" if stage == "imputing" else "bootstrap"
    keys: dict[str, Any] = {"engine": engine, "m": m}
    if engine == "bootstrap":
        keys["idvars"] = None
    job = write(place, changed(imputation=keys))
    with subprocess.Popen([*CLI, "run", str(job)], stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        wait_for(running.stderr.readline, stage)
        time.sleep(0.5)
        sent = time.monotonic()
        running.send_signal(number)
        said = running.stderr.read()
        assert running.wait(timeout=20) == code, said
    assert time.monotonic() - sent < 5
    assert "Traceback" not in said
    assert sorted(x.name for x in place.iterdir()) == ["d.csv", "job.toml"]


def wait_for(line: Callable[[], str], start: str) -> None:
    while text := line():
        if text.startswith(start):
            return
    raise AssertionError(f"the run ended before {start!r}")
