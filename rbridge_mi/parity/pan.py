"""Cases of mitml's imputers: panImpute and jomoImpute, by formulas and by types."""

from __future__ import annotations

from typing import Any

from .case import Argument, ImputationCase

__all__ = ["PAN"]

_SHORT = (Argument("n_burn", 30, "n.burn = 30"), Argument("n_iter", 10, "n.iter = 10"))
_JOMO = Argument("package", "jomo", "")
_BINV = [[2.0, 0.25], [0.25, 1.5]]
_R_BINV = "matrix(c(2, 0.25, 0.25, 1.5), 2)"


def _formula(*texts: str) -> Argument:
    written = texts[0] if len(texts) == 1 else f"list({', '.join(texts)})"
    return Argument("formula", texts[0] if len(texts) == 1 else list(texts), f"formula = {written}")


def _type(*levels: dict[str, int]) -> Argument:
    """Types by column, which in R are vectors in the order of the data's columns."""
    written = []
    for level in levels:
        values = ", ".join(f"{name} = {value}" for name, value in level.items())
        given = f"c({values})"
        written.append(f'{{t <- 0 * seq_along(data); t[match(names({given}), names(data))] <- '
                       f"{given}; t}}")  # fmt: skip
    r = written[0] if len(levels) == 1 else f"list({', '.join(written)})"
    return Argument("type", levels[0] if len(levels) == 1 else list(levels), f"type = {r}")


def _case(
    name: str, *arguments: Argument, data: str = "pupils_holes", before: str = "", **more: Any
) -> ImputationCase:
    """Make a case; `before` is R code that prepares the data as mitml needs them."""
    jomo = _JOMO in arguments
    function = "jomoImpute" if jomo else "panImpute"
    m = more.get("m", 2)
    parts = [x.r for x in (*arguments, *_SHORT) if x.r]
    script = f"{before}{function}(data, m = {m}, silent = TRUE, {', '.join(parts)})"
    return ImputationCase(
        f"pan/{name}", data, (*arguments, *_SHORT), family="pan", script=script, fresh=not jomo,
        needs=("mitml", "jomo" if jomo else "pan"), **more,
    )  # fmt: skip


_TWO = "y1 + y2 ~ 1 + x + (1 | school)"
_LOGICAL = "data$yes <- factor(data$yes)\n"
_TEXT = 'data$word <- factor(data$word, c("high", "low", "mid"))\n'

PAN: tuple[ImputationCase, ...] = (
    _case("one_target", _formula("y1 ~ 1 + x + (1 | school)"), m=3),
    _case("several_targets", _formula("y1 + y2 + whole ~ 1 + x + z + (1 | code)"), seed=4),
    _case("integer_clusters", _formula("y1 + y2 ~ 1 + x + (1 | code)")),
    _case("category_clusters", _formula("y1 + y2 ~ 1 + x + (1 | form)")),
    _case("random_slopes", _formula("y1 + y2 ~ 1 + x + (1 + x | school)"),
          model="y1 ~ x + z + (1 | school)"),
    _case("slope_alone", _formula("y1 + y2 ~ 1 + x + (0 + x | school)")),
    _case("no_fixed_intercept", _formula("y1 + y2 ~ 0 + x + (1 | school)")),
    _case("interaction", _formula("y1 + y2 ~ 1 + x * z + form + (1 | school)")),
    _case("derived", _formula("y1 + y2 ~ x + I(x^2) + I(clusterMeans(x, code)) + (1 | code)"),
          Argument("save_pred", True, "save.pred = TRUE")),
    _case("category_slopes", _formula("y1 + y2 ~ 1 + form + (1 + form | school)")),
    _case("group", _formula(_TWO), Argument("group", "half", 'group = "half"')),
    _case("type", _type({"school": -2, "y1": 1, "y2": 1, "x": 3, "z": 2})),
    _case("type_group", _type({"school": -2, "half": -1, "y1": 1, "y2": 1, "x": 2})),
    _case("prior", _formula(_TWO),
          Argument("prior", {"a": 3, "Binv": _BINV, "c": 4, "Dinv": [[1.0, 0.0], [0.0, 0.5]]},
                   f"prior = list(a = 3, Binv = {_R_BINV}, c = 4, Dinv = diag(c(1, 0.5)))")),
    _case("prior_of_one_number", _formula("y1 ~ 1 + x + (1 | school)"),
          Argument("prior", {"a": 2, "Binv": 0.5, "c": 2, "Dinv": 4},
                   "prior = list(a = 2, Binv = matrix(0.5), c = 2, Dinv = matrix(4))")),
    _case("diagonal", _formula(_TWO),
          Argument("keep_chains", "diagonal", 'keep.chains = "diagonal"')),
    _case("logical_target", _formula("y1 + yes ~ 1 + x + (1 | school)")),
    _case("hsb", _formula("ses + size ~ 1 + mathach + meanses + (1 | schid)"), data="hsb_holes"),
    _case("brandsma", _formula("iqv + ses + lpr + sex ~ 1 + (1 | sch)"), data="brandsma",
          columns=("sch", "iqv", "ses", "lpr", "sex")),
    _case("refused_collinear", _formula("y1 + y2 ~ 1 + x + I(2 * x) + (1 | school)")),
    _case("jomo_numbers", _formula("y1 + y2 ~ 1 + x + (1 | school)"), _JOMO, m=3),
    _case("jomo_slopes", _formula("y1 + y2 ~ 1 + x + (1 + x | school)"), _JOMO),
    _case("jomo_category", _formula("y1 + kind ~ 1 + x + (1 | school)"), _JOMO,
          model="y1 ~ x + kind + (1 | school)"),
    _case("jomo_categories_alone", _formula("kind ~ 1 + x + (1 | school)"), _JOMO),
    _case("jomo_text_and_logical", _formula("y1 + word + yes ~ 1 + x + (1 | school)"), _JOMO,
          before=_TEXT + _LOGICAL),
    _case("jomo_two_levels",
          _formula("y1 + kind ~ 1 + x + (1 | code)", "budget + sector ~ 1 + size"), _JOMO),
    _case("jomo_level_2_means",
          _formula("y1 ~ 1 + x + (1 | code)", "budget ~ 1 + size + x"), _JOMO),
    _case("jomo_random_mean", _formula(_TWO), _JOMO,
          Argument("random_L1", "mean", 'random.L1 = "mean"')),
    _case("jomo_random_full", _formula(_TWO), _JOMO,
          Argument("random_L1", "full", 'random.L1 = "full"')),
    _case("jomo_single_level", _formula("y1 + kind ~ 1 + x + z"), _JOMO),
    _case("jomo_group", _formula(_TWO), _JOMO, Argument("group", "half", 'group = "half"')),
    _case("jomo_one_target_in_groups", _formula("y1 ~ 1 + x + (1 | school)"), _JOMO,
          Argument("group", "half", 'group = "half"')),
    _case("jomo_types_of_two_levels", _JOMO,
          _type({"code": -2, "y1": 1, "y2": 1, "x": 3}, {"budget": 1, "size": 2})),
    _case("jomo_prior", _formula(_TWO), _JOMO,
          Argument("prior", {"Binv": _BINV, "Dinv": [[1.0, 0.0], [0.0, 0.5]]},
                   f"prior = list(Binv = {_R_BINV}, Dinv = diag(c(1, 0.5)))")),
)  # fmt: skip
