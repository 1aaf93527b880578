"""What jomo gets and gives back: scales, kinds, levels, names, streams and traces.

That ``scale=False`` gives R's own bits, by every family of jomo's functions, are parity cases.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.imputers import jomo as jomo_module
from rbridge_mi.imputers.jomo_columns import JomoPlan

pytestmark = [pytest.mark.r, pytest.mark.slow]

SHORT: dict[str, Any] = {"nburn": 20, "nbetween": 5}


def frame(groups: int = 15, rows: int = 6, seed: int = 0) -> pd.DataFrame:
    """Two levels: numbers, text, an ordered category, truth values and counts, with holes."""
    g = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), rows)
    n = len(group)
    u, z = g.normal(size=groups)[group], g.normal(size=groups)[group]
    x = g.normal(size=n) + u / 2
    data = pd.DataFrame(
        {
            "school": [f"s{(7 * i) % 19:02d}" for i in group],
            "y": 1 + x + z / 2 + u + g.normal(size=n),
            "x": x,
            "w": g.normal(3, 2, n),
            "text": np.where(x + g.normal(size=n) > 0, "up", "Down"),
            "size": pd.Categorical(g.choice(["S", "M", "L"], n), ["S", "M", "L"], ordered=True),
            "yes": pd.array(g.random(n) < 0.5, "boolean"),
            "code": g.integers(0, 2, n).astype(float),
            "z": z,
            "full": g.normal(size=n),
        },
        index=pd.Index(range(500, 500 + n), name="row"),
    )
    for name in ("x", "w", "text", "size", "yes", "code"):
        data.loc[g.choice(data.index, n // 10, replace=False), name] = None
    data.loc[data["school"].isin(["s07", "s14"]), "z"] = None
    return data


def impute(
    data: pd.DataFrame, seed: int = 1, m: int = 2, keep_r: bool = False, **arguments: Any
) -> rb.ImputedData:
    """Imputations in this process, without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        imputer = rb.JomoImputer(m, **{**SHORT, **arguments})
        return imputer.impute(data, seed=seed, isolate=False, keep_r=keep_r)


def by_r(program: str, data: pd.DataFrame, seed: int = 1) -> Any:
    """What an R program answers for `data`, after ``set.seed(seed)``."""
    code = f"{{ set.seed({seed}); utils::capture.output(answer <- {{ {program} }}); answer }}"
    place = rdoor.call_object(
        "base::list2env", {"data": data}, parent=rdoor.call_object("base::globalenv")
    )
    return rdoor.call("base::eval", rdoor.call_object("base::str2lang", code), place).value


def same(one: rb.ImputedData, other: rb.ImputedData) -> None:
    assert one.m == other.m
    for a, b in zip(one, other, strict=True):
        pd.testing.assert_frame_equal(a, b, check_exact=True)


# --- scales --------------------------------------------------------------------------------------


def test_scaled_columns_are_those_of_an_r_script_that_standardises_by_mean_and_sd() -> None:
    data = frame()
    program = """
      names <- c("y", "x", "w", "full")
      centre <- sapply(data[names], mean, na.rm = TRUE)
      spread <- sapply(data[names], sd, na.rm = TRUE)
      s <- as.data.frame(Map(function(v, a, b) (v - a) / b, data[names], centre, spread))
      long <- jomo::jomo(Y = s[c("y", "x", "w")], X = cbind(1, s["full"]), clus = data$school,
                         nburn = 20, nbetween = 5, nimp = 2, output = 0)
      lapply(1:2, function(i) {
        rows <- long$Imputation == i
        list(x = long$x[rows] * spread["x"] + centre["x"],
             w = long$w[rows] * spread["w"] + centre["w"])
      })"""
    theirs = by_r(program, data)
    mine = impute(data, Y=["y", "x", "w"], X="full", clus="school")
    for done, answer in zip(mine, theirs, strict=True):
        for name in ("x", "w"):
            hole = data[name].isna().to_numpy()
            np.testing.assert_array_equal(done[name][hole], np.asarray(answer[name])[hole])
            assert done.loc[~hole, name].equals(data.loc[~hole, name])


