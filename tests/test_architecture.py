"""The house: one door to R, and imports that point one way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "rbridge_mi"

# From the ground up: a module may import from its own layer (within one sub-package) or below.
# The door to R stands beside: only those of DOOR go through it.
LAYERS = [
    {"errors", "filed", "printed"},
    {"schemas", "arguments", "dtypes", "columns", "rprint", "hypothesis", "replies", "workers"},
    {"pooling", "isolation"},
    {"imputed", "mermod"},
    {"asking"},
    {"advice", "contrasts", "diagnostics", "marginal", "predictions", "random_part"},
    {"pooled", "mertools"},
    {"mermodlist"},
    {"comparisons"},
    {"datasets", "imputers", "models", "doctor", "saving"},
    {"__init__"},
]
DOOR = {"datasets", "imputers", "models", "doctor", "saving"}
DOOR_NEEDS = {"errors", "dtypes"}
# Faces: nothing but the command line imports them, and they may import anything.
FACES = {"__main__", "cli", "testing", "parity", "jobs"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    """The module or sub-package of the house that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Top-level names of rbridge_mi that a file imports, inside functions too."""
    package = ["rbridge_mi", *path.relative_to(PACKAGE).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{module}.{x.name}" for x in node.names]
        elif isinstance(node, ast.Import):
            names = [x.name for x in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "rbridge_mi":
                found.add(parts[1] if len(parts) > 1 else "__init__")
    return found - {part(path)}


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_door_says_rpy2(path: Path) -> None:
    if part(path) == "rdoor":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not any(x.name.startswith("rpy2") for x in node.names)
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("rpy2")


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    me = part(path)
    if me in FACES:
        return
    if me == "rdoor":
        assert imports(path) <= DOOR_NEEDS
        return
    level = next((i for i, names in enumerate(LAYERS) if me in names), None)
    assert level is not None, f"{me} has no place in the house: add it to a layer"
    below: set[str] = set().union(*LAYERS[: level + 1]) - {me}
    if me in DOOR or me == "__init__":
        below |= {"rdoor"}
    if me == "__init__":
        below |= {"__version__"}
    assert imports(path) <= below


def test_r_files_have_no_top_level_effects() -> None:
    """Each top-level expression of r/*.R assigns a function or a constant."""
    from rbridge_mi import rdoor

    for path in sorted((PACKAGE.parent / "r").glob("*.R")):
        parsed = rdoor.call_object("base::parse", str(path), **{"keep.source": False})
        class_of = rdoor.call_object("find_function", "base::class")
        heads = rdoor.call("base::sapply", parsed, class_of)
        assert set(heads.value) == {"<-"}, path.name
