"""What mice can't do with the data, or does otherwise than one thinks; known before R is called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..base.labels import label
from ..errors import ArgumentError
from .mice_arguments import PASSED_ON, Setup, is_passive

__all__ = ["carried", "check", "keeps_state", "notes", "packages"]

_PACKAGES = {
    "cart": "rpart",
    "polyreg": "nnet",
    "polr": "MASS",
    "lda": "MASS",
    "2l.pan": "pan",
    "2l.lmer": "lme4",
    "2l.bin": "lme4",
    "panImpute": "mitml",
    "jomoImpute": "mitml",
}
# pan's compiled code keeps half a pair of random numbers from one call to the next.
_KEEP_STATE = ("2l.pan", "panImpute", "jomoImpute")
_LEVEL_1 = ("2l.norm", "2l.pan", "2l.lmer")
_LEVEL_2 = ("2lonly.norm", "2lonly.pmm")
# These work on numbers, and leave the cells of a category empty, or fail.
_NUMBERS = (
    "norm", "norm.nob", "norm.boot", "norm.predict", "mean", "midastouch", "quadratic", "ri",
    "mpmm", "mnar.norm", "lasso.norm", "lasso.select.norm",
)  # fmt: skip
_BINARY = ("logreg", "logreg.boot", "mnar.logreg", "lasso.logreg", "lasso.select.logreg")
_CATEGORIES = ("polyreg", "polr", "lda")
_FULL = ("logreg.boot", "lda")  # fail at a category that no row has
# These write the names of a design's columns into a formula, labels of categories among them.
_PASTE_LABELS = ("2l.lmer", "2l.bin")
# These join the column that they impute to its predictors, under a name of their own.
_NAME_YOBS = ("2l.lmer", "2l.bin", "cart")
_EPS = 1e-4  # mice's own, of variances


def packages(setup: Setup, arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return the R packages that the methods need, each with a method that needs it."""
    needed = {}
    for _, method, _ in setup.targets():
        package = _PACKAGES.get(method)
        if method == "rf":
            package = str(arguments.get("rfPackage", "ranger"))
        elif method.startswith("lasso."):
            package = "glmnet"
        if package is not None:
            needed[package] = method
    return needed


def keeps_state(setup: Setup) -> bool:
    """Tell whether a method gives other numbers in a process that has run it before."""
    return any(method in _KEEP_STATE for _, method, _ in setup.targets())


