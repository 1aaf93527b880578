"""Doing a job: check all of it, impute, fit, pool, and put the results in place."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import __version__, rdoor
from ..data.imputed_data import ImputedData
from ..doctor import Diagnosis, diagnose
from ..errors import (
    ArgumentError,
    EncodingError,
    FormulaError,
    RBridgeError,
    RBridgeWarning,
    RNotFoundError,
    RPackageError,
    RWarning,
)
from ..imputers.arguments import columns_named
from ..imputers.choose import impute
from ..imputers.engines import engine_named
from ..imputers.imputation_plan import imputation_plan
from ..inference.mermod import MerMod
from ..models.fitting import check_model, start_workers
from ..models.glmer import Glmer
from ..models.glmer_nb import GlmerNb
from ..models.lmer import Lmer
from ..models.mixed_model import MixedModel
from ..pooled.mermod_list import MerModList
from ..reports.page import page_of
from . import outputs
from .data import DataFile, read_data
from .places import data_file, output_folder
from .spec import Job, column_key, engine_arguments, parse_data, parse_job, parse_toml
from .tables import JOB_TABLES, FitResults, ListResults, Results, make_tables
from .values import JobError, Mistakes, shown

__all__ = ["JobResult", "check_job", "run_job"]

Say = Callable[[str], None]

# What differs between a shell and cron, and no number depends on.
_OF_THE_PROCESS = ("ctype", "library")

_FITTERS: dict[str, Any] = {"lmer": Lmer, "glmer": Glmer, "glmer.nb": GlmerNb}
_DFCOM_NEEDS = {"satterthwaite": "lmerTest", "kenward-roger": "pbkrtest"}


@dataclass(frozen=True)
class Checked:
    """A job without mistakes, its data, and its folder."""

    name: str
    sha256: str
    job: Job
    data: DataFile
    model: MixedModel
    folder: Path


@dataclass(frozen=True)
class JobResult:
    """What a run wrote.

    Attributes
    ----------
    folder : Path
    files : tuple of str
        All files in it, ``run.json`` among them.
    warnings : tuple of str
        What R and this library warned of; in ``run.json`` too.
    """

    folder: Path
    files: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass
class _Clock:
    """Seconds per stage; they are written to `run.json` and nowhere else."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)


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
        The job, its data, its model, and the folder that it would write.

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
    data = None
    if data_spec is not None and file is not None:
        data = read_data(data_spec, file, mistakes)
    model = None
    if job is not None:
        try:
            model = _FITTERS[job.model.fitter](job.model.formula, **_model_arguments(job))
        except ArgumentError as error:
            mistakes.add("model", str(error))
        if data is not None and model is not None:
            _check_with_data(job, model, data, mistakes)
    mistakes.stop(name)
    assert job is not None and data is not None and model is not None and folder is not None
    return Checked(name, hashlib.sha256(raw).hexdigest(), job, data, model, folder)


def run_job(
    path: str | Path,
    *,
    out: str | Path | None = None,
    data_root: str | Path | None = None,
    n_jobs: int | None = None,
    say: Say | None = None,
) -> JobResult:
    """Do what a job file says: ``rbridge-mi run job.toml``.

    The same job with the same R, packages and BLAS gives the same bytes, but for the part "run"
    of ``run.json``, which holds the time stamps. The locale of the process makes no difference: R
    sorts text by code point (the levels of factors that it makes of text, the first of which is
    the reference) and speaks English. ``run.json`` says so, as ``collation``.

    Parameters
    ----------
    path : path
        The job, a TOML file; ``examples/hsb.toml`` shows one.
    out : path, optional
        The folder to write, instead of the job's ``output.folder``. It appears when all is
        written; one that is there is replaced only if an earlier run wrote all that is in it.
    data_root : path, optional
        The folder that ``data.path`` is relative to and must stay in: by default the job file's.
    n_jobs : int, optional
        Processes for the fits, as `Lmer.fit` has it. No byte depends on it.
    say : callable, optional
        Gets a line at each step.

    Returns
    -------
    JobResult
        The folder that was written, its files, and the texts of all warnings.

    See Also
    --------
    check_job : Checks the job and its data, and stops.

    Raises
    ------
    JobError
        The job is wrong; nothing was computed or written.
    RBridgeError
        R could not do it; nothing was written.

    Examples
    --------
    >>> import tempfile
    >>> import rbridge_mi as rb
    >>> job = '''
    ... [data]
    ... path = "hsb.csv"
    ... columns = {schid = "text", ses = "float", mathach = "float"}
    ... [imputation]
    ... engine = "none"
    ... [model]
    ... formula = "mathach ~ ses + (1 | schid)"
    ... [output]
    ... tables = ["fixef"]
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rb.load_hsb().to_csv(f"{folder}/hsb.csv", index=False)
    ...     _ = Path(folder, "job.toml").write_text(job)
    ...     done = run_job(f"{folder}/job.toml")
    ...     print((done.folder / "fixef.csv").read_text().split()[0])
    term,estimate
    >>> done.files
    ('fixef.csv', 'summary.txt', 'run.json')
    """
    with rdoor.plain_locale():
        return _run(path, out, data_root, n_jobs, say if say is not None else _silent)


