"""Checking a job before any work: the file, its data, and what R can say of both without a fit."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import rdoor
from ..data.imputed_data import ImputedData
from ..errors import ArgumentError, EncodingError, FormulaError, RNotFoundError, RPackageError
from ..imputers.arguments import columns_named
from ..imputers.engines import engine_named
from ..imputers.imputation_plan import imputation_plan
from ..inference.ratios import check_ratios
from ..models.glmer import Glmer
from ..models.glmer_nb import GlmerNb
from ..models.lmer import Lmer
from ..models.mixed_model import MixedModel
from ..models.plans import check_model, fixed_part
from . import outputs
from .asked import check_asked
from .data import DataFile, read_data
from .data_section import FORMATS, column_key
from .given import read_given
from .imputation_section import engine_arguments, imputes, imputes_from_model
from .job import Job, ModelSpec, model_key
from .places import data_file, output_folder
from .spec import parse_data, parse_job, parse_toml
from .tables import JOB_TABLES
from .values import JobError, Mistakes, shown

__all__ = ["Checked", "check_job"]

_FITTERS: dict[str, Any] = {"lmer": Lmer, "glmer": Glmer, "glmer.nb": GlmerNb}
_DFCOM_NEEDS = {"satterthwaite": "lmerTest", "kenward-roger": "pbkrtest"}


@dataclass(frozen=True)
class Checked:
    """A job without mistakes, its data, its models by name, and its folder.

    `imputed` are data sets that the file holds, imputed already.
    """

    name: str
    sha256: str
    job: Job
    data: DataFile
    models: Mapping[str, MixedModel]
    folder: Path
    imputed: ImputedData | None = None

    @property
    def holes(self) -> pd.DataFrame:
        """The data before their imputation."""
        return self.data.frame if self.imputed is None else self.imputed.original


def check_job(
    path: str | Path, *, out: str | Path | None = None, data_root: str | Path | None = None
) -> Checked:
    """Check everything that can be checked of a job before it imputes; see `run_job`.

    Parameters
    ----------
    path, out, data_root : path
        As in `run_job`.

    Returns
    -------
    Checked
        The job, its data, its models, and the folder that it would write.

    Raises
    ------
    JobError
        With all mistakes of the file, and of its data as far as [data] can be understood.
    """
    job_path = Path(path)
    name = job_path.name
    mistakes = Mistakes()
    try:
        raw = job_path.read_bytes()
        source = raw.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except OSError as error:
        raise JobError(str(path), [("(file)", f"can't be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        text = f"is not UTF-8 (byte {error.start}), which TOML must be"
        raise JobError(name, [("(file)", text)]) from None
    given = parse_toml(source, mistakes)
    mistakes.stop(name)
    job = parse_job(given, mistakes)
    file = None
    if (data_path := _text_at(given, "data", "path")) is not None:
        file = data_file(
            data_path, job_path, None if data_root is None else Path(data_root), mistakes
        )
    wanted = _text_at(given, "output", "folder")
    folder = output_folder(wanted, job_path, None if out is None else Path(out), mistakes)
    if folder is not None:
        outputs.check_folder(folder, mistakes)
        if file is not None and file.is_relative_to(folder):
            mistakes.add(
                "data.path", "lies in the output folder, which the run replaces as a whole"
            )
    data_spec = job.data if job is not None else parse_data(given)
    data = imputed = None
    if job is not None and file is not None and job.imputation.engine == "given":
        there = read_given(job.data, job.imputation, file, mistakes)
        if there is not None:
            data, imputed = there
    elif data_spec is not None and file is not None and data_spec.format in FORMATS:
        data = read_data(data_spec, file, mistakes)
    models: dict[str, MixedModel] = {}
    if job is not None:
        models = _models(job, mistakes)
        if data is not None and len(models) == len(job.models):
            completed = data if imputed is None else dataclasses.replace(data, frame=imputed[0])
            _check_with_data(job, models, completed, mistakes)
    mistakes.stop(name)
    assert job is not None and data is not None and folder is not None
    return Checked(name, hashlib.sha256(raw).hexdigest(), job, data, models, folder, imputed)


def _text_at(given: Mapping[str, Any], section: str, key: str) -> str | None:
    """Return a path of the job, also where it has mistakes elsewhere, so that all are listed."""
    table = given.get(section)
    value = table.get(key) if isinstance(table, Mapping) else None
    return value if isinstance(value, str) and value.strip() else None


def _models(job: Job, mistakes: Mistakes) -> dict[str, MixedModel]:
    """Make the models; one that can't be made has a mistake."""
    models = {}
    for name, spec in job.models.items():
        try:
            models[name] = _FITTERS[spec.fitter](spec.formula, **_arguments(spec))
        except ArgumentError as error:
            mistakes.add(model_key(name), str(error))
    return models


def _arguments(spec: ModelSpec) -> dict[str, Any]:
    arguments = dict(spec.arguments)
    if "contrasts" in arguments:
        arguments["contrasts"] = {
            name: x if isinstance(x, str) else np.array(x, dtype=np.float64)
            for name, x in arguments["contrasts"].items()
        }
    return arguments


