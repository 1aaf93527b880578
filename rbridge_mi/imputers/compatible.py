"""Multiple imputation that agrees with the analysis model: ours, in numpy."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import (
    check_count,
    check_frame_for_r,
    check_memory,
    check_seed,
    column_list,
)
from ..data.imputed_data import ImputedData
from ..data.provenance import ColumnModel, trace_of_chains
from ..data.stores import Cells, CellStore, own_copy
from ..errors import ArgumentError, RBridgeWarning
from ..sampling.chains import prepared
from .arguments import EngineParameters
from .chain_runs import Run, run_chains
from .column_checks import check_columns_can_be_imputed
from .columns import Column
from .compatible_arguments import ARGUMENTS
from .imputation_problem import (
    Family,
    Regression,
    imputation_problem,
    observed_codes,
    regressions,
    shown_values,
)
from .model_data import (
    Formula,
    ModelData,
    Options,
    evaluated,
    nan_as_missing,
    read_model_data,
)
from .model_design import Model
from .restoring import restore

__all__ = ["CompatibleImputer"]

Array: TypeAlias = NDArray[Any]
_EACH = 1000  # bytes, at least, that a data set takes beside its values
_LINKS = {"gaussian": ("identity",), "binomial": ("probit", "logit"), "poisson": ("log",)}


class CompatibleImputer(EngineParameters):
    """Multiple imputation from the analysis model itself, by a Gibbs sampler in numpy.

    An imputation must know what the analysis will ask of it. Imputers that know nothing of the
    model (Amelia, or chained regressions without its random slopes and products) draw values that
    weaken what it looks for: slopes and the variance of slopes come out too small, the residual
    variance too large. Here the values are drawn from one joint distribution, of which the model
    that will be fitted is a part ("compatible", "substantive-model-compatible"):

        p(response | covariates, random effects; the analysis model) x p(covariates)
        x p(auxiliary variables | response, covariates)

    The covariates' part is a sequence of regressions, each on the columns before it, with random
    intercepts for every grouping factor. Each of the m imputations is the last state of a chain of
    its own; the chains run until they have mixed.

    Parameters
    ----------
    model : Lmer, Glmer or str
        The model that will be fitted, or its formula. Fixed effects may be anything that R can
        evaluate (``I(x^2)``, ``log(x)``, ``poly(x, 2)``, ``ns(x, 3)``, products, factors), random
        effects anything that lme4 takes.
    m : int
        Number of imputations, and of chains. `impute` chooses it if it isn't given there.
    family : {"gaussian", "binomial", "poisson"}, optional
        Of the response; by default the model's, or "gaussian".
    link : {"identity", "probit", "logit", "log"}, optional
        By default the model's; else "identity", "logit" of a binomial response, or "log" of a
        Poisson one.
    auxiliary : str or sequence of str
        Columns that are in no model of yours, but tell something of what is missing, or of why.
        They may have holes, which are imputed too. Without these, columns outside of the model
        keep their holes.
    types : mapping of str to str, optional
        By column, its type in place of the one that its dtype and values suggest: "continuous",
        "binary", "ordered", "categories" or "count".
    levels : mapping of str to str or None, optional
        By column, the grouping factor whose groups have one value each; None stands for rows. By
        default a column is of the level of a group if it is constant in every group, as observed,
        and in more of them than chance would make so.
    transforms : mapping of str to {"log", "logit"}, optional
        By column, the scale on which a continuous column is imputed: its imputed values are then
        above 0 (or above the lower bound), or between 0 and 1 (or between both bounds).
    bounds : mapping of str to (float or None, float or None), optional
        By column, the least and the greatest value that may be imputed.
    derived : mapping of str to str or tuple, optional
        Columns that follow from others and are recomputed with each imputed value:
        ``{"ses_mean": ("mean", "ses", "schid")}`` for group means, or an R expression,
        ``{"bmi": "weight / height^2"}``. An expression may name other derived columns:
        ``{"ses_within": "ses - ses_mean"}``.
    rhat : float, above 1
        The chains have mixed when R-hat of every parameter is at most this.
    min_iter : int, at least 20
        Iterations that are made at least.
    max_iter : int, at least 25, of a model of counts 50
        Iterations that are made at most. The first 20 are a beginning without random effects; in
        the next 20 the likelihood of counts grows sharp.

    Raises
    ------
    ArgumentError
        An argument can't be right.

    Warns
    -----
    RBridgeWarning
        By `impute`: the chains had not mixed after `max_iter` iterations, with the parameters'
        names; and what should be known of the data, such as groups without an observed value, few
        groups, skewed columns, and group means that are taken as given.

    See Also
    --------
    impute : ``impute(data, model=model)``, which can choose m.
    imputation_plan : What will be imputed, from what, and what is refused, before anything runs.
    AmeliaImputer : Faster, for models without groups.
    ImputedData.convergence : R-hat and effective sample sizes of the chains.

    Notes
    -----
    *Columns of several kinds.* Continuous columns are normal (on the scale that `transforms`
    gives), binary ones follow a probit regression, ordered ones an ordered probit, unordered
    categories a sequence of probits (is it the first; if not, the second; ...), and counts are the
    whole part of the exponential of a normal. A column of a higher level has one value per group,
    and is regressed on columns of its level and above, and on group means of complete ones below.
    Columns of higher levels come first, of each level those with the fewest holes.

    *The response* is normal, binary by logit or probit, or a count, Poisson with the logarithm as
    its link and the offset, such as log(exposure), in the linear predictor.

    *How values are drawn.* Exactly, where the models are linear in a continuous column and the
    response is no count, and for discrete columns by the probability of each category; else by
    Metropolis steps with widths that adapt themselves. Given counts, coefficients and each group's
    effects are proposed from a t distribution around a Newton step (Gamerman 1997), and accepted by
    the Poisson likelihood itself. The design of the analysis model is R's own ``model.matrix``.
    Bases that hang on the data, such as those of ``poly`` and ``ns``, stay as they are in a first
    completed data set.

    *Priors.* Weak, and of no unit, since everything is standardised inside and put back. In
    standard deviations: coefficients and intercepts are normal with SD 10; residual variances
    scaled inverse chi-squared (1 degree of freedom, scale 0.001); each SD of random effects is
    half-t (2 degrees of freedom, scale 0.2), each correlation uniform (Huang and Wand 2013). Beyond
    its scale the half-t density falls so that variances come out, in the mean, as large as those
    of the complete data; with larger scales they are inflated, where groups are few. On the scale
    of probits coefficients of covariates have SD 2.5 (intercepts 5), those of a binary response SD
    5 (by logit 8, intercepts 10), and the log distances of cutpoints are normal with SD 1.5. On the
    log scale of a count's rate coefficients have SD 5, for a standard deviation of their column,
    and the intercept SD 10 around the logarithm of all counts over all exposures, exp(offset), so
    that the unit of the exposure makes no difference; SDs of random effects are as above.

    *Convergence.* R-hat is the larger of the rank-normalised split R-hat of the values and of
    their distances from the median (Vehtari et al. 2021), over the second half of the iterations,
    of all parameters and of means and variances of imputed values. It is looked at after 100
    iterations, and whenever these have become 1.4 times as many.

    *Seeds.* Each chain has a random stream of its own, so that the data sets are the same to the
    last bit however many processes share the chains. Rows are imputed in an order that hangs on
    what they hold, so that shuffled rows have the same imputations, and, where the other columns
    tell all rows apart, so have groups of other names. In other units the imputations are the same
    but for rounding.

    References
    ----------
    Bartlett, Seaman, White and Carpenter (2015), Multiple imputation of covariates by fully
    conditional specification: accommodating the substantive model, Statistical Methods in Medical
    Research 24, 462-487. Enders, Du and Keller (2020), A model-based imputation procedure for
    multilevel regression models with random coefficients, interaction effects, and nonlinear terms,
    Psychological Methods 25, 88-112. Gamerman (1997), Sampling from the posterior distribution in
    generalized linear mixed models, Statistics and Computing 7, 57-68. Huang and Wand (2013),
    Simple marginally noninformative prior distributions for covariance matrices, Bayesian Analysis
    8, 439-452. Lüdtke, Robitzsch and West (2020), Regression models involving nonlinear effects
    with missing data: a sequential modeling approach using Bayesian estimation, Psychological
    Methods 25, 157-181. Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), Rank-normalization,
    folding, and localization: an improved R-hat for assessing convergence of MCMC, Bayesian
    Analysis 16, 667-718.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> hsb = rb.load_hsb()
    >>> few = hsb[hsb["schid"].isin(hsb["schid"].unique()[:40])]
    >>> holes = rb.ampute(few, prop=0.1, columns=["female", "ses"], seed=1)
    >>> model = rb.Lmer("mathach ~ female + ses + (1 | schid)")
    >>> imp = rb.CompatibleImputer(model, m=4).impute(holes, seed=1)
    >>> imp
    <ImputedData: compatible, m=4, 1785 rows x 8 columns, seed=1>
    >>> imp.saw["ses"].predictors, imp.saw["ses"].groups
    (('female', 'mathach'), ('schid',))
    >>> bool((imp.convergence()["rhat"] <= 1.05).all())
    True
    >>> model.fit(imp).pool().fixed[["term", "estimate", "std_error"]].round(1)
              term  estimate  std_error
    0  (Intercept)      13.6        0.4
    1       female      -1.4        0.3
    2          ses       2.3        0.2
    """

    known = ARGUMENTS

    def __init__(
        self,
        model: Model | str,
        m: int = 20,
        *,
        family: str | None = None,
        link: str | None = None,
        auxiliary: str | Sequence[str] = (),
        types: Mapping[str, str] | None = None,
        levels: Mapping[str, str | None] | None = None,
        transforms: Mapping[str, str] | None = None,
        bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
        derived: Mapping[str, Any] | None = None,
        rhat: float = 1.05,
        min_iter: int = 100,
        max_iter: int = 3000,
    ) -> None:
        self.remember(locals())
        self.model: Model = Formula(model) if isinstance(model, str) else model
        if not hasattr(self.model, "specification"):
            raise ArgumentError(
                f"model must be a model such as rb.Lmer(...), or a formula, not "
                f"{type(model).__name__}."
            )
        self.m = check_count(m, "m (the number of imputations)", 1)
        self.family = _family(self.model, family, link)
        by_column = {
            "types": types, "levels": levels, "transforms": transforms, "bounds": bounds,
            "derived": derived,
        }  # fmt: skip
        for argument, given in by_column.items():
            if given is not None and not isinstance(given, Mapping):
                raise ArgumentError(
                    f"{argument} must be a mapping by column, such as a dict, not {given!r}."
                )
        self.options = Options(
            tuple(column_list(auxiliary, "auxiliary")),
            dict(types or {}),
            dict(levels or {}),
            dict(transforms or {}),
            dict(bounds or {}),
            dict(derived or {}),
        )
        if not isinstance(rhat, int | float) or not rhat > 1:
            raise ArgumentError(f"rhat must be a number above 1, such as 1.05, not {rhat!r}.")
        self.rhat = float(rhat)
        self.min_iter = check_count(min_iter, "min_iter", 20)
        least = 50 if self.family.name == "poisson" else 25  # see Chains.step on how chains begin
        self.max_iter = check_count(max_iter, "max_iter", least)

    def impute(
        self, data: pd.DataFrame, seed: int | None = None, *, n_jobs: int | None = None
    ) -> ImputedData:
        """Make m completed data sets; see the class.

        Parameters
        ----------
        data : DataFrame
            With holes. Columns that are neither in the model nor auxiliary are carried along, with
            theirs.
        seed : int, optional
            Of numpy's `SeedSequence`; each imputation has a stream of its own. Drawn, and kept in
            the result, if not given.
        n_jobs : int, optional
            Processes over which the chains are split, as joblib counts them; the data sets are the
            same to the last bit.

        Returns
        -------
        ImputedData
            The original and the m completed data sets.

        Raises
        ------
        ArgumentError, FormulaError
            An argument, a column name or the formula can't be right.
        ImputationError
            What keeps the data from being imputed, each with its column and a remedy.

        Warns
        -----
        RBridgeWarning
            The chains had not mixed after `max_iter` iterations, with the parameters' names; and
            what should be known of the data.

        See Also
        --------
        ImputedData : The completed data sets.
        """
        data = nan_as_missing(check_frame_for_r(data))
        check_memory(self.m, 8 * int(data.isna().to_numpy().sum()) + _EACH, "imputations")
        seed = check_seed(seed)
        entropy = seed % 2**32  # numpy's seeds are not negative, R's may be
        read = read_model_data(data, self.model, self.family, self.options, entropy)
        check_columns_can_be_imputed(read.refused)
        chosen = regressions(read.columns, read.groups, read.response)
        run = self._run(read, entropy, n_jobs)
        notes = [*read.notes, *_unfilled(data, read)]
        if not run.imputed:
            notes.append("nothing has to be drawn: the data sets are all the same.")
        if run.slow:
            notes.append(_not_converged(run.slow, self.rhat, run.trace.shape[1]))
        for text in notes:
            warnings.warn(f"CompatibleImputer: {text}", RBridgeWarning, stacklevel=2)
        cells, changed = _cells(data, read, run, self.m)
        for text in changed:
            warnings.warn(f"CompatibleImputer: {text}", RBridgeWarning, stacklevel=2)
        return ImputedData(
            original=own_copy(data),
            store=CellStore(own_copy(data), cells, self.m),
            method="compatible",
            seed=seed,
            settings=self._settings(),
            notes=(*notes, *changed),
            trace=trace_of_chains(run.parameters, run.trace),
            saw=_saw(read, chosen),
        )

    def _run(self, read: ModelData, seed: int, n_jobs: int | None) -> Run:
        problem = imputation_problem(
            read.columns,
            read.design,
            read.values,
            self.family,
            groups=read.groups,
            means=read.means,
            wrap=read.with_derived,
            offset=read.offset,
            weights=read.weights,
        )
        if not any(x.missing.size for x in problem.variables):
            return Run({}, (), np.empty((self.m, 0, 0)), {})
        return run_chains(
            prepared(problem, seed),
            self.m,
            seed,
            rhat=self.rhat,
            min_iter=self.min_iter,
            max_iter=self.max_iter,
            n_jobs=n_jobs,
        )

    def _settings(self) -> dict[str, Any]:
        options = self.options
        formula = getattr(self.model, "formula", None) or getattr(self.model, "text", None)
        given = {
            "auxiliary": list(options.auxiliary),
            "types": options.types,
            "levels": options.levels,
            "transforms": options.transforms,
            "bounds": options.bounds,
            "derived": options.derived,
        }
        return {
            "m": self.m,
            "formula": formula,
            "family": self.family.name,
            "link": self.family.link,
            **{name: value for name, value in given.items() if value},
            "rhat": self.rhat,
            "min_iter": self.min_iter,
            "max_iter": self.max_iter,
        }

    def __repr__(self) -> str:
        return f"CompatibleImputer({self.model!r}, m={self.m})"


def _family(model: Model, family: str | None, link: str | None) -> Family:
    of_model: tuple[str | None, str | None] = getattr(model, "distribution", (None, None))
    name = family or of_model[0] or "gaussian"
    if name not in _LINKS:
        raise ArgumentError(
            f"family must be one of {', '.join(_LINKS)}, not {name!r}: the sampler has no model "
            "for other responses. Impute by `MiceImputer`, with the response among its predictors."
        )
    link = link or of_model[1] or _LINKS[name][-1]
    if link not in _LINKS[name]:
        choices = " or ".join(_LINKS[name])
        raise ArgumentError(f"link must be {choices} with family={name!r}, not {link!r}.")
    return Family(name, link)


def _unfilled(data: pd.DataFrame, read: ModelData) -> list[str]:
    """Tell of holes that stay, since their columns have no part in the model."""
    unused = [x.name for x in read.columns.values() if x.role == "unused"]
    holed = [str(name) for name in unused if data[name].isna().any()]
    if not holed:
        return []
    shown = ", ".join(holed[:5]) + (f" and {len(holed) - 5} more" if len(holed) > 5 else "")
    return [
        f"{shown}: holes stay, since neither the model nor `auxiliary` names "
        f"{'these columns' if len(holed) > 1 else 'this column'}."
    ]


def _not_converged(slow: Mapping[str, float], limit: float, iterations: int) -> str:
    shown = [f"{name} ({x:.2f})" for name, x in list(slow.items())[:5]]
    more = f" and {len(slow) - 5} more" if len(slow) > 5 else ""
    return (
        f"after {iterations} iterations the chains differ in {', '.join(shown)}{more}: R-hat is "
        f"above {limit:g}, so that the imputations may still depend on where the chains began. "
        "Look at imp.convergence() and imp.trace; give a larger max_iter, or a simpler model."
    )


# -- the completed cells --------------------------------------------------------------------------


def _cells(
    data: pd.DataFrame, read: ModelData, run: Run, m: int
) -> tuple[dict[Any, Cells], list[str]]:
    """Return the cells that the imputations fill, and notes on dtypes that changed."""
    values = {
        name: _values_by_row(column, run, read, m)
        for name, column in read.columns.items()
        if column.role in ("response", "covariate", "auxiliary")
    }
    values |= _derived(read, values, m)
    cells, changed = {}, []
    place = np.argsort(read.order)
    for name, ordered in values.items():
        by_row = ordered[:, place]
        hole = data[name].isna().to_numpy()
        rows = np.flatnonzero(hole)
        if read.columns[name].role == "derived":
            before = data[name].to_numpy(dtype=np.float64, na_value=np.nan)
            with np.errstate(invalid="ignore"):
                rows = np.flatnonzero((by_row != before).any(axis=0))
        if not rows.size:
            continue
        column = read.columns[name]
        decoded = [x[rows] if column.role == "derived" else column.decode(x[rows]) for x in by_row]
        restored = restore(data[name], decoded)
        cells[name] = Cells(rows.astype(np.int32), tuple(restored.values), restored.dtype)
        if restored.note:
            changed.append(restored.note)
        if column.role == "derived" and np.isnan(by_row[:, rows]).any():
            changed.append(
                f"{name} is computed, and missing where its expression has no value: give bounds "
                "or transforms to the columns that it follows from."
            )
    return cells, changed


def _values_by_row(column: Column, run: Run, read: ModelData, m: int) -> Array:
    """Return a column's numbers or codes in the ordered rows of the m data sets: (m, rows)."""
    values = np.repeat(column.values[None], m, axis=0)
    if column.name in run.imputed:
        imputed = run.imputed[column.name]
        if column.labels is not None:
            imputed = observed_codes(column)[imputed].astype(np.float64)
        hole = np.isnan(column.values)
        if column.level is None:
            values[:, hole] = imputed
        else:
            codes = read.groups[column.level]
            units = np.unique(codes[hole])
            values[:, hole] = imputed[:, np.searchsorted(units, codes[hole])]
    return values


