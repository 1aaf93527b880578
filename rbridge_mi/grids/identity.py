"""What a grid is of: its models, data, tables and R, noted beside the results.

A grid that is resumed must be of the same, or its rows would be of different things.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import rdoor
from ..base.paths import write_whole
from ..data.fingerprint import fingerprint
from ..errors import ArgumentError, RBridgeError
from ..models.mixed_model import MixedModel
from .tables import GRID_TABLES

__all__ = ["MANIFEST", "Identity", "digest_of_data", "digest_of_model", "stack"]

MANIFEST = "grid.json"
_FORMAT = "rbridge-mi grid"
_VERSION = 1


@dataclass(frozen=True)
class Identity:
    """What a grid is of.

    Attributes
    ----------
    models : mapping
        By name of the model, what it is, as text, and its digest.
    data : str
        The digest of the data sets; empty where none was taken.
    m : int
        Their number.
    kind : str
        "imputation" or "bootstrap".
    tables : tuple of str
    """

    models: Mapping[str, tuple[str, str]]
    data: str
    m: int
    kind: str
    tables: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The models' names, in their order."""
        return tuple(self.models)

    def check_same(self, other: Identity, folder: Path) -> None:
        """Refuse to go on with a grid of something else.

        Parameters
        ----------
        other : Identity
            What the results in the folder are of.
        folder : Path
            Of the results.

        Raises
        ------
        ArgumentError
            Naming what differs.
        """
        there, here = other.models, self.models
        parts = {
            "are others now": [x for x in here if x in there and here[x] != there[x]],
            "are new": [x for x in here if x not in there],
            "are gone": [x for x in there if x not in here],
        }
        differ = [f"models {_some(names)} {what}" for what, names in parts.items() if names]
        if not differ and other.names != self.names:
            differ = ["the models stand in another order"]
        if (self.m, self.kind, self.data) != (other.m, other.kind, other.data):
            sizes = f" ({self.m} data sets, {other.m} there)" if self.m != other.m else ""
            differ.append(f"the data are others{sizes}")
        if self.tables != other.tables:
            differ.append(f"the tables are {_some(self.tables)}, there {_some(other.tables)}")
        if differ:
            raise ArgumentError(
                f"{folder} holds the results of another grid: {'; '.join(differ)}. Name another "
                "folder, or delete this one if its results are no longer wanted."
            )

    def write(self, folder: Path) -> None:
        """Write it to a folder, with the R that the fits come from."""
        content = {
            "format": _FORMAT,
            "format_version": _VERSION,
            "m": self.m,
            "kind": self.kind,
            "tables": list(self.tables),
            "data_sha256": self.data,
            "stack": stack(),
            "models": {
                name: {"model": text, "sha256": digest}
                for name, (text, digest) in self.models.items()
            },
        }
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        write_whole(folder / MANIFEST, MANIFEST, lambda x: _write_text(x, text))

    @classmethod
    def read(cls, folder: Path) -> tuple[Identity, dict[str, str]]:
        """Read what the results in a folder are of, and the R that they come from.

        Raises
        ------
        RBridgeError
            The folder holds no grid, or one that a later version of this library wrote.
        """
        file = folder / MANIFEST
        try:
            content = json.loads(file.read_text("utf-8"))
            if content["format"] != _FORMAT:
                raise ValueError(f"its format is {content['format']!r}")
            if content["format_version"] != _VERSION:
                raise RBridgeError(
                    f"{file} has format version {content['format_version']}, and this version of "
                    f"rbridge_mi reads {_VERSION}: install a newer one."
                )
            models = {
                str(name): (str(x["model"]), str(x["sha256"]))
                for name, x in content["models"].items()
            }
            tables = tuple(content["tables"])
            known = set(tables) <= set(GRID_TABLES)
            if not models or not known or content["kind"] not in ("imputation", "bootstrap"):
                raise ValueError("a key of it has no such value")
            identity = cls(
                models, str(content["data_sha256"]), int(content["m"]), content["kind"], tables
            )
            return identity, {str(k): str(x) for k, x in content["stack"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RBridgeError(f"{file} is no record of a grid ({error!r}).") from error


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


def _some(names: Sequence[str]) -> str:
    listed = ", ".join(repr(x) for x in names[:5])
    return listed if len(names) <= 5 else f"{listed} and {len(names) - 5} more"


def stack() -> dict[str, str]:
    """Return what the last bits of a fit hang on: R, lme4, linear algebra, the order of text."""
    facts = rdoor.call("describe_stack", ["lme4", "Matrix"]).value
    packages = dict(zip(facts["packages"], facts["versions"], strict=True))
    r = {name: str(facts[name][0]) for name in ("r", "platform", "blas", "lapack")}
    [order] = rdoor.call("text_order").value
    return {**r, **{str(k): str(x) for k, x in packages.items()}, "collation": str(order)}


def digest_of_data(frames: Sequence[pd.DataFrame]) -> str:
    """Return a digest of data sets: names, types, levels and values."""
    digest = hashlib.sha256(fingerprint(frames).encode())
    for name, dtype in frames[0].dtypes.items():
        levels = dtype.categories if isinstance(dtype, pd.CategoricalDtype) else ()
        ordered = getattr(dtype, "ordered", None)
        digest.update(repr((name, str(dtype), list(levels), ordered)).encode())
    return digest.hexdigest()


def digest_of_model(model: MixedModel) -> str:
    """Return a digest of a model's class and arguments."""
    return hashlib.sha256(_text((type(model).__name__, model.get_params())).encode()).hexdigest()


def _text(value: Any) -> str:
    """Return a text that is the same for the same value, in every process."""
    if isinstance(value, pd.Series):
        value = value.to_frame()
    if isinstance(value, pd.DataFrame):
        return f"frame {list(value.columns)!r} {list(value.index)!r} {fingerprint([value])}"
    if isinstance(value, np.ndarray):
        return f"array {value.dtype} {value.shape} {_text(value.tolist())}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_text(k)}: {_text(x)}' for k, x in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, np.generic):
        value = value.item()
    return repr(value)