def _check_with_data(
    job: Job, models: Mapping[str, MixedModel], data: DataFile, mistakes: Mistakes
) -> None:
    """Check the columns that are named, the formulas (by R), and what the engine can't take."""
    frame = data.frame
    _check_names(job, frame, mistakes)
    engine = job.imputation.engine
    if imputes(engine) and not imputes_from_model(engine):
        _check_engine(job, frame, data.broken, mistakes)
    for name, model in models.items():
        try:
            _check_model(model_key(name), job.models[name], model, data, mistakes)
        except (RNotFoundError, RPackageError):
            if not mistakes:
                raise
            # Without R no formula can be checked; the other mistakes are listed all the same.
            return
    if not mistakes and imputes_from_model(engine):
        _check_plan(job, models[job.imputation.model], frame, mistakes)
    _check_pooling(job, models, mistakes)
    for table in JOB_TABLES:
        if engine == "none" and table.name in job.output.tables:
            for package in table.needs:
                _check_package("output.tables", package, f'the table "{table.name}"', mistakes)


def _check_model(
    key: str, spec: ModelSpec, model: MixedModel, data: DataFile, mistakes: Mistakes
) -> None:
    """Check a model's formula and arguments, and what is asked of its coefficients."""
    try:
        check_model(Lmer(spec.formula), data.frame)
        if mistakes.under(key):
            return
        check_model(model, data.frame)
        if spec.tests or spec.means:
            check_asked(key, spec, fixed_part(model, data.frame), data.frame, mistakes)
    except FormulaError as error:
        text = error.r_message or str(error)
        unread = [x for x in data.unused if f"'{x}'" in text]
        if unread:
            text += f" (the file has {', '.join(map(shown, unread))}: add it to [data.columns])"
        mistakes.add(f"{key}.formula", text)
    except (ArgumentError, EncodingError) as error:
        mistakes.add(key, str(error))


def _check_pooling(job: Job, models: Mapping[str, MixedModel], mistakes: Mistakes) -> None:
    """Check [pooling] against each of the models, and that R has what it needs."""
    spec = job.pooling
    for key, method in (("dfcom", spec.dfcom), ("vcov", spec.vcov)):
        if not isinstance(method, str) or method not in _DFCOM_NEEDS:
            continue
        _check_package(f"pooling.{key}", _DFCOM_NEEDS[method], f'"{method}"', mistakes)
        for name, model in job.models.items():
            if model.fitter != "lmer":
                mistakes.add(
                    f"pooling.{key}",
                    f"{shown(method)} is for linear mixed models, and [{model_key(name)}] is "
                    f"fitted by {model.fitter}",
                )
            elif key == "vcov" and not model.arguments.get("reml", True):
                mistakes.add(
                    "pooling.vcov",
                    f"Kenward and Roger's standard errors are for fits by REML, and "
                    f"[{model_key(name)}] has reml = false",
                )
    if spec.exponentiate:
        for name, fitted in models.items():
            try:
                check_ratios(getattr(fitted, "link", None))
            except ArgumentError as error:
                mistakes.add("pooling.exponentiate", f"[{model_key(name)}]: {error}")


def _check_package(key: str, package: str, what: str, mistakes: Mistakes) -> None:
    try:
        rdoor.require_package(package, what)
    except RPackageError as error:
        mistakes.add(key, str(error))


def _check_names(job: Job, frame: pd.DataFrame, mistakes: Mistakes) -> None:
    engine = job.imputation.engine
    takes = engine_arguments(engine) if imputes(engine) else {}
    named: dict[str, Any] = {
        **{
            f"imputation.{name}": columns_named(takes[name], value)
            for name, value in job.imputation.arguments.items()
            if name in takes
        },
    }
    for name, model in job.models.items():
        for argument in Glmer.per_row:
            named[f"{model_key(name)}.{argument}"] = model.arguments.get(argument)
        named[f"{model_key(name)}.contrasts"] = list(model.arguments.get("contrasts", ()))
    for key, value in named.items():
        if not isinstance(value, str | list):
            continue
        names = [value] if isinstance(value, str) else [x for x in value if isinstance(x, str)]
        for column in names:
            if column not in frame.columns:
                mistakes.add(
                    key,
                    f"names {shown(column)}, which is no column of the data; they have "
                    f"{', '.join(map(shown, frame.columns))}",
                )


def _check_engine(
    job: Job, frame: pd.DataFrame, broken: frozenset[str], mistakes: Mistakes
) -> None:
    """Check what the engine can't take; of "auto", what the engine can't that is tried first."""
    engine = engine_named(job.imputation.engine)
    takes = {x.name for x in engine.arguments}
    arguments = {k: v for k, v in job.imputation.arguments.items() if k in takes}
    for name in frame.columns:
        if name in broken:
            continue
        try:
            engine.check_column(frame[name], arguments)
        except ArgumentError as error:
            mistakes.add(column_key(name), str(error))
    if not mistakes:
        try:
            engine.check(arguments, frame)
        except ArgumentError as error:
            mistakes.add("imputation", str(error))


def _check_plan(job: Job, model: MixedModel, frame: pd.DataFrame, mistakes: Mistakes) -> None:
    """Check what an engine that imputes from the model says of the data."""
    try:
        plan = imputation_plan(frame, model, **job.imputation.arguments)
    except (ArgumentError, FormulaError) as error:
        mistakes.add("imputation", str(error))
        return
    for text in plan.refused:
        mistakes.add("imputation", text)