def test_with_a_model_columns_are_divided_and_not_shifted() -> None:
    data = frame()
    program = """
      spread <- sapply(data[c("y", "x")], sd, na.rm = TRUE)
      s <- data.frame(g = as.numeric(factor(data$school)), y = data$y / spread["y"],
                      x = data$x / spread["x"])
      long <- jomo::jomo.lmer(y ~ x + (1 + x | g), s, nburn = 20, nbetween = 5, nimp = 2,
                              output = 0)
      lapply(1:2, function(i) long$x[long$Imputation == i] * spread["x"])"""
    theirs = by_r(program, data)
    mine = impute(data, model="y ~ x + (1 + x | school)")
    hole = data["x"].isna().to_numpy()
    for done, answer in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(done["x"][hole], np.asarray(answer)[hole])


@pytest.mark.parametrize(
    "arguments",
    [{"Y": ["y", "x"], "clus": "school"}, {"model": "y ~ x + (1 | school)"}],
    ids=["joint", "model"],
)
def test_the_unit_of_a_column_matters_to_jomo_and_not_here(arguments: dict[str, Any]) -> None:
    data = frame()
    small = data.assign(x=data["x"] * 2.0**-14)
    hole = data["x"].isna()
    one, other = impute(data, **arguments), impute(small, **arguments)
    np.testing.assert_allclose(one[1]["x"][hole] * 2.0**-14, other[1]["x"][hole], rtol=1e-9)
    plain = impute(small, scale=False, **arguments)[1]["x"][hole] * 2.0**14
    # In standard deviations of the observed values: 100 and more, or a chain that does not move.
    assert not 0.1 < plain.std() < 10
    assert 0.1 < one[1]["x"][hole].std() < 10


def test_a_covariate_without_an_intercept_is_not_shifted() -> None:
    data = frame()
    program = """
      spread <- sd(data$full)
      s <- data.frame(y = (data$y - mean(data$y)) / sd(data$y),
                      x = (data$x - mean(data$x, na.rm = TRUE)) / sd(data$x, na.rm = TRUE))
      long <- jomo::jomo(Y = s, X = data["full"] / spread, nburn = 20, nbetween = 5, nimp = 2,
                         output = 0)
      long$x[long$Imputation == 1] * sd(data$x, na.rm = TRUE) + mean(data$x, na.rm = TRUE)"""
    theirs = np.asarray(by_r(program, data))
    hole = data["x"].isna().to_numpy()
    mine = impute(data, Y=["y", "x"], X="full", intercept=False)
    np.testing.assert_array_equal(mine[0]["x"][hole], theirs[hole])


# --- kinds, levels, names ------------------------------------------------------------------------


def test_every_kind_comes_back_as_it_was() -> None:
    data = frame()
    data["size"] = data["size"].cat.add_categories("XL")  # that no row has
    imp = impute(data, clus="school", factors="code")
    for done in imp:
        assert done.dtypes.equals(data.dtypes)
        assert not done.isna().any(axis=None)
        assert set(done["text"]) == {"up", "Down"}
        assert set(done["size"]) == {"S", "M", "L"}
        assert set(done["code"]) == {0.0, 1.0}
        for name in data:
            observed = data[name].notna()
            assert done.loc[observed, name].equals(data.loc[observed, name])
    assert imp.notes == ()


def test_whole_numbers_become_decimals_and_a_note_says_so() -> None:
    data = frame()
    data["w"] = (data["w"] * 10).round().astype("Int64")
    imp = impute(data, Y=["w", "x"])
    assert str(imp[0]["w"].dtype) == "Float64"
    assert any("w: Int64 became Float64" in x for x in imp.notes)


def test_zeros_and_ones_are_numbers_unless_they_are_declared() -> None:
    data = frame()
    with pytest.warns(rb.RBridgeWarning, match=r"'code': numbers 0 and 1 .*name them in factors"):
        imp = rb.JomoImputer(2, Y=["code", "x"], **SHORT).impute(data, 1, isolate=False)
    hole = data["code"].isna()
    assert not imp[0].loc[hole, "code"].isin([0, 1]).any()


