"""Files of every version of the format are read, with the values that they were written with."""

from __future__ import annotations

import json
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rbridge_mi as rb
from rbridge_mi.storage.names import FORMATS, NEWEST
from tests.storage.stored_results import asked_of_r, small_results, values_of

pytestmark = pytest.mark.r

FOLDER = Path(__file__).parent / "formats"
FILES = sorted(FOLDER.glob("*/*.zip"))

# What a list or a pooled model computes when it is asked, by numpy and scipy: their versions may
# round a sum or a quantile otherwise. All else was stored, and comes back to the last bit.
COMPUTED = 1e-12


def same(value: Any, stored: Any, where: str, tolerance: float) -> None:
    """Compare two trees; `stored` has all that the version of the time could say."""
    if isinstance(stored, dict):
        assert set(stored) <= set(value), where
        if "columns" in stored:  # a table may have gained columns since
            kept = [value["columns"].index(x) for x in stored["columns"]]
            parts = {x: [value[x][i] for i in kept] for x in ("columns", "dtypes", "cells")}
            value = {**value, **parts}
        for key, part in stored.items():
            same(value[key], part, f"{where}.{key}", tolerance)
    elif isinstance(stored, list):
        assert len(value) == len(stored), where
        for i, (a, b) in enumerate(zip(value, stored, strict=True)):
            same(a, b, f"{where}[{i}]", tolerance)
    elif isinstance(stored, float) and tolerance:
        np.testing.assert_allclose(value, stored, rtol=tolerance, atol=tolerance, err_msg=where)
    else:
        assert type(value) is type(stored), where
        assert value == stored, where


def test_every_format_has_its_files() -> None:
    kinds = {"fit", "fit_with_r", "fits", "pooled", "imputed_cells", "bootstrap_rows",
             "frames_with_a_failure"}  # fmt: skip
    assert {(x.parent.name, x.stem) for x in FILES} == {(str(n), x) for n in FORMATS for x in kinds}


@pytest.mark.parametrize("path", FILES, ids=lambda x: f"{x.parent.name}/{x.stem}")
def test_stored_files_say_what_they_said(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("result.json"))["format"] == int(path.parent.name)
    stored = json.loads(path.with_suffix(".json").read_text("utf-8"))
    with_r = path.stem == "fit_with_r"
    result: Any = rb.load(path, allow_r_object=with_r)
    tolerance = COMPUTED if isinstance(result, rb.MerModList | rb.PooledMerMod) else 0
    if with_r:
        stored_predictions = stored.pop("predict")
        values = asked_of_r(result)
        same(values["predict"], stored_predictions, "predict", COMPUTED)
    else:
        values = values_of(result)
        if "failed" in stored:  # of an error, class and text are stored as text
            for number, text in stored.pop("failed").items():
                assert values["failed"][number].endswith(f"Error: {text}")
    same(values, stored, path.stem, tolerance)


@pytest.mark.parametrize("path", FILES, ids=lambda x: f"{x.parent.name}/{x.stem}")
def test_what_was_loaded_is_saved_in_the_newest_format(path: Path, tmp_path: Path) -> None:
    result: Any = rb.load(path)
    again: Any = rb.load(rb.save(result, tmp_path / "again.zip"))
    assert again == result if not isinstance(result, rb.PooledMerMod) else True
    if path.stem != "fit_with_r":  # its R2 would have to be asked of R
        same(values_of(again), values_of(result), path.stem, 0)


def test_the_message_and_chain_lengths_of_format_1() -> None:
    """They became a log, and a trace whose values are not known."""
    path = FOLDER / "1" / "fits.zip"
    with zipfile.ZipFile(path) as archive:
        tree = json.loads(archive.read("result.json"))["result"]
    data = tree["fields"]["data"]["fields"]
    result: Any = rb.load(path)
    assert result.data.log == (data["message"],) != ("",)
    assert list(result.data.chain_lengths) == data["chain_lengths"]["tuple"] != []
    assert result.data.trace["value"].isna().all()


@pytest.mark.filterwarnings("ignore")
def test_present_results_have_their_names(tmp_path: Path) -> None:
    """Every field of what is saved has a name in the newest format, and comes back."""
    for kind in FORMATS[NEWEST].kinds.values():
        if kind.cls is not rb.MerMod:  # R's answers and its object are stored apart
            assert set(kind.fields.values()) == {x.name for x in fields(kind.cls)}
    for name, (result, with_r) in small_results().items():
        path = rb.save(result, tmp_path / f"{name}.zip", r_objects=with_r)
        loaded: Any = rb.load(path, allow_r_object=with_r)
        values, again = values_of(result), values_of(loaded)
        values.pop("failed", None)
        same(again, values, name, 0)


def test_stored_names_are_not_those_of_r_functions_or_classes(tmp_path: Path) -> None:
    """The names in a file are the format's own, whatever they stand for is called."""
    path = FOLDER / str(NEWEST) / "pooled.zip"
    with zipfile.ZipFile(path) as archive:
        text = archive.read("result.json").decode()
    for name in ("mermod_", "MerMod", "ImputedData", "Store", "_known"):
        assert name not in text
