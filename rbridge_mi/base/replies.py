"""What R's replies hold beside their value: warnings and messages, and refusals."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

from ..errors import PredictionError, RWarning

__all__ = ["told"]


class Reply(Protocol):
    """A reply of R's, as ``fit.r.call`` gives it."""

    @property
    def value(self) -> Any: ...
    @property
    def warnings(self) -> tuple[str, ...]: ...
    @property
    def messages(self) -> tuple[str, ...]: ...


def told(reply: Reply, imputation: int | None, *, stacklevel: int = 3) -> Any:
    """The reply's value; what R said on the way becomes an `RWarning` with the imputation.

    Raises
    ------
    PredictionError
        Where our R function answers with a `problem`; R's own text, `said`, comes along.
    """
    where = "" if imputation is None else f"imputation {imputation}: "
    for text in reply.warnings + reply.messages:
        warnings.warn(f"R: {where}{text.strip()}", RWarning, stacklevel=stacklevel)
    value = reply.value
    if isinstance(value, dict) and "problem" in value:
        problem, said = str(value["problem"][0]), str(value["said"][0])
        r_text = f"\n  R: {said.strip()}" if said else ""
        raise PredictionError(f"{where}{problem}.{r_text}", r_message=said)
    return value