def test_numbers_that_are_categories_come_back_as_those_numbers() -> None:
    data = frame()
    data["code"] = data["code"].map({0.0: 0.1 + 0.2, 1.0: -7.0})
    done = impute(data, Y=["code", "x"], factors="code")[0]
    assert set(done["code"]) == {0.1 + 0.2, -7.0}


def test_columns_of_the_groups_are_found_and_imputed_once_a_group() -> None:
    data = frame()
    imp = impute(data, clus="school")
    assert imp.saw["z"].level == "school" and imp.saw["x"].level is None
    assert (imp[0].groupby("school")["z"].nunique() == 1).all()
    assert imp[0]["z"].nunique() == 15
    assert imp.saw["x"].predictors == ("w", "text", "size", "yes", "code", "z")
    assert imp.saw["x"].groups == ("school",)
    rows = impute(data, clus="school", levels={"z": None})
    assert rows.saw["z"].level is None
    assert rows[0].loc[data["z"].isna(), "z"].nunique() == 12


@pytest.mark.parametrize(
    ("arguments", "what"),
    [({"Y": ["y", "x"], "clus": "school"}, "joint"), ({"model": "y ~ x + (1 | school)"}, "model")],
)
def test_groups_may_be_called_anything_in_the_same_order(
    arguments: dict[str, Any], what: str
) -> None:
    data = frame()
    codes = data["school"].rank(method="dense").astype(int)
    labels = [f"Group {99 - i}" for i in range(1, 16)]
    named = pd.Categorical.from_codes(codes - 1, labels)
    by_text, by_number = impute(data, **arguments), impute(data.assign(school=codes), **arguments)
    by_category = impute(data.assign(school=named), **arguments)
    for other in (by_number, by_category):
        assert by_text[1]["x"].equals(other[1]["x"])
    assert by_text[0]["school"].equals(data["school"])
    assert by_category[0]["school"].tolist() == list(named)


@pytest.mark.parametrize(
    "label",
    [
        lambda code: pd.Timestamp("2020-03-01 10:00") + pd.to_timedelta(code, unit="s"),
        lambda code: (
            pd.Timestamp("2020-03-01", tz="Europe/Paris") + pd.to_timedelta(code, unit="D")
        ),
        lambda code: pd.Timestamp("2020-03-01") + pd.to_timedelta(code, unit="us"),
        lambda code: 0.3 + code * 2.0**-53,
    ],
    ids=["seconds", "zone", "microseconds", "ulps"],
)
@pytest.mark.parametrize("arguments", [{"Y": ["y", "x"], "clus": "school"},
                                       {"model": "y ~ x + (1 | school)"}])  # fmt: skip
def test_groups_may_be_times_and_numbers_that_read_the_same(
    label: Any, arguments: dict[str, Any]
) -> None:
    data = frame()
    codes = data["school"].rank(method="dense").astype(int)
    plain = impute(data.assign(school=codes), **arguments)
    other = impute(data.assign(school=label(codes)), **arguments)
    assert other[1]["x"].equals(plain[1]["x"])
    assert other[1]["school"].equals(label(codes).rename("school"))


@pytest.mark.parametrize(
    "arguments",
    [
        {"Y": ["y", "x", "w", "text"], "X": "full", "clus": "school"},
        {"model": "y ~ x * text + I(w^2) + w + (1 + x | school)", "auxiliary": "full"},
    ],
    ids=["joint", "model"],
)
def test_columns_may_have_any_name(arguments: dict[str, Any]) -> None:
    data = frame()[["school", "y", "x", "w", "text", "full"]]
    odd = {"y": "id", "x": "my x | (1)", "w": "Imputation", "text": "a+b", "school": "my x...1.",
           "full": "clus"}  # fmt: skip

    def renamed(value: Any) -> Any:
        if isinstance(value, list):
            return [odd[x] for x in value]
        return odd.get(value, value)

    others = {key: renamed(value) for key, value in arguments.items()}
    if "model" in others:
        others["model"] = (
            "id ~ `my x | (1)` * `a+b` + I(Imputation^2) + Imputation + "
            "(1 + `my x | (1)` | `my x...1.`)"
        )
    plain = impute(data, **arguments)
    other = impute(data.rename(columns=odd), keep_r=True, **others)
    for a, b in zip(plain, other, strict=True):
        pd.testing.assert_frame_equal(a, b.rename(columns={v: k for k, v in odd.items()}))
    assert {"id", "my x | (1)", "a+b"} <= set(map(str, other.r.call("base::names").value))


