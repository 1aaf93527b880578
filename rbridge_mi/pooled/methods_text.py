"""A methods section on missing data, written from what was done."""

from __future__ import annotations

import importlib.metadata
import math
import platform
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import rdoor
from ..base.glossary import TABLES
from ..base.labels import label
from ..base.text import Printed
from ..errors import ArgumentError, RBridgeError
from ..fits.which_models import is_linear
from ..inference.advice import model_columns
from ..inference.degrees_of_freedom import plain_df
from ..inference.mermod import MerMod
from ..pooling import rubin
from . import missing_values_text as text
from .missing_values_text import author, series

if TYPE_CHECKING:
    from .pooled_mermod import PooledMerMod

__all__ = ["write_methods"]

_DF = {
    "residual": "the number of rows minus that of the model's parameters",
    "satterthwaite": "Satterthwaite's, the mean over the fits",
    "kenward-roger": "Kenward and Roger's, the mean over the fits",
}
_REFERENCES = {
    "Rubin (1987)": "Rubin, D. B. (1987). Multiple Imputation for Nonresponse in Surveys. Wiley.",
    "Barnard and Rubin (1999)": "Barnard, J. and Rubin, D. B. (1999). Small-sample degrees of "
    "freedom with multiple imputation. Biometrika 86, 948-955.",
    "Bates et al. (2015)": "Bates, D., Mächler, M., Bolker, B. and Walker, S. (2015). Fitting "
    "linear mixed-effects models using lme4. Journal of Statistical Software 67(1).",
    "Honaker, King and Blackwell 2011": "Honaker, J., King, G. and Blackwell, M. (2011). Amelia "
    "II: a program for missing data. Journal of Statistical Software 45(7).",
    "van Buuren and Groothuis-Oudshoorn 2011": "van Buuren, S. and Groothuis-Oudshoorn, K. (2011). "
    "mice: multivariate imputation by chained equations in R. Journal of Statistical Software "
    "45(3).",
    "Quartagno, Grund and Carpenter 2019": "Quartagno, M., Grund, S. and Carpenter, J. (2019). "
    "jomo: a flexible package for two-level joint modelling multiple imputation. The R Journal "
    "11(2), 205-228.",
    "Schafer and Yucel 2002": "Schafer, J. L. and Yucel, R. M. (2002). Computational strategies "
    "for multivariate linear mixed-effects models with missing values. Journal of Computational "
    "and Graphical Statistics 11, 437-457.",
    "Enders, Du and Keller 2020": "Enders, C. K., Du, H. and Keller, B. T. (2020). A model-based "
    "imputation procedure for multilevel regression models with random coefficients, interaction "
    "effects, and nonlinear terms. Psychological Methods 25, 88-112.",
    "Lüdtke, Robitzsch and West 2020": "Lüdtke, O., Robitzsch, A. and West, S. G. (2020). "
    "Regression models involving nonlinear effects with missing data: a sequential modeling "
    "approach using Bayesian estimation. Psychological Methods 25, 157-181.",
    "Vehtari et al. 2021": "Vehtari, A., Gelman, A., Simpson, D., Carpenter, B. and Bürkner, P.-C. "
    "(2021). Rank-normalization, folding, and localization: an improved R-hat for assessing "
    "convergence of MCMC. Bayesian Analysis 16, 667-718.",
    "Efron and Tibshirani 1993": "Efron, B. and Tibshirani, R. J. (1993). An Introduction to the "
    "Bootstrap. Chapman & Hall.",
}
# A call, a product, an interaction or a power in the fixed part.
_COMPUTED = re.compile(r"[\w.]\s*\(|[*:^]")


def write_methods(
    pooled: PooledMerMod, listwise: MerMod | None, sensitivity: pd.DataFrame | None
) -> Printed:
    """Write the text; see `PooledMerMod.methods_text`."""
    _check(pooled, listwise, sensitivity)
    paragraphs = {
        "Missing data": _missing(pooled),
        "Imputation": _imputation(pooled),
        "Checks": _checks(pooled),
        "Analysis": _analysis(pooled),
        "Complete cases": _complete_cases(pooled, listwise),
        "Sensitivity": _sensitivity(pooled, sensitivity),
    }
    written = {title: " ".join(x for x in lines if x) for title, lines in paragraphs.items()}
    body = [f"{title}. {lines}" for title, lines in written.items() if lines]
    cited = [x for name, x in _REFERENCES.items() if any(name in y for y in body)]
    return Printed("\n\n".join([*body, "\n".join(["References", *sorted(cited)])]))


