"""The same jobs on several R stacks, side by side; see README.md here.

python stacks.py run FOUND            run every job, into the folder FOUND
python stacks.py check SUITE FOUND    is FOUND what is stored for the suite? To the last bit on a
                                      processor with the same caches
python stacks.py store SUITE FOUND    store it
python stacks.py compare              write differences.md anew from what is stored
"""

from __future__ import annotations

import csv
import difflib
import json
import math
import runpy
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
SUITES = ("bookworm", "trixie")
# How far apart the numbers of one stack may be on processors with other caches: Eigen, in lme4,
# parts products of large matrices by them, and the optimizer ends elsewhere within its tolerance.
CACHES = 1e-6


@dataclass(frozen=True)
class Difference:
    """Of one column of one table: how many cells differ, and the two that do most.

    `relative` is |a - b| / max(|a|, |b|); infinite where they aren't both numbers.
    """

    job: str
    table: str
    column: str
    cells: int
    relative: float
    values: tuple[str, str]

    @property
    def key(self) -> str:
        return f"{self.job}/{self.table}/{self.column}"

    @property
    def size(self) -> str:
        return f"{self.relative:.1e}" if math.isfinite(self.relative) else "words"


@dataclass(frozen=True)
class Cause:
    """Why some columns differ; `columns` holds patterns of their keys, and each one's limit."""

    name: str
    why: str
    columns: dict[str, float]

    def limit(self, found: Difference) -> float | None:
        """How large the difference may be; None if this is not its cause."""
        return next((x for p, x in self.columns.items() if fnmatchcase(found.key, p)), None)


# -- running -------------------------------------------------------------------------------


def run(found: Path) -> None:
    from rbridge_mi.cli import main

    jobs = HERE / "jobs"
    runpy.run_path(str(jobs / "make_data.py"), run_name="__main__")
    for job in sorted(jobs.glob("*.toml")):
        folder = found / job.stem
        if main(["run", str(job), "--out", str(folder)]) != 0:
            raise SystemExit(f"{job.name} failed")
        record = json.loads((folder / "run.json").read_text("utf-8"))
        (folder / "run.json").unlink()
        told = {x: record[x] for x in ("imputation", "fits", "warnings")}
        write_json(folder / "told.json", {"data": record["data"]["sha256"], **told})
        versions = record["versions"]
        stack = {**versions["r"], **versions["r_packages"], "python": versions["python"]["Python"]}
        stack["caches"] = caches()
        write_json(found / "stack.json", stack)


def caches() -> str:
    """The sizes of a core's caches, as Linux tells them; empty where it doesn't."""
    places = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
    levels = [[(x / name).read_text("utf-8").strip() for name in ("level", "size")] for x in places]
    return ", ".join(f"L{level} {size}" for level, size in levels)


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


# -- comparing -----------------------------------------------------------------------------


def files(folder: Path) -> set[str]:
    """What the jobs gave: job/file."""
    return {f"{x.parent.name}/{x.name}" for x in folder.glob("*/*")}


def differences(one: Path, two: Path) -> Iterator[Difference]:
    """Every column of a table, and every other file, that isn't the same text in both folders."""
    for name in sorted(files(one) | files(two)):
        job, file = name.split("/")
        texts = [(x / name).read_text("utf-8") if (x / name).exists() else "" for x in (one, two)]
        tables = [list(csv.reader(text.splitlines())) for text in texts]
        shapes = [[len(table), table[:1]] for table in tables]
        if not file.endswith(".csv") or shapes[0] != shapes[1]:
            yield from _in_words(job, file, *(text.splitlines() for text in texts))
            continue
        columns = [zip(*table, strict=True) for table in tables]
        for (column, *a), (_, *b) in zip(*columns, strict=True):
            pairs = [(relative(x, y), (x, y)) for x, y in zip(a, b, strict=True) if x != y]
            if pairs:
                worst, values = max(pairs)
                yield Difference(job, file.removesuffix(".csv"), column, len(pairs), worst, values)


def _in_words(job: str, file: str, a: list[str], b: list[str]) -> Iterator[Difference]:
    pairs = [
        ("\n".join(a[i:j]), "\n".join(b[k:n]))
        for tag, i, j, k, n in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
        if tag != "equal"
    ]
    if pairs:
        yield Difference(job, file, "text", len(pairs), math.inf, pairs[0])


def relative(a: str, b: str) -> float:
    try:
        x, y = float(a), float(b)
    except ValueError:
        return math.inf
    return abs(x - y) / max(abs(x), abs(y))


# -- judging -------------------------------------------------------------------------------


def causes() -> list[Cause]:
    given = tomllib.loads((HERE / "causes.toml").read_text("utf-8"))
    return [Cause(name, x["why"].strip(), x["columns"]) for name, x in given.items()]