def test_what_the_model_does_not_name_is_left_alone() -> None:
    data = frame()
    imp = impute(data, model="y ~ x + (1 | school)")
    assert set(imp.saw) == {"x"}
    assert imp.saw["x"].predictors == ("y",) and imp.saw["x"].method == "jomo.lmer"
    assert imp[0]["w"].equals(data["w"])


# --- chains --------------------------------------------------------------------------------------


def test_the_trace_is_the_chain_that_made_the_data_sets() -> None:
    data = frame()
    arguments: dict[str, Any] = {"Y": ["y", "x"], "clus": "school", "scale": False}
    plain = impute(data, m=3, **arguments)
    traced = impute(data, m=3, trace=True, **arguments)
    same(plain, traced)
    program = """
      jomo::jomo.MCMCchain(Y = data[c("y", "x")], clus = data$school, nburn = 30, output = 0)"""
    chain = by_r(program + "$collectbeta[1, 2, ]", data)
    rows = traced.trace[traced.trace["parameter"] == "beta[X1, x]"]
    assert rows["iteration"].tolist() == list(range(1, 31))
    assert set(rows["imputation"]) == {1}
    np.testing.assert_array_equal(rows["value"], np.asarray(chain))
    cov = by_r(program + "$collectcovu[1, 2, ]", data)
    rows = traced.trace[traced.trace["parameter"] == "covu[y*Z1, x*Z1]"]
    np.testing.assert_array_equal(rows["value"], np.asarray(cov))
    assert traced.convergence()["rhat"].notna().all()
    assert plain.chain_lengths == () and traced.chain_lengths == (30,)
    with pytest.raises(rb.ArgumentError, match=r"trace=True.*rng='streams'"):
        plain.convergence()


def test_the_trace_of_a_model_has_the_names_of_lme4() -> None:
    data = frame()
    model = "y ~ x * text + z + (1 + x | school)"
    imp = impute(data, model=model, trace=True)
    names = list(imp.trace["parameter"].cat.categories)
    fit = rb.Lmer(model).fit(imp[0])
    assert [f"betaY[y, {x}]" for x in fit.beta.index] == [x for x in names if x.startswith("betaY")]
    assert "covuY[(Intercept), x]" in names and "varY" in names and "beta2[1, z]" in names
    same(imp, impute(data, model=model))


def test_nothing_that_was_given_is_changed_and_nothing_is_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    data = frame()
    before, start = data.copy(deep=True), np.array([[2.0, 0.5], [0.5, 1.0]])
    impute(data, Y=["y", "x"], clus="school", l1cov_start=start, l2cov_start=start, trace=True)
    impute(data, model="y ~ x + z + size + (1 | school)", auxiliary="text")
    pd.testing.assert_frame_equal(data, before)
    assert start.tolist() == [[2.0, 0.5], [0.5, 1.0]]
    assert capfd.readouterr().out == ""


def test_a_trace_begins_with_the_arguments_that_were_given() -> None:
    """jomo writes the degrees of freedom that it has come to into its argument."""
    data = frame()
    arguments: dict[str, Any] = {"Y": ["y", "x"], "clus": "school", "meth": "random", "a": 30}
    same(impute(data, trace=True, **arguments), impute(data, **arguments))


def test_low_acceptance_is_told() -> None:
    data = frame()
    imputer = rb.JomoImputer(2, model="y ~ x + (1 | school)", **SHORT)
    with (
        faulty("jomo.lmer", 'cat("Warning: acceptance ratio = 0.1. This\\n"); answer'),
        pytest.warns(rb.RBridgeWarning, match=r"jomo printed: acceptance ratio = 0\.1"),
    ):
        imputer.impute(data, seed=1, isolate=False)


