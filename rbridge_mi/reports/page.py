"""One page on an analysis of incomplete data: from the holes to the answers, and how they came."""

from __future__ import annotations

import io
import math
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import plots
from ..base.extras import needed_module
from ..base.paths import writable_file, write_whole
from ..base.text import p_text
from ..data.convergence import OPTIMIZERS
from ..data.fingerprint import fingerprint
from ..doctor import diagnose
from ..errors import ArgumentError, RBridgeError, RBridgeWarning
from ..inference.mermod import MerMod
from ..pooled.listwise import compare_estimates
from ..pooled.mermod_list import MerModList
from ..pooled.pooled_mermod import PooledMerMod
from .table import table

__all__ = ["page_of", "report"]

_TEMPLATE = Path(__file__).with_name("template.html")
_AUTHOR = re.compile(r"(\[AUTHOR:[^\]]*\])")
# What a pooled table shows first; the rest is in `pooled.fixed`.
_FIXED = ("term", "estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high",
          "fmi")  # fmt: skip
_COMPARED = ("term", "listwise_estimate", "listwise_std_error", "pooled_estimate",
             "pooled_std_error", "difference", "se_ratio")  # fmt: skip
_MOVED = ("delta", "group", "term", "estimate", "std_error", "p_value", "conf_low", "conf_high")
_ROWS = 60  # of the largest tables; a report isn't the place for thousands


@dataclass
class _Section:
    key: str
    title: str
    parts: list[dict[str, Any]] = field(default_factory=list)

    def text(self, text: str, kind: str = "text") -> None:
        self.parts.append({"kind": kind, "text": text})

    def table(self, caption: str, frame: pd.DataFrame, most: int = _ROWS) -> None:
        shown = frame.head(most)
        more = f" (the first {most} of {len(frame)} rows)" if len(frame) > most else ""
        heads = [{"name": str(x), "text": _is_text(shown[x])} for x in shown.columns]
        columns = [_cells(shown[x], str(x)) for x in shown.columns]
        rows = [list(row) for row in zip(*columns, strict=True)]
        self.parts.append(
            {"kind": "table", "caption": caption + more, "heads": heads, "rows": rows}
        )

    def html(self, caption: str, write: Callable[[], str]) -> None:
        """Take a table that is HTML already; a model that has none says so in its place."""
        try:
            self.parts.append({"kind": "html", "caption": caption, "html": write()})
        except RBridgeError as error:
            self.text(f"{caption}: {error}", "note")

    def figure(self, caption: str, draw: Callable[[], Any]) -> None:
        """Draw a plot; what can't be drawn of these results says so in its place."""
        try:
            drawn = draw()
        except RBridgeError as error:
            self.text(f"{caption}: {error}", "note")
            return
        figure = getattr(drawn, "figure", None) or drawn
        svg = _svg(figure, f"{self.key}-{len(self.parts)}")
        _forget(figure)
        self.parts.append({"kind": "figure", "caption": caption, "svg": svg})


def report(
    pooled: PooledMerMod | MerModList,
    path: str | Path,
    *,
    listwise: MerMod | None = None,
    sensitivity: pd.DataFrame | None = None,
    title: str | None = None,
) -> Path:
    """Write one HTML page on a pooled model: data, imputations, fits, results, and how they came.

    The page holds everything that it shows: pictures are drawn in it (SVG), there is no script,
    and nothing is fetched. It prints well. Its parts: the data and their holes; the imputations and
    their convergence; the fits and what lme4 reported; pooled tables with plots; how far the
    results depend on the imputations; advice; a methods text, with "[AUTHOR: ...]" where only the
    author can know; versions and seeds.

    Parameters
    ----------
    pooled : PooledMerMod or MerModList
        What ``fits.pool()`` gave, or the fits, which are pooled by default.
    path : str or Path
        The file to write.
    listwise : MerMod, optional
        The same model fitted to the data with holes, to stand beside the pooled one.
    sensitivity : DataFrame, optional
        What `delta_sensitivity` gave, for the methods text and a table.
    title : str, optional
        By default the model's formula.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ArgumentError
        Something that is no pooled model, no fit of the same model, or no table of
        `delta_sensitivity`; a path that is a folder.
    MissingPathError
        The folder that the file would be in isn't there.
    MissingExtraError
        Where jinja2 or matplotlib isn't installed: ``pip install "rbridge_mi[report]"``.

    See Also
    --------
    table : Models side by side, for a paper.
    PooledMerMod.methods_text : The text on methods alone.

    Examples
    --------
    >>> import tempfile
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
    >>> imp = rb.AmeliaImputer(m=3, idvars=["schid", "meanses"]).impute(holes, seed=1)
    >>> fits = rb.Lmer("mathach ~ ses + (1 | schid)").fit(imp)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rb.report(fits, f"{folder}/report.html").name
    'report.html'
    """
    if isinstance(pooled, MerModList):
        pooled = pooled.pooled_by_default
    if not isinstance(pooled, PooledMerMod):
        raise ArgumentError(
            f"report takes a pooled model (`fits.pool()`) or fits, not {type(pooled).__name__}."
        )
    target = writable_file(path, "report.html")  # refused before the work of seconds
    page = page_of(pooled, listwise, sensitivity, title)
    return write_whole(target, "report.html", lambda file: _write(file, page))


