"""Files of Stata and SPSS, by haven, foreign and pyreadstat, and read again by them."""

from __future__ import annotations

import datetime as dt
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyreadstat
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor

from .conftest import run_r
from .same import assert_same, values_of

pytestmark = pytest.mark.r

TIMES = "datetime64[ms]"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    run_r(Path(__file__).with_name("stata_spss.R"), folder)
    return folder


@pytest.fixture(scope="module")
def truth(files: Path) -> list[pd.DataFrame]:
    """The data with their holes and the completed ones, from R's memory."""
    value = (
        rdoor.call_object("base::readRDS", str(files / "truth.rds")).call("base::identity").value
    )
    frames = [value["original"], *value["completed"]]
    for frame in frames:
        codes = frame["sex"].map({1.0: "male", 2.0: "female"})
        frame["sex"] = pd.Categorical(codes, ["male", "female"])
    return frames


def check(imp: rb.ImputedData, truth: list[pd.DataFrame], *, empty: bool) -> None:
    assert imp.m == 3
    for frame, other in zip([imp.original, *imp], truth, strict=True):
        if not empty:  # Stata has one for empty and missing text
            other = other.assign(name=other["name"].where(other["name"] != "", None))
        assert_same(frame[other.columns], other)
    assert imp.settings["labels"] == {"x": "A number", "sex": "Sex of the person"}
    assert imp.notes[0] == "score: some of its values have labels, and others none: numbers"
    dtypes = imp[0].dtypes
    assert (str(dtypes["age"]), str(dtypes["x"])) == ("int64", "float64")
    assert isinstance(imp.original.index, pd.RangeIndex)


@pytest.mark.parametrize("layout", ["flong", "mlong", "wide", "ice"])
def test_layouts_of_stata(files: Path, truth: list[pd.DataFrame], layout: str) -> None:
    imp = rb.read_imputed(files / f"{layout}.dta")
    assert imp.method == "stata"
    check(imp, truth, empty=False)
    packed = files / f"{layout}.dta.gz"
    packed.write_bytes(gzip.compress((files / f"{layout}.dta").read_bytes()))
    assert rb.read_imputed(packed) == imp


def test_a_file_for_each_data_set(files: Path, truth: list[pd.DataFrame]) -> None:
    paths = [files / f"_{i}_sep.dta" for i in (1, 2, 3)]
    imp = rb.read_imputed(paths, original=files / "sep.dta")
    assert [x["x"].tolist() for x in imp] == [x["x"].tolist() for x in truth[1:]]
    assert values_of(imp.original["x"]) == values_of(truth[0]["x"])
    # The second has its rows backwards: _mi_id tells them apart.
    assert imp.original.index.tolist() == list(range(1, 21))
    again = rb.read_imputed(paths)
    assert [x.equals(y) for x, y in zip(again, imp, strict=True)] == [True] * 3


def test_names_of_your_own(files: Path, truth: list[pd.DataFrame]) -> None:
    imp = rb.read_imputed(files / "own.dta", imp="number", id="person")
    check(imp, truth, empty=False)
    with pytest.raises(rb.ArgumentError, match="did you mean 'person'"):
        rb.read_imputed(files / "own.dta", imp="number", id="persons")
    with pytest.raises(rb.ArgumentError, match=r"known name.*imp=.*'number', 'person'"):
        rb.read_imputed(files / "own.dta")


def test_an_old_file_of_foreign(files: Path, truth: list[pd.DataFrame]) -> None:
    imp = rb.read_imputed(files / "old.dta")
    for frame, other in zip([imp.original, *imp], truth, strict=True):
        assert_same(frame, other[["x", "age", "sex"]])
    assert imp.settings == {}


def test_numbers_instead_of_labels(files: Path) -> None:
    for name in ("flong.dta", "spss.sav"):
        imp = rb.read_imputed(files / name, value_labels=False)
        assert set(imp[0]["sex"]) == {1.0, 2.0}


def test_extended_missing_values_of_stata(files: Path) -> None:
    assert np.isnan(rb.read_imputed(files / "tagged.dta").original["x"][0])


def test_a_layout_that_contradicts_itself(files: Path) -> None:
    with pytest.raises(rb.RBridgeError, match="2: sex, x; 3: age, sex, x"):
        rb.read_imputed(files / "wide_broken.dta")


