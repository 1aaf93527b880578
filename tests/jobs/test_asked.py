"""Jobs that ask for more than tables of one model: tests, means, several models, comparisons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.jobs import JobError, run_job
from tests.jobs.job_files import changed, doubles, mistakes_of, parsed, toml, write

pytestmark = [pytest.mark.r, pytest.mark.slow]

COLUMNS = {"g": "text", "x": "float", "z": "float", "f": "category", "y": "float"}
FULL = "y ~ x + z + f + (1 | g)"
NONE = {"engine": "none", "m": None, "seed": None, "idvars": None}


def data_frame() -> pd.DataFrame:
    random = np.random.default_rng(3)
    group = np.repeat(np.arange(14), 10)
    x, z = random.normal(size=140), random.normal(size=140)
    f = np.array(["a", "b", "c"])[random.integers(0, 3, 140)]
    y = 1 + x + 0.2 * (f == "c") + random.normal(size=14)[group] + random.normal(size=140)
    frame = pd.DataFrame({"g": [f"{i:02d}" for i in group], "x": x, "z": z, "f": f, "y": y})
    return rb.ampute(frame, prop=0.15, columns=["x", "z"], seed=2)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    data_frame().to_csv(tmp_path / "d.csv", index=False)
    return tmp_path


def job_of(**sections: Any) -> dict[str, Any]:
    """A job on these data, of one model with everything asked that there is."""
    base: dict[str, Any] = {
        "data": {"columns": COLUMNS},
        "imputation": {"idvars": ["g"], "noms": ["f"], "m": 4},
        "model": {"formula": FULL},
        "output": {"tables": ["fixed", "missing"]},
    }
    for name, keys in sections.items():
        base[name] = None if keys is None else {**(base.get(name) or {}), **keys}
    return changed(**base)


def models_of(models: dict[str, dict[str, Any]], **sections: Any) -> dict[str, Any]:
    job = job_of(**sections)
    del job["model"]
    return {**job, "models": models}


def imputed() -> rb.ImputedData:
    frame = data_frame().astype({"g": "string"})
    frame["f"] = frame["f"].astype("category")
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return rb.AmeliaImputer(m=4, idvars="g", noms="f").impute(frame, seed=1)


def frame_of_job() -> pd.DataFrame:
    frame = data_frame()
    return frame.assign(f=frame["f"].astype("category"))


def assert_written(path: Path, table: pd.DataFrame, **first: list[str]) -> None:
    """The file holds the table's columns, values and bits, after the columns of `first`."""
    got = pd.read_csv(path, dtype=str, keep_default_na=False)
    for i, (name, values) in enumerate(first.items()):
        assert got.columns[i] == name
        assert got[name].tolist() == values
    got = got.iloc[:, len(first) : len(first) + len(table.columns)]
    assert list(got.columns) == list(table.columns)
    assert len(got) == len(table)
    for column in table.columns:
        if pd.api.types.is_float_dtype(table[column].dtype):
            np.testing.assert_array_equal(
                doubles(got[column].replace("", "nan")), table[column].to_numpy(), err_msg=column
            )
        else:
            assert got[column].tolist() == [str(x) for x in table[column]], column


# -- hypotheses, means and slopes of one model ------------------------------------------------

ASKED: dict[str, Any] = {
    "tests": {"slopes": "x = 0, z = 0", "same": "x = z"},
    "emmeans": {
        "f": {"specs": ["f"]},
        "pairs": {"specs": "f", "contrast": "pairwise", "adjust": "holm", "conf_level": 0.9},
        "at_x": {"specs": ["f", "x"], "at": {"x": [-1, 0.5]}, "cov.keep": "z"},
        "own": {"specs": ["f"], "contrast": {"mean": [0.5, 0, 0.5], "c - a": {"c": 1, "a": -1}}},
        "dunnett": {"specs": ["f"], "contrast": "trt.vs.ctrl", "ref": 2},
    },
    "emtrends": {"x": {"specs": ["f"], "var": "x", "at": {"f": ["a", "c"]}}},
}
MEANS: dict[str, dict[str, Any]] = {
    "emmeans_f": {"specs": ["f"]},
    "emmeans_pairs": {"specs": "f", "contrast": "pairwise", "adjust": "holm", "conf_level": 0.9},
    "emmeans_at_x": {"specs": ["f", "x"], "at": {"x": [-1.0, 0.5]}, "cov_keep": "z"},
    "emmeans_own": {
        "specs": ["f"],
        "contrast": {"mean": [0.5, 0, 0.5], "c - a": {"c": 1, "a": -1}},
    },
    "emmeans_dunnett": {"specs": ["f"], "contrast": "trt.vs.ctrl", "ref": 2},
    "emtrends_x": {"specs": ["f"], "var": "x", "at": {"f": ["a", "c"]}},
}


