"""The engines that `impute`, job files and the doctor know, in the order that "auto" tries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from .. import rdoor
from ..errors import ArgumentError
from . import (
    amelia_arguments,
    compatible_arguments,
    jomo_arguments,
    jomo_columns,
    mice_arguments,
    pan_arguments,
    pan_roles,
)
from .amelia import AmeliaImputer
from .arguments import Argument
from .bootstrap import BootstrapImputer
from .compatible import CompatibleImputer
from .jomo import JomoImputer
from .mice import MiceImputer
from .mice import check_with_data as check_mice
from .pan import PanImputer

__all__ = ["ENGINES", "Engine", "available", "engine_named"]


def _accept(*_: object) -> None:
    """Refuse nothing."""


@dataclass(frozen=True)
class Engine:
    """An engine.

    Parameters
    ----------
    name : str
        As `impute` and job files call it.
    imputer : type
        Its class.
    package : str or None
        The R package that it needs beside R itself.
    arguments : tuple of Argument
        What the class takes beside m.
    isolates : bool
        Whether its `impute` takes `isolate`, `timeout` and `keep_r`.
    needs_model : bool
        Whether its class takes the analysis model, before m.
    auto : bool
        Whether "auto" may take it.
    check : callable
        ``check(arguments, data)`` refuses what can't be right before R is asked.
    check_column : callable
        ``check_column(column, arguments)`` refuses a single column.
    foreign : mapping
        Arguments of other engines that users may look for here, with what to say to that.
    """

    name: str
    imputer: type[Any]
    package: str | None
    arguments: tuple[Argument, ...]
    isolates: bool = True
    needs_model: bool = False
    auto: bool = True
    check: Callable[[Mapping[str, Any], pd.DataFrame], None] = _accept
    check_column: Callable[[pd.Series[Any], Mapping[str, Any]], None] = _accept
    foreign: Mapping[str, str] = field(default_factory=dict)

    @property
    def available(self) -> bool:
        """Whether R has what it needs."""
        return self.package is None or rdoor.has_package(self.package)


ENGINES = (
    Engine(
        "amelia",
        AmeliaImputer,
        "Amelia",
        amelia_arguments.ARGUMENTS,
        check=amelia_arguments.check_with_data,
        check_column=amelia_arguments.check_column,
        foreign={
            "cluster": "cluster= is the bootstrap's: Amelia knows groups as a nominal column "
            "(noms), or as cross-sections with intercepts of their own (cs=, intercs=True)."
        },
    ),
    Engine(
        "compatible",
        CompatibleImputer,
        None,
        compatible_arguments.ARGUMENTS,
        isolates=False,
        needs_model=True,
        auto=False,
    ),
    Engine(
        "mice",
        MiceImputer,
        "mice",
        mice_arguments.ARGUMENTS,
        auto=False,
        check=check_mice,
        foreign={
            "cluster": "cluster= is the bootstrap's: mice's multilevel methods know groups by -2 "
            "in predictor_matrix."
        },
    ),
    Engine(
        "jomo",
        JomoImputer,
        "jomo",
        jomo_arguments.ARGUMENTS,
        auto=False,
        check=jomo_columns.check_with_data,
        foreign={
            "cluster": "cluster= is the bootstrap's: jomo's column of groups is called clus=.",
        },
    ),
    Engine(
        "pan",
        PanImputer,
        "mitml",
        pan_arguments.ARGUMENTS,
        auto=False,
        check=pan_roles.check_with_data,
    ),
    Engine(
        "bootstrap",
        BootstrapImputer,
        None,
        (Argument("cluster", "column"),),
        isolates=False,
    ),
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
