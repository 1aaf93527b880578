"""Saved files whose content was changed: refused when they are loaded, or as good as any other."""

from __future__ import annotations

import copy
import json
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb

pytestmark = [pytest.mark.r, pytest.mark.slow]

TRIES = int(os.environ.get("RBRIDGE_TAMPERED", "150"))  # per kind of result; `make fuzz`: 4000

ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2, 10**6, 10**30, "", "x", "NA", "missing", "(Intercept)", [], [1],
    {}, [[]], {"float": "nan"}, {"float": "x"}, {"tuple": []}, {"tuple": [1, "x"]}, {"map": []},
    {"map": [["a", 1]]}, {"same": 0}, {"same": 999}, {"printed": "x"},
    {"array": [{"dtype": "float64", "missing": []}, ["1.0"], [1]]},
    {"array": [{"dtype": "object", "missing": [0], "marks": ["None"]}, [""], [1]]},
    {"index": [{"dtype": "int64", "missing": []}, ["1", "1"], [None]]},
    {"range": [0, 3, 1, [None]]}, {"column": [{"dtype": "bool", "missing": []}, ["True"]]},
    {"dtype": [{"dtype": "int8", "missing": []}, []]}, {"error": ["FitError", "no"]},
]  # fmt: skip


class Random:
    """Choices by a seed."""

    def __init__(self, seed: int) -> None:
        self._of = np.random.default_rng(seed)

    def below(self, n: int) -> int:
        return int(self._of.integers(n))

    def one(self, of: Any) -> Any:
        return of[self.below(len(of))]


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    keys = node.keys() if isinstance(node, dict) else range(len(node))
    for key in list(keys):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from places(node[key])


def tamper_tree(tree: Any, random: Random) -> None:
    found = list(places(tree["result"]))
    node, key = random.one(found)
    kind = random.below(6)
    if kind == 0:
        del node[key]
    elif kind == 1:
        node[key] = copy.deepcopy(random.one(ODD))
    elif kind == 2:
        other, there = random.one(found)
        node[key] = copy.deepcopy(other[there])
    elif kind == 3 and isinstance(node, list):
        node.insert(key, copy.deepcopy(node[key]))
    elif kind == 4 and isinstance(node, dict):
        node[f"{key}x"] = node.pop(key)
    elif isinstance(node[key], list) and node[key]:
        del node[key][random.below(len(node[key])) :]
    elif isinstance(node[key], str):
        node[key] = node[key][::-1] + random.one(["", "9", "x"])
    else:
        node[key] = copy.deepcopy(random.one(ODD))


def tamper_table(text: bytes, random: Random) -> bytes:
    lines = text.split(b"\r\n")
    i = random.below(len(lines))
    kind = random.below(4)
    if kind == 0:
        del lines[i]
    elif kind == 1:
        lines.insert(i, lines[i])
    elif kind == 2:
        lines[i] = lines[i].partition(b",")[2]
    else:
        cells = lines[i].split(b",")
        cells[random.below(len(cells))] = random.one([b"", b"x", b"-1", b"1e999", b"2**70"])
        lines[i] = b",".join(cells)
    return b"\r\n".join(lines)


Accessor = Callable[[Any], Any]
OF_EACH: list[Accessor] = [str, repr, lambda x: x._repr_html_(), lambda x: x.summary()]
OF_FIT: list[Accessor] = [
    *OF_EACH, lambda x: x.fixef(), lambda x: x.ranef(), lambda x: x.varcorr(), lambda x: x.vcov(),
    lambda x: x.coef(), lambda x: x.model_info(), lambda x: x.tidy(), lambda x: x.glance(),
    lambda x: x.r2(), lambda x: x.fitted(), lambda x: x.residuals(), lambda x: x.theta,
    lambda x: x.beta, lambda x: (x.ngrps, x.dropped, x.optimizer_message, x.n_lvls, x.is_singular),
    lambda x: x == x, lambda x: x.anova(x), lambda x: x.predict(),
    lambda x: pickle.loads(pickle.dumps(x)),
]  # fmt: skip
OF_FITS: list[Accessor] = [
    *OF_EACH, *(lambda x, f=f: f(x) for f in OF_FIT[4:12]), lambda x: x.fixef(by_imputation=True),
    lambda x: x.ranef(by_imputation=True), lambda x: x.varcorr(by_imputation=True),
    lambda x: x.vcov(by_imputation=True), lambda x: x.coef(by_imputation=True),
    lambda x: x.tidy(by_imputation=True), lambda x: x.convergence(), lambda x: x.fitted(),
    lambda x: x.residuals(by_imputation=True), lambda x: (x.names, x["imp1"], x[0:1], x.failed),
]  # fmt: skip
OF_POOLED: list[Accessor] = [
    *OF_EACH, lambda x: x.test("ses = 0"), lambda x: x.contrast("ses"), lambda x: x.tidy(),
    lambda x: x.diagnostics, lambda x: x.ranef_intervals(), lambda x: x.advice,
    lambda x: x.fits[0].fixef(), lambda x: x.random, lambda x: x.r2,
]  # fmt: skip
OF_DATA: list[Accessor] = [
    *OF_EACH, list, lambda x: x[0], lambda x: x.missing(), lambda x: x.patterns(),
    lambda x: x.to_long(), lambda x: x.to_long(include=True), lambda x: x == x, lambda x: x.m,
    lambda x: x.assign(new=1.0),
]  # fmt: skip


