"""Job files: what they may say, what they may touch, and what a run leaves behind."""

from __future__ import annotations

import gzip
import hashlib
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
from rbridge_mi.jobs import JobError, check_job, parse_job, run_job
from rbridge_mi.jobs import outputs as job_outputs
from rbridge_mi.jobs.data import read_data
from rbridge_mi.jobs.spec import ColumnSpec, DataSpec, parse_toml
from rbridge_mi.jobs.tables import JOB_TABLES, TABLES_OF_CHAINS, TABLES_OF_LIST, TABLES_OF_ONE
from rbridge_mi.jobs.values import Mistakes
from rbridge_mi.processes import isolation

pytestmark = [pytest.mark.r, pytest.mark.slow]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

JOB: dict[str, Any] = {
    "data": {
        "path": "d.csv",
        "columns": {"g": "text", "x": "float", "z": "integer", "y": "float"},
    },
    "imputation": {"engine": "amelia", "m": 2, "seed": 1, "idvars": ["g"]},
    "model": {"formula": "y ~ x + z + (1 | g)"},
    "output": {"folder": "out"},
}


def toml(table: dict[str, Any], prefix: str = "") -> str:
    """Enough of TOML's writing for these jobs: JSON's scalars and lists are TOML's."""
    own = [
        f"{json.dumps(k)} = {json.dumps(v)}" for k, v in table.items() if not isinstance(v, dict)
    ]
    inner = []
    for key, value in table.items():
        if isinstance(value, dict):
            name = f"{prefix}{json.dumps(key)}"
            inner.append(f"[{name}]\n{toml(value, name + '.')}")
    return "\n".join([*own, *inner])


def changed(**sections: Any) -> dict[str, Any]:
    """JOB with keys replaced; None drops a section or a key."""
    job = {k: dict(v) for k, v in JOB.items()}
    for name, keys in sections.items():
        if keys is None:
            del job[name]
            continue
        job[name] = {k: v for k, v in {**job.get(name, {}), **keys}.items() if v is not None}
    return job


def data_frame(seed: int = 1) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    group = np.repeat(np.arange(12), 10)
    x, z = random.normal(size=120), random.integers(0, 5, size=120)
    y = 1 + x + 0.3 * z + random.normal(size=12)[group] + random.normal(size=120)
    frame = pd.DataFrame({"g": [f"{i:02d}" for i in group], "x": x, "z": z, "y": y})
    return rb.ampute(frame, prop=0.1, columns=["x", "z"], seed=seed)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the data in it."""
    data_frame().to_csv(tmp_path / "d.csv", index=False)
    return tmp_path


def write(place: Path, job: dict[str, Any] | str, name: str = "job.toml") -> Path:
    path = place / name
    path.write_text(job if isinstance(job, str) else toml(job))
    return path


def mistakes_of(path: Path, **places: Any) -> dict[str, str]:
    with pytest.raises(JobError) as caught:
        check_job(path, **places)
    return dict(caught.value.mistakes)


def doubles(texts: pd.Series[Any]) -> np.ndarray[Any, Any]:
    """Each text as Python reads it: exactly, which pandas 2 does not by itself."""
    return np.array([float(x) for x in texts], dtype=np.float64)


def parsed(source: str) -> tuple[Any, dict[str, str]]:
    found = Mistakes()
    job = parse_job(parse_toml(source, found), found)
    return job, dict(found)


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


# -- the data ------------------------------------------------------------------------------


def read(place: Path, text: str | bytes, **spec: Any) -> tuple[Any, dict[str, str]]:
    path = place / "d.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    columns = {
        k: ColumnSpec(v) if isinstance(v, str) else ColumnSpec(**v)
        for k, v in spec.pop("columns").items()
    }
    found = Mistakes()
    data = read_data(DataSpec("d.csv", "csv", columns, **spec), path, found)
    return None if data is None else data.frame, dict(found)


def test_each_type_takes_its_texts_exactly(tmp_path: Path) -> None:
    frame, found = read(
        tmp_path,
        "t,i,f,b,c,d,s,z\n"
        "01, 9007199254740993 ,0.1,TRUE,low,2024-02-29,2024-02-29 12:30,2024-02-29T12:30:00.5Z\n"
        "NA,NA,NA,NA,NA,NA,NA,NA\n"
        '"a,""b""",-3,2.2250738585072014e-308,0,high,1969-12-31,1969-12-31T23:59:59.999999,'
        "2024-02-29T12:30:00+02:00\n",
        columns={
            "t": "text", "i": "integer", "f": "float", "b": "boolean",
            "c": {"type": "category", "levels": ("low", "mid", "high"), "ordered": True},
            "d": "date", "s": "datetime", "z": "datetime",
        },
    )  # fmt: skip
    assert found == {}
    assert frame["t"].tolist()[::2] == ["01", 'a,"b"']
    assert (frame["i"].dtype, frame["i"].tolist()[::2]) == ("Int64", [9007199254740993, -3])
    assert frame["f"].tolist()[::2] == [0.1, 2.2250738585072014e-308]
    assert (frame["b"].dtype, frame["b"].tolist()[::2]) == ("boolean", [True, False])
    assert frame["c"].cat.categories.tolist() == ["low", "mid", "high"]
    assert frame["c"].cat.ordered
    assert [str(x) for x in frame["d"][::2]] == ["2024-02-29", "1969-12-31"]
    assert frame["s"].tolist()[2] == pd.Timestamp("1969-12-31T23:59:59.999999")
    assert str(frame["z"].dtype) == "datetime64[us, UTC]"
    assert frame["z"].tolist()[2] == pd.Timestamp("2024-02-29T10:30", tz="UTC")
    assert frame.isna().sum(axis=1).tolist() == [0, 8, 0]


