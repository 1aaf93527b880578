"""The cases of generalised models: families, links, quadrature, counts of trials, and refusals."""

from __future__ import annotations

from typing import Any

from .case import Argument, Column, ModelCase

__all__ = ["GENERALISED"]


def _case(family: str, name: str, data: str, formula: str, *groups: str, **more: Any) -> ModelCase:
    arguments = tuple(more.pop("arguments", ()))
    fitter = more.pop("fitter", "glmer")
    return ModelCase(
        f"{family}/{name}", family, data, formula, groups, arguments, fitter=fitter, **more
    )


def _family(r: str) -> Argument:
    return Argument("family", r.replace('"', "'").replace("MASS::", ""), f"family = {r}")


def _linked(family: str, link: str) -> tuple[Argument, Argument]:
    return (
        Argument("family", family, f'family = {family}(link = "{link}")'),
        Argument("link", link, ""),
    )


def _points(n: int) -> Argument:
    return Argument("nAGQ", n, f"nAGQ = {n}L")


def _column(name: str, column: str, r: str) -> Argument:
    return Argument(name, column, f"{r} = {column}")


def _control(value: dict[str, Any], r: str) -> Argument:
    return Argument("control", value, f"control = glmerControl({r})")


_BINOMIAL = _family("binomial")
_POISSON = _family("poisson")
_CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
_TRIALS = _column("weights", "size", "weights")
_BOBYQA = _control({"optimizer": "bobyqa"}, 'optimizer = "bobyqa"')
_EXCLUDE = Argument("na_action", "na.exclude", "na.action = na.exclude")

_OF_TRUTHS = [
    _case("binomial", "cbind", "cbpp", _CBPP, "herd", arguments=[_BINOMIAL]),
    _case("binomial", "intercept_only", "cbpp",
          "cbind(incidence, size - incidence) ~ 1 + (1 | herd)", "herd", arguments=[_BINOMIAL],
          against=_CBPP, profile=True),
    _case("binomial", "shares_and_weights", "cbpp", "rate ~ period + (1 | herd)", "herd",
          arguments=[_BINOMIAL, _TRIALS]),
    _case("binomial", "share_in_the_formula", "cbpp", "incidence / size ~ period + (1 | herd)",
          "herd", arguments=[_BINOMIAL, _TRIALS]),
    _case("binomial", "weights_array", "plots", "share ~ cover + burnt + (1 | site)", "site",
          prelude="weights <- data$tried",
          arguments=[_BINOMIAL, Argument("weights", Column("tried"), "weights = weights")]),
    _case("binomial", "numbers", "toenail", "outcome ~ treatment * month + (1 | ID)", "ID",
          arguments=[_BINOMIAL]),
    _case("binomial", "factor_response", "bacteria", "y ~ trt + I(week > 2) + (1 | ID)", "ID",
          arguments=[_BINOMIAL]),
    _case("binomial", "logical_response", "hsb_high", "high ~ ses + sector + (1 | schid)", "schid",
          arguments=[_BINOMIAL]),
    _case("binomial", "comparison_response", "hsb_high",
          "I(mathach > 15) ~ ses + female + (1 | schid)", "schid", arguments=[_BINOMIAL]),
    _case("binomial", "factor_levels", "hsb_high", "f_high ~ ses * sector + (1 | schid)", "schid",
          arguments=[_BINOMIAL]),
    _case("binomial", "crossed", "VerbAgg", "r2 ~ btype + situ + mode + (1 | id) + (1 | item)",
          "id", "item", arguments=[_BINOMIAL], part="~ (1 | item)"),
    _case("binomial", "crossed_slopes", "VerbAgg", "r2 ~ mode + Anger + (mode | id) + (1 | item)",
          "id", "item", arguments=[_BINOMIAL, _BOBYQA]),
    _case("binomial", "nested", "plots", "cbind(found, missed) ~ cover + (1 | site/plot)", "site",
          "plot", arguments=[_BINOMIAL], part="~ (1 | site)"),
    _case("binomial", "slopes", "districts_holes", "uses ~ age + urban + (urban | district)",
          "district", arguments=[_BINOMIAL], against="uses ~ age + urban + (1 | district)"),
    _case("binomial", "double_bar", "hsb_high", "high ~ ses + (ses || schid)", "schid",
          arguments=[_BINOMIAL], part="~ (1 | schid)"),
    _case("binomial", "slope_only", "hsb_high", "high ~ ses + (0 + ses | schid)", "schid",
          arguments=[_BINOMIAL]),
    _case("binomial", "observation_level", "cbpp",
          "cbind(incidence, size - incidence) ~ period + (1 | herd) + (1 | herd:period)", "herd",
          arguments=[_BINOMIAL]),
    _case("binomial", "holes_excluded", "districts_holes",
          "uses ~ I(age / 10) + I(age^2 / 100) + urban + children + (1 | district)", "district",
          arguments=[_BINOMIAL, _EXCLUDE], against="uses ~ I(age / 10) + I(age^2 / 100) + urban + "
          "children + (1 | district)"),
    _case("binomial", "subset", "districts_holes", "uses ~ children + (1 | district)", "district",
          arguments=[_BINOMIAL, _column("subset", "keep", "subset")],
          against="uses ~ 0 + children + (1 | district)"),
    _case("binomial", "contrasts", "bacteria", "y ~ trt + week + (1 | ID)", "ID",
          arguments=[_BINOMIAL, Argument("contrasts", {"trt": "contr.sum"},
                                         'contrasts = list(trt = "contr.sum")')]),
    _case("binomial", "labels", "hsb_high", "high ~ ses + (1 | schid)", "schid", labels=True,
          arguments=[_BINOMIAL]),
    _case("binomial", "probit", "bacteria", "y ~ trt + week + (1 | ID)", "ID",
          arguments=_linked("binomial", "probit")),
    _case("binomial", "probit_crossed", "VerbAgg", "r2 ~ btype + (1 | id) + (1 | item)", "id",
          "item", arguments=[_family('binomial("probit")')]),
    _case("binomial", "cloglog", "cbpp", _CBPP, "herd", arguments=_linked("binomial", "cloglog")),
    _case("binomial", "cauchit", "toenail", "outcome ~ treatment + month + (1 | ID)", "ID",
          arguments=[_family('binomial(link = "cauchit")')]),
    _case("binomial", "log", "cbpp", _CBPP, "herd", arguments=_linked("binomial", "log")),
    _case("binomial", "sqrt", "cbpp", _CBPP, "herd", arguments=_linked("binomial", "sqrt")),
    _case("binomial", "offset", "plots", "cbind(found, missed) ~ burnt + (1 | site)", "site",
          arguments=[_BINOMIAL, _column("offset", "cover", "offset")]),
    _case("binomial", "snails", "snails", "died ~ Species * Exposure + (1 | batch)", "batch",
          arguments=[_BINOMIAL, _column("weights", "N", "weights")]),
    _case("binomial", "holes_in_text", "school_holes", "passed ~ x + text + kind + (1 | school)",
          "school", against="passed ~ kind + x + text + (1 | school)", arguments=[_BINOMIAL]),
]  # fmt: skip