@pytest.fixture(scope="module")
def results(hsb: pd.DataFrame) -> dict[str, tuple[Any, list[Accessor]]]:
    """Small ones, so that thousands can be tried: 8 schools, of text, numbers and holes."""
    small = hsb[hsb["schid"].isin(hsb["schid"].unique()[:8])].reset_index(drop=True)
    small = small.groupby("schid").head(12).reset_index(drop=True)
    sector = pd.Categorical(np.where(small["size"] > 1000, "large", "small"))
    small = small.assign(sector=sector, when=pd.Timestamp("2020-01-01"))
    holes = rb.ampute(small, prop=0.2, columns=["ses", "minority"], seed=1)
    model = rb.Lmer("mathach ~ ses + sector + (1 + ses | schid)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        imp = rb.AmeliaImputer(m=2, idvars=["schid", "meanses", "sector", "when"]).impute(
            holes, seed=1
        )
        fits = model.fit(imp)
        fit = model.fit(small)
        fit.r2()
        boot = rb.BootstrapImputer(m=2, cluster="schid").impute(holes, seed=1)
        frames = rb.ImputedData.from_frames([small, small.head(50)], kind="bootstrap")
        return {
            "fit": (fit, OF_FIT),
            "fits": (fits, OF_FITS),
            "pooled": (fits.pool(), OF_POOLED),
            "imputed": (imp, OF_DATA),
            "bootstrap": (boot, OF_DATA),
            "frames": (frames, OF_DATA),
        }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["fit", "fits", "pooled", "imputed", "bootstrap", "frames"])
def test_tampered_files_are_refused_or_whole(
    name: str, results: dict[str, tuple[Any, list[Accessor]]], tmp_path: Path
) -> None:
    """What is loaded has no accessor that fails with anything but an error of this library's."""
    result, accessors = results[name]
    path, tampered = rb.save(result, tmp_path / "a.zip", r_objects=False), tmp_path / "b.zip"
    for accessor in accessors:
        attempt(rb.load(path), accessor, "untouched")
    with zipfile.ZipFile(path) as archive:
        members = {x: archive.read(x) for x in archive.namelist()}
    tree = members.pop("result.json")
    refused = 0
    for seed in range(TRIES):
        random = Random(seed)
        changed, tables = json.loads(tree), dict(members)
        if tables and random.below(5) == 0:
            table = random.one(sorted(tables))
            tables[table] = tamper_table(tables[table], random)
        else:
            tamper_tree(changed, random)
        with zipfile.ZipFile(tampered, "w") as archive:
            archive.writestr("result.json", json.dumps(changed))
            for member, content in tables.items():
                archive.writestr(member, content)
        try:
            again = rb.load(tampered)
        except rb.RBridgeError:
            refused += 1
            continue
        for accessor in OF_ANY[type(again).__name__]:
            attempt(again, accessor, f"{name}, seed {seed}")
    assert refused > TRIES / 4


OF_ANY = {
    "MerMod": OF_FIT, "MerModList": OF_FITS, "PooledMerMod": OF_POOLED, "ImputedData": OF_DATA,
}  # fmt: skip


def attempt(result: Any, accessor: Accessor, where: str) -> None:
    try:
        accessor(result)
    except rb.RBridgeError:
        pass
    except Exception as error:
        raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error
