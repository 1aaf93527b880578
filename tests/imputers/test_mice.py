"""What mice is not asked at all, what it is asked otherwise than one thinks, and what comes back.

That imputations have R's bits is shown by the parity cases.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.imputers import mice as mice_module
from rbridge_mi.imputers import mice_checks
from rbridge_mi.testing import run_r

pytestmark = [pytest.mark.r, pytest.mark.slow]


def schools(groups: int = 12, size: int = 6, seed: int = 0) -> pd.DataFrame:
    """Pupils in schools that are text: x with holes, y, a binary, a category, a school's w."""
    g = np.random.default_rng(seed)
    of = np.repeat(np.arange(groups), size)
    n = groups * size
    u = g.normal(size=groups)[of]
    x = u + g.normal(size=n)
    data = pd.DataFrame(
        {
            "school": [f"s{groups - i}" for i in of],
            "x": x,
            "y": 1 + x / 2 + u + g.normal(size=n),
            "yes": (x + g.normal(size=n) > 0).astype(float),
            "kind": pd.Categorical(np.resize(["b", "a", "a"], n)),
            "w": np.round(g.normal(size=groups), 3)[of],
        },
        index=pd.Index(range(100, 100 + n), name="row"),
    )
    for name in ("x", "yes", "kind"):
        data.loc[g.choice(data.index[1:], n // 6, replace=False), name] = None
    return data


def impute(data: pd.DataFrame, m: int = 2, seed: int = 1, **arguments: Any) -> rb.ImputedData:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        how = {x: arguments.pop(x) for x in ("isolate", "keep_r", "n_jobs") if x in arguments}
        return rb.MiceImputer(m, **{"maxit": 2, **arguments}).impute(data, seed=seed, **how)


def only(method: str, name: str = "x", **types: int) -> dict[str, Any]:
    """One column by a multilevel method, the others as they are."""
    return {
        "method": {"x": "", "yes": "", "kind": "", "w": "", name: method},
        "predictor_matrix": {name: {"school": -2, **types}},
    }


def x_only(method: str, **types: int) -> dict[str, Any]:
    """The column x by a multilevel method; no other has holes."""
    return {"method": {"x": method}, "predictor_matrix": {"x": {"school": -2, **types}}}


NEEDED = ["school", "x", "y", "w"]
NHANES = """library(mice)
data <- nhanes
set.seed(11)
out <- mice(nhanes, printFlag = FALSE)
frames <- complete(out, "all")
means <- out$chainMean
variances <- out$chainVar
"""


@pytest.fixture(scope="module")
def nhanes() -> dict[str, Any]:
    return run_r(NHANES)


# --- the same as mice's own ----------------------------------------------------------------------


def test_nhanes_is_mice_s_own(nhanes: dict[str, Any]) -> None:
    imp = rb.MiceImputer().impute(nhanes["data"], seed=11)
    assert imp.m == 5
    for done, theirs in zip(imp, nhanes["frames"].values(), strict=True):
        pd.testing.assert_frame_equal(done, theirs, check_exact=True)


@pytest.mark.parametrize("way", [{"isolate": True}, {"isolate": False}, {"timeout": 100}])
def test_elsewhere_it_is_the_same(nhanes: dict[str, Any], way: dict[str, Any]) -> None:
    imp = rb.MiceImputer().impute(nhanes["data"], seed=11, **way)
    assert imp == rb.MiceImputer().impute(nhanes["data"], seed=11)
    pd.testing.assert_frame_equal(imp[4], nhanes["frames"]["5"], check_exact=True)


def test_the_trace_is_mice_s_means_and_variances(nhanes: dict[str, Any]) -> None:
    imp = rb.MiceImputer().impute(nhanes["data"], seed=11)
    names = {f"{of}({x})" for of in ("mean", "var") for x in ("bmi", "hyp", "chl")}
    assert set(imp.trace["parameter"]) == names
    assert imp.chain_lengths == (5, 5, 5, 5, 5)
    columns = ["age", "bmi", "hyp", "chl"]
    for row in imp.trace.itertuples():
        of, name = str(row.parameter).rstrip(")").split("(")
        theirs = nhanes["means" if of == "mean" else "variances"]
        assert row.value == theirs[columns.index(name), row.iteration - 1, row.imputation - 1]
    long = rb.MiceImputer(maxit=30).impute(nhanes["data"], seed=11)
    assert set(long.convergence()["parameter"]) == names


def test_streams_are_the_same_in_any_number_of_processes(nhanes: dict[str, Any]) -> None:
    imputer = rb.MiceImputer(3, rng="streams")
    one = imputer.impute(nhanes["data"], seed=2)
    assert one == imputer.impute(nhanes["data"], seed=2, n_jobs=2)
    assert one == imputer.impute(nhanes["data"], seed=2, isolate=True)
    assert one != rb.MiceImputer(3).impute(nhanes["data"], seed=2)
    assert not one[0].equals(one[1])


def test_the_r_object_is_kept_on_request(nhanes: dict[str, Any]) -> None:
    for isolate in (False, True):
        imp = rb.MiceImputer().impute(nhanes["data"], seed=11, keep_r=True, isolate=isolate)
        assert imp.r is not None
        second = imp.r.call("mice::complete", 2).value
        np.testing.assert_array_equal(second.to_numpy(float), imp[1].to_numpy())
        longer = imp.r.call("mice::mice.mids", maxit=2, printFlag=False).value
        assert longer.call("base::getElement", "iteration").value == [7]
    with pytest.raises(rb.ArgumentError, match="keep_r needs rng='r'"):
        rb.MiceImputer(rng="streams").impute(nhanes["data"], seed=1, keep_r=True)


def test_2l_pan_runs_in_a_process_of_its_own_and_repeats_itself() -> None:
    data = schools()[NEEDED]
    arguments = x_only("2l.pan", y=2)
    imp = impute(data, **arguments, paniter=20)
    assert imp == impute(data, **arguments, paniter=20)
    streams = [impute(data, **arguments, paniter=20, rng="streams", n_jobs=n) for n in (1, 2)]
    assert streams[0] == streams[1]
    with pytest.raises(rb.ArgumentError, match=r"isolate=False.*keeps state"):
        impute(data, **arguments, isolate=False)


# --- columns and the class -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text", "category"])
def test_the_class_is_carried_as_integers_and_put_back(kind: str) -> None:
    data = schools()[NEEDED]
    codes = pd.factorize(data["school"])[0] + 1
    if kind == "category":
        data["school"] = pd.Categorical(data["school"], categories=sorted(set(data["school"])))
        codes = data["school"].cat.codes.to_numpy().astype(int) + 1
    arguments = x_only("2l.lmer", y=1)
    imp = impute(data, **arguments)
    numbered = impute(data.assign(school=codes), **arguments)
    for done, theirs in zip(imp, numbered, strict=True):
        pd.testing.assert_series_equal(done["school"], data["school"])
        pd.testing.assert_frame_equal(done[["x", "y", "w"]], theirs[["x", "y", "w"]])
    assert imp.saw["x"] == rb.data.provenance.ColumnModel(
        "2l.lmer", ("school", "y", "w"), ("school",)
    )


def test_types_come_back() -> None:
    data = schools().drop(columns="school")
    data["yes"] = data["yes"].map({0.0: False, 1.0: True}).astype("boolean")
    data["count"] = pd.array(np.arange(len(data)) % 5, dtype="Int16")
    data.loc[107, "count"] = pd.NA
    data["size"] = pd.Categorical(
        np.resize(["s", "m", "l", "m"], len(data)), ["s", "m", "l"], ordered=True
    )
    data.loc[[110, 120], "size"] = None
    done = impute(data)[0]
    assert done.dtypes.to_dict() == data.dtypes.to_dict()
    assert not done.isna().any(axis=None)
    for name in data:
        seen = data[name].notna()
        assert done.loc[seen, name].tolist() == data.loc[seen, name].tolist()


def test_what_each_column_saw() -> None:
    data = schools()
    data.loc[data["school"] == "s3", "w"] = None
    imp = impute(
        data,
        method={"x": "norm", "w": "2lonly.pmm", "yes": "~ I(as.numeric(y > 1))", "kind": "sample"},
        predictor_matrix={
            "x": {"school": 0, "w": 0},
            "w": {"school": -2, "x": 1, "yes": 0, "kind": 0},
        },
    )
    saw = {name: (x.method, x.predictors, x.groups, x.level) for name, x in imp.saw.items()}
    assert saw == {
        "x": ("norm", ("y", "yes", "kind"), ("kind",), None),
        "yes": ("passive", ("y",), (), None),
        "kind": ("sample", (), (), None),
        "w": ("2lonly.pmm", ("school", "x", "y"), ("school",), "school"),
    }
    hole = data["w"].isna()
    assert all(x.loc[hole, "w"].nunique() == 1 for x in imp)
    computed = (imp[0]["y"] > 1).astype(float)
    np.testing.assert_array_equal(imp[0]["yes"][data["yes"].isna()], computed[data["yes"].isna()])


def test_logged_events_are_warnings_and_the_log() -> None:
    data = schools()[["school", "x", "y"]].assign(same=1.0, twice=lambda d: 2 * d["y"])
    with pytest.warns(rb.RBridgeWarning) as caught:
        imp = rb.MiceImputer(2, maxit=1).impute(data, seed=1)
    texts = [str(x.message) for x in caught]
    assert any(
        "'same' is constant: mice neither imputes it nor imputes from it" in x for x in texts
    )
    assert any("'twice' is collinear" in x for x in texts)
    assert any("'school' is constant" in x for x in texts)  # as mice calls text
    assert [x for x in imp.log if "twice" in x] == [
        "'twice' is collinear: mice neither imputes it nor imputes from it"
    ]
    assert "Number of logged events: 3" in imp.warnings
    assert all(x.category is rb.RWarning for x in caught)


def test_cells_that_are_imputed_over_and_holes_that_stay() -> None:
    data = schools()[["x", "y", "w"]]
    where = data.isna()
    where.loc[100, "y"] = True
    hole = data.index[data["x"].isna()][0]
    where.loc[hole, "x"] = False
    imp = impute(data, where=where[["w", "y", "x"]], method="norm")
    assert imp[0]["x"].isna().to_numpy().nonzero()[0].tolist() == [data.index.get_loc(hole)]
    assert all(x.loc[100, "y"] != data.loc[100, "y"] for x in imp)
    assert imp[0]["y"].drop(100).equals(data["y"].drop(100))


def test_holes_that_stay_are_told() -> None:
    data = schools()[["x", "y", "yes"]]
    with pytest.warns(rb.RBridgeWarning, match=r"left \d+ holes in 'x' \(method 'pmm'\): a pred"):
        imp = rb.MiceImputer(2, method={"yes": ""}, maxit=1).impute(data, seed=1)
    assert imp[0]["x"].isna().equals(data["x"].isna() & data["yes"].isna())


def test_arguments_have_both_names_and_are_known() -> None:
    both: dict[str, Any] = {
        "predictorMatrix": {"x": {"y": 0}},
        "visitSequence": ["yes", "x"],
        "ls.meth": "svd",
    }
    ours: dict[str, Any] = {
        "predictor_matrix": {"x": {"y": 0}},
        "visit_sequence": ["yes", "x"],
        "ls_meth": "svd",
    }
    data = schools()[["x", "y", "yes"]]
    assert impute(data, **both) == impute(data, **ours)
    assert impute(data, **both) != impute(data, visit_sequence=["yes", "x"])
    with pytest.raises(rb.ArgumentError, match=r"predictorMatrix is given twice"):
        rb.MiceImputer(predictor_matrix={"x": {"y": 0}}, predictorMatrix={"x": {"y": 0}})
    with pytest.raises(rb.ArgumentError, match=r"'donor' \(did you mean 'donors'\?\)"):
        rb.MiceImputer(donor=3)
    with pytest.raises(rb.ArgumentError, match=r"seed is impute\(\)'s"):
        rb.MiceImputer(seed=3)


def test_every_argument_of_r_is_known() -> None:
    theirs = set(run_r("known <- names(formals(mice::mice))")["known"])
    known = {x.name for x in rb.imputers.mice_arguments.ARGUMENTS}
    assert theirs - {"data", "m", "seed", "..."} <= known


def test_a_matrix_as_frame_and_as_mapping() -> None:
    data = schools()[["x", "y", "yes"]]
    frame = pd.DataFrame({"y": [0.0], "yes": [1.0]}, index=["x"])
    assert impute(data, predictor_matrix=frame) == impute(data, predictor_matrix={"x": {"y": 0}})
    assert impute(data, predictor_matrix=frame).saw["x"].predictors == ("yes",)
    assert impute(data, predictor_matrix=frame).saw["yes"].predictors == ("x", "y")


# --- traps: refused by name, before R -------------------------------------------------------------


def with_factor_of_schools() -> pd.DataFrame:
    data = schools()
    data["size"] = pd.Categorical(np.where(data["w"] > 0, "0", "1"))
    data.loc[data["school"] == "s4", ["size", "w"]] = None
    return data


def one_observed() -> pd.DataFrame:
    data = schools()
    data.loc[106:111, "x"] = [1.0, *[np.nan] * 5]
    return data


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (schools, only("2l.pan", "kind"), "'kind' is a category, and 2l.pan draws numbers"),
    (schools, only("2l.norm", "kind"), "'kind' is a category, and 2l.norm"),
    (schools, only("2l.lmer", "kind"), "'kind' is a category, and 2l.lmer"),
    (with_factor_of_schools, only("2lonly.pmm", "size"), "'size' is a category, and 2lonly.pmm"),
    (with_factor_of_schools, only("2lonly.norm", "size"), "'size' is a category"),
    (schools, only("2l.bin"), "'x' is not binary"),
    (schools, {"method": {"x": "2l.pan"}}, "'x': 2l.pan needs one class.*marks? the column"),
    (schools, only("2l.pan", w=-2), "names 'school', 'w'"),
    (one_observed, only("2l.lmer", y=2), r"'x': group s11 of 'school' has one observed row of it"),
    (schools, only("2l.pan", w=3), "class means of 'w'.*constant in each group.*never end"),
    (lambda: schools().assign(x=lambda d: d["x"] / 1000), only("2l.pan"),
     "variance of its values is below mice's eps.*without which 2l.pan fails: give eps=0"),
    (lambda: schools().assign(w=lambda d: d["w"].where(d.index != 103)), only("2lonly.norm", "w"),
     "'w': 2lonly.norm imputes groups without any value, and group s12"),
    (lambda: schools().assign(school=lambda d: d["school"].where(d.index != 103)),
     only("2l.pan"), r"class column 'school' has missing values \(the first in row 4\)"),
    (schools, {**only("2l.pan"), "ignore": np.arange(72) < 9}, "2l.pan knows no ignore"),
    (schools, {**only("2l.pan"), "where": "all"}, "where asks for imputations of 'school'"),
    (schools, {"formulas": {"x": "x ~ y"}, "method": {"x": "2l.pan"}}, "in which mice knows no cl"),
    (lambda: schools().assign(kind=lambda d: d["kind"].cat.rename_categories(
        {"a": '+system("touch x")'})), only("2l.lmer"), "would be no name there: rename it"),
    (lambda: schools().assign(school=lambda d: d["school"].where(d.index > 102)), {},
     "column 'school' is text"),
    (lambda: schools().assign(day=pd.Timestamp("2020-01-01")).assign(
        day=lambda d: d["day"].where(d.index > 102)), {}, r"column 'day' \(datetime64.*no number"),
    (lambda: schools().assign(y=np.inf), {}, "'y' holds infinite values"),
    (lambda: schools()[["x"]], {}, "at least two columns"),
    (schools, {"method": {"z": "pmm"}}, "method names 'z'.*its columns or blocks are 'school'"),
    (schools, {"method": ["pmm"]}, "a list of 1, and there are 6 columns"),
    (schools, {"method": "~ I(x)"}, "every column by one formula"),
    (schools, {"predictor_matrix": {"z": {"x": 1}}}, "predictorMatrix names 'z'"),
    (schools, {"predictor_matrix": {"x": {"z": 1}}}, "predictorMatrix names 'z'"),
    (schools, {"predictor_matrix": {"x": {"y": 7}}}, "predictorMatrix has 7 for 'x' and 'y'"),
    (schools, {"blocks": [["x", "nope"]]}, "blocks names 'nope'"),
    (schools, {"post": {"nope": "imp[[j]][, i] <- 1"}}, "post names 'nope'"),
    (schools, {"visit_sequence": ["x", "nope"]}, "visitSequence names 'nope'"),
    (schools, {"formulas": {"x": "~ y"}}, "'x ~ a . b'"),
    (schools, {"where": pd.DataFrame({"x": [True]})}, "the same index"),
    (schools, {"ignore": [True]}, "True or False for each of the 72 rows"),
    (schools, {"data_init": schools()}, "data_init has missing values"),
    *((schools, {**only(method, name), **given}, f"'{name}': mice passes .* on to {method}, and")
      for method, name in (("2l.lmer", "x"), ("2l.bin", "yes"))
      for given in ({"donors": 3}, {"eps": 0}, {"blots": {name: {"ridge": 0.1}}})),
    (lambda: schools().assign(x=lambda d: d["x"] / 1000), only("2l.lmer"),
     "without which 2l.lmer fails: impute the column in a larger unit"),
    (schools, {"predictor_matrix": {"x": ["y"]}}, "predictorMatrix has .* takes a mapping"),
    (schools, {"blocks": {}}, "each of at least one"),
    (schools, {"blocks": [["x", "x"]]}, "block 'B1' names a column twice"),
    (schools, {"formulas": {"x": "yes ~ y"}}, "'x' has 'yes' on its left"),
    (schools, {"ignore": np.full(72, True)}, "ignore names all rows"),
    (lambda: schools().assign(school="s"), only("2l.lmer"), "'school' has one group"),
    (lambda: schools().rename(columns={"y": "yobs"}), only("2l.lmer"), "'yobs'.*rename that one"),
    (lambda: schools().rename(columns={"school": "yobs"}),
     {**only("2l.bin", "yes"), "predictor_matrix": {"yes": {"yobs": -2}}}, "'yobs'.*rename"),
    (lambda: schools().rename(columns={"y": "yobs"}), only("cart"), "'yobs'.*rename that one"),
    *((schools, only(method, "kind"), f"'kind' is a category, and {method} draws numbers")
      for method in ("norm", "norm.boot", "mean", "midastouch", "ri", "mpmm", "quadratic")),
    *((schools, only(method), f"'x' .*holds no categories, and {method} imputes only these")
      for method in ("polyreg", "polr", "lda")),
    *((schools, only(method), f"'x' is not binary, and {method}")
      for method in ("logreg", "logreg.boot", "mnar.logreg")),
    *((lambda: schools().assign(kind=lambda d: d["kind"].cat.add_categories("c")),
       only(method, "kind"), f"'kind' has a category that no row has, at which {method} fails")
      for method in ("lda", "logreg.boot")),
    *((schools, {**only("mnar.norm"), **ums}, text) for ums, text in (
        ({}, "mnar.norm needs ums"),
        ({"ums": "system(1)"}, "in place of a number"),
        ({"ums": "1+2e-1*y"}, "in place of a number"),
        ({"ums": "1+2*nope"}, "names 'nope'"),
        ({"blots": {"x": {"ums": "2*y"}}}, "must have one number without a column, and has 0"),
    )),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "arguments", "text"), REFUSED, ids=lambda x: None if callable(x) else str(x)[:40]
)
def test_refused_before_r(
    make: Any, arguments: dict[str, Any], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("R was called")

    for name in ("call", "begin_call_object", "call_object", "require_package"):
        monkeypatch.setattr(rdoor, name, never)
    with pytest.raises(rb.ArgumentError, match=f"(?s){text}"):
        rb.MiceImputer(2, **arguments).impute(make(), seed=1)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"where": "some"}, "where must be missing or all or none or observed"),
        ({"maxit": -1}, "maxit must be a whole number"),
        ({"default_method": ["pmm"]}, "four methods"),
        ({"predictor_matrix": {}, "blocks": ["x"], "formulas": {"x": "x ~ y"}}, "two of them"),
        ({"post": "imp"}, "post must be a mapping"),
        ({"printFlag": True}, "printFlag"),
        ({"blocks": [["x"], []]}, "each of at least one"),
        ({"blots": {"x": 3}}, "blots has 3 for 'x'"),
        ({"blots": {"x": {"donor": 1}}}, r"blots of 'x' has no argument 'donor' \(did you mean"),
        ({"blots": {"x": {"na.action": "attach"}}}, "blots of 'x' has no argument 'na.action'"),
        ({"blots": {"x": {"donors": "1"}}}, "donors must be a number"),
    ],
)
def test_refused_without_data(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        rb.MiceImputer(2, **arguments).impute(schools(), seed=1)


@pytest.mark.parametrize("names", [[], ["x"], "x"])
def test_one_name_is_no_order_of_visits(names: Any) -> None:
    with pytest.raises(rb.ArgumentError, match="visitSequence needs two columns"):
        impute(schools()[["x", "y"]], visit_sequence=names)
    assert impute(schools()[["x", "y"]], visit_sequence=["y", "x"])[1]["x"].notna().all()


@pytest.mark.parametrize(
    ("formula", "text"),
    [("x ~ offset(y)", "has an offset, which mice leaves out"),
     ("x ~ y + (1 | w)", "has a random term, which mice knows only with .*'panImpute'")],
)  # fmt: skip
def test_formulas_that_mice_would_read_otherwise(formula: str, text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        impute(schools()[["x", "y", "w"]], formulas={"x": formula})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"method": "pmmm"}, "'pmmm' is no imputation method"),
     ({"method": {"x": "~ I(system(1))"}}, "calls 'system'"),
     ({"post": {"x": "system(1)"}}, "must assign to a part of 'imp'"),
     ({"formulas": {"x": "x ~ system(1)"}}, "calls 'system'"),
     ({"visitSequence": ["x"]}, "visitSequence needs two")],
)  # fmt: skip
def test_jobs_are_told_before_they_run(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        mice_module.check_with_data(arguments, schools()[["x", "y"]])


def test_blots_call_no_function() -> None:
    """R would call the function that na.action names with lmer's data, here attach()."""
    blots = {"x": {"na.action": "attach"}}
    before = rdoor.call("base::search").value
    with pytest.raises(rb.ArgumentError, match=r"blots of .x. has no argument .na"):
        impute(schools()[NEEDED], blots=blots, **x_only("2l.lmer"))
    assert list(rdoor.call("base::search").value) == list(before)
    one = impute(schools()[["x", "y"]], blots={"x": {"donors": 1}})
    assert one == impute(schools()[["x", "y"]], donors=1) != impute(schools()[["x", "y"]])


def test_nothing_to_impute_gives_the_data_m_times() -> None:
    data = schools()[["x", "y", "w"]]
    for imp in (impute(data.dropna()), impute(data, where="none")):
        assert (imp.m, imp.saw, len(imp.trace)) == (2, {}, 0)
        pd.testing.assert_frame_equal(imp[1], imp.original)


def test_a_column_that_mice_takes_out_keeps_its_holes() -> None:
    data = schools()[["kind", "y"]].assign(same=lambda d: d["kind"].cat.as_ordered())
    data["kind"] = data["kind"].fillna("a")
    with pytest.warns(rb.RBridgeWarning, match="mice left 12 holes in 'same'"):
        imp = rb.MiceImputer(2).impute(data, seed=1)
    assert imp.saw == {}
    assert imp[0]["same"].isna().sum() == 12


def test_a_class_may_have_the_name_of_an_argument() -> None:
    data = schools()[NEEDED]
    plain = impute(data, **x_only("2l.lmer"))
    renamed: dict[str, Any] = {"method": {"x": "2l.lmer"}, "predictor_matrix": {"x": {"self": -2}}}
    imp = impute(data.rename(columns={"school": "self"}), **renamed)
    for one, other in zip(imp, plain, strict=True):
        pd.testing.assert_frame_equal(one.rename(columns={"self": "school"}), other)


def test_a_predictor_that_regressions_cannot_take_has_a_remedy() -> None:
    data = schools()[["x", "y"]].assign(day=pd.date_range("2020-01-01", periods=72))
    with pytest.raises(rb.ImputationError, match=r"singular(?s:.*)what helps: .*rescale it"):
        impute(data, method={"x": "norm"})


def test_a_method_whose_package_is_lacking_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = {"nnet": "polyreg", "rpart": "cart", "ranger": "rf", "glmnet": "lasso.norm"}
    has = rdoor.has_package

    def require(name: str, what: str) -> None:
        if name in lacking or not has(name):
            raise rb.RPackageError(f"{what} needs the R package {name}")

    monkeypatch.setattr(rdoor, "require_package", require)
    for package, method in lacking.items():
        with pytest.raises(rb.RPackageError, match=f"method '{method}' .*package {package}"):
            impute(schools()[["kind" if package == "nnet" else "x", "y"]], method=method)
    with pytest.raises(rb.RPackageError, match="randomForest"):
        monkeypatch.setattr(rdoor, "has_package", lambda name: name != "randomForest")
        has = rdoor.has_package
        impute(schools()[["x", "y"]], method="rf", rf_package="randomForest")


def runaway() -> pd.DataFrame:
    """Groups with hardly any slopes, at which lme4 says that the fit is singular."""
    g = np.random.default_rng(1)
    groups, size = 12, 8
    n = groups * size
    of = np.repeat(np.arange(groups), size)
    u = g.normal(size=groups)[of]
    x = u + g.normal(size=n)
    y = x / 2 + u + g.normal(size=n)
    w = g.normal(size=groups)[of]
    kind = np.array([1.0, 2.0, 3.0])[g.integers(0, 3, n)]
    return pd.DataFrame({"school": of, "y": y, "w": w, "kind": kind}).assign(
        x=np.where(g.random(n) < 0.2, np.nan, x)
    )


# --- traps: told ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "arguments", "text"),
    [
        (schools, only("2l.norm", y=1, w=2), "'x': 2l.norm uses predictors of type 2.*'y'"),
        (schools, only("2l.lmer", y=3), "types 3 and 4 .* are 2l.pan's, and with 2l.lmer 'y'"),
        (schools, only("2l.lmer", "yes"), "'yes' holds 0 and 1 only, and 2l.lmer draws numbers"),
        (schools, only("2l.bin", "yes"), "2l.bin draws the effects of groups without regard"),
        (schools, only("pmm"), "'x': pmm knows no groups, and takes the class 'school'"),
        (lambda: schools().assign(x=lambda d: d["x"] / 1000), {"method": "norm"},
         "'x': the variance .* drops all of its predictors without a word: give eps=0"),
        (lambda: schools().assign(w=lambda d: d["w"].where(d["school"] != "s4")),
         only("2lonly.mean", "w"), "group s4 of 'school' has none: its holes stay"),
        (lambda: schools().assign(school=range(72)), x_only("2l.lmer"),
         "where lmer or glmer did not run, .* random draws of observed values"),
        (runaway, x_only("2l.lmer", y=2), r"'x': its imputations \(2l.lmer\) go from .*broke down"),
        (schools, {"formulas": {"x": "x ~ y"}}, "'yes': in no block and with no formula"),
    ],
    ids=lambda x: None if callable(x) else str(x)[:30],
)  # fmt: skip
def test_told(make: Any, arguments: dict[str, Any], text: str) -> None:
    data = make().drop(columns=["kind"])
    if "method" in arguments and isinstance(arguments["method"], dict):
        arguments = {**arguments, "method": {**arguments["method"]}}
        arguments["method"].pop("kind", None)
    else:
        data = data.drop(columns="school")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rb.MiceImputer(2, maxit=1, **arguments).impute(data, seed=1)
    assert any(
        pd.Series([str(x.message)]).str.contains(text).item()
        for x in caught
        if x.category is rb.RBridgeWarning
    ), [str(x.message) for x in caught]


