"""One package that needs no R, as a process: a model a line in, its estimates a line out.

`without_r.py` starts this with the interpreter of an environment of its own, in which rbridge_mi
is not installed: nothing of it is imported here. A line names a pickled frame, the model and its
arguments; the answer has the estimates under the package's own names, and the seconds from the
frame to the estimates.
"""

from __future__ import annotations

import importlib
import json
import keyword
import re
import resource
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

Answer: TypeAlias = dict[str, Any]
RANDOM = re.compile(r"\s*\+?\s*\(+([^()|]*(?:\([^()]*\)[^()|]*)*)(\|\|?)([^()]*)\)+")


class NotOfferedError(Exception):
    """The package has no way to write this model."""


def asked_for(job: dict[str, Any], offered: tuple[str, ...]) -> None:
    """Refuse arguments that the package's function doesn't have."""
    missing = [x for x in job["arguments"] if x not in offered]
    if missing:
        raise NotOfferedError(f"no argument for {', '.join(missing)}")


# -- mixedlm --------------------------------------------------------------------------------------


def by_mixedlm(data: pd.DataFrame, job: dict[str, Any]) -> Answer:
    import mixedlm

    given = job["arguments"]
    asked_for(job, ("reml", "weights", "offset", "family", "link", "nAGQ", "contrasts"))
    known = {k: given[k] for k in ("weights", "offset") if k in given}
    if "contrasts" in given:
        codings = {"contr.treatment": "treatment", "contr.sum": "sum", "contr.helmert": "helmert"}
        known["contrasts"] = {
            k: codings.get(v, v) if isinstance(v, str) else np.asarray(v, dtype=float)
            for k, v in given["contrasts"].items()
        }
    formula = job["formula"].replace("^", "**")
    if job["fitter"] == "lmer":
        fit = mixedlm.lmer(formula, data, REML=given.get("reml", True), **known)
    elif job["fitter"] == "glmer.nb":
        fit = mixedlm.glmer_nb(formula, data, nAGQ=given.get("nAGQ", 1), **known)
    else:
        families = {
            "binomial": "Binomial", "poisson": "Poisson", "Gamma": "Gamma",
            "inverse.gaussian": "InverseGaussian", "negative.binomial": "NegativeBinomial",
            "gaussian": "Gaussian",
        }  # fmt: skip
        name, options = family_of(given)
        family = getattr(mixedlm.families, families[name])(**options)
        fit = mixedlm.glmer(formula, data, family=family, nAGQ=given.get("nAGQ", 1), **known)
    variances = fit.VarCorr()
    random: dict[str, dict[str, float]] = {}
    for group in variances.groups.values():
        random.setdefault(getattr(group, "grouping_factor", group.name), {}).update(
            {k: float(v) for k, v in group.stddev.items()}
        )
    return {
        "fixed": {k: float(v) for k, v in fit.fixef().items()},
        "random": random,
        "residual": float(fit.sigma),
        "log_lik": float(fit.logLik().value),
        "fitted": np.asarray(fit.fitted()).tolist(),
        "converged": bool(getattr(fit, "converged", True)),
    }


