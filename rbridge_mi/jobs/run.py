"""Doing a job: check all of it, impute, fit, pool, and put the results in place."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from .. import rdoor
from ..data.imputed_data import ImputedData
from ..doctor import Diagnosis, diagnose
from ..errors import (
    ArgumentError,
    EncodingError,
    FormulaError,
    RBridgeError,
    RBridgeWarning,
    RWarning,
)
from ..imputers.choose import impute
from ..imputers.engines import engine_named
from ..inference.mermod import MerMod
from ..models.fitting import start_workers
from ..pooled.mermod_list import MerModList
from ..reports.page import page_of
from . import outputs
from .asked import asked_tables, comparisons_table
from .checking import Checked, check_job
from .job import ModelSpec
from .record import run_record
from .tables import TABLES_OF_DATA, FitResults, ListResults, Results, make_tables
from .values import JobError

__all__ = ["JobResult", "check_job", "run_job"]

Say = Callable[[str], None]

# What differs between a shell and cron, and no number depends on.
_OF_THE_PROCESS = ("ctype", "library")


@dataclass(frozen=True)
class JobResult:
    """What a run wrote.

    Attributes
    ----------
    folder : Path
    files : tuple of str
        Paths in it of all files, ``run.json`` among them; those of one of several models begin
        with its name and a slash.
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
    ... tables = ["fixed"]
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rb.load_hsb().to_csv(f"{folder}/hsb.csv", index=False)
    ...     _ = Path(folder, "job.toml").write_text(job)
    ...     done = run_job(f"{folder}/job.toml")
    ...     print((done.folder / "fixed.csv").read_text().split()[0])
    term,estimate,std_error,statistic,df,p_value,conf_low,conf_high
    >>> done.files
    ('fixed.csv', 'summary.txt', 'run.json')
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
    rows, columns = checked.holes.shape
    tell(f"{checked.name}: checked")
    tell(f"data: {job.data.path}, {rows} rows, {columns} columns, SHA-256 {data.sha256[:12]}...")
    log = _Warnings(tell)
    with log.collected():
        imp = checked.imputed
        if imp is not None:
            tell(f"given: {imp.m} data sets")
        elif job.imputation.engine != "none":
            with clock.stage("impute"):
                isolated = all(x.isolate or x.timeout is not None for x in job.models.values())
                if n_jobs is not None and not isolated:  # isolated fits start their workers
                    start_workers(n_jobs)
                imp = _impute(checked, n_jobs, tell)
        fitted = {}
        with clock.stage("fit"):
            for name, spec in job.models.items():
                count = "1 model" if imp is None else f"{imp.m} models"
                tell(f"fitting{f' {name}' if name else ''}: {count}, {spec.formula}")
                with log.about(name):
                    fitted[name] = _fit(checked, name, imp, n_jobs)
        results: dict[str, Results] = {}
        pages = {}
        with clock.stage("pool"):
            for name, fits in fitted.items():
                with log.about(name):
                    results[name] = _results(checked, imp, fits)
            tables = _tables(checked, results, log)
        if job.output.report:
            tell("writing the report" if len(results) == 1 else "writing the reports")
            with clock.stage("report"):
                for name, pooled in results.items():
                    with log.about(name):
                        assert isinstance(pooled, ListResults)  # as the job has been checked
                        pages[name] = _page(checked, name, pooled)
    with outputs.staged(checked.folder) as folder:
        tell(f"writing: {len(tables)} tables as {' and '.join(job.output.formats)}")
        with clock.stage("write"):
            for name in filter(None, job.models):
                (folder / name).mkdir()
            for name, table in tables.items():
                outputs.write_table(table, folder, name, job.output.formats)
            if imp is not None and job.output.imputed:
                outputs.write_table(imp.to_long(), folder, "imputed", job.output.formats)
            for name, result in results.items():
                (folder / name / "summary.txt").write_text(_summary(result) + "\n", "utf-8")
            for name, page in pages.items():
                (folder / name / "report.html").write_text(page, "utf-8")
        files = outputs.fingerprints(folder)
        notes = {x: y.attrs["note"] for x, y in tables.items() if y.attrs.get("note")}
        record = run_record(checked, results, log.texts, notes, files, stack)
        record["run"] = {"started": started, "finished": _now(), "seconds": clock.seconds}
        outputs.write_json(record, folder / outputs.RUN_JSON)
    return JobResult(checked.folder, (*files, outputs.RUN_JSON), tuple(log.texts))