def test_cells_that_a_type_cannot_take_are_told_by_line_all_columns_at_once(tmp_path: Path) -> None:
    _, found = read(
        tmp_path,
        "i,f,b,c,d,z,m\n"
        '1.5,nan,yes,x,2024-2-3,2024-01-01T10:00Z,"two\nlines"\n'
        "9223372036854775808,1e999,2,low,20240203,2024-01-01T10:00,1_000\n",
        columns={
            "i": "integer", "f": "float", "b": "boolean",
            "c": {"type": "category", "levels": ("low",)}, "d": "date", "z": "datetime",
            "m": "integer", "n": "text",
        },
    )  # fmt: skip
    assert set(found) == {f"data.columns.{x}" for x in "ifbcdzmn"}
    assert 'line 2 "1.5", line 4 "9223372036854775808"' in found["data.columns.i"]
    assert 'its levels, "low"; not line 2 "x"' in found["data.columns.c"]
    assert "is no column of the file; it has" in found["data.columns.n"]


def test_marks_delimiter_decimal_encoding(tmp_path: Path) -> None:
    frame, found = read(
        tmp_path,
        "größe;n\r\n1,5;-9\r\n.;3\r\n".encode("cp1252"),
        columns={"größe": "float", "n": {"type": "integer", "missing": ("-9",)}},
        delimiter=";", decimal=",", encoding="cp1252", missing=(".",),
    )  # fmt: skip
    assert found == {}
    assert frame["größe"].tolist()[0] == 1.5
    assert frame["größe"].isna().tolist() == [False, True]
    assert frame["n"].isna().tolist() == [True, False]
    _, found = read(tmp_path, "x\n1.234\n", columns={"x": "float"}, delimiter=";", decimal=",")
    assert 'not line 2 "1.234"' in found["data.columns.x"]
    _, found = read(tmp_path, b"x\n\xff\n", columns={"x": "text"})
    assert "is not utf-8 (byte 2)" in found["data.encoding"]


@pytest.mark.parametrize("name", ["zlib", "hex", "base64", "bz2", "rot13", "utf-9", "a\0b", ""])
def test_an_encoding_is_one_of_text(name: str) -> None:
    found = parsed(toml(changed(data={"encoding": name})))[1]
    assert "must be a text" in found["data.encoding"]