def family_of(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """R's text of a family as its name and what stands in its brackets."""
    text = given.get("family", "binomial")
    name, _, inside = text.rstrip(")").partition("(")
    options: dict[str, Any] = {}
    for part in filter(None, (x.strip() for x in inside.split(","))):
        key, _, value = part.rpartition("=")
        value = value.strip().strip("'\"")
        is_number = re.fullmatch(r"[\d.]+", value) is not None
        options[key.strip() or ("theta" if is_number else "link")] = (
            float(value) if is_number else value
        )
    if "link" in given:
        options["link"] = given["link"]
    return name.strip(), options


# -- lme-python -----------------------------------------------------------------------------------


def by_lme_python(data: pd.DataFrame, job: dict[str, Any]) -> Answer:
    import lme_python

    given = job["arguments"]
    asked_for(job, ("reml", "weights", "family", "link", "nAGQ"))
    if job["fitter"] == "glmer.nb":
        raise NotOfferedError("no negative binomial models")
    formula = job["formula"]
    weights = data[given["weights"]].astype(float).tolist() if "weights" in given else None
    if job["fitter"] == "lmer":
        reml = given.get("reml", True)
        if weights is not None:
            fit = lme_python.lmer_weighted(formula, data, reml, weights)
        else:
            factors = {
                name: lme_python.FactorSpec([str(x) for x in data[name].cat.categories])
                for name in data
                if isinstance(data[name].dtype, pd.CategoricalDtype)
                and re.search(rf"\b{re.escape(name)}\b", job["fixed"])
            }
            fit = lme_python.lmer(formula, data, reml, factors=factors or None)
    else:
        name, options = family_of(given)
        if set(options) - {"link"}:
            raise NotOfferedError(f"no family {given['family']}")
        # glmer_weighted takes no order of levels, and sorts them as text.
        numbered = {
            x: data[x].cat.rename_categories([f"{i:02}_{y}" for i, y in enumerate(of.categories)])
            for x, of in data.dtypes.items()
            if isinstance(of, pd.CategoricalDtype)
        }
        fit = lme_python.glmer_weighted(
            formula,
            data.assign(**numbered),
            name.lower(),
            given.get("nAGQ", 1),
            weights,
            options.get("link"),
        )
    random: dict[str, dict[str, float]] = {}
    residual = float("nan")
    for group, one, two, variance, _ in fit.var_corr or []:
        if group == "Residual":
            residual = float(np.sqrt(variance))
        elif one == two:
            random.setdefault(group, {})[one] = float(np.sqrt(variance))
    return {
        "fixed": dict(zip(unique(fit.fixed_names), fit.coefficients, strict=True)),
        "random": random,
        "residual": residual,
        "log_lik": fit.log_likelihood,
        "fitted": list(fit.fitted),
        "converged": bool(fit.converged),
    }


def unique(names: Any) -> list[str]:
    seen: dict[str, int] = {}
    result = []
    for name in map(str, names):
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return result


# -- statsmodels, and mixedlm-rs after its pattern ------------------------------------------------


def in_patsy(text: str, data: pd.DataFrame) -> str:
    """Write R's fixed part in patsy's notation."""
    for call in ("poly", "ns", "bs", "splines::ns", "cut", "relevel", "ifelse", "offset", "dummy"):
        if re.search(rf"(?<!\w){re.escape(call)}\(", text):
            raise NotOfferedError(f"patsy has no {call}() as R's")
    if re.search(r"(^|[+~ ])\.([+ -]|$)", text):
        raise NotOfferedError("patsy has no dot")
    text = re.sub(r"`([^`]*)`", r'Q("\1")', text)
    text = re.sub(r"\bfactor\(", "C(", text)
    text = re.sub(r"(?<![\w.])(log1p|log|sqrt|exp|cos|sin|round)\(", r"np.\1(", text)
    text = re.sub(r"\bscale\(([\w.]+)\)", r"standardize(\1, ddof=1)", text)
    text = re.sub(r"\bpi\b", "np.pi", text)
    for name in data:
        if isinstance(data[name].dtype, pd.CategoricalDtype) and data[name].cat.ordered:
            text = re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w.(])", f"C({name}, Poly)", text)
    return re.sub(r"\^", "**", text)


