"""mitml's imputers: what they are not asked, what they give back, and each trap of theirs."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.jobs import JobError, check_job, run_job
from rbridge_mi.pooling import chain_convergence
from rbridge_mi.testing.rscript import find_rscript

pytestmark = [pytest.mark.r, pytest.mark.processes, pytest.mark.slow]

SHORT: dict[str, Any] = {"n_burn": 20, "n_iter": 10}
TWO = "y + z ~ 1 + x + (1 | school)"


def frame(schools: int = 16, size: int = 6, seed: int = 0) -> pd.DataFrame:
    """Pupils of schools in no order: numbers, a category, text, truth values, school's columns."""
    g = np.random.default_rng(seed)
    n = schools * size
    school = g.permutation(np.repeat(np.arange(schools), size))
    data = pd.DataFrame(
        {
            "school": [f"s{i:02}" for i in school],
            "number": school,
            "half": np.where(school % 2 == 0, "even", "odd"),
            "x": g.normal(size=n),
            "v": g.normal(size=schools)[school],
        },
        index=pd.Index(range(700, 700 + n), name="pupil"),
    )
    data["y"] = data["x"] + g.normal(size=schools)[school] + g.normal(size=n)
    data["z"] = data["y"] / 2 + g.normal(size=n)
    data["w"] = data["v"] + g.normal(size=schools)[school]
    data["kind"] = pd.Categorical(
        np.array(["p", "q", "r"], object)[g.integers(0, 3, n)], ["r", "p", "q"], ordered=True
    )
    data["word"] = np.array(["low", "mid", "high"], object)[g.integers(0, 3, n)]
    data["yes"] = pd.array(data["z"] > 0, dtype="boolean")
    data["whole"] = pd.array(np.round(data["y"] + 5), dtype="Int64")
    for name in ("y", "z", "kind", "word", "yes", "whole"):
        data.loc[g.choice(data.index, 9, replace=False), name] = None
    data.loc[data["number"].isin([2, 5]), "w"] = None
    return data


def impute(
    data: pd.DataFrame, seed: int = 1, m: int = 2, how: Any = None, **arguments: Any
) -> rb.ImputedData:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        imputer = rb.PanImputer(m, **{**SHORT, **arguments})
        return imputer.impute(data, seed=seed, **(how or {}))


def by_r(data: pd.DataFrame, code: str, place: Path) -> list[float]:
    """Run R code on the data as ``d`` in an Rscript, and read the numbers that it prints."""
    numbers = data.select_dtypes("number").astype(float).assign(half=data["half"])
    lines = [f"{k} = c({', '.join(_in_r(x) for x in numbers[k])})" for k in numbers]
    script = place / "script.R"
    script.write_text(
        "suppressPackageStartupMessages(library(mitml))\n"
        f"d <- data.frame({', '.join(lines)})\n{code}\n"
    )
    done = subprocess.run([find_rscript(), script], capture_output=True, text=True, check=True)
    return [float.fromhex(x) for x in done.stdout.split()]


