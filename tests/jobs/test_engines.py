"""Engines in jobs: the same data sets as the calls, and mistakes in their arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.cli import main
from rbridge_mi.jobs import run_job
from tests.jobs.job_files import JOB, changed, data_frame, doubles, mistakes_of, toml, write

pytestmark = [pytest.mark.r, pytest.mark.slow]


@pytest.mark.parametrize(
    "keys",
    [
        {"engine": "none", "m": None, "seed": None, "idvars": None},
        {"engine": "bootstrap", "idvars": None, "cluster": "g"},
        {"engine": "auto"},
        {"engine": "auto", "cluster": "g"},
    ],
    ids=["none", "bootstrap", "auto", "auto with a cluster"],
)
def test_other_engines(place: Path, keys: dict[str, Any]) -> None:
    done = run_job(write(place, changed(imputation=keys)))
    record = json.loads((done.folder / "run.json").read_text())
    terms = pd.read_csv(done.folder / "fixed.csv")["term"].tolist()
    assert terms == ["(Intercept)", "x", "z"]
    if keys["engine"] == "none":
        assert record["seeds"] == {}
        expected = rb.Lmer(JOB["model"]["formula"]).fit(data_frame()).fixef()
        got = pd.read_csv(done.folder / "fixed.csv", dtype=str)
        assert doubles(got["estimate"]).tolist() == expected["estimate"].tolist()
    else:
        assert record["imputation"]["kind"] == (
            "bootstrap" if keys["engine"] == "bootstrap" else "imputation"
        )


COMPATIBLE: dict[str, Any] = {"engine": "compatible", "idvars": None, "max_iter": 60}


def test_a_job_may_impute_from_its_model(place: Path) -> None:
    """The data sets of a call, the convergence table and, where it is named, the trace."""
    keys = {
        **COMPATIBLE,
        "rhat": 5.0,
        "min_iter": 60,
        "transforms": {"x": "identity"},
        "types": {"z": "continuous"},
        "levels": {"x": ""},
        "bounds": {"z": [0, float("inf")]},
    }
    text = toml(changed(imputation=keys, output={"imputed": True})).replace("Infinity", "inf")
    done = run_job(write(place, text))
    frame = data_frame()
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    model = rb.Lmer(JOB["model"]["formula"])
    with pytest.warns(rb.RBridgeWarning):
        imp = rb.impute(
            frame,
            model,
            2,
            seed=1,
            rhat=5.0,
            min_iter=60,
            max_iter=60,
            transforms={"x": "identity"},
            types={"z": "continuous"},
            levels={"x": None},
            bounds={"z": (0, None)},
        )
    long = pd.read_csv(done.folder / "imputed.csv", dtype=str)
    assert doubles(long["x"]).tolist() == imp.to_long()["x"].tolist()
    assert doubles(long["z"]).min() >= 0
    table = pd.read_csv(done.folder / "convergence_chains.csv", dtype=str)
    assert table["parameter"].tolist() == imp.convergence()["parameter"].tolist()
    assert doubles(table["rhat"]).tolist() == imp.convergence()["rhat"].tolist()
    assert "trace.csv" not in done.files
    summary = (done.folder / "summary.txt").read_text()
    assert "compatible: 2 imputed data sets, seed 1" in summary
    assert "Chains: 2, of 60 iterations; worst R-hat" in summary
    record = json.loads((done.folder / "run.json").read_text())
    assert record["imputation"]["chain_lengths"] == [60, 60]
    job = write(place, changed(imputation=COMPATIBLE, output={"tables": ["trace"]}))
    done = run_job(job)
    trace = pd.read_csv(done.folder / "trace.csv")
    assert list(trace.columns) == ["imputation", "iteration", "parameter", "value"]
    assert trace["iteration"].max() == 60


def test_without_m_the_model_chooses_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = changed(imputation={**COMPATIBLE, "m": None}, output={"tables": ["fixed"]})
    assert main(["run", str(write(place, job))]) == 0
    said = capsys.readouterr().err
    assert "imputing: compatible, m chosen by a pilot, seed 1" in said
    assert "was chosen after a pilot of 20" in said
    record = json.loads((place / "out" / "run.json").read_text())
    assert record["imputation"]["m"] >= 20
    assert len(record["fits"]) == record["imputation"]["m"]


@pytest.mark.parametrize(
    ("keys", "where", "said"),
    [
        ({"idvars": ["g"]}, "idvars", "no key that is known here"),
        ({"isolate": True}, "isolate", "runs no R"),
        ({"model": "y ~ x"}, "model", "is what [model] has"),
        ({"rhat": 1}, "rhat", "must be a number above 1"),
        ({"max_iter": 5}, "max_iter", "a whole number of at least 25"),
        ({"types": "count"}, "types", "must be a table of columns"),
        ({"types": {"z": "poisson"}}, "types", 'has "z", whose value must be one of'),
        ({"bounds": {"z": [0]}}, "bounds", "must be a list of two numbers"),
        ({"levels": {"z": 1}}, "levels", "must be a text"),
        ({"derived": {"z": ["sum", "x", "g"]}}, "derived", 'must be ["mean", column, group]'),
        ({"transforms": {"q": "log"}}, "transforms", 'names "q", which is no column'),
        ({"auxiliary": ["q"]}, "auxiliary", 'names "q", which is no column'),
        ({"family": "binomial", "m": None}, "m", "is missing: a whole number"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_mistakes_in_the_arguments_of_the_compatible_engine(
    place: Path, keys: dict[str, Any], where: str, said: str
) -> None:
    job = write(place, changed(imputation={**COMPATIBLE, **keys}))
    found = mistakes_of(job)
    assert said in found[f"imputation.{where}"]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"levels": {"x": "g"}}, "column 'x' is to have one value in each group of 'g'"),
        ({"levels": {"x": "school"}}, "levels gives 'x' 'school'"),
        ({"derived": {"z": "system('false')"}}, "system"),
        ({"derived": {"z": ["mean", "w", "g"]}}, "no column 'w'"),
    ],
    ids=["refused", "no factor", "code", "no column"],
)
def test_what_the_plan_refuses_is_told_before_any_work(
    place: Path, keys: dict[str, Any], said: str
) -> None:
    found = mistakes_of(write(place, changed(imputation={**COMPATIBLE, **keys})))
    assert said in found["imputation"]


MICE: dict[str, Any] = {
    "engine": "mice",
    "idvars": None,
    "maxit": 2,
    "method": {"x": "2l.lmer", "z": "pmm"},
    "predictorMatrix": {"x": {"g": -2, "y": 2}, "z": {"g": 0}},
    "post": {"x": "imp[[j]][, i] <- squeeze(imp[[j]][, i], c(-1, 1))"},
    "visitSequence": ["z", "x"],
    "blots": {"z": {"donors": 3}},
}


def test_a_job_may_impute_by_mice(place: Path) -> None:
    """The same data sets as the call."""
    done = run_job(write(place, changed(imputation=MICE, output={"imputed": True})))
    long = pd.read_csv(done.folder / "imputed.csv", dtype=str)
    data = data_frame().astype({"g": str, "z": "Int64"})
    imp = rb.MiceImputer(
        2,
        maxit=2,
        method=MICE["method"],
        predictor_matrix=MICE["predictorMatrix"],
        post=MICE["post"],
        visit_sequence=["z", "x"],
        blots=MICE["blots"],
    ).impute(data, seed=1)
    for number, frame in enumerate(imp, 1):
        theirs = long[long.iloc[:, 0] == str(number)]
        for name in ("x", "z"):  # read with every bit, which pandas 2 doesn't do
            np.testing.assert_array_equal(theirs[name].astype(float), frame[name].astype(float))


@pytest.mark.parametrize(
    ("keys", "where", "said"),
    [
        ({"method": {"x": 1}}, ".method", "must be a text"),
        ({"method": 3}, ".method", "must be a list of methods"),
        ({"predictorMatrix": {"x": {"g": "class"}}}, ".predictorMatrix", "must be a whole number"),
        ({"defaultMethod": ["pmm"]}, ".defaultMethod", "must be a list of 4 texts"),
        ({"blocks": [1]}, ".blocks", "must be a table of columns"),
        ({"blots": {"x": {"ums": [1, "a"]}}}, ".blots", "a number, a text, true or false"),
        ({"where": "some"}, ".where", "must be one of"),
        ({"ignore": [True]}, ".ignore", "has a value for each row"),
        ({"seed": "x"}, ".seed", "must be a whole number"),
        ({"seed": None}, ".seed", "is missing"),
        ({"printFlag": True}, ".printFlag", "prints"),
        ({"data.init": 1}, ".data.init", "is a frame"),
        ({"donor": 3}, ".donor", "did you mean 'donors'?"),
        ({"predictorMatrix": None}, "", "2l.lmer needs one class"),
        ({"method": {"q": "pmm"}}, "", "method names 'q'"),
    ],
    ids=str,
)
def test_mistakes_in_the_arguments_of_mice(
    place: Path, keys: dict[str, Any], where: str, said: str
) -> None:
    found = mistakes_of(write(place, changed(imputation={**MICE, **keys})))
    assert said in found[f"imputation{where}"]


def test_a_job_may_not_run_code_by_mice(place: Path) -> None:
    plain = dict.fromkeys(("method", "predictorMatrix", "visitSequence", "blots"))
    for keys in (
        {"post": {"x": "system('touch PWNED')"}},
        {**plain, "method": {"x": "~ I(system('touch PWNED'))"}},
        {**plain, "formulas": {"x": "x ~ system('touch PWNED')"}},
    ):
        with pytest.raises(rb.RBridgeError, match=r"system|must assign"):
            run_job(write(place, changed(imputation={**MICE, **keys})))
        assert not [*place.rglob("PWNED")] and not Path("PWNED").exists()


def test_a_job_may_derive_columns(place: Path) -> None:
    """As R expressions and group means; their values are those of the completed columns."""
    frame = data_frame()
    mean = frame.groupby("g")["x"].transform("mean")
    frame.assign(square=frame["x"] ** 2, mean=mean).to_csv(place / "d.csv", index=False)
    columns = {**JOB["data"]["columns"], "square": "float", "mean": "float"}
    derived = {"square": "x^2", "mean": ["mean", "x", "g"]}
    job = changed(
        data={"columns": columns},
        imputation={**COMPATIBLE, "derived": derived},
        model={"formula": "y ~ x + square + mean + (1 | g)"},
        output={"imputed": True},
    )
    done = run_job(write(place, job))
    long = pd.read_csv(done.folder / "imputed.csv")
    np.testing.assert_allclose(long["square"], long["x"] ** 2)
    means = long.groupby([long.columns[0], "g"])["x"].transform("mean")
    np.testing.assert_allclose(long["mean"], means)


@pytest.mark.parametrize(
    "keys",
    [
        {"clus": "g", "Y": ["x", "z"], "X": ["y"], "l1cov.prior": [[2.0, 0.5], [0.5, 1.0]],
         "meth": "random", "a_prior": 4},
        {"model": "y ~ x + (1 | g)", "auxiliary": ["z"], "levels": {"z": ""}, "scale": False},
    ],
    ids=["joint", "model"],
)  # fmt: skip
def test_a_job_may_impute_by_jomo(place: Path, keys: dict[str, Any]) -> None:
    """The data sets of a call with the same arguments."""
    engine = {"engine": "jomo", "idvars": None, "nburn": 10, "nbetween": 5, **keys}
    job = changed(imputation=engine, output={"imputed": True})
    done = run_job(write(place, job))
    arguments = {name.replace(".", "_"): value for name, value in keys.items()}
    if "levels" in arguments:
        arguments["levels"] = {"z": None}
    imputer = rb.JomoImputer(2, nburn=10, nbetween=5, **arguments)
    with pytest.warns(rb.RBridgeWarning, match="z: Int64 became Float64"):
        imp = imputer.impute(data_frame(), seed=1)
    long = pd.read_csv(done.folder / "imputed.csv", dtype=str)
    for i, part in enumerate(imp, start=1):
        rows = long[long.iloc[:, 0] == str(i)]
        assert doubles(rows["x"]).tolist() == part["x"].tolist()


@pytest.mark.parametrize(
    ("keys", "key", "said"),
    [
        ({"Y": ["gone"]}, "imputation.Y", "gone"),
        ({"clus": "g", "meth": "wild"}, "imputation.meth", "common"),
        ({"nburn": 0}, "imputation.nburn", "whole number"),
        ({"l1cov.prior": 3}, "imputation.l1cov.prior", "rows"),
        ({"output": 1}, "imputation.output", "prints"),
        ({"Y": ["x"], "l1cov.prior": [[-1.0]]}, "imputation", "covariances"),
        ({"auxiliary": ["x"]}, "imputation", "needs model="),
    ],
)
def test_mistakes_in_the_arguments_of_jomo(
    place: Path, keys: dict[str, Any], key: str, said: str
) -> None:
    found = mistakes_of(
        write(place, changed(imputation={"engine": "jomo", "idvars": None, **keys}))
    )
    assert said in found[key]