def test_what_a_pooled_model_is_asked_is_what_it_answers(place: Path) -> None:
    job = job_of(
        model={"formula": "y ~ x * f + z + (1 | g)", **ASKED}, pooling={"conf_level": 0.99}
    )
    done = run_job(write(place, job))
    model = rb.Lmer("y ~ x * f + z + (1 | g)")
    pooled = model.fit(imputed()).pool(conf_level=0.99)
    tests = [pooled.test(x) for x in ("x = 0, z = 0", "x = z")]
    assert_written(done.folder / "tests.csv", pd.concat(tests), hypothesis=["slopes", "same"])
    for name, arguments in MEANS.items():
        table = getattr(pooled, name.split("_")[0])(**arguments)
        assert_written(done.folder / f"{name}.csv", table)
    written = {f"{x}.csv" for x in (*MEANS, "tests", "fixed", "missing")}
    assert set(done.files) == {*written, "summary.txt", "run.json"}
    record = json.loads((done.folder / "run.json").read_text())
    assert "holm" in record["notes"]["emmeans_pairs"]
    assert record["job"]["model"]["tests"] == ASKED["tests"]
    assert record["job"]["model"]["means"]["emtrends_x"]["arguments"]["var"] == "x"


def test_what_one_fit_is_asked_is_what_it_answers(place: Path) -> None:
    asked = {**ASKED, "tests": ["x = z", "fb = 0, fc = 0"]}
    for name, pooling, dfcom in (
        ("plain", {}, "residual"),
        ("small", {"dfcom": "kenward-roger", "conf_level": 0.9}, "kenward-roger"),
    ):
        job = job_of(
            imputation={**NONE, "noms": None},
            model={"formula": "y ~ x * f + z + (1 | g)", **asked},
            pooling=pooling, output={"folder": name},
        )  # fmt: skip
        done = run_job(write(place, job))
        fit = rb.Lmer("y ~ x * f + z + (1 | g)").fit(frame_of_job())
        tests = pd.concat([fit.test(x, dfcom=dfcom) for x in asked["tests"]])
        assert_written(done.folder / "tests.csv", tests, hypothesis=asked["tests"])
        for table, arguments in MEANS.items():
            level = {"conf_level": pooling.get("conf_level", 0.95)}
            expected = getattr(fit, table.split("_")[0])(**{**level, **arguments}, dfcom=dfcom)
            assert_written(done.folder / f"{table}.csv", expected)


