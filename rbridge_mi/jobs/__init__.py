"""Jobs: from one TOML file to tables, as ``rbridge-mi run job.toml`` does it.

``values``    the list of mistakes that a job has, and checks that only job files need
``spec``      what a job file may say, checked as a whole before any work
``places``    which file a job may read, and which folder it may write
``data``      CSV and Parquet, read with the column types that the job declares
``tables``    the tables that a job can write, a line for each
``run``       the work
``outputs``   files written beside each other first, put in place at the end
"""

from __future__ import annotations

from .run import JobResult, check_job, run_job
from .spec import Job, parse_job
from .values import JobError

__all__ = ["Job", "JobError", "JobResult", "check_job", "parse_job", "run_job"]
