"""Runs cases: the reference in a separate Rscript, this library here, and every bit compared."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import RBridgeWarning, RCallError
from ..imputers import AmeliaImputer
from ..mermod import MerMod
from ..models import Lmer
from ..rdoor import call
from ..testing.answers import answer, compared, fit_answers, intervals, numbered, simulated
from ..testing.bits import Comparison, Missing, compare
from ..testing.fits import PANDAS_MISSING
from ..testing.ordering import steady_rscript
from ..testing.values import to_python
from .case import Apart, ImputationCase, ModelCase, new_data, new_levels

__all__ = ["PACKAGES", "Case", "Checked", "Suite", "verdicts"]

Case = ModelCase | ImputationCase

# Whose versions head the report.
PACKAGES = ("Amelia", "Matrix", "broom.mixed", "lme4", "merTools")

# Tables of merTools and broom.mixed: R has no answer where it has not got these.
_OTHERS = frozenset({"model_info", "tidy", "glance"})


@dataclass(frozen=True)
class Checked:
    """One row of the suite's table: an accessor of a case.

    Attributes
    ----------
    case, accessor : str
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
    """The two sides, ready to be asked: a context that holds an Rscript, and the data sets.

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
        """A new Rscript, after the old one went down or lost step."""
        self._r.close()
        self._r = steady_rscript()

    def stack(self) -> dict[str, Any]:
        """Describe the Rscript: its versions, BLAS and collation, and those of `PACKAGES`."""
        return self._r.stack(PACKAGES)

    def missing_packages(self, case: Case) -> list[str]:
        """R packages that the case needs and R lacks."""
        return [x for x in case.needs if not call("has_package", x).value[0]]

    def data(self, case: Case) -> pd.DataFrame:
        """The case's frame, made by the Rscript."""
        if case.data not in self._data:
            self._data[case.data] = self._r.ask("parity_data", name=case.data)
        frame = self._data[case.data].copy()
        if isinstance(case, ImputationCase):
            return frame if case.columns is None else frame[list(case.columns)]
        if case.labels:
            frame.index = pd.Index([f"row {i}" for i in range(len(frame), 0, -1)])
        return frame

    def check(self, case: Case) -> list[Checked]:
        """Ask both sides everything, at the same time; one row per accessor."""
        mine, theirs = self.answers(case, self.data(case))
        return verdicts(case, mine, theirs)

    def answers(self, case: Case, frame: pd.DataFrame) -> tuple[dict[str, Any], dict[str, Any]]:
        """What this library says, and what the Rscript says."""
        self._submit(case, frame)
        try:
            mine = python_answers(case, frame)
        except Exception:
            self._r.result()  # or the next case would be given this one's answer
            raise
        theirs = to_python(self._r.result()[0])
        if "imputations" in theirs:
            theirs["imputations"] = [_as_numbers(x) for x in theirs["imputations"]]
        return mine, theirs

    def _submit(self, case: Case, frame: pd.DataFrame) -> None:
        if isinstance(case, ImputationCase):
            self._r.submit(
                "imputation_case", script=case.r_call(), data=frame, seed=case.seed,
                model=case.model,
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
    """The two sides' answers compared, accessor by accessor."""
    rows = []
    for name in list(dict.fromkeys([*mine, *theirs])):
        if name in _OTHERS and name not in theirs:
            continue
        missing: Missing = "any" if name in PANDAS_MISSING else "exact"
        apart = case.apart.get(name, Apart(0, ""))
        absent = [side for side, found in (("Python", mine), ("R", theirs)) if name not in found]
        if absent:
            found = Comparison()
            text: tuple[str, ...] = (
                f"{absent[0]} has no answer: {theirs.get(name, mine.get(name))!r}"[:500],
            )
        else:
            found = compare(mine[name], theirs[name], ulp=apart.ulp, missing=missing)
            worst = found.worst()
            rest = [x for x in found.differences if x is not worst]
            text = tuple(str(x) for x in ([worst, *rest] if worst else rest))
        rows.append(
            Checked(case.name, name, found.doubles, found.others, found.max_ulp, text, apart.reason)
        )
    return rows


def python_answers(case: Case, frame: pd.DataFrame) -> dict[str, Any]:
    """What this library says of the case."""
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
    """This library's side of ``model_case`` in ``r/reference/lmer.R``."""
    fit = answer(lambda: Lmer(case.formula, **case.python_arguments(frame)).fit(frame))
    if not isinstance(fit, MerMod):
        return {"fit": fit}
    fresh, unseen = new_data(frame), new_levels(frame, case.groups)

    def predict(newdata: pd.DataFrame | None = None, **arguments: Any) -> Any:
        index = None if newdata is None else newdata.index
        return answer(lambda: numbered(fit, fit.predict(newdata, **arguments), index))

    found = fit_answers(fit)
    found["predict"] = predict()
    found["predict_fixed"] = predict(re_form="NA")
    if case.part is not None:
        found["predict_part"] = predict(re_form=case.part)
    found["predict_new"] = predict(fresh)
    found["predict_new_fixed"] = predict(fresh, re_form="NA")
    found["predict_unseen"] = predict(unseen, allow_new_levels=True)
    found["predict_unseen_refused"] = predict(unseen)
    found["simulate"] = answer(lambda: simulated(fit, fit.simulate(nsim=2, seed=101)))
    found["simulate_use_u"] = answer(
        lambda: simulated(fit, fit.simulate(nsim=1, seed=7, **{"use.u": True}))
    )
    found["confint_wald"] = answer(lambda: intervals(fit.confint(method="Wald")))
    found["confint_wald_90"] = answer(
        lambda: intervals(fit.confint(parm="beta_", level=0.9, method="Wald"))
    )
    if case.profile:
        found["confint_profile"] = answer(lambda: intervals(fit.confint()))
    found["anova_terms"] = answer(fit.anova)
    second = Lmer(case.second(), **case.python_arguments(frame, case.second()))
    found["anova"] = answer(lambda: compared(fit.anova(second.fit(frame))))
    found["anova_no_refit"] = answer(lambda: compared(fit.anova(second.fit(frame), refit=False)))
    return found


def _as_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Integers and logicals as doubles: Amelia gives them so, this library as what they were."""
    kinds = pd.api.types.is_integer_dtype, pd.api.types.is_bool_dtype
    named = [x for x in frame.columns if any(is_kind(frame[x].dtype) for is_kind in kinds)]
    return frame.astype(dict.fromkeys(named, "Float64"))


def imputation_answers(case: ImputationCase, frame: pd.DataFrame) -> dict[str, Any]:
    """This library's side of ``imputation_case`` in ``r/reference/amelia.R``."""
    arguments = {x.name: x.python(frame) for x in case.arguments}
    try:
        imp = AmeliaImputer(case.m, p2s=0, **arguments).impute(frame, seed=case.seed)
    except RCallError as error:
        return {"impute": {"error": np.array([error.r_message.strip()], object)}}
    found = {
        "attributes": {
            "chain_lengths": np.array(imp.chain_lengths, np.int32),
            "said": np.array(imp.warnings, object),
        },
        "imputations": [_as_numbers(x) for x in imp],
    }
    if case.model is not None:
        fits = Lmer(case.model).fit(imp, n_jobs=1)
        found["fixef"] = [fit.fixef() for fit in fits]
        found["varcorr"] = [fit.varcorr() for fit in fits]
        found["ranef"] = [fit.ranef() for fit in fits]
        found["vcov"] = [fit.vcov() for fit in fits]
    return found
