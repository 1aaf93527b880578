"""Cases of Amelia: every family of arguments that ``amelia()`` has."""

from __future__ import annotations

from typing import Any

from .case import Argument, ImputationCase

__all__ = ["AMELIA"]

_COLUMNS = ("id", "a", "b", "skew", "root", "share", "likert", "kind", "size", "whole")
_CORE = ("a", "b", "skew", "whole")
_ID = Argument("idvars", "id", 'idvars = "id"')


def _texts(name: str, *values: str) -> Argument:
    inside = ", ".join(f'"{x}"' for x in values)
    return Argument(name, list(values), f"{name} = c({inside})")


def _case(name: str, data: str, *arguments: Argument, **more: Any) -> ImputationCase:
    return ImputationCase(f"amelia/{name}", data, arguments, **more)


_AFRICA = (
    Argument("ts", "year", 'ts = "year"'),
    Argument("cs", "country", 'cs = "country"'),
)

AMELIA: tuple[ImputationCase, ...] = (
    _case("plain", "numbers_holes", m=3),
    _case("idvars", "mixed_holes", _ID, columns=("id", *_CORE)),
    _case("noms", "mixed_holes", _ID, _texts("noms", "kind"), columns=("id", *_CORE, "kind")),
    _case("noms_two", "mixed_holes", _ID, _texts("noms", "kind", "likert"),
          columns=("id", *_CORE, "kind", "likert")),
    _case("noms_logical", "mixed_holes", _ID, _texts("noms", "yes"),
          columns=("id", *_CORE, "yes")),
    _case("logical", "mixed_holes", _ID, columns=("id", *_CORE, "yes")),
    _case("ords", "mixed_holes", _ID, _texts("ords", "likert"),
          columns=("id", *_CORE, "likert")),
    _case("ords_factor", "mixed_holes", _ID, _texts("ords", "size"),
          columns=("id", *_CORE, "size")),
    _case("logs", "mixed_holes", _ID, _texts("logs", "skew"), columns=("id", *_CORE)),
    _case("sqrts", "mixed_holes", _ID, _texts("sqrts", "root"), columns=("id", *_CORE, "root")),
    _case("lgstc", "mixed_holes", _ID, _texts("lgstc", "share"), columns=("id", *_CORE, "share")),
    _case("all_kinds", "mixed_holes", _ID, _texts("noms", "kind"), _texts("ords", "likert", "size"),
          _texts("logs", "skew"), _texts("sqrts", "root"), _texts("lgstc", "share"),
          columns=_COLUMNS, m=3),
    _case("time_series", "africa", *_AFRICA),
    _case("polytime", "africa", *_AFRICA, Argument("polytime", 2, "polytime = 2")),
    _case("polytime_intercs", "africa", *_AFRICA, Argument("polytime", 1, "polytime = 1"),
          Argument("intercs", True, "intercs = TRUE")),
    _case("splinetime", "africa", *_AFRICA, Argument("splinetime", 3, "splinetime = 3")),
    _case("cs_only", "africa", Argument("cs", "country", 'cs = "country"'),
          columns=("country", "gdp_pc", "infl", "trade", "civlib", "population")),
    _case("lags", "africa", *_AFRICA, _texts("lags", "trade")),
    _case("leads", "africa", *_AFRICA, _texts("leads", "trade", "gdp_pc")),
    _case("lags_leads_polytime", "freetrade", *_AFRICA, _texts("lags", "tariff"),
          _texts("leads", "tariff"), Argument("polytime", 2, "polytime = 2"),
          Argument("empri", 8.5, "empri = 8.5")),
    _case("priors_mean_sd", "numbers_holes",
          Argument("priors", [[0, 1, 0.5, 0.1], [0, 2, -0.25, 0.2]],
                   "priors = rbind(c(0, 1, 0.5, 0.1), c(0, 2, -0.25, 0.2))")),
    _case("priors_range", "africa", *_AFRICA,
          Argument("priors", [[0, 5, 30.0, 60.0, 0.95]],
                   "priors = matrix(c(0, 5, 30, 60, 0.95), 1)")),
    _case("priors_by_name", "numbers_holes",
          Argument("priors", [[0, "c", 1.5, 0.25]], "priors = matrix(c(0, 3, 1.5, 0.25), 1)")),
    # Of a table of one row Amelia makes a vector, and imputes from a prior on other cells; a second
    # prior that says of an observed cell what is there changes nothing else, and R keeps its table.
    _case("priors_one_row", "numbers_holes",
          Argument("priors", [[11, "c", 1.5, 0.25]],
                   "priors = rbind(c(11, 3, 1.5, 0.25), c(2, 1, data[2, 1], 1))")),
    _case("priors_one_range", "numbers_holes",
          Argument("priors", [[11, 3, 1.0, 2.0, 0.9]],
                   "priors = rbind(c(11, 3, 1, 2, 0.9), c(2, 1, data[2, 1] + c(-1, 1), 0.5))")),
    _case("bounds", "numbers_holes",
          Argument("bounds", [[1, -0.5, 0.5], [4, 0, 10]],
                   "bounds = rbind(c(1, -0.5, 0.5), c(4, 0, 10))")),
    _case("bounds_max_resample", "numbers_holes",
          Argument("bounds", [["b", 0.0, 1.0]], "bounds = matrix(c(2, 0, 1), 1)"),
          Argument("max_resample", 5, "max.resample = 5")),
    _case("empri", "numbers_holes", Argument("empri", 6, "empri = 6")),
    _case("autopri", "numbers_holes", Argument("autopri", 0.2, "autopri = 0.2")),
    _case("overimp", "numbers_holes",
          Argument("overimp", [[1, 2], [5, 1], [9, 4]],
                   "overimp = rbind(c(1, 2), c(5, 1), c(9, 4))")),
    _case("startvals", "numbers_holes", Argument("startvals", 1, "startvals = 1")),
    _case("tolerance", "numbers_holes", Argument("tolerance", 1e-6, "tolerance = 1e-6")),
    _case("emburn", "numbers_holes", Argument("emburn", [2, 12], "emburn = c(2, 12)")),
    _case("no_bootstrap", "numbers_holes", Argument("boot_type", "none", 'boot.type = "none"')),
    _case("noms_numbers", "hsb_holes", _texts("noms", "minority", "female"),
          columns=("minority", "female", "ses", "mathach", "schtype"), seed=3),
    _case("refused_categories", "mixed_holes", _ID, _texts("noms", "skew"),
          columns=("id", *_CORE)),
    _case("vignette", "hsb_holes", _texts("idvars", "schid", "meanses"),
          _texts("noms", "minority", "female"), m=3,
          model="mathach ~ minority + female + ses + meanses + (1 + ses | schid)"),
)  # fmt: skip
