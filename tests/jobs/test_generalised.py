"""Jobs of generalised models, and the tables of tests, the random part and optimizers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.jobs import run_job
from tests.jobs.job_files import changed, doubles, mistakes_of, write

pytestmark = [pytest.mark.r, pytest.mark.slow]


def data_frame() -> pd.DataFrame:
    random = np.random.default_rng(1)
    group = np.repeat(np.arange(15), 12)
    x = random.normal(size=180)
    eta = 0.2 + x + random.normal(size=15)[group]
    event = (random.uniform(size=180) < 1 / (1 + np.exp(-eta))).astype(int)
    count = random.negative_binomial(2, 2 / (2 + np.exp(eta)))
    frame = pd.DataFrame({"g": [f"{i:02d}" for i in group], "x": x, "z": event, "y": count})
    return rb.ampute(frame, prop=0.1, columns=["x"], seed=1)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    data_frame().to_csv(tmp_path / "d.csv", index=False)
    return tmp_path


COLUMNS = {"columns": {"g": "text", "x": "float", "z": "integer", "y": "integer"}}
LOGIT = {"formula": "z ~ x + (1 | g)", "family": "binomial"}


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"{name}.csv", dtype=str)


def test_a_binomial_job_is_the_calls(place: Path) -> None:
    tables = ["fixed", "random", "r2", "anova", "diagnostics", "all_fit"]
    model: dict[str, Any] = {
        **LOGIT,
        "link": "probit",
        "control": {"optimizer": ["bobyqa", "bobyqa"]},
    }
    job = changed(
        data=COLUMNS,
        imputation={"engine": "compatible", "idvars": None, "max_iter": 60, "rhat": 5.0, "m": 4},
        model=model,
        output={"tables": tables},
    )
    done = run_job(write(place, job))
    frame = data_frame()
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    here = rb.Glmer(model["formula"], link="probit", control={"optimizer": ["bobyqa", "bobyqa"]})
    with pytest.warns(rb.RBridgeWarning, match="15 groups"):
        imp = rb.impute(frame, here, 4, seed=1, max_iter=60, rhat=5.0)
    fits = here.fit(imp)
    pooled = fits.pool()
    diagnostics = pooled.diagnostics().coefficients
    expected = {
        "fixed": pooled.fixed, "random": pooled.random, "r2": pooled.r2, "anova": pooled.anova(),
        "diagnostics": diagnostics, "all_fit": fits.all_fit(),
    }  # fmt: skip
    for name, table in expected.items():
        written = read(done.folder, name)
        assert list(written.columns) == list(table.columns), name
        for column in table.columns:
            values = table[column]
            if pd.api.types.is_float_dtype(values.dtype):
                there = written[column].replace("", np.nan)
                np.testing.assert_array_equal(doubles(there), values.to_numpy(), err_msg=column)
    record = json.loads((done.folder / "run.json").read_text())
    assert record["job"]["model"]["fitter"] == "glmer"
    assert record["job"]["pooling"]["dfcom"] is None
    summary = (done.folder / "summary.txt").read_text()
    assert summary.startswith("Generalized linear mixed model (binomial, probit), 4 fits pooled")


def test_a_negative_binomial_job_of_one_fit(place: Path) -> None:
    job = changed(
        data=COLUMNS,
        imputation=None,
        model={"formula": "y ~ x + (1 | g)", "fitter": "glmer.nb", "nAGQ": 0},
        output={"tables": ["fixed", "anova", "tidy"]},
    )
    job["imputation"] = {"engine": "none"}
    done = run_job(write(place, job))
    fit = rb.GlmerNb("y ~ x + (1 | g)", nAGQ=0).fit(data_frame().reset_index(drop=True))
    for name, table in {"fixed": fit.fixed(), "anova": fit.anova(), "tidy": fit.tidy()}.items():
        written = read(done.folder, name)
        assert list(written.columns) == list(table.columns), name
        for column in table.select_dtypes("float").columns:
            there = doubles(written[column].replace("", np.nan))
            np.testing.assert_array_equal(there, table[column].to_numpy(), err_msg=column)


@pytest.mark.parametrize(
    ("model", "key", "text"),
    [
        ({"reml": True}, "model.reml", "belongs to lmer, and this model is fitted by glmer"),
        ({"fitter": "lmer"}, "model.family", "belongs to glmer, and this model is fitted by lmer"),
        ({"fitter": "nlmer"}, "model.fitter", 'must be one of "lmer", "glmer", "glmer.nb"'),
        ({"nAGQ": -1}, "model.nAGQ", "must be a whole number of at least 0"),
        ({"link": "loglog"}, "model", "link must be one of "),
        ({"family": "system('x')"}, "model", "family \"system('x')\" is none of binomial"),
        ({"start": {"beta": [1]}}, "model.start", "must be numbers, or a table of theta and fixef"),
        ({"control": {"tolPwrss": 0}}, "model.control.tolPwrss", "a number above 0"),
    ],
)
def test_mistakes_are_listed(place: Path, model: dict[str, Any], key: str, text: str) -> None:
    job = changed(data=COLUMNS, imputation={"idvars": ["g"]}, model={**LOGIT, **model})
    mistakes = mistakes_of(write(place, job))
    assert text in mistakes[key], mistakes


def test_ratios_and_other_errors_of_coefficients(place: Path) -> None:
    imputation = {"engine": "amelia", "idvars": ["g", "y"]}
    job = changed(
        data=COLUMNS, imputation=imputation, model=LOGIT,
        pooling={"exponentiate": True}, output={"tables": ["fixed", "tidy"], "folder": "odds"},
    )  # fmt: skip
    odds = run_job(write(place, job))
    plain = run_job(write(place, {**job, "pooling": {}, "output": {"folder": "plain"}}))
    one, other = read(odds.folder, "fixed"), read(plain.folder, "fixed")
    # numpy's exp of the same numbers
    np.testing.assert_array_equal(doubles(one["estimate"]), np.exp(doubles(other["estimate"])))
    summary = (odds.folder / "summary.txt").read_text()
    assert "Fixed effects, exponentiated (95% intervals)" in summary
    linear = changed(
        data=COLUMNS, imputation=imputation, model={"formula": "y ~ x + (1 | g)"},
        pooling={"vcov": "kenward-roger", "dfcom": "kenward-roger"},
        output={"tables": ["fixed"], "folder": "adjusted"},
    )  # fmt: skip
    adjusted = read(run_job(write(place, linear)).folder, "fixed")
    usual = run_job(write(place, {**linear, "pooling": {}, "output": {"folder": "usual"}}))
    assert (doubles(adjusted["ubar"]) > doubles(read(usual.folder, "fixed")["ubar"])).all()
    wrong = changed(data=COLUMNS, model=LOGIT, imputation=imputation, pooling={"vcov": "robust"})
    assert "pooling.vcov" in mistakes_of(write(place, wrong))