_OF_QUADRATURE = [
    _case("quadrature", "none", "cbpp", _CBPP, "herd", arguments=[_BINOMIAL, _points(0)]),
    _case("quadrature", "none_crossed", "VerbAgg",
          "r2 ~ Anger + Gender + btype + (1 | id) + (1 | item)", "id", "item",
          arguments=[_BINOMIAL, _points(0)]),
    _case("quadrature", "none_slopes", "hsb_high", "high ~ ses + meanses + (ses | schid)", "schid",
          arguments=[_BINOMIAL, _points(0)]),
    _case("quadrature", "one", "cbpp", _CBPP, "herd", arguments=[_BINOMIAL, _points(1)]),
    _case("quadrature", "five", "cbpp", _CBPP, "herd", arguments=[_BINOMIAL, _points(5)]),
    _case("quadrature", "eleven", "bacteria", "y ~ trt + week + (1 | ID)", "ID",
          arguments=[_BINOMIAL, _points(11)]),
    _case("quadrature", "twenty_five", "toenail", "outcome ~ treatment * month + (1 | ID)", "ID",
          arguments=[_BINOMIAL, _points(25)]),
    _case("quadrature", "counts", "epil", "y ~ trt * lbase + lage + V4 + (1 | subject)", "subject",
          arguments=[_POISSON, _points(9)]),
    _case("quadrature", "probit", "cbpp", _CBPP, "herd",
          arguments=[*_linked("binomial", "probit"), _points(11)]),
    _case("quadrature", "more_than_25", "cbpp", _CBPP, "herd", arguments=[_BINOMIAL, _points(60)]),
    _case("quadrature", "nine_profiled", "cbpp",
          "cbind(incidence, size - incidence) ~ 1 + (1 | herd)", "herd", profile=True,
          arguments=[_BINOMIAL, _points(9)], against=_CBPP),
    _case("quadrature", "refused_crossed", "VerbAgg", "r2 ~ btype + (1 | id) + (1 | item)", "id",
          "item", arguments=[_BINOMIAL, _points(5)]),
    _case("quadrature", "refused_slopes", "hsb_high", "high ~ ses + (ses | schid)", "schid",
          arguments=[_BINOMIAL, _points(5)]),
]  # fmt: skip

