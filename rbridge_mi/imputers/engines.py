"""The engines that `impute`, job files and the doctor know, in the order that "auto" tries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import rdoor
from ..errors import ArgumentError
from .arguments import Argument

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ENGINES", "Engine", "Parts", "available", "engine_named"]


def _accept(*_: object) -> None:
    """Refuse nothing."""


class Parts(NamedTuple):
    """What an engine's modules have: they are imported when one of these is first asked for."""

    imputer: type[Any]
    arguments: tuple[Argument, ...]
    check: Callable[[Mapping[str, Any], pd.DataFrame], None] = _accept
    check_column: Callable[[pd.Series[Any], Mapping[str, Any]], None] = _accept


@dataclass(frozen=True)
class Engine:
    """An engine.

    Parameters
    ----------
    name : str
        As `impute` and job files call it.
    package : str or None
        The R package that it needs beside R itself.
    load : callable
        Imports its modules, and returns its `Parts`.
    isolates : bool
        Whether its `impute` takes `isolate`, `timeout` and `keep_r`.
    needs_model : bool
        Whether its class takes the analysis model, before m.
    auto : bool
        Whether "auto" may take it.
    foreign : mapping
        Arguments of other engines that users may look for here, with what to say to that.
    """

    name: str
    package: str | None
    load: Callable[[], Parts]
    isolates: bool = True
    needs_model: bool = False
    auto: bool = True
    foreign: Mapping[str, str] = field(default_factory=dict)

    @property
    def imputer(self) -> type[Any]:
        """Its class."""
        return self.load().imputer

    @property
    def arguments(self) -> tuple[Argument, ...]:
        """What the class takes beside m."""
        return self.load().arguments

    @property
    def check(self) -> Callable[[Mapping[str, Any], pd.DataFrame], None]:
        """``check(arguments, data)`` refuses what can't be right before R is asked."""
        return self.load().check

    @property
    def check_column(self) -> Callable[[pd.Series[Any], Mapping[str, Any]], None]:
        """``check_column(column, arguments)`` refuses a single column."""
        return self.load().check_column

    @property
    def available(self) -> bool:
        """Whether R has what it needs."""
        return self.package is None or rdoor.has_package(self.package)


@cache
def _amelia() -> Parts:
    from .amelia import AmeliaImputer
    from .amelia_arguments import ARGUMENTS, check_column, check_with_data

    return Parts(AmeliaImputer, ARGUMENTS, check_with_data, check_column)


@cache
def _compatible() -> Parts:
    from .compatible import CompatibleImputer
    from .compatible_arguments import ARGUMENTS

    return Parts(CompatibleImputer, ARGUMENTS)


@cache
def _mice() -> Parts:
    from .mice import MiceImputer, check_with_data
    from .mice_arguments import ARGUMENTS

    return Parts(MiceImputer, ARGUMENTS, check_with_data)


@cache
def _jomo() -> Parts:
    from .jomo import JomoImputer
    from .jomo_arguments import ARGUMENTS
    from .jomo_columns import check_with_data

    return Parts(JomoImputer, ARGUMENTS, check_with_data)


@cache
def _pan() -> Parts:
    from .pan import PanImputer
    from .pan_arguments import ARGUMENTS
    from .pan_roles import check_with_data

    return Parts(PanImputer, ARGUMENTS, check_with_data)


@cache
def _bootstrap() -> Parts:
    from .bootstrap import BootstrapImputer

    return Parts(BootstrapImputer, (Argument("cluster", "column"),))


ENGINES = (
    Engine(
        "amelia",
        "Amelia",
        _amelia,
        foreign={
            "cluster": "cluster= is the bootstrap's: Amelia knows groups as a nominal column "
            "(noms), or as cross-sections with intercepts of their own (cs=, intercs=True)."
        },
    ),
    Engine("compatible", None, _compatible, isolates=False, needs_model=True, auto=False),
    Engine(
        "mice",
        "mice",
        _mice,
        auto=False,
        foreign={
            "cluster": "cluster= is the bootstrap's: mice's multilevel methods know groups by -2 "
            "in predictor_matrix."
        },
    ),
    Engine(
        "jomo",
        "jomo",
        _jomo,
        auto=False,
        foreign={
            "cluster": "cluster= is the bootstrap's: jomo's column of groups is called clus=.",
        },
    ),
    Engine("pan", "mitml", _pan, auto=False),
    Engine("bootstrap", None, _bootstrap, isolates=False),
)


def engine_named(name: str) -> Engine:
    """Return the engine of a name; of "auto", the one that is tried first.

    Raises
    ------
    ArgumentError
        There is no such engine.
    """
    names = ["auto", *(x.name for x in ENGINES)]
    if name not in names:
        listed = f"{', '.join(map(repr, names[:-1]))} or {names[-1]!r}"
        raise ArgumentError(f"engine must be {listed}, not {name!r}.")
    return next((x for x in ENGINES if x.name == name), ENGINES[0])


def available() -> Engine:
    """Return the first engine of "auto" that R has what it needs for; the last needs none."""
    return next(x for x in ENGINES if x.auto and x.available)
