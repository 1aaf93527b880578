"""R objects that R itself reads: for files whose origin is trusted, since any may hold code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pandas as pd

from .. import rdoor
from ..errors import ArgumentError, RBridgeError, RCallError

__all__ = ["Trust", "check_trust", "read_objects", "serialized"]

Trust: TypeAlias = bool | Literal["despite CVE-2024-27322"]
_INSISTS = "despite CVE-2024-27322"
_MENDED = (4, 4)


def check_trust(trust: Any) -> None:
    """Refuse what is neither trust nor its absence.

    Parameters
    ----------
    trust : object
        As it was given.

    Raises
    ------
    ArgumentError
        It is none of True, False and "despite CVE-2024-27322".
    """
    if trust != _INSISTS and not isinstance(trust, bool):
        raise ArgumentError(f"trust must be True, False or {_INSISTS!r}, not {trust!r}.")


def serialized(path: Path, trust: Trust) -> bytes:
    """Have R read a file, and return the parts of its object that are data, as R serializes them.

    Parameters
    ----------
    path : Path
        Of an .rds or .rda file.
    trust : bool or "despite CVE-2024-27322"
        Whether its origin is trusted.

    Returns
    -------
    bytes
        Of an .rds file, not packed.

    Raises
    ------
    RBridgeError
        R can't read it, or this R is too old for it.
    """
    object_ = _read(path, trust, "read_imputed")
    raw: bytes = object_.call("data_parts").value
    return raw


def read_objects(
    path: Path, trust: Trust, what: str, data: Sequence[pd.DataFrame] | None = None
) -> list[rdoor.RObject]:
    """Have R read a file of one lme4 model or of a list of them.

    Parameters
    ----------
    path : Path
        Of an .rds or .rda file.
    trust : bool or "despite CVE-2024-27322"
        Whether its origin is trusted.
    what : str
        The function that asks, for messages.
    data : sequence of DataFrame, optional
        What each of the models was fitted to.

    Returns
    -------
    list of RObject
        The models, with their data in the environments of their formulas.

    Raises
    ------
    RBridgeError
        R can't read it, or this R is too old for it.
    ArgumentError
        It is not trusted, or holds something else; `data` are of another number, or are not those
        that the models were fitted to.
    """
    if not trust:
        raise ArgumentError(
            f"{what}: a fitted model of R holds functions and environments, which R alone can "
            "read, and which may be any code. If you trust whoever made the file, say trust=True."
        )
    rdoor.require_package("lme4", what)
    object_ = _read(path, trust, what)
    told = object_.call("fits_told").value
    if told["n"] is None:
        raise ArgumentError(
            f"{path} holds an R object of class {' and '.join(told['class'])}, and neither a model "
            "of lme4 nor a list of them."
        )
    count = int(told["n"][0])
    if data is None:
        return [rdoor.call_object("fit_of_several", object_, i) for i in range(1, count + 1)]
    if len(data) != count:
        raise ArgumentError(
            f"{what}: data must be those of the {count} models that {path} holds, not of "
            f"{len(data)}."
        )
    fits = []
    for i, frame in enumerate(data, start=1):
        labels = [str(x) for x in frame.index]
        try:
            r = rdoor.call_object(
                "fit_of_several", object_, i, frame.reset_index(drop=True), labels
            )
        except RCallError as error:
            where = "" if count == 1 else f"imputation {i}: "
            raise ArgumentError(f"{what}: {where}{error.r_message}.") from error
        fits.append(r)
    return fits


def _read(path: Path, trust: Trust, what: str) -> rdoor.RObject:
    version = rdoor.call("base::R.Version").value
    number = f"{version['major'][0]}.{version['minor'][0]}"
    if trust != _INSISTS and tuple(map(int, number.split(".")[:2])) < _MENDED:
        raise RBridgeError(
            f"{what}: this is R {number}, and R before 4.4 runs code that a file may hold while it "
            "reads it (CVE-2024-27322), before anything of it can be looked at. Use R 4.4 or "
            f"later, or, if you are sure of this file, say trust={_INSISTS!r}."
        )
    try:
        # An absolute path, so that R takes it for no connection and expands nothing.
        return rdoor.call_object("read_r_file", str(path.absolute()))
    except RCallError as error:
        raise RBridgeError(f"{path} can't be read by R: {error.r_message}.") from error
