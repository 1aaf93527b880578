"""What a function gave for each of m data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from ..errors import MapError
from .merging import Kind

__all__ = ["MappedResults"]


@dataclass(frozen=True, eq=False)
class MappedResults(Sequence[Any]):
    """What a function returned for each data set, in their order; `ImputedData.map` makes it.

    ``results[0]`` is the first one, a slice of them a `MappedResults`.

    Attributes
    ----------
    results : tuple
        What the function returned.
    imputations : tuple of int
        Numbers of the data sets, from 1.
    kind : {"imputation", "bootstrap"}
        That of the data sets, by which `pool` chooses its rule.
    failed : mapping
        The error of each data set (from 1) at which the function stopped (``errors="keep"``).

    See Also
    --------
    pool : Pools estimates or results of models.
    """

    results: tuple[Any, ...]
    imputations: tuple[int, ...]
    kind: Kind = "imputation"
    failed: Mapping[int, MapError] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.results)

    @overload
    def __getitem__(self, i: int) -> Any: ...
    @overload
    def __getitem__(self, i: slice) -> MappedResults: ...
    def __getitem__(self, i: int | slice) -> Any:
        if isinstance(i, slice):
            return MappedResults(self.results[i], self.imputations[i], self.kind)
        return self.results[i]

    def __repr__(self) -> str:
        return f"<MappedResults: {list(self.results)!r}>"