def judged(found: Difference, known: list[Cause]) -> tuple[Cause | None, str]:
    """Its cause, and what is wrong with it, if anything is."""
    for cause in known:
        limit = cause.limit(found)
        if limit is not None:
            wrong = f"{found.size} is more than {limit:.0e}" if found.relative > limit else ""
            return cause, wrong and f"{found.key}: {wrong} ({cause.name})"
    return None, f"{found.key}: no cause is known; {' against '.join(map(repr, found.values))}"


def mistakes(one: Path, two: Path) -> list[str]:
    """What no cause explains, and what is larger than its cause allows."""
    known = causes()
    return [wrong for x in differences(one, two) if (wrong := judged(x, known)[1])]


def report(one: Path, two: Path) -> str:
    """differences.md: the largest difference of each table, under its cause."""
    known, found = causes(), list(differences(one, two))
    stacks = [json.loads((x / "stack.json").read_text("utf-8")) for x in (one, two)]
    names = ("r", "lme4", "Amelia", "blas", "lapack_version", "python")
    lines = [
        "# What differs between the stacks",
        "",
        "Written by `stacks.py compare` from the tables stored here; the causes are told in",
        "`causes.toml`. Differences are relative, |a - b| / max(|a|, |b|): each table's largest.",
        "",
        *_table(["", one.name, two.name], [[x, *(stack[x] for stack in stacks)] for x in names]),
    ]
    for cause in known:
        tables: dict[tuple[str, str], list[Difference]] = {}
        for x in found:
            if judged(x, known)[0] is cause:
                tables.setdefault((x.job, x.table), []).append(x)
        rows = []
        for columns in tables.values():
            x = max(columns, key=lambda x: x.relative)
            cells = str(sum(x.cells for x in columns))
            rows.append([x.job, x.table, cells, x.size, x.column, *x.values])
        head = ["job", "table", "cells that differ", "largest", "in column", one.name, two.name]
        lines += ["", f"## {cause.name}", "", cause.why, "", *_table(head, rows)]
    every = {x.removesuffix(".csv") for x in files(one)}
    equal = every - {f"{x.job}/{x.table}" for x in found}
    lines += ["", f"## Equal to the last bit: {len(equal)} of {len(every)}", ""]
    for job in sorted({x.split("/")[0] for x in every}):
        names_of = sorted(x.split("/")[1] for x in equal if x.startswith(f"{job}/"))
        lines.append(f"- {job}: {', '.join(names_of)}")
    return "\n".join(lines) + "\n"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    cells = [[x.splitlines()[0] if x else "" for x in row] for row in rows]
    return ["| " + " | ".join(x) + " |" for x in (head, ["---"] * len(head), *cells)]


def check(stored: Path, found: Path) -> int:
    """Say what differs from what is stored; 0 if nothing does, or what other caches explain."""
    stacks = [json.loads((x / "stack.json").read_text("utf-8")) for x in (stored, found)]
    there, here = (x.pop("caches", "unknown") for x in stacks)
    wrong = [
        f"{x}: {stacks[0].get(x)} is stored, {stacks[1].get(x)} is here"
        for x in dict.fromkeys([*stacks[0], *stacks[1]])
        if stacks[0].get(x) != stacks[1].get(x)
    ]
    moved = []
    for x in differences(stored, found):
        if here != there and x.relative <= CACHES:
            moved.append(x)
            continue
        wrong.append(f"{x.key}: {x.cells} differ, {x.size}: {' is stored, here '.join(x.values)}")
    tables = {(x.job, x.table) for x in moved}
    if moved:
        cells, worst = sum(x.cells for x in moved), max(x.relative for x in moved)
        print(
            f"{cells} numbers in {len(tables)} tables differ by {worst:.1e} at most: this "
            f"processor's caches are {here!r}, {there!r} are stored"
        )
    alike = len(files(found)) - len(tables)
    print("\n".join(wrong) or f"the stored bytes in {alike} files")
    return int(bool(wrong))


def main(argv: list[str]) -> int:
    match argv:
        case ["run", found]:
            run(Path(found))
        case ["check", suite, found] if suite in SUITES:
            return check(HERE / suite, Path(found))
        case ["store", suite, found] if suite in SUITES:
            shutil.rmtree(HERE / suite, ignore_errors=True)
            shutil.copytree(found, HERE / suite)
        case ["compare"]:
            folders = [HERE / x for x in SUITES]
            (HERE / "differences.md").write_text(report(*folders), "utf-8")
            wrong = mistakes(*folders)
            print("\n".join(wrong) or "every difference has a cause, and is within its limit")
            return int(bool(wrong))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
