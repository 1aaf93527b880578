"""Cases of jomo: joint models of one and two levels, and jomo.lmer and jomo.glmer."""

from __future__ import annotations

from typing import Any

from .case import Argument, ImputationCase

__all__ = ["JOMO"]

_SHORT = "nburn = 20, nbetween = 5, nimp = 2, output = 0"
# As this library makes factors: categories in their order, text and logicals sorted by code points.
_FACTORS = """by_code <- function(x) factor(x, sort(unique(x), method = "radix"))
data$text <- by_code(data$text); data$yes <- by_code(data$yes)
data$passed <- by_code(data$passed); school <- by_code(data$school)
"""
_NUMBERED = "data$school <- as.numeric(school)\n"


def _case(name: str, script: str, **arguments: Any) -> ImputationCase:
    until = arguments.pop("until", {})
    given = {"nburn": 20, "nbetween": 5, "scale": False, **arguments}
    return ImputationCase(
        f"jomo/{name}",
        "school_holes",
        tuple(Argument(key, value, "") for key, value in given.items()),
        family="jomo",
        script=f"{_FACTORS}{script}",
        needs=("jomo",),
        until=until,
    )


def _joint(name: str, r: str, **arguments: Any) -> ImputationCase:
    return _case(name, f"jomo({r}, {_SHORT})", **arguments)


def _of_model(
    name: str, r: str, *, function: str = "jomo.lmer", **arguments: Any
) -> ImputationCase:
    return _case(name, f"{_NUMBERED}{function}({r}, {_SHORT})", **arguments)


_PRIOR = [[2.0, 0.5], [0.5, 1.0]]
_R_PRIOR = "matrix(c(2, 0.5, 0.5, 1), 2)"
_NUMBERS = 'data[c("y", "x", "w")]'
_MIXED = 'data[c("y", "x", "text", "kind")]'
_GROUPED = "clus = school"