def _check(pooled: PooledMerMod, listwise: Any, sensitivity: Any) -> None:
    if listwise is not None:
        if not isinstance(listwise, MerMod):
            raise ArgumentError(
                "listwise is the fit of the same model to the data with holes (a MerMod), not "
                f"{type(listwise).__name__}."
            )
        odd = sorted(set(listwise.beta.index) ^ set(pooled.fixed["term"]))
        if odd:
            raise ArgumentError(
                f"listwise is a fit of another model, which differs in {', '.join(odd)}: fit the "
                "same formula to the data with holes."
            )
    if sensitivity is not None and (
        not isinstance(sensitivity, pd.DataFrame)
        or list(sensitivity.columns) != list(TABLES["delta_sensitivity"])
        or "column" not in sensitivity.attrs
    ):
        raise ArgumentError("sensitivity is the table that `rb.delta_sensitivity` gives.")


# -- paragraphs ---------------------------------------------------------------------------------


def _columns(pooled: PooledMerMod) -> list[str]:
    assert pooled.data is not None
    return model_columns(pooled.formula, pooled.data.original)


def _missing(pooled: PooledMerMod) -> Iterator[str]:
    if pooled.data is None:
        yield author("how many values were missing, of which variables, in which patterns, and why")
        return
    yield from text.missing_values(pooled.data, _columns(pooled))


def _imputation(pooled: PooledMerMod) -> Iterator[str]:
    data = pooled.data
    if data is None:
        yield author("how missing values were imputed, how often, by which software, and from what")
        return
    columns = _columns(pooled)
    methods = [x["method"] for x in data.settings.get("joined", [{"method": data.method}])]
    packages = [text.ENGINE_PACKAGES[x] for x in methods if x in text.ENGINE_PACKAGES]
    versions = _versions(packages)
    if pooled.rule.knows_missing_information:
        yield from text.imputation(data, columns, list(pooled.ngrps), versions)
    else:
        yield text.resampling(data, versions)
    holed = [x for x in columns if data.original[x].isna().any()]
    fixed = pooled.formula.split("~", 1)[-1].split("|")[0]
    if holed and _COMPUTED.search(fixed.replace("(1", "").replace("(0", "")):
        yield (
            "Products and transformations in the formula of the analysis were computed from the "
            "values of each data set."
        )


def _checks(pooled: PooledMerMod) -> Iterator[str]:
    if not pooled.rule.knows_missing_information:
        return
    if pooled.data is not None:
        yield from text.diagnostics(pooled.data, _columns(pooled))
    worst = pooled.fixed.loc[pooled.fixed["fmi"].idxmax()]
    shown = f"at most {worst['fmi']:.2f}" if worst["fmi"] >= 0.01 else "below 0.01"
    yield f"The fraction of missing information of the coefficients was {shown} ({worst['term']})."


def _analysis(pooled: PooledMerMod) -> Iterator[str]:
    fit = pooled.fits[0]
    function = "lmer" if is_linear(fit) else "glmer"
    function = "glmer.nb" if math.isfinite(fit.nb_theta) else function
    kind = "Linear mixed models" if is_linear(fit) else "Generalised linear mixed models"
    how = ("restricted maximum likelihood" if fit.reml else "maximum likelihood") + (
        "" if is_linear(fit) else f", family {fit.family}, link {fit.link}"
    )
    yield (
        f"{kind}, {pooled.formula}, were fitted to each of the {pooled.m} data sets by {how} "
        f"(lme4's {function}), as described by Bates et al. (2015)."
    )
    total = pooled.m if pooled.data is None else pooled.data.m
    if pooled.m < total:
        yield (
            f"{total - pooled.m} of the {total} data sets have no part in this: "
            + author("why they were left out, or could not be fitted")
        )
    singular = sum(x.is_singular for x in pooled.fits)
    if singular:
        yield f"{singular} of these fits were singular, on the boundary of the random part."
    groups = series(f"{n} groups of {name}" for name, n in pooled.ngrps.items())
    low, high = min(pooled.nobs), max(pooled.nobs)
    yield f"They have {low if low == high else f'{low} to {high}'} rows, in {groups}."
    yield from _pooling(pooled)


def _pooling(pooled: PooledMerMod) -> Iterator[str]:
    if not pooled.rule.knows_missing_information:
        yield (
            "Estimates are means over the samples; standard errors are the spread of the estimates "
            "(Efron and Tibshirani 1993)."
        )
        return
    known = np.isfinite(pooled.complete_df).all()
    dfcom = _DF.get(str(pooled.dfcom), "given by the authors") if known else "infinite"
    yield (
        "Estimates and standard errors were pooled by the rules of Rubin (1987), with the degrees "
        f"of freedom of Barnard and Rubin (1999); those of complete data were taken to be {dfcom}."
    )
    if pooled.vcov_method == "kenward-roger":
        yield "Each fit's covariance matrix of the coefficients was Kenward and Roger's."
    yield (
        "Random effects' covariance matrices were averaged; where standard deviations, "
        "correlations or intraclass correlations have intervals, these were pooled on the scales "
        "of the logarithm, of Fisher's z and of the logit."
    )


