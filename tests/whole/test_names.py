"""Columns, factors and groups of any name: whatever the data call them, the answers are the same.

The property: a model of columns with other names is the same model. Each accessor's table for data
whose columns are named as a column of our own tables equals, bit for bit, the table for plain
names, with the names put in the places where the table says them.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.base.glossary import GLOSSARY
from rbridge_mi.jobs import run_job
from tests.inference.inference_data import fitted

pytestmark = [pytest.mark.r, pytest.mark.slow]

PLAIN = ("plainx", "plainf", "plaing")  # a slope, a factor, a grouping factor
RESERVED = [
    "index", "level_0", "variable", "value", "0", ".imp", ".id", "n_rows", "Residual", "data",
    "(Intercept)", "sd__Observation", "formula", "weights", "subset", "offset", "columns", "names",
    "x y", "größe", "a:b", "a.b", ".f", "lambda", "t_", "imp1", "it's", 'the "first"',
]  # fmt: skip
NAMES = [*GLOSSARY, *RESERVED]
TABLES = ("fixef", "ranef", "varcorr", "vcov", "coef", "tidy", "r2", "fitted", "residuals")
MERTOOLS = (
    "fixef", "ranef", "varcorr", "model_fixed_eff", "model_rand_eff_stats", "model_info",
)  # fmt: skip
# Every name in each of the three roles.
TRIPLES = [
    (NAMES[i], NAMES[(i + 1) % len(NAMES)], NAMES[(i + 2) % len(NAMES)]) for i in range(len(NAMES))
]


def data_of(names: Sequence[str]) -> rb.ImputedData:
    x, f, g = names
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(12), 10)
    slope, level = rng.normal(size=120), rng.integers(3, size=120)
    y = slope + 0.3 * level + rng.normal(size=12)[group] + rng.normal(size=120)
    y += 0.7 * rng.normal(size=12)[group] * slope
    frame = pd.DataFrame({"response": y, x: slope})
    frame[f] = pd.Categorical(np.array(["u", "v", "w"])[level])
    frame[g] = [f"unit{i}" for i in group]
    holes = frame.copy()
    gone = np.arange(120) % 7 == 0
    holes.loc[gone, x] = np.nan
    filled = []
    for _ in range(2):
        one = frame.copy()
        one.loc[gone, x] += rng.normal(size=int(gone.sum()))
        filled.append(one)
    return rb.ImputedData.from_frames(filled, original=holes)


def in_backticks(name: str) -> str:
    """A column's name as a formula has it."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def in_r(name: str) -> str:
    """A column's name as R writes it in a term."""
    plain = re.fullmatch(r"([^\W\d_]|\.(?!\d))[\w.]*", name)
    return name if plain else in_backticks(name)


def fits_of(names: Sequence[str]) -> rb.MerModList:
    x, f, g = map(in_backticks, names)
    return fitted(f"response ~ {x} + {f} + (1 + {x} | {g})", data_of(names))