def _write(file: Path, page: str) -> None:
    file.write_text(page, "utf-8")


def page_of(
    pooled: PooledMerMod,
    listwise: MerMod | None,
    sensitivity: pd.DataFrame | None,
    title: str | None,
    origin: Mapping[str, str] | None = None,
) -> str:
    """Return the page that `report` writes.

    Parameters
    ----------
    pooled, listwise, sensitivity, title : object
        As `report` has them.
    origin : mapping of str to str, optional
        Where the data and the analysis come from, such as files with their hashes: the first rows
        of the provenance.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    MissingExtraError
        Where jinja2 or matplotlib isn't installed.
    """
    jinja2 = needed_module("jinja2", "report", "a report")
    needed_module("matplotlib.figure", "report", "a report")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RBridgeWarning)  # its texts stand in the page
        methods = _of_methods(pooled, listwise, sensitivity)  # first: it checks the arguments
        sections = [
            *_of_data(pooled),
            _of_fits(pooled, listwise),
            _of_results(pooled, listwise),
            _of_diagnostics(pooled),
            methods,
            _of_provenance(pooled, origin or {}),
        ]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page: str = environment.from_string(_TEMPLATE.read_text("utf-8")).render(
        title=title or pooled.formula,
        subtitle=f"{pooled.m} fits pooled by {pooled.rule.description}",
        sections=[asdict(x) for x in sections],
    )
    return page


def _of_data(pooled: PooledMerMod) -> list[_Section]:
    if pooled.data is None:
        return []
    imp = pooled.data
    data = _Section("data", "Data and their holes")
    missing = imp.missing().rename_axis("column").reset_index()
    data.table("Missing values by column", missing)
    data.figure("Patterns of missing values", lambda: plots.missing_pattern(imp))
    group = min(pooled.ngrps, key=lambda name: pooled.ngrps[name])
    if group in imp.original.columns:
        data.figure(
            f"Share of missing values by {group}", lambda: plots.missing_map(imp, group=group)
        )
    imputations = _Section("imputations", "Imputations")
    imputations.text(str(imp.summary()), "pre")
    for text in imp.warnings:
        imputations.text(text, "note")
    imputations.figure("Observed and imputed values", lambda: plots.density(imp))
    if len(imp.trace) and imp.trace["value"].notna().any():
        caption = "How the optimizer went"
        if imp.method not in OPTIMIZERS:
            caption = "Chains that mixed worst"
            convergence = imp.convergence().sort_values("rhat", ascending=False, kind="stable")
            imputations.table("Convergence of the chains, the worst first", convergence, 15)
        imputations.figure(caption, lambda: plots.trace(imp, most=6))
    return [data, imputations]


def _of_fits(pooled: PooledMerMod, listwise: MerMod | None) -> _Section:
    section = _Section("fits", "Fits")
    fits = {str(fit.imputation): fit for fit in pooled.fits}
    if listwise is not None:
        fits["none: listwise"] = listwise
    rows = [
        {
            "imputation": name,
            "nobs": fit.nobs,
            "log_lik": fit.log_lik,
            "is_singular": fit.is_singular,
            "messages": "; ".join(fit.messages),
        }
        for name, fit in fits.items()
    ]
    section.table("Each fit, and what lme4 reported", pd.DataFrame(rows))
    section.figure(
        "Assumptions, in the first imputation",
        lambda: plots.check_model(pooled.fits[0], nsim=30, seed=1),
    )
    return section


def _of_results(pooled: PooledMerMod, listwise: MerMod | None) -> _Section:
    section = _Section("results", "Results")
    models = {"pooled": pooled} if listwise is None else {"listwise": listwise, "pooled": pooled}
    section.html(  # shows no degrees of freedom, so that no R package is needed for them
        "The model, as a paper prints it",
        lambda: table(
            *models.values(), names=[*models], dfcom="residual", exponentiate=pooled.exponentiate
        ).to_html(),
    )
    scale = ", exponentiated" if pooled.exponentiate else ""
    section.table(
        f"Fixed effects{scale} ({100 * pooled.conf_level:g}% intervals)",
        pooled.fixed[[x for x in _FIXED if x != "fmi" or pooled.rule.knows_missing_information]],
    )
    section.figure(
        "Fixed effects: pooled, each imputation"
        + ("" if listwise is None else ", and the rows without holes"),
        lambda: plots.forest(pooled, listwise=listwise),
    )
    section.table("Random effects: variances and covariances", pooled.varcorr)
    try:
        section.table("Random part with intervals", pooled.random)
    except RBridgeError as error:
        section.text(f"Random part with intervals: {error}", "note")
    section.figure("Random effects, by level", lambda: plots.ranef(pooled))
    if listwise is not None:
        fits = MerModList(pooled.fits, pooled.data) if pooled.data is not None else None
        if fits is not None:
            compared = compare_estimates(listwise, fits)
            scale = ", as coefficients" if pooled.exponentiate else ""
            section.table(f"Beside the rows without holes{scale}", compared[list(_COMPARED)])
    return section