def test_what_is_told_is_so() -> None:
    """R does what the texts say: predictors of small columns dropped, type 1 and -2 misused."""
    data = schools(groups=20).drop(columns=["kind", "yes", "w"])
    small = data.assign(x=data["x"] / 1000)[["x", "y"]]
    hole = small["x"].isna()

    def related(imp: rb.ImputedData) -> float:
        values = [np.corrcoef(x.loc[hole, "x"], x.loc[hole, "y"])[0, 1] for x in imp]
        return float(np.mean(values))

    assert abs(related(impute(small, m=20, method="norm"))) < 0.25
    assert related(impute(small, m=20, method="norm", eps=0)) > 0.4
    one = impute(data, m=20, **x_only("2l.norm", y=1))
    two = impute(data, m=20, **x_only("2l.norm", y=2))
    assert related(two) > related(one) + 0.1
    number = data.assign(school=pd.factorize(data["school"])[0] + 1)
    plain = impute(number, method="norm")
    assert plain == impute(number, method="norm", predictor_matrix={"x": {"school": -2}})


def test_what_lme4_does_not_take_makes_mice_draw_at_random() -> None:
    """The refusal's reason, in R itself; in another column's blots the argument is right."""
    data = schools()[["school", "x", "y", "yes"]]
    coded = data.assign(school=pd.factorize(data["school"])[0] + 1)
    script = """library(mice)
    p <- make.predictorMatrix(data)
    p["x", "school"] <- -2
    p["yes", "school"] <- 0
    set.seed(1)
    out <- mice(data, m = 2, maxit = 2, method = c("", "2l.lmer", "", "pmm"), predictorMatrix = p,
      GIVEN, printFlag = FALSE)
    x <- complete(out, 2)$x
    """
    told = run_r("texts <- character(); withCallingHandlers({" + script.replace(
        "GIVEN", "donors = 1") + "}, warning = function(w) texts <<- conditionMessage(w))",
        data=coded)  # fmt: skip
    assert told["texts"] == "lmer does not run. Simplify imputation model"
    holes = data["x"].isna().to_numpy()
    assert set(told["x"][holes]) <= set(data["x"].dropna())
    right = run_r(script.replace("GIVEN", "blots = list(yes = list(donors = 1))"), data=coded)
    imp = impute(
        data, method={"x": "2l.lmer", "yes": "pmm"}, blots={"yes": {"donors": 1}},
        predictor_matrix={"x": {"school": -2}, "yes": {"school": 0}},
    )  # fmt: skip
    np.testing.assert_array_equal(imp[1]["x"], right["x"])