_OF_COUNTS = [
    _case("counts", "grouseticks", "grouseticks",
          "TICKS ~ YEAR + scale(HEIGHT) + (1 | BROOD) + (1 | LOCATION)", "BROOD", "LOCATION",
          arguments=[_POISSON], part="~ (1 | LOCATION)"),
    _case("counts", "observation_level", "grouseticks",
          "TICKS ~ YEAR + scale(HEIGHT) + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)", "BROOD",
          "INDEX", "LOCATION", arguments=[_POISSON]),
    _case("counts", "arabidopsis", "Arabidopsis",
          "total.fruits ~ nutrient + rack + amd + status + (1 | popu) + (1 | gen)", "popu",
          arguments=[_POISSON]),
    _case("counts", "nested", "plots", "seen ~ cover + burnt + (1 | site/plot)", "site", "plot",
          arguments=[_POISSON]),
    _case("counts", "slopes", "plots", "seen ~ cover + soil + (cover | site)", "site",
          arguments=[_POISSON]),
    _case("counts", "categorical_slopes", "plots", "seen ~ burnt + (0 + burnt | site)", "site",
          arguments=[_POISSON]),
    _case("counts", "offset", "plots", "seen ~ cover + (1 | site)", "site",
          arguments=[_POISSON, _column("offset", "log_area", "offset")]),
    _case("counts", "offset_in_formula", "Insurance",
          "Claims ~ Group + Age + offset(log(Holders)) + (1 | District)", "District",
          against="Claims ~ Group + offset(log(Holders)) + (1 | District)", arguments=[_POISSON]),
    _case("counts", "offset_only", "Insurance",
          "Claims ~ offset(log(Holders)) + (1 | District)", "District", profile=True,
          against="Claims ~ Group + offset(log(Holders)) + (1 | District)", arguments=[_POISSON]),
    _case("counts", "offset_array", "plots", "seen ~ soil + (1 | site)", "site",
          prelude="offset <- data$log_area",
          arguments=[_POISSON, Argument("offset", Column("log_area"), "offset = offset")]),
    _case("counts", "weights", "plots", "seen ~ cover + (1 | site)", "site",
          arguments=[_POISSON, _column("weights", "area", "weights")]),
    _case("counts", "sqrt", "epil", "y ~ trt + lbase + (1 | subject)", "subject",
          arguments=_linked("poisson", "sqrt")),
    _case("counts", "identity", "Ovary", "follicles ~ cos(2 * pi * Time) + (1 | Mare)", "Mare",
          arguments=[*_linked("poisson", "identity")]),
    _case("counts", "mustart", "plots", "seen ~ cover + (1 | site)", "site",
          arguments=[_POISSON, _column("mustart", "start", "mustart")]),
    _case("counts", "etastart", "plots", "seen ~ cover + (1 | site)", "site",
          arguments=[_POISSON, _column("etastart", "eta", "etastart")]),
    _case("counts", "start", "epil", "y ~ trt + lbase + (1 | subject)", "subject",
          arguments=[_POISSON, Argument("start", {"theta": [0.5], "fixef": [1.6, -0.3, 0.9]},
                                        "start = list(theta = 0.5, fixef = c(1.6, -0.3, 0.9))")]),
    _case("counts", "start_theta", "epil", "y ~ trt + lbase + (1 | subject)", "subject",
          arguments=[_POISSON, Argument("start", [0.7], "start = 0.7")]),
    _case("counts", "integer_group", "plots", "seen ~ visit + poly(cover, 2) + (1 | visit:site)",
          "visit", "site", against="seen ~ poly(cover, 2) + (1 | visit:site)",
          arguments=[_POISSON]),
    _case("counts", "text_as_factor", "plots", "seen ~ plot * burnt + (1 | site)", "site",
          arguments=[_POISSON], collate="en_US"),
    _case("counts", "mice_brandsma", "brandsma", "lpr ~ sex + (1 | sch)", "sch",
          against="lpr ~ 0 + sex + (1 | sch)", arguments=[_POISSON]),
    _case("counts", "mice_popmis", "popmis", "teachpop ~ sex + texp + (1 | school)", "school",
          arguments=[_POISSON], against="teachpop ~ sex + (1 | school)"),
]  # fmt: skip