@pytest.mark.parametrize("name", ["spss.sav", "spss.zsav"])
def test_spss(files: Path, truth: list[pd.DataFrame], name: str) -> None:
    imp = rb.read_imputed(files / name)
    check(imp, truth, empty=True)
    assert imp.method == "spss"
    # Those that SPSS's user calls missing are, and their labels are no categories.
    assert imp[0]["answer"].tolist()[:2] == ["no", "yes"]
    assert imp[0]["answer"].isna().tolist()[:4] == [False, False, True, True]
    assert list(imp[0]["answer"].cat.categories) == ["no", "yes"]


def test_spss_without_the_data_with_holes(files: Path, truth: list[pd.DataFrame]) -> None:
    imp = rb.read_imputed(files / "without.sav")
    assert [x["x"].tolist() for x in imp] == [x["x"].tolist() for x in truth[1:]]
    assert imp.original["x"].isna().sum() == 3


def test_rows_that_cant_be_told_apart(files: Path) -> None:
    with pytest.raises(rb.ArgumentError, match=r"imputation 2 has .* where the data with"):
        rb.read_imputed(files / "shuffled.sav")
    with pytest.raises(rb.ArgumentError, match="0: 20, 1: 19, 2: 20, 3: 20"):
        rb.read_imputed(files / "short.sav")
    with pytest.raises(rb.ArgumentError, match="score 0, 1, 7, 99 stands more than once"):
        rb.read_imputed(files / "shuffled.sav", imp="Imputation_", id="score")
    by_name = rb.read_imputed(files / "shuffled.sav", id="name")
    assert by_name[1].equals(rb.read_imputed(files / "spss.sav", id="name")[1])


# -- writing ---------------------------------------------------------------------------------


@pytest.fixture
def imp() -> rb.ImputedData:
    frame = pd.DataFrame(
        {
            "x": [0.1, None, -0.0, 1e300],
            "n": pd.array([1, None, 3, 2**40], dtype="Int64"),
            "small": [1, 2, 3, -4],
            "flag": pd.array([True, None, False, True], dtype="boolean"),
            "kind": pd.Categorical(["b", None, "a", "b"], ["b", "a", "never"]),
            "grade": pd.Categorical(["lo", "hi", "lo", "lo"], ["lo", "hi"], ordered=True),
            "text": ["é", "b", "c" * 3000, "d"],
            "day": [dt.date(1959, 12, 31), dt.date(2020, 2, 29), dt.date(1700, 10, 15), None],
            "at": np.array(
                ["2020-01-01T00:00:00.123", "1950-01-01", "2200-01-01", "NaT"], "M8[ms]"
            ),
        }
    )
    frame["text"] = frame["text"].astype(object)
    filled = [
        frame.fillna({"x": x, "n": n, "flag": flag, "kind": kind})
        for x, n, flag, kind in ((5e-324, 7, True, "a"), (2.5, -8, False, "b"))
    ]
    return rb.ImputedData.from_frames(filled, original=frame)


STATA = 'use "{}", clear\nmi import flong, m(imp_) id(id_) imputed(x n flag kind day at) clear\n'