@pytest.mark.parametrize("name", ["utf-8", "UTF8", "utf-16", "utf-32-le", "cp1252", "latin-1"])
def test_every_encoding_of_text_is_taken(name: str) -> None:
    assert parsed(toml(changed(data={"encoding": name})))[1] == {}


def test_a_compressed_csv_is_read_as_it_is(place: Path) -> None:
    plain = check_job(write(place, JOB)).data
    packed = gzip.compress((place / "d.csv").read_bytes())
    (place / "d.csv.gz").write_bytes(packed)
    found = check_job(write(place, changed(data={"path": "d.csv.gz"}))).data
    pd.testing.assert_frame_equal(found.frame, plain.frame)
    assert found.sha256 == hashlib.sha256(packed).hexdigest()  # of the file, as anyone sees it
    done = run_job(write(place, changed(data={"path": "d.csv.gz"}, output={"tables": ["fixed"]})))
    table = (done.folder / "fixed.csv").read_bytes()
    done = run_job(write(place, changed(output={"tables": ["fixed"]})))
    assert (done.folder / "fixed.csv").read_bytes() == table
    (place / "d.csv.gz").write_bytes(packed[:-20])
    wrong = mistakes_of(write(place, changed(data={"path": "d.csv.gz"})))
    assert "can't be read as gzip" in wrong["data.path"]
    (place / "d.csv.gz").write_bytes(b"g,x\n1,2\n")
    wrong = mistakes_of(write(place, changed(data={"path": "d.csv.gz"})))
    assert "can't be read as gzip" in wrong["data.path"]
    (place / "d.csv").write_bytes(packed)
    assert "name it .csv.gz" in mistakes_of(write(place, JOB))["data.path"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("d.csv.zip", "of which only .csv.gz can be read"),
        ("d.parquet.gz", "unpack it"),
        ("d.feather.gz", "unpack it"),
    ],
)
def test_other_compressed_files_are_refused(name: str, said: str) -> None:
    found = parsed(toml(changed(data={"path": name})))[1]
    assert any(said in text for text in found.values()), found


@pytest.mark.parametrize(
    ("text", "columns", "key", "said"),
    [
        ("g,x\na,1\nb\0,2\n", {"g": "text", "x": "float"}, "g", r'line 3 "b\u0000": holds a NUL'),
        ("g,x\na,1\nb\0,2\n", {"g": "category"}, "g", r'line 3 "b\u0000": holds a NUL'),
        ("g\0,x\na,1\n", {"g\0": "text"}, '"g\\u0000"', "the name holds a NUL"),
    ],
    ids=["cell", "level", "name"],
)
def test_text_that_r_cannot_hold_is_told_before_any_work(
    tmp_path: Path, text: str, columns: dict[str, Any], key: str, said: str
) -> None:
    if sys.version_info < (3, 11):
        said, key = "can't be read as CSV", ""  # there the csv module refuses it
    found = read(tmp_path, text, columns=columns)[1]
    assert said in found[f"data.columns.{key}" if key else "data.path"]
    escaped = "x\n\\ud800\n".encode("ascii")
    found = read(tmp_path, escaped, columns={"x": "text"}, encoding="unicode_escape")[1]
    assert "half a surrogate pair" in found["data.columns.x"]
    pd.DataFrame({"p": ["a", "b\0"]}).to_parquet(tmp_path / "d.parquet")
    spec = DataSpec("d.parquet", "parquet", None)
    wrong = Mistakes()
    read_data(spec, tmp_path / "d.parquet", wrong)
    assert "row 2" in dict(wrong)["data.columns.p"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a,b\n", "has no rows"),
        ("a,a\n1,2\n", 'columns of one name: "a"'),
        ("a,b\n1,2\n1\n1,2,3\n", "names 2 columns, but line 3 has 1, line 4 has 3"),
        ('a,b\n1,"2\n', "can't be read as CSV"),
    ],
    ids=["empty", "no-rows", "one-name", "ragged", "quote"],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str, said: str) -> None:
    _, found = read(tmp_path, text, columns={"a": "text"})
    assert said in found["data.path"]