_NEGATIVE = [
    _case("negative_binomial", "theta_given", "plots", "seen ~ cover + burnt + (1 | site)", "site",
          arguments=[_family("MASS::negative.binomial(theta = 1.5)")]),
    _case("negative_binomial", "theta_given_sqrt", "plots", "seen ~ cover + (1 | site)", "site",
          arguments=[_family('MASS::negative.binomial(2, link = "sqrt")')]),
    _case("negative_binomial", "theta_given_inverse", "plots", "seen ~ cover + (1 | site)", "site",
          arguments=[_family('MASS::negative.binomial(2, link = "inverse")')]),
    _case("negative_binomial", "theta_given_slopes", "plots", "seen ~ cover + (cover || site)",
          "site", arguments=[_family("MASS::negative.binomial(theta = 2)")]),
    _case("negative_binomial", "estimated", "plots", "seen ~ cover + burnt + (1 | site)", "site",
          fitter="glmer.nb"),
    _case("negative_binomial", "estimated_offset", "plots", "seen ~ soil + (1 | site)", "site",
          fitter="glmer.nb", arguments=[_points(0), _column("offset", "log_area", "offset")]),
    _case("negative_binomial", "estimated_crossed", "plots",
          "seen ~ cover + (1 | site) + (1 | visit)", "site", "visit", fitter="glmer.nb",
          arguments=[_points(0)]),
    _case("negative_binomial", "estimated_from_a_theta", "epil", "y ~ trt + lbase + (1 | subject)",
          "subject", fitter="glmer.nb",
          arguments=[_points(0), Argument("init_ctrl", {"theta": 2.0},
                                          "initCtrl = list(theta = 2)")]),
    _case("negative_binomial", "estimated_controls", "epil", "y ~ lbase + (1 | subject)",
          "subject", fitter="glmer.nb",
          arguments=[_points(0), _BOBYQA,
                     Argument("nb_control", {"optimizer": "bobyqa"},
                              'nb.control = glmerControl(optimizer = "bobyqa")')]),
    # lme4 1.1-31 passes the interval on to glmer, which stops.
    _case("negative_binomial", "interval", "epil", "y ~ lbase + (1 | subject)", "subject",
          fitter="glmer.nb",
          arguments=[_points(0), Argument("interval", [-2.0, 3.0], "interval = c(-2, 3)")]),
]  # fmt: skip

_GAMMA = _family("Gamma")
_POSITIVE = [
    _case("positive", "gamma_inverse", "Dialyzer", "rate ~ pressure + QB + (1 | Subject)",
          "Subject", arguments=[_GAMMA]),
    _case("positive", "gamma_log", "tasks", "hours ~ load + shift + (1 | worker)", "worker",
          arguments=_linked("Gamma", "log")),
    _case("positive", "gamma_log_crossed", "tasks", "hours ~ load + (1 | worker) + (1 | machine)",
          "worker", "machine", arguments=_linked("Gamma", "log")),
    _case("positive", "gamma_log_curve", "Soybean", "weight ~ Variety + I(Time / 10) + "
          "I(Time^2 / 1000) + (1 | Plot)", "Plot", arguments=_linked("Gamma", "log")),
    _case("positive", "gamma_identity", "Milk", "protein ~ Diet + Time + (1 | Cow)", "Cow",
          arguments=_linked("Gamma", "identity")),
    _case("positive", "gamma_weights", "tasks", "hours ~ load + (1 | worker)", "worker",
          arguments=[*_linked("Gamma", "log"), _column("weights", "weight", "weights")]),
    _case("positive", "inverse_gaussian", "tasks", "hours ~ load + (1 | worker)", "worker",
          arguments=[_family("inverse.gaussian")]),
    _case("positive", "inverse_gaussian_log", "tasks", "hours ~ load + (1 | worker)", "worker",
          arguments=_linked("inverse.gaussian", "log")),
    _case("positive", "inverse_gaussian_identity", "Milk", "protein ~ Diet + (1 | Cow)", "Cow",
          arguments=_linked("inverse.gaussian", "identity")),
    _case("positive", "gaussian_log", "Orthodont", "distance ~ age + Sex + (1 | Subject)",
          "Subject", arguments=_linked("gaussian", "log")),
    _case("positive", "gaussian_inverse", "Milk", "protein ~ Time + (1 | Cow)", "Cow",
          arguments=_linked("gaussian", "inverse")),
    _case("positive", "gaussian_log_nagq_0", "Orthodont", "distance ~ age + (1 | Subject)",
          "Subject", arguments=[*_linked("gaussian", "log"), _points(0)]),
    _case("positive", "gaussian_identity", "Orthodont", "distance ~ age + (1 | Subject)",
          "Subject", arguments=[_family("gaussian")]),
]  # fmt: skip