def in_python(formula: str, data: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """Rename what is no name in patsy's Python; and columns of a kind that numpy has."""
    names = {x: x.replace(".", "_") for x in data if "." in x}
    names |= {x: f"{x}_" for x in data if keyword.iskeyword(x)}
    for old, new in names.items():
        formula = re.sub(rf"(?<![\w.]){re.escape(old)}(?![\w.(])", new, formula)
    data = data.rename(columns=names)
    for name in data:
        if isinstance(data[name].dtype, pd.BooleanDtype):  # a logical with holes
            data[name] = data[name].astype(object).where(data[name].notna(), None)
        elif pd.api.types.is_extension_array_dtype(data[name].dtype) and (
            pd.api.types.is_numeric_dtype(data[name].dtype)
        ):
            data[name] = data[name].astype(float)
    return formula, data


def random_terms(formula: str) -> tuple[str, list[tuple[str, str, str]]]:
    terms = [(x[0].strip(), x[1], x[2].strip()) for x in RANDOM.findall(formula)]
    return RANDOM.sub("", formula), terms


def by_statsmodels(data: pd.DataFrame, job: dict[str, Any]) -> Answer:
    import statsmodels.formula.api as smf

    return by_mixedlm_pattern(data, job, smf.mixedlm, vc=True)


def by_mixedlm_rs(data: pd.DataFrame, job: dict[str, Any]) -> Answer:
    import mixedlm_rs

    return by_mixedlm_pattern(data, job, mixedlm_rs.mixedlm, vc=False)


def by_mixedlm_pattern(data: pd.DataFrame, job: dict[str, Any], make: Any, vc: bool) -> Answer:
    if job["fitter"] != "lmer":
        raise NotOfferedError("no generalised models by maximum likelihood")
    given = job["arguments"]
    asked_for(job, ("reml",))
    formula, data = in_python(job["formula"], data)
    fixed, terms = random_terms(formula)
    fixed = in_patsy(fixed, data)
    fixed = fixed if fixed.split("~")[1].strip() else f"{fixed} 1"
    design = Design(terms, data, vc)
    if design.columns:
        data = data.assign(**design.columns)
    model = make(fixed, data, groups=design.groups, re_formula=design.re_formula,
                 **({"vc_formula": design.vc} if design.vc else {}), missing="drop")  # fmt: skip
    fit = model.fit(reml=given.get("reml", True))
    cov = np.atleast_2d(np.asarray(fit.cov_re, dtype=float)) if np.size(fit.cov_re) else None
    random: dict[str, dict[str, float]] = {}
    if cov is not None and cov.size:
        values = np.sqrt(np.maximum(np.diag(cov), 0))
        random[design.main] = dict(zip(design.main_terms(fit), values.tolist(), strict=True))
    if design.vc:
        for name, value in zip(fit.model.exog_vc.names, fit.vcomp, strict=True):
            group, term = design.of_vc[name]
            random.setdefault(group, {})[term] = float(np.sqrt(max(value, 0)))
    labelled = getattr(fit, "fe_params_labelled", fit.fe_params)
    return {
        "fixed": {str(k): float(v) for k, v in labelled.items()},
        "random": random,
        "residual": float(np.sqrt(fit.scale)),
        "log_lik": float(fit.llf),
        "fitted": np.asarray(fit.fittedvalues, dtype=float).tolist(),
        "converged": bool(fit.converged),
    }


class Design:
    """lme4's random terms as groups, re_formula and vc_formula; not every set of terms has them."""

    def __init__(self, terms: list[tuple[str, str, str]], data: pd.DataFrame, vc: bool) -> None:
        self.vc: dict[str, str] = {}
        self.of_vc: dict[str, tuple[str, str]] = {}
        self.columns: dict[str, Any] = {}
        self.re_formula: str | None = None
        self.main = ""
        parts: list[tuple[str, str]] = []  # what varies, and over which groups
        for what, bar, over in terms:
            split = self._split(what) if bar == "||" else [what]
            for group in self._groups(over):
                parts += [(x, group) for x in split]
        if any(":" in x for x, _ in parts) or not parts:
            raise NotOfferedError("no such random term")
        groups = list(dict.fromkeys(g for _, g in parts))
        if len(parts) > 1 and not vc:
            raise NotOfferedError("one random term only")
        if len(groups) == 1:
            self._one_grouping(groups[0], [x for x, _ in parts], data)
        elif len(set(groups)) == len(parts) and all(x == "1" for x, _ in parts):
            self._several(groups, data)
        else:
            raise NotOfferedError("no slopes beside several groupings")

    @staticmethod
    def _split(what: str) -> list[str]:
        if re.search(r"[*:(]", what):
            raise NotOfferedError("no double bar of this kind")
        names = [x.strip() for x in what.split("+")]
        slopes = [f"0 + {x}" for x in names if x not in ("0", "1")]
        return slopes if "0" in names else ["1", *slopes]

    @staticmethod
    def _groups(over: str) -> list[str]:
        names = [x.strip() for x in over.split("/")]
        return [":".join(reversed(names[: i + 1])) for i in range(len(names))]

    def _column(self, group: str, data: pd.DataFrame) -> str:
        """The column of a grouping; of an interaction one is made."""
        if ":" not in group:
            return group
        name = group.replace(":", "_by_")
        parts = [data[x.strip()].astype(str) for x in group.split(":")]
        self.columns[name] = parts[0].str.cat(parts[1:], sep=":")
        return name

    def _one_grouping(self, group: str, what: list[str], data: pd.DataFrame) -> None:
        self.groups, self.main = self._column(group, data), group
        first, *others = sorted(what, key=lambda x: x != "1")
        self.re_formula = "~" + in_patsy(first, data)
        for term in others:
            name = re.sub(r"^0 \+ ", "", term)
            self.vc[name], self.of_vc[name] = in_patsy(term, data), (group, name)

    def _several(self, groups: list[str], data: pd.DataFrame) -> None:
        whole = [self._column(x, data) for x in groups]
        data = data.assign(**self.columns)
        inside = [
            i for i, x in enumerate(whole)
            if all(data.groupby(y, observed=True)[x].nunique().le(1).all() for y in whole)
        ]  # fmt: skip
        if inside:  # nested: the largest groups are the groups
            top = inside[0]
            self.groups, self.main, self.re_formula = whole[top], groups[top], "~1"
        else:  # crossed: one group of all rows
            self.columns["all_rows"] = np.ones(len(data))
            self.groups, top, self.re_formula = "all_rows", -1, "~0"
        for i, name in enumerate(whole):
            if i != top:
                self.vc[name], self.of_vc[name] = f"0 + C({name})", (groups[i], "(Intercept)")

    def main_terms(self, fit: Any) -> list[str]:
        names = getattr(fit.model, "exog_re_names", None) or list(
            getattr(fit.model.data, "exog_re_names", [])
        )
        if not names:
            return [f"#{i}" for i in range(np.atleast_2d(fit.cov_re).shape[0])]
        return [
            "(Intercept)" if x in ("Intercept", "Group", "Group Var") else str(x) for x in names
        ]


# -- the process ----------------------------------------------------------------------------------

PACKAGES: dict[str, Callable[[pd.DataFrame, dict[str, Any]], Answer]] = {
    "statsmodels": by_statsmodels,
    "mixedlm": by_mixedlm,
    "lme-python": by_lme_python,
    "mixedlm-rs": by_mixedlm_rs,
}


MODULES = {
    "statsmodels": "statsmodels.formula.api",
    "mixedlm": "mixedlm.models.glmer_fit",
    "lme-python": "lme_python",
    "mixedlm-rs": "mixedlm_rs",
}


def prepared(job: dict[str, Any]) -> pd.DataFrame:
    """The frame, without rows that the model leaves out, with the shares of a cbind response."""
    data: pd.DataFrame = pd.read_pickle(job["data"])
    if "subset" in job["arguments"]:
        data = data[data[job["arguments"].pop("subset")].fillna(False).astype(bool)]
    share = re.match(r"cbind\((\w+), (?:(\w+) - \1|(\w+))\) ~", job["formula"])
    if share:
        of, size, other = share.groups()
        trials = data[size] if size else data[of] + data[other]
        data = data.assign(share_of=data[of] / trials, trials_of=trials)
        job["formula"] = "share_of ~" + job["formula"].split("~", 1)[1]
        job["arguments"]["weights"] = "trials_of"
    response = job["formula"].split("~")[0].strip()
    if (
        job["fitter"] == "glmer"
        and response in data
        and not (pd.api.types.is_numeric_dtype(data[response]) and data[response].dtype != bool)
    ):  # a category or a logical: 1 for all but the first, as in R
        codes = data[response].astype("category").cat.codes
        truth = (codes > 0).astype(float).where(codes >= 0)
        data = data.assign(**{response: truth})
    job["fixed"] = RANDOM.sub("", job["formula"])
    return data.reset_index(drop=True)


def answer(fit: Callable[[pd.DataFrame, dict[str, Any]], Answer], job: dict[str, Any]) -> Answer:
    try:
        data = prepared(job)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            start = time.perf_counter()
            result = fit(data, job)
            seconds = time.perf_counter() - start
        return {**result, "seconds": seconds, "warnings": [str(x.message) for x in caught]}
    except NotOfferedError as error:
        return {"not_offered": str(error)}
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of a Rust extension is no Exception
        return {"error": f"{type(error).__name__}: {error}"}


def main(package: str) -> None:
    # Dense matrices of all rows would take the machine with them.
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    out, sys.stdout = sys.stdout, sys.stderr  # nothing that a package prints is an answer
    fit = PACKAGES[package]
    importlib.import_module(MODULES[package])  # so that no model's time has the import in it
    for line in sys.stdin:
        out.write(json.dumps(answer(fit, json.loads(line))) + "\n")
        out.flush()


if __name__ == "__main__":
    main(sys.argv[1])