def _run(
    path: str | Path,
    out: str | Path | None,
    data_root: str | Path | None,
    n_jobs: int | None,
    tell: Say,
) -> JobResult:
    clock = _Clock()
    started = _now()
    with clock.stage("check"):
        checked = check_job(path, out=out, data_root=data_root)
        stack = _stack()
    job, data = checked.job, checked.data
    rows, columns = data.frame.shape
    tell(f"{checked.name}: checked")
    tell(f"data: {job.data.path}, {rows} rows, {columns} columns, SHA-256 {data.sha256[:12]}...")
    conditions: list[str] = []  # the texts of all warnings
    with _collect_warnings(conditions, tell):
        imp = None
        if job.imputation.engine != "none":
            with clock.stage("impute"):
                isolated = job.model.isolate or job.model.timeout is not None
                if n_jobs is not None and not isolated:  # isolated fits start their workers
                    start_workers(n_jobs)
                imp = _impute(checked, n_jobs, tell)
        tell(f"fitting: {'1 model' if imp is None else f'{imp.m} models'}, {job.model.formula}")
        with clock.stage("fit"):
            fitted = _fit(checked, imp, n_jobs)
        with clock.stage("pool"):
            results = _results(checked, imp, fitted)
            tables = make_tables(results, job.output.tables)
        page = None
        if isinstance(results, ListResults) and job.output.report:
            tell("writing the report")
            with clock.stage("report"):
                page = _page(checked, results)
    with outputs.staged(checked.folder) as folder:
        tell(f"writing: {len(tables)} tables as {' and '.join(job.output.formats)}")
        with clock.stage("write"):
            for name, table in tables.items():
                outputs.write_table(table, folder, name, job.output.formats)
            if isinstance(results, ListResults) and job.output.imputed:
                long = results.imputed.to_long()
                outputs.write_table(long, folder, "imputed", job.output.formats)
            (folder / "summary.txt").write_text(_summary(results) + "\n", "utf-8")
            if page is not None:
                (folder / "report.html").write_text(page, "utf-8")
        files = outputs.fingerprints(folder)
        record = _record(checked, results, conditions, files, stack)
        record["run"] = {"started": started, "finished": _now(), "seconds": clock.seconds}
        outputs.write_json(record, folder / outputs.RUN_JSON)
    return JobResult(checked.folder, (*files, outputs.RUN_JSON), tuple(conditions))


def _silent(_: str) -> None:
    pass


def _now() -> str:
    return dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")


# -- checks --------------------------------------------------------------------------------


def _text_at(given: Mapping[str, Any], section: str, key: str) -> str | None:
    """Return a path of the job, also where it has mistakes elsewhere, so that all are listed."""
    table = given.get(section)
    value = table.get(key) if isinstance(table, Mapping) else None
    return value if isinstance(value, str) and value.strip() else None


