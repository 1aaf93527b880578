"""What a job says, once it has been checked: frozen values, defaults filled in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "ColumnSpec",
    "ComparisonSpec",
    "DataSpec",
    "ImputationSpec",
    "Job",
    "MeansSpec",
    "ModelSpec",
    "OutputSpec",
    "PoolingSpec",
    "model_key",
]


@dataclass(frozen=True)
class ColumnSpec:
    """A column of the data: its type, and what goes with it."""

    type: str
    levels: tuple[str, ...] | None = None
    ordered: bool = False
    format: str | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataSpec:
    """The data: one file, and the columns to take from it (None: all of a file with types)."""

    path: str
    format: str
    columns: Mapping[str, ColumnSpec] | None
    missing: tuple[str, ...] = ("", "NA")
    delimiter: str = ","
    decimal: str = "."
    encoding: str = "utf-8"


@dataclass(frozen=True)
class ImputationSpec:
    """The engine, its arguments under R's names, and whether it runs in a separate process.

    Without m an engine that imputes from the model chooses it. `model` is the name of that model,
    where the job has several.
    """

    engine: str
    m: int | None = 5
    seed: int = 0
    arguments: Mapping[str, Any] = field(default_factory=dict)
    isolate: bool | None = None
    timeout: float | None = None
    model: str = ""


@dataclass(frozen=True)
class MeansSpec:
    """A table of marginal means or slopes: what makes it, and its arguments."""

    function: str  # "emmeans" or "emtrends"
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class ModelSpec:
    """The arguments of `Lmer`, `Glmer` or `GlmerNb`, and whether a separate process fits it.

    `tests` has hypotheses by what they are called in their table, `means` what is to be estimated
    by the names of the tables.
    """

    formula: str
    fitter: str = "lmer"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    isolate: bool = False
    timeout: float | None = None
    tests: Mapping[str, str] = field(default_factory=dict)
    means: Mapping[str, MeansSpec] = field(default_factory=dict)


@dataclass(frozen=True)
class PoolingSpec:
    """How the fits become one answer; without dfcom, that is infinite for models without scale."""

    dfcom: str | float | None = None
    conf_level: float = 0.95
    vcov: str = "model"
    exponentiate: bool = False


@dataclass(frozen=True)
class ComparisonSpec:
    """Two models by their names, and the arguments of `compare`."""

    full: str
    reduced: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OutputSpec:
    """What is written; the folder is relative to the job file's."""

    folder: str | None
    formats: tuple[str, ...]
    tables: tuple[str, ...]
    imputed: bool = False
    report: bool = False


@dataclass(frozen=True)
class Job:
    """A job file that has been checked, defaults filled in.

    Attributes
    ----------
    data : DataSpec
        What is read.
    imputation : ImputationSpec
        How its holes are filled.
    models : mapping of str to ModelSpec
        By name; that of [model] has none, "".
    pooling : PoolingSpec
        How fits become one answer.
    output : OutputSpec
        What is written.
    comparisons : mapping of str to ComparisonSpec
        By name.
    """

    data: DataSpec
    imputation: ImputationSpec
    models: Mapping[str, ModelSpec]
    pooling: PoolingSpec
    output: OutputSpec
    comparisons: Mapping[str, ComparisonSpec] = field(default_factory=dict)

    @property
    def model(self) -> ModelSpec:
        """The model that the data are imputed from; the only one of a job with one."""
        return self.models[self.imputation.model]

    def as_record(self) -> dict[str, Any]:
        """Return the job as `run.json` has it: what it does not use is left out."""
        record = dataclasses.asdict(self)
        for model in record["models"].values():
            _without_empty(model, "tests", "means")
        if list(self.models) == [""]:
            of_one = {"models": ("model", record["models"][""])}
            record = dict(of_one.get(name, (name, value)) for name, value in record.items())
        _without_empty(record, "comparisons")
        _without_empty(record["imputation"], "model")
        if self.imputation.engine == "given":
            for name in ("m", "seed", "isolate", "timeout"):
                del record["imputation"][name]
        return record


def _without_empty(record: dict[str, Any], *names: str) -> None:
    for name in names:
        if not record[name]:
            del record[name]


def model_key(name: str) -> str:
    """Return the key of a model in the job file.

    Examples
    --------
    >>> model_key("small"), model_key("")
    ('models.small', 'model')
    """
    return f"models.{name}" if name else "model"
