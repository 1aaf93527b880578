"""Models that can't be compared are refused by name; those that are nested are found to be so."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rbridge_mi as rb
from rbridge_mi.testing import run_r
from tests.inference.inference_data import complete, fitted, imputed

pytestmark = [pytest.mark.r, pytest.mark.slow]

METHODS: tuple[dict[str, Any], ...] = (
    {"method": "D1"},
    {"method": "D2"},
    {"method": "D2", "use": "likelihood"},
    {"method": "D3"},
    {"method": "D4"},
)
LIKELIHOOD = METHODS[2:]
N = 192


@pytest.fixture(scope="module")
def data() -> rb.ImputedData:
    rng = np.random.default_rng(7)
    frame = complete().assign(z=rng.normal(size=N), t=np.tile(np.arange(8) % 4, 24))
    frame["t4"] = pd.Categorical(frame["t"])
    return imputed(frame, m=3)


class Fits(dict[tuple[str, bool], rb.MerModList]):
    """Each formula fitted once."""

    def __init__(self, data: rb.ImputedData) -> None:
        super().__init__()
        self.data = data

    def __call__(self, formula: str, reml: bool = False) -> rb.MerModList:
        key = formula, reml
        if key not in self:
            self[key] = fitted(formula, self.data, reml=reml)
        return self[key]


@pytest.fixture(scope="module")
def fits(data: rb.ImputedData) -> Fits:
    return Fits(data)


def quiet(*arguments: Any, **named: Any) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RBridgeWarning)
        return rb.compare(*arguments, **named)


# --- nesting ------------------------------------------------------------------------------------

NOT_NESTED = {
    "another column": ("y ~ x1 + x2 + (1 | g)", "y ~ z + (1 | g)", "'z'"),
    "a function of one": ("y ~ x1 + x2 + (1 | g)", "y ~ exp(x1) + (1 | g)", r"'exp\(x1\)'"),
    "a factor for its numbers": ("y ~ t + x1 + x2 + z + (1 | g)", "y ~ t4 + (1 | g)", "'t42'"),
    "no intercept": ("y ~ 0 + x1 + x2 + (1 | g)", "y ~ 1 + (1 | g)", r"'\(Intercept\)'"),
    "another group": ("y ~ x1 + x2 + (1 | g)", "y ~ x1 + (1 | h)", r"\(1 \| h\) is in none"),
    "another slope": ("y ~ x1 + (1 + x1 | g)", "y ~ x1 + (0 + x2 | g)", r"\(x2 \| g\) is in none"),
    "a slope for an intercept": ("y ~ x1 + x2 + (0 + x1 | g)", "y ~ x1 + (1 | g)", r"\(1 \| g\)"),
    "a covariance": ("y ~ x1 + x2 + z + (x1 || g)", "y ~ x1 + (x1 | g)", r"\(1 \+ x1 \| g\)"),
    "groups within": ("y ~ x1 + x2 + (1 | g)", "y ~ x1 + (1 | g:t4)", r"\(1 \| g:t4\)"),
    "both": ("y ~ x1 + x2 + (1 | g)", "y ~ z + (1 | h)", r"'z'.*\(1 \| h\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_NESTED)
@pytest.mark.parametrize("method", METHODS, ids=lambda x: "_".join(x.values()))
def test_what_is_not_nested_is_refused(name: str, method: dict[str, Any], fits: Fits) -> None:
    full, reduced, message = NOT_NESTED[name]
    with pytest.raises(rb.ArgumentError, match=f"(?s)imputation 1: .*isn't nested.*{message}"):
        rb.compare(fits(full), fits(reduced), **method)


# full, reduced, degrees of freedom; whether the random part is the same
NESTED = {
    "factors the other way": ("y ~ f * x1 + x2 + (1 | g)", "y ~ x1 * f + (1 | g)", 1, True),
    "interaction only": ("y ~ f:x1 + z + (1 | g)", "y ~ x1:f + (1 | g)", 1, True),
    "a line in a factor": ("y ~ t4 + (1 | g)", "y ~ t + (1 | g)", 2, True),
    "a line in a curve": ("y ~ poly(x1, 3) + (1 | g)", "y ~ x1 + (1 | g)", 2, True),
    "another unit": ("y ~ I(10 * x1) + x2 + (1 | g)", "y ~ I(x1 - 1e6) + (1 | g)", 1, True),
    "another coding": ("y ~ f + x2 + (1 | g)", "y ~ 0 + f + (1 | g)", 1, True),
    "equal slopes": ("y ~ x1 + z + (1 | g)", "y ~ I(x1 + z) + (1 | g)", 1, True),
    "intercept in slopes": ("y ~ x1 + (1 + x1 | g)", "y ~ x1 + (1 | g)", 2, False),
    "double bar": ("y ~ x1 + (1 + x1 | g)", "y ~ x1 + (1 + x1 || g)", 1, False),
    "in a double bar": ("y ~ x1 + (1 + x1 || g)", "y ~ x1 + (0 + x1 | g)", 1, False),
    "intercept in a factor's": ("y ~ x1 + (0 + t4 | g)", "y ~ x1 + (1 | g)", 9, False),
    "compound symmetry": ("y ~ x1 + (0 + t4 | g)", "y ~ x1 + (1 | g/t4)", 8, False),
    "one of two groups": ("y ~ x1 + (1 | g) + (1 | h)", "y ~ x1 + (1 | h)", 1, False),
    "both parts": ("y ~ x1 + x2 + (1 + x1 | g)", "y ~ x2 + (1 | g)", 3, False),
}  # fmt: skip


@pytest.mark.parametrize("name", NESTED)
def test_what_is_nested_is_compared(name: str, fits: Fits) -> None:
    full, reduced, k, same_random = NESTED[name]
    for method in METHODS:
        if same_random or method in LIKELIHOOD or method == {"method": "D2"}:
            assert quiet(fits(full), fits(reduced), **method)["df1"].tolist() == [k], method
        else:
            with pytest.raises(rb.ArgumentError, match="same random part"):
                rb.compare(fits(full), fits(reduced), **method)


def test_the_same_term_written_otherwise_is_the_same_test(fits: Fits) -> None:
    """fb:x1 and x1:fb: every method gives what it gives for equal names."""
    full = fits("y ~ f * x1 + x2 + (1 | g)")
    for method in METHODS:
        a = quiet(full, fits("y ~ x1 * f + (1 | g)"), **method)
        b = quiet(full, fits("y ~ f * x1 + (1 | g)"), **method)
        # D1 and Wald's D2 are of the full model alone; the fits of the reduced one differ by what
        # the optimizer leaves (of likelihoods: its tolerance squared).
        rtol = 0 if method in METHODS[:2] else 1e-7
        np.testing.assert_allclose(a.iloc[0, 1:].astype(float), b.iloc[0, 1:].astype(float), rtol)
    with pytest.raises(rb.ArgumentError, match="must have fewer"):
        rb.compare(fits("y ~ x1 * f + (1 | g)"), fits("y ~ f * x1 + (1 | g)"))


def test_a_line_in_a_factor_is_the_test_of_its_contrasts(fits: Fits) -> None:
    """t against factor(t): the levels' coefficients lie on a line."""
    full = fits("y ~ t4 + (1 | g)")
    hypotheses = "t42 = 2*t41, t43 = 3*t41"
    with pytest.warns(rb.RBridgeWarning, match="at most 4"):  # k (m - 1) = 4
        expected = full.pool().test(hypotheses)
    mine = quiet(full, fits("y ~ t + (1 | g)"))
    # Another basis of the same hypotheses: what an inverse loses.
    pd.testing.assert_frame_equal(mine, expected, rtol=1e-10)
    equal = rb.compare(fits("y ~ x1 + z + (1 | g)"), fits("y ~ I(x1 + z) + (1 | g)"))
    pd.testing.assert_frame_equal(
        equal, fits("y ~ x1 + z + (1 | g)").pool().test("x1 = z"), rtol=1e-10
    )