def test_a_chain_that_is_another_gives_no_trace() -> None:
    data = frame()
    with faulty("jomo1con.MCMCchain", "answer$finimp[100, 2] <- 9; answer"):
        impute(data, Y=["y", "x"])
        with pytest.raises(rb.ImputationError, match="not the one that made the data sets"):
            impute(data, Y=["y", "x"], trace=True)


@pytest.mark.processes
@pytest.mark.parametrize(
    "arguments",
    [
        {"Y": ["y", "x", "text"], "clus": "school"},
        {"model": "y ~ x + (1 | school)", "meth": "random"},
    ],
    ids=["joint", "model"],
)
def test_streams_are_the_same_for_any_number_of_processes(arguments: dict[str, Any]) -> None:
    data = frame()
    imputer = rb.JomoImputer(3, rng="streams", **SHORT, **arguments)
    one = imputer.impute(data, seed=5, isolate=False)
    same(one, imputer.impute(data, seed=5, n_jobs=2))
    fewer = rb.JomoImputer(2, rng="streams", **SHORT, **arguments).impute(data, 5, isolate=False)
    pd.testing.assert_frame_equal(fewer[1], one[1])
    assert not one[0]["x"].equals(one[1]["x"])
    if "model" in arguments:  # jomo has no chain with parameters then
        assert one.chain_lengths == ()
    else:
        assert one.chain_lengths == (20, 20, 20)
        assert one.convergence(warmup=5)["rhat"].notna().any()