def test_stata_again(
    imp: rb.ImputedData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = imp.to_stata(tmp_path / "x.dta", labels={"x": "A number", "text": "Ein Täxt"})
    assert capsys.readouterr().out == STATA.format(path)
    again = rb.read_imputed(path)
    assert again.settings["labels"] == {"x": "A number", "text": "Ein Täxt"}
    for frame, other in zip([again.original, *again], [imp.original, *imp], strict=True):
        # Stata has no order of categories, and for truth values numbers.
        other = other.assign(grade=other["grade"].cat.as_unordered())
        truths = other["flag"].astype("Int64")
        # Whole numbers have room for holes; n, beyond Stata's long, is among its doubles.
        expected = "Int64" if frame["flag"].isna().any() else "int64"
        assert (str(frame["flag"].dtype), str(frame["n"].dtype)) == (expected, "float64")
        assert_same(frame.astype({"n": "Int64", "flag": "Int64"}), other.assign(flag=truths))
    theirs = rdoor.call_object("haven::read_dta", str(path))
    names = theirs.call("base::names").value
    assert list(names[:2]) == ["imp_", "id_"]
    x = theirs.call("base::[[", "x").value
    assert values_of(pd.Series(np.asarray(x))) == values_of(
        pd.concat([imp.original["x"], imp[0]["x"], imp[1]["x"]])
    )
    # A second time with what the file said.
    assert rb.read_imputed(again.to_stata(tmp_path / "y.dta")) == again


def test_capitals_are_no_matter_to_spss(imp: rb.ImputedData, tmp_path: Path) -> None:
    expected = rb.read_imputed(imp.to_spss(tmp_path / "x.sav"))
    frame, _ = pyreadstat.read_sav(tmp_path / "x.sav", disable_datetime_conversion=True)
    numbers = frame[["Imputation_", "id_", "x"]].rename(columns={"Imputation_": "IMPUTATION_"})
    pyreadstat.write_sav(numbers, tmp_path / "y.sav")
    again = rb.read_imputed(tmp_path / "y.sav")
    assert [x["x"].tolist() for x in again] == [x["x"].tolist() for x in expected]


def test_spss_again(imp: rb.ImputedData, tmp_path: Path) -> None:
    path = imp.to_spss(tmp_path / "x.sav", labels={"x": "A number"})
    again = rb.read_imputed(path)
    assert again.settings["labels"] == {"x": "A number"}
    for frame, other in zip([again.original, *again], [imp.original, *imp], strict=True):
        truths = other["flag"].astype("Int64")
        assert_same(frame.astype({"n": "Int64", "flag": "Int64"}), other.assign(flag=truths))
    frame, meta = pyreadstat.read_sav(path)
    assert list(frame.columns[:2]) == ["Imputation_", "id_"]
    assert meta.variable_measure["grade"] == "ordinal"
    assert meta.variable_value_labels["kind"] == {1.0: "b", 2.0: "a", 3.0: "never"}
    x = rdoor.call_object("haven::read_sav", str(path)).call("base::[[", "x").value
    assert np.asarray(x)[4:8].tolist() == imp[0]["x"].tolist()
    assert rb.read_imputed(again.to_spss(tmp_path / "y.sav")) == again


REFUSED = {
    "a name with a blank": ({"a b": [1.0]}, "column 'a b'"),
    "a digit first": ({"1a": [1.0]}, "column '1a'"),
    "infinite": ({"a": [np.inf]}, "column 'a' holds"),
    "a large integer": ({"a": [2**53 + 1]}, r"column 'a' holds integers beyond 2\*\*53"),
    "a zone": ({"a": pd.to_datetime(["2020-01-01"]).tz_localize("UTC")}, "times with a zone"),
    "a duration": ({"a": pd.to_timedelta(["1s"])}, "column 'a' has dtype timedelta"),
    "a NUL": ({"a": ["x\0y"]}, "column 'a' holds a"),
    "bytes": ({"a": [b"x"]}, "column 'a' has dtype object"),
    "fine times": ({"a": np.array(["2020-01-01T00:00:00.000000001"], "M8[ns]")}, "times finer"),
}
ONLY = {
    "to_stata": {
        "a reserved word": ({"using": [1.0]}, "column 'using'"),
        "a long name": ({"a" * 33: [1.0]}, "up to 32"),
        "mi's own": ({"_mi_x": [1.0]}, "column '_mi_x'"),
        "empty and missing text": ({"a": ["", None]}, "empty texts and missing ones"),
        "too large": ({"a": [1.1e308]}, "beyond the largest of Stata's"),
    },
    "to_spss": {
        "a reserved word": ({"With": [1.0]}, "column 'With'"),
        "a point last": ({"a.": [1.0]}, "column 'a.'"),
        "two of one name": ({"a": [1.0], "A": [2.0]}, "columns 'a' and 'A' have one name"),
        "missing text": ({"a": ["x", None]}, "missing texts"),
        "a blank last": ({"a": ["x "]}, "blanks at its end"),
        "a long category": ({"a": pd.Categorical(["x" * 121])}, "more than 120 bytes"),
    },
}


@pytest.mark.parametrize("method", ["to_stata", "to_spss"])
def test_what_cant_be_written(tmp_path: Path, method: str) -> None:
    path = tmp_path / "x"
    for what, (columns, text) in {**REFUSED, **ONLY[method]}.items():
        frame = pd.DataFrame(columns)
        imp = rb.ImputedData.from_frames([frame, frame], original=frame)
        with pytest.raises(rb.EncodingError, match=text):
            getattr(imp, method)(path)
        assert not list(tmp_path.iterdir()), what
    frame = pd.DataFrame({"x": [1.0, None], "y": [1.0, 2.0]})
    other = frame.fillna(5.0).assign(y=[1.0, 9.0])
    imp = rb.ImputedData.from_frames([frame.fillna(4.0), other], original=frame)
    with pytest.raises(rb.ArgumentError, match=rf"imputation 2 has 9.0 in column 'y'.*{method}"):
        getattr(imp, method)(path)
    good = rb.ImputedData.from_frames([frame.fillna(4.0), frame.fillna(3.0)], original=frame)
    with pytest.raises(rb.ArgumentError, match="labels names 'z'"):
        getattr(good, method)(path, labels={"z": "?"})
    with pytest.raises(rb.ArgumentError, match="labels must be"):
        getattr(good, method)(path, labels={"x": 1})
    samples = rb.BootstrapImputer(m=2).impute(frame.fillna(0.0), seed=1)
    with pytest.raises(rb.ArgumentError, match="bootstrap samples"):
        getattr(samples, method)(path)
    assert not list(tmp_path.iterdir())


def with_index(index: Any) -> rb.ImputedData:
    frame = pd.DataFrame({"x": [1.0, None, 3.0], "y": [1, 2, 3]}, index=index)
    return rb.ImputedData.from_frames([frame.fillna(5.0), frame.fillna(6.0)], original=frame)


def test_row_labels_that_cant_be_read_again_are_numbered(tmp_path: Path) -> None:
    levels = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)])
    for index in ([1, 1, 2], [-1, 0, 1], levels, pd.Index(["a", 1, 2], dtype=object)):
        imp = with_index(index)
        for path in (imp.to_stata(tmp_path / "x.dta"), imp.to_spss(tmp_path / "x.sav")):
            again = rb.read_imputed(path)
            assert again[0].index.equals(pd.RangeIndex(3))
            assert [x["x"].tolist() for x in again] == [[1, 5, 3], [1, 6, 3]]
            assert again.original["x"].isna().tolist() == [False, True, False]
    assert rb.read_imputed(with_index([7, 3, 5]).to_stata(tmp_path / "x.dta"))[0].loc[7, "y"] == 1