def test_combinations_that_differ_between_imputations_are_no_hypothesis(fits: Fits) -> None:
    """poly(x2, 2) is made of other numbers in each imputation: x2 is within, but not a fixed
    combination of its coefficients."""
    full, reduced = fits("y ~ poly(x2, 2) + (1 | g)"), fits("y ~ x2 + (1 | g)")
    with pytest.raises(rb.ArgumentError, match=r"other combinations.*in each imputation.*'D3'"):
        rb.compare(full, reduced)
    assert rb.compare(full, reduced, "D4")["df1"].tolist() == [1]


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_leaving_out_terms_is_nested_and_nothing_else(fits: Fits, draw: st.DataObject) -> None:
    """For subsets of terms nesting is inclusion, however they are ordered."""
    pool = ["x1", "x2", "z", "f", "f:x1"]
    whole, part = (draw.draw(st.lists(st.sampled_from(pool), unique=True)) for _ in range(2))
    randoms = {"(1 | g)": {1}, "(1 | g) + (1 | h)": {1, 2}, "(1 | h)": {2}}
    names = [draw.draw(st.sampled_from(sorted(randoms))) for _ in range(2)]
    full, reduced = (
        fits(f"y ~ {' + '.join(['1', *terms])} + {random}")
        for terms, random in zip((whole, part), names, strict=True)
    )

    def columns(terms: list[str]) -> set[str]:
        # f:x1 holds a column per level beside x1's absence, and x1 is their sum
        spanned = set(terms)
        return spanned | ({"x1"} if "f:x1" in spanned else set())

    nested = columns(part) <= columns(whole) and randoms[names[1]] <= randoms[names[0]]
    found = full[0].r.call("nesting", reduced[0].r).value
    assert nested == (not len(found["columns"]) and not len(found["random"]))


