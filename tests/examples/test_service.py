"""The example of a web service: the library's own bits, and refusals that say what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

import rbridge_mi as rb
from examples.service import app as service

pytestmark = [
    pytest.mark.r,
    pytest.mark.processes,
    pytest.mark.slow,
    # What the imputer has to say of 30 schools is in the answer's notes.
    pytest.mark.filterwarnings("ignore::rbridge_mi.errors.RBridgeWarning"),
]

COLUMNS = ["schid", "mathach", "minority", "female", "ses", "meanses"]
ITERATIONS = 60  # the chains have not mixed then, which these tests don't need
ASKED: dict[str, Any] = {"m": 3, "seed": 7, "tables": ["fixed", "varcorr", "icc", "vcov", "ranef"]}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(service.create_app(ITERATIONS)) as client:
        yield client


@pytest.fixture(scope="module")
def pupils(hsb: pd.DataFrame) -> pd.DataFrame:
    """Some schools, with holes in every column that may have them."""
    some = hsb[hsb["schid"].isin(hsb["schid"].unique()[:20])].reset_index(drop=True)
    holed = ["mathach", "minority", "female", "ses"]
    whole = some[COLUMNS].astype({"minority": "int64", "female": "int64"})
    return rb.ampute(whole, prop=0.1, columns=holed, seed=1)


@pytest.fixture(scope="module")
def rows(pupils: pd.DataFrame) -> list[dict[str, Any]]:
    return rb.to_records(pupils)


def imputed(pupils: pd.DataFrame, m: int, seed: int) -> rb.ImputedData:
    """The data sets that the library makes of the same rows, in this process."""
    return rb.impute(pupils, model=service.MODEL, m=m, seed=seed, max_iter=ITERATIONS)


def expected(pupils: pd.DataFrame, m: int, seed: int, tables: list[str]) -> dict[str, Any]:
    """What it says of them."""
    return service.MODEL.fit(imputed(pupils, m, seed)).pool().to_dict(tables)


def test_the_answer_has_the_librarys_own_bits(
    client: TestClient, pupils: pd.DataFrame, rows: list[dict[str, Any]]
) -> None:
    answer = client.post("/pooled", json={"rows": rows, **ASKED})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    imp = imputed(pupils, 3, 7)
    assert body["pooled"] == service.MODEL.fit(imp).pool().to_dict(ASKED["tables"])
    assert [x["term"] for x in body["pooled"]["fixed"]] == [
        "(Intercept)", "minority", "female", "ses", "meanses",
    ]  # fmt: skip
    assert body["imputation"]["seed"] == 7
    assert body["imputation"]["iterations"] == ITERATIONS
    assert body["imputation"]["notes"] == list(imp.notes)
    assert any("R-hat" in x for x in imp.notes)
    shares = {x["index"]: x["fraction_missing"] for x in body["imputation"]["missing"]}
    assert shares == pupils.isna().mean().to_dict()
    assert [x["imputation"] for x in body["fits"]] == [1, 2, 3]
    # The variance parts of single intercepts have no second variable: null, not NaN.
    assert body["pooled"]["varcorr"][0]["var2"] is None


def test_rows_without_holes(client: TestClient, rows: list[dict[str, Any]]) -> None:
    whole = [x for x in rows if None not in x.values()]
    answer = client.post("/pooled", json={"rows": whole, **ASKED})
    assert answer.status_code == 200, answer.text
    assert answer.json()["imputation"]["iterations"] == 0
    assert {x["fmi"] for x in answer.json()["pooled"]["fixed"]} == {0.0}


def test_whole_numbers_may_come_as_decimals(
    client: TestClient, pupils: pd.DataFrame, rows: list[dict[str, Any]]
) -> None:
    """pandas writes a column of 0 and 1 with holes as 0.0 and 1.0."""
    floats = pupils.astype({"minority": "float64", "female": "float64"})
    sent = rb.to_records(floats)
    assert isinstance(next(x["female"] for x in sent if x["female"] is not None), float)
    posted = service.Posted.model_validate({"rows": sent})
    pd.testing.assert_frame_equal(posted.frame(), pupils, check_exact=True)
    again = service.Posted.model_validate(json.loads(json.dumps({"rows": rows}))).frame()
    pd.testing.assert_frame_equal(again, pupils, check_exact=True)


def test_several_requests_at_once_get_each_their_own_answer(
    client: TestClient, pupils: pd.DataFrame
) -> None:
    schools = np.array_split(pupils["schid"].unique(), 2)
    parts = [pupils[pupils["schid"].isin(x)].reset_index(drop=True) for x in schools]

    def post(part: pd.DataFrame) -> Any:
        body = {"rows": rb.to_records(part), "m": 2, "seed": 1, "tables": ["fixed", "ranef"]}
        return client.post("/pooled", json=body)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(post, [*parts, *parts]))
    assert [x.status_code for x in answers] == [200] * 4
    for part, first, second in zip(parts, answers[:2], answers[2:], strict=True):
        assert first.json()["pooled"] == expected(part, 2, 1, ["fixed", "ranef"])
        assert first.json() == second.json()


def test_the_plan_comes_before_anything_runs(
    client: TestClient, pupils: pd.DataFrame, rows: list[dict[str, Any]]
) -> None:
    body = client.post("/plan", json={"rows": rows}).json()
    plan = rb.imputation_plan(pupils, service.MODEL)
    assert body == {
        "columns": rb.to_records(plan.table),
        "refused": list(plan.refused),
        "notes": list(plan.notes),
    }
    assert [x["column"] for x in body["columns"] if x["imputed_by"]] == [
        "mathach", "minority", "female", "ses",
    ]  # fmt: skip


def test_health_says_what_is_installed(client: TestClient) -> None:
    answer = client.get("/health")
    body = answer.json()
    assert answer.status_code == 200
    assert body["ok"] is True
    assert body["problems"] == []
    assert body["python"]["rbridge_mi"] == rb.__version__
    assert body["r_packages"]["lme4"]
    assert body["model"] == service.MODEL.formula
    assert set(body["r"]) == {"r", "platform"}  # no folder of the machine


def test_a_service_without_r_says_so(
    client: TestClient, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: Any, **__: Any) -> Any:
        raise rb.RNotFoundError("R is not there: install it")

    monkeypatch.setattr("rbridge_mi.doctor.rdoor.call", absent)
    monkeypatch.setattr(rb, "impute", absent)
    answer = client.get("/health")
    assert answer.status_code == 503
    assert answer.json()["problems"][0]["problem"] == "R is not there: install it"
    answer = client.post("/pooled", json={"rows": rows[:10]})
    assert (answer.status_code, answer.json()) == (
        503, {"error": "RNotFoundError", "detail": "R is not there: install it"},
    )  # fmt: skip


# -- wrong input ----------------------------------------------------------------------------------

GOOD = {"schid": "a", "mathach": 1.5, "minority": 0, "female": 1, "ses": None, "meanses": 0.1}


def without(name: str) -> dict[str, Any]:
    return {k: v for k, v in GOOD.items() if k != name}


@pytest.mark.parametrize(
    ("row", "where", "why"),
    [
        (without("ses"), "ses", "Field required"),
        ({**GOOD, "size": 3}, "size", "Extra inputs"),
        ({**GOOD, "ses": "1.5"}, "ses", "valid number"),
        ({**GOOD, "ses": True}, "ses", "valid number"),
        ({**GOOD, "ses": float("nan")}, "ses", "finite number"),
        ({**GOOD, "mathach": float("inf")}, "mathach", "finite number"),
        ({**GOOD, "mathach": 10**400}, "mathach", "valid number"),
        ({**GOOD, "female": 2}, "female", "less than or equal to 1"),
        ({**GOOD, "female": 0.5}, "female", "multiple of 1"),
        ({**GOOD, "minority": True}, "minority", "valid number"),
        ({**GOOD, "schid": None}, "schid", "valid string"),
        ({**GOOD, "schid": 12}, "schid", "valid string"),
        ({**GOOD, "schid": ""}, "schid", "at least 1 character"),
        ({**GOOD, "schid": "x" * 41}, "schid", "at most 40 characters"),
        ({**GOOD, "schid": "\ud800"}, "schid", "unicode"),
        ({**GOOD, "meanses": None}, "meanses", "valid number"),
    ],
)
def test_wrong_rows_are_refused(
    client: TestClient, row: dict[str, Any], where: str, why: str
) -> None:
    text = json.dumps({"rows": [GOOD, row]})  # NaN too, which clients do send
    answer = client.post("/pooled", content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["where"] == f"body.rows.1.{where}"
    assert why in error["why"]


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"formula": "mathach ~ 1 + (1 | schid)"}, "body.formula"),
        ({"m": 1}, "body.m"),
        ({"m": 51}, "body.m"),
        ({"m": "5"}, "body.m"),
        ({"seed": -1}, "body.seed"),
        ({"seed": 2**31}, "body.seed"),
        ({"tables": ["anova"]}, "body.tables.0"),
        ({"tables": []}, "body.tables"),
        ({"rows": [GOOD]}, "body.rows"),
        ({"rows": [GOOD] * 20_001}, "body.rows"),
    ],
)
def test_wrong_questions_are_refused(client: TestClient, more: dict[str, Any], where: str) -> None:
    answer = client.post("/pooled", json={"rows": [GOOD, GOOD], **more})
    assert answer.status_code == 422
    assert [x["where"] for x in answer.json()["errors"]] == [where]


def test_refusals_are_short(client: TestClient) -> None:
    answer = client.post("/pooled", json={"rows": [{"secret": "x" * 50}] * 1000})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "7000 errors"
    assert len(answer.json()["errors"]) == service.ERRORS_SHOWN
    assert "xxx" not in answer.text


def test_what_is_no_json_or_too_long_is_refused(client: TestClient) -> None:
    json_type = {"Content-Type": "application/json"}
    assert client.post("/pooled", content="{", headers=json_type).status_code == 422
    digits = json.dumps({"rows": [GOOD, GOOD]}).replace("1.5", "9" * 5000)
    for text in ("[" * 100_000, digits):  # Python's reader stops at both
        answer = client.post("/pooled", content=text, headers=json_type)
        assert (answer.status_code, answer.json()["error"]) == (400, "RequestError")
    answer = client.get("/nothing")
    assert (answer.status_code, answer.json()["error"]) == (404, "RequestError")
    long = client.post("/pooled", content=b" " * (service.MAX_BYTES + 1), headers=json_type)
    assert (long.status_code, long.json()["error"]) == (413, "RequestError")
    pieces = client.post("/pooled", content=iter([b"{}"]), headers=json_type)
    assert pieces.status_code == 411


def test_the_librarys_refusals_keep_their_text(
    client: TestClient, pupils: pd.DataFrame, rows: list[dict[str, Any]]
) -> None:
    one = pupils[pupils["schid"] == pupils["schid"].iloc[0]].reset_index(drop=True)
    with pytest.raises(rb.RBridgeError) as error:
        expected(one, 2, 1, ["fixed"])
    answer = client.post("/pooled", json={"rows": rb.to_records(one), "m": 2})
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"] == type(error.value).__name__
    assert answer.json()["detail"] == str(error.value)
    odd = [{**rows[0], "schid": "a\0b"}, *rows[1:]]
    answer = client.post("/pooled", json={"rows": odd, "m": 2})
    assert answer.status_code == 422, answer.text
    assert "schid" in answer.json()["detail"]


def test_a_fit_that_takes_too_long_is_given_up(rows: list[dict[str, Any]]) -> None:
    with TestClient(service.create_app(ITERATIONS, seconds=0.001)) as client:
        answer = client.post("/pooled", json={"rows": rows, "m": 2})
        assert answer.status_code == 503, answer.text
        assert answer.json()["error"] == "RTimeout"
        assert "0.001" in answer.json()["detail"]
        assert client.get("/health").status_code == 200


def test_more_than_can_wait_are_turned_away(rows: list[dict[str, Any]]) -> None:
    with TestClient(service.create_app(ITERATIONS, threads=1, waiting=1)) as client:
        with ThreadPoolExecutor(5) as pool:
            bodies = [{"rows": rows, "m": 2, "tables": ["fixed"]}] * 5
            answers = list(pool.map(lambda x: client.post("/pooled", json=x), bodies))
        codes = sorted(x.status_code for x in answers)
        assert codes == [200, 200, 503, 503, 503]
        refused = next(x for x in answers if x.status_code == 503)
        assert refused.headers["Retry-After"] == "60"
        assert "try again later" in refused.json()["detail"]
        assert client.post("/plan", json={"rows": rows}).status_code == 200