def test_a_csv_without_types_gets_them_proposed(place: Path) -> None:
    found = mistakes_of(write(place, changed(data={"columns": None})))
    assert found["data.columns"].endswith(
        '[data.columns]\ng = "integer"\nx = "float"\nz = "integer"\ny = "float"'
    )


def test_parquet_gives_the_frame_that_its_csv_gives(place: Path) -> None:
    frame = data_frame()
    frame["c"] = pd.Categorical(["b", "a", "c"] * 40, categories=["c", "b", "a"])
    frame["flag"] = [True, False] * 60
    frame["day"] = pd.Series([pd.Timestamp("2024-02-29").date()] * 120, dtype=object)
    frame.to_csv(place / "d.csv", index=False)
    frame.to_parquet(place / "d.parquet")
    columns = {
        "g": ColumnSpec("text"), "x": ColumnSpec("float"), "z": ColumnSpec("integer"),
        "y": ColumnSpec("float"), "c": ColumnSpec("category", ("c", "b", "a")),
        "flag": ColumnSpec("boolean"), "day": ColumnSpec("date"),
    }  # fmt: skip
    found = Mistakes()
    texts = read_data(DataSpec("d.csv", "csv", columns), place / "d.csv", found)
    typed = read_data(DataSpec("d.parquet", "parquet", columns), place / "d.parquet", found)
    own = read_data(DataSpec("d.parquet", "parquet", None), place / "d.parquet", found)
    assert found == []
    assert texts is not None and typed is not None and own is not None
    pd.testing.assert_frame_equal(texts.frame, typed.frame, check_exact=True)
    assert own.frame["z"].dtype == "Int64"
    assert own.frame["c"].cat.categories.tolist() == ["c", "b", "a"]
    assert texts.frame["x"].equals(frame["x"])
    wrong = {"x": ColumnSpec("integer"), "g": ColumnSpec("float"), "flag": ColumnSpec("date")}
    read_data(DataSpec("d.parquet", "parquet", wrong), place / "d.parquet", found)
    assert [key for key, _ in found] == [f"data.columns.{x}" for x in wrong]


def test_feather_gives_the_frame_that_parquet_gives(place: Path) -> None:
    frame = data_frame().assign(c=pd.Categorical(["b", "a", "c"] * 40), flag=[True, False] * 60)
    frame.to_parquet(place / "d.parquet")
    frame.to_feather(place / "d.feather")
    shutil.copy(place / "d.feather", place / "d.arrow")
    ids = {"idvars": ["g", "c"]}
    frames = [
        check_job(
            write(place, changed(data={"path": name, "columns": None}, imputation=ids))
        ).data.frame
        for name in ("d.parquet", "d.feather", "d.arrow")
    ]
    for other in frames[1:]:
        pd.testing.assert_frame_equal(frames[0], other, check_exact=True)
    (place / "d.feather").write_bytes(b"ARROW1" + bytes(100))
    broken = changed(data={"path": "d.feather", "columns": None}, imputation=ids)
    found = mistakes_of(write(place, broken))
    assert "can't be read as Feather" in found["data.path"]
    _, found = parsed(toml(changed(data={"path": "d.feather", "decimal": ","})))
    assert found == {
        "data.decimal": "has no meaning for Feather, which has types and nulls of its own"
    }


def test_whole_numbers_may_be_written_as_pandas_writes_those_with_holes(tmp_path: Path) -> None:
    """842.0 is 842; another fraction, or an exponent, is no whole number."""
    frame, found = read(
        tmp_path, "n\n842.0\nNA\n-3.0\n+7.000\n9007199254740993.0\n", columns={"n": "integer"}
    )
    assert found == {}
    assert frame["n"].dtype == "Int64"
    assert frame["n"].dropna().tolist() == [842, -3, 7, 9007199254740993]
    for cell in ("842.5", "842.", ".0", "8e2", "842.00000001", "9223372036854775808.0", "1 .0"):
        _, found = read(tmp_path, f"n\n1\n{cell}\n", columns={"n": "integer"})
        assert f'not line 3 "{cell}"' in found["data.columns.n"], cell
    frame, found = read(
        tmp_path, "n\n842,0\n", columns={"n": "integer"}, delimiter=";", decimal=","
    )
    assert (found, frame["n"].tolist()) == ({}, [842])
    _, found = read(tmp_path, "n\n842.0\n", columns={"n": "integer"}, delimiter=";", decimal=",")
    assert 'not line 2 "842.0"' in found["data.columns.n"]