# --- the same data ------------------------------------------------------------------------------

WEIGHT = 1.0 + np.arange(N) % 3
KEEP = np.arange(N) < 150
OTHER: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "response": ("log(y + 10) ~ x1 + x2 + (1 | g)", {}, {}, r"'log\(y \+ 10\)'.*'y'"),
    "scaled response": ("scale(y) ~ x1 + x2 + (1 | g)", {}, {}, r"'scale\(y\)'.*'y'"),
    "weights": ("y ~ x1 + x2 + (1 | g)", {"weights": WEIGHT}, {}, "differ in their weights"),
    "other weights": (
        "y ~ x1 + x2 + (1 | g)", {"weights": WEIGHT}, {"weights": 2 * WEIGHT}, "in their weights",
    ),
    "offset": ("y ~ x1 + x2 + (1 | g)", {"offset": "z"}, {}, "in their offset"),
    "offset in the formula": ("y ~ x1 + x2 + offset(z) + (1 | g)", {}, {}, "in their offset"),
    "both": (
        "y ~ x1 + x2 + (1 | g)", {"offset": "z", "weights": WEIGHT}, {}, "weights and offset",
    ),
    "rows": (
        "y ~ x1 + x2 + (1 | g)", {"subset": KEEP}, {"subset": KEEP[::-1]}, "other rows, 150 each",
    ),
    "number of rows": ("y ~ x1 + x2 + (1 | g)", {"subset": KEEP}, {}, "150 rows.* 192"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER)
def test_other_data_are_refused_naming_which(name: str, data: rb.ImputedData) -> None:
    formula, own, others, message = OTHER[name]
    full = fitted(formula, data, reml=False, **own)
    reduced = fitted("y ~ x1 + (1 | g)", data, reml=False, **others)
    for method in METHODS:
        with pytest.raises(rb.ArgumentError, match=f"imputation 1: .*{message}"):
            rb.compare(full, reduced, **method)
    for a, b in itertools.permutations((full[1], reduced[1])):
        with pytest.raises(rb.ArgumentError, match="anova: "):
            a.anova(b)
    with pytest.raises(rb.ArgumentError, match=f"anova: .*{message}"):
        full[1].anova(reduced[1])


def test_one_imputation_is_enough_to_refuse(data: rb.ImputedData) -> None:
    """Rows that only the last imputation has."""
    frames = list(data)
    frames[2] = frames[2].assign(z=lambda d: d["z"].where(d.index != 5))
    some = rb.ImputedData.from_frames(frames)
    with pytest.raises(rb.ArgumentError, match=r"imputation 3: .*191 rows.*192.*not in both: 5"):
        rb.compare(fitted("y ~ x1 + z + (1 | g)", some), fitted("y ~ x1 + (1 | g)", some))


def test_the_same_rows_by_label(data: rb.ImputedData) -> None:
    """Single fits: rows are the frame's labels, whatever their numbers in it."""
    holes = data[0].assign(z=lambda d: d["z"].where(d.index % 10 > 0))
    full = rb.Lmer("y ~ x1 + z + (1 | g)", reml=False).fit(holes)
    reduced = rb.Lmer("y ~ x1 + (1 | g)", reml=False)
    table = full.anova(reduced.fit(holes.dropna()))
    assert len(table) == 2
    with pytest.raises(rb.ArgumentError, match="172 rows, the other 192"):
        full.anova(reduced.fit(holes))
    same_number = holes[holes.index != 1].drop(index=holes.index[holes.index % 10 == 3])
    with pytest.raises(rb.ArgumentError, match="rows"):
        full.anova(reduced.fit(same_number))


