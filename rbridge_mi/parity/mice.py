"""Cases of mice: every family of methods, and of arguments that ``mice()`` has."""

from __future__ import annotations

from typing import Any

import pandas as pd

from .case import Argument, ImputationCase

__all__ = ["MICE"]


def _case(name: str, data: str, *arguments: Argument, **more: Any) -> ImputationCase:
    needs = ("mice", *more.pop("needs", ()))
    number = more.pop("maxit", 2)
    maxit = Argument("maxit", number, f"maxit = {number}")
    return ImputationCase(
        f"mice/{name}", data, (maxit, *arguments), family="mice", needs=needs,
        m=more.pop("m", 3), **more,
    )  # fmt: skip


def _method(**by_column: str) -> Argument:
    """Give methods to all columns that have holes, in the R script by their names."""
    return Argument("method", by_column, f"method = {_named(by_column)}")


def _named(values: dict[str, str]) -> str:
    inside = ", ".join(f"{name} = '{value}'" for name, value in values.items())
    return f"replace(make.method(data), names(c({inside})), c({inside}))"


def _types(**rows: dict[str, int]) -> Argument:
    """Give some cells of the predictor matrix, by name."""
    cells = [(row, column, value) for row, of in rows.items() for column, value in of.items()]
    sets = "; ".join(f'p["{row}", "{column}"] <- {value}' for row, column, value in cells)
    return Argument(
        "predictor_matrix", rows,
        f"predictorMatrix = {{p <- make.predictorMatrix(data); {sets}; p}}",
    )  # fmt: skip


_GROUPS = {"columns": ("number", "x", "y", "w"), "seed": 5}
_ALL = ("number", "x", "y", "kind", "yes", "w", "size")
_X = {"number": -2, "y": 1, "w": 1}
_REST = {"y": "", "w": ""}
_BMI = "~ I(wgt / (hgt / 100)^2)"
_PAN = {"needs": ("pan",), "fresh": True}