def carried(data: pd.DataFrame, setup: Setup) -> pd.DataFrame:
    """Return the data with classes of text and categories as integers, as mice needs them.

    Parameters
    ----------
    data : DataFrame
    setup : Setup

    Returns
    -------
    DataFrame
        Text is counted from 1 in the order of its first appearance, categories in the order of
        their levels. Other columns are as they were.
    """
    sent = data.copy(deep=False)
    for name in setup.classes:
        column = data[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            sent[name] = column.cat.codes.to_numpy().astype(np.int64) + 1
        elif _is_text(column):
            sent[name] = pd.factorize(column)[0].astype(np.int64) + 1
    return sent


def check(arguments: Mapping[str, Any], setup: Setup, data: pd.DataFrame) -> None:
    """Refuse what mice would fail at, or leave undone.

    Parameters
    ----------
    arguments : mapping
        As `mice_arguments.checked` returned them.
    setup : Setup
    data : DataFrame

    Raises
    ------
    ArgumentError
        Says what, in which column, and the remedy.
    """
    for name in setup.classes:
        _check_class(name, setup, data)
    for name in data.columns:
        _check_finite(data[name])
    for block, method, name in setup.targets():
        column = data[name]
        if not is_passive(method):
            _check_kind(method, column)
        if method.startswith("mnar."):
            blot = arguments.get("blots", {}).get(block, {})
            _check_ums(name, method, blot.get("ums", arguments.get("ums")), data)
        if method in _NAME_YOBS and "yobs" in data.columns and name != "yobs":
            raise ArgumentError(
                f"{name!r}: {method} calls the column that it imputes 'yobs', so that the data's "
                "column of this name would be taken for it: rename that one."
            )
        if method.startswith("2l"):
            group = data[_class_of(block, method, name, setup)]
            _check_multilevel(arguments, setup, block, method, column, group, data)


def notes(arguments: Mapping[str, Any], setup: Setup, data: pd.DataFrame) -> tuple[str, ...]:
    """Return notes on what mice does without a word, and otherwise than one thinks.

    Parameters
    ----------
    arguments : mapping
        As `mice_arguments.checked` returned them.
    setup : Setup
    data : DataFrame

    Returns
    -------
    tuple of str
        Whole sentences, each once.
    """
    texts = list(_notes_on_matrix(arguments, setup))
    in_blocks = {x for names in setup.blocks.values() for x in names}
    left = [x for x in data.columns if x not in in_blocks and data[x].isna().any()]
    if left:
        texts.append(
            f"{', '.join(map(repr, left))}: in no block and with no formula, so that mice leaves "
            "the holes"
        )
    for block, method, name in setup.targets():
        column, types = data[name], setup.types.loc[block]
        if _drops_predictors(arguments, method, column, setup):
            texts.append(
                f"{name!r}: the variance of its values is below mice's eps ({_eps(arguments):g}), "
                "for which mice drops all of its predictors without a word: give eps=0, or impute "
                "the column in a larger unit"
            )
        if block not in setup.by_formula:
            texts += _notes_on_types(method, name, types, setup)
        if method in _LEVEL_1 and set(column.dropna().unique()) <= {0, 1}:
            texts.append(
                f"{name!r} holds 0 and 1 only, and {method} draws numbers of all kinds, below 0 "
                "and above 1: for a binary column there is 2l.bin, or CompatibleImputer"
            )
        if method == "2l.bin":
            texts.append(
                f"{name!r}: 2l.bin draws the effects of groups without regard to the values that "
                "the groups have, so that differences between groups come out too small: "
                "CompatibleImputer draws them given these values"
            )
        if method == "2lonly.mean":
            group = data[_class_of(block, method, name, setup)]
            empty = group[~group.isin(group[column.notna()])].unique()
            if len(empty):
                texts.append(
                    f"{name!r}: 2lonly.mean copies a group's value, and {_shown(empty)} of "
                    f"{group.name!r} has none: its holes stay. 2lonly.norm and 2lonly.pmm impute "
                    "such groups"
                )
    return tuple(dict.fromkeys(texts))


def _is_text(column: pd.Series[Any]) -> bool:
    return pd.api.types.infer_dtype(column.dropna(), skipna=True) in ("string", "empty") and not (
        isinstance(column.dtype, pd.CategoricalDtype)
        or pd.api.types.is_numeric_dtype(column.dtype)
        or pd.api.types.is_datetime64_any_dtype(column.dtype)
    )


def _shown(values: Any) -> str:
    listed = ", ".join(str(x) for x in values[:3])
    more = f" and {len(values) - 3} more" if len(values) > 3 else ""
    return f"group {listed}" if len(values) == 1 else f"groups {listed}{more}"


def _eps(arguments: Mapping[str, Any]) -> float:
    return float(arguments.get("eps", _EPS))


def _class_of(block: str, method: str, name: str, setup: Setup) -> str:
    """Return the class that a multilevel method needs."""
    if block in setup.by_formula:
        raise ArgumentError(
            f"{name!r}: {method} takes its class from predictor_matrix, and its block has a "
            "formula, in which mice knows no class: leave the formula out, and give "
            f"predictor_matrix with -2 in row {block!r}."
        )
    types = setup.types.loc[block]
    classes = [str(x) for x in types.index[types == -2]]
    if len(classes) != 1:
        named = f"names {', '.join(map(repr, classes))}" if classes else "names none"
        raise ArgumentError(
            f"{name!r}: {method} needs one class, and row {block!r} of predictor_matrix {named}: "
            f"mark the column of the groups with -2, as in predictor_matrix={{{block!r}: "
            "{'school': -2}}."
        )
    return classes[0]


def _check_class(name: str, setup: Setup, data: pd.DataFrame) -> None:
    column = data[name]
    if column.isna().any():
        row = int(np.flatnonzero(column.isna())[0]) + 1
        raise ArgumentError(
            f"the class column {name!r} has missing values (the first in row {row}): mice can't "
            f"tell these rows' groups. Drop them (`data.dropna(subset=[{name!r}])`)."
        )
    if column.nunique() < 2:
        raise ArgumentError(
            f"the class column {name!r} has one group: mice drops it as constant, and multilevel "
            "methods fail without it. Use a method without groups."
        )
    if name in setup.where and setup.where[name].any():
        raise ArgumentError(
            f"where asks for imputations of {name!r}, the class column of predictor_matrix: it "
            "has all of its values. Give where as a frame that is False there."
        )


def _check_finite(column: pd.Series[Any]) -> None:
    if not pd.api.types.is_float_dtype(column.dtype):
        return
    if np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan)).any():
        raise ArgumentError(
            f"column {column.name!r} holds infinite values, with which mice's regressions fail: "
            "make them missing, or drop those rows."
        )


