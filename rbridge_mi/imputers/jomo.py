"""Multiple imputation by jomo: its arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from ..base.arguments import (
    check_count,
    check_frame_for_r,
    check_memory,
    check_seed,
    check_timeout,
    check_value,
)
from ..data.imputed_data import ImputedData
from ..errors import ImputationError
from ..processes.running import Number
from . import jomo_arguments
from .arguments import EngineParameters
from .execution import EngineCall, completed, impute_by, joined_cells, refuse_altered
from .jomo_columns import plan
from .jomo_model import formula_of, read_model

__all__ = ["JomoImputer"]

_ACCEPTANCE = re.compile(r"acceptance ratio = .*")
_EACH = 1000  # bytes, at least, that a data set takes beside its values: in R, and here

Columns: TypeAlias = str | Sequence[str]
Matrix: TypeAlias = Sequence[Sequence[float]] | np.ndarray[Any, Any] | pd.DataFrame


class JomoImputer(EngineParameters):
    """Multiple imputation by jomo: ``jomo::jomo(Y, Y2, X, X2, Z, clus, nimp = m, ...)``.

    One Gibbs sampler draws all incomplete columns from a joint normal model, of which categories
    are latent normal columns. With `model` it draws from the analysis model and a joint model of
    its covariates: ``jomo::jomo.lmer(formula, data, level)``, or ``jomo.glmer``.

    Every argument has R's name, with `_` for `.`; those that hold data hold names of columns here.

    Parameters
    ----------
    m : int
        Number of data sets (R's ``nimp``).
    Y : str or list of str, optional
        Columns that are imputed: numbers, or categories (categories, text and booleans). By
        default the incomplete ones; those that have one value in each group, as observed, go to
        `Y2`.
    Y2 : str or list of str, optional
        Columns that are imputed and have one value in each group.
    X, X2, Z : str or list of str, optional
        Complete columns: covariates of `Y`, of `Y2`, and those with random slopes. An intercept
        is added: ``X="x"`` is ``X = cbind(1, data["x"])`` in R. By default they are the intercept
        alone, as in R. Columns that are named nowhere play no part.
    clus : str, optional
        The column of the groups.
    model : Lmer or str, optional
        The analysis model, or its formula. The data are its columns and `auxiliary`, in the
        frame's order: ``jomo.lmer(formula, data[c(...)], level = c(...))``.
    family : {"gaussian", "binomial"}, optional
        Of the model: "binomial" is ``jomo.glmer``, whose link is **probit**.
    auxiliary : str or list of str, optional
        With `model`: columns from which is imputed, too, and which are imputed.
    levels : mapping of str to (str or None), optional
        The level of columns for which the data don't say it: the column of the groups, or None
        for rows.
    factors : str or list of str, optional
        Columns of numbers that are categories, such as 0 and 1. Other numbers stay numbers: zeros
        and ones are then imputed as 0.37, say, of which a warning tells.
    intercept : bool
        Whether `X`, `X2` and `Z`, where they are given, get an intercept.
    scale : bool
        Standardise numbers before, by their observed mean and sample standard deviation (R's
        ``mean`` and ``sd``, as in ``scale()``), and undo it after. jomo's priors hang on scales:
        of a column of values about 0.0001 it makes something else than of the same values about
        1. With `model` columns are divided by their standard deviation, and not shifted, since a
        model may lack what a shift adds to it. False gives R's own numbers.
    trace : bool
        Run the chain a second time, to keep its parameters, which ``jomo()`` doesn't: that takes
        twice as long. See Notes.
    meth : {"common", "fixed", "random"}, optional
        Covariance matrix of the rows: one, one for each group, or one for each group from a
        common distribution; with `model` "common" or "random".
    nburn, nbetween : int, optional
        Iterations before the first imputation, and from one to the next; R has 1000 of each.
    beta_start, l2_beta_start, u_start, l1cov_start, l2cov_start : matrix, optional
        Start values of the chain. With ``scale=True`` they, and the priors, are on the
        standardised scale.
    l1cov_prior, l2cov_prior : matrix, optional
        Scale matrices of the inverse Wishart priors.
    a, a_start, a_prior : float, optional
        With ``meth="random"``: degrees of freedom of the covariance matrices, their start (`a`;
        with `model` it is called `a_start`) and prior.
    rng : {"r", "streams"}
        "r": R's one stream of random numbers and one chain, as in ``set.seed(seed); jomo(...)``.
        "streams": each imputation has a chain of its own, of `nburn` iterations, on a separate
        stream (L'Ecuyer et al. 2002), so that any number of processes gives the same data sets.
    **arguments : object
        The same arguments under R's names, as in ``**{"l1cov.prior": ...}``. Not taken:
        ``output`` and ``out.iter``, which say what jomo prints.

    Raises
    ------
    ArgumentError
        Unknown arguments, with the nearest valid one and the list of them; arguments that exclude
        each other; matrices that are none.

    See Also
    --------
    impute : The same by ``engine="jomo"``.
    CompatibleImputer : Imputes from the analysis model, with several groupings too.
    ImputedData.convergence : R-hat of the chains.

    Notes
    -----
    Categories, text and booleans are sent to jomo as factors, in their order (text by code point,
    numbers by size) and without levels that no row has; it knows no order among them. So are
    groups; in the frame of ``jomo.lmer`` these are the numbers 1, 2, ... in that order. All come
    back as they were. Of a factor with two levels in `X`, `X2` or `Z` jomo makes 1 and 2.

    ``imp.trace`` has what jomo collects of its chain, under its names: ``beta[x, y]`` (fixed
    effects), ``l2.beta`` (those of `Y2`; with `model` ``beta2``), ``omega`` (the rows'
    covariances, with ``meth="common"``), ``covu`` (the groups'), and with `model` ``betaY``,
    ``varY`` and ``covuY`` of the analysis model; all on the scale on which jomo works. With
    ``rng="r"`` and ``trace=True`` it is one chain, imputation 1, from which the data sets were
    taken at its iterations nburn, nburn + nbetween, ...; ``imp.convergence()`` then compares its
    halves. The second run is refused where it doesn't end in the same data set. With
    ``rng="streams"`` each imputation has its chain's trace at no cost; ``imp.convergence()``
    compares the chains. jomo has none of ``meth="random"`` with `model`. While it collects them
    jomo also holds the random effects of all iterations: 8 bytes for each of them, each group and
    iteration.

    What jomo does wrong without a word is refused: see the messages. It draws a random term that
    doesn't stand last in a formula from wrong columns; here the term is moved there.

    References
    ----------
    Carpenter and Kenward (2013), Multiple Imputation and its Application, Wiley; Quartagno, Grund
    and Carpenter (2019), jomo: A Flexible Package for Two-level Joint Modelling Multiple
    Imputation, The R Journal 11; L'Ecuyer, Simard, Chen and Kelton (2002), An Object-Oriented
    Random-Number Package with Many Long Streams and Substreams, Operations Research 50(6).

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb().head(400), prop=0.1, columns=["ses", "mathach"], seed=1)
    >>> imputer = rb.JomoImputer(m=2, clus="schid", X=["female"], nburn=50, nbetween=10)
    >>> imp = imputer.impute(holes, seed=1)
    >>> int(imp[0].isna().sum().sum())
    0
    >>> imp.saw["ses"].predictors, imp.saw["ses"].groups
    (('mathach', 'female'), ('schid',))
    """

    known = jomo_arguments.ARGUMENTS

    def __init__(
        self,
        m: int = 5,
        *,
        Y: Columns | None = None,  # noqa: N803 - R's names
        Y2: Columns | None = None,  # noqa: N803
        X: Columns | None = None,  # noqa: N803
        X2: Columns | None = None,  # noqa: N803
        Z: Columns | None = None,  # noqa: N803
        clus: str | None = None,
        model: Any = None,
        family: Literal["gaussian", "binomial"] | None = None,
        auxiliary: Columns | None = None,
        levels: Mapping[str, str | None] | None = None,
        factors: Columns | None = None,
        intercept: bool = True,
        scale: bool = True,
        trace: bool = False,
        meth: Literal["common", "fixed", "random"] | None = None,
        nburn: int | None = None,
        nbetween: int | None = None,
        beta_start: Matrix | None = None,
        l2_beta_start: Matrix | None = None,
        u_start: Matrix | None = None,
        l1cov_start: Matrix | None = None,
        l2cov_start: Matrix | None = None,
        l1cov_prior: Matrix | None = None,
        l2cov_prior: Matrix | None = None,
        a: float | None = None,
        a_start: float | None = None,
        a_prior: float | None = None,
        rng: Literal["r", "streams"] = "r",
        **arguments: Any,
    ) -> None:
        self.remember(locals())
        self.m = check_count(m, "m (the number of imputations)", 1)
        check_value(rng, ("r", "streams"), "rng")
        self.rng = rng
        named = {
            "Y": Y, "Y2": Y2, "X": X, "X2": X2, "Z": Z, "clus": clus,
            "model": None if model is None else formula_of(model), "family": family,
            "auxiliary": auxiliary, "levels": levels, "factors": factors,
            "intercept": None if intercept is True else intercept, "scale": scale,
            "trace": None if trace is False else trace, "meth": meth, "nburn": nburn,
            "nbetween": nbetween, "beta_start": beta_start, "l2_beta_start": l2_beta_start,
            "u_start": u_start, "l1cov_start": l1cov_start, "l2cov_start": l2cov_start,
            "l1cov_prior": l1cov_prior, "l2cov_prior": l2cov_prior, "a": a, "a_start": a_start,
            "a_prior": a_prior,
        }  # fmt: skip
        self.arguments: Mapping[str, Any] = jomo_arguments.checked(
            [*named.items(), *arguments.items()]
        )

    def impute(
        self,
        data: pd.DataFrame,
        seed: int | None = None,
        *,
        n_jobs: int | None = None,
        isolate: bool | None = None,
        timeout: float | None = None,
        keep_r: bool = False,
    ) -> ImputedData:
        """Make m completed data sets: ``set.seed(seed); jomo(...)``, see `scale`.

        Parameters
        ----------
        data : DataFrame
            With holes. Columns that jomo is not asked to impute are carried along, with theirs.
        seed : int, optional
            Drawn, and kept in the result, if not given.
        n_jobs : int, optional
            With ``rng="streams"``: processes, as joblib counts them.
        isolate : bool, optional
            Run jomo in a separate process, as it is by default: its compiled code can end R, which
            is an `RWorkerLost` then. Same bits. False runs it in this process.
        timeout : float, optional
            Seconds that jomo may take in such a process (with ``rng="streams"``: for one
            imputation), since it can be stopped in no other way; implies `isolate`.
        keep_r : bool
            Keep what ``jomo()`` returned as ``imp.r``: the long frame, on the scale on which jomo
            worked. Not with ``rng="streams"``.

        Returns
        -------
        ImputedData
            The original and the m completed data sets.

        Raises
        ------
        ArgumentError
            The data, a column name, the model or a matrix can't be right, or m data sets would
            not fit into memory; jomo is not called.
        FormulaError
            The model is no formula of the data's columns.
        ImputationError
            jomo failed, with its text; or it left holes, or changed a cell that was observed.
        RTimeout, RWorkerLost
            What was running, R's call and the seed.

        See Also
        --------
        ImputedData : The completed data sets.
        """
        check_frame_for_r(data)
        check_timeout(timeout)
        seed = check_seed(seed)
        text = self.arguments.get("model")
        asked = plan(self.arguments, data, None if text is None else read_model(text, data))
        call = EngineCall(
            label="Jomo",
            package="jomo",
            function="run_jomo",
            r_function=_r_function(self.arguments),
            seed=seed,
            m=self.m,
            arguments=asked.arguments,
            read=partial(_read, asked.arguments),
            keep_r=keep_r,
        )
        # R's long frame holds all values of all data sets, the first with holes among them.
        cells = len(data) * len(asked.columns)
        values = cells if self.rng == "r" else int(data.isna().to_numpy().sum())
        check_memory(self.m, 8 * values + _EACH, "imputations")
        parts = impute_by(
            call,
            data[list(asked.columns)],
            rng=self.rng,
            n_jobs=n_jobs,
            isolate=isolate is not False,
            timeout=timeout,
        )
        return completed(
            data,
            parts,
            joined_cells(data, parts),
            call=call,
            method="jomo",
            settings={"m": self.m, "rng": self.rng, **self.arguments},
            notes=asked.notes,
        )

    def __repr__(self) -> str:
        shown = "".join(f", {k.replace('.', '_')}={v!r}" for k, v in self.arguments.items())
        return f"JomoImputer(m={self.m}{shown})"


def _r_function(arguments: Mapping[str, Any]) -> str:
    """Return the function that is called, as messages show it."""
    if "model" not in arguments:
        return "jomo::jomo"
    return "jomo::jomo.glmer" if arguments.get("family") == "binomial" else "jomo::jomo.lmer"


def _read(
    arguments: Mapping[str, Any], answer: Mapping[str, Any], output: str, number: Number
) -> tuple[str, ...]:
    """Raise what is wrong with jomo's answer; see `EngineCall`."""
    remedy = "combine rare categories, or run a longer chain (nburn)"
    refuse_altered(answer["altered"], number, "jomo", remedy)
    left = {
        name: max(int(pd.isna(np.asarray(x, object)).sum()) for x in cell["values"])
        for name, cell in answer["cells"].items()
    }
    holes = [f"{name!r} ({n} cells)" for name, n in left.items() if n]
    if holes:
        raise ImputationError(
            f"jomo left NaN in {', '.join(holes)}: its chain broke down. What helps: drop columns "
            "that follow from others, combine rare categories, fewer random slopes, "
            f"meth='common' (here {arguments['meth']!r}).",
            output=output,
        )
    lines = dict.fromkeys(_ACCEPTANCE.findall(output))
    return tuple(f"jomo printed: {line.strip()}" for line in lines)
