"""What `run.json` holds: the job, its data, where the numbers come from, and what was said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from .. import __version__
from ..doctor import Diagnosis
from . import outputs
from .checking import Checked
from .job import Job
from .tables import FitResults, ListResults, Results

__all__ = ["run_record"]


def run_record(
    checked: Checked,
    results: Mapping[str, Results],
    warnings: Sequence[str],
    notes: Mapping[str, str],
    files: Mapping[str, str],
    stack: Diagnosis,
) -> dict[str, Any]:
    """Return what `run.json` holds beside the times: the same for the same job and stack.

    Parameters
    ----------
    checked : Checked
        The job and its data.
    results : mapping
        By name of the model; that of [model] is "".
    warnings : sequence of str
        The texts of all warnings.
    notes : mapping
        What tables leave to be said, by the table.
    files : mapping
        SHA-256 of the files, by their paths in the folder.
    stack : Diagnosis
        Versions of all that computed.

    Returns
    -------
    dict
        Plain values.
    """
    job, data = checked.job, checked.data
    first = next(iter(results.values()))
    imp = first.imputed if isinstance(first, ListResults) else None
    if list(results) == [""]:
        fits: dict[str, Any] = {"fits": _fits(first)}
    else:
        fits = {"models": {name: {"fits": _fits(x)} for name, x in results.items()}}
    return {
        "format": outputs.FORMAT,
        "format_version": 1,
        "job_file": {"name": checked.name, "sha256": checked.sha256},
        "job": job.as_record(),
        "data": {
            "path": job.data.path,
            "sha256": data.sha256,
            "bytes": data.size,
            "rows": len(checked.holes),
            "columns": {name: str(x.dtype) for name, x in checked.holes.items()},
            "unused_columns": list(data.unused),
        },
        "seeds": {} if imp is None or imp.seed is None else {"imputation": imp.seed},
        "imputation": None if imp is None else {
            "method": imp.method,
            "kind": imp.kind,
            "m": imp.m,
            "message": " ".join(imp.log),
            "chain_lengths": list(imp.chain_lengths),
            "changed_dtypes": list(imp.notes),
        },
        "collation": "C",
        **fits,
        "versions": {
            "python": stack.python | {"rbridge_mi": __version__} | _writers(job),
            "r": stack.r,
            "r_packages": stack.packages,
        },
        "warnings": list(warnings),
        **({"notes": dict(notes)} if notes else {}),
        "files": dict(files),
    }  # fmt: skip


def _fits(results: Results) -> list[dict[str, Any]]:
    fits = [results.fit] if isinstance(results, FitResults) else list(results.fits)
    return [
        {
            "imputation": fit.imputation,
            "nobs": fit.nobs,
            "ngrps": dict(fit.ngrps),
            "is_singular": fit.is_singular,
            "optimizer": fit.optimizer,
            "messages": list(fit.messages),
        }
        for fit in fits
    ]


def _writers(job: Job) -> dict[str, str]:
    """Return the versions of what writes files beside this library, where the job needs it."""
    formats = {job.data.format, *job.output.formats}
    wanted = ["pyarrow"] if formats & {"parquet", "feather"} else []
    if job.output.report:
        wanted += ["jinja2", "matplotlib"]
    return {name: version(name) for name in wanted}
