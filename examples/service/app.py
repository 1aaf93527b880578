"""A web service for one model: rows with holes are posted, pooled estimates come back.

Run it in the checkout, after ``pip install rbridge_mi "fastapi>=0.165" uvicorn``::

    uvicorn app:app --app-dir examples/service --workers 2

Then ``http://127.0.0.1:8000/docs`` shows what may be posted, and ``/health`` what is installed.
From pandas, ``rb.to_records(frame)`` makes the rows: missing values become null.

What to copy from it:

- The model is the server's. A client sends values and never a formula.
- The rows are checked before anything runs: their columns, their types, their number and size.
- Imputing and fitting run in a few threads beside the event loop, and more requests than can wait
  for these are turned away. The fits run in processes of their own, each with a time limit, so that
  a crash of R costs one request. R and numpy run one request per core: start several workers.
- Tables become JSON by `to_dict`; the library's errors keep their text and get a status code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal, TypeVar

import pandas as pd
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.exceptions import HTTPException as AnyHTTPException

import rbridge_mi as rb
from rbridge_mi.doctor import diagnose

T = TypeVar("T")

MODEL = rb.Lmer("mathach ~ minority + female + ses + meanses + (1 + ses | schid)")
MAX_ROWS = 20_000
MAX_BYTES = 4_000_000
MAX_IMPUTATIONS = 50
ERRORS_SHOWN = 10

# -- what may be posted ---------------------------------------------------------------------------

# Numbers are strict: neither "1" nor true is one. Python's JSON reader takes NaN, which is no JSON.
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Binary = Annotated[float, Field(strict=True, ge=0, le=1, multiple_of=1)]
Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=40)]


class Pupil(BaseModel):
    """One row. Every column must be there; a missing value is null."""

    model_config = ConfigDict(extra="forbid")

    schid: Name
    mathach: Number | None
    minority: Binary | None
    female: Binary | None
    ses: Number | None
    meanses: Number


class Posted(BaseModel):
    """The rows, how to impute them, and which tables are wanted."""

    model_config = ConfigDict(extra="forbid")

    rows: Annotated[list[Pupil], Field(min_length=2, max_length=MAX_ROWS)]
    m: Annotated[int, Field(strict=True, ge=2, le=MAX_IMPUTATIONS)] = 20
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**31)] = 1
    tables: Annotated[
        list[Literal["fixed", "varcorr", "icc", "vcov", "ranef"]], Field(min_length=1, max_length=5)
    ] = ["fixed", "varcorr"]

    def frame(self) -> pd.DataFrame:
        """Return the rows as a frame, whole numbers as such."""
        columns = list(Pupil.model_fields)
        frame = pd.DataFrame.from_records([x.model_dump() for x in self.rows], columns=columns)
        numbers = dict.fromkeys(("mathach", "ses", "meanses"), "float64")
        return frame.astype({**numbers, "minority": "Int64", "female": "Int64"})


# -- what is done with it -------------------------------------------------------------------------


def planned(posted: Posted) -> dict[str, Any]:
    """Return how each column would be imputed, and what would be refused."""
    plan = rb.imputation_plan(posted.frame(), MODEL)
    return {
        "columns": rb.to_records(plan.table),
        "refused": list(plan.refused),
        "notes": list(plan.notes),
    }


def analysed(posted: Posted, iterations: int, seconds: float) -> dict[str, Any]:
    """Impute, fit and pool, within the limits of `create_app`."""
    imp = rb.impute(posted.frame(), model=MODEL, m=posted.m, seed=posted.seed, max_iter=iterations)
    fits = MODEL.fit(imp, timeout=seconds)
    return {
        "imputation": {
            "missing": rb.to_records(imp.missing()),
            "seed": imp.seed,
            "iterations": max(imp.chain_lengths, default=0),  # none, where no value is missing
            "notes": list(imp.notes),
        },
        "fits": rb.to_records(fits.convergence()),
        "pooled": fits.pool().to_dict(posted.tables),
    }


class Threads:
    """A few threads, and a queue before them that has an end.

    Parameters
    ----------
    count : int
        Threads, and so how many requests are worked on at a time.
    waiting : int
        How many may wait for a thread.
    """

    def __init__(self, count: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="analysis")
        self._most = count + waiting
        self._now = 0

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run a function in one of the threads, or refuse if too many wait."""
        if self._now >= self._most:
            raise HTTPException(
                503, f"{self._now} requests are being worked on or wait: try again later.",
                {"Retry-After": "60"},
            )  # fmt: skip
        self._now += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, work, *arguments)
        finally:
            self._now -= 1