@pytest.mark.parametrize(
    ("asked", "key", "text"),
    [
        ({"tests": ["x = q"]}, "tests", "expected a number or one of the terms"),
        ({"tests": {"odd one": "x = q"}}, 'tests."odd one"', "expected a number or one of"),
        ({"tests": ["x = 0, 2*x = 0"]}, "tests", "follow"),
        ({"tests": "x * z = 0"}, "tests", "can't be multiplied"),
        ({"tests": []}, "tests", "must be a list of hypotheses"),
        ({"tests": {"a": 1}}, "tests", "must be hypotheses by name"),
        ({"tests": [["x = 0"]]}, "tests", "an item must be a text"),
        ({"emmeans": {"a": {}}}, "emmeans.a.specs", "is missing: names of factors"),
        ({"emmeans": {"a": {"specs": "q"}}}, "emmeans.a.specs", 'names "q", which is no column'),
        ({"emmeans": {"a": {"specs": "g"}}}, "emmeans.a.specs", 'names "g", which is no column'),
        ({"emmeans": {"../a": {"specs": "f"}}}, 'emmeans."../a"', "is no name for files"),
        ({"emmeans": {"a": {"specs": "f"}, "A": {"specs": "f"}}}, "emmeans", "one name to some"),
        ({"emmeans": {"a": {"specs": "f", "at": {"w": 1}}}}, "emmeans.a.at", 'names "w"'),
        ({"emmeans": {"a": {"specs": "f", "at": 1}}}, "emmeans.a.at", "values of columns"),
        ({"emmeans": {"a": {"specs": "f", "by": "w"}}}, "emmeans.a.by", 'names "w"'),
        (
            {"emmeans": {"a": {"specs": "f", "contrast": "pairs"}}},
            "emmeans.a",
            "is none of emmeans",
        ),
        ({"emmeans": {"a": {"specs": "f", "contrast": {"q": []}}}}, "emmeans.a", "a finite number"),
        (
            {"emmeans": {"a": {"specs": "f", "adjust": "tuky"}}},
            "emmeans.a",
            "did you mean 'tukey'?",
        ),
        ({"emmeans": {"a": {"specs": "f", "dfcom": 3}}}, "emmeans.a.dfcom", "is [pooling] dfcom"),
        ({"emmeans": {"a": {"specs": "f", "var": "x"}}}, "emmeans.a.var", "belongs to emtrends"),
        ({"emmeans": {"a": {"specs": "f", "regrid": "log"}}}, "emmeans.a", "would not be linear"),
        ({"emmeans": {"a": {"specs": "f", "weights": {"f": 1}}}}, "emmeans.a.weights", "a number"),
        ({"emmeans": {"a": {"specs": "f", "conf_level": 95}}}, "emmeans.a.conf_level", "between 0"),
        ({"emtrends": {"a": {"specs": "f"}}}, "emtrends.a.var", "is missing: the covariate"),
        ({"emtrends": {"a": {"specs": "f", "var": "f"}}}, "emtrends.a.var", '"f" is no numeric'),
        ({"emtrends": {"a": {"specs": "f", "var": "system('x')"}}}, "emtrends.a.var", "no numeric"),
        ({"emtrends": {"a": 1}}, "emtrends.a", "must be a table"),
    ],
)
def test_mistakes_in_what_is_asked_are_told_before_any_work(
    place: Path, asked: dict[str, Any], key: str, text: str
) -> None:
    found = mistakes_of(write(place, job_of(model={"formula": FULL, **asked})))
    assert set(found) == {f"model.{key}"}, found
    assert text in found[f"model.{key}"]


def test_all_mistakes_in_what_is_asked_are_told_at_once(place: Path) -> None:
    asked = {
        "tests": ["x = q", "z = r"],
        "emmeans": {"a": {"specs": "q"}, "b": {"specs": "f", "type": "ratio"}},
        "emtrends": {"c": {"specs": "f", "var": "q"}},
    }
    with pytest.raises(JobError) as caught:
        run_job(write(place, job_of(model={"formula": FULL, **asked})))
    keys = [key for key, _ in caught.value.mistakes]
    assert keys == [
        "model.tests", "model.tests", "model.emmeans.a.specs", "model.emmeans.b",
        "model.emtrends.c.var",
    ]  # fmt: skip
    assert not (place / "out").exists()


def test_what_only_the_fits_show_is_told_with_its_key(place: Path) -> None:
    asked = {"emmeans": {"a": {"specs": "f", "contrast": {"q": [1, -1]}}}}
    with pytest.raises(JobError, match=r"model\.emmeans\.a: contrast 'q' has 2 coefficients"):
        run_job(write(place, job_of(model={"formula": FULL, **asked})))
    assert not (place / "out").exists()


def test_bootstrap_samples_have_means_and_no_joint_tests(place: Path) -> None:
    keys = {"engine": "bootstrap", "idvars": None, "noms": None, "m": 4}
    model = {"formula": FULL, "emmeans": {"f": {"specs": "f"}}}
    done = run_job(write(place, job_of(imputation=keys, model=model)))
    assert "emmeans_f.csv" in done.files
    found = mistakes_of(write(place, job_of(imputation=keys, model={**model, "tests": "x = 0"})))
    assert set(found) == {"model.tests"}
    assert "bootstrap samples don't have" in found["model.tests"]


