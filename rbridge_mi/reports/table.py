"""Models side by side, as a paper prints them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from ..base.arguments import check_count, check_level, check_value, checked_argument
from ..base.checks import LEVEL, hint, list_of
from ..errors import ArgumentError
from ..inference.model_column import HasTableColumn, ModelColumn
from .layout import Grid, Row, Section, as_html, as_latex, as_markdown, as_text
from .table_numbers import Key, entries_of, merged, numbers_frame
from .table_texts import LABELS, Writer, notes_of, parts_of, texts_frame

__all__ = ["ModelTable", "table"]

_SHOWN = ("std_error", "interval", "statistic", "p_value")
_STATISTICS = ("icc", "groups", "nobs", "r2", "m", "fmi")
_STARS = (0.05, 0.01, 0.001)
_SECTIONS = {"fixed": "Fixed effects", "random": "", "statistics": "Model"}
_RANDOM = {
    "variance": "Random effects: variances",
    "sd": "Random effects: standard deviations",
}


@dataclass(frozen=True)
class ModelTable:
    """Models side by side; shows as a table in a console, a notebook, and a document of either.

    Attributes
    ----------
    frame : DataFrame
        The texts that are shown: a column per model, indexed by section, label and what is shown
        ("estimate", "std_error", "interval", ...). Empty where a model has no such row.
    numbers : DataFrame
        What they are texts of, a row per model and number: model, section ("fixed", "random" or
        "statistics"), group, term, estimate, std_error, statistic, df, p_value, conf_low,
        conf_high. Terms of the random part are as broom.mixed's: ``sd__x``, ``cor__x.z``,
        ``var__x``, ``cov__x.z``; statistics are icc and ngrps (by group), nobs (the least of the
        fits', and nobs_max where they differ), r2_marginal, r2_conditional, m, fmi.
    notes : tuple of str
        What stands below the table.
    caption : str
        What stands above it.

    See Also
    --------
    table : Makes these.
    """

    frame: pd.DataFrame
    numbers: pd.DataFrame
    notes: tuple[str, ...]
    caption: str
    grid: Grid = field(repr=False)

    def to_markdown(self) -> str:
        """Write the table in Markdown.

        Returns
        -------
        str
            A pipe table, with the caption above and the notes below it.

        See Also
        --------
        to_html : For pages, and for word processors, which take it from the clipboard.
        """
        return as_markdown(self.grid)

    def to_html(self) -> str:
        """Write the table in HTML.

        Returns
        -------
        str
            One ``<table>`` with its own style, which needs no style sheet.

        See Also
        --------
        to_latex : For LaTeX.
        """
        return as_html(self.grid)

    def to_latex(self, label: str = "", *, booktabs: bool = True) -> str:
        r"""Write the table in LaTeX.

        Parameters
        ----------
        label : str
            For ``\ref``.
        booktabs : bool
            Use the rules of the package booktabs; False uses ``\hline``.

        Returns
        -------
        str
            A ``tabular``, within a ``table`` where there is a caption or a label. Characters
            beyond ASCII stand as they are, which LaTeX reads as UTF-8.

        Raises
        ------
        ArgumentError
            A label of other characters than letters, digits and ``:.-_``.

        See Also
        --------
        to_html : For pages.
        """
        if not isinstance(label, str) or not all(x.isalnum() or x in ":.-_" for x in label):
            raise ArgumentError(
                f"label {label!r}: LaTeX's labels are of letters, digits, and the characters :.-_ "
                "here, as in 'tab:models'."
            )
        return as_latex(self.grid, label, booktabs=booktabs)

    def __str__(self) -> str:
        return as_text(self.grid)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.to_html()

    def _repr_latex_(self) -> str:
        return self.to_latex(booktabs=False)


def table(
    *models: Any,
    names: Sequence[str] | None = None,
    show: str | Sequence[str] = "std_error",
    stars: bool | Sequence[float] = False,
    digits: int = 3,
    exponentiate: bool | Sequence[bool] = False,
    random: Literal["variance", "sd"] | None = "variance",
    statistics: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    dfcom: Any = None,
    conf_level: float | None = None,
    caption: str = "",
) -> ModelTable:
    """Put models side by side, as a paper prints them.

    Parameters
    ----------
    *models : MerMod, PooledMerMod, MerModList or PooledEstimates
        Fits and pooled models, mixed as one likes: of the rows without holes beside those of
        imputed data, linear beside generalised. A list of fits is pooled by its default.
    names : sequence of str, optional
        The columns' titles; "(1)", "(2)", ... without them.
    show : {"std_error", "interval", "statistic", "p_value"} or several of them
        What stands below each estimate; an empty list for nothing.
    stars : bool or sequence of float
        Mark estimates by stars: True for p below 0.05, 0.01 and 0.001, or these levels. There are
        none by default: an interval says more.
    digits : int
        Decimals. Numbers too small for them have two digits, p values are written as smaller than
        the least.
    exponentiate : bool or sequence of bool
        Show odds ratios or rate ratios. True does so for all models but linear ones, which have
        none; a list has a truth value for each model. Models that were pooled with
        ``exponentiate=True`` are shown as they are.
    random : {"variance", "sd"}, optional
        How the random part is shown: variances and covariances, or standard deviations and
        correlations. None leaves it out.
    statistics : sequence of {"icc", "groups", "nobs", "r2", "m", "fmi"}, optional
        What is shown of the whole models, in this order; all by default, as far as there is any.
        Nakagawa's R2 costs some time for large data.
    labels : mapping, optional
        What terms and grouping factors are called, such as ``{"ses": "Socio-economic status"}``.
    dfcom : str or float, optional
        Degrees of freedom of single fits; see `MerMod.fixed`. Pooled models keep theirs.
    conf_level : float, optional
        Of the intervals of single fits: by default that of the pooled models, or 0.95. Pooled
        models keep theirs.
    caption : str
        Stands above the table.

    Returns
    -------
    ModelTable
        It prints as text and shows as HTML; `ModelTable.frame` has the texts,
        `ModelTable.numbers` the numbers, ``to_markdown()``, ``to_html()`` and ``to_latex()`` write
        it for a document.

    Raises
    ------
    ArgumentError
        No model, or something that is none; an argument that can't be right; coefficients that are
        no logarithms and were to be exponentiated; pooled models with intervals of several levels.
    RPackageError
        Where R lacks lmerTest, and a linear fit's degrees of freedom need it; ``dfcom="residual"``
        needs no package.

    See Also
    --------
    compare_estimates : One fit beside the pooled ones, number by number.
    PooledMerMod.summary : One model.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.2, columns="ses", seed=1)
    >>> imp = rb.AmeliaImputer(m=3, idvars=["schid", "meanses"]).impute(holes, seed=1)
    >>> model = rb.Lmer("mathach ~ ses + (1 | schid)")
    >>> rb.table(model.fit(holes), model.fit(imp), names=["Listwise", "Imputed"], digits=2)
                          Listwise  Imputed
    ---------------------------------------
    Fixed effects
      (Intercept)            12.68    12.65
                            (0.19)   (0.19)
      ses                     2.39     2.33
                            (0.12)   (0.11)
    Random effects: variances
      schid: (Intercept)      4.88     5.14
      Residual               36.80    36.98
    Model
      ICC (schid)             0.12     0.12
      Groups (schid)           160      160
      Observations            5748     7185
      R² (marginal)           0.08     0.07
      R² (conditional)        0.18     0.18
      Imputations                         3
      Largest FMI                      0.14
    ---------------------------------------
    Standard errors in parentheses.
    Pooled by Rubin's rules: Imputed.
    FMI: fraction of missing information, the largest of the coefficients'.
    """
    shown = _checked_show(show)
    levels = _checked_stars(stars)
    digits = check_count(digits, "digits", 0)
    if random is not None:
        check_value(random, tuple(_RANDOM), "random")
    wanted = _checked_statistics(statistics)
    columns = _columns(models, dfcom, conf_level)
    titles = _checked_names(names, len(columns))
    ratios = _checked_ratios(exponentiate, columns)
    columns = [x.as_ratios() if ratio else x for x, ratio in zip(columns, ratios, strict=True)]
    notes = notes_of(columns, titles, shown, levels)
    entries = []
    for title, column in zip(titles, columns, strict=True):
        entries.append(entries_of(column, random, wanted, title, notes))
    if any(Key("statistics", None, "fmi") in x for x in entries):
        notes.append("FMI: fraction of missing information, the largest of the coefficients'.")
    keys = merged([list(x) for x in entries])
    writer = Writer(_checked_labels(labels, keys), shown, levels, digits)
    rows = [row for key in keys for row in writer.rows(key, [x.get(key) for x in entries])]
    sections = tuple(
        Section(title, tuple(Row(x.label if x.first else "", x.cells) for x in part))
        for section, title in {**_SECTIONS, "random": _RANDOM.get(random or "", "")}.items()
        if (part := [x for x in rows if x.section == section])
    )
    if not isinstance(caption, str):
        raise ArgumentError(f"caption must be a text, not {caption!r}.")
    return ModelTable(
        frame=texts_frame(rows, titles),
        numbers=numbers_frame(entries, titles),
        notes=tuple(notes),
        caption=caption,
        grid=Grid(titles, sections, tuple(notes), caption),
    )


# -- arguments ----------------------------------------------------------------------------------


def _columns(models: Sequence[Any], dfcom: Any, conf_level: float | None) -> list[ModelColumn]:
    if not models:
        raise ArgumentError("table needs at least one model: `rb.table(fit, pooled)`.")
    for i, model in enumerate(models, start=1):
        if not isinstance(model, HasTableColumn):
            remedy = " Give them one by one: `rb.table(*models)`." if _is_list(model) else ""
            raise ArgumentError(
                f"table takes fits and pooled models (MerMod, MerModList, PooledMerMod, "
                f"PooledEstimates); number {i} is of type {type(model).__name__}.{remedy}"
            )
    if conf_level is None:
        pooled = {x.conf_level for x in models if hasattr(x, "conf_level")}
        if len(pooled) > 1:
            listed = " and ".join(f"{100 * x:g}%" for x in sorted(pooled))
            raise ArgumentError(
                f"the pooled models have intervals of {listed}: pool them with one conf_level."
            )
        conf_level = next(iter(pooled), None)
    else:
        check_level(conf_level)
    return [model.table_column(dfcom, conf_level) for model in models]


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _checked_show(show: Any) -> list[str]:
    shown = [show] if isinstance(show, str) else show
    if not isinstance(shown, list | tuple):
        raise ArgumentError(
            f"show must be of {', '.join(_SHOWN)}, or a list of them, not {show!r}."
        )
    _check_among(shown, _SHOWN, "show")
    return list(dict.fromkeys(shown))


def _checked_statistics(statistics: Any) -> list[str]:
    if statistics is None:
        return list(_STATISTICS)
    wanted = [statistics] if isinstance(statistics, str) else statistics
    if not isinstance(wanted, list | tuple):
        raise ArgumentError(
            f"statistics must be a list of {', '.join(_STATISTICS)}, not {statistics!r}."
        )
    _check_among(wanted, _STATISTICS, "statistics")
    return list(dict.fromkeys(wanted))


def _check_among(given: Iterable[Any], valid: Sequence[str], argument: str) -> None:
    for name in given:
        if name not in valid:
            raise ArgumentError(
                f"{argument} has no {name!r}{hint(name, valid)}; it has {', '.join(valid)}."
            )


def _checked_stars(stars: Any) -> tuple[float, ...]:
    if isinstance(stars, bool):
        return _STARS if stars else ()
    levels = list(stars) if isinstance(stars, tuple) else stars
    checked_levels: list[float] = checked_argument(levels, list_of(LEVEL, "levels"), "stars")
    return tuple(checked_levels)


def _checked_names(names: Any, count: int) -> tuple[str, ...]:
    if names is None:
        return tuple(f"({i})" for i in range(1, count + 1))
    if not isinstance(names, list | tuple) or not all(isinstance(x, str) for x in names):
        raise ArgumentError(f"names must be a list of texts, one per model, not {names!r}.")
    if len(names) != count:
        raise ArgumentError(f"names has {len(names)} titles for {count} models.")
    twice = [x for i, x in enumerate(names) if x in names[:i]]
    if twice:
        raise ArgumentError(f"names has {twice[0]!r} twice: a title names one column.")
    return tuple(names)


def _checked_ratios(exponentiate: Any, columns: Sequence[ModelColumn]) -> list[bool]:
    if isinstance(exponentiate, bool):
        ratios = [exponentiate and not x.is_linear for x in columns]
        if exponentiate and not any(ratios):
            raise ArgumentError(
                "exponentiate=True is for generalised models, and these are linear. Of a model of "
                f"a logarithm, say so by a list: exponentiate={[True] * len(columns)}."
            )
        return ratios
    given = exponentiate if isinstance(exponentiate, list | tuple) else [None]
    if not all(isinstance(x, bool) for x in given) or len(given) != len(columns):
        raise ArgumentError(
            "exponentiate must be true or false, or a list with a truth value for each of the "
            f"{len(columns)} models, not {exponentiate!r}."
        )
    return list(given)


def _checked_labels(labels: Any, keys: Iterable[Key]) -> Mapping[str, str]:
    if labels is None:
        return {}
    if not isinstance(labels, Mapping) or not all(isinstance(x, str) for x in labels.values()):
        raise ArgumentError(f"labels must map names to texts, not {labels!r}.")
    names: list[str] = []
    for section, group, term, effects in keys:
        names += [x for x in (group, *effects) if x is not None]
        names += [term] if section == "fixed" or term in LABELS else []
    valid = dict.fromkeys(x for name in names for x in (name, *parts_of(name)))
    _check_among(labels, list(valid), "labels")
    return labels
