"""The design that numpy computes is the one of R's model.matrix, on the data and on others."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.imputers.model_design import DesignPart, compile_model

pytestmark = pytest.mark.r

# lme4's own matrices for `data`; R's for `other`, with the bases, levels and contrasts of `data`.
REFERENCE = r"""
function(text, data, other, contrasts) {
  env <- new.env(parent = asNamespace("lme4"))
  for (name in c("ns", "bs")) env[[name]] <- getExportedValue("splines", name)
  formula <- as.formula(text, env)
  ignored <- paste0("check.", c("nobs.vs.nRE", "nobs.vs.nlev", "nobs.vs.rankZ", "rankX"))
  control <- do.call(lme4::lmerControl, as.list(setNames(rep("ignore", length(ignored)), ignored)))
  made <- lme4::lFormula(formula, data, contrasts = contrasts, control = control)
  terms <- attr(made$fr, "terms")
  frame <- stats::model.frame(terms, other, na.action = na.pass,
    xlev = stats::.getXlevels(terms, made$fr))
  fixed <- formula
  fixed[[3L]] <- lme4::nobars(formula[[3L]])
  fixed <- stats::terms(fixed, data = made$fr)
  matrix_of <- function(matrix) list(names = colnames(matrix), matrix = unname(matrix))
  with_groups <- function(frame, bar) {
    for (name in all.vars(bar[[3L]])) frame[[name]] <- as.factor(frame[[name]])
    frame
  }
  flist <- made$reTrms$flist
  flist <- unclass(flist)[attr(flist, "assign")]
  bars <- lapply(lme4::findbars(formula), function(bar) {
    i <- match(deparse1(bar), names(made$reTrms$Ztlist))
    names <- made$reTrms$cnms[[i]]
    stacked <- as.matrix(made$reTrms$Ztlist[[i]])
    rows <- rep(seq_along(names), nrow(stacked) / length(names))
    left <- structure(call("~", bar[[2L]]), class = "formula", .Environment = env)
    codings <- attr(stats::model.matrix(left, with_groups(made$fr, bar)), "contrasts")
    list(
      data = list(names = names, matrix = unname(t(rowsum(stacked, rows)))),
      other = matrix_of(stats::model.matrix(left, with_groups(frame, bar), codings)),
      group = deparse1(bar[[3L]]), labels = as.character(flist[[i]]), levels = levels(flist[[i]])
    )
  })
  codings <- attr(made$X, "contrasts")
  list(
    data = matrix_of(made$X), other = matrix_of(stats::model.matrix(fixed, frame, codings)),
    offset = if (is.null(stats::model.offset(frame))) 0 else stats::model.offset(frame), bars = bars
  )
}
"""

FORMULAS = [
    "y ~ 1 + (1 | g)",
    "y ~ x + z + (1 | g)",
    "y ~ x * z + (x | g)",
    "y ~ 0 + x + (0 + x | g)",
    "y ~ -1 + f + x + (x || g)",
    "y ~ 0 + x:f + (1 | g)",
    "y ~ 0 + x + f * t + (1 | g)",
    "y ~ x:z + (1 | g)",
    "y ~ f * t * x + (f | g)",
    "y ~ f:t + (0 + f || g)",
    "y ~ o + o:x + (o | g)",
    "y ~ b * x + (b | g)",
    "y ~ 0 + b + (0 + b | g)",
    "y ~ . - g - h + (1 | g) + (1 | h)",
    "y ~ x + I(x^2) + I(x * z) + (I(x^2) | g)",
    "y ~ poly(x, 2) * z + (poly(x, 2) | g)",
    "y ~ splines::ns(x, 3) + ns(z, df = 3):f + bs(x, df = 4) + (1 | g)",
    "y ~ scale(x) * f + (scale(x) | g)",
    "log(y) ~ log(z) + sqrt(z) + exp(x) + log2(z):f + (log(z) || g)",
    "y ~ factor(k) + ordered(k):x + as.numeric(k) + (factor(k) || g)",
    "y ~ cut(x, c(-Inf, 0, Inf)) * t + (1 | g)",
    "y ~ C(f, contr.sum) + C(o, contr.treatment) + (C(f, contr.helmert) | g)",
    'y ~ relevel(f, ref = "b") * b + (relevel(f, "c") | g)',
    "y ~ ifelse(b, x, z) + pmax(x, 0) + I(x > 0) + (I(x > 0) | g)",
    "y ~ interaction(f, t) + as.integer(f) + (1 | g)",
    "y ~ x + (1 | g/h)",
    "y ~ x + (x | g:h) + (1 | t)",
    "y ~ x + (x || h/g) + (0 + z | g)",
    "y ~ x + offset(z) + offset(log(z)) + (1 | g)",
    "y ~ offset(x) + (1 | g)",
    "sqrt(y) ~ `school id` * if_ + `school id`:log + c + (`school id` || g)",
    "cbind(y, x) ~ z * k + u + (k | g)",
    "y ~ k + (1 + k | g:k) + (1 | g)",
    "y ~ f2 + d + (f2 | g)",
    'y ~ dummy(f, "b"):x + (dummy(f, "b") || g)',
    "y ~ (x + z + f)^2 - x:z + h + (1 | g) + (1 | interaction(g, h))",
    "y ~ -x + I(-x) + I(2 / (1 + exp(-x))) + scale(log(z), scale = FALSE) + I(3 * k^2) + (1 | g)",
    "y ~ x %in% f + f/x + (1 | g)",
    "y ~ 0 + (x + I(z^2)):(f + b) + (1 | g)",
]


def frame(seed: int, n: int = 240) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.arange(n) % 3)
    return pd.DataFrame(
        {
            "y": rng.uniform(1, 9, n),
            "x": rng.normal(size=n),
            "z": rng.uniform(0.5, 2, n),
            "k": pd.array(codes + 1, dtype="Int64"),
            "b": pd.array(rng.permutation(np.arange(n) % 2 == 0), dtype="boolean"),
            "u": rng.permutation(np.arange(n) % 5 == 0),
            "f": pd.Categorical.from_codes(codes, ["c", "a", "b"]),
            # The first level has no row.
            "f2": pd.Categorical.from_codes(rng.permutation(codes) + 1, ["r", "s", "t", "u"]),
            "o": pd.Categorical.from_codes(
                rng.permutation(np.arange(n) % 4), ["lo", "mid", "hi", "top"], ordered=True
            ),
            "t": np.array(["v", "W", "ä"], object)[rng.permutation(codes)],
            "school id": rng.normal(size=n),
            "if_": rng.normal(size=n),
            "log": rng.normal(size=n),
            "c": rng.normal(size=n),
            "d": pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, n), "D"),
            "g": np.arange(n) // 10,
            "h": [f"h{i}" for i in np.arange(n) % 8],
        }
    )


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return frame(1)


@pytest.fixture(scope="module")
def other() -> pd.DataFrame:
    """Other values in all columns but the groups, of the same range."""
    changed = frame(2)
    changed["x"] = changed["x"].clip(-1.9, 1.9)
    return changed


@pytest.fixture(scope="module")
def reference() -> rdoor.RObject:
    parsed = rdoor.call_object("base::str2lang", REFERENCE)
    return rdoor.call_object("base::eval", parsed, rdoor.call_object("base::globalenv"))


def check(part: DesignPart, values: dict[str, Any], expected: dict[str, Any]) -> None:
    expected_names = [] if expected["names"] is None else list(expected["names"])
    assert list(part.names) == expected_names
    matrix = part.matrix({name: values[name] for name in part.columns} or {"y": values["y"]})
    for j, name in enumerate(part.names):
        column = expected["matrix"][:, j]
        bound = 1e-13 * np.abs(column).max()
        assert np.abs(matrix[:, j] - column).max() <= bound, name


@pytest.mark.parametrize("formula", FORMULAS)
def test_numpy_has_the_matrices_of_lme4(
    formula: str, data: pd.DataFrame, other: pd.DataFrame, reference: rdoor.RObject
) -> None:
    if "." in formula.split():
        keep = ["y", "x", "f", "b", "t", "g", "h"]
        data, other = data[keep], other[keep]
    design = compile_model(rb.Lmer(formula), data)
    expected = rdoor.call("base::do.call", reference, [formula, data, other, None]).value
    values, changed = design.values(data), design.values(other)
    check(design.fixed, values, expected["data"])
    check(design.fixed, changed, expected["other"])
    offset = 0.0 if design.offset is None else design.offset.matrix(changed)[:, 0]
    assert np.allclose(offset, expected["offset"], rtol=1e-14, atol=0)
    assert (design.offset is not None) == ("offset" in formula)
    assert len(design.random) == len(expected["bars"])
    for random, bar in zip(design.random, expected["bars"], strict=True):
        check(random.design, values, bar["data"])
        check(random.design, changed, bar["other"])
        assert random.group == bar["group"][0]
        assert list(random.levels) == list(bar["levels"])
        assert [random.levels[i] for i in random.codes] == list(bar["labels"])


@pytest.mark.parametrize(
    "coding",
    [
        "contr.sum",
        "contr.helmert",
        np.array([[1.0, 0.0], [0.5, 2.0], [-1.0, 1.0]]),
        pd.DataFrame({"p": [0.0, 1.0, 3.0], "q": [1.0, 0.0, 2.0]}, index=["a", "b", "c"]),
    ],
    ids=["sum", "helmert", "array", "frame"],
)
def test_contrasts_of_the_model(
    coding: Any, data: pd.DataFrame, other: pd.DataFrame, reference: rdoor.RObject
) -> None:
    """They hold for the fixed part only, as in lme4; the rows of a frame are taken by name."""
    formula = "y ~ f * x + (f | g)"
    design = compile_model(rb.Lmer(formula, contrasts={"f": coding}), data)
    in_order = coding.loc[["c", "a", "b"]] if isinstance(coding, pd.DataFrame) else coding
    given = in_order if isinstance(coding, str) else np.asarray(in_order)
    expected = rdoor.call("base::do.call", reference, [formula, data, other, {"f": given}]).value
    if isinstance(coding, pd.DataFrame):
        for which in ("data", "other"):
            expected[which]["names"] = [
                x.replace("f1", "fp").replace("f2", "fq") for x in expected[which]["names"]
            ]
    check(design.fixed, design.values(data), expected["data"])
    check(design.fixed, design.values(other), expected["other"])
    check(design.random[0].design, design.values(other), expected["bars"][0]["other"])


MIXED = "log(y) ~ poly(x, 2) * f + I(z^2):t + factor(k) + b + offset(sqrt(z)) + (poly(x, 2) | g/h)"


def chains(data: pd.DataFrame, design: Any, names: Any) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    values = design.values(data, names)
    orders = [rng.permutation(len(data)) for _ in range(4)]
    return {name: np.stack([x[order] for order in orders]) for name, x in values.items()}


def test_chains_are_as_one_by_one(data: pd.DataFrame) -> None:
    design = compile_model(rb.Lmer(MIXED), data)
    assert design.offset is not None
    for part in (design.fixed, design.offset, design.random[0].design):
        values = chains(data, design, part.columns)
        together = part.matrix(values)
        assert together.shape == (4, len(data), len(part.names))
        assert together.flags.c_contiguous and together.dtype == np.float64
        for i in range(4):
            alone = part.matrix({name: x[i] for name, x in values.items()})
            assert np.array_equal(together[i], alone)
            one = part.matrix({name: x[i, 5] for name, x in values.items()})
            assert np.array_equal(one, alone[5])
        none = part.matrix({name: x[:, :0] for name, x in values.items()})
        assert none.shape == (4, 0, len(part.names))


def test_complete_columns_may_be_given_once(data: pd.DataFrame) -> None:
    design = compile_model(rb.Lmer(MIXED), data)
    values = design.values(data)
    columns = design.fixed.columns
    full = {name: np.broadcast_to(values[name], (3, len(data))).copy() for name in columns}
    full["x"] += np.array([[0.0], [0.1], [0.2]])
    once = {name: values[name] for name in columns} | {"x": full["x"]}
    assert np.array_equal(design.fixed.matrix(once), design.fixed.matrix(full))


def test_an_intercept_has_the_shape_of_any_array(data: pd.DataFrame) -> None:
    part = compile_model(rb.Lmer("y ~ 1 + (1 | g)"), data).fixed
    assert part.columns == frozenset()
    assert np.array_equal(part.matrix({"y": np.zeros((2, 3))}), np.ones((2, 3, 1)))


def test_r_is_asked_once_and_only_for_what_numpy_lacks(
    data: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    formula = (
        "y ~ x * f * b + I(x^2) + log(z) + scale(x) + (x | g) "
        "+ (poly(x, 2) + cut(x, c(-9, 0, 9)) | h)"
    )
    design = compile_model(rb.Lmer(formula), data)
    values = design.values(data)
    asked = []
    call = rdoor.call

    def counted(*args: Any, **kwargs: Any) -> Any:
        asked.append(args[2])
        return call(*args, **kwargs)

    monkeypatch.setattr(rdoor, "call", counted)
    design.fixed.matrix(values)
    design.random[0].design.matrix(values)
    assert asked == []
    design.random[1].design.matrix(values)
    assert asked == [["poly(x, 2)", "cut(x, c(-9, 0, 9))"]]


def test_works_in_another_process(data: pd.DataFrame, tmp_path: Path) -> None:
    design = compile_model(rb.Lmer(MIXED), data)
    values = design.values(data)
    (tmp_path / "design.pickle").write_bytes(pickle.dumps((design, values)))
    program = """