def test_a_point_is_taken_for_a_hole_s_only_beside_holes(place: Path) -> None:
    (place / "d.csv").write_text("a,b\n1.0,1.0\n2.0,\n")
    found = mistakes_of(write(place, changed(data={"columns": None})))
    assert found["data.columns"].endswith('[data.columns]\na = "float"\nb = "integer"')


def test_all_that_the_data_say_of_a_job_is_told_at_once_before_imputing(place: Path) -> None:
    job = changed(
        data={"columns": {"g": "text", "x": "integer", "z": "integer", "no.pe": "float"}},
        imputation={"idvars": None, "noms": ["sex"], "bounds": [["age", 0, 1]]},
        model={"formula": "y ~ x + (1 | g)", "weights": "w", "contrasts": {"q": "contr.sum"}},
    )
    found = mistakes_of(write(place, job))
    assert set(found) == {
        "data.columns.x", 'data.columns."no.pe"', "data.columns.g", "imputation.noms",
        "imputation.bounds", "model.weights", "model.contrasts", "model.formula",
    }  # fmt: skip
    assert 'the file has "y": add it to [data.columns]' in found["model.formula"]
    assert not (place / "out").exists()


def test_mistakes_of_the_data_are_told_with_those_of_the_file(place: Path) -> None:
    columns = {"g": "integer", "x": "integer", "nope": "float"}
    job = changed(data={"columns": columns}, imputation={"m": 1.5}, output={"folder": ".."})
    found = mistakes_of(write(place, job))
    assert set(found) == {
        "imputation.m", "output.folder", "data.columns.x", "data.columns.nope",
    }  # fmt: skip
    assert set(mistakes_of(write(place, changed(model=None)))) == {"model"}
    found = mistakes_of(write(place, changed(data={"colums": 1}, imputation={"m": 1})))
    assert set(found) == {"data.colums", "imputation.m"}


@pytest.mark.parametrize(
    ("formula", "said"),
    [("y ~ x", "no random term"), ("y ~ (x | g", "unexpected"), ("~ x + (1 | g)", "no response")],
    ids=["no-random-term", "no-syntax", "no-response"],
)
def test_formulas_are_checked_by_r_before_any_work(place: Path, formula: str, said: str) -> None:
    found = mistakes_of(write(place, changed(model={"formula": formula})))
    assert said in found["model.formula"]


