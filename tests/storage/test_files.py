"""Results in open files: exact, without R, and without running anything."""

from __future__ import annotations

import datetime as dt
import json
import pickle
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

import rbridge_mi as rb
from rbridge_mi.storage.cells import from_cells, to_cells
from tests.whole.test_fuzz import Column, frames

pytestmark = pytest.mark.r

TABLES = ("fixef", "ranef", "varcorr", "vcov", "coef", "model_info", "tidy", "glance", "r2")


def identical(a: pd.DataFrame | pd.Series, b: pd.DataFrame | pd.Series) -> None:
    check = pd.testing.assert_frame_equal if isinstance(a, pd.DataFrame) else (
        pd.testing.assert_series_equal
    )  # fmt: skip
    check(a, b, check_exact=True)


def test_texts_of_object_dtype_stay_objects(tmp_path: Path) -> None:
    """Under pandas 3, where a frame made of such texts has them in its own text dtype."""
    frame = pd.DataFrame({"x": [1.0, np.nan], "t": pd.Series(["a", "b"], dtype=object)})
    data = rb.ImputedData.from_frames([frame.fillna({"x": 2.0}), frame.fillna({"x": 3.0})])
    again = rb.load(rb.save(data, tmp_path / "data.zip"))
    assert isinstance(again, rb.ImputedData)
    assert again[0]["t"].dtype == object
    identical(again[0], data[0])


def test_a_fit(fit: rb.MerMod, holes: pd.DataFrame, tmp_path: Path) -> None:
    fit.r2()
    path = rb.save(fit, tmp_path / "fit.zip")
    again = rb.load(path)
    assert isinstance(again, rb.MerMod)
    assert again == fit
    for name in TABLES:
        identical(getattr(again, name)(), getattr(fit, name)())
    identical(again.fitted(), fit.fitted())
    identical(again.residuals(), fit.residuals())
    assert str(again) == str(fit)
    assert repr(again.summary()) == repr(fit.summary())
    assert (again.messages, again.formula, again.ngrps) == (fit.messages, fit.formula, fit.ngrps)
    assert (
        np.array([again.sigma, again.criterion, again.aic]).tobytes()
        == np.array([fit.sigma, fit.criterion, fit.aic]).tobytes()
    )
    with pytest.raises(rb.RBridgeError, match=r"mermod_predict asks .* allow_r_object=True"):
        again.predict(holes.head(3))
    whole = rb.load(path, allow_r_object=True)
    assert isinstance(whole, rb.MerMod)
    identical(whole.predict(holes.head(3)), fit.predict(holes.head(3)))
    assert pickle.loads(pickle.dumps(again)) == fit


def test_fits_pooled_and_imputed(fits: rb.MerModList, tmp_path: Path) -> None:
    again = rb.load(rb.save(fits, tmp_path / "fits.zip", r_objects=False))
    assert isinstance(again, rb.MerModList)
    assert again == fits
    assert again.data == fits.data
    assert (again.data.seed, again.data.warnings) == (fits.data.seed, fits.data.warnings)
    assert dict(again.data.settings) == dict(fits.data.settings)
    pooled = fits.pool()
    identical(again.pool().fixed, pooled.fixed)
    loaded = rb.load(rb.save(pooled, tmp_path / "pooled.zip", r_objects=False))
    assert isinstance(loaded, rb.PooledMerMod)
    for name in ("fixed", "vcov", "varcorr", "ranef", "icc"):
        identical(getattr(loaded, name), getattr(pooled, name))
    identical(loaded.test("ses = 0"), pooled.test("ses = 0"))
    assert str(loaded.summary()) == str(pooled.summary())
    assert loaded.data == fits.data
    without_objects = rb.load(tmp_path / "pooled.zip", allow_r_object=True)  # none was saved
    assert isinstance(without_objects, rb.PooledMerMod)
    with pytest.raises(rb.RBridgeError, match=r"wasn't loaded"):
        without_objects.fits[0].predict()