JOMO: tuple[ImputationCase, ...] = (
    _joint("numbers", f"Y = {_NUMBERS}", Y=["y", "x", "w"]),
    _joint("categories", 'Y = data[c("text", "kind", "yes")]', Y=["text", "kind", "yes"]),
    _joint("mixed", f"Y = {_MIXED}", Y=["y", "x", "text", "kind"]),
    _joint("found", 'Y = data[c("y", "x", "w", "text", "kind", "yes", "code", "z", "sector")]'),
    _joint("covariates", f'Y = {_NUMBERS}, X = cbind(1, data[c("one", "size")])',
           Y=["y", "x", "w"], X=["one", "size"]),
    _joint("no_intercept", f'Y = {_NUMBERS}, X = data["one"]', Y=["y", "x", "w"], X="one",
           intercept=False),
    _joint("prior", f'Y = data[c("y", "x")], l1cov.prior = {_R_PRIOR}, beta.start = t(c(1, 0.5)), '
           f"l1cov.start = {_R_PRIOR}",
           Y=["y", "x"], l1cov_prior=_PRIOR, beta_start=[[1.0, 0.5]], l1cov_start=_PRIOR),
    _case("factors", 'data$code <- factor(data$code)\n'
          f'jomo(Y = data[c("code", "x")], {_SHORT})', Y=["code", "x"], factors="code"),
    _joint("groups_numbers", f"Y = {_NUMBERS}, {_GROUPED}", Y=["y", "x", "w"], clus="school"),
    _joint("groups_categories", f'Y = data[c("text", "kind", "yes")], {_GROUPED}',
           Y=["text", "kind", "yes"], clus="school"),
    _joint("groups_mixed", f"Y = {_MIXED}, {_GROUPED}", Y=["y", "x", "text", "kind"],
           clus="school"),
    _joint("groups_slopes", f'Y = {_NUMBERS}, X = cbind(1, data["one"]), '
           f'Z = cbind(1, data["one"]), {_GROUPED}',
           Y=["y", "x", "w"], X="one", Z="one", clus="school"),
    _joint("groups_prior", f'Y = data[c("y", "x")], {_GROUPED}, l2cov.prior = {_R_PRIOR}, '
           f"u.start = matrix(0.1, 18, 2)",
           Y=["y", "x"], clus="school", l2cov_prior=_PRIOR, u_start=[[0.1, 0.1]] * 18),
    _joint("fixed_numbers", f'Y = {_NUMBERS}, {_GROUPED}, meth = "fixed"',
           Y=["y", "x", "w"], clus="school", meth="fixed"),
    _joint("fixed_mixed", f'Y = {_MIXED}, {_GROUPED}, meth = "fixed"',
           Y=["y", "x", "text", "kind"], clus="school", meth="fixed"),
    _joint("random_numbers", f'Y = {_NUMBERS}, {_GROUPED}, meth = "random"',
           Y=["y", "x", "w"], clus="school", meth="random",
           until={"jomo": "2.7-5"}),  # a segmentation fault, also in a plain Rscript
    _joint("random_categories", f'Y = data[c("text", "yes")], {_GROUPED}, meth = "random"',
           Y=["text", "yes"], clus="school", meth="random"),
    _joint("random_freedom", f'Y = data[c("y", "x")], {_GROUPED}, meth = "random", a = 30, '
           "a.prior = 5", Y=["y", "x"], clus="school", meth="random", a=30, a_prior=5),
    _joint("two_levels", f'Y = data[c("y", "x", "w", "text", "kind", "yes", "code")], '
           f'Y2 = data[c("z", "sector")], {_GROUPED}', clus="school"),
    _joint("two_levels_covariate", f'Y = data[c("y", "x")], Y2 = data["z"], '
           f'X2 = cbind(1, data["size"]), X = cbind(1, data["one"]), {_GROUPED}',
           Y=["y", "x"], Y2="z", X="one", X2="size", clus="school"),
    _joint("two_levels_upper_covariate", f'Y = data[c("y", "x")], Y2 = data["z"], '
           f'X2 = cbind(1, data["size"]), {_GROUPED}',
           Y=["y", "x"], Y2="z", X2="size", clus="school"),
    _joint("two_levels_fixed", f'Y = data[c("y", "x")], Y2 = data["z"], {_GROUPED}, '
           'meth = "fixed"', Y=["y", "x"], Y2="z", clus="school", meth="fixed"),
    _joint("two_levels_random", f'Y = data[c("y", "text")], Y2 = data[c("z", "sector")], '
           f'{_GROUPED}, meth = "random"',
           Y=["y", "text"], Y2=["z", "sector"], clus="school", meth="random"),
    _of_model("lmer_intercept", 'y ~ x + w + (1 | school), data[c("school", "y", "x", "w")]',
              model="y ~ x + w + (1 | school)"),
    _of_model("lmer_slope", 'y ~ x + text + (1 + x | school), '
              'data[c("school", "y", "x", "text")]', model="y ~ x + text + (1 + x | school)"),
    _of_model("lmer_upper", 'y ~ x + z + sector + (1 + x | school), '
              'data[c("school", "y", "x", "z", "sector")], level = c(1, 1, 1, 2, 2)',
              model="y ~ x + z + sector + (1 + x | school)"),
    _of_model("lmer_interaction", 'y ~ x * z + I(w^2) + w + (1 + x | school), '
              'data[c("school", "y", "x", "w", "z")], level = c(1, 1, 1, 1, 2)',
              model="y ~ x * z + I(w^2) + w + (1 + x | school)"),
    _of_model("lmer_auxiliary", 'y ~ x + (1 | school), '
              'data[c("school", "y", "x", "w", "kind", "z")], level = c(1, 1, 1, 1, 1, 2)',
              model="y ~ x + (1 | school)", auxiliary=["kind", "w", "z"]),
    # jomo makes NaN of a random term that stands first; the term is moved to the end.
    _of_model("lmer_moved", 'y ~ x + w + (1 | school), data[c("school", "y", "x", "w")]',
              model="y ~ (1 | school) + x + w"),
    _of_model("lmer_random", 'y ~ x + w + (1 | school), data[c("school", "y", "x", "w")], '
              'meth = "random"', model="y ~ x + w + (1 | school)", meth="random"),
    _of_model("glmer", 'passed ~ x + w + (1 | school), '
              'data[c("school", "x", "w", "passed")]', function="jomo.glmer",
              model="passed ~ x + w + (1 | school)", family="binomial"),
    _of_model("glmer_slope", 'passed ~ x + z + (1 + x | school), '
              'data[c("school", "x", "z", "passed")], level = c(1, 1, 2, 1)',
              function="jomo.glmer", model="passed ~ x + z + (1 + x | school)",
              family="binomial"),
)  # fmt: skip