def test_what_this_r_lacks_for_the_pooling_is_told_before_any_work(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = write(place, changed(pooling={"dfcom": "kenward-roger"}))
    monkeypatch.setattr("rbridge_mi.rdoor.packages.has_package", lambda name: name != "pbkrtest")
    found = mistakes_of(job)
    assert set(found) == {"pooling.dfcom"}
    assert "needs the R package pbkrtest" in found["pooling.dfcom"]


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


@pytest.mark.parametrize(
    "keys",
    [
        {"engine": "none", "m": None, "seed": None, "idvars": None},
        {"engine": "bootstrap", "idvars": None, "cluster": "g"},
        {"engine": "auto"},
        {"engine": "auto", "cluster": "g"},
    ],
    ids=["none", "bootstrap", "auto", "auto with a cluster"],
)
def test_other_engines(place: Path, keys: dict[str, Any]) -> None:
    done = run_job(write(place, changed(imputation=keys)))
    record = json.loads((done.folder / "run.json").read_text())
    terms = pd.read_csv(done.folder / "fixed.csv")["term"].tolist()
    assert terms == ["(Intercept)", "x", "z"]
    if keys["engine"] == "none":
        assert record["seeds"] == {}
        expected = rb.Lmer(JOB["model"]["formula"]).fit(data_frame()).fixef()
        got = pd.read_csv(done.folder / "fixed.csv", dtype=str)
        assert doubles(got["estimate"]).tolist() == expected["estimate"].tolist()
    else:
        assert record["imputation"]["kind"] == (
            "bootstrap" if keys["engine"] == "bootstrap" else "imputation"
        )


COMPATIBLE: dict[str, Any] = {"engine": "compatible", "idvars": None, "max_iter": 60}


def test_a_job_may_impute_from_its_model(place: Path) -> None:
    """The data sets of a call, the convergence table and, where it is named, the trace."""
    keys = {
        **COMPATIBLE,
        "rhat": 5.0,
        "min_iter": 60,
        "transforms": {"x": "identity"},
        "types": {"z": "continuous"},
        "levels": {"x": ""},
        "bounds": {"z": [0, float("inf")]},
    }
    text = toml(changed(imputation=keys, output={"imputed": True})).replace("Infinity", "inf")
    done = run_job(write(place, text))
    frame = data_frame()
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    model = rb.Lmer(JOB["model"]["formula"])
    with pytest.warns(rb.RBridgeWarning):
        imp = rb.impute(
            frame,
            model,
            2,
            seed=1,
            rhat=5.0,
            min_iter=60,
            max_iter=60,
            transforms={"x": "identity"},
            types={"z": "continuous"},
            levels={"x": None},
            bounds={"z": (0, None)},
        )
    long = pd.read_csv(done.folder / "imputed.csv", dtype=str)
    assert doubles(long["x"]).tolist() == imp.to_long()["x"].tolist()
    assert doubles(long["z"]).min() >= 0
    table = pd.read_csv(done.folder / "convergence_chains.csv", dtype=str)
    assert table["parameter"].tolist() == imp.convergence()["parameter"].tolist()
    assert doubles(table["rhat"]).tolist() == imp.convergence()["rhat"].tolist()
    assert "trace.csv" not in done.files
    summary = (done.folder / "summary.txt").read_text()
    assert "compatible: 2 imputed data sets, seed 1" in summary
    assert "Chains: 2, of 60 iterations; worst R-hat" in summary
    record = json.loads((done.folder / "run.json").read_text())
    assert record["imputation"]["chain_lengths"] == [60, 60]
    job = write(place, changed(imputation=COMPATIBLE, output={"tables": ["trace"]}))
    done = run_job(job)
    trace = pd.read_csv(done.folder / "trace.csv")
    assert list(trace.columns) == ["imputation", "iteration", "parameter", "value"]
    assert trace["iteration"].max() == 60


def test_without_m_the_model_chooses_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = changed(imputation={**COMPATIBLE, "m": None}, output={"tables": ["fixed"]})
    assert main(["run", str(write(place, job))]) == 0
    said = capsys.readouterr().err
    assert "imputing: compatible, m chosen by a pilot, seed 1" in said
    assert "was chosen after a pilot of 20" in said
    record = json.loads((place / "out" / "run.json").read_text())
    assert record["imputation"]["m"] >= 20
    assert len(record["fits"]) == record["imputation"]["m"]


@pytest.mark.parametrize(
    ("keys", "where", "said"),
    [
        ({"idvars": ["g"]}, "idvars", "no key that is known here"),
        ({"isolate": True}, "isolate", "runs no R"),
        ({"model": "y ~ x"}, "model", "is what [model] has"),
        ({"rhat": 1}, "rhat", "must be a number above 1"),
        ({"max_iter": 5}, "max_iter", "a whole number of at least 25"),
        ({"types": "count"}, "types", "must be a table of columns"),
        ({"types": {"z": "poisson"}}, "types", 'has "z", whose value must be one of'),
        ({"bounds": {"z": [0]}}, "bounds", "must be a list of two numbers"),
        ({"levels": {"z": 1}}, "levels", "must be a text"),
        ({"derived": {"z": ["sum", "x", "g"]}}, "derived", 'must be ["mean", column, group]'),
        ({"transforms": {"q": "log"}}, "transforms", 'names "q", which is no column'),
        ({"auxiliary": ["q"]}, "auxiliary", 'names "q", which is no column'),
        ({"family": "binomial", "m": None}, "m", "is missing: a whole number"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_mistakes_in_the_arguments_of_the_compatible_engine(
    place: Path, keys: dict[str, Any], where: str, said: str
) -> None:
    job = write(place, changed(imputation={**COMPATIBLE, **keys}))
    found = mistakes_of(job)
    assert said in found[f"imputation.{where}"]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"levels": {"x": "g"}}, "column 'x' is to have one value in each group of 'g'"),
        ({"levels": {"x": "school"}}, "levels gives 'x' 'school'"),
        ({"derived": {"z": "system('false')"}}, "system"),
        ({"derived": {"z": ["mean", "w", "g"]}}, "no column 'w'"),
    ],
    ids=["refused", "no factor", "code", "no column"],
)
def test_what_the_plan_refuses_is_told_before_any_work(
    place: Path, keys: dict[str, Any], said: str
) -> None:
    found = mistakes_of(write(place, changed(imputation={**COMPATIBLE, **keys})))
    assert said in found["imputation"]


