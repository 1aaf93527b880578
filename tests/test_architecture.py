"""The house: one door to R, and imports that point one way."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "rbridge_mi"

# From the ground up: a module may import from its own layer (within one sub-package) or below.
# The door to R stands beside: only those of DOOR go through it.
LAYERS = [
    {"errors", "filed", "printed"},
    {
        "schemas",
        "amelia",
        "arguments",
        "comparable",
        "common",
        "longform",
        "dtypes",
        "columns",
        "rprint",
        "hypothesis",
        "replies",
        "workers",
    },
    {"pooling", "isolation", "codings"},
    {"imputed", "mermod"},
    {"asking"},
    {"advice", "contrasts", "diagnostics", "marginal", "predictions", "random_part"},
    {"pooled", "mertools"},
    {"mermodlist"},
    {"comparisons"},
    {"stored"},
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


def dotted(path: Path) -> str:
    """The name under which a file of the package is imported."""
    parts = ("rbridge_mi", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(path: Path) -> set[str]:
    """Full names that a file imports, inside functions too: of modules, and of what is in them."""
    package = ["rbridge_mi", *path.relative_to(PACKAGE).parts[:-1]]
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{module}.{x.name}" for x in node.names}
        elif isinstance(node, ast.Import):
            names |= {x.name for x in node.names}
    return names


def imports(path: Path) -> set[str]:
    """Top-level names of rbridge_mi that a file imports, inside functions too."""
    parts = [name.split(".") for name in imported_names(path)]
    ours = {x[1] if len(x) > 1 else "__init__" for x in parts if x[0] == "rbridge_mi"}
    return ours - {part(path)}


def files_imported(path: Path, files: set[str]) -> set[str]:
    """The files, by their dotted names, that a file imports: `from .a import b` is a.b or a."""
    names = imported_names(path)
    return {x if x in files else x.rpartition(".")[0] for x in names} & files - {dotted(path)}


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


def circle(imports_of: dict[str, set[str]]) -> list[str]:
    """Files that import each other in a circle, the first one again at the end; else empty."""
    try:
        TopologicalSorter(imports_of).prepare()
    except CycleError as error:
        files: list[str] = error.args[1]
        return files
    return []


def test_no_two_files_import_each_other() -> None:
    """Not in a longer circle either, nor by an import inside a function."""
    files = {dotted(path) for path in modules()}
    imports_of = {dotted(path): files_imported(path, files) for path in modules()}
    assert sum(map(len, imports_of.values())) > 100  # it did read the imports
    assert not circle(imports_of)
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})


def test_r_files_have_no_top_level_effects() -> None:
    """Each top-level expression of r/*.R assigns a function or a constant."""
    from rbridge_mi import rdoor

    for path in sorted((PACKAGE.parent / "r").glob("*.R")):
        parsed = rdoor.call_object("base::parse", str(path), **{"keep.source": False})
        class_of = rdoor.call_object("find_function", "base::class")
        heads = rdoor.call("base::sapply", parsed, class_of)
        assert set(heads.value) == {"<-"}, path.name
