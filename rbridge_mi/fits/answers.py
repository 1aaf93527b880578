"""R's answers about one fit: fetched when first asked for, and kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol, TypeAlias

from .asking import Reply

__all__ = ["TABLES", "Answers", "Askable", "Question"]

# The functions of r/fits/tables.R that take nothing but the fit.
Question: TypeAlias = Literal[
    "mermod_core",
    "mermod_vcov",
    "mermod_varcorr",
    "mermod_ranef",
    "mermod_coef",
    "mermod_cases",
    "mermod_print",
    "mermod_summary",
    "variance_shares",
]
# What a fit's tables are computed from; and R's printout, which takes as long as all tables.
TABLES: tuple[Question, ...] = (
    "mermod_core",
    "mermod_vcov",
    "mermod_varcorr",
    "mermod_ranef",
    "mermod_coef",
    "mermod_cases",
)
_PRINTED: tuple[Question, ...] = ("mermod_print", "mermod_summary")
# What is fetched along with a first question, since it costs little beside the call.
_TOGETHER: dict[Question, tuple[Question, ...]] = {
    **dict.fromkeys(TABLES[:3], TABLES[:3]),
    "mermod_ranef": ("mermod_ranef", "mermod_coef"),
}


class Askable(Protocol):
    """The fitted R object: any R function can be called on it."""

    def call(self, function: str, *args: Any, **kwargs: Any) -> Reply:
        """Call an R function with the object as its first argument."""
        ...


class Answers:
    """The fitted R object, and what it has answered so far.

    A pickle holds all tables and what R prints, so that they can be read where there is no R.

    Parameters
    ----------
    r : RObject
        The fitted object, or something else that has its `call`.
    known : mapping, optional
        Answers that are known already, by the names of their R functions.
    """

    __slots__ = ("_known", "r")

    def __init__(self, r: Askable, known: Mapping[str, Any] | None = None) -> None:
        self.r = r
        self._known: dict[str, Any] = dict(known or {})

    def __getitem__(self, question: Question) -> Any:
        if question not in self._known:
            self._fetch(_TOGETHER.get(question, ()))
        if question not in self._known:  # asked for this alone, R gives its error message
            self._known[question] = self.r.call(question).value
        return self._known[question]

    def tables(self) -> dict[str, Any]:
        """Return what is known once all tables are: what a worker sends."""
        self._fetch(TABLES)
        return dict(self._known)

    def all(self) -> dict[str, Any]:
        """Return what is known once all tables and printouts are: what a stored fit holds."""
        self._fetch(TABLES + _PRINTED)
        return dict(self._known)

    def known(self) -> dict[str, Any]:
        """Return what R has answered so far, and ask nothing."""
        return dict(self._known)

    def _fetch(self, questions: Iterable[Question]) -> None:
        """Ask several questions in one call; those that R refuses stay unanswered."""
        missing = [x for x in questions if x not in self._known]
        if missing:
            self._known.update(self.r.call("mermod_answers", missing).value)

    def __getstate__(self) -> tuple[Askable, dict[str, Any]]:
        return self.r, self.all()

    def __setstate__(self, state: tuple[Askable, dict[str, Any]]) -> None:
        self.r, self._known = state

    def __repr__(self) -> str:
        return f"<R's answers: {', '.join(self._known) or 'none yet'}>"
