"""Jobs on data sets that were imputed elsewhere: one file holds all of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.jobs import run_job
from tests.jobs.job_files import EXAMPLES, mistakes_of, parsed, toml, write
from tests.jobs.test_asked import assert_written

pytestmark = [pytest.mark.r, pytest.mark.slow]

# Since 3.1 pandas reads numbers exactly by itself, and warns of the argument.
VERSION = tuple(int(x) for x in pd.__version__.split(".")[:2])
EXACT: dict[str, Any] = {} if VERSION >= (3, 1) else {"float_precision": "round_trip"}
FORMULA = "y ~ x + f + (1 | g)"
COLUMNS = {"g": "text", "x": "float", "f": "category", "n": "integer", "y": "float"}


def long_frame(*, original: bool = True, m: int = 4) -> pd.DataFrame:
    """Data sets under each other, as another program may have written them."""
    random = np.random.default_rng(5)
    group = np.repeat(np.arange(12), 8)
    x = random.normal(size=96)
    data = pd.DataFrame(
        {
            "g": [f"{i:02d}" for i in group],
            "x": x,
            "f": np.array(["a", "b"])[random.integers(0, 2, 96)],
            "n": random.integers(0, 9, 96),
            "y": 1 + x + random.normal(size=12)[group] + random.normal(size=96),
        }
    )
    holes = random.uniform(size=96) < 0.2
    frames = [data.assign(x=data["x"].where(~holes), n=data["n"].where(~holes))]
    for _ in range(m):
        filled = data["x"].where(~holes, random.normal(size=96))
        frames.append(data.assign(x=filled, n=data["n"].where(~holes, 3).astype(float)))
    long = pd.concat(frames, keys=range(m + 1), names=[".imp", ".id"]).reset_index()
    long[".id"] += 1
    return long if original else long[long[".imp"] > 0].reset_index(drop=True)


def job_of(**sections: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "data": {"path": "d.csv", "columns": COLUMNS},
        "imputation": {"engine": "given"},
        "model": {"formula": FORMULA},
        "output": {"folder": "out", "tables": ["fixed", "missing", "patterns"]},
    }
    for name, keys in sections.items():
        base[name] = {k: v for k, v in {**base.get(name, {}), **keys}.items() if v is not None}
    return base


def expected(long: pd.DataFrame, **names: Any) -> rb.ImputedData:
    typed = long.astype({"f": "category", "g": "string", "n": "Int64"})
    return rb.ImputedData.from_long(typed, **names)


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet", "feather"])
@pytest.mark.parametrize("original", [True, False])
def test_tables_hold_all_data_sets(tmp_path: Path, kind: str, original: bool) -> None:
    """With and without the data with their holes; pandas writes 3.0 where n has holes."""
    long = long_frame(original=original)
    names = {}
    if kind == "feather":  # under other names, and with ids that are texts
        long = long.rename(columns={".imp": "_mi_m", ".id": "case"})
        long["case"] = "r" + long["case"].astype(str)
        names = {"imp": "_mi_m", "id": "case"}
    path = tmp_path / f"d.{kind}"
    if kind.startswith("csv"):
        long.to_csv(path, index=False)
    else:
        getattr(long, f"to_{kind}")(path)
    job = job_of(data={"path": path.name}, imputation=names)
    done = run_job(write(tmp_path, job))
    imp = expected(long, **names)
    assert_written(done.folder / "fixed.csv", rb.Lmer(FORMULA).fit(imp).pool().fixed)
    missing = pd.read_csv(done.folder / "missing.csv").set_index("column")["n_missing"]
    assert missing.to_dict() == imp.original.isna().sum().to_dict()
    record = json.loads((done.folder / "run.json").read_text())
    assert record["seeds"] == {}
    assert record["imputation"]["m"] == 4
    columns = names or {"imp": ".imp", "id": ".id"}
    assert record["job"]["imputation"] == {"engine": "given", "arguments": columns}


def test_rows_may_be_told_by_their_places(tmp_path: Path) -> None:
    long = long_frame().drop(columns=".id")
    long.to_csv(tmp_path / "d.csv", index=False)
    done = run_job(write(tmp_path, job_of(imputation={"id": ""})))
    imp = expected(long, id=None)
    assert_written(done.folder / "fixed.csv", rb.Lmer(FORMULA).fit(imp).pool().fixed)
    long.loc[97, "y"] = 100.0
    long.to_csv(tmp_path / "d.csv", index=False)
    found = mistakes_of(write(tmp_path, job_of(imputation={"id": ""})))
    assert set(found) == {"imputation"}
    assert "has 100.0 in column 'y'" in found["imputation"]


@pytest.mark.parametrize("kind", ["stata", "spss", "r"])
def test_files_of_other_programs(tmp_path: Path, kind: str) -> None:
    imp = expected(long_frame())
    path = tmp_path / {"stata": "d.dta", "spss": "d.sav", "r": "d.rds"}[kind]
    if kind == "r":
        imp.to_r(path, "mitml.list")
    else:
        getattr(imp, f"to_{kind}")(path)
    job = job_of(data={"path": path.name, "columns": None}, output={"tables": ["fixed"]})
    done = run_job(write(tmp_path, job))
    again = rb.read_imputed(path)
    assert_written(done.folder / "fixed.csv", rb.Lmer(FORMULA).fit(again).pool().fixed)
    path.write_bytes(path.read_bytes()[:100])
    found = mistakes_of(write(tmp_path, job))
    assert set(found) == {"data.path"}
    assert found["data.path"].startswith(f"{path.name} ")  # no path of this machine


@pytest.mark.parametrize(
    ("sections", "found"),
    [
        ({"imputation": {"m": 5, "seed": 1, "isolate": True, "timeout": 3}},
         {f"imputation.{x}": "the data sets are there"
          for x in ("m", "seed", "isolate", "timeout")}),
        ({"imputation": {"trust": True}}, {"imputation.trust": "is not for job files"}),
        ({"imputation": {"imps": "a", "imp": 1}},
         {"imputation.imps": "did you mean 'imp'?", "imputation.imp": "must be a text"}),
        ({"data": {"path": "d.dta"}}, {"data.columns": "whose files say it"}),
        ({"data": {"path": "d.rds", "columns": None}, "imputation": {"engine": "none"},
          "output": {"tables": ["fixed"]}},
         {"data.format": 'with imputation.engine = "given" only'}),
    ],
)  # fmt: skip
def test_mistakes_in_the_file_s_keys(sections: dict[str, Any], found: dict[str, str]) -> None:
    told = parsed(toml(job_of(**sections)))[1]
    assert set(told) == set(found), told
    for key, text in found.items():
        assert text in told[key]


@pytest.mark.parametrize(
    ("change", "keys", "key", "text"),
    [
        (lambda d: d, {"imp": "_mi_m"}, "imputation.imp", 'names "_mi_m", which is no column'),
        (lambda d: d, {"id": "case"}, "imputation.id", 'names "case", which is no column'),
        (lambda d: d.assign(**{".imp": "a"}), {}, 'data.columns.".imp"', "integer takes whole"),
        (lambda d: d[d[".imp"] < 2], {}, "imputation", "must hold at least two"),
        (lambda d: d.drop(index=100), {}, "imputation", "rows"),
        (lambda d: d[d[".imp"] == 0], {}, "imputation", "no data set but the one with holes"),
        (lambda d: d.assign(n="x"), {}, "data.columns.n", "integer takes whole numbers"),
        (lambda d: d.drop(columns="f"), {}, "data.columns.f", "is no column of the file"),
    ],
)
def test_what_the_file_lacks_is_told_before_any_work(
    tmp_path: Path, change: Any, keys: dict[str, Any], key: str, text: str
) -> None:
    change(long_frame()).to_csv(tmp_path / "d.csv", index=False)
    found = mistakes_of(write(tmp_path, job_of(imputation=keys)))
    assert text in found[key], found
    assert not (tmp_path / "out").exists()


def test_a_given_file_is_checked_with_the_model(tmp_path: Path) -> None:
    long_frame().to_csv(tmp_path / "d.csv", index=False)
    job = job_of(model={"formula": "y ~ q + (1 | g)", "weights": "w", "tests": "x = 0"})
    found = mistakes_of(write(tmp_path, job))
    assert set(found) == {"model.formula", "model.weights"}
    job = job_of(model={"tests": ["fa = 0"], "emmeans": {"q": {"specs": "g"}}})
    assert set(mistakes_of(write(tmp_path, job))) == {"model.tests", "model.emmeans.q.specs"}


# -- the example ------------------------------------------------------------------------------


def test_the_example_of_several_models_is_the_calls(tmp_path: Path) -> None:
    """It runs as its own comments say, and gives what the calls give."""
    for name in ("hsb_models.toml", "make_imputed_hsb.py"):
        shutil.copy(EXAMPLES / name, tmp_path / name)
    subprocess.run([sys.executable, "make_imputed_hsb.py"], cwd=tmp_path, check=True)
    # The first 40 of the 160 schools, for the time that the calls take once more.
    path = tmp_path / "hsb_imputed.csv.gz"
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows[rows["schid"].isin(rows["schid"].unique()[:40])].to_csv(path, index=False)
    done = run_job(tmp_path / "hsb_models.toml")
    typed = {"schid": "string", "sector": pd.CategoricalDtype(["public", "catholic"])}
    typed |= {"minority": "Int64", "female": "Int64"}
    long = pd.read_csv(path, dtype={"schid": str}, **EXACT)
    imp = rb.ImputedData.from_long(long.astype(typed))
    models = {
        "schools": "mathach ~ minority + female + ses * sector + meanses + (1 | schid)",
        "pupils": "mathach ~ minority + female + ses + (1 | schid)",
        "slopes": "mathach ~ minority + female + ses + (1 + ses | schid)",
    }
    fits = {name: rb.Lmer(formula).fit(imp) for name, formula in models.items()}
    pooled = {name: x.pool(dfcom="residual") for name, x in fits.items()}
    for name, of_model in pooled.items():
        assert_written(done.folder / name / "fixed.csv", of_model.fixed)
        assert_written(done.folder / name / "random.csv", of_model.random)
    schools = pooled["schools"]
    tests = [schools.test(x) for x in ("ses = meanses", "minority = 0, female = 0")]
    folder = done.folder / "schools"
    assert_written(folder / "tests.csv", pd.concat(tests), hypothesis=["contextual", "pupils"])
    means = schools.emmeans("sector", at={"meanses": 0})
    assert_written(folder / "emmeans_sector.csv", means)
    difference = schools.emmeans("sector", contrast="pairwise", adjust="none")
    assert_written(folder / "emmeans_difference.csv", difference)
    assert_written(folder / "emtrends_ses.csv", schools.emtrends("sector", "ses"))
    with pytest.warns(rb.RBridgeWarning, match="refitted by maximum likelihood"):
        rows = [
            rb.compare(fits["schools"], fits["pupils"], dfcom="residual"),
            rb.compare(fits["slopes"], fits["pupils"], "D3"),
        ]
    assert_written(
        done.folder / "comparisons.csv",
        pd.concat(x.assign(note=x.attrs.get("note", "")) for x in rows),
        comparison=["school_level", "random_slopes"], full=["schools", "slopes"],
        reduced=["pupils", "pupils"],
    )  # fmt: skip