def test_other_values_of_a_variable(data: rb.ImputedData) -> None:
    """Fits to two frames of the same response: R refuses them by the name of the data."""
    full = rb.Lmer("y ~ x1 + z + (1 | g)", reml=False).fit(data[0])
    reduced = rb.Lmer("y ~ x1 + (1 | g)", reml=False)
    with pytest.raises(rb.ArgumentError, match="differ in 'x1'"):
        full.anova(reduced.fit(data[0].assign(x1=lambda d: d["x1"] + 0.5)))
    assert len(full.anova(reduced.fit(data[0].assign(x2=0.0)))) == 2  # neither names it


def test_anova_of_models_that_are_not_nested_is_rs(data: rb.ImputedData) -> None:
    """AIC and BIC of the same response can be compared: R prints them, and so does this."""
    code = """
    suppressMessages(library(lme4))
    fit <- function(formula) lmer(as.formula(formula), d, REML = FALSE)
    table <- anova(fit("y ~ x1 + x2 + (1 | g)"), fit("y ~ z + (1 | h)"))
    answer <- c(table$AIC, table$BIC)
    """
    expected = run_r(code, d=data[0])["answer"]
    formulas = "y ~ x1 + x2 + (1 | g)", "y ~ z + (1 | h)"
    models = [rb.Lmer(x, reml=False).fit(data[0]) for x in formulas]
    table = models[0].anova(models[1])
    assert [*table["aic"], *table["bic"]] == list(expected)  # every bit


def test_anova_says_what_r_does_not(data: rb.ImputedData) -> None:
    models = {
        (x, reml): rb.Lmer(f"y ~ {x} + (1 | g)", reml=reml).fit(data[0])
        for x in ("x1 + z", "x1")
        for reml in (True, False)
    }
    restricted, reduced = models["x1 + z", True], models["x1", True]
    with pytest.warns(rb.RBridgeWarning, match="restricted likelihoods.*refit=True") as caught:
        restricted.anova(reduced, refit=False)
    assert caught[0].filename == __file__
    with pytest.warns(rb.RWarning, match="some models fit with REML = TRUE, some not"):
        restricted.anova(models["x1 + z", False], refit=False)
    # Refitted, nothing is to be said; and it is the same table as of fits by ML.
    mixed = restricted.anova(models["x1", False])
    pd.testing.assert_frame_equal(
        mixed, models["x1 + z", False].anova(models["x1", False]), rtol=1e-7
    )


def test_lists_of_both_kinds_are_compared_by_maximum_likelihood(fits: Fits) -> None:
    full, reduced = "y ~ x1 + x2 + (1 | g)", "y ~ x1 + (1 | g)"
    for method in LIKELIHOOD:
        both = rb.compare(fits(full), fits(reduced), **method)
        mixed = quiet(fits(full, reml=True), fits(reduced), **method)
        pd.testing.assert_frame_equal(both, mixed, check_exact=True)
        assert "refitted by maximum likelihood" in mixed.attrs["note"]


def test_fits_of_different_size_between_imputations(data: rb.ImputedData) -> None:
    """A level that one imputation hasn't: the models have no common number of parameters."""
    frames = list(data)
    frames[1] = frames[1].assign(f=frames[1]["f"].where(frames[1]["f"] != "c", "a"))
    some = rb.ImputedData.from_frames(frames)
    full, reduced = fitted("y ~ x1 + f + (1 | g)", some), fitted("y ~ x1 + (1 | g)", some)
    for method in METHODS:
        with pytest.raises(rb.ArgumentError, match="differs between imputations"):
            rb.compare(full, reduced, **method)


def test_compare_estimates_of_another_response(data: rb.ImputedData) -> None:
    one = rb.Lmer("log(y + 10) ~ x1 + (1 | g)").fit(data[0])
    with pytest.raises(rb.ArgumentError, match=r"'log\(y \+ 10\)'.*'y'"):
        rb.compare_estimates(one, fitted("y ~ x1 + (1 | g)", data))
