"""Runs cases in a separate Rscript and in this library, and compares every bit."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ArgumentError, RBridgeWarning, RCallError
from ..imputers.engines import engine_named
from ..inference.mermod import MerMod
from ..models.lmer import Lmer
from ..rdoor import call
from ..testing.answers import answer, compared, fit_answers, intervals, numbered, simulated
from ..testing.bits import Comparison, Missing, compare
from ..testing.fits import PANDAS_MISSING
from ..testing.ordering import steady_rscript
from ..testing.values import to_python
from .case import Apart, ImputationCase, ModelCase, new_data, new_levels

__all__ = ["PACKAGES", "Case", "Checked", "Suite", "verdicts"]

Case = ModelCase | ImputationCase

# The report begins with the versions of these.
PACKAGES = ("Amelia", "Matrix", "broom.mixed", "jomo", "lme4", "merTools", "mice", "mitml", "pan")

# Engines that may leave holes in a column, which are then pandas' and no longer R's own NA.
_LEAVE = frozenset({"mice"})

# Tables of merTools and broom.mixed: R has no answer where these are not installed.
_OTHERS = frozenset({"model_info", "tidy", "glance"})


@dataclass(frozen=True)
class Checked:
    """One row of the suite's table: an accessor of a case.

    Attributes
    ----------
    case, accessor : str
        Their names.
    doubles, others : int
        Numbers compared by their bits; other cells compared (text, levels, counts, names).
    max_ulp : float
        The largest distance between two doubles.
    differences : tuple of str
        The worst first; empty where all is equal.
    reason : str
        Why a tolerance was allowed; empty where none was.
    """

    case: str
    accessor: str
    doubles: int
    others: int
    max_ulp: float
    differences: tuple[str, ...] = ()
    reason: str = ""

    @property
    def equal(self) -> bool:
        """Whether nothing differs by more than was allowed."""
        return not self.differences


class Suite:
    """Both sides of the comparison: an Rscript, this library, and the data sets.

    Use it as a context manager: it ends the Rscript.

    See Also
    --------
    rbridge_mi.parity.run_suite : Runs many cases and prints a report.

    Examples
    --------
    >>> from rbridge_mi.parity import find_cases
    >>> with Suite() as suite:
    ...     rows = suite.check(find_cases("random/intercept")[0])
    >>> all(row.equal for row in rows)
    True
    """

    def __init__(self) -> None:
        self._r = steady_rscript()
        self._data: dict[str, pd.DataFrame] = {}

    def __enter__(self) -> Suite:
        return self

    def __exit__(self, *_: object) -> None:
        self._r.close()

    def restart(self) -> None:
        """Start a new Rscript, after the old one ended or no longer answers in step."""
        self._r.close()
        self._r = steady_rscript()

    def stack(self) -> dict[str, Any]:
        """Describe the Rscript: its versions, BLAS and collation, and those of `PACKAGES`."""
        return self._r.stack(PACKAGES)

    def missing_packages(self, case: Case) -> list[str]:
        """List the R packages that the case needs and R lacks, or has in a version that fails."""
        lacking = [x for x in case.needs if not call("has_package", x).value[0]]
        if isinstance(case, ImputationCase) and not lacking:
            for package, limit in case.until.items():
                has = call("utils::packageDescription", package, fields="Version").value[0]
                if call("utils::compareVersion", str(has), limit).value[0] >= 0:
                    lacking.append(f"{package} before {limit}")
        return lacking

    def data(self, case: Case) -> pd.DataFrame:
        """Return the case's frame, which the Rscript makes."""
        if case.data not in self._data:
            self._data[case.data] = self._r.ask("parity_data", name=case.data)
        frame = self._data[case.data].copy()
        if isinstance(case, ImputationCase):
            return frame if case.columns is None else frame[list(case.columns)]
        if case.labels:
            frame.index = pd.Index([f"row {i}" for i in range(len(frame), 0, -1)])
        return frame

    def check(self, case: Case) -> list[Checked]:
        """Ask both sides for every accessor, and compare.

        Parameters
        ----------
        case : ModelCase or ImputationCase
            The case.

        Returns
        -------
        list of Checked
            One row per accessor.

        Raises
        ------
        RBridgeError
            If a side stops outside of an accessor.
        """
        mine, theirs = self.answers(case, self.data(case))
        return verdicts(case, mine, theirs)

    def answers(self, case: Case, frame: pd.DataFrame) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return this library's answers and the Rscript's; both work at the same time."""
        if isinstance(case, ImputationCase) and case.fresh:
            self.restart()
        self._submit(case, frame)
        try:
            mine = python_answers(case, frame)
        except Exception:
            self._r.result()  # otherwise the next case would be given this one's answer
            raise
        theirs = to_python(self._r.result()[0])
        if "imputations" in theirs:
            theirs["imputations"] = [_as_numbers(x) for x in theirs["imputations"]]
        return mine, theirs

    def _submit(self, case: Case, frame: pd.DataFrame) -> None:
        if isinstance(case, ImputationCase):
            self._r.submit(
                "imputation_case", script=case.r_call(), data=frame, seed=case.seed,
                engine=case.family, package=case.needs[0], model=case.model,
            )  # fmt: skip
            return
        prelude = f"{case.prelude}\n" if case.prelude else ""
        self._r.submit(
            "model_case",
            script=f"{prelude}fit <- {case.r_call()}",
            data=frame,
            against=case.r_call(case.second()),
            newdata=new_data(frame),
            new_levels=new_levels(frame, case.groups),
            part=case.part,
            profile=case.profile,
            collate=case.collate,
        )


def verdicts(case: Case, mine: dict[str, Any], theirs: dict[str, Any]) -> list[Checked]:
    """Compare the two sides' answers, accessor by accessor.

    Parameters
    ----------
    case : ModelCase or ImputationCase
        Says what tolerance is allowed.
    mine, theirs : dict
        This library's answers and the Rscript's, by accessor.

    Returns
    -------
    list of Checked
        One row per accessor.
    """
    rows = []
    for name in list(dict.fromkeys([*mine, *theirs])):
        if name in _OTHERS and name not in theirs:
            continue
        of_pandas = name in PANDAS_MISSING or (name == "imputations" and case.family in _LEAVE)
        missing: Missing = "any" if of_pandas else "exact"
        apart = case.apart.get(name, Apart(0, ""))
        sides = (("Python", mine), ("R", theirs))
        absent = [side for side, answers in sides if name not in answers]
        if absent:
            comparison = Comparison()
            text: tuple[str, ...] = (
                f"{absent[0]} has no answer: {theirs.get(name, mine.get(name))!r}"[:500],
            )
        else:
            comparison = compare(mine[name], theirs[name], ulp=apart.ulp, missing=missing)
            worst = comparison.worst()
            rest = [x for x in comparison.differences if x is not worst]
            text = tuple(str(x) for x in ([worst, *rest] if worst else rest))
        rows.append(
            Checked(
                case.name,
                name,
                comparison.doubles,
                comparison.others,
                comparison.max_ulp,
                text,
                apart.reason,
            )
        )
    return rows


def python_answers(case: Case, frame: pd.DataFrame) -> dict[str, Any]:
    """Return this library's answers to a case."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RBridgeWarning)
        if isinstance(case, ImputationCase):
            return imputation_answers(case, frame)
        if case.collate is None:
            return model_answers(case, frame)
        call("base::icuSetCollate", locale=case.collate)
        try:
            return model_answers(case, frame)
        finally:
            call("base::icuSetCollate", locale="default")


