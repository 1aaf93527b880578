"""Whether two fits can be compared: the same rows, response, weights and offset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..errors import ArgumentError

__all__ = ["check_comparable"]


def check_comparable(
    facts: Mapping[str, Any], indexes: tuple[pd.Index, pd.Index], names: tuple[str, str], where: str
) -> None:
    """Refuse two fits whose likelihoods, or coefficients, are not about the same data.

    Parameters
    ----------
    facts : mapping
        What R's ``common_ground`` returned for the two fits.
    indexes : pair of Index
        Those of the frames that they were fitted to.
    names : pair of str
        What the message calls the two models.
    where : str
        Put in front of the message, such as "imputation 3: ".

    Raises
    ------
    ArgumentError
        Naming what differs.
    """
    one, other = names
    rows = [
        index[numbers - 1]
        for index, numbers in zip(indexes, (facts["rows"], facts["other_rows"]), strict=True)
    ]
    if not rows[0].equals(rows[1]):
        counts = (
            f"{one} uses {len(rows[0])} rows, {other} {len(rows[1])}"
            if len(rows[0]) != len(rows[1])
            else f"{one} and {other} use other rows, {len(rows[0])} each"
        )
        odd = list(rows[0].symmetric_difference(rows[1])[:3])
        some = f" (not in both: {', '.join(map(repr, odd))}, ...)" if odd else ""
        raise ArgumentError(
            f"{where}{counts}{some}. Only fits to the same rows can be compared: drop the rows "
            "with holes first, and give both models the same `subset`."
        )
    differ = list(facts["differ"])
    if "response" in differ:
        responses = list(facts["responses"])
        what = (
            f"the response of {one} is {responses[0]!r}, that of {other} {responses[1]!r}"
            if responses[0] != responses[1]
            else f"the response {responses[0]!r} of {one} has other values than that of {other}"
        )
        raise ArgumentError(
            f"{where}{what}. Likelihoods and coefficients of different responses can't be "
            "compared: fit both models to the same one."
        )
    if differ:
        written = ", or offset() in the formula" if "offset" in differ else ""
        raise ArgumentError(
            f"{where}{one} and {other} differ in their {' and '.join(differ)}: fit both models "
            f"with the same (the arguments of `Lmer`{written})."
        )
    if changed := list(facts["changed"] if facts["changed"] is not None else ()):
        raise ArgumentError(
            f"{where}the data of {one} and {other} differ in {', '.join(map(repr, changed))}: fit "
            "both models to the same data."
        )
