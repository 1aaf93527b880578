"""The kit for users' tests against R: run_r, comparisons, assert_parity, the pytest plugin."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rbridge_mi as rb
from rbridge_mi.rdoor.session import source_dir
from rbridge_mi.testing import assert_frame_bits_equal, assert_parity, compare, run_r, ulps
from rbridge_mi.testing.rds import NA_REAL_BITS, Node, parse, render
from rbridge_mi.testing.records import Records, from_json, to_json
from rbridge_mi.testing.rscript import Rscript
from rbridge_mi.testing.values import from_python, to_python

pytestmark = [pytest.mark.r, pytest.mark.processes]

NA = float(np.uint64(NA_REAL_BITS).view(np.float64))


def everything() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "double": [1.5, np.nan, -0.0, np.inf, 5e-324],
            "text": pd.array(["a", None, "NA", "", "Ж 🐌"], dtype=object),
            "factor": pd.Categorical(["b", "a", None, "", "NA"], ["b", "NA", "", "a", "never"]),
            "ordered": pd.Categorical(["lo", "hi", None, "lo", "hi"], ["lo", "mid", "hi"], True),
            "integer": pd.array([1, None, 3, -(2**31) + 1, 2**31 - 1], dtype="Int64"),
            "logical": pd.array([True, None, False, True, False], dtype="boolean"),
            "date": pd.Series([dt.date(2020, 2, 29), None, dt.date(1969, 12, 31)] * 2).iloc[:5],
            "time": pd.to_datetime(["2020-02-29 12:30:00.25"] * 4 + [None], format="ISO8601"),
            "a name, with spaces": [0.1, 0.2, 0.3, 1 / 3, 1e300],
        }
    )


# -- run_r ------------------------------------------------------------------------------------


def test_every_type_goes_to_r_and_back() -> None:
    frame = everything()
    r = run_r(
        "classes <- sapply(d, function(x) class(x)[1])\n"
        "back <- d[seq_len(nrow(d)), ]\n"
        "missing <- sapply(d, function(x) sum(is.na(x)))\n"
        "na_text <- d$text == 'NA'\n"
        "levels <- levels(d$factor); zero <- 1 / d$double[3]",
        d=frame,
    )
    assert list(r["classes"]) == ["numeric", "character", "factor", "ordered", "integer",
                                  "logical", "Date", "POSIXct", "numeric"]  # fmt: skip
    assert list(r["missing"]) == [1, 1, 1, 1, 1, 1, 2, 1, 0]
    assert list(r["levels"]) == ["b", "NA", "", "a", "never"]
    assert r["zero"][0] == -np.inf
    expected = frame.assign(date=pd.to_datetime(frame["date"]).astype("datetime64[s]"))
    assert_frame_bits_equal(r["back"], expected)


def test_vectors_keep_their_names_and_shapes() -> None:
    r = run_r(
        "named <- c(a = 1, b = NA, c = NaN)\n"
        "m <- matrix(1:6 / 3, 2, dimnames = list(NULL, c('u', 'v', 'w')))\n"
        "plain <- matrix(1:6, 2)\n"
        "l <- list(x = 1L, y = list('z', NULL, TRUE))\n"
        "f <- function(x) x\n"
        "big <- 2^53 + 2; nothing <- NULL\n"
        "d$z <- d$x + 1\n"
        "summary(c(1, 2))\n"
        "warning('careful'); message('so')",
        d=pd.DataFrame({"x": [1.0]}),
    )
    assert set(r) == {"named", "m", "plain", "l", "big", "nothing", "d"}
    assert r["named"].to_numpy().view(np.uint64).tolist()[1] == NA_REAL_BITS
    assert list(r["m"].columns) == ["u", "v", "w"]
    assert r["plain"].tolist() == [[1, 3, 5], [2, 4, 6]]
    assert r["l"]["y"][0].tolist() == ["z"] and r["l"]["y"][1] is None
    assert r["d"]["z"].tolist() == [2.0]
    assert r.warnings == ("careful",) and r.messages == ("so\n",)
    assert "Min." in r.output
    assert r.stack["r"].count(".") == 2


def test_the_value_of_the_last_expression() -> None:
    assert run_r("x <- 1; x + 1").value.tolist() == [2.0]
    assert run_r("function(x) x").value is None
    assert run_r("").value is None


def test_errors_carry_the_text_of_r() -> None:
    with pytest.raises(rb.RCallError, match="no way") as error:
        run_r("stop('no way')")
    assert error.value.r_message == "no way"
    with pytest.raises(rb.RCallError, match="unexpected"):
        run_r("1 +* 2")


def test_a_process_that_ends_is_an_error() -> None:
    with pytest.raises(rb.RCallError, match="ended with code 7"):
        run_r("quit(status = 7)")
    with Rscript(timeout=0.5) as r, pytest.raises(rb.RCallError, match="ended with code"):
        r.ask("run_script", code="Sys.sleep(30)", frames={})


def test_no_two_reference_programs_share_a_name() -> None:
    """They are loaded into one environment, where the second would replace the first."""
    folder = source_dir() / "reference"
    alone = ("serve.R", "vignette.R")  # run as scripts
    names = [
        name
        for path in sorted(folder.glob("*.R"))
        if path.name not in alone
        for name in re.findall(r"^(\w+) <- ", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert {"run_script", "model_case", "mertools_answers"} <= set(names)
    assert len(set(names)) == len(names)


def test_without_rscript_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("R_HOME", raising=False)
    with pytest.raises(rb.RNotFoundError, match="make r"):
        run_r("1")


def test_what_r_cannot_hold_is_refused_by_name() -> None:
    with pytest.raises(rb.EncodingError, match=r"column 'n'.*2\*\*53"):
        run_r("1", d=pd.DataFrame({"n": [2**60]}))
    with pytest.raises(rb.EncodingError, match="column 'c' has dtype complex128"):
        run_r("1", d=pd.DataFrame({"c": [1j]}))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=6), st.lists(st.text(), max_size=4))
def test_the_format_is_its_own_inverse(bits: list[int], texts: list[str]) -> None:
    texts = [x for x in texts if "\0" not in x and x.isprintable()]
    node = Node(
        "list",
        [
            Node("double", np.array(bits, np.uint64).view(np.float64)),
            Node("character", texts),
            None,
        ],
        {"names": Node("character", ["a", "b", "c"])},
    )
    for back in (parse(render(node)), from_json(json.loads(json.dumps(to_json(node))))):
        assert back is not None
        assert back.values[0].values.view(np.uint64).tolist() == bits
        assert back.values[1].values == texts
        assert back.values[2] is None
        assert back.texts("names") == ["a", "b", "c"]
        assert render(back) == render(node)


def test_what_the_embedded_r_sends_is_what_rscript_gets() -> None:
    """The package's way to R and the kit's, which share no code, agree on every type."""
    frame = everything()
    here = rb.rdoor.call(
        "base::lapply", frame, rb.rdoor.call_object("find_function", "base::class")
    )
    there = run_r("classes <- lapply(d, class)", d=frame)["classes"]
    assert {k: list(v) for k, v in here.value.items()} == {k: list(v) for k, v in there.items()}
    assert_frame_bits_equal(
        rb.rdoor.call("base::identity", frame).value,
        to_python(from_python(frame)),
        missing="exact",
    )


# -- comparisons ------------------------------------------------------------------------------


def test_distance_in_ulps() -> None:
    assert ulps(1.0, np.nextafter(1.0, 2)).tolist() == [1.0]
    assert ulps(0.0, -0.0).tolist() == [1.0]
    assert ulps([np.nan, np.nan], [np.nan, 1.0]).tolist() == [0.0, np.inf]
    assert ulps(-5e-324, 5e-324).tolist() == [3.0]
    assert ulps(-np.inf, np.inf)[0] > 1e19


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300),
       st.integers(1, 5))  # fmt: skip
def test_ulps_count_the_steps(x: float, steps: int) -> None:
    y = x
    for _ in range(steps):
        y = np.nextafter(y, np.inf)
    crossing = x < 0 <= y
    assert ulps(x, y)[0] in ({steps, steps + 1} if crossing or x == 0 else {steps})


def test_the_worst_cell_is_named() -> None:
    a = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": ["a", "b", "c"]})
    b = a.copy()
    b.loc[0, "x"] = np.nextafter(1.0, 2)
    b.loc[2, "x"] = 3.0 + 1e-12
    with pytest.raises(AssertionError, match=r"2 differences.*\n.*\['x'\]\[2\].*2,252 ulp apart"):
        assert_frame_bits_equal(a, b)
    assert_frame_bits_equal(a, b, ulp=2252)
    with pytest.raises(AssertionError, match="2,252 ulp"):
        assert_frame_bits_equal(a, b, ulp=2251)


@pytest.mark.parametrize(
    ("a", "b", "where"),
    [
        ({"x": [1.0]}, {"y": [1.0]}, "columns"),
        ({"x": [1.0]}, {"x": [1.0, 2.0]}, "rows"),
        ({"x": [1.0]}, {"x": [1]}, r"\['x'\] kind: double is not integer"),
        ({"x": [True]}, {"x": [1]}, "kind: logical is not integer"),
        ({"x": ["1"]}, {"x": [1]}, "kind: text is not integer"),
        ({"x": ["a"]}, {"x": pd.Categorical(["a"])}, "kind: text is not factor"),
        (
            {"x": pd.Categorical(["a"])},
            {"x": pd.Categorical(["a"], ordered=True)},
            "factor is not ordered factor",
        ),
        (
            {"x": pd.Categorical(["a"], ["a", "b"])},
            {"x": pd.Categorical(["a"], ["b", "a"])},
            r"levels: \['a', 'b'\] is not \['b', 'a'\]",
        ),
        ({"x": ["a", None]}, {"x": ["a", "NA"]}, r"\['x'\]\[1\]"),
        ({"x": [0.0]}, {"x": [-0.0]}, "1 ulp apart"),
        ({"x": [1.0]}, {"x": [np.nan]}, "1.0 is not NaN"),
    ],
)
def test_what_is_not_equal(a: Any, b: Any, where: str) -> None:
    with pytest.raises(AssertionError, match=where):
        assert_frame_bits_equal(pd.DataFrame(a), pd.DataFrame(b))


def test_what_is_equal_all_the_same() -> None:
    a = pd.DataFrame({"i": np.array([1, 2], np.int32), "t": pd.array(["a", None], object)})
    b = pd.DataFrame({"i": pd.array([1, 2], "Int64"), "t": pd.array(["a", pd.NA], "string")})
    assert_frame_bits_equal(a, b)
    assert_frame_bits_equal(pd.Series([NA, 1.0]), pd.Series([np.nan, 1.0]))
    with pytest.raises(AssertionError, match="NA is not NaN"):
        assert_frame_bits_equal(pd.Series([NA]), pd.Series([np.nan]), missing="exact")
    assert_frame_bits_equal(a.iloc[[1]], a.iloc[[1]].reset_index(drop=True), check_index=False)
    with pytest.raises(AssertionError, match="index"):
        assert_frame_bits_equal(a.iloc[[1]], a.iloc[[1]].reset_index(drop=True))
    comparison = compare({"a": [1.0, "x"], "b": None}, {"a": [1.0, "x"], "b": None})
    assert comparison.equal and comparison.doubles == 1


# -- assert_parity ----------------------------------------------------------------------------

SLEEP = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def sleepstudy() -> pd.DataFrame:
    return run_r("d <- as.data.frame(lme4::sleepstudy)")["d"]


def test_assert_parity(sleepstudy: pd.DataFrame) -> None:
    fit = rb.Lmer(SLEEP).fit(sleepstudy)
    assert_parity(fit, f"library(lme4)\nlmer({SLEEP}, data = data)")
    assert_parity(fit, f"lme4::lmer({SLEEP}, data = data)", data=sleepstudy)


def test_assert_parity_of_generalised_models() -> None:
    cbpp = run_r("d <- as.data.frame(lme4::cbpp); d$share <- d$incidence / d$size")["d"]
    trials = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    fit = rb.Glmer(trials, nAGQ=5).fit(cbpp)
    code = f"library(lme4)\nglmer({trials}, data = data, family = binomial, nAGQ = 5)"
    assert_parity(fit, code)
    with pytest.raises(AssertionError, match=r"(?s)attributes: .*nAGQ.*residual_types: "):
        assert_parity(fit, code.replace("nAGQ = 5", "nAGQ = 1"))
    counts = "incidence ~ period + offset(log(size)) + (1 | herd)"
    nb = rb.GlmerNb(counts).fit(cbpp)
    assert_parity(nb, f"lme4::glmer.nb({counts}, data = data)")


def test_assert_parity_takes_double_bars_for_the_terms_that_they_stand_for() -> None:
    """lme4 writes them out in a linear model's formula, and leaves them in a generalised one's."""
    g = np.random.default_rng(3)
    data = pd.DataFrame({"x": g.normal(size=200), "g": np.repeat([*"abcdefghij"], 20)})
    data["n"] = g.poisson(np.exp(data["x"] / 2 + np.repeat(g.normal(size=10), 20)))
    formula = "n ~ x + (x || g)"
    fit = rb.Glmer(formula, family="poisson").fit(data)
    assert "||" not in fit.formula
    assert_parity(fit, f"lme4::glmer({formula}, data = data, family = poisson)")


def test_assert_parity_names_the_accessors_that_differ(sleepstudy: pd.DataFrame) -> None:
    fit = rb.Lmer(SLEEP, reml=False).fit(sleepstudy)
    with pytest.raises(AssertionError, match=r"(?s)attributes: .*varcorr: .*the worst:.*R"):
        assert_parity(fit, f"lme4::lmer({SLEEP}, data = data)")
    with pytest.raises(
        rb.RCallError, match=r"not a fit by lmer\(\), glmer\(\) or glmer.nb\(\) but a numeric"
    ):
        assert_parity(fit, "1 + 1")


# -- the plugin -------------------------------------------------------------------------------

USER_TEST = """
import pandas as pd
from rbridge_mi.testing import assert_frame_bits_equal