def _of_diagnostics(pooled: PooledMerMod) -> _Section:
    section = _Section("diagnostics", "What missing data cost")
    if pooled.rule.knows_missing_information:
        section.figure("Variance within and between imputations", lambda: plots.variance(pooled))
        section.figure("Fraction of missing information", lambda: plots.fmi(pooled))
        section.table(
            "How far results depend on the imputations", pooled.diagnostics().coefficients
        )
    for text in pooled.advice:
        section.text(text, "note")
    if not pooled.advice:
        section.text("Nothing in the fits or the imputations asks for attention.")
    return section


def _of_methods(
    pooled: PooledMerMod, listwise: MerMod | None, sensitivity: pd.DataFrame | None
) -> _Section:
    section = _Section("methods", "Methods text")
    text = str(pooled.methods_text(listwise, sensitivity))
    paragraphs, _, references = text.partition("\nReferences\n")
    lines = [
        [{"text": piece, "author": bool(_AUTHOR.fullmatch(piece))} for piece in _AUTHOR.split(line)]
        for line in paragraphs.strip().split("\n\n")
    ]
    section.parts.append({"kind": "prose", "lines": lines})
    section.parts.append({"kind": "list", "caption": "References", "lines": _entries(references)})
    if sensitivity is not None:
        section.table("Sensitivity to values not missing at random", sensitivity[list(_MOVED)])
        section.figure("How estimates move with delta", lambda: plots.delta(sensitivity))
    return section


def _of_provenance(pooled: PooledMerMod, origin: Mapping[str, str]) -> _Section:
    section = _Section("provenance", "Provenance")
    facts = {**origin, "formula": pooled.formula, "family": pooled.family, "link": pooled.link}
    if pooled.data is not None:
        facts |= {"data with holes: SHA-256": fingerprint([pooled.data.original])}
        facts |= {"completed data: SHA-256": fingerprint(pooled.data)}
        facts |= {"engine": pooled.data.method, "seed": str(pooled.data.seed)}
        facts |= {f"engine: {name}": str(x) for name, x in pooled.data.settings.items()}
    stack = diagnose()
    facts |= {f"Python: {k}": v for k, v in stack.python.items()}
    facts |= {f"R: {k}": v for k, v in stack.r.items() if k in ("r", "platform", "blas", "lapack")}
    facts |= {f"R package: {k}": v for k, v in stack.packages.items() if v}
    section.table(
        "What this page was made from",
        pd.DataFrame({"what": list(facts), "value": list(facts.values())}),
    )
    return section


def _entries(references: str) -> list[str]:
    """Read the references, each of which begins at the margin or stands between empty lines."""
    return [" ".join(x.split()) for x in re.split(r"\n(?=\S)", references.strip()) if x.strip()]


# -- cells and pictures ----------------------------------------------------------------------


def _is_text(column: pd.Series[Any]) -> bool:
    return not pd.api.types.is_numeric_dtype(column.dtype)


def _cells(column: pd.Series[Any], name: str) -> list[str]:
    if name.endswith("p_value"):
        return [_known(p_text, float(x)) for x in column]
    if name == "df":
        return [_known(_df_text, float(x)) for x in column]
    if name == "log_lik":
        return [f"{x:.2f}" for x in column]
    if pd.api.types.is_float_dtype(column.dtype):
        values = column.to_numpy(np.float64, na_value=np.nan)
        return [_known("{:.4g}".format, x) for x in values]
    return ["" if pd.isna(x) else str(x) for x in column]


def _known(write: Callable[[float], str], number: float) -> str:
    return "" if math.isnan(number) else write(number)


def _df_text(df: float) -> str:
    if math.isinf(df):
        return "∞"
    return f"{df:.1f}" if df < 1000 else f"{df:,.0f}"


def _svg(figure: Any, salt: str) -> str:
    """Draw a figure as one SVG element, with the same bytes each time."""
    matplotlib = needed_module("matplotlib", "report", "a report")
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": salt}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]


def _forget(figure: Any) -> None:
    """Take a figure from pyplot, which would keep it, and show it in a notebook once more."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close(figure)