def test_where_r_would_fail_or_lose_values(tmp_path: Path) -> None:
    """The refusals' reasons, in R itself."""
    data = one_observed()[NEEDED].assign(school=lambda d: pd.factorize(d["school"])[0] + 1)
    in_r = run_r(
        """suppressMessages(library(mice))
        p <- make.predictorMatrix(data); p["x", c("school", "y")] <- c(-2, 2)
        try_it <- function(data, method) tryCatch(
          complete(suppressWarnings(mice(data, 1, method, p, maxit = 1, printFlag = FALSE)))$x,
          error = conditionMessage)
        singleton <- try_it(data, c("", "2l.lmer", "", ""))
        factors <- try_it(transform(data, x = factor(x > 0)), c("", "2l.pan", "", ""))
        left <- sum(is.na(factors)); holes <- sum(is.na(data$x))
        text <- try_it(transform(data, school = paste(school)), c("", "2l.pan", "", ""))
        """,
        data=data,
    )
    assert "non-conformable" in in_r["singleton"][0]
    assert in_r["left"] == in_r["holes"] > 0
    assert "No class variable" in in_r["text"][0]


# --- code is data ---------------------------------------------------------------------------------


PAYLOADS = [
    {"method": {"x": "norm; system('touch PWNED')"}},
    {"method": {"x": "norm.draw"}},
    {"method": {"x": "passive"}},
    {"method": {"x": "base::system"}},
    {"method": "rnorm"},
    {"default_method": ["pmm", "logreg", "polyreg", "nope"]},
    {"method": {"x": "~ system('touch PWNED')"}},
    {"method": {"x": "~ I(`system`('touch PWNED'))"}},
    {"method": {"x": "~ base::eval(quote(system('touch PWNED')))"}},
    {"method": {"x": "~ (function() system('touch PWNED'))()"}},
    {"method": {"x": "~ I(get('sys' , mode = 'function')('touch PWNED'))"}},
    {"method": {"x": "~ I(.GlobalEnv)"}},
    {"method": {"x": "~ I(y); system('touch PWNED')"}},
    {"method": {"x": "~ y ~ system('touch PWNED')"}},
    {"formulas": {"x": "x ~ y + system('touch PWNED')"}},
    {"formulas": {"x": "x ~ do.call('system', list('touch PWNED'))"}},
    {"formulas": {"x": "x ~ C(y, system)"}},
    {"formulas": {"x": "x ~ no_such_column"}},
    {"post": {"x": "system('touch PWNED')"}},
    {"post": {"x": "imp[[j]][, i] <- system('touch PWNED')"}},
    {"post": {"x": "imp[[j]][, i] <- 1; system('touch PWNED')"}},
    {"post": {"x": "imp[[j]][system('touch PWNED'), i] <- 1"}},
    {"post": {"x": "post[j] <- 'system(1)'"}},
    {"post": {"x": "cmd <- 'x'"}},
    {"post": {"x": "imp <- data"}},
    {"post": {"x": "data[1, 1] <- 2"}},
    {"post": {"x": "imp[[j]][, i] <- (squeeze <- 1)"}},
    {"post": {"x": "imp[[j]][, i] <<- 1"}},
    {"post": {"x": "assign('y', 1)"}},
    {"post": {"x": "imp[[j]][, i] <- post"}},
    {"post": {"x": "`[`(imp, 1) <- eval(quote(system('touch PWNED')))"}},
    {"post": {"x": "levels(imp)[1] <- 1"}},
    {"post": {"x": "imp[[j]][, i] <- data$x$`system`('touch PWNED')"}},
]