import pickle, sys
from pathlib import Path
folder = Path(sys.argv[1])
design, values = pickle.loads((folder / "design.pickle").read_bytes())
parts = [design.fixed, design.offset, *(x.design for x in design.random)]
(folder / "matrices.pickle").write_bytes(pickle.dumps([x.matrix(values) for x in parts]))
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=120)
    matrices = pickle.loads((tmp_path / "matrices.pickle").read_bytes())
    parts = [design.fixed, design.offset, *(x.design for x in design.random)]
    for part, matrix in zip(parts, matrices, strict=True):
        assert part is not None
        assert np.array_equal(part.matrix(values), matrix)


def test_a_basis_within_a_call_is_fixed(data: pd.DataFrame, other: pd.DataFrame) -> None:
    """R itself would scale the other data by their own mean."""
    formula = "y ~ scale(x) + I(scale(x)^2) + exp(ns(z, 2)) + ns(z, 2) + (1 | g)"
    design = compile_model(rb.Lmer(formula), data)
    matrix = design.fixed.matrix(design.values(other))
    scaled = (other["x"] - data["x"].mean()) / data["x"].std()
    assert np.allclose(matrix[:, 1], scaled, rtol=1e-12)
    assert np.allclose(matrix[:, 2], scaled**2, rtol=1e-12)
    assert np.allclose(matrix[:, 3:5], np.exp(matrix[:, 5:7]), rtol=1e-12)


