"""The glossary: one concept, one column name, one line of meaning; and the tables that have them.

A few tables also have columns that are named by the data: a factor's levels
(`PooledMerMod.emmeans`), or a column per term (`MerMod.coef`, ``vcov(by_imputation=True)``). Those
keep the data's names. Where one of them has the name of a glossary column of the same table, the
glossary column gets an underscore at its end, as ``lambda_`` has one: for a factor ``t``, the
column ``t`` holds its levels, and ``t_`` the total variance. All other columns keep their names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from ..errors import RBridgeError

__all__ = ["GLOSSARY", "TABLES", "beside", "checked", "name_beside"]

GLOSSARY: dict[str, str] = {
    "imputation": "number of the data set that the row is about, from 1",
    "parameter": "name of a number that an imputation engine follows in its chains",
    "rhat": "how far the chains are from having mixed: near 1 if they have, at least 1.05 if not",
    "ess_bulk": "number of independent draws that the chains are worth, for the mean or the median",
    "row": "label of a row of the data",
    "observed": "the value that a cell of the data has",
    "overimputed_mean": "mean of what would be imputed, were the cell missing",
    "overimputed_low": "lower end of the 90% interval of what would be imputed",
    "overimputed_high": "upper end of the 90% interval of what would be imputed",
    "row_missing": "fraction of the model's columns that the row lacks, this one counted",
    "chain": "number of a chain of iterations, from 1",
    "iteration": "number of an iteration of a chain, from 1",
    "component": "number of a principal component of a model's parameters, the largest first",
    "value": "value of what the row names",
    "column": "a column of the data",
    "role": "what a column is to the model: response, covariate, auxiliary, group, derived, unused",
    "level": "grouping factor whose groups have one value each; missing where rows have",
    "type": "kind of a column's values: continuous, binary, ordered, categories, count",
    "missing": "fraction of a column's units (rows, or groups) without a value",
    "imputed_by": "the model that draws a column's missing values; derived columns are recomputed; "
    "missing where nothing is done",
    "predictors": "what a column is imputed or recomputed from",
    "reason": "why a column has this type and level",
    "term": "name of a coefficient, as R writes it",
    "other_term": "name of the second coefficient of a covariance; of a variance, the same one",
    "error": "class of the error that left a data set without a fit",
    "message": "what the error said, with R's text",
    "hypothesis": "what is tested: a text, or the name that a job gives it",
    "comparison": "name that a job gives to a comparison of two models",
    "full": "name of the model that has the parameters that are tested",
    "reduced": "name of the model nested in it, without these parameters",
    "note": "what had to be done differently, or limits the result",
    "effect": "'fixed', or 'ran_pars' for standard deviations and correlations",
    "group": "grouping factor of a random term; 'Residual' for the residual",
    "grp": "a level of the grouping factor; in varcorr the factor itself, as lme4 has it",
    "grpvar": "grouping factor of a random effect",
    "var1": "term of a random effect; missing for the residual",
    "var2": "second term of a covariance; missing for a variance",
    "vcov": "variance, or covariance of var1 and var2, or of term and other_term",
    "sdcor": "standard deviation, or correlation of var1 and var2",
    "condval": "conditional mode of a random effect (pooled: their mean)",
    "condsd": "its conditional standard deviation (pooled: total)",
    "estimate": "estimate, in the units of the response per unit of the term",
    "std_error": "standard error of the estimate",
    "statistic": "estimate divided by its standard error",
    "df": "degrees of freedom of the reference t distribution",
    "method": "rule by which a test was pooled: D1, D2, D3 or D4",
    "df1": "numerator degrees of freedom: number of hypotheses or parameters tested",
    "df2": "denominator degrees of freedom; missing where R gives none",
    "sum_sq": "sum of squares, in squared units of the response: mean_sq times df1",
    "mean_sq": "F statistic times the residual variance",
    "p_value": "two-sided p value of the statistic",
    "conf_low": "lower end of the confidence interval",
    "conf_high": "upper end of the confidence interval",
    "ubar": "within-imputation variance: the mean of the squared standard errors",
    "b": "between-imputation variance of the estimates, divisor m - 1",
    "t": "total variance: ubar + (1 + 1/m) b",
    "riv": "relative increase in variance due to missing data",
    "lambda_": "proportion of the total variance due to missing data",
    "fmi": "fraction of missing information",
    "n_obs": "rows that the model was fitted to",
    "n_lvls": "number of grouping factors, as merTools' modelInfo counts",
    "nobs": "rows that the model was fitted to",
    "npar": "number of estimated parameters",
    "sigma": "residual standard deviation",
    "log_lik": "log-likelihood; the restricted one after REML",
    "aic": "Akaike's criterion on log_lik",
    "bic": "Schwarz's criterion on log_lik",
    "reml_crit": "-2 times the restricted log-likelihood at the optimum",
    "deviance": "-2 times the log-likelihood at the optimum",
    "df_residual": "nobs minus npar",
    "is_singular": "whether the fit lies on the boundary of the covariance parameters",
    "messages": "what lme4 and its optimizer reported about the fit",
    "optimizer": "optimizer of the fit, as lme4 names it",
    "optimizer_message": "what the optimizer reported at its end",
    "converged": "whether neither lme4 nor its optimizer complained of convergence",
    "n_boundary": "number of fits in which the parameter lies on its boundary",
    "fmi_low": "lower end of the fraction of missing information's interval",
    "fmi_high": "upper end of the fraction of missing information's interval",
    "mce_estimate": "Monte Carlo error of the estimate: its spread over repeated imputation",
    "mce_std_error": "Monte Carlo error of the standard error",
    "mce_df": "Monte Carlo error of the degrees of freedom",
    "mce_p_value": "Monte Carlo error of the p value",
    "m_needed": "imputations that would make the standard error replicable",
    "r2_marginal": "share of the variance due to the fixed part",
    "r2_conditional": "share of the variance due to the fixed and the random part",
    "icc_adjusted": "random variance as a share of random and residual variance",
    "icc_conditional": "random variance as a share of the whole, fixed part included",
    "icc_response": "random variance's share of the variance of the response, on its own scale",
    "var_fixed": "variance of the fixed part's predictions",
    "var_random": "mean variance of the random part's predictions",
    "var_residual": "residual variance",
    "pred_low": "lower end of the interval for a new observation",
    "pred_high": "upper end of the interval for a new observation",
    "contrast": "marginal mean or comparison of them, as emmeans writes it",
    "mean": "mean of the simulated values",
    "median": "median of the simulated values",
    "sd": "standard deviation of the simulated values",
    "part": "what a prediction is of: combined (of all), fixed, or a grouping factor's effects",
    "expected_rank": "rank that a group's effect is expected to have among all groups, from 1",
    "percentile": "expected rank in percent of the number of groups, rounded",
    "quantile": "share of the groups whose effects are no larger",
    "case": "number of a row of the new data, from 1",
    "bin": "number of a class of groups with similar expected ranks, from 1 for the lowest",
    "n_groups": "number of groups in the class",
    "replicate": "number of a bootstrap sample, from 1; 0 for the fit itself",
    "listwise_estimate": "estimate from the rows without holes",
    "listwise_std_error": "its standard error",
    "listwise_conf_low": "lower end of its confidence interval",
    "listwise_conf_high": "upper end of its confidence interval",
    "listwise_nobs": "rows without holes that the model was fitted to",
    "pooled_estimate": "estimate pooled over imputations",
    "pooled_std_error": "its standard error",
    "pooled_conf_low": "lower end of its confidence interval",
    "pooled_conf_high": "upper end of its confidence interval",
    "pooled_nobs": "rows that the models were fitted to after imputation",
    "delta": "shift of a column's imputed values, in its units",
    "holds_zero": "whether the confidence interval holds 0",
    "model": "name of a model, of several in one table",
    "section": "part of a table of models: fixed, random, or statistics of the whole model",
    "difference": "pooled minus listwise estimate",
    "source": "what a row shows: observed or imputed; or a listwise, single or pooled estimate",
    "category": "a category of a column that has no numbers",
    "n_rows": "number of rows of the data that the row is about",
    "pattern": "number of a pattern of missingness, from 1 for the most frequent",
    "is_missing": "whether the column is missing in the pattern",
    "x": "value along the x axis of a plot",
    "y": "value along the y axis of a plot",
    "within_low": "lower end of the interval that complete data would leave",
    "within_high": "upper end of the interval that complete data would leave",
    "zeta": "signed root of the rise in deviance, as the parameter leaves its estimate",
    "panel": "which look at a model the row belongs to",
    "series": "what is drawn in one manner within a panel",
    "density": "estimated density at a value, or a category's share of the cells",
    "se_ratio": "pooled over listwise standard error: below 1 where imputation gained precision",
}

TABLES: dict[str, tuple[str, ...]] = {
    "fixef": ("term", "estimate"),
    "ranef": ("grpvar", "term", "grp", "condval", "condsd"),
    "varcorr": ("grp", "var1", "var2", "vcov", "sdcor"),
    "model_info": ("n_obs", "n_lvls", "aic", "sigma"),
    "tidy": ("effect", "group", "term", "estimate", "std_error", "statistic"),
    "glance_reml": ("nobs", "sigma", "log_lik", "aic", "bic", "reml_crit", "df_residual"),
    "glance_ml": ("nobs", "sigma", "log_lik", "aic", "bic", "deviance", "df_residual"),
    "confint": ("term", "conf_low", "conf_high"),
    "anova": ("npar", "aic", "bic", "log_lik", "deviance", "statistic", "df", "p_value"),
    "convergence": ("is_singular", "messages"),
    "all_fit": ("optimizer", "log_lik", "is_singular", "messages"),
    "convergence_chains": ("parameter", "rhat", "ess_bulk"),
    "overimpute": (
        "row", "observed", "overimputed_mean", "overimputed_low", "overimputed_high", "row_missing",
    ),
    "disperse": ("chain", "iteration", "component", "value"),
    "imputation_plan": (
        "column", "role", "level", "type", "missing", "imputed_by", "predictors", "reason",
    ),
    "estimates": (
        "term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high",
    ),
    "anova_terms": ("term", "sum_sq", "mean_sq", "df1", "df2", "statistic", "p_value"),
    "anova_wald": ("term", "statistic", "df", "p_value"),
    "anova_pooled": ("term", "method", "statistic", "df1", "df2", "p_value", "riv"),
    "test_one": ("statistic", "df1", "df2", "p_value"),
    "test": ("method", "statistic", "df1", "df2", "p_value", "riv"),
    "tests": ("hypothesis", "method", "statistic", "df1", "df2", "p_value", "riv"),
    "tests_one": ("hypothesis", "statistic", "df1", "df2", "p_value"),
    "comparisons": (
        "comparison", "full", "reduced", "method", "statistic", "df1", "df2", "p_value", "riv",
        "note",
    ),
    "comparisons_one": (
        "comparison", "full", "reduced", "statistic", "df", "p_value", "note",
    ),
    "random": (
        "group", "term", "estimate", "std_error", "df", "conf_low", "conf_high", "fmi",
        "n_boundary",
    ),
    "random_one": (
        "group", "term", "estimate", "std_error", "conf_low", "conf_high", "n_boundary",
    ),
    "ranef_intervals": ("grpvar", "term", "grp", "condval", "condsd", "conf_low", "conf_high"),
    "r2": (
        "r2_marginal", "r2_conditional", "icc_adjusted", "icc_conditional", "icc_response",
        "var_fixed", "var_random", "var_residual",
    ),
    "diagnostics": (
        "term", "fmi", "fmi_low", "fmi_high", "mce_estimate", "mce_std_error", "mce_df",
        "mce_p_value", "m_needed",
    ),
    "diagnostics_fits": (
        "converged", "is_singular", "optimizer", "optimizer_message", "messages",
    ),
    "predict_se": ("estimate", "std_error"),
    "predict": ("estimate", "std_error", "df"),
    "predict_confidence": ("estimate", "std_error", "df", "conf_low", "conf_high"),
    "predict_prediction": ("estimate", "std_error", "df", "pred_low", "pred_high"),
    "compare_estimates": (
        "term", "listwise_estimate", "listwise_std_error", "listwise_conf_low",
        "listwise_conf_high", "listwise_nobs", "pooled_estimate", "pooled_std_error",
        "pooled_conf_low", "pooled_conf_high", "pooled_nobs", "difference", "se_ratio", "fmi",
    ),
    "fe_sim": ("term", "mean", "median", "sd"),
    "re_sim": ("grpvar", "term", "grp", "mean", "median", "sd"),
    "predict_interval": ("estimate", "pred_low", "pred_high"),
    "predict_interval_all": ("part", "estimate", "pred_low", "pred_high"),
    "re_rank": (
        "grpvar", "term", "grp", "condval", "condsd", "expected_rank", "percentile",
    ),
    "re_quantile": ("quantile", "grp", "condval"),
    "re_impact": ("case", "bin", "estimate", "std_error", "n_groups"),
    "re_margins": (
        "case", "grpvar", "term", "bin", "grp", "part", "estimate", "pred_low", "pred_high",
    ),
    "plot_forest": (
        "source", "imputation", "term", "estimate", "std_error", "conf_low", "conf_high",
    ),
    "plot_density": ("column", "source", "imputation", "value", "category", "density"),
    "plot_missing_map_groups": ("column", "grp", "n_rows", "missing"),
    "plot_missing_map_rows": ("column", "row", "n_rows", "missing"),
    "plot_missing_pattern": ("pattern", "n_rows", "column", "is_missing"),
    "plot_strip": ("column", "row", "source", "imputation", "value", "category"),
    "plot_scatter": ("row", "source", "imputation", "x", "y"),
    "plot_trace": ("imputation", "iteration", "parameter", "value", "rhat"),
    "plot_variance": ("term", "std_error", "ubar", "b", "t", "lambda_"),
    "plot_ranef": (
        "grpvar", "term", "grp", "condval", "condsd", "ubar", "b", "lambda_", "within_low",
        "within_high", "conf_low", "conf_high",
    ),
    "plot_re_sim": ("grpvar", "term", "grp", "mean", "median", "sd", "conf_low", "conf_high"),
    "plot_fe_sim": ("term", "mean", "median", "sd", "conf_low", "conf_high"),
    "plot_delta": (
        "delta", "effect", "group", "term", "estimate", "conf_low", "conf_high", "holds_zero",
    ),
    "plot_check_model": ("panel", "series", "replicate", "x", "y"),
    "plot_profile": ("parameter", "value", "zeta", "conf_low", "conf_high"),
    "delta_sensitivity": (
        "delta", "effect", "group", "term", "estimate", "std_error", "statistic", "df", "p_value",
        "conf_low", "conf_high", "fmi",
    ),
    "models": (
        "model", "section", "group", "term", "estimate", "std_error", "statistic", "df", "p_value",
        "conf_low", "conf_high",
    ),
    "grid_vcov": ("term", "other_term", "vcov"),
    "grid_glance": (
        "nobs", "sigma", "log_lik", "aic", "bic", "reml_crit", "deviance", "df_residual",
    ),
    "failures": ("error", "message"),
    "fixed": (
        "term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high",
        "ubar", "b", "t", "riv", "lambda_", "fmi",
    ),
}  # fmt: skip


def checked(
    frame: pd.DataFrame, table: str, *, by_imputation: bool = False, by_model: bool = False
) -> pd.DataFrame:
    """Check that a frame has the columns of its table; every table that is returned passes here.

    Parameters
    ----------
    frame : DataFrame
        The table.
    table : str
        Its name in `TABLES`.
    by_imputation : bool
        Whether it has a row (or several) per imputation, and that column first.
    by_model : bool
        Whether it is of several models, and the column model comes before all others.

    Returns
    -------
    DataFrame
        The same frame.

    Raises
    ------
    RBridgeError
        Other columns: a fault of this library.
    """
    keys = {"model": by_model, "imputation": by_imputation}
    expected = [*(name for name, is_there in keys.items() if is_there), *TABLES[table]]
    if list(frame.columns) != expected:
        raise RBridgeError(f"table {table!r} has columns {list(frame.columns)}, not {expected}")
    return frame


def name_beside(name: str, named_by_data: Iterable[Any]) -> str:
    """Name a glossary column beside columns that are named by the data.

    Parameters
    ----------
    name : str
        The column's name in the glossary.
    named_by_data : iterable
        Names of the other columns.

    Returns
    -------
    str
        The name, with as many underscores at its end as make it differ from the others.

    See Also
    --------
    beside : Makes such a table.

    Examples
    --------
    >>> name_beside("t", ["t", "f"]), name_beside("df", ["t", "f"]), name_beside("t", ["t", "t_"])
    ('t_', 'df', 't__')
    """
    names = set(named_by_data)
    while name in names:
        name += "_"
    return name


def _renumbered(frame: pd.DataFrame) -> pd.DataFrame:
    index = frame.index
    plain = isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1
    return frame if plain and index.name is None else frame.reset_index(drop=True)


def beside(
    columns: pd.DataFrame, named_by_data: pd.DataFrame, *, first: bool = True
) -> pd.DataFrame:
    """Make one table of glossary columns and of columns that are named by the data.

    Parameters
    ----------
    columns : DataFrame
        The glossary columns; they give way where a name occurs twice.
    named_by_data : DataFrame
        Columns that keep their names. It has as many rows: both are put together by position.
    first : bool
        Whether the glossary columns come first.

    Returns
    -------
    DataFrame
        With a new index.

    See Also
    --------
    name_beside : The rule for the names.

    Examples
    --------
    >>> beside(pd.DataFrame({"t": [1.5]}), pd.DataFrame({"t": ["a"]}), first=False)
       t   t_
    0  a  1.5
    """
    names = [name_beside(x, named_by_data.columns) for x in columns.columns]
    columns = _renumbered(columns).set_axis(names, axis=1)
    named_by_data = _renumbered(named_by_data)
    return pd.concat([columns, named_by_data] if first else [named_by_data, columns], axis=1)