def _check_kind(method: str, column: pd.Series[Any]) -> None:
    """Refuse columns that a method can't impute."""
    name, dtype = column.name, column.dtype
    category = isinstance(dtype, pd.CategoricalDtype)
    if _is_text(column):
        raise ArgumentError(
            f"column {name!r} is text, which mice neither imputes nor imputes from: make it a "
            f"category (`data[{name!r}] = data[{name!r}].astype('category')`), or leave it as it "
            f"is with method={{{name!r}: ''}}."
        )
    if not (category or pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype)):
        raise ArgumentError(
            f"column {name!r} ({dtype}) is no number, truth value or category, and mice can't "
            f"impute it: make it a number, or leave it as it is with method={{{name!r}: ''}}."
        )
    if category and method in (*_LEVEL_1, *_LEVEL_2):
        other = "2lonly.mean" if method in _LEVEL_2 else "2l.bin (two categories)"
        raise ArgumentError(
            f"column {name!r} is a category, and {method} draws numbers, which leaves its cells "
            f"empty: use {other}, impute it as numbers, or take CompatibleImputer, which imputes "
            "categories of both levels."
        )
    if category and method in _NUMBERS:
        raise ArgumentError(
            f"column {name!r} is a category, and {method} draws numbers, which leaves its cells "
            "empty: use logreg (two categories), polyreg, polr (ordered), cart or pmm."
        )
    if method in _CATEGORIES and not category:
        raise ArgumentError(
            f"column {name!r} ({dtype}) holds no categories, and {method} imputes only these: make "
            f"it a category (`data[{name!r}] = data[{name!r}].astype('category')`), or use another "
            "method."
        )
    if method in _BINARY:
        observed = column.dropna().unique()
        if len(observed) > 2 or not (category or set(observed) <= {0, 1}):
            raise ArgumentError(
                f"column {name!r} is not binary, and {method} imputes only two categories, truth "
                "values, or 0 and 1: use another method."
            )
    if method in _FULL and category and column.nunique() < len(dtype.categories):
        raise ArgumentError(
            f"column {name!r} has a category that no row has, at which {method} fails: "
            f"`data[{name!r}].cat.remove_unused_categories()` takes it out."
        )
    if method == "2l.bin":
        values = column.dtype.categories if category else column.dropna().unique()
        right = len(values) == 2 if category else set(values) <= {0, 1}
        if not right:
            raise ArgumentError(
                f"column {name!r} is not binary, and 2l.bin imputes only 0 and 1, or two "
                "categories: use another method."
            )