@pytest.mark.parametrize("call", ["cut(x, 3)", "I(x - scale(z)[1])", "I(x / max(x))"])
def test_a_value_that_depends_on_other_rows_is_refused(call: str, data: pd.DataFrame) -> None:
    with pytest.raises(rb.ImputationError, match=r"another value when other rows change"):
        compile_model(rb.Lmer(f"y ~ z + {call} + (1 | g)", allow=["max", "["]), data)


def test_facts_of_the_response(data: pd.DataFrame) -> None:
    facts = {
        "y": ("y", None),
        "log(y)": ("y", "log"),
        "log1p(y)": ("y", "log1p"),
        "sqrt(`school id`)": ("school id", "sqrt"),
        "log(y, 2)": (None, None),
        "log(y + 1)": (None, None),
        "I(y)": (None, None),
        "cbind(y, x)": (None, None),
    }
    data = data.assign(**{"school id": data["school id"].abs() + 1})
    for text, expected in facts.items():
        design = compile_model(rb.Lmer(f"{text} ~ z + (1 | g)"), data)
        assert design.response == text
        assert (design.response_column, design.response_function) == expected


def test_levels_are_those_that_rows_have_in_the_order_of_r(data: pd.DataFrame) -> None:
    design = compile_model(rb.Lmer("y ~ f + f2 + factor(o) + t + b + (x | g)"), data)
    with rdoor.plain_locale():
        plain = compile_model(rb.Lmer("y ~ t + (1 | g)"), data)
    assert design.levels["f"] == ("c", "a", "b")
    assert design.levels["f2"] == ("s", "t", "u")
    assert design.levels["o"] == ("lo", "mid", "hi", "top")
    assert plain.levels == {"t": ("W", "v", "ä")}
    assert set(design.levels) == {"f", "f2", "o", "t"}
    assert design.variables == {"y", "f", "f2", "o", "t", "b", "x", "g"}
    assert design.fixed.columns == {"f", "f2", "o", "t", "b"}
    assert design.random[0].group_columns == ("g",)
    assert set(design.values(data, ["f", "x"])) == {"f", "x"}


