"""Data sets joined, filtered, merged and selected: what they hold, and what is said of them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.data.provenance import ColumnModel
from rbridge_mi.testing import run_r

HOLES = pd.DataFrame(
    {
        "g": ["a", "a", "b", "b", "c"],
        "x": [1.0, np.nan, 3.0, np.nan, np.nan],
        "n": pd.array([1, None, 3, 4, None], dtype="Int16"),
        "kind": pd.Categorical(["p", None, "q", "q", "p"]),
        "whole": [1, 2, 3, 4, 5],
    },
    index=["r1", "r2", "r3", "r4", "r5"],
)
GROUPS = pd.DataFrame({"g": ["a", "b", "c"], "size": [10, 20, 30], "town": ["u", None, "v"]})


def filled(i: int) -> pd.DataFrame:
    frame = HOLES.copy()
    frame["x"] = frame["x"].fillna(10.0 + i)
    frame["n"] = frame["n"].fillna(20 + i)
    frame["kind"] = frame["kind"].fillna("pq"[i % 2])
    return frame


def made(numbers: list[int], **fields: Any) -> rb.ImputedData:
    imp = rb.ImputedData.from_frames([filled(i) for i in numbers], original=HOLES)
    return rb.ImputedData(**{**{x: getattr(imp, x) for x in vars(imp)}, **fields})


def trace_of(m: int, value: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "imputation": np.repeat(np.arange(1, m + 1), 20),
            "iteration": np.tile(np.arange(1, 21), m),
            "parameter": pd.Categorical(["mean of x"] * 20 * m),
            "value": np.random.default_rng(1).normal(value, size=20 * m),
        }
    )


MODEL = ColumnModel("norm", ("whole", "n"), ("g",), None, ())
IMP = made(
    [0, 1, 2],
    method="mice",
    seed=5,
    settings={"m": 3, "maxit": 20},
    notes=("a note",),
    warnings=("a warning",),
    log=("logged",),
    trace=trace_of(3, 0.0),
    saw={"x": MODEL, "n": ColumnModel("pmm", ("whole",))},
)
OTHER = made(
    [3, 4],
    method="mice",
    seed=6,
    settings={"m": 2, "maxit": 20},
    notes=("another note", "a note"),
    log=("logged",),
    trace=trace_of(2, 0.1),
    saw={"x": MODEL, "n": ColumnModel("pmm", ("whole",))},
)


def same_after_storage(imp: rb.ImputedData, folder: Path) -> None:
    """A saved and a pickled copy have the same data sets and provenance."""
    for copy in (rb.load(rb.save(imp, folder / "imp.zip")), pickle.loads(pickle.dumps(imp))):
        assert isinstance(copy, rb.ImputedData)
        assert copy == imp
        for a, b in zip(copy, imp, strict=True):
            pd.testing.assert_frame_equal(a, b)
        for name in ("method", "kind", "seed", "settings", "warnings", "notes", "log", "saw"):
            assert getattr(copy, name) == getattr(imp, name), name
        pd.testing.assert_frame_equal(copy.trace, imp.trace)


# -- join ------------------------------------------------------------------------------------


def test_joined_data_sets_are_those_of_the_parts(tmp_path: Path) -> None:
    joined = IMP.join(OTHER)
    assert joined.m == 5
    for i in range(5):
        pd.testing.assert_frame_equal(joined[i], filled(i))
    pd.testing.assert_frame_equal(joined.original, HOLES)
    assert rb.ImputedData.join(IMP, OTHER) == joined
    same_after_storage(joined, tmp_path)


def test_what_is_said_of_joined_data_sets() -> None:
    joined = IMP.join(OTHER)
    assert (joined.method, joined.seed, joined.kind) == ("mice", None, "imputation")
    assert joined.settings == {
        "m": 5,
        "maxit": 20,
        "joined": [
            {"method": "mice", "m": 3, "seed": 5, "settings": {"m": 3, "maxit": 20}},
            {"method": "mice", "m": 2, "seed": 6, "settings": {"m": 2, "maxit": 20}},
        ],
    }
    assert joined.notes == ("a note", "another note")
    assert (joined.warnings, joined.log) == (("a warning",), ("logged",))
    assert joined.saw == IMP.saw
    assert joined.chain_lengths == (20,) * 5
    trace = joined.trace
    assert trace.loc[trace["imputation"] == 4, "value"].tolist() == (
        OTHER.trace.loc[OTHER.trace["imputation"] == 1, "value"].tolist()
    )
    assert len(joined.convergence(warmup=0)) == 1  # chains of one engine and its settings
    assert "worst R-hat" in str(joined.summary())
    assert joined.r is None


def test_joining_goes_on_and_says_who_made_what() -> None:
    third = made([7], method="jomo", seed=5, settings={"m": 1}, saw={"x": ColumnModel("jomo", ())})
    once, twice = IMP.join(OTHER, third), IMP.join(OTHER).join(third)
    assert once == twice
    for joined in (once, twice):
        assert [(x["method"], x["m"], x["seed"]) for x in joined.settings["joined"]] == [
            ("mice", 3, 5), ("mice", 2, 6), ("jomo", 1, 5),
        ]  # fmt: skip
        assert joined.method == "mice + jomo"
        assert "maxit" not in joined.settings
        assert joined.saw == {"x": ColumnModel("norm + jomo", ())}  # what all of them saw
        with pytest.raises(rb.ArgumentError, match="ask each part"):
            joined.convergence()
        assert "R-hat" not in str(joined.summary())


def test_a_part_without_a_trace_leaves_its_numbers_free() -> None:
    untraced = made([3, 4])
    joined = untraced.join(IMP)
    assert sorted(joined.trace["imputation"].unique()) == [3, 4, 5]
    with pytest.raises(rb.ArgumentError, match="ask each part"):
        joined.convergence()


def test_what_was_done_to_a_joined_part_stays_with_it() -> None:
    shifted = IMP.join(OTHER).delta("x", 1.0)
    joined = shifted.join(made([7], method="jomo", seed=1, settings={"m": 1}))
    parts = joined.settings["joined"]
    assert [x["m"] for x in parts] == [5, 1]
    assert parts[0]["settings"]["delta"] == [{"column": "x", "delta": 1.0}]
    assert "delta" not in joined.settings
    both = IMP.delta("x", 1.0).join(OTHER.delta("x", 1.0))
    assert both.settings["delta"] == [{"column": "x", "delta": 1.0}]


def test_dtypes_that_differ_get_one_that_holds_both() -> None:
    half = filled(0).astype({"n": "Float64"})
    halves = [half.assign(n=half["n"].mask(HOLES["n"].isna(), 2.5))]
    other = rb.ImputedData.from_frames(halves, original=HOLES)
    joined = IMP.join(other)
    assert {str(d["n"].dtype) for d in joined} == {"Float64"}
    assert any("Float64" in x for x in joined.notes)
    assert joined[3]["n"].tolist() == [1.0, 2.5, 3.0, 4.0, 2.5]


def test_bootstrap_samples_are_joined() -> None:
    data = HOLES[["g", "whole"]]
    for imputer in (rb.BootstrapImputer(2), rb.BootstrapImputer(2, cluster="g")):
        one, other = imputer.impute(data, seed=1), imputer.impute(data, seed=2)
        joined = one.join(other)
        assert (joined.kind, joined.m) == ("bootstrap", 4)
        for mine, theirs in zip(joined, [*one, *other], strict=True):
            pd.testing.assert_frame_equal(mine, theirs)
        assert joined.settings.get("cluster") == one.settings.get("cluster")
        assert type(joined.store) is type(one.store)


def changed(**columns: Any) -> rb.ImputedData:
    return rb.ImputedData.from_frames(
        [filled(i).assign(**columns) for i in (7, 8)], original=HOLES.assign(**columns)
    )


REFUSED: dict[str, tuple[Any, str]] = {
    "nothing": ([], "not nothing"),
    "frames": ([filled(1)], "not DataFrame"),
    "another kind": ([rb.BootstrapImputer(2).impute(HOLES, seed=1)], "kind 'bootstrap'"),
    "another value": ([changed(whole=[1, 2, 3, 4, 6])], "part 2.*column 'whole'"),
    "another dtype": ([changed(whole=[1.0, 2.0, 3.0, 4.0, 5.0])], "part 2.*column 'whole'"),
    "another column": ([changed(more=1)], r"columns \['more'\]"),
    "other rows": (
        [rb.ImputedData.from_frames(
            [filled(1).reset_index(drop=True)] * 2, HOLES.reset_index(drop=True))],
        r"rows \(index\)",
    ),
    "fewer rows": ([OTHER.filter(lambda d: d["whole"] < 4)], r"rows \(index\)"),
    "the same": ([OTHER, IMP], "parts 1 and 3.*same seed, 5"),
    "some of the same": (
        [made([9, 1], method="mice", seed=5, settings={"m": 2})], "parts 1 and 2.*same seed, 5",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_joined(what: str) -> None:
    others, text = REFUSED[what]
    with pytest.raises(rb.ArgumentError, match=text):
        IMP.join(*others)


@pytest.mark.r
def test_join_is_ameliabind(hsb: pd.DataFrame) -> None:
    data = rb.ampute(hsb[["mathach", "ses", "meanses"]].head(300), 0.1, columns="ses", seed=1)
    imputer = rb.AmeliaImputer(m=2)
    joined = imputer.impute(data, seed=1).join(imputer.impute(data, seed=2))
    r = run_r(
        "run <- function(seed) { set.seed(seed); Amelia::amelia(data, m = 2, p2s = 0) }\n"
        "bound <- Amelia::ameliabind(run(1), run(2))\n"
        "ses <- sapply(bound$imputations, function(x) x$ses)\n"
        "m <- length(bound$imputations)",
        data=data,
    )
    assert joined.m == int(np.ravel(r["m"])[0])
    theirs = np.asarray(r["ses"], float).reshape(len(data), 4, order="A")
    for i, frame in enumerate(joined):
        np.testing.assert_array_equal(frame["ses"], theirs[:, i])
    assert joined.chain_lengths == tuple(
        n for seed in (1, 2) for n in imputer.impute(data, seed=seed).chain_lengths
    )


# -- filter ----------------------------------------------------------------------------------


def test_filtered_rows_are_those_of_each_data_set(tmp_path: Path) -> None:
    some = IMP.filter(lambda d: d["whole"].isin([2, 3, 5]))
    for i, frame in enumerate(some):
        pd.testing.assert_frame_equal(frame, filled(i).iloc[[1, 2, 4]])
    pd.testing.assert_frame_equal(some.original, HOLES.iloc[[1, 2, 4]])
    assert (some.m, some.method, some.seed, some.log) == (3, "mice", 5, ("logged",))
    assert some.settings["filter"] == [{"kept": 3, "of": 5}]
    assert some.notes == ("a note", "3 of 5 imputed rows were kept")
    pd.testing.assert_frame_equal(some.trace, IMP.trace)
    same_after_storage(some, tmp_path)
    assert IMP.m == 3 and len(IMP.original) == 5


def test_masks_of_several_kinds() -> None:
    wanted = IMP.filter(lambda d: d["g"] == "a")
    mask = HOLES["g"] == "a"
    for keep in (mask, mask.to_numpy(), mask.tolist(), mask.astype("boolean")):
        assert IMP.filter(keep) == wanted


def test_a_column_without_imputed_cells_keeps_its_dtype() -> None:
    some = IMP.filter(lambda d: d["whole"].isin([1, 3]))
    assert not some.original[["x", "n", "kind"]].isna().any(axis=None)
    assert some.saw == {}
    assert [d.dtypes.equals(IMP[0].dtypes) for d in some] == [True] * 3
    assert some[0].equals(filled(0).iloc[[0, 2]])


def test_filtering_goes_on() -> None:
    twice = IMP.filter(lambda d: d["whole"] > 1).filter(lambda d: d["whole"] > 3)
    assert twice[1].equals(filled(1).iloc[3:])
    assert twice.settings["filter"] == [{"kept": 4, "of": 5}, {"kept": 2, "of": 4}]
    assert twice.delta("x", 1.0)[0]["x"].tolist() == [11.0, 11.0]


@pytest.mark.parametrize(
    ("keep", "text"),
    [
        (lambda d: d["x"] > 10.5, r"imputation 2 than in imputation 1 \(row 'r2'.*subset='keep'"),
        (lambda d: d["whole"] > 9, "leaves no row"),
        (lambda d: d["whole"], "True or False for each row.*int64"),
        (lambda d: d, "one value for each of the 5 rows"),
        ([True, False], "one value for each of the 5 rows"),
        (True, "one value for each of the 5 rows"),
        (HOLES["g"].reset_index(drop=True) == "a", r"other rows \(index\)"),
        (HOLES["n"] > 1, "without missing values"),
        ("whole > 2", "one value for each"),
    ],
)
def test_what_is_no_filter(keep: Any, text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        IMP.filter(keep)


def test_bootstrap_samples_are_not_filtered() -> None:
    with pytest.raises(rb.ArgumentError, match="before the samples are drawn"):
        rb.BootstrapImputer(2).impute(HOLES, seed=1).filter(lambda d: d["whole"] > 1)


@pytest.mark.r
def test_rows_by_an_imputed_column_go_by_subset(imp: rb.ImputedData) -> None:
    marked = imp.assign(keep=lambda d: d["ses"] > 0)
    fits = rb.Lmer("mathach ~ ses + (1 | schid)", subset="keep").fit(marked)
    assert [fit.nobs for fit in fits] == [int((d["ses"] > 0).sum()) for d in imp]
    assert len({fit.nobs for fit in fits}) > 1
    assert fits.pool().nobs == tuple(fit.nobs for fit in fits)


@pytest.mark.r
def test_fits_and_methods_of_filtered_joined_data(holes: pd.DataFrame) -> None:
    imputer = rb.AmeliaImputer(m=2, idvars=["schid", "meanses"], noms=["minority", "female"])
    mice = rb.MiceImputer(m=2, maxit=2)
    one = imputer.impute(holes, seed=1)
    other = mice.impute(holes.astype({"schid": "category"}), seed=2)
    other = rb.ImputedData.from_frames(
        [d.astype({"schid": holes["schid"].dtype}) for d in other], original=holes, method="mice"
    )
    joined = one.join(other).filter(lambda d: d["meanses"] > 0).select(
        ["schid", "mathach", "ses", "female"]
    )  # fmt: skip
    fits = rb.Lmer("mathach ~ ses + female + (1 | schid)").fit(joined)
    assert [x.nobs for x in fits] == [int((holes["meanses"] > 0).sum())] * 4
    byhand = rb.Lmer("mathach ~ ses + female + (1 | schid)").fit(one[1][one[1]["meanses"] > 0])
    assert fits[1].fixef().equals(byhand.fixef())
    text = " ".join(str(fits.pool().methods_text()).split())
    assert f"Of the 7185 rows that were imputed, {fits[0].nobs} were kept." in text
    assert "2 of them were drawn by" in text
    assert "Amelia" in text and "seed 1" in text


@pytest.mark.r
def test_left_out_predictors_are_still_told_of(imp: rb.ImputedData) -> None:
    some = imp.select(["schid", "mathach", "ses"])
    text = str(rb.Lmer("mathach ~ ses + (1 | schid)").fit(some).pool().methods_text())
    gone = set(imp.saw["ses"].predictors) - set(some.original.columns)
    assert gone == {"minority", "female", "size", "schtype"}
    assert all(x in text for x in gone)


# -- select ----------------------------------------------------------------------------------


def test_selected_columns(tmp_path: Path) -> None:
    some = IMP.select(["n", "g"])
    for i, frame in enumerate(some):
        pd.testing.assert_frame_equal(frame, filled(i)[["n", "g"]])
    pd.testing.assert_frame_equal(some.original, HOLES[["n", "g"]])
    assert some.saw == {"n": IMP.saw["n"]}
    assert (some.settings, some.seed, some.notes) == (IMP.settings, 5, IMP.notes)
    same_after_storage(some, tmp_path)
    assert IMP.select("x")[2]["x"].tolist() == filled(2)["x"].tolist()
    assert IMP.select(HOLES.columns) == IMP


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (["x", "whol"], "columns names 'whol'.*did you mean 'whole'"),
        (["x", "x"], "'x' twice"),
        ([], "columns is empty"),
        (3, "columns names 3"),
    ],
)
def test_columns_that_cannot_be_selected(columns: Any, text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        IMP.select(columns)


def test_columns_of_bootstrap_samples() -> None:
    for cluster in (None, "g"):
        samples = rb.BootstrapImputer(2, cluster=cluster).impute(HOLES, seed=1)
        for names in (["g", "whole"], ["whole"]):
            some = samples.select(names)
            for mine, theirs in zip(some, samples, strict=True):
                pd.testing.assert_frame_equal(mine, theirs[names])


# -- merge -----------------------------------------------------------------------------------


def test_merged_columns_of_groups(tmp_path: Path) -> None:
    both = IMP.merge(GROUPS, on="g")
    for i, frame in enumerate(both):
        wanted = filled(i).merge(GROUPS, on="g", how="left").set_index(HOLES.index)
        pd.testing.assert_frame_equal(frame, wanted)
    assert both.original["size"].tolist() == [10, 10, 20, 20, 30]
    assert both.original["town"].isna().tolist() == [False, False, True, True, False]
    assert (both.saw, both.seed, both.notes) == (IMP.saw, 5, IMP.notes)
    same_after_storage(both, tmp_path)
    assert IMP.merge(GROUPS, on=["g"], validate="m:1") == both


def test_groups_that_right_lacks_are_told_of() -> None:
    both = IMP.merge(GROUPS.iloc[:2], on="g")
    assert both[0]["size"].isna().tolist() == [False] * 4 + [True]
    assert both.notes[-1].startswith("1 rows have no group")


def test_imputed_groups_get_their_own_columns() -> None:
    kinds = pd.DataFrame({"kind": pd.Categorical(["p", "q"]), "rate": [0.1, 0.2]})
    both = IMP.merge(kinds, on="kind")
    for i, frame in enumerate(both):
        assert frame["rate"].tolist() == [{"p": 0.1, "q": 0.2}[x] for x in filled(i)["kind"]]
    assert both.original["rate"].isna().tolist() == [False, True, False, False, False]
    assert both.saw == IMP.saw


def test_groups_of_bootstrap_samples_are_those_of_the_data() -> None:
    samples = rb.BootstrapImputer(3, cluster="g").impute(HOLES, seed=1)
    both = samples.merge(GROUPS, on="g")
    sizes = dict(zip(HOLES.index, [10, 10, 20, 20, 30], strict=True))
    for mine, theirs in zip(both, samples, strict=True):
        assert mine["size"].tolist() == [sizes[x] for x in theirs.index]
        pd.testing.assert_frame_equal(mine[theirs.columns], theirs)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"right": [1]}, "right must be a pandas DataFrame"),
        ({"on": "h"}, "on names 'h'"),
        ({"on": "x"}, r"on \(in right\) names 'x'"),
        ({"on": []}, "on is empty"),
        ({"how": "inner"}, "how must be 'left', not 'inner'"),
        ({"validate": "one_to_many"}, "validate must be 'many_to_one'"),
        ({"right": pd.concat([GROUPS, GROUPS.iloc[:1]])}, "several rows for g 'a'"),
        ({"right": GROUPS.assign(x=1)}, r"data sets have too: \['x'\]"),
        ({"right": GROUPS[["g"]]}, "nothing to add"),
        ({"right": GROUPS.assign(g=[1, 2, 3])}, "no group could match"),
    ],
)
def test_what_cannot_be_merged(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        IMP.merge(**{"right": GROUPS, "on": "g", **arguments})


# -- one data set ------------------------------------------------------------------------------


@pytest.mark.r
def test_one_imputation_is_fitted_and_not_pooled(holes: pd.DataFrame) -> None:
    data = holes[["schid", "mathach", "ses"]]
    imp = rb.AmeliaImputer(1, idvars="schid").impute(data, seed=1)
    r = run_r(
        "set.seed(1); one <- Amelia::amelia(data, m = 1, idvars = 'schid', p2s = 0)\n"
        "ses <- one$imputations[[1]]$ses",
        data=data,
    )
    np.testing.assert_array_equal(imp[0]["ses"], r["ses"])
    fits = rb.Lmer("mathach ~ ses + (1 | schid)").fit(imp)
    assert len(fits) == 1
    for ask in (fits.pool, fits.tidy, fits.predict, fits.fixef, lambda: rb.pool(list(fits))):
        with pytest.raises(rb.ArgumentError, match="between imputations"):
            ask()
    assert fits.fitted().equals(fits[0].fitted())
    more = rb.AmeliaImputer(1, idvars="schid").impute(data, seed=2)
    joined = imp.join(more)
    assert rb.Lmer("mathach ~ ses + (1 | schid)").fit(joined).pool().m == 2


@pytest.mark.r
@pytest.mark.parametrize(
    "imputer",
    [
        rb.AmeliaImputer(1, idvars="schid", rng="streams"),
        rb.MiceImputer(1, maxit=2, method={"ses": "norm"}, rng="streams"),
        rb.JomoImputer(1, clus="schid", nburn=10, nbetween=5, rng="streams"),
        rb.PanImputer(1, formula="ses ~ 1 + (1 | schid)", n_burn=10, n_iter=5, rng="streams"),
        rb.CompatibleImputer("mathach ~ ses + (1 | schid)", 1, max_iter=200),
    ],
    ids=lambda x: type(x).__name__,
)
def test_every_engine_makes_one(imputer: Any, hsb: pd.DataFrame) -> None:
    data = hsb[["schid", "mathach", "ses"]].head(1200).reset_index(drop=True)
    data = rb.ampute(data, prop=0.1, columns="ses", seed=1)
    if isinstance(imputer, rb.MiceImputer):
        data = data.drop(columns="schid")
    one = imputer.impute(data, seed=3)
    assert (one.m, int(one[0].isna().sum().sum())) == (1, 0)
    assert one[0]["ses"].std() > 0
