"""Side by side: each peer in turn, several rounds, medians of times and of paired ratios."""

from __future__ import annotations

import datetime
import gc
import json
import math
import platform
import statistics
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Row:
    """One comparison: ours against a peer's, and the limit that the ratio must keep."""

    name: str
    unit: str
    ours: float
    peer_name: str
    peer: float
    ratio: float  # ours / peer, the median over rounds
    limit: str = ""
    ok: bool | None = None
    note: str = ""
    group: str = ""


@dataclass
class Report:
    """What is known, by group of rows; `begin` says whose rows the next ones are."""

    rows: list[Row] = field(default_factory=list)
    pages: dict[str, str] = field(default_factory=dict)
    measured: dict[str, str] = field(default_factory=dict)  # each group's day
    group: str = ""

    def begin(self, group: str) -> None:
        """Measure this group anew."""
        self.group = group
        self.rows = [row for row in self.rows if row.group != group]
        self.pages.pop(group, None)
        self.measured[group] = datetime.date.today().isoformat()

    def page(self, text: str) -> None:
        """A table of another form than the rows'."""
        self.pages[self.group] = text

    def race(
        self,
        name: str,
        ours: Callable[[], object],
        peers: dict[str, Callable[[], object]],
        *,
        rounds: int = 5,
        at_most: dict[str, float] | None = None,
        note: str = "",
        before: Callable[[], object] = gc.collect,
        less: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Time ours and each peer in turn, `rounds` times after one warm-up.

        `before` runs before each, outside the time: nobody is to clean up behind another. `less`
        is a clock of seconds that don't count.
        """
        runners = {"ours": ours, **peers}
        times: dict[str, list[float]] = {key: [] for key in runners}
        for turn in range(rounds + 1):
            for key, run in runners.items():
                before()
                start, uncounted = time.perf_counter(), less()
                run()
                taken = time.perf_counter() - start
                if turn:
                    times[key].append(taken - (less() - uncounted))
        for peer in peers:
            pairs = zip(times["ours"], times[peer], strict=True)
            ratio = statistics.median(a / b for a, b in pairs)
            self.add(
                name, "s", statistics.median(times["ours"]), peer, statistics.median(times[peer]),
                ratio=ratio, at_most=(at_most or {}).get(peer), note=note,
            )  # fmt: skip

    def add(
        self,
        name: str,
        unit: str,
        ours: float,
        peer_name: str,
        peer: float,
        *,
        ratio: float | None = None,
        at_most: float | None = None,
        note: str = "",
    ) -> None:
        """A row with figures measured elsewhere."""
        ratio = ours / peer if ratio is None else ratio
        ok = None if at_most is None else ratio <= at_most
        limit = "" if at_most is None else f"<= {at_most:g}"
        self.rows.append(Row(name, unit, ours, peer_name, peer, ratio, limit, ok, note, self.group))
        print(self.line(self.rows[-1]), flush=True)

    @staticmethod
    def line(row: Row) -> str:
        mark = {None: "", True: "", False: "FALLS SHORT"}[row.ok]
        ours, peer = f"{row.ours:.4g} {row.unit}", f"{row.peer:.4g} {row.unit}"
        if math.isnan(row.peer):
            peer = "-"
        cells = [
            row.name,
            ours,
            row.peer_name,
            peer,
            "-" if math.isnan(row.ratio) else f"{row.ratio:.3g}",
            row.limit,
            "; ".join(x for x in (mark, row.note) if x),
        ]
        return "| " + " | ".join(cells) + " |"

    def short(self, groups: Collection[str]) -> list[str]:
        """A line for each limit of these groups that is not kept, and one that counts."""
        of = [row for row in self.rows if row.group in groups and row.ok is not None]
        lines = [
            f"FALLS SHORT: {row.name}, against {row.peer_name}: {row.ratio:.3g}, limit {row.limit}"
            for row in of
            if not row.ok
        ]
        return [*lines, f"{len(lines)} of {len(of)} limits not kept"]

    def table(self, order: Sequence[str]) -> list[str]:
        """The days, and the rows by group."""
        days: dict[str, list[str]] = {}
        for group in order:
            if group in self.measured:
                days.setdefault(self.measured[group], []).append(group)
        when = "; ".join(f"{day}: {', '.join(groups)}" for day, groups in sorted(days.items()))
        rows = sorted(self.rows, key=lambda row: order.index(row.group))
        return [f"Measured {when}.", "", HEADER, *map(self.line, rows)]

    def write(self, out: Path, head: list[str], order: Sequence[str]) -> None:
        """The tables as Markdown, and everything as JSON beside it."""
        out.mkdir(parents=True, exist_ok=True)
        pages = [self.pages[group] for group in order if group in self.pages]
        lines = [*head, *self.table(order), "", *pages]
        (out / "benchmarks.md").write_text("\n".join(lines) + "\n")
        (out / JSON).write_text(json.dumps({"head": head, **asdict(self)}, indent=1))

    @classmethod
    def read(cls, out: Path, groups: Collection[str]) -> Report:
        """What an earlier run has written of these groups; nothing if there was none."""
        if not (out / JSON).exists():
            return cls()
        found = json.loads((out / JSON).read_text())
        return cls(
            [Row(**row) for row in found["rows"] if row["group"] in groups],
            found["pages"],
            found["measured"],
        )


JSON = "benchmarks.json"
HEADER = "| what | rbridge_mi | against | takes | ratio | limit | |\n|---|---|---|---|---|---|---|"


def machine() -> list[str]:
    """The machine and the versions, for the head of a report."""
    import os

    from rbridge_mi.doctor import diagnose

    found = diagnose()
    cpu = next(
        (x.split(":")[1].strip() for x in Path("/proc/cpuinfo").read_text().splitlines()
         if x.startswith("model name")), platform.processor(),
    )  # fmt: skip
    python = ", ".join(f"{k} {v}" for k, v in found.python.items())
    packages = ", ".join(f"{k} {v}" for k, v in found.packages.items() if v)
    return [f"{os.cpu_count()} x {cpu}, {platform.system()} {platform.machine()}",
            python, f"R {found.r['r']}, {packages}, BLAS {Path(found.r['blas']).name}"]  # fmt: skip


def put(page: Path, name: str, lines: list[str]) -> None:
    """Put these lines between the page's markers of this name, if it has them."""
    begin, end = f"<!-- benchmarks/run.py, {name}: begin -->", "<!-- end -->"
    before, marker, rest = page.read_text("utf-8").partition(begin)
    if marker:
        after = rest.split(end, 1)[1]
        page.write_text("\n".join([before + begin, "", *lines, "", end + after]), "utf-8")