def _model_arguments(job: Job) -> dict[str, Any]:
    arguments = dict(job.model.arguments)
    if "contrasts" in arguments:
        arguments["contrasts"] = {
            name: x if isinstance(x, str) else np.array(x, dtype=np.float64)
            for name, x in arguments["contrasts"].items()
        }
    return arguments


def _check_with_data(job: Job, model: MixedModel, data: DataFile, mistakes: Mistakes) -> None:
    """Check the columns that are named, the formula (by R), and what the engine can't take."""
    frame = data.frame
    _check_names(job, frame, mistakes)
    engine = job.imputation.engine
    if engine != "none" and not engine_named(engine).needs_model:
        _check_engine(job, frame, data.broken, mistakes)
    try:
        check_model(Lmer(job.model.formula), frame)
        if not mistakes.under("model"):
            check_model(model, frame)
    except FormulaError as error:
        text = error.r_message or str(error)
        unread = [x for x in data.unused if f"'{x}'" in text]
        if unread:
            text += f" (the file has {', '.join(map(shown, unread))}: add it to [data.columns])"
        mistakes.add("model.formula", text)
    except ArgumentError as error:
        mistakes.add("model", str(error))
    except (RNotFoundError, RPackageError):
        if not mistakes:
            raise
        # Without R the formula can't be checked; the other mistakes are listed all the same.
        return
    if not mistakes and engine != "none" and engine_named(engine).needs_model:
        _check_plan(job, model, frame, mistakes)
    for key, method in (("dfcom", job.pooling.dfcom), ("vcov", job.pooling.vcov)):
        if isinstance(method, str) and method in _DFCOM_NEEDS:
            try:
                rdoor.require_package(_DFCOM_NEEDS[method], f'"{method}"')
            except RPackageError as error:
                mistakes.add(f"pooling.{key}", str(error))
    for table in JOB_TABLES:
        if engine == "none" and table.name in job.output.tables:
            for package in table.needs:
                try:
                    rdoor.require_package(package, f'the table "{table.name}"')
                except RPackageError as error:
                    mistakes.add("output.tables", str(error))


def _check_names(job: Job, frame: pd.DataFrame, mistakes: Mistakes) -> None:
    takes = engine_arguments(job.imputation.engine) if job.imputation.arguments else {}
    named: dict[str, Any] = {
        **{
            f"imputation.{name}": columns_named(takes[name], value)
            for name, value in job.imputation.arguments.items()
        },
        **{f"model.{k}": job.model.arguments.get(k) for k in Glmer.per_row},
        "model.contrasts": list(job.model.arguments.get("contrasts", ())),
    }
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


def _stack() -> Diagnosis:
    """Return what the numbers will come from, without which they could not be repeated."""
    stack = diagnose()
    if not stack.r:
        raise RBridgeError("; ".join(" ".join(x) for x in stack.problems))
    r = {name: x for name, x in stack.r.items() if name not in _OF_THE_PROCESS}
    return dataclasses.replace(stack, r=r)


# -- the work ------------------------------------------------------------------------------


@contextmanager
def _collect_warnings(conditions: list[str], tell: Say) -> Iterator[None]:
    """Keep every warning, in order, instead of printing it; show each text once."""
    with warnings.catch_warnings():

        def show(message: Warning | str, *_: Any, **__: Any) -> None:
            text = str(message)
            if text not in conditions:
                tell(f"warning: {text}")
            conditions.append(text)

        warnings.simplefilter("always")
        warnings.showwarning = show
        yield


def _impute(checked: Checked, n_jobs: int | None, tell: Say) -> ImputedData:
    spec = checked.job.imputation
    m = "chosen by a pilot" if spec.m is None else f"= {spec.m}"
    tell(f"imputing: {spec.engine}, m {m}, seed {spec.seed}")
    frame = checked.data.frame.copy()
    frame.index = pd.RangeIndex(1, len(frame) + 1)  # rows are numbered as R numbers them
    engine: Any = spec.engine
    from_model = engine_named(engine).needs_model
    arguments = dict(spec.arguments)
    model: Any = checked.model if from_model else arguments.pop("model", None)
    try:
        return impute(
            frame,
            model,
            spec.m,
            engine,
            spec.seed,
            n_jobs if from_model else None,
            isolate=spec.isolate,
            timeout=spec.timeout,
            **arguments,
        )
    except (ArgumentError, EncodingError, FormulaError) as error:
        raise JobError(checked.name, [("imputation", str(error))]) from error


