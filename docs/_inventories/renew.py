"""Keep of a project's ``objects.inv`` the names that our docstrings use: see README.md here.

``python docs/_inventories/renew.py NAME OBJECTS.INV`` writes NAME.inv beside this file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sphinx.util.inventory import InventoryFile

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from generated import TYPES  # noqa: E402 - beside this folder


def main() -> None:
    """Read one inventory and write another."""
    name, source = sys.argv[1:]
    inventory = InventoryFile.loads(Path(source).read_bytes(), uri="").data
    wanted = {x for x in TYPES.values() if x.split(".")[0] == name or name == "python"}
    items = [
        (
            entry,
            entry,
            kind.partition(":")[2],
            item.uri.partition("#")[0],
            item.uri.partition("#")[2],
        )
        for kind, items_of_kind in inventory.items()
        if kind.startswith("py:")
        for entry, item in items_of_kind.items()
        if entry in wanted
    ]
    rows = sorted((*x, 1) for x in items)
    domain = SimpleNamespace(name="py", get_objects=lambda: rows)
    some = next(iter(next(iter(inventory.values())).values()))
    environment: Any = SimpleNamespace(
        config=SimpleNamespace(project=some.project_name, version=some.project_version),
        domains=SimpleNamespace(sorted=lambda: [domain]),
    )
    builder: Any = SimpleNamespace(get_target_uri=lambda page: page)
    InventoryFile.dump(str(HERE / f"{name}.inv"), environment, builder)


if __name__ == "__main__":
    main()