# -- errors ---------------------------------------------------------------------------------------

# The first kind that fits decides.
STATUS: Sequence[tuple[type[rb.RBridgeError], int]] = (
    (rb.RWorkerLost, 503),  # a fit that took too long, or whose process was lost
    (rb.RNotFoundError, 503),
    (rb.RPackageError, 503),
    (rb.MissingExtraError, 503),
    (rb.ArgumentError, 422),  # from here on the data are the reason
    (rb.EncodingError, 422),
    (rb.ImputationError, 422),
    (rb.FitError, 422),
    (rb.PoolingError, 422),
    (rb.RBridgeError, 500),
)


def refusal(status: int, error: str, detail: str, **more: Any) -> JSONResponse:
    """Return what every error looks like: its kind, and a text for people."""
    return JSONResponse({"error": error, "detail": detail, **more}, status)


async def of_library(_: Request, error: Exception) -> Response:
    """Answer with an error of rbridge_mi, and with R's own text where there is one."""
    status = next(code for kind, code in STATUS if isinstance(error, kind))
    more = {"r_message": error.r_message} if isinstance(error, rb.RCallError) else {}
    return refusal(status, type(error).__name__, str(error), **more)


async def of_request(_: Request, error: Exception) -> Response:
    """Say where the request is wrong, without sending its values back."""
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    where = [{"where": ".".join(map(str, x["loc"])), "why": x["msg"]} for x in errors]
    return refusal(422, "RequestError", f"{len(where)} errors", errors=where[:ERRORS_SHOWN])


async def of_http(_: Request, error: Exception) -> Response:
    """Give FastAPI's own refusals the same form: no such route, no JSON, too many requests."""
    assert isinstance(error, AnyHTTPException)
    answer = refusal(error.status_code, "RequestError", error.detail)
    answer.headers.update(error.headers or {})
    return answer


async def small_enough(
    request: Request, following: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Refuse a body by its stated length, before it is read."""
    if request.method == "POST":
        size = request.headers.get("content-length", "")
        if not size.isdecimal():
            return refusal(411, "RequestError", "the request must state its Content-Length")
        if int(size) > MAX_BYTES:
            return refusal(413, "RequestError", f"the request has more than {MAX_BYTES} bytes")
    return await following(request)


# -- routes ---------------------------------------------------------------------------------------


def create_app(
    iterations: int = 2000, seconds: float = 60, threads: int = 2, waiting: int = 8
) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    iterations : int
        What the imputer's chains may take; the answer's notes say if they have not mixed.
    seconds : float
        What each fit may take.
    threads, waiting : int
        Requests that are worked on at a time, and that may wait.

    Returns
    -------
    FastAPI
    """
    app = FastAPI(title="Pupils' mathematics", description=f"The model: `{MODEL.formula}`")
    pool = Threads(threads, waiting)
    app.add_exception_handler(rb.RBridgeError, of_library)
    app.add_exception_handler(RequestValidationError, of_request)
    app.add_exception_handler(AnyHTTPException, of_http)
    app.middleware("http")(small_enough)

    @app.get("/health")
    def health(response: Response) -> dict[str, Any]:
        """Say whether the service can work, with versions; and if not, what is missing."""
        stack = diagnose()
        response.status_code = 200 if stack.ok else 503
        return {
            "ok": stack.ok,
            "model": MODEL.formula,
            "python": stack.python,
            "r": {name: stack.r.get(name) for name in ("r", "platform")},
            "r_packages": stack.packages,
            "problems": [{"problem": what, "remedy": how} for what, how in stack.problems],
        }

    @app.post("/plan")
    async def plan(posted: Posted) -> dict[str, Any]:
        """Tell how the rows would be imputed, before it is done."""
        return await pool.run(planned, posted)

    @app.post("/pooled")
    async def pooled(posted: Posted) -> dict[str, Any]:
        """Impute the rows, fit the model to each data set, and pool."""
        return await pool.run(analysed, posted, iterations, seconds)

    return app


app = create_app()
