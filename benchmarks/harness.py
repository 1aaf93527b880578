"""Side by side: each peer in turn, several rounds, medians of times and of paired ratios."""

from __future__ import annotations

import gc
import json
import platform
import statistics
import time
from collections.abc import Callable
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


@dataclass
class Report:
    rows: list[Row] = field(default_factory=list)

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
        self.rows.append(Row(name, unit, ours, peer_name, peer, ratio, limit, ok, note))
        print(self.line(self.rows[-1]), flush=True)

    @staticmethod
    def line(row: Row) -> str:
        mark = {None: "", True: "", False: "FALLS SHORT"}[row.ok]
        ours, peer = f"{row.ours:.4g} {row.unit}", f"{row.peer:.4g} {row.unit}"
        cells = [
            row.name,
            ours,
            row.peer_name,
            peer,
            f"{row.ratio:.3g}",
            row.limit,
            "; ".join(x for x in (mark, row.note) if x),
        ]
        return "| " + " | ".join(cells) + " |"

    def write(self, out: Path, head: list[str], pages: list[str]) -> None:
        """The tables as Markdown, and everything as JSON beside it."""
        out.mkdir(parents=True, exist_ok=True)
        lines = [*head, "", HEADER, *map(self.line, self.rows), "", *pages]
        (out / "benchmarks.md").write_text("\n".join(lines) + "\n")
        machine = {"head": head, "pages": pages, "rows": [asdict(row) for row in self.rows]}
        (out / "benchmarks.json").write_text(json.dumps(machine, indent=1))


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