def test_words_of_mata_are_names_to_stata(tmp_path: Path) -> None:
    frame = pd.DataFrame({"NULL": [1, 2], "class": ["a", "b"], "end": [1.0, None]})
    imp = rb.ImputedData.from_frames([frame.fillna(1.0), frame.fillna(2.0)], original=frame)
    path = imp.to_stata(tmp_path / "x.dta")
    assert list(rb.read_imputed(path)[0].columns) == ["NULL", "class", "end"]
    names = rdoor.call_object("haven::read_dta", str(path)).call("base::names").value
    assert list(names) == ["imp_", "id_", "NULL", "class", "end"]


def test_paths_that_are_commands_to_stata(tmp_path: Path) -> None:
    for name in ("a\n!rm.dta", "a`b'.dta", "a$b.dta", 'a"b.dta', "a\r.dta"):
        with pytest.raises(rb.EncodingError, match="no mere letter in Stata's commands"):
            with_index(None).to_stata(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_empty_texts_are_missing_to_stata(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.0, None], "text": ["", "b"]})
    imp = rb.ImputedData.from_frames([frame.fillna(1.0), frame.fillna(2.0)], original=frame)
    with pytest.warns(rb.RBridgeWarning, match="column 'text' holds empty texts"):
        imp.to_stata(tmp_path / "x.dta")


def test_text_where_stata_says_which_rows_had_holes(tmp_path: Path) -> None:
    columns = {
        "_mi_m": [0, 0, 1],
        "_mi_id": [1, 2, 1],
        "_mi_miss": ["a", "b", ""],
        "x": [None, 2, 1],
    }
    pyreadstat.write_dta(pd.DataFrame(columns), tmp_path / "x.dta")
    with pytest.raises(rb.RBridgeError, match="_mi_miss must be 0 or 1"):
        rb.read_imputed(tmp_path / "x.dta")