@pytest.mark.parametrize("cluster", [None, "schid"])
def test_bootstrap_samples(cluster: str | None, hsb: pd.DataFrame, tmp_path: Path) -> None:
    boot = rb.BootstrapImputer(m=2, cluster=cluster).impute(hsb, seed=1)
    again = rb.load(rb.save(boot, tmp_path / "boot.zip"))
    assert isinstance(again, rb.ImputedData)
    assert again == boot
    identical(again[1], boot[1])
    assert again.kind == "bootstrap"


def test_imputations_from_a_model(tmp_path: Path) -> None:
    """Settings with their nested tables, the trace, what the models saw, notes: all come back."""
    random = np.random.default_rng(4)
    group = np.repeat(np.arange(20), 5)
    x, z = random.normal(size=100), random.normal(size=20)[group]
    frame = pd.DataFrame(
        {
            "g": [f"g{i:02}" for i in group],
            "x": np.where(random.random(100) < 0.2, np.nan, np.exp(x)),
            "z": np.where(group < 2, np.nan, z),
            "k": random.poisson(2, 100),
            "y": x + z + random.normal(size=100),
        }
    )
    frame["mean"] = frame.groupby("g")["x"].transform("mean")
    options: dict[str, Any] = {
        "auxiliary": ["k"],
        "types": {"k": "continuous"},
        "levels": {"z": "g", "k": None},
        "transforms": {"x": "log"},
        "bounds": {"x": (0, None), "z": (-9.5, 9.5)},
        "derived": {"mean": ("mean", "x", "g")},
    }
    with pytest.warns(rb.RBridgeWarning, match="R-hat"):
        imp = rb.CompatibleImputer(
            "y ~ x + mean + z + (1 | g)", m=3, min_iter=20, max_iter=50, **options
        ).impute(frame, seed=1)
    again = rb.load(rb.save(imp, tmp_path / "imp.zip"))
    assert isinstance(again, rb.ImputedData)
    assert again == imp
    for i in range(3):
        identical(again[i], imp[i])
    settings_of = dict(again.settings)
    assert settings_of == dict(imp.settings)
    assert {name: settings_of[name] for name in options} == options
    assert type(settings_of["derived"]["mean"]) is tuple
    identical(again.trace, imp.trace)
    identical(again.convergence(warmup=0), imp.convergence(warmup=0))
    assert dict(again.saw) == dict(imp.saw)
    assert (again.saw["z"].level, again.saw["x"].groups) == ("g", ("g",))
    assert any("R-hat" in text for text in again.notes)
    assert again.notes == imp.notes
    assert str(again.summary()) == str(imp.summary())


def test_frames_and_failures(imp: rb.ImputedData, tmp_path: Path) -> None:
    part = rb.ImputedData.from_frames([imp[0].head(700), imp[1].head(600)], kind="bootstrap")
    assert rb.load(rb.save(part, tmp_path / "a.zip")) == part
    one = [x.assign(k=1.0 if i == 1 else np.arange(len(x))) for i, x in enumerate(imp)]
    data = rb.ImputedData.from_frames(one, kind="bootstrap")
    with pytest.warns(rb.RWarning, match="not fitted"):
        fits = rb.Lmer("mathach ~ ses + (1 | schid) + (1 | k)").fit(
            rb.ImputedData.from_frames([x.assign(k=1.0) if i else x.assign(
                k=np.arange(len(x)) % 7) for i, x in enumerate(data)][:2], kind="bootstrap"),
            errors="keep",
        )  # fmt: skip
    again = rb.load(rb.save(fits, tmp_path / "b.zip"))
    assert isinstance(again, rb.MerModList)
    assert list(again.failed) == [2]
    assert "FitError" in str(again.failed[2])


def test_it_is_zip_json_and_csv(fit: rb.MerMod, tmp_path: Path) -> None:
    path = rb.save(fit, tmp_path / "fit.zip")
    with zipfile.ZipFile(path) as archive:
        assert {x.split("/")[0] for x in archive.namelist()} == {"result.json", "tables", "r"}
        tree = json.loads(archive.read("result.json"))
        assert (tree["format"], tree["result"]["class"]) == (2, "fit")
        tables = [x for x in archive.namelist() if x.startswith("tables/")]
        heads = {archive.read(x).decode().split("\r\n")[0] for x in tables}
        assert heads == {"grp,var1,var2,vcov,sdcor", "grpvar,term,grp,condval,condsd"}
    assert not list(tmp_path.glob("*.part"))