def test_no_value_is_nan(data: pd.DataFrame) -> None:
    formula = "y ~ log(z) * f + cut(x, c(-9, 0, 9)) + poly(z, 2) + as.integer(f) + (1 | g)"
    design = compile_model(rb.Lmer(formula), data)
    values = design.values(data)
    values["z"] = np.where(np.arange(len(data)) == 3, -1.0, values["z"])
    values["x"] = np.where(np.arange(len(data)) == 5, 99.0, values["x"])
    values["f"] = np.where(np.arange(len(data)) == 7, -1, values["f"])
    matrix = design.fixed.matrix(values)
    for name, row in (
        ("log(z)", 3),
        ("cut(x, c(-9, 0, 9))(0,9]", 5),
        ("fa", 7),
        ("as.integer(f)", 7),
    ):
        column = matrix[:, design.fixed.names.index(name)]
        assert np.flatnonzero(np.isnan(column)).tolist() == [row]
    product = matrix[:, design.fixed.names.index("log(z):fa")]
    assert np.flatnonzero(np.isnan(product)).tolist() == [3, 7]


def test_a_new_level_is_refused_by_name(data: pd.DataFrame) -> None:
    design = compile_model(rb.Lmer("y ~ factor(k) + f + (1 | g)"), data)
    values = design.values(data)
    with pytest.raises(rb.ImputationError, match=r"'factor\(k\)' has the new value '4'"):
        design.fixed.matrix(values | {"k": values["k"] + 1})
    with pytest.raises(rb.ImputationError, match=r"f has the code 3: .* 0 to 2"):
        design.fixed.matrix(values | {"f": values["f"] + 1})
    with pytest.raises(rb.ImputationError, match=r"f has the code -2"):
        design.fixed.matrix(values | {"f": values["f"] - 2})
    new = data.assign(f=data["f"].cat.rename_categories({"a": "new"}))
    with pytest.raises(rb.ImputationError, match=r"'f' has the new value 'new'"):
        design.values(new)