# -- several models -----------------------------------------------------------------------------

SMALL = "y ~ x + (1 | g)"


def test_several_models_have_folders_and_are_compared(place: Path) -> None:
    job = models_of(
        {
            "big": {"formula": FULL, "tests": ["x = z"]},
            "small": {"formula": SMALL},
            "slopes": {"formula": "y ~ x + (1 + x | g)"},
        },
        comparisons={
            "fixed part": {"full": "big", "reduced": "small"},
            "rough": {"full": "big", "reduced": "small", "method": "D2", "use": "likelihood"},
            "random part": {"full": "slopes", "reduced": "small", "method": "D4", "robust": True},
        },
        pooling={"dfcom": 100},
        output={"formats": ["csv", "feather"], "imputed": True},
    )
    done = run_job(write(place, job))
    fits = {name: rb.Lmer(x["formula"]).fit(imputed()) for name, x in job["models"].items()}
    for name, of_model in fits.items():
        assert_written(done.folder / name / "fixed.csv", of_model.pool(dfcom=100).fixed)
        typed = pd.read_feather(done.folder / name / "fixed.feather")
        pd.testing.assert_frame_equal(typed, of_model.pool(dfcom=100).fixed, check_exact=True)
        assert (done.folder / name / "summary.txt").exists()
    with pytest.warns(rb.RBridgeWarning):
        rows = [
            rb.compare(fits["big"], fits["small"], dfcom=100),
            rb.compare(fits["big"], fits["small"], "D2", use="likelihood"),
            rb.compare(fits["slopes"], fits["small"], "D4", robust=True),
        ]
    assert_written(
        done.folder / "comparisons.csv",
        pd.concat(x.assign(note=x.attrs["note"]) for x in rows),
        comparison=["fixed part", "rough", "random part"],
        full=["big", "big", "slopes"],
        reduced=["small"] * 3,
    )
    top = {x.name for x in done.folder.iterdir()}
    assert top == {
        "big", "small", "slopes", "run.json", "missing.csv", "missing.feather", "imputed.csv",
        "imputed.feather", "comparisons.csv", "comparisons.feather",
    }  # fmt: skip
    record = json.loads((done.folder / "run.json").read_text())
    assert set(record["files"]) == {
        x.relative_to(done.folder).as_posix() for x in done.folder.rglob("*") if x.is_file()
    } - {"run.json"}
    assert "big/tests.csv" in record["files"]
    assert [len(x["fits"]) for x in record["models"].values()] == [4, 4, 4]
    assert list(record["job"]["models"]) == list(fits)
    assert any(x.startswith("slopes: ") for x in record["warnings"])
    # The folder is replaced as a whole, unless something else is in it.
    again = run_job(write(place, job))
    assert again.files == done.files
    assert json.loads((done.folder / "run.json").read_text())["files"] == record["files"]
    (done.folder / "big" / "mine.txt").write_text("x")
    assert '"big/mine.txt"' in mistakes_of(place / "job.toml")["output.folder"]
    (done.folder / "big" / "mine.txt").unlink()
    (done.folder / "big" / "empty").mkdir()
    assert '"big/empty"' in mistakes_of(place / "job.toml")["output.folder"]