def _in_r(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return "NA" if pd.isna(value) else repr(float(value))


SHOWN = 'cat(sprintf("%a", imp$replacement.mat), sep = "\\n")'
CALL = "formula = y + z ~ 1 + x + (1 | number), n.burn = 20, n.iter = 10, silent = TRUE"


def replacements(imp: rb.ImputedData) -> list[float]:
    """The imputed values as mitml's replacement matrix has them: y's and z's by cluster."""
    order = imp.original["number"].argsort(kind="stable")
    holes = {x: imp.original[x].iloc[order].isna() for x in ("y", "z")}
    return [
        float(value)
        for done in imp
        for name, hole in holes.items()
        for value in done[name].iloc[order][hole]
    ]


# --- random numbers ------------------------------------------------------------------------------


def test_pan_gives_other_numbers_the_second_time_and_here_it_does_not(tmp_path: Path) -> None:
    data = frame()
    formula = "y + z ~ 1 + x + (1 | number)"
    twice = (
        f"for (i in 1:2) {{ set.seed(3); imp <- panImpute(d, m = 2, {CALL}); {SHOWN}; cat('\\n') }}"
    )
    first, second = np.split(np.array(by_r(data, twice, tmp_path)), 2)
    assert not np.array_equal(first, second)
    for _ in range(2):
        imp = impute(data, 3, formula=formula)
        assert replacements(imp) == first.tolist()
    # Neither does what the worker that is kept has done before.
    impute(data, 9, formula=formula, package="jomo")
    timed = impute(data, 3, formula=formula, how={"timeout": 200})
    assert replacements(timed) == first.tolist()


def test_streams_are_those_of_a_fresh_r_in_any_number_of_processes(tmp_path: Path) -> None:
    data = frame()
    arguments: dict[str, Any] = {"formula": "y + z ~ 1 + x + (1 | number)", "rng": "streams"}
    one, two = (impute(data, 5, 3, {"n_jobs": n}, **arguments) for n in (1, 2))
    assert one == two
    pd.testing.assert_frame_equal(one.trace, two.trace)
    stream = f"""RNGkind("L'Ecuyer-CMRG"); set.seed(5)
        for (i in 1:2) assign(".Random.seed", parallel::nextRNGStream(.Random.seed), globalenv())
        imp <- panImpute(d, m = 1, {CALL}); {SHOWN}"""
    expected = by_r(data, stream, tmp_path)
    assert replacements(one)[-len(expected) :] == expected
    assert len({one[i]["y"].sum() for i in range(3)}) == 3


def test_streams_that_lead_to_one_chain_are_an_error() -> None:
    """panImpute takes one of 10^6 seeds from a stream; here is a seed whose streams share one."""
    program = r"""{
      kinds <- RNGkind()
      for (seed in 1:100000) {
        set.seed(seed, kind = "L'Ecuyer-CMRG", normal.kind = "Inversion",
                 sample.kind = "Rejection")
        stream <- get(".Random.seed", globalenv())
        drawn <- integer(8)
        for (i in seq_along(drawn)) {
          assign(".Random.seed", stream, globalenv())
          drawn[i] <- as.integer(stats::runif(1, 0, 10^6))
          stream <- parallel::nextRNGStream(stream)
        }
        if (anyDuplicated(drawn)) break
      }
      RNGkind(kinds[1], kinds[2], kinds[3])
      as.numeric(c(seed, sort(which(drawn %in% drawn[duplicated(drawn)]))))
    }"""
    found_in_r = rdoor.call("base::eval", rdoor.call_object("base::str2lang", program)).value
    seed, first, second = map(int, found_in_r)
    assert seed < 100_000
    with pytest.raises(rb.ImputationError, match=f"imputations {first} and {second} are the same"):
        impute(frame(6, 4), seed, second, formula=TWO, rng="streams")


def test_isolation() -> None:
    data = frame()
    with pytest.raises(rb.ArgumentError, match="isolate=False: pan keeps half a pair of normal"):
        rb.PanImputer(2, formula=TWO, **SHORT).impute(data, seed=1, isolate=False)
    here, there = (
        impute(data, formula=TWO, package="jomo", how={"isolate": x}) for x in (False, None)
    )
    assert here == there


# --- what comes back -----------------------------------------------------------------------------


def test_columns_come_back_as_they_were() -> None:
    data = frame()
    imp = impute(data, formula="y + kind + word + yes + whole ~ 1 + x + (1 | school)",
                 package="jomo")  # fmt: skip
    for done in imp:
        assert done.index.equals(data.index)
        for name in data:
            here = data[name].notna()
            assert done.loc[here, name].tolist() == data.loc[here, name].tolist()
        assert done.dtypes.drop("whole").equals(data.dtypes.drop("whole"))
        assert set(done["word"]) == {"low", "mid", "high"}
        assert not done[["y", "kind", "word", "yes", "whole"]].isna().any(axis=None)
    assert any("whole: Int64 became Float64" in x for x in imp.notes)
    assert "'z', 'w': no targets, so that their holes stay" in imp.notes
    assert imp[0]["z"].isna().sum() == 9


def test_text_is_carried_as_a_category_of_its_sorted_labels() -> None:
    data = frame()
    formula = "y + word ~ 1 + x + (1 | school)"
    text = impute(data, formula=formula, package="jomo")
    same = impute(
        data.assign(word=data["word"].astype("category"), school=data["school"].astype("category")),
        formula=formula, package="jomo",
    )  # fmt: skip
    codes = impute(data.assign(school=data["school"].astype("category").cat.codes),
                   formula=formula, package="jomo")  # fmt: skip
    for one, two, three in zip(text, same, codes, strict=True):
        assert one["word"].tolist() == two["word"].astype(object).tolist()
        assert one["y"].tolist() == two["y"].tolist() == three["y"].tolist()


def test_cluster_means_of_text_clusters_are_theirs_and_not_the_grand_mean() -> None:
    data = frame()
    imp = impute(data, formula="y + z ~ x + I(clusterMeans(x, school)) + (1 | school)",
                 save_pred=True)  # fmt: skip
    mean = imp[0]["I(clusterMeans(x, school))"]
    expected = data.groupby("school")["x"].transform("mean")
    np.testing.assert_allclose(mean, expected, rtol=1e-12)
    assert imp.original.columns.tolist() == [*data.columns, "I(clusterMeans(x, school))"]


def test_level_2_targets_have_one_value_in_a_cluster() -> None:
    imp = impute(frame(), formula=["y ~ 1 + x + (1 | school)", "w ~ 1 + v"], package="jomo")
    for done in imp:
        assert (done.groupby("school")["w"].nunique() == 1).all()
    assert imp.saw["w"].level == "school"
    assert imp.saw["w"].predictors == ("v", "y")
    assert imp.saw["y"].level is None


@pytest.mark.parametrize("package", ["pan", "jomo"])
def test_r_keeps_the_object(package: str) -> None:
    data = frame()
    imp = impute(data, formula=TWO, package=package, how={"keep_r": True})
    theirs = imp.r.call("mitml::mitmlComplete", 2).value
    for name in ("y", "z"):
        assert theirs[name].to_numpy().tobytes() == imp[1][name].to_numpy().tobytes()
    assert theirs["school"].astype(object).tolist() == data["school"].tolist()


# --- the trace -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"formula": "y + z ~ 1 + x + (1 + x | school)"},
         {"beta": ["beta[y on (Intercept)]", "beta[y on x]", "beta[z on (Intercept)]",
                   "beta[z on x]"],
          "psi": ["psi[y on (Intercept)]", "psi[y on (Intercept), y on x]",
                  "psi[y on (Intercept), z on (Intercept)]", "psi[y on (Intercept), z on x]",
                  "psi[y on x]", "psi[y on x, z on (Intercept)]", "psi[y on x, z on x]",
                  "psi[z on (Intercept)]", "psi[z on (Intercept), z on x]", "psi[z on x]"],
          "sigma": ["sigma[y]", "sigma[y, z]", "sigma[z]"]}),
        ({"formula": TWO, "keep_chains": "diagonal"},
         {"psi": ["psi[y on (Intercept)]", "psi[z on (Intercept)]"],
          "sigma": ["sigma[y]", "sigma[z]"]}),
        ({"formula": ["y + kind ~ 1 + x + (1 | school)", "w ~ 1 + v"], "package": "jomo"},
         {"beta2": ["beta2[w on (Intercept)]", "beta2[w on v]"],
          "sigma": ["sigma[y]", "sigma[y, kind1]", "sigma[y, kind2]", "sigma[kind1]",
                    "sigma[kind1, kind2]", "sigma[kind2]"]}),
    ],
)  # fmt: skip
def test_the_trace_has_every_parameter_by_name(
    arguments: dict[str, Any], names: dict[str, list[str]]
) -> None:
    imp = impute(frame(), how={"keep_r": True}, **arguments)
    table = imp.trace.pivot(index="iteration", columns="parameter", values="value")
    assert table.index.tolist() == list(range(1, 41))
    assert imp.chain_lengths == (30, 40)
    for part, expected in names.items():
        burn, then = (
            imp.r.call("base::getElement", x).value[part] for x in ("par.burnin", "par.imputation")
        )
        both = np.concatenate([burn, then], axis=2)[..., 0]
        if part.startswith("beta"):
            cells = [(i, j) for j in range(both.shape[1]) for i in range(both.shape[0])]
        elif both.shape[1] == 1:
            cells = [(i, 0) for i in range(both.shape[0])]
        else:
            cells = [(i, j) for j in range(both.shape[1]) for i in range(j, both.shape[0])]
        have = [x for x in imp.trace["parameter"].cat.categories if x.startswith(part + "[")]
        assert have == expected
        for (i, j), name in zip(cells, expected, strict=True):
            assert table[name].to_numpy().tobytes() == np.ascontiguousarray(both[i, j]).tobytes()