def _fit(checked: Checked, imp: ImputedData | None, n_jobs: int | None) -> MerMod | MerModList:
    spec = checked.job.model
    fitted: MerMod | MerModList
    if imp is None:
        frame = checked.data.frame
        fitted = checked.model.fit(frame, isolate=spec.isolate, timeout=spec.timeout)
    else:
        fitted = checked.model.fit(imp, n_jobs=n_jobs, isolate=spec.isolate, timeout=spec.timeout)
    return fitted


def _results(checked: Checked, imp: ImputedData | None, fitted: MerMod | MerModList) -> Results:
    frame, spec = checked.data.frame, checked.job.pooling
    if isinstance(fitted, MerMod):
        return FitResults(frame, fitted)
    assert imp is not None
    pooled = fitted.pool(**dataclasses.asdict(spec))
    return ListResults(frame, imp, fitted, pooled)


def _page(checked: Checked, results: ListResults) -> str:
    """Return the report, beside the rows without holes where the model can be fitted to them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RWarning)  # the page has the fit's messages
            listwise = checked.model.fit(checked.data.frame)
    except RBridgeError as error:
        warnings.warn(
            f"the report does without complete cases, to which the model can't be fitted: {error}",
            RBridgeWarning,
            stacklevel=2,
        )
        listwise = None
    origin = {
        "job file": f"{checked.name}, SHA-256 {checked.sha256}",
        "data file": f"{checked.job.data.path}, SHA-256 {checked.data.sha256}",
    }
    return page_of(results.pooled, listwise, None, None, origin)


def _summary(results: Results) -> str:
    if isinstance(results, FitResults):
        return str(results.fit.summary())
    return f"{results.pooled.summary()}\n\n{results.imputed.summary()}"


def _record(
    checked: Checked,
    results: Results,
    conditions: list[str],
    files: Mapping[str, str],
    stack: Diagnosis,
) -> dict[str, Any]:
    """Return what `run.json` holds beside the times: the same for the same job and stack."""
    job, data = checked.job, checked.data
    imp = results.imputed if isinstance(results, ListResults) else None
    fits = [results.fit] if isinstance(results, FitResults) else list(results.fits)
    return {
        "format": outputs.FORMAT,
        "format_version": 1,
        "job_file": {"name": checked.name, "sha256": checked.sha256},
        "job": dataclasses.asdict(job),
        "data": {
            "path": job.data.path,
            "sha256": data.sha256,
            "bytes": data.size,
            "rows": len(data.frame),
            "columns": {name: str(x.dtype) for name, x in data.frame.items()},
            "unused_columns": list(data.unused),
        },
        "seeds": {} if imp is None else {"imputation": imp.seed},
        "imputation": None if imp is None else {
            "method": imp.method,
            "kind": imp.kind,
            "m": imp.m,
            "message": " ".join(imp.log),
            "chain_lengths": list(imp.chain_lengths),
            "changed_dtypes": list(imp.notes),
        },
        "collation": "C",
        "fits": [
            {
                "imputation": fit.imputation,
                "nobs": fit.nobs,
                "ngrps": dict(fit.ngrps),
                "is_singular": fit.is_singular,
                "optimizer": fit.optimizer,
                "messages": list(fit.messages),
            }
            for fit in fits
        ],
        "versions": {
            "python": stack.python | {"rbridge_mi": __version__} | _writers(job),
            "r": stack.r,
            "r_packages": stack.packages,
        },
        "warnings": conditions,
        "files": dict(files),
    }  # fmt: skip


def _writers(job: Job) -> dict[str, str]:
    """Return the versions of what writes files beside this library, where the job needs it."""
    wanted = ["pyarrow"] if "parquet" in (job.data.format, *job.output.formats) else []
    if job.output.report:
        wanted += ["jinja2", "matplotlib"]
    return {name: version(name) for name in wanted}