def test_single_fits_are_compared_by_their_likelihood_ratio(place: Path) -> None:
    frame_of_job().dropna().to_csv(place / "d.csv", index=False)
    job = models_of(
        {"big": {"formula": FULL}, "small": {"formula": SMALL}},
        imputation={**NONE, "noms": None},
        comparisons={"all": {"full": "big", "reduced": "small"}},
    )
    done = run_job(write(place, job))
    data = frame_of_job().dropna().reset_index(drop=True)
    big, small = (rb.Lmer(x).fit(data) for x in (FULL, SMALL))
    expected = big.anova(small)[["statistic", "df", "p_value"]].tail(1)
    assert_written(
        done.folder / "comparisons.csv",
        expected.assign(note="fits by REML were refitted by maximum likelihood"),
        comparison=["all"], full=["big"], reduced=["small"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sections", "found"),
    [
        ({"model": {"formula": SMALL}}, {"model": "take one of both"}),
        ({"models": {}}, {"models": "is empty"}),
        ({"models": 3}, {"models": "must be a table"}),
        ({"models": {"a b": {"formula": SMALL}}}, {'models."a b"': "is no name for files"}),
        ({"models": {"..": {"formula": SMALL}}}, {'models.".."': "is no name for files"}),
        ({"models": {"a/b": {"formula": SMALL}}}, {'models."a/b"': "is no name for files"}),
        ({"models": {"Imputed": {"formula": SMALL}}}, {"models.Imputed": "what the run itself"}),
        ({"models": {"missing": {"formula": SMALL}}}, {"models.missing": "what the run itself"}),
        (
            {"models": {"a": {"formula": SMALL}, "A": {"formula": FULL}}},
            {"models": "one name to some systems"},
        ),
        ({"models": {"a": {"formla": SMALL}}}, {"models.a.formula": "", "models.a.formla": ""}),
        (
            {"comparisons": {"c": {"full": "big", "reduced": "smal", "use": "wald", "q": 1}}},
            {
                "comparisons.c.reduced": 'one of "big", "small"',
                "comparisons.c.use": 'belongs to method = "D2"',
                "comparisons.c.q": "is no key",
            },
        ),
        (
            {"comparisons": {"c": {"full": "big", "reduced": "big", "method": "D5"}}},
            {"comparisons.c.reduced": "itself", "comparisons.c.method": "must be one of"},
        ),
        ({"comparisons": {"c": {"full": "big"}}}, {"comparisons.c.reduced": "is missing"}),
        ({"comparisons": {"c": 1}}, {"comparisons.c": "", "comparisons.c.full": "",
                                     "comparisons.c.reduced": ""}),
        (
            {"imputation": {**NONE, "noms": None},
             "comparisons": {"c": {"full": "big", "reduced": "small", "method": "D3"}}},
            {"comparisons.c.method": "by their likelihood ratio"},
        ),
        (
            {"imputation": {"engine": "compatible", "idvars": None, "noms": None}},
            {"imputation.model": 'one of "big", "small"'},
        ),
        (
            {"imputation": {"engine": "compatible", "idvars": None, "noms": None, "model": "q"}},
            {"imputation.model": 'must be one of "big", "small"'},
        ),
        ({"output": {"tables": ["tests"]}}, {"output.tables": "must be"}),
    ],
)  # fmt: skip
def test_mistakes_in_several_models_are_told(
    sections: dict[str, Any], found: dict[str, str]
) -> None:
    job = models_of(
        {"big": {"formula": FULL}, "small": {"formula": SMALL}},
        **{k: v for k, v in sections.items() if k not in ("model", "models")},
    )
    job |= {k: v for k, v in sections.items() if k in ("model", "models")}
    told = parsed(toml(job))[1]
    assert set(told) == set(found), told
    for key, text in found.items():
        assert text in told[key]


def test_comparisons_of_one_model_say_how_several_are_named() -> None:
    _, found = parsed(toml(job_of(comparisons={"c": {"full": "a", "reduced": "b"}})))
    assert "write [models.NAME]" in found["comparisons"]


def test_each_model_is_checked_with_the_data(place: Path) -> None:
    job = models_of(
        {"a": {"formula": "y ~ q + (1 | g)", "weights": "w"}, "b": {"formula": "y ~ x"}},
        pooling={"exponentiate": True},
    )
    found = mistakes_of(write(place, job))
    assert set(found) == {"models.a.formula", "models.a.weights", "models.b.formula"}
    assert "no random term" in found["models.b.formula"]


def test_models_that_are_not_nested_are_told_with_the_comparison(place: Path) -> None:
    job = models_of(
        {"a": {"formula": "y ~ x + f + (1 | g)"}, "b": {"formula": "y ~ z + (1 | g)"}},
        comparisons={"c": {"full": "a", "reduced": "b"}},
    )
    with pytest.raises(JobError, match=r"comparisons\.c: .*isn't nested in the full one"):
        run_job(write(place, job))
    job["imputation"] = {"engine": "none"}
    with pytest.raises(JobError, match=r"comparisons\.c: anova: .* use other rows"):
        run_job(write(place, job))


def test_one_of_several_models_imputes(place: Path) -> None:
    keys = {"engine": "compatible", "idvars": None, "noms": None, "max_iter": 40, "rhat": 5.0,
            "m": 2, "model": "big"}  # fmt: skip
    job = models_of({"small": {"formula": SMALL}, "big": {"formula": FULL}}, imputation=keys,
                    output={"tables": ["fixed", "convergence_chains"]})  # fmt: skip
    done = run_job(write(place, job))
    assert {"convergence_chains.csv", "big/fixed.csv", "small/fixed.csv"} <= set(done.files)
    chains = pd.read_csv(done.folder / "convergence_chains.csv")["parameter"]
    assert chains.str.contains("fb").any()


def test_a_report_for_each_model(place: Path) -> None:
    job = models_of({"a": {"formula": FULL}, "b": {"formula": SMALL}}, output={"report": True})
    done = run_job(write(place, job))
    assert {"a/report.html", "b/report.html"} <= set(done.files)
    for name, there, other in (("a", "1 + x", "q"), ("b", "x", "fc")):
        page = (done.folder / name / "report.html").read_text("utf-8")
        assert job["models"][name]["formula"].split(" + (")[0] in page, (name, there, other)


@pytest.mark.parametrize(
    ("model", "pooling", "key", "text"),
    [
        ({"formula": "f2 ~ x + (1 | g)", "family": "binomial"}, {"dfcom": "satterthwaite"},
         "pooling.dfcom", "is for linear mixed models, and [model] is fitted by glmer"),
        ({"formula": FULL, "reml": False}, {"vcov": "kenward-roger"},
         "pooling.vcov", "[model] has reml = false"),
        ({"formula": "f2 ~ x + (1 | g)", "family": "binomial", "link": "probit"},
         {"exponentiate": True}, "pooling.exponentiate", "link 'probit'"),
    ],
)  # fmt: skip
def test_pooling_that_a_model_has_not_is_told_before_any_work(
    place: Path, model: dict[str, Any], pooling: dict[str, Any], key: str, text: str
) -> None:
    data_frame().assign(f2=[0, 1] * 70).to_csv(place / "d.csv", index=False)
    job = job_of(data={"columns": {**COLUMNS, "f2": "integer"}}, pooling=pooling)
    found = mistakes_of(write(place, {**job, "model": model}))
    assert set(found) == {key}, found
    assert text in found[key]


def test_nothing_that_is_asked_runs_as_code(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    code = "file.create('canary')"
    asked = {
        "tests": {code: f"{code} = 0"},
        "emmeans": {
            "a": {"specs": [code]},
            "b": {"specs": "f", "contrast": code},
            "c": {"specs": "f", "weights": code},
            "d": {"specs": "f", "by": code, "at": {code: 1}},
            "e": {"specs": "f", "offset": code},
        },
        "emtrends": {"a": {"specs": "f", "var": code}},
    }
    found = mistakes_of(write(place, job_of(model={"formula": FULL, **asked})))
    assert set(found) >= {
        f'model.tests."{code}"', "model.emmeans.a.specs", "model.emmeans.b", "model.emmeans.c",
        "model.emmeans.d.by", "model.emmeans.d.at", "model.emtrends.a.var",
    }  # fmt: skip
    # What passes the check is refused by R, or is only a name.
    passing = {
        "emmeans": {"a": {"specs": "f", "contrast": {code: [1, 0, -1]}}},
        "tests": {code: "x = 0"},
    }
    run_job(write(place, job_of(model={"formula": FULL, **passing})))
    with pytest.raises(JobError, match="offset"):
        late = {"emmeans": {"a": {"specs": "f", "offset": code}}}
        run_job(write(place, job_of(model={"formula": FULL, **late})))
    assert not (place / "canary").exists()