MICE: dict[str, Any] = {
    "engine": "mice",
    "idvars": None,
    "maxit": 2,
    "method": {"x": "2l.lmer", "z": "pmm"},
    "predictorMatrix": {"x": {"g": -2, "y": 2}, "z": {"g": 0}},
    "post": {"x": "imp[[j]][, i] <- squeeze(imp[[j]][, i], c(-1, 1))"},
    "visitSequence": ["z", "x"],
    "blots": {"z": {"donors": 3}},
}


def test_a_job_may_impute_by_mice(place: Path) -> None:
    """The same data sets as the call."""
    done = run_job(write(place, changed(imputation=MICE, output={"imputed": True})))
    long = pd.read_csv(done.folder / "imputed.csv")
    imp = rb.MiceImputer(
        2,
        maxit=2,
        method=MICE["method"],
        predictor_matrix=MICE["predictorMatrix"],
        post=MICE["post"],
        visit_sequence=["z", "x"],
        blots=MICE["blots"],
    ).impute(pd.read_csv(place / "d.csv", dtype={"g": str, "z": "Int64"}), seed=1)
    for number, frame in enumerate(imp, 1):
        theirs = long[long.iloc[:, 0] == number]
        np.testing.assert_array_equal(theirs["x"], frame["x"])
        np.testing.assert_array_equal(theirs["z"], frame["z"])


@pytest.mark.parametrize(
    ("keys", "where", "said"),
    [
        ({"method": {"x": 1}}, ".method", "must be a text"),
        ({"method": 3}, ".method", "must be a list of methods"),
        ({"predictorMatrix": {"x": {"g": "class"}}}, ".predictorMatrix", "must be a whole number"),
        ({"defaultMethod": ["pmm"]}, ".defaultMethod", "must be a list of 4 texts"),
        ({"blocks": [1]}, ".blocks", "must be a table of columns"),
        ({"blots": {"x": {"ums": [1, "a"]}}}, ".blots", "a number, a text, true or false"),
        ({"where": "some"}, ".where", "must be one of"),
        ({"ignore": [True]}, ".ignore", "has a value for each row"),
        ({"seed": "x"}, ".seed", "must be a whole number"),
        ({"seed": None}, ".seed", "is missing"),
        ({"printFlag": True}, ".printFlag", "prints"),
        ({"data.init": 1}, ".data.init", "is a frame"),
        ({"donor": 3}, ".donor", "did you mean 'donors'?"),
        ({"predictorMatrix": None}, "", "2l.lmer needs one class"),
        ({"method": {"q": "pmm"}}, "", "method names 'q'"),
    ],
    ids=str,
)
def test_mistakes_in_the_arguments_of_mice(
    place: Path, keys: dict[str, Any], where: str, said: str
) -> None:
    found = mistakes_of(write(place, changed(imputation={**MICE, **keys})))
    assert said in found[f"imputation{where}"]


