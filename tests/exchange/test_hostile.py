"""Damaged and hostile files end in an error of this library, and run nothing."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import pickle
import shutil
import struct
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rbridge_mi as rb
from rbridge_mi.exchange import files, r_parser, r_tree, tables

from .conftest import run_r

FORMATS = ("csv", "parquet", "feather", "stata", "spss", "r")


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that code would make, in the working directory."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "canary"
    assert not (tmp_path / "canary").exists(), "code ran"


@pytest.fixture(scope="module")
def good(r_files: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of each kind."""
    folder = tmp_path_factory.mktemp("good")
    run_r(Path(__file__).with_name("stata_spss.R"), folder)
    imp = rb.read_imputed(r_files / "amelia.rds")
    imp.to_long().to_csv(folder / "x.csv", index=False)
    imp.to_long().to_parquet(folder / "x.parquet")
    imp.to_long().to_feather(folder / "x.feather")
    plain = folder / "plain.rds"
    plain.write_bytes(gzip.decompress((r_files / "mids.rds").read_bytes()))
    return {
        "csv": folder / "x.csv",
        "parquet": folder / "x.parquet",
        "feather": folder / "x.feather",
        "stata": folder / "flong.dta",
        "spss": folder / "spss.sav",
        "spss_packed": folder / "spss.zsav",
        "r": r_files / "mids.rds",
        "r_plain": plain,
        "r_amelia": r_files / "amelia.rds",
        "r_ascii": r_files / "odd_ascii.rds",
        "r_xz": r_files / "mids_xz.rds",
    }


def attempt(path: Path, kind: str) -> None:
    """Read it: data sets or an error of this library, and nothing else."""
    try:
        imp = rb.read_imputed(path, kind)
    except rb.RBridgeError as error:
        assert str(error)
    else:
        assert isinstance(imp[0], pd.DataFrame)


KINDS = [*FORMATS, "spss_packed", "r_plain", "r_amelia", "r_ascii", "r_xz"]


@pytest.mark.r
@pytest.mark.parametrize("kind", KINDS)
def test_cut_off_anywhere(good: dict[str, Path], canary: Path, kind: str) -> None:
    raw = good[kind].read_bytes()
    places = np.unique(np.linspace(0, len(raw) - 1, 60).astype(int))
    broken = canary.with_name("x")
    for place in places:
        broken.write_bytes(raw[:place])
        if kind in ("csv", "spss"):  # a table may end anywhere, and SPSS' first part says all
            attempt(broken, kind.split("_")[0])
            continue
        with pytest.raises(rb.RBridgeError):
            rb.read_imputed(broken, kind.split("_")[0])


@pytest.mark.r
@pytest.mark.parametrize("kind", KINDS)
def test_changed_at_random(good: dict[str, Path], canary: Path, kind: str) -> None:
    raw = bytearray(good[kind].read_bytes())
    rng = np.random.default_rng(len(raw))
    broken = canary.with_name("x")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A process that a damaged file makes crash takes a second to be replaced.
        for _ in range(30 if kind[:4] in ("stat", "spss") else 120):
            changed = bytearray(raw)
            for place in rng.integers(0, len(raw), rng.integers(1, 5)):
                changed[place] = rng.integers(256)
            broken.write_bytes(changed)
            attempt(broken, kind.split("_")[0])


