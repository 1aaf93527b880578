"""Jobs: from one TOML file to tables, as ``rbridge-mi run job.toml`` does it.

``values``    the list of mistakes that a job has, and checks that only job files need
``job``       what a job says, once it has been checked
``spec``      what a job file may say; ``data_section``, ``imputation_section``, ``model_section``,
              ``means_section``, ``comparison_section`` and ``output_section`` have its parts
``places``    which file a job may read, and which folder it may write
``data``      CSV, Parquet and Feather, read with the column types that the job declares
``given``     data sets that were imputed elsewhere
``checking``  all that can be said of a job and its data before any work
``tables``    the tables that a job can write, a line for each
``asked``     hypotheses, marginal means and comparisons
``run``       the work
``record``    what ``run.json`` holds
``outputs``   files written beside each other first, put in place at the end
"""

from __future__ import annotations

from .run import JobResult, check_job, run_job
from .spec import Job, parse_job
from .values import JobError

__all__ = ["Job", "JobError", "JobResult", "check_job", "parse_job", "run_job"]