def test_a_job_may_not_run_code_by_mice(place: Path) -> None:
    plain = dict.fromkeys(("method", "predictorMatrix", "visitSequence", "blots"))
    for keys in (
        {"post": {"x": "system('touch PWNED')"}},
        {**plain, "method": {"x": "~ I(system('touch PWNED'))"}},
        {**plain, "formulas": {"x": "x ~ system('touch PWNED')"}},
    ):
        with pytest.raises(rb.RBridgeError, match=r"system|must assign"):
            run_job(write(place, changed(imputation={**MICE, **keys})))
        assert not [*place.rglob("PWNED")] and not Path("PWNED").exists()


def test_a_job_may_derive_columns(place: Path) -> None:
    """As R expressions and group means; their values are those of the completed columns."""
    frame = data_frame()
    mean = frame.groupby("g")["x"].transform("mean")
    frame.assign(square=frame["x"] ** 2, mean=mean).to_csv(place / "d.csv", index=False)
    columns = {**JOB["data"]["columns"], "square": "float", "mean": "float"}
    derived = {"square": "x^2", "mean": ["mean", "x", "g"]}
    job = changed(
        data={"columns": columns},
        imputation={**COMPATIBLE, "derived": derived},
        model={"formula": "y ~ x + square + mean + (1 | g)"},
        output={"imputed": True},
    )
    done = run_job(write(place, job))
    long = pd.read_csv(done.folder / "imputed.csv")
    np.testing.assert_allclose(long["square"], long["x"] ** 2)
    means = long.groupby([long.columns[0], "g"])["x"].transform("mean")
    np.testing.assert_allclose(long["mean"], means)


@pytest.mark.parametrize(
    "keys",
    [
        {"clus": "g", "Y": ["x", "z"], "X": ["y"], "l1cov.prior": [[2.0, 0.5], [0.5, 1.0]],
         "meth": "random", "a_prior": 4},
        {"model": "y ~ x + (1 | g)", "auxiliary": ["z"], "levels": {"z": ""}, "scale": False},
    ],
    ids=["joint", "model"],
)  # fmt: skip
def test_a_job_may_impute_by_jomo(place: Path, keys: dict[str, Any]) -> None:
    """The data sets of a call with the same arguments."""
    engine = {"engine": "jomo", "idvars": None, "nburn": 10, "nbetween": 5, **keys}
    job = changed(imputation=engine, output={"imputed": True})
    done = run_job(write(place, job))
    arguments = {name.replace(".", "_"): value for name, value in keys.items()}
    if "levels" in arguments:
        arguments["levels"] = {"z": None}
    imputer = rb.JomoImputer(2, nburn=10, nbetween=5, **arguments)
    with pytest.warns(rb.RBridgeWarning, match="z: Int64 became Float64"):
        imp = imputer.impute(data_frame(), seed=1)
    long = pd.read_csv(done.folder / "imputed.csv", dtype=str)
    for i, part in enumerate(imp, start=1):
        rows = long[long.iloc[:, 0] == str(i)]
        assert doubles(rows["x"]).tolist() == part["x"].tolist()


@pytest.mark.parametrize(
    ("keys", "key", "said"),
    [
        ({"Y": ["gone"]}, "imputation.Y", "gone"),
        ({"clus": "g", "meth": "wild"}, "imputation.meth", "common"),
        ({"nburn": 0}, "imputation.nburn", "whole number"),
        ({"l1cov.prior": 3}, "imputation.l1cov.prior", "rows"),
        ({"output": 1}, "imputation.output", "prints"),
        ({"Y": ["x"], "l1cov.prior": [[-1.0]]}, "imputation", "covariances"),
        ({"auxiliary": ["x"]}, "imputation", "needs model="),
    ],
)
def test_mistakes_in_the_arguments_of_jomo(
    place: Path, keys: dict[str, Any], key: str, said: str
) -> None:
    found = mistakes_of(
        write(place, changed(imputation={"engine": "jomo", "idvars": None, **keys}))
    )
    assert said in found[key]


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