@pytest.mark.parametrize("kind", FORMATS)
def test_files_of_another_kind(canary: Path, kind: str) -> None:
    class Runs:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, ("touch canary",)

    contents = {
        "pickle": pickle.dumps(Runs()),
        "old pickle": pickle.dumps(Runs(), protocol=0),
        "packed pickle": gzip.compress(pickle.dumps(Runs())),
        "frame": pickle.dumps(pd.DataFrame({"x": [1]})),
        "empty": b"",
        "zeros": bytes(5000),
        "random": np.random.default_rng(1).bytes(5000),
        "script": b"#!/bin/sh\ntouch canary\n",
        "R code": b"system('touch canary')\n",
        "header": b"X\n",
        "magic only": b"\x1f\x8b",
        "xz only": b"\xfd7zXZ\x00",
        "bzip2 only": b"BZh9",
    }
    path = canary.with_name("x")
    for raw in contents.values():
        path.write_bytes(raw)
        with pytest.raises(rb.RBridgeError):
            rb.read_imputed(path, kind)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_bomb(canary: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = canary.with_name("x")
    monkeypatch.setattr(files, "ALWAYS", 2**20)
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        path.write_bytes(pack(bytes(5 * 2**20)))
        with pytest.raises(rb.RBridgeError, match=r"unpacks to more than .*refused"):
            rb.read_imputed(path, kind)


def test_a_bomb_of_its_full_size(canary: Path) -> None:
    canary.with_name("x.rds").write_bytes(gzip.compress(bytes(300 * 2**20), 9))
    with pytest.raises(rb.RBridgeError, match="unpacks to more than 26"):
        rb.read_imputed("x.rds")


def test_a_bomb_of_parquet(canary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_CELLS", 10**6)
    monkeypatch.setattr(tables, "PER_BYTE", 100)
    frame = pd.DataFrame({"x": pd.Categorical.from_codes(np.zeros(10**7, "int8"), ["a"])})
    frame.to_parquet(canary.with_name("x.parquet"))
    with pytest.raises(rb.RBridgeError, match="10000000 cells"):
        rb.read_imputed("x.parquet")


def test_a_bomb_of_csv(canary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_TEXT_CELLS", 10**5)
    path = canary.with_name("x.csv")
    path.write_bytes(gzip.compress(b".imp,.id,x\n" + b",,\n" * 10**6))
    with pytest.raises(rb.RBridgeError, match="3000003 cells, as no file of data does"):
        rb.read_imputed(path)


def test_deep_metadata_of_pandas(canary: Path) -> None:
    table = pa.table({"x": [1.0]}).replace_schema_metadata({b"pandas": b"[" * 100_000})
    pq.write_table(table, "x.parquet")
    with pytest.raises(rb.RBridgeError, match="can't be read as Parquet"):
        rb.read_imputed("x.parquet")


# -- R's serialization, written by hand ------------------------------------------------------

HEADER = b"X\n" + struct.pack(">iii", 2, 0x00040200, 0x00020300)
NULL = struct.pack(">i", 254)
GLOBAL = struct.pack(">i", 253)


def char(text: str) -> bytes:
    return struct.pack(">ii", 9 | (1 << 18), len(text)) + text.encode()


def symbol(text: str) -> bytes:
    return struct.pack(">i", 1) + char(text)


def call(function: str, argument: str) -> bytes:
    string = struct.pack(">ii", 16, 1) + char(argument)
    return struct.pack(">i", 6) + symbol(function) + struct.pack(">i", 2) + string + NULL


def promise(expression: bytes) -> bytes:
    # Of CVE-2024-27322: a promise without a value, which R evaluates when it is looked at.
    unbound = struct.pack(">i", 252)
    return struct.pack(">i", 5 | (1 << 10)) + GLOBAL + unbound + expression


def vector(*items: bytes) -> bytes:
    return struct.pack(">ii", 19, len(items)) + b"".join(items)


TOUCH = call("system", "touch canary")
BY_HAND = {
    "a promise": promise(TOUCH),
    "a list of promises": vector(promise(TOUCH), promise(TOUCH)),
    "a call": TOUCH,
    "an expression": struct.pack(">ii", 20, 1) + TOUCH,
    "a sequence of 2^31": (
        struct.pack(">i", 238)
        + struct.pack(">i", 2) + symbol("compact_intseq")
        + struct.pack(">i", 2) + symbol("base")
        + struct.pack(">i", 2) + struct.pack(">iii", 13, 1, 13) + NULL
        + struct.pack(">ii", 14, 3) + struct.pack(">ddd", 2.0**31, 1, 1) + NULL
    ),
    "a vector that is longer than the file": struct.pack(">ii", 14, 2**31 - 1),
    "a list that is longer than the file": struct.pack(">ii", 19, 2**31 - 1),
    "a negative length": struct.pack(">ii", 14, -5),
    "deeply nested": struct.pack(">ii", 19, 1) * 100_000 + NULL,
    "a long pairlist": struct.pack(">i", 2) * 100_000,
    "a reference to nothing": struct.pack(">i", 255 | (7 << 8)),
    "compiled code with 2^31 parts": struct.pack(">ii", 21, 2**31 - 1),
    "a class alone": (
        struct.pack(">ii", 19 | (1 << 9) | (1 << 8), 0)
        + struct.pack(">i", 2 | (1 << 10)) + symbol("class") + struct.pack(">ii", 16, 1)
        + char("mids") + NULL
    ),
    "a frame without rows": (
        struct.pack(">ii", 19 | (1 << 9) | (1 << 8), 0)
        + struct.pack(">i", 2 | (1 << 10)) + symbol("class") + struct.pack(">ii", 16, 1)
        + char("data.frame") + NULL
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", list(BY_HAND))
def test_r_objects_by_hand(canary: Path, what: str) -> None:
    path = canary.with_name("x.rds")
    for raw in (HEADER + BY_HAND[what], b"RDX2\n" + HEADER + BY_HAND[what]):
        path.write_bytes(raw)
        with pytest.raises(rb.RBridgeError):
            rb.read_imputed(path)


def test_small_files_of_many_objects(canary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(r_parser, "MOST_NODES", 1000)
    path = canary.with_name("x.rds")
    nulls = HEADER + struct.pack(">ii", 19, 100_000) + NULL * 100_000
    path.write_bytes(gzip.compress(nulls))
    with pytest.raises(rb.RBridgeError, match="refused: it has more objects than"):
        rb.read_imputed(path)
    path.write_bytes(nulls)  # of a size that has as many
    with pytest.raises(rb.ArgumentError, match=r"'1' is no data frame \(NULL\)"):
        rb.read_imputed(path)


def test_an_alarm_is_not_taken_for_damage(canary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*given: object, **more: object) -> None:
        raise TimeoutError("late")

    monkeypatch.setattr(r_tree, "parser_of", lambda magic: late)
    canary.with_name("x.rds").write_bytes(HEADER + NULL)
    with pytest.raises(TimeoutError, match="late"):
        rb.read_imputed("x.rds")


@pytest.mark.r
def test_objects_with_code_in_them(r_files: Path, canary: Path) -> None:
    """Active bindings, promises and calls in attributes are parsed past, and left alone."""
    shutil.copy(r_files / "active.rds", canary.with_name("active.rds"))
    imp = rb.read_imputed("active.rds")
    assert list(imp[0].columns) == list(rb.read_imputed(r_files / "mids.rds")[0].columns)
    for name in ("call", "closure", "environment"):
        with pytest.raises(rb.ArgumentError):
            rb.read_imputed(r_files / f"{name}.rds")


# -- names and paths ---------------------------------------------------------------------------


def test_names_of_columns_are_data(canary: Path) -> None:
    name = "x`; system('touch canary'); `"
    frame = pd.DataFrame({".imp": [0, 1, 2], ".id": 1, name: [None, 1.0, 2.0]})
    frame.to_csv(canary.with_name("x.csv"), index=False)
    imp = rb.read_imputed("x.csv")
    assert imp[1][name].tolist() == [2.0]
    for write in (imp.to_stata, imp.to_spss):
        with pytest.raises(rb.EncodingError):
            write("x")
    with pytest.raises(rb.EncodingError, match="mice pastes names"):
        imp.to_r("x.rds")
    for as_ in ("amelia", "mitml.list", "list"):
        assert rb.read_imputed(imp.to_r("x.rds", as_=as_))[1][name].tolist() == [2.0]


def test_paths_that_are_no_files(canary: Path) -> None:
    os.mkfifo("pipe.csv")
    with pytest.raises(rb.ArgumentError, match="no regular file"):
        rb.read_imputed("pipe.csv")
    with pytest.raises(rb.ArgumentError, match="no regular file"):
        rb.read_imputed("/dev/zero", "csv")
    with pytest.raises(rb.ArgumentError, match="is a folder"):
        rb.read_imputed(".", "csv")
    with pytest.raises(rb.ArgumentError, match="NUL"):
        rb.read_imputed("x\0.csv")
    Path("data.csv").write_text(".imp,.id,x\n1,1,1\n")
    with pytest.raises(rb.MissingPathError, match=r"There is data\.csv"):
        rb.read_imputed("dat.csv")
    with pytest.raises(rb.MissingPathError, match="there is no folder"):
        rb.read_imputed("no/data.csv")
    for url in ("http://localhost/x.csv", "file:///etc/passwd", "s3://x/y.parquet"):
        with pytest.raises(rb.MissingPathError):
            rb.read_imputed(url)
    with pytest.raises(rb.MissingPathError):
        rb.MerMod.from_r("| touch canary", trust=True)


def test_an_extra_that_is_not_there(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('pyreadstat', 'rdata', 'rdata.parser', 'pyarrow'): sys.modules[name] = None\n"
        "import rbridge_mi as rb\n"
        "for name, extra in (('x.dta', 'io'), ('x.sav', 'io'), ('x.rds', 'io'), "
        "('x.parquet', 'parquet')):\n"
        "    open(name, 'wb').write(b'X\\n')\n"
        "    try: rb.read_imputed(name)\n"
        "    except rb.MissingExtraError as error: assert f'rbridge_mi[{extra}]' in str(error)\n"
        "    else: raise SystemExit(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(rb.__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_importing_loads_no_extra() -> None:
    code = (
        "import sys, rbridge_mi as rb; rb.read_imputed, rb.MerMod, rb.ImputedData\n"
        "assert not {'pyreadstat', 'rdata', 'pyarrow.parquet', 'rpy2.rinterface'} & {*sys.modules}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