@pytest.mark.processes
def test_jomo_runs_in_a_process_of_its_own_since_it_can_end_r(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = frame()
    data.loc[510, "school"] = None
    imputer = rb.JomoImputer(2, Y=["y", "x"], clus="school", **SHORT)
    with pytest.raises(rb.ArgumentError, match=r"'school', has missing values.*row 11.*dropna"):
        imputer.impute(data, seed=1)
    arguments = {**imputer.arguments, "meth": "common", "intercept": True}
    asked = JomoPlan(arguments, ("school", "y", "x"))
    monkeypatch.setattr(jomo_module, "plan", lambda *_: asked)
    with pytest.raises(rb.RWorkerLost, match="SIGSEGV"):
        imputer.impute(data, seed=1)


def test_data_sets_can_be_stored_with_all_that_they_tell(tmp_path: Path) -> None:
    data = frame()
    arguments: dict[str, Any] = {"Y": ["y", "x"], "clus": "school", "l1cov_prior": np.eye(2),
                                 "levels": {"x": None}, "trace": True}  # fmt: skip
    imp = impute(data, **arguments)
    rb.save(imp, tmp_path / "imp")
    back = rb.load(tmp_path / "imp")
    assert isinstance(back, rb.ImputedData)
    same(imp, back)
    assert back.saw == imp.saw and back.method == "jomo"
    pd.testing.assert_frame_equal(back.trace, imp.trace)
    assert np.asarray(back.settings["l1cov.prior"]).tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_what_jomo_returned_is_kept_on_request() -> None:
    data = frame()
    imp = impute(data, Y=["y", "x"], scale=False, keep_r=True)
    assert np.asarray(imp.r.call("base::dim").value).tolist() == [3 * len(data), 5]
    assert imp.r.call("base::names").value[-1] == "Imputation"
    with pytest.raises(rb.ArgumentError, match="keep_r needs rng='r'"):
        impute(data, Y=["y", "x"], rng="streams", keep_r=True)


# --- one word away -------------------------------------------------------------------------------


@pytest.mark.processes
def test_impute_takes_jomo_with_a_model_and_without() -> None:
    data = frame()
    model = rb.Lmer("y ~ x + (1 | school)")
    by_name = rb.impute(data, model, 2, "jomo", seed=1, isolate=False, **SHORT)
    same(by_name, impute(data, model="y ~ x + (1 | school)"))
    assert by_name.method == "jomo" and by_name.settings["model"] == model.formula
    joint = rb.impute(data, m=2, engine="jomo", seed=1, Y=["y", "x"], **SHORT)  # isolated
    same(joint, impute(data, Y=["y", "x"]))
    with pytest.raises(rb.ArgumentError, match="jomo's column of groups is called clus="):
        rb.impute(data, m=2, engine="jomo", cluster="school")


def test_advice_knows_what_jomo_saw() -> None:
    data = frame(groups=30)
    model = rb.Lmer("y ~ x + (1 + x | school)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        blind = model.fit(impute(data, Y=["y", "x"])).pool().advice
        seen = model.fit(impute(data, Y=["y", "x"], clus="school")).pool().advice
        right = model.fit(impute(data, model=model)).pool().advice
        other = impute(data, model="y ~ x + text + (1 + text | school)")
    assert any("but jomo imputed without knowing school" in x for x in blind)
    assert not any("without knowing" in x for x in seen)
    assert any("random slopes of x over school" in x and "(jomo)" in x for x in seen)
    assert not any("random slopes" in x for x in right)
    effects = ("school: (Intercept)", "school: textup")
    assert other.saw["x"].random_effects == effects
    assert impute(data, Y=["y", "x"], clus="school").saw["x"].random_effects == ()


# --- jomo's failures -----------------------------------------------------------------------------


@contextmanager
def faulty(function: str, code: str) -> Iterator[None]:
    """One of jomo's functions with another last step, which sees its `answer`."""

    def in_r(program: str) -> None:
        rdoor.call("base::eval", rdoor.call_object("base::str2lang", program))

    in_r(
        f"""{{
      true <- utils::getFromNamespace("{function}", "jomo")
      wrong <- function(...) {{ answer <- true(...); {code} }}
      utils::assignInNamespace("{function}", wrong, "jomo")
    }}"""
    )
    try:
        yield
    finally:
        in_r(
            f"""{{
          wrong <- utils::getFromNamespace("{function}", "jomo")
          utils::assignInNamespace("{function}", get("true", environment(wrong)), "jomo")
        }}"""
        )


def test_an_observed_cell_that_comes_back_changed_is_an_error() -> None:
    data = frame()
    fault = "answer[which(answer$Imputation == 2)[4], 2] <- 7; answer"
    with (
        faulty("jomo1con", fault),
        pytest.raises(rb.ImputationError, match=r"column 'w', row 4 in imputation 2.*became '7'"),
    ):
        impute(data, Y=["x", "w"], scale=False)


def test_nan_is_an_error() -> None:
    data = frame()
    row = int(np.flatnonzero(data["w"].isna())[0]) + 1
    with (
        faulty("jomo1con", f"answer[which(answer$Imputation == 1)[{row}], 2] <- NaN; answer"),
        pytest.raises(rb.ImputationError, match=r"jomo left NaN in 'w' \(1 cells\)"),
    ):
        impute(data, Y=["x", "w"])


def test_rs_own_text_comes_with_the_error() -> None:
    data = frame()
    data.loc[data.index[6:], "y"] = None  # all but one group
    with pytest.raises(rb.ImputationError, match="grouping factors must have > 1 sampled level"):
        impute(data, model="y ~ x + (1 | school)")


@pytest.mark.parametrize("name", ["+", "^", "(", "*", "I", "if", "a b"])
def test_a_column_may_have_the_name_of_an_operator(name: str) -> None:
    data = frame()[["school", "x", "y"]].dropna(subset=["y"])
    model = "y ~ {0} + I({0}^2) + (1 | school)"
    plain = rb.JomoImputer(2, model=model.format("x"), nburn=5, nbetween=2).impute(data, seed=1)
    renamed = data.rename(columns={"x": name})
    imp = rb.JomoImputer(2, model=model.format(f"`{name}`"), nburn=5, nbetween=2)
    for one, other in zip(imp.impute(renamed, seed=1), plain, strict=True):
        pd.testing.assert_frame_equal(one.rename(columns={name: "x"}), other)