def _derived(read: ModelData, values: Mapping[str, Array], m: int) -> dict[str, Array]:
    """Compute derived columns from the completed ones, in the ordered rows: (m, rows)."""
    shape = (m, len(read.order))
    derived: dict[str, Array] = {}

    def shown(name: str) -> Array:
        if name in derived:
            return derived[name]
        if name in values:
            return shown_values(read.columns[name], read.design, values[name])
        return np.broadcast_to(read.values[name], shape)

    for name, (of, group) in read.means.items():
        codes = read.groups[group]
        sizes = np.bincount(codes)
        derived[name] = np.stack([(np.bincount(codes, x) / sizes)[codes] for x in shown(of)])
    for name, expression in read.expressions.items():
        derived[name] = evaluated(expression, {x: shown(x) for x in expression.columns})
    return derived


# -- where they came from -------------------------------------------------------------------------


def _saw(read: ModelData, chosen: Sequence[Regression]) -> dict[str, ColumnModel]:
    """Return what each imputed column's model saw: the analysis model saw all groups."""
    groups = tuple(read.groups)
    in_model = [x.name for x in read.columns.values() if x.role in ("response", "covariate")]
    effects = tuple(f"{x.group}: {name}" for x in read.design.random for name in x.design.names)
    saw = {}
    for regression in chosen:
        column = regression.column
        if column.missing:
            others = (*regression.complete, *regression.means, *regression.parents, *in_model)
            predictors = tuple(dict.fromkeys(x for x in others if x != column.name))
            saw[column.name] = ColumnModel("compatible", predictors, groups, column.level, effects)
    if read.columns[read.response].missing:
        predictors = tuple(x for x in in_model if x != read.response)
        saw[read.response] = ColumnModel("compatible", predictors, groups, None, effects)
    return saw
