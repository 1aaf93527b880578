"""R's objects in files, read without R: as the packages themselves complete the data."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor

from .same import assert_same

pytestmark = pytest.mark.r

INSISTS: Any = "despite CVE-2024-27322"


def in_r(path: Path) -> rdoor.RObject:
    return rdoor.call_object("base::readRDS", str(path))


@pytest.mark.parametrize("trust", [False, INSISTS])
@pytest.mark.parametrize(
    "name",
    ["mids", "mids_xz", "mids_bzip2", "mids_plain2", "mids_over", "mids_left", "mids_inside"],
)
def test_mids_as_mice_completes_it(r_files: Path, name: str, trust: Any) -> None:
    path = r_files / f"{name}.rds"
    imp, theirs = rb.read_imputed(path, trust=trust), in_r(path)
    assert imp.method == "mids"
    assert imp.m == theirs.call("base::[[", "m").value[0]
    for i, frame in enumerate(imp, start=1):
        assert_same(frame, theirs.call("mice::complete", i).value)
    holes = theirs.call("mice::complete", 0).value
    # Truth values with their holes: mice's completed ones are numbers.
    holes["flag"] = holes["flag"].astype("Float64")
    assert_same(imp.original, holes)
    assert isinstance(imp.original.index, pd.RangeIndex)


def test_mids_in_an_rda_file(r_files: Path) -> None:
    assert rb.read_imputed(r_files / "mids.rda") == rb.read_imputed(r_files / "mids.rds")
    assert rb.read_imputed(r_files / "mids.rda", trust=INSISTS) == rb.read_imputed(
        r_files / "mids.rds"
    )


def test_mids_joined_by_ibind(r_files: Path) -> None:
    """mice gives the imputations of both the names 1, 2, ...: they are taken by their places."""
    imp = rb.read_imputed(r_files / "mids_ibind.rds")
    parts = [*rb.read_imputed(r_files / "mids.rds"), *rb.read_imputed(r_files / "mids_more.rds")]
    assert imp.m == 5
    for frame, other in zip(imp, parts, strict=True):
        assert_same(frame, other)


def test_mids_in_ascii(r_files: Path) -> None:
    imp = rb.read_imputed(r_files / "mids_ascii.rds")
    for frame, other in zip(imp, rb.read_imputed(r_files / "mids.rds"), strict=True):
        # R writes 16 digits of a number there, of the 17 that tell all numbers apart.
        pd.testing.assert_frame_equal(frame, other, rtol=1e-15, atol=0)


def test_missing_numbers_are_plain_nan(r_files: Path) -> None:
    x = rb.read_imputed(r_files / "mids.rds").original["x"]
    bits = x[x.isna()].to_numpy().view(np.int64)
    assert bits.tolist() == [np.array(np.nan).view(np.int64).item()] * 4


def test_an_amelia_object_with_a_failed_chain(r_files: Path) -> None:
    imp = rb.read_imputed(r_files / "amelia_failed.rds")
    assert imp.notes[0] == "Amelia's chain 2 of 3 failed: it has no data set"
    whole = rb.read_imputed(r_files / "amelia.rds")
    assert imp.m == 2
    for frame, other in zip(imp, [whole[0], whole[2]], strict=True):
        assert_same(frame, other)


def test_types_are_those_that_r_has(r_files: Path) -> None:
    imp = rb.read_imputed(r_files / "mids.rds")
    dtypes = {name: str(x) for name, x in imp[0].dtypes.items()}
    text = dtypes.pop("school")
    assert text in ("str", "object")
    # Of truth values that it imputes mice makes numbers.
    assert dtypes == {
        "y": "float64", "x": "float64", "age": "int64", "grp": "category", "ord": "category",
        "flag": "float64", "when": "object", "at": "datetime64[us]",
    }  # fmt: skip
    assert str(imp.original["age"].dtype) == "Int64"
    assert list(imp[0]["grp"].cat.categories) == ["mid", "low", "höher", "never"]
    assert not imp[0]["grp"].cat.ordered
    assert imp[0]["ord"].cat.ordered
    assert imp[0]["when"][0] == dt.date(2020, 2, 28)


def test_amelia(r_files: Path) -> None:
    for name in ("amelia", "amelia_transformed"):
        imp, theirs = rb.read_imputed(r_files / f"{name}.rds"), in_r(r_files / f"{name}.rds")
        frames = theirs.call("base::[[", "imputations").value
        frames = [frames.call("base::[[", i).value for i in (1, 2, 3)]
        for frame, other in zip(imp, frames, strict=True):
            assert_same(frame, other)
    holes = in_r(r_files / "holes.rds").call("base::identity").value
    first = rb.read_imputed(r_files / "amelia.rds")
    # Amelia makes numbers of imputed integers: the column is one of doubles then.
    holes["age"] = holes["age"].astype("float64")
    assert_same(first.original, holes[list(first.original.columns)])
    again = rb.read_imputed(r_files / "amelia_transformed.rds").original
    assert again["xy"].isna().tolist() == (holes["x"].isna() | holes["y"].isna()).tolist()


@pytest.mark.parametrize("name", ["mild", "mitml_list"])
def test_lists_of_data_frames(r_files: Path, name: str) -> None:
    imp, theirs = rb.read_imputed(r_files / f"{name}.rds"), in_r(r_files / f"{name}.rds")
    assert imp.method == name.replace("_", ".")
    for i, frame in enumerate(imp, start=1):
        assert_same(frame, theirs.call("base::[[", i).value)
    # Without the data with their holes, a cell that differs counts as having been one.
    counted = imp.original.isna().sum()
    assert 0 < counted["x"] <= 12


def test_the_data_with_their_holes_in_a_list(r_files: Path) -> None:
    imp = rb.read_imputed(r_files / "mild0.rds")
    assert imp == rb.read_imputed(r_files / "mids.rds")
    assert imp.original["x"].isna().sum() == 4


def test_a_long_table_that_was_split(r_files: Path) -> None:
    """Its data sets have other row names: `.id` tells the rows."""
    imp = rb.read_imputed(r_files / "split.rds")
    for frame, other in zip(imp, rb.read_imputed(r_files / "mids.rds"), strict=True):
        assert_same(frame, other)
    with pytest.raises(rb.ArgumentError, match=r"other_rows\.rds holds data sets of other rows"):
        rb.read_imputed(r_files / "other_rows.rds")


def test_an_imputation_list(r_files: Path) -> None:
    imp = rb.read_imputed(r_files / "imputation_list.rds")
    other = rb.read_imputed(r_files / "mitml_list.rds")
    assert all(a.equals(b) for a, b in zip(imp, other, strict=True))


@pytest.mark.parametrize("trust", [False, INSISTS])
@pytest.mark.parametrize("name", ["mira_lmer", "mira_lm"])
def test_the_frames_of_fitted_models(r_files: Path, name: str, trust: Any) -> None:
    imp = rb.read_imputed(r_files / f"{name}.rds", trust=trust)
    fits = in_r(r_files / f"{name}.rds").call("base::[[", "analyses").value
    for frame, fit in zip(imp, fits, strict=True):
        assert_same(frame, fit.call("stats::model.frame").value)


def test_a_long_frame(r_files: Path) -> None:
    long, imp = rb.read_imputed(r_files / "long.rds"), rb.read_imputed(r_files / "mids.rds")
    assert long == imp
    again = rb.read_imputed(r_files / "long.rds", imp=".imp", id=".id")
    assert again == long


@pytest.mark.parametrize("name", ["odd", "odd_ascii"])
def test_columns_of_every_kind(r_files: Path, name: str) -> None:
    frame = rb.read_imputed(r_files / f"{name}.rds")[0]
    assert frame.index.tolist() == ["u", "v", "w"]
    assert frame["id"].tolist() == [3, 2, 1]
    assert np.isnan(frame["na_nan"].to_numpy()[:2]).all()
    assert np.signbit(frame["na_nan"].iloc[2])
    assert [x for x in frame["deferred"] if isinstance(x, str)] == ["1e+05", "123456"]
    assert [x for x in frame["deferred_int"] if isinstance(x, str)] == ["7", "100000"]
    assert frame["days"].tolist()[:2] == [1.0, 2.5]
    zone = frame["local"].dt.tz
    assert str(zone) == "Europe/Berlin"
    assert [str(x) for x in frame["local"].dropna()] == [
        "2020-07-01 12:00:00+02:00", "2020-12-01 12:00:00+01:00",
    ]  # fmt: skip
    assert frame["as_is"].tolist() == [1.5, 2.5, 3.5]
    assert frame["scaled"].sum() == pytest.approx(0, abs=1e-15)  # three roundings
    assert frame["big"].tolist() == [2024, 4048, 0]
    assert frame["latin"].tolist()[0] == "café"
    assert frame["latin"].isna().tolist() == [False, True, False]


REFUSED = {
    "call.rds": (rb.ArgumentError, "class (call|language), and no imputations"),
    "closure.rds": (rb.ArgumentError, "no imputations"),
    "empty.rds": (rb.ArgumentError, "no imputations"),
    "environment.rds": (rb.ArgumentError, "no imputations"),
    "numbers.rds": (rb.ArgumentError, "no imputations"),
    "fit.rds": (rb.ArgumentError, "MerMod.from_r"),
    "fits.rds": (rb.ArgumentError, "'1' is no data frame"),
    "lm.rds": (rb.ArgumentError, "'coefficients' is no data frame"),
    "matrix.rds": (rb.EncodingError, "column 'matrix' of data set '1' is a matrix"),
    "mitml.rds": (rb.ArgumentError, "mitmlComplete"),
    "mixed.rds": (rb.ArgumentError, "'2' is no data frame"),
    "two.rda": (rb.RBridgeError, r"2 objects \(imp, both\)"),
    "holes.rds": (rb.ArgumentError, "no column of a known name"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_other_objects_are_refused_by_name(r_files: Path, name: str) -> None:
    error, text = REFUSED[name]
    with pytest.raises(error, match=text):
        rb.read_imputed(r_files / name)


# -- trust -------------------------------------------------------------------------------------


def test_r_before_4_4_does_not_read_files(r_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(rb.ArgumentError, match="trust must be True, False or"):
        rb.read_imputed(r_files / "mids.rds", trust="yes")  # type: ignore[arg-type]
    call = rdoor.call

    def of_version(minor: str) -> Callable[..., Any]:
        def called(function: str, *args: Any, **kwargs: Any) -> Any:
            reply = call(function, *args, **kwargs)
            if function == "base::R.Version":
                reply.value.update(major=["4"], minor=[minor])
            return reply

        return called

    monkeypatch.setattr(rdoor, "call", of_version("3.3"))
    with pytest.raises(rb.RBridgeError, match=r"this is R 4\.3\.3, and .*CVE-2024-27322"):
        rb.read_imputed(r_files / "mids.rds", trust=True)
    monkeypatch.setattr(rdoor, "call", of_version("4.0"))
    assert rb.read_imputed(r_files / "mids.rds", trust=True).m == 3


def test_what_r_cant_read(tmp_path: Path) -> None:
    (tmp_path / "x.rds").write_bytes(b"nothing")
    with pytest.raises(rb.RBridgeError, match="can't be read by R: "):
        rb.read_imputed(tmp_path / "x.rds", trust=INSISTS)


def test_reading_starts_no_r(r_files: Path) -> None:
    code = (
        "import sys; sys.modules['rpy2'] = None\n"
        "import rbridge_mi as rb\n"
        "for name in ('mids.rds', 'amelia.rds', 'mira_lmer.rds', 'active.rds', 'long.csv'):\n"
        f"    rb.read_imputed({str(r_files)!r} + '/' + name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (r_files / "canary").exists()