def test_loading_needs_no_r(fit: rb.MerMod, tmp_path: Path) -> None:
    path = rb.save(fit, tmp_path / "fit.zip")
    program = f"""
        import sys
        sys.modules["rpy2"] = None
        import rbridge_mi as rb
        print(rb.load({str(path)!r}).fixef()["estimate"][0].hex())
        assert "rpy2.rinterface" not in sys.modules
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True,
        timeout=60, env={"PATH": "/nonexistent"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == float(fit.beta.iloc[0]).hex()


def rewritten(path: Path, change: Any) -> Path:
    with zipfile.ZipFile(path) as archive:
        members = {x: archive.read(x) for x in archive.namelist()}
    tree = json.loads(members["result.json"])
    change(tree, members)
    members["result.json"] = json.dumps(tree).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda t, m: t["result"].update({"class": "Popen"}),
        lambda t, m: t["result"].update({"class": "os.system"}),
        lambda t, m: t.update(result={"printed": "x"}),
        lambda t, m: t.update(result={"class": "MerMod", "fields": {}}),
        lambda t, m: t.update(result={"class": "MerMod", "fields": {"__class__": "x"}}),
        lambda t, m: t.update(result={"__reduce__": ["os.system", ["touch canary"]]}),
        lambda t, m: t.update(result={"py/object": "os.system"}),
        lambda t, m: t.update(result=[1]),
        lambda t, m: t.pop("result"),
        lambda t, m: t.update(format="x"),
        lambda t, m: m.pop(next(x for x in m if x.startswith("tables"))),
        lambda t, m: m.update({x: b"a,b\n1,2\n" for x in m if x.startswith("tables")}),
        lambda t, m: t["result"]["fields"].update(beta={"series": [{"dtype": "O", "missing": []}]}),
        lambda t, m: t["result"]["fields"].update(beta={"column": [
            {"dtype": "datetime64[as]", "missing": []}, ["1"]]}),
        lambda t, m: t["result"]["fields"].update(beta={"column": [
            {"dtype": "list<item: int64>[pyarrow]", "missing": []}, ["1"]]}),
    ],
    ids=range(15),
)  # fmt: skip
def test_files_that_were_tampered_with(change: Any, fit: rb.MerMod, tmp_path: Path) -> None:
    path = rewritten(rb.save(fit, tmp_path / "fit.zip"), change)
    with pytest.raises(
        rb.RBridgeError, match=r"not a file that rb.save wrote|holds no result|dtype"
    ):
        rb.load(path)


@pytest.mark.parametrize("change", [{"marks": []}, {"marks": ["None"] * 9}, {"missing": [7]}])
def test_columns_whose_missing_cells_do_not_add_up(change: dict[str, Any]) -> None:
    known, cells = to_cells(pd.Series(["a", None, np.nan], dtype=object), "x")
    with pytest.raises(ValueError, match=r"missing cells"):
        from_cells(known | change, cells)


def test_damaged_files_are_refused_or_read(fits: rb.MerModList, tmp_path: Path) -> None:
    """Bytes changed at random, and files cut short: never another error than ours."""
    whole = rb.save(fits.pool(), tmp_path / "fits.zip", r_objects=False).read_bytes()
    path, random = tmp_path / "damaged.zip", np.random.default_rng(1)
    refused = 0
    for i in range(150):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[random.integers(0, len(whole), 1 + i % 20)] = random.integers(0, 256)
        kept = len(whole) if i % 5 else random.integers(0, len(whole))
        path.write_bytes(damaged[:kept].tobytes())
        try:
            rb.load(path)
        except rb.RBridgeError:
            refused += 1
    assert refused > 100


def test_deep_nesting_is_refused(fit: rb.MerMod, tmp_path: Path) -> None:
    path = rb.save(fit, tmp_path / "fit.zip")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "result.json", '{"format": 1, "result": ' + "[" * 10**5 + "]" * 10**5 + "}"
        )
    with pytest.raises(rb.RBridgeError):
        rb.load(path)


def test_pickles_are_no_saved_files(fit: rb.MerMod, tmp_path: Path) -> None:
    path = tmp_path / "fit.zip"
    path.write_bytes(pickle.dumps(fit))
    with pytest.raises(rb.RBridgeError, match=r"not a file that rb\.save wrote"):
        rb.load(path)
    with pytest.raises(rb.ArgumentError, match=r"save takes MerMod, .*, not DataFrame"):
        rb.save(pd.DataFrame(), path)


def test_places_that_are_not_there(fit: rb.MerMod, tmp_path: Path) -> None:
    """The message says what is missing, and what to do; the error is Python's own too."""
    path = rb.save(fit, tmp_path / "fit.zip")
    with pytest.raises(rb.MissingPathError, match=r"no such file in .* There is fit\.zip\."):
        rb.load(tmp_path / "fits.zip")
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        rb.load(tmp_path / "nowhere" / "fit.zip")
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere.*Make it first: .*mkdir"):
        rb.save(fit, tmp_path / "nowhere" / "fit.zip")
    for ask in (lambda: rb.save(fit, tmp_path), lambda: rb.load(tmp_path)):
        with pytest.raises(rb.ArgumentError, match="is a folder: name the file"):
            ask()
    assert list(tmp_path.iterdir()) == [path]