def test_parameters_of_groups_and_clusters_are_named_by_them() -> None:
    data = frame()
    grouped = impute(data, formula=TWO, group="half")
    names = set(grouped.trace["parameter"].cat.categories)
    assert {"beta[y on x] of even", "beta[y on x] of odd", "sigma[y, z] of odd"} <= names
    each = impute(data, formula=TWO, package="jomo", random_L1="full")
    names = set(each.trace["parameter"].cat.categories)
    assert {f"sigma[school s{i:02}][y, z]" for i in range(16)} <= names


def test_convergence_compares_the_halves_of_one_chain_or_the_chains() -> None:
    data = frame()
    one = impute(data, m=3, formula=TWO)
    table = one.trace.pivot(index="iteration", columns="parameter", values="value")
    columns = table[list(one.trace["parameter"].cat.categories)].to_numpy()
    after = chain_convergence(columns[None, 20:])
    np.testing.assert_array_equal(one.convergence()["rhat"], after.rhat)
    whole = chain_convergence(columns[None])
    np.testing.assert_array_equal(one.convergence(0)["rhat"], whole.rhat)
    assert "One chain for all imputations, of 50 iterations; worst R-hat" in str(one.summary())
    many = impute(data, m=3, formula=TWO, rng="streams")
    assert many.chain_lengths == (30, 30, 30)
    assert "Chains: 3, of 30 iterations" in str(many.summary())
    draws = many.trace["value"].to_numpy().reshape(3, 30, -1)
    expected = chain_convergence(draws[:, 15:])
    np.testing.assert_array_equal(many.convergence()["rhat"], expected.rhat)


