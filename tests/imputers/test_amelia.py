"""What Amelia may not change, what it is not asked at all, and what its refusals say.

That a single prior gives R's imputations of a table of priors is a parity case (priors_one_row).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rbridge_mi as rb
from rbridge_mi import rdoor

pytestmark = [pytest.mark.r, pytest.mark.slow]


def frame(n: int = 60, seed: int = 0) -> pd.DataFrame:
    """A text id, a skewed column, two numbers, a nominal text and an ordinal, with holes."""
    g = np.random.default_rng(seed)
    y = g.normal(size=n)
    data = pd.DataFrame(
        {
            "income": np.exp(g.normal(size=n)),
            "y": y,
            "z": y + g.normal(size=n),
            "kind": np.resize(np.array(["u", "v", "v", "u", "w"], object), n),
            "likert": g.integers(1, 5, n).astype(float),
        },
        index=pd.Index(range(500, 500 + n), name="row"),
    )
    data.insert(0, "id", [f"p{i}" for i in range(n)])
    for name in ("income", "y", "z", "kind", "likert"):
        data.loc[g.choice(data.index[10:], 5, replace=False), name] = None
    data.iloc[9, data.columns.get_loc("z")] = None
    return data


def impute(data: pd.DataFrame, seed: int = 1, m: int = 2, **arguments: Any) -> rb.ImputedData:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return rb.AmeliaImputer(m=m, **arguments).impute(data, seed=seed)


def assert_observed_are_kept(
    imp: rb.ImputedData, data: pd.DataFrame, over: Any = frozenset()
) -> None:
    """Every cell that had a value has it still, but for the cells (row, column) in `over`."""
    kept = data.notna()
    for row, name in over:
        kept.iloc[row - 1, kept.columns.get_loc(name)] = False
    for done in imp:
        for name in data:
            was, became = data.loc[kept[name], name], done.loc[kept[name], name]
            assert became.astype(object).tolist() == was.astype(object).tolist(), name


# --- observed cells ------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", [[10, "z", 3.0, 0.01], [10, "z", 2.9, 3.1, 0.99]])
def test_a_single_prior_changes_no_observed_cell(prior: list[Any]) -> None:
    data = frame()[["income", "y", "z"]]
    imp = impute(data, logs="income", priors=[prior])
    assert_observed_are_kept(imp, data)
    assert imp[0]["z"].iloc[9] == pytest.approx(3, abs=0.1)  # the prior's, but for its spread


def test_a_single_prior_leaves_text_ids_alone() -> None:
    data = frame()[["id", "y", "z"]]
    data.loc[503, "id"] = None  # an id that is missing is nobody's to make up
    imp = impute(data, idvars="id", priors=[[10, "z", 3.0, 0.01]])
    assert_observed_are_kept(imp, data)
    assert imp[1]["id"].isna().sum() == 1


@pytest.mark.parametrize("position", [1, 2, 3])
def test_a_prior_may_have_equal_numbers_of_row_and_column(position: int) -> None:
    data = frame()[["y", "z", "income"]].copy()
    data.iloc[position - 1, position - 1] = None
    imp = impute(data, priors=[[position, position, 2.0, 0.001]])
    assert imp[0].iloc[position - 1, position - 1] == pytest.approx(2, abs=0.01)
    assert_observed_are_kept(imp, data)


def test_a_prior_for_a_column_with_one_hole_and_beside_blank_rows() -> None:
    data = frame()[["y", "z"]].copy()
    data["z"] = data["z"].fillna(0.5)
    data.iloc[9, 1] = None
    imp = impute(data, priors=[[0, "z", 2.0, 0.001]])
    assert imp[0].iloc[9, 1] == pytest.approx(2, abs=0.01)
    data.iloc[[4, 30]] = None
    imp = impute(data, priors=[[10, "z", 2.0, 0.001], [5, "y", 2.0, 0.001]])
    assert imp[0].iloc[9, 1] == pytest.approx(2, abs=0.01)
    assert imp[0].iloc[4].isna().all()


@pytest.mark.filterwarnings("ignore:.*too large")
def test_priors_on_observed_cells_are_told_and_change_nothing() -> None:
    data = frame()[["income", "y", "z"]]
    imputer = rb.AmeliaImputer(2, logs="income", priors=[[3, "income", 2, 0.1], [10, "z", 3, 0.1]])
    with pytest.warns(rb.RBridgeWarning, match=r"priors on observed cells \(row 3 of 'income'\)"):
        imp = imputer.impute(data, seed=1)
    assert_observed_are_kept(imp, data)
    assert "priors on observed cells" in imp.summary()


def test_logs_say_that_imputed_values_are_one_too_large() -> None:
    data = frame()[["income", "y", "z"]]
    logs = data.assign(income=np.log(data["income"] + 1))
    with pytest.warns(rb.RBridgeWarning, match="values of 'income' are 1 too large"):
        imp = rb.AmeliaImputer(2, logs="income").impute(data, seed=1)
    # The same imputations of the logarithm itself: exp(z) - 1 undoes log(x + 1). The two differ by
    # the rounding of Amelia's convergence alone.
    own = np.expm1(impute(logs)[0]["income"])
    hole = data["income"].isna()
    np.testing.assert_allclose(imp[0].loc[hole, "income"] - 1, own[hole], rtol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rb.AmeliaImputer(2, sqrts="income").impute(data, seed=1)


@pytest.mark.parametrize(
    ("role", "back"),
    [("logs", np.exp), ("sqrts", np.square), ("lgstc", lambda z: 1 / (1 + np.exp(-z)))],
)
def test_priors_and_bounds_are_on_the_transformed_scale(role: str, back: Any) -> None:
    data = frame()[["income", "y", "z"]]
    data["income"] = data["income"] / (1 + data["income"])
    hole = data["income"].isna()
    row = int(np.flatnonzero(hole)[0]) + 1
    roles: dict[str, Any] = {role: "income"}
    imp = impute(data, **roles, priors=[[row, "income", 0.4, 1e-6]])
    assert imp[0]["income"].iloc[row - 1] == pytest.approx(back(0.4), rel=1e-4)
    imp = impute(data, **roles, bounds=[["income", 0.5, 0.51]])
    assert imp[0].loc[hole, "income"].between(back(0.5) - 1e-9, back(0.51) + 1e-9).all()


@contextmanager
def faulty(code: str) -> Iterator[None]:
    """Amelia with another last step: `code` sees its result as `filled`."""

    def in_r(program: str) -> None:
        rdoor.call("base::eval", rdoor.call_object("base::str2lang", program))

    in_r(
        f"""{{
      true <- utils::getFromNamespace("impfill", "Amelia")
      wrong <- function(...) {{ filled <- true(...); {code}; filled }}
      utils::assignInNamespace("impfill", wrong, "Amelia")
    }}"""
    )
    try:
        yield
    finally:
        in_r(
            """{
          wrong <- utils::getFromNamespace("impfill", "Amelia")
          utils::assignInNamespace("impfill", get("true", environment(wrong)), "Amelia")
        }"""
        )


@pytest.mark.parametrize("rng", ["r", "streams"])
def test_an_observed_cell_that_comes_back_changed_is_an_error(rng: str) -> None:
    data = frame()[["id", "y", "z"]]
    with (
        faulty('filled$id[4] <- "x"; filled$y[3] <- 7'),
        pytest.raises(rb.ImputationError) as caught,
    ):
        impute(data, idvars="id", rng=rng)
    text = str(caught.value)
    assert "column 'id', row 4 in imputation 1 ('p3' became 'x')" in text
    assert "column 'y', row 3" in text
    assert "fault of Amelia's" in text
    assert "category" in text
    with faulty("filled$y[3] <- NA"), pytest.raises(rb.ImputationError, match="row 3"):
        impute(data, idvars="id", rng=rng)
    impute(data, idvars="id", rng=rng)  # Amelia is as it was


def test_overimputing_the_first_cell_of_a_category_is_refused() -> None:
    """Amelia codes the categories without that cell and decodes them with it: u becomes v."""
    data = frame()[["y", "z", "kind"]]
    with pytest.raises(rb.ArgumentError, match=r"nominal column 'kind'.*mixes its categories up"):
        impute(data, noms="kind", overimp=[[1, "kind"]])
    assert_observed_are_kept(impute(data, noms="kind", overimp=[[4, "kind"]]), data, {(4, "kind")})


@st.composite
def situations(draw: st.DrawFn) -> tuple[pd.DataFrame, dict[str, Any], set[tuple[int, str]]]:
    """A frame and arguments of every family, and the cells that Amelia may overwrite."""
    data = frame(n=draw(st.integers(40, 60)), seed=draw(st.integers(0, 999)))
    n = len(data)
    used = [x for x in data.columns if draw(st.booleans()) or x in ("y", "z")]
    data = data[draw(st.permutations(used))].copy()
    arguments: dict[str, Any] = {"empri": 5}
    if "id" in data:
        arguments["idvars"] = "id"
    if "kind" in data:
        arguments["noms"] = "kind"
        data["kind"] = data["kind"].astype(draw(st.sampled_from(["object", "category"])))
    if "likert" in data:
        role = draw(st.sampled_from(["noms", "ords", None]))
        if role == "noms":
            arguments["noms"] = [x for x in ("kind", "likert") if x in data]
        elif role == "ords":
            arguments["ords"] = "likert"
    if "income" in data:
        role = draw(st.sampled_from(["logs", "sqrts", "lgstc", None]))
        if role == "lgstc":
            data["income"] = data["income"] / (1 + data["income"])
        if role:
            arguments[role] = "income"
    if draw(st.booleans()):
        arguments["boot_type"] = "none"
    number = [x for x in ("y", "z", "income") if x in data]
    if draw(st.booleans()):
        arguments["bounds"] = [[x, -1.0, 2.0] for x in draw(st.sets(st.sampled_from(number)))]
        if not arguments["bounds"]:
            del arguments["bounds"]
    cells = st.tuples(st.integers(0, n), st.sampled_from(number))
    priors = draw(st.lists(cells, max_size=3, unique=True))
    if priors:
        wide = draw(st.booleans())
        tail = [0.2, 0.8, 0.9] if wide else [0.5, 0.2]
        arguments["priors"] = [[row, name, *tail] for row, name in priors]
    over = draw(st.sets(st.tuples(st.integers(1, n), st.sampled_from(number)), max_size=3))
    # A row that overimp leaves empty is refused.
    left = data[used].drop(columns="id", errors="ignore").notna().sum(axis=1).to_list()
    over = {x for x in over if left[x[0] - 1] > sum(y[0] == x[0] for y in over)}
    if over:
        arguments["overimp"] = [list(x) for x in over]
    if draw(st.booleans()):
        arguments["rng"] = "streams"
    return data, arguments, over


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(situations(), st.integers(0, 999))
def test_observed_cells_are_kept_by_every_engine(
    situation: tuple[pd.DataFrame, dict[str, Any], set[tuple[int, str]]], seed: int
) -> None:
    data, arguments, over = situation
    imp = impute(data, seed=seed, **arguments)
    assert_observed_are_kept(imp, data, over)
    values = data.columns.drop("id", errors="ignore")
    blank = data[values].isna().all(axis=1)
    assert not imp[0].loc[~blank, values].isna().any(axis=None)
    for cluster in (None, *(["id"] if "id" in data else [])):
        for sample in rb.BootstrapImputer(2, cluster=cluster).impute(data, seed=seed):
            kept = sample.drop(columns=cluster or [])
            pd.testing.assert_frame_equal(kept, data.loc[sample.index, list(kept.columns)])


# --- refused by name, before R -------------------------------------------------------------------


def panel() -> pd.DataFrame:
    data = frame()[["y", "z"]].copy()
    data["unit"] = np.resize(["A", "B", "C"], len(data))
    data["year"] = np.repeat(np.arange(20.0), 3)
    return data


@pytest.mark.parametrize(
    ("columns", "arguments", "text"),
    [
        (["y", "z"], {"priors": [[99, "z", 0, 1]]}, r"rows are counted from 1 to 60.*data.iloc\[0"),
        (["y", "z"], {"priors": [[1.5, "z", 0, 1]]}, "rows are counted"),
        (["y", "z"], {"priors": [[1, 3, 0, 1]]}, "columns are counted from 1 to 2"),
        (["y", "z"], {"priors": [[2, "z", 0, 1], [2, 2, 3, 1]]},
         "two priors for row 2 of column 'z'"),
        (["y", "z"], {"priors": [[2, "z", 0, 0]]}, "standard deviation.*above 0"),
        (["y", "z"], {"priors": [[2, "z", 0, 1, 95]]}, "0.95 for 95%"),
        (["y", "z"], {"priors": [[2, "z", 1, 0, 0.9]]}, "lower end of a range"),
        (["y", "z"], {"priors": [[2, "z", None, 1]]}, "missing values"),
        (["y", "z", "kind"], {"noms": "kind", "priors": [[2, "kind", 0, 1]]},
         r"priors names column 'kind', a nominal one \(noms\).*take it out of priors or out of"),
        (["id", "y", "z"], {"idvars": "id", "priors": [[2, "id", 0, 1]]},
         r"priors names column 'id', an id variable \(idvars\)"),
        (["y", "z"], {"bounds": [["y", 5, -5]]},
         r"bounds of column 'y': the lower one \(5\) is above the upper one \(-5\)"),
        (["y", "z", "kind"], {"noms": "kind", "bounds": [["kind", 0, 1]]},
         r"bounds names column 'kind', a nominal one"),
        (["id", "y", "z"], {"idvars": "id", "bounds": [["id", 0, 1]]}, "bounds names column 'id'"),
        (["y", "z"], {"overimp": [[0, "y"]]}, "overimp names rows.*counted from 1 to 60"),
        (["y", "z"], {"overimp": [[61, "y"]]}, "overimp names rows"),
        (["y", "z"], {"overimp": [[i, "y"] for i in range(1, 61)]}, "covers every observed cell"),
        (["id", "y", "z"], {"idvars": "id", "overimp": [[3, "id"]]}, "overimp names column 'id'"),
        (["y", "z"], {"overimp": [[5, "y"], [5, "z"]]}, "covers all that row 5 has"),
        (["y", "z", "kind"], {"ords": "kind"}, "ords names 'kind', which is text.*ordered=True"),
        (["y"], {}, "only the column 'y'.*from the others"),
        (["id", "y"], {"idvars": "id"}, "only the column 'y' beside the id variables"),
    ],
)  # fmt: skip
def test_refused_by_name(columns: list[str], arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        rb.AmeliaImputer(2, **arguments).impute(frame()[columns], seed=1)


@pytest.mark.parametrize("user", [{"lags": "z"}, {"leads": "z"}, {"intercs": True}])
def test_holes_in_the_cross_section_are_refused_where_it_is_needed(user: dict[str, Any]) -> None:
    data = panel()
    data.loc[504, "unit"] = None
    (name,) = user
    text = rf"cs column 'unit' has missing values \(the first in row 5\), and {name}.*dropna"
    with pytest.raises(rb.ArgumentError, match=text):
        rb.AmeliaImputer(2, ts="year", cs="unit", polytime=1, **user).impute(data, seed=1)
    done = impute(data, ts="year", cs="unit", polytime=1)[0]
    assert done["unit"].isna().sum() == 1
    assert not done["z"].isna().any()


def test_holes_in_the_time_are_refused_where_knots_are_placed_on_it() -> None:
    data = panel()
    data.loc[504, "year"] = None
    with pytest.raises(rb.ArgumentError, match=r"ts column 'year'.*splinetime"):
        rb.AmeliaImputer(2, ts="year", cs="unit", splinetime=4).impute(data, seed=1)


def test_one_column_and_the_time_are_enough() -> None:
    data = panel()[["z", "year"]]
    assert not impute(data, ts="year", polytime=1)[0]["z"].isna().any()
    with pytest.raises(rb.ArgumentError, match=r"only the column 'z'.*polytime=1"):
        impute(data, ts="year")


@pytest.mark.parametrize(
    ("arguments", "code", "remedy"),
    [
        ({"noms": "income"}, 36, r"data\[column\]\.replace"),
        ({"lags": "z"}, 40, "ts='...'"),
        ({"leads": "z"}, 41, "ts='...'"),
        ({"ords": "z"}, 44, r"astype\('Int64'\)"),
        ({"sqrts": "z"}, 10, "out of sqrts"),
        ({"lgstc": "z"}, 11, "divide percentages by 100"),
        ({"logs": "income", "sqrts": "income"}, 32, "all but one of logs, sqrts"),
        ({"polytime": 1}, 25, "ts='...'"),
        ({"splinetime": 9}, 57, "0 to 6"),
        ({"intercs": True}, 27, "cs='...'"),
        ({"tolerance": -1}, 35, "above 0"),
        ({"bounds": [["z", 0, 1]], "max_resample": 0}, 52, "max_resample"),
    ],
)  # fmt: skip
def test_codes_have_remedies(arguments: dict[str, Any], code: int, remedy: str) -> None:
    with pytest.raises(rb.ImputationError, match=rf"(?s)\(code {code}\).*what helps: .*{remedy}"):
        rb.AmeliaImputer(2, **arguments).impute(frame()[["income", "y", "z"]], seed=1)


def test_arguments_are_known_and_given_once() -> None:
    with pytest.raises(rb.ArgumentError, match=r"'id_vars' \(did you mean 'idvars'\?\); it has"):
        rb.AmeliaImputer(id_vars="id")
    with pytest.raises(rb.ArgumentError, match=r"'max_resamples' \(did you mean 'max.resample'"):
        rb.AmeliaImputer(max_resamples=3)
    with pytest.raises(rb.ArgumentError, match=r"no argument 'nonsense'; it has"):
        rb.AmeliaImputer(nonsense=1)
    with pytest.raises(rb.ArgumentError, match=r"max\.resample is given twice"):
        rb.AmeliaImputer(max_resample=3, **{"max.resample": 4})  # type: ignore[arg-type]


def test_an_arglist_stands_alone_and_its_single_prior_is_a_table_too() -> None:
    data = frame()[["income", "y", "z"]].reset_index(drop=True)
    program = """amelia <- Amelia::amelia(as.data.frame(data), m = 1, p2s = 0, logs = "income",
      priors = rbind(c(10, 3, 3, 0.01), c(0, 3, 1, 0.5)))$arguments"""
    environment = rdoor.call_object("base::list2env", {"data": data})
    arglist = rdoor.call_object("base::eval", rdoor.call_object("base::str2lang", program),
                                environment)  # fmt: skip
    assert_observed_are_kept(impute(data, arglist=arglist), data)
    with pytest.raises(rb.ArgumentError, match=r"logs would be ignored"):
        rb.AmeliaImputer(2, arglist=arglist, logs="income")
