"""What the two images' R stacks gave for the same jobs, as stored in tests/stacks."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

from tests.stacks import stacks

pytestmark = [pytest.mark.r, pytest.mark.slow]

STORED = [stacks.HERE / x for x in stacks.SUITES]


def test_the_report_is_what_the_stored_tables_say() -> None:
    report = (stacks.HERE / "differences.md").read_text("utf-8")
    assert stacks.report(*STORED) == report, "python tests/stacks/stacks.py compare"


def test_every_difference_has_a_cause_and_is_within_its_limit() -> None:
    assert stacks.mistakes(*STORED) == []


def test_every_cause_and_every_limit_is_of_use() -> None:
    found = list(stacks.differences(*STORED))
    for cause in stacks.causes():
        for pattern, limit in cause.columns.items():
            alone = stacks.Cause(cause.name, cause.why, {pattern: limit})
            sizes = [x.relative for x in found if alone.limit(x) is not None]
            assert sizes, f"nothing differs in {pattern}"
            if math.isfinite(limit):
                assert max(sizes) > limit / 100, f"{pattern} may be stricter than {limit}"


def test_each_job_is_stored_for_each_suite_on_the_same_data() -> None:
    jobs = {x.stem for x in (stacks.HERE / "jobs").glob("*.toml")}
    told = []
    for folder in STORED:
        assert {x.split("/")[0] for x in stacks.files(folder)} == jobs
        told.append({x: json.loads((folder / x / "told.json").read_text("utf-8")) for x in jobs})
    assert {x: y["data"] for x, y in told[0].items()} == {x: y["data"] for x, y in told[1].items()}


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("sleep/fixef.csv", "Days,", "Days,1", "sleep/fixef/estimate: no cause is known"),
        ("hsb/vcov.csv", "ses,-0.00389", "ses,-0.00390", "hsb/vcov/(Intercept): "),
        ("sleep/told.json", "nloptwrap", "bobyqa", "sleep/told.json/text: no cause is known"),
        ("hsb/fixed.csv", "minority", "majority", "hsb/fixed/term: words is more than"),
        ("sleep/vcov.csv", "Days\n", "Day\n", "sleep/vcov.csv/text: no cause is known"),
        ("bootstrap/icc.csv", "\nSubject", "", "bootstrap/icc.csv/text: no cause is known"),
    ],
    ids=["number", "too-far", "words", "term", "columns", "rows"],
)
def test_a_change_shows(tmp_path: Path, file: str, old: str, new: str, said: str) -> None:
    changed = tmp_path / "trixie"
    shutil.copytree(STORED[1], changed)
    text = (changed / file).read_text("utf-8")
    assert old in text
    (changed / file).write_text(text.replace(old, new, 1), "utf-8")
    found = stacks.mistakes(STORED[0], changed)
    assert len(found) == 1
    assert found[0].startswith(said)
    assert stacks.check(STORED[1], changed) == 1


def test_the_stored_bytes_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = shutil.copytree(STORED[0], tmp_path / "found")
    assert stacks.check(STORED[0], found) == 0
    assert "the stored bytes in 81 files" in capsys.readouterr().out
    (found / "sleep" / "ranef.csv").unlink()
    stack = found / "stack.json"
    stack.write_text(stack.read_text("utf-8").replace("1.1-31", "1.1-32"), "utf-8")
    assert stacks.check(STORED[0], found) == 1
    said = capsys.readouterr().out
    assert "lme4: 1.1-31 is stored, 1.1-32 is here" in said
    assert "sleep/ranef.csv/text" in said


def test_other_caches_explain_last_digits_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = shutil.copytree(STORED[0], tmp_path / "found")
    stack = json.loads((found / "stack.json").read_text("utf-8"))
    stacks.write_json(found / "stack.json", stack | {"caches": "L1 1K"})
    table = found / "hsb" / "ranef.csv"
    rows = table.read_text("utf-8").splitlines()
    *cells, last = rows[1].split(",")
    for factor, code in ((1 + 1e-8, 0), (1 + 1e-5, 1)):
        changed = [rows[0], ",".join([*cells, repr(float(last) * factor)]), *rows[2:]]
        table.write_text("\n".join(changed) + "\n", "utf-8")
        assert stacks.check(STORED[0], found) == code
    said = capsys.readouterr().out
    assert "1 numbers in 1 tables differ by 1.0e-08 at most" in said
    assert "the stored bytes in 80 files" in said
    assert "hsb/ranef/condsd: 1 differ, 1.0e-05" in said