# --- traps of mitml and pan ----------------------------------------------------------------------


def test_pan_in_groups_with_one_target_gives_values_of_other_rows(tmp_path: Path) -> None:
    data = frame()
    code = f"""set.seed(1); imp <- panImpute(d, formula = y ~ x + (1 | number), group = "half",
        n.burn = 20, n.iter = 10, m = 2, silent = TRUE); {SHOWN}"""
    known = set(data["y"].dropna())
    assert sum(x in known for x in by_r(data, code, tmp_path)) > 9
    for arguments in (
        {"formula": "y ~ x + (1 | school)", "group": "half"},
        {"type": {"y": 1, "x": 2, "school": -2, "half": -1}},
    ):
        with pytest.raises(rb.ArgumentError, match="gives rows the values of other rows"):
            impute(data, **arguments)
    imp = impute(data, formula="y ~ x + (1 | school)", group="half", package="jomo")
    assert not set(imp[0].loc[data["y"].isna(), "y"]) & known


def test_jomo_imputes_a_category_that_no_row_has(tmp_path: Path) -> None:
    data = frame()
    code = """d$kind <- factor(rep_len(c("a", "b", "c"), nrow(d)), c("b", "never", "a", "c"))
        d$kind[1:9] <- NA; set.seed(1)
        imp <- jomoImpute(d, formula = kind ~ x + (1 | number), n.burn = 20, n.iter = 10, m = 2,
                          silent = TRUE)
        kinds <- unlist(lapply(mitmlComplete(imp), function(x) as.character(x$kind[1:9])))
        cat(sprintf("%a", sum(kinds == "never") + 0))"""
    assert by_r(data, code, tmp_path)[0] > 0
    data["kind"] = data["kind"].cat.add_categories("never")
    with pytest.raises(rb.ArgumentError, match=r"'kind' has the category 'never'.*remove_unused"):
        impute(data, formula="kind ~ x + (1 | school)", package="jomo")


