"""The house: one door to R, folders in ranks, no circles, and R source without side effects."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "rbridge_mi"

# From the ground up: a folder (or a file beside the folders) imports from lower ranks only. Those
# of one rank don't know each other.
RANKS = [
    {"errors"},
    {"base"},
    {"pooling", "sampling", "rdoor"},
    {"processes"},
    {"exchange"},
    {"data", "fits"},
    {"imputers", "inference", "mertools", "datasets"},
    {"pooled"},
    {"models", "storage", "doctor"},
    {"grids"},
    {"plots"},
    {"reports"},
    {"jobs", "testing"},
    {"parity", "demo"},
    {"cli"},
    {"__main__"},
]
# Public names are looked up lazily, so that the package's own file may name every folder.
ROOF = "__init__"


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """The dotted name of a file's module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    """The folder, or the file beside the folders, that a module belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ROOF


@cache
def imports(path: Path) -> frozenset[str]:
    """Modules of rbridge_mi that a file imports, inside functions too, but not for types alone."""
    package = name_of(path).split(".")
    if path.name != "__init__.py":
        package.pop()
    known = {name_of(x) for x in modules()}
    targets = set()
    for node in statements(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                targets.add(inner if inner in known else module)
        elif isinstance(node, ast.Import):
            targets |= {alias.name for alias in node.names}
    return frozenset(targets & known) - {name_of(path)}


def statements(tree: ast.AST) -> list[ast.AST]:
    """All nodes but those under ``if TYPE_CHECKING``."""
    nodes: list[ast.AST] = []
    left = [tree]
    while left:
        node = left.pop()
        nodes.append(node)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            left += node.orelse
        else:
            left += ast.iter_child_nodes(node)
    return nodes


def path_in_package(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", modules(), ids=path_in_package)
def test_only_the_door_says_rpy2(path: Path) -> None:
    if room(name_of(path)) == "rdoor":
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            assert not any(x.name.startswith("rpy2") for x in node.names)
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("rpy2")


@pytest.mark.parametrize("path", modules(), ids=path_in_package)
def test_matplotlib_is_imported_for_types_only(path: Path) -> None:
    """What draws asks `base.extras` for it, so that importing the folder of plots loads none."""
    for node in statements(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None) or "", *(x.name for x in node.names)]
            assert not any(x.startswith("matplotlib") for x in names)


@pytest.mark.parametrize("path", modules(), ids=path_in_package)
def test_imports_point_one_way(path: Path) -> None:
    here = room(name_of(path))
    if here == ROOF:
        return
    rank = next((i for i, rooms in enumerate(RANKS) if here in rooms), None)
    assert rank is not None, f"{here} has no place in the house: give it a rank"
    allowed = set().union(*RANKS[:rank]) | {here}
    # cli and jobs say which version they are of, and the command line uses the public names.
    public = ("cli", "demo", "jobs", "parity", "testing", "__main__")
    allowed |= {ROOF} if here in public else set()
    assert {room(x) for x in imports(path)} <= allowed


def test_no_two_files_import_each_other_in_a_circle() -> None:
    graph = {name_of(path): imports(path) for path in modules()}
    done: set[str] = set()

    def visit(module: str, trail: list[str]) -> None:
        assert module not in trail, " -> ".join([*trail[trail.index(module) :], module])
        if module not in done:
            for target in graph[module]:
                visit(target, [*trail, module])
            done.add(module)

    for module in graph:
        if module != "rbridge_mi":
            visit(module, [])


@pytest.mark.parametrize("path", modules(), ids=path_in_package)
def test_no_private_name_of_another_module_is_used(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        module = getattr(node, "module", None) or ""
        if isinstance(node, ast.ImportFrom) and (node.level or module.startswith("rbridge_mi")):
            names = [*module.split("."), *(x.name for x in node.names)]
            private = [x for x in names if re.match("_[^_]", x)]
            assert not private, f"line {node.lineno} imports {private}"


# A module that is imported by its name as a text escapes the test of the ranks. Public names are
# looked up so, in the package and in two folders; the hook leads up from a result to its plots.
BY_TEXT = {
    "__init__.py", "base/extras.py", "base/hooks.py", "demo.py", "mertools/__init__.py",
    "testing/__init__.py",
}  # fmt: skip


def test_modules_are_imported_by_text_in_few_places_only() -> None:
    texts = {path_in_package(x): x.read_text("utf-8") for x in modules()}
    assert {name for name, text in texts.items() if "import_module" in text} == BY_TEXT
    assert not any("__import__" in text for text in texts.values())


# Private by name, but not of this package: what numpy's and pandas' own objects hold, and so on.
FOREIGN = {"_mask", "_data", "_exit", "_cdata", "_cdata_to_rinterface", "_R_GET_PTR"}


@pytest.mark.parametrize("path", modules(), ids=path_in_package)
def test_no_private_attribute_of_another_modules_object_is_used(path: Path) -> None:
    """An object's private attribute is read only in the file that defines it."""
    tree = ast.parse(path.read_text("utf-8"))
    defined = FOREIGN.copy()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            defined.add(node.id if isinstance(node, ast.Name) else node.attr)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.fullmatch(r"_[^_]\w*[^_]", node.attr):
            assert node.attr in defined, f"line {node.lineno} reads .{node.attr}"


# They say that something was computed or read, but not what it is.
OVERLOADED = {"found", "own", "made", "begun", "said", "heard", "words"}


@pytest.mark.parametrize("path", modules(), ids=path_in_package)
def test_variables_are_named_by_what_they_hold(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        name = getattr(node, "id", getattr(node, "arg", getattr(node, "name", None)))
        assert not (isinstance(name, str) and name.strip("_") in OVERLOADED), name


def test_r_variables_are_named_by_what_they_hold() -> None:
    pattern = re.compile(rf"\b({'|'.join(OVERLOADED)}) *(<-|= )")
    for path in r_files():
        assert not pattern.search(path.read_text("utf-8")), path.name


def r_files() -> list[Path]:
    return [x for x in sorted((ROOT / "r").rglob("*.R")) if "reference" not in x.parts]


def test_r_files_have_no_top_level_effects() -> None:
    """Each top-level expression of an R file assigns a function or a constant."""
    from rbridge_mi import rdoor

    for path in r_files():
        without_source: dict[str, Any] = {"keep.source": False}
        parsed = rdoor.call_object("base::parse", str(path), **without_source)
        class_of = rdoor.call_object("find_function", "base::class")
        heads = rdoor.call("base::sapply", parsed, class_of)
        assert set(heads.value) == {"<-"}, path.name


def test_no_two_r_functions_share_a_name() -> None:
    """All files are sourced into one environment: the second of a name would replace the first."""
    names = Counter(
        name
        for path in r_files()
        for name in re.findall(r"^([\w.]+) <- ", path.read_text("utf-8"), flags=re.M)
    )
    assert [name for name, n in names.items() if n > 1] == []
