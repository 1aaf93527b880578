"""Data of jobs: each type's texts, marks, encodings, formats, and mistakes before any work."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rbridge_mi.jobs import check_job, run_job
from rbridge_mi.jobs.data import read_data
from rbridge_mi.jobs.spec import ColumnSpec, DataSpec
from rbridge_mi.jobs.values import Mistakes
from tests.jobs.job_files import JOB, changed, data_frame, mistakes_of, parsed, toml, write

pytestmark = [pytest.mark.r, pytest.mark.slow]


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