def accessors(
    fits: rb.MerModList, names: Sequence[str], *, slow: bool
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Each accessor by its name; those that take R a while only if they are wanted."""
    x, f, g = names
    fit, pooled, rows = fits[0], fits.pool(), fits.data[0].head(4)
    for name in TABLES:
        yield f"fit.{name}", getattr(fit, name)
        yield f"fits.{name}", getattr(fits, name)
        yield (
            f"fits.{name} by imputation",
            partial(getattr(fits, name), by_imputation=True),
        )
    for name in ("model_info", "glance"):
        yield f"fit.{name}", getattr(fit, name)
        yield f"fits.{name}", getattr(fits, name)
    yield "convergence", fits.convergence
    yield "saved", lambda: saved(pooled).fits[1].coef()
    yield "beta", lambda: fit.beta
    yield "ngrps", lambda: pd.Series(fit.ngrps)
    yield "pool.fixed", lambda: pooled.fixed
    yield "pool.vcov", lambda: pooled.vcov
    yield "pool.icc", lambda: pooled.icc
    yield "pool.ranef_intervals", pooled.ranef_intervals
    yield "pool.diagnostics", lambda: pooled.diagnostics().coefficients
    yield "emmeans at", lambda: pooled.emmeans([f, x], at={x: [0.0, 1.0]})
    yield "emmeans contrast", lambda: pooled.emmeans(f, contrast="pairwise")
    yield "compare_estimates", lambda: rb.compare_estimates(fit, fits)
    for i, term in enumerate([in_r(x), in_r(f) + "v", "(Intercept)"]):
        yield f"test {i}", partial(pooled.test, f"{term} = 0")
        yield f"contrast {i}", partial(pooled.contrast, f"2*{term} - 1")
    for name in MERTOOLS:
        yield f"mertools.{name}", getattr(fits.mertools, name)
    if not slow:
        return
    yield "fit.predict", lambda: fit.predict(rows)
    yield "fit.predict re_form", lambda: fit.predict(rows, re_form=f"~(1 | {in_backticks(g)})")
    yield "fits.predict", lambda: fits.predict(rows, interval="prediction")
    yield "simulate", lambda: fit.simulate(2, seed=1)
    yield "confint", lambda: fit.confint(method="Wald")
    yield "anova", fit.anova
    yield "anova type 2", partial(fit.anova, type=2)
    yield "fit.fixed", fit.fixed
    yield "fit.emmeans", partial(fit.emmeans, f, contrast="pairwise")
    yield "fit.emtrends", partial(fit.emtrends, f, x)
    yield "pool.anova", pooled.anova
    yield "pool.random", lambda: pooled.random
    yield "pool satterthwaite", lambda: fits.pool(dfcom="satterthwaite").fixed


def saved(pooled: rb.PooledMerMod) -> Any:
    """What a file of the pooled model gives back."""
    with tempfile.TemporaryDirectory() as folder:
        return rb.load(rb.save(pooled, Path(folder) / "pooled.zip", r_objects=False))


def own_named(name: str, named: Sequence[str]) -> str:
    while name in named:
        name += "_"
    return name


def spoken(table: Any, names: Sequence[str]) -> Any:
    """A table of the plain names with other names in their places."""
    x, f, g = names
    said = {PLAIN[0]: in_r(x), PLAIN[1]: in_r(f), PLAIN[2]: g}

    def other(cell: Any) -> Any:
        if not isinstance(cell, str):
            return cell
        return re.sub("|".join(PLAIN), lambda found: said[found.group()], cell)

    if isinstance(table, pd.Series):
        return table.rename(index=other)
    table = table.rename(index=other)
    for i in range(table.shape[1]):
        column = table.iloc[:, i]
        if not pd.api.types.is_numeric_dtype(column.dtype):
            table.isetitem(i, column.map(other).astype(column.dtype))
    # In a table's head, emmeans has bare names, all others have terms.
    heads = {PLAIN[0]: x, PLAIN[1]: f} if PLAIN[1] in table.columns else {}
    columns = [heads.get(head, other(head)) for head in table.columns]
    named = [new for new, old in zip(columns, table.columns, strict=True) if _is_named(old)]
    return table.set_axis(
        [
            new if _is_named(old) else own_named(new, named)
            for new, old in zip(columns, table.columns, strict=True)
        ],
        axis=1,
    )


def _is_named(head: str) -> bool:
    return head == "(Intercept)" or any(x in head for x in PLAIN)


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """merTools sorts by the texts of terms, which differ here."""
    return table.sort_values(["term", "estimate"]).reset_index(drop=True)


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RBridgeWarning)
        return {name: ask() for name, ask in accessors(fits_of(PLAIN), PLAIN, slow=True)}


@pytest.mark.parametrize("names", TRIPLES, ids=lambda names: "|".join(names))
@pytest.mark.filterwarnings("ignore::rbridge_mi.RBridgeWarning")
def test_answers_do_not_depend_on_names(names: tuple[str, str, str], plain: dict[str, Any]) -> None:
    fits = fits_of(names)
    # Of the slow ones every name sees each, in one of its roles.
    for name, ask in accessors(fits, names, slow=NAMES.index(names[0]) % 3 == 0):
        found, expected = ask(), spoken(plain[name], names)
        if name in ("mertools.model_fixed_eff", "mertools.model_rand_eff_stats"):
            found, expected = in_order(found), in_order(expected)
        if isinstance(expected, pd.Series):
            pd.testing.assert_series_equal(found, expected, check_exact=True, obj=name)
        else:
            pd.testing.assert_frame_equal(found, expected, check_exact=True, obj=name)
    for text in (fits.summary(), fits.pool().summary(), fits[0].summary()):
        assert in_r(names[0]) in text
        assert names[2] in text
    assert "merModList" not in fits.mertools.summary()
    assert names[2] in fits.mertools.fastdisp()


# -- the rule, in words ------------------------------------------------------------------------


def test_a_tables_own_column_gives_way() -> None:
    fits = fits_of(("grp", "t", "grpvar"))
    coef = fits[0].coef()
    assert list(coef.columns) == ["grpvar", "grp_", "(Intercept)", "grp", "tv", "tw"]
    assert coef["grpvar"].unique().tolist() == ["grpvar"]
    assert coef["grp_"].tolist() == [f"unit{i}" for i in (0, 1, 10, 11, *range(2, 10))]
    slopes = fits[0].ranef().query("term == 'grp'")["condval"] + fits[0].beta["grp"]
    assert coef["grp"].tolist() == slopes.tolist()
    means = fits[0].coef()["grp"] / 2 + fits[1].coef()["grp"] / 2
    np.testing.assert_allclose(fits.coef()["grp"], means, rtol=1e-14)  # sums of two, in any order

    both = fits_of(("term", "imputation", "g"))
    stacked = both.vcov(by_imputation=True)
    assert list(stacked.columns) == [
        "imputation", "term_", "(Intercept)", "term", "imputationv", "imputationw"
    ]  # fmt: skip
    assert stacked["term_"].tolist() == 2 * ["(Intercept)", "term", "imputationv", "imputationw"]
    assert stacked["term"].iloc[4:].tolist() == both[1].vcov()["term"].tolist()


@pytest.mark.parametrize("name", ["t", "b", "df", "fmi", "riv", "estimate", "p_value", "lambda_"])
def test_marginal_means_of_numbers_made_a_factor(name: str) -> None:
    def means(column: str) -> pd.DataFrame:
        data = data_of(("x", "f", "g")).transform(
            lambda d: d.assign(**{column: d["f"].cat.codes.astype(float) + 1})
        )
        fits = fitted(f"response ~ factor({column}) + (1 | g)", data)
        return fits.pool().emmeans(column)

    found, expected = means(name), means("plain")
    assert found[name].tolist() == expected["plain"].tolist() == [1.0, 2.0, 3.0]
    assert found[name + "_"].tolist() == expected[name].tolist()
    pd.testing.assert_frame_equal(found, expected.set_axis(found.columns, axis=1))


def test_contrasts_within_a_factor_called_contrast() -> None:
    def contrasts(name: str) -> pd.DataFrame:
        data = data_of(("x", "f", "g")).transform(
            lambda d: d.assign(**{name: np.where(d["x"] > 0, "p", "q")})
        )
        fits = fitted(f"response ~ f * {name} + (1 | g)", data)
        return fits.pool().emmeans("f", contrast="pairwise", by=name)

    found, expected = contrasts("contrast"), contrasts("within")
    assert list(found.columns[:3]) == ["contrast_", "contrast", "estimate"]
    pd.testing.assert_frame_equal(found, expected.set_axis(found.columns, axis=1))


def test_a_name_that_emmeans_has_for_itself_is_refused() -> None:
    fits = fits_of(("x", ".wgt.", "g"))
    with pytest.raises(rb.RCallError, match=r"variable of that name: rename the variable"):
        fits.pool().emmeans(".wgt.")


@pytest.mark.filterwarnings("ignore:merTools asks")
def test_a_group_called_residual_and_the_residual_stand_apart() -> None:
    fits = fits_of(("x", "f", "Residual"))
    tidy = fits[0].tidy().query("effect == 'ran_pars'")
    assert tidy["term"].tolist() == [
        "sd__(Intercept)", "cor__(Intercept).x", "sd__x", "sd__Observation"
    ]  # fmt: skip
    assert tidy["estimate"].iloc[3] == fits[0].sigma
    assert fits.pool().tidy()["term"].tolist() == fits[0].tidy()["term"].tolist()
    lines = str(fits.pool().summary()).split("\n")
    assert sum(line.startswith(" Residual") for line in lines) == 2
    # merTools takes what is called Residual for the residual: so do its tables here.
    assert "Residual" in fits.mertools.summary()


def test_terms_of_one_name() -> None:
    """Factor a's level b and a column ab: R answers; what goes by name is refused."""
    data = data_of(("ab", "f", "g")).transform(
        lambda d: d.assign(
            a=pd.Categorical(d["f"].map({"u": "c", "v": "b", "w": "d"}), list("cbd"))
        )
    )
    fits = fitted("response ~ a + ab + (1 + a + ab | g)", data)
    fit = fits[0]
    assert list(fit.vcov().columns) == ["(Intercept)", "ab", "ad", "ab"]
    random = fit.tidy().query("effect == 'ran_pars'")
    assert len(random) == len(fit.varcorr()) == 11
    assert sorted(random["estimate"]) == sorted(fit.varcorr()["sdcor"])
    with pytest.raises(rb.PoolingError, match=r"two coefficients are called ab"):
        fits.pool()


def test_the_tables_of_a_job(tmp_path: Path) -> None:
    data = data_of(("term", "grp", "n_rows")).original.rename(columns={"response": "imputation"})
    data.to_csv(tmp_path / "data.csv", index=False)
    (tmp_path / "job.toml").write_text(
        """
        data.path = "data.csv"
        data.columns = {imputation = "float", term = "float", grp = "text", n_rows = "text"}
        imputation = {engine = "amelia", m = 2, seed = 1, idvars = ["grp", "n_rows"]}
        model.formula = "imputation ~ term + grp + (1 + term | n_rows)"
        output = {folder = "out", tables = ["vcov", "vcov_by_imputation", "coef", "patterns"]}
        """
    )
    run_job(tmp_path / "job.toml")
    tables = {x.stem: list(pd.read_csv(x).columns) for x in (tmp_path / "out").glob("*.csv")}
    assert tables["vcov"] == ["term_", "(Intercept)", "term", "grpv", "grpw"]
    assert tables["vcov_by_imputation"] == ["imputation", *tables["vcov"]]
    assert tables["coef"] == ["grpvar", "grp", "(Intercept)", "term", "grpv", "grpw"]
    assert tables["patterns"] == ["n_rows_", "imputation", "term", "grp", "n_rows"]


# -- hypotheses --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:D1")
def test_terms_in_hypotheses() -> None:
    """Every term, as the table has it, bare and in each kind of quotes: the same test."""
    data = data_of(("x y", "back`tick", "g")).transform(
        lambda d: d.assign(
            **{"größe, so": np.sin(d["x y"]), 'it\'s "q"': np.cos(d["x y"]), "a - b": d["x y"] > 0}
        )
    )
    fits = fitted(
        'response ~ `x y` * `back\\`tick` + I(`x y`^2) + `größe, so` + `it\'s "q"` + `a - b`'
        " + poly(`größe, so`, 2) + factor(`x y` > 1) + (1 | g)",
        data,
    )
    pooled = fits.pool()
    terms = pooled.fixed["term"].tolist()
    assert {"`x y`", "`x y`:`back\\`tick`v", "I(`x y`^2)", "`a - b`TRUE", "`größe, so`"} <= {*terms}
    for i, term in enumerate(terms):
        row = np.eye(len(terms))[i]
        for spelling in (term, f"`{term}`", f"'{term}'", f'"{term}"', f" ( {term} ) == 0"):
            pd.testing.assert_frame_equal(pooled.test(spelling), pooled.test(row))
    joint = ", ".join(f"'{x}' = 0" for x in terms[1:4])
    pd.testing.assert_frame_equal(pooled.test(joint), pooled.test(np.eye(len(terms))[1:4]))


# -- columns that a fit doesn't need ------------------------------------------------------------


def odd_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame, and columns that R can't hold, or whose names it can't."""
    n = len(frame)
    made = frame.assign(
        length=pd.to_timedelta(np.arange(n), unit="s"),
        mixed=pd.Series([1, "a"] * (n // 2), dtype=object, index=frame.index),
        month=pd.period_range("2020", periods=n, freq="M"),
        huge=2**60 + np.arange(n),
    )
    made["nul\0"] = 1.0
    labels = [*made.columns, 0, ("a", "b"), 1.5, pd.Timestamp("2020-01-01"), None]
    wide = pd.concat([made, pd.DataFrame(np.ones((n, 5)), index=frame.index)], axis=1)
    return wide.set_axis(pd.Index(labels, tupleize_cols=False, dtype=object), axis=1)


FORMULA = "response ~ plainx + plainf + (1 + plainx | plaing)"


@pytest.mark.parametrize("how", [{}, {"n_jobs": 2}, {"isolate": True}])
def test_unused_columns_do_not_stop_a_fit(how: dict[str, Any]) -> None:
    data = data_of(PLAIN)
    wide = rb.ImputedData.from_frames([odd_columns(x) for x in data], kind="bootstrap")
    expected = fitted(FORMULA, rb.ImputedData.from_frames(list(data), kind="bootstrap"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RWarning)
        found = rb.Lmer(FORMULA).fit(wide, **how)
        if "n_jobs" not in how:
            assert rb.Lmer(FORMULA).fit(wide[0], **how) == expected[0]
    assert found == expected
    rows = wide[0].head(3)
    assert found[0].predict(rows).equals(expected[0].predict(data[0].head(3)))
    assert found.predict(rows).equals(expected.predict(data[0].head(3)))
    assert (
        found[0]
        .simulate(1, seed=1, newdata=rows)
        .equals(expected[0].simulate(1, seed=1, newdata=data[0].head(3)))
    )


def test_columns_that_are_used_are_refused_by_name() -> None:
    wide = odd_columns(data_of(PLAIN)[0])
    for name, match in (("length", "'length' has dtype timedelta"), ("huge", "'huge' holds")):
        with pytest.raises(rb.EncodingError, match=match):
            rb.Lmer(f"response ~ {name} + (1 | plaing)").fit(wide)
    with pytest.raises(rb.FormulaError, match=r"the column 0 is not text.*rename"):
        rb.Lmer("response ~ `0` + (1 | plaing)").fit(wide)
    with pytest.raises(rb.EncodingError, match=r"column name 0 is not text"):
        rb.Lmer("response ~ . + (1 | plaing)").fit(wide[["response", "plaing", 0]])
    by_number: dict[Any, str] = {0: "contr.sum"}
    with pytest.raises(rb.ArgumentError, match=r"contrasts names 0, which is not text"):
        rb.Lmer("response ~ plainx + (1 | plaing)", contrasts=by_number).fit(wide)
    levels = data_of(PLAIN)[0]
    levels.columns = pd.MultiIndex.from_product([["a"], levels.columns])
    with pytest.raises(rb.ArgumentError, match=r"column names of 2 levels"):
        rb.Lmer(FORMULA).fit(levels)


def test_a_dot_still_means_all_columns() -> None:
    frame = data_of(PLAIN)[0]
    dotted = rb.Lmer("response ~ . - plaing + (1 | plaing)").fit(frame)
    written = rb.Lmer("response ~ plainx + plainf + (1 | plaing)").fit(frame)
    assert dotted.beta.equals(written.beta)


def test_columns_that_arguments_name_are_needed() -> None:
    frame = data_of(PLAIN)[0].assign(w=1.5, o=0.25, s=lambda d: d["plainx"] > -1)
    named = rb.Lmer("response ~ plainx + (1 | plaing)", weights="w", offset="o", subset="s")
    given = rb.Lmer(
        "response ~ plainx + (1 | plaing)",
        weights=frame["w"], offset=frame["o"].to_numpy(), subset=frame["s"],
    )  # fmt: skip
    assert named.fit(frame).beta.equals(given.fit(frame).beta)


# -- codings -----------------------------------------------------------------------------------


def test_codings_are_refused_by_name() -> None:
    frame = data_of(PLAIN)[0]

    def fit(coding: Any) -> rb.MerMod:
        return rb.Lmer("response ~ plainf + (1 | plaing)", contrasts={"plainf": coding}).fit(frame)

    named = pd.DataFrame({"c": [1.0, 0, -1]}, index=list("uvz"))
    with pytest.raises(rb.FitError, match=r"contrasts of 'plainf' have rows for 'u', 'v', 'z'"):
        fit(named)
    with pytest.raises(rb.FormulaError, match=r"contrasts of 'plainf' must be one of contr\."):
        fit([["contr.sum"]])
    refused: list[Any] = [
        [[1], [1, 2]], np.array([["a"]]), [[[1.0]]], [[]], np.float64, {"a": 1},
    ]  # fmt: skip
    for wrong in refused:
        with pytest.raises(rb.ArgumentError, match=r"contrasts of 'plainf' must be the name of"):
            fit(wrong)
    with pytest.raises(rb.ArgumentError, match=r"contrasts of 'plainf' hold a value that is mis"):
        fit([[1.0], [np.nan], [0.0]])
    # Rows go by name, whatever order they stand in.
    shuffled = fit(named.set_axis(list("uvw")).loc[["w", "u", "v"]])
    assert shuffled.beta.equals(fit(named.set_axis(list("uvw"))).beta)
    assert shuffled.beta.index.tolist() == ["(Intercept)", "plainfc"]
