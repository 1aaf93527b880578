"""Fits of one model pickle small together, whole alone, and with every bit."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.processes.workers import pickled
from rbridge_mi.rdoor.kin import Compressed, Kin

FORMULA = "mathach ~ ses + (1 + ses | schid)"


def raw_of(fit: rb.MerMod) -> bytes:
    r: Any = fit.r
    return bytes(r.to_bytes())


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=6))
def test_bytes_come_back(raws: list[bytes]) -> None:
    kin = Kin()
    packed = [kin.compressed(x) for x in raws]
    assert [x.unpack() for x in packed] == raws
    assert [x.unpack() for x in pickle.loads(pickle.dumps(packed))] == raws
    assert all(x.base is None or x.base.base is None for x in packed)


def test_what_is_alike_is_kept_once() -> None:
    rng = np.random.default_rng(1)
    shared, kin = rng.bytes(200_000), Kin()
    raws = [shared + rng.bytes(1000) + bytes([i]) for i in range(5)]
    packed = [kin.compressed(x) for x in raws]
    assert len(pickle.dumps(packed)) < 210_000
    assert [x.unpack() for x in packed] == raws
    assert len({id(x.base) for x in pickle.loads(pickle.dumps(packed))[1:]}) == 1


def test_a_pickle_of_an_earlier_version_is_read() -> None:
    r = rdoor.RObject.__new__(rdoor.RObject)
    r.__setstate__({"raw": b"bytes"})
    assert r.to_bytes() == b"bytes"
    assert pickle.loads(pickle.dumps(r)).to_bytes() == b"bytes"


CARRIED: dict[str, Callable[[Any], bytes]] = {
    "pickle": pickle.dumps,
    "cloudpickle": pickled,
    "joblib": lambda x: (joblib.dump(x, buffer := io.BytesIO()), buffer.getvalue())[1],
}


@pytest.mark.r
@pytest.mark.parametrize("how", CARRIED)
def test_a_list_is_small_and_has_every_bit(how: str, fits: rb.MerModList) -> None:
    pickle.dumps(fits)  # R keeps methods in the object that are first called for its tables
    raws = [raw_of(x) for x in fits]
    carried = CARRIED[how](fits)
    data = len(pickle.dumps(fits.data))
    tables = sum(len(pickle.dumps(x.answers.all())) for x in fits)
    # The R objects together: one that is compressed, and what the others have of their own.
    assert len(carried) - data - tables < 0.5 * len(raws[0])
    again = pickle.loads(carried) if how != "joblib" else joblib.load(io.BytesIO(carried))
    assert again == fits
    assert [raw_of(x) for x in again] == raws
    new = fits.data[0].head(3)
    for mine, theirs in zip(again, fits, strict=True):
        assert mine.predict(new).equals(theirs.predict(new))
    # From R and back once more: still small, also in another container.
    assert len(CARRIED[how](again)) < 1.1 * len(carried)
    assert len(pickle.dumps(list(again))) < len(carried)


@pytest.mark.r
def test_a_list_and_its_pooled_model_share_their_fits(fits: rb.MerModList) -> None:
    pooled = fits.pool()
    both = pickle.dumps((fits, pooled))
    assert len(both) < 1.1 * len(pickle.dumps(fits))
    again, its_pool = pickle.loads(both)
    assert its_pool.fits[0] is again.fits[0]
    assert its_pool.fixed.equals(pooled.fixed)


@pytest.mark.r
def test_one_fit_alone_carries_all_that_it_needs(fits: rb.MerModList, tmp_path: Path) -> None:
    path, new = tmp_path / "fit.pickle", fits.data[0].head(3)
    path.write_bytes(pickle.dumps((fits[3], new)))
    assert path.stat().st_size < 0.4 * len(raw_of(fits[3]))
    code = (
        "import pickle, sys; fit, new = pickle.load(open(sys.argv[1], 'rb')); "
        "print(fit.predict(new).map(float.hex).tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(fits[3].predict(new).map(float.hex).tolist())


@pytest.mark.r
def test_deep_copies_are_whole(fits: rb.MerModList) -> None:
    other = copy.deepcopy(fits)
    assert other == fits
    assert [raw_of(x) for x in other] == [raw_of(x) for x in fits]
    assert other[1].r is not fits[1].r
    one = copy.deepcopy(fits[2])
    assert raw_of(one) == raw_of(fits[2])


@pytest.mark.r
def test_samples_of_other_lengths(hsb: pd.DataFrame) -> None:
    samples = rb.BootstrapImputer(3, cluster="schid").impute(hsb, seed=1)
    fits = rb.Lmer(FORMULA).fit(samples)
    again = pickle.loads(pickle.dumps(fits))
    assert len({len(raw_of(x)) for x in fits}) > 1
    assert [raw_of(x) for x in again] == [raw_of(x) for x in fits]


@pytest.mark.r
@pytest.mark.processes
@pytest.mark.parametrize("return_objects", [True, False])
def test_fits_of_workers(return_objects: bool, imp: rb.ImputedData, fits: rb.MerModList) -> None:
    formula = fits[0].formula
    theirs = rb.Lmer(formula).fit(imp, n_jobs=2, return_objects=return_objects)
    carried = pickle.dumps(theirs)
    assert len(carried) < 1.2 * len(pickle.dumps(fits))
    again = pickle.loads(carried)
    assert again == fits
    new = imp[0].head(3)
    assert again[4].predict(new).equals(fits[4].predict(new))


@pytest.mark.r
def test_loaded_lists(fits: rb.MerModList, tmp_path: Path) -> None:
    loaded = rb.load(rb.save(fits, tmp_path / "fits.zip"), allow_r_object=True)
    assert len(pickle.dumps(loaded)) < 1.2 * len(pickle.dumps(fits))
    assert isinstance(loaded, rb.MerModList)
    assert [raw_of(x) for x in loaded] == [raw_of(x) for x in fits]


def test_compressed_bytes_are_a_value() -> None:
    one = Kin().compressed(b"abc")
    assert one == Compressed(one.data)
    assert "abc" not in repr(one)