def _check_passed_on(name: Any, method: str, arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that these methods hand on to lme4, which takes none of them."""
    for given in arguments:
        if given in PASSED_ON and given != "intercept":
            raise ArgumentError(
                f"{name!r}: mice passes {given} on to {method}, and this to lme4, which fails at "
                "it, so that the cells would be random draws of observed values. If it is meant "
                f"for another column, give it in that one's blots, as in blots={{'other': "
                f"{{{given!r}: ...}}}}; otherwise leave it out."
            )


def _check_ums(name: str, method: str, ums: str | None, data: pd.DataFrame) -> None:
    """Refuse an unidentifiable part (ums) that mice would fail at, or take for missing numbers."""
    if ums is None:
        raise ArgumentError(
            f"{name!r}: {method} needs ums, what it adds to the imputations, such as "
            f"blots={{{name!r}: {{'ums': '-2+0.1*age'}}}}."
        )
    terms = [x for x in ums.replace("-", "+-").split("+") if x]
    plain = [x for x in terms if "*" not in x]
    dummies = [x for x in data if isinstance(data[x].dtype, pd.CategoricalDtype)]
    for factor, times, of in (x.partition("*") for x in terms):
        try:
            float(factor)
        except ValueError:
            raise ArgumentError(
                f"{name!r}: ums={ums!r} has {factor!r} in place of a number, as in 2 or 0.1*age "
                "(numbers without exponents, and before the column)."
            ) from None
        if times and of not in data.columns and not of.startswith(tuple(dummies)):
            raise ArgumentError(
                f"{name!r}: ums={ums!r} names {of!r}, which is no column of the data (nor one with "
                "its category, and there may be no spaces)."
            )
    if len(plain) != 1:
        raise ArgumentError(
            f"{name!r}: ums={ums!r} must have one number without a column, and has {len(plain)}."
        )


def _check_multilevel(
    arguments: Mapping[str, Any],
    setup: Setup,
    block: str,
    method: str,
    column: pd.Series[Any],
    group: pd.Series[Any],
    data: pd.DataFrame,
) -> None:
    name = column.name
    types = setup.types.loc[block]
    observed = column.notna() & ~setup.ignore
    if _drops_predictors(arguments, method, column, setup):
        remedy = "" if method in _PASTE_LABELS else "give eps=0, or "
        raise ArgumentError(
            f"{name!r}: the variance of its values is below mice's eps ({_eps(arguments):g}), for "
            f"which mice drops all predictors, the class among them, without which {method} "
            f"fails: {remedy}impute the column in a larger unit."
        )
    if method == "2l.pan" and not (column.isna() == setup.where[name]).all():
        raise ArgumentError(
            f"{name!r}: 2l.pan knows no where: it draws all missing cells and no others, so that "
            "rows would be mixed up. Leave the column out of where, or take 2l.lmer."
        )
    if method == "2l.pan" and setup.ignore.any():
        raise ArgumentError(
            f"{name!r}: 2l.pan knows no ignore, and would mix up the rows: leave it out, or take "
            "2l.lmer."
        )
    if method == "2l.pan":
        for predictor in types.index[types.isin([3, 4])]:
            if (data[predictor].groupby(group, observed=True).nunique() <= 1).all():
                raise ArgumentError(
                    f"{name!r}: predictor_matrix asks 2l.pan for the class means of {predictor!r} "
                    "(3 or 4), which is constant in each group and thus its own mean: 2l.pan would "
                    "never end. Give it 1."
                )
    if method in _PASTE_LABELS:
        _check_passed_on(name, method, {**arguments, **arguments.get("blots", {}).get(block, {})})
    if method == "2l.lmer" and (types == 2).any():
        sizes = group[observed].value_counts()
        single = sizes.index[sizes == 1]
        if len(single):
            raise ArgumentError(
                f"{name!r}: {_shown(single)} of {group.name!r} has one observed row of it, and "
                "2l.lmer with random slopes (type 2) fails at these: use 2l.pan, type 1, or "
                "CompatibleImputer."
            )
    if method in _LEVEL_2:
        partly = group[observed].unique()
        partly = [x for x in partly if (column.isna() & (group == x)).any()]
        if partly:
            raise ArgumentError(
                f"{name!r}: {method} imputes groups without any value, and {_shown(partly)} of "
                f"{group.name!r} has some of its rows: it has to be one value for each group. "
                "2lonly.mean completes such groups."
            )
    if method in _PASTE_LABELS:
        for predictor in types.index[(types != 0) & (types != -2)]:
            _check_labels(predictor, data[predictor], method, name)


def _check_labels(predictor: str, column: pd.Series[Any], method: str, name: Any) -> None:
    """Refuse labels of categories that would be no names, or code, in a formula."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return
    for text in map(label, column.dtype.categories):
        if not re.fullmatch(r"[\w.]*", text):
            raise ArgumentError(
                f"{name!r}: {method} writes the categories of its predictors into a formula, and "
                f"{text!r} of {predictor!r} would be no name there: rename it "
                f"(`data[{predictor!r}].cat.rename_categories(...)`)."
            )


def _drops_predictors(
    arguments: Mapping[str, Any], method: str, column: pd.Series[Any], setup: Setup
) -> bool:
    """Tell whether mice drops all predictors of a column, whose variance it takes for none."""
    if is_passive(method) or method in ("sample", "mean", "mpmm", "panImpute", "jomoImpute"):
        return False
    if not pd.api.types.is_numeric_dtype(column.dtype) or _eps(arguments) == 0:
        return False
    values = column[~setup.ignore].dropna().to_numpy(dtype=np.float64)
    return len(values) > 1 and bool(0 < np.var(values, ddof=1) < _eps(arguments))


def _notes_on_types(method: str, name: str, types: pd.Series[Any], setup: Setup) -> Iterator[str]:
    def listed(*kinds: int) -> str:
        return ", ".join(repr(x) for x in types.index[types.isin(kinds)])

    if method == "2l.norm" and listed(1, 3, 4):
        yield (
            f"{name!r}: 2l.norm uses predictors of type 2 only, and {listed(1, 3, 4)} has another: "
            "it is ignored. Give 2"
        )
    elif method not in _KEEP_STATE and listed(3, 4):
        yield (
            f"{name!r}: types 3 and 4 (class means) are 2l.pan's, and with {method} "
            f"{listed(3, 4)} comes without its class means: add them as a column"
        )
    multilevel = method.startswith("2l") or method in _KEEP_STATE
    takes_none = is_passive(method) or method in ("sample", "mean")
    if not multilevel and not takes_none:
        for group in setup.classes:
            if types[group] != 0:
                yield (
                    f"{name!r}: {method} knows no groups, and takes the class {group!r} for a "
                    "number: give it 0 in this row of predictor_matrix, or a 2l method"
                )


def _notes_on_matrix(arguments: Mapping[str, Any], setup: Setup) -> Iterator[str]:
    """Tell of cells that R's pattern for the diagonal meets, too."""
    if "predictorMatrix" not in arguments or "blocks" in arguments:
        return
    for name in setup.types.index:
        if "." not in name:
            continue
        for other in setup.types.columns:
            if other != name and re.fullmatch(name.replace(".", r"."), other):
                yield (
                    f"mice takes the name {name!r} for a pattern that {other!r} meets, and doesn't "
                    f"impute it from that column: rename one of them"
                )
