"""Checks a case of the parity suite, and counts the doubles that were compared."""

from __future__ import annotations

from collections import Counter

from rbridge_mi.parity import CASES, Case, Suite

# Doubles compared so far, by file and by case.
compared: dict[str, Counter[str]] = {}


def of_families(*families: str) -> list[Case]:
    return [case for case in CASES if case.family in families]


def check(suite: Suite, case: Case, file: str) -> None:
    """Every accessor of the case has R's answer, bit by bit."""
    lacking = suite.missing_packages(case)
    assert not lacking, f"R lacks {lacking}: run `make r-test`"
    rows = suite.check(case)
    wrong = [f"{x.accessor}: {text}" for x in rows for text in x.differences[:3]]
    assert not wrong, "\n".join([case.name, *wrong])
    compared.setdefault(file, Counter())[case.name] = sum(row.doubles for row in rows)


def enough(file: str, cases: list[Case], doubles: int) -> None:
    """The file compared at least so many doubles; not checked unless all of its cases ran."""
    counts = compared.get(file, Counter())
    if len(counts) == len(cases):
        assert sum(counts.values()) >= doubles, sum(counts.values())