def model_answers(case: ModelCase, frame: pd.DataFrame) -> dict[str, Any]:
    """Answer what ``model_case`` in ``r/reference/models.R`` answers."""
    fit = answer(lambda: case.python_model(frame).fit(frame))
    if not isinstance(fit, MerMod):
        return {"fit": fit}
    fresh, unseen = new_data(frame), new_levels(frame, case.groups)

    def predict(newdata: pd.DataFrame | None = None, **arguments: Any) -> Any:
        index = None if newdata is None else newdata.index
        return answer(lambda: numbered(fit, fit.predict(newdata, **arguments), index))

    answers = fit_answers(fit)
    answers["predict"] = predict()
    answers["predict_fixed"] = predict(re_form="NA")
    answers["predict_response"] = predict(type="response")
    if case.part is not None:
        answers["predict_part"] = predict(re_form=case.part)
    answers["predict_new"] = predict(fresh)
    answers["predict_new_fixed"] = predict(fresh, re_form="NA")
    answers["predict_new_response"] = predict(fresh, type="response")
    answers["predict_new_fixed_response"] = predict(fresh, re_form="NA", type="response")
    answers["predict_unseen"] = predict(unseen, allow_new_levels=True)
    answers["predict_unseen_response"] = predict(unseen, allow_new_levels=True, type="response")
    answers["predict_unseen_refused"] = predict(unseen)
    answers["simulate"] = answer(lambda: simulated(fit, fit.simulate(nsim=2, seed=101)))
    answers["simulate_use_u"] = answer(
        lambda: simulated(fit, fit.simulate(nsim=1, seed=7, **{"use.u": True}))
    )
    answers["confint_wald"] = answer(lambda: intervals(fit.confint(method="Wald")))
    answers["confint_wald_90"] = answer(
        lambda: intervals(fit.confint(parm="beta_", level=0.9, method="Wald"))
    )
    if case.profile:
        answers["confint_profile"] = answer(lambda: intervals(fit.confint()))
    answers["anova_terms"] = answer(lambda: fit.r.call("mermod_anova_terms").value)
    second = cache(lambda: case.python_model(frame, case.second()).fit(frame))
    answers["anova"] = answer(lambda: _anova(fit, second(), refit=True))
    answers["anova_no_refit"] = answer(lambda: _anova(fit, second(), refit=False))
    return answers