@pytest.mark.parametrize("arguments", PAYLOADS, ids=str)
def test_code_is_refused_before_mice_runs(
    arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = schools()[["x", "y", "yes"]]
    with pytest.raises(rb.ArgumentError):
        rb.MiceImputer(2, maxit=1, **arguments).impute(data, seed=1)
    assert not list(tmp_path.iterdir())
    # Without the question that comes first, the engine itself refuses it.
    monkeypatch.setattr(rb.MiceImputer, "_ask_r", lambda *_: None)
    with pytest.raises(rb.RBridgeError):
        rb.MiceImputer(2, maxit=1, **arguments).impute(data, seed=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["system('touch PWNED')", "a b", "x;y", "if", "1a", "_x"])
def test_names_that_mice_would_paste_into_formulas_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = schools()[["x", "y"]].rename(columns={"y": name})
    with pytest.raises(rb.ArgumentError, match="would be no name in R: rename"):
        rb.MiceImputer(2).impute(data, seed=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "right"),
    [
        ("imp[[j]][, i] <- squeeze(imp[[j]][, i], c(0, 1))", lambda x: x.between(0, 1)),
        ("imp[[j]][, i] <- mice::squeeze(imp[[j]][, i], c(0, 1))", lambda x: x.between(0, 1)),
        ("imp[[j]][data$y[!r[, j]] > 0, i] <- 7", lambda x: (x == 7) | True),
        ("imp$x[, i] <- pmax(imp$x[, i], 3)", lambda x: x >= 3),
        ("imp[['x']][, i] <- rep(5, length(imp[['x']][, i]))", lambda x: x == 5),
    ],
)
def test_post_does_what_it_says(command: str, right: Any) -> None:
    data = schools()[["x", "y"]]
    imp = impute(data, method="norm", post={"x": command})
    hole = data["x"].isna()
    for done in imp:
        assert right(done.loc[hole, "x"]).all()
    if "> 0" in command:
        above = hole & (data["y"] > 0)
        assert (imp[0].loc[above, "x"] == 7).all() and above.any()
        assert (imp[0].loc[hole & ~above, "x"] != 7).all()


def test_state_is_known_by_method() -> None:
    data = schools()
    from rbridge_mi.imputers.mice_arguments import checked, set_up

    for method, keeps in (("2l.pan", True), ("2l.lmer", False)):
        setup = set_up(checked(only(method).items()), data)
        assert mice_checks.keeps_state(setup) is keeps