def _complete_cases(pooled: PooledMerMod, fit: MerMod | None) -> Iterator[str]:
    if fit is None:
        yield author(
            "whether an analysis of the complete cases comes to the same: "
            "methods_text(listwise=model.fit(data)) says so"
        )
        return
    table = _on_link(pooled).set_index("term")
    estimate = fit.beta.loc[list(table.index)]
    variances = np.diag(fit.vcov().loc[list(table.index), list(table.index)])
    alone = rubin.pool_scalars(
        [estimate.to_numpy()],
        [variances],
        dfcom=plain_df(None, [fit]),
        conf_level=pooled.conf_level,
    )
    moved = (table["estimate"] - estimate) / table["std_error"]
    ratio = table["std_error"] / np.sqrt(variances)
    term = moved.abs().idxmax()
    yield (
        f"An analysis of the {fit.nobs} complete rows gave estimates that differ from the pooled "
        f"ones by at most {abs(moved[term]):.2f} pooled standard errors ({term}); the pooled "
        f"standard errors are {ratio.min():.2f} to {ratio.max():.2f} times its own."
    )
    level = f"{100 * pooled.conf_level:g}%"
    pooled_holds = (table["conf_low"] <= 0) & (table["conf_high"] >= 0)
    alone_holds = (np.asarray(alone.conf_low) <= 0) & (np.asarray(alone.conf_high) >= 0)
    changed = [x for x, a, b in zip(table.index, pooled_holds, alone_holds, strict=True) if a != b]
    if changed:
        yield (
            f"Of {series(changed)} one of the two {level} intervals holds 0, and the other does "
            "not. " + author("what explains the difference")
        )
    else:
        yield f"The {level} intervals of both hold 0 for the same coefficients."


def _on_link(pooled: PooledMerMod) -> pd.DataFrame:
    """Return the coefficients on the scale of the link, on which those of other fits are."""
    if not pooled.exponentiate:
        return pooled.fixed
    logs = {x: np.log(pooled.fixed[x]) for x in ("estimate", "conf_low", "conf_high")}
    std_error = pooled.fixed["std_error"] / pooled.fixed["estimate"]  # by the delta method
    return pooled.fixed.assign(**logs, std_error=std_error)


def _sensitivity(pooled: PooledMerMod, table: pd.DataFrame | None) -> Iterator[str]:
    if table is None:
        yield author(
            "how the conclusions hold if values are missing not at random: rb.delta_sensitivity "
            "shifts imputed values, and methods_text(sensitivity=...) says what comes of it"
        )
        return
    about = table.attrs
    where = ""
    if about["by"] is not None:
        where = f" where {about['by']} is {series(map(label, about['groups']))}"
    low, high = table["delta"].min(), table["delta"].max()
    fixed = table[table["effect"] == "fixed"]
    yield (
        f"In a sensitivity analysis the imputed values of {about['column']} were shifted by "
        f"{low:+g} to {high:+g}{where} (delta adjustment, {table['delta'].nunique()} values)."
    )
    spread = fixed.groupby("term")["estimate"].agg(["min", "max"])
    errors = _on_link(pooled).set_index("term")["std_error"]
    term = ((spread["max"] - spread["min"]) / errors.reindex(spread.index)).idxmax()
    yield (
        f"The coefficient that moved most against its standard error was {term}, from "
        f"{spread.loc[term, 'min']:.4g} to {spread.loc[term, 'max']:.4g}."
    )
    holds = (fixed["conf_low"] <= 0) & (fixed["conf_high"] >= 0)
    several = holds.groupby(fixed["term"], sort=False).nunique() > 1
    changed = list(several.index[several])
    level = f"{100 * about['conf_level']:g}%"
    if changed:
        yield f"Whether the {level} interval holds 0 depended on the shift for {series(changed)}."
    else:
        yield f"For no coefficient did the shift decide whether the {level} interval holds 0."
    yield author("which shifts are plausible, and why")


def _versions(engines: Sequence[str | None]) -> str:
    """Say which software this is; it is that of today, which may not be what imputed the data."""
    python = f"Python {platform.python_version()}"
    ours = f"rbridge_mi {importlib.metadata.version('rbridge_mi')}"
    packages = ["lme4", *dict.fromkeys(x for x in engines if x is not None)]
    try:
        stack = rdoor.call("describe_stack", packages).value
    except RBridgeError:  # where there is no R, fits that were saved can still be pooled
        return f"Software: {ours}, {python}, " + author("versions of R and of its packages") + "."
    pairs = zip(stack["packages"], stack["versions"], strict=True)
    versions = [f"{name} {version}" for name, version in pairs if version]
    return f"Software: R {stack['r'][0]} with {series(versions)}, {ours}, {python}."