def test_a_prior_of_the_random_intercept_has_no_effect_on_pan() -> None:
    data = frame()
    formula = "y ~ 1 + x + (1 | school)"
    prior = {"a": 1, "Binv": 1, "c": 1, "Dinv": 1}
    plain = impute(data, formula=formula, prior=prior)
    other = impute(data, formula=formula, prior={**prior, "Dinv": 50})
    assert plain == other
    assert not any("Dinv" in x for x in plain.notes)
    assert any("Dinv = 50 has no effect" in x for x in other.notes)


def test_what_cannot_be_inverted_says_what_helps() -> None:
    data = frame().assign(x2=1.0)
    with pytest.raises(rb.ImputationError, match=r"NA/NaN/Inf(?s:.*)what helps: drop predictors"):
        impute(data, formula="y + z ~ x + x2 + (1 | school)")
    with pytest.raises(rb.ImputationError, match=r"mitml left holes in 'y'(?s:.*)what helps: drop"):
        impute(data, formula="y + z ~ x + x2 + (1 | school)", package="jomo")


@pytest.mark.parametrize(
    ("prior", "text"),
    [
        ({"a": 3, "Binv": np.eye(3), "c": 4, "Dinv": np.eye(4)}, "Binv must be a matrix of 2 x 2"),
        ({"a": 2, "Binv": np.eye(2), "c": 4, "Dinv": np.eye(5)}, "Dinv must be a matrix of 4 x 4"),
        ({"a": 2, "Binv": np.eye(2), "c": 3, "Dinv": np.eye(4)}, "c must be above 3"),
    ],
)
def test_priors_of_another_size_are_refused(prior: dict[str, Any], text: str) -> None:
    with pytest.raises(rb.ImputationError, match=text):
        impute(frame(), formula="y + z ~ 1 + x + (1 + x | school)", prior=prior)


# --- refused by name, before anything is imputed -------------------------------------------------