def _tables(
    checked: Checked, results: Mapping[str, Results], log: _Warnings
) -> dict[str, pd.DataFrame]:
    """Make all tables, by the paths of their files in the folder, without the end."""
    job = checked.job
    of_model = [x for x in job.output.tables if x not in TABLES_OF_DATA]
    tables: dict[str, pd.DataFrame] = {}
    for name, result in results.items():
        with log.about(name):
            of_this = make_tables(result, of_model)
            of_this |= asked_tables(checked.name, name, job.models[name], result)
        tables |= {f"{name}/{x}" if name else x: y for x, y in of_this.items()}
    if job.comparisons:
        with log.about("comparisons"):
            tables["comparisons"] = comparisons_table(
                checked.name, job.comparisons, results, job.pooling
            )
    of_data = [x for x in job.output.tables if x in TABLES_OF_DATA]
    return tables | make_tables(next(iter(results.values())), of_data)


def _silent(_: str) -> None:
    pass


def _now() -> str:
    return dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")


def _stack() -> Diagnosis:
    """Return what the numbers will come from, without which they could not be repeated."""
    stack = diagnose()
    if not stack.r:
        raise RBridgeError("; ".join(" ".join(x) for x in stack.problems))
    r = {name: x for name, x in stack.r.items() if name not in _OF_THE_PROCESS}
    return dataclasses.replace(stack, r=r)


# -- the work ------------------------------------------------------------------------------


class _Warnings:
    """All warnings, in order, kept instead of being printed; each text is shown once.

    Attributes
    ----------
    texts : list of str
        Those of one of several models begin with its name.
    """

    def __init__(self, tell: Say) -> None:
        self.texts: list[str] = []
        self._tell = tell
        self._about = ""

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Collect the warnings of the block."""
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = self._show
            yield

    @contextmanager
    def about(self, model: str) -> Iterator[None]:
        """Say which of several models the warnings of the block are about."""
        self._about = f"{model}: " if model else ""
        try:
            yield
        finally:
            self._about = ""

    def _show(self, message: Warning | str, *_: Any, **__: Any) -> None:
        text = f"{self._about}{message}"
        if text not in self.texts:
            self._tell(f"warning: {text}")
        self.texts.append(text)


def _impute(checked: Checked, n_jobs: int | None, tell: Say) -> ImputedData:
    spec = checked.job.imputation
    m = "chosen by a pilot" if spec.m is None else f"= {spec.m}"
    tell(f"imputing: {spec.engine}, m {m}, seed {spec.seed}")
    frame = checked.data.frame.copy()
    frame.index = pd.RangeIndex(1, len(frame) + 1)  # rows are numbered as R numbers them
    engine: Any = spec.engine
    from_model = engine_named(engine).needs_model
    arguments = dict(spec.arguments)
    model: Any = arguments.pop("model", None)
    if from_model:
        model = checked.models[spec.model]
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


def _fit(
    checked: Checked, name: str, imp: ImputedData | None, n_jobs: int | None
) -> MerMod | MerModList:
    spec: ModelSpec = checked.job.models[name]
    model = checked.models[name]
    fitted: MerMod | MerModList
    if imp is None:
        fitted = model.fit(checked.data.frame, isolate=spec.isolate, timeout=spec.timeout)
    else:
        fitted = model.fit(imp, n_jobs=n_jobs, isolate=spec.isolate, timeout=spec.timeout)
    return fitted


def _results(checked: Checked, imp: ImputedData | None, fitted: MerMod | MerModList) -> Results:
    frame, spec = checked.holes, checked.job.pooling
    if isinstance(fitted, MerMod):
        return FitResults(frame, fitted, spec)
    assert imp is not None
    pooled = fitted.pool(**dataclasses.asdict(spec))
    return ListResults(frame, imp, fitted, pooled)


def _page(checked: Checked, name: str, results: ListResults) -> str:
    """Return the report, beside the rows without holes where the model can be fitted to them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RWarning)  # the page has the fit's messages
            listwise = checked.models[name].fit(checked.holes)
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
