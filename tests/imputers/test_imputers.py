"""Amelia and the bootstrap: seeds, arguments, dtypes, failures."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.data.stores import CellStore

pytestmark = pytest.mark.r


def small(n: int = 60, seed: int = 0) -> pd.DataFrame:
    g = np.random.default_rng(seed)
    x = g.normal(size=n)
    y = x + g.normal(size=n)
    return pd.DataFrame({"x": x, "y": y, "z": g.normal(size=n) - y})


def holed(frame: pd.DataFrame, columns: Any = None) -> pd.DataFrame:
    return rb.ampute(frame, prop=0.1, columns=columns, seed=3)


def test_same_seed_same_bits_other_seed_others() -> None:
    imputer = rb.AmeliaImputer(m=2)
    frame = holed(small())
    one, two, three = (imputer.impute(frame, seed=s) for s in (7, 7, 8))
    assert one == two
    assert one != three


def test_without_a_seed_the_result_tells_how_to_repeat_it() -> None:
    imputer = rb.AmeliaImputer(m=2)
    frame = holed(small())
    one = imputer.impute(frame)
    assert imputer.impute(frame, seed=one.seed) == one
    assert imputer.impute(frame).seed != one.seed


def test_dtypes_categories_and_index_are_restored() -> None:
    g = np.random.default_rng(1)
    n = 120
    x = g.normal(size=n)
    frame = pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(n)],
            "x": x,
            "x32": (x + g.normal(size=n)).astype("float32"),
            "count": g.poisson(5, n),
            "flag": x + g.normal(size=n) > 0,
            "yes": pd.array(x > 0.2, dtype="boolean"),
            "color": pd.Categorical(
                np.where(x > 0, "red", "blue"), categories=["red", "blue", "no"]
            ),
            "grade": pd.Categorical(pd.cut(x, [-9, -0.5, 0.5, 9], labels=["lo", "mid", "hi"])),
            "kind": np.where(g.normal(size=n) > 0, "u", "v"),
            "rank": pd.array(g.integers(1, 4, n), dtype="Int16"),
        },
        index=pd.Index(range(1000, 1000 + n), name="person"),
    )
    holes = rb.ampute(frame, prop=0.08, columns=list(frame.columns[1:]), seed=5)
    imputer = rb.AmeliaImputer(
        m=2, idvars="id", noms=["color", "kind"], ords=["grade", "rank"], empri=5
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        imp = imputer.impute(holes, seed=2)
    assert any("count: Int64 became Float64" in str(x.message) for x in caught)
    assert any("x32: float32 became float64" in x for x in imp.notes)
    assert "count: Int64 became Float64" in imp.summary()
    for done in imp:
        assert not done.isna().any(axis=None)
        assert done.index.equals(frame.index)
        assert list(done.columns) == list(frame.columns)
        expected = dict(holes.dtypes) | {"x32": np.dtype("float64"), "count": pd.Float64Dtype()}
        assert dict(done.dtypes) == expected
        known = holes.notna()
        for name in holes:
            kept = done.loc[known[name], name].astype(object)
            assert (kept == holes.loc[known[name], name].astype(object)).all(), name
        assert list(done["color"].cat.categories) == ["red", "blue", "no"]
        assert done["grade"].cat.ordered
        assert set(done["kind"]) == {"u", "v"}
        assert set(done["rank"]) <= {1, 2, 3}


def test_observed_cells_are_stored_once() -> None:
    frame = holed(small(), ["x"])
    imp = rb.AmeliaImputer(m=3).impute(frame, seed=1)
    assert isinstance(imp.store, CellStore)
    assert list(imp.store.cells) == ["x"]
    assert len(imp.store.cells["x"].rows) == frame["x"].isna().sum() == 6


def test_a_changed_completed_frame_does_not_change_the_rest() -> None:
    frame = holed(small())
    imp = rb.AmeliaImputer(m=2).impute(frame, seed=1)
    first = imp[0]
    before = first.copy()
    first.iloc[:, :] = 0.0
    frame.iloc[:, :] = 1.0
    pd.testing.assert_frame_equal(imp[0], before)


def test_every_argument_of_amelia_is_taken() -> None:
    theirs = set(rdoor.call("base::names", rdoor.call_object("base::formals", rdoor.call_object(
        "utils::getFromNamespace", "amelia.default", "Amelia"))).value)  # fmt: skip
    from rbridge_mi.imputers.amelia_arguments import ARGUMENTS

    assert {x.name for x in ARGUMENTS} == theirs - {"x", "m", "..."}
    signature = set(inspect.signature(rb.AmeliaImputer).parameters) - {"m", "rng", "arguments"}
    shown = {x.python_name for x in ARGUMENTS if not x.hidden} | {"arglist"}
    assert signature == shown


def test_unknown_arguments_are_refused_with_the_valid_ones() -> None:
    with pytest.raises(
        rb.ArgumentError,
        match=r"no argument 'nom' \(did you mean 'noms'\?\); it has idvars, noms, ords",
    ):
        rb.AmeliaImputer(nom=["x"])


@pytest.mark.parametrize("argument", ["idvars", "noms", "ords", "logs", "sqrts", "lgstc", "lags",
                                      "leads", "ts", "cs"])  # fmt: skip
def test_unknown_columns_are_refused_before_r(argument: str) -> None:
    given: dict[str, Any] = {argument: "nope"}
    with pytest.raises(rb.ArgumentError, match=rf"{argument} names 'nope'.*'x', 'y', 'z'"):
        rb.AmeliaImputer(**given).impute(holed(small()), seed=1)


def test_arguments_that_break_the_seed_are_refused() -> None:
    with pytest.raises(rb.ArgumentError, match="ignores the seed"):
        rb.AmeliaImputer(parallel="multicore")
    with pytest.raises(rb.ArgumentError, match="window"):
        rb.AmeliaImputer(frontend=True)


def test_bounds_and_priors_take_column_names() -> None:
    frame = holed(small())
    by_name = rb.AmeliaImputer(m=2, bounds=[["x", 0.0, 0.1]]).impute(frame, seed=4)
    by_number = rb.AmeliaImputer(m=2, bounds=np.array([[1, 0.0, 0.1]])).impute(frame, seed=4)
    assert by_name == by_number
    filled = by_name[0].loc[frame["x"].isna(), "x"]
    assert filled.between(0.0, 0.1).all()


def test_progress_is_silent_off_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    rb.AmeliaImputer(m=2).impute(holed(small()), seed=1)
    assert capfd.readouterr() == ("", "")


def test_amelias_warnings_are_kept_and_raised() -> None:
    frame = small()
    frame["twin"] = frame["x"] * 2
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        imp = rb.AmeliaImputer(m=2, empri=3).impute(holed(frame, ["y"]), seed=1)
    texts = [str(x.message) for x in caught if issubclass(x.category, rb.RWarning)]
    assert any("collinear" in x for x in texts)
    assert any("collinear" in x for x in imp.warnings)
    assert "collinear" in imp.summary()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d, r"(?s)no missing values.*nothing to impute"),
        (lambda d: holed(d).assign(y=np.nan), r"column 'y' has no value at all"),
        (lambda d: holed(d, ["x"]).assign(y=1.0), r"(?s)do not vary: +y.*drop the constant column"),
        (lambda d: holed(d, ["x"]).assign(t=[f"t{i}" for i in range(len(d))]),
         r"column 't'.*neither a number.*idvars, noms or ords"),
        (lambda d: holed(d, ["x"]).assign(z=[np.inf] + [1.0, 2.0] * 29 + [3.0]),
         r"column 'z' holds infinite values"),
        (lambda d: holed(d).iloc[:0], r"data is empty \(0 rows, 3 columns\)"),
        (lambda d: d.iloc[:, :0], r"data is empty"),
        (lambda d: holed(d).set_axis(["x", "x", "z"], axis=1), r"more than once: \['x'\]"),
        (lambda d: holed(d).to_dict(), r"must be a pandas DataFrame, not dict"),
        (lambda d: holed(d)["x"], r"must be a pandas DataFrame, not Series"),
    ],
    ids=["complete", "all missing", "constant", "text", "infinite", "no rows", "no columns",
         "twice", "dict", "series"],
)  # fmt: skip
def test_wrong_data_have_clear_errors(change: Any, text: str) -> None:
    with pytest.raises((rb.ArgumentError, rb.ImputationError), match=text):
        rb.AmeliaImputer(m=2).impute(change(small()), seed=1)


@pytest.mark.parametrize("m", [0, -1, 1.5, 2.0, "5", True, None])
@pytest.mark.parametrize(("imputer", "least"), [(rb.AmeliaImputer, 1), (rb.BootstrapImputer, 2)])
def test_wrong_m(imputer: Any, least: int, m: Any) -> None:
    with pytest.raises(rb.ArgumentError, match=rf"whole number of at least {least}, not"):
        imputer(m=m)


def test_one_bootstrap_sample_says_nothing() -> None:
    with pytest.raises(rb.ArgumentError, match="at least 2, not 1"):
        rb.BootstrapImputer(m=1)


@pytest.mark.parametrize("m", [10**9, 10**30])
@pytest.mark.parametrize("engine", ["amelia", "streams", "bootstrap", "clusters"])
def test_an_m_that_no_memory_holds_is_refused(engine: str, m: int) -> None:
    imputers: dict[str, rb.AmeliaImputer | rb.BootstrapImputer] = {
        "amelia": rb.AmeliaImputer(m),
        "streams": rb.AmeliaImputer(m, rng="streams"),
        "bootstrap": rb.BootstrapImputer(m),
        "clusters": rb.BootstrapImputer(m, cluster="x"),
    }
    with pytest.raises(rb.ArgumentError, match=rf"m = {m} .*GB, and this machine has.*smaller m"):
        imputers[engine].impute(holed(small(), ["y"]), seed=1)


@pytest.mark.parametrize("seed", [1.5, "1", True, 2**31, [1]])
@pytest.mark.parametrize("imputer", [rb.AmeliaImputer(2), rb.BootstrapImputer(2)])
def test_wrong_seed(imputer: Any, seed: Any) -> None:
    with pytest.raises(rb.ArgumentError, match=r"seed must be a whole number"):
        imputer.impute(holed(small()), seed=seed)


def test_numpy_integers_are_integers() -> None:
    two: Any = np.int64(2)
    seed: Any = np.int32(4)
    one = rb.BootstrapImputer(two).impute(small(), seed=seed)
    assert one == rb.BootstrapImputer(2).impute(small(), seed=4)


@pytest.mark.parametrize("names", [["if", "a b", "ü"], ["NA", "x`y", "function"]])
def test_odd_column_names_are_carried(names: list[str]) -> None:
    frame = holed(small()).set_axis(names, axis=1)
    plain = rb.AmeliaImputer(m=2).impute(holed(small()), seed=1)
    odd = rb.AmeliaImputer(m=2).impute(frame, seed=1)
    assert list(odd[1].columns) == names
    assert odd[1].to_numpy().tobytes() == plain[1].to_numpy().tobytes()


def test_streams_are_the_same_for_any_number_of_processes() -> None:
    frame = holed(small().assign(f=["a", "b", "c"] * 20))
    imputer = rb.AmeliaImputer(m=4, noms="f", rng="streams")
    one, two = imputer.impute(frame, seed=6), imputer.impute(frame, seed=6, n_jobs=2)
    assert one == two
    assert one.chain_lengths == two.chain_lengths
    assert len({x["x"].sum() for x in one}) == 4
    assert rb.AmeliaImputer(m=2, noms="f", rng="streams").impute(frame, seed=6)[1].equals(one[1])
    assert one != rb.AmeliaImputer(m=4, noms="f").impute(frame, seed=6)


def test_streams_are_ls_ecuyers() -> None:
    frame = holed(small())
    mine = rb.AmeliaImputer(m=2, rng="streams").impute(frame, seed=6)[1]
    environment = rdoor.call_object("base::list2env", {"frame": frame})
    program = rdoor.call_object(
        "base::str2lang",
        """{
      RNGkind("L'Ecuyer-CMRG"); set.seed(6)
      stream <- parallel::nextRNGStream(get(".Random.seed", globalenv()))
      assign(".Random.seed", stream, globalenv())
      out <- Amelia::amelia(frame, m = 1, p2s = 0)$imputations[[1]]
      RNGkind("default"); out
    }""",
    )
    theirs = rdoor.call("base::eval", program, environment).value
    assert mine.to_numpy().tobytes() == theirs.to_numpy().tobytes()


def test_processes_need_streams() -> None:
    with pytest.raises(rb.ArgumentError, match="rng='streams'"):
        rb.AmeliaImputer(m=2).impute(holed(small()), seed=1, n_jobs=2)
    with pytest.raises(rb.ArgumentError, match="'r', 'streams'"):
        rb.AmeliaImputer(m=2, rng="python")  # type: ignore[arg-type]


def test_blank_rows_are_said_to_be_left() -> None:
    frame = holed(small())
    frame.iloc[4] = np.nan
    with pytest.warns(rb.RWarning, match="1 rows have no value"):
        imp = rb.AmeliaImputer(m=2).impute(frame, seed=1)
    assert imp[0].isna().any(axis=1).sum() == 1


# -- bootstrap ------------------------------------------------------------------------------


def test_bootstrap_is_rs_sample_int() -> None:
    frame = small(10)
    imp = rb.BootstrapImputer(m=3).impute(frame, seed=11)
    program = "{set.seed(11); lapply(1:3, function(i) sample.int(10L, 10L, replace = TRUE))}"
    rows = rdoor.call("base::eval", rdoor.call_object("base::str2lang", program)).value
    for mine, theirs in zip(imp, rows, strict=True):
        assert mine.index.tolist() == (theirs - 1).tolist()
        pd.testing.assert_frame_equal(mine, frame.iloc[theirs - 1])


def test_bootstrap_of_clusters_keeps_them_whole_and_apart() -> None:
    frame = pd.DataFrame({"g": list("aabbbc"), "x": range(6)})
    imp = rb.BootstrapImputer(m=20, cluster="g").impute(frame, seed=1)
    for sample in imp:
        assert sample["g"].nunique() == 3
        for name, part in sample.groupby("g"):
            whole = frame.loc[frame["g"] == name[0], "x"].tolist()
            assert part["x"].tolist() == whole
    assert imp.kind == "bootstrap"


def test_bootstrap_wants_a_known_and_complete_cluster() -> None:
    with pytest.raises(rb.ArgumentError, match="cluster names 'school'"):
        rb.BootstrapImputer(2, cluster="school").impute(small(), seed=1)
    frame = small().assign(g=["a"] * 59 + [None])
    with pytest.raises(rb.ArgumentError, match="'g' has missing values"):
        rb.BootstrapImputer(2, cluster="g").impute(frame, seed=1)


# -- rb.impute -----------------------------------------------------------------------------


def test_impute_takes_amelia_where_r_has_it() -> None:
    frame = holed(small())
    assert rb.impute(frame, m=2, seed=3) == rb.AmeliaImputer(2).impute(frame, seed=3)


def test_impute_falls_back_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    has = rdoor.has_package
    for place in (rdoor, rdoor.packages):
        monkeypatch.setattr(place, "has_package", lambda name: name != "Amelia" and has(name))
    frame = holed(small())
    with pytest.warns(rb.RBridgeWarning, match=r"bootstrap samples, not imputations.*biased"):
        imp = rb.impute(frame, m=2, seed=3, noms=["x"])
    assert imp.kind == "bootstrap"
    assert imp == rb.BootstrapImputer(2).impute(frame, seed=3)
    groups = frame.assign(g=["a", "b", "c"] * 20)
    with pytest.warns(rb.RBridgeWarning, match=r"For a model with groups give.*cluster="):
        rb.impute(groups, m=2, seed=3, idvars="g")
    with pytest.warns(rb.RBridgeWarning, match="whole groups of g"):
        imp = rb.impute(groups, m=2, seed=3, idvars="g", cluster="g")
    assert imp == rb.BootstrapImputer(2, cluster="g").impute(groups, seed=3)
    with pytest.raises(rb.RPackageError, match="r-cran-amelia"):
        rb.impute(frame, m=2, seed=3, engine="amelia")


def test_impute_gives_the_cluster_to_the_engine_that_has_it() -> None:
    frame = holed(small()).assign(g=["a", "b", "c"] * 20)
    boot = rb.impute(frame, m=2, seed=3, engine="bootstrap", cluster="g")
    assert boot == rb.BootstrapImputer(2, cluster="g").impute(frame, seed=3)
    assert boot != rb.impute(frame, m=2, seed=3, engine="bootstrap")
    assert rb.impute(frame, m=2, seed=3, idvars="g", cluster="g").method == "amelia"
    with pytest.raises(rb.ArgumentError, match=r"cluster= is the bootstrap's.*noms"):
        rb.impute(frame, m=2, engine="amelia", cluster="g")
    with pytest.raises(rb.ArgumentError, match="cluster names 'school'"):
        rb.impute(frame, m=2, idvars="g", cluster="school")
    with pytest.raises(rb.ArgumentError, match="engine='bootstrap' has no argument 'noms'"):
        rb.impute(frame, m=2, engine="bootstrap", noms="g")


def test_impute_refuses_unknown_engines() -> None:
    names = "'auto', 'amelia', 'compatible', 'mice', 'jomo', 'pan' or 'bootstrap'"
    with pytest.raises(rb.ArgumentError, match=names):
        rb.impute(small(), engine="norm")  # type: ignore[arg-type]