def changed(name: str, value: Any, rows: slice = slice(3, 4)) -> pd.DataFrame:
    data = frame()
    data[name] = data[name].astype(object if isinstance(value, str) else data[name].dtype)
    data.iloc[rows, data.columns.get_loc(name)] = value
    return data


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"formula": "y + kind ~ x + (1 | school)"}, r"target 'kind' \(category\).*package='jomo'"),
        ({"formula": "word ~ x + (1 | school)"}, "target 'word' .*is categorical"),
        ({"formula": "y ~ z + (1 | school)"}, "predictor 'z' has missing values.*a target too"),
        ({"type": {"y": 1, "z": 3, "school": -2}}, "predictor 'z' has missing values"),
        ({"formula": "x ~ v + (1 | school)"}, "no target has a missing value"),
        ({"formula": "y ~ x"}, r"no clusters.*package='pan'.*add \(1 \| group\)"),
        ({"type": {"y": 1, "x": 2}}, "names no clusters"),
        ({"type": {"x": 2, "school": -2}}, "names no target"),
        ({"type": {"y": 1, "school": -2, "number": -2}}, r"2 columns of clusters \(-2\)"),
        ({"type": {"q": 1, "school": -2}}, "type names 'q', which the data do not have"),
        ({"formula": TWO, "group": "q"}, "group names 'q'"),
        ({"formula": "y ~ x", "package": "jomo", "random_L1": "mean"}, "random_L1 lets clusters"),
        ({"formula": ["y ~ x", "w ~ v"], "package": "jomo"}, "a model of level 2 needs clusters"),
        ({"formula": ["y ~ x + (1 | school)", "z ~ v"], "package": "jomo"},
         "'z' of level 2 differs within cluster"),
        ({"formula": ["y ~ x + (1 | school)", "kind ~ v"], "package": "jomo"},
         "'kind' of level 2 differs within cluster"),
        ({"formula": ["y ~ x + (1 | school)", "y ~ v"], "package": "jomo"}, "'y' is a target tw"),
        ({"formula": "school + y ~ x + (1 | school)", "package": "jomo"}, "'school' is a target"),
    ],
)  # fmt: skip
def test_refused_by_name(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        rb.PanImputer(2, **arguments).impute(frame(), seed=1)


@pytest.mark.parametrize(
    ("data", "arguments", "text"),
    [
        (changed("school", None), {"formula": TWO}, r"'school' \(the clusters\) has miss.*row 4"),
        (changed("half", None), {"formula": TWO, "group": "half"}, "'half' .the groups. has miss"),
        (changed("half", "alone"), {"formula": TWO, "group": "half"}, "'alone' of 'half' has"),
        (changed("y", np.nan, slice(None)), {"formula": TWO}, "'y' has no value at all"),
        (changed("y", np.inf), {"formula": TWO}, "'y' holds infinite"),
        (changed("x", np.inf), {"formula": TWO}, "'x' holds infinite"),
        (frame(), {"formula": TWO, "group": "school"}, "has a single cluster of 'school'"),
        (frame().assign(y=lambda d: d["y"].where(d["half"] == "odd")),
         {"formula": TWO, "group": "half"}, "'y' has no value in group 'even'"),
        (frame().assign(kind=lambda d: d["kind"].where((d["half"] == "odd") | (d["kind"] != "p"))),
         {"formula": "kind ~ x + (1 | school)", "group": "half", "package": "jomo"},
         "'kind' lacks the category 'p' in group 'even'"),
        (frame().assign(w=lambda d: d["w"].where(d["x"] > 0)),
         {"formula": ["y ~ x + (1 | school)", "w ~ v"], "package": "jomo"},
         r"'w' of level 2 is missing in some rows.*transform\('first'\)"),
    ],
)  # fmt: skip
def test_data_that_are_refused(data: pd.DataFrame, arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        rb.PanImputer(2, **arguments).impute(data, seed=1)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "needs the imputation model as a formula"),
        ({"formula": TWO, "type": {"y": 1}}, "not both"),
        ({"formula": [TWO, "w ~ v"]}, "pan imputes columns of level 1 only"),
        ({"formula": ["a", "b", "c"]}, "a list of two of them for level 1 and level 2"),
        ({"type": {"y": 4}}, "type of 'y' must be a whole number from -2 to 3"),
        ({"type": {"y": 1}, "group": "half"}, "group is for a formula"),
        ({"formula": TWO, "random_L1": "mean"}, "random_L1 is of package='jomo'"),
        ({"formula": TWO, "package": "amelia"}, "package must be pan or jomo"),
        ({"formula": TWO, "keep_chains": "some"}, "keep.chains must be full or diagonal"),
        ({"formula": TWO, "n_burn": 0}, "n_burn must be a whole number of at least 1"),
        ({"formula": TWO, "n_iter": 2.5}, "n_iter must be a whole number"),
        ({"formula": TWO, "seed": 3}, "seed is an argument of impute"),
        ({"formula": TWO, "silent": True}, "silent is for the R console"),
        ({"formula": TWO, "n_burns": 3}, r"'n_burns' \(did you mean 'n.burn'"),
        ({"formula": TWO, "prior": {"a": 1}}, "prior lacks Binv, c, Dinv"),
        ({"formula": TWO, "prior": {"a": 1, "Binv": 1, "c": 1, "Dinv": -1}}, "positive definite"),
        ({"formula": TWO, "prior": {"a": 1, "Binv": [[1, 2]], "c": 1, "Dinv": 1}}, "symmetric"),
        ({"formula": TWO, "prior": {"a": 1, "Binv": np.eye(2), "c": 1, "Dinv": 1}}, "a must be ab"),
        ({"formula": TWO, "prior": {"a": "x", "Binv": 1, "c": 1, "Dinv": 1}}, "a must be a number"),
        ({"formula": TWO, "prior": 3}, "prior must be a mapping with a, Binv, c, Dinv"),
    ],
)  # fmt: skip
def test_arguments_that_are_refused(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        rb.PanImputer(2, **arguments)


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("y ~ x + (1 | school) + (1 | half)", "has 2 random terms"),
        ("y ~ x + (1 + x || school)", "has 2 random terms"),
        ("y ~ x + (1 | school / half)", "has the groups school/half"),
        ("y ~ x + (1 | school:half)", "has the groups school:half"),
        ("y ~ x + 1 | school", "no random term in parentheses"),
        ("y ~ I(x | v) + (1 | school)", "no random term in parentheses"),
        ("y ~ x * (1 | school)", "no random term in parentheses"),
        ("y ~ x + offset(v) + (1 | school)", "an offset, which mitml leaves out"),
        ("y ~ . + (1 | school)", r"has a '\.', which mitml does not know"),
        ("log(y) ~ x + (1 | school)", "names of columns, joined by"),
        ("~ x + (1 | school)", "has no response"),
        ("y ~ q + (1 | school)", "the formula names 'q'"),
        ("y ~ `a b` + (1 | school)", "rename 'a b', to 'a.b'"),
    ],
)
def test_formulas_that_mitml_would_read_otherwise(formula: str, text: str) -> None:
    with pytest.raises(rb.FormulaError, match=text):
        impute(frame().assign(**{"a b": 1.0}), formula=formula)
    with pytest.raises(rb.FormulaError, match="'y z'"):
        impute(frame().rename(columns={"y": "y z"}), type={"y z": 1, "school": -2})
    with pytest.raises(rb.FormulaError, match=r"rename '\.\.\.', to 'X\.\.\.'"):
        impute(frame().rename(columns={"x": "..."}), type={"y": 1, "...": 2, "school": -2})