_CONTROLS = [
    _case("glmer_control", "bobyqa", "cbpp", _CBPP, "herd", arguments=[_BINOMIAL, _BOBYQA]),
    _case("glmer_control", "two_optimizers", "cbpp", _CBPP, "herd",
          arguments=[_BINOMIAL, _control({"optimizer": ["Nelder_Mead", "bobyqa"]},
                                         'optimizer = c("Nelder_Mead", "bobyqa")')]),
    _case("glmer_control", "nloptwrap", "bacteria", "y ~ trt + week + (1 | ID)", "ID",
          arguments=[_BINOMIAL, _control({"optimizer": "nloptwrap"}, 'optimizer = "nloptwrap"')]),
    _case("glmer_control", "nlminbwrap", "cbpp", _CBPP, "herd",
          arguments=[_BINOMIAL, _control({"optimizer": "nlminbwrap"}, 'optimizer = "nlminbwrap"')]),
    _case("glmer_control", "no_first_step", "cbpp", _CBPP, "herd",
          arguments=[_BINOMIAL, _control({"nAGQ0initStep": False}, "nAGQ0initStep = FALSE")]),
    _case("glmer_control", "tolerance", "epil", "y ~ trt + lbase + (1 | subject)", "subject",
          arguments=[_POISSON, _control({"tolPwrss": 1e-10}, "tolPwrss = 1e-10")]),
    _case("glmer_control", "no_derivatives", "cbpp", _CBPP, "herd",
          arguments=[_BINOMIAL, _control({"calc.derivs": False}, "calc.derivs = FALSE")]),
    _case("glmer_control", "not_compiled", "cbpp", _CBPP, "herd",
          arguments=[_BINOMIAL, _control({"compDev": False}, "compDev = FALSE")]),
    _case("glmer_control", "evaluations", "epil", "y ~ trt + lbase + (1 | subject)", "subject",
          arguments=[_POISSON, _control({"optimizer": "bobyqa", "optCtrl": {"maxfun": 20000}},
                                        'optimizer = "bobyqa", optCtrl = list(maxfun = 20000L)')]),
    _case("glmer_control", "boundary", "cbpp", _CBPP, "herd",
          arguments=[_BINOMIAL, _control({"boundary.tol": 0.01}, "boundary.tol = 0.01")]),
    _case("glmer_control", "restart_edge", "cbpp", _CBPP, "herd",
          arguments=[_BINOMIAL, _control({"restart_edge": True}, "restart_edge = TRUE")]),
    _case("glmer_control", "check_stops", "Insurance", "Claims ~ Group + (1 | District)",
          "District",
          arguments=[_POISSON, _control({"check.nlev.gtreq.5": "stop"},
                                        'check.nlev.gtreq.5 = "stop"')]),
]  # fmt: skip