def _anova(fit: MerMod, other: MerMod, refit: bool) -> pd.DataFrame:
    """Return the table, or raise R's error where both this library and R refuse."""
    try:
        return compared(fit.anova(other, refit=refit))
    except ArgumentError:
        fit.r.call("mermod_anova", [other.r], refit=refit)  # an RCallError, with R's text
        raise


def _as_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert integers and logicals to doubles: Amelia returns these, and this library does not."""
    kinds = pd.api.types.is_integer_dtype, pd.api.types.is_bool_dtype
    named = [x for x in frame.columns if any(is_kind(frame[x].dtype) for is_kind in kinds)]
    return frame.astype(dict.fromkeys(named, "Float64"))


def imputation_answers(case: ImputationCase, frame: pd.DataFrame) -> dict[str, Any]:
    """Answer what ``imputation_case`` in ``r/reference/imputations.R`` answers."""
    arguments = {x.name: x.python(frame) for x in case.arguments}
    try:
        imp = engine_named(case.family).imputer(case.m, **arguments).impute(frame, seed=case.seed)
    except RCallError as error:
        return {"impute": {"error": np.array([error.r_message.strip()], object)}}
    answers = {
        "attributes": {
            "chain_lengths": np.array(imp.chain_lengths, np.int32),
            "warnings": np.array(imp.warnings, object),
        },
        "imputations": [_as_numbers(x) for x in imp],
    }
    if case.model is not None:
        fits = Lmer(case.model).fit(imp, n_jobs=1)
        answers["fixef"] = [fit.fixef() for fit in fits]
        answers["varcorr"] = [fit.varcorr() for fit in fits]
        answers["ranef"] = [fit.ranef() for fit in fits]
        answers["vcov"] = [fit.vcov() for fit in fits]
    return answers