def test_level_2_has_no_random_term() -> None:
    both = ["y ~ x + (1 | school)", "w ~ v + (1 | half)"]
    with pytest.raises(rb.FormulaError, match="that of level 2, which has no random term"):
        impute(frame(), formula=both, package="jomo")


TOUCH = 'system("touch made")'
PAYLOADS = [
    "system('touch made')",
    "get('sys' )('x')",
    "`system`('touch made')",
    "base::eval(1)",
    "(function() 1)()",
    "mitml:::system('touch made')",
    f"clusterMeans('{TOUCH}', school)",
    f"clusterMeans(x, '{TOUCH}')",
    f"clusterMeans(x, school, FALSE, c('{TOUCH}'))",
    f"mitml::clusterMeans('{TOUCH}', school)",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_formulas_are_data(payload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for formula in (
        f"y ~ x + I({payload}) + (1 | school)",
        f"y ~ x + (1 + {payload} | school)",
        f"y ~ x + (1 | {payload})",
        f"{payload} ~ x + (1 | school)",
    ):
        with pytest.raises(rb.FormulaError):
            impute(frame(), formula=formula)
    with pytest.raises(rb.FormulaError):
        impute(frame(), formula=["y ~ x + (1 | school)", f"w ~ {payload}"], package="jomo")
    name = 'x); system("touch made"); (1'
    data = frame().rename(columns={"x": name})
    for role in (1, 2, 3, -2, -1):
        with pytest.raises(rb.FormulaError, match="rename"):
            impute(
                data, type={"y": 1, "school": -2, name: role} if role > -2 else {"y": 1, name: -2}
            )
    assert list(tmp_path.iterdir()) == []


# --- by name and in jobs -------------------------------------------------------------------------


def test_by_name_and_never_by_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    data = frame()
    named = rb.impute(
        data[["school", "x", "y", "z"]], m=2, engine="pan", seed=1, formula=TWO, **SHORT
    )
    assert named == impute(data[["school", "x", "y", "z"]], formula=TWO)
    monkeypatch.setattr(rdoor, "has_package", lambda name: name == "mitml")
    with pytest.warns(rb.RBridgeWarning, match="R has no Amelia"):
        assert rb.impute(data[["x", "y", "z"]], m=2, seed=1).method == "bootstrap"


def job(place: Path, imputation: str) -> Path:
    data = frame().drop(columns="yes")
    data.to_csv(place / "d.csv", index=False)
    path = place / "job.toml"
    path.write_text(
        f"""[data]
        path = "d.csv"
        [data.columns]
        school = "text"
        number = "integer"
        half = "text"
        x = "float"
        v = "float"
        y = "float"
        z = "float"
        w = "float"
        kind = {{type = "category", levels = ["r", "p", "q"]}}
        [imputation]
        engine = "pan"
        m = 2
        seed = 3
        {imputation}
        n_burn = 20
        n_iter = 10
        [model]
        formula = "y ~ x + (1 | school)"
        [output]
        folder = "out"
        imputed = true
        """
    )
    return path


@pytest.mark.parametrize(
    ("imputation", "arguments"),
    [
        (f'formula = "{TWO}"\nprior = {{a = 2, Binv = [[1, 0], [0, 1]], c = 2, Dinv = [[1, 0], '
         "[0, 2]]}",
         {"formula": TWO, "prior": {"a": 2, "Binv": np.eye(2), "c": 2, "Dinv": np.diag([1, 2])}}),
        ("type = {school = -2, y = 1, z = 1, x = 3}",
         {"type": {"school": -2, "y": 1, "z": 1, "x": 3}}),
        ('package = "jomo"\nformula = ["y ~ x + (1 | school)", "w ~ v"]',
         {"package": "jomo", "formula": ["y ~ x + (1 | school)", "w ~ v"]}),
        ('package = "jomo"\ntype = [{school = -2, y = 1, x = 2}, {w = 1, v = 2}]',
         {"package": "jomo", "type": [{"school": -2, "y": 1, "x": 2}, {"w": 1, "v": 2}]}),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_jobs_take_every_argument(
    imputation: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    done = run_job(job(tmp_path, imputation))
    imp = impute(frame(), 3, **arguments)
    fits = rb.Lmer("y ~ x + (1 | school)").fit(imp, n_jobs=1)
    table = pd.read_csv(done.folder / "fixed.csv", float_precision="round_trip")
    assert table["estimate"].tolist() == fits.pool().fixed["estimate"].tolist()


@pytest.mark.parametrize(
    ("imputation", "text"),
    [
        ('formula = "y ~ z + (1 | school)"', "predictor 'z' has missing values"),
        ('formula = "y ~ I(system(1)) + (1 | school)"', "not on the list of functions"),
        ("formula = 3", "imputation.formula: must be a text"),
        ("type = {y = 7}", 'imputation.type: has "y", whose value must be a whole number'),
        ("type = {q = 1, school = -2}", 'imputation.type: names "q", which is no column'),
        (f'formula = "{TWO}"\nprior = 2', "imputation.prior: must be a table such as"),
        (f'formula = "{TWO}"\nsilent = true', "imputation.silent: is for the R console"),
    ],
)
def test_mistakes_of_jobs(imputation: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(JobError) as caught:
        check_job(job(tmp_path, imputation))
    assert text in str(caught.value)
