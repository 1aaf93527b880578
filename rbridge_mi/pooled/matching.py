"""Names that m sets of estimates have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..errors import PoolingError

__all__ = ["common_names"]


def common_names(
    names: Sequence[Sequence[Any]],
    imputations: Sequence[int | None],
    what: str,
    *,
    twice: str,
    odd: str,
) -> list[Any]:
    """Take the names of the first set, which all others must have too, and which occur once.

    Parameters
    ----------
    names : sequence of sequences
        Of each set.
    imputations : sequence of int
        Numbers of the data sets, from 1, for the message.
    what : str
        What has these names, in the plural, for the message.
    twice, odd : str
        Remedies where a name occurs twice, and where sets differ.

    Returns
    -------
    list
        In the order of the first set.

    Raises
    ------
    PoolingError
        Naming the names that occur twice, or that some sets lack.
    """
    for number, of_set in zip(imputations, names, strict=True):
        repeated = [str(x) for x, n in Counter(of_set).items() if n > 1]
        if repeated:
            raise PoolingError(
                f"imputation {number}: two {what} are called {', '.join(repeated)}, and pooling "
                f"goes by name. {twice}"
            )
        other = set(of_set) ^ set(names[0])
        if other:
            raise PoolingError(
                f"imputation {number} has other {what} than imputation {imputations[0]}: they "
                f"differ in {', '.join(sorted(map(str, other)))}. {odd}"
            )
    return list(names[0])
