"""R's answers in a JSON file: recorded once where R is, checked later wherever.

A record holds the R code, each frame's hash, the stack (R, platform, BLAS, LAPACK, collation,
versions of the loaded packages) and the values as R vectors. Doubles are hexadecimal: this keeps
every bit, and people can read the difference of two records.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import RNotFoundError
from .bits import compare
from .evaluation import REvaluation, run_r
from .rds import NA_REAL_BITS, Node, render
from .rscript import Rscript, find_rscript
from .values import from_python, to_python

__all__ = ["Mode", "Records", "data_hash", "from_json", "to_json"]

Mode = Literal["live", "record", "check"]

_FORMAT = 1
_AGAIN = "Run pytest with --r-record, where R is, and look at what changed."


class Records:
    """The R answers of one test, in the order in which it asks for them.

    Parameters
    ----------
    path : Path
        The JSON file.
    mode : {"live", "record", "check"}
        Ask R; ask R and write the file (`save`); or read the file and ask no R.

    See Also
    --------
    rbridge_mi.testing.plugin.r_reference : The fixture that makes these.
    """

    def __init__(self, path: Path, mode: Mode) -> None:
        self.path = path
        self.mode = mode
        self._entries: list[dict[str, Any]] = []
        self._questions = 0

    def __call__(self, code: str, /, **frames: Any) -> REvaluation:
        """Return R's answer, as `run_r` does; in "check" mode read it from the file.

        Parameters
        ----------
        code : str
            R code.
        **frames : DataFrame and the like
            R variables of these names.

        Returns
        -------
        REvaluation
            What the code assigned.

        Raises
        ------
        AssertionError
            In "check" mode, if there is no record, if the R code or the data are no longer those
            of the record, or if the R here is another one; both sides are named.
        """
        __tracebackhide__ = True
        if self.mode == "check":
            return self._recorded(code, frames)
        evaluation = run_r(code, **frames)
        if self.mode == "record":
            self._entries.append({
                "code": code,
                "data": {name: data_hash(x) for name, x in frames.items()},
                "stack": evaluation.stack,
                "values": {name: to_json(node) for name, node in evaluation.nodes.items()},
                "value": to_json(evaluation.last),
                "warnings": list(evaluation.warnings),
                "messages": list(evaluation.messages),
                "output": evaluation.output,
            })  # fmt: skip
        return evaluation

    def save(self) -> None:
        """Write what was recorded."""
        if not self._entries:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(
            {"format": _FORMAT, "records": self._entries}, indent=1, ensure_ascii=False
        )
        self.path.write_text(text + "\n", encoding="utf-8")

    def _recorded(self, code: str, frames: Mapping[str, Any]) -> REvaluation:
        __tracebackhide__ = True
        name = f"{self.path.parent.name}/{self.path.name}"
        if not self.path.is_file():
            raise AssertionError(f"there is no record {name}. {_AGAIN}")
        records = json.loads(self.path.read_text(encoding="utf-8"))["records"]
        if self._questions >= len(records):
            raise AssertionError(f"{name} holds {len(records)} records, and one more is asked for.")
        record = records[self._questions]
        self._questions += 1
        if record["code"] != code:
            raise AssertionError(f"{name}: the R code is no longer the recorded one. {_AGAIN}")
        data = {x: data_hash(frame) for x, frame in frames.items()}
        if record["data"] != data:
            then = record["data"]
            changed = [x for x in {**data, **then} if then.get(x) != data.get(x)]
            sides = [[side.get(x) for x in changed] for side in (then, data)]
            raise AssertionError(
                f"{name}: the data {', '.join(changed)} are no longer the recorded ones: "
                f"{sides[0]} then, {sides[1]} now. {_AGAIN}"
            )
        self._check_stack(record, code, frames)
        return _evaluation(record)

    def _check_stack(self, record: dict[str, Any], code: str, frames: Mapping[str, Any]) -> None:
        """Raise if R is installed here and is not the recorded one."""
        __tracebackhide__ = True
        here = _stack_here(tuple(record["stack"]["packages"]))
        changed = [] if here is None else _changes(record["stack"], here)
        if not changed:
            return
        lines = ["The R stack is not the one that the record was made on:"]
        lines += [f"  {what}: {then} then, {now} now" for what, then, now in changed]
        now = run_r(code, **frames)
        then = {name: to_python(from_json(x)) for name, x in record["values"].items()}
        comparison = compare(then, dict(now), missing="exact")
        lines += [f"Its answers: {comparison.report(('the record', 'R here'))}", _AGAIN]
        raise AssertionError("\n".join(lines))


def data_hash(value: Any) -> dict[str, Any]:
    """SHA-256 of a frame as R would have it (bits, types, levels), with its rows and columns."""
    node = from_python(value)
    entry: dict[str, Any] = {"sha256": hashlib.sha256(render(node)).hexdigest()}
    if node is not None and node.texts("class") == ["data.frame"]:
        entry |= {"rows": len(value), "columns": node.texts("names")}
    return entry


def to_json(node: Node | None) -> Any:
    """Convert an R vector for `json.dumps`: doubles as hexadecimal text, NA apart from NaN.

    Parameters
    ----------
    node : Node or None
        The R vector; None is NULL.

    Returns
    -------
    dict or None
        kind, values and, where there are any, attributes.

    See Also
    --------
    from_json : The inverse.

    Examples
    --------
    >>> to_json(Node("double", np.array([0.5])))
    {'kind': 'double', 'values': ['0x1.0000000000000p-1']}
    """
    if node is None:
        return None
    values: Any = node.values
    if node.kind == "double":
        values = [_hex(x) for x in values]
    elif node.kind in ("integer", "logical"):
        values = [int(x) for x in values]
    elif node.kind == "raw":
        values = node.values.hex()
    elif node.kind == "list":
        values = [to_json(x) for x in values]
    entry = {"kind": node.kind, "values": values}
    if node.attributes:
        entry["attributes"] = {name: to_json(x) for name, x in node.attributes.items()}
    return entry


def from_json(entry: Any) -> Node | None:
    """Convert back what `to_json` returns.

    Parameters
    ----------
    entry : dict or None
        As `to_json` returns it.

    Returns
    -------
    Node or None
        The R vector; None is NULL.

    See Also
    --------
    to_json : The inverse.
    """
    if entry is None:
        return None
    kind, values = entry["kind"], entry["values"]
    if kind == "double":
        values = np.array([_unhex(x) for x in values], np.uint64).view(np.float64)
    elif kind in ("integer", "logical"):
        values = np.array(values, np.int32)
    elif kind == "raw":
        values = bytes.fromhex(values)
    elif kind == "list":
        values = [from_json(x) for x in values]
    attributes = {name: from_json(x) for name, x in entry.get("attributes", {}).items()}
    return Node(kind, values, attributes)


_NAN_BITS = 0x7FF8000000000000


def _hex(value: np.float64) -> str:
    bits = int(value.view(np.uint64))
    if bits == NA_REAL_BITS:
        return "NA"
    if np.isnan(value):
        return "NaN" if bits == _NAN_BITS else f"NaN:{bits:016x}"
    return float(value).hex()


def _unhex(text: str) -> int:
    if text == "NA":
        return NA_REAL_BITS
    if text.startswith("NaN"):
        return int(text[4:], 16) if text[3:] else _NAN_BITS
    return int(np.float64(float.fromhex(text)).view(np.uint64))


def _evaluation(record: dict[str, Any]) -> REvaluation:
    def texts(values: list[str]) -> Node:
        return Node("character", values)

    def named(values: dict[str, Any]) -> Node:
        return Node("list", list(values.values()), {"names": texts(list(values))})

    stack = dict(record["stack"])
    packages = stack.pop("packages")
    versions = Node("character", list(packages.values()), {"names": texts(list(packages))})
    parts = {
        "values": named({name: from_json(x) for name, x in record["values"].items()}),
        "value": Node("list", [from_json(record["value"])]),
        "warnings": texts(record["warnings"]),
        "messages": texts(record["messages"]),
        "stack": named({**{k: texts([v]) for k, v in stack.items()}, "packages": versions}),
    }
    return REvaluation(named(parts), record["output"])


_stacks: dict[tuple[str, ...], dict[str, Any] | None] = {}


def _stack_here(packages: tuple[str, ...]) -> dict[str, Any] | None:
    """Describe the R installed here, asked once; None where there is none."""
    if packages not in _stacks:
        try:
            find_rscript()
        except RNotFoundError:
            _stacks[packages] = None
        else:
            with Rscript() as r:
                _stacks[packages] = r.stack(packages)
    return _stacks[packages]


def _changes(then: dict[str, Any], now: dict[str, Any]) -> list[tuple[str, str, str]]:
    plain = [x for x in then if x != "packages"]
    changes = [(_NAMES.get(x, x), then[x], now.get(x, "")) for x in plain if then[x] != now.get(x)]
    for name, version in then["packages"].items():
        here = now["packages"].get(name) or "not installed"
        if version != here:
            changes.append((name, version, here))
    return changes


_NAMES = {"r": "R", "blas": "BLAS", "lapack": "LAPACK"}
