"""Multiple imputation by mitml's panImpute and jomoImpute: their arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

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
from ..errors import ArgumentError, ImputationError
from ..processes.running import Number
from . import pan_arguments as pan
from .arguments import EngineParameters
from .execution import EngineCall, Imputations, completed, impute_by, joined_cells, refuse_altered
from .pan_roles import check_data, notes, roles_of

__all__ = ["PanImputer"]

_EACH = 1000  # bytes, at least, that a data set takes beside its values: in R, and here
_FUNCTIONS = {
    "pan": ("run_pan", "mitml::panImpute"),
    "jomo": ("run_jomo_impute", "mitml::jomoImpute"),
}


class PanImputer(EngineParameters):
    """Multilevel imputation by mitml: ``mitml::panImpute`` or ``mitml::jomoImpute``.

    Every argument but `package` and `rng` is R's, with `_` for `.` in its name; None leaves R's
    default.

    Parameters
    ----------
    m : int
        Number of data sets; 10 is R's default.
    formula : str or list of two str, optional
        The imputation model: ``"y + z ~ 1 + x + (1 + x | group)"`` imputes y and z, jointly, from x
        and with random effects. With ``package="jomo"`` a second one, ``"w ~ 1 + v"``, imputes
        columns of the clusters, such as schools.
    type : dict of str to int or list of two dict, optional
        The same by columns: 1 a target, 2 a predictor, 3 a predictor with a random slope, -2 the
        clusters, -1 the groups, 0 (or not named) none of these. Either `formula` or `type` is
        needed.
    package : {"pan", "jomo"}
        The R package that draws: "pan" by ``panImpute``, for targets that are numbers, and "jomo"
        by ``jomoImpute``, also for categories, for clusters' own columns and for data without
        clusters.
    group : str, optional
        A column by whose values the imputation is run separately; for `formula`.
    random_L1 : {"none", "mean", "full"}, optional
        With ``package="jomo"``, whether each cluster has a residual covariance of its own, and
        whether the trace has their mean or all of them.
    n_burn : int, optional
        Iterations before the first imputation.
    n_iter : int, optional
        Iterations between imputations.
    prior : dict, optional
        Of pan ``a``, ``Binv``, ``c``, ``Dinv``: degrees of freedom and scale matrix of the residual
        covariance, and of that of the random effects. Of jomo ``Binv``, ``Dinv`` and, for
        `random_L1`, ``a``; a list of them is for the groups, one by one.
    save_pred : bool, optional
        Whether the data sets get the columns that the formula derives.
    keep_chains : {"full", "diagonal"}, optional
        Whether the trace has covariances beside variances.
    rng : {"r", "streams"}
        "r": R's one stream of random numbers, as in ``set.seed(seed); panImpute(...)``, and one
        chain that makes all data sets. "streams": each imputation has a separate stream (L'Ecuyer
        et al. 2002) and a chain of its own, burn-in included, so that any number of processes gives
        the same data sets; they are others than those of "r".
    **arguments : object
        The same arguments under R's names, as in ``**{"n.burn": 100}``. Not taken: ``seed``, which
        `impute` has, and ``silent``.

    Raises
    ------
    ArgumentError
        Unknown arguments, with the nearest valid one and the list of them; arguments that exclude
        each other.

    See Also
    --------
    CompatibleImputer : Multiple imputation from the model to come.
    AmeliaImputer : Multiple imputation by Amelia.
    ImputedData : What comes of it.

    Notes
    -----
    pan keeps half a pair of normal numbers from one call to the next, so that the same seed gives
    other numbers in a process that has run it before. Here each run of it has a process of its own,
    and its numbers are those of a fresh R.

    Text in the clusters' column is carried as a factor with its labels in the order of code points
    (as ``data[column].astype("category")`` has them), and so are text targets of jomo; truth values
    as the factor of FALSE and TRUE. They come back as they were. Ordered categories are nominal to
    jomo.

    Refused by name, since mitml would give something else without a word: several random terms (it
    uses the first), offsets (it drops them), categories as targets of pan, categories that no row
    has (jomo gives them to rows), and `group` with a single target of pan (rows get the observed
    values of other rows). A level-2 target that is known in some rows of a cluster is refused too.

    The `trace` has every iteration, with the burn-in: "beta[y on x]" are fixed effects, "psi[y on
    (Intercept), y on x]" covariances of random effects, "sigma[y, z]" those of residuals, "beta2[w
    on v]" fixed effects at level 2; a single name in brackets is a variance. For k categories there
    are k - 1 normal variables, "kind1", "kind2". With ``rng="r"`` it is one chain, of which an
    iteration belongs to the imputation that it leads to; `ImputedData.convergence` then compares
    the halves of this chain after its burn-in, which shows a drift but not what other starting
    values would have led to. With ``rng="streams"`` it compares the chains.

    References
    ----------
    Schafer and Yucel (2002), Computational strategies for multivariate linear mixed-effects models
    with missing values, Journal of Computational and Graphical Statistics 11, 437-457; Grund,
    Robitzsch and Lüdtke, mitml (R package); Quartagno, Grund and Carpenter (2019), jomo: A Flexible
    Package for Two-level Joint Modelling Multiple Imputation, The R Journal 11, 205-228.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns="ses", seed=1)
    >>> imputer = rb.PanImputer(m=2, formula="ses ~ mathach + (1 | schid)", n_burn=20, n_iter=10)
    >>> imp = imputer.impute(holes, seed=1)
    >>> int(imp[0].isna().sum().sum())
    0
    >>> imp.saw["ses"].groups
    ('schid',)
    """

    known = pan.ARGUMENTS

    def __init__(
        self,
        m: int = 10,
        *,
        formula: str | Sequence[str] | None = None,
        type: Mapping[str, int] | Sequence[Mapping[str, int]] | None = None,
        package: Literal["pan", "jomo"] | None = None,
        group: str | None = None,
        random_L1: Literal["none", "mean", "full"] | None = None,  # noqa: N803
        n_burn: int | None = None,
        n_iter: int | None = None,
        prior: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        save_pred: bool | None = None,
        keep_chains: Literal["full", "diagonal"] | None = None,
        rng: Literal["r", "streams"] = "r",
        **arguments: Any,
    ) -> None:
        self.remember(locals())
        self.m = check_count(m, "m (the number of imputations)", 1)
        check_value(rng, ("r", "streams"), "rng")
        self.rng = rng
        named = {
            "formula": formula, "type": type, "package": package, "group": group,
            "random_L1": random_L1, "n_burn": n_burn, "n_iter": n_iter, "prior": prior,
            "save_pred": save_pred, "keep_chains": keep_chains,
        }  # fmt: skip
        self.arguments: Mapping[str, Any] = pan.checked([*named.items(), *arguments.items()])

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
        """Make m completed data sets: ``set.seed(seed); panImpute(data, ...)``, to the last bit.

        Parameters
        ----------
        data : DataFrame
            The rows may be in any order.
        seed : int, optional
            Drawn, and kept in the result, if not given.
        n_jobs : int, optional
            With ``rng="streams"``: processes, as joblib counts them.
        isolate : bool, optional
            Run R in a separate process, as is the default: its crash is an `RWorkerLost` here, and
            Ctrl-C ends it at once. pan needs that; with ``package="jomo"`` it may be False.
        timeout : float, optional
            Seconds that R may take (with ``rng="streams"``: for one imputation).
        keep_r : bool
            Keep what the R function returned as ``imp.r``, for
            ``imp.r.call("mitml::mitmlComplete", 1)`` and the like; not with ``rng="streams"``.

        Returns
        -------
        ImputedData
            The original and the m completed data sets.

        Raises
        ------
        ArgumentError
            A column can't be what the model makes of it, or m data sets would not fit into memory;
            nothing is imputed.
        FormulaError
            A formula that R can't parse, or that calls what isn't on the list.
        ImputationError
            R refused the data or failed, with its text.
        RTimeout, RWorkerLost
            What was running, R's call and the seed.

        See Also
        --------
        ImputedData : The completed data sets.
        """
        check_frame_for_r(data)
        check_timeout(timeout)
        seed = check_seed(seed)
        package = self.arguments["package"]
        if package == "pan" and isolate is False and timeout is None:
            raise ArgumentError(
                "isolate=False: pan keeps half a pair of normal numbers from call to call, so that "
                "in a process that has run it before a seed gives other numbers. Leave isolate out."
            )
        roles = roles_of(self.arguments, data)
        check_data(roles, self.arguments, data)
        holes = int(data[list(roles.targets)].isna().to_numpy().sum())
        check_memory(self.m, 8 * holes + _EACH, "imputations")
        function, r_function = _FUNCTIONS[package]
        call = EngineCall(
            label="pan",
            package="mitml",
            function=function,
            r_function=r_function,
            seed=seed,
            m=self.m,
            arguments=pan.in_r(self.arguments),
            read=_read,
            quiet={"silent": True},
            aloud={"silent": False},
            progress="Creating imputed data set",
            keep_r=keep_r,
            fresh=package == "pan",
        )
        try:
            parts = impute_by(
                call, data, rng=self.rng, n_jobs=n_jobs, isolate=isolate is not False,
                timeout=timeout,
            )  # fmt: skip
        except ImputationError as error:
            raise _with_remedy(error) from None
        _refuse_repeated(parts)
        cells = joined_cells(data, parts)
        return completed(
            data.assign(**parts[0].derived),
            parts,
            cells,
            call=call,
            method="pan",
            settings={"m": self.m, "rng": self.rng, **self.arguments},
            notes=notes(roles, self.arguments, data),
        )

    def __repr__(self) -> str:
        shown = "".join(f", {k.replace('.', '_')}={v!r}" for k, v in self.arguments.items())
        return f"PanImputer(m={self.m}{shown})"


def _read(answer: Mapping[str, Any], output: str, number: Number) -> tuple[str, ...]:
    """Raise what the answer says went wrong; see `EngineCall`."""
    del output
    refuse_altered(answer["altered"], number, "mitml", "another imputer")
    for name, cell in answer["cells"].items():
        if any(pd.isna(x).any() for x in cell["values"]):
            raise ImputationError(f"mitml left holes in {name!r}.\n  what helps: {_SINGULAR}.")
    return ()


_SINGULAR = (
    "drop predictors or targets that others determine (collinear ones), rescale columns that are "
    "very large or small, or give a prior"
)


def _with_remedy(error: ImputationError) -> ImputationError:
    """Say what helps where a covariance matrix could not be inverted."""
    if "NA/NaN/Inf in foreign function call" not in error.r_message:
        return error
    return ImputationError(
        f"{error}\n  what helps: {_SINGULAR}.",
        r_message=error.r_message, r_call=error.r_call, output=error.output,
    )  # fmt: skip


def _refuse_repeated(parts: Sequence[Imputations]) -> None:
    """Refuse streams that led to one chain: panImpute takes one of a million seeds from each."""
    for (i, one), (j, two) in combinations(enumerate(parts, start=1), 2):
        if all(
            np.array_equal(cell["values"][0], two.cells[name]["values"][0])
            for name, cell in one.cells.items()
            if name in two.cells
        ):
            raise ImputationError(
                f"imputations {i} and {j} are the same: panImpute takes one of a million seeds "
                "from each stream, and took the same twice. Take another seed, or rng='r'."
            )