def test_a_planted_link_is_not_followed(fit: rb.MerMod, tmp_path: Path) -> None:
    """Whoever may write to the folder can't foresee the file that is written first."""
    target = tmp_path / "precious"
    target.write_text("precious")
    (tmp_path / "fit.zip.part").symlink_to(target)
    (tmp_path / "fit.zip").symlink_to(target)  # the result replaces a link, as it does a file
    path = rb.save(fit, tmp_path / "fit.zip", r_objects=False)
    assert target.read_text() == "precious"
    assert (tmp_path / "fit.zip.part").is_symlink()
    assert not path.is_symlink()
    assert rb.load(path) == fit
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode
    assert len(list(tmp_path.iterdir())) == 4


def test_a_folder_in_which_nothing_may_be_made(
    fit: rb.MerMod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there is not followed, not replaced, and not taken away."""
    monkeypatch.setattr("secrets.token_hex", lambda n: "seen")
    target = tmp_path / "precious"
    target.mkdir()
    (target / "fit.zip").touch()
    (tmp_path / ".seen.part").symlink_to(target)
    with pytest.raises(rb.RBridgeError, match=r"fit\.zip can't be written: .*File exists"):
        rb.save(fit, tmp_path / "fit.zip", r_objects=False)
    assert sorted(x.name for x in tmp_path.iterdir()) == [".seen.part", "precious"]
    assert (target / "fit.zip").exists()


def test_a_later_format_is_named(fit: rb.MerMod, tmp_path: Path) -> None:
    path = rewritten(rb.save(fit, tmp_path / "a.zip"), lambda t, m: t.update(format=99))
    with pytest.raises(rb.RBridgeError, match="format 99"):
        rb.load(path)


COLUMNS = {
    "float": pd.Series([0.1, -0.0, 5e-324, np.inf, -np.inf, np.nan, 1.7976931348623157e308]),
    "float32": pd.Series([0.1, np.nan], dtype="float32"),
    "Float64": pd.Series(
        pd.arrays.FloatingArray(np.array([1.0, np.nan, 0]), np.array([0, 0, 1], bool))
    ),
    "int64": pd.Series([2**63 - 1, -(2**63)]),
    "uint64": pd.Series([2**64 - 1], dtype="uint64"),
    "Int8": pd.Series([1, None, -128], dtype="Int8"),
    "bool": pd.Series([True, False]),
    "boolean": pd.Series([True, None], dtype="boolean"),
    "str": pd.Series(["", "NA", None, "a,b\n\"c\"\r", "ü🙂"], dtype="str"),
    "string": pd.Series(["", "nan", None], dtype="string"),
    "object": pd.Series(["1", 1, 1.5, True, None, np.nan, pd.NA, pd.NaT, dt.date(2020, 1, 2)],
                        dtype=object),
    "category": pd.Series(pd.Categorical(["b", None], categories=["z", "b"], ordered=True)),
    "categories of numbers": pd.Series(pd.Categorical([2.5, 1], categories=[1, 2.5, 9])),
    "object categories": pd.Series(pd.Categorical(["b"], pd.Index(["z", "b"], dtype=object))),
    "mixed categories": pd.Series(pd.Categorical([1, "1"])),
    "times": pd.Series(pd.to_datetime(["2020-01-01 00:00:00.123456789", None])),
    "zoned": pd.Series(pd.to_datetime(["2020-07-01 12:00"]).tz_localize("Europe/Berlin")),
    "spans": pd.Series(pd.to_timedelta(["1s", None])),
    "arrow text": pd.Series(["a", None, ""], dtype=pd.ArrowDtype(pa.string())),
    "arrow int": pd.Series([1, None], dtype=pd.ArrowDtype(pa.int64())),
    "arrow float": pd.Series([0.1, None], dtype=pd.ArrowDtype(pa.float64())),
    "arrow bool": pd.Series([True, None], dtype=pd.ArrowDtype(pa.bool_())),
    "arrow time": pd.Series(
        [dt.datetime(2020, 1, 1), None], dtype=pd.ArrowDtype(pa.timestamp("us"))
    ),
    "arrow date": pd.Series([dt.date(2020, 1, 1), None], dtype=pd.ArrowDtype(pa.date32())),
    "nothing": pd.Series([], dtype="Int64"),
}  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS.values(), ids=list(COLUMNS))
def test_columns_of_every_dtype(column: pd.Series, tmp_path: Path) -> None:
    known, cells = to_cells(column, "x")
    again = from_cells(json.loads(json.dumps(known)), cells)
    identical(again, column)
    if column.dtype == object:
        assert [type(x) for x in again] == [type(x) for x in column]
    if len(column):
        frame = pd.DataFrame({"x": column, "y": 1.0})
        data = rb.ImputedData.from_frames([frame, frame], original=frame)
        loaded = rb.load(rb.save(data, tmp_path / "data.zip"))
        assert isinstance(loaded, rb.ImputedData)
        identical(loaded.original, frame)
        identical(loaded[1], data[1])


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(3, 5, name="n"),
        pd.Index(["a", "b"], name="ü"),
        pd.Index(["a", "b"], dtype=object),
        pd.Index([7, 7]),
        pd.MultiIndex.from_tuples([(1, "a"), (1, None)], names=["p", None]),
        pd.date_range("2020", periods=2, tz="UTC"),
        pd.CategoricalIndex(["u", "v"]),
        pd.Index([1.5, np.nan]),
    ],
    ids=str,
)
def test_every_index(index: pd.Index, tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0]}, index=index)
    data = rb.ImputedData.from_frames([frame], original=frame)
    loaded = rb.load(rb.save(data, tmp_path / "d.zip"))
    assert isinstance(loaded, rb.ImputedData)
    pd.testing.assert_frame_equal(loaded.original, frame, check_freq=False)


def test_what_has_no_place_is_refused_by_name(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.0], "span": pd.period_range("2020", periods=1, freq="M")})
    data = rb.ImputedData.from_frames([frame], original=frame)
    with pytest.raises(rb.EncodingError, match="column 'span' has dtype period"):
        rb.save(data, tmp_path / "d.zip")
    assert not list(tmp_path.iterdir())


@settings(max_examples=100, deadline=None, derandomize=True, database=None,
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(frames())
def test_made_up_columns_come_back(drawn: tuple[pd.DataFrame, list[Column]]) -> None:
    for column in drawn[1]:
        try:
            known, cells = to_cells(column.series, "x")
        except rb.EncodingError as error:
            assert "column 'x'" in str(error)
            continue
        again = from_cells(json.loads(json.dumps(known)), cells)
        expected = column.series.reset_index(drop=True)
        if expected.dtype != object and getattr(expected.dtype, "byteorder", "=") == ">":
            expected = expected.astype(expected.dtype.newbyteorder("="))
        pd.testing.assert_series_equal(again, expected, check_exact=True)