def test_means(r_reference):
    d = pd.DataFrame({"x": [0.1, 0.2, 0.3], "g": ["a", "b", "a"]})
    r = r_reference("m <- tapply(d$x, d$g, mean); s <- data.frame(g = names(m), mean = as.vector(m))", d=d)
    mine = d.groupby("g", as_index=False)["x"].mean().rename(columns={"x": "mean"})
    assert_frame_bits_equal(mine, r["s"])
    assert r_reference("y <- c(NA, NaN, 1/3, -0)")["y"][2] == 1 / 3
"""  # noqa: E501


def run_pytest(folder: Path, *options: str, **environment: str) -> tuple[int, str]:
    installed = importlib.metadata.entry_points(group="pytest11")
    known = any(x.value == "rbridge_mi.testing.plugin" for x in installed)
    plugin = [] if known else ["-p", "rbridge_mi.testing.plugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, *options],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=180,
    )
    return done.returncode, done.stdout + done.stderr


def without_r(folder: Path) -> dict[str, str]:
    """A PATH without R."""
    (folder / "bin").mkdir(exist_ok=True)
    return {"PATH": str(folder / "bin"), "R_HOME": ""}


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    (tmp_path / "test_user.py").write_text(USER_TEST)
    code, output = run_pytest(tmp_path, "--r-record")
    assert code == 0, output
    return tmp_path


def record_of(folder: Path) -> Path:
    return folder / "r_records" / "test_user" / "test_means.json"


def test_record_and_check_without_r(recorded: Path) -> None:
    record = json.loads(record_of(recorded).read_text())
    first, second = record["records"]
    assert first["data"]["d"]["columns"] == ["x", "g"]
    assert first["stack"]["r"].count(".") == 2
    assert second["values"]["y"]["values"] == ["NA", "NaN", (1 / 3).hex(), "-0x0.0p+0"]
    assert os.sep + "usr" not in record_of(recorded).read_text()
    code, output = run_pytest(recorded, "--r-check", **without_r(recorded))
    assert code == 0, output
    code, output = run_pytest(recorded, **without_r(recorded))
    assert code == 1 and "Rscript was not found" in output
    code, output = run_pytest(recorded, "--r-check")
    assert code == 0, output


def test_a_changed_stack_names_both_versions(recorded: Path) -> None:
    record = json.loads(record_of(recorded).read_text())
    here = record["records"][0]["stack"]["r"]
    record["records"][0]["stack"]["r"] = "3.6.1"
    record["records"][0]["stack"]["packages"]["lme4"] = "1.0-0"
    values = record["records"][0]["values"]["s"]["values"][1]["values"]
    values[0] = np.nextafter(float.fromhex(values[0]), 1).hex()
    record_of(recorded).write_text(json.dumps(record))
    code, output = run_pytest(recorded, "--r-check")
    assert code == 1
    assert f"R: 3.6.1 then, {here} now" in output
    assert "lme4: 1.0-0 then" in output
    assert "1 ulp apart" in output
    code, output = run_pytest(recorded, "--r-check", **without_r(recorded))
    assert code == 1 and "1 ulp apart" in output and "3.6.1 then" not in output


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tapply(d$x, d$g, mean)", "tapply(d$x, d$g, median)", "no longer the recorded one"),
        ("[0.1, 0.2, 0.3]", "[0.1, 0.2, 0.30000000000000004]", "the data d are no longer"),
        ('["a", "b", "a"]', 'pd.Categorical(["a", "b", "a"])', "the data d are no longer"),
        ("test_means", "test_others", "there is no record test_user/test_others.json"),
    ],
)
def test_what_changed_since_the_record(recorded: Path, old: str, new: str, message: str) -> None:
    (recorded / "test_user.py").write_text(USER_TEST.replace(old, new))
    code, output = run_pytest(recorded, "--r-check", **without_r(recorded))
    assert code == 1
    assert message in output and "--r-record" in output


def test_both_options_at_once_are_refused(tmp_path: Path) -> None:
    code, output = run_pytest(tmp_path, "--r-check", "--r-record")
    assert code == 4 and "give one" in output


def test_one_more_question_than_recorded(tmp_path: Path) -> None:
    records = Records(tmp_path / "x.json", "record")
    records("a <- 1")
    records.save()
    again = Records(tmp_path / "x.json", "check")
    assert again("a <- 1")["a"].tolist() == [1.0]
    with pytest.raises(AssertionError, match="one more"):
        again("a <- 1")


def test_the_plugin_costs_nothing_at_the_start() -> None:
    program = (
        "import sys, pytest\n"
        "import rbridge_mi.testing.plugin\n"
        "print([x for x in ('pandas', 'numpy', 'rpy2', 'scipy') if x in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_pytest_is_no_dependency() -> None:
    requires = importlib.metadata.requires("rbridge_mi") or []
    assert not any(x.startswith("pytest") for x in requires)
    program = "import sys, rbridge_mi.testing as t; t.run_r; print('pytest' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


# -- the command ------------------------------------------------------------------------------


def run_parity(*arguments: str) -> tuple[int, str, str]:
    program = "import sys; from rbridge_mi.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "parity", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr


def test_parity_prints_a_table() -> None:
    code, output, _ = run_parity("--case", "random/intercept_only")
    assert code == 0, output
    lines = output.splitlines()
    assert lines[0].startswith("r  ") and any(x.startswith("blas") for x in lines)
    assert any(x.split() == ["case", "accessor", "doubles", "largest", "ulp"] for x in lines)
    assert any(x.split() == ["random/intercept_only", "ranef", "12", "0"] for x in lines)
    assert "1 cases" in lines[-1] and "all equal" in lines[-1]


def test_parity_as_json() -> None:
    code, output, _ = run_parity("--case", "amelia/e*", "--json")
    assert code == 0
    outcome = json.loads(output)
    assert outcome["equal"] and outcome["cases"] == 2
    assert outcome["stack"] == outcome["reference"]
    assert {x["accessor"] for x in outcome["rows"]} == {"attributes", "imputations"}


def test_parity_of_no_case() -> None:
    code, _, error = run_parity("--case", "nothing/*")
    assert code == 1 and "levels/*" in error


def test_parity_exits_with_one_on_a_difference(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rbridge_mi.cli import main
    from rbridge_mi.rdoor import decode

    copy = decode._copy

    def off(sexp: Any, dtype: Any) -> Any:
        values = copy(sexp, dtype)
        with np.errstate(invalid="ignore"):
            return np.nextafter(values, 0.0) if dtype is np.float64 else values

    monkeypatch.setattr(decode, "_copy", off)
    assert main(["parity", "--case", "random/intercept_only"]) == 1
    assert "DIFFER" in capsys.readouterr().out