_AWKWARD = [
    _case("glmer_awkward", "singular", "separated", "few ~ x + (1 | g)", "g",
          arguments=[_BINOMIAL]),
    _case("glmer_awkward", "singular_slopes", "bacteria", "y ~ trt + (week | ID)", "ID",
          arguments=[_BINOMIAL]),
    _case("glmer_awkward", "not_converged", "plots",
          "seen ~ I(1000 * cover) + (I(1000 * cover) | site)", "site", arguments=[_POISSON]),
    _case("glmer_awkward", "correlated_slopes", "Arabidopsis",
          "total.fruits ~ nutrient * amd + (nutrient | popu) + (1 | gen)", "popu",
          arguments=[_POISSON]),
    _case("glmer_awkward", "stopped_early", "cbpp", _CBPP, "herd",
          arguments=[_BINOMIAL, _control({"optCtrl": {"maxfun": 20}},
                                         "optCtrl = list(maxfun = 20L)")]),
    _case("glmer_awkward", "nearly_unidentifiable", "Orthodont", "distance ~ age + (1 | Subject)",
          "Subject", arguments=_linked("gaussian", "inverse")),
    _case("glmer_awkward", "separated_groups", "separated", "all ~ x + (1 | g)", "g",
          arguments=[_BINOMIAL]),
    _case("glmer_awkward", "rescale", "grouseticks", "TICKS ~ HEIGHT + I(HEIGHT^2) + (1 | BROOD)",
          "BROOD", arguments=[_POISSON]),
    _case("glmer_awkward", "rank_deficient", "separated", "few ~ x + twice + (1 | g)", "g",
          arguments=[_BINOMIAL]),
    _case("glmer_awkward", "shares_without_trials", "cbpp", "rate ~ period + (1 | herd)", "herd",
          arguments=[_BINOMIAL]),
    _case("glmer_awkward", "counts_that_are_not_whole", "Orthodont",
          "distance ~ age + (1 | Subject)", "Subject", arguments=[_POISSON, _points(0)]),
    _case("glmer_awkward", "three_levels", "VerbAgg", "resp ~ mode + (1 | id)", "id",
          arguments=[_BINOMIAL]),
    _case("glmer_awkward", "identity_near_zero", "epil", "y ~ trt * lbase + (lbase | subject)",
          "subject", arguments=_linked("poisson", "identity")),
    _case("glmer_awkward", "one_group_per_row", "tasks",
          "hours ~ load + (1 | worker:machine:turn)", "worker",
          arguments=_linked("Gamma", "log")),
    _case("glmer_awkward", "many_zeros", "plots", "none ~ cover + burnt + (burnt | site)", "site",
          arguments=[_POISSON]),
]  # fmt: skip


def _refused(name: str, data: str, formula: str, group: str, *arguments: Argument) -> ModelCase:
    return _case("glmer_refused", name, data, formula, group, arguments=arguments)


_REFUSED = [
    _refused("quasi", "plots", "seen ~ cover + (1 | site)", "site", _family("quasi")),
    _refused("quasipoisson", "plots", "seen ~ cover + (1 | site)", "site",
             _family("quasipoisson")),
    _refused("quasibinomial", "cbpp", _CBPP, "herd", _family("quasibinomial")),
    _refused("negative_counts", "separated", "x ~ few + (1 | g)", "g", _POISSON),
    _refused("shares_above_one", "plots", "seen ~ cover + (1 | site)", "site", _BINOMIAL),
    _refused("zeros", "plots", "seen ~ cover + (1 | site)", "site", _GAMMA),
    _refused("zeros_inverse_gaussian", "plots", "seen ~ cover + (1 | site)", "site",
             _family("inverse.gaussian")),
    _refused("text_response", "hsb_high", "group ~ ses + (1 | schid)", "schid", _BINOMIAL),
    _refused("factor_counted", "bacteria", "y ~ week + (1 | ID)", "ID", _POISSON),
    _refused("three_columns", "plots", "cbind(found, missed, seen) ~ cover + (1 | site)", "site",
             _BINOMIAL),
    _refused("constant", "separated", "I(0 * x) ~ x + (1 | g)", "g", _BINOMIAL),
    _refused("a_link_of_another_family", "plots", "seen ~ cover + (1 | site)", "site",
             *_linked("poisson", "logit")),
    _refused("step_halvings", "epil", "y ~ trt + lbase + (1 | subject)", "subject", _POISSON,
             _control({"tolPwrss": 1e-15}, "tolPwrss = 1e-15")),
    _refused("not_positive_definite", "tasks", "I(hours^6) ~ load + (load | worker)", "worker",
             _GAMMA),
    _refused("not_a_number", "toenail", "outcome ~ treatment * month + (1 | ID)", "ID",
             *_linked("binomial", "log")),
    _refused("identity_below_zero", "plots", "seen ~ cover + burnt + (1 | site)", "site",
             *_linked("poisson", "identity")),
    _refused("separated", "separated", "y ~ x + (1 | g)", "g", _BINOMIAL),
    _refused("too_few_start_values", "cbpp", _CBPP, "herd", _BINOMIAL,
             Argument("start", {"theta": [1.0, 2.0]}, "start = list(theta = c(1, 2))")),
    _refused("holes", "districts_holes", "uses ~ urban + (1 | district)", "district",
             _BINOMIAL, Argument("na_action", "na.fail", "na.action = na.fail")),
]  # fmt: skip

GENERALISED: tuple[ModelCase, ...] = (
    *_OF_TRUTHS, *_OF_QUADRATURE, *_OF_COUNTS, *_NEGATIVE, *_POSITIVE, *_CONTROLS, *_AWKWARD,
    *_REFUSED,
)  # fmt: skip