def test_incomplete_data_are_refused_by_name(data: pd.DataFrame) -> None:
    model = rb.Lmer("y ~ x + log(z) + (1 | g)")
    with pytest.raises(rb.ImputationError, match=r"missing or infinite values in 'x': "):
        compile_model(model, data.assign(x=data["x"].where(data["x"] < 1), u=np.nan))
    with pytest.raises(rb.ImputationError, match=r"missing or infinite values in 'z': "):
        compile_model(model, data.assign(z=np.inf))
    with pytest.raises(rb.ImputationError, match=r"missing or infinite values in 'log\(z\)'"):
        compile_model(model, data.assign(z=data["z"] - 1))
    holes = data.assign(u=pd.array([None] * len(data), dtype="boolean"))
    assert compile_model(model, holes).variables == {"y", "x", "z", "g"}


def test_the_rules_of_formulas_hold(data: pd.DataFrame) -> None:
    with pytest.raises(rb.FormulaError, match=r"calls 'system'"):
        compile_model(rb.Lmer("y ~ system('touch canary') + (1 | g)"), data)
    with pytest.raises(rb.FormulaError, match=r"no random term"):
        compile_model(rb.Lmer("y ~ x"), data)
    with pytest.raises(rb.ImputationError, match=r"'\.' of the formula for 'log\(y\)', too"):
        compile_model(rb.Lmer("log(y) ~ . + (1 | g)"), data)
    with pytest.raises(rb.ImputationError, match=r"name the columns"):
        compile_model(rb.Lmer("y ~ x + (. | g)"), data)


NAMES = [
    "school id",
    "1st",
    "a\\b",
    "if",
    "system('touch canary')",
    "g)+(1|g",
    "größe",
    "T",
    "pi",
    "c",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_gives_the_bits_of_a_plain_one(
    name: str, data: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    formula = "@ ~ poly(@2, 2) * I(@2^2) + @3 + factor(@3):z + (@2 + @3 || @4/h)"

    def matrices(text: str) -> list[Any]:
        names = {"y": text, "x": f"{text}2", "f": f"{text}3", "g": f"{text}4"}
        frame = data[["y", "x", "z", "f", "g", "h"]].rename(columns=names)
        formula_here = formula
        for i in "234":
            formula_here = formula_here.replace(f"@{i}", quoted(text + i))
        design = compile_model(rb.Lmer(formula_here.replace("@", quoted(text))), frame)
        assert design.response_column == text
        values = design.values(frame)
        return [
            x.matrix(values).tobytes() for x in [design.fixed, *(x.design for x in design.random)]
        ]

    assert matrices(name) == matrices("plain")
    assert not list(tmp_path.iterdir())


def quoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\") + "`"