MICE: tuple[ImputationCase, ...] = (
    _case("plain", "nhanes", maxit=5, m=5),
    _case("defaults", "nhanes2"),
    _case("ordered", "boys_bmi"),
    _case("logical", "mixed_holes", columns=("a", "b", "yes", "whole", "likert")),
    _case("events", "mixed_holes", columns=("id", "a", "b", "yes")),
    *(
        _case(method.replace(".", "_"), "nhanes",
              Argument("method", method, f'method = "{method}"'))
        for method in ("norm", "norm.nob", "norm.boot", "norm.predict", "mean", "sample",
                       "midastouch")
    ),
    _case("logreg_boot", "nhanes2", _method(hyp="logreg.boot")),
    _case("lda", "boys", _method(reg="lda", gen="polr"), needs=("MASS",)),
    _case("list_of_methods", "nhanes2",
          Argument("method", ["", "norm", "logreg", "pmm"],
                   'method = c("", "norm", "logreg", "pmm")')),
    _case("default_method", "nhanes2",
          Argument("default_method", ["norm", "logreg.boot", "polyreg", "polr"],
                   'defaultMethod = c("norm", "logreg.boot", "polyreg", "polr")')),
    _case("quadratic", "numbers_holes",
          _method(a="quadratic"), Argument("quad_outcome", "d", 'quad.outcome = "d"')),
    _case("mnar", "nhanes", _method(bmi="mnar.norm"),
          Argument("blots", {"bmi": {"ums": "-2+0.1*age"}},
                   'blots = list(bmi = list(ums = "-2+0.1*age"))')),
    _case("passed_on", "numbers_holes", Argument("donors", 3, "donors = 3"),
          Argument("matchtype", 0, "matchtype = 0"), Argument("ls_meth", "ridge",
                                                              'ls.meth = "ridge"'),
          Argument("ridge", 0.01, "ridge = 0.01")),
    _case("eps", "wide_scale_holes", Argument("eps", 0, "eps = 0")),
    _case("small_variance", "wide_scale_holes"),
    _case("passive", "boys_bmi", _method(bmi=_BMI),
          _types(hgt={"bmi": 0}, wgt={"bmi": 0})),
    _case("post", "boys_bmi", _method(tv="norm"),
          Argument("post", {"tv": "imp[[j]][, i] <- squeeze(imp[[j]][, i], c(1, 25))"},
                   'post = {q <- make.post(data); q["tv"] <- '
                   '"imp[[j]][, i] <- squeeze(imp[[j]][, i], c(1, 25))"; q}')),
    _case("formulas", "nhanes2",
          Argument("formulas", {"bmi": "bmi ~ age * hyp + log(chl)", "hyp": "hyp ~ bmi",
                                "chl": "chl ~ ."},
                   "formulas = list(bmi = bmi ~ age * hyp + log(chl), hyp = hyp ~ bmi, "
                   "chl = chl ~ .)")),
    _case("formulas_and_matrix", "nhanes2",
          Argument("formulas", {"bmi": "bmi ~ age"}, "formulas = list(bmi = bmi ~ age)"),
          _types(chl={"hyp": 0})),
    _case("blocks", "nhanes2",
          Argument("blocks", {"two": ["bmi", "chl"], "hyp": ["hyp"]},
                   'blocks = list(two = c("bmi", "chl"), hyp = "hyp")')),
    _case("blocks_unnamed", "nhanes",
          Argument("blocks", [["bmi", "chl"], "hyp"], 'blocks = list(c("bmi", "chl"), "hyp")')),
    _case("blocks_and_matrix", "nhanes",
          Argument("blocks", {"two": ["bmi", "chl"], "hyp": ["hyp"]},
                   'blocks = list(two = c("bmi", "chl"), hyp = "hyp")'),
          Argument("predictor_matrix", {"two": {"hyp": 0}},
                   "predictorMatrix = rbind(two = c(age = 1, bmi = 1, hyp = 0, chl = 1), "
                   "hyp = c(1, 1, 0, 1))")),
    _case("mpmm", "nhanes_blocks",
          Argument("blocks", {"two": ["bmi", "chl"]}, 'blocks = list(two = c("bmi", "chl"))'),
          Argument("method", {"two": "mpmm"}, 'method = "mpmm"'),
          columns=("bmi", "chl", "age", "hyp")),
    _case("where", "nhanes",
          Argument("where", "all", 'where = "all"')),
    _case("where_frame", "nhanes",
          Argument("where", pd.DataFrame(
              {x: [i % 4 == k for i in range(25)]
               for k, x in enumerate(("age", "bmi", "hyp", "chl"))}),
              "where = outer(0:24 %% 4, 0:3, '==')")),
    _case("visits", "nhanes",
          Argument("visit_sequence", ["chl", "bmi", "hyp"],
                   'visitSequence = c("chl", "bmi", "hyp")')),
    _case("monotone", "nhanes2",
          Argument("visit_sequence", "monotone", 'visitSequence = "monotone"'), maxit=1),
    _case("ignore", "numbers_holes",
          Argument("ignore", [i % 5 == 0 for i in range(120)], "ignore = 0:119 %% 5 == 0")),
    _case("start", "numbers_holes",
          Argument("data_init", pd.DataFrame({x: [0.5] * 120 for x in "abcd"}),
                   "data.init = data.frame(a = rep(0.5, 120), b = 0.5, c = 0.5, d = 0.5)")),
    _case("no_iteration", "nhanes", maxit=0),
    _case("two_l_norm", "schools_holes", _method(x="2l.norm", **_REST),
          _types(x={"number": -2, "y": 2, "w": 0}), maxit=1, **_GROUPS),
    _case("two_l_pan", "schools_holes", _method(x="2l.pan", y="2l.pan", w="2lonly.norm"),
          _types(x={"number": -2, "y": 2}, y={"number": -2, "x": 4}, w={"number": -2}),
          Argument("paniter", 50, "paniter = 50"), **_PAN, **_GROUPS),
    _case("two_l_pan_again", "popmis", _method(popular="2l.pan"),
          _types(popular={"school": -2, "pupil": 0, "texp": 1, "teachpop": 4}),
          Argument("groupcenter_slope", True, "groupcenter.slope = TRUE"), maxit=1, **_PAN),
    _case("two_l_lmer", "schools_holes", _method(x="2l.lmer", y="2l.lmer", w=""),
          _types(x={"number": -2, "y": 2, "w": 0}, y={"number": -2, "w": 0}), needs=("lme4",),
          **_GROUPS),
    _case("two_l_bin", "schools_holes", _method(kind="2l.bin", x="", y="", w="", yes="", size=""),
          _types(kind={"number": -2, "x": 0, "y": 0, "w": 0, "yes": 0, "size": 0}), maxit=1,
          needs=("lme4",), columns=_ALL, seed=5),
    _case("level_2", "schools_holes", _method(w="2lonly.pmm", x="pmm", y="pmm"),
          _types(w={"number": -2}, x={"number": 0}, y={"number": 0}), **_GROUPS),
    _case("level_2_mean", "schools_holes", _method(size="2lonly.mean", w="2lonly.norm"),
          _types(size={"number": -2}, w={"number": -2}), columns=("number", "size", "w")),
    _case("class_of_text", "schools_holes", _method(x="2l.lmer", y="", w=""),
          _types(x={"school": -2, "y": 0, "w": 0}), needs=("lme4",), m=2, seed=5,
          columns=("school", "x", "y", "w"),
          script="data$school <- match(data$school, unique(data$school))\n"
                 "p <- make.predictorMatrix(data); p['x', ] <- c(-2, 0, 0, 0)\n"
                 "out <- mice(data, m = 2, maxit = 2, printFlag = FALSE, predictorMatrix = p,\n"
                 "  method = c('', '2l.lmer', '', ''))\n"
                 "out$data$school <- sprintf('s%02d', 20:1)[out$data$school]; out"),
    _case("pan_of_mitml", "schools_holes",
          Argument("blocks", {"two": ["x", "y"]}, 'blocks = list(two = c("x", "y"))'),
          Argument("method", {"two": "panImpute"}, 'method = "panImpute"'),
          Argument("formulas", {"two": "x + y ~ 1 + (1 | number)"},
                   "formulas = list(two = x + y ~ 1 + (1 | number))"),
          Argument("n_burn", 50, "n.burn = 50"), Argument("n_iter", 10, "n.iter = 10"),
          needs=("mitml", "pan"), fresh=True, maxit=1, seed=5, columns=("number", "x", "y"), m=2),
    _case("jomo_of_mitml", "schools_holes",
          Argument("blocks", {"two": ["x", "y"]}, 'blocks = list(two = c("x", "y"))'),
          Argument("method", {"two": "jomoImpute"}, 'method = "jomoImpute"'),
          Argument("predictor_matrix", {"two": {"number": -2, "x": 1, "y": 1}},
                   "predictorMatrix = rbind(two = c(number = -2, x = 1, y = 1))"),
          Argument("n_burn", 50, "n.burn = 50"), Argument("n_iter", 10, "n.iter = 10"),
          needs=("mitml", "jomo"), fresh=True, maxit=1, seed=5, columns=("number", "x", "y"), m=2),
)  # fmt: skip
