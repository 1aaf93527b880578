"""CSV, Parquet and Feather: one file of all data sets or one for each."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb

from .same import assert_same, values_of


@pytest.fixture
def imp() -> rb.ImputedData:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(
        {
            "x": rng.normal(size=30) / 3,
            "n": pd.array(rng.integers(0, 900, 30), dtype="Int64"),
            "id_number": rng.integers(2**53, 2**62, 30),
            "text": [f"ü,{i}\n" for i in range(30)],
            "flag": rng.integers(0, 2, 30) == 1,
        }
    )
    holes = frame.copy()
    holes.loc[[3, 7, 8], "x"] = None
    holes.loc[[3, 29], "n"] = None
    filled = [
        holes.fillna({"x": rng.normal(), "n": int(rng.integers(900))}).astype({"n": "int64"})
        for _ in range(3)
    ]
    return rb.ImputedData.from_frames(filled, original=holes)


def write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".feather":
        frame.to_feather(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in path.name else ",")
    return path


@pytest.mark.parametrize("end", [".csv", ".csv.gz", ".tsv", ".parquet", ".feather"])
def test_one_file(imp: rb.ImputedData, tmp_path: Path, end: str) -> None:
    path = write(imp.to_long(include=True), tmp_path / f"long{end}")
    again = rb.read_imputed(path)
    assert again == imp
    assert again.method == {".gz": "csv", ".tsv": "csv"}.get(path.suffix, path.suffix[1:])
    renamed = imp.to_long(include=True, imp="m", id="case")
    path = write(renamed.sample(frac=1, random_state=1), tmp_path / f"renamed{end}")
    assert rb.read_imputed(path, imp="m", id="case") == imp
    assert rb.ImputedData.from_long(renamed, "m", "case") == rb.ImputedData.from_long(
        imp.to_long(include=True)
    )


@pytest.mark.parametrize("end", [".csv", ".csv.gz", ".parquet", ".feather"])
def test_a_file_for_each(imp: rb.ImputedData, tmp_path: Path, end: str) -> None:
    paths = [write(x, tmp_path / f"imp{i}{end}") for i, x in enumerate(imp)]
    holes = write(imp.original, tmp_path / f"holes{end}")
    assert rb.read_imputed(paths, original=holes) == imp
    without = rb.read_imputed([str(x) for x in paths])
    assert all(x.equals(y) for x, y in zip(without, imp, strict=True))
    assert without.original["x"].isna().sum() == 3
    unnamed = [x.rename(tmp_path / f"unnamed{i}") for i, x in enumerate(paths)]
    assert rb.read_imputed(unnamed, end.split(".")[1])[2].equals(imp[2])
    with pytest.raises(rb.ArgumentError, match=r"doesn't say.*format='csv' or 'parquet'"):
        rb.read_imputed(unnamed)


def test_labels_of_rows(imp: rb.ImputedData, tmp_path: Path) -> None:
    named = imp.transform(lambda d: d.set_axis([f"row {i}" for i in range(30)], axis=0))
    paths = [tmp_path / f"{i}.parquet" for i in range(3)]
    for path, frame in zip(paths, named, strict=True):
        frame.to_parquet(path)
    assert rb.read_imputed(paths)[1].index.tolist() == named[1].index.tolist()
    for i, frame in enumerate(named):
        shuffled = frame.rename_axis("who").reset_index().sample(frac=1, random_state=i)
        shuffled.to_csv(tmp_path / f"{i}.csv", index=False)
    again = rb.read_imputed([tmp_path / f"{i}.csv" for i in range(3)], id="who")
    assert [x.loc["row 3", "x"] for x in again] == [x.loc["row 3", "x"] for x in named]
    assert [x.loc["row 3", "text"] for x in again] == ["ü,3\n"] * 3
    with pytest.raises(rb.ArgumentError, match=r"column 'flag' is missing or the same"):
        rb.read_imputed([tmp_path / "0.csv", tmp_path / "1.csv"], id="flag")


@pytest.mark.r
def test_what_r_writes(r_files: Path) -> None:
    mids = rb.read_imputed(r_files / "mids.rds")
    long = rb.read_imputed(r_files / "long.csv")
    assert long.notes[0].startswith("the first column of the file, which has no name")
    completed = rb.read_imputed(r_files / "completed.csv.gz")
    for imp in (long, completed):
        for ours, theirs in zip(imp, mids, strict=True):
            assert list(ours.columns) == list(theirs.columns)
            assert ours["age"].equals(theirs["age"])
            assert ours["grp"].tolist() == theirs["grp"].tolist()
    # write.csv writes 15 digits of a number; these are read as Python reads them.
    with (r_files / "long.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row[".imp"] == "2"]
    assert long[1]["x"].tolist() == [float(row["x"]) for row in rows]
    assert long.original["age"].isna().sum() == 3


def test_numbers_are_read_exactly(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    numbers = rng.integers(0, 2**63 - 1, 40_000).view(np.float64)
    numbers = numbers[np.isfinite(numbers)]
    frame = pd.DataFrame({".imp": 1, ".id": np.arange(len(numbers)) + 1, "x": numbers})
    frame.to_csv(tmp_path / "x.csv", index=False)
    assert values_of(rb.read_imputed(tmp_path / "x.csv")[0]["x"]) == values_of(frame["x"])


def test_whole_numbers_with_holes_are_integers(tmp_path: Path) -> None:
    text = ".imp,.id,a,b,c,d\n0,1,842.0,1.5,,NA\n0,2,,,,None\n1,1,842.0,1.5,,x\n1,2,7,2.5,,None\n"
    (tmp_path / "x.csv").write_text(text)
    imp = rb.read_imputed(tmp_path / "x.csv")
    assert str(imp[0]["a"].dtype) == "int64"
    assert str(imp.original["a"].dtype) == "Int64"
    assert str(imp.original["b"].dtype) == "float64"
    assert imp[0]["c"].isna().all()
    assert imp[0]["d"].tolist() == ["x", "None"]  # a word, not a missing value


def test_arrow_types(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            ".imp": [0, 0, 1, 1],
            ".id": [1, 2, 1, 2],
            "n": pd.array([None, 2**60 + 1, 5, 2**60 + 1], dtype="Int64"),
            "k": pd.Categorical(["b", None, "b", "a"], ["b", "a", "c"], ordered=True),
            "t": pd.to_datetime(["2020-01-01", None] * 2).tz_localize("Europe/Berlin"),
            "f": pd.array([True, None, True, False], dtype="boolean"),
        }
    )
    for name in ("x.parquet", "x.feather"):
        imp = rb.read_imputed(write(frame, tmp_path / name))
        assert imp[0]["n"].tolist() == [5, 2**60 + 1]
        assert str(imp[0]["n"].dtype) == "int64"
        assert imp[0]["k"].cat.ordered
        assert list(imp[0]["k"].cat.categories) == ["b", "a", "c"]
        assert str(imp[0]["t"].dt.tz) == "Europe/Berlin"
        assert str(imp[0]["f"].dtype) == "bool"
        assert_same(imp.original, frame.iloc[:2, 2:])


def test_rows_and_columns_that_dont_match(imp: rb.ImputedData, tmp_path: Path) -> None:
    a, b = (write(imp[i], tmp_path / f"{i}.csv") for i in (0, 1))
    short = write(imp[1].head(29), tmp_path / "short.csv")
    with pytest.raises(rb.ArgumentError, match=r"short.csv has other rows .*\(29 and 30\)"):
        rb.read_imputed([a, short])
    other = write(imp[1].drop(columns="n"), tmp_path / "other.csv")
    with pytest.raises(rb.ArgumentError, match="other columns than"):
        rb.read_imputed([a, other])
    moved = write(imp[1].iloc[::-1], tmp_path / "moved.csv")
    holes = write(imp.original, tmp_path / "holes.csv")
    with pytest.raises(rb.ArgumentError, match=r"moved.csv has .* where the data with their holes"):
        rb.read_imputed([a, moved], original=holes)
    assert rb.read_imputed([a, b], original=holes).m == 2


def test_from_long_without_a_column_of_rows() -> None:
    long = pd.DataFrame({"m": [0, 0, 2, 2, 1, 1], "x": [1.0, None, 1.0, 9.0, 1.0, 8.0]})
    imp = rb.ImputedData.from_long(long, imp="m", id=None)
    assert [x["x"].tolist() for x in imp] == [[1.0, 8.0], [1.0, 9.0]]
    with pytest.raises(rb.ArgumentError, match=r"imputation 1 has 7\.0 in column 'x' of row 0"):
        rb.ImputedData.from_long(long.assign(x=[1.0, None, 1, 9, 7, 8]), imp="m", id=None)
    with pytest.raises(rb.ArgumentError, match=r"several numbers of rows \(by m, 0: 2, 1: 1, 2: 2"):
        rb.ImputedData.from_long(long.head(5), imp="m", id=None)
    with pytest.raises(rb.ArgumentError, match="imp and id are both 'm'"):
        rb.ImputedData.from_long(long, imp="m", id="m")
    with pytest.raises(rb.ArgumentError, match="imp must be the name"):
        rb.ImputedData.from_long(long, imp=0, id=None)  # type: ignore[arg-type]
    with pytest.raises(rb.ArgumentError, match=r"no column 'id'.*its columns are 'm', 'x'"):
        rb.ImputedData.from_long(long, imp="m", id="id")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no such column": ({"imp": "imp"}, "imp names 'imp'.*did you mean '.imp'"),
    "no such row": ({"id": "nobody"}, "id names 'nobody'"),
    "another format": ({"format": "excel"}, "format must be one of csv, parquet"),
    "labels": ({"value_labels": 1}, "value_labels must be True or False"),
    "trust": ({"trust": None}, "trust must be True, False or"),
    "holes": ({"original": 5}, "path must be the name of a file, not 5"),
}


@pytest.mark.parametrize("what", list(WRONG))
def test_arguments(imp: rb.ImputedData, tmp_path: Path, what: str) -> None:
    arguments, text = WRONG[what]
    path = write(imp.to_long(), tmp_path / "x.csv")
    with pytest.raises(rb.ArgumentError, match=text):
        rb.read_imputed(path, **arguments)


def test_paths(imp: rb.ImputedData, tmp_path: Path) -> None:
    path = write(imp.to_long(), tmp_path / "x.csv")
    wrong: Any
    for wrong in (None, 5, b"x.csv", [], {"a": 1}):
        with pytest.raises(rb.ArgumentError, match="path must be"):
            rb.read_imputed(wrong)
    with pytest.raises(rb.ArgumentError, match="imp names the column"):
        rb.read_imputed([path], imp=".imp")
    with pytest.raises(rb.ArgumentError, match="original is for files of one data set"):
        rb.read_imputed(path, original=path)


def test_packed_and_not_named_so(imp: rb.ImputedData, tmp_path: Path) -> None:
    path = write(imp.to_long(), tmp_path / "x.csv")
    (tmp_path / "y.csv").write_bytes(gzip.compress(path.read_bytes()))
    assert rb.read_imputed(tmp_path / "y.csv") == rb.read_imputed(path)
    (tmp_path / "z.csv.gz").write_bytes(path.read_bytes())
    assert rb.read_imputed(tmp_path / "z.csv.gz") == rb.read_imputed(path)


def test_another_delimiter_or_encoding(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(".imp;.id;x\n1;1;2,5\n")
    with pytest.raises(rb.RBridgeError, match=r"delimiter is another than the comma.*sep="):
        rb.read_imputed(tmp_path / "x.csv")
    (tmp_path / "y.csv").write_bytes(".imp,.id,x\n1,1,é\n".encode("latin-1"))
    with pytest.raises(rb.RBridgeError, match="no text in UTF-8"):
        rb.read_imputed(tmp_path / "y.csv")
    (tmp_path / "z.csv").write_bytes(".imp,.id,x\n1,1,é\n".encode("utf-8-sig"))
    assert rb.read_imputed(tmp_path / "z.csv")[0]["x"].tolist() == ["é"]


def test_row_labels_that_stand_more_than_once(tmp_path: Path) -> None:
    a = pd.DataFrame({"x": [1.0, 2, 3, 4]}, index=[1, 1, 2, 2])
    a.to_parquet(tmp_path / "a.parquet")
    a.assign(x=[1.0, 2, 3, 5]).to_parquet(tmp_path / "b.parquet")
    imp = rb.read_imputed([tmp_path / "a.parquet", tmp_path / "b.parquet"])
    assert [x["x"].tolist() for x in imp] == [[1, 2, 3, 4], [1, 2, 3, 5]]
    assert imp[0].index.tolist() == [1, 1, 2, 2]
    a.iloc[[2, 3, 0, 1]].to_parquet(tmp_path / "c.parquet")
    with pytest.raises(rb.ArgumentError, match=r"c\.parquet has its rows in another order"):
        rb.read_imputed([tmp_path / "a.parquet", tmp_path / "c.parquet"])


def csv_files(folder: Path, *texts: str) -> list[Path]:
    paths = [folder / f"{i}.csv" for i in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return paths


def test_rows_with_more_cells_than_the_header(tmp_path: Path) -> None:
    for rows in ("1,10,100,\n2,20,200,\n", "1,10,100,3\n2,20,200\n", "1,10,100,,\n2,20,200,,\n"):
        paths = csv_files(tmp_path, "g,x,y\n" + rows, "g,x,y\n" + rows)
        with pytest.raises(rb.RBridgeError, match=r"0\.csv has 3 names of columns"):
            rb.read_imputed(paths)
    with pytest.raises(rb.RBridgeError, match="which cell is of which column"):
        rb.read_imputed(csv_files(tmp_path, "g,x\n0,5,\n1,5,\n"))  # as the index of pandas
    # As write.table writes row names: those that count the rows are pandas' own.
    with pytest.raises(rb.RBridgeError, match="which cell is of which column"):
        rb.read_imputed(csv_files(tmp_path, "g,x\n1,5,1\n1,5,2\n"))
    paths = csv_files(tmp_path, "g,x\n1,5,7\n2,6,NA\n", "g,x\n1,5,7\n2,6,8\n")
    imp = rb.read_imputed(paths)
    assert imp[1].to_dict("list") == {"g": [5, 6], "x": [7, 8]}
    assert imp[1].index.equals(pd.RangeIndex(2))
    assert "were taken for row names" in imp.notes[0]
    paths = csv_files(tmp_path, "g,x\na,5,7\nb,6,NA\n", "g,x\nb,6,8\na,5,7\n")
    assert rb.read_imputed(paths)[1].loc["b"].to_dict() == {"g": 6, "x": 8}


def test_identifiers_survive(tmp_path: Path) -> None:
    long = ".imp,.id,sch,k,y\n0,1,07,,\n0,2,7,9007199254740993,0.5\n1,1,07,5,02.5\n"
    [path] = csv_files(tmp_path, long + "1,2,7,9007199254740993,0.5\n")
    imp = rb.read_imputed(path)
    assert imp[0]["sch"].tolist() == ["07", "7"]
    assert imp[0]["k"].tolist() == [5, 2**53 + 1]
    assert imp.original["k"].dropna().tolist() == [2**53 + 1]
    assert imp[0]["y"].tolist() == [2.5, 0.5]
    assert imp.notes == ("sch: text, since some numbers begin with a zero (07)",)


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    paths = csv_files(tmp_path, "x,x,y\n1,2,3\n", "x,x,y\n1,2,4\n")
    with pytest.raises(rb.RBridgeError, match="columns of one name: 'x'"):
        rb.read_imputed(paths)


def test_a_number_of_a_data_set_that_is_absent(tmp_path: Path) -> None:
    [path] = csv_files(tmp_path, ".imp,.id,x\n0,1,\n1,1,5\n3,1,7\n")
    imp = rb.read_imputed(path)
    assert [x["x"].tolist() for x in imp] == [[5], [7]]
    assert imp.notes == ("the data sets are numbered 1, 3 by .imp: here they are 1, 2, ...",)


def test_rows_of_files_in_another_order(tmp_path: Path) -> None:
    same = "g,x\n" + "".join(f"{i},{i / 8}\n" for i in range(9))
    lines = same.splitlines()
    shuffled = "\n".join([lines[0], *reversed(lines[1:])]) + "\n"
    with pytest.raises(rb.ArgumentError, match=r"1\.csv has the values of column 'g' .* another"):
        rb.read_imputed(csv_files(tmp_path, same, shuffled))
    assert rb.read_imputed(csv_files(tmp_path, same, same.replace("1.0", "7.5"))).notes == ()
    [note] = rb.read_imputed(csv_files(tmp_path, "x\n1\n2\n", "x\n1\n3\n")).notes
    assert note.startswith("no column is the same in all files")


def test_errors_say_which_delimiter(tmp_path: Path) -> None:
    [path] = csv_files(tmp_path, "a;b\n1;2\n")
    with pytest.raises(rb.RBridgeError, match=r"pd\.read_csv\(sep=';'\)"):
        rb.read_imputed([path])
    [path] = csv_files(tmp_path, "a,b\n1,2\n1,2,3\n")
    with pytest.raises(rb.RBridgeError, match=r"saw 3\)\.$"):
        rb.read_imputed([path])


def test_truth_values_that_mice_made_numbers(tmp_path: Path) -> None:
    holes = "flag,n\nTrue,1\n,0\nFalse,1\n"
    paths = csv_files(tmp_path, holes, "flag,n\n1,1\n0,0\n0,1\n", "flag,n\n1,1\n1,0\n0,1\n")
    imp = rb.read_imputed(paths[1:], original=paths[0])
    assert [x["flag"].tolist() for x in imp] == [[True, False, False], [True, True, False]]
    assert str(imp[0]["flag"].dtype) == "bool"
    assert imp[0]["n"].tolist() == [1, 0, 1]
    paths = csv_files(tmp_path, holes, "flag,n\n1,1\n2,0\n0,1\n")
    with pytest.raises(rb.ArgumentError, match="column 'flag'"):
        rb.read_imputed(paths[1:], original=paths[0])


def test_a_long_text_in_a_cell(tmp_path: Path) -> None:
    text = "a" * 200_000
    paths = csv_files(tmp_path, f'x,t\n1,"{text}"\n', f'x,t\n2,"{text}"\n')
    assert rb.read_imputed(paths)[1]["t"].tolist() == [text]


def test_numbers_of_data_sets_in_the_index(imp: rb.ImputedData, tmp_path: Path) -> None:
    """As `pd.concat(frames, keys=...)` leaves them."""
    path = tmp_path / "long.parquet"
    imp.to_long().set_index([".imp", ".id"]).to_parquet(path)
    again = rb.read_imputed(path)
    assert again.m == imp.m
    for frame, other in zip(again, imp, strict=True):
        assert_same(frame, other)


def test_an_index_beside_columns(imp: rb.ImputedData, tmp_path: Path) -> None:
    path, long = tmp_path / "long.parquet", imp.to_long()
    # A level of it may be a column too, or have no name.
    for frame in (long.set_index([".imp", ".id"], drop=False),
                  long.set_index([".imp", pd.RangeIndex(len(long))])):  # fmt: skip
        frame.to_parquet(path)
        again = rb.read_imputed(path)
        assert again.m == imp.m
        for one, other in zip(again, imp, strict=True):
            assert_same(one, other)
    other = long.set_index(long[".imp"] + 1)
    other.to_parquet(path)
    with pytest.raises(rb.ArgumentError, match=r"'\.imp' as a column and in its index"):
        rb.read_imputed(path)


def test_delimiters_at_the_ends_of_all_lines(tmp_path: Path) -> None:
    """The column that they make has neither a name nor a cell."""
    for i, x in enumerate((1.5, 2.5), start=1):
        (tmp_path / f"{i}.csv").write_text(f"g,x,\n1,10.5,\n2,{x},\n")
    imp = rb.read_imputed([tmp_path / "1.csv", tmp_path / "2.csv"])
    assert list(imp[0].columns) == ["g", "x"]
    assert [frame["x"].tolist() for frame in imp] == [[10.5, 1.5], [10.5, 2.5]]
    assert any("no name and no cells" in note for note in imp.notes)
